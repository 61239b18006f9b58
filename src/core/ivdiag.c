#include "ivdiag.h"

#include "blas.h"

#include <math.h>
#include <string.h>

/* x = 1 / tau of the simplified critical value: a worst-case bias of ten per cent. */
static const double EFFECTIVE_X = 10;

static size_t max_size(size_t a, size_t b)
{
  return a > b ? a : b;
}

/* Uses only the sizes that the columns came with, so that it can be called before factoring. */
void mrl_ivdiag_carve(mrl_ivdiag_work *work, const mrl_lsq *sizes, size_t n_cluster, int robust,
                      const mrl_ctx *ctx, mrl_arena *arena)
{
  const size_t kx = sizes->kx, l = sizes->n_inst_full, k = sizes->k_full + kx;
  const size_t c = sizes->k_full + l, columns = max_size(c, k + kx), ll = l * l;
  work->gmm = MRL_TAKE(arena, double, mrl_gmm_work(l, kx));
  work->a = MRL_TAKE(arena, double, kx);
  work->d = MRL_TAKE(arena, double, kx);
  work->others = MRL_TAKE(arena, double, l *kx);
  const size_t p = k + kx; /* columns of the augmented regression */
  work->wald = MRL_TAKE(arena, double, p *p + 2 * kx * p + 3 * kx * kx);
  work->kept = MRL_TAKE(arena, size_t, kx);
  if (robust) {
    work->rotated = MRL_TAKE(arena, double, (kx + 1) * c * c);
    work->omega = MRL_TAKE(arena, double, ll);
    work->error = MRL_TAKE(arena, double, sizes->n);
    work->eigen = MRL_TAKE(arena, double, mrl_eigen_work(l) + l);
    work->col = MRL_TAKE(arena, const double *, k + kx);
    work->shift = MRL_TAKE(arena, double, k + kx);
    work->scale = MRL_TAKE(arena, double, k + kx);
    mrl_meat_carve(&work->meat, sizes->n, columns, n_cluster, ctx, arena);
  }
}

double mrl_robust_factor(const mrl_iv_state *state, size_t columns)
{
  const double n = (double)state->lsq->n, g = (double)state->n_cluster;
  if (state->n_cluster > 0) {
    return g / (g - 1) * (n - 1) / (n - (double)columns);
  }
  return state->small_sample ? n / (n - (double)columns) : 1;
}

/* What a block of rows adds to the meat of `error`. */
typedef struct {
  double *meat;
  const mrl_iv_state *state;
  const double *error;
  mrl_meat_work *work;
} meat_job;

static mrl_status add_meat(void *data, const mrl_columns *c, size_t first, const mrl_ctx *ctx)
{
  const meat_job *job = (const meat_job *)data;
  const mrl_iv_state *state = job->state;
  return mrl_meat_add(job->meat, c, job->error + first,
                      state->weights ? state->weights + first : NULL,
                      state->cluster ? state->cluster + first : NULL, state->n_cluster, first > 0,
                      job->work, state->isa, ctx);
}

mrl_status mrl_rotated_meat(double *rotated, const mrl_iv_state *state, const double *error,
                            size_t columns, mrl_meat_work *work, const mrl_ctx *ctx)
{
  const mrl_lsq *lsq = state->lsq;
  const size_t kc = lsq->kc;
  meat_job job = {rotated, state, error, work};
  MRL_TRY(mrl_lsq_each_block(state->lsq, add_meat, &job, ctx));
  MRL_TRY(mrl_meat_end(rotated, kc, state->n_cluster, work, state->isa, ctx));
  MRL_TRY(mrl_triangular_solve(rotated, lsq->rc, kc, kc, 1));
  mrl_transpose_square(rotated, kc);
  MRL_TRY(mrl_triangular_solve(rotated, lsq->rc, kc, kc, 1));
  const double factor = columns > 0 ? mrl_robust_factor(state, columns) : 1;
  for (size_t i = 0; i < kc * kc; i++) {
    rotated[i] *= factor;
  }
  return MRL_OK;
}

