/* Medians, modes and their bootstraps against slow versions written down from the definitions. */
#include "ctest.h"

#include <string.h>

#include "mr_boot.h"
#include "mr_slow.h"

enum { SEED = 20170612 };

/* Twenty effects of either sign about slope 0.4, among them outliers. */
enum { N = 20 };
static double bx[N], sx[N], by[N], sy[N];

static mrl_mr_data make_data(void)
{
  mrl_rng rng = mrl_rng_stream(SEED, MRL_RNG_TEST, 0);
  for (int i = 0; i < N; i++) {
    bx[i] = (i % 2 ? 1 : -1) * (0.05 + 0.1 * mrl_rng_uniform(&rng));
    sx[i] = 0.008 + 0.004 * mrl_rng_uniform(&rng);
    sy[i] = 0.01 + 0.02 * mrl_rng_uniform(&rng);
    by[i] = 0.4 * bx[i] + sy[i] * mrl_rng_normal(&rng) + (i % 5 ? 0 : 0.1);
  }
  const mrl_mr_data data = {bx, sx, by, sy, N};
  return data;
}

static mrl_mr_settings make_settings(void)
{
  const mrl_mr_settings settings = {.seed = SEED, .n_boot = 500, .phi = 1, .penalty = 20};
  return settings;
}

static double slow_weighted_median(const double *x, const double *weight)
{
  int order[N];
  double total = 0, sum = 0, place[N];
  for (int i = 0; i < N; i++) { /* insertion, equal values in their order */
    int j = i;
    for (; j > 0 && x[order[j - 1]] > x[i]; j--) {
      order[j] = order[j - 1];
    }
    order[j] = i;
    total += weight[i];
  }
  for (int i = 0; i < N; i++) {
    sum += weight[order[i]];
    place[i] = (sum - weight[order[i]] / 2) / total;
  }
  int below = 0;
  for (int i = 0; i < N; i++) {
    below = place[i] < 0.5 ? i : below;
  }
  const double a = x[order[below]], b = x[order[below + 1]];
  return a + (b - a) * (0.5 - place[below]) / (place[below + 1] - place[below]);
}

static double variance_of_ratio(int i)
{
  return sy[i] * sy[i] / (bx[i] * bx[i]) + by[i] * by[i] * sx[i] * sx[i] / pow(bx[i], 4);
}

static void slow_weights(double *weight, mrl_mr_method method, const mrl_mr_settings *settings)
{
  double ratio[N];
  for (int i = 0; i < N; i++) {
    ratio[i] = by[i] / bx[i];
    weight[i] = method == MRL_MR_SIMPLE_MEDIAN         ? 1
                : settings->median_weights_first_order ? bx[i] * bx[i] / (sy[i] * sy[i])
                                                       : 1 / variance_of_ratio(i);
  }
  if (method == MRL_MR_PENALISED_MEDIAN) {
    const double median = slow_weighted_median(ratio, weight);
    for (int i = 0; i < N; i++) {
      const double z2 = weight[i] * (ratio[i] - median) * (ratio[i] - median);
      weight[i] *= fmin(1, settings->penalty * erfc(sqrt(z2 / 2)));
    }
  }
}

/* sd of the medians of draws made one number at a time: exposure effects first. */
static double slow_median_se(mrl_mr_method method, const mrl_mr_settings *settings, uint64_t group)
{
  double weight[N], ratio[N], drawn[1000];
  slow_weights(weight, method, settings);
  for (uint64_t b = 0; b < settings->n_boot; b++) {
    mrl_rng rng = mrl_rng_stream(settings->seed, MRL_RNG_BOOTSTRAP, group * 16777216 + b);
    for (int i = 0; i < N; i++) {
      ratio[i] = 1 / (bx[i] + sx[i] * mrl_rng_normal(&rng));
    }
    for (int i = 0; i < N; i++) {
      ratio[i] *= by[i] + sy[i] * mrl_rng_normal(&rng);
    }
    drawn[b] = slow_weighted_median(ratio, weight);
  }
  return slow_sd(drawn, settings->n_boot);
}

