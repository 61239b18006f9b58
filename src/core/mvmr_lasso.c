#include "mvmr_part.h"

#include <math.h>

/*
 * MVMR-LASSO (Grant & Burgess 2021, Stat. Med. 40:5813): a direct effect a_i of each variant on the
 * outcome, shrunk by the lasso; variants with a_i = 0 are valid, and IVW is refitted on them.
 *
 * With rows divided by the outcome's standard errors, x_i and y_i, and d_i = 1 / se_i, the
 * objective sum (y_i - x_i'theta - d_i a_i)^2 / 2 + n lambda sum s_i |a_i| is, at its least over a,
 * Huber's function of the residuals with corners c_i = n lambda s_i / d_i: k numbers to find
 * instead of n + k. s_i is the scale that glmnet gives the column of a_i after x is partialled out
 * of it, and the penalties are glmnet's, so that the path is that of MendelianRandomization's
 * mr_mvlasso().
 */

enum { N_PENALTIES = 100, LEAST_PENALTIES = 5, MAX_STEPS = 500 };

static const double ratio_of_ends = 1e-4; /* glmnet's for as many rows as columns */
static const double chisq_95 = 3.8414588206941236;

typedef struct {
  const mrl_mv_data *data;
  double *q, *r;                    /* (n, k), (k, k): the weighted exposures are q r */
  double *base;                     /* (n) residuals of least squares */
  double *unit;                     /* (n) corner at n lambda = 1 */
  double *left;                     /* (n) residuals at theta, in the coordinates of q */
  double *along;                    /* (n) what a step takes off them */
  double *theta;                    /* (k) */
  double *square, *gradient, *move; /* (k, k), (k), (k) */
  double *rse;   /* (N_PENALTIES) residual standard error of the valid variants alone */
  size_t *count; /* (N_PENALTIES) */
  int *kept;     /* (n, N_PENALTIES) */
  double *line;
  size_t n, k;
} path;

/* Doubles that hold the path's flags; a size is no longer than a double. */
static size_t ints(size_t n)
{
  return (n * N_PENALTIES * sizeof(int)) / sizeof(double) + 1;
}

size_t mrl_mv_lasso_work(const mrl_mv_data *d)
{
  const size_t n = d->n, k = d->k;
  return n * k + 4 * n + 2 * k * k + 3 * k + 2 * N_PENALTIES + ints(n) + 2 * (k + 1) +
         mrl_mv_line_work(n, k);
}

static path split(const mrl_mv_data *d, double *work)
{
  const size_t n = d->n, k = d->k;
  path p = {0};
  p.data = d;
  p.n = n;
  p.k = k;
  p.q = work;
  p.base = p.q + n * k;
  p.unit = p.base + n;
  p.left = p.unit + n;
  p.along = p.left + n;
  p.r = p.along + n;
  p.square = p.r + k * k;
  p.theta = p.square + k * k;
  p.gradient = p.theta + k;
  p.move = p.gradient + k;
  p.rse = p.move + k;
  p.count = (size_t *)(p.rse + N_PENALTIES);
  p.kept = (int *)(p.count + N_PENALTIES);
  p.line = p.rse + 2 * N_PENALTIES + ints(n);
  return p;
}

/* Weighted rows, turned to the orienting exposure, which the scales s_i feel; their basis, least
 * squares, corners. 0 if the exposures are collinear. */
static int prepare(path *p, size_t orientate)
{
  const mrl_mv_data *d = p->data;
  const size_t n = p->n, k = p->k;
  for (size_t i = 0; i < n; i++) {
    const double side = d->bx[i + orientate * n] < 0 ? -1 : 1;
    const double scale = side / sqrt(mrl_mv_outcome_se2(d, i));
    p->base[i] = d->by[i] * scale;
    for (size_t j = 0; j < k; j++) {
      p->q[i + j * n] = d->bx[i + j * n] * scale;
    }
  }
  if (mrl_mv_orthonormal(p->q, p->r, n, k) < k) {
    return 0;
  }
  for (size_t j = 0; j < k; j++) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
      sum += p->q[i + j * n] * p->base[i];
    }
    for (size_t i = 0; i < n; i++) {
      p->base[i] -= sum * p->q[i + j * n];
    }
    p->move[j] = 0;
    for (size_t i = 0; i < n; i++) {
      p->move[j] += p->q[i + j * n];
    }
  }
  /* s_i / d_i: root of mean square less squared mean of column i of the projection off x. */
  for (size_t i = 0; i < n; i++) {
    double mean = 1, square = 1;
    for (size_t j = 0; j < k; j++) {
      mean -= p->q[i + j * n] * p->move[j];
      square -= p->q[i + j * n] * p->q[i + j * n];
    }
    mean /= (double)n;
    p->unit[i] = sqrt(fmax(0, square / (double)n - mean * mean));
  }
  return 1;
}

