/* The loops of seqpass_loops.c for one instruction set; included by real_isa.h. */
#include "layer_act.h"

FN void KERNEL(affine_by)(const mrl_activation act, mrl_real *y, const mrl_real *z,
                          const mrl_channels *affine, size_t rows, size_t ld)
{
  for (size_t i = 0; i < ld; i += LEN) {
    const VEC a = CONST_AT(affine->a + i), c = CONST_AT(affine->c + i);
    for (size_t at = i; at < rows * ld; at += ld) {
      AT(y + at) = KERNEL(activate)(act, FMA(a, CONST_AT(z + at), c), affine->slope);
    }
  }
}

TARGET static void KERNEL(affine)(mrl_real *y, const mrl_real *z, const mrl_channels *affine,
                                  size_t rows,
                                  size_t ld){BY_ACTIVATION(affine_by, y, z, affine, rows, ld)}

FN void KERNEL(affine_backward_by)(const mrl_activation act, mrl_real *d, mrl_real *sum_a,
                                   mrl_real *sum_c, const mrl_real *z, const mrl_channels *affine,
                                   size_t rows, size_t ld)
{
  for (size_t i = 0; i < ld; i += LEN) {
    const VEC a = CONST_AT(affine->a + i), c = CONST_AT(affine->c + i);
    const VEC mean = CONST_AT(affine->mean + i);
    VEC total_a = {0}, total_c = {0};
    for (size_t at = i; at < rows * ld; at += ld) {
      const VEC zi = CONST_AT(z + at), u = FMA(a, zi, c);
      const VEC du = CONST_AT(d + at) * KERNEL(steepness)(act, u, affine->slope);
      total_c += du;
      total_a = FMA(du, zi - mean, total_a);
      AT(d + at) = du;
    }
    AT(sum_a + i) = FMA(total_a, CONST_AT(affine->inverse + i), CONST_AT(sum_a + i));
    AT(sum_c + i) = CONST_AT(sum_c + i) + total_c;
  }
}

TARGET static void KERNEL(affine_backward)(mrl_real *d, mrl_real *sum_a, mrl_real *sum_c,
                                           const mrl_real *z, const mrl_channels *affine,
                                           size_t rows, size_t ld){
    BY_ACTIVATION(affine_backward_by, d, sum_a, sum_c, z, affine, rows, ld)}

TARGET static void KERNEL(norm)(mrl_real *d, const mrl_real *z, const mrl_channels *affine,
                                size_t rows, size_t ld)
{
  for (size_t i = 0; i < ld; i += LEN) {
    const VEC a = CONST_AT(affine->a + i), mean = CONST_AT(affine->mean + i);
    const VEC k1 = CONST_AT(affine->k1 + i), k2 = CONST_AT(affine->k2 + i);
    for (size_t at = i; at < rows * ld; at += ld) {
      const VEC rest = FMA(k2, CONST_AT(z + at) - mean, k1);
      AT(d + at) = FMA(a, CONST_AT(d + at), -rest);
    }
  }
}

/* Four sums over every fourth row, whatever the registers. */
#define EACH_QUARTER(DO) DO(0) DO(1) DO(2) DO(3)
#define MOMENTS_STEP(j)                                                                            \
  {                                                                                                \
    const VEC d = CONST_AT(z + (r + j) * ld + i) - s;                                              \
    sum##j += d;                                                                                   \
    square##j = FMA(d, d, square##j);                                                              \
  }

TARGET static void KERNEL(moments)(mrl_real *sum, mrl_real *square, const mrl_real *z,
                                   const mrl_real *shift, size_t rows, size_t ld)
{
  for (size_t i = 0; i < ld; i += LEN) {
    const VEC s = CONST_AT(shift + i);
    VEC sum0 = {0}, sum1 = {0}, sum2 = {0}, sum3 = {0};
    VEC square0 = {0}, square1 = {0}, square2 = {0}, square3 = {0};
    size_t r = 0;
    for (; r + 4 <= rows; r += 4) {
      EACH_QUARTER(MOMENTS_STEP)
    }
    for (; r < rows; r++) {
      MOMENTS_STEP(0)
    }
    AT(sum + i) = CONST_AT(sum + i) + ((sum0 + sum1) + (sum2 + sum3));
    AT(square + i) = CONST_AT(square + i) + ((square0 + square1) + (square2 + square3));
  }
}

/* As in conv_kernel.h, sums are variables with names. */
#define QUAD_START(q) VEC s##q##0, s##q##1, s##q##2, s##q##3;
#define QUAD_LOAD(q)                                                                               \
  if (quads > q) {                                                                                 \
    s##q##0 = CONST_AT(dw + (4 * q + 0) * step);                                                   \
    s##q##1 = CONST_AT(dw + (4 * q + 1) * step);                                                   \
    s##q##2 = CONST_AT(dw + (4 * q + 2) * step);                                                   \
    s##q##3 = CONST_AT(dw + (4 * q + 3) * step);                                                   \
  }
