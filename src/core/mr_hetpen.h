/*
 * Heterogeneity-penalised model averaging (Burgess, Zuber, Gkatzionis & Foley 2018, Int. J.
 * Epidemiol. 47:1242): every subset of at least two variants gives a normal density about its
 * inverse-variance weighted estimate, with a weight that falls with its heterogeneity. The estimate
 * is the mode of their mixture. MendelianRandomization searches it on a grid; here it is exact.
 */
#ifndef MRL_MR_HETPEN_H
#define MRL_MR_HETPEN_H

#include "mr.h"

/* 2^20 subsets take about half a second, in which nobody polls. */
enum { MRL_MR_HETPEN_MAX = 20 };

/*
 * settings->prior: of a variant to be valid. ci_low and ci_high: least and greatest value at which
 * twice the log density is within settings->chisq of its maximum; p-value by the same distance at
 * zero. work: doubles.
 */
size_t mrl_mr_hetpen_work(size_t n);
mrl_mr_estimate mrl_mr_hetpen(const mrl_mr_data *data, const mrl_mr_settings *settings,
                              double *work);

#endif
