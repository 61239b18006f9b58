#include "iv_neural.h"

#include <math.h>
#include <string.h>

static size_t folds_of(const mrl_ivn *ivn)
{
  return ivn->problem.settings.cross_fit;
}

const mrl_net *mrl_ivn_net(const mrl_ivn *ivn, size_t stage)
{
  const mrl_ivn_nets *nets = ivn->problem.nets;
  return stage < folds_of(ivn) ? &nets->first.net : &nets->second;
}

/* A ridge has nothing to train. */
static int is_trained(const mrl_ivn *ivn, size_t stage)
{
  return stage == folds_of(ivn) || ivn->problem.settings.first.kind != MRL_FIRST_RIDGE;
}

static mrl_status carve_stages(mrl_ivn *ivn, mrl_arena *arena)
{
  const size_t folds = folds_of(ivn), coefs = ivn->problem.nets->first.n_location;
  for (size_t s = 0; s < ivn->n_stages; s++) {
    const mrl_net *net = mrl_ivn_net(ivn, s);
    mrl_ivn_stage stage = {.status = MRL_OK};
    stage.params = MRL_TAKE(arena, mrl_real, net->n_params + net->n_statistics);
    stage.statistics = stage.params ? stage.params + net->n_params : NULL;
    stage.history = MRL_TAKE(arena, mrl_epoch, ivn->problem.settings.train.epochs);
    mrl_first_fit fit = {.params = stage.params, .statistics = stage.statistics};
    fit.location = s < folds ? MRL_TAKE(arena, double, coefs) : NULL;
    fit.outside = s < folds ? MRL_TAKE(arena, double, coefs) : NULL;
    if (ivn->stage && ivn->first) {
      ivn->stage[s] = stage;
      if (s < folds) {
        ivn->first[s] = fit;
      }
    }
  }
  return arena->failed ? MRL_NO_MEMORY : MRL_OK;
}

mrl_status mrl_ivn_carve(mrl_ivn *ivn, mrl_arena *arena, const mrl_ivn_nets *nets,
                         const mrl_iv_sample *one, const mrl_iv_sample *two,
                         const mrl_ivn_settings *settings, const mrl_ctx *ctx)
{
  const mrl_ivn empty = {.n_stages = settings->cross_fit + 1};
  if (settings->cross_fit < 1 || settings->cross_fit > one->n || settings->train.epochs < 1) {
    return MRL_BAD_ARGUMENT;
  }
  *ivn = empty;
  MRL_TRY(mrl_ivn_problem_carve(&ivn->problem, arena, nets, one, two, settings));
  MRL_TRY(mrl_ivn_worker_carve(&ivn->worker, arena, &ivn->problem, ctx));
  ivn->stage = MRL_TAKE(arena, mrl_ivn_stage, ivn->n_stages);
  ivn->first = MRL_TAKE(arena, mrl_first_fit, settings->cross_fit);
  ivn->x_hat = MRL_TAKE(arena, double, one->n);
  ivn->x_out = MRL_TAKE(arena, double, one->n);
  ivn->y_hat = MRL_TAKE(arena, double, ivn->problem.sample[1].n);
  ivn->theta = MRL_TAKE(arena, double, mrl_basis_terms(&nets->basis));
  return carve_stages(ivn, arena);
}

static mrl_status begin(mrl_ivn *ivn, const mrl_ctx *ctx)
{
  const mrl_train_settings how =
      mrl_ivn_train_settings(&ivn->problem, ivn->problem.settings.seed, ivn->at);
  if (ivn->at < folds_of(ivn)) {
    MRL_TRY(mrl_ivn_begin_first(&ivn->worker, ivn->at, &how, ctx));
  } else {
    MRL_TRY(mrl_ivn_begin_second(&ivn->worker, &how, ctx));
  }
  if (is_trained(ivn, ivn->at)) {
    mrl_train_start(&ivn->worker.train);
  }
  return MRL_OK;
}

mrl_status mrl_ivn_start(mrl_ivn *ivn, const mrl_ctx *ctx)
{
  MRL_TRY(mrl_ivn_problem_start(&ivn->problem, ctx));
  for (size_t i = 0; i < ivn->problem.sample[0].n; i++) {
    ivn->x_hat[i] = ivn->x_out[i] = NAN;
  }
  ivn->at = 0;
  return begin(ivn, ctx);
}

