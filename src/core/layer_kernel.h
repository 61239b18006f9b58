/*
 * The vector loops of layer.c for one instruction set; included by real_isa.h. Sums over rows run
 * in MRL_LANES lanes that are added up at the end: PARTS registers make one strip of lanes.
 */

#include "layer_act.h"

FN void KERNEL(affine_forward_by)(const mrl_activation act, mrl_real *h, const mrl_real *z,
                                  const mrl_affine *affine, const mrl_shape *shape)
{
  const size_t rows = mrl_pad(shape->rows);
  const mrl_real slope = affine->slope;
  for (size_t j = 0; j < shape->width; j++) {
    const VEC a = SPLAT(affine->a[j]), c = SPLAT(affine->c[j]);
    const mrl_real *zj = z + j * shape->ld;
    mrl_real *hj = h + j * shape->ld;
    for (size_t i = 0; i < rows; i += LEN) {
      AT(hj + i) = KERNEL(activate)(act, FMA(CONST_AT(zj + i), a, c), slope);
    }
  }
}

/* The lanes of a strip, added up in one order. */
FN mrl_real KERNEL(total)(const mrl_real *lanes)
{
  typedef mrl_real quarter __attribute__((vector_size(16), may_alias, aligned(MRL_REAL_BYTES)));
  const quarter *q = (const quarter *)lanes;
  const quarter sum = (q[0] + q[2]) + (q[1] + q[3]);
  mrl_real total = 0;
  for (size_t i = 0; i < 16 / MRL_REAL_BYTES; i++) {
    total += sum[i];
  }
  return total;
}

#define EACH_PART(DO)                                                                              \
  DO(0)                                                                                            \
  if (PARTS > 1) {                                                                                 \
    DO(1)                                                                                          \
  }                                                                                                \
  if (PARTS > 2) {                                                                                 \
    DO(2) DO(3)                                                                                    \
  }

#define BACKWARD_STEP(part)                                                                        \
  {                                                                                                \
    const VEC z = CONST_AT(zj + i + part * LEN), u = FMA(z, a, c);                                 \
    const VEC d = CONST_AT(dj + i + part * LEN) * KERNEL(steepness)(act, u, slope);                \
    sum_c##part += d;                                                                              \
    sum_a##part = FMA(d, z - shift, sum_a##part);                                                  \
    AT(oj + i + part * LEN) = d * post;                                                            \
  }

FN void KERNEL(affine_backward_by)(const mrl_activation act, mrl_real *out, mrl_real *sum_a,
                                   mrl_real *sum_c, const mrl_real *dh, const mrl_real *z,
                                   const mrl_affine *affine, const mrl_shape *shape)
{
  const size_t rows = mrl_pad(shape->rows);
  const mrl_real slope = affine->slope;
  for (size_t j = 0; j < shape->width; j++) {
    const VEC a = SPLAT(affine->a[j]), c = SPLAT(affine->c[j]);
    const VEC shift = SPLAT(affine->shift[j]), post = SPLAT(affine->post[j]);
    const mrl_real *zj = z + j * shape->ld, *dj = dh + j * shape->ld;
    mrl_real *oj = out + j * shape->ld, lanes_a[MRL_LANES], lanes_c[MRL_LANES];
    VEC sum_a0 = {0}, sum_a1 = {0}, sum_a2 = {0}, sum_a3 = {0};
    VEC sum_c0 = {0}, sum_c1 = {0}, sum_c2 = {0}, sum_c3 = {0};
    for (size_t i = 0; i < rows; i += MRL_LANES) {
      EACH_PART(BACKWARD_STEP)
    }
#define STORE_SUMS(part)                                                                           \
  AT(lanes_a + part * LEN) = sum_a##part;                                                          \
  AT(lanes_c + part * LEN) = sum_c##part;
    EACH_PART(STORE_SUMS)
    sum_a[j] = affine->scale[j] * KERNEL(total)(lanes_a);
    sum_c[j] = KERNEL(total)(lanes_c);
  }
}

TARGET static void KERNEL(affine_forward)(mrl_real *h, const mrl_real *z, const mrl_affine *affine,
                                          const mrl_shape *shape){
    BY_ACTIVATION(affine_forward_by, h, z, affine, shape)}

