#include "twosls.h"

#include "blas.h"
#include "structural.h"

#include <math.h>
#include <string.h>

typedef struct {
  mrl_lsq lsq;
  mrl_structural eq; /* a: factor of B'B, B = the instruments' coordinates of the exposures */
  mrl_ivdiag_work diag;
  void *gram;           /* mrl_gram_scratch(p) */
  double *v, *x_hat;    /* (n, kx) first-stage residuals and fits, robust only */
  double *part;         /* (c) */
  double *coord, *tall; /* (c, k) coordinates of [W, X_hat]; a product */
  double *middle;       /* (k, k) */
  double *pi;           /* (c, kx) first-stage coefficients in scaled units */
  double *first_vcov;   /* (c, c) */
} mrl_iv_work;

static int is_robust(const mrl_iv_settings *settings)
{
  return settings->vcov != MRL_VCOV_IID;
}

static int needs_leverage(const mrl_iv_settings *settings)
{
  return settings->vcov == MRL_VCOV_HC2 || settings->vcov == MRL_VCOV_HC3;
}

/* Moments may stand for columns that are not there. */
static int has_rows(const mrl_lsq_data *data, const mrl_iv_settings *settings)
{
  return data->col || !settings->moments;
}

static void carve(mrl_iv_work *work, const mrl_lsq_data *data, const mrl_iv_settings *settings,
                  const mrl_ctx *ctx, mrl_arena *arena)
{
  const size_t n = has_rows(data, settings) ? data->n : 0, kx = data->n_endog;
  mrl_lsq_carve_moments(&work->lsq, data, settings->moments, arena);
  const size_t k = work->lsq.k_full + kx, c = work->lsq.k_full + data->n_inst;
  const int robust = is_robust(settings);
  mrl_structural_carve(&work->eq, &work->lsq, n, arena);
  mrl_ivdiag_carve(&work->diag, &work->lsq, settings->n_cluster, robust, ctx, arena);
  work->gram = mrl_take(arena, mrl_gram_scratch(work->lsq.p, ctx), 1);
  work->v = robust ? MRL_TAKE(arena, double, n *kx) : NULL;
  work->x_hat = robust ? MRL_TAKE(arena, double, n *kx) : NULL;
  work->part = MRL_TAKE(arena, double, c);
  work->coord = MRL_TAKE(arena, double, c *k);
  work->tall = MRL_TAKE(arena, double, c *k);
  work->middle = MRL_TAKE(arena, double, k *k);
  work->pi = MRL_TAKE(arena, double, c *kx);
  work->first_vcov = MRL_TAKE(arena, double, c *c);
}

size_t mrl_iv_fit_scratch(const mrl_lsq_data *data, const mrl_iv_settings *settings,
                          const mrl_ctx *ctx)
{
  mrl_iv_work work;
  mrl_arena arena = mrl_arena_measure();
  carve(&work, data, settings, ctx, &arena);
  return arena.failed ? 0 : arena.used;
}

/* Can this be estimated at all? Factors the normal equations on the way. */
static mrl_status identify(mrl_iv_fit *fit, mrl_iv_work *work)
{
  const mrl_lsq *lsq = &work->lsq;
  const size_t kx = lsq->kx, kc = lsq->kc, k = lsq->kw + kx;
  const double *b = lsq->rcx + lsq->kw;
  memcpy(fit->aliased, lsq->aliased, (lsq->k_full + lsq->n_inst_full) * sizeof *fit->aliased);
  fit->exposure_aliased = 0;
  fit->df_residual = (double)lsq->n - (double)k;
  for (size_t j = 0; j < kx; j++) {
    if (!(lsq->endog_share[j] > MRL_LSQ_TOLERANCE)) {
      fit->exposure_aliased = (int)j + 1;
      return MRL_SINGULAR;
    }
  }
  if (lsq->n_inst < kx || lsq->n <= k) {
    return MRL_TOO_FEW;
  }
  mrl_small_gemm(work->eq.a, kx, b, kc, 1, b, kc, 0, kx, kx, lsq->n_inst, 1, 0);
  return mrl_structural_factor(&work->eq);
}

/* What a block of rows adds to the moments of the weighted residuals, in eq.q. */
static mrl_status add_moments(void *data, const mrl_columns *c, size_t first, const mrl_ctx *ctx)
{
  mrl_iv_work *work = (mrl_iv_work *)data;
  double *to = first > 0 ? work->part : work->eq.q;
  mrl_columns_dot(to, c, work->eq.weighted + first, ctx);
  for (size_t j = 0; first > 0 && j < c->p; j++) {
    work->eq.q[j] += work->part[j];
  }
  return MRL_OK;
}

