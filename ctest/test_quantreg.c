/* Quantile regression: gradients of the loss of all levels, what a fit predicts of a known law, and
 * the defects of published code: a mask turned round, cumulative sums that do not prevent
 * crossing. */
#define mrl_quantreg_net_carve own_net_carve
#define mrl_quantreg_net_start own_net_start
#define mrl_quantreg_carve own_carve
#define mrl_quantreg_run own_run
#define mrl_quantreg_scratch own_scratch
#define mrl_quantreg_predict own_predict
#include "quantreg.c"

#include "ctest.h"

#include <stdlib.h>

enum { N = 3000, LEVELS = 5, NEW = 7 };

typedef struct {
  double x[2][N], y[N];
  const double *col[2];
} sample;

/* y | x normal with mean x and standard deviation 1 + x / 2; a second column of noise. */
static void draw(sample *s)
{
  mrl_rng rng = mrl_rng_stream(4, MRL_RNG_TEST, 0);
  for (size_t i = 0; i < N; i++) {
    s->x[0][i] = 2 * mrl_rng_uniform(&rng) - 1;
    s->x[1][i] = mrl_rng_normal(&rng);
    s->y[i] = s->x[0][i] + (1 + s->x[0][i] / 2) * mrl_rng_normal(&rng);
  }
  s->col[0] = s->x[0];
  s->col[1] = s->x[1];
}

static const double levels[LEVELS] = {0.05, 0.25, 0.5, 0.75, 0.95};

static mrl_quantreg_settings settings_of(size_t n_levels, int non_crossing, const int *hidden)
{
  const mrl_quantreg_settings how = {
      .mlp = {.hidden = hidden, .n_hidden = 1, .activation = MRL_SOFTPLUS},
      .train = {.epochs = 60,
                .batch = 100,
                .patience = 20,
                .rate = 0.02,
                .optimizer = {.kind = MRL_ADAM, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8},
                .schedule = {.kind = MRL_COSINE},
                .seed = 5},
      .level = levels,
      .n_levels = n_levels,
      .non_crossing = non_crossing,
      .n_valid = N / 5,
      .isa = MRL_ISA_PORTABLE};
  return how;
}

/* A net and a fit over malloc's memory, which the caller frees. */
typedef struct {
  mrl_quantreg_net net;
  mrl_quantreg fit;
  void *memory[2];
} fitted;

static mrl_status make(fitted *to, const mrl_quantreg_settings *how, const mrl_quantreg_data *data,
                       const mrl_ctx *ctx)
{
  mrl_arena arena = mrl_arena_measure();
  MRL_TRY(own_net_carve(&to->net, &arena, how, 2));
  arena = mrl_arena_over(to->memory[0] = malloc(arena.used), arena.used);
  MRL_TRY(own_net_carve(&to->net, &arena, how, 2));
  own_net_start(&to->net);
  arena = mrl_arena_measure();
  MRL_TRY(own_carve(&to->fit, &arena, &to->net, data, ctx));
  arena = mrl_arena_over(to->memory[1] = malloc(arena.used), arena.used);
  return own_carve(&to->fit, &arena, &to->net, data, ctx);
}

static void drop(fitted *to)
{
  free(to->memory[0]);
  free(to->memory[1]);
}

static mrl_status predict(double *out, const fitted *from, const mrl_quantreg_data *at,
                          const double *level, size_t n_levels, const mrl_ctx *ctx)
{
  const mrl_quantreg_model model = {from->fit.train.params, from->fit.train.statistics,
                                    from->fit.scale};
  void *scratch = malloc(own_scratch(&from->net, at->n, ctx));
  const mrl_status status = own_predict(out, &from->net, &model, at, level, n_levels, scratch, ctx);
  free(scratch);
  return status;
}

/* The largest distance of predicted quantiles from the law's; turned: from those of 1 - tau. */
static double distance(const double *out, const double *x, int turned)
{
  double most = 0;
  for (size_t i = 0; i < NEW; i++) {
    for (size_t k = 0; k < LEVELS; k++) {
      const double z = mrl_normal_quantile(turned ? 1 - levels[k] : levels[k]);
      most = fmax(most, fabs(out[i + k * NEW] - x[i] - (1 + x[i] / 2) * z));
    }
  }
  return most;
}

