/* What the networks compute in float: accuracy of the activations and losses over their whole
 * range, the same bits with AVX2 and AVX-512, NaN that stays. */
#include "ctest.h"
#include "layer.h"
#include "loss.h"
#include "optim.h"
#include "rng.h"

#include <stdlib.h>
#include <string.h>

enum { ROWS = 2000, LD = 2000 + MRL_LANES };

static void *bytes(size_t n)
{
  void *memory = calloc(n + 1, 1);
  if (!memory) {
    abort();
  }
  return memory;
}

static void fill_normal(mrl_real *x, size_t n, double sd, uint64_t item)
{
  mrl_rng rng = mrl_rng_stream(2, MRL_RNG_TEST, item);
  for (size_t i = 0; i < n; i++) {
    x[i] = (mrl_real)(sd * mrl_rng_normal(&rng));
  }
}

static double exact(mrl_activation act, double u)
{
  switch (act) {
  case MRL_RELU:
    return u > 0 ? u : 0;
  case MRL_LEAKY_RELU:
    return u > 0 ? u : (double)0.1f * u;
  case MRL_GELU:
    return 0.5 * u * erfc(-u * sqrt(0.5));
  case MRL_TANH:
    return tanh(u);
  case MRL_SIGMOID:
    return 1 / (1 + exp(-u));
  case MRL_SOFTPLUS:
    return u > 0 ? u + log1p(exp(-u)) : log1p(exp(u));
  default:
    return u;
  }
}

static double exact_slope(mrl_activation act, double u)
{
  switch (act) {
  case MRL_RELU:
    return u > 0;
  case MRL_LEAKY_RELU:
    return u > 0 ? 1 : (double)0.1f;
  case MRL_GELU:
    return 0.5 * erfc(-u * sqrt(0.5)) + u * exp(-0.5 * u * u) * 0.39894228040143268;
  case MRL_TANH:
    return 1 - pow(tanh(u), 2);
  case MRL_SIGMOID:
    return 1 / (1 + exp(-u)) / (1 + exp(u));
  case MRL_SOFTPLUS:
    return 1 / (1 + exp(-u));
  default:
    return 1;
  }
}

/*
 * u from -12 to 12. A rounding is 6e-8. Values: eight of them relative to the value, where the
 * exponential of u^2 / 2 <= 72 loses up to 72 roundings to that of its argument (GELU's tail, below
 * 1e-30 at the end), so up to 1e-5 there. Slopes: ten roundings of 1 + |u|, absolutely.
 */
static void check_activation(mrl_activation act, mrl_isa isa)
{
  mrl_real one = 1, zero = 0, sum_a, sum_c;
  mrl_real *u = bytes(LD * sizeof *u), *h = bytes(LD * sizeof *h), *d = bytes(LD * sizeof *d);
  const mrl_shape shape = {ROWS, LD, 1, isa};
  const mrl_affine affine = {&one, &zero, &zero, &one, &one, act, 0.1f};
  double worst = 0, worst_slope = 0, worst_tail = 0;
  for (size_t i = 0; i < ROWS; i++) {
    u[i] = (mrl_real)(-12 + 24 * ((double)i + 0.5) / ROWS);
    d[i] = 1;
  }
  mrl_affine_forward(h, u, &affine, &shape);
  mrl_affine_backward(d, &sum_a, &sum_c, d, u, &affine, &shape);
  for (size_t i = 0; i < ROWS; i++) {
    const double x = (double)u[i], y = exact(act, x), slope = exact_slope(act, x);
    const double error = y == 0 ? fabs((double)h[i]) : fabs((double)h[i] / y - 1);
    double *const to = act == MRL_GELU && x < -2 ? &worst_tail : &worst;
    *to = fmax(*to, error);
    worst_slope = fmax(worst_slope, fabs((double)d[i] - slope) / (1 + fabs(x)));
  }
  CHECK(worst < 5e-7);
  CHECK(worst_tail < 1e-5);
  CHECK(worst_slope < 6e-7);
  if (worst >= 5e-7 || worst_tail >= 1e-5 || worst_slope >= 6e-7) {
    fprintf(stderr, "    activation %d: %g %g %g\n", (int)act, worst, worst_tail, worst_slope);
  }
  u[0] = NAN;
  u[1] = 1e30f;
  u[2] = -1e30f;
  mrl_affine_forward(h, u, &affine, &shape);
  CHECK(isnan(h[0]));
  CHECK_NEAR((double)h[1] / exact(act, (double)u[1]), 1, 1e-6);
  CHECK_NEAR((double)h[2], exact(act, (double)u[2]), fabs(exact(act, (double)u[2])) * 1e-6);
  free(u);
  free(h);
  free(d);
}

