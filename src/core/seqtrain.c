#include "seqtrain.h"

#include "rng.h"
#include "train_state.h"

#include <math.h>
#include <string.h>

static int between(double x, double low, double high)
{
  return x >= low && x < high; /* false for NaN */
}

static int settings_ok(const mrl_train_settings *s)
{
  const mrl_optimizer *o = &s->optimizer;
  const int rates_ok = o->kind == MRL_SGD
                           ? between(o->momentum, 0, 1)
                           : between(o->beta1, 0, 1) && between(o->beta2, 0, 1) && o->eps > 0;
  return s->epochs >= 1 && s->batch >= 1 && s->rate > 0 && isfinite(s->rate) &&
         (size_t)o->kind < MRL_N_OPTIMIZER && between(o->decay, 0, INFINITY) &&
         between(o->clip, 0, INFINITY) && rates_ok && (size_t)s->schedule.kind < MRL_N_SCHEDULE;
}

/* The optimiser's pieces: weights, which decay, and all others. */
static void list_pieces(mrl_seqtrain *train)
{
  const mrl_seqnet *net = train->net;
  train->n_pieces = 0;
  for (size_t i = 1; i < net->n_nodes; i++) {
    const mrl_seq_node *node = net->node + i;
    const int is_norm = node->layer.kind == MRL_SEQ_BATCH_NORM;
    if (node->n_weights > 0 || is_norm) {
      const size_t n = is_norm ? node->width : node->n_weights;
      const mrl_param piece = {.offset = node->weight, .size = n, .is_weight = !is_norm};
      train->piece[train->n_pieces++] = piece;
    }
    if ((node->n_weights > 0 && node->layer.bias) || is_norm) {
      const mrl_param piece = {.offset = node->bias, .size = node->width};
      train->piece[train->n_pieces++] = piece;
    }
  }
}

mrl_status mrl_seqtrain_steps(mrl_seqtrain *train, mrl_arena *arena, const mrl_seqtrain_task *task)
{
  memset(train, 0, sizeof *train);
  if (!settings_ok(task->settings)) {
    return MRL_BAD_ARGUMENT;
  }
  if (task->n_train < 1) {
    return MRL_TOO_FEW;
  }
  train->net = task->net;
  train->data = task->data;
  train->train = task->train;
  train->valid = task->valid;
  train->n_train = task->n_train;
  train->n_valid = task->n_valid;
  train->settings = *task->settings;
  const size_t batch = mrl_least(train->settings.batch, train->n_train);
  train->n_batches = (train->n_train + batch - 1) / batch;
  return mrl_seqpass_steps(&train->run, arena, task->net, task->isa);
}

mrl_status mrl_seqtrain_carve(mrl_seqtrain *train, mrl_arena *arena, const mrl_ctx *ctx)
{
  const mrl_seqnet *net = train->net;
  const size_t largest = (train->n_train + train->n_batches - 1) / train->n_batches;
  const size_t blocks = mrl_optimizer_blocks(train->settings.optimizer.kind);
  train->n_model = net->n_params + net->n_statistics;
  train->piece = MRL_TAKE(arena, mrl_param, 2 * net->n_nodes);
  train->history = MRL_TAKE(arena, mrl_epoch, train->settings.epochs);
  train->row = MRL_TAKE(arena, size_t, 2 * train->n_train);
  train->n_state = 3 * train->n_model + blocks * net->n_params;
  train->state = MRL_TAKE(arena, mrl_real, train->n_state);
  if (train->state) { /* pieces are multiples of MRL_LANES, so that each is aligned */
    train->params = train->state;
    train->statistics = train->params + net->n_params;
    train->best = train->params + train->n_model;
    train->last = train->best + train->n_model;
    train->moments = train->last + train->n_model;
  }
  return mrl_seqpass_carve(&train->run, arena, largest, ctx);
}

/* With the variance of PyTorch's default law. He et al.'s, six times larger, trains as fast but
 * learns less of sequences: behind batch norm, large weights turn slowly. */
static void draw_weights(mrl_seqtrain *train, const mrl_seq_node *node, uint64_t item)
{
  const double in = (double)node->n_weights / (double)node->width, sd = sqrt(1 / (3 * in));
  mrl_rng rng = mrl_rng_stream(train->settings.seed, MRL_RNG_NET_WEIGHTS, item);
  for (size_t j = 0; j < node->n_weights; j++) {
    train->params[node->weight + j] = (mrl_real)(sd * mrl_rng_normal(&rng));
  }
}

