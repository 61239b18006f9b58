#include "glue_mr.h"

#include "../core/mr_group.h"

/* R caches strings, so that equal ones of the same encoding are one object. */
static const mrl_name *read_names(SEXP x, R_xlen_t n, const char *name)
{
  if (TYPEOF(x) != STRSXP || XLENGTH(x) != n) {
    Rf_error("internal error: `%s` is no character vector of length %lld", name, (long long)n);
  }
  return (const mrl_name *)STRING_PTR_RO(x);
}

/* Item i of a list of four: effects on the exposure, their standard errors, the outcome's. */
static const double *read_effect(SEXP effects, int i, R_xlen_t n)
{
  static const char *const names[] = {"bx", "sx", "by", "sy"};
  if (TYPEOF(effects) != VECSXP || XLENGTH(effects) != 4) {
    Rf_error("internal error: effects are no list of four");
  }
  return glue_dbl(VECTOR_ELT(effects, i), n, names[i]);
}

mrl_mr_data glue_mr_effects(SEXP effects, R_xlen_t n)
{
  const mrl_mr_data data = {read_effect(effects, 0, n), read_effect(effects, 1, n),
                            read_effect(effects, 2, n), read_effect(effects, 3, n), (size_t)n};
  return data;
}

enum { FIRST, START, ROW, EFFECTS, DROPPED, N_DUPLICATE, DUPLICATE, N_ITEMS };

/* Usable rows sorted by group, and their effects; the effects as given and no rows where
 * all are usable and sorted. */
static int *set_rows(SEXP value, SEXP effects, int as_is, const size_t *start,
                     const mrl_mr_rows *rows)
{
  if (as_is) {
    SET_VECTOR_ELT(value, EFFECTS, effects);
    return NULL;
  }
  SEXP sorted = Rf_allocVector(VECSXP, 4);
  SET_VECTOR_ELT(value, EFFECTS, sorted);
  const R_xlen_t n = (R_xlen_t)start[rows->n_groups];
  double *out[4];
  for (int k = 0; k < 4; k++) {
    out[k] = glue_list_dbl(sorted, k, n);
  }
  int *row = glue_list_int(value, ROW, n);
  size_t *next = glue_scratch(rows->n_groups * sizeof *next);
  mrl_mr_gather(row, out[0], out[1], out[2], out[3], next, start, rows);
  return row;
}

/* How many rows repeat a variant of their pair, and the first of them. */
static void set_duplicates(SEXP value, SEXP variant, R_xlen_t n, const int *row,
                           const size_t *start, size_t n_groups, const mrl_ctx *ctx)
{
  int first = 0;
  size_t count = 0;
  if (!Rf_isNull(variant)) {
    void *scratch = glue_scratch(mrl_mr_duplicates_scratch(start, n_groups));
    count = mrl_mr_duplicates(&first, read_names(variant, n, "SNP"), row, start, n_groups, scratch,
                              ctx);
  }
  glue_list_int(value, N_DUPLICATE, 1)[0] = (int)count;
  glue_list_int(value, DUPLICATE, 1)[0] = first;
}

/* An item of whole numbers, which fit an int as R's rows do. */
static void set_sizes(SEXP value, int item, const size_t *from, size_t n)
{
  int *to = glue_list_int(value, item, (R_xlen_t)n);
  for (size_t i = 0; i < n; i++) {
    to[i] = (int)from[i];
  }
}

/*
 * keys: list(exposure, outcome, variant or NULL), character. keep: logical. effects: list of four.
 * Value: list(first, start, row, effects, n_dropped, n_duplicate, duplicate); rows and start count
 * from 0; row is NULL where the effects are those given.
 */
