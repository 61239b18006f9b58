#include "iv_dfiv.h"

#include <math.h>
#include <string.h>

enum { ROWS_OF_FOLD = 4 }; /* the least of a batch, for each fold */

static size_t net_size(const mrl_net *net, size_t features)
{
  return features > 0 ? net->n_params + net->n_statistics : 0;
}

size_t mrl_dfiv_instrument_size(const mrl_dfiv_nets *nets)
{
  return net_size(&nets->phi, nets->n_phi);
}

size_t mrl_dfiv_outcome_size(const mrl_dfiv_nets *nets)
{
  return net_size(&nets->psi, nets->n_psi) + net_size(&nets->xi, nets->n_xi);
}

mrl_real *mrl_dfiv_instrument_state(const mrl_dfiv *dfiv, size_t fold)
{
  return dfiv->state + fold * mrl_dfiv_instrument_size(dfiv->nets);
}

mrl_real *mrl_dfiv_outcome_state(const mrl_dfiv *dfiv)
{
  return mrl_dfiv_instrument_state(dfiv, dfiv->settings.cross_fit);
}

static int settings_ok(const mrl_dfiv_settings *s)
{
  const mrl_train_settings *t = &s->train;
  return t->epochs >= 1 && t->batch >= 1 && t->rate > 0 && s->lambda[0] >= 0 && s->lambda[1] >= 0 &&
         s->cross_fit >= 1;
}

static mrl_ivn_settings problem_settings(const mrl_dfiv_settings *s)
{
  const mrl_ivn_settings out = {.first = {.kind = MRL_FIRST_QUANTILE, .parts = 1},
                                .train = s->train,
                                .cross_fit = s->cross_fit,
                                .n_valid = {s->n_valid[0], s->n_valid[1]},
                                .seed = s->seed,
                                .isa = s->isa};
  return out;
}

static size_t moments_size(const mrl_dfiv *dfiv)
{
  const mrl_dfiv_nets *nets = dfiv->nets;
  size_t n = nets->n_phi > 0 ? dfiv->settings.cross_fit * nets->phi.n_params : 0;
  n += nets->n_psi > 0 ? nets->psi.n_params : 0;
  n += nets->n_xi > 0 ? nets->xi.n_params : 0;
  return n * mrl_optimizer_blocks(dfiv->settings.train.optimizer.kind);
}

/* Rows that a batch has at most. */
static size_t largest_batch(const mrl_dfiv *dfiv)
{
  const size_t n1 = dfiv->problem.sample[0].n, n2 = dfiv->problem.sample[1].n;
  const size_t batch = dfiv->settings.train.batch;
  const size_t least = 2 * ROWS_OF_FOLD * dfiv->settings.cross_fit + 1;
  const size_t wanted = batch > least ? batch : least, most = n1 > n2 ? n1 : n2;
  return wanted < most ? wanted : most;
}

mrl_status mrl_dfiv_carve(mrl_dfiv *dfiv, mrl_arena *arena, const mrl_dfiv_nets *nets,
                          const mrl_iv_sample *one, const mrl_iv_sample *two,
                          const mrl_dfiv_settings *settings, const mrl_ctx *ctx)
{
  const mrl_dfiv to = {.nets = nets, .settings = *settings};
  const size_t width = nets->n_p + nets->n_e, terms = nets->terms + 1;
  if (!settings_ok(settings)) {
    return MRL_BAD_ARGUMENT;
  }
  *dfiv = to;
  const mrl_ivn_settings how = problem_settings(settings);
  MRL_TRY(mrl_ivn_problem_carve(&dfiv->problem, arena, NULL, one, two, &how));
  const size_t n1 = dfiv->problem.sample[0].n, n2 = dfiv->problem.sample[1].n;
  dfiv->n_model =
      settings->cross_fit * mrl_dfiv_instrument_size(nets) + mrl_dfiv_outcome_size(nets);
  dfiv->n_state = 3 * dfiv->n_model + moments_size(dfiv);
  dfiv->state = MRL_TAKE(arena, mrl_real, dfiv->n_state);
  dfiv->history = MRL_TAKE(arena, mrl_dfiv_epoch, settings->train.epochs);
  for (int s = 0; s < 2; s++) {
    dfiv->row[s] = MRL_TAKE(arena, size_t, s == 0 ? n1 : n2);
    dfiv->shuffled[s] = MRL_TAKE(arena, size_t, s == 0 ? n1 : n2);
    dfiv->gram[s] = MRL_TAKE(arena, double, terms *terms);
  }
  dfiv->order = MRL_TAKE(arena, size_t, n1 > n2 ? n1 : n2);
  dfiv->first_gram = MRL_TAKE(arena, double, settings->cross_fit *width *width);
  dfiv->other = MRL_TAKE(arena, double, nets->terms);
  dfiv->base = MRL_TAKE(arena, double, nets->n_d);
  dfiv->moments = MRL_TAKE(arena, double, (terms + nets->n_d) * (terms + nets->n_d));
  dfiv->x_hat = MRL_TAKE(arena, double, n1);
  dfiv->x_out = MRL_TAKE(arena, double, n1);
  dfiv->y_hat = MRL_TAKE(arena, double, n2);
  const mrl_ivn_problem *p = &dfiv->problem;
  const mrl_dfiv_data data = {.input = {p->input[0], p->input[1]},
                              .x = p->x,
                              .y = p->y,
                              .weight = {p->sample[0].weights, p->sample[1].weights},
                              .fold = p->fold,
                              .folds = settings->cross_fit};
  dfiv->largest = largest_batch(dfiv);
  return mrl_dfiv_model_carve(&dfiv->model, arena, nets, &data, dfiv->largest, 1, settings->isa,
                              ctx);
}