/* Slot j of the rotated meats; slot kx is scratch. */
static double *meat_slot(const mrl_ivdiag_work *work, const mrl_lsq *lsq, size_t j)
{
  return work->rotated + j * lsq->kc * lsq->kc;
}

const double *mrl_first_meat(const mrl_ivdiag_work *work, const mrl_lsq *lsq, size_t j)
{
  return meat_slot(work, lsq, j);
}

/* omega = covariance of the instruments' coordinates of `error`; the whole stays in the slot. */
static mrl_status instrument_omega(const mrl_iv_state *state, const double *error, size_t columns,
                                   size_t slot, mrl_ivdiag_work *work, const mrl_ctx *ctx)
{
  const mrl_lsq *lsq = state->lsq;
  const size_t kc = lsq->kc, kw = lsq->kw, l = lsq->n_inst;
  double *rotated = meat_slot(work, lsq, slot);
  MRL_TRY(mrl_rotated_meat(rotated, state, error, columns, &work->meat, ctx));
  for (size_t j = 0; j < l; j++) {
    memcpy(work->omega + j * l, rotated + kw + (kw + j) * kc, l * sizeof *work->omega);
  }
  return MRL_OK;
}

/* The instruments' coordinates of exposure j (j = kx: of the outcome). */
static const double *inst_coord(const mrl_lsq *lsq, size_t j)
{
  return lsq->rcx + lsq->kw + j * lsq->kc;
}

static double sum_squares(const double *x, size_t n)
{
  double sum = 0;
  for (size_t i = 0; i < n; i++) {
    sum += x[i] * x[i];
  }
  return sum;
}

/* A statistic that cannot be had (a singular covariance) is NaN; anything else is passed on. */
static mrl_status or_nan(mrl_status status, double *statistic)
{
  if (status == MRL_SINGULAR) {
    *statistic = NAN;
    return MRL_OK;
  }
  return status;
}

static double first_df2(const mrl_iv_state *state)
{
  return state->n_cluster > 0 ? (double)state->n_cluster - 1
                              : (double)state->lsq->n - (double)state->lsq->kc;
}

/*
 * The effective F and the effective degrees of freedom of its simplified critical value:
 * K = tr(W)^2 (1 + 2x) / (tr(W'W) + 2 x tr(W) maxeval(W)).
 */
static mrl_status effective_f(mrl_iv_diagnostics *out, const mrl_iv_state *state,
                              mrl_ivdiag_work *work)
{
  const size_t l = state->lsq->n_inst;
  double trace = 0;
  for (size_t j = 0; j < l; j++) {
    trace += work->omega[j + j * l];
  }
  const double squares = sum_squares(work->omega, l * l);
  double *values = work->eigen + mrl_eigen_work(l);
  MRL_TRY(mrl_eigen(values, work->omega, l, work->eigen));
  const double x = EFFECTIVE_X, top = values[l - 1];
  out->effective.df1 = (double)l;
  out->effective.df2 = first_df2(state);
  out->effective.statistic = sum_squares(inst_coord(state->lsq, 0), l) / trace;
  out->effective_k = trace * trace * (1 + 2 * x) / (squares + 2 * x * trace * top);
  return MRL_OK;
}

static mrl_status strength(mrl_iv_diagnostics *out, const mrl_iv_state *state, size_t j,
                           mrl_ivdiag_work *work, const mrl_ctx *ctx)
{
  const mrl_lsq *lsq = state->lsq;
  const size_t l = lsq->n_inst, m = lsq->kx + 1;
  const double explained = sum_squares(inst_coord(lsq, j), l);
  const double left = sum_squares(lsq->rxx + j * m, j + 1);
  mrl_test *test = &out->strength[j];
  out->partial_r2[j] = explained / (explained + left);
  test->df1 = (double)l;
  test->df2 = first_df2(state);
  if (!state->robust) {
    test->statistic = test->df2 > 0 ? explained / test->df1 / (left / test->df2) : NAN;
    return MRL_OK;
  }
  MRL_TRY(instrument_omega(state, state->v + j * lsq->n, lsq->kc, j, work, ctx));
  double wald = NAN;
  MRL_TRY(or_nan(
      mrl_gmm_distance(&wald, NULL, inst_coord(lsq, j), NULL, l, work->omega, l, 0, work->gmm),
      &wald));
  test->statistic = wald / test->df1;
  return lsq->kx == 1 ? effective_f(out, state, work) : MRL_OK;
}

