#include "iv_latent.h"

#include "rng.h"

#include <math.h>
#include <string.h>

static const mrl_ctx serial = {1, NULL, NULL};

static size_t latent_width(const mrl_latent_settings *s)
{
  return s->penalty.dv + s->penalty.dw;
}

static size_t least_rows(const mrl_latent_data *data)
{
  size_t least = SIZE_MAX;
  for (size_t e = 0; e < data->n_env; e++) {
    least = (size_t)data->n_row[e] < least ? (size_t)data->n_row[e] : least;
  }
  return least;
}

void mrl_latent_rows(size_t *batch, size_t *n_valid, const mrl_latent_settings *s,
                     const mrl_latent_data *data)
{
  const size_t n = least_rows(data), need = latent_width(s) + 1, fifth = n / 5;
  *n_valid = fifth < s->n_valid ? fifth : s->n_valid;
  *n_valid = *n_valid < need ? need : *n_valid;
  *batch = n >= *n_valid + need ? n - *n_valid : 0;
  *batch = *batch > s->penalty.batch ? s->penalty.batch : *batch;
}

static mrl_status carve_predictor(mrl_coder_net *to, mrl_arena *arena, size_t dw, size_t kx)
{
  const mrl_layer layers[] = {{.kind = MRL_LAYER_DENSE, .units = MRL_LATENT_PREDICTOR},
                              {.kind = MRL_LAYER_ACTIVATION, .activation = MRL_TANH},
                              {.kind = MRL_LAYER_DENSE, .units = kx}};
  if (kx < 1) {
    return MRL_BAD_ARGUMENT;
  }
  MRL_TRY(mrl_monomials_carve(&to->monomials, arena, dw, 1));
  return mrl_net_carve(&to->net, arena, layers, 3, dw);
}

mrl_status mrl_latent_nets_carve(mrl_latent_nets *nets, mrl_arena *arena,
                                 const mrl_latent_settings *s, size_t p, size_t kx)
{
  const size_t d = latent_width(s);
  if (p < 1 || !(s->relevance >= 0)) {
    return MRL_BAD_ARGUMENT;
  }
  *nets = (mrl_latent_nets){.n_params = 0};
  MRL_TRY(mrl_coder_carve(&nets->encoder, arena, &s->encoder, p, d, 1));
  MRL_TRY(mrl_coder_carve(&nets->decoder, arena, &s->decoder, d, p, 0));
  if (s->relevance > 0) {
    MRL_TRY(carve_predictor(&nets->predictor, arena, s->penalty.dw, kx));
  }
  nets->n_params =
      nets->encoder.net.n_params + nets->decoder.net.n_params + nets->predictor.net.n_params;
  return arena->failed ? MRL_NO_MEMORY : MRL_OK;
}

/* Where the decoder's and the predictor's parameters start. */
static size_t decoder_at(const mrl_latent_nets *nets)
{
  return nets->encoder.net.n_params;
}

static size_t predictor_at(const mrl_latent_nets *nets)
{
  return nets->encoder.net.n_params + nets->decoder.net.n_params;
}

/* All nets' pieces, one net's behind the other's. */
static void join_pieces(mrl_latent_run *run)
{
  const mrl_latent_nets *nets = run->nets;
  const mrl_net *net[] = {&nets->encoder.net, &nets->decoder.net, &nets->predictor.net};
  const size_t from[] = {0, decoder_at(nets), predictor_at(nets)};
  mrl_param *piece = run->piece;
  for (size_t i = 0; i < 3; i++) {
    for (size_t k = 0; k < net[i]->n_pieces; k++, piece++) {
      *piece = net[i]->piece[k];
      piece->offset += from[i];
    }
  }
}

