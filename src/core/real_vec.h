/*
 * Registers of mrl_real and the functions that networks need of them, for one instruction set;
 * included by real_isa.h (no include guard). In float the functions are polynomials of our own,
 * fitted by weighted least squares to a minimal largest error, with relative errors of a few
 * roundings; in double, which serves the checks only, they call libm for each number. NaN stays
 * NaN.
 */
#include <math.h>
#include <stdint.h>

#ifndef MRL_REAL_VEC_TYPES
#define MRL_REAL_VEC_TYPES
#if MRL_REAL_BYTES == 4
typedef int32_t real_int;
#define REAL_SQRT sqrtf
#else
typedef int64_t real_int;
#define REAL_SQRT sqrt
#endif
#endif

typedef mrl_real KERNEL(vec) __attribute__((vector_size(LEN * MRL_REAL_BYTES), may_alias));
typedef real_int KERNEL(ivec) __attribute__((vector_size(LEN * MRL_REAL_BYTES), may_alias));
/* The same at any address. */
typedef mrl_real KERNEL(vec_u)
    __attribute__((vector_size(LEN * MRL_REAL_BYTES), may_alias, aligned(MRL_REAL_BYTES)));

#define VEC KERNEL(vec)
#define IVEC KERNEL(ivec)
#define FN TARGET static inline __attribute__((always_inline, unused))
#define AT(p) (*(KERNEL(vec_u) *)(p))
#define CONST_AT(p) (*(const KERNEL(vec_u) *)(p))
#define SPLAT(x) ((mrl_real)(x) - (VEC){0}) /* x - 0 is x, -0 included; becomes a broadcast */

FN VEC KERNEL(choose)(IVEC mask, VEC yes, VEC no)
{
  return (VEC)((mask & (IVEC)yes) | (~mask & (IVEC)no));
}

FN VEC KERNEL(each_sqrt)(VEC x)
{
  for (size_t i = 0; i < LEN; i++) {
    x[i] = REAL_SQRT(x[i]);
  }
  return x;
}

/* The larger and the smaller; a NaN in x stays. */
FN VEC KERNEL(at_least)(VEC x, mrl_real bound)
{
  return LARGER(SPLAT(bound), x);
}

FN VEC KERNEL(at_most)(VEC x, mrl_real bound)
{
  return SMALLER(SPLAT(bound), x);
}

FN VEC KERNEL(magnitude)(VEC x)
{
  const IVEC sign = (IVEC)(-(VEC){0});
  return (VEC)((IVEC)x & ~sign);
}

/* |x| with the sign of s. */
FN VEC KERNEL(signed_as)(VEC x, VEC s)
{
  const IVEC sign = (IVEC)(-(VEC){0});
  return (VEC)(((IVEC)x & ~sign) | ((IVEC)s & sign));
}

#if MRL_REAL_BYTES == 4
/* exp(x) of x below 88.3: 0 below -87.7, where 2^whole has no bits left. */
FN VEC KERNEL(exp_of_low)(VEC x)
{
  const VEC magic = SPLAT(12582912.0f); /* 1.5 * 2^23: adding it rounds to a whole number */
  const VEC in = KERNEL(at_least)(x, -88.0f);
  const VEC shifted = FMA(in, SPLAT(1.44269504f), magic), whole = shifted - magic;
  VEC r = FMA(whole, SPLAT(-0.693359375f), in); /* log(2) in two parts, the first of 10 bits */
  r = FMA(whole, SPLAT(2.12194440e-4f), r);
  VEC p = SPLAT(0.00138145976f);
  p = FMA(p, r, SPLAT(0.00836871751f));
  p = FMA(p, r, SPLAT(0.041668389f));
  p = FMA(p, r, SPLAT(0.166665211f));
  p = FMA(p, r, SPLAT(0.5f));
  p = FMA(p, r, SPLAT(1.0f));
  p = FMA(p, r, SPLAT(1.0f));
  return p * (VEC)(((IVEC)shifted << 23) + 0x3f800000); /* times 2^whole */
}

/* exp(x): the largest exponent's value (2.4e38) above 88.3. */
FN VEC KERNEL(exp_of)(VEC x)
{
  return KERNEL(exp_of_low)(KERNEL(at_most)(x, 88.3762f));
}

/* log(x) of positive, normal x. */
FN VEC KERNEL(log_of)(VEC x)
{
  const IVEC bits = (IVEC)x, above = bits - 0x3f3504f3; /* sqrt(1/2) */
  const IVEC e = above >> 23;
  const VEC m = (VEC)(bits - (IVEC)(e << 23)); /* [sqrt(1/2), sqrt(2)) */
  const VEC exponent = __builtin_convertvector(e, VEC);
  const VEC s = (m - 1.0f) / (m + 1.0f), z = s * s; /* log(m) = 2 artanh(s) */
  VEC p = SPLAT(0.298721522f);
  p = FMA(p, z, SPLAT(0.399775267f));
  p = FMA(p, z, SPLAT(0.666667759f));
  const VEC tail = FMA(exponent, SPLAT(-2.12194440e-4f), s * z * p);
  const VEC small = FMA(SPLAT(2.0f), s, tail);
  return FMA(exponent, SPLAT(0.693359375f), small) + (x - x); /* x - x: NaN stays */
}

