/*
 * Simulator of individual-level data for nonlinear causal effects: the design of the ml-mr study
 * (Legault et al. 2023). For person i and variant j, all independent,
 *
 *   maf_j ~ U(maf_low, maf_high), (share_1, ..., share_L) ~ Dirichlet(1, ..., 1),
 *   G_ij ~ Binomial(2, maf_j), U, e ~ N(0, 1), v ~ N(0, 1 - h2 - beta_ux^2),
 *   X = sum_j sqrt(share_j h2) (G_ij - 2 maf_j) / sqrt(2 maf_j (1 - maf_j)) + beta_ux U + v
 *   Y = f(X) + rest or slope(M) X + rest, rest = beta_uy U + e
 *
 * so that Var X = 1 and the variants explain the share h2 of it. Genotypes are standardised by the
 * moments of their law, not of the sample: a person does not depend on who else is drawn. f and
 * slope are the caller's, and Y with them.
 */
#ifndef MRL_SIM_NONLINEAR_H
#define MRL_SIM_NONLINEAR_H

#include "status.h"

typedef struct {
  size_t n;     /* people, at least 1 */
  size_t n_snp; /* at least 1, below 2^24 - 8 */
  uint64_t seed;
  double maf_low, maf_high; /* 0 < maf_low <= maf_high < 1 */
  double h2;                /* at least 0; h2 + beta_ux^2 < 1 */
  double beta_ux, beta_uy;
} mrl_sim_nonlinear_settings;

/* All memory is the caller's. */
typedef struct {
  double *const *genotype;      /* (n_snp) columns of n doubles: 0, 1, 2 */
  double *modifier;             /* (n) M ~ N(0, 1); NULL where there is none */
  double *x;                    /* (n) exposure */
  double *rest;                 /* (n) outcome without the exposure's part */
  double *u, *v, *e;            /* (n) confounder, noise of X, noise of Y */
  double *maf, *share, *effect; /* (n_snp) frequency, share of h2, effect of an allele on X */
} mrl_sim_nonlinear;

/* MRL_NOT_FINITE if Y overflows. */
mrl_status mrl_sim_nonlinear_run(mrl_sim_nonlinear *out, const mrl_sim_nonlinear_settings *settings,
                                 const mrl_ctx *ctx);

#endif
