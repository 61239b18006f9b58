/* L-BFGS: closed forms, minima that R's optim() finds, points where a function does not exist. */
#include "ctest.h"
#include "lbfgs.h"

#include <stdlib.h>
#include <string.h>

enum { MOST = 50 };

static const mrl_ctx serial = {1, NULL, NULL};

/* The minimum of `objective` from x (n), which becomes where it stopped; *state for its counts. */
static mrl_status minimise(mrl_lbfgs *state, double *x, size_t n, mrl_lbfgs_settings settings,
                           size_t slice, mrl_objective_fn *objective, void *data)
{
  mrl_arena arena = mrl_arena_measure();
  CHECK(mrl_lbfgs_carve(state, &arena, n, &settings) == MRL_OK);
  void *memory = malloc(arena.used);
  memset(memory, 0xff, arena.used);
  arena = mrl_arena_over(memory, arena.used);
  CHECK(mrl_lbfgs_carve(state, &arena, n, &settings) == MRL_OK);
  memcpy(state->x, x, n * sizeof *x);
  mrl_status status = mrl_lbfgs_start(state, objective, data);
  while (status == MRL_OK && state->stop == MRL_LBFGS_RUNNING) {
    status = mrl_lbfgs_run(state, state->iterations + slice, objective, data, &serial);
  }
  memcpy(x, state->x, n * sizeof *x);
  free(memory);
  return status;
}

static const mrl_lbfgs_settings tight = {10, 1000, 1e-9, 0};

/* sum of scale_i (x_i - i)^2 / 2 - scales from 1 to 1000. */
static mrl_status quadratic(double *value, double *gradient, const double *x, void *data)
{
  const size_t n = *(size_t *)data;
  *value = 0;
  for (size_t i = 0; i < n; i++) {
    const double scale = pow(1000, (double)i / (double)(n > 1 ? n - 1 : 1));
    gradient[i] = scale * (x[i] - (double)i);
    *value += gradient[i] * (x[i] - (double)i) / 2;
  }
  return MRL_OK;
}

static void check_quadratic(void)
{
  static const size_t sizes[] = {1, 2, 7, MOST};
  for (size_t k = 0; k < 4; k++) {
    size_t n = sizes[k];
    double x[MOST] = {0};
    mrl_lbfgs state;
    CHECK(minimise(&state, x, n, tight, 1000, quadratic, &n) == MRL_OK);
    CHECK(state.stop == MRL_LBFGS_GRADIENT);
    for (size_t i = 0; i < n; i++) {
      CHECK_NEAR(x[i], (double)i, 1e-9); /* gradient_tol over the least curvature, 1 */
    }
  }
}

/* sum of 100 (x_{i+1} - x_i^2)^2 + (1 - x_i)^2: least at ones. */
static mrl_status rosenbrock(double *value, double *gradient, const double *x, void *data)
{
  const size_t n = *(size_t *)data;
  *value = 0;
  for (size_t i = 0; i < n; i++) {
    gradient[i] = 0;
  }
  for (size_t i = 0; i + 1 < n; i++) {
    const double bend = x[i + 1] - x[i] * x[i], left = 1 - x[i];
    *value += 100 * bend * bend + left * left;
    gradient[i] += -400 * x[i] * bend - 2 * left;
    gradient[i + 1] += 200 * bend;
  }
  return MRL_OK;
}

static void check_rosenbrock(void)
{
  static const size_t sizes[] = {2, 5, 20, MOST};
  for (size_t k = 0; k < 4; k++) {
    size_t n = sizes[k];
    double x[MOST];
    mrl_lbfgs state;
    for (size_t i = 0; i < n; i++) {
      x[i] = i % 2 == 0 ? -1.2 : 1; /* the usual start, where all goes downhill to ones */
    }
    x[n - 1] = n > 2 ? 1.1 : x[n - 1];
    CHECK(minimise(&state, x, n, tight, 1000, rosenbrock, &n) == MRL_OK);
    CHECK(state.evaluations < 1000);
    if (state.value < 1) { /* from n = 4 on there is a second minimum near x_0 = -1, value 3.99 */
      for (size_t i = 0; i < n; i++) {
        CHECK_NEAR(x[i], 1, 1e-7);
      }
    } else {
      CHECK(n > 3 && state.value < 4 && state.stop == MRL_LBFGS_GRADIENT);
    }
    CHECK(n > 2 || state.value < 1);
  }
}

