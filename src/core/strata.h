/*
 * Strata of the exposure within which an instrument stays valid, and the instrument's associations
 * within each: Tian, Mason, Liu & Burgess (2023), PLoS Genet 19:e1010823.
 *
 * People are put in order of the instrument and cut into pre-strata of pre_size neighbours; within
 * a pre-stratum those with the lowest exposures go to stratum 1, and so on. With one pre-stratum
 * of everybody the strata are those of the ranked variable itself: of the exposure the naive ones,
 * of its residuals given the instrument the residual ones.
 */
#ifndef MRL_STRATA_H
#define MRL_STRATA_H

#include "gemm.h"
#include "status.h"

/*
 * Who goes where among s people of a pre-stratum, of which rank r counts from 0. SPREAD: s people
 * are shared out as evenly as whole numbers allow, the first strata getting one more (the package
 * DRMR). FILL: pre_size / n_strata to a stratum, so that an incomplete last pre-stratum fills the
 * first strata only (SUMnlmr). They differ in the last pre-stratum alone.
 */
typedef enum { MRL_STRATA_SPREAD, MRL_STRATA_FILL, MRL_STRATA_N_RULE } mrl_strata_rule;

/* Variances within strata: of equal errors, robust (times n / (n - k)), by clusters. */
typedef enum { MRL_STRATA_IID, MRL_STRATA_HC1, MRL_STRATA_CLUSTER } mrl_strata_vcov;

typedef struct {
  size_t n_strata;  /* at least 1 */
  size_t pre_size;  /* at least n_strata (FILL: a multiple of it); n and more: one pre-stratum */
  size_t n_repeat;  /* at least 1 */
  size_t leave_out; /* random people that each repeat goes without, below n */
  uint64_t seed;
  mrl_strata_rule rule;
  int random_ties; /* 0: equal instruments in the order of the rows, equal exposures in that of the
                      instruments; 1: in random order, another one in each repeat */
  mrl_strata_vcov vcov;
  int logistic; /* the outcome's association is a log-odds: 0 / 1 outcome */
  mrl_isa isa;
} mrl_strata_settings;

typedef struct {
  const double *z;        /* (n) instrument or score */
  const double *rank_by;  /* (n) variable ranked within pre-strata */
  const double *x, *y;    /* (n) exposure, outcome */
  const double *const *w; /* (n_w) covariates, n doubles each */
  const double *weights;  /* (n) above 0, or NULL */
  const int *cluster;     /* (n) 1 .. n_cluster, or NULL */
  size_t n, n_w, n_cluster;
} mrl_strata_data;

/*
 * What is known of a stratum. Associations come from regressions of x and of y on the instrument,
 * covariates and a constant; collinear covariates are left out. They are NaN where the instrument
 * is constant or collinear there, the exposure constant, or people are too few (fewer than 3, or no
 * degree of freedom), those of the outcome also where a logistic regression is separated.
 */
typedef enum {
  MRL_STRATUM_N,    /* people */
  MRL_STRATUM_MEAN, /* mean exposure, weighted */
  MRL_STRATUM_BX,   /* instrument on exposure */
  MRL_STRATUM_BY,   /* instrument on outcome */
  MRL_STRATUM_VXX,  /* their variances and covariance */
  MRL_STRATUM_VYY,
  MRL_STRATUM_VXY,
  MRL_STRATUM_DF,        /* people less columns */
  MRL_STRATUM_SEPARATED, /* 1: the outcome is separated by the columns */
  MRL_STRATUM_GR_LOW,  /* Gelman-Rubin statistics of the least and of the greatest rank that the */
  MRL_STRATUM_GR_HIGH, /* stratum's first and last place may have, over two halves of the complete
                          pre-strata: 1 without equal values, infinite where ranks differ
                            between the halves alone; NaN with fewer than 4 of them */
  MRL_STRATUM_N_COLUMN
} mrl_stratum_column;

typedef struct {
  int *stratum;      /* (n) of the first repeat: 1 .. n_strata, 0: left out */
  double *effect;    /* (MRL_STRATUM_N_COLUMN, n_strata, n_repeat) */
  size_t tied_z;     /* people whose instrument another person has too */
  size_t tied_ranks; /* the same of rank_by */
} mrl_strata;

/* Strata are regressed in parallel; polls lie between repeats and their steps, each O(n log n) once
 * and O(n) for a repeat. MRL_NOT_FINITE: a moment overflowed. */
size_t mrl_strata_scratch(const mrl_strata_data *data, const mrl_strata_settings *settings,
                          const mrl_ctx *ctx);
mrl_status mrl_strata_run(mrl_strata *out, const mrl_strata_data *data,
                          const mrl_strata_settings *settings, void *scratch, size_t scratch_size,
                          const mrl_ctx *ctx);

#endif
