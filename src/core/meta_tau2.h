/* Estimators of the variance between studies, and its Q-profile interval, in units of the model. */
#ifndef MRL_META_TAU2_H
#define MRL_META_TAU2_H

#include "meta.h"
#include "meta_model.h"

/*
 * tau2 >= 0 and its standard error, for k > p. REML and ML are the global maximum over tau2 >= 0.
 * FE gives 0 and NaN.
 */
mrl_status mrl_meta_tau2(double *tau2, double *se, mrl_meta_method method, mrl_meta_model *model);

/* The tau2 >= 0 where the generalised Q is `target` > 0; 0 if it is below that everywhere. */
mrl_status mrl_meta_solve_q(double *tau2, double target, mrl_meta_model *model);

#endif