/* A bag of everything that the loops compute, for comparison bit by bit. */
enum { WIDTH = 9, BAG = 40 * LD * WIDTH };

static void all_layers(mrl_real *bag, mrl_isa isa)
{
  const mrl_shape shape = {ROWS - 3, LD, WIDTH, isa};
  const size_t n = LD * WIDTH;
  mrl_real *z = bytes(n * sizeof *z), *d = bytes(n * sizeof *d), k[5][WIDTH];
  fill_normal(z, n, 3, 0);
  fill_normal(d, n, 1, 1);
  fill_normal(k[0], 5 * WIDTH, 1, 2);
  for (int act = 0; act < MRL_N_ACTIVATION; act++) {
    const mrl_affine affine = {k[0], k[1], k[2], k[3], k[4], (mrl_activation)act, 0.1f};
    mrl_affine_forward(bag, z, &affine, &shape);
    mrl_affine_backward(bag + n, bag + 2 * n, bag + 2 * n + WIDTH, d, z, &affine, &shape);
    bag += 2 * n + 2 * WIDTH;
  }
  mrl_moments(bag, bag + WIDTH, z, &shape);
  bag += 2 * WIDTH;
  mrl_batch_norm_backward(bag, d, z, k[0], k[1], k[2], k[3], &shape);
  mrl_row_norm_forward(bag + n, bag + 2 * n, z, 1e-5f, &shape);
  mrl_row_norm_backward(bag + 3 * n, d, bag + n, bag + 2 * n, &shape);
  mrl_softmax_forward(bag + 4 * n, z, &shape);
  mrl_softmax_backward(bag + 5 * n, d, bag + 4 * n, &shape);
  mrl_dropout_forward(bag + 6 * n, bag + 7 * n, z, 0.2, 1, 2, 3, &shape);
  memcpy(bag + 8 * n, z, n * sizeof *z);
  mrl_add(bag + 8 * n, d, n - 5, isa);
  free(z);
  free(d);
}

static void all_losses(mrl_real *bag, mrl_isa isa)
{
  static const mrl_real tau[] = {0.1f, 0.2f, 0.3f, 0.4f, 0.5f, 0.6f, 0.7f, 0.8f, 0.9f};
  static const size_t outputs[] = {WIDTH, WIDTH, WIDTH, 2, WIDTH, WIDTH, 1};
  mrl_real *o = bytes(LD * WIDTH * sizeof *o), *y = bytes(ROWS * sizeof *y);
  size_t *row = bytes(ROWS * sizeof *row);
  fill_normal(o, LD * WIDTH, 1, 3);
  fill_normal(y, ROWS, 1, 4);
  for (size_t i = 0; i < ROWS; i++) {
    row[i] = i;
  }
  for (int kind = 0; kind < MRL_N_LOSS; kind++) {
    for (size_t group = 1; group <= 4; group += 3) {
      const mrl_loss loss = {(mrl_loss_kind)kind, outputs[kind], 1, y, y, tau, NULL, 0.5f};
      const mrl_tile tile = {row, 497, group, LD, 0, 0, 0.5f, isa};
      double value = 0;
      if (mrl_loss_check(&loss, group) == MRL_OK) {
        const mrl_shape shape = {497 * group, LD, outputs[kind], isa};
        CHECK(mrl_loss_tile(&value, bag, o, &tile, &loss) == MRL_OK);
        mrl_clear_rest(bag, &shape); /* beyond the rows anything may stand */
        memcpy(bag + LD * WIDTH, &value, sizeof value);
      }
      bag += LD * WIDTH + 2;
    }
  }
  free(o);
  free(y);
  free(row);
}