static mrl_dfiv_member member(mrl_real **at, mrl_real **moments, const mrl_dfiv *dfiv,
                              const mrl_net *net, size_t features, size_t number)
{
  mrl_dfiv_member out = {.net = NULL};
  if (features > 0) {
    out.net = net;
    out.params = *at;
    out.statistics = *at + net->n_params;
    out.moments = *moments;
    out.seed = mrl_ivn_train_settings(&dfiv->problem, dfiv->settings.seed, number).seed;
    *at += net->n_params + net->n_statistics;
    *moments += net->n_params * mrl_optimizer_blocks(dfiv->settings.train.optimizer.kind);
  }
  return out;
}

void mrl_dfiv_bind(mrl_dfiv *dfiv)
{
  const mrl_dfiv_nets *nets = dfiv->nets;
  const size_t folds = dfiv->settings.cross_fit;
  mrl_real *at = dfiv->state, *moments = dfiv->state + 3 * dfiv->n_model;
  for (size_t k = 0; k < folds; k++) {
    dfiv->model.phi[k] = member(&at, &moments, dfiv, &nets->phi, nets->n_phi, k);
  }
  dfiv->model.psi = member(&at, &moments, dfiv, &nets->psi, nets->n_psi, folds);
  dfiv->model.xi = member(&at, &moments, dfiv, &nets->xi, nets->n_xi, folds + 1);
  dfiv->model.lambda[0] = dfiv->settings.lambda[0];
  dfiv->model.lambda[1] = dfiv->settings.lambda[1];
  dfiv->model.width = nets->terms + (dfiv->problem.single ? nets->n_d : 0);
}

static void start_member(const mrl_dfiv_member *m)
{
  if (m->net) {
    mrl_net_start(m->params, m->statistics, m->net, m->seed);
  }
}

static void list_rows(mrl_dfiv *dfiv)
{
  for (int s = 0; s < 2; s++) {
    const size_t n = dfiv->problem.sample[s].n;
    size_t at = 0;
    for (int held = 0; held < 2; held++) {
      for (size_t i = 0; i < n; i++) {
        if (dfiv->problem.held[s][i] == held) {
          dfiv->row[s][at++] = i;
        }
      }
      dfiv->n_train[s] = held == 0 ? at : dfiv->n_train[s];
    }
    dfiv->n_held[s] = n - dfiv->n_train[s];
  }
}

mrl_status mrl_dfiv_start(mrl_dfiv *dfiv, const mrl_ctx *ctx)
{
  const mrl_progress progress = {.best_loss = INFINITY, .plateau = {1, 0}};
  MRL_TRY(mrl_ivn_problem_start(&dfiv->problem, ctx));
  list_rows(dfiv);
  memset(dfiv->state, 0, dfiv->n_state * sizeof *dfiv->state);
  mrl_dfiv_bind(dfiv);
  for (size_t k = 0; k < dfiv->settings.cross_fit; k++) {
    start_member(dfiv->model.phi + k);
  }
  start_member(&dfiv->model.psi);
  start_member(&dfiv->model.xi);
  dfiv->progress = progress;
  dfiv->lambda[0] = dfiv->settings.lambda[0];
  dfiv->lambda[1] = dfiv->settings.lambda[1];
  dfiv->status = MRL_OK;
  dfiv->done = 0;
  return MRL_OK;
}

