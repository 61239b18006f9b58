#include "iv_latent.h"

#include <math.h>
#include <string.h>

static const mrl_ctx alone = {1, NULL, NULL}; /* restarts run in parallel, each on a thread */

mrl_status mrl_latent_examine(mrl_latent_run *run)
{
  const size_t p = run->data->p, d = run->nets->encoder.net.n_outputs;
  const size_t n = run->data->n_env * run->n_valid;
  const mrl_coder_rows rows = {&run->nets->encoder.monomials, run->data->z};
  const mrl_coder_blocks to = {run->exam.x, run->n_valid, d};
  const mrl_coder_latents latents = {&run->nets->decoder.monomials, run->exam.x, run->n_valid, d,
                                     0};
  const mrl_loss squared = {
      .kind = MRL_LOSS_SQUARED, .outputs = p, .targets = p, .y = run->data->z};
  mrl_batch batch = {.row = run->valid,
                     .n = n,
                     .fill = mrl_coder_fill_rows,
                     .fill_data = &rows,
                     .loss = mrl_coder_keep,
                     .loss_data = &to};
  mrl_latent_parts parts;
  double sum;
  MRL_TRY(mrl_net_evaluate(&sum, &run->encode, run->params, NULL, &batch, &alone));
  batch.fill = mrl_coder_fill_latents;
  batch.fill_data = &latents;
  batch.loss = mrl_loss_tile;
  batch.loss_data = &squared;
  const mrl_real *decoder = run->params + run->nets->encoder.net.n_params;
  if (!run->settings->penalty.whiten) { /* the decoder sees the latent as it is */
    MRL_TRY(mrl_net_evaluate(&sum, &run->decode, decoder, NULL, &batch, &alone));
  }
  MRL_TRY(mrl_latent_whiten(&run->exam));
  if (run->settings->penalty.whiten) {
    MRL_TRY(mrl_net_evaluate(&sum, &run->decode, decoder, NULL, &batch, &alone));
  }
  MRL_TRY(mrl_latent_parts_of(&parts, &run->exam));
  run->verdict = (mrl_latent_verdict){parts.mmd, parts.hsic, sum / (double)(n * p)};
  return isfinite(sum) ? MRL_OK : MRL_NOT_FINITE;
}

static mrl_status carve_all(mrl_latent_run **runs, mrl_arena *arena,
                            const mrl_latent_settings *settings, const mrl_latent_nets *nets,
                            const mrl_latent_data *data)
{
  *runs = MRL_TAKE(arena, mrl_latent_run, settings->restarts);
  for (size_t r = 0; r < settings->restarts; r++) {
    mrl_latent_run run;
    MRL_TRY(mrl_latent_run_carve(&run, arena, settings, nets, data));
    if (*runs) {
      (*runs)[r] = run;
    }
  }
  return arena->failed ? MRL_NO_MEMORY : MRL_OK;
}

size_t mrl_latent_scratch(const mrl_latent_settings *settings, const mrl_latent_nets *nets,
                          const mrl_latent_data *data)
{
  mrl_arena arena = mrl_arena_measure();
  mrl_latent_run *runs;
  return carve_all(&runs, &arena, settings, nets, data) == MRL_OK ? arena.used : 0;
}

/*
 * All restarts to their end, in slices between which it polls: some 30 ms for all of them on one
 * thread. The statistics of a step cost about as much as 200 parameters.
 */
static void run_all(mrl_latent_run *runs, size_t restarts, const mrl_ctx *ctx)
{
  const size_t work = (runs->nets->n_params + 200) * runs->data->n_env * runs->batch * restarts;
  const size_t slice = work < 100000000 ? 100000000 / work : 1;
  for (int left = 1; left;) {
    left = 0;
#pragma omp parallel for schedule(dynamic, 1) num_threads(ctx->n_threads) reduction(+ : left)
    for (size_t r = 0; r < restarts; r++) {
      if (!mrl_latent_is_done(runs + r)) {
        mrl_latent_advance(runs + r, slice);
        left += !mrl_latent_is_done(runs + r);
      }
    }
    mrl_poll(ctx);
  }
}

