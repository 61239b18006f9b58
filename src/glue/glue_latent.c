/* Representations of instruments from several environments. */
#include "glue.h"

#include "../core/closure.h"
#include "../core/ssa.h"

/* x (n, p) with the rows of environment after environment, n_row (n_env) of each. */
SEXP C_latent_ssa(SEXP x, SEXP n_row, SEXP settings)
{
  static const char *const names[] = {"center", "transform", "values", "share", "rank"};
  const R_xlen_t n = Rf_nrows(x), n_env = XLENGTH(n_row);
  const size_t p = glue_ncol(x, n, "x"), d = (size_t)glue_item_int(settings, "d");
  const mrl_ctx ctx = glue_ctx(glue_item_int(settings, "n_threads"));
  const mrl_ssa_data data = {REAL(x), glue_int(n_row, n_env, "n_row"), (size_t)n, p, (size_t)n_env,
                             d};
  SEXP value = PROTECT(glue_list(names, 5));
  mrl_ssa out = {0};
  out.centre = glue_list_dbl(value, 0, (R_xlen_t)p);
  out.transform = glue_list_matrix(value, 1, p, d);
  out.values = glue_list_dbl(value, 2, (R_xlen_t)d);
  double *share = glue_list_dbl(value, 3, 1), *rank = glue_list_dbl(value, 4, 1);
  void *scratch = glue_scratch(mrl_ssa_scratch(&data, &ctx));
  const mrl_status status = mrl_ssa_run(&out, &data, scratch, glue_item_isa(settings), &ctx);
  *share = out.share;
  *rank = (double)out.rank;
  SEXP result = glue_result(status, value);
  UNPROTECT(1);
  return result;
}

/* x (n, p). */
SEXP C_latent_closure(SEXP x, SEXP settings)
{
  static const char *const names[] = {"center", "transform", "value", "found", "starts", "rank"};
  const R_xlen_t n = Rf_nrows(x);
  const size_t p = glue_ncol(x, n, "x");
  const mrl_closure_data data = {
      .x = REAL(x),
      .n = (size_t)n,
      .p = p,
      .d = (size_t)glue_item_int(settings, "d"),
      .tolerance = glue_item_dbl(settings, "tolerance"),
      .max_starts = (size_t)glue_item_int(settings, "max_starts"),
      .max_iterations = (size_t)glue_item_int(settings, "max_iterations"),
      .seed = glue_item_seed(settings),
  };
  const mrl_ctx ctx = glue_ctx(1);
  SEXP value = PROTECT(glue_list(names, 6));
  mrl_closure out = {0};
  out.centre = glue_list_dbl(value, 0, (R_xlen_t)p);
  out.transform = glue_list_matrix(value, 1, p, data.d);
  out.value = glue_list_dbl(value, 2, (R_xlen_t)data.max_starts);
  double *counts[3];
  for (int i = 0; i < 3; i++) {
    counts[i] = glue_list_dbl(value, 3 + i, 1);
  }
  void *scratch = glue_scratch(mrl_closure_scratch(&data, &ctx));
  const mrl_status status = mrl_closure_run(&out, &data, scratch, glue_item_isa(settings), &ctx);
  *counts[0] = (double)out.found;
  *counts[1] = (double)out.starts;
  *counts[2] = (double)out.rank;
  SEXP result = glue_result(status, value);
  UNPROTECT(1);
  return result;
}
