#include <math.h>
#include <string.h>

#include "mr_boot_part.h"
#include "mr_density.h"
#include "mr_order.h"

/*
 * The mode of the ratio estimates' smoothed density (Hartwig, Davey Smith & Bowden 2017). In the
 * bootstrap each ratio is drawn from its own normal law (its own mean and standard error); weights
 * stay, the bandwidth follows the draw. NOME: standard errors ignore the exposure's.
 */

typedef struct {
  double *ratio, *se, *weight, *draw, *spare; /* (n) each */
  mrl_weighted *item, *spare_item;            /* (n) each, for the exact mode */
} pieces;

static pieces split(double *work, size_t n)
{
  const pieces p = {work,
                    work + n,
                    work + 2 * n,
                    work + 3 * n,
                    work + 4 * n,
                    (mrl_weighted *)(work + 5 * n),
                    (mrl_weighted *)(work + 7 * n)};
  return p;
}

size_t mrl_mr_mode_part_work(size_t n)
{
  return 9 * n;
}

static double ratio_se(const mrl_mr_data *d, size_t i, int nome)
{
  const double first = d->sy[i] / fabs(d->bx[i]);
  const double second = nome ? 0 : d->by[i] * d->sx[i] / (d->bx[i] * d->bx[i]);
  return sqrt(first * first + second * second);
}

/* 0 if a ratio, its standard error or its weight is not finite. */
static int set_ratios(const pieces *p, mrl_mr_method method, const mrl_mr_data *d)
{
  const int nome = method == MRL_MR_SIMPLE_MODE_NOME || method == MRL_MR_WEIGHTED_MODE_NOME;
  const int equal = method == MRL_MR_SIMPLE_MODE || method == MRL_MR_SIMPLE_MODE_NOME;
  double total = 0;
  for (size_t i = 0; i < d->n; i++) {
    p->ratio[i] = d->by[i] / d->bx[i];
    p->se[i] = ratio_se(d, i, nome);
    p->weight[i] = equal ? 1 : 1 / (p->se[i] * p->se[i]);
    if (!isfinite(p->ratio[i]) || !isfinite(p->se[i]) || !isfinite(p->weight[i])) {
      return 0;
    }
    total += p->weight[i];
  }
  for (size_t i = 0; i < d->n; i++) {
    p->weight[i] /= total;
  }
  return total > 0 && isfinite(total);
}

/* Silverman's rule as Bickel (2002) modified it, with TwoSampleMR's lower bound. value is kept. */
static double bandwidth(const double *value, double *spare, size_t n, double phi)
{
  memcpy(spare, value, n * sizeof *value);
  const double spread = fmin(mrl_sd(value, n), mrl_mad(spare, n));
  return fmax(1e-8, phi * 0.9 * spread / pow((double)n, 0.2));
}

static double mode_of(const pieces *p, const double *value, size_t n,
                      const mrl_mr_settings *settings)
{
  const double h = bandwidth(value, p->spare, n, settings->phi);
  if (!settings->mode_exact || !isfinite(h)) {
    return mrl_density_mode(value, p->weight, n, h);
  }
  for (size_t i = 0; i < n; i++) {
    p->item[i].value = value[i];
    p->item[i].weight = p->weight[i];
  }
  mrl_sort_weighted(p->item, p->spare_item, n);
  return mrl_density_mode_exact(p->item, n, h);
}

static double draw_mode(const pieces *p, size_t n, const mrl_mr_settings *settings, mrl_rng rng)
{
  mrl_rng_fill_normal(&rng, p->draw, n);
  for (size_t i = 0; i < n; i++) {
    p->draw[i] = p->ratio[i] + p->se[i] * p->draw[i];
  }
  return mode_of(p, p->draw, n, settings);
}

void mrl_mr_mode_draws(double *draws, mrl_mr_method method, const mrl_mr_data *data, size_t group,
                       const mrl_mr_settings *settings, size_t from, size_t to, double *work)
{
  const size_t n = data->n;
  const pieces p = split(work, n);
  const int usable = n >= MRL_MR_BOOT_MIN_VARIANTS && set_ratios(&p, method, data);
  for (size_t b = from; b < to; b++) {
    const mrl_rng rng = mrl_mr_boot_stream(settings, group, b);
    draws[b] = usable ? draw_mode(&p, n, settings, rng) : NAN;
  }
}

mrl_mr_estimate mrl_mr_mode_finish(mrl_mr_method method, const mrl_mr_data *data, size_t group,
                                   double *draws, const mrl_mr_settings *settings, double *work)
{
  (void)group;
  const size_t n = data->n;
  const pieces p = split(work, n);
  if (n < MRL_MR_BOOT_MIN_VARIANTS) {
    return mrl_mr_none(MRL_MR_TOO_FEW);
  }
  if (!set_ratios(&p, method, data)) {
    return mrl_mr_none(MRL_MR_DEGENERATE);
  }
  mrl_mr_estimate out = mrl_mr_none(MRL_MR_FINE);
  out.estimate = mode_of(&p, p.ratio, n, settings);
  if (isnan(out.estimate)) {
    return mrl_mr_none(MRL_MR_DEGENERATE);
  }
  if (settings->n_boot >= 2) {
    out.std_error = mrl_mad(draws, settings->n_boot);
    out.p_value = mrl_student_p(out.estimate / out.std_error, (double)n - 1);
  }
  return out;
}
