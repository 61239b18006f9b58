#include "kclass.h"

#include "blas.h"

#include <math.h>
#include <string.h>

/*
 * In an orthonormal basis whose first kc vectors span C and whose last m hold what is left of the
 * exposures and the outcome, D = [d; e] with d (kc, k) and e (m, k). Everything that is not robust
 * is algebra of these.
 */
typedef struct {
  mrl_lsq lsq;
  void *gram;
  double *u, *weighted, *leverage; /* (n) */
  double *x_tilde;                 /* (n, kx) (I - kappa M_C) X */
  double *theta, *step, *rhs;      /* (k) */
  double *q, *rest, *pi;           /* (kc), (kx), (kc, kx) */
  double *rww, *a;                 /* (kw, kw), (kx, kx) factors */
  double *d, *e;                   /* (kc, k), (m, k) */
  double *qu, *eu;                 /* (kc), (m) coordinates of the residuals */
  double *bread, *vcov, *half, *h; /* (k, k) */
  double *eigen;                   /* mrl_eigen_work(m) + m + 2 m m */
  const double **col;              /* (k) */
  double *shift, *scale;           /* (k) */
  mrl_meat_work meat;
} mrl_kclass_work;

static void carve(mrl_kclass_work *work, const mrl_lsq_data *data,
                  const mrl_kclass_settings *settings, const mrl_ctx *ctx, mrl_arena *arena)
{
  const size_t n = data->col ? data->n : 0, kx = data->n_endog, m = kx + 1;
  mrl_lsq_carve_moments(&work->lsq, data, settings->iv.moments, arena);
  const size_t k = work->lsq.k_full + kx, c = work->lsq.k_full + data->n_inst;
  const size_t square = k * k;
  work->gram = mrl_take(arena, mrl_gram_scratch(work->lsq.p, ctx), 1);
  work->u = MRL_TAKE(arena, double, n);
  work->weighted = MRL_TAKE(arena, double, n);
  work->leverage = MRL_TAKE(arena, double, n);
  work->x_tilde = MRL_TAKE(arena, double, n *kx);
  work->theta = MRL_TAKE(arena, double, k);
  work->step = MRL_TAKE(arena, double, k);
  work->rhs = MRL_TAKE(arena, double, k);
  work->q = MRL_TAKE(arena, double, c);
  work->rest = MRL_TAKE(arena, double, kx);
  work->pi = MRL_TAKE(arena, double, c *kx);
  work->rww = MRL_TAKE(arena, double, work->lsq.k_full * work->lsq.k_full);
  work->a = MRL_TAKE(arena, double, kx *kx);
  work->d = MRL_TAKE(arena, double, c *k);
  work->e = MRL_TAKE(arena, double, m *k);
  work->qu = MRL_TAKE(arena, double, c);
  work->eu = MRL_TAKE(arena, double, m);
  work->bread = MRL_TAKE(arena, double, square);
  work->vcov = MRL_TAKE(arena, double, square);
  work->half = MRL_TAKE(arena, double, square);
  work->h = MRL_TAKE(arena, double, square);
  work->eigen = MRL_TAKE(arena, double, mrl_eigen_work(m) + m + 2 * m * m);
  work->col = MRL_TAKE(arena, const double *, k);
  work->shift = MRL_TAKE(arena, double, k);
  work->scale = MRL_TAKE(arena, double, k);
  mrl_meat_carve(&work->meat, n, k, settings->iv.n_cluster, ctx, arena);
}

size_t mrl_kclass_scratch(const mrl_lsq_data *data, const mrl_kclass_settings *settings,
                          const mrl_ctx *ctx)
{
  mrl_kclass_work work;
  mrl_arena arena = mrl_arena_measure();
  carve(&work, data, settings, ctx, &arena);
  return arena.failed ? 0 : arena.used;
}

/* The instruments' coordinates of [exposures, outcome], leading dimension kc. */
static const double *inst_coord(const mrl_lsq *lsq)
{
  return lsq->rcx + lsq->kw;
}

/* LIML's k = 1 + the least eigenvalue of B'B in the metric of S'S, B and S being the coordinates
 * that instruments explain and that are left over. */
