/* Nets as a whole, in double: every gradient by central differences, and the modes of batch norm.
 */
#include "net_double.h"

#include "ctest.h"
#include "layer.c"
#include "loss.c"
#include "net.c"
#include "net_run.c"
#include "net_step.c"
#include "net_tile.c"

#include <string.h>

static const mrl_ctx serial = {1, NULL, NULL};

/* A net with data, and all that a pass needs. */
typedef struct {
  mrl_net net;
  mrl_net_run run;
  mrl_batch batch;
  mrl_loss loss;
  mrl_rows inputs;
  void *net_memory, *run_memory;
  mrl_real *x, *y, *weight, *params, *statistics, *scratch;
  mrl_real tau[8];
  size_t *rows;
} rig;

/* Inputs of evaluation k of a row: those of row group * row + k of x. */
static mrl_status fill_group(mrl_real *x, const mrl_tile *tile, const void *data)
{
  const mrl_rows *rows = data;
  for (size_t k = 0; k < tile->group; k++) {
    for (size_t i = 0; i < tile->rows; i++) {
      for (size_t j = 0; j < rows->width; j++) {
        const size_t from = tile->row[i] * tile->group + k;
        x[i + k * tile->rows + j * tile->ld] = rows->x[from * rows->width + j];
      }
    }
  }
  return MRL_OK;
}

static rig *rig_new(const mrl_layer *layers, size_t n_layers, size_t p, size_t n, size_t group,
                    mrl_loss_kind kind, mrl_net_mode mode)
{
  rig *r = test_bytes(sizeof *r);
  mrl_arena arena = mrl_arena_measure();
  CHECK(mrl_net_carve(&r->net, &arena, layers, n_layers, p) == MRL_OK);
  r->net_memory = test_bytes(arena.used);
  arena = mrl_arena_over(r->net_memory, arena.used);
  CHECK(mrl_net_carve(&r->net, &arena, layers, n_layers, p) == MRL_OK);
  arena = mrl_arena_measure();
  CHECK(mrl_net_run_carve(&r->run, &arena, &r->net, n, group, 1, MRL_ISA_AVX512, &serial) ==
        MRL_OK);
  r->run_memory = test_bytes(arena.used);
  memset(r->run_memory, 0xff, arena.used); /* NaN: whoever reads before writing shows */
  arena = mrl_arena_over(r->run_memory, arena.used);
  CHECK(mrl_net_run_carve(&r->run, &arena, &r->net, n, group, 1, MRL_ISA_AVX512, &serial) ==
        MRL_OK);
  r->x = test_reals(n * group * p);
  r->y = test_reals(n * r->net.n_outputs);
  r->weight = test_reals(n);
  r->params = test_reals(r->net.n_params);
  r->statistics = test_reals(r->net.n_statistics);
  r->scratch = test_reals(r->net.n_statistics);
  r->rows = test_bytes(n * sizeof *r->rows);
  test_fill(r->x, n * group * p, 1.5);
  test_fill(r->y, n * r->net.n_outputs, 1);
  for (size_t i = 0; i < n; i++) {
    r->rows[i] = (i * 7 + 3) % n; /* n is never a multiple of 7 here */
    r->weight[i] = 1 + 0.5 * test_uniform();
    r->y[i] = kind == MRL_LOSS_BINARY ? (double)(r->y[i] > 0) : r->y[i];
  }
  for (size_t j = 0; j < 8; j++) {
    r->tau[j] = (mrl_real)(0.1 + 0.1 * (double)j);
  }
  mrl_net_start(r->params, r->statistics, &r->net, 5);
  for (size_t k = 0; k < r->net.n_pieces; k++) { /* away from 0 and 1, to see every term */
    const mrl_param *piece = r->net.piece + k;
    for (size_t i = 0; i < piece->size; i++) {
      r->params[piece->offset + i] += 0.3 * test_uniform();
    }
  }
  for (size_t j = 0; j < r->net.n_statistics; j++) {
    r->statistics[j] += 0.2 * fabs(test_uniform());
  }
  const mrl_loss loss = {kind, r->net.n_outputs, 1, r->y, r->weight, r->tau, NULL, 0.4};
  r->loss = loss;
  r->inputs.x = r->x;
  r->inputs.width = p;
  const mrl_batch batch = {.row = r->rows,
                           .n = n,
                           .mode = mode,
                           .seed = 11,
                           .step = 4,
                           .fill = group == 1 ? mrl_fill_rows : fill_group,
                           .fill_data = &r->inputs,
                           .loss = mrl_loss_tile,
                           .loss_data = &r->loss};
  r->batch = batch;
  CHECK(mrl_loss_check(&r->loss, group) == MRL_OK);
  return r;
}

