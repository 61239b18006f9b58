/* Training, in float as in the package: what it reaches, and what it promises about bits. */
#include "ctest.h"
#include "loss.h"
#include "rng.h"
#include "train.h"

#include <stdlib.h>
#include <string.h>

enum { N = 600, P = 4, MOST_ROWS = 6000 };

static const mrl_ctx serial = {1, NULL, NULL};

static void *bytes(size_t n)
{
  void *memory = calloc(n + 1, 1);
  if (!memory) {
    abort();
  }
  return memory;
}

/* y = sin(x_0) + x_1 / 2 - x_2 / 4 + noise (linear: x_0 instead of its sine). */
typedef struct {
  mrl_real *x, *y;
  size_t *rows;
  mrl_rows inputs;
  mrl_loss loss;
} sample;

static sample sample_new(size_t n, int linear, double noise)
{
  sample s = {.x = bytes(n * P * sizeof *s.x),
              .y = bytes(n * sizeof *s.y),
              .rows = bytes(n * sizeof *s.rows)};
  mrl_rng rng = mrl_rng_stream(3, MRL_RNG_TEST, 0);
  for (size_t i = 0; i < n; i++) {
    s.rows[i] = i;
    for (size_t j = 0; j < P; j++) {
      s.x[i * P + j] = (mrl_real)mrl_rng_normal(&rng);
    }
    const double x0 = (double)s.x[i * P];
    s.y[i] = (mrl_real)((linear ? x0 : sin(2 * x0)) + 0.5 * (double)s.x[i * P + 1] -
                        0.25 * (double)s.x[i * P + 2] + noise * mrl_rng_normal(&rng));
  }
  const mrl_rows inputs = {s.x, P};
  const mrl_loss loss = {.kind = MRL_LOSS_SQUARED, .outputs = 1, .targets = 1, .y = s.y};
  s.inputs = inputs;
  s.loss = loss;
  return s;
}

static void sample_free(sample *s)
{
  free(s->x);
  free(s->y);
  free(s->rows);
}

/* The first n - n_valid rows train, the others validate. */
static mrl_task task_of(const sample *s, size_t n, size_t n_valid)
{
  const mrl_task task = {.train = s->rows,
                         .valid = s->rows + (n - n_valid),
                         .n_train = n - n_valid,
                         .n_valid = n_valid,
                         .group = 1,
                         .fill = mrl_fill_rows,
                         .fill_data = &s->inputs,
                         .loss = mrl_loss_tile,
                         .loss_data = &s->loss};
  return task;
}

static mrl_train_settings settings_of(size_t epochs, size_t batch)
{
  const mrl_train_settings settings = {.epochs = epochs,
                                       .batch = batch,
                                       .rate = 0.01,
                                       .optimizer = {MRL_ADAMW, 0.9, 0.9, 0.999, 1e-8, 1e-4, 0},
                                       .seed = 17};
  return settings;
}

/* A net and its training with their memory. */
typedef struct {
  mrl_net net;
  mrl_train train;
  void *net_memory, *memory;
  mrl_status carved;
} model;

static model *model_new(const mrl_layer *layers, size_t n_layers, const mrl_task *task,
                        const mrl_train_settings *settings, mrl_isa isa, const mrl_ctx *ctx)
{
  model *m = bytes(sizeof *m);
  mrl_arena arena = mrl_arena_measure();
  CHECK(mrl_net_carve(&m->net, &arena, layers, n_layers, P) == MRL_OK);
  m->net_memory = bytes(arena.used);
  arena = mrl_arena_over(m->net_memory, arena.used);
  CHECK(mrl_net_carve(&m->net, &arena, layers, n_layers, P) == MRL_OK);
  arena = mrl_arena_measure();
  m->carved = mrl_train_carve(&m->train, &arena, &m->net, task, settings, isa, ctx);
  m->memory = bytes(arena.used);
  memset(m->memory, 0xff, arena.used);
  arena = mrl_arena_over(m->memory, arena.used);
  if (m->carved == MRL_OK) {
    m->carved = mrl_train_carve(&m->train, &arena, &m->net, task, settings, isa, ctx);
    mrl_train_start(&m->train);
  }
  return m;
}

