/* The matrix product and the crossproducts against naive loops, and the promises about bits. */
#include "ctest.h"
#include "gemm.h"

#include <float.h>
#include <stdlib.h>
#include <string.h>

enum { GUARD = 64 };

/* A small generator of its own: the tests need numbers, not good randomness. */
static unsigned long long seed = 20240607;

static double uniform(void)
{
  seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
  return (double)(seed >> 11) / 4503599627370496.0 - 1; /* [-1, 1) */
}

static size_t below(size_t n)
{
  return (size_t)((uniform() + 1) / 2 * (double)n) % n;
}

static void *bytes(size_t n)
{
  void *memory = malloc(n + 1);
  if (!memory) {
    abort();
  }
  return memory;
}

/* Scratch memory with a guard behind it, deliberately not aligned. */
typedef struct {
  unsigned char *memory;
  size_t size;
} guarded;

static guarded guarded_new(size_t size)
{
  const guarded g = {bytes(size + GUARD + 8), size};
  memset(g.memory, 0xa5, size + GUARD + 8);
  return g;
}

static void *guarded_scratch(guarded g)
{
  return g.memory + 8;
}

static void guarded_free(guarded g)
{
  int ok = 1;
  for (size_t i = 0; i < GUARD; i++) {
    ok = ok && g.memory[8 + g.size + i] == 0xa5;
  }
  CHECK(ok);
  free(g.memory);
}

/* All instruction sets that this CPU has. */
static int n_isa(void)
{
  return (int)mrl_isa_best() + 1;
}

static mrl_ctx threads(int n)
{
  const mrl_ctx ctx = {n, NULL, NULL};
  return ctx;
}

#define REAL float
#define EPS FLT_EPSILON
#define FN(name) name##_f
#define SCRATCH mrl_gemm_f_scratch
#include "test_gemm_type.h"

#define REAL double
#define EPS DBL_EPSILON
#define FN(name) name##_d
#define SCRATCH mrl_gemm_d_scratch
#include "test_gemm_type.h"

/* Columns with their shift, scale and root, and room for a result. */
typedef struct {
  mrl_columns x;
  double *data, *shift, *scale, *root;
  const double **col;
} columns;

static columns columns_new(size_t n, size_t p, int weighted)
{
  columns s;
  s.data = bytes(n * p * sizeof(double));
  s.shift = bytes(p * sizeof(double));
  s.scale = bytes(p * sizeof(double));
  s.root = bytes(n * sizeof(double));
  s.col = bytes(p * sizeof(*s.col));
  for (size_t i = 0; i < n * p; i++) {
    s.data[i] = uniform();
  }
  for (size_t i = 0; i < n; i++) {
    s.root[i] = uniform() + 1.5;
  }
  for (size_t j = 0; j < p; j++) { /* scattered: the last column first */
    s.col[j] = s.data + (p - 1 - j) * n;
    s.shift[j] = uniform();
    s.scale[j] = uniform() + 2;
  }
  const mrl_columns x = {s.col, s.shift, s.scale, weighted ? s.root : NULL, n, p};
  s.x = x;
  return s;
}

static void columns_free(columns s)
{
  free(s.data);
  free(s.shift);
  free(s.scale);
  free(s.root);
  free((void *)s.col);
}

static void gram(double *g, const mrl_columns *x, size_t first, size_t count, int accumulate,
                 mrl_isa isa, int n_threads)
{
  const mrl_ctx ctx = threads(n_threads);
  const guarded s = guarded_new(mrl_gram_scratch(x->p, &ctx));
  CHECK(mrl_gram(g, x, first, count, accumulate, guarded_scratch(s), isa, &ctx) == MRL_OK);
  guarded_free(s);
}

static double entry(const mrl_columns *x, size_t i, size_t j)
{
  double value = (x->col[j][i] - x->shift[j]) * x->scale[j];
  if (x->root) {
    value *= x->root[i];
  }
  return value;
}

/* Against the naive sum in long double: |error| <= gamma_count * sum |a b|, gamma_k about k eps
 * (Higham 2002, section 3.1), twice that for the portable path, which rounds twice. */
