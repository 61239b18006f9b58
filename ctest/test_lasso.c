#include "ctest.h"

#include <stdlib.h>
#include <string.h>

#include "lasso.h"
#include "rng.h"

enum { N_LAMBDA = 40 };

static const mrl_lasso_settings usual = {.n_lambda = N_LAMBDA,
                                         .ratio = 1e-3,
                                         .tolerance = 1e-10,
                                         .max_rounds = 1000,
                                         .isa = MRL_ISA_AVX512}; /* or the best there is */

typedef struct {
  mrl_lasso_data data;
  mrl_lasso_result result;
  double *x, *w, *z, *weights, *block;
  const double **col;
  int *fold;
  mrl_status status;
} fixture;

static void fixture_open(fixture *f, size_t n, size_t n_w, size_t n_z, size_t n_folds)
{
  memset(f, 0, sizeof *f);
  f->x = malloc(n * sizeof(double));
  f->w = malloc((n * n_w + 1) * sizeof(double));
  f->z = malloc(n * n_z * sizeof(double));
  f->weights = malloc(n * sizeof(double));
  f->col = malloc((n_w + n_z) * sizeof *f->col);
  for (size_t j = 0; j < n_w + n_z; j++) {
    f->col[j] = j < n_w ? f->w + j * n : f->z + (j - n_w) * n;
  }
  f->fold = malloc(n * sizeof(int));
  mrl_rng rng = mrl_rng_stream(1, MRL_RNG_TEST, n + 1000 * n_z);
  mrl_rng_fill_normal(&rng, f->w, n * n_w);
  mrl_rng_fill_normal(&rng, f->z, n * n_z);
  mrl_rng_fill_uniform(&rng, f->weights, n);
  for (size_t i = 0; i < n; i++) {
    f->x[i] = mrl_rng_normal(&rng) + 5;
    for (size_t j = 0; j < n_z; j++) {
      f->x[i] += f->z[i + j * n] * (j % 3 == 0) / (double)(1 + j);
    }
    f->fold[i] = n_folds > 0 ? 1 + (int)mrl_rng_below(&rng, n_folds) : 0;
  }
  f->data.n = n;
  f->data.n_w = n_w;
  f->data.n_z = n_z;
  f->data.n_folds = n_folds;
  f->data.intercept = 1;
}

/* Results in one block that is exactly large enough, so that an overrun is seen. */
static void fixture_fit(fixture *f, const mrl_lasso_settings *settings, int n_threads)
{
  const mrl_lasso_data *d = &f->data;
  const size_t m = settings->n_lambda, k = d->n_folds;
  const mrl_ctx ctx = {n_threads, NULL, NULL};
  f->data.x = f->x;
  f->data.w = f->col;
  f->data.z = f->col + d->n_w;
  f->data.fold = k > 0 ? f->fold : NULL;
  const size_t sizes[] = {m, m * d->n_z, m * (1 + d->n_w), m, m, m, m, m, d->n_z, m * k, k, m,
                          m, k};
  double **const items[] = {&f->result.lambda,    &f->result.beta,        &f->result.unpenalised,
                            &f->result.df,        &f->result.dev_ratio,   &f->result.shrinkage,
                            &f->result.violation, &f->result.iterations,  &f->result.sd,
                            &f->result.cv_error,  &f->result.fold_weight, &f->result.cv_mean,
                            &f->result.cv_se,     &f->result.cv_violation};
  size_t total = 0, at = 0;
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    total += sizes[i];
  }
  free(f->block);
  f->block = malloc(total * sizeof(double));
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    *items[i] = f->block + at;
    at += sizes[i];
  }
  const size_t size = mrl_lasso_scratch(d, &ctx);
  void *scratch = malloc(size);
  f->status = mrl_lasso_fit(&f->result, d, settings, scratch, size, &ctx);
  free(scratch);
}

static void fixture_close(fixture *f)
{
  free(f->x);
  free(f->w);
  free(f->z);
  free(f->weights);
  free(f->col);
  free(f->fold);
  free(f->block);
}

/* Columns 1, 2, ... of a Hadamard matrix: orthogonal, mean 0, variance 1. */
static double hadamard(size_t i, size_t j)
{
  size_t both = i & (j + 1), odd = 0;
  for (; both > 0; both >>= 1) {
    odd ^= both & 1;
  }
  return odd ? -1 : 1;
}

