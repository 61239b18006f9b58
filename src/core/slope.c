#include "slope.h"

#include "blas.h"
#include "slope_part.h"

#include <math.h>
#include <string.h>

size_t mrl_slope_scratch(const mrl_slope_data *data, const mrl_ctx *ctx)
{
  mrl_slope_work unused;
  mrl_arena arena = mrl_arena_measure();
  mrl_slope_carve(&unused, &arena, data, ctx);
  return arena.failed ? 0 : arena.used;
}

/* B = J' inverse(omega) J and h = J' inverse(omega) g, by the factor of the scores' omega. */
static mrl_status make_likelihood(mrl_slope_work *work)
{
  const size_t p = work->p, rows = 1 + p;
  for (size_t j = 0; j < p; j++) {
    work->mean[j] = work->g[j];
    for (size_t i = 0; i < p; i++) {
      work->meat[i + j * p] = work->omega[1 + i + (1 + j) * rows];
      work->covariance[i + j * p] = work->j[i + j * p];
    }
  }
  MRL_TRY(mrl_cholesky(work->meat, p));
  MRL_TRY(mrl_triangular_solve(work->covariance, work->meat, p, p, 1));
  MRL_TRY(mrl_triangular_solve(work->mean, work->meat, p, 1, 1));
  mrl_small_gemm(work->B, p, work->covariance, p, 1, work->covariance, p, 0, p, p, p, 1, 0);
  mrl_small_gemm(work->h, p, work->covariance, p, 1, work->mean, p, 0, p, 1, p, 1, 0);
  return MRL_OK;
}

/* Without a prior: b = inverse(B) h, which inverse(B) is the covariance of. */
static mrl_status free_solution(mrl_slope_work *work)
{
  const size_t p = work->p;
  memcpy(work->covariance, work->B, p * p * sizeof *work->B);
  memcpy(work->mean, work->h, p * sizeof *work->h);
  MRL_TRY(mrl_cholesky(work->covariance, p));
  MRL_TRY(mrl_cholesky_solve(work->mean, work->covariance, p, 1));
  return mrl_cholesky_inverse(work->covariance, p);
}

static mrl_status solve(mrl_slope_work *work, const mrl_prior_problem *problem, mrl_slope_fit *fit,
                        const mrl_slope_settings *settings)
{
  if (settings->penalty == MRL_SLOPE_FREE) {
    return free_solution(work);
  }
  return mrl_prior_posterior(work->mean, work->covariance, problem, fit->variance, &work->prior);
}

/* b0 given b, and the joint covariance: b0 - true = (a'e / a'x) - c'(b - true), c = a'(x f) / a'x,
 * and b is inverse(omega)-weighted in the scores, whose covariance with a'e omega has. */
static mrl_status joint_covariance(mrl_slope_fit *fit, mrl_slope_work *work)
{
  const size_t p = work->p, rows = 1 + p;
  const double *inner = work->inner, ax = inner[0];
  double *c = work->h, *lean = work->g, *v = fit->vcov;
  /* work->g is not needed any more: lean = covariance J' inverse(omega_TT) omega_T0 / a'x. */
  for (size_t j = 0; j < p; j++) {
    c[j] = inner[rows * (1 + j)] / ax;
    work->mean[j] = work->omega[1 + j] / ax;
    for (size_t i = 0; i < p; i++) {
      work->meat[i + j * p] = work->omega[1 + i + (1 + j) * rows];
    }
  }
  MRL_TRY(mrl_cholesky(work->meat, p));
  MRL_TRY(mrl_cholesky_solve(work->mean, work->meat, p, 1));
  mrl_small_gemm(work->B, p, work->j, p, 1, work->mean, p, 0, p, 1, p, 1, 0);
  mrl_small_gemm(lean, p, work->covariance, p, 0, work->B, p, 0, p, 1, p, 1, 0);
  v[0] = work->omega[0] / (ax * ax);
  for (size_t i = 0; i < p; i++) {
    double along = 0;
    for (size_t j = 0; j < p; j++) {
      v[1 + i + (1 + j) * rows] = work->covariance[i + j * p];
      along += work->covariance[i + j * p] * c[j];
    }
    v[1 + i] = v[(1 + i) * rows] = lean[i] - along;
    v[0] += c[i] * (along - 2 * lean[i]);
  }
  return MRL_OK;
}

/*
 * Terms that could not pay the charge may matter all the same. The covariance becomes the second
 * moment about the estimate under the priors of largest likelihood, without a charge.
 */
