#include "train.h"

#include "rng.h"

#include <math.h>
#include <string.h>

static int has_batch_norm(const mrl_net *net)
{
  int has = 0;
  for (size_t s = 0; s < net->n_stages; s++) {
    has = has || net->stage[s].affine == MRL_BATCH;
  }
  return has;
}

static size_t batches_of(const mrl_net *net, const mrl_task *task, size_t batch)
{
  const size_t n = task->n_train, parts = batch >= n ? 1 : (n + batch - 1) / batch;
  const size_t most = has_batch_norm(net) && task->group == 1 ? n / 2 : n;
  return parts < most ? parts : most;
}

static size_t batch_begin(const mrl_train *train, size_t b)
{
  const size_t size = train->task.n_train / train->n_batches;
  const size_t larger = train->task.n_train % train->n_batches; /* as many have one more */
  return b * size + (b < larger ? b : larger);
}

static int between(double x, double low, double high)
{
  return x >= low && x < high; /* false for NaN */
}

static int settings_ok(const mrl_train_settings *s)
{
  const mrl_optimizer *o = &s->optimizer;
  int ok = s->epochs >= 1 && s->batch >= 1 && s->rate > 0 && isfinite(s->rate);
  ok = ok && (size_t)o->kind < MRL_N_OPTIMIZER && between(o->decay, 0, INFINITY) &&
       between(o->clip, 0, INFINITY);
  if (o->kind == MRL_SGD) {
    ok = ok && between(o->momentum, 0, 1);
  } else {
    ok = ok && between(o->beta1, 0, 1) && between(o->beta2, 0, 1) && o->eps > 0;
  }
  ok = ok && (size_t)s->schedule.kind < MRL_N_SCHEDULE;
  if (s->schedule.kind != MRL_CONSTANT) {
    ok = ok && s->schedule.floor >= 0 && s->schedule.floor <= 1;
  }
  return ok &&
         (s->schedule.kind != MRL_PLATEAU || (s->schedule.factor > 0 && s->schedule.factor < 1));
}

mrl_status mrl_train_carve(mrl_train *train, mrl_arena *arena, const mrl_net *net,
                           const mrl_task *task, const mrl_train_settings *settings, mrl_isa isa,
                           const mrl_ctx *ctx)
{
  const mrl_train fixed = {.net = net, .task = *task, .settings = *settings};
  if (!settings_ok(settings) || task->group < 1) {
    return MRL_BAD_ARGUMENT;
  }
  *train = fixed;
  train->n_batches = batches_of(net, task, settings->batch);
  if (train->n_batches < 1) {
    return MRL_TOO_FEW;
  }
  const size_t largest = (task->n_train + train->n_batches - 1) / train->n_batches;
  const size_t blocks = mrl_optimizer_blocks(settings->optimizer.kind);
  train->n_model = net->n_params + net->n_statistics;
  train->n_state = 3 * train->n_model + blocks * net->n_params;
  train->history = MRL_TAKE(arena, mrl_epoch, settings->epochs);
  train->order = MRL_TAKE(arena, size_t, task->n_train);
  train->row = MRL_TAKE(arena, size_t, task->n_train);
  train->state = MRL_TAKE(arena, mrl_real, train->n_state);
  if (train->state) {
    train->params = train->state;
    train->statistics = train->params + net->n_params;
    train->moments = train->state + 3 * train->n_model;
  }
  return mrl_net_run_carve(&train->run, arena, net, largest, task->group, 0, isa, ctx);
}

static mrl_real *best_model(const mrl_train *train)
{
  return train->state + train->n_model;
}

static mrl_real *last_model(const mrl_train *train)
{
  return train->state + 2 * train->n_model;
}

static void copy_model(mrl_real *to, const mrl_real *from, const mrl_train *train)
{
  memcpy(to, from, train->n_model * sizeof *to);
}

void mrl_train_start(mrl_train *train)
{
  const mrl_progress start = {.best_loss = INFINITY, .plateau = {1, 0}};
  train->progress = start;
  memset(train->state, 0, train->n_state * sizeof *train->state);
  mrl_net_start(train->params, train->statistics, train->net, train->settings.seed);
}

