#include "flow_search.h"

#include "flow_task.h"
#include "rng.h"
#include "ssa.h"

#include <math.h>
#include <string.h>

enum { MOST_STAGES = 3, POLISHED = 2 };
static const mrl_flow_stage slow[MOST_STAGES] = {{1, 40}, {0.3, 40}, {0.1, 80}};
static const mrl_flow_stage quick[2] = {{0.3, 60}, {0.1, 120}};
static const mrl_flow_stage polish[2] = {{0.1, 60}, {0.03, 60}};
static const mrl_lbfgs_settings climbing = {20, 0, 1e-7, 1e-8};

/* A gain of the likelihood that is worth a move: below it, an optimum has been found again. */
static const double WORTH = 0.002;

typedef struct {
  const mrl_flow_settings *settings;
  const int *n_row;
  size_t d, n_env, n, n_params, n_tasks;
  mrl_flow_sample part, other, all;
  mrl_flow_work *work;    /* (n_threads) */
  mrl_flow_task *tasks;   /* (n_tasks) */
  double *base;           /* (n_params) the best start of a round, */
  double base_value;      /* its value */
  double *white, *latent; /* (n, d) */
  size_t *order;          /* (n) rows of an environment in random order */
  mrl_ssa ssa;            /* of the instruments, of a latent */
  void *ssa_scratch;
  void *gemm_scratch;
} search;

/* Rows of an environment that starts climb on: enough for some ten moments each, few enough to be
 * quick; as many others judge. */
static size_t part_of(size_t n)
{
  const size_t quarter = n / 4 > 4000 ? 4000 : n / 4, least = quarter < 1000 ? 1000 : quarter;
  return least < n / 2 ? least : n / 2;
}

static mrl_ssa_data ssa_data(const search *s, const double *x)
{
  const mrl_ssa_data data = {
      .x = x, .n_row = s->n_row, .n = s->n, .p = s->d, .n_env = s->n_env, .d = s->d};
  return data;
}

static mrl_status carve_tasks(search *s, mrl_arena *arena)
{
  s->n_tasks = s->settings->starts > POLISHED ? s->settings->starts : POLISHED;
  s->tasks = MRL_TAKE(arena, mrl_flow_task, s->n_tasks);
  for (size_t t = 0; t < s->n_tasks; t++) {
    mrl_lbfgs climb;
    MRL_TRY(mrl_lbfgs_carve(&climb, arena, s->n_params, &climbing));
    if (s->tasks) {
      s->tasks[t].climb = climb;
    }
  }
  return MRL_OK;
}

static mrl_status carve_work(search *s, mrl_arena *arena, const mrl_ctx *ctx)
{
  size_t rows = 0;
  for (size_t e = 0; e < s->n_env; e++) {
    rows += (size_t)s->n_row[e] + MRL_FLOW_LANES;
  }
  s->work = MRL_TAKE(arena, mrl_flow_work, (size_t)ctx->n_threads);
  for (int t = 0; t < ctx->n_threads; t++) {
    mrl_flow_work work;
    MRL_TRY(mrl_flow_work_carve(&work, arena, s->d, s->settings->layers, s->n_env, rows,
                                s->settings->isa));
    if (s->work) {
      s->work[t] = work;
    }
  }
  return MRL_OK;
}

static mrl_status carve(search *s, mrl_arena *arena, const mrl_flow_settings *settings,
                        const int *n_row, size_t n_env, size_t d, const mrl_ctx *ctx)
{
  if (n_env < 1 || d < 2 || settings->layers < 1 || settings->starts < 1 || settings->cycles < 1 ||
      settings->stationary < 1 || settings->stationary >= d || !(settings->gate > 0)) {
    return MRL_BAD_ARGUMENT;
  }
  *s = (search){.settings = settings, .n_row = n_row, .d = d, .n_env = n_env};
  for (size_t e = 0; e < n_env; e++) {
    if (n_row[e] < 1) {
      return MRL_BAD_ARGUMENT;
    }
    s->n += (size_t)n_row[e];
  }
  s->n_params = mrl_flow_params(d, settings->layers);
  const mrl_ssa_data data = ssa_data(s, NULL);
  MRL_TRY(mrl_flow_sample_carve(&s->part, arena, n_row, part_of, n_env, d));
  MRL_TRY(mrl_flow_sample_carve(&s->other, arena, n_row, part_of, n_env, d));
  MRL_TRY(mrl_flow_sample_carve(&s->all, arena, n_row, NULL, n_env, d));
  MRL_TRY(carve_work(s, arena, ctx));
  MRL_TRY(carve_tasks(s, arena));
  s->base = MRL_TAKE(arena, double, s->n_params);
  s->white = MRL_TAKE(arena, double, s->n *d);
  s->latent = MRL_TAKE(arena, double, s->n *d);
  s->order = MRL_TAKE(arena, size_t, s->n);
  s->ssa.centre = MRL_TAKE(arena, double, d);
  s->ssa.transform = MRL_TAKE(arena, double, d *d);
  s->ssa.values = MRL_TAKE(arena, double, d);
  s->ssa_scratch = mrl_take(arena, mrl_ssa_scratch(&data, ctx), 1);
  s->gemm_scratch = mrl_take(arena, mrl_gemm_d_scratch(s->n, d, d, ctx), 1);
  return arena->failed ? MRL_NO_MEMORY : MRL_OK;
}