/* log(sum of exp(a_i'x + sin(i))) + |x|^2 / 20, a_ij = sin(3 i + j^2), i = 1..12, j = 1..4. */
static mrl_status log_sum(double *value, double *gradient, const double *x, void *data)
{
  double total = 0;
  (void)data;
  memset(gradient, 0, 4 * sizeof *gradient);
  for (int i = 1; i <= 12; i++) {
    double at = sin((double)i);
    for (int j = 1; j <= 4; j++) {
      at += sin(3.0 * i + j * j) * x[j - 1];
    }
    total += exp(at);
    for (int j = 1; j <= 4; j++) {
      gradient[j - 1] += exp(at) * sin(3.0 * i + j * j);
    }
  }
  *value = log(total);
  for (int j = 0; j < 4; j++) {
    gradient[j] = gradient[j] / total + x[j] / 10;
    *value += x[j] * x[j] / 20;
  }
  return MRL_OK;
}

/*
 * Recorded with R 4.2.2:
 *   a <- outer(1:12, 1:4, function(i, j) sin(3 * i + j^2))
 *   f <- function(x) log(sum(exp(a %*% x + sin(1:12)))) + sum(x^2) / 20
 *   optim(c(2, -1, 0, 3), f, method = "BFGS", control = list(reltol = 1e-16, maxit = 1000))
 * Its numerical gradients leave 1e-6 in x, whose square is what they leave in the value.
 */
static void check_optim(void)
{
  double x[4] = {2, -1, 0, 3};
  mrl_lbfgs state;
  CHECK(minimise(&state, x, 4, tight, 1000, log_sum, NULL) == MRL_OK);
  CHECK_NEAR(state.value, 2.7147425921707522, 1e-11);
  CHECK_NEAR(x[0], 0.10531541769919, 2e-6);
  CHECK_NEAR(x[1], -0.10172361252975, 2e-6);
  CHECK_NEAR(x[2], 0.00246885805204, 2e-6);
  CHECK_NEAR(x[3], -0.06831223684965, 2e-6);
}

/* Slices of one iteration end in the bits of one run, and in its counts. */
static void check_slices(void)
{
  size_t n = 20;
  double whole[20], sliced[20];
  mrl_lbfgs a, b;
  for (size_t i = 0; i < n; i++) {
    whole[i] = sliced[i] = cos((double)i);
  }
  CHECK(minimise(&a, whole, n, tight, 1000, rosenbrock, &n) == MRL_OK);
  CHECK(minimise(&b, sliced, n, tight, 1, rosenbrock, &n) == MRL_OK);
  CHECK(memcmp(whole, sliced, sizeof whole) == 0);
  CHECK(a.iterations == b.iterations && a.evaluations == b.evaluations);
}

typedef struct {
  mrl_status outside; /* the status of points outside, or MRL_OK: their value is NaN */
  int calls;
} domain;

/* x - log(x), which exists for x > 0 alone: least at 1. */
static mrl_status barrier(double *value, double *gradient, const double *x, void *data)
{
  domain *d = data;
  d->calls++;
  if (x[0] <= 0) {
    *value = *gradient = NAN;
    return d->outside;
  }
  *value = x[0] - log(x[0]);
  gradient[0] = 1 - 1 / x[0];
  return MRL_OK;
}

static void check_domain(void)
{
  static const mrl_status outside[] = {MRL_OK, MRL_NOT_FINITE, MRL_SINGULAR};
  for (size_t k = 0; k < 3; k++) {
    domain d = {outside[k], 0};
    double x = 1e-3; /* the first step has length 1, later ones overshoot from the right */
    mrl_lbfgs state;
    CHECK(minimise(&state, &x, 1, tight, 1000, barrier, &d) == MRL_OK);
    CHECK_NEAR(x, 1, 1e-8);
    CHECK((size_t)d.calls == state.evaluations);
  }
  for (size_t k = 0; k < 3; k++) {
    domain d = {outside[k], 0};
    double x = -1;
    mrl_lbfgs state;
    CHECK(minimise(&state, &x, 1, tight, 1000, barrier, &d) ==
          (k == 0 ? MRL_NOT_FINITE : outside[k]));
  }
}

