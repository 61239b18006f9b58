/*
 * Multi-layer perceptrons on standardised columns: what estimators that train one net behind
 * another share.
 */
#ifndef MRL_MLP_H
#define MRL_MLP_H

#include "net.h"

enum { MRL_MLP_MOST = 32, MRL_MLP_LAYERS = 4 * MRL_MLP_MOST + 2 };

typedef struct {
  const int *hidden; /* (n_hidden) units, at least 1 */
  size_t n_hidden;   /* at most MRL_MLP_MOST; 0: linear */
  mrl_activation activation;
  double slope; /* of a leaky rectifier */
  int batch_norm;
  double dropout; /* in [0, 1) */
} mrl_mlp;

/*
 * Lays out the net: for each hidden layer dense, batch norm, activation, dropout; at last a dense
 * layer of n_outputs, with an activation unless that is MRL_IDENTITY. Statuses of mrl_net_carve().
 */
mrl_status mrl_mlp_carve(mrl_net *net, mrl_arena *arena, const mrl_mlp *mlp, size_t n_inputs,
                         size_t n_outputs, mrl_activation last);

/*
 * The trunk: the net up to its last hidden layer. Its parameters and statistics are the first ones
 * of those of the whole net, so it takes theirs. Without hidden layers it is a linear net of one
 * output that counts as no feature (mlp_basis.h).
 */
mrl_status mrl_mlp_trunk_carve(mrl_net *trunk, mrl_arena *arena, const mrl_mlp *mlp,
                               size_t n_inputs);

/* How a column is standardised: (value - mean) / sd; sd 1 where it is constant. */
typedef struct {
  double mean, sd;
} mrl_scale;

/* Of x (n) with weights (n) or NULL; divisor: their sum. */
mrl_scale mrl_scale_of(const double *x, const double *weights, size_t n);
/* out[i * stride] = standardised x[i], n of them. */
void mrl_scale_column(mrl_real *out, size_t stride, const double *x, const mrl_scale *scale,
                      size_t n);

/*
 * Keeps the output of evaluated rows: a mrl_loss_fn with the value 0; data is a mrl_keep. group 1.
 * Row i of the tile goes to out[row[i] * outputs + j].
 */
typedef struct {
  mrl_real *out;
  size_t outputs;
} mrl_keep;
mrl_status mrl_keep_tile(double *value, mrl_real *d_output, const mrl_real *output,
                         const mrl_tile *tile, const void *data);

#endif
