#include "rng.h"

#include <math.h>

#include "rng_heights.h"
#include "rng_parts.h"
#include "rng_ziggurat.h"

/*
 * Only arithmetic that IEEE 754 defines exactly is used (no libm function but sqrt, frexp, ldexp):
 * a library's log or exp may differ in the last bit between processors, and draws must not.
 */

void mrl_philox(uint32_t out[4], const uint32_t counter[4], const uint32_t key[2])
{
  philox_rounds(out, counter, key);
}

mrl_rng mrl_rng_stream(uint64_t seed, mrl_rng_purpose purpose, uint64_t item)
{
  const uint64_t stream = ((uint64_t)purpose << 56) | item;
  const mrl_rng rng = {.key = {low_half(seed), high_half(seed)},
                       .counter = {0, 0, low_half(stream), high_half(stream)},
                       .block = {0, 0, 0, 0},
                       .used = 4};
  return rng;
}

uint32_t mrl_rng_u32(mrl_rng *rng)
{
  return next_u32(rng);
}

uint64_t mrl_rng_u64(mrl_rng *rng)
{
  return next_u64(rng);
}

/* Lemire (2019): the high half of a product, rejecting what would make some values more likely. */
static uint64_t below_32(mrl_rng *rng, uint32_t n)
{
  uint64_t product = (uint64_t)next_u32(rng) * n;
  if (low_half(product) < n) {
    const uint32_t excess = (uint32_t)(-n) % n; /* 2^32 mod n */
    while (low_half(product) < excess) {
      product = (uint64_t)next_u32(rng) * n;
    }
  }
  return product >> 32;
}

/* As many bits as n - 1 has, until they are below n. */
static uint64_t below_64(mrl_rng *rng, uint64_t n)
{
  uint64_t mask = n - 1;
  for (int shift = 1; shift < 64; shift *= 2) {
    mask |= mask >> shift;
  }
  uint64_t value;
  do {
    value = next_u64(rng) & mask;
  } while (value >= n);
  return value;
}

uint64_t mrl_rng_below(mrl_rng *rng, uint64_t n)
{
  return n <= UINT32_MAX ? below_32(rng, (uint32_t)n) : below_64(rng, n);
}

double mrl_rng_uniform(mrl_rng *rng)
{
  return next_uniform(rng);
}

static const double inverse_factorial[] = {1.0,
                                           1.0,
                                           1.0 / 2,
                                           1.0 / 6,
                                           1.0 / 24,
                                           1.0 / 120,
                                           1.0 / 720,
                                           1.0 / 5040,
                                           1.0 / 40320,
                                           1.0 / 362880,
                                           1.0 / 3628800,
                                           1.0 / 39916800,
                                           1.0 / 479001600,
                                           1.0 / 6227020800,
                                           1.0 / 87178291200};

/* exp(x), x <= 0, to 2 ulp; 0 below -745. x = k log(2) + r, |r| < .347, and the Taylor series. */
static double exact_exp(double x)
{
  if (x < -745) {
    return 0;
  }
  const int k = (int)(x * 0x1.71547652b82fep+0 - 0.5);
  const double r = (x - k * 0x1.62e42feep-1) - k * 0x1.a39ef35793c76p-33;
  double series = inverse_factorial[14];
  for (int i = 13; i >= 0; i--) {
    series = inverse_factorial[i] + series * r;
  }
  if (k < -1000) {
    return ldexp(series, k);
  }
  const uint64_t power_bits = (uint64_t)(1023 + k) << 52; /* of 2^k, exactly */
  double power;
  memcpy(&power, &power_bits, sizeof power);
  return series * power;
}

double mrl_rng_exponential(mrl_rng *rng)
{
  return -exact_log(next_uniform(rng));
}

/* |x| given |x| > edge: Marsaglia (1964), exact; about 1.2 trials. */
static double normal_tail(mrl_rng *rng, double edge)
{
  double beyond, height;
  do {
    beyond = mrl_rng_exponential(rng) / edge;
    height = mrl_rng_exponential(rng);
  } while (2 * height <= beyond * beyond);
  return edge + beyond;
}

int mrl_rng_under_curve(size_t layer, double x, double u)
{
  const double bottom = ziggurat_height[layer], top = ziggurat_height[layer + 1];
  return bottom + (top - bottom) * u < exact_exp(-x * x / 2);
}

/* Of 64 bits: the layer from 8, the sign from 1, 53 others for the place within the layer. */
static inline double next_normal(mrl_rng *rng)
{
  for (;;) {
    const uint64_t bits = next_u64(rng);
    const int layer = (int)(bits & 0xff);
    const double sign = 1.0 - (double)(bits >> 7 & 2); /* no branch: it could not be predicted */
    const double x = (double)(bits >> 11) * 0x1p-53 * ziggurat_edge[layer];
    if (x < ziggurat_edge[layer + 1]) {
      return sign * x;
    }
    if (layer == 0) {
      return sign * normal_tail(rng, ziggurat_edge[1]);
    }
    if (mrl_rng_under_curve((size_t)layer, x, next_uniform(rng))) {
      return sign * x;
    }
  }
}

double mrl_rng_normal(mrl_rng *rng)
{
  return next_normal(rng);
}

