/* Layers on a tile, in double, against slow loops; gradients by central differences are in
 * test_net.c but for the kinks. */
#include "net_double.h"

#include "ctest.h"
#include "layer.c"

#include "rng.h"

#include <string.h>

enum { GUARD = 24 };

static const mrl_real guard_value = -12345;

/* A tensor with guards behind its rows (in the leading dimension) and behind its end. */
static mrl_real *tensor(const mrl_shape *shape)
{
  const size_t n = shape->ld * shape->width + GUARD;
  mrl_real *x = test_reals(n);
  for (size_t i = 0; i < n; i++) {
    x[i] = guard_value;
  }
  for (size_t j = 0; j < shape->width; j++) {
    memset(x + j * shape->ld, 0, mrl_pad(shape->rows) * sizeof *x);
    test_fill(x + j * shape->ld, shape->rows, 2);
  }
  return x;
}

static int guards_hold(const mrl_real *x, const mrl_shape *shape)
{
  int ok = 1;
  for (size_t j = 0; j < shape->width; j++) {
    for (size_t i = mrl_pad(shape->rows); i < shape->ld; i++) {
      ok = ok && x[i + j * shape->ld] == guard_value;
    }
  }
  for (size_t i = 0; i < GUARD; i++) {
    ok = ok && x[shape->ld * shape->width + i] == guard_value;
  }
  return ok;
}

static double act(mrl_activation a, double u, double slope)
{
  switch (a) {
  case MRL_RELU:
    return u > 0 ? u : 0;
  case MRL_LEAKY_RELU:
    return u > 0 ? u : slope * u;
  case MRL_GELU:
    return u * 0.5 * (1 + erf(u / sqrt(2)));
  case MRL_TANH:
    return tanh(u);
  case MRL_SIGMOID:
    return 1 / (1 + exp(-u));
  case MRL_SOFTPLUS:
    return log1p(exp(u));
  default:
    return u;
  }
}

static double slope_of(mrl_activation a, double u, double slope)
{
  const double step = 1e-5; /* |u| is above it, so a kink is not crossed */
  return (act(a, u + step, slope) - act(a, u - step, slope)) / (2 * step);
}

/* Forward and backward of h = act(a z + c), sums included; rounding only, and 1e-9 of differences.
 */
static void check_affine(mrl_activation a, const mrl_shape *shape)
{
  mrl_real columns[5][7], sum_a[7], sum_c[7];
  mrl_real *z = tensor(shape), *h = tensor(shape), *d = tensor(shape), *out = tensor(shape);
  for (int k = 0; k < 5; k++) {
    test_fill(columns[k], 7, 1);
  }
  const mrl_affine affine = {columns[0], columns[1], columns[2], columns[3], columns[4], a, 0.1};
  mrl_affine_forward(h, z, &affine, shape);
  mrl_affine_backward(out, sum_a, sum_c, d, z, &affine, shape);
  for (size_t j = 0; j < shape->width; j++) {
    double slow_a = 0, slow_c = 0;
    for (size_t i = 0; i < shape->rows; i++) {
      const size_t at = i + j * shape->ld;
      const double u = z[at] * columns[0][j] + columns[1][j];
      const double du = d[at] * slope_of(a, u, 0.1);
      CHECK_NEAR(h[at], act(a, u, 0.1), 1e-14);
      CHECK_NEAR(out[at], du * columns[4][j], 1e-9);
      slow_c += du;
      slow_a += du * (z[at] - columns[2][j]) * columns[3][j];
    }
    CHECK_NEAR(sum_c[j], slow_c, 1e-8);
    CHECK_NEAR(sum_a[j], slow_a, 1e-8);
  }
  CHECK(guards_hold(h, shape) && guards_hold(out, shape));
  mrl_affine_forward(z, z, &affine, shape); /* in place */
  CHECK(memcmp(z, h, (shape->ld * shape->width + GUARD) * sizeof *z) == 0);
  free(z);
  free(h);
  free(d);
  free(out);
}

