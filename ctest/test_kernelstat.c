/* Statistics by kernels and entropies: kernel matrices, gradients by central differences, a search
 * row by row, tests under the null hypothesis and off it. Fixed seeds. */
#include "ctest.h"

#include <stdlib.h>
#include <string.h>

#include "entropy.h"
#include "kernelstat.h"
#include "rng.h"

enum { NX = 30, NY = 23, D = 3, Q = 2 };

static const mrl_ctx one = {1, NULL, NULL};
static const double wide[] = {.7, 2}, narrow[] = {1.3};

static double x[NX * D], y[NX * D], work[20000];

static void draw(double *out, size_t n, uint64_t stream)
{
  mrl_rng rng = mrl_rng_stream(5, MRL_RNG_TEST, stream);
  mrl_rng_fill_normal(&rng, out, n);
}

typedef mrl_status statistic_fn(double *value, double *gx, double *gy, const mrl_samples *s,
                                double *work, const mrl_ctx *ctx);

static double value_of(statistic_fn *f, const mrl_samples *s)
{
  double value;
  CHECK(mrl_kernelstat_work(s) <= sizeof work / sizeof *work);
  CHECK(f(&value, NULL, NULL, s, work, &one) == MRL_OK);
  return value;
}

/* Central differences of step h err by h^2 f''' / 6 and eps f / h: 1e-7 at h = 1e-5 and values near
 * 1; gradients are added to what is there. */
static void check_gradient(statistic_fn *f, const mrl_samples *s, double tol)
{
  double gx[NX * D], gy[NX * D], value;
  for (int i = 0; i < NX * D; i++) {
    gx[i] = gy[i] = 2;
  }
  CHECK(f(&value, gx, gy, s, work, &one) == MRL_OK);
  CHECK_NEAR(value, value_of(f, s), 1e-13 * (1 + fabs(value)));
  for (int which = 0; which < 2; which++) {
    double *at = which ? y : x, *g = which ? gy : gx;
    const size_t n = which ? s->ny * s->dy : s->nx * s->dx;
    for (size_t i = 0; i < n; i += 4) {
      const double keep = at[i], h = 1e-5;
      at[i] = keep + h;
      const double up = value_of(f, s);
      at[i] = keep - h;
      const double down = value_of(f, s);
      at[i] = keep;
      CHECK_NEAR(g[i] - 2, (up - down) / (2 * h), tol);
    }
  }
}

static double kernel(const double *a, size_t i, size_t na, const double *b, size_t j, size_t nb,
                     size_t d, const double *bandwidth, size_t n_bandwidth)
{
  double dot = 1, square = 0, sum = 0;
  for (size_t k = 0; k < d; k++) {
    dot += a[i + k * na] * b[j + k * nb];
    square += pow(a[i + k * na] - b[j + k * nb], 2);
  }
  for (size_t k = 0; k < n_bandwidth; k++) {
    sum += exp(-square / (2 * bandwidth[k] * bandwidth[k]));
  }
  return n_bandwidth ? sum : dot * dot;
}

/* Mean of the kernel over pairs, without those of a row with itself where `skip`. */
static double mean_kernel(const double *a, size_t na, const double *b, size_t nb, size_t d,
                          const double *bandwidth, size_t n_bandwidth, int skip)
{
  double sum = 0;
  for (size_t i = 0; i < na; i++) {
    for (size_t j = 0; j < nb; j++) {
      sum += skip && i == j ? 0 : kernel(a, i, na, b, j, nb, d, bandwidth, n_bandwidth);
    }
  }
  return sum / (double)(na * (skip ? nb - 1 : nb));
}

static void test_mmd(void)
{
  draw(x, NX * D, 1);
  draw(y, NY * D, 2);
  mrl_samples s = {x, y, NX, NY, D, D, wide, NULL, 2, 0};
  const double poly = mean_kernel(x, NX, x, NX, D, NULL, 0, 0) +
                      mean_kernel(y, NY, y, NY, D, NULL, 0, 0) -
                      2 * mean_kernel(x, NX, y, NY, D, NULL, 0, 0);
  CHECK_NEAR(value_of(mrl_mmd_poly, &s), poly, 1e-12);
  const double rbf = mean_kernel(x, NX, x, NX, D, wide, 2, 1) +
                     mean_kernel(y, NY, y, NY, D, wide, 2, 1) -
                     2 * mean_kernel(x, NX, y, NY, D, wide, 2, 0);
  CHECK_NEAR(value_of(mrl_mmd_gaussian, &s), rbf, 1e-13);
  check_gradient(mrl_mmd_poly, &s, 1e-7);
  check_gradient(mrl_mmd_gaussian, &s, 1e-8);
  check_gradient(mrl_mmd_moments, &s, 1e-7);
  /* One column: the squared differences of mean and variance. */
  const mrl_samples single = {x, y, NX, NY, 1, 1, NULL, NULL, 0, 0};
  double m[2] = {0, 0}, v[2] = {0, 0};
  for (int i = 0; i < NX; i++) {
    m[0] += x[i] / NX;
  }
  for (int i = 0; i < NY; i++) {
    m[1] += y[i] / NY;
  }
  for (int i = 0; i < NX; i++) {
    v[0] += pow(x[i] - m[0], 2) / (NX - 1);
  }
  for (int i = 0; i < NY; i++) {
    v[1] += pow(y[i] - m[1], 2) / (NY - 1);
  }
  CHECK_NEAR(value_of(mrl_mmd_moments, &single), pow(m[0] - m[1], 2) + pow(v[0] - v[1], 2), 1e-14);
}

