#include "cf.h"

#include "blas.h"
#include "rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
  double value, weight;
} weighted_value;

/* Least squares of one column on others. */
typedef struct {
  mrl_lsq lsq;
  mrl_lsq_data data;
  const double **col;   /* (k) regressors without the constant, outcome */
  double *theta, *step; /* (1 + k) */
  double *u, *weighted; /* (n) residuals in scaled units; times weights */
} cf_regression;

/* What one fit needs; a thread has one of its own. */
typedef struct {
  cf_regression first, second;
  mrl_logit_work logit;
  mrl_logit_data logit_data;
  void *gram;
  size_t *count;            /* (n) draws of each row or cluster */
  double *weights;          /* (n) of the rows drawn, or the data's */
  double *residual, *index; /* (n) */
  double *basis;            /* (n, width) of the residual */
  weighted_value *sorted;   /* (n) */
} cf_slot;

typedef struct {
  const mrl_cf_data *data;
  const mrl_cf_settings *settings;
  size_t kx, kr, k;
  double *exposure; /* (n, kx) the exposure's basis */
  cf_slot *slot;    /* (n_slots) */
  size_t n_slots;
} cf_job;

static void carve_regression(cf_regression *to, size_t n, size_t k, mrl_arena *arena)
{
  static const double weighted = 1; /* says that there will be weights; sizes do not read them */
  const mrl_lsq_data data = {NULL, &weighted, n, k, 0, 0, 1};
  to->data = data;
  mrl_lsq_carve(&to->lsq, &data, arena);
  to->col = MRL_TAKE(arena, const double *, k + 1);
  to->theta = MRL_TAKE(arena, double, k + 1);
  to->step = MRL_TAKE(arena, double, k + 1);
  to->u = MRL_TAKE(arena, double, n);
  to->weighted = MRL_TAKE(arena, double, n);
}

static void carve_slot(cf_slot *slot, const cf_job *job, mrl_arena *arena)
{
  static const mrl_ctx alone = {1, NULL, NULL};
  const mrl_cf_data *data = job->data;
  const size_t n = data->n, k1 = data->n_exog + data->n_inst, k2 = job->k - 1;
  cf_slot to;
  memset(&to, 0, sizeof to);
  carve_regression(&to.first, n, k1, arena);
  carve_regression(&to.second, n, k2, arena);
  const mrl_logit_data logit = {NULL, NULL, NULL, NULL, n, k2, 1};
  to.logit_data = logit;
  mrl_logit_carve(&to.logit, &logit, &alone, arena);
  to.gram = mrl_take(arena, mrl_gram_scratch((k1 > k2 ? k1 : k2) + 2, &alone), 1);
  to.count = MRL_TAKE(arena, size_t, n);
  to.weights = MRL_TAKE(arena, double, n);
  to.residual = MRL_TAKE(arena, double, n);
  to.index = MRL_TAKE(arena, double, n);
  to.basis = MRL_TAKE(arena, double, n * job->kr);
  to.sorted = MRL_TAKE(arena, weighted_value, n);
  if (slot) {
    *slot = to;
  }
}

static void carve(cf_job *job, const mrl_cf_data *data, const mrl_cf_settings *settings,
                  const mrl_ctx *ctx, mrl_arena *arena)
{
  job->data = data;
  job->settings = settings;
  job->kx = mrl_cf_basis_width(&settings->exposure);
  job->kr = mrl_cf_basis_width(&settings->residual);
  job->k = 1 + data->n_exog + job->kx + job->kr;
  job->n_slots = (size_t)ctx->n_threads;
  job->exposure = MRL_TAKE(arena, double, data->n * job->kx);
  job->slot = MRL_TAKE(arena, cf_slot, job->n_slots);
  for (size_t i = 0; i < job->n_slots; i++) {
    carve_slot(job->slot ? job->slot + i : NULL, job, arena);
  }
}

