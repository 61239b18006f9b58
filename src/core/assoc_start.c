/* Memory, the basis of the covariates, traits without them. */
#include "assoc_part.h"

#include <math.h>
#include <string.h>

static void carve_work(mrl_assoc_work *work, const mrl_assoc_data *data, mrl_arena *arena)
{
  const size_t q = data->kw, lanes = MRL_LANES * mrl_strips(q + data->k);
  const int by_person = data->logistic || data->vcov != MRL_ASSOC_IID;
  work->dot = MRL_TAKE(arena, double, lanes *MRL_BED_DOT_MOST);
  work->count = MRL_TAKE(arena, double, MRL_BED_N_CODES *MRL_BED_DOT_MOST);
  work->mean = MRL_TAKE(arena, double, MRL_BED_DOT_MOST);
  work->scratch = mrl_take(arena, mrl_bed_dot_scratch(), 1);
  work->a = MRL_TAKE(arena, double, q *q);
  work->bg = MRL_TAKE(arena, double, q);
  work->qm = MRL_TAKE(arena, double, q);
  work->br = MRL_TAKE(arena, double, q);
  work->missing = MRL_TAKE(arena, uint32_t, data->n);
  work->slope = MRL_TAKE(arena, double, q);
  work->g = by_person ? MRL_TAKE(arena, double, data->n) : NULL;
  work->part = by_person ? MRL_TAKE(arena, double, data->n) : NULL;
  work->sums = data->n_cluster > 0 ? MRL_TAKE(arena, double, data->n_cluster) : NULL;
  if (data->logistic) {
    const mrl_ctx alone = {1, NULL, NULL};
    const mrl_logit_data sizes = {NULL, NULL, NULL, NULL, data->n, q + 1, 1};
    work->col = MRL_TAKE(arena, const double *, q + 1);
    work->coef = MRL_TAKE(arena, double, q + 2);
    work->vcov = MRL_TAKE(arena, double, (q + 2) * (q + 2));
    mrl_logit_carve(&work->logit, &sizes, &alone, arena);
  }
}

void mrl_assoc_carve(mrl_assoc *assoc, const mrl_assoc_data *data, const mrl_ctx *ctx,
                     mrl_arena *arena)
{
  const size_t n = data->n, q = data->kw, k = data->k;
  assoc->data = *data;
  assoc->stride = mrl_bed_stride(data->n_file);
  assoc->n_work = ctx->n_threads;
  assoc->basis = MRL_TAKE(arena, double, n *q);
  assoc->kept = MRL_TAKE(arena, int, q);
  assoc->rest = MRL_TAKE(arena, double, n *k);
  assoc->rest_ss = MRL_TAKE(arena, double, k);
  assoc->trait_ss = MRL_TAKE(arena, double, k);
  assoc->strip = MRL_TAKE(arena, double, mrl_strips(q + k) * 4 * assoc->stride * MRL_LANES);
  assoc->columns = MRL_TAKE(arena, double, n *(q + k));
  assoc->mask = MRL_TAKE(arena, uint64_t, mrl_bed_words(assoc->stride));
  assoc->work = MRL_TAKE(arena, mrl_assoc_work, (size_t)assoc->n_work);
  for (int t = 0; t < assoc->n_work; t++) {
    mrl_assoc_work measured;
    carve_work(assoc->work ? assoc->work + t : &measured, data, arena);
  }
}

/* x less its mean; returns the sum of squares left. */
static double centre(double *out, const double *x, size_t n)
{
  double sum = 0, rest = 0;
  for (size_t i = 0; i < n; i++) {
    sum += x[i];
  }
  const double mean = sum / (double)n;
  for (size_t i = 0; i < n; i++) {
    out[i] = x[i] - mean;
    rest += out[i];
  }
  for (size_t i = 0; i < n; i++) {
    out[i] -= rest / (double)n;
  }
  return mrl_assoc_dot(out, out, n);
}

/* x less its projection on the basis, taken twice for full accuracy; returns what is left. */
static double project(double *x, const mrl_assoc *assoc)
{
  const size_t n = assoc->data.n;
  for (int pass = 0; pass < 2; pass++) {
    for (size_t j = 0; j < assoc->q; j++) {
      const double *v = assoc->basis + j * n, b = mrl_assoc_dot(v, x, n);
      for (size_t i = 0; i < n; i++) {
        x[i] -= b * v[i];
      }
    }
  }
  return mrl_assoc_dot(x, x, n);
}

mrl_status mrl_assoc_start(mrl_assoc *assoc, const mrl_assoc_data *data, const mrl_ctx *ctx)
{
  const size_t n = data->n;
  memset(assoc->kept, 0, data->kw * sizeof *assoc->kept);
  if (n < data->kw + 3) {
    return MRL_TOO_FEW;
  }
  assoc->q = 0;
  for (size_t j = 0; j < data->kw; j++) {
    double *v = assoc->basis + assoc->q * n;
    const double before = centre(v, data->covariate + j * n, n), left = project(v, assoc);
    if (!isfinite(before)) {
      return MRL_NOT_FINITE;
    }
    assoc->kept[j] = left > MRL_LSQ_TOLERANCE * before;
    for (size_t i = 0; assoc->kept[j] && i < n; i++) {
      v[i] /= sqrt(left);
    }
    assoc->q += assoc->kept[j] ? 1 : 0;
    mrl_poll(ctx);
  }
  for (size_t t = 0; t < data->k; t++) {
    double *r = assoc->rest + t * n;
    assoc->trait_ss[t] = centre(r, data->trait + t * n, n);
    assoc->rest_ss[t] = project(r, assoc);
    if (!isfinite(assoc->trait_ss[t])) {
      return MRL_NOT_FINITE;
    }
    mrl_poll(ctx);
  }
  memcpy(assoc->columns, assoc->basis, n * assoc->q * sizeof *assoc->columns);
  memcpy(assoc->columns + n * assoc->q, assoc->rest, n * data->k * sizeof *assoc->columns);
  mrl_strip_lay(assoc->strip, assoc->stride, assoc->columns, data->rows, n, assoc->q + data->k);
  mrl_bed_mask(assoc->mask, assoc->stride, data->rows, n);
  return MRL_OK;
}
