/*
 * Deep feature instrumental variables (Xu et al. 2021), cross-fitted: the outcome is linear in the
 * products of learned features of the exposure and of the covariates; the former are replaced by
 * what instrument features predict of them in rows of other folds. Losses and ridges:
 * iv_dfiv_part.h.
 *
 * Each batch first takes a step of every fold's instrument net, then one of the exposure and the
 * covariate net. After each epoch the squared error of y in held-out rows is computed, with
 * all solved on the training rows alone; the nets of the best epoch are kept. At the end
 * the two penalties are chosen by that error, and the ridges solved on all rows. Nets that others
 * train behind, and all that are judged, are in evaluation mode.
 *
 * A fit goes on in slices and can be saved between any two epochs (mrl_dfiv_save); one that is
 * resumed ends in the same bits.
 */
#ifndef MRL_IV_DFIV_H
#define MRL_IV_DFIV_H

#include "iv_dfiv_part.h"
#include "iv_problem.h"

typedef struct {
  mrl_dfiv_mlps mlps;
  mrl_train_settings train; /* of all nets; the seed is replaced by one for each */
  double lambda[2];         /* of training, and of the end unless `choose` */
  int choose;               /* needs held-out rows */
  size_t cross_fit;         /* folds; 1: both stages learn from the same rows */
  size_t boot_epochs;
  double boot_rate;
  size_t n_valid[2];
  uint64_t seed;
  mrl_isa isa;
  double (*now)(void); /* seconds, for the history; or NULL */
} mrl_dfiv_settings;

/* Losses of an epoch, in standardised units; valid is NaN without held-out rows. */
typedef struct {
  double first, train, valid, rate, seconds;
} mrl_dfiv_epoch;

typedef struct {
  const mrl_dfiv_nets *nets;
  mrl_dfiv_settings settings;
  mrl_ivn_problem problem;
  mrl_dfiv_model model;
  /* Parameters and statistics of all nets (n_model): now, at the best and at the last finite epoch;
   * then moments. */
  mrl_real *state;
  size_t n_state, n_model;
  mrl_progress progress;
  mrl_dfiv_epoch *history; /* (epochs) */
  mrl_status status;       /* MRL_NOT_FINITE: diverged; MRL_NO_CONVERGE: nothing was better */
  int done;                /* the ridges are solved */
  size_t *row[2];          /* (n) training rows, then those held out */
  size_t n_train[2], n_held[2];
  size_t *order, *shuffled[2];
  size_t largest;        /* rows of a batch, at most */
  double *first_gram;    /* (folds, n_p + n_e squared) of training rows */
  double *moments;       /* (width + 1 squared) of F, D, y */
  double *gram[2];       /* (terms + 1 squared) of F(Ehat, C) and y - D base in training rows, and y
                            in those held out */
  double *base;          /* (n_d) coefficients of D */
  double *other;         /* (terms) scratch */
  double lambda[2];      /* as chosen */
  double error;          /* held-out squared error with them; NaN without such rows */
  double *x_hat, *x_out; /* (n1) standardised; x_out: by ridges that have not seen the row, or
                            NaN */
  double *y_hat;         /* (n2) in the outcome's units */
} mrl_dfiv;

/* two: NULL for one sample. dfiv must stay where it is. */
mrl_status mrl_dfiv_carve(mrl_dfiv *dfiv, mrl_arena *arena, const mrl_dfiv_nets *nets,
                          const mrl_iv_sample *one, const mrl_iv_sample *two,
                          const mrl_dfiv_settings *settings, const mrl_ctx *ctx);
/* Before the first epoch. MRL_TOO_FEW, MRL_NOT_FINITE. */
mrl_status mrl_dfiv_start(mrl_dfiv *dfiv, const mrl_ctx *ctx);
/* Until `until` epochs are done, or all is: dfiv->done. */
mrl_status mrl_dfiv_run(mrl_dfiv *dfiv, size_t until, const mrl_ctx *ctx);

/* The state as bytes, of a fit that is not done; load into one started with the same data and
 * settings. MRL_BAD_ARGUMENT if the bytes are of another. */
size_t mrl_dfiv_bytes(const mrl_dfiv *dfiv);
void mrl_dfiv_save(unsigned char *bytes, const mrl_dfiv *dfiv);
mrl_status mrl_dfiv_load(mrl_dfiv *dfiv, const unsigned char *bytes, size_t size);

/* Where the parameters and statistics of net i of all lie in the state: those of the instruments,
 * by fold, of the exposure, of the covariates. */
size_t mrl_dfiv_instrument_size(const mrl_dfiv_nets *nets); /* of one fold */
size_t mrl_dfiv_outcome_size(const mrl_dfiv_nets *nets);    /* of the other two nets */
mrl_real *mrl_dfiv_instrument_state(const mrl_dfiv *dfiv, size_t fold);
mrl_real *mrl_dfiv_outcome_state(const mrl_dfiv *dfiv);

/* What replicates go on from. */
typedef struct {
  const mrl_real *state; /* (n_model) */
  double lambda[2];
  const double *scale; /* (2, n_inputs + 2) */
  const int *fold;     /* (n1) from 1 */
} mrl_dfiv_fit;

/* Memory of replicates, beside a carved mrl_dfiv. */
typedef struct {
  double *weight[2]; /* (n) counts times weights */
  size_t *count;     /* (the larger n) */
} mrl_dfiv_boot;
mrl_status mrl_dfiv_boot_carve(mrl_dfiv_boot *boot, mrl_arena *arena, const mrl_iv_sample *one,
                               const mrl_iv_sample *two);
/*
 * Replicate `number`: rows (whole clusters) of each sample are drawn with replacement, all nets go
 * on for boot_epochs at a low constant rate from the fit's, and the ridges are solved with the
 * fit's penalties. state (mrl_dfiv_outcome_size), theta (terms) out.
 */
mrl_status mrl_dfiv_replicate(mrl_real *state, double *theta, mrl_dfiv *dfiv, mrl_dfiv_boot *boot,
                              const mrl_dfiv_fit *fit, size_t number, const mrl_ctx *ctx);

/* Parts, for the files of iv_dfiv alone. */

/* Points the model's nets into the state; sets its weights and folds. */
void mrl_dfiv_bind(mrl_dfiv *dfiv);
/* All batches of epoch number `epoch` of training; rate; losses out. */
mrl_status mrl_dfiv_train_epoch(double loss[2], mrl_dfiv *dfiv, size_t epoch, double rate,
                                const mrl_ctx *ctx);
/* Moments of the first stage over rows (lists of sample 1); V by lambda; the outcome's moments over
 * rows of sample 2 into dfiv->moments. */
mrl_status mrl_dfiv_first_moments(mrl_dfiv *dfiv, const size_t *row, size_t n, const mrl_ctx *ctx);
mrl_status mrl_dfiv_first_solve(mrl_dfiv *dfiv, const size_t *row, size_t n, double lambda);
mrl_status mrl_dfiv_outcome_moments(mrl_dfiv *dfiv, const size_t *row, size_t n,
                                    const mrl_ctx *ctx);
/* Squared error of held-out rows by ridges of the training rows, with dfiv->lambda. */
mrl_status mrl_dfiv_validate(double *error, mrl_dfiv *dfiv, const mrl_ctx *ctx);
/* Penalties chosen, ridges solved on all rows, predictions. */
mrl_status mrl_dfiv_finish(mrl_dfiv *dfiv, const mrl_ctx *ctx);
/* Both ridges on all rows of the lists, with dfiv->lambda. */
mrl_status mrl_dfiv_close(mrl_dfiv *dfiv, const mrl_ctx *ctx);

#endif
