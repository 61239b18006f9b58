#include "bed.h"

#include <math.h>
#include <string.h>

/* Half a byte, two people, at a time: a table of 16 pairs is made in no time for each variant. */
static void decode_first(double *g, const uint8_t *packed, size_t n, const double *value)
{
  double pair[16][2];
  for (size_t k = 0; k < 16; k++) {
    pair[k][0] = value[k & 3];
    pair[k][1] = value[k >> 2];
  }
  for (size_t b = 0; b < n / 4; b++) {
    memcpy(g + 4 * b, pair[packed[b] & 15], sizeof pair[0]);
    memcpy(g + 4 * b + 2, pair[packed[b] >> 4], sizeof pair[0]);
  }
  for (size_t i = n - n % 4; i < n; i++) {
    g[i] = value[mrl_bed_code(packed, i)];
  }
}

void mrl_bed_decode(double *g, const uint8_t *packed, const uint32_t *rows, size_t n,
                    const double *value)
{
  if (!rows) {
    decode_first(g, packed, n, value);
    return;
  }
  for (size_t i = 0; i < n; i++) {
    g[i] = value[mrl_bed_code(packed, rows[i])];
  }
}

/* The number of bits set in a word of which only every second bit may be. */
static unsigned count_even_bits(uint64_t word)
{
  word = (word & UINT64_C(0x3333333333333333)) + (word >> 2 & UINT64_C(0x3333333333333333));
  word = (word + (word >> 4)) & UINT64_C(0x0f0f0f0f0f0f0f0f);
  return (unsigned)(word * UINT64_C(0x0101010101010101) >> 56);
}

static void count_first(size_t *count, const uint8_t *packed, size_t n)
{
  const uint64_t even = UINT64_C(0x5555555555555555);
  size_t i = 0;
  for (; i + 32 <= n; i += 32) {
    uint64_t word;
    memcpy(&word, packed + i / 4, sizeof word);
    const uint64_t low = word & even, high = word >> 1 & even;
    count[MRL_BED_MISSING] += count_even_bits(low & ~high);
    count[MRL_BED_HET] += count_even_bits(high & ~low);
    count[MRL_BED_HOM_A2] += count_even_bits(low & high);
  }
  count[MRL_BED_HOM_A1] = i - count[MRL_BED_MISSING] - count[MRL_BED_HET] - count[MRL_BED_HOM_A2];
  for (; i < n; i++) {
    count[mrl_bed_code(packed, i)]++;
  }
}

void mrl_bed_count(double *count, const uint8_t *packed, const uint32_t *rows, size_t n)
{
  size_t found[MRL_BED_N_CODES] = {0};
  if (!rows) {
    count_first(found, packed, n);
  }
  for (size_t i = 0; rows && i < n; i++) {
    found[mrl_bed_code(packed, rows[i])]++;
  }
  for (size_t k = 0; k < MRL_BED_N_CODES; k++) {
    count[k] = (double)found[k];
  }
}

double mrl_bed_mean(const double *count)
{
  const double present = count[MRL_BED_HOM_A1] + count[MRL_BED_HET] + count[MRL_BED_HOM_A2];
  return present > 0 ? (2 * count[MRL_BED_HOM_A1] + count[MRL_BED_HET]) / present : NAN;
}

/*
 * Probabilities relative to the most probable number of heterozygotes: from het to het + 2 the
 * ratio is 4 rare common / ((het + 2)(het + 1)), rare and common being the homozygotes at het. One
 * walks from the peak upwards or downwards, past `het`, until nothing more adds to the sums.
 */
typedef struct {
  double n, minor, het; /* people, copies of the rarer allele, heterozygotes seen */
  double total, seen;   /* sum of all, and that of het */
  double tail;          /* sum of those at most `bound` */
  double bound;
} hwe_walk;

static void walk(hwe_walk *at, double peak, int up)
{
  const double n = at->n, minor = at->minor, step = up ? 2 : -2;
  const double least = 1e-20 * fmin(1, at->bound); /* what is smaller adds nothing to the tail */
  double p = 1;
  for (double h = peak; up ? h + 2 <= minor : h >= 2; h += step) {
    const double low = up ? h : h - 2; /* the ratio between low and low + 2 */
    const double ratio = (minor - low) * (2 * n - minor - low) / ((low + 2) * (low + 1));
    p = up ? p * ratio : p / ratio;
    at->seen = h + step == at->het ? p : at->seen;
    at->total += p;
    at->tail += p <= at->bound ? p : 0;
    if (p < least && (up ? h > at->het : h < at->het)) {
      return;
    }
  }
}

