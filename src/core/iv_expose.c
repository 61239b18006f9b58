#include "iv_expose.h"

mrl_status mrl_expose_carve(mrl_expose *expose, mrl_arena *arena, const mrl_first *first, size_t n,
                            mrl_isa isa, const mrl_ctx *ctx)
{
  mrl_expose to = {.first = first};
  if (n < 1 || n > SIZE_MAX / 16 / first->n_inputs) {
    return MRL_BAD_ARGUMENT;
  }
  to.input = MRL_TAKE(arena, mrl_real, n * first->n_inputs);
  to.row = MRL_TAKE(arena, size_t, n);
  MRL_TRY(mrl_law_carve(&to.law, arena, first->settings.kind, first->settings.parts, n));
  *expose = to;
  return mrl_first_work_carve(&expose->work, arena, first, isa, ctx);
}

mrl_status mrl_expose_run(double *node, double *weight, mrl_expose *expose,
                          const mrl_iv_sample *sample, const mrl_scale *scale,
                          const mrl_first_fit *fit, const mrl_ctx *ctx)
{
  const mrl_first *first = expose->first;
  const size_t n = sample->n, nodes = expose->law.nodes, inputs = first->n_inputs;
  const mrl_first_rows rows = {sample, scale, expose->input, NULL};
  double at[MRL_NODES_MOST], share[MRL_NODES_MOST];
  for (size_t j = 0; j < inputs; j++) {
    const double *column = j < first->n_z ? sample->z[j] : sample->w[j - first->n_z];
    mrl_poll(ctx);
    mrl_scale_column(expose->input + j, inputs, column, scale + j, n);
  }
  for (size_t i = 0; i < n; i++) {
    expose->row[i] = i;
  }
  MRL_TRY(mrl_first_read(&expose->law, &expose->work, first, fit, &rows, expose->row, n, ctx));
  MRL_TRY(mrl_first_move(&expose->law, &expose->work, first, fit, &rows, expose->row, n, ctx));
  for (size_t i = 0; i < n; i++) {
    mrl_law_nodes(at, share, &expose->law, i);
    for (size_t k = 0; k < nodes; k++) {
      node[i + k * n] = scale[inputs].mean + scale[inputs].sd * at[k];
      weight[i + k * n] = share[k];
    }
  }
  return MRL_OK;
}
