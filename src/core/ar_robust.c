#include "ar_robust.h"

#include "blas.h"

#include <math.h>
#include <string.h>

enum { GRID = 720 };

static const double PI = 3.14159265358979323846;

typedef struct {
  mrl_lsq lsq;
  void *gram;
  double *error;    /* (n, 3) what exogenous columns leave of exposure and outcome, and their sum */
  double *pi;       /* (c, 2) */
  double *rotated;  /* (c, c) */
  double *omega[3]; /* (l, l) covariances of the instruments' coordinates of the three errors */
  double *mix;      /* (l, l) that of y - beta x */
  double *g;        /* (l) */
  double *gmm;
  double *value; /* (GRID + 1) */
  mrl_meat_work meat;
  mrl_weak_form form;
  double critical, units, df2; /* units: rows or clusters */
} mrl_ar_work;

static void carve(mrl_ar_work *work, const mrl_lsq_data *data, const mrl_iv_settings *settings,
                  const mrl_ctx *ctx, mrl_arena *arena)
{
  const size_t n = data->n, l = data->n_inst;
  mrl_lsq_carve(&work->lsq, data, arena);
  const size_t c = work->lsq.k_full + l, square = c * c;
  work->gram = mrl_take(arena, mrl_gram_scratch(work->lsq.p, ctx), 1);
  work->error = MRL_TAKE(arena, double, 3 * n);
  work->pi = MRL_TAKE(arena, double, 2 * c);
  work->rotated = MRL_TAKE(arena, double, square);
  for (size_t i = 0; i < 3; i++) {
    work->omega[i] = MRL_TAKE(arena, double, l *l);
  }
  work->mix = MRL_TAKE(arena, double, l *l);
  work->g = MRL_TAKE(arena, double, l);
  work->gmm = MRL_TAKE(arena, double, mrl_gmm_work(l, 0));
  work->value = MRL_TAKE(arena, double, GRID + 1);
  mrl_meat_carve(&work->meat, n, c, settings->n_cluster, ctx, arena);
}

size_t mrl_ar_scratch(const mrl_lsq_data *data, const mrl_iv_settings *settings, const mrl_ctx *ctx)
{
  mrl_ar_work work;
  mrl_arena arena = mrl_arena_measure();
  carve(&work, data, settings, ctx, &arena);
  return arena.failed ? 0 : arena.used;
}

/* What the exogenous columns leave of the exposure and of the outcome, and the sum of both, in
 * scaled units: with the instruments' coordinates 0 their coefficients are. */
static mrl_status errors(mrl_ar_work *work, const mrl_ctx *ctx)
{
  const mrl_lsq *lsq = &work->lsq;
  const size_t n = lsq->n, kc = lsq->kc, first = lsq->p - 2;
  memset(work->pi, 0, 2 * kc * sizeof *work->pi);
  for (size_t j = 0; j < 2; j++) {
    memcpy(work->pi + j * kc, lsq->rcx + j * kc, lsq->kw * sizeof *work->pi);
  }
  MRL_TRY(mrl_triangular_solve(work->pi, lsq->rc, kc, 2, 0));
  for (size_t j = 0; j < 2; j++) {
    double *out = work->error + j * n;
    for (size_t i = 0; i < n; i++) {
      out[i] = (lsq->col[first + j][i] - lsq->shift[first + j]) * lsq->scale[first + j];
    }
    mrl_columns_subtract(out, out, &lsq->c, work->pi + j * kc, ctx);
  }
  for (size_t i = 0; i < n; i++) {
    work->error[i + 2 * n] = work->error[i] + work->error[i + n];
  }
  return MRL_OK;
}

/* Second moments of the scores: omega of exposure and outcome, and twice their cross moments. */
static mrl_status covariances(mrl_ar_work *work, const mrl_lsq_data *data,
                              const mrl_iv_settings *settings, const mrl_ctx *ctx)
{
  const mrl_lsq *lsq = &work->lsq;
  const size_t n = lsq->n, kc = lsq->kc, kw = lsq->kw, l = lsq->n_inst;
  mrl_iv_state state = {0};
  state.lsq = lsq;
  state.weights = data->weights;
  state.cluster = settings->cluster;
  state.n_cluster = settings->n_cluster;
  state.robust = 1;
  state.isa = settings->isa;
  for (size_t e = 0; e < 3; e++) {
    MRL_TRY(mrl_rotated_meat(work->rotated, &state, work->error + e * n, 0, &work->meat, ctx));
    for (size_t j = 0; j < l; j++) {
      memcpy(work->omega[e] + j * l, work->rotated + kw + (kw + j) * kc, l * sizeof *work->g);
    }
  }
  for (size_t i = 0; i < l * l; i++) {
    work->omega[2][i] -= work->omega[0][i] + work->omega[1][i];
  }
  return MRL_OK;
}

