/*
 * A piecewise-linear flow: the density of instruments from several environments whose mixing is an
 * invertible network.
 *
 * Of a row z (d) each of `layers` layers makes x = B h + c and h_j = x_j - m_j tau log(1 + exp(-x_j
 * / tau)), a leaky rectifier of slope 1 + m_j below 0, smoothed over tau; m_j = exp(3 tanh(a_j /
 * 3)) - 1. The last h is the latent f(z): normal in each environment, with a mean and a covariance
 * of its own, which are profiled out of the negative log-likelihood of a row
 *   sum_e (n_e / n) log det Cov_e(f) / 2 - mean of log |det J_f|
 * (up to a constant). n_e, n: rows of the environment, of all.
 *
 * Parameters: for each layer weights (d + 1, d), the constants c in the first row and B' below it,
 * then a (d).
 */
#ifndef MRL_FLOW_H
#define MRL_FLOW_H

#include "arena.h"
#include "flow_loops.h"
#include "status.h"

/* Numbers of parameters: of a layer, of all. */
static inline size_t mrl_flow_layer_params(size_t d)
{
  return d * (d + 2);
}
static inline size_t mrl_flow_params(size_t d, size_t layers)
{
  return layers * mrl_flow_layer_params(d);
}

/* Rows of one environment, filled up to whole registers. */
typedef struct {
  size_t n, rows; /* rows that there are; multiple of MRL_FLOW_LANES */
  double *z;      /* (rows, d) */
  double *on;     /* (rows) 1, and 0 in the rows that fill up */
} mrl_flow_group;

typedef struct {
  size_t d, n_env, n;
  mrl_flow_group *group; /* (n_env) */
} mrl_flow_sample;

/* Memory for part_of(n_row[e]) rows of each environment (NULL: for all); take puts row `from` of z
 * (n, d; ld) into place `to` of environment e, finish fills up. */
mrl_status mrl_flow_sample_carve(mrl_flow_sample *sample, mrl_arena *arena, const int *n_row,
                                 size_t (*part_of)(size_t n), size_t n_env, size_t d);
void mrl_flow_sample_take(mrl_flow_sample *sample, size_t e, size_t to, const double *z, size_t ld,
                          size_t from);
void mrl_flow_sample_finish(mrl_flow_sample *sample);

/* What one evaluation at a time needs; serves samples of up to `rows` rows, filled up. */
typedef struct {
  size_t d, layers, rows;
  mrl_isa isa;
  double *h, *s, *q;           /* (layers) times (rows, d), by environment */
  double *m, *dm;              /* (layers * d) and their derivatives in a */
  double *mean, *cov;          /* (n_env, d), (n_env, d, d): of the latent, left by evaluations */
  double *chol, *inverse, *lu; /* (d, d) */
  double *back, *turned;       /* (d + 1, d) */
  double *dx[2];               /* (MRL_FLOW_CHUNK, d) */
} mrl_flow_work;

size_t mrl_flow_sample_rows(const mrl_flow_sample *sample);
mrl_status mrl_flow_work_carve(mrl_flow_work *work, mrl_arena *arena, size_t d, size_t layers,
                               size_t n_env, size_t rows, mrl_isa isa);

/* *value: the negative log-likelihood per row; gradient (n_params) out, or NULL. MRL_SINGULAR where
 * a layer or the covariance of an environment is singular, MRL_NOT_FINITE. */
mrl_status mrl_flow_value(double *value, double *gradient, const double *params,
                          const mrl_flow_sample *sample, double tau, mrl_flow_work *work);

#endif
