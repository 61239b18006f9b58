#include "iv_worker.h"

#include <string.h>

static size_t larger(size_t a, size_t b)
{
  return a > b ? a : b;
}

/* Memory for a training on at most n rows: order and rows of n, and the buffers of the largest
 * batch that they may be cut into. */
static mrl_status train_bound(size_t *bytes, const mrl_net *net, size_t n, size_t group,
                              const mrl_ivn_settings *s, const mrl_ctx *ctx)
{
  enum { SMALLEST = 4 }; /* batches of fewer rows are joined with batch norm */
  const mrl_task all = {.n_train = n, .group = group};
  mrl_train_settings how = s->train;
  mrl_train train;
  mrl_arena arena = mrl_arena_measure();
  how.epochs = larger(how.epochs, s->boot_epochs);
  MRL_TRY(mrl_train_carve(&train, &arena, net, &all, &how, s->isa, ctx));
  how.batch = larger(how.batch, SMALLEST);
  const mrl_task batch = {.n_train = n < how.batch ? n : how.batch, .group = group};
  MRL_TRY(mrl_train_carve(&train, &arena, net, &batch, &how, s->isa, ctx));
  *bytes = arena.used;
  return arena.failed ? MRL_NO_MEMORY : MRL_OK;
}

mrl_status mrl_ivn_worker_carve(mrl_ivn_worker *worker, mrl_arena *arena,
                                const mrl_ivn_problem *problem, const mrl_ctx *ctx)
{
  const mrl_ivn_nets *nets = problem->nets;
  const mrl_ivn_settings *s = &problem->settings;
  const size_t n1 = problem->sample[0].n, n2 = problem->sample[1].n;
  const size_t group = mrl_second_group(s->first.kind, s->first.parts, s->n_draws);
  mrl_ivn_worker to = {.problem = problem, .use_held = 1};
  size_t first_size = 0, second_size;
  for (int i = 0; i < 2; i++) {
    to.weight[i] = problem->sample[i].weights;
    to.train_weight[i] = problem->weight[i];
    to.row[i] = problem->all[i];
    to.n_row[i] = problem->sample[i].n;
  }
  MRL_TRY(mrl_law_carve(&to.law, arena, s->first.kind, s->first.parts, n2));
  to.aside = to.law;
  if (!problem->single || s->cross_fit > 1) {
    MRL_TRY(mrl_law_carve(&to.aside, arena, s->first.kind, s->first.parts, n1));
  }
  to.part = MRL_TAKE(arena, size_t, larger(n1, n2));
  to.inside = MRL_TAKE(arena, size_t, n1);
  if (s->first.kind != MRL_FIRST_RIDGE) {
    MRL_TRY(train_bound(&first_size, &nets->first.net, n1, 1, s, ctx));
  }
  MRL_TRY(train_bound(&second_size, &nets->second, n2, group, s, ctx));
  to.train_size = larger(first_size, second_size);
  to.train_memory = MRL_TAKE(arena, unsigned char, to.train_size);
  *worker = to;
  MRL_TRY(mrl_first_work_carve(&worker->first_work, arena, &nets->first, s->isa, ctx));
  return mrl_head_carve(&worker->head_work, arena, &nets->second, &nets->trunk, &nets->basis,
                        to.law.nodes, s->isa, ctx);
}

/* worker->part: the rows of sample s that count, outside `fold` (none if it is above all), those
 * that are held out at the end. */
static void split_rows(mrl_ivn_worker *worker, int s, size_t fold)
{
  const mrl_ivn_problem *problem = worker->problem;
  const int folds = s == 0 && problem->settings.cross_fit > 1;
  size_t n = 0;
  for (int held = 0; held < 2; held++) {
    for (size_t i = 0; i < worker->n_row[s]; i++) {
      const size_t row = worker->row[s][i];
      const int is_held = worker->use_held && problem->held[s][row];
      if (is_held == held && !(folds && (size_t)problem->fold[row] == fold)) {
        worker->part[n++] = row;
      }
    }
    if (held == 0) {
      worker->n_train = n;
    }
  }
  worker->n_valid = n - worker->n_train;
}

static mrl_status carve_train(mrl_ivn_worker *worker, const mrl_net *net, const mrl_task *task,
                              const mrl_train_settings *settings, const mrl_ctx *ctx)
{
  mrl_arena arena = mrl_arena_over(worker->train_memory, worker->train_size);
  MRL_TRY(mrl_train_carve(&worker->train, &arena, net, task, settings,
                          worker->problem->settings.isa, ctx));
  worker->train.now = worker->problem->settings.now;
  return MRL_OK;
}

mrl_status mrl_ivn_begin_first(mrl_ivn_worker *worker, size_t fold,
                               const mrl_train_settings *settings, const mrl_ctx *ctx)
{
  const mrl_ivn_problem *problem = worker->problem;
  const mrl_first_data data = {.first = &problem->nets->first,
                               .input = {problem->input[0], problem->n_inputs},
                               .x = problem->x,
                               .weight = worker->train_weight[0]};
  split_rows(worker, 0, fold);
  if (problem->settings.first.kind == MRL_FIRST_RIDGE) {
    return worker->n_train > 0 ? MRL_OK : MRL_TOO_FEW;
  }
  worker->first_data = data;
  const mrl_task task = mrl_first_task(&worker->first_data, worker->part, worker->n_train,
                                       worker->part + worker->n_train, worker->n_valid);
  MRL_TRY(carve_train(worker, &problem->nets->first.net, &task, settings, ctx));
  /* Ordered quantiles have one output more than levels, and a loss of their own. */
  return task.loss == mrl_loss_tile ? mrl_loss_check(&worker->first_data.loss, 1) : MRL_OK;
}

