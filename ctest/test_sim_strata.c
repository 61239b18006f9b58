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

/* column (7, N): y, x, slope, g, u, v, e. */
static void burgess(double *column, size_t n, mrl_burgess_shape shape, uint64_t seed, int n_threads)
{
  mrl_sim_burgess out = {.y = column,
                         .x = column + N,
                         .slope = column + 2 * N,
                         .g = column + 3 * N,
                         .u = column + 4 * N,
                         .v = column + 5 * N,
                         .e = column + 6 * N};
  const mrl_sim_burgess_settings s = {.n = n, .seed = seed, .maf = .3, .shape = shape};
  const mrl_ctx ctx = {n_threads, NULL, NULL};
  CHECK(mrl_sim_burgess_run(&out, &s, &ctx) == MRL_OK);
}

/* column (8, N): y, x, slope, exact, z, u1, u2, u3. */
static void tian(double *column, size_t n, mrl_tian_scenario scenario, int outcome, int n_threads)
{
  mrl_sim_tian out = {.y = column,
                      .x = column + N,
                      .slope = column + 2 * N,
                      .exact = column + 3 * N,
                      .z = column + 4 * N,
                      .u1 = column + 5 * N,
                      .u2 = column + 6 * N,
                      .u3 = column + 7 * N};
  const mrl_sim_tian_settings s = {.n = n, .seed = SEED, .scenario = scenario, .outcome = outcome};
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
  double *one = calloc(7 * N, sizeof(double)), *two = calloc(7 * N, sizeof(double));
  for (int shape = MRL_BURGESS_LINEAR; shape <= MRL_BURGESS_THRESHOLD; shape++) {
    burgess(one, N, (mrl_burgess_shape)shape, SEED, 1);
    burgess(two, N, (mrl_burgess_shape)shape, SEED, 3);
    CHECK(memcmp(one, two, 7 * N * sizeof(double)) == 0);
    const double *x = one + N, *g = x + 2 * N, *u = g + N, *v = u + N, *e = v + N;
    for (int i = 0; i < N; i++) {
      const double above = x[i] > 2 ? x[i] - 2 : 0;
      const double f[] = {.4 * x[i], x[i] * x[i] / 10, (x[i] - 1) * (x[i] - 1) / 5, above * .4};
      const double slope[] = {.4, x[i] / 5, (x[i] - 1) * .4, above > 0 ? .4 : 0};
      CHECK(g[i] == 0 || g[i] == 1 || g[i] == 2);
      CHECK(u[i] > 0 && u[i] < 1 && v[i] > 0);
      CHECK_NEAR(x[i], .25 * g[i] + u[i] + v[i], 1e-14);
      CHECK_NEAR(one[i], f[shape] + .8 * u[i] + e[i], 1e-13 * (1 + fabs(one[i])));
      CHECK_NEAR(one[2 * N + i], slope[shape], 1e-14);
    }
  }
  const double *g = one + 3 * N, *u = g + N, *v = u + N, *e = v + N;
  const double *const part[] = {g, u, v, e};
  const double mean[] = {.6, .5, 1, 0}, variance[] = {.42, 1. / 12, 1, 1};
  const double kurtosis[] = {1 / .42, 1.8, 9, 3};
  check_laws(part, mean, variance, kurtosis, 4);
  /* The first people are the same, and the rest is left alone. */
  burgess(two, 4500, MRL_BURGESS_THRESHOLD, SEED, 2);
  CHECK(memcmp(one, two, 7 * N * sizeof(double)) == 0);
  burgess(two, N, MRL_BURGESS_LINEAR, SEED + 1, 2);
  CHECK(one[N] != two[N] && one[6 * N] != two[6 * N]);
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
  double *one = calloc(8 * N, sizeof(double)), *two = calloc(8 * N, sizeof(double));
  for (int cell = 0; cell < 16; cell++) {
    const mrl_tian_scenario scenario = (mrl_tian_scenario)(cell / 4);
    const int outcome = cell % 4 + 1;
    tian(one, N, scenario, outcome, 1);
    tian(two, N, scenario, outcome, 3);
    CHECK(memcmp(one, two, 8 * N * sizeof(double)) == 0);
    const double *x = one + N, *exact = x + 2 * N, *z = exact + N, *u1 = z + N, *u2 = u1 + N;
    const double *u3 = u2 + N;
    for (int i = 0; i < N; i++) {
      const double slow = slow_exposure(scenario, z[i], u1[i], u2[i]), t = x[i];
      const double h[] = {0, t * t / 10, t > 0 ? -t * t / 10 : 0, t > .6 ? t * 5 - 3 : 0};
      const double slope[] = {0, t / 5, t > 0 ? -t / 5 : 0, t > .6 ? 5 : 0};
      CHECK_NEAR(exact[i], slow, 1e-13 * (1 + fabs(slow)));
      CHECK(t == (scenario == MRL_TIAN_D ? nearbyint(exact[i]) : exact[i]));
      CHECK_NEAR(one[i], h[outcome - 1] + u2[i] + u3[i], 1e-12 * (1 + fabs(one[i])));
      CHECK_NEAR(one[2 * N + i], slope[outcome - 1], 1e-13 * (1 + fabs(t)));
    }
    const double *const part[] = {z, u1, u2, u3};
    const double mean[] = {0, 0, 0, 0}, variance[] = {.25, 1, 1, 1}, kurtosis[] = {3, 3, 3, 3};
    check_laws(part, mean, variance, kurtosis, 4);
    tian(two, 4500, scenario, outcome, 2);
    CHECK(memcmp(one, two, 8 * N * sizeof(double)) == 0);
  }
  free(one);
  free(two);
}

