/*
 * Losses of sequence networks: some of the outputs together are a head with a loss of its own.
 *
 *   squared      (out - label)^2                                 mean over the outputs of the head
 *   binary       -label log p - (1 - label) log(1 - p), p = 1 / (1 + exp(-out))              mean
 *   poisson      exp(out) - label out                                                        mean
 *   multinomial  -sum label log softmax(out), labels counts; for each channel, over its positions,
 *                divided by the channels and by the positions
 */
#ifndef MRL_SEQLOSS_H
#define MRL_SEQLOSS_H

#include "real.h"
#include "status.h"

typedef enum {
  MRL_LOSS_HEAD_SQUARED = 0,
  MRL_LOSS_HEAD_BINARY,
  MRL_LOSS_HEAD_POISSON,
  MRL_LOSS_HEAD_MULTINOMIAL,
  MRL_N_LOSS_HEAD
} mrl_seqloss_kind;

typedef struct {
  mrl_seqloss_kind kind;
  size_t first, count; /* outputs */
  size_t channels; /* multinomial: output first + position * channels + channel; divides count */
  double weight;   /* > 0 */
} mrl_seqloss_head;

/* The sum over the heads of weight times loss of one sequence; d (n_outputs), unless NULL: scale
 * times its gradient, 0 where no head is. out, label (n_outputs). */
double mrl_seqloss(mrl_real *d, const mrl_real *out, const mrl_real *label, size_t n_outputs,
                   const mrl_seqloss_head *heads, size_t n_heads, double scale);

#endif
