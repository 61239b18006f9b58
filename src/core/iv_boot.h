/*
 * Bootstrap replicates of a neural IV fit. Replicate b resamples rows (whole clusters) of each
 * sample, and goes on from the weights of the fit: a few epochs of each net at a low constant rate
 * on the rows that were drawn, weighted by how often, without validation; then the closed forms
 * with the fit's penalties. Folds and standardisation stay those of the fit.
 *
 * With `boot_half` it is the fit of half the rows (clusters), each once, instead: from fresh
 * weights, with validation on those of the fit's held-out rows that were drawn, and penalties of
 * its own. Such estimates vary around that of all rows as this does around the truth (1 / (n / 2) -
 * 1 / n is 1 / n), whatever the training stops at.
 *
 * A replicate draws from streams of its own, in its own memory, with one thread: its numbers do not
 * depend on the threads, nor on which others are asked for in the same call.
 */
#ifndef MRL_IV_BOOT_H
#define MRL_IV_BOOT_H

#include "iv_worker.h"

/* What the replicates go on from. */
typedef struct {
  const mrl_first_fit *first;          /* (cross_fit) params, statistics, rho */
  const mrl_real *params, *statistics; /* of the outcome net */
  const double *theta;                 /* (terms) */
  mrl_head_choice choice;
  const double *scale; /* (2, n_inputs + 2) means and deviations */
  const int *fold;     /* (n1) from 1 */
} mrl_boot_fit;

/* What a replicate leaves. */
typedef struct {
  mrl_real *params, *statistics; /* of the outcome net */
  double *theta;                 /* (terms) or NULL without refit */
  mrl_status status;             /* of the worst that happened */
} mrl_boot_out;

/* One replicate at a time. */
typedef struct {
  mrl_ivn_worker worker;
  double *weight[2];         /* (n) counts times weights */
  mrl_real *train_weight[2]; /* (n) */
  size_t *row[2];            /* (n) those drawn */
  size_t *count;             /* (the larger n) draws of each row or cluster */
  mrl_real *params;          /* of first stages */
  double *location;
  size_t replicate, at; /* number in the call; stage that is trained */
  int running;
  uint64_t seed;
} mrl_boot_slot;

typedef struct {
  mrl_ivn_problem problem;
  mrl_boot_slot *slot; /* (n_slots) */
  size_t n_slots;
  const mrl_boot_fit *fit;
} mrl_boot;

/* Slots for up to ctx->n_threads; boot must stay where it is. */
mrl_status mrl_boot_carve(mrl_boot *boot, mrl_arena *arena, const mrl_ivn_nets *nets,
                          const mrl_iv_sample *one, const mrl_iv_sample *two,
                          const mrl_ivn_settings *settings, size_t count, const mrl_ctx *ctx);

/* Replicates from .. from + count - 1 (numbered from 0) into out (count). A replicate that fails
 * has a status other than MRL_OK and MRL_NO_CONVERGE; the others go on. */
mrl_status mrl_boot_run(mrl_boot_out *out, mrl_boot *boot, const mrl_boot_fit *fit, size_t from,
                        size_t count, const mrl_ctx *ctx);

#endif
