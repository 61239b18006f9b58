#include <math.h>
#include <string.h>

#include "blas.h"
#include "meta.h"
#include "meta_fit.h"
#include "meta_tau2.h"

static void carve(mrl_meta_model *model, mrl_meta_model *none, size_t k, size_t p, mrl_arena *arena)
{
  memset(model, 0, sizeof *model);
  memset(none, 0, sizeof *none);
  model->p = p;
  none->p = 1;
  mrl_meta_carve(model, k, p, arena);
  mrl_meta_carve(none, k, 0, arena);
}

size_t mrl_meta_regression_scratch(size_t k, size_t p)
{
  mrl_meta_model model, none;
  mrl_arena arena = mrl_arena_measure();
  carve(&model, &none, k, p, &arena);
  return arena.failed ? SIZE_MAX : arena.used;
}

/*
 * sqrt(W) X = q r, so coefficients are r^-1 c and their covariance is (r'r)^-1. Where the constant
 * stands first, the others' part of it is (r2'r2)^-1 with r2 the trailing block of r, and their
 * Wald statistic is the squared length of the rest of c.
 */
static mrl_status coefficients(mrl_meta_regression_fit *fit, const mrl_meta_model *model,
                               double factor, int constant)
{
  const size_t p = model->p;
  fit->qm = 0;
  for (size_t j = constant && p > 1; j < p; j++) {
    fit->qm += model->c[j] * model->c[j];
  }
  memcpy(fit->coef, model->c, p * sizeof(double));
  memcpy(fit->vcov, model->r, p * p * sizeof(double));
  MRL_TRY(mrl_triangular_solve(fit->coef, model->r, p, 1, 0));
  MRL_TRY(mrl_cholesky_inverse(fit->vcov, p));
  for (size_t j = 0; j < p; j++) {
    const double unit = model->unit / model->x_unit[j];
    fit->coef[j] *= unit;
    for (size_t i = 0; i < p; i++) {
      fit->vcov[i + j * p] *= factor * unit * (factor * model->unit / model->x_unit[i]);
    }
  }
  fit->coef[0] += model->origin;
  if (constant && p == 1) {
    fit->qm = fit->coef[0] / fit->vcov[0] * fit->coef[0];
  } else {
    fit->qm /= factor * factor;
  }
  return MRL_OK;
}

/* tau2 and Q without moderators, for R2. */
static mrl_status without_moderators(mrl_meta_regression_fit *fit, mrl_meta_model *none,
                                     const mrl_meta_regression_data *data,
                                     const mrl_meta_settings *settings)
{
  mrl_meta_heterogeneity h;
  mrl_meta_moments m;
  fit->tau2_none = fit->q_none = NAN;
  if (data->constant) {
    MRL_TRY(mrl_meta_load(none, data->effect, data->se, NULL, data->k, 1));
    MRL_TRY(mrl_meta_fit(&h, &m, none, NAN, NAN, settings));
    fit->tau2_none = h.tau2;
    fit->q_none = h.q;
  }
  return MRL_OK;
}

mrl_status mrl_meta_regression(mrl_meta_regression_fit *fit, const mrl_meta_regression_data *data,
                               const mrl_meta_settings *settings, void *scratch,
                               size_t scratch_size, const mrl_ctx *ctx)
{
  mrl_meta_model model, none;
  mrl_meta_heterogeneity h;
  mrl_meta_moments m;
  mrl_arena arena = mrl_arena_over(scratch, scratch_size);
  carve(&model, &none, data->k, data->p, &arena);
  model.ctx = none.ctx = ctx;
  if (arena.failed) {
    return MRL_NO_MEMORY;
  }
  if (data->k <= data->p) {
    return MRL_TOO_FEW;
  }
  MRL_TRY(mrl_meta_load(&model, data->effect, data->se, data->x, data->k, data->constant));
  MRL_TRY(mrl_meta_fit(&h, &m, &model, data->q_low, data->q_high, settings));
  fit->tau2 = h.tau2;
  fit->se_tau2 = h.se_tau2;
  fit->tau2_low = h.tau2_low;
  fit->tau2_high = h.tau2_high;
  fit->i2 = h.i2;
  fit->h2 = h.h2;
  fit->qe = h.q;
  fit->s2 = h.s2;
  MRL_TRY(coefficients(fit, &model, h.factor, data->constant));
  MRL_TRY(without_moderators(fit, &none, data, settings));
  return isfinite(fit->coef[0]) && isfinite(fit->vcov[0]) ? MRL_OK : MRL_NOT_FINITE;
}