FN VEC KERNEL(tanh_of)(VEC x)
{
  const VEC v = KERNEL(magnitude)(x), z = x * x;
  VEC p = SPLAT(-0.00570498733f);
  p = FMA(p, z, SPLAT(0.020639088f));
  p = FMA(p, z, SPLAT(-0.0537397154f));
  p = FMA(p, z, SPLAT(0.133314416f));
  p = FMA(p, z, SPLAT(-0.333332807f));
  const VEC near = FMA(v * z, p, v);
  const VEC far = 1.0f - 2.0f / (KERNEL(exp_of)(v + v) + 1.0f);
  return KERNEL(signed_as)(WHERE_GREATER(v, SPLAT(0.625f), far, near), x);
}

/*
 * The standard normal at v >= 0: returns its density times sqrt(2 pi); *mills times that is the
 * upper tail. Mills' ratio over sqrt(2 pi) is r times a polynomial in r = 1 / (1 + .35 v) to 3e-8:
 * exact in the far tail too, and one exponential serves both.
 */
FN VEC KERNEL(normal_of)(VEC *mills, VEC v)
{
  const VEC r = 1.0f / FMA(v, SPLAT(0.35f), SPLAT(1.0f));
  VEC p = SPLAT(-0.0291088838f);
  p = FMA(p, r, SPLAT(0.143787995f));
  p = FMA(p, r, SPLAT(-0.255326807f));
  p = FMA(p, r, SPLAT(0.158721477f));
  p = FMA(p, r, SPLAT(-0.0227903798f));
  p = FMA(p, r, SPLAT(0.105369039f));
  p = FMA(p, r, SPLAT(0.119869128f));
  p = FMA(p, r, SPLAT(0.139856696f));
  p = FMA(p, r, SPLAT(0.139621705f));
  *mills = r * p;
  return KERNEL(exp_of_low)(v * v * -0.5f);
}

/* log(1 + t) for 0 <= t <= 1: 2 artanh(s), s = t / (2 + t). */
FN VEC KERNEL(log_above_one)(VEC t)
{
  const VEC s = t / (2.0f + t), z = s * s, twice = s + s;
  VEC p = SPLAT(0.140059934f);
  p = FMA(p, z, SPLAT(0.140009027f));
  p = FMA(p, z, SPLAT(0.200107636f));
  p = FMA(p, z, SPLAT(0.333332081f));
  return FMA(twice * z, p, twice);
}
#else
FN VEC KERNEL(exp_of)(VEC x)
{
  for (size_t i = 0; i < LEN; i++) {
    x[i] = exp(x[i]);
  }
  return x;
}

FN VEC KERNEL(exp_of_low)(VEC x)
{
  return KERNEL(exp_of)(x);
}

FN VEC KERNEL(log_of)(VEC x)
{
  for (size_t i = 0; i < LEN; i++) {
    x[i] = log(x[i]);
  }
  return x;
}

FN VEC KERNEL(tanh_of)(VEC x)
{
  for (size_t i = 0; i < LEN; i++) {
    x[i] = tanh(x[i]);
  }
  return x;
}

FN VEC KERNEL(normal_of)(VEC *mills, VEC v)
{
  for (size_t i = 0; i < LEN; i++) {
    const double density = exp(-0.5 * v[i] * v[i]);
    (*mills)[i] = density > 0 ? 0.5 * erfc(v[i] * 0.70710678118654752) / density : 0;
    v[i] = density;
  }
  return v;
}

FN VEC KERNEL(log_above_one)(VEC t)
{
  for (size_t i = 0; i < LEN; i++) {
    t[i] = log1p(t[i]);
  }
  return t;
}
#endif

#define EXP(x) KERNEL(exp_of)(x)
#define LOG(x) KERNEL(log_of)(x)

/* exp(-|x|). */
FN VEC KERNEL(exp_down)(VEC x)
{
  return KERNEL(exp_of_low)(-KERNEL(magnitude)(x));
}

/* 1 / (1 + exp(-x)), exact in both tails. */
FN VEC KERNEL(sigmoid_of)(VEC x)
{
  const VEC t = KERNEL(exp_down)(x), s = 1 / (1 + t);
  return WHERE_GREATER(SPLAT(0), x, t * s, s);
}

/* log(1 + exp(x)). */
FN VEC KERNEL(softplus_of)(VEC x)
{
  return KERNEL(at_least)(x, 0) + KERNEL(log_above_one)(KERNEL(exp_down)(x));
}

/* x times the normal distribution function of x: max(x, 0) less |x| times the tail. */
FN VEC KERNEL(gelu_of)(VEC x)
{
  const VEC v = KERNEL(magnitude)(x);
  VEC mills;
  const VEC density = KERNEL(normal_of)(&mills, v);
  return FMA(-v, density * mills, KERNEL(at_least)(x, 0));
}

/* Its derivative: tail - |x| density below 0, and 1 less that above. */
FN VEC KERNEL(gelu_slope)(VEC x)
{
  const VEC v = KERNEL(magnitude)(x);
  VEC mills;
  const VEC density = KERNEL(normal_of)(&mills, v);
  const VEC below = density * FMA(v, SPLAT(-0.39894228040143268), mills);
  return WHERE_GREATER(x, SPLAT(0), 1 - below, below);
}
