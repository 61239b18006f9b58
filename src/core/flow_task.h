/*
 * Climbs of a flow's likelihood (flow.h): several at a time, each through stages of falling tau.
 */
#ifndef MRL_FLOW_TASK_H
#define MRL_FLOW_TASK_H

#include "flow.h"
#include "lbfgs.h"

/* A temperature and the iterations spent on it. */
typedef struct {
  double tau;
  size_t iterations;
} mrl_flow_stage;

/* One climb: where it is, on which rows it goes, on which it is judged. */
typedef struct {
  mrl_lbfgs climb;
  const mrl_flow_stage *stages; /* (n_stages) */
  size_t n_stages, at;
  const mrl_flow_sample *sample, *judge;
  double value; /* negative log-likelihood on judge, at the last tau; infinite if it failed */
  int started, done;
} mrl_flow_task;

/* Ready to climb from params (n_params); task->climb is carved. */
void mrl_flow_task_set(mrl_flow_task *task, const double *params, const mrl_flow_stage *stages,
                       size_t n_stages, const mrl_flow_sample *sample,
                       const mrl_flow_sample *judge);

/* All tasks to their end, spread over ctx->n_threads; polls every 30 ms or so. work (n_threads). */
void mrl_flow_tasks_run(mrl_flow_task *tasks, mrl_flow_work *work, size_t n_tasks,
                        const mrl_ctx *ctx);

/* The task with the least value but number `but`; n_tasks if none has a finite one. */
size_t mrl_flow_tasks_best(const mrl_flow_task *tasks, size_t n_tasks, size_t but);

#endif
