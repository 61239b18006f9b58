#include "mvmr_part.h"
#include "mvmr_q.h"

#include "blas.h"

#include <math.h>
#include <string.h>

enum { MAX_TAU = 100 };

typedef struct {
  double *z;     /* (k + 1, n) estimates of each variant together */
  double *root;  /* (n, n) upper factor of ld, or NULL */
  double *roots; /* (k + 1, k + 1, n) factors of cov, for cML-DP */
  double *draws; /* (k, the larger of the numbers of draws) */
  double *start; /* (k) */
  size_t *basis; /* (k) */
  size_t *row;   /* (n) */
  double **lane; /* (n_lanes) work */
  size_t n_lanes;
} workspace;

static size_t larger(size_t a, size_t b)
{
  return a > b ? a : b;
}

static int asked(const mrl_mv_method *methods, size_t n_methods, mrl_mv_method method)
{
  for (size_t m = 0; m < n_methods; m++) {
    if (methods[m] == method) {
      return 1;
    }
  }
  return 0;
}

static size_t lane_work(const mrl_mv_data *d, const mrl_mv_method *methods, size_t n_methods)
{
  size_t work = larger(mrl_mv_linear_work(d), mrl_mv_q_work(d->k));
  if (asked(methods, n_methods, MRL_MV_MEDIAN)) {
    work = larger(work, mrl_mv_median_work(d->n, d->k));
  }
  if (asked(methods, n_methods, MRL_MV_LASSO)) {
    work = larger(work, mrl_mv_lasso_work(d));
  }
  if (asked(methods, n_methods, MRL_MV_CML) || asked(methods, n_methods, MRL_MV_CML_DP)) {
    work = larger(work, mrl_mv_cml_work(d->n, d->k));
  }
  return work;
}

static workspace carve(mrl_arena *arena, const mrl_mv_data *d, const mrl_mv_method *methods,
                       size_t n_methods, const mrl_mv_settings *settings, const mrl_ctx *ctx)
{
  const int median = asked(methods, n_methods, MRL_MV_MEDIAN);
  const int perturbed = asked(methods, n_methods, MRL_MV_CML_DP);
  const size_t m = d->k + 1, work = lane_work(d, methods, n_methods);
  const size_t n_draws = larger(median ? settings->n_boot : 0, perturbed ? settings->n_perturb : 0);
  workspace space;
  space.n_lanes = median || perturbed ? (size_t)ctx->n_threads : 1;
  space.z = MRL_TAKE(arena, double, m * d->n);
  space.root = d->ld ? MRL_TAKE(arena, double, d->n * d->n) : NULL;
  space.roots = perturbed ? MRL_TAKE(arena, double, m *m * d->n) : NULL;
  space.draws = MRL_TAKE(arena, double, d->k *n_draws);
  space.start = MRL_TAKE(arena, double, d->k);
  space.basis = MRL_TAKE(arena, size_t, d->k);
  space.row = MRL_TAKE(arena, size_t, d->n);
  space.lane = MRL_TAKE(arena, double *, space.n_lanes);
  for (size_t l = 0; l < space.n_lanes; l++) {
    double *lane = MRL_TAKE(arena, double, work);
    if (space.lane) {
      space.lane[l] = lane;
    }
  }
  return space;
}

size_t mrl_mv_run_scratch(const mrl_mv_data *data, const mrl_mv_method *methods, size_t n_methods,
                          const mrl_mv_settings *settings, const mrl_ctx *ctx)
{
  mrl_arena arena = mrl_arena_measure();
  carve(&arena, data, methods, n_methods, settings, ctx);
  return arena.failed ? SIZE_MAX : arena.used;
}

static mrl_mv_q statistic(const workspace *space, const mrl_mv_data *d)
{
  const mrl_mv_q q = {space->z, d->cov, NULL, d->n, d->k + 1, 0};
  return q;
}

