#include "seqpass_part.h"

#include <math.h>
#include <string.h>

#ifdef _OPENMP
#include <omp.h>
#endif

/* Products of one thread between two polls, about 0.05 s of a slow machine, and the least that are
 * worth another thread, about 0.1 ms of a quick one. */
static const double PRODUCTS_BETWEEN_POLLS = 2e8, PRODUCTS_PER_THREAD = 5e6;

static size_t slot_begin(size_t tiles, size_t slot)
{
  return tiles * slot / mrl_pass_slots(tiles);
}

/* Outputs of sequence j, one behind the other, or their gradient to where it belongs. */
static void gather_outputs(mrl_real *out, const mrl_seq_tile *tile, size_t j)
{
  for (size_t s = 0; s < tile->run->n_steps; s++) {
    const mrl_pass_step *step = tile->run->step + s;
    for (size_t t = 0; step->output_at != SIZE_MAX && t < step->length; t++) {
      memcpy(out + step->output_at + t * step->width,
             mrl_pass_value(tile, s, j) + t * step->value.ld, step->width * sizeof *out);
    }
  }
}

static void scatter_outputs(const mrl_seq_tile *tile, size_t j, const mrl_real *d_out)
{
  for (size_t s = 1; s < tile->run->n_steps; s++) {
    const mrl_pass_step *step = tile->run->step + s;
    for (size_t t = 0; step->output_at != SIZE_MAX && t < step->length; t++) {
      memcpy(mrl_pass_d(tile, s, j) + t * step->gradient.ld,
             d_out + step->output_at + t * step->width, step->width * sizeof *d_out);
    }
  }
}

static double loss_of_tile(const mrl_pass_over *pass, const mrl_seq_tile *tile, size_t first)
{
  const size_t n_outputs = pass->run->net->n_outputs;
  const mrl_seqpass_data *data = pass->data;
  double sum = 0;
  for (size_t j = 0; j < tile->n; j++) {
    mrl_real *out = pass->out ? pass->out + (first + j) * n_outputs : tile->thread->out;
    mrl_real *d_out = pass->is_training ? tile->thread->d_out : NULL;
    gather_outputs(out, tile, j);
    if (data->label) {
      sum += mrl_seqloss(d_out, out, data->label + tile->row[j] * n_outputs, n_outputs, data->heads,
                         data->n_heads, 1 / (double)pass->n);
    }
    if (d_out) {
      scatter_outputs(tile, j, d_out);
    }
  }
  return sum;
}

/* Means and squares about them of a tile's channels, merged into those of its slot (Chan et al.).
 * The shift is a row of the tile, so that little cancels. */
static void add_moments(mrl_pass_over *pass, const mrl_seq_tile *tile, size_t slot)
{
  const mrl_pass_step *step = pass->run->step + pass->moments;
  const size_t ld = step->value.ld, in = step->in[0];
  double *mean = pass->run->sums + slot * pass->run->n_sums + step->sums, *square = mean + ld;
  mrl_real *const *sum = tile->thread->sum, *shift = tile->thread->shift;
  memcpy(shift, mrl_pass_value(tile, in, 0), ld * sizeof *shift);
  memset(sum[0], 0, ld * sizeof *sum[0]);
  memset(sum[1], 0, ld * sizeof *sum[1]);
  for (size_t j = 0; j < tile->n; j++) {
    mrl_pass_moments(sum[0], sum[1], mrl_pass_value(tile, in, j), shift, step->length, ld,
                     pass->run->isa);
  }
  const double n = (double)(tile->n * step->length), before = pass->count[slot];
  for (size_t i = 0; i < ld; i++) {
    const double off = (double)sum[0][i] / n, here = (double)shift[i] + off;
    const double delta = here - mean[i], share = n / (before + n);
    mean[i] += delta * share;
    square[i] += (double)sum[1][i] - n * off * off + delta * delta * before * share;
  }
  pass->count[slot] += n;
}

