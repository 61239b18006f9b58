#include "ism.h"

#include "ism_part.h"

#include <math.h>
#include <string.h>

#ifdef _OPENMP
#include <omp.h>
#endif

enum {
  BATCH_MOST = 48,       /* six full tiles of the kernels */
  BATCH_BYTES = 1 << 19, /* the widest tensor of a batch stays in the second-level cache */
  BATCHES_PER_REGION = 1 << 12
};

static ptrdiff_t divide_up(ptrdiff_t a, ptrdiff_t b)
{
  return a >= 0 ? (a + b - 1) / b : -(-a / b);
}

static int is_windowed(const mrl_seq_step *step)
{
  return step->op == MRL_STEP_MAX || step->op == MRL_STEP_AVERAGE;
}

static int is_whole(const mrl_seq_step *step)
{
  return step->op == MRL_STEP_DENSE || step->op == MRL_STEP_FLATTEN ||
         step->op == MRL_STEP_GLOBAL_MAX || step->op == MRL_STEP_GLOBAL_AVERAGE ||
         step->op == MRL_STEP_GLOBAL_LSE;
}

/* Where the rows begin that a substitution changes: row `in` on is changed in the first input. */
static ptrdiff_t reach_of(const mrl_seq_plan *plan, const mrl_seq_step *step, ptrdiff_t in,
                          ptrdiff_t other)
{
  const mrl_seq_node *node = plan->net->node + step->node;
  const ptrdiff_t pad = (ptrdiff_t)node->pad, taps = (ptrdiff_t)node->layer.taps;
  if (is_whole(step)) {
    return 0;
  }
  if (is_windowed(step)) {
    return divide_up(in + pad - taps + 1, (ptrdiff_t)node->layer.stride);
  }
  switch (step->op) {
  case MRL_STEP_CONV:
    return in + pad - (taps - 1) * (ptrdiff_t)node->layer.dilation;
  case MRL_STEP_CROP:
    return in - (ptrdiff_t)node->layer.crop[0];
  case MRL_STEP_ADD:
    return in < other ? in : other;
  default:
    return in;
  }
}

/* Rows of a sum from the earlier of two intervals to the later end, for any position. */
static size_t sum_width(const mrl_ism *ism, size_t s)
{
  const mrl_seq_step *step = ism->plan->step + s;
  const size_t n_steps = ism->plan->n_steps;
  ptrdiff_t most = 0;
  for (size_t p = 0; p < ism->plan->step->length; p++) {
    const ptrdiff_t *reach = ism->reach + p * n_steps;
    for (int k = 0; k < 2; k++) {
      const ptrdiff_t end = reach[step->in[k]] + (ptrdiff_t)ism->width[step->in[k]];
      most = end - reach[s] > most ? end - reach[s] : most;
    }
  }
  return (size_t)most;
}

static size_t width_of(const mrl_ism *ism, size_t s)
{
  const mrl_seq_step *step = ism->plan->step + s;
  const mrl_seq_layer *layer = &ism->plan->net->node[step->node].layer;
  const size_t in = ism->width[step->in[0]];
  if (is_whole(step)) {
    return 1;
  }
  if (is_windowed(step)) {
    return (in + layer->taps - 2) / layer->stride + 1;
  }
  if (step->op == MRL_STEP_CONV) {
    return in + (layer->taps - 1) * layer->dilation;
  }
  return step->op == MRL_STEP_ADD ? sum_width(ism, s) : in;
}

/* Most rows between the starts of two variants of a batch. */
static size_t spread_of(const mrl_ism *ism, size_t s, const size_t *spread)
{
  const mrl_seq_step *step = ism->plan->step + s;
  const size_t in = spread[step->in[0]];
  if (is_whole(step)) {
    return 0;
  }
  if (is_windowed(step)) {
    return in / ism->plan->net->node[step->node].layer.stride + 1;
  }
  return mrl_most(in, spread[step->in[1]]);
}

