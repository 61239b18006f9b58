/* Draws of one variable: moments against the laws', correlations, streams, threads. Fixed seeds; a
 * mean is within 4.5 standard errors of its expectation (once in 150,000). */
#include "ctest.h"

#include <stdlib.h>
#include <string.h>

#include "sim_variable.h"

enum { N = 20000, K = 3 }; /* five chunks */

typedef struct {
  mrl_law law;
  double a, b, mean, variance, kurtosis;
} law_case;

static void draw(double *out, size_t n, size_t k, const char *name, mrl_law law, const double *a,
                 const double *b, int n_threads)
{
  const mrl_sim_variable_settings s = {
      .n = n, .k = k, .seed = 5, .name = name, .law = law, .a = a, .b = b};
  const mrl_ctx ctx = {n_threads, NULL, NULL};
  CHECK(mrl_sim_variable_run(out, &s, &ctx) == MRL_OK);
}

static double mean_of(const double *x, const double *y, size_t n)
{
  double sum = 0;
  for (size_t i = 0; i < n; i++) {
    sum += x[i] * (y ? y[i] : 1);
  }
  return sum / (double)n;
}

/* The central moments' law: the variance of a mean square is (kurtosis - 1) variance^2 / n. */
static void check_moments(const double *x, double mean, double variance, double kurtosis)
{
  const double root_n = sqrt((double)N), m = mean_of(x, NULL, N);
  double square = 0;
  for (int i = 0; i < N; i++) {
    square += (x[i] - mean) * (x[i] - mean) / N;
  }
  CHECK_NEAR(m, mean, 4.5 * sqrt(variance) / root_n);
  CHECK_NEAR(square, variance, 4.5 * variance * sqrt(kurtosis - 1) / root_n);
}

/* Kurtosis: normal 3, uniform 9/5, exponential 9; beta(2, 3): mean 2/5, variance 1/25, excess
 * -9/14; binomial 3 + (1 - 6pq) / (npq). 1000 trials go through three halvings. */
static void test_single(double *x, double *y)
{
  const law_case cases[] = {
      {MRL_LAW_NORMAL, 1, 2, 1, 4, 3},
      {MRL_LAW_UNIFORM, -1, 3, 1, 16. / 12, 1.8},
      {MRL_LAW_EXPONENTIAL, 2, 0, 2, 4, 9},
      {MRL_LAW_BETA, 2, 3, .4, .04, 3 - 9. / 14},
      {MRL_LAW_BINOMIAL, 10, .3, 3, 2.1, 3 + (1 - 6 * .21) / 2.1},
      {MRL_LAW_BINOMIAL, 1000, .9, 900, 90, 3 + (1 - 6 * .09) / 90},
      {MRL_LAW_VARIANT, .3, 0, .6, .42, 3 + (1 - 6 * .21) / .42},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const law_case *c = &cases[i];
    draw(x, N, 1, "x", c->law, &c->a, &c->b, 1);
    check_moments(x, c->mean, c->variance, c->kurtosis);
    draw(y, N, 1, "x", c->law, &c->a, &c->b, 3);
    CHECK(memcmp(x, y, N * sizeof *x) == 0);
    draw(y, 5000, 1, "x", c->law, &c->a, &c->b, 1); /* the first rows whatever n is */
    CHECK(memcmp(x, y, 5000 * sizeof *x) == 0);
    draw(y, N, 1, "y", c->law, &c->a, &c->b, 1); /* another name, another stream */
    const double m = mean_of(x, NULL, N), between = mean_of(x, y, N) - m * mean_of(y, NULL, N);
    CHECK_NEAR(between, 0, 4.5 * c->variance / sqrt((double)N));
  }
}

static void test_bounds(double *x)
{
  const double trials[] = {0, 100, 100}, p[] = {.5, 0, 1}, expected[] = {0, 0, 100};
  for (int i = 0; i < 3; i++) {
    draw(x, 100, 1, "x", MRL_LAW_BINOMIAL, &trials[i], &p[i], 1);
    for (int j = 0; j < 100; j++) {
      CHECK(x[j] == expected[i]);
    }
  }
}

