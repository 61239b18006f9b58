#include "seqpass_part.h"

#include <string.h>

enum { TILE_BYTES = 128 * 1024, MOST_OF_TILE = 32 };

static size_t new_step(mrl_seqpass *run, mrl_pass_op op, size_t node, size_t in)
{
  const mrl_seq_node *of = run->net->node + node;
  mrl_pass_step *step = run->step + run->n_steps;
  memset(step, 0, sizeof *step);
  step->op = op;
  step->node = node;
  step->in[0] = in;
  step->length = of->length;
  step->width = of->width;
  step->output_at = SIZE_MAX;
  step->channels.act = MRL_IDENTITY;
  return run->n_steps++;
}

/* The step that a bias, batch norm or activation behind node `in` joins, or a new one. */
static size_t affine_step(mrl_seqpass *run, size_t node)
{
  const size_t in = run->net->node[node].layer.input[0], s = run->of_node[in];
  const mrl_seq_node *before = run->net->node + in;
  const mrl_pass_step *step = run->step + s;
  const int is_open = step->op == MRL_PASS_AFFINE && step->channels.act == MRL_IDENTITY;
  const int hides = before->n_users == 1 && before->output_at == SIZE_MAX;
  const int is_norm = run->net->node[node].layer.kind == MRL_SEQ_BATCH_NORM;
  if (is_open && hides && !(is_norm && step->norm > 0)) {
    return s;
  }
  return new_step(run, MRL_PASS_AFFINE, node, s);
}

static size_t pool_step(mrl_seqpass *run, mrl_pass_op op, size_t node, size_t in)
{
  const mrl_seq_node *of = run->net->node + node;
  const int is_local = of->layer.kind == MRL_SEQ_MAX_POOL || of->layer.kind == MRL_SEQ_AVERAGE_POOL;
  const size_t s = new_step(run, op, node, in);
  run->step[s].taps = is_local ? of->layer.taps : run->step[in].length;
  run->step[s].stride = is_local ? of->layer.stride : 1;
  run->step[s].pad = is_local ? of->pad : 0;
  return s;
}

static size_t product_step(mrl_seqpass *run, size_t i, size_t in)
{
  const mrl_seq_layer *layer = &run->net->node[i].layer;
  const size_t s =
      new_step(run, layer->kind == MRL_SEQ_CONV ? MRL_PASS_CONV : MRL_PASS_DENSE, i, in);
  if (!layer->bias) {
    return s;
  }
  const size_t behind = new_step(run, MRL_PASS_AFFINE, i, s);
  run->step[behind].bias = i;
  return behind;
}

/* The steps of node i; returns the one that has its value. */
static size_t steps_of(mrl_seqpass *run, size_t i)
{
  const mrl_seq_layer *layer = &run->net->node[i].layer;
  const size_t in = i > 0 ? run->of_node[layer->input[0]] : 0;
  size_t s;
  switch (layer->kind) {
  case MRL_SEQ_CONV:
  case MRL_SEQ_DENSE:
    return product_step(run, i, in);
  case MRL_SEQ_BATCH_NORM:
    s = affine_step(run, i);
    run->step[s].norm = i;
    return s;
  case MRL_SEQ_ACTIVATION:
    s = affine_step(run, i);
    run->step[s].channels.act = layer->activation;
    run->step[s].channels.slope = (mrl_real)layer->value;
    return s;
  case MRL_SEQ_DROPOUT:
    return new_step(run, MRL_PASS_DROPOUT, i, in);
  case MRL_SEQ_MAX_POOL:
  case MRL_SEQ_GLOBAL_MAX:
    return pool_step(run, MRL_PASS_MAX, i, in);
  case MRL_SEQ_AVERAGE_POOL:
  case MRL_SEQ_GLOBAL_AVERAGE:
    return pool_step(run, MRL_PASS_AVERAGE, i, in);
  case MRL_SEQ_GLOBAL_LSE:
    return pool_step(run, MRL_PASS_LSE, i, in);
  case MRL_SEQ_CROP:
    return new_step(run, MRL_PASS_CROP, i, in);
  case MRL_SEQ_FLATTEN:
    return new_step(run, MRL_PASS_FLATTEN, i, in);
  case MRL_SEQ_ADD:
    s = new_step(run, MRL_PASS_ADD, i, in);
    run->step[s].in[1] = run->of_node[layer->input[1]];
    return s;
  default:
    return new_step(run, MRL_PASS_INPUT, 0, 0);
  }
}