TARGET static void KERNEL(affine_backward)(mrl_real *out, mrl_real *sum_a, mrl_real *sum_c,
                                           const mrl_real *dh, const mrl_real *z,
                                           const mrl_affine *affine, const mrl_shape *shape)
{
  BY_ACTIVATION(affine_backward_by, out, sum_a, sum_c, dh, z, affine, shape)
}

#define MOMENTS_STEP(part)                                                                         \
  {                                                                                                \
    const VEC d = CONST_AT(strip + part * LEN) - s;                                                \
    sum##part += d;                                                                                \
    square##part = FMA(d, d, square##part);                                                        \
  }

/* Sums over the rows of z - shift and of its square; `last` stands for the strip that rows cut. */
FN void KERNEL(column_sums)(mrl_real *sum, mrl_real *square, const mrl_real *z,
                            const mrl_real *last, mrl_real shift, size_t rows)
{
  mrl_real lanes[MRL_LANES], lanes_square[MRL_LANES];
  const VEC s = SPLAT(shift);
  VEC sum0 = {0}, sum1 = {0}, sum2 = {0}, sum3 = {0};
  VEC square0 = {0}, square1 = {0}, square2 = {0}, square3 = {0};
  for (size_t i = 0; i < rows; i += MRL_LANES) {
    const mrl_real *strip = i + MRL_LANES <= rows ? z + i : last;
    EACH_PART(MOMENTS_STEP)
  }
#define STORE_MOMENTS(part)                                                                        \
  AT(lanes + part * LEN) = sum##part;                                                              \
  AT(lanes_square + part * LEN) = square##part;
  EACH_PART(STORE_MOMENTS)
  *sum = KERNEL(total)(lanes);
  *square = KERNEL(total)(lanes_square);
}

/* In one pass, about the mean of the first strip (the first row, if that is not full): squares
 * about the mean of m of n rows are at most 1 + n / m times those about that of all. */
TARGET static void KERNEL(moments)(mrl_real *mean, mrl_real *square, const mrl_real *z,
                                   const mrl_shape *shape)
{
  const size_t rows = shape->rows, whole = rows - rows % MRL_LANES;
  for (size_t j = 0; j < shape->width; j++) {
    const mrl_real *zj = z + j * shape->ld;
    const mrl_real shift = whole > 0 ? KERNEL(total)(zj) / MRL_LANES : zj[0];
    mrl_real last[MRL_LANES], sum;
    for (size_t i = whole; i < rows; i++) {
      last[i - whole] = zj[i];
    }
    for (size_t i = rows; whole < rows && i < whole + MRL_LANES; i++) {
      last[i - whole] = shift;
    }
    KERNEL(column_sums)(&sum, square + j, zj, last, shift, rows);
    const double less = (double)sum * (double)sum / (double)rows;
    mean[j] = (mrl_real)((double)shift + (double)sum / (double)rows);
    square[j] = (double)square[j] < less ? 0 : (mrl_real)((double)square[j] - less);
  }
}

TARGET static void KERNEL(batch_norm_backward)(mrl_real *dz, const mrl_real *du, const mrl_real *z,
                                               const mrl_real *a, const mrl_real *k1,
                                               const mrl_real *k2, const mrl_real *mean,
                                               const mrl_shape *shape)
{
  const size_t rows = mrl_pad(shape->rows);
  for (size_t j = 0; j < shape->width; j++) {
    const VEC aj = SPLAT(a[j]), less = SPLAT(-k1[j]), slope = SPLAT(-k2[j]), mj = SPLAT(mean[j]);
    const mrl_real *uj = du + j * shape->ld, *zj = z + j * shape->ld;
    mrl_real *out = dz + j * shape->ld;
    for (size_t i = 0; i < rows; i += LEN) {
      AT(out + i) = FMA(aj, CONST_AT(uj + i), FMA(slope, CONST_AT(zj + i) - mj, less));
    }
  }
}

