/* What the multivariable estimators share: each method's work on one data set, and the small linear
 * algebra under them. k is at most a few dozen, so plain loops do; LAPACK is
 * asked for the correlated variants alone, so that draws may run inside a parallel region.
 * In mrl_mv_data the correlations ld are here their upper factor, which mrl_mv_run() takes. */
#ifndef MRL_MVMR_PART_H
#define MRL_MVMR_PART_H

#include "mvmr.h"

/* A share of a column's squares below this counts as collinear, as in lm(): a root of 1e-7. */
#define MRL_MV_TOLERANCE 1e-14

/* All numbers NaN, every variant valid. */
void mrl_mv_clear(mrl_mv_estimate *out, size_t n, size_t k);
/* p-values, and n_valid from valid. NaN effects without a reason become MRL_MV_DEGENERATE. */
void mrl_mv_finish(mrl_mv_estimate *out, size_t n, size_t k, int by_student);

/* Squared standard error of outcome effect i. */
static inline double mrl_mv_outcome_se2(const mrl_mv_data *d, size_t i)
{
  const size_t m = d->k + 1;
  return d->cov[i * m * m + m * m - 1];
}

/* mvmr_linear.c ---------------------------------------------------------------------------------*/

/* q (n, p) := orthonormal columns with q r = what came; r (p, p) upper. Modified Gram-Schmidt
 * twice. Returns the first column collinear with those before it, or p. */
size_t mrl_mv_orthonormal(double *q, double *r, size_t n, size_t p);
/* b (p) := inverse(r) b; with trans inverse(r') b. */
void mrl_mv_back(double *b, const double *r, size_t p, int trans);
/* a (p, p) symmetric positive definite -> upper factor; 0 if it is not. */
int mrl_mv_cholesky(double *a, size_t p);
/* out (p): roots of the diagonal of inverse(r' r). spare (p). */
void mrl_mv_spread(double *out, const double *r, size_t p, double *spare);

/*
 * Regression of the outcome's effects on the exposures' and `extra` (n, or NULL) with weights
 * 1 / se^2, or with the variants' correlations by generalised least squares; in only the rows with
 * use[i] != 0 (NULL: all). coef, unit_se (k, or k + 1 with extra): unit_se is for sigma = 1.
 */
typedef struct {
  double *coef, *unit_se;
  double rss;
  size_t n_used;
} mrl_mv_line;
size_t mrl_mv_line_work(size_t n, size_t k);
mrl_mv_why mrl_mv_line_fit(mrl_mv_line *fit, const mrl_mv_data *d, const double *extra,
                           const int *use, double *work);

/* MRL_MV_IVW .. MRL_MV_EGGER. */
size_t mrl_mv_linear_work(const mrl_mv_data *d);
void mrl_mv_linear(mrl_mv_estimate *out, mrl_mv_method method, const mrl_mv_data *d,
                   const mrl_mv_settings *settings, double *work);

/* mvmr_median.c ---------------------------------------------------------------------------------*/

size_t mrl_mv_median_work(size_t n, size_t k);
/* b (k), and the rows (k) that it goes through, a start for draws. 0 if it does not converge. */
int mrl_mv_median_fit(double *b, size_t *basis, const mrl_mv_data *d, double *work);
/* Draw `draw` of the bootstrap from that start; NaN if it does not converge. */
void mrl_mv_median_draw(double *b, const size_t *basis, const mrl_mv_data *d,
                        const mrl_mv_settings *settings, size_t draw, double *work);

/* mvmr_lasso.c ----------------------------------------------------------------------------------*/

size_t mrl_mv_lasso_work(const mrl_mv_data *d);
void mrl_mv_lasso(mrl_mv_estimate *out, const mrl_mv_data *d, const mrl_mv_settings *settings,
                  double *work, const mrl_ctx *ctx);

/* mvmr_cml.c ------------------------------------------------------------------------------------*/

/*
 * b (k): the estimate by BIC; valid (n): its variants. z (k + 1, n): estimates of the variants,
 * the outcome's last. item: of the random stream that starts are drawn from. ctx: to poll, or
 * NULL within a parallel region. 0 if none of the choices converges.
 */
size_t mrl_mv_cml_work(size_t n, size_t k);
int mrl_mv_cml_fit(double *b, int *valid, const double *z, const double *cov, size_t n, size_t k,
                   const mrl_mv_settings *settings, uint64_t item, double *work,
                   const mrl_ctx *ctx);
/* roots (k + 1, k + 1, n): lower triangular factors of cov, which may be singular. */
void mrl_mv_roots(double *roots, const double *cov, size_t n, size_t m);
void mrl_mv_cml_draw(double *b, const double *z, const double *roots, const double *cov, size_t n,
                     size_t k, const mrl_mv_settings *settings, size_t draw, double *work);

#endif
