#include "meta.h"

#include <math.h>
#include <string.h>
#ifdef _OPENMP
#include <omp.h>
#endif

#include "meta_fit.h"

/*
 * Groups are shared out to threads in rounds of about this many effects, polling in between: 0.2 us
 * an effect, 1 us where the likelihood is difficult, and so at most 0.06 s. Groups above LARGE are
 * worked on one by one in serial code, which polls by itself.
 */
enum { ROUND = 60000, LARGE = 20000 };
/* Effects that are worth a second thread: waking it takes as long as a few hundred. */
enum { WORTH_THREADS = 1000 };

static void single_effect(double *row, double effect, double se, mrl_meta_method method)
{
  for (int j = 0; j < MRL_META_N_COLUMN; j++) {
    row[j] = NAN;
  }
  row[MRL_META_ESTIMATE] = effect;
  row[MRL_META_STD_ERROR] = se;
  row[MRL_META_Q] = 0;
  if (method == MRL_META_FE) {
    row[MRL_META_TAU2] = row[MRL_META_I2] = 0;
    row[MRL_META_H2] = 1;
  }
}

static mrl_status fit_group(double *row, const mrl_meta_data *data, size_t g,
                            const mrl_meta_settings *settings, mrl_meta_model *model)
{
  const size_t at = data->start[g], k = data->start[g + 1] - at;
  const double *effect = data->effect + at, *se = data->se + at;
  mrl_meta_heterogeneity h;
  mrl_meta_moments m;
  if (k == 1) {
    single_effect(row, effect[0], se[0], settings->method);
    return MRL_OK;
  }
  const int interval = data->q_low && data->q_high;
  MRL_TRY(mrl_meta_load(model, effect, se, NULL, k, 1));
  MRL_TRY(mrl_meta_fit(&h, &m, model, interval ? data->q_low[g] : NAN,
                       interval ? data->q_high[g] : NAN, settings));
  row[MRL_META_ESTIMATE] = model->origin + model->unit * m.mean;
  row[MRL_META_STD_ERROR] = model->unit * h.factor / sqrt(m.sum_w);
  row[MRL_META_TAU2] = h.tau2;
  row[MRL_META_SE_TAU2] = h.se_tau2;
  row[MRL_META_TAU2_LOW] = h.tau2_low;
  row[MRL_META_TAU2_HIGH] = h.tau2_high;
  row[MRL_META_I2] = h.i2;
  row[MRL_META_H2] = h.h2;
  row[MRL_META_Q] = h.q;
  return isfinite(row[MRL_META_ESTIMATE]) && isfinite(row[MRL_META_STD_ERROR]) ? MRL_OK
                                                                               : MRL_NOT_FINITE;
}

/* One group into its row of out; 1 if it failed. */
static int group_row(double *out, const mrl_meta_data *data, size_t g,
                     const mrl_meta_settings *settings, mrl_meta_model *model)
{
  double row[MRL_META_N_COLUMN];
  const int failed = fit_group(row, data, g, settings, model) != MRL_OK;
  for (int j = 0; j < MRL_META_N_COLUMN; j++) {
    out[g + (size_t)j * data->n_groups] = failed ? NAN : row[j];
  }
  return failed;
}

/* The group after the last of the round that starts at `from`; `from` itself if that is large. */
static size_t round_end(const mrl_meta_data *data, size_t from)
{
  const size_t *start = data->start;
  size_t to = from;
  while (to < data->n_groups && start[to + 1] - start[to] <= LARGE &&
         start[to + 1] - start[from] <= ROUND) {
    to++;
  }
  return to;
}

static size_t largest_group(const mrl_meta_data *data)
{
  size_t k = 1;
  for (size_t g = 0; g < data->n_groups; g++) {
    const size_t size = data->start[g + 1] - data->start[g];
    k = size > k ? size : k;
  }
  return k;
}

/* A model for each thread: the first for the largest group, the others for those of a round. */
static mrl_meta_model *carve_models(const mrl_meta_data *data, int n_threads, mrl_arena *arena)
{
  const size_t largest = largest_group(data), most = largest < LARGE ? largest : LARGE;
  mrl_meta_model *model = MRL_TAKE(arena, mrl_meta_model, (size_t)n_threads);
  for (int i = 0; i < n_threads; i++) {
    mrl_meta_model unused, *at = model ? model + i : &unused;
    memset(at, 0, sizeof *at);
    at->p = 1;
    mrl_meta_carve(at, i == 0 ? largest : most, 0, arena);
  }
  return model;
}

size_t mrl_meta_groups_scratch(const mrl_meta_data *data, const mrl_ctx *ctx)
{
  mrl_arena arena = mrl_arena_measure();
  carve_models(data, ctx->n_threads, &arena);
  return arena.failed ? SIZE_MAX : arena.used;
}

static int run_round(double *out, const mrl_meta_data *data, size_t from, size_t to,
                     const mrl_meta_settings *settings, mrl_meta_model *model, int n_threads)
{
  int failed = 0;
  (void)n_threads;
#pragma omp parallel num_threads(n_threads) reduction(| : failed)
  {
#ifdef _OPENMP
    mrl_meta_model *mine = model + omp_get_thread_num();
#else
    mrl_meta_model *mine = model;
#endif
#pragma omp for schedule(dynamic, 8)
    for (size_t g = from; g < to; g++) {
      failed |= group_row(out, data, g, settings, mine);
    }
  }
  return failed;
}

mrl_status mrl_meta_groups(double *out, const mrl_meta_data *data,
                           const mrl_meta_settings *settings, void *scratch, size_t scratch_size,
                           const mrl_ctx *ctx)
{
  const mrl_ctx quiet = {1, NULL, NULL};
  mrl_arena arena = mrl_arena_over(scratch, scratch_size);
  mrl_meta_model *model = carve_models(data, ctx->n_threads, &arena);
  if (arena.failed) {
    return MRL_NO_MEMORY;
  }
  int failed = 0;
  for (size_t g = 0; g < data->n_groups;) {
    const size_t to = round_end(data, g);
    mrl_poll(ctx);
    for (int i = 0; i < ctx->n_threads; i++) {
      model[i].ctx = to > g ? &quiet : ctx;
    }
    if (to > g) {
      const int few = data->start[to] - data->start[g] < WORTH_THREADS;
      failed |= run_round(out, data, g, to, settings, model, few ? 1 : ctx->n_threads);
      g = to;
    } else {
      failed |= group_row(out, data, g++, settings, model);
    }
  }
  return failed ? MRL_NOT_FINITE : MRL_OK;
}