static void check_gram(const double *g, const double *before, const mrl_columns *x, size_t first,
                       size_t count)
{
  int ok = 1;
  for (size_t j = 0; j < x->p; j++) {
    for (size_t i = 0; i < x->p; i++) {
      long double sum = before ? (long double)before[i + j * x->p] : 0, size = fabsl(sum);
      for (size_t r = first; r < first + count; r++) {
        const long double term = (long double)entry(x, r, i) * entry(x, r, j);
        sum += term;
        size += fabsl(term);
      }
      const long double bound = 2 * ((long double)count + 2) * DBL_EPSILON * size;
      ok = ok && fabsl((long double)g[i + j * x->p] - sum) <= bound;
      ok = ok && g[i + j * x->p] == g[j + i * x->p];
    }
  }
  CHECK(ok);
}

static void test_gram_naive(void)
{
  static const size_t widths[] = {1, 2, 3, 4, 5, 7, 8, 11, 12, 13, 23, 24, 25, 33, 50, 131};
  for (size_t w = 0; w < sizeof(widths) / sizeof(widths[0]); w++) {
    const size_t p = widths[w], n = 300 + below(300);
    const columns s = columns_new(n, p, w % 2 == 0);
    double *g = bytes((p * p + 1) * sizeof(double)), *before = bytes(p * p * sizeof(double));
    for (int isa = 0; isa < n_isa(); isa++) {
      const size_t first = below(n), count = below(n - first + 1);
      g[p * p] = 12345;
      gram(g, &s.x, first, count, 0, (mrl_isa)isa, 1 + isa);
      check_gram(g, NULL, &s.x, first, count);
      memcpy(before, g, p * p * sizeof(double));
      gram(g, &s.x, 0, n, 1, (mrl_isa)isa, 1);
      check_gram(g, before, &s.x, 0, n);
      CHECK(g[p * p] == 12345);
    }
    free(before);
    free(g);
    columns_free(s);
  }
}

/* One call with one thread, against any other way to come to the same crossproducts. The
 * larger ones are worth three threads on every path; with p = 1500 one block of rows is more than
 * one region on the portable path. */
static void test_gram_bits(void)
{
  static const size_t widths[] = {3, 29, 100, 1500};
  static const size_t heights[] = {1100, 80000, 10000, 300};
  for (size_t w = 0; w < 4; w++) {
    const size_t p = widths[w], n = heights[w], size = p * p * sizeof(double);
    const columns s = columns_new(n, p, 1);
    double *g = bytes(size), *other = bytes(size);
    for (int isa = 0; isa < n_isa(); isa++) {
      gram(other, &s.x, 0, n, 0, (mrl_isa)isa, 1);
      if (isa != MRL_ISA_AVX512) { /* avx512 is held against avx2, which is still in g */
        memcpy(g, other, size);
      }
      CHECK(memcmp(g, other, size) == 0);
      for (int t = 2; t <= 3; t++) {
        gram(other, &s.x, 0, n, 0, (mrl_isa)isa, t);
        CHECK(memcmp(g, other, size) == 0);
      }
      for (int split = 0; split < 4; split++) {
        const size_t at = split == 0 ? 256 : below(n + 1);
        gram(other, &s.x, 0, at, 0, (mrl_isa)isa, 1);
        gram(other, &s.x, at, n - at, 1, (mrl_isa)isa, 2);
        CHECK(memcmp(g, other, size) == 0);
      }
    }
    free(other);
    free(g);
    columns_free(s);
  }
}

static void test_gram_edges(void)
{
  double g[4] = {1, 2, 2, 3};
  const columns s = columns_new(5, 2, 0);
  const mrl_ctx ctx = threads(2);
  gram(g, &s.x, 5, 0, 1, mrl_isa_best(), 2);
  CHECK(g[0] == 1 && g[1] == 2 && g[3] == 3);
  CHECK(mrl_gram(g, &s.x, 3, 3, 0, g, mrl_isa_best(), &ctx) == MRL_BAD_ARGUMENT);
  CHECK(mrl_gram(g, &s.x, 0, 5, 0, NULL, mrl_isa_best(), &ctx) == MRL_NO_MEMORY);
  gram(g, &s.x, 2, 0, 0, mrl_isa_best(), 2);
  CHECK(g[0] == 0 && g[1] == 0 && g[2] == 0 && g[3] == 0);
  s.data[0] = NAN; /* the second column */
  gram(g, &s.x, 0, 5, 0, mrl_isa_best(), 1);
  CHECK(isfinite(g[0]) && isnan(g[1]) && isnan(g[2]) && isnan(g[3]));
  columns_free(s);
}

