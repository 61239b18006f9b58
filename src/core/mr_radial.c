#include "mr_radial.h"
#include "mr_raps.h"

#include <math.h>

static double square(double x)
{
  return x * x;
}

static double root_weight(const mrl_mr_data *d, size_t i, mrl_radial_weights weights, double slope)
{
  const double factor = weights == MRL_RADIAL_FIRST    ? 0
                        : weights == MRL_RADIAL_SECOND ? d->by[i] / d->bx[i]
                                                       : slope;
  return fabs(d->bx[i]) / sqrt(square(d->sy[i]) + square(factor * d->sx[i]));
}

/* Least squares of the ratios times their roots on the roots. */
static void solve(mrl_radial_fit *out, double *part, const double *root, const mrl_mr_data *d,
                  int with_intercept)
{
  const double n = (double)d->n;
  double x = 0, y = 0, xx = 0, xy = 0;
  for (size_t i = 0; i < d->n && with_intercept; i++) {
    x += root[i] / n;
    y += root[i] * d->by[i] / d->bx[i] / n;
  }
  for (size_t i = 0; i < d->n; i++) {
    const double dx = root[i] - x;
    xx += dx * dx;
    xy += dx * (root[i] * d->by[i] / d->bx[i] - y);
  }
  out->slope = xy / xx;
  out->intercept = with_intercept ? y - out->slope * x : NAN;
  out->q = 0;
  for (size_t i = 0; i < d->n; i++) {
    part[i] = square(root[i] * (d->by[i] / d->bx[i] - out->slope) -
                     (with_intercept ? out->intercept : 0));
    out->q += part[i];
  }
  out->sigma = sqrt(out->q / (n - (with_intercept ? 2 : 1)));
  out->slope_se = out->sigma / sqrt(xx);
  out->intercept_se = with_intercept ? out->sigma * sqrt(1 / n + x * x / xx) : NAN;
}

static void weigh(double *root, const mrl_mr_data *d, mrl_radial_weights weights, double slope)
{
  for (size_t i = 0; i < d->n; i++) {
    root[i] = root_weight(d, i, weights, slope);
  }
}

mrl_radial_fit mrl_radial_fit_run(double *root, double *part, const mrl_mr_data *data,
                                  mrl_radial_weights weights, int with_intercept)
{
  mrl_radial_fit out;
  weigh(root, data, weights == MRL_RADIAL_MODIFIED ? MRL_RADIAL_FIRST : weights, 0);
  solve(&out, part, root, data, with_intercept);
  if (weights == MRL_RADIAL_MODIFIED) {
    weigh(root, data, weights, out.slope);
    solve(&out, part, root, data, with_intercept);
  }
  return out;
}

/* The regression through the origin with the weights of a slope. */
static mrl_radial_fit fit_at(const mrl_mr_data *d, double slope)
{
  double xx = 0, xy = 0;
  mrl_radial_fit out = {0, 0, NAN, NAN, 0, 0};
  for (size_t i = 0; i < d->n; i++) {
    const double w = square(root_weight(d, i, MRL_RADIAL_MODIFIED, slope));
    xx += w;
    xy += w * d->by[i] / d->bx[i];
  }
  out.slope = xy / xx;
  for (size_t i = 0; i < d->n; i++) {
    out.q +=
        square(root_weight(d, i, MRL_RADIAL_MODIFIED, slope) * (d->by[i] / d->bx[i] - out.slope));
  }
  out.sigma = sqrt(out.q / ((double)d->n - 1));
  out.slope_se = out.sigma / sqrt(xx);
  return out;
}

mrl_radial_fit mrl_radial_iterate(size_t *count, const mrl_mr_data *data, double tol)
{
  enum { MOST = 1000 };
  mrl_radial_fit at = fit_at(data, 0);
  double before = 0;
  *count = 1;
  while (fabs(at.slope - before) >= tol && *count < MOST) {
    before = at.slope;
    at = fit_at(data, before);
    ++*count;
  }
  return at;
}

size_t mrl_radial_exact_work(size_t n)
{
  return n + mrl_mr_raps_work(n);
}

/* The minimum of q with outcome variances multiplied by phi. */
static mrl_mr_estimate minimise(const mrl_mr_data *d, double phi, double *work)
{
  const mrl_mr_settings plain = {.psi = 0};
  const mrl_mr_data wider = {d->bx, d->sx, d->by, work, d->n};
  for (size_t i = 0; i < d->n; i++) {
    work[i] = d->sy[i] * sqrt(phi);
  }
  return mrl_mr_maxlik(&wider, &plain, 0, work + d->n);
}

/* The phi at which the minimum of q is df: by secants in the logarithm, within bisected bounds. */
static double solve_phi(const mrl_mr_data *d, double *work)
{
  const double df = (double)d->n - 1;
  double low = 1, high = 1, q = minimise(d, 1, work).q;
  if (!(q > df)) {
    return 1;
  }
  for (int i = 0; i < 1000 && q > df; i++) {
    low = high;
    high *= fmax(2, q / df);
    q = minimise(d, high, work).q;
  }
  for (int i = 0; i < 60 && high - low > 1e-12 * high; i++) {
    const double middle = sqrt(low * high);
    if (minimise(d, middle, work).q > df) {
      low = middle;
    } else {
      high = middle;
    }
  }
  return sqrt(low * high);
}

