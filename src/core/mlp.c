#include "mlp.h"

#include <math.h>

static size_t add_hidden(mrl_layer *layers, size_t at, const mrl_mlp *mlp, size_t units)
{
  const mrl_layer dense = {.kind = MRL_LAYER_DENSE, .units = units};
  const mrl_layer norm = {.kind = MRL_LAYER_BATCH_NORM};
  const mrl_layer activation = {
      .kind = MRL_LAYER_ACTIVATION, .activation = mlp->activation, .value = mlp->slope};
  const mrl_layer dropout = {.kind = MRL_LAYER_DROPOUT, .value = mlp->dropout};
  layers[at++] = dense;
  if (mlp->batch_norm) {
    layers[at++] = norm;
  }
  layers[at++] = activation;
  if (mlp->dropout > 0) {
    layers[at++] = dropout;
  }
  return at;
}

/* The hidden layers; returns how many layers they are, 0 with *status set if they are bad. */
static size_t hidden_layers(mrl_layer *layers, const mrl_mlp *mlp, mrl_status *status)
{
  size_t n = 0;
  *status = mlp->n_hidden > MRL_MLP_MOST ? MRL_BAD_ARGUMENT : MRL_OK;
  for (size_t i = 0; *status == MRL_OK && i < mlp->n_hidden; i++) {
    if (mlp->hidden[i] < 1) {
      *status = MRL_BAD_ARGUMENT;
    } else {
      n = add_hidden(layers, n, mlp, (size_t)mlp->hidden[i]);
    }
  }
  return n;
}

mrl_status mrl_mlp_carve(mrl_net *net, mrl_arena *arena, const mrl_mlp *mlp, size_t n_inputs,
                         size_t n_outputs, mrl_activation last)
{
  const mrl_layer output = {.kind = MRL_LAYER_DENSE, .units = n_outputs};
  const mrl_layer activation = {.kind = MRL_LAYER_ACTIVATION, .activation = last};
  mrl_layer layers[MRL_MLP_LAYERS];
  mrl_status status;
  size_t n = hidden_layers(layers, mlp, &status);
  MRL_TRY(status);
  layers[n++] = output;
  if (last != MRL_IDENTITY) {
    layers[n++] = activation;
  }
  return mrl_net_carve(net, arena, layers, n, n_inputs);
}

mrl_status mrl_mlp_trunk_carve(mrl_net *trunk, mrl_arena *arena, const mrl_mlp *mlp,
                               size_t n_inputs)
{
  mrl_layer layers[MRL_MLP_LAYERS];
  mrl_status status;
  const size_t n = hidden_layers(layers, mlp, &status);
  MRL_TRY(status);
  return n > 0 ? mrl_net_carve(trunk, arena, layers, n, n_inputs)
               : mrl_mlp_carve(trunk, arena, mlp, n_inputs, 1, MRL_IDENTITY);
}

/* In two passes: the mean first, so that a large one does no harm. */
mrl_scale mrl_scale_of(const double *x, const double *weights, size_t n)
{
  mrl_scale scale = {0, 1};
  double total = 0, sum = 0, square = 0;
  for (size_t i = 0; i < n; i++) {
    const double w = weights ? weights[i] : 1;
    total += w;
    sum += w * x[i];
  }
  scale.mean = sum / total;
  for (size_t i = 0; i < n; i++) {
    const double d = x[i] - scale.mean;
    square += (weights ? weights[i] : 1) * d * d;
  }
  const double sd = sqrt(square / total);
  if (sd > 1e-12 * fabs(scale.mean)) { /* more than the rounding of a constant's mean */
    scale.sd = sd;
  }
  return scale;
}

void mrl_scale_column(mrl_real *out, size_t stride, const double *x, const mrl_scale *scale,
                      size_t n)
{
  for (size_t i = 0; i < n; i++) {
    out[i * stride] = (mrl_real)((x[i] - scale->mean) / scale->sd);
  }
}

mrl_status mrl_keep_tile(double *value, mrl_real *d_output, const mrl_real *output,
                         const mrl_tile *tile, const void *data)
{
  const mrl_keep *keep = data;
  (void)d_output;
  *value = 0;
  for (size_t j = 0; j < keep->outputs; j++) {
    for (size_t i = 0; i < tile->rows; i++) {
      keep->out[tile->row[i] * keep->outputs + j] = output[i + j * tile->ld];
    }
  }
  return MRL_OK;
}
