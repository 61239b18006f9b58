/*
 * Simulator of summary data. For variant j of a pair, with everything per standard deviation of
 * exposure and outcome and per allele,
 *
 *   maf_j ~ U(maf_low, maf_high),  sx_j = 1 / sqrt(2 maf (1 - maf) n_exposure),  sy_j likewise
 *   c_j ~ N(0, effect_sd^2),  invalid_j ~ Bernoulli(invalid)
 *   valid:   gamma_j = |c_j|,          alpha_j = 0
 *   invalid: gamma_j = |c_j| + p_j,    alpha_j = N(pleiotropy_mean, pleiotropy_sd^2) + q p_j
 *            p_j = |N(0, effect_sd^2)| (effect on a confounder) if InSIDE fails, else 0
 *   bx_j = gamma_j + sx_j e_j,  by_j = theta gamma_j + alpha_j + sy_j f_j,  cor(e_j, f_j) = rho
 *
 * The allele is the one that raises the exposure; a fair coin says which is reported.
 * A variant is kept if |b| / sx > z_threshold, b being bx_j itself (winner's curse) or an estimate
 * from another sample of the same size; it is drawn again until it is, at most MRL_SIM_TRIES times.
 */
#ifndef MRL_SIM_SUMMARY_H
#define MRL_SIM_SUMMARY_H

#include "status.h"

enum { MRL_SIM_TRIES = 100000 };

typedef struct {
  size_t n_pair, n_snp; /* variants of each pair */
  uint64_t seed;
  double theta;
  double n_exposure, n_outcome;
  double maf_low, maf_high;
  double effect_sd;
  double invalid;                        /* probability */
  double pleiotropy_mean, pleiotropy_sd; /* direct effects of invalid variants */
  double through_confounder;             /* q; 0 keeps InSIDE */
  double rho;                            /* correlation of the two estimates' errors */
  double z_threshold;                    /* 0: no selection */
  int winners_curse;
} mrl_sim_summary_settings;

/* (n_pair * n_snp) each, pair by pair; the caller's. */
typedef struct {
  double *bx, *sx, *by, *sy, *maf, *gamma, *alpha;
  int *valid;
} mrl_sim_summary;

/* Variant j of pair i has stream i * n_snp + j of MRL_RNG_SIM_SUMMARY. MRL_TOO_FEW where no draw
 * passes the threshold. Polls. */
mrl_status mrl_sim_summary_run(mrl_sim_summary *out, const mrl_sim_summary_settings *settings,
                               const mrl_ctx *ctx);

#endif
