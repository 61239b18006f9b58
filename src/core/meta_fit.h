/* What groups and regressions have in common: heterogeneity around a fitted model. */
#ifndef MRL_META_FIT_H
#define MRL_META_FIT_H

#include "meta.h"
#include "meta_model.h"

/* In units of the data. factor: what standard errors are to be multiplied with. */
typedef struct {
  double tau2, se_tau2, tau2_low, tau2_high, i2, h2, q, s2, factor;
} mrl_meta_heterogeneity;

/*
 * Fits a loaded model with k > p. m: the moments at the estimate of tau2; the weights, and the
 * factors of the design, are left at it. q_low NaN: no interval of tau2.
 */
mrl_status mrl_meta_fit(mrl_meta_heterogeneity *out, mrl_meta_moments *m, mrl_meta_model *model,
                        double q_low, double q_high, const mrl_meta_settings *settings);

#endif