/* Logistic noise (variance pi^2 / 3, kurtosis 4.2) in the same streams, and outcomes that are 1
 * above the cutoff. */
static void test_binary(void)
{
  double *one = calloc(8 * N, sizeof(double)), *y = one, *e = one + N, *rest = one + 2 * N;
  const mrl_ctx ctx = {2, NULL, NULL};
  mrl_sim_burgess b = {y, rest, rest + N, rest + 2 * N, rest + 3 * N, rest + 4 * N, e};
  mrl_sim_burgess_settings s = {.n = N, .seed = SEED, .maf = .3, .logistic = 1};
  CHECK(mrl_sim_burgess_run(&b, &s, &ctx) == MRL_OK);
  const double mean = 0, variance = 9.869604401089358 / 3, kurtosis = 4.2;
  check_laws((const double *const[]){e}, &mean, &variance, &kurtosis, 1);
  double *liability = calloc(N, sizeof(double));
  memcpy(liability, y, N * sizeof(double));
  s.binary = 1;
  s.cutoff = .5;
  CHECK(mrl_sim_burgess_run(&b, &s, &ctx) == MRL_OK);
  for (int i = 0; i < N; i++) {
    CHECK(y[i] == (liability[i] > .5));
  }
  mrl_sim_tian t = {.y = y, .x = rest, .slope = rest + N, .z = rest + 2 * N};
  t.u1 = rest + 3 * N;
  t.u2 = rest + 4 * N;
  t.u3 = e;
  mrl_sim_tian_settings st = {.n = N, .seed = SEED, .outcome = 2, .logistic = 1};
  CHECK(mrl_sim_tian_run(&t, &st, &ctx) == MRL_OK);
  check_laws((const double *const[]){e}, &mean, &variance, &kurtosis, 1);
  memcpy(liability, y, N * sizeof(double));
  st.binary = 1;
  st.cutoff = -1;
  CHECK(mrl_sim_tian_run(&t, &st, &ctx) == MRL_OK);
  for (int i = 0; i < N; i++) {
    CHECK(y[i] == (liability[i] > -1));
  }
  free(liability);
  free(one);
}

int main(void)
{
  test_burgess();
  test_binary();
  test_tian();
  return CTEST_DONE();
}
