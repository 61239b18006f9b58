/* Conformal prediction. */
#include "glue.h"

#include "../core/conformal.h"

SEXP C_conformal_calibrate(SEXP y, SEXP low, SEXP high, SEXP scale, SEXP settings)
{
  static const char *const names[] = {"below", "above", "k"};
  const R_xlen_t n = XLENGTH(y);
  const double *py = glue_dbl(y, n, "y");
  const double *plow = glue_dbl(low, n, "low"), *phigh = glue_dbl(high, n, "high");
  const double *pscale = glue_dbl_or_null(scale, n, "scale");
  const double level = glue_item_dbl(settings, "level");
  const int apart = glue_item_lgl(settings, "apart");
  SEXP value = PROTECT(glue_list(names, 3));
  double *work = glue_scratch((size_t)n * sizeof *work);
  mrl_conformal found = {0};
  const mrl_status status =
      mrl_conformal_run(&found, work, py, plow, phigh, pscale, (size_t)n, level, apart);
  *glue_list_dbl(value, 0, 1) = found.below;
  *glue_list_dbl(value, 1, 1) = found.above;
  *glue_list_dbl(value, 2, 1) = (double)found.k;
  SEXP out = glue_result(status, value);
  UNPROTECT(1);
  return out;
}
