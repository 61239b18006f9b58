/* The flow of instruments from several environments. */
#include "glue.h"

#include "../core/flow_search.h"

static mrl_flow_settings read_flow(SEXP settings)
{
  const mrl_flow_settings out = {.layers = (size_t)glue_item_int(settings, "layers"),
                                 .starts = (size_t)glue_item_int(settings, "starts"),
                                 .cycles = (size_t)glue_item_int(settings, "cycles"),
                                 .moves = (size_t)glue_item_int(settings, "moves"),
                                 .stationary = (size_t)glue_item_int(settings, "stationary"),
                                 .gate = glue_item_dbl(settings, "gate"),
                                 .seed = glue_item_seed(settings),
                                 .isa = glue_item_isa(settings)};
  return out;
}

/* The search's history as a matrix (n_tries, 4): cycle, step, value, statistic. */
static SEXP history_of(const mrl_flow_result *result)
{
  const size_t n = result->n_tries;
  SEXP out = PROTECT(Rf_allocMatrix(REALSXP, (int)n, 4));
  for (size_t i = 0; i < n; i++) {
    const mrl_flow_try *row = result->tries + i;
    const double values[] = {(double)row->cycle, (double)row->step, row->value, row->statistic};
    for (size_t j = 0; j < 4; j++) {
      REAL(out)[i + j * n] = values[j];
    }
  }
  UNPROTECT(1);
  return out;
}

/* x (n, d) with the rows of environment after environment, n_row (n_env) of each. */
SEXP C_flow_fit(SEXP x, SEXP n_row, SEXP settings)
{
  static const char *const names[] = {"center", "transform", "params", "numbers", "history"};
  const R_xlen_t n = Rf_nrows(x), n_env = XLENGTH(n_row);
  const size_t d = glue_ncol(x, n, "x");
  const int *rows = glue_int(n_row, n_env, "n_row");
  const mrl_flow_settings flow = read_flow(settings);
  const mrl_ctx ctx = glue_ctx(glue_item_int(settings, "n_threads"));
  SEXP value = PROTECT(glue_list(names, 5));
  mrl_flow_result result = {0};
  result.centre = glue_list_dbl(value, 0, (R_xlen_t)d);
  result.transform = glue_list_matrix(value, 1, d, d);
  result.params = glue_list_dbl(value, 2, (R_xlen_t)mrl_flow_params(d, flow.layers));
  double *numbers = glue_list_dbl(value, 3, 3);
  result.tries = glue_scratch(mrl_flow_tries(&flow) * sizeof *result.tries);
  void *scratch = glue_scratch(mrl_flow_scratch(&flow, rows, (size_t)n_env, d, &ctx));
  const mrl_status status =
      mrl_flow_run(&result, &flow, REAL(x), rows, (size_t)n_env, d, scratch, &ctx);
  numbers[0] = result.value;
  numbers[1] = (double)result.rank;
  numbers[2] = result.statistic;
  SET_VECTOR_ELT(value, 4, history_of(&result));
  SEXP out = glue_result(status, value);
  UNPROTECT(1);
  return out;
}