static void find_intervals(mrl_ism *ism)
{
  const mrl_seq_plan *plan = ism->plan;
  const size_t n_steps = plan->n_steps, length = plan->step->length;
  ism->width[0] = 1;
  for (size_t p = 0; p < length; p++) {
    ism->reach[p * n_steps] = (ptrdiff_t)p;
  }
  for (size_t s = 1; s < n_steps; s++) {
    const mrl_seq_step *step = plan->step + s;
    for (size_t p = 0; p < length; p++) {
      ptrdiff_t *reach = ism->reach + p * n_steps;
      reach[s] = reach_of(plan, step, reach[step->in[0]], reach[step->in[1]]);
    }
    ism->width[s] = width_of(ism, s);
  }
}

/* Rows that can be needed of a step, whatever the batch: intervals are cut to what is needed, but
 * for the distance of their starts. rows holds the spread on the way. */
static void find_rows(mrl_ism *ism)
{
  const mrl_seq_plan *plan = ism->plan;
  ism->rows[0] = ism->span - 1;
  for (size_t s = 1; s < plan->n_steps; s++) {
    ism->rows[s] = spread_of(ism, s, ism->rows);
  }
  for (size_t s = 0; s < plan->n_steps; s++) {
    const size_t need = plan->step[s].need[1] - plan->step[s].need[0];
    ism->rows[s] = mrl_least(ism->width[s], need + ism->rows[s]);
  }
}

static size_t products_of(const mrl_ism *ism, size_t s)
{
  const mrl_seq_step *step = ism->plan->step + s;
  const size_t in = mrl_least(ism->width[step->in[0]], ism->plan->step[step->in[0]].length);
  if (step->op == MRL_STEP_CONV && !step->in_is_input) {
    return in * step->conv.shape.taps * step->conv.shape.in * step->ld;
  }
  if (step->op == MRL_STEP_DENSE) {
    return in * step->conv.shape.in * step->ld;
  }
  return mrl_least(ism->width[s], step->length) * step->ld * 4;
}

/* Batches as large as the second-level cache allows; several letters at one position at least. */
static void size_batches(mrl_ism *ism)
{
  const mrl_seq_plan *plan = ism->plan;
  const size_t letters = plan->step->width, alts = letters > 1 ? letters - 1 : 1;
  size_t widest = 1;
  ism->cost = 1000;
  for (size_t s = 0; s < plan->n_steps; s++) {
    const size_t rows = mrl_least(ism->width[s], plan->step[s].length);
    widest = mrl_most(widest, rows * plan->step[s].ld * sizeof(mrl_real));
    ism->cost += s > 0 ? (double)products_of(ism, s) : 0;
  }
  const size_t fit = BATCH_BYTES / widest, positions = mrl_least(fit, BATCH_MOST) / alts;
  ism->span = mrl_most(positions, 1);
  ism->batch = ism->span * alts;
}

/* A buffer that is free from step s on, or a new one. last (n_steps): last step that reads one. */
static void find_slot(mrl_ism *ism, size_t s, size_t *holder, const size_t *last)
{
  size_t k = 0;
  while (k < ism->n_slots && last[holder[k]] >= s) {
    k++;
  }
  if (k == ism->n_slots) {
    ism->slot_size[ism->n_slots++] = 0;
  }
  holder[k] = s;
  ism->slot[s] = k;
  const size_t size = ism->rows[s] * ism->batch * ism->plan->step[s].ld;
  ism->slot_size[k] = mrl_most(ism->slot_size[k], size);
}

static void find_slots(mrl_ism *ism, size_t *holder, size_t *last)
{
  const mrl_seq_plan *plan = ism->plan;
  for (size_t s = 0; s < plan->n_steps; s++) {
    last[s] = s;
    last[plan->step[s].in[0]] = s;
    last[plan->step[s].in[1]] = s;
  }
  ism->n_slots = 0;
  for (size_t s = 0; s < plan->n_steps; s++) {
    find_slot(ism, s, holder, last);
  }
}

