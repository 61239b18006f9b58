#include <math.h>

#include "mr_boot_part.h"
#include "mr_order.h"

/*
 * Medians of the ratio estimates (Bowden et al. 2016): simple, weighted, and weighted with outlying
 * ratios weighted down. In the bootstrap effects are drawn anew and weights stay.
 */

typedef struct {
  double *weight;             /* (n) */
  double *normal;             /* (2 n) */
  mrl_weighted *item, *spare; /* (n) each */
} pieces;

static pieces split(double *work, size_t n)
{
  const pieces p = {work, work + n, (mrl_weighted *)(work + 3 * n), (mrl_weighted *)(work + 5 * n)};
  return p;
}

size_t mrl_mr_median_part_work(size_t n)
{
  return 7 * n;
}

/*
 * Half of each weight counts as lying before its value: the value at half of the total, between the
 * two neighbours by linear interpolation. item (n) gets sorted. NaN if no weight is positive.
 */
static double weighted_median(mrl_weighted *item, mrl_weighted *spare, size_t n)
{
  mrl_sort_weighted(item, spare, n);
  double total = 0;
  for (size_t i = 0; i < n; i++) {
    total += item[i].weight;
  }
  double sum = 0, before = 0;
  for (size_t i = 0; i < n; i++) {
    const double weight = item[i].weight;
    sum += weight;
    const double here = (sum - 0.5 * weight) / total;
    if (here >= 0.5) {
      if (i == 0) {
        return item[0].value;
      }
      const double below = item[i - 1].value;
      return below + (item[i].value - below) * (0.5 - before) / (here - before);
    }
    before = here;
  }
  return total > 0 ? item[n - 1].value : NAN;
}

static double median_of_ratios(const pieces *p, const mrl_mr_data *d)
{
  for (size_t i = 0; i < d->n; i++) {
    p->item[i].value = d->by[i] / d->bx[i];
    p->item[i].weight = p->weight[i];
  }
  return weighted_median(p->item, p->spare, d->n);
}

static double weight_of(const mrl_mr_data *d, size_t i, int first_order)
{
  const double x2 = d->bx[i] * d->bx[i], y2 = d->by[i] * d->by[i];
  const double vx = d->sx[i] * d->sx[i], vy = d->sy[i] * d->sy[i];
  return first_order ? x2 / vy : 1 / (vy / x2 + y2 * vx / (x2 * x2));
}

/* A ratio far from the weighted median for its standard error loses weight. */
static void penalise(const pieces *p, const mrl_mr_data *d, double penalty)
{
  const double median = median_of_ratios(p, d);
  for (size_t i = 0; i < d->n; i++) {
    const double z = (d->by[i] / d->bx[i] - median) * sqrt(p->weight[i]);
    p->weight[i] *= fmin(1, penalty * mrl_normal_p(z));
  }
}

/* 0 if there is nothing to take a median of. */
static int set_weights(const pieces *p, mrl_mr_method method, const mrl_mr_data *d,
                       const mrl_mr_settings *settings)
{
  const int first_order = settings->median_weights_first_order;
  for (size_t i = 0; i < d->n; i++) {
    p->weight[i] = method == MRL_MR_SIMPLE_MEDIAN ? 1 / (double)d->n : weight_of(d, i, first_order);
    if (!isfinite(d->by[i] / d->bx[i]) || !isfinite(p->weight[i])) {
      return 0;
    }
  }
  if (method == MRL_MR_PENALISED_MEDIAN) {
    penalise(p, d, settings->penalty);
  }
  return 1;
}

static double draw_median(const pieces *p, const mrl_mr_data *d, mrl_rng rng)
{
  const size_t n = d->n;
  mrl_rng_fill_normal(&rng, p->normal, 2 * n);
  for (size_t i = 0; i < n; i++) {
    const double x = d->bx[i] + d->sx[i] * p->normal[i];
    const double y = d->by[i] + d->sy[i] * p->normal[n + i];
    p->item[i].value = y / x;
    p->item[i].weight = p->weight[i];
  }
  return weighted_median(p->item, p->spare, n);
}

void mrl_mr_median_draws(double *draws, mrl_mr_method method, const mrl_mr_data *data, size_t group,
                         const mrl_mr_settings *settings, size_t from, size_t to, double *work)
{
  const pieces p = split(work, data->n);
  const int usable = data->n >= MRL_MR_BOOT_MIN_VARIANTS && set_weights(&p, method, data, settings);
  for (size_t b = from; b < to; b++) {
    draws[b] = usable ? draw_median(&p, data, mrl_mr_boot_stream(settings, group, b)) : NAN;
  }
}

mrl_mr_estimate mrl_mr_median_finish(mrl_mr_method method, const mrl_mr_data *data, size_t group,
                                     double *draws, const mrl_mr_settings *settings, double *work)
{
  (void)group;
  const pieces p = split(work, data->n);
  if (data->n < MRL_MR_BOOT_MIN_VARIANTS) {
    return mrl_mr_none(MRL_MR_TOO_FEW);
  }
  if (!set_weights(&p, method, data, settings)) {
    return mrl_mr_none(MRL_MR_DEGENERATE);
  }
  mrl_mr_estimate out = mrl_mr_none(MRL_MR_FINE);
  out.estimate = median_of_ratios(&p, data);
  if (isnan(out.estimate)) {
    return mrl_mr_none(MRL_MR_DEGENERATE);
  }
  if (settings->n_boot >= 2) {
    out.std_error = mrl_sd(draws, settings->n_boot);
    out.p_value = mrl_normal_p(out.estimate / out.std_error);
  }
  return out;
}
