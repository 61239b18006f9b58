#include "ld.h"

#include <math.h>
#include <string.h>

/* All CPUs with AVX2 have the instruction that counts bits. */
#if defined(__GNUC__) && defined(__x86_64__)
#define LD_X86 1
#endif

enum { KNOWN, ONE, TWO, N_PLANES };

/* Words that a parallel region handles for each thread: less than 0.05 s of work. */
static const size_t REGION = (size_t)1 << 24;

static void variant_planes(uint64_t *plane, const uint8_t *packed, const uint32_t *rows, size_t n)
{
  const size_t words = mrl_ld_words(n);
  memset(plane, 0, N_PLANES * words * sizeof *plane);
  for (size_t i = 0; i < n; i++) {
    const unsigned code = mrl_bed_code(packed, rows ? rows[i] : i);
    const uint64_t bit = (uint64_t)1 << (i % 64);
    plane[KNOWN * words + i / 64] |= code != MRL_BED_MISSING ? bit : 0;
    plane[ONE * words + i / 64] |= code == MRL_BED_HET || code == MRL_BED_HOM_A1 ? bit : 0;
    plane[TWO * words + i / 64] |= code == MRL_BED_HOM_A1 ? bit : 0;
  }
}

void mrl_ld_planes(uint64_t *planes, const uint8_t *packed, size_t stride, const uint32_t *rows,
                   size_t n, size_t m, const mrl_ctx *ctx)
{
  const size_t one = N_PLANES * mrl_ld_words(n);
  const size_t region = (size_t)ctx->n_threads * (1 + REGION / (n + 1));
  for (size_t from = 0; from < m; from += region) {
    const size_t to = m - from < region ? m : from + region;
#pragma omp parallel for num_threads(mrl_threads_for(ctx, n *(to - from))) schedule(static)
    for (size_t j = from; j < to; j++) {
      variant_planes(planes + j * one, packed + j * stride, rows, n);
    }
    mrl_poll(ctx);
  }
}

/* Whole numbers over the people known in both: how many, sums and sums of squares of each variant,
 * and how many have at least i copies of one and j of the other. */
typedef struct {
  size_t n, x, xx, y, yy, at[2][2];
} sums;

/* What two variants a and b (words, 3) have in common: a function that counts bits. */
#define COUNT(name, target)                                                                        \
  target static sums name(const uint64_t *a, const uint64_t *b, size_t words)                      \
  {                                                                                                \
    sums s = {0, 0, 0, 0, 0, {{0, 0}, {0, 0}}};                                                    \
    for (size_t w = 0; w < words; w++) {                                                           \
      const uint64_t a0 = a[w], a1 = a[words + w], a2 = a[2 * words + w];                          \
      const uint64_t b0 = b[w], b1 = b[words + w], b2 = b[2 * words + w];                          \
      const size_t x1 = (size_t)__builtin_popcountll(a1 & b0);                                     \
      const size_t x2 = (size_t)__builtin_popcountll(a2 & b0);                                     \
      const size_t y1 = (size_t)__builtin_popcountll(b1 & a0);                                     \
      const size_t y2 = (size_t)__builtin_popcountll(b2 & a0);                                     \
      s.n += (size_t)__builtin_popcountll(a0 & b0);                                                \
      s.x += x1 + x2;                                                                              \
      s.xx += x1 + 3 * x2;                                                                         \
      s.y += y1 + y2;                                                                              \
      s.yy += y1 + 3 * y2;                                                                         \
      s.at[0][0] += (size_t)__builtin_popcountll(a1 & b1);                                         \
      s.at[0][1] += (size_t)__builtin_popcountll(a1 & b2);                                         \
      s.at[1][0] += (size_t)__builtin_popcountll(a2 & b1);                                         \
      s.at[1][1] += (size_t)__builtin_popcountll(a2 & b2);                                         \
    }                                                                                              \
    return s;                                                                                      \
  }

COUNT(count_portable, )
#ifdef LD_X86
COUNT(count_popcnt, __attribute__((target("popcnt"))))
#endif