static void size_work(mrl_ism *ism)
{
  const mrl_seq_plan *plan = ism->plan;
  ism->n_work = 0;
  for (size_t s = 1; s < plan->n_steps; s++) {
    const mrl_seq_step *step = plan->step + s;
    size_t n = 4 * step->ld;
    if (step->spreads) {
      const size_t sum = mrl_pad(ism->rows[step->in[0]] + 2 * mrl_pad(step->conv.shape.taps));
      n = step->conv.shape.out * sum + MRL_SPREAD_ROWS * step->spread.shape.out;
    }
    ism->n_work = mrl_most(ism->n_work, n);
  }
}

mrl_status mrl_ism_carve(mrl_ism *ism, mrl_arena *arena, const mrl_seq_plan *plan)
{
  const size_t n_steps = plan->n_steps, length = plan->step->length;
  memset(ism, 0, sizeof *ism);
  ism->plan = plan;
  ism->reach = MRL_TAKE(arena, ptrdiff_t, length * n_steps);
  ism->width = MRL_TAKE(arena, size_t, n_steps);
  ism->rows = MRL_TAKE(arena, size_t, n_steps);
  ism->slot = MRL_TAKE(arena, size_t, n_steps);
  ism->slot_size = MRL_TAKE(arena, size_t, n_steps);
  size_t *holder = MRL_TAKE(arena, size_t, n_steps), *last = MRL_TAKE(arena, size_t, n_steps);
  ism->table = MRL_TAKE(arena, mrl_real *, n_steps);
  for (size_t s = 0; s < n_steps; s++) {
    const mrl_seq_step *step = plan->step + s;
    const int has_table = step->op == MRL_STEP_CONV && step->in_is_input;
    const size_t n = (plan->step->width + 1) * step->conv.shape.taps * step->ld;
    mrl_real *table = has_table ? MRL_TAKE(arena, mrl_real, n) : NULL;
    if (ism->table) {
      ism->table[s] = table;
    }
  }
  if (arena->failed || !ism->reach || !ism->table) {
    return arena->failed ? MRL_NO_MEMORY : MRL_OK;
  }
  find_intervals(ism);
  size_batches(ism);
  find_rows(ism);
  find_slots(ism, holder, last);
  size_work(ism);
  return MRL_OK;
}

/* Each letter, and the unknown one, through each tap. */
void mrl_ism_fold(mrl_ism *ism)
{
  const mrl_seq_plan *plan = ism->plan;
  const size_t letters = plan->step->width;
  mrl_real x[(MRL_SEQ_MAX_LETTERS + 1) * MRL_SEQ_MAX_LETTERS];
  uint8_t code[MRL_SEQ_MAX_LETTERS + 1];
  for (size_t i = 0; i <= letters; i++) {
    code[i] = (uint8_t)i;
  }
  mrl_seq_one_hot(x, letters, code, letters + 1, letters, plan->unknown);
  for (size_t s = 0; s < plan->n_steps; s++) {
    const mrl_seq_step *step = plan->step + s;
    for (size_t k = 0; ism->table[s] && k < step->conv.shape.taps; k++) {
      const mrl_conv_columns columns = {letters + 1, step->ld, letters, 0, k, 1};
      mrl_conv_product(ism->table[s] + k * (letters + 1) * step->ld, x, &step->conv, &columns,
                       plan->isa);
    }
  }
}

static mrl_status carve_threads(mrl_ism_thread **thread, size_t **bounds, mrl_arena *arena,
                                const mrl_ism *ism, int n_threads)
{
  *thread = MRL_TAKE(arena, mrl_ism_thread, (size_t)n_threads);
  *bounds = MRL_TAKE(arena, size_t, BATCHES_PER_REGION + 1);
  for (int i = 0; i < n_threads; i++) {
    mrl_ism_thread measured;
    MRL_TRY(mrl_ism_thread_carve(*thread ? *thread + i : &measured, arena, ism));
  }
  return arena->failed ? MRL_NO_MEMORY : MRL_OK;
}

size_t mrl_ism_scratch(const mrl_ism *ism, const mrl_ctx *ctx)
{
  mrl_arena arena = mrl_arena_measure();
  mrl_ism_thread *thread;
  size_t *bounds;
  const mrl_status status = carve_threads(&thread, &bounds, &arena, ism, ctx->n_threads);
  return status == MRL_OK ? arena.used : SIZE_MAX;
}