static mrl_status step(const mrl_dfiv *dfiv, const mrl_dfiv_member *m, const mrl_net_run *run,
                       double rate, uint64_t number)
{
  double norm;
  if (!m->net) {
    return MRL_OK;
  }
  return mrl_optimizer_step(m->params, m->moments, &norm, run->gradient, m->net->piece,
                            m->net->n_pieces, m->net->n_params, &dfiv->settings.train.optimizer,
                            rate, number, run->isa);
}

/* A fold that a batch has hardly a row of waits for the next one. */
static mrl_status one_batch(double loss[2], mrl_dfiv *dfiv, const mrl_dfiv_batch *batch,
                            double rate, const mrl_ctx *ctx)
{
  mrl_dfiv_model *model = &dfiv->model;
  mrl_status status;
  loss[0] = loss[1] = 0;
  if (dfiv->nets->n_phi > 0) {
    MRL_TRY(mrl_dfiv_exposures(model, batch, ctx));
  }
  for (size_t k = 0; dfiv->nets->n_phi > 0 && k < model->data.folds; k++) {
    double one = 0;
    mrl_poll(ctx);
    status = mrl_dfiv_instrument_loss(&one, model, k, batch, ctx);
    if (status == MRL_OK) {
      status = isfinite(one) ? step(dfiv, model->phi + k, &model->run_phi, rate, batch->step)
                             : MRL_NOT_FINITE;
    }
    if (status != MRL_OK && status != MRL_TOO_FEW) {
      return status;
    }
    loss[0] += one / (double)model->data.folds;
  }
  mrl_poll(ctx);
  status = mrl_dfiv_outcome_loss(loss + 1, model, batch, ctx);
  if (status != MRL_OK) {
    return status == MRL_TOO_FEW ? MRL_OK : status;
  }
  if (!isfinite(loss[1])) {
    return MRL_NOT_FINITE;
  }
  MRL_TRY(step(dfiv, &model->psi, &model->run_psi, rate, batch->step));
  return step(dfiv, &model->xi, &model->run_xi, rate, batch->step);
}

/* Into how many batches both samples are cut. Of a sample much larger than the other one each epoch
 * sees a part. */
static size_t batches_of(const mrl_dfiv *dfiv)
{
  const size_t least = ROWS_OF_FOLD * dfiv->settings.cross_fit;
  const size_t batch = dfiv->settings.train.batch, n = dfiv->n_train[1];
  size_t parts = batch >= n ? 1 : (n + batch - 1) / batch;
  for (int s = 0; s < 2; s++) {
    const size_t most = dfiv->n_train[s] / least;
    parts = parts < most ? parts : most;
  }
  return parts > 1 ? parts : 1;
}

static void shuffle(mrl_dfiv *dfiv, int s, size_t epoch)
{
  mrl_rng rng = mrl_rng_stream(dfiv->settings.seed, MRL_RNG_NET_ORDER, 2 * epoch + (size_t)s);
  mrl_rng_permutation(&rng, dfiv->order, dfiv->n_train[s]);
  for (size_t i = 0; i < dfiv->n_train[s]; i++) {
    dfiv->shuffled[s][i] = dfiv->row[s][dfiv->order[i]];
  }
}

static size_t part_begin(size_t n, size_t parts, size_t part)
{
  const size_t size = n / parts, larger = n % parts;
  return part * size + (part < larger ? part : larger);
}

mrl_status mrl_dfiv_train_epoch(double loss[2], mrl_dfiv *dfiv, size_t epoch, double rate,
                                const mrl_ctx *ctx)
{
  const size_t parts = batches_of(dfiv);
  const size_t *row[2] = {dfiv->row[0], dfiv->row[1]};
  for (int s = 0; s < 2; s++) {
    if (parts == 1 && dfiv->n_train[s] <= dfiv->largest) {
      continue;
    }
    if (s == 0 || !dfiv->problem.single) {
      shuffle(dfiv, s, epoch);
    }
    row[s] = dfiv->shuffled[dfiv->problem.single ? 0 : s];
  }
  loss[0] = loss[1] = 0;
  for (size_t b = 0; b < parts; b++) {
    mrl_dfiv_batch batch = {.step = ++dfiv->progress.step};
    for (int s = 0; s < 2; s++) {
      const size_t from = part_begin(dfiv->n_train[s], parts, b);
      const size_t n = part_begin(dfiv->n_train[s], parts, b + 1) - from;
      batch.row[s] = row[s] + from;
      batch.n[s] = n < dfiv->largest ? n : dfiv->largest;
    }
    double one[2];
    mrl_poll(ctx);
    MRL_TRY(one_batch(one, dfiv, &batch, rate, ctx));
    loss[0] += one[0] / (double)parts;
    loss[1] += one[1] / (double)parts;
  }
  return MRL_OK;
}

