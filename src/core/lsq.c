#include "lsq.h"

#include "blas.h"

#include <math.h>
#include <string.h>

/* Elements that one parallel region handles, so that the next poll is at most some 0.05 s away. */
enum { REGION = 1 << 24, BLOCK = 2048 };

void mrl_lsq_carve(mrl_lsq *lsq, const mrl_lsq_data *data, mrl_arena *arena)
{
  mrl_lsq_carve_moments(lsq, data, NULL, arena);
}

void mrl_lsq_carve_moments(mrl_lsq *lsq, const mrl_lsq_data *data, const mrl_moments *moments,
                           mrl_arena *arena)
{
  lsq->n = data->n;
  lsq->kx = data->n_endog;
  lsq->n_inst_full = data->n_inst;
  lsq->k_full = (data->intercept ? 1 : 0) + data->n_exog;
  const size_t c_full = lsq->k_full + data->n_inst;
  const size_t p = lsq->p = c_full + lsq->kx + 1;
  lsq->col = MRL_TAKE(arena, const double *, p);
  lsq->shift = MRL_TAKE(arena, double, p);
  lsq->scale = MRL_TAKE(arena, double, p);
  const size_t n_rows = moments && !data->col ? 0 : data->n;
  lsq->root = data->weights ? MRL_TAKE(arena, double, n_rows) : NULL;
  lsq->ones = data->intercept ? MRL_TAKE(arena, double, n_rows) : NULL;
  lsq->c_col = MRL_TAKE(arena, const double *, c_full);
  lsq->c_shift = MRL_TAKE(arena, double, c_full);
  lsq->c_scale = MRL_TAKE(arena, double, c_full);
  lsq->keep = MRL_TAKE(arena, size_t, c_full);
  lsq->aliased = MRL_TAKE(arena, int, c_full);
  lsq->rc = MRL_TAKE(arena, double, c_full *c_full);
  lsq->rcx = MRL_TAKE(arena, double, c_full *(lsq->kx + 1));
  lsq->rxx = MRL_TAKE(arena, double, (lsq->kx + 1) * (lsq->kx + 1));
  lsq->endog_share = MRL_TAKE(arena, double, lsq->kx);
  const size_t square = p * p, rows = n_rows < MRL_LSQ_BLOCK ? n_rows : MRL_LSQ_BLOCK;
  lsq->gram = MRL_TAKE(arena, double, square);
  lsq->again = MRL_TAKE(arena, double, square);
  lsq->block = MRL_TAKE(arena, double, rows *p + 2 * square); /* rows, or two factors */
  lsq->block_col = MRL_TAKE(arena, const double *, p);
  lsq->block_zero = MRL_TAKE(arena, double, p);
  lsq->block_one = MRL_TAKE(arena, double, p);
  const mrl_stream *stream = lsq->stream = moments ? moments->stream : NULL;
  const size_t streamed = stream ? stream->block : 0;
  lsq->streamed = (double *)mrl_take(arena, data->n_inst, streamed * sizeof(double));
}

/* Weighted mean and mean square about it (about 0 without centring), in one pass about the first
 * value, which keeps columns of large mean and small spread exact enough. Four partial sums in a
 * fixed order let the compiler overlap additions. */
static void column_moments(double *mean, double *square, const double *x, const double *weights,
                           size_t n, int centre)
{
  const double origin = centre ? x[0] : 0;
  double s[4] = {0}, q[4] = {0}, total[4] = {0};
  for (size_t i = 0; i < n; i++) {
    const double w = weights ? weights[i] : 1, d = x[i] - origin;
    s[i & 3] += w * d;
    q[i & 3] += w * d * d;
    total[i & 3] += w;
  }
  const double w_sum = (total[0] + total[1]) + (total[2] + total[3]);
  const double m = ((s[0] + s[1]) + (s[2] + s[3])) / w_sum;
  const double raw = ((q[0] + q[1]) + (q[2] + q[3])) / w_sum;
  *mean = centre ? origin + m : 0;
  *square = centre ? raw - m * m : raw;
}

/* Shift and scale of every column but the constant; a column without spread keeps scale 1. The
 * outcome and all others are treated alike. */
