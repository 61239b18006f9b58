/*
 * The robust adjusted profile score of Zhao, Wang, Hemani, Bowden & Small (2020, Ann. Statist.
 * 48:1742), as in mr.raps 0.2 but solved to rounding, and maximum likelihood. Both rest on
 *   t_i(b) = (by - b bx) / sqrt(sy^2 + b^2 sx^2 + tau2).
 */
#ifndef MRL_MR_RAPS_H
#define MRL_MR_RAPS_H

#include "mr.h"

size_t mrl_mr_raps_work(size_t n);

/*
 * Maximises -sum rho(t) over b; with settings->over_dispersion jointly with the tau2 >= 0 that
 * solves sum sx^2 (t psi(t) - delta) / (tau2 + sy^2 + b^2 sx^2) = 0, delta = E[Z psi(Z)], if that
 * sum is positive at 0 (else tau2 = 0). Standard error by the sandwich, normal p-value.
 */
mrl_mr_estimate mrl_mr_raps(const mrl_mr_data *data, const mrl_mr_settings *settings, double *work);

/*
 * Maximum likelihood with true exposure effects as parameters, profiled out; settings->psi is the
 * correlation of the two estimates of a variant. q = -2 log likelihood, n - 1 degrees of freedom.
 * random: standard error multiplied by max(1, sqrt(q / (n - 1))).
 */
mrl_mr_estimate mrl_mr_maxlik(const mrl_mr_data *data, const mrl_mr_settings *settings, int random,
                              double *work);

#endif