/* At a kink the derivative is that from the left. */
static void test_kinks(void)
{
  mrl_real one = 1, zero = 0, sum_a, sum_c, z[MRL_LANES] = {0}, d[MRL_LANES] = {1}, out[MRL_LANES];
  const mrl_shape shape = {1, MRL_LANES, 1, mrl_isa_best()};
  mrl_affine affine = {&one, &zero, &zero, &one, &one, MRL_RELU, 0.1};
  mrl_affine_backward(out, &sum_a, &sum_c, d, z, &affine, &shape);
  CHECK(out[0] == 0);
  affine.act = MRL_LEAKY_RELU;
  mrl_affine_backward(out, &sum_a, &sum_c, d, z, &affine, &shape);
  CHECK_NEAR(out[0], 0.1, 1e-16);
}

/* Two passes in long double; the mean is far from 0, to show cancellation. */
static void check_moments(const mrl_shape *shape)
{
  mrl_real *z = tensor(shape), mean[7], square[7];
  for (size_t j = 0; j < shape->width; j++) {
    long double sum = 0, squares = 0;
    for (size_t i = 0; i < mrl_pad(shape->rows); i++) {
      z[i + j * shape->ld] = i < shape->rows ? z[i + j * shape->ld] + 1000 : NAN;
      sum += i < shape->rows ? z[i + j * shape->ld] : 0;
    }
    const long double m = sum / (long double)shape->rows;
    for (size_t i = 0; i < shape->rows; i++) {
      squares += (z[i + j * shape->ld] - m) * (z[i + j * shape->ld] - m);
    }
    mrl_moments(mean, square, z, shape);
    CHECK_NEAR(mean[j], (double)m, 1e-12);
    CHECK_NEAR(square[j], (double)squares, 1e-12 * (double)shape->rows);
  }
  free(z);
}

static void check_rows(const mrl_shape *shape)
{
  mrl_real *z = tensor(shape), *y = tensor(shape), *inverse = test_reals(shape->ld);
  const double w = (double)shape->width;
  mrl_row_norm_forward(y, inverse, z, 1e-3, shape);
  for (size_t i = 0; i < shape->rows; i++) {
    double mean = 0, var = 0;
    for (size_t j = 0; j < shape->width; j++) {
      mean += z[i + j * shape->ld] / w;
    }
    for (size_t j = 0; j < shape->width; j++) {
      var += pow(z[i + j * shape->ld] - mean, 2) / w;
    }
    CHECK_NEAR(inverse[i], 1 / sqrt(var + 1e-3), 1e-11);
    for (size_t j = 0; j < shape->width; j++) {
      CHECK_NEAR(y[i + j * shape->ld], (z[i + j * shape->ld] - mean) / sqrt(var + 1e-3), 1e-11);
    }
  }
  CHECK(guards_hold(y, shape));
  z[0] = 800; /* its exponential is infinite */
  z[shape->ld * (shape->width - 1)] = shape->width > 1 ? -800 : 800;
  mrl_softmax_forward(y, z, shape);
  for (size_t i = 0; i < shape->rows; i++) {
    double most = -INFINITY, sum = 0;
    for (size_t j = 0; j < shape->width; j++) {
      most = fmax(most, z[i + j * shape->ld]);
    }
    for (size_t j = 0; j < shape->width; j++) {
      sum += exp(z[i + j * shape->ld] - most);
    }
    for (size_t j = 0; j < shape->width; j++) {
      CHECK_NEAR(y[i + j * shape->ld], exp(z[i + j * shape->ld] - most) / sum, 1e-14);
    }
  }
  CHECK(shape->width == 1 || y[shape->ld * (shape->width - 1)] == 0);
  CHECK(guards_hold(y, shape));
  free(z);
  free(y);
  free(inverse);
}

