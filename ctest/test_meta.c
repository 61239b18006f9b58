#include "test_meta_load.h"

#include "../src/core/meta.h"
#include "../src/core/meta_tau2.h"

/* Equal variances: REML, DL, PM, EB, HE are max(0, s^2 - v), ML max(0, (k - 1) / k s^2 - v). */
static void test_equal_variances(void)
{
  enum { K = 15 };
  double y[K], se[K], mean = 0, s2 = 0;
  for (int scale = 0; scale < 2; scale++) { /* tau2 above 0, and at it */
    draw(y, se, NULL, K, 3);
    mean = s2 = 0;
    for (size_t i = 0; i < K; i++) {
      se[i] = scale ? 50 : 0.5;
      mean += y[i] / K;
    }
    for (size_t i = 0; i < K; i++) {
      s2 += (y[i] - mean) * (y[i] - mean) / (K - 1);
    }
    loaded l = load(y, se, NULL, K, 0);
    const double unit = l.model.unit * l.model.unit, v = se[0] * se[0];
    const mrl_meta_method same[] = {MRL_META_REML, MRL_META_DL, MRL_META_PM, MRL_META_EB,
                                    MRL_META_HE};
    double tau2, tau2_se;
    for (size_t j = 0; j < sizeof same / sizeof *same; j++) {
      CHECK(mrl_meta_tau2(&tau2, &tau2_se, same[j], &l.model) == MRL_OK);
      CHECK_NEAR(tau2 * unit, fmax(0, s2 - v), 1e-13 * s2);
    }
    CHECK(mrl_meta_tau2(&tau2, &tau2_se, MRL_META_ML, &l.model) == MRL_OK);
    CHECK_NEAR(tau2 * unit, fmax(0, s2 * (K - 1) / K - v), 1e-13 * s2);
    CHECK_NEAR(tau2_se * unit, sqrt(2.0 / K) * (v + fmax(0, s2 * (K - 1) / K - v)), 1e-12 * v);
    CHECK(mrl_meta_tau2(&tau2, &tau2_se, MRL_META_SJ, &l.model) == MRL_OK);
    const double start = s2 * (K - 1) / K;
    CHECK_NEAR(tau2 * unit, start * s2 / (v + start), 1e-13 * s2);
    free(l.memory);
  }
}

static double objective(double tau2, const double *y, const double *se, size_t k, int restricted)
{
  double sum = 0, mean = 0, value = 0;
  for (size_t i = 0; i < k; i++) {
    const double w = 1 / (se[i] * se[i] + tau2);
    sum += w;
    mean += w * y[i];
    value += log(w);
  }
  mean /= sum;
  for (size_t i = 0; i < k; i++) {
    value -= (y[i] - mean) * (y[i] - mean) / (se[i] * se[i] + tau2);
  }
  return value - (restricted ? log(sum) : 0);
}

/*
 * The likelihood can have several maxima: on no point of a fine grid may it exceed its value at the
 * estimate by more than rounding. Small sets with standard errors over four orders of magnitude
 * give many such cases; the test counts them to be sure that there are some.
 */
static void test_global_maximum(void)
{
  enum { K = 6, GRID = 400 };
  double y[K], se[K];
  int several = 0;
  for (uint64_t item = 0; item < 300; item++) {
    mrl_rng rng = mrl_rng_stream(11, MRL_RNG_TEST, item);
    for (size_t i = 0; i < K; i++) {
      se[i] = exp(2 * mrl_rng_normal(&rng));
      y[i] = (i % 2 ? se[i] : 5) * mrl_rng_normal(&rng);
    }
    for (int restricted = 0; restricted < 2; restricted++) {
      loaded l = load(y, se, NULL, K, 0);
      double tau2, tau2_se, before = -INFINITY, most = -INFINITY;
      const mrl_meta_method method = restricted ? MRL_META_REML : MRL_META_ML;
      CHECK(mrl_meta_tau2(&tau2, &tau2_se, method, &l.model) == MRL_OK);
      tau2 *= l.model.unit * l.model.unit;
      int rising = 1, peaks = 0;
      for (int i = 0; i < GRID; i++) {
        const double t = i == 0 ? 0 : exp(-16 + 26.0 * i / GRID);
        const double value = objective(t, y, se, K, restricted);
        peaks += rising && value < before;
        rising = value >= before;
        before = value;
        most = fmax(most, value);
      }
      several += peaks > 1;
      CHECK(objective(tau2, y, se, K, restricted) >= most - 1e-10);
      free(l.memory);
    }
  }
  CHECK(several > 10);
}