/* Draws of one of the two methods that draw, in blocks of some 20 ms a lane. */
static void run_draws(const workspace *space, mrl_mv_method method, const mrl_mv_data *d,
                      const mrl_mv_settings *settings, const mrl_ctx *ctx)
{
  const int median = method == MRL_MV_MEDIAN;
  const size_t n_draws = median ? settings->n_boot : settings->n_perturb;
  const double m = (double)d->k + 1, n = (double)d->n;
  const double starts = 1 + (double)settings->n_starts, choices = (double)settings->n_choices;
  /* Nanoseconds, roughly. */
  const double cost = median ? 50 * n * m * m : 300 * n * m * m * choices * starts;
  const size_t chunk = cost < 2e7 ? (size_t)(2e7 / cost) : 1;
  for (size_t from = 0; from < n_draws; from += space->n_lanes * chunk) {
#pragma omp parallel for num_threads((int)space->n_lanes) schedule(static, 1)
    for (size_t l = 0; l < space->n_lanes; l++) {
      const size_t first = from + l * chunk, end = first + chunk;
      for (size_t i = first; i < end && i < n_draws; i++) {
        double *b = space->draws + i * d->k;
        if (median) {
          mrl_mv_median_draw(b, space->basis, d, settings, i, space->lane[l]);
        } else {
          mrl_mv_cml_draw(b, space->z, space->roots, d->cov, d->n, d->k, settings, i,
                          space->lane[l]);
        }
      }
    }
    mrl_poll(ctx);
  }
}

/* Mean and standard deviation of the draws of effect j that are finite; their number. */
static size_t summarise(double *mean, double *sd, const double *draws, size_t n, size_t k, size_t j)
{
  size_t count = 0;
  double sum = 0, square = 0;
  for (size_t i = 0; i < n; i++) {
    if (isfinite(draws[j + i * k])) {
      sum += draws[j + i * k];
      count++;
    }
  }
  *mean = sum / (double)count;
  for (size_t i = 0; i < n; i++) {
    if (isfinite(draws[j + i * k])) {
      const double d = draws[j + i * k] - *mean;
      square += d * d;
    }
  }
  *sd = count > 1 ? sqrt(square / (double)(count - 1)) : NAN;
  return count;
}

static void run_median(mrl_mv_estimate *out, const workspace *space, const mrl_mv_data *d,
                       const mrl_mv_settings *settings, const mrl_ctx *ctx)
{
  if (!mrl_mv_median_fit(out->b, space->basis, d, space->lane[0])) {
    out->why = MRL_MV_NO_CONVERGE;
    return;
  }
  out->df = (double)(d->n - d->k);
  run_draws(space, MRL_MV_MEDIAN, d, settings, ctx);
  for (size_t j = 0; j < d->k; j++) {
    double mean;
    out->n_draws = summarise(&mean, &out->se[j], space->draws, settings->n_boot, d->k, j);
  }
}

/* Likelihood's standard errors and Q over the variants found valid. */
static void likelihood_errors(mrl_mv_estimate *out, const workspace *space, const mrl_mv_data *d)
{
  mrl_mv_q q = statistic(space, d);
  size_t count = 0;
  for (size_t i = 0; i < d->n; i++) {
    if (out->valid[i]) {
      space->row[count++] = i;
    }
  }
  q.row = space->row;
  q.n_rows = count;
  out->q = mrl_mv_q_value(&q, out->b);
  out->q_df = (double)count - (double)d->k;
  if (!mrl_mv_q_se(out->se, &q, out->b, 0, space->lane[0])) {
    out->why = MRL_MV_NO_CONVERGE;
  }
}

static void run_cml(mrl_mv_estimate *out, mrl_mv_method method, const workspace *space,
                    const mrl_mv_data *d, const mrl_mv_settings *settings, const mrl_ctx *ctx)
{
  const uint64_t item = (uint64_t)3 << 24; /* no draw has it */
  const size_t n = d->n, k = d->k;
  if (!mrl_mv_cml_fit(out->b, out->valid, space->z, d->cov, n, k, settings, item, space->lane[0],
                      ctx)) {
    out->why = MRL_MV_NO_CONVERGE;
    return;
  }
  likelihood_errors(out, space, d);
  if (method == MRL_MV_CML) {
    return;
  }
  mrl_mv_roots(space->roots, d->cov, n, k + 1);
  run_draws(space, MRL_MV_CML_DP, d, settings, ctx);
  for (size_t j = 0; j < k; j++) {
    out->n_draws = summarise(&out->b[j], &out->se[j], space->draws, settings->n_perturb, k, j);
  }
  out->q = out->q_df = NAN;
}

/* Residual standard error with the outcome's weights, as of IVW. */
static double outcome_sigma(const mrl_mv_data *d, const double *b)
{
  double sum = 0;
  for (size_t i = 0; i < d->n; i++) {
    double e = d->by[i];
    for (size_t j = 0; j < d->k; j++) {
      e -= d->bx[i + j * d->n] * b[j];
    }
    sum += e * e / mrl_mv_outcome_se2(d, i);
  }
  return sqrt(sum / (double)(d->n - d->k));
}

