/*
 * Random networks on sequences and what they compute, slowly: each layer by its definition, one
 * after the other, in double. Included after the headers of the core; works in float too.
 */
#ifndef SEQ_RANDOM_H
#define SEQ_RANDOM_H

#include "seqnet.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { RANDOM_LAYERS = 24, RANDOM_OUTPUTS = 3 };

typedef struct {
  mrl_seq_layer layer[RANDOM_LAYERS];
  size_t n_layers, output[RANDOM_OUTPUTS], n_outputs, length, n_letters;
} random_case;

static unsigned long long random_state = 20261121;

/* 0 .. n - 1. */
static inline size_t random_below(size_t n)
{
  random_state = random_state * 6364136223846793005ULL + 1442695040888963407ULL;
  return (size_t)((random_state >> 33) % n);
}

/* [-1, 1). */
static inline double random_number(void)
{
  return (double)random_below(1 << 24) / (1 << 23) - 1;
}

static inline void *random_bytes(size_t n)
{
  void *memory = malloc(n + 1);
  if (!memory) {
    abort();
  }
  return memset(memory, 0xa5, n + 1);
}

static inline mrl_seq_layer random_layer(size_t last)
{
  static const mrl_seq_kind kinds[] = {
      MRL_SEQ_CONV,       MRL_SEQ_CONV,       MRL_SEQ_CONV,     MRL_SEQ_CONV,
      MRL_SEQ_BATCH_NORM, MRL_SEQ_ACTIVATION, MRL_SEQ_DROPOUT,  MRL_SEQ_ACTIVATION,
      MRL_SEQ_MAX_POOL,   MRL_SEQ_ADD,        MRL_SEQ_ADD,      MRL_SEQ_AVERAGE_POOL,
      MRL_SEQ_CROP,       MRL_SEQ_ACTIVATION, MRL_SEQ_MAX_POOL, MRL_SEQ_BATCH_NORM,
  };
  static const size_t units[] = {1, 2, 4, 6, 12, 12, 12, 17};
  static const size_t groups[] = {1, 1, 1, 2, 3, 12};
  mrl_seq_layer layer = {
      .kind = kinds[random_below(sizeof kinds / sizeof *kinds)],
      .units = units[random_below(8)],
      .taps = 1 + random_below(7),
      .dilation = 1 + random_below(2) * random_below(4),
      .groups = groups[random_below(6)],
      .stride = 1 + random_below(4),
      .same = random_below(3) > 0,
      .bias = random_below(4) > 0,
      .crop = {random_below(4), random_below(4)},
      .activation = (mrl_activation)random_below(MRL_N_ACTIVATION),
      .value = 0.125,
  };
  layer.taps = random_below(12) == 0 ? 20 : layer.taps; /* wide enough to be spread */
  layer.input[0] = random_below(6) == 0 ? random_below(last + 1) : last;
  layer.input[1] = random_below(last + 1);
  return layer;
}

/* Whether the layers so far make a net. */
static inline int random_fits(const random_case *c)
{
  mrl_seqnet net;
  size_t bad;
  mrl_arena arena = mrl_arena_measure();
  mrl_seqnet_carve(&net, &bad, &arena, c->layer, c->n_layers, c->output, c->n_outputs, c->length,
                   c->n_letters);
  void *memory = random_bytes(arena.used);
  arena = mrl_arena_over(memory, arena.used);
  const mrl_status status = mrl_seqnet_carve(&net, &bad, &arena, c->layer, c->n_layers, c->output,
                                             c->n_outputs, c->length, c->n_letters);
  free(memory);
  return status == MRL_OK;
}

static inline void random_add(random_case *c, mrl_seq_layer layer)
{
  c->layer[c->n_layers++] = layer;
  if (!random_fits(c)) {
    c->n_layers--;
  }
}

/* A head: nothing, a flattened or globally pooled one, each with or without more behind it. */
static inline void random_head(random_case *c)
{
  static const mrl_seq_kind kinds[] = {MRL_SEQ_FLATTEN, MRL_SEQ_GLOBAL_MAX, MRL_SEQ_GLOBAL_AVERAGE,
                                       MRL_SEQ_GLOBAL_LSE, MRL_SEQ_DENSE};
  const size_t kind = random_below(6);
  mrl_seq_layer layer = random_layer(c->n_layers);
  layer.input[0] = c->n_layers;
  layer.kind = kind < 5 ? kinds[kind] : MRL_SEQ_ACTIVATION;
  random_add(c, layer);
  for (size_t i = random_below(4); i > 0; i--) {
    const mrl_seq_kind more[] = {MRL_SEQ_DENSE, MRL_SEQ_BATCH_NORM, MRL_SEQ_ACTIVATION};
    layer = random_layer(c->n_layers);
    layer.kind = more[random_below(3)];
    layer.input[0] = c->n_layers;
    random_add(c, layer);
  }
}