static sums count(const uint64_t *a, const uint64_t *b, size_t words, mrl_isa isa)
{
#ifdef LD_X86
  if (isa != MRL_ISA_PORTABLE) {
    return count_popcnt(a, b, words);
  }
#endif
  (void)isa;
  return count_portable(a, b, words);
}

/* Products of whole numbers below 2^26 each (2 * 32 million people) are exact. */
static double genotype_correlation(const sums *s)
{
  const double k = (double)s->n, x = (double)s->x, y = (double)s->y;
  const double xy = (double)(s->at[0][0] + s->at[0][1] + s->at[1][0] + s->at[1][1]);
  const double vx = k * (double)s->xx - x * x, vy = k * (double)s->yy - y * y;
  return vx > 0 && vy > 0 ? (k * xy - x * y) / sqrt(vx * vy) : NAN;
}

/* Haplotypes whose phase is known, and people who are heterozygous at both variants, of whom
 * `share` carry 11 with 22 and the others 12 with 21. */
typedef struct {
  double known[4], both; /* 11, 12, 21, 22 */
} haplotypes;

static double log_term(double count, double x)
{
  return count > 0 ? count * log(x) : 0;
}

static double likelihood(const haplotypes *h, double x)
{
  const double f11 = h->known[0] + x, f22 = h->known[3] + x;
  const double f12 = h->known[1] + h->both - x, f21 = h->known[2] + h->both - x;
  return log_term(h->known[0], f11) + log_term(h->known[1], f12) + log_term(h->known[2], f21) +
         log_term(h->known[3], f22) + log_term(h->both, f11 * f22 + f12 * f21);
}

/* The derivative's sign: (both - x) f11 f22 - x f12 f21, a cubic in x. */
static double slope(const haplotypes *h, double x)
{
  const double rest = h->both - x;
  return rest * (h->known[0] + x) * (h->known[3] + x) -
         x * (h->known[1] + rest) * (h->known[2] + rest);
}

/* The zero of the slope between low and high, where its signs differ. */
static double bisect(const haplotypes *h, double low, double high)
{
  const int rises = slope(h, low) > 0;
  for (int i = 0; i < 200; i++) {
    const double middle = low + (high - low) / 2;
    if (middle <= low || middle >= high) {
      break;
    }
    if ((slope(h, middle) > 0) == rises) {
      low = middle;
    } else {
      high = middle;
    }
  }
  return low + (high - low) / 2;
}

/*
 * The most likely number of double heterozygotes that carry 11 with 22. Between the turning points
 * of the cubic each change of sign is one stationary point; the best of them and of the ends is
 * the maximum.
 */
static double phase(const haplotypes *h)
{
  const double b = h->both, s = h->known[0] + h->known[3], t = h->known[1] + h->known[2];
  const double p = h->known[0] * h->known[3], q = h->known[1] * h->known[2];
  /* slope = b p + x (b s - p - q - b t - b^2) + x^2 (3 b - s + t) - 2 x^3 */
  const double linear = b * s - p - q - b * t - b * b, square = 3 * b - s + t;
  const double root = square * square + 6 * linear;
  double cut[4] = {0, b, b, b}, best = 0, most = -INFINITY;
  if (root > 0) {
    cut[1] = fmin(b, fmax(0, (square - sqrt(root)) / 6));
    cut[2] = fmin(b, fmax(0, (square + sqrt(root)) / 6));
  }
  for (int i = 0; i < 4; i++) {
    const double ends = likelihood(h, cut[i]);
    best = ends > most ? cut[i] : best;
    most = ends > most ? ends : most;
    if (i < 3 && slope(h, cut[i]) * slope(h, cut[i + 1]) < 0) {
      const double x = bisect(h, cut[i], cut[i + 1]), here = likelihood(h, x);
      best = here >= most ? x : best;
      most = here >= most ? here : most;
    }
  }
  return best;
}

