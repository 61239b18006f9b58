/* One variable of a simulation that is built step by step. */
#include "glue.h"

#include "../core/sim_variable.h"

/* A parameter of `n` values, or of one that holds for all rows. */
static size_t stride_of(SEXP parameter, R_xlen_t n)
{
  return n > 1 && XLENGTH(parameter) == n ? 1 : 0;
}

SEXP C_sim_variable(SEXP a, SEXP b, SEXP settings)
{
  const R_xlen_t n = glue_item_int(settings, "n"), k = glue_item_int(settings, "k");
  const mrl_law law = (mrl_law)glue_item_int(settings, "law");
  const int single = law < MRL_LAW_VARIANT;
  const R_xlen_t rows_a = single && XLENGTH(a) == 1 ? 1 : single ? n : k;
  R_xlen_t rows_b = single && XLENGTH(b) == 1 ? 1 : n;
  if (!single) {
    rows_b = law == MRL_LAW_MVNORMAL ? k * k : law == MRL_LAW_LINKED ? 2 * k : 0;
  }
  SEXP name = glue_item(settings, "name");
  if (TYPEOF(name) != STRSXP || XLENGTH(name) != 1 || law >= MRL_N_LAW) {
    Rf_error("internal error: `name` is no string or `law` is none");
  }
  const mrl_sim_variable_settings s = {
      .n = (size_t)n,
      .k = (size_t)k,
      .seed = glue_item_seed(settings),
      .name = CHAR(STRING_ELT(name, 0)),
      .law = law,
      .a = glue_dbl(a, rows_a, "a"),
      .b = glue_dbl(b, rows_b, "b"),
      .stride_a = single ? stride_of(a, n) : 0,
      .stride_b = single ? stride_of(b, n) : 0,
  };
  const mrl_ctx ctx = glue_ctx(glue_item_int(settings, "n_threads"));
  SEXP out = PROTECT(Rf_allocMatrix(REALSXP, (int)n, (int)k));
  const mrl_status status = mrl_sim_variable_run(REAL(out), &s, &ctx);
  SEXP result = glue_result(status, out);
  UNPROTECT(1);
  return result;
}
