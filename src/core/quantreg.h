/*
 * Quantile regression by a net: quantiles of an outcome y given columns x.
 *
 *   a set of levels   an output for each, minimising mean_i sum_k rho_tau_k(y_i - q_ik): the net
 * and the loss of the quantile first stage (iv_first.h), non-crossing or free every level       one
 * net of (x, Phi^-1(tau)), tau uniform on (0, 1), drawn anew for each row in each epoch, minimising
 * mean_i rho_tau_i(y_i - q(x_i, tau_i)): simultaneous quantile regression (Tagasovska & Lopez-Paz
 * 2019, NeurIPS), which feeds 12 (tau - 1/2); in the normal quantile, quantiles of a normal law are
 * a line
 *
 * rho_tau(r) = max(tau r, (tau - 1) r) with r = y - q: its minimum is the tau quantile, not that of
 * 1 - tau. Columns are standardised. Predicted quantiles of a row never cross: non-crossing ones by
 * construction, others because they are put in order (Chernozhukov, Fernandez-Val & Galichon 2010,
 * Econometrica 78:1093).
 */
#ifndef MRL_QUANTREG_H
#define MRL_QUANTREG_H

#include "iv_first.h"

typedef struct {
  mrl_mlp mlp;
  mrl_train_settings train;
  const double *level; /* (n_levels) increasing, in (0, 1); not read if n_levels is 0 */
  size_t n_levels;     /* at most MRL_QUANTILES_MOST; 0: every level */
  int non_crossing;    /* of a set of levels */
  size_t n_valid;      /* rows held out; at least 1 is left */
  mrl_isa isa;
  double (*now)(void); /* seconds, for the history; or NULL */
} mrl_quantreg_settings;

/* The net, over an arena of its own: what follows needs it carved. */
typedef struct {
  mrl_quantreg_settings settings;
  size_t n_inputs;
  mrl_first first;    /* of a set of levels */
  mrl_net every;      /* of every level */
  const mrl_net *net; /* the one of the two; set by the start */
} mrl_quantreg_net;

/* MRL_BAD_ARGUMENT on settings out of range. */
mrl_status mrl_quantreg_net_carve(mrl_quantreg_net *net, mrl_arena *arena,
                                  const mrl_quantreg_settings *settings, size_t n_inputs);
void mrl_quantreg_net_start(mrl_quantreg_net *net);

typedef struct {
  const double *y;        /* (n); NULL for predictions */
  const double *const *x; /* (n_inputs) columns (n) */
  const double *weights;  /* (n) not negative, or NULL */
  size_t n;
} mrl_quantreg_data;

/* What fill and loss of every level read. */
typedef struct {
  const mrl_real *input, *y, *weight; /* (n, n_inputs) by row, (n), (n) or NULL */
  const unsigned char *held;          /* (n): rows whose levels stay the same; or NULL */
  size_t n_inputs;
  uint64_t seed;
  double level; /* of all rows; 0: drawn */
} mrl_quantreg_every;

typedef struct {
  const mrl_quantreg_net *net;
  mrl_quantreg_data data;
  mrl_scale *scale; /* (n_inputs + 1): x, y */
  mrl_real *input, *y, *weight;
  unsigned char *held; /* (n) */
  size_t *order;       /* (n) the rows, those held out last */
  mrl_first_data set;
  mrl_quantreg_every every;
  mrl_train train;
} mrl_quantreg;

mrl_status mrl_quantreg_carve(mrl_quantreg *fit, mrl_arena *arena, const mrl_quantreg_net *net,
                              const mrl_quantreg_data *data, const mrl_ctx *ctx);
/* Trains; what is found stands in fit->train and fit->scale. MRL_TOO_FEW where all weights of the
 * training rows are 0; the statuses of mrl_train_run(), with which the weights are usable. */
mrl_status mrl_quantreg_run(mrl_quantreg *fit, const mrl_ctx *ctx);

/*
 * out (n, n_levels): the quantiles of new rows, in the outcome's units, increasing along each row.
 * level (n_levels) increasing; of a set of levels, that set. scratch as many bytes as the _scratch
 * function says.
 */
typedef struct {
  const mrl_real *params, *statistics;
  const mrl_scale *scale; /* (n_inputs + 1) */
} mrl_quantreg_model;
size_t mrl_quantreg_scratch(const mrl_quantreg_net *net, size_t n, const mrl_ctx *ctx);
mrl_status mrl_quantreg_predict(double *out, const mrl_quantreg_net *net,
                                const mrl_quantreg_model *model, const mrl_quantreg_data *data,
                                const double *level, size_t n_levels, void *scratch,
                                const mrl_ctx *ctx);

#endif