#define QUAD_STEP(q)                                                                               \
  if (quads > q) {                                                                                 \
    const mrl_real *p = x##q + t * x_step;                                                         \
    s##q##0 = FMA(SPLAT(p[0]), d, s##q##0);                                                        \
    s##q##1 = FMA(SPLAT(p[1]), d, s##q##1);                                                        \
    s##q##2 = FMA(SPLAT(p[2]), d, s##q##2);                                                        \
    s##q##3 = FMA(SPLAT(p[3]), d, s##q##3);                                                        \
  }
#define QUAD_STORE(q)                                                                              \
  if (quads > q) {                                                                                 \
    AT(dw + (4 * q + 0) * step) = s##q##0;                                                         \
    AT(dw + (4 * q + 1) * step) = s##q##1;                                                         \
    AT(dw + (4 * q + 2) * step) = s##q##2;                                                         \
    AT(dw + (4 * q + 3) * step) = s##q##3;                                                         \
  }

/* quads of rows and one register of lanes; quads is a constant in each caller. */
FN void KERNEL(weights_body)(const int quads, mrl_real *dw, const mrl_real *x, const mrl_real *dz,
                             const size_t *quad, const mrl_products *products)
{
  const size_t step = products->step, x_step = products->x_step, n = products->n;
  const mrl_real *x0 = x + quad[0], *x1 = quads > 1 ? x + quad[1] : x;
  const mrl_real *x2 = quads > 2 ? x + quad[2] : x, *x3 = quads > 3 ? x + quad[3] : x;
  EACH_QUARTER(QUAD_START)
  EACH_QUARTER(QUAD_LOAD)
  for (size_t t = 0; t < n; t++) {
    const VEC d = CONST_AT(dz + t * products->z_step);
    EACH_QUARTER(QUAD_STEP)
  }
  EACH_QUARTER(QUAD_STORE)
}

TARGET static void KERNEL(weights)(mrl_real *dw, const mrl_real *x, const mrl_real *dz,
                                   const mrl_products *products)
{
  /* Sixteen registers hold 3 quads of sums, thirty-two 4 and what else there is. */
  const size_t most = PARTS == 1 ? 4 : PARTS == 2 ? 3 : 2;
  for (size_t q = 0; q < products->n_quads; q += most) {
    const size_t left = products->n_quads - q, quads = left < most ? left : most;
    mrl_real *to = dw + q * MRL_QUAD * products->step;
    for (size_t l = 0; l < products->lanes; l += LEN) {
      switch (quads) {
      case 1:
        KERNEL(weights_body)(1, to + l, x, dz + l, products->quad + q, products);
        break;
      case 2:
        KERNEL(weights_body)(2, to + l, x, dz + l, products->quad + q, products);
        break;
      case 3:
        KERNEL(weights_body)(3, to + l, x, dz + l, products->quad + q, products);
        break;
      default:
        KERNEL(weights_body)(4, to + l, x, dz + l, products->quad + q, products);
        break;
      }
    }
  }
}

TARGET static void KERNEL(take_max)(mrl_real *dx, mrl_real *rest, const mrl_real *x,
                                    const mrl_real *y, size_t ld)
{
  for (size_t i = 0; i < ld; i += LEN) {
    const VEC r = CONST_AT(rest + i), zero = {0};
    const VEC hit = WHERE_GREATER(CONST_AT(y + i), CONST_AT(x + i), zero, r);
    AT(dx + i) = CONST_AT(dx + i) + hit;
    AT(rest + i) = r - hit;
  }
}

TARGET static void KERNEL(add_scaled)(mrl_real *dx, const mrl_real *dy, mrl_real factor, size_t ld)
{
  for (size_t i = 0; i < ld; i += LEN) {
    AT(dx + i) = FMA(CONST_AT(dy + i), SPLAT(factor), CONST_AT(dx + i));
  }
}

TARGET static void KERNEL(add_share)(mrl_real *dx, const mrl_real *dy, const mrl_real *x,
                                     const mrl_real *y, size_t ld)
{
  for (size_t i = 0; i < ld; i += LEN) {
    AT(dx + i) = FMA(CONST_AT(dy + i), EXP(CONST_AT(x + i) - CONST_AT(y + i)), CONST_AT(dx + i));
  }
}

static const seqpass_kernels KERNEL(table) = {
    KERNEL(affine),  KERNEL(affine_backward), KERNEL(norm),       KERNEL(moments),
    KERNEL(weights), KERNEL(take_max),        KERNEL(add_scaled), KERNEL(add_share),
};

#undef BY_ACTIVATION
#undef EACH_QUARTER
#undef MOMENTS_STEP
#undef QUAD_START
#undef QUAD_LOAD
#undef QUAD_STEP
#undef QUAD_STORE
