/*
 * MR-LASSO (Rees, Wood, Dudbridge & Burgess 2019, PLoS ONE 14:e0222362): direct effects of the
 * variants, penalised, beside the causal effect; those that stay 0 are valid, and the estimate is
 * the inverse-variance weighted one of these.
 *
 * The problem is that of MendelianRandomization's mr_lasso(), which projects the causal effect out
 * and leaves the rest to glmnet with its standardised columns and its grid of penalties. Given the
 * causal effect, direct effects are soft-thresholded residuals, so what is left is a monotone
 * equation in one unknown, solved here to rounding for each penalty.
 */
#ifndef MRL_MR_LASSO_H
#define MRL_MR_LASSO_H

#include "mr.h"

/*
 * settings->lambda: the penalty, in glmnet's units; negative: the greatest one at which the
 * residual standard error is above 1 and rises, as the penalty falls, by less than a chance would
 * let it, as mr_lasso() has it. work: doubles. detail may be NULL.
 */
size_t mrl_mr_lasso_work(size_t n);
mrl_mr_estimate mrl_mr_lasso(const mrl_mr_data *data, const mrl_mr_settings *settings,
                             mrl_mr_detail *detail, double *work);

#endif