static void residuals(double *out, const double *from, const double *theta, const path *p)
{
  for (size_t i = 0; i < p->n; i++) {
    double sum = from ? from[i] : 0;
    for (size_t j = 0; j < p->k; j++) {
      sum -= p->q[i + j * p->n] * theta[j];
    }
    out[i] = sum;
  }
}

static double clipped(double x, double corner)
{
  return fmax(-corner, fmin(corner, x));
}

/* Gradient of the objective, and its Hessian over the variants within their corners with a little
 * of the whole one added, which is the identity. */
static double slopes(const path *p, double penalty)
{
  const size_t n = p->n, k = p->k;
  double largest = 0;
  for (size_t b = 0; b < k; b++) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
      sum -= p->q[i + b * n] * clipped(p->left[i], penalty * p->unit[i]);
    }
    p->gradient[b] = sum;
    largest = fmax(largest, fabs(sum));
    for (size_t a = 0; a <= b; a++) {
      double square = a == b ? 1e-9 : 0;
      for (size_t i = 0; i < n; i++) {
        const int inside = fabs(p->left[i]) <= penalty * p->unit[i];
        square += inside ? p->q[i + a * n] * p->q[i + b * n] : 0;
      }
      p->square[a + b * k] = square;
    }
  }
  return largest;
}

/* Derivative of the objective along the step, t of the way. */
static double rise(const path *p, double penalty, double t)
{
  double sum = 0;
  for (size_t i = 0; i < p->n; i++) {
    sum -= p->along[i] * clipped(p->left[i] - t * p->along[i], penalty * p->unit[i]);
  }
  return sum;
}

/* Where the objective, convex, is least along the step. */
static double step_length(const path *p, double penalty)
{
  double low = 0, high = 1;
  while (rise(p, penalty, high) < 0 && high < 1e12) {
    low = high;
    high *= 4;
  }
  if (low == 0 && fabs(rise(p, penalty, 1)) <= 1e-12 * fabs(rise(p, penalty, 0))) {
    return 1;
  }
  for (int i = 0; i < 60 && high - low > 1e-13 * high; i++) {
    const double middle = 0.5 * (low + high);
    if (rise(p, penalty, middle) < 0) {
      low = middle;
    } else {
      high = middle;
    }
  }
  return 0.5 * (low + high);
}

/* theta at a penalty, from theta at another, in the coordinates of q; penalty: n lambda. */
static int solve(path *p, double penalty)
{
  const size_t k = p->k;
  for (int step = 0; step < MAX_STEPS; step++) {
    residuals(p->left, p->base, p->theta, p);
    double scale = 0;
    for (size_t i = 0; i < p->n; i++) {
      scale = fmax(scale, penalty * p->unit[i]);
    }
    if (slopes(p, penalty) <= 1e-11 * scale) {
      return 1;
    }
    if (!mrl_mv_cholesky(p->square, k)) {
      return 0;
    }
    for (size_t j = 0; j < k; j++) {
      p->move[j] = -p->gradient[j];
    }
    mrl_mv_back(p->move, p->square, k, 1);
    mrl_mv_back(p->move, p->square, k, 0);
    residuals(p->along, NULL, p->move, p);
    for (size_t i = 0; i < p->n; i++) {
      p->along[i] = -p->along[i];
    }
    const double length = step_length(p, penalty);
    for (size_t j = 0; j < k; j++) {
      p->theta[j] += length * p->move[j];
    }
  }
  return 0;
}

/* Which variants have no direct effect at the last solution; the share of the squares explained. */
static double look(path *p, int *kept, double penalty)
{
  double rest = 0, whole = 0;
  for (size_t i = 0; i < p->n; i++) {
    const double r = clipped(p->left[i], penalty * p->unit[i]);
    kept[i] = fabs(p->left[i]) <= penalty * p->unit[i];
    rest += r * r;
    whole += p->base[i] * p->base[i];
  }
  return 1 - rest / whole;
}

/* Residual standard error of IVW on the valid variants alone; NaN without degrees of freedom. */
static double standard_error(const path *p, const int *kept, size_t count)
{
  mrl_mv_line fit = {p->line, p->line + p->k + 1, 0, 0};
  if (count <= p->k ||
      mrl_mv_line_fit(&fit, p->data, NULL, kept, p->line + 2 * (p->k + 1)) != MRL_MV_FINE) {
    return NAN;
  }
  return sqrt(fit.rss / (double)(count - p->k));
}

