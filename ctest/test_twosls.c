/* Least squares with instruments: closed forms, a slow oracle, collinear columns, failures. */
#include "ctest.h"

#include "blas.h"
#include "rng.h"
#include "twosls.h"

#include <stdlib.h>
#include <string.h>

enum {
  N = 300,
  EXOG = 2,
  INST = 3,
  ENDOG = 2,
  COLS = EXOG + INST + ENDOG + 1,
  K = 1 + EXOG + ENDOG
};

typedef struct {
  double x[COLS][N], weights[N];
  const double *col[COLS];
  int cluster[N];
  mrl_lsq_data data;
} design;

/* y = 1 + w'(1, 2) + x'(0.5, -0.25) + confounder + noise; x depends on instruments. */
static void make_design(design *d, uint64_t seed)
{
  mrl_rng rng = mrl_rng_stream(seed, MRL_RNG_TEST, 0);
  for (size_t i = 0; i < N; i++) {
    const double u = mrl_rng_normal(&rng);
    for (size_t j = 0; j < EXOG + INST; j++) {
      d->x[j][i] = mrl_rng_normal(&rng);
    }
    const double *z[INST] = {d->x[EXOG], d->x[EXOG + 1], d->x[EXOG + 2]};
    double *x1 = d->x[EXOG + INST], *x2 = d->x[EXOG + INST + 1];
    x1[i] = z[0][i] + 0.5 * z[1][i] + d->x[0][i] + u + mrl_rng_normal(&rng);
    x2[i] = z[2][i] - 0.5 * z[1][i] + u + mrl_rng_normal(&rng);
    d->x[COLS - 1][i] =
        1 + d->x[0][i] + 2 * d->x[1][i] + 0.5 * x1[i] - 0.25 * x2[i] + u + mrl_rng_normal(&rng);
    d->weights[i] = 0.5 + mrl_rng_uniform(&rng);
    d->cluster[i] = 1 + (int)(i % 30);
  }
  for (size_t j = 0; j < COLS; j++) {
    d->col[j] = d->x[j];
  }
  const mrl_lsq_data data = {d->col, NULL, N, EXOG, INST, ENDOG, 1};
  d->data = data;
}

typedef struct {
  double coef[COLS], vcov[COLS * COLS], residuals[N];
  double first_coef[COLS * ENDOG], first_se[COLS * ENDOG], partial_r2[ENDOG];
  mrl_test strength[ENDOG], conditional[ENDOG];
  int aliased[COLS];
  mrl_iv_fit fit;
} result;

/* Runs with a guard behind the scratch that must stay as it is. */
static mrl_status run_moments(result *r, const mrl_lsq_data *data, const mrl_moments *moments,
                              mrl_vcov_type vcov, const int *cluster, int n_threads)
{
  const mrl_iv_settings settings = {vcov, cluster, cluster ? 30 : 0, mrl_isa_best(), moments};
  const mrl_ctx ctx = {n_threads, NULL, NULL};
  memset(r, 0, sizeof *r);
  r->fit.coef = r->coef;
  r->fit.vcov = r->vcov;
  r->fit.residuals = data->col ? r->residuals : NULL;
  r->fit.first_coef = r->first_coef;
  r->fit.first_se = r->first_se;
  r->fit.aliased = r->aliased;
  r->fit.diagnostics.partial_r2 = r->partial_r2;
  r->fit.diagnostics.strength = r->strength;
  r->fit.diagnostics.conditional = r->conditional;
  const size_t size = mrl_iv_fit_scratch(data, &settings, &ctx);
  unsigned char *scratch = malloc(size + 64);
  memset(scratch, 0xAB, size + 64);
  const mrl_status status = mrl_iv_fit_run(&r->fit, data, &settings, scratch, size, &ctx);
  for (size_t i = 0; i < 64; i++) {
    CHECK(scratch[size + i] == 0xAB);
  }
  free(scratch);
  return status;
}

static mrl_status run(result *r, const mrl_lsq_data *data, mrl_vcov_type vcov, const int *cluster,
                      int n_threads)
{
  return run_moments(r, data, NULL, vcov, cluster, n_threads);
}