size_t mrl_cf_scratch(const mrl_cf_data *data, const mrl_cf_settings *settings, const mrl_ctx *ctx)
{
  cf_job job;
  mrl_arena arena = mrl_arena_measure();
  carve(&job, data, settings, ctx, &arena);
  return arena.failed ? 0 : arena.used;
}

/* One step towards the least squares of u on the columns: theta += it, u -= its fit. */
static mrl_status refine(cf_regression *reg, const double *weights, const mrl_ctx *ctx)
{
  const mrl_lsq *lsq = &reg->lsq;
  for (size_t i = 0; i < lsq->n; i++) {
    reg->weighted[i] = weights[i] * reg->u[i];
  }
  mrl_columns_dot(reg->step, &lsq->c, reg->weighted, ctx);
  MRL_TRY(mrl_triangular_solve(reg->step, lsq->rc, lsq->kc, 1, 1));
  MRL_TRY(mrl_triangular_solve(reg->step, lsq->rc, lsq->kc, 1, 0));
  for (size_t j = 0; j < lsq->kc; j++) {
    reg->theta[j] += reg->step[j];
  }
  mrl_columns_subtract(reg->u, reg->u, &lsq->c, reg->step, ctx);
  return MRL_OK;
}

/* theta (kc) and u in scaled units. The columns and the outcome are in reg->col. */
static mrl_status regress(cf_regression *reg, const double *weights, void *gram, mrl_isa isa,
                          const mrl_ctx *ctx)
{
  mrl_lsq *lsq = &reg->lsq;
  reg->data.col = reg->col;
  reg->data.weights = weights;
  MRL_TRY(mrl_lsq_factor(lsq, &reg->data, gram, isa, ctx));
  const size_t y = lsq->p - 1;
  for (size_t i = 0; i < lsq->n; i++) {
    reg->u[i] = (lsq->col[y][i] - lsq->shift[y]) * lsq->scale[y];
  }
  memset(reg->theta, 0, lsq->kc * sizeof *reg->theta);
  MRL_TRY(refine(reg, weights, ctx));
  return refine(reg, weights, ctx);
}

/* Coefficients (p - 1) in the units of the data; every column was kept. */
static void unscale(double *coef, const cf_regression *reg)
{
  const mrl_lsq *lsq = &reg->lsq;
  const size_t y = lsq->p - 1;
  coef[0] = lsq->shift[y] + reg->theta[0] / lsq->scale[y];
  for (size_t j = 1; j < lsq->kc; j++) {
    coef[j] = reg->theta[j] * lsq->scale[j] / lsq->scale[y];
    coef[0] -= coef[j] * lsq->shift[j];
  }
}

static mrl_status first_stage(cf_slot *slot, const cf_job *job, const mrl_ctx *ctx)
{
  const mrl_cf_data *data = job->data;
  const size_t k1 = data->n_exog + data->n_inst;
  cf_regression *reg = &slot->first;
  memcpy(reg->col, data->col, k1 * sizeof *reg->col);
  reg->col[k1] = data->x;
  MRL_TRY(regress(reg, slot->weights, slot->gram, job->settings->isa, ctx));
  const double scale = reg->lsq.scale[reg->lsq.p - 1];
  double left = 0, total = 0;
  for (size_t i = 0; i < data->n; i++) {
    slot->residual[i] = reg->u[i] / scale;
    left += slot->weights[i] * reg->u[i] * reg->u[i];
    total += slot->weights[i];
  }
  /* Of an exposure that is explained wholly, rounding is left. */
  return left > MRL_LSQ_TOLERANCE * total ? MRL_OK : MRL_SINGULAR;
}

static double weighted_mean(const double *x, const double *weights, size_t n)
{
  double sum = 0, total = 0;
  for (size_t i = 0; i < n; i++) {
    sum += weights[i] * x[i];
    total += weights[i];
  }
  return sum / total;
}