static void all_optimizers(mrl_real *bag, mrl_isa isa)
{
  enum { N = 4096 + 64 };
  const mrl_param piece = {0, N, 1, N, 1, 0};
  mrl_real *g = bytes(N * sizeof *g);
  for (int kind = 0; kind < MRL_N_OPTIMIZER; kind++) {
    const mrl_optimizer o = {(mrl_optimizer_kind)kind, 0.9, 0.9, 0.999, 1e-8, 0.01, 20};
    double norm;
    for (uint64_t step = 1; step <= 5; step++) {
      fill_normal(g, N, 0.4, 10 + step);
      CHECK(mrl_optimizer_step(bag, bag + N, &norm, g, &piece, 1, N, &o, 0.01, step, isa) ==
            MRL_OK);
    }
    bag += 4 * N;
  }
  free(g);
}

/*
 * Moments of columns whose first rows are far from the rest, or which are nearly constant, against
 * sums in double. 257 rows about the mean of 16: at most 1 + 257 / 16 = 17 times the squares are
 * summed, so 17 times the few roundings (6e-8) of a sum over 17 strips: 5e-6.
 */
static void test_moments(mrl_isa isa)
{
  enum { MANY = 257, FEW = 11 };
  mrl_real *z = bytes(LD * sizeof *z), mean, square;
  for (size_t kind = 0; kind < 8; kind++) {
    const size_t n = kind % 2 ? FEW : MANY;
    const mrl_shape shape = {n, LD, 1, isa};
    double exact_mean = 0, exact_square = 0;
    fill_normal(z, n, kind / 2 == 2 ? 0 : 1, 20 + kind);
    z[0] = kind / 2 == 1 ? 1e6f : z[0];
    for (size_t i = 0; i < n; i++) {
      z[i] += kind / 2 == 0 ? 0 : 1000;
      exact_mean += (double)z[i] / (double)n;
    }
    for (size_t i = 0; i < n; i++) {
      exact_square += pow((double)z[i] - exact_mean, 2);
    }
    mrl_moments(&mean, &square, z, &shape);
    const double away = 4 * sqrt(exact_square / (double)n); /* of the 16 rows' mean, at most */
    CHECK_NEAR((double)mean, exact_mean, 2e-7 * (1 + fabs(exact_mean) + away));
    CHECK_NEAR((double)square, exact_square, 5e-6 * exact_square + 1e-12);
    z[1] = NAN;
    mrl_moments(&mean, &square, z, &shape);
    CHECK(isnan(mean) && isnan(square));
  }
  free(z);
}

static void test_bits(void (*all)(mrl_real *, mrl_isa))
{
  mrl_real *wide = bytes(BAG * sizeof *wide), *narrow = bytes(BAG * sizeof *narrow);
  if (mrl_isa_best() == MRL_ISA_AVX512) {
    all(wide, MRL_ISA_AVX512);
    all(narrow, MRL_ISA_AVX2);
    CHECK(memcmp(wide, narrow, BAG * sizeof *wide) == 0);
  }
  free(wide);
  free(narrow);
}

/* The numbers that dropout keeps follow from the seed on every instruction set, portable included:
 * the first strip's come from the low halves of the first two words of eight blocks. */