static size_t inputs_of(const mrl_pass_step *step)
{
  return step->op == MRL_PASS_INPUT ? 0 : step->op == MRL_PASS_ADD ? 2 : 1;
}

/* Who uses whom, and in which order gradients of inputs begin. A step that leads to no output has
 * users of 0 in the end. */
static void link_steps(mrl_seqpass *run)
{
  for (size_t i = 0; i < run->net->n_nodes; i++) {
    if (run->net->node[i].output_at != SIZE_MAX) {
      run->step[run->of_node[i]].output_at = run->net->node[i].output_at;
    }
  }
  for (size_t s = run->n_steps; s-- > 0;) {
    mrl_pass_step *step = run->step + s;
    const int is_live = step->n_users > 0 || step->output_at != SIZE_MAX;
    for (size_t k = 0; is_live && k < inputs_of(step); k++) {
      mrl_pass_step *in = run->step + step->in[k];
      step->adds[k] = in->n_users > 0 || in->output_at != SIZE_MAX;
      in->n_users++;
    }
  }
  for (size_t s = 0; s < run->n_steps; s++) {
    mrl_pass_step *step = run->step + s;
    const mrl_pass_step *in = run->step + step->in[0];
    step->in_place = step->op == MRL_PASS_AFFINE && in->op != MRL_PASS_INPUT && in->n_users == 1 &&
                     in->output_at == SIZE_MAX;
    run->has_cut = run->has_cut || step->norm > 0;
  }
}

static size_t beyond(size_t reach, size_t length)
{
  return reach > length ? reach - length : 0;
}

static void lay_rows(mrl_pass_rows *rows, const mrl_pass_step *step)
{
  rows->ld = mrl_pad(step->width);
  rows->size = (rows->left + step->length + rows->right) * rows->ld;
}

/* Margins: how far convolutions reach over the ends. */
static void lay_tensors(mrl_seqpass *run)
{
  for (size_t s = 0; s < run->n_steps; s++) {
    mrl_pass_step *step = run->step + s, *in = run->step + step->in[0];
    if (step->op != MRL_PASS_CONV) {
      continue;
    }
    const mrl_seq_node *node = run->net->node + step->node;
    const size_t span = (node->layer.taps - 1) * node->layer.dilation, pad = node->pad;
    in->value.left = mrl_most(in->value.left, pad);
    in->value.right = mrl_most(in->value.right, beyond(step->length + span, in->length + pad));
    step->gradient.left = span - pad;
    step->gradient.right = beyond(in->length + pad, step->length);
  }
  for (size_t s = 0; s < run->n_steps; s++) {
    mrl_pass_step *step = run->step + s;
    if (step->in_place) {
      step->gradient = run->step[step->in[0]].gradient;
    }
    lay_rows(&step->value, step);
    lay_rows(&step->gradient, step);
  }
}

/* Shapes of the two products of a convolution or dense layer. */
static void product_shapes(mrl_conv_shape shape[2], const mrl_seqpass *run,
                           const mrl_pass_step *step)
{
  const mrl_seq_layer *layer = &run->net->node[step->node].layer;
  const mrl_pass_step *in = run->step + step->in[0];
  const size_t row = in->length * mrl_pad(in->width);
  const int is_conv = step->op == MRL_PASS_CONV;
  const mrl_conv_shape forward = {is_conv ? layer->taps : in->length, in->width, layer->units,
                                  is_conv ? layer->groups : 1};
  const mrl_conv_shape conv_back = {layer->taps, layer->units, in->width, layer->groups};
  const mrl_conv_shape dense_back = {1, layer->units, row, 1};
  shape[0] = forward;
  shape[1] = is_conv ? conv_back : dense_back;
}

