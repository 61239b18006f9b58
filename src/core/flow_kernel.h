/*
 * The loops of flow_loops.c for one instruction set; included by real_isa.h. Sums run in
 * MRL_LANES lanes, added up at the end, so that all instruction sets add in one order. exp and log
 * are Taylor series of our own, to a rounding or two: libm takes one number at a time.
 */

static const double KERNEL(exp_series)[] = {
    1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800, 1.0 / 362880, 1.0 / 40320, 1.0 / 5040,
    1.0 / 720,       1.0 / 120,      1.0 / 24,      1.0 / 6,      1.0 / 2,     1.0};

/* exp(-v), v >= 0: 2^k exp(r), |r| < .347; below exp(-700) it stays there. */
FN VEC KERNEL(fall)(VEC v)
{
  const VEC magic = SPLAT(6755399441055744.0); /* 1.5 * 2^52: adding it rounds to whole numbers */
  const VEC in = KERNEL(at_least)(-v, -700.0);
  const VEC shifted = FMA(in, SPLAT(1.4426950408889634), magic), whole = shifted - magic;
  VEC r = FMA(whole, SPLAT(-0x1.62e42feep-1), in); /* log(2) in two parts */
  r = FMA(whole, SPLAT(-0x1.a39ef35793c76p-33), r);
  VEC p = SPLAT(KERNEL(exp_series)[0]);
  for (size_t i = 1; i < 12; i++) {
    p = FMA(p, r, SPLAT(KERNEL(exp_series)[i]));
  }
  p = FMA(p, r, SPLAT(1.0));
  return p * (VEC)(((IVEC)shifted << 52) + 0x3ff0000000000000);
}

static const double KERNEL(log_series)[] = {1.0 / 31, 1.0 / 29, 1.0 / 27, 1.0 / 25, 1.0 / 23,
                                            1.0 / 21, 1.0 / 19, 1.0 / 17, 1.0 / 15, 1.0 / 13,
                                            1.0 / 11, 1.0 / 9,  1.0 / 7,  1.0 / 5,  1.0 / 3};

/* log(1 + t), 0 <= t <= 1: 2 artanh(z), z = t / (2 + t) <= 1/3; the first term left out is below
 * 2e-17 of it. */
FN VEC KERNEL(log_of_more)(VEC t)
{
  const VEC z = t / (2.0 + t), square = z * z, twice = z + z;
  VEC p = SPLAT(KERNEL(log_series)[0]);
  for (size_t i = 1; i < 15; i++) {
    p = FMA(p, square, SPLAT(KERNEL(log_series)[i]));
  }
  return FMA(twice * square, p, twice);
}

TARGET static void KERNEL(affine)(double *x, size_t ldx, const double *on, const double *h,
                                  const double *b, size_t in, size_t out, size_t rows, size_t ld)
{
  for (size_t j = 0; j < out; j++) {
    const double *bj = b + j * (in + 1);
    for (size_t i = 0; i < rows; i += LEN) {
      VEC sum = SPLAT(bj[0]) * CONST_AT(on + i);
      for (size_t k = 0; k < in; k++) {
        sum = FMA(SPLAT(bj[k + 1]), CONST_AT(h + i + k * ld), sum);
      }
      AT(x + i + j * ldx) = sum;
    }
  }
}

FN double KERNEL(added)(const double *lanes)
{
  return ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) +
         ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
}

TARGET static double KERNEL(bend)(double *x, double *s, double *q, const double *on, double m,
                                  double tau, size_t rows)
{
  double lanes[MRL_LANES], product = 1;
  const VEC inverse = SPLAT(1 / tau), width = SPLAT(tau), less = SPLAT(-m), more = SPLAT(m);
  for (size_t l = 0; l < MRL_LANES; l += LEN) {
    VEC slopes = SPLAT(1);
    for (size_t i = l; i < rows; i += MRL_LANES) {
      const VEC at = CONST_AT(x + i), in = CONST_AT(on + i);
      const VEC t = KERNEL(fall)(KERNEL(magnitude)(at) * inverse), part = 1 / (1 + t);
      const VEC si = WHERE_GREATER(at, SPLAT(0), t * part, part) * in;
      const VEC qi = FMA(width, KERNEL(log_of_more)(t), KERNEL(at_least)(-at, 0));
      AT(x + i) = FMA(less, qi, at) * in;
      AT(s + i) = si;
      AT(q + i) = qi;
      slopes *= FMA(more, si, SPLAT(1));
    }
    AT(lanes + l) = slopes;
  }
  for (size_t l = 0; l < MRL_LANES; l++) {
    product *= lanes[l];
  }
  return log(product);
}

TARGET static double KERNEL(unbend)(double *dh, const double *s, const double *q, double m,
                                    double tau, double share, size_t rows)
{
  double bent[MRL_LANES], sloped[MRL_LANES];
  const VEC more = SPLAT(m), curved = SPLAT(share * m / tau);
  for (size_t l = 0; l < MRL_LANES; l += LEN) {
    VEC sum = {0}, slopes = {0};
    for (size_t i = l; i < rows; i += MRL_LANES) {
      const VEC d = CONST_AT(dh + i), si = CONST_AT(s + i), g = FMA(more, si, SPLAT(1));
      const VEC part = si / g;
      AT(dh + i) = FMA(d, g, curved * part * (1 - si));
      sum = FMA(d, CONST_AT(q + i), sum);
      slopes += part;
    }
    AT(bent + l) = sum;
    AT(sloped + l) = slopes;
  }
  return -KERNEL(added)(bent) - share * KERNEL(added)(sloped);
}

TARGET static double KERNEL(cross)(const double *a, const double *b, size_t rows)
{
  double lanes[MRL_LANES];
  for (size_t l = 0; l < MRL_LANES; l += LEN) {
    VEC sum = {0};
    for (size_t i = l; i < rows; i += MRL_LANES) {
      sum = FMA(CONST_AT(a + i), CONST_AT(b + i), sum);
    }
    AT(lanes + l) = sum;
  }
  return KERNEL(added)(lanes);
}

static const KERNELS KERNEL(table) = {KERNEL(affine), KERNEL(bend), KERNEL(unbend), KERNEL(cross)};
