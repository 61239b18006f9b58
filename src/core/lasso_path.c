#include "lasso_path.h"

#include <math.h>
#include <string.h>

/* A pivot of the active set below this, relative to its diagonal, is rounding. */
static const double spanned_below = 1e-11;
/* Penalties are approached in steps of this ratio, so that few instruments enter at once, as long
 * as they are above the floor (relative to lambda_max). */
static const double step_ratio = 0.5, step_floor = 1e-4;

/* Multiplications after which a round pauses, so that its caller can poll: about 0.03 s. */
static const double pause_work = 2e7;

enum { MAX_SWEEPS = 20 };

/* ---- The factor of the active set ---- */

/* v (n_active) := inverse(factor') v, or inverse(factor) v. */
static void solve_lower(double *v, const mrl_lasso_path *path)
{
  for (size_t k = 0; k < path->n_active; k++) {
    const double *column = path->factor + k * path->capacity;
    v[k] = (v[k] - mrl_lasso_dot(column, v, k)) / column[k];
  }
}

static void solve_upper(double *v, const mrl_lasso_path *path)
{
  for (size_t k = path->n_active; k-- > 0;) {
    const double *column = path->factor + k * path->capacity;
    v[k] /= column[k];
    for (size_t i = 0; i < k; i++) {
      v[i] -= column[i] * v[k];
    }
  }
}

/* Appends instrument j, leaving inverse(factor') times its column in `move`; 0 if the active set
 * spans it. */
static int append(mrl_lasso_path *path, size_t j)
{
  const size_t a = path->n_active;
  const double *column = mrl_lasso_path_column(path, j);
  for (size_t k = 0; k < a; k++) {
    path->move[k] = column[path->active[k]];
  }
  solve_lower(path->move, path);
  path->work += (double)(a * a);
  const double pivot = path->diag[j] - mrl_lasso_dot(path->move, path->move, a);
  if (a == path->capacity || !(pivot > spanned_below * path->diag[j])) {
    return 0;
  }
  double *new = path->factor + a * path->capacity;
  memcpy(new, path->move, a * sizeof *new);
  new[a] = sqrt(pivot);
  path->active[a] = j;
  path->is_active[j] = 1;
  path->n_active++;
  return 1;
}

/* Takes the k-th active instrument out: its column goes, rotations make the rest triangular. */
static void delete_at(mrl_lasso_path *path, size_t k)
{
  const size_t a = path->n_active, ld = path->capacity;
  path->is_active[path->active[k]] = 0;
  path->work += (double)((a - k) * (a - k) * 3);
  for (size_t m = k + 1; m < a; m++) {
    double *to = path->factor + (m - 1) * ld;
    memcpy(to, path->factor + m * ld, (m + 1) * sizeof *to);
    path->active[m - 1] = path->active[m];
  }
  for (size_t i = k; i + 1 < a; i++) { /* rotate rows i and i + 1 of columns i .. a - 2 */
    double *pivot = path->factor + i * ld;
    const double r = hypot(pivot[i], pivot[i + 1]), c = pivot[i] / r, s = pivot[i + 1] / r;
    pivot[i] = r;
    for (size_t m = i + 1; m + 1 < a; m++) {
      double *column = path->factor + m * ld, up = column[i], low = column[i + 1];
      column[i] = c * up + s * low;
      column[i + 1] = c * low - s * up;
    }
  }
  path->n_active--;
}

/* ---- One round ---- */

static void drop_zeros(mrl_lasso_path *path)
{
  for (size_t k = path->n_active; k-- > 0;) {
    if (path->b[path->active[k]] == 0) {
      delete_at(path, k);
    }
  }
}

static double sign(double v)
{
  return v > 0 ? 1 : v < 0 ? -1 : 0;
}

/* The gradient of the fit at b, in full, and how far from optimal b is. */
static void check(mrl_lasso_path *path)
{
  const size_t n_z = path->n_z;
  memcpy(path->gradient, path->xz, n_z * sizeof *path->xz);
  for (size_t j = 0; j < n_z; j++) {
    if (path->b[j] != 0) {
      const double *column = mrl_lasso_path_column(path, j), value = path->b[j];
      for (size_t i = 0; i < n_z; i++) {
        path->gradient[i] -= column[i] * value;
      }
      path->work += (double)n_z;
    }
  }
  double worst = 0;
  for (size_t j = 0; j < n_z; j++) {
    const double b = path->b[j], g = path->gradient[j];
    const double off = b != 0 ? fabs(g - path->lambda * sign(b)) : fabs(g) - path->lambda;
    worst = path->sd[j] > 0 ? fmax(worst, off) : worst;
  }
  path->violation = path->lambda_max > 0 ? worst / path->lambda_max : 0;
}

/* Coordinate descent over the nonzero coefficients and those that must not be zero. gradient must
 * be current, and afterwards is so only within the working set. */
