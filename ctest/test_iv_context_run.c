/* Contextual nets in float, as in the package: folds are kept apart, threads do not matter. */
#include "ctest.h"
#include "iv_context.h"
#include "rng.h"

#include <stdlib.h>
#include <string.h>

enum { N = 600, P = 2, NETS = 3 };
static const int hidden[1] = {6};

typedef struct {
  double c[P][N], e[N], s[N], weights[N];
  int fold[N], unit[N];
  const double *column[P];
} sample;

static void draw(sample *d)
{
  mrl_rng rng = mrl_rng_stream(5, MRL_RNG_TEST, 0);
  for (size_t i = 0; i < N; i++) {
    for (size_t j = 0; j < P; j++) {
      d->c[j][i] = mrl_rng_normal(&rng);
    }
    d->s[i] = mrl_rng_normal(&rng);
    d->e[i] = 0.5 + 0.8 * d->c[0][i] * d->s[i] + 0.5 * mrl_rng_normal(&rng);
    d->weights[i] = (double)(i % 3); /* some have none */
    d->unit[i] = (int)(i / 2) + 1;
    d->fold[i] = (int)(i / 2 % NETS) + 1;
  }
  d->column[0] = d->c[0];
  d->column[1] = d->c[1];
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
  mrl_net net;
  mrl_context context;
  void *net_memory, *memory;
} model;

static mrl_context_settings settings_of(size_t n_nets)
{
  const mrl_mlp mlp = {.hidden = hidden, .n_hidden = 1, .activation = MRL_SOFTPLUS};
  const mrl_train_settings train = {.epochs = 30,
                                    .batch = 50,
                                    .patience = 20,
                                    .rate = 0.02,
                                    .optimizer = {MRL_ADAMW, 0.9, 0.9, 0.999, 1e-8, 1e-4, 1}};
  const mrl_context_settings how = {.kind = MRL_CONTEXT_MLP,
                                    .mlp = mlp,
                                    .train = train,
                                    .validation = 0.2,
                                    .n_nets = n_nets,
                                    .seed = 9,
                                    .isa = mrl_isa_best()};
  return how;
}

static model *fit(const sample *d, size_t n_nets, int weighted, int n_threads)
{
  const mrl_ctx ctx = {n_threads, NULL, NULL};
  const mrl_context_settings how = settings_of(n_nets);
  const mrl_context_data data = {.c = d->column,
                                 .e = d->e,
                                 .s = d->s,
                                 .weights = weighted ? d->weights : NULL,
                                 .fold = d->fold,
                                 .unit = d->unit,
                                 .n = N,
                                 .p = P,
                                 .n_units = N / 2};
  model *m = bytes(sizeof *m);
  mrl_arena arena = mrl_arena_measure();
  CHECK(mrl_context_net(&m->net, &arena, &how, P, 0) == MRL_OK);
  size_t size = arena.used;
  m->net_memory = bytes(size);
  arena = mrl_arena_over(m->net_memory, size);
  CHECK(mrl_context_net(&m->net, &arena, &how, P, 0) == MRL_OK);
  arena = mrl_arena_measure();
  CHECK(mrl_context_carve(&m->context, &arena, &m->net, &data, &how) == MRL_OK);
  size = arena.used;
  m->memory = bytes(size);
  arena = mrl_arena_over(m->memory, size);
  CHECK(mrl_context_carve(&m->context, &arena, &m->net, &data, &how) == MRL_OK);
  CHECK(mrl_context_run(&m->context, &ctx) == MRL_OK);
  return m;
}

static void drop(model *m)
{
  free(m->memory);
  free(m->net_memory);
  free(m);
}

static int same_params(const model *a, const model *b, size_t net)
{
  return memcmp(a->context.member[net].train.params, b->context.member[net].train.params,
                a->net.n_params * sizeof(mrl_real)) == 0;
}

int main(void)
{
  sample *d = bytes(sizeof *d);
  draw(d);
  model *one = fit(d, NETS + 1, 1, 1), *two = fit(d, NETS + 1, 1, 2);
  for (size_t m = 0; m <= NETS; m++) {
    CHECK(one->context.member[m].status == MRL_OK);
    CHECK(same_params(one, two, m));
  }
  /* What happens in fold 1, or to rows without weight, is nothing to net 1. */
  for (size_t i = 0; i < N; i++) {
    if (d->fold[i] == 1 || d->weights[i] == 0) {
      d->e[i] += 3;
    }
  }
  model *changed = fit(d, NETS + 1, 1, 1);
  CHECK(same_params(one, changed, 0));
  CHECK(!same_params(one, changed, 1));
  CHECK(!same_params(one, changed, NETS));
  /* The slope is learnt: its net's loss is below a quarter above the noise (.25 / the variance). */
  const mrl_train *train = &one->context.member[NETS].train;
  CHECK(train->progress.best_loss < 0.4 && train->progress.best_loss > 0.1);
  drop(one);
  drop(two);
  drop(changed);
  model *plain = fit(d, 1, 0, 1);
  CHECK(plain->context.member[0].train.task.n_train + plain->context.member[0].train.task.n_valid ==
        400);
  drop(plain);
  free(d);
  return CTEST_DONE();
}
