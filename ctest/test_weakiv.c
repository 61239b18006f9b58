#include "ctest.h"

#include "ar_robust.h"
#include "jive.h"
#include "kclass.h"
#include "mr_ld.h"
#include "weakiv.h"

#include <math.h>
#include <stdlib.h>

enum { N = 40, L = 3 };

static const mrl_ctx ctx = {1, NULL, NULL};

/* An evenly spread column: multiples of a root, modulo 1. */
static void fill(double *x, double root)
{
  for (size_t i = 0; i < N; i++) {
    const double t = (double)(i + 1) * root;
    x[i] = t - floor(t) - 0.5;
  }
}

typedef struct {
  double z[L][N], w[N], x[N], y[N];
  const double *col[L + 3];
} sample;

static mrl_lsq_data make(sample *s)
{
  const double roots[L] = {1.41421356, 1.73205081, 2.23606798};
  double v[N], e[N];
  fill(s->w, 3.31662479);
  fill(v, 3.60555128);
  fill(e, 4.12310563);
  s->col[0] = s->w;
  for (size_t j = 0; j < L; j++) {
    fill(s->z[j], roots[j]);
    s->col[1 + j] = s->z[j];
  }
  for (size_t i = 0; i < N; i++) {
    s->x[i] = s->z[0][i] + 0.5 * s->z[1][i] + v[i] + s->w[i];
    s->y[i] = 2 * s->x[i] + v[i] + e[i] - s->w[i];
  }
  s->col[L + 1] = s->x;
  s->col[L + 2] = s->y;
  const mrl_lsq_data data = {s->col, NULL, N, 1, L, 1, 1};
  return data;
}

/* At LIML's k the K statistic is 0 and Q_S is (k - 1) df; a set's limits are where its test is. */
static void test_kclass_and_sets(void)
{
  sample s;
  const mrl_lsq_data data = make(&s);
  mrl_kclass_settings how = {{MRL_VCOV_IID, NULL, 0, MRL_ISA_PORTABLE, NULL}, 0, 1, 1, 0};
  double coef[3], vcov[9], residuals[N], between[4], within[4];
  mrl_kclass_fit fit = {coef, vcov, residuals, between, within, 0, 0, 0, 0, 0, 0};
  const size_t size = mrl_kclass_scratch(&data, &how, &ctx);
  void *scratch = malloc(size);
  CHECK(mrl_kclass_run(&fit, &data, &how, scratch, size, &ctx) == MRL_OK);
  CHECK(mrl_kclass_run(&fit, &data, &how, scratch, 8, &ctx) == MRL_NO_MEMORY);
  mrl_weak_form form;
  CHECK(mrl_weak_prepare(&form, between, within, L, fit.df_within) == MRL_OK);
  CHECK_NEAR(form.lambda[0], (fit.kappa - 1) * fit.df_within, 1e-9);
  CHECK_NEAR(mrl_weak_sine(&form, coef[2]), 0, 1e-12);
  double low[MRL_WEAK_MAX], high[MRL_WEAK_MAX];
  for (int type = 0; type < MRL_N_WEAK; type++) {
    const double critical = type == MRL_WEAK_CLR ? 0.1 : 6;
    const size_t n = mrl_weak_set(low, high, &form, (mrl_weak_type)type, critical);
    CHECK(n >= 1 && n <= MRL_WEAK_MAX);
    for (size_t i = 0; i < n; i++) {
      const double w = mrl_weak_sine(&form, high[i]);
      const double at = mrl_weak_statistic(&form, (mrl_weak_type)type, w);
      const double value = type == MRL_WEAK_CLR ? mrl_clr_p(at, form.lambda[1] - at, form.l) : at;
      CHECK(low[i] < high[i]);
      CHECK(isinf(high[i]) || fabs(value - critical) < 1e-8 * critical);
    }
  }
  how.liml = 0;
  how.k = 1e6;
  CHECK(mrl_kclass_run(&fit, &data, &how, scratch, size, &ctx) == MRL_SINGULAR);
  free(scratch);
}

/* Means (p) and centred crossproducts (p, p) of the columns. */
static void take_moments(double *mean, double *gram, const sample *s)
{
  const size_t p = L + 3;
  for (size_t j = 0; j < p; j++) {
    mean[j] = 0;
    for (size_t i = 0; i < N; i++) {
      mean[j] += s->col[j][i] / N;
    }
  }
  for (size_t j = 0; j < p * p; j++) {
    const double *a = s->col[j % p], *b = s->col[j / p];
    gram[j] = 0;
    for (size_t i = 0; i < N; i++) {
      gram[j] += (a[i] - mean[j % p]) * (b[i] - mean[j / p]);
    }
  }
}