/* The root: above and below it by 1e-13 relative, Q is on either side of the target. */
static void test_profile_root(void)
{
  enum { K = 20 };
  double y[K], se[K];
  for (int spread = 0; spread < 5; spread++) {
    mrl_rng rng = mrl_rng_stream(13, MRL_RNG_TEST, (uint64_t)spread);
    for (size_t i = 0; i < K; i++) {
      se[i] = exp(spread * 4 * mrl_rng_normal(&rng)); /* up to 16 standard deviations of log */
      y[i] = 3 * se[i] * mrl_rng_normal(&rng);
    }
    loaded l = load(y, se, NULL, K, 0);
    for (double target = 1; target < 40; target *= 2) {
      double root;
      mrl_meta_moments low, high;
      CHECK(mrl_meta_solve_q(&root, target, &l.model) == MRL_OK);
      mrl_meta_weigh(&l.model, root + 1e-13 * (root + 1));
      CHECK(mrl_meta_evaluate(&high, &l.model) == MRL_OK);
      mrl_meta_weigh(&l.model, fmax(0, root - 1e-13 * (root + 1)));
      CHECK(mrl_meta_evaluate(&low, &l.model) == MRL_OK);
      CHECK(high.rss <= target * (1 + 1e-14));
      CHECK(root == 0 || low.rss >= target * (1 - 1e-14));
    }
    free(l.memory);
  }
}

typedef struct {
  double *effect, *se, *low, *high, *out;
  size_t *start;
  size_t n_groups, polls;
} groups;

static void count_poll(void *data)
{
  ((groups *)data)->polls++;
}

/* Group g has 1 + g % 17 effects, but the middle one `large`. */
static groups make_groups(size_t n_groups, size_t large)
{
  groups g = {.n_groups = n_groups, .start = malloc((n_groups + 1) * sizeof(size_t))};
  g.start[0] = 0;
  for (size_t i = 0; i < n_groups; i++) {
    g.start[i + 1] = g.start[i] + (i == n_groups / 2 ? large : 1 + i % 17);
  }
  const size_t n = g.start[n_groups];
  g.effect = malloc(n * sizeof(double));
  g.se = malloc(n * sizeof(double));
  draw(g.effect, g.se, NULL, n, 5);
  g.low = malloc(n_groups * sizeof(double));
  g.high = malloc(n_groups * sizeof(double));
  for (size_t i = 0; i < n_groups; i++) {
    const double df = (double)(g.start[i + 1] - g.start[i]) - 1;
    g.low[i] = 0.3 * df;
    g.high[i] = 2 * df;
  }
  g.out = malloc(n_groups * MRL_META_N_COLUMN * sizeof(double));
  return g;
}

static void free_groups(groups *g)
{
  free(g->effect);
  free(g->se);
  free(g->low);
  free(g->high);
  free(g->start);
  free(g->out);
}

static mrl_status run(groups *g, mrl_meta_method method, int n_threads, size_t lacking)
{
  const mrl_meta_data data = {g->effect, g->se, g->start, g->n_groups, g->low, g->high};
  const mrl_meta_settings settings = {method, MRL_META_KNAPP_HARTUNG};
  const mrl_ctx ctx = {n_threads, count_poll, g};
  const size_t size = mrl_meta_groups_scratch(&data, &ctx) - lacking;
  void *scratch = malloc(size);
  const mrl_status status = mrl_meta_groups(g->out, &data, &settings, scratch, size, &ctx);
  free(scratch);
  return status;
}

/* A group that is worked on serially, groups in rounds, groups of one; any number of threads. */
static void test_threads(void)
{
  groups a = make_groups(700, 25000), b = make_groups(700, 25000);
  const size_t bytes = a.n_groups * MRL_META_N_COLUMN * sizeof(double);
  for (int method = 0; method < MRL_META_N_METHOD; method++) {
    CHECK(run(&a, (mrl_meta_method)method, 1, 0) == MRL_OK);
    CHECK(run(&b, (mrl_meta_method)method, 4, 0) == MRL_OK);
    CHECK(memcmp(a.out, b.out, bytes) == 0);
    CHECK(a.out[0] == a.effect[0]); /* one effect is its own estimate */
  }
  CHECK(a.polls > 100);
  CHECK(run(&a, MRL_META_REML, 2, 512) == MRL_NO_MEMORY);
  free_groups(&a);
  free_groups(&b);
}

