#include "twosls.h"

#include "blas.h"

#include <math.h>
#include <string.h>

typedef struct {
  mrl_lsq lsq;
  mrl_ivdiag_work diag;
  void *gram;           /* mrl_gram_scratch(p) */
  double *u, *weighted; /* (n) scaled residuals; the same times their weights */
  double *v, *x_hat;    /* (n, kx) first-stage residuals and fits, robust only */
  double *theta, *step; /* (k) */
  double *q, *part;     /* (c) */
  double *rww;          /* (kw, kw) */
  double *a; /* (kx, kx) factor of B'B, B = the instruments' coordinates of the exposures */
  double *bread, *vcov, *half; /* (k, k) */
  double *coord, *tall;        /* (c, k) coordinates of [W, X_hat]; a product */
  double *pi;                  /* (c, kx) first-stage coefficients in scaled units */
  double *first_vcov;          /* (c, c) */
  const double **d_col;        /* (k) the regressors [W, X] */
  double *d_shift, *d_scale;
  double *leverage; /* (n) HC2 and HC3 only */
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
  const size_t kk = k * k, ck = c * k, cc = c * c;
  const int robust = is_robust(settings);
  mrl_ivdiag_carve(&work->diag, &work->lsq, settings->n_cluster, robust, ctx, arena);
  work->gram = mrl_take(arena, mrl_gram_scratch(work->lsq.p, ctx), 1);
  work->u = MRL_TAKE(arena, double, n);
  work->weighted = MRL_TAKE(arena, double, n);
  work->v = robust ? MRL_TAKE(arena, double, n *kx) : NULL;
  work->x_hat = robust ? MRL_TAKE(arena, double, n *kx) : NULL;
  work->theta = MRL_TAKE(arena, double, k);
  work->step = MRL_TAKE(arena, double, k);
  work->q = MRL_TAKE(arena, double, c);
  work->part = MRL_TAKE(arena, double, c);
  work->rww = MRL_TAKE(arena, double, work->lsq.k_full * work->lsq.k_full);
  work->a = MRL_TAKE(arena, double, kx *kx);
  work->bread = MRL_TAKE(arena, double, kk);
  work->vcov = MRL_TAKE(arena, double, kk);
  work->half = MRL_TAKE(arena, double, kk);
  work->coord = MRL_TAKE(arena, double, ck);
  work->tall = MRL_TAKE(arena, double, ck);
  work->pi = MRL_TAKE(arena, double, c *kx);
  work->first_vcov = MRL_TAKE(arena, double, cc);
  work->d_col = MRL_TAKE(arena, const double *, k);
  work->d_shift = MRL_TAKE(arena, double, k);
  work->d_scale = MRL_TAKE(arena, double, k);
  work->leverage = needs_leverage(settings) ? MRL_TAKE(arena, double, n) : NULL;
}

size_t mrl_iv_fit_scratch(const mrl_lsq_data *data, const mrl_iv_settings *settings,
                          const mrl_ctx *ctx)
{
  mrl_iv_work work;
  mrl_arena arena = mrl_arena_measure();
  carve(&work, data, settings, ctx, &arena);
  return arena.failed ? 0 : arena.used;
}

/* Can this be estimated at all? Factors B'B into work->a on the way. */
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
  mrl_small_gemm(work->a, kx, b, kc, 1, b, kc, 0, kx, kx, lsq->n_inst, 1, 0);
  for (size_t j = 0; j < kx; j++) {
    work->q[j] = work->a[j + j * kx];
  }
  MRL_TRY(mrl_cholesky(work->a, kx));
  for (size_t j = 0; j < kx; j++) {
    if (!(work->a[j + j * kx] * work->a[j + j * kx] > MRL_LSQ_TOLERANCE * work->q[j])) {
      return MRL_SINGULAR;
    }
  }
  for (size_t j = 0; j < lsq->kw; j++) {
    memcpy(work->rww + j * lsq->kw, lsq->rc + j * kc, lsq->kw * sizeof *work->rww);
  }
  return MRL_OK;
}

/* theta (exogenous, exposures) from a right-hand side's coordinates q (kc). */
static mrl_status solve(double *theta, const double *q, const mrl_iv_work *work)
{
  const mrl_lsq *lsq = &work->lsq;
  const size_t kw = lsq->kw, kx = lsq->kx, kc = lsq->kc;
  double *beta = theta + kw;
  memcpy(theta, q, kw * sizeof *theta);
  if (kx > 0) {
    mrl_small_gemm(beta, kx, lsq->rcx + kw, kc, 1, q + kw, kc, 0, kx, 1, lsq->n_inst, 1, 0);
    MRL_TRY(mrl_cholesky_solve(beta, work->a, kx, 1));
    mrl_small_gemm(theta, kw > 0 ? kw : 1, lsq->rcx, kc, 0, beta, kx, 0, kw, 1, kx, -1, 1);
  }
  return mrl_triangular_solve(theta, work->rww, kw, 1, 0);
}