/* Columns that fill a group of four and those left over are packed by different code; the same
 * column among both must give the same bits, which are those of (x - shift) * scale * root. */
static void test_gram_rounding(void)
{
  const size_t n = 500, p = 6;
  const columns s = columns_new(n, p, 1);
  double g[36], sum = 0;
  s.col[4] = s.col[1];
  s.shift[4] = s.shift[1];
  s.scale[4] = s.scale[1];
  for (size_t i = 0; i < n; i++) {
    const double value = entry(&s.x, i, 1);
    sum = fma(value, value, sum);
  }
  for (int isa = 0; isa < n_isa(); isa++) {
    gram(g, &s.x, 0, n, 0, (mrl_isa)isa, 1);
    CHECK(g[1 + 1 * p] == g[4 + 4 * p] && g[1 + 1 * p] == g[1 + 4 * p]);
    CHECK(isa == MRL_ISA_PORTABLE || g[1 + 1 * p] == sum);
  }
  columns_free(s);
}

static int polls;

static void count_poll(void *data)
{
  (void)data;
  polls++;
}

/* 1.2e9 flops each on the portable path: more than one region of 5e8 for each thread, with a poll
 * in between, and the same bits as from the larger regions of three threads. */
static void test_polls(void)
{
  const mrl_ctx ctx = {1, count_poll, NULL};
  problem_d x = problem_new_d(700, 1100, 780, MRL_NO_TRANS, MRL_NO_TRANS, 0);
  const size_t size = x.m * x.n * sizeof(double);
  double *c = bytes(size), *g = bytes(1000 * 1000 * sizeof(double)),
         *h = bytes(sizeof(double[1000][1000]));
  polls = 0;
  void *scratch = bytes(mrl_gemm_d_scratch(x.m, x.n, x.k, &ctx));
  CHECK(mrl_gemm_d(c, x.m, x.a, x.lda, x.ta, x.b, x.ldb, x.tb, x.m, x.n, x.k, 0, scratch,
                   MRL_ISA_PORTABLE, &ctx) == MRL_OK);
  CHECK(polls >= 2);
  multiply_d(&x, 0, MRL_ISA_PORTABLE, 3);
  CHECK(memcmp(c, x.c, size) == 0);
  free(scratch);
  free(c);
  problem_free_d(&x);

  const columns s = columns_new(1200, 1000, 1);
  polls = 0;
  scratch = bytes(mrl_gram_scratch(1000, &ctx));
  CHECK(mrl_gram(g, &s.x, 0, 1200, 0, scratch, MRL_ISA_PORTABLE, &ctx) == MRL_OK);
  CHECK(polls >= 2);
  gram(h, &s.x, 0, 1200, 0, MRL_ISA_PORTABLE, 3);
  CHECK(memcmp(g, h, sizeof(double[1000][1000])) == 0);
  free(scratch);
  free(g);
  free(h);
  columns_free(s);
}

int main(void)
{
  CHECK(mrl_isa_usable(MRL_ISA_AVX512) == mrl_isa_best());
  CHECK(mrl_isa_usable(MRL_ISA_PORTABLE) == MRL_ISA_PORTABLE);
  CHECK(strcmp(mrl_isa_name(MRL_ISA_AVX2), "avx2") == 0);
  test_small_f();
  test_small_d();
  test_random_f();
  test_random_d();
  test_bits_f();
  test_bits_d();
  test_not_finite_f();
  test_not_finite_d();
  test_errors_f();
  test_errors_d();
  test_gram_naive();
  test_gram_bits();
  test_gram_edges();
  test_gram_rounding();
  test_polls();
  return CTEST_DONE();
}
