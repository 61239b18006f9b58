#include "flow_task.h"

#include <math.h>
#include <string.h>

#ifdef _OPENMP
#include <omp.h>
#endif

/* What the climb's function is handed. */
typedef struct {
  const mrl_flow_sample *sample;
  double tau;
  mrl_flow_work *work;
} likelihood;

static mrl_status likelihood_at(double *value, double *gradient, const double *x, void *data)
{
  const likelihood *at = data;
  return mrl_flow_value(value, gradient, x, at->sample, at->tau, at->work);
}

void mrl_flow_task_set(mrl_flow_task *t, const double *params, const mrl_flow_stage *stages,
                       size_t n_stages, const mrl_flow_sample *sample, const mrl_flow_sample *judge)
{
  memcpy(t->climb.x, params, t->climb.n * sizeof *params);
  t->stages = stages;
  t->n_stages = n_stages;
  t->at = 0;
  t->sample = sample;
  t->judge = judge;
  t->value = INFINITY;
  t->started = t->done = 0;
}

/* Climbs for at most `iterations`; the last stage ends in the judgement. A climb that fails is done
 * with an infinite value. */
static void advance(mrl_flow_task *t, size_t iterations, mrl_flow_work *work)
{
  const mrl_ctx silent = {1, NULL, NULL};
  likelihood at = {t->sample, t->stages[t->at].tau, work};
  if (!t->started) {
    t->climb.settings.max_iterations = t->stages[t->at].iterations;
    t->started = 1;
    t->done = mrl_lbfgs_start(&t->climb, likelihood_at, &at) != MRL_OK;
  }
  if (!t->done) {
    t->done = mrl_lbfgs_run(&t->climb, t->climb.iterations + iterations, likelihood_at, &at,
                            &silent) != MRL_OK;
  }
  if (t->done || t->climb.stop == MRL_LBFGS_RUNNING) {
    return;
  }
  t->started = 0;
  t->at++;
  if (t->at == t->n_stages) {
    double value;
    t->done = 1;
    t->value = mrl_flow_value(&value, NULL, t->climb.x, t->judge, at.tau, work) == MRL_OK
                   ? value
                   : INFINITY;
  }
}

static mrl_flow_work *own_work(mrl_flow_work *work)
{
#ifdef _OPENMP
  return work + omp_get_thread_num();
#else
  return work;
#endif
}

void mrl_flow_tasks_run(mrl_flow_task *tasks, mrl_flow_work *work, size_t n_tasks,
                        const mrl_ctx *ctx)
{
  const size_t each = tasks->sample->n * work->d * work->layers;
  const size_t slice = each < 4000000 ? 4000000 / each : 1;
  for (int left = 1; left;) {
    left = 0;
#pragma omp parallel for schedule(dynamic, 1) num_threads(ctx->n_threads) reduction(+ : left)
    for (size_t t = 0; t < n_tasks; t++) {
      if (!tasks[t].done) {
        advance(tasks + t, slice, own_work(work));
        left += !tasks[t].done;
      }
    }
    mrl_poll(ctx);
  }
}

size_t mrl_flow_tasks_best(const mrl_flow_task *tasks, size_t n_tasks, size_t but)
{
  size_t best = n_tasks;
  for (size_t t = 0; t < n_tasks; t++) {
    if (t != but && isfinite(tasks[t].value) &&
        (best == n_tasks || tasks[t].value < tasks[best].value)) {
      best = t;
    }
  }
  return best;
}
