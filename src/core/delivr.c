#include "delivr.h"

#include "blas.h"
#include "rng.h"

#include <math.h>
#include <string.h>

/* The training of one split; a thread has one of its own. */
typedef struct {
  mrl_arena arena; /* memory of `train`, which is laid out anew for each split */
  mrl_train train;
  mrl_net_run run;     /* evaluation of all rows */
  mrl_real *u, *t, *m; /* (n) input; standardised target; the net's output */
  mrl_real *weight;    /* (n) with mean one over the training rows, or NULL */
  size_t *row;         /* (n) training rows, validation rows, test rows */
  size_t n_train, n_valid;
  double line[2], spread; /* y = line[0] + line[1] u + spread t */
  mrl_rows input;
  mrl_loss loss;
  mrl_keep keep;
} delivr_slot;

typedef struct {
  const mrl_delivr_data *data;
  const mrl_delivr_settings *settings;
  size_t *all; /* (n) every row */
  delivr_slot *slot;
  size_t n_slots, train_size;
} delivr_job;

static const mrl_ctx alone = {1, NULL, NULL};

static double weight_of(const mrl_delivr_data *data, size_t i)
{
  return data->weights ? data->weights[i] : 1;
}

static mrl_task task_of(const delivr_slot *slot)
{
  const mrl_task task = {.train = slot->row,
                         .valid = slot->row ? slot->row + slot->n_train : NULL,
                         .n_train = slot->n_train,
                         .n_valid = slot->n_valid,
                         .group = 1,
                         .fill = mrl_fill_rows,
                         .fill_data = &slot->input,
                         .loss = mrl_loss_tile,
                         .loss_data = &slot->loss};
  return task;
}

/* Rows of a split by part; returns 0 if the training rows are fewer than 3. */
static int count_parts(delivr_slot *slot, const int *part, size_t n)
{
  slot->n_train = slot->n_valid = 0;
  for (size_t i = 0; i < n; i++) {
    slot->n_train += part[i] == MRL_PART_TRAIN;
    slot->n_valid += part[i] == MRL_PART_VALID;
  }
  return slot->n_train >= 3;
}

/* The most memory that a training needs among the splits. */
static mrl_status largest_training(size_t *most, const delivr_job *job)
{
  *most = 0;
  for (size_t s = 0; s < job->data->n_splits; s++) {
    delivr_slot slot;
    memset(&slot, 0, sizeof slot);
    if (!count_parts(&slot, job->data->part + s * job->data->n, job->data->n)) {
      continue;
    }
    const mrl_task task = task_of(&slot);
    mrl_arena arena = mrl_arena_measure();
    mrl_train train;
    MRL_TRY(mrl_train_carve(&train, &arena, job->settings->net, &task, &job->settings->train,
                            job->settings->isa, &alone));
    if (arena.failed) {
      return MRL_NO_MEMORY;
    }
    *most = arena.used > *most ? arena.used : *most;
  }
  return MRL_OK;
}

static mrl_status carve_slot(delivr_slot *slot, const delivr_job *job, mrl_arena *arena)
{
  const size_t n = job->data->n;
  delivr_slot to;
  memset(&to, 0, sizeof to);
  to.u = MRL_TAKE(arena, mrl_real, n);
  to.t = MRL_TAKE(arena, mrl_real, n);
  to.m = MRL_TAKE(arena, mrl_real, n);
  to.weight = job->data->weights ? MRL_TAKE(arena, mrl_real, n) : NULL;
  to.row = MRL_TAKE(arena, size_t, n);
  void *memory = mrl_take(arena, job->train_size, 1);
  to.arena = mrl_arena_over(memory, job->train_size);
  MRL_TRY(
      mrl_net_run_carve(&to.run, arena, job->settings->net, 0, 1, 0, job->settings->isa, &alone));
  if (slot) {
    *slot = to;
  }
  return MRL_OK;
}

static mrl_status carve(delivr_job *job, mrl_arena *arena, const mrl_delivr_data *data,
                        const mrl_delivr_settings *settings, size_t train_size, const mrl_ctx *ctx)
{
  const size_t threads = (size_t)ctx->n_threads;
  job->data = data;
  job->settings = settings;
  job->train_size = train_size;
  job->n_slots = data->n_splits < threads ? data->n_splits : threads;
  job->all = MRL_TAKE(arena, size_t, data->n);
  job->slot = MRL_TAKE(arena, delivr_slot, job->n_slots);
  for (size_t i = 0; i < job->n_slots; i++) {
    MRL_TRY(carve_slot(job->slot ? job->slot + i : NULL, job, arena));
  }
  return arena->failed ? MRL_NO_MEMORY : MRL_OK;
}

