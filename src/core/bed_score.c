#include "bed_score.h"

void mrl_bed_values(double *g, const uint8_t *packed, size_t stride, const uint32_t *rows, size_t n,
                    const double *value, size_t m, const mrl_ctx *ctx)
{
#pragma omp parallel for num_threads(mrl_threads_for(ctx, n *m)) schedule(static)
  for (size_t j = 0; j < m; j++) {
    mrl_bed_decode(g + j * n, packed + j * stride, rows, n, value + MRL_BED_N_CODES * j);
  }
  mrl_poll(ctx);
}

void mrl_score_carve(mrl_score_work *work, size_t n, size_t k, const mrl_ctx *ctx, mrl_arena *arena)
{
  work->g = MRL_TAKE(arena, double, n *MRL_SCORE_VARIANTS);
  work->gemm = mrl_take(arena, mrl_gemm_d_scratch(n, k, MRL_SCORE_VARIANTS, ctx), 1);
}

mrl_status mrl_score_add(double *score, mrl_score_work *work, const uint8_t *packed, size_t stride,
                         const uint32_t *rows, size_t n, const double *value, size_t m,
                         const double *weight, size_t ldw, size_t k, mrl_isa isa,
                         const mrl_ctx *ctx)
{
  for (size_t first = 0; first < m; first += MRL_SCORE_VARIANTS) {
    const size_t count = m - first < MRL_SCORE_VARIANTS ? m - first : MRL_SCORE_VARIANTS;
    mrl_bed_values(work->g, packed + first * stride, stride, rows, n,
                   value + MRL_BED_N_CODES * first, count, ctx);
    MRL_TRY(mrl_gemm_d(score, n, work->g, n, MRL_NO_TRANS, weight + first, ldw, MRL_NO_TRANS, n, k,
                       count, 1, work->gemm, isa, ctx));
    mrl_poll(ctx);
  }
  return MRL_OK;
}
