/* What a fitted first stage says of new rows: nodes of the exposure and their weights. */
#ifndef MRL_IV_EXPOSE_H
#define MRL_IV_EXPOSE_H

#include "iv_first.h"

typedef struct {
  const mrl_first *first;
  mrl_first_work work;
  mrl_law law;
  mrl_real *input; /* (n, n_inputs) by row */
  size_t *row;     /* (n) */
} mrl_expose;

mrl_status mrl_expose_carve(mrl_expose *expose, mrl_arena *arena, const mrl_first *first, size_t n,
                            mrl_isa isa, const mrl_ctx *ctx);

/* node, weight (n, nodes of the law) out, in the exposure's units. sample: z, w; scale (n_inputs +
 * 1): z, w, x; fit: params, statistics, location, stretch. */
mrl_status mrl_expose_run(double *node, double *weight, mrl_expose *expose,
                          const mrl_iv_sample *sample, const mrl_scale *scale,
                          const mrl_first_fit *fit, const mrl_ctx *ctx);

#endif