mrl_status mrl_delivr_scratch(size_t *size, const mrl_delivr_data *data,
                              const mrl_delivr_settings *settings, const mrl_ctx *ctx)
{
  delivr_job job = {.data = data, .settings = settings};
  mrl_arena arena = mrl_arena_measure();
  size_t train_size;
  MRL_TRY(largest_training(&train_size, &job));
  MRL_TRY(carve(&job, &arena, data, settings, train_size, ctx));
  *size = arena.used;
  return MRL_OK;
}

/* Least squares on the training rows of y on the first k of 1, u, m; coef (k). */
static mrl_status least_squares(double *coef, const delivr_slot *slot, const mrl_delivr_data *data,
                                size_t k)
{
  double gram[9] = {0}, right[3] = {0}, full[3];
  for (size_t r = 0; r < slot->n_train; r++) {
    const size_t i = slot->row[r];
    const double w = weight_of(data, i), at[3] = {1, (double)slot->u[i], (double)slot->m[i]};
    for (size_t a = 0; a < k; a++) {
      right[a] += w * at[a] * data->y[i];
      for (size_t b = 0; b < k; b++) {
        gram[a + b * k] += w * at[a] * at[b];
      }
    }
  }
  for (size_t a = 0; a < k; a++) {
    full[a] = gram[a + a * k];
  }
  MRL_TRY(mrl_cholesky(gram, k));
  for (size_t a = 0; a < k; a++) {
    if (!(gram[a + a * k] * gram[a + a * k] > 1e-9 * full[a])) { /* m has a float's digits */
      return MRL_SINGULAR;
    }
  }
  memcpy(coef, right, k * sizeof *coef);
  return mrl_cholesky_solve(coef, gram, k, 1);
}

/* Rows in the order training, validation, test. */
static void sort_rows(delivr_slot *slot, const int *part, size_t n)
{
  size_t at[3] = {0, slot->n_train, slot->n_train + slot->n_valid};
  for (size_t i = 0; i < n; i++) {
    slot->row[at[part[i]]++] = i;
  }
}

/* u, the line, and what it leaves as the target of the net, standardised. */
static mrl_status prepare(delivr_slot *slot, mrl_delivr_fit *fit, const mrl_delivr_data *data)
{
  double total = 0, sum = 0, square = 0;
  for (size_t r = 0; r < slot->n_train; r++) {
    total += weight_of(data, slot->row[r]);
    sum += weight_of(data, slot->row[r]) * data->mu[slot->row[r]];
  }
  fit->scale[0] = sum / total;
  for (size_t r = 0; r < slot->n_train; r++) {
    const double d = data->mu[slot->row[r]] - fit->scale[0];
    square += weight_of(data, slot->row[r]) * d * d;
  }
  fit->scale[1] = sqrt(square / total);
  if (!(fit->scale[1] > 1e-12 * fabs(fit->scale[0]))) {
    return MRL_SINGULAR;
  }
  for (size_t i = 0; i < data->n; i++) {
    slot->u[i] = (mrl_real)((data->mu[i] - fit->scale[0]) / fit->scale[1]);
    if (slot->weight) {
      slot->weight[i] = (mrl_real)(data->weights[i] * (double)slot->n_train / total);
    }
  }
  MRL_TRY(least_squares(slot->line, slot, data, 2));
  square = 0;
  for (size_t r = 0; r < slot->n_train; r++) {
    const size_t i = slot->row[r];
    const double d = data->y[i] - slot->line[0] - slot->line[1] * (double)slot->u[i];
    square += weight_of(data, i) * d * d;
  }
  slot->spread = square > 0 ? sqrt(square / total) : 1;
  for (size_t i = 0; i < data->n; i++) {
    const double d = data->y[i] - slot->line[0] - slot->line[1] * (double)slot->u[i];
    slot->t[i] = (mrl_real)(d / slot->spread);
  }
  return MRL_OK;
}

static uint64_t seed_of(uint64_t seed, size_t split)
{
  mrl_rng rng = mrl_rng_stream(seed, MRL_RNG_NET_SPLIT, split);
  return mrl_rng_u64(&rng);
}