/* Exposure j's strength given that the others are instrumented too. */
static mrl_status conditional_f(mrl_iv_diagnostics *out, const mrl_iv_state *state, size_t j,
                                mrl_ivdiag_work *work, const mrl_ctx *ctx)
{
  const mrl_lsq *lsq = state->lsq;
  const size_t n = lsq->n, l = lsq->n_inst, kx = lsq->kx, m = kx + 1;
  mrl_test *test = &out->conditional[j];
  if (kx == 1) {
    *test = out->strength[0];
    return MRL_OK;
  }
  for (size_t i = 0, to = 0; i < kx; i++) {
    if (i != j) {
      memcpy(work->others + l * to++, inst_coord(lsq, i), l * sizeof *work->others);
    }
  }
  double distance = NAN, left = 0, *d = work->d;
  test->df1 = (double)(l - kx + 1);
  test->df2 = first_df2(state);
  MRL_TRY(or_nan(mrl_gmm_distance(&distance, d, inst_coord(lsq, j), work->others, l, NULL, l,
                                  kx - 1, work->gmm),
                 &distance));
  for (size_t i = 0; i < kx; i++) {
    double r = lsq->rxx[i + j * m];
    for (size_t o = 0; o < kx - 1; o++) {
      r -= lsq->rxx[i + (o < j ? o : o + 1) * m] * d[o];
    }
    left += r * r;
  }
  test->statistic = distance / test->df1 / (left / test->df2);
  if (!state->robust || isnan(distance)) {
    return MRL_OK;
  }
  memcpy(work->error, state->v + j * n, n * sizeof *work->error);
  for (size_t o = 0; o < kx - 1; o++) {
    const double *v = state->v + (o < j ? o : o + 1) * n;
    for (size_t i = 0; i < n; i++) {
      work->error[i] -= d[o] * v[i];
    }
  }
  MRL_TRY(instrument_omega(state, work->error, lsq->kc, kx, work, ctx));
  MRL_TRY(or_nan(mrl_gmm_distance(&distance, d, inst_coord(lsq, j), work->others, l, work->omega, l,
                                  kx - 1, work->gmm),
                 &distance));
  test->statistic = distance / test->df1;
  return MRL_OK;
}

/* Sargan's n u'P_Z u / u'u, or Hansen's J: the least distance of the moments in their metric. */
static mrl_status overidentification(mrl_iv_diagnostics *out, const mrl_iv_state *state,
                                     mrl_ivdiag_work *work, const mrl_ctx *ctx)
{
  const mrl_lsq *lsq = state->lsq;
  const size_t n = lsq->n, l = lsq->n_inst, kx = lsq->kx;
  mrl_test *test = &out->overid;
  test->df1 = (double)(l - kx);
  test->df2 = NAN;
  test->statistic = NAN;
  if (l == kx) {
    return MRL_OK;
  }
  if (!state->robust) {
    double distance = NAN, rss = state->u ? 0 : mrl_lsq_rss(lsq, state->beta);
    MRL_TRY(mrl_gmm_distance(&distance, work->d, inst_coord(lsq, kx), inst_coord(lsq, 0), lsq->kc,
                             NULL, l, kx, work->gmm));
    for (size_t i = 0; state->u && i < n; i++) {
      rss += (state->weights ? state->weights[i] : 1) * state->u[i] * state->u[i];
    }
    test->statistic = (double)n * distance / rss;
    return MRL_OK;
  }
  MRL_TRY(instrument_omega(state, state->u, 0, kx, work, ctx));
  return or_nan(mrl_gmm_distance(&test->statistic, work->d, inst_coord(lsq, kx), inst_coord(lsq, 0),
                                 lsq->kc, work->omega, l, kx, work->gmm),
                &test->statistic);
}