/*
 * Of 2400 rows: the 5 % quantile of a normal law has the standard error 2.1 / sqrt(2400) = .043 of
 * its standard deviation (at most 1.5); a net near the ends of the range has a few times that. The
 * quantiles of 1 - tau are 3.3 standard deviations away.
 */
static void check_fit(const sample *s, size_t n_levels, int non_crossing, const mrl_ctx *ctx)
{
  static const int hidden[] = {8};
  static const double x[NEW] = {-0.9, -0.6, -0.3, 0, 0.3, 0.6, 0.9}, zero[NEW] = {0};
  const double *col[] = {x, zero};
  const mrl_quantreg_settings how = settings_of(n_levels, non_crossing, hidden);
  const mrl_quantreg_data data = {s->y, s->col, NULL, N}, at = {NULL, col, NULL, NEW};
  double out[NEW * LEVELS];
  fitted f;
  CHECK(make(&f, &how, &data, ctx) == MRL_OK);
  CHECK(own_run(&f.fit, ctx) == MRL_OK);
  CHECK(predict(out, &f, &at, levels, LEVELS, ctx) == MRL_OK);
  CHECK(distance(out, x, 0) < 0.35);
  CHECK(distance(out, x, 1) > 1.5);
  CHECK(predict(out, &f, &at, levels, LEVELS - 1, ctx) ==
        (n_levels > 0 ? MRL_BAD_ARGUMENT : MRL_OK));
  drop(&f);
}

/* Central differences: the loss is linear but for its kink, so they are exact to rounding. */
static void check_gradient(const sample *s, const mrl_ctx *ctx)
{
  static const int hidden[] = {3};
  enum { ROWS = 21, LD = 32 };
  const mrl_quantreg_settings how = settings_of(0, 0, hidden);
  const mrl_quantreg_data data = {s->y, s->col, s->x[0], N};
  double weights[N];
  mrl_quantreg_data weighted = data;
  for (size_t i = 0; i < N; i++) {
    weights[i] = 1 + (double)(i % 3);
  }
  weighted.weights = weights;
  fitted f;
  CHECK(make(&f, &how, &weighted, ctx) == MRL_OK);
  CHECK(own_run(&f.fit, ctx) == MRL_OK);
  size_t row[ROWS];
  mrl_real output[LD], d[LD];
  double value, up, down;
  for (size_t i = 0; i < ROWS; i++) {
    row[i] = 3 * i;
    output[i] = f.fit.y[3 * i] + (i % 2 ? (mrl_real)0.5 : (mrl_real)-0.5);
  }
  const mrl_tile tile = {.row = row, .rows = ROWS, .group = 1, .ld = LD, .epoch = 2, .scale = 1};
  CHECK(loss_every(&value, d, output, &tile, &f.fit.every) == MRL_OK);
  const mrl_real step = (mrl_real)0.125;
  for (size_t i = 0; i < ROWS; i++) {
    const mrl_real at = output[i];
    output[i] = at + step;
    loss_every(&up, NULL, output, &tile, &f.fit.every);
    output[i] = at - step;
    loss_every(&down, NULL, output, &tile, &f.fit.every);
    output[i] = at;
    CHECK_NEAR((double)d[i], (up - down) / 0.25, 1e-4);
  }
  drop(&f);
}

/* Levels of held-out rows stay, those of others change from epoch to epoch, and are uniform. */
static void check_levels(const mrl_ctx *ctx)
{
  static unsigned char held[N];
  static size_t row[N];
  double mean = 0, square = 0;
  (void)ctx;
  for (size_t i = 0; i < N; i++) {
    row[i] = i;
    held[i] = i % 2 == 0;
  }
  const mrl_quantreg_every in = {.held = held, .seed = 6};
  mrl_tile first = {.row = row, .rows = N, .group = 1, .epoch = 0}, next = first;
  next.epoch = 1;
  int stay = 0, change = 0;
  for (size_t i = 0; i < N; i++) {
    const double a = level_of(&in, &first, i), b = level_of(&in, &next, i);
    stay += held[i] && a == b;
    change += !held[i] && a != b;
    mean += a / N;
    square += a * a / N;
  }
  CHECK(stay == N / 2 && change == N / 2);
  CHECK_NEAR(mean, 0.5, 4 * sqrt(1. / 12 / N));
  CHECK_NEAR(square - mean * mean, 1. / 12, 4 * sqrt(1. / 180 / N));
}

