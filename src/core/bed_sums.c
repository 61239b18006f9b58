#include "bed_sums.h"

#include <math.h>
#include <string.h>

static size_t larger(size_t a, size_t b)
{
  return a > b ? a : b;
}

void mrl_bed_sums_carve(mrl_bed_sums_work *work, mrl_arena *arena, size_t la, size_t lb, size_t q,
                        int weighted, const mrl_ctx *ctx)
{
  const size_t planes = MRL_BED_PLANES * mrl_bed_words(MRL_BED_PEOPLE);
  const size_t rows = weighted ? MRL_BED_ROWS : 0, most = larger(la, lb);
  work->planes_a = (uint64_t *)mrl_take(arena, la, planes * sizeof(uint64_t));
  work->planes_b = (uint64_t *)mrl_take(arena, lb, planes * sizeof(uint64_t));
  work->missing_a = MRL_TAKE(arena, uint32_t, la);
  work->missing_b = MRL_TAKE(arena, uint32_t, lb);
  work->index = MRL_TAKE(arena, uint32_t, la + most);
  work->decoded = MRL_TAKE(arena, double, q > 0 ? MRL_BED_PEOPLE * MRL_BED_VARIANTS : 0);
  work->scaled = (double *)mrl_take(arena, q, MRL_BED_PEOPLE * sizeof(double));
  work->hq = MRL_TAKE(arena, double, q *MRL_BED_VARIANTS);
  work->h_a = (double *)mrl_take(arena, la, rows * sizeof(double));
  work->m_a = (double *)mrl_take(arena, la, rows * sizeof(double));
  work->h_b = (double *)mrl_take(arena, most, rows * sizeof(double));
  work->m_b = (double *)mrl_take(arena, most, rows * sizeof(double));
  /* No product needs more than this one, whatever the number of rows left for the last block. */
  work->gemm = mrl_take(arena, mrl_gemm_d_scratch(1024, 1024, 1024, ctx), 1);
  const size_t columns = weighted ? la : 0;
  work->col = MRL_TAKE(arena, const double *, columns);
  work->zero = MRL_TAKE(arena, double, columns);
  work->one = MRL_TAKE(arena, double, columns);
  work->root = MRL_TAKE(arena, double, rows);
  work->gram = mrl_take(arena, weighted ? mrl_gram_scratch(la, ctx) : 0, 1);
}

/* h = value[code] of the rows first .. first + count - 1 of m variants, times weights. */
static void decode_rows(double *out, const uint8_t *packed, size_t stride, const uint32_t *rows,
                        size_t first, size_t count, size_t m, const double *value,
                        const double *weights, const mrl_ctx *ctx)
{
#pragma omp parallel for num_threads(mrl_threads_for(ctx, count *m)) schedule(static)
  for (size_t j = 0; j < m; j++) {
    const uint8_t *variant = packed + j * stride + (rows ? 0 : first / 4);
    mrl_bed_decode(out + j * count, variant, rows ? rows + first : NULL, count, value);
    for (size_t i = 0; weights && i < count; i++) {
      out[i + j * count] *= weights[first + i];
    }
  }
  mrl_poll(ctx);
}

static const double h_value[MRL_BED_N_CODES] = {1, 0, 0, -1};
static const double missing_value[MRL_BED_N_CODES] = {0, 1, 0, 0};

static int any(const uint32_t *missing, size_t m)
{
  for (size_t j = 0; j < m; j++) {
    if (missing[j] > 0) {
      return 1;
    }
  }
  return 0;
}

/* hh of k rows of a with itself. */
static mrl_status add_gram(mrl_bed_sums *sums, mrl_bed_sums_work *work, const double *weights,
                           size_t k, mrl_isa isa, const mrl_ctx *ctx)
{
  for (size_t j = 0; j < sums->la; j++) {
    work->col[j] = work->h_a + j * k;
    work->zero[j] = 0;
    work->one[j] = 1;
  }
  for (size_t i = 0; i < k; i++) {
    work->root[i] = sqrt(weights[i]);
  }
  const mrl_columns columns = {work->col, work->zero, work->one, work->root, k, sums->la};
  return mrl_gram(sums->gram.hh, &columns, 0, k, 1, work->gram, isa, ctx);
}

