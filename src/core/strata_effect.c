#include "strata_part.h"

#include "blas.h"
#include "logit.h"
#include "lsq.h"
#include "prob.h"

#include <math.h>
#include <string.h>

/* No thread inside a stratum, and no poll in a parallel region. */
static const mrl_ctx alone = {1, NULL, NULL};

typedef struct {
  double *column;        /* (n, n_w + 3) covariates, instrument, exposure, outcome of the people */
  const double **col;    /* (n_w + 3) */
  double *weights;       /* (n) or NULL */
  mrl_lsq lsq;           /* of both regressions; with a logistic one only that of the exposure */
  void *gram;            /* mrl_gram_scratch(n_w + 4) */
  double *q;             /* (n) instrument less what the others explain, of unit length */
  double *ex, *ey;       /* (n) what each person moves the two associations by */
  double *coef;          /* (n_w + 2) */
  double *sum_x, *sum_y; /* (n_cluster) or NULL */
  mrl_logit_work logit;
  double *theta, *vcov; /* (k), (k, k) of the logistic regression */
} effect_work;

static mrl_lsq_data lsq_data(const effect_work *work, const mrl_strata_data *data, size_t n)
{
  const mrl_lsq_data out = {.col = work->col,
                            .weights = work->weights,
                            .n = n,
                            .n_exog = data->n_w,
                            .n_inst = 1,
                            .n_endog = 1,
                            .intercept = 1};
  return out;
}

/* Of the columns that the linear regression kept, or while measuring of all. */
static mrl_logit_data logit_data(const effect_work *work, const mrl_strata_data *data, size_t n)
{
  const mrl_logit_data out = {.col = work->lsq.c_col ? work->lsq.c_col + 1 : NULL,
                              .y = work->col ? work->col[data->n_w + 2] : NULL,
                              .weights = work->weights,
                              .n = n,
                              .p = work->lsq.kc > 0 ? work->lsq.kc - 1 : data->n_w + 1,
                              .intercept = 1};
  return out;
}

static void carve(effect_work *work, const mrl_strata_data *data, const mrl_strata_settings *s,
                  size_t n, mrl_arena *arena)
{
  const size_t columns = data->n_w + 3, k = data->n_w + 2;
  memset(work, 0, sizeof *work);
  work->column = MRL_TAKE(arena, double, n *columns);
  const double **col = MRL_TAKE(arena, const double *, columns);
  work->weights = data->weights ? MRL_TAKE(arena, double, n) : NULL;
  for (size_t j = 0; col && j < columns; j++) {
    col[j] = work->column + j * n;
  }
  work->col = col;
  mrl_lsq_data lsq = lsq_data(work, data, n);
  lsq.weights = data->weights; /* that there are some, also while measuring */
  mrl_lsq_carve(&work->lsq, &lsq, arena);
  work->gram = mrl_take(arena, mrl_gram_scratch(columns + 1, &alone), 1);
  work->q = MRL_TAKE(arena, double, n);
  work->ex = MRL_TAKE(arena, double, n);
  work->ey = MRL_TAKE(arena, double, n);
  work->coef = MRL_TAKE(arena, double, k);
  if (s->vcov == MRL_STRATA_CLUSTER) {
    work->sum_x = MRL_TAKE(arena, double, data->n_cluster);
    work->sum_y = MRL_TAKE(arena, double, data->n_cluster);
  }
  if (s->logistic) {
    mrl_logit_data logit = logit_data(work, data, n);
    mrl_logit_carve(&work->logit, &logit, &alone, arena);
    work->theta = MRL_TAKE(arena, double, k);
    work->vcov = MRL_TAKE(arena, double, k *k);
  }
}

size_t mrl_strata_effect_scratch(const mrl_strata_data *data, const mrl_strata_settings *settings,
                                 size_t most)
{
  effect_work work;
  mrl_arena arena = mrl_arena_measure();
  carve(&work, data, settings, most, &arena);
  return arena.used;
}

static void gather(effect_work *work, const mrl_strata_data *data, const size_t *row, size_t n)
{
  for (size_t j = 0; j < data->n_w + 3; j++) {
    const double *from = j < data->n_w        ? data->w[j]
                         : j == data->n_w     ? data->z
                         : j == data->n_w + 1 ? data->x
                                              : data->y;
    double *to = work->column + j * n;
    for (size_t i = 0; i < n; i++) {
      to[i] = from[row[i]];
    }
  }
  for (size_t i = 0; data->weights && i < n; i++) {
    work->weights[i] = data->weights[row[i]];
  }
}

