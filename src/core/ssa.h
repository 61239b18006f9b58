/*
 * Stationary subspace analysis in closed form (after Hara et al. 2012, Neural Networks 33:7): the
 * linear functions of the columns whose first two moments differ least between environments.
 *
 * The columns are standardised and projected on the d leading principal components. With these
 * whitened by the mean within-environment covariance, m_e and C_e the mean and covariance of
 * environment e and q_e its share of rows,
 *
 *   S = sum_e q_e (m_e m_e' + 2 (C_e - I)^2)
 *
 * has eigenvalues near zero (of order 1 / n_e) in stationary directions. It is for d latents mixed
 * linearly; two moments do not identify a polynomial mixture whose monomials are taken for latents.
 */
#ifndef MRL_SSA_H
#define MRL_SSA_H

#include "gemm.h"
#include "status.h"

/* Components whose variance is below this share of the greatest's are rounding, not data. */
#define MRL_SSA_TOLERANCE 1e-10

typedef struct {
  const double *x;  /* (n, p), rows of environment after environment */
  const int *n_row; /* (n_env) rows of each, at least 2 */
  size_t n, p, n_env;
  size_t d; /* latents, 1 .. p */
} mrl_ssa_data;

/* All memory is the caller's. A row's latent is (x - centre)' transform, of mean 0 and mean
 * within-environment covariance I, the least stationary first. */
typedef struct {
  double *centre;    /* (p) */
  double *transform; /* (p, d) */
  double *values;    /* (d) eigenvalues, ascending: of the columns of transform from the last on */
  double share;      /* of the standardised columns' variance, what the d components have */
  size_t rank;       /* components above MRL_SSA_TOLERANCE */
} mrl_ssa;

size_t mrl_ssa_scratch(const mrl_ssa_data *data, const mrl_ctx *ctx);

/*
 * MRL_TOO_FEW: rank < d (rank is set). MRL_SINGULAR: a component does not vary within environments.
 * MRL_NOT_FINITE: a moment overflowed.
 */
mrl_status mrl_ssa_run(mrl_ssa *out, const mrl_ssa_data *data, void *scratch, mrl_isa isa,
                       const mrl_ctx *ctx);

#endif
