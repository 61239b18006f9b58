/*
 * A net: a stack of layers over one block of parameters, and its passes over batches.
 *
 * The parameters of a net lie in one block of net->n_params numbers, its running statistics (of
 * batch norm) in another of net->n_statistics; gradients and moments of optimisers have the layout
 * of the parameters. Each piece starts at a multiple of MRL_LANES; what lies between stays 0.
 *
 * A batch is cut into tiles (tile.h) of about 256 net rows. A pass takes each tile through as many
 * layers as it can, up to the next batch norm, which must have seen all tiles; the last forward
 * pass, the loss and the first backward pass are one. Tiles are dealt to at most MRL_SLOTS slots in
 * a way that follows from the number of rows alone; sums run within a slot in the order of its
 * tiles and then over the slots, so nothing depends on the number of threads.
 */
#ifndef MRL_NET_H
#define MRL_NET_H

#include "arena.h"
#include "layer.h"

enum { MRL_SLOTS = 8 };

typedef enum {
  MRL_LAYER_DENSE = 0,
  MRL_LAYER_BATCH_NORM,
  MRL_LAYER_NORM,
  MRL_LAYER_ACTIVATION,
  MRL_LAYER_DROPOUT,
  MRL_LAYER_SOFTMAX,
  MRL_N_LAYER
} mrl_layer_kind;

typedef struct {
  mrl_layer_kind kind;
  size_t units;              /* dense: at least 1 */
  mrl_activation activation; /* activation */
  double value;              /* slope of a leaky rectifier; rate of a dropout, in [0, 1) */
  size_t blocks;             /* dense: cuts inputs and units into equal parts; a part of the units
                                sees its part of the inputs alone. 0 is 1 */
} mrl_layer;

typedef enum {
  MRL_OP_DENSE,
  MRL_OP_AFFINE,
  MRL_OP_ROW_NORM,
  MRL_OP_SOFTMAX,
  MRL_OP_DROPOUT
} mrl_op;
typedef enum { MRL_PLAIN, MRL_BIAS, MRL_SCALE, MRL_BATCH } mrl_affine_kind;

/* Layers as they are run: an activation joins the bias, scale or batch norm before it. */
typedef struct {
  mrl_op op;
  mrl_affine_kind affine;
  mrl_activation activation;
  double value;
  size_t in, out, blocks;
  size_t a, c;      /* offsets of parameters: weights or scale; bias */
  size_t mean, var; /* offsets of running statistics */
  size_t sums;      /* offset of its 2 out sums over rows */
} mrl_stage;

typedef struct {
  size_t n_inputs, n_outputs, widest;
  size_t n_stages, n_pieces, n_params, n_statistics, n_sums, n_weights;
  mrl_stage *stage; /* (n_stages) */
  mrl_param *piece; /* (n_pieces) */
} mrl_net;

/*
 * Lays a net out over an arena (a measuring one leaves *net unusable). A dense layer has a bias
 * unless a batch norm follows, which would cancel it. MRL_BAD_ARGUMENT on a layer out of range or a
 * net without inputs or layers, MRL_NO_MEMORY.
 */
mrl_status mrl_net_carve(mrl_net *net, mrl_arena *arena, const mrl_layer *layers, size_t n_layers,
                         size_t n_inputs);

/*
 * Initial parameters (n_params) and statistics (n_statistics): weights normal with variance 2 / in
 * before rectifiers and GELU (He et al. 2015), 2 / (in + out) elsewhere (Glorot & Bengio 2010);
 * weight matrix i of a net draws from stream i of `seed`. Biases 0, scales 1.
 */
void mrl_net_start(mrl_real *params, mrl_real *statistics, const mrl_net *net, uint64_t seed);

/* In training, batch norm uses and updates the statistics of the batch and dropout drops; in
 * evaluation (also of a frozen net that others train behind) neither. */
typedef enum { MRL_EVALUATE = 0, MRL_TRAIN = 1 } mrl_net_mode;

/* Work of one thread: two tensors of a tile, sums of a tile, scratch of the products. */
typedef struct {
  mrl_real *d[2];
  mrl_real *sum[2];
  void *scratch;
} mrl_net_thread;

/* Buffers of passes over batches of up to `rows` rows; public are output, d_output, d_input and
 * gradient. Tile t of a tensor of some width starts at t * ld * width. */