static double mean_exposure(const effect_work *work, const mrl_strata_data *data, size_t n)
{
  const double *x = work->col[data->n_w + 1];
  double sum = 0, total = 0;
  for (size_t i = 0; i < n; i++) {
    const double weight = work->weights ? work->weights[i] : 1;
    sum += weight * x[i];
    total += weight;
  }
  return sum / total;
}

static int is_constant(const double *x, size_t n)
{
  size_t i = 1;
  while (i < n && x[i] == x[0]) {
    i++;
  }
  return i >= n;
}

/* q (n): the last column of C R^-1, in scaled units and without weights. */
static mrl_status unit_instrument(effect_work *work)
{
  const mrl_lsq *lsq = &work->lsq;
  memset(work->coef, 0, lsq->kc * sizeof *work->coef);
  work->coef[lsq->kc - 1] = -1;
  MRL_TRY(mrl_triangular_solve(work->coef, lsq->rc, lsq->kc, 1, 0));
  memset(work->q, 0, lsq->n * sizeof *work->q);
  mrl_columns_subtract(work->q, work->q, &lsq->c, work->coef, &alone);
  return MRL_OK;
}

/* out (n): what each person moves the association of column j (0: exposure, 1: outcome) by. */
static mrl_status linear_moves(double *out, effect_work *work, size_t j)
{
  const mrl_lsq *lsq = &work->lsq;
  const size_t at = lsq->k_full + lsq->n_inst_full + j, kc = lsq->kc;
  for (size_t i = 0; i < lsq->n; i++) {
    out[i] = (lsq->col[at][i] - lsq->shift[at]) * lsq->scale[at];
  }
  memcpy(work->coef, lsq->rcx + j * kc, kc * sizeof *work->coef);
  MRL_TRY(mrl_triangular_solve(work->coef, lsq->rc, kc, 1, 0));
  mrl_columns_subtract(out, out, &lsq->c, work->coef, &alone);
  const double unit = lsq->c_scale[kc - 1] / lsq->scale[at] / lsq->rc[kc * kc - 1];
  for (size_t i = 0; i < lsq->n; i++) {
    out[i] *= work->q[i] * unit * (work->weights ? work->weights[i] : 1);
  }
  return MRL_OK;
}

/* The same of the log-odds: row z of the inverse information times the score. */
static void logit_moves(double *out, const effect_work *work, const mrl_strata_data *data, size_t n)
{
  const size_t k = work->lsq.kc;
  const double *const *col = work->lsq.c_col;
  const double *y = work->col[data->n_w + 2], *v = work->vcov + (k - 1) * k;
  for (size_t i = 0; i < n; i++) {
    double eta = work->theta[0], along = v[0];
    for (size_t j = 1; j < k; j++) {
      eta += work->theta[j] * col[j][i];
      along += v[j] * col[j][i];
    }
    out[i] = along * (y[i] - mrl_logistic(eta)) * (work->weights ? work->weights[i] : 1);
  }
}

typedef struct {
  double xx, yy, xy;
} moments;

static moments products(const double *x, const double *y, size_t n)
{
  moments m = {0, 0, 0};
  for (size_t i = 0; i < n; i++) {
    m.xx += x[i] * x[i];
    m.yy += y[i] * y[i];
    m.xy += x[i] * y[i];
  }
  return m;
}

/* Robust moments of the two associations. HC1: times n / (n - k); clusters: G / (G - 1) (n - 1) /
 * (n - k), of the clusters that the stratum has. */
static moments robust(effect_work *work, const mrl_strata_data *data, const size_t *row, size_t n,
                      double df, mrl_strata_vcov vcov)
{
  double factor = (double)n / df;
  moments m;
  if (vcov != MRL_STRATA_CLUSTER) {
    m = products(work->ex, work->ey, n);
  } else {
    memset(work->sum_x, 0, data->n_cluster * sizeof *work->sum_x);
    memset(work->sum_y, 0, data->n_cluster * sizeof *work->sum_y);
    double *seen = work->q; /* no longer needed; at most n clusters are */
    size_t groups = 0;
    for (size_t i = 0; i < n; i++) {
      const int c = data->cluster[row[i]] - 1;
      work->sum_x[c] += work->ex[i];
      work->sum_y[c] += work->ey[i];
      seen[i] = c;
    }
    m = products(work->sum_x, work->sum_y, data->n_cluster);
    for (size_t i = 0; i < n; i++) { /* NaN marks a cluster that has been counted */
      double *sum = &work->sum_x[(size_t)seen[i]];
      groups += !isnan(*sum);
      *sum = NAN;
    }
    factor = (double)groups / ((double)groups - 1) * ((double)n - 1) / df;
  }
  return (moments){m.xx * factor, m.yy * factor, m.xy * factor};
}

