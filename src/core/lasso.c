#include "lasso.h"
#include "lasso_moments.h"
#include "lasso_path.h"
#include "rng.h"

#include <math.h>
#include <string.h>

/* Multiplications between two polls (a round may add as many): at most about 0.05 s. */
static const double poll_work = 2e7;
/* Fewer multiplications than this do not pay for waking threads. */
static const double thread_work = 1e7;

/* The problems - task 0 on all rows, task k on the rows outside fold k - are dealt out to lanes:
 * lane l works on tasks l, l + n_lanes, ... whatever thread runs it. */
typedef struct {
  mrl_lasso_path path;
  size_t task;       /* n_tasks: nothing left to do */
  size_t i_lambda;   /* next penalty of the task */
  int started;       /* path is set up for the task */
  double *a;         /* (q) coefficients of the unpenalised columns */
  size_t *used;      /* (p) columns that the fit uses ... */
  double *theta;     /* (p) ... and their coefficients */
  mrl_status status; /* of the lane so far */
} lane;

typedef struct {
  mrl_lasso_moments moments;
  double *sd;  /* (n_z) of the penalty on all rows, in the units of the moments */
  lane *lanes; /* (n_lanes) */
  size_t n_lanes, n_tasks;
} workspace;

/* The context to work in: one thread for small problems, which changes no result. */
static mrl_ctx fit_ctx(const mrl_lasso_data *data, const mrl_ctx *ctx)
{
  const double p = (double)(data->n_w + data->n_z + 2), tasks = (double)(data->n_folds + 1);
  mrl_ctx out = *ctx;
  if (p * p * ((double)data->n / 4 + 50 * tasks) < thread_work) {
    out.n_threads = 1;
  }
  return out;
}

static void carve(workspace *space, mrl_arena *arena, const mrl_lasso_data *data,
                  const mrl_ctx *ctx)
{
  const size_t p = data->n_w + data->n_z + 2, n_threads = (size_t)ctx->n_threads;
  space->n_tasks = data->n_folds + 1;
  space->n_lanes = space->n_tasks < n_threads ? space->n_tasks : n_threads;
  mrl_lasso_moments_carve(&space->moments, arena, data, ctx);
  space->sd = MRL_TAKE(arena, double, data->n_z);
  space->lanes = MRL_TAKE(arena, lane, space->n_lanes);
  for (size_t l = 0; l < space->n_lanes; l++) {
    lane unused, *at = space->lanes ? &space->lanes[l] : &unused;
    mrl_lasso_path_carve(&at->path, arena, data->n, data->n_w, data->n_z, data->intercept);
    at->a = MRL_TAKE(arena, double, data->n_w + 1);
    at->used = MRL_TAKE(arena, size_t, p);
    at->theta = MRL_TAKE(arena, double, p);
  }
}

size_t mrl_lasso_scratch(const mrl_lasso_data *data, const mrl_ctx *ctx)
{
  const mrl_ctx fitting = fit_ctx(data, ctx);
  mrl_arena arena = mrl_arena_measure();
  workspace space;
  carve(&space, &arena, data, &fitting);
  return arena.failed ? SIZE_MAX : arena.used;
}

/* Shifted and scaled coefficients of the solution, back on the scale of the data. */
static void record_fit(mrl_lasso_result *result, const workspace *space, const lane *at,
                       const mrl_lasso_data *data)
{
  const mrl_lasso_path *path = &at->path;
  const mrl_lasso_moments *m = &space->moments;
  const size_t first = path->first, n_w = data->n_w, n_z = data->n_z, x = m->p - 1;
  const size_t i_lambda = at->i_lambda;
  double *beta = result->beta + i_lambda * n_z, *u = result->unpenalised + i_lambda * (1 + n_w);
  double df = 0, with_x = 0, with_residual = 0, centre = 0;
  for (size_t j = 0; j < n_z; j++) {
    const double b = path->b[j];
    beta[j] = b != 0 ? b / path->sd[j] * m->scale[1 + n_w + j] / m->scale[x] : 0;
    centre += beta[j] * m->shift[1 + n_w + j];
    with_x += b * path->xz[j];
    with_residual += b * path->gradient[j];
    df += b != 0;
  }
  for (size_t j = 0; j < n_w; j++) {
    u[1 + j] = at->a[1 + j - first] * m->scale[1 + j] / m->scale[x];
    centre += u[1 + j] * m->shift[1 + j];
  }
  u[0] = data->intercept ? m->shift[x] + at->a[0] / m->scale[x] - centre : 0;
  const double explained = with_x + with_residual, square = with_x - with_residual;
  result->df[i_lambda] = df;
  result->shrinkage[i_lambda] = square > 0 ? with_x / square : 1;
  result->dev_ratio[i_lambda] =
      path->null > 0 ? fmax(1 - (path->left - explained) / path->null, 0) : 0;
  result->violation[i_lambda] = path->violation;
  result->iterations[i_lambda] = (double)path->iterations;
}