SEXP C_mr_frame(SEXP keys, SEXP keep, SEXP effects)
{
  static const char *const names[N_ITEMS] = {"first",     "start",       "row",      "effects",
                                             "n_dropped", "n_duplicate", "duplicate"};
  const R_xlen_t n = XLENGTH(keep);
  const mrl_ctx ctx = glue_ctx(1);
  if (TYPEOF(keys) != VECSXP || XLENGTH(keys) != 3 || TYPEOF(keep) != LGLSXP) {
    Rf_error("internal error: keys are no list of three, or `keep` is not logical");
  }
  const mrl_mr_pairs pairs = {read_names(VECTOR_ELT(keys, 0), n, "id.exposure"),
                              read_names(VECTOR_ELT(keys, 1), n, "id.outcome"), (size_t)n};
  const size_t n_runs = mrl_mr_count_runs(&pairs), size = mrl_mr_group_scratch(n_runs);
  int *group = glue_scratch((size_t)n * sizeof *group);
  SEXP value = PROTECT(glue_list(names, N_ITEMS));
  int *first = glue_list_int(value, FIRST, (R_xlen_t)n_runs);
  mrl_mr_rows rows = {glue_mr_effects(effects, n), LOGICAL(keep), group, 0};
  const mrl_status status =
      mrl_mr_group(group, first, &rows.n_groups, &pairs, n_runs, glue_scratch(size), size, &ctx);
  if (status == MRL_OK) {
    size_t count[MRL_MR_N_FATE], *start = glue_scratch((rows.n_groups + 1) * sizeof *start);
    const int as_is = mrl_mr_usable(start, count, &rows);
    const int *row = set_rows(value, effects, as_is, start, &rows);
    set_duplicates(value, VECTOR_ELT(keys, 2), n, row, start, rows.n_groups, &ctx);
    set_sizes(value, START, start, rows.n_groups + 1);
    set_sizes(value, DROPPED, count, MRL_MR_USABLE);
    SET_VECTOR_ELT(value, FIRST, Rf_lengthgets(VECTOR_ELT(value, FIRST), (R_xlen_t)rows.n_groups));
  }
  SEXP out = glue_result(status, value);
  UNPROTECT(1);
  return out;
}

const size_t *glue_mr_start(SEXP start, R_xlen_t n)
{
  const R_xlen_t n_start = XLENGTH(start);
  const int *from = glue_int(start, -1, "start");
  size_t *out = glue_scratch((size_t)n_start * sizeof *out);
  if (n_start < 1 || from[0] != 0 || from[n_start - 1] != n) {
    Rf_error("internal error: `start` does not go from 0 to the number of effects");
  }
  for (R_xlen_t g = 0; g < n_start; g++) {
    if (g > 0 && from[g] < from[g - 1]) {
      Rf_error("internal error: `start` decreases");
    }
    out[g] = (size_t)from[g];
  }
  return out;
}

/* Of cML: sample sizes by group, NaN where they are unknown. */
static mrl_mr_cml_settings read_cml(SEXP settings)
{
  SEXP k = glue_item(settings, "k"), size = glue_item(settings, "sample_size");
  const mrl_mr_cml_settings out = {.sample_size = glue_dbl_or_null(size, -1, "sample_size"),
                                   .k = glue_int_or_null(k, -1, "k"),
                                   .n_k = (size_t)Rf_xlength(k),
                                   .n_pert = (size_t)glue_item_int(settings, "n_pert"),
                                   .n_starts = (size_t)glue_item_int(settings, "n_starts"),
                                   .n_starts_pert =
                                       (size_t)glue_item_int(settings, "n_starts_pert"),
                                   .max_iter = (size_t)glue_item_int(settings, "max_iter")};
  return out;
}

mrl_mr_settings glue_mr_settings(SEXP settings, size_t n_groups)
{
  SEXP size = glue_item(settings, "sample_size");
  if (!Rf_isNull(size) && (size_t)XLENGTH(size) != n_groups) {
    Rf_error("internal error: %lld sample sizes", (long long)XLENGTH(size));
  }
  const int loss = glue_item_int(settings, "loss"), n_boot = glue_item_int(settings, "n_boot");
  if (loss < MRL_LOSS_L2 || loss > MRL_LOSS_TUKEY || n_boot < 0 || n_boot >= 1 << 24) {
    Rf_error("internal error: `loss` %d, `n_boot` %d", loss, n_boot);
  }
  const mrl_mr_settings out = {.seed = glue_item_seed(settings),
                               .n_boot = (size_t)n_boot,
                               .phi = glue_item_dbl(settings, "phi"),
                               .penalty = glue_item_dbl(settings, "penalty"),
                               .psi = glue_item_dbl(settings, "psi"),
                               .over_dispersion = glue_item_lgl(settings, "over_dispersion"),
                               .loss = (mrl_mr_loss)loss,
                               .mode_exact = glue_item_lgl(settings, "mode_exact"),
                               .median_weights_first_order = glue_item_lgl(settings, "first_order"),
                               .chisq = glue_item_dbl(settings, "chisq"),
                               .conmix_sd = glue_item_dbl(settings, "conmix_sd"),
                               .lambda = glue_item_dbl(settings, "lambda"),
                               .prior = glue_item_dbl(settings, "prior"),
                               .cml = read_cml(settings)};
  return out;
}