static mrl_status liml_kappa(double *kappa, mrl_kclass_work *work)
{
  const mrl_lsq *lsq = &work->lsq;
  const size_t m = lsq->kx + 1;
  double *values = work->eigen + mrl_eigen_work(m), *g = values + m, *s = g + m * m;
  *kappa = NAN;
  memcpy(s, lsq->rxx, m * m * sizeof *s);
  for (size_t j = 0; j < m; j++) {
    if (!(s[j + j * m] > 0)) {
      return MRL_SINGULAR;
    }
  }
  mrl_small_gemm(g, m, inst_coord(lsq), lsq->kc, 1, inst_coord(lsq), lsq->kc, 0, m, m, lsq->n_inst,
                 1, 0);
  MRL_TRY(mrl_triangular_solve(g, s, m, m, 1));
  mrl_transpose_square(g, m);
  MRL_TRY(mrl_triangular_solve(g, s, m, m, 1));
  MRL_TRY(mrl_eigen(values, g, m, work->eigen));
  *kappa = 1 + (values[0] > 0 ? values[0] : 0);
  return MRL_OK;
}

/* Chooses kappa and factors the exposures' block of the normal equations into work->a. */
static mrl_status identify(mrl_kclass_fit *fit, mrl_kclass_work *work,
                           const mrl_kclass_settings *settings)
{
  const mrl_lsq *lsq = &work->lsq;
  const size_t kx = lsq->kx, m = kx + 1, kc = lsq->kc, k = lsq->kw + kx;
  if (lsq->n_inst < kx || lsq->n <= k || lsq->n <= kc) {
    return MRL_TOO_FEW;
  }
  fit->n_inst = (double)lsq->n_inst;
  fit->df_residual = (double)lsq->n - (double)k;
  fit->df_within = (double)lsq->n - (double)kc;
  const mrl_status status = liml_kappa(&fit->kappa_liml, work);
  if (status != MRL_OK && (settings->liml || status != MRL_SINGULAR)) {
    return status;
  }
  fit->kappa = settings->liml ? fit->kappa_liml - settings->fuller / fit->df_within : settings->k;
  const double *b = inst_coord(lsq);
  mrl_small_gemm(work->a, kx, b, kc, 1, b, kc, 0, kx, kx, lsq->n_inst, 1, 0);
  mrl_small_gemm(work->a, kx, lsq->rxx, m, 1, lsq->rxx, m, 0, kx, kx, m, 1 - fit->kappa, 1);
  for (size_t j = 0; j < kx; j++) {
    work->rest[j] = work->a[j + j * kx];
  }
  MRL_TRY(mrl_cholesky(work->a, kx));
  for (size_t j = 0; j < kx; j++) {
    if (!(work->a[j + j * kx] * work->a[j + j * kx] > MRL_LSQ_TOLERANCE * work->rest[j])) {
      return MRL_SINGULAR;
    }
  }
  for (size_t j = 0; j < lsq->kw; j++) {
    memcpy(work->rww + j * lsq->kw, lsq->rc + j * kc, lsq->kw * sizeof *work->rww);
  }
  return MRL_OK;
}

/* theta (exogenous, exposures) from a right-hand side's coordinates q (kc) in C and its products
 * with what C leaves of the exposures, rest (kx). */
static mrl_status solve(double *theta, const double *q, const double *rest, double kappa,
                        const mrl_kclass_work *work)
{
  const mrl_lsq *lsq = &work->lsq;
  const size_t kw = lsq->kw, kx = lsq->kx, kc = lsq->kc;
  double *beta = theta + kw;
  memcpy(theta, q, kw * sizeof *theta);
  mrl_small_gemm(beta, kx, inst_coord(lsq), kc, 1, q + kw, kc, 0, kx, 1, lsq->n_inst, 1, 0);
  for (size_t j = 0; j < kx; j++) {
    beta[j] += (1 - kappa) * rest[j];
  }
  MRL_TRY(mrl_cholesky_solve(beta, work->a, kx, 1));
  mrl_small_gemm(theta, kw > 0 ? kw : 1, lsq->rcx, kc, 0, beta, kx, 0, kw, 1, kx, -1, 1);
  return mrl_triangular_solve(theta, work->rww, kw, 1, 0);
}

/* The regressors D in scaled units. */
static mrl_columns regressors(mrl_kclass_work *work)
{
  const mrl_lsq *lsq = &work->lsq;
  const size_t kw = lsq->kw, k = kw + lsq->kx, first_x = lsq->k_full + lsq->n_inst_full;
  for (size_t j = 0; j < k; j++) {
    const size_t from = j < kw ? lsq->keep[j] : first_x + (j - kw);
    work->col[j] = lsq->col[from];
    work->shift[j] = lsq->shift[from];
    work->scale[j] = lsq->scale[from];
  }
  const mrl_columns columns = {work->col, work->shift, work->scale, NULL, lsq->n, k};
  return columns;
}

