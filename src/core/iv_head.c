#include "iv_head.h"

#include <math.h>
#include <string.h>

enum { SCORING_MOST = 12, HALVINGS = 6, CHOOSING = 3 };

mrl_status mrl_head_carve(mrl_head_work *work, mrl_arena *arena, const mrl_net *net,
                          const mrl_net *trunk, const mrl_basis *basis, size_t nodes, mrl_isa isa,
                          const mrl_ctx *ctx)
{
  const size_t terms = mrl_basis_terms(basis), all = terms + 1, block = MRL_HEAD_BLOCK;
  mrl_head_work to = {.basis = *basis, .terms = terms, .isa = isa};
  to.place = MRL_TAKE(arena, size_t, block);
  to.node = MRL_TAKE(arena, double, block *nodes);
  to.share = MRL_TAKE(arena, double, block *nodes);
  to.line = MRL_TAKE(arena, double, 3 * block);
  to.w = MRL_TAKE(arena, double, block * basis->n_w);
  to.block = MRL_TAKE(arena, double, block *all);
  to.root = MRL_TAKE(arena, double, block);
  to.value = MRL_TAKE(arena, double, block);
  to.power = MRL_TAKE(arena, double, 3 * block);
  to.gram = MRL_TAKE(arena, double, all *all);
  for (int o = 0; o < MRL_HEAD_ORDERS; o++) {
    to.rough[o] = MRL_TAKE(arena, double, terms *terms);
  }
  to.zero = MRL_TAKE(arena, double, all);
  to.one = MRL_TAKE(arena, double, all);
  to.column = MRL_TAKE(arena, const double *, all);
  to.ridge = MRL_TAKE(arena, int, terms);
  to.theta = MRL_TAKE(arena, double, terms);
  to.start = MRL_TAKE(arena, double, terms);
  to.best = MRL_TAKE(arena, double, terms);
  to.grid = MRL_TAKE(arena, double, GRID_ROWS *terms);
  to.feature = MRL_TAKE(arena, mrl_real, GRID_ROWS * (basis->n_features + 1));
  to.solve = MRL_TAKE(arena, double, mrl_head_scratch(terms));
  to.gram_scratch = mrl_take(arena, mrl_gram_scratch(all, ctx), 1);
  *work = to;
  MRL_TRY(mrl_net_run_carve(&work->run, arena, trunk, 0, nodes, 0, isa, ctx));
  return mrl_net_run_carve(&work->whole, arena, net, 0, nodes, 0, isa, ctx);
}

static mrl_head_penalty penalty_of(mrl_head_work *work)
{
  const size_t at = mrl_basis_polynomial(&work->basis);
  mrl_head_penalty penalty = {.ridge = NULL};
  if (work->basis.n_features > 0) {
    for (size_t j = 0; j < work->terms; j++) {
      work->ridge[j] = j >= at;
    }
    penalty.ridge = work->ridge;
    penalty.rough[0] = work->rough[0];
    penalty.rough[1] = work->rough[1];
  }
  return penalty;
}

static mrl_head_moments moments_of(const mrl_head_work *work, const mrl_head_data *data)
{
  double total = 0, square = 0;
  for (size_t i = 0; i < data->n_rows; i++) {
    const double weight = mrl_head_weight(data, data->row[i]);
    total += weight;
    square += weight * weight;
  }
  const mrl_head_moments moments = {work->terms, work->gram, total, total * total / square,
                                    data->binary};
  return moments;
}

static mrl_status solve(double *theta, mrl_head_choice *choice, mrl_head_fit *fit,
                        mrl_head_work *work, const mrl_head_moments *moments,
                        const mrl_head_penalty *penalty, int choose, const mrl_ctx *ctx)
{
  return choose ? mrl_head_choose(theta, choice, fit, moments, penalty, work->basis.n_w > 0,
                                  work->solve, ctx)
                : mrl_head_solve(theta, fit, moments, penalty, choice, work->solve);
}

