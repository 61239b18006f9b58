#include "mvmr_q.h"
#include "mvmr_part.h"

#include <math.h>
#include <stddef.h>

enum { MAX_NEWTON = 200, MAX_HALVE = 60 };

double mrl_mv_q_part(double *variance, double *s, const mrl_mv_q *q, size_t i, const double *theta)
{
  const size_t m = q->m;
  const double *z = q->z + i * m, *cov = q->cov + i * m * m;
  double e = -z[m - 1], v = q->tau2;
  for (size_t b = 0; b < m; b++) {
    const double c = b + 1 < m ? theta[b] : -1;
    double sum = -cov[m - 1 + b * m];
    for (size_t a = 0; a + 1 < m; a++) {
      sum += theta[a] * cov[a + b * m];
    }
    v += c * sum;
    e += b + 1 < m ? c * z[b] : 0;
    if (s) {
      s[b] = sum;
    }
  }
  *variance = v;
  return e;
}

static size_t row_of(const mrl_mv_q *q, size_t i)
{
  return q->row ? q->row[i] : i;
}

double mrl_mv_q_term(const mrl_mv_q *q, size_t i, const double *theta)
{
  double v;
  const double e = mrl_mv_q_part(&v, NULL, q, i, theta);
  return e * e / v;
}

double mrl_mv_q_fall(const mrl_mv_q *q, const double *theta)
{
  double sum = 0;
  for (size_t i = 0; i < q->n_rows; i++) {
    double v;
    const double e = mrl_mv_q_part(&v, NULL, q, row_of(q, i), theta);
    sum += e * e / (v * v);
  }
  return sum;
}

double mrl_mv_q_value(const mrl_mv_q *q, const double *theta)
{
  double sum = 0;
  for (size_t i = 0; i < q->n_rows; i++) {
    sum += mrl_mv_q_term(q, row_of(q, i), theta);
  }
  return sum;
}

/*
 * Half of Q, its gradient, its Hessian, and the crossproduct of the variants' standardised slopes.
 * With u = e / v and the variant's likeliest true effects x - u s, these are the sums of
 * u (x - u s), (x - 2 u s)(x - 2 u s)' / v - u^2 cov and (x - u s)(x - u s)' / v.
 */
static double expand(double *gradient, double *hessian, double *cross, const mrl_mv_q *q,
                     const double *theta, double *s)
{
  const size_t m = q->m, k = m - 1;
  double half = 0;
  for (size_t j = 0; j < k * k; j++) {
    hessian[j] = cross[j] = 0;
  }
  for (size_t j = 0; j < k; j++) {
    gradient[j] = 0;
  }
  for (size_t at = 0; at < q->n_rows; at++) {
    const size_t i = row_of(q, at);
    double v;
    const double e = mrl_mv_q_part(&v, s, q, i, theta), u = e / v, *x = q->z + i * m,
                 *cov = q->cov + i * m * m;
    half += 0.5 * u * e;
    for (size_t b = 0; b < k; b++) {
      const double xb = x[b] - u * s[b], twice = xb - u * s[b];
      gradient[b] += u * xb;
      for (size_t a = 0; a <= b; a++) {
        const double xa = x[a] - u * s[a];
        cross[a + b * k] += xa * xb / v;
        hessian[a + b * k] += (xa - u * s[a]) * twice / v - u * u * cov[a + b * m];
      }
    }
  }
  return half;
}

static void copy(double *to, const double *from, size_t n)
{
  for (size_t i = 0; i < n; i++) {
    to[i] = from[i];
  }
}

/* move (k) := -inverse(a) gradient, by the Hessian or, where that is not positive definite, by the
 * crossproduct; returns gradient' inverse(a) gradient, or NaN. */
static double direction(double *move, double *hessian, double *cross, const double *gradient,
                        size_t k)
{
  double *a = mrl_mv_cholesky(hessian, k) ? hessian : mrl_mv_cholesky(cross, k) ? cross : NULL;
  if (!a) {
    return NAN;
  }
  double fall = 0;
  copy(move, gradient, k);
  mrl_mv_back(move, a, k, 1);
  mrl_mv_back(move, a, k, 0);
  for (size_t j = 0; j < k; j++) {
    fall += move[j] * gradient[j];
    move[j] = -move[j];
  }
  return fall;
}

