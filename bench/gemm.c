/*
 * Our matrix product against a BLAS library, which is loaded at run time:
 *
 *   gcc -std=gnu11 -O2 -fopenmp -I src/core bench/gemm.c src/core/gemm.c -ldl -lm -o bench_gemm
 *   ./bench_gemm /path/to/libopenblas.so.0 [portable | avx2 | avx512]
 *
 * (OPENBLAS_CORETYPE chooses the kernels of OpenBLAS where it does not know the processor.)
 * Both sides alternate; each number is the median of five timings of as many calls as take 20 ms.
 */
#define _GNU_SOURCE
#include "gemm.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifdef __clang__
#define COMPILER "clang " __clang_version__
#else
#define COMPILER "gcc " __VERSION__
#endif

enum { TIMINGS = 5 };

typedef void dgemm_fn(const char *, const char *, const int *, const int *, const int *,
                      const double *, const double *, const int *, const double *, const int *,
                      const double *, double *, const int *);
typedef void sgemm_fn(const char *, const char *, const int *, const int *, const int *,
                      const float *, const float *, const int *, const float *, const int *,
                      const float *, float *, const int *);
typedef void dsyrk_fn(const char *, const char *, const int *, const int *, const double *,
                      const double *, const int *, const double *, double *, const int *);

typedef struct {
  dgemm_fn *dgemm;
  sgemm_fn *sgemm;
  dsyrk_fn *dsyrk;
  void (*set_threads)(int); /* NULL if the library has no threads */
} blas;

typedef enum { DOUBLE, FLOAT, GRAM } kind;

/* c (m, n) = op(a) op(b) over k; GRAM: c (m, m) from k rows of m columns. */
typedef struct {
  const char *name;
  kind kind;
  mrl_trans ta, tb;
  size_t m, n, k;
} shape;

static const shape shapes[] = {
    {"double, square", DOUBLE, MRL_NO_TRANS, MRL_NO_TRANS, 1024, 1024, 1024},
    {"float, square", FLOAT, MRL_NO_TRANS, MRL_NO_TRANS, 1024, 1024, 1024},
    {"crossproduct (syrk)", GRAM, MRL_TRANS, MRL_NO_TRANS, 100, 100, 100000},
    {"crossproduct (syrk)", GRAM, MRL_TRANS, MRL_NO_TRANS, 1000, 1000, 10000},
    {"float, layer 20 -> 128, forward", FLOAT, MRL_NO_TRANS, MRL_NO_TRANS, 10000, 128, 20},
    {"float, layer 20 -> 128, d input", FLOAT, MRL_NO_TRANS, MRL_TRANS, 10000, 20, 128},
    {"float, layer 20 -> 128, d weights", FLOAT, MRL_TRANS, MRL_NO_TRANS, 20, 128, 10000},
    {"float, layer 128 -> 64, forward", FLOAT, MRL_NO_TRANS, MRL_NO_TRANS, 256, 64, 128},
    {"float, layer 128 -> 64, d input", FLOAT, MRL_NO_TRANS, MRL_TRANS, 256, 128, 64},
    {"float, layer 128 -> 64, d weights", FLOAT, MRL_TRANS, MRL_NO_TRANS, 128, 64, 256},
    {"double, layer 128 -> 64, forward", DOUBLE, MRL_NO_TRANS, MRL_NO_TRANS, 256, 64, 128},
    {"float, layer 32 -> 1, forward", FLOAT, MRL_NO_TRANS, MRL_NO_TRANS, 256, 1, 32},
};

/* Everything that one shape needs. */
typedef struct {
  const shape *s;
  void *a, *b, *c, *scratch;
  const double **col;
  double *shift, *scale;
  mrl_ctx ctx;
  mrl_isa isa;
} job;

