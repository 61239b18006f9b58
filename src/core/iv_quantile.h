/*
 * Quantile IV (Legault et al.): a first net gives q quantiles of the exposure x given instruments z
 * and covariates w, a second one the outcome's mean g(x, w), such that y is met by its mean over
 * the quantiles:
 *   1. minimise mean_i sum_k rho_{tau_k}(x_i - xhat_ik), rho the pinball loss;
 *   2. minimise mean_i (y_i - (1/q) sum_k g(xhat_ik, w_i))^2 with the first net frozen;
 *      a binary outcome has g = a probability and the cross-entropy of (1/q) sum_k g.
 *
 * The nodes tau_k: midpoints (2k - 1) / 2q represent the variance of a normal law times v =
 * mean_k Phi^-1(tau_k)^2 < 1 (.77 for q = 5), which biases curved g. Matched nodes tau_k =
 * Phi(Phi^-1((2k - 1) / 2q) / sqrt(v)) have equal weights too, and a normal law's mean and variance
 * exactly: a quadratic g is then met without bias, however the variance depends on z.
 *
 * Non-crossing: the first net has q + 1 outputs s >= 0 (softplus), and with the normal law's own
 * distances c_k = (Phi^-1(tau_k) - Phi^-1(tau_k-1)) / log 2
 *   xhat_1 = Phi^-1(tau_1) + s_1 - s_0, xhat_k = xhat_k-1 + c_k s_k,
 * so that they start as those of a normal law. softplus(a) - softplus(-a) = a: nothing is lost.
 *
 * All columns are standardised over all rows, in double; nets see z-scores.
 */
#ifndef MRL_IV_QUANTILE_H
#define MRL_IV_QUANTILE_H

#include "iv_law.h"
#include "loss.h"
#include "mlp.h"
#include "train.h"

/* Columns of the data, (n) each. */
typedef struct {
  const double *y, *x;
  const double *const *z; /* (n_z) */
  const double *const *w; /* (n_w) */
  const double *weights;  /* (n), not negative, or NULL */
  size_t n, n_z, n_w;     /* n_z >= 1 */
} mrl_ivq_data;

typedef struct {
  size_t n_quantiles; /* 1 .. MRL_QUANTILES_MOST */
  int matched;        /* nodes: matched, else midpoints */
  int non_crossing, binary;
  mrl_mlp first, second;
  mrl_train_settings train; /* of both; the seed is replaced by one for each, made of `seed` */
  size_t n_valid;           /* rows held out of both stages, chosen by the seed */
  uint64_t seed;
  mrl_isa isa;
} mrl_ivq_settings;

/* Both nets, over an arena of their own: what follows needs them carved. */
typedef struct {
  mrl_net first, second;
} mrl_ivq_nets;
mrl_status mrl_ivq_nets_carve(mrl_ivq_nets *nets, mrl_arena *arena, const mrl_ivq_data *data,
                              const mrl_ivq_settings *settings);

/* What the fill and loss functions read. */
typedef struct {
  size_t q, n_inputs, n_w;
  mrl_real *input;            /* (n, n_z + n_w) by row: z, w */
  mrl_real *x, *y;            /* (n) targets */
  mrl_real *weight;           /* (n) or NULL */
  mrl_real *quantile;         /* (n, q) by row: xhat */
  mrl_real *tau, *gap, *node; /* (q); see above; weights of the nodes */
  mrl_real start;             /* Phi^-1(tau_1) */
} mrl_ivq_values;

typedef struct {
  const mrl_ivq_nets *nets;
  mrl_ivq_data data;
  mrl_ivq_settings settings;
  mrl_ivq_values values;
  mrl_rows inputs;
  mrl_loss loss[2];
  mrl_train train[2];
  size_t *row;                  /* (n): training rows, then those held out */
  mrl_scale *scale;             /* (n_z + n_w + 2): z, w, x, y */
  double *level, *normal_level; /* (q) */
} mrl_ivq;

/* Lays a fit out; ivq must stay where it is. MRL_BAD_ARGUMENT on settings out of range,
 * MRL_TOO_FEW without training rows, MRL_NO_MEMORY. */
mrl_status mrl_ivq_carve(mrl_ivq *ivq, mrl_arena *arena, const mrl_ivq_nets *nets,
                         const mrl_ivq_data *data, const mrl_ivq_settings *settings,
                         const mrl_ctx *ctx);

/*
 * Trains both stages. stage[s] out: how its training ended, MRL_OK, MRL_NOT_FINITE (diverged: the
 * last finite weights are used) or MRL_NO_CONVERGE (no epoch was better than the initial weights).
 * Returns other failures. Afterwards ivq->train[s] has weights, history and progress.
 */
mrl_status mrl_ivq_run(mrl_status stage[2], mrl_ivq *ivq, const mrl_ctx *ctx);

/* After the run: x_hat (n), the mean of the nodes, and x_node (n, q), both in the exposure's
 * units. x_node may be NULL. */
void mrl_ivq_exposure(double *x_hat, double *x_node, const mrl_ivq *ivq);

#endif