static void test_medians(void)
{
  const mrl_mr_data data = make_data();
  mrl_mr_settings settings = make_settings();
  double *work =
      malloc(mrl_mr_boot_whole_work(MRL_MR_WEIGHTED_MEDIAN, N, &settings) * sizeof *work);
  double weight[N], ratio[N];
  for (int i = 0; i < N; i++) {
    ratio[i] = by[i] / bx[i];
  }
  for (int first_order = 0; first_order < 2; first_order++) {
    settings.median_weights_first_order = first_order;
    for (int m = MRL_MR_SIMPLE_MEDIAN; m <= MRL_MR_PENALISED_MEDIAN; m++) {
      const mrl_mr_method method = (mrl_mr_method)m;
      const mrl_mr_estimate fast = mrl_mr_boot_whole(method, &data, 3, &settings, NULL, work);
      slow_weights(weight, method, &settings);
      /* p-values and sums agree to some 1e-13; nothing is magnified. */
      CHECK_NEAR(fast.estimate, slow_weighted_median(ratio, weight), 1e-12);
      CHECK_NEAR(fast.std_error, slow_median_se(method, &settings, 3), 1e-12);
      CHECK_NEAR(fast.p_value, erfc(fabs(fast.estimate / fast.std_error) / sqrt(2)), 1e-12);
    }
  }
  free(work);
}

typedef enum { OWN_SE, NEXT_SE } whose_se;

/* mad of the modes of draws of the ratios. whose: NEXT_SE has the defect of drawing a variant's
 * ratio with the standard error of its neighbour. */
static double slow_mode_se(mrl_mr_method method, const mrl_mr_settings *settings, uint64_t group,
                           whose_se whose)
{
  const int nome = method == MRL_MR_SIMPLE_MODE_NOME || method == MRL_MR_WEIGHTED_MODE_NOME;
  const int equal = method == MRL_MR_SIMPLE_MODE || method == MRL_MR_SIMPLE_MODE_NOME;
  double weight[N], se[N], ratio[N], drawn[1000];
  for (int i = 0; i < N; i++) {
    se[i] = nome ? sy[i] / fabs(bx[i]) : sqrt(variance_of_ratio(i));
    weight[i] = equal ? 1.0 / N : 1 / (se[i] * se[i]);
  }
  for (uint64_t b = 0; b < settings->n_boot; b++) {
    mrl_rng rng = mrl_rng_stream(settings->seed, MRL_RNG_BOOTSTRAP, group * 16777216 + b);
    for (int i = 0; i < N; i++) {
      ratio[i] = by[i] / bx[i] + se[(i + (int)whose) % N] * mrl_rng_normal(&rng);
    }
    const double h = settings->phi * 0.9 * fmin(slow_sd(ratio, N), slow_mad(ratio, N));
    drawn[b] = slow_density_mode(ratio, weight, N, h / pow(N, 0.2));
  }
  return slow_mad(drawn, settings->n_boot);
}

static void test_modes(void)
{
  const mrl_mr_data data = make_data();
  mrl_mr_settings settings = make_settings();
  settings.n_boot = 100;
  double *work = malloc(mrl_mr_boot_whole_work(MRL_MR_WEIGHTED_MODE, N, &settings) * sizeof *work);
  for (int m = MRL_MR_SIMPLE_MODE; m <= MRL_MR_WEIGHTED_MODE_NOME; m++) {
    const mrl_mr_method method = (mrl_mr_method)m;
    settings.phi = m % 2 ? 1 : 0.5;
    const mrl_mr_estimate fast = mrl_mr_boot_whole(method, &data, 7, &settings, NULL, work);
    CHECK(fast.why == MRL_MR_FINE && isfinite(fast.estimate));
    CHECK_NEAR(fast.std_error, slow_mode_se(method, &settings, 7, OWN_SE), 1e-12);
    CHECK(fabs(fast.std_error - slow_mode_se(method, &settings, 7, NEXT_SE)) > 1e-4);
    CHECK_NEAR(fast.p_value, mrl_student_p(fast.estimate / fast.std_error, N - 1), 1e-15);
  }
  free(work);
}

