/*
 * A neural IV problem: two samples (or one twice), how its nets are built and trained, and what all
 * its trainings share: standardised columns, folds, rows held out.
 *
 * Columns are standardised by weighted means and deviations: z, w, x of sample 1 (in both samples),
 * y of sample 2. Held-out rows and folds follow from the seed; clusters stay whole. Rows of the
 * second sample need no folds, so those serve a single sample alone.
 */
#ifndef MRL_IV_PROBLEM_H
#define MRL_IV_PROBLEM_H

#include "iv_first.h"
#include "iv_head.h"
#include "iv_second.h"

typedef struct {
  mrl_first_settings first;
  mrl_mlp second;
  mrl_train_settings train; /* of all nets; the seed is replaced by one for each, made of `seed` */
  size_t n_draws;           /* of each of two sets; not for quantiles */
  int binary, refit;
  size_t cross_fit;   /* folds; 1: none */
  int boot_half;      /* replicates are fits of half the clusters (rows), from fresh weights */
  size_t boot_epochs; /* of others, which go on from the fit's; 0: closed forms alone */
  double boot_rate;   /* learning rate of replicates, as a part of the first */
  size_t n_valid[2];  /* rows held out, about: of each sample */
  uint64_t seed;
  mrl_isa isa;
  double (*now)(void); /* seconds, for the history; or NULL */
} mrl_ivn_settings;

/* The nets, over an arena of their own: what follows needs them carved. */
typedef struct {
  mrl_first first;
  mrl_net second, trunk;
  mrl_basis basis;
} mrl_ivn_nets;
mrl_status mrl_ivn_nets_carve(mrl_ivn_nets *nets, mrl_arena *arena,
                              const mrl_ivn_settings *settings, size_t n_z, size_t n_w);
void mrl_ivn_nets_start(mrl_ivn_nets *nets);

typedef struct {
  const mrl_ivn_nets *nets;
  mrl_iv_sample sample[2]; /* the same if `single` */
  int single;
  mrl_ivn_settings settings;
  size_t n_inputs;
  mrl_scale *scale;       /* (n_inputs + 2): z, w, x, y */
  mrl_real *input[2];     /* (n, n_inputs) by row */
  mrl_real *x, *y;        /* (n1), (n2) */
  mrl_real *weight[2];    /* (n) mean one over the training rows, or NULL */
  unsigned char *held[2]; /* (n) */
  size_t n_held[2];
  int *fold;            /* (n1) from 0 */
  size_t *all[2];       /* (n) 0, 1, ... */
  size_t *order;        /* (n1 or n2) scratch: order of rows or clusters */
  size_t *size;         /* (n + 1) scratch: rows of clusters */
  mrl_head_range range; /* of x */
} mrl_ivn_problem;

/* MRL_BAD_ARGUMENT on settings out of range, MRL_NO_MEMORY. two: NULL for one sample. */
mrl_status mrl_ivn_problem_carve(mrl_ivn_problem *problem, mrl_arena *arena,
                                 const mrl_ivn_nets *nets, const mrl_iv_sample *one,
                                 const mrl_iv_sample *two, const mrl_ivn_settings *settings);
/* Splits and standardises. MRL_TOO_FEW without training rows, MRL_NOT_FINITE. */
mrl_status mrl_ivn_problem_start(mrl_ivn_problem *problem, const mrl_ctx *ctx);
/* With scales and folds of a fit: as for replicates. Without held-out rows unless `boot_half`. */
mrl_status mrl_ivn_problem_resume(mrl_ivn_problem *problem, const double *scale, const int *fold,
                                  const mrl_ctx *ctx);

/* A bootstrap sample: as many draws with replacement as there are clusters (or rows), counted for
 * each of them. count (n). */
void mrl_ivn_draw_counts(size_t *count, const mrl_iv_sample *sample, mrl_rng *rng);
/* Half of the clusters (or rows), rounded down, once each. */
void mrl_ivn_draw_half(size_t *count, const mrl_iv_sample *sample, mrl_rng *rng);

/* Training settings of a stage: first stages 0 .. cross_fit - 1, then the outcome. */
mrl_train_settings mrl_ivn_train_settings(const mrl_ivn_problem *problem, uint64_t seed,
                                          size_t stage);

#endif