mrl_status mrl_seqpass_steps(mrl_seqpass *run, mrl_arena *arena, const mrl_seqnet *net, mrl_isa isa)
{
  memset(run, 0, sizeof *run);
  run->net = net;
  run->isa = mrl_isa_usable(isa);
  run->step = MRL_TAKE(arena, mrl_pass_step, 2 * net->n_nodes);
  run->of_node = MRL_TAKE(arena, size_t, net->n_nodes);
  if (arena->failed || !run->of_node) {
    return arena->failed ? MRL_NO_MEMORY : MRL_OK;
  }
  for (size_t i = 0; i < net->n_nodes; i++) {
    run->of_node[i] = steps_of(run, i);
  }
  link_steps(run);
  lay_tensors(run);
  return MRL_OK;
}

/* Offsets of what the quads of panel p read, behind those of the panels before. */
static void fill_quads(size_t *quad, const mrl_conv_weights *weights, size_t p, size_t x_tap)
{
  const mrl_conv_panel *panel = weights->panel + p;
  const size_t of_tap = (panel->n_in + MRL_QUAD - 1) / MRL_QUAD;
  for (size_t k = 0; k < weights->shape.taps; k++) {
    for (size_t i = 0; i < of_tap; i++) {
      *quad++ = k * x_tap + panel->first_in + i * MRL_QUAD;
    }
  }
}

/* Weights as the products read them, and where their gradient is gathered. Returns the numbers
 * that packing needs. */
static size_t carve_product(mrl_seqpass *run, mrl_arena *arena, mrl_pass_step *step)
{
  const mrl_pass_step *in = run->step + step->in[0];
  const size_t x_tap = step->op == MRL_PASS_CONV
                           ? run->net->node[step->node].layer.dilation * in->value.ld
                           : in->value.ld;
  mrl_conv_shape shape[2];
  product_shapes(shape, run, step);
  run->products += (double)step->length * (double)run->net->node[step->node].n_weights;
  if (mrl_conv_carve(&step->forward, arena, shape) != MRL_OK ||
      mrl_conv_carve(&step->back, arena, shape + 1) != MRL_OK) {
    return 0;
  }
  /* While measuring there are no panels: each has at most so many quads. */
  const size_t most = step->forward.n_panels * shape->taps * (shape->in / MRL_QUAD + 1);
  step->quad = MRL_TAKE(arena, size_t, most);
  step->part = run->n_part;
  run->n_part += shape->taps * (shape->in + MRL_QUAD) * mrl_pad(shape->out);
  size_t at = 0;
  for (size_t p = 0; step->quad && p < step->forward.n_panels; p++) {
    fill_quads(step->quad + at, &step->forward, p, x_tap);
    at += mrl_pass_quads(&step->forward, p);
  }
  return shape[1].taps * shape[1].in * shape[1].out;
}

static void carve_channels(mrl_seqpass *run, mrl_arena *arena, mrl_pass_step *step)
{
  mrl_channels *c = &step->channels;
  mrl_real **piece[] = {&c->a, &c->c, &c->mean, &c->inverse, &c->k1, &c->k2};
  for (size_t i = 0; i < sizeof piece / sizeof *piece; i++) {
    *piece[i] = MRL_TAKE(arena, mrl_real, step->value.ld);
  }
  step->sums = run->n_sums;
  run->n_sums += 2 * step->value.ld;
}

static void choose_tile(mrl_seqpass *run, size_t batch, const mrl_ctx *ctx)
{
  size_t largest = 1;
  for (size_t s = 0; s < run->n_steps; s++) {
    largest = mrl_most(largest, run->step[s].value.size * sizeof(mrl_real));
  }
  run->batch = batch;
  run->n_threads = ctx->n_threads < MRL_SEQPASS_SLOTS ? ctx->n_threads : MRL_SEQPASS_SLOTS;
  run->tile = mrl_most(1, mrl_least(TILE_BYTES / largest, MOST_OF_TILE));
  run->tile = mrl_least(run->tile, (batch + MRL_SEQPASS_SLOTS - 1) / MRL_SEQPASS_SLOTS);
  const size_t threads = (size_t)run->n_threads, tiles = (batch + run->tile - 1) / run->tile;
  run->places = run->has_cut ? mrl_most(tiles, threads) : threads;
}

