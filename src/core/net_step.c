#include "net_tile.h"

#include <math.h>
#include <string.h>

#ifdef _OPENMP
#include <omp.h>
#endif

static const double batch_norm_eps = 1e-5, batch_norm_momentum = 0.1;

/* Work for one thread between two polls, about 0.05 s of a slow machine, and the least that is
 * worth another thread, about 0.1 ms of a quick one. */
static const double FLOPS_BETWEEN_POLLS = 5e8, FLOPS_PER_THREAD = 1e7;

typedef mrl_status tile_fn(mrl_pass *pass, size_t t, size_t slot, int is_first,
                           mrl_net_thread *thread);

static mrl_status evaluate_tile(mrl_pass *pass, size_t t, size_t slot, int is_first,
                                mrl_net_thread *thread)
{
  (void)is_first;
  return mrl_pass_evaluate(pass, t, slot, thread);
}

static double flops_of_tile(const mrl_net_run *run)
{
  return 6.0 * (double)(run->tile_rows * run->group) * (double)(run->net->n_weights + 1);
}

static int threads_for(const mrl_net_run *run, size_t tiles, const mrl_ctx *ctx)
{
  const double worth = 1 + flops_of_tile(run) * (double)tiles / FLOPS_PER_THREAD;
  const int most = ctx->n_threads < run->n_threads ? ctx->n_threads : run->n_threads;
  const int used = worth < most ? (int)worth : most;
  return (size_t)used < slots_for(tiles) ? used : (int)slots_for(tiles);
}

/* Tiles first .. first + count - 1 of a slot, as far as it has so many. */
static mrl_status run_slot(mrl_pass *pass, tile_fn *fn, size_t tiles, size_t slot, size_t first,
                           size_t count, mrl_net_thread *thread)
{
  const size_t begin = slot_begin(tiles, slot), end = slot_begin(tiles, slot + 1);
  for (size_t t = begin + first; t < end && t < begin + first + count; t++) {
    MRL_TRY(fn(pass, t, slot, t == begin, thread));
  }
  return MRL_OK;
}

/* The buffers of the thread that asks. */
static mrl_net_thread *thread_of(const mrl_net_run *run)
{
#ifdef _OPENMP
  return run->thread + omp_get_thread_num();
#else
  return run->thread;
#endif
}

/* The same of all slots, which threads share; the first slot's error counts. */
static mrl_status run_round(mrl_pass *pass, tile_fn *fn, size_t tiles, size_t first, size_t count,
                            int threads)
{
  const size_t slots = slots_for(tiles);
  mrl_status status[MRL_SLOTS] = {MRL_OK};
  (void)threads;
#ifdef _OPENMP
#pragma omp parallel for schedule(static) num_threads(threads) if (threads > 1)
#endif
  for (size_t slot = 0; slot < slots; slot++) {
    status[slot] = run_slot(pass, fn, tiles, slot, first, count, thread_of(pass->run));
  }
  for (size_t slot = 0; slot < slots; slot++) {
    MRL_TRY(status[slot]);
  }
  return MRL_OK;
}

static mrl_status run_pass(mrl_pass *pass, tile_fn *fn, const mrl_ctx *ctx)
{
  const mrl_net_run *run = pass->run;
  const size_t tiles = mrl_net_tiles(run, pass->batch->n), slots = slots_for(tiles);
  const size_t longest = (tiles + slots - 1) / slots;
  const int threads = threads_for(run, tiles, ctx);
  const double most =
      FLOPS_BETWEEN_POLLS * threads / (double)slots / flops_of_tile(run); /* tiles of a slot */
  const size_t count = most < 1 ? 1 : most < (double)longest ? (size_t)most : longest;
  for (size_t first = 0; first < longest; first += count) {
    if (first > 0) {
      mrl_poll(ctx);
    }
    MRL_TRY(run_round(pass, fn, tiles, first, count, threads));
  }
  return MRL_OK;
}

