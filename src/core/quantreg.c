#include "quantreg.h"

#include "prob.h"
#include "rng.h"

#include <math.h>

/* Rows and epochs share the number of a stream; rows held out have an epoch of their own. */
enum { ROW_BITS = 32 };
static const uint64_t HELD_EPOCH = ((uint64_t)1 << (56 - ROW_BITS)) - 1;

static int levels_ok(const double *level, size_t n)
{
  int ok = n <= MRL_QUANTILES_MOST;
  for (size_t k = 0; ok && k < n; k++) {
    ok = level[k] > (k > 0 ? level[k - 1] : 0) && level[k] < 1;
  }
  return ok;
}

mrl_status mrl_quantreg_net_carve(mrl_quantreg_net *net, mrl_arena *arena,
                                  const mrl_quantreg_settings *settings, size_t n_inputs)
{
  const mrl_first_settings first = {.kind = MRL_FIRST_QUANTILE,
                                    .parts = settings->n_levels,
                                    .non_crossing = settings->non_crossing,
                                    .mlp = settings->mlp};
  const mrl_quantreg_net out = {.settings = *settings, .n_inputs = n_inputs};
  if (n_inputs < 1 || !levels_ok(settings->level, settings->n_levels)) {
    return MRL_BAD_ARGUMENT;
  }
  *net = out;
  return settings->n_levels > 0
             ? mrl_first_carve(&net->first, arena, &first, n_inputs, 0)
             : mrl_mlp_carve(&net->every, arena, &settings->mlp, n_inputs + 1, 1, MRL_IDENTITY);
}

/* The levels take the place of the first stage's own, and their normal quantiles that of its
 * starting values. */
void mrl_quantreg_net_start(mrl_quantreg_net *net)
{
  mrl_first *first = &net->first;
  const size_t n = net->settings.n_levels;
  net->net = n > 0 ? &first->net : &net->every;
  for (size_t k = 0; k < n; k++) {
    const double level = net->settings.level[k];
    first->level[k] = level;
    first->normal[k] = mrl_normal_quantile(level);
    first->tau[k] = (mrl_real)level;
    first->gap[k] = (mrl_real)(k == 0 ? 1 : (first->normal[k] - first->normal[k - 1]) / log(2));
  }
  first->start = (mrl_real)(n > 0 ? first->normal[0] : 0);
}

/* The level of a row in an epoch. */
static double level_of(const mrl_quantreg_every *in, const mrl_tile *tile, size_t i)
{
  const size_t row = tile->row[i];
  if (in->level > 0) {
    return in->level;
  }
  const uint64_t epoch = in->held && in->held[row] ? HELD_EPOCH : tile->epoch;
  mrl_rng rng = mrl_rng_stream(in->seed, MRL_RNG_NET_DRAW, epoch << ROW_BITS | row);
  return mrl_rng_uniform(&rng);
}

static mrl_status fill_every(mrl_real *x, const mrl_tile *tile, const void *data)
{
  const mrl_quantreg_every *in = data;
  const size_t p = in->n_inputs;
  for (size_t i = 0; i < tile->rows; i++) {
    const mrl_real *from = in->input + tile->row[i] * p;
    for (size_t j = 0; j < p; j++) {
      x[i + j * tile->ld] = from[j];
    }
    x[i + p * tile->ld] = (mrl_real)mrl_normal_quantile(level_of(in, tile, i));
  }
  return MRL_OK;
}

static mrl_status loss_every(double *value, mrl_real *d_output, const mrl_real *output,
                             const mrl_tile *tile, const void *data)
{
  const mrl_quantreg_every *in = data;
  *value = 0;
  for (size_t i = 0; i < tile->rows; i++) {
    const mrl_real tau = (mrl_real)level_of(in, tile, i), r = in->y[tile->row[i]] - output[i];
    const mrl_real weight = in->weight ? in->weight[tile->row[i]] : 1;
    *value += (double)(weight * (r > 0 ? tau : tau - 1) * r);
    if (d_output) {
      d_output[i] = weight * tile->scale * (r > 0 ? -tau : r < 0 ? 1 - tau : 0);
    }
  }
  return MRL_OK;
}

