#include "mr_hetpen.h"

#include <float.h>
#include <math.h>

/* Sums over the variants of a subset: weights 1 / variance, ratios by them (about the mean of all)
 * and their squares, logarithms of the standard errors; how many they are. */
typedef struct {
  double weight, first, second, log_se, count;
} sums;

/*
 * A subset of n variants is one of its first n / 2 and one of the others, whose sums are tabled, so
 * that each subset costs one addition and none carries another's rounding.
 */
typedef struct {
  sums *low, *high;
  size_t n_low, n_high; /* subsets */
  double centre;        /* that ratios are taken from */
  double log_odds;      /* of the prior */
  double pad;           /* standard errors about a part that the search covers */
  double top;           /* the greatest log weight */
} mixture;

/* A subset's part of the mixture, weight in logarithm. */
typedef struct {
  double log_weight, mean, se;
} part;

/* Parts that weigh less, even all together, cannot be seen. */
static const double negligible = 50;
/* Standard errors at which a normal density ends: exp(-0.5 * 9^2) = 3e-18. */
static const double reach = 9;

enum { MAX_GRID = 20001, N_AT = 2 };

static size_t half_subsets(size_t n)
{
  return (size_t)1 << n;
}

size_t mrl_mr_hetpen_work(size_t n)
{
  n = n < MRL_MR_HETPEN_MAX ? n : MRL_MR_HETPEN_MAX;
  return 5 * (half_subsets(n / 2) + half_subsets(n - n / 2)) + MAX_GRID;
}

static void tabulate(sums *out, const mrl_mr_data *d, size_t from, size_t to, double centre)
{
  const sums none = {0, 0, 0, 0, 0};
  out[0] = none;
  for (size_t i = from, size = 1; i < to; i++, size *= 2) {
    const double se = fabs(d->sy[i] / d->bx[i]), w = 1 / (se * se);
    const double r = d->by[i] / d->bx[i] - centre;
    for (size_t s = 0; s < size; s++) {
      const sums with = {out[s].weight + w, out[s].first + w * r, out[s].second + w * r * r,
                         out[s].log_se + log(se), out[s].count + 1};
      out[size + s] = with;
    }
  }
}

/* 0 for subsets of fewer than two variants, which have no part. */
static int part_of(part *out, const mixture *mix, size_t low, size_t high)
{
  const sums *a = &mix->low[low], *b = &mix->high[high];
  const double count = a->count + b->count;
  if (count < 2) {
    return 0;
  }
  const double weight = a->weight + b->weight, first = a->first + b->first;
  const double mean = first / weight;
  const double q = fmax(0, a->second + b->second - first * mean);
  out->log_weight = count * mix->log_odds - (a->log_se + b->log_se) - 0.5 * q;
  out->mean = mean;
  out->se = sqrt(fmax(1, q / (count - 1)) / weight);
  return 1;
}

/* Greatest log weight, and where the parts that count lie. */
static void survey(mixture *mix, double *least, double *most, double *narrowest)
{
  part p;
  mix->top = -INFINITY;
  for (size_t h = 0; h < mix->n_high; h++) {
    for (size_t l = 0; l < mix->n_low; l++) {
      if (part_of(&p, mix, l, h)) {
        mix->top = fmax(mix->top, p.log_weight);
      }
    }
  }
  *least = INFINITY;
  *most = -INFINITY;
  *narrowest = INFINITY;
  for (size_t h = 0; h < mix->n_high; h++) {
    for (size_t l = 0; l < mix->n_low; l++) {
      if (part_of(&p, mix, l, h) && p.log_weight > mix->top - negligible / 2) {
        *least = fmin(*least, p.mean - mix->pad * p.se);
        *most = fmax(*most, p.mean + mix->pad * p.se);
        *narrowest = fmin(*narrowest, p.se);
      }
    }
  }
}

/* Adds one side of a normal density to a grid of `step`: from the point k on in direction `side`,
 * as long as it can be seen. The ratio of neighbours itself has a constant ratio. */