/* A batch norm with the statistics of the batch, which must be taken over all its tiles. */
static int is_cut(const mrl_stage *stage, const mrl_batch *batch)
{
  return stage->affine == MRL_BATCH && batch->mode == MRL_TRAIN;
}

/* The first cut at stage `from` or behind; NONE if there is none. */
static size_t cut_from(const mrl_net *net, const mrl_batch *batch, size_t from)
{
  for (size_t s = from; s < net->n_stages; s++) {
    if (is_cut(net->stage + s, batch)) {
      return s;
    }
  }
  return NONE;
}

/* The last cut before stage `to`. */
static size_t cut_before(const mrl_net *net, const mrl_batch *batch, size_t to)
{
  for (size_t s = to; s-- > 0;) {
    if (is_cut(net->stage + s, batch)) {
      return s;
    }
  }
  return NONE;
}

/* Coefficients of batch norm from a mean and a variance; post is the factor of the gradient. */
static void norm_columns(mrl_affine *to, const mrl_stage *stage, const mrl_real *params, size_t j,
                         double mean, double var)
{
  const double inverse = 1 / sqrt(var + batch_norm_eps);
  const double a = (double)params[stage->a + j] * inverse;
  to->a[j] = (mrl_real)a;
  to->c[j] = (mrl_real)((double)params[stage->c + j] - mean * a);
  to->shift[j] = (mrl_real)mean;
  to->scale[j] = (mrl_real)inverse;
  to->post[j] = (mrl_real)a;
}

/* All coefficients but those of cuts in training, which wait for their moments. */
static void set_columns(mrl_net_run *run, const mrl_real *params, const mrl_real *statistics,
                        mrl_net_mode mode)
{
  for (size_t s = 0; s < run->net->n_stages; s++) {
    const mrl_stage *stage = run->net->stage + s;
    mrl_affine *to = run->affine + s;
    const int waits = stage->affine == MRL_BATCH && mode == MRL_TRAIN;
    for (size_t j = 0; stage->op == MRL_OP_AFFINE && !waits && j < stage->out; j++) {
      if (stage->affine == MRL_BATCH) {
        norm_columns(to, stage, params, j, (double)statistics[stage->mean + j],
                     (double)statistics[stage->var + j]);
        continue;
      }
      to->a[j] = stage->affine == MRL_SCALE ? params[stage->a + j] : 1;
      to->c[j] = stage->affine == MRL_PLAIN ? 0 : params[stage->c + j];
      to->shift[j] = 0;
      to->scale[j] = 1;
      to->post[j] = to->a[j];
    }
  }
}

/* Net rows in the tiles of a slot. */
static double rows_of_slot(const mrl_net_run *run, size_t rows, size_t slot)
{
  const size_t tiles = mrl_net_tiles(run, rows);
  const size_t begin = slot_begin(tiles, slot) * run->tile_rows;
  const size_t end = slot_begin(tiles, slot + 1) * run->tile_rows;
  return (double)(((end < rows ? end : rows) - begin) * run->group);
}

/* The moments of a cut's input over the batch: coefficients, and the running statistics. */
static void finish_moments(mrl_net_run *run, size_t s, const mrl_real *params, mrl_real *statistics,
                           size_t rows)
{
  const mrl_stage *stage = run->net->stage + s;
  const size_t width = stage->out, slots = slots_for(mrl_net_tiles(run, rows));
  const double n = (double)(rows * run->group);
  for (size_t j = 0; j < width; j++) {
    double mean = 0, square = 0, before = 0;
    for (size_t slot = 0; slot < slots; slot++) {
      const double *sums = run->sums + slot * run->net->n_sums + stage->sums;
      const double count = rows_of_slot(run, rows, slot), share = count / (before + count);
      const double delta = sums[j] - mean;
      mean += delta * share;
      square += sums[width + j] + delta * delta * before * share;
      before += count;
    }
    norm_columns(run->affine + s, stage, params, j, mean, square / n);
    run->affine[s].post[j] = 1; /* the gradient goes on when its sums are known */
    mrl_real *running_mean = statistics + stage->mean + j,
             *running_var = statistics + stage->var + j;
    *running_mean += (mrl_real)(batch_norm_momentum * (mean - (double)*running_mean));
    *running_var += (mrl_real)(batch_norm_momentum * (square / (n - 1) - (double)*running_var));
  }
}

