/* One batch of variants through all steps. */
#include "ism_part.h"

#include <string.h>

enum { CHUNK_COLUMNS = 64 }; /* what a product leaves in the first-level cache for what follows */

mrl_status mrl_ism_thread_carve(mrl_ism_thread *thread, mrl_arena *arena, const mrl_ism *ism)
{
  const mrl_seq_plan *plan = ism->plan;
  const size_t n_steps = plan->n_steps;
  MRL_TRY(mrl_seq_state_carve(&thread->state, arena, plan));
  thread->change = MRL_TAKE(arena, mrl_real *, ism->n_slots);
  thread->start = MRL_TAKE(arena, ptrdiff_t, ism->batch * n_steps);
  thread->rows = MRL_TAKE(arena, size_t, n_steps);
  thread->before = MRL_TAKE(arena, mrl_real *, n_steps);
  thread->behind = MRL_TAKE(arena, mrl_real *, n_steps);
  thread->work = MRL_TAKE(arena, mrl_real, ism->n_work);
  for (size_t k = 0; k < ism->n_slots; k++) {
    mrl_real *change = MRL_TAKE(arena, mrl_real, ism->slot_size[k]);
    if (thread->change) {
      thread->change[k] = change;
    }
  }
  for (size_t s = 0; s < n_steps; s++) {
    const size_t n = (plan->step[plan->step[s].in[0]].length + 1) * plan->step[s].ld;
    mrl_real *before = is_global(plan->step + s) ? MRL_TAKE(arena, mrl_real, n) : NULL;
    mrl_real *behind = is_global(plan->step + s) ? MRL_TAKE(arena, mrl_real, n) : NULL;
    if (thread->before && thread->behind) {
      thread->before[s] = before;
      thread->behind[s] = behind;
    }
  }
  return arena->failed ? MRL_NO_MEMORY : MRL_OK;
}

void mrl_ism_refer(mrl_ism_thread *thread, const mrl_ism *ism, const uint8_t *code)
{
  mrl_seq_forward(&thread->state, ism->plan, code);
  for (size_t s = 1; s < ism->plan->n_steps; s++) {
    const mrl_seq_step *step = ism->plan->step + s;
    if (is_global(step) && step->need[1] > step->need[0]) {
      mrl_ism_accumulate(thread, ism, s);
    }
  }
}

/* The intervals of a step, cut at both ends by what no variant needs. */
static void place_step(const ism_batch *b, size_t s)
{
  const mrl_seq_step *step = b->plan->step + s;
  const ptrdiff_t width = (ptrdiff_t)b->ism->width[s], n_steps = (ptrdiff_t)b->plan->n_steps;
  ptrdiff_t *start = start_of(b, s), latest = PTRDIFF_MIN, earliest = PTRDIFF_MAX;
  for (size_t v = 0; v < b->n; v++) {
    start[v] = b->ism->reach[(ptrdiff_t)b->variants[v].position * n_steps + (ptrdiff_t)s];
    latest = start[v] > latest ? start[v] : latest;
    earliest = start[v] < earliest ? start[v] : earliest;
  }
  const ptrdiff_t left = (ptrdiff_t)step->need[0] - latest;
  const ptrdiff_t right = earliest + width - (ptrdiff_t)step->need[1];
  const ptrdiff_t cut = left > 0 ? left : 0, rest = width - cut - (right > 0 ? right : 0);
  const int is_none = rest <= 0 || step->need[0] >= step->need[1];
  b->thread->rows[s] = is_none ? 0 : (size_t)rest;
  for (size_t v = 0; v < b->n; v++) {
    start[v] += cut;
  }
}

static void change_letters(const ism_batch *b)
{
  const mrl_seq_step *input = b->plan->step;
  mrl_real *d = change_of(b, 0);
  for (size_t v = 0; v < b->n; v++) {
    const size_t code = b->code[b->variants[v].position];
    mrl_real *row = d + v * input->ld;
    memset(row, 0, input->ld * sizeof *row);
    for (size_t j = 0; j < input->width; j++) {
      row[j] = code == j ? -1 : code < input->width ? 0 : -b->plan->unknown;
    }
    row[b->variants[v].alt] += 1;
  }
}

void mrl_ism_finish(const ism_batch *b, size_t s, size_t first, size_t end)
{
  const mrl_seq_step *step = b->plan->step + s;
  mrl_real *d = change_of(b, s);
  const mrl_seq_rows rows = {b->n, first, end, step->length, step->ld, start_of(b, s)};
  if (step->is_plain) {
    mrl_seq_clear_outside(d, &rows);
  } else if (step->is_linear) {
    mrl_seq_change_linear(d, step->mask, &step->affine, &rows, b->plan->isa);
  } else {
    const mrl_seq_state *state = &b->thread->state;
    mrl_seq_change(d, state->u[s], state->y[s], step->mask, &step->affine, &rows, b->plan->isa);
  }
}

