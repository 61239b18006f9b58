#include "structural.h"

#include "blas.h"

#include <math.h>
#include <string.h>

void mrl_structural_carve(mrl_structural *eq, const mrl_lsq *lsq, size_t n, mrl_arena *arena)
{
  const size_t kx = lsq->kx, k = lsq->k_full + kx, c = lsq->k_full + lsq->n_inst_full;
  const size_t square = k * k;
  eq->lsq = lsq;
  eq->u = MRL_TAKE(arena, double, n);
  eq->weighted = MRL_TAKE(arena, double, n);
  eq->theta = MRL_TAKE(arena, double, k);
  eq->step = MRL_TAKE(arena, double, k);
  eq->q = MRL_TAKE(arena, double, c);
  eq->rww = MRL_TAKE(arena, double, lsq->k_full * lsq->k_full);
  eq->a = MRL_TAKE(arena, double, kx *kx);
  eq->diagonal = MRL_TAKE(arena, double, kx);
  eq->bread = MRL_TAKE(arena, double, square);
  eq->vcov = MRL_TAKE(arena, double, square);
  eq->half = MRL_TAKE(arena, double, square);
  eq->col = MRL_TAKE(arena, const double *, k);
  eq->shift = MRL_TAKE(arena, double, k);
  eq->scale = MRL_TAKE(arena, double, k);
}

mrl_status mrl_structural_factor(mrl_structural *eq)
{
  const mrl_lsq *lsq = eq->lsq;
  const size_t kx = lsq->kx;
  for (size_t j = 0; j < kx; j++) {
    eq->diagonal[j] = eq->a[j + j * kx];
  }
  MRL_TRY(mrl_cholesky(eq->a, kx));
  for (size_t j = 0; j < kx; j++) {
    if (!(eq->a[j + j * kx] * eq->a[j + j * kx] > MRL_LSQ_TOLERANCE * eq->diagonal[j])) {
      return MRL_SINGULAR;
    }
  }
  for (size_t j = 0; j < lsq->kw; j++) {
    memcpy(eq->rww + j * lsq->kw, lsq->rc + j * lsq->kc, lsq->kw * sizeof *eq->rww);
  }
  return MRL_OK;
}

mrl_status mrl_structural_solve(double *theta, const double *q, const double *rest,
                                const mrl_structural *eq)
{
  const mrl_lsq *lsq = eq->lsq;
  const size_t kw = lsq->kw, kx = lsq->kx, kc = lsq->kc;
  double *beta = theta + kw;
  memcpy(theta, q, kw * sizeof *theta);
  if (kx > 0) {
    mrl_small_gemm(beta, kx, lsq->rcx + kw, kc, 1, q + kw, kc, 0, kx, 1, lsq->n_inst, 1, 0);
    for (size_t j = 0; rest && j < kx; j++) {
      beta[j] += rest[j];
    }
    MRL_TRY(mrl_cholesky_solve(beta, eq->a, kx, 1));
    mrl_small_gemm(theta, kw > 0 ? kw : 1, lsq->rcx, kc, 0, beta, kx, 0, kw, 1, kx, -1, 1);
  }
  return mrl_triangular_solve(theta, eq->rww, kw, 1, 0);
}

mrl_columns mrl_structural_columns(mrl_structural *eq)
{
  const mrl_lsq *lsq = eq->lsq;
  const size_t kw = lsq->kw, k = kw + lsq->kx, first_x = lsq->k_full + lsq->n_inst_full;
  for (size_t j = 0; j < k; j++) {
    const size_t from = j < kw ? lsq->keep[j] : first_x + (j - kw);
    eq->col[j] = lsq->col[from];
    eq->shift[j] = lsq->shift[from];
    eq->scale[j] = lsq->scale[from];
  }
  const mrl_columns columns = {eq->col, eq->shift, eq->scale, NULL, lsq->n, k};
  return columns;
}

void mrl_scaled_column(double *out, const mrl_lsq *lsq, size_t j)
{
  const double *x = lsq->col[j];
  for (size_t i = 0; i < lsq->n; i++) {
    out[i] = (x[i] - lsq->shift[j]) * lsq->scale[j];
  }
}

void mrl_structural_residuals(mrl_structural *eq, const mrl_columns *d, const double *weights,
                              const mrl_ctx *ctx)
{
  mrl_scaled_column(eq->u, eq->lsq, eq->lsq->p - 1);
  mrl_columns_subtract(eq->u, eq->u, d, eq->theta, ctx);
  for (size_t i = 0; i < eq->lsq->n; i++) {
    eq->weighted[i] = weights ? weights[i] * eq->u[i] : eq->u[i];
  }
}

void mrl_structural_step(mrl_structural *eq, const mrl_columns *d, const mrl_ctx *ctx)
{
  for (size_t j = 0; j < d->p; j++) {
    eq->theta[j] += eq->step[j];
  }
  mrl_columns_subtract(eq->u, eq->u, d, eq->step, ctx);
}

double mrl_structural_rss(const mrl_structural *eq, const mrl_lsq_data *data)
{
  double sum = 0;
  if (!data->col) {
    return mrl_lsq_rss(eq->lsq, eq->theta + eq->lsq->kw);
  }
  for (size_t i = 0; i < eq->lsq->n; i++) {
    sum += (data->weights ? data->weights[i] : 1) * eq->u[i] * eq->u[i];
  }
  return sum;
}

