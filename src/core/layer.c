#include "layer.h"

#include "rng.h"

#include <string.h>

/* The loops that layer_kernel.h has for each instruction set. */
typedef struct {
  void (*affine_forward)(mrl_real *, const mrl_real *, const mrl_affine *, const mrl_shape *);
  void (*affine_backward)(mrl_real *, mrl_real *, mrl_real *, const mrl_real *, const mrl_real *,
                          const mrl_affine *, const mrl_shape *);
  void (*moments)(mrl_real *, mrl_real *, const mrl_real *, const mrl_shape *);
  void (*batch_norm_backward)(mrl_real *, const mrl_real *, const mrl_real *, const mrl_real *,
                              const mrl_real *, const mrl_real *, const mrl_real *,
                              const mrl_shape *);
  void (*row_norm_forward)(mrl_real *, mrl_real *, const mrl_real *, mrl_real, const mrl_shape *);
  void (*row_norm_backward)(mrl_real *, const mrl_real *, const mrl_real *, const mrl_real *,
                            const mrl_shape *);
  void (*softmax_forward)(mrl_real *, const mrl_real *, const mrl_shape *);
  void (*softmax_backward)(mrl_real *, const mrl_real *, const mrl_real *, const mrl_shape *);
  void (*multiply)(mrl_real *, const mrl_real *, const mrl_real *, const mrl_shape *);
  void (*add)(mrl_real *, const mrl_real *, size_t);
  void (*keep_unit)(mrl_real *, const mrl_rng *, uint32_t, uint32_t, mrl_real);
} layer_kernels;

#define KERNEL_FILE "layer_kernel.h"
#define KERNEL_OF(name, isa) layer_##name##_##isa
#define KERNELS layer_kernels
#include "real_isa.h"

/* Tiles run on one thread each and are too short to poll. */
static const mrl_ctx one_thread = {1, NULL, NULL};

static size_t larger(size_t a, size_t b)
{
  return a > b ? a : b;
}

size_t mrl_dense_scratch(size_t rows, size_t in, size_t out)
{
  const size_t forward = mrl_gemm_real_scratch(mrl_pad(rows), out, in, &one_thread);
  const size_t d_weights = mrl_gemm_real_scratch(in, out, mrl_pad(rows), &one_thread);
  const size_t d_input = mrl_gemm_real_scratch(mrl_pad(rows), in, out, &one_thread);
  return larger(forward, larger(d_weights, d_input));
}

mrl_status mrl_dense_forward(mrl_real *z, const mrl_real *x, const mrl_real *w,
                             const mrl_shape *shape, size_t out, void *scratch)
{
  return mrl_gemm_real(z, shape->ld, x, shape->ld, MRL_NO_TRANS, w, shape->width, MRL_NO_TRANS,
                       mrl_pad(shape->rows), out, shape->width, 0, scratch, shape->isa,
                       &one_thread);
}

mrl_status mrl_dense_backward(mrl_real *dw, int accumulate, mrl_real *dx, const mrl_real *dz,
                              const mrl_real *x, const mrl_real *w, const mrl_shape *shape,
                              size_t out, void *scratch)
{
  const size_t in = shape->width, ld = shape->ld;
  MRL_TRY(mrl_gemm_real(dw, in, x, ld, MRL_TRANS, dz, ld, MRL_NO_TRANS, in, out, shape->rows,
                        accumulate, scratch, shape->isa, &one_thread));
  if (!dx) {
    return MRL_OK;
  }
  return mrl_gemm_real(dx, ld, dz, ld, MRL_NO_TRANS, w, in, MRL_TRANS, mrl_pad(shape->rows), in,
                       out, 0, scratch, shape->isa, &one_thread);
}

void mrl_affine_forward(mrl_real *h, const mrl_real *z, const mrl_affine *affine,
                        const mrl_shape *shape)
{
  layer_table_for(shape->isa)->affine_forward(h, z, affine, shape);
}

void mrl_affine_backward(mrl_real *out, mrl_real *sum_a, mrl_real *sum_c, const mrl_real *dh,
                         const mrl_real *z, const mrl_affine *affine, const mrl_shape *shape)
{
  layer_table_for(shape->isa)->affine_backward(out, sum_a, sum_c, dh, z, affine, shape);
}

