#include "mr.h"
#include "mr_boot.h"
#include "mr_hetpen.h"

#include <math.h>

/*
 * A task is a method on a group; task t is method t % n_methods of group t / n_methods. Tasks are
 * done in blocks that take about 50 ms, within which lanes (one per thread) fetch them one by one;
 * between blocks there is a poll. A bootstrap that would take longer is a block of its own, in
 * which the lanes share out the draws.
 */
typedef struct {
  const mrl_mr_data *data;
  const size_t *start;
  size_t n_groups;
  const mrl_mr_method *methods;
  size_t n_methods;
  const mrl_mr_settings *settings;
  mrl_mr_estimate *out;
} job;

typedef struct {
  double **lane; /* (n_lanes) work of each */
  double *draws; /* of a bootstrap whose draws are shared out */
  size_t n_lanes;
} workspace;

/* In units of about 3 ns, measured on a 3 GHz CPU. */
static const double block_cost = 15e6;

static double task_cost(mrl_mr_method method, size_t n, const mrl_mr_settings *settings)
{
  const double size = (double)n + 10;
  if (mrl_mr_is_drawn(method)) {
    return mrl_mr_boot_time(method, n, settings) / 3 * (double)mrl_mr_boot_count(method, settings);
  }
  switch (method) {
  case MRL_MR_CML_BIC:
  case MRL_MR_CML_MA_BIC:
    return (double)(settings->cml.n_starts + 1) * size * (30 + 10 * size);
  case MRL_MR_HETPEN:
    return n > MRL_MR_HETPEN_MAX ? 1 : 100 * (double)((size_t)1 << n);
  case MRL_MR_LASSO:
    return 1000 * size;
  case MRL_MR_CONMIX:
    return 100 * size;
  case MRL_MR_IVW_ROBUST:
  case MRL_MR_EGGER_ROBUST:
  case MRL_MR_EGGER_ROBUST_PENALISED:
    return 1000 * fmin(size, 1024) + 300 * size;
  case MRL_MR_RAPS:
  case MRL_MR_MAXLIK:
  case MRL_MR_MAXLIK_RANDOM:
    return 1500 * size;
  default:
    return 3 * size;
  }
}

static size_t group_size(const size_t *start, size_t group)
{
  return start[group + 1] - start[group];
}

static int is_shared(mrl_mr_method method, size_t n, const mrl_mr_settings *settings)
{
  return n >= mrl_mr_min_n(method) && mrl_mr_is_drawn(method) &&
         task_cost(method, n, settings) > block_cost;
}

static int is_shared_task(const job *of, size_t task)
{
  return is_shared(of->methods[task % of->n_methods], group_size(of->start, task / of->n_methods),
                   of->settings);
}

/* The largest work that a lane and the shared draws need, in doubles. */
static void measure(size_t *lane, size_t *draws, const size_t *start, size_t n_groups,
                    const mrl_mr_method *methods, size_t n_methods, const mrl_mr_settings *settings)
{
  size_t largest = 0, largest_alone = 0;
  *lane = *draws = 0;
  for (size_t g = 0; g < n_groups; g++) {
    const size_t n = group_size(start, g);
    largest = n > largest ? n : largest;
  }
  for (size_t m = 0; m < n_methods; m++) {
    /* Work grows with n, and so does the cost that decides about sharing. */
    largest_alone = 0;
    for (size_t g = 0; g < n_groups; g++) {
      const size_t n = group_size(start, g);
      largest_alone = n > largest_alone && !is_shared(methods[m], n, settings) ? n : largest_alone;
    }
    size_t need = mrl_mr_work(methods[m], largest_alone, settings);
    *lane = need > *lane ? need : *lane;
    if (is_shared(methods[m], largest, settings)) {
      need = mrl_mr_boot_work(methods[m], largest, settings);
      *lane = need > *lane ? need : *lane;
      need = mrl_mr_boot_width(methods[m], largest, settings) *
             mrl_mr_boot_count(methods[m], settings);
      *draws = need > *draws ? need : *draws;
    }
  }
}

static workspace carve(mrl_arena *arena, size_t n_lanes, size_t lane, size_t draws)
{
  workspace space = {MRL_TAKE(arena, double *, n_lanes), MRL_TAKE(arena, double, draws), n_lanes};
  for (size_t l = 0; l < n_lanes; l++) {
    double *work = MRL_TAKE(arena, double, lane);
    if (space.lane) {
      space.lane[l] = work;
    }
  }
  return space;
}

