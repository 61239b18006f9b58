/* Changes through pools, sums, crops and flattening: rows that are added, compared or moved. */
#include "ism_part.h"

#include <math.h>
#include <string.h>

/* Maxima, or sums of exp(x - top), over the rows before each row and from each row on. */
void mrl_ism_accumulate(mrl_ism_thread *thread, const mrl_ism *ism, size_t s)
{
  const mrl_seq_plan *plan = ism->plan;
  const mrl_seq_step *step = plan->step + s;
  const size_t ld = step->ld, length = plan->step[step->in[0]].length;
  const mrl_real *x = thread->state.y[step->in[0]];
  mrl_real *before = thread->before[s], *behind = thread->behind[s], *top = thread->work;
  const int is_max = step->op == MRL_STEP_GLOBAL_MAX;
  memcpy(top, x, ld * sizeof *top);
  for (size_t t = 1; t < length; t++) {
    mrl_seq_larger(top, x + t * ld, ld, plan->isa);
  }
  for (size_t j = 0; j < ld; j++) {
    before[j] = is_max ? -INFINITY : 0;
    behind[length * ld + j] = before[j];
  }
  for (size_t t = 0; t < length; t++) {
    const size_t u = length - 1 - t;
    memcpy(before + (t + 1) * ld, before + t * ld, ld * sizeof *top);
    memcpy(behind + u * ld, behind + (u + 1) * ld, ld * sizeof *top);
    if (is_max) {
      mrl_seq_larger(before + (t + 1) * ld, x + t * ld, ld, plan->isa);
      mrl_seq_larger(behind + u * ld, x + u * ld, ld, plan->isa);
    } else {
      mrl_seq_add_exp(before + (t + 1) * ld, x + t * ld, top, ld, plan->isa);
      mrl_seq_add_exp(behind + u * ld, x + u * ld, top, ld, plan->isa);
    }
  }
}

static void pool_max(mrl_real *z, const ism_batch *b, const mrl_seq_step *step, size_t v,
                     const size_t window[2])
{
  const size_t ld = step->ld;
  const mrl_real *x = b->thread->state.y[step->in[0]];
  mrl_real *old = b->thread->work, *new = old + ld;
  for (size_t j = 0; j < ld; j++) {
    old[j] = -INFINITY;
    new[j] = -INFINITY;
  }
  for (size_t p = window[0]; p < window[1]; p++) {
    const mrl_real *change = row_at(b, step->in[0], v, p);
    mrl_seq_larger(old, x + p * ld, ld, b->plan->isa);
    if (change) {
      mrl_seq_larger_sum(new, x + p * ld, change, ld, b->plan->isa);
    } else {
      mrl_seq_larger(new, x + p * ld, ld, b->plan->isa);
    }
  }
  mrl_seq_subtract(z, new, old, ld, b->plan->isa);
}

static void pool_average(mrl_real *z, const ism_batch *b, const mrl_seq_step *step, size_t v,
                         const size_t window[2])
{
  memset(z, 0, step->ld * sizeof *z);
  for (size_t p = window[0]; p < window[1]; p++) {
    const mrl_real *change = row_at(b, step->in[0], v, p);
    if (change) {
      mrl_seq_add(z, change, step->ld, b->plan->isa);
    }
  }
  mrl_seq_scale(z, z, 1 / (mrl_real)(window[1] - window[0]), step->ld, b->plan->isa);
}

void mrl_ism_pool(const ism_batch *b, size_t s)
{
  const mrl_seq_step *step = b->plan->step + s;
  for (size_t t = 0; t < b->thread->rows[s]; t++) {
    for (size_t v = 0; v < b->n; v++) {
      const ptrdiff_t at = start_of(b, s)[v] + (ptrdiff_t)t;
      mrl_real *z = change_of(b, s) + (t * b->n + v) * step->ld;
      size_t window[2];
      if (at < 0 || at >= (ptrdiff_t)step->length) {
        memset(z, 0, step->ld * sizeof *z);
        continue;
      }
      mrl_seq_window(window, b->plan, step, at);
      if (step->op == MRL_STEP_MAX) {
        pool_max(z, b, step, v, window);
      } else {
        pool_average(z, b, step, v, window);
      }
    }
  }
  mrl_ism_finish(b, s, 0, b->thread->rows[s]);
}

/* Rows outside the sequence are zero, so all variants are added up at once. */
void mrl_ism_mean(const ism_batch *b, size_t s)
{
  const mrl_seq_step *step = b->plan->step + s;
  const size_t n = b->n * step->ld, rows = b->thread->rows[step->in[0]];
  const mrl_real *d = change_of(b, step->in[0]);
  mrl_real *z = change_of(b, s);
  memset(z, 0, n * sizeof *z);
  for (size_t t = 0; t < rows; t++) {
    mrl_seq_add(z, d + t * n, n, b->plan->isa);
  }
  mrl_seq_scale(z, z, 1 / (mrl_real)b->plan->step[step->in[0]].length, n, b->plan->isa);
  mrl_ism_finish(b, s, 0, 1);
}