static double haplotype_correlation(const sums *s)
{
  const double all = 2 * (double)s->n, x = (double)s->x, y = (double)s->y;
  const size_t both = s->at[0][0] + s->at[1][1] - s->at[0][1] - s->at[1][0];
  const double k11 = (double)(s->at[0][1] + s->at[1][0]), b = (double)both;
  const haplotypes h = {{k11, x - k11 - b, y - k11 - b, all - x - y + k11}, b};
  if (!(x > 0 && y > 0 && x < all && y < all)) {
    return NAN;
  }
  const double found = k11 + (both > 0 ? phase(&h) : 0);
  return (all * found - x * y) / sqrt(x * (all - x) * y * (all - y));
}

double mrl_ld_correlation(const uint64_t *planes, size_t n, size_t i, size_t j, mrl_ld_kind kind,
                          mrl_isa isa)
{
  const size_t words = mrl_ld_words(n), one = N_PLANES * words;
  const sums s = count(planes + i * one, planes + j * one, words, mrl_isa_usable(isa));
  return kind == MRL_LD_HAPLOTYPE ? haplotype_correlation(&s) : genotype_correlation(&s);
}

void mrl_ld_matrix(double *r, const uint64_t *planes, size_t n, size_t m, mrl_ld_kind kind,
                   mrl_isa isa, const mrl_ctx *ctx)
{
  const size_t words = mrl_ld_words(n);
  const size_t region = (size_t)ctx->n_threads * (1 + REGION / ((words + 1) * (m + 1)));
  for (size_t from = 0; from < m; from += region) {
    const size_t to = m - from < region ? m : from + region;
#pragma omp parallel for num_threads(mrl_threads_for(ctx, 4 * words * m * (to - from)))            \
    schedule(dynamic, 1)
    for (size_t j = from; j < to; j++) {
      for (size_t i = 0; i <= j; i++) {
        r[i + j * m] = mrl_ld_correlation(planes, n, i, j, kind, isa);
      }
    }
    mrl_poll(ctx);
  }
  for (size_t j = 0; j < m; j++) {
    for (size_t i = 0; i < j; i++) {
      r[j + i * m] = r[i + j * m];
    }
  }
}

/* The first variant whose position is at least `least`. */
static size_t first_from(const double *position, size_t m, double least)
{
  size_t low = 0, high = m;
  while (low < high) {
    const size_t middle = (low + high) / 2;
    if (position[middle] < least) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

/* r2 of `index` with the free variants from .. to - 1. */
static void squares(double *square, const int *clump, const uint64_t *planes, size_t index,
                    size_t from, size_t to, const mrl_clump_problem *problem, mrl_isa isa,
                    const mrl_ctx *ctx)
{
  const size_t words = mrl_ld_words(problem->n);
  const size_t region = (size_t)ctx->n_threads * (1 + REGION / (words + 1));
  for (size_t start = from; start < to; start += region) {
    const size_t end = to - start < region ? to : start + region;
#pragma omp parallel for num_threads(mrl_threads_for(ctx, 4 * words * (end - start)))              \
    schedule(static)
    for (size_t j = start; j < end; j++) {
      if (clump[j] < 0) {
        const double r = mrl_ld_correlation(planes, problem->n, index, j, problem->kind, isa);
        square[j] = r * r;
      }
    }
    mrl_poll(ctx);
  }
}

void mrl_ld_clump(int *clump, double *square, double *scratch, const mrl_clump_problem *problem,
                  const uint64_t *planes, mrl_isa isa, const mrl_ctx *ctx)
{
  const double *position = problem->position;
  for (size_t j = 0; j < problem->m; j++) {
    clump[j] = -1;
    square[j] = NAN;
  }
  for (size_t k = 0; k < problem->n_order; k++) {
    const size_t index = (size_t)problem->order[k];
    if (clump[index] >= 0) {
      continue;
    }
    clump[index] = (int)index;
    square[index] = 1;
    const size_t from = first_from(position, problem->m, position[index] - problem->radius);
    size_t to = from;
    while (to < problem->m && position[to] <= position[index] + problem->radius) {
      to++;
    }
    squares(scratch, clump, planes, index, from, to, problem, isa, ctx);
    for (size_t j = from; j < to; j++) {
      if (clump[j] < 0 && scratch[j] > problem->r2) {
        clump[j] = (int)index;
        square[j] = scratch[j];
      }
    }
  }
}