mrl_status mrl_ivn_begin_second(mrl_ivn_worker *worker, const mrl_train_settings *settings,
                                const mrl_ctx *ctx)
{
  const mrl_ivn_problem *problem = worker->problem;
  const mrl_second_data data = {.law = &worker->law,
                                .input = problem->input[1],
                                .n_inputs = problem->n_inputs,
                                .n_w = problem->sample[1].n_w,
                                .y = problem->y,
                                .weight = worker->train_weight[1],
                                .held = worker->use_held ? problem->held[1] : NULL,
                                .n_draws = problem->settings.n_draws,
                                .binary = problem->settings.binary,
                                .seed = settings->seed};
  split_rows(worker, 1, 0);
  worker->second_data = data;
  const mrl_task task = mrl_second_task(&worker->second_data, worker->part, worker->n_train,
                                        worker->part + worker->n_train, worker->n_valid);
  MRL_TRY(mrl_loss_check(&worker->second_data.loss, task.group));
  return carve_train(worker, &problem->nets->second, &task, settings, ctx);
}

static mrl_first_rows rows_of(const mrl_ivn_worker *worker, int s)
{
  const mrl_ivn_problem *problem = worker->problem;
  const mrl_first_rows rows = {problem->sample + s, problem->scale, problem->input[s],
                               worker->weight[s]};
  return rows;
}

/* Rows of sample 1 that the fold gives, all without folds. */
static size_t rows_inside(mrl_ivn_worker *worker, size_t fold)
{
  const mrl_ivn_problem *problem = worker->problem;
  size_t n = 0;
  for (size_t i = 0; i < worker->n_row[0]; i++) {
    const size_t row = worker->row[0][i];
    if (problem->settings.cross_fit == 1 || (size_t)problem->fold[row] == fold) {
      worker->inside[n++] = row;
    }
  }
  return n;
}

/* Mean exposures of rows that the training has not seen: those of the fold, or those held out. */
static mrl_status predict_outside(mrl_ivn_worker *worker, const mrl_first_fit *fit,
                                  const mrl_first_rows *rows, size_t n_inside, double *x_out,
                                  const mrl_ctx *ctx)
{
  const int folds = worker->problem->settings.cross_fit > 1;
  const size_t *row = folds ? worker->inside : worker->part + worker->n_train;
  const size_t n = folds ? n_inside : worker->n_valid;
  return mrl_first_predict(x_out, &worker->first_work, &worker->problem->nets->first, fit,
                           folds ? fit->location : fit->outside, worker->aside.location, rows, row,
                           n, ctx);
}

mrl_status mrl_ivn_end_first(mrl_ivn_worker *worker, size_t fold, mrl_first_fit *fit, int given,
                             double *x_hat, double *x_out, const mrl_ctx *ctx)
{
  const mrl_ivn_problem *problem = worker->problem;
  const mrl_first *first = &problem->nets->first;
  mrl_first_work *work = &worker->first_work;
  mrl_law *aside = &worker->aside;
  const mrl_first_rows one = rows_of(worker, 0), two = rows_of(worker, 1);
  const size_t n_inside = rows_inside(worker, fold);
  split_rows(worker, 0, fold);
  MRL_TRY(mrl_first_read(aside, work, first, fit, &one, worker->row[0], worker->n_row[0], ctx));
  MRL_TRY(mrl_first_locate(fit, work, first, aside, &one, worker->part, worker->n_train,
                           worker->part + worker->n_train, worker->n_valid, problem->settings.refit,
                           given, ctx));
  if (x_out) {
    MRL_TRY(predict_outside(worker, fit, &one, n_inside, x_out, ctx));
  }
  MRL_TRY(mrl_first_move(aside, work, first, fit, &one, worker->inside, n_inside, ctx));
  for (size_t i = 0; i < n_inside; i++) {
    const size_t row = worker->inside[i];
    if (problem->single && problem->settings.cross_fit > 1) {
      mrl_law_copy(&worker->law, aside, row);
    }
    if (x_hat) {
      x_hat[row] = aside->location[row];
    }
  }
  if (!problem->single) {
    MRL_TRY(mrl_first_read(&worker->law, work, first, fit, &two, worker->row[1], worker->n_row[1],
                           ctx));
    MRL_TRY(mrl_first_move(&worker->law, work, first, fit, &two, worker->row[1], worker->n_row[1],
                           ctx));
  }
  return MRL_OK;
}

mrl_head_data mrl_ivn_head_data(const mrl_ivn_worker *worker)
{
  const mrl_ivn_problem *problem = worker->problem;
  const mrl_head_data data = {.sample = problem->sample + 1,
                              .w = problem->scale + problem->sample[1].n_z,
                              .y = problem->scale + problem->n_inputs + 1,
                              .weight = worker->weight[1],
                              .law = &worker->law,
                              .row = worker->row[1],
                              .n_rows = worker->n_row[1],
                              .binary = problem->settings.binary};
  return data;
}