/* Orthogonal instruments: each coefficient is a soft threshold of its covariance with x. */
static void test_soft_threshold(void)
{
  enum { N = 64, L = 12 };
  fixture f;
  fixture_open(&f, N, 0, L, 0);
  for (size_t i = 0; i < N; i++) {
    for (size_t j = 0; j < L; j++) {
      f.z[i + j * N] = 3 + hadamard(i, j) * (double)(1 + j); /* standard deviation 1 + j */
    }
  }
  fixture_fit(&f, &usual, 1);
  CHECK(f.status == MRL_OK);
  double worst = 0;
  for (size_t k = 0; k < N_LAMBDA; k++) {
    for (size_t j = 0; j < L; j++) {
      double c = 0;
      for (size_t i = 0; i < N; i++) {
        c += f.x[i] * hadamard(i, j) / N;
      }
      const double shrunk = fmax(fabs(c) - f.result.lambda[k], 0);
      const double b = copysign(shrunk, c) / (double)(1 + j);
      worst = fmax(worst, fabs(b - f.result.beta[j + k * L]));
    }
  }
  CHECK_NEAR(worst, 0, 1e-13);
  fixture_close(&f);
}

/* Violation of the optimality conditions at penalty k, from the data, relative to the first. */
static double kkt(const fixture *f, size_t k)
{
  const mrl_lasso_data *d = &f->data;
  const double *b = f->result.beta + k * d->n_z, *u = f->result.unpenalised + k * (1 + d->n_w);
  double *residual = malloc(d->n * sizeof(double)), sum_weights = 0, worst = 0;
  for (size_t i = 0; i < d->n; i++) {
    residual[i] = f->x[i] - u[0];
    for (size_t j = 0; j < d->n_w; j++) {
      residual[i] -= f->w[i + j * d->n] * u[1 + j];
    }
    for (size_t j = 0; j < d->n_z; j++) {
      residual[i] -= f->z[i + j * d->n] * b[j];
    }
    sum_weights += d->weights ? d->weights[i] : 1;
  }
  for (size_t j = 0; j < d->n_w + d->n_z + 1; j++) {
    const double *v = j < d->n_w            ? f->w + j * d->n
                      : j < d->n_w + d->n_z ? f->z + (j - d->n_w) * d->n
                                            : NULL;
    double g = 0, mean = 0, square = 0;
    for (size_t i = 0; i < d->n; i++) {
      const double weight = (d->weights ? d->weights[i] : 1) / sum_weights, value = v ? v[i] : 1;
      g += weight * value * residual[i];
      mean += weight * value;
      square += weight * value * value;
    }
    const double sd = sqrt(fmax(square - mean * mean, 0));
    if (j < d->n_w || !v) {
      worst = fmax(worst, v ? fabs(g) / sd : d->intercept ? fabs(g) : 0);
    } else if (sd > 1e-6) {
      const double lambda = f->result.lambda[k], value = b[j - d->n_w];
      const double off =
          value != 0 ? fabs(g / sd - copysign(lambda, value)) : fabs(g / sd) - lambda;
      worst = fmax(worst, off);
    }
  }
  free(residual);
  return worst / f->result.lambda[0];
}

static double worst_kkt(const fixture *f)
{
  double worst = 0;
  for (size_t k = 0; k < N_LAMBDA; k++) {
    worst = fmax(worst, fmax(kkt(f, k), f->result.violation[k]));
  }
  return worst;
}

/* 1e-8 is promised; an exact solve gives about 1e-15. Instruments: as drawn, twice the same ones,
 * constant ones, ones that are sums of covariates; more of them than rows. */
static void test_optimality(void)
{
  for (int weighted = 0; weighted < 2; weighted++) {
    for (int kind = 0; kind < 5; kind++) {
      const size_t n = kind == 4 ? 30 : 150, n_z = kind == 4 ? 70 : 24;
      fixture f;
      fixture_open(&f, n, 2, n_z, 0);
      f.data.weights = weighted ? f.weights : NULL;
      for (size_t i = 0; i < n; i++) {
        if (kind == 1) {
          f.z[i + n] = f.z[i];
          f.z[i + 5 * n] = -2 * f.z[i + 3 * n];
        } else if (kind == 2) {
          f.z[i] = 0;
          f.z[i + 6 * n] = 0.1;
        } else if (kind == 3) {
          f.z[i + 3 * n] = f.w[i] - f.w[i + n];
        }
      }
      fixture_fit(&f, &usual, 1);
      CHECK(f.status == MRL_OK);
      CHECK_NEAR(worst_kkt(&f), 0, 1e-11);
      if (kind == 2) {
        CHECK(f.result.sd[0] == 0 && f.result.sd[6] == 0 && f.result.sd[1] > 0);
        CHECK(f.result.beta[N_LAMBDA * n_z - n_z] == 0);
      }
      CHECK(kind != 3 || f.result.sd[3] == 0);
      fixture_close(&f);
    }
  }
}

