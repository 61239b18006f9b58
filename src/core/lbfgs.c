#include "lbfgs.h"

#include <math.h>
#include <string.h>

static const double DECREASE = 1e-4, CURVATURE = 0.9; /* of the strong Wolfe conditions */
enum { MOST_TRIALS = 30 };                            /* evaluations of one line search */

mrl_status mrl_lbfgs_carve(mrl_lbfgs *state, mrl_arena *arena, size_t n,
                           const mrl_lbfgs_settings *settings)
{
  if (n < 1 || settings->history < 1) {
    return MRL_BAD_ARGUMENT;
  }
  const size_t m = settings->history;
  *state = (mrl_lbfgs){.settings = *settings, .n = n};
  state->x = MRL_TAKE(arena, double, n);
  state->gradient = MRL_TAKE(arena, double, n);
  state->direction = MRL_TAKE(arena, double, n);
  state->at = MRL_TAKE(arena, double, n);
  state->at_grad = MRL_TAKE(arena, double, n);
  if (m > SIZE_MAX / n) {
    return MRL_NO_MEMORY;
  }
  state->s = MRL_TAKE(arena, double, n *m);
  state->y = MRL_TAKE(arena, double, n *m);
  state->rho = MRL_TAKE(arena, double, m);
  state->alpha = MRL_TAKE(arena, double, m);
  return arena->failed ? MRL_NO_MEMORY : MRL_OK;
}

static double dot(const double *a, const double *b, size_t n)
{
  double sum = 0;
  for (size_t i = 0; i < n; i++) {
    sum += a[i] * b[i];
  }
  return sum;
}

static double largest(const double *a, size_t n)
{
  double most = 0;
  for (size_t i = 0; i < n; i++) {
    most = fmax(most, fabs(a[i]));
  }
  return most;
}

static int all_finite(const double *a, size_t n)
{
  for (size_t i = 0; i < n; i++) {
    if (!isfinite(a[i])) {
      return 0;
    }
  }
  return 1;
}

mrl_status mrl_lbfgs_start(mrl_lbfgs *state, mrl_objective_fn *objective, void *data)
{
  state->kept = 0;
  state->newest = 0;
  state->iterations = 0;
  state->evaluations = 1;
  state->stop = MRL_LBFGS_RUNNING;
  MRL_TRY(objective(&state->value, state->gradient, state->x, data));
  if (!isfinite(state->value) || !all_finite(state->gradient, state->n)) {
    return MRL_NOT_FINITE;
  }
  if (largest(state->gradient, state->n) <= state->settings.gradient_tol) {
    state->stop = MRL_LBFGS_GRADIENT;
  } else if (state->settings.max_iterations == 0) {
    state->stop = MRL_LBFGS_LIMIT;
  }
  return MRL_OK;
}

/* Place of the pair that came `back` before the newest. */
static size_t pair_at(const mrl_lbfgs *state, size_t back)
{
  return (state->newest + state->settings.history - back) % state->settings.history;
}

/* direction := - H gradient, H by the two loops over the pairs (Nocedal & Wright, algorithm 7.4).
 */
static void find_direction(mrl_lbfgs *state)
{
  const size_t n = state->n;
  double *d = state->direction;
  for (size_t i = 0; i < n; i++) {
    d[i] = -state->gradient[i];
  }
  for (size_t back = 0; back < state->kept; back++) {
    const size_t p = pair_at(state, back);
    state->alpha[p] = state->rho[p] * dot(state->s + p * n, d, n);
    for (size_t i = 0; i < n; i++) {
      d[i] -= state->alpha[p] * state->y[i + p * n];
    }
  }
  if (state->kept > 0) {
    const double *y = state->y + state->newest * n;
    const double scale = 1 / (state->rho[state->newest] * dot(y, y, n));
    for (size_t i = 0; i < n; i++) {
      d[i] *= scale;
    }
  }
  for (size_t back = state->kept; back-- > 0;) {
    const size_t p = pair_at(state, back);
    const double beta = state->rho[p] * dot(state->y + p * n, d, n);
    for (size_t i = 0; i < n; i++) {
      d[i] += (state->alpha[p] - beta) * state->s[i + p * n];
    }
  }
}

/* A step along the direction: value and slope there. exists = 0 where the function does not. */
typedef struct {
  double step, value, slope;
  int exists;
} trial;

/* Evaluates at x + step direction, into state->at and state->at_grad. */
static mrl_status try_step(trial *t, double step, mrl_lbfgs *state, mrl_objective_fn *objective,
                           void *data)
{
  const size_t n = state->n;
  for (size_t i = 0; i < n; i++) {
    state->at[i] = state->x[i] + step * state->direction[i];
  }
  *t = (trial){.step = step, .value = INFINITY};
  state->evaluations++;
  const mrl_status status = objective(&t->value, state->at_grad, state->at, data);
  if (status != MRL_OK && status != MRL_NOT_FINITE && status != MRL_SINGULAR) {
    return status;
  }
  t->exists = status == MRL_OK && isfinite(t->value) && all_finite(state->at_grad, n);
  t->slope = t->exists ? dot(state->at_grad, state->direction, n) : 0;
  return MRL_OK;
}

