/*
 * Logistic regression by Newton's method (iteratively reweighted least squares) on centred and
 * scaled columns, its steps halved where the likelihood falls.
 *
 * Separation (Albert & Anderson 1984, Biometrika 71:1): where some combination of the columns tells
 * zeros from ones, or does so apart from ties, no finite estimate exists; Newton's step then turns
 * into such a combination, which is checked row by row.
 */
#ifndef MRL_LOGIT_H
#define MRL_LOGIT_H

#include "lsq.h"

typedef struct {
  const double *const *col; /* (p) pointers to n doubles each, without the constant */
  const double *y;          /* (n) 0 .. 1 */
  const double *weights;    /* (n) >= 0, each row counts so often; or NULL */
  const double *offset;     /* (n) added to the log-odds, or NULL */
  size_t n, p;
  int intercept; /* 0 or 1: a constant before the columns */
} mrl_logit_data;

/* Memory is the caller's; k = intercept + p. */
typedef struct {
  double *coef;    /* (k) log-odds in the units of the data */
  double *vcov;    /* (k, k) inverse of the information, or NULL if it is not wanted */
  double deviance; /* minus twice the log-likelihood, relative to a perfect fit */
  int iterations;
  int separated; /* 1: the outcome is separated (the status is MRL_NO_CONVERGE) */
} mrl_logit_fit;

typedef struct {
  const double **col;                      /* (k) */
  double *shift, *scale;                   /* (k) */
  double *ones, *root;                     /* (n); ones only with a constant */
  double *eta, *mu, *score;                /* (n) */
  double *theta, *step, *minus, *gradient; /* (k) */
  double *info;                            /* (k, k) */
  void *gram;                              /* mrl_gram_scratch(k) */
} mrl_logit_work;

void mrl_logit_carve(mrl_logit_work *work, const mrl_logit_data *data, const mrl_ctx *ctx,
                     mrl_arena *arena);

/*
 * Fills fit. MRL_SINGULAR: collinear columns (one that is constant beside a constant, say).
 * MRL_NO_CONVERGE: separated, or no convergence in 50 steps. MRL_TOO_FEW: n = 0 or no weight.
 * MRL_NOT_FINITE: a moment overflowed. May be called in a parallel region by a ctx that has one
 * thread and no poll, each thread with a work of its own.
 */
mrl_status mrl_logit_run(mrl_logit_fit *fit, const mrl_logit_data *data, mrl_logit_work *work,
                         mrl_isa isa, const mrl_ctx *ctx);

#endif
