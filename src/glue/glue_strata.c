/* Strata of the exposure and what the instrument is associated with in each. */
#include "glue.h"

#include "../core/strata.h"

static mrl_strata_settings read_settings(SEXP settings)
{
  const mrl_strata_settings s = {
      .n_strata = (size_t)glue_item_int(settings, "n_strata"),
      .pre_size = (size_t)glue_item_int(settings, "pre_size"),
      .n_repeat = (size_t)glue_item_int(settings, "n_repeats"),
      .leave_out = (size_t)glue_item_int(settings, "leave_out"),
      .seed = glue_item_seed(settings),
      .rule = (mrl_strata_rule)glue_item_int(settings, "rule"),
      .random_ties = glue_item_lgl(settings, "random_ties"),
      .vcov = (mrl_strata_vcov)glue_item_int(settings, "vcov"),
      .logistic = glue_item_lgl(settings, "logistic"),
      .isa = glue_item_isa(settings),
  };
  return s;
}

/* data: list of z, rank_by, x, y (n each), w (covariates), weights and cluster (n or NULL). */
SEXP C_strata_effects(SEXP data, SEXP settings)
{
  static const char *const names[] = {"stratum", "effect", "tied_z", "tied_ranks"};
  const mrl_strata_settings s = read_settings(settings);
  SEXP y = glue_item(data, "y"), w = glue_item(data, "w");
  const R_xlen_t n = XLENGTH(y);
  const size_t n_w = glue_count_columns(w, n, "w");
  const double **col = glue_scratch((n_w + 1) * sizeof *col);
  glue_add_columns(col, 0, w, n, "w");
  const mrl_strata_data d = {
      .z = glue_dbl(glue_item(data, "z"), n, "z"),
      .rank_by = glue_dbl(glue_item(data, "rank_by"), n, "rank_by"),
      .x = glue_dbl(glue_item(data, "x"), n, "x"),
      .y = glue_dbl(y, n, "y"),
      .w = col,
      .weights = glue_dbl_or_null(glue_item(data, "weights"), n, "weights"),
      .cluster = glue_int_or_null(glue_item(data, "cluster"), n, "cluster"),
      .n = (size_t)n,
      .n_w = n_w,
      .n_cluster = (size_t)glue_item_int(settings, "n_cluster"),
  };
  const mrl_ctx ctx = glue_ctx(glue_item_int(settings, "n_threads"));
  SEXP value = PROTECT(glue_list(names, 4));
  mrl_strata out = {NULL, NULL, 0, 0};
  out.stratum = glue_list_int(value, 0, n);
  out.effect = glue_list_matrix(value, 1, MRL_STRATUM_N_COLUMN, s.n_strata * s.n_repeat);
  double *tied_z = glue_list_dbl(value, 2, 1), *tied_ranks = glue_list_dbl(value, 3, 1);
  const size_t size = mrl_strata_scratch(&d, &s, &ctx);
  const mrl_status status = mrl_strata_run(&out, &d, &s, glue_scratch(size), size, &ctx);
  *tied_z = (double)out.tied_z;
  *tied_ranks = (double)out.tied_ranks;
  SEXP result = glue_result(status, value);
  UNPROTECT(1);
  return result;
}
