#include "mr_presso.h"

#include <math.h>
#include <string.h>

/* What a lane draws into and counts. */
typedef struct {
  double *x, *y;   /* (n) drawn effects over the outcome's standard errors */
  size_t *exceeds; /* (n) draws in which a variant lies further out than observed */
  size_t total;    /* and in which all together do */
  size_t distorts;
} lane;

/* Effects over the outcome's standard errors, alleles turned so that x >= 0. All (n). */
typedef struct {
  double *x, *y, *noise; /* noise: of x; y has 1 */
  double *slope;         /* of the other variants */
  int *outlier_at;       /* outliers first, then the others */
  lane *lanes;           /* (n_lanes) */
  size_t n, n_lanes;
} problem;

static problem carve(mrl_arena *arena, size_t n, size_t n_lanes)
{
  problem p = {MRL_TAKE(arena, double, n),
               MRL_TAKE(arena, double, n),
               MRL_TAKE(arena, double, n),
               MRL_TAKE(arena, double, n),
               MRL_TAKE(arena, int, n),
               MRL_TAKE(arena, lane, n_lanes),
               n,
               n_lanes};
  for (size_t l = 0; l < n_lanes; l++) {
    const lane one = {MRL_TAKE(arena, double, n), MRL_TAKE(arena, double, n),
                      MRL_TAKE(arena, size_t, n), 0, 0};
    if (p.lanes) {
      p.lanes[l] = one;
    }
  }
  return p;
}

size_t mrl_presso_scratch(size_t n, const mrl_ctx *ctx)
{
  mrl_arena arena = mrl_arena_measure();
  carve(&arena, n, (size_t)ctx->n_threads);
  return arena.failed ? SIZE_MAX : arena.used;
}

typedef struct {
  double xx, xy;
} products;

static products products_of(const double *x, const double *y, size_t n)
{
  products out = {0, 0};
  for (size_t i = 0; i < n; i++) {
    out.xx += x[i] * x[i];
    out.xy += x[i] * y[i];
  }
  return out;
}

static double square(double x)
{
  return x * x;
}

/* Squares of what the others' slopes leave of y. */
static double left_over(const double *x, const double *y, size_t n)
{
  const products all = products_of(x, y, n);
  double rss = 0;
  for (size_t i = 0; i < n; i++) {
    const double slope = (all.xy - x[i] * y[i]) / (all.xx - x[i] * x[i]);
    rss += square(y[i] - slope * x[i]);
  }
  return rss;
}

static void set_problem(const problem *p, const mrl_mr_data *d)
{
  for (size_t i = 0; i < p->n; i++) {
    p->x[i] = fabs(d->bx[i]) / d->sy[i];
    p->y[i] = (d->bx[i] < 0 ? -d->by[i] : d->by[i]) / d->sy[i];
    p->noise[i] = d->sx[i] / d->sy[i];
  }
  const products all = products_of(p->x, p->y, p->n);
  for (size_t i = 0; i < p->n; i++) {
    p->slope[i] = (all.xy - p->x[i] * p->y[i]) / (all.xx - p->x[i] * p->x[i]);
  }
}

static uint64_t item(size_t group, size_t draw)
{
  return (uint64_t)group << 24 | draw;
}

/* Effects without pleiotropy: outcome effects about what the other variants predict. */
static void draw_one(lane *in, const problem *p, const double *rss, double rss_total, mrl_rng rng)
{
  mrl_rng_fill_normal(&rng, in->x, p->n);
  mrl_rng_fill_normal(&rng, in->y, p->n);
  for (size_t i = 0; i < p->n; i++) {
    in->x[i] = p->x[i] + p->noise[i] * in->x[i];
    in->y[i] = p->slope[i] * p->x[i] + in->y[i];
    in->exceeds[i] += square(in->y[i] - p->slope[i] * in->x[i]) > rss[i];
  }
  in->total += left_over(in->x, in->y, p->n) > rss_total;
}

/* The slope of a set as large as the rest without outliers, but with these in it: they come first,
 * then others drawn with replacement, as the program has it. */
static double draw_set(const problem *p, size_t n_outliers, mrl_rng rng)
{
  const size_t size = p->n - n_outliers;
  products sum = {0, 0};
  for (size_t k = 0; k < size; k++) {
    const size_t at = k < n_outliers ? k : n_outliers + (size_t)mrl_rng_below(&rng, size);
    const size_t i = (size_t)p->outlier_at[at];
    sum.xx += p->x[i] * p->x[i];
    sum.xy += p->x[i] * p->y[i];
  }
  return sum.xy / sum.xx;
}

typedef struct {
  const mrl_presso *at;
  const mrl_presso_settings *settings;
  size_t group;
  int sets; /* draw sets for the distortion test, else effects */
} job;

static void draw_range(lane *in, const problem *p, const job *of, size_t from, size_t to)
{
  for (size_t b = from; b < to; b++) {
    const uint64_t seed = of->settings->seed, at = item(of->group, b);
    if (of->sets) {
      const double slope =
          draw_set(p, of->at->n_outliers, mrl_rng_stream(seed, MRL_RNG_PERMUTE, at));
      const double moved = (of->at->all.slope - slope) / fabs(slope);
      in->distorts += fabs(moved) > fabs(of->at->distortion);
    } else {
      draw_one(in, p, of->at->rss, of->at->rss_total, mrl_rng_stream(seed, MRL_RNG_BOOTSTRAP, at));
    }
  }
}

