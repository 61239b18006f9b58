#include "mr_cml.h"
#include "mr_order.h"

#include <math.h>
#include <string.h>

static const double moved_enough = 1e-7; /* as mr_cML() */

/* Is the set still that of the k largest? Only if it is so beyond doubt: ties are decided by place.
 */
static int same_set(const unsigned char *invalid, const double *excess, size_t n)
{
  double least = INFINITY, most = -INFINITY;
  for (size_t i = 0; i < n; i++) {
    least = fmin(least, invalid[i] ? excess[i] : INFINITY);
    most = fmax(most, invalid[i] ? -INFINITY : excess[i]);
  }
  return least > most;
}

/* The k variants that gain most, of equal ones the first. spare (n) */
static void choose(unsigned char *invalid, const double *excess, size_t n, size_t k, double *spare)
{
  size_t above = 0;
  memcpy(spare, excess, n * sizeof *spare);
  const double least = mrl_select(spare, n, n - k);
  for (size_t i = 0; i < n; i++) {
    invalid[i] = excess[i] > least;
    above += invalid[i];
  }
  for (size_t i = 0; i < n && above < k; i++) {
    if (excess[i] == least) {
      invalid[i] = 1;
      above++;
    }
  }
}

/* Exposure effects given the rest, and the causal effect from them. */
static double update(double *mu, const unsigned char *invalid, const mrl_mr_data *d,
                     const double *wx, const double *wy, double theta)
{
  double xy = 0, xx = 0;
  for (size_t i = 0; i < d->n; i++) {
    /* An invalid variant's direct effect takes all that its exposure effect does not explain. */
    const double y = invalid[i] ? theta * mu[i] : d->by[i];
    mu[i] = (d->bx[i] * wx[i] + theta * y * wy[i]) / (wx[i] + theta * theta * wy[i]);
    xy += y * mu[i] * wy[i];
    xx += mu[i] * mu[i] * wy[i];
  }
  return xy / xx;
}

/* Likelihood and information at the end, where exposure effects of invalid variants are free. */
static mrl_cml_fit finish(double *mu, const unsigned char *invalid, const mrl_mr_data *d,
                          const double *wx, const double *wy, double theta)
{
  mrl_cml_fit out = {theta, NAN, 0};
  double information = 0;
  for (size_t i = 0; i < d->n; i++) {
    if (invalid[i]) {
      mu[i] = d->bx[i];
      continue;
    }
    const double x = d->bx[i] - mu[i], y = d->by[i] - theta * mu[i];
    const double mixed = (2 * mu[i] * theta - d->by[i]) * wy[i];
    out.minus_log_likelihood += 0.5 * (x * x * wx[i] + y * y * wy[i]);
    information += mu[i] * mu[i] * wy[i] - mixed * mixed / (wx[i] + theta * theta * wy[i]);
  }
  if (information > 0) {
    out.var = 1 / information;
  }
  return out;
}

mrl_cml_fit mrl_cml_climb(double *mu, unsigned char *invalid, const mrl_mr_data *data, size_t k,
                          double theta, size_t max_iter, double *work)
{
  const size_t n = data->n;
  double *const wx = work, *const wy = work + n, *const excess = work + 2 * n;
  double *const spare = work + 3 * n;
  double before = theta - 1;
  for (size_t i = 0; i < n; i++) {
    wx[i] = 1 / (data->sx[i] * data->sx[i]);
    wy[i] = 1 / (data->sy[i] * data->sy[i]);
  }
  memset(invalid, 0, n);
  for (size_t it = 0; it < max_iter && fabs(before - theta) > moved_enough; it++) {
    for (size_t i = 0; i < n && k > 0; i++) {
      const double r = data->by[i] - theta * mu[i];
      excess[i] = r * r * wy[i];
    }
    if (k > 0 && (it == 0 || !same_set(invalid, excess, n))) {
      choose(invalid, excess, n, k, spare);
    }
    before = theta;
    theta = update(mu, invalid, data, wx, wy, theta);
  }
  return finish(mu, invalid, data, wx, wy, theta);
}
