#include "iv_context_slope.h"

#include "blas.h"
#include "prior.h"

#include <math.h>
#include <string.h>

/* A column of q that its predecessors explain but for this share of its variance is left out. */
#define COLLINEAR 1e-10

/*
 * m holds [a | s f (p) | x | x f (p) | y] without what q explains, rows times the root of their
 * weight; T overwrites s f. k = 1 + n_q columns of q with the constant first, standardised.
 */
typedef struct {
  size_t n, k, p, width;
  double *q, *m;          /* (n, k), (n, width) */
  double *root;           /* (n) */
  double *shift, *scale;  /* (k) of the columns of q */
  double *qq, *qm, *more; /* (k, k), (k, width), (k, width) */
  int *kept;              /* (k) */
  double *inner;          /* (1 + p, p + 2): [a, s f]' [x, x f, y] */
  double *r, *score;      /* (n); (n, 1 + p) or by clusters */
  double *omega;          /* (1 + p, 1 + p) */
  double *meat;           /* (p, p) */
  double *j, *B;          /* (p, p) */
  double *h, *g, *mean;   /* (p) */
  double *variance;       /* (n_groups) */
  double *open;           /* (p) posterior mean without a charge */
  double *spread;         /* (p, p) and its covariance */
  double *covariance;     /* (p, p) */
  mrl_prior_work prior;
  double *sums; /* (n_cluster, 1 + p) */
  void *gemm;
} slope_work;

static size_t gemm_bytes(size_t n, size_t k, size_t width, const mrl_ctx *ctx)
{
  const size_t sizes[4] = {mrl_gemm_d_scratch(k, k, n, ctx), mrl_gemm_d_scratch(k, width, n, ctx),
                           mrl_gemm_d_scratch(n, width, k, ctx),
                           mrl_gemm_d_scratch(width, width, n, ctx)};
  size_t most = 0;
  for (int i = 0; i < 4; i++) {
    most = sizes[i] > most ? sizes[i] : most;
  }
  return most;
}

static void carve(slope_work *work, mrl_arena *arena, const mrl_slope_data *data,
                  const mrl_ctx *ctx)
{
  const size_t n = data->n, k = 1 + data->n_q, p = data->p, width = 2 * p + 3;
  work->n = n;
  work->k = k;
  work->p = p;
  work->width = width;
  work->q = MRL_TAKE(arena, double, n *k);
  work->m = MRL_TAKE(arena, double, n *width);
  work->root = MRL_TAKE(arena, double, n);
  work->shift = MRL_TAKE(arena, double, k);
  work->scale = MRL_TAKE(arena, double, k);
  work->qq = MRL_TAKE(arena, double, k *k);
  work->qm = MRL_TAKE(arena, double, k *width);
  work->more = MRL_TAKE(arena, double, k *width);
  work->kept = MRL_TAKE(arena, int, k);
  work->inner = MRL_TAKE(arena, double, (1 + p) * (p + 2));
  work->r = MRL_TAKE(arena, double, n);
  work->score = MRL_TAKE(arena, double, n *(1 + p));
  work->omega = MRL_TAKE(arena, double, (1 + p) * (1 + p));
  work->meat = MRL_TAKE(arena, double, p *p);
  work->j = MRL_TAKE(arena, double, p *p);
  work->B = MRL_TAKE(arena, double, p *p);
  work->h = MRL_TAKE(arena, double, p);
  work->g = MRL_TAKE(arena, double, p);
  work->mean = MRL_TAKE(arena, double, p);
  work->covariance = MRL_TAKE(arena, double, p *p);
  work->variance = MRL_TAKE(arena, double, data->n_groups);
  work->open = MRL_TAKE(arena, double, p);
  work->spread = MRL_TAKE(arena, double, p *p);
  mrl_prior_carve(&work->prior, arena, p, data->n_groups);
  work->sums = MRL_TAKE(arena, double, data->cluster ? data->n_cluster *(1 + p) : 0);
  work->gemm = mrl_take(arena, gemm_bytes(n, k, width, ctx), 1);
}

