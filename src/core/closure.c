#include "closure.h"

#include <math.h>
#include <string.h>

#include "lbfgs.h"
#include "rng.h"
#include "ssa.h"

enum { HISTORY = 12 };

typedef struct {
  double *white;    /* (n, rank) whitened columns */
  double *whiten;   /* (p, p) the first `rank` columns: from x to white */
  double *values;   /* (p) */
  double *basis;    /* (rank, d) accepted directions, orthonormal */
  double *row;      /* (2 n + p) of the objective */
  double *b;        /* (p) */
  void *ssa;        /* scratch of the whitening */
  size_t ssa_size;  /* bytes */
  mrl_lbfgs search; /* over p variables at most */
  size_t n, q, found;
} work;

static mrl_lbfgs_settings search_settings(const mrl_closure_data *data)
{
  /* A minimum at 0 is quadratic: a gradient of 1e-9 is an f of some 1e-16. */
  const mrl_lbfgs_settings settings = {HISTORY, data->max_iterations, 1e-9, 0};
  return settings;
}

static mrl_ssa_data whitening(const mrl_closure_data *data, const int *n_row, size_t d)
{
  const mrl_ssa_data out = {data->x, n_row, data->n, data->p, 1, d};
  return out;
}

static mrl_status carve(work *w, const mrl_closure_data *data, const mrl_ctx *ctx, mrl_arena *arena)
{
  const mrl_ssa_data all = whitening(data, NULL, data->p);
  const mrl_lbfgs_settings settings = search_settings(data);
  w->n = data->n;
  w->ssa_size = mrl_ssa_scratch(&all, ctx);
  w->white = MRL_TAKE(arena, double, data->n * data->p);
  w->whiten = MRL_TAKE(arena, double, data->p * data->p);
  w->values = MRL_TAKE(arena, double, data->p);
  w->basis = MRL_TAKE(arena, double, data->p * data->d);
  w->row = MRL_TAKE(arena, double, 2 * data->n + data->p);
  w->b = MRL_TAKE(arena, double, data->p);
  w->ssa = MRL_TAKE(arena, unsigned char, w->ssa_size);
  return mrl_lbfgs_carve(&w->search, arena, data->p, &settings);
}

size_t mrl_closure_scratch(const mrl_closure_data *data, const mrl_ctx *ctx)
{
  work w;
  mrl_arena arena = mrl_arena_measure();
  return carve(&w, data, ctx, &arena) != MRL_OK || arena.failed ? SIZE_MAX : arena.used;
}

/* out (n) = x b. */
static void times(double *out, const double *x, const double *b, size_t n, size_t q)
{
  memset(out, 0, n * sizeof *out);
  for (size_t j = 0; j < q; j++) {
    const double *column = x + j * n, by = b[j];
    for (size_t i = 0; i < n; i++) {
      out[i] += by * column[i];
    }
  }
}

/* out (q) = x'v. Four sums, so that the compiler may keep them in vector registers. */
static void times_transposed(double *out, const double *x, const double *v, size_t n, size_t q)
{
  for (size_t j = 0; j < q; j++) {
    const double *column = x + j * n;
    double sum[4] = {0, 0, 0, 0};
    size_t i = 0;
    for (; i + 4 <= n; i += 4) {
      for (size_t k = 0; k < 4; k++) {
        sum[k] += column[i + k] * v[i + k];
      }
    }
    for (; i < n; i++) {
      sum[0] += column[i] * v[i];
    }
    out[j] = sum[0] + sum[1] + (sum[2] + sum[3]);
  }
}

/* With t = x b, s = t^2 and g = x's / n the explained variance is g'g; by t_i the gradient of f is
 * 4 t_i / (n var s) ((1 - f) (s_i - mean s) - x_i'g). */
double mrl_closure_objective(double *gradient, const double *b, const double *x, size_t n, size_t q,
                             double *work)
{
  double *t = work, *s = t + n, *g = s + n;
  double mean = 0, variance = 0, explained = 0;
  times(t, x, b, n, q);
  for (size_t i = 0; i < n; i++) {
    mean += t[i] * t[i] / (double)n;
  }
  for (size_t i = 0; i < n; i++) {
    s[i] = t[i] * t[i] - mean;
    variance += s[i] * s[i] / (double)n;
  }
  times_transposed(g, x, s, n, q);
  for (size_t j = 0; j < q; j++) {
    g[j] /= (double)n;
    explained += g[j] * g[j];
  }
  const double f = 1 - explained / variance;
  for (size_t i = 0; i < n; i++) {
    s[i] *= 1 - f;
  }
  for (size_t j = 0; j < q; j++) {
    for (size_t i = 0; i < n; i++) {
      s[i] -= g[j] * x[i + j * n];
    }
  }
  for (size_t i = 0; i < n; i++) {
    s[i] *= 4 * t[i] / ((double)n * variance);
  }
  times_transposed(gradient, x, s, n, q);
  return f;
}

