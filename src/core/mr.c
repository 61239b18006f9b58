#include "mr.h"
#include "mr_boot.h"
#include "mr_cml.h"
#include "mr_conmix.h"
#include "mr_hetpen.h"
#include "mr_lasso.h"
#include "mr_linear.h"
#include "mr_radial.h"
#include "mr_raps.h"

#include <math.h>

mrl_mr_estimate mrl_mr_none(mrl_mr_why why)
{
  const mrl_mr_estimate none = {NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN,
                                NAN, NAN, NAN, NAN, NAN, 0,   why};
  return none;
}

mrl_mr_estimate mrl_mr_checked(mrl_mr_estimate at)
{
  if (at.why == MRL_MR_FINE && !isfinite(at.estimate)) {
    return mrl_mr_none(MRL_MR_DEGENERATE);
  }
  return at;
}

size_t mrl_mr_min_n(mrl_mr_method method)
{
  static const unsigned char least[MRL_MR_N_METHOD] = {
      [MRL_MR_WALD] = 1,
      [MRL_MR_IVW_FIXED] = 2,
      [MRL_MR_IVW] = 2,
      [MRL_MR_IVW_RAW] = 2,
      [MRL_MR_IVW_DELTA] = 2,
      [MRL_MR_IVW_ROBUST] = 3,
      [MRL_MR_IVW_PENALISED] = 2,
      [MRL_MR_EGGER] = 3,
      [MRL_MR_EGGER_ROBUST] = 3,
      [MRL_MR_EGGER_ROBUST_PENALISED] = 3,
      [MRL_MR_EGGER_BOOTSTRAP] = 3,
      [MRL_MR_SIMPLE_MEDIAN] = 3,
      [MRL_MR_WEIGHTED_MEDIAN] = 3,
      [MRL_MR_PENALISED_MEDIAN] = 3,
      [MRL_MR_SIMPLE_MODE] = 3,
      [MRL_MR_WEIGHTED_MODE] = 3,
      [MRL_MR_SIMPLE_MODE_NOME] = 3,
      [MRL_MR_WEIGHTED_MODE_NOME] = 3,
      [MRL_MR_RAPS] = 3,
      [MRL_MR_MAXLIK] = 2,
      [MRL_MR_MAXLIK_RANDOM] = 2,
      [MRL_MR_DIVW] = 2,
      [MRL_MR_PIVW] = 2,
      [MRL_MR_SIGN] = 6,
      [MRL_MR_UNWEIGHTED] = 2,
      [MRL_MR_CONMIX] = 2,
      [MRL_MR_CML_BIC] = 3,
      [MRL_MR_CML_MA_BIC] = 3,
      [MRL_MR_CML_BIC_DP] = 3,
      [MRL_MR_CML_MA_BIC_DP] = 3,
      [MRL_MR_LASSO] = 3,
      [MRL_MR_HETPEN] = 2,
      [MRL_MR_GRIP] = 3,
      [MRL_MR_GRIP_ADJUSTED] = 3,
      [MRL_MR_IVW_RADIAL] = 2,
      [MRL_MR_EGGER_RADIAL] = 3,
      [MRL_MR_EGGER_SIMEX] = 3,
  };
  return least[method];
}

size_t mrl_mr_max_n(mrl_mr_method method)
{
  return method == MRL_MR_WALD ? 1 : method == MRL_MR_HETPEN ? MRL_MR_HETPEN_MAX : SIZE_MAX;
}

static mrl_mr_estimate wald(const mrl_mr_data *d)
{
  mrl_mr_estimate out = mrl_mr_none(MRL_MR_FINE);
  out.estimate = d->by[0] / d->bx[0];
  out.std_error = d->sy[0] / fabs(d->bx[0]);
  out.p_value = mrl_normal_p(out.estimate / out.std_error);
  return out;
}

/* Moment estimate of the variance of an outcome effect beyond b bx and sampling error. */
static double excess_variance(const mrl_mr_data *d, double b)
{
  double sum = 0, weight = 0;
  for (size_t i = 0; i < d->n; i++) {
    const double w = 1 / (d->sy[i] * d->sy[i]), r = d->by[i] - b * d->bx[i];
    sum += w * (r * r - d->sy[i] * d->sy[i] - b * b * d->sx[i] * d->sx[i]);
    weight += w;
  }
  return fmax(0, sum / weight);
}

/*
 * Debiased IVW (Ye, Shao & Kang 2021, Ann. Statist. 49:2079) and penalised IVW with penalty 1 (Xu,
 * Wang, Fung & Liu 2022, Biometrics 79:2184): the denominator mean(bx^2) - mean(sx^2) with sampling
 * error taken out, in pIVW also kept away from zero; both with balanced pleiotropy.
 */
static mrl_mr_estimate debiased(const mrl_mr_data *d, int penalise)
{
  mrl_mr_estimate out = mrl_mr_none(MRL_MR_FINE);
  double top = 0, bottom = 0, v2 = 0, v12 = 0, variance = 0;
  for (size_t i = 0; i < d->n; i++) {
    const double w = 1 / (d->sy[i] * d->sy[i]);
    const double x2 = d->bx[i] * d->bx[i], s2 = d->sx[i] * d->sx[i];
    top += w * d->bx[i] * d->by[i];
    bottom += w * (x2 - s2);
    v2 += w * w * (4 * (x2 - s2) * s2 + 2 * s2 * s2);
    v12 += 2 * w * w * d->bx[i] * d->by[i] * s2;
  }
  if (penalise) {
    const double side = bottom > 0 ? 1 : bottom < 0 ? -1 : 0;
    const double away = bottom / 2 + side * sqrt(bottom * bottom / 4 + v2);
    top += v12 / v2 * (away - bottom);
    bottom = away;
  }
  const double b = top / bottom;
  out.estimate = b;
  out.tau2 = excess_variance(d, b);
  for (size_t i = 0; i < d->n; i++) {
    const double w = 1 / (d->sy[i] * d->sy[i]);
    const double x2 = d->bx[i] * d->bx[i], s2 = d->sx[i] * d->sx[i];
    variance += w * x2 * (1 + out.tau2 * w) + b * b * w * w * s2 * (x2 + s2);
  }
  if (!(variance > 0)) {
    return mrl_mr_none(MRL_MR_DEGENERATE);
  }
  out.std_error = sqrt(variance) / fabs(bottom);
  out.p_value = mrl_normal_p(b / out.std_error);
  return out;
}

