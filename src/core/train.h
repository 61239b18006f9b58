/*
 * Training of one net: epochs of mini-batches, validation, early stopping, and a state that can be
 * saved after any epoch, so that a run that is resumed ends in the same bits.
 *
 * Batches: the n training rows of an epoch, in an order drawn from the epoch's own stream, are cut
 * into ceiling(n / batch) parts whose sizes differ by one at most: there is no short last batch,
 * and a batch size above n means all rows (then the order stays). With batch norm every batch has
 * at least two net rows, so a batch of one row becomes two or three.
 *
 * The monitored loss is that of the validation rows, in evaluation mode after each epoch; without
 * such rows, the mean of the batches' losses. With validation rows the weights of the epoch with
 * the lowest one are restored at the end, those before the first epoch being a candidate too.
 */
#ifndef MRL_TRAIN_H
#define MRL_TRAIN_H

#include "net.h"
#include "optim.h"

typedef struct {
  size_t epochs;   /* at most, >= 1 */
  size_t batch;    /* rows of the data, >= 1 */
  size_t patience; /* stop after so many epochs in a row without a new lowest loss; 0: never */
  double rate;     /* the first learning rate */
  mrl_optimizer optimizer;
  mrl_schedule schedule;
  uint64_t seed; /* of weights, order and dropout */
} mrl_train_settings;

/* Rows are indices for fill and loss. Everything is the caller's and outlives the training. */
typedef struct {
  const size_t *train, *valid; /* (n_train), (n_valid) */
  size_t n_train, n_valid;     /* n_valid may be 0 */
  size_t group;
  mrl_fill_fn *fill;
  const void *fill_data;
  mrl_loss_fn *loss;
  const void *loss_data;
} mrl_task;

typedef enum {
  MRL_GOES_ON = 0,
  MRL_STOP_EPOCHS,   /* the last epoch is done */
  MRL_STOP_PATIENCE, /* the monitored loss stopped falling */
  MRL_STOP_DIVERGED  /* a loss or gradient was not finite: the last finite weights are kept */
} mrl_stop;

/* One row of the history. */
typedef struct {
  double train, valid, rate; /* losses; valid is NaN without validation rows */
  double seconds;            /* that it took; NaN without a clock to read */
} mrl_epoch;

/* How far a training is. */
typedef struct {
  size_t epoch; /* epochs done */
  uint64_t step;
  size_t best_epoch; /* epochs done at the lowest monitored loss; 0: before the first */
  size_t bad;        /* epochs since */
  double best_loss;
  mrl_plateau plateau;
  mrl_stop stop;
} mrl_progress;

typedef struct {
  const mrl_net *net;
  mrl_task task;
  mrl_train_settings settings;
  mrl_progress progress;
  size_t n_batches;
  mrl_epoch *history; /* (epochs), progress.epoch of them valid */
  /* One block of n_state numbers: parameters and statistics; the same at the best and at the last
   * finite epoch; moments of the optimiser. */
  mrl_real *state;
  size_t n_state, n_model; /* n_model: parameters and statistics */
  mrl_real *params, *statistics, *moments;
  mrl_net_run run;
  size_t *order, *row; /* (n_train) */
  double (*now)(void); /* seconds since some moment; or NULL. The caller's, set after the carve */
  double pace[2];      /* seconds of the last epoch on one thread, on all */
  size_t n_timed;      /* epochs that pace has seen */
} mrl_train;

/* Lays a training out for a carved net (which must stay). MRL_BAD_ARGUMENT on settings out of
 * range; MRL_TOO_FEW without training rows, or with batch norm and a single net row. */
mrl_status mrl_train_carve(mrl_train *train, mrl_arena *arena, const mrl_net *net,
                           const mrl_task *task, const mrl_train_settings *settings, mrl_isa isa,
                           const mrl_ctx *ctx);

/* Initial weights and an empty history. Afterwards the caller may put weights of his own (a warm
 * start) into train->params and train->statistics. */
void mrl_train_start(mrl_train *train);

/*
 * Goes on until `until` epochs are done or the training stops by itself; polls between batches.
 * When it has stopped, params and statistics are the ones to use. MRL_NOT_FINITE if it diverged;
 * MRL_NO_CONVERGE if it stopped and no epoch was better than the initial weights (without
 * validation rows: if the last epoch's loss is above the first's); else MRL_OK.
 */
mrl_status mrl_train_run(mrl_train *train, size_t until, const mrl_ctx *ctx);

/* Counts an epoch that is done and whose loss is `monitored`: the best, the plateau, the stop.
 * Returns whether it is the best so far. */
int mrl_progress_count(mrl_progress *progress, double monitored,
                       const mrl_train_settings *settings);
/* Are all of x (n) finite? */
int mrl_all_finite(const mrl_real *x, size_t n);

/* The state as bytes, in the machine's order. load: into a training carved for the same net, task
 * and settings; MRL_BAD_ARGUMENT, and nothing changed, if the bytes are of another. */
size_t mrl_train_bytes(const mrl_train *train);
void mrl_train_save(unsigned char *bytes, const mrl_train *train);
mrl_status mrl_train_load(mrl_train *train, const unsigned char *bytes, size_t size);

/* A random order of 0 .. n - 1 into rows (n): use the first n - n_valid for training. */
void mrl_train_split(size_t *rows, size_t n, uint64_t seed);

#endif
