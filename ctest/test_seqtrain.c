/* Training of sequence networks: what it learns, what stops it, that it goes on from a state, and
 * that threads change nothing. */
#include "ctest.h"

#include "seqtrain.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LENGTH = 20, SEQUENCES = 400, TRAIN = 300, LAYERS = 5 };

static const mrl_ctx serial = {1, NULL, NULL}, two = {2, NULL, NULL};

static void *bytes(size_t n)
{
  void *memory = malloc(n + 1);
  if (!memory) {
    abort();
  }
  return memset(memory, 0xa5, n + 1);
}

/* Sequences whose label is how often 0 is followed by 3. */
typedef struct {
  mrl_seqnet net;
  mrl_seqtrain train;
  mrl_seqpass_data data;
  mrl_seqloss_head head;
  uint8_t code[SEQUENCES * LENGTH];
  float label[SEQUENCES];
  size_t row[SEQUENCES];
  void *memory[3];
} rig;

static void draw_data(rig *r)
{
  unsigned long long state = 7;
  for (size_t i = 0; i < SEQUENCES * LENGTH; i++) {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    r->code[i] = (uint8_t)(state >> 62);
  }
  for (size_t i = 0; i < SEQUENCES; i++) {
    const uint8_t *code = r->code + i * LENGTH;
    r->label[i] = 0;
    r->row[i] = i;
    for (size_t t = 0; t + 1 < LENGTH; t++) {
      r->label[i] += code[t] == 0 && code[t + 1] == 3;
    }
  }
}

static void lay_net(rig *r)
{
  const mrl_seq_layer layer[LAYERS] = {
      {.kind = MRL_SEQ_CONV, .units = 4, .taps = 2, .dilation = 1, .groups = 1, .bias = 1},
      {.kind = MRL_SEQ_BATCH_NORM, .input = {1}, .value = 1e-5},
      {.kind = MRL_SEQ_ACTIVATION, .input = {2}, .activation = MRL_RELU},
      {.kind = MRL_SEQ_GLOBAL_AVERAGE, .input = {3}},
      {.kind = MRL_SEQ_DENSE, .input = {4}, .units = 1, .bias = 1}};
  const size_t output = LAYERS;
  size_t bad;
  mrl_arena arena = mrl_arena_measure();
  mrl_seqnet_carve(&r->net, &bad, &arena, layer, LAYERS, &output, 1, LENGTH, 4);
  r->memory[0] = bytes(arena.used);
  arena = mrl_arena_over(r->memory[0], arena.used);
  CHECK(mrl_seqnet_carve(&r->net, &bad, &arena, layer, LAYERS, &output, 1, LENGTH, 4) == MRL_OK);
}

static mrl_train_settings quick(void)
{
  const mrl_train_settings s = {
      .epochs = 150,
      .batch = 50,
      .patience = 30,
      .rate = 0.02,
      .optimizer = {.kind = MRL_AMSGRAD, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8},
      .seed = 3};
  return s;
}

static rig *rig_new(const mrl_train_settings *settings, const mrl_ctx *ctx)
{
  rig *r = bytes(sizeof *r);
  draw_data(r);
  lay_net(r);
  const mrl_seqloss_head head = {MRL_LOSS_HEAD_SQUARED, 0, 1, 1, 1};
  const mrl_seqpass_data data = {r->code, r->label, 0, &r->head, 1};
  r->head = head;
  r->data = data;
  const mrl_seqtrain_task task = {&r->net, &r->data,          r->row,   r->row + TRAIN,
                                  TRAIN,   SEQUENCES - TRAIN, settings, MRL_ISA_AVX512};
  mrl_arena arena = mrl_arena_measure();
  CHECK(mrl_seqtrain_steps(&r->train, &arena, &task) == MRL_OK);
  r->memory[1] = bytes(arena.used);
  arena = mrl_arena_over(r->memory[1], arena.used);
  CHECK(mrl_seqtrain_steps(&r->train, &arena, &task) == MRL_OK);
  arena = mrl_arena_measure();
  CHECK(mrl_seqtrain_carve(&r->train, &arena, ctx) == MRL_OK);
  r->memory[2] = bytes(arena.used);
  arena = mrl_arena_over(r->memory[2], arena.used);
  CHECK(mrl_seqtrain_carve(&r->train, &arena, ctx) == MRL_OK);
  return r;
}

static void rig_free(rig *r)
{
  for (int i = 0; i < 3; i++) {
    free(r->memory[i]);
  }
  free(r);
}

static double valid_loss(rig *r)
{
  double sum = NAN;
  CHECK(mrl_seqpass_evaluate(&sum, NULL, &r->train.run, r->train.params, r->train.statistics,
                             &r->data, r->train.valid, r->train.n_valid, &serial) == MRL_OK);
  return sum / (double)r->train.n_valid;
}

/* The labels' variance is about 1; the net can be exact. The best epoch's weights are those left.
 */
