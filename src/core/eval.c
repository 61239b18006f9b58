#include "eval.h"

#include <math.h>

/* Points between two polls (well below 1 ms); partial sums of so many also keep rounding small. */
enum { BLOCK = 1 << 16 };

/* Adds the sums of the points begin .. end - 1 to sum. */
typedef void (*block_sums)(double *sum, const mrl_eval_curve *curve, size_t begin, size_t end);

static void add_errors(double sum[2], const mrl_eval_curve *c, size_t begin, size_t end)
{
  double square = 0, error = 0;
  for (size_t i = begin; i < end; i++) {
    const double d = c->estimate[i] - c->truth[i];
    square += d * d;
    error += d;
  }
  sum[0] += square;
  sum[1] += error;
}

static void add_intervals(double sum[3], const mrl_eval_curve *c, size_t begin, size_t end)
{
  double covered = 0, width = 0, score = 0;
  for (size_t i = begin; i < end; i++) {
    const double low = c->low[i], high = c->high[i], truth = c->truth[i];
    const double below = truth < low ? low - truth : 0, above = truth > high ? truth - high : 0;
    covered += below == 0 && above == 0;
    width += high - low;
    score += high - low + 2 / c->alpha * (below + above);
  }
  sum[0] += covered;
  sum[1] += width;
  sum[2] += score;
}

/* Counts the points outside the band. */
static void add_outside(double sum[1], const mrl_eval_curve *c, size_t begin, size_t end)
{
  const double *low = c->band_low ? c->band_low : c->low;
  const double *high = c->band_high ? c->band_high : c->high;
  for (size_t i = begin; i < end; i++) {
    sum[0] += !(low[i] <= c->truth[i] && c->truth[i] <= high[i]);
  }
}

/* Over the neighbours (i, i + 1): the last point has none. sum[1] counts equal x. */
static void add_slopes(double sum[2], const mrl_eval_curve *c, size_t begin, size_t end)
{
  double square = 0, ties = 0;
  for (size_t i = begin; i < end && i + 1 < c->n; i++) {
    const double step = c->x[i + 1] - c->x[i];
    const double change = (c->estimate[i + 1] - c->estimate[i]) - (c->truth[i + 1] - c->truth[i]);
    ties += !(step > 0);
    square += step > 0 ? (change / step) * (change / step) : 0;
  }
  sum[0] += square;
  sum[1] += ties;
}

static void sum_points(double *sum, block_sums add, const mrl_eval_curve *curve, const mrl_ctx *ctx)
{
  for (size_t begin = 0; begin < curve->n; begin += BLOCK) {
    add(sum, curve, begin, curve->n - begin < BLOCK ? curve->n : begin + BLOCK);
    mrl_poll(ctx);
  }
}

static double derivative_error(const mrl_eval_curve *curve, const mrl_ctx *ctx)
{
  double sum[2] = {0};
  if (!curve->x || curve->n < 2) {
    return NAN;
  }
  sum_points(sum, add_slopes, curve, ctx);
  return sum[1] > 0 ? NAN : sum[0] / (double)(curve->n - 1);
}

static double calibration_error(const mrl_eval_curve *c, const mrl_ctx *ctx)
{
  double error = 0;
  if (!c->quantile || c->n_level == 0) {
    return NAN;
  }
  for (size_t k = 0; k < c->n_level; k++) {
    const double *quantile = c->quantile + k * c->n;
    size_t below = 0;
    for (size_t i = 0; i < c->n; i++) {
      below += c->truth[i] <= quantile[i];
    }
    error += fabs((double)below / (double)c->n - c->level[k]);
    mrl_poll(ctx);
  }
  return error / (double)c->n_level;
}

mrl_status mrl_eval_curve_run(mrl_eval_result *result, const mrl_eval_curve *curve,
                              const mrl_ctx *ctx)
{
  const double n = (double)curve->n;
  double error[2] = {0}, interval[3] = {NAN, NAN, NAN}, outside[1] = {0};
  sum_points(error, add_errors, curve, ctx);
  if (curve->low) {
    interval[0] = interval[1] = interval[2] = 0;
    sum_points(interval, add_intervals, curve, ctx);
  }
  const int has_band = curve->low || curve->band_low;
  if (has_band) {
    sum_points(outside, add_outside, curve, ctx);
  }
  result->mse = error[0] / n;
  result->bias = error[1] / n;
  result->coverage = interval[0] / n;
  result->width = interval[1] / n;
  result->interval_score = interval[2] / n;
  result->inside = has_band ? outside[0] == 0 : -1;
  result->derivative_error = derivative_error(curve, ctx);
  result->calibration_error = calibration_error(curve, ctx);
  const int finite =
      isfinite(result->mse) && isfinite(result->bias) && !isinf(result->derivative_error);
  return finite ? MRL_OK : MRL_NOT_FINITE;
}