mrl_status mrl_latent_run_carve(mrl_latent_run *run, mrl_arena *arena, const mrl_latent_settings *s,
                                const mrl_latent_nets *nets, const mrl_latent_data *data)
{
  *run = (mrl_latent_run){.settings = s, .nets = nets, .data = data};
  if (data->n_env < 1 || data->p < 1 || s->epochs < 1 || !(s->reconstruction >= 0) ||
      (s->relevance > 0 && !data->x)) {
    return MRL_BAD_ARGUMENT;
  }
  mrl_latent_rows(&run->batch, &run->n_valid, s, data);
  if (run->batch == 0) {
    return MRL_TOO_FEW;
  }
  mrl_latent_penalty batch = s->penalty, exam = s->penalty;
  batch.n_env = exam.n_env = data->n_env;
  batch.batch = run->batch;
  exam.batch = run->n_valid;
  exam.whiten = 1;
  exam.match = MRL_MATCH_POLY;
  exam.entropy = 0;
  exam.neighbours = 0;
  const mrl_net *encoder = &run->nets->encoder.net, *decoder = &run->nets->decoder.net;
  const mrl_net *predictor = &run->nets->predictor.net;
  const size_t rows = data->n_env * run->batch;
  MRL_TRY(mrl_net_run_carve(&run->encode, arena, encoder, rows, 1, 0, s->isa, &serial));
  MRL_TRY(mrl_net_run_carve(&run->decode, arena, decoder, rows, 1, 1, s->isa, &serial));
  if (s->relevance > 0) {
    MRL_TRY(mrl_net_run_carve(&run->predict, arena, predictor, rows, 1, 1, s->isa, &serial));
  }
  MRL_TRY(mrl_latent_judge_carve(&run->judge, arena, &batch));
  MRL_TRY(mrl_latent_judge_carve(&run->exam, arena, &exam));
  run->n_pieces = encoder->n_pieces + decoder->n_pieces + predictor->n_pieces;
  run->params = MRL_TAKE(arena, mrl_real, run->nets->n_params);
  run->gradient = MRL_TAKE(arena, mrl_real, run->nets->n_params);
  run->moments =
      MRL_TAKE(arena, mrl_real, mrl_optimizer_blocks(s->optimizer.kind) * run->nets->n_params);
  run->piece = MRL_TAKE(arena, mrl_param, run->n_pieces);
  run->order = MRL_TAKE(arena, size_t, data->n);
  run->row = MRL_TAKE(arena, size_t, rows);
  run->valid = MRL_TAKE(arena, size_t, data->n_env * run->n_valid);
  run->history = MRL_TAKE(arena, mrl_latent_epoch, s->epochs);
  run->n_steps = (least_rows(data) - run->n_valid) / run->batch;
  return arena->failed ? MRL_NO_MEMORY : MRL_OK;
}

/* Streams of a run's seed: 0 the rows held out, from 1 on the orders of epochs. */
static mrl_rng order_stream(const mrl_latent_run *run, size_t epoch, size_t e)
{
  return mrl_rng_stream(run->seed, MRL_RNG_LATENT, (uint64_t)epoch << 24 | (uint64_t)e);
}

/* The rows held out are the same in all restarts: the first of an order by the settings' seed. The
 * others stay in run->order, behind them. */
static void hold_out(mrl_latent_run *run)
{
  const mrl_latent_data *data = run->data;
  for (size_t e = 0, first = 0; e < data->n_env; first += (size_t)data->n_row[e], e++) {
    mrl_rng rng = mrl_rng_stream(run->settings->seed, MRL_RNG_LATENT, (uint64_t)e);
    size_t *own = run->order + first;
    mrl_rng_permutation(&rng, own, (size_t)data->n_row[e]);
    for (size_t i = 0; i < (size_t)data->n_row[e]; i++) {
      own[i] += first;
    }
    memcpy(run->valid + e * run->n_valid, own, run->n_valid * sizeof *own);
  }
}

void mrl_latent_run_start(mrl_latent_run *run, size_t restart)
{
  mrl_rng rng =
      mrl_rng_stream(run->settings->seed, MRL_RNG_LATENT, (uint64_t)1 << 55 | (uint64_t)restart);
  const size_t blocks = mrl_optimizer_blocks(run->settings->optimizer.kind);
  const uint64_t encoder = mrl_rng_u64(&rng), decoder = mrl_rng_u64(&rng);
  run->seed = mrl_rng_u64(&rng);
  mrl_net_start(run->params, NULL, &run->nets->encoder.net, encoder);
  mrl_net_start(run->params + decoder_at(run->nets), NULL, &run->nets->decoder.net, decoder);
  if (run->settings->relevance > 0) {
    mrl_net_start(run->params + predictor_at(run->nets), NULL, &run->nets->predictor.net,
                  mrl_rng_u64(&rng));
  }
  memset(run->moments, 0, blocks * run->nets->n_params * sizeof *run->moments);
  join_pieces(run);
  hold_out(run);
  run->epoch = run->step = 0;
  run->updates = 0;
  run->failed = 0;
  run->plateau = (mrl_plateau){1, 0};
  run->best = INFINITY;
  run->sums = (mrl_latent_epoch){0};
  run->verdict = (mrl_latent_verdict){INFINITY, INFINITY, INFINITY};
}