/* Counts are whole numbers, so which lane drew what does not matter. */
static void run_draws(const problem *p, const job *of, const mrl_ctx *ctx)
{
  const size_t n_draws = of->settings->n_draws;
  size_t chunk = 1 + (size_t)4e6 / (100 + 40 * p->n); /* some milliseconds */
  chunk = chunk < 1 + n_draws / p->n_lanes ? chunk : 1 + n_draws / p->n_lanes;
  for (size_t from = 0; from < n_draws; from += p->n_lanes * chunk) {
#pragma omp parallel for num_threads((int)p->n_lanes) schedule(static, 1)
    for (size_t l = 0; l < p->n_lanes; l++) {
      const size_t first = from + l * chunk, end = first + chunk;
      if (first < n_draws) {
        draw_range(&p->lanes[l], p, of, first, end < n_draws ? end : n_draws);
      }
    }
    mrl_poll(ctx);
  }
}

/* Variants with outlier == side; all of them with side -1. */
static mrl_presso_fit regress(const problem *p, const int *outlier, int side)
{
  products sum = {0, 0};
  double rss = 0;
  mrl_presso_fit out = {NAN, NAN, 0};
  size_t n = 0;
  for (size_t i = 0; i < p->n; i++) {
    if (side < 0 || outlier[i] == side) {
      sum.xx += p->x[i] * p->x[i];
      sum.xy += p->x[i] * p->y[i];
      n++;
    }
  }
  if (n == 0) {
    return out;
  }
  out.slope = sum.xy / sum.xx;
  out.df = n - 1;
  for (size_t i = 0; i < p->n; i++) {
    rss += side < 0 || outlier[i] == side ? square(p->y[i] - out.slope * p->x[i]) : 0;
  }
  out.se = sqrt(rss / (double)out.df / sum.xx);
  return out;
}

static void observe(mrl_presso *out, const problem *p)
{
  out->rss_total = left_over(p->x, p->y, p->n);
  out->n_outliers = 0;
  out->p_total = out->distortion = out->p_distortion = NAN;
  out->all = regress(p, out->outlier, -1);
  out->without.slope = out->without.se = NAN;
  out->without.df = 0;
  for (size_t i = 0; i < p->n; i++) {
    out->rss[i] = square(p->y[i] - p->slope[i] * p->x[i]);
    out->p[i] = NAN;
    out->outlier[i] = 0;
  }
}

static void test_outliers(mrl_presso *out, const problem *p, double n_draws, double threshold)
{
  for (size_t i = 0; i < p->n; i++) {
    size_t count = 0;
    for (size_t l = 0; l < p->n_lanes; l++) {
      count += p->lanes[l].exceeds[i];
    }
    out->p[i] = fmin(1, (double)count / n_draws * (double)p->n);
    out->outlier[i] = out->p[i] <= threshold;
    out->n_outliers += (size_t)out->outlier[i];
  }
  size_t first = 0, last = out->n_outliers;
  for (size_t i = 0; i < p->n; i++) {
    p->outlier_at[out->outlier[i] ? first++ : last++] = (int)i;
  }
}

static void test_distortion(mrl_presso *out, const problem *p, job *of, const mrl_ctx *ctx)
{
  size_t count = 0;
  out->without = regress(p, out->outlier, 0);
  out->distortion = (out->all.slope - out->without.slope) / fabs(out->without.slope);
  of->sets = 1;
  run_draws(p, of, ctx);
  for (size_t l = 0; l < p->n_lanes; l++) {
    count += p->lanes[l].distorts;
  }
  out->p_distortion = (double)count / (double)of->settings->n_draws;
}

mrl_status mrl_presso_run(mrl_presso *out, const mrl_mr_data *data, size_t group,
                          const mrl_presso_settings *settings, void *scratch, size_t scratch_size,
                          const mrl_ctx *ctx)
{
  mrl_arena arena = mrl_arena_over(scratch, scratch_size);
  problem p = carve(&arena, data->n, (size_t)ctx->n_threads);
  const double n_draws = (double)settings->n_draws;
  job of = {out, settings, group, 0};
  size_t count = 0;
  if (arena.failed) {
    return MRL_NO_MEMORY;
  }
  /* A draw costs some ten passes over the variants. */
  p.n_lanes = (size_t)mrl_threads_for(ctx, 10 * data->n * settings->n_draws);
  set_problem(&p, data);
  observe(out, &p);
  if (!isfinite(out->rss_total)) {
    return MRL_NOT_FINITE;
  }
  for (size_t l = 0; l < p.n_lanes; l++) {
    memset(p.lanes[l].exceeds, 0, p.n * sizeof *p.lanes[l].exceeds);
  }
  run_draws(&p, &of, ctx);
  for (size_t l = 0; l < p.n_lanes; l++) {
    count += p.lanes[l].total;
  }
  out->p_total = (double)count / n_draws;
  if (settings->outlier && out->p_total < settings->threshold) {
    test_outliers(out, &p, n_draws, settings->threshold);
    if (settings->distortion && out->n_outliers > 0 && out->n_outliers < p.n) {
      test_distortion(out, &p, &of, ctx);
    }
  }
  return MRL_OK;
}