/* theta and, where there are rows, residuals, refined once with the moments of the residuals
 * themselves. */
static mrl_status estimate(mrl_kclass_work *work, double kappa, const mrl_lsq_data *data,
                           const mrl_ctx *ctx)
{
  const mrl_lsq *lsq = &work->lsq;
  const size_t n = lsq->n, kx = lsq->kx, kw = lsq->kw, k = kw + kx, m = kx + 1, kc = lsq->kc;
  const mrl_columns d = regressors(work);
  const double *y = lsq->col[lsq->p - 1];
  const double shift = lsq->shift[lsq->p - 1], scale = lsq->scale[lsq->p - 1];
  mrl_small_gemm(work->rest, kx, lsq->rxx, m, 1, lsq->rxx + kx * m, m, 0, kx, 1, m, 1, 0);
  MRL_TRY(solve(work->theta, lsq->rcx + kx * kc, work->rest, kappa, work));
  if (!data->col) {
    return MRL_OK;
  }
  for (size_t i = 0; i < n; i++) {
    work->u[i] = (y[i] - shift) * scale;
  }
  mrl_columns_subtract(work->u, work->u, &d, work->theta, ctx);
  for (size_t i = 0; i < n; i++) {
    work->weighted[i] = data->weights ? data->weights[i] * work->u[i] : work->u[i];
  }
  mrl_columns_dot(work->q, &lsq->c, work->weighted, ctx);
  mrl_columns_dot(work->rhs, &d, work->weighted, ctx);
  MRL_TRY(mrl_triangular_solve(work->q, lsq->rc, kc, 1, 1));
  memcpy(work->rest, work->rhs + kw, kx * sizeof *work->rest);
  mrl_small_gemm(work->rest, kx, lsq->rcx, kc, 1, work->q, kc, 0, kx, 1, kc, -1, 1);
  MRL_TRY(solve(work->step, work->q, work->rest, kappa, work));
  for (size_t j = 0; j < k; j++) {
    work->theta[j] += work->step[j];
  }
  mrl_columns_subtract(work->u, work->u, &d, work->step, ctx);
  return MRL_OK;
}

/* bread = inverse of D'(I - kappa M_C) D, whose factor is [R_ww R_wx; 0 a]. */
static mrl_status make_bread(mrl_kclass_work *work)
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

/* x_tilde = (I - kappa M_C) X, row by row: (1 - kappa) x + kappa C pi. */
static mrl_status make_x_tilde(mrl_kclass_work *work, double kappa, const mrl_ctx *ctx)
{
  const mrl_lsq *lsq = &work->lsq;
  const size_t n = lsq->n, kc = lsq->kc, first_x = lsq->k_full + lsq->n_inst_full;
  memcpy(work->pi, lsq->rcx, kc * lsq->kx * sizeof *work->pi);
  MRL_TRY(mrl_triangular_solve(work->pi, lsq->rc, kc, lsq->kx, 0));
  for (size_t j = 0; j < lsq->kx; j++) {
    double *out = work->x_tilde + j * n;
    const double *x = lsq->col[first_x + j];
    const double shift = lsq->shift[first_x + j], scale = lsq->scale[first_x + j];
    for (size_t i = 0; i < n; i++) {
      out[i] = (x[i] - shift) * scale;
    }
    mrl_columns_subtract(out, out, &lsq->c, work->pi + j * kc, ctx);
    for (size_t i = 0; i < n; i++) {
      out[i] = (x[i] - shift) * scale - kappa * out[i];
    }
  }
  return MRL_OK;
}

/* Column j of [W, X_tilde] as its array, shift and scale. */
static const double *tilde_column(const mrl_kclass_work *work, size_t j, double *shift,
                                  double *scale)
{
  const mrl_lsq *lsq = &work->lsq;
  const int exogenous = j < lsq->kw;
  *shift = exogenous ? lsq->c_shift[j] : 0;
  *scale = exogenous ? lsq->c_scale[j] : 1;
  return exogenous ? lsq->c_col[j] : work->x_tilde + (j - lsq->kw) * lsq->n;
}

/* Residuals inflated for leverage_i = weight_i D_i bread (w, x_tilde)_i', the diagonal of the
 * matrix that gives the fitted values: HC2 by the square root, HC3 whole. work->weighted. */
