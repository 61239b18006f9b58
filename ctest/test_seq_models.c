/*
 * Published models in double against predictions recorded in double, to 1e-10 of the output's
 * scale: flat weights of the shared data, searched for in the environment variable
 * MRLEARN_SHARED_DATA; nothing is checked where it is not set.
 */
#include "seq_double.h"

#include "conv.c"
#include "ctest.h"
#include "ism.c"
#include "ism_pass.c"
#include "ism_pool.c"
#include "seq.c"
#include "seqnet.c"
#include "seqnet_fold.c"
#include "seqnet_forward.c"
#include "seqnet_loops.c"
#include "seqnet_plan.c"

#include "seq_random.h"

enum { N_SEQUENCES = 20, LINE = 4096, MANY_LAYERS = 64, MOST_OUTPUTS = 12, WINDOW = 6 };

typedef struct {
  const char *dir;
  size_t length, n_layers, n_outputs, output[2];
  mrl_seq_layer layer[MANY_LAYERS];
} model;

static FILE *open_shared(const model *m, const char *file, const char *mode)
{
  char path[LINE];
  snprintf(path, sizeof path, "%s/models/%s/%s", getenv("MRLEARN_SHARED_DATA"), m->dir, file);
  FILE *stream = fopen(path, mode);
  if (!stream) {
    fprintf(stderr, "cannot open %s\n", path);
    abort();
  }
  return stream;
}

static size_t add_layer(model *m, mrl_seq_layer layer)
{
  layer.input[0] = layer.kind == MRL_SEQ_ADD || layer.input[0] > 0 ? layer.input[0] : m->n_layers;
  layer.bias = 1;
  layer.groups = 1;
  layer.dilation = layer.dilation > 0 ? layer.dilation : 1;
  m->layer[m->n_layers++] = layer;
  return m->n_layers;
}

static size_t add_conv(model *m, size_t units, size_t taps, size_t dilation, int same)
{
  const mrl_seq_layer layer = {
      .kind = MRL_SEQ_CONV, .units = units, .taps = taps, .dilation = dilation, .same = same};
  return add_layer(m, layer);
}

static size_t add_relu(model *m)
{
  const mrl_seq_layer layer = {.kind = MRL_SEQ_ACTIVATION, .activation = MRL_RELU};
  return add_layer(m, layer);
}

static size_t add_dense(model *m, size_t units)
{
  const mrl_seq_layer layer = {.kind = MRL_SEQ_DENSE, .units = units};
  return add_layer(m, layer);
}

static model mpra(void)
{
  model m = {.dir = "mpra_dragonn", .length = 145, .n_outputs = 1};
  const mrl_seq_layer norm = {.kind = MRL_SEQ_BATCH_NORM, .value = 1e-3};
  for (int i = 0; i < 3; i++) {
    add_conv(&m, 120, 5, 1, 0);
    add_relu(&m);
    add_layer(&m, norm);
  }
  m.output[0] = add_dense(&m, 12);
  return m;
}

static model tal1(const char *dir)
{
  model m = {.dir = dir, .length = 200, .n_outputs = 1};
  const mrl_seq_layer pool = {.kind = MRL_SEQ_AVERAGE_POOL, .taps = 180, .stride = 180};
  for (int i = 0; i < 2; i++) {
    add_conv(&m, 50, 11, 1, 0);
    add_relu(&m);
  }
  add_layer(&m, pool);
  add_dense(&m, 50);
  add_relu(&m);
  m.output[0] = add_dense(&m, 3);
  return m;
}

static model bpnet(void)
{
  model m = {.dir = "bpnet_lite_example", .length = 2114, .n_outputs = 2};
  add_conv(&m, 64, 21, 1, 1);
  size_t h = add_relu(&m);
  for (size_t i = 1; i <= 8; i++) {
    add_conv(&m, 64, 3, (size_t)1 << i, 1);
    const mrl_seq_layer sum = {.kind = MRL_SEQ_ADD, .input = {h, add_relu(&m)}};
    h = add_layer(&m, sum);
  }
  add_conv(&m, 2, 75, 1, 1);
  const mrl_seq_layer profile = {.kind = MRL_SEQ_CROP, .crop = {557, 557}};
  const mrl_seq_layer lse = {.kind = MRL_SEQ_GLOBAL_LSE};
  const mrl_seq_layer middle = {.kind = MRL_SEQ_CROP, .crop = {520, 520}, .input = {h, 0}};
  const mrl_seq_layer mean = {.kind = MRL_SEQ_GLOBAL_AVERAGE};
  add_layer(&m, profile);
  m.output[1] = add_layer(&m, lse);
  add_layer(&m, middle);
  add_layer(&m, mean);
  m.output[0] = add_dense(&m, 1);
  return m;
}

