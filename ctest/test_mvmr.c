/* Multivariable estimators without R: closed forms by hand, first-order conditions at what was
 * returned, scratch of exactly the size asked for, threads. */
#include "ctest.h"
#include "mvmr.h"
#include "mvmr_part.h"
#include "mvmr_q.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_N = 60, MAX_K = 4, ALL = MRL_MV_N_METHOD };

typedef struct {
  double bx[MAX_N * MAX_K], by[MAX_N], cov[MAX_N * (MAX_K + 1) * (MAX_K + 1)];
  size_t n, k;
} effects;

static double fraction(double x)
{
  return x - floor(x);
}

/* Scattered effects without a generator; every fourth outcome effect is shifted. */
static void fill(effects *e, size_t n, size_t k, double shift)
{
  const size_t m = k + 1;
  e->n = n;
  e->k = k;
  memset(e->cov, 0, sizeof e->cov);
  for (size_t i = 0; i < n; i++) {
    const double sy = 0.01 + 0.01 * fraction(0.754878 * (double)(i + 1));
    e->by[i] = (i % 4 == 0 ? shift : 0) + sy * 2 * (fraction(0.56984 * (double)(i + 1)) - 0.5);
    for (size_t j = 0; j < k; j++) {
      const double x = fraction((0.618034 + 0.13 * (double)j) * (double)(i + 1)) - 0.4;
      e->bx[i + j * n] = 0.1 * x;
      e->by[i] += (0.4 - 0.3 * (double)j) * e->bx[i + j * n];
    }
    for (size_t a = 0; a < m; a++) {
      const double se = a < k ? 0.006 + 0.002 * (double)a : sy;
      for (size_t b = 0; b < m; b++) {
        const double other = b < k ? 0.006 + 0.002 * (double)b : sy;
        e->cov[a + b * m + i * m * m] = se * other * (a == b ? 1 : 0.2);
      }
    }
  }
}

static mrl_mv_data view(const effects *e)
{
  const mrl_mv_data data = {e->bx, e->by, e->cov, NULL, e->n, e->k};
  return data;
}

static const size_t choices[] = {0, 1, 2, 3, 4};

static mrl_mv_settings defaults(void)
{
  const mrl_mv_settings out = {.seed = 7,
                               .n_boot = 60,
                               .lambda = NAN,
                               .sample_size = 1e4,
                               .n_invalid = choices,
                               .n_choices = 5,
                               .n_perturb = 20,
                               .n_starts = 1,
                               .start_low = -0.5,
                               .start_up = 0.5};
  return out;
}

typedef struct {
  double b[ALL][MAX_K], se[ALL][MAX_K], p[ALL][MAX_K];
  int valid[ALL][MAX_N];
  mrl_mv_estimate at[ALL];
} results;

/* All methods, with exactly as much memory as is asked for. */
static mrl_status run(results *out, const mrl_mv_data *d, const mrl_mv_settings *settings,
                      int n_threads)
{
  const mrl_ctx ctx = {n_threads, NULL, NULL};
  mrl_mv_method methods[ALL];
  for (int m = 0; m < ALL; m++) {
    methods[m] = (mrl_mv_method)m;
    out->at[m].b = out->b[m];
    out->at[m].se = out->se[m];
    out->at[m].p = out->p[m];
    out->at[m].valid = out->valid[m];
  }
  const size_t size = mrl_mv_run_scratch(d, methods, ALL, settings, &ctx);
  void *scratch = malloc(size);
  const mrl_status status = mrl_mv_run(out->at, d, methods, ALL, settings, scratch, size, &ctx);
  CHECK(mrl_mv_run(out->at, d, methods, ALL, settings, scratch, size / 2, &ctx) == MRL_NO_MEMORY);
  free(scratch);
  return status;
}

