/*
 * The last layer of a model in closed form: least squares on features with two penalties, how much
 * of each chosen by BIC or by rows that were held out.
 *
 * All is done on moments, so the cost does not depend on the number of rows. With A and b the mean
 * crossproducts of the features h (p) with themselves and the outcome,
 *   (A + lambda Omega_o + rho R) theta = b,
 * Omega_o the roughness of order o, R a ridge on some of the features. Features are scaled to a
 * mean square of one first; lambda and rho are in these units, so they do not depend on units of
 * the outcome. df is the trace of (A + penalties)^-1 A, BIC = n log(rss / n) + df log n.
 *
 * Features under a ridge always have a little of it (1e-9), as learned features may repeat each
 * other; where the others are collinear too, all get the least of 1e-10, 1e-8, 1e-6 that helps.
 */
#ifndef MRL_HEAD_H
#define MRL_HEAD_H

#include "status.h"

enum { MRL_HEAD_ORDERS = 2, MRL_HEAD_FIRST_ORDER = 2 };

typedef struct {
  size_t p;           /* features, >= 1 */
  const double *gram; /* (p + 1, p + 1) symmetric; sums over the rows, the outcome last */
  double total;       /* sum of the rows' weights, > 0 */
  double n;           /* how many rows they are worth: (sum of weights)^2 / sum of their squares */
  int is_working; /* rows of a scoring step: BIC = n rss + df log n, rss being a mean deviance */
} mrl_head_moments;

typedef struct {
  const double *rough[MRL_HEAD_ORDERS]; /* (p, p) of order 2, 3, in the features' units; or NULL */
  const int *ridge;                     /* (p) 1: under the ridge; or NULL: none is */
} mrl_head_penalty;

typedef struct {
  int order;          /* 2 or 3; 0: no roughness */
  double lambda, rho; /* >= 0; rho may be INFINITY: features under the ridge are left out */
} mrl_head_choice;

typedef struct {
  double df, rss, bic; /* rss: mean, in the outcome's units */
} mrl_head_fit;

/* Doubles of scratch for the functions below. */
size_t mrl_head_scratch(size_t p);

/* theta (p) out, in the features' units. fit out, or NULL. MRL_SINGULAR, MRL_NOT_FINITE. */
mrl_status mrl_head_solve(double *theta, mrl_head_fit *fit, const mrl_head_moments *moments,
                          const mrl_head_penalty *penalty, const mrl_head_choice *choice,
                          double *scratch);

/*
 * The choice with the lowest BIC: orders 2 and 3 (as far as there are roughnesses), lambda 1e-7 to
 * 1e4 by half decades, rho 0 and, where there is a ridge and `try_ridge`, 1e-5 to 10 by decades.
 * theta (p) and fit are those of the choice.
 */
mrl_status mrl_head_choose(double *theta, mrl_head_choice *choice, mrl_head_fit *fit,
                           const mrl_head_moments *moments, const mrl_head_penalty *penalty,
                           int try_ridge, double *scratch, const mrl_ctx *ctx);

/* (lambda theta'Omega theta + rho theta'R theta), what is added to the mean squared error. */
double mrl_head_penalty_value(const double *theta, const mrl_head_moments *moments,
                              const mrl_head_penalty *penalty, const mrl_head_choice *choice);

/* Mean squared error of theta (p) on the rows of the moments. */
double mrl_head_error(const double *theta, const mrl_head_moments *moments);

/*
 * A ridge whose penalty follows from generalised cross-validation, min rss / (1 - df / n)^2 over
 * 1e-8 to 1e4, or is given (rho not NaN). The first feature is the constant: it has no penalty and
 * does not count in df; the others are scaled to a variance of one. theta (p), *rho out.
 */
mrl_status mrl_head_ridge(double *theta, double *rho, const mrl_head_moments *moments,
                          double *scratch, const mrl_ctx *ctx);
size_t mrl_head_ridge_scratch(size_t p);

#endif
