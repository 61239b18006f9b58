/* Linear instrumental variables. */
#include "glue.h"
#include "glue_bed_iv.h"

#include "../core/twosls.h"

#include <string.h>

static mrl_iv_settings read_settings(SEXP settings, SEXP cluster, R_xlen_t n)
{
  static const char *const words[MRL_N_VCOV] = {"iid", "HC0", "HC1", "HC2", "HC3", "cluster"};
  mrl_iv_settings out = {.vcov = MRL_VCOV_IID, .isa = glue_item_isa(settings)};
  SEXP vcov = glue_item(settings, "vcov");
  if (TYPEOF(vcov) != STRSXP || XLENGTH(vcov) != 1) {
    Rf_error("internal error: `vcov` is no string");
  }
  while (out.vcov < MRL_N_VCOV && strcmp(words[out.vcov], CHAR(STRING_ELT(vcov, 0))) != 0) {
    out.vcov++;
  }
  if (out.vcov == MRL_N_VCOV) {
    Rf_error("internal error: unknown `vcov`");
  }
  if (out.vcov == MRL_VCOV_CLUSTER) {
    out.cluster = glue_int(cluster, n, "cluster");
    out.n_cluster = (size_t)glue_item_int(settings, "n_cluster");
  }
  return out;
}

static void write_test(double *out, const mrl_test *test)
{
  out[0] = test->df1;
  out[1] = test->df2;
  out[2] = test->statistic;
}

/* Rows of three: strength and conditional per exposure, then effective, endogeneity, overid. */
static void write_tests(double *out, const mrl_iv_diagnostics *d, size_t kx)
{
  for (size_t j = 0; j < kx; j++) {
    write_test(out + 3 * j, &d->strength[j]);
    write_test(out + 3 * (kx + j), &d->conditional[j]);
  }
  write_test(out + 6 * kx, &d->effective);
  write_test(out + 6 * kx + 3, &d->endogeneity);
  write_test(out + 6 * kx + 6, &d->overid);
}

/* Of the l columns from col[at] on keeps those that settings number (from 1); NULL keeps all. */
static size_t keep_columns(const double **col, size_t at, size_t l, SEXP keep)
{
  if (Rf_isNull(keep)) {
    return l;
  }
  const int *index = glue_int(keep, -1, "z_keep");
  const size_t kept = (size_t)XLENGTH(keep);
  for (size_t j = 0; j < kept; j++) {
    if (index[j] < 1 || (size_t)index[j] > l || (j > 0 && index[j] <= index[j - 1])) {
      Rf_error("internal error: `z_keep` is not ascending within the instruments");
    }
    col[at + j] = col[at + (size_t)index[j] - 1];
  }
  return kept;
}

enum {
  COEF,
  VCOV,
  RESIDUALS,
  FIRST_COEF,
  FIRST_SE,
  ALIASED,
  PARTIAL_R2,
  TESTS,
  EFFECTIVE_K,
  SIGMA2,
  DF_RESIDUAL,
  EXPOSURE_ALIASED,
  BETWEEN,
  WITHIN,
  N_ITEMS
};

/* The arrays of a fit, in the items of the result list. rows: are there any? k: coefficients; c: of
 * a first stage. */
static mrl_iv_fit fit_memory(SEXP value, R_xlen_t n, int rows, size_t k, size_t c, size_t endog)
{
  mrl_iv_fit fit = {0};
  fit.coef = glue_list_dbl(value, COEF, (R_xlen_t)k);
  fit.vcov = glue_list_matrix(value, VCOV, k, k);
  fit.residuals = rows ? glue_list_dbl(value, RESIDUALS, n) : NULL;
  fit.first_coef = glue_list_matrix(value, FIRST_COEF, c, endog);
  fit.first_se = glue_list_matrix(value, FIRST_SE, c, endog);
  fit.between = glue_list_matrix(value, BETWEEN, endog + 1, endog + 1);
  fit.within = glue_list_matrix(value, WITHIN, endog + 1, endog + 1);
  fit.aliased = glue_list_int(value, ALIASED, (R_xlen_t)c);
  memset(fit.aliased, 0, c * sizeof *fit.aliased);
  fit.diagnostics.partial_r2 = glue_list_dbl(value, PARTIAL_R2, (R_xlen_t)endog);
  fit.diagnostics.strength = (mrl_test *)glue_scratch((endog + 1) * sizeof(mrl_test));
  fit.diagnostics.conditional = (mrl_test *)glue_scratch((endog + 1) * sizeof(mrl_test));
  return fit;
}

/* Sizes of a problem, and its columns where there are any. */
typedef struct {
  size_t n, kx, kw, l;
  const double **col; /* NULL: moments only */
} iv_columns;

/* x, w, z and y as columns; z is not there where instruments are streamed, and y is NULL where
 * nothing but moments is given. */
