#include "seqnet.h"

#include "rng.h"

#include <math.h>
#include <string.h>

static mrl_step_op op_of(mrl_seq_kind kind)
{
  switch (kind) {
  case MRL_SEQ_CONV:
    return MRL_STEP_CONV;
  case MRL_SEQ_DENSE:
    return MRL_STEP_DENSE;
  case MRL_SEQ_MAX_POOL:
    return MRL_STEP_MAX;
  case MRL_SEQ_AVERAGE_POOL:
    return MRL_STEP_AVERAGE;
  case MRL_SEQ_GLOBAL_MAX:
    return MRL_STEP_GLOBAL_MAX;
  case MRL_SEQ_GLOBAL_AVERAGE:
    return MRL_STEP_GLOBAL_AVERAGE;
  case MRL_SEQ_GLOBAL_LSE:
    return MRL_STEP_GLOBAL_LSE;
  case MRL_SEQ_CROP:
    return MRL_STEP_CROP;
  case MRL_SEQ_FLATTEN:
    return MRL_STEP_FLATTEN;
  case MRL_SEQ_ADD:
    return MRL_STEP_ADD;
  default:
    return MRL_STEP_COPY; /* of a pointwise layer that no step could take in */
  }
}

static int is_pointwise(mrl_seq_kind kind)
{
  return kind == MRL_SEQ_BATCH_NORM || kind == MRL_SEQ_ACTIVATION || kind == MRL_SEQ_DROPOUT;
}

/* Whether a pointwise layer changes anything. */
static int is_active(const mrl_seq_layer *layer, int with_dropout)
{
  switch (layer->kind) {
  case MRL_SEQ_ACTIVATION:
    return layer->activation != MRL_IDENTITY;
  case MRL_SEQ_DROPOUT:
    return with_dropout && layer->value > 0;
  default:
    return layer->kind == MRL_SEQ_BATCH_NORM;
  }
}

/* Whether it can join the step of its input: nobody else may see what is between. */
static int can_join(const mrl_seq_step *step, const mrl_seq_layer *layer)
{
  const int bends = layer->kind == MRL_SEQ_ACTIVATION;
  return step->op != MRL_STEP_INPUT && !step->is_shared && step->rate == 0 &&
         !(bends && step->affine.act != MRL_IDENTITY);
}

static void join(mrl_seq_plan *plan, size_t i)
{
  const mrl_seq_layer *layer = &plan->net->node[i].layer;
  mrl_seq_step *step = plan->step + plan->of_node[i];
  plan->is_behind[i] = step->affine.act != MRL_IDENTITY;
  step->is_plain = 0;
  if (layer->kind == MRL_SEQ_ACTIVATION) {
    step->affine.act = layer->activation;
    step->affine.slope = (mrl_real)layer->value;
    step->is_linear = 0;
  }
  if (layer->kind == MRL_SEQ_DROPOUT) {
    step->rate = layer->value;
  }
}

static size_t add_step(mrl_seq_plan *plan, mrl_step_op op, size_t i)
{
  const mrl_seq_node *node = plan->net->node + i;
  mrl_seq_step *step = plan->step + plan->n_steps;
  memset(step, 0, sizeof *step);
  step->op = op;
  step->node = i;
  step->length = node->length;
  step->width = node->width;
  step->ld = mrl_pad(node->width);
  step->is_linear = 1;
  step->is_plain = !(node->n_weights > 0 && node->layer.bias);
  if (i > 0) {
    step->in[0] = plan->of_node[node->layer.input[0]];
    step->in[1] = op == MRL_STEP_ADD ? plan->of_node[node->layer.input[1]] : step->in[0];
    step->in_is_input = plan->step[step->in[0]].op == MRL_STEP_INPUT;
  }
  return plan->n_steps++;
}

/* Whether only dense layers read a flattened node: they flatten by themselves. */
static int is_flat_anyway(const mrl_seqnet *net, size_t i)
{
  size_t n_dense = 0;
  for (size_t j = i + 1; j < net->n_nodes; j++) {
    n_dense += net->node[j].layer.kind == MRL_SEQ_DENSE && net->node[j].layer.input[0] == i;
  }
  return n_dense == net->node[i].n_users && net->node[i].output_at == SIZE_MAX;
}

static void place_node(mrl_seq_plan *plan, size_t i, int with_dropout)
{
  const mrl_seq_node *node = plan->net->node + i;
  const mrl_seq_kind kind = node->layer.kind;
  const size_t in = plan->of_node[node->layer.input[0]];
  if (kind == MRL_SEQ_FLATTEN && is_flat_anyway(plan->net, i)) {
    plan->of_node[i] = in;
    return;
  }
  if (!is_pointwise(kind)) {
    plan->of_node[i] = add_step(plan, op_of(kind), i);
    return;
  }
  const mrl_seq_node *before = plan->net->node + node->layer.input[0];
  plan->step[in].is_shared |= before->n_users != 1 || before->output_at != SIZE_MAX;
  const int active = is_active(&node->layer, with_dropout);
  const int joins = !active || can_join(plan->step + in, &node->layer);
  plan->of_node[i] = joins ? in : add_step(plan, MRL_STEP_COPY, i);
  if (active) {
    join(plan, i);
  }
}

static void widen(mrl_seq_step *step, ptrdiff_t first, ptrdiff_t end)
{
  const size_t from = first < 0 ? 0 : (size_t)first;
  const size_t to = end > (ptrdiff_t)step->length ? step->length : (size_t)(end < 0 ? 0 : end);
  if (from >= to) {
    return;
  }
  const int is_empty = step->need[0] >= step->need[1];
  step->need[0] = is_empty || from < step->need[0] ? from : step->need[0];
  step->need[1] = is_empty ? to : mrl_most(to, step->need[1]);
}

