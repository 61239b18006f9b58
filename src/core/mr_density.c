#include "mr_density.h"

#include <math.h>
#include <string.h>

/*
 * The density is wanted at its maximum only, so most of its 512 points are never computed. With
 * K(d) = exp(-d^2 / (2 s^2)) and points B apart, log K between two of them is the chord plus at
 * most (B/s)^2 / 8, and a chord of logs lies below the log of the chord. So a sum of kernels with
 * positive weights, seen at every B-th point, bounds the sum between these points up to the factor
 * exp((B/s)^2 / 8); and so does the sum in which each mass is split between the two nearest of the
 * coarse points. Both together (factor exp((B/s)^2 / 4)) give an upper bound for each tile of 8
 * points from a convolution on the coarse points alone. The most promising tile is computed in
 * full, then those whose bound reaches the best value found.
 */
enum {
  N = 512,          /* points of the grid and of the output */
  TILE = 8,         /* points whose density is computed together */
  LANES = TILE + 2, /* with the next tile's first, which ends the last cell; even */
  N_TILE = N / TILE,
  MAX_REACH = 329,             /* 9 sd of the kernel at its widest, 1023 / 28 steps */
  HALF = MAX_REACH + 2 * TILE, /* lags of the kernel that a tile may ask for */
};
static const double REACH_SD = 9; /* K there is 3e-18 of K(0) */

/* Masses at whole-numbered places, in their order. */
typedef struct {
  int n, place[N + 1];
  double mass[N + 1];
} masses;

typedef struct {
  double lo, up, step;       /* of the points where the density is computed */
  double from, to, out_step; /* of the output's */
  double sd;                 /* of the kernel, in its own steps */
} grid;

typedef struct {
  int reach;                  /* lags beyond which it counts as 0 */
  double value[2 * HALF + 2]; /* lag d at HALF + d */
} kernel;

typedef struct {
  double value;
  int at;
} candidate;

static inline double point(const grid *g, int i)
{
  return i == N - 1 ? g->up : g->lo + i * g->step;
}

static inline double out_point(const grid *g, int t)
{
  return t == N - 1 ? g->to : g->from + t * g->out_step;
}

static grid make_grid(const double *x, size_t n, double h)
{
  double least = x[0], most = x[0];
  for (size_t i = 1; i < n; i++) {
    least = x[i] < least ? x[i] : least;
    most = x[i] > most ? x[i] : most;
  }
  grid g = {.from = least - 3 * h, .to = most + 3 * h};
  g.lo = g.from - 4 * h;
  g.up = g.to + 4 * h;
  g.step = (g.up - g.lo) / (N - 1);
  g.out_step = (g.to - g.from) / (N - 1);
  g.sd = h / (2 * (g.up - g.lo) / (2 * N - 1));
  return g;
}

/* Each weight is split between the two points around it. */
static void bin(double mass[N + 1], const grid *g, const double *x, const double *weight, size_t n)
{
  memset(mass, 0, (N + 1) * sizeof *mass);
  for (size_t i = 0; i < n; i++) {
    const double place = (x[i] - g->lo) / g->step;
    const int left = (int)place;
    const double beyond = place - left;
    mass[left] += weight[i] * (1 - beyond);
    mass[left + 1] += weight[i] * beyond;
  }
}

static void compact(masses *out, const double *mass, int n)
{
  int k = 0;
  for (int i = 0; i < n; i++) {
    out->place[k] = i;
    out->mass[k] = mass[i];
    k += mass[i] > 0;
  }
  out->n = k;
}

/* Each mass split between the two nearest multiples of `stride`, a power of two; these get numbers
 * 0, 1, ... */
static void coarsen(masses *out, const masses *fine, int stride)
{
  double mass[N + 2];
  const int n = N / stride + 1;
  const double one = 1.0 / stride;
  int shift = 0;
  while (1 << shift < stride) {
    shift++;
  }
  memset(mass, 0, (size_t)(n + 1) * sizeof *mass);
  for (int i = 0; i < fine->n; i++) {
    const int left = fine->place[i] >> shift;
    const double beyond = (fine->place[i] & (stride - 1)) * one;
    mass[left] += fine->mass[i] * (1 - beyond);
    mass[left + 1] += fine->mass[i] * beyond;
  }
  compact(out, mass, n);
}

/*
 * K at all lags that a tile asks for. exp() at every eighth lag; at r more, with a = 1/(2 sd^2),
 * K(8m + r) = K(8m) exp(-16 a m)^r exp(-a r^2).
 */
static void fill_kernel(kernel *k, double sd)
{
  const double a = 0.5 / (sd * sd);
  const double reach = ceil(REACH_SD * sd);
  k->reach = reach < MAX_REACH ? (int)reach : MAX_REACH;
  const int end = k->reach + LANES;
  double within[TILE], *const right = k->value + HALF;
  for (int r = 0; r < TILE; r++) {
    within[r] = exp(-a * r * r);
  }
  const double drift_step = exp(-2 * a * TILE);
  double drift = 1;
  for (int lag = 0; lag < end; lag += TILE) {
    double value = exp(-a * lag * lag);
    for (int r = 0; r < TILE; r++) {
      right[lag + r] = value * within[r];
      value *= drift;
    }
    drift *= drift_step;
  }
  for (int lag = 1; lag < end; lag++) {
    k->value[HALF - lag] = right[lag];
  }
}

/* Every stride-th lag; 0 beyond the reach. */
static void thin_kernel(kernel *out, const kernel *k, int stride)
{
  out->reach = k->reach / stride + 1;
  for (int lag = 0; lag < out->reach + LANES; lag++) {
    const double value = lag * stride <= k->reach ? k->value[HALF + lag * stride] : 0;
    out->value[HALF + lag] = value;
    out->value[HALF - lag] = value;
  }
}

