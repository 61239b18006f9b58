/* Slopes on features and priors of coefficients, by slow formulas. */
#include "ctest.h"
#include "prior.h"
#include "rng.h"
#include "slope.h"

#include <stdlib.h>
#include <string.h>

enum { N = 300, P = 3 };

typedef struct {
  double y[N], x[N], s[N], q[2][N], f[P][N], weights[N];
  const double *q_col[2], *f_col[P];
  int group[P], cluster[N];
} sample;

static void draw(sample *d, double effect)
{
  mrl_rng rng = mrl_rng_stream(3, MRL_RNG_TEST, 1);
  for (size_t i = 0; i < N; i++) {
    const double u = mrl_rng_normal(&rng);
    for (size_t j = 0; j < P; j++) {
      d->f[j][i] = mrl_rng_normal(&rng) + 10;
    }
    d->s[i] = mrl_rng_normal(&rng);
    d->x[i] = d->s[i] + u;
    d->q[0][i] = d->f[0][i];
    d->q[1][i] = d->f[1][i];
    d->y[i] = (0.5 + effect * (d->f[0][i] - 10)) * d->x[i] + d->f[0][i] + u + mrl_rng_normal(&rng);
    d->weights[i] = 1 + (double)(i % 2);
    d->cluster[i] = (int)(i / 3) + 1;
  }
  for (int j = 0; j < P; j++) {
    d->f_col[j] = d->f[j];
    d->group[j] = j + 1;
  }
  d->q_col[0] = d->q[0];
  d->q_col[1] = d->q[1];
}

typedef struct {
  double center[P], coef[1 + P], vcov[(1 + P) * (1 + P)], mu[3], variance[P], g[P], residual[N];
  double group_statistic[P], group_df[P];
  mrl_slope_fit fit;
} answer;

static mrl_status solve(answer *a, const sample *d, mrl_slope_penalty penalty, int weighted,
                        int clustered, double charge)
{
  const mrl_ctx ctx = {1, NULL, NULL};
  const mrl_slope_data data = {.y = d->y,
                               .x = d->x,
                               .s = d->s,
                               .a = d->s,
                               .q = d->q_col,
                               .f = d->f_col,
                               .group = d->group,
                               .weights = weighted ? d->weights : NULL,
                               .cluster = clustered ? d->cluster : NULL,
                               .n = N,
                               .n_q = 2,
                               .p = P,
                               .n_groups = P,
                               .n_cluster = N / 3};
  const mrl_slope_settings how = {penalty, charge, mrl_isa_best()};
  const size_t size = mrl_slope_scratch(&data, &ctx);
  void *scratch = malloc(size);
  if (!scratch) {
    abort();
  }
  memset(scratch, 0xff, size);
  memset(a, 0xff, sizeof *a);
  const mrl_slope_fit fit = {.center = a->center,
                             .coef = a->coef,
                             .vcov = a->vcov,
                             .mu = a->mu,
                             .variance = a->variance,
                             .g = a->g,
                             .residual = a->residual,
                             .group_statistic = a->group_statistic,
                             .group_df = a->group_df};
  a->fit = fit;
  const mrl_status status = mrl_slope_run(&a->fit, &data, &how, scratch, size, &ctx);
  free(scratch);
  return status;
}

/* The free solution meets its moments: residuals are orthogonal to 1, q, s and s f. */
static void check_moments(const answer *a, const sample *d, int weighted)
{
  double sum[4 + P] = {0};
  for (size_t i = 0; i < N; i++) {
    double slope = a->coef[0];
    for (size_t j = 0; j < P; j++) {
      slope += a->coef[1 + j] * (d->f[j][i] - a->center[j]);
    }
    const double mu = a->mu[0] + a->mu[1] * d->q[0][i] + a->mu[2] * d->q[1][i];
    const double r = d->y[i] - mu - slope * d->x[i], w = weighted ? d->weights[i] : 1;
    CHECK_NEAR(r, a->residual[i], 1e-9);
    sum[0] += w * r;
    sum[1] += w * r * d->q[0][i];
    sum[2] += w * r * d->q[1][i];
    sum[3] += w * r * d->s[i];
    for (size_t j = 0; j < P; j++) {
      sum[4 + j] += w * r * d->s[i] * (d->f[j][i] - a->center[j]);
    }
  }
  for (size_t j = 0; j < 4 + P; j++) {
    CHECK_NEAR(sum[j], 0, 1e-7);
  }
}

