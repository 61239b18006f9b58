/* Slopes by sequence, noise by level and the law of errors, against loops and closed forms. */
#include "ctest.h"

#include "../src/core/deepmr.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

static uint64_t state = 1; /* a linear congruential generator is random enough here */

/* Even in (-1, 1). */
static double any(void)
{
  state = state * 6364136223846793005u + 1442695040888963407u;
  return (double)(state >> 11) / (double)(UINT64_C(1) << 52) - 1;
}

enum { N_SEQ = 4, N_VARIANT = 10, N_ALL = N_SEQ * N_VARIANT, N_ROW = 2 * N_ALL, N_MEMBER = 3 };

typedef struct {
  double effect[N_ROW], se[N_ROW], member[N_ROW * N_MEMBER];
  int x[N_ALL], y[N_ALL];
  size_t start[N_SEQ + 1];
} table;

/* Rows of the outcome lie before those of the exposure, in turned order. */
static mrl_deepmr_effects fill(table *t)
{
  for (size_t i = 0; i < N_ROW; i++) {
    t->effect[i] = any();
    t->se[i] = 0.3;
    for (size_t k = 0; k < N_MEMBER; k++) {
      t->member[i + k * N_ROW] = t->effect[i] + 0.1 * any();
    }
  }
  for (int v = 0; v < N_ALL; v++) {
    t->x[v] = N_ROW - 1 - v;
    t->y[v] = v;
  }
  for (size_t s = 0; s <= N_SEQ; s++) {
    t->start[s] = s * N_VARIANT;
  }
  t->start[2] += 9; /* a sequence with one variant */
  const mrl_deepmr_effects out = {t->effect, t->se, t->member, N_ROW, N_MEMBER,
                                  t->x,      t->y,  t->start,  N_SEQ};
  return out;
}

/* The slope of member k to first order around the mean, by its definition. */
static double slow_shift(const mrl_deepmr_effects *e, const int *instrument, size_t s, size_t k,
                         double b)
{
  double sum = 0, xx = 0;
  for (size_t v = e->start[s]; v < e->start[s + 1]; v++) {
    if (instrument[v]) {
      const double x = e->effect[e->x[v]], y = e->effect[e->y[v]];
      const double dx = e->member[(size_t)e->x[v] + k * N_ROW] - x;
      const double dy = e->member[(size_t)e->y[v] + k * N_ROW] - y;
      sum += x * (dy - b * dx) + dx * (y - b * x);
      xx += x * x;
    }
  }
  return sum / xx;
}

static void test_slopes(const mrl_ctx *ctx)
{
  table t;
  const mrl_deepmr_effects e = fill(&t);
  double out[N_SEQ * MRL_DEEPMR_N_COLUMN], shift[N_MEMBER * N_SEQ];
  int instrument[N_ALL];
  mrl_deepmr_pick pick = {.rule = MRL_DEEPMR_Z, .threshold = 0.8, .least = 3};
  CHECK(mrl_deepmr_spread(&pick.centre, &pick.spread, &e, ctx) == MRL_OK);
  CHECK(mrl_deepmr_slopes(out, shift, instrument, &e, &pick, ctx) == MRL_OK);
  size_t marked = 0;
  for (size_t s = 0; s < N_SEQ; s++) {
    double xx = 0, xy = 0, n = 0;
    for (size_t v = t.start[s]; v < t.start[s + 1]; v++) {
      const double x = t.effect[t.x[v]];
      CHECK(instrument[v] == (fabs(x - pick.centre) >= 0.8 * pick.spread));
      xx += instrument[v] * x * x;
      xy += instrument[v] * x * t.effect[t.y[v]];
      n += instrument[v];
    }
    marked += (size_t)n;
    CHECK_NEAR(out[s], n, 0);
    const double b = out[s + N_SEQ * MRL_DEEPMR_SLOPE], sd = out[s + N_SEQ * MRL_DEEPMR_SD];
    if (n < 3) {
      CHECK(isnan(b) && isnan(sd) && isnan(shift[s * N_MEMBER]));
      continue;
    }
    CHECK_NEAR(b, xy / xx, 1e-12); /* sums of ten products of order 1 */
    double mean = 0, squares = 0;
    for (size_t k = 0; k < N_MEMBER; k++) {
      CHECK_NEAR(shift[k + s * N_MEMBER], slow_shift(&e, instrument, s, k, b), 1e-12);
      mean += shift[k + s * N_MEMBER] / N_MEMBER;
    }
    for (size_t k = 0; k < N_MEMBER; k++) {
      squares += pow(shift[k + s * N_MEMBER] - mean, 2);
    }
    CHECK_NEAR(sd, sqrt(squares / (N_MEMBER - 1)), 1e-12);
  }
  CHECK(marked > 6 && marked < N_ALL);
  pick.rule = MRL_DEEPMR_F;
  pick.threshold = 4; /* |x| >= .6 */
  CHECK(mrl_deepmr_slopes(out, shift, instrument, &e, &pick, ctx) == MRL_OK);
  for (size_t v = 0; v < N_ALL; v++) {
    CHECK(instrument[v] == (fabs(t.effect[t.x[v]]) >= 0.6));
  }
}

