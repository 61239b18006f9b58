#include "glue.h"

#include "../core/mvmr.h"

/* effects: list(bx matrix, by, cov, ld or NULL); cov as in mvmr.h, a plain vector. */
static mrl_mv_data read_effects(SEXP effects)
{
  if (TYPEOF(effects) != VECSXP || XLENGTH(effects) != 4) {
    Rf_error("internal error: effects are no list of four");
  }
  SEXP by = VECTOR_ELT(effects, 1), ld = VECTOR_ELT(effects, 3);
  const R_xlen_t n = XLENGTH(by);
  const size_t k = glue_ncol(VECTOR_ELT(effects, 0), n, "bx");
  const R_xlen_t m = (R_xlen_t)k + 1;
  if (n < 1 || k < 1) {
    Rf_error("internal error: no variants or no exposures");
  }
  const mrl_mv_data data = {REAL(VECTOR_ELT(effects, 0)),
                            glue_dbl(by, n, "by"),
                            glue_dbl(VECTOR_ELT(effects, 2), m * m * n, "cov"),
                            glue_dbl_or_null(ld, n * n, "ld"),
                            (size_t)n,
                            k};
  return data;
}

static mrl_mv_method *read_methods(SEXP settings, size_t *n)
{
  SEXP codes = glue_item(settings, "methods");
  const int *code = glue_int(codes, -1, "methods");
  *n = (size_t)XLENGTH(codes);
  mrl_mv_method *out = glue_scratch(*n * sizeof *out);
  for (size_t m = 0; m < *n; m++) {
    if (code[m] < 0 || code[m] >= MRL_MV_N_METHOD) {
      Rf_error("internal error: method %d", code[m]);
    }
    out[m] = (mrl_mv_method)code[m];
  }
  return out;
}

static const size_t *read_choices(SEXP settings, const mrl_mv_data *data, size_t *n)
{
  SEXP choices = glue_item(settings, "n_invalid");
  const int *from = glue_int(choices, -1, "n_invalid");
  *n = (size_t)XLENGTH(choices);
  size_t *out = glue_scratch(*n * sizeof *out);
  for (size_t c = 0; c < *n; c++) {
    if (from[c] < 0 || (size_t)from[c] + data->k >= data->n || (c > 0 && from[c] <= from[c - 1])) {
      Rf_error("internal error: `n_invalid` is not ascending, or leaves too few variants");
    }
    out[c] = (size_t)from[c];
  }
  return out;
}

static size_t read_draws(SEXP settings, const char *name)
{
  const int n = glue_item_int(settings, name);
  if (n < 0 || n >= 1 << 24) {
    Rf_error("internal error: `%s` %d", name, n);
  }
  return (size_t)n;
}

static mrl_mv_settings read_settings(SEXP settings, const mrl_mv_data *data)
{
  const int orientate = glue_item_int(settings, "orientate");
  if (orientate < 0 || (size_t)orientate >= data->k) {
    Rf_error("internal error: `orientate` %d", orientate);
  }
  mrl_mv_settings out = {.seed = glue_item_seed(settings),
                         .n_boot = read_draws(settings, "n_boot"),
                         .orientate = (size_t)orientate,
                         .lambda = glue_item_dbl(settings, "lambda"),
                         .sample_size = glue_item_dbl(settings, "sample_size"),
                         .n_perturb = read_draws(settings, "n_perturb"),
                         .n_starts = read_draws(settings, "n_starts"),
                         .start_low = glue_item_dbl(settings, "start_low"),
                         .start_up = glue_item_dbl(settings, "start_up"),
                         .by_student = glue_item_lgl(settings, "by_student")};
  out.n_invalid = read_choices(settings, data, &out.n_choices);
  return out;
}

enum { B, SE, P, VALID, NUMBERS, WHY, N_ITEMS };
enum { INT, INT_SE, INT_P, Q, Q_DF, Q_P, SIGMA, TAU2, LAMBDA, N_VALID, N_DRAWS, DF, N_NUMBERS };

static double or_missing(double x)
{
  return ISNAN(x) ? NA_REAL : x;
}

/* Core results that write into the arrays of the table. */
static mrl_mv_estimate *estimates_over(SEXP table, const mrl_mv_data *data, size_t n_methods)
{
  mrl_mv_estimate *at = glue_scratch(n_methods * sizeof *at);
  double *b = glue_list_matrix(table, B, data->k, n_methods);
  double *se = glue_list_matrix(table, SE, data->k, n_methods);
  double *p = glue_list_matrix(table, P, data->k, n_methods);
  int *valid = glue_list_int(table, VALID, (R_xlen_t)(data->n * n_methods));
  for (size_t m = 0; m < n_methods; m++) {
    at[m].b = b + m * data->k;
    at[m].se = se + m * data->k;
    at[m].p = p + m * data->k;
    at[m].valid = valid + m * data->n;
  }
  return at;
}

