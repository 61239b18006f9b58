/*
 * The loops of mr_mm.c: passes over the rows of y = a b[0] + x b[1] + error with Tukey's bisquare,
 * two doubles at a time.
 */
#ifndef MRL_MR_MM_KERNEL_H
#define MRL_MR_MM_KERNEL_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>

/* lmrob()'s tuning constants for breakdown 1/2, and for efficiency 0.95 at the normal. */
static const double tune_scale = 1.54764;
static const double tune_psi = 4.685061;

/* Two doubles at a time: the widest vector that every x86-64 and arm64 has. Arrays are padded by
 * rows of zeros to a multiple of LANES; such a row adds nothing to any sum. */
typedef double v2 __attribute__((vector_size(16), aligned(8), may_alias));
typedef int64_t v2i __attribute__((vector_size(16)));
enum { LANES = 4 };

typedef struct {
  double *a, *x, *y, *r; /* (padded); r: residuals */
  size_t n, padded;
  int p;
} rows;

/* An S-estimate, or a fit on the way to one. */
typedef struct {
  double b[2];
  double scale;
} candidate;

static inline double pair_sum(v2 x, v2 y)
{
  const v2 sum = x + y;
  return sum[0] + sum[1];
}

/* max(0, 1 - (r scale)^2): the root of the bisquare's weight. */
static inline v2 bite(v2 r, double inverse)
{
  const v2 u = r * inverse;
  const v2 d = 1 - u * u;
  return (v2)((v2i)d & (v2i)(d > 0));
}

static inline void residuals(rows *data, const double b[2])
{
  const double b0 = b[0], b1 = b[1];
  for (size_t i = 0; i < data->padded; i += 2) {
    *(v2 *)(data->r + i) =
        *(v2 *)(data->y + i) - b0 * *(v2 *)(data->a + i) - b1 * *(v2 *)(data->x + i);
  }
}

/* Sum of rho(r / scale) = 1 - (1 - u^2)^3, and if slope is asked for, of u rho'(u). */
static inline double sum_rho(const rows *data, double scale, double *slope)
{
  const double inverse = 1 / (tune_scale * scale);
  v2 s0 = {0, 0}, s1 = {0, 0}, t0 = {0, 0}, t1 = {0, 0};
  for (size_t i = 0; i < data->padded; i += LANES) {
    const v2 d0 = bite(*(v2 *)(data->r + i), inverse), d1 = bite(*(v2 *)(data->r + i + 2), inverse);
    s0 += 1 - d0 * d0 * d0;
    s1 += 1 - d1 * d1 * d1;
    if (slope) {
      t0 += (1 - d0) * d0 * d0;
      t1 += (1 - d1) * d1 * d1;
    }
  }
  if (slope) {
    *slope = 6 * pair_sum(t0, t1);
  }
  return pair_sum(s0, s1);
}

/* Both in one pass: residuals at b into r, and their sum of rho. */
static inline double residuals_rho(rows *data, const double b[2], double scale)
{
  const double inverse = 1 / (tune_scale * scale), b0 = b[0], b1 = b[1];
  v2 s0 = {0, 0}, s1 = {0, 0};
  for (size_t i = 0; i < data->padded; i += LANES) {
    const v2 r0 = *(v2 *)(data->y + i) - b0 * *(v2 *)(data->a + i) - b1 * *(v2 *)(data->x + i);
    const v2 r1 =
        *(v2 *)(data->y + i + 2) - b0 * *(v2 *)(data->a + i + 2) - b1 * *(v2 *)(data->x + i + 2);
    const v2 d0 = bite(r0, inverse), d1 = bite(r1, inverse);
    *(v2 *)(data->r + i) = r0;
    *(v2 *)(data->r + i + 2) = r1;
    s0 += 1 - d0 * d0 * d0;
    s1 += 1 - d1 * d1 * d1;
  }
  return pair_sum(s0, s1);
}

static inline double target(const rows *data)
{
  return 0.5 * (double)(data->n - (size_t)data->p);
}

/* The scale that solves sum rho(r / scale) = target, by Newton's method on its logarithm from a
 * guess; 0 if it falls below `least`. */
static inline double solve_scale(const rows *data, double guess, double least)
{
  double scale = guess;
  for (int i = 0; i < 100 && scale > least; i++) {
    double slope = 0;
    const double excess = sum_rho(data, scale, &slope) - target(data);
    double step = slope > 0 ? excess / slope : excess > 0 ? 1 : -1;
    step = fmax(-1, fmin(1, step));
    scale *= exp(step);
    if (fabs(step) < 1e-14) {
      break;
    }
  }
  return scale > least ? scale : 0;
}

/* One weighted least squares step: weights of the residuals at b, scaled by tune * scale. 0 if the
 * weighted columns are collinear. */
static inline int least_squares(double next[2], const rows *data, const double b[2], double width)
{
  const double inverse = 1 / width, b0 = b[0], b1 = b[1];
  v2 aa = {0, 0}, ax = {0, 0}, xx = {0, 0}, ar = {0, 0}, xr = {0, 0};
  for (size_t i = 0; i < data->padded; i += 2) {
    const v2 a = *(v2 *)(data->a + i), x = *(v2 *)(data->x + i);
    const v2 r = *(v2 *)(data->y + i) - b0 * a - b1 * x;
    const v2 d = bite(r, inverse), w = d * d, wa = w * a, wx = w * x;
    aa += wa * a;
    ax += wa * x;
    xx += wx * x;
    ar += wa * r;
    xr += wx * r;
  }
  const double saa = aa[0] + aa[1], sax = ax[0] + ax[1], sxx = xx[0] + xx[1];
  const double sar = ar[0] + ar[1], sxr = xr[0] + xr[1];
  if (data->p == 1) {
    next[0] = 0;
    next[1] = b1 + sxr / sxx;
    return sxx > 0;
  }
  const double det = saa * sxx - sax * sax;
  next[0] = b0 + (sxx * sar - sax * sxr) / det;
  next[1] = b1 + (saa * sxr - sax * sar) / det;
  return det > 1e-14 * saa * sxx;
}

#endif
