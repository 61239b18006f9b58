#include "iv_latent_loss.h"

#include "blas.h"
#include "entropy.h"

#include <math.h>
#include <string.h>

static size_t width(const mrl_latent_penalty *p)
{
  return p->dv + p->dw;
}

static size_t rows(const mrl_latent_penalty *p)
{
  return p->n_env * p->batch;
}

static mrl_samples samples(const double *x, const double *y, size_t n, size_t dx, size_t dy)
{
  const mrl_samples s = {.x = x, .y = y, .nx = n, .ny = n, .dx = dx, .dy = dy};
  return s;
}

mrl_status mrl_latent_judge_carve(mrl_latent_judge *judge, mrl_arena *arena,
                                  const mrl_latent_penalty *p)
{
  if (p->n_env < 1 || p->dv < 1 || p->dw < 1 || p->batch < width(p) + 1 ||
      (size_t)p->match >= MRL_N_MATCH || p->neighbours >= rows(p) || !(p->mmd >= 0) ||
      !(p->hsic >= 0) || !(p->entropy >= 0)) {
    return MRL_BAD_ARGUMENT;
  }
  const size_t d = width(p), n = rows(p);
  const mrl_samples all = samples(NULL, NULL, n, p->dv, p->dw);
  const mrl_samples pair = samples(NULL, NULL, p->batch, p->dw, p->dw);
  const size_t work_all = mrl_kernelstat_work(&all), work_pair = mrl_kernelstat_work(&pair);
  *judge = (mrl_latent_judge){.penalty = *p};
  judge->x = MRL_TAKE(arena, double, n *d);
  judge->dx = MRL_TAKE(arena, double, n *d);
  judge->part = MRL_TAKE(arena, double, n *d);
  judge->pooled = MRL_TAKE(arena, double, n *d);
  judge->pooled_part = MRL_TAKE(arena, double, n *d);
  judge->mean = MRL_TAKE(arena, double, d);
  judge->root_v = MRL_TAKE(arena, double, p->dv * p->dv);
  judge->root_w = MRL_TAKE(arena, double, p->dw * p->dw);
  judge->square = MRL_TAKE(arena, double, d *d);
  judge->inverse = MRL_TAKE(arena, double, d *d);
  judge->scratch =
      p->neighbours > 0 ? mrl_take(arena, mrl_entropy_scratch(n, p->dw, p->neighbours), 1) : NULL;
  judge->work = MRL_TAKE(arena, double, work_all > work_pair ? work_all : work_pair);
  return arena->failed ? MRL_NO_MEMORY : MRL_OK;
}

/* Column j of block e. */
static double *column(const mrl_latent_penalty *p, double *x, size_t e, size_t j)
{
  return x + (e * width(p) + j) * p->batch;
}

static double dot(const double *a, const double *b, size_t n)
{
  double sum0 = 0, sum1 = 0, sum2 = 0, sum3 = 0;
  size_t i = 0;
  for (; i + 4 <= n; i += 4) { /* four sums: one would wait for each addition */
    sum0 += a[i] * b[i];
    sum1 += a[i + 1] * b[i + 1];
    sum2 += a[i + 2] * b[i + 2];
    sum3 += a[i + 3] * b[i + 3];
  }
  for (; i < n; i++) {
    sum0 += a[i] * b[i];
  }
  return (sum0 + sum1) + (sum2 + sum3);
}

static double total(const double *a, size_t n)
{
  double sum0 = 0, sum1 = 0;
  size_t i = 0;
  for (; i + 2 <= n; i += 2) {
    sum0 += a[i];
    sum1 += a[i + 1];
  }
  return i < n ? sum0 + sum1 + a[i] : sum0 + sum1;
}

/* Takes the mean over blocks `from` to `to` (left in judge->mean) off all columns of x. */
static void centre(mrl_latent_judge *judge, double *x, size_t from, size_t to)
{
  const mrl_latent_penalty *p = &judge->penalty;
  for (size_t j = 0; j < width(p); j++) {
    double sum = 0;
    for (size_t e = from; e < to; e++) {
      sum += total(column(p, x, e, j), p->batch);
    }
    judge->mean[j] = sum / (double)((to - from) * p->batch);
    for (size_t e = from; e < to; e++) {
      double *xj = column(p, x, e, j);
      for (size_t i = 0; i < p->batch; i++) {
        xj[i] -= judge->mean[j];
      }
    }
  }
}

