#include "net_tile.h"

#include <string.h>

static const mrl_real row_norm_eps = (mrl_real)1e-5;

/* A tile's shape at some width. */
static mrl_shape shape_of(const mrl_net_run *run, const mrl_tile *tile, size_t width)
{
  const mrl_shape shape = {mrl_tile_net_rows(tile), run->ld, width, run->isa};
  return shape;
}

/* Where tile t lies in a tensor of the net's input or of a stage's output. */
static mrl_real *input_of(const mrl_net_run *run, size_t s, size_t t)
{
  mrl_real *tensor = s == 0 ? run->x : run->out[s - 1];
  return tensor + mrl_net_tile_at(run, t, run->net->stage[s].in);
}

static mrl_real *output_of(const mrl_net_run *run, size_t s, size_t t)
{
  return run->out[s] + mrl_net_tile_at(run, t, run->net->stage[s].out);
}

/* Row norm keeps one number for each row, dropout one for each number. */
static mrl_real *aside_of(const mrl_net_run *run, size_t s, size_t t)
{
  const mrl_stage *stage = run->net->stage + s;
  return run->aside[s] + mrl_net_tile_at(run, t, stage->op == MRL_OP_DROPOUT ? stage->out : 1);
}

static void drop(const mrl_pass *pass, size_t s, size_t t, mrl_real *y, const mrl_real *x,
                 const mrl_shape *shape)
{
  const mrl_net_run *run = pass->run;
  const mrl_batch *batch = pass->batch;
  const uint64_t item = batch->step << 10 | s;
  if (batch->mode == MRL_EVALUATE) {
    memcpy(y, x, shape->ld * shape->width * sizeof *y);
    return;
  }
  mrl_dropout_forward(y, aside_of(run, s, t), x, run->net->stage[s].value, batch->seed, item, t,
                      shape);
}

static void undrop(const mrl_pass *pass, size_t s, size_t t, mrl_real *dx, const mrl_real *dy,
                   const mrl_shape *shape)
{
  if (pass->batch->mode == MRL_EVALUATE) {
    memcpy(dx, dy, shape->ld * shape->width * sizeof *dx);
  } else {
    mrl_multiply(dx, dy, aside_of(pass->run, s, t), shape);
  }
}

/* Where block b of a tensor or of the weights begins. */
static size_t block_at(size_t width, size_t b, const mrl_stage *stage, size_t ld)
{
  return width / stage->blocks * b * ld;
}

static mrl_status dense_forward(mrl_real *z, const mrl_real *x, const mrl_real *w,
                                const mrl_stage *stage, const mrl_shape *shape,
                                mrl_net_thread *thread)
{
  const size_t in = stage->in / stage->blocks, out = stage->out / stage->blocks;
  const mrl_shape part = {shape->rows, shape->ld, in, shape->isa};
  for (size_t b = 0; b < stage->blocks; b++) {
    MRL_TRY(mrl_dense_forward(z + block_at(stage->out, b, stage, shape->ld),
                              x + block_at(stage->in, b, stage, shape->ld),
                              w + block_at(stage->in, b, stage, out), &part, out, thread->scratch));
  }
  return MRL_OK;
}

static mrl_status dense_backward(mrl_real *dw, int accumulate, mrl_real *dx, const mrl_real *dz,
                                 const mrl_real *x, const mrl_real *w, const mrl_stage *stage,
                                 const mrl_shape *shape, mrl_net_thread *thread)
{
  const size_t in = stage->in / stage->blocks, out = stage->out / stage->blocks;
  const mrl_shape part = {shape->rows, shape->ld, in, shape->isa};
  for (size_t b = 0; b < stage->blocks; b++) {
    const size_t of_x = block_at(stage->in, b, stage, shape->ld);
    const size_t of_w = block_at(stage->in, b, stage, out);
    MRL_TRY(mrl_dense_backward(dw + of_w, accumulate, dx ? dx + of_x : NULL,
                               dz + block_at(stage->out, b, stage, shape->ld), x + of_x, w + of_w,
                               &part, out, thread->scratch));
  }
  return MRL_OK;
}

static mrl_status forward_stage(const mrl_pass *pass, size_t s, size_t t, const mrl_tile *tile,
                                mrl_net_thread *thread)
{
  const mrl_net_run *run = pass->run;
  const mrl_stage *stage = run->net->stage + s;
  const mrl_shape shape = shape_of(run, tile, stage->in);
  const mrl_real *x = input_of(run, s, t);
  mrl_real *y = output_of(run, s, t);
  switch (stage->op) {
  case MRL_OP_DENSE:
    return dense_forward(y, x, pass->params + stage->a, stage, &shape, thread);
  case MRL_OP_AFFINE:
    mrl_affine_forward(y, x, run->affine + s, &shape);
    return MRL_OK;
  case MRL_OP_ROW_NORM:
    mrl_row_norm_forward(y, aside_of(run, s, t), x, row_norm_eps, &shape);
    return MRL_OK;
  case MRL_OP_SOFTMAX:
    mrl_softmax_forward(y, x, &shape);
    return MRL_OK;
  default:
    drop(pass, s, t, y, x, &shape);
    return MRL_OK;
  }
}

