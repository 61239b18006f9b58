/*
 * Simulator of regulatory sequences in which one factor needs another: the design on which Deep MR
 * was presented (Malina, Cizin and Knowles 2022). Sequence i is drawn from a background and gets
 * instances of motifs; with q the chance of being hit by the factor of exposure, outcome or
 * confounder,
 *
 *   c_x = 1 + alpha q_x             + eta q_c + tau_x b,
 *   c_y = 1 + beta h_i q_x q_y      + nu q_c  + tau_y b,   b ~ Bernoulli(1/2), h_i = 1 + sd N(0, 1)
 *   counts ~ Poisson(c).
 *
 * h_i is cut at 0. A sequence may be another one with one letter changed ("mutant"), which has
 * the same h but a b and counts of its own.
 */
#ifndef MRL_SIM_SEQUENCE_H
#define MRL_SIM_SEQUENCE_H

#include "pwm.h"

enum { MRL_MOTIF_EXPOSURE, MRL_MOTIF_OUTCOME, MRL_MOTIF_CONFOUNDER, MRL_N_MOTIF };

/* Instances: the confounder's, exposure alone, outcome alone, and the two of a pair. */
enum {
  MRL_PLACE_CONFOUNDER,
  MRL_PLACE_EXPOSURE,
  MRL_PLACE_OUTCOME,
  MRL_PLACE_PAIR_EXPOSURE,
  MRL_PLACE_PAIR_OUTCOME,
  MRL_N_PLACE
};

typedef struct {
  size_t n, n_mutants; /* sequences drawn, at least 1; mutants after them, at most n */
  size_t length;       /* at least the motifs' lengths together */
  mrl_pwm motif[MRL_N_MOTIF];
  double background[4];         /* of the letters drawn; sums to 1 */
  double keep_confounder, keep; /* chance of the confounder's instance, of each other one */
  double mu;                    /* as in pwm.h */
  double alpha, beta, eta, nu, tau_x, tau_y, sd; /* not negative */
  uint64_t seed;
} mrl_sim_sequence_settings;

/* All memory is the caller's; m = n + n_mutants. */
typedef struct {
  uint8_t *code;  /* (m) rows of `length` letters */
  int *place;     /* (MRL_N_PLACE, m) by sequence: first letter of each instance from 0, or -1 */
  int *parent;    /* (m): number from 0 of the sequence that a mutant comes from, or -1 */
  double *hit;    /* (m, MRL_N_MOTIF) columns */
  double *factor; /* (m) h */
  double *b;      /* (m) */
  double *expected[2]; /* (m) c_x, c_y */
  double *count[2];    /* (m) */
} mrl_sim_sequence;

/* Instances do not overlap; one that finds no room is left out. */
mrl_status mrl_sim_sequence_run(mrl_sim_sequence *out, const mrl_sim_sequence_settings *settings,
                                const mrl_ctx *ctx);

/* hit (n, MRL_N_MOTIF) columns of sequences that are given: code (n) rows of `length`. */
mrl_status mrl_sim_sequence_hits(double *hit, const uint8_t *code, size_t n, size_t length,
                                 const mrl_pwm *motif, double mu, const mrl_ctx *ctx);

/* E[2 sqrt(N + 3/8)], N ~ Poisson(c): what a network on Anscombe labels learns. */
double mrl_anscombe_mean(double c);

/*
 * True effects of exposure on outcome of each sequence that has instances of both: slopes through
 * the origin over all changes of one letter within its instances of the exposure's motif.
 * effect (m, 3) columns, NaN where there are none, and the first two where the changes move the
 * exposure's label by less than .01 in all (root of the sum of squares):
 *   0  labels 2 sqrt(c + 3/8) of expected counts without confounding, hits of all motifs as they
 *      change (the published truth)
 *   1  expected labels E[2 sqrt(N + 3/8)], over b too, hits of outcome and confounder held fixed
 *   2  expected counts, the outcome's hits held fixed: beta h q_y / alpha
 */
mrl_status mrl_sim_sequence_effects(double *effect, const mrl_sim_sequence *sim,
                                    const mrl_sim_sequence_settings *settings, const mrl_ctx *ctx);

#endif