static void rig_free(rig *r)
{
  free(r->net_memory);
  free(r->run_memory);
  free(r->x);
  free(r->y);
  free(r->weight);
  free(r->params);
  free(r->statistics);
  free(r->scratch);
  free(r->rows);
  free(r);
}

/* The loss of the batch; the running statistics stay as they are. */
static double batch_loss(void *data)
{
  rig *r = data;
  double value = NAN;
  memcpy(r->scratch, r->statistics, r->net.n_statistics * sizeof *r->scratch);
  CHECK(mrl_net_step(&value, &r->run, r->params, r->scratch, &r->batch, &serial) == MRL_OK);
  return value;
}

/* Each piece of the parameters on its own, and the input. */
static void check_gradients(const char *what, rig *r)
{
  const size_t n_x = r->batch.n * r->run.group * r->net.n_inputs;
  mrl_real *gradient = test_reals(r->net.n_params), *dx = test_reals(n_x);
  batch_loss(r);
  memcpy(gradient, r->run.gradient, r->net.n_params * sizeof *gradient);
  for (size_t t = 0; t < mrl_net_tiles(&r->run, r->batch.n); t++) {
    const mrl_tile tile = mrl_net_tile(&r->run, &r->batch, t);
    const mrl_real *d = r->run.d_input + mrl_net_tile_at(&r->run, t, r->net.n_inputs);
    for (size_t i = 0; i < mrl_tile_net_rows(&tile); i++) {
      const size_t row = tile.row[i % tile.rows] * tile.group + i / tile.rows;
      for (size_t j = 0; j < r->net.n_inputs; j++) {
        dx[row * r->net.n_inputs + j] = d[i + j * tile.ld];
      }
    }
  }
  for (size_t k = 0; k < r->net.n_pieces; k++) {
    const mrl_param *piece = r->net.piece + k;
    const double error = test_gradient(r->params + piece->offset, gradient + piece->offset,
                                       piece->size, batch_loss, r);
    CHECK(error < 1e-6);
    if (!(error < 1e-6)) {
      fprintf(stderr, "    %s, piece %zu: %g\n", what, k, error);
    }
    for (size_t i = piece->size; i < mrl_pad(piece->size); i++) {
      CHECK(gradient[piece->offset + i] == 0);
    }
  }
  const double error = test_gradient(r->x, dx, n_x, batch_loss, r);
  CHECK(error < 1e-6);
  if (!(error < 1e-6)) {
    fprintf(stderr, "    %s, input: %g\n", what, error);
  }
  free(gradient);
  free(dx);
}

#define DENSE(n)                                                                                   \
  {                                                                                                \
    MRL_LAYER_DENSE, n, MRL_IDENTITY, 0, 0                                                         \
  }
#define BLOCKS(n, parts)                                                                           \
  {                                                                                                \
    MRL_LAYER_DENSE, n, MRL_IDENTITY, 0, parts                                                     \
  }
#define ACT(name, slope)                                                                           \
  {                                                                                                \
    MRL_LAYER_ACTIVATION, 0, name, slope, 0                                                        \
  }
#define BATCH                                                                                      \
  {                                                                                                \
    MRL_LAYER_BATCH_NORM, 0, MRL_IDENTITY, 0, 0                                                    \
  }
#define NORM                                                                                       \
  {                                                                                                \
    MRL_LAYER_NORM, 0, MRL_IDENTITY, 0, 0                                                          \
  }
#define DROP(rate)                                                                                 \
  {                                                                                                \
    MRL_LAYER_DROPOUT, 0, MRL_IDENTITY, rate, 0                                                    \
  }