/* Mean squared error of the solution in the held-out rows: a quadratic form in their moments. */
static double held_out_error(const workspace *space, lane *at)
{
  const mrl_lasso_path *path = &at->path;
  const size_t p = path->p, scale_z = 1 + path->n_w;
  const double *fold = path->fold;
  size_t n = 0;
  for (size_t i = 0; i < path->q; i++) {
    at->used[n] = path->first + i;
    at->theta[n++] = -at->a[i];
  }
  for (size_t j = 0; j < path->n_z; j++) {
    if (path->b[j] != 0) {
      at->used[n] = scale_z + j;
      at->theta[n++] = -path->b[j] / path->sd[j];
    }
  }
  at->used[n] = p - 1;
  at->theta[n++] = 1;
  double error = 0;
  for (size_t k = 0; k < n; k++) {
    const double *column = fold + at->used[k] * p;
    double sum = 0;
    for (size_t m = 0; m < n; m++) {
      sum += column[at->used[m]] * at->theta[m];
    }
    error += at->theta[k] * sum;
  }
  const double scale = space->moments.scale[p - 1];
  return fold[0] > 0 ? fmax(error, 0) / fold[0] / (scale * scale) : 0;
}

static mrl_status start_task(lane *at, const workspace *space, const mrl_lasso_settings *settings)
{
  const mrl_lasso_moments *m = &space->moments;
  const double *fold = at->task > 0 ? m->fold + (at->task - 1) * m->p * m->p : NULL;
  const double *sd = at->task > 0 && settings->scale == MRL_LASSO_SCALE_ALL ? space->sd : NULL;
  at->started = 1;
  at->i_lambda = 0;
  at->path.iterations = 0;
  return mrl_lasso_path_start(&at->path, m->total, fold, sd, settings->tolerance);
}

static void record(mrl_lasso_result *result, const workspace *space, lane *at,
                   const mrl_lasso_data *data)
{
  mrl_lasso_path_unpenalised(at->a, &at->path);
  if (at->task == 0) {
    record_fit(result, space, at, data);
  } else {
    const size_t k = at->task - 1;
    result->cv_error[k + at->i_lambda * data->n_folds] = held_out_error(space, at);
    result->cv_violation[k] = fmax(result->cv_violation[k], at->path.violation);
  }
  at->path.iterations = 0;
}

/* Works on a lane's tasks until `poll_work` is done or nothing is left. */
static mrl_status advance(mrl_lasso_result *result, const workspace *space, lane *at,
                          const mrl_lasso_data *data, const mrl_lasso_settings *settings)
{
  const double scale = space->moments.scale[space->moments.p - 1];
  double work = 0;
  while (at->task < space->n_tasks && work < poll_work) {
    if (!at->started) {
      MRL_TRY(start_task(at, space, settings));
    }
    const double lambda = result->lambda[at->i_lambda] * scale;
    if (mrl_lasso_path_round(&at->path, lambda, settings->max_rounds)) {
      record(result, space, at, data);
      at->i_lambda++;
    }
    work += at->path.work;
    if (at->i_lambda == settings->n_lambda) {
      at->task += space->n_lanes;
      at->started = 0;
    }
  }
  return MRL_OK;
}

static mrl_status run_tasks(mrl_lasso_result *result, workspace *space, const mrl_lasso_data *data,
                            const mrl_lasso_settings *settings, const mrl_ctx *ctx)
{
  for (int busy = 1; busy;) {
#pragma omp parallel for num_threads((int)space->n_lanes) schedule(static, 1)
    for (size_t l = 0; l < space->n_lanes; l++) {
      space->lanes[l].status = advance(result, space, &space->lanes[l], data, settings);
    }
    busy = 0;
    for (size_t l = 0; l < space->n_lanes; l++) {
      MRL_TRY(space->lanes[l].status);
      busy |= space->lanes[l].task < space->n_tasks;
    }
    mrl_poll(ctx);
  }
  return MRL_OK;
}

