/* Passes that train sequence networks, in double: gradients of random networks by central
 * differences, outputs against the forward pass, threads. */
#include "seq_double.h"

#include "ctest.h"
#include "seq_random.h"

#include "conv.c"
#include "layer.c"
#include "seq.c"
#include "seqloss.c"
#include "seqnet.c"
#include "seqnet_fold.c"
#include "seqnet_forward.c"
#include "seqnet_loops.c"
#include "seqnet_plan.c"
#include "seqpass.c"
#include "seqpass_backward.c"
#include "seqpass_forward.c"
#include "seqpass_loops.c"
#include "seqpass_params.c"
#include "seqpass_plan.c"

enum { SEQUENCES = 7 };

static const mrl_ctx serial = {1, NULL, NULL}, two = {2, NULL, NULL};

/* A net with data, and all that a pass needs. */
typedef struct {
  random_built built;
  mrl_seqpass run;
  mrl_seqpass_data data;
  mrl_seqloss_head head[2];
  uint8_t *code;
  mrl_real *label, *statistics;
  size_t row[SEQUENCES];
  void *memory[2];
} rig;

static void draw_data(rig *r)
{
  const mrl_seqnet *net = &r->built.net;
  const size_t length = net->node->length, half = net->n_outputs / 2;
  r->code = random_bytes(SEQUENCES * length);
  for (size_t i = 0; i < SEQUENCES * length; i++) {
    r->code[i] = (uint8_t)random_below(net->node->width + (random_below(9) == 0));
  }
  r->label = random_bytes(SEQUENCES * net->n_outputs * sizeof *r->label);
  for (size_t i = 0; i < SEQUENCES * net->n_outputs; i++) {
    r->label[i] = (mrl_real)random_below(3);
  }
  const mrl_seqloss_head one = {(mrl_seqloss_kind)random_below(4), 0, half, 1, 0.5};
  const mrl_seqloss_head other = {(mrl_seqloss_kind)random_below(4), half, net->n_outputs - half, 1,
                                  2};
  r->head[0] = one;
  r->head[1] = other;
  for (size_t i = 0; i < SEQUENCES; i++) {
    r->row[i] = SEQUENCES - 1 - i;
  }
  const mrl_seqpass_data data = {r->code, r->label, (mrl_real)0.25, r->head + (half == 0),
                                 half == 0 ? 1 : 2};
  r->data = data;
}

static void carve_run(rig *r, mrl_isa isa, const mrl_ctx *ctx)
{
  mrl_arena arena = mrl_arena_measure();
  mrl_seqpass_steps(&r->run, &arena, &r->built.net, isa);
  r->memory[0] = random_bytes(arena.used);
  arena = mrl_arena_over(r->memory[0], arena.used);
  CHECK(mrl_seqpass_steps(&r->run, &arena, &r->built.net, isa) == MRL_OK);
  arena = mrl_arena_measure();
  mrl_seqpass_carve(&r->run, &arena, SEQUENCES, ctx);
  r->memory[1] = random_bytes(arena.used);
  memset(r->memory[1], 0xff, arena.used); /* NaN: whoever reads before writing shows */
  arena = mrl_arena_over(r->memory[1], arena.used);
  CHECK(mrl_seqpass_carve(&r->run, &arena, SEQUENCES, ctx) == MRL_OK);
  mrl_seqpass_start(&r->run);
}

static void free_run(rig *r)
{
  free(r->memory[0]);
  free(r->memory[1]);
}

static rig *rig_new(const random_case *c)
{
  rig *r = random_bytes(sizeof *r);
  random_build(&r->built, c, 0, MRL_ISA_AVX512);
  draw_data(r);
  r->statistics = random_bytes(r->built.net.n_statistics * sizeof(mrl_real));
  carve_run(r, MRL_ISA_AVX512, &serial);
  return r;
}

static void rig_free(rig *r)
{
  free_run(r);
  random_free(&r->built);
  free(r->code);
  free(r->label);
  free(r->statistics);
  free(r);
}

/* The loss at the rig's parameters; its gradient is in r->run.gradient. */
static double loss_at(rig *r, const mrl_ctx *ctx)
{
  const mrl_seqpass_batch batch = {r->row, SEQUENCES, 5, 11};
  double loss = NAN;
  memcpy(r->statistics, r->built.statistics, r->built.net.n_statistics * sizeof(mrl_real));
  CHECK(mrl_seqpass_step(&loss, &r->run, r->built.params, r->statistics, &r->data, &batch, ctx) ==
        MRL_OK);
  return loss;
}

