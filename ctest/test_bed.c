/* Packed genotypes against slow loops: decoding, counts, exact tests, sums by counting bits. */
#include "ctest.h"

#include "bed_sums.h"
#include "rng.h"

#include <stdlib.h>
#include <string.h>

enum { N = 1037, LA = 9, LB = 6, Q = 3 };

static const mrl_ctx serial = {1, NULL, NULL}, parallel = {2, NULL, NULL};

/* Counts of A1 with `share` missing; NaN is missing. */
static void draw(double *g, size_t n, size_t m, double share, uint64_t stream)
{
  mrl_rng rng = mrl_rng_stream(1, MRL_RNG_TEST, stream);
  for (size_t i = 0; i < n * m; i++) {
    const double p = 0.1 + 0.8 * (double)(i / n) / (double)m;
    g[i] = (mrl_rng_uniform(&rng) < p) + (mrl_rng_uniform(&rng) < p);
    g[i] = mrl_rng_uniform(&rng) < share ? NAN : g[i];
  }
}

static uint8_t *pack(const double *g, size_t n, size_t m)
{
  const size_t size = mrl_bed_stride(n) * m;
  uint8_t *packed = malloc(size); /* exactly: reading past the last byte is caught */
  CHECK(mrl_bed_encode(packed, g, n, m, &serial) == MRL_OK);
  return packed;
}

static void check_same(const double *a, const double *b, size_t n)
{
  for (size_t i = 0; i < n; i++) {
    CHECK(isnan(a[i]) ? isnan(b[i]) : a[i] == b[i]);
  }
}

static void test_decode(size_t n)
{
  enum { M = 3 };
  double *g = malloc(n * M * sizeof *g), *back = malloc(n * M * sizeof *g), count[4], slow[4];
  draw(g, n, M, 0.1, n);
  uint8_t *packed = pack(g, n, M);
  const size_t stride = mrl_bed_stride(n);
  mrl_bed_matrix(back, packed, stride, NULL, n, M, 0, &parallel);
  check_same(g, back, n * M);
  uint32_t *rows = malloc(n * sizeof *rows);
  for (size_t i = 0; i < n; i++) {
    rows[i] = (uint32_t)(n - 1 - i);
  }
  for (size_t j = 0; j < M; j++) {
    memset(slow, 0, sizeof slow);
    for (size_t i = 0; i < n; i++) {
      const double v = g[i + j * n];
      slow[isnan(v) ? MRL_BED_MISSING
           : v == 2 ? MRL_BED_HOM_A1
           : v == 1 ? MRL_BED_HET
                    : MRL_BED_HOM_A2]++;
    }
    if (n % 4 != 0) { /* what follows the last person is not read */
      packed[j * stride + stride - 1] |= (uint8_t)(0xff << (2 * (n % 4)));
    }
    mrl_bed_count(count, packed + j * stride, NULL, n);
    check_same(slow, count, 4);
    mrl_bed_count(count, packed + j * stride, rows, n);
    check_same(slow, count, 4);
  }
  mrl_bed_matrix(back, packed, stride, rows, n, M, 1, &serial);
  for (size_t i = 0; i < n; i++) {
    mrl_bed_count(count, packed, NULL, n);
    const double v = g[n - 1 - i];
    CHECK(isnan(v) ? back[i] == mrl_bed_mean(count) || isnan(back[i]) : back[i] == v);
  }
  free(g);
  free(back);
  free(packed);
  free(rows);
}

/* The probability of each number of heterozygotes by logarithms of factorials. */
static double slow_hwe(double hom, double het, double other)
{
  const double n = hom + het + other, minor = 2 * hom + het;
  double total = 0, tail = 0, seen = 0;
  for (int pass = 0; pass < 2; pass++) {
    for (double h = fmod(minor, 2); h <= fmin(minor, 2 * n - minor); h += 2) {
      const double a = (minor - h) / 2, b = n - h - a;
      const double p =
          exp(h * log(2) + lgamma(n + 1) - lgamma(a + 1) - lgamma(h + 1) - lgamma(b + 1) -
              lgamma(2 * n + 1) + lgamma(minor + 1) + lgamma(2 * n - minor + 1));
      seen = h == het ? p : seen;
      total += pass == 0 ? p : 0;
      tail += pass == 1 && p <= seen * (1 + 1e-8) ? p : 0;
    }
  }
  CHECK_NEAR(total, 1, 1e-10);
  return tail;
}

