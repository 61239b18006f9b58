/*
 * The LASSO of the first stage: exposure on instruments, with unpenalised covariates, over a path
 * of penalties, with cross-validation. Everything is computed from moments: one pass over the data
 * makes one matrix of crossproducts per fold; the rows outside a fold are total minus fold.
 *
 * Objective, on the scale of the data:
 *   (1/2W) sum w_i (x_i - a_0 - w_i'a - z_i'b)^2 + lambda sum_j sd_j |b_j|,   W = sum w_i,
 * sd_j the weighted standard deviation (divisor W) of instrument j.
 */
#ifndef MRL_LASSO_H
#define MRL_LASSO_H

#include "gemm.h"
#include "status.h"

/* Whose sd_j a training fold uses: its own rows' (as glmnet does), or all rows' (as one who
 * standardises the data first does). */
typedef enum { MRL_LASSO_SCALE_FOLD = 0, MRL_LASSO_SCALE_ALL } mrl_lasso_scale;

typedef struct {
  const double *x;        /* (n) */
  const double *const *w; /* (n_w) columns of n: covariates, without the constant */
  const double *const *z; /* (n_z) columns of n: instruments */
  const double *weights;  /* (n), not negative, or NULL: all 1 */
  const int *fold;        /* (n) in 1 .. n_folds, or NULL: no cross-validation */
  size_t n, n_w, n_z, n_folds;
  int intercept;
  /* Instead of the columns and weights: their means (p - 1, without the constant), and for each
   * fold (for all rows where there are none) the crossproducts (p, p) of [1, w, z, x] less these
   * means. With an intercept only. NULL: the columns are there. */
  const double *mean, *gram;
} mrl_lasso_data;

typedef struct {
  const double *lambda; /* (n_lambda) decreasing, or NULL: from lambda_max to ratio * lambda_max */
  size_t n_lambda;
  double ratio;     /* smallest over largest penalty */
  double tolerance; /* of the optimality conditions, relative to lambda_max; 1e-10 is safe */
  int max_rounds;   /* at one penalty */
  mrl_lasso_scale scale;
  mrl_isa isa;
} mrl_lasso_settings;

/* Memory of the caller; with n_folds = 0 what belongs to the curve is not touched. */
typedef struct {
  double *lambda;       /* (n_lambda) */
  double *beta;         /* (n_z, n_lambda) */
  double *unpenalised;  /* (1 + n_w, n_lambda) intercept (0 without one), covariates */
  double *df;           /* (n_lambda) nonzero coefficients */
  double *dev_ratio;    /* (n_lambda) 1 - residual / total sum of squares */
  double *shrinkage;    /* (n_lambda) <fit, x> / <fit, fit> after partialling out; 1 if empty */
  double *violation;    /* (n_lambda) of the optimality conditions, relative to lambda_max */
  double *iterations;   /* (n_lambda) rounds */
  double *sd;           /* (n_z) on all rows; 0: instrument constant or spanned by covariates */
  double *cv_error;     /* (n_folds, n_lambda) mean squared error in each held-out fold */
  double *fold_weight;  /* (n_folds) sum of weights */
  double *cv_mean;      /* (n_lambda) mean over folds by their weight */
  double *cv_se;        /* (n_lambda) its standard error from the spread between folds */
  double *cv_violation; /* (n_folds) the worst in each training fold */
  size_t i_min, i_1se;  /* 0-based penalty of least error; largest within one cv_se of it */
} mrl_lasso_result;

/* Bytes; about 8 p^2 (n_folds + 1 + 2 n_threads), p = n_w + n_z + 2, of which the last part is
 * touched only as far as instruments are selected. SIZE_MAX: too large. */
size_t mrl_lasso_scratch(const mrl_lasso_data *data, const mrl_ctx *ctx);

/*
 * Instruments that are constant or spanned by the covariates (in all rows, or in a training fold)
 * get coefficient 0, as do covariates that their predecessors span. MRL_TOO_FEW if a training fold
 * has no weight; MRL_NOT_FINITE on overflow. A penalty whose conditions could not be met within
 * max_rounds is no error: see violation.
 */
mrl_status mrl_lasso_fit(mrl_lasso_result *result, const mrl_lasso_data *data,
                         const mrl_lasso_settings *settings, void *scratch, size_t size,
                         const mrl_ctx *ctx);

/* A random partition into folds 1 .. n_folds whose sizes differ by at most one; fold, order (n). */
void mrl_lasso_folds(int *fold, size_t *order, size_t n, size_t n_folds, uint64_t seed);

#endif