/* Moments of both linear associations where errors have equal variances. */
static moments equal_errors(const mrl_lsq *lsq, double df)
{
  const double unit = lsq->c_scale[lsq->kc - 1] / lsq->rc[lsq->kc * lsq->kc - 1];
  const size_t at = lsq->k_full + lsq->n_inst_full;
  const double ux = unit / lsq->scale[at], uy = unit / lsq->scale[at + 1], *r = lsq->rxx;
  return (moments){ux * ux * r[0] * r[0] / df, uy * uy * (r[2] * r[2] + r[3] * r[3]) / df,
                   ux * uy * r[0] * r[2] / df};
}

/* The outcome's log-odds; NaN where there is none. */
static mrl_status logistic(double *effect, moments *v, effect_work *work,
                           const mrl_strata_data *data, const mrl_strata_settings *s, size_t n)
{
  const size_t k = work->lsq.kc;
  const mrl_logit_data logit = logit_data(work, data, n);
  mrl_logit_fit fit = {.coef = work->theta, .vcov = work->vcov};
  const mrl_status status = mrl_logit_run(&fit, &logit, &work->logit, s->isa, &alone);
  effect[MRL_STRATUM_SEPARATED] = status == MRL_NO_CONVERGE && fit.separated;
  if (status == MRL_NO_CONVERGE || status == MRL_SINGULAR || status == MRL_TOO_FEW) {
    effect[MRL_STRATUM_BY] = v->yy = v->xy = NAN;
    memset(work->ey, 0, n * sizeof *work->ey);
    return MRL_OK;
  }
  MRL_TRY(status);
  effect[MRL_STRATUM_BY] = work->theta[k - 1];
  logit_moves(work->ey, work, data, n);
  v->yy = work->vcov[k * k - 1];
  v->xy = products(work->ex, work->ey, n).xy;
  return MRL_OK;
}

static mrl_status associate(double *effect, effect_work *work, const mrl_strata_data *data,
                            const size_t *row, size_t n, const mrl_strata_settings *s)
{
  const mrl_lsq *lsq = &work->lsq;
  const size_t kc = lsq->kc, at = lsq->k_full + lsq->n_inst_full;
  const double df = (double)n - (double)kc;
  const double unit = lsq->c_scale[kc - 1] / lsq->rc[kc * kc - 1];
  effect[MRL_STRATUM_DF] = df;
  effect[MRL_STRATUM_BX] = lsq->rcx[kc - 1] * unit / lsq->scale[at];
  effect[MRL_STRATUM_BY] = lsq->rcx[2 * kc - 1] * unit / lsq->scale[at + 1];
  moments v = equal_errors(lsq, df);
  if (s->logistic || s->vcov != MRL_STRATA_IID) {
    MRL_TRY(unit_instrument(work));
    MRL_TRY(linear_moves(work->ex, work, 0));
    MRL_TRY(linear_moves(work->ey, work, 1));
  }
  if (s->logistic) {
    MRL_TRY(logistic(effect, &v, work, data, s, n));
  }
  if (s->vcov != MRL_STRATA_IID) {
    const double none = v.yy * 0; /* NaN where the outcome has no association */
    v = robust(work, data, row, n, df, s->vcov);
    v.yy += none;
    v.xy += none;
  }
  effect[MRL_STRATUM_VXX] = v.xx;
  effect[MRL_STRATUM_VYY] = v.yy;
  effect[MRL_STRATUM_VXY] = v.xy;
  return MRL_OK;
}

mrl_status mrl_strata_effect(double *effect, const mrl_strata_data *data, const size_t *row,
                             size_t n, const mrl_strata_settings *settings, void *scratch,
                             size_t scratch_size)
{
  effect_work work;
  mrl_arena arena = mrl_arena_over(scratch, scratch_size);
  for (int j = MRL_STRATUM_MEAN; j < MRL_STRATUM_SEPARATED; j++) {
    effect[j] = NAN;
  }
  effect[MRL_STRATUM_N] = (double)n;
  effect[MRL_STRATUM_SEPARATED] = 0;
  if (n == 0) {
    return MRL_OK;
  }
  carve(&work, data, settings, n, &arena);
  if (arena.failed) {
    return MRL_NO_MEMORY;
  }
  gather(&work, data, row, n);
  effect[MRL_STRATUM_MEAN] = mean_exposure(&work, data, n);
  if (n < 3 || is_constant(work.col[data->n_w + 1], n)) {
    return MRL_OK;
  }
  const mrl_lsq_data lsq = lsq_data(&work, data, n);
  MRL_TRY(mrl_lsq_factor(&work.lsq, &lsq, work.gram, settings->isa, &alone));
  if (work.lsq.n_inst == 0 || n <= work.lsq.kc) {
    return MRL_OK;
  }
  return associate(effect, &work, data, row, n, settings);
}
