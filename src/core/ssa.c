#include "ssa.h"

#include <math.h>
#include <string.h>

#include "arena.h"
#include "blas.h"

typedef struct {
  double *scale, *zero;   /* (p) */
  double *share;          /* (n_env) */
  double *gram;           /* (p, p, n_env) raw second moments about the centre, then d x d ones */
  double *mean;           /* (p, n_env) about the centre, scaled */
  double *pooled, *value; /* (p, p), (p) */
  double *eigen;          /* mrl_eigen_work(p) */
  double *wide, *root;    /* (p, d), (d, d) */
  double *s, *c;          /* (d, d) each */
  const double **col;     /* (p) */
  void *gram_work;
} work;

static void carve(work *w, const mrl_ssa_data *data, const mrl_ctx *ctx, mrl_arena *arena)
{
  const size_t p = data->p, d = data->d;
  w->scale = MRL_TAKE(arena, double, p);
  w->zero = MRL_TAKE(arena, double, p);
  w->share = MRL_TAKE(arena, double, data->n_env);
  w->gram = MRL_TAKE(arena, double, p *p * data->n_env);
  w->mean = MRL_TAKE(arena, double, p * data->n_env);
  w->pooled = MRL_TAKE(arena, double, p *p);
  w->value = MRL_TAKE(arena, double, p);
  w->eigen = MRL_TAKE(arena, double, mrl_eigen_work(p));
  w->wide = MRL_TAKE(arena, double, p *d);
  w->root = MRL_TAKE(arena, double, d *d);
  w->s = MRL_TAKE(arena, double, d *d);
  w->c = MRL_TAKE(arena, double, d *d);
  w->col = MRL_TAKE(arena, const double *, p);
  w->gram_work = MRL_TAKE(arena, unsigned char, mrl_gram_scratch(p, ctx));
}

size_t mrl_ssa_scratch(const mrl_ssa_data *data, const mrl_ctx *ctx)
{
  work w;
  mrl_arena arena = mrl_arena_measure();
  carve(&w, data, ctx, &arena);
  return arena.failed ? SIZE_MAX : arena.used;
}

static double column_mean(const double *x, size_t n)
{
  double sum = 0;
  for (size_t i = 0; i < n; i++) {
    sum += x[i];
  }
  return sum / (double)n;
}

/* Centre and one over the SD of each column; a constant one gets 0. A column whose SD is below
 * 1e-13 of its mean varies by rounding alone. */
static mrl_status standardise(mrl_ssa *out, work *w, const mrl_ssa_data *data, const mrl_ctx *ctx)
{
  for (size_t j = 0; j < data->p; j++) {
    const double *x = data->x + j * data->n, mean = column_mean(x, data->n);
    double square = 0;
    for (size_t i = 0; i < data->n; i++) {
      square += (x[i] - mean) * (x[i] - mean);
    }
    const double sd = sqrt(square / (double)data->n);
    if (!isfinite(sd)) {
      return MRL_NOT_FINITE;
    }
    out->centre[j] = mean;
    w->scale[j] = sd > 1e-13 * fabs(mean) ? 1 / sd : 0;
    w->zero[j] = 0;
    w->col[j] = x;
    mrl_poll(ctx);
  }
  return MRL_OK;
}

/* Mean and second moments of each environment about the centre. */
static mrl_status take_moments(const mrl_ssa *out, work *w, const mrl_ssa_data *data, mrl_isa isa,
                               const mrl_ctx *ctx)
{
  const size_t p = data->p;
  const mrl_columns columns = {w->col, out->centre, w->scale, NULL, data->n, p};
  size_t first = 0;
  for (size_t e = 0; e < data->n_env; e++) {
    const size_t count = (size_t)data->n_row[e];
    double *gram = w->gram + e * p * p;
    w->share[e] = (double)count / (double)data->n;
    MRL_TRY(mrl_gram(gram, &columns, first, count, 0, w->gram_work, isa, ctx));
    for (size_t i = 0; i < p * p; i++) {
      gram[i] /= (double)count;
    }
    for (size_t j = 0; j < p; j++) {
      w->mean[j + e * p] = (column_mean(w->col[j] + first, count) - out->centre[j]) * w->scale[j];
    }
    first += count;
  }
  return MRL_OK;
}

