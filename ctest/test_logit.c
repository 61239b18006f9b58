#include "ctest.h"

#include <stdlib.h>
#include <string.h>

#include "logit.h"
#include "prob.h"
#include "rng.h"

typedef struct {
  mrl_logit_data data;
  mrl_logit_fit fit;
  double x[2][400], y[400], weights[400], offset[400], coef[3], vcov[9];
  const double *col[2];
} fixture;

static void fixture_open(fixture *f, size_t n, size_t p)
{
  memset(f, 0, sizeof *f);
  mrl_rng rng = mrl_rng_stream(1, MRL_RNG_TEST, n + p);
  for (size_t i = 0; i < n; i++) {
    f->x[0][i] = 100 + mrl_rng_normal(&rng);
    f->x[1][i] = mrl_rng_normal(&rng);
    f->weights[i] = mrl_rng_uniform(&rng);
    f->offset[i] = mrl_rng_normal(&rng);
    f->y[i] = mrl_rng_uniform(&rng) < mrl_logistic(f->x[0][i] - 100 - 0.5 * f->x[1][i]);
  }
  f->col[0] = f->x[0];
  f->col[1] = f->x[1];
  const mrl_logit_data data = {f->col, f->y, NULL, NULL, n, p, 1};
  f->data = data;
  f->fit.coef = f->coef;
  f->fit.vcov = f->vcov;
}

static mrl_status run(fixture *f, int n_threads)
{
  const mrl_ctx ctx = {n_threads, NULL, NULL};
  mrl_logit_work work;
  mrl_arena arena = mrl_arena_measure();
  mrl_logit_carve(&work, &f->data, &ctx, &arena);
  const size_t size = arena.used;
  void *memory = malloc(size);
  arena = mrl_arena_over(memory, size);
  mrl_logit_carve(&work, &f->data, &ctx, &arena);
  const mrl_status status = mrl_logit_run(&f->fit, &f->data, &work, MRL_ISA_AVX512, &ctx);
  free(memory);
  return status;
}

/* Without columns the constant is the log-odds of the mean, its variance 1 / (n p (1 - p)). */
static void test_constant(void)
{
  fixture f;
  fixture_open(&f, 400, 0);
  CHECK(run(&f, 1) == MRL_OK);
  double mean = 0;
  for (size_t i = 0; i < 400; i++) {
    mean += f.y[i] / 400;
  }
  CHECK_NEAR(f.coef[0], log(mean / (1 - mean)), 1e-12);
  CHECK_NEAR(f.vcov[0], 1 / (400 * mean * (1 - mean)), 1e-12);
}

/* At the estimate the score of every column is zero, with weights and an offset too. */
static void test_score(void)
{
  fixture f;
  fixture_open(&f, 400, 2);
  f.data.weights = f.weights;
  f.data.offset = f.offset;
  CHECK(run(&f, 1) == MRL_OK);
  double score[3] = {0};
  for (size_t i = 0; i < 400; i++) {
    const double eta = f.coef[0] + f.coef[1] * f.x[0][i] + f.coef[2] * f.x[1][i] + f.offset[i];
    const double left = f.weights[i] * (f.y[i] - mrl_logistic(eta));
    score[0] += left;
    score[1] += left * (f.x[0][i] - 100);
    score[2] += left * f.x[1][i];
  }
  for (size_t j = 0; j < 3; j++) {
    CHECK_NEAR(score[j], 0, 1e-9); /* 400 terms of rounding 1e-16 times x / sd = 100 */
  }
}

/* Whole weights are copies of rows; a weight of 0 is no row. */
static void test_weights(void)
{
  fixture f, copies;
  fixture_open(&f, 200, 2);
  fixture_open(&copies, 200, 2);
  size_t m = 0;
  for (size_t i = 0; i < 200; i++) {
    f.weights[i] = (double)(i % 3);
    for (size_t c = 0; c < i % 3; c++, m++) {
      copies.x[0][m] = f.x[0][i];
      copies.x[1][m] = f.x[1][i];
      copies.y[m] = f.y[i];
    }
  }
  f.data.weights = f.weights;
  copies.data.n = m;
  CHECK(run(&f, 1) == MRL_OK);
  CHECK(run(&copies, 1) == MRL_OK);
  for (size_t j = 0; j < 9; j++) {
    CHECK_NEAR(f.vcov[j], copies.vcov[j], 1e-9 * (1 + fabs(f.vcov[j])));
  }
  CHECK_NEAR(f.coef[1], copies.coef[1], 1e-10);
}

static void test_separated(void)
{
  fixture f;
  fixture_open(&f, 100, 1);
  for (size_t i = 0; i < 100; i++) {
    f.y[i] = f.x[0][i] > 100;
  }
  CHECK(run(&f, 1) == MRL_NO_CONVERGE);
  CHECK(f.fit.separated);
  /* Quasi-complete: one group has ones only, the other both. */
  fixture_open(&f, 100, 2);
  for (size_t i = 0; i < 100; i++) {
    f.x[0][i] = i % 4 == 0;
    f.y[i] = i % 4 == 0 ? 1 : f.y[i];
  }
  CHECK(run(&f, 1) == MRL_NO_CONVERGE);
  CHECK(f.fit.separated);
  /* An outcome without variation. */
  fixture_open(&f, 100, 1);
  memset(f.y, 0, sizeof f.y);
  CHECK(run(&f, 1) == MRL_NO_CONVERGE);
  CHECK(f.fit.separated);
  /* One row on the wrong side is enough for an estimate, however large. */
  fixture_open(&f, 100, 1);
  for (size_t i = 0; i < 100; i++) {
    f.x[0][i] = (double)i;
    f.y[i] = (i > 50) != (i == 50 || i == 51);
  }
  CHECK(run(&f, 1) == MRL_OK);
  CHECK(!f.fit.separated);
}

static void test_degenerate(void)
{
  fixture f;
  fixture_open(&f, 100, 2);
  memcpy(f.x[1], f.x[0], sizeof f.x[0]);
  CHECK(run(&f, 1) == MRL_SINGULAR);
  fixture_open(&f, 100, 2);
  memset(f.weights, 0, sizeof f.weights);
  f.data.weights = f.weights;
  CHECK(run(&f, 1) == MRL_TOO_FEW);
  fixture_open(&f, 100, 2);
  f.x[0][3] = 1e300;
  CHECK(run(&f, 1) == MRL_NOT_FINITE);
}

static void test_threads(void)
{
  fixture a, b;
  fixture_open(&a, 400, 2);
  fixture_open(&b, 400, 2);
  CHECK(run(&a, 1) == MRL_OK);
  CHECK(run(&b, 3) == MRL_OK);
  CHECK(memcmp(a.coef, b.coef, sizeof a.coef) == 0);
  CHECK(memcmp(a.vcov, b.vcov, sizeof a.vcov) == 0);
}

int main(void)
{
  test_constant();
  test_score();
  test_weights();
  test_separated();
  test_degenerate();
  test_threads();
  return CTEST_DONE();
}
