#include "lasso_moments.h"

#include <math.h>
#include <string.h>

/* Values read between two polls, about 0.02 s of memory traffic. */
static const size_t poll_values = (size_t)1 << 22;

/* Rows of a block: as many as keep it within a few caches, but enough that a tenth of them (a
 * fold's share) pays for a pass over its crossproducts. */
static size_t block_rows(size_t n, size_t p)
{
  size_t rows = ((size_t)1 << 21) / p;
  rows = rows < 4096 ? 4096 : rows > 16384 ? 16384 : rows;
  return n < rows ? n : rows;
}

void mrl_lasso_moments_carve(mrl_lasso_moments *moments, mrl_arena *arena,
                             const mrl_lasso_data *data, const mrl_ctx *ctx)
{
  const size_t p = data->n_w + data->n_z + 2, block = data->gram ? 0 : block_rows(data->n, p);
  moments->p = p;
  moments->block = block;
  moments->data = MRL_TAKE(arena, const double *, p);
  moments->shift = MRL_TAKE(arena, double, p);
  moments->scale = MRL_TAKE(arena, double, p);
  moments->total = (double *)mrl_take(arena, p, p * sizeof(double));
  moments->fold = (double *)mrl_take(arena, data->n_folds, p * p * sizeof(double));
  moments->gathered = (double *)mrl_take(arena, data->n_folds > 0 ? p : 0, block * sizeof(double));
  moments->root = MRL_TAKE(arena, double, data->weights ? block : 0);
  moments->ones = MRL_TAKE(arena, double, block);
  moments->where = MRL_TAKE(arena, const double *, p);
  moments->order = MRL_TAKE(arena, size_t, block);
  moments->start = MRL_TAKE(arena, size_t, data->n_folds + 2);
  moments->gram = (unsigned char *)mrl_take(arena, 1, mrl_gram_scratch(p, ctx));
}

static void point_to_data(mrl_lasso_moments *moments, const mrl_lasso_data *data)
{
  moments->data[0] = NULL;
  for (size_t j = 0; j < data->n_w; j++) {
    moments->data[1 + j] = data->w[j];
  }
  for (size_t j = 0; j < data->n_z; j++) {
    moments->data[1 + data->n_w + j] = data->z[j];
  }
  moments->data[moments->p - 1] = data->x;
}

/* Shift and scale of one column. */
static void place_column(double *shift, double *scale, const double *v, size_t n, int intercept)
{
  double low = v[0], high = v[0], sum[4] = {0, 0, 0, 0};
  for (size_t i = 0; i < n; i++) {
    low = v[i] < low ? v[i] : low;
    high = v[i] > high ? v[i] : high;
    sum[i % 4] += v[i] / (double)n; /* divided first: the sum cannot overflow */
  }
  int power = 0;
  frexp(intercept ? high / 2 - low / 2 : fmax(fabs(low), fabs(high)) / 2, &power);
  *shift = intercept ? (sum[0] + sum[1]) + (sum[2] + sum[3]) : 0;
  *scale = high > low || (!intercept && high != 0) ? ldexp(1, -power) : 0;
}

static void place_columns(mrl_lasso_moments *moments, const mrl_lasso_data *data,
                          const mrl_ctx *ctx)
{
  const size_t p = moments->p, n = data->n, at_once = 1 + poll_values / (n + 1);
  moments->shift[0] = 0;
  moments->scale[0] = 1;
  for (size_t first = 1; first < p; first += at_once) {
    const size_t end = first + at_once < p ? first + at_once : p;
#pragma omp parallel for num_threads(ctx->n_threads) schedule(static)
    for (size_t j = first; j < end; j++) {
      place_column(&moments->shift[j], &moments->scale[j], moments->data[j], n, data->intercept);
    }
    mrl_poll(ctx);
  }
  if (moments->scale[p - 1] == 0) {
    moments->scale[p - 1] = 1; /* a constant exposure: fitted by 0, and must not divide by 0 */
  }
}

/* Sorts the rows first .. first + count - 1 by fold; returns how many folds they are of. */
static size_t order_block(mrl_lasso_moments *moments, const mrl_lasso_data *data, size_t first,
                          size_t count)
{
  size_t *start = moments->start, n_present = 0;
  memset(start, 0, (data->n_folds + 2) * sizeof *start);
  for (size_t i = first; i < first + count; i++) {
    start[data->fold ? data->fold[i] : 1]++;
  }
  for (size_t k = 1; k <= data->n_folds; k++) {
    n_present += start[k] > 0;
    start[k] += start[k - 1];
  }
  for (size_t i = first; data->fold && i < first + count; i++) {
    moments->order[start[data->fold[i] - 1]++] = i; /* start[k] becomes the end of fold k + 1 */
  }
  for (size_t k = data->n_folds; k > 0; k--) {
    start[k] = start[k - 1];
  }
  start[0] = 0;
  return n_present;
}

