/*
 * Neural instrumental variables: a first stage for the law of the exposure (iv_first.h), an outcome
 * net behind it (iv_second.h), the outcome's last layer in closed form (iv_head.h). With K folds
 * there are K first stages, each trained without its fold, whose rows take their laws from it.
 *
 * A fit goes on in slices and can be saved between any two epochs; one that is resumed ends in the
 * same bits. Only weights and progress are saved: closed forms are computed again, from the same
 * numbers.
 */
#ifndef MRL_IV_NEURAL_H
#define MRL_IV_NEURAL_H

#include "iv_worker.h"

/* What a finished training leaves. */
typedef struct {
  mrl_real *params, *statistics; /* in one piece */
  mrl_epoch *history;            /* (settings.train.epochs) */
  mrl_progress progress;
  mrl_status status; /* MRL_OK; MRL_NOT_FINITE: diverged, the last finite weights are used;
                        MRL_NO_CONVERGE: no epoch was better than the initial weights */
} mrl_ivn_stage;

typedef struct {
  mrl_ivn_problem problem;
  mrl_ivn_worker worker;
  size_t n_stages, at;   /* cross_fit + 1; the one that is trained; n_stages: done */
  mrl_ivn_stage *stage;  /* (n_stages): first stages, outcome */
  mrl_first_fit *first;  /* (cross_fit) */
  double *x_hat, *x_out; /* (n1) standardised; x_out NaN where no such stage is */
  double *y_hat;         /* (n2) in the outcome's units */
  double *theta;         /* (terms) */
  mrl_head_choice choice;
  mrl_head_fit fit;
} mrl_ivn;

/* Lays a fit out over the memory; ivn must stay where it is. Statuses of what it is made of. */
mrl_status mrl_ivn_carve(mrl_ivn *ivn, mrl_arena *arena, const mrl_ivn_nets *nets,
                         const mrl_iv_sample *one, const mrl_iv_sample *two,
                         const mrl_ivn_settings *settings, const mrl_ctx *ctx);

/* Before the first epoch. */
mrl_status mrl_ivn_start(mrl_ivn *ivn, const mrl_ctx *ctx);

/* Goes on until `until` epochs over all stages are done, or all is done: ivn->at == n_stages. A
 * stage that diverged or did not converge is no failure: see its status. */
mrl_status mrl_ivn_run(mrl_ivn *ivn, size_t until, const mrl_ctx *ctx);

/* Epochs done over all stages; the most that there can be. */
size_t mrl_ivn_epochs(const mrl_ivn *ivn);
size_t mrl_ivn_epochs_most(const mrl_ivn *ivn);
/* The latest monitored loss; NaN before the first epoch. */
double mrl_ivn_loss(const mrl_ivn *ivn);

/* The state as bytes in the machine's order, of a fit that was started and is not done. load: into
 * one that was started with the same data and settings; MRL_BAD_ARGUMENT if the bytes are of
 * another, and the fit has to be started again. */
size_t mrl_ivn_bytes(const mrl_ivn *ivn);
void mrl_ivn_save(unsigned char *bytes, const mrl_ivn *ivn);
mrl_status mrl_ivn_load(mrl_ivn *ivn, const unsigned char *bytes, size_t size, const mrl_ctx *ctx);

/* What follows the training of stage `at`, whose weights and progress are there; begins the next.
 * For mrl_ivn_run() and mrl_ivn_load(). */
mrl_status mrl_ivn_end_stage(mrl_ivn *ivn, const mrl_ctx *ctx);

/* The net of a stage. */
const mrl_net *mrl_ivn_net(const mrl_ivn *ivn, size_t stage);

#endif