size_t mrl_slope_scratch(const mrl_slope_data *data, const mrl_ctx *ctx)
{
  slope_work unused;
  mrl_arena arena = mrl_arena_measure();
  carve(&unused, &arena, data, ctx);
  return arena.failed ? 0 : arena.used;
}

static double weighted_mean(const double *x, const double *root, size_t n)
{
  double sum = 0, total = 0;
  for (size_t i = 0; i < n; i++) {
    sum += root[i] * root[i] * x[i];
    total += root[i] * root[i];
  }
  return sum / total;
}

/* A column of q, standardised and times the root; a constant one becomes 0. */
static void fill_exogenous(slope_work *work, const double *x, size_t j)
{
  double *out = work->q + j * work->n, square = 0, total = 0;
  const double mean = weighted_mean(x, work->root, work->n);
  for (size_t i = 0; i < work->n; i++) {
    out[i] = (x[i] - mean) * work->root[i];
    square += out[i] * out[i];
    total += work->root[i] * work->root[i];
  }
  const double sd = sqrt(square / total);
  work->shift[j] = mean;
  work->scale[j] = sd > 1e-12 * fabs(mean) && sd > 0 ? 1 / sd : 0;
  for (size_t i = 0; i < work->n; i++) {
    out[i] *= work->scale[j];
  }
}

static void fill_columns(slope_work *work, double *center, const mrl_slope_data *data,
                         const mrl_ctx *ctx)
{
  const size_t n = work->n, p = work->p;
  double *m = work->m;
  for (size_t i = 0; i < n; i++) {
    work->root[i] = data->weights ? sqrt(data->weights[i]) : 1;
    work->q[i] = work->root[i];
    m[i] = data->a[i] * work->root[i];
    m[i + (1 + p) * n] = data->x[i] * work->root[i];
    m[i + (2 + 2 * p) * n] = data->y[i] * work->root[i];
  }
  work->shift[0] = 0;
  work->scale[0] = 1;
  for (size_t j = 0; j < data->n_q; j++) {
    mrl_poll(ctx);
    fill_exogenous(work, data->q[j], 1 + j);
  }
  for (size_t j = 0; j < p; j++) {
    mrl_poll(ctx);
    center[j] = weighted_mean(data->f[j], work->root, n);
    for (size_t i = 0; i < n; i++) {
      const double f = (data->f[j][i] - center[j]) * work->root[i];
      m[i + (1 + j) * n] = data->s[i] * f;
      m[i + (2 + p + j) * n] = data->x[i] * f;
    }
  }
}

/* The Cholesky factor of qq, collinear columns left out: their rows and columns are those of the
 * identity. */
static void factor_exogenous(slope_work *work)
{
  const size_t k = work->k;
  double *u = work->qq;
  for (size_t j = 0; j < k; j++) {
    const double whole = u[j + j * k];
    for (size_t i = 0; i < j; i++) {
      double sum = u[i + j * k];
      for (size_t l = 0; l < i; l++) {
        sum -= u[l + i * k] * u[l + j * k];
      }
      u[i + j * k] = work->kept[i] ? sum / u[i + i * k] : 0;
    }
    double left = whole;
    for (size_t l = 0; l < j; l++) {
      left -= u[l + j * k] * u[l + j * k];
    }
    work->kept[j] = left > COLLINEAR * whole && left > 0;
    u[j + j * k] = work->kept[j] ? sqrt(left) : 1;
    for (size_t l = 0; !work->kept[j] && l < j; l++) {
      u[l + j * k] = 0;
    }
    for (size_t l = j + 1; l < k; l++) {
      u[l + j * k] = 0;
    }
  }
}

