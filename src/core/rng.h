/*
 * Counter-based random numbers: Philox4x32-10 (Salmon, Moraes, Dror & Shaw 2011, SC'11).
 *
 * A stream is keyed by (seed, stream); within it, draws come in a fixed order. Work item i of a
 * computation (replicate, person, batch, column) uses a stream of its own, never a thread's, so
 * that results do not depend on the number of threads. Layout: the seed is the key; counter words
 * 0-1 number the blocks of four words, words 2-3 are purpose << 56 | item, low word first.
 *
 * Draws are the same on every machine whose compiler does not contract a * b + c (x86-64 without
 * FMA, or -ffp-contract=off): they use no function of libm that is not exactly defined.
 */
#ifndef MRL_RNG_H
#define MRL_RNG_H

#include "status.h"

/* One purpose per kind of draw: purposes of one seed never share numbers. Append, never renumber.
 */
typedef enum {
  MRL_RNG_TEST = 1,
  MRL_RNG_FOLD,
  MRL_RNG_SIM_PARAMETER,
  MRL_RNG_SIM_GENOTYPE,
  MRL_RNG_SIM_CONTEXT,
  MRL_RNG_SIM_NOISE,
  MRL_RNG_BOOTSTRAP,
  MRL_RNG_PERMUTE,
  MRL_RNG_SIM_SUMMARY,
  MRL_RNG_NET_WEIGHTS,
  MRL_RNG_NET_DROPOUT,
  MRL_RNG_NET_ORDER,
  MRL_RNG_NET_SPLIT,
  MRL_RNG_SIM_NONLINEAR,
  MRL_RNG_SIM_DEMAND,
  MRL_RNG_NET_DRAW,
  MRL_RNG_SIM_BURGESS,
  MRL_RNG_SIM_TIAN,
  MRL_RNG_STRATA,
  MRL_RNG_SIM_SEQUENCE,
  MRL_RNG_SIM_ENVIRONMENT,
  MRL_RNG_LATENT,
  MRL_RNG_SIM_VARIABLE,
  MRL_RNG_N_PURPOSE
} mrl_rng_purpose;

/* Ten rounds of Philox on a 128-bit counter with a 64-bit key: the raw function, for tests. */
void mrl_philox(uint32_t out[4], const uint32_t counter[4], const uint32_t key[2]);

typedef struct {
  uint32_t key[2];     /* seed */
  uint32_t counter[4]; /* block number (64 bit), stream (64 bit) */
  uint32_t block[4];   /* the current block's words */
  int used;            /* words of it that are used, 4 = none left */
} mrl_rng;

/* Item `item` (below 2^56) of a purpose under a seed; at the start of its stream. */
mrl_rng mrl_rng_stream(uint64_t seed, mrl_rng_purpose purpose, uint64_t item);

uint32_t mrl_rng_u32(mrl_rng *rng);
uint64_t mrl_rng_u64(mrl_rng *rng);
/* A whole number in [0, n), exactly uniform; n >= 1. */
uint64_t mrl_rng_below(mrl_rng *rng, uint64_t n);
/* Uniform on the open interval (0, 1): odd multiples of 2^-53, so never 0, never 1. */
double mrl_rng_uniform(mrl_rng *rng);
double mrl_rng_normal(mrl_rng *rng);
/* Rate 1. */
double mrl_rng_exponential(mrl_rng *rng);
/* Shape > 0, scale 1; may underflow to 0 for shapes below about 0.05. */
double mrl_rng_gamma(mrl_rng *rng, double shape);
/* A whole number; mean finite and not negative. */
double mrl_rng_poisson(mrl_rng *rng, double mean);
/* Binomial(2, p), 0 <= p <= 1, exact: two independent alleles. */
int mrl_rng_genotype(mrl_rng *rng, double p);

/* Bulk draws; the same numbers as as many single calls. out (n). */
void mrl_rng_fill_uniform(mrl_rng *rng, double *out, size_t n);
void mrl_rng_fill_normal(mrl_rng *rng, double *out, size_t n);
/* Rate 1, and the logistic law. */
void mrl_rng_fill_exponential(mrl_rng *rng, double *out, size_t n);
void mrl_rng_fill_logistic(mrl_rng *rng, double *out, size_t n);
/* Logistic or standard normal. */
static inline void mrl_rng_fill_noise(mrl_rng *rng, double *out, int logistic, size_t n)
{
  if (logistic) {
    mrl_rng_fill_logistic(rng, out, n);
  } else {
    mrl_rng_fill_normal(rng, out, n);
  }
}
void mrl_rng_fill_genotype(mrl_rng *rng, double *out, double p, size_t n);
/* Genotypes at a locus linked to one with the genotypes previous (n): each allele is 1 with
 * probability p_given[1] where the allele beside it on the haplotype is 1, else p_given[0]. Two
 * independent haplotypes need no phase: the next count depends on the previous count only. */
void mrl_rng_fill_linked(mrl_rng *rng, double *out, const double *previous, const double p_given[2],
                         size_t n);
/* A uniformly random order of 0 .. n-1. out (n). */
void mrl_rng_permutation(mrl_rng *rng, size_t *out, size_t n);

#endif
