#include <math.h>

#include "mr_boot_part.h"
#include "mr_order.h"

/*
 * SIMEX for Egger (Cook & Stefanski 1994, J. Am. Stat. Assoc. 89:1314; Bowden et al. 2016, Int. J.
 * Epidemiol. 45:1961), as the package simex is used for it: noise of lambda times their variance is
 * added to the exposure effects, turned to be positive before it, and quadratics in lambda through
 * the mean coefficients are followed back to -1, where there is no error. Standard errors: the same
 * of the mean variance less the variance of the coefficients.
 */

enum { N_LAMBDA = 4, SLOPE = 0, INTERCEPT, SLOPE_VAR, INTERCEPT_VAR, N_KEPT };
static const double lambdas[N_LAMBDA] = {0.5, 1, 1.5, 2};
/* The value at -1 of the quadratic fitted to values at 0, 0.5, ... 2 by least squares. */
static const double extrapolation[N_LAMBDA + 1] = {3, -0.4, -1.8, -1.2, 1.4};

size_t mrl_mr_simex_part_width(void)
{
  return N_LAMBDA * N_KEPT;
}

size_t mrl_mr_simex_part_work(size_t n)
{
  return 3 * n;
}

/* Weighted least squares of y on x with weights w, variances as lm() gives them. */
static void fit_line(double kept[N_KEPT], const double *x, const double *y, const double *w,
                     size_t n)
{
  double sum = 0, x_mean = 0, y_mean = 0, xx = 0, xy = 0, rss = 0;
  for (size_t i = 0; i < n; i++) {
    sum += w[i];
    x_mean += w[i] * x[i];
    y_mean += w[i] * y[i];
  }
  x_mean /= sum;
  y_mean /= sum;
  for (size_t i = 0; i < n; i++) {
    xx += w[i] * (x[i] - x_mean) * (x[i] - x_mean);
    xy += w[i] * (x[i] - x_mean) * (y[i] - y_mean);
  }
  kept[SLOPE] = xy / xx;
  kept[INTERCEPT] = y_mean - kept[SLOPE] * x_mean;
  for (size_t i = 0; i < n; i++) {
    const double r = y[i] - kept[INTERCEPT] - kept[SLOPE] * x[i];
    rss += w[i] * r * r;
  }
  const double variance = rss / (double)(n - 2);
  kept[SLOPE_VAR] = variance / xx;
  kept[INTERCEPT_VAR] = variance * (1 / sum + x_mean * x_mean / xx);
}

/* Outcome effects as alleles are turned, and weights. */
static void turn(double *y, double *w, const mrl_mr_data *d)
{
  for (size_t i = 0; i < d->n; i++) {
    y[i] = d->bx[i] < 0 ? -d->by[i] : d->by[i];
    w[i] = 1 / (d->sy[i] * d->sy[i]);
  }
}

void mrl_mr_simex_draws(double *draws, mrl_mr_method method, const mrl_mr_data *data, size_t group,
                        const mrl_mr_settings *settings, size_t from, size_t to, double *work)
{
  (void)method;
  const size_t n = data->n;
  double *const x = work, *const y = work + n, *const w = work + 2 * n;
  turn(y, w, data);
  for (size_t b = from; b < to; b++) {
    mrl_rng rng = mrl_mr_boot_stream(settings, group, b);
    for (int l = 0; l < N_LAMBDA; l++) {
      double kept[N_KEPT];
      mrl_rng_fill_normal(&rng, x, n);
      for (size_t i = 0; i < n; i++) {
        x[i] = fabs(data->bx[i]) + sqrt(lambdas[l]) * data->sx[i] * x[i];
      }
      fit_line(kept, x, y, w, n);
      for (int k = 0; k < N_KEPT; k++) {
        draws[(size_t)(l * N_KEPT + k) * settings->n_boot + b] = kept[k];
      }
    }
  }
}

/* Coefficient and its variance, extrapolated: from the fit without noise and the draws. */
static void extrapolate(double *at, double *variance, const double naive[N_KEPT],
                        const double *draws, int coefficient, size_t n_boot)
{
  *at = extrapolation[0] * naive[coefficient];
  *variance = extrapolation[0] * naive[SLOPE_VAR + coefficient];
  for (int l = 0; l < N_LAMBDA; l++) {
    const double *drawn = draws + (size_t)(l * N_KEPT + coefficient) * n_boot;
    const double *vars = drawn + (size_t)SLOPE_VAR * n_boot;
    const double sd = mrl_sd(drawn, n_boot);
    *at += extrapolation[l + 1] * mrl_mean(drawn, n_boot);
    *variance += extrapolation[l + 1] * (mrl_mean(vars, n_boot) - sd * sd);
  }
}

mrl_mr_estimate mrl_mr_simex_finish(mrl_mr_method method, const mrl_mr_data *data, size_t group,
                                    double *draws, const mrl_mr_settings *settings, double *work)
{
  (void)method;
  (void)group;
  const size_t n = data->n;
  double *const x = work, *const y = work + n, *const w = work + 2 * n;
  double naive[N_KEPT], variance, intercept_variance;
  mrl_mr_estimate out = mrl_mr_none(MRL_MR_FINE);
  if (n < MRL_MR_BOOT_MIN_VARIANTS) {
    return mrl_mr_none(MRL_MR_TOO_FEW);
  }
  if (settings->n_boot < 2) {
    return out;
  }
  turn(y, w, data);
  for (size_t i = 0; i < n; i++) {
    x[i] = fabs(data->bx[i]);
  }
  fit_line(naive, x, y, w, n);
  extrapolate(&out.estimate, &variance, naive, draws, SLOPE, settings->n_boot);
  extrapolate(&out.intercept, &intercept_variance, naive, draws, INTERCEPT, settings->n_boot);
  out.std_error = sqrt(variance);
  out.intercept_se = sqrt(intercept_variance);
  out.p_value = mrl_student_p(out.estimate / out.std_error, (double)(n - 2));
  out.intercept_p = mrl_student_p(out.intercept / out.intercept_se, (double)(n - 2));
  return out;
}
