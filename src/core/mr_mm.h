/*
 * Robust MM regression on one or two columns (Yohai 1987, Ann. Statist. 15:642): an S-estimate with
 * Tukey's bisquare and 50 % breakdown, then an M-estimate with 95 % efficiency at its scale. The
 * estimating equations, tuning constants and covariance are those of robustbase::lmrob(); the S
 * step starts from a fixed design of elemental fits instead of random ones, so the result is a
 * function of the data alone, whatever the order of the rows.
 */
#ifndef MRL_MR_MM_H
#define MRL_MR_MM_H

#include "mr.h"

/* Rows of the model y = a coef[0] + x coef[1] + error, weights already multiplied in by their
 * roots. a NULL: y = x coef[1] + error, and coef[0] = se[0] = 0. All (n). */
typedef struct {
  const double *a, *x, *y;
  size_t n;
} mrl_mm_rows;

typedef struct {
  double coef[2], se[2];
  double scale; /* of the S-estimate; sum of rho(residual / scale) = (n - p) / 2 */
} mrl_mm_fit;

/* Doubles of work. */
size_t mrl_mm_work(size_t n);

/* MRL_MR_TOO_FEW unless n > p; MRL_MR_DEGENERATE for collinear columns or where at least about half
 * of the rows fit exactly; MRL_MR_NO_CONVERGE after 1000 steps. */
mrl_mr_why mrl_mm_fit_run(mrl_mm_fit *fit, const mrl_mm_rows *rows, double *work);

#endif