/* Takes what q explains out of m, twice for accuracy; qm: the coefficients of all columns. */
static mrl_status partial_out(slope_work *work, mrl_isa isa, const mrl_ctx *ctx)
{
  const size_t n = work->n, k = work->k, width = work->width;
  double *upper = work->qq;
  MRL_TRY(mrl_gemm_d(upper, k, work->q, n, MRL_TRANS, work->q, n, MRL_NO_TRANS, k, k, n, 0,
                     work->gemm, isa, ctx));
  factor_exogenous(work);
  memset(work->qm, 0, k * width * sizeof *work->qm);
  for (int pass = 0; pass < 2; pass++) {
    mrl_poll(ctx);
    MRL_TRY(mrl_gemm_d(work->more, k, work->q, n, MRL_TRANS, work->m, n, MRL_NO_TRANS, k, width, n,
                       0, work->gemm, isa, ctx));
    for (size_t j = 0; j < k * width; j++) {
      work->more[j] = work->kept[j % k] ? work->more[j] : 0;
    }
    MRL_TRY(mrl_cholesky_solve(work->more, upper, k, width));
    for (size_t j = 0; j < k * width; j++) {
      work->more[j] = work->kept[j % k] ? -work->more[j] : 0;
      work->qm[j] -= work->more[j];
    }
    mrl_poll(ctx);
    MRL_TRY(mrl_gemm_d(work->m, n, work->q, n, MRL_NO_TRANS, work->more, k, MRL_NO_TRANS, n, width,
                       k, 1, work->gemm, isa, ctx));
  }
  return MRL_OK;
}

/* Scores and their Jacobian: T = s f - (s f'x / a'x) a, also as columns; g and j. */
static mrl_status make_scores(slope_work *work, mrl_slope_fit *fit, mrl_isa isa, const mrl_ctx *ctx)
{
  const size_t n = work->n, p = work->p, rows = 1 + p;
  double *inner = work->inner;
  MRL_TRY(mrl_gemm_d(inner, rows, work->m, n, MRL_TRANS, work->m + rows * n, n, MRL_NO_TRANS, rows,
                     p + 2, n, 0, work->gemm, isa, ctx));
  const double ax = inner[0], ay = inner[rows * (p + 1)];
  double aa = 0, xx = 0;
  for (size_t i = 0; i < n; i++) {
    aa += work->m[i] * work->m[i];
    xx += work->m[i + rows * n] * work->m[i + rows * n];
  }
  fit->strength = ax / sqrt(aa * xx);
  if (!(fabs(fit->strength) > 1e-12)) { /* NaN too */
    return isfinite(ax) ? MRL_SINGULAR : MRL_NOT_FINITE;
  }
  fit->b_null = ay / ax;
  for (size_t j = 0; j < p; j++) {
    const double ratio = inner[1 + j] / ax;
    work->g[j] = inner[1 + j + rows * (p + 1)] - ratio * ay;
    for (size_t l = 0; l < p; l++) {
      work->j[j + l * p] = inner[1 + j + rows * (1 + l)] - ratio * inner[rows * (1 + l)];
    }
    for (size_t i = 0; i < n; i++) {
      work->m[i + (1 + j) * n] -= ratio * work->m[i];
    }
  }
  return MRL_OK;
}

/* r = y - b0 x - (x f) b, without q; b NULL: at 0. */
static void set_residual(slope_work *work, double b0, const double *b)
{
  const size_t n = work->n, p = work->p;
  const double *x = work->m + (1 + p) * n, *y = work->m + (2 + 2 * p) * n;
  for (size_t i = 0; i < n; i++) {
    work->r[i] = y[i] - b0 * x[i];
  }
  for (size_t j = 0; b && j < p; j++) {
    const double *xf = x + (1 + j) * n;
    for (size_t i = 0; b[j] != 0 && i < n; i++) {
      work->r[i] -= b[j] * xf[i];
    }
  }
}

/* omega (1 + p, 1 + p) = sum of squares of the scores [a, T] r, by clusters. */
static mrl_status make_omega(slope_work *work, const mrl_slope_data *data, mrl_isa isa,
                             const mrl_ctx *ctx)
{
  const size_t n = work->n, rows = 1 + work->p;
  const double *scores = work->score;
  size_t count = n;
  for (size_t j = 0; j < rows; j++) {
    mrl_poll(ctx);
    for (size_t i = 0; i < n; i++) {
      work->score[i + j * n] = work->m[i + j * n] * work->r[i];
    }
  }
  double units = (double)n;
  if (data->cluster) {
    memset(work->sums, 0, data->n_cluster * rows * sizeof *work->sums);
    for (size_t j = 0; j < rows; j++) {
      for (size_t i = 0; i < n; i++) {
        work->sums[(size_t)data->cluster[i] - 1 + j * data->n_cluster] += work->score[i + j * n];
      }
    }
    scores = work->sums;
    count = data->n_cluster;
    units = (double)count;
  }
  MRL_TRY(mrl_gemm_d(work->omega, rows, scores, count, MRL_TRANS, scores, count, MRL_NO_TRANS, rows,
                     rows, count, 0, work->gemm, isa, ctx));
  const double left = (double)n - (double)work->k - 1;
  const double factor = data->cluster ? units / (units - 1) : (double)n / left;
  for (size_t i = 0; i < rows * rows; i++) {
    work->omega[i] *= factor;
  }
  return MRL_OK;
}

