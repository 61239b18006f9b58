/*
 * The layers of a network on one tile (tile.h), forward and backward.
 *
 * Tensors are column-major (rows, width; ld), ld a multiple of MRL_LANES and at least rows rounded
 * up to it; loops run over whole registers, so rows up to the next multiple of MRL_LANES are
 * written too. Backward functions expect zeros in those rows of the gradient that they are given.
 * Gradients of activations are overwritten; gradients of weights are added to where `accumulate`.
 * Functions without a status cannot fail. No function uses threads: tiles are spread over them.
 *
 * Dense layers have no bias of their own: bias, batch norm and the scale behind a layer norm are
 * all h = act(a_j z + c_j), fused with the activation into one pass.
 */
#ifndef MRL_LAYER_H
#define MRL_LAYER_H

#include "tile.h"

/* A piece of the block of parameters. */
typedef struct {
  size_t offset, size;
  int is_weight; /* of a dense layer: (rows, columns), decayed; the others are not */
  size_t rows, columns;
  double start; /* weights: sd of the initial normal draws; the others: initial value */
} mrl_param;

typedef enum {
  MRL_IDENTITY = 0,
  MRL_RELU,
  MRL_LEAKY_RELU,
  MRL_GELU, /* u times the normal distribution function of u */
  MRL_TANH,
  MRL_SIGMOID,
  MRL_SOFTPLUS,
  MRL_N_ACTIVATION
} mrl_activation;

typedef struct {
  size_t rows, ld, width;
  mrl_isa isa; /* usable */
} mrl_shape;

/*
 * z (rows, out) = x (rows, in) w (in, out); a column of w holds the weights of one unit. Backward:
 * dw += x' dz (or = without accumulate); dx = dz w', skipped if NULL. The shape is x's; z and dz
 * have the same ld. scratch: mrl_dense_scratch() bytes. rows are exact in dw.
 */
size_t mrl_dense_scratch(size_t rows, size_t in, size_t out);
mrl_status mrl_dense_forward(mrl_real *z, const mrl_real *x, const mrl_real *w,
                             const mrl_shape *shape, size_t out, void *scratch);
mrl_status mrl_dense_backward(mrl_real *dw, int accumulate, mrl_real *dx, const mrl_real *dz,
                              const mrl_real *x, const mrl_real *w, const mrl_shape *shape,
                              size_t out, void *scratch);

/* Coefficients of each column, (width) each. */
typedef struct {
  mrl_real *a, *c;         /* h = act(a z + c) */
  mrl_real *shift, *scale; /* zhat = (z - shift) scale, what a's gradient multiplies */
  mrl_real *post;          /* factor of the gradient handed on */
  mrl_activation act;
  mrl_real slope; /* of a leaky rectifier below 0 */
} mrl_affine;

/* h = act(a z + c); h may be z. */
void mrl_affine_forward(mrl_real *h, const mrl_real *z, const mrl_affine *affine,
                        const mrl_shape *shape);
/*
 * du = dh act'(a z + c); sum_c (width) = sum over rows of du, sum_a (width) = sum of du zhat;
 * out = du post. out may be dh.
 */
void mrl_affine_backward(mrl_real *out, mrl_real *sum_a, mrl_real *sum_c, const mrl_real *dh,
                         const mrl_real *z, const mrl_affine *affine, const mrl_shape *shape);

/* Of each column: mean (width) and sum of squared deviations from it (width). */
void mrl_moments(mrl_real *mean, mrl_real *square, const mrl_real *z, const mrl_shape *shape);

/* Batch norm, once its sums over the whole batch are known: dz = a du - k1 - k2 (z - mean), each
 * coefficient (width); rows past the last are zero. dz may be du. */
void mrl_batch_norm_backward(mrl_real *dz, const mrl_real *du, const mrl_real *z, const mrl_real *a,
                             const mrl_real *k1, const mrl_real *k2, const mrl_real *mean,
                             const mrl_shape *shape);

/* Layer norm without its scale: each row of z to mean 0 and variance 1 (over width, plus eps).
 * inverse (ld) out: 1 / sd. Backward takes the output y = (z - mean) inverse; dz may be dy. */
void mrl_row_norm_forward(mrl_real *y, mrl_real *inverse, const mrl_real *z, mrl_real eps,
                          const mrl_shape *shape);
void mrl_row_norm_backward(mrl_real *dz, const mrl_real *dy, const mrl_real *y,
                           const mrl_real *inverse, const mrl_shape *shape);

/* y = exp(z) / sum of the row; safe at any size of z. dz may be dy. */
void mrl_softmax_forward(mrl_real *y, const mrl_real *z, const mrl_shape *shape);
void mrl_softmax_backward(mrl_real *dz, const mrl_real *dy, const mrl_real *y,
                          const mrl_shape *shape);

/*
 * Dropout: keep (as y) out, 0 with probability rate (to 2^-17), else the number that keeps the
 * expectation; y = x keep; y may be x. A tile's numbers follow from (seed, item, tile) alone:
 * `item` (below 2^56) numbers the (step, layer), `tile` (below 2^32) the tile in its batch.
 * Backward is mrl_multiply(dx, dy, keep).
 */
void mrl_dropout_forward(mrl_real *y, mrl_real *keep, const mrl_real *x, double rate, uint64_t seed,
                         uint64_t item, uint64_t tile, const mrl_shape *shape);
void mrl_multiply(mrl_real *out, const mrl_real *x, const mrl_real *y, const mrl_shape *shape);

/* sum += x, n numbers. */
void mrl_add(mrl_real *sum, const mrl_real *x, size_t n, mrl_isa isa);

/* Zeros in the rows from `rows` up to the next multiple of MRL_LANES. */
void mrl_clear_rest(mrl_real *x, const mrl_shape *shape);

#endif
