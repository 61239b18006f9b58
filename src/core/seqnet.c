#include "seqnet.h"

#include <string.h>

static mrl_status check_node(const mrl_seq_node *node, const mrl_seq_node *in)
{
  const mrl_seq_layer *layer = &node->layer;
  switch (layer->kind) {
  case MRL_SEQ_CONV:
    return layer->units >= 1 && layer->taps >= 1 && layer->dilation >= 1 && layer->groups >= 1 &&
                   in->width % layer->groups == 0 && layer->units % layer->groups == 0
               ? MRL_OK
               : MRL_BAD_ARGUMENT;
  case MRL_SEQ_DENSE:
    return layer->units >= 1 ? MRL_OK : MRL_BAD_ARGUMENT;
  case MRL_SEQ_MAX_POOL:
  case MRL_SEQ_AVERAGE_POOL:
    return layer->taps >= 1 && layer->stride >= 1 ? MRL_OK : MRL_BAD_ARGUMENT;
  case MRL_SEQ_BATCH_NORM:
    return layer->value >= 0 ? MRL_OK : MRL_BAD_ARGUMENT;
  case MRL_SEQ_ACTIVATION:
    return (unsigned)layer->activation < MRL_N_ACTIVATION ? MRL_OK : MRL_BAD_ARGUMENT;
  case MRL_SEQ_DROPOUT:
    return layer->value >= 0 && layer->value < 1 ? MRL_OK : MRL_BAD_ARGUMENT;
  default:
    return layer->kind > MRL_SEQ_INPUT && layer->kind < MRL_SEQ_N_KIND ? MRL_OK : MRL_BAD_ARGUMENT;
  }
}

/* Length of what a window of `span` positions moved by `stride` leaves, and the padding. */
static mrl_status slide(mrl_seq_node *node, size_t length, size_t span, size_t stride)
{
  if (!node->layer.same) {
    if (length < span) {
      return MRL_TOO_FEW;
    }
    node->length = (length - span) / stride + 1;
    return MRL_OK;
  }
  node->length = (length + stride - 1) / stride;
  const size_t reach = (node->length - 1) * stride + span;
  node->pad = reach > length ? (reach - length) / 2 : 0;
  return MRL_OK;
}

static mrl_status slide_conv(mrl_seq_node *node, const mrl_seq_node *in)
{
  const mrl_seq_layer *layer = &node->layer;
  if (layer->dilation > UINT32_MAX / layer->taps) {
    return MRL_NO_MEMORY;
  }
  node->width = layer->units;
  return slide(node, in->length, (layer->taps - 1) * layer->dilation + 1, 1);
}

static mrl_status crop(mrl_seq_node *node, const mrl_seq_node *in)
{
  const size_t *drop = node->layer.crop;
  if (drop[0] >= in->length || drop[1] >= in->length - drop[0]) {
    return MRL_TOO_FEW;
  }
  node->length = in->length - drop[0] - drop[1];
  return MRL_OK;
}

/* Shape of a node whose layer is in range. */
static mrl_status infer_shape(mrl_seq_node *node, const mrl_seq_node *in, const mrl_seq_node *other)
{
  const mrl_seq_layer *layer = &node->layer;
  node->length = in->length;
  node->width = in->width;
  switch (layer->kind) {
  case MRL_SEQ_CONV:
    return slide_conv(node, in);
  case MRL_SEQ_MAX_POOL:
  case MRL_SEQ_AVERAGE_POOL:
    return slide(node, in->length, layer->taps, layer->stride);
  case MRL_SEQ_CROP:
    return crop(node, in);
  case MRL_SEQ_DENSE:
  case MRL_SEQ_FLATTEN:
    node->length = 1;
    if (in->width > SIZE_MAX / in->length) {
      return MRL_NO_MEMORY;
    }
    node->width = layer->kind == MRL_SEQ_DENSE ? layer->units : in->length * in->width;
    return MRL_OK;
  case MRL_SEQ_GLOBAL_MAX:
  case MRL_SEQ_GLOBAL_AVERAGE:
  case MRL_SEQ_GLOBAL_LSE:
    node->length = 1;
    return MRL_OK;
  case MRL_SEQ_ADD:
    return in->length == other->length && in->width == other->width ? MRL_OK : MRL_BAD_ARGUMENT;
  default:
    return MRL_OK;
  }
}

/* n more numbers, filled up to whole registers. */
static size_t take_piece(size_t *total, size_t n)
{
  const size_t at = *total;
  *total += mrl_pad(n);
  return at;
}