static void test_refusals(const mrl_ctx *ctx)
{
  table t;
  mrl_deepmr_effects e = fill(&t);
  double out[N_SEQ * MRL_DEEPMR_N_COLUMN], shift[N_MEMBER * N_SEQ], a, b;
  int instrument[N_ALL];
  mrl_deepmr_pick pick = {.rule = MRL_DEEPMR_F, .threshold = 1, .least = 3};
  e.se = NULL;
  CHECK(mrl_deepmr_slopes(out, shift, instrument, &e, &pick, ctx) == MRL_BAD_ARGUMENT);
  pick.rule = MRL_DEEPMR_ALL;
  pick.least = 0;
  CHECK(mrl_deepmr_slopes(out, shift, instrument, &e, &pick, ctx) == MRL_BAD_ARGUMENT);
  const size_t one[] = {0, 1};
  e.start = one;
  e.n_seq = 1;
  CHECK(mrl_deepmr_spread(&a, &b, &e, ctx) == MRL_TOO_FEW);
}

/* Levels far apart in two heaps, with noises of their own; an outlier is left out. */
static void test_noise(const mrl_ctx *ctx)
{
  enum { HALF = 50, N = 2 * HALF };
  double level[2 * N], e[2 * N], at[] = {0, 10, 0, 10}, cov[6];
  for (size_t i = 0; i < N; i++) {
    const int high = i >= HALF;
    level[i] = 10 * high + 0.1 * any();
    level[N + i] = 10 * high + 0.1 * any();
    e[i] = (i % 2 ? 1 : -1) * (high ? 3 : 1);
    e[N + i] = high ? 2 * e[i] : -e[i];
  }
  e[7] = 1e6; /* beyond four times 1.4826 */
  double *work = malloc(mrl_deepmr_noise_work(N) * sizeof *work);
  CHECK(mrl_deepmr_noise(cov, at, 2, level, e, N, HALF, work, ctx) == MRL_OK);
  /* Half of e'e / m, as a difference has the noise of two measurements: 1 and 9 over 2. */
  CHECK_NEAR(cov[0], 0.5, 1e-12);
  CHECK_NEAR(cov[2], -0.5, 1e-12);
  CHECK_NEAR(cov[4], 0.5, 1e-12);
  CHECK_NEAR(cov[1], 4.5, 1e-12);
  CHECK_NEAR(cov[3], 9, 1e-12);
  CHECK_NEAR(cov[5], 18, 1e-12);
  CHECK(mrl_deepmr_noise(cov, at, 2, level, e, N, N + 1, work, ctx) == MRL_TOO_FEW);
  free(work);
}

