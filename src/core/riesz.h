/*
 * The Riesz representer of a linear functional of an instrumental-variable curve.
 *
 * The curve g solves E[y - g(x, w) | z, w] = 0, the functional is E[m(g)], m linear in g (a
 * derivative, a contrast). A function a of the instruments with E[a(z, w) phi(x, w)] = E[m(phi)]
 * for all phi makes E[m(g)] + E[a (y - g)] insensitive to small errors of g and of a. Over a
 * dictionary phi (J) of functions of the exposure and b (K) of functions of the instruments, a =
 * rho'b is the solution of
 *   min over rho of |M - G'rho|^2 in the metric of inverse(E[phi phi']) + ridge rho'E[b b'] rho,
 * with G = E[b phi'], M = E[m(phi)]: the first term is the square of the largest E[a phi] -
 * E[m(phi)] over the functions phi of the dictionary with E[phi^2] = 1, the second the variance of
 * a. A direction of the dictionary whose squared canonical correlation with the instruments is far
 * below `ridge` is damped and not inverted.
 */
#ifndef MRL_RIESZ_H
#define MRL_RIESZ_H

#include "gemm.h"
#include "status.h"

typedef struct {
  double imbalance; /* |M - G'rho| as a part of |M|, in that metric; 0 if M is */
  double relevance; /* the least squared canonical correlation of b and phi; 0 if K < J */
} mrl_riesz;

/* columns: b (K) and then phi (J), with the rows' square roots of weights; weights sum to total >
 * 0. rho (K) out; m (J); ridge > 0. scratch: as many bytes as mrl_riesz_scratch says, of any
 * alignment. MRL_SINGULAR where b or phi are collinear, MRL_NOT_FINITE. */
size_t mrl_riesz_scratch(size_t k, size_t j, const mrl_ctx *ctx);
mrl_status mrl_riesz_run(mrl_riesz *out, double *rho, const mrl_columns *columns, size_t k,
                         const double *m, double total, double ridge, void *scratch, mrl_isa isa,
                         const mrl_ctx *ctx);

#endif
