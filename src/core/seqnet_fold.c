#include "seqnet.h"

#include "rng.h"

#include <math.h>
#include <string.h>

/* Batch norm i: y = scale x + shift goes into the coefficients before or behind the activation. */
static void fold_batch_norm(mrl_seq_plan *plan, size_t i, const mrl_real *params,
                            const mrl_real *statistics)
{
  const mrl_seq_node *node = plan->net->node + i;
  mrl_seq_affine *affine = &plan->step[plan->of_node[i]].affine;
  mrl_real *a = plan->is_behind[i] ? affine->a2 : affine->a1;
  mrl_real *c = plan->is_behind[i] ? affine->c2 : affine->c1;
  for (size_t j = 0; j < node->width; j++) {
    const double var = statistics[node->var + j];
    const double scale = params[node->weight + j] / sqrt(var + node->layer.value);
    const double shift = params[node->bias + j] - statistics[node->mean + j] * scale;
    a[j] = (mrl_real)(scale * a[j]);
    c[j] = (mrl_real)(scale * c[j] + shift);
  }
}

static void start_affine(mrl_seq_step *step, const mrl_seq_node *node, const mrl_real *params)
{
  const int has_bias = node->n_weights > 0 && node->layer.bias;
  for (size_t j = 0; j < step->ld; j++) {
    const int is_channel = j < step->width;
    step->affine.a1[j] = is_channel;
    step->affine.a2[j] = is_channel;
    step->affine.c1[j] = is_channel && has_bias ? params[node->bias + j] : 0;
    step->affine.c2[j] = 0;
  }
}

static void pack_step(mrl_seq_plan *plan, mrl_seq_step *step, const mrl_real *params)
{
  if (step->op != MRL_STEP_CONV && step->op != MRL_STEP_DENSE) {
    return;
  }
  const mrl_real *w = params + plan->net->node[step->node].weight;
  mrl_conv_pack(&step->conv, w);
  if (step->spreads) {
    mrl_conv_turn(plan->turned, w, &step->conv.shape);
    mrl_conv_pack(&step->spread, plan->turned);
  }
}

/* Each step draws from a stream of its own. */
static void draw_mask(mrl_seq_step *step, size_t s, uint64_t seed, uint64_t member)
{
  if (!step->mask) {
    return;
  }
  mrl_rng rng = mrl_rng_stream(seed, MRL_RNG_NET_DROPOUT, member << 20 | s);
  const mrl_real kept = (mrl_real)(1 / (1 - step->rate));
  for (size_t i = 0; i < step->length; i++) {
    for (size_t j = 0; j < step->ld; j++) {
      const int drops = j < step->width && mrl_rng_uniform(&rng) < step->rate;
      step->mask[i * step->ld + j] = drops ? 0 : kept;
    }
  }
}

void mrl_seq_plan_fold(mrl_seq_plan *plan, const mrl_real *params, const mrl_real *statistics,
                       mrl_real unknown, uint64_t seed, uint64_t member)
{
  plan->unknown = unknown;
  for (size_t s = 0; s < plan->n_steps; s++) {
    mrl_seq_step *step = plan->step + s;
    start_affine(step, plan->net->node + step->node, params);
    pack_step(plan, step, params);
    draw_mask(step, s, seed, member);
  }
  for (size_t i = 1; i < plan->net->n_nodes; i++) {
    if (plan->net->node[i].layer.kind == MRL_SEQ_BATCH_NORM) {
      fold_batch_norm(plan, i, params, statistics);
    }
  }
}
