#include "seqnet.h"

#include <math.h>
#include <string.h>

#ifdef _OPENMP
#include <omp.h>
#endif

mrl_status mrl_seq_state_carve(mrl_seq_state *state, mrl_arena *arena, const mrl_seq_plan *plan)
{
  state->u = MRL_TAKE(arena, mrl_real *, plan->n_steps);
  state->y = MRL_TAKE(arena, mrl_real *, plan->n_steps);
  for (size_t s = 0; s < plan->n_steps; s++) {
    const mrl_seq_step *step = plan->step + s;
    mrl_real *y = MRL_TAKE(arena, mrl_real, step->length * step->ld);
    mrl_real *u = step->is_linear ? y : MRL_TAKE(arena, mrl_real, step->length * step->ld);
    if (state->y) {
      state->y[s] = y;
      state->u[s] = u;
    }
  }
  return arena->failed ? MRL_NO_MEMORY : MRL_OK;
}

void mrl_seq_taps(size_t range[2], ptrdiff_t base, size_t dilation, size_t taps, size_t length)
{
  const ptrdiff_t d = (ptrdiff_t)dilation, n = (ptrdiff_t)length;
  const ptrdiff_t first = base < 0 ? (d - 1 - base) / d : 0;
  const ptrdiff_t end = n - base > 0 ? (n - base + d - 1) / d : 0;
  range[1] = end < (ptrdiff_t)taps ? (size_t)end : taps;
  range[0] = (size_t)first < range[1] ? (size_t)first : range[1];
}

/* Runs of outputs that the same taps reach are one product each. */
static void forward_conv(mrl_real *z, const mrl_real *x, const mrl_seq_plan *plan,
                         const mrl_seq_step *step)
{
  const mrl_seq_node *node = plan->net->node + step->node;
  const mrl_seq_step *in = plan->step + step->in[0];
  const size_t d = node->layer.dilation, taps = node->layer.taps;
  for (size_t t = step->need[0]; t < step->need[1];) {
    size_t range[2], next[2], end = t + 1;
    const ptrdiff_t base = (ptrdiff_t)t - (ptrdiff_t)node->pad;
    mrl_seq_taps(range, base, d, taps, in->length);
    for (; end < step->need[1]; end++) {
      mrl_seq_taps(next, base + (ptrdiff_t)(end - t), d, taps, in->length);
      if (next[0] != range[0] || next[1] != range[1]) {
        break;
      }
    }
    const mrl_conv_columns columns = {
        .n_cols = end - t,
        .z_col = step->ld,
        .x_col = in->ld,
        .x_tap = d * in->ld,
        .first_tap = range[0],
        .n_taps = range[1] - range[0],
    };
    const ptrdiff_t row = columns.n_taps > 0 ? base + (ptrdiff_t)(range[0] * d) : 0;
    mrl_conv_product(z + t * step->ld, x + row * (ptrdiff_t)in->ld, &step->conv, &columns,
                     plan->isa);
    t = end;
  }
}

static void forward_dense(mrl_real *z, const mrl_real *x, const mrl_seq_plan *plan,
                          const mrl_seq_step *step)
{
  const mrl_seq_step *in = plan->step + step->in[0];
  const mrl_conv_columns columns = {1, step->ld, in->ld, in->ld, 0, in->length};
  mrl_conv_product(z, x, &step->conv, &columns, plan->isa);
}

static void forward_pool(mrl_real *z, const mrl_real *x, const mrl_seq_plan *plan,
                         const mrl_seq_step *step)
{
  const mrl_seq_step *in = plan->step + step->in[0];
  for (size_t t = step->need[0]; t < step->need[1]; t++) {
    size_t window[2];
    mrl_seq_window(window, plan, step, (ptrdiff_t)t);
    mrl_real *row = z + t * step->ld;
    memcpy(row, x + window[0] * in->ld, step->ld * sizeof *row);
    for (size_t s = window[0] + 1; s < window[1]; s++) {
      if (step->op == MRL_STEP_MAX) {
        mrl_seq_larger(row, x + s * in->ld, step->ld, plan->isa);
      } else {
        mrl_seq_add(row, x + s * in->ld, step->ld, plan->isa);
      }
    }
    if (step->op == MRL_STEP_AVERAGE) {
      mrl_seq_scale(row, row, 1 / (mrl_real)(window[1] - window[0]), step->ld, plan->isa);
    }
  }
}

