#include "mr_density.h"

#include <math.h>

/*
 * Branch and bound. Between two points d apart, a sum of normal kernels with positive weights is at
 * most exp((d/h)^2 / 8) times the greater of its values there (see mr_density.c), and where it is
 * largest some value lies within h. So the neighbourhoods of all values are walked in steps of
 * h / 2, intervals whose bound reaches the best density found are halved, and the smallest of these
 * end in Newton steps.
 */

static const double REACH_SD = 9;    /* the kernel there is 3e-18 of its height */
static const double SMALLEST = 1e-3; /* in units of h: Newton's steps converge from there */

typedef struct {
  const mrl_weighted *item;
  size_t n;
  double h;
  double at, most; /* the best found */
} search;

typedef struct {
  double value, slope, bend; /* density, first and second derivative, by distance in units of h */
} shape;

static size_t first_at_least(const search *s, double value)
{
  size_t low = 0, n = s->n;
  while (n > 0) {
    const size_t half = n / 2;
    if (s->item[low + half].value < value) {
      low += half + 1;
      n -= half + 1;
    } else {
      n = half;
    }
  }
  return low;
}

static shape shape_at(search *s, double u)
{
  shape out = {0, 0, 0};
  for (size_t i = first_at_least(s, u - REACH_SD * s->h); i < s->n; i++) {
    const double d = (s->item[i].value - u) / s->h;
    if (d > REACH_SD) {
      break;
    }
    const double k = s->item[i].weight * exp(-0.5 * d * d);
    out.value += k;
    out.slope += k * d;
    out.bend += k * (d * d - 1);
  }
  if (out.value > s->most) {
    s->most = out.value;
    s->at = u;
  }
  return out;
}

static void polish(search *s, double u)
{
  for (int i = 0; i < 6; i++) {
    const shape here = shape_at(s, u);
    const double step = -here.slope / here.bend;
    if (!(here.bend < 0 && fabs(step) < 10 * SMALLEST)) {
      return;
    }
    u += step * s->h;
  }
}

/* at_left, at_right: the densities at the ends of an interval, width in units of h. */
static void refine(search *s, double left, double at_left, double right, double at_right,
                   double width)
{
  const double greater = at_left > at_right ? at_left : at_right;
  if (greater * exp(width * width / 8) < s->most) {
    return;
  }
  if (width < SMALLEST) {
    polish(s, at_left > at_right ? left : right);
    return;
  }
  const double middle = left + (right - left) / 2;
  const double at_middle = shape_at(s, middle).value;
  refine(s, left, at_left, middle, at_middle, width / 2);
  refine(s, middle, at_middle, right, at_right, width / 2);
}

/* Intervals of h / 2 from h before the first value to h after the last; gaps are jumped over. */
static void walk(search *s)
{
  const double step = s->h / 2;
  double left = s->item[0].value - s->h;
  double at_left = shape_at(s, left).value;
  for (size_t i = 0; i < s->n; i++) {
    if (s->item[i].value - s->h > left) {
      left = s->item[i].value - s->h;
      at_left = shape_at(s, left).value;
    }
    while (left < s->item[i].value + s->h) {
      const double right = left + step;
      if (!(right > left)) {
        return; /* h is below the spacing of numbers here */
      }
      const double at_right = shape_at(s, right).value;
      refine(s, left, at_left, right, at_right, 0.5);
      left = right;
      at_left = at_right;
    }
  }
}

double mrl_density_mode_exact(const mrl_weighted *item, size_t n, double h)
{
  search s = {item, n, h, item[0].value, -1};
  for (size_t i = 0; i < n; i++) {
    shape_at(&s, item[i].value); /* a good value first prunes more */
  }
  walk(&s);
  return s.at;
}