/* Units that are powers of two change no bit; others of 1e-150 and 1e150 only the rounding. */
static void test_units(void)
{
  groups a = make_groups(50, 30), b = make_groups(50, 30);
  const double units[] = {ldexp(1, -400), ldexp(1, 400), 1e-150, 1e150};
  for (int method = 0; method < MRL_META_N_METHOD; method++) {
    CHECK(run(&a, (mrl_meta_method)method, 1, 0) == MRL_OK);
    for (int u = 0; u < 4; u++) {
      for (size_t i = 0; i < b.start[b.n_groups]; i++) {
        b.effect[i] = a.effect[i] * units[u];
        b.se[i] = a.se[i] * units[u];
      }
      CHECK(run(&b, (mrl_meta_method)method, 1, 0) == MRL_OK);
      for (size_t g = 0; g < a.n_groups; g++) {
        const double one = a.out[g], two = b.out[g] / units[u];
        const size_t i2 = g + MRL_META_I2 * a.n_groups;
        CHECK(u < 2 ? one == two : fabs(one - two) < 1e-12 * fabs(one));
        if (a.start[g + 1] - a.start[g] > 1) {
          CHECK(u < 2 ? a.out[i2] == b.out[i2] : fabs(a.out[i2] - b.out[i2]) < 1e-9);
        }
      }
    }
  }
  free_groups(&a);
  free_groups(&b);
}

static void test_failures(void)
{
  groups g = make_groups(9, 5);
  g.se[g.start[3]] = 1e-200; /* beside standard errors near 1 */
  CHECK(run(&g, MRL_META_REML, 2, 0) == MRL_NOT_FINITE);
  CHECK(isnan(g.out[3]) && isfinite(g.out[2]) && isfinite(g.out[4]));
  free_groups(&g);
}

static mrl_status regress(mrl_meta_regression_fit *fit, double *y, double *se, double *x, size_t k,
                          size_t p)
{
  const mrl_meta_regression_data data = {y, se, x, k, p, 1, 1, 20};
  const mrl_meta_settings settings = {MRL_META_REML, MRL_META_PLAIN};
  const size_t size = mrl_meta_regression_scratch(k, p);
  void *scratch = malloc(size);
  const mrl_status status = mrl_meta_regression(fit, &data, &settings, scratch, size, &alone);
  free(scratch);
  return status;
}

/* A moderator shifted and scaled: the same slope in its units; qm is its squared z. */
static void test_regression(void)
{
  enum { K = 25 };
  double y[K], se[K], x[2 * K], coef[2], vcov[4], moved_coef[2], moved_vcov[4];
  mrl_meta_regression_fit fit = {.coef = coef, .vcov = vcov};
  mrl_meta_regression_fit moved = {.coef = moved_coef, .vcov = moved_vcov};
  draw(y, se, x, K, 8);
  CHECK(regress(&fit, y, se, x, K, 2) == MRL_OK);
  CHECK_NEAR(fit.qm, coef[1] * coef[1] / vcov[3], 1e-12 * fit.qm);
  for (size_t i = 0; i < K; i++) {
    x[i + K] = 1e6 * x[i + K] + 1e7;
  }
  CHECK(regress(&moved, y, se, x, K, 2) == MRL_OK);
  CHECK_NEAR(moved_coef[1] * 1e6, coef[1], 1e-12);
  CHECK_NEAR(moved_coef[0] + 1e7 * moved_coef[1], coef[0], 1e-11);
  CHECK_NEAR(moved.tau2, fit.tau2, 1e-12);
  for (size_t i = 0; i < K; i++) {
    x[i + K] = 3;
  }
  CHECK(regress(&moved, y, se, x, K, 2) == MRL_SINGULAR);
  CHECK(regress(&moved, y, se, x, 2, 2) == MRL_TOO_FEW);
}

int main(void)
{
  test_equal_variances();
  test_global_maximum();
  test_profile_root();
  test_threads();
  test_units();
  test_failures();
  test_regression();
  return CTEST_DONE();
}
