/* Arithmetic written by the user. */
#include "glue.h"

#include <string.h>

#include "../core/expr.h"

/* The texts of a character vector. */
static const char **read_texts(SEXP x, const char *name)
{
  if (TYPEOF(x) != STRSXP) {
    Rf_error("internal error: `%s` must be a character vector", name);
  }
  const char **out = (const char **)R_alloc((size_t)XLENGTH(x) + 1, sizeof *out);
  for (R_xlen_t i = 0; i < XLENGTH(x); i++) {
    out[i] = CHAR(STRING_ELT(x, i));
  }
  return out;
}

/* columns: a list of double vectors with n >= 1 values, one per name. */
SEXP C_expr_evaluate(SEXP text, SEXP variables, SEXP columns, SEXP settings)
{
  static const char *const names[] = {"value", "fault"};
  const R_xlen_t n = (R_xlen_t)glue_item_dbl(settings, "n");
  const size_t n_variable = (size_t)XLENGTH(variables);
  const char **source = read_texts(text, "text"), **variable = read_texts(variables, "variables");
  if (XLENGTH(text) != 1 || n_variable > UINT16_MAX ||
      glue_count_columns(columns, n, "columns") != n_variable) {
    Rf_error("internal error: one text and a column for each variable are needed");
  }
  const double **column = (const double **)R_alloc(n_variable + 1, sizeof *column);
  glue_add_columns(column, 0, columns, n, "columns");
  const mrl_ctx ctx = glue_ctx(1);
  mrl_expr *program = glue_scratch(sizeof *program);
  mrl_expr_fault fault;
  SEXP value = PROTECT(glue_list(names, 2));
  double *out = glue_list_dbl(value, 0, n);
  int *where = glue_list_int(value, 1, 3);
  mrl_status status =
      mrl_expr_parse(program, &fault, source[0], strlen(source[0]), variable, n_variable);
  where[0] = (int)fault.problem;
  where[1] = (int)fault.at;
  where[2] = (int)fault.length;
  if (status == MRL_OK && fault.problem == MRL_EXPR_FINE) {
    void *scratch = glue_scratch(mrl_expr_scratch(program));
    status = mrl_expr_run(out, program, column, (size_t)n, scratch, &ctx);
  }
  SEXP result = glue_result(status, value);
  UNPROTECT(1);
  return result;
}
