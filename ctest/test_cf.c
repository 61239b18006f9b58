#include "ctest.h"

#include <stdlib.h>
#include <string.h>

#include "cf.h"
#include "prob.h"
#include "rng.h"

enum { N = 300, N_Z = 2, BOOT = 7, POINTS = 9, MOST = 16 };

typedef struct {
  double z[N_Z][N], w[N], x[N], y[N], weights[N];
  int cluster[N];
  const double *col[1 + N_Z];
  mrl_cf_data data;
  mrl_cf_settings settings;
  double coef[MOST], vcov[MOST * MOST], residual[N], index[N], mean[1], centre[MOST];
  double bins[POINTS], r_bins[POINTS];
  mrl_cf_fit fit;
} fixture;

static const mrl_cf_basis linear = {MRL_CF_POWERS, 1, NULL, 0, 0, 1};

static void fixture_open(fixture *f, int binomial)
{
  memset(f, 0, sizeof *f);
  mrl_rng rng = mrl_rng_stream(2, MRL_RNG_TEST, (uint64_t)binomial);
  for (size_t i = 0; i < N; i++) {
    const double u = mrl_rng_normal(&rng);
    f->w[i] = mrl_rng_normal(&rng);
    f->z[0][i] = mrl_rng_genotype(&rng, 0.3);
    f->z[1][i] = mrl_rng_genotype(&rng, 0.4);
    f->x[i] = f->z[0][i] - 0.7 * f->z[1][i] + 0.3 * f->w[i] + u;
    const double at = 0.5 * f->x[i] + u;
    f->y[i] = binomial ? mrl_rng_uniform(&rng) < mrl_logistic(at) : at + mrl_rng_normal(&rng);
    f->weights[i] = 0.5 + mrl_rng_uniform(&rng);
    f->cluster[i] = 1 + (int)(i % 50);
  }
  f->col[0] = f->w;
  f->col[1] = f->z[0];
  f->col[2] = f->z[1];
  const mrl_cf_data data = {
      .col = f->col, .x = f->x, .y = f->y, .n = N, .n_exog = 1, .n_inst = N_Z, .n_cluster = 50};
  const mrl_cf_settings settings = {.exposure = linear,
                                    .residual = linear,
                                    .binomial = binomial,
                                    .n_points = POINTS,
                                    .isa = MRL_ISA_AVX512,
                                    .seed = 3};
  const mrl_cf_fit fit = {.coef = f->coef,
                          .vcov = f->vcov,
                          .residual = f->residual,
                          .index = f->index,
                          .mean = f->mean,
                          .centre = f->centre,
                          .bins = f->bins,
                          .r_bins = f->r_bins};
  f->data = data;
  f->settings = settings;
  f->fit = fit;
}

static mrl_status run(fixture *f)
{
  const mrl_ctx ctx = {1, NULL, NULL};
  const size_t size = mrl_cf_scratch(&f->data, &f->settings, &ctx);
  void *scratch = malloc(size);
  const mrl_status status = mrl_cf_run(&f->fit, &f->data, &f->settings, scratch, size, &ctx);
  free(scratch);
  return status;
}

static double dot(const double *a, const double *b)
{
  double sum = 0;
  for (size_t i = 0; i < N; i++) {
    sum += a[i] * b[i];
  }
  return sum;
}

/* What defines the fit: residuals orthogonal to the instruments; structural residuals too, which is
 * two-stage least squares without either stage's code. */
static void test_orthogonal(void)
{
  fixture f;
  fixture_open(&f, 0);
  double ones[N], left[N];
  f.data.weights = NULL;
  CHECK(run(&f) == MRL_OK);
  for (size_t i = 0; i < N; i++) {
    ones[i] = 1;
    left[i] = f.y[i] - f.coef[0] - f.coef[1] * f.w[i] - f.coef[2] * f.x[i];
  }
  for (size_t j = 0; j < 3; j++) {
    CHECK_NEAR(dot(f.residual, f.col[j]), 0, 1e-10);
  }
  CHECK_NEAR(dot(f.residual, ones), 0, 1e-10);
  CHECK_NEAR(dot(left, ones), 0, 1e-9);
  CHECK_NEAR(dot(left, f.w), 0, 1e-9);
  /* x projected on instruments and covariate is x less its residual. */
  double fitted[N];
  for (size_t i = 0; i < N; i++) {
    fitted[i] = f.x[i] - f.residual[i];
  }
  CHECK_NEAR(dot(left, fitted), 0, 1e-9);
}

/* Bins keep the mean, ascend, and with one bin for each row are the sorted index. */
static void test_bins(void)
{
  for (int binomial = 0; binomial < 2; binomial++) {
    fixture f;
    fixture_open(&f, binomial);
    CHECK(run(&f) == MRL_OK);
    double mean = 0, of_bins = 0, of_r = 0;
    for (size_t i = 0; i < N; i++) {
      mean += f.index[i] / N;
    }
    for (size_t b = 0; b < POINTS; b++) {
      of_bins += f.bins[b] / POINTS;
      of_r += f.r_bins[b] / POINTS;
      CHECK(b == 0 || f.bins[b] > f.bins[b - 1]);
    }
    CHECK_NEAR(of_bins, mean, 1e-12);
    CHECK_NEAR(of_r, 0, 1e-12);
  }
}