static double now(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void *numbers(size_t count, int is_float)
{
  void *x = malloc(count * sizeof(double));
  if (!x) {
    abort();
  }
  for (size_t i = 0; i < count; i++) {
    const double value = (double)((i * 2654435761u) % 1000) / 1000 - 0.5;
    if (is_float) {
      ((float *)x)[i] = (float)value;
    } else {
      ((double *)x)[i] = value;
    }
  }
  return x;
}

static size_t max_size(size_t a, size_t b)
{
  return a > b ? a : b;
}

static job job_new(const shape *s, int n_threads, mrl_isa isa)
{
  job j = {.s = s, .ctx = {n_threads, NULL, NULL}, .isa = isa};
  const int is_float = s->kind == FLOAT;
  j.a = numbers(s->m * s->k, is_float);
  j.b = numbers(s->k * s->n, is_float);
  j.c = numbers(s->m * s->n, is_float);
  j.col = malloc(s->m * sizeof(*j.col));
  j.shift = calloc(s->m, sizeof(double));
  j.scale = calloc(s->m, sizeof(double));
  for (size_t i = 0; i < s->m; i++) {
    j.col[i] = s->kind == GRAM ? (const double *)j.a + i * s->k : NULL;
    j.scale[i] = 1;
  }
  j.scratch = malloc(max_size(mrl_gram_scratch(s->m, &j.ctx),
                              max_size(mrl_gemm_d_scratch(s->m, s->n, s->k, &j.ctx),
                                       mrl_gemm_f_scratch(s->m, s->n, s->k, &j.ctx))));
  return j;
}

static void job_free(job *j)
{
  free(j->a);
  free(j->b);
  free(j->c);
  free(j->scratch);
  free((void *)j->col);
  free(j->shift);
  free(j->scale);
}

static void run_ours(const job *j)
{
  const shape *s = j->s;
  const size_t lda = s->ta ? s->k : s->m, ldb = s->tb ? s->n : s->k;
  if (s->kind == GRAM) {
    const mrl_columns x = {j->col, j->shift, j->scale, NULL, s->k, s->m};
    mrl_gram(j->c, &x, 0, s->k, 0, j->scratch, j->isa, &j->ctx);
  } else if (s->kind == DOUBLE) {
    mrl_gemm_d(j->c, s->m, j->a, lda, s->ta, j->b, ldb, s->tb, s->m, s->n, s->k, 0, j->scratch,
               j->isa, &j->ctx);
  } else {
    mrl_gemm_f(j->c, s->m, j->a, lda, s->ta, j->b, ldb, s->tb, s->m, s->n, s->k, 0, j->scratch,
               j->isa, &j->ctx);
  }
}

static void run_blas(const job *j, const blas *lib)
{
  const shape *s = j->s;
  const int m = (int)s->m, n = (int)s->n, k = (int)s->k;
  const int lda = s->ta ? k : m, ldb = s->tb ? n : k;
  const char *ta = s->ta ? "T" : "N", *tb = s->tb ? "T" : "N";
  const double one = 1, zero = 0;
  const float one_f = 1, zero_f = 0;
  if (s->kind == GRAM) {
    lib->dsyrk("U", "T", &m, &k, &one, j->a, &k, &zero, j->c, &m);
  } else if (s->kind == DOUBLE) {
    lib->dgemm(ta, tb, &m, &n, &k, &one, j->a, &lda, j->b, &ldb, &zero, j->c, &m);
  } else {
    lib->sgemm(ta, tb, &m, &n, &k, &one_f, j->a, &lda, j->b, &ldb, &zero_f, j->c, &m);
  }
}

/* Seconds for one call, over `calls` of them. lib NULL: ours. */
static double time_calls(const job *j, const blas *lib, int calls)
{
  const double start = now();
  for (int i = 0; i < calls; i++) {
    if (lib) {
      run_blas(j, lib);
    } else {
      run_ours(j);
    }
  }
  return (now() - start) / calls;
}

static int ascending(const void *a, const void *b)
{
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static void measure(const shape *s, const blas *lib, int n_threads, mrl_isa isa)
{
  job j = job_new(s, n_threads, isa);
  double ours[TIMINGS], theirs[TIMINGS];
  time_calls(&j, NULL, 1);
  time_calls(&j, lib, 1);
  const int calls = 1 + (int)(0.02 / time_calls(&j, NULL, 1));
  for (int i = 0; i < TIMINGS; i++) {
    ours[i] = time_calls(&j, NULL, calls);
    theirs[i] = time_calls(&j, lib, calls);
  }
  qsort(ours, TIMINGS, sizeof(double), ascending);
  qsort(theirs, TIMINGS, sizeof(double), ascending);
  const double us = ours[TIMINGS / 2], them = theirs[TIMINGS / 2];
  /* A symmetric result needs half of the products. */
  const double flops = (s->kind == GRAM ? 1.0 : 2.0) * (double)s->m * (double)s->n * (double)s->k;
  printf("| %s | %zu x %zu x %zu | %d | %.1f | %.1f | %.0f | %.0f | %.2f |\n", s->name, s->m, s->n,
         s->k, n_threads, us * 1e6, them * 1e6, flops / us * 1e-9, flops / them * 1e-9, them / us);
  fflush(stdout);
  job_free(&j);
}

/* The processor's name as Linux gives it. */
static void print_cpu(void)
{
  char line[256];
  FILE *file = fopen("/proc/cpuinfo", "r");
  while (file && fgets(line, sizeof(line), file)) {
    if (strncmp(line, "model name", 10) == 0) {
      printf("- CPU:%s", strchr(line, ':') + 1);
      break;
    }
  }
  if (file) {
    fclose(file);
  }
}

static int load(blas *lib, const char *path)
{
  void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!handle) {
    fprintf(stderr, "%s\n", dlerror());
    return 0;
  }
  *(void **)&lib->dgemm = dlsym(handle, "dgemm_");
  *(void **)&lib->sgemm = dlsym(handle, "sgemm_");
  *(void **)&lib->dsyrk = dlsym(handle, "dsyrk_");
  *(void **)&lib->set_threads = dlsym(handle, "openblas_set_num_threads");
  const char *(*config)(void) = NULL;
  *(void **)&config = dlsym(handle, "openblas_get_config");
  printf("- peer: %s\n", config ? config() : "a BLAS that does not name itself");
  return lib->dgemm && lib->sgemm && lib->dsyrk;
}

/* The instruction set of that name, if this CPU has it; else the best. */
static mrl_isa isa_named(const char *name)
{
  for (int isa = 0; isa < MRL_N_ISA; isa++) {
    if (strcmp(name, mrl_isa_name((mrl_isa)isa)) == 0) {
      return mrl_isa_usable((mrl_isa)isa);
    }
  }
  return mrl_isa_best();
}

int main(int argc, char **argv)
{
  blas lib;
  if (argc < 2) {
    fprintf(stderr, "usage: %s <BLAS library> [instruction set]\n", argv[0]);
    return 2;
  }
  const mrl_isa isa = isa_named(argc > 2 ? argv[2] : "");
  print_cpu();
  printf("- ours: %s kernels, compiled at -O2 by %s\n", mrl_isa_name(isa), COMPILER);
  if (!load(&lib, argv[1])) {
    return 1;
  }
  printf("\n| product | shape (m x n x k) | threads | ours, us | peer, us | ours, GFLOP/s | peer, "
         "GFLOP/s | peer / ours |\n| --- | --- | --: | --: | --: | --: | --: | --: |\n");
  for (int n_threads = 1; n_threads <= 2; n_threads++) {
    if (lib.set_threads) {
      lib.set_threads(n_threads);
    }
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
      measure(&shapes[i], &lib, n_threads, isa);
    }
  }
  return 0;
}
