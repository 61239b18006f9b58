#include "iv_context.h"

#include "rng.h"

#include <math.h>

static void carve_values(mrl_context *context, mrl_arena *arena)
{
  const mrl_context_data *data = &context->data;
  const mrl_context_settings *how = &context->settings;
  mrl_context_values values = {.p = data->p, .kind = how->kind};
  values.c = MRL_TAKE(arena, mrl_real, data->n * data->p);
  values.e = MRL_TAKE(arena, mrl_real, data->n);
  values.s = MRL_TAKE(arena, mrl_real, data->n);
  values.weight = MRL_TAKE(arena, mrl_real, data->weights ? data->n : 0);
  if (!data->weights) {
    values.weight = NULL;
  }
  values.l1[0] = (mrl_real)how->offset_l1;
  values.l2[0] = (mrl_real)how->offset_l2;
  values.l1[1] = (mrl_real)how->slope_l1;
  values.l2[1] = (mrl_real)how->slope_l2;
  context->values = values;
}

/*
 * Rows of net m (from 0): those of units outside its fold, a random share of which is held out.
 * A row without weight is nobody's.
 */
static void split_rows(size_t *row, size_t *n_train, size_t *n_valid, mrl_context *context,
                       size_t m)
{
  const mrl_context_data *data = &context->data;
  const size_t units = data->n_units;
  const size_t held = (size_t)floor(context->settings.validation * (double)units + 0.5);
  mrl_rng rng = mrl_rng_stream(context->settings.seed, MRL_RNG_NET_SPLIT, m + 1);
  size_t n = 0;
  mrl_rng_permutation(&rng, context->order, units);
  for (size_t i = 0; i < units; i++) {
    context->place[context->order[i]] = i;
  }
  for (int valid = 0; valid < 2; valid++) {
    for (size_t i = 0; i < data->n; i++) {
      const int is_valid = context->place[data->unit[i] - 1] < held;
      const int mine = data->fold[i] != (int)m + 1 && (!data->weights || data->weights[i] > 0);
      if (mine && is_valid == valid) {
        row[n++] = i;
      }
    }
    if (!valid) {
      *n_train = n;
    }
  }
  *n_valid = n - *n_train;
}

static mrl_status carve_member(mrl_context *context, mrl_arena *arena, size_t m, size_t n_train,
                               size_t n_valid, const mrl_ctx *ctx)
{
  mrl_context_member *member = context->member ? context->member + m : NULL;
  mrl_train unused;
  mrl_rng rng = mrl_rng_stream(context->settings.seed, MRL_RNG_NET_WEIGHTS, m + 1);
  mrl_train_settings how = context->settings.train;
  how.seed = mrl_rng_u64(&rng);
  const mrl_task task = {.train = member ? member->row : NULL,
                         .valid = member ? member->row + n_train : NULL,
                         .n_train = n_train,
                         .n_valid = n_valid,
                         .group = 1,
                         .fill = mrl_context_fill,
                         .fill_data = &context->values,
                         .loss = mrl_context_loss,
                         .loss_data = &context->values};
  return mrl_train_carve(member ? &member->train : &unused, arena, context->net, &task, &how,
                         context->settings.isa, ctx);
}

/* Fewer rows may make a larger batch (2001 are two of some 1000, 1999 are one): its room on top. */
static mrl_status measure_batch(mrl_arena *arena, const mrl_context *context)
{
  const mrl_context_data *data = &context->data;
  const size_t batch = context->settings.train.batch;
  const mrl_ctx alone = {1, NULL, NULL};
  mrl_net_run unused;
  return mrl_net_run_carve(&unused, arena, context->net, batch < data->n ? batch : data->n, 1, 0,
                           context->settings.isa, &alone);
}