/* Many errors without noise: psi is their variance and the reach that of a normal law. */
static void test_law(const mrl_ctx *ctx)
{
  enum { N = 20000 };
  static double z[N], v0[N], h[N];
  double squares = 0;
  for (size_t i = 0; i < N; i += 2) {
    z[i] = 0.3 + 0.2 * (i % 4 ? 1 : 1.5);
    z[i + 1] = 0.6 - z[i];
    h[i] = h[i + 1] = 1;
  }
  for (size_t i = 0; i < N; i++) {
    squares += (z[i] - 0.3) * (z[i] - 0.3);
  }
  const double sd = sqrt(squares / (N - 1));
  mrl_deepmr_law law;
  mrl_deepmr_prior prior = {.unit = 1};
  mrl_deepmr_errors errors = {.z = z, .v0 = v0, .h = h, .x = h, .n = N, .n_covariate = 1};
  CHECK(mrl_deepmr_learn(&law, &errors, &prior) == MRL_OK);
  double psi = 0, total = 0;
  for (size_t g = 0; g < MRL_DEEPMR_N_GRID; g++) {
    psi += law.weight[g] * law.t[g] * law.t[g];
    total += law.weight[g];
  }
  CHECK_NEAR(total, 1, 1e-12);
  CHECK_NEAR(sqrt(psi), sd, 0.05 * sd); /* steps of the grid are a tenth apart */
  double out[3 * MRL_DEEPMR_N_REACH];
  const double *reach = out + 3 * MRL_DEEPMR_REACH;
  const double sizes[] = {1, 1, 4}, ones[] = {1, 1, 1};
  CHECK(mrl_deepmr_reach(out, sizes, ones, 3, &law, 0.95, ctx) == MRL_OK);
  CHECK_NEAR(out[3 * MRL_DEEPMR_CENTRE], 0.3, 1e-12);
  CHECK_NEAR(out[3 * MRL_DEEPMR_VARIANCE], psi / N, 0.01 * sd * sd / N);
  CHECK_NEAR(reach[0], 1.959964 * sqrt(psi), 0.01 * sd);
  CHECK_NEAR(reach[1], reach[0], 0);
  CHECK_NEAR(reach[2], 2 * reach[0], 0.01 * sd);
  errors.n = 1;
  CHECK(mrl_deepmr_learn(&law, &errors, &prior) == MRL_TOO_FEW);
  errors.n = N;
  errors.n_covariate = MRL_DEEPMR_MOST_COVARIATES + 1;
  CHECK(mrl_deepmr_learn(&law, &errors, &prior) == MRL_BAD_ARGUMENT);
  errors.n_covariate = 1;
  /* As much weight on another variance as the data have: the mean of the two. */
  prior.df = N;
  prior.psi0 = 4 * sd * sd;
  CHECK(mrl_deepmr_learn(&law, &errors, &prior) == MRL_OK);
  size_t most = 0;
  for (size_t g = 0; g < MRL_DEEPMR_N_GRID; g++) {
    most = law.weight[g] > law.weight[most] ? g : most;
  }
  CHECK_NEAR(law.t[most], sqrt(2.5) * sd, 0.06 * sqrt(2.5) * sd); /* half a step of the grid */
  CHECK(mrl_deepmr_reach(out, sizes, ones, 3, &law, 1, ctx) == MRL_BAD_ARGUMENT);
}

/* Errors that are 0.1 + 0.4 x2 - 0.2 x3 and +-0.05: the line is found, the rest is small. */
static void test_law_by_levels(const mrl_ctx *ctx)
{
  enum { N = 4000 };
  static double z[N], v0[N], h[N], x[3 * N];
  for (size_t i = 0; i < N; i++) {
    h[i] = x[i] = 1;
    x[N + i] = (double)(i % 20) / 10 - 0.95;
    x[2 * N + i] = (double)(i / 20 % 10) / 5 - 0.9;
    z[i] = 0.1 + 0.4 * x[N + i] - 0.2 * x[2 * N + i] + (i / 200 % 2 ? 0.05 : -0.05);
  }
  const mrl_deepmr_errors errors = {.z = z, .v0 = v0, .h = h, .x = x, .n = N, .n_covariate = 3};
  const mrl_deepmr_prior prior = {.unit = 1};
  mrl_deepmr_law law;
  CHECK(mrl_deepmr_learn(&law, &errors, &prior) == MRL_OK);
  const double to_come[] = {1, 1, 0, 0, 0, 1}, sizes[] = {1, 1}; /* rows (1, 0, 0), (1, 0, 1) */
  double out[2 * MRL_DEEPMR_N_REACH];
  CHECK(mrl_deepmr_reach(out, sizes, to_come, 2, &law, 0.95, ctx) == MRL_OK);
  /* The prior N(0, 3^2) draws by some (1 / 9) (0.05^2 / N) of the coefficients. */
  CHECK_NEAR(out[0], 0.1, 1e-6);
  CHECK_NEAR(out[1], -0.1, 1e-6);
  CHECK_NEAR(out[2 * MRL_DEEPMR_REACH], 1.959964 * 0.05, 0.05 * 1.96 * 0.05); /* the grid's steps */
  CHECK(out[2 * MRL_DEEPMR_VARIANCE + 1] > out[2 * MRL_DEEPMR_VARIANCE]);     /* further out */
  /* Columns that are equal are told apart by the prior alone: no error. */
  for (size_t i = 0; i < N; i++) {
    x[2 * N + i] = x[N + i];
  }
  CHECK(mrl_deepmr_learn(&law, &errors, &prior) == MRL_OK);
  CHECK_NEAR(law.d[20][1], law.d[20][2], 1e-6);
}

int main(void)
{
  for (int threads = 1; threads < 4; threads += 2) {
    const mrl_ctx ctx = {threads, NULL, NULL};
    test_slopes(&ctx);
    test_refusals(&ctx);
    test_noise(&ctx);
    test_law(&ctx);
    test_law_by_levels(&ctx);
  }
  return CTEST_DONE();
}