void mrl_moments(mrl_real *mean, mrl_real *square, const mrl_real *z, const mrl_shape *shape)
{
  layer_table_for(shape->isa)->moments(mean, square, z, shape);
}

void mrl_batch_norm_backward(mrl_real *dz, const mrl_real *du, const mrl_real *z, const mrl_real *a,
                             const mrl_real *k1, const mrl_real *k2, const mrl_real *mean,
                             const mrl_shape *shape)
{
  layer_table_for(shape->isa)->batch_norm_backward(dz, du, z, a, k1, k2, mean, shape);
  mrl_clear_rest(dz, shape);
}

void mrl_row_norm_forward(mrl_real *y, mrl_real *inverse, const mrl_real *z, mrl_real eps,
                          const mrl_shape *shape)
{
  layer_table_for(shape->isa)->row_norm_forward(y, inverse, z, eps, shape);
}

void mrl_row_norm_backward(mrl_real *dz, const mrl_real *dy, const mrl_real *y,
                           const mrl_real *inverse, const mrl_shape *shape)
{
  layer_table_for(shape->isa)->row_norm_backward(dz, dy, y, inverse, shape);
}

void mrl_softmax_forward(mrl_real *y, const mrl_real *z, const mrl_shape *shape)
{
  layer_table_for(shape->isa)->softmax_forward(y, z, shape);
}

void mrl_softmax_backward(mrl_real *dz, const mrl_real *dy, const mrl_real *y,
                          const mrl_shape *shape)
{
  layer_table_for(shape->isa)->softmax_backward(dz, dy, y, shape);
}

enum { STRIP = 16, UNIT = 64 };

/* Numbers in strips of 16 rows, column after column, four strips from one unit of the stream. */
static void draw_keep(mrl_real *keep, double rate, const mrl_rng *rng, const mrl_shape *shape)
{
  const double among = floor((1 - rate) * 65536 + 0.5);
  const uint32_t kept = among < 1 ? 1 : (uint32_t)among; /* of 65536 */
  const mrl_real value = (mrl_real)(65536.0 / kept);
  const size_t rows = mrl_pad(shape->rows), strips = (rows + STRIP - 1) / STRIP;
  const size_t total = strips * shape->width;
  mrl_real unit[UNIT];
  for (size_t s = 0; s < total; s++) {
    const size_t i = s % strips * STRIP, rest = rows - i, part = s % (UNIT / STRIP);
    if (part == 0) {
      layer_table_for(shape->isa)->keep_unit(unit, rng, (uint32_t)(2 * s), kept, value);
    }
    memcpy(keep + i + s / strips * shape->ld, unit + part * STRIP,
           (rest < STRIP ? rest : STRIP) * sizeof *keep);
  }
}

void mrl_dropout_forward(mrl_real *y, mrl_real *keep, const mrl_real *x, double rate, uint64_t seed,
                         uint64_t item, uint64_t tile, const mrl_shape *shape)
{
  mrl_rng rng = mrl_rng_stream(seed, MRL_RNG_NET_DROPOUT, item);
  rng.counter[1] = (uint32_t)tile; /* each tile has 2^32 blocks of the stream for itself */
  draw_keep(keep, rate, &rng, shape);
  mrl_multiply(y, x, keep, shape);
}

void mrl_multiply(mrl_real *out, const mrl_real *x, const mrl_real *y, const mrl_shape *shape)
{
  layer_table_for(shape->isa)->multiply(out, x, y, shape);
}

void mrl_add(mrl_real *sum, const mrl_real *x, size_t n, mrl_isa isa)
{
  layer_table_for(isa)->add(sum, x, n);
}

void mrl_clear_rest(mrl_real *x, const mrl_shape *shape)
{
  const size_t rest = mrl_pad(shape->rows) - shape->rows;
  for (size_t j = 0; rest > 0 && j < shape->width; j++) {
    memset(x + j * shape->ld + shape->rows, 0, rest * sizeof *x);
  }
}
