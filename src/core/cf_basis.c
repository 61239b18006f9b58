#include "cf_basis.h"

size_t mrl_cf_basis_width(const mrl_cf_basis *basis)
{
  switch (basis->shape) {
  case MRL_CF_SPLINE:
    return 3 + basis->n_knots;
  case MRL_CF_NATURAL:
    return basis->n_knots - 1;
  default:
    return basis->degree;
  }
}

static double cube_above(double u, double knot)
{
  const double d = u > knot ? u - knot : 0;
  return d * d * d;
}

/* The k-th column beyond u of a natural spline: cubic between the knots, linear outside
 * (Hastie, Tibshirani & Friedman 2009, The Elements of Statistical Learning, eq. 5.4-5.5). */
static double natural(double u, const mrl_cf_basis *basis, size_t k)
{
  const double *t = basis->knot;
  const size_t last = basis->n_knots - 1;
  const double end = cube_above(u, t[last]);
  return (cube_above(u, t[k]) - end) / (t[last] - t[k]) -
         (cube_above(u, t[last - 1]) - end) / (t[last] - t[last - 1]);
}

static double column(double u, const mrl_cf_basis *basis, size_t j)
{
  if (basis->shape == MRL_CF_NATURAL) {
    return j == 0 ? u : natural(u, basis, j - 1);
  }
  if (basis->shape == MRL_CF_SPLINE && j >= 3) {
    return cube_above(u, basis->knot[j - 3]);
  }
  double power = u;
  for (size_t i = 0; i < j; i++) {
    power *= u;
  }
  return power;
}

void mrl_cf_basis_fill(double *out, const double *x, size_t n, const mrl_cf_basis *basis)
{
  const size_t width = mrl_cf_basis_width(basis);
  for (size_t j = 0; j < width; j++) {
    for (size_t i = 0; i < n; i++) {
      out[i + j * n] = column((x[i] - basis->centre) / basis->scale, basis, j);
    }
  }
}