#define SOFT                                                                                       \
  {                                                                                                \
    MRL_LAYER_SOFTMAX, 0, MRL_IDENTITY, 0, 0                                                       \
  }
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void check_net(const char *what, const mrl_layer *layers, size_t n_layers, size_t n,
                      size_t group, mrl_loss_kind kind)
{
  for (int mode = MRL_EVALUATE; mode <= MRL_TRAIN; mode++) {
    rig *r = rig_new(layers, n_layers, 3, n, group, kind, (mrl_net_mode)mode);
    check_gradients(what, r);
    rig_free(r);
  }
}

static void test_layers(void)
{
  const mrl_layer linear[] = {DENSE(2)};
  const mrl_layer batch[] = {DENSE(5),         BATCH,   ACT(MRL_GELU, 0), DENSE(4), BATCH,
                             ACT(MRL_TANH, 0), DENSE(2)};
  const mrl_layer ends[] = {BATCH, DENSE(4), ACT(MRL_SIGMOID, 0), DENSE(2), BATCH};
  const mrl_layer norm[] = {DENSE(6), NORM, ACT(MRL_SOFTPLUS, 0), DENSE(3), NORM, DENSE(2)};
  const mrl_layer drop[] = {DROP(0.2), DENSE(6), ACT(MRL_GELU, 0), DROP(0.5),
                            DENSE(5),  BATCH,    DROP(0.3),        DENSE(2)};
  const mrl_layer soft[] = {DENSE(5), SOFT, DENSE(4), SOFT, DROP(0.1), DENSE(3), SOFT};
  /* A batch norm would cancel the one weight of a unit that sees one input. */
  const mrl_layer blocks[] = {BLOCKS(6, 3),     ACT(MRL_GELU, 0), BLOCKS(9, 3), BATCH,
                              ACT(MRL_TANH, 0), BLOCKS(3, 3),     DENSE(2)};
  const mrl_layer bare[] = {ACT(MRL_TANH, 0), BATCH, ACT(MRL_GELU, 0), BATCH, DENSE(2)};
  check_net("linear", linear, COUNT(linear), 23, 1, MRL_LOSS_SQUARED);
  check_net("batch norm", batch, COUNT(batch), 23, 1, MRL_LOSS_SQUARED);
  check_net("batch norm, tiles", batch, COUNT(batch), 523, 1, MRL_LOSS_SQUARED);
  check_net("batch norm at both ends", ends, COUNT(ends), 33, 1, MRL_LOSS_SQUARED);
  check_net("layer norm", norm, COUNT(norm), 23, 1, MRL_LOSS_SQUARED);
  check_net("dropout", drop, COUNT(drop), 29, 1, MRL_LOSS_SQUARED);
  check_net("softmax", soft, COUNT(soft), 23, 1, MRL_LOSS_SQUARED);
  check_net("blocks", blocks, COUNT(blocks), 23, 1, MRL_LOSS_SQUARED);
  check_net("blocks, tiles", blocks, COUNT(blocks), 523, 1, MRL_LOSS_SQUARED);
  check_net("no dense layer first", bare, COUNT(bare), 23, 1, MRL_LOSS_SQUARED);
}

static void test_losses(void)
{
  const mrl_layer two[] = {DENSE(6), BATCH, ACT(MRL_GELU, 0), DENSE(2)};
  const mrl_layer one[] = {DENSE(6), BATCH, ACT(MRL_GELU, 0), DENSE(1)};
  const mrl_layer nine[] = {DENSE(6), ACT(MRL_TANH, 0), DENSE(9)};
  check_net("pinball", two, COUNT(two), 41, 1, MRL_LOSS_PINBALL);
  check_net("gaussian", two, COUNT(two), 41, 1, MRL_LOSS_GAUSSIAN);
  check_net("huber", two, COUNT(two), 41, 1, MRL_LOSS_HUBER);
  check_net("binary", one, COUNT(one), 41, 1, MRL_LOSS_BINARY);
  check_net("mixture", nine, COUNT(nine), 41, 1, MRL_LOSS_MIXTURE);
  check_net("mean of 5", two, COUNT(two), 20, 5, MRL_LOSS_SQUARED);
  check_net("mean of 5, tiles", one, COUNT(one), 120, 5, MRL_LOSS_SQUARED);
  check_net("mean of probabilities", one, COUNT(one), 20, 3, MRL_LOSS_BINARY);
  check_net("product of 2 x 2", one, COUNT(one), 20, 4, MRL_LOSS_PRODUCT);
  check_net("a large group", one, COUNT(one), 2, 300, MRL_LOSS_SQUARED);
}