/* Weighted sums over pairs, some rows at a time: one factor carries the weights. */
static mrl_status add_weighted(mrl_bed_sums *sums, mrl_bed_sums_work *work, const uint8_t *packed_a,
                               const uint8_t *packed_b, size_t stride, const uint32_t *rows,
                               size_t n, const double *weights, mrl_isa isa, const mrl_ctx *ctx)
{
  const int cross = sums->lb > 0;
  const size_t la = sums->la, lb = cross ? sums->lb : la;
  const uint8_t *other = cross ? packed_b : packed_a;
  const int gap_a = any(work->missing_a, la), gap_b = cross ? any(work->missing_b, lb) : gap_a;
  mrl_bed_gram *g = &sums->gram;
  for (size_t first = 0; first < n; first += MRL_BED_ROWS) {
    const size_t k = n - first < MRL_BED_ROWS ? n - first : MRL_BED_ROWS;
    decode_rows(work->h_a, packed_a, stride, rows, first, k, la, h_value, NULL, ctx);
    if (cross) {
      decode_rows(work->h_b, other, stride, rows, first, k, lb, h_value, weights, ctx);
      MRL_TRY(mrl_gemm_d(g->hh, la, work->h_a, k, MRL_TRANS, work->h_b, k, MRL_NO_TRANS, la, lb, k,
                         1, work->gemm, isa, ctx));
    } else {
      MRL_TRY(add_gram(sums, work, weights + first, k, isa, ctx));
    }
    mrl_poll(ctx);
    if (gap_a) {
      decode_rows(work->m_a, packed_a, stride, rows, first, k, la, missing_value, NULL, ctx);
    }
    if (gap_a && cross) {
      MRL_TRY(mrl_gemm_d(g->mh, la, work->m_a, k, MRL_TRANS, work->h_b, k, MRL_NO_TRANS, la, lb, k,
                         1, work->gemm, isa, ctx));
    }
    if (gap_b) {
      decode_rows(work->m_b, other, stride, rows, first, k, lb, missing_value, weights, ctx);
      MRL_TRY(mrl_gemm_d(g->hm, la, work->h_a, k, MRL_TRANS, work->m_b, k, MRL_NO_TRANS, la, lb, k,
                         1, work->gemm, isa, ctx));
    }
    if (gap_a && gap_b) {
      MRL_TRY(mrl_gemm_d(g->mm, la, work->m_a, k, MRL_TRANS, work->m_b, k, MRL_NO_TRANS, la, lb, k,
                         1, work->gemm, isa, ctx));
    }
    mrl_poll(ctx);
  }
  return MRL_OK;
}

/* mq of one variant: the rows of q where its plane M has a bit. */
static void add_missing(double *mq, size_t la, const uint64_t *plane, size_t words, const double *q,
                        size_t ldq, size_t n_q)
{
  for (size_t k = 0; k < words; k++) {
    for (size_t bit = 0; bit < 64 && plane[k] >> bit != 0; bit++) {
      for (size_t c = 0; (plane[k] >> bit & 1) && c < n_q; c++) {
        mq[c * la] += q[64 * k + bit + c * ldq];
      }
    }
  }
}