double mrl_bed_hwe(const double *count)
{
  const double het = count[MRL_BED_HET], n = het + count[MRL_BED_HOM_A1] + count[MRL_BED_HOM_A2];
  const double minor = 2 * fmin(count[MRL_BED_HOM_A1], count[MRL_BED_HOM_A2]) + het;
  if (!(n > 0)) {
    return 1;
  }
  double peak = floor(minor * (2 * n - minor) / (2 * n));
  peak += fmod(peak + minor, 2); /* of the parity of the minor allele's count */
  hwe_walk at = {n, minor, het, 1, 1, 0, 1};
  for (int pass = 0; pass < 2; pass++) { /* first the probability of what was seen */
    at.bound = pass == 0 ? 1 : at.seen * (1 + 1e-8);
    at.total = 1;
    at.tail = 1 <= at.bound ? 1 : 0;
    walk(&at, peak, 1);
    walk(&at, peak, 0);
  }
  return fmin(1, at.tail / at.total);
}

/* Variants of n people that one region handles: some 0.05 s of work. */
static size_t group_of(size_t n)
{
  return 1 + ((size_t)1 << 25) / (n + 1);
}

void mrl_bed_matrix(double *g, const uint8_t *packed, size_t stride, const uint32_t *rows, size_t n,
                    size_t m, int impute, const mrl_ctx *ctx)
{
  const size_t group = group_of(n);
  for (size_t from = 0; from < m; from += group) {
    const size_t to = m - from < group ? m : from + group;
#pragma omp parallel for num_threads(mrl_threads_for(ctx, n *(to - from))) schedule(static)
    for (size_t j = from; j < to; j++) {
      double value[MRL_BED_N_CODES] = {2, NAN, 1, 0};
      if (impute) {
        double count[MRL_BED_N_CODES];
        mrl_bed_count(count, packed + j * stride, rows, n);
        value[MRL_BED_MISSING] = mrl_bed_mean(count);
      }
      mrl_bed_decode(g + j * n, packed + j * stride, rows, n, value);
    }
    mrl_poll(ctx);
  }
}

void mrl_bed_rows(double *g, size_t ld, const uint8_t *packed, size_t stride, const uint32_t *rows,
                  size_t n, size_t m, const double *fill, const mrl_ctx *ctx)
{
  (void)ctx; /* where there is no OpenMP */
#pragma omp parallel for num_threads(mrl_threads_for(ctx, n *m)) schedule(static)
  for (size_t j = 0; j < m; j++) {
    const double value[MRL_BED_N_CODES] = {2, fill[j], 1, 0};
    mrl_bed_decode(g + j * ld, packed + j * stride, rows, n, value);
  }
}

void mrl_bed_describe(double *count, double *hwe, const uint8_t *packed, size_t stride,
                      const uint32_t *rows, size_t n, size_t m, const mrl_ctx *ctx)
{
  const size_t group = group_of(n);
  for (size_t from = 0; from < m; from += group) {
    const size_t to = m - from < group ? m : from + group;
#pragma omp parallel for num_threads(mrl_threads_for(ctx, n *(to - from))) schedule(static)
    for (size_t j = from; j < to; j++) {
      mrl_bed_count(count + MRL_BED_N_CODES * j, packed + j * stride, rows, n);
      if (hwe) {
        hwe[j] = mrl_bed_hwe(count + MRL_BED_N_CODES * j);
      }
    }
    mrl_poll(ctx);
  }
}

static int encode_variant(uint8_t *packed, const double *g, size_t n)
{
  memset(packed, 0, mrl_bed_stride(n));
  for (size_t i = 0; i < n; i++) {
    unsigned code;
    if (isnan(g[i])) {
      code = MRL_BED_MISSING;
    } else if (g[i] == 0) {
      code = MRL_BED_HOM_A2;
    } else if (g[i] == 1) {
      code = MRL_BED_HET;
    } else if (g[i] == 2) {
      code = MRL_BED_HOM_A1;
    } else {
      return 0;
    }
    packed[i / 4] = (uint8_t)(packed[i / 4] | code << (2 * (i % 4)));
  }
  return 1;
}

mrl_status mrl_bed_encode(uint8_t *packed, const double *g, size_t n, size_t m, const mrl_ctx *ctx)
{
  const size_t stride = mrl_bed_stride(n);
  for (size_t j = 0; j < m; j++) {
    if (!encode_variant(packed + j * stride, g + j * n, n)) {
      return MRL_BAD_ARGUMENT;
    }
    if (j % (1 + ((size_t)1 << 24) / (n + 1)) == 0) {
      mrl_poll(ctx);
    }
  }
  return MRL_OK;
}