/* Over the slots: sum `which` (0 or 1) of column j of a stage. */
static double total_of(const mrl_net_run *run, const mrl_stage *stage, size_t slots, int which,
                       size_t j)
{
  double sum = 0;
  for (size_t slot = 0; slot < slots; slot++) {
    sum += run->sums[slot * run->net->n_sums + stage->sums + (which ? stage->out : 0) + j];
  }
  return sum;
}

/* The gradients of the columns' parameters and, at a cut, what batch_norm_backward needs. */
static void finish_sums(mrl_net_run *run, size_t s, size_t rows)
{
  const mrl_stage *stage = run->net->stage + s;
  const mrl_affine *affine = run->affine + s;
  const size_t width = stage->out, slots = slots_for(mrl_net_tiles(run, rows));
  const double n = (double)(rows * run->group);
  for (size_t j = 0; stage->affine != MRL_PLAIN && j < width; j++) {
    const double sum_a = total_of(run, stage, slots, 0, j),
                 sum_c = total_of(run, stage, slots, 1, j);
    run->gradient[stage->c + j] = (mrl_real)sum_c;
    if (stage->affine != MRL_BIAS) {
      run->gradient[stage->a + j] = (mrl_real)sum_a;
    }
    if (stage->affine == MRL_BATCH) {
      const double a = (double)affine->a[j];
      run->k[s][j] = (mrl_real)(a * sum_c / n);
      run->k[s][width + j] = (mrl_real)(a * (double)affine->scale[j] * sum_a / n);
    }
  }
}

static double total_value(const mrl_pass *pass)
{
  double sum = 0;
  for (size_t slot = 0; slot < MRL_SLOTS; slot++) {
    sum += pass->value[slot];
  }
  return sum;
}

static mrl_pass new_pass(mrl_net_run *run, const mrl_real *params, const mrl_batch *batch)
{
  const mrl_pass pass = {.run = run,
                         .params = params,
                         .batch = batch,
                         .moments = NONE,
                         .renew = NONE,
                         .back = run->net->n_stages,
                         .stop = NONE};
  return pass;
}

static mrl_status check_batch(const mrl_net_run *run, const mrl_batch *batch)
{
  if (batch->n < 1 || batch->n > run->rows) {
    return MRL_BAD_ARGUMENT;
  }
  const int has_cut = cut_from(run->net, batch, 0) != NONE;
  return has_cut && batch->n * run->group < 2 ? MRL_TOO_FEW : MRL_OK;
}

/* All forward passes but the last, which is left in *pass. */
static mrl_status forward_passes(mrl_pass *pass, mrl_real *statistics, const mrl_ctx *ctx)
{
  mrl_net_run *run = pass->run;
  const mrl_net *net = run->net;
  size_t cut = cut_from(net, pass->batch, 0);
  set_columns(run, pass->params, statistics, pass->batch->mode);
  pass->fill = 1;
  while (cut != NONE) {
    pass->end = cut;
    pass->moments = cut;
    MRL_TRY(run_pass(pass, mrl_pass_tile, ctx));
    finish_moments(run, cut, pass->params, statistics, pass->batch->n);
    pass->fill = 0;
    pass->forward = cut;
    cut = cut_from(net, pass->batch, cut + 1);
  }
  pass->end = net->n_stages;
  pass->moments = NONE;
  return MRL_OK;
}