/* Biases of an output: the mean over positions of its level. */
static void set_level(mrl_seqtrain *train, const mrl_seq_node *node, const double *level)
{
  for (size_t j = 0; j < node->width; j++) {
    double sum = 0;
    for (size_t t = 0; t < node->length; t++) {
      sum += level[node->output_at + t * node->width + j];
    }
    train->params[node->bias + j] = (mrl_real)(sum / (double)node->length);
  }
}

static void start_node(mrl_seqtrain *train, size_t i, const double *level)
{
  const mrl_seq_node *node = train->net->node + i;
  if (node->n_weights > 0) {
    draw_weights(train, node, i);
    if (node->layer.bias && level && node->output_at != SIZE_MAX) {
      set_level(train, node, level);
    }
  }
  for (size_t j = 0; node->layer.kind == MRL_SEQ_BATCH_NORM && j < node->width; j++) {
    train->params[node->weight + j] = 1;
    train->statistics[node->var + j] = 1;
  }
}

void mrl_seqtrain_start(mrl_seqtrain *train, const double *level, const double *values)
{
  const mrl_progress start = {.best_loss = INFINITY, .plateau = {1, 0}};
  train->progress = start;
  list_pieces(train);
  memset(train->state, 0, train->n_state * sizeof *train->state);
  for (size_t i = 1; i < train->net->n_nodes; i++) {
    start_node(train, i, level);
  }
  if (values) {
    mrl_seqnet_load(train->params, train->statistics, train->net, values);
  }
  mrl_seqpass_start(&train->run);
}

static void copy_model(mrl_real *to, const mrl_real *from, const mrl_seqtrain *train)
{
  memcpy(to, from, train->n_model * sizeof *to);
}

/* The sequences to train on in the order of an epoch. */
static const size_t *rows_of_epoch(mrl_seqtrain *train)
{
  size_t *order = train->row + train->n_train;
  if (train->n_batches == 1) {
    return train->train;
  }
  mrl_rng rng = mrl_rng_stream(train->settings.seed, MRL_RNG_NET_ORDER, train->progress.epoch);
  mrl_rng_permutation(&rng, order, train->n_train);
  for (size_t i = 0; i < train->n_train; i++) {
    train->row[i] = train->train[order[i]];
  }
  return train->row;
}

/* Mean loss of the validation sequences; NaN if there are none. */
static mrl_status validate(double *loss, mrl_seqtrain *train, const mrl_ctx *ctx)
{
  *loss = NAN;
  if (train->n_valid > 0) {
    MRL_TRY(mrl_seqpass_evaluate(loss, NULL, &train->run, train->params, train->statistics,
                                 train->data, train->valid, train->n_valid, ctx));
    *loss /= (double)train->n_valid;
  }
  return MRL_OK;
}

static mrl_status one_batch(double *loss, mrl_seqtrain *train, const size_t *row, size_t n,
                            double rate, const mrl_ctx *ctx)
{
  const mrl_seqpass_batch batch = {row, n, train->settings.seed, train->progress.step};
  double norm;
  MRL_TRY(mrl_seqpass_step(loss, &train->run, train->params, train->statistics, train->data, &batch,
                           ctx));
  if (!isfinite(*loss)) {
    return MRL_NOT_FINITE;
  }
  train->progress.step++;
  return mrl_optimizer_step(train->params, train->moments, &norm, train->run.gradient, train->piece,
                            train->n_pieces, train->net->n_params, &train->settings.optimizer, rate,
                            train->progress.step, train->run.isa);
}

/* The batches of an epoch; *loss: the mean over its sequences, each judged before its step. */
static mrl_status all_batches(double *loss, mrl_seqtrain *train, double rate, const mrl_ctx *ctx)
{
  const size_t *row = rows_of_epoch(train);
  double sum = 0;
  for (size_t b = 0; b < train->n_batches; b++) {
    const size_t first = train->n_train * b / train->n_batches;
    const size_t n = train->n_train * (b + 1) / train->n_batches - first;
    double value;
    mrl_poll(ctx);
    MRL_TRY(one_batch(&value, train, row + first, n, rate, ctx));
    sum += value * (double)n;
  }
  *loss = sum / (double)train->n_train;
  return MRL_OK;
}

/* After an epoch whose numbers are all finite. */
static void record_epoch(mrl_seqtrain *train, const mrl_epoch *epoch)
{
  const double monitored = train->n_valid > 0 ? epoch->valid : epoch->train;
  train->history[train->progress.epoch] = *epoch;
  if (mrl_progress_count(&train->progress, monitored, &train->settings)) {
    copy_model(train->best, train->params, train);
  }
  copy_model(train->last, train->params, train);
}

