#include "iv_boot.h"

#include <math.h>
#include <string.h>

/* Work of a slot between two polls, about 0.05 s of a slow machine. */
static const double FLOPS_BETWEEN_POLLS = 5e8;

static mrl_status carve_slot(mrl_boot_slot *slot, mrl_arena *arena, const mrl_ivn_problem *problem,
                             const mrl_ctx *one)
{
  const mrl_ivn_nets *nets = problem->nets;
  const size_t n1 = problem->sample[0].n, n2 = problem->sample[1].n;
  mrl_boot_slot to = {.running = 0};
  for (int s = 0; s < (problem->single ? 1 : 2); s++) {
    const size_t n = problem->sample[s].n;
    to.weight[s] = MRL_TAKE(arena, double, n);
    to.train_weight[s] = MRL_TAKE(arena, mrl_real, n);
    to.row[s] = MRL_TAKE(arena, size_t, n);
  }
  if (problem->single) {
    to.weight[1] = to.weight[0];
    to.train_weight[1] = to.train_weight[0];
    to.row[1] = to.row[0];
  }
  to.count = MRL_TAKE(arena, size_t, n1 > n2 ? n1 : n2);
  to.params = MRL_TAKE(arena, mrl_real, nets->first.net.n_params + nets->first.net.n_statistics);
  to.location = MRL_TAKE(arena, double, nets->first.n_location);
  MRL_TRY(mrl_ivn_worker_carve(&to.worker, arena, problem, one));
  if (slot) {
    *slot = to;
  }
  return MRL_OK;
}

mrl_status mrl_boot_carve(mrl_boot *boot, mrl_arena *arena, const mrl_ivn_nets *nets,
                          const mrl_iv_sample *one, const mrl_iv_sample *two,
                          const mrl_ivn_settings *settings, size_t count, const mrl_ctx *ctx)
{
  const mrl_ctx alone = {1, NULL, NULL};
  const size_t threads = (size_t)ctx->n_threads;
  mrl_boot to = {.n_slots = count < threads ? count : threads};
  if (!(settings->boot_rate > 0) || count < 1) {
    return MRL_BAD_ARGUMENT;
  }
  *boot = to;
  MRL_TRY(mrl_ivn_problem_carve(&boot->problem, arena, nets, one, two, settings));
  boot->slot = MRL_TAKE(arena, mrl_boot_slot, boot->n_slots);
  for (size_t i = 0; i < boot->n_slots; i++) {
    MRL_TRY(carve_slot(boot->slot ? boot->slot + i : NULL, arena, &boot->problem, &alone));
  }
  return arena->failed ? MRL_NO_MEMORY : MRL_OK;
}

/* Rows, and weights, of a resampled sample. */
static mrl_status resample(mrl_boot_slot *slot, const mrl_ivn_problem *problem, int s, mrl_rng *rng)
{
  const mrl_iv_sample *sample = problem->sample + s;
  double total = 0;
  size_t n = 0;
  if (problem->settings.boot_half) {
    mrl_ivn_draw_half(slot->count, sample, rng);
  } else {
    mrl_ivn_draw_counts(slot->count, sample, rng);
  }
  for (size_t i = 0; i < sample->n; i++) {
    const size_t c = sample->cluster ? (size_t)sample->cluster[i] - 1 : i;
    const double weight = sample->weights ? sample->weights[i] : 1;
    slot->weight[s][i] = weight * (double)slot->count[c];
    if (slot->count[c] > 0) {
      slot->row[s][n++] = i;
      total += slot->weight[s][i];
    }
  }
  for (size_t i = 0; i < sample->n; i++) {
    slot->train_weight[s][i] = (mrl_real)(slot->weight[s][i] * (double)n / total);
  }
  slot->worker.weight[s] = slot->weight[s];
  slot->worker.train_weight[s] = slot->train_weight[s];
  slot->worker.row[s] = slot->row[s];
  slot->worker.n_row[s] = n;
  return total > 0 ? MRL_OK : MRL_TOO_FEW;
}

static mrl_train_settings boot_settings(const mrl_boot *boot, const mrl_boot_slot *slot)
{
  const mrl_ivn_settings *s = &boot->problem.settings;
  mrl_train_settings out = mrl_ivn_train_settings(&boot->problem, slot->seed, slot->at);
  if (s->boot_half) {
    return out;
  }
  out.epochs = s->boot_epochs > 0 ? s->boot_epochs : 1; /* without, it is carved, not run */
  out.patience = 0;
  out.rate = s->train.rate * s->boot_rate;
  out.schedule.kind = MRL_CONSTANT;
  return out;
}

