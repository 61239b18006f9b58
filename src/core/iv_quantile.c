#include "iv_quantile.h"

#include "rng.h"

#include <math.h>

static int data_ok(const mrl_ivq_data *data, const mrl_ivq_settings *s)
{
  return data->n_z >= 1 && s->n_quantiles >= 1 && s->n_quantiles <= MRL_QUANTILES_MOST;
}

mrl_status mrl_ivq_nets_carve(mrl_ivq_nets *nets, mrl_arena *arena, const mrl_ivq_data *data,
                              const mrl_ivq_settings *s)
{
  if (!data_ok(data, s)) {
    return MRL_BAD_ARGUMENT;
  }
  const size_t outputs = s->n_quantiles + (s->non_crossing ? 1 : 0);
  MRL_TRY(mrl_mlp_carve(&nets->first, arena, &s->first, data->n_z + data->n_w, outputs,
                        s->non_crossing ? MRL_SOFTPLUS : MRL_IDENTITY));
  return mrl_mlp_carve(&nets->second, arena, &s->second, 1 + data->n_w, 1, MRL_IDENTITY);
}

static double sum_pinball(mrl_real *slope, mrl_real r, mrl_real tau)
{
  *slope = r > 0 ? -tau : r < 0 ? 1 - tau : 0;
  return (double)(r > 0 ? tau * r : (tau - 1) * r);
}

/*
 * The pinball loss of non-crossing quantiles. The gradient of the quantiles stands in d until it is
 * summed from above: quantile k moves with the outputs 1 .. k and against output 0.
 */
static double row_loss(mrl_real *d, const mrl_real *s, size_t ld, mrl_real x, mrl_real factor,
                       const mrl_ivq_values *values)
{
  mrl_real quantile = values->start - s[0], sum = 0;
  double value = 0;
  for (size_t k = 0; k < values->q; k++) {
    mrl_real slope;
    quantile += values->gap[k] * s[(k + 1) * ld];
    value += sum_pinball(&slope, x - quantile, values->tau[k]);
    if (d) {
      d[(k + 1) * ld] = slope * factor;
    }
  }
  for (size_t k = values->q; d && k > 0; k--) {
    sum += d[k * ld];
    d[k * ld] = sum * values->gap[k - 1];
  }
  if (d) {
    d[0] = -sum;
  }
  return value;
}

static mrl_status ordered_loss(double *value, mrl_real *d_output, const mrl_real *output,
                               const mrl_tile *tile, const void *data)
{
  const mrl_ivq_values *values = data;
  *value = 0;
  for (size_t i = 0; i < tile->rows; i++) {
    const size_t row = tile->row[i];
    const mrl_real weight = values->weight ? values->weight[row] : 1;
    *value += (double)weight * row_loss(d_output ? d_output + i : NULL, output + i, tile->ld,
                                        values->x[row], weight * tile->scale, values);
  }
  return MRL_OK;
}

/* Stores the quantiles of evaluated rows. */
static mrl_status keep_ordered(double *value, mrl_real *d_output, const mrl_real *output,
                               const mrl_tile *tile, const void *data)
{
  const mrl_ivq_values *values = data;
  (void)d_output;
  *value = 0;
  for (size_t i = 0; i < tile->rows; i++) {
    mrl_real quantile = values->start - output[i];
    for (size_t k = 0; k < values->q; k++) {
      quantile += values->gap[k] * output[i + (k + 1) * tile->ld];
      values->quantile[tile->row[i] * values->q + k] = quantile;
    }
  }
  return MRL_OK;
}

/* Inputs of the second stage: each row once with each of its quantiles. */
static mrl_status fill_nodes(mrl_real *x, const mrl_tile *tile, const void *data)
{
  const mrl_ivq_values *values = data;
  const size_t n_z = values->n_inputs - values->n_w;
  for (size_t k = 0; k < tile->group; k++) {
    mrl_real *out = x + k * tile->rows;
    for (size_t i = 0; i < tile->rows; i++) {
      out[i] = values->quantile[tile->row[i] * values->q + k];
    }
    for (size_t j = 0; j < values->n_w; j++) {
      out += tile->ld;
      for (size_t i = 0; i < tile->rows; i++) {
        out[i] = values->input[tile->row[i] * values->n_inputs + n_z + j];
      }
    }
  }
  return MRL_OK;
}