void mrl_seq_window(size_t window[2], const mrl_seq_plan *plan, const mrl_seq_step *step,
                    ptrdiff_t t)
{
  const mrl_seq_node *node = plan->net->node + step->node;
  const ptrdiff_t length = (ptrdiff_t)plan->step[step->in[0]].length;
  const ptrdiff_t first = t * (ptrdiff_t)node->layer.stride - (ptrdiff_t)node->pad;
  const ptrdiff_t end = first + (ptrdiff_t)node->layer.taps;
  window[0] = first > 0 ? (size_t)first : 0;
  window[1] = end < length ? (size_t)end : (size_t)length;
}

static void forward_global(mrl_real *z, const mrl_real *x, const mrl_seq_plan *plan,
                           const mrl_seq_step *step)
{
  const mrl_seq_step *in = plan->step + step->in[0];
  memcpy(z, x, step->ld * sizeof *z);
  for (size_t s = 1; s < in->length; s++) {
    if (step->op == MRL_STEP_GLOBAL_AVERAGE) {
      mrl_seq_add(z, x + s * in->ld, step->ld, plan->isa);
    } else {
      mrl_seq_larger(z, x + s * in->ld, step->ld, plan->isa);
    }
  }
  if (step->op == MRL_STEP_GLOBAL_AVERAGE) {
    mrl_seq_scale(z, z, 1 / (mrl_real)in->length, step->ld, plan->isa);
  }
}

static void forward_lse(mrl_real *z, const mrl_real *x, const mrl_seq_plan *plan,
                        const mrl_seq_step *step)
{
  const mrl_seq_step *in = plan->step + step->in[0];
  forward_global(z, x, plan, step); /* the largest */
  for (size_t j = 0; j < step->width; j++) {
    double sum = 0;
    for (size_t s = 0; s < in->length; s++) {
      sum += exp((double)(x[s * in->ld + j] - z[j]));
    }
    z[j] = (mrl_real)(z[j] + log(sum));
  }
}

static void forward_flatten(mrl_real *z, const mrl_real *x, const mrl_seq_step *step,
                            const mrl_seq_step *in)
{
  memset(z, 0, step->ld * sizeof *z);
  for (size_t s = 0; s < in->length; s++) {
    memcpy(z + s * in->width, x + s * in->ld, in->width * sizeof *z);
  }
}

static void forward_op(mrl_real *z, mrl_seq_state *state, const mrl_seq_plan *plan,
                       const mrl_seq_step *step)
{
  const size_t first = step->need[0], rows = step->need[1] - first, ld = step->ld;
  const mrl_real *x = state->y[step->in[0]];
  switch (step->op) {
  case MRL_STEP_CONV:
    forward_conv(z, x, plan, step);
    return;
  case MRL_STEP_DENSE:
    forward_dense(z, x, plan, step);
    return;
  case MRL_STEP_MAX:
  case MRL_STEP_AVERAGE:
    forward_pool(z, x, plan, step);
    return;
  case MRL_STEP_GLOBAL_MAX:
  case MRL_STEP_GLOBAL_AVERAGE:
    forward_global(z, x, plan, step);
    return;
  case MRL_STEP_GLOBAL_LSE:
    forward_lse(z, x, plan, step);
    return;
  case MRL_STEP_FLATTEN:
    forward_flatten(z, x, step, plan->step + step->in[0]);
    return;
  case MRL_STEP_CROP:
    x += plan->net->node[step->node].layer.crop[0] * ld;
    break;
  default:
    break;
  }
  memcpy(z + first * ld, x + first * ld, rows * ld * sizeof *z);
  if (step->op == MRL_STEP_ADD) {
    mrl_seq_add(z + first * ld, state->y[step->in[1]] + first * ld, rows * ld, plan->isa);
  }
}

