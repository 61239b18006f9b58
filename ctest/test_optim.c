/* Optimisers, in double, against the recurrences of the papers written out for one number. */
#include "net_double.h"

#include "ctest.h"
#include "optim.c"

#include <string.h>

enum { SIZE = 37, STEPS = 60, GAP = 3 };

/* Two pieces, weights and biases, with a gap between that must stay zero. */
static const mrl_param pieces[] = {{0, SIZE, 1, SIZE, 1, 0}, {40, SIZE, 0, SIZE, 1, 0}};
enum { N_PARAMS = 80 };

typedef struct {
  double w, m, v, most;
} slow;

static void slow_step(slow *s, double g, const mrl_optimizer *o, int is_weight, double rate, int t)
{
  const double decay = is_weight ? o->decay : 0;
  if (o->kind == MRL_ADAMW) {
    s->w -= rate * decay * s->w;
  } else {
    g += decay * s->w;
  }
  if (o->kind == MRL_SGD) {
    s->m = t == 1 ? g : o->momentum * s->m + g;
    s->w -= rate * s->m;
    return;
  }
  s->m = o->beta1 * s->m + (1 - o->beta1) * g;
  s->v = o->beta2 * s->v + (1 - o->beta2) * g * g;
  s->most = s->v > s->most ? s->v : s->most;
  const double v = o->kind == MRL_AMSGRAD ? s->most : s->v;
  s->w -= rate * (s->m / (1 - pow(o->beta1, t))) / (sqrt(v / (1 - pow(o->beta2, t))) + o->eps);
}

/* In double both sides round about ten times a step: 60 steps leave 1e-13 at most. */
static void check_optimizer(mrl_optimizer_kind kind, double clip, mrl_isa isa)
{
  const mrl_optimizer o = {kind, 0.9, 0.8, 0.95, 1e-6, 0.02, clip};
  mrl_real *w = test_reals(N_PARAMS + 16), *g = test_reals(N_PARAMS + 16);
  mrl_real *moments = test_reals(mrl_optimizer_blocks(kind) * N_PARAMS + 16);
  slow s[N_PARAMS];
  memset(s, 0, sizeof s);
  for (size_t p = 0; p < 2; p++) {
    test_fill(w + pieces[p].offset, SIZE, 1);
    for (size_t i = 0; i < SIZE; i++) {
      s[pieces[p].offset + i].w = w[pieces[p].offset + i];
    }
  }
  for (int t = 1; t <= STEPS; t++) {
    const double rate = 0.01 / t;
    double squares = 0, norm;
    for (size_t p = 0; p < 2; p++) {
      test_fill(g + pieces[p].offset, SIZE, t % 3 == 0 ? 3 : 1); /* some above the clip, some not */
    }
    for (size_t i = 0; i < N_PARAMS; i++) {
      squares += g[i] * g[i];
    }
    const double factor = clip > 0 && sqrt(squares) > clip ? clip / sqrt(squares) : 1;
    CHECK(mrl_optimizer_step(w, moments, &norm, g, pieces, 2, N_PARAMS, &o, rate, (uint64_t)t,
                             isa) == MRL_OK);
    CHECK_NEAR(norm, sqrt(squares), 1e-12 * norm);
    for (size_t p = 0; p < 2; p++) {
      for (size_t i = pieces[p].offset; i < pieces[p].offset + SIZE; i++) {
        slow_step(s + i, g[i] * factor, &o, pieces[p].is_weight, rate, t);
      }
    }
  }
  for (size_t i = 0; i < N_PARAMS; i++) {
    CHECK_NEAR(w[i], s[i].w, 1e-13);
  }
  for (size_t i = SIZE; i < SIZE + GAP; i++) {
    CHECK(w[i] == 0);
  }
  free(w);
  free(g);
  free(moments);
}

static void test_refusal(void)
{
  const mrl_optimizer o = {MRL_ADAM, 0, 0.9, 0.999, 1e-8, 0, 0};
  mrl_real w[N_PARAMS] = {1}, g[N_PARAMS] = {0}, moments[2 * N_PARAMS] = {0};
  double norm;
  g[41] = NAN;
  CHECK(mrl_optimizer_step(w, moments, &norm, g, pieces, 2, N_PARAMS, &o, 1, 1, mrl_isa_best()) ==
        MRL_NOT_FINITE);
  g[41] = INFINITY;
  CHECK(mrl_optimizer_step(w, moments, &norm, g, pieces, 2, N_PARAMS, &o, 1, 1, mrl_isa_best()) ==
        MRL_NOT_FINITE);
  CHECK(w[0] == 1 && w[41] == 0 && moments[41] == 0);
}

static void test_schedules(void)
{
  const mrl_schedule cosine = {MRL_COSINE, 0.1, 0, 0}, plateau = {MRL_PLATEAU, 0.2, 0.5, 2};
  mrl_plateau p = {1, 0};
  CHECK_NEAR(mrl_schedule_rate(&cosine, &p, 0, 10), 1, 1e-15);
  CHECK_NEAR(mrl_schedule_rate(&cosine, &p, 5, 10), 0.55, 1e-15);
  CHECK_NEAR(mrl_schedule_rate(&cosine, &p, 10, 10), 0.1, 1e-15);
  mrl_plateau_update(&p, &plateau, 1);
  for (int bad = 1; bad <= 2; bad++) {
    mrl_plateau_update(&p, &plateau, 0);
    CHECK(mrl_schedule_rate(&plateau, &p, 3, 10) == 1);
  }
  mrl_plateau_update(&p, &plateau, 0); /* the third bad epoch is one more than the patience */
  CHECK(mrl_schedule_rate(&plateau, &p, 4, 10) == 0.5);
  for (int bad = 1; bad <= 9; bad++) {
    mrl_plateau_update(&p, &plateau, 0);
  }
  CHECK(mrl_schedule_rate(&plateau, &p, 9, 10) == 0.2); /* .25, then the floor */
}

int main(void)
{
  for (int kind = 0; kind < MRL_N_OPTIMIZER; kind++) {
    for (int isa = 0; isa <= (int)mrl_isa_best(); isa++) {
      check_optimizer((mrl_optimizer_kind)kind, 0, (mrl_isa)isa);
      check_optimizer((mrl_optimizer_kind)kind, 4, (mrl_isa)isa);
    }
  }
  test_refusal();
  test_schedules();
  return CTEST_DONE();
}
