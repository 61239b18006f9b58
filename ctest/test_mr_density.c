/* Order statistics and the density's mode against slow versions. */
#include "ctest.h"

#include <string.h>

#include "mr_density.h"
#include "mr_order.h"
#include "mr_slow.h"
#include "rng.h"

enum { MAX_N = 400 };

static mrl_rng stream(uint64_t item)
{
  return mrl_rng_stream(20170612, MRL_RNG_TEST, item);
}

/* Samples of many shapes: continuous, with outliers, on a coarse lattice (ties), in two clumps. */
static size_t make_sample(double *x, double *weight, mrl_rng *rng)
{
  static const size_t sizes[] = {3, 4, 5, 10, 28, 79, 79, MAX_N};
  const size_t n = sizes[mrl_rng_below(rng, 8)];
  const uint64_t shape = mrl_rng_below(rng, 5);
  const double spread = 0.5 * (double)(1 + mrl_rng_below(rng, 4));
  for (size_t i = 0; i < n; i++) {
    const double z = mrl_rng_normal(rng);
    x[i] = shape == 0   ? z
           : shape == 1 ? z / fabs(mrl_rng_normal(rng))
           : shape == 2 ? round(4 * z) / 4
           : shape == 3 ? z + (i % 2 ? 5 : 0)
                        : 3 + 1e-4 * z;
    weight[i] = exp(spread * mrl_rng_normal(rng));
  }
  return n;
}

static void test_order_statistics(void)
{
  double x[MAX_N], copy[MAX_N], weight[MAX_N];
  mrl_rng rng = stream(1);
  int wrong = 0;
  for (int i = 0; i < 3000; i++) {
    const size_t n = make_sample(x, weight, &rng);
    memcpy(copy, x, sizeof x);
    wrong += fabs(mrl_median(copy, n) - slow_median(x, n)) > 1e-15 * fabs(slow_median(x, n));
    memcpy(copy, x, sizeof x);
    wrong += fabs(mrl_mad(copy, n) - slow_mad(x, n)) > 1e-15 * slow_mad(x, n);
    /* The mean is exact to a few ulp of the sum: what that adds to squares is below 1e-13. */
    wrong += fabs(mrl_sd(x, n) - slow_sd(x, n)) > 1e-13 * slow_sd(x, n);
  }
  CHECK(wrong == 0);
}

/* In linear time on orders that are hard for a selection: else this test takes minutes. */
static void test_hard_orders(void)
{
  const size_t n = 1000001;
  double *x = malloc(n * sizeof *x);
  for (int order = 0; order < 4; order++) {
    for (size_t i = 0; i < n; i++) {
      const double up = (double)i, down = (double)(n - 1 - i);
      x[i] = order == 0 ? up : order == 1 ? down : order == 2 ? (up < down ? up : down) : 1;
    }
    CHECK(mrl_median(x, n) == (order < 2 ? 500000 : order == 2 ? 250000 : 1));
  }
  x[0] = NAN;
  x[1] = NAN;
  mrl_median(x, n); /* it ends */
  free(x);
}

static void test_sorting(void)
{
  mrl_weighted item[MAX_N], spare[MAX_N];
  mrl_rng rng = stream(2);
  for (int trial = 0; trial < 300; trial++) {
    const size_t n = 1 + (size_t)mrl_rng_below(&rng, MAX_N);
    for (size_t i = 0; i < n; i++) {
      item[i].value = (double)mrl_rng_below(&rng, 50); /* many ties */
      item[i].weight = (double)i;
    }
    mrl_sort_weighted(item, spare, n);
    int wrong = 0;
    double sum = item[0].weight;
    for (size_t i = 1; i < n; i++) {
      wrong += item[i - 1].value > item[i].value ||
               (item[i - 1].value == item[i].value && item[i - 1].weight > item[i].weight);
      sum += item[i].weight;
    }
    CHECK(wrong == 0 && sum == (double)(n * (n - 1) / 2));
  }
}

/* The same point of the grid. Where two values differ by rounding only either may win: that needs a
 * symmetric sample (equal weights), or has a chance of about 1e-12. */
static void test_density_mode(void)
{
  double x[MAX_N], weight[MAX_N];
  mrl_rng rng = stream(3);
  int wrong = 0;
  for (int i = 0; i < 1500; i++) {
    const size_t n = make_sample(x, weight, &rng);
    const double factor = 0.25 * (double)(1 + mrl_rng_below(&rng, 8));
    const double spread = fmin(slow_sd(x, n), slow_mad(x, n));
    const double h = fmax(1e-8, factor * 0.9 * spread / pow((double)n, 0.2));
    const double slow = slow_density_mode(x, weight, n, h),
                 fast = mrl_density_mode(x, weight, n, h);
    wrong += fast != slow;
  }
  CHECK(wrong == 0);
}

static void test_density_edges(void)
{
  const double one[] = {1, 1, 1}, x[] = {2, 2, 2}, far[] = {0, 1, 1e9}, huge[] = {1e300, 1e300};
  CHECK_NEAR(mrl_density_mode(x, one, 3, 1e-8), 2, 1e-9);
  CHECK_NEAR(mrl_density_mode(x, one, 1, 1), 2, 14.0 / 511);
  CHECK(mrl_density_mode(far, one, 3, 1) == slow_density_mode(far, one, 3, 1));
  CHECK(isnan(mrl_density_mode(huge, one, 2, 1)));
}

/* A density's mode without a grid, from every 1e-4 bandwidths. */
static double slow_exact_mode(const double *x, const double *weight, size_t n, double h)
{
  double best = -1, at = NAN;
  for (double u = -4; u <= 9; u += 1e-4 * h) {
    double value = 0;
    for (size_t i = 0; i < n; i++) {
      value += weight[i] * exp(-(u - x[i]) * (u - x[i]) / (2 * h * h));
    }
    if (value > best) {
      best = value;
      at = u;
    }
  }
  return at;
}

static void test_exact_mode(void)
{
  enum { N = 12 };
  mrl_weighted item[N], spare[N];
  double x[N], weight[N];
  mrl_rng rng = stream(4);
  for (int trial = 0; trial < 10; trial++) {
    for (int i = 0; i < N; i++) {
      x[i] = mrl_rng_normal(&rng) + (i % 3 ? 0 : 5);
      weight[i] = mrl_rng_exponential(&rng);
      item[i].value = x[i];
      item[i].weight = weight[i];
    }
    mrl_sort_weighted(item, spare, N);
    const double h = 0.2 + 0.1 * trial;
    CHECK_NEAR(mrl_density_mode_exact(item, N, h), slow_exact_mode(x, weight, N, h), 1e-4 * h);
  }
}

int main(void)
{
  test_order_statistics();
  test_hard_orders();
  test_sorting();
  test_density_mode();
  test_density_edges();
  test_exact_mode();
  return CTEST_DONE();
}