/* Kinks are for the other test. */
static void smooth(random_case *c)
{
  for (size_t i = 0; i < c->n_layers; i++) {
    const mrl_activation act = c->layer[i].activation;
    c->layer[i].activation = act == MRL_RELU         ? MRL_SOFTPLUS
                             : act == MRL_LEAKY_RELU ? MRL_TANH
                                                     : act;
  }
}

/* The largest relative error of the gradient of up to 40 parameters. */
static double gradient_error(rig *r)
{
  const double step = 2e-6;
  const size_t n = r->built.net.n_params;
  mrl_real *gradient = random_bytes(n * sizeof *gradient), *params = r->built.params;
  double largest = 1e-3, worst = 0;
  loss_at(r, &serial);
  memcpy(gradient, r->run.gradient, n * sizeof *gradient);
  for (size_t i = 0; i < n; i++) {
    largest = fabs((double)gradient[i]) > largest ? fabs((double)gradient[i]) : largest;
  }
  for (size_t k = 0; n > 0 && k < 40; k++) {
    const size_t i = n <= 40 ? k % n : random_below(n);
    const mrl_real at = params[i];
    params[i] = (mrl_real)(at + step);
    const double up = loss_at(r, &serial);
    params[i] = (mrl_real)(at - step);
    const double down = loss_at(r, &serial);
    params[i] = at;
    const double error = fabs((up - down) / (2 * step) - (double)gradient[i]);
    worst = error > worst || error != error ? error : worst;
  }
  free(gradient);
  return worst / largest;
}

static void test_gradients(void)
{
  double worst = 0;
  for (int k = 0; k < 80; k++) {
    random_case c = random_net();
    smooth(&c);
    rig *r = rig_new(&c);
    const double error = gradient_error(r);
    CHECK(error < 1e-6);
    worst = error > worst || error != error ? error : worst;
    rig_free(r);
  }
  printf("largest relative error of a gradient: %.1e\n", worst);
}

/* Evaluation is the forward pass of the fused plan. */
static void test_outputs(void)
{
  for (int k = 0; k < 40; k++) {
    const random_case c = random_net();
    rig *r = rig_new(&c);
    const size_t n = SEQUENCES * r->built.net.n_outputs;
    mrl_real *out = random_bytes(n * sizeof *out);
    double *expected = random_bytes(n * sizeof *expected), sum, worst = 0, size = 1e-300;
    r->data.unknown = r->built.plan.unknown;
    CHECK(mrl_seqpass_evaluate(&sum, out, &r->run, r->built.params, r->built.statistics, &r->data,
                               r->row, SEQUENCES, &serial) == MRL_OK);
    void *scratch = random_bytes(mrl_seq_predict_scratch(&r->built.plan, &serial));
    mrl_seq_predict(expected, &r->built.plan, r->code, SEQUENCES, scratch, &serial);
    const size_t width = r->built.net.n_outputs;
    for (size_t i = 0; i < n; i++) {
      const size_t from = (SEQUENCES - 1 - i / width) * width + i % width;
      const double error = fabs((double)out[i] - expected[from]);
      worst = error > worst || error != error ? error : worst;
      size = fabs(expected[from]) > size ? fabs(expected[from]) : size;
    }
    CHECK(worst <= 1e-10 * size);
    free(scratch);
    free(expected);
    free(out);
    rig_free(r);
  }
}

/* The bits do not depend on threads, nor on which vector path is taken. */
static void test_threads(void)
{
  for (int k = 0; k < 20; k++) {
    const random_case c = random_net();
    rig *r = rig_new(&c);
    const size_t n = r->built.net.n_params;
    mrl_real *gradient = random_bytes(n * sizeof *gradient);
    r->run.products = 1e9; /* or threads would not be worth it */
    const double loss = loss_at(r, &serial);
    memcpy(gradient, r->run.gradient, n * sizeof *gradient);
    free_run(r);
    carve_run(r, k % 2 ? MRL_ISA_AVX2 : MRL_ISA_AVX512, &two);
    r->run.products = 1e9;
    CHECK(loss_at(r, &two) == loss);
    CHECK(memcmp(gradient, r->run.gradient, n * sizeof *gradient) == 0);
    free(gradient);
    rig_free(r);
  }
}

int main(void)
{
  test_gradients();
  test_outputs();
  test_threads();
  return CTEST_DONE();
}