/* Zeros in what a slot adds to, before its first tile. */
static void clear_slot(mrl_pass_over *pass, size_t slot)
{
  mrl_seqpass *run = pass->run;
  double *sums = run->sums + slot * run->n_sums;
  if (pass->moments != MRL_PASS_NONE) {
    const mrl_pass_step *step = run->step + pass->moments;
    memset(sums + step->sums, 0, 2 * step->value.ld * sizeof *sums);
    pass->count[slot] = 0;
  }
  if (pass->is_training && pass->loss) {
    memset(sums, 0, run->n_sums * sizeof *sums);
    memset(run->part + slot * run->n_part, 0, run->n_part * sizeof *run->part);
  }
}

static void run_tile(mrl_pass_over *pass, size_t t, size_t slot, int thread)
{
  mrl_seqpass *run = pass->run;
  const size_t first = t * run->tile;
  const int is_kept = pass->is_training && run->has_cut;
  const mrl_seq_tile tile = {
      .run = run,
      .data = pass->data,
      .row = pass->row + first,
      .n = mrl_least(run->tile, pass->n - first),
      .place = is_kept ? t : (size_t)thread,
      .seed = pass->seed,
      .step = pass->step,
      .number = t,
      .is_training = pass->is_training,
      .thread = run->thread + thread,
  };
  mrl_real *part = run->part + slot * run->n_part;
  for (size_t s = pass->forward; s < pass->end; s++) {
    mrl_pass_forward(&tile, s);
  }
  if (pass->moments != MRL_PASS_NONE) {
    add_moments(pass, &tile, slot);
  }
  if (pass->loss) {
    pass->value[slot] += loss_of_tile(pass, &tile, first);
  }
  if (pass->renew != MRL_PASS_NONE) {
    mrl_pass_finish_norm(&tile, pass->renew);
  }
  for (size_t s = pass->back; s-- > (pass->stop == MRL_PASS_NONE ? 0 : pass->stop);) {
    if (mrl_pass_is_live(run->step + s)) {
      mrl_pass_backward(&tile, s, part, run->sums + slot * run->n_sums);
    }
  }
}

static int this_thread(void)
{
#ifdef _OPENMP
  return omp_get_thread_num();
#else
  return 0;
#endif
}

/* Tiles first .. first + count - 1 of a slot, as far as it has so many. */
static void run_slot(mrl_pass_over *pass, size_t slot, size_t first, size_t count)
{
  const size_t tiles = mrl_pass_tiles(pass);
  const size_t begin = slot_begin(tiles, slot) + first, end = slot_begin(tiles, slot + 1);
  if (first == 0) {
    clear_slot(pass, slot);
  }
  for (size_t t = begin; t < end && t < begin + count; t++) {
    run_tile(pass, t, slot, this_thread());
  }
}

static int threads_for(const mrl_pass_over *pass, const mrl_ctx *ctx)
{
  const double worth = 1 + pass->run->products * (double)pass->n / PRODUCTS_PER_THREAD;
  const int most = ctx->n_threads < pass->run->n_threads ? ctx->n_threads : pass->run->n_threads;
  return worth < most ? (int)worth : most;
}

static void run_pass(mrl_pass_over *pass, const mrl_ctx *ctx)
{
  const size_t tiles = mrl_pass_tiles(pass), slots = mrl_pass_slots(tiles);
  const size_t longest = (tiles + slots - 1) / slots;
  const int threads = threads_for(pass, ctx);
  const double of_tile = 3 * pass->run->products * (double)pass->run->tile + 1;
  const double most = PRODUCTS_BETWEEN_POLLS * threads / (double)slots / of_tile;
  const size_t count = most < 1 ? 1 : most < (double)longest ? (size_t)most : longest;
  for (size_t first = 0; first < longest; first += count) {
    mrl_poll(ctx);
#ifdef _OPENMP
#pragma omp parallel for schedule(static) num_threads(threads) if (threads > 1)
#endif
    for (size_t slot = 0; slot < slots; slot++) {
      run_slot(pass, slot, first, count);
    }
  }
}

/* The first batch norm at step `from` or behind, and the last before step `to`. */
static size_t cut_from(const mrl_seqpass *run, size_t from)
{
  for (size_t s = from; s < run->n_steps; s++) {
    if (run->step[s].norm > 0) {
      return s;
    }
  }
  return MRL_PASS_NONE;
}

