/*
 * Anderson & Rubin's test of one exposure's effect, robust to unequal variances or to correlation
 * within clusters: the Wald test that the instruments have no coefficient in the regression of y -
 * beta x on the exogenous columns and the instruments. Its set is where the statistic, a ratio of
 * polynomials of degree twice the number of instruments, is below the critical value. It is found
 * on the circle of directions (-beta, 1) in the metric of weakiv.h, on which the statistic is
 * smooth: by its values on a grid, extremes refined between, and crossings by bisection.
 */
#ifndef MRL_AR_ROBUST_H
#define MRL_AR_ROBUST_H

#include "twosls.h"
#include "weakiv.h"

enum { MRL_AR_MAX = 64 };

typedef struct {
  double *statistic;          /* (n_beta) Wald statistic over the number of instruments */
  double df1, df2;            /* of its F law */
  double low[MRL_AR_MAX + 1]; /* the set */
  double high[MRL_AR_MAX + 1];
  size_t n_set;
} mrl_ar_fit;

/* The critical value of an F law, of the caller's library. */
typedef double (*mrl_f_quantile)(double df1, double df2, void *data);

size_t mrl_ar_scratch(const mrl_lsq_data *data, const mrl_iv_settings *settings,
                      const mrl_ctx *ctx);

/* beta (n_beta): effects to test. data: one exposure. settings: a robust covariance. MRL_SINGULAR:
 * a covariance of scores is, as with fewer clusters than instruments. */
mrl_status mrl_ar_run(mrl_ar_fit *fit, const mrl_lsq_data *data, const mrl_iv_settings *settings,
                      const double *beta, size_t n_beta, mrl_f_quantile quantile, void *quantile_of,
                      void *scratch, size_t size, const mrl_ctx *ctx);

#endif
