#include "kclass.h"

#include "blas.h"
#include "structural.h"

#include <math.h>
#include <string.h>

/*
 * In an orthonormal basis whose first kc vectors span C and whose last m hold what is left of the
 * exposures and the outcome, D = [d; e] with d (kc, k) and e (m, k). Everything that is not robust
 * is algebra of these.
 */
typedef struct {
  mrl_lsq lsq;
  mrl_structural eq;
  void *gram;
  double *x_tilde;   /* (n, kx) (I - kappa M_C) X */
  double *rhs;       /* (k) */
  double *rest, *pi; /* (kx), (kc, kx) */
  double *d, *e;     /* (kc, k), (m, k) */
  double *qu, *eu;   /* (kc), (m) coordinates of the residuals */
  double *h;         /* (k, k) */
  double *eigen;     /* mrl_eigen_work(m) + m + 2 m m */
  mrl_meat_work meat;
} mrl_kclass_work;

static void carve(mrl_kclass_work *work, const mrl_lsq_data *data,
                  const mrl_kclass_settings *settings, const mrl_ctx *ctx, mrl_arena *arena)
{
  const size_t n = data->col ? data->n : 0, kx = data->n_endog, m = kx + 1;
  mrl_lsq_carve_moments(&work->lsq, data, settings->iv.moments, arena);
  const size_t k = work->lsq.k_full + kx, c = work->lsq.k_full + data->n_inst;
  mrl_structural_carve(&work->eq, &work->lsq, n, arena);
  work->gram = mrl_take(arena, mrl_gram_scratch(work->lsq.p, ctx), 1);
  work->x_tilde = MRL_TAKE(arena, double, n *kx);
  work->rhs = MRL_TAKE(arena, double, k);
  work->rest = MRL_TAKE(arena, double, kx);
  work->pi = MRL_TAKE(arena, double, c *kx);
  work->d = MRL_TAKE(arena, double, c *k);
  work->e = MRL_TAKE(arena, double, m *k);
  work->qu = MRL_TAKE(arena, double, c);
  work->eu = MRL_TAKE(arena, double, m);
  work->h = MRL_TAKE(arena, double, k *k);
  work->eigen = MRL_TAKE(arena, double, mrl_eigen_work(m) + m + 2 * m * m);
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

/* Chooses kappa and factors the exposures' block of the normal equations. */
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
  mrl_small_gemm(work->eq.a, kx, b, kc, 1, b, kc, 0, kx, kx, lsq->n_inst, 1, 0);
  mrl_small_gemm(work->eq.a, kx, lsq->rxx, m, 1, lsq->rxx, m, 0, kx, kx, m, 1 - fit->kappa, 1);
  return mrl_structural_factor(&work->eq);
}

/* theta and, where there are rows, residuals, refined once with the moments of the residuals
 * themselves. rest: (1 - kappa) times products with what C leaves of the exposures. */
