/*
 * What the parts of slope.c share: one workspace, and steps that run in the order in
 * which they stand here.
 */
#ifndef MRL_SLOPE_PART_H
#define MRL_SLOPE_PART_H

#include "prior.h"
#include "slope.h"

/*
 * m holds [a | s f (p) | x | x f (p) | y] without what q explains, rows times the root of their
 * weight; T overwrites s f. k = 1 + n_q columns of q with the constant first, standardised.
 */
typedef struct {
  size_t n, k, p, width;
  double *q, *m;          /* (n, k), (n, width) */
  double *root;           /* (n) */
  double *shift, *scale;  /* (k) of the columns of q */
  double *qq, *qm, *more; /* (k, k), (k, width), (k, width) */
  int *kept;              /* (k) */
  double *inner;          /* (1 + p, p + 2): [a, s f]' [x, x f, y] */
  double *r, *score;      /* (n); (n, 1 + p) or by clusters */
  double *omega;          /* (1 + p, 1 + p) */
  double *meat;           /* (p, p) */
  double *j, *B;          /* (p, p) */
  double *h, *g, *mean;   /* (p) */
  double *variance;       /* (n_groups) */
  double *open;           /* (p) posterior mean without a charge */
  double *spread;         /* (p, p) and its covariance */
  double *covariance;     /* (p, p) */
  mrl_prior_work prior;
  double *sums; /* (n_cluster, 1 + p) */
  void *gemm;
} mrl_slope_work;

/* slope_columns.c -------------------------------------------------------------------------------*/

void mrl_slope_carve(mrl_slope_work *work, mrl_arena *arena, const mrl_slope_data *data,
                     const mrl_ctx *ctx);
/* q, m and root from the data; center (p): weighted means of the features. */
void mrl_slope_fill(mrl_slope_work *work, double *center, const mrl_slope_data *data,
                    const mrl_ctx *ctx);
/* Takes what q explains out of m, twice for accuracy; qm: the coefficients of all columns. */
mrl_status mrl_slope_partial_out(mrl_slope_work *work, mrl_isa isa, const mrl_ctx *ctx);
/* Scores and their Jacobian: T = s f - (s f'x / a'x) a, also as columns; g and j. Sets b_null and
 * strength of fit. MRL_SINGULAR: a'x = 0. */
mrl_status mrl_slope_scores(mrl_slope_work *work, mrl_slope_fit *fit, mrl_isa isa,
                            const mrl_ctx *ctx);
/* Main effects of the outcome in the units of q, and the residuals, from coef of fit and r. */
void mrl_slope_main_effects(mrl_slope_fit *fit, mrl_slope_work *work, const mrl_slope_data *data);

/* slope_score.c ---------------------------------------------------------------------------------*/

/* r = y - b0 x - (x f) b, without q; b NULL: at 0. */
void mrl_slope_residual(mrl_slope_work *work, double b0, const double *b);
/* omega (1 + p, 1 + p) = sum of squares of the scores [a, T] r, by clusters. */
mrl_status mrl_slope_omega(mrl_slope_work *work, const mrl_slope_data *data, mrl_isa isa,
                           const mrl_ctx *ctx);
/* Score tests of each group and of all, and the scores over their standard errors. which (p) is
 * scratch. */
void mrl_slope_test(mrl_slope_fit *fit, mrl_slope_work *work, const mrl_slope_data *data,
                    size_t *which);
/* The mean slope's standard error, people being drawn: that of f'b + a e / (mean of a x), by
 * clusters. */
double mrl_slope_average_error(mrl_slope_work *work, const mrl_slope_fit *fit,
                               const mrl_slope_data *data);

#endif
