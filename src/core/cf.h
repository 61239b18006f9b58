/*
 * Control functions: the residual r of the exposure given instruments and covariates joins the
 * regression of the outcome on exposure and covariates, where it stands for what confounds them:
 *   x = [1, w, z] pi + r;   link(E[y | x, w, r]) = a + w'c + g(x) + k(r)
 * with g and k linear in the columns of a basis each (cf_basis.h). The columns of k are centred, so
 * that their means over the (weighted) rows are 0 and the mean over r of a linear model is g alone.
 *
 * Bootstrap replicates repeat both stages on rows (whole clusters) drawn with replacement.
 */
#ifndef MRL_CF_H
#define MRL_CF_H

#include "cf_basis.h"
#include "logit.h"

typedef struct {
  const double *const *col; /* (n_exog + n_inst) covariates, instruments */
  const double *x, *y;      /* (n) exposure; outcome, 0 .. 1 where binomial */
  const double *weights;    /* (n) > 0 or NULL */
  const int *cluster;       /* (n) 1 .. n_cluster, or NULL */
  size_t n, n_exog, n_inst, n_cluster;
} mrl_cf_data;

typedef struct {
  mrl_cf_basis exposure, residual;
  int binomial;    /* 1: logit link; 0: identity */
  size_t n_points; /* of the quantile bins, at least 1 */
  mrl_isa isa;
  uint64_t seed;
} mrl_cf_settings;

/* All memory is the caller's. k = 1 + n_exog + width of g + width of k, in this order. */
typedef struct {
  double *coef;     /* (k) */
  double *vcov;     /* (k, k) inverse information of the second stage (binomial), or NULL */
  double *residual; /* (n) r, or NULL */
  double *index;    /* (n) a + w'c + k(r), or NULL */
  double *mean;     /* (n_exog) weighted means of the covariates */
  double *centre;   /* (width of k) what was taken from its columns */
  double *bins;     /* (n_points) the index in bins of equal weight, their means, ascending */
  double *r_bins;   /* (n_points) k(r) alone likewise */
  int separated;
} mrl_cf_fit;

/* Bytes of scratch for both functions below; 0 if the sizes overflow. */
size_t mrl_cf_scratch(const mrl_cf_data *data, const mrl_cf_settings *settings, const mrl_ctx *ctx);

/*
 * The fit to the rows as they are. MRL_SINGULAR: the second stage's columns are collinear (an
 * exposure that instruments and covariates explain wholly or not at all; too few levels for the
 * basis). MRL_TOO_FEW: more columns than rows. MRL_NO_CONVERGE: see logit.h. MRL_NOT_FINITE.
 */
mrl_status mrl_cf_run(mrl_cf_fit *fit, const mrl_cf_data *data, const mrl_cf_settings *settings,
                      void *scratch, size_t size, const mrl_ctx *ctx);

/* Replicates 0 .. count - 1 into fit (count) with statuses (count); replicate b draws from stream b
 * of the seed, whatever the threads. A replicate that fails leaves its status; the others go on. */
mrl_status mrl_cf_boot(mrl_cf_fit *fit, mrl_status *status, size_t count, const mrl_cf_data *data,
                       const mrl_cf_settings *settings, void *scratch, size_t size,
                       const mrl_ctx *ctx);

#endif
