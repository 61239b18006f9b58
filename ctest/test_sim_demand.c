/* The demand simulator: rebuilt from its columns, laws, threads. Fixed seeds. */
#include "ctest.h"

#include <stdlib.h>
#include <string.h>

#include "sim_demand.h"

enum { N = 20000, N_COLUMNS = 8 };

/* All columns in one block; the caller frees out.y. */
static mrl_sim_demand simulate(double rho, size_t n, int n_threads)
{
  double *const p = calloc((size_t)N * N_COLUMNS, sizeof *p);
  mrl_sim_demand out = {.y = p,
                        .price = p + N,
                        .time = p + 2 * N,
                        .type = p + 3 * N,
                        .cost = p + 4 * N,
                        .v = p + 5 * N,
                        .e = p + 6 * N,
                        .slope = p + 7 * N};
  const mrl_sim_demand_settings settings = {.n = n, .seed = 5, .rho = rho};
  const mrl_ctx ctx = {n_threads, NULL, NULL};
  CHECK(mrl_sim_demand_run(&out, &settings, &ctx) == MRL_OK);
  return out;
}

/* psi at 0, 5 and 10 by hand: exp(-100) is 4e-44. Y is of order 1000, so 1e-11 is 100 eps Y. */
static void test_rebuild(void)
{
  CHECK_NEAR(mrl_demand_psi(0), 2 * (625. / 600 - 2), 1e-15);
  CHECK_NEAR(mrl_demand_psi(5), 2 * (1 + .5 - 2), 1e-15);
  CHECK_NEAR(mrl_demand_psi(10), 2 * (625. / 600 + 1 - 2), 1e-15);
  const mrl_sim_demand d = simulate(.5, N, 2);
  for (int i = 0; i < N; i++) {
    const double psi = mrl_demand_psi(d.time[i]);
    CHECK(d.time[i] > 0 && d.time[i] < 10);
    CHECK_NEAR(d.price[i], 25 + (d.cost[i] + 3) * psi + d.v[i], 1e-13);
    CHECK_NEAR(d.slope[i], d.type[i] * psi - 2, 1e-13);
    CHECK_NEAR(d.y[i], 100 + (10 + d.price[i]) * d.type[i] * psi - 2 * d.price[i] + d.e[i], 1e-11);
  }
  free(d.y);
}

static double mean_of(const double *a, const double *b)
{
  double sum = 0;
  for (int i = 0; i < N; i++) {
    sum += a[i] * (b ? b[i] : 1);
  }
  return sum / N;
}

/* 4 standard errors. E v e = rho, with the variance 1 + rho^2 of v e. */
static void test_laws(void)
{
  for (int k = 0; k < 3; k++) {
    const double rho = (double[]){.9, 0, -1}[k];
    const mrl_sim_demand d = simulate(rho, N, 2);
    CHECK_NEAR(mean_of(d.v, d.e), rho, 4 * sqrt((1 + rho * rho) / N));
    CHECK_NEAR(mean_of(d.e, d.e), 1, 4 * sqrt(2. / N));
    CHECK_NEAR(mean_of(d.v, d.v), 1, 4 * sqrt(2. / N));
    CHECK_NEAR(mean_of(d.cost, d.cost), 1, 4 * sqrt(2. / N));
    CHECK_NEAR(mean_of(d.cost, NULL), 0, 4 / sqrt(N));
    CHECK_NEAR(mean_of(d.cost, d.v), 0, 4 / sqrt(N));
    CHECK_NEAR(mean_of(d.cost, d.e), 0, 4 / sqrt(N));
    CHECK_NEAR(mean_of(d.time, NULL), 5, 4 * sqrt(100. / 12 / N));
    CHECK_NEAR(mean_of(d.type, NULL), 4, 4 * sqrt(4. / N));
    int count[8] = {0};
    for (int i = 0; i < N; i++) {
      CHECK(d.type[i] >= 1 && d.type[i] <= 7 && d.type[i] == floor(d.type[i]));
      count[(int)d.type[i]]++;
    }
    for (int s = 1; s <= 7; s++) {
      CHECK_NEAR(count[s], N / 7., 4 * sqrt(N / 7. * 6 / 7));
    }
    free(d.y);
  }
}

static void test_threads(void)
{
  const mrl_sim_demand one = simulate(.5, N, 1), two = simulate(.5, N, 2);
  CHECK(memcmp(one.y, two.y, (size_t)N * N_COLUMNS * sizeof(double)) == 0);
  const mrl_sim_demand fewer = simulate(.5, 4500, 2);
  CHECK(memcmp(one.y, fewer.y, 4500 * sizeof(double)) == 0);
  CHECK(memcmp(one.cost, fewer.cost, 4500 * sizeof(double)) == 0);
  /* Another rho leaves price and covariates as they are. */
  const mrl_sim_demand other = simulate(.1, N, 2);
  CHECK(memcmp(one.price, other.price, 4 * (size_t)N * sizeof(double)) == 0);
  free(one.y);
  free(two.y);
  free(fewer.y);
  free(other.y);
}

int main(void)
{
  test_rebuild();
  test_laws();
  test_threads();
  return CTEST_DONE();
}