/* Mean and sum of squares of `count` rows joined to those of the `rows` before (Chan et al. 1983).
 */
static void join_moments(double *sums, const mrl_net_thread *thread, size_t width, double rows,
                         double count)
{
  const double share = count / (rows + count), between = rows * share;
  for (size_t j = 0; j < width; j++) {
    const double delta = (double)thread->sum[0][j] - sums[j];
    sums[j] += delta * share;
    sums[width + j] += (double)thread->sum[1][j] + delta * delta * between;
  }
}

/* `before`: the rows of the slot in earlier tiles. */
static void take_moments(const mrl_pass *pass, size_t t, size_t slot, size_t before,
                         const mrl_tile *tile, const mrl_net_thread *thread)
{
  const mrl_net_run *run = pass->run;
  const mrl_stage *stage = run->net->stage + pass->moments;
  const mrl_shape shape = shape_of(run, tile, stage->in);
  double *sums = run->sums + slot * run->net->n_sums + stage->sums;
  for (size_t j = 0; before == 0 && j < 2 * stage->in; j++) {
    sums[j] = 0;
  }
  mrl_moments(thread->sum[0], thread->sum[1], input_of(run, pass->moments, t), &shape);
  join_moments(sums, thread, stage->in, (double)before, (double)shape.rows);
}

static mrl_status judge(mrl_pass *pass, size_t t, size_t slot, const mrl_tile *tile)
{
  const mrl_net_run *run = pass->run;
  const mrl_shape shape = shape_of(run, tile, run->net->n_outputs);
  mrl_real *d = run->d_output + mrl_net_tile_at(run, t, shape.width);
  double value = 0;
  MRL_TRY(pass->batch->loss(&value, d, output_of(run, run->net->n_stages - 1, t), tile,
                            pass->batch->loss_data));
  mrl_clear_rest(d, &shape);
  pass->value[slot] += value;
  return MRL_OK;
}

/* Backward through h = act(a z + c); the gradient of a batch norm stays in place of its output
 * until its sums are complete. */
static void backward_affine(const mrl_pass *pass, size_t s, size_t t, size_t slot, int is_first,
                            mrl_real *out, const mrl_real *dh, const mrl_shape *shape,
                            const mrl_net_thread *thread)
{
  const mrl_net_run *run = pass->run;
  const size_t width = shape->width;
  double *sums = run->sums + slot * run->net->n_sums + run->net->stage[s].sums;
  mrl_affine_backward(out, thread->sum[0], thread->sum[1], dh, input_of(run, s, t), run->affine + s,
                      shape);
  for (size_t j = 0; j < width; j++) {
    const double a = (double)thread->sum[0][j], c = (double)thread->sum[1][j];
    sums[j] = is_first ? a : sums[j] + a;
    sums[width + j] = is_first ? c : sums[width + j] + c;
  }
}

static mrl_real *weights_gradient(const mrl_net_run *run, size_t slot, const mrl_stage *stage)
{
  mrl_real *block = slot == 0 ? run->gradient : run->partial + (slot - 1) * run->net->n_params;
  return block + stage->a;
}

/* d: the gradient of stage s's output, then of its input; turns between the thread's tensors. */
static mrl_status backward_stage(const mrl_pass *pass, size_t s, size_t t, size_t slot,
                                 int is_first, const mrl_real **d, const mrl_tile *tile,
                                 mrl_net_thread *thread)
{
  const mrl_net_run *run = pass->run;
  const mrl_stage *stage = run->net->stage + s;
  const mrl_shape shape = shape_of(run, tile, stage->in);
  mrl_real *to = *d == thread->d[0] ? thread->d[1] : thread->d[0];
  if (s == 0 && run->d_input) {
    to = run->d_input + mrl_net_tile_at(run, t, stage->in);
  }
  const mrl_real *from = *d;
  *d = to;
  switch (stage->op) {
  case MRL_OP_DENSE:
    return dense_backward(weights_gradient(run, slot, stage), !is_first,
                          s > 0 || run->d_input ? to : NULL, from, input_of(run, s, t),
                          pass->params + stage->a, stage, &shape, thread);
  case MRL_OP_AFFINE:
    backward_affine(pass, s, t, slot, is_first, s == pass->stop ? output_of(run, s, t) : to, from,
                    &shape, thread);
    return MRL_OK;
  case MRL_OP_ROW_NORM:
    mrl_row_norm_backward(to, from, output_of(run, s, t), aside_of(run, s, t), &shape);
    return MRL_OK;
  case MRL_OP_SOFTMAX:
    mrl_softmax_backward(to, from, output_of(run, s, t), &shape);
    return MRL_OK;
  default:
    undrop(pass, s, t, to, from, &shape);
    return MRL_OK;
  }
}