static void carve_values(mrl_ivq *ivq, mrl_arena *arena)
{
  const mrl_ivq_data *data = &ivq->data;
  const size_t q = ivq->settings.n_quantiles, n = data->n, inputs = data->n_z + data->n_w;
  mrl_ivq_values values = {.q = q, .n_inputs = inputs, .n_w = data->n_w};
  values.input = MRL_TAKE(arena, mrl_real, n * inputs);
  values.x = MRL_TAKE(arena, mrl_real, n);
  values.y = MRL_TAKE(arena, mrl_real, n);
  values.weight = MRL_TAKE(arena, mrl_real, data->weights ? n : 0);
  values.quantile = MRL_TAKE(arena, mrl_real, n * q);
  values.tau = MRL_TAKE(arena, mrl_real, q);
  values.gap = MRL_TAKE(arena, mrl_real, q);
  values.node = MRL_TAKE(arena, mrl_real, q);
  if (!data->weights) {
    values.weight = NULL;
  }
  ivq->values = values;
  ivq->row = MRL_TAKE(arena, size_t, n);
  ivq->scale = MRL_TAKE(arena, mrl_scale, inputs + 2);
  ivq->level = MRL_TAKE(arena, double, q);
  ivq->normal_level = MRL_TAKE(arena, double, q);
}

static mrl_task first_task(mrl_ivq *ivq)
{
  const mrl_ivq_values *values = &ivq->values;
  const mrl_rows inputs = {values->input, values->n_inputs};
  const mrl_loss loss = {.kind = MRL_LOSS_PINBALL,
                         .outputs = values->q,
                         .targets = 1,
                         .y = values->x,
                         .weight = values->weight,
                         .tau = values->tau};
  ivq->inputs = inputs;
  ivq->loss[0] = loss;
  const size_t n_train = ivq->data.n - ivq->settings.n_valid;
  const int ordered = ivq->settings.non_crossing;
  const mrl_task task = {.train = ivq->row,
                         .valid = ivq->row ? ivq->row + n_train : NULL,
                         .n_train = n_train,
                         .n_valid = ivq->settings.n_valid,
                         .group = 1,
                         .fill = mrl_fill_rows,
                         .fill_data = &ivq->inputs,
                         .loss = ordered ? ordered_loss : mrl_loss_tile,
                         .loss_data = ordered ? (const void *)values : &ivq->loss[0]};
  return task;
}

static mrl_task second_task(mrl_ivq *ivq)
{
  const mrl_ivq_values *values = &ivq->values;
  const mrl_loss loss = {.kind = ivq->settings.binary ? MRL_LOSS_BINARY : MRL_LOSS_SQUARED,
                         .outputs = 1,
                         .targets = 1,
                         .y = values->y,
                         .weight = values->weight,
                         .node = values->node};
  mrl_task task = first_task(ivq);
  ivq->loss[1] = loss;
  task.group = values->q;
  task.fill = fill_nodes;
  task.fill_data = values;
  task.loss = mrl_loss_tile;
  task.loss_data = &ivq->loss[1];
  return task;
}

/* Each stage has a seed of its own. */
static mrl_train_settings stage_settings(const mrl_ivq_settings *settings, uint64_t stage)
{
  mrl_train_settings out = settings->train;
  mrl_rng rng = mrl_rng_stream(settings->seed, MRL_RNG_NET_SPLIT, stage);
  out.seed = mrl_rng_u64(&rng);
  return out;
}

mrl_status mrl_ivq_carve(mrl_ivq *ivq, mrl_arena *arena, const mrl_ivq_nets *nets,
                         const mrl_ivq_data *data, const mrl_ivq_settings *settings,
                         const mrl_ctx *ctx)
{
  const mrl_ivq fixed = {.nets = nets, .data = *data, .settings = *settings};
  if (!data_ok(data, settings) || settings->n_valid > data->n ||
      data->n > SIZE_MAX / 16 / (data->n_z + data->n_w + settings->n_quantiles)) {
    return MRL_BAD_ARGUMENT;
  }
  if (settings->n_valid == data->n) {
    return MRL_TOO_FEW;
  }
  *ivq = fixed;
  carve_values(ivq, arena);
  const mrl_task first = first_task(ivq), second = second_task(ivq);
  const mrl_train_settings how[2] = {stage_settings(settings, 1), stage_settings(settings, 2)};
  MRL_TRY(
      mrl_train_carve(&ivq->train[0], arena, &nets->first, &first, &how[0], settings->isa, ctx));
  MRL_TRY(
      mrl_train_carve(&ivq->train[1], arena, &nets->second, &second, &how[1], settings->isa, ctx));
  return arena->failed ? MRL_NO_MEMORY : MRL_OK;
}

static void set_nodes(mrl_ivq *ivq)
{
  mrl_ivq_values *values = &ivq->values;
  const double *normal = ivq->normal_level;
  mrl_quantile_nodes(ivq->level, ivq->normal_level, values->q, ivq->settings.matched);
  values->start = (mrl_real)normal[0];
  for (size_t k = 0; k < values->q; k++) {
    values->tau[k] = (mrl_real)ivq->level[k];
    values->node[k] = 1 / (mrl_real)values->q;
    values->gap[k] = (mrl_real)(k == 0 ? 1 : (normal[k] - normal[k - 1]) / log(2));
  }
}