static mrl_status start(delivr_slot *slot, mrl_delivr_fit *fit, const delivr_job *job, size_t split)
{
  const mrl_delivr_data *data = job->data;
  const int *part = data->part + split * data->n;
  if (!count_parts(slot, part, data->n)) {
    return MRL_TOO_FEW;
  }
  sort_rows(slot, part, data->n);
  MRL_TRY(prepare(slot, fit, data));
  const mrl_rows input = {slot->u, 1};
  const mrl_loss loss = {
      .kind = MRL_LOSS_SQUARED, .outputs = 1, .targets = 1, .y = slot->t, .weight = slot->weight};
  slot->input = input;
  slot->loss = loss;
  slot->arena.used = 0;
  slot->arena.failed = 0;
  const mrl_task task = task_of(slot);
  mrl_train_settings how = job->settings->train;
  how.seed = seed_of(job->settings->seed, split);
  MRL_TRY(mrl_train_carve(&slot->train, &slot->arena, job->settings->net, &task, &how,
                          job->settings->isa, &alone));
  if (slot->arena.failed) {
    return MRL_NO_MEMORY;
  }
  mrl_train_start(&slot->train);
  return MRL_OK;
}

/* h of every row: the three coefficients, or the line where m adds nothing to it. */
static mrl_status finish(delivr_slot *slot, mrl_delivr_fit *fit, const delivr_job *job)
{
  const mrl_delivr_data *data = job->data;
  const mrl_net *net = job->settings->net;
  const mrl_keep keep = {slot->m, 1};
  double sum;
  memcpy(fit->params, slot->train.params, net->n_params * sizeof *fit->params);
  memcpy(fit->statistics, slot->train.statistics, net->n_statistics * sizeof *fit->statistics);
  fit->epochs = slot->train.progress.epoch;
  fit->best = slot->train.progress.best_epoch;
  const mrl_batch batch = {.row = job->all,
                           .n = data->n,
                           .fill = mrl_fill_rows,
                           .fill_data = &slot->input,
                           .loss = mrl_keep_tile,
                           .loss_data = &keep};
  MRL_TRY(mrl_net_evaluate(&sum, &slot->run, fit->params, fit->statistics, &batch, &alone));
  if (least_squares(fit->coef, slot, data, 3) != MRL_OK) {
    fit->coef[0] = slot->line[0];
    fit->coef[1] = slot->line[1];
    fit->coef[2] = 0;
  }
  for (size_t i = 0; i < data->n; i++) {
    fit->fitted[i] =
        fit->coef[0] + fit->coef[1] * (double)slot->u[i] + fit->coef[2] * (double)slot->m[i];
    if (!isfinite(fit->fitted[i])) {
      return MRL_NOT_FINITE;
    }
  }
  return MRL_OK;
}

/* One epoch; a net that never improves on its first weights is no failure here: least squares
 * decides what it is worth. */
static mrl_status one_epoch(delivr_slot *slot)
{
  const mrl_status status = mrl_train_run(&slot->train, slot->train.progress.epoch + 1, &alone);
  return status == MRL_NO_CONVERGE ? MRL_OK : status;
}

static int goes_on(const delivr_slot *slot, const mrl_delivr_fit *fit)
{
  return fit->status == MRL_OK && slot->train.progress.stop == MRL_GOES_ON;
}

/* m splits side by side, an epoch of each between two polls. */
static void run_group(mrl_delivr_fit *fit, delivr_job *job, size_t from, size_t m,
                      const mrl_ctx *ctx)
{
  for (size_t i = 0; i < m; i++) {
    fit[i].status = start(job->slot + i, fit + i, job, from + i);
    mrl_poll(ctx);
  }
  for (int going = 1; going;) {
    going = 0;
#pragma omp parallel for num_threads(ctx->n_threads) schedule(static) reduction(| : going)
    for (size_t i = 0; i < m; i++) {
      if (goes_on(job->slot + i, fit + i)) {
        fit[i].status = one_epoch(job->slot + i);
        going |= goes_on(job->slot + i, fit + i);
      }
    }
    mrl_poll(ctx);
  }
  for (size_t i = 0; i < m; i++) {
    if (fit[i].status == MRL_OK) {
      fit[i].status = finish(job->slot + i, fit + i, job);
    }
    mrl_poll(ctx);
  }
}

mrl_status mrl_delivr_run(mrl_delivr_fit *fit, const mrl_delivr_data *data,
                          const mrl_delivr_settings *settings, void *scratch, size_t size,
                          const mrl_ctx *ctx)
{
  delivr_job job = {.data = data, .settings = settings};
  mrl_arena arena = mrl_arena_over(scratch, size);
  size_t train_size;
  MRL_TRY(largest_training(&train_size, &job));
  MRL_TRY(carve(&job, &arena, data, settings, train_size, ctx));
  for (size_t i = 0; i < data->n; i++) {
    job.all[i] = i;
  }
  for (size_t from = 0; from < data->n_splits; from += job.n_slots) {
    const size_t left = data->n_splits - from;
    run_group(fit + from, &job, from, left < job.n_slots ? left : job.n_slots, ctx);
  }
  return MRL_OK;
}
