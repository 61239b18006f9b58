/* Quantile IV in float, as in the package: whole fits. */
#include "ctest.h"
#include "iv_quantile.h"
#include "mlp_curve.h"
#include "rng.h"

#include <stdlib.h>
#include <string.h>

enum { N = 400, Q = 6 };

/* Data whose exposure has a spread that depends on the instrument. */
typedef struct {
  double y[N], x[N], z[N], w[N], weights[N];
  const double *z_col[1], *w_col[1];
} sample;

static void draw(sample *s)
{
  mrl_rng rng = mrl_rng_stream(7, MRL_RNG_TEST, 0);
  for (size_t i = 0; i < N; i++) {
    const double u = mrl_rng_normal(&rng);
    s->z[i] = mrl_rng_genotype(&rng, 0.4);
    s->w[i] = mrl_rng_normal(&rng);
    s->x[i] = s->z[i] + 0.3 * s->w[i] + (0.2 + s->z[i]) * u;
    s->y[i] = s->x[i] * s->x[i] + s->w[i] - u + mrl_rng_normal(&rng);
    s->weights[i] = 1 + (double)(i % 3);
  }
  s->z_col[0] = s->z;
  s->w_col[0] = s->w;
}

static void *bytes(size_t n)
{
  void *memory = malloc(n + 1);
  if (!memory) {
    abort();
  }
  memset(memory, 0xff, n + 1);
  return memory;
}

typedef struct {
  mrl_ivq_nets nets;
  mrl_ivq ivq;
  void *net_memory, *memory;
  mrl_status stage[2];
} model;

static const int hidden[2] = {8, 4};

static mrl_ivq_settings settings_of(int non_crossing, int binary)
{
  const mrl_mlp mlp = {
      .hidden = hidden, .n_hidden = 2, .activation = MRL_GELU, .batch_norm = 1, .dropout = 0.1};
  const mrl_train_settings train = {.epochs = 6,
                                    .batch = 64,
                                    .rate = 0.01,
                                    .optimizer = {MRL_ADAMW, 0.9, 0.9, 0.999, 1e-8, 1e-4, 1}};
  const mrl_ivq_settings settings = {.n_quantiles = Q,
                                     .matched = 1,
                                     .non_crossing = non_crossing,
                                     .binary = binary,
                                     .first = mlp,
                                     .second = mlp,
                                     .train = train,
                                     .n_valid = 80,
                                     .seed = 11,
                                     .isa = mrl_isa_best()};
  return settings;
}

static model *fit(const sample *s, const mrl_ivq_settings *settings, int n_threads)
{
  const mrl_ctx ctx = {n_threads, NULL, NULL};
  const mrl_ivq_data data = {.y = s->y,
                             .x = s->x,
                             .z = s->z_col,
                             .w = s->w_col,
                             .weights = s->weights,
                             .n = N,
                             .n_z = 1,
                             .n_w = 1};
  model *m = bytes(sizeof *m);
  mrl_arena arena = mrl_arena_measure();
  CHECK(mrl_ivq_nets_carve(&m->nets, &arena, &data, settings) == MRL_OK);
  m->net_memory = bytes(arena.used);
  arena = mrl_arena_over(m->net_memory, arena.used);
  CHECK(mrl_ivq_nets_carve(&m->nets, &arena, &data, settings) == MRL_OK);
  arena = mrl_arena_measure();
  CHECK(mrl_ivq_carve(&m->ivq, &arena, &m->nets, &data, settings, &ctx) == MRL_OK);
  m->memory = bytes(arena.used);
  arena = mrl_arena_over(m->memory, arena.used);
  CHECK(mrl_ivq_carve(&m->ivq, &arena, &m->nets, &data, settings, &ctx) == MRL_OK);
  CHECK(mrl_ivq_run(m->stage, &m->ivq, &ctx) == MRL_OK);
  CHECK(m->stage[0] == MRL_OK);
  return m;
}

static void model_free(model *m)
{
  free(m->net_memory);
  free(m->memory);
  free(m);
}