static mrl_status estimate(mrl_kclass_work *work, double kappa, const mrl_lsq_data *data,
                           const mrl_ctx *ctx)
{
  const mrl_lsq *lsq = &work->lsq;
  mrl_structural *eq = &work->eq;
  const size_t kx = lsq->kx, kw = lsq->kw, m = kx + 1, kc = lsq->kc;
  const mrl_columns d = mrl_structural_columns(eq);
  const double left = 1 - kappa;
  double *rest = work->rest;
  mrl_small_gemm(rest, kx, lsq->rxx, m, 1, lsq->rxx + kx * m, m, 0, kx, 1, m, left, 0);
  MRL_TRY(mrl_structural_solve(eq->theta, lsq->rcx + kx * kc, rest, eq));
  if (!data->col) {
    return MRL_OK;
  }
  mrl_structural_residuals(eq, &d, data->weights, ctx);
  mrl_columns_dot(eq->q, &lsq->c, eq->weighted, ctx);
  mrl_columns_dot(work->rhs, &d, eq->weighted, ctx);
  MRL_TRY(mrl_triangular_solve(eq->q, lsq->rc, kc, 1, 1));
  memcpy(rest, work->rhs + kw, kx * sizeof *rest);
  mrl_small_gemm(rest, kx, lsq->rcx, kc, 1, eq->q, kc, 0, kx, 1, kc, -left, left);
  MRL_TRY(mrl_structural_solve(eq->step, eq->q, rest, eq));
  mrl_structural_step(eq, &d, ctx);
  return MRL_OK;
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
    mrl_scaled_column(out, lsq, first_x + j);
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

static mrl_status robust_covariance(mrl_kclass_work *work, double kappa, const mrl_lsq_data *data,
                                    const mrl_iv_settings *iv, const mrl_ctx *ctx)
{
  const mrl_lsq *lsq = &work->lsq;
  const size_t n = lsq->n, k = lsq->kw + lsq->kx;
  const int leverage = iv->vcov == MRL_VCOV_HC2 || iv->vcov == MRL_VCOV_HC3;
  mrl_structural *eq = &work->eq;
  const double *error = eq->u;
  MRL_TRY(make_x_tilde(work, kappa, ctx));
  if (leverage) {
    mrl_structural_inflate(eq, work->x_tilde, data->weights, iv->vcov == MRL_VCOV_HC2);
    error = eq->weighted;
  }
  for (size_t j = 0; j < k; j++) {
    eq->col[j] = tilde_column(work, j, &eq->shift[j], &eq->scale[j]);
  }
  const mrl_columns tilde = {eq->col, eq->shift, eq->scale, NULL, n, k};
  MRL_TRY(mrl_meat(work->h, &tilde, error, data->weights, iv->cluster, iv->n_cluster, &work->meat,
                   iv->isa, ctx));
  mrl_iv_state state = {0};
  state.lsq = lsq;
  state.n_cluster = iv->n_cluster;
  state.small_sample = iv->vcov != MRL_VCOV_HC0;
  mrl_structural_sandwich(eq, work->h, leverage ? 1 : mrl_robust_factor(&state, k));
  mrl_structural_columns(eq);
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
  double uu = 0, pu = 0, *g = work->rhs, *bread = work->eq.bread;
  memset(work->d, 0, kc * k * sizeof *work->d);
  memset(work->e, 0, m * k * sizeof *work->e);
  for (size_t j = 0; j < kw; j++) {
    memcpy(work->d + j * kc, lsq->rc + j * kc, kw * sizeof *work->d);
  }
  memcpy(work->d + kw * kc, lsq->rcx, kc * kx * sizeof *work->d);
  memcpy(work->e + kw * m, lsq->rxx, m * kx * sizeof *work->e);
  memcpy(work->qu, lsq->rcx + kx * kc, kc * sizeof *work->qu);
  memcpy(work->eu, lsq->rxx + kx * m, m * sizeof *work->eu);
  mrl_small_gemm(work->qu, kc, work->d, kc, 0, work->eq.theta, k, 0, kc, 1, k, -1, 1);
  mrl_small_gemm(work->eu, m, work->e, m, 0, work->eq.theta, k, 0, m, 1, k, -1, 1);
  for (size_t i = 0; i < kc; i++) {
    pu += work->qu[i] * work->qu[i];
  }
  uu = pu;
  for (size_t i = 0; i < m; i++) {
    uu += work->eu[i] * work->eu[i];
  }
  const double a = pu / uu;
  mrl_small_gemm(bread, k, work->d, kc, 1, work->d, kc, 0, k, k, kc, 1 - a, 0);
  mrl_small_gemm(bread, k, work->e, m, 1, work->e, m, 0, k, k, m, -a, 1);
  MRL_TRY(mrl_cholesky(bread, k));
  MRL_TRY(mrl_cholesky_inverse(bread, k));
  mrl_small_gemm(g, k, work->d, kc, 1, work->qu, kc, 0, k, 1, kc, 1 / uu, 0);
  mrl_small_gemm(g, k, work->e, m, 1, work->eu, m, 0, k, 1, m, 1 / uu, 1);
  mrl_small_gemm(work->d, kc, work->qu, kc, 0, g, k, 1, kc, k, 1, -1, 1);
  mrl_small_gemm(work->e, m, work->eu, m, 0, g, k, 1, m, k, 1, -1, 1);
  mrl_small_gemm(work->h, k, work->d, kc, 1, work->d, kc, 0, k, k, kc, (1 - a) * (1 - a), 0);
  mrl_small_gemm(work->h, k, work->e, m, 1, work->e, m, 0, k, k, m, a * a, 1);
  mrl_structural_sandwich(&work->eq, work->h, sigma2);
  return MRL_OK;
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
  MRL_TRY(mrl_structural_bread(&work.eq));
  const double scale_y = lsq->scale[lsq->p - 1],
               sigma2 = mrl_structural_rss(&work.eq, data) / fit->df_residual;
  fit->sigma2 = sigma2 / (scale_y * scale_y);
  if (settings->bekker) {
    MRL_TRY(bekker_covariance(&work, sigma2));
  } else if (robust) {
    MRL_TRY(robust_covariance(&work, fit->kappa, data, &settings->iv, ctx));
  } else {
    mrl_structural_plain(&work.eq, sigma2);
  }
  mrl_structural_write(fit->coef, fit->vcov, fit->residuals, &work.eq, data->intercept);
  mrl_lsq_reduced(fit->between, fit->within, lsq);
  return MRL_OK;
}
