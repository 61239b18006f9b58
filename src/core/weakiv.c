#include "weakiv.h"

#include "blas.h"
#include "prob.h"

#include <math.h>
#include <string.h>

static const double HALF_PI = 1.57079632679489661923;

mrl_status mrl_weak_prepare(mrl_weak_form *form, const double *between, const double *within,
                            double l, double df)
{
  double work[2 * 34]; /* mrl_eigen_work(2) */
  double *g = form->axes;
  form->l = l;
  memcpy(form->root, within, sizeof form->root);
  memcpy(g, between, sizeof form->axes);
  MRL_TRY(mrl_cholesky(form->root, 2));
  if (!(form->root[3] * form->root[3] > 1e-13 * within[3]) || !(df > 0)) {
    return MRL_SINGULAR;
  }
  MRL_TRY(mrl_triangular_solve(g, form->root, 2, 2, 1));
  mrl_transpose_square(g, 2);
  MRL_TRY(mrl_triangular_solve(g, form->root, 2, 2, 1));
  MRL_TRY(mrl_eigen(form->lambda, g, 2, work));
  for (size_t i = 0; i < 2; i++) {
    form->lambda[i] = form->lambda[i] > 0 ? df * form->lambda[i] : 0;
  }
  memcpy(form->dir, form->axes, sizeof form->dir);
  MRL_TRY(mrl_triangular_solve(form->dir, form->root, 2, 2, 0));
  return isfinite(form->lambda[1]) ? MRL_OK : MRL_NOT_FINITE;
}

double mrl_weak_sine(const mrl_weak_form *form, double beta)
{
  const double *s = form->root, *v = form->axes;
  const double bx = isinf(beta) ? 1 : -beta, by = isinf(beta) ? 0 : 1;
  const double tx = s[0] * bx + s[2] * by, ty = s[3] * by;
  const double c = v[0] * tx + v[1] * ty, d = v[2] * tx + v[3] * ty;
  return d * d / (c * c + d * d);
}

double mrl_weak_statistic(const mrl_weak_form *form, mrl_weak_type type, double w)
{
  const double delta = form->lambda[1] - form->lambda[0];
  switch (type) {
  case MRL_WEAK_AR:
    return form->lambda[0] + delta * w;
  case MRL_WEAK_K: {
    const double qt = form->lambda[1] - delta * w;
    return qt > 0 ? delta * delta * w * (1 - w) / qt : 0;
  }
  default:
    return delta * w;
  }
}

/*
 * Both integrals over the angle in (0, pi/2): of cos^(l-2) times the chi-squared tail, and of
 * cos^(l-2), whose ratio is the p-value. The double-exponential rule with step h; what matters can
 * sit at any distance from 0 on a scale of its own, which the rule's abscissae follow.
 */
static double tail_ratio(double lr, double qt, double l, double h)
{
  double top = 0, bottom = 0;
  const int count = (int)(4.5 / h);
  for (int i = -count; i <= count; i++) {
    const double t = i * h, u = HALF_PI * sinh(t);
    /* angle = pi/2 / (1 + exp(-2u)), its distance to pi/2 likewise */
    const double near = HALF_PI / (1 + exp(-2 * u)), far = HALF_PI / (1 + exp(2 * u));
    const double ch = cosh(u), weight = cosh(t) / (ch * ch);
    const double s = sin(near), density = weight * pow(sin(far), l - 2);
    if (density > 0) {
      top += density * mrl_chisq_p((lr + qt) / (1 + qt * s * s / lr), l);
      bottom += density;
    }
  }
  return top / bottom;
}

double mrl_clr_p(double lr, double qt, double l)
{
  if (isnan(lr) || isnan(qt)) {
    return NAN;
  }
  if (lr <= 0) {
    return 1;
  }
  if (l < 2) {
    return mrl_chisq_p(lr, 1);
  }
  double h = 1.0 / 16, p = tail_ratio(lr, qt, l, h);
  for (int i = 0; i < 5; i++) {
    const double before = p;
    h /= 2;
    p = tail_ratio(lr, qt, l, h);
    if (fabs(p - before) <= 1e-12 * p) {
      break;
    }
  }
  return p;
}