static void inflate(mrl_kclass_work *work, mrl_vcov_type type, const double *weights)
{
  const mrl_lsq *lsq = &work->lsq;
  const size_t n = lsq->n, k = lsq->kw + lsq->kx;
  memset(work->leverage, 0, n * sizeof *work->leverage);
  for (size_t b = 0; b < k; b++) {
    double shift, scale;
    const double *right = tilde_column(work, b, &shift, &scale);
    for (size_t a = 0; a < k; a++) {
      const double value = work->bread[a + b * k] * work->scale[a] * scale;
      for (size_t i = 0; i < n; i++) {
        work->leverage[i] += value * (work->col[a][i] - work->shift[a]) * (right[i] - shift);
      }
    }
  }
  for (size_t i = 0; i < n; i++) {
    const double left = 1 - (weights ? weights[i] : 1) * work->leverage[i];
    work->weighted[i] = work->u[i] / (type == MRL_VCOV_HC2 ? sqrt(left) : left);
  }
}

/* vcov = bread middle bread. */
static void sandwich(mrl_kclass_work *work, const double *middle, double factor, size_t k)
{
  mrl_small_gemm(work->half, k, work->bread, k, 0, middle, k, 0, k, k, k, factor, 0);
  mrl_small_gemm(work->vcov, k, work->half, k, 0, work->bread, k, 0, k, k, k, 1, 0);
}

/* The weighted sum of squared residuals: of the rows, where there are any. */
static double sum_squares(const mrl_kclass_work *work, const mrl_lsq_data *data)
{
  double sum = 0;
  if (!data->col) {
    return mrl_lsq_rss(&work->lsq, work->theta + work->lsq.kw);
  }
  for (size_t i = 0; i < data->n; i++) {
    sum += (data->weights ? data->weights[i] : 1) * work->u[i] * work->u[i];
  }
  return sum;
}

static mrl_status robust_covariance(mrl_kclass_work *work, double kappa, const mrl_lsq_data *data,
                                    const mrl_iv_settings *iv, const mrl_ctx *ctx)
{
  const mrl_lsq *lsq = &work->lsq;
  const size_t n = lsq->n, k = lsq->kw + lsq->kx;
  const int leverage = iv->vcov == MRL_VCOV_HC2 || iv->vcov == MRL_VCOV_HC3;
  const double *error = work->u;
  MRL_TRY(make_x_tilde(work, kappa, ctx));
  if (leverage) {
    inflate(work, iv->vcov, data->weights);
    error = work->weighted;
  }
  for (size_t j = 0; j < k; j++) {
    work->col[j] = tilde_column(work, j, &work->shift[j], &work->scale[j]);
  }
  const mrl_columns tilde = {work->col, work->shift, work->scale, NULL, n, k};
  MRL_TRY(mrl_meat(work->h, &tilde, error, data->weights, iv->cluster, iv->n_cluster, &work->meat,
                   iv->isa, ctx));
  mrl_iv_state state = {0};
  state.lsq = lsq;
  state.n_cluster = iv->n_cluster;
  state.small_sample = iv->vcov != MRL_VCOV_HC0;
  sandwich(work, work->h, leverage ? 1 : mrl_robust_factor(&state, k), k);
  regressors(work);
  return MRL_OK;
}

/*
 * With a = u'P_C u / u'u and D~ = D - u u'D / u'u,
 *   vcov = inverse(H) s2 [(1 - a)^2 D~'P_C D~ + a^2 D~'M_C D~] inverse(H), H = D'P_C D - a D'D.
 */