static mrl_status lay_params(mrl_seqnet *net, mrl_seq_node *node, const mrl_seq_node *in)
{
  const mrl_seq_layer *layer = &node->layer;
  if (layer->kind == MRL_SEQ_BATCH_NORM) {
    node->weight = take_piece(&net->n_params, node->width);
    node->bias = take_piece(&net->n_params, node->width);
    node->mean = take_piece(&net->n_statistics, node->width);
    node->var = take_piece(&net->n_statistics, node->width);
    net->n_load += 4 * node->width;
  }
  if (layer->kind == MRL_SEQ_CONV || layer->kind == MRL_SEQ_DENSE) {
    const int is_conv = layer->kind == MRL_SEQ_CONV;
    const size_t taps = is_conv ? layer->taps : in->length;
    const size_t inputs = is_conv ? in->width / layer->groups : in->width;
    if (inputs > SIZE_MAX / 64 / taps || inputs * taps > SIZE_MAX / 64 / layer->units) {
      return MRL_NO_MEMORY;
    }
    node->n_weights = taps * inputs * layer->units;
    node->weight = take_piece(&net->n_params, node->n_weights);
    node->bias = layer->bias ? take_piece(&net->n_params, layer->units) : 0;
    net->n_load += node->n_weights + (layer->bias ? layer->units : 0);
  }
  return MRL_OK;
}

/* Node i of layer i - 1. */
static mrl_status lay_node(mrl_seqnet *net, size_t i, const mrl_seq_layer *layer)
{
  mrl_seq_node *node = net->node + i;
  const int is_sum = layer->kind == MRL_SEQ_ADD;
  memset(node, 0, sizeof *node);
  node->layer = *layer;
  node->output_at = SIZE_MAX;
  if (layer->input[0] >= i || (is_sum && layer->input[1] >= i)) {
    return MRL_BAD_ARGUMENT;
  }
  mrl_seq_node *in = net->node + layer->input[0];
  mrl_seq_node *other = is_sum ? net->node + layer->input[1] : NULL;
  MRL_TRY(check_node(node, in));
  MRL_TRY(infer_shape(node, in, other));
  if (mrl_pad(node->width) < node->width || node->length > SIZE_MAX / 64 / mrl_pad(node->width)) {
    return MRL_NO_MEMORY;
  }
  in->n_users++;
  if (other) {
    other->n_users++;
  }
  return lay_params(net, node, in);
}

mrl_status mrl_seqnet_carve(mrl_seqnet *net, size_t *bad, mrl_arena *arena,
                            const mrl_seq_layer *layers, size_t n_layers, const size_t *outputs,
                            size_t n_outputs, size_t length, size_t n_letters)
{
  *bad = n_layers;
  memset(net, 0, sizeof *net);
  net->n_nodes = n_layers + 1;
  net->node = MRL_TAKE(arena, mrl_seq_node, net->n_nodes);
  if (arena->failed || !net->node) {
    return arena->failed ? MRL_NO_MEMORY : MRL_OK;
  }
  if (length < 1 || n_letters < 1 || n_letters > MRL_SEQ_MAX_LETTERS || n_outputs < 1) {
    return MRL_BAD_ARGUMENT;
  }
  memset(net->node, 0, sizeof *net->node);
  net->node->length = length;
  net->node->width = n_letters;
  net->node->output_at = SIZE_MAX;
  for (size_t i = 0; i < n_layers; i++) {
    *bad = i;
    MRL_TRY(lay_node(net, i + 1, layers + i));
  }
  *bad = n_layers;
  for (size_t i = 0; i < n_outputs; i++) {
    if (outputs[i] >= net->n_nodes || net->node[outputs[i]].output_at != SIZE_MAX) {
      return MRL_BAD_ARGUMENT;
    }
    net->node[outputs[i]].output_at = net->n_outputs;
    net->n_outputs += net->node[outputs[i]].length * net->node[outputs[i]].width;
  }
  return MRL_OK;
}

static const double *load_piece(mrl_real *to, const double *from, size_t n)
{
  for (size_t i = 0; i < n; i++) {
    to[i] = (mrl_real)from[i];
  }
  return from + n;
}

void mrl_seqnet_load(mrl_real *params, mrl_real *statistics, const mrl_seqnet *net,
                     const double *values)
{
  memset(params, 0, net->n_params * sizeof *params);
  memset(statistics, 0, net->n_statistics * sizeof *statistics);
  for (size_t i = 1; i < net->n_nodes; i++) {
    const mrl_seq_node *node = net->node + i;
    if (node->n_weights > 0) {
      values = load_piece(params + node->weight, values, node->n_weights);
      values = node->layer.bias ? load_piece(params + node->bias, values, node->width) : values;
    }
    if (node->layer.kind == MRL_SEQ_BATCH_NORM) {
      values = load_piece(params + node->weight, values, node->width);
      values = load_piece(params + node->bias, values, node->width);
      values = load_piece(statistics + node->mean, values, node->width);
      values = load_piece(statistics + node->var, values, node->width);
    }
  }
}