/* out[j + k * size] = sum over blocks from .. to of a_j b_k / rows, columns first + j, first + k;
 * symmetric in form: the upper triangle is computed and mirrored. */
static void cross(double *out, const mrl_latent_penalty *p, double *a, double *b, size_t from,
                  size_t to, size_t first, size_t size)
{
  for (size_t k = 0; k < size; k++) {
    for (size_t j = 0; j <= k; j++) {
      double sum = 0;
      for (size_t e = from; e < to; e++) {
        sum += dot(column(p, a, e, first + j), column(p, b, e, first + k), p->batch);
      }
      out[j + k * size] = out[k + j * size] = sum / (double)((to - from) * p->batch);
    }
  }
}

/* Columns first .. of every block times inverse(U) (or inverse(U')). */
static mrl_status solve_blocks(const mrl_latent_penalty *p, double *x, const double *u,
                               size_t first, size_t size)
{
  for (size_t e = 0; e < p->n_env; e++) {
    MRL_TRY(mrl_triangular_solve_right(column(p, x, e, first), p->batch, u, p->batch, size));
  }
  return MRL_OK;
}

static mrl_status whiten_block(mrl_latent_judge *judge, double *root, size_t first, size_t size)
{
  const mrl_latent_penalty *p = &judge->penalty;
  cross(root, p, judge->x, judge->x, 0, p->n_env, first, size);
  for (size_t i = 0; i < size * size; i++) {
    if (!isfinite(root[i])) {
      return MRL_NOT_FINITE;
    }
  }
  MRL_TRY(mrl_cholesky(root, size));
  return solve_blocks(p, judge->x, root, first, size);
}

mrl_status mrl_latent_whiten(mrl_latent_judge *judge)
{
  const mrl_latent_penalty *p = &judge->penalty;
  if (!p->whiten) {
    return MRL_OK;
  }
  centre(judge, judge->x, 0, p->n_env);
  MRL_TRY(whiten_block(judge, judge->root_v, 0, p->dv));
  return whiten_block(judge, judge->root_w, p->dv, p->dw);
}

/*
 * With the whitened x = c inverse(U), U'U the covariance of c, and the gradient g with respect to
 * x, that with respect to c is (g - x s) inverse(U'), s the upper triangle of x'g / n, mirrored.
 */
static mrl_status unwhiten_block(mrl_latent_judge *judge, const double *root, size_t first,
                                 size_t size)
{
  const mrl_latent_penalty *p = &judge->penalty;
  double *s = judge->square, *back = judge->inverse;
  cross(s, p, judge->x, judge->dx, 0, p->n_env, first, size);
  memset(back, 0, size * size * sizeof *back);
  for (size_t j = 0; j < size; j++) {
    back[j + j * size] = 1;
  }
  MRL_TRY(mrl_triangular_solve(back, root, size, size, 1)); /* inverse(U') */
  for (size_t e = 0; e < p->n_env; e++) {
    double *g = column(p, judge->dx, e, first), *out = column(p, judge->part, e, first);
    mrl_small_gemm(g, p->batch, column(p, judge->x, e, first), p->batch, 0, s, size, 0, p->batch,
                   size, size, -1, 1);
    mrl_small_gemm(out, p->batch, g, p->batch, 0, back, size, 0, p->batch, size, size, 1, 0);
    memcpy(g, out, p->batch * size * sizeof *g);
  }
  return MRL_OK;
}

mrl_status mrl_latent_unwhiten(mrl_latent_judge *judge)
{
  const mrl_latent_penalty *p = &judge->penalty;
  if (!p->whiten) {
    return MRL_OK;
  }
  MRL_TRY(unwhiten_block(judge, judge->root_v, 0, p->dv));
  MRL_TRY(unwhiten_block(judge, judge->root_w, p->dv, p->dw));
  centre(judge, judge->dx, 0, p->n_env);
  return MRL_OK;
}

