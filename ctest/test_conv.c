/* Convolutions in double against their definition: panels, groups, runs of taps, few outputs. */
#include "seq_double.h"

#include "conv.c"
#include "ctest.h"

#include <string.h>

enum { GUARD = 9 };

static const mrl_real guard_value = -12345;

typedef struct {
  mrl_conv_shape shape;
  mrl_conv_weights weights;
  mrl_real *w;
  void *memory;
} packed_conv;

static packed_conv pack(mrl_conv_shape shape, const mrl_real *w)
{
  packed_conv p = {.shape = shape};
  const size_t n = shape.taps * (shape.in / shape.groups) * shape.out;
  p.w = test_reals(n);
  if (w) {
    memcpy(p.w, w, n * sizeof *w);
  } else {
    test_fill(p.w, n, 1);
  }
  mrl_arena arena = mrl_arena_measure();
  CHECK(mrl_conv_carve(&p.weights, &arena, &shape) == MRL_OK);
  p.memory = test_bytes(arena.used);
  arena = mrl_arena_over(p.memory, arena.used);
  CHECK(mrl_conv_carve(&p.weights, &arena, &shape) == MRL_OK);
  mrl_conv_pack(&p.weights, p.w);
  return p;
}

static void drop(packed_conv *p)
{
  free(p->w);
  free(p->memory);
}

/* Output o of a column whose first tap is at x. */
static double slow(const packed_conv *p, const mrl_real *x, const mrl_conv_columns *c, size_t o)
{
  const size_t in = p->shape.in / p->shape.groups, out = p->shape.out / p->shape.groups;
  double sum = 0;
  for (size_t k = 0; k < c->n_taps; k++) {
    for (size_t i = 0; i < in; i++) {
      const mrl_real w = p->w[((c->first_tap + k) * in + i) * p->shape.out + o];
      sum += x[k * c->x_tap + o / out * in + i] * w;
    }
  }
  return sum;
}

/* Sums of up to 400 products of order 1: rounding is below 1e-13. */
static void check_product(mrl_conv_shape shape, size_t n_cols, size_t first_tap, size_t n_taps)
{
  packed_conv p = pack(shape, NULL);
  const mrl_conv_columns c = {
      .n_cols = n_cols,
      .z_col = mrl_pad(shape.out) + 8,
      .x_col = shape.in + 3,
      .x_tap = 2 * (shape.in + 3),
      .first_tap = first_tap,
      .n_taps = n_taps,
  };
  const size_t n_x = (n_cols + 2 * shape.taps) * c.x_col, n_z = n_cols * c.z_col;
  mrl_real *x = test_reals(n_x), *z = test_reals(n_z + GUARD), *z2 = test_reals(n_z);
  test_fill(x, n_x, 1);
  for (size_t i = 0; i < n_z + GUARD; i++) {
    z[i] = guard_value;
  }
  mrl_conv_product(z, x, &p.weights, &c, mrl_isa_best());
  double worst = 0;
  int guarded = 1;
  for (size_t j = 0; j < n_cols; j++) {
    for (size_t o = 0; o < shape.out; o++) {
      worst = fmax(worst, fabs(z[j * c.z_col + o] - slow(&p, x + j * c.x_col, &c, o)));
    }
    for (size_t o = shape.out; o < c.z_col; o++) { /* zeros up to the register, then untouched */
      guarded = guarded && z[j * c.z_col + o] == (o < mrl_pad(shape.out) ? 0 : guard_value);
    }
  }
  for (size_t i = 0; i < GUARD; i++) {
    guarded = guarded && z[n_z + i] == guard_value;
  }
  CHECK_NEAR(worst, 0, 1e-12);
  CHECK(guarded);
  for (size_t j = 0; j < n_cols; j++) { /* a column alone has the same bits */
    mrl_conv_columns one = c;
    one.n_cols = 1;
    mrl_conv_product(z2, x + j * c.x_col, &p.weights, &one, mrl_isa_best());
    CHECK(memcmp(z2, z + j * c.z_col, mrl_pad(shape.out) * sizeof *z) == 0);
  }
  drop(&p);
  free(x);
  free(z);
  free(z2);
}

static void test_products(void)
{
  static const size_t outs[] = {1, 7, 8, 15, 16, 17, 24, 25, 33, 50, 64};
  for (size_t i = 0; i < sizeof outs / sizeof *outs; i++) {
    for (size_t n_cols = 1; n_cols < 20; n_cols += 3) {
      const mrl_conv_shape shape = {5, 4 + i, outs[i], 1};
      check_product(shape, n_cols, 0, 5);
      check_product(shape, n_cols, 2, 2);
      check_product(shape, n_cols, 3, 0);
    }
  }
  static const size_t groups[] = {2, 3, 4, 6, 12};
  for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
    const mrl_conv_shape narrow = {3, 12, 24, groups[i]}, wide = {2, 12, 48, groups[i]};
    const mrl_conv_shape deep = {1, 24, 12, groups[i]};
    check_product(narrow, 9, 0, 3);
    check_product(wide, 4, 1, 1);
    check_product(deep, 11, 0, 1);
  }
}

/* The other way round: what each row adds to the outputs around it. */
static void check_spread(size_t taps, size_t in, size_t out, size_t n_rows)
{
  const mrl_conv_shape shape = {taps, in, out, 1};
  mrl_conv_shape spread;
  mrl_conv_spreads(&spread, &shape, 1);
  packed_conv direct = pack(shape, NULL);
  mrl_real *turned = test_reals(spread.in * spread.out);
  mrl_conv_turn(turned, direct.w, &shape);
  packed_conv p = pack(spread, turned);
  const size_t x_row = in + 2, sum_ld = n_rows + mrl_pad(taps), n_sums = n_rows + taps - 1;
  mrl_real *x = test_reals(n_rows * x_row), *sum = test_reals(out * sum_ld);
  mrl_real *work = test_reals(MRL_SPREAD_ROWS * spread.out);
  test_fill(x, n_rows * x_row, 1);
  mrl_conv_spread(sum, sum_ld, x, x_row, n_rows, &p.weights, out, work, mrl_isa_best());
  double worst = 0;
  for (size_t i = 0; i < n_sums; i++) {
    for (size_t o = 0; o < out; o++) {
      double expected = 0;
      for (size_t k = 0; k < taps; k++) {
        const size_t row = i + k - (taps - 1); /* wraps below 0 */
        for (size_t c = 0; row < n_rows && c < in; c++) {
          expected += x[row * x_row + c] * direct.w[(k * in + c) * out + o];
        }
      }
      worst = fmax(worst, fabs(sum[o * sum_ld + i] - expected));
    }
  }
  CHECK_NEAR(worst, 0, 1e-12);
  drop(&direct);
  drop(&p);
  free(turned);
  free(x);
  free(sum);
  free(work);
}

static void test_spreads(void)
{
  check_spread(75, 6, 2, 40);
  check_spread(20, 3, 1, 1);
  check_spread(9, 5, 3, 17);
  mrl_conv_shape spread;
  const mrl_conv_shape few = {75, 64, 2, 1}, many = {75, 64, 64, 1};
  CHECK(mrl_conv_spreads(&spread, &few, 1) && !mrl_conv_spreads(&spread, &few, 2));
  CHECK(!mrl_conv_spreads(&spread, &many, 1));
}

int main(void)
{
  test_products();
  test_spreads();
  return CTEST_DONE();
}