static void model_free(model *m)
{
  free(m->net_memory);
  free(m->memory);
  free(m);
}

static int same_model(const model *a, const model *b)
{
  return a->train.n_model == b->train.n_model &&
         memcmp(a->train.params, b->train.params, a->train.n_model * sizeof(mrl_real)) == 0;
}

static int is_finite_model(const model *m)
{
  int ok = 1;
  for (size_t i = 0; i < m->train.n_model; i++) {
    ok = ok && isfinite(m->train.params[i]);
  }
  return ok;
}

#define DENSE(n)                                                                                   \
  {                                                                                                \
    MRL_LAYER_DENSE, n, MRL_IDENTITY, 0, 0                                                         \
  }
#define ACT(name)                                                                                  \
  {                                                                                                \
    MRL_LAYER_ACTIVATION, 0, name, 0, 0                                                            \
  }
#define BATCH                                                                                      \
  {                                                                                                \
    MRL_LAYER_BATCH_NORM, 0, MRL_IDENTITY, 0, 0                                                    \
  }
#define DROP(rate)                                                                                 \
  {                                                                                                \
    MRL_LAYER_DROPOUT, 0, MRL_IDENTITY, rate, 0                                                    \
  }

static const mrl_layer linear_net[] = {DENSE(1)};
static const mrl_layer small_net[] = {DENSE(32), BATCH,         ACT(MRL_GELU), DROP(0.1),
                                      DENSE(16), ACT(MRL_RELU), DENSE(1)};
static const mrl_layer wide_net[] = {DENSE(96), BATCH, ACT(MRL_GELU), DROP(0.2),
                                     DENSE(64), BATCH, ACT(MRL_GELU), DENSE(1)};
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* Least squares with a constant by Gaussian elimination on the normal equations, in double. */
static void least_squares(double *b, const sample *s, size_t n)
{
  enum { K = P + 1 };
  double a[K][K + 1] = {{0}};
  for (size_t i = 0; i < n; i++) {
    double row[K + 1] = {1};
    for (size_t j = 0; j < P; j++) {
      row[j + 1] = (double)s->x[i * P + j];
    }
    row[K] = (double)s->y[i];
    for (size_t j = 0; j < K; j++) {
      for (size_t k = 0; k <= K; k++) {
        a[j][k] += row[j] * row[k];
      }
    }
  }
  for (size_t j = 0; j < K; j++) {
    for (size_t r = 0; r < K; r++) {
      const double factor = r == j ? 0 : a[r][j] / a[j][j];
      for (size_t k = j; k <= K; k++) {
        a[r][k] -= factor * a[j][k];
      }
    }
  }
  for (size_t j = 0; j < K; j++) {
    b[j] = a[j][K] / a[j][j];
  }
}

/* Full batch gradient descent with momentum on nearly orthogonal columns: 300 steps leave 1e-8 of
 * the way, so what remains is float. */
static void test_least_squares(void)
{
  sample s = sample_new(N, 1, 1);
  const mrl_task task = task_of(&s, N, 0);
  mrl_train_settings settings = settings_of(300, N + 5);
  settings.rate = 0.05;
  settings.optimizer.kind = MRL_SGD;
  settings.optimizer.momentum = 0.8;
  settings.optimizer.decay = 0;
  model *m = model_new(linear_net, COUNT(linear_net), &task, &settings, mrl_isa_best(), &serial);
  double b[P + 1];
  least_squares(b, &s, N);
  CHECK(m->train.n_batches == 1);
  CHECK(mrl_train_run(&m->train, settings.epochs, &serial) == MRL_OK);
  const mrl_real *w = m->train.params + m->net.stage[0].a, *c = m->train.params + m->net.stage[1].c;
  CHECK_NEAR((double)c[0], b[0], 1e-5);
  for (size_t j = 0; j < P; j++) {
    CHECK_NEAR((double)w[j], b[j + 1], 1e-5);
  }
  CHECK(m->train.progress.stop == MRL_STOP_EPOCHS);
  model_free(m);
  sample_free(&s);
}

