/*
 * The LASSO at one penalty after the other, on moments: coordinate descent finds the active set,
 * an exact solve by its Cholesky factor (kept up to date as instruments enter and leave) finishes.
 *
 * Moments are the weighted crossproducts (p, p) of the columns (ones, w (n_w), z (n_z), x), so
 * p = n_w + n_z + 2. A path works on total - fold (the rows outside one fold), or on total.
 *
 * All coefficients here are standardised ones, b_j = (raw b_j) sd_j, of the columns as they are in
 * the moments; the objective is
 *   (1/2W) sum w_i (x_i - a_0 - w_i'a - sum_j z_ij b_j / sd_j)^2 + lambda sum_j |b_j|.
 */
#ifndef MRL_LASSO_PATH_H
#define MRL_LASSO_PATH_H

#include "arena.h"
#include "status.h"

typedef struct {
  /* The problem. sd_j = 0 marks an instrument that cannot be used (constant, or spanned by the
   * covariates): its coefficient is 0. */
  const double *total, *fold;
  size_t p, n_w, n_z, first, q; /* unpenalised are the q columns from `first` on */
  double sum_weights;
  double *root;           /* (q, q) upper Cholesky factor of the unpenalised moments */
  double *half_z;         /* (q, n_z) inverse(root') times the moments with z */
  double *half_x;         /* (q) the same with x */
  double *sd, *diag, *xz; /* (n_z): scale, and partialled moments z_j'z_j / W, z_j'x / W */
  double left, null;      /* mean square of x after partialling, and about its mean */
  double lambda_max, tolerance;

  /* The solution at `lambda`, the last penalty that was worked on. */
  double lambda;
  double *b, *gradient; /* (n_z); gradient_j = <z_j, residual> / W, as of the last check */

  /* Columns of the partialled moments, made when an instrument is first looked at. */
  double *column;   /* (n_z, n_z), the first n_columns are filled */
  size_t *slot;     /* (n_z) column of instrument j, or n_z */
  size_t n_columns; /* filled columns */

  /* Active set: nonzero coefficients whose columns are independent, with their factor. */
  size_t *active; /* (capacity) */
  double *factor; /* (capacity, capacity) upper triangular */
  size_t n_active, capacity;
  unsigned char *is_active; /* (n_z) */
  double *target, *move;    /* (capacity) */
  size_t *working;          /* (n_z) */

  int round;         /* rounds at this penalty so far */
  int paused;        /* within a round */
  double violation;  /* largest violation of the optimality conditions, relative to lambda_max */
  size_t iterations; /* rounds since the last reset by the caller */
  double work;       /* multiplications in the last call, roughly */
} mrl_lasso_path;

/* lasso_problem.c: set-up and moments of a problem. */

/* Lays out a path's arrays. n: rows, which bound the rank. */
void mrl_lasso_path_carve(mrl_lasso_path *path, mrl_arena *arena, size_t n, size_t n_w, size_t n_z,
                          int intercept);

/*
 * Starts at lambda_max with all coefficients 0. sd (n_z): scales of the penalty, or NULL for the
 * standard deviations in these rows. fold NULL: all rows. MRL_TOO_FEW without weight in the rows.
 */
mrl_status mrl_lasso_path_start(mrl_lasso_path *path, const double *total, const double *fold,
                                const double *sd, double tolerance);

/*
 * lasso_path.c: the solver. One bounded round of work towards the solution at `lambda`. Returns 1
 * when the optimality conditions hold there to `tolerance` times lambda_max, or when max_rounds
 * rounds at one penalty were in vain (path->violation tells).
 */
int mrl_lasso_path_round(mrl_lasso_path *path, double lambda, int max_rounds);

/* Column j (n_z) of the partialled, standardised moments (zeros for unusable instruments). */
const double *mrl_lasso_path_column(mrl_lasso_path *path, size_t j);

/* a (q): coefficients of the unpenalised columns that belong to path->b. */
void mrl_lasso_path_unpenalised(double *a, const mrl_lasso_path *path);

/* Four running sums, as one would wait for each addition. */
static inline double mrl_lasso_dot(const double *a, const double *b, size_t n)
{
  double sum[4] = {0, 0, 0, 0};
  size_t i = 0;
  for (; i + 4 <= n; i += 4) {
    for (size_t k = 0; k < 4; k++) {
      sum[k] += a[i + k] * b[i + k];
    }
  }
  for (; i < n; i++) {
    sum[0] += a[i] * b[i];
  }
  return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

#endif