static size_t cut_before(const mrl_seqpass *run, size_t to)
{
  for (size_t s = to; s-- > 0;) {
    if (run->step[s].norm > 0 && mrl_pass_is_live(run->step + s)) {
      return s;
    }
  }
  return MRL_PASS_NONE;
}

/* All forward passes but the last, which is left in *pass. */
static void forward_passes(mrl_pass_over *pass, mrl_real *statistics, const mrl_ctx *ctx)
{
  for (size_t cut = cut_from(pass->run, 0); cut != MRL_PASS_NONE;
       cut = cut_from(pass->run, cut + 1)) {
    pass->end = pass->moments = cut;
    run_pass(pass, ctx);
    mrl_pass_finish_moments(pass, statistics);
    pass->forward = cut;
  }
  pass->end = pass->run->n_steps;
  pass->moments = MRL_PASS_NONE;
}

/* *pass and then all further passes of the way back. */
static void backward_passes(mrl_pass_over *pass, const mrl_ctx *ctx)
{
  pass->back = pass->run->n_steps;
  for (;;) {
    pass->stop = cut_before(pass->run, pass->back);
    run_pass(pass, ctx);
    if (pass->stop == MRL_PASS_NONE) {
      return;
    }
    mrl_pass_finish_sums(pass, pass->run->step + pass->stop);
    pass->forward = pass->end = 0;
    pass->loss = 0;
    pass->renew = pass->back = pass->stop;
  }
}

static int sees_single_numbers(const mrl_seqpass *run, size_t n)
{
  int any = 0;
  for (size_t s = 0; s < run->n_steps; s++) {
    any = any || (run->step[s].norm > 0 && run->step[s].length * n < 2);
  }
  return any;
}

static double total_value(const mrl_pass_over *pass)
{
  double sum = 0;
  for (size_t slot = 0; slot < MRL_SEQPASS_SLOTS; slot++) {
    sum += pass->value[slot];
  }
  return sum;
}

mrl_status mrl_seqpass_step(double *loss, mrl_seqpass *run, const mrl_real *params,
                            mrl_real *statistics, const mrl_seqpass_data *data,
                            const mrl_seqpass_batch *batch, const mrl_ctx *ctx)
{
  mrl_pass_over pass = {.run = run,
                        .params = params,
                        .data = data,
                        .row = batch->row,
                        .n = batch->n,
                        .seed = batch->seed,
                        .step = batch->step,
                        .is_training = 1,
                        .moments = MRL_PASS_NONE,
                        .renew = MRL_PASS_NONE,
                        .stop = MRL_PASS_NONE};
  if (batch->n < 1 || batch->n > run->batch) {
    return MRL_BAD_ARGUMENT;
  }
  if (sees_single_numbers(run, batch->n)) {
    return MRL_TOO_FEW;
  }
  memset(run->gradient, 0, run->net->n_params * sizeof *run->gradient);
  mrl_pass_pack(run, params, 1);
  mrl_pass_set_channels(run, params, statistics);
  forward_passes(&pass, statistics, ctx);
  pass.loss = 1;
  backward_passes(&pass, ctx);
  mrl_pass_finish_gradient(&pass);
  *loss = total_value(&pass) / (double)batch->n;
  return MRL_OK;
}

mrl_status mrl_seqpass_evaluate(double *sum, mrl_real *out, mrl_seqpass *run,
                                const mrl_real *params, const mrl_real *statistics,
                                const mrl_seqpass_data *data, const size_t *row, size_t n,
                                const mrl_ctx *ctx)
{
  mrl_pass_over pass = {.run = run,
                        .params = params,
                        .data = data,
                        .row = row,
                        .n = n,
                        .loss = 1,
                        .end = run->n_steps,
                        .moments = MRL_PASS_NONE,
                        .renew = MRL_PASS_NONE,
                        .stop = MRL_PASS_NONE,
                        .out = out};
  if (n < 1) {
    return MRL_BAD_ARGUMENT;
  }
  mrl_pass_pack(run, params, 0);
  mrl_pass_set_channels(run, params, statistics);
  run_pass(&pass, ctx);
  *sum = total_value(&pass);
  return MRL_OK;
}