static mrl_status one_epoch(mrl_seqtrain *train, const mrl_ctx *ctx)
{
  const mrl_progress *progress = &train->progress;
  const double started = train->now ? train->now() : NAN;
  mrl_epoch epoch;
  epoch.rate =
      train->settings.rate * mrl_schedule_rate(&train->settings.schedule, &progress->plateau,
                                               progress->epoch, train->settings.epochs);
  MRL_TRY(all_batches(&epoch.train, train, epoch.rate, ctx));
  MRL_TRY(validate(&epoch.valid, train, ctx));
  if ((train->n_valid > 0 && !isfinite(epoch.valid)) ||
      !mrl_all_finite(train->params, train->n_model)) {
    return MRL_NOT_FINITE;
  }
  epoch.seconds = train->now ? train->now() - started : NAN;
  record_epoch(train, &epoch);
  return MRL_OK;
}

/* The initial weights are the first candidates, and the last finite ones so far. */
static mrl_status judge_start(mrl_seqtrain *train, const mrl_ctx *ctx)
{
  double loss;
  copy_model(train->best, train->params, train);
  copy_model(train->last, train->params, train);
  MRL_TRY(validate(&loss, train, ctx));
  if (train->n_valid > 0) {
    train->progress.best_loss = loss;
    return isfinite(loss) ? MRL_OK : MRL_NOT_FINITE;
  }
  return MRL_OK;
}

/* The weights to use, once a training has stopped. */
static mrl_status finish(mrl_seqtrain *train)
{
  const mrl_progress *progress = &train->progress;
  const mrl_epoch *last = train->history + progress->epoch - 1;
  if (train->n_valid > 0) {
    copy_model(train->params, train->best, train);
    return progress->best_epoch > 0 ? MRL_OK : MRL_NO_CONVERGE;
  }
  return last->train > train->history[0].train ? MRL_NO_CONVERGE : MRL_OK;
}

mrl_status mrl_seqtrain_run(mrl_seqtrain *train, size_t until, const mrl_ctx *ctx)
{
  mrl_progress *progress = &train->progress;
  mrl_status status = progress->epoch == 0 ? judge_start(train, ctx) : MRL_OK;
  while (status == MRL_OK && progress->stop == MRL_GOES_ON && progress->epoch < until) {
    status = one_epoch(train, ctx);
  }
  if (status == MRL_NOT_FINITE) {
    progress->stop = MRL_STOP_DIVERGED;
    copy_model(train->params, train->last, train);
  }
  return status == MRL_OK && progress->stop != MRL_GOES_ON ? finish(train) : status;
}

static mrl_state_shape shape_of(const mrl_seqtrain *train)
{
  const mrl_state_shape shape = {{train->net->n_params, train->net->n_statistics, train->n_state,
                                  train->settings.seed, train->settings.epochs,
                                  (uint64_t)train->settings.optimizer.kind, train->n_batches,
                                  train->n_train, train->n_valid, train->net->n_outputs},
                                 train->settings.epochs,
                                 train->n_state};
  return shape;
}

size_t mrl_seqtrain_bytes(const mrl_seqtrain *train)
{
  const mrl_state_shape shape = shape_of(train);
  return mrl_state_bytes(&shape);
}

void mrl_seqtrain_save(unsigned char *bytes, const mrl_seqtrain *train)
{
  const mrl_state_shape shape = shape_of(train);
  mrl_state_write(bytes, &shape, &train->progress, train->history, train->state);
}

mrl_status mrl_seqtrain_load(mrl_seqtrain *train, const unsigned char *bytes, size_t size)
{
  const mrl_state_shape shape = shape_of(train);
  return mrl_state_read(&train->progress, train->history, train->state, &shape, bytes, size);
}

static double *unload_piece(double *to, const mrl_real *from, size_t n)
{
  for (size_t i = 0; i < n; i++) {
    to[i] = (double)from[i];
  }
  return to + n;
}

void mrl_seqtrain_unload(double *values, const mrl_seqtrain *train)
{
  for (size_t i = 1; i < train->net->n_nodes; i++) {
    const mrl_seq_node *node = train->net->node + i;
    if (node->n_weights > 0) {
      values = unload_piece(values, train->params + node->weight, node->n_weights);
      values =
          node->layer.bias ? unload_piece(values, train->params + node->bias, node->width) : values;
    }
    if (node->layer.kind == MRL_SEQ_BATCH_NORM) {
      values = unload_piece(values, train->params + node->weight, node->width);
      values = unload_piece(values, train->params + node->bias, node->width);
      values = unload_piece(values, train->statistics + node->mean, node->width);
      values = unload_piece(values, train->statistics + node->var, node->width);
    }
  }
}