/* The minimum of the cubic through two trials, at least a tenth of the interval from its ends. */
static double between(const trial *low, const trial *high)
{
  const double width = high->step - low->step;
  double part = 0.3; /* of the interval, where there is no cubic */
  if (high->exists) {
    const double secant = 3 * (low->value - high->value) / width;
    const double theta = secant + low->slope + high->slope;
    const double inside = theta * theta - low->slope * high->slope;
    const double root = copysign(sqrt(fmax(inside, 0)), width);
    part = 1 - (high->slope + root - theta) / (high->slope - low->slope + 2 * root);
    part = isfinite(part) ? part : 0.5;
  }
  return low->step + fmin(fmax(part, 0.1), 0.9) * width;
}

/*
 * A step from the point whose value and slope are `start` that keeps the strong Wolfe conditions,
 * or the lowest one that was found to keep the first of them; state->at and state->at_grad are
 * there. found->step = 0 if there is none.
 */
static mrl_status search_line(trial *found, const trial *start, double first, mrl_lbfgs *state,
                              mrl_objective_fn *objective, void *data)
{
  trial low = *start, high = *start, t;
  int bracketed = 0;
  double step = first;
  for (int k = 0; k < MOST_TRIALS; k++) {
    MRL_TRY(try_step(&t, step, state, objective, data));
    if (!t.exists || t.value > start->value + DECREASE * step * start->slope ||
        (low.step > 0 && t.value >= low.value)) {
      high = t;
      bracketed = 1;
    } else if (fabs(t.slope) <= -CURVATURE * start->slope) {
      *found = t;
      return MRL_OK;
    } else {
      if (bracketed ? t.slope * (high.step - low.step) >= 0 : t.slope >= 0) {
        high = low;
        bracketed = 1;
      }
      low = t;
    }
    step = bracketed ? between(&low, &high) : 4 * step;
    if (bracketed && fabs(high.step - low.step) <= 1e-14 * high.step) {
      break;
    }
  }
  *found = low;
  return low.step > 0 && low.step != t.step ? try_step(found, low.step, state, objective, data)
                                            : MRL_OK;
}

/* Keeps the step to state->at as a pair, unless the curvature along it is not positive. */
static void keep_pair(mrl_lbfgs *state)
{
  const size_t n = state->n, p = (state->newest + 1) % state->settings.history;
  double *s = state->s + p * n, *y = state->y + p * n;
  for (size_t i = 0; i < n; i++) {
    s[i] = state->at[i] - state->x[i];
    y[i] = state->at_grad[i] - state->gradient[i];
  }
  const double curvature = dot(s, y, n);
  if (curvature > 1e-14 * sqrt(dot(s, s, n) * dot(y, y, n))) {
    state->rho[p] = 1 / curvature;
    state->newest = p;
    state->kept += state->kept < state->settings.history;
  }
}

static void move(mrl_lbfgs *state, double value)
{
  const double gain = state->value - value, size = fmax(1, fabs(value));
  keep_pair(state);
  memcpy(state->x, state->at, state->n * sizeof *state->x);
  memcpy(state->gradient, state->at_grad, state->n * sizeof *state->x);
  state->value = value;
  state->iterations++;
  if (largest(state->gradient, state->n) <= state->settings.gradient_tol) {
    state->stop = MRL_LBFGS_GRADIENT;
  } else if (gain <= state->settings.value_tol * size) {
    state->stop = MRL_LBFGS_VALUE;
  } else if (state->iterations >= state->settings.max_iterations) {
    state->stop = MRL_LBFGS_LIMIT;
  }
}

/* One iteration; where the pairs lead nowhere, they are forgotten and the gradient is followed. */
static mrl_status iterate(mrl_lbfgs *state, mrl_objective_fn *objective, void *data)
{
  for (;;) {
    find_direction(state);
    trial start = {0, state->value, dot(state->gradient, state->direction, state->n), 1}, found;
    const double length = sqrt(dot(state->gradient, state->gradient, state->n));
    found = start;
    if (start.slope < 0) {
      const double first = state->kept > 0 ? 1 : fmin(1, 1 / length);
      MRL_TRY(search_line(&found, &start, first, state, objective, data));
    }
    if (found.step > 0) {
      move(state, found.value);
      return MRL_OK;
    }
    if (state->kept == 0) {
      state->stop = MRL_LBFGS_STALLED;
      return MRL_OK;
    }
    state->kept = 0;
  }
}

mrl_status mrl_lbfgs_run(mrl_lbfgs *state, size_t until, mrl_objective_fn *objective, void *data,
                         const mrl_ctx *ctx)
{
  while (state->stop == MRL_LBFGS_RUNNING && state->iterations < until) {
    MRL_TRY(iterate(state, objective, data));
    mrl_poll(ctx);
  }
  return MRL_OK;
}
