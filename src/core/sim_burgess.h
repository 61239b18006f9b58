/*
 * Simulator of one variant and a skewed exposure: the design of Burgess, Davies & Thompson (2014),
 * Epidemiology 25:877. For person i, all independent,
 *
 *   g ~ Binomial(2, maf), U ~ U(0, 1), v ~ Exp(1), e ~ N(0, 1),
 *   X = .25 g + U + v,   Y = f(X) + .8 U + e
 *
 * with f linear .4 x, quadratic .1 x^2, J .2 (x - 1)^2 or threshold .4 (x - 2) 1(x > 2). Binary: e
 * may be logistic, and Y is 1 where the above is greater than a cutoff, else 0.
 */
#ifndef MRL_SIM_BURGESS_H
#define MRL_SIM_BURGESS_H

#include "status.h"

#define MRL_BURGESS_GX .25
#define MRL_BURGESS_UY .8

typedef enum {
  MRL_BURGESS_LINEAR,
  MRL_BURGESS_QUADRATIC,
  MRL_BURGESS_J,
  MRL_BURGESS_THRESHOLD
} mrl_burgess_shape;

typedef struct {
  size_t n; /* people, at least 1 */
  uint64_t seed;
  double maf; /* 0 < maf < 1 */
  mrl_burgess_shape shape;
  int logistic, binary;
  double cutoff; /* of a binary outcome */
} mrl_sim_burgess_settings;

/* All memory is the caller's: n doubles each. */
typedef struct {
  double *y, *x;     /* outcome, exposure */
  double *slope;     /* f'(X) */
  double *g;         /* 0, 1, 2 */
  double *u, *v, *e; /* confounder, noise of X, noise of Y */
} mrl_sim_burgess;

mrl_status mrl_sim_burgess_run(mrl_sim_burgess *out, const mrl_sim_burgess_settings *settings,
                               const mrl_ctx *ctx);

#endif