/* Moments that 2SLS sets to zero: with X_hat from explicit normal equations of the first stage. */
static void check_moments(const design *d, const result *r)
{
  enum { C = 1 + EXOG + INST };
  static double c[C][N], gram[C * C], rhs[C * ENDOG];
  const double *w = d->data.weights;
  for (size_t i = 0; i < N; i++) {
    c[0][i] = 1;
    for (size_t j = 1; j < C; j++) {
      c[j][i] = d->x[j - 1][i];
    }
  }
  memset(gram, 0, sizeof gram);
  memset(rhs, 0, sizeof rhs);
  for (size_t i = 0; i < N; i++) {
    const double wi = w ? w[i] : 1;
    for (size_t a = 0; a < C; a++) {
      for (size_t b = 0; b < C; b++) {
        gram[a + b * C] += wi * c[a][i] * c[b][i];
      }
      for (size_t e = 0; e < ENDOG; e++) {
        rhs[a + e * C] += wi * c[a][i] * d->x[EXOG + INST + e][i];
      }
    }
  }
  CHECK(mrl_cholesky(gram, C) == MRL_OK);
  CHECK(mrl_cholesky_solve(rhs, gram, C, ENDOG) == MRL_OK);
  double with_w[1 + EXOG] = {0}, with_x[ENDOG] = {0};
  for (size_t i = 0; i < N; i++) {
    const double e = (w ? w[i] : 1) * r->residuals[i];
    for (size_t j = 0; j < 1 + EXOG; j++) {
      with_w[j] += c[j][i] * e;
    }
    for (size_t k = 0; k < ENDOG; k++) {
      double fit = 0;
      for (size_t a = 0; a < C; a++) {
        fit += rhs[a + k * C] * c[a][i];
      }
      with_x[k] += fit * e;
    }
  }
  /* Sums of 300 products of size 1 to 10: rounding of some 1e-13, times the condition. */
  for (size_t j = 0; j < 1 + EXOG; j++) {
    CHECK_NEAR(with_w[j], 0, 1e-10);
  }
  for (size_t k = 0; k < ENDOG; k++) {
    CHECK_NEAR(with_x[k], 0, 1e-10);
    for (size_t a = 0; a < C; a++) {
      CHECK_NEAR(r->first_coef[a + k * C], rhs[a + k * C], 1e-11);
    }
  }
}

/* Residuals are those of the coefficients, in the data's own units. */
static void check_residuals(const design *d, const result *r)
{
  for (size_t i = 0; i < N; i++) {
    double fit = r->coef[0];
    for (size_t j = 0; j < EXOG; j++) {
      fit += r->coef[1 + j] * d->x[j][i];
    }
    for (size_t k = 0; k < ENDOG; k++) {
      fit += r->coef[1 + EXOG + k] * d->x[EXOG + INST + k][i];
    }
    CHECK_NEAR(r->residuals[i], d->x[COLS - 1][i] - fit, 1e-11);
  }
}

static void test_moments(void)
{
  static design d;
  static result r;
  make_design(&d, 1);
  for (int weighted = 0; weighted < 2; weighted++) {
    d.data.weights = weighted ? d.weights : NULL;
    CHECK(run(&r, &d.data, MRL_VCOV_IID, NULL, 1) == MRL_OK);
    check_moments(&d, &r);
    check_residuals(&d, &r);
    CHECK(r.fit.df_residual == N - K);
  }
}

static void test_threads_and_types(void)
{
  static design d;
  static result one, two;
  make_design(&d, 2);
  for (int type = MRL_VCOV_IID; type < MRL_N_VCOV; type++) {
    const int *cluster = type == MRL_VCOV_CLUSTER ? d.cluster : NULL;
    CHECK(run(&one, &d.data, (mrl_vcov_type)type, cluster, 1) == MRL_OK);
    CHECK(run(&two, &d.data, (mrl_vcov_type)type, cluster, 2) == MRL_OK);
    CHECK(memcmp(one.coef, two.coef, K * sizeof(double)) == 0);
    CHECK(memcmp(one.vcov, two.vcov, K * K * sizeof(double)) == 0);
    CHECK(memcmp(one.strength, two.strength, sizeof one.strength) == 0);
    for (size_t j = 0; j < K; j++) {
      CHECK(one.vcov[j + j * K] > 0);
      for (size_t i = 0; i < j; i++) {
        CHECK_NEAR(one.vcov[i + j * K], one.vcov[j + i * K], 1e-14);
      }
    }
  }
}

