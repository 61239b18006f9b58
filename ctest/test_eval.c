/* Evaluation of curves: cases worked out by hand, a slow oracle, what is absent, sizes. */
#include "ctest.h"

#include <stdlib.h>

#include "eval.h"
#include "rng.h"

static const mrl_ctx ctx = {1, NULL, NULL};

static mrl_eval_result evaluate(const mrl_eval_curve *curve)
{
  mrl_eval_result result;
  CHECK(mrl_eval_curve_run(&result, curve, &ctx) == MRL_OK);
  return result;
}

/* Errors 1, 0, -2, 0; the truth is below, on, above and in the intervals. All numbers are exact. */
static void test_by_hand(void)
{
  const double x[] = {0, 1, 3, 4}, truth[] = {0, 2, 5, 1}, estimate[] = {1, 2, 3, 1};
  const double low[] = {.5, 2, 2, 0}, high[] = {1.5, 3, 4, 2};
  const double wide_low[] = {0, 1, 1, -1}, wide_high[] = {2, 4, 5, 3};
  /* 2 of 4 points are at or below the first quantile, all at or below the second. */
  const double quantile[] = {0, 1, 4, 1, 1, 2, 5, 2}, level[] = {.3, .9};
  mrl_eval_curve curve = {.n = 4,
                          .estimate = estimate,
                          .truth = truth,
                          .x = x,
                          .low = low,
                          .high = high,
                          .alpha = .5,
                          .quantile = quantile,
                          .level = level,
                          .n_level = 2};
  mrl_eval_result r = evaluate(&curve);
  CHECK(r.mse == 5. / 4);
  CHECK(r.bias == -1. / 4);
  CHECK(r.coverage == 2. / 4);
  CHECK(r.width == 6. / 4);
  CHECK(r.interval_score == (6 + 4 * (.5 + 1)) / 4);
  CHECK(r.inside == 0);
  CHECK_NEAR(r.derivative_error, (1. + 1 + 4) / 3, 1e-15);
  CHECK_NEAR(r.calibration_error, .15, 1e-15);
  curve.band_low = wide_low; /* it holds the truth everywhere, at two points just so */
  curve.band_high = wide_high;
  r = evaluate(&curve);
  CHECK(r.inside == 1);
  CHECK(r.coverage == 2. / 4);
  curve.low = curve.high = NULL;
  r = evaluate(&curve);
  CHECK(r.inside == 1 && isnan(r.coverage));
}

static void test_absent(void)
{
  const double truth[] = {1, 2}, estimate[] = {1, 2}, x[] = {3, 3}, limit[] = {-INFINITY, INFINITY};
  mrl_eval_curve curve = {.n = 2, .estimate = estimate, .truth = truth, .alpha = .05};
  mrl_eval_result r = evaluate(&curve);
  CHECK(r.mse == 0 && r.bias == 0 && r.inside == -1);
  CHECK(isnan(r.coverage) && isnan(r.width) && isnan(r.interval_score));
  CHECK(isnan(r.derivative_error) && isnan(r.calibration_error));
  curve.x = x; /* no slope between equal exposures */
  CHECK(isnan(evaluate(&curve).derivative_error));
  curve.n = 1; /* nor of one */
  CHECK(isnan(evaluate(&curve).derivative_error));
  curve.low = limit; /* infinite limits cover at infinite cost */
  curve.high = limit + 1;
  r = evaluate(&curve);
  CHECK(r.coverage == 1 && r.inside == 1 && isinf(r.width) && isinf(r.interval_score));
}

static void test_overflow(void)
{
  const double truth[] = {1e308, -1e308}, estimate[] = {-1e308, 1e308};
  const mrl_eval_curve curve = {.n = 2, .estimate = estimate, .truth = truth, .alpha = .05};
  mrl_eval_result r;
  CHECK(mrl_eval_curve_run(&r, &curve, &ctx) == MRL_NOT_FINITE);
}

/* One loop over the points for each metric, without blocks. */
static void check_slow(const mrl_eval_curve *c)
{
  const mrl_eval_result r = evaluate(c);
  long double square = 0, error = 0, covered = 0, width = 0, score = 0, slope = 0, off = 0;
  for (size_t i = 0; i < c->n; i++) {
    const double d = c->estimate[i] - c->truth[i];
    square += d * d;
    error += d;
    width += c->high[i] - c->low[i];
    score += c->high[i] - c->low[i];
    if (c->truth[i] < c->low[i]) {
      score += 2 / c->alpha * (c->low[i] - c->truth[i]);
    } else if (c->truth[i] > c->high[i]) {
      score += 2 / c->alpha * (c->truth[i] - c->high[i]);
    } else {
      covered += 1;
    }
  }
  for (size_t i = 1; i < c->n; i++) {
    const double step = c->x[i] - c->x[i - 1];
    const double d = (c->estimate[i] - c->estimate[i - 1]) / step;
    const double t = (c->truth[i] - c->truth[i - 1]) / step;
    slope += (d - t) * (d - t);
  }
  for (size_t k = 0; k < c->n_level; k++) {
    double below = 0;
    for (size_t i = 0; i < c->n; i++) {
      below += c->truth[i] <= c->quantile[k * c->n + i];
    }
    off += fabs(below / (double)c->n - c->level[k]);
  }
  /* Sums of n terms of one size lose at most n eps; blocks far less. */
  const double n = (double)c->n, tol = 1e-12;
  CHECK_NEAR(r.mse, (double)square / n, tol);
  CHECK_NEAR(r.bias, (double)error / n, tol);
  CHECK_NEAR(r.coverage, (double)covered / n, 0);
  CHECK_NEAR(r.width, (double)width / n, tol);
  CHECK_NEAR(r.interval_score, (double)score / n, tol * 100);
  CHECK_NEAR(r.derivative_error / ((double)slope / (n - 1)), 1, 1e-9); /* slopes cancel */
  CHECK_NEAR(r.calibration_error, (double)off / (double)c->n_level, tol);
}

/* Sizes about the blocks of 65536. */
static void test_slow(void)
{
  const size_t sizes[] = {2, 7, 2000, 65535, 65536, 65537, 200001};
  const double level[] = {.1, .5, .9};
  for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
    const size_t n = sizes[s];
    double *memory = malloc(8 * n * sizeof *memory), *const x = memory, *const truth = x + n;
    double *const estimate = x + 2 * n, *const low = x + 3 * n, *const high = x + 4 * n;
    double *const quantile = x + 5 * n;
    mrl_rng rng = mrl_rng_stream(3, MRL_RNG_TEST, s);
    mrl_rng_fill_normal(&rng, truth, 7 * n);
    for (size_t i = 0; i < n; i++) {
      x[i] = (i ? x[i - 1] : 0) + .1 + mrl_rng_uniform(&rng);
      low[i] = estimate[i] - fabs(low[i]);
      high[i] = estimate[i] + fabs(high[i]);
    }
    const mrl_eval_curve curve = {.n = n,
                                  .estimate = estimate,
                                  .truth = truth,
                                  .x = x,
                                  .low = low,
                                  .high = high,
                                  .alpha = .1,
                                  .quantile = quantile,
                                  .level = level,
                                  .n_level = 3};
    check_slow(&curve);
    free(memory);
  }
}

int main(void)
{
  test_by_hand();
  test_absent();
  test_overflow();
  test_slow();
  return CTEST_DONE();
}