/*
 * What the Wu-Hausman tests need. The first-stage residuals V may have a rank r below kx: a
 * combination of exposures that the instruments determine is exogenous. kept (r): residuals that
 * are independent; V = V_kept map. d = map beta - beta_2, where beta_2 are the slopes on V_kept in
 * the regression of the outcome on [W, X_hat, V_kept]; exogeneity is d = 0.
 */
typedef struct {
  size_t r;
  size_t *kept;     /* (kx) */
  double *map;      /* (r, kx) */
  double *bread_v;  /* (r, r) inverse of V_kept'V_kept */
  double *d;        /* (kx), the first r used */
  double *variance; /* (r, r) of d */
  double *rest;     /* workspace of the robust test */
} mrl_exogeneity;

static mrl_status residual_space(mrl_exogeneity *ex, const mrl_iv_state *state)
{
  const mrl_lsq *lsq = state->lsq;
  const size_t kx = lsq->kx, m = kx + 1;
  ex->r = 0;
  for (size_t j = 0; j < kx; j++) {
    if (lsq->rxx[j + j * m] > 0) {
      ex->kept[ex->r++] = j;
    }
  }
  const size_t r = ex->r;
  if (r == 0) {
    return MRL_OK;
  }
  double *beta_2 = ex->d;
  for (size_t i = 0; i < r; i++) {
    for (size_t j = 0; j < r; j++) {
      ex->bread_v[i + j * r] = lsq->rxx[ex->kept[i] + ex->kept[j] * m];
    }
    for (size_t j = 0; j < kx; j++) {
      ex->map[i + j * r] = lsq->rxx[ex->kept[i] + j * m];
    }
    beta_2[i] = lsq->rxx[ex->kept[i] + kx * m];
  }
  MRL_TRY(mrl_triangular_solve(ex->map, ex->bread_v, r, kx, 0));
  MRL_TRY(mrl_triangular_solve(beta_2, ex->bread_v, r, 1, 0));
  mrl_small_gemm(ex->d, r, ex->map, r, 0, state->beta, kx, 0, r, 1, kx, 1, -1);
  return mrl_cholesky_inverse(ex->bread_v, r);
}

/* Homoskedastic: d' inverse(map A^-1 map' + bread_v) d over the augmented regression's variance. */
static mrl_status wu_hausman_iid(mrl_test *test, const mrl_iv_state *state, mrl_exogeneity *ex,
                                 mrl_ivdiag_work *work)
{
  const mrl_lsq *lsq = state->lsq;
  const size_t kx = lsq->kx, kw = lsq->kw, k = kw + kx, m = kx + 1, l = lsq->n_inst, r = ex->r;
  double distance = 0, left = 0, *half = ex->rest;
  mrl_small_gemm(half, r, ex->map, r, 0, state->bread + kw + kw * k, k, 0, r, kx, kx, 1, 0);
  memcpy(ex->variance, ex->bread_v, r * r * sizeof *ex->variance);
  mrl_small_gemm(ex->variance, r, half, r, 0, ex->map, r, 1, r, r, kx, 1, 1);
  MRL_TRY(mrl_gmm_distance(&left, work->a, inst_coord(lsq, kx), inst_coord(lsq, 0), lsq->kc, NULL,
                           l, kx, work->gmm));
  left += lsq->rxx[kx + kx * m] * lsq->rxx[kx + kx * m];
  MRL_TRY(mrl_gmm_distance(&distance, NULL, ex->d, NULL, r, ex->variance, r, 0, work->gmm));
  test->statistic = distance / test->df1 / (left / test->df2);
  return MRL_OK;
}

