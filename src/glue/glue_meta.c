#include "glue.h"

#include "../core/meta.h"

enum { COEF, VCOV, QUANTITIES, N_ITEMS };

static const char *const item_names[N_ITEMS] = {"coef", "vcov", "quantities"};

static mrl_meta_settings read_settings(SEXP settings)
{
  const int method = glue_item_int(settings, "method");
  const int adjust = glue_item_int(settings, "adjust");
  if (method < 0 || method >= MRL_META_N_METHOD || adjust < 0 || adjust >= MRL_META_N_ADJUST) {
    Rf_error("internal error: `method` %d, `adjust` %d", method, adjust);
  }
  const mrl_meta_settings out = {(mrl_meta_method)method, (mrl_meta_adjust)adjust};
  return out;
}

/* First rows of the groups, counted from 0, and one past the last row. */
static const size_t *read_start(SEXP start, R_xlen_t n)
{
  const R_xlen_t n_start = XLENGTH(start);
  const int *from = glue_int(start, -1, "start");
  size_t *out = glue_scratch((size_t)n_start * sizeof *out);
  for (R_xlen_t g = 0; g < n_start; g++) {
    if (from[g] < 0 || from[g] > n || (g > 0 && from[g] <= from[g - 1])) {
      Rf_error("internal error: `start` does not increase from 0 to the number of effects");
    }
    out[g] = (size_t)from[g];
  }
  if (n_start < 1 || from[0] != 0 || from[n_start - 1] != n) {
    Rf_error("internal error: `start` does not go from 0 to the number of effects");
  }
  return out;
}

/* A matrix with a row for each group; its columns are those of mrl_meta_column. */
SEXP C_meta_random(SEXP effect, SEXP se, SEXP start, SEXP q_low, SEXP q_high, SEXP settings)
{
  const R_xlen_t n = XLENGTH(effect), n_groups = XLENGTH(start) - 1;
  const mrl_meta_settings how = read_settings(settings);
  const mrl_meta_data data = {.effect = glue_dbl(effect, n, "effect"),
                              .se = glue_dbl(se, n, "se"),
                              .start = read_start(start, n),
                              .n_groups = (size_t)n_groups,
                              .q_low = glue_dbl_or_null(q_low, n_groups, "q_low"),
                              .q_high = glue_dbl_or_null(q_high, n_groups, "q_high")};
  const mrl_ctx ctx = glue_ctx(glue_item_int(settings, "n_threads"));
  const size_t size = mrl_meta_groups_scratch(&data, &ctx);
  SEXP table = PROTECT(Rf_allocMatrix(REALSXP, (int)n_groups, MRL_META_N_COLUMN));
  mrl_status status = MRL_NO_MEMORY;
  if (size < SIZE_MAX) {
    status = mrl_meta_groups(REAL(table), &data, &how, glue_scratch(size), size, &ctx);
  }
  SEXP out = glue_result(status, table);
  UNPROTECT(1);
  return out;
}

/* Quantities by name, as in mrl_meta_regression_fit. */
static SEXP named_quantities(const mrl_meta_regression_fit *fit)
{
  static const char *const names[] = {"tau2", "se_tau2", "tau2_low",  "tau2_high", "i2", "h2",
                                      "qe",   "qm",      "tau2_none", "q_none",    "s2"};
  const double values[] = {fit->tau2,      fit->se_tau2, fit->tau2_low, fit->tau2_high,
                           fit->i2,        fit->h2,      fit->qe,       fit->qm,
                           fit->tau2_none, fit->q_none,  fit->s2};
  const int n = (int)(sizeof values / sizeof *values);
  SEXP out = PROTECT(glue_list(names, n));
  for (int i = 0; i < n; i++) {
    glue_list_dbl(out, i, 1)[0] = values[i];
  }
  UNPROTECT(1);
  return out;
}

/* x: a matrix with a column at least. */
SEXP C_meta_regression(SEXP effect, SEXP se, SEXP x, SEXP settings)
{
  const R_xlen_t n = XLENGTH(effect);
  const mrl_meta_settings how = read_settings(settings);
  const mrl_meta_regression_data data = {.effect = glue_dbl(effect, n, "effect"),
                                         .se = glue_dbl(se, n, "se"),
                                         .x = glue_dbl(x, -1, "x"),
                                         .k = (size_t)n,
                                         .p = glue_ncol(x, n, "x"),
                                         .constant = glue_item_lgl(settings, "constant"),
                                         .q_low = glue_item_dbl(settings, "q_low"),
                                         .q_high = glue_item_dbl(settings, "q_high")};
  const mrl_ctx ctx = glue_ctx(1);
  SEXP list = PROTECT(glue_list(item_names, N_ITEMS));
  const size_t size = mrl_meta_regression_scratch(data.k, data.p);
  mrl_meta_regression_fit fit = {.coef = glue_list_dbl(list, COEF, (R_xlen_t)data.p),
                                 .vcov = glue_list_matrix(list, VCOV, data.p, data.p)};
  mrl_status status = MRL_NO_MEMORY;
  if (size < SIZE_MAX) {
    status = mrl_meta_regression(&fit, &data, &how, glue_scratch(size), size, &ctx);
  }
  SET_VECTOR_ELT(list, QUANTITIES, named_quantities(&fit));
  SEXP out = glue_result(status, list);
  UNPROTECT(1);
  return out;
}
