#include "glue.h"

#include "../core/lasso.h"

enum {
  LAMBDA,
  BETA,
  UNPENALISED,
  DF,
  DEV_RATIO,
  SHRINKAGE,
  VIOLATION,
  ITERATIONS,
  SD,
  CV_ERROR,
  FOLD_WEIGHT,
  CV_MEAN,
  CV_SE,
  CV_VIOLATION,
  I_MIN,
  I_1SE,
  N_ITEMS
};

static const char *const item_names[N_ITEMS] = {
    "lambda", "beta",     "unpenalised", "df",  "dev.ratio", "shrinkage", "kkt",   "iterations",
    "sd",     "cv_error", "fold_weight", "cvm", "cvsd",      "cv_kkt",    "i_min", "i_1se"};

static const double *const *read_columns(SEXP x, size_t count, R_xlen_t n, const char *name)
{
  const double **col = (const double **)glue_scratch(count * sizeof *col);
  glue_add_columns(col, 0, x, n, name);
  return col;
}

static mrl_lasso_data read_data(SEXP x, SEXP w, SEXP z, SEXP weights, SEXP foldid, SEXP settings)
{
  const R_xlen_t n = XLENGTH(x);
  mrl_lasso_data data = {.n = (size_t)n, .intercept = glue_item_lgl(settings, "intercept")};
  data.x = glue_dbl(x, n, "x");
  data.n_w = glue_count_columns(w, n, "w");
  data.w = read_columns(w, data.n_w, n, "w");
  data.n_z = glue_count_columns(z, n, "z");
  data.z = read_columns(z, data.n_z, n, "z");
  data.weights = glue_dbl_or_null(weights, n, "weights");
  SEXP moments = glue_item(settings, "moments");
  if (!Rf_isNull(moments)) {
    data.n_z = (size_t)glue_item_int(moments, "l");
  }
  data.fold = glue_int_or_null(foldid, n, "foldid");
  data.n_folds = data.fold ? (size_t)glue_item_int(settings, "nfolds") : 0;
  for (R_xlen_t i = 0; data.fold && i < n; i++) {
    if (data.fold[i] < 1 || (size_t)data.fold[i] > data.n_folds) {
      Rf_error("internal error: `foldid` is %d, not in 1 .. nfolds", data.fold[i]);
    }
  }
  if (!Rf_isNull(moments)) {
    const R_xlen_t p = (R_xlen_t)(data.n_w + data.n_z + 2);
    const R_xlen_t grams = data.n_folds > 0 ? (R_xlen_t)data.n_folds : 1;
    data.mean = glue_dbl(glue_item(moments, "mean"), p - 1, "mean");
    data.gram = glue_dbl(glue_item(moments, "gram"), p * p * grams, "gram");
  }
  return data;
}

static mrl_lasso_settings read_settings(SEXP settings)
{
  mrl_lasso_settings out = {.ratio = glue_item_dbl(settings, "lambda_min_ratio"),
                            .tolerance = glue_item_dbl(settings, "tolerance"),
                            .max_rounds = glue_item_int(settings, "max_iter"),
                            .isa = glue_item_isa(settings)};
  SEXP lambda = glue_item(settings, "lambda");
  out.lambda = glue_dbl_or_null(lambda, -1, "lambda");
  out.n_lambda = out.lambda ? (size_t)XLENGTH(lambda) : (size_t)glue_item_int(settings, "nlambda");
  out.scale = glue_item_lgl(settings, "scale_all") ? MRL_LASSO_SCALE_ALL : MRL_LASSO_SCALE_FOLD;
  return out;
}

/* Lets the result's arrays be items of an R list. */
static mrl_lasso_result result_in(SEXP list, const mrl_lasso_data *data, size_t n_lambda)
{
  mrl_lasso_result result = {.lambda = glue_list_dbl(list, LAMBDA, (R_xlen_t)n_lambda)};
  result.beta = glue_list_matrix(list, BETA, data->n_z, n_lambda);
  result.unpenalised = glue_list_matrix(list, UNPENALISED, 1 + data->n_w, n_lambda);
  result.df = glue_list_dbl(list, DF, (R_xlen_t)n_lambda);
  result.dev_ratio = glue_list_dbl(list, DEV_RATIO, (R_xlen_t)n_lambda);
  result.shrinkage = glue_list_dbl(list, SHRINKAGE, (R_xlen_t)n_lambda);
  result.violation = glue_list_dbl(list, VIOLATION, (R_xlen_t)n_lambda);
  result.iterations = glue_list_dbl(list, ITERATIONS, (R_xlen_t)n_lambda);
  result.sd = glue_list_dbl(list, SD, (R_xlen_t)data->n_z);
  if (data->n_folds > 0) {
    result.cv_error = glue_list_matrix(list, CV_ERROR, data->n_folds, n_lambda);
    result.fold_weight = glue_list_dbl(list, FOLD_WEIGHT, (R_xlen_t)data->n_folds);
    result.cv_mean = glue_list_dbl(list, CV_MEAN, (R_xlen_t)n_lambda);
    result.cv_se = glue_list_dbl(list, CV_SE, (R_xlen_t)n_lambda);
    result.cv_violation = glue_list_dbl(list, CV_VIOLATION, (R_xlen_t)data->n_folds);
  }
  return result;
}

SEXP C_lasso_fit(SEXP x, SEXP w, SEXP z, SEXP weights, SEXP foldid, SEXP settings)
{
  const mrl_lasso_data data = read_data(x, w, z, weights, foldid, settings);
  const mrl_lasso_settings how = read_settings(settings);
  const mrl_ctx ctx = glue_ctx(glue_item_int(settings, "n_threads"));
  const size_t size = mrl_lasso_scratch(&data, &ctx);
  SEXP list = PROTECT(glue_list(item_names, N_ITEMS));
  mrl_lasso_result result = result_in(list, &data, how.n_lambda);
  mrl_status status = MRL_NO_MEMORY;
  if (size < SIZE_MAX) {
    status = mrl_lasso_fit(&result, &data, &how, glue_scratch(size), size, &ctx);
  }
  if (data.n_folds > 0) {
    glue_list_int(list, I_MIN, 1)[0] = (int)result.i_min + 1;
    glue_list_int(list, I_1SE, 1)[0] = (int)result.i_1se + 1;
  }
  SEXP out = glue_result(status, list);
  UNPROTECT(1);
  return out;
}

SEXP C_lasso_folds(SEXP settings)
{
  const int n = glue_item_int(settings, "n"), n_folds = glue_item_int(settings, "nfolds");
  SEXP fold = PROTECT(Rf_allocVector(INTSXP, n));
  size_t *order = glue_scratch((size_t)n * sizeof *order);
  mrl_lasso_folds(INTEGER(fold), order, (size_t)n, (size_t)n_folds, glue_item_seed(settings));
  UNPROTECT(1);
  return fold;
}