static int is_second(const mrl_boot *boot, const mrl_boot_slot *slot)
{
  return slot->at == boot->problem.settings.cross_fit;
}

static int is_trained(const mrl_boot *boot, const mrl_boot_slot *slot)
{
  return is_second(boot, slot) || boot->problem.settings.first.kind != MRL_FIRST_RIDGE;
}

/* The training of the slot's stage, from the fit's weights, or fresh ones. */
static mrl_status begin_stage(const mrl_boot *boot, mrl_boot_slot *slot, const mrl_ctx *ctx)
{
  const mrl_boot_fit *fit = boot->fit;
  const mrl_train_settings how = boot_settings(boot, slot);
  const int second = is_second(boot, slot);
  mrl_train *train = &slot->worker.train;
  MRL_TRY(second ? mrl_ivn_begin_second(&slot->worker, &how, ctx)
                 : mrl_ivn_begin_first(&slot->worker, slot->at, &how, ctx));
  if (!is_trained(boot, slot)) {
    return MRL_OK;
  }
  const mrl_real *params = second ? fit->params : fit->first[slot->at].params;
  const mrl_real *statistics = second ? fit->statistics : fit->first[slot->at].statistics;
  mrl_train_start(train);
  if (boot->problem.settings.boot_half) {
    return MRL_OK;
  }
  memcpy(train->params, params, train->net->n_params * sizeof *params);
  memcpy(train->statistics, statistics, train->net->n_statistics * sizeof *statistics);
  return MRL_OK;
}

static mrl_status begin_replicate(const mrl_boot *boot, mrl_boot_slot *slot, size_t number,
                                  const mrl_ctx *ctx)
{
  mrl_rng rng = mrl_rng_stream(boot->problem.settings.seed, MRL_RNG_BOOTSTRAP, number);
  slot->seed = mrl_rng_u64(&rng);
  slot->at = 0;
  slot->worker.use_held = boot->problem.settings.boot_half;
  MRL_TRY(resample(slot, &boot->problem, 0, &rng));
  if (boot->problem.single) {
    slot->worker.weight[1] = slot->worker.weight[0];
    slot->worker.train_weight[1] = slot->worker.train_weight[0];
    slot->worker.row[1] = slot->worker.row[0];
    slot->worker.n_row[1] = slot->worker.n_row[0];
  } else {
    MRL_TRY(resample(slot, &boot->problem, 1, &rng));
  }
  return begin_stage(boot, slot, ctx);
}

static mrl_status end_first(const mrl_boot *boot, mrl_boot_slot *slot, const mrl_ctx *ctx)
{
  const mrl_train *train = &slot->worker.train;
  const mrl_net *net = &boot->problem.nets->first.net;
  mrl_first_fit fit = {.params = slot->params,
                       .statistics = slot->params + net->n_params,
                       .location = slot->location,
                       .rho = boot->fit->first[slot->at].rho};
  if (is_trained(boot, slot)) {
    memcpy(slot->params, train->params, net->n_params * sizeof *slot->params);
    memcpy(slot->params + net->n_params, train->statistics,
           net->n_statistics * sizeof *slot->params);
  }
  const int given = !boot->problem.settings.boot_half;
  return mrl_ivn_end_first(&slot->worker, slot->at, &fit, given, NULL, NULL, ctx);
}

static mrl_status end_second(mrl_boot_out *out, const mrl_boot *boot, mrl_boot_slot *slot,
                             const mrl_ctx *ctx)
{
  const mrl_ivn_nets *nets = boot->problem.nets;
  const mrl_train *train = &slot->worker.train;
  const mrl_head_net net = {&nets->second, &nets->trunk, out->params, out->statistics};
  const mrl_head_data data = mrl_ivn_head_data(&slot->worker);
  mrl_head_choice choice = boot->fit->choice;
  mrl_head_fit fit;
  memcpy(out->params, train->params, train->net->n_params * sizeof *out->params);
  memcpy(out->statistics, train->statistics, train->net->n_statistics * sizeof *out->statistics);
  if (!boot->problem.settings.refit) {
    return MRL_OK;
  }
  const int fresh = boot->problem.settings.boot_half;
  return mrl_head_fit_rows(out->theta, &choice, &fit, &slot->worker.head_work, &net, &data,
                           &boot->problem.range, fresh, fresh ? NULL : boot->fit->theta, ctx);
}