/* judge->dx += weight judge->part, which is cleared. */
static void add_part(mrl_latent_judge *judge, double weight)
{
  const size_t n = rows(&judge->penalty) * width(&judge->penalty);
  for (size_t i = 0; i < n; i++) {
    judge->dx[i] += weight * judge->part[i];
    judge->part[i] = 0;
  }
}

static const mrl_ctx serial = {1, NULL, NULL};

/* MMD^2 of two environments' W; negative values (of the unbiased one) count as 0. */
static mrl_status pair_mmd(double *value, mrl_latent_judge *judge, size_t e, size_t f)
{
  const mrl_latent_penalty *p = &judge->penalty;
  double *gx = column(p, judge->part, e, p->dv), *gy = column(p, judge->part, f, p->dv);
  mrl_samples s =
      samples(column(p, judge->x, e, p->dv), column(p, judge->x, f, p->dv), p->batch, p->dw, p->dw);
  s.bandwidth_x = p->bandwidth;
  s.n_x = p->n_bandwidth;
  if (p->match == MRL_MATCH_POLY) {
    return mrl_mmd_poly(value, gx, gy, &s, judge->work, &serial);
  }
  if (p->match == MRL_MATCH_MOMENTS) {
    return mrl_mmd_moments(value, gx, gy, &s, judge->work, &serial);
  }
  MRL_TRY(mrl_mmd_gaussian(value, NULL, NULL, &s, judge->work, &serial));
  if (*value <= 0) {
    *value = 0;
    return MRL_OK;
  }
  return mrl_mmd_gaussian(value, gx, gy, &s, judge->work, &serial);
}

static mrl_status add_mmd(mrl_latent_parts *parts, mrl_latent_judge *judge)
{
  const mrl_latent_penalty *p = &judge->penalty;
  const double pairs = (double)(p->n_env * (p->n_env - 1) / 2);
  for (size_t e = 0; e < p->n_env; e++) {
    for (size_t f = e + 1; f < p->n_env; f++) {
      double value;
      MRL_TRY(pair_mmd(&value, judge, e, f));
      parts->mmd += value / pairs;
    }
  }
  if (p->n_env > 1) {
    add_part(judge, p->mmd / pairs);
  }
  return MRL_OK;
}

static mrl_status hsic_of(double *value, double *gv, double *gw, const double *v, const double *w,
                          size_t n, mrl_latent_judge *judge)
{
  const mrl_latent_penalty *p = &judge->penalty;
  mrl_samples s = samples(v, w, n, p->dv, p->dw);
  s.bandwidth_x = p->bandwidth_v;
  s.bandwidth_y = p->bandwidth;
  s.n_x = s.n_y = p->n_bandwidth;
  return p->match == MRL_MATCH_GAUSSIAN ? mrl_hsic_gaussian(value, gv, gw, &s, judge->work, &serial)
                                        : mrl_hsic_poly(value, gv, gw, &s, judge->work, &serial);
}

/* judge->pooled: columns of all rows, their gradients in judge->pooled_part cleared. */
static void pool(mrl_latent_judge *judge)
{
  const mrl_latent_penalty *p = &judge->penalty;
  for (size_t j = 0; j < width(p); j++) {
    for (size_t e = 0; e < p->n_env; e++) {
      memcpy(judge->pooled + j * rows(p) + e * p->batch, column(p, judge->x, e, j),
             p->batch * sizeof *judge->pooled);
    }
  }
  memset(judge->pooled_part, 0, rows(p) * width(p) * sizeof *judge->pooled_part);
}

/* judge->dx += weight judge->pooled_part. */
static void add_pooled(mrl_latent_judge *judge, double weight)
{
  const mrl_latent_penalty *p = &judge->penalty;
  for (size_t j = 0; j < width(p); j++) {
    for (size_t e = 0; e < p->n_env; e++) {
      double *to = column(p, judge->dx, e, j);
      const double *own = judge->pooled_part + j * rows(p) + e * p->batch;
      for (size_t i = 0; i < p->batch; i++) {
        to[i] += weight * own[i];
      }
    }
  }
}

/* As published: twice that of all rows is in the sum too. */
static mrl_status add_pooled_hsic(mrl_latent_parts *parts, mrl_latent_judge *judge)
{
  const mrl_latent_penalty *p = &judge->penalty;
  const size_t n = rows(p), to_w = n * p->dv;
  double value;
  pool(judge);
  MRL_TRY(hsic_of(&value, judge->pooled_part, judge->pooled_part + to_w, judge->pooled,
                  judge->pooled + to_w, n, judge));
  parts->hsic += 2 * value;
  add_pooled(judge, 2 * p->hsic);
  return MRL_OK;
}

