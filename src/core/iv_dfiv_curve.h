/*
 * What a fitted outcome of deep feature IV says: g(x, w) = u'F([x, psi(x)], [1, w, xi(w)]). As it
 * is bilinear, its mean over people at a level of the exposure needs their mean [1, w, xi] alone.
 */
#ifndef MRL_IV_DFIV_CURVE_H
#define MRL_IV_DFIV_CURVE_H

#include "iv_dfiv_part.h"

typedef enum { MRL_DFIV_ROWS = 0, MRL_DFIV_LEVELS, MRL_DFIV_SLOPE } mrl_dfiv_what;

/* One fit or replicate: parameters and statistics of psi, then xi; u (terms). */
typedef struct {
  const mrl_real *state;
  const double *theta;
} mrl_dfiv_outcome;

/* People: w (n_w columns of n), weights (n) or NULL. */
typedef struct {
  const double *const *w;
  const double *weights;
  size_t n;
} mrl_dfiv_people;

typedef struct {
  const mrl_dfiv_nets *nets;
  mrl_dfiv_model model;
  size_t n, levels;
  mrl_real *x, *input; /* (levels), (n, n_w): standardised */
  mrl_real *slope;     /* (block) */
  mrl_net_run with_slope;
  size_t *row;  /* (the larger) 0, 1, ... */
  double *mean; /* (n_c) */
} mrl_dfiv_curve;

/* For n people and `levels` exposures (levels == n but for MRL_DFIV_LEVELS). */
mrl_status mrl_dfiv_curve_carve(mrl_dfiv_curve *curve, mrl_arena *arena, const mrl_dfiv_nets *nets,
                                size_t n, size_t levels, mrl_isa isa, const mrl_ctx *ctx);
/* scale: of w (n_w), x. */
void mrl_dfiv_curve_start(mrl_dfiv_curve *curve, const mrl_dfiv_people *people, const double *x,
                          const mrl_scale *scale_w, const mrl_scale *scale_x);
/* out: g at each row's x (n); its weighted mean over people at each x (levels); its mean derivative
 * in x (1). In the outcome's units. */
mrl_status mrl_dfiv_curve_run(double *out, mrl_dfiv_curve *curve, const mrl_dfiv_outcome *outcome,
                              mrl_dfiv_what what, const mrl_dfiv_people *people,
                              const mrl_scale *scale_x, const mrl_scale *scale_y,
                              const mrl_ctx *ctx);

/* The expected exposure by one fold's instrument net and ridge. */
typedef struct {
  const mrl_dfiv_nets *nets;
  mrl_dfiv_model model;
  size_t n;
  mrl_real *input; /* (n, n_z + n_w) */
  size_t *row;
} mrl_dfiv_expose;

mrl_status mrl_dfiv_expose_carve(mrl_dfiv_expose *expose, mrl_arena *arena,
                                 const mrl_dfiv_nets *nets, size_t n, mrl_isa isa,
                                 const mrl_ctx *ctx);
/* out (n), in the exposure's units. z (n_z), w (n_w) columns of n; scale: of z, w, x; state of the
 * net; coef (n_p): the first column of V. */
mrl_status mrl_dfiv_expose_run(double *out, mrl_dfiv_expose *expose, const double *const *z,
                               const double *const *w, const mrl_scale *scale,
                               const mrl_real *state, const double *coef, const mrl_ctx *ctx);

#endif
