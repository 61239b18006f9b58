/*
 * An autoencoder of instruments from several environments (Huang, Robinson & Locatello 2026): an
 * encoder gives a latent [V | W], a decoder the instruments back; the loss of a batch is
 *
 *   reconstruction MSE + mmd MMD^2(W) + hsic HSIC(V, W) - entropy log det Cov(V, W)
 *     + relevance MSE of exposures
 *
 * with the terms of iv_latent_loss.h; an MSE is the mean over rows and columns. The exposures are
 * predicted from W by a network with one hidden layer (tanh) that is trained with the others.
 * Batches are balanced: so many rows of each environment. Restarts with weights of their own run in
 * parallel.
 */
#ifndef MRL_IV_LATENT_H
#define MRL_IV_LATENT_H

#include "iv_latent_net.h"
#include "optim.h"

typedef struct {
  mrl_coder encoder, decoder;
  mrl_latent_penalty penalty; /* batch: rows of each environment at most; n_env is set here */
  double reconstruction;      /* weight of the MSE */
  double relevance;           /* weight of the exposures' MSE; 0: they are not used */
  size_t epochs, restarts;    /* at least 1 */
  double rate;
  mrl_optimizer optimizer;
  mrl_schedule schedule; /* plateau: of the mean loss of an epoch's batches */
  size_t n_valid;        /* rows of each environment held out, at most; at least dv + dw + 1 */
  uint64_t seed;
  mrl_isa isa;
} mrl_latent_settings;

/* Of an epoch: mean loss and its parts over batches, not weighted. */
typedef struct {
  double loss, mse, mmd, hsic, entropy, relevance, rate;
} mrl_latent_epoch;

/* Of the rows held out: MMD^2 (polynomial) and HSIC of the whitened latent, MSE; infinite if the
 * restart failed. */
typedef struct {
  double mmd, hsic, mse;
} mrl_latent_verdict;

typedef struct {
  const mrl_real *z; /* by row: z[row * p + j]; rows of environment after environment */
  const int *n_row;  /* (n_env) */
  size_t n, p, n_env;
  const mrl_real *x; /* exposures by row: x[row * kx + j]; only for relevance */
  size_t kx;
} mrl_latent_data;

enum { MRL_LATENT_PREDICTOR = 16 }; /* hidden units */

/* The networks of all restarts, laid out over memory before anything else is measured. */
typedef struct {
  mrl_coder_net encoder, decoder;
  mrl_coder_net predictor; /* of exposures from W; without relevance it has no parameters */
  size_t n_params;         /* of all, one after the other */
} mrl_latent_nets;

/* p instruments, kx exposures (at least 1 with relevance). */
mrl_status mrl_latent_nets_carve(mrl_latent_nets *nets, mrl_arena *arena,
                                 const mrl_latent_settings *settings, size_t p, size_t kx);

/* One restart: its parameters, and the buffers of a step. */
typedef struct {
  const mrl_latent_settings *settings;
  const mrl_latent_nets *nets;
  const mrl_latent_data *data;
  mrl_net_run encode, decode, predict;
  mrl_latent_judge judge, exam;          /* of batches, of the rows held out */
  size_t batch, n_valid;                 /* rows of each environment: of a batch, held out */
  mrl_real *params, *gradient, *moments; /* (n_params) as in mrl_latent_nets */
  mrl_param *piece;                      /* of all */
  size_t n_pieces;
  size_t *order, *row, *valid; /* (n) rows by environment, in the epoch's order; of a batch */
  mrl_latent_epoch *history;   /* (epochs) */
  size_t epoch, step, n_steps; /* done; done in the epoch; of an epoch */
  uint64_t updates;
  mrl_latent_epoch sums;
  mrl_plateau plateau;
  double best;
  uint64_t seed;
  int failed;
  mrl_latent_verdict verdict;
} mrl_latent_run;

/* Rows of a batch and of those held out, each for each environment, as the sizes allow. 0 rows of a
 * batch: too few. */
void mrl_latent_rows(size_t *batch, size_t *n_valid, const mrl_latent_settings *settings,
                     const mrl_latent_data *data);

mrl_status mrl_latent_run_carve(mrl_latent_run *run, mrl_arena *arena,
                                const mrl_latent_settings *settings, const mrl_latent_nets *nets,
                                const mrl_latent_data *data);
/* Initial weights and order of rows of restart number `restart`. */
void mrl_latent_run_start(mrl_latent_run *run, size_t restart);

/* The loss of the rows in run->row and its parts (not weighted; no rate), and run->gradient. */
mrl_status mrl_latent_gradient(mrl_latent_epoch *loss, mrl_latent_run *run);

/* run->verdict on the rows held out. */
mrl_status mrl_latent_examine(mrl_latent_run *run);

/* So many steps, and the verdict after the last one; a run that fails keeps an infinite verdict. */
void mrl_latent_advance(mrl_latent_run *run, size_t steps);
int mrl_latent_is_done(const mrl_latent_run *run);

/*
 * params (n_params, restarts), history (epochs, restarts), verdict (restarts) and held_out
 * (mrl_latent_rows()'s n_valid, n_env: rows) out. start
 * of an encoder's parameters, or NULL: initial ones of every restart. MRL_TOO_FEW where an
 * environment has fewer than 2 (dv + dw + 1) rows; MRL_NO_CONVERGE if every restart failed.
 */
size_t mrl_latent_scratch(const mrl_latent_settings *settings, const mrl_latent_nets *nets,
                          const mrl_latent_data *data);
mrl_status mrl_latent_train(mrl_real *params, mrl_latent_epoch *history,
                            mrl_latent_verdict *verdict, size_t *held_out,
                            const mrl_latent_settings *settings, const mrl_latent_nets *nets,
                            const mrl_latent_data *data, const mrl_real *start, void *scratch,
                            const mrl_ctx *ctx);

/* latent (n, dv + dw) of all rows of data, not whitened; params: an encoder's, or all. */
size_t mrl_latent_encode_scratch(const mrl_latent_nets *nets, const mrl_latent_data *data,
                                 mrl_isa isa, const mrl_ctx *ctx);
mrl_status mrl_latent_encode(double *latent, const mrl_real *params, const mrl_latent_nets *nets,
                             const mrl_latent_data *data, void *scratch, mrl_isa isa,
                             const mrl_ctx *ctx);

#endif
