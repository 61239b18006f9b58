/*
 * Simulator of individual-level data with context variables that raise exposure and outcome: the
 * design of the contextualized-MR study (Talluri 2025), with direct effects of the genotypes and
 * linkage added. For person i and SNP j
 *
 *   maf_j ~ U(maf_low, maf_high), pi_j ~ N(0, pi_sd^2), alpha_j ~ N(alpha_mean, alpha_sd^2),
 *   G_ij ~ Binomial(2, maf_j), U, v, e ~ N(0, 1), C = standardised context (population SD),
 *   X = sum_j pi_j G_j + [sum_k gamma_k C_k] + confounding U + v
 *   Y = beta X + rest, rest = sum_j alpha_j G_j + [sum_k zeta_k C_k] + confounding U + e
 *
 * with the brackets only under use_context. beta may depend on C, so Y itself is the caller's.
 *
 * Linkage: along each haplotype alleles are a Markov chain whose neighbours j - 1, j have the
 * correlation min(linkage, the largest that their two frequencies allow); genotypes have the same
 * one. Loci further apart are correlated by the product of the steps between them.
 *
 * Rows are drawn in chunks of MRL_CHUNK_ROWS, one stream for each column and chunk: people and SNPs
 * do not change when n or n_snp grows, but for the standardisation of the context, nor with
 * threads.
 */
#ifndef MRL_SIM_CONTEXTUAL_H
#define MRL_SIM_CONTEXTUAL_H

#include "status.h"

enum { MRL_N_CONTEXT = 10 };

typedef struct {
  size_t n;     /* people, at least 2 */
  size_t n_snp; /* at least 1, below 2^24 */
  uint64_t seed;
  double maf_low, maf_high; /* 0 < maf_low <= maf_high < 1 */
  double pi_sd;
  double alpha_mean, alpha_sd;
  double confounding;
  double linkage;      /* 0 .. 1 */
  int use_context;     /* whether the context enters X and Y */
  const double *gamma; /* (MRL_N_CONTEXT) context -> X */
  const double *zeta;  /* (MRL_N_CONTEXT) context -> Y */
} mrl_sim_contextual_settings;

/* All memory is the caller's. Context order: age, sex, bmi, smoker, height, weight, bp_sys,
 * cholesterol, glucose, sleep. */
typedef struct {
  double *const *genotype;  /* (n_snp) columns of n doubles: 0, 1, 2 */
  double *const *context;   /* (MRL_N_CONTEXT) columns of n doubles, in their own units */
  double *context_std;      /* (n, MRL_N_CONTEXT) standardised; a constant column is all 0 */
  double *x;                /* (n) exposure */
  double *rest;             /* (n) outcome without beta x */
  double *u, *v, *e;        /* (n) confounder, noise of X, noise of Y */
  double *maf, *pi, *alpha; /* (n_snp) */
  double *linkage; /* (n_snp - 1) attained correlation of neighbours; unused if n_snp is 1 */
} mrl_sim_contextual;

/* MRL_NOT_FINITE if X or Y overflow. */
mrl_status mrl_sim_contextual_run(mrl_sim_contextual *out,
                                  const mrl_sim_contextual_settings *settings, const mrl_ctx *ctx);

#endif