/* theta moves along `move` as far as half of Q falls. Where it does not fall at all any more
 * rounding has been reached, and theta stays. Returns whether it moved. */
static int descend(double *theta, const double *move, double half, double fall, const mrl_mv_q *q,
                   double *trial)
{
  const size_t k = q->m - 1;
  double step = 1;
  for (int i = 0; i < MAX_HALVE; i++, step *= 0.5) {
    for (size_t j = 0; j < k; j++) {
      trial[j] = theta[j] + step * move[j];
    }
    if (0.5 * mrl_mv_q_value(q, trial) <= half - 1e-4 * step * fall) {
      copy(theta, trial, k);
      return 1;
    }
  }
  return 0;
}

static double largest(const double *x, size_t n)
{
  double most = 0;
  for (size_t i = 0; i < n; i++) {
    most = fmax(most, fabs(x[i]));
  }
  return most;
}

size_t mrl_mv_q_work(size_t k)
{
  return 2 * k * k + 4 * k + 1;
}

int mrl_mv_q_minimise(double *theta, double *value, const mrl_mv_q *q, double *work)
{
  const size_t k = q->m - 1;
  double *hessian = work, *cross = hessian + k * k, *gradient = cross + k * k;
  double *move = gradient + k, *trial = move + k, *s = trial + k;
  for (int i = 0; i < MAX_NEWTON; i++) {
    const double half = expand(gradient, hessian, cross, q, theta, s);
    const double fall = direction(move, hessian, cross, gradient, k);
    *value = 2 * half;
    if (!isfinite(fall)) {
      return 0;
    }
    if (fall <= 1e-14 * (1 + half)) {
      /* Newton doubles the digits: one step more and all are right. Steps as large as theta go on
       * for ever, towards a least value at infinity. */
      const int near = largest(move, k) <= 1e-3 * largest(theta, k);
      for (size_t j = 0; j < k; j++) {
        theta[j] += move[j];
      }
      return near;
    }
    if (!descend(theta, move, half, fall, q, trial)) {
      return fall <= 1e-9 * (1 + half);
    }
  }
  return 0;
}

int mrl_mv_q_se(double *se, const mrl_mv_q *q, const double *theta, int sandwich, double *work)
{
  const size_t k = q->m - 1;
  double *hessian = work, *cross = hessian + k * k, *gradient = cross + k * k;
  double *column = gradient + k, *s = column + 2 * k;
  expand(gradient, hessian, cross, q, theta, s);
  if (!mrl_mv_cholesky(hessian, k)) {
    return 0;
  }
  for (size_t j = 0; j < k; j++) {
    for (size_t a = 0; a < k; a++) {
      column[a] = a == j;
    }
    mrl_mv_back(column, hessian, k, 1);
    mrl_mv_back(column, hessian, k, 0);
    double variance = sandwich ? 0 : column[j];
    for (size_t b = 0; sandwich && b < k; b++) {
      for (size_t a = 0; a < k; a++) {
        variance += column[a] * column[b] * (a <= b ? cross[a + b * k] : cross[b + a * k]);
      }
    }
    se[j] = sqrt(variance);
  }
  return 1;
}

int mrl_mv_q_start(double *theta, const mrl_mv_q *q, double *work)
{
  const size_t m = q->m, k = m - 1;
  double *square = work;
  for (size_t j = 0; j < k; j++) {
    theta[j] = 0;
  }
  for (size_t j = 0; j < k * k; j++) {
    square[j] = 0;
  }
  for (size_t at = 0; at < q->n_rows; at++) {
    const size_t i = row_of(q, at);
    const double *z = q->z + i * m, weight = 1 / (q->cov[(i + 1) * m * m - 1] + q->tau2);
    for (size_t b = 0; b < k; b++) {
      theta[b] += weight * z[b] * z[k];
      for (size_t a = 0; a <= b; a++) {
        square[a + b * k] += weight * z[a] * z[b];
      }
    }
  }
  if (!mrl_mv_cholesky(square, k)) {
    return 0;
  }
  mrl_mv_back(theta, square, k, 1);
  mrl_mv_back(theta, square, k, 0);
  return 1;
}
