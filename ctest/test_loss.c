/* Losses, in double: densities integrate to 1, closed forms, extremes, weights and groups; and
 * mutants that have the defects of published code, which the same checks must refuse. */
#include "net_double.h"

#include "ctest.h"
#include "loss.c"

#include "rng.h"

enum { GRID = 4000, K = 3, LD = 4000 };

static const double pi = 3.14159265358979323846;

/* A loss of `rows` rows with the same outputs (o, outputs) in each, and its gradient. */
static double loss_of(const mrl_loss *loss, const mrl_real *output, mrl_real *d, size_t rows,
                      size_t group, mrl_real scale)
{
  size_t *row = test_bytes(rows * sizeof *row);
  double value = NAN;
  for (size_t i = 0; i < rows; i++) {
    row[i] = i;
  }
  const mrl_tile tile = {row, rows, group, LD, 0, 0, scale, mrl_isa_best()};
  CHECK(mrl_loss_check(loss, group) == MRL_OK);
  CHECK(mrl_loss_tile(&value, d, output, &tile, loss) == MRL_OK);
  free(row);
  return value;
}

static mrl_real *constant_output(const mrl_real *o, size_t outputs, size_t rows)
{
  mrl_real *output = test_reals(LD * outputs);
  for (size_t j = 0; j < outputs; j++) {
    for (size_t i = 0; i < rows; i++) {
      output[i + j * LD] = o[j];
    }
  }
  return output;
}

typedef double density_fn(double y, const mrl_real *o);

/* exp(-loss) of one row. */
static double density_by_loss(mrl_loss_kind kind, size_t outputs, double y, const mrl_real *o)
{
  const mrl_real target = y;
  const mrl_loss loss = {.kind = kind, .outputs = outputs, .targets = 1, .y = &target};
  mrl_real *output = constant_output(o, outputs, 1);
  const double value = loss_of(&loss, output, NULL, 1, 1, 1);
  free(output);
  return exp(-value);
}

static double gaussian_density(double y, const mrl_real *o)
{
  return density_by_loss(MRL_LOSS_GAUSSIAN, 2, y, o);
}

static double mixture_density(double y, const mrl_real *o)
{
  return density_by_loss(MRL_LOSS_MIXTURE, 3 * K, y, o);
}

/* What the mixture should be: softmax(logits) times normal densities, summed. */
static double closed_form(double y, const mrl_real *o)
{
  double sum = 0, total = 0;
  for (int k = 0; k < K; k++) {
    const double r = (y - o[K + k]) / exp(o[2 * K + k]);
    total += exp(o[k]);
    sum += exp(o[k] - 0.5 * r * r - o[2 * K + k]) / sqrt(2 * pi);
  }
  return sum / total;
}

/*
 * The first mutant: a component's log density summed over components (and rows), as in a published
 * mixture density network. The second: Gumbel noise within the weights.
 */
static double summed_mutant(double y, const mrl_real *o)
{
  double squares = 0, sum = 0, total = 0;
  for (int k = 0; k < K; k++) {
    squares += pow((y - o[K + k]) / exp(o[2 * K + k]), 2);
  }
  for (int k = 0; k < K; k++) {
    total += exp(o[k]);
    sum += exp(o[k] - 0.5 * squares - o[2 * K + k] - 0.5 * log(2 * pi) * K);
  }
  return sum / total;
}

static double noisy_mutant(double y, const mrl_real *o)
{
  mrl_real noisy[3 * K];
  for (int j = 0; j < 3 * K; j++) {
    noisy[j] = o[j] + (j < K ? -log(-log((test_uniform() + 1.000001) / 2.000002)) : 0);
  }
  return closed_form(y, noisy);
}

/* Trapezoids over 25 standard deviations and more: exact to rounding for normal densities. */
static double integral(density_fn *density, const mrl_real *o)
{
  double sum = 0;
  for (int i = 0; i < GRID; i++) {
    sum += density(-20 + 40 * (double)i / GRID, o) * 40 / GRID;
  }
  return sum;
}

static int is_closed_form(density_fn *density, const mrl_real *o)
{
  int same = 1;
  for (int i = 0; i < 50; i++) {
    const double y = 4 * test_uniform(), exact = closed_form(y, o);
    same = same && fabs(density(y, o) / exact - 1) < 1e-11;
  }
  return same;
}