/* v (q) less its part in the accepted directions. */
static void remove_found(double *v, const work *w)
{
  for (size_t k = 0; k < w->found; k++) {
    const double *e = w->basis + k * w->q;
    double dot = 0;
    for (size_t j = 0; j < w->q; j++) {
      dot += v[j] * e[j];
    }
    for (size_t j = 0; j < w->q; j++) {
      v[j] -= dot * e[j];
    }
  }
}

static double length_of(const double *v, size_t q)
{
  double sum = 0;
  for (size_t j = 0; j < q; j++) {
    sum += v[j] * v[j];
  }
  return sqrt(sum);
}

/* mrl_objective_fn: f of the direction with what was found taken out. */
static mrl_status objective(double *value, double *gradient, const double *x, void *data)
{
  work *w = data;
  memcpy(w->b, x, w->q * sizeof *w->b);
  remove_found(w->b, w);
  *value = mrl_closure_objective(gradient, w->b, w->white, w->n, w->q, w->row);
  remove_found(gradient, w);
  return isfinite(*value) ? MRL_OK : MRL_NOT_FINITE;
}

static mrl_status whiten(mrl_closure *out, work *w, const mrl_closure_data *data, mrl_isa isa,
                         const mrl_ctx *ctx)
{
  const int n_row = (int)data->n;
  mrl_ssa ssa = {.centre = out->centre, .transform = w->whiten, .values = w->values};
  mrl_ssa_data all = whitening(data, &n_row, data->p);
  mrl_status status = mrl_ssa_run(&ssa, &all, w->ssa, isa, ctx);
  out->rank = w->q = ssa.rank;
  if (status == MRL_TOO_FEW && ssa.rank >= data->d) {
    all = whitening(data, &n_row, ssa.rank);
    status = mrl_ssa_run(&ssa, &all, w->ssa, isa, ctx);
  }
  MRL_TRY(status);
  for (size_t j = 0; j < w->q; j++) {
    double *column = w->white + j * data->n, shift = 0;
    times(column, data->x, w->whiten + j * data->p, data->n, data->p);
    for (size_t k = 0; k < data->p; k++) {
      shift += out->centre[k] * w->whiten[k + j * data->p];
    }
    for (size_t i = 0; i < data->n; i++) {
      column[i] -= shift;
    }
    mrl_poll(ctx);
  }
  return MRL_OK;
}

static mrl_status search(mrl_closure *out, work *w, const mrl_closure_data *data,
                         const mrl_ctx *ctx)
{
  mrl_rng rng = mrl_rng_stream(data->seed, MRL_RNG_LATENT, out->starts);
  mrl_rng_fill_normal(&rng, w->search.x, w->q);
  remove_found(w->search.x, w);
  const double scale = 1 / length_of(w->search.x, w->q);
  for (size_t j = 0; j < w->q; j++) {
    w->search.x[j] *= scale;
  }
  w->search.n = w->q;
  MRL_TRY(mrl_lbfgs_start(&w->search, objective, w));
  MRL_TRY(mrl_lbfgs_run(&w->search, data->max_iterations, objective, w, ctx));
  out->value[out->starts++] = w->search.value;
  if (w->search.value < data->tolerance) {
    double *e = w->basis + w->found * w->q;
    memcpy(e, w->search.x, w->q * sizeof *e);
    remove_found(e, w);
    const double unit = 1 / length_of(e, w->q);
    for (size_t j = 0; j < w->q; j++) {
      e[j] *= unit;
    }
    out->found = ++w->found;
  }
  return MRL_OK;
}

mrl_status mrl_closure_run(mrl_closure *out, const mrl_closure_data *data, void *scratch,
                           mrl_isa isa, const mrl_ctx *ctx)
{
  if (data->d < 1 || data->d > data->p || data->n <= data->p || data->max_iterations < 1) {
    return MRL_BAD_ARGUMENT;
  }
  work w;
  mrl_arena arena = mrl_arena_over(scratch, mrl_closure_scratch(data, ctx));
  MRL_TRY(carve(&w, data, ctx, &arena));
  if (arena.failed) {
    return MRL_NO_MEMORY;
  }
  w.found = out->found = out->starts = out->rank = 0;
  memset(out->transform, 0, data->p * data->d * sizeof *out->transform);
  MRL_TRY(whiten(out, &w, data, isa, ctx));
  while (w.found < data->d && out->starts < data->max_starts) {
    MRL_TRY(search(out, &w, data, ctx));
  }
  for (size_t k = 0; k < w.found; k++) {
    times(out->transform + k * data->p, w.whiten, w.basis + k * w.q, data->p, w.q);
  }
  return w.found == data->d ? MRL_OK : MRL_NO_CONVERGE;
}