static iv_columns read_columns(SEXP y, SEXP x, SEXP w, SEXP z, SEXP settings, int ols)
{
  SEXP moments = glue_item(settings, "moments");
  iv_columns out = {0};
  if (!Rf_isNull(moments)) {
    out.n = (size_t)glue_item_dbl(moments, "n");
    out.kx = (size_t)glue_item_int(moments, "kx");
    out.kw = (size_t)glue_item_int(moments, "kw");
    out.l = (size_t)glue_item_int(moments, "l");
  }
  if (Rf_isNull(y)) {
    return out;
  }
  const R_xlen_t n = XLENGTH(y);
  const size_t given = glue_count_columns(z, n, "z");
  out.n = (size_t)n;
  out.kx = glue_count_columns(x, n, "x");
  out.kw = glue_count_columns(w, n, "w");
  out.col = (const double **)glue_scratch((out.kx + out.kw + out.l + given + 1) * sizeof *out.col);
  size_t at = glue_add_columns(out.col, 0, w, n, "w");
  if (Rf_isNull(moments)) {
    glue_add_columns(out.col, at, z, n, "z");
    out.l = ols ? 0 : keep_columns(out.col, at, given, glue_item(settings, "z_keep"));
  }
  for (size_t j = 0; !Rf_isNull(moments) && j < out.l; j++) {
    out.col[at + j] = NULL;
  }
  at = glue_add_columns(out.col, at + out.l, x, n, "x");
  out.col[at] = glue_dbl(y, n, "y");
  return out;
}

SEXP C_iv_linear(SEXP y, SEXP x, SEXP w, SEXP z, SEXP weights, SEXP cluster, SEXP settings)
{
  static const char *const names[N_ITEMS] = {
      "coef",       "vcov",  "residuals",   "first_coef", "first_se",    "aliased",
      "partial_r2", "tests", "effective_k", "sigma2",     "df_residual", "exposure_aliased",
      "between",    "within"};
  const int ols = glue_item_lgl(settings, "ols");
  const iv_columns in = read_columns(y, x, w, z, settings, ols);
  const R_xlen_t n = (R_xlen_t)in.n;
  const size_t kx = in.kx, kw = in.kw;
  mrl_iv_settings iv = read_settings(settings, cluster, n);
  iv.moments = glue_moments(glue_item(settings, "moments"), in.kw + in.l + in.kx + 1, in.n);
  const mrl_ctx ctx = glue_ctx(glue_item_int(settings, "n_threads"));
  /* Without instruments the exposures are exogenous columns like the covariates. */
  const mrl_lsq_data data = {
      in.col,       glue_dbl_or_null(weights, n, "weights"), in.n, ols ? kw + kx : kw, in.l,
      ols ? 0 : kx, glue_item_lgl(settings, "intercept")};
  const size_t constant = data.intercept ? 1 : 0, endog = data.n_endog;

  SEXP value = PROTECT(glue_list(names, N_ITEMS));
  mrl_iv_fit fit = fit_memory(value, n, in.col != NULL, constant + kw + kx,
                              constant + data.n_exog + data.n_inst, endog);
  double *tests = glue_list_matrix(value, TESTS, 3, 2 * endog + 3);
  const size_t size = mrl_iv_fit_scratch(&data, &iv, &ctx);
  const mrl_status status =
      size == 0 ? MRL_NO_MEMORY : mrl_iv_fit_run(&fit, &data, &iv, glue_scratch(size), size, &ctx);
  if (status == MRL_OK) {
    write_tests(tests, &fit.diagnostics, endog);
  }
  glue_list_dbl(value, EFFECTIVE_K, 1)[0] = fit.diagnostics.effective_k;
  glue_list_dbl(value, SIGMA2, 1)[0] = fit.sigma2;
  glue_list_dbl(value, DF_RESIDUAL, 1)[0] = fit.df_residual;
  glue_list_int(value, EXPOSURE_ALIASED, 1)[0] = fit.exposure_aliased;
  SEXP out = glue_result(status, value);
  UNPROTECT(1);
  return out;
}

/*
 * A copy of a genotype matrix with missing values replaced by the column's mean of those present,
 * and how many there were: list(genotypes, n_missing). A column without any value stays missing.
 */
SEXP C_genotype_impute(SEXP genotypes)
{
  static const char *const names[] = {"genotypes", "n_missing"};
  const size_t n = (size_t)Rf_nrows(genotypes), p = (size_t)Rf_ncols(genotypes);
  const double *in = glue_dbl(genotypes, (R_xlen_t)(n * p), "genotypes");
  SEXP value = PROTECT(glue_list(names, 2));
  double *out = glue_list_matrix(value, 0, n, p);
  int *missing = glue_list_int(value, 1, (R_xlen_t)p);
  for (size_t j = 0; j < p; j++) {
    missing[j] = (int)mrl_impute_mean(out + j * n, in + j * n, n);
  }
  SEXP result = glue_result(MRL_OK, value);
  UNPROTECT(1);
  return result;
}
