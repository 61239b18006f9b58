/* The columns of a slope on features: without the main effects, and their moments. */
#include "blas.h"
#include "slope_part.h"

#include <math.h>
#include <string.h>

/* A column of q that its predecessors explain but for this share of its variance is left out. */
#define COLLINEAR 1e-10

static size_t gemm_bytes(size_t n, size_t k, size_t width, const mrl_ctx *ctx)
{
  const size_t sizes[4] = {mrl_gemm_d_scratch(k, k, n, ctx), mrl_gemm_d_scratch(k, width, n, ctx),
                           mrl_gemm_d_scratch(n, width, k, ctx),
                           mrl_gemm_d_scratch(width, width, n, ctx)};
  size_t most = 0;
  for (int i = 0; i < 4; i++) {
    most = sizes[i] > most ? sizes[i] : most;
  }
  return most;
}

void mrl_slope_carve(mrl_slope_work *work, mrl_arena *arena, const mrl_slope_data *data,
                     const mrl_ctx *ctx)
{
  const size_t n = data->n, k = 1 + data->n_q, p = data->p, width = 2 * p + 3;
  work->n = n;
  work->k = k;
  work->p = p;
  work->width = width;
  work->q = MRL_TAKE(arena, double, n *k);
  work->m = MRL_TAKE(arena, double, n *width);
  work->root = MRL_TAKE(arena, double, n);
  work->shift = MRL_TAKE(arena, double, k);
  work->scale = MRL_TAKE(arena, double, k);
  work->qq = MRL_TAKE(arena, double, k *k);
  work->qm = MRL_TAKE(arena, double, k *width);
  work->more = MRL_TAKE(arena, double, k *width);
  work->kept = MRL_TAKE(arena, int, k);
  work->inner = MRL_TAKE(arena, double, (1 + p) * (p + 2));
  work->r = MRL_TAKE(arena, double, n);
  work->score = MRL_TAKE(arena, double, n *(1 + p));
  work->omega = MRL_TAKE(arena, double, (1 + p) * (1 + p));
  work->meat = MRL_TAKE(arena, double, p *p);
  work->j = MRL_TAKE(arena, double, p *p);
  work->B = MRL_TAKE(arena, double, p *p);
  work->h = MRL_TAKE(arena, double, p);
  work->g = MRL_TAKE(arena, double, p);
  work->mean = MRL_TAKE(arena, double, p);
  work->covariance = MRL_TAKE(arena, double, p *p);
  work->variance = MRL_TAKE(arena, double, data->n_groups);
  work->open = MRL_TAKE(arena, double, p);
  work->spread = MRL_TAKE(arena, double, p *p);
  mrl_prior_carve(&work->prior, arena, p, data->n_groups);
  work->sums = MRL_TAKE(arena, double, data->cluster ? data->n_cluster *(1 + p) : 0);
  work->gemm = mrl_take(arena, gemm_bytes(n, k, width, ctx), 1);
}

static double weighted_mean(const double *x, const double *root, size_t n)
{
  double sum = 0, total = 0;
  for (size_t i = 0; i < n; i++) {
    sum += root[i] * root[i] * x[i];
    total += root[i] * root[i];
  }
  return sum / total;
}

/* A column of q, standardised and times the root; a constant one becomes 0. */
static void fill_exogenous(mrl_slope_work *work, const double *x, size_t j)
{
  double *out = work->q + j * work->n, square = 0, total = 0;
  const double mean = weighted_mean(x, work->root, work->n);
  for (size_t i = 0; i < work->n; i++) {
    out[i] = (x[i] - mean) * work->root[i];
    square += out[i] * out[i];
    total += work->root[i] * work->root[i];
  }
  const double sd = sqrt(square / total);
  work->shift[j] = mean;
  work->scale[j] = sd > 1e-12 * fabs(mean) && sd > 0 ? 1 / sd : 0;
  for (size_t i = 0; i < work->n; i++) {
    out[i] *= work->scale[j];
  }
}

void mrl_slope_fill(mrl_slope_work *work, double *center, const mrl_slope_data *data,
                    const mrl_ctx *ctx)
{
  const size_t n = work->n, p = work->p;
  double *m = work->m;
  for (size_t i = 0; i < n; i++) {
    work->root[i] = data->weights ? sqrt(data->weights[i]) : 1;
    work->q[i] = work->root[i];
    m[i] = data->a[i] * work->root[i];
    m[i + (1 + p) * n] = data->x[i] * work->root[i];
    m[i + (2 + 2 * p) * n] = data->y[i] * work->root[i];
  }
  work->shift[0] = 0;
  work->scale[0] = 1;
  for (size_t j = 0; j < data->n_q; j++) {
    mrl_poll(ctx);
    fill_exogenous(work, data->q[j], 1 + j);
  }
  for (size_t j = 0; j < p; j++) {
    mrl_poll(ctx);
    center[j] = weighted_mean(data->f[j], work->root, n);
    for (size_t i = 0; i < n; i++) {
      const double f = (data->f[j][i] - center[j]) * work->root[i];
      m[i + (1 + j) * n] = data->s[i] * f;
      m[i + (2 + p + j) * n] = data->x[i] * f;
    }
  }
}

