/* Riesz representers. */
#include "glue.h"

#include "../core/riesz.h"

/* b (n, K), phi (n, J) matrices; m (J); root (n) square roots of weights, or NULL. */
SEXP C_riesz_solve(SEXP b, SEXP phi, SEXP m, SEXP root, SEXP settings)
{
  static const char *const names[] = {"rho", "imbalance", "relevance"};
  const R_xlen_t n = glue_item_int(settings, "n");
  const size_t k = glue_ncol(b, n, "b"), j = glue_ncol(phi, n, "phi"), p = k + j;
  const double *target = glue_dbl(m, (R_xlen_t)j, "m");
  const double **col = glue_scratch(p * sizeof *col);
  double *fixed = glue_scratch(2 * p * sizeof *fixed);
  const mrl_ctx ctx = glue_ctx(glue_item_int(settings, "n_threads"));
  glue_add_columns(col, glue_add_columns(col, 0, b, n, "b"), phi, n, "phi");
  for (size_t i = 0; i < p; i++) {
    fixed[i] = 0;
    fixed[p + i] = 1;
  }
  const mrl_columns columns = {col,       fixed, fixed + p, glue_dbl_or_null(root, n, "root"),
                               (size_t)n, p};
  SEXP value = PROTECT(glue_list(names, 3));
  double *rho = glue_list_dbl(value, 0, (R_xlen_t)k);
  void *scratch = glue_scratch(mrl_riesz_scratch(k, j, &ctx));
  mrl_riesz found = {0};
  const mrl_status status =
      mrl_riesz_run(&found, rho, &columns, k, target, glue_item_dbl(settings, "total"),
                    glue_item_dbl(settings, "ridge"), scratch, glue_item_isa(settings), &ctx);
  *glue_list_dbl(value, 1, 1) = found.imbalance;
  *glue_list_dbl(value, 2, 1) = found.relevance;
  SEXP out = glue_result(status, value);
  UNPROTECT(1);
  return out;
}
