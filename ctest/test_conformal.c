/* Conformal margins: exact ranks, scores of each kind, and the defect of published code (a level
 * that is clipped to the largest score). */
#include "conformal.h"
#include "ctest.h"
#include "rng.h"

#include <stdlib.h>

enum { N = 57 };

/* (n + 1) level in whole numbers, for levels of whole per mille. */
static void check_rank(void)
{
  int wrong = 0;
  for (size_t mille = 1; mille < 1000; mille++) {
    for (size_t n = 1; n <= 2000; n++) {
      const size_t k = ((n + 1) * mille + 999) / 1000;
      wrong += mrl_conformal_rank(n, (double)mille / 1000) != k;
    }
  }
  CHECK(wrong == 0);
  CHECK(mrl_conformal_rank(1000000 - 1, 0.9) == 900000);
}

static int compare(const void *a, const void *b)
{
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double slow_margin(const double *score, double level)
{
  double sorted[N];
  for (size_t i = 0; i < N; i++) {
    sorted[i] = score[i];
  }
  qsort(sorted, N, sizeof *sorted, compare);
  return sorted[mrl_conformal_rank(N, level) - 1];
}

static void check_scores(void)
{
  double y[N], low[N], high[N], scale[N], both[N], above[N], below[N], work[N];
  mrl_rng rng = mrl_rng_stream(1, MRL_RNG_TEST, 0);
  for (size_t i = 0; i < N; i++) {
    y[i] = mrl_rng_normal(&rng);
    low[i] = -1 + 0.1 * mrl_rng_normal(&rng);
    high[i] = 1 + 0.1 * mrl_rng_normal(&rng);
    scale[i] = 0.5 + mrl_rng_uniform(&rng);
    above[i] = (y[i] - high[i]) / scale[i];
    below[i] = (low[i] - y[i]) / scale[i];
    both[i] = fmax(above[i], below[i]);
  }
  mrl_conformal out;
  CHECK(mrl_conformal_run(&out, work, y, low, high, scale, N, 0.8, 0) == MRL_OK);
  CHECK(out.above == slow_margin(both, 0.8) && out.below == out.above);
  CHECK(mrl_conformal_run(&out, work, y, low, high, scale, N, 0.8, 1) == MRL_OK);
  CHECK(out.above == slow_margin(above, 0.9) && out.below == slow_margin(below, 0.9));
  /* A mean is an interval without width: the score is the distance from it. */
  for (size_t i = 0; i < N; i++) {
    both[i] = fabs(y[i] - low[i]);
  }
  CHECK(mrl_conformal_run(&out, work, y, low, low, NULL, N, 0.8, 0) == MRL_OK);
  CHECK(out.above == slow_margin(both, 0.8));
}

static void check_infinite(void)
{
  double y[N], zero[N] = {0}, work[N];
  mrl_conformal out;
  for (size_t i = 0; i < N; i++) {
    y[i] = (double)i;
  }
  CHECK(mrl_conformal_run(&out, work, y, zero, zero, NULL, 8, 0.9, 0) == MRL_OK);
  CHECK(out.k == 9 && isinf(out.above) && isinf(out.below));
  CHECK(mrl_conformal_run(&out, work, y, zero, zero, NULL, 9, 0.9, 0) == MRL_OK);
  CHECK(out.k == 9 && out.above == 8);
  CHECK(mrl_conformal_run(&out, work, y, zero, zero, NULL, 19, 0.9, 1) == MRL_OK);
  CHECK(out.k == 19 && out.above == 18);
  CHECK(mrl_conformal_run(&out, work, y, zero, zero, NULL, 18, 0.9, 1) == MRL_OK);
  CHECK(isinf(out.above) && isinf(out.below));
  CHECK(mrl_conformal_run(&out, work, y, zero, zero, NULL, 0, 0.9, 0) == MRL_BAD_ARGUMENT);
  CHECK(mrl_conformal_run(&out, work, y, zero, zero, NULL, 5, 1, 0) == MRL_BAD_ARGUMENT);
}

/*
 * 20,000 samples of 8 scores and a new one: the margin holds the new one with probability k / 9,
 * which with the largest score (the mutant: the level clipped to one) is .889 and not .9. Four
 * Monte Carlo errors are .009.
 */
static void check_level(void)
{
  enum { TIMES = 20000, FEW = 8 };
  double y[FEW + 1], zero[FEW] = {0}, work[FEW];
  int held[2] = {0, 0}, clipped = 0;
  for (uint64_t t = 0; t < TIMES; t++) {
    mrl_rng rng = mrl_rng_stream(2, MRL_RNG_TEST, t);
    mrl_conformal out;
    mrl_rng_fill_uniform(&rng, y, FEW + 1);
    double largest = 0;
    for (size_t i = 0; i < FEW; i++) {
      largest = fmax(largest, y[i]);
    }
    mrl_conformal_run(&out, work, y, zero, zero, NULL, FEW, 0.9, 0);
    held[0] += y[FEW] <= out.above;
    mrl_conformal_run(&out, work, y, zero, zero, NULL, FEW, 0.5, 0);
    held[1] += y[FEW] <= out.above;
    clipped += y[FEW] <= largest;
  }
  CHECK(held[0] == TIMES);
  CHECK_NEAR((double)held[1] / TIMES, 5. / 9, 4 * sqrt(0.25 / TIMES));
  CHECK_NEAR((double)clipped / TIMES, 8. / 9, 0.009);
  CHECK((double)clipped / TIMES < 0.9);
}

int main(void)
{
  check_rank();
  check_scores();
  check_infinite();
  check_level();
  return CTEST_DONE();
}