/* chi2 = g' inverse(omega) g of the scores numbered in which (m); meat and mean are overwritten. */
static double score_test(slope_work *work, const size_t *which, size_t m)
{
  const size_t p = work->p, rows = 1 + p;
  double sum = 0;
  for (size_t j = 0; j < m; j++) {
    work->mean[j] = work->g[which[j]];
    for (size_t i = 0; i < m; i++) {
      work->meat[i + j * m] = work->omega[1 + which[i] + (1 + which[j]) * rows];
    }
  }
  if (mrl_cholesky(work->meat, m) != MRL_OK ||
      mrl_triangular_solve(work->mean, work->meat, m, 1, 1) != MRL_OK) {
    return NAN;
  }
  for (size_t j = 0; j < m; j++) {
    sum += work->mean[j] * work->mean[j];
  }
  return sum;
}

static void test_groups(mrl_slope_fit *fit, slope_work *work, const mrl_slope_data *data,
                        size_t *which)
{
  const size_t p = work->p;
  for (size_t k = 0; k <= data->n_groups; k++) {
    size_t m = 0;
    for (size_t j = 0; j < p; j++) {
      if (k == data->n_groups || (size_t)data->group[j] == k + 1) {
        which[m++] = j;
      }
    }
    const double chi2 = score_test(work, which, m);
    if (k < data->n_groups) {
      fit->group_statistic[k] = chi2;
      fit->group_df[k] = (double)m;
    } else {
      fit->statistic = chi2;
      fit->df = (double)m;
    }
  }
  for (size_t j = 0; j < p; j++) {
    fit->g[j] = work->g[j] / sqrt(work->omega[(1 + j) * (2 + p)]);
  }
}

/* B = J' inverse(omega) J and h = J' inverse(omega) g, by the factor of the scores' omega. */
static mrl_status make_likelihood(slope_work *work)
{
  const size_t p = work->p, rows = 1 + p;
  for (size_t j = 0; j < p; j++) {
    work->mean[j] = work->g[j];
    for (size_t i = 0; i < p; i++) {
      work->meat[i + j * p] = work->omega[1 + i + (1 + j) * rows];
      work->covariance[i + j * p] = work->j[i + j * p];
    }
  }
  MRL_TRY(mrl_cholesky(work->meat, p));
  MRL_TRY(mrl_triangular_solve(work->covariance, work->meat, p, p, 1));
  MRL_TRY(mrl_triangular_solve(work->mean, work->meat, p, 1, 1));
  mrl_small_gemm(work->B, p, work->covariance, p, 1, work->covariance, p, 0, p, p, p, 1, 0);
  mrl_small_gemm(work->h, p, work->covariance, p, 1, work->mean, p, 0, p, 1, p, 1, 0);
  return MRL_OK;
}

/* Without a prior: b = inverse(B) h, which inverse(B) is the covariance of. */
static mrl_status free_solution(slope_work *work)
{
  const size_t p = work->p;
  memcpy(work->covariance, work->B, p * p * sizeof *work->B);
  memcpy(work->mean, work->h, p * sizeof *work->h);
  MRL_TRY(mrl_cholesky(work->covariance, p));
  MRL_TRY(mrl_cholesky_solve(work->mean, work->covariance, p, 1));
  return mrl_cholesky_inverse(work->covariance, p);
}

static mrl_status solve(slope_work *work, const mrl_prior_problem *problem, mrl_slope_fit *fit,
                        const mrl_slope_settings *settings)
{
  if (settings->penalty == MRL_SLOPE_FREE) {
    return free_solution(work);
  }
  return mrl_prior_posterior(work->mean, work->covariance, problem, fit->variance, &work->prior);
}

