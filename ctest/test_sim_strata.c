/* The simulators of Burgess 2014 and Tian 2023: rebuilt from their parts, laws, threads. Fixed
 * seeds. */
#include "ctest.h"

#include <stdlib.h>
#include <string.h>

#include "sim_burgess.h"
#include "sim_tian.h"

enum { N = 20000, SEED = 7 }; /* five chunks */

static double mean_of(const double *a, const double *b)
{
  double sum = 0;
  for (int i = 0; i < N; i++) {
    sum += a[i] * (b ? b[i] : 1);
  }
  return sum / N;
}

/* column (6, N): x, rest, g, u, v, e. */
static void burgess(double *column, size_t n, uint64_t seed, int n_threads)
{
  mrl_sim_burgess out = {.x = column,
                         .rest = column + N,
                         .g = column + 2 * N,
                         .u = column + 3 * N,
                         .v = column + 4 * N,
                         .e = column + 5 * N};
  const mrl_sim_burgess_settings s = {.n = n, .seed = seed, .maf = .3};
  const mrl_ctx ctx = {n_threads, NULL, NULL};
  CHECK(mrl_sim_burgess_run(&out, &s, &ctx) == MRL_OK);
}

/* column (7, N): x, exact, rest, z, u1, u2, u3. */
static void tian(double *column, size_t n, mrl_tian_scenario scenario, int n_threads)
{
  mrl_sim_tian out = {.x = column,
                      .exact = column + N,
                      .rest = column + 2 * N,
                      .z = column + 3 * N,
                      .u1 = column + 4 * N,
                      .u2 = column + 5 * N,
                      .u3 = column + 6 * N};
  const mrl_sim_tian_settings s = {.n = n, .seed = SEED, .scenario = scenario};
  const mrl_ctx ctx = {n_threads, NULL, NULL};
  CHECK(mrl_sim_tian_run(&out, &s, &ctx) == MRL_OK);
}

/* Means and variances of parts of known laws, no two of which are correlated, within 4.5 standard
 * errors; the variance of a mean square is its kurtosis less 1 over n. */
static void check_laws(const double *const *part, const double *mean, const double *variance,
                       const double *kurtosis, int n_part)
{
  for (int k = 0; k < n_part; k++) {
    const double m = mean_of(part[k], NULL), root_n = sqrt((double)N);
    CHECK_NEAR(m, mean[k], 4.5 * sqrt(variance[k]) / root_n);
    CHECK_NEAR(mean_of(part[k], part[k]) - m * m, variance[k],
               4.5 * variance[k] * sqrt(kurtosis[k] - 1) / root_n);
    for (int l = 0; l < k; l++) {
      CHECK_NEAR(mean_of(part[k], part[l]) - m * mean_of(part[l], NULL), 0,
                 4.5 * sqrt(variance[k] * variance[l]) / root_n);
    }
  }
}

/* Kurtosis: binomial(2, p) 3 - 6/2 + 1/(2pq), uniform 9/5, exponential 9, normal 3. */
static void test_burgess(void)
{
  double *one = calloc(6 * N, sizeof(double)), *two = calloc(6 * N, sizeof(double));
  burgess(one, N, SEED, 1);
  burgess(two, N, SEED, 3);
  CHECK(memcmp(one, two, 6 * N * sizeof(double)) == 0);
  const double *g = one + 2 * N, *u = one + 3 * N, *v = one + 4 * N, *e = one + 5 * N;
  for (int i = 0; i < N; i++) {
    CHECK(g[i] == 0 || g[i] == 1 || g[i] == 2);
    CHECK(u[i] > 0 && u[i] < 1 && v[i] > 0);
    CHECK_NEAR(one[i], .25 * g[i] + u[i] + v[i], 1e-14);
    CHECK_NEAR(one[N + i], .8 * u[i] + e[i], 1e-14);
  }
  const double *const part[] = {g, u, v, e};
  const double mean[] = {.6, .5, 1, 0}, variance[] = {.42, 1. / 12, 1, 1};
  const double kurtosis[] = {1 / .42, 1.8, 9, 3};
  check_laws(part, mean, variance, kurtosis, 4);
  burgess(two, 4500, SEED, 2); /* the first people are the same, and the rest is left alone */
  CHECK(memcmp(one, two, 6 * N * sizeof(double)) == 0);
  burgess(two, N, SEED + 1, 2);
  CHECK(one[0] != two[0] && one[5 * N] != two[5 * N]);
  free(one);
  free(two);
}

static double slow_exposure(mrl_tian_scenario scenario, double z, double u1, double u2)
{
  double x = z / 2 + u1 + u2;
  if (scenario == MRL_TIAN_B && z < -1) {
    x += 2 * (z * z * z + 1);
  }
  if (scenario == MRL_TIAN_C) {
    x = 1.5 * (z + 5) + .4 * u2 * (z + 5) + u1 + u2 - 10;
  }
  return x;
}

static void test_tian(void)
{
  double *one = calloc(7 * N, sizeof(double)), *two = calloc(7 * N, sizeof(double));
  for (int s = 0; s < MRL_TIAN_N; s++) {
    const mrl_tian_scenario scenario = (mrl_tian_scenario)s;
    tian(one, N, scenario, 1);
    tian(two, N, scenario, 3);
    CHECK(memcmp(one, two, 7 * N * sizeof(double)) == 0);
    const double *z = one + 3 * N, *u1 = one + 4 * N, *u2 = one + 5 * N, *u3 = one + 6 * N;
    for (int i = 0; i < N; i++) {
      const double x = slow_exposure(scenario, z[i], u1[i], u2[i]);
      CHECK_NEAR(one[N + i], x, 1e-13 * (1 + fabs(x)));
      CHECK(one[i] == (s == MRL_TIAN_D ? nearbyint(one[N + i]) : one[N + i]));
      CHECK_NEAR(one[2 * N + i], u2[i] + u3[i], 1e-15 * 16);
    }
    const double *const part[] = {z, u1, u2, u3};
    const double mean[] = {0, 0, 0, 0}, variance[] = {.25, 1, 1, 1}, kurtosis[] = {3, 3, 3, 3};
    check_laws(part, mean, variance, kurtosis, 4);
    tian(two, 4500, scenario, 2);
    CHECK(memcmp(one, two, 7 * N * sizeof(double)) == 0);
  }
  free(one);
  free(two);
}

int main(void)
{
  test_burgess();
  test_tian();
  return CTEST_DONE();
}
