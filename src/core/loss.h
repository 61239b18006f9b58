/*
 * Losses of a tile's rows: weighted values, and gradients with respect to the net's output.
 *
 * Several evaluations of a row (tile->group > 1) are averaged first: the squared loss sees the
 * mean of the outputs, the binary cross-entropy the mean of the probabilities, with the weights
 * `node`. MRL_LOSS_PRODUCT is for two independent sets of draws per row, the first and the second
 * half of the group: the value (y - mean of the first)(y - mean of the second) and its gradient are
 * unbiased for the square of y minus the expected output, where the square of one mean is not. The
 * other losses take one evaluation.
 */
#ifndef MRL_LOSS_H
#define MRL_LOSS_H

#include "tile.h"

typedef enum {
  MRL_LOSS_SQUARED = 0, /* sum over outputs of (y_j - o_j)^2 */
  MRL_LOSS_HUBER,       /* r^2 / 2 where |r| < delta, else delta (|r| - delta / 2); summed */
  MRL_LOSS_PINBALL,     /* sum over outputs of max(tau_j r, (tau_j - 1) r), r = y - o_j; one y */
  MRL_LOSS_GAUSSIAN,    /* -log density of y; outputs: mean, log sd */
  MRL_LOSS_MIXTURE,     /* the same; outputs: K logits of the weights, K means, K log sds */
  MRL_LOSS_BINARY,      /* -y log p - (1 - y) log(1 - p), p = 1 / (1 + exp(-o)); summed */
  MRL_LOSS_PRODUCT,     /* see above; one output, group even */
  MRL_N_LOSS
} mrl_loss_kind;

/* y (n, targets) by row: y[row * targets + j]; targets is 1 or, for squared, Huber and binary, the
 * number of outputs. */
typedef struct {
  mrl_loss_kind kind;
  size_t outputs, targets;
  const mrl_real *y;
  const mrl_real *weight; /* (n), with mean one over the training rows, or NULL */
  const mrl_real *tau;    /* (outputs) in (0, 1); pinball only */
  const mrl_real *node;   /* (group) weights that sum to 1, or NULL for equal ones */
  mrl_real delta;         /* > 0; Huber only */
} mrl_loss;

/* MRL_BAD_ARGUMENT unless the numbers above fit the kind and the group. */
mrl_status mrl_loss_check(const mrl_loss *loss, size_t group);

/* A mrl_loss_fn; data is a mrl_loss that passed the check. */
mrl_status mrl_loss_tile(double *value, mrl_real *d_output, const mrl_real *output,
                         const mrl_tile *tile, const void *data);

#endif
