/*
 * Training of a network on sequences: epochs of mini-batches, validation, early stopping, as
 * train.h has them for nets of vectors (there are the settings, the history and when it stops).
 *
 * Batches are cut from an order drawn from the epoch's own stream, with sizes that differ by one at
 * most. A sequence may stand several times among those trained on, as in a bootstrap sample. With
 * validation sequences the weights of the epoch with the lowest loss on them are restored at the
 * end, those before the first epoch being a candidate too.
 */
#ifndef MRL_SEQTRAIN_H
#define MRL_SEQTRAIN_H

#include "seqpass.h"
#include "train.h"

typedef struct {
  const mrl_seqnet *net;
  const mrl_seqpass_data *data;
  const size_t *train, *valid; /* (n_train), (n_valid) sequences of the data */
  size_t n_train, n_valid;
  mrl_train_settings settings;
  mrl_progress progress;
  size_t n_batches, n_pieces, n_model; /* n_model: parameters and statistics */
  mrl_param *piece;                    /* (n_pieces) of the parameters */
  mrl_epoch *history;                  /* (epochs), progress.epoch of them valid */
  /* One block of n_state numbers: parameters and statistics; the same at the best and at the last
   * finite epoch; moments of the optimiser. */
  mrl_real *state;
  size_t n_state;
  mrl_real *params, *statistics, *best, *last, *moments;
  size_t *row; /* (n_train) */
  mrl_seqpass run;
  double (*now)(void); /* seconds since some moment; or NULL. The caller's, set after the carve */
} mrl_seqtrain;

/*
 * Two carves: of the steps (run.step), then of the rest. All that is handed over must stay.
 * MRL_BAD_ARGUMENT on settings out of range, MRL_TOO_FEW without sequences to train on,
 * MRL_NO_MEMORY.
 */
typedef struct {
  const mrl_seqnet *net;
  const mrl_seqpass_data *data;
  const size_t *train, *valid;
  size_t n_train, n_valid;
  const mrl_train_settings *settings;
  mrl_isa isa;
} mrl_seqtrain_task;

mrl_status mrl_seqtrain_steps(mrl_seqtrain *train, mrl_arena *arena, const mrl_seqtrain_task *task);
mrl_status mrl_seqtrain_carve(mrl_seqtrain *train, mrl_arena *arena, const mrl_ctx *ctx);

/*
 * Initial weights and an empty history: weights normal with variance 1 / (3 in), piece i of the
 * parameters from stream i of the seed; biases 0, scales 1; biases of outputs, where they have any,
 * the mean over positions of `level` (n_outputs), unless NULL. Or, if given, values (n_load) to
 * start from.
 */
void mrl_seqtrain_start(mrl_seqtrain *train, const double *level, const double *values);

/* Goes on until `until` epochs are done or it stops by itself (progress.stop tells); polls between
 * batches. When it has stopped, params and statistics are the ones to use. Statuses as of
 * mrl_train_run(). */
mrl_status mrl_seqtrain_run(mrl_seqtrain *train, size_t until, const mrl_ctx *ctx);

/* The state after an epoch as bytes: as of mrl_train_bytes() and the like. load: after
 * mrl_seqtrain_start(). */
size_t mrl_seqtrain_bytes(const mrl_seqtrain *train);
void mrl_seqtrain_save(unsigned char *bytes, const mrl_seqtrain *train);
mrl_status mrl_seqtrain_load(mrl_seqtrain *train, const unsigned char *bytes, size_t size);

/* values (n_load) out: the reverse of mrl_seqnet_load(). */
void mrl_seqtrain_unload(double *values, const mrl_seqtrain *train);

#endif
