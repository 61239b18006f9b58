/* The net of a context: layers, what it reads and is judged by, what a fitted one says. */
#include "iv_context.h"

int mrl_context_ok(const mrl_context_settings *s, size_t p)
{
  const int penalties =
      s->slope_l1 >= 0 && s->slope_l2 >= 0 && s->offset_l1 >= 0 && s->offset_l2 >= 0;
  return p >= 1 && (size_t)s->kind < MRL_N_CONTEXT && penalties &&
         (s->kind != MRL_CONTEXT_ARCHETYPES || s->archetypes >= 2);
}

size_t mrl_context_parts(mrl_context_kind kind, size_t p)
{
  return kind == MRL_CONTEXT_ADDITIVE ? p : 1;
}

/* Hidden layers of `parts` nets side by side. */
static size_t add_hidden(mrl_layer *layers, const mrl_mlp *mlp, size_t parts)
{
  size_t n = 0;
  for (size_t i = 0; i < mlp->n_hidden; i++) {
    const mrl_layer dense = {
        .kind = MRL_LAYER_DENSE, .units = parts * (size_t)mlp->hidden[i], .blocks = parts};
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
  if (!mrl_context_ok(settings, p) || mlp->n_hidden > MRL_MLP_MOST) {
    return MRL_BAD_ARGUMENT;
  }
  for (size_t i = 0; i < mlp->n_hidden; i++) {
    if (mlp->hidden[i] < 1) {
      return MRL_BAD_ARGUMENT;
    }
  }
  const size_t parts = mrl_context_parts(settings->kind, p);
  size_t n = add_hidden(layers, mlp, parts);
  if (settings->kind == MRL_CONTEXT_ARCHETYPES) {
    const mrl_layer logits = {.kind = MRL_LAYER_DENSE, .units = settings->archetypes};
    const mrl_layer shares = {.kind = MRL_LAYER_SOFTMAX};
    layers[n++] = logits;
    layers[n++] = shares;
  }
  if (!members) {
    const mrl_layer heads = {.kind = MRL_LAYER_DENSE, .units = 2 * parts, .blocks = parts};
    layers[n++] = heads;
  }
  return mrl_net_carve(net, arena, layers, n, p);
}

mrl_status mrl_context_fill(mrl_real *x, const mrl_tile *tile, const void *data)
{
  const mrl_context_values *values = data;
  const size_t p = values->p;
  for (size_t j = 0; j < p; j++) {
    for (size_t i = 0; i < tile->rows; i++) {
      x[i + j * tile->ld] = values->c[tile->row[i] * p + j];
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
mrl_status mrl_context_loss(double *value, mrl_real *d_output, const mrl_real *output,
                            const mrl_tile *tile, const void *data)
{
  const mrl_context_values *values = data;
  const size_t parts = mrl_context_parts(values->kind, values->p);
  double sum = 0;
  for (size_t i = 0; i < tile->rows; i++) {
    const size_t row = tile->row[i];
    const mrl_real weight = values->weight ? values->weight[row] : 1;
    mrl_real mu = 0, beta = 0;
    for (size_t k = 0; k < parts; k++) {
      mu += output[i + 2 * k * tile->ld];
      beta += output[i + (2 * k + 1) * tile->ld];
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
    for (size_t k = 0; k < parts; k++) {
      d_output[i + 2 * k * tile->ld] = d_mu;
      d_output[i + (2 * k + 1) * tile->ld] = d_beta;
    }
  }
  *value = sum;
  return MRL_OK;
}

size_t mrl_context_width(const mrl_context_settings *settings, size_t p, int members)
{
  return members ? settings->archetypes : settings->kind == MRL_CONTEXT_ADDITIVE ? 2 * p : 2;
}

/* Where evaluated rows go. stride: outputs k, k + stride, k + 2 stride ... lie side by side. */
typedef struct {
  double *out;
  size_t n, width, stride;
} kept;

static mrl_status keep(double *value, mrl_real *d_output, const mrl_real *output,
                       const mrl_tile *tile, const void *data)
{
  const kept *to = data;
  (void)d_output;
  *value = 0;
  const size_t each = to->width / to->stride;
  for (size_t j = 0; j < to->width; j++) {
    double *column = to->out + (j % to->stride * each + j / to->stride) * to->n;
    for (size_t i = 0; i < tile->rows; i++) {
      column[tile->row[i]] = (double)output[i + j * tile->ld];
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
  return mrl_net_run_carve(&to->run, arena, net, 0, 1, 0, settings->isa, ctx);
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
  const kept to = {out, n, net->n_outputs, settings->kind == MRL_CONTEXT_ADDITIVE ? 2 : 1};
  const mrl_batch batch = {.row = at.row,
                           .n = n,
                           .fill = mrl_context_fill,
                           .fill_data = &at.values,
                           .loss = keep,
                           .loss_data = &to};
  return mrl_net_evaluate(&none, &at.run, params, statistics, &batch, ctx);
}