/* Marsaglia & Tsang (2000), shape >= 1. */
static double gamma_large(mrl_rng *rng, double shape)
{
  const double d = shape - 1.0 / 3, c = 1 / sqrt(9 * d);
  for (;;) {
    const double x = next_normal(rng);
    const double t = 1 + c * x;
    if (t <= 0) {
      continue;
    }
    const double v = t * t * t;
    const double log_u = -mrl_rng_exponential(rng);
    if (log_u < x * x / 2 + d - d * v + d * exact_log(v)) {
      return d * v;
    }
  }
}

/* A shape below 1 is gamma(shape + 1) U^(1/shape). */
double mrl_rng_gamma(mrl_rng *rng, double shape)
{
  if (shape >= 1) {
    return gamma_large(rng, shape);
  }
  const double larger = gamma_large(rng, shape + 1);
  return larger * exact_exp(-mrl_rng_exponential(rng) / shape);
}

/* Arrivals up to time `mean`, their gaps exponential. Long times are halved by the arrival number
 * 7/8 of the mean: if it is early, go on from there; if it is late, the arrivals before it are
 * uniform up to it, so those in time are binomial (Ahrens & Dieter 1974). */
double mrl_rng_poisson(mrl_rng *rng, double mean)
{
  double count = 0;
  while (mean > 32) {
    const double arrivals = floor(mean * 0.875), at = mrl_rng_gamma(rng, arrivals);
    if (at > mean) {
      const double share = mean / at;
      for (double i = 1; i < arrivals; i++) {
        count += mrl_rng_uniform(rng) < share;
      }
      return count;
    }
    count += arrivals;
    mean -= at;
  }
  for (double at = mrl_rng_exponential(rng); at < mean; at += mrl_rng_exponential(rng)) {
    count++;
  }
  return count;
}

/* p = head 2^-16 + tail 2^-80: an allele is 1 if 16 random bits, then 64 more, are below these. */
typedef struct {
  uint32_t head;
  uint64_t tail;
} allele_odds;

static allele_odds odds_of(double p)
{
  const double scaled = p * 0x1p16, head = floor(scaled);
  const allele_odds odds = {(uint32_t)head, (uint64_t)((scaled - head) * 0x1p64)};
  return odds;
}

/* One word serves two alleles; only a tie (2^-16) needs more bits. */
static inline int next_alleles(mrl_rng *rng, const allele_odds *one, const allele_odds *other)
{
  const uint32_t bits = next_u32(rng);
  const uint32_t first = bits >> 16, second = bits & 0xffff;
  int count = (first < one->head) + (second < other->head);
  if (first == one->head) {
    count += next_u64(rng) < one->tail;
  }
  if (second == other->head) {
    count += next_u64(rng) < other->tail;
  }
  return count;
}

int mrl_rng_genotype(mrl_rng *rng, double p)
{
  const allele_odds odds = odds_of(p);
  return next_alleles(rng, &odds, &odds);
}

/* Words that are drawn before any is used; a constant, so that compilers vectorise the loop. */
enum { GENOTYPE_WORDS = 240 };

/* As many genotypes from as many words, if none is tied; else returns 0 and out is not valid. The
 * stream must stand between two blocks. */
static int fill_untied(mrl_rng *rng, double *out, uint32_t head)
{
  uint64_t pairs[GENOTYPE_WORDS / 2];
  uint32_t words[GENOTYPE_WORDS], tied = 0;
  mrl_rng_blocks(pairs, rng->counter, rng->key, GENOTYPE_WORDS / 4);
  for (size_t i = 0; i < GENOTYPE_WORDS / 2; i++) {
    words[2 * i] = low_half(pairs[i]);
    words[2 * i + 1] = high_half(pairs[i]);
  }
  for (size_t i = 0; i < GENOTYPE_WORDS; i++) {
    const uint32_t first = words[i] >> 16, second = words[i] & 0xffff;
    tied |= (first == head) | (second == head);
    out[i] = (double)(int)((first < head) + (second < head));
  }
  if (tied) {
    return 0;
  }
  skip_blocks(rng, GENOTYPE_WORDS / 4);
  return 1;
}

void mrl_rng_fill_genotype(mrl_rng *rng, double *out, double p, size_t n)
{
  const allele_odds odds = odds_of(p);
  mrl_rng local = *rng;
  size_t i = 0;
  while (i < n) {
    const size_t most = n - i < GENOTYPE_WORDS ? n - i : GENOTYPE_WORDS;
    if (most == GENOTYPE_WORDS && local.used == 4 && fill_untied(&local, out + i, odds.head)) {
      i += most;
      continue;
    }
    /* One at a time past the tie, and until the stream stands between two blocks again. */
    for (const size_t end = i + most; i < end || (i < n && local.used != 4); i++) {
      out[i] = next_alleles(&local, &odds, &odds);
    }
  }
  *rng = local;
}

void mrl_rng_fill_linked(mrl_rng *rng, double *out, const double *previous, const double p_given[2],
                         size_t n)
{
  const allele_odds odds[2] = {odds_of(p_given[0]), odds_of(p_given[1])};
  mrl_rng local = *rng;
  for (size_t i = 0; i < n; i++) {
    out[i] = next_alleles(&local, &odds[previous[i] > 0], &odds[previous[i] > 1]);
  }
  *rng = local;
}

void mrl_rng_permutation(mrl_rng *rng, size_t *out, size_t n)
{
  for (size_t i = 0; i < n; i++) {
    const size_t j = (size_t)mrl_rng_below(rng, (uint64_t)i + 1);
    out[i] = out[j]; /* the inside-out form of Fisher-Yates */
    out[j] = i;
  }
}