typedef struct {
  const mrl_net *net;
  mrl_isa isa;
  size_t rows, group;           /* capacity */
  size_t tile_rows, ld;         /* data rows of a tile; leading dimension */
  int n_threads;                /* that there are buffers for */
  mrl_real *x, *d_output;       /* input; gradient of the output */
  mrl_real *d_input;            /* or NULL */
  mrl_real **out;               /* (n_stages) their outputs; the last is the net's */
  mrl_real **aside;             /* (n_stages) what a stage keeps for its backward pass, or NULL */
  mrl_affine *affine;           /* (n_stages) */
  mrl_real **k;                 /* (n_stages) batch norm: two coefficients of each column */
  double *sums;                 /* (MRL_SLOTS, n_sums) */
  mrl_real *gradient, *partial; /* (n_params); (MRL_SLOTS - 1, n_params) */
  mrl_net_thread *thread;       /* (n_threads) */
} mrl_net_run;

/*
 * rows: the most rows of a batch, 0 where only mrl_net_evaluate() is called. group: evaluations of
 * each. want_d_input: whether gradients of the input are kept. Buffers serve up to ctx->n_threads.
 */
mrl_status mrl_net_run_carve(mrl_net_run *run, mrl_arena *arena, const mrl_net *net, size_t rows,
                             size_t group, int want_d_input, mrl_isa isa, const mrl_ctx *ctx);

typedef struct {
  const size_t *row; /* (n) rows of the data */
  size_t n;          /* at least 1; at least 2 net rows for training with batch norm */
  mrl_net_mode mode;
  uint64_t seed, step; /* of dropout; step below 2^46 */
  size_t epoch;        /* for fill and loss */
  mrl_fill_fn *fill;
  const void *fill_data;
  mrl_loss_fn *loss; /* not used by forward and backward alone */
  const void *loss_data;
} mrl_batch;

/*
 * Forward, loss and backward: *loss, the mean over the rows of weight times loss, and
 * run->gradient, its gradient; statistics are updated in training. params, statistics as laid out
 * by the net. MRL_TOO_FEW for training with batch norm on a single net row; the statuses of fill
 * and loss. Does not check that numbers are finite. The output is not valid afterwards.
 */
mrl_status mrl_net_step(double *loss, mrl_net_run *run, const mrl_real *params,
                        mrl_real *statistics, const mrl_batch *batch, const mrl_ctx *ctx);

/* The two halves, for losses over more than one net: forward leaves the output in tiles (see
 * mrl_net_output()); backward takes run->d_output in the same layout, with zeros in the rows that
 * fill up a tile, and the same batch. */
mrl_status mrl_net_forward(mrl_net_run *run, const mrl_real *params, mrl_real *statistics,
                           const mrl_batch *batch, const mrl_ctx *ctx);
mrl_status mrl_net_backward(mrl_net_run *run, const mrl_real *params, const mrl_batch *batch,
                            const mrl_ctx *ctx);

/* Tile t of a batch, and its place in a tensor of some width. */
size_t mrl_net_tiles(const mrl_net_run *run, size_t rows);
mrl_tile mrl_net_tile(const mrl_net_run *run, const mrl_batch *batch, size_t t);
static inline size_t mrl_net_tile_at(const mrl_net_run *run, size_t t, size_t width)
{
  return t * run->ld * width;
}
static inline const mrl_real *mrl_net_output(const mrl_net_run *run)
{
  return run->out[run->net->n_stages - 1];
}

/*
 * In evaluation mode, of any number of rows, in memory that does not depend on it: the sum over the
 * rows of what `loss` returns for each tile (d_output is NULL). A loss that stores the output
 * makes it a prediction. batch->mode is not read.
 */
mrl_status mrl_net_evaluate(double *sum, mrl_net_run *run, const mrl_real *params,
                            const mrl_real *statistics, const mrl_batch *batch, const mrl_ctx *ctx);

/* A mrl_fill_fn for inputs that are there: data is a mrl_rows; group 1. */
typedef struct {
  const mrl_real *x; /* by row: x[row * width + j] */
  size_t width;
} mrl_rows;
mrl_status mrl_fill_rows(mrl_real *x, const mrl_tile *tile, const void *data);

#endif