/* theta and residuals; one step of refinement with the moments of the residuals themselves, which
 * removes the error that forming crossproducts brought in. */
static mrl_status estimate(mrl_iv_work *work, const mrl_lsq_data *data, const mrl_ctx *ctx)
{
  const mrl_lsq *lsq = &work->lsq;
  mrl_structural *eq = &work->eq;
  const mrl_columns d = mrl_structural_columns(eq);
  MRL_TRY(mrl_structural_solve(eq->theta, lsq->rcx + lsq->kx * lsq->kc, NULL, eq));
  if (!data->col) {
    return MRL_OK;
  }
  mrl_structural_residuals(eq, &d, data->weights, ctx);
  MRL_TRY(mrl_lsq_each_block(lsq, add_moments, work, ctx));
  MRL_TRY(mrl_triangular_solve(eq->q, lsq->rc, lsq->kc, 1, 1));
  MRL_TRY(mrl_structural_solve(eq->step, eq->q, NULL, eq));
  mrl_structural_step(eq, &d, ctx);
  return MRL_OK;
}

/* Rows of a block of the first stage of one exposure. */
typedef struct {
  double *v;
  const double *x, *pi;
} first_stage_job;

static mrl_status first_residuals(void *data, const mrl_columns *c, size_t first,
                                  const mrl_ctx *ctx)
{
  const first_stage_job *job = (const first_stage_job *)data;
  mrl_columns_subtract(job->v + first, job->x + first, c, job->pi, ctx);
  return MRL_OK;
}

/* First stage: pi in scaled units, and for robust inference its fits and residuals row by row. */
static mrl_status first_stage(mrl_iv_work *work, int robust, const mrl_ctx *ctx)
{
  const mrl_lsq *lsq = &work->lsq;
  const size_t n = lsq->n, kx = lsq->kx, kc = lsq->kc, first_x = lsq->k_full + lsq->n_inst_full;
  memcpy(work->pi, lsq->rcx, kc * kx * sizeof *work->pi);
  MRL_TRY(mrl_triangular_solve(work->pi, lsq->rc, kc, kx, 0));
  for (size_t j = 0; robust && j < kx; j++) {
    double *v = work->v + j * n, *x_hat = work->x_hat + j * n;
    mrl_scaled_column(x_hat, lsq, first_x + j);
    first_stage_job job = {v, x_hat, work->pi + j * kc};
    MRL_TRY(mrl_lsq_each_block(lsq, first_residuals, &job, ctx));
    for (size_t i = 0; i < n; i++) {
      x_hat[i] -= v[i];
    }
  }
  return MRL_OK;
}

/* eq.vcov = covariance of theta in scaled units. */
static mrl_status covariance(mrl_iv_work *work, const mrl_iv_state *state,
                             const mrl_iv_settings *settings, double sigma2, const mrl_ctx *ctx)
{
  const mrl_lsq *lsq = &work->lsq;
  const size_t kw = lsq->kw, kx = lsq->kx, k = kw + kx, kc = lsq->kc;
  if (!is_robust(settings)) {
    mrl_structural_plain(&work->eq, sigma2);
    return MRL_OK;
  }
  const double *error = work->eq.u;
  if (needs_leverage(settings)) {
    mrl_structural_inflate(&work->eq, work->x_hat, state->weights, settings->vcov == MRL_VCOV_HC2);
    error = work->eq.weighted;
  }
  /* The scores of [W, X_hat] = C H are H' times those of C, whose coordinates are Q' times: H' R_c'
   * rotated = [I 0; R_wx' B'] in coordinates, with R_ww in front for W. */
  MRL_TRY(mrl_rotated_meat(work->first_vcov, state, error, 0, &work->diag.meat, ctx));
  double *h = work->coord;
  memset(h, 0, kc * k * sizeof *h);
  for (size_t j = 0; j < kw; j++) {
    memcpy(h + j * kc, lsq->rc + j * kc, kw * sizeof *h);
  }
  if (kx > 0) {
    memcpy(h + kw * kc, lsq->rcx, kc * kx * sizeof *h);
  }
  const double factor = needs_leverage(settings) ? 1 : mrl_robust_factor(state, k);
  mrl_small_gemm(work->tall, kc, work->first_vcov, kc, 0, h, kc, 0, kc, k, kc, 1, 0);
  mrl_small_gemm(work->middle, k, h, kc, 1, work->tall, kc, 0, k, k, kc, 1, 0);
  mrl_structural_sandwich(&work->eq, work->middle, factor);
  return MRL_OK;
}

