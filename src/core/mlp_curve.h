/*
 * What a fitted outcome net g(x, w) says: for people, on average at levels of the exposure, and its
 * derivative. x and the covariates come in their own units and are standardised on the way, in
 * pieces, so that memory does not depend on the number of people.
 */
#ifndef MRL_MLP_CURVE_H
#define MRL_MLP_CURVE_H

#include "mlp_basis.h"

/*
 * The net's inputs are x and w (n_w). Without theta its output is the standardised outcome, or the
 * logit of a binary one. With theta the net is a trunk, whose features come behind the polynomial
 * of `basis`, and theta'h is that.
 */
typedef struct {
  const mrl_net *net;
  const mrl_basis *basis;
  const double *theta; /* (terms of the basis) or NULL */
  const mrl_real *params;
  mrl_real *statistics;       /* not changed */
  const mrl_scale *x, *w, *y; /* w (n_w) */
  int binary;
} mrl_curve_model;

/* People, and their weights (n) or NULL. */
typedef struct {
  const double *const *w; /* (n_w) of (n) */
  const double *weights;
  size_t n, n_w;
} mrl_people;

/* Memory of each of the functions below, in bytes; 0: it overflows. */
size_t mrl_curve_scratch(const mrl_net *net, mrl_isa isa, const mrl_ctx *ctx);

/* out (n) = g(x_i, w_i); x (n). */
mrl_status mrl_curve_predict(double *out, const mrl_curve_model *model, const double *x,
                             const mrl_people *people, mrl_isa isa, void *scratch, size_t size,
                             const mrl_ctx *ctx);
/* out (n_levels): the mean over the people of g(level, w_i). */
mrl_status mrl_curve_mean(double *out, const mrl_curve_model *model, const double *level,
                          size_t n_levels, const mrl_people *people, mrl_isa isa, void *scratch,
                          size_t size, const mrl_ctx *ctx);
/* *out: the mean over the people of the derivative of g in x at x (n). */
mrl_status mrl_curve_slope(double *out, const mrl_curve_model *model, const double *x,
                           const mrl_people *people, mrl_isa isa, void *scratch, size_t size,
                           const mrl_ctx *ctx);

#endif