/* The regressors [W, X] of the structural equation, in scaled units. */
static mrl_columns regressors(mrl_iv_work *work)
{
  const mrl_lsq *lsq = &work->lsq;
  const size_t kw = lsq->kw, k = kw + lsq->kx, first_x = lsq->k_full + lsq->n_inst_full;
  for (size_t j = 0; j < k; j++) {
    const size_t from = j < kw ? lsq->keep[j] : first_x + (j - kw);
    work->d_col[j] = lsq->col[from];
    work->d_shift[j] = lsq->shift[from];
    work->d_scale[j] = lsq->scale[from];
  }
  const mrl_columns columns = {work->d_col, work->d_shift, work->d_scale, NULL, lsq->n, k};
  return columns;
}

static void weigh(double *out, const double *x, const double *weights, size_t n)
{
  for (size_t i = 0; i < n; i++) {
    out[i] = weights ? weights[i] * x[i] : x[i];
  }
}

/* out (n) = (column j of all) in scaled units. */
static void scaled_column(double *out, const mrl_lsq *lsq, size_t j)
{
  const double *x = lsq->col[j];
  for (size_t i = 0; i < lsq->n; i++) {
    out[i] = (x[i] - lsq->shift[j]) * lsq->scale[j];
  }
}

/* What a block of rows adds to the moments of the weighted residuals, in work->q. */
static mrl_status add_moments(void *data, const mrl_columns *c, size_t first, const mrl_ctx *ctx)
{
  mrl_iv_work *work = (mrl_iv_work *)data;
  double *to = first > 0 ? work->part : work->q;
  mrl_columns_dot(to, c, work->weighted + first, ctx);
  for (size_t j = 0; first > 0 && j < c->p; j++) {
    work->q[j] += work->part[j];
  }
  return MRL_OK;
}

/* theta and residuals; one step of refinement with the moments of the residuals themselves, which
 * removes the error that forming crossproducts brought in. */
static mrl_status estimate(mrl_iv_work *work, const mrl_lsq_data *data, const mrl_ctx *ctx)
{
  const mrl_lsq *lsq = &work->lsq;
  const size_t n = lsq->n, k = lsq->kw + lsq->kx;
  const mrl_columns d = regressors(work);
  MRL_TRY(solve(work->theta, lsq->rcx + lsq->kx * lsq->kc, work));
  if (!data->col) {
    return MRL_OK;
  }
  scaled_column(work->u, lsq, lsq->p - 1);
  mrl_columns_subtract(work->u, work->u, &d, work->theta, ctx);
  weigh(work->weighted, work->u, data->weights, n);
  MRL_TRY(mrl_lsq_each_block(lsq, add_moments, work, ctx));
  MRL_TRY(mrl_triangular_solve(work->q, lsq->rc, lsq->kc, 1, 1));
  MRL_TRY(solve(work->step, work->q, work));
  for (size_t j = 0; j < k; j++) {
    work->theta[j] += work->step[j];
  }
  mrl_columns_subtract(work->u, work->u, &d, work->step, ctx);
  return MRL_OK;
}

/* The weighted sum of squared residuals: of the rows, where there are any. */
static double sum_squares(const mrl_iv_work *work, const mrl_lsq_data *data)
{
  double sum = 0;
  if (!data->col) {
    return mrl_lsq_rss(&work->lsq, work->theta + work->lsq.kw);
  }
  for (size_t i = 0; i < work->lsq.n; i++) {
    sum += (data->weights ? data->weights[i] : 1) * work->u[i] * work->u[i];
  }
  return sum;
}

/* bread = inverse of [W, X_hat]'[W, X_hat], whose factor is [R_ww R_wx; 0 chol(B'B)]. */
static mrl_status make_bread(mrl_iv_work *work)
{
  const mrl_lsq *lsq = &work->lsq;
  const size_t kw = lsq->kw, kx = lsq->kx, kc = lsq->kc, k = kw + kx;
  memset(work->bread, 0, k * k * sizeof *work->bread);
  for (size_t j = 0; j < kw; j++) {
    memcpy(work->bread + j * k, lsq->rc + j * kc, (j + 1) * sizeof *work->bread);
  }
  for (size_t j = 0; j < kx; j++) {
    memcpy(work->bread + (kw + j) * k, lsq->rcx + j * kc, kw * sizeof *work->bread);
    memcpy(work->bread + kw + (kw + j) * k, work->a + j * kx, (j + 1) * sizeof *work->bread);
  }
  return mrl_cholesky_inverse(work->bread, k);
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
    scaled_column(x_hat, lsq, first_x + j);
    first_stage_job job = {v, x_hat, work->pi + j * kc};
    MRL_TRY(mrl_lsq_each_block(lsq, first_residuals, &job, ctx));
    for (size_t i = 0; i < n; i++) {
      x_hat[i] -= v[i];
    }
  }
  return MRL_OK;
}

