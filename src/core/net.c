#include "net.h"

#include "rng.h"

#include <math.h>

enum { LAYERS_MOST = 500 }; /* so that a stage number takes ten bits of a stream of dropout */

/* The layers that the carve goes through, and where it stands. */
typedef struct {
  const mrl_layer *layer;
  size_t n, at;
  size_t width; /* of the output so far */
  int uneven;   /* a layer's blocks were not equal parts */
} reader;

static int next_is(const reader *in, mrl_layer_kind kind)
{
  return in->at < in->n && in->layer[in->at].kind == kind;
}

/* Room for a piece of the parameters; returns its offset. A measuring carve has no table. */
static size_t add_piece(mrl_net *net, mrl_param piece)
{
  piece.offset = net->n_params;
  if (net->piece) {
    net->piece[net->n_pieces] = piece;
  }
  net->n_pieces++;
  net->n_params += mrl_pad(piece.size);
  return piece.offset;
}

static size_t add_vector(mrl_net *net, size_t size, double start)
{
  const mrl_param piece = {.size = size, .rows = size, .columns = 1, .start = start};
  return add_piece(net, piece);
}

static size_t add_statistics(mrl_net *net, size_t size)
{
  const size_t offset = net->n_statistics;
  net->n_statistics += mrl_pad(size);
  return offset;
}

static void add_stage(mrl_net *net, mrl_stage stage, reader *in)
{
  stage.in = in->width;
  in->width = stage.out;
  if (net->stage) {
    net->stage[net->n_stages] = stage;
  }
  net->n_stages++;
  net->widest = stage.out > net->widest ? stage.out : net->widest;
}

/* The stage h = act(a z + c); takes the activation that follows. */
static void add_affine(mrl_net *net, reader *in, mrl_affine_kind kind)
{
  mrl_stage stage = {.op = MRL_OP_AFFINE, .affine = kind, .out = in->width, .sums = net->n_sums};
  net->n_sums += 2 * in->width;
  if (kind == MRL_SCALE || kind == MRL_BATCH) {
    stage.a = add_vector(net, in->width, 1);
  }
  if (kind != MRL_PLAIN) {
    stage.c = add_vector(net, in->width, 0);
  }
  if (kind == MRL_BATCH) {
    stage.mean = add_statistics(net, in->width);
    stage.var = add_statistics(net, in->width);
  }
  if (next_is(in, MRL_LAYER_ACTIVATION)) {
    stage.activation = in->layer[in->at].activation;
    stage.value = in->layer[in->at].value;
    in->at++;
  }
  add_stage(net, stage, in);
}

/* The activation that a dense layer feeds, past any normalisation. */
static mrl_activation activation_after(const reader *in)
{
  size_t at = in->at;
  while (at < in->n &&
         (in->layer[at].kind == MRL_LAYER_BATCH_NORM || in->layer[at].kind == MRL_LAYER_NORM)) {
    at++;
  }
  const int is_there = at < in->n && in->layer[at].kind == MRL_LAYER_ACTIVATION;
  return is_there ? in->layer[at].activation : MRL_IDENTITY;
}

static double start_sd(mrl_activation activation, size_t in, size_t out)
{
  const int halves =
      activation == MRL_RELU || activation == MRL_LEAKY_RELU || activation == MRL_GELU;
  return sqrt(2 / (halves ? (double)in : (double)in + (double)out));
}

/* Weights of the blocks one after the other, each (rows, units of the block). */
static void add_dense(mrl_net *net, reader *in, const mrl_layer *layer)
{
  const size_t blocks = layer->blocks ? layer->blocks : 1;
  const size_t rows = in->width / blocks, units = layer->units / blocks;
  const mrl_param weights = {.size = rows * layer->units,
                             .is_weight = 1,
                             .rows = rows,
                             .columns = layer->units,
                             .start = start_sd(activation_after(in), rows, units)};
  mrl_stage stage = {.op = MRL_OP_DENSE, .out = layer->units, .blocks = blocks};
  in->uneven |= rows * blocks != in->width || units * blocks != layer->units;
  stage.a = add_piece(net, weights);
  net->n_weights += weights.size;
  add_stage(net, stage, in);
  if (next_is(in, MRL_LAYER_BATCH_NORM)) {
    in->at++;
    add_affine(net, in, MRL_BATCH);
  } else {
    add_affine(net, in, MRL_BIAS);
  }
}

static void add_layer(mrl_net *net, reader *in)
{
  const mrl_layer layer = in->layer[in->at++];
  const mrl_stage plain = {.out = in->width, .value = layer.value};
  mrl_stage stage = plain;
  switch (layer.kind) {
  case MRL_LAYER_DENSE:
    add_dense(net, in, &layer);
    break;
  case MRL_LAYER_BATCH_NORM:
    add_affine(net, in, MRL_BATCH);
    break;
  case MRL_LAYER_NORM:
    stage.op = MRL_OP_ROW_NORM;
    add_stage(net, stage, in);
    add_affine(net, in, MRL_SCALE);
    break;
  case MRL_LAYER_ACTIVATION:
    in->at--; /* the stage takes it */
    add_affine(net, in, MRL_PLAIN);
    break;
  case MRL_LAYER_DROPOUT:
    stage.op = MRL_OP_DROPOUT;
    add_stage(net, stage, in);
    break;
  default:
    stage.op = MRL_OP_SOFTMAX;
    add_stage(net, stage, in);
    break;
  }
}

