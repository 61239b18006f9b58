/*
 * Mendelian randomization from summary statistics: what all estimators share.
 *
 * An exposure-outcome pair is a group of n variants with their effects on exposure and outcome.
 * Each estimator is a function of one group; mrl_mr_run() applies a list of methods to many groups
 * on threads. A method that cannot be used on a group (too few variants, a degenerate design) gives
 * NaN, with the reason in `why`, never an error.
 */
#ifndef MRL_MR_H
#define MRL_MR_H

#include "arena.h"
#include "prob.h"
#include "rng.h"
#include "status.h"

/* Effects as harmonised: bx, sx on the exposure, by, sy on the outcome; sx, sy > 0. All (n). */
typedef struct {
  const double *bx, *sx, *by, *sy;
  size_t n;
} mrl_mr_data;

/* R's table of methods has the same order. */
typedef enum {
  MRL_MR_WALD = 0,
  MRL_MR_IVW_FIXED,
  MRL_MR_IVW,           /* multiplicative random effects: se / min(1, sigma) */
  MRL_MR_IVW_RAW,       /* the same without the lower bound on sigma (TwoSampleMR's mr_ivw_mre) */
  MRL_MR_IVW_DELTA,     /* second-order weights */
  MRL_MR_IVW_ROBUST,    /* MM regression through the origin */
  MRL_MR_IVW_PENALISED, /* weights of outlying ratios taken down */
  MRL_MR_EGGER,
  MRL_MR_EGGER_ROBUST, /* MM regression */
  MRL_MR_EGGER_ROBUST_PENALISED,
  MRL_MR_EGGER_BOOTSTRAP,
  MRL_MR_SIMPLE_MEDIAN,
  MRL_MR_WEIGHTED_MEDIAN,
  MRL_MR_PENALISED_MEDIAN,
  MRL_MR_SIMPLE_MODE,
  MRL_MR_WEIGHTED_MODE,
  MRL_MR_SIMPLE_MODE_NOME,
  MRL_MR_WEIGHTED_MODE_NOME,
  MRL_MR_RAPS,
  MRL_MR_MAXLIK,
  MRL_MR_MAXLIK_RANDOM, /* se * max(1, sigma) */
  MRL_MR_DIVW,
  MRL_MR_PIVW,
  MRL_MR_SIGN,       /* concordance of signs, -1 .. 1 */
  MRL_MR_UNWEIGHTED, /* ordinary regression through the origin, as TwoSampleMR's mr_uwr */
  MRL_MR_CONMIX,     /* contamination mixture */
  MRL_MR_CML_BIC,    /* constrained maximum likelihood: the number of invalid variants by BIC */
  MRL_MR_CML_MA_BIC, /* averaged over that number */
  MRL_MR_CML_BIC_DP, /* with perturbed data */
  MRL_MR_CML_MA_BIC_DP,
  MRL_MR_LASSO,
  MRL_MR_HETPEN, /* heterogeneity-penalised model averaging */
  MRL_MR_GRIP,
  MRL_MR_GRIP_ADJUSTED, /* for weak instruments */
  MRL_MR_IVW_RADIAL,    /* modified second-order weights, as the next */
  MRL_MR_EGGER_RADIAL,
  MRL_MR_EGGER_SIMEX,
  MRL_MR_N_METHOD
} mrl_mr_method;

typedef enum { MRL_LOSS_L2, MRL_LOSS_HUBER, MRL_LOSS_TUKEY } mrl_mr_loss;

/* Constrained maximum likelihood, as MendelianRandomization's mr_cML(). */
typedef struct {
  const double
      *sample_size; /* (n_groups) of each pair's studies; NaN: unknown. NULL: all unknown */
  const int *k;     /* (n_k) numbers of invalid variants, increasing; NULL: 0 .. n - 2 */
  size_t n_k;
  size_t n_pert;        /* perturbations [200], below 2^24 - 1 */
  size_t n_starts;      /* random starts beside zero [0] */
  size_t n_starts_pert; /* and of perturbed data [0] */
  size_t max_iter;      /* [100] */
} mrl_mr_cml_settings;

/* Defaults in brackets are TwoSampleMR's, or those of the package that has the method, which R
 * passes. */