/* A batch norm on the inputs: batch moments in training, which the running ones follow
 * by a tenth (variance with n - 1); running ones in evaluation. */
static void test_batch_norm(void)
{
  enum { ROWS = 600 };
  const mrl_layer layers[] = {BATCH, DENSE(1)};
  for (int mode = MRL_EVALUATE; mode <= MRL_TRAIN; mode++) {
    rig *r = rig_new(layers, COUNT(layers), 3, ROWS, 1, MRL_LOSS_SQUARED, (mrl_net_mode)mode);
    const mrl_stage *norm = r->net.stage;
    memcpy(r->scratch, r->statistics, r->net.n_statistics * sizeof *r->scratch);
    CHECK(mrl_net_forward(&r->run, r->params, r->scratch, &r->batch, &serial) == MRL_OK);
    for (size_t j = 0; j < 3; j++) {
      const mrl_real *from = r->statistics + j;
      double mean = 0, var = 0;
      for (size_t i = 0; i < ROWS; i++) {
        mean += r->x[i * 3 + j] / ROWS;
      }
      for (size_t i = 0; i < ROWS; i++) {
        var += pow(r->x[i * 3 + j] - mean, 2) / ROWS;
      }
      if (mode == MRL_EVALUATE) {
        mean = from[norm->mean];
        var = from[norm->var];
        CHECK(r->scratch[norm->mean + j] == mean && r->scratch[norm->var + j] == var);
      } else {
        CHECK_NEAR(r->scratch[norm->mean + j], 0.9 * from[norm->mean] + 0.1 * mean, 1e-14);
        CHECK_NEAR(r->scratch[norm->var + j], 0.9 * from[norm->var] + 0.1 * var * ROWS / (ROWS - 1),
                   1e-14);
      }
      for (size_t t = 0; t < mrl_net_tiles(&r->run, ROWS); t++) {
        const mrl_tile tile = mrl_net_tile(&r->run, &r->batch, t);
        const mrl_real *out = r->run.out[0] + mrl_net_tile_at(&r->run, t, 3) + j * tile.ld;
        for (size_t i = 0; i < tile.rows; i++) {
          const double z = (r->x[tile.row[i] * 3 + j] - mean) / sqrt(var + 1e-5);
          CHECK_NEAR(out[i], r->params[norm->a + j] * z + r->params[norm->c + j], 1e-12);
        }
      }
    }
    rig_free(r);
  }
}

/* Forward, the loss by hand, backward: what one step gives. And evaluation, which keeps nothing. */
static void test_halves(void)
{
  const mrl_layer layers[] = {DENSE(7), BATCH, ACT(MRL_GELU, 0), DROP(0.2), DENSE(2)};
  for (int mode = MRL_EVALUATE; mode <= MRL_TRAIN; mode++) {
    rig *r = rig_new(layers, COUNT(layers), 3, 700, 1, MRL_LOSS_SQUARED, (mrl_net_mode)mode);
    const double whole = batch_loss(r);
    double sum = 0, value;
    mrl_real *gradient = test_reals(r->net.n_params);
    memcpy(gradient, r->run.gradient, r->net.n_params * sizeof *gradient);
    memcpy(r->scratch, r->statistics, r->net.n_statistics * sizeof *r->scratch);
    CHECK(mrl_net_forward(&r->run, r->params, r->scratch, &r->batch, &serial) == MRL_OK);
    for (size_t t = 0; t < mrl_net_tiles(&r->run, 700); t++) {
      const mrl_tile tile = mrl_net_tile(&r->run, &r->batch, t);
      const mrl_shape shape = {tile.rows, tile.ld, 2, r->run.isa};
      const size_t at = mrl_net_tile_at(&r->run, t, 2);
      CHECK(mrl_loss_tile(&value, r->run.d_output + at, mrl_net_output(&r->run) + at, &tile,
                          &r->loss) == MRL_OK);
      mrl_clear_rest(r->run.d_output + at, &shape);
      sum += value;
    }
    CHECK_NEAR(sum / 700, whole, 1e-14);
    CHECK(mrl_net_backward(&r->run, r->params, &r->batch, &serial) == MRL_OK);
    CHECK(memcmp(gradient, r->run.gradient, r->net.n_params * sizeof *gradient) == 0);
    CHECK(mrl_net_evaluate(&value, &r->run, r->params, r->statistics, &r->batch, &serial) ==
          MRL_OK);
    CHECK(mode == MRL_TRAIN ? fabs(value / 700 - whole) > 1e-3 : fabs(value / 700 - whole) < 1e-13);
    r->batch.step++; /* other numbers are dropped */
    CHECK((batch_loss(r) == whole) == (mode == MRL_EVALUATE));
    free(gradient);
    rig_free(r);
  }
}