/* Sums with the other columns q, already weighted, some variants at a time. */
static mrl_status add_columns(mrl_bed_sums *sums, mrl_bed_sums_work *work, const uint8_t *packed,
                              size_t stride, const uint32_t *rows, size_t n, const double *q,
                              size_t ldq, mrl_isa isa, const mrl_ctx *ctx)
{
  const size_t la = sums->la, n_q = sums->q, words = mrl_bed_words(n);
  for (size_t from = 0; from < la; from += MRL_BED_VARIANTS) {
    const size_t m = la - from < MRL_BED_VARIANTS ? la - from : MRL_BED_VARIANTS;
    decode_rows(work->decoded, packed + from * stride, stride, rows, 0, n, m, h_value, NULL, ctx);
    MRL_TRY(mrl_gemm_d(work->hq, n_q, q, ldq, MRL_TRANS, work->decoded, n, MRL_NO_TRANS, n_q, m, n,
                       0, work->gemm, isa, ctx));
    for (size_t j = 0; j < m; j++) {
      for (size_t c = 0; c < n_q; c++) {
        sums->hq[from + j + c * la] += work->hq[c + j * n_q];
      }
      if (work->missing_a[from + j] > 0) {
        const uint64_t *planes = work->planes_a + (from + j) * MRL_BED_PLANES * words;
        add_missing(sums->mq + from + j, la, planes + 2 * words, words, q, ldq, n_q);
      }
    }
    mrl_poll(ctx);
  }
  return MRL_OK;
}

static const double *weigh_columns(double *out, const double *q, size_t ldq, size_t n, size_t n_q,
                                   const double *weights)
{
  for (size_t c = 0; c < n_q; c++) {
    for (size_t i = 0; i < n; i++) {
      out[i + c * n] = q[i + c * ldq] * weights[i];
    }
  }
  return out;
}

mrl_status mrl_bed_sums_add(mrl_bed_sums *sums, mrl_bed_sums_work *work, const uint8_t *packed_a,
                            const uint8_t *packed_b, size_t stride, const uint32_t *rows, size_t n,
                            const double *q, size_t ldq, const double *weights, mrl_isa isa,
                            const mrl_ctx *ctx)
{
  if (n > MRL_BED_PEOPLE) {
    return MRL_BAD_ARGUMENT;
  }
  const size_t words = mrl_bed_words(n);
  const int cross = sums->lb > 0;
  mrl_bed_lay_planes(work->planes_a, work->missing_a, packed_a, stride, rows, n, sums->la, ctx);
  if (cross) {
    mrl_bed_lay_planes(work->planes_b, work->missing_b, packed_b, stride, rows, n, sums->lb, ctx);
  }
  const int gap = any(work->missing_a, sums->la) || (cross && any(work->missing_b, sums->lb));
  if (gap && !sums->gram.hm) {
    return MRL_BAD_ARGUMENT;
  }
  if (weights) {
    MRL_TRY(add_weighted(sums, work, packed_a, packed_b, stride, rows, n, weights, isa, ctx));
  } else {
    const mrl_bed_block a = {work->planes_a, work->missing_a, sums->la, words};
    const mrl_bed_block b = {work->planes_b, work->missing_b, sums->lb, words};
    mrl_bed_gram_add(&sums->gram, &a, cross ? &b : NULL, work->index, isa, ctx);
  }
  if (sums->q == 0) {
    return MRL_OK;
  }
  if (weights) {
    q = weigh_columns(work->scaled, q, ldq, n, sums->q, weights);
    ldq = n;
  }
  return add_columns(sums, work, packed_a, stride, rows, n, q, ldq, isa, ctx);
}

void mrl_bed_centre(double *out, size_t ld, const mrl_bed_gram *gram, size_t la, size_t lb,
                    const double *fill_a, const double *fill_b, const double *mean_a,
                    const double *mean_b, double total)
{
  for (size_t j = 0; j < lb; j++) {
    for (size_t i = 0; i < la; i++) {
      const size_t at = i + j * la;
      double sum = gram->hh[at];
      if (gram->hm) {
        const double mh = gram->mh ? gram->mh[at] : gram->hm[j + i * la];
        sum += gram->hm[at] * fill_b[j] + mh * fill_a[i] + gram->mm[at] * (fill_a[i] * fill_b[j]);
      }
      out[i + j * ld] = sum - total * mean_a[i] * mean_b[j];
    }
  }
}