static mrl_status standardise(mrl_lsq *lsq, const mrl_lsq_data *data, const mrl_ctx *ctx)
{
  const size_t first = data->intercept ? 1 : 0, group = 1 + REGION / (lsq->n + 1);
  for (size_t from = first; from < lsq->p; from += group) {
    const size_t to = from + group < lsq->p ? from + group : lsq->p;
#pragma omp parallel for num_threads(mrl_threads_for(ctx, (to - from) * lsq->n)) schedule(static)
    for (size_t j = from; j < to; j++) {
      double square;
      column_moments(&lsq->shift[j], &square, lsq->col[j], data->weights, lsq->n, data->intercept);
      lsq->scale[j] = square > 0 ? 1 / sqrt(square) : square <= 0 ? 1 : NAN;
    }
    mrl_poll(ctx);
  }
  for (size_t j = first; j < lsq->p; j++) {
    if (!isfinite(lsq->shift[j]) || !isfinite(lsq->scale[j]) || lsq->scale[j] == 0) {
      return MRL_NOT_FINITE;
    }
  }
  return MRL_OK;
}

/* Where the columns are, if they are in memory; a constant of our own, and roots of weights. */
static void point_to_columns(mrl_lsq *lsq, const mrl_lsq_data *data)
{
  size_t j = 0;
  if (data->intercept) {
    for (size_t i = 0; data->col && i < lsq->n; i++) {
      lsq->ones[i] = 1;
    }
    lsq->shift[j] = 0;
    lsq->scale[j] = 1;
    lsq->col[j++] = lsq->ones;
  }
  for (size_t i = 0; j < lsq->p; i++, j++) {
    lsq->col[j] = data->col ? data->col[i] : NULL;
  }
  for (size_t i = 0; data->col && data->weights && i < lsq->n; i++) {
    lsq->root[i] = sqrt(data->weights[i]);
  }
}

static mrl_status lay_columns(mrl_lsq *lsq, const mrl_lsq_data *data, const mrl_ctx *ctx)
{
  point_to_columns(lsq, data);
  MRL_TRY(standardise(lsq, data, ctx));
  const mrl_columns all = {lsq->col, lsq->shift, lsq->scale, lsq->root, lsq->n, lsq->p};
  lsq->all = all;
  return MRL_OK;
}

/*
 * Marks columns of C that are collinear with those before them: an ordered Cholesky that skips
 * them. r (m, m) is workspace. This is the slow road, taken where LAPACK's factor shows trouble.
 */
static void mark_aliased(int *aliased, double *r, const double *gram, size_t ldg, size_t m)
{
  for (size_t j = 0; j < m; j++) {
    double left = gram[j + j * ldg];
    for (size_t i = 0; i < j; i++) {
      double sum = gram[i + j * ldg];
      for (size_t k = 0; k < i; k++) {
        sum -= r[k + i * m] * r[k + j * m];
      }
      r[i + j * m] = aliased[i] ? 0 : sum / r[i + i * m];
      left -= r[i + j * m] * r[i + j * m];
    }
    aliased[j] = !(left > MRL_LSQ_TOLERANCE * gram[j + j * ldg]);
    r[j + j * m] = aliased[j] ? 0 : sqrt(left);
  }
}

static void gather_kept(mrl_lsq *lsq, size_t c_full)
{
  lsq->kc = lsq->kw = 0;
  for (size_t j = 0; j < c_full; j++) {
    if (!lsq->aliased[j]) {
      lsq->c_col[lsq->kc] = lsq->col[j];
      lsq->c_shift[lsq->kc] = lsq->shift[j];
      lsq->c_scale[lsq->kc] = lsq->scale[j];
      lsq->keep[lsq->kc++] = j;
      lsq->kw += j < lsq->k_full;
    }
  }
  lsq->n_inst = lsq->kc - lsq->kw;
  const mrl_columns c = {lsq->c_col, lsq->c_shift, lsq->c_scale, lsq->root, lsq->n, lsq->kc};
  lsq->c = c;
}

static void copy_kept_gram(mrl_lsq *lsq)
{
  for (size_t j = 0; j < lsq->kc; j++) {
    for (size_t i = 0; i < lsq->kc; i++) {
      lsq->rc[i + j * lsq->kc] = lsq->gram[lsq->keep[i] + lsq->keep[j] * lsq->p];
    }
  }
}

/* The least share of a kept column's variance that those before it leave over. */
static double least_share(const mrl_lsq *lsq)
{
  double least = 1;
  for (size_t j = 0; j < lsq->kc; j++) {
    const double u = lsq->rc[j + j * lsq->kc];
    const double share = u * u / lsq->gram[lsq->keep[j] * (lsq->p + 1)];
    least = share < least ? share : least;
  }
  return least;
}