/* Moments alone give what the rows give, Bekker's covariance too; a robust one is refused. */
static void test_kclass_moments(void)
{
  sample s;
  mrl_lsq_data data = make(&s);
  double mean[L + 3], gram[(L + 3) * (L + 3)];
  take_moments(mean, gram, &s);
  const mrl_moments moments = {mean, gram, N, NULL};
  mrl_kclass_settings how = {{MRL_VCOV_IID, NULL, 0, MRL_ISA_PORTABLE, NULL}, 0, 1, 1, 1};
  double coef[2][3], vcov[2][9], residuals[N], between[2][4], within[2][4];
  void *scratch = malloc(mrl_kclass_scratch(&data, &how, &ctx));
  const size_t size = mrl_kclass_scratch(&data, &how, &ctx);
  for (how.bekker = 0; how.bekker < 2; how.bekker++) {
    mrl_kclass_fit rows = {coef[0], vcov[0], residuals, between[0], within[0], 0, 0, 0, 0, 0, 0};
    mrl_kclass_fit none = {coef[1], vcov[1], NULL, between[1], within[1], 0, 0, 0, 0, 0, 0};
    data.col = s.col;
    how.iv.moments = NULL;
    CHECK(mrl_kclass_run(&rows, &data, &how, scratch, size, &ctx) == MRL_OK);
    how.iv.moments = &moments;
    CHECK(mrl_kclass_run(&none, &data, &how, scratch, size, &ctx) == MRL_BAD_ARGUMENT);
    data.col = NULL;
    CHECK(mrl_kclass_run(&none, &data, &how, scratch, size, &ctx) == MRL_OK);
    for (size_t i = 0; i < 9; i++) {
      CHECK_NEAR(coef[1][i % 3], coef[0][i % 3], 1e-10);
      CHECK_NEAR(vcov[1][i], vcov[0][i], 1e-10);
      CHECK_NEAR(between[1][i % 4], between[0][i % 4], 1e-10);
      CHECK_NEAR(within[1][i % 4], within[0][i % 4], 1e-10);
    }
    CHECK_NEAR(none.sigma2, rows.sigma2, 1e-10);
  }
  how.bekker = 0;
  how.iv.vcov = MRL_VCOV_HC1;
  mrl_kclass_fit none = {coef[1], vcov[1], NULL, between[1], within[1], 0, 0, 0, 0, 0, 0};
  CHECK(mrl_kclass_run(&none, &data, &how, scratch, size, &ctx) == MRL_BAD_ARGUMENT);
  free(scratch);
}

static double three(double df1, double df2, void *unused)
{
  (void)df1;
  (void)df2;
  (void)unused;
  return 3;
}

/* One instrument and no covariate: F = (n - 2) S / (n - S), S = (sum s)^2 / sum s^2 of the scores;
 * as many clusters as instruments are refused. */
static void test_robust_ar(void)
{
  sample s;
  make(&s);
  const double *col[] = {s.z[0], s.x, s.y};
  const mrl_lsq_data data = {col, NULL, N, 0, 1, 1, 1};
  mrl_iv_settings how = {MRL_VCOV_HC1, NULL, 0, MRL_ISA_PORTABLE, NULL};
  int one[N];
  for (size_t i = 0; i < N; i++) {
    one[i] = 1;
  }
  const mrl_iv_settings clustered = {MRL_VCOV_CLUSTER, one, 1, MRL_ISA_PORTABLE, NULL};
  const double beta = 1.5;
  double value, mean[3] = {0}, sum = 0, square = 0;
  mrl_ar_fit fit = {.statistic = &value};
  const size_t size = mrl_ar_scratch(&data, &clustered, &ctx);
  void *scratch = malloc(size);
  CHECK(mrl_ar_run(&fit, &data, &how, &beta, 1, three, NULL, scratch, size, &ctx) == MRL_OK);
  for (size_t j = 0; j < 3; j++) {
    for (size_t i = 0; i < N; i++) {
      mean[j] += col[j][i] / N;
    }
  }
  for (size_t i = 0; i < N; i++) {
    const double score = (s.z[0][i] - mean[0]) * (s.y[i] - mean[2] - beta * (s.x[i] - mean[1]));
    sum += score;
    square += score * score;
  }
  const double criterion = sum * sum / square;
  CHECK_NEAR(value, (N - 2) * criterion / (N - criterion), 1e-9 * value);
  CHECK(fit.df1 == 1 && fit.df2 == N - 2);
  for (size_t i = 0; i < fit.n_set; i++) {
    const double limit = fit.high[i];
    CHECK(mrl_ar_run(&fit, &data, &how, &limit, 1, three, NULL, scratch, size, &ctx) == MRL_OK);
    CHECK(isinf(limit) || fabs(value - 3) < 1e-6);
  }
  CHECK(mrl_ar_run(&fit, &data, &clustered, &beta, 1, three, NULL, scratch, size, &ctx) ==
        MRL_SINGULAR);
  free(scratch);
}

