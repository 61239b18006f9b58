/* The first stage: nodes and, in double, the gradient of the loss of non-crossing quantiles. */
#include "net_double.h"

#define mrl_first_carve mrl_first_carve_double
#define mrl_first_start mrl_first_start_double
#define mrl_first_task mrl_first_task_double
#define mrl_first_read mrl_first_read_double
#define mrl_law_carve mrl_law_carve_double
#define mrl_law_nodes mrl_law_nodes_double
#define mrl_law_variance mrl_law_variance_double
#define mrl_law_draw mrl_law_draw_double
#define mrl_law_stretch mrl_law_stretch_double
#define mrl_law_copy mrl_law_copy_double
#define mrl_quantile_nodes mrl_quantile_nodes_double
#define mrl_mlp_carve mrl_mlp_carve_double
#define mrl_mlp_trunk_carve mrl_mlp_trunk_carve_double
#define mrl_scale_of mrl_scale_of_double
#define mrl_scale_column mrl_scale_column_double
#define mrl_keep_tile mrl_keep_tile_double
#define mrl_mlp_features mrl_mlp_features_double
#define mrl_basis_of mrl_basis_of_double
#define mrl_basis_polynomial mrl_basis_polynomial_double
#define mrl_basis_terms mrl_basis_terms_double
#define mrl_basis_fill mrl_basis_fill_double
#define mrl_basis_line mrl_basis_line_double

#include "ctest.h"
#include "iv_first.c"
#include "iv_law.c"
#include "layer.c"
#include "loss.c"
#include "mlp.c"
#include "mlp_basis.c"
#include "net.c"
#include "net_run.c"
#include "net_step.c"
#include "net_tile.c"

enum { Q = 5, ROWS = 37, LD = 48 };

static double moment(const double *z, size_t q, int power)
{
  double sum = 0;
  for (size_t k = 0; k < q; k++) {
    sum += pow(z[k], power) / (double)q;
  }
  return sum;
}

/* Matched nodes have mean 0 and variance 1 exactly; midpoints the published levels and variances
 * .767, .880 and .975. */
static void check_nodes(void)
{
  static const size_t sizes[] = {5, 10, 50};
  static const double variance[] = {0.767, 0.880, 0.975};
  double tau[MRL_QUANTILES_MOST], z[MRL_QUANTILES_MOST];
  for (int i = 0; i < 3; i++) {
    const size_t q = sizes[i];
    mrl_quantile_nodes(tau, z, q, 0);
    CHECK_NEAR(tau[0], 0.5 / (double)q, 1e-15);
    CHECK_NEAR(moment(z, q, 2), variance[i], 6e-4);
    mrl_quantile_nodes(tau, z, q, 1);
    CHECK_NEAR(moment(z, q, 1), 0, 1e-12);
    CHECK_NEAR(moment(z, q, 2), 1, 1e-12);
    for (size_t k = 0; k < q; k++) {
      CHECK_NEAR(mrl_normal_quantile(tau[k]), z[k], 1e-10);
    }
  }
  mrl_quantile_nodes(tau, z, 1, 1);
  CHECK(tau[0] == 0.5 && z[0] == 0);
}

/* What the two losses read: the ordered one, and the plain one of the same quantiles. */
typedef struct {
  mrl_first first;
  mrl_first_data data;
  mrl_real output[LD * (Q + 1)];
  mrl_tile tile;
} problem;

static double ordered_value(void *data)
{
  problem *p = data;
  double value = NAN;
  CHECK(ordered_loss(&value, NULL, p->output, &p->tile, &p->data) == MRL_OK);
  return value * (double)p->tile.scale;
}

/* The loss by its definition, quantile by quantile. */
static double slow_value(const problem *p)
{
  double sum = 0;
  for (size_t i = 0; i < ROWS; i++) {
    const size_t row = p->tile.row[i];
    double quantile = p->first.start + p->output[i + LD] - p->output[i];
    for (size_t k = 0; k < Q; k++) {
      quantile += k > 0 ? p->first.gap[k] * p->output[i + (k + 1) * LD] : 0;
      const double r = p->data.x[row] - quantile, tau = p->first.tau[k];
      sum += p->data.weight[row] * fmax(tau * r, (tau - 1) * r);
    }
  }
  return sum * p->tile.scale;
}

/* Kinks: a residual within the step of a difference would be a chance of 1e-4 here; the seed is
 * fixed and none is. */
static void check_gradient(void)
{
  static problem p;
  mrl_real x[ROWS], weight[ROWS], tau[Q], gap[Q], d[LD * (Q + 1)];
  size_t row[ROWS];
  double level[Q], normal[Q], value;
  mrl_quantile_nodes(level, normal, Q, 1);
  for (size_t k = 0; k < Q; k++) {
    tau[k] = level[k];
    gap[k] = k == 0 ? 1 : (normal[k] - normal[k - 1]) / log(2);
  }
  test_fill(x, ROWS, 2);
  test_fill(weight, ROWS, 1);
  test_fill(p.output, LD * (Q + 1), 1);
  for (size_t i = 0; i < ROWS; i++) {
    row[i] = ROWS - 1 - i;
    weight[i] += 1;
  }
  for (size_t i = 0; i < LD * (Q + 1); i++) {
    p.output[i] = fabs(p.output[i]);
    d[i] = 0;
  }
  const mrl_first first = {.settings = {.parts = Q}, .tau = tau, .gap = gap, .start = normal[0]};
  const mrl_first_data data = {.first = &p.first, .x = x, .weight = weight};
  const mrl_tile tile = {row, ROWS, 1, LD, 0, 0, 0.3, mrl_isa_best()};
  p.first = first;
  p.data = data;
  p.tile = tile;
  CHECK(ordered_loss(&value, d, p.output, &p.tile, &p.data) == MRL_OK);
  CHECK_NEAR(value * 0.3, slow_value(&p), 1e-12 * fabs(slow_value(&p)));
  CHECK(test_gradient(p.output, d, LD * (Q + 1), ordered_value, &p) < 1e-6);
}

int main(void)
{
  check_nodes();
  check_gradient();
  return CTEST_DONE();
}