/* Forward: the latent of run->row in judge->x, whitened. */
static mrl_status encode_batch(mrl_latent_run *run, const mrl_batch *batch)
{
  const mrl_coder_blocks to = {run->judge.x, run->batch, latent_width(run->settings)};
  MRL_TRY(mrl_net_forward(&run->encode, run->params, NULL, batch, &serial));
  for (size_t t = 0; t < mrl_net_tiles(&run->encode, batch->n); t++) {
    const mrl_tile tile = mrl_net_tile(&run->encode, batch, t);
    double none;
    MRL_TRY(mrl_coder_keep(&none, NULL,
                           mrl_net_output(&run->encode) + mrl_net_tile_at(&run->encode, t, to.d),
                           &tile, &to));
  }
  return mrl_latent_whiten(&run->judge);
}

/* A net behind the latent: its buffers, the latents it takes, where its parameters start, what it
 * must give (targets columns by row) and the weight of its MSE. */
typedef struct {
  mrl_net_run *run;
  mrl_coder_latents latents;
  size_t at, targets;
  const mrl_real *y;
  double weight;
} behind;

/* Its step on judge->x: its gradient, and that of the latents added to judge->dx. */
static mrl_status step_behind(double *mse, mrl_latent_run *run, const behind *to)
{
  const mrl_loss loss = {
      .kind = MRL_LOSS_SQUARED, .outputs = to->targets, .targets = to->targets, .y = to->y};
  const mrl_batch batch = {.row = run->row,
                           .n = run->data->n_env * run->batch,
                           .mode = MRL_TRAIN,
                           .fill = mrl_coder_fill_latents,
                           .fill_data = &to->latents,
                           .loss = mrl_loss_tile,
                           .loss_data = &loss};
  const double weight = to->weight / (double)to->targets;
  const mrl_monomials *monomials = to->latents.monomials;
  MRL_TRY(mrl_net_step(mse, to->run, run->params + to->at, NULL, &batch, &serial));
  *mse /= (double)to->targets;
  for (size_t t = 0; t < mrl_net_tiles(to->run, batch.n); t++) {
    const mrl_tile tile = mrl_net_tile(to->run, &batch, t);
    const size_t at = mrl_net_tile_at(to->run, t, monomials->n);
    mrl_real *d_input = to->run->d_input + at;
    mrl_monomials_back(d_input, to->run->x + at, monomials, tile.rows, tile.ld);
    mrl_coder_add_input(run->judge.dx, d_input, &tile, &to->latents, weight);
  }
  mrl_real *gradient = run->gradient + to->at;
  for (size_t i = 0; i < to->run->net->n_params; i++) {
    gradient[i] = (mrl_real)weight * to->run->gradient[i];
  }
  return MRL_OK;
}

static mrl_coder_latents latents_of(const mrl_latent_run *run, const mrl_monomials *monomials,
                                    size_t first)
{
  const mrl_coder_latents latents = {monomials, run->judge.x, run->batch,
                                     latent_width(run->settings), first};
  return latents;
}

static mrl_status decode_batch(double *mse, mrl_latent_run *run)
{
  const behind to = {.run = &run->decode,
                     .latents = latents_of(run, &run->nets->decoder.monomials, 0),
                     .at = decoder_at(run->nets),
                     .targets = run->data->p,
                     .y = run->data->z,
                     .weight = run->settings->reconstruction};
  return step_behind(mse, run, &to);
}

static mrl_status predict_batch(double *mse, mrl_latent_run *run)
{
  const behind to = {
      .run = &run->predict,
      .latents = latents_of(run, &run->nets->predictor.monomials, run->settings->penalty.dv),
      .at = predictor_at(run->nets),
      .targets = run->data->kx,
      .y = run->data->x,
      .weight = run->settings->relevance};
  return step_behind(mse, run, &to);
}

/* judge->dx back through the encoder. */
static mrl_status encode_back(mrl_latent_run *run, const mrl_batch *batch)
{
  const size_t d = latent_width(run->settings);
  mrl_net_run *encode = &run->encode;
  MRL_TRY(mrl_latent_unwhiten(&run->judge));
  for (size_t t = 0; t < mrl_net_tiles(encode, batch->n); t++) {
    const mrl_tile tile = mrl_net_tile(encode, batch, t);
    mrl_real *to = encode->d_output + mrl_net_tile_at(encode, t, d);
    const mrl_shape shape = {tile.rows, tile.ld, d, tile.isa};
    mrl_coder_take_output(to, run->judge.dx, &tile, d, run->batch);
    mrl_clear_rest(to, &shape);
  }
  MRL_TRY(mrl_net_backward(encode, run->params, batch, &serial));
  memcpy(run->gradient, encode->gradient, run->nets->encoder.net.n_params * sizeof *run->gradient);
  return MRL_OK;
}