static void test_hwe(void)
{
  const double cases[][3] = {{0, 1, 0},    {1, 0, 1},   {3, 5, 20},   {20, 5, 3},
                             {0, 0, 9},    {77, 50, 7}, {10, 80, 10}, {500, 1, 2},
                             {40, 30, 30}, {90, 4, 90}, {0, 190, 9}};
  for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
    const double count[4] = {cases[k][0], 3, cases[k][1], cases[k][2]};
    const double slow = slow_hwe(cases[k][0], cases[k][1], cases[k][2]);
    CHECK_NEAR(mrl_bed_hwe(count) / slow, 1, 1e-9); /* lgamma's rounding */
  }
  const double nobody[4] = {0, 7, 0, 0}, many[4] = {60000, 0, 240000, 200000};
  CHECK(mrl_bed_hwe(nobody) == 1);
  CHECK(mrl_bed_hwe(many) > 0 && mrl_bed_hwe(many) <= 1);
}

static double h_of(double g)
{
  return isnan(g) ? 0 : g - 1;
}

/* The sums of bed_sums.h by loops; kind: which of the two is the mask of missing values. */
static double slow_sum(const double *a, const double *b, const double *weights, int a_missing,
                       int b_missing, size_t n)
{
  double sum = 0;
  for (size_t i = 0; i < n; i++) {
    sum += (weights ? weights[i] : 1) * (a_missing ? isnan(a[i]) : h_of(a[i])) *
           (b_missing ? isnan(b[i]) : h_of(b[i]));
  }
  return sum;
}

typedef struct {
  double hh[LA * LA], hm[LA * LA], mh[LA * LA], mm[LA * LA], hq[LA * Q], mq[LA * Q];
} sums_memory;

static void run_sums(sums_memory *m, const uint8_t *a, const uint8_t *b, const uint32_t *rows,
                     size_t n, const double *q, const double *weights, mrl_isa isa,
                     const mrl_ctx *ctx)
{
  memset(m, 0, sizeof *m);
  mrl_bed_sums sums = {LA, b ? LB : 0, Q, {m->hh, m->hm, m->mh, m->mm}, m->hq, m->mq};
  mrl_bed_sums_work work;
  mrl_arena measure = mrl_arena_measure();
  mrl_bed_sums_carve(&work, &measure, LA, sums.lb, Q, weights != NULL, ctx);
  void *memory = malloc(measure.used);
  mrl_arena arena = mrl_arena_over(memory, measure.used);
  mrl_bed_sums_carve(&work, &arena, LA, sums.lb, Q, weights != NULL, ctx);
  CHECK(mrl_bed_sums_add(&sums, &work, a, b, mrl_bed_stride(N), rows, n, q, n, weights, isa, ctx) ==
        MRL_OK);
  free(memory);
}