static inline random_case random_net(void)
{
  random_case c = {.n_outputs = 1, .length = 1 + random_below(70)};
  c.n_letters = random_below(5) ? 4 : 2 + random_below(19);
  const size_t wish = 1 + random_below(RANDOM_LAYERS - 6);
  for (size_t tries = 0; tries < 3 * wish && c.n_layers < wish; tries++) {
    random_add(&c, random_layer(c.n_layers));
  }
  if (random_below(4)) {
    random_head(&c);
  }
  c.output[0] = c.n_layers;
  while (c.n_outputs < RANDOM_OUTPUTS && random_below(3) == 0) {
    c.output[c.n_outputs++] = random_below(c.n_layers + 1);
    c.n_outputs -= !random_fits(&c); /* one stands twice */
  }
  return c;
}

/* A net with parameters and a plan, in memory of its own. */
typedef struct {
  random_case c;
  mrl_seqnet net;
  mrl_seq_plan plan;
  mrl_real *params, *statistics;
  void *memory[3];
} random_built;

static inline void random_params(random_built *b)
{
  double *value = random_bytes(b->net.n_load * sizeof *value);
  size_t at = 0;
  for (size_t i = 1; i < b->net.n_nodes; i++) {
    const mrl_seq_node *node = b->net.node + i;
    const double fan = node->n_weights > 0 ? (double)node->n_weights / (double)node->width : 1;
    for (size_t j = 0; j < node->n_weights; j++) {
      value[at++] = 1.7 * random_number() / sqrt(fan);
    }
    for (size_t j = 0; node->n_weights > 0 && node->layer.bias && j < node->width; j++) {
      value[at++] = 0.3 * random_number();
    }
    for (size_t j = 0; node->layer.kind == MRL_SEQ_BATCH_NORM && j < 4 * node->width; j++) {
      const int is_scale = j < node->width || j >= 3 * node->width; /* and variance */
      value[at++] = is_scale ? 1 + 0.5 * random_number() : 0.4 * random_number();
    }
  }
  mrl_seqnet_load(b->params, b->statistics, &b->net, value);
  free(value);
}

static inline void random_build(random_built *b, const random_case *c, int with_dropout,
                                mrl_isa isa)
{
  size_t bad;
  mrl_arena arena = mrl_arena_measure();
  b->c = *c;
  mrl_seqnet_carve(&b->net, &bad, &arena, c->layer, c->n_layers, c->output, c->n_outputs, c->length,
                   c->n_letters);
  b->memory[0] = random_bytes(arena.used);
  arena = mrl_arena_over(b->memory[0], arena.used);
  mrl_seqnet_carve(&b->net, &bad, &arena, b->c.layer, c->n_layers, b->c.output, c->n_outputs,
                   c->length, c->n_letters);
  b->params = random_bytes(b->net.n_params * sizeof(mrl_real));
  b->statistics = random_bytes(b->net.n_statistics * sizeof(mrl_real));
  random_params(b);
  arena = mrl_arena_measure();
  mrl_seq_plan_steps(&b->plan, &arena, &b->net, with_dropout, isa);
  b->memory[1] = random_bytes(arena.used);
  arena = mrl_arena_over(b->memory[1], arena.used);
  mrl_seq_plan_steps(&b->plan, &arena, &b->net, with_dropout, isa);
  arena = mrl_arena_measure();
  mrl_seq_plan_carve(&b->plan, &arena);
  b->memory[2] = random_bytes(arena.used);
  arena = mrl_arena_over(b->memory[2], arena.used);
  mrl_seq_plan_carve(&b->plan, &arena);
  mrl_seq_plan_fold(&b->plan, b->params, b->statistics, random_below(2) ? (mrl_real)0.25 : 0, 7, 3);
}

static inline void random_free(random_built *b)
{
  for (int i = 0; i < 3; i++) {
    free(b->memory[i]);
  }
  free(b->params);
  free(b->statistics);
}

/* Codes with an unknown letter now and then. */
static inline void random_codes(uint8_t *code, size_t n, size_t n_letters)
{
  for (size_t i = 0; i < n; i++) {
    code[i] = (uint8_t)(random_below(12) == 0 ? n_letters : random_below(n_letters));
  }
}