/* rc := factor of the kept columns of C. All are kept if LAPACK's factor is far from singular. */
static mrl_status factor_c(mrl_lsq *lsq)
{
  const size_t c_full = lsq->k_full + lsq->n_inst_full;
  memset(lsq->aliased, 0, c_full * sizeof *lsq->aliased);
  gather_kept(lsq, c_full);
  copy_kept_gram(lsq);
  if (mrl_cholesky(lsq->rc, c_full) == MRL_OK && least_share(lsq) > MRL_LSQ_TOLERANCE) {
    return MRL_OK;
  }
  mark_aliased(lsq->aliased, lsq->rc, lsq->gram, lsq->p, c_full);
  gather_kept(lsq, c_full);
  copy_kept_gram(lsq);
  return mrl_cholesky(lsq->rc, lsq->kc);
}

/* Rows from .. from + m of [C R_c^-1, exposures, outcome] in scaled, weighted units, in lsq->block.
 */
static mrl_status orthogonal_block(mrl_lsq *lsq, size_t from, size_t m)
{
  const size_t c_full = lsq->k_full + lsq->n_inst_full, total = lsq->kc + lsq->kx + 1;
  for (size_t j = 0; j < total; j++) {
    const size_t at = j < lsq->kc ? lsq->keep[j] : c_full + (j - lsq->kc);
    const double *x = lsq->col[at] + from, shift = lsq->shift[at], scale = lsq->scale[at];
    double *out = lsq->block + j * m;
    for (size_t i = 0; i < m; i++) {
      out[i] = (x[i] - shift) * scale * (lsq->root ? lsq->root[from + i] : 1);
    }
    lsq->block_col[j] = out;
    lsq->block_zero[j] = 0;
    lsq->block_one[j] = 1;
  }
  return mrl_triangular_solve_right(lsq->block, m, lsq->rc, m, lsq->kc);
}

/*
 * Second pass: with Q_1 = C R_c^-1 nearly orthonormal, the factor of its crossproducts times R_c is
 * the factor of C to the accuracy of the data. Replaces rc and rcx.
 */
static mrl_status factor_again(mrl_lsq *lsq, void *scratch, mrl_isa isa, const mrl_ctx *ctx)
{
  const size_t kc = lsq->kc, total = kc + lsq->kx + 1;
  for (size_t from = 0; from < lsq->n; from += MRL_LSQ_BLOCK) {
    const size_t left = lsq->n - from, m = left < MRL_LSQ_BLOCK ? left : MRL_LSQ_BLOCK;
    MRL_TRY(orthogonal_block(lsq, from, m));
    const mrl_columns block = {lsq->block_col, lsq->block_zero, lsq->block_one, NULL, m, total};
    MRL_TRY(mrl_gram(lsq->again, &block, 0, m, from > 0, scratch, isa, ctx));
    mrl_poll(ctx);
  }
  double *first = lsq->block, *second = first + kc * kc;
  memcpy(first, lsq->rc, kc * kc * sizeof *first);
  for (size_t j = 0; j < kc; j++) {
    memcpy(second + j * kc, lsq->again + j * total, kc * sizeof *second);
  }
  for (size_t j = 0; j < lsq->kx + 1; j++) {
    memcpy(lsq->rcx + j * kc, lsq->again + (kc + j) * total, kc * sizeof *lsq->rcx);
  }
  MRL_TRY(mrl_cholesky(second, kc));
  MRL_TRY(mrl_triangular_solve(lsq->rcx, second, kc, lsq->kx + 1, 1));
  mrl_small_gemm(lsq->rc, kc, second, kc, 0, first, kc, 0, kc, kc, kc, 1, 0);
  return MRL_OK;
}

/* rcx = inverse(R_c') C'[exposures, outcome]. */
static mrl_status coordinates(mrl_lsq *lsq)
{
  const size_t c_full = lsq->k_full + lsq->n_inst_full, m = lsq->kx + 1, kc = lsq->kc;
  for (size_t j = 0; j < m; j++) {
    for (size_t i = 0; i < kc; i++) {
      lsq->rcx[i + j * kc] = lsq->gram[lsq->keep[i] + (c_full + j) * lsq->p];
    }
  }
  return mrl_triangular_solve(lsq->rcx, lsq->rc, kc, m, 1);
}

/* rxx = factor of what C leaves of the exposures' and outcome's crossproducts. A left-over of
 * rounding size counts as nothing: then that row of rxx is zero. */