size_t mrl_flow_scratch(const mrl_flow_settings *settings, const int *n_row, size_t n_env, size_t d,
                        const mrl_ctx *ctx)
{
  mrl_arena arena = mrl_arena_measure();
  search s;
  return carve(&s, &arena, settings, n_row, n_env, d, ctx) == MRL_OK ? arena.used : 0;
}

/* s->white: the instruments with mean 0 and mean within-environment covariance I. */
static mrl_status whiten(search *s, mrl_flow_result *result, const double *z, const mrl_ctx *ctx)
{
  const size_t n = s->n, d = s->d;
  const mrl_ssa_data data = ssa_data(s, z);
  const mrl_status status = mrl_ssa_run(&s->ssa, &data, s->ssa_scratch, s->settings->isa, ctx);
  result->rank = s->ssa.rank;
  MRL_TRY(status);
  memcpy(result->centre, s->ssa.centre, d * sizeof(double));
  memcpy(result->transform, s->ssa.transform, d * d * sizeof(double));
  for (size_t j = 0; j < d; j++) {
    for (size_t i = 0; i < n; i++) {
      s->latent[i + j * n] = z[i + j * n] - s->ssa.centre[j];
    }
  }
  return mrl_gemm_d(s->white, n, s->latent, n, MRL_NO_TRANS, s->ssa.transform, d, MRL_NO_TRANS, n,
                    d, d, 0, s->gemm_scratch, s->settings->isa, ctx);
}

/* Streams: environments number orders of rows, the others starts and moves. */
static mrl_rng stream_of(const search *s, size_t cycle, size_t round, size_t item)
{
  return mrl_rng_stream(s->settings->seed, MRL_RNG_LATENT,
                        (uint64_t)cycle << 40 | (uint64_t)round << 32 | (uint64_t)item);
}

/* Deals the rows: in random order, since environments may be sorted. */
static void take_samples(search *s)
{
  for (size_t e = 0, first = 0; e < s->n_env; first += (size_t)s->n_row[e], e++) {
    mrl_rng rng = stream_of(s, 0, 0, e);
    const size_t n = (size_t)s->n_row[e], part = part_of(n);
    mrl_rng_permutation(&rng, s->order, n);
    for (size_t i = 0; i < n; i++) {
      const size_t row = first + s->order[i];
      mrl_flow_sample_take(&s->all, e, i, s->white, s->n, row);
      if (i < part) {
        mrl_flow_sample_take(&s->part, e, i, s->white, s->n, row);
      } else if (i < 2 * part) {
        mrl_flow_sample_take(&s->other, e, i - part, s->white, s->n, row);
      }
    }
  }
  mrl_flow_sample_finish(&s->part);
  mrl_flow_sample_finish(&s->other);
  mrl_flow_sample_finish(&s->all);
}

static void write_tries(mrl_flow_result *result, const search *s, size_t n_tasks, size_t cycle,
                        mrl_flow_step step)
{
  for (size_t t = 0; t < n_tasks; t++) {
    result->tries[result->n_tries++] = (mrl_flow_try){cycle, step, s->tasks[t].value, NAN};
  }
}

/* x (d): the parameters of one unit's weights, from a random direction of the same length. */
static void redirect(double *x, size_t d, mrl_rng *rng)
{
  double before = 0, after = 0;
  for (size_t k = 0; k < d; k++) {
    before += x[k] * x[k];
    x[k] = mrl_rng_normal(rng);
    after += x[k] * x[k];
  }
  for (size_t k = 0; k < d; k++) {
    x[k] *= sqrt(before / after);
  }
}

