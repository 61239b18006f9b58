/* What the parts of rng.c share: the generator's words, uniforms, and a logarithm. */
#ifndef MRL_RNG_PARTS_H
#define MRL_RNG_PARTS_H

#include <string.h>

#include "rng.h"

static inline uint32_t low_half(uint64_t x)
{
  return (uint32_t)(x & 0xffffffffu);
}

static inline uint32_t high_half(uint64_t x)
{
  return (uint32_t)(x >> 32);
}

/* Multipliers and key increments (golden ratio, sqrt(3) - 1) of Salmon et al. (2011), section 5.3.
 */
#define PHILOX_MULTIPLY_0 0xD2511F53u
#define PHILOX_MULTIPLY_1 0xCD9E8D57u
#define PHILOX_ADD_0 0x9E3779B9u
#define PHILOX_ADD_1 0xBB67AE85u

static inline void philox_rounds(uint32_t out[4], const uint32_t counter[4], const uint32_t key[2])
{
  uint32_t x0 = counter[0], x1 = counter[1], x2 = counter[2], x3 = counter[3];
  uint32_t k0 = key[0], k1 = key[1];
  for (int round = 0; round < 10; round++) {
    const uint64_t a = (uint64_t)PHILOX_MULTIPLY_0 * x0;
    const uint64_t b = (uint64_t)PHILOX_MULTIPLY_1 * x2;
    x0 = high_half(b) ^ x1 ^ k0;
    x1 = low_half(b);
    x2 = high_half(a) ^ x3 ^ k1;
    x3 = low_half(a);
    k0 += PHILOX_ADD_0;
    k1 += PHILOX_ADD_1;
  }
  out[0] = x0;
  out[1] = x1;
  out[2] = x2;
  out[3] = x3;
}

static inline void next_block(mrl_rng *rng)
{
  philox_rounds(rng->block, rng->counter, rng->key);
  rng->counter[0]++;
  if (rng->counter[0] == 0) {
    rng->counter[1]++;
  }
  rng->used = 0;
}

/* Goes on by whole blocks, of which none is read. */
static inline void skip_blocks(mrl_rng *rng, uint64_t n_block)
{
  const uint64_t block = (rng->counter[0] | (uint64_t)rng->counter[1] << 32) + n_block;
  rng->counter[0] = low_half(block);
  rng->counter[1] = high_half(block);
  rng->used = 4;
}

static inline uint32_t next_u32(mrl_rng *rng)
{
  if (rng->used == 4) {
    next_block(rng);
  }
  return rng->block[rng->used++];
}

static inline uint64_t next_u64(mrl_rng *rng)
{
  const uint64_t low = next_u32(rng);
  return low | (uint64_t)next_u32(rng) << 32;
}

/* An odd multiple of 2^-53 from 64 bits. */
static inline double uniform_of(uint64_t bits)
{
  return (double)(int64_t)(bits >> 11 | 1) * 0x1p-53;
}

static inline double next_uniform(mrl_rng *rng)
{
  return uniform_of(next_u64(rng));
}

/* log(x) of a positive normal number to 2 ulp: x = m 2^e, m in [sqrt(1/2), sqrt(2)), and
 * log(m) = 2 artanh(s), s = (m - 1)/(m + 1), |s| < .1716; the first term left out is 3e-19 s. The
 * steps are macros, as they serve numbers and vectors. LOG_HALF_ROOT: the bits of sqrt(1/2). */
#define LOG_HALF_ROOT 0x3fe6a09e667f3bcdu
#define LOG_TERM(series, z, k) (series) = (series) * (z) + 1. / (k)
#define LOG_SERIES(series, z)                                                                      \
  LOG_TERM(series, z, 21);                                                                         \
  LOG_TERM(series, z, 19);                                                                         \
  LOG_TERM(series, z, 17);                                                                         \
  LOG_TERM(series, z, 15);                                                                         \
  LOG_TERM(series, z, 13);                                                                         \
  LOG_TERM(series, z, 11);                                                                         \
  LOG_TERM(series, z, 9);                                                                          \
  LOG_TERM(series, z, 7);                                                                          \
  LOG_TERM(series, z, 5);                                                                          \
  LOG_TERM(series, z, 3);                                                                          \
  (series) = (series) * (z)
/* log(2) in two parts: the first has 20 zero bits at its end, so that e times it is exact. */
#define LOG_VALUE(e, s, series)                                                                    \
  ((e)*0x1.62e42feep-1 + (2 * (s) + (2 * (s) * (series) + (e)*0x1.a39ef35793c76p-33)))

static inline double exact_log(double x)
{
  uint64_t bits;
  memcpy(&bits, &x, sizeof bits);
  const int64_t e = (int64_t)(bits - LOG_HALF_ROOT) >> 52;
  bits -= (uint64_t)e << 52;
  double m;
  memcpy(&m, &bits, sizeof m);
  const double s = (m - 1) / (m + 1), z = s * s;
  double series = 1. / 23;
  LOG_SERIES(series, z);
  return LOG_VALUE((double)e, s, series);
}

/* Whether x, in the part of its layer of the ziggurat that the curve cuts, is taken: whether the
 * share u of the layer's height lies under the curve there. */
int mrl_rng_under_curve(size_t layer, double x, double u);

/* Blocks of four words from a counter on, as n_block * 2 numbers of 64 bits, each the next two
 * words, low one first: the same as next_u64() gives from a stream that stands between blocks. */
void mrl_rng_blocks(uint64_t *out, const uint32_t counter[4], const uint32_t key[2],
                    size_t n_block);

#endif