/* Two of the six sums would already differ by 1 if a bit were lost: unweighted ones are equal. */
static void test_sums(double share, int cross, int weighted, int some_rows)
{
  static double a[N * LA], b[N * LB], q[N * Q], weights[N];
  static sums_memory fast, again;
  draw(a, N, LA, share, 7);
  draw(b, N, LB, share, 8);
  mrl_rng rng = mrl_rng_stream(2, MRL_RNG_TEST, 0);
  for (size_t i = 0; i < N; i++) {
    weights[i] = 0.5 + mrl_rng_uniform(&rng);
    for (size_t c = 0; c < Q; c++) {
      q[i + c * N] = mrl_rng_normal(&rng);
    }
  }
  uint8_t *pa = pack(a, N, LA), *pb = pack(b, N, LB);
  uint32_t rows[N];
  size_t n = N;
  if (some_rows) { /* every third person; the loops see the same */
    n = 0;
    for (size_t i = 0; i < N; i += 3) {
      rows[n++] = (uint32_t)i;
    }
    for (size_t j = 0; j < LA; j++) {
      for (size_t i = 0; i < n; i++) {
        a[i + j * n] = a[rows[i] + j * N];
      }
    }
    for (size_t j = 0; j < LB; j++) {
      for (size_t i = 0; i < n; i++) {
        b[i + j * n] = b[rows[i] + j * N];
      }
    }
  }
  const uint32_t *choice = some_rows ? rows : NULL;
  const double *w = weighted ? weights : NULL, *other = cross ? b : a;
  run_sums(&fast, pa, cross ? pb : NULL, choice, n, q, w, MRL_ISA_AVX512, &parallel);
  for (int isa = 0; isa < MRL_N_ISA; isa++) {
    run_sums(&again, pa, cross ? pb : NULL, choice, n, q, w, (mrl_isa)isa, &serial);
    for (size_t k = 0; !weighted && k < LA * LA; k++) {
      CHECK(fast.hh[k] == again.hh[k] && fast.hm[k] == again.hm[k] && fast.mh[k] == again.mh[k] &&
            fast.mm[k] == again.mm[k]);
    }
  }
  const double tol = weighted ? 1e-10 : 0; /* sums of a thousand numbers of order 1 */
  for (size_t i = 0; i < LA; i++) {
    for (size_t j = 0; j < (cross ? LB : LA); j++) {
      const double *gi = a + i * n, *gj = other + j * n;
      CHECK_NEAR(fast.hh[i + j * LA], slow_sum(gi, gj, w, 0, 0, n), tol);
      CHECK_NEAR(fast.hm[i + j * LA], slow_sum(gi, gj, w, 0, 1, n), tol);
      CHECK_NEAR(fast.mm[i + j * LA], slow_sum(gi, gj, w, 1, 1, n), tol);
      if (cross) {
        CHECK_NEAR(fast.mh[i + j * LA], slow_sum(gi, gj, w, 1, 0, n), tol);
      }
    }
    for (size_t c = 0; c < Q; c++) {
      double sum_h = 0, sum_m = 0;
      for (size_t r = 0; r < n; r++) {
        const double weight = (w ? w[r] : 1) * q[r + c * n];
        sum_h += weight * h_of(a[r + i * n]);
        sum_m += weight * isnan(a[r + i * n]);
      }
      CHECK_NEAR(fast.hq[i + c * LA], sum_h, 1e-10);
      CHECK_NEAR(fast.mq[i + c * LA], sum_m, 1e-10);
    }
  }
  free(pa);
  free(pb);
}

/* Centred crossproducts against those of imputed columns. */
static void test_centre(void)
{
  static double a[N * LA], full[N * LA], out[LA * LA];
  static sums_memory m;
  double fill[LA], zero[Q * N] = {0};
  draw(a, N, LA, 0.2, 9);
  uint8_t *packed = pack(a, N, LA);
  run_sums(&m, packed, NULL, NULL, N, zero, NULL, MRL_ISA_AVX2, &serial);
  for (size_t j = 0; j < LA; j++) {
    double count[4];
    mrl_bed_count(count, packed + j * mrl_bed_stride(N), NULL, N);
    fill[j] = mrl_bed_mean(count) - 1;
  }
  mrl_bed_matrix(full, packed, mrl_bed_stride(N), NULL, N, LA, 1, &serial);
  const mrl_bed_gram gram = {m.hh, m.hm, NULL, m.mm};
  mrl_bed_centre(out, LA, &gram, LA, LA, fill, fill, fill, fill, N);
  for (size_t i = 0; i < LA; i++) {
    for (size_t j = 0; j < LA; j++) {
      double sum = 0;
      for (size_t r = 0; r < N; r++) {
        sum += (full[r + i * N] - 1 - fill[i]) * (full[r + j * N] - 1 - fill[j]);
      }
      CHECK_NEAR(out[i + j * LA], sum, 1e-9);
    }
  }
  free(packed);
}

int main(void)
{
  const size_t sizes[] = {1, 2, 3, 4, 5, 31, 32, 33, 63, 64, 65, 127, 511, 513};
  for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
    test_decode(sizes[k]);
  }
  test_hwe();
  for (int k = 0; k < 16; k++) {
    test_sums(k & 1 ? 0.05 : 0, k >> 1 & 1, k >> 2 & 1, k >> 3 & 1);
  }
  test_centre();
  double odd = 1.5;
  uint8_t byte;
  CHECK(mrl_bed_encode(&byte, &odd, 1, 1, &serial) == MRL_BAD_ARGUMENT);
  return CTEST_DONE();
}