/* leverage_i = weight_i * (w, x)_i bread (w, x_hat)_i': the diagonal of the 2SLS hat matrix. */
static void leverages(mrl_iv_work *work, const double *weights)
{
  const mrl_lsq *lsq = &work->lsq;
  const size_t n = lsq->n, kw = lsq->kw, k = kw + lsq->kx;
  memset(work->leverage, 0, n * sizeof *work->leverage);
  for (size_t a = 0; a < k; a++) {
    const double *left = work->d_col[a], shift = work->d_shift[a], scale = work->d_scale[a];
    for (size_t b = 0; b < k; b++) {
      const int exog = b < kw;
      const double *right = exog ? work->d_col[b] : work->x_hat + (b - kw) * n;
      const double shift_b = exog ? work->d_shift[b] : 0, scale_b = exog ? work->d_scale[b] : 1;
      const double value = work->bread[a + b * k] * scale * scale_b;
      for (size_t i = 0; i < n; i++) {
        work->leverage[i] += value * (left[i] - shift) * (right[i] - shift_b);
      }
    }
  }
  for (size_t i = 0; weights && i < n; i++) {
    work->leverage[i] *= weights[i];
  }
}

/* Residuals inflated for their leverage: HC2 by its square root, HC3 whole. */
static void inflate(double *error, const mrl_iv_work *work, mrl_vcov_type type)
{
  for (size_t i = 0; i < work->lsq.n; i++) {
    const double left = 1 - work->leverage[i];
    error[i] = work->u[i] / (type == MRL_VCOV_HC2 ? sqrt(left) : left);
  }
}

/* work->vcov = covariance of theta in scaled units. */
static mrl_status covariance(mrl_iv_work *work, const mrl_iv_state *state,
                             const mrl_iv_settings *settings, double sigma2, const mrl_ctx *ctx)
{
  const mrl_lsq *lsq = &work->lsq;
  const size_t kw = lsq->kw, kx = lsq->kx, k = kw + kx, kc = lsq->kc;
  if (!is_robust(settings)) {
    for (size_t i = 0; i < k * k; i++) {
      work->vcov[i] = sigma2 * work->bread[i];
    }
    return MRL_OK;
  }
  const double *error = work->u;
  if (needs_leverage(settings)) {
    leverages(work, state->weights);
    inflate(work->weighted, work, settings->vcov);
    error = work->weighted;
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
  double *meat = work->vcov, *half = work->half, *tall = work->tall;
  mrl_small_gemm(tall, kc, work->first_vcov, kc, 0, h, kc, 0, kc, k, kc, factor, 0);
  mrl_small_gemm(meat, k, h, kc, 1, tall, kc, 0, k, k, kc, 1, 0);
  mrl_small_gemm(half, k, work->bread, k, 0, meat, k, 0, k, k, k, 1, 0);
  mrl_small_gemm(work->vcov, k, half, k, 0, work->bread, k, 0, k, k, k, 1, 0);
  return MRL_OK;
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

void mrl_place_fit(double *coef, double *vcov, const double *b, const double *v, const mrl_lsq *lsq)
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

/* Coefficients, covariance and residuals into the caller's arrays. */
static void write_structural(mrl_iv_fit *fit, mrl_iv_work *work, int intercept)
{
  const mrl_lsq *lsq = &work->lsq;
  const size_t k = lsq->kw + lsq->kx, y = lsq->p - 1;
  mrl_unscale(work->step, work->vcov, work->theta, k, intercept, work->d_shift, work->d_scale,
              lsq->shift[y], lsq->scale[y]);
  mrl_place_fit(fit->coef, fit->vcov, work->step, work->vcov, lsq);
  for (size_t i = 0; fit->residuals && i < lsq->n; i++) {
    fit->residuals[i] = work->u[i] / lsq->scale[y];
  }
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
    mrl_unscale(work->q, work->first_vcov, work->pi + j * kc, kc, intercept, lsq->c_shift,
                lsq->c_scale, lsq->shift[c + j], lsq->scale[c + j]);
    for (size_t i = 0; i < kc; i++) {
      fit->first_coef[lsq->keep[i] + j * c] = work->q[i];
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
  MRL_TRY(make_bread(&work));
  MRL_TRY(first_stage(&work, is_robust(settings), ctx));
  const double rss = sum_squares(&work, data);
  const double scale_y = lsq->scale[lsq->p - 1];
  const mrl_iv_state state = {lsq,
                              work.theta + lsq->kw,
                              work.bread,
                              data->col ? work.u : NULL,
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
  write_structural(fit, &work, data->intercept);
  if (fit->between) {
    mrl_lsq_reduced(fit->between, fit->within, lsq);
  }
  return write_first_stage(fit, &work, is_robust(settings), data->intercept);
}