/* One chi-squared with one instrument, and Q_T = 0 gives the law of l of them. */
static void test_clr_p(void)
{
  CHECK_NEAR(mrl_clr_p(3.841458820694124, 5, 1), 0.05, 1e-12);
  CHECK_NEAR(mrl_clr_p(9.487729036781154, 0, 4), 0.05, 1e-10);
  /* Strong instruments: one degree of freedom, whatever l; the rest is of order 1 / Q_T. */
  CHECK_NEAR(mrl_clr_p(3.841458820694124, 1e7, 30), 0.05, 1e-5);
  CHECK(mrl_clr_p(0, 3, 4) == 1);
}

static void test_jive_leaves_out(void)
{
  sample s;
  const mrl_lsq_data data = make(&s);
  double before[N], after[N];
  const size_t size = mrl_jive_scratch(&data, &ctx);
  void *scratch = malloc(size);
  CHECK(mrl_jive_run(before, &data, MRL_JIVE_1, MRL_ISA_PORTABLE, scratch, size, &ctx) == MRL_OK);
  s.x[7] += 5;
  CHECK(mrl_jive_run(after, &data, MRL_JIVE_1, MRL_ISA_PORTABLE, scratch, size, &ctx) == MRL_OK);
  /* The own exposure has no part in its prediction; that of others moves. Predictions are up to
   * the mean of the exposure, 5 / N more now. */
  CHECK_NEAR(after[7] + 5.0 / N, before[7], 1e-10);
  CHECK(fabs(after[8] + 5.0 / N - before[8]) > 1e-4);
  free(scratch);
}

/* Two variants in perfect correlation are one. */
static void test_ld(void)
{
  const double bx[] = {0.1, 0.1, 0.2}, sx[] = {0.01, 0.01, 0.01}, by[] = {0.06, 0.06, 0.1};
  const double sy[] = {0.02, 0.02, 0.02}, rho[] = {1, 1, 0, 1, 1, 0, 0, 0, 1};
  const mrl_ld_data data = {bx, sx, by, sy, rho, 3};
  const mrl_ld_settings how = {0, 0.99, 1e-8};
  const mrl_ld_method methods[] = {MRL_LD_IVW, MRL_LD_EGGER, MRL_LD_OVERLAP};
  mrl_ld_fit fit[3];
  const size_t size = mrl_ld_scratch(&data);
  void *scratch = malloc(size);
  CHECK(mrl_ld_run(fit, &data, methods, 3, &how, scratch, size, &ctx) == MRL_OK);
  CHECK_NEAR(fit[0].b, (0.1 * 0.06 + 0.2 * 0.1) / 0.05, 1e-10);
  CHECK_NEAR(fit[0].m, 2, 0);
  CHECK(isnan(fit[1].b));
  CHECK_NEAR(fit[2].b, 0.026 / (0.05 - 2e-4), 1e-10);
  const double bad[] = {1, -0.9, -0.9, -0.9, 1, -0.9, -0.9, -0.9, 1};
  const mrl_ld_data worse = {bx, sx, by, sy, bad, 3};
  CHECK(mrl_ld_run(fit, &worse, methods, 1, &how, scratch, size, &ctx) == MRL_SINGULAR);
  free(scratch);
}

int main(void)
{
  test_kclass_and_sets();
  test_kclass_moments();
  test_robust_ar();
  test_clr_p();
  test_jive_leaves_out();
  test_ld();
  return CTEST_DONE();
}
