#include "iv_context.h"

#include "rng.h"

#include <math.h>
#include <string.h>

static int context_ok(const mrl_context_settings *s, size_t p)
{
  const int penalties =
      s->slope_l1 >= 0 && s->slope_l2 >= 0 && s->offset_l1 >= 0 && s->offset_l2 >= 0;
  return p >= 1 && (size_t)s->kind < MRL_N_CONTEXT && penalties &&
         (s->kind != MRL_CONTEXT_ARCHETYPES || s->archetypes >= 2);
}

/* Evaluations of the net for each row, and its inputs. */
static size_t group_of(mrl_context_kind kind, size_t p)
{
  return kind == MRL_CONTEXT_ADDITIVE ? p : 1;
}

static size_t inputs_of(mrl_context_kind kind, size_t p)
{
  return kind == MRL_CONTEXT_ADDITIVE ? 1 + p : p;
}

static size_t add_hidden(mrl_layer *layers, const mrl_mlp *mlp)
{
  size_t n = 0;
  for (size_t i = 0; i < mlp->n_hidden; i++) {
    const mrl_layer dense = {.kind = MRL_LAYER_DENSE, .units = (size_t)mlp->hidden[i]};
    const mrl_layer norm = {.kind = MRL_LAYER_BATCH_NORM};
    const mrl_layer activation = {
        .kind = MRL_LAYER_ACTIVATION, .activation = mlp->activation, .value = mlp->slope};
    const mrl_layer dropout = {.kind = MRL_LAYER_DROPOUT, .value = mlp->dropout};
    layers[n++] = dense;
    if (mlp->batch_norm) {
      layers[n++] = norm;
    }
    layers[n++] = activation;
    if (mlp->dropout > 0) {
      layers[n++] = dropout;
    }
  }
  return n;
}

mrl_status mrl_context_net(mrl_net *net, mrl_arena *arena, const mrl_context_settings *settings,
                           size_t p, int members)
{
  mrl_layer layers[MRL_MLP_LAYERS + 2];
  const mrl_mlp *mlp = &settings->mlp;
  if (!context_ok(settings, p) || mlp->n_hidden > MRL_MLP_MOST) {
    return MRL_BAD_ARGUMENT;
  }
  for (size_t i = 0; i < mlp->n_hidden; i++) {
    if (mlp->hidden[i] < 1) {
      return MRL_BAD_ARGUMENT;
    }
  }
  size_t n = add_hidden(layers, mlp);
  if (settings->kind == MRL_CONTEXT_ARCHETYPES) {
    const mrl_layer logits = {.kind = MRL_LAYER_DENSE, .units = settings->archetypes};
    const mrl_layer shares = {.kind = MRL_LAYER_SOFTMAX};
    layers[n++] = logits;
    layers[n++] = shares;
  }
  if (!members) {
    const mrl_layer heads = {.kind = MRL_LAYER_DENSE, .units = 2};
    layers[n++] = heads;
  }
  return mrl_net_carve(net, arena, layers, n, inputs_of(settings->kind, p));
}

static mrl_status fill(mrl_real *x, const mrl_tile *tile, const void *data)
{
  const mrl_context_values *values = data;
  const size_t p = values->p;
  if (values->kind != MRL_CONTEXT_ADDITIVE) {
    for (size_t j = 0; j < p; j++) {
      for (size_t i = 0; i < tile->rows; i++) {
        x[i + j * tile->ld] = values->c[tile->row[i] * p + j];
      }
    }
    return MRL_OK;
  }
  for (size_t k = 0; k < tile->group; k++) {
    for (size_t i = 0; i < tile->rows; i++) {
      x[i + k * tile->rows] = values->c[tile->row[i] * p + k];
    }
    for (size_t j = 0; j < p; j++) {
      for (size_t i = 0; i < tile->rows; i++) {
        x[i + k * tile->rows + (1 + j) * tile->ld] = j == k ? 1 : 0;
      }
    }
  }
  return MRL_OK;
}

static mrl_real sign_of(mrl_real x)
{
  return x > 0 ? 1 : x < 0 ? -1 : 0;
}

/* Gradients of the penalties of a row's offset and slope. */
static mrl_real penalty_slope(mrl_real at, const mrl_context_values *values, int which)
{
  return values->l1[which] * sign_of(at) + 2 * values->l2[which] * at;
}

static double penalty(mrl_real at, const mrl_context_values *values, int which)
{
  return (double)(values->l1[which] * (at < 0 ? -at : at) + values->l2[which] * at * at);
}