/* The net's own last layer as theta. */
static void own_layer(double *theta, const mrl_head_work *work, const mrl_head_net *net)
{
  const mrl_stage *stage = net->net->stage + net->net->n_stages - 2;
  const size_t at = mrl_basis_polynomial(&work->basis);
  const mrl_real *weights = net->params + stage->a;
  memset(theta, 0, work->terms * sizeof *theta);
  theta[0] = (double)net->params[net->net->stage[net->net->n_stages - 1].c];
  for (size_t j = 0; j < work->basis.n_features; j++) {
    theta[at + j] = (double)weights[j];
  }
  for (size_t j = 0; work->basis.n_features == 0 && j < 1 + work->basis.n_w; j++) {
    theta[1 + j] = (double)weights[j];
  }
}

/* Half the penalty's part of what scoring minimises, times two: on the scale of a deviance. */
static double objective(double deviance, const double *theta, const mrl_head_moments *moments,
                        const mrl_head_penalty *penalty, const mrl_head_choice *choice)
{
  return deviance + moments->total * mrl_head_penalty_value(theta, moments, penalty, choice);
}

static int is_settled(const double *theta, const double *before, size_t p)
{
  double change = 0, size = 0;
  for (size_t j = 0; j < p; j++) {
    change += (theta[j] - before[j]) * (theta[j] - before[j]);
    size += theta[j] * theta[j];
  }
  return change <= 1e-14 * size;
}

/* Scoring: each solution is judged by the pass that also gives the next working rows. */
static mrl_status score(double *theta, mrl_head_choice *choice, mrl_head_fit *fit,
                        mrl_head_work *work, const mrl_head_net *net, const mrl_head_data *data,
                        const mrl_head_penalty *penalty, int choose, const mrl_ctx *ctx)
{
  mrl_head_moments moments = moments_of(work, data);
  double deviance, next;
  MRL_TRY(mrl_head_gram(&deviance, work, net, data, theta, ctx));
  for (int step = 0; step < SCORING_MOST; step++) {
    MRL_TRY(
        solve(work->best, choice, fit, work, &moments, penalty, choose && step < CHOOSING, ctx));
    const double before = objective(deviance, theta, &moments, penalty, choice);
    memcpy(work->start, theta, work->terms * sizeof *theta);
    memcpy(theta, work->best, work->terms * sizeof *theta);
    MRL_TRY(mrl_head_gram(&next, work, net, data, theta, ctx));
    for (int h = 0; h < HALVINGS && !(objective(next, theta, &moments, penalty, choice) <=
                                      before + 1e-9 * fabs(before));
         h++) {
      for (size_t j = 0; j < work->terms; j++) {
        theta[j] = 0.5 * (theta[j] + work->start[j]);
      }
      MRL_TRY(mrl_head_gram(&next, work, net, data, theta, ctx));
    }
    const double fell = deviance - next;
    deviance = next;
    if (is_settled(theta, work->start, work->terms) ||
        (step >= CHOOSING && fabs(fell) < 1e-8 * fabs(deviance))) {
      break;
    }
  }
  fit->rss = deviance / moments.total;
  fit->bic = moments.n * fit->rss + fit->df * log(moments.n);
  return MRL_OK;
}

mrl_status mrl_head_fit_rows(double *theta, mrl_head_choice *choice, mrl_head_fit *fit,
                             mrl_head_work *work, const mrl_head_net *net,
                             const mrl_head_data *data, const mrl_head_range *range, int choose,
                             const double *from, const mrl_ctx *ctx)
{
  const mrl_head_penalty penalty = penalty_of(work);
  double none;
  if (work->basis.n_features > 0) {
    MRL_TRY(mrl_head_roughness(work, net, data, range, ctx));
  }
  if (!data->binary) {
    const mrl_head_moments moments = moments_of(work, data);
    MRL_TRY(mrl_head_gram(&none, work, net, data, NULL, ctx));
    return solve(theta, choice, fit, work, &moments, &penalty, choose, ctx);
  }
  if (from) {
    memcpy(theta, from, work->terms * sizeof *theta);
  } else {
    own_layer(theta, work, net);
  }
  return score(theta, choice, fit, work, net, data, &penalty, choose, ctx);
}