/* The columns of both bases and of the covariates, in the second stage's order. */
static void lay_second(mrl_cf_fit *fit, cf_slot *slot, const cf_job *job)
{
  const mrl_cf_data *data = job->data;
  const size_t n = data->n;
  const double **col = slot->second.col;
  size_t at = 0;
  for (size_t j = 0; j < data->n_exog; j++) {
    fit->mean[j] = weighted_mean(data->col[j], slot->weights, n);
    col[at++] = data->col[j];
  }
  for (size_t j = 0; j < job->kx; j++) {
    col[at++] = job->exposure + j * n;
  }
  mrl_cf_basis_fill(slot->basis, slot->residual, n, &job->settings->residual);
  for (size_t j = 0; j < job->kr; j++) {
    double *column = slot->basis + j * n;
    fit->centre[j] = weighted_mean(column, slot->weights, n);
    for (size_t i = 0; i < n; i++) {
      column[i] -= fit->centre[j];
    }
    col[at++] = column;
  }
  col[at] = data->y;
}

static mrl_status second_stage(mrl_cf_fit *fit, cf_slot *slot, const cf_job *job,
                               const mrl_ctx *ctx)
{
  const mrl_isa isa = job->settings->isa;
  fit->separated = 0;
  if (!job->settings->binomial) {
    MRL_TRY(regress(&slot->second, slot->weights, slot->gram, isa, ctx));
    if (slot->second.lsq.kc < job->k) {
      return MRL_SINGULAR;
    }
    unscale(fit->coef, &slot->second);
    return MRL_OK;
  }
  mrl_logit_data *logit = &slot->logit_data;
  logit->col = slot->second.col;
  logit->y = job->data->y;
  logit->weights = slot->weights;
  mrl_logit_fit out = {.coef = fit->coef, .vcov = fit->vcov};
  const mrl_status status = mrl_logit_run(&out, logit, &slot->logit, isa, ctx);
  fit->separated = out.separated;
  return status;
}

/* Sets slot->index to a sum of columns from .. to - 1 of the second stage; first: its start. */
static void add_columns(cf_slot *slot, const cf_job *job, const double *coef, double first,
                        size_t from, size_t to)
{
  const size_t n = job->data->n;
  for (size_t i = 0; i < n; i++) {
    slot->index[i] = first;
  }
  for (size_t j = from; j < to; j++) {
    const double *x = slot->second.col[j], b = coef[1 + j];
    for (size_t i = 0; i < n; i++) {
      slot->index[i] += b * x[i];
    }
  }
}

static int by_value(const void *a, const void *b)
{
  const double x = ((const weighted_value *)a)->value, y = ((const weighted_value *)b)->value;
  return (x > y) - (x < y);
}

/* The index, sorted and cut into bins of equal weight; a row may fall into two of them. */
static void fill_bins(double *bins, cf_slot *slot, const cf_job *job)
{
  const size_t points = job->settings->n_points;
  size_t n = 0;
  double total = 0;
  for (size_t i = 0; i < job->data->n; i++) {
    if (slot->weights[i] > 0) {
      const weighted_value item = {slot->index[i], slot->weights[i]};
      slot->sorted[n++] = item;
      total += item.weight;
    }
  }
  qsort(slot->sorted, n, sizeof *slot->sorted, by_value);
  size_t row = 0;
  double left = n > 0 ? slot->sorted[0].weight : 0;
  for (size_t b = 0; b < points; b++) {
    double need = total / (double)points, sum = 0;
    const double mass = need;
    while (row + 1 < n && left <= need) {
      sum += left * slot->sorted[row].value;
      need -= left;
      left = slot->sorted[++row].weight;
    }
    sum += need * slot->sorted[row].value;
    left -= need;
    bins[b] = sum / mass;
  }
}