/* first_vcov (kc, kc) = covariance of exposure j's first-stage coefficients, scaled units. */
static mrl_status first_covariance(mrl_iv_work *work, int robust, size_t j)
{
  const mrl_lsq *lsq = &work->lsq;
  const size_t kc = lsq->kc, m = lsq->kx + 1;
  double *v = work->first_vcov;
  if (robust) {
    memcpy(v, mrl_first_meat(&work->diag, lsq, j), kc * kc * sizeof *v);
    MRL_TRY(mrl_triangular_solve(v, lsq->rc, kc, kc, 0));
    mrl_transpose_square(v, kc);
    return mrl_triangular_solve(v, lsq->rc, kc, kc, 0);
  }
  double left = 0;
  for (size_t i = 0; i <= j; i++) {
    left += lsq->rxx[i + j * m] * lsq->rxx[i + j * m];
  }
  memcpy(v, lsq->rc, kc * kc * sizeof *v);
  MRL_TRY(mrl_cholesky_inverse(v, kc));
  for (size_t i = 0; i < kc * kc; i++) {
    v[i] *= left / ((double)lsq->n - (double)kc);
  }
  return MRL_OK;
}

static mrl_status write_first_stage(mrl_iv_fit *fit, mrl_iv_work *work, int robust, int intercept)
{
  const mrl_lsq *lsq = &work->lsq;
  const size_t kc = lsq->kc, c = lsq->k_full + lsq->n_inst_full;
  for (size_t i = 0; i < c * lsq->kx; i++) {
    fit->first_coef[i] = fit->first_se[i] = NAN;
  }
  for (size_t j = 0; j < lsq->kx; j++) {
    MRL_TRY(first_covariance(work, robust, j));
    mrl_unscale(work->eq.q, work->first_vcov, work->pi + j * kc, kc, intercept, lsq->c_shift,
                lsq->c_scale, lsq->shift[c + j], lsq->scale[c + j]);
    for (size_t i = 0; i < kc; i++) {
      fit->first_coef[lsq->keep[i] + j * c] = work->eq.q[i];
      fit->first_se[lsq->keep[i] + j * c] = sqrt(work->first_vcov[i + i * kc]);
    }
  }
  return MRL_OK;
}

mrl_status mrl_iv_fit_run(mrl_iv_fit *fit, const mrl_lsq_data *data,
                          const mrl_iv_settings *settings, void *scratch, size_t scratch_size,
                          const mrl_ctx *ctx)
{
  mrl_iv_work work;
  mrl_arena arena = mrl_arena_over(scratch, scratch_size);
  carve(&work, data, settings, ctx, &arena);
  if (arena.failed) {
    return MRL_NO_MEMORY;
  }
  if (is_robust(settings) && !has_rows(data, settings)) {
    return MRL_BAD_ARGUMENT;
  }
  mrl_lsq *lsq = &work.lsq;
  MRL_TRY(settings->moments ? mrl_lsq_factor_moments(lsq, data, settings->moments)
                            : mrl_lsq_factor(lsq, data, work.gram, settings->isa, ctx));
  MRL_TRY(identify(fit, &work));
  MRL_TRY(estimate(&work, data, ctx));
  MRL_TRY(mrl_structural_bread(&work.eq));
  MRL_TRY(first_stage(&work, is_robust(settings), ctx));
  const double rss = mrl_structural_rss(&work.eq, data);
  const double scale_y = lsq->scale[lsq->p - 1];
  const mrl_iv_state state = {lsq,
                              work.eq.theta + lsq->kw,
                              work.eq.bread,
                              data->col ? work.eq.u : NULL,
                              work.v,
                              work.x_hat,
                              data->weights,
                              settings->cluster,
                              settings->n_cluster,
                              is_robust(settings),
                              settings->vcov != MRL_VCOV_HC0,
                              settings->isa};
  fit->sigma2 = rss / fit->df_residual / (scale_y * scale_y);
  MRL_TRY(covariance(&work, &state, settings, rss / fit->df_residual, ctx));
  MRL_TRY(mrl_ivdiag(&fit->diagnostics, &state, &work.diag, ctx));
  mrl_structural_write(fit->coef, fit->vcov, fit->residuals, &work.eq, data->intercept);
  if (fit->between) {
    mrl_lsq_reduced(fit->between, fit->within, lsq);
  }
  return write_first_stage(fit, &work, is_robust(settings), data->intercept);
}
