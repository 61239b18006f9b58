/* Stationary subspace analysis: its definition, recovery, invariances, failures. Fixed seeds. */
#include "ctest.h"

#include <stdlib.h>
#include <string.h>

#include "rng.h"
#include "ssa.h"

enum { E = 3, N_E = 2000, N = E * N_E, MOST = 50 };

static const int n_row[] = {N_E, N_E, N_E};

/* Two latents whose law differs between environments and two whose law does not, mixed into p
 * columns; latent (N, 4). */
static void make(double *x, double *latent, size_t p, double noise)
{
  mrl_rng rng = mrl_rng_stream(11, MRL_RNG_TEST, p);
  double *mix = malloc(4 * p * sizeof *mix);
  mrl_rng_fill_normal(&rng, mix, 4 * p);
  for (int i = 0; i < N; i++) {
    const int e = i / N_E;
    for (int j = 0; j < 4; j++) {
      latent[i + j * N] = mrl_rng_normal(&rng);
    }
    latent[i] = latent[i] * (1 + e) + e;
    latent[i + N] = latent[i + N] * (e == 2 ? 3 : 1) + .5 * latent[i + 2 * N] - 2 * e;
    for (size_t j = 0; j < p; j++) {
      x[(size_t)i + j * N] = 3 + noise * mrl_rng_normal(&rng);
      for (int k = 0; k < 4; k++) {
        x[(size_t)i + j * N] += latent[i + k * N] * mix[(size_t)k + 4 * j];
      }
    }
  }
  free(mix);
}

static mrl_status run(mrl_ssa *out, const double *x, size_t p, size_t d, int n_threads)
{
  const mrl_ssa_data data = {x, n_row, N, p, E, d};
  const mrl_ctx ctx = {n_threads, NULL, NULL};
  void *scratch = malloc(mrl_ssa_scratch(&data, &ctx));
  const mrl_status status = mrl_ssa_run(out, &data, scratch, MRL_ISA_PORTABLE, &ctx);
  free(scratch);
  return status;
}

static void apply(double *latent, const mrl_ssa *ssa, const double *x, size_t p, size_t d)
{
  for (size_t k = 0; k < d; k++) {
    for (size_t i = 0; i < N; i++) {
      double sum = 0;
      for (size_t j = 0; j < p; j++) {
        sum += (x[i + j * N] - ssa->centre[j]) * ssa->transform[j + k * p];
      }
      latent[i + k * N] = sum;
    }
  }
}

/*
 * The latents have mean 0 and mean within-environment covariance I; the quadratic form of S in each
 * of them is its eigenvalue. Sums of 6000 products: 1e-9 is 1e7 eps, for mixing matrices of
 * condition up to 1e3.
 */
static void check_definition(const double *latent, const mrl_ssa *ssa, size_t d)
{
  double within[16] = {0}, s[16] = {0};
  for (size_t e = 0; e < E; e++) {
    double mean[4] = {0}, cov[16];
    for (size_t j = 0; j < d; j++) {
      for (size_t i = e * N_E; i < (e + 1) * N_E; i++) {
        mean[j] += latent[i + j * N] / N_E;
      }
    }
    for (size_t j = 0; j < d; j++) {
      for (size_t k = 0; k < d; k++) {
        double sum = 0;
        for (size_t i = e * N_E; i < (e + 1) * N_E; i++) {
          sum += (latent[i + j * N] - mean[j]) * (latent[i + k * N] - mean[k]);
        }
        cov[j + k * d] = sum / N_E;
        within[j + k * d] += cov[j + k * d] / E;
      }
    }
    for (size_t j = 0; j < d; j++) {
      for (size_t k = 0; k < d; k++) {
        s[j + k * d] += mean[j] * mean[k] / E;
        for (size_t l = 0; l < d; l++) {
          s[j + k * d] += 2 * (cov[j + l * d] - (j == l)) * (cov[l + k * d] - (l == k)) / E;
        }
      }
    }
  }
  for (size_t j = 0; j < d; j++) {
    for (size_t k = 0; k < d; k++) {
      CHECK_NEAR(within[j + k * d], j == k, 1e-9);
      CHECK_NEAR(s[j + k * d], j == k ? ssa->values[d - 1 - j] : 0, 1e-9);
    }
  }
}