/* The columns [W, X_hat, V_kept] and the map from their scores to d: map bread_beta, -bread_v. */
static void augmented_columns(mrl_ivdiag_work *work, double *to_d, const mrl_iv_state *state,
                              const mrl_exogeneity *ex)
{
  const mrl_lsq *lsq = state->lsq;
  const size_t n = lsq->n, kx = lsq->kx, kw = lsq->kw, k = kw + kx, r = ex->r;
  for (size_t j = 0; j < k + r; j++) {
    const int exogenous = j < kw;
    work->col[j] = exogenous ? lsq->c.col[j]
                   : j < k   ? state->x_hat + (j - kw) * n
                             : state->v + ex->kept[j - k] * n;
    work->shift[j] = exogenous ? lsq->c.shift[j] : 0;
    work->scale[j] = exogenous ? lsq->c.scale[j] : 1;
  }
  mrl_small_gemm(to_d, r, ex->map, r, 0, state->bread + kw, k, 0, r, k, kx, 1, 0);
  for (size_t i = 0; i < r * r; i++) {
    to_d[r * k + i] = -ex->bread_v[i];
  }
}

/* Robust: the Wald test of d = 0. */
static mrl_status wu_hausman_robust(mrl_test *test, const mrl_iv_state *state, mrl_exogeneity *ex,
                                    mrl_ivdiag_work *work, const mrl_ctx *ctx)
{
  const mrl_lsq *lsq = state->lsq;
  const size_t n = lsq->n, r = ex->r, p = lsq->kw + lsq->kx + r;
  double *meat = ex->rest, *to_d = meat + p * p, *half = to_d + r * p, wald = NAN;
  augmented_columns(work, to_d, state, ex);
  memcpy(work->error, state->u, n * sizeof *work->error);
  for (size_t j = 0; j < r; j++) {
    const double *v = state->v + ex->kept[j] * n;
    for (size_t i = 0; i < n; i++) {
      work->error[i] += ex->d[j] * v[i];
    }
  }
  const mrl_columns columns = {work->col, work->shift, work->scale, NULL, n, p};
  MRL_TRY(mrl_meat(meat, &columns, work->error, state->weights, state->cluster, state->n_cluster,
                   &work->meat, state->isa, ctx));
  mrl_small_gemm(half, r, to_d, r, 0, meat, p, 0, r, p, p, mrl_robust_factor(state, p), 0);
  mrl_small_gemm(ex->variance, r, half, r, 0, to_d, r, 1, r, r, p, 1, 0);
  MRL_TRY(
      or_nan(mrl_gmm_distance(&wald, NULL, ex->d, NULL, r, ex->variance, r, 0, work->gmm), &wald));
  test->statistic = wald / test->df1;
  return MRL_OK;
}

static mrl_status endogeneity(mrl_iv_diagnostics *out, const mrl_iv_state *state,
                              mrl_ivdiag_work *work, const mrl_ctx *ctx)
{
  const mrl_lsq *lsq = state->lsq;
  const size_t kx = lsq->kx, square = kx * kx;
  double *at = work->wald;
  mrl_exogeneity ex = {0, work->kept, at, at + square, work->d, at + 2 * square, at + 3 * square};
  mrl_test *test = &out->endogeneity;
  MRL_TRY(residual_space(&ex, state));
  const double df = (double)lsq->n - (double)(lsq->kw + kx + ex.r);
  test->df1 = (double)ex.r;
  test->df2 = state->n_cluster > 0 ? (double)state->n_cluster - 1 : df;
  test->statistic = NAN;
  if (df <= 0 || ex.r == 0) {
    return MRL_OK; /* nothing is left over that could be endogenous */
  }
  return state->robust ? wu_hausman_robust(test, state, &ex, work, ctx)
                       : or_nan(wu_hausman_iid(test, state, &ex, work), &test->statistic);
}

mrl_status mrl_ivdiag(mrl_iv_diagnostics *out, const mrl_iv_state *state, mrl_ivdiag_work *work,
                      const mrl_ctx *ctx)
{
  const mrl_test none = {NAN, NAN, NAN};
  out->effective = out->endogeneity = out->overid = none;
  out->effective_k = NAN;
  if (state->lsq->kx == 0) {
    return MRL_OK;
  }
  for (size_t j = 0; j < state->lsq->kx; j++) {
    MRL_TRY(strength(out, state, j, work, ctx));
  }
  for (size_t j = 0; j < state->lsq->kx; j++) {
    MRL_TRY(conditional_f(out, state, j, work, ctx));
  }
  MRL_TRY(endogeneity(out, state, work, ctx));
  return overidentification(out, state, work, ctx);
}