/* The w at which the CLR's p-value is `level`; more than 1 where no w is rejected. */
static double clr_sine(const mrl_weak_form *form, double level)
{
  const double delta = form->lambda[1] - form->lambda[0];
  double low = 0, high = delta;
  if (!(mrl_clr_p(high, form->lambda[0], form->l) < level)) {
    return 2;
  }
  while (mrl_clr_p(high / 4, form->lambda[1] - high / 4, form->l) < level) {
    high /= 4;
  }
  for (int i = 0; i < 60 && high - low > 1e-14 * high; i++) {
    const double middle = low + (high - low) / 2;
    if (mrl_clr_p(middle, form->lambda[1] - middle, form->l) < level) {
      high = middle;
    } else {
      low = middle;
    }
  }
  return high / delta;
}

size_t mrl_weak_arc(double *low, double *high, const double *dir, double from, double to)
{
  /* beta = -b_x / b_y moves one way along the circle, the sign of dir's determinant: */
  const double det = dir[0] * dir[3] - dir[2] * dir[1];
  const double start = det > 0 ? from : to, end = det > 0 ? to : from;
  const double a =
      -(dir[0] * cos(start) + dir[2] * sin(start)) / (dir[1] * cos(start) + dir[3] * sin(start));
  const double b =
      -(dir[0] * cos(end) + dir[2] * sin(end)) / (dir[1] * cos(end) + dir[3] * sin(end));
  if (a <= b) {
    low[0] = a;
    high[0] = b;
    return 1;
  }
  low[0] = -INFINITY;
  high[0] = b;
  low[1] = a;
  high[1] = INFINITY;
  return 2;
}

void mrl_weak_sort(double *low, double *high, size_t n)
{
  for (size_t i = 1; i < n; i++) {
    for (size_t j = i; j > 0 && low[j] < low[j - 1]; j--) {
      const double l = low[j], h = high[j];
      low[j] = low[j - 1];
      high[j] = high[j - 1];
      low[j - 1] = l;
      high[j - 1] = h;
    }
  }
}

static size_t whole_line(double *low, double *high)
{
  low[0] = -INFINITY;
  high[0] = INFINITY;
  return 1;
}

/* The directions with squared sine at most w about LIML, or at least w. */
static size_t within_sine(double *low, double *high, const mrl_weak_form *form, double w)
{
  if (w < 0) {
    return 0;
  }
  const double angle = asin(sqrt(w));
  return mrl_weak_arc(low, high, form->dir, -angle, angle);
}

static size_t beyond_sine(double *low, double *high, const mrl_weak_form *form, double w)
{
  const double angle = asin(sqrt(w));
  return mrl_weak_arc(low, high, form->dir, angle, 2 * HALF_PI - angle);
}

/* K <= c where delta^2 w^2 - (delta^2 + c delta) w + c l1 >= 0. */
static size_t k_set(double *low, double *high, const mrl_weak_form *form, double c)
{
  const double delta = form->lambda[1] - form->lambda[0];
  const double b = delta * delta + c * delta;
  const double disc = b * b - 4 * delta * delta * c * form->lambda[1];
  const double w1 = disc > 0 ? 2 * c * form->lambda[1] / (b + sqrt(disc)) : 2;
  if (!(w1 < 1)) {
    return whole_line(low, high);
  }
  const double w2 = (b + sqrt(disc)) / (2 * delta * delta);
  size_t n = within_sine(low, high, form, w1);
  if (w2 <= 1) {
    n += beyond_sine(low + n, high + n, form, w2);
  }
  mrl_weak_sort(low, high, n);
  return n;
}

size_t mrl_weak_set(double *low, double *high, const mrl_weak_form *form, mrl_weak_type type,
                    double critical)
{
  const double delta = form->lambda[1] - form->lambda[0];
  if (type == MRL_WEAK_K) {
    return k_set(low, high, form, critical);
  }
  double w = 2;
  if (type == MRL_WEAK_CLR) {
    w = clr_sine(form, critical);
  } else if (critical < form->lambda[1]) {
    w = (critical - form->lambda[0]) / delta;
  }
  return w < 1 ? within_sine(low, high, form, w) : whole_line(low, high);
}
