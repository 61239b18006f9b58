#include "mr_lasso.h"

#include <math.h>

/* glmnet's grid: 100 penalties down to 1e-4 of the first, but no further than where, from the fifth
 * on, the share of variance explained is above 0.999 or grows by less than 1e-5 of itself. */
enum { N_LAMBDA = 100, LEAST_LAMBDA = 5 };
static const double smallest = 1e-4, enough = 0.999, least_gain = 1e-5;

/* Effects over the outcome's standard errors, alleles turned so that x >= 0, and how far a residual
 * may be from 0 before it is a direct effect, at lambda = 1. All (n). */
typedef struct {
  double *x, *y, *reach;
  size_t n;
} problem;

/* What a penalty leaves: the causal effect, variants without direct effect, their residual standard
 * error, and the residual sum of squares of all. */
typedef struct {
  double lambda, theta, sigma, rss;
  size_t n_valid;
} fit;

size_t mrl_mr_lasso_work(size_t n)
{
  return 3 * n;
}

/* The reach holds the standard deviation of the projected column that a variant has in glmnet. */
static void set_problem(const problem *p, const mrl_mr_data *d)
{
  const double n = (double)p->n;
  double xx = 0, sum = 0;
  for (size_t i = 0; i < p->n; i++) {
    p->x[i] = fabs(d->bx[i]) / d->sy[i];
    p->y[i] = (d->bx[i] < 0 ? -d->by[i] : d->by[i]) / d->sy[i];
    xx += p->x[i] * p->x[i];
    sum += p->x[i];
  }
  for (size_t i = 0; i < p->n; i++) {
    const double mean = (1 - p->x[i] * sum / xx) / n;
    const double square = (1 - p->x[i] * p->x[i] / xx) / n;
    p->reach[i] = n * sqrt(fmax(0, square - mean * mean));
  }
}

static double clip(double r, double reach)
{
  return fmin(reach, fmax(-reach, r));
}

/* The root in theta of sum x clip(y - theta x), which falls, between low and high. Newton's method
 * ends in finitely many steps, as the sum is linear between its kinks. */
static double solve(const problem *p, double lambda, double theta, double low, double high)
{
  for (int i = 0; i < 200 && low < high; i++) {
    double sum = 0, slope = 0;
    for (size_t j = 0; j < p->n; j++) {
      const double r = p->y[j] - theta * p->x[j], reach = lambda * p->reach[j];
      sum += p->x[j] * clip(r, reach);
      slope += fabs(r) <= reach ? p->x[j] * p->x[j] : 0;
    }
    low = sum > 0 ? theta : low;
    high = sum < 0 ? theta : high;
    const double to = theta + sum / slope;
    const double next = to >= low && to <= high ? to : 0.5 * (low + high);
    if (sum == 0 || fabs(next - theta) <= 1e-15 * fabs(theta)) {
      return theta;
    }
    theta = next;
  }
  return theta;
}

static int is_valid(const problem *p, const fit *at, size_t i)
{
  return fabs(p->y[i] - at->theta * p->x[i]) <= at->lambda * p->reach[i];
}

/* The inverse-variance weighted estimate of the valid; NaN if there is none. */
static double valid_slope(const problem *p, const fit *at, double *xx)
{
  double xy = 0;
  *xx = 0;
  for (size_t i = 0; i < p->n; i++) {
    if (is_valid(p, at, i)) {
      *xx += p->x[i] * p->x[i];
      xy += p->x[i] * p->y[i];
    }
  }
  return xy / *xx;
}

static void assess(fit *at, const problem *p)
{
  double xx, rss = 0;
  const double slope = valid_slope(p, at, &xx);
  at->rss = 0;
  at->n_valid = 0;
  for (size_t i = 0; i < p->n; i++) {
    const double all = clip(p->y[i] - at->theta * p->x[i], at->lambda * p->reach[i]);
    at->rss += all * all;
    if (is_valid(p, at, i)) {
      const double r = p->y[i] - slope * p->x[i];
      rss += r * r;
      at->n_valid++;
    }
  }
  at->sigma = sqrt(rss / ((double)at->n_valid - 1));
}

