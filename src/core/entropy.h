/*
 * Differential entropy (in nats) of a sample x, column-major (n, d), with gradients, which are
 * added to where they are not NULL.
 */
#ifndef MRL_ENTROPY_H
#define MRL_ENTROPY_H

#include "status.h"

enum { MRL_ENTROPY_DIM = 32 }; /* dimensions at most */

/* Of the normal law with the sample's covariance S (divisor n - 1): log det(2 pi e S) / 2.
 * MRL_SINGULAR. work: 2 d^2 + d + n d doubles. */
mrl_status mrl_entropy_gaussian(double *value, double *gradient, const double *x, size_t n,
                                size_t d, double *work);

/*
 * Kozachenko & Leonenko (1987): psi(n) - psi(k) + log c_d + (d / n) sum_i log r_i, r_i the
 * Euclidean distance to the k-th nearest other row, c_d the volume of the unit ball; 1 <= k < n.
 * The gradient is that of the distances, the neighbours held. MRL_NOT_FINITE where a distance is 0:
 * rows occur more than k times. scratch: bytes as mrl_entropy_scratch says.
 */
size_t mrl_entropy_scratch(size_t n, size_t d, size_t k);
mrl_status mrl_entropy_nearest(double *value, double *gradient, const double *x, size_t n, size_t d,
                               size_t k, void *scratch, const mrl_ctx *ctx);

/* distance (n) to the k-th nearest other row, and which it is (0 .. n - 1). */
mrl_status mrl_nearest(double *distance, size_t *which, const double *x, size_t n, size_t d,
                       size_t k, void *scratch, const mrl_ctx *ctx);

/*
 * The same of u = Phi(x), elementwise, which lies in the unit cube: at most 0 in expectation, where
 * x is standard normal. With x whitened it is maximised by normal latents.
 */
mrl_status mrl_entropy_squashed(double *value, double *gradient, const double *x, size_t n,
                                size_t d, size_t k, void *scratch, const mrl_ctx *ctx);

#endif