mrl_status mrl_latent_train(mrl_real *params, mrl_latent_epoch *history,
                            mrl_latent_verdict *verdict, size_t *held_out,
                            const mrl_latent_settings *s, const mrl_latent_nets *nets,
                            const mrl_latent_data *data, const mrl_real *start, void *scratch,
                            const mrl_ctx *ctx)
{
  const size_t size = mrl_latent_scratch(s, nets, data);
  mrl_arena arena = mrl_arena_over(scratch, size);
  mrl_latent_run *runs;
  size_t batch, n_valid, left = 0;
  mrl_latent_rows(&batch, &n_valid, s, data);
  if (batch == 0) {
    return MRL_TOO_FEW;
  }
  if (size == 0 || s->restarts < 1) {
    return MRL_BAD_ARGUMENT;
  }
  MRL_TRY(carve_all(&runs, &arena, s, nets, data));
  for (size_t r = 0; r < s->restarts; r++) {
    mrl_latent_run_start(runs + r, r);
    if (start) {
      memcpy(runs[r].params, start, nets->encoder.net.n_params * sizeof *start);
    }
  }
  memcpy(held_out, runs->valid, data->n_env * n_valid * sizeof *held_out);
  run_all(runs, s->restarts, ctx);
  for (size_t r = 0; r < s->restarts; r++) {
    memcpy(params + r * nets->n_params, runs[r].params, nets->n_params * sizeof *params);
    for (size_t k = 0; k < s->epochs; k++) {
      history[r * s->epochs + k] = k < runs[r].epoch
                                       ? runs[r].history[k]
                                       : (mrl_latent_epoch){NAN, NAN, NAN, NAN, NAN, NAN, NAN};
    }
    verdict[r] = runs[r].verdict;
    left += !runs[r].failed;
  }
  return left > 0 ? MRL_OK : MRL_NO_CONVERGE;
}

typedef struct {
  mrl_net_run run;
  size_t *row;
} encoding;

static mrl_status carve_encoding(encoding *to, mrl_arena *arena, const mrl_latent_nets *nets,
                                 const mrl_latent_data *data, mrl_isa isa, const mrl_ctx *ctx)
{
  MRL_TRY(mrl_net_run_carve(&to->run, arena, &nets->encoder.net, 0, 1, 0, isa, ctx));
  to->row = MRL_TAKE(arena, size_t, data->n);
  return arena->failed ? MRL_NO_MEMORY : MRL_OK;
}

size_t mrl_latent_encode_scratch(const mrl_latent_nets *nets, const mrl_latent_data *data,
                                 mrl_isa isa, const mrl_ctx *ctx)
{
  mrl_arena arena = mrl_arena_measure();
  encoding to;
  return carve_encoding(&to, &arena, nets, data, isa, ctx) == MRL_OK ? arena.used : 0;
}

mrl_status mrl_latent_encode(double *latent, const mrl_real *params, const mrl_latent_nets *nets,
                             const mrl_latent_data *data, void *scratch, mrl_isa isa,
                             const mrl_ctx *ctx)
{
  mrl_arena arena = mrl_arena_over(scratch, mrl_latent_encode_scratch(nets, data, isa, ctx));
  encoding to;
  double none;
  MRL_TRY(carve_encoding(&to, &arena, nets, data, isa, ctx));
  for (size_t i = 0; i < data->n; i++) {
    to.row[i] = i;
  }
  const mrl_coder_rows rows = {&nets->encoder.monomials, data->z};
  const mrl_coder_blocks out = {latent, data->n, nets->encoder.net.n_outputs};
  const mrl_batch batch = {.row = to.row,
                           .n = data->n,
                           .fill = mrl_coder_fill_rows,
                           .fill_data = &rows,
                           .loss = mrl_coder_keep,
                           .loss_data = &out};
  return mrl_net_evaluate(&none, &to.run, params, NULL, &batch, ctx);
}