/* The blob in our order of parameters, convolutions turned where PyTorch wrote them. */
static double *read_weights(const model *m, const mrl_seqnet *net, int from_torch)
{
  float *blob = random_bytes(net->n_load * sizeof *blob);
  double *values = random_bytes(net->n_load * sizeof *values);
  FILE *stream = open_shared(m, "weights_f32.bin", "rb");
  CHECK(fread(blob, sizeof *blob, net->n_load, stream) == net->n_load);
  fclose(stream);
  for (size_t i = 0; i < net->n_load; i++) {
    values[i] = blob[i];
  }
  size_t at = 0;
  for (size_t n = 1; from_torch && n < net->n_nodes; n++) {
    const mrl_seq_node *node = net->node + n;
    if (node->layer.kind == MRL_SEQ_CONV) {
      const size_t taps = node->layer.taps, out = node->width, in = node->n_weights / taps / out;
      for (size_t i = 0; i < node->n_weights; i++) {
        values[at + i] = blob[at + (i % out * in + i / out % in) * taps + i / out / in];
      }
    }
    at += node->n_weights > 0 ? node->n_weights + node->width : 0;
  }
  free(blob);
  return values;
}

static void read_codes(uint8_t *code, const model *m)
{
  char line[LINE];
  mrl_alphabet dna;
  CHECK(mrl_alphabet_make(&dna, "ACGT", "N") == MRL_OK);
  FILE *stream = open_shared(m, "random20.fa", "r");
  size_t n = 0;
  while (n < N_SEQUENCES * m->length && fgets(line, sizeof line, stream)) {
    const size_t letters = strcspn(line, "\r\n");
    if (line[0] != '>' && n + letters <= N_SEQUENCES * m->length) {
      CHECK(mrl_seq_encode(code + n, line, letters, &dna) == letters);
      n += letters;
    }
  }
  CHECK(n == N_SEQUENCES * m->length);
  fclose(stream);
}

/* recorded (n_outputs, N_SEQUENCES). */
static void read_recorded(double *recorded, const model *m, size_t n_outputs)
{
  char line[LINE];
  FILE *stream = open_shared(m, "predictions_random20.csv", "r");
  CHECK(fgets(line, sizeof line, stream) != NULL);
  for (size_t i = 0; i < N_SEQUENCES && fgets(line, sizeof line, stream); i++) {
    char *at = strchr(line, ',');
    for (size_t k = 0; k < n_outputs && at; k++) {
      recorded[i * n_outputs + k] = strtod(at + 1, &at);
    }
  }
  fclose(stream);
}

static double worst_error(const double *found, const double *recorded, size_t n_outputs)
{
  double worst = 0;
  for (size_t k = 0; k < n_outputs; k++) {
    double scale = 0, error = 0;
    for (size_t i = k; i < N_SEQUENCES * n_outputs; i += n_outputs) {
      scale = fmax(scale, fabs(recorded[i]));
      error = found[i] == found[i] ? fmax(error, fabs(found[i] - recorded[i])) : INFINITY;
    }
    worst = fmax(worst, error / scale);
  }
  return worst;
}

