/*
 * Instruments that are confounded with the outcome, in several environments, after Huang, Robinson
 * & Locatello (2026): in environment e
 *
 *   H ~ N(shift_e 1, I),  V = a + H eta_e,  W = b,   a = A root_v,  b = B root_w
 *   X = V beta_v + W beta_w + H alpha_x + noise,  Y = theta X + H alpha_y + noise
 *   Z = g(V, W)
 *
 * with A, B of independent components of mean 0 and variance 1 of one law, noises standard normal.
 * Rows are people, environment after environment; all matrices column-major.
 */
#ifndef MRL_SIM_ENVIRONMENT_H
#define MRL_SIM_ENVIRONMENT_H

#include "status.h"

typedef enum {
  MRL_LATENT_NORMAL,
  MRL_LATENT_UNIFORM,
  MRL_LATENT_LAPLACE,
  MRL_LATENT_T5, /* Student's t with 5 degrees of freedom */
  MRL_LATENT_EXPONENTIAL,
  MRL_N_LATENT
} mrl_latent_law;

enum {
  MRL_ENVIRONMENT_MOST = 4095, /* environments */
  MRL_ENVIRONMENT_DIM = 16,    /* dimensions of each of V, W, H */
  MRL_MIX_WIDTH = 2048         /* features, units of a layer, columns of Z */
};

typedef struct {
  const int *n; /* (n_env) people in each environment, at least 1 */
  size_t n_env; /* 1 .. MRL_ENVIRONMENT_MOST */
  uint64_t seed;
  size_t dim_v, dim_w, dim_h;
  const double *shift;             /* (n_env) */
  const double *eta;               /* (dim_h, dim_v, n_env) */
  const double *root_v, *root_w;   /* (dim_v, dim_v), (dim_w, dim_w) */
  const double *beta_v, *beta_w;   /* (dim_v), (dim_w) */
  const double *alpha_x, *alpha_y; /* (dim_h) each */
  double theta;
  mrl_latent_law law;
} mrl_sim_environment_settings;

/* All memory is the caller's; N = sum of n. */
typedef struct {
  double *y, *x;             /* (N) */
  double *v, *w, *h;         /* (N, dim_v), (N, dim_w), (N, dim_h) */
  double *noise_x, *noise_y; /* (N) */
} mrl_sim_environment;

mrl_status mrl_sim_environment_run(mrl_sim_environment *out,
                                   const mrl_sim_environment_settings *settings,
                                   const mrl_ctx *ctx);

/*
 * g. The latents of a row, or with degree > 0 their monomials of degree 0 .. degree, go through
 * n_layer affine maps with a leaky rectifier of slope `slope` between two of them; with `ternary`
 * the outcome is read as three numbers for each column of Z, the place of whose greatest (0, 1, 2)
 * is the column's value.
 */
typedef struct {
  int degree;
  size_t n_layer;
  const int *width;             /* (n_layer) numbers that each layer gives */
  const double *const *weights; /* (n_layer) matrices (in, out) */
  const double *const *bias;    /* (n_layer) vectors (out), each may be NULL */
  double slope;
  int ternary;
  double noise; /* SD of what is added to each column of Z, in units of the column's own SD */
  uint64_t seed;
} mrl_mixing;

/* Monomials of degree 0 .. degree of d variables; 0 if more than MRL_MIX_WIDTH. */
size_t mrl_n_monomial(size_t d, int degree);

/* Columns that come of d latents; 0 where a width passes MRL_MIX_WIDTH or three do not divide it.
 */
size_t mrl_mix_width(size_t d, const mrl_mixing *mixing);

/* z (n, mrl_mix_width) = g(latent), latent (n, d). MRL_NOT_FINITE, MRL_BAD_ARGUMENT. */
mrl_status mrl_mix(double *z, const double *latent, size_t n, size_t d, const mrl_mixing *mixing,
                   const mrl_ctx *ctx);

#endif