static void add_side(double *grid, ptrdiff_t n, ptrdiff_t k, int side, double away, double scale,
                     double step)
{
  const double delta = step * side;
  double height = scale * exp(-0.5 * away * away), ratio = exp(-delta * (away + 0.5 * delta));
  const double bend = exp(-delta * delta);
  for (; k >= 0 && k < n && fabs(away) < reach; k += side, away += delta) {
    grid[k] += height;
    height *= ratio;
    ratio *= bend;
  }
}

/* The mixture's density at low, low + step, ... */
static void fill_grid(double *grid, size_t n, double low, double step, const mixture *mix)
{
  part p;
  for (size_t i = 0; i < n; i++) {
    grid[i] = 0;
  }
  for (size_t h = 0; h < mix->n_high; h++) {
    for (size_t l = 0; l < mix->n_low; l++) {
      if (!part_of(&p, mix, l, h) || !(p.log_weight > mix->top - negligible)) {
        continue;
      }
      const double scale = exp(p.log_weight - mix->top) / p.se;
      double place = floor((p.mean - low) / step);
      place = fmin((double)n - 1, fmax(0, place));
      const double away = (low + place * step - p.mean) / p.se;
      const ptrdiff_t k = (ptrdiff_t)place;
      add_side(grid, (ptrdiff_t)n, k, -1, away, scale, step / p.se);
      add_side(grid, (ptrdiff_t)n, k + 1, 1, away + step / p.se, scale, step / p.se);
    }
  }
}

/* Density, slope and curvature at places at[], as fill_grid() has the density. */
typedef struct {
  double value, slope, bend;
} height;

static void look(height *out, const double *at, size_t n_at, const mixture *mix)
{
  part p;
  for (size_t k = 0; k < n_at; k++) {
    const height zero = {0, 0, 0};
    out[k] = zero;
  }
  for (size_t h = 0; h < mix->n_high; h++) {
    for (size_t l = 0; l < mix->n_low; l++) {
      if (!part_of(&p, mix, l, h) || !(p.log_weight > mix->top - negligible)) {
        continue;
      }
      const double log_scale = p.log_weight - mix->top;
      for (size_t k = 0; k < n_at; k++) {
        const double z = (at[k] - p.mean) / p.se;
        const double f = exp(log_scale - 0.5 * z * z) / p.se;
        out[k].value += f;
        out[k].slope -= f * z / p.se;
        out[k].bend += f * (z * z - 1) / (p.se * p.se);
      }
    }
  }
}

/* A Newton step that stays between two bounds. */
static double step_within(double at, double step, double low, double high)
{
  const double to = at - step;
  return to > low && to < high ? to : step > 0 ? 0.5 * (at + low) : 0.5 * (at + high);
}

static double climb(const mixture *mix, double at, double step)
{
  const double low = at - step, high = at + step;
  for (int i = 0; i < 20; i++) {
    height here;
    look(&here, &at, 1, mix);
    const double newton = here.bend < 0 ? here.slope / here.bend : -here.slope * DBL_MAX;
    const double next = step_within(at, newton, low, high);
    if (fabs(next - at) <= 1e-11 * step) {
      return next;
    }
    at = next;
  }
  return at;
}

/* Where the density is `level` in two gaps [inside, outside] of the grid: by Newton's method in the
 * logarithm, kept between places known to be inside and outside. */