/* Gram-Schmidt on normal draws; constants 0; slopes from exp(-1) to exp(1) but not near 1. */
static void draw_start(double *params, const search *s, mrl_rng *rng)
{
  const size_t d = s->d;
  for (size_t l = 0; l < s->settings->layers; l++, params += mrl_flow_layer_params(d)) {
    for (size_t j = 0; j < d; j++) {
      double *own = params + j * (d + 1) + 1, length = 0;
      own[-1] = 0;
      for (size_t k = 0; k < d; k++) {
        own[k] = mrl_rng_normal(rng);
      }
      for (size_t i = 0; i < j; i++) {
        const double *other = params + i * (d + 1) + 1;
        double along = 0;
        for (size_t k = 0; k < d; k++) {
          along += own[k] * other[k];
        }
        for (size_t k = 0; k < d; k++) {
          own[k] -= along * other[k];
        }
      }
      for (size_t k = 0; k < d; k++) {
        length += own[k] * own[k];
      }
      for (size_t k = 0; k < d; k++) {
        own[k] /= sqrt(length);
      }
      const double size = 0.3 + 0.7 * mrl_rng_uniform(rng);
      params[d * (d + 1) + j] = mrl_rng_uniform(rng) < 0.5 ? -size : size;
    }
  }
}

/* Random starts; s->base is the best of them. Every second cycle begins at a lower tau. */
static mrl_status try_starts(search *s, mrl_flow_result *result, size_t cycle, const mrl_ctx *ctx)
{
  const size_t starts = s->settings->starts;
  for (size_t t = 0; t < starts; t++) {
    mrl_rng rng = stream_of(s, cycle + 1, 0, t);
    draw_start(s->base, s, &rng);
    mrl_flow_task_set(s->tasks + t, s->base, cycle % 2 ? quick : slow, cycle % 2 ? 2 : 3, &s->part,
                      &s->other);
  }
  mrl_flow_tasks_run(s->tasks, s->work, starts, ctx);
  write_tries(result, s, starts, cycle, MRL_FLOW_START);
  const size_t best = mrl_flow_tasks_best(s->tasks, starts, starts);
  if (best == starts) {
    return MRL_NO_CONVERGE;
  }
  s->base_value = s->tasks[best].value;
  memcpy(s->base, s->tasks[best].climb.x, s->n_params * sizeof *s->base);
  return MRL_OK;
}

/* Changes of single units of s->base: a slope turned over, or other weights. Whether the best of
 * them is worth being the base. */
static int try_moves(search *s, mrl_flow_result *result, size_t cycle, size_t round,
                     const mrl_ctx *ctx)
{
  const size_t d = s->d, starts = s->settings->starts, units = d * s->settings->layers;
  for (size_t t = 0; t < starts; t++) {
    mrl_flow_task *own = s->tasks + t;
    mrl_rng rng = stream_of(s, cycle + 1, round + 1, t);
    const size_t unit = (round * ((starts + 1) / 2) + t / 2) % units, j = unit % d;
    mrl_flow_task_set(own, s->base, quick, 2, &s->part, &s->other);
    double *layer = own->climb.x + unit / d * mrl_flow_layer_params(d);
    if (t % 2 == 0) {
      layer[d * (d + 1) + j] *= -1;
    } else {
      redirect(layer + j * (d + 1) + 1, d, &rng);
    }
  }
  mrl_flow_tasks_run(s->tasks, s->work, starts, ctx);
  write_tries(result, s, starts, cycle, MRL_FLOW_MOVE);
  const size_t best = mrl_flow_tasks_best(s->tasks, starts, starts);
  if (best == starts || s->tasks[best].value > s->base_value - WORTH) {
    return 0;
  }
  s->base_value = s->tasks[best].value;
  memcpy(s->base, s->tasks[best].climb.x, s->n_params * sizeof *s->base);
  return 1;
}

/* The latent of all rows as mrl_flow_value left it in `work`, environment after environment. */
static void gather_latent(search *s, const mrl_flow_work *work)
{
  const size_t d = s->d, last = (work->layers - 1) * work->rows * d;
  for (size_t e = 0, first = 0, before = 0; e < s->n_env; e++) {
    const mrl_flow_group *group = s->all.group + e;
    const double *h = work->h + last + before * d;
    for (size_t j = 0; j < d; j++) {
      memcpy(s->latent + first + j * s->n, h + j * group->rows, group->n * sizeof *h);
    }
    first += group->n;
    before += group->rows;
  }
}

