/*
 * The structural equation y = D theta + u, D = [W, X] the kept exogenous columns and the exposures,
 * by the factor of all columns: what two-stage least squares and the k-class share. They differ in
 * the exposures' block of the normal equations, whose factor they put into `a`. Units are scaled,
 * as in lsq.h, except where the data's are named.
 */
#ifndef MRL_STRUCTURAL_H
#define MRL_STRUCTURAL_H

#include "lsq.h"

/* k = kw + kx. Without rows n is 0. */
typedef struct {
  const mrl_lsq *lsq;
  double *u, *weighted;        /* (n) residuals; the same times weights, or inflated */
  double *theta, *step;        /* (k) */
  double *q;                   /* (kc) coordinates of a right-hand side */
  double *rww, *a;             /* (kw, kw), (kx, kx) factors */
  double *diagonal;            /* (kx) of the block before it was factored */
  double *bread, *vcov, *half; /* (k, k) */
  const double **col;          /* (k) the regressors D */
  double *shift, *scale;       /* (k) theirs */
} mrl_structural;

/* For the columns that lsq was laid out for. */
void mrl_structural_carve(mrl_structural *eq, const mrl_lsq *lsq, size_t n, mrl_arena *arena);
/* Factors the block in a, and takes the exogenous columns'. MRL_SINGULAR: the instruments do not
 * tell the exposures apart. */
mrl_status mrl_structural_factor(mrl_structural *eq);
/* theta (k) from a right-hand side's coordinates q (kc) in C; rest (kx), or NULL, is added to the
 * exposures' part. */
mrl_status mrl_structural_solve(double *theta, const double *q, const double *rest,
                                const mrl_structural *eq);
/* D, in eq->col, shift and scale. */
mrl_columns mrl_structural_columns(mrl_structural *eq);
/* u = y - D theta, and weighted; then one step further, theta += step and u -= D step. */
void mrl_structural_residuals(mrl_structural *eq, const mrl_columns *d, const double *weights,
                              const mrl_ctx *ctx);
void mrl_structural_step(mrl_structural *eq, const mrl_columns *d, const mrl_ctx *ctx);
/* The weighted sum of squared residuals: of the rows, where there are any. */
double mrl_structural_rss(const mrl_structural *eq, const mrl_lsq_data *data);
/* bread = inverse of the normal equations, whose factor is [R_ww R_wx; 0 a]. */
mrl_status mrl_structural_bread(mrl_structural *eq);
/* vcov = factor * bread; vcov = factor * bread middle bread, middle (k, k). */
void mrl_structural_plain(mrl_structural *eq, double factor);
void mrl_structural_sandwich(mrl_structural *eq, const double *middle, double factor);
/*
 * eq->weighted = residuals divided by 1 - leverage, or by its square root. leverage_i = weight_i
 * D_i bread [W, x_tilde]_i': the diagonal of the matrix that gives the fitted values. x_tilde
 * (n, kx): the exposures as the normal equations have them.
 */
void mrl_structural_inflate(mrl_structural *eq, const double *x_tilde, const double *weights,
                            int root);
/* In the units of the data: coef (k_full + kx), vcov square, NaN for columns that lsq left out;
 * residuals (n) or NULL. Spoils step and vcov. */
void mrl_structural_write(double *coef, double *vcov, double *residuals, mrl_structural *eq,
                          int intercept);

/* out (n) = column j of all. */
void mrl_scaled_column(double *out, const mrl_lsq *lsq, size_t j);
/*
 * Back to the units of the data. Column j had (x - shift) * scale, the response likewise, so that
 * b_j = theta_j scale_j / scale_y, and the constant takes up the shifts. v (k, k), where not NULL,
 * is transformed in place in the same way. shift, scale: (k) of the regressors.
 */
void mrl_unscale(double *b, double *v, const double *theta, size_t k, int intercept,
                 const double *shift, const double *scale, double shift_y, double scale_y);

#endif