TARGET static void KERNEL(row_norm_forward)(mrl_real *y, mrl_real *inverse, const mrl_real *z,
                                            mrl_real eps, const mrl_shape *shape)
{
  const size_t ld = shape->ld, end = shape->width * ld;
  const mrl_real share = 1 / (mrl_real)shape->width;
  for (size_t i = 0; i < mrl_pad(shape->rows); i += LEN) {
    VEC sum = {0}, square = {0};
    for (size_t j = i; j < end; j += ld) {
      sum += CONST_AT(z + j);
    }
    const VEC mean = FMA(sum, SPLAT(share), SPLAT(0));
    for (size_t j = i; j < end; j += ld) {
      const VEC d = CONST_AT(z + j) - mean;
      square = FMA(d, d, square);
    }
    const VEC factor = 1 / SQRT(FMA(square, SPLAT(share), SPLAT(eps)));
    for (size_t j = i; j < end; j += ld) {
      AT(y + j) = (CONST_AT(z + j) - mean) * factor;
    }
    AT(inverse + i) = factor;
  }
}

TARGET static void KERNEL(row_norm_backward)(mrl_real *dz, const mrl_real *dy, const mrl_real *y,
                                             const mrl_real *inverse, const mrl_shape *shape)
{
  const size_t ld = shape->ld, end = shape->width * ld;
  const mrl_real share = 1 / (mrl_real)shape->width;
  for (size_t i = 0; i < mrl_pad(shape->rows); i += LEN) {
    VEC sum = {0}, along = {0};
    for (size_t j = i; j < end; j += ld) {
      sum += CONST_AT(dy + j);
      along = FMA(CONST_AT(dy + j), CONST_AT(y + j), along);
    }
    const VEC mean = FMA(sum, SPLAT(share), SPLAT(0)), slope = along * -share,
              factor = CONST_AT(inverse + i);
    for (size_t j = i; j < end; j += ld) {
      AT(dz + j) = FMA(slope, CONST_AT(y + j), CONST_AT(dy + j) - mean) * factor;
    }
  }
}

TARGET static void KERNEL(softmax_forward)(mrl_real *y, const mrl_real *z, const mrl_shape *shape)
{
  const size_t ld = shape->ld, end = shape->width * ld;
  for (size_t i = 0; i < mrl_pad(shape->rows); i += LEN) {
    VEC most = CONST_AT(z + i), sum = {0};
    for (size_t j = i + ld; j < end; j += ld) {
      most = WHERE_GREATER(CONST_AT(z + j), most, CONST_AT(z + j), most);
    }
    for (size_t j = i; j < end; j += ld) {
      const VEC e = EXP(CONST_AT(z + j) - most);
      AT(y + j) = e;
      sum += e;
    }
    const VEC factor = 1 / sum;
    for (size_t j = i; j < end; j += ld) {
      AT(y + j) = CONST_AT(y + j) * factor;
    }
  }
}

TARGET static void KERNEL(softmax_backward)(mrl_real *dz, const mrl_real *dy, const mrl_real *y,
                                            const mrl_shape *shape)
{
  const size_t ld = shape->ld, end = shape->width * ld;
  for (size_t i = 0; i < mrl_pad(shape->rows); i += LEN) {
    VEC along = {0};
    for (size_t j = i; j < end; j += ld) {
      along = FMA(CONST_AT(dy + j), CONST_AT(y + j), along);
    }
    for (size_t j = i; j < end; j += ld) {
      AT(dz + j) = (CONST_AT(dy + j) - along) * CONST_AT(y + j);
    }
  }
}

TARGET static void KERNEL(multiply)(mrl_real *out, const mrl_real *x, const mrl_real *y,
                                    const mrl_shape *shape)
{
  const size_t rows = mrl_pad(shape->rows);
  for (size_t j = 0; j < shape->width * shape->ld; j += shape->ld) {
    for (size_t i = j; i < j + rows; i += LEN) {
      AT(out + i) = CONST_AT(x + i) * CONST_AT(y + i);
    }
  }
}

/*
 * Dropout of a unit: 64 numbers from the eight blocks of Philox that follow rng's counter + block.
 * A word serves two numbers. Number 16 q + 2 b + h has word h + 2 (q / 2) of block b, of it the low
 * half for even q, the high half for odd q; it is kept if that is below `kept`.
 */