/* Row t of the output takes tap k from row t + shift + k dilation of the input. */
static ptrdiff_t shift_of(const ism_batch *b, size_t s)
{
  const mrl_seq_step *step = b->plan->step + s;
  return start_of(b, s)[0] - start_of(b, step->in[0])[0] -
         (ptrdiff_t)b->plan->net->node[step->node].pad;
}

/* The first layer: at most one tap meets the letter. */
static void change_table(const ism_batch *b, size_t s)
{
  const mrl_seq_step *step = b->plan->step + s;
  const size_t d = b->plan->net->node[step->node].layer.dilation, ld = step->ld;
  const size_t letters = b->plan->step->width, taps = step->conv.shape.taps;
  for (size_t t = 0; t < b->thread->rows[s]; t++) {
    size_t range[2];
    mrl_seq_taps(range, (ptrdiff_t)t + shift_of(b, s), d, taps, 1);
    mrl_real *row = change_of(b, s) + t * b->n * ld;
    if (range[0] == range[1]) {
      memset(row, 0, b->n * ld * sizeof *row);
      continue;
    }
    const mrl_real *table = b->ism->table[s] + range[0] * (letters + 1) * ld;
    for (size_t v = 0; v < b->n; v++) {
      const size_t ref = b->code[b->variants[v].position], alt = b->variants[v].alt;
      mrl_seq_subtract(row + v * ld, table + alt * ld, table + ref * ld, ld, b->plan->isa);
    }
  }
  mrl_ism_finish(b, s, 0, b->thread->rows[s]);
}

/* Runs of rows that the same taps reach are one product for all variants. */
static void change_conv(const ism_batch *b, size_t s)
{
  const mrl_seq_step *step = b->plan->step + s;
  const size_t d = b->plan->net->node[step->node].layer.dilation, taps = step->conv.shape.taps;
  const size_t in_rows = b->thread->rows[step->in[0]], in_ld = b->plan->step[step->in[0]].ld;
  const size_t rows = b->thread->rows[s], most = (CHUNK_COLUMNS + b->n - 1) / b->n;
  const ptrdiff_t shift = shift_of(b, s);
  for (size_t t = 0; t < rows;) {
    size_t range[2], next[2], end = t + 1;
    mrl_seq_taps(range, (ptrdiff_t)t + shift, d, taps, in_rows);
    for (; end < rows && end < t + most; end++) {
      mrl_seq_taps(next, (ptrdiff_t)end + shift, d, taps, in_rows);
      if (next[0] != range[0] || next[1] != range[1]) {
        break;
      }
    }
    const mrl_conv_columns columns = {
        .n_cols = (end - t) * b->n,
        .z_col = step->ld,
        .x_col = in_ld,
        .x_tap = d * b->n * in_ld,
        .first_tap = range[0],
        .n_taps = range[1] - range[0],
    };
    const ptrdiff_t from = columns.n_taps ? (ptrdiff_t)(t + range[0] * d) + shift : 0;
    mrl_conv_product(change_of(b, s) + t * b->n * step->ld,
                     change_of(b, step->in[0]) + (size_t)from * b->n * in_ld, &step->conv, &columns,
                     b->plan->isa);
    mrl_ism_finish(b, s, t, end);
    t = end;
  }
}

/* Few output channels: what each input row adds to the outputs around it. */
static void change_spread(const ism_batch *b, size_t s)
{
  const mrl_seq_step *step = b->plan->step + s;
  const size_t in_ld = b->plan->step[step->in[0]].ld, out = step->width;
  const size_t in_rows = b->thread->rows[step->in[0]], taps = step->conv.shape.taps;
  const size_t sum_ld = mrl_pad(in_rows + mrl_pad(taps)), n_sums = in_rows + taps - 1;
  const ptrdiff_t first = shift_of(b, s) + (ptrdiff_t)taps - 1;
  mrl_real *sum = b->thread->work, *work = sum + out * sum_ld;
  mrl_real *z = change_of(b, s);
  for (size_t v = 0; v < b->n; v++) {
    memset(sum, 0, out * sum_ld * sizeof *sum);
    mrl_conv_spread(sum, sum_ld, change_of(b, step->in[0]) + v * in_ld, b->n * in_ld, in_rows,
                    &step->spread, out, work, b->plan->isa);
    for (size_t t = 0; t < b->thread->rows[s]; t++) {
      const ptrdiff_t i = first + (ptrdiff_t)t;
      const int is_in = i >= 0 && i < (ptrdiff_t)n_sums;
      for (size_t o = 0; o < out; o++) {
        z[(t * b->n + v) * step->ld + o] = is_in ? sum[o * sum_ld + (size_t)i] : 0;
      }
    }
  }
  mrl_ism_finish(b, s, 0, b->thread->rows[s]);
}

