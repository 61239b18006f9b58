/*
 * Multivariable Mendelian randomization from summary statistics: the direct effects of k exposures
 * on one outcome from the effects of n variants on all of them.
 *
 * A method that cannot be used on the data (too few variants, a correlation matrix that it has no
 * use for) gives NaN with the reason in `why`, never an error. Collinear exposures are refused by
 * the caller.
 */
#ifndef MRL_MVMR_H
#define MRL_MVMR_H

#include "arena.h"
#include "prob.h"
#include "rng.h"
#include "status.h"

/* n >= 1 variants, k >= 1 exposures, n below 2^31. */
typedef struct {
  const double *bx; /* (n, k) effects on the exposures */
  const double *by; /* (n) effects on the outcome */
  const double
      *cov;         /* (k + 1, k + 1, n) covariance of each variant's estimates, the outcome last */
  const double *ld; /* (n, n) correlations of the variants, positive definite, or NULL */
  size_t n, k;
} mrl_mv_data;

/* R's table of methods has the same order. */
typedef enum {
  MRL_MV_IVW = 0,   /* se * max(1, sigma); fixed effects below four variants */
  MRL_MV_IVW_FIXED, /* sigma = 1 */
  MRL_MV_IVW_RAW,   /* se * sigma */
  MRL_MV_EGGER,     /* with an intercept, alleles turned to one of the exposures */
  MRL_MV_MEDIAN,    /* least absolute deviations */
  MRL_MV_LASSO,
  MRL_MV_CML,    /* constrained maximum likelihood, invalid variants by BIC */
  MRL_MV_CML_DP, /* the same, averaged over perturbed data */
  MRL_MV_IVW_ME, /* least Q: IVW with the measurement error of the exposures' effects */
  MRL_MV_QHET,   /* the same with over-dispersion */
  MRL_MV_N_METHOD
} mrl_mv_method;

/* Defaults in brackets are MendelianRandomization's, which R passes. */
typedef struct {
  uint64_t seed;
  size_t n_boot;           /* median: draws [10000; 1000 here], below 2^24 */
  size_t orientate;        /* Egger, LASSO: exposure to which alleles are turned, from 0 [0] */
  double lambda;           /* LASSO: penalty; NaN: by heterogeneity [NaN] */
  double sample_size;      /* cML: people in the smallest study; NaN: unknown */
  const size_t *n_invalid; /* (n_choices) cML: numbers of invalid variants to try, ascending */
  size_t n_choices;
  size_t n_perturb;           /* cML-DP: draws [200], below 2^24 */
  size_t n_starts;            /* cML: random starts besides that of no effects [0] */
  double start_low, start_up; /* range of the random starts [-0.5, 0.5] */
  int by_student;             /* p-values by t instead of the normal law [0] */
} mrl_mv_settings;

/* Why a method gave nothing. */
typedef enum {
  MRL_MV_FINE = 0,
  MRL_MV_TOO_FEW,     /* no more variants than the method has parameters */
  MRL_MV_CORRELATED,  /* the method takes no correlated variants */
  MRL_MV_DEGENERATE,  /* exposures collinear among the variants that are left */
  MRL_MV_NO_CONVERGE, /* an iteration stopped at its limit */
  MRL_MV_TURNED,      /* Egger: the orienting signs are collinear with the exposures */
  MRL_MV_N_WHY
} mrl_mv_why;

/* The caller owns the arrays. NaN where a method does not have the quantity. */
typedef struct {
  double *b, *se, *p; /* (k) */
  int *valid;         /* (n) 1 where the method counts a variant as a valid instrument */
  double intercept, intercept_se, intercept_p;
  double q, q_df, q_p;     /* heterogeneity about the estimates */
  double sigma, tau2;      /* residual standard error; variance of over-dispersion */
  double lambda;           /* LASSO: the penalty used */
  size_t n_valid, n_draws; /* sum of valid; draws that could be used */
  double df;               /* of the t that belongs to the estimates */
  mrl_mv_why why;
} mrl_mv_estimate;

/* out (n_methods). Draws are shared out to threads; results do not depend on their number. Polls.
 * MRL_NO_MEMORY if scratch is too small, MRL_SINGULAR if ld is not positive definite. */
size_t mrl_mv_run_scratch(const mrl_mv_data *data, const mrl_mv_method *methods, size_t n_methods,
                          const mrl_mv_settings *settings, const mrl_ctx *ctx);
mrl_status mrl_mv_run(mrl_mv_estimate *out, const mrl_mv_data *data, const mrl_mv_method *methods,
                      size_t n_methods, const mrl_mv_settings *settings, void *scratch,
                      size_t scratch_size, const mrl_ctx *ctx);

/*
 * Strength and heterogeneity. Of exposure j given the others Q_j is the heterogeneity of its
 * effects about delta_j times the effects on the others, with the variance of that difference
 * (Sanderson, Spiller & Bowden 2021, Stat. Med. 40:5434). f (k): Q_j / n at the unweighted least
 * squares delta_j, as MVMR's strength_mvmr(). f_least (k): least Q_j over delta_j, divided by
 * n - (k - 1); the same for all j, since it is least over all combinations of the exposures. q:
 * heterogeneity of the outcome's effects about the IVW estimate with the variance of the residuals,
 * as pleiotropy_mvmr(); q_least: its least value over all effects. r2 (k): share of the weighted
 * sum of squares of exposure j's effects that the others explain. residual (n), spread (n): outcome
 * effects less what the IVW estimate says, and their standard deviation, as they enter q.
 */
typedef struct {
  double *f, *f_least, *r2;  /* (k) */
  double *residual, *spread; /* (n) */
  double q, q_least;
} mrl_mv_diagnosis;

size_t mrl_mv_diagnose_scratch(const mrl_mv_data *data);
mrl_status mrl_mv_diagnose(mrl_mv_diagnosis *out, const mrl_mv_data *data, void *scratch,
                           size_t scratch_size, const mrl_ctx *ctx);

#endif
