/*
 * Diagnostics of a 2SLS fit from its triangular factor: strength of the instruments, endogeneity,
 * over-identification; homoskedastic ones in coordinates, robust ones from second moments of
 * scores.
 */
#ifndef MRL_IVDIAG_H
#define MRL_IVDIAG_H

#include "lsq.h"
#include "sandwich.h"

/* A test: NaN where the quantity is not defined; df2 is NaN where the law is chi-squared. */
typedef struct {
  double df1, df2, statistic;
} mrl_test;

typedef struct {
  double *partial_r2;    /* (kx) share of the exposure that the instruments explain, given w */
  mrl_test *strength;    /* (kx) partial F; robust: Wald F */
  mrl_test *conditional; /* (kx) Sanderson & Windmeijer (2016) F; robust form likewise */
  mrl_test effective;    /* Montiel Olea & Pflueger (2013) effective F: one exposure, robust */
  double effective_k;    /* effective degrees of freedom of its simplified critical value */
  mrl_test endogeneity;  /* Wu-Hausman F */
  mrl_test overid;       /* Sargan; robust: Hansen J of two-step GMM */
} mrl_iv_diagnostics;

/* What the diagnostics read: the fit in scaled units. theta = (exogenous kw, exposures kx). */
typedef struct {
  const mrl_lsq *lsq;
  const double *beta;    /* (kx) the exposures' coefficients */
  const double *bread;   /* (k, k) inverse of [W, X_hat]'[W, X_hat], k = kw + kx */
  const double *u;       /* (n) residuals; NULL where there are no rows */
  const double *v;       /* (n, kx) first-stage residuals; robust only */
  const double *x_hat;   /* (n, kx) robust only */
  const double *weights; /* (n) or NULL */
  const int *cluster;    /* (n) or NULL */
  size_t n_cluster;
  int robust;
  int small_sample; /* robust: n / (n - columns) where not clustered */
  mrl_isa isa;
} mrl_iv_state;

typedef struct {
  double *rotated;        /* (kx + 1) times (c, c): meats of the first-stage residuals; scratch */
  double *omega;          /* (n_inst, n_inst) */
  double *gmm;            /* mrl_gmm_work(n_inst, kx) */
  double *error;          /* (n) */
  double *a, *d, *others; /* (kx), (kx), (n_inst, kx) */
  double *wald;           /* workspace of the Wu-Hausman tests */
  size_t *kept;           /* (kx) */
  double *eigen;          /* mrl_eigen_work(n_inst) + n_inst */
  const double **col;     /* (kw + 2 kx) */
  double *shift, *scale;
  mrl_meat_work meat;
} mrl_ivdiag_work;

void mrl_ivdiag_carve(mrl_ivdiag_work *work, const mrl_lsq *sizes, size_t n_cluster, int robust,
                      const mrl_ctx *ctx, mrl_arena *arena);

/* Finite-sample factor of a robust covariance with `columns` estimated coefficients. */
double mrl_robust_factor(const mrl_iv_state *state, size_t columns);

/*
 * rotated (kc, kc) = factor * inverse(R_c') [sum of scores' squares C_i error_i] inverse(R_c): the
 * covariance of Q'error. columns: as in mrl_robust_factor; 0 leaves the factor out.
 */
mrl_status mrl_rotated_meat(double *rotated, const mrl_iv_state *state, const double *error,
                            size_t columns, mrl_meat_work *work, const mrl_ctx *ctx);

/* The rotated meat of exposure j's first-stage residuals, after mrl_ivdiag of a robust fit. */
const double *mrl_first_meat(const mrl_ivdiag_work *work, const mrl_lsq *lsq, size_t j);

/* Statistics that are not defined come back NaN, not as an error. */
mrl_status mrl_ivdiag(mrl_iv_diagnostics *out, const mrl_iv_state *state, mrl_ivdiag_work *work,
                      const mrl_ctx *ctx);

#endif