/* n lambda at which the first variant gets a direct effect. */
static double largest_penalty(const path *p)
{
  double most = 0;
  for (size_t i = 0; i < p->n; i++) {
    most = fmax(most, fabs(p->base[i]) / p->unit[i]);
  }
  return most;
}

/* What there is to know of the last solution, at place `at`; returns the share explained. */
static double record(path *p, size_t at, double penalty)
{
  int *kept = p->kept + at * p->n;
  const double share = look(p, kept, penalty);
  p->count[at] = 0;
  for (size_t i = 0; i < p->n; i++) {
    p->count[at] += (size_t)kept[i];
  }
  p->rse[at] = standard_error(p, kept, p->count[at]);
  return share;
}

/* Solutions from the largest penalty down, as far as glmnet goes: till they explain everything, or
 * nothing more. Their number; 0 if one does not converge. */
static size_t run_path(path *p, double largest, const mrl_ctx *ctx)
{
  const double factor = pow(ratio_of_ends, 1.0 / (N_PENALTIES - 1));
  double before = 0, penalty = largest;
  for (size_t j = 0; j < p->k; j++) {
    p->theta[j] = 0;
  }
  for (size_t at = 0; at < N_PENALTIES; at++, penalty *= factor) {
    /* At the first corner itself rounding would decide: there all variants are valid. */
    if (at == 0) {
      residuals(p->left, p->base, p->theta, p);
    } else if (!solve(p, penalty)) {
      return 0;
    }
    const double share = record(p, at, at == 0 ? INFINITY : penalty);
    mrl_poll(ctx);
    if (at + 1 >= LEAST_PENALTIES && (share - before < 1e-5 * share || share > 0.999)) {
      return at + 1;
    }
    before = share;
  }
  return N_PENALTIES;
}

/*
 * Up from the smallest penalty, the last one before the residual standard error, above one, jumps
 * by more than a chi-squared quantile over the number of valid variants; the largest if it never
 * does. Never fewer valid variants than exposures and one more. Place 0 is the largest penalty.
 */
static size_t choose(const path *p, size_t n_path)
{
  size_t chosen = 0;
  for (size_t at = n_path - 1; at > 0; at--) {
    const double up = p->rse[at - 1], jump = up - p->rse[at];
    if (up > 1 && jump > chisq_95 / (double)p->count[at - 1]) {
      chosen = at;
      break;
    }
  }
  size_t least = n_path - 1;
  while (least > 0 && p->count[least] <= p->k) {
    least--;
  }
  return chosen < least ? chosen : least;
}

static void refit(mrl_mv_estimate *out, const path *p, const int *kept)
{
  const size_t k = p->k;
  mrl_mv_line fit = {p->line, p->line + k + 1, 0, 0};
  size_t count = 0;
  for (size_t i = 0; i < p->n; i++) {
    out->valid[i] = kept[i];
    count += (size_t)kept[i];
  }
  if (count <= k) {
    out->why = MRL_MV_TOO_FEW;
    return;
  }
  out->why = mrl_mv_line_fit(&fit, p->data, NULL, kept, p->line + 2 * (k + 1));
  if (out->why != MRL_MV_FINE) {
    return;
  }
  out->q = fit.rss;
  out->df = out->q_df = (double)(count - k);
  out->sigma = sqrt(fit.rss / out->df);
  for (size_t j = 0; j < k; j++) {
    out->b[j] = fit.coef[j];
    out->se[j] = fit.unit_se[j] * fmax(1, out->sigma);
  }
}

void mrl_mv_lasso(mrl_mv_estimate *out, const mrl_mv_data *d, const mrl_mv_settings *settings,
                  double *work, const mrl_ctx *ctx)
{
  path p = split(d, work);
  if (d->n <= d->k + 1) {
    out->why = MRL_MV_TOO_FEW;
    return;
  }
  if (!prepare(&p, settings->orientate)) {
    out->why = MRL_MV_DEGENERATE;
    return;
  }
  const double largest = largest_penalty(&p), n = (double)d->n;
  size_t at = 0;
  if (isnan(settings->lambda)) {
    const size_t n_path = run_path(&p, largest, ctx);
    if (n_path == 0) {
      out->why = MRL_MV_NO_CONVERGE;
      return;
    }
    at = choose(&p, n_path);
    out->lambda = largest / n * pow(ratio_of_ends, (double)at / (N_PENALTIES - 1));
  } else {
    out->lambda = settings->lambda;
    for (size_t j = 0; j < d->k; j++) {
      p.theta[j] = 0;
    }
    if (!solve(&p, n * settings->lambda)) {
      out->why = MRL_MV_NO_CONVERGE;
      return;
    }
    record(&p, at, n * settings->lambda);
  }
  refit(out, &p, p.kept + at * d->n);
}
