/*
 * The vector loops of the passes that train networks on sequences, over rows of channels (conv.h):
 * ld is a multiple of MRL_LANES. No function uses threads or can fail.
 */
#ifndef MRL_SEQPASS_LOOPS_H
#define MRL_SEQPASS_LOOPS_H

#include "layer.h"

/* Coefficients of each channel, (ld) each: y = act(a z + c), what a's gradient multiplies is (z -
 * mean) inverse; k1, k2 as in mrl_pass_norm(). */
typedef struct {
  mrl_real *a, *c, *mean, *inverse, *k1, *k2;
  mrl_activation act;
  mrl_real slope; /* of a leaky rectifier below 0 */
} mrl_channels;

/* y (rows, ld) of z. */
void mrl_pass_affine(mrl_real *y, const mrl_real *z, const mrl_channels *channels, size_t rows,
                     size_t ld, mrl_isa isa);
/* d (rows, ld): gradient of y in, du of u = a z + c out; sum_c (ld) += du, sum_a (ld) += du (z -
 * mean) inverse. */
void mrl_pass_affine_backward(mrl_real *d, mrl_real *sum_a, mrl_real *sum_c, const mrl_real *z,
                              const mrl_channels *channels, size_t rows, size_t ld, mrl_isa isa);
/* d = a d - k1 - k2 (z - mean): the gradient of z. */
void mrl_pass_norm(mrl_real *d, const mrl_real *z, const mrl_channels *channels, size_t rows,
                   size_t ld, mrl_isa isa);
/* sum (ld) += z - shift, square (ld) += (z - shift)^2. */
void mrl_pass_moments(mrl_real *sum, mrl_real *square, const mrl_real *z, const mrl_real *shift,
                      size_t rows, size_t ld, mrl_isa isa);

/*
 * Gradient of weights: for rows r (of MRL_QUAD each, quads in all) and lanes l,
 * dw[r * step + l] += sum over t = 0 .. n - 1 of x[at(r) + t x_step] dz[t z_step + l].
 * Rows MRL_QUAD q .. MRL_QUAD q + 3 of dw read x[quad[q] + 0 .. 3].
 */
enum { MRL_QUAD = 4 };
typedef struct {
  size_t n_quads, step, lanes, n, x_step, z_step;
  const size_t *quad; /* (n_quads) */
} mrl_products;

void mrl_pass_weights(mrl_real *dw, const mrl_real *x, const mrl_real *dz,
                      const mrl_products *products, mrl_isa isa);

/* dx += rest where x equals y (a maximum), rest = 0 there: the first position takes all. (ld) */
void mrl_pass_take_max(mrl_real *dx, mrl_real *rest, const mrl_real *x, const mrl_real *y,
                       size_t ld, mrl_isa isa);
/* dx += factor dy; dx += dy exp(x - y). (ld) */
void mrl_pass_add_scaled(mrl_real *dx, const mrl_real *dy, mrl_real factor, size_t ld, mrl_isa isa);
void mrl_pass_add_share(mrl_real *dx, const mrl_real *dy, const mrl_real *x, const mrl_real *y,
                        size_t ld, mrl_isa isa);

#endif