static void test_densities(void)
{
  const mrl_real normal[] = {0.7, -0.4};
  const mrl_real mixture[] = {0.3, -1, 2, -1, 0.5, 2, -0.5, 0.1, -1.2};
  CHECK_NEAR(integral(gaussian_density, normal), 1, 1e-10);
  CHECK_NEAR(gaussian_density(1.1, normal),
             exp(-0.5 * pow(0.4 / exp(-0.4), 2)) / exp(-0.4) / sqrt(2 * pi), 1e-14);
  CHECK_NEAR(integral(mixture_density, mixture), 1, 1e-10);
  CHECK(is_closed_form(mixture_density, mixture));
  CHECK(fabs(integral(summed_mutant, mixture) - 1) > 0.1);
  CHECK(!is_closed_form(summed_mutant, mixture));
  CHECK(!is_closed_form(noisy_mutant, mixture));
}

/* The loss of rows together is the sum of their losses: no row enters another's density. */
static void test_rows_apart(void)
{
  enum { ROWS = 21 };
  mrl_real *output = test_reals(LD * 3 * K), y[ROWS], weight[ROWS];
  double sum = 0;
  test_fill(output, LD * 3 * K, 1);
  test_fill(y, ROWS, 2);
  test_fill(weight, ROWS, 1);
  for (size_t i = 0; i < ROWS; i++) {
    mrl_real o[3 * K];
    for (size_t j = 0; j < 3 * K; j++) {
      o[j] = output[i + j * LD];
    }
    sum -= weight[i] * log(closed_form(y[i], o));
  }
  const mrl_loss loss = {
      .kind = MRL_LOSS_MIXTURE, .outputs = 3 * K, .targets = 1, .y = y, .weight = weight};
  CHECK_NEAR(loss_of(&loss, output, NULL, ROWS, 1, 1), sum, 1e-12);
  free(output);
}

/* The constant that minimises the pinball loss is the tau-quantile, not the other one. */
static double best_constant(double tau, int mirrored)
{
  enum { ROWS = 999 };
  mrl_real y[ROWS], t = mirrored ? 1 - tau : tau;
  double best = NAN, least = INFINITY;
  for (int i = 0; i < ROWS; i++) {
    y[i] = (i * 7 % ROWS + 0.5) / ROWS;
  }
  const mrl_loss loss = {.kind = MRL_LOSS_PINBALL, .outputs = 1, .targets = 1, .y = y, .tau = &t};
  for (int c = 1; c < 100; c++) {
    const mrl_real at = c / 100.0;
    mrl_real *output = constant_output(&at, 1, ROWS);
    const double value = loss_of(&loss, output, NULL, ROWS, 1, 1);
    best = value < least ? at : best;
    least = fmin(value, least);
    free(output);
  }
  return best;
}

static void test_pinball(void)
{
  CHECK_NEAR(best_constant(0.1, 0), 0.1, 0.011);
  CHECK_NEAR(best_constant(0.75, 0), 0.75, 0.011);
  CHECK(fabs(best_constant(0.1, 1) - 0.1) > 0.5); /* a mutant with the mask turned round */
}

static int all_finite(const mrl_real *x, size_t n)
{
  int ok = 1;
  for (size_t i = 0; i < n; i++) {
    ok = ok && isfinite(x[i]);
  }
  return ok;
}

/* Logits and means so large that every exponential over- or underflows on its own. */
static void test_extremes(void)
{
  mrl_real d[LD * 3 * K] = {0};
  const mrl_real mixture[] = {1e4, -1e4, 9e3, 1e3, 0, -1e3, 0.5, -0.5, 2}, y[] = {30};
  mrl_real *output = constant_output(mixture, 3 * K, 1);
  mrl_loss loss = {.kind = MRL_LOSS_MIXTURE, .outputs = 3 * K, .targets = 1, .y = y};
  const double r0 = (30 - 1e3) / exp(0.5), r2 = (30 + 1e3) / exp(2);
  /* the logits favour the first by 1000, its distance costs more: the third wins both sums */
  const double joint = fmax(1e4 - 0.5 * r0 * r0 - 0.5, 9e3 - 0.5 * r2 * r2 - 2);
  CHECK_NEAR(loss_of(&loss, output, d, 1, 1, 1), 1e4 - joint + 0.5 * log(2 * pi), 1e-7);
  CHECK(all_finite(d, LD * 3 * K));
  free(output);
  const mrl_real ones[] = {0, 1, 1};
  loss.kind = MRL_LOSS_BINARY;
  loss.outputs = 1;
  loss.y = ones;
  mrl_real column[LD] = {800, -800, 0};
  CHECK_NEAR(loss_of(&loss, column, d, 3, 1, 1), 1600 + log(2), 1e-10);
  CHECK_NEAR(d[0], 1, 1e-15);
  CHECK_NEAR(d[1], -1, 1e-15);
  CHECK_NEAR(d[2], -0.5, 1e-15);
}

