/* Curves of many fitted nets of one shape, as of replicates, shared out to threads. */
#ifndef MRL_MLP_CURVE_MANY_H
#define MRL_MLP_CURVE_MANY_H

#include "mlp_curve.h"

typedef enum { MRL_CURVE_ROWS = 0, MRL_CURVE_LEVELS, MRL_CURVE_SLOPE } mrl_curve_what;

/* Memory in bytes; 0: it overflows. */
size_t mrl_curve_many_scratch(const mrl_net *net, mrl_isa isa, const mrl_ctx *ctx);

/*
 * out (n_out, n_models): of each model, which differ in params, statistics and theta alone, what
 * mrl_curve_predict (n_out = n people), mrl_curve_mean (n_x levels) or mrl_curve_slope (1) gives,
 * bit for bit. x (n_x).
 */
mrl_status mrl_curve_many(double *out, const mrl_curve_model *model, size_t n_models,
                          mrl_curve_what what, const double *x, size_t n_x,
                          const mrl_people *people, mrl_isa isa, void *scratch, size_t size,
                          const mrl_ctx *ctx);

#endif