static void descend(mrl_lasso_path *path, int sweeps)
{
  const double enter = path->lambda + path->tolerance * path->lambda_max;
  size_t n = 0;
  for (size_t j = 0; j < path->n_z; j++) {
    if (path->sd[j] > 0 && (path->b[j] != 0 || fabs(path->gradient[j]) > enter)) {
      path->working[n++] = j;
    }
  }
  for (int sweep = 0; sweep < sweeps && path->work < pause_work; sweep++) {
    for (size_t m = 0; m < n; m++) {
      const size_t j = path->working[m];
      const double old = path->b[j], g = path->gradient[j] + path->diag[j] * old;
      if (old == 0 && !(fabs(g) > enter)) {
        continue;
      }
      const double shrunk = fabs(g) - path->lambda;
      const double new = shrunk > 0 ? copysign(shrunk, g) / path->diag[j] : 0;
      const double *column = mrl_lasso_path_column(path, j), change = new - old;
      for (size_t i = 0; change != 0 && i < n; i++) {
        path->gradient[path->working[i]] -= column[path->working[i]] * change;
      }
      path->b[j] = new;
    }
    path->work += (double)(2 * n * n);
  }
}

/* Moves b along (move on the active set, step on instrument j if there is one) by `most` times, or
 * until the first coefficient reaches 0: then returns 1. */
static int move_until_zero(mrl_lasso_path *path, double most, const size_t *j, double step)
{
  const size_t a = path->n_active;
  size_t hit = a + 1;
  double t = most;
  for (size_t k = 0; k <= a; k++) {
    if (k == a && !j) {
      break;
    }
    const double b = path->b[k < a ? path->active[k] : *j], d = k < a ? path->move[k] : step;
    if (b * d < 0 && -b / d <= t) {
      t = -b / d;
      hit = k;
    }
  }
  for (size_t k = 0; k < a; k++) {
    path->b[path->active[k]] = k == hit ? 0 : path->b[path->active[k]] + t * path->move[k];
  }
  if (j) {
    path->b[*j] = hit == a ? 0 : path->b[*j] + t * step;
  }
  return hit <= a;
}

/* Instrument j has a coefficient but the active set spans it: along the null direction the fit
 * stays and the penalty is linear, so that one can move until a coefficient is 0. */
static void bring_in(mrl_lasso_path *path, size_t j)
{
  while (path->b[j] != 0 && !append(path, j)) {
    solve_upper(path->move, path); /* move: coefficients of j on the active set */
    double slope = sign(path->b[j]), step = 1;
    for (size_t k = 0; k < path->n_active; k++) {
      path->move[k] = -path->move[k];
      slope += sign(path->b[path->active[k]]) * path->move[k];
    }
    if (slope > 0) {
      step = -1;
      for (size_t k = 0; k < path->n_active; k++) {
        path->move[k] = -path->move[k];
      }
    }
    path->work += (double)(path->n_active * path->n_active);
    move_until_zero(path, HUGE_VAL, &j, step);
    drop_zeros(path);
  }
}

/* Makes the active set the nonzero coefficients; 0 if it pauses before that is done. */
static int update_active(mrl_lasso_path *path)
{
  drop_zeros(path);
  for (size_t j = 0; j < path->n_z; j++) {
    if (path->b[j] != 0 && !path->is_active[j]) {
      if (path->work > pause_work) {
        return 0;
      }
      bring_in(path, j);
    }
  }
  return 1;
}

/* Towards the minimiser for these signs; a coefficient that reaches 0 on the way leaves. Each step
 * lowers the objective, as it is quadratic as long as no sign changes. 0 if it pauses. */
static int solve_active(mrl_lasso_path *path)
{
  int hit = 1;
  while (hit && path->n_active > 0) {
    if (path->work > pause_work) {
      return 0;
    }
    const size_t a = path->n_active;
    for (size_t k = 0; k < a; k++) {
      const size_t j = path->active[k];
      path->target[k] = path->xz[j] - path->lambda * sign(path->b[j]);
    }
    solve_lower(path->target, path);
    solve_upper(path->target, path);
    path->work += (double)(a * a * 2);
    for (size_t k = 0; k < a; k++) {
      path->move[k] = path->target[k] - path->b[path->active[k]];
    }
    hit = move_until_zero(path, 1, NULL, 0);
    for (size_t k = 0; !hit && k < a; k++) {
      path->b[path->active[k]] = path->target[k]; /* without the rounding of the move */
    }
    drop_zeros(path);
  }
  return 1;
}

/* The penalty to work at next on the way to `lambda`. */
static double next_lambda(const mrl_lasso_path *path, double lambda)
{
  const double now = fmin(path->lambda, path->lambda_max);
  return now > step_floor * path->lambda_max ? fmax(lambda, now * step_ratio) : lambda;
}

int mrl_lasso_path_round(mrl_lasso_path *path, double lambda, int max_rounds)
{
  path->work = 0;
  if (!path->paused && path->round == 0) {
    path->lambda = next_lambda(path, lambda);
  } else if (!path->paused) {
    descend(path, path->round < MAX_SWEEPS ? path->round : MAX_SWEEPS);
  }
  path->paused = !(update_active(path) && solve_active(path));
  if (path->paused) {
    return 0;
  }
  check(path);
  path->iterations++;
  path->round++;
  if (path->violation > path->tolerance && path->round < max_rounds) {
    return 0;
  }
  path->round = 0;
  return path->lambda <= lambda;
}
