/*
 * The outcome model's last layer, in closed form (head.h), behind a frozen first stage: g(x, w) =
 * theta'h(x, w) with the features h of mlp_basis.h meets
 *   min_theta mean_i weight_i (y_i - sum_k a_ik g(x_ik, w_i))^2 + penalties,
 * over the nodes x_ik and their weights a_ik; a binary outcome has g = 1 / (1 + exp(-theta'h)) and
 * penalised scoring: rows D_i = sum_k a_ik p_ik (1 - p_ik) h_ik, weights 1 / (p_i (1 - p_i)).
 *
 * Rows pass in blocks: the trunk gives a block's features, averaged over the nodes as they come,
 * and their crossproducts are added up. Memory depends on the block, not on the rows.
 */
#ifndef MRL_IV_HEAD_H
#define MRL_IV_HEAD_H

#include "head.h"
#include "iv_law.h"
#include "mlp_basis.h"

enum { MRL_HEAD_BLOCK = 1024, MRL_HEAD_GRID = 64, MRL_HEAD_PEOPLE = 64 };

/* What the outcome is a function of. All in standardised units but the sample. */
typedef struct {
  const mrl_iv_sample *sample; /* y, w */
  const mrl_scale *w, *y;      /* (n_w), 1; a binary outcome has {0, 1} */
  const double *weight;        /* (n) or NULL: all one */
  const mrl_law *law;
  const size_t *row; /* (n_rows) ascending: those that count */
  size_t n_rows;
  int binary;
} mrl_head_data;

/* The trained net behind which the layer is put. */
typedef struct {
  const mrl_net *net, *trunk;
  const mrl_real *params, *statistics;
} mrl_head_net;

typedef struct {
  mrl_basis basis;
  size_t terms;
  mrl_isa isa;
  mrl_net_run run, whole;         /* of the trunk, of the net; evaluation only */
  size_t *place;                  /* (MRL_HEAD_BLOCK) 0, 1, ... */
  double *node, *share;           /* (MRL_HEAD_BLOCK, nodes) by row */
  double *line;                   /* (MRL_HEAD_BLOCK, 3) */
  double *w;                      /* (MRL_HEAD_BLOCK, n_w) by row */
  double *block;                  /* (MRL_HEAD_BLOCK, terms + 1) */
  double *root, *value;           /* (MRL_HEAD_BLOCK) */
  double *power;                  /* (MRL_HEAD_BLOCK, 3) averages of 1, x, x^2 */
  double *gram;                   /* (terms + 1, terms + 1) */
  double *rough[MRL_HEAD_ORDERS]; /* (terms, terms) */
  double *zero, *one;             /* (terms + 1) */
  const double **column;          /* (terms + 1) */
  int *ridge;                     /* (terms) */
  double *theta, *start, *best;   /* (terms) */
  double *grid;                   /* (MRL_HEAD_GRID + 3, terms) of one person */
  mrl_real *feature;              /* (MRL_HEAD_GRID + 3, features) by row */
  double *solve;                  /* mrl_head_scratch(terms) */
  void *gram_scratch;
} mrl_head_work;

/* nodes: the most of a row. */
mrl_status mrl_head_carve(mrl_head_work *work, mrl_arena *arena, const mrl_net *net,
                          const mrl_net *trunk, const mrl_basis *basis, size_t nodes, mrl_isa isa,
                          const mrl_ctx *ctx);

/* low, high: range of x for the roughness. */
typedef struct {
  double low, high;
} mrl_head_range;

/*
 * theta (terms) out. With `choose`, order and penalties are chosen by BIC and written to *choice;
 * else those are used, and scoring starts at `from` (terms). `from` may be NULL: then scoring
 * starts at the net's own last layer.
 */
mrl_status mrl_head_fit_rows(double *theta, mrl_head_choice *choice, mrl_head_fit *fit,
                             mrl_head_work *work, const mrl_head_net *net,
                             const mrl_head_data *data, const mrl_head_range *range, int choose,
                             const double *from, const mrl_ctx *ctx);

/* out (n), at the rows of data: sum_k a_ik g(x_ik, w_i) in the outcome's units, by theta or, if
 * NULL, by the net itself. */
mrl_status mrl_head_predict(double *out, mrl_head_work *work, const mrl_head_net *net,
                            const mrl_head_data *data, const double *theta, const mrl_ctx *ctx);

/* Parts, for the files of iv_head alone. */

/* Rows of a person's grid: differences of the third order leave MRL_HEAD_GRID. */
enum { GRID_ROWS = MRL_HEAD_GRID + 3 };

/* What is taken from the evaluated rows of a block. */
typedef enum { TAKE_MEAN, TAKE_SCORE, TAKE_VALUE, TAKE_OWN } mrl_head_take;

typedef struct {
  mrl_head_work *work;
  const mrl_head_data *data;
  const double *theta;
  mrl_head_take what;
} mrl_head_pass;

static inline double mrl_head_weight(const mrl_head_data *data, size_t row)
{
  return data->weight ? data->weight[row] : 1;
}

/* A mrl_fill_fn: nodes and covariates of a block's rows; data is a mrl_head_pass. */
mrl_status mrl_head_fill(mrl_real *x, const mrl_tile *tile, const void *data);

/* work->gram over all rows; theta and *deviance for a binary outcome only. */
mrl_status mrl_head_gram(double *deviance, mrl_head_work *work, const mrl_head_net *net,
                         const mrl_head_data *data, const double *theta, const mrl_ctx *ctx);

/* work->rough: the roughness of both orders, averaged over the range and over people equally spaced
 * in the data. */
mrl_status mrl_head_roughness(mrl_head_work *work, const mrl_head_net *net,
                              const mrl_head_data *data, const mrl_head_range *range,
                              const mrl_ctx *ctx);

#endif