/* One epoch, or what ends a stage. Clears `running` with the last. */
static mrl_status advance(mrl_boot_out *out, const mrl_boot *boot, mrl_boot_slot *slot,
                          const mrl_ctx *ctx)
{
  mrl_train *train = &slot->worker.train;
  const mrl_ivn_settings *s = &boot->problem.settings;
  const int trains = is_trained(boot, slot) && (s->boot_half || s->boot_epochs > 0);
  if (trains && train->progress.stop == MRL_GOES_ON) {
    const mrl_status status = mrl_train_run(train, train->progress.epoch + 1, ctx);
    return status == MRL_NO_CONVERGE ? MRL_OK : status;
  }
  if (is_second(boot, slot)) {
    slot->running = 0;
    return end_second(out, boot, slot, ctx);
  }
  MRL_TRY(end_first(boot, slot, ctx));
  slot->at++;
  return begin_stage(boot, slot, ctx);
}

/* About how much an advance costs. */
static double cost_of(const mrl_boot *boot, const mrl_boot_slot *slot)
{
  const mrl_ivn_nets *nets = boot->problem.nets;
  const int second = is_second(boot, slot);
  const double rows =
      (double)slot->worker.n_row[second] * (double)(second ? slot->worker.train.task.group : 1);
  return 6 * rows * (double)(second ? nets->second.n_weights : nets->first.net.n_weights);
}

/* Goes on with the slot's replicates for about the time between two polls. */
static void run_slot(mrl_boot_out *out, const mrl_boot *boot, size_t s, size_t from, size_t count,
                     const mrl_ctx *ctx)
{
  mrl_boot_slot *slot = boot->slot + s;
  double done = 0;
  while (done < FLOPS_BETWEEN_POLLS && slot->replicate < count) {
    mrl_boot_out *to = out + slot->replicate;
    if (!slot->running) {
      slot->running = 1;
      to->status = begin_replicate(boot, slot, from + slot->replicate, ctx);
    }
    if (to->status == MRL_OK) {
      done += cost_of(boot, slot);
      to->status = advance(to, boot, slot, ctx);
    }
    if (to->status != MRL_OK || !slot->running) {
      slot->running = 0;
      slot->replicate += boot->n_slots;
    }
  }
}

/* A replicate that failed has no numbers. */
static void clear_failed(mrl_boot_out *out, const mrl_boot *boot)
{
  const mrl_ivn_nets *nets = boot->problem.nets;
  for (size_t i = 0; out->status != MRL_OK && i < nets->second.n_params; i++) {
    out->params[i] = (mrl_real)NAN;
  }
  for (size_t i = 0; out->status != MRL_OK && i < nets->second.n_statistics; i++) {
    out->statistics[i] = (mrl_real)NAN;
  }
  for (size_t i = 0; out->status != MRL_OK && out->theta && i < mrl_basis_terms(&nets->basis);
       i++) {
    out->theta[i] = NAN;
  }
}

mrl_status mrl_boot_run(mrl_boot_out *out, mrl_boot *boot, const mrl_boot_fit *fit, size_t from,
                        size_t count, const mrl_ctx *ctx)
{
  const int threads = (int)boot->n_slots;
  const mrl_ctx alone = {1, threads == 1 ? ctx->poll : NULL, ctx->poll_data};
  boot->fit = fit;
  MRL_TRY(mrl_ivn_problem_resume(&boot->problem, fit->scale, fit->fold, ctx));
  for (size_t s = 0; s < boot->n_slots; s++) {
    boot->slot[s].replicate = s;
    boot->slot[s].running = 0;
  }
  for (int left = 1; left;) {
    mrl_poll(ctx);
#ifdef _OPENMP
#pragma omp parallel for schedule(static, 1) num_threads(threads) if (threads > 1)
#endif
    for (size_t s = 0; s < boot->n_slots; s++) {
      run_slot(out, boot, s, from, count, &alone);
    }
    left = 0;
    for (size_t s = 0; s < boot->n_slots; s++) {
      left = left || boot->slot[s].replicate < count;
    }
  }
  for (size_t r = 0; r < count; r++) {
    clear_failed(out + r, boot);
  }
  return MRL_OK;
}