static void factor_rest(mrl_lsq *lsq)
{
  const size_t c_full = lsq->k_full + lsq->n_inst_full, m = lsq->kx + 1, kc = lsq->kc;
  for (size_t j = 0; j < m; j++) {
    const double total = lsq->gram[(c_full + j) * (lsq->p + 1)];
    double by_exog = 0;
    for (size_t i = 0; i < lsq->kw; i++) {
      by_exog += lsq->rcx[i + j * kc] * lsq->rcx[i + j * kc];
    }
    if (j < lsq->kx) {
      lsq->endog_share[j] = total > 0 ? 1 - by_exog / total : 0;
    }
    for (size_t i = 0; i <= j; i++) {
      double sum = lsq->gram[c_full + i + (c_full + j) * lsq->p];
      for (size_t k = 0; k < kc; k++) {
        sum -= lsq->rcx[k + i * kc] * lsq->rcx[k + j * kc];
      }
      for (size_t k = 0; k < i; k++) {
        sum -= lsq->rxx[k + i * m] * lsq->rxx[k + j * m];
      }
      if (i < j) {
        lsq->rxx[i + j * m] = lsq->rxx[i + i * m] > 0 ? sum / lsq->rxx[i + i * m] : 0;
      } else {
        lsq->rxx[j + j * m] = sum > MRL_LSQ_TOLERANCE * total ? sqrt(sum) : 0;
      }
    }
    for (size_t i = j + 1; i < m; i++) {
      lsq->rxx[i + j * m] = 0;
    }
  }
}

/* Scales and crossproducts by moments, as the columns would have them. */
static mrl_status take_moments(mrl_lsq *lsq, const mrl_lsq_data *data, const mrl_moments *moments)
{
  const size_t p = lsq->p, q = p - 1;
  if (!data->intercept) {
    return MRL_BAD_ARGUMENT;
  }
  point_to_columns(lsq, data);
  for (size_t j = 0; j < q; j++) {
    const double square = moments->gram[j * (q + 1)] / moments->total, mean = moments->mean[j];
    /* A constant column leaves rounding errors of its mean, not of its spread. */
    const int varies = square > 1e-26 * mean * mean;
    lsq->shift[1 + j] = mean;
    lsq->scale[1 + j] = varies ? 1 / sqrt(square) : isfinite(square) ? 1 : NAN;
    for (size_t i = 0; i <= j; i++) {
      const double product = moments->gram[i + j * q] * lsq->scale[1 + i] * lsq->scale[1 + j];
      lsq->gram[1 + i + (1 + j) * p] = lsq->gram[1 + j + (1 + i) * p] = varies ? product : 0;
    }
    lsq->gram[1 + j] = lsq->gram[(1 + j) * p] = 0;
  }
  lsq->gram[0] = moments->total;
  return MRL_OK;
}

/* The factor of C and the coordinates of the others. */
static mrl_status factor_gram(mrl_lsq *lsq)
{
  for (size_t i = 0; i < lsq->p * lsq->p; i++) {
    if (!isfinite(lsq->gram[i])) {
      return MRL_NOT_FINITE;
    }
  }
  MRL_TRY(factor_c(lsq));
  return coordinates(lsq);
}

mrl_status mrl_lsq_factor(mrl_lsq *lsq, const mrl_lsq_data *data, void *scratch, mrl_isa isa,
                          const mrl_ctx *ctx)
{
  MRL_TRY(lay_columns(lsq, data, ctx));
  MRL_TRY(mrl_gram(lsq->gram, &lsq->all, 0, lsq->n, 0, scratch, isa, ctx));
  MRL_TRY(factor_gram(lsq));
  if (least_share(lsq) < MRL_LSQ_SECOND_PASS) {
    MRL_TRY(factor_again(lsq, scratch, isa, ctx));
  }
  factor_rest(lsq);
  return MRL_OK;
}

mrl_status mrl_lsq_factor_moments(mrl_lsq *lsq, const mrl_lsq_data *data,
                                  const mrl_moments *moments)
{
  MRL_TRY(take_moments(lsq, data, moments));
  MRL_TRY(factor_gram(lsq));
  factor_rest(lsq);
  return MRL_OK;
}

mrl_status mrl_lsq_each_block(const mrl_lsq *lsq, mrl_lsq_job job, void *data, const mrl_ctx *ctx)
{
  const mrl_stream *stream = lsq->stream;
  if (!stream) {
    return job(data, &lsq->c, 0, ctx);
  }
  for (size_t first = 0; first < lsq->n; first += stream->block) {
    const size_t left = lsq->n - first, count = left < stream->block ? left : stream->block;
    stream->rows(lsq->streamed, stream->data, first, count, ctx);
    for (size_t j = 0; j < lsq->kc; j++) {
      lsq->block_col[j] = lsq->c_col[j] ? lsq->c_col[j] + first
                                        : lsq->streamed + (lsq->keep[j] - lsq->k_full) * count;
    }
    const double *root = lsq->root ? lsq->root + first : NULL;
    const mrl_columns rows = {lsq->block_col, lsq->c_shift, lsq->c_scale, root, count, lsq->kc};
    MRL_TRY(job(data, &rows, first, ctx));
    mrl_poll(ctx);
  }
  return MRL_OK;
}