static inline double slow_act(const mrl_seq_layer *layer, double u)
{
  switch (layer->activation) {
  case MRL_RELU:
    return u > 0 ? u : 0;
  case MRL_LEAKY_RELU:
    return u > 0 ? u : layer->value * u;
  case MRL_GELU:
    return u * 0.5 * (1 + erf(u / sqrt(2)));
  case MRL_TANH:
    return tanh(u);
  case MRL_SIGMOID:
    return 1 / (1 + exp(-u));
  case MRL_SOFTPLUS:
    return log1p(exp(u));
  default:
    return u;
  }
}

/* Number (t, j) of a node; x, other: its inputs. Positions outside count as padding. */
static inline double slow_number(const random_built *b, const mrl_seq_node *node,
                                 const mrl_seq_node *in, const double *x, const double *other,
                                 size_t t, size_t j)
{
  const mrl_seq_layer *layer = &node->layer;
  const mrl_real *w = b->params + node->weight;
  const size_t width = in->width;
  double sum = node->n_weights > 0 && layer->bias ? b->params[node->bias + j] : 0;
  double most = -INFINITY, count = 0;
  switch (layer->kind) {
  case MRL_SEQ_CONV:
    for (size_t k = 0; k < layer->taps; k++) {
      const size_t at = t + k * layer->dilation - node->pad, group_in = width / layer->groups;
      const size_t first = j / (layer->units / layer->groups) * group_in;
      for (size_t i = 0; at < in->length && i < group_in; i++) { /* at wraps below 0 */
        sum += x[at * width + first + i] * w[(k * group_in + i) * layer->units + j];
      }
    }
    return sum;
  case MRL_SEQ_DENSE:
    for (size_t i = 0; i < in->length * width; i++) {
      sum += x[i] * w[i * layer->units + j];
    }
    return sum;
  case MRL_SEQ_BATCH_NORM:
    return (x[t * width + j] - b->statistics[node->mean + j]) /
               sqrt(b->statistics[node->var + j] + layer->value) * w[j] +
           b->params[node->bias + j];
  case MRL_SEQ_ACTIVATION:
    return slow_act(layer, x[t * width + j]);
  case MRL_SEQ_MAX_POOL:
  case MRL_SEQ_AVERAGE_POOL:
    for (size_t k = 0; k < layer->taps; k++) {
      const size_t at = t * layer->stride + k - node->pad;
      if (at < in->length) {
        sum += x[at * width + j];
        most = fmax(most, x[at * width + j]);
        count++;
      }
    }
    return layer->kind == MRL_SEQ_MAX_POOL ? most : sum / count;
  case MRL_SEQ_GLOBAL_MAX:
  case MRL_SEQ_GLOBAL_AVERAGE:
  case MRL_SEQ_GLOBAL_LSE:
    for (size_t p = 0; p < in->length; p++) {
      const double value = x[p * width + j];
      sum += layer->kind == MRL_SEQ_GLOBAL_LSE ? exp(value) : value;
      most = fmax(most, value);
    }
    return layer->kind == MRL_SEQ_GLOBAL_MAX       ? most
           : layer->kind == MRL_SEQ_GLOBAL_AVERAGE ? sum / (double)in->length
                                                   : log(sum);
  case MRL_SEQ_CROP:
    return x[(t + layer->crop[0]) * width + j];
  case MRL_SEQ_FLATTEN:
    return x[j];
  case MRL_SEQ_ADD:
    return x[t * width + j] + other[t * width + j];
  default:
    return x[t * width + j];
  }
}

/* out (n_outputs); dropout is the identity. */
static inline void slow_forward(double *out, const random_built *b, const uint8_t *code)
{
  double *value[RANDOM_LAYERS + 1];
  for (size_t i = 0; i < b->net.n_nodes; i++) {
    const mrl_seq_node *node = b->net.node + i;
    const mrl_seq_layer *layer = &node->layer;
    value[i] = random_bytes(node->length * node->width * sizeof(double));
    for (size_t t = 0; t < node->length; t++) {
      for (size_t j = 0; j < node->width; j++) {
        double *to = value[i] + t * node->width + j;
        if (i == 0) {
          *to = code[t] == j ? 1 : code[t] < node->width ? 0 : (double)b->plan.unknown;
          continue;
        }
        *to = slow_number(b, node, b->net.node + layer->input[0], value[layer->input[0]],
                          layer->kind == MRL_SEQ_ADD ? value[layer->input[1]] : NULL, t, j);
      }
    }
    if (node->output_at != SIZE_MAX) {
      memcpy(out + node->output_at, value[i], node->length * node->width * sizeof *out);
    }
  }
  for (size_t i = 0; i < b->net.n_nodes; i++) {
    free(value[i]);
  }
}

#endif