/* What a step needs of its inputs. */
static void ask_inputs(mrl_seq_plan *plan, const mrl_seq_step *step)
{
  const mrl_seq_layer *layer = &plan->net->node[step->node].layer;
  const ptrdiff_t pad = (ptrdiff_t)plan->net->node[step->node].pad;
  const ptrdiff_t first = (ptrdiff_t)step->need[0], last = (ptrdiff_t)step->need[1] - 1;
  const ptrdiff_t taps = (ptrdiff_t)layer->taps, stride = (ptrdiff_t)layer->stride;
  mrl_seq_step *in = plan->step + step->in[0];
  if (last < first) {
    return;
  }
  switch (step->op) {
  case MRL_STEP_INPUT:
    return;
  case MRL_STEP_CONV:
    widen(in, first - pad, last - pad + (taps - 1) * (ptrdiff_t)layer->dilation + 1);
    return;
  case MRL_STEP_MAX:
  case MRL_STEP_AVERAGE:
    widen(in, first * stride - pad, last * stride - pad + taps);
    return;
  case MRL_STEP_CROP:
    widen(in, first + (ptrdiff_t)layer->crop[0], last + (ptrdiff_t)layer->crop[0] + 1);
    return;
  case MRL_STEP_COPY:
  case MRL_STEP_ADD:
    widen(in, first, last + 1);
    widen(plan->step + step->in[1], first, last + 1);
    return;
  default:
    widen(in, 0, (ptrdiff_t)in->length);
  }
}

static void find_needs(mrl_seq_plan *plan)
{
  for (size_t s = plan->n_steps; s-- > 0;) {
    if (plan->step[s].is_output) {
      widen(plan->step + s, 0, (ptrdiff_t)plan->step[s].length);
    }
    ask_inputs(plan, plan->step + s);
  }
}

mrl_status mrl_seq_plan_steps(mrl_seq_plan *plan, mrl_arena *arena, const mrl_seqnet *net,
                              int with_dropout, mrl_isa isa)
{
  memset(plan, 0, sizeof *plan);
  plan->net = net;
  plan->isa = mrl_isa_usable(isa);
  plan->step = MRL_TAKE(arena, mrl_seq_step, net->n_nodes);
  plan->of_node = MRL_TAKE(arena, size_t, net->n_nodes);
  plan->is_behind = MRL_TAKE(arena, int, net->n_nodes);
  if (arena->failed || !plan->step) {
    return arena->failed ? MRL_NO_MEMORY : MRL_OK;
  }
  plan->of_node[0] = add_step(plan, MRL_STEP_INPUT, 0);
  for (size_t i = 1; i < net->n_nodes; i++) {
    place_node(plan, i, with_dropout);
  }
  for (size_t i = 0; i < net->n_nodes; i++) {
    plan->step[plan->of_node[i]].is_output |= net->node[i].output_at != SIZE_MAX;
  }
  find_needs(plan);
  return MRL_OK;
}

static mrl_conv_shape shape_of(const mrl_seq_plan *plan, const mrl_seq_step *step)
{
  const mrl_seq_layer *layer = &plan->net->node[step->node].layer;
  const mrl_seq_node *in = plan->net->node + layer->input[0];
  const mrl_seq_step *from = plan->step + step->in[0];
  const int is_conv = step->op == MRL_STEP_CONV;
  const mrl_conv_shape shape = {
      .taps = is_conv ? layer->taps : from->length,
      .in = is_conv ? in->width : from->width,
      .out = layer->units,
      .groups = is_conv ? layer->groups : 1,
  };
  return shape;
}

/* Memory of a step; *turned: what folding needs for weights that are turned. */
static mrl_status carve_step(mrl_seq_plan *plan, mrl_arena *arena, mrl_seq_step *step,
                             size_t *turned)
{
  step->affine.a1 = MRL_TAKE(arena, mrl_real, step->ld);
  step->affine.c1 = MRL_TAKE(arena, mrl_real, step->ld);
  step->affine.a2 = MRL_TAKE(arena, mrl_real, step->ld);
  step->affine.c2 = MRL_TAKE(arena, mrl_real, step->ld);
  step->mask = step->rate > 0 ? MRL_TAKE(arena, mrl_real, step->length * step->ld) : NULL;
  if (step->op == MRL_STEP_CONV || step->op == MRL_STEP_DENSE) {
    const mrl_conv_shape shape = shape_of(plan, step);
    MRL_TRY(mrl_conv_carve(&step->conv, arena, &shape));
    mrl_conv_shape spread;
    const size_t dilation = plan->net->node[step->node].layer.dilation;
    step->spreads = step->op == MRL_STEP_CONV && !step->in_is_input &&
                    mrl_conv_spreads(&spread, &shape, dilation);
    if (step->spreads) {
      MRL_TRY(mrl_conv_carve(&step->spread, arena, &spread));
      *turned = mrl_most(*turned, spread.in * spread.out);
    }
  }
  return arena->failed ? MRL_NO_MEMORY : MRL_OK;
}

mrl_status mrl_seq_plan_carve(mrl_seq_plan *plan, mrl_arena *arena)
{
  size_t turned = 0;
  for (size_t s = 0; s < plan->n_steps; s++) {
    MRL_TRY(carve_step(plan, arena, plan->step + s, &turned));
  }
  plan->turned = MRL_TAKE(arena, mrl_real, turned);
  return arena->failed ? MRL_NO_MEMORY : MRL_OK;
}
