/*
 * Anderson & Rubin's test of one exposure's effect, robust to unequal variances or to correlation
 * within clusters: are the scores of the instruments, z (y - beta x) with both clear of the
 * exogenous columns, of mean zero? With their sum g and second moments omega, summed over rows or,
 * summed within them first, clusters, S = g'inverse(omega) g is the continuously updated GMM
 * criterion (Stock & Wright 2000, Econometrica 68:1055). Hotelling's (1931, Ann. Math. Stat. 2:360)
 * T2 of the scores is S / (1 - S / units), which an F law is the reference of:
 *
 *   F = (S / l) / ((units - S) / df2), df2 = rows - columns of C, or clusters - l.
 *
 * Residuals under the hypothesis, not of the regression on the instruments too: those are too small
 * where leverage is high, so that a Wald test with them rejects too often. The set is where the
 * statistic, a ratio of polynomials of degree twice the number of instruments, is below the
 * critical value. It is found
 * on the circle of directions (-beta, 1) in the metric of weakiv.h, on which the statistic is
 * smooth: by its values on a grid, extremes refined between, and crossings by bisection.
 */
#ifndef MRL_AR_ROBUST_H
#define MRL_AR_ROBUST_H

#include "twosls.h"
#include "weakiv.h"

enum { MRL_AR_MAX = 64 };

typedef struct {
  double *statistic;          /* (n_beta) F */
  double df1, df2;            /* of its F law */
  double low[MRL_AR_MAX + 1]; /* the set */
  double high[MRL_AR_MAX + 1];
  size_t n_set;
} mrl_ar_fit;

/* The critical value of an F law, of the caller's library. */
typedef double (*mrl_f_quantile)(double df1, double df2, void *data);

size_t mrl_ar_scratch(const mrl_lsq_data *data, const mrl_iv_settings *settings,
                      const mrl_ctx *ctx);

/* beta (n_beta): effects to test. data: one exposure. settings: clusters, or none. MRL_SINGULAR:
 * the scores are collinear, as with no more clusters than instruments. */
mrl_status mrl_ar_run(mrl_ar_fit *fit, const mrl_lsq_data *data, const mrl_iv_settings *settings,
                      const double *beta, size_t n_beta, mrl_f_quantile quantile, void *quantile_of,
                      void *scratch, size_t size, const mrl_ctx *ctx);

#endif