/* The fits of the grid from the greatest penalty on: their number. */
static size_t run_grid(fit *grid, const problem *p, double theta, double low, double high)
{
  double greatest = 0, total = 0, before = 0;
  for (size_t i = 0; i < p->n; i++) {
    const double r = p->y[i] - theta * p->x[i];
    greatest = fmax(greatest, fabs(r) / p->reach[i]);
    total += r * r;
  }
  for (size_t k = 0; k < N_LAMBDA; k++) {
    fit at = {greatest * pow(smallest, (double)k / (N_LAMBDA - 1)), theta, 0, 0, 0};
    if (k == 0) {
      at.lambda *= 1 + 1e-12; /* where the first direct effect is 0 still, in spite of rounding */
    }
    at.theta = theta = solve(p, at.lambda, theta, low, high);
    assess(&at, p);
    grid[k] = at;
    const double explained = 1 - at.rss / total;
    const int stop = explained - before < least_gain * explained || explained > enough;
    if (k + 1 >= LEAST_LAMBDA && stop) {
      return k + 1;
    }
    before = explained;
  }
  return N_LAMBDA;
}

/* mr_lasso()'s choice: from the smallest penalty up, the one before the residual standard error
 * first grows by more than chi-squared(0.95) over the number of valid variants; with at least two
 * valid. grid goes from the greatest down. */
static const fit *choose(const fit *grid, size_t count)
{
  static const double quantile = 3.841458820694124;
  size_t two = count, k = count;
  while (two > 0 && grid[two - 1].n_valid < 2) {
    two--;
  }
  for (; k > 1; k--) {
    const fit *here = &grid[k - 1], *next = &grid[k - 2];
    if (next->sigma > 1 && next->sigma - here->sigma > quantile / (double)next->n_valid) {
      break;
    }
  }
  k = k < two ? k : two;
  return &grid[k > 0 ? k - 1 : 0];
}

static void report(mrl_mr_detail *detail, const problem *p, const fit *at, const mrl_mr_data *d)
{
  detail->tuning = at->lambda;
  for (size_t i = 0; i < p->n; i++) {
    const double r = p->y[i] - at->theta * p->x[i];
    const double direct = (r - clip(r, at->lambda * p->reach[i])) * d->sy[i];
    if (detail->valid) {
      detail->valid[i] = is_valid(p, at, i);
    }
    if (detail->direct) {
      detail->direct[i] = d->bx[i] < 0 ? -direct : direct;
    }
  }
}

mrl_mr_estimate mrl_mr_lasso(const mrl_mr_data *data, const mrl_mr_settings *settings,
                             mrl_mr_detail *detail, double *work)
{
  const problem p = {work, work + data->n, work + 2 * data->n, data->n};
  fit grid[N_LAMBDA], all = {INFINITY, 0, 0, 0, 0};
  double xx, low = INFINITY, high = -INFINITY;
  set_problem(&p, data);
  for (size_t i = 0; i < p.n; i++) {
    if (p.x[i] > 0) {
      low = fmin(low, p.y[i] / p.x[i]);
      high = fmax(high, p.y[i] / p.x[i]);
    }
    if (!(p.reach[i] > 0)) {
      return mrl_mr_none(MRL_MR_DEGENERATE);
    }
  }
  all.theta = valid_slope(&p, &all, &xx);
  fit at = {settings->lambda, 0, 0, 0, 0};
  if (settings->lambda < 0) {
    at = *choose(grid, run_grid(grid, &p, all.theta, low, high));
  } else {
    at.theta = solve(&p, at.lambda, all.theta, low, high);
    assess(&at, &p);
  }
  if (at.n_valid < 2) {
    return mrl_mr_none(MRL_MR_TOO_FEW_VALID);
  }
  mrl_mr_estimate out = mrl_mr_none(MRL_MR_FINE);
  out.estimate = valid_slope(&p, &at, &xx);
  out.sigma = at.sigma;
  out.std_error = fmax(1, at.sigma) / sqrt(xx);
  out.p_value = mrl_normal_p(out.estimate / out.std_error);
  if (detail) {
    report(detail, &p, &at, data);
  }
  return out;
}