static void cross(double *at, const double inside[N_AT], const double outside[N_AT], double level,
                  const mixture *mix)
{
  double in[N_AT] = {inside[0], inside[1]}, out[N_AT] = {outside[0], outside[1]};
  for (int k = 0; k < N_AT; k++) {
    at[k] = 0.5 * (in[k] + out[k]);
  }
  for (int i = 0; i < 20; i++) {
    height here[N_AT];
    double moved = 0;
    look(here, at, N_AT, mix);
    for (int k = 0; k < N_AT; k++) {
      if (here[k].value > level) {
        in[k] = at[k];
      } else {
        out[k] = at[k];
      }
      const double newton = log(here[k].value / level) * here[k].value / here[k].slope;
      const double low = fmin(in[k], out[k]), high = fmax(in[k], out[k]), to = at[k] - newton;
      const double next = to >= low && to <= high ? to : 0.5 * (low + high);
      moved = fmax(moved, fabs(next - at[k]) / fabs(outside[k] - inside[k]));
      at[k] = next;
    }
    if (moved <= 1e-10) {
      return;
    }
  }
}

static size_t highest(const double *grid, size_t n)
{
  size_t best = 0;
  for (size_t i = 1; i < n; i++) {
    best = grid[i] > grid[best] ? i : best;
  }
  return best;
}

/* Fills the confidence set's hull: outermost crossings on the grid, then exactly. */
static void bound(mrl_mr_estimate *out, const double *grid, size_t n, double low, double step,
                  double level, const mixture *mix)
{
  size_t first = 0, last = n - 1;
  while (first + 1 < n && !(grid[first] > level)) {
    first++;
  }
  while (last > 0 && !(grid[last] > level)) {
    last--;
  }
  if (first > last) { /* the set lies between two points */
    first = last = highest(grid, n);
  }
  const double inside[N_AT] = {low + (double)first * step, low + (double)last * step};
  const double outside[N_AT] = {inside[0] - step, inside[1] + step};
  double at[N_AT];
  cross(at, inside, outside, level, mix);
  out->ci_low = at[0] + mix->centre;
  out->ci_high = at[1] + mix->centre;
}

static mrl_mr_estimate search(mixture *mix, double *grid, double chisq)
{
  mrl_mr_estimate out = mrl_mr_none(MRL_MR_FINE);
  double least, most, narrowest;
  survey(mix, &least, &most, &narrowest);
  /* Three points in the narrowest density miss no mode. */
  const double wanted = ceil((most - least) / narrowest * 3) + 1;
  if (!isfinite(wanted)) {
    return mrl_mr_none(MRL_MR_DEGENERATE);
  }
  const size_t n = wanted < 200 ? 200 : wanted > MAX_GRID ? MAX_GRID : (size_t)wanted;
  const double step = (most - least) / (double)(n - 1);
  fill_grid(grid, n, least, step, mix);
  const double mode = climb(mix, least + (double)highest(grid, n) * step, step);
  const double at[N_AT] = {mode, -mix->centre};
  height here[N_AT];
  look(here, at, N_AT, mix);
  out.estimate = mode + mix->centre;
  out.p_value = mrl_chisq_p(2 * log(here[0].value / here[1].value), 1);
  bound(&out, grid, n, least, step, here[0].value * exp(-0.5 * chisq), mix);
  return out;
}

mrl_mr_estimate mrl_mr_hetpen(const mrl_mr_data *data, const mrl_mr_settings *settings,
                              double *work)
{
  const size_t n = data->n, half = n / 2;
  sums *const low = (sums *)work, *const high = low + half_subsets(half);
  double *const grid = (double *)(high + half_subsets(n - half));
  double xy = 0, xx = 0;
  for (size_t i = 0; i < n; i++) {
    const double w = 1 / (data->sy[i] * data->sy[i]);
    xy += w * data->bx[i] * data->by[i];
    xx += w * data->bx[i] * data->bx[i];
    if (!isfinite(data->by[i] / data->bx[i])) {
      return mrl_mr_none(MRL_MR_DEGENERATE);
    }
  }
  mixture mix = {low,
                 high,
                 half_subsets(half),
                 half_subsets(n - half),
                 xy / xx,
                 log(settings->prior / (1 - settings->prior)),
                 sqrt(settings->chisq) + 2,
                 0};
  tabulate(low, data, 0, half, mix.centre);
  tabulate(high, data, half, n, mix.centre);
  return search(&mix, grid, settings->chisq);
}