/* b0 given b, and the joint covariance: b0 - true = (a'e / a'x) - c'(b - true), c = a'(x f) / a'x,
 * and b is inverse(omega)-weighted in the scores, whose covariance with a'e omega has. */
static mrl_status joint_covariance(mrl_slope_fit *fit, slope_work *work)
{
  const size_t p = work->p, rows = 1 + p;
  const double *inner = work->inner, ax = inner[0];
  double *c = work->h, *lean = work->g, *v = fit->vcov;
  /* work->g is not needed any more: lean = covariance J' inverse(omega_TT) omega_T0 / a'x. */
  for (size_t j = 0; j < p; j++) {
    c[j] = inner[rows * (1 + j)] / ax;
    work->mean[j] = work->omega[1 + j] / ax;
    for (size_t i = 0; i < p; i++) {
      work->meat[i + j * p] = work->omega[1 + i + (1 + j) * rows];
    }
  }
  MRL_TRY(mrl_cholesky(work->meat, p));
  MRL_TRY(mrl_cholesky_solve(work->mean, work->meat, p, 1));
  mrl_small_gemm(work->B, p, work->j, p, 1, work->mean, p, 0, p, 1, p, 1, 0);
  mrl_small_gemm(lean, p, work->covariance, p, 0, work->B, p, 0, p, 1, p, 1, 0);
  v[0] = work->omega[0] / (ax * ax);
  for (size_t i = 0; i < p; i++) {
    double along = 0;
    for (size_t j = 0; j < p; j++) {
      v[1 + i + (1 + j) * rows] = work->covariance[i + j * p];
      along += work->covariance[i + j * p] * c[j];
    }
    v[1 + i] = v[(1 + i) * rows] = lean[i] - along;
    v[0] += c[i] * (along - 2 * lean[i]);
  }
  return MRL_OK;
}

/* The mean slope's standard error, people being drawn: of f'b + a e / (mean of a x), by clusters.
 */
static double average_error(slope_work *work, const mrl_slope_fit *fit, const mrl_slope_data *data)
{
  const size_t n = work->n, p = work->p;
  double total = 0, square = 0, units = (double)n;
  const size_t count = data->cluster ? data->n_cluster : n;
  double *sum = data->cluster ? work->sums : work->score;
  for (size_t i = 0; i < n; i++) {
    total += work->root[i] * work->root[i];
  }
  memset(sum, 0, count * sizeof *sum);
  for (size_t i = 0; i < n; i++) {
    double f = 0;
    for (size_t j = 0; j < p; j++) {
      f += (data->f[j][i] - fit->center[j]) * fit->coef[1 + j];
    }
    const double part =
        work->root[i] * work->root[i] * f / total + work->m[i] * work->r[i] / work->inner[0];
    sum[data->cluster ? (size_t)data->cluster[i] - 1 : i] += part;
  }
  for (size_t i = 0; i < count; i++) {
    square += sum[i] * sum[i];
  }
  units = (double)count;
  const double left = data->cluster ? units - 1 : units - (double)work->k - 1;
  return sqrt(square * units / left);
}

/* Main effects of the outcome in the units of q, and the residuals. */
static void main_effects(mrl_slope_fit *fit, slope_work *work, const mrl_slope_data *data)
{
  const size_t k = work->k, p = work->p;
  const double *b = fit->coef + 1;
  for (size_t j = 0; j < k; j++) {
    double sum = work->qm[j + (2 * p + 2) * k] - fit->coef[0] * work->qm[j + (1 + p) * k];
    for (size_t l = 0; l < p; l++) {
      sum -= b[l] * work->qm[j + (2 + p + l) * k];
    }
    fit->mu[j] = sum * work->scale[j];
    if (j > 0) {
      fit->mu[0] -= fit->mu[j] * work->shift[j];
    }
  }
  for (size_t i = 0; i < data->n; i++) {
    fit->residual[i] = work->root[i] > 0 ? work->r[i] / work->root[i] : 0;
  }
}

/*
 * Terms that could not pay the charge may matter all the same. The covariance becomes the second
 * moment about the estimate under the priors of largest likelihood, without a charge.
 */
