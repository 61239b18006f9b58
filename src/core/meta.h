/*
 * Random-effects meta-analysis: effects y_i ~ N(x_i'b, se_i^2 + tau2), for many groups of effects
 * with a common mean each, or for one set of effects with moderators. Definitions as in Viechtbauer
 * (2010) and his package metafor.
 */
#ifndef MRL_META_H
#define MRL_META_H

#include "arena.h"
#include "status.h"

typedef enum {
  MRL_META_REML,
  MRL_META_ML,
  MRL_META_DL, /* DerSimonian-Laird */
  MRL_META_PM, /* Paule-Mandel */
  MRL_META_SJ, /* Sidik-Jonkman */
  MRL_META_EB, /* empirical Bayes: the same equation as Paule-Mandel's */
  MRL_META_HS, /* Hunter-Schmidt */
  MRL_META_HE, /* Hedges */
  MRL_META_FE, /* tau2 = 0 */
  MRL_META_N_METHOD
} mrl_meta_method;

/* What standard errors are multiplied with: 1, sqrt(s2) or sqrt(max(1, s2)), s2 = Q(tau2) / df. */
typedef enum {
  MRL_META_PLAIN,
  MRL_META_KNAPP_HARTUNG,
  MRL_META_KNAPP_HARTUNG_TRUNCATED,
  MRL_META_N_ADJUST
} mrl_meta_adjust;

typedef struct {
  mrl_meta_method method;
  mrl_meta_adjust adjust;
} mrl_meta_settings;

/* Columns of the results of groups. i2 is in percent. */
typedef enum {
  MRL_META_ESTIMATE,
  MRL_META_STD_ERROR,
  MRL_META_TAU2,
  MRL_META_SE_TAU2,
  MRL_META_TAU2_LOW, /* Q-profile interval */
  MRL_META_TAU2_HIGH,
  MRL_META_I2,
  MRL_META_H2,
  MRL_META_Q, /* Cochran's, with k - 1 degrees of freedom */
  MRL_META_N_COLUMN
} mrl_meta_column;

/* Effects of group g: rows start[g] .. start[g + 1] - 1 (start: n_groups + 1), at least one. */
typedef struct {
  const double *effect, *se; /* finite, se > 0 */
  const size_t *start;
  size_t n_groups;
  const double *q_low, *q_high; /* (n_groups) quantiles of chi-squared(k - 1) for the interval of
                                   tau2, low < high; both NULL: no interval. Unused where k = 1. */
} mrl_meta_data;

/*
 * out (n_groups, MRL_META_N_COLUMN). A single effect is its own estimate, with Q = 0 and, as it
 * says nothing of heterogeneity, NaN in the other columns (with FE: tau2 0, i2 0, h2 1).
 * MRL_NOT_FINITE: the row of some group could not be computed and is NaN throughout (effects and
 * standard errors 50 and more orders of magnitude apart).
 */
size_t mrl_meta_groups_scratch(const mrl_meta_data *data, const mrl_ctx *ctx);
mrl_status mrl_meta_groups(double *out, const mrl_meta_data *data,
                           const mrl_meta_settings *settings, void *scratch, size_t scratch_size,
                           const mrl_ctx *ctx);

/* x (k, p), k > p, linearly independent columns; constant: the first column is 1. */
typedef struct {
  const double *effect, *se, *x;
  size_t k, p;
  int constant;
  double q_low, q_high; /* quantiles of chi-squared(k - p) */
} mrl_meta_regression_data;

typedef struct {
  double *coef, *vcov;                       /* (p), (p, p): the caller's */
  double tau2, se_tau2, tau2_low, tau2_high; /* residual heterogeneity */
  double i2, h2, qe;                         /* residual; qe with k - p degrees of freedom */
  double qm;        /* b'V^-1 b of all coefficients but the constant (of it, where alone) */
  double s2;        /* Q(tau2) / (k - p) */
  double tau2_none; /* constant: tau2 and Q without moderators, else NaN */
  double q_none;
} mrl_meta_regression_fit;

/* MRL_SINGULAR: collinear columns. */
size_t mrl_meta_regression_scratch(size_t k, size_t p);
mrl_status mrl_meta_regression(mrl_meta_regression_fit *fit, const mrl_meta_regression_data *data,
                               const mrl_meta_settings *settings, void *scratch,
                               size_t scratch_size, const mrl_ctx *ctx);

#endif