/* The Cholesky factor of qq, collinear columns left out: their rows and columns are those of the
 * identity. */
static void factor_exogenous(mrl_slope_work *work)
{
  const size_t k = work->k;
  double *u = work->qq;
  for (size_t j = 0; j < k; j++) {
    const double whole = u[j + j * k];
    for (size_t i = 0; i < j; i++) {
      double sum = u[i + j * k];
      for (size_t l = 0; l < i; l++) {
        sum -= u[l + i * k] * u[l + j * k];
      }
      u[i + j * k] = work->kept[i] ? sum / u[i + i * k] : 0;
    }
    double left = whole;
    for (size_t l = 0; l < j; l++) {
      left -= u[l + j * k] * u[l + j * k];
    }
    work->kept[j] = left > COLLINEAR * whole && left > 0;
    u[j + j * k] = work->kept[j] ? sqrt(left) : 1;
    for (size_t l = 0; !work->kept[j] && l < j; l++) {
      u[l + j * k] = 0;
    }
    for (size_t l = j + 1; l < k; l++) {
      u[l + j * k] = 0;
    }
  }
}

mrl_status mrl_slope_partial_out(mrl_slope_work *work, mrl_isa isa, const mrl_ctx *ctx)
{
  const size_t n = work->n, k = work->k, width = work->width;
  double *upper = work->qq;
  MRL_TRY(mrl_gemm_d(upper, k, work->q, n, MRL_TRANS, work->q, n, MRL_NO_TRANS, k, k, n, 0,
                     work->gemm, isa, ctx));
  factor_exogenous(work);
  memset(work->qm, 0, k * width * sizeof *work->qm);
  for (int pass = 0; pass < 2; pass++) {
    mrl_poll(ctx);
    MRL_TRY(mrl_gemm_d(work->more, k, work->q, n, MRL_TRANS, work->m, n, MRL_NO_TRANS, k, width, n,
                       0, work->gemm, isa, ctx));
    for (size_t j = 0; j < k * width; j++) {
      work->more[j] = work->kept[j % k] ? work->more[j] : 0;
    }
    MRL_TRY(mrl_cholesky_solve(work->more, upper, k, width));
    for (size_t j = 0; j < k * width; j++) {
      work->more[j] = work->kept[j % k] ? -work->more[j] : 0;
      work->qm[j] -= work->more[j];
    }
    mrl_poll(ctx);
    MRL_TRY(mrl_gemm_d(work->m, n, work->q, n, MRL_NO_TRANS, work->more, k, MRL_NO_TRANS, n, width,
                       k, 1, work->gemm, isa, ctx));
  }
  return MRL_OK;
}

mrl_status mrl_slope_scores(mrl_slope_work *work, mrl_slope_fit *fit, mrl_isa isa,
                            const mrl_ctx *ctx)
{
  const size_t n = work->n, p = work->p, rows = 1 + p;
  double *inner = work->inner;
  MRL_TRY(mrl_gemm_d(inner, rows, work->m, n, MRL_TRANS, work->m + rows * n, n, MRL_NO_TRANS, rows,
                     p + 2, n, 0, work->gemm, isa, ctx));
  const double ax = inner[0], ay = inner[rows * (p + 1)];
  double aa = 0, xx = 0;
  for (size_t i = 0; i < n; i++) {
    aa += work->m[i] * work->m[i];
    xx += work->m[i + rows * n] * work->m[i + rows * n];
  }
  fit->strength = ax / sqrt(aa * xx);
  if (!(fabs(fit->strength) > 1e-12)) { /* NaN too */
    return isfinite(ax) ? MRL_SINGULAR : MRL_NOT_FINITE;
  }
  fit->b_null = ay / ax;
  for (size_t j = 0; j < p; j++) {
    const double ratio = inner[1 + j] / ax;
    work->g[j] = inner[1 + j + rows * (p + 1)] - ratio * ay;
    for (size_t l = 0; l < p; l++) {
      work->j[j + l * p] = inner[1 + j + rows * (1 + l)] - ratio * inner[rows * (1 + l)];
    }
    for (size_t i = 0; i < n; i++) {
      work->m[i + (1 + j) * n] -= ratio * work->m[i];
    }
  }
  return MRL_OK;
}

void mrl_slope_main_effects(mrl_slope_fit *fit, mrl_slope_work *work, const mrl_slope_data *data)
{
  const size_t k = work->k, p = work->p;
  const double *b = fit->coef + 1;
  for (size_t j = 0; j < k; j++) {
    double sum = work->qm[j + (2 * p + 2) * k] - fit->coef[0] * work->qm[j + (1 + p) * k];
    for (size_t l = 0; l < p; l++) {
      sum -= b[l] * work->qm[j + (2 + p + l) * k];
    }
    fit->mu[j] = sum * work->scale[j];
    if (j > 0) {
      fit->mu[0] -= fit->mu[j] * work->shift[j];
    }
  }
  for (size_t i = 0; i < data->n; i++) {
    fit->residual[i] = work->root[i] > 0 ? work->r[i] / work->root[i] : 0;
  }
}
