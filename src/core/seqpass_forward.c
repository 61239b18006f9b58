#include "seqpass_part.h"

#include <math.h>
#include <string.h>

static void value_of_input(const mrl_seq_tile *tile, size_t s)
{
  const mrl_seqpass *run = tile->run;
  const mrl_pass_step *step = run->step + s;
  for (size_t j = 0; j < tile->n; j++) {
    const uint8_t *code = tile->data->code + tile->row[j] * step->length;
    mrl_seq_one_hot(mrl_pass_value(tile, s, j), step->value.ld, code, step->length, step->width,
                    tile->data->unknown);
  }
}

static void value_of_conv(const mrl_seq_tile *tile, size_t s)
{
  const mrl_seqpass *run = tile->run;
  const mrl_pass_step *step = run->step + s;
  const mrl_seq_node *node = run->net->node + step->node;
  const size_t ld = run->step[step->in[0]].value.ld;
  const mrl_conv_columns columns = {
      step->length, step->value.ld, ld, node->layer.dilation * ld, 0, node->layer.taps};
  for (size_t j = 0; j < tile->n; j++) {
    mrl_conv_product(mrl_pass_value(tile, s, j),
                     mrl_pass_value(tile, step->in[0], j) - node->pad * ld, &step->forward,
                     &columns, run->isa);
  }
}

/* Columns are sequences. */
static void value_of_dense(const mrl_seq_tile *tile, size_t s)
{
  const mrl_pass_step *step = tile->run->step + s, *in = tile->run->step + step->in[0];
  const mrl_conv_columns columns = {tile->n, step->value.size, in->value.size, in->value.ld,
                                    0,       in->length};
  mrl_conv_product(mrl_pass_value(tile, s, 0), mrl_pass_value(tile, step->in[0], 0), &step->forward,
                   &columns, tile->run->isa);
}

static void value_of_affine(const mrl_seq_tile *tile, size_t s)
{
  const mrl_pass_step *step = tile->run->step + s;
  for (size_t j = 0; j < tile->n; j++) {
    mrl_pass_affine(mrl_pass_value(tile, s, j), mrl_pass_value(tile, step->in[0], j),
                    &step->channels, step->length, step->value.ld, tile->run->isa);
  }
}

/* Of a tile's block of numbers as one column (layer.h). */
static void value_of_dropout(const mrl_seq_tile *tile, size_t s)
{
  const mrl_seqpass *run = tile->run;
  const mrl_pass_step *step = run->step + s;
  const size_t n = step->length * step->value.ld;
  const mrl_shape shape = {n, n, 1, run->isa};
  const uint64_t item = tile->step * run->net->n_nodes + step->node;
  for (size_t j = 0; j < tile->n; j++) {
    const mrl_real *x = mrl_pass_value(tile, step->in[0], j);
    mrl_real *y = mrl_pass_value(tile, s, j);
    if (tile->is_training) {
      mrl_dropout_forward(y, run->keep[s] + (y - run->value[s]), x,
                          run->net->node[step->node].layer.value, tile->seed, item,
                          tile->number * run->tile + j, &shape);
    } else {
      memcpy(y, x, n * sizeof *y);
    }
  }
}

static void pool_window(mrl_real *y, const mrl_real *x, const mrl_pass_step *step,
                        const size_t window[2], mrl_isa isa)
{
  const size_t ld = step->value.ld;
  memcpy(y, x + window[0] * ld, ld * sizeof *y);
  for (size_t t = window[0] + 1; t < window[1]; t++) {
    if (step->op == MRL_PASS_MAX) {
      mrl_seq_larger(y, x + t * ld, ld, isa);
    } else {
      mrl_seq_add(y, x + t * ld, ld, isa);
    }
  }
  if (step->op == MRL_PASS_AVERAGE) {
    mrl_seq_scale(y, y, 1 / (mrl_real)(window[1] - window[0]), ld, isa);
  }
}

