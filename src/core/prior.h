/*
 * Normal priors for coefficients with known likelihood: g ~ N(J b, omega), b_j ~ N(0, v_group(j)).
 * Only B = J' inverse(omega) J and h = J' inverse(omega) g matter.
 */
#ifndef MRL_PRIOR_H
#define MRL_PRIOR_H

#include "arena.h"
#include "status.h"

typedef struct {
  size_t p, n_groups;
  const int *group; /* (p) from 1 */
  const double *B;  /* (p, p) */
  const double *h;  /* (p) */
  double charge;    /* see mrl_prior_choose() */
} mrl_prior_problem;

typedef struct {
  double *m, *k, *t; /* (p, p), (p, p), (p) */
  double *trial;     /* (n_groups) */
} mrl_prior_work;

void mrl_prior_carve(mrl_prior_work *work, mrl_arena *arena, size_t p, size_t n_groups);

/* -2 log marginal likelihood of variances (n_groups), less that of all zero. */
double mrl_prior_deviance(const mrl_prior_problem *problem, const double *variance,
                          mrl_prior_work *work);

/*
 * Chooses variances (n_groups). Groups enter one by one, the best first, as long as the deviance
 * falls by more than `charge`, and leave when without them it rises by less; one variance for all
 * is the alternative. ctx is polled.
 */
void mrl_prior_choose(double *variance, const mrl_prior_problem *problem, mrl_prior_work *work,
                      const mrl_ctx *ctx);

/* Posterior mean (p) and covariance (p, p); of groups with variance 0 all is 0. */
mrl_status mrl_prior_posterior(double *mean, double *covariance, const mrl_prior_problem *problem,
                               const double *variance, mrl_prior_work *work);

#endif
