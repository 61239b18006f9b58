#include "iv_law.h"

#include "prob.h"

#include <math.h>
#include <string.h>

enum { N_WHOLE = 7, N_PART = 3 };

/* Gauss-Hermite nodes of the standard normal law. */
static const double whole_node[N_WHOLE] = {
    -3.7504397177257423, -2.3667594107345413, -1.1544053947399682, 0,
    1.1544053947399682,  2.3667594107345413,  3.7504397177257423};
static const double whole_weight[N_WHOLE] = {
    0.00054826885597221792, 0.030757123967586497, 0.24012317860501271,   0.45714285714285714,
    0.24012317860501271,    0.030757123967586497, 0.00054826885597221792};
static const double part_node[N_PART] = {-1.7320508075688772, 0, 1.7320508075688772};
static const double part_weight[N_PART] = {1.0 / 6, 2.0 / 3, 1.0 / 6};

mrl_status mrl_law_carve(mrl_law *law, mrl_arena *arena, mrl_first_kind kind, size_t parts,
                         size_t n)
{
  mrl_law out = {.kind = kind, .parts = 1, .nodes = N_WHOLE, .width = 1};
  if ((size_t)kind >= MRL_N_FIRST ||
      (kind == MRL_FIRST_QUANTILE && (parts < 1 || parts > MRL_QUANTILES_MOST)) ||
      (kind == MRL_FIRST_MIXTURE && (parts < 1 || parts > MRL_COMPONENTS_MOST))) {
    return MRL_BAD_ARGUMENT;
  }
  if (kind == MRL_FIRST_QUANTILE) {
    out.parts = out.nodes = out.width = parts;
  } else if (kind == MRL_FIRST_MIXTURE) {
    out.parts = parts;
    out.nodes = N_PART * parts;
    out.width = 3 * parts;
  }
  if (n > SIZE_MAX / 16 / out.width) {
    return MRL_NO_MEMORY;
  }
  out.location = MRL_TAKE(arena, double, n);
  out.shape = MRL_TAKE(arena, mrl_real, n * out.width);
  *law = out;
  return arena->failed ? MRL_NO_MEMORY : MRL_OK;
}

static void quantile_nodes(double *node, double *weight, const mrl_real *shape, size_t q,
                           double location)
{
  double mean = 0;
  for (size_t k = 0; k < q; k++) {
    mean += (double)shape[k] / (double)q;
  }
  for (size_t k = 0; k < q; k++) {
    node[k] = location + ((double)shape[k] - mean);
    weight[k] = 1 / (double)q;
  }
}

static void mixture_nodes(double *node, double *weight, const mrl_real *shape, size_t parts,
                          double location)
{
  double total = 0, mean = 0;
  for (size_t c = 0; c < parts; c++) {
    total += (double)shape[c];
    mean += (double)shape[c] * (double)shape[parts + c];
  }
  for (size_t c = 0; c < parts; c++) {
    const double at = location + ((double)shape[parts + c] - mean / total);
    for (size_t k = 0; k < N_PART; k++) {
      node[c * N_PART + k] = at + part_node[k] * (double)shape[2 * parts + c];
      weight[c * N_PART + k] = part_weight[k] * (double)shape[c] / total;
    }
  }
}

void mrl_law_nodes(double *node, double *weight, const mrl_law *law, size_t row)
{
  const mrl_real *shape = law->shape + row * law->width;
  const double location = law->location[row];
  if (law->kind == MRL_FIRST_QUANTILE) {
    quantile_nodes(node, weight, shape, law->parts, location);
  } else if (law->kind == MRL_FIRST_MIXTURE) {
    mixture_nodes(node, weight, shape, law->parts, location);
  } else {
    for (size_t k = 0; k < N_WHOLE; k++) {
      node[k] = location + whole_node[k] * (double)shape[0];
      weight[k] = whole_weight[k];
    }
  }
}

double mrl_law_variance(const mrl_law *law, size_t row)
{
  double node[MRL_NODES_MOST], weight[MRL_NODES_MOST], sum = 0;
  mrl_law_nodes(node, weight, law, row);
  for (size_t k = 0; k < law->nodes; k++) {
    const double d = node[k] - law->location[row];
    sum += weight[k] * d * d;
  }
  return sum;
}

/* A draw has a component of its own and noise of its own, times the component's sd. */
static double mixture_draw(const mrl_real *shape, size_t parts, double location, mrl_rng *rng)
{
  double total = 0, mean = 0;
  for (size_t c = 0; c < parts; c++) {
    total += (double)shape[c];
    mean += (double)shape[c] * (double)shape[parts + c];
  }
  double left = total * mrl_rng_uniform(rng);
  size_t c = 0;
  for (left -= (double)shape[0]; left > 0 && c + 1 < parts;) {
    left -= (double)shape[++c];
  }
  return location + ((double)shape[parts + c] - mean / total) +
         (double)shape[2 * parts + c] * mrl_rng_normal(rng);
}

double mrl_law_draw(const mrl_law *law, size_t row, mrl_rng *rng)
{
  const mrl_real *shape = law->shape + row * law->width;
  const double location = law->location[row];
  switch (law->kind) {
  case MRL_FIRST_QUANTILE:
    return location + (double)shape[mrl_rng_below(rng, law->parts)];
  case MRL_FIRST_MIXTURE:
    return mixture_draw(shape, law->parts, location, rng);
  default:
    return location + (double)shape[0] * mrl_rng_normal(rng);
  }
}

void mrl_law_stretch(mrl_law *law, size_t row, double factor)
{
  mrl_real *shape = law->shape + row * law->width;
  const size_t first = law->kind == MRL_FIRST_MIXTURE ? law->parts : 0;
  for (size_t j = first; j < law->width; j++) {
    shape[j] *= (mrl_real)factor;
  }
}

void mrl_law_copy(mrl_law *to, const mrl_law *from, size_t row)
{
  to->location[row] = from->location[row];
  memcpy(to->shape + row * to->width, from->shape + row * to->width, to->width * sizeof *to->shape);
}

/* A normal distribution function to go with mrl_normal_quantile(). */
static double normal_below(double z)
{
  return 0.5 * erfc(-z / sqrt(2));
}

void mrl_quantile_nodes(double *tau, double *normal, size_t q, int matched)
{
  double v = 0;
  for (size_t k = 0; k < q; k++) {
    tau[k] = (2 * (double)k + 1) / (2 * (double)q);
    normal[k] = 2 * k + 1 == q ? 0 : mrl_normal_quantile(tau[k]);
    v += normal[k] * normal[k] / (double)q;
  }
  for (size_t k = 0; matched && q > 1 && k < q; k++) {
    normal[k] /= sqrt(v);
    tau[k] = normal_below(normal[k]);
  }
}