mrl_status mrl_structural_bread(mrl_structural *eq)
{
  const mrl_lsq *lsq = eq->lsq;
  const size_t kw = lsq->kw, kx = lsq->kx, kc = lsq->kc, k = kw + kx;
  memset(eq->bread, 0, k * k * sizeof *eq->bread);
  for (size_t j = 0; j < kw; j++) {
    memcpy(eq->bread + j * k, lsq->rc + j * kc, (j + 1) * sizeof *eq->bread);
  }
  for (size_t j = 0; j < kx; j++) {
    memcpy(eq->bread + (kw + j) * k, lsq->rcx + j * kc, kw * sizeof *eq->bread);
    memcpy(eq->bread + kw + (kw + j) * k, eq->a + j * kx, (j + 1) * sizeof *eq->bread);
  }
  return mrl_cholesky_inverse(eq->bread, k);
}

void mrl_structural_plain(mrl_structural *eq, double factor)
{
  const size_t k = eq->lsq->kw + eq->lsq->kx;
  for (size_t i = 0; i < k * k; i++) {
    eq->vcov[i] = factor * eq->bread[i];
  }
}

void mrl_structural_sandwich(mrl_structural *eq, const double *middle, double factor)
{
  const size_t k = eq->lsq->kw + eq->lsq->kx;
  mrl_small_gemm(eq->half, k, eq->bread, k, 0, middle, k, 0, k, k, k, factor, 0);
  mrl_small_gemm(eq->vcov, k, eq->half, k, 0, eq->bread, k, 0, k, k, k, 1, 0);
}

void mrl_structural_inflate(mrl_structural *eq, const double *x_tilde, const double *weights,
                            int root)
{
  const size_t n = eq->lsq->n, kw = eq->lsq->kw, k = kw + eq->lsq->kx;
  double *leverage = eq->weighted;
  memset(leverage, 0, n * sizeof *leverage);
  for (size_t b = 0; b < k; b++) {
    const int exogenous = b < kw;
    const double *right = exogenous ? eq->col[b] : x_tilde + (b - kw) * n;
    const double shift = exogenous ? eq->shift[b] : 0, scale = exogenous ? eq->scale[b] : 1;
    for (size_t a = 0; a < k; a++) {
      const double *left = eq->col[a], shift_a = eq->shift[a];
      const double value = eq->bread[a + b * k] * eq->scale[a] * scale;
      for (size_t i = 0; i < n; i++) {
        leverage[i] += value * (left[i] - shift_a) * (right[i] - shift);
      }
    }
  }
  for (size_t i = 0; i < n; i++) {
    const double left = 1 - (weights ? weights[i] : 1) * leverage[i];
    eq->weighted[i] = eq->u[i] / (root ? sqrt(left) : left);
  }
}

void mrl_unscale(double *b, double *v, const double *theta, size_t k, int intercept,
                 const double *shift, const double *scale, double shift_y, double scale_y)
{
  for (size_t j = 0; j < k; j++) {
    b[j] = theta[j] * scale[j] / scale_y;
    for (size_t i = 0; v && i < k; i++) {
      v[i + j * k] *= scale[i] * scale[j] / (scale_y * scale_y);
    }
  }
  if (!intercept) {
    return;
  }
  b[0] += shift_y;
  for (size_t j = 1; j < k; j++) {
    b[0] -= b[j] * shift[j];
  }
  for (size_t pass = 0; v && pass < 2; pass++) { /* first row, then first column */
    for (size_t j = 0; j < k; j++) {
      double *at = pass == 0 ? v + j * k : v + j;
      const double *other = pass == 0 ? v + j * k : v + j;
      const size_t step = pass == 0 ? 1 : k;
      for (size_t i = 1; i < k; i++) {
        *at -= shift[i] * other[i * step];
      }
    }
  }
}

/* Kept coefficients b (k) and their covariance v at the places of all, NaN elsewhere. */
static void place(double *coef, double *vcov, const double *b, const double *v, const mrl_lsq *lsq)
{
  const size_t kw = lsq->kw, k = kw + lsq->kx, k_out = lsq->k_full + lsq->kx;
  for (size_t i = 0; i < k_out * k_out; i++) {
    vcov[i] = NAN;
  }
  for (size_t i = 0; i < k_out; i++) {
    coef[i] = NAN;
  }
  for (size_t j = 0; j < k; j++) {
    const size_t to = j < kw ? lsq->keep[j] : lsq->k_full + (j - kw);
    coef[to] = b[j];
    for (size_t i = 0; i < k; i++) {
      const size_t to_i = i < kw ? lsq->keep[i] : lsq->k_full + (i - kw);
      vcov[to_i + to * k_out] = v[i + j * k];
    }
  }
}

void mrl_structural_write(double *coef, double *vcov, double *residuals, mrl_structural *eq,
                          int intercept)
{
  const mrl_lsq *lsq = eq->lsq;
  const size_t k = lsq->kw + lsq->kx, y = lsq->p - 1;
  mrl_unscale(eq->step, eq->vcov, eq->theta, k, intercept, eq->shift, eq->scale, lsq->shift[y],
              lsq->scale[y]);
  place(coef, vcov, eq->step, eq->vcov, lsq);
  for (size_t i = 0; residuals && i < lsq->n; i++) {
    residuals[i] = eq->u[i] / lsq->scale[y];
  }
}