static int layer_ok(const mrl_layer *layer)
{
  switch (layer->kind) {
  case MRL_LAYER_DENSE:
    return layer->units >= 1 && layer->units <= SIZE_MAX / 1024 && layer->blocks <= layer->units;
  case MRL_LAYER_ACTIVATION:
    return (size_t)layer->activation < MRL_N_ACTIVATION && isfinite(layer->value);
  case MRL_LAYER_DROPOUT:
    return layer->value >= 0 && layer->value < 1;
  default:
    return (size_t)layer->kind < MRL_N_LAYER;
  }
}

mrl_status mrl_net_carve(mrl_net *net, mrl_arena *arena, const mrl_layer *layers, size_t n_layers,
                         size_t n_inputs)
{
  const mrl_net empty = {.n_inputs = n_inputs, .widest = n_inputs};
  int ok = n_inputs >= 1 && n_inputs <= SIZE_MAX / 1024 && n_layers >= 1 && n_layers <= LAYERS_MOST;
  for (size_t i = 0; ok && i < n_layers; i++) {
    ok = layer_ok(layers + i);
  }
  if (!ok) {
    return MRL_BAD_ARGUMENT;
  }
  *net = empty;
  net->stage = MRL_TAKE(arena, mrl_stage, 2 * n_layers); /* a layer makes at most two */
  net->piece = MRL_TAKE(arena, mrl_param, 3 * n_layers); /* and three pieces */
  if (arena->failed) {
    return MRL_NO_MEMORY;
  }
  reader in = {.layer = layers, .n = n_layers, .width = n_inputs};
  while (in.at < n_layers) {
    add_layer(net, &in);
  }
  net->n_outputs = in.width;
  return in.uneven ? MRL_BAD_ARGUMENT : MRL_OK;
}

static void draw_weights(mrl_real *w, const mrl_param *piece, uint64_t seed, uint64_t stream)
{
  mrl_rng rng = mrl_rng_stream(seed, MRL_RNG_NET_WEIGHTS, stream);
  for (size_t i = 0; i < piece->size; i++) {
    w[i] = (mrl_real)(piece->start * mrl_rng_normal(&rng));
  }
}

void mrl_net_start(mrl_real *params, mrl_real *statistics, const mrl_net *net, uint64_t seed)
{
  uint64_t stream = 0;
  for (size_t i = 0; i < net->n_params; i++) {
    params[i] = 0;
  }
  for (size_t p = 0; p < net->n_pieces; p++) {
    const mrl_param *piece = net->piece + p;
    if (piece->is_weight) {
      draw_weights(params + piece->offset, piece, seed, stream++);
    }
    for (size_t i = 0; !piece->is_weight && i < piece->size; i++) {
      params[piece->offset + i] = (mrl_real)piece->start;
    }
  }
  for (size_t i = 0; i < net->n_statistics; i++) {
    statistics[i] = 0;
  }
  for (size_t s = 0; s < net->n_stages; s++) {
    const mrl_stage *stage = net->stage + s;
    for (size_t j = 0; stage->affine == MRL_BATCH && j < stage->out; j++) {
      statistics[stage->var + j] = 1;
    }
  }
}

enum { FILL_AHEAD = 24 }; /* rows between the one that is asked for and the one that is read */

/* Rows lie anywhere in the data: without asking, each would be waited for. Inline, or gcc takes the
 * function for one without effect and drops its calls. */
static inline __attribute__((always_inline)) void ask_for(const mrl_rows *rows, size_t row)
{
  const mrl_real *x = rows->x + row * rows->width;
  for (size_t j = 0; j < rows->width; j += MRL_LANES) {
    __builtin_prefetch(x + j);
  }
  __builtin_prefetch(x + rows->width - 1);
}

mrl_status mrl_fill_rows(mrl_real *x, const mrl_tile *tile, const void *data)
{
  const mrl_rows *rows = data;
  for (size_t i = 0; i < FILL_AHEAD && i < tile->rows; i++) {
    ask_for(rows, tile->row[i]);
  }
  for (size_t i = 0; i < tile->rows; i++) {
    const mrl_real *row = rows->x + tile->row[i] * rows->width;
    if (i + FILL_AHEAD < tile->rows) {
      ask_for(rows, tile->row[i + FILL_AHEAD]);
    }
    for (size_t j = 0; j < rows->width; j++) {
      x[i + j * tile->ld] = row[j];
    }
  }
  return MRL_OK;
}
