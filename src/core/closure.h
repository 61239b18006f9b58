/*
 * Latents of a polynomial mixture. Where the columns span all polynomials of some degree of d
 * latents (without noise), the functions of degree 1 are those whose square is again a linear
 * function of the columns: a space of d dimensions beside the constant. Directions b of it are
 * found one by one, orthogonal to each other in the whitened columns, as minima at 0 of
 *
 *   f(b) = share of the variance of (x'b)^2 that a linear regression on x leaves unexplained,
 *
 * by L-BFGS from random starts, of which many end in minima that are not 0.
 */
#ifndef MRL_CLOSURE_H
#define MRL_CLOSURE_H

#include "arena.h"
#include "gemm.h"
#include "status.h"

typedef struct {
  const double *x;       /* (n, p) */
  size_t n, p, d;        /* n > p; d latents, 1 .. p */
  double tolerance;      /* of f at an accepted direction */
  size_t max_starts;     /* in all */
  size_t max_iterations; /* of a start */
  uint64_t seed;
} mrl_closure_data;

/* All memory is the caller's. The latents of a row are (x - centre)' transform. */
typedef struct {
  double *centre;    /* (p) */
  double *transform; /* (p, d): the first `found` columns are accepted directions */
  double *value;     /* (max_starts) f where each start ended, `starts` of them */
  size_t found, starts, rank;
} mrl_closure;

size_t mrl_closure_scratch(const mrl_closure_data *data, const mrl_ctx *ctx);

/* MRL_NO_CONVERGE: fewer than d directions were found. MRL_TOO_FEW: the columns' rank is below d.
 */
mrl_status mrl_closure_run(mrl_closure *out, const mrl_closure_data *data, void *scratch,
                           mrl_isa isa, const mrl_ctx *ctx);

/* f at b (q) and its gradient, for columns x (n, q) of mean 0 and crossproduct n I. work: 2 n + q.
 * For tests. */
double mrl_closure_objective(double *gradient, const double *b, const double *x, size_t n, size_t q,
                             double *work);

#endif
