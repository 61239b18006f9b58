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
  MRL_MR_N_METHOD
} mrl_mr_method;

typedef enum { MRL_LOSS_L2, MRL_LOSS_HUBER, MRL_LOSS_TUKEY } mrl_mr_loss;

/* Defaults in brackets are TwoSampleMR's, which R passes. */
typedef struct {
  uint64_t seed;
  size_t n_boot;       /* bootstrap draws [1000], below 2^24 */
  double phi;          /* bandwidth factor of the modes [1] */
  double penalty;      /* penalised median: weight = min(1, penalty * p) [20] */
  double psi;          /* correlation of the two effect estimates, overlapping samples [0] */
  int over_dispersion; /* RAPS [1] */
  mrl_mr_loss loss;    /* RAPS [Huber] */
  int median_weights_first_order; /* medians: weights (bx/sy)^2 instead of 1/V(ratio) [0] */
  int mode_exact; /* modes: the density's own maximum instead of that on R's 512 points [0] */
} mrl_mr_settings;

/* Variants that a method needs; 1 or more. */
size_t mrl_mr_min_n(mrl_mr_method method);

/* Why a method gave nothing. */
typedef enum {
  MRL_MR_FINE = 0,
  MRL_MR_TOO_FEW,    /* fewer variants than the method needs */
  MRL_MR_TOO_MANY,   /* more than one variant: Wald */
  MRL_MR_DEGENERATE, /* no spread of bx, a ratio that is not finite, a singular information */
  MRL_MR_NO_CONVERGE,
  MRL_MR_N_WHY
} mrl_mr_why;

/* NaN where a method does not have the quantity. q, q_df: Cochran's or Rucker's heterogeneity. */
typedef struct {
  double estimate, std_error, p_value;
  double q, q_df, q_p_value;
  double intercept, intercept_se, intercept_p;
  double sigma;  /* residual standard error of the regression; robust: the scale of its S step */
  double tau2;   /* variance of the over-dispersion: RAPS, dIVW, pIVW */
  size_t n_used; /* variants that count (sign test: those whose effects are not 0); 0: all */
  mrl_mr_why why;
} mrl_mr_estimate;

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
