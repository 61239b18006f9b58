#include "mvmr_part.h"
#include "mvmr_q.h"

#include <math.h>

typedef struct {
  double *z, *cov;    /* (k + 1, n), (k + 1, k + 1, n): of one question at a time */
  double *column, *r; /* (n, k), (k, k) */
  double *theta;      /* (k) */
  double *coef, *se;  /* (k) of IVW */
  double *line, *q;   /* work */
} workspace;

static workspace carve(mrl_arena *arena, const mrl_mv_data *d)
{
  const size_t n = d->n, k = d->k, m = k + 1;
  workspace space;
  space.z = MRL_TAKE(arena, double, m *n);
  space.cov = MRL_TAKE(arena, double, m *m *n);
  space.column = MRL_TAKE(arena, double, n *k);
  space.r = MRL_TAKE(arena, double, k *k);
  space.theta = MRL_TAKE(arena, double, k);
  space.coef = MRL_TAKE(arena, double, k);
  space.se = MRL_TAKE(arena, double, k);
  space.line = MRL_TAKE(arena, double, mrl_mv_line_work(n, k));
  space.q = MRL_TAKE(arena, double, mrl_mv_q_work(k));
  return space;
}

size_t mrl_mv_diagnose_scratch(const mrl_mv_data *data)
{
  mrl_arena arena = mrl_arena_measure();
  carve(&arena, data);
  return arena.failed ? SIZE_MAX : arena.used;
}

/* Which estimate stands at place a when exposure j is the response; k asks of the outcome. */
static size_t at_place(size_t a, size_t j, size_t k)
{
  return j == k ? a : a < j ? a : a + 1 < k ? a + 1 : j;
}

/* The statistic of one response given the (other) exposures. */
static mrl_mv_q ask(const workspace *space, const mrl_mv_data *d, size_t j)
{
  const size_t k = d->k, m = j == k ? k + 1 : k, all = k + 1;
  for (size_t i = 0; i < d->n; i++) {
    for (size_t b = 0; b < m; b++) {
      const size_t to = at_place(b, j, k);
      space->z[b + i * m] = to < k ? d->bx[i + to * d->n] : d->by[i];
      for (size_t a = 0; a < m; a++) {
        space->cov[a + b * m + i * m * m] = d->cov[at_place(a, j, k) + to * all + i * all * all];
      }
    }
  }
  const mrl_mv_q q = {space->z, space->cov, NULL, d->n, m, 0};
  return q;
}

/* theta := unweighted least squares of the response on the others; 0 if collinear. */
static int unweighted(const workspace *space, const mrl_mv_q *q)
{
  const size_t n = q->n_rows, p = q->m - 1;
  for (size_t i = 0; i < n; i++) {
    for (size_t a = 0; a < p; a++) {
      space->column[i + a * n] = space->z[a + i * q->m];
    }
  }
  if (mrl_mv_orthonormal(space->column, space->r, n, p) < p) {
    return 0;
  }
  for (size_t a = 0; a < p; a++) {
    space->theta[a] = 0;
    for (size_t i = 0; i < n; i++) {
      space->theta[a] += space->column[i + a * n] * space->z[p + i * q->m];
    }
  }
  mrl_mv_back(space->theta, space->r, p, 0);
  return 1;
}

static void strength(mrl_mv_diagnosis *out, const workspace *space, const mrl_mv_data *d, size_t j)
{
  const mrl_mv_q q = ask(space, d, j);
  const double n = (double)d->n;
  double least;
  out->f[j] = out->f_least[j] = NAN;
  if (!unweighted(space, &q)) {
    return;
  }
  out->f[j] = mrl_mv_q_value(&q, space->theta) / n;
  if (d->k == 1) {
    out->f_least[j] = out->f[j];
  } else if (d->n >= d->k && mrl_mv_q_minimise(space->theta, &least, &q, space->q)) {
    out->f_least[j] = least / (n - (double)(d->k - 1));
  }
}

/* Least over the combinations of exposures, the number is the same for all: each search may have
 * come to a local minimum only, so the least of them counts. */
static void share_least(mrl_mv_diagnosis *out, size_t k)
{
  double least = INFINITY;
  for (size_t j = 0; j < k; j++) {
    least = fmin(least, out->f_least[j]); /* of a NaN and a number the number */
  }
  for (size_t j = 0; j < k; j++) {
    out->f_least[j] = isfinite(least) ? least : NAN;
  }
}

static void share_explained(mrl_mv_diagnosis *out, const workspace *space, const mrl_mv_data *d)
{
  for (size_t j = 0; j < d->k; j++) {
    double square = 0;
    for (size_t i = 0; i < d->n; i++) {
      const double x = d->bx[i + j * d->n];
      square += x * x / mrl_mv_outcome_se2(d, i);
    }
    out->r2[j] = fmax(0, 1 - 1 / (square * space->se[j] * space->se[j]));
  }
}

static void heterogeneity(mrl_mv_diagnosis *out, const workspace *space, const mrl_mv_data *d)
{
  const mrl_mv_q q = ask(space, d, d->k);
  out->q = mrl_mv_q_value(&q, space->coef);
  for (size_t i = 0; i < d->n; i++) {
    double v;
    out->residual[i] = -mrl_mv_q_part(&v, NULL, &q, i, space->coef);
    out->spread[i] = sqrt(v);
  }
  for (size_t j = 0; j < d->k; j++) {
    space->theta[j] = space->coef[j];
  }
  if (!mrl_mv_q_minimise(space->theta, &out->q_least, &q, space->q)) {
    out->q_least = NAN;
  }
}

mrl_status mrl_mv_diagnose(mrl_mv_diagnosis *out, const mrl_mv_data *data, void *scratch,
                           size_t scratch_size, const mrl_ctx *ctx)
{
  mrl_arena arena = mrl_arena_over(scratch, scratch_size);
  const workspace space = carve(&arena, data);
  mrl_mv_line fit = {space.coef, space.se, 0, 0};
  if (arena.failed) {
    return MRL_NO_MEMORY;
  }
  const mrl_mv_why why = mrl_mv_line_fit(&fit, data, NULL, NULL, space.line);
  if (why != MRL_MV_FINE) {
    return why == MRL_MV_TOO_FEW ? MRL_TOO_FEW : MRL_SINGULAR;
  }
  for (size_t j = 0; j < data->k; j++) {
    strength(out, &space, data, j);
    mrl_poll(ctx);
  }
  share_least(out, data->k);
  share_explained(out, &space, data);
  heterogeneity(out, &space, data);
  return MRL_OK;
}
