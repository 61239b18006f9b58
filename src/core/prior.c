#include "prior.h"

#include "blas.h"

#include <math.h>
#include <string.h>

void mrl_prior_carve(mrl_prior_work *work, mrl_arena *arena, size_t p, size_t n_groups)
{
  work->m = MRL_TAKE(arena, double, p *p);
  work->k = MRL_TAKE(arena, double, p *p);
  work->t = MRL_TAKE(arena, double, p);
  work->trial = MRL_TAKE(arena, double, n_groups);
}

static double root_of(const mrl_prior_problem *problem, const double *variance, size_t j)
{
  return sqrt(variance[problem->group[j] - 1]);
}

/*
 * With D the prior covariance and only the m columns of positive variance:
 * work->m := I + D^1/2 B D^1/2 (m, m), work->t := D^1/2 h; returns m.
 */
static size_t active_system(const mrl_prior_problem *problem, const double *variance,
                            mrl_prior_work *work)
{
  size_t m = 0;
  for (size_t j = 0; j < problem->p; j++) {
    m += root_of(problem, variance, j) > 0;
  }
  size_t column = 0;
  for (size_t j = 0; j < problem->p; j++) {
    const double root = root_of(problem, variance, j);
    size_t row = 0;
    for (size_t i = 0; root > 0 && i < problem->p; i++) {
      const double other = root_of(problem, variance, i);
      if (other > 0) {
        work->m[row + column * m] = other * root * problem->B[i + j * problem->p] + (i == j);
        row++;
      }
    }
    if (root > 0) {
      work->t[column++] = root * problem->h[j];
    }
  }
  return m;
}

double mrl_prior_deviance(const mrl_prior_problem *problem, const double *variance,
                          mrl_prior_work *work)
{
  const size_t m = active_system(problem, variance, work);
  double sum = 0;
  if (m == 0) {
    return 0;
  }
  if (mrl_cholesky(work->m, m) != MRL_OK ||
      mrl_triangular_solve(work->t, work->m, m, 1, 1) != MRL_OK) {
    return INFINITY;
  }
  for (size_t j = 0; j < m; j++) {
    sum += 2 * log(work->m[j + j * m]) - work->t[j] * work->t[j];
  }
  return sum;
}

/* Sets one group's variance, or with group n_groups all of them. */
static void set_variance(double *variance, size_t group, double value, size_t n_groups)
{
  for (size_t k = 0; k < n_groups; k++) {
    if (k == group || group == n_groups) {
      variance[k] = value;
    }
  }
}

static double deviance_at(const mrl_prior_problem *problem, double *trial, size_t group,
                          double log_variance, mrl_prior_work *work)
{
  set_variance(trial, group, exp(log_variance), problem->n_groups);
  return mrl_prior_deviance(problem, trial, work);
}

/* A scale for the variances of a group: the mean of 1 / B_jj, the sampling variance of b_j. */
static double scale_of(const mrl_prior_problem *problem, size_t group)
{
  double sum = 0, count = 0;
  for (size_t j = 0; j < problem->p; j++) {
    const double b = problem->B[j + j * problem->p];
    if ((group == problem->n_groups || (size_t)problem->group[j] == group + 1) && b > 0) {
      sum += 1 / b;
      count++;
    }
  }
  return count > 0 ? sum / count : 0;
}

/*
 * The variance of a group (n_groups: of all) that minimises the deviance, the others as in trial:
 * the best of a coarse grid of its logarithm, then golden sections. Leaves trial at it.
 */
static double best_variance(const mrl_prior_problem *problem, double *trial, size_t group,
                            mrl_prior_work *work)
{
  const double golden = 0.6180339887498949, scale = scale_of(problem, group);
  double low, high, at = 0, best = INFINITY;
  if (!(scale > 0)) {
    set_variance(trial, group, 0, problem->n_groups);
    return mrl_prior_deviance(problem, trial, work);
  }
  for (double step = -3; step <= 15; step += 1.5) {
    const double value = deviance_at(problem, trial, group, log(scale) + step, work);
    if (value < best) {
      best = value;
      at = log(scale) + step;
    }
  }
  low = at - 1.5;
  high = at + 1.5;
  double a = high - golden * (high - low), b = low + golden * (high - low);
  double fa = deviance_at(problem, trial, group, a, work);
  double fb = deviance_at(problem, trial, group, b, work);
  for (int round = 0; round < 24; round++) {
    if (fa < fb) {
      high = b;
      b = a;
      fb = fa;
      a = high - golden * (high - low);
      fa = deviance_at(problem, trial, group, a, work);
    } else {
      low = a;
      a = b;
      fa = fb;
      b = low + golden * (high - low);
      fb = deviance_at(problem, trial, group, b, work);
    }
  }
  return deviance_at(problem, trial, group, 0.5 * (low + high), work);
}

