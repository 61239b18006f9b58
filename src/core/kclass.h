/*
 * k-class estimators of the linear model with instruments. With M_C what the columns C = [1,
 * exogenous, instruments] leave over and D = [1, exogenous, exposures],
 *
 *   theta = inverse(D'(I - k M_C) D) D'(I - k M_C) y:
 *
 * k = 0 is least squares, 1 two-stage least squares. Limited-information maximum likelihood (LIML;
 * Anderson & Rubin 1949, Ann. Math. Stat. 20:46) has k = the least eigenvalue of Y'M_W Y in the
 * metric of Y'M_C Y, Y = [exposures, outcome]; Fuller (1977, Econometrica 45:939) takes a / (n -
 * columns of C) off it.
 */
#ifndef MRL_KCLASS_H
#define MRL_KCLASS_H

#include "twosls.h"

typedef struct {
  mrl_iv_settings iv; /* vcov is not looked at where bekker; with moments there are no rows */
  int bekker;         /* Bekker's standard errors (Hansen, Hausman & Newey 2008, J. Bus. Econ. Stat.
                         26:398) */
  int liml;           /* 1: k = LIML's less fuller / (n - columns of C); 0: k as given */
  double k, fuller;
} mrl_kclass_settings;

/* Memory of the caller; k = intercept + n_exog + n_endog coefficients, m = n_endog + 1. */
typedef struct {
  double *coef;      /* (k) in the units of the data; NaN: collinear */
  double *vcov;      /* (k, k) */
  double *residuals; /* (n) unweighted; NULL where there are no rows */
  double *between;   /* (m, m) Y'(P_C - P_W) Y in the units of the data, Y = [exposures, outcome] */
  double *within;    /* (m, m) Y'M_C Y */
  double kappa;      /* the k that was used */
  double kappa_liml; /* that of LIML */
  double sigma2, df_residual;
  double df_within; /* n - columns of C that were kept */
  double n_inst;    /* instruments that were kept */
} mrl_kclass_fit;

size_t mrl_kclass_scratch(const mrl_lsq_data *data, const mrl_kclass_settings *settings,
                          const mrl_ctx *ctx);

/*
 * MRL_TOO_FEW: fewer instruments than exposures or no degrees of freedom. MRL_SINGULAR: exposures
 * and outcome are collinear given C where k is LIML's, or D'(I - k M_C) D is not positive definite,
 * which a k far above LIML's brings. MRL_BAD_ARGUMENT: moments with rows, or with a robust
 * covariance.
 */
mrl_status mrl_kclass_run(mrl_kclass_fit *fit, const mrl_lsq_data *data,
                          const mrl_kclass_settings *settings, void *scratch, size_t size,
                          const mrl_ctx *ctx);

#endif