/* wide = the d leading eigenvectors of the pooled covariance. */
static mrl_status principal(mrl_ssa *out, work *w, const mrl_ssa_data *data)
{
  const size_t p = data->p, d = data->d;
  memset(w->pooled, 0, p * p * sizeof *w->pooled);
  for (size_t e = 0; e < data->n_env; e++) {
    for (size_t i = 0; i < p * p; i++) {
      w->pooled[i] += w->share[e] * w->gram[i + e * p * p];
    }
  }
  MRL_TRY(mrl_eigen(w->value, w->pooled, p, w->eigen));
  double all = 0, kept = 0;
  out->rank = 0;
  for (size_t j = 0; j < p; j++) {
    const int counts = w->value[j] > MRL_SSA_TOLERANCE * w->value[p - 1];
    out->rank += counts ? 1 : 0;
    all += counts ? w->value[j] : 0;
    kept += counts && j + d >= p ? w->value[j] : 0;
  }
  out->share = all > 0 ? kept / all : 0;
  if (out->rank < d) {
    return MRL_TOO_FEW;
  }
  for (size_t j = 0; j < d; j++) {
    memcpy(w->wide + j * p, w->pooled + (p - 1 - j) * p, p * sizeof *w->wide);
  }
  return MRL_OK;
}

/* c (d, d) and mean (d): covariance and mean of environment e in the space of wide (p, d). */
static void project(double *c, double *mean, work *w, const mrl_ssa_data *data, size_t e)
{
  const size_t p = data->p, d = data->d;
  double *gram = w->gram + e * p * p, *half = w->pooled;
  const double *long_mean = w->mean + e * p;
  mrl_small_gemm(half, p, gram, p, 0, w->wide, p, 0, p, d, p, 1, 0);
  mrl_small_gemm(c, d, w->wide, p, 1, half, p, 0, d, d, p, 1, 0);
  mrl_small_gemm(mean, d, w->wide, p, 1, long_mean, p, 0, d, 1, p, 1, 0);
  mrl_small_gemm(c, d, mean, d, 0, mean, d, 1, d, d, 1, -1, 1);
}

/* wide := wide times the inverse root of the mean within-environment covariance. */
static mrl_status whiten(work *w, const mrl_ssa_data *data)
{
  const size_t d = data->d;
  double *mean = w->value;
  memset(w->root, 0, d * d * sizeof *w->root);
  for (size_t e = 0; e < data->n_env; e++) {
    project(w->c, mean, w, data, e);
    for (size_t i = 0; i < d * d; i++) {
      w->root[i] += w->share[e] * w->c[i];
    }
  }
  double least = INFINITY;
  for (size_t j = 0; j < d; j++) {
    least = fmin(least, w->root[j + j * d]);
  }
  if (!(least > 0)) {
    return MRL_SINGULAR;
  }
  MRL_TRY(mrl_cholesky(w->root, d));
  for (size_t j = 0; j < d; j++) {
    if (!(w->root[j + j * d] > sqrt(MRL_SSA_TOLERANCE * least))) {
      return MRL_SINGULAR;
    }
  }
  return mrl_triangular_solve_right(w->wide, data->p, w->root, data->p, d);
}

static void differences(work *w, const mrl_ssa_data *data)
{
  const size_t d = data->d;
  double *mean = w->value;
  memset(w->s, 0, d * d * sizeof *w->s);
  for (size_t e = 0; e < data->n_env; e++) {
    project(w->c, mean, w, data, e);
    for (size_t j = 0; j < d; j++) {
      w->c[j + j * d] -= 1;
    }
    mrl_small_gemm(w->s, d, mean, d, 0, mean, d, 1, d, d, 1, w->share[e], 1);
    mrl_small_gemm(w->s, d, w->c, d, 1, w->c, d, 0, d, d, d, 2 * w->share[e], 1);
  }
}

mrl_status mrl_ssa_run(mrl_ssa *out, const mrl_ssa_data *data, void *scratch, mrl_isa isa,
                       const mrl_ctx *ctx)
{
  const size_t p = data->p, d = data->d;
  if (d < 1 || d > p || data->n_env < 1) {
    return MRL_BAD_ARGUMENT;
  }
  work w;
  mrl_arena arena = mrl_arena_over(scratch, mrl_ssa_scratch(data, ctx));
  carve(&w, data, ctx, &arena);
  if (arena.failed) {
    return MRL_NO_MEMORY;
  }
  out->rank = 0;
  out->share = 0;
  MRL_TRY(standardise(out, &w, data, ctx));
  MRL_TRY(take_moments(out, &w, data, isa, ctx));
  MRL_TRY(principal(out, &w, data));
  MRL_TRY(whiten(&w, data));
  differences(&w, data);
  MRL_TRY(mrl_eigen(out->values, w.s, d, w.eigen));
  mrl_small_gemm(out->transform, p, w.wide, p, 0, w.s, d, 0, p, d, d, 1, 0);
  for (size_t j = 0; j < d / 2; j++) {
    for (size_t i = 0; i < p; i++) {
      const double keep = out->transform[i + j * p];
      out->transform[i + j * p] = out->transform[i + (d - 1 - j) * p];
      out->transform[i + (d - 1 - j) * p] = keep;
    }
  }
  for (size_t i = 0; i < p * d; i++) {
    out->transform[i] *= w.scale[i % p];
    if (!isfinite(out->transform[i])) {
      return MRL_NOT_FINITE;
    }
  }
  return MRL_OK;
}