static mrl_head_net head_net(const mrl_ivn *ivn)
{
  const mrl_ivn_nets *nets = ivn->problem.nets;
  const mrl_ivn_stage *stage = ivn->stage + folds_of(ivn);
  const mrl_head_net net = {&nets->second, &nets->trunk, stage->params, stage->statistics};
  return net;
}

static mrl_status end_second(mrl_ivn *ivn, const mrl_ctx *ctx)
{
  const int refit = ivn->problem.settings.refit;
  const mrl_head_net net = head_net(ivn);
  const mrl_head_data data = mrl_ivn_head_data(&ivn->worker);
  if (refit) {
    MRL_TRY(mrl_head_fit_rows(ivn->theta, &ivn->choice, &ivn->fit, &ivn->worker.head_work, &net,
                              &data, &ivn->problem.range, 1, NULL, ctx));
  }
  return mrl_head_predict(ivn->y_hat, &ivn->worker.head_work, &net, &data,
                          refit ? ivn->theta : NULL, ctx);
}

mrl_status mrl_ivn_end_stage(mrl_ivn *ivn, const mrl_ctx *ctx)
{
  if (ivn->at < folds_of(ivn)) {
    mrl_first_fit *fit = ivn->first + ivn->at;
    MRL_TRY(mrl_ivn_end_first(&ivn->worker, ivn->at, fit, 0, ivn->x_hat, ivn->x_out, ctx));
  } else {
    MRL_TRY(end_second(ivn, ctx));
  }
  ivn->at++;
  return ivn->at < ivn->n_stages ? begin(ivn, ctx) : MRL_OK;
}

static void keep_stage(mrl_ivn *ivn, mrl_status status)
{
  const mrl_train *train = &ivn->worker.train;
  mrl_ivn_stage *stage = ivn->stage + ivn->at;
  memcpy(stage->params, train->params, train->net->n_params * sizeof *stage->params);
  memcpy(stage->statistics, train->statistics,
         train->net->n_statistics * sizeof *stage->statistics);
  memcpy(stage->history, train->history, train->progress.epoch * sizeof *stage->history);
  stage->progress = train->progress;
  stage->status = status;
}

size_t mrl_ivn_epochs(const mrl_ivn *ivn)
{
  size_t epochs = 0;
  for (size_t s = 0; s < ivn->at; s++) {
    epochs += ivn->stage[s].progress.epoch;
  }
  const int runs = ivn->at < ivn->n_stages && is_trained(ivn, ivn->at);
  return epochs + (runs ? ivn->worker.train.progress.epoch : 0);
}

size_t mrl_ivn_epochs_most(const mrl_ivn *ivn)
{
  size_t epochs = 0;
  for (size_t s = 0; s < ivn->n_stages; s++) {
    const size_t most = is_trained(ivn, s) ? ivn->problem.settings.train.epochs : 0;
    epochs += s < ivn->at ? ivn->stage[s].progress.epoch : most;
  }
  return epochs;
}

/* Of the last epoch of a training; NaN before the first. */
static double last_loss(const mrl_epoch *history, size_t epochs)
{
  if (epochs == 0) {
    return NAN;
  }
  const mrl_epoch *last = history + epochs - 1;
  return isnan(last->valid) ? last->train : last->valid;
}

double mrl_ivn_loss(const mrl_ivn *ivn)
{
  const mrl_train *train = &ivn->worker.train;
  double loss = NAN;
  if (ivn->at < ivn->n_stages && is_trained(ivn, ivn->at)) {
    loss = last_loss(train->history, train->progress.epoch);
  }
  for (size_t s = ivn->at; isnan(loss) && s-- > 0;) {
    loss = last_loss(ivn->stage[s].history, ivn->stage[s].progress.epoch);
  }
  return loss;
}

mrl_status mrl_ivn_run(mrl_ivn *ivn, size_t until, const mrl_ctx *ctx)
{
  while (ivn->at < ivn->n_stages) {
    if (is_trained(ivn, ivn->at)) {
      mrl_train *train = &ivn->worker.train;
      const size_t done = mrl_ivn_epochs(ivn);
      const size_t left = until > done ? until - done : 0;
      const mrl_status status = mrl_train_run(train, train->progress.epoch + left, ctx);
      if (status != MRL_OK && status != MRL_NOT_FINITE && status != MRL_NO_CONVERGE) {
        return status;
      }
      if (train->progress.stop == MRL_GOES_ON) {
        return MRL_OK;
      }
      keep_stage(ivn, status);
    }
    MRL_TRY(mrl_ivn_end_stage(ivn, ctx));
  }
  return MRL_OK;
}