static mrl_status bekker_covariance(mrl_kclass_work *work, double sigma2)
{
  const mrl_lsq *lsq = &work->lsq;
  const size_t kw = lsq->kw, kx = lsq->kx, kc = lsq->kc, k = kw + kx, m = kx + 1;
  double uu = 0, pu = 0, *g = work->rhs;
  memset(work->d, 0, kc * k * sizeof *work->d);
  memset(work->e, 0, m * k * sizeof *work->e);
  for (size_t j = 0; j < kw; j++) {
    memcpy(work->d + j * kc, lsq->rc + j * kc, kw * sizeof *work->d);
  }
  memcpy(work->d + kw * kc, lsq->rcx, kc * kx * sizeof *work->d);
  memcpy(work->e + kw * m, lsq->rxx, m * kx * sizeof *work->e);
  memcpy(work->qu, lsq->rcx + kx * kc, kc * sizeof *work->qu);
  memcpy(work->eu, lsq->rxx + kx * m, m * sizeof *work->eu);
  mrl_small_gemm(work->qu, kc, work->d, kc, 0, work->theta, k, 0, kc, 1, k, -1, 1);
  mrl_small_gemm(work->eu, m, work->e, m, 0, work->theta, k, 0, m, 1, k, -1, 1);
  for (size_t i = 0; i < kc; i++) {
    pu += work->qu[i] * work->qu[i];
  }
  uu = pu;
  for (size_t i = 0; i < m; i++) {
    uu += work->eu[i] * work->eu[i];
  }
  const double a = pu / uu;
  mrl_small_gemm(work->bread, k, work->d, kc, 1, work->d, kc, 0, k, k, kc, 1 - a, 0);
  mrl_small_gemm(work->bread, k, work->e, m, 1, work->e, m, 0, k, k, m, -a, 1);
  MRL_TRY(mrl_cholesky(work->bread, k));
  MRL_TRY(mrl_cholesky_inverse(work->bread, k));
  mrl_small_gemm(g, k, work->d, kc, 1, work->qu, kc, 0, k, 1, kc, 1 / uu, 0);
  mrl_small_gemm(g, k, work->e, m, 1, work->eu, m, 0, k, 1, m, 1 / uu, 1);
  mrl_small_gemm(work->d, kc, work->qu, kc, 0, g, k, 1, kc, k, 1, -1, 1);
  mrl_small_gemm(work->e, m, work->eu, m, 0, g, k, 1, m, k, 1, -1, 1);
  mrl_small_gemm(work->h, k, work->d, kc, 1, work->d, kc, 0, k, k, kc, (1 - a) * (1 - a), 0);
  mrl_small_gemm(work->h, k, work->e, m, 1, work->e, m, 0, k, k, m, a * a, 1);
  sandwich(work, work->h, sigma2, k);
  return MRL_OK;
}

/* Coefficients, covariance and residuals in the units of the data, NaN for what was dropped. */
static void write_fit(mrl_kclass_fit *fit, mrl_kclass_work *work, int intercept)
{
  const mrl_lsq *lsq = &work->lsq;
  const size_t k = lsq->kw + lsq->kx, y = lsq->p - 1;
  mrl_unscale(work->step, work->vcov, work->theta, k, intercept, work->shift, work->scale,
              lsq->shift[y], lsq->scale[y]);
  mrl_place_fit(fit->coef, fit->vcov, work->step, work->vcov, lsq);
  for (size_t i = 0; fit->residuals && i < lsq->n; i++) {
    fit->residuals[i] = work->u[i] / lsq->scale[y];
  }
}

mrl_status mrl_kclass_run(mrl_kclass_fit *fit, const mrl_lsq_data *data,
                          const mrl_kclass_settings *settings, void *scratch, size_t size,
                          const mrl_ctx *ctx)
{
  mrl_kclass_work work;
  mrl_arena arena = mrl_arena_over(scratch, size);
  carve(&work, data, settings, ctx, &arena);
  if (arena.failed) {
    return MRL_NO_MEMORY;
  }
  const mrl_lsq *lsq = &work.lsq;
  const mrl_moments *moments = settings->iv.moments;
  const int robust = !settings->bekker && settings->iv.vcov != MRL_VCOV_IID;
  if (moments && (data->col || robust)) {
    return MRL_BAD_ARGUMENT;
  }
  MRL_TRY(moments ? mrl_lsq_factor_moments(&work.lsq, data, moments)
                  : mrl_lsq_factor(&work.lsq, data, work.gram, settings->iv.isa, ctx));
  MRL_TRY(identify(fit, &work, settings));
  MRL_TRY(estimate(&work, fit->kappa, data, ctx));
  MRL_TRY(make_bread(&work));
  const size_t k = lsq->kw + lsq->kx;
  const double scale_y = lsq->scale[lsq->p - 1],
               sigma2 = sum_squares(&work, data) / fit->df_residual;
  fit->sigma2 = sigma2 / (scale_y * scale_y);
  if (settings->bekker) {
    MRL_TRY(bekker_covariance(&work, sigma2));
  } else if (robust) {
    MRL_TRY(robust_covariance(&work, fit->kappa, data, &settings->iv, ctx));
  } else {
    for (size_t i = 0; i < k * k; i++) {
      work.vcov[i] = sigma2 * work.bread[i];
    }
  }
  write_fit(fit, &work, data->intercept);
  mrl_lsq_reduced(fit->between, fit->within, lsq);
  return MRL_OK;
}