/* The training rows in the order of an epoch. */
static const size_t *rows_of_epoch(mrl_train *train, size_t epoch)
{
  const mrl_task *task = &train->task;
  if (train->n_batches == 1) {
    return task->train;
  }
  mrl_rng rng = mrl_rng_stream(train->settings.seed, MRL_RNG_NET_ORDER, epoch);
  mrl_rng_permutation(&rng, train->order, task->n_train);
  for (size_t i = 0; i < task->n_train; i++) {
    train->row[i] = task->train[train->order[i]];
  }
  return train->row;
}

static mrl_batch batch_over(const mrl_train *train, const size_t *row, size_t n, mrl_net_mode mode)
{
  const mrl_batch batch = {.row = row,
                           .n = n,
                           .mode = mode,
                           .seed = train->settings.seed,
                           .step = train->progress.step,
                           .epoch = train->progress.epoch,
                           .fill = train->task.fill,
                           .fill_data = train->task.fill_data,
                           .loss = train->task.loss,
                           .loss_data = train->task.loss_data};
  return batch;
}

/* Mean loss of the validation rows; NaN if there are none. */
static mrl_status validate(double *loss, mrl_train *train, const mrl_ctx *ctx)
{
  const size_t n = train->task.n_valid;
  *loss = NAN;
  if (n > 0) {
    const mrl_batch batch = batch_over(train, train->task.valid, n, MRL_EVALUATE);
    MRL_TRY(mrl_net_evaluate(loss, &train->run, train->params, train->statistics, &batch, ctx));
    *loss /= (double)n;
  }
  return MRL_OK;
}

static mrl_status one_batch(double *loss, mrl_train *train, const size_t *rows, size_t b,
                            double rate, const mrl_ctx *ctx)
{
  const size_t first = batch_begin(train, b), n = batch_begin(train, b + 1) - first;
  const mrl_batch batch = batch_over(train, rows + first, n, MRL_TRAIN);
  const mrl_net *net = train->net;
  double norm;
  MRL_TRY(mrl_net_step(loss, &train->run, train->params, train->statistics, &batch, ctx));
  if (!isfinite(*loss)) {
    return MRL_NOT_FINITE;
  }
  train->progress.step++;
  return mrl_optimizer_step(train->params, train->moments, &norm, train->run.gradient, net->piece,
                            net->n_pieces, net->n_params, &train->settings.optimizer, rate,
                            train->progress.step, train->run.isa);
}

/* The batches of an epoch; *loss: the mean over its rows, each judged before its batch's step. */
static mrl_status all_batches(double *loss, mrl_train *train, double rate, const mrl_ctx *ctx)
{
  const size_t *rows = rows_of_epoch(train, train->progress.epoch);
  double sum = 0;
  for (size_t b = 0; b < train->n_batches; b++) {
    double value;
    mrl_poll(ctx);
    MRL_TRY(one_batch(&value, train, rows, b, rate, ctx));
    sum += value * (double)(batch_begin(train, b + 1) - batch_begin(train, b));
  }
  *loss = sum / (double)train->task.n_train;
  return MRL_OK;
}

int mrl_all_finite(const mrl_real *x, size_t n)
{
  mrl_real sum = 0;
  for (size_t i = 0; i < n; i++) {
    sum += x[i] * 0; /* 0, or NaN from the first that is not finite */
  }
  return sum == 0;
}

int mrl_progress_count(mrl_progress *progress, double monitored, const mrl_train_settings *settings)
{
  const int is_best = monitored < progress->best_loss;
  progress->epoch++;
  progress->bad = is_best ? 0 : progress->bad + 1;
  if (is_best) {
    progress->best_loss = monitored;
    progress->best_epoch = progress->epoch;
  }
  mrl_plateau_update(&progress->plateau, &settings->schedule, is_best);
  if (settings->patience > 0 && progress->bad >= settings->patience) {
    progress->stop = MRL_STOP_PATIENCE;
  } else if (progress->epoch >= settings->epochs) {
    progress->stop = MRL_STOP_EPOCHS;
  }
  return is_best;
}

/* After an epoch whose numbers are all finite. */
static void record_epoch(mrl_train *train, const mrl_epoch *epoch)
{
  const double monitored = train->task.n_valid > 0 ? epoch->valid : epoch->train;
  train->history[train->progress.epoch] = *epoch;
  if (mrl_progress_count(&train->progress, monitored, &train->settings)) {
    copy_model(best_model(train), train->params, train);
  }
  copy_model(last_model(train), train->params, train);
}

