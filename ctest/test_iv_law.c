/* Laws of the exposure: nodes with the right moments, independent draws, what a stretch does. */
#include "ctest.h"
#include "iv_law.h"

enum { ROWS = 3, PARTS = 4, DRAWS = 200000 };

/* Memory of the one law that a check has. */
static _Alignas(MRL_ALIGN) unsigned char memory[4096];

static mrl_law make(mrl_first_kind kind, size_t parts)
{
  mrl_law law;
  mrl_arena arena = mrl_arena_over(memory, sizeof memory);
  CHECK(mrl_law_carve(&law, &arena, kind, parts, ROWS) == MRL_OK);
  mrl_rng rng = mrl_rng_stream(3, MRL_RNG_TEST, (uint64_t)kind);
  for (size_t i = 0; i < ROWS; i++) {
    law.location[i] = mrl_rng_normal(&rng);
    for (size_t j = 0; j < law.width; j++) {
      law.shape[i * law.width + j] = (mrl_real)(0.2 + mrl_rng_uniform(&rng));
    }
  }
  return law;
}

static double moment(const mrl_law *law, size_t row, int power)
{
  double node[MRL_NODES_MOST], weight[MRL_NODES_MOST], sum = 0;
  mrl_law_nodes(node, weight, law, row);
  for (size_t k = 0; k < law->nodes; k++) {
    sum += weight[k] * pow(node[k] - law->location[row], power);
  }
  return sum;
}

/* Gauss-Hermite: 7 nodes meet the normal moments up to the 13th. The shapes are floats, but known
 * exactly. */
static void check_gaussian(void)
{
  mrl_law law = make(MRL_FIRST_GAUSSIAN, 1);
  double factor = 1;
  for (int power = 0; power <= 12; power += 2) {
    const double sd = (double)law.shape[1];
    CHECK_NEAR(moment(&law, 1, power) / pow(sd, power), factor, 1e-12 * factor);
    CHECK_NEAR(moment(&law, 1, power + 1) / pow(sd, power + 1), 0, 1e-11 * factor);
    factor *= power + 1;
  }
}

/* Mean: the location. Variance: within components and between. */
static void check_mixture(void)
{
  mrl_law law = make(MRL_FIRST_MIXTURE, PARTS);
  const mrl_real *s = law.shape + law.width;
  double total = 0, mean = 0, within = 0, between = 0;
  for (size_t c = 0; c < PARTS; c++) {
    total += (double)s[c];
    mean += (double)s[c] * (double)s[PARTS + c];
  }
  mean /= total;
  for (size_t c = 0; c < PARTS; c++) {
    const double sd = (double)s[2 * PARTS + c], d = (double)s[PARTS + c] - mean;
    within += (double)s[c] / total * sd * sd;
    between += (double)s[c] / total * d * d;
  }
  CHECK_NEAR(moment(&law, 1, 0), 1, 1e-14);
  CHECK_NEAR(moment(&law, 1, 1), 0, 1e-14);
  CHECK_NEAR(moment(&law, 1, 2), within + between, 1e-13);
  CHECK_NEAR(mrl_law_variance(&law, 1), within + between, 1e-13);
  mrl_law_stretch(&law, 1, 3);
  CHECK_NEAR(mrl_law_variance(&law, 1), 9 * (within + between), 1e-5); /* floats */
  CHECK_NEAR(moment(&law, 1, 1), 0, 1e-14);
}

/* Quantiles: the mean is the location to rounding of doubles, and a stretch keeps their order. */
static void check_quantiles(void)
{
  mrl_law law = make(MRL_FIRST_QUANTILE, 5);
  double node[5], weight[5];
  for (size_t i = 0; i < ROWS; i++) {
    for (size_t k = 1; k < 5; k++) {
      law.shape[5 * i + k] += law.shape[5 * i + k - 1];
    }
    mrl_law_stretch(&law, i, 0.3);
    mrl_law_nodes(node, weight, &law, i);
    CHECK_NEAR(moment(&law, i, 1), 0, 1e-15);
    for (size_t k = 0; k < 5; k++) {
      CHECK(weight[k] == 0.2 && (k == 0 || node[k] > node[k - 1]));
    }
  }
}

