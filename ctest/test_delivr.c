#include "ctest.h"

#include <stdlib.h>
#include <string.h>

#include "delivr.h"
#include "rng.h"

enum { N = 400, SPLITS = 5, PARAMS = 512 };

static const int hidden[] = {8, 4};

typedef struct {
  double mu[N], y[N], weights[N];
  int part[N * SPLITS];
  mrl_delivr_data data;
  mrl_delivr_settings settings;
  mrl_net net;
  void *net_memory;
  mrl_real params[SPLITS][PARAMS], statistics[SPLITS][PARAMS];
  double fitted[SPLITS][N];
  mrl_delivr_fit fit[SPLITS];
} fixture;

static void fixture_open(fixture *f, size_t n_hidden)
{
  memset(f, 0, sizeof *f);
  mrl_rng rng = mrl_rng_stream(4, MRL_RNG_TEST, n_hidden);
  for (size_t i = 0; i < N; i++) {
    f->mu[i] = 3 + mrl_rng_normal(&rng);
    f->y[i] = f->mu[i] + (f->mu[i] - 3) * (f->mu[i] - 3) + 0.2 * mrl_rng_normal(&rng);
    f->weights[i] = 0.5 + mrl_rng_uniform(&rng);
  }
  for (size_t i = 0; i < N * SPLITS; i++) {
    f->part[i] = (int)mrl_rng_below(&rng, 3);
  }
  const mrl_mlp mlp = {.hidden = hidden, .n_hidden = n_hidden, .activation = MRL_TANH};
  mrl_arena arena = mrl_arena_measure();
  mrl_mlp_carve(&f->net, &arena, &mlp, 1, 1, MRL_IDENTITY);
  f->net_memory = malloc(arena.used);
  arena = mrl_arena_over(f->net_memory, arena.used);
  mrl_mlp_carve(&f->net, &arena, &mlp, 1, 1, MRL_IDENTITY);
  CHECK(f->net.n_params <= PARAMS && f->net.n_statistics <= PARAMS);
  const mrl_delivr_data data = {
      .mu = f->mu, .y = f->y, .part = f->part, .n = N, .n_splits = SPLITS};
  const mrl_train_settings train = {
      .epochs = 40,
      .batch = 32,
      .rate = 0.02,
      .optimizer = {.kind = MRL_ADAM, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8}};
  f->data = data;
  f->settings.net = &f->net;
  f->settings.train = train;
  f->settings.isa = MRL_ISA_AVX512;
  f->settings.seed = 5;
}

static void fixture_close(fixture *f)
{
  free(f->net_memory);
}

static void run(fixture *f, int n_threads)
{
  const mrl_ctx ctx = {n_threads, NULL, NULL};
  for (size_t s = 0; s < SPLITS; s++) {
    f->fit[s].params = f->params[s];
    f->fit[s].statistics = f->statistics[s];
    f->fit[s].fitted = f->fitted[s];
  }
  size_t size = 0;
  CHECK(mrl_delivr_scratch(&size, &f->data, &f->settings, &ctx) == MRL_OK);
  void *scratch = malloc(size);
  CHECK(mrl_delivr_run(f->fit, &f->data, &f->settings, scratch, size, &ctx) == MRL_OK);
  free(scratch);
}

/* The last step is least squares: what is left of the training rows is orthogonal to 1, u and m. */
static void test_normal_equations(void)
{
  static fixture f;
  for (int weighted = 0; weighted < 2; weighted++) {
    fixture_open(&f, 2);
    f.data.weights = weighted ? f.weights : NULL;
    run(&f, 1);
    for (size_t s = 0; s < SPLITS; s++) {
      const mrl_delivr_fit *fit = f.fit + s;
      double sum[3] = {0};
      CHECK(fit->status == MRL_OK && fit->coef[2] != 0);
      for (size_t i = 0; i < N; i++) {
        const double u = (f.mu[i] - fit->scale[0]) / fit->scale[1];
        const double m = (fit->fitted[i] - fit->coef[0] - fit->coef[1] * u) / fit->coef[2];
        const double left = (weighted ? f.weights[i] : 1) * (f.y[i] - fit->fitted[i]);
        if (f.part[i + s * N] == MRL_PART_TRAIN) {
          sum[0] += left;
          sum[1] += left * u;
          sum[2] += left * m;
        }
      }
      /* u is a float in the core: 6e-8 of each of some 130 terms. */
      CHECK_NEAR(sum[0], 0, 1e-4);
      CHECK_NEAR(sum[1], 0, 1e-4);
      CHECK_NEAR(sum[2], 0, 1e-3);
    }
    fixture_close(&f);
  }
}

/* Without hidden layers m is a multiple of u: the line stays. */
static void test_linear(void)
{
  static fixture f;
  fixture_open(&f, 0);
  run(&f, 1);
  for (size_t s = 0; s < SPLITS; s++) {
    CHECK(f.fit[s].status == MRL_OK);
    CHECK(f.fit[s].coef[2] == 0);
  }
  fixture_close(&f);
}

static void test_threads(void)
{
  static fixture a, b;
  fixture_open(&a, 2);
  fixture_open(&b, 2);
  run(&a, 1);
  run(&b, 3);
  CHECK(memcmp(a.fitted, b.fitted, sizeof a.fitted) == 0);
  CHECK(memcmp(a.params, b.params, sizeof a.params) == 0);
  CHECK(a.fitted[0][0] != a.fitted[1][0]);
  fixture_close(&a);
  fixture_close(&b);
}

/* A split that cannot be trained leaves the others alone. */
static void test_degenerate(void)
{
  static fixture f;
  fixture_open(&f, 2);
  for (size_t i = 0; i < N; i++) {
    f.part[i + N] = i < 2 ? MRL_PART_TRAIN : MRL_PART_TEST;
  }
  run(&f, 2);
  CHECK(f.fit[1].status == MRL_TOO_FEW);
  CHECK(f.fit[0].status == MRL_OK && f.fit[2].status == MRL_OK);
  for (size_t i = 0; i < N; i++) {
    f.mu[i] = 2;
  }
  run(&f, 2);
  CHECK(f.fit[0].status == MRL_SINGULAR);
  fixture_close(&f);
}

int main(void)
{
  test_normal_equations();
  test_linear();
  test_threads();
  test_degenerate();
  return CTEST_DONE();
}
