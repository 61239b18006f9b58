/* Isotonic regression. */
#include "glue.h"

#include "../core/isotonic.h"

/* weight: as long as y, or NULL. */
SEXP C_isotonic_fit(SEXP y, SEXP weight)
{
  const R_xlen_t n = XLENGTH(y);
  const double *value = glue_dbl(y, n, "y"), *w = glue_dbl_or_null(weight, n, "weight");
  SEXP out = PROTECT(Rf_allocVector(REALSXP, n));
  void *scratch = glue_scratch(mrl_isotonic_scratch((size_t)n));
  const mrl_status status = mrl_isotonic(REAL(out), value, w, (size_t)n, scratch);
  SEXP result = glue_result(status, out);
  UNPROTECT(1);
  return result;
}