#if MRL_REAL_BYTES == 4 && PARTS < 4
typedef uint64_t KERNEL(words) __attribute__((vector_size(LEN * 4), may_alias));
typedef uint64_t KERNEL(words_u) __attribute__((vector_size(LEN * 4), may_alias, aligned(8)));
#if PARTS == 1
#define PRODUCT(a, b) ((KERNEL(words))_mm512_mul_epu32((__m512i)(a), (__m512i)(b)))
#else
#define PRODUCT(a, b) ((KERNEL(words))_mm256_mul_epu32((__m256i)(a), (__m256i)(b)))
#endif

/* One block in each 64-bit lane; what the upper halves hold is of no account until the end. */
TARGET static void KERNEL(keep_unit)(mrl_real *keep, const mrl_rng *rng, uint32_t block,
                                     uint32_t kept, mrl_real value)
{
  static const uint64_t lanes[8] = {0, 1, 2, 3, 4, 5, 6, 7};
  const KERNEL(words) zero = {0}, first = zero + 0xD2511F53u, second = zero + 0xCD9E8D57u;
  for (size_t part = 0; part < PARTS; part++) {
    KERNEL(words) x0 = *(const KERNEL(words_u) *)(lanes + part * LEN / 2) + block;
    KERNEL(words) x1 = zero + rng->counter[1], x2 = zero + rng->counter[2];
    KERNEL(words) x3 = zero + rng->counter[3];
    uint32_t k0 = rng->key[0], k1 = rng->key[1];
    for (int round = 0; round < 10; round++) {
      const KERNEL(words) a = PRODUCT(x0, first), b = PRODUCT(x2, second);
      x0 = (b >> 32) ^ x1 ^ k0;
      x1 = b;
      x2 = (a >> 32) ^ x3 ^ k1;
      x3 = a;
      k0 += 0x9E3779B9u;
      k1 += 0xBB67AE85u;
    }
    const IVEC pair[2] = {(IVEC)((x0 & 0xffffffffu) | (x1 << 32)),
                          (IVEC)((x2 & 0xffffffffu) | (x3 << 32))};
    for (size_t q = 0; q < 4; q++) {
      const IVEC half = (pair[q / 2] >> (q % 2 ? 16 : 0)) & 0xffff;
      AT(keep + 16 * q + part * LEN) =
          WHERE_GREATER(SPLAT(kept), __builtin_convertvector(half, VEC), SPLAT(value), SPLAT(0));
    }
  }
}
#undef PRODUCT
#else
TARGET static void KERNEL(keep_unit)(mrl_real *keep, const mrl_rng *rng, uint32_t block,
                                     uint32_t kept, mrl_real value)
{
  for (uint32_t b = 0; b < 8; b++) {
    const uint32_t counter[4] = {block + b, rng->counter[1], rng->counter[2], rng->counter[3]};
    uint32_t word[4];
    mrl_philox(word, counter, rng->key);
    for (size_t h = 0; h < 2; h++) {
      keep[2 * b + h] = (word[h] & 0xffff) < kept ? value : 0;
      keep[2 * b + h + 16] = word[h] >> 16 < kept ? value : 0;
      keep[2 * b + h + 32] = (word[h + 2] & 0xffff) < kept ? value : 0;
      keep[2 * b + h + 48] = word[h + 2] >> 16 < kept ? value : 0;
    }
  }
}
#endif

TARGET static void KERNEL(add)(mrl_real *sum, const mrl_real *x, size_t n)
{
  const size_t whole = n - n % LEN;
  for (size_t i = 0; i < whole; i += LEN) {
    AT(sum + i) += CONST_AT(x + i);
  }
  for (size_t i = whole; i < n; i++) {
    sum[i] += x[i];
  }
}

static const KERNELS KERNEL(table) = {
    KERNEL(affine_forward),   KERNEL(affine_backward),
    KERNEL(moments),          KERNEL(batch_norm_backward),
    KERNEL(row_norm_forward), KERNEL(row_norm_backward),
    KERNEL(softmax_forward),  KERNEL(softmax_backward),
    KERNEL(multiply),         KERNEL(add),
    KERNEL(keep_unit),
};

#undef EACH_PART
#undef BACKWARD_STEP
#undef STORE_SUMS
#undef MOMENTS_STEP
#undef STORE_MOMENTS
#undef BY_ACTIVATION
