#include "mr_linear.h"
#include "mr_mm.h"
#include "mr_order.h"

#include <math.h>

/* Weighted least squares with residual standard error sigma; se_* as lm() gives them. */
typedef struct {
  double slope, slope_se, intercept, intercept_se;
  double sigma, rss;
} line;

/* Penalised weights are multiplied by min(1, 100 p), Burgess et al. (2016, arXiv 1606.03729). */
static const double penalty = 100;

static double square(double x)
{
  return x * x;
}

/* Second-order weights: 1 / (bx^2 V(ratio)). A variant with bx = 0 has no weight. */
static double delta_weight(const mrl_mr_data *d, size_t i, double psi)
{
  const double ratio = d->by[i] / d->bx[i];
  if (d->bx[i] == 0) {
    return 0;
  }
  return 1 / (square(d->sy[i]) + square(ratio * d->sx[i]) - 2 * psi * ratio * d->sx[i] * d->sy[i]);
}

/* P-value of a residual whose standard deviation is sy, turned into a factor of its weight. */
static double penalised(double residual, double sy)
{
  return fmin(1, penalty * mrl_normal_p(residual / sy));
}

/* Ratios of variants that have one, in work; their median. */
static double median_ratio(const mrl_mr_data *d, double *work)
{
  size_t m = 0;
  for (size_t i = 0; i < d->n; i++) {
    if (d->bx[i] != 0) {
      work[m++] = d->by[i] / d->bx[i];
    }
  }
  return m > 0 ? mrl_median(work, m) : NAN;
}

static void origin_weights(double *w, mrl_mr_method method, const mrl_mr_data *d, double psi)
{
  const double centre = method == MRL_MR_IVW_PENALISED ? median_ratio(d, w) : 0;
  for (size_t i = 0; i < d->n; i++) {
    w[i] = method == MRL_MR_UNWEIGHTED  ? 1
           : method == MRL_MR_IVW_DELTA ? delta_weight(d, i, psi)
                                        : 1 / square(d->sy[i]);
    if (method == MRL_MR_IVW_PENALISED) {
      w[i] *= penalised(d->by[i] - centre * d->bx[i], d->sy[i]);
    }
  }
}

static line fit_origin(const mrl_mr_data *d, const double *w)
{
  double xx = 0, xy = 0;
  line out = {0};
  for (size_t i = 0; i < d->n; i++) {
    xx += w[i] * d->bx[i] * d->bx[i];
    xy += w[i] * d->bx[i] * d->by[i];
  }
  out.slope = xy / xx;
  for (size_t i = 0; i < d->n; i++) {
    out.rss += w[i] * square(d->by[i] - out.slope * d->bx[i]);
  }
  out.sigma = sqrt(out.rss / (double)(d->n - 1));
  out.slope_se = 1 / sqrt(xx);
  return out;
}

/* Alleles are turned so that bx >= 0; zero counts as positive. */
static double turned(const mrl_mr_data *d, size_t i)
{
  return d->bx[i] < 0 ? -d->by[i] : d->by[i];
}

static int fit_egger(line *out, const mrl_mr_data *d, const double *w)
{
  double sum = 0, x = 0, y = 0, xx = 0, xy = 0;
  for (size_t i = 0; i < d->n; i++) {
    sum += w[i];
    x += w[i] * fabs(d->bx[i]);
    y += w[i] * turned(d, i);
  }
  x /= sum;
  y /= sum;
  for (size_t i = 0; i < d->n; i++) {
    const double dx = fabs(d->bx[i]) - x;
    xx += w[i] * dx * dx;
    xy += w[i] * dx * (turned(d, i) - y);
  }
  out->slope = xy / xx;
  out->intercept = y - out->slope * x;
  out->rss = 0;
  for (size_t i = 0; i < d->n; i++) {
    out->rss += w[i] * square(turned(d, i) - out->intercept - out->slope * fabs(d->bx[i]));
  }
  out->sigma = sqrt(out->rss / (double)(d->n - 2));
  out->slope_se = 1 / sqrt(xx);
  out->intercept_se = sqrt(1 / sum + x * x / xx);
  return xx > 1e-14 * sum * x * x; /* lm() takes columns for collinear below a root of 1e-7 */
}

static void set_heterogeneity(mrl_mr_estimate *out, double q, size_t df)
{
  out->q = q;
  out->q_df = (double)df;
  out->q_p_value = df > 0 ? mrl_chisq_p(q, (double)df) : NAN;
}

static mrl_mr_estimate origin(mrl_mr_method method, const mrl_mr_data *d,
                              const mrl_mr_settings *settings, double *work)
{
  mrl_mr_estimate out = mrl_mr_none(MRL_MR_FINE);
  origin_weights(work, method, d, settings->psi);
  const line fit = fit_origin(d, work);
  out.estimate = fit.slope;
  out.sigma = fit.sigma;
  out.std_error = fit.slope_se;
  if (method == MRL_MR_IVW_RAW) {
    out.std_error *= fit.sigma;
  } else if (method != MRL_MR_IVW_FIXED) {
    /* Without weights residuals have no unit variance and the bound makes no sense; TwoSampleMR,
     * which defines that method, has it. */
    out.std_error *= fmax(1, fit.sigma);
  }
  out.p_value = mrl_normal_p(out.estimate / out.std_error);
  if (method != MRL_MR_IVW_PENALISED) {
    set_heterogeneity(&out, fit.rss, d->n - 1);
  }
  return out;
}

