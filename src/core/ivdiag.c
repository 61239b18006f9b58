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
  work->wald = MRL_TAKE(arena, double, (k + kx) * (k + kx) + 2 * kx * (k + kx) + 3 * kx * kx);
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

mrl_status mrl_rotated_meat(double *rotated, const mrl_iv_state *state, const double *error,
                            size_t columns, mrl_meat_work *work, const mrl_ctx *ctx)
{
  const mrl_lsq *lsq = state->lsq;
  const size_t kc = lsq->kc;
  MRL_TRY(mrl_meat(rotated, &lsq->c, error, state->weights, state->cluster, state->n_cluster, work,
                   state->isa, ctx));
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
    double distance = NAN, rss = 0;
    MRL_TRY(mrl_gmm_distance(&distance, work->d, inst_coord(lsq, kx), inst_coord(lsq, 0), lsq->kc,
                             NULL, l, kx, work->gmm));
    for (size_t i = 0; i < n; i++) {
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

/* inverse(R_xx'R_xx) over the exposures (kx, kx): the bread of the first-stage residuals. */
static mrl_status residual_bread(double *bread, const mrl_lsq *lsq)
{
  const size_t kx = lsq->kx, m = kx + 1;
  for (size_t j = 0; j < kx; j++) {
    if (!(lsq->rxx[j + j * m] > 0)) {
      return MRL_SINGULAR; /* the instruments determine an exposure */
    }
    memcpy(bread + j * kx, lsq->rxx + j * m, kx * sizeof *bread);
  }
  return mrl_cholesky_inverse(bread, kx);
}

/* d = beta - beta2, where beta2 is the slope on the first-stage residuals. */
static void exogeneity_contrast(double *d, const mrl_iv_state *state, const double *bread_v)
{
  const mrl_lsq *lsq = state->lsq;
  const size_t kx = lsq->kx, m = kx + 1;
  for (size_t i = 0; i < kx; i++) {
    d[i] = state->beta[i];
    for (size_t j = 0; j < kx; j++) {
      double cross = 0; /* (R_xx' R_xy)_j */
      for (size_t a = 0; a <= j; a++) {
        cross += lsq->rxx[a + j * m] * lsq->rxx[a + kx * m];
      }
      d[i] -= bread_v[i + j * kx] * cross;
    }
  }
}

/* Homoskedastic: d' inverse(A^-1 + B^-1) d over the augmented regression's variance. */
static mrl_status wu_hausman_iid(mrl_test *test, const mrl_iv_state *state, const double *bread_v,
                                 double *variance, mrl_ivdiag_work *work)
{
  const mrl_lsq *lsq = state->lsq;
  const size_t kx = lsq->kx, kw = lsq->kw, k = kw + kx, m = kx + 1, l = lsq->n_inst;
  double distance = 0, left = 0;
  for (size_t j = 0; j < kx; j++) {
    for (size_t i = 0; i < kx; i++) {
      variance[i + j * kx] = state->bread[kw + i + (kw + j) * k] + bread_v[i + j * kx];
    }
  }
  MRL_TRY(mrl_gmm_distance(&left, work->a, inst_coord(lsq, kx), inst_coord(lsq, 0), lsq->kc, NULL,
                           l, kx, work->gmm));
  left += lsq->rxx[kx + kx * m] * lsq->rxx[kx + kx * m];
  MRL_TRY(mrl_gmm_distance(&distance, NULL, work->d, NULL, kx, variance, kx, 0, work->gmm));
  test->statistic = distance / (double)kx / (left / test->df2);
  return MRL_OK;
}

/* Robust: the Wald test of d = 0 in the regression on [W, X_hat, V]. */
static mrl_status wu_hausman_robust(mrl_test *test, const mrl_iv_state *state,
                                    const double *bread_v, double *variance, mrl_ivdiag_work *work,
                                    const mrl_ctx *ctx)
{
  const mrl_lsq *lsq = state->lsq;
  const size_t n = lsq->n, kx = lsq->kx, kw = lsq->kw, k = kw + kx, p = k + kx;
  double *meat = variance + kx * kx, *map = meat + p * p, *half = map + kx * p, wald = NAN;
  for (size_t j = 0; j < p; j++) {
    const int exogenous = j < kw;
    work->col[j] = exogenous ? lsq->c.col[j]
                   : j < k   ? state->x_hat + (j - kw) * n
                             : state->v + (j - k) * n;
    work->shift[j] = exogenous ? lsq->c.shift[j] : 0;
    work->scale[j] = exogenous ? lsq->c.scale[j] : 1;
    for (size_t i = 0; i < kx; i++) {
      map[i + j * kx] = j < k ? state->bread[kw + i + j * k] : -bread_v[i + (j - k) * kx];
    }
  }
  memcpy(work->error, state->u, n * sizeof *work->error);
  for (size_t j = 0; j < kx; j++) {
    for (size_t i = 0; i < n; i++) {
      work->error[i] += work->d[j] * state->v[i + j * n];
    }
  }
  const mrl_columns columns = {work->col, work->shift, work->scale, NULL, n, p};
  MRL_TRY(mrl_meat(meat, &columns, work->error, state->weights, state->cluster, state->n_cluster,
                   &work->meat, state->isa, ctx));
  mrl_small_gemm(half, kx, map, kx, 0, meat, p, 0, kx, p, p, mrl_robust_factor(state, p), 0);
  mrl_small_gemm(variance, kx, half, kx, 0, map, kx, 1, kx, kx, p, 1, 0);
  MRL_TRY(
      or_nan(mrl_gmm_distance(&wald, NULL, work->d, NULL, kx, variance, kx, 0, work->gmm), &wald));
  test->statistic = wald / (double)kx;
  return MRL_OK;
}

static mrl_status endogeneity(mrl_iv_diagnostics *out, const mrl_iv_state *state,
                              mrl_ivdiag_work *work, const mrl_ctx *ctx)
{
  const mrl_lsq *lsq = state->lsq;
  const size_t kx = lsq->kx;
  double *bread_v = work->wald, *variance = bread_v + kx * kx;
  mrl_test *test = &out->endogeneity;
  const double df = (double)lsq->n - (double)(lsq->kw + 2 * kx);
  test->df1 = (double)kx;
  test->df2 = state->n_cluster > 0 ? (double)state->n_cluster - 1 : df;
  test->statistic = NAN;
  if (df <= 0 || residual_bread(bread_v, lsq) != MRL_OK) {
    return MRL_OK;
  }
  exogeneity_contrast(work->d, state, bread_v);
  return state->robust
             ? wu_hausman_robust(test, state, bread_v, variance, work, ctx)
             : or_nan(wu_hausman_iid(test, state, bread_v, variance, work), &test->statistic);
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