/* The statistic of the combination bx exposure + by outcome, NaN where its moments are singular:
 * g'inverse(omega) g is at most the number of units. */
static double statistic(mrl_ar_work *work, double bx, double by)
{
  const mrl_lsq *lsq = &work->lsq;
  const size_t l = lsq->n_inst, kc = lsq->kc;
  const double *x = lsq->rcx + lsq->kw, *y = x + kc;
  double score;
  for (size_t i = 0; i < l; i++) {
    work->g[i] = bx * x[i] + by * y[i];
  }
  for (size_t i = 0; i < l * l; i++) {
    work->mix[i] =
        bx * bx * work->omega[0][i] + by * by * work->omega[1][i] + bx * by * work->omega[2][i];
  }
  const mrl_status status =
      mrl_gmm_distance(&score, NULL, work->g, NULL, l, work->mix, l, 0, work->gmm);
  const double rest = work->units - score;
  if (status != MRL_OK) {
    return NAN;
  }
  return rest > 0 ? score / (double)l / (rest / work->df2) : INFINITY;
}

static double at_angle(mrl_ar_work *work, double angle)
{
  const double *dir = work->form.dir, c = cos(angle), s = sin(angle);
  return statistic(work, dir[0] * c + dir[2] * s, dir[1] * c + dir[3] * s);
}

/* The angle in (from, to) where the statistic is least (sign 1) or greatest (sign -1). */
static double extreme(mrl_ar_work *work, double from, double to, double sign)
{
  const double golden = 0.61803398874989484820;
  double a = to - golden * (to - from), b = from + golden * (to - from);
  double fa = sign * at_angle(work, a), fb = sign * at_angle(work, b);
  for (int i = 0; i < 40; i++) {
    if (fa < fb) {
      to = b;
      b = a;
      fb = fa;
      a = to - golden * (to - from);
      fa = sign * at_angle(work, a);
    } else {
      from = a;
      a = b;
      fa = fb;
      b = from + golden * (to - from);
      fb = sign * at_angle(work, b);
    }
  }
  return (from + to) / 2;
}

/* Where the statistic crosses the critical value between an angle inside the set and one outside.
 */
static double crossing(mrl_ar_work *work, double inside, double outside)
{
  for (int i = 0; i < 60; i++) {
    const double middle = (inside + outside) / 2;
    if (at_angle(work, middle) <= work->critical) {
      inside = middle;
    } else {
      outside = middle;
    }
  }
  return inside;
}

/* Cuts of the circle, in order: angles where the set is entered and left in turn. */
typedef struct {
  double at[2 * MRL_AR_MAX];
  size_t n;
  int inside; /* at angle 0 */
} mrl_ar_cuts;

static void add_cut(mrl_ar_cuts *cuts, double angle)
{
  if (cuts->n < 2 * MRL_AR_MAX) {
    cuts->at[cuts->n++] = angle;
  }
}

/* Does the statistic dip below (or rise above) the critical value between three grid points that
 * it is above (below) at? */
static void look_between(mrl_ar_work *work, mrl_ar_cuts *cuts, size_t i)
{
  const double step = PI / GRID, angle = (double)i * step;
  const double left = work->value[(i + GRID - 1) % GRID], at = work->value[i];
  const double right = work->value[i + 1];
  const int inside = at <= work->critical;
  const double sign = inside ? -1 : 1;
  if (sign * at > sign * left || sign * at > sign * right) {
    return;
  }
  const double best = extreme(work, angle - step, angle + step, sign);
  if ((at_angle(work, best) <= work->critical) == inside) {
    return;
  }
  if (inside) {
    add_cut(cuts, crossing(work, angle - step, best));
    add_cut(cuts, crossing(work, angle + step, best));
  } else {
    add_cut(cuts, crossing(work, best, angle - step));
    add_cut(cuts, crossing(work, best, angle + step));
  }
}