/* Two exposures and three variants, by hand: (1, 0), (0, 1), (1, 1) with errors of one. */
static void test_by_hand(void)
{
  const double bx[] = {1, 0, 1, 0, 1, 1}, by[] = {1, 2, 6};
  double cov[27];
  for (size_t i = 0; i < 27; i++) {
    cov[i] = i % 9 % 4 == 0;
  }
  const mrl_mv_data d = {bx, by, cov, NULL, 3, 2};
  double coef[2], se[2], work[64];
  mrl_mv_line fit = {coef, se, 0, 0};
  CHECK(mrl_mv_line_work(3, 2) <= 64);
  CHECK(mrl_mv_line_fit(&fit, &d, NULL, NULL, work) == MRL_MV_FINE);
  /* x'x = (2 1; 1 2), x'y = (7, 8): b = (2, 3), residuals (-1, -1, 1). */
  CHECK_NEAR(coef[0], 2, 1e-14);
  CHECK_NEAR(coef[1], 3, 1e-14);
  CHECK_NEAR(fit.rss, 3, 1e-13);
  CHECK_NEAR(se[0], sqrt(2.0 / 3), 1e-14);
  /* Q at (2, 3): e = (-1, -1, 1), v = 4 + 9 + 1. */
  const double z[] = {1, 0, 1, 0, 1, 2, 1, 1, 6}, theta[] = {2, 3};
  const mrl_mv_q q = {z, cov, NULL, 3, 3, 0};
  CHECK_NEAR(mrl_mv_q_value(&q, theta), 3.0 / 14, 1e-15);
  CHECK_NEAR(mrl_mv_q_fall(&q, theta), 3.0 / 196, 1e-15);
}

static void test_conditions(size_t n, size_t k)
{
  effects *e = malloc(sizeof *e);
  results *out = malloc(sizeof *out);
  fill(e, n, k, 0.08);
  const mrl_mv_data d = view(e);
  const mrl_mv_settings settings = defaults();
  CHECK(run(out, &d, &settings, 1) == MRL_OK);
  for (int m = 0; m < ALL; m++) {
    CHECK(out->at[m].why == MRL_MV_FINE);
    for (size_t j = 0; j < k; j++) {
      CHECK(isfinite(out->b[m][j]) && out->se[m][j] > 0 && out->p[m][j] >= 0);
    }
  }
  /* The sum of absolute deviations is least where no small step lowers it. */
  double here = 0;
  for (size_t i = 0; i < n; i++) {
    double left = e->by[i];
    for (size_t j = 0; j < k; j++) {
      left -= e->bx[i + j * n] * out->b[MRL_MV_MEDIAN][j];
    }
    here += fabs(left) / mrl_mv_outcome_se2(&d, i);
  }
  for (size_t try = 0; try < 200; try++) {
    double there = 0;
    for (size_t i = 0; i < n; i++) {
      double left = e->by[i];
      for (size_t j = 0; j < k; j++) {
        const double step = fraction(0.7548 * (double)(try * k + j + 1)) - 0.5;
        left -= e->bx[i + j * n] * (out->b[MRL_MV_MEDIAN][j] + 0.01 * step);
      }
      there += fabs(left) / mrl_mv_outcome_se2(&d, i);
    }
    CHECK(there >= here);
  }
  CHECK_NEAR(out->at[MRL_MV_QHET].q, out->at[MRL_MV_IVW_ME].q, 1e-9);
  CHECK(out->at[MRL_MV_QHET].tau2 > 0);
  CHECK(out->at[MRL_MV_CML].n_valid >= n - 4 && out->at[MRL_MV_CML_DP].n_draws > 0);
  free(e);
  free(out);
}

/* The gradient is zero at the least Q, and the Hessian is that of central differences. */
static void test_q(void)
{
  effects *e = malloc(sizeof *e);
  fill(e, 30, 2, 0.05);
  double z[90], work[64], theta[2], se[2], value;
  for (size_t i = 0; i < 30; i++) {
    z[3 * i] = e->bx[i];
    z[3 * i + 1] = e->bx[i + 30];
    z[3 * i + 2] = e->by[i];
  }
  const mrl_mv_q q = {z, e->cov, NULL, 30, 3, 1e-4};
  CHECK(mrl_mv_q_work(2) <= 64);
  CHECK(mrl_mv_q_start(theta, &q, work));
  CHECK(mrl_mv_q_minimise(theta, &value, &q, work));
  CHECK_NEAR(mrl_mv_q_value(&q, theta), value, 1e-12 * value);
  const double h = 1e-3;
  double f[3][3], at[2];
  for (int a = 0; a < 3; a++) {
    for (int b = 0; b < 3; b++) {
      at[0] = theta[0] + (a - 1) * h;
      at[1] = theta[1] + (b - 1) * h;
      f[a][b] = 0.5 * mrl_mv_q_value(&q, at);
    }
  }
  /* Errors of order h^2 relative to a curvature of some hundreds. */
  const double haa = (f[2][1] - 2 * f[1][1] + f[0][1]) / (h * h);
  const double hbb = (f[1][2] - 2 * f[1][1] + f[1][0]) / (h * h);
  const double hab = (f[2][2] - f[2][0] - f[0][2] + f[0][0]) / (4 * h * h);
  CHECK_NEAR((f[2][1] - f[0][1]) / (2 * h), 0, 1e-3);
  CHECK_NEAR((f[1][2] - f[1][0]) / (2 * h), 0, 1e-3);
  CHECK(mrl_mv_q_se(se, &q, theta, 0, work));
  const double det = haa * hbb - hab * hab;
  CHECK_NEAR(se[0], sqrt(hbb / det), 1e-4 * se[0]);
  CHECK_NEAR(se[1], sqrt(haa / det), 1e-4 * se[1]);
  free(e);
}