static double validation_loss(model *m)
{
  const mrl_task *task = &m->train.task;
  const mrl_batch batch = {.row = task->valid,
                           .n = task->n_valid,
                           .fill = task->fill,
                           .fill_data = task->fill_data,
                           .loss = task->loss,
                           .loss_data = task->loss_data};
  double sum = NAN;
  CHECK(mrl_net_evaluate(&sum, &m->train.run, m->train.params, m->train.statistics, &batch,
                         &serial) == MRL_OK);
  return sum / (double)task->n_valid;
}

/* 60 rows, much noise: the net soon overfits. */
static void test_early_stop(void)
{
  sample s = sample_new(N, 0, 1);
  const mrl_task task = task_of(&s, 100, 40);
  mrl_train_settings settings = settings_of(400, 16);
  settings.patience = 15;
  model *m = model_new(small_net, COUNT(small_net), &task, &settings, mrl_isa_best(), &serial);
  const mrl_progress *p = &m->train.progress;
  CHECK(mrl_train_run(&m->train, settings.epochs, &serial) == MRL_OK);
  CHECK(p->stop == MRL_STOP_PATIENCE && p->epoch < settings.epochs);
  CHECK(p->epoch == p->best_epoch + settings.patience);
  for (size_t e = 0; e < p->epoch; e++) {
    const double valid = m->train.history[e].valid;
    CHECK(e + 1 == p->best_epoch ? valid == p->best_loss : valid >= p->best_loss);
  }
  CHECK(validation_loss(m) == p->best_loss);
  CHECK(mrl_train_run(&m->train, settings.epochs, &serial) == MRL_OK); /* nothing more to do */
  CHECK(validation_loss(m) == p->best_loss);
  model_free(m);
  sample_free(&s);
}

/* It learns what is there: noise of variance .04 around a curve that a line misses by .4 on
 * average; dropout costs the rest. */
static void test_learns(void)
{
  sample s = sample_new(MOST_ROWS, 0, 0.2);
  const mrl_task task = task_of(&s, MOST_ROWS, 1000);
  const mrl_train_settings settings = settings_of(40, 128);
  model *m = model_new(wide_net, COUNT(wide_net), &task, &settings, mrl_isa_best(), &serial);
  CHECK(mrl_train_run(&m->train, settings.epochs, &serial) == MRL_OK);
  CHECK(m->train.progress.best_loss < 0.08);
  model_free(m);
  sample_free(&s);
}

/* Stopped after 7 of 20 epochs, saved, loaded into other memory, ended: the same bits throughout.
 */
static void test_resume(void)
{
  sample s = sample_new(N, 0, 0.5);
  const mrl_task task = task_of(&s, N, 100);
  for (int kind = 0; kind < MRL_N_OPTIMIZER; kind++) {
    mrl_train_settings settings = settings_of(20, 64);
    settings.optimizer.kind = (mrl_optimizer_kind)kind;
    settings.optimizer.clip = 1;
    settings.schedule.kind = kind % 2 ? MRL_PLATEAU : MRL_COSINE;
    settings.schedule.factor = 0.5;
    model *whole =
        model_new(small_net, COUNT(small_net), &task, &settings, MRL_ISA_AVX512, &serial);
    model *first =
        model_new(small_net, COUNT(small_net), &task, &settings, MRL_ISA_AVX512, &serial);
    model *second =
        model_new(small_net, COUNT(small_net), &task, &settings, MRL_ISA_AVX512, &serial);
    const size_t size = mrl_train_bytes(&first->train);
    unsigned char *saved = bytes(size), *other = bytes(size);
    CHECK(mrl_train_run(&whole->train, 20, &serial) == MRL_OK);
    CHECK(mrl_train_run(&first->train, 7, &serial) == MRL_OK);
    CHECK(first->train.progress.epoch == 7 && first->train.progress.stop == MRL_GOES_ON);
    mrl_train_save(saved, &first->train);
    CHECK(mrl_train_load(&second->train, saved, size) == MRL_OK);
    CHECK(mrl_train_run(&second->train, 20, &serial) == MRL_OK);
    mrl_train_save(saved, &whole->train);
    mrl_train_save(other, &second->train);
    CHECK(memcmp(saved, other, size) == 0);
    CHECK(!same_model(whole, first));
    saved[8 * 2] ^= 1; /* another net's number of parameters */
    CHECK(mrl_train_load(&second->train, saved, size) == MRL_BAD_ARGUMENT);
    CHECK(mrl_train_load(&second->train, other, size - 1) == MRL_BAD_ARGUMENT);
    CHECK(same_model(whole, second));
    free(saved);
    free(other);
    model_free(whole);
    model_free(first);
    model_free(second);
  }
  sample_free(&s);
}