static mrl_status admit_doubt(mrl_slope_work *work, mrl_prior_problem problem,
                              const mrl_slope_fit *fit, const mrl_ctx *ctx)
{
  const size_t p = work->p;
  problem.charge = 0;
  mrl_prior_choose(work->variance, &problem, &work->prior, ctx);
  MRL_TRY(mrl_prior_posterior(work->open, work->spread, &problem, work->variance, &work->prior));
  for (size_t j = 0; j < p; j++) {
    const double at = work->open[j] - fit->coef[1 + j];
    for (size_t i = 0; i < p; i++) {
      work->covariance[i + j * p] =
          work->spread[i + j * p] + at * (work->open[i] - fit->coef[1 + i]);
    }
  }
  return MRL_OK;
}

static mrl_status choose(mrl_slope_work *work, mrl_slope_fit *fit, const mrl_slope_data *data,
                         const mrl_slope_settings *settings, const mrl_ctx *ctx)
{
  const mrl_prior_problem problem = {work->p, data->n_groups, data->group,
                                     work->B, work->h,        settings->charge};
  MRL_TRY(make_likelihood(work));
  for (size_t k = 0; k < data->n_groups; k++) {
    fit->variance[k] = INFINITY;
  }
  if (settings->penalty == MRL_SLOPE_SHRUNK) {
    mrl_prior_choose(fit->variance, &problem, &work->prior, ctx);
  }
  MRL_TRY(solve(work, &problem, fit, settings));
  const double ax = work->inner[0];
  fit->coef[0] = fit->b_null;
  for (size_t j = 0; j < work->p; j++) {
    fit->coef[1 + j] = work->mean[j];
    fit->coef[0] -= work->inner[(1 + work->p) * (1 + j)] / ax * work->mean[j];
  }
  /* The covariance at the slopes found. */
  mrl_slope_residual(work, fit->coef[0], fit->coef + 1);
  MRL_TRY(mrl_slope_omega(work, data, settings->isa, ctx));
  MRL_TRY(make_likelihood(work));
  MRL_TRY(solve(work, &problem, fit, settings));
  if (settings->penalty == MRL_SLOPE_SHRUNK && isfinite(settings->charge)) {
    MRL_TRY(admit_doubt(work, problem, fit, ctx));
  }
  return joint_covariance(fit, work);
}

static mrl_status all_finite(const mrl_slope_fit *fit, size_t p)
{
  double sum = 0;
  for (size_t i = 0; i < (1 + p) * (1 + p); i++) {
    sum += fit->vcov[i] * 0;
  }
  for (size_t i = 0; i <= p; i++) {
    sum += fit->coef[i] * 0;
  }
  return sum == 0 ? MRL_OK : MRL_NOT_FINITE;
}

mrl_status mrl_slope_run(mrl_slope_fit *fit, const mrl_slope_data *data,
                         const mrl_slope_settings *settings, void *scratch, size_t size,
                         const mrl_ctx *ctx)
{
  mrl_arena arena = mrl_arena_over(scratch, size);
  mrl_slope_work work;
  mrl_slope_carve(&work, &arena, data, ctx);
  if (arena.failed) {
    return MRL_NO_MEMORY;
  }
  const size_t units = data->cluster ? data->n_cluster : data->n;
  if (data->p == 0) {
    return MRL_BAD_ARGUMENT;
  }
  if (data->n <= work.k + work.p + 1 || units <= work.p + 1) {
    return MRL_TOO_FEW;
  }
  mrl_slope_fill(&work, fit->center, data, ctx);
  MRL_TRY(mrl_slope_partial_out(&work, settings->isa, ctx));
  MRL_TRY(mrl_slope_scores(&work, fit, settings->isa, ctx));
  mrl_slope_residual(&work, fit->b_null, NULL);
  MRL_TRY(mrl_slope_omega(&work, data, settings->isa, ctx));
  fit->se_null = sqrt(work.omega[0]) / fabs(work.inner[0]);
  size_t *which = (size_t *)(void *)work.more; /* as long as k width >= p, which it is */
  mrl_slope_test(fit, &work, data, which);
  MRL_TRY(choose(&work, fit, data, settings, ctx));
  fit->se_average = mrl_slope_average_error(&work, fit, data);
  mrl_slope_main_effects(fit, &work, data);
  return all_finite(fit, data->p);
}
