/*
 * Mendelian randomization on effects of mutations, one sequence at a time. Variant v of a sequence
 * moves the exposure by x_v and the outcome by y_v; the slope of a sequence is
 *
 *   b = sum(x y) / sum(x^2)   over its instruments,
 *
 * and member k of an ensemble, whose effects are off their mean by dx_k and dy_k, moves it by
 *
 *   L_k = sum(x (dy_k - b dx_k) + dx_k (y - b x)) / sum(x^2).
 *
 * How wrong a slope is, is learnt from measured pairs of sequences (mrl_deepmr_law): errors z_i of
 * slopes, known up to noise of variance v0_i, are N(d, v0_i + psi h_i).
 */
#ifndef MRL_DEEPMR_H
#define MRL_DEEPMR_H

#include "status.h"

/* Effects as a long table; of each variant the rows, from 0, of its effects on exposure and
 * outcome. Variants of sequence s are start[s] .. start[s + 1] - 1. */
typedef struct {
  const double *effect; /* (n_row) finite */
  const double *se;     /* (n_row) above 0, or NULL */
  const double *member; /* (n_row, n_member) columns; NULL with n_member = 0 */
  size_t n_row, n_member;
  const int *x, *y;    /* (n_variant) */
  const size_t *start; /* (n_seq + 1) */
  size_t n_seq;
} mrl_deepmr_effects;

/* Which variants are instruments. */
typedef enum {
  MRL_DEEPMR_ALL, /* those with an effect on the exposure at all */
  MRL_DEEPMR_Z,   /* |x - centre| >= threshold * spread */
  MRL_DEEPMR_F,   /* (x / se)^2 >= threshold; needs se */
  MRL_DEEPMR_N_RULE
} mrl_deepmr_rule;

typedef struct {
  mrl_deepmr_rule rule;
  double threshold, centre, spread;
  size_t least; /* instruments that a slope needs, at least 1 */
} mrl_deepmr_pick;

/* Mean of the exposure's effects over all variants, and their SD (divided by the number less 1).
 * MRL_TOO_FEW: fewer than two variants. Polls. */
mrl_status mrl_deepmr_spread(double *centre, double *spread, const mrl_deepmr_effects *effects,
                             const mrl_ctx *ctx);

enum {
  MRL_DEEPMR_N_INSTRUMENT,
  MRL_DEEPMR_SLOPE,
  MRL_DEEPMR_SD,        /* SD over members of L_k, divided by their number less 1 */
  MRL_DEEPMR_RATIO,     /* mean of y / x over instruments: the naive estimate */
  MRL_DEEPMR_STRONGEST, /* largest |x - centre| / spread of the instruments; F: largest |x / se| */
  MRL_DEEPMR_N_COLUMN
};

/*
 * out (n_seq, MRL_DEEPMR_N_COLUMN) columns, all but the first NaN where a sequence has fewer than
 * pick->least instruments, the SD also with fewer than two members. shift (n_member, n_seq): L_k by
 * sequence. instrument (n_variant): 1 or 0. Threads share out sequences.
 */
mrl_status mrl_deepmr_slopes(double *out, double *shift, int *instrument,
                             const mrl_deepmr_effects *effects, const mrl_deepmr_pick *pick,
                             const mrl_ctx *ctx);

/*
 * Noise of measured differences. Null pairs i = 1 .. n_null are pairs of sequences whose
 * predictions differ little: level (n_null, 2) is where they were predicted, e (n_null, 2) the
 * observed differences less the predicted ones. For each of n levels `at` (n, 2), the covariance of
 * one measurement there, from the `nearest` null pairs (distance in units of the levels' SDs)
 * without those of which an |e| exceeds 4 * 1.4826 times its median: e'e / (2 m). cov (n, 3): xx,
 * xy, yy. All matrices by column. MRL_TOO_FEW: nearest < 2 or n_null < nearest. work: doubles,
 * mrl_deepmr_noise_work(n_null). Polls.
 */
size_t mrl_deepmr_noise_work(size_t n_null);
mrl_status mrl_deepmr_noise(double *cov, const double *at, size_t n, const double *level,
                            const double *e, size_t n_null, size_t nearest, double *work,
                            const mrl_ctx *ctx);

/* Values of sqrt(psi): 1e-4, and 70 from .003 to 3 with equal steps of the log. */
enum { MRL_DEEPMR_N_GRID = 71 };

/* Covariates of errors at most: 1, and the levels of exposure and outcome. */
enum { MRL_DEEPMR_MOST_COVARIATES = 3 };

/* Errors z_i of slopes, N(x_i' d, v0_i + psi h_i). x (n, n_covariate) by column, its first
 * column 1. n at least 2, v0 >= 0 and h > 0. */
typedef struct {
  const double *z, *v0, *h; /* (n) */
  const double *x;
  size_t n, n_covariate;
} mrl_deepmr_errors;

/* The posterior of d and psi: d_1 flat, the others N(0, (3 unit)^2), psi on the grid with prior
 * weights psi^(-df / 2) exp(-df psi0 / (2 psi)), as if psi0 had been seen as a variance with df
 * degrees of freedom; equal weights for df = 0. */
typedef struct {
  double t[MRL_DEEPMR_N_GRID];      /* sqrt(psi) */
  double weight[MRL_DEEPMR_N_GRID]; /* posterior; sums to 1 */
  size_t n_covariate;
  /* mean and covariance (by column) of d given psi */
  double d[MRL_DEEPMR_N_GRID][MRL_DEEPMR_MOST_COVARIATES];
  double v[MRL_DEEPMR_N_GRID][MRL_DEEPMR_MOST_COVARIATES * MRL_DEEPMR_MOST_COVARIATES];
} mrl_deepmr_law;

typedef struct {
  double unit; /* what the grid is multiplied with */
  double df, psi0;
} mrl_deepmr_prior;

/* MRL_TOO_FEW: n < 2 or unit <= 0. MRL_BAD_ARGUMENT: the number of covariates. MRL_NOT_FINITE. */
mrl_status mrl_deepmr_learn(mrl_deepmr_law *law, const mrl_deepmr_errors *errors,
                            const mrl_deepmr_prior *prior);

enum {
  MRL_DEEPMR_CENTRE,   /* of x' d: mean */
  MRL_DEEPMR_VARIANCE, /* and variance */
  MRL_DEEPMR_REACH,    /* c with posterior mass `level` in centre +- c, for the error to come */
  MRL_DEEPMR_N_REACH
};

/* out (n, MRL_DEEPMR_N_REACH): for errors N(x_i' d, psi h_i) of slopes to come, h (n), x (n, the
 * law's number of covariates), by column. Rows equal to the one before are not computed again.
 * Polls. */
mrl_status mrl_deepmr_reach(double *out, const double *h, const double *x, size_t n,
                            const mrl_deepmr_law *law, double level, const mrl_ctx *ctx);

#endif
