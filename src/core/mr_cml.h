/*
 * Constrained maximum likelihood, MR-cML (Xue, Shen & Pan 2021, Am. J. Hum. Genet. 108:1251): K
 * variants may have any direct effect on the outcome. For each K the likelihood is climbed as in
 * MendelianRandomization's mr_cML(): which K are invalid, the exposure effects and the causal
 * effect in turn, from zero (and from random starts, of which the best counts), until the causal
 * effect moves by less than 1e-7 or max_iter times. BIC picks K or weighs the estimates.
 */
#ifndef MRL_MR_CML_H
#define MRL_MR_CML_H

#include "mr.h"

/* The climb on one set of effects, for tests. sx2, sy2: inverse variances. */
typedef struct {
  double theta, var, minus_log_likelihood; /* var NaN where the information is not positive */
} mrl_cml_fit;

/* work: 4 n doubles; invalid (n): which variants are. mu (n): exposure effects, in: the start. */
mrl_cml_fit mrl_cml_climb(double *mu, unsigned char *invalid, const mrl_mr_data *data, size_t k,
                          double theta, size_t max_iter, double *work);

/* Without perturbation: MRL_MR_CML_BIC and MRL_MR_CML_MA_BIC. work: doubles. detail may be NULL. */
size_t mrl_mr_cml_work(size_t n, const mrl_mr_settings *settings);
mrl_mr_estimate mrl_mr_cml(mrl_mr_method method, const mrl_mr_data *data, size_t group,
                           const mrl_mr_settings *settings, mrl_mr_detail *detail, double *work);

#endif