static void test_egger(void)
{
  const mrl_mr_data data = make_data();
  const mrl_mr_settings settings = make_settings();
  double *work =
      malloc(mrl_mr_boot_whole_work(MRL_MR_EGGER_BOOTSTRAP, N, &settings) * sizeof *work);
  const mrl_mr_estimate fast =
      mrl_mr_boot_whole(MRL_MR_EGGER_BOOTSTRAP, &data, 0, &settings, NULL, work);
  double slope[500], intercept[500], x[N], y[N], sum_slope = 0, sum_intercept = 0;
  int negative = 0;
  for (uint64_t b = 0; b < settings.n_boot; b++) {
    mrl_rng rng = mrl_rng_stream(SEED, MRL_RNG_BOOTSTRAP, b);
    double mx = 0, my = 0, mwx = 0, mwy = 0, xx = 0, xy = 0;
    for (int i = 0; i < N; i++) {
      x[i] = bx[i] + sx[i] * mrl_rng_normal(&rng);
    }
    for (int i = 0; i < N; i++) {
      y[i] = (by[i] + sy[i] * mrl_rng_normal(&rng)) * (x[i] < 0 ? -1 : 1);
      x[i] = fabs(x[i]);
      const double w = 1 / (sy[i] * sy[i]);
      mx += x[i] / N;
      my += y[i] / N;
      mwx += w * x[i] / N;
      mwy += w * y[i] / N;
    }
    for (int i = 0; i < N; i++) {
      const double w = 1 / (sy[i] * sy[i]);
      xx += (w * x[i] - mwx) * (w * x[i] - mwx);
      xy += (w * x[i] - mwx) * (w * y[i] - mwy);
    }
    slope[b] = xy / xx;
    intercept[b] = my - slope[b] * mx;
    sum_slope += slope[b];
    sum_intercept += intercept[b];
    negative += slope[b] < 0;
  }
  CHECK_NEAR(fast.estimate, sum_slope / 500, 1e-12);
  CHECK_NEAR(fast.std_error, slow_sd(slope, 500), 1e-12);
  CHECK_NEAR(fast.p_value, (fast.estimate > 0 ? negative : 500 - negative) / 500.0, 1e-15);
  CHECK_NEAR(fast.intercept, sum_intercept / 500, 1e-12);
  CHECK_NEAR(fast.intercept_se, slow_sd(intercept, 500), 1e-12);
  free(work);
}

/* Ranges in any order fill the same draws as the whole, and touch no other place. */
static void test_ranges(void)
{
  const mrl_mr_method methods[] = {MRL_MR_WEIGHTED_MEDIAN, MRL_MR_WEIGHTED_MODE,
                                   MRL_MR_EGGER_BOOTSTRAP};
  const mrl_mr_data data = make_data();
  const mrl_mr_settings settings = make_settings();
  for (int m = 0; m < 3; m++) {
    const size_t size = mrl_mr_boot_width(methods[m], N, &settings) * settings.n_boot;
    double *whole = malloc(size * sizeof *whole), *parts = malloc((size + 1) * sizeof *parts);
    double *work = malloc(mrl_mr_boot_work(methods[m], N, &settings) * sizeof *work);
    parts[size] = 42;
    mrl_mr_boot_draws(whole, methods[m], &data, 1, &settings, 0, 500, work);
    mrl_mr_boot_draws(parts, methods[m], &data, 1, &settings, 321, 500, work);
    mrl_mr_boot_draws(parts, methods[m], &data, 1, &settings, 0, 5, work);
    mrl_mr_boot_draws(parts, methods[m], &data, 1, &settings, 5, 5, work);
    mrl_mr_boot_draws(parts, methods[m], &data, 1, &settings, 5, 321, work);
    CHECK(memcmp(whole, parts, size * sizeof *whole) == 0);
    CHECK(parts[size] == 42);
    free(whole);
    free(parts);
    free(work);
  }
  CHECK(mrl_mr_boot_width(MRL_MR_IVW, N, &settings) == 0);
  CHECK(mrl_mr_boot_chunk(MRL_MR_WEIGHTED_MODE, 1000000, &settings) == 1);
}