/* tr(K H L H) / n^2 with all matrices written out. */
static double slow_hsic(const double *bx, size_t nbx, const double *by, size_t nby)
{
  static double k[NX * NX], l[NX * NX];
  for (size_t i = 0; i < NX; i++) {
    for (size_t j = 0; j < NX; j++) {
      k[i + j * NX] = kernel(x, i, NX, x, j, NX, D, bx, nbx);
      l[i + j * NX] = kernel(y, i, NX, y, j, NX, Q, by, nby);
    }
  }
  double trace = 0;
  for (size_t i = 0; i < NX; i++) {
    for (size_t j = 0; j < NX; j++) {
      double centred = l[j + i * NX], all = 0;
      for (size_t a = 0; a < NX; a++) {
        centred -= (l[a + i * NX] + l[j + a * NX]) / NX;
        for (size_t b = 0; b < NX; b++) {
          all += l[a + b * NX];
        }
      }
      trace += k[i + j * NX] * (centred + all / (NX * NX));
    }
  }
  return trace / (NX * NX);
}

static void test_hsic(void)
{
  draw(x, NX * D, 3);
  draw(y, NX * Q, 4);
  for (int i = 0; i < NX; i++) {
    y[i] += x[i] * x[i + NX];
  }
  const mrl_samples s = {x, y, NX, NX, D, Q, wide, narrow, 2, 1};
  CHECK_NEAR(value_of(mrl_hsic_poly, &s), slow_hsic(NULL, 0, NULL, 0), 1e-11);
  CHECK_NEAR(value_of(mrl_hsic_gaussian, &s), slow_hsic(wide, 2, narrow, 1), 1e-14);
  check_gradient(mrl_hsic_poly, &s, 1e-5); /* values near 10, third derivatives near 100 */
  check_gradient(mrl_hsic_gaussian, &s, 1e-8);
}

static double slow_nearest(const double *a, size_t n, size_t d, size_t i, size_t k)
{
  double least[8];
  for (size_t m = 0; m < k; m++) {
    least[m] = INFINITY;
  }
  for (size_t j = 0; j < n; j++) {
    double square = 0;
    for (size_t c = 0; c < d; c++) {
      square += pow(a[i + c * n] - a[j + c * n], 2);
    }
    for (size_t m = 0; m < k && j != i; m++) {
      if (square < least[m]) {
        const double keep = least[m];
        least[m] = square;
        square = keep;
      }
    }
  }
  return sqrt(least[k - 1]);
}

static void test_nearest(void)
{
  enum { N = 700 };
  static double a[N * 4], distance[N];
  static size_t which[N];
  static const size_t sizes[] = {2, 6, 16, 17, 33, 100, N};
  for (int s = 0; s < 7; s++) {
    for (size_t d = 1; d <= 4; d += 3) {
      const size_t n = sizes[s], k = n > 5 ? 5 : 1;
      draw(a, n * d, 10 + n + d);
      for (size_t i = 0; i < n * d; i += 3) {
        a[i] = floor(4 * a[i]) / 4; /* ties */
      }
      void *scratch = malloc(mrl_entropy_scratch(n, d, k));
      CHECK(mrl_nearest(distance, which, a, n, d, k, scratch, &one) == MRL_OK);
      for (size_t i = 0; i < n; i++) {
        CHECK(distance[i] == slow_nearest(a, n, d, i, k));
        double square = 0;
        for (size_t c = 0; c < d; c++) {
          square += pow(a[i + c * n] - a[which[i] + c * n], 2);
        }
        CHECK(which[i] != i && sqrt(square) == distance[i]);
      }
      free(scratch);
    }
  }
}

typedef mrl_status entropy_fn(double *value, double *gradient, const double *x, size_t n, size_t d,
                              size_t k, void *scratch, const mrl_ctx *ctx);

static mrl_status gaussian(double *value, double *gradient, const double *a, size_t n, size_t d,
                           size_t k, void *scratch, const mrl_ctx *ctx)
{
  (void)k;
  (void)ctx;
  return mrl_entropy_gaussian(value, gradient, a, n, d, scratch);
}