/* Bases: values at points whose columns are known. */
static void test_basis(void)
{
  const double knot[] = {-1, 0, 2}, x[] = {1, 3, 5, 9};
  double out[4 * 6];
  const mrl_cf_basis powers = {MRL_CF_POWERS, 3, NULL, 0, 1, 2};
  CHECK(mrl_cf_basis_width(&powers) == 3);
  mrl_cf_basis_fill(out, x, 4, &powers); /* u = 0, 1, 2, 4 */
  CHECK_NEAR(out[3], 4, 0);
  CHECK_NEAR(out[4 + 3], 16, 0);
  CHECK_NEAR(out[8 + 2], 8, 0);
  const mrl_cf_basis spline = {MRL_CF_SPLINE, 1, knot, 3, 1, 2};
  CHECK(mrl_cf_basis_width(&spline) == 6);
  mrl_cf_basis_fill(out, x, 4, &spline);
  CHECK_NEAR(out[12 + 1], 8, 0); /* (1 + 1)^3 */
  CHECK_NEAR(out[20 + 3], 8, 0); /* (4 - 2)^3 */
  CHECK_NEAR(out[20], 0, 0);
  const mrl_cf_basis natural = {MRL_CF_NATURAL, 1, knot, 3, 0, 1};
  CHECK(mrl_cf_basis_width(&natural) == 2);
  const double far[] = {10, 11, 12, -5};
  mrl_cf_basis_fill(out, far, 4, &natural);
  /* Beyond the last knot it is straight, before the first one flat. */
  CHECK_NEAR(out[4 + 2] - out[4 + 1], out[4 + 1] - out[4], 1e-9);
  CHECK_NEAR(out[4 + 3], 0, 0);
}

typedef struct {
  double coef[BOOT][MOST], mean[BOOT], centre[BOOT][MOST], bins[BOOT][POINTS], r[BOOT][POINTS];
  mrl_status status[BOOT];
} replicates;

static void boot(replicates *to, fixture *f, int n_threads)
{
  const mrl_ctx ctx = {n_threads, NULL, NULL};
  mrl_cf_fit fit[BOOT];
  for (size_t b = 0; b < BOOT; b++) {
    const mrl_cf_fit one = {.coef = to->coef[b],
                            .mean = to->mean + b,
                            .centre = to->centre[b],
                            .bins = to->bins[b],
                            .r_bins = to->r[b]};
    fit[b] = one;
  }
  const size_t size = mrl_cf_scratch(&f->data, &f->settings, &ctx);
  void *scratch = malloc(size);
  CHECK(mrl_cf_boot(fit, to->status, BOOT, &f->data, &f->settings, scratch, size, &ctx) == MRL_OK);
  free(scratch);
}

/* Replicates are the same for any number of threads; with one cluster that is always drawn they are
 * the fit. */
static void test_boot(void)
{
  static replicates a, b;
  for (int binomial = 0; binomial < 2; binomial++) {
    fixture f;
    fixture_open(&f, binomial);
    f.data.weights = f.weights;
    f.data.cluster = f.cluster;
    memset(&a, 0, sizeof a);
    memset(&b, 0, sizeof b);
    boot(&a, &f, 1);
    boot(&b, &f, 3);
    CHECK(memcmp(&a, &b, sizeof a) == 0);
    CHECK(a.status[0] == MRL_OK && a.coef[0][2] != a.coef[1][2]);
    CHECK(run(&f) == MRL_OK);
    for (size_t i = 0; i < N; i++) {
      f.cluster[i] = 1;
    }
    f.data.n_cluster = 1;
    boot(&a, &f, 2);
    CHECK_NEAR(a.coef[4][2], f.coef[2], 1e-12);
  }
}

static void test_degenerate(void)
{
  fixture f;
  fixture_open(&f, 0);
  f.data.n = 4;
  CHECK(run(&f) == MRL_TOO_FEW);
  fixture_open(&f, 0); /* no residual is left */
  for (size_t i = 0; i < N; i++) {
    f.x[i] = f.z[0][i] + f.w[i];
  }
  CHECK(run(&f) == MRL_SINGULAR);
  fixture_open(&f, 1);
  for (size_t i = 0; i < N; i++) {
    f.y[i] = f.x[i] > 0;
  }
  CHECK(run(&f) == MRL_NO_CONVERGE);
  CHECK(f.fit.separated);
}

int main(void)
{
  test_orthogonal();
  test_bins();
  test_basis();
  test_boot();
  test_degenerate();
  return CTEST_DONE();
}