static mrl_mr_estimate estimate(mrl_mr_method method, const mrl_mr_data *data, size_t n_boot)
{
  mrl_mr_settings settings = make_settings();
  settings.n_boot = n_boot;
  double *draws = malloc((2 * n_boot + 1) * sizeof *draws);
  double *work = malloc(mrl_mr_boot_work(method, data->n, &settings) * sizeof *work);
  mrl_mr_boot_draws(draws, method, data, 0, &settings, 0, n_boot, work);
  const mrl_mr_estimate out = mrl_mr_boot_finish(method, data, 0, draws, &settings, work);
  free(draws);
  free(work);
  return out;
}

static void test_unusable(void)
{
  const mrl_mr_method methods[] = {MRL_MR_PENALISED_MEDIAN, MRL_MR_SIMPLE_MODE,
                                   MRL_MR_EGGER_BOOTSTRAP};
  for (int m = 0; m < 3; m++) {
    mrl_mr_data data = make_data();
    data.n = 2;
    CHECK(estimate(methods[m], &data, 10).why == MRL_MR_TOO_FEW);
    data.n = 3;
    CHECK(isfinite(estimate(methods[m], &data, 10).std_error));
    CHECK(isnan(estimate(methods[m], &data, 1).std_error));
    CHECK(isnan(estimate(methods[m], &data, 0).p_value));
    bx[1] = 0;
    const mrl_mr_estimate infinite = estimate(methods[m], &data, 10);
    if (methods[m] == MRL_MR_EGGER_BOOTSTRAP) { /* it takes no ratios */
      CHECK(isfinite(infinite.estimate));
    } else {
      CHECK(infinite.why == MRL_MR_DEGENERATE && isnan(infinite.estimate));
    }
  }
}

static void test_exact_modes(void)
{
  const mrl_mr_data data = make_data();
  mrl_mr_settings settings = make_settings();
  double *work = malloc(mrl_mr_boot_whole_work(MRL_MR_WEIGHTED_MODE, N, &settings) * sizeof *work);
  const mrl_mr_estimate grid =
      mrl_mr_boot_whole(MRL_MR_WEIGHTED_MODE, &data, 0, &settings, NULL, work);
  settings.mode_exact = 1;
  const mrl_mr_estimate exact =
      mrl_mr_boot_whole(MRL_MR_WEIGHTED_MODE, &data, 0, &settings, NULL, work);
  double least = INFINITY, most = -INFINITY;
  for (int i = 0; i < N; i++) {
    least = fmin(least, by[i] / bx[i]);
    most = fmax(most, by[i] / bx[i]);
  }
  /* The grid's points are more than range / 511 apart; its kernel is .1 % too wide. */
  const double step = 2 * (most - least) / 511;
  CHECK(exact.estimate != grid.estimate);
  CHECK_NEAR(exact.estimate, grid.estimate, step);
  CHECK_NEAR(exact.std_error, grid.std_error, 2 * step);
  free(work);
}

/* Equal ratios: no spread, so the least bandwidth; the mode is that ratio. */
static void test_equal_ratios(void)
{
  const mrl_mr_data data = make_data();
  for (int i = 0; i < N; i++) {
    by[i] = 0.5 * bx[i];
  }
  CHECK_NEAR(estimate(MRL_MR_WEIGHTED_MODE, &data, 50).estimate, 0.5, 1e-9);
  CHECK_NEAR(estimate(MRL_MR_WEIGHTED_MEDIAN, &data, 50).estimate, 0.5, 1e-15);
}

int main(void)
{
  test_medians();
  test_modes();
  test_egger();
  test_ranges();
  test_unusable();
  test_exact_modes();
  test_equal_ratios();
  return CTEST_DONE();
}
