/*
 * One variable of a simulation that is built step by step: n draws of a law.
 *
 * The stream of a variable is keyed by the seed and its name alone, so that what is drawn depends
 * neither on the other variables, nor on their order, nor on the number of threads; the first rows
 * are the same whatever n is.
 */
#ifndef MRL_SIM_VARIABLE_H
#define MRL_SIM_VARIABLE_H

#include "status.h"

typedef enum {
  MRL_LAW_NORMAL,      /* a + b N(0, 1) */
  MRL_LAW_UNIFORM,     /* a + (b - a) U(0, 1) */
  MRL_LAW_EXPONENTIAL, /* of mean a */
  MRL_LAW_BETA,        /* shapes a, b > 0 */
  MRL_LAW_BINOMIAL,    /* a trials, a whole number of at least 0, each with probability b */
  MRL_LAW_VARIANT,     /* Binomial(2, a), each column with its own a */
  MRL_LAW_LINKED,      /* as VARIANT, neighbours correlated: see below */
  MRL_LAW_MVNORMAL,    /* rows a + C N(0, I) */
  MRL_N_LAW
} mrl_law;

/*
 * All but the last three have one column, and parameters that hold for all rows (stride 0) or one
 * for each (stride 1). Of the last three there are k columns:
 *   VARIANT, LINKED  a (k) allele frequencies within 0..1; LINKED: b (2 k), for each column the
 *                    probability of the allele on a haplotype without and with it in the column
 *                    before; the first pair is not used
 *   MVNORMAL         a (k) means; b (k, k) column-major lower triangular factor C of the covariance
 */
typedef struct {
  size_t n, k; /* rows, columns: at least 1; n k fits size_t, k is below 2^24 */
  uint64_t seed;
  const char *name;
  mrl_law law;
  const double *a, *b;
  size_t stride_a, stride_b;
} mrl_sim_variable_settings;

/* out (n, k) column-major. MRL_NOT_FINITE if a draw overflows. */
mrl_status mrl_sim_variable_run(double *out, const mrl_sim_variable_settings *settings,
                                const mrl_ctx *ctx);

#endif
