/* The nonlinear simulator: rebuilt from its parts, laws, threads, overflow. Fixed seeds. */
#include "ctest.h"

#include <stdlib.h>
#include <string.h>

#include "sim_nonlinear.h"

enum { N = 20000, L = 70, SEED = 11 }; /* five chunks, two blocks of variants */

typedef struct {
  double *memory, *genotype[L];
  mrl_sim_nonlinear out;
} result;

static mrl_sim_nonlinear_settings poster(void)
{
  const mrl_sim_nonlinear_settings settings = {.n = N,
                                               .n_snp = L,
                                               .seed = SEED,
                                               .maf_low = .2,
                                               .maf_high = .45,
                                               .h2 = .5,
                                               .beta_ux = .35,
                                               .beta_uy = -.7};
  return settings;
}

enum { N_DOUBLES = N * (L + 6) + 3 * L };

/* Everything in one block, so that two results compare by memcmp. The caller frees it. */
static result simulate(const mrl_sim_nonlinear_settings *settings, int n_threads)
{
  result r;
  double *next = r.memory = calloc(N_DOUBLES, sizeof(double));
  for (int j = 0; j < L; j++, next += N) {
    r.genotype[j] = next;
  }
  double *const snp = next + 6 * N;
  r.out = (mrl_sim_nonlinear){.genotype = r.genotype,
                              .modifier = next,
                              .x = next + N,
                              .rest = next + 2 * N,
                              .u = next + 3 * N,
                              .v = next + 4 * N,
                              .e = next + 5 * N,
                              .maf = snp,
                              .share = snp + L,
                              .effect = snp + 2 * L};
  const mrl_ctx ctx = {n_threads, NULL, NULL};
  CHECK(mrl_sim_nonlinear_run(&r.out, settings, &ctx) == MRL_OK);
  return r;
}

/* Sums of 72 terms of order 1, in another order: 1e-13 is generous. */
static void test_rebuild(void)
{
  const mrl_sim_nonlinear_settings s = poster();
  const result r = simulate(&s, 2);
  double total = 0;
  for (int j = 0; j < L; j++) {
    const double p = r.out.maf[j];
    CHECK(p > .2 && p < .45 && r.out.share[j] > 0);
    CHECK_NEAR(r.out.effect[j] * r.out.effect[j] * 2 * p * (1 - p), r.out.share[j] * s.h2, 1e-15);
    total += r.out.share[j];
  }
  CHECK_NEAR(total, 1, 1e-14);
  for (size_t i = 0; i < N; i++) {
    double x = s.beta_ux * r.out.u[i] + r.out.v[i];
    for (size_t j = 0; j < L; j++) {
      x += r.out.effect[j] * (r.genotype[j][i] - 2 * r.out.maf[j]);
    }
    CHECK_NEAR(r.out.x[i], x, 1e-13);
    CHECK_NEAR(r.out.rest[i], s.beta_uy * r.out.u[i] + r.out.e[i], 1e-13);
  }
  free(r.memory);
}

static double mean_of(const double *a, const double *b)
{
  double sum = 0;
  for (int i = 0; i < N; i++) {
    sum += a[i] * (b ? b[i] : 1);
  }
  return sum / N;
}

/* Within 4 standard errors: 1/sqrt(n) of the mean of a standard normal variable and of the product
 * of two independent ones, sqrt(2/n) of a mean square. */
static void test_laws(void)
{
  const mrl_sim_nonlinear_settings s = poster();
  const result r = simulate(&s, 2);
  const double *const part[] = {r.out.u, r.out.v, r.out.e, r.out.modifier, r.out.x};
  const double variance[] = {1, 1 - .5 - .35 * .35, 1, 1, 1};
  for (int k = 0; k < 5; k++) {
    CHECK_NEAR(mean_of(part[k], NULL), 0, 4 * sqrt(variance[k] / N));
    CHECK_NEAR(mean_of(part[k], part[k]), variance[k], 4 * variance[k] * sqrt(2. / N));
    for (int l = 0; l < k && k < 4; l++) {
      CHECK_NEAR(mean_of(part[k], part[l]), 0, 4 * sqrt(variance[k] * variance[l] / N));
    }
  }
  for (int j = 0; j < L; j++) {
    const double p = r.out.maf[j], var = 2 * p * (1 - p);
    const double mean = mean_of(r.genotype[j], NULL);
    CHECK_NEAR(mean, 2 * p, 4 * sqrt(var / N));
    CHECK_NEAR(mean_of(r.genotype[j], r.genotype[j]) - mean * mean, var, 4 * var * sqrt(2. / N));
  }
  free(r.memory);
}

static void test_threads(void)
{
  mrl_sim_nonlinear_settings s = poster();
  const result one = simulate(&s, 1), two = simulate(&s, 2), three = simulate(&s, 3);
  CHECK(memcmp(one.memory, two.memory, N_DOUBLES * sizeof(double)) == 0);
  CHECK(memcmp(one.memory, three.memory, N_DOUBLES * sizeof(double)) == 0);
  free(two.memory);
  free(three.memory);
  s.n = 4500; /* the first people are the same, all of each */
  const result fewer = simulate(&s, 2);
  CHECK(memcmp(fewer.out.x, one.out.x, 4500 * sizeof(double)) == 0);
  CHECK(memcmp(fewer.out.rest, one.out.rest, 4500 * sizeof(double)) == 0);
  CHECK(memcmp(fewer.out.modifier, one.out.modifier, 4500 * sizeof(double)) == 0);
  CHECK(memcmp(fewer.genotype[L - 1], one.genotype[L - 1], 4500 * sizeof(double)) == 0);
  free(fewer.memory);
  s.seed++;
  const result other = simulate(&s, 2);
  CHECK(other.out.u[0] != one.out.u[0] && other.out.maf[0] != one.out.maf[0]);
  free(other.memory);
  free(one.memory);
}

static void test_edges(void)
{
  mrl_sim_nonlinear_settings s = poster();
  s.n = 1;
  s.n_snp = 1;
  s.h2 = 0; /* variants without effect */
  double g, *genotype[] = {&g}, part[5], snp[3];
  mrl_sim_nonlinear out = {.genotype = genotype,
                           .x = part,
                           .rest = part + 1,
                           .u = part + 2,
                           .v = part + 3,
                           .e = part + 4,
                           .maf = snp,
                           .share = snp + 1,
                           .effect = snp + 2}; /* no modifier is asked for */
  const mrl_ctx ctx = {2, NULL, NULL};
  CHECK(mrl_sim_nonlinear_run(&out, &s, &ctx) == MRL_OK);
  CHECK(out.share[0] == 1 && out.effect[0] == 0);
  CHECK(out.x[0] == s.beta_ux * out.u[0] + out.v[0]);
  s.beta_uy = 1.7e308;
  int overflowed = 0;
  for (s.seed = 0; s.seed < 8; s.seed++) { /* |U| > 1.06 in one of them */
    overflowed |= mrl_sim_nonlinear_run(&out, &s, &ctx) == MRL_NOT_FINITE;
  }
  CHECK(overflowed);
}

int main(void)
{
  test_rebuild();
  test_laws();
  test_threads();
  test_edges();
  return CTEST_DONE();
}