/* Do exposure and outcome effects have the same sign more often than by chance? */
static mrl_mr_estimate sign_test(const mrl_mr_data *d)
{
  mrl_mr_estimate out = mrl_mr_none(MRL_MR_FINE);
  size_t same = 0, n = 0;
  for (size_t i = 0; i < d->n; i++) {
    if (d->bx[i] != 0 && d->by[i] != 0) {
      n++;
      same += (d->bx[i] > 0) == (d->by[i] > 0);
    }
  }
  if (n < mrl_mr_min_n(MRL_MR_SIGN)) {
    return mrl_mr_none(MRL_MR_TOO_FEW);
  }
  out.estimate = 2 * ((double)same / (double)n - 0.5);
  out.p_value = mrl_sign_p(same, n);
  out.n_used = n;
  return out;
}

size_t mrl_mr_work(mrl_mr_method method, size_t n, const mrl_mr_settings *settings)
{
  switch (method) {
  case MRL_MR_WALD:
  case MRL_MR_SIGN:
  case MRL_MR_DIVW:
  case MRL_MR_PIVW:
  case MRL_MR_GRIP:
  case MRL_MR_GRIP_ADJUSTED:
    return 0;
  case MRL_MR_RAPS:
  case MRL_MR_MAXLIK:
  case MRL_MR_MAXLIK_RANDOM:
    return mrl_mr_raps_work(n);
  case MRL_MR_CONMIX:
    return mrl_mr_conmix_work(n);
  case MRL_MR_CML_BIC:
  case MRL_MR_CML_MA_BIC:
    return mrl_mr_cml_work(n, settings);
  case MRL_MR_LASSO:
    return mrl_mr_lasso_work(n);
  case MRL_MR_HETPEN:
    return mrl_mr_hetpen_work(n);
  case MRL_MR_IVW_RADIAL:
  case MRL_MR_EGGER_RADIAL:
    return 2 * n;
  default:
    return mrl_mr_is_drawn(method) ? mrl_mr_boot_whole_work(method, n, settings)
                                   : mrl_mr_linear_work(method, n);
  }
}

static mrl_mr_estimate dispatch(mrl_mr_detail *detail, mrl_mr_method method,
                                const mrl_mr_data *data, size_t group,
                                const mrl_mr_settings *settings, double *work)
{
  switch (method) {
  case MRL_MR_WALD:
    return wald(data);
  case MRL_MR_SIGN:
    return sign_test(data);
  case MRL_MR_DIVW:
  case MRL_MR_PIVW:
    return debiased(data, method == MRL_MR_PIVW);
  case MRL_MR_RAPS:
    return mrl_mr_raps(data, settings, work);
  case MRL_MR_MAXLIK:
  case MRL_MR_MAXLIK_RANDOM:
    return mrl_mr_maxlik(data, settings, method == MRL_MR_MAXLIK_RANDOM, work);
  case MRL_MR_CONMIX:
    return mrl_mr_conmix(data, settings, detail, work);
  case MRL_MR_CML_BIC:
  case MRL_MR_CML_MA_BIC:
    return mrl_mr_cml(method, data, group, settings, detail, work);
  case MRL_MR_LASSO:
    return mrl_mr_lasso(data, settings, detail, work);
  case MRL_MR_HETPEN:
    return mrl_mr_hetpen(data, settings, work);
  case MRL_MR_GRIP:
  case MRL_MR_GRIP_ADJUSTED:
    return mrl_mr_grip(data, method == MRL_MR_GRIP_ADJUSTED);
  case MRL_MR_IVW_RADIAL:
  case MRL_MR_EGGER_RADIAL:
    return mrl_mr_radial(method, data, work);
  default:
    return mrl_mr_is_drawn(method) ? mrl_mr_boot_whole(method, data, group, settings, detail, work)
                                   : mrl_mr_linear(method, data, settings, work);
  }
}

mrl_mr_estimate mrl_mr_detailed(mrl_mr_detail *detail, mrl_mr_method method,
                                const mrl_mr_data *data, size_t group,
                                const mrl_mr_settings *settings, double *work)
{
  if (detail) {
    detail->n_intervals = 0;
    detail->tuning = detail->gof1 = detail->gof2 = NAN;
  }
  if (data->n < mrl_mr_min_n(method)) {
    return mrl_mr_none(MRL_MR_TOO_FEW);
  }
  if (data->n > mrl_mr_max_n(method)) {
    return mrl_mr_none(MRL_MR_TOO_MANY);
  }
  return mrl_mr_checked(dispatch(detail, method, data, group, settings, work));
}

mrl_mr_estimate mrl_mr_one(mrl_mr_method method, const mrl_mr_data *data, size_t group,
                           const mrl_mr_settings *settings, double *work)
{
  return mrl_mr_detailed(NULL, method, data, group, settings, work);
}
