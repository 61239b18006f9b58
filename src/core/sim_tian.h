/*
 * Simulator of strata's hard cases: the scenarios of Tian, Mason, Liu & Burgess (2023), PLoS Genet
 * 19:e1010823, with one continuous instrument, as their package DRMR draws them. For person i, all
 * independent, Z ~ N(0, .5^2), U1, U2, U3 ~ N(0, 1), and the exposure is
 *
 *   A  .5 Z + U2 + U1                                   linear and the same for everybody
 *   B  .5 Z + (2 Z^3 + 2) 1(Z < -1) + U2 + U1           nonlinear in the instrument
 *   C  -10 + (1.5 + .4 U2) (Z + 5) + U2 + U1            effects differ by the confounder
 *   D  A rounded to whole numbers                       coarsened
 *
 * and the outcome Y = h(X) + U2 + U3 with h = 0 (1), .1 x^2 (2), -.1 x^2 1(x > 0) (3) or
 * 5 (x - .6) 1(x > .6) (4). In D, h takes the rounded X. Binary: U3 may be logistic, and Y is 1
 * where the above is greater than a cutoff, else 0.
 */
#ifndef MRL_SIM_TIAN_H
#define MRL_SIM_TIAN_H

#include "status.h"

typedef enum { MRL_TIAN_A, MRL_TIAN_B, MRL_TIAN_C, MRL_TIAN_D, MRL_TIAN_N } mrl_tian_scenario;

typedef struct {
  size_t n; /* people, at least 1 */
  uint64_t seed;
  mrl_tian_scenario scenario;
  int outcome; /* 1 .. 4 */
  int logistic, binary;
  double cutoff; /* of a binary outcome */
} mrl_sim_tian_settings;

/* All memory is the caller's: n doubles each. */
typedef struct {
  double *y, *x;        /* outcome, exposure */
  double *slope;        /* h'(X) */
  double *exact;        /* the exposure before rounding, or NULL */
  double *z;            /* instrument */
  double *u1, *u2, *u3; /* noise of X, confounder, noise of Y */
} mrl_sim_tian;

mrl_status mrl_sim_tian_run(mrl_sim_tian *out, const mrl_sim_tian_settings *settings,
                            const mrl_ctx *ctx);

#endif
