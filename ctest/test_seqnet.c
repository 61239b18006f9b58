/* Networks on sequences, in double, against each layer's definition; and what is refused. */
#include "seq_double.h"

#include "ctest.h"
#include "conv.c"
#include "seq.c"
#include "seqnet.c"
#include "seqnet_fold.c"
#include "seqnet_forward.c"
#include "seqnet_loops.c"
#include "seqnet_plan.c"

#include "seq_random.h"

/* Sums of some hundred products of order 1 and a dozen layers: 1e-10 of the scale is far above
 * their rounding and far below any number that is left out. */
static void check_net(const random_built *b, const uint8_t *code, size_t n, const mrl_ctx *ctx)
{
  const size_t n_outputs = b->net.n_outputs;
  double *fast = random_bytes(n * n_outputs * sizeof *fast), *slow = random_bytes(n_outputs * 8);
  void *scratch = random_bytes(mrl_seq_predict_scratch(&b->plan, ctx));
  CHECK(mrl_seq_predict(fast, &b->plan, code, n, scratch, ctx) == MRL_OK);
  for (size_t i = 0; i < n; i++) {
    double scale = 1, worst = 0;
    slow_forward(slow, b, code + i * b->c.length);
    for (size_t k = 0; k < n_outputs; k++) {
      const double error = fabs(fast[i * n_outputs + k] - slow[k]);
      scale = fmax(scale, fabs(slow[k]));
      worst = error > worst || error != error ? error : worst;
    }
    CHECK_NEAR(worst / scale, 0, 1e-10);
  }
  free(fast);
  free(slow);
  free(scratch);
}

static void test_random(void)
{
  for (int i = 0; i < 300; i++) {
    const random_case c = random_net();
    const mrl_ctx ctx = {1 + i % 2, NULL, NULL};
    random_built b;
    random_build(&b, &c, 0, (mrl_isa)(i % 3));
    uint8_t *code = random_bytes(5 * c.length);
    random_codes(code, 5 * c.length, c.n_letters);
    check_net(&b, code, 5, &ctx);
    free(code);
    random_free(&b);
  }
}

static mrl_status lay(mrl_seq_layer layer, size_t length, size_t *bad)
{
  mrl_seqnet net;
  const size_t output = 1;
  static unsigned char memory[4096];
  mrl_arena arena = mrl_arena_over(memory, sizeof memory);
  return mrl_seqnet_carve(&net, bad, &arena, &layer, 1, &output, 1, length, 4);
}

static void test_refused(void)
{
  size_t bad = 9;
  mrl_seq_layer conv = {
      .kind = MRL_SEQ_CONV, .units = 2, .taps = 5, .dilation = 2, .groups = 1, .stride = 1};
  CHECK(lay(conv, 9, &bad) == MRL_OK);
  CHECK(lay(conv, 8, &bad) == MRL_TOO_FEW && bad == 0);
  conv.same = 1;
  CHECK(lay(conv, 1, &bad) == MRL_OK);
  conv.groups = 3;
  CHECK(lay(conv, 9, &bad) == MRL_BAD_ARGUMENT && bad == 0);
  conv.groups = 1;
  conv.input[0] = 1;
  CHECK(lay(conv, 9, &bad) == MRL_BAD_ARGUMENT);
  conv.input[0] = 0;
  conv.units = SIZE_MAX / 8;
  CHECK(lay(conv, 9, &bad) == MRL_NO_MEMORY);
  const mrl_seq_layer crop = {.kind = MRL_SEQ_CROP, .crop = {4, 5}};
  CHECK(lay(crop, 10, &bad) == MRL_OK);
  CHECK(lay(crop, 9, &bad) == MRL_TOO_FEW);
  const mrl_seq_layer dropout = {.kind = MRL_SEQ_DROPOUT, .value = 1};
  CHECK(lay(dropout, 9, &bad) == MRL_BAD_ARGUMENT);
  const mrl_seq_layer unknown = {.kind = MRL_SEQ_N_KIND};
  CHECK(lay(unknown, 9, &bad) == MRL_BAD_ARGUMENT);
}

/* Masks keep the expectation, differ between members and stay from sequence to sequence. */
static void test_dropout(void)
{
  enum { LENGTH = 2000 };
  const mrl_seq_layer layers[] = {{.kind = MRL_SEQ_DROPOUT, .value = 0.25},
                                  {.kind = MRL_SEQ_GLOBAL_AVERAGE, .input = {1, 0}}};
  random_case c = {.n_layers = 2, .output = {2}, .n_outputs = 1, .length = LENGTH, .n_letters = 4};
  memcpy(c.layer, layers, sizeof layers);
  random_built b;
  random_build(&b, &c, 1, MRL_ISA_AVX512);
  uint8_t *code = random_bytes(2 * LENGTH);
  memset(code, 0, 2 * LENGTH);
  double out[8], other[8];
  const mrl_ctx ctx = {1, NULL, NULL};
  void *scratch = random_bytes(mrl_seq_predict_scratch(&b.plan, &ctx));
  CHECK(mrl_seq_predict(out, &b.plan, code, 2, scratch, &ctx) == MRL_OK);
  /* the mean of 2000 masks: sd sqrt(.25 / .75 / 2000) = .013, five of them */
  CHECK_NEAR(out[0], 1, 0.065);
  CHECK(out[0] != 1 && out[0] == out[4] && out[1] == 0);
  mrl_seq_plan_fold(&b.plan, b.params, b.statistics, 0, 7, 4);
  CHECK(mrl_seq_predict(other, &b.plan, code, 2, scratch, &ctx) == MRL_OK);
  CHECK(other[0] != out[0]);
  free(scratch);
  free(code);
  random_free(&b);
}

int main(void)
{
  test_random();
  test_refused();
  test_dropout();
  return CTEST_DONE();
}