/* No neighbours change within 1e-6 of these rows. */
static void check_entropy(entropy_fn *f, double tol)
{
  double g[NX * Q], value, up, down;
  draw(x, NX * Q, 6);
  void *scratch = malloc(mrl_entropy_scratch(NX, Q, 3));
  memset(g, 0, sizeof g);
  CHECK(f(&value, g, x, NX, Q, 3, scratch, &one) == MRL_OK);
  for (int i = 0; i < NX * Q; i++) {
    const double keep = x[i], h = 1e-6;
    x[i] = keep + h;
    CHECK(f(&up, NULL, x, NX, Q, 3, scratch, &one) == MRL_OK);
    x[i] = keep - h;
    CHECK(f(&down, NULL, x, NX, Q, 3, scratch, &one) == MRL_OK);
    x[i] = keep;
    CHECK_NEAR(g[i], (up - down) / (2 * h), tol);
  }
  free(scratch);
}

/* Normal rows: log(2 pi e) for two dimensions, SD about sqrt(1 / n); uniform ones: 0. */
static void test_entropy(void)
{
  enum { N = 4000 };
  static double a[N * Q];
  const double normal = log(2 * 3.14159265358979 * exp(1.));
  draw(a, N * Q, 7);
  void *scratch = malloc(mrl_entropy_scratch(N, Q, 5));
  double value;
  CHECK(mrl_entropy_nearest(&value, NULL, a, N, Q, 5, scratch, &one) == MRL_OK);
  CHECK_NEAR(value, normal, 5 / sqrt(N));
  CHECK(gaussian(&value, NULL, a, N, Q, 0, scratch, &one) == MRL_OK);
  CHECK_NEAR(value, normal, 5 / sqrt(N));
  CHECK(mrl_entropy_squashed(&value, NULL, a, N, Q, 5, scratch, &one) == MRL_OK);
  CHECK_NEAR(value, 0, 5 / sqrt(N));
  for (int i = 0; i < 6; i++) {
    a[i] = a[i + N] = 1; /* one row six times */
  }
  CHECK(mrl_entropy_nearest(&value, NULL, a, N, Q, 5, scratch, &one) == MRL_NOT_FINITE);
  CHECK(mrl_entropy_nearest(&value, NULL, a, 5, Q, 5, scratch, &one) == MRL_BAD_ARGUMENT);
  for (int i = 0; i < N * Q; i++) {
    a[i] *= 1e300; /* squares of differences are infinite */
  }
  CHECK(mrl_entropy_nearest(&value, NULL, a, N, Q, 5, scratch, &one) == MRL_NOT_FINITE);
  free(scratch);
}

/* Uniform p-values where the hypothesis holds (one p below .05 among 20 runs: up to 5 with
 * probability .9997), the least possible ones where it does not; the same for any threads. */
static void test_tests(void)
{
  enum { N = 90 };
  static double a[N * Q], b[N * Q];
  int group[N];
  const mrl_kernel kernels[] = {{NULL, 0}, {wide, 2}};
  const mrl_ctx three = {3, NULL, NULL};
  for (int i = 0; i < N; i++) {
    group[i] = i / 30;
  }
  for (int kernel_no = 0; kernel_no < 2; kernel_no++) {
    const mrl_kernel *kn = &kernels[kernel_no];
    int low[2] = {0, 0};
    for (uint64_t run = 0; run < 21; run++) {
      const mrl_perm_settings settings = {39, run};
      double statistic, p, again;
      draw(a, N * Q, 100 + run);
      draw(b, N * Q, 200 + run);
      for (int i = 0; i < N && run == 20; i++) {
        a[i] += group[i];
        b[i] += a[i] * (i % 2 ? 1 : .5);
      }
      void *scratch = malloc(mrl_mmd_test_scratch(N, 3, &settings, &three) +
                             mrl_hsic_test_scratch(N, &settings, &three));
      CHECK(mrl_mmd_test(&statistic, &p, a, N, Q, group, 3, kn, &settings, scratch, &one) ==
            MRL_OK);
      CHECK(mrl_mmd_test(&again, &p, a, N, Q, group, 3, kn, &settings, scratch, &three) == MRL_OK);
      CHECK(again == statistic);
      low[0] += run < 20 && p <= .05;
      CHECK(run < 20 || p == 1. / 40);
      CHECK(mrl_hsic_test(&statistic, &p, a, Q, b, Q, N, group, 3, kn, kn, &settings, scratch,
                          &three) == MRL_OK);
      low[1] += run < 20 && p <= .05;
      CHECK(run < 20 || p == 1. / 40);
      free(scratch);
    }
    CHECK(low[0] <= 5 && low[1] <= 5);
  }
}

int main(void)
{
  test_mmd();
  test_hsic();
  test_nearest();
  check_entropy(mrl_entropy_nearest, 1e-6);
  check_entropy(mrl_entropy_squashed, 1e-6);
  check_entropy(gaussian, 1e-8);
  test_entropy();
  test_tests();
  return CTEST_DONE();
}
