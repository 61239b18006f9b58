#include "jive.h"

#include "blas.h"

#include <math.h>

typedef struct {
  mrl_lsq lsq;
  void *gram;
  double *q; /* (MRL_LSQ_BLOCK, c) rows of C in an orthonormal basis */
} mrl_jive_work;

static void carve(mrl_jive_work *work, const mrl_lsq_data *data, const mrl_ctx *ctx,
                  mrl_arena *arena)
{
  mrl_lsq_carve(&work->lsq, data, arena);
  work->gram = mrl_take(arena, mrl_gram_scratch(work->lsq.p, ctx), 1);
  work->q = MRL_TAKE(arena, double, MRL_LSQ_BLOCK *(work->lsq.k_full + data->n_inst));
}

size_t mrl_jive_scratch(const mrl_lsq_data *data, const mrl_ctx *ctx)
{
  mrl_jive_work work;
  mrl_arena arena = mrl_arena_measure();
  carve(&work, data, ctx, &arena);
  return arena.failed ? 0 : arena.used;
}

/* A prediction from its parts: x, its projections on C and W, and the leverages in both. */
static double predict(mrl_jive_type type, double x, double on_c, double on_w, double h, double g,
                      double n)
{
  switch (type) {
  case MRL_JIVE_1:
    return (on_c - h * x) / (1 - h);
  case MRL_JIVE_2:
    return (on_c - h * x) / (1 - 1 / n);
  case MRL_JIVE_U:
    return (on_c - h * x) / (1 - h) - (on_w - g * x) / (1 - g);
  default:
    return (on_c - on_w - (h - g) * (x - on_w)) / (1 - h + g);
  }
}

/* Rows from .. from + m of C in an orthonormal basis, whose first kw columns span W. */
static mrl_status basis_rows(mrl_jive_work *work, size_t from, size_t m)
{
  const mrl_lsq *lsq = &work->lsq;
  for (size_t j = 0; j < lsq->kc; j++) {
    const double *col = lsq->c_col[j] + from;
    for (size_t i = 0; i < m; i++) {
      work->q[i + j * m] =
          (col[i] - lsq->c_shift[j]) * lsq->c_scale[j] * (lsq->root ? lsq->root[from + i] : 1);
    }
  }
  return mrl_triangular_solve_right(work->q, m, lsq->rc, m, lsq->kc);
}

mrl_status mrl_jive_run(double *x_hat, const mrl_lsq_data *data, mrl_jive_type type, mrl_isa isa,
                        void *scratch, size_t size, const mrl_ctx *ctx)
{
  mrl_jive_work work;
  mrl_arena arena = mrl_arena_over(scratch, size);
  carve(&work, data, ctx, &arena);
  if (arena.failed) {
    return MRL_NO_MEMORY;
  }
  const mrl_lsq *lsq = &work.lsq;
  const size_t n = lsq->n, first_x = lsq->k_full + lsq->n_inst_full;
  MRL_TRY(mrl_lsq_factor(&work.lsq, data, work.gram, isa, ctx));
  for (size_t from = 0; from < n; from += MRL_LSQ_BLOCK) {
    const size_t m = n - from < MRL_LSQ_BLOCK ? n - from : MRL_LSQ_BLOCK;
    mrl_poll(ctx);
    MRL_TRY(basis_rows(&work, from, m));
    for (size_t i = 0; i < m; i++) {
      const double root = lsq->root ? lsq->root[from + i] : 1;
      double h = 0, g = 0;
      for (size_t j = 0; j < lsq->kc; j++) {
        const double q = work.q[i + j * m];
        h += q * q;
        g += j < lsq->kw ? q * q : 0;
      }
      if (!(1 - h > 1e-10)) {
        return MRL_SINGULAR;
      }
      for (size_t x = 0; x < lsq->kx; x++) {
        const double scale = lsq->scale[first_x + x];
        const double value = (lsq->col[first_x + x][from + i] - lsq->shift[first_x + x]) * scale;
        double on_c = 0, on_w = 0;
        for (size_t j = 0; j < lsq->kc; j++) {
          const double part = work.q[i + j * m] * lsq->rcx[j + x * lsq->kc] / root;
          on_c += part;
          on_w += j < lsq->kw ? part : 0;
        }
        x_hat[from + i + x * n] = predict(type, value, on_c, on_w, h, g, (double)n) / scale;
      }
    }
  }
  return MRL_OK;
}