static mrl_status add_hsic(mrl_latent_parts *parts, mrl_latent_judge *judge)
{
  const mrl_latent_penalty *p = &judge->penalty;
  const double share = p->whiten ? 1 / (double)p->n_env : 1;
  for (size_t e = 0; e < p->n_env; e++) {
    double value;
    MRL_TRY(hsic_of(&value, column(p, judge->part, e, 0), column(p, judge->part, e, p->dv),
                    column(p, judge->x, e, 0), column(p, judge->x, e, p->dv), p->batch, judge));
    parts->hsic += share * value;
  }
  add_part(judge, p->hsic * share);
  return p->whiten ? MRL_OK : add_pooled_hsic(parts, judge);
}

/* Of blocks from .. to together; the ridge is what keeps the published one finite. */
static mrl_status add_log_det(mrl_latent_parts *parts, mrl_latent_judge *judge, size_t from,
                              size_t to, double share, double ridge)
{
  const mrl_latent_penalty *p = &judge->penalty;
  const size_t d = width(p), n = (to - from) * p->batch;
  double *centred = judge->part, *c = judge->square;
  memcpy(column(p, centred, from, 0), column(p, judge->x, from, 0), n * d * sizeof *centred);
  centre(judge, centred, from, to);
  cross(c, p, centred, centred, from, to, 0, d);
  for (size_t j = 0; j < d; j++) {
    c[j + j * d] += ridge;
  }
  MRL_TRY(mrl_cholesky(c, d));
  for (size_t j = 0; j < d; j++) {
    parts->entropy -= share * 2 * log(c[j + j * d]);
  }
  MRL_TRY(mrl_cholesky_inverse(c, d));
  const double factor = -2 * p->entropy * share / (double)n;
  for (size_t e = from; e < to; e++) {
    mrl_small_gemm(column(p, judge->dx, e, 0), p->batch, column(p, centred, e, 0), p->batch, 0, c,
                   d, 0, p->batch, d, d, factor, 1);
    memset(column(p, centred, e, 0), 0, p->batch * d * sizeof *centred);
  }
  return MRL_OK;
}

/* Rows in the same place have no entropy: the term is left out. */
static mrl_status add_squashed(mrl_latent_parts *parts, mrl_latent_judge *judge)
{
  const mrl_latent_penalty *p = &judge->penalty;
  const size_t n = rows(p), to_w = n * p->dv;
  double value;
  pool(judge);
  const mrl_status status =
      mrl_entropy_squashed(&value, judge->pooled_part + to_w, judge->pooled + to_w, n, p->dw,
                           p->neighbours, judge->scratch, &serial);
  if (status != MRL_OK) {
    return status == MRL_NOT_FINITE ? MRL_OK : status;
  }
  parts->entropy = -value;
  add_pooled(judge, -p->entropy);
  return MRL_OK;
}

static mrl_status add_entropy(mrl_latent_parts *parts, mrl_latent_judge *judge)
{
  if (judge->penalty.neighbours > 0) {
    return add_squashed(parts, judge);
  }
  const size_t n_env = judge->penalty.n_env;
  if (judge->penalty.whiten) {
    return add_log_det(parts, judge, 0, n_env, 1, 0);
  }
  for (size_t e = 0; e < n_env; e++) {
    MRL_TRY(add_log_det(parts, judge, e, e + 1, 1 / (double)n_env, 1e-6));
  }
  return MRL_OK;
}

mrl_status mrl_latent_parts_of(mrl_latent_parts *parts, mrl_latent_judge *judge)
{
  const mrl_latent_penalty *p = &judge->penalty;
  *parts = (mrl_latent_parts){0, 0, 0};
  memset(judge->part, 0, rows(p) * width(p) * sizeof *judge->part);
  MRL_TRY(add_mmd(parts, judge));
  MRL_TRY(add_hsic(parts, judge));
  return p->entropy > 0 ? add_entropy(parts, judge) : MRL_OK;
}