/* Variants that can go with the one at `first`: its end. */
static size_t batch_end(const mrl_ism *ism, const mrl_variant *variants, size_t first, size_t n)
{
  const mrl_variant *v = variants + first;
  size_t i = 1;
  while (i < n - first && i < ism->batch && v[i].sequence == v->sequence &&
         v[i].position - v->position < ism->span) {
    i++;
  }
  return first + i;
}

static int in_order(const mrl_ism *ism, const mrl_variant *variants, size_t n)
{
  const mrl_seq_step *input = ism->plan->step;
  for (size_t i = 0; i < n; i++) {
    const mrl_variant *v = variants + i;
    const int follows = i == 0 || v->sequence > v[-1].sequence ||
                        (v->sequence == v[-1].sequence && v->position >= v[-1].position);
    if (!follows || v->position >= input->length || v->alt >= input->width) {
      return 0;
    }
  }
  return 1;
}

typedef struct {
  double *effect;
  const mrl_ism *ism;
  const uint8_t *code;
  const mrl_variant *variants;
} ism_job;

static void run_batch(const ism_job *job, mrl_ism_thread *thread, size_t first, size_t end)
{
  const size_t sequence = job->variants[first].sequence;
  const uint8_t *code = job->code + sequence * job->ism->plan->step->length;
  if (thread->sequence != sequence) {
    mrl_ism_refer(thread, job->ism, code);
    thread->sequence = sequence;
  }
  mrl_ism_pass(job->effect + first * job->ism->plan->net->n_outputs, thread, job->ism, code,
               job->variants + first, end - first);
}

static void run_region(const ism_job *job, mrl_ism_thread *thread, const size_t *bounds,
                       size_t n_batches, const mrl_ctx *ctx)
{
#ifdef _OPENMP
#pragma omp parallel for schedule(static) num_threads(ctx->n_threads) if (n_batches > 1)
  for (size_t b = 0; b < n_batches; b++) {
    run_batch(job, thread + omp_get_thread_num(), bounds[b], bounds[b + 1]);
  }
#else
  (void)ctx;
  for (size_t b = 0; b < n_batches; b++) {
    run_batch(job, thread, bounds[b], bounds[b + 1]);
  }
#endif
}

mrl_status mrl_ism_run(double *effect, const mrl_ism *ism, const uint8_t *code,
                       const mrl_variant *variants, size_t n, void *scratch, const mrl_ctx *ctx)
{
  if (!in_order(ism, variants, n)) {
    return MRL_BAD_ARGUMENT;
  }
  if (!scratch) {
    return MRL_NO_MEMORY;
  }
  mrl_arena arena = mrl_arena_over(scratch, mrl_ism_scratch(ism, ctx));
  mrl_ism_thread *thread;
  size_t *bounds;
  MRL_TRY(carve_threads(&thread, &bounds, &arena, ism, ctx->n_threads));
  for (int i = 0; i < ctx->n_threads; i++) {
    thread[i].sequence = SIZE_MAX;
  }
  const ism_job job = {effect, ism, code, variants};
  const double most = (double)MRL_SEQ_REGION * ctx->n_threads,
               reference = mrl_seq_products(ism->plan);
  for (size_t first = 0; first < n; first = bounds[0]) {
    mrl_poll(ctx);
    size_t n_batches = 0;
    bounds[0] = first;
    for (double work = 0; bounds[n_batches] < n && n_batches < BATCHES_PER_REGION && work < most;) {
      const size_t from = bounds[n_batches], end = batch_end(ism, variants, from, n);
      const int is_new = from == 0 || variants[from - 1].sequence != variants[from].sequence;
      work += (double)(end - from) * ism->cost + (is_new ? reference : 0);
      bounds[++n_batches] = end;
    }
    run_region(&job, thread, bounds, n_batches, ctx);
    bounds[0] = bounds[n_batches];
  }
  const size_t n_numbers = n * ism->plan->net->n_outputs;
  for (size_t i = 0; i < n_numbers; i++) {
    if (!isfinite(effect[i])) {
      return MRL_NOT_FINITE;
    }
  }
  return MRL_OK;
}