const mrl_mr_method *glue_mr_methods(SEXP settings, size_t *n)
{
  SEXP codes = glue_item(settings, "methods");
  const int *code = glue_int(codes, -1, "methods");
  *n = (size_t)XLENGTH(codes);
  mrl_mr_method *out = glue_scratch(*n * sizeof *out);
  for (size_t m = 0; m < *n; m++) {
    if (code[m] < 0 || code[m] >= MRL_MR_N_METHOD) {
      Rf_error("internal error: method %d", code[m]);
    }
    out[m] = (mrl_mr_method)code[m];
  }
  return out;
}

enum { B, SE, P, Q, Q_DF, Q_P, INT, INT_SE, INT_P, SIGMA, TAU2, LOW, HIGH, N_USED, WHY, N_COLUMNS };

/* Columns of the table of results, rows by group and within it by method. */
static SEXP results_table(const mrl_mr_estimate *at, size_t n_groups, size_t n_methods)
{
  static const char *const names[N_COLUMNS] = {"b",         "se",           "pval",
                                               "Q",         "Q_df",         "Q_pval",
                                               "intercept", "intercept_se", "intercept_pval",
                                               "sigma",     "tau2",         "ci_low",
                                               "ci_high",   "n_used",       "why"};
  const R_xlen_t n = (R_xlen_t)(n_groups * n_methods);
  double *out[N_USED];
  SEXP table = PROTECT(glue_list(names, N_COLUMNS));
  for (int k = 0; k < N_USED; k++) {
    out[k] = glue_list_dbl(table, k, n);
  }
  int *n_used = glue_list_int(table, N_USED, n), *why = glue_list_int(table, WHY, n);
  for (size_t g = 0, i = 0; g < n_groups; g++) {
    for (size_t m = 0; m < n_methods; m++, i++) {
      const mrl_mr_estimate *e = &at[g + m * n_groups];
      const double numbers[N_USED] = {e->estimate,    e->std_error, e->p_value,   e->q,
                                      e->q_df,        e->q_p_value, e->intercept, e->intercept_se,
                                      e->intercept_p, e->sigma,     e->tau2,      e->ci_low,
                                      e->ci_high};
      for (int k = 0; k < N_USED; k++) {
        out[k][i] = ISNAN(numbers[k]) ? NA_REAL : numbers[k];
      }
      n_used[i] = (int)e->n_used;
      why[i] = (int)e->why;
    }
  }
  UNPROTECT(1);
  return table;
}

/* effects: list of four, sorted by group as start says. */
SEXP C_mr_estimate(SEXP effects, SEXP start, SEXP settings)
{
  const R_xlen_t n = XLENGTH(VECTOR_ELT(effects, 0));
  const size_t n_groups = (size_t)XLENGTH(start) - 1;
  const mrl_mr_data data = glue_mr_effects(effects, n);
  const size_t *from = glue_mr_start(start, n);
  const mrl_mr_settings how = glue_mr_settings(settings, n_groups);
  size_t n_methods;
  const mrl_mr_method *methods = glue_mr_methods(settings, &n_methods);
  const mrl_ctx ctx = glue_ctx(glue_item_int(settings, "n_threads"));
  const size_t size = mrl_mr_run_scratch(from, n_groups, methods, n_methods, &how, &ctx);
  mrl_mr_estimate *at = glue_scratch(n_groups * n_methods * sizeof *at);
  mrl_status status = MRL_NO_MEMORY;
  if (size < SIZE_MAX) {
    status = mrl_mr_run(at, &data, from, n_groups, methods, n_methods, &how, glue_scratch(size),
                        size, &ctx);
  }
  if (status != MRL_OK) {
    return glue_result(status, R_NilValue);
  }
  SEXP table = PROTECT(results_table(at, n_groups, n_methods));
  SEXP out = glue_result(status, table);
  UNPROTECT(1);
  return out;
}