static void test_threads(void)
{
  effects *e = malloc(sizeof *e);
  results *one = malloc(sizeof *one), *three = malloc(sizeof *three);
  fill(e, 40, 3, 0.05);
  const mrl_mv_data d = view(e);
  const mrl_mv_settings settings = defaults();
  CHECK(run(one, &d, &settings, 1) == MRL_OK);
  CHECK(run(three, &d, &settings, 3) == MRL_OK);
  for (int m = 0; m < ALL; m++) {
    CHECK(memcmp(one->b[m], three->b[m], 3 * sizeof(double)) == 0);
    CHECK(memcmp(one->se[m], three->se[m], 3 * sizeof(double)) == 0);
  }
  free(e);
  free(one);
  free(three);
}

/* As many variants as exposures, one more, and collinear ones: a reason, no accident. */
static void test_edges(void)
{
  effects *e = malloc(sizeof *e);
  results *out = malloc(sizeof *out);
  mrl_mv_settings settings = defaults();
  settings.n_choices = 1;
  fill(e, 3, 3, 0);
  mrl_mv_data d = view(e);
  CHECK(run(out, &d, &settings, 1) == MRL_OK);
  CHECK(out->at[MRL_MV_IVW_FIXED].why == MRL_MV_FINE);
  CHECK(out->at[MRL_MV_EGGER].why == MRL_MV_TOO_FEW && isnan(out->b[MRL_MV_EGGER][0]));
  CHECK(out->at[MRL_MV_CML].why == MRL_MV_TOO_FEW);
  fill(e, 20, 2, 0);
  memcpy(e->bx + 20, e->bx, 20 * sizeof(double));
  d = view(e);
  CHECK(run(out, &d, &settings, 1) == MRL_OK);
  CHECK(out->at[MRL_MV_IVW].why == MRL_MV_DEGENERATE);
  CHECK(out->at[MRL_MV_LASSO].why == MRL_MV_DEGENERATE);
  double f[2], least[2], r2[2], residual[20], spread[20];
  mrl_mv_diagnosis diagnosis = {f, least, r2, residual, spread, 0, 0};
  const mrl_ctx ctx = {1, NULL, NULL};
  const size_t size = mrl_mv_diagnose_scratch(&d);
  void *scratch = malloc(size);
  CHECK(mrl_mv_diagnose(&diagnosis, &d, scratch, size, &ctx) == MRL_SINGULAR);
  fill(e, 20, 2, 0);
  d = view(e);
  CHECK(mrl_mv_diagnose(&diagnosis, &d, scratch, size, &ctx) == MRL_OK);
  CHECK(least[0] == least[1] && f[0] > 0 && diagnosis.q_least <= diagnosis.q);
  /* A matrix of ones is no correlation of different variants. */
  double *ones = malloc(400 * sizeof *ones);
  for (int i = 0; i < 400; i++) {
    ones[i] = 1;
  }
  d.ld = ones;
  CHECK(run(out, &d, &settings, 1) == MRL_SINGULAR);
  free(ones);
  free(scratch);
  free(e);
  free(out);
}

int main(void)
{
  test_by_hand();
  for (size_t k = 1; k <= MAX_K; k++) {
    test_conditions(12 * k, k);
  }
  test_q();
  test_threads();
  test_edges();
  return CTEST_DONE();
}