static void check_slopes(void)
{
  sample *d = malloc(sizeof *d);
  answer free_one, shrunk, weighted;
  if (!d) {
    abort();
  }
  draw(d, 0.5);
  CHECK(solve(&free_one, d, MRL_SLOPE_FREE, 0, 0, 0) == MRL_OK);
  check_moments(&free_one, d, 0);
  CHECK(solve(&weighted, d, MRL_SLOPE_FREE, 1, 1, 0) == MRL_OK);
  check_moments(&weighted, d, 1);
  CHECK(solve(&shrunk, d, MRL_SLOPE_SHRUNK, 0, 0, log(N)) == MRL_OK);
  CHECK(shrunk.variance[0] > 0 && shrunk.variance[1] == 0 && shrunk.variance[2] == 0);
  CHECK(shrunk.coef[2] == 0 && shrunk.coef[3] == 0);
  CHECK(fabs(shrunk.coef[1]) < fabs(free_one.coef[1]) + 0.1 && shrunk.coef[1] > 0.2);
  CHECK(shrunk.group_statistic[0] > 20 && shrunk.group_df[0] == 1 && shrunk.fit.df == 3);
  /* No charge can be paid: the constant slope, which is s'y / s'x without q. */
  CHECK(solve(&shrunk, d, MRL_SLOPE_SHRUNK, 0, 0, INFINITY) == MRL_OK);
  CHECK(shrunk.coef[0] == shrunk.fit.b_null && shrunk.coef[1] == 0);
  draw(d, 0);
  CHECK(solve(&shrunk, d, MRL_SLOPE_SHRUNK, 0, 1, log(N)) == MRL_OK);
  CHECK(shrunk.coef[1] == 0 && shrunk.coef[2] == 0 && shrunk.coef[3] == 0);
  memset(d->x, 0, sizeof d->x);
  CHECK(solve(&shrunk, d, MRL_SLOPE_SHRUNK, 0, 0, log(N)) != MRL_OK);
  free(d);
}

/* A diagonal likelihood is solved coefficient by coefficient. */
static void check_prior(void)
{
  const int group[3] = {1, 2, 2};
  const double B[9] = {4, 0, 0, 0, 1, 0, 0, 0, 2}, h[3] = {8, 1, -3};
  const mrl_prior_problem problem = {3, 2, group, B, h, 0};
  const mrl_ctx ctx = {1, NULL, NULL};
  double mean[3], covariance[9], chosen[2];
  const double variance[2] = {0.5, 2};
  mrl_prior_work work;
  mrl_arena arena = mrl_arena_measure();
  mrl_prior_carve(&work, &arena, 3, 2);
  const size_t size = arena.used;
  void *memory = malloc(size);
  if (!memory) {
    abort();
  }
  arena = mrl_arena_over(memory, size);
  mrl_prior_carve(&work, &arena, 3, 2);
  double deviance = 0;
  CHECK(mrl_prior_posterior(mean, covariance, &problem, variance, &work) == MRL_OK);
  for (size_t j = 0; j < 3; j++) {
    const double v = variance[group[j] - 1], b = B[4 * j];
    CHECK_NEAR(mean[j], h[j] / (b + 1 / v), 1e-13);
    CHECK_NEAR(covariance[4 * j], 1 / (b + 1 / v), 1e-13);
    deviance += log(1 + v * b) - h[j] * h[j] / (b + 1 / v);
  }
  CHECK_NEAR(covariance[1], 0, 1e-15);
  CHECK_NEAR(mrl_prior_deviance(&problem, variance, &work), deviance, 1e-12);
  /* One coefficient: the best variance is (h / b)^2 - 1 / b = 4 - .25, where the deviance is
   * 1 + log(h^2 / b) - h^2 / b = 1 + log 16 - 16. */
  const int one_group[1] = {1};
  mrl_prior_problem one = {1, 1, one_group, B, h, 12.2};
  mrl_prior_choose(chosen, &one, &work, &ctx);
  CHECK_NEAR(chosen[0], 3.75, 1e-3);
  CHECK_NEAR(mrl_prior_deviance(&one, chosen, &work), 1 + log(16) - 16, 1e-9);
  one.charge = 12.3;
  mrl_prior_choose(chosen, &one, &work, &ctx);
  CHECK(chosen[0] == 0);
  free(memory);
}

int main(void)
{
  check_slopes();
  check_prior();
  return CTEST_DONE();
}