static mrl_status admit_doubt(slope_work *work, mrl_prior_problem problem, const mrl_slope_fit *fit,
                              const mrl_ctx *ctx)
{
  const size_t p = work->p;
  problem.charge = 0;
  mrl_prior_choose(work->variance, &problem, &work->prior, ctx);
  MRL_TRY(mrl_prior_posterior(work->open, work->spread, &problem, work->variance, &work->prior));
  for (size_t j = 0; j < p; j++) {
    const double at = work->open[j] - fit->coef[1 + j];
    for (size_t i = 0; i < p; i++) {
      work->covariance[i + j * p] =
          work->spread[i + j * p] + at * (work->open[i] - fit->coef[1 + i]);
    }
  }
  return MRL_OK;
}

static mrl_status choose(slope_work *work, mrl_slope_fit *fit, const mrl_slope_data *data,
                         const mrl_slope_settings *settings, const mrl_ctx *ctx)
{
  const mrl_prior_problem problem = {work->p, data->n_groups, data->group,
                                     work->B, work->h,        settings->charge};
  MRL_TRY(make_likelihood(work));
  for (size_t k = 0; k < data->n_groups; k++) {
    fit->variance[k] = INFINITY;
  }
  if (settings->penalty == MRL_SLOPE_SHRUNK) {
    mrl_prior_choose(fit->variance, &problem, &work->prior, ctx);
  }
  MRL_TRY(solve(work, &problem, fit, settings));
  const double ax = work->inner[0];
  fit->coef[0] = fit->b_null;
  for (size_t j = 0; j < work->p; j++) {
    fit->coef[1 + j] = work->mean[j];
    fit->coef[0] -= work->inner[(1 + work->p) * (1 + j)] / ax * work->mean[j];
  }
  /* The covariance at the slopes found. */
  set_residual(work, fit->coef[0], fit->coef + 1);
  MRL_TRY(make_omega(work, data, settings->isa, ctx));
  MRL_TRY(make_likelihood(work));
  MRL_TRY(solve(work, &problem, fit, settings));
  if (settings->penalty == MRL_SLOPE_SHRUNK && isfinite(settings->charge)) {
    MRL_TRY(admit_doubt(work, problem, fit, ctx));
  }
  return joint_covariance(fit, work);
}

static mrl_status all_finite(const mrl_slope_fit *fit, size_t p)
{
  double sum = 0;
  for (size_t i = 0; i < (1 + p) * (1 + p); i++) {
    sum += fit->vcov[i] * 0;
  }
  for (size_t i = 0; i <= p; i++) {
    sum += fit->coef[i] * 0;
  }
  return sum == 0 ? MRL_OK : MRL_NOT_FINITE;
}

mrl_status mrl_slope_run(mrl_slope_fit *fit, const mrl_slope_data *data,
                         const mrl_slope_settings *settings, void *scratch, size_t size,
                         const mrl_ctx *ctx)
{
  mrl_arena arena = mrl_arena_over(scratch, size);
  slope_work work;
  carve(&work, &arena, data, ctx);
  if (arena.failed) {
    return MRL_NO_MEMORY;
  }
  const size_t units = data->cluster ? data->n_cluster : data->n;
  if (data->p == 0) {
    return MRL_BAD_ARGUMENT;
  }
  if (data->n <= work.k + work.p + 1 || units <= work.p + 1) {
    return MRL_TOO_FEW;
  }
  fill_columns(&work, fit->center, data, ctx);
  MRL_TRY(partial_out(&work, settings->isa, ctx));
  MRL_TRY(make_scores(&work, fit, settings->isa, ctx));
  set_residual(&work, fit->b_null, NULL);
  MRL_TRY(make_omega(&work, data, settings->isa, ctx));
  fit->se_null = sqrt(work.omega[0]) / fabs(work.inner[0]);
  size_t *which = (size_t *)(void *)work.more; /* as long as k width >= p, which it is */
  test_groups(fit, &work, data, which);
  MRL_TRY(choose(&work, fit, data, settings, ctx));
  fit->se_average = average_error(&work, fit, data);
  main_effects(fit, &work, data);
  return all_finite(fit, data->p);
}