/* Averages over evaluations, against sums written out. */
static void test_groups(void)
{
  enum { ROWS = 19, GROUP = 4 };
  mrl_real *output = test_reals(LD), y[ROWS], node[GROUP] = {0.1, 0.2, 0.3, 0.4};
  double squared = 0, binary = 0, product = 0;
  test_fill(output, ROWS * GROUP, 2);
  for (size_t i = 0; i < ROWS; i++) {
    double mean = 0, p = 0, half[2] = {0, 0};
    y[i] = test_uniform() > 0;
    for (size_t k = 0; k < GROUP; k++) {
      const double o = output[i + k * ROWS];
      mean += node[k] * o;
      p += node[k] / (1 + exp(-o));
      half[k / 2] += o / 2;
    }
    squared += pow(y[i] - mean, 2);
    binary -= y[i] > 0 ? log(p) : log(1 - p);
    product += (y[i] - half[0]) * (y[i] - half[1]);
  }
  mrl_loss loss = {.kind = MRL_LOSS_SQUARED, .outputs = 1, .targets = 1, .y = y, .node = node};
  CHECK_NEAR(loss_of(&loss, output, NULL, ROWS, GROUP, 1), squared, 1e-12);
  loss.kind = MRL_LOSS_BINARY;
  CHECK_NEAR(loss_of(&loss, output, NULL, ROWS, GROUP, 1), binary, 1e-12);
  loss.kind = MRL_LOSS_PRODUCT;
  CHECK_NEAR(loss_of(&loss, output, NULL, ROWS, GROUP, 1), product, 1e-12);
  free(output);
}

/* Two draws g per row from normal(1, 1), y = 0. The product has the expectation (E g)^2 = 1; the
 * square of their mean 1.5, as the draws' variance enters. The sd of g1 g2 is sqrt(3), of 200,000
 * rows' mean .0039. The mutant uses one draw twice. */
static void test_product(void)
{
  enum { ROWS = 1000, GROUP = 2, TIMES = 200 };
  mrl_real *output = test_reals(LD), y[ROWS] = {0};
  const mrl_loss loss = {.kind = MRL_LOSS_PRODUCT, .outputs = 1, .targets = 1, .y = y};
  double product = 0, mutant = 0;
  mrl_rng rng = mrl_rng_stream(1, MRL_RNG_TEST, 0);
  for (int t = 0; t < TIMES; t++) {
    for (size_t i = 0; i < ROWS * GROUP; i++) {
      output[i] = 1 + mrl_rng_normal(&rng);
    }
    product += loss_of(&loss, output, NULL, ROWS, GROUP, 1) / ROWS / TIMES;
    memcpy(output + ROWS, output, ROWS * sizeof *output);
    mutant += loss_of(&loss, output, NULL, ROWS, GROUP, 1) / ROWS / TIMES;
  }
  CHECK_NEAR(product, 1, 5 * 0.0039);
  CHECK(fabs(mutant - 1) > 0.5);
  free(output);
}

static void test_checks(void)
{
  const mrl_real y[] = {0}, tau[] = {0.5, 1};
  mrl_loss loss = {.kind = MRL_LOSS_PINBALL, .outputs = 2, .targets = 1, .y = y, .tau = tau};
  CHECK(mrl_loss_check(&loss, 1) == MRL_BAD_ARGUMENT);
  loss.outputs = 1;
  CHECK(mrl_loss_check(&loss, 1) == MRL_OK);
  CHECK(mrl_loss_check(&loss, 2) == MRL_BAD_ARGUMENT);
  loss.kind = MRL_LOSS_PRODUCT;
  CHECK(mrl_loss_check(&loss, 3) == MRL_BAD_ARGUMENT);
  CHECK(mrl_loss_check(&loss, 4) == MRL_OK);
  loss.kind = MRL_LOSS_MIXTURE;
  CHECK(mrl_loss_check(&loss, 1) == MRL_BAD_ARGUMENT);
  loss.kind = MRL_LOSS_HUBER;
  CHECK(mrl_loss_check(&loss, 1) == MRL_BAD_ARGUMENT);
}

int main(void)
{
  test_densities();
  test_rows_apart();
  test_pinball();
  test_extremes();
  test_groups();
  test_product();
  test_checks();
  return CTEST_DONE();
}
