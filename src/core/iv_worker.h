/*
 * What fits a neural IV problem stage by stage, once: the fit itself with all threads, or a
 * replicate with one. A stage is begun, trained epoch by epoch (worker->train), and ended: its
 * net's law is read and moved to its location, or the outcome's last layer is solved.
 */
#ifndef MRL_IV_WORKER_H
#define MRL_IV_WORKER_H

#include "iv_problem.h"

typedef struct {
  const mrl_ivn_problem *problem;
  const double *weight[2];         /* (n) of the closed forms, or NULL */
  const mrl_real *train_weight[2]; /* (n) or NULL */
  const size_t *row[2];            /* (n_row) rows that count, ascending */
  size_t n_row[2];
  int use_held;  /* whether rows are held out */
  mrl_law law;   /* of the rows of sample 2 */
  mrl_law aside; /* of those of sample 1, where they are others or in folds; else as law */
  size_t *part;  /* (n1 or n2) rows of the stage: training, then validation */
  size_t n_train, n_valid;
  size_t *inside; /* (n1) rows of the fold that is being filled */
  mrl_first_work first_work;
  mrl_head_work head_work;
  mrl_first_data first_data;
  mrl_second_data second_data;
  mrl_train train;
  unsigned char *train_memory;
  size_t train_size;
} mrl_ivn_worker;

/* Row lists and weights are set to all rows and those of the samples. */
mrl_status mrl_ivn_worker_carve(mrl_ivn_worker *worker, mrl_arena *arena,
                                const mrl_ivn_problem *problem, const mrl_ctx *ctx);

/* Makes worker->train ready for first stage `fold`, or for the outcome; weights are not started. A
 * problem of kind ridge has no first stage to train. */
mrl_status mrl_ivn_begin_first(mrl_ivn_worker *worker, size_t fold,
                               const mrl_train_settings *settings, const mrl_ctx *ctx);
mrl_status mrl_ivn_begin_second(mrl_ivn_worker *worker, const mrl_train_settings *settings,
                                const mrl_ctx *ctx);

/*
 * Location and law of first stage `fold` with the params in *fit. given: by fit->rho. x_hat (n1):
 * mean of the nodes of the rows that the fold gives; x_out (n1): the same where they have not been
 * seen by it; standardised; NULL where not wanted.
 */
mrl_status mrl_ivn_end_first(mrl_ivn_worker *worker, size_t fold, mrl_first_fit *fit, int given,
                             double *x_hat, double *x_out, const mrl_ctx *ctx);

/* What the closed forms read of the outcome. */
mrl_head_data mrl_ivn_head_data(const mrl_ivn_worker *worker);

#endif
