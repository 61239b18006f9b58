/* The mode of a weighted sample's density: what the mode-based estimators take. */
#include "glue.h"

#include "../core/mr_density.h"

static double exact_mode(const double *x, const double *weight, size_t n, double bw)
{
  mrl_weighted *item = glue_scratch(n * sizeof *item), *spare = glue_scratch(n * sizeof *spare);
  for (size_t i = 0; i < n; i++) {
    item[i].value = x[i];
    item[i].weight = weight[i];
  }
  mrl_sort_weighted(item, spare, n);
  return mrl_density_mode_exact(item, n, bw);
}

SEXP C_density_mode(SEXP x, SEXP weight, SEXP settings)
{
  const R_xlen_t n = XLENGTH(x);
  const double *px = glue_dbl(x, n, "x"), *pw = glue_dbl(weight, n, "weight");
  const double bw = glue_item_dbl(settings, "bw");
  const int exact = glue_item_lgl(settings, "exact");
  return Rf_ScalarReal(exact ? exact_mode(px, pw, (size_t)n, bw)
                             : mrl_density_mode(px, pw, (size_t)n, bw));
}