/* The group whose entry lowers the deviance most; n_groups if none lowers it by the charge. */
static size_t enter_best(double *variance, double *deviance, const mrl_prior_problem *problem,
                         mrl_prior_work *work, const mrl_ctx *ctx)
{
  const size_t groups = problem->n_groups;
  size_t winner = groups;
  double lowest = *deviance - problem->charge, value = 0;
  for (size_t k = 0; k < groups; k++) {
    mrl_poll(ctx);
    if (variance[k] > 0) {
      continue;
    }
    memcpy(work->trial, variance, groups * sizeof *variance);
    const double at = best_variance(problem, work->trial, k, work);
    if (at < lowest) {
      lowest = at;
      winner = k;
      value = work->trial[k];
    }
  }
  if (winner < groups) {
    variance[winner] = value;
    *deviance = lowest;
  }
  return winner;
}

/* The variances of the groups that are in, each at its best given the others. */
static double polish(double *variance, const mrl_prior_problem *problem, mrl_prior_work *work,
                     const mrl_ctx *ctx)
{
  for (int sweep = 0; sweep < 3; sweep++) {
    for (size_t k = 0; k < problem->n_groups; k++) {
      mrl_poll(ctx);
      if (variance[k] > 0) {
        best_variance(problem, variance, k, work);
      }
    }
  }
  return mrl_prior_deviance(problem, variance, work);
}

/* Groups without which the deviance rises by less than the charge leave. */
static double leave_weak(double *variance, double deviance, const mrl_prior_problem *problem,
                         mrl_prior_work *work)
{
  for (size_t k = 0; k < problem->n_groups; k++) {
    const double value = variance[k];
    if (value > 0) {
      variance[k] = 0;
      const double without = mrl_prior_deviance(problem, variance, work);
      if (without > deviance + problem->charge) {
        variance[k] = value;
      } else {
        deviance = without;
      }
    }
  }
  return deviance;
}

void mrl_prior_choose(double *variance, const mrl_prior_problem *problem, mrl_prior_work *work,
                      const mrl_ctx *ctx)
{
  const size_t groups = problem->n_groups;
  double deviance = 0, count = 0;
  memset(variance, 0, groups * sizeof *variance);
  while (enter_best(variance, &deviance, problem, work, ctx) < groups) {
    deviance = polish(variance, problem, work, ctx);
  }
  deviance = leave_weak(variance, deviance, problem, work);
  for (size_t k = 0; k < groups; k++) {
    count += variance[k] > 0;
  }
  memset(work->trial, 0, groups * sizeof *variance);
  const double dense = best_variance(problem, work->trial, groups, work);
  if (dense + problem->charge < deviance + count * problem->charge && dense + problem->charge < 0) {
    memcpy(variance, work->trial, groups * sizeof *variance);
  }
}

/* The posterior covariance of the active ones is D^1/2 inverse(I + D^1/2 B D^1/2) D^1/2. */
mrl_status mrl_prior_posterior(double *mean, double *covariance, const mrl_prior_problem *problem,
                               const double *variance, mrl_prior_work *work)
{
  const size_t p = problem->p, m = active_system(problem, variance, work);
  memset(mean, 0, p * sizeof *mean);
  memset(covariance, 0, p * p * sizeof *covariance);
  if (m == 0) {
    return MRL_OK;
  }
  MRL_TRY(mrl_cholesky(work->m, m));
  MRL_TRY(mrl_cholesky_solve(work->t, work->m, m, 1));
  MRL_TRY(mrl_cholesky_inverse(work->m, m));
  size_t column = 0;
  for (size_t j = 0; j < p; j++) {
    const double root = root_of(problem, variance, j);
    size_t row = 0;
    for (size_t i = 0; root > 0 && i < p; i++) {
      const double other = root_of(problem, variance, i);
      if (other > 0) {
        covariance[i + j * p] = other * root * work->m[row + column * m];
        row++;
      }
    }
    if (root > 0) {
      mean[j] = root * work->t[column++];
    }
  }
  return MRL_OK;
}