/* Correlation of column a with b, squared. */
static double r2(const double *a, const double *b)
{
  double ma = 0, mb = 0, aa = 0, bb = 0, ab = 0;
  for (int i = 0; i < N; i++) {
    ma += a[i] / N;
    mb += b[i] / N;
  }
  for (int i = 0; i < N; i++) {
    aa += (a[i] - ma) * (a[i] - ma);
    bb += (b[i] - mb) * (b[i] - mb);
    ab += (a[i] - ma) * (b[i] - mb);
  }
  return ab * ab / (aa * bb);
}

static double x[N * MOST], truth[N * 4], found[N * 4], again[N * 4];
static double centre[MOST], transform[MOST * MOST], values[MOST];

static void test_recovery(size_t p)
{
  mrl_ssa ssa = {.centre = centre, .transform = transform, .values = values};
  make(x, truth, p, 0);
  CHECK(run(&ssa, x, p, 4, 1) == MRL_OK);
  CHECK(ssa.rank == 4);
  CHECK_NEAR(ssa.share, 1, 1e-12);
  apply(found, &ssa, x, p, 4);
  check_definition(found, &ssa, 4);
  /* Stationary eigenvalues are of order 10 / 2000; the leak of order 1 / 2000. */
  CHECK(values[1] < .02 && values[2] > .2);
  for (int k = 2; k < 4; k++) {
    CHECK(r2(truth, found + k * N) < .01);
    CHECK(r2(truth + 2 * N, found + k * N) + r2(truth + 3 * N, found + k * N) > .98);
  }
  CHECK(run(&ssa, x, p, 4, 3) == MRL_OK);
  apply(again, &ssa, x, p, 4);
  CHECK(memcmp(found, again, sizeof found) == 0);
}

/* Units of the columns change nothing but rounding (and signs, which squares do not see). */
static void test_units(void)
{
  double first[4];
  mrl_ssa ssa = {.centre = centre, .transform = transform, .values = values};
  make(x, truth, 6, .01);
  CHECK(run(&ssa, x, 6, 4, 1) == MRL_OK);
  CHECK(ssa.rank == 6 && ssa.share > .99 && ssa.share < 1);
  memcpy(first, values, sizeof first);
  for (int i = 0; i < N; i++) {
    x[i] = 1e6 * x[i] - 1e7;
    x[i + N] *= -1e-5;
  }
  CHECK(run(&ssa, x, 6, 4, 1) == MRL_OK);
  for (int k = 0; k < 4; k++) {
    CHECK_NEAR(values[k], first[k], 1e-7 * (1 + first[k]));
  }
}

static void test_failures(void)
{
  mrl_ssa ssa = {.centre = centre, .transform = transform, .values = values};
  make(x, truth, 5, 0);
  for (int i = 0; i < N; i++) {
    x[i] = 4; /* a constant, of which nothing is left */
  }
  CHECK(run(&ssa, x, 5, 4, 1) == MRL_OK);
  CHECK(ssa.rank == 4);
  CHECK(run(&ssa, x, 5, 5, 1) == MRL_TOO_FEW);
  CHECK(run(&ssa, x, 5, 6, 1) == MRL_BAD_ARGUMENT);
  for (int i = 0; i < N; i++) {
    x[i] = i / N_E; /* varies between environments alone */
  }
  CHECK(run(&ssa, x, 1, 1, 1) == MRL_SINGULAR);
  x[3] = INFINITY;
  CHECK(run(&ssa, x, 5, 4, 1) == MRL_NOT_FINITE);
}

int main(void)
{
  static const size_t sizes[] = {4, 5, 10, 50};
  for (int i = 0; i < 4; i++) {
    test_recovery(sizes[i]);
  }
  test_units();
  test_failures();
  return CTEST_DONE();
}