mrl_status mrl_context_carve(mrl_context *context, mrl_arena *arena, const mrl_net *net,
                             const mrl_context_data *data, const mrl_context_settings *settings)
{
  const mrl_context fixed = {.net = net, .data = *data, .settings = *settings};
  const mrl_ctx alone = {1, NULL, NULL};
  const size_t nets = settings->n_nets;
  if (!mrl_context_ok(settings, data->p) || nets < 1 || data->n > SIZE_MAX / 16 / (data->p + 1) ||
      !(settings->validation >= 0 && settings->validation < 1)) {
    return MRL_BAD_ARGUMENT;
  }
  *context = fixed;
  carve_values(context, arena);
  context->member = MRL_TAKE(arena, mrl_context_member, nets);
  context->order = MRL_TAKE(arena, size_t, data->n_units);
  context->place = MRL_TAKE(arena, size_t, data->n_units);
  for (size_t m = 0; m < nets; m++) {
    size_t *row = MRL_TAKE(arena, size_t, data->n);
    size_t n_train = data->n, n_valid = 0;
    if (arena->failed) {
      return MRL_NO_MEMORY;
    }
    if (arena->base) {
      context->member[m].row = row;
      split_rows(row, &n_train, &n_valid, context, m);
    }
    MRL_TRY(carve_member(context, arena, m, n_train, n_valid, &alone));
    if (!arena->base) {
      MRL_TRY(measure_batch(arena, context));
    }
  }
  return arena->failed ? MRL_NO_MEMORY : MRL_OK;
}

/* Weights with mean one over the rows. */
static mrl_status set_values(mrl_context *context, const mrl_ctx *ctx)
{
  const mrl_context_data *data = &context->data;
  mrl_context_values *values = &context->values;
  double sum = 0;
  for (size_t j = 0; j < data->p; j++) {
    mrl_poll(ctx);
    for (size_t i = 0; i < data->n; i++) {
      values->c[i * data->p + j] = (mrl_real)data->c[j][i];
    }
  }
  for (size_t i = 0; i < data->n; i++) {
    values->e[i] = (mrl_real)data->e[i];
    values->s[i] = (mrl_real)data->s[i];
    sum += data->weights ? data->weights[i] : 1;
  }
  if (!(sum > 0)) {
    return MRL_TOO_FEW;
  }
  for (size_t i = 0; data->weights && i < data->n; i++) {
    values->weight[i] = (mrl_real)(data->weights[i] * (double)data->n / sum);
  }
  return MRL_OK;
}

/* The slopes start near zero: what is not learnt is the constant slope. */
static void quiet_heads(mrl_train *train)
{
  const mrl_param *heads = train->net->piece + train->net->n_pieces - 2; /* then their biases */
  for (size_t i = 0; i < heads->size; i++) {
    train->params[heads->offset + i] *= (mrl_real)0.1;
  }
}

mrl_status mrl_context_run(mrl_context *context, const mrl_ctx *ctx)
{
  const size_t nets = context->settings.n_nets, epochs = context->settings.train.epochs;
  const mrl_ctx alone = {1, NULL, NULL};
  MRL_TRY(set_values(context, ctx));
  for (size_t m = 0; m < nets; m++) {
    mrl_poll(ctx);
    mrl_train_start(&context->member[m].train);
    quiet_heads(&context->member[m].train);
    context->member[m].status = MRL_OK;
  }
  for (size_t epoch = 1; epoch <= epochs; epoch++) {
    mrl_poll(ctx);
#pragma omp parallel for schedule(dynamic, 1) num_threads(ctx->n_threads)
    for (size_t m = 0; m < nets; m++) {
      mrl_context_member *member = context->member + m;
      if (member->train.progress.stop == MRL_GOES_ON) {
        member->status = mrl_train_run(&member->train, epoch, &alone);
      }
    }
  }
  for (size_t m = 0; m < nets; m++) {
    const mrl_status status = context->member[m].status;
    if (status != MRL_OK && status != MRL_NOT_FINITE && status != MRL_NO_CONVERGE) {
      return status;
    }
  }
  return MRL_OK;
}