/* One tensor of the block, with room behind it for a quad that reads over its end. */
static mrl_real *take_tensor(mrl_seqpass *run, size_t size, mrl_arena *arena)
{
  const size_t n = run->places * run->tile;
  mrl_real *at = run->tensors ? run->tensors + run->n_tensors : NULL;
  if (size > (SIZE_MAX / 64 - run->n_tensors) / n) {
    arena->failed = 1;
    return NULL;
  }
  run->n_tensors += n * size + MRL_LANES;
  return at;
}

static void place_tensors(mrl_seqpass *run, mrl_arena *arena)
{
  run->n_tensors = 0;
  for (size_t s = 0; s < run->n_steps; s++) {
    const mrl_pass_step *step = run->step + s;
    mrl_real *value = take_tensor(run, step->value.size, arena);
    const int keeps = step->op == MRL_PASS_DROPOUT;
    mrl_real *keep = keeps ? take_tensor(run, step->value.size, arena) : NULL;
    const int has_own = step->op != MRL_PASS_INPUT && !step->in_place;
    mrl_real *d = has_own ? take_tensor(run, step->gradient.size, arena) : NULL;
    if (run->value) {
      run->value[s] = value;
      run->keep[s] = keep;
      run->d[s] = step->in_place ? run->d[step->in[0]] : d;
    }
  }
}

static void carve_threads(mrl_seqpass *run, mrl_arena *arena)
{
  size_t widest = MRL_LANES, largest = 1;
  for (size_t s = 0; s < run->n_steps; s++) {
    widest = mrl_most(widest, run->step[s].value.ld);
    largest = mrl_most(largest, run->step[s].gradient.size);
  }
  run->thread = MRL_TAKE(arena, mrl_pass_thread, (size_t)run->n_threads);
  for (int i = 0; i < run->n_threads; i++) {
    mrl_pass_thread thread;
    thread.d = MRL_TAKE(arena, mrl_real, run->tile * largest + MRL_LANES);
    thread.out = MRL_TAKE(arena, mrl_real, run->net->n_outputs);
    thread.d_out = MRL_TAKE(arena, mrl_real, run->net->n_outputs);
    thread.sum[0] = MRL_TAKE(arena, mrl_real, widest);
    thread.sum[1] = MRL_TAKE(arena, mrl_real, widest);
    thread.shift = MRL_TAKE(arena, mrl_real, widest);
    if (run->thread) {
      run->thread[i] = thread;
    }
  }
}

mrl_status mrl_seqpass_carve(mrl_seqpass *run, mrl_arena *arena, size_t batch, const mrl_ctx *ctx)
{
  size_t most = 0;
  run->n_part = run->n_sums = 0;
  run->products = 0;
  for (size_t s = 0; s < run->n_steps; s++) {
    mrl_pass_step *step = run->step + s;
    if (step->op == MRL_PASS_CONV || step->op == MRL_PASS_DENSE) {
      most = mrl_most(most, carve_product(run, arena, step));
    }
    if (step->op == MRL_PASS_AFFINE) {
      carve_channels(run, arena, step);
    }
  }
  choose_tile(run, batch, ctx);
  run->value = MRL_TAKE(arena, mrl_real *, run->n_steps);
  run->d = MRL_TAKE(arena, mrl_real *, run->n_steps);
  run->keep = MRL_TAKE(arena, mrl_real *, run->n_steps);
  run->tensors = NULL;
  place_tensors(run, arena);
  run->tensors = MRL_TAKE(arena, mrl_real, run->n_tensors);
  place_tensors(run, arena);
  run->part = MRL_TAKE(arena, mrl_real, MRL_SEQPASS_SLOTS * run->n_part);
  run->sums = MRL_TAKE(arena, double, MRL_SEQPASS_SLOTS *(run->n_sums + 1));
  run->turned = MRL_TAKE(arena, mrl_real, most);
  run->gradient = MRL_TAKE(arena, mrl_real, run->net->n_params);
  carve_threads(run, arena);
  return arena->failed ? MRL_NO_MEMORY : MRL_OK;
}

void mrl_seqpass_start(mrl_seqpass *run)
{
  memset(run->tensors, 0, run->n_tensors * sizeof *run->tensors);
}
