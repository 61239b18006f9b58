#include "mvmr_part.h"

#include "blas.h"

#include <math.h>

void mrl_mv_clear(mrl_mv_estimate *out, size_t n, size_t k)
{
  for (size_t j = 0; j < k; j++) {
    out->b[j] = out->se[j] = out->p[j] = NAN;
  }
  for (size_t i = 0; i < n; i++) {
    out->valid[i] = 1;
  }
  out->intercept = out->intercept_se = out->intercept_p = NAN;
  out->q = out->q_df = out->q_p = NAN;
  out->sigma = out->tau2 = out->lambda = out->df = NAN;
  out->n_valid = out->n_draws = 0;
  out->why = MRL_MV_FINE;
}

static double p_value(double z, double df, int by_student)
{
  return by_student && !isnan(df) ? mrl_student_p(z, df) : mrl_normal_p(z);
}

void mrl_mv_finish(mrl_mv_estimate *out, size_t n, size_t k, int by_student)
{
  for (size_t j = 0; j < k && out->why == MRL_MV_FINE; j++) {
    out->why = isfinite(out->b[j]) ? MRL_MV_FINE : MRL_MV_DEGENERATE;
  }
  if (out->why != MRL_MV_FINE) {
    const mrl_mv_why why = out->why;
    mrl_mv_clear(out, n, k);
    out->why = why;
    return;
  }
  for (size_t j = 0; j < k; j++) {
    out->p[j] = p_value(out->b[j] / out->se[j], out->df, by_student);
  }
  out->intercept_p = p_value(out->intercept / out->intercept_se, out->df, by_student);
  out->q_p = out->q_df > 0 ? mrl_chisq_p(out->q, out->q_df) : NAN;
  for (size_t i = 0; i < n; i++) {
    out->n_valid += (size_t)out->valid[i];
  }
}

static double dot(const double *a, const double *b, size_t n)
{
  double sum = 0;
  for (size_t i = 0; i < n; i++) {
    sum += a[i] * b[i];
  }
  return sum;
}

/* Takes what lies along the columns of q out of x; adds the coefficients to r (p). */
static void take_out(double *x, double *r, const double *q, size_t n, size_t p)
{
  for (size_t l = 0; l < p; l++) {
    const double along = dot(q + l * n, x, n);
    r[l] += along;
    for (size_t i = 0; i < n; i++) {
      x[i] -= along * q[i + l * n];
    }
  }
}

size_t mrl_mv_orthonormal(double *q, double *r, size_t n, size_t p)
{
  size_t first = p;
  for (size_t j = 0; j < p; j++) {
    double *x = q + j * n, *to = r + j * p;
    const double before = dot(x, x, n);
    for (size_t l = 0; l < p; l++) {
      to[l] = 0;
    }
    take_out(x, to, q, n, j);
    take_out(x, to, q, n, j);
    const double left = dot(x, x, n);
    if (!(left > MRL_MV_TOLERANCE * before) && first == p) {
      first = j;
    }
    to[j] = sqrt(left);
    for (size_t i = 0; i < n; i++) {
      x[i] /= to[j];
    }
  }
  return first;
}

void mrl_mv_back(double *b, const double *r, size_t p, int trans)
{
  for (size_t step = 0; step < p; step++) {
    const size_t j = trans ? step : p - 1 - step;
    const size_t from = trans ? 0 : j + 1, to = trans ? j : p;
    double sum = b[j];
    for (size_t l = from; l < to; l++) {
      sum -= (trans ? r[l + j * p] : r[j + l * p]) * b[l];
    }
    b[j] = sum / r[j + j * p];
  }
}

int mrl_mv_cholesky(double *a, size_t p)
{
  for (size_t j = 0; j < p; j++) {
    const double whole = a[j + j * p];
    for (size_t i = 0; i <= j; i++) {
      double sum = a[i + j * p];
      for (size_t l = 0; l < i; l++) {
        sum -= a[l + i * p] * a[l + j * p];
      }
      if (i < j) {
        a[i + j * p] = sum / a[i + i * p];
      } else if (!(sum > 1e-15 * whole)) {
        return 0;
      } else {
        a[j + j * p] = sqrt(sum);
      }
    }
  }
  return 1;
}

void mrl_mv_spread(double *out, const double *r, size_t p, double *spare)
{
  for (size_t j = 0; j < p; j++) {
    for (size_t l = 0; l < p; l++) {
      spare[l] = l == j;
    }
    mrl_mv_back(spare, r, p, 1);
    out[j] = sqrt(dot(spare, spare, p));
  }
}

size_t mrl_mv_line_work(size_t n, size_t k)
{
  return (k + 2) * n + (k + 1) * (k + 2);
}

