/*
 * Optimisers on a block of parameters (see net.h), schedules of the learning rate.
 *
 * With gradient g, step number t from 1 and rate r:
 *   SGD      m = momentum m + g (m = g at t = 1); w -= r m
 *   Adam     m = beta1 m + (1 - beta1) g; v = beta2 v + (1 - beta2) g^2;
 *            w -= r (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps)   (Kingma & Ba 2015)
 *   AdamW    the same after w -= r decay w                       (Loshchilov & Hutter 2019)
 *   AMSGrad  Adam with the largest v so far                      (Reddi et al. 2018)
 * SGD, Adam and AMSGrad add decay w to g instead. Weights alone are decayed, not biases and scales.
 */
#ifndef MRL_OPTIM_H
#define MRL_OPTIM_H

#include "layer.h"

typedef enum { MRL_SGD = 0, MRL_ADAM, MRL_ADAMW, MRL_AMSGRAD, MRL_N_OPTIMIZER } mrl_optimizer_kind;

typedef struct {
  mrl_optimizer_kind kind;
  double momentum; /* SGD: in [0, 1) */
  double beta1, beta2, eps;
  double decay; /* >= 0 */
  double clip;  /* largest norm of the gradient, over all parameters; 0: none */
} mrl_optimizer;

/* Blocks that it needs beside the parameters: 1 to 3, zero at the start. */
size_t mrl_optimizer_blocks(mrl_optimizer_kind kind);

/*
 * One step. params (n_params) changed; moments (blocks, n_params); gradient (n_params). piece
 * (n_pieces) says which are decayed. step: from 1. *norm: of the gradient before the clip.
 * MRL_NOT_FINITE, and nothing changed, if that is not finite.
 */
mrl_status mrl_optimizer_step(mrl_real *params, mrl_real *moments, double *norm,
                              const mrl_real *gradient, const mrl_param *piece, size_t n_pieces,
                              size_t n_params, const mrl_optimizer *optimizer, double rate,
                              uint64_t step, mrl_isa isa);

typedef enum { MRL_CONSTANT = 0, MRL_COSINE, MRL_PLATEAU, MRL_N_SCHEDULE } mrl_schedule_kind;

typedef struct {
  mrl_schedule_kind kind;
  double floor;    /* cosine, plateau: the lowest rate, as a part of the first */
  double factor;   /* plateau: multiplies the rate, in (0, 1), */
  size_t patience; /* when more epochs in a row brought no new best loss */
} mrl_schedule;

/* What a plateau schedule remembers; starts as {1, 0}. */
typedef struct {
  double factor;
  size_t bad; /* epochs since the best loss or the last cut */
} mrl_plateau;

/* The rate of an epoch (from 0) of `epochs`, as a part of the first: cosine goes from 1 in the
 * first epoch towards `floor` after the last. */
double mrl_schedule_rate(const mrl_schedule *schedule, const mrl_plateau *plateau, size_t epoch,
                         size_t epochs);
void mrl_plateau_update(mrl_plateau *plateau, const mrl_schedule *schedule, int is_best);

#endif
