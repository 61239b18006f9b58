/* Many draws at once. They are those of as many single calls: blocks of words are made ahead, in
 * vector registers where the processor has them, and read in order. */
#include "rng.h"

#include "rng_parts.h"
#include "rng_ziggurat.h"

/* gcc for Windows does not align the stack for wide registers that it spills (gcc bug 54412). */
#if defined(__GNUC__) && defined(__x86_64__) && (!defined(_WIN32) || defined(__clang__))
#define RNG_X86 1
#include <immintrin.h>
#endif

enum { AHEAD = 240 }; /* 64-bit numbers made ahead at most: 1.9 kB, ten times twelve blocks */

#ifdef RNG_X86
#define AVX2 __attribute__((target("avx2")))

/* Four blocks side by side, one in each 64-bit lane. Products read the low halves of lanes only, so
 * that what stands in the high halves does not matter until the end. */
typedef struct {
  __m256i x0, x1, x2, x3;
} lanes;

AVX2 static inline lanes start_lanes(uint64_t number, const uint32_t counter[4])
{
  const __m256i numbers =
      _mm256_add_epi64(_mm256_set1_epi64x((long long)number), _mm256_set_epi64x(3, 2, 1, 0));
  const lanes start = {numbers, _mm256_srli_epi64(numbers, 32), _mm256_set1_epi64x(counter[2]),
                       _mm256_set1_epi64x(counter[3])};
  return start;
}

AVX2 static inline lanes round_lanes(lanes l, __m256i key_0, __m256i key_1)
{
  const __m256i a = _mm256_mul_epu32(_mm256_set1_epi64x(PHILOX_MULTIPLY_0), l.x0);
  const __m256i b = _mm256_mul_epu32(_mm256_set1_epi64x(PHILOX_MULTIPLY_1), l.x2);
  const lanes next = {_mm256_xor_si256(_mm256_xor_si256(_mm256_srli_epi64(b, 32), l.x1), key_0), b,
                      _mm256_xor_si256(_mm256_xor_si256(_mm256_srli_epi64(a, 32), l.x3), key_1), a};
  return next;
}

/* Both numbers of each block, in the order of the blocks. out (8) */
AVX2 static inline void store_lanes(uint64_t *out, lanes l)
{
  const __m256i low = _mm256_set1_epi64x(0xffffffff);
  const __m256i n0 = _mm256_or_si256(_mm256_and_si256(l.x0, low), _mm256_slli_epi64(l.x1, 32));
  const __m256i n1 = _mm256_or_si256(_mm256_and_si256(l.x2, low), _mm256_slli_epi64(l.x3, 32));
  const __m256i even = _mm256_unpacklo_epi64(n0, n1), odd = _mm256_unpackhi_epi64(n0, n1);
  _mm256_storeu_si256((__m256i *)out, _mm256_permute2x128_si256(even, odd, 0x20));
  _mm256_storeu_si256((__m256i *)(out + 4), _mm256_permute2x128_si256(even, odd, 0x31));
}

/* Twelve blocks: three products side by side take as long as one that is waited for. out (24) */
AVX2 static void twelve_blocks(uint64_t *out, uint64_t number, const uint32_t counter[4],
                               const uint32_t key[2])
{
  lanes a = start_lanes(number, counter), b = start_lanes(number + 4, counter);
  lanes c = start_lanes(number + 8, counter);
  uint32_t k0 = key[0], k1 = key[1];
  for (int round = 0; round < 10; round++) {
    const __m256i key_0 = _mm256_set1_epi64x(k0), key_1 = _mm256_set1_epi64x(k1);
    a = round_lanes(a, key_0, key_1);
    b = round_lanes(b, key_0, key_1);
    c = round_lanes(c, key_0, key_1);
    k0 += PHILOX_ADD_0;
    k1 += PHILOX_ADD_1;
  }
  store_lanes(out, a);
  store_lanes(out + 8, b);
  store_lanes(out + 16, c);
}

typedef double four_doubles __attribute__((vector_size(32), may_alias));
typedef uint64_t four_words __attribute__((vector_size(32), may_alias));

/* exact_log() of four: the same operations in the same order, so the same bits. The exponent, above
 * -1024, becomes a double as the low bits of 2^52 + 1024 + e. */
AVX2 static inline void four_logs(double *x)
{
  four_words bits;
  memcpy(&bits, x, sizeof bits);
  const four_words biased = (bits - LOG_HALF_ROOT + ((uint64_t)1024 << 52)) >> 52;
  bits -= (biased - 1024) << 52;
  const four_doubles m = (four_doubles)bits;
  const four_doubles e = (four_doubles)(biased | 0x4330000000000000u) - (0x1p52 + 1024);
  const four_doubles s = (m - 1) / (m + 1), z = s * s;
  four_doubles series = z * 0 + 1. / 23;
  LOG_SERIES(series, z);
  const four_doubles value = LOG_VALUE(e, s, series);
  memcpy(x, &value, sizeof value);
}

AVX2 static void logs_avx2(double *x, size_t n)
{
  size_t i = 0;
  for (; i + 4 <= n; i += 4) {
    four_logs(x + i);
  }
  for (; i < n; i++) {
    x[i] = exact_log(x[i]);
  }
}

static int has_avx2(void)
{
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx2") != 0;
}
#endif

/* The logarithms of positive normal numbers, in place. x (n) */
static void take_logs(double *x, size_t n)
{
#ifdef RNG_X86
  if (has_avx2()) {
    logs_avx2(x, n);
    return;
  }
#endif
  for (size_t i = 0; i < n; i++) {
    x[i] = exact_log(x[i]);
  }
}

