/* Known answers of Philox, the stream layout, and the laws of the draws. All seeds are fixed. */
#include "ctest.h"

#include <stdlib.h>
#include <string.h>

#include "rng.h"
#include "rng_parts.h"

enum { SEED = 20240229, N_BINS = 1000 };

static mrl_rng stream(uint64_t item)
{
  return mrl_rng_stream(SEED, MRL_RNG_TEST, item);
}

static int block_is(const uint32_t counter[4], const uint32_t key[2], const uint32_t expected[4])
{
  uint32_t out[4];
  mrl_philox(out, counter, key);
  return memcmp(out, expected, sizeof out) == 0;
}

/* kat_vectors of Random123, philox4x32 with 10 rounds. */
static void test_known_answers(void)
{
  const uint32_t zero[4] = {0, 0, 0, 0};
  const uint32_t ones[4] = {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff};
  const uint32_t pi[4] = {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344};
  const uint32_t pi_key[2] = {0xa4093822, 0x299f31d0};
  CHECK(block_is(zero, zero, (const uint32_t[]){0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  CHECK(block_is(ones, ones, (const uint32_t[]){0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  CHECK(block_is(pi, pi_key, (const uint32_t[]){0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

static void test_layout(void)
{
  const uint64_t seed = 0x0123456789abcdef, item = 0x00fedcba98765432;
  const uint32_t key[2] = {0x89abcdef, 0x01234567};
  const uint32_t high = 0x00fedcba | (uint32_t)MRL_RNG_TEST << 24;
  mrl_rng rng = mrl_rng_stream(seed, MRL_RNG_TEST, item);
  uint32_t expected[4];
  for (uint32_t block = 0; block < 3; block++) {
    mrl_philox(expected, (const uint32_t[]){block, 0, 0x98765432, high}, key);
    for (int i = 0; i < 4; i++) {
      CHECK(mrl_rng_u32(&rng) == expected[i]);
    }
  }
  rng.counter[0] = UINT32_MAX; /* the block number carries into its high word */
  for (int i = 0; i < 4; i++) {
    mrl_rng_u32(&rng);
  }
  mrl_philox(expected, (const uint32_t[]){0, 1, 0x98765432, high}, key);
  CHECK(mrl_rng_u32(&rng) == expected[0]);
  CHECK(mrl_rng_u64(&rng) == (expected[1] | (uint64_t)expected[2] << 32));
}

/* Bulk draws are the single ones, whatever was drawn before and after. */
static void test_bulk(void)
{
  enum { N = 1000 };
  static double bulk[N];
  mrl_rng a = stream(1), b = stream(1);
  for (int round = 0; round < 3; round++) {
    CHECK(mrl_rng_u32(&a) == mrl_rng_u32(&b));
    mrl_rng_fill_uniform(&a, bulk, N);
    for (int i = 0; i < N; i++) {
      CHECK(bulk[i] == mrl_rng_uniform(&b));
    }
    mrl_rng_fill_normal(&a, bulk, N);
    for (int i = 0; i < N; i++) {
      CHECK(bulk[i] == mrl_rng_normal(&b));
    }
    mrl_rng_fill_genotype(&a, bulk, .3, N);
    for (int i = 0; i < N; i++) {
      CHECK(bulk[i] == mrl_rng_genotype(&b, .3));
    }
  }
  CHECK(mrl_rng_u64(&a) == mrl_rng_u64(&b));
}

/* Blocks made ahead, four at a time and one by one, across the carry of their number. */
static void test_blocks(void)
{
  enum { N = 64 };
  static uint64_t ahead[2 * N + 1];
  const uint32_t key[2] = {12345, 0xfffffffe};
  const uint32_t starts[] = {0, UINT32_MAX - 30, 7};
  for (int k = 0; k < 3; k++) {
    for (size_t n = 1; n <= N; n = n < 9 ? n + 1 : 2 * n - 2) {
      uint32_t counter[4] = {starts[k], 5, 6, 0x80000007}, word[4];
      ahead[2 * n] = 99;
      mrl_rng_blocks(ahead, counter, key, n);
      CHECK(ahead[2 * n] == 99);
      for (size_t i = 0; i < n; i++) {
        mrl_philox(word, counter, key);
        CHECK(ahead[2 * i] == (word[0] | (uint64_t)word[1] << 32));
        CHECK(ahead[2 * i + 1] == (word[2] | (uint64_t)word[3] << 32));
        counter[0]++;
        counter[1] += counter[0] == 0;
      }
    }
  }
}

/* Normal, exponential and uniform draws in bulk, in lengths around those made at a time, from both
 * halves of a block and from an odd word; the normal ones with some thousand that lie outside of
 * their layer. */
static void test_bulk_lengths(void)
{
  enum { N = 100000 };
  static double bulk[N];
  for (int skip = 0; skip < 5; skip++) {
    mrl_rng a = stream(14), b = stream(14);
    for (int i = 0; i < skip; i++) {
      CHECK(mrl_rng_u32(&a) == mrl_rng_u32(&b));
    }
    const size_t lengths[] = {N, 0, 1, 2, 3, 7, 235, 236, 237, 238, 239, 240, 241, 300, 1000};
    for (int round = 0; round < 15; round++) {
      const size_t n = lengths[round];
      size_t same = 0;
      mrl_rng_fill_normal(&a, bulk, n);
      for (size_t i = 0; i < n; i++) {
        same += bulk[i] == mrl_rng_normal(&b);
      }
      mrl_rng_fill_exponential(&a, bulk, n);
      for (size_t i = 0; i < n; i++) {
        same += bulk[i] == mrl_rng_exponential(&b);
      }
      mrl_rng_fill_uniform(&a, bulk, n);
      for (size_t i = 0; i < n; i++) {
        same += bulk[i] == mrl_rng_uniform(&b);
      }
      CHECK(same == 3 * n);
    }
    CHECK(mrl_rng_u64(&a) == mrl_rng_u64(&b));
  }
}

/* FNV-1a over the bits of draws, as they came from the first version of the generator: seeds that
 * are written down somewhere must go on to mean the same data. */
static void test_unchanged(void)
{
  mrl_rng rng = mrl_rng_stream(20240229, MRL_RNG_TEST, 77);
  uint64_t hash = 1469598103934665603u, bits;
  for (int i = 0; i < 2100000; i++) {
    const double x = i < 1000000   ? mrl_rng_normal(&rng)
                     : i < 2000000 ? mrl_rng_exponential(&rng)
                                   : mrl_rng_gamma(&rng, .05 + (i - 2000000) % 7);
    memcpy(&bits, &x, sizeof bits);
    hash = (hash ^ bits) * 1099511628211u;
  }
  CHECK(hash == 0x2c0f202ccad2ce98u);
}

/* The quantile of a uniform, to a few ulp of it or of 1: log(u / (1 - u)). */
static void test_logistic(void)
{
  enum { N = 20000 };
  static double u[N], x[N];
  mrl_rng a = stream(15), b = stream(15);
  mrl_rng_fill_uniform(&a, u, N);
  mrl_rng_fill_logistic(&b, x, N);
  for (int i = 0; i < N; i++) {
    const double want = log(u[i]) - log1p(-u[i]);
    CHECK_NEAR(x[i], want, 8e-16 * (1 + fabs(want)));
  }
  CHECK(mrl_rng_u64(&a) == mrl_rng_u64(&b));
}

/* Genotypes in bulk: across some 12 ties in the first 16 bits (2^-15 each), from all four places in
 * a block, and in lengths around those that are drawn together. */
static void test_bulk_genotype(void)
{
  enum { N = 400000 };
  static double bulk[N];
  const double p[] = {.3, 0, 1, .2 / 65536};
  for (int k = 0; k < 4; k++) {
    mrl_rng a = stream(13), b = stream(13);
    for (int skip = 0; skip < k; skip++) {
      CHECK(mrl_rng_u32(&a) == mrl_rng_u32(&b));
    }
    const size_t lengths[] = {N, 239, 240, 241, 1023, 1, 0, 1920};
    for (int round = 0; round < 8; round++) {
      const size_t n = lengths[round];
      size_t same = 0;
      mrl_rng_fill_genotype(&a, bulk, p[k], n);
      for (size_t i = 0; i < n; i++) {
        same += bulk[i] == mrl_rng_genotype(&b, p[k]);
      }
      CHECK(same == n);
    }
    CHECK(mrl_rng_u64(&a) == mrl_rng_u64(&b));
  }
}

/* Distribution functions of the laws tested. */
static double cdf_uniform(double x)
{
  return x;
}

static double cdf_normal(double x)
{
  return .5 * erfc(-x / sqrt(2));
}

static double cdf_exponential(double x)
{
  return -expm1(-x);
}

static double cdf_gamma_half(double x)
{
  return erf(sqrt(x));
}

static double cdf_gamma_two(double x)
{
  return 1 - exp(-x) * (1 + x);
}

static double draw_gamma_half(mrl_rng *rng)
{
  return mrl_rng_gamma(rng, .5);
}

static double draw_gamma_two(mrl_rng *rng)
{
  return mrl_rng_gamma(rng, 2);
}

/* Pearson's statistic of n draws in N_BINS bins of equal probability. */
static double binned(double (*draw)(mrl_rng *), double (*cdf)(double), size_t n)
{
  static size_t count[N_BINS];
  memset(count, 0, sizeof count);
  mrl_rng rng = stream(2);
  for (size_t i = 0; i < n; i++) {
    const double u = cdf(draw(&rng));
    CHECK(u >= 0 && u <= 1);
    count[u < 1 ? (size_t)(u * N_BINS) : N_BINS - 1]++;
  }
  const double expected = (double)n / N_BINS;
  double statistic = 0;
  for (int i = 0; i < N_BINS; i++) {
    statistic += ((double)count[i] - expected) * ((double)count[i] - expected) / expected;
  }
  return statistic;
}

/* The chi-squared law with d degrees of freedom is about N(d, 2d): 3.7 standard deviations either
 * way are passed with a probability of about 2e-4 each under the right law. */
static int plausible(double statistic, double df)
{
  const double z = (statistic - df) / sqrt(2 * df);
  return fabs(z) < 3.7;
}

static void test_continuous(void)
{
  const size_t n = 4000000;
  CHECK(plausible(binned(mrl_rng_uniform, cdf_uniform, n), N_BINS - 1));
  CHECK(plausible(binned(mrl_rng_normal, cdf_normal, n), N_BINS - 1));
  CHECK(plausible(binned(mrl_rng_exponential, cdf_exponential, n), N_BINS - 1));
  CHECK(plausible(binned(draw_gamma_half, cdf_gamma_half, n), N_BINS - 1));
  CHECK(plausible(binned(draw_gamma_two, cdf_gamma_two, n), N_BINS - 1));
}

static int by_value(const void *a, const void *b)
{
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* sqrt(n) times the Kolmogorov-Smirnov distance of u (n) from the uniform law; sorts u. */
static double ks_uniform(double *u, size_t n)
{
  qsort(u, n, sizeof *u, by_value);
  double distance = 0;
  for (size_t i = 0; i < n; i++) {
    distance =
        fmax(distance, fmax((double)(i + 1) / (double)n - u[i], u[i] - (double)i / (double)n));
  }
  return distance * sqrt((double)n);
}

/* 1.95 is exceeded with probability .001. */
static void test_kolmogorov(void)
{
  enum { N = 200000 };
  static double u[N];
  mrl_rng rng = stream(3);
  mrl_rng_fill_uniform(&rng, u, N);
  CHECK(ks_uniform(u, N) < 1.95);
  mrl_rng_fill_normal(&rng, u, N);
  for (int i = 0; i < N; i++) {
    u[i] = cdf_normal(u[i]);
  }
  CHECK(ks_uniform(u, N) < 1.95);
}

/* Beyond the last edge of the ziggurat 2.582e-4 of the draws must lie (both sides), with the right
 * law given that. 5.16e3 are expected of 2e7, SD 72: 3.7 SD are 266. */
static void test_normal_tail(void)
{
  enum { N = 20000000, MOST = 6000 };
  static double u[MOST];
  const double edge = 3.6541528853610088, beyond = cdf_normal(-edge);
  size_t found = 0, negative = 0;
  mrl_rng rng = stream(4);
  for (int i = 0; i < N; i++) {
    const double x = mrl_rng_normal(&rng);
    if (fabs(x) > edge && found < MOST) {
      u[found++] = cdf_normal(-fabs(x)) / beyond;
      negative += x < 0;
    }
  }
  CHECK_NEAR((double)found, 2 * beyond * N, 266);
  CHECK_NEAR((double)negative, .5 * (double)found, 3.7 * .5 * sqrt((double)found));
  CHECK(ks_uniform(u, found) < 1.95);
}

/* The logarithm inside is ours: against libm's on the same uniforms, to 3 ulp. */
static void test_logarithm(void)
{
  mrl_rng a = stream(5), b = stream(5);
  for (int i = 0; i < 100000; i++) {
    const double ours = mrl_rng_exponential(&a), theirs = -log(mrl_rng_uniform(&b));
    CHECK_NEAR(ours, theirs, 3 * 2.3e-16 * theirs);
  }
}

static double genotype_statistic(double p, size_t n)
{
  const double law[3] = {(1 - p) * (1 - p), 2 * p * (1 - p), p * p};
  double count[3] = {0, 0, 0}, statistic = 0;
  mrl_rng rng = stream(6);
  for (size_t i = 0; i < n; i++) {
    count[mrl_rng_genotype(&rng, p)]++;
  }
  for (int k = 0; k < 3; k++) {
    const double expected = law[k] * (double)n;
    statistic += (count[k] - expected) * (count[k] - expected) / expected;
  }
  return statistic;
}

/* 18.4 is exceeded with probability 1e-4 at 2 degrees of freedom. */
static void test_genotype(void)
{
  CHECK(genotype_statistic(.3, 1000000) < 18.4);
  CHECK(genotype_statistic(.05, 1000000) < 18.4);
  CHECK(genotype_statistic(.5, 1000000) < 18.4);
  mrl_rng rng = stream(7);
  for (int i = 0; i < 200000; i++) { /* enough for ties in the first 16 bits */
    CHECK(mrl_rng_genotype(&rng, 0) == 0);
    CHECK(mrl_rng_genotype(&rng, 1) == 2);
  }
  /* p = 3e-5 lies in (1, 2) 2^-16: without the further bits 3.05e-5 or 1.53e-5 would be counted.
   * Expected 1200 alleles of 2e7 draws at 3e-5; SD 34.6. At p = .7 2^-16 all is in the ties:
   * 427 expected, SD 20.7 (610 or 0 without). */
  double rare = 0, rarer = 0;
  for (int i = 0; i < 20000000; i++) {
    rare += mrl_rng_genotype(&rng, 3e-5);
    rarer += mrl_rng_genotype(&rng, .7 / 65536);
  }
  CHECK_NEAR(rare, 1200, 3.7 * 34.6);
  CHECK_NEAR(rarer, 427.2, 3.7 * 20.7);
}

/* Two loci with frequencies .2 and .3 and a correlation of .5: D = .5 sqrt(.16 .21) = .09165. The
 * estimate of the correlation has an SD below 1.5/sqrt(n) for these tables. */
static void test_linked(void)
{
  enum { N = 200000 };
  static double first[N], second[N];
  const double p = .2, q = .3, d = .5 * sqrt(p * (1 - p) * q * (1 - q));
  const double given[2] = {q - d / (1 - p), q + d / p};
  mrl_rng rng = stream(8);
  mrl_rng_fill_genotype(&rng, first, p, N);
  mrl_rng_fill_linked(&rng, second, first, given, N);
  double mean = 0, cross = 0;
  for (int i = 0; i < N; i++) {
    mean += second[i] / N;
    cross += (first[i] - 2 * p) * (second[i] - 2 * q) / N;
  }
  CHECK_NEAR(mean, 2 * q, 4 * sqrt(2 * q * (1 - q) / N));
  CHECK_NEAR(cross / (2 * sqrt(p * (1 - p) * q * (1 - q))), .5, 4 * 1.5 / sqrt(N));
  mrl_rng a = stream(9), b = stream(9);
  mrl_rng_fill_genotype(&a, first, q, N);
  mrl_rng_fill_linked(&b, second, first, (const double[]){q, q}, N);
  CHECK(memcmp(first, second, sizeof first) == 0);
}

static void test_below(void)
{
  enum { N = 700000 };
  double count[7] = {0}, statistic = 0;
  mrl_rng rng = stream(10);
  for (int i = 0; i < N; i++) {
    count[mrl_rng_below(&rng, 7)]++;
  }
  for (int k = 0; k < 7; k++) {
    statistic += (count[k] - N / 7.0) * (count[k] - N / 7.0) / (N / 7.0);
  }
  CHECK(statistic < 27.9); /* probability 1e-4 at 6 degrees of freedom */
  CHECK(mrl_rng_below(&rng, 1) == 0);
  /* n = 3 * 2^30: without rejection every third value would come twice as often, and the share of
   * values below 2^30 that are multiples of 3 tells. */
  const uint64_t large = (uint64_t)3 << 30;
  double multiples = 0;
  for (int i = 0; i < N; i++) {
    const uint64_t value = mrl_rng_below(&rng, large);
    CHECK(value < large);
    multiples += value % 3 == 0;
  }
  CHECK_NEAR(multiples, N / 3.0, 4 * sqrt(N * 2 / 9.0));
  const uint64_t huge = (uint64_t)5 << 60;
  double mean = 0;
  for (int i = 0; i < N; i++) {
    const uint64_t value = mrl_rng_below(&rng, huge);
    CHECK(value < huge);
    mean += (double)value / (double)huge / N;
  }
  CHECK_NEAR(mean, .5, 4 * sqrt(1 / 12.0 / N));
}

static void test_permutation(void)
{
  enum { N = 120000, ORDERS = 120 };
  static double count[3125];
  mrl_rng rng = stream(11);
  for (int i = 0; i < N; i++) {
    size_t order[5], code = 0, seen = 0;
    mrl_rng_permutation(&rng, order, 5);
    for (int k = 0; k < 5; k++) {
      code = code * 5 + order[k];
      seen |= (size_t)1 << order[k];
    }
    CHECK(seen == 31);
    count[code]++;
  }
  double statistic = 0;
  int orders = 0;
  for (int code = 0; code < 3125; code++) {
    if (count[code] > 0) {
      orders++;
      statistic += (count[code] - N / ORDERS) * (count[code] - N / ORDERS) / (N / ORDERS);
    }
  }
  CHECK(orders == ORDERS);
  CHECK(plausible(statistic, ORDERS - 1));
}

/* Neighbours in stream, purpose and seed: no word in common at one place, no correlation. */
static void test_neighbours(void)
{
  enum { N = 100000 };
  mrl_rng rng[5] = {stream(0), stream(1), mrl_rng_stream(SEED + 1, MRL_RNG_TEST, 0),
                    mrl_rng_stream(SEED, MRL_RNG_FOLD, 0),
                    mrl_rng_stream(SEED + ((uint64_t)1 << 32), MRL_RNG_TEST, 0)};
  for (int a = 0; a < 5; a++) {
    for (int b = a + 1; b < 5; b++) {
      mrl_rng one = rng[a], other = rng[b];
      double same = 0, cross = 0;
      for (int i = 0; i < N; i++) {
        same += mrl_rng_u32(&one) == mrl_rng_u32(&other);
      }
      for (int i = 0; i < N; i++) {
        cross += mrl_rng_normal(&one) * mrl_rng_normal(&other) / N;
      }
      CHECK(same <= 2); /* 2.3e-5 expected */
      CHECK_NEAR(cross, 0, 4 / sqrt(N));
    }
  }
  /* Successive draws of one stream. */
  mrl_rng one = stream(12);
  double last = mrl_rng_normal(&one), cross = 0;
  for (int i = 0; i < N; i++) {
    const double next = mrl_rng_normal(&one);
    cross += last * next / N;
    last = next;
  }
  CHECK_NEAR(cross, 0, 4 / sqrt(N));
}

int main(void)
{
  test_known_answers();
  test_layout();
  test_bulk();
  test_blocks();
  test_bulk_lengths();
  test_logistic();
  test_unchanged();
  test_bulk_genotype();
  test_continuous();
  test_kolmogorov();
  test_normal_tail();
  test_logarithm();
  test_genotype();
  test_linked();
  test_below();
  test_permutation();
  test_neighbours();
  return CTEST_DONE();
}