static void global_max(mrl_real *z, const ism_batch *b, size_t s, size_t v)
{
  const mrl_seq_step *step = b->plan->step + s;
  const size_t ld = step->ld, length = b->plan->step[step->in[0]].length;
  const mrl_real *before = b->thread->before[s], *behind = b->thread->behind[s];
  const mrl_real *x = b->thread->state.y[step->in[0]];
  size_t range[2];
  inside(range, b, step->in[0], v);
  memcpy(z, before + range[0] * ld, ld * sizeof *z);
  for (size_t p = range[0]; p < range[1]; p++) {
    mrl_seq_larger_sum(z, x + p * ld, row_at(b, step->in[0], v, p), ld, b->plan->isa);
  }
  mrl_seq_larger(z, behind + range[1] * ld, ld, b->plan->isa);
  mrl_seq_subtract(z, z, before + length * ld, ld, b->plan->isa);
}

/* log of (sum outside the interval + sum inside) less log of the sum before; sums are relative to
 * the largest number inside or in the reference, so that none overflows. */
static void global_lse(mrl_real *z, const ism_batch *b, size_t s, size_t v)
{
  const mrl_seq_step *step = b->plan->step + s;
  const size_t ld = step->ld, length = b->plan->step[step->in[0]].length;
  const mrl_real *before = b->thread->before[s], *behind = b->thread->behind[s];
  const mrl_real *x = b->thread->state.y[step->in[0]];
  mrl_real *top = b->thread->work, *high = top + ld, *sum = high + ld;
  size_t range[2];
  inside(range, b, step->in[0], v);
  memcpy(top, x, ld * sizeof *top);
  for (size_t p = 1; p < length; p++) {
    mrl_seq_larger(top, x + p * ld, ld, b->plan->isa);
  }
  memcpy(high, top, ld * sizeof *high);
  for (size_t p = range[0]; p < range[1]; p++) {
    mrl_seq_larger_sum(high, x + p * ld, row_at(b, step->in[0], v, p), ld, b->plan->isa);
  }
  memset(sum, 0, ld * sizeof *sum);
  for (size_t p = range[0]; p < range[1]; p++) {
    mrl_seq_add_exp_sum(sum, x + p * ld, row_at(b, step->in[0], v, p), high, ld, b->plan->isa);
  }
  for (size_t j = 0; j < step->width; j++) {
    const double rest = (double)before[range[0] * ld + j] + (double)behind[range[1] * ld + j];
    const double rise = (double)high[j] - (double)top[j];
    const double new = rest *exp(-rise) + (double)sum[j];
    z[j] = (mrl_real)(rise + log(new / (double)before[length * ld + j]));
  }
}

void mrl_ism_global(const ism_batch *b, size_t s)
{
  const mrl_seq_step *step = b->plan->step + s;
  for (size_t v = 0; v < b->n; v++) {
    mrl_real *z = change_of(b, s) + v * step->ld;
    if (step->op == MRL_STEP_GLOBAL_MAX) {
      global_max(z, b, s, v);
    } else {
      global_lse(z, b, s, v);
    }
  }
  mrl_ism_finish(b, s, 0, 1);
}

void mrl_ism_flatten(const ism_batch *b, size_t s)
{
  const mrl_seq_step *step = b->plan->step + s, *in = b->plan->step + step->in[0];
  mrl_real *z = change_of(b, s);
  memset(z, 0, b->n * step->ld * sizeof *z);
  for (size_t v = 0; v < b->n; v++) {
    size_t range[2];
    inside(range, b, step->in[0], v);
    for (size_t p = range[0]; p < range[1]; p++) {
      memcpy(z + v * step->ld + p * in->width, row_at(b, step->in[0], v, p), in->width * sizeof *z);
    }
  }
  mrl_ism_finish(b, s, 0, 1);
}

/* z += the rows of an input, `moved` positions further on in it, of all variants or of one by one
 * where their intervals lie differently. */
static void add_rows(const ism_batch *b, size_t s, size_t from, ptrdiff_t moved)
{
  const size_t ld = b->plan->step[s].ld;
  const ptrdiff_t rows = (ptrdiff_t)b->thread->rows[from], end = (ptrdiff_t)b->thread->rows[s];
  mrl_real *z = change_of(b, s);
  const mrl_real *d = change_of(b, from);
  for (size_t v = 0; v < b->n;) {
    const ptrdiff_t shift = start_of(b, s)[v] - start_of(b, from)[v] + moved;
    size_t last = v + 1;
    while (last < b->n && start_of(b, s)[last] - start_of(b, from)[last] + moved == shift) {
      last++;
    }
    for (ptrdiff_t t = shift < 0 ? -shift : 0; t < end && t + shift < rows; t++) {
      mrl_seq_add(z + ((size_t)t * b->n + v) * ld, d + ((size_t)(t + shift) * b->n + v) * ld,
                  (last - v) * ld, b->plan->isa);
    }
    v = last;
  }
}

void mrl_ism_sum(const ism_batch *b, size_t s)
{
  const mrl_seq_step *step = b->plan->step + s;
  const mrl_seq_layer *layer = &b->plan->net->node[step->node].layer;
  memset(change_of(b, s), 0, b->thread->rows[s] * b->n * step->ld * sizeof(mrl_real));
  add_rows(b, s, step->in[0], step->op == MRL_STEP_CROP ? (ptrdiff_t)layer->crop[0] : 0);
  if (step->op == MRL_STEP_ADD) {
    add_rows(b, s, step->in[1], 0);
  }
  mrl_ism_finish(b, s, 0, b->thread->rows[s]);
}
