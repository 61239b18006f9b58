#include <math.h>

#include "mr_boot_part.h"
#include "mr_order.h"

/*
 * Bootstrap Egger as TwoSampleMR's mr_egger_regression_bootstrap() has it: both effects drawn
 * anew, oriented so that the one on the exposure is positive; with weights w = 1 / sy^2 the slope
 * is cov(w x, w y) / var(w x) (no weighted least squares) and the intercept mean(y) - slope
 * mean(x). Estimates are the means of the draws; p-values are one-sided: the share of draws of the
 * other sign.
 */

size_t mrl_mr_egger_part_work(size_t n)
{
  return 2 * n;
}

typedef struct {
  double slope, intercept;
} line;

/* x, y (n): overwritten by w x and w y. */
static line fit_line(double *x, double *y, const double *sy, size_t n)
{
  const double x_mean = mrl_mean(x, n), y_mean = mrl_mean(y, n);
  for (size_t i = 0; i < n; i++) {
    const double w = 1 / (sy[i] * sy[i]);
    x[i] *= w;
    y[i] *= w;
  }
  const double wx_mean = mrl_mean(x, n), wy_mean = mrl_mean(y, n);
  double xx = 0, xy = 0;
  for (size_t i = 0; i < n; i++) {
    xx += (x[i] - wx_mean) * (x[i] - wx_mean);
    xy += (x[i] - wx_mean) * (y[i] - wy_mean);
  }
  const line out = {xy / xx, y_mean - xy / xx * x_mean};
  return out;
}

static line draw_line(const mrl_mr_data *d, mrl_rng rng, double *work)
{
  const size_t n = d->n;
  double *const x = work, *const y = work + n;
  mrl_rng_fill_normal(&rng, work, 2 * n);
  for (size_t i = 0; i < n; i++) {
    const double effect = d->bx[i] + d->sx[i] * x[i];
    x[i] = fabs(effect);
    y[i] = copysign(1, effect) * (d->by[i] + d->sy[i] * y[i]);
  }
  return fit_line(x, y, d->sy, n);
}

void mrl_mr_egger_draws(double *draws, mrl_mr_method method, const mrl_mr_data *data, size_t group,
                        const mrl_mr_settings *settings, size_t from, size_t to, double *work)
{
  (void)method;
  const int usable = data->n >= MRL_MR_BOOT_MIN_VARIANTS;
  for (size_t b = from; b < to; b++) {
    line drawn = {NAN, NAN};
    if (usable) {
      drawn = draw_line(data, mrl_mr_boot_stream(settings, group, b), work);
    }
    draws[b] = drawn.slope;
    draws[settings->n_boot + b] = drawn.intercept;
  }
}

static double share_of_other_sign(const double *x, size_t n, double mean)
{
  size_t count = 0;
  for (size_t i = 0; i < n; i++) {
    count += mean > 0 ? x[i] < 0 : mean < 0 ? x[i] > 0 : 0;
  }
  return (double)count / (double)n;
}

mrl_mr_estimate mrl_mr_egger_finish(mrl_mr_method method, const mrl_mr_data *data, size_t group,
                                    double *draws, const mrl_mr_settings *settings, double *work)
{
  (void)group;
  (void)method;
  (void)work;
  const size_t n_boot = settings->n_boot;
  if (data->n < MRL_MR_BOOT_MIN_VARIANTS) {
    return mrl_mr_none(MRL_MR_TOO_FEW);
  }
  mrl_mr_estimate out = mrl_mr_none(MRL_MR_FINE);
  if (n_boot < 2) {
    return out; /* the estimate itself is a mean of draws */
  }
  const double *const intercept = draws + n_boot;
  out.estimate = mrl_mean(draws, n_boot);
  if (!isfinite(out.estimate)) {
    return mrl_mr_none(MRL_MR_DEGENERATE);
  }
  out.std_error = mrl_sd(draws, n_boot);
  out.p_value = share_of_other_sign(draws, n_boot, out.estimate);
  out.intercept = mrl_mean(intercept, n_boot);
  out.intercept_se = mrl_sd(intercept, n_boot);
  out.intercept_p = share_of_other_sign(intercept, n_boot, out.intercept);
  return out;
}