/* Against naive products; k numbers of size 4 give rounding of 4 k eps. */
static void check_dense(const mrl_shape *shape, size_t out)
{
  const mrl_shape wide = {shape->rows, shape->ld, out, shape->isa};
  const size_t in = shape->width;
  mrl_real *x = tensor(shape), *dx = tensor(shape), *z = tensor(&wide), *dz = tensor(&wide);
  mrl_real *w = test_reals(in * out), *dw = test_reals(in * out);
  void *scratch = test_bytes(mrl_dense_scratch(shape->rows, in, out));
  test_fill(w, in * out, 1);
  CHECK(mrl_dense_forward(z, x, w, shape, out, scratch) == MRL_OK);
  for (size_t u = 0; u < out; u++) {
    for (size_t i = 0; i < shape->rows; i++) {
      double sum = 0;
      for (size_t j = 0; j < in; j++) {
        sum += x[i + j * shape->ld] * w[j + u * in];
      }
      CHECK_NEAR(z[i + u * shape->ld], sum, 1e-13);
    }
  }
  CHECK(mrl_dense_backward(dw, 0, NULL, dz, x, w, shape, out, scratch) == MRL_OK);
  CHECK(mrl_dense_backward(dw, 1, dx, dz, x, w, shape, out, scratch) == MRL_OK); /* twice */
  for (size_t j = 0; j < in; j++) {
    for (size_t u = 0; u < out; u++) {
      double sum = 0;
      for (size_t i = 0; i < shape->rows; i++) {
        sum += x[i + j * shape->ld] * dz[i + u * shape->ld];
      }
      CHECK_NEAR(dw[j + u * in], 2 * sum, 1e-11);
    }
    for (size_t i = 0; i < shape->rows; i++) {
      double sum = 0;
      for (size_t u = 0; u < out; u++) {
        sum += dz[i + u * shape->ld] * w[j + u * in];
      }
      CHECK_NEAR(dx[i + j * shape->ld], sum, 1e-13);
    }
  }
  CHECK(guards_hold(z, &wide) && guards_hold(dx, shape));
  free(x);
  free(dx);
  free(z);
  free(dz);
  free(w);
  free(dw);
  free(scratch);
}

/* 40,000 numbers: the share kept has sd sqrt(.7 * .3 / 40000) = .0023; five of them. */
static void test_dropout(void)
{
  const mrl_shape shape = {400, 400, 100, mrl_isa_best()};
  mrl_real *x = tensor(&shape), *y = tensor(&shape), *keep = tensor(&shape),
           *again = tensor(&shape);
  size_t kept = 0, pairs = 0;
  mrl_dropout_forward(y, keep, x, 0.3, 9, 5, 2, &shape);
  mrl_dropout_forward(y, again, x, 0.3, 9, 5, 2, &shape);
  CHECK(memcmp(keep, again, 40000 * sizeof *keep) == 0);
  for (size_t i = 0; i < 40000; i++) {
    CHECK(keep[i] == 0 || fabs(keep[i] - 1 / 0.7) < 1e-4);
    CHECK(y[i] == x[i] * keep[i]);
    kept += keep[i] > 0;
    pairs += i > 0 && keep[i] > 0 && keep[i - 1] > 0;
  }
  CHECK_NEAR((double)kept / 40000, 0.7, 5 * 0.0023);
  CHECK_NEAR((double)pairs / 40000, 0.49, 5 * 0.0035); /* neighbours share a word of 32 bits */
  for (uint64_t k = 0; k < 3; k++) {                   /* another seed, item or tile */
    size_t both = 0;
    mrl_dropout_forward(y, again, x, 0.3, 9 + (k == 0), 5 + (k == 1), 2 + (k == 2), &shape);
    for (size_t i = 0; i < 40000; i++) {
      both += keep[i] > 0 && again[i] > 0;
    }
    CHECK_NEAR((double)both / 40000, 0.49, 5 * 0.0025);
  }
  mrl_dropout_forward(y, keep, x, 0, 9, 5, 2, &shape);
  CHECK(memcmp(y, x, 40000 * sizeof *x) == 0);
  free(x);
  free(y);
  free(keep);
  free(again);
}

int main(void)
{
  static const size_t rows[] = {1, 5, 16, 37, 64};
  for (int isa = 0; isa <= (int)mrl_isa_best(); isa++) {
    for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++) {
      for (size_t width = 1; width <= 7; width += 3) {
        const mrl_shape shape = {rows[r], mrl_pad(rows[r]) + 8, width, (mrl_isa)isa};
        for (int a = 0; a < MRL_N_ACTIVATION; a++) {
          check_affine((mrl_activation)a, &shape);
        }
        check_moments(&shape);
        check_rows(&shape);
        check_dense(&shape, 3);
        check_dense(&shape, 20);
      }
    }
  }
  test_kinks();
  test_dropout();
  return CTEST_DONE();
}