/* Moving and scaling columns changes coefficients as algebra says, however far they are moved. */
static void test_units(void)
{
  static design d, moved;
  static result a, b;
  make_design(&d, 3);
  moved = d;
  for (size_t j = 0; j < COLS; j++) {
    moved.col[j] = moved.x[j];
    for (size_t i = 0; i < N; i++) {
      moved.x[j][i] = 1e5 + 8 * d.x[j][i];
    }
  }
  moved.data.col = moved.col;
  CHECK(run(&a, &d.data, MRL_VCOV_HC1, NULL, 1) == MRL_OK);
  CHECK(run(&b, &moved.data, MRL_VCOV_HC1, NULL, 1) == MRL_OK);
  for (size_t j = 1; j < K; j++) {
    CHECK_NEAR(b.coef[j], a.coef[j], 1e-9);
    CHECK_NEAR(b.vcov[j + j * K], a.vcov[j + j * K], 1e-9 * a.vcov[j + j * K]);
  }
  CHECK_NEAR(b.fit.diagnostics.overid.statistic, a.fit.diagnostics.overid.statistic, 1e-7);
}

static void test_collinear(void)
{
  static design d;
  static result full, r;
  make_design(&d, 4);
  CHECK(run(&full, &d.data, MRL_VCOV_IID, NULL, 1) == MRL_OK);
  /* An exogenous column twice: the second goes, the others stay as with one. */
  memcpy(d.x[1], d.x[0], sizeof d.x[0]);
  CHECK(run(&r, &d.data, MRL_VCOV_IID, NULL, 1) == MRL_OK);
  CHECK(r.aliased[2] == 1 && r.aliased[1] == 0 && isnan(r.coef[2]) && isfinite(r.coef[1]));
  CHECK(r.fit.df_residual == full.fit.df_residual + 1);
  /* Instruments that are combinations of covariates leave too few. */
  make_design(&d, 4);
  for (size_t i = 0; i < N; i++) {
    d.x[EXOG][i] = d.x[0][i] + 2 * d.x[1][i];
    d.x[EXOG + 1][i] = 3;
  }
  CHECK(run(&r, &d.data, MRL_VCOV_IID, NULL, 1) == MRL_TOO_FEW);
  CHECK(r.aliased[3] == 1 && r.aliased[4] == 1 && r.aliased[5] == 0);
  /* A constant exposure, and one that is a covariate. */
  make_design(&d, 4);
  for (size_t i = 0; i < N; i++) {
    d.x[EXOG + INST + 1][i] = -2;
  }
  CHECK(run(&r, &d.data, MRL_VCOV_IID, NULL, 1) == MRL_SINGULAR);
  CHECK(r.fit.exposure_aliased == 2);
  /* Two exposures that are one. */
  memcpy(d.x[EXOG + INST + 1], d.x[EXOG + INST], sizeof d.x[0]);
  CHECK(run(&r, &d.data, MRL_VCOV_IID, NULL, 1) == MRL_SINGULAR);
  CHECK(r.fit.exposure_aliased == 0);
}

static void test_failures(void)
{
  static design d;
  static result r;
  make_design(&d, 5);
  d.x[0][0] = 1e300;
  CHECK(run(&r, &d.data, MRL_VCOV_IID, NULL, 1) == MRL_NOT_FINITE);
  make_design(&d, 5);
  d.data.n = K;
  CHECK(run(&r, &d.data, MRL_VCOV_IID, NULL, 1) == MRL_TOO_FEW);
}

/* Exact identification without covariates: the ratio of two covariances. */
static void test_ratio(void)
{
  static design d;
  static result r;
  make_design(&d, 6);
  const double *col[3] = {d.x[EXOG], d.x[EXOG + INST], d.x[COLS - 1]};
  const mrl_lsq_data data = {col, NULL, N, 0, 1, 1, 1};
  CHECK(run(&r, &data, MRL_VCOV_IID, NULL, 1) == MRL_OK);
  double mz = 0, zx = 0, zy = 0;
  for (size_t i = 0; i < N; i++) {
    mz += col[0][i] / N;
  }
  for (size_t i = 0; i < N; i++) {
    zx += (col[0][i] - mz) * col[1][i];
    zy += (col[0][i] - mz) * col[2][i];
  }
  CHECK_NEAR(r.coef[1], zy / zx, 1e-12);
  CHECK(isnan(r.fit.diagnostics.overid.statistic));
}

/* A stream of the instruments, 7 rows at a time. */
static void stream_rows(double *out, void *data, size_t first, size_t count, const mrl_ctx *ctx)
{
  const design *d = (const design *)data;
  (void)ctx;
  CHECK(count <= 7);
  for (size_t j = 0; j < INST; j++) {
    memcpy(out + j * count, d->x[EXOG + j] + first, count * sizeof *out);
  }
}