static void value_of_pool(const mrl_seq_tile *tile, size_t s)
{
  const mrl_pass_step *step = tile->run->step + s;
  const size_t length = tile->run->step[step->in[0]].length;
  for (size_t j = 0; j < tile->n; j++) {
    const mrl_real *x = mrl_pass_value(tile, step->in[0], j);
    mrl_real *y = mrl_pass_value(tile, s, j);
    for (size_t t = 0; t < step->length; t++) {
      size_t window[2];
      mrl_pass_window(window, step, length, t);
      pool_window(y + t * step->value.ld, x, step, window, tile->run->isa);
    }
  }
}

/* Log of the sum of exp over positions, about the largest. */
static void value_of_lse(const mrl_seq_tile *tile, size_t s)
{
  const mrl_pass_step *step = tile->run->step + s;
  const size_t ld = step->value.ld, length = tile->run->step[step->in[0]].length;
  mrl_real *top = tile->thread->shift, *sum = tile->thread->sum[0];
  for (size_t j = 0; j < tile->n; j++) {
    const mrl_real *x = mrl_pass_value(tile, step->in[0], j);
    mrl_real *y = mrl_pass_value(tile, s, j);
    memcpy(top, x, ld * sizeof *top);
    memset(sum, 0, ld * sizeof *sum);
    for (size_t t = 1; t < length; t++) {
      mrl_seq_larger(top, x + t * ld, ld, tile->run->isa);
    }
    for (size_t t = 0; t < length; t++) {
      mrl_seq_add_exp(sum, x + t * ld, top, ld, tile->run->isa);
    }
    for (size_t i = 0; i < step->width; i++) {
      y[i] = top[i] + (mrl_real)log((double)sum[i]);
    }
  }
}

static void value_of_crop(const mrl_seq_tile *tile, size_t s)
{
  const mrl_pass_step *step = tile->run->step + s;
  const size_t ld = step->value.ld, left = tile->run->net->node[step->node].layer.crop[0];
  for (size_t j = 0; j < tile->n; j++) {
    memcpy(mrl_pass_value(tile, s, j), mrl_pass_value(tile, step->in[0], j) + left * ld,
           step->length * ld * sizeof(mrl_real));
  }
}

static void value_of_flatten(const mrl_seq_tile *tile, size_t s)
{
  const mrl_pass_step *step = tile->run->step + s, *in = tile->run->step + step->in[0];
  for (size_t j = 0; j < tile->n; j++) {
    const mrl_real *x = mrl_pass_value(tile, step->in[0], j);
    mrl_real *y = mrl_pass_value(tile, s, j);
    for (size_t t = 0; t < in->length; t++) {
      memcpy(y + t * in->width, x + t * in->value.ld, in->width * sizeof *y);
    }
  }
}

static void value_of_add(const mrl_seq_tile *tile, size_t s)
{
  const mrl_pass_step *step = tile->run->step + s;
  const size_t n = step->length * step->value.ld;
  for (size_t j = 0; j < tile->n; j++) {
    mrl_real *y = mrl_pass_value(tile, s, j);
    memcpy(y, mrl_pass_value(tile, step->in[0], j), n * sizeof *y);
    mrl_seq_add(y, mrl_pass_value(tile, step->in[1], j), n, tile->run->isa);
  }
}

void mrl_pass_forward(const mrl_seq_tile *tile, size_t s)
{
  static void (*const forward[])(const mrl_seq_tile *, size_t) = {
      [MRL_PASS_INPUT] = value_of_input,     [MRL_PASS_CONV] = value_of_conv,
      [MRL_PASS_DENSE] = value_of_dense,     [MRL_PASS_AFFINE] = value_of_affine,
      [MRL_PASS_DROPOUT] = value_of_dropout, [MRL_PASS_MAX] = value_of_pool,
      [MRL_PASS_AVERAGE] = value_of_pool,    [MRL_PASS_LSE] = value_of_lse,
      [MRL_PASS_CROP] = value_of_crop,       [MRL_PASS_FLATTEN] = value_of_flatten,
      [MRL_PASS_ADD] = value_of_add,
  };
  forward[tile->run->step[s].op](tile, s);
}
