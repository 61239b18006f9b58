#include "mr_conmix.h"
#include "mr_order.h"

#include <math.h>

/*
 * Of each variant: ratio, its weight 1 / variance, and what its log-likelihood gains at its own
 * ratio by being valid. It is valid where weight (theta - ratio)^2 < 2 gain.
 */
typedef struct {
  double *ratio, *weight, *gain; /* (n) each */
  mrl_weighted *edge, *spare;    /* (2 n) each; where a variant starts or ends to be valid */
  size_t n;
} problem;

/* Sum with what rounding took from it (Neumaier 1974), as variants come and go. */
typedef struct {
  double sum, lost;
} exact_sum;

/* Of the variants that are valid on a stretch: the gain is rise - weight / 2 (theta - centre)^2. */
typedef struct {
  exact_sum gain, weight, first, second; /* first, second: weighted powers of ratios */
} stretch;

typedef struct {
  double weight, centre, rise;
} parabola;

size_t mrl_mr_conmix_work(size_t n)
{
  return 3 * n + 8 * n;
}

static problem split(double *work, size_t n)
{
  const problem p = {
      work, work + n, work + 2 * n, (mrl_weighted *)(work + 3 * n), (mrl_weighted *)(work + 7 * n),
      n};
  return p;
}

static void add(exact_sum *to, double x)
{
  const double sum = to->sum + x;
  to->lost += fabs(to->sum) >= fabs(x) ? (to->sum - sum) + x : (x - sum) + to->sum;
  to->sum = sum;
}

static double total(const exact_sum *of)
{
  return of->sum + of->lost;
}

/* Variant i starts (side 1) or ends (-1) to be valid. */
static void change(stretch *s, const problem *p, size_t i, double side)
{
  const double wr = side * p->weight[i] * p->ratio[i];
  add(&s->gain, side * p->gain[i]);
  add(&s->weight, side * p->weight[i]);
  add(&s->first, wr);
  add(&s->second, wr * p->ratio[i]);
}

static parabola shape_of(const stretch *s)
{
  const double weight = total(&s->weight), first = total(&s->first);
  const parabola out = {weight, first / weight,
                        total(&s->gain) - 0.5 * (total(&s->second) - first * (first / weight))};
  return out;
}

static void set_problem(const problem *p, const mrl_mr_data *d, double sd)
{
  for (size_t i = 0; i < p->n; i++) {
    const double r = p->ratio[i], v = d->sy[i] * d->sy[i] / (d->bx[i] * d->bx[i]);
    p->weight[i] = 1 / v;
    p->gain[i] = 0.5 * (r * r / (sd * sd + v) + log1p(sd * sd / v));
    const double reach = sqrt(2 * p->gain[i] * v);
    p->edge[2 * i].value = r - reach;
    p->edge[2 * i].weight = (double)(i + 1);
    p->edge[2 * i + 1].value = r + reach;
    p->edge[2 * i + 1].weight = -(double)(i + 1);
  }
  mrl_sort_weighted(p->edge, p->spare, 2 * p->n);
}

/* Passes the edge k; how many variants are valid after it, if `valid` were before. */
static size_t pass_edge(stretch *s, const problem *p, size_t k, size_t valid)
{
  const double which = p->edge[k].weight;
  const size_t i = (size_t)fabs(which) - 1;
  valid += which > 0 ? 1 : (size_t)-1;
  if (valid == 0) {
    const stretch none = {{0, 0}, {0, 0}, {0, 0}, {0, 0}};
    *s = none;
  } else {
    change(s, p, i, which > 0 ? 1 : -1);
  }
  return valid;
}

/* The effect of the highest likelihood; NaN if no variant is valid anywhere. Edges are kinks that
 * open upwards, so a maximum is the vertex of a parabola. */
static double maximise(const problem *p)
{
  const stretch none = {{0, 0}, {0, 0}, {0, 0}, {0, 0}};
  stretch s = none;
  size_t valid = 0;
  double best = NAN, highest = 0;
  for (size_t k = 0; k + 1 < 2 * p->n; k++) {
    valid = pass_edge(&s, p, k, valid);
    const double left = p->edge[k].value, right = p->edge[k + 1].value;
    if (valid == 0 || !(left < right)) {
      continue;
    }
    const parabola at = shape_of(&s);
    const double theta = fmin(right, fmax(left, at.centre));
    const double gain = at.rise - 0.5 * at.weight * (theta - at.centre) * (theta - at.centre);
    if (gain > highest) {
      highest = gain;
      best = theta;
    }
  }
  return best;
}

static int is_valid(const problem *p, size_t i, double theta)
{
  return p->weight[i] * (theta - p->ratio[i]) * (theta - p->ratio[i]) < 2 * p->gain[i];
}