static void test_learns(void)
{
  const mrl_train_settings settings = quick();
  const double level = 1.2;
  rig *r = rig_new(&settings, &serial);
  mrl_seqtrain_start(&r->train, &level, NULL);
  CHECK_NEAR(r->train.params[r->net.node[LAYERS].bias], 1.2, 1e-6);
  CHECK(mrl_seqtrain_run(&r->train, SIZE_MAX, &serial) == MRL_OK);
  const mrl_progress *progress = &r->train.progress;
  CHECK(progress->best_loss < 0.1);
  CHECK(r->train.history[progress->best_epoch - 1].valid == progress->best_loss);
  CHECK_NEAR(valid_loss(r), progress->best_loss, 1e-12);
  double *values = bytes(r->net.n_load * sizeof *values);
  mrl_seqtrain_unload(values, &r->train);
  rig *again = rig_new(&settings, &serial);
  mrl_seqtrain_start(&again->train, NULL, values);
  CHECK_NEAR(valid_loss(again), progress->best_loss, 1e-12);
  free(values);
  rig_free(again);
  rig_free(r);
}

static void test_threads(void)
{
  mrl_train_settings settings = quick();
  settings.epochs = 3;
  rig *a = rig_new(&settings, &serial), *b = rig_new(&settings, &two);
  b->train.run.products = 1e9; /* or threads would not be worth it */
  mrl_seqtrain_start(&a->train, NULL, NULL);
  mrl_seqtrain_start(&b->train, NULL, NULL);
  CHECK(mrl_seqtrain_run(&a->train, SIZE_MAX, &serial) == MRL_OK);
  CHECK(mrl_seqtrain_run(&b->train, SIZE_MAX, &two) == MRL_OK);
  CHECK(memcmp(a->train.params, b->train.params, a->train.n_model * sizeof(float)) == 0);
  rig_free(a);
  rig_free(b);
}

/* Slices of three epochs, each in memory of its own, end in the bits of one run; a state of another
 * training, or cut off, changes nothing. */
static void test_resumes(void)
{
  mrl_train_settings settings = quick();
  settings.epochs = 11;
  rig *whole = rig_new(&settings, &serial), *part = NULL;
  mrl_seqtrain_start(&whole->train, NULL, NULL);
  CHECK(mrl_seqtrain_run(&whole->train, SIZE_MAX, &serial) == MRL_OK);
  const size_t size = mrl_seqtrain_bytes(&whole->train);
  unsigned char *state = bytes(size);
  for (size_t until = 3; until < 15; until += 3) {
    rig *next = rig_new(&settings, until == 6 ? &two : &serial);
    mrl_seqtrain_start(&next->train, NULL, NULL);
    if (part) {
      mrl_seqtrain_save(state, &part->train);
      rig_free(part);
      CHECK(mrl_seqtrain_load(&next->train, state, size - 1) == MRL_BAD_ARGUMENT);
      CHECK(next->train.progress.epoch == 0);
      CHECK(mrl_seqtrain_load(&next->train, state, size) == MRL_OK);
      state[16]++; /* a word of the owner's */
      CHECK(mrl_seqtrain_load(&next->train, state, size) == MRL_BAD_ARGUMENT);
    }
    part = next;
    CHECK(mrl_seqtrain_run(&part->train, until, until == 6 ? &two : &serial) == MRL_OK);
    CHECK((part->train.progress.stop == MRL_GOES_ON) == (until < 11));
  }
  CHECK(memcmp(whole->train.state, part->train.state, whole->train.n_state * sizeof(mrl_real)) ==
        0);
  CHECK(whole->train.progress.best_loss == part->train.progress.best_loss);
  CHECK(whole->train.history[5].valid == part->train.history[5].valid);
  free(state);
  rig_free(part);
  rig_free(whole);
}

static void test_stops(void)
{
  mrl_train_settings settings = quick();
  settings.rate = 1e20;
  settings.optimizer.kind = MRL_SGD;
  rig *r = rig_new(&settings, &serial);
  mrl_seqtrain_start(&r->train, NULL, NULL);
  CHECK(mrl_seqtrain_run(&r->train, SIZE_MAX, &serial) == MRL_NOT_FINITE);
  CHECK(r->train.progress.stop == MRL_STOP_DIVERGED);
  CHECK(isfinite(valid_loss(r)));
  rig_free(r);
  settings = quick();
  settings.rate = 1e-12; /* too little to find anything: no epoch is better than the start */
  settings.patience = 2;
  settings.optimizer.kind = MRL_SGD;
  r = rig_new(&settings, &serial);
  mrl_seqtrain_start(&r->train, NULL, NULL);
  mrl_seqtrain_run(&r->train, SIZE_MAX, &serial);
  CHECK(r->train.progress.stop == MRL_STOP_PATIENCE || r->train.progress.epoch == settings.epochs);
  rig_free(r);
  settings.rate = NAN;
  const mrl_seqtrain_task task = {.settings = &settings, .n_train = 1};
  mrl_seqtrain train;
  mrl_arena arena = mrl_arena_measure();
  CHECK(mrl_seqtrain_steps(&train, &arena, &task) == MRL_BAD_ARGUMENT);
}

int main(void)
{
  test_learns();
  test_threads();
  test_resumes();
  test_stops();
  return CTEST_DONE();
}
