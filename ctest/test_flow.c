/* The flow: its likelihood by a slow loop, its gradient by central differences, its loops on all
 * instruction sets. */
#include "ctest.h"
#include "flow.h"
#include "rng.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_D = 5, MOST_ENV = 3, MOST_PARAMS = 3 * MOST_D * (MOST_D + 2) };

static void *bytes(size_t n)
{
  void *memory = malloc(n + 1);
  if (!memory) {
    abort();
  }
  memset(memory, 0xff, n); /* what is not set is NaN */
  return memory;
}

typedef struct {
  mrl_flow_sample sample;
  mrl_flow_work work;
  double params[MOST_PARAMS];
  size_t n_params;
  double tau;
  void *memory;
} problem;

/* Environments of unequal sizes that fill no register: count rows, count + 7, ... */
static problem *problem_new(size_t d, size_t layers, size_t n_env, size_t first, mrl_isa isa)
{
  problem *p = bytes(sizeof *p);
  int count[MOST_ENV];
  for (size_t e = 0; e < n_env; e++) {
    count[e] = (int)(first + 7 * e);
  }
  for (int pass = 0; pass < 2; pass++) {
    mrl_arena arena = pass == 0 ? mrl_arena_measure() : mrl_arena_over(p->memory, SIZE_MAX / 2);
    CHECK(mrl_flow_sample_carve(&p->sample, &arena, count, NULL, n_env, d) == MRL_OK);
    CHECK(mrl_flow_work_carve(&p->work, &arena, d, layers, n_env, (first + 32) * n_env, isa) ==
          MRL_OK);
    if (pass == 0) {
      p->memory = bytes(arena.used);
    }
  }
  mrl_rng rng = mrl_rng_stream(5, MRL_RNG_TEST, d + 10 * layers);
  for (size_t e = 0; e < n_env; e++) {
    double z[MOST_D];
    for (size_t i = 0; i < (size_t)count[e]; i++) {
      const double shared = mrl_rng_normal(&rng);
      for (size_t j = 0; j < d; j++) {
        z[j] = mrl_rng_normal(&rng) + 0.5 * (double)e * shared + (double)e;
      }
      mrl_flow_sample_take(&p->sample, e, i, z, 1, 0);
    }
  }
  mrl_flow_sample_finish(&p->sample);
  p->n_params = mrl_flow_params(d, layers);
  p->tau = 0.3;
  for (size_t i = 0; i < p->n_params; i++) {
    p->params[i] = 0.7 * mrl_rng_normal(&rng);
  }
  return p;
}

static void problem_free(problem *p)
{
  free(p->memory);
  free(p);
}

static double value_of(problem *p, double *gradient)
{
  double value;
  CHECK(mrl_flow_value(&value, gradient, p->params, &p->sample, p->tau, &p->work) == MRL_OK);
  return value;
}

/* log |det| by elimination; a (n, n; MOST_D) is lost. */
static double log_det(double a[MOST_D][MOST_D], size_t n)
{
  double sum = 0;
  for (size_t c = 0; c < n; c++) {
    size_t best = c;
    for (size_t r = c; r < n; r++) {
      best = fabs(a[r][c]) > fabs(a[best][c]) ? r : best;
    }
    for (size_t k = 0; k < n; k++) {
      const double keep = a[best][k];
      a[best][k] = a[c][k];
      a[c][k] = keep;
    }
    sum += log(fabs(a[c][c]));
    for (size_t r = c + 1; r < n; r++) {
      const double f = a[r][c] / a[c][c];
      for (size_t k = 0; k < n; k++) {
        a[r][k] -= f * a[c][k];
      }
    }
  }
  return sum;
}

/* The latent of one row, as the header says it; returns log |det J| of the row. */
static double latent(double *h, const problem *p, const double *z, size_t d, size_t layers)
{
  double log_slope = 0, in[MOST_D];
  memcpy(h, z, d * sizeof *h);
  for (size_t l = 0; l < layers; l++) {
    const double *b = p->params + l * d * (d + 2), *a = b + d * (d + 1);
    double jacobian[MOST_D][MOST_D];
    memcpy(in, h, d * sizeof *h);
    for (size_t j = 0; j < d; j++) {
      double x = b[j * (d + 1)];
      for (size_t k = 0; k < d; k++) {
        jacobian[j][k] = b[k + 1 + j * (d + 1)];
        x += jacobian[j][k] * in[k];
      }
      const double m = exp(3 * tanh(a[j] / 3)) - 1;
      h[j] = x - m * p->tau * (fmax(-x / p->tau, 0) + log1p(exp(-fabs(x) / p->tau)));
      log_slope += log(1 + m / (1 + exp(x / p->tau)));
    }
    log_slope += log_det(jacobian, d);
  }
  return log_slope;
}

