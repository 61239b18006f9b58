/* Latents of a polynomial mixture: the gradient, recovery, failures. Fixed seeds. */
#include "ctest.h"

#include <stdlib.h>
#include <string.h>

#include "closure.h"
#include "rng.h"

enum { N = 600, D = 3, P = 9, STARTS = 60 };

static double latent[N * D], x[N * P], centre[P], transform[P * D], value[STARTS];

/* The monomials of degree 1 and 2 of three latents, one of them not normal, mixed. */
static void make(double noise)
{
  static double m[N * P];
  double mix[P * P];
  mrl_rng rng = mrl_rng_stream(3, MRL_RNG_TEST, 1);
  mrl_rng_fill_normal(&rng, latent, N * D);
  mrl_rng_fill_normal(&rng, mix, P * P);
  for (int i = 0; i < N; i++) {
    latent[i] = mrl_rng_uniform(&rng) * 3 + .5 * latent[i + N];
    int at = D;
    for (int j = 0; j < D; j++) {
      m[i + j * N] = latent[i + j * N];
      for (int k = 0; k <= j; k++) {
        m[i + at++ * N] = latent[i + j * N] * latent[i + k * N];
      }
    }
    for (int j = 0; j < P; j++) {
      x[i + j * N] = 5 + noise * mrl_rng_normal(&rng);
      for (int k = 0; k < P; k++) {
        x[i + j * N] += m[i + k * N] * mix[k + j * P];
      }
    }
  }
}

static mrl_status run(mrl_closure *out, size_t d, size_t p)
{
  const mrl_closure_data data = {.x = x,
                                 .n = N,
                                 .p = p,
                                 .d = d,
                                 .tolerance = 1e-8,
                                 .max_starts = STARTS,
                                 .max_iterations = 500,
                                 .seed = 1};
  const mrl_ctx ctx = {1, NULL, NULL};
  void *scratch = malloc(mrl_closure_scratch(&data, &ctx));
  *out = (mrl_closure){.centre = centre, .transform = transform, .value = value};
  const mrl_status status = mrl_closure_run(out, &data, scratch, MRL_ISA_PORTABLE, &ctx);
  free(scratch);
  return status;
}

/* The share of the variance of column a that a linear regression on three columns explains, by
 * Gram-Schmidt. */
static double explained(const double *a, const double *columns)
{
  static double left[N * (D + 1)];
  for (int j = 0; j <= D; j++) {
    const double *from = j < D ? columns + j * N : a;
    double mean = 0;
    for (int i = 0; i < N; i++) {
      mean += from[i] / N;
    }
    for (int i = 0; i < N; i++) {
      left[i + j * N] = from[i] - mean;
    }
  }
  double all = 0, rest = 0;
  for (int i = 0; i < N; i++) {
    all += left[i + D * N] * left[i + D * N];
  }
  for (int j = 0; j < D; j++) {
    for (int k = j + 1; k <= D; k++) {
      double dot = 0, square = 0;
      for (int i = 0; i < N; i++) {
        dot += left[i + j * N] * left[i + k * N];
        square += left[i + j * N] * left[i + j * N];
      }
      for (int i = 0; i < N; i++) {
        left[i + k * N] -= dot / square * left[i + j * N];
      }
    }
  }
  for (int i = 0; i < N; i++) {
    rest += left[i + D * N] * left[i + D * N];
  }
  return 1 - rest / all;
}

/* Directions that close exactly err as the root of the rounding of f: 1e-14, times the condition of
 * the mixing. */
static void test_recovery(void)
{
  static double found[N * D];
  mrl_closure out;
  make(0);
  CHECK(run(&out, D, P) == MRL_OK);
  CHECK(out.found == D && out.rank == P && out.starts <= STARTS);
  for (int k = 0; k < D; k++) {
    for (int i = 0; i < N; i++) {
      found[i + k * N] = 0;
      for (int j = 0; j < P; j++) {
        found[i + k * N] += (x[i + j * N] - centre[j]) * transform[j + k * P];
      }
    }
  }
  for (int k = 0; k < D; k++) {
    CHECK_NEAR(explained(latent + k * N, found), 1, 1e-9);
    CHECK_NEAR(explained(found + k * N, latent), 1, 1e-9);
  }
}

/* A hundredth of a column's SD is far above what the tolerance allows. */
static void test_failures(void)
{
  mrl_closure out;
  make(.1);
  CHECK(run(&out, D, P) == MRL_NO_CONVERGE);
  CHECK(out.found == 0 && out.starts == STARTS);
  for (int i = 0; i < N; i++) {
    x[i + N] = 2 * x[i];
    x[i + 2 * N] = 3;
  }
  CHECK(run(&out, 2, 3) == MRL_TOO_FEW);
  CHECK(out.rank == 1);
  CHECK(run(&out, 4, 3) == MRL_BAD_ARGUMENT);
}

/* Central differences of step h = 1e-6 err by about 1e-9. The columns need mean 0
 * for it, and crossproduct n I only for what f means. */
static void test_gradient(void)
{
  enum { Q = 4 };
  static double white[N * Q], work[2 * N + Q];
  double b[Q], g[Q], other[Q];
  mrl_rng rng = mrl_rng_stream(4, MRL_RNG_TEST, 1);
  mrl_rng_fill_normal(&rng, white, N * Q);
  for (int i = 0; i < N; i++) {
    white[i] += white[i + N] * white[i + N];
  }
  for (int j = 0; j < Q; j++) {
    double mean = 0;
    for (int i = 0; i < N; i++) {
      mean += white[i + j * N] / N;
    }
    for (int i = 0; i < N; i++) {
      white[i + j * N] -= mean;
    }
  }
  for (int start = 0; start < 5; start++) {
    mrl_rng_fill_normal(&rng, b, Q);
    mrl_closure_objective(g, b, white, N, Q, work);
    for (int j = 0; j < Q; j++) {
      const double keep = b[j], h = 1e-6;
      b[j] = keep + h;
      const double up = mrl_closure_objective(other, b, white, N, Q, work);
      b[j] = keep - h;
      const double down = mrl_closure_objective(other, b, white, N, Q, work);
      b[j] = keep;
      CHECK_NEAR(g[j], (up - down) / (2 * h), 1e-7);
    }
  }
}

int main(void)
{
  test_gradient();
  test_recovery();
  test_failures();
  return CTEST_DONE();
}