typedef double pair __attribute__((vector_size(16), may_alias, aligned(8)));

static int first_at_least(const masses *m, int place)
{
  int low = 0, n = m->n;
  while (n > 0) {
    const int half = n / 2;
    if (m->place[low + half] < place) {
      low += half + 1;
      n -= half + 1;
    } else {
      n = half;
    }
  }
  return low;
}

/* out[first .. first + LANES - 1]: the density there, in units of K(0). */
static void smooth_tile(double *out, const masses *m, const kernel *k, int first)
{
  const int end = first + LANES - 1 + k->reach;
  const double *const centre = k->value + HALF + first;
  pair a = {0, 0}, b = a, c = a, d = a, e = a;
  for (int i = first_at_least(m, first - k->reach); i < m->n && m->place[i] <= end; i++) {
    const pair *const lag = (const pair *)(centre - m->place[i]);
    const pair mass = {m->mass[i], m->mass[i]};
    a += mass * lag[0];
    b += mass * lag[1];
    c += mass * lag[2];
    d += mass * lag[3];
    e += mass * lag[4];
  }
  pair *const to = (pair *)(out + first);
  to[0] = a;
  to[1] = b;
  to[2] = c;
  to[3] = d;
  to[4] = e;
}

/* The points of the output between points i and i + 1 of the grid. */
static void search_cell(candidate *best, const grid *g, const double *density, int i)
{
  const double left = point(g, i), right = point(g, i + 1);
  int t = (int)((left - g->from) / g->out_step) - 1;
  for (t = t < 0 ? 0 : t; t < N && out_point(g, t) < right; t++) {
    const double x = out_point(g, t);
    if (x < left) {
      continue;
    }
    const double share = (x - left) / (right - left);
    const double value = density[i] + (density[i + 1] - density[i]) * share;
    if (value > best->value || (value == best->value && t < best->at)) {
      best->value = value;
      best->at = t;
    }
  }
}

static void search_tile(candidate *best, double *density, const grid *g, const masses *m,
                        const kernel *k, int tile)
{
  const int first = tile * TILE;
  smooth_tile(density, m, k, first);
  int top = first;
  for (int i = first; i < first + TILE; i++) {
    top = density[i] > density[top] ? i : top;
  }
  const int last = first + TILE - 1 < N - 2 ? first + TILE - 1 : N - 2;
  search_cell(best, g, density, top < N - 2 ? top : N - 2);
  for (int i = first; i <= last; i++) {
    if (density[i] >= best->value || density[i + 1] >= best->value) {
      search_cell(best, g, density, i);
    }
  }
}

/* As far apart as leaves the factor of the bounds near 1; 8 for most samples. */
static int coarse_stride(double sd)
{
  int stride = TILE;
  while (stride > 1 && stride > 0.7 * sd) {
    stride /= 2;
  }
  return stride;
}

/* bound[q], q = first .. last: no value in tile q is greater. */
static void bound_tiles(double bound[N_TILE], const masses *fine, const kernel *k, double sd,
                        int first, int last)
{
  const int stride = coarse_stride(sd), per_tile = TILE / stride;
  const double ratio = stride / sd;
  /* With stride 1 the points are those of the grid. 1e-9: rounding, and lags beyond the reach. */
  const double factor = (stride == 1 ? 1 : exp(ratio * ratio / 4)) * (1 + 1e-9);
  masses coarse;
  kernel thin;
  double seen[N + 2 * LANES];
  coarsen(&coarse, fine, stride);
  thin_kernel(&thin, k, stride);
  for (int i = first * per_tile; i <= (last + 1) * per_tile; i += LANES) {
    smooth_tile(seen, &coarse, &thin, i);
  }
  for (int q = first; q <= last; q++) {
    double most = seen[q * per_tile];
    for (int i = 1; i <= per_tile; i++) {
      const double value = seen[q * per_tile + i];
      most = value > most ? value : most;
    }
    bound[q] = most * factor;
  }
}

/* Left of all masses the density rises and right of them it falls, so these tiles hold the mode. */
static int find_mode(const grid *g, const masses *m)
{
  const int first = m->place[0] > 0 ? (m->place[0] - 1) / TILE : 0;
  const int last = m->place[m->n - 1] / TILE < N_TILE ? m->place[m->n - 1] / TILE : N_TILE - 1;
  kernel k;
  double bound[N_TILE], density[N + LANES];
  fill_kernel(&k, g->sd);
  bound_tiles(bound, m, &k, g->sd, first, last);
  int top = first;
  for (int q = first; q <= last; q++) {
    top = bound[q] > bound[top] ? q : top;
  }
  candidate best = {-1, 0};
  search_tile(&best, density, g, m, &k, top);
  for (int q = first; q <= last; q++) {
    if (q != top && bound[q] >= best.value) {
      search_tile(&best, density, g, m, &k, q);
    }
  }
  return best.at;
}

double mrl_density_mode(const double *x, const double *weight, size_t n, double h)
{
  const grid g = make_grid(x, n, h);
  if (!(g.step > 0 && g.out_step > 0 && isfinite(g.step) && g.lo + g.step > g.lo &&
        g.up - g.step < g.up)) {
    return NAN;
  }
  double mass[N + 1];
  masses m;
  bin(mass, &g, x, weight, n);
  compact(&m, mass, N);
  if (m.n == 0) {
    return NAN;
  }
  return out_point(&g, find_mode(&g, &m));
}