/* The gate, for the parameters in `result`. */
static mrl_status test_gate(search *s, mrl_flow_result *result, const mrl_ctx *ctx)
{
  double value;
  MRL_TRY(mrl_flow_value(&value, NULL, result->params, &s->all, polish[1].tau, s->work));
  gather_latent(s, s->work);
  const mrl_ssa_data data = ssa_data(s, s->latent);
  const mrl_status status = mrl_ssa_run(&s->ssa, &data, s->ssa_scratch, s->settings->isa, ctx);
  result->statistic = status == MRL_OK ? s->ssa.values[s->settings->stationary - 1] : INFINITY;
  result->passed = result->statistic <= result->threshold;
  return MRL_OK;
}

/* The best two tasks go on on all rows; result becomes the best flow so far, and is tested. */
static mrl_status polish_best(search *s, mrl_flow_result *result, size_t n_tasks, size_t cycle,
                              const mrl_ctx *ctx)
{
  const size_t first = mrl_flow_tasks_best(s->tasks, n_tasks, n_tasks),
               second = mrl_flow_tasks_best(s->tasks, n_tasks, first);
  const size_t count = second < n_tasks ? 2 : 1;
  if (count == 2) {
    memcpy(s->tasks[1].climb.at, s->tasks[second].climb.x, s->n_params * sizeof *s->base);
  }
  mrl_flow_task_set(s->tasks, s->base, polish, 2, &s->all, &s->all);
  if (count == 2) {
    mrl_flow_task_set(s->tasks + 1, s->tasks[1].climb.at, polish, 2, &s->all, &s->all);
  }
  mrl_flow_tasks_run(s->tasks, s->work, count, ctx);
  const size_t best = mrl_flow_tasks_best(s->tasks, count, count);
  write_tries(result, s, count, cycle, MRL_FLOW_POLISH);
  if (best < count && s->tasks[best].value < result->value) {
    result->value = s->tasks[best].value;
    memcpy(result->params, s->tasks[best].climb.x, s->n_params * sizeof *s->base);
    MRL_TRY(test_gate(s, result, ctx));
    result->tries[result->n_tries - count + best].statistic = result->statistic;
  }
  return MRL_OK;
}

static double threshold_of(const search *s)
{
  double sum = 0;
  for (size_t e = 0; e < s->n_env; e++) {
    sum += 1 / (double)s->n_row[e];
  }
  return s->settings->gate * sum / (double)s->n_env;
}

static mrl_status run_cycle(search *s, mrl_flow_result *result, size_t cycle, const mrl_ctx *ctx)
{
  const size_t starts = s->settings->starts;
  MRL_TRY(try_starts(s, result, cycle, ctx));
  MRL_TRY(polish_best(s, result, starts, cycle, ctx));
  for (size_t round = 0; round < s->settings->moves && !result->passed; round++) {
    if (!try_moves(s, result, cycle, round, ctx)) {
      break;
    }
    MRL_TRY(polish_best(s, result, starts, cycle, ctx));
  }
  return MRL_OK;
}

mrl_status mrl_flow_run(mrl_flow_result *result, const mrl_flow_settings *settings, const double *z,
                        const int *n_row, size_t n_env, size_t d, void *scratch, const mrl_ctx *ctx)
{
  const size_t size = mrl_flow_scratch(settings, n_row, n_env, d, ctx);
  mrl_arena arena = mrl_arena_over(scratch, size);
  search s;
  if (size == 0) {
    return MRL_BAD_ARGUMENT;
  }
  MRL_TRY(carve(&s, &arena, settings, n_row, n_env, d, ctx));
  for (size_t e = 0; e < n_env; e++) {
    if ((size_t)n_row[e] < 2 * (d + 2)) {
      return MRL_TOO_FEW;
    }
  }
  result->n_tries = 0;
  result->value = INFINITY;
  result->statistic = INFINITY;
  result->passed = 0;
  result->threshold = threshold_of(&s);
  MRL_TRY(whiten(&s, result, z, ctx));
  take_samples(&s);
  mrl_status status = MRL_NO_CONVERGE;
  for (size_t cycle = 0; cycle < settings->cycles && !result->passed; cycle++) {
    const mrl_status now = run_cycle(&s, result, cycle, ctx);
    if (now != MRL_OK && now != MRL_NO_CONVERGE) {
      return now;
    }
    status = isfinite(result->value) ? MRL_OK : status;
  }
  return status;
}
