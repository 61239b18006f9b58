/*
 * Two-stage least squares, and ordinary least squares where there are no exposures to instrument,
 * with homoskedastic, heteroskedasticity-robust or cluster-robust covariance and the diagnostics
 * that belong to it.
 */
#ifndef MRL_TWOSLS_H
#define MRL_TWOSLS_H

#include "ivdiag.h"

typedef enum {
  MRL_VCOV_IID,
  MRL_VCOV_HC0,
  MRL_VCOV_HC1,
  MRL_VCOV_HC2,
  MRL_VCOV_HC3,
  MRL_VCOV_CLUSTER,
  MRL_N_VCOV
} mrl_vcov_type;

typedef struct {
  mrl_vcov_type vcov;
  const int *cluster; /* (n) 1 .. n_cluster; NULL unless MRL_VCOV_CLUSTER */
  size_t n_cluster;   /* at least 2 where clustered */
  mrl_isa isa;
  const mrl_moments *moments; /* NULL: taken of the columns */
} mrl_iv_settings;

/*
 * All memory is the caller's. k = intercept + n_exog + n_endog, in this order; c = intercept +
 * n_exog + n_inst. Coefficients of collinear columns are NaN, and so are their rows of vcov.
 */
typedef struct {
  double *coef;       /* (k) in the units of the data */
  double *vcov;       /* (k, k) */
  double *residuals;  /* (n) unweighted; NULL where there are no rows */
  double *first_coef; /* (c, n_endog) first stage */
  double *first_se;   /* (c, n_endog); HC2 and HC3 use HC1 here */
  double *between;    /* (m, m) as mrl_lsq_reduced() gives it, m = n_endog + 1; NULL: not wanted */
  double *within;     /* (m, m) likewise */
  int *aliased;       /* (c) 1: a column of [1, exogenous, instruments] that was dropped */
  mrl_iv_diagnostics diagnostics;
  double sigma2;        /* sum of weighted squared residuals / df_residual */
  double df_residual;   /* n - kept coefficients */
  int exposure_aliased; /* 1-based: an exposure that is constant or collinear; 0 if none is */
} mrl_iv_fit;

/* Bytes of scratch for these sizes. */
size_t mrl_iv_fit_scratch(const mrl_lsq_data *data, const mrl_iv_settings *settings,
                          const mrl_ctx *ctx);

/*
 * Fills fit. MRL_TOO_FEW: no degrees of freedom are left, or fewer instruments than exposures were
 * kept (aliased says which went). MRL_SINGULAR: exposure_aliased, or the instruments do not tell
 * the exposures apart. MRL_NOT_FINITE: a moment overflowed. MRL_BAD_ARGUMENT: moments without a
 * constant, or a robust covariance without rows.
 */
mrl_status mrl_iv_fit_run(mrl_iv_fit *fit, const mrl_lsq_data *data,
                          const mrl_iv_settings *settings, void *scratch, size_t scratch_size,
                          const mrl_ctx *ctx);

#endif
