/* Robust second moments of scores, and quadratic forms in them. */
#ifndef MRL_SANDWICH_H
#define MRL_SANDWICH_H

#include "arena.h"
#include "gemm.h"
#include "status.h"

typedef struct {
  double *root;           /* (n) row multipliers */
  double *sums;           /* (n_cluster, p) cluster sums, or NULL */
  const double **sum_col; /* (p) */
  double *zero, *one;     /* (p) */
  void *gram;             /* mrl_gram_scratch(p) */
} mrl_meat_work;

/* p: the most columns that will be asked for. */
void mrl_meat_carve(mrl_meat_work *work, size_t n, size_t p, size_t n_cluster, const mrl_ctx *ctx,
                    mrl_arena *arena);

/*
 * meat (p, p) = sum_i s_i s_i' with s_i = weights[i] error[i] (scaled row i of the columns); with
 * clusters (1-based ids, n_cluster > 0) the scores are summed within each first. weights NULL: 1.
 * The columns' own root is not used.
 */
mrl_status mrl_meat(double *meat, const mrl_columns *columns, const double *error,
                    const double *weights, const int *cluster, size_t n_cluster,
                    mrl_meat_work *work, mrl_isa isa, const mrl_ctx *ctx);

/*
 * The same with rows in parts: add for each part in order (`more`: all but the first), where
 * columns, error, weights and cluster are those of its rows; then end.
 */
mrl_status mrl_meat_add(double *meat, const mrl_columns *columns, const double *error,
                        const double *weights, const int *cluster, size_t n_cluster, int more,
                        mrl_meat_work *work, mrl_isa isa, const mrl_ctx *ctx);
mrl_status mrl_meat_end(double *meat, size_t p, size_t n_cluster, mrl_meat_work *work, mrl_isa isa,
                        const mrl_ctx *ctx);

/*
 * distance = min over d of (a - B d)' inverse(omega) (a - B d); a (l), b (l, m; ldb), omega (l, l)
 * or NULL for the identity. d (m) receives the minimiser (NULL where m = 0). work: doubles as
 * mrl_gmm_work(l, m) says. MRL_SINGULAR where omega is not positive definite to working precision
 * (fewer clusters than moments, say) or B is not of full rank.
 */
size_t mrl_gmm_work(size_t l, size_t m);
mrl_status mrl_gmm_distance(double *distance, double *d, const double *a, const double *b,
                            size_t ldb, const double *omega, size_t l, size_t m, double *work);

#endif