/* *pass and then all further passes of the way back. */
static mrl_status backward_passes(mrl_pass *pass, const mrl_ctx *ctx)
{
  mrl_net_run *run = pass->run;
  pass->backward = 1;
  for (int done = 0; !done;) {
    pass->stop = cut_before(run->net, pass->batch, pass->back);
    MRL_TRY(run_pass(pass, mrl_pass_tile, ctx));
    done = pass->stop == NONE;
    if (!done) {
      finish_sums(run, pass->stop, pass->batch->n);
      pass->fill = pass->loss = 0;
      pass->forward = pass->end = 0;
      pass->renew = pass->back = pass->stop;
    }
  }
  return MRL_OK;
}

/* What lies behind the pieces of the gradient is zero, as in the parameters. */
static void clear_gaps(mrl_net_run *run)
{
  for (size_t p = 0; p < run->net->n_pieces; p++) {
    const mrl_param *piece = run->net->piece + p;
    mrl_real *end = run->gradient + piece->offset + piece->size;
    memset(end, 0, (mrl_pad(piece->size) - piece->size) * sizeof *end);
  }
}

/* run->gradient from what lies in the slots. Sums of cuts are done. */
static void finish_gradient(mrl_net_run *run, const mrl_batch *batch)
{
  const size_t slots = slots_for(mrl_net_tiles(run, batch->n)), n_params = run->net->n_params;
  for (size_t s = 0; s < run->net->n_stages; s++) {
    const mrl_stage *stage = run->net->stage + s;
    if (stage->op == MRL_OP_AFFINE && !is_cut(stage, batch)) {
      finish_sums(run, s, batch->n);
    }
    if (stage->op == MRL_OP_DENSE) {
      for (size_t slot = 1; slot < slots; slot++) {
        mrl_add(run->gradient + stage->a, run->partial + (slot - 1) * n_params + stage->a,
                stage->in / stage->blocks * stage->out, run->isa);
      }
    }
  }
  clear_gaps(run);
}

mrl_status mrl_net_step(double *loss, mrl_net_run *run, const mrl_real *params,
                        mrl_real *statistics, const mrl_batch *batch, const mrl_ctx *ctx)
{
  mrl_pass pass = new_pass(run, params, batch);
  MRL_TRY(check_batch(run, batch));
  MRL_TRY(forward_passes(&pass, statistics, ctx));
  pass.loss = 1;
  MRL_TRY(backward_passes(&pass, ctx));
  finish_gradient(run, batch);
  *loss = total_value(&pass) / (double)batch->n;
  return MRL_OK;
}

mrl_status mrl_net_forward(mrl_net_run *run, const mrl_real *params, mrl_real *statistics,
                           const mrl_batch *batch, const mrl_ctx *ctx)
{
  mrl_pass pass = new_pass(run, params, batch);
  MRL_TRY(check_batch(run, batch));
  MRL_TRY(forward_passes(&pass, statistics, ctx));
  return run_pass(&pass, mrl_pass_tile, ctx);
}

mrl_status mrl_net_backward(mrl_net_run *run, const mrl_real *params, const mrl_batch *batch,
                            const mrl_ctx *ctx)
{
  mrl_pass pass = new_pass(run, params, batch);
  MRL_TRY(check_batch(run, batch));
  MRL_TRY(backward_passes(&pass, ctx));
  finish_gradient(run, batch);
  return MRL_OK;
}

mrl_status mrl_net_evaluate(double *sum, mrl_net_run *run, const mrl_real *params,
                            const mrl_real *statistics, const mrl_batch *batch, const mrl_ctx *ctx)
{
  mrl_pass pass = new_pass(run, params, batch);
  if (batch->n < 1) {
    return MRL_BAD_ARGUMENT;
  }
  set_columns(run, params, statistics, MRL_EVALUATE);
  MRL_TRY(run_pass(&pass, evaluate_tile, ctx));
  *sum = total_value(&pass);
  return MRL_OK;
}