mrl_radial_fit mrl_radial_exact(const mrl_mr_data *data, int random, double *work)
{
  const double phi = random ? solve_phi(data, work) : 1;
  const double b = minimise(data, phi, work).estimate;
  mrl_radial_fit out = {b, 0, NAN, NAN, sqrt(phi), 0};
  double total = 0;
  for (size_t i = 0; i < data->n; i++) {
    const double x2 = square(data->bx[i]), noise = square(b * data->sx[i]);
    total += x2 / (phi * square(data->sy[i]) + noise);
    out.q += square(data->by[i] - b * data->bx[i]) / (square(data->sy[i]) + noise);
  }
  out.slope_se = 1 / sqrt(total);
  return out;
}

mrl_mr_estimate mrl_mr_radial(mrl_mr_method method, const mrl_mr_data *data, double *work)
{
  const int egger = method == MRL_MR_EGGER_RADIAL;
  const double df = (double)data->n - (egger ? 2 : 1);
  const mrl_radial_fit fit =
      mrl_radial_fit_run(work, work + data->n, data, MRL_RADIAL_MODIFIED, egger);
  mrl_mr_estimate out = mrl_mr_none(MRL_MR_FINE);
  if (!isfinite(fit.slope) || !isfinite(fit.slope_se)) {
    return mrl_mr_none(MRL_MR_DEGENERATE);
  }
  out.estimate = fit.slope;
  out.std_error = fit.slope_se;
  out.sigma = fit.sigma;
  out.q = fit.q;
  out.q_df = df;
  out.q_p_value = mrl_chisq_p(fit.q, df);
  if (egger) {
    out.intercept = fit.intercept;
    out.intercept_se = fit.intercept_se;
    out.intercept_p = mrl_student_p(fit.intercept / fit.intercept_se, df);
    out.p_value = mrl_student_p(fit.slope / fit.slope_se, df);
  } else {
    out.p_value = mrl_normal_p(fit.slope / fit.slope_se);
  }
  return out;
}

/* bx by on bx^2, weighted by 1 / (bx sy)^2: the intercept is a mean of bx times direct effects. */
static mrl_mr_estimate grip(const mrl_mr_data *d)
{
  mrl_mr_estimate out = mrl_mr_none(MRL_MR_FINE);
  double sum = 0, x = 0, y = 0, xx = 0, xy = 0, rss = 0;
  for (size_t i = 0; i < d->n; i++) {
    const double w = 1 / square(d->bx[i] * d->sy[i]);
    sum += w;
    x += w * square(d->bx[i]);
    y += w * d->bx[i] * d->by[i];
  }
  x /= sum;
  y /= sum;
  for (size_t i = 0; i < d->n; i++) {
    const double w = 1 / square(d->bx[i] * d->sy[i]), dx = square(d->bx[i]) - x;
    xx += w * dx * dx;
    xy += w * dx * (d->bx[i] * d->by[i] - y);
  }
  if (!isfinite(sum) || !(xx > 1e-14 * sum * x * x)) {
    return mrl_mr_none(MRL_MR_DEGENERATE);
  }
  out.estimate = xy / xx;
  out.intercept = y - out.estimate * x;
  for (size_t i = 0; i < d->n; i++) {
    const double fitted = out.intercept + out.estimate * square(d->bx[i]);
    rss += square((d->bx[i] * d->by[i] - fitted) / (d->bx[i] * d->sy[i]));
  }
  out.sigma = sqrt(rss / (double)(d->n - 2));
  out.std_error = out.sigma / sqrt(xx);
  out.intercept_se = out.sigma * sqrt(1 / sum + x * x / xx);
  return out;
}

/*
 * Powers of bx in the normal equations replaced by unbiased estimates of those of the true effects
 * (weights 1 / sy^2): its 2nd power by bx^2 - sx^2, the third with by by bx^2 - 3 sx^2 and so on.
 * The variance is that of the numerator with residual variances from the fit above.
 */
static void adjust(mrl_mr_estimate *at, const mrl_mr_data *d)
{
  double w0 = 0, y1 = 0, y3 = 0, x2 = 0, x4 = 0, residual = 0, v1 = 0, v2 = 0, v3 = 0;
  for (size_t i = 0; i < d->n; i++) {
    const double b2 = square(d->bx[i]), s2 = square(d->sx[i]), w = 1 / square(d->sy[i]);
    w0 += w;
    y1 += w * d->bx[i] * d->by[i];
    y3 += w * d->bx[i] * d->by[i] * (b2 - 3 * s2);
    x2 += w * (b2 - s2);
    x4 += w * (b2 * b2 - 6 * b2 * s2 + 3 * s2 * s2);
    residual += square(d->by[i] - (at->estimate * b2 + at->intercept) / d->bx[i]) / (double)d->n;
  }
  for (size_t i = 0; i < d->n; i++) {
    const double b2 = square(d->bx[i]), s2 = square(d->sx[i]), w = 1 / square(d->sy[i]);
    const double v = w * w * residual * b2;
    v1 += v * square(b2 - 3 * s2);
    v2 += v;
    v3 += v * (b2 - s2);
  }
  const double bottom = w0 * x4 - x2 * x2;
  at->estimate = (w0 * y3 - y1 * x2) / bottom;
  at->std_error = sqrt(w0 * w0 * v1 + v2 * x2 * x2 - 2 * w0 * x2 * v3) / fabs(bottom);
}

mrl_mr_estimate mrl_mr_grip(const mrl_mr_data *data, int adjusted)
{
  const double df = (double)(data->n - 2);
  mrl_mr_estimate out = grip(data);
  if (out.why != MRL_MR_FINE) {
    return out;
  }
  if (adjusted) {
    adjust(&out, data);
    out.intercept = out.intercept_se = out.sigma = NAN;
  } else {
    out.intercept_p = mrl_student_p(out.intercept / out.intercept_se, df);
  }
  out.p_value = mrl_student_p(out.estimate / out.std_error, df);
  return out;
}
