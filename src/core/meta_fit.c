#include "meta_fit.h"

#include <math.h>

#include "meta_tau2.h"

static double adjusted(double s2, mrl_meta_adjust adjust)
{
  if (adjust == MRL_META_PLAIN) {
    return 1;
  }
  return adjust == MRL_META_KNAPP_HARTUNG ? s2 : fmax(1, s2);
}

/* I2 and H2: of the estimate of tau2 against the typical variance df / tr P, or, without tau2, of
 * Q. in: the moments at tau2 = 0. */
static void inconsistency(mrl_meta_heterogeneity *out, double tau2, double df,
                          const mrl_meta_moments *m, mrl_meta_method method)
{
  if (method == MRL_META_FE) {
    out->h2 = m->rss / df;
    out->i2 = m->rss > 0 ? 100 * fmax(0, 1 - df / m->rss) : 0;
    return;
  }
  const double ratio = tau2 * m->tr_p / df;
  out->h2 = 1 + ratio;
  out->i2 = 100 * ratio / (1 + ratio);
}

static mrl_status profile(mrl_meta_heterogeneity *out, double q_low, double q_high,
                          mrl_meta_model *model)
{
  const double unit = model->unit * model->unit;
  MRL_TRY(mrl_meta_solve_q(&out->tau2_low, q_high, model));
  MRL_TRY(mrl_meta_solve_q(&out->tau2_high, q_low, model));
  out->tau2_low *= unit;
  out->tau2_high *= unit;
  return MRL_OK;
}

mrl_status mrl_meta_fit(mrl_meta_heterogeneity *out, mrl_meta_moments *m, mrl_meta_model *model,
                        double q_low, double q_high, const mrl_meta_settings *settings)
{
  const double df = (double)model->k - (double)model->p, unit = model->unit * model->unit;
  double tau2, se;
  MRL_TRY(mrl_meta_tau2(&tau2, &se, settings->method, model));
  out->tau2_low = out->tau2_high = NAN;
  if (settings->method != MRL_META_FE && !isnan(q_low)) {
    MRL_TRY(profile(out, q_low, q_high, model));
  }
  mrl_meta_weigh(model, 0);
  MRL_TRY(mrl_meta_evaluate(m, model));
  out->q = m->rss;
  inconsistency(out, tau2, df, m, settings->method);
  mrl_meta_weigh(model, tau2);
  MRL_TRY(mrl_meta_evaluate(m, model));
  out->tau2 = tau2 * unit;
  out->se_tau2 = se * unit;
  out->s2 = m->rss / df;
  out->factor = sqrt(adjusted(out->s2, settings->adjust));
  return MRL_OK;
}