/* The gradient of the input of a batch norm whose sums are complete. */
static const mrl_real *renewed(const mrl_pass *pass, size_t t, const mrl_tile *tile,
                               mrl_net_thread *thread)
{
  const mrl_net_run *run = pass->run;
  const size_t s = pass->renew;
  const mrl_shape shape = shape_of(run, tile, run->net->stage[s].in);
  const mrl_affine *affine = run->affine + s;
  mrl_real *to = thread->d[0];
  if (s == 0 && run->d_input) {
    to = run->d_input + mrl_net_tile_at(run, t, shape.width);
  }
  mrl_batch_norm_backward(to, output_of(run, s, t), input_of(run, s, t), affine->a, run->k[s],
                          run->k[s] + shape.width, affine->shift, &shape);
  return to;
}

static mrl_status go_backward(const mrl_pass *pass, size_t t, size_t slot, int is_first,
                              const mrl_tile *tile, mrl_net_thread *thread)
{
  const mrl_net_run *run = pass->run;
  const mrl_real *d = run->d_output + mrl_net_tile_at(run, t, run->net->n_outputs);
  if (pass->renew != NONE) {
    if (pass->renew == 0 && !run->d_input) {
      return MRL_OK; /* nobody asks */
    }
    d = renewed(pass, t, tile, thread);
  }
  for (size_t s = pass->back; s-- > 0;) {
    MRL_TRY(backward_stage(pass, s, t, slot, is_first, &d, tile, thread));
    if (s == pass->stop) {
      break;
    }
  }
  return MRL_OK;
}

static mrl_status fill_tile(const mrl_pass *pass, mrl_real *x, const mrl_tile *tile)
{
  const mrl_shape shape = shape_of(pass->run, tile, pass->run->net->n_inputs);
  MRL_TRY(pass->batch->fill(x, tile, pass->batch->fill_data));
  mrl_clear_rest(x, &shape);
  return MRL_OK;
}

mrl_status mrl_pass_tile(mrl_pass *pass, size_t t, size_t slot, int is_first,
                         mrl_net_thread *thread)
{
  mrl_net_run *run = pass->run;
  const mrl_tile tile = mrl_net_tile(run, pass->batch, t);
  if (pass->fill) {
    MRL_TRY(fill_tile(pass, run->x + mrl_net_tile_at(run, t, run->net->n_inputs), &tile));
  }
  for (size_t s = pass->forward; s < pass->end; s++) {
    MRL_TRY(forward_stage(pass, s, t, &tile, thread));
  }
  if (pass->moments != NONE) {
    const size_t first = slot_begin(mrl_net_tiles(run, pass->batch->n), slot);
    take_moments(pass, t, slot, (t - first) * run->tile_rows * run->group, &tile, thread);
  }
  if (pass->loss) {
    MRL_TRY(judge(pass, t, slot, &tile));
  }
  return pass->backward ? go_backward(pass, t, slot, is_first, &tile, thread) : MRL_OK;
}

/* One stage between the two tensors of the thread; *x is where its input lies, then its output. */
static mrl_status evaluate_stage(const mrl_pass *pass, size_t s, mrl_real **x, const mrl_tile *tile,
                                 mrl_net_thread *thread)
{
  const mrl_net_run *run = pass->run;
  const mrl_stage *stage = run->net->stage + s;
  const mrl_shape shape = shape_of(run, tile, stage->in);
  mrl_real *from = *x;
  switch (stage->op) {
  case MRL_OP_DENSE:
    *x = from == thread->d[0] ? thread->d[1] : thread->d[0];
    return dense_forward(*x, from, pass->params + stage->a, stage, &shape, thread);
  case MRL_OP_AFFINE:
    mrl_affine_forward(from, from, run->affine + s, &shape);
    return MRL_OK;
  case MRL_OP_ROW_NORM:
    mrl_row_norm_forward(from, thread->sum[0], from, row_norm_eps, &shape);
    return MRL_OK;
  case MRL_OP_SOFTMAX:
    mrl_softmax_forward(from, from, &shape);
    return MRL_OK;
  default:
    return MRL_OK; /* nothing is dropped */
  }
}

mrl_status mrl_pass_evaluate(mrl_pass *pass, size_t t, size_t slot, mrl_net_thread *thread)
{
  const mrl_net_run *run = pass->run;
  const mrl_tile tile = mrl_net_tile(run, pass->batch, t);
  mrl_real *x = thread->d[0];
  MRL_TRY(fill_tile(pass, x, &tile));
  for (size_t s = 0; s < run->net->n_stages; s++) {
    MRL_TRY(evaluate_stage(pass, s, &x, &tile, thread));
  }
  double value = 0;
  MRL_TRY(pass->batch->loss(&value, NULL, x, &tile, pass->batch->loss_data));
  pass->value[slot] += value;
  return MRL_OK;
}