/* The weights with mean one over the training rows. */
static mrl_status set_weights(mrl_ivq *ivq)
{
  const size_t n_train = ivq->train[0].task.n_train;
  const double *weights = ivq->data.weights;
  double sum = 0;
  for (size_t i = 0; weights && i < n_train; i++) {
    sum += weights[ivq->row[i]];
  }
  if (weights && !(sum > 0)) {
    return MRL_TOO_FEW;
  }
  for (size_t i = 0; weights && i < ivq->data.n; i++) {
    ivq->values.weight[i] = (mrl_real)(weights[i] * (double)n_train / sum);
  }
  return MRL_OK;
}

static mrl_status standardise_columns(mrl_ivq *ivq, const mrl_ctx *ctx)
{
  const mrl_ivq_data *data = &ivq->data;
  mrl_ivq_values *values = &ivq->values;
  mrl_scale *scale = ivq->scale;
  for (size_t j = 0; j < values->n_inputs; j++) {
    const double *column = j < data->n_z ? data->z[j] : data->w[j - data->n_z];
    mrl_poll(ctx);
    scale[j] = mrl_scale_of(column, data->weights, data->n);
    mrl_scale_column(values->input + j, values->n_inputs, column, scale + j, data->n);
  }
  scale += values->n_inputs;
  scale[0] = mrl_scale_of(data->x, data->weights, data->n);
  mrl_scale_column(values->x, 1, data->x, scale, data->n);
  scale[1] = mrl_scale_of(data->y, data->weights, data->n);
  if (ivq->settings.binary) {
    const mrl_scale as_it_is = {0, 1};
    scale[1] = as_it_is;
  }
  mrl_scale_column(values->y, 1, data->y, scale + 1, data->n);
  for (size_t j = 0; j < values->n_inputs + 2; j++) {
    if (!isfinite(ivq->scale[j].mean) || !isfinite(ivq->scale[j].sd)) {
      return MRL_NOT_FINITE;
    }
  }
  return MRL_OK;
}

/* The quantiles of all rows by the frozen first net. */
static mrl_status set_quantiles(mrl_ivq *ivq, const mrl_ctx *ctx)
{
  mrl_train *train = &ivq->train[0];
  const mrl_keep keep = {ivq->values.quantile, ivq->values.q};
  const int ordered = ivq->settings.non_crossing;
  const mrl_batch batch = {.row = ivq->row,
                           .n = ivq->data.n,
                           .fill = mrl_fill_rows,
                           .fill_data = &ivq->inputs,
                           .loss = ordered ? keep_ordered : mrl_keep_tile,
                           .loss_data = ordered ? (const void *)&ivq->values : &keep};
  double none;
  return mrl_net_evaluate(&none, &train->run, train->params, train->statistics, &batch, ctx);
}

static mrl_status train_stage(mrl_status *stage, mrl_train *train, const mrl_ctx *ctx)
{
  mrl_train_start(train);
  *stage = mrl_train_run(train, train->settings.epochs, ctx);
  return *stage == MRL_NOT_FINITE || *stage == MRL_NO_CONVERGE ? MRL_OK : *stage;
}

mrl_status mrl_ivq_run(mrl_status stage[2], mrl_ivq *ivq, const mrl_ctx *ctx)
{
  mrl_train_split(ivq->row, ivq->data.n, ivq->settings.seed);
  set_nodes(ivq);
  MRL_TRY(set_weights(ivq));
  MRL_TRY(standardise_columns(ivq, ctx));
  MRL_TRY(mrl_loss_check(&ivq->loss[0], 1));
  MRL_TRY(mrl_loss_check(&ivq->loss[1], ivq->values.q));
  MRL_TRY(train_stage(&stage[0], &ivq->train[0], ctx));
  MRL_TRY(set_quantiles(ivq, ctx));
  return train_stage(&stage[1], &ivq->train[1], ctx);
}

void mrl_ivq_exposure(double *x_hat, double *x_node, const mrl_ivq *ivq)
{
  const mrl_ivq_values *values = &ivq->values;
  const mrl_scale *scale = ivq->scale + values->n_inputs;
  for (size_t i = 0; i < ivq->data.n; i++) {
    double sum = 0;
    for (size_t k = 0; k < values->q; k++) {
      const double at = scale->mean + scale->sd * (double)values->quantile[i * values->q + k];
      sum += at;
      if (x_node) {
        x_node[i + k * ivq->data.n] = at;
      }
    }
    x_hat[i] = sum / (double)values->q;
  }
}