static void forward_step(mrl_seq_state *state, const mrl_seq_plan *plan, size_t s)
{
  const mrl_seq_step *step = plan->step + s;
  const size_t first = step->need[0] * step->ld, rows = step->need[1] - step->need[0];
  if (rows == 0) {
    return;
  }
  forward_op(state->u[s], state, plan, step);
  if (!step->is_plain) {
    mrl_seq_point(state->y[s] + first, state->u[s] + first, &step->affine, rows, step->ld,
                  plan->isa);
  }
  for (size_t i = first; step->mask && i < first + rows * step->ld; i++) {
    state->y[s][i] *= step->mask[i];
  }
}

void mrl_seq_forward(mrl_seq_state *state, const mrl_seq_plan *plan, const uint8_t *code)
{
  const mrl_seq_step *input = plan->step;
  mrl_seq_one_hot(state->y[0], input->ld, code, input->length, input->width, plan->unknown);
  for (size_t s = 1; s < plan->n_steps; s++) {
    forward_step(state, plan, s);
  }
}

double mrl_seq_products(const mrl_seq_plan *plan)
{
  double products = 1000;
  for (size_t s = 1; s < plan->n_steps; s++) {
    const mrl_seq_step *step = plan->step + s;
    const double rows = (double)(step->need[1] - step->need[0]);
    const double weights = (double)(step->conv.shape.taps * step->conv.shape.in) + 8;
    products += rows * (double)step->ld * weights;
  }
  return products;
}

void mrl_seq_outputs(double *out, const mrl_seq_state *state, const mrl_seq_plan *plan)
{
  for (size_t i = 0; i < plan->net->n_nodes; i++) {
    const mrl_seq_node *node = plan->net->node + i;
    const size_t s = plan->of_node[i];
    const mrl_seq_step *step = plan->step + s;
    for (size_t t = 0; node->output_at != SIZE_MAX && t < step->length; t++) {
      for (size_t j = 0; j < step->width; j++) {
        out[node->output_at + t * step->width + j] = (double)state->y[s][t * step->ld + j];
      }
    }
  }
}

static mrl_status carve_states(mrl_seq_state **state, mrl_arena *arena, const mrl_seq_plan *plan,
                               int n_threads)
{
  *state = MRL_TAKE(arena, mrl_seq_state, (size_t)n_threads);
  for (int i = 0; i < n_threads; i++) {
    mrl_seq_state measured;
    MRL_TRY(mrl_seq_state_carve(*state ? *state + i : &measured, arena, plan));
  }
  return arena->failed ? MRL_NO_MEMORY : MRL_OK;
}

size_t mrl_seq_predict_scratch(const mrl_seq_plan *plan, const mrl_ctx *ctx)
{
  mrl_arena arena = mrl_arena_measure();
  mrl_seq_state *state;
  return carve_states(&state, &arena, plan, ctx->n_threads) == MRL_OK ? arena.used : SIZE_MAX;
}

static void predict_one(double *out, mrl_seq_state *state, const mrl_seq_plan *plan,
                        const uint8_t *code, size_t i)
{
  mrl_seq_forward(state, plan, code + i * plan->net->node->length);
  mrl_seq_outputs(out + i * plan->net->n_outputs, state, plan);
}

mrl_status mrl_seq_predict(double *out, const mrl_seq_plan *plan, const uint8_t *code, size_t n,
                           void *scratch, const mrl_ctx *ctx)
{
  if (!scratch) {
    return MRL_NO_MEMORY;
  }
  mrl_arena arena = mrl_arena_over(scratch, mrl_seq_predict_scratch(plan, ctx));
  mrl_seq_state *state;
  MRL_TRY(carve_states(&state, &arena, plan, ctx->n_threads));
  const double most = MRL_SEQ_REGION / mrl_seq_products(plan) * ctx->n_threads;
  const size_t threads = (size_t)ctx->n_threads;
  const size_t region = most < (double)threads ? threads : most < 1e6 ? (size_t)most : 1000000;
  for (size_t first = 0; first < n; first += region) {
    const size_t end = n - first < region ? n : first + region;
    mrl_poll(ctx);
#ifdef _OPENMP
#pragma omp parallel for schedule(static) num_threads(ctx->n_threads) if (end - first > 1)
    for (size_t i = first; i < end; i++) {
      predict_one(out, state + omp_get_thread_num(), plan, code, i);
    }
#else
    for (size_t i = first; i < end; i++) {
      predict_one(out, state, plan, code, i);
    }
#endif
  }
  return MRL_OK;
}