/* Both stages with the slot's weights, and what averages over people need. */
static mrl_status fit_slot(mrl_cf_fit *fit, cf_slot *slot, const cf_job *job, const mrl_ctx *ctx)
{
  const mrl_cf_data *data = job->data;
  const size_t n = data->n, before = data->n_exog + job->kx;
  if (n <= job->k || n <= 1 + data->n_exog + data->n_inst) {
    return MRL_TOO_FEW;
  }
  MRL_TRY(first_stage(slot, job, ctx));
  lay_second(fit, slot, job);
  MRL_TRY(second_stage(fit, slot, job, ctx));
  add_columns(slot, job, fit->coef, 0, before, job->k - 1);
  fill_bins(fit->r_bins, slot, job);
  for (size_t j = 0; j < data->n_exog; j++) {
    for (size_t i = 0; i < n; i++) {
      slot->index[i] += fit->coef[1 + j] * data->col[j][i];
    }
  }
  for (size_t i = 0; i < n; i++) {
    slot->index[i] += fit->coef[0];
  }
  fill_bins(fit->bins, slot, job);
  for (size_t j = 0; j < job->k; j++) {
    if (!isfinite(fit->coef[j])) {
      return MRL_NOT_FINITE;
    }
  }
  return MRL_OK;
}

static mrl_status open_job(cf_job *job, const mrl_cf_data *data, const mrl_cf_settings *settings,
                           void *scratch, size_t size, const mrl_ctx *ctx)
{
  mrl_arena arena = mrl_arena_over(scratch, size);
  if (settings->n_points < 1 || data->n < 1) {
    return MRL_BAD_ARGUMENT;
  }
  carve(job, data, settings, ctx, &arena);
  if (arena.failed) {
    return MRL_NO_MEMORY;
  }
  mrl_cf_basis_fill(job->exposure, data->x, data->n, &settings->exposure);
  return MRL_OK;
}

mrl_status mrl_cf_run(mrl_cf_fit *fit, const mrl_cf_data *data, const mrl_cf_settings *settings,
                      void *scratch, size_t size, const mrl_ctx *ctx)
{
  const mrl_ctx one = {1, ctx->poll, ctx->poll_data};
  cf_job job;
  MRL_TRY(open_job(&job, data, settings, scratch, size, &one));
  cf_slot *slot = job.slot;
  for (size_t i = 0; i < data->n; i++) {
    slot->weights[i] = data->weights ? data->weights[i] : 1;
  }
  MRL_TRY(fit_slot(fit, slot, &job, &one));
  if (fit->residual) {
    memcpy(fit->residual, slot->residual, data->n * sizeof *fit->residual);
  }
  if (fit->index) {
    memcpy(fit->index, slot->index, data->n * sizeof *fit->index);
  }
  return MRL_OK;
}

/* Weights of the rows drawn in replicate b. */
static void resample(cf_slot *slot, const cf_job *job, size_t b)
{
  const mrl_cf_data *data = job->data;
  const size_t groups = data->cluster ? data->n_cluster : data->n;
  mrl_rng rng = mrl_rng_stream(job->settings->seed, MRL_RNG_BOOTSTRAP, b);
  memset(slot->count, 0, groups * sizeof *slot->count);
  for (size_t i = 0; i < groups; i++) {
    slot->count[mrl_rng_below(&rng, groups)]++;
  }
  for (size_t i = 0; i < data->n; i++) {
    const size_t group = data->cluster ? (size_t)data->cluster[i] - 1 : i;
    slot->weights[i] = (data->weights ? data->weights[i] : 1) * (double)slot->count[group];
  }
}

mrl_status mrl_cf_boot(mrl_cf_fit *fit, mrl_status *status, size_t count, const mrl_cf_data *data,
                       const mrl_cf_settings *settings, void *scratch, size_t size,
                       const mrl_ctx *ctx)
{
  static const mrl_ctx alone = {1, NULL, NULL};
  cf_job job;
  MRL_TRY(open_job(&job, data, settings, scratch, size, ctx));
  for (size_t from = 0; from < count; from += job.n_slots) {
    const size_t left = count - from, m = left < job.n_slots ? left : job.n_slots;
#pragma omp parallel for num_threads(ctx->n_threads) schedule(static)
    for (size_t i = 0; i < m; i++) {
      resample(job.slot + i, &job, from + i);
      status[from + i] = fit_slot(fit + from + i, job.slot + i, &job, &alone);
    }
    mrl_poll(ctx);
  }
  return MRL_OK;
}