/* Points `where` at the block's columns: gathered fold by fold, or in place if `in_place`. */
static void place_block(mrl_lasso_moments *moments, const mrl_lasso_data *data, size_t first,
                        size_t count, int in_place, const mrl_ctx *ctx)
{
  moments->where[0] = moments->ones;
#pragma omp parallel for num_threads(ctx->n_threads) schedule(static)
  for (size_t j = 1; j < moments->p; j++) {
    double *to = in_place ? NULL : moments->gathered + j * moments->block;
    for (size_t i = 0; !in_place && i < count; i++) {
      to[i] = moments->data[j][moments->order[i]];
    }
    moments->where[j] = in_place ? moments->data[j] + first : to;
  }
  for (size_t i = 0; data->weights && i < count; i++) {
    moments->root[i] = sqrt(data->weights[in_place ? first + i : moments->order[i]]);
  }
  mrl_poll(ctx);
}

static mrl_status add_block(mrl_lasso_moments *moments, const mrl_lasso_data *data, size_t first,
                            size_t count, mrl_isa isa, const mrl_ctx *ctx)
{
  const size_t p = moments->p;
  const size_t n_present = data->n_folds > 0 ? order_block(moments, data, first, count) : 1;
  place_block(moments, data, first, count, n_present == 1, ctx);
  const mrl_columns columns = {moments->where, moments->shift,
                               moments->scale, data->weights ? moments->root : NULL,
                               count,          p};
  if (data->n_folds == 0) {
    return mrl_gram(moments->total, &columns, 0, count, 1, moments->gram, isa, ctx);
  }
  for (size_t k = 0; k < data->n_folds; k++) {
    const size_t from = moments->start[k], rows = moments->start[k + 1] - from;
    if (rows > 0) {
      MRL_TRY(
          mrl_gram(moments->fold + k * p * p, &columns, from, rows, 1, moments->gram, isa, ctx));
    }
  }
  return MRL_OK;
}

/* Shifts and scales of columns that are known by their moments: powers of two near the standard
 * deviations. A spread of rounding errors of the mean is none. */
static void place_given(mrl_lasso_moments *moments, const mrl_lasso_data *data)
{
  const size_t p = moments->p, n_grams = data->n_folds > 0 ? data->n_folds : 1;
  moments->shift[0] = 0;
  moments->scale[0] = 1;
  for (size_t j = 1; j < p; j++) {
    const double mean = data->mean[j - 1];
    double total = 0, square = 0;
    for (size_t k = 0; k < n_grams; k++) {
      total += data->gram[k * p * p];
      square += data->gram[k * p * p + j * (p + 1)];
    }
    int power = 0;
    frexp(sqrt(fmax(square / total, 0)), &power);
    moments->shift[j] = mean;
    moments->scale[j] = square / total > 1e-26 * mean * mean ? ldexp(1, -power) : 0;
  }
  if (moments->scale[p - 1] == 0) {
    moments->scale[p - 1] = 1;
  }
}

static void scale_gram(double *out, const double *gram, const double *scale, size_t p)
{
  for (size_t j = 0; j < p; j++) {
    for (size_t i = 0; i < p; i++) {
      out[i + j * p] = gram[i + j * p] * scale[i] * scale[j];
    }
  }
}

/* The crossproducts that were given, of columns moved and scaled. */
static void take_given(mrl_lasso_moments *moments, const mrl_lasso_data *data, const mrl_ctx *ctx)
{
  const size_t p = moments->p;
  place_given(moments, data);
  if (data->n_folds == 0) {
    scale_gram(moments->total, data->gram, moments->scale, p);
  }
  for (size_t k = 0; k < data->n_folds; k++) {
    scale_gram(moments->fold + k * p * p, data->gram + k * p * p, moments->scale, p);
    mrl_poll(ctx);
  }
}

static void add_folds(mrl_lasso_moments *moments, size_t n_folds, const mrl_ctx *ctx)
{
  const size_t p = moments->p;
  for (size_t k = 0; k < n_folds; k++) {
#pragma omp parallel for num_threads(ctx->n_threads) schedule(static)
    for (size_t i = 0; i < p * p; i++) {
      moments->total[i] += moments->fold[k * p * p + i];
    }
    mrl_poll(ctx);
  }
}

mrl_status mrl_lasso_moments_make(mrl_lasso_moments *moments, const mrl_lasso_data *data,
                                  mrl_isa isa, const mrl_ctx *ctx)
{
  const size_t p = moments->p;
  if (data->gram && !data->intercept) {
    return MRL_BAD_ARGUMENT;
  }
  if (data->gram) {
    memset(moments->total, 0, p * p * sizeof *moments->total);
    take_given(moments, data, ctx);
    add_folds(moments, data->n_folds, ctx);
    return MRL_OK;
  }
  point_to_data(moments, data);
  place_columns(moments, data, ctx);
  for (size_t i = 0; i < moments->block; i++) {
    moments->ones[i] = 1;
  }
  memset(moments->total, 0, p * p * sizeof *moments->total);
  for (size_t k = 0; k < data->n_folds; k++) {
    memset(moments->fold + k * p * p, 0, p * p * sizeof *moments->fold);
    mrl_poll(ctx);
  }
  for (size_t first = 0; first < data->n; first += moments->block) {
    const size_t left = data->n - first, count = left < moments->block ? left : moments->block;
    MRL_TRY(add_block(moments, data, first, count, isa, ctx));
  }
  add_folds(moments, data->n_folds, ctx);
  return MRL_OK;
}
