#include "net.h"

enum { TILE_ROWS = 256 };

static size_t at_least_one(size_t n)
{
  return n > 0 ? n : 1;
}

/* A leading dimension for so many rows: an odd number of cache lines, because columns a power of
 * two apart would share few sets of the cache. */
static size_t leading_dimension(size_t rows)
{
  const size_t lines = mrl_pad(rows) / MRL_LANES;
  return (lines + (lines % 2 == 0)) * MRL_LANES;
}

static mrl_real *take_reals(mrl_arena *arena, size_t count, size_t width)
{
  if (width > 0 && count > SIZE_MAX / width) {
    arena->failed = 1;
    return NULL;
  }
  return MRL_TAKE(arena, mrl_real, count * width);
}

static size_t thread_scratch(const mrl_net *net, size_t rows)
{
  size_t most = 0;
  for (size_t s = 0; s < net->n_stages; s++) {
    if (net->stage[s].op == MRL_OP_DENSE) {
      const size_t need = mrl_dense_scratch(rows, net->stage[s].in, net->stage[s].out);
      most = need > most ? need : most;
    }
  }
  return most;
}

static void carve_threads(mrl_net_run *run, mrl_arena *arena)
{
  const mrl_net *net = run->net;
  const size_t sums = net->widest > run->ld ? net->widest : run->ld; /* or of each row */
  const size_t scratch = thread_scratch(net, run->tile_rows * run->group);
  run->thread = MRL_TAKE(arena, mrl_net_thread, (size_t)run->n_threads);
  for (int i = 0; i < run->n_threads; i++) {
    mrl_net_thread thread;
    for (int k = 0; k < 2; k++) {
      thread.d[k] = take_reals(arena, run->ld, net->widest);
      thread.sum[k] = take_reals(arena, sums, 1);
    }
    thread.scratch = mrl_take(arena, scratch, 1);
    if (run->thread) {
      run->thread[i] = thread;
    }
  }
}

/* Coefficients of the columns; those of batch norm have two more for the way back. */
static void carve_affine(mrl_net_run *run, mrl_arena *arena, size_t s)
{
  const mrl_stage *stage = run->net->stage + s;
  if (stage->op != MRL_OP_AFFINE) {
    return;
  }
  mrl_real *columns = take_reals(arena, stage->out, 5);
  mrl_real *k = take_reals(arena, stage->out, stage->affine == MRL_BATCH ? 2 : 0);
  if (columns && run->affine) {
    const size_t n = stage->out;
    const mrl_affine affine = {
        columns,         columns + n,       columns + 2 * n,       columns + 3 * n,
        columns + 4 * n, stage->activation, (mrl_real)stage->value};
    run->affine[s] = affine;
    run->k[s] = k;
  }
}

static void carve_stage(mrl_net_run *run, mrl_arena *arena, size_t s, size_t net_rows)
{
  const mrl_stage *stage = run->net->stage + s;
  const size_t aside = stage->op == MRL_OP_DROPOUT ? stage->out : stage->op == MRL_OP_ROW_NORM;
  mrl_real *out = take_reals(arena, net_rows, stage->out);
  mrl_real *kept = take_reals(arena, net_rows, aside);
  if (run->out) {
    run->out[s] = out;
    run->aside[s] = kept;
  }
  carve_affine(run, arena, s);
}

mrl_status mrl_net_run_carve(mrl_net_run *run, mrl_arena *arena, const mrl_net *net, size_t rows,
                             size_t group, int want_d_input, mrl_isa isa, const mrl_ctx *ctx)
{
  if (group < 1 || ctx->n_threads < 1 || rows > SIZE_MAX / 2 / group - TILE_ROWS) {
    return MRL_BAD_ARGUMENT;
  }
  const size_t whole = at_least_one(TILE_ROWS / group);
  const mrl_net_run fixed = {.net = net,
                             .isa = mrl_isa_usable(isa),
                             .rows = rows,
                             .group = group,
                             .tile_rows = rows > 0 && rows < whole ? rows : whole,
                             .n_threads = ctx->n_threads};
  *run = fixed;
  run->ld = leading_dimension(run->tile_rows * group);
  const size_t tiles = mrl_net_tiles(run, rows), net_rows = tiles * run->ld;
  run->out = MRL_TAKE(arena, mrl_real *, net->n_stages);
  run->aside = MRL_TAKE(arena, mrl_real *, net->n_stages);
  run->affine = MRL_TAKE(arena, mrl_affine, net->n_stages);
  run->k = MRL_TAKE(arena, mrl_real *, net->n_stages);
  carve_threads(run, arena);
  run->x = take_reals(arena, net_rows, net->n_inputs);
  run->d_output = take_reals(arena, net_rows, net->n_outputs);
  run->d_input = want_d_input ? take_reals(arena, net_rows, net->n_inputs) : NULL;
  for (size_t s = 0; s < net->n_stages; s++) {
    carve_stage(run, arena, s, net_rows);
  }
  const size_t slots = tiles < MRL_SLOTS ? tiles : MRL_SLOTS;
  run->sums = MRL_TAKE(arena, double, slots * net->n_sums);
  run->gradient = take_reals(arena, rows > 0, net->n_params);
  run->partial = take_reals(arena, slots > 1 ? slots - 1 : 0, net->n_params);
  return arena->failed ? MRL_NO_MEMORY : MRL_OK;
}

size_t mrl_net_tiles(const mrl_net_run *run, size_t rows)
{
  return (rows + run->tile_rows - 1) / run->tile_rows;
}

mrl_tile mrl_net_tile(const mrl_net_run *run, const mrl_batch *batch, size_t t)
{
  const size_t first = t * run->tile_rows, rest = batch->n - first;
  const mrl_tile tile = {.row = batch->row + first,
                         .rows = rest < run->tile_rows ? rest : run->tile_rows,
                         .group = run->group,
                         .ld = run->ld,
                         .first = first,
                         .epoch = batch->epoch,
                         .scale = 1 / (mrl_real)batch->n,
                         .isa = run->isa};
  return tile;
}