static void find_cuts(mrl_ar_work *work, mrl_ar_cuts *cuts, const mrl_ctx *ctx)
{
  const double step = PI / GRID;
  for (size_t i = 0; i < GRID; i++) {
    mrl_poll(ctx);
    work->value[i] = at_angle(work, (double)i * step);
  }
  work->value[GRID] = work->value[0];
  cuts->n = 0;
  cuts->inside = work->value[0] <= work->critical;
  for (size_t i = 0; i < GRID; i++) {
    const int here = work->value[i] <= work->critical, next = work->value[i + 1] <= work->critical;
    const int before = work->value[(i + GRID - 1) % GRID] <= work->critical;
    const double angle = (double)i * step;
    mrl_poll(ctx);
    if (here == next && here == before) {
      look_between(work, cuts, i);
    }
    if (here != next) {
      add_cut(cuts,
              here ? crossing(work, angle, angle + step) : crossing(work, angle + step, angle));
    }
  }
}

static void write_set(mrl_ar_fit *fit, const mrl_ar_cuts *cuts, const double *dir, double unit)
{
  fit->n_set = 0;
  if (cuts->n == 0) {
    fit->n_set = cuts->inside ? 1 : 0;
    fit->low[0] = -INFINITY;
    fit->high[0] = INFINITY;
    return;
  }
  /* Arcs run from each entry to the exit after it; the last may pass angle pi. */
  for (size_t i = cuts->inside ? 1 : 0; i < cuts->n && fit->n_set < MRL_AR_MAX; i += 2) {
    const double to = i + 1 < cuts->n ? cuts->at[i + 1] : cuts->at[0] + PI;
    fit->n_set += mrl_weak_arc(fit->low + fit->n_set, fit->high + fit->n_set, dir, cuts->at[i], to);
  }
  for (size_t i = 0; i < fit->n_set; i++) {
    fit->low[i] *= unit;
    fit->high[i] *= unit;
  }
  mrl_weak_sort(fit->low, fit->high, fit->n_set);
}

static mrl_status prepare(mrl_ar_work *work, const mrl_lsq_data *data,
                          const mrl_iv_settings *settings, const mrl_ctx *ctx)
{
  const mrl_lsq *lsq = &work->lsq;
  double between[4], within[4];
  MRL_TRY(mrl_lsq_factor(&work->lsq, data, work->gram, settings->isa, ctx));
  if (lsq->n_inst < 1 || lsq->n <= lsq->kc) {
    return MRL_TOO_FEW;
  }
  const double *b = lsq->rcx + lsq->kw;
  mrl_small_gemm(between, 2, b, lsq->kc, 1, b, lsq->kc, 0, 2, 2, lsq->n_inst, 1, 0);
  mrl_small_gemm(within, 2, lsq->rxx, 2, 1, lsq->rxx, 2, 0, 2, 2, 2, 1, 0);
  MRL_TRY(mrl_weak_prepare(&work->form, between, within, (double)lsq->n_inst,
                           (double)lsq->n - (double)lsq->kc));
  const int clustered = settings->n_cluster > 0;
  work->units = (double)(clustered ? settings->n_cluster : lsq->n);
  work->df2 = work->units - (double)(clustered ? lsq->n_inst : lsq->kc);
  if (!(work->df2 > 0)) {
    return MRL_SINGULAR;
  }
  MRL_TRY(errors(work, ctx));
  return covariances(work, data, settings, ctx);
}

mrl_status mrl_ar_run(mrl_ar_fit *fit, const mrl_lsq_data *data, const mrl_iv_settings *settings,
                      const double *beta, size_t n_beta, mrl_f_quantile quantile, void *quantile_of,
                      void *scratch, size_t size, const mrl_ctx *ctx)
{
  mrl_ar_work work;
  mrl_ar_cuts cuts;
  mrl_arena arena = mrl_arena_over(scratch, size);
  if (data->n_endog != 1) {
    return MRL_BAD_ARGUMENT;
  }
  carve(&work, data, settings, ctx, &arena);
  if (arena.failed) {
    return MRL_NO_MEMORY;
  }
  MRL_TRY(prepare(&work, data, settings, ctx));
  const mrl_lsq *lsq = &work.lsq;
  const double unit = lsq->scale[lsq->p - 2] / lsq->scale[lsq->p - 1];
  fit->df1 = (double)lsq->n_inst;
  fit->df2 = work.df2;
  work.critical = quantile(fit->df1, fit->df2, quantile_of);
  if (isnan(at_angle(&work, 0))) {
    return MRL_SINGULAR;
  }
  for (size_t i = 0; i < n_beta; i++) {
    fit->statistic[i] = statistic(&work, -beta[i] / unit, 1);
  }
  find_cuts(&work, &cuts, ctx);
  write_set(fit, &cuts, work.form.dir, unit);
  return MRL_OK;
}