/*
 * tau2 >= 0 at which the least Q is its degrees of freedom; theta follows. Q falls with tau2, so
 * Newton's steps are kept between what is known to be too low and too high.
 */
static int fit_tau2(mrl_mv_q *q, double *theta, double df, double *work)
{
  double low = 0, high = INFINITY, value;
  for (int i = 0; i < MAX_TAU; i++) {
    if (!mrl_mv_q_minimise(theta, &value, q, work)) {
      return 0;
    }
    if ((value <= df && q->tau2 <= 0) || fabs(value - df) <= 1e-10 * df || high - low <= 0) {
      return 1;
    }
    if (value > df) {
      low = q->tau2;
    } else {
      high = q->tau2;
    }
    double next = q->tau2 + (value - df) / mrl_mv_q_fall(q, theta);
    if (!(next > low && next < high)) {
      next = isfinite(high) ? 0.5 * (low + high) : 2 * low;
    }
    if (next <= low || next >= high) {
      return 1; /* no double lies between */
    }
    q->tau2 = next;
  }
  return 0;
}

static void run_least_q(mrl_mv_estimate *out, mrl_mv_method method, const workspace *space,
                        const mrl_mv_data *d)
{
  mrl_mv_q q = statistic(space, d);
  double *work = space->lane[0];
  const double df = (double)(d->n - d->k);
  if (!mrl_mv_q_start(out->b, &q, work)) {
    out->why = MRL_MV_DEGENERATE;
    return;
  }
  if (!mrl_mv_q_minimise(out->b, &out->q, &q, work)) {
    out->why = MRL_MV_NO_CONVERGE;
    return;
  }
  out->q_df = out->df = df;
  if (method == MRL_MV_QHET && !fit_tau2(&q, out->b, df, work)) {
    out->why = MRL_MV_NO_CONVERGE;
    return;
  }
  if (!mrl_mv_q_se(out->se, &q, out->b, 1, work)) {
    out->why = MRL_MV_NO_CONVERGE;
    return;
  }
  if (method == MRL_MV_QHET) {
    out->tau2 = q.tau2;
    return;
  }
  out->sigma = outcome_sigma(d, out->b);
  for (size_t j = 0; j < d->k; j++) {
    out->se[j] *= d->n < 4 ? 1 : fmax(1, out->sigma);
  }
}

static void run_method(mrl_mv_estimate *out, mrl_mv_method method, const workspace *space,
                       const mrl_mv_data *d, const mrl_mv_settings *settings, const mrl_ctx *ctx)
{
  mrl_mv_clear(out, d->n, d->k);
  if (method <= MRL_MV_EGGER) {
    mrl_mv_linear(out, method, d, settings, space->lane[0]);
  } else if (d->ld) {
    out->why = MRL_MV_CORRELATED;
  } else if (d->n <= d->k) {
    out->why = MRL_MV_TOO_FEW;
  } else if (method == MRL_MV_MEDIAN) {
    run_median(out, space, d, settings, ctx);
  } else if (method == MRL_MV_LASSO) {
    mrl_mv_lasso(out, d, settings, space->lane[0], ctx);
  } else if (method == MRL_MV_CML || method == MRL_MV_CML_DP) {
    run_cml(out, method, space, d, settings, ctx);
  } else {
    run_least_q(out, method, space, d);
  }
  mrl_mv_finish(out, d->n, d->k, settings->by_student);
}

mrl_status mrl_mv_run(mrl_mv_estimate *out, const mrl_mv_data *data, const mrl_mv_method *methods,
                      size_t n_methods, const mrl_mv_settings *settings, void *scratch,
                      size_t scratch_size, const mrl_ctx *ctx)
{
  mrl_arena arena = mrl_arena_over(scratch, scratch_size);
  const workspace space = carve(&arena, data, methods, n_methods, settings, ctx);
  if (arena.failed) {
    return MRL_NO_MEMORY;
  }
  mrl_mv_data d = *data;
  if (d.ld) {
    memcpy(space.root, d.ld, d.n * d.n * sizeof *space.root);
    MRL_TRY(mrl_cholesky(space.root, d.n));
    d.ld = space.root;
  }
  for (size_t i = 0; i < d.n; i++) {
    for (size_t j = 0; j <= d.k; j++) {
      space.z[j + i * (d.k + 1)] = j < d.k ? d.bx[i + j * d.n] : d.by[i];
    }
  }
  for (size_t m = 0; m < n_methods; m++) {
    run_method(&out[m], methods[m], &space, &d, settings, ctx);
    mrl_poll(ctx);
  }
  return MRL_OK;
}
