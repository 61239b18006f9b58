/*
 * States of trainings as bytes, in the machine's order: words that say whose a state is, its
 * progress, its history, its numbers (parameters and statistics, moments of the optimiser).
 */
#ifndef MRL_TRAIN_STATE_H
#define MRL_TRAIN_STATE_H

#include "train.h"

enum { MRL_STATE_OWNER = 10 };

typedef struct {
  uint64_t owner[MRL_STATE_OWNER]; /* another net, task or setting has other words */
  size_t epochs, n_state;          /* of the history; numbers */
} mrl_state_shape;

size_t mrl_state_bytes(const mrl_state_shape *shape);
/* bytes (mrl_state_bytes) out; history (progress->epoch or more), numbers (n_state). */
void mrl_state_write(unsigned char *bytes, const mrl_state_shape *shape,
                     const mrl_progress *progress, const mrl_epoch *history,
                     const mrl_real *numbers);
/* The reverse; MRL_BAD_ARGUMENT, and nothing changed, for the bytes of another state. */
mrl_status mrl_state_read(mrl_progress *progress, mrl_epoch *history, mrl_real *numbers,
                          const mrl_state_shape *shape, const unsigned char *bytes, size_t size);

#endif