/* Error in a fold = that of the fit to the other rows, done by itself, computed from the data. */
static void test_curve(void)
{
  enum { N = 120, L = 7, K = 4 };
  fixture f, other;
  fixture_open(&f, N, 1, L, K);
  fixture_open(&other, N, 1, L, 0);
  f.data.weights = f.weights;
  other.data.weights = other.weights;
  fixture_fit(&f, &usual, 2);
  CHECK(f.status == MRL_OK);
  mrl_lasso_settings same = usual;
  same.lambda = f.result.lambda;
  for (int k = 1; k <= K; k++) {
    memcpy(other.weights, f.weights, N * sizeof(double));
    for (size_t i = 0; i < N; i++) {
      other.weights[i] *= f.fold[i] != k;
    }
    memcpy(other.x, f.x, N * sizeof(double));
    memcpy(other.z, f.z, N * L * sizeof(double));
    memcpy(other.w, f.w, N * sizeof(double));
    fixture_fit(&other, &same, 1);
    CHECK(other.status == MRL_OK);
    double worst = 0;
    for (size_t m = 0; m < N_LAMBDA; m++) {
      double error = 0, sum_weights = 0;
      for (size_t i = 0; i < N; i++) {
        double residual =
            f.x[i] - other.result.unpenalised[2 * m] - other.result.unpenalised[2 * m + 1] * f.w[i];
        for (size_t j = 0; j < L; j++) {
          residual -= other.result.beta[j + m * L] * f.z[i + j * N];
        }
        const double weight = f.fold[i] == k ? f.weights[i] : 0;
        error += weight * residual * residual;
        sum_weights += weight;
      }
      worst = fmax(worst, fabs(error / sum_weights - f.result.cv_error[k - 1 + m * K]));
    }
    CHECK_NEAR(worst, 0, 1e-12);
  }
  fixture_close(&f);
  fixture_close(&other);
}

static void test_threads(void)
{
  fixture f, g;
  fixture_open(&f, 20000, 1, 40, 5);
  fixture_open(&g, 20000, 1, 40, 5);
  fixture_fit(&f, &usual, 1);
  fixture_fit(&g, &usual, 3);
  CHECK(f.status == MRL_OK && g.status == MRL_OK);
  CHECK(memcmp(f.result.beta, g.result.beta, 40 * N_LAMBDA * sizeof(double)) == 0);
  CHECK(memcmp(f.result.cv_error, g.result.cv_error, 5 * N_LAMBDA * sizeof(double)) == 0);
  CHECK(f.result.i_min == g.result.i_min && f.result.i_1se <= f.result.i_min);
  fixture_close(&f);
  fixture_close(&g);
}

static void test_failures(void)
{
  fixture f;
  fixture_open(&f, 20, 0, 3, 2);
  for (size_t i = 0; i < 20; i++) {
    f.fold[i] = 2; /* nothing to train on outside fold 2 */
  }
  fixture_fit(&f, &usual, 1);
  CHECK(f.status == MRL_TOO_FEW);
  f.data.n_folds = 0;
  for (size_t i = 0; i < 20; i++) {
    f.x[i] = 7;
  }
  fixture_fit(&f, &usual, 1);
  CHECK(f.status == MRL_OK && f.result.df[N_LAMBDA - 1] == 0);
  CHECK_NEAR(f.result.unpenalised[0], 7, 1e-13);
  const mrl_ctx ctx = {1, NULL, NULL};
  char small[64];
  CHECK(mrl_lasso_fit(&f.result, &f.data, &usual, small, sizeof small, &ctx) == MRL_NO_MEMORY);
  fixture_close(&f);
}

int main(void)
{
  test_soft_threshold();
  test_optimality();
  test_curve();
  test_threads();
  test_failures();
  return CTEST_DONE();
}
