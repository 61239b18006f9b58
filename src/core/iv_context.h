/*
 * Contextual slopes: nets that learn how a slope varies with a context c.
 *
 * With e an outcome from which covariates and a constant slope have been taken, and s an exposure
 * (or what instruments predict of it) without its main effects, a net minimises the mean of
 *   (e_i - mu(c_i) - beta(c_i) s_i)^2 + penalties on mu and beta.
 * Encoders:
 *   mlp         (mu, beta) are two outputs of a net of all context columns
 *   additive    mu and beta are sums over the columns of what a net of each column by itself gives;
 *               the nets are trained together
 *   archetypes  a softmax of k outputs mixes k pairs (mu, beta)
 *
 * Cross-fitting: net m (from 1) never sees the rows of fold m; a net with a number above the folds
 * sees all rows. Within its rows a share is held out for early stopping. Whole clusters are held
 * out together where `unit` says so.
 *
 * The nets are shared out to threads, each trained by one; between epochs the context is polled.
 */
#ifndef MRL_IV_CONTEXT_H
#define MRL_IV_CONTEXT_H

#include "mlp.h"
#include "train.h"

typedef enum {
  MRL_CONTEXT_MLP = 0,
  MRL_CONTEXT_ADDITIVE,
  MRL_CONTEXT_ARCHETYPES,
  MRL_N_CONTEXT
} mrl_context_kind;

typedef struct {
  const double *const *c; /* (p) of (n): context, as the net shall see it (standardised) */
  const double *e, *s;    /* (n) */
  const double *weights;  /* (n), not negative, or NULL */
  const int *fold;        /* (n) from 1 */
  const int *unit;        /* (n) 1 .. n_units: what is held out together */
  size_t n, p, n_units;   /* p >= 1 */
} mrl_context_data;

typedef struct {
  mrl_context_kind kind;
  mrl_mlp mlp;
  size_t archetypes;           /* at least 2, of MRL_CONTEXT_ARCHETYPES */
  double slope_l1, slope_l2;   /* penalties on beta: l1 |beta| + l2 beta^2 */
  double offset_l1, offset_l2; /* on mu */
  mrl_train_settings train;    /* the seed is replaced by one for each net */
  double validation;           /* share of the units, in [0, 1) */
  size_t n_nets;
  uint64_t seed;
  mrl_isa isa;
} mrl_context_settings;

/* Lays a net out: what is given and predicted. members: only up to the softmax of archetypes. */
mrl_status mrl_context_net(mrl_net *net, mrl_arena *arena, const mrl_context_settings *settings,
                           size_t p, int members);

/* What fill and loss read; shared by all nets. */
typedef struct {
  size_t p;
  mrl_context_kind kind;
  mrl_real *c;           /* (n, p) by row */
  mrl_real *e, *s;       /* (n) */
  mrl_real *weight;      /* (n) or NULL */
  mrl_real l1[2], l2[2]; /* offsets, slopes */
} mrl_context_values;

/* iv_context_net.c: are kind, penalties and p fit to use; pairs (mu, beta) that a net gives. */
int mrl_context_ok(const mrl_context_settings *settings, size_t p);
size_t mrl_context_parts(mrl_context_kind kind, size_t p);
/* Fill and loss of a task on mrl_context_values; rows that are only judged go without penalties. */
mrl_status mrl_context_fill(mrl_real *x, const mrl_tile *tile, const void *data);
mrl_status mrl_context_loss(double *value, mrl_real *d_output, const mrl_real *output,
                            const mrl_tile *tile, const void *data);

typedef struct {
  mrl_train train;
  size_t *row; /* (n): training rows, then those held out */
  mrl_status status;
} mrl_context_member;

typedef struct {
  const mrl_net *net;
  mrl_context_data data;
  mrl_context_settings settings;
  mrl_context_values values;
  mrl_context_member *member; /* (n_nets) */
  size_t *order;              /* (n_units) */
  size_t *place;              /* (n_units) */
} mrl_context;

/* Lays the trainings out and splits the rows; context must stay where it is. Called with a
 * measuring arena, memory is measured for the worst split. MRL_BAD_ARGUMENT; MRL_TOO_FEW where a
 * net has no rows; MRL_NO_MEMORY. */
mrl_status mrl_context_carve(mrl_context *context, mrl_arena *arena, const mrl_net *net,
                             const mrl_context_data *data, const mrl_context_settings *settings);

/*
 * Trains all nets. member[m].status says how each ended, as mrl_train_run() does; a net that
 * diverged keeps its last finite weights. Same bits for any number of threads.
 */
mrl_status mrl_context_run(mrl_context *context, const mrl_ctx *ctx);

/*
 * out (n, width): what a fitted net says of context rows: (mu, beta), for MRL_CONTEXT_ADDITIVE p
 * offsets and then p slopes, and with `members` (a net laid out so) the archetypes' shares.
 * scratch: bytes as the _scratch function says.
 */
size_t mrl_context_width(const mrl_context_settings *settings, size_t p, int members);
size_t mrl_context_predict_scratch(const mrl_net *net, const mrl_context_settings *settings,
                                   size_t n, size_t p, const mrl_ctx *ctx);
mrl_status mrl_context_predict(double *out, const mrl_net *net, const mrl_real *params,
                               const mrl_real *statistics, const mrl_context_settings *settings,
                               const double *const *c, size_t n, size_t p, void *scratch,
                               size_t size, const mrl_ctx *ctx);

#endif