/*
 * Whatever the weights, quantiles of a set do not cross: those of random nets, before they are put
 * in order. The mutant sums the outputs of the free form, which crosses in most rows.
 */
static void check_crossing(const sample *s, const mrl_ctx *ctx)
{
  static const int hidden[] = {8};
  int crossed[2] = {0, 0};
  for (int free_form = 0; free_form < 2; free_form++) {
    const mrl_quantreg_settings how = settings_of(LEVELS, !free_form, hidden);
    const mrl_quantreg_data data = {s->y, s->col, NULL, N};
    fitted f;
    CHECK(make(&f, &how, &data, ctx) == MRL_OK);
    mrl_train_start(&f.fit.train);
    mrl_rng rng = mrl_rng_stream(7, MRL_RNG_TEST, 0);
    for (size_t i = 0; i < f.net.net->n_params; i++) {
      f.fit.train.params[i] = (mrl_real)(3 * mrl_rng_normal(&rng));
    }
    const double one[2] = {0, 1};
    for (size_t j = 0; j < 3; j++) {
      f.fit.scale[j].mean = one[0];
      f.fit.scale[j].sd = one[1];
    }
    predict_work work;
    mrl_arena arena = mrl_arena_measure();
    CHECK(carve_predict(&work, &arena, &f.net, N, ctx) == MRL_OK);
    void *memory = malloc(arena.used);
    arena = mrl_arena_over(memory, arena.used);
    CHECK(carve_predict(&work, &arena, &f.net, N, ctx) == MRL_OK);
    for (size_t i = 0; i < N; i++) {
      work.row[i] = i;
      work.input[2 * i] = (mrl_real)s->x[0][i];
      work.input[2 * i + 1] = (mrl_real)s->x[1][i];
    }
    const mrl_quantreg_model model = {f.fit.train.params, f.fit.train.statistics, f.fit.scale};
    double *out = malloc(N * LEVELS * sizeof *out);
    CHECK(predict_set(out, &work, &f.net, &model, N, ctx) == MRL_OK);
    for (size_t i = 0; i < N; i++) {
      double sum = out[i];
      for (size_t k = 1; k < LEVELS; k++) {
        const double next = free_form ? sum + out[i + k * N] : out[i + k * N];
        crossed[free_form] += next < sum;
        sum = next;
      }
    }
    const mrl_quantreg_data at = {NULL, s->col, NULL, N};
    CHECK(predict(out, &f, &at, levels, LEVELS, ctx) == MRL_OK);
    int wrong = 0;
    for (size_t i = 0; i + N < N * LEVELS; i++) {
      wrong += out[i + N] < out[i];
    }
    CHECK(wrong == 0); /* both forms, after they are put in order */
    free(out);
    free(memory);
    drop(&f);
  }
  CHECK(crossed[0] == 0);
  CHECK(crossed[1] > N / 2);
}

static void check_bad(const sample *s, const mrl_ctx *ctx)
{
  static const int hidden[] = {2};
  static const double unsorted[] = {0.5, 0.4}, outside[] = {0.5, 1};
  const mrl_quantreg_data data = {s->y, s->col, NULL, N};
  mrl_quantreg_settings how = settings_of(2, 1, hidden);
  mrl_arena arena = mrl_arena_measure();
  mrl_quantreg_net net;
  how.level = unsorted;
  CHECK(own_net_carve(&net, &arena, &how, 2) == MRL_BAD_ARGUMENT);
  how.level = outside;
  CHECK(own_net_carve(&net, &arena, &how, 2) == MRL_BAD_ARGUMENT);
  how = settings_of(2, 1, hidden);
  CHECK(own_net_carve(&net, &arena, &how, 0) == MRL_BAD_ARGUMENT);
  how.n_valid = N;
  fitted f = {.memory = {NULL, NULL}};
  CHECK(make(&f, &how, &data, ctx) == MRL_BAD_ARGUMENT);
  drop(&f);
}

int main(void)
{
  const mrl_ctx ctx = {1, NULL, NULL};
  static sample s;
  draw(&s);
  check_fit(&s, LEVELS, 1, &ctx);
  check_fit(&s, LEVELS, 0, &ctx);
  check_fit(&s, 0, 0, &ctx);
  check_gradient(&s, &ctx);
  check_levels(&ctx);
  check_crossing(&s, &ctx);
  check_bad(&s, &ctx);
  return CTEST_DONE();
}