/* By this clock, which is asked before and after, epoch e takes e seconds. */
static size_t n_asked;
static double slower_and_slower(void)
{
  static double time = 0;
  time += n_asked % 2 == 1 ? (double)(n_asked + 1) / 2 : 0;
  n_asked++;
  return time;
}

/* All threads, one, all as that was faster, then one again. */
static void check_pace(const mrl_train *train)
{
  CHECK(train->n_timed == 4 && train->pace[1] == 3 && train->pace[0] == 4);
}

/* Batches of 4000 rows are worth three threads here; the last run changes the registers. */
static void test_bits(void)
{
  sample s = sample_new(MOST_ROWS, 0, 0.5);
  const mrl_task task = task_of(&s, MOST_ROWS, 2000);
  const mrl_train_settings settings = settings_of(4, 4000);
  const mrl_isa best = mrl_isa_best();
  model *one = model_new(wide_net, COUNT(wide_net), &task, &settings, best, &serial);
  CHECK(mrl_train_run(&one->train, 4, &serial) == MRL_OK);
  for (int threads = 2; threads <= 5; threads++) {
    const mrl_ctx ctx = {threads, NULL, NULL};
    model *other = model_new(wide_net, COUNT(wide_net), &task, &settings, best, &ctx);
    other->train.now = threads == 5 ? slower_and_slower : NULL;
    CHECK(mrl_train_run(&other->train, 4, &ctx) == MRL_OK);
    CHECK(same_model(one, other));
    if (threads == 5) {
      check_pace(&other->train);
    }
    CHECK(one->train.history[3].valid == other->train.history[3].valid);
    model_free(other);
  }
  if (best == MRL_ISA_AVX512) {
    model *narrow = model_new(wide_net, COUNT(wide_net), &task, &settings, MRL_ISA_AVX2, &serial);
    CHECK(mrl_train_run(&narrow->train, 4, &serial) == MRL_OK);
    CHECK(same_model(one, narrow));
    model_free(narrow);
  }
  mrl_train_settings reseeded = settings;
  reseeded.seed++;
  model *other = model_new(wide_net, COUNT(wide_net), &task, &reseeded, best, &serial);
  CHECK(mrl_train_run(&other->train, 4, &serial) == MRL_OK);
  CHECK(!same_model(one, other));
  model_free(other);
  model_free(one);
  sample_free(&s);
}

static void test_divergence(void)
{
  sample s = sample_new(N, 0, 0.5);
  for (size_t n_valid = 0; n_valid <= 100; n_valid += 100) {
    const mrl_task task = task_of(&s, N, n_valid);
    mrl_train_settings settings = settings_of(50, 64);
    settings.optimizer.kind = MRL_SGD;
    settings.rate = 100;
    model *m = model_new(small_net, COUNT(small_net), &task, &settings, mrl_isa_best(), &serial);
    const mrl_status status = mrl_train_run(&m->train, 50, &serial);
    CHECK(status == MRL_NOT_FINITE || status == MRL_NO_CONVERGE);
    CHECK(is_finite_model(m));
    model_free(m);
    model *line =
        model_new(linear_net, COUNT(linear_net), &task, &settings, mrl_isa_best(), &serial);
    CHECK(mrl_train_run(&line->train, 50, &serial) == MRL_NOT_FINITE);
    CHECK(line->train.progress.stop == MRL_STOP_DIVERGED);
    CHECK(is_finite_model(line));
    CHECK(mrl_train_run(&line->train, 50, &serial) == MRL_NOT_FINITE);
    model_free(line);
  }
  sample_free(&s);
}

static void count_poll(void *data)
{
  (*(int *)data)++;
}