static mrl_mr_estimate egger(const mrl_mr_data *d, double *work)
{
  mrl_mr_estimate out = mrl_mr_none(MRL_MR_FINE);
  line fit;
  for (size_t i = 0; i < d->n; i++) {
    work[i] = 1 / square(d->sy[i]);
  }
  if (!fit_egger(&fit, d, work)) {
    return mrl_mr_none(MRL_MR_DEGENERATE);
  }
  const double wider = fmax(1, fit.sigma), df = (double)(d->n - 2);
  out.estimate = fit.slope;
  out.std_error = fit.slope_se * wider;
  out.p_value = mrl_student_p(out.estimate / out.std_error, df);
  out.intercept = fit.intercept;
  out.intercept_se = fit.intercept_se * wider;
  out.intercept_p = mrl_student_p(out.intercept / out.intercept_se, df);
  out.sigma = fit.sigma;
  set_heterogeneity(&out, fit.rss, d->n - 2);
  return out;
}

/* Rows multiplied by the roots of their weights w, those without weight left out: their number. */
static size_t robust_rows(double *a, double *x, double *y, const mrl_mr_data *d, const double *w)
{
  size_t m = 0;
  for (size_t i = 0; i < d->n; i++) {
    const double root = sqrt(w[i]);
    if (w[i] > 0) {
      a[m] = root;
      x[m] = root * fabs(d->bx[i]);
      y[m] = root * turned(d, i);
      m++;
    }
  }
  return m;
}

/* w (n) at the front of work; standard errors as MendelianRandomization::mr_egger(robust = TRUE):
 * divided by min(1, scale). */
static mrl_mr_estimate robust(int with_intercept, const mrl_mr_data *d, double *work)
{
  double *a = work + d->n, *x = a + d->n, *y = x + d->n;
  const size_t m = robust_rows(a, x, y, d, work);
  const mrl_mm_rows rows = {with_intercept ? a : NULL, x, y, m};
  mrl_mm_fit fit;
  const mrl_mr_why why = mrl_mm_fit_run(&fit, &rows, y + d->n);
  mrl_mr_estimate out = mrl_mr_none(why);
  if (why != MRL_MR_FINE) {
    return out;
  }
  const double narrow = fmin(1, fit.scale);
  out.estimate = fit.coef[1];
  out.std_error = fit.se[1] / narrow;
  out.p_value = mrl_normal_p(out.estimate / out.std_error);
  out.sigma = fit.scale;
  if (with_intercept) {
    out.intercept = fit.coef[0];
    out.intercept_se = fit.se[0] / narrow;
    out.intercept_p = mrl_normal_p(out.intercept / out.intercept_se);
  }
  return out;
}

/* Cochran's or Rucker's statistic at a robust fit. */
static double q_statistic(const mrl_mr_estimate *at, const mrl_mr_data *d)
{
  const double intercept = isnan(at->intercept) ? 0 : at->intercept;
  double q = 0;
  for (size_t i = 0; i < d->n; i++) {
    q += square((turned(d, i) - intercept - at->estimate * fabs(d->bx[i])) / d->sy[i]);
  }
  return q;
}

static mrl_mr_estimate robust_by(mrl_mr_method method, const mrl_mr_data *d, double *work)
{
  line fit = {0};
  for (size_t i = 0; i < d->n; i++) {
    work[i] = 1 / square(d->sy[i]);
  }
  if (method == MRL_MR_EGGER_ROBUST_PENALISED) {
    if (!fit_egger(&fit, d, work)) {
      return mrl_mr_none(MRL_MR_DEGENERATE);
    }
    for (size_t i = 0; i < d->n; i++) {
      const double residual = turned(d, i) - fit.intercept - fit.slope * fabs(d->bx[i]);
      work[i] *= penalised(residual, d->sy[i]);
    }
    return robust(1, d, work);
  }
  const int with_intercept = method == MRL_MR_EGGER_ROBUST;
  mrl_mr_estimate out = robust(with_intercept, d, work);
  if (out.why == MRL_MR_FINE) {
    set_heterogeneity(&out, q_statistic(&out, d), d->n - (with_intercept ? 2 : 1));
  }
  return out;
}

static int is_robust(mrl_mr_method method)
{
  return method == MRL_MR_IVW_ROBUST || method == MRL_MR_EGGER_ROBUST ||
         method == MRL_MR_EGGER_ROBUST_PENALISED;
}

size_t mrl_mr_linear_work(mrl_mr_method method, size_t n)
{
  return is_robust(method) ? 4 * n + mrl_mm_work(n) : n;
}

mrl_mr_estimate mrl_mr_linear(mrl_mr_method method, const mrl_mr_data *data,
                              const mrl_mr_settings *settings, double *work)
{
  if (is_robust(method)) {
    return robust_by(method, data, work);
  }
  return method == MRL_MR_EGGER ? egger(data, work) : origin(method, data, settings, work);
}