/* Sum of squares of y - x beta over the rows from .. to - 1 of [x, y] (ld, kx + 1). */
static double squares_left(const double *xy, size_t ld, size_t from, size_t to, const double *beta,
                           size_t kx)
{
  double sum = 0;
  for (size_t i = from; i < to; i++) {
    double left = xy[i + kx * ld];
    for (size_t j = 0; j < kx; j++) {
      left -= xy[i + j * ld] * beta[j];
    }
    sum += left * left;
  }
  return sum;
}

double mrl_lsq_rss(const mrl_lsq *lsq, const double *beta)
{
  return squares_left(lsq->rcx, lsq->kc, lsq->kw, lsq->kc, beta, lsq->kx) +
         squares_left(lsq->rxx, lsq->kx + 1, 0, lsq->kx + 1, beta, lsq->kx);
}

static void subtract_block(double *out, const double *base, const mrl_columns *columns,
                           const double *coef, size_t from, size_t to)
{
  if (out != base) {
    memcpy(out + from, base + from, (to - from) * sizeof *out);
  }
  for (size_t j = 0; j < columns->p; j++) {
    const double *x = columns->col[j], shift = columns->shift[j];
    const double b = coef[j] * columns->scale[j];
    for (size_t i = from; i < to; i++) {
      out[i] -= (x[i] - shift) * b;
    }
  }
}

void mrl_columns_subtract(double *out, const double *base, const mrl_columns *columns,
                          const double *coef, const mrl_ctx *ctx)
{
  const size_t n = columns->n, step = BLOCK * (1 + REGION / BLOCK / (columns->p + 1));
  for (size_t start = 0; start < n; start += step) {
    const size_t end = start + step < n ? start + step : n, blocks = (end - start - 1) / BLOCK + 1;
#pragma omp parallel for num_threads(mrl_threads_for(ctx, n * columns->p)) schedule(static)
    for (size_t b = 0; b < blocks; b++) {
      const size_t from = start + b * BLOCK, to = from + BLOCK < end ? from + BLOCK : end;
      subtract_block(out, base, columns, coef, from, to);
    }
    mrl_poll(ctx);
  }
}

static double shifted_dot(const double *x, double shift, const double *y, size_t n)
{
  double s[4] = {0};
  for (size_t i = 0; i < n; i++) {
    s[i & 3] += (x[i] - shift) * y[i];
  }
  return (s[0] + s[1]) + (s[2] + s[3]);
}

void mrl_columns_dot(double *out, const mrl_columns *columns, const double *multiplier,
                     const mrl_ctx *ctx)
{
  const size_t group = 1 + REGION / (columns->n + 1);
  for (size_t from = 0; from < columns->p; from += group) {
    const size_t to = from + group < columns->p ? from + group : columns->p;
#pragma omp parallel for num_threads(mrl_threads_for(ctx, columns->n * columns->p)) schedule(static)
    for (size_t j = from; j < to; j++) {
      out[j] = columns->scale[j] *
               shifted_dot(columns->col[j], columns->shift[j], multiplier, columns->n);
    }
    mrl_poll(ctx);
  }
}

size_t mrl_impute_mean(double *out, const double *x, size_t n)
{
  double sum = 0;
  size_t present = 0;
  for (size_t i = 0; i < n; i++) {
    if (!isnan(x[i])) {
      sum += x[i];
      present++;
    }
  }
  const double mean = present > 0 ? sum / (double)present : NAN;
  for (size_t i = 0; i < n; i++) {
    out[i] = isnan(x[i]) ? mean : x[i];
  }
  return n - present;
}

void mrl_lsq_reduced(double *between, double *within, const mrl_lsq *lsq)
{
  const size_t m = lsq->kx + 1, kc = lsq->kc;
  const double *b = lsq->rcx + lsq->kw, *scale = lsq->scale + lsq->k_full + lsq->n_inst_full;
  mrl_small_gemm(between, m, b, kc, 1, b, kc, 0, m, m, lsq->n_inst, 1, 0);
  mrl_small_gemm(within, m, lsq->rxx, m, 1, lsq->rxx, m, 0, m, m, m, 1, 0);
  for (size_t j = 0; j < m; j++) {
    for (size_t i = 0; i < m; i++) {
      between[i + j * m] /= scale[i] * scale[j];
      within[i + j * m] /= scale[i] * scale[j];
    }
  }
}