/*
 * Is this epoch for all threads? They wait for each other after every layer, which costs far more
 * than it gains where other programs want the cores. So the faster way is taken, and the other one
 * tried again ever more rarely. The numbers are the same either way.
 */
static int wants_all_threads(const mrl_train *train)
{
  const size_t n = train->n_timed;
  const int faster = train->pace[1] < train->pace[0];
  const int try_other = n > 2 && (n & (n - 1)) == 0;
  if (!train->now || n < 2) {
    return !train->now || n == 0;
  }
  return try_other ? !faster : faster;
}

static void keep_pace(mrl_train *train, int all, double seconds)
{
  train->pace[all] = seconds;
  train->n_timed++;
}

static mrl_status one_epoch(mrl_train *train, const mrl_ctx *all_threads)
{
  const mrl_progress *progress = &train->progress;
  const double started = train->now ? train->now() : NAN;
  const int all = all_threads->n_threads < 2 || wants_all_threads(train);
  const mrl_ctx chosen = {all ? all_threads->n_threads : 1, all_threads->poll,
                          all_threads->poll_data};
  const mrl_ctx *ctx = &chosen;
  mrl_epoch epoch;
  epoch.rate =
      train->settings.rate * mrl_schedule_rate(&train->settings.schedule, &progress->plateau,
                                               progress->epoch, train->settings.epochs);
  MRL_TRY(all_batches(&epoch.train, train, epoch.rate, ctx));
  MRL_TRY(validate(&epoch.valid, train, ctx));
  if ((train->task.n_valid > 0 && !isfinite(epoch.valid)) ||
      !mrl_all_finite(train->params, train->n_model)) {
    return MRL_NOT_FINITE;
  }
  epoch.seconds = train->now ? train->now() - started : NAN;
  keep_pace(train, all, epoch.seconds);
  record_epoch(train, &epoch);
  return MRL_OK;
}

/* The initial weights are the first candidates, and the last finite ones so far. */
static mrl_status judge_start(mrl_train *train, const mrl_ctx *ctx)
{
  double loss;
  copy_model(best_model(train), train->params, train);
  copy_model(last_model(train), train->params, train);
  MRL_TRY(validate(&loss, train, ctx));
  if (train->task.n_valid > 0) {
    train->progress.best_loss = loss;
    return isfinite(loss) ? MRL_OK : MRL_NOT_FINITE;
  }
  return MRL_OK;
}

/* The weights to use, once a training has stopped. */
static mrl_status finish(mrl_train *train)
{
  const mrl_progress *progress = &train->progress;
  const mrl_epoch *last = train->history + progress->epoch - 1;
  if (train->task.n_valid > 0) {
    copy_model(train->params, best_model(train), train);
    return progress->best_epoch > 0 ? MRL_OK : MRL_NO_CONVERGE;
  }
  return last->train > train->history[0].train ? MRL_NO_CONVERGE : MRL_OK;
}

mrl_status mrl_train_run(mrl_train *train, size_t until, const mrl_ctx *ctx)
{
  mrl_progress *progress = &train->progress;
  mrl_status status = MRL_OK;
  if (progress->epoch == 0 && progress->stop == MRL_GOES_ON) {
    status = judge_start(train, ctx);
  }
  while (status == MRL_OK && progress->stop == MRL_GOES_ON && progress->epoch < until) {
    status = one_epoch(train, ctx);
  }
  if (status == MRL_NOT_FINITE) {
    progress->stop = MRL_STOP_DIVERGED;
    copy_model(train->params, last_model(train), train);
  }
  if (status == MRL_OK && progress->stop == MRL_STOP_DIVERGED) {
    return MRL_NOT_FINITE;
  }
  return status == MRL_OK && progress->stop != MRL_GOES_ON ? finish(train) : status;
}

void mrl_train_split(size_t *rows, size_t n, uint64_t seed)
{
  mrl_rng rng = mrl_rng_stream(seed, MRL_RNG_NET_SPLIT, 0);
  mrl_rng_permutation(&rng, rows, n);
}
