/*
 * The search for a flow (flow.h) of the highest likelihood, and the gate that says whether its
 * latent can be relied on.
 *
 * The likelihood has local optima. In each of at most `cycles` rounds, `starts` random starts climb
 * it by L-BFGS on a part of the rows while tau falls, and are ranked by the likelihood of other
 * rows; the best two go on on all rows. The best flow so far passes the gate if the k-th least
 * eigenvalue of stationary subspace analysis (ssa.h) of its latent, k = `stationary`, is at most
 * `gate` times the mean of 1 / n_e. Else single units of the best start are changed at random
 * (`moves` rounds of them), and then a new round begins.
 */
#ifndef MRL_FLOW_SEARCH_H
#define MRL_FLOW_SEARCH_H

#include "flow.h"

typedef struct {
  size_t layers, starts, cycles; /* at least 1 */
  size_t moves;                  /* may be 0 */
  size_t stationary;             /* k, in 1 .. d - 1 */
  double gate;                   /* > 0 */
  uint64_t seed;                 /* each start draws from a stream of its own */
  mrl_isa isa;
} mrl_flow_settings;

typedef enum { MRL_FLOW_START = 0, MRL_FLOW_POLISH, MRL_FLOW_MOVE } mrl_flow_step;

/* One line of the search's history. */
typedef struct {
  size_t cycle;
  mrl_flow_step step;
  double value;     /* of the other rows (start, move), of all (polish); infinite: it failed */
  double statistic; /* the eigenvalue, where the gate was tested; else NaN */
} mrl_flow_try;

static inline size_t mrl_flow_tries(const mrl_flow_settings *settings)
{
  return settings->cycles * (settings->starts + 2) * (1 + settings->moves);
}

/* All memory is the caller's. The flow takes (z - centre)' transform. */
typedef struct {
  double *centre, *transform; /* (d), (d, d) */
  double *params;             /* (mrl_flow_params) */
  mrl_flow_try *tries;        /* (mrl_flow_tries) n_tries of them valid */
  size_t n_tries, rank;       /* rank: of z */
  double value;               /* negative log-likelihood per row, of all rows */
  double statistic, threshold;
  int passed;
} mrl_flow_result;

/* z (n, d), rows of environment after environment, n_row (n_env) of each. 0 if sizes are out of
 * range. */
size_t mrl_flow_scratch(const mrl_flow_settings *settings, const int *n_row, size_t n_env, size_t d,
                        const mrl_ctx *ctx);

/* MRL_TOO_FEW: z has a rank below d (which is set), or an environment fewer than 2 (d + 2) rows.
 * MRL_NO_CONVERGE: every start failed. MRL_BAD_ARGUMENT, MRL_SINGULAR, MRL_NOT_FINITE. */
mrl_status mrl_flow_run(mrl_flow_result *result, const mrl_flow_settings *settings, const double *z,
                        const int *n_row, size_t n_env, size_t d, void *scratch,
                        const mrl_ctx *ctx);

#endif
