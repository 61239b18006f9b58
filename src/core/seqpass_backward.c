#include "seqpass_part.h"

#include <string.h>

/*
 * Where the gradient of input k for sequence j is to be written: its own place, or, if that has
 * been begun, memory of the thread, which add_begun() then adds to it.
 */
static mrl_real *target(const mrl_seq_tile *tile, const mrl_pass_step *step, int k, size_t j)
{
  const mrl_pass_rows *rows = &tile->run->step[step->in[k]].gradient;
  return step->adds[k] ? tile->thread->d + j * rows->size + rows->left * rows->ld
                       : mrl_pass_d(tile, step->in[k], j);
}

static void add_begun(const mrl_seq_tile *tile, const mrl_pass_step *step, int k, size_t j)
{
  const mrl_pass_step *in = tile->run->step + step->in[k];
  if (step->adds[k]) {
    mrl_seq_add(mrl_pass_d(tile, step->in[k], j), target(tile, step, k, j),
                in->length * in->gradient.ld, tile->run->isa);
  }
}

static int is_wanted(const mrl_seq_tile *tile, const mrl_pass_step *step, int k)
{
  return tile->run->step[step->in[k]].op != MRL_PASS_INPUT;
}

/* The gradient of a target in zeros, to be added to. */
static mrl_real *clear_target(const mrl_seq_tile *tile, const mrl_pass_step *step, size_t j)
{
  const mrl_pass_step *in = tile->run->step + step->in[0];
  mrl_real *dx = target(tile, step, 0, j);
  return memset(dx, 0, in->length * in->gradient.ld * sizeof *dx);
}

/* Adds the gradient of the weights of one sequence or, of a dense layer, of a tile. */
static void add_weights(mrl_real *part, const mrl_real *x, const mrl_real *dz,
                        const mrl_pass_step *step, size_t n, size_t x_step, size_t z_step,
                        mrl_isa isa)
{
  const size_t *quad = step->quad;
  for (size_t p = 0; p < step->forward.n_panels; p++) {
    const mrl_conv_panel *panel = step->forward.panel + p;
    const size_t quads = mrl_pass_quads(&step->forward, p);
    const mrl_products products = {quads, panel->lanes, panel->lanes, n, x_step, z_step, quad};
    mrl_pass_weights(part, x, dz + panel->first_out, &products, isa);
    part += quads * MRL_QUAD * panel->lanes;
    quad += quads;
  }
}

static void backward_conv(const mrl_seq_tile *tile, size_t s, mrl_real *part)
{
  const mrl_seqpass *run = tile->run;
  const mrl_pass_step *step = run->step + s, *in = run->step + step->in[0];
  const mrl_seq_node *node = run->net->node + step->node;
  const size_t dilation = node->layer.dilation, ld = step->gradient.ld;
  const size_t before = (node->layer.taps - 1) * dilation - node->pad;
  const mrl_conv_columns columns = {in->length, in->gradient.ld, ld, dilation * ld,
                                    0,          node->layer.taps};
  for (size_t j = 0; j < tile->n; j++) {
    const mrl_real *dz = mrl_pass_d(tile, s, j);
    const mrl_real *x = mrl_pass_value(tile, step->in[0], j) - node->pad * in->value.ld;
    add_weights(part + step->part, x, dz, step, step->length, in->value.ld, ld, run->isa);
    if (is_wanted(tile, step, 0)) {
      mrl_conv_product(target(tile, step, 0, j), dz - before * ld, &step->back, &columns, run->isa);
      add_begun(tile, step, 0, j);
    }
  }
}

static void backward_dense(const mrl_seq_tile *tile, size_t s, mrl_real *part)
{
  const mrl_seqpass *run = tile->run;
  const mrl_pass_step *step = run->step + s, *in = run->step + step->in[0];
  const mrl_conv_columns columns = {
      tile->n, in->gradient.size, step->gradient.size, step->gradient.ld, 0, 1};
  const mrl_real *dz = mrl_pass_d(tile, s, 0);
  add_weights(part + step->part, mrl_pass_value(tile, step->in[0], 0), dz, step, tile->n,
              in->value.size, step->gradient.size, run->isa);
  if (is_wanted(tile, step, 0)) {
    mrl_conv_product(target(tile, step, 0, 0), dz, &step->back, &columns, run->isa);
    for (size_t j = 0; j < tile->n; j++) {
      add_begun(tile, step, 0, j);
    }
  }
}

/* Hands the gradient of u = a z + c on, once it is that of z. */
static void pass_on(const mrl_seq_tile *tile, size_t s, size_t j)
{
  const mrl_pass_step *step = tile->run->step + s;
  if (!step->in_place && is_wanted(tile, step, 0)) {
    memcpy(target(tile, step, 0, j), mrl_pass_d(tile, s, j),
           step->length * step->gradient.ld * sizeof(mrl_real));
    add_begun(tile, step, 0, j);
  }
}

static void backward_affine(const mrl_seq_tile *tile, size_t s, double *sums)
{
  const mrl_pass_step *step = tile->run->step + s;
  const size_t ld = step->gradient.ld;
  mrl_real *const *sum = tile->thread->sum;
  memset(sum[0], 0, ld * sizeof *sum[0]);
  memset(sum[1], 0, ld * sizeof *sum[1]);
  for (size_t j = 0; j < tile->n; j++) {
    mrl_pass_affine_backward(mrl_pass_d(tile, s, j), sum[0], sum[1],
                             mrl_pass_value(tile, step->in[0], j), &step->channels, step->length,
                             ld, tile->run->isa);
    if (step->norm == 0) {
      pass_on(tile, s, j);
    }
  }
  for (size_t i = 0; i < ld; i++) {
    sums[step->sums + i] += (double)sum[0][i];
    sums[step->sums + ld + i] += (double)sum[1][i];
  }
}

