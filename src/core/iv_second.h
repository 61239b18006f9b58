/*
 * Training of the outcome net g(x, w) behind a frozen first stage.
 *
 * Quantiles: y is met by the mean of g over them. Other laws: each row and epoch has fresh draws
 * from the stream of (seed, row, epoch); a continuous outcome takes two independent sets of them,
 * so that the product of the two residuals has the gradient of the squared error of the expected g
 * (MRL_LOSS_PRODUCT). Rows held out have the same draws in all epochs, so that epochs compare. A
 * binary outcome meets the cross-entropy of the mean probability.
 */
#ifndef MRL_IV_SECOND_H
#define MRL_IV_SECOND_H

#include "iv_law.h"
#include "loss.h"
#include "train.h"

/* What training reads; stays where it is. */
typedef struct {
  const mrl_law *law;
  const mrl_real *input; /* (n, n_inputs) by row: instruments and covariates */
  size_t n_inputs, n_w;
  const mrl_real *y, *weight; /* (n) standardised; mean one, or NULL */
  const unsigned char *held;  /* (n) 1: held out; or NULL */
  size_t n_draws;             /* of a set */
  int binary;
  uint64_t seed;
  mrl_loss loss;
} mrl_second_data;

/* Evaluations of each row. */
size_t mrl_second_group(mrl_first_kind kind, size_t parts, size_t n_draws);

mrl_task mrl_second_task(mrl_second_data *data, const size_t *train, size_t n_train,
                         const size_t *valid, size_t n_valid);

#endif