/* Weight matrices draw from streams of their own: a layer behind does not change those before. */
static void test_start(void)
{
  const mrl_layer few[] = {DENSE(200), ACT(MRL_RELU, 0), DENSE(2)};
  const mrl_layer more[] = {DENSE(200), ACT(MRL_RELU, 0), DENSE(2), DENSE(1)};
  rig *a = rig_new(few, COUNT(few), 3, 4, 1, MRL_LOSS_SQUARED, MRL_TRAIN);
  rig *b = rig_new(more, COUNT(more), 3, 4, 1, MRL_LOSS_SQUARED, MRL_TRAIN);
  double squares = 0;
  mrl_net_start(a->params, a->statistics, &a->net, 8);
  mrl_net_start(b->params, b->statistics, &b->net, 8);
  CHECK(memcmp(a->params, b->params, a->net.n_params * sizeof *a->params) == 0);
  CHECK(a->params[0] != a->params[a->net.stage[2].a]);
  for (size_t i = 0; i < 600; i++) {
    squares += a->params[i] * a->params[i];
  }
  CHECK_NEAR(squares / 600, 2.0 / 3, 5 * 2.0 / 3 * sqrt(2.0 / 600)); /* He; five of its sds */
  rig_free(a);
  rig_free(b);
}

static mrl_status failing_fill(mrl_real *x, const mrl_tile *tile, const void *data)
{
  (void)x;
  (void)data;
  return tile->first > 0 ? MRL_SINGULAR : MRL_OK;
}

static void test_errors(void)
{
  const mrl_layer layers[] = {DENSE(2), BATCH}, wrong[] = {DENSE(0)}, uneven[] = {BLOCKS(5, 3)};
  rig *r = rig_new(layers, COUNT(layers), 3, 600, 1, MRL_LOSS_SQUARED, MRL_TRAIN);
  mrl_net net;
  mrl_arena arena = mrl_arena_measure();
  double value;
  CHECK(mrl_net_carve(&net, &arena, wrong, 1, 3) == MRL_BAD_ARGUMENT);
  CHECK(mrl_net_carve(&net, &arena, uneven, 1, 3) == MRL_BAD_ARGUMENT);
  CHECK(mrl_net_carve(&net, &arena, layers, 0, 3) == MRL_BAD_ARGUMENT);
  CHECK(mrl_net_carve(&net, &arena, layers, 2, 0) == MRL_BAD_ARGUMENT);
  r->batch.n = 1;
  CHECK(mrl_net_step(&value, &r->run, r->params, r->scratch, &r->batch, &serial) == MRL_TOO_FEW);
  r->batch.n = 601;
  CHECK(mrl_net_step(&value, &r->run, r->params, r->scratch, &r->batch, &serial) ==
        MRL_BAD_ARGUMENT);
  r->batch.n = 600;
  r->batch.fill = failing_fill;
  CHECK(mrl_net_step(&value, &r->run, r->params, r->scratch, &r->batch, &serial) == MRL_SINGULAR);
  rig_free(r);
}

int main(void)
{
  test_layers();
  test_losses();
  test_batch_norm();
  test_halves();
  test_start();
  test_errors();
  return CTEST_DONE();
}
