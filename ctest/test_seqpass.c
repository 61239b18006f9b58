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

/* Without kinks. */
static void smooth(random_case *c)
{
  for (size_t i = 0; i < c->n_layers; i++) {
    const mrl_activation act = c->layer[i].activation;
    c->layer[i].activation = act == MRL_RELU         ? MRL_SOFTPLUS
                             : act == MRL_LEAKY_RELU ? MRL_TANH
                                                     : act;
  }
}

/* Every activation with a kink. */
static void sharpen(random_case *c)
{
  for (size_t i = 0; i < c->n_layers; i++) {
    c->layer[i].activation = i % 2 ? MRL_RELU : MRL_LEAKY_RELU;
  }
}

typedef struct {
  double worst;  /* largest error relative to the largest gradient */
  int n, n_kink; /* parameters tried; those within a step of a kink */
  int skips;     /* do the latter not count? */
} comparison;

/* The gradient of one parameter against the slopes to both sides, which differ where a kink lies
 * between. */
static void compare_one(comparison *to, rig *r, mrl_real *param, double gradient, double largest)
{
  const double step = 2e-6, at = (double)*param, here = loss_at(r, &serial);
  *param = (mrl_real)(at + step);
  const double up = (loss_at(r, &serial) - here) / step;
  *param = (mrl_real)(at - step);
  const double down = (here - loss_at(r, &serial)) / step;
  *param = (mrl_real)at;
  to->n++;
  if (to->skips && fabs(up - down) > 1e-4 * largest) {
    to->n_kink++;
    return;
  }
  const double error = fabs((up + down) / 2 - gradient) / largest;
  to->worst = error > to->worst || error != error ? error : to->worst;
}

/* Up to 40 parameters. */
static comparison compare_gradient(rig *r, int skips)
{
  const size_t n = r->built.net.n_params;
  mrl_real *gradient = random_bytes(n * sizeof *gradient);
  comparison out = {.skips = skips};
  double largest = 1e-3;
  loss_at(r, &serial);
  memcpy(gradient, r->run.gradient, n * sizeof *gradient);
  for (size_t i = 0; i < n; i++) {
    largest = fabs((double)gradient[i]) > largest ? fabs((double)gradient[i]) : largest;
  }
  for (size_t k = 0; n > 0 && k < 40; k++) {
    const size_t i = n <= 40 ? k % n : random_below(n);
    compare_one(&out, r, r->built.params + i, (double)gradient[i], largest);
  }
  free(gradient);
  return out;
}

static void test_gradients(void)
{
  double worst = 0;
  for (int k = 0; k < 80; k++) {
    random_case c = random_net();
    smooth(&c);
    rig *r = rig_new(&c);
    const comparison found = compare_gradient(r, 0);
    CHECK(found.worst < 1e-6);
    worst = found.worst > worst || found.worst != found.worst ? found.worst : worst;
    rig_free(r);
  }
  printf("largest relative error of a gradient: %.1e\n", worst);
}

/* The same of rectifiers, away from their kinks. */
static void test_kinks(void)
{
  comparison all = {.n = 0};
  for (int k = 0; k < 60; k++) {
    random_case c = random_net();
    sharpen(&c);
    rig *r = rig_new(&c);
    const comparison found = compare_gradient(r, 1);
    CHECK(found.worst < 1e-5); /* a kink may be passed by a few of many positions, within 1e-4 */
    all.worst = found.worst > all.worst || found.worst != found.worst ? found.worst : all.worst;
    all.n += found.n;
    all.n_kink += found.n_kink;
    rig_free(r);
  }
  CHECK(all.n_kink < all.n / 10);
  printf("with rectifiers: %.1e, %d of %d at a kink\n", all.worst, all.n_kink, all.n);
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
  test_kinks();
  test_outputs();
  test_threads();
  return CTEST_DONE();
}
