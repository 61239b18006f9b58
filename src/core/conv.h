/*
 * 1-D convolutions as products of matrices, without copying windows.
 *
 * Tensors are position-major: the channels of a position lie together in a row of ld numbers, ld a
 * multiple of MRL_LANES; what is behind the channels is 0. Weights w (taps, in / groups, out) have
 * the output channels contiguous: tap k, input i of its group and output o at [(k * in / groups +
 * i) * out + o] (as Keras stores them). Output t is the sum over taps k of w[k]' x[t + k dilation -
 * pad]. A dense layer on (length, in) is a convolution with as many taps as there are positions.
 */
#ifndef MRL_CONV_H
#define MRL_CONV_H

#include "arena.h"
#include "gemm.h"
#include "real.h"

static inline size_t mrl_least(size_t a, size_t b)
{
  return a < b ? a : b;
}

static inline size_t mrl_most(size_t a, size_t b)
{
  return a > b ? a : b;
}

typedef struct {
  size_t taps, in, out, groups; /* at least 1; groups divides in and out */
} mrl_conv_shape;

/* Some output channels (lanes, a multiple of MRL_LANES, zeros behind the last) and the input
 * channels that they see: taps x n_in x lanes numbers at packed + at. */
typedef struct {
  size_t first_out, lanes, first_in, n_in, at;
} mrl_conv_panel;

/* Weights as the kernels read them. */
typedef struct {
  mrl_conv_shape shape;
  size_t n_panels;
  mrl_conv_panel *panel; /* (n_panels) */
  mrl_real *packed;
} mrl_conv_weights;

/* Lays them out; the panels are filled in, packed is not. MRL_NO_MEMORY. */
mrl_status mrl_conv_carve(mrl_conv_weights *weights, mrl_arena *arena, const mrl_conv_shape *shape);
void mrl_conv_pack(mrl_conv_weights *weights, const mrl_real *w);

/*
 * z, column j at z + j z_col: mrl_pad(out) numbers, out. x: column j, tap first_tap + k at x + j
 * x_col + k x_tap. Columns are positions, variants or both. Each number is summed over the taps and
 * then the inputs in one order, whatever the columns beside it. n_taps = 0 gives zeros.
 */
typedef struct {
  size_t n_cols, z_col, x_col, x_tap;
  size_t first_tap, n_taps;
} mrl_conv_columns;

void mrl_conv_product(mrl_real *z, const mrl_real *x, const mrl_conv_weights *weights,
                      const mrl_conv_columns *columns, mrl_isa isa);

/*
 * The same for few output channels, dilation 1 and one group, by what each input position adds to
 * the outputs around it, so that taps fill the registers that output channels would leave empty.
 * Packed as a convolution of one tap with out * mrl_pad(taps) outputs.
 *
 * mrl_conv_spread: sum (out; sum_ld) += for rows r = 0 .. n_rows - 1 of x (x_row apart): tap k of
 * output o is added to sum[o * sum_ld + r + taps - 1 - k]; sum_ld >= n_rows + mrl_pad(taps). work:
 * MRL_SPREAD_ROWS * out * mrl_pad(taps) numbers.
 */
enum { MRL_SPREAD_ROWS = 16 };

/* Whether that is less work; if so, the shape of the packed weights. */
int mrl_conv_spreads(mrl_conv_shape *spread, const mrl_conv_shape *shape, size_t dilation);
/* For mrl_conv_pack(): weights of `spread` (in, out * mrl_pad(taps)) from those of shape. */
void mrl_conv_turn(mrl_real *turned, const mrl_real *w, const mrl_conv_shape *shape);
void mrl_conv_spread(mrl_real *sum, size_t sum_ld, const mrl_real *x, size_t x_row, size_t n_rows,
                     const mrl_conv_weights *weights, size_t out, mrl_real *work, mrl_isa isa);

#endif
