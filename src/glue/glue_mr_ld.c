/* Summary-data estimators with correlated variants. */
#include "glue.h"

#include "../core/mr_ld.h"

/* effects: list bx, sx, by, sy; a row of seven numbers per method. */
SEXP C_mr_ld(SEXP effects, SEXP ld, SEXP settings)
{
  SEXP bx = glue_item(effects, "bx"), code = glue_item(settings, "methods");
  const R_xlen_t n = XLENGTH(bx), n_methods = XLENGTH(code);
  const mrl_ld_data data = {glue_dbl(bx, n, "bx"),
                            glue_dbl(glue_item(effects, "sx"), n, "sx"),
                            glue_dbl(glue_item(effects, "by"), n, "by"),
                            glue_dbl(glue_item(effects, "sy"), n, "sy"),
                            glue_dbl(ld, n * n, "ld"),
                            (size_t)n};
  const mrl_ld_settings how = {glue_item_dbl(settings, "psi"), glue_item_dbl(settings, "share"),
                               glue_item_dbl(settings, "tolerance")};
  const mrl_ctx ctx = glue_ctx(1);
  const int *codes = glue_int(code, n_methods, "methods");
  mrl_ld_method *methods = (mrl_ld_method *)glue_scratch((size_t)n_methods * sizeof *methods);
  mrl_ld_fit *fit = (mrl_ld_fit *)glue_scratch((size_t)n_methods * sizeof *fit);
  for (R_xlen_t i = 0; i < n_methods; i++) {
    if (codes[i] < 0 || codes[i] >= MRL_N_LD_METHODS) {
      Rf_error("internal error: unknown method");
    }
    methods[i] = (mrl_ld_method)codes[i];
  }
  SEXP value = PROTECT(Rf_allocMatrix(REALSXP, 7, (int)n_methods));
  const size_t size = mrl_ld_scratch(&data);
  const mrl_status status = size == 0 ? MRL_NO_MEMORY
                                      : mrl_ld_run(fit, &data, methods, (size_t)n_methods, &how,
                                                   glue_scratch(size), size, &ctx);
  for (R_xlen_t i = 0; status == MRL_OK && i < n_methods; i++) {
    const double row[] = {fit[i].b, fit[i].se, fit[i].intercept, fit[i].intercept_se,
                          fit[i].q, fit[i].df, fit[i].m};
    for (R_xlen_t j = 0; j < 7; j++) {
      REAL(value)[j + 7 * i] = row[j];
    }
  }
  SEXP out = glue_result(status, value);
  UNPROTECT(1);
  return out;
}