static double slow_value(const problem *p, size_t d, size_t layers)
{
  double value = 0;
  for (size_t e = 0; e < p->sample.n_env; e++) {
    const mrl_flow_group *group = p->sample.group + e;
    double mean[MOST_D] = {0}, cov[MOST_D][MOST_D] = {{0}}, h[MOST_D], z[MOST_D];
    for (int pass = 0; pass < 2; pass++) {
      for (size_t i = 0; i < group->n; i++) {
        for (size_t j = 0; j < d; j++) {
          z[j] = group->z[i + j * group->rows];
        }
        const double log_slope = latent(h, p, z, d, layers);
        for (size_t j = 0; j < d; j++) {
          mean[j] += pass == 0 ? h[j] / (double)group->n : 0;
          for (size_t k = 0; pass == 1 && k < d; k++) {
            cov[j][k] += (h[j] - mean[j]) * (h[k] - mean[k]) / (double)group->n;
          }
        }
        value -= pass == 1 ? log_slope / (double)p->sample.n : 0;
      }
    }
    value += 0.5 * (double)group->n / (double)p->sample.n * log_det(cov, d);
  }
  return value;
}

/* The same function twice, of sums of at most 600 terms of size 1 to 10: some 1e-13. */
static void check_value(size_t d, size_t layers, size_t n_env, size_t first)
{
  problem *p = problem_new(d, layers, n_env, first, mrl_isa_best());
  CHECK_NEAR(value_of(p, NULL), slow_value(p, d, layers), 1e-11);
  p->tau = 0.01; /* where exp() has nothing left */
  CHECK_NEAR(value_of(p, NULL), slow_value(p, d, layers), 1e-11);
  problem_free(p);
}

/* Of the value in parameter i, by differences of the fourth order: with steps of 3e-4, h^4 = 1e-14
 * times fifth derivatives of order 1 / tau^4 = 100 and more in deep flows, and rounding of 1e-15 /
 * h.
 */
static double difference(problem *p, size_t i)
{
  const double at = p->params[i], step = 3e-4;
  double sum = 0;
  for (int side = -1; side <= 1; side += 2) {
    p->params[i] = at + side * step;
    sum += 8 * side * value_of(p, NULL);
    p->params[i] = at + 2 * side * step;
    sum -= side * value_of(p, NULL);
  }
  p->params[i] = at;
  return sum / (12 * step);
}

static void check_gradient(size_t d, size_t layers, size_t n_env, size_t first)
{
  problem *p = problem_new(d, layers, n_env, first, mrl_isa_best());
  double gradient[MOST_PARAMS];
  value_of(p, gradient);
  for (size_t i = 0; i < p->n_params; i++) {
    CHECK_NEAR(difference(p, i), gradient[i], 5e-8);
  }
  problem_free(p);
}

/* AVX2 and AVX-512 give the same bits; the portable loops do not fuse and agree to rounding. */
static void check_isa(void)
{
  double value[MRL_N_ISA], gradient[MRL_N_ISA][MOST_PARAMS];
  size_t n_params = 0;
  for (int isa = 0; isa < MRL_N_ISA; isa++) {
    problem *p = problem_new(4, 2, 2, 301, (mrl_isa)isa);
    value[isa] = value_of(p, gradient[isa]);
    n_params = p->n_params;
    problem_free(p);
  }
  CHECK(value[MRL_ISA_AVX2] == value[MRL_ISA_AVX512] || mrl_isa_best() == MRL_ISA_PORTABLE);
  CHECK_NEAR(value[MRL_ISA_PORTABLE], value[MRL_ISA_AVX2], 1e-12);
  for (size_t i = 0; i < n_params; i++) {
    CHECK(gradient[MRL_ISA_AVX2][i] == gradient[MRL_ISA_AVX512][i]);
    CHECK_NEAR(gradient[MRL_ISA_PORTABLE][i], gradient[MRL_ISA_AVX2][i], 1e-12);
  }
}

/* With slopes of one a flow is linear, and its value does not depend on the weights. */
static void check_linear(void)
{
  problem *p = problem_new(3, 1, 2, 200, mrl_isa_best());
  double gradient[MOST_PARAMS];
  for (size_t j = 0; j < 3; j++) {
    p->params[12 + j] = 0;
  }
  const double one = value_of(p, gradient);
  for (size_t i = 0; i < 12; i++) {
    CHECK_NEAR(gradient[i], 0, 1e-12);
    p->params[i] = cos((double)(i * i));
  }
  CHECK_NEAR(value_of(p, NULL), one, 1e-12);
  problem_free(p);
}

static void check_singular(void)
{
  problem *p = problem_new(3, 1, 2, 200, mrl_isa_best());
  double value;
  for (size_t k = 1; k < 4; k++) {
    p->params[k + 4] = p->params[k]; /* two units with the same weights */
  }
  CHECK(mrl_flow_value(&value, NULL, p->params, &p->sample, 1, &p->work) == MRL_SINGULAR);
  p->params[5] = NAN;
  CHECK(mrl_flow_value(&value, NULL, p->params, &p->sample, 1, &p->work) != MRL_OK);
  problem_free(p);
}

int main(void)
{
  check_value(1, 1, 1, 50);
  check_value(4, 1, 2, 128);
  check_value(5, 3, 3, 201);
  check_gradient(1, 1, 2, 50);
  check_gradient(4, 1, 2, 250);
  check_gradient(3, 2, 3, 100);
  check_gradient(2, 3, 1, 60);
  check_isa();
  check_linear();
  check_singular();
  return CTEST_DONE();
}