/* The first task is set up here, as the penalties follow from it. */
static mrl_status make_lambda(mrl_lasso_result *result, workspace *space,
                              const mrl_lasso_settings *settings)
{
  lane *at = &space->lanes[0];
  const double scale = space->moments.scale[space->moments.p - 1];
  MRL_TRY(start_task(at, space, settings));
  memcpy(space->sd, at->path.sd, at->path.n_z * sizeof *space->sd);
  for (size_t i = 0; i < settings->n_lambda; i++) {
    const double part = settings->n_lambda > 1 ? (double)i / (double)(settings->n_lambda - 1) : 0;
    result->lambda[i] = settings->lambda ? settings->lambda[i]
                                         : at->path.lambda_max / scale * pow(settings->ratio, part);
  }
  return MRL_OK;
}

/* Mean over folds by their weight, and its standard error from the spread between them. */
static void make_curve(mrl_lasso_result *result, const workspace *space, size_t n_folds,
                       size_t n_lambda)
{
  const size_t p = space->moments.p;
  double sum_weights = 0, n_used = 0;
  for (size_t k = 0; k < n_folds; k++) {
    result->fold_weight[k] = space->moments.fold[k * p * p];
    sum_weights += result->fold_weight[k];
    n_used += result->fold_weight[k] > 0;
  }
  result->i_min = result->i_1se = 0;
  for (size_t i = 0; i < n_lambda; i++) {
    const double *error = result->cv_error + i * n_folds;
    double mean = 0, square = 0;
    for (size_t k = 0; k < n_folds; k++) {
      mean += error[k] * result->fold_weight[k] / sum_weights;
    }
    for (size_t k = 0; k < n_folds; k++) {
      const double off = error[k] - mean;
      square += off * off * result->fold_weight[k] / sum_weights;
    }
    result->cv_mean[i] = mean;
    result->cv_se[i] = sqrt(square / (n_used - 1));
    result->i_min = mean < result->cv_mean[result->i_min] ? i : result->i_min;
  }
  const double bound = result->cv_mean[result->i_min] + result->cv_se[result->i_min];
  while (result->cv_mean[result->i_1se] > bound) {
    result->i_1se++;
  }
}

mrl_status mrl_lasso_fit(mrl_lasso_result *result, const mrl_lasso_data *data,
                         const mrl_lasso_settings *settings, void *scratch, size_t size,
                         const mrl_ctx *ctx)
{
  const mrl_ctx fitting = fit_ctx(data, ctx);
  mrl_arena arena = mrl_arena_over(scratch, size);
  workspace space;
  carve(&space, &arena, data, &fitting);
  if (arena.failed) {
    return MRL_NO_MEMORY;
  }
  const mrl_lasso_moments *m = &space.moments;
  MRL_TRY(mrl_lasso_moments_make(&space.moments, data, settings->isa, &fitting));
  for (size_t l = 0; l < space.n_lanes; l++) {
    space.lanes[l].task = l;
    space.lanes[l].started = 0;
  }
  for (size_t k = 0; k < data->n_folds; k++) {
    result->cv_violation[k] = 0;
  }
  MRL_TRY(make_lambda(result, &space, settings));
  MRL_TRY(run_tasks(result, &space, data, settings, &fitting));
  for (size_t j = 0; j < data->n_z; j++) {
    const double scale = m->scale[1 + data->n_w + j];
    result->sd[j] = scale > 0 ? space.sd[j] / scale : 0;
  }
  if (data->n_folds > 0) {
    make_curve(result, &space, data->n_folds, settings->n_lambda);
  }
  return MRL_OK;
}

void mrl_lasso_folds(int *fold, size_t *order, size_t n, size_t n_folds, uint64_t seed)
{
  mrl_rng rng = mrl_rng_stream(seed, MRL_RNG_FOLD, 0);
  mrl_rng_permutation(&rng, order, n);
  for (size_t i = 0; i < n; i++) {
    fold[order[i]] = 1 + (int)(i % n_folds);
  }
}
