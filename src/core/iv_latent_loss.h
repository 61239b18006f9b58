/*
 * What a latent [V | W] of a batch from several environments is judged by, besides how well it
 * gives the instruments back: how far the laws of W are apart, how V and W depend on each other,
 * and how much room the latent fills (Huang, Robinson & Locatello 2026).
 *
 * Latents are blocks, one for each environment, one after the other: block e is column-major
 * (batch, dv + dw), V before W. Statistics are in double.
 */
#ifndef MRL_IV_LATENT_LOSS_H
#define MRL_IV_LATENT_LOSS_H

#include "arena.h"
#include "kernelstat.h"
#include "status.h"

typedef enum {
  MRL_MATCH_POLY = 0, /* (x'y + 1)^2 */
  MRL_MATCH_GAUSSIAN, /* sum of Gaussian kernels */
  MRL_MATCH_MOMENTS,  /* means and covariances; dependence by MRL_MATCH_POLY */
  MRL_N_MATCH
} mrl_match;

typedef struct {
  size_t n_env, batch, dv, dw; /* batch: rows of each environment; at least dv + dw + 1 */
  mrl_match match;
  /* 1: V and W are whitened, each by itself, by their mean and covariance in the batch, before
   * everything else (the decoder too); 0: as published, where scales matter. */
  int whiten;
  /* Neighbours of the entropy estimate of W squashed into the unit cube; 0: the normal law's. */
  size_t neighbours;
  double mmd, hsic, entropy;             /* weights, at least 0 */
  const double *bandwidth_v, *bandwidth; /* (n_bandwidth) of V's and of W's Gaussian kernels */
  size_t n_bandwidth;
} mrl_latent_penalty;

/* Their values, not weighted: MMD^2, mean over pairs of environments; HSIC within environments,
 * mean over them (whiten) or their sum plus twice that of all rows (published); minus the log
 * determinant of the latent's covariance, of all rows (whiten) or mean over environments; with
 * neighbours, minus the entropy of all rows of W (mrl_entropy_squashed). */
typedef struct {
  double mmd, hsic, entropy;
} mrl_latent_parts;

typedef struct {
  mrl_latent_penalty penalty;
  double *x;                       /* (n_env) blocks: the latent, whitened where it is */
  double *dx;                      /* its gradient */
  double *part;                    /* blocks: gradients of one statistic */
  double *pooled, *pooled_part;    /* (n, dv), (n, dw) side by side: all rows together */
  double *mean;                    /* (d) */
  double *root_v, *root_w;         /* (dv, dv), (dw, dw) Cholesky factors of the covariances */
  double *square, *inverse, *work; /* (d, d), (d, d); of kernelstat */
  void *scratch;                   /* of the entropy */
} mrl_latent_judge;

mrl_status mrl_latent_judge_carve(mrl_latent_judge *judge, mrl_arena *arena,
                                  const mrl_latent_penalty *penalty);

/* Whitens judge->x in place (nothing where penalty.whiten is 0). MRL_SINGULAR if a block has
 * collapsed. */
mrl_status mrl_latent_whiten(mrl_latent_judge *judge);

/* The statistics of judge->x, and the weighted sum's gradient added to judge->dx. */
mrl_status mrl_latent_parts_of(mrl_latent_parts *parts, mrl_latent_judge *judge);

/* judge->dx, with respect to judge->x, becomes that with respect to what was whitened. */
mrl_status mrl_latent_unwhiten(mrl_latent_judge *judge);

#endif