/* Effects around the middle of the first sequence against predictions of its mutants. */
static void check_mutants(const mrl_seq_plan *plan, uint8_t *code, const double *reference)
{
  const size_t length = plan->net->node->length, n_outputs = plan->net->n_outputs;
  const mrl_ctx ctx = {1, NULL, NULL};
  mrl_ism ism;
  mrl_arena arena = mrl_arena_measure();
  CHECK(mrl_ism_carve(&ism, &arena, plan) == MRL_OK);
  void *memory = random_bytes(arena.used);
  arena = mrl_arena_over(memory, arena.used);
  CHECK(mrl_ism_carve(&ism, &arena, plan) == MRL_OK);
  mrl_ism_fold(&ism);
  mrl_variant variants[WINDOW];
  for (size_t i = 0; i < WINDOW; i++) {
    const size_t position = length / 2 + i / 2;
    const mrl_variant v = {0, (uint32_t)position, (uint8_t)((code[position] + 1 + i % 2) % 4)};
    variants[i] = v;
  }
  double effect[WINDOW * MOST_OUTPUTS], mutant[MOST_OUTPUTS];
  void *scratch = random_bytes(mrl_ism_scratch(&ism, &ctx));
  void *again = random_bytes(mrl_seq_predict_scratch(plan, &ctx));
  CHECK(mrl_ism_run(effect, &ism, code, variants, WINDOW, scratch, &ctx) == MRL_OK);
  for (size_t i = 0; i < WINDOW; i++) {
    const uint8_t before = code[variants[i].position];
    code[variants[i].position] = variants[i].alt;
    CHECK(mrl_seq_predict(mutant, plan, code, 1, again, &ctx) == MRL_OK);
    code[variants[i].position] = before;
    for (size_t k = 0; k < n_outputs; k++) {
      CHECK_NEAR(effect[i * n_outputs + k], mutant[k] - reference[k], 1e-10);
    }
  }
  free(scratch);
  free(again);
  free(memory);
}

static void *carve_plan(mrl_seq_plan *plan, const mrl_seqnet *net)
{
  mrl_arena steps = mrl_arena_measure(), rest = mrl_arena_measure();
  CHECK(mrl_seq_plan_steps(plan, &steps, net, 0, MRL_ISA_AVX512) == MRL_OK);
  unsigned char *memory = random_bytes((size_t)1 << 25);
  steps = mrl_arena_over(memory, (size_t)1 << 20);
  CHECK(mrl_seq_plan_steps(plan, &steps, net, 0, MRL_ISA_AVX512) == MRL_OK);
  rest = mrl_arena_over(memory + ((size_t)1 << 20), (size_t)31 << 20);
  CHECK(mrl_seq_plan_carve(plan, &rest) == MRL_OK);
  return memory;
}

static void check_model(const model *m, int from_torch)
{
  static unsigned char memory[1 << 16];
  mrl_seqnet net;
  size_t bad;
  mrl_arena arena = mrl_arena_over(memory, sizeof memory);
  CHECK(mrl_seqnet_carve(&net, &bad, &arena, m->layer, m->n_layers, m->output, m->n_outputs,
                         m->length, 4) == MRL_OK);
  double *values = read_weights(m, &net, from_torch);
  mrl_real *params = test_reals(net.n_params), *statistics = test_reals(net.n_statistics);
  mrl_seqnet_load(params, statistics, &net, values);
  mrl_seq_plan plan;
  void *plan_memory = carve_plan(&plan, &net);
  mrl_seq_plan_fold(&plan, params, statistics, 0, 0, 0);

  const mrl_ctx ctx = {1, NULL, NULL};
  uint8_t *code = random_bytes(N_SEQUENCES * m->length);
  double found[N_SEQUENCES * MOST_OUTPUTS], recorded[N_SEQUENCES * MOST_OUTPUTS];
  void *scratch = random_bytes(mrl_seq_predict_scratch(&plan, &ctx));
  read_codes(code, m);
  read_recorded(recorded, m, net.n_outputs);
  CHECK(mrl_seq_predict(found, &plan, code, N_SEQUENCES, scratch, &ctx) == MRL_OK);
  CHECK_NEAR(worst_error(found, recorded, net.n_outputs), 0, 1e-10);
  check_mutants(&plan, code, found);
  free(scratch);
  free(code);
  free(plan_memory);
  free(params);
  free(statistics);
  free(values);
}

int main(void)
{
  if (getenv("MRLEARN_SHARED_DATA")) {
    const model models[] = {mpra(),
                            tal1("tal1_gata_sim"),
                            tal1("tal1_gata_sim/ensemble/member1"),
                            tal1("tal1_gata_sim/ensemble/member2"),
                            tal1("tal1_gata_sim/ensemble/member3"),
                            bpnet()};
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
      check_model(models + i, i == sizeof models / sizeof *models - 1);
    }
  }
  return CTEST_DONE();
}