/* -log(x) - log(1 - x) - .1 x with a first step that leaves (0, 1); another status ends it. */
static mrl_status broken(double *value, double *gradient, const double *x, void *data)
{
  int *calls = data;
  *value = -x[0];
  gradient[0] = -1;
  return ++*calls == 3 ? MRL_NO_MEMORY : MRL_OK;
}

static void check_stops(void)
{
  size_t n = 10;
  int calls = 0;
  double x[10] = {0};
  mrl_lbfgs state;
  CHECK(minimise(&state, x, 1, tight, 1000, broken, &calls) == MRL_NO_MEMORY);
  CHECK(calls == 3);
  mrl_lbfgs_settings few = {10, 3, 1e-9, 0};
  memset(x, 0, sizeof x);
  CHECK(minimise(&state, x, n, few, 1000, rosenbrock, &n) == MRL_OK);
  CHECK(state.stop == MRL_LBFGS_LIMIT && state.iterations == 3);
  few.max_iterations = 0;
  CHECK(minimise(&state, x, n, few, 1000, rosenbrock, &n) == MRL_OK);
  CHECK(state.stop == MRL_LBFGS_LIMIT && state.iterations == 0 && state.evaluations == 1);
  mrl_lbfgs_settings loose = {10, 1000, 0, 1e-3};
  memset(x, 0, sizeof x);
  CHECK(minimise(&state, x, n, loose, 1000, quadratic, &n) == MRL_OK);
  CHECK(state.stop == MRL_LBFGS_VALUE);
  mrl_lbfgs_settings none = {10, 1000, 0, -1}; /* no tolerance: until rounding stops it */
  CHECK(minimise(&state, x, n, none, 1000, quadratic, &n) == MRL_OK);
  CHECK(state.stop == MRL_LBFGS_STALLED || state.stop == MRL_LBFGS_GRADIENT);
  for (size_t i = 0; i < n; i++) {
    CHECK_NEAR(x[i], (double)i, 1e-7); /* the square root of eps times the size */
  }
  mrl_arena arena = mrl_arena_measure();
  CHECK(mrl_lbfgs_carve(&state, &arena, 0, &tight) == MRL_BAD_ARGUMENT);
  few.history = 0;
  CHECK(mrl_lbfgs_carve(&state, &arena, 1, &few) == MRL_BAD_ARGUMENT);
}

/* The first step along the gradient keeps both Wolfe conditions, from many starts. */
static void check_wolfe(void)
{
  size_t n = 5;
  for (int start = 0; start < 40; start++) {
    double x[5], before[5], g0[5], g1[5], value0, value1, slope0 = 0, slope1 = 0;
    mrl_lbfgs state;
    mrl_lbfgs_settings one = {10, 1, 0, -1};
    for (size_t i = 0; i < n; i++) {
      x[i] = before[i] = 3 * sin((double)(start * 7) + (double)i);
    }
    CHECK(rosenbrock(&value0, g0, before, &n) == MRL_OK);
    CHECK(minimise(&state, x, n, one, 1, rosenbrock, &n) == MRL_OK);
    CHECK(rosenbrock(&value1, g1, x, &n) == MRL_OK);
    for (size_t i = 0; i < n; i++) {
      slope0 += g0[i] * (x[i] - before[i]);
      slope1 += g1[i] * (x[i] - before[i]);
    }
    CHECK(slope0 < 0 && value1 <= value0 + 1e-4 * slope0 && fabs(slope1) <= 0.9 * -slope0);
  }
}

int main(void)
{
  check_quadratic();
  check_rosenbrock();
  check_optim();
  check_slices();
  check_domain();
  check_stops();
  check_wolfe();
  return CTEST_DONE();
}