static void fill_table(SEXP table, const mrl_mv_estimate *at, const mrl_mv_data *data,
                       size_t n_methods)
{
  double *numbers = glue_list_matrix(table, NUMBERS, N_NUMBERS, n_methods);
  int *why = glue_list_int(table, WHY, (R_xlen_t)n_methods);
  for (size_t m = 0; m < n_methods; m++) {
    const mrl_mv_estimate *e = &at[m];
    const double row[N_NUMBERS] = {e->intercept,
                                   e->intercept_se,
                                   e->intercept_p,
                                   e->q,
                                   e->q_df,
                                   e->q_p,
                                   e->sigma,
                                   e->tau2,
                                   e->lambda,
                                   (double)e->n_valid,
                                   (double)e->n_draws,
                                   e->df};
    for (int i = 0; i < N_NUMBERS; i++) {
      numbers[i + m * N_NUMBERS] = or_missing(row[i]);
    }
    for (size_t j = 0; j < data->k; j++) {
      e->b[j] = or_missing(e->b[j]);
      e->se[j] = or_missing(e->se[j]);
      e->p[j] = or_missing(e->p[j]);
    }
    why[m] = (int)e->why;
  }
}

/*
 * Value: list(b, se, p (k, n_methods), valid (n * n_methods), numbers (12, n_methods), why), the
 * rows of numbers as enumerated above.
 */
SEXP C_mvmr_estimate(SEXP effects, SEXP settings)
{
  static const char *const names[N_ITEMS] = {"b", "se", "p", "valid", "numbers", "why"};
  const mrl_mv_data data = read_effects(effects);
  const mrl_mv_settings how = read_settings(settings, &data);
  size_t n_methods;
  const mrl_mv_method *methods = read_methods(settings, &n_methods);
  const mrl_ctx ctx = glue_ctx(glue_item_int(settings, "n_threads"));
  const size_t size = mrl_mv_run_scratch(&data, methods, n_methods, &how, &ctx);
  SEXP table = PROTECT(glue_list(names, N_ITEMS));
  mrl_mv_estimate *at = estimates_over(table, &data, n_methods);
  mrl_status status = MRL_NO_MEMORY;
  if (size < SIZE_MAX) {
    status = mrl_mv_run(at, &data, methods, n_methods, &how, glue_scratch(size), size, &ctx);
  }
  if (status == MRL_OK) {
    fill_table(table, at, &data, n_methods);
  }
  SEXP out = glue_result(status, table);
  UNPROTECT(1);
  return out;
}

/* Value: list(f, f_least, r2 (k), residual, spread (n), q, q_least). */
SEXP C_mvmr_diagnose(SEXP effects)
{
  static const char *const names[] = {"f", "f_least", "r2", "residual", "spread", "q", "q_least"};
  const mrl_mv_data data = read_effects(effects);
  const R_xlen_t n = (R_xlen_t)data.n, k = (R_xlen_t)data.k;
  const mrl_ctx ctx = glue_ctx(1);
  const size_t size = mrl_mv_diagnose_scratch(&data);
  SEXP value = PROTECT(glue_list(names, 7));
  mrl_mv_diagnosis at = {
      .f = glue_list_dbl(value, 0, k),
      .f_least = glue_list_dbl(value, 1, k),
      .r2 = glue_list_dbl(value, 2, k),
      .residual = glue_list_dbl(value, 3, n),
      .spread = glue_list_dbl(value, 4, n),
  };
  double *q = glue_list_dbl(value, 5, 1), *q_least = glue_list_dbl(value, 6, 1);
  mrl_status status = MRL_NO_MEMORY;
  if (size < SIZE_MAX) {
    status = mrl_mv_diagnose(&at, &data, glue_scratch(size), size, &ctx);
  }
  if (status == MRL_OK) {
    *q = or_missing(at.q);
    *q_least = or_missing(at.q_least);
    for (R_xlen_t j = 0; j < k; j++) {
      at.f[j] = or_missing(at.f[j]);
      at.f_least[j] = or_missing(at.f_least[j]);
    }
  }
  SEXP out = glue_result(status, value);
  UNPROTECT(1);
  return out;
}
