/*
 * Minimisation of a smooth function by L-BFGS (Nocedal 1980, Math. Comp. 35) with a line search for
 * the strong Wolfe conditions (Nocedal & Wright 2006, algorithms 3.5 and 3.6; 1e-4 and 0.9).
 *
 * The state can be advanced by slices: a caller may run several minimisations in parallel, a few
 * iterations at a time, and poll between the slices. Slicing does not change the result.
 */
#ifndef MRL_LBFGS_H
#define MRL_LBFGS_H

#include "arena.h"
#include "status.h"

/*
 * *value and gradient (n) at x (n). A point where the function does not exist is told by a value
 * that is not finite, MRL_NOT_FINITE or MRL_SINGULAR: the search steps back from it. Any other
 * status than MRL_OK ends the minimisation.
 */
typedef mrl_status mrl_objective_fn(double *value, double *gradient, const double *x, void *data);

typedef struct {
  size_t history;        /* pairs of steps that are kept, at least 1 */
  size_t max_iterations; /* 0: only the first evaluation */
  double gradient_tol;   /* stops where every |gradient| is at most this, */
  double value_tol;      /* or an iteration gains at most this times max(1, |value|) */
} mrl_lbfgs_settings;

typedef enum {
  MRL_LBFGS_RUNNING = 0,
  MRL_LBFGS_GRADIENT, /* the gradient is small */
  MRL_LBFGS_VALUE,    /* the value hardly falls any more */
  MRL_LBFGS_STALLED,  /* no lower value along the gradient: the minimum to rounding */
  MRL_LBFGS_LIMIT     /* max_iterations */
} mrl_lbfgs_stop;

/* x is the caller's to set before the start; the other arrays are the search's own. */
typedef struct {
  mrl_lbfgs_settings settings;
  size_t n;
  double *x, *gradient;             /* (n) the best point so far */
  double value;                     /* there */
  double *direction, *at, *at_grad; /* (n) of the search; the point it tries */
  double *s, *y;                    /* (n, history) steps, differences of gradients */
  double *rho, *alpha;              /* (history) */
  size_t kept, newest;              /* pairs that are kept; place of the newest */
  size_t iterations, evaluations;
  mrl_lbfgs_stop stop;
} mrl_lbfgs;

/* Lays the state out over an arena. n and settings->history at least 1: MRL_BAD_ARGUMENT. */
mrl_status mrl_lbfgs_carve(mrl_lbfgs *state, mrl_arena *arena, size_t n,
                           const mrl_lbfgs_settings *settings);

/* The first evaluation, at state->x; forgets what came before. MRL_NOT_FINITE, MRL_SINGULAR and
 * the function's other statuses. */
mrl_status mrl_lbfgs_start(mrl_lbfgs *state, mrl_objective_fn *objective, void *data);

/* Goes on until state->iterations is `until` or it has stopped by itself (state->stop); polls after
 * each iteration. Returns only statuses of the function that end a minimisation. */
mrl_status mrl_lbfgs_run(mrl_lbfgs *state, size_t until, mrl_objective_fn *objective, void *data,
                         const mrl_ctx *ctx);

#endif