static mrl_task task_of(mrl_quantreg *fit)
{
  const size_t n_valid = fit->net->settings.n_valid, n_train = fit->data.n - n_valid;
  const size_t *valid = fit->order ? fit->order + n_train : NULL;
  const mrl_quantreg_every every = {
      fit->input, fit->y, fit->weight, fit->held, fit->net->n_inputs, fit->net->settings.train.seed,
      0};
  const mrl_first_data set = {.first = &fit->net->first,
                              .input = {fit->input, fit->net->n_inputs},
                              .x = fit->y,
                              .weight = fit->weight};
  const mrl_task task = {.train = fit->order,
                         .valid = valid,
                         .n_train = n_train,
                         .n_valid = n_valid,
                         .group = 1,
                         .fill = fill_every,
                         .fill_data = &fit->every,
                         .loss = loss_every,
                         .loss_data = &fit->every};
  fit->every = every;
  fit->set = set;
  return fit->net->settings.n_levels > 0
             ? mrl_first_task(&fit->set, fit->order, n_train, valid, n_valid)
             : task;
}

mrl_status mrl_quantreg_carve(mrl_quantreg *fit, mrl_arena *arena, const mrl_quantreg_net *net,
                              const mrl_quantreg_data *data, const mrl_ctx *ctx)
{
  const mrl_quantreg_settings *how = &net->settings;
  const size_t n = data->n;
  mrl_quantreg to = {.net = net, .data = *data};
  if (how->n_valid >= n || n > SIZE_MAX / 16 / net->n_inputs || n >= (size_t)1 << 31) {
    return MRL_BAD_ARGUMENT;
  }
  to.scale = MRL_TAKE(arena, mrl_scale, net->n_inputs + 1);
  to.input = MRL_TAKE(arena, mrl_real, n * net->n_inputs);
  to.y = MRL_TAKE(arena, mrl_real, n);
  to.weight = data->weights ? MRL_TAKE(arena, mrl_real, n) : NULL;
  to.held = MRL_TAKE(arena, unsigned char, n);
  to.order = MRL_TAKE(arena, size_t, n);
  *fit = to;
  const mrl_task task = task_of(fit);
  MRL_TRY(mrl_train_carve(&fit->train, arena, net->net, &task, &how->train, how->isa, ctx));
  return arena->failed ? MRL_NO_MEMORY : MRL_OK;
}

/* Which rows are held out, and weights with mean one over the others. */
static mrl_status split(mrl_quantreg *fit)
{
  const size_t n = fit->data.n, n_train = n - fit->net->settings.n_valid;
  double total = 0;
  mrl_train_split(fit->order, n, fit->net->settings.train.seed);
  for (size_t i = 0; i < n; i++) {
    fit->held[fit->order[i]] = i >= n_train;
    total += fit->weight && i < n_train ? fit->data.weights[fit->order[i]] : 0;
  }
  if (!fit->weight) {
    return MRL_OK;
  }
  if (!(total > 0)) {
    return MRL_TOO_FEW;
  }
  for (size_t i = 0; i < n; i++) {
    fit->weight[i] = (mrl_real)(fit->data.weights[i] * (double)n_train / total);
  }
  return MRL_OK;
}

mrl_status mrl_quantreg_run(mrl_quantreg *fit, const mrl_ctx *ctx)
{
  const mrl_quantreg_data *data = &fit->data;
  const size_t p = fit->net->n_inputs;
  MRL_TRY(split(fit));
  for (size_t j = 0; j <= p; j++) {
    const double *column = j < p ? data->x[j] : data->y;
    mrl_poll(ctx);
    fit->scale[j] = mrl_scale_of(column, data->weights, data->n);
    mrl_scale_column(j < p ? fit->input + j : fit->y, j < p ? p : 1, column, fit->scale + j,
                     data->n);
  }
  mrl_train_start(&fit->train);
  fit->train.now = fit->net->settings.now;
  return mrl_train_run(&fit->train, fit->net->settings.train.epochs, ctx);
}

typedef struct {
  mrl_real *input, *output; /* (n, n_inputs), (n) */
  size_t *row;              /* (n) */
  mrl_law law;
  mrl_first_work work; /* its run alone */
} predict_work;

