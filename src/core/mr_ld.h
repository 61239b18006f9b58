/*
 * Summary-data estimators with correlated variants. With S the diagonal of the outcome's standard
 * errors, the outcome effects have covariance S rho S. All is turned to coordinates in which that
 * is the identity, and regressed there:
 *
 *   IVW      outcome on exposure effects (Burgess, Dudbridge & Thompson 2016, Stat. Med. 35:1880).
 *   Egger    with an intercept, variants oriented to raise the exposure (Burgess & Thompson 2017,
 *            Eur. J. Epidemiol. 32:377).
 *   PCA-IVW  IVW of those principal components of Psi_ij = (bx_i / sy_i)(bx_j / sy_j) rho_ij that
 *            hold a share of its trace (Burgess et al. 2017, Genet. Epidemiol. 41:714).
 *   Overlap  errors e of exposure effects have covariance Cx and covariance C = psi T Sx rho Sy T'
 *            with those of the outcome, so that x'(y - b x) has mean tr(C) - b tr(Cx) at the true
 *            b: b = (x'y - tr C) / (x'x - tr Cx), debiased for weak instruments and for sample
 *            overlap at once. With r = y - b x of covariance V and K = cov(e, r), normal errors
 * give var(x'r) = g'V g + tr(Cx V) + tr(K K), estimated by x'V x + tr(K K).
 *
 * Eigenvectors of rho with eigenvalues below `tolerance` of the greatest are left out: variants in
 * (nearly) perfect correlation count once. Standard errors are multiplicative random effects: times
 * the residual standard error where that is above 1.
 */
#ifndef MRL_MR_LD_H
#define MRL_MR_LD_H

#include "arena.h"
#include "status.h"

typedef enum {
  MRL_LD_IVW,
  MRL_LD_EGGER,
  MRL_LD_PCA,
  MRL_LD_OVERLAP,
  MRL_N_LD_METHODS
} mrl_ld_method;

typedef struct {
  const double *bx, *sx, *by, *sy; /* (n) */
  const double *rho;               /* (n, n) correlations of the variants */
  size_t n;
} mrl_ld_data;

typedef struct {
  double psi;       /* correlation of the errors of a variant's two effects, by sample overlap */
  double share;     /* of the trace of Psi, PCA-IVW */
  double tolerance; /* of eigenvalues of rho */
} mrl_ld_settings;

typedef struct {
  double b, se, intercept, intercept_se; /* NaN: none */
  double q, df;                          /* heterogeneity */
  double m;                              /* coordinates that were used */
} mrl_ld_fit;

size_t mrl_ld_scratch(const mrl_ld_data *data);

/* fit (n_methods). A method that is not defined (fewer coordinates than coefficients, a corrected
 * denominator that is not positive) has b NaN. MRL_SINGULAR: rho has a clearly negative eigenvalue:
 * it is no correlation matrix. */
mrl_status mrl_ld_run(mrl_ld_fit *fit, const mrl_ld_data *data, const mrl_ld_method *methods,
                      size_t n_methods, const mrl_ld_settings *settings, void *scratch, size_t size,
                      const mrl_ctx *ctx);

#endif