static void check_threads(const sample *s, int non_crossing, int binary)
{
  const mrl_ivq_settings settings = settings_of(non_crossing, binary);
  model *one = fit(s, &settings, 1), *two = fit(s, &settings, 2);
  for (int k = 0; k < 2; k++) {
    const mrl_train *a = &one->ivq.train[k], *b = &two->ivq.train[k];
    CHECK(memcmp(a->params, b->params, a->net->n_params * sizeof *a->params) == 0);
    CHECK(a->progress.epoch == b->progress.epoch);
  }
  model_free(one);
  model_free(two);
}

static void check_order(const sample *s)
{
  const mrl_ivq_settings settings = settings_of(1, 0);
  model *m = fit(s, &settings, 1);
  double *node = bytes(N * Q * sizeof *node), *mean = bytes(N * sizeof *mean);
  mrl_ivq_exposure(mean, node, &m->ivq);
  for (size_t i = 0; i < N; i++) {
    double sum = 0;
    for (size_t k = 0; k < Q; k++) {
      CHECK(k == 0 || node[i + k * N] >= node[i + (k - 1) * N]);
      sum += node[i + k * N] / Q;
    }
    CHECK_NEAR(mean[i], sum, 1e-12);
  }
  free(node);
  free(mean);
  model_free(m);
}

/* The mean curve is the mean of the predictions, its slope their difference. Float arithmetic: the
 * outcome is known to about 1e-6, its difference quotient over 0.02 to 1e-4 and the curvature's
 * part, of the order 0.01^2. */
static void check_curve(const sample *s)
{
  const mrl_ivq_settings settings = settings_of(0, 0);
  const mrl_ctx ctx = {2, NULL, NULL};
  model *m = fit(s, &settings, 1);
  const mrl_train *train = &m->ivq.train[1];
  const mrl_curve_model fitted = {.net = train->net,
                                  .params = train->params,
                                  .statistics = train->statistics,
                                  .w = m->ivq.scale + 1,
                                  .x = m->ivq.scale + 2,
                                  .y = m->ivq.scale + 3};
  const mrl_people people = {.w = s->w_col, .weights = s->weights, .n = N, .n_w = 1};
  const size_t size = mrl_curve_scratch(train->net, mrl_isa_best(), &ctx);
  const double level[3] = {0.49, 0.5, 0.51};
  double *x = bytes(N * sizeof *x), *g = bytes(N * sizeof *g), mean[3], slope, sum = 0, total = 0;
  void *scratch = bytes(size);
  for (size_t i = 0; i < N; i++) {
    x[i] = level[1];
  }
  CHECK(mrl_curve_predict(g, &fitted, x, &people, mrl_isa_best(), scratch, size, &ctx) == MRL_OK);
  CHECK(mrl_curve_mean(mean, &fitted, level, 3, &people, mrl_isa_best(), scratch, size, &ctx) ==
        MRL_OK);
  CHECK(mrl_curve_slope(&slope, &fitted, x, &people, mrl_isa_best(), scratch, size, &ctx) ==
        MRL_OK);
  for (size_t i = 0; i < N; i++) {
    sum += s->weights[i] * g[i];
    total += s->weights[i];
  }
  CHECK_NEAR(mean[1], sum / total, 1e-9);
  CHECK_NEAR(slope, (mean[2] - mean[0]) / 0.02, 1e-3);
  CHECK(mrl_curve_mean(mean, &fitted, level, 3, &people, mrl_isa_best(), scratch, size / 2, &ctx) ==
        MRL_NO_MEMORY);
  free(scratch);
  free(x);
  free(g);
  model_free(m);
}

int main(void)
{
  static sample s;
  draw(&s);
  check_threads(&s, 1, 0);
  check_threads(&s, 0, 0);
  check_order(&s);
  check_curve(&s);
  for (size_t i = 0; i < N; i++) {
    s.y[i] = s.y[i] > 1;
  }
  check_threads(&s, 1, 1);
  return CTEST_DONE();
}