/* Sizes at the edges: whatever the batch, every row is used once an epoch. */
static void test_edges(void)
{
  static const size_t batches[] = {1, 2, 7, 10, 11, 12, 1000};
  sample s = sample_new(N, 0, 0.5);
  for (size_t b = 0; b < COUNT(batches); b++) {
    const mrl_task task = task_of(&s, 12, 1);
    const mrl_train_settings settings = settings_of(3, batches[b]);
    int polls = 0;
    const mrl_ctx ctx = {1, count_poll, &polls};
    model *m = model_new(small_net, COUNT(small_net), &task, &settings, mrl_isa_best(), &ctx);
    const mrl_status status = mrl_train_run(&m->train, 3, &ctx);
    CHECK(status == MRL_OK || status == MRL_NO_CONVERGE);
    CHECK((size_t)polls == 3 * m->train.n_batches);
    CHECK(m->train.run.rows * m->train.n_batches >= 11);
    CHECK(m->train.n_batches <= 5); /* two rows at least, for batch norm */
    CHECK(is_finite_model(m));
    model_free(m);
  }
  const mrl_task one = task_of(&s, 1, 0);
  const mrl_train_settings settings = settings_of(3, 1);
  model *m = model_new(small_net, COUNT(small_net), &one, &settings, mrl_isa_best(), &serial);
  CHECK(m->carved == MRL_TOO_FEW);
  model_free(m);
  m = model_new(linear_net, COUNT(linear_net), &one, &settings, mrl_isa_best(), &serial);
  CHECK(m->carved == MRL_OK && mrl_train_run(&m->train, 3, &serial) == MRL_OK);
  model_free(m);
  const mrl_task none = task_of(&s, 0, 0);
  m = model_new(linear_net, COUNT(linear_net), &none, &settings, mrl_isa_best(), &serial);
  CHECK(m->carved == MRL_TOO_FEW);
  model_free(m);
  sample_free(&s);
}

enum { EPOCHS = 3, ORDER_ROWS = 101 };

/* A fill that writes down the rows it is asked for. */
typedef struct {
  const mrl_rows *inputs;
  size_t *seen;
  size_t *n_seen;
} recorder;

static mrl_status recording_fill(mrl_real *x, const mrl_tile *tile, const void *data)
{
  const recorder *r = data;
  for (size_t i = 0; i < tile->rows; i++) {
    r->seen[(*r->n_seen)++] = tile->row[i];
  }
  return mrl_fill_rows(x, tile, r->inputs);
}

/* Every epoch uses each row once, in an order of its own. */
static void test_order(void)
{
  sample s = sample_new(N, 0, 0.5);
  size_t seen[EPOCHS * ORDER_ROWS], n_seen = 0;
  const recorder r = {&s.inputs, seen, &n_seen};
  mrl_task task = task_of(&s, ORDER_ROWS, 0);
  const mrl_train_settings settings = settings_of(EPOCHS, 10);
  task.fill = recording_fill;
  task.fill_data = &r;
  model *m = model_new(small_net, COUNT(small_net), &task, &settings, mrl_isa_best(), &serial);
  CHECK(m->train.n_batches == 11);
  CHECK(mrl_train_run(&m->train, EPOCHS, &serial) == MRL_OK);
  CHECK(n_seen == EPOCHS * ORDER_ROWS);
  for (size_t e = 0; e < EPOCHS; e++) {
    const size_t *order = seen + e * ORDER_ROWS;
    int times[ORDER_ROWS] = {0};
    size_t in_place = 0, as_before = 0; /* 1 each expected of a random order; 8 has p = 1e-5 */
    for (size_t i = 0; i < ORDER_ROWS; i++) {
      times[order[i]]++;
      in_place += order[i] == i;
      as_before += e > 0 && order[i] == seen[(e - 1) * ORDER_ROWS + i];
    }
    for (size_t i = 0; i < ORDER_ROWS; i++) {
      CHECK(times[i] == 1);
    }
    CHECK(in_place < 8 && as_before < 8);
  }
  model_free(m);
  sample_free(&s);
}

int main(void)
{
  test_least_squares();
  test_early_stop();
  test_learns();
  test_resume();
  test_bits();
  test_divergence();
  test_edges();
  test_order();
  return CTEST_DONE();
}