/* Mean of the ratios that are valid at theta, and their number. */
static double valid_mean(const problem *p, double theta, size_t *n_valid)
{
  double sum = 0, weight = 0;
  *n_valid = 0;
  for (size_t i = 0; i < p->n; i++) {
    if (is_valid(p, i, theta)) {
      sum += p->weight[i] * p->ratio[i];
      weight += p->weight[i];
      ++*n_valid;
    }
  }
  return sum / weight;
}

/* Log-likelihood above that of no valid variant. */
static double gain_at(const problem *p, double theta)
{
  double sum = 0;
  for (size_t i = 0; i < p->n; i++) {
    sum += fmax(0, p->gain[i] - 0.5 * p->weight[i] * (theta - p->ratio[i]) * (theta - p->ratio[i]));
  }
  return sum;
}

/* Variance of the valid ratios beyond their errors, at least 1. */
static double dispersion(const problem *p, double theta, double mean, size_t n_valid)
{
  double sum = 0;
  for (size_t i = 0; i < p->n; i++) {
    if (is_valid(p, i, theta)) {
      sum += p->weight[i] * (p->ratio[i] - mean) * (p->ratio[i] - mean);
    }
  }
  return n_valid < 2 ? 1 : fmax(1, sum / (double)(n_valid - 1));
}

typedef struct {
  double low, high;
  size_t pieces;
  int open; /* does the last piece reach the last edge? */
} hull;

static void widen(hull *out, double low, double high, double left, double right)
{
  if (!(low < high)) {
    out->open = 0;
    return;
  }
  out->pieces += !(out->open && low <= left);
  out->low = fmin(out->low, low);
  out->high = fmax(out->high, high);
  out->open = high >= right;
}

/* Where the gain is above `least`. */
static hull confidence_set(const problem *p, double least)
{
  const stretch none = {{0, 0}, {0, 0}, {0, 0}, {0, 0}};
  stretch s = none;
  hull out = {INFINITY, -INFINITY, 0, 0};
  size_t valid = 0;
  if (least < 0) { /* so is everything */
    const hull all = {-INFINITY, INFINITY, 1, 0};
    return all;
  }
  for (size_t k = 0; k + 1 < 2 * p->n; k++) {
    valid = pass_edge(&s, p, k, valid);
    const double left = p->edge[k].value, right = p->edge[k + 1].value;
    if (!(left < right)) {
      continue;
    }
    const parabola at = shape_of(&s);
    if (valid == 0 || at.rise <= least) {
      out.open = 0;
      continue;
    }
    const double half = sqrt(2 * (at.rise - least) / at.weight);
    widen(&out, fmax(left, at.centre - half), fmin(right, at.centre + half), left, right);
  }
  return out;
}

static void report(mrl_mr_detail *detail, const problem *p, const mrl_mr_data *d, double theta,
                   double sd, size_t pieces)
{
  detail->n_intervals = pieces;
  detail->tuning = sd;
  for (size_t i = 0; i < p->n; i++) {
    const int valid = is_valid(p, i, theta);
    if (detail->valid) {
      detail->valid[i] = valid;
    }
    if (detail->direct) {
      detail->direct[i] = valid ? 0 : d->by[i] - theta * d->bx[i];
    }
  }
}

mrl_mr_estimate mrl_mr_conmix(const mrl_mr_data *data, const mrl_mr_settings *settings,
                              mrl_mr_detail *detail, double *work)
{
  const problem p = split(work, data->n);
  mrl_mr_estimate out = mrl_mr_none(MRL_MR_FINE);
  for (size_t i = 0; i < data->n; i++) {
    p.ratio[i] = data->by[i] / data->bx[i];
    if (!isfinite(p.ratio[i])) {
      return mrl_mr_none(MRL_MR_DEGENERATE);
    }
  }
  const double sd = settings->conmix_sd > 0 ? settings->conmix_sd : 1.5 * mrl_sd(p.ratio, p.n);
  set_problem(&p, data, sd);
  const double near = maximise(&p);
  if (isnan(near)) {
    return mrl_mr_none(MRL_MR_DEGENERATE);
  }
  size_t n_valid;
  out.estimate = valid_mean(&p, near, &n_valid);
  const double best = gain_at(&p, out.estimate);
  const double spread = dispersion(&p, near, out.estimate, n_valid);
  const hull set = confidence_set(&p, best - 0.5 * settings->chisq * spread);
  out.ci_low = set.low;
  out.ci_high = set.high;
  out.p_value = mrl_chisq_p(2 * (best - gain_at(&p, 0)) / spread, 1);
  out.sigma = sqrt(spread);
  if (detail) {
    report(detail, &p, data, near, sd, set.pieces);
  }
  return out;
}