static mrl_real *best_of(const mrl_dfiv *dfiv)
{
  return dfiv->state + dfiv->n_model;
}

static mrl_real *last_of(const mrl_dfiv *dfiv)
{
  return dfiv->state + 2 * dfiv->n_model;
}

static void copy_model(mrl_real *to, const mrl_real *from, const mrl_dfiv *dfiv)
{
  memcpy(to, from, dfiv->n_model * sizeof *to);
}

static void record(mrl_dfiv *dfiv, const mrl_dfiv_epoch *epoch)
{
  const double monitored = dfiv->n_held[1] > 0 ? epoch->valid : epoch->train;
  dfiv->history[dfiv->progress.epoch] = *epoch;
  if (mrl_progress_count(&dfiv->progress, monitored, &dfiv->settings.train)) {
    copy_model(best_of(dfiv), dfiv->state, dfiv);
  }
  copy_model(last_of(dfiv), dfiv->state, dfiv);
}

static mrl_status one_epoch(mrl_dfiv *dfiv, const mrl_ctx *ctx)
{
  const mrl_progress *progress = &dfiv->progress;
  const mrl_train_settings *how = &dfiv->settings.train;
  const double started = dfiv->settings.now ? dfiv->settings.now() : NAN;
  double loss[2];
  mrl_dfiv_epoch epoch;
  epoch.rate = how->rate *
               mrl_schedule_rate(&how->schedule, &progress->plateau, progress->epoch, how->epochs);
  MRL_TRY(mrl_dfiv_train_epoch(loss, dfiv, progress->epoch, epoch.rate, ctx));
  MRL_TRY(mrl_dfiv_validate(&epoch.valid, dfiv, ctx));
  epoch.first = loss[0];
  epoch.train = loss[1];
  if ((dfiv->n_held[1] > 0 && !isfinite(epoch.valid)) ||
      !mrl_all_finite(dfiv->state, dfiv->n_model)) {
    return MRL_NOT_FINITE;
  }
  epoch.seconds = dfiv->settings.now ? dfiv->settings.now() - started : NAN;
  record(dfiv, &epoch);
  return MRL_OK;
}

/* The initial weights are the first candidates. */
static mrl_status judge_start(mrl_dfiv *dfiv, const mrl_ctx *ctx)
{
  double loss;
  copy_model(best_of(dfiv), dfiv->state, dfiv);
  copy_model(last_of(dfiv), dfiv->state, dfiv);
  MRL_TRY(mrl_dfiv_validate(&loss, dfiv, ctx));
  if (dfiv->n_held[1] > 0) {
    dfiv->progress.best_loss = loss;
  }
  return MRL_OK;
}

/* Training has stopped: the weights to use, then the ridges. A diverged one keeps its last. */
static mrl_status end(mrl_dfiv *dfiv, const mrl_ctx *ctx)
{
  mrl_progress *progress = &dfiv->progress;
  dfiv->status = MRL_OK;
  if (progress->stop == MRL_STOP_DIVERGED) {
    dfiv->status = MRL_NOT_FINITE;
    copy_model(dfiv->state, last_of(dfiv), dfiv);
  } else if (dfiv->n_held[1] > 0 && dfiv->n_model > 0) {
    dfiv->status = progress->best_epoch > 0 ? MRL_OK : MRL_NO_CONVERGE;
    copy_model(dfiv->state, best_of(dfiv), dfiv);
  }
  MRL_TRY(mrl_dfiv_finish(dfiv, ctx));
  dfiv->done = 1;
  return MRL_OK;
}

mrl_status mrl_dfiv_run(mrl_dfiv *dfiv, size_t until, const mrl_ctx *ctx)
{
  mrl_progress *progress = &dfiv->progress;
  if (dfiv->n_model == 0) {
    progress->stop = MRL_STOP_EPOCHS; /* linear: nothing to train */
    return end(dfiv, ctx);
  }
  if (progress->epoch == 0 && progress->stop == MRL_GOES_ON) {
    MRL_TRY(judge_start(dfiv, ctx));
  }
  while (progress->stop == MRL_GOES_ON && progress->epoch < until) {
    const mrl_status status = one_epoch(dfiv, ctx);
    if (status == MRL_NOT_FINITE) {
      progress->stop = MRL_STOP_DIVERGED;
    } else if (status != MRL_OK) {
      return status;
    }
  }
  return progress->stop == MRL_GOES_ON ? MRL_OK : end(dfiv, ctx);
}