/* Means and crossproducts about them by loops. */
static mrl_moments loop_moments(double *mean, double *gram, const design *d)
{
  const double *w = d->data.weights;
  mrl_moments out = {mean, gram, 0, NULL};
  for (size_t i = 0; i < N; i++) {
    out.total += w ? w[i] : 1;
  }
  for (size_t j = 0; j < COLS; j++) {
    mean[j] = 0;
    for (size_t i = 0; i < N; i++) {
      mean[j] += (w ? w[i] : 1) * d->x[j][i] / out.total;
    }
  }
  for (size_t j = 0; j < COLS * COLS; j++) {
    gram[j] = 0;
    for (size_t i = 0; i < N; i++) {
      const size_t a = j % COLS, b = j / COLS;
      gram[j] += (w ? w[i] : 1) * (d->x[a][i] - mean[a]) * (d->x[b][i] - mean[b]);
    }
  }
  return out;
}

static void check_close(const double *a, const double *b, size_t n)
{
  for (size_t i = 0; i < n; i++) {
    /* the columns are nowhere near collinear: rounding is all that differs */
    CHECK(isnan(a[i]) ? isnan(b[i]) : fabs(a[i] - b[i]) <= 1e-11 * (1 + fabs(a[i])));
  }
}

/* Moments alone, and moments with a stream, against the columns themselves. */
static void test_without_columns(int weighted)
{
  static design d;
  static result whole, parts;
  double mean[COLS], gram[COLS * COLS];
  make_design(&d, 5);
  d.data.weights = weighted ? d.weights : NULL;
  mrl_moments moments = loop_moments(mean, gram, &d);
  const mrl_stream stream = {stream_rows, &d, 7};
  const double *col[COLS];
  for (size_t j = 0; j < COLS; j++) {
    col[j] = j < EXOG || j >= EXOG + INST ? d.x[j] : NULL;
  }
  for (int vcov = 0; vcov < MRL_N_VCOV; vcov++) {
    const int *cluster = vcov == MRL_VCOV_CLUSTER ? d.cluster : NULL;
    CHECK(run(&whole, &d.data, (mrl_vcov_type)vcov, cluster, 2) == MRL_OK);
    mrl_lsq_data data = d.data;
    moments.stream = &stream;
    data.col = col;
    CHECK(run_moments(&parts, &data, &moments, (mrl_vcov_type)vcov, cluster, 2) == MRL_OK);
    check_close(whole.residuals, parts.residuals, N);
    for (int rows = 1; rows >= 0; rows--) {
      check_close(whole.coef, parts.coef, K);
      check_close(whole.vcov, parts.vcov, K * K);
      check_close(whole.first_se, parts.first_se, (1 + EXOG + INST) * ENDOG);
      const mrl_iv_diagnostics *a = &whole.fit.diagnostics, *b = &parts.fit.diagnostics;
      check_close(&a->overid.statistic, &b->overid.statistic, 1);
      check_close(&a->endogeneity.statistic, &b->endogeneity.statistic, 1);
      check_close(&a->strength[1].statistic, &b->strength[1].statistic, 1);
      check_close(&a->conditional[0].statistic, &b->conditional[0].statistic, 1);
      check_close(&whole.fit.sigma2, &parts.fit.sigma2, 1);
      moments.stream = NULL;
      data.col = NULL;
      const mrl_status status =
          run_moments(&parts, &data, &moments, (mrl_vcov_type)vcov, cluster, 1);
      CHECK(status == (vcov == MRL_VCOV_IID ? MRL_OK : MRL_BAD_ARGUMENT));
      if (vcov != MRL_VCOV_IID) {
        break;
      }
    }
  }
}

static void test_impute(void)
{
  const double x[4] = {1, NAN, 3, NAN};
  double out[4];
  CHECK(mrl_impute_mean(out, x, 4) == 2);
  CHECK(out[0] == 1 && out[1] == 2 && out[2] == 3 && out[3] == 2);
  CHECK(mrl_impute_mean(out, x + 1, 1) == 1 && isnan(out[0]));
}

int main(void)
{
  test_moments();
  test_threads_and_types();
  test_units();
  test_collinear();
  test_failures();
  test_ratio();
  test_without_columns(0);
  test_without_columns(1);
  test_impute();
  return CTEST_DONE();
}