typedef struct {
  uint64_t seed;
  size_t n_boot;       /* bootstrap draws [1000], below 2^24 */
  double phi;          /* bandwidth factor of the modes [1] */
  double penalty;      /* penalised median: weight = min(1, penalty * p) [20] */
  double psi;          /* correlation of the two effect estimates, overlapping samples [0] */
  int over_dispersion; /* RAPS [1] */
  mrl_mr_loss loss;    /* RAPS [Huber] */
  int median_weights_first_order; /* medians: weights (bx/sy)^2 instead of 1/V(ratio) [0] */
  int mode_exact;   /* modes: the density's own maximum instead of that on R's 512 points [0] */
  double chisq;     /* of the level of likelihood intervals, one degree of freedom */
  double conmix_sd; /* contamination mixture: of invalid ratios; 0: 1.5 times that of all [0] */
  double lambda;    /* MR-LASSO; negative: chosen [-1] */
  double prior;     /* MR-HetPen: of a variant to be valid, in (0, 1) [0.5] */
  mrl_mr_cml_settings cml;
} mrl_mr_settings;

/* Variants that a method needs; 1 or more. The most that it can take; SIZE_MAX: any number. */
size_t mrl_mr_min_n(mrl_mr_method method);
size_t mrl_mr_max_n(mrl_mr_method method);

/* Why a method gave nothing. */
typedef enum {
  MRL_MR_FINE = 0,
  MRL_MR_TOO_FEW,    /* fewer variants than the method needs */
  MRL_MR_TOO_MANY,   /* more variants than the method takes */
  MRL_MR_DEGENERATE, /* no spread of bx, a ratio that is not finite, a singular information */
  MRL_MR_NO_CONVERGE,
  MRL_MR_NO_SIZE,       /* the sample size is unknown: cML */
  MRL_MR_TOO_FEW_VALID, /* fewer than two variants are taken for valid: MR-LASSO */
  MRL_MR_N_WHY
} mrl_mr_why;

/* NaN where a method does not have the quantity. q, q_df: Cochran's or Rucker's heterogeneity. */
typedef struct {
  double estimate, std_error, p_value;
  double q, q_df, q_p_value;
  double intercept, intercept_se, intercept_p;
  double sigma; /* residual standard error of the regression; robust: the scale of its S step */
  double tau2;  /* variance of the over-dispersion: RAPS, dIVW, pIVW */
  double ci_low,
      ci_high;   /* hull of a likelihood's confidence set; NaN: the interval is by std_error */
  size_t n_used; /* variants that count (sign test: those whose effects are not 0); 0: all */
  mrl_mr_why why;
} mrl_mr_estimate;

/* What robust methods find out about variants; NaN or 0 where a method does not have it. */
typedef struct {
  int *valid;         /* (n) is it taken for a valid instrument? NULL: not wanted, as next */
  double *direct;     /* (n) its direct effect on the outcome, alleles as given */
  size_t n_intervals; /* of the confidence set: contamination mixture */
  double tuning;      /* conmix: SD of invalid ratios; MR-LASSO: lambda; cML: invalid variants */
  double gof1, gof2;  /* p-values of fit: cML with perturbed data */
} mrl_mr_detail;

/* All numbers NaN, n_used = 0. */
mrl_mr_estimate mrl_mr_none(mrl_mr_why why);
/* The same again, or none (degenerate) if the estimate is not finite. */
mrl_mr_estimate mrl_mr_checked(mrl_mr_estimate at);

/*
 * One method on one group. group: its number, which keys the bootstrap's streams (draw b of group g
 * uses item g << 24 | b of MRL_RNG_BOOTSTRAP). work: doubles as mrl_mr_work(method, n, settings).
 */
size_t mrl_mr_work(mrl_mr_method method, size_t n, const mrl_mr_settings *settings);
mrl_mr_estimate mrl_mr_one(mrl_mr_method method, const mrl_mr_data *data, size_t group,
                           const mrl_mr_settings *settings, double *work);

/* As mrl_mr_one(), with what it finds out about variants. detail->valid and direct are set for the
 * contamination mixture, cML and MR-LASSO only. */
mrl_mr_estimate mrl_mr_detailed(mrl_mr_detail *detail, mrl_mr_method method,
                                const mrl_mr_data *data, size_t group,
                                const mrl_mr_settings *settings, double *work);

/*
 * Many groups: variants of group g are start[g] .. start[g + 1] - 1 of data (start: n_groups + 1).
 * out (n_groups, n_methods): out[g + m * n_groups]. Threads share out groups, or, where there is
 * one group, methods and bootstrap draws; results do not depend on their number. Polls.
 */
size_t mrl_mr_run_scratch(const size_t *start, size_t n_groups, const mrl_mr_method *methods,
                          size_t n_methods, const mrl_mr_settings *settings, const mrl_ctx *ctx);
mrl_status mrl_mr_run(mrl_mr_estimate *out, const mrl_mr_data *data, const size_t *start,
                      size_t n_groups, const mrl_mr_method *methods, size_t n_methods,
                      const mrl_mr_settings *settings, void *scratch, size_t scratch_size,
                      const mrl_ctx *ctx);

#endif