static void test_dropout(mrl_isa isa)
{
  const mrl_shape shape = {37, 3 * MRL_LANES, 5, isa}, plain = {37, 3 * MRL_LANES, 5, 0};
  mrl_real x[15 * MRL_LANES], y[15 * MRL_LANES], keep[15 * MRL_LANES], same[15 * MRL_LANES];
  const mrl_rng rng = mrl_rng_stream(7, MRL_RNG_NET_DROPOUT, 3);
  fill_normal(x, 15 * MRL_LANES, 1, 5);
  mrl_dropout_forward(y, keep, x, 0.4, 7, 3, 6, &shape);
  mrl_dropout_forward(y, same, x, 0.4, 7, 3, 6, &plain);
  CHECK(memcmp(keep, same, sizeof keep) == 0);
  for (uint32_t i = 0; i < 16; i++) {
    const uint32_t counter[4] = {i / 2, 6, rng.counter[2], rng.counter[3]};
    uint32_t word[4];
    mrl_philox(word, counter, rng.key);
    CHECK((keep[i] > 0) == ((word[i % 2] & 0xffff) < 39322)); /* .6 of 65536 */
  }
}

/* In float the extremes come early: logits of +-300, a log sd of -30. */
static void test_extremes(mrl_isa isa)
{
  enum { SOME = 3 };
  const size_t row[SOME] = {0, 1, 2};
  const mrl_real y[SOME] = {0, 1, 1};
  mrl_real o[MRL_LANES * 6] = {300, -300, 0}, d[MRL_LANES * 6];
  const mrl_tile tile = {row, SOME, 1, MRL_LANES, 0, 0, 1, isa};
  double value;
  mrl_loss loss = {.kind = MRL_LOSS_BINARY, .outputs = 1, .targets = 1, .y = y};
  CHECK(mrl_loss_tile(&value, d, o, &tile, &loss) == MRL_OK);
  CHECK_NEAR(value, 600 + log(2), 1e-4);
  loss.kind = MRL_LOSS_MIXTURE;
  loss.outputs = 6;
  for (size_t i = 0; i < SOME;
       i++) { /* weights e^300 to 1, sds e^-30 and 1, the first's mean is y */
    o[i] = 150;
    o[i + MRL_LANES] = -150;
    o[i + 2 * MRL_LANES] = y[i];
    o[i + 3 * MRL_LANES] = 50;
    o[i + 4 * MRL_LANES] = -30;
    o[i + 5 * MRL_LANES] = 0;
  }
  CHECK(mrl_loss_tile(&value, d, o, &tile, &loss) == MRL_OK);
  CHECK_NEAR(value, 3 * (-30 + 0.5 * log(6.283185307179586)), 1e-4);
  for (size_t j = 0; j < 6; j++) {
    CHECK_NEAR((double)d[j * MRL_LANES], j == 4 ? 1 : 0, 1e-5);
  }
  mrl_real z[4 * MRL_LANES] = {0}, p[4 * MRL_LANES];
  const mrl_shape shape = {1, MRL_LANES, 4, isa};
  z[0] = 3e38f;
  z[MRL_LANES] = -3e38f;
  z[2 * MRL_LANES] = 3e38f;
  mrl_softmax_forward(p, z, &shape);
  CHECK(p[0] == 0.5f && p[MRL_LANES] == 0 && p[2 * MRL_LANES] == 0.5f && p[3 * MRL_LANES] == 0);
}

int main(void)
{
  for (int isa = 0; isa <= (int)mrl_isa_best(); isa++) {
    for (int act = 0; act < MRL_N_ACTIVATION; act++) {
      check_activation((mrl_activation)act, (mrl_isa)isa);
    }
    test_dropout((mrl_isa)isa);
    test_extremes((mrl_isa)isa);
    test_moments((mrl_isa)isa);
  }
  test_bits(all_layers);
  test_bits(all_losses);
  test_bits(all_optimizers);
  return CTEST_DONE();
}
