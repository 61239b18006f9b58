/* What needs the people again, variant by variant: robust variances and logistic regression. */
#include "assoc_part.h"

#include "blas.h"

#include <math.h>
#include <string.h>

/* x (n) := (x - mean) less its regression on the covariates, whose products, rotated by
 * inverse(U'), are in `rotated`. NaN stays NaN. */
static void residual(double *x, double mean, const double *rotated, const mrl_assoc *assoc,
                     double present, mrl_assoc_work *work)
{
  const size_t n = assoc->data.n, q = assoc->q;
  memcpy(work->slope, rotated, q * sizeof *work->slope);
  mrl_triangular_solve(work->slope, work->a, q, 1, 0);
  for (size_t i = 0; i < n; i++) {
    x[i] -= mean;
  }
  for (size_t j = 0; j < q; j++) {
    const double *v = assoc->basis + j * n, centre = -work->qm[j] / present, b = work->slope[j];
    for (size_t i = 0; i < n; i++) {
      x[i] -= b * (v[i] - centre);
    }
  }
}

/* Sum over the groups of their squared sums of scores (NaN: missing); how many groups have any. */
static double cluster_meat(size_t *groups, const double *score, const mrl_assoc_data *data,
                           double *sums)
{
  for (size_t c = 0; c < data->n_cluster; c++) {
    sums[c] = NAN;
  }
  for (size_t i = 0; i < data->n; i++) {
    if (!isnan(score[i])) {
      double *sum = sums + data->cluster[i] - 1;
      *sum = isnan(*sum) ? score[i] : *sum + score[i];
    }
  }
  double meat = 0;
  *groups = 0;
  for (size_t c = 0; c < data->n_cluster; c++) {
    meat += isnan(sums[c]) ? 0 : sums[c] * sums[c];
    *groups += !isnan(sums[c]);
  }
  return meat;
}

double mrl_assoc_robust(double *df, const mrl_assoc *assoc, const mrl_assoc_variant *variant,
                        size_t t, double beta, double left, mrl_assoc_work *work)
{
  const mrl_assoc_data *data = &assoc->data;
  const size_t n = data->n;
  const double *rest = assoc->rest + t * n, present = variant->moments.n;
  double *genotype = work->part, *error = work->g, sum = 0, meat = 0;
  mrl_assoc_read(assoc, variant, work);
  memcpy(genotype, work->g, n * sizeof *genotype);
  for (size_t i = 0; i < n; i++) {
    error[i] = isnan(genotype[i]) ? NAN : rest[i];
    sum += isnan(genotype[i]) ? 0 : rest[i];
  }
  residual(genotype, variant->moments.mean, work->bg, assoc, present, work);
  residual(error, sum / present, work->br, assoc, present, work);
  for (size_t i = 0; i < n; i++) {
    const double score = genotype[i] * (error[i] - beta * genotype[i]);
    meat += isnan(score) ? 0 : score * score;
    genotype[i] = score;
  }
  const double used = (double)assoc->q + 2;
  double factor = data->vcov == MRL_ASSOC_HC1 ? present / (present - used) : 1;
  *df = present - used;
  if (data->vcov == MRL_ASSOC_CLUSTER) {
    size_t groups;
    meat = cluster_meat(&groups, genotype, data, work->sums);
    const double g = (double)groups;
    factor = g / (g - 1) * (present - 1) / (present - used);
    *df = g - 1;
  }
  return sqrt(factor * meat) / left;
}

mrl_assoc_reason mrl_assoc_logit(double *beta, double *se, const mrl_assoc *assoc,
                                 const mrl_assoc_variant *variant, size_t t, mrl_assoc_work *work,
                                 mrl_isa isa)
{
  const mrl_assoc_data *data = &assoc->data;
  const size_t n = data->n, q = assoc->q, k = q + 2;
  const double *y = data->trait + t * n;
  const mrl_ctx alone = {1, NULL, NULL};
  double cases = 0;
  mrl_assoc_read(assoc, variant, work);
  for (size_t i = 0; i < n; i++) {
    work->part[i] = isnan(work->g[i]) ? 0 : 1;
    cases += work->part[i] * y[i];
    work->g[i] = isnan(work->g[i]) ? variant->moments.mean : work->g[i];
  }
  if (cases <= 0 || cases >= variant->moments.n) {
    return MRL_ASSOC_CONSTANT;
  }
  for (size_t j = 0; j < q; j++) {
    work->col[j] = assoc->basis + j * n;
  }
  work->col[q] = work->g;
  const mrl_logit_data problem = {work->col, y, work->part, NULL, n, q + 1, 1};
  mrl_logit_fit fit = {work->coef, work->vcov, 0, 0, 0};
  const mrl_status status = mrl_logit_run(&fit, &problem, &work->logit, isa, &alone);
  if (status != MRL_OK) {
    return fit.separated            ? MRL_ASSOC_SEPARATED
           : status == MRL_SINGULAR ? MRL_ASSOC_COLLINEAR
                                    : MRL_ASSOC_NO_CONVERGE;
  }
  *beta = fit.coef[k - 1];
  *se = sqrt(fit.vcov[k * k - 1]);
  return MRL_ASSOC_OK;
}
