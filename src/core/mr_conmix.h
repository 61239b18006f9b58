/*
 * The contamination mixture (Burgess, Foley, Allara, Staley & Howson 2020, Nat. Commun. 11:376):
 * ratios of valid variants are normal about the causal effect, those of invalid ones about zero
 * with an own standard deviation beside their error. The likelihood with each variant in the better
 * of the two is maximised over the effect. MendelianRandomization searches it on a grid; here it is
 * exact, as it is a parabola between the places where a variant changes sides.
 */
#ifndef MRL_MR_CONMIX_H
#define MRL_MR_CONMIX_H

#include "mr.h"

/*
 * settings->conmix_sd: of invalid ratios, 0: 1.5 times the standard deviation of all. ci_low and
 * ci_high: least and greatest value of the confidence set, whose distance in twice the
 * log-likelihood is settings->chisq times the square of the residual standard error of the valid
 * ratios, if that is above 1; infinite where the likelihood of no valid variant is as near. p-value
 * by the same distance at zero. detail may be NULL.
 */
size_t mrl_mr_conmix_work(size_t n);
mrl_mr_estimate mrl_mr_conmix(const mrl_mr_data *data, const mrl_mr_settings *settings,
                              mrl_mr_detail *detail, double *work);

#endif