static double column_of(const mrl_mv_data *d, const double *extra, size_t i, size_t j)
{
  return j < d->k ? d->bx[i + j * d->n] : j == d->k && extra ? extra[i] : d->by[i];
}

/* Rows that are used, divided by the outcome's standard errors: columns, and the outcome last. */
static size_t weighted_rows(double *a, const mrl_mv_data *d, const double *extra, const int *use,
                            size_t p)
{
  size_t n = 0;
  for (size_t i = 0; i < d->n; i++) {
    n += !use || use[i];
  }
  for (size_t j = 0; j <= p; j++) {
    double *out = a + j * n;
    for (size_t i = 0; i < d->n; i++) {
      if (!use || use[i]) {
        *out++ = column_of(d, extra, i, j < p ? j : d->k + 1) / sqrt(mrl_mv_outcome_se2(d, i));
      }
    }
  }
  return n;
}

mrl_mv_why mrl_mv_line_fit(mrl_mv_line *fit, const mrl_mv_data *d, const double *extra,
                           const int *use, double *work)
{
  const size_t p = d->k + (extra != NULL);
  const size_t n = fit->n_used = weighted_rows(work, d, extra, use, p);
  double *y = work + p * n, *r = work + (d->k + 2) * d->n, *spare = r + p * p;
  if (n < p) {
    return MRL_MV_TOO_FEW;
  }
  if (d->ld) {
    /* ld = U'U: inverse(U') makes the rows independent. */
    if (mrl_triangular_solve(work, d->ld, n, p + 1, 1) != MRL_OK) {
      return MRL_MV_DEGENERATE;
    }
  }
  const size_t rank = mrl_mv_orthonormal(work, r, n, p);
  if (rank < p) {
    return rank < d->k ? MRL_MV_DEGENERATE : MRL_MV_TURNED;
  }
  for (size_t j = 0; j < p; j++) {
    fit->coef[j] = 0;
  }
  take_out(y, fit->coef, work, n, p);
  take_out(y, fit->coef, work, n, p);
  mrl_mv_back(fit->coef, r, p, 0);
  mrl_mv_spread(fit->unit_se, r, p, spare);
  fit->rss = n > p ? dot(y, y, n) : 0;
  return MRL_MV_FINE;
}

size_t mrl_mv_linear_work(const mrl_mv_data *d)
{
  return d->n + 2 * (d->k + 1) + mrl_mv_line_work(d->n, d->k);
}

/* +1 or -1 so that times it the effect on an exposure is not negative; zero counts as positive. A
 * line with an intercept through turned variants is a line with this column through the others. */
static const double *turned_sides(double *side, const mrl_mv_data *d, size_t exposure)
{
  for (size_t i = 0; i < d->n; i++) {
    side[i] = d->bx[i + exposure * d->n] < 0 ? -1 : 1;
  }
  return side;
}

static double widening(mrl_mv_method method, const mrl_mv_data *d, double sigma)
{
  if (method == MRL_MV_IVW_FIXED || (method == MRL_MV_IVW && d->n < 4)) {
    return 1;
  }
  return method == MRL_MV_IVW_RAW ? sigma : fmax(1, sigma);
}

void mrl_mv_linear(mrl_mv_estimate *out, mrl_mv_method method, const mrl_mv_data *d,
                   const mrl_mv_settings *settings, double *work)
{
  const int egger = method == MRL_MV_EGGER;
  const size_t p = d->k + (size_t)egger;
  double *side = work, *rest = work + d->n;
  mrl_mv_line fit = {rest, rest + d->k + 1, 0, 0};
  const double *extra = egger ? turned_sides(side, d, settings->orientate) : NULL;
  const int one_each = method == MRL_MV_IVW_FIXED || (method == MRL_MV_IVW && d->n < 4);
  if (d->n < p + (one_each ? 0 : 1)) {
    out->why = MRL_MV_TOO_FEW;
    return;
  }
  out->why = mrl_mv_line_fit(&fit, d, extra, NULL, rest + 2 * (d->k + 1));
  if (out->why != MRL_MV_FINE) {
    return;
  }
  out->df = (double)(d->n - p);
  out->sigma = d->n > p ? sqrt(fit.rss / out->df) : NAN;
  const double wider = widening(method, d, out->sigma);
  for (size_t j = 0; j < d->k; j++) {
    out->b[j] = fit.coef[j];
    out->se[j] = fit.unit_se[j] * wider;
  }
  if (egger) {
    out->intercept = fit.coef[d->k];
    out->intercept_se = fit.unit_se[d->k] * wider;
  }
  out->q = fit.rss;
  out->q_df = out->df;
}