void mrl_rng_blocks(uint64_t *out, const uint32_t counter[4], const uint32_t key[2], size_t n_block)
{
  uint64_t number = counter[0] | (uint64_t)counter[1] << 32;
  size_t i = 0;
#ifdef RNG_X86
  if (has_avx2()) {
    for (; i + 12 <= n_block; i += 12) {
      twelve_blocks(out + 2 * i, number + i, counter, key);
    }
  }
#endif
  for (; i < n_block; i++) {
    const uint64_t block = number + i;
    const uint32_t at[4] = {low_half(block), high_half(block), counter[2], counter[3]};
    uint32_t word[4];
    philox_rounds(word, at, key);
    out[2 * i] = word[0] | (uint64_t)word[1] << 32;
    out[2 * i + 1] = word[2] | (uint64_t)word[3] << 32;
  }
}

/* Numbers of 64 bits made ahead of a stream. */
typedef struct {
  mrl_rng start; /* between two blocks; its next ones are those made ahead */
  uint64_t bits[AHEAD];
  size_t size; /* numbers made at a time, an even number */
  size_t at;   /* the next number to be read, size or more if there is none */
} ahead;

/* Sets out to read n numbers or a few more from a stream that has read whole ones; 0 if it has
 * not. */
static int start_ahead(ahead *a, const mrl_rng *rng, size_t n)
{
  if (rng->used % 2) {
    return 0;
  }
  a->size = n < AHEAD - 3 ? (n + 3) / 2 * 2 : AHEAD;
  a->start = *rng;
  if (rng->used < 4) { /* the block that is being read counts as not made */
    skip_blocks(&a->start, UINT64_MAX);
    a->at = (size_t)rng->used / 2;
  } else {
    a->at = 0;
  }
  mrl_rng_blocks(a->bits, a->start.counter, a->start.key, a->size / 2);
  return 1;
}

static void make_more(ahead *a)
{
  skip_blocks(&a->start, a->at / 2);
  a->at %= 2;
  mrl_rng_blocks(a->bits, a->start.counter, a->start.key, a->size / 2);
}

/* The stream where the reader stands. */
static mrl_rng stream_at(const ahead *a)
{
  mrl_rng rng = a->start;
  skip_blocks(&rng, a->at / 2);
  if (a->at % 2) {
    next_block(&rng);
    rng.used = 2;
  }
  return rng;
}

/* The reader where a stream stands that has gone on from it, by whole numbers. */
static void follow(ahead *a, const mrl_rng *rng)
{
  const uint64_t from = a->start.counter[0] | (uint64_t)a->start.counter[1] << 32;
  const uint64_t to = rng->counter[0] | (uint64_t)rng->counter[1] << 32;
  a->at = (size_t)(2 * (to - from)) - (size_t)(4 - rng->used) / 2;
}

/* Uniforms of a stream that has read an odd number of words are made one by one. */
void mrl_rng_fill_uniform(mrl_rng *rng, double *out, size_t n)
{
  ahead a;
  if (!start_ahead(&a, rng, n)) {
    for (size_t i = 0; i < n; i++) {
      out[i] = next_uniform(rng);
    }
    return;
  }
  for (size_t i = 0; i < n;) {
    if (a.at >= a.size) {
      make_more(&a);
    }
    const size_t left = a.size - a.at, m = n - i < left ? n - i : left;
    for (size_t j = 0; j < m; j++) {
      out[i + j] = uniform_of(a.bits[a.at + j]);
    }
    i += m;
    a.at += m;
  }
  *rng = stream_at(&a);
}

void mrl_rng_fill_exponential(mrl_rng *rng, double *out, size_t n)
{
  mrl_rng_fill_uniform(rng, out, n);
  take_logs(out, n);
  for (size_t i = 0; i < n; i++) {
    out[i] = -out[i];
  }
}

void mrl_rng_fill_logistic(mrl_rng *rng, double *out, size_t n)
{
  mrl_rng_fill_uniform(rng, out, n);
  for (size_t i = 0; i < n; i++) {
    out[i] = out[i] / (1 - out[i]); /* 1 - u is exact */
  }
  take_logs(out, n);
}

/* One normal draw as mrl_rng_normal() makes it, from numbers made ahead as long as there are any.
 */
static double normal_ahead(ahead *a)
{
  while (a->at + 1 < a->size) {
    const uint64_t bits = a->bits[a->at];
    const size_t layer = bits & 0xff;
    const double sign = 1.0 - (double)(int)(bits >> 7 & 2);
    const double x = (double)(int64_t)(bits >> 11) * 0x1p-53 * ziggurat_edge[layer];
    if (x < ziggurat_edge[layer + 1]) {
      a->at++;
      return sign * x;
    }
    if (layer == 0) { /* the tail */
      break;
    }
    const double u = uniform_of(a->bits[a->at + 1]);
    a->at += 2;
    if (mrl_rng_under_curve(layer, x, u)) {
      return sign * x;
    }
  }
  mrl_rng rng = stream_at(a);
  const double x = mrl_rng_normal(&rng);
  follow(a, &rng);
  return x;
}

void mrl_rng_fill_normal(mrl_rng *rng, double *out, size_t n)
{
  ahead a;
  if (!start_ahead(&a, rng, n)) {
    for (size_t i = 0; i < n; i++) {
      out[i] = mrl_rng_normal(rng);
    }
    return;
  }
  for (size_t i = 0; i < n; i++) {
    if (a.at >= a.size) {
      make_more(&a);
    }
    out[i] = normal_ahead(&a);
  }
  *rng = stream_at(&a);
}