/* Only the weights of changed inputs; variants that start at one position share them. */
static void change_dense(const ism_batch *b, size_t s)
{
  const mrl_seq_step *step = b->plan->step + s, *in = b->plan->step + step->in[0];
  const ptrdiff_t *start = start_of(b, step->in[0]);
  const ptrdiff_t rows = (ptrdiff_t)b->thread->rows[step->in[0]], length = (ptrdiff_t)in->length;
  for (size_t v = 0; v < b->n;) {
    size_t end = v + 1;
    while (end < b->n && start[end] == start[v]) {
      end++;
    }
    const ptrdiff_t first = start[v] > 0 ? start[v] : 0;
    const ptrdiff_t last = start[v] + rows < length ? start[v] + rows : length;
    const mrl_conv_columns columns = {
        .n_cols = end - v,
        .z_col = step->ld,
        .x_col = in->ld,
        .x_tap = b->n * in->ld,
        .first_tap = (size_t)first,
        .n_taps = last > first ? (size_t)(last - first) : 0,
    };
    const size_t row = columns.n_taps ? (size_t)(first - start[v]) : 0;
    mrl_conv_product(change_of(b, s) + v * step->ld,
                     change_of(b, step->in[0]) + (row * b->n + v) * in->ld, &step->conv, &columns,
                     b->plan->isa);
    v = end;
  }
  mrl_ism_finish(b, s, 0, 1);
}

static void change_step(const ism_batch *b, size_t s)
{
  const mrl_seq_step *step = b->plan->step + s;
  switch (step->op) {
  case MRL_STEP_INPUT:
    change_letters(b);
    return;
  case MRL_STEP_CONV:
    if (step->in_is_input) {
      change_table(b, s);
    } else if (step->spreads) {
      change_spread(b, s);
    } else {
      change_conv(b, s);
    }
    return;
  case MRL_STEP_DENSE:
    change_dense(b, s);
    return;
  case MRL_STEP_MAX:
  case MRL_STEP_AVERAGE:
    mrl_ism_pool(b, s);
    return;
  case MRL_STEP_GLOBAL_AVERAGE:
    mrl_ism_mean(b, s);
    return;
  case MRL_STEP_GLOBAL_MAX:
  case MRL_STEP_GLOBAL_LSE:
    mrl_ism_global(b, s);
    return;
  case MRL_STEP_FLATTEN:
    mrl_ism_flatten(b, s);
    return;
  default:
    mrl_ism_sum(b, s); /* copies and crops are sums of one */
  }
}

/* What an output node changes, as far as its interval goes. */
static void write_outputs(double *effect, const ism_batch *b, size_t s, size_t output_at)
{
  const mrl_seq_step *step = b->plan->step + s;
  const size_t n_outputs = b->plan->net->n_outputs;
  for (size_t v = 0; v < b->n; v++) {
    size_t range[2];
    inside(range, b, s, v);
    for (size_t p = range[0]; p < range[1]; p++) {
      const mrl_real *row = row_at(b, s, v, p);
      for (size_t j = 0; j < step->width; j++) {
        effect[v * n_outputs + output_at + p * step->width + j] = (double)row[j];
      }
    }
  }
}

/* A letter put where it is: exactly nothing, where sums over positions leave their rounding. */
static void clear_same(double *effect, const ism_batch *b)
{
  const size_t n_outputs = b->plan->net->n_outputs;
  for (size_t v = 0; v < b->n; v++) {
    if (b->code[b->variants[v].position] == b->variants[v].alt) {
      memset(effect + v * n_outputs, 0, n_outputs * sizeof *effect);
    }
  }
}

void mrl_ism_pass(double *effect, mrl_ism_thread *thread, const mrl_ism *ism, const uint8_t *code,
                  const mrl_variant *variants, size_t n_variants)
{
  const mrl_seq_plan *plan = ism->plan;
  const ism_batch batch = {thread, ism, plan, code, variants, n_variants};
  memset(effect, 0, n_variants * plan->net->n_outputs * sizeof *effect);
  for (size_t s = 0; s < plan->n_steps; s++) {
    place_step(&batch, s);
    if (thread->rows[s] == 0) {
      continue;
    }
    change_step(&batch, s);
    for (size_t i = 0; plan->step[s].is_output && i < plan->net->n_nodes; i++) {
      if (plan->of_node[i] == s && plan->net->node[i].output_at != SIZE_MAX) {
        write_outputs(effect, &batch, s, plan->net->node[i].output_at);
      }
    }
  }
  clear_same(effect, &batch);
}