size_t mrl_mr_run_scratch(const size_t *start, size_t n_groups, const mrl_mr_method *methods,
                          size_t n_methods, const mrl_mr_settings *settings, const mrl_ctx *ctx)
{
  size_t lane, draws;
  mrl_arena arena = mrl_arena_measure();
  measure(&lane, &draws, start, n_groups, methods, n_methods, settings);
  carve(&arena, (size_t)ctx->n_threads, lane, draws);
  return arena.failed ? SIZE_MAX : arena.used;
}

static mrl_mr_data group_data(const job *of, size_t group)
{
  const size_t from = of->start[group];
  const mrl_mr_data *all = of->data;
  const mrl_mr_data data = {all->bx + from, all->sx + from, all->by + from, all->sy + from,
                            group_size(of->start, group)};
  return data;
}

static void run_task(const job *of, size_t task, double *work)
{
  const size_t group = task / of->n_methods, m = task % of->n_methods;
  const mrl_mr_data data = group_data(of, group);
  of->out[group + m * of->n_groups] = mrl_mr_one(of->methods[m], &data, group, of->settings, work);
}

/* Tasks from .. to - 1. Which lane does which does not matter to the results. */
static void run_block(const job *of, const workspace *space, size_t from, size_t to)
{
  const size_t lanes = space->n_lanes < to - from ? space->n_lanes : to - from;
  size_t next = from;
#pragma omp parallel for num_threads((int)lanes) schedule(static, 1)
  for (size_t l = 0; l < lanes; l++) {
    for (;;) {
      size_t task;
#pragma omp atomic capture
      task = next++;
      if (task >= to) {
        break;
      }
      run_task(of, task, space->lane[l]);
    }
  }
}

static void run_shared(const job *of, const workspace *space, size_t task, const mrl_ctx *ctx)
{
  const size_t group = task / of->n_methods, m = task % of->n_methods;
  const mrl_mr_method method = of->methods[m];
  const mrl_mr_data data = group_data(of, group);
  const size_t count = mrl_mr_boot_count(method, of->settings), lanes = space->n_lanes;
  const size_t chunk = mrl_mr_boot_chunk(method, data.n, of->settings);
  for (size_t from = 0; from < count; from += lanes * chunk) {
#pragma omp parallel for num_threads((int)lanes) schedule(static, 1)
    for (size_t l = 0; l < lanes; l++) {
      const size_t first = from + l * chunk, end = first + chunk;
      if (first < count) {
        mrl_mr_boot_draws(space->draws, method, &data, group, of->settings, first,
                          end < count ? end : count, space->lane[l]);
      }
    }
    mrl_poll(ctx);
  }
  of->out[group + m * of->n_groups] = mrl_mr_checked(
      mrl_mr_boot_finish(method, &data, group, space->draws, of->settings, space->lane[0]));
}

/* The end of the block that starts with task `from`, which is not shared. */
static size_t block_end(const job *of, size_t from, double budget)
{
  const size_t n_tasks = of->n_groups * of->n_methods;
  double cost = 0;
  size_t task = from;
  while (task < n_tasks && cost < budget && !is_shared_task(of, task)) {
    const size_t n = group_size(of->start, task / of->n_methods);
    cost += task_cost(of->methods[task % of->n_methods], n, of->settings);
    task++;
  }
  return task;
}

mrl_status mrl_mr_run(mrl_mr_estimate *out, const mrl_mr_data *data, const size_t *start,
                      size_t n_groups, const mrl_mr_method *methods, size_t n_methods,
                      const mrl_mr_settings *settings, void *scratch, size_t scratch_size,
                      const mrl_ctx *ctx)
{
  size_t lane, draws;
  mrl_arena arena = mrl_arena_over(scratch, scratch_size);
  measure(&lane, &draws, start, n_groups, methods, n_methods, settings);
  const workspace space = carve(&arena, (size_t)ctx->n_threads, lane, draws);
  if (arena.failed) {
    return MRL_NO_MEMORY;
  }
  const job of = {data, start, n_groups, methods, n_methods, settings, out};
  for (size_t task = 0; task < n_groups * n_methods;) {
    if (is_shared_task(&of, task)) {
      run_shared(&of, &space, task++, ctx);
    } else {
      const size_t end = block_end(&of, task, block_cost * (double)space.n_lanes);
      run_block(&of, &space, task, end);
      task = end;
    }
    mrl_poll(ctx);
  }
  return MRL_OK;
}