/* Covariance and variance of pairs of draws from one stream. pairs: as drawn, or by a mutant whose
 * draws share the component, or whose noise is times the variance. */
typedef enum { AS_IT_IS, SHARED_COMPONENT, TIMES_VARIANCE } how;

static void draw_pair(double *pair, const mrl_law *law, how way, mrl_rng *rng)
{
  const mrl_real *s = law->shape;
  if (way == AS_IT_IS) {
    pair[0] = mrl_law_draw(law, 0, rng);
    pair[1] = mrl_law_draw(law, 0, rng);
    return;
  }
  const size_t c = way == SHARED_COMPONENT ? mrl_rng_below(rng, PARTS) : 0;
  for (int k = 0; k < 2; k++) {
    const size_t at = way == SHARED_COMPONENT ? c : mrl_rng_below(rng, PARTS);
    const double sd = (double)s[2 * PARTS + at];
    pair[k] = (double)s[PARTS + at] + (way == TIMES_VARIANCE ? sd * sd : sd) * mrl_rng_normal(rng) +
              law->location[0];
  }
}

static void pair_moments(double *variance, double *covariance, const mrl_law *law, how way)
{
  double sum[2] = {0, 0}, square = 0, cross = 0;
  mrl_rng rng = mrl_rng_stream(8, MRL_RNG_TEST, 1);
  for (int i = 0; i < DRAWS; i++) {
    double pair[2];
    draw_pair(pair, law, way, &rng);
    sum[0] += pair[0] / DRAWS;
    sum[1] += pair[1] / DRAWS;
    square += pair[0] * pair[0] / DRAWS;
    cross += pair[0] * pair[1] / DRAWS;
  }
  *variance = square - sum[0] * sum[0];
  *covariance = cross - sum[0] * sum[1];
}

/* With the variance v of the law, the Monte Carlo error of the covariance is v / sqrt(DRAWS) = .002
 * v, that of the variance at most sqrt(3) times as much (no heavier tails than normal ones here
 * by a factor of two at most): bounds of five errors. */
static void check_draws(void)
{
  mrl_law law = make(MRL_FIRST_MIXTURE, PARTS);
  double v, c;
  for (size_t k = 0; k < PARTS; k++) {
    law.shape[k] = (mrl_real)0.25;
    law.shape[PARTS + k] = (mrl_real)(2 * (double)k - 3);
    law.shape[2 * PARTS + k] = (mrl_real)2;
  }
  const double truth = mrl_law_variance(&law, 0); /* 4 + 5 */
  CHECK_NEAR(truth, 9, 1e-12);
  pair_moments(&v, &c, &law, AS_IT_IS);
  CHECK_NEAR(v, truth, 0.02 * truth);
  CHECK_NEAR(c, 0, 0.011 * truth);
  pair_moments(&v, &c, &law, SHARED_COMPONENT);
  CHECK(fabs(c) > 0.1 * truth);
  pair_moments(&v, &c, &law, TIMES_VARIANCE);
  CHECK(fabs(v - truth) > 0.5 * truth);
}

int main(void)
{
  mrl_law law;
  mrl_arena arena = mrl_arena_measure();
  check_gaussian();
  check_mixture();
  check_quantiles();
  check_draws();
  CHECK(mrl_law_carve(&law, &arena, MRL_FIRST_QUANTILE, 0, 5) == MRL_BAD_ARGUMENT);
  CHECK(mrl_law_carve(&law, &arena, MRL_FIRST_MIXTURE, MRL_COMPONENTS_MOST + 1, 5) ==
        MRL_BAD_ARGUMENT);
  return CTEST_DONE();
}