static mrl_status carve_predict(predict_work *to, mrl_arena *arena, const mrl_quantreg_net *net,
                                size_t n, const mrl_ctx *ctx)
{
  const size_t levels = net->settings.n_levels;
  to->input = MRL_TAKE(arena, mrl_real, n * net->n_inputs);
  to->output = MRL_TAKE(arena, mrl_real, levels > 0 ? 0 : n);
  to->row = MRL_TAKE(arena, size_t, n);
  if (levels > 0) {
    MRL_TRY(mrl_law_carve(&to->law, arena, MRL_FIRST_QUANTILE, levels, n));
  }
  return mrl_net_run_carve(&to->work.run, arena, net->net, 0, 1, 0, net->settings.isa, ctx);
}

size_t mrl_quantreg_scratch(const mrl_quantreg_net *net, size_t n, const mrl_ctx *ctx)
{
  mrl_arena arena = mrl_arena_measure();
  predict_work work;
  const mrl_status status = carve_predict(&work, &arena, net, n, ctx);
  return status == MRL_OK ? arena.used : 0;
}

static mrl_status predict_set(double *out, predict_work *work, const mrl_quantreg_net *net,
                              const mrl_quantreg_model *model, size_t n, const mrl_ctx *ctx)
{
  const mrl_first_fit fit = {.params = model->params, .statistics = model->statistics};
  const mrl_first_rows rows = {.input = work->input};
  const size_t levels = net->settings.n_levels;
  MRL_TRY(mrl_first_read(&work->law, &work->work, &net->first, &fit, &rows, work->row, n, ctx));
  for (size_t i = 0; i < n; i++) {
    for (size_t k = 0; k < levels; k++) {
      out[i + k * n] = work->law.location[i] + (double)work->law.shape[i * levels + k];
    }
  }
  return MRL_OK;
}

static mrl_status predict_every(double *out, predict_work *work, const mrl_quantreg_net *net,
                                const mrl_quantreg_model *model, const double *level,
                                size_t n_levels, size_t n, const mrl_ctx *ctx)
{
  mrl_quantreg_every in = {.input = work->input, .n_inputs = net->n_inputs};
  const mrl_keep keep = {work->output, 1};
  const mrl_batch batch = {.row = work->row,
                           .n = n,
                           .fill = fill_every,
                           .fill_data = &in,
                           .loss = mrl_keep_tile,
                           .loss_data = &keep};
  double none;
  for (size_t k = 0; k < n_levels; k++) {
    in.level = level[k];
    MRL_TRY(
        mrl_net_evaluate(&none, &work->work.run, model->params, model->statistics, &batch, ctx));
    for (size_t i = 0; i < n; i++) {
      out[i + k * n] = (double)work->output[i];
    }
  }
  return MRL_OK;
}

/* By insertion: few, and mostly in order. */
static void put_in_order(double *x, size_t stride, size_t n)
{
  for (size_t k = 1; k < n; k++) {
    const double value = x[k * stride];
    size_t at = k;
    for (; at > 0 && x[(at - 1) * stride] > value; at--) {
      x[at * stride] = x[(at - 1) * stride];
    }
    x[at * stride] = value;
  }
}

mrl_status mrl_quantreg_predict(double *out, const mrl_quantreg_net *net,
                                const mrl_quantreg_model *model, const mrl_quantreg_data *data,
                                const double *level, size_t n_levels, void *scratch,
                                const mrl_ctx *ctx)
{
  const size_t n = data->n, p = net->n_inputs, set = net->settings.n_levels;
  mrl_arena arena = mrl_arena_over(scratch, mrl_quantreg_scratch(net, n, ctx));
  predict_work work;
  if (n < 1 || n_levels < 1 || !levels_ok(level, n_levels) || (set > 0 && set != n_levels)) {
    return MRL_BAD_ARGUMENT;
  }
  MRL_TRY(carve_predict(&work, &arena, net, n, ctx));
  for (size_t j = 0; j < p; j++) {
    mrl_poll(ctx);
    mrl_scale_column(work.input + j, p, data->x[j], model->scale + j, n);
  }
  for (size_t i = 0; i < n; i++) {
    work.row[i] = i;
  }
  MRL_TRY(set > 0 ? predict_set(out, &work, net, model, n, ctx)
                  : predict_every(out, &work, net, model, level, n_levels, n, ctx));
  const mrl_scale *to = model->scale + p;
  for (size_t i = 0; i < n; i++) {
    put_in_order(out + i, n, n_levels);
    for (size_t k = 0; k < n_levels; k++) {
      out[i + k * n] = to->mean + to->sd * out[i + k * n];
    }
  }
  return MRL_OK;
}
