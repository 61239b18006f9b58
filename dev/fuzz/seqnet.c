/* libFuzzer's entry to descriptions of networks and their weights: any layers, of any sizes that
 * R's whole numbers hold, are refused or laid out; small ones are loaded with any weights, predict,
 * and predict substitutions, in memory of just the size that was measured. */
#include "fuzz.h"
#include "ism.h"
#include "seqnet.h"

enum { MOST_LAYERS = 8, MOST_BYTES = 1 << 18, N_SEQUENCES = 2 };

/* Mostly small; one in sixteen any whole number from 0 that R has. */
static size_t eat_size(fuzz_input *in)
{
  const unsigned first = eat(in);
  if (first < 240) {
    return first % 12;
  }
  uint32_t wide = 0;
  for (int i = 0; i < 4; i++) {
    wide = wide << 8 | eat(in);
  }
  return wide >> 1;
}

static mrl_seq_layer eat_layer(fuzz_input *in, size_t i)
{
  static const double value[] = {0, 1e-3, 0.2, 0.9, 1, -1};
  const unsigned how = eat(in);
  return (mrl_seq_layer){
      .kind = (mrl_seq_kind)(eat(in) % (MRL_SEQ_N_KIND + 1)),
      .input = {how & 1 ? i : eat_size(in), eat_size(in)},
      .units = eat_size(in),
      .taps = eat_size(in),
      .dilation = how & 2 ? 1 : eat_size(in),
      .groups = how & 4 ? 1 : eat_size(in),
      .stride = eat_size(in),
      .same = how >> 3 & 1,
      .bias = how >> 4 & 1,
      .crop = {eat_size(in), eat_size(in)},
      .activation = (mrl_activation)(eat(in) % (MRL_N_ACTIVATION + 1)),
      .value = value[eat(in) % 6],
  };
}

typedef struct {
  mrl_seq_layer layer[MOST_LAYERS];
  size_t n_layers, output[2], n_outputs, length, n_letters;
  int with_dropout;
} described;

static described eat_description(fuzz_input *in)
{
  described d = {.length = eat_size(in), .n_letters = eat_size(in), .n_layers = eat(in) % 9};
  for (size_t i = 0; i < d.n_layers; i++) {
    d.layer[i] = eat_layer(in, i);
  }
  d.n_outputs = 1 + (eat(in) & 1);
  d.output[0] = d.n_layers;
  d.output[1] = eat_size(in);
  d.with_dropout = eat(in) & 1;
  return d;
}

static mrl_status carve_net(mrl_seqnet *net, mrl_arena *arena, const described *d)
{
  size_t bad;
  const mrl_status status = mrl_seqnet_carve(net, &bad, arena, d->layer, d->n_layers, d->output,
                                             d->n_outputs, d->length, d->n_letters);
  check(bad <= d->n_layers);
  return status;
}

/* Weights of one byte each, some large. */
static double *eat_weights(fuzz_input *in, size_t n)
{
  double *out = malloc((n + 1) * sizeof *out);
  for (size_t i = 0; i < n; i++) {
    const unsigned byte = eat(in);
    out[i] = byte == 255 ? 1e30 : byte == 254 ? -1e30 : ((double)byte - 100) / 50;
  }
  return out;
}

static void run(mrl_seq_plan *plan, fuzz_input *in, const mrl_ctx *ctx)
{
  const mrl_seqnet *net = plan->net;
  const size_t length = net->node->length, width = net->node->width;
  const size_t scratch_size = mrl_seq_predict_scratch(plan, ctx);
  mrl_ism ism;
  mrl_arena arena = mrl_arena_measure();
  if (width > 200 || scratch_size > MOST_BYTES || mrl_ism_carve(&ism, &arena, plan) != MRL_OK ||
      arena.used > MOST_BYTES) {
    return;
  }
  uint8_t *code = eat_bytes(in, length * N_SEQUENCES);
  for (size_t i = 0; i < length * N_SEQUENCES; i++) {
    code[i] %= (uint8_t)(width + 1);
  }
  double *out = malloc(N_SEQUENCES * net->n_outputs * sizeof *out);
  void *scratch = malloc(scratch_size);
  check(mrl_seq_predict(out, plan, code, N_SEQUENCES, scratch, ctx) != MRL_BAD_ARGUMENT);
  free(scratch);
  void *memory = malloc(arena.used);
  arena = mrl_arena_over(memory, arena.used);
  check(mrl_ism_carve(&ism, &arena, plan) == MRL_OK);
  mrl_ism_fold(&ism);
  const size_t ism_size = mrl_ism_scratch(&ism, ctx);
  if (ism_size <= MOST_BYTES) {
    const uint32_t at = (uint32_t)(eat(in) % length);
    const mrl_variant variant[] = {{0, at, (uint8_t)(eat(in) % width)},
                                   {1, (uint32_t)(eat(in) % length), (uint8_t)(eat(in) % width)}};
    scratch = malloc(ism_size);
    check(mrl_ism_run(out, &ism, code, variant, 2, scratch, ctx) != MRL_BAD_ARGUMENT);
    free(scratch);
  }
  free(memory);
  free(out);
  free(code);
}

static void load(const mrl_seqnet *net, const described *d, fuzz_input *in, const mrl_ctx *ctx)
{
  mrl_seq_plan plan;
  mrl_arena arena = mrl_arena_measure();
  if (net->n_load > MOST_BYTES || net->n_outputs > MOST_BYTES ||
      mrl_seq_plan_steps(&plan, &arena, net, d->with_dropout, MRL_ISA_PORTABLE) != MRL_OK ||
      arena.used > MOST_BYTES) {
    return;
  }
  void *steps = malloc(arena.used);
  arena = mrl_arena_over(steps, arena.used);
  check(mrl_seq_plan_steps(&plan, &arena, net, d->with_dropout, MRL_ISA_PORTABLE) == MRL_OK);
  arena = mrl_arena_measure();
  if (mrl_seq_plan_carve(&plan, &arena) == MRL_OK && arena.used <= MOST_BYTES) {
    void *memory = malloc(arena.used);
    arena = mrl_arena_over(memory, arena.used);
    check(mrl_seq_plan_carve(&plan, &arena) == MRL_OK);
    double *values = eat_weights(in, net->n_load);
    mrl_real *params = malloc((net->n_params + 1) * sizeof *params);
    mrl_real *statistics = malloc((net->n_statistics + 1) * sizeof *statistics);
    mrl_seqnet_load(params, statistics, net, values);
    mrl_seq_plan_fold(&plan, params, statistics, 0, 1, 0);
    run(&plan, in, ctx);
    free(values);
    free(params);
    free(statistics);
    free(memory);
  }
  free(steps);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  const mrl_ctx ctx = {1, NULL, NULL};
  fuzz_input in = {data, size};
  const described d = eat_description(&in);
  mrl_seqnet net;
  mrl_arena arena = mrl_arena_measure();
  check(carve_net(&net, &arena, &d) == MRL_OK);
  void *memory = malloc(arena.used);
  arena = mrl_arena_over(memory, arena.used);
  if (carve_net(&net, &arena, &d) == MRL_OK) {
    load(&net, &d, &in, &ctx);
  }
  free(memory);
  return 0;
}