mrl_status mrl_latent_gradient(mrl_latent_epoch *loss, mrl_latent_run *run)
{
  const mrl_latent_settings *s = run->settings;
  const size_t n = run->data->n_env * run->batch;
  const mrl_coder_rows rows = {&run->nets->encoder.monomials, run->data->z};
  const mrl_batch batch = {
      .row = run->row, .n = n, .mode = MRL_TRAIN, .fill = mrl_coder_fill_rows, .fill_data = &rows};
  mrl_latent_parts parts;
  double mse, exposures = 0;
  memset(run->judge.dx, 0, n * latent_width(s) * sizeof *run->judge.dx);
  MRL_TRY(encode_batch(run, &batch));
  MRL_TRY(mrl_latent_parts_of(&parts, &run->judge));
  MRL_TRY(decode_batch(&mse, run));
  if (s->relevance > 0) {
    MRL_TRY(predict_batch(&exposures, run));
  }
  MRL_TRY(encode_back(run, &batch));
  const double sum = s->reconstruction * mse + s->penalty.mmd * parts.mmd +
                     s->penalty.hsic * parts.hsic + s->penalty.entropy * parts.entropy +
                     s->relevance * exposures;
  *loss = (mrl_latent_epoch){sum, mse, parts.mmd, parts.hsic, parts.entropy, exposures, 0};
  return isfinite(sum) ? MRL_OK : MRL_NOT_FINITE;
}

/* A new order of the training rows of each environment, behind those held out. */
static void shuffle(mrl_latent_run *run)
{
  const mrl_latent_data *data = run->data;
  for (size_t e = 0, first = 0; e < data->n_env; first += (size_t)data->n_row[e], e++) {
    mrl_rng rng = order_stream(run, run->epoch + 1, e);
    size_t *own = run->order + first + run->n_valid;
    for (size_t i = (size_t)data->n_row[e] - run->n_valid; i > 1; i--) {
      const size_t j = (size_t)mrl_rng_below(&rng, (uint64_t)i), keep = own[i - 1];
      own[i - 1] = own[j];
      own[j] = keep;
    }
  }
}

static void take_batch(mrl_latent_run *run)
{
  const mrl_latent_data *data = run->data;
  for (size_t e = 0, first = 0; e < data->n_env; first += (size_t)data->n_row[e], e++) {
    memcpy(run->row + e * run->batch, run->order + first + run->n_valid + run->step * run->batch,
           run->batch * sizeof *run->row);
  }
}

static void end_epoch(mrl_latent_run *run, double rate)
{
  const double n = (double)run->n_steps;
  const mrl_latent_epoch sums = run->sums,
                         mean = {sums.loss / n,    sums.mse / n,       sums.mmd / n, sums.hsic / n,
                                 sums.entropy / n, sums.relevance / n, rate};
  const int is_best = mean.loss < run->best;
  run->history[run->epoch] = mean;
  run->best = is_best ? mean.loss : run->best;
  mrl_plateau_update(&run->plateau, &run->settings->schedule, is_best);
  run->sums = (mrl_latent_epoch){0};
  run->step = 0;
  run->epoch++;
}

static mrl_status take_step(mrl_latent_run *run)
{
  const mrl_latent_settings *s = run->settings;
  mrl_latent_epoch loss;
  double norm;
  if (run->step == 0) {
    shuffle(run);
  }
  take_batch(run);
  MRL_TRY(mrl_latent_gradient(&loss, run));
  const double rate =
      s->rate * mrl_schedule_rate(&s->schedule, &run->plateau, run->epoch, s->epochs);
  MRL_TRY(mrl_optimizer_step(run->params, run->moments, &norm, run->gradient, run->piece,
                             run->n_pieces, run->nets->n_params, &s->optimizer, rate,
                             ++run->updates, mrl_isa_usable(s->isa)));
  run->sums.loss += loss.loss;
  run->sums.mse += loss.mse;
  run->sums.mmd += loss.mmd;
  run->sums.hsic += loss.hsic;
  run->sums.entropy += loss.entropy;
  run->sums.relevance += loss.relevance;
  if (++run->step == run->n_steps) {
    end_epoch(run, rate);
  }
  return MRL_OK;
}

int mrl_latent_is_done(const mrl_latent_run *run)
{
  return run->failed || run->epoch == run->settings->epochs;
}

void mrl_latent_advance(mrl_latent_run *run, size_t steps)
{
  for (size_t k = 0; k < steps && !mrl_latent_is_done(run); k++) {
    run->failed = take_step(run) != MRL_OK;
  }
  if (mrl_latent_is_done(run) && !run->failed) {
    run->failed = mrl_latent_examine(run) != MRL_OK;
  }
}