/* Rows that are only judged (d_output NULL) are judged by their errors, without penalties. */
static mrl_status loss(double *value, mrl_real *d_output, const mrl_real *output,
                       const mrl_tile *tile, const void *data)
{
  const mrl_context_values *values = data;
  double sum = 0;
  for (size_t i = 0; i < tile->rows; i++) {
    const size_t row = tile->row[i];
    const mrl_real weight = values->weight ? values->weight[row] : 1;
    mrl_real mu = 0, beta = 0;
    for (size_t k = 0; k < tile->group; k++) {
      mu += output[i + k * tile->rows];
      beta += output[i + k * tile->rows + tile->ld];
    }
    const mrl_real r = values->e[row] - mu - beta * values->s[row];
    sum += (double)(weight * r * r);
    if (!d_output) {
      continue;
    }
    sum += (double)weight * (penalty(mu, values, 0) + penalty(beta, values, 1));
    const mrl_real scale = weight * tile->scale;
    const mrl_real d_mu = scale * (penalty_slope(mu, values, 0) - 2 * r);
    const mrl_real d_beta = scale * (penalty_slope(beta, values, 1) - 2 * r * values->s[row]);
    for (size_t k = 0; k < tile->group; k++) {
      d_output[i + k * tile->rows] = d_mu;
      d_output[i + k * tile->rows + tile->ld] = d_beta;
    }
  }
  *value = sum;
  return MRL_OK;
}

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
                         .group = group_of(context->settings.kind, context->data.p),
                         .fill = fill,
                         .fill_data = &context->values,
                         .loss = loss,
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
  return mrl_net_run_carve(&unused, arena, context->net, batch < data->n ? batch : data->n,
                           group_of(context->settings.kind, data->p), 0, context->settings.isa,
                           &alone);
}

mrl_status mrl_context_carve(mrl_context *context, mrl_arena *arena, const mrl_net *net,
                             const mrl_context_data *data, const mrl_context_settings *settings)
{
  const mrl_context fixed = {.net = net, .data = *data, .settings = *settings};
  const mrl_ctx alone = {1, NULL, NULL};
  const size_t nets = settings->n_nets;
  if (!context_ok(settings, data->p) || nets < 1 || data->n > SIZE_MAX / 16 / (data->p + 1) ||
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

size_t mrl_context_width(const mrl_context_settings *settings, size_t p, int members)
{
  return members ? settings->archetypes : settings->kind == MRL_CONTEXT_ADDITIVE ? 2 * p : 2;
}

/* Where evaluated rows go. */
typedef struct {
  double *out;
  size_t n, width;
} kept;

static mrl_status keep(double *value, mrl_real *d_output, const mrl_real *output,
                       const mrl_tile *tile, const void *data)
{
  const kept *to = data;
  (void)d_output;
  *value = 0;
  for (size_t j = 0; j < to->width / tile->group; j++) {
    for (size_t k = 0; k < tile->group; k++) {
      double *column = to->out + (j * tile->group + k) * to->n;
      for (size_t i = 0; i < tile->rows; i++) {
        column[tile->row[i]] = (double)output[i + k * tile->rows + j * tile->ld];
      }
    }
  }
  return MRL_OK;
}

typedef struct {
  mrl_net_run run;
  mrl_context_values values;
  size_t *row;
} prediction;

static mrl_status carve_prediction(prediction *to, mrl_arena *arena, const mrl_net *net,
                                   const mrl_context_settings *settings, size_t n, size_t p,
                                   const mrl_ctx *ctx)
{
  const mrl_context_values values = {.p = p, .kind = settings->kind};
  to->values = values;
  to->values.c = MRL_TAKE(arena, mrl_real, n * p);
  to->row = MRL_TAKE(arena, size_t, n);
  return mrl_net_run_carve(&to->run, arena, net, 0, group_of(settings->kind, p), 0, settings->isa,
                           ctx);
}

size_t mrl_context_predict_scratch(const mrl_net *net, const mrl_context_settings *settings,
                                   size_t n, size_t p, const mrl_ctx *ctx)
{
  prediction unused;
  mrl_arena arena = mrl_arena_measure();
  const mrl_status status = carve_prediction(&unused, &arena, net, settings, n, p, ctx);
  return status == MRL_OK && !arena.failed ? arena.used : 0;
}

mrl_status mrl_context_predict(double *out, const mrl_net *net, const mrl_real *params,
                               const mrl_real *statistics, const mrl_context_settings *settings,
                               const double *const *c, size_t n, size_t p, void *scratch,
                               size_t size, const mrl_ctx *ctx)
{
  mrl_arena arena = mrl_arena_over(scratch, size);
  prediction at;
  double none;
  MRL_TRY(carve_prediction(&at, &arena, net, settings, n, p, ctx));
  if (arena.failed) {
    return MRL_NO_MEMORY;
  }
  for (size_t i = 0; i < n; i++) {
    at.row[i] = i;
    for (size_t j = 0; j < p; j++) {
      at.values.c[i * p + j] = (mrl_real)c[j][i];
    }
  }
  const kept to = {out, n, net->n_outputs * group_of(settings->kind, p)};
  const mrl_batch batch = {
      .row = at.row, .n = n, .fill = fill, .fill_data = &at.values, .loss = keep, .loss_data = &to};
  return mrl_net_evaluate(&none, &at.run, params, statistics, &batch, ctx);
}