void mrl_pass_finish_norm(const mrl_seq_tile *tile, size_t s)
{
  const mrl_pass_step *step = tile->run->step + s;
  for (size_t j = 0; j < tile->n; j++) {
    mrl_pass_norm(mrl_pass_d(tile, s, j), mrl_pass_value(tile, step->in[0], j), &step->channels,
                  step->length, step->gradient.ld, tile->run->isa);
    pass_on(tile, s, j);
  }
}

static void backward_dropout(const mrl_seq_tile *tile, size_t s)
{
  const mrl_seqpass *run = tile->run;
  const mrl_pass_step *step = run->step + s;
  const size_t n = step->length * step->gradient.ld;
  const mrl_shape shape = {n, n, 1, run->isa};
  for (size_t j = 0; j < tile->n && is_wanted(tile, step, 0); j++) {
    const mrl_real *keep = run->keep[s] + (mrl_pass_value(tile, s, j) - run->value[s]);
    mrl_multiply(target(tile, step, 0, j), mrl_pass_d(tile, s, j), keep, &shape);
    add_begun(tile, step, 0, j);
  }
}

/* dx of one window; rest (ld) is what the maximum has not yet been given. */
static void pool_back(mrl_real *dx, mrl_real *rest, const mrl_real *dy, const mrl_real *x,
                      const mrl_real *y, const mrl_pass_step *step, const size_t window[2],
                      mrl_isa isa)
{
  const size_t ld = step->gradient.ld;
  memcpy(rest, dy, ld * sizeof *rest);
  for (size_t t = window[0]; t < window[1]; t++) {
    if (step->op == MRL_PASS_MAX) {
      mrl_pass_take_max(dx + t * ld, rest, x + t * ld, y, ld, isa);
    } else if (step->op == MRL_PASS_AVERAGE) {
      mrl_pass_add_scaled(dx + t * ld, dy, 1 / (mrl_real)(window[1] - window[0]), ld, isa);
    } else {
      mrl_pass_add_share(dx + t * ld, dy, x + t * ld, y, ld, isa);
    }
  }
}

static void backward_pool(const mrl_seq_tile *tile, size_t s)
{
  const mrl_seqpass *run = tile->run;
  const mrl_pass_step *step = run->step + s;
  const size_t ld = step->gradient.ld, length = run->step[step->in[0]].length;
  for (size_t j = 0; j < tile->n && is_wanted(tile, step, 0); j++) {
    const mrl_real *x = mrl_pass_value(tile, step->in[0], j), *y = mrl_pass_value(tile, s, j);
    const mrl_real *dy = mrl_pass_d(tile, s, j);
    mrl_real *dx = clear_target(tile, step, j);
    for (size_t t = 0; t < step->length; t++) {
      size_t window[2];
      mrl_pass_window(window, step, length, t);
      pool_back(dx, tile->thread->shift, dy + t * ld, x, y + t * ld, step, window, run->isa);
    }
    add_begun(tile, step, 0, j);
  }
}

static void backward_crop(const mrl_seq_tile *tile, size_t s)
{
  const mrl_pass_step *step = tile->run->step + s;
  const size_t ld = step->gradient.ld, left = tile->run->net->node[step->node].layer.crop[0];
  for (size_t j = 0; j < tile->n && is_wanted(tile, step, 0); j++) {
    mrl_real *dx = clear_target(tile, step, j);
    memcpy(dx + left * ld, mrl_pass_d(tile, s, j), step->length * ld * sizeof *dx);
    add_begun(tile, step, 0, j);
  }
}

static void backward_flatten(const mrl_seq_tile *tile, size_t s)
{
  const mrl_pass_step *step = tile->run->step + s, *in = tile->run->step + step->in[0];
  for (size_t j = 0; j < tile->n && is_wanted(tile, step, 0); j++) {
    mrl_real *dx = clear_target(tile, step, j);
    const mrl_real *dy = mrl_pass_d(tile, s, j);
    for (size_t t = 0; t < in->length; t++) {
      memcpy(dx + t * in->gradient.ld, dy + t * in->width, in->width * sizeof *dx);
    }
    add_begun(tile, step, 0, j);
  }
}

static void backward_add(const mrl_seq_tile *tile, size_t s)
{
  const mrl_pass_step *step = tile->run->step + s;
  const size_t n = step->length * step->gradient.ld;
  for (int k = 0; k < 2; k++) {
    for (size_t j = 0; j < tile->n && is_wanted(tile, step, k); j++) {
      memcpy(target(tile, step, k, j), mrl_pass_d(tile, s, j), n * sizeof(mrl_real));
      add_begun(tile, step, k, j);
    }
  }
}

void mrl_pass_backward(const mrl_seq_tile *tile, size_t s, mrl_real *part, double *sums)
{
  switch (tile->run->step[s].op) {
  case MRL_PASS_CONV:
    backward_conv(tile, s, part);
    break;
  case MRL_PASS_DENSE:
    backward_dense(tile, s, part);
    break;
  case MRL_PASS_AFFINE:
    backward_affine(tile, s, sums);
    break;
  case MRL_PASS_DROPOUT:
    backward_dropout(tile, s);
    break;
  case MRL_PASS_MAX:
  case MRL_PASS_AVERAGE:
  case MRL_PASS_LSE:
    backward_pool(tile, s);
    break;
  case MRL_PASS_CROP:
    backward_crop(tile, s);
    break;
  case MRL_PASS_FLATTEN:
    backward_flatten(tile, s);
    break;
  case MRL_PASS_ADD:
    backward_add(tile, s);
    break;
  default:
    break;
  }
}
