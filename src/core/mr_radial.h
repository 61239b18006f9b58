/*
 * Radial regressions (Bowden et al. 2018, Int. J. Epidemiol. 47:1264): ratios times the roots of
 * their weights on these roots, through the origin (IVW) or not (Egger), as RadialMR fits them; and
 * MR-GRIP (Dudbridge et al. 2025, PLoS Genet. 21:e1011967), Egger's regression with each term
 * multiplied by the exposure effect, which no choice of alleles changes.
 */
#ifndef MRL_MR_RADIAL_H
#define MRL_MR_RADIAL_H

#include "mr.h"

/* Weights of a ratio: 1 / (sy / bx)^2; with by sx / bx^2 as well; or that with the slope of the
 * first in place of the ratio. */
typedef enum {
  MRL_RADIAL_FIRST = 1,
  MRL_RADIAL_SECOND,
  MRL_RADIAL_MODIFIED,
  MRL_RADIAL_N_WEIGHTS
} mrl_radial_weights;

/* As lm() gives them; intercept NaN without one. q: Cochran's or Rucker's, the sum of the parts. */
typedef struct {
  double slope, slope_se, intercept, intercept_se, sigma, q;
} mrl_radial_fit;

/* root (n): roots of the weights, part (n): of q. n at least 2, with an intercept 3. NaN where a
 * ratio is not finite. */
mrl_radial_fit mrl_radial_fit_run(double *root, double *part, const mrl_mr_data *data,
                                  mrl_radial_weights weights, int with_intercept);

/* Modified weights from 0 on until the slope moves by less than tol or 1000 times: how often. */
mrl_radial_fit mrl_radial_iterate(size_t *count, const mrl_mr_data *data, double tol);

/*
 * The exact weights: the b that minimises q(b) = sum (by - b bx)^2 / (phi sy^2 + b^2 sx^2), with
 * slope_se 1 / root of the sum of weights. random: phi >= 1 so that the minimum is n - 1 if it is
 * more at phi = 1. sigma: the root of phi; q: at phi = 1 and the estimate. work: doubles.
 */
size_t mrl_radial_exact_work(size_t n);
mrl_radial_fit mrl_radial_exact(const mrl_mr_data *data, int random, double *work);

/* The rows of mrl_mr_run(): MRL_MR_IVW_RADIAL, MRL_MR_EGGER_RADIAL with modified weights;
 * MRL_MR_GRIP and MRL_MR_GRIP_ADJUSTED. work: 2 n doubles. */
mrl_mr_estimate mrl_mr_radial(mrl_mr_method method, const mrl_mr_data *data, double *work);
mrl_mr_estimate mrl_mr_grip(const mrl_mr_data *data, int adjusted);

#endif
