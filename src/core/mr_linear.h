/* The estimators that are weighted regressions of outcome on exposure effects: inverse-variance
 * weighted ones through the origin, Egger's with an intercept, and the robust forms of both. */
#ifndef MRL_MR_LINEAR_H
#define MRL_MR_LINEAR_H

#include "mr.h"

/* MRL_MR_IVW_FIXED .. MRL_MR_EGGER_ROBUST_PENALISED and MRL_MR_UNWEIGHTED. work: doubles. n is at
 * least mrl_mr_min_n(method). */
size_t mrl_mr_linear_work(mrl_mr_method method, size_t n);
mrl_mr_estimate mrl_mr_linear(mrl_mr_method method, const mrl_mr_data *data,
                              const mrl_mr_settings *settings, double *work);

#endif