/* A parameter for each row: row i of a normal with mean a[i] is that of mean 0 plus a[i]. */
static void test_rows(double *x, double *y)
{
  double *a = calloc(N, sizeof *a);
  const double zero = 0, one = 1;
  for (int i = 0; i < N; i++) {
    a[i] = i % 7;
  }
  draw(x, N, 1, "x", MRL_LAW_NORMAL, &zero, &one, 1);
  const mrl_sim_variable_settings s = {.n = N,
                                       .k = 1,
                                       .seed = 5,
                                       .name = "x",
                                       .law = MRL_LAW_NORMAL,
                                       .a = a,
                                       .b = &one,
                                       .stride_a = 1};
  const mrl_ctx ctx = {2, NULL, NULL};
  CHECK(mrl_sim_variable_run(y, &s, &ctx) == MRL_OK);
  for (int i = 0; i < N; i++) {
    CHECK_NEAR(y[i], x[i] + a[i], 1e-15 * 8);
  }
  free(a);
}

/* Linked variants: haplotypes' correlation is that of the counts; two apart it is the product. */
static void test_linked(double *x)
{
  const double p[K] = {.2, .3, .4}, r[K - 1] = {.5, -.3};
  double odds[2 * K] = {0};
  for (int j = 1; j < K; j++) {
    const double both =
        p[j - 1] * p[j] + r[j - 1] * sqrt(p[j - 1] * (1 - p[j - 1]) * p[j] * (1 - p[j]));
    odds[2 * j] = (p[j] - both) / (1 - p[j - 1]);
    odds[2 * j + 1] = both / p[j - 1];
  }
  draw(x, N, K, "x", MRL_LAW_LINKED, p, odds, 2);
  for (int j = 0; j < K; j++) {
    const double v = 2 * p[j] * (1 - p[j]);
    check_moments(x + j * N, 2 * p[j], v, 3 + (1 - 3 * v) / v);
    for (int l = 0; l < j; l++) {
      const double vl = 2 * p[l] * (1 - p[l]);
      const double expected = l == j - 1 ? r[l] : r[0] * r[1];
      const double cov = mean_of(x + j * N, x + l * N, N) - 4 * p[j] * p[l];
      /* the product's variance is at most sqrt of the product of fourth moments, here below 9 */
      CHECK_NEAR(cov / sqrt(v * vl), expected, 4.5 * 3 / sqrt((double)N));
    }
  }
}

/* Rows a + C z: moments, and the same on several threads. */
static void test_mvnormal(double *x, double *y)
{
  const double mean[K] = {1, -2, 0};
  const double c[K * K] = {1, .5, -1, 0, 2, .25, 0, 0, .5}; /* column-major, lower */
  draw(x, N, K, "x", MRL_LAW_MVNORMAL, mean, c, 1);
  draw(y, N, K, "x", MRL_LAW_MVNORMAL, mean, c, 3);
  CHECK(memcmp(x, y, (size_t)K * N * sizeof *x) == 0);
  for (int j = 0; j < K; j++) {
    for (int l = 0; l <= j; l++) {
      double expected = 0, vj = 0, vl = 0;
      for (int m = 0; m < K; m++) {
        expected += c[j + m * K] * c[l + m * K];
        vj += c[j + m * K] * c[j + m * K];
        vl += c[l + m * K] * c[l + m * K];
      }
      const double cov = mean_of(x + j * N, x + l * N, N) -
                         mean_of(x + j * N, NULL, N) * mean_of(x + l * N, NULL, N);
      /* Var of the sample covariance: (vj vl + cov^2) / n */
      CHECK_NEAR(cov, expected, 4.5 * sqrt((vj * vl + expected * expected) / N));
    }
    CHECK_NEAR(mean_of(x + j * N, NULL, N), mean[j], 4.5 * 2.1 / sqrt((double)N));
  }
}

static void test_overflow(double *x)
{
  const double a = 0, b = 1e308;
  const mrl_sim_variable_settings s = {
      .n = 1000, .k = 1, .seed = 5, .name = "x", .law = MRL_LAW_NORMAL, .a = &a, .b = &b};
  const mrl_ctx ctx = {1, NULL, NULL};
  CHECK(mrl_sim_variable_run(x, &s, &ctx) == MRL_NOT_FINITE);
}

int main(void)
{
  double *x = calloc(K * N, sizeof *x), *y = calloc(K * N, sizeof *y);
  test_single(x, y);
  test_bounds(x);
  test_rows(x, y);
  test_linked(x);
  test_mvnormal(x, y);
  test_overflow(x);
  free(x);
  free(y);
  return CTEST_DONE();
}
