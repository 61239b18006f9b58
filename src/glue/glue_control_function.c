/* Control functions, their bases, and logistic regression. */
#include "glue.h"

#include "../core/cf.h"

static mrl_cf_basis read_basis(SEXP basis)
{
  SEXP knots = glue_item(basis, "knots");
  const mrl_cf_basis out = {.shape = (mrl_cf_shape)glue_item_int(basis, "shape"),
                            .degree = (size_t)glue_item_int(basis, "degree"),
                            .knot = glue_dbl(knots, -1, "knots"),
                            .n_knots = (size_t)XLENGTH(knots),
                            .centre = glue_item_dbl(basis, "centre"),
                            .scale = glue_item_dbl(basis, "scale")};
  if ((int)out.shape < 0 || out.shape >= MRL_CF_N_SHAPE || out.degree < 1 ||
      (out.shape == MRL_CF_NATURAL && out.n_knots < 2)) {
    Rf_error("internal error: unknown basis");
  }
  return out;
}

static mrl_cf_settings read_settings(SEXP settings)
{
  const mrl_cf_settings out = {.exposure = read_basis(glue_item(settings, "exposure")),
                               .residual = read_basis(glue_item(settings, "residual")),
                               .binomial = glue_item_lgl(settings, "binomial"),
                               .n_points = (size_t)glue_item_int(settings, "n_points"),
                               .isa = glue_item_isa(settings),
                               .seed = glue_item_seed(settings)};
  return out;
}

enum { COEF, VCOV, RESIDUAL, INDEX, MEAN, CENTRE, BINS, R_BINS, SEPARATED, BOOT, N_ITEMS };
enum { BOOT_COEF, BOOT_MEAN, BOOT_BINS, BOOT_R_BINS, BOOT_STATUS, N_BOOT_ITEMS };

typedef struct {
  size_t k, n_exog, width;
} sizes;

static mrl_cf_fit fit_memory(SEXP value, const sizes *size, const mrl_cf_data *data,
                             const mrl_cf_settings *cf)
{
  mrl_cf_fit fit = {0};
  fit.coef = glue_list_dbl(value, COEF, (R_xlen_t)size->k);
  fit.vcov = cf->binomial ? glue_list_matrix(value, VCOV, size->k, size->k) : NULL;
  fit.residual = glue_list_dbl(value, RESIDUAL, (R_xlen_t)data->n);
  fit.index = glue_list_dbl(value, INDEX, (R_xlen_t)data->n);
  fit.mean = glue_list_dbl(value, MEAN, (R_xlen_t)size->n_exog);
  fit.centre = glue_list_dbl(value, CENTRE, (R_xlen_t)size->width);
  fit.bins = glue_list_dbl(value, BINS, (R_xlen_t)cf->n_points);
  fit.r_bins = glue_list_dbl(value, R_BINS, (R_xlen_t)cf->n_points);
  return fit;
}

/* Replicates as columns of matrices, and their statuses as numbers. */
static SEXP run_boot(mrl_status *status, size_t count, const sizes *size, const mrl_cf_data *data,
                     const mrl_cf_settings *cf, void *scratch, size_t bytes, const mrl_ctx *ctx)
{
  static const char *const names[N_BOOT_ITEMS] = {"coef", "mean", "bins", "r_bins", "status"};
  SEXP value = PROTECT(glue_list(names, N_BOOT_ITEMS));
  double *coef = glue_list_matrix(value, BOOT_COEF, size->k, count);
  double *mean = glue_list_matrix(value, BOOT_MEAN, size->n_exog, count);
  double *bins = glue_list_matrix(value, BOOT_BINS, cf->n_points, count);
  double *r_bins = glue_list_matrix(value, BOOT_R_BINS, cf->n_points, count);
  int *codes = glue_list_int(value, BOOT_STATUS, (R_xlen_t)count);
  double *centre = (double *)glue_scratch(count * size->width * sizeof *centre);
  mrl_cf_fit *fit = (mrl_cf_fit *)glue_scratch(count * sizeof *fit);
  mrl_status *each = (mrl_status *)glue_scratch(count * sizeof *each);
  for (size_t b = 0; b < count; b++) {
    const mrl_cf_fit one = {.coef = coef + b * size->k,
                            .mean = mean + b * size->n_exog,
                            .centre = centre + b * size->width,
                            .bins = bins + b * cf->n_points,
                            .r_bins = r_bins + b * cf->n_points};
    fit[b] = one;
  }
  *status = mrl_cf_boot(fit, each, count, data, cf, scratch, bytes, ctx);
  for (size_t b = 0; *status == MRL_OK && b < count; b++) {
    codes[b] = (int)each[b];
  }
  UNPROTECT(1);
  return value;
}

SEXP C_control_function_fit(SEXP y, SEXP x, SEXP w, SEXP z, SEXP weights, SEXP cluster,
                            SEXP settings)
{
  static const char *const names[N_ITEMS] = {"coef",   "vcov", "residual", "index",     "mean",
                                             "centre", "bins", "r_bins",   "separated", "boot"};
  const R_xlen_t n = XLENGTH(y);
  const size_t kw = glue_count_columns(w, n, "w"), l = glue_count_columns(z, n, "z");
  const double **col = (const double **)glue_scratch((kw + l) * sizeof *col);
  glue_add_columns(col, glue_add_columns(col, 0, w, n, "w"), z, n, "z");
  const mrl_cf_data data = {.col = col,
                            .x = glue_dbl(x, n, "x"),
                            .y = glue_dbl(y, n, "y"),
                            .weights = glue_dbl_or_null(weights, n, "weights"),
                            .cluster = glue_int_or_null(cluster, n, "cluster"),
                            .n = (size_t)n,
                            .n_exog = kw,
                            .n_inst = l,
                            .n_cluster = (size_t)glue_item_int(settings, "n_cluster")};
  const mrl_cf_settings cf = read_settings(settings);
  const size_t count = (size_t)glue_item_int(settings, "n_boot");
  const mrl_ctx ctx = glue_ctx(glue_item_int(settings, "n_threads"));
  const size_t width = mrl_cf_basis_width(&cf.residual);
  const sizes size = {1 + kw + mrl_cf_basis_width(&cf.exposure) + width, kw, width};

  SEXP value = PROTECT(glue_list(names, N_ITEMS));
  mrl_cf_fit fit = fit_memory(value, &size, &data, &cf);
  const size_t bytes = mrl_cf_scratch(&data, &cf, &ctx);
  void *scratch = bytes > 0 ? glue_scratch(bytes) : NULL;
  mrl_status status =
      bytes > 0 ? mrl_cf_run(&fit, &data, &cf, scratch, bytes, &ctx) : MRL_NO_MEMORY;
  glue_list_int(value, SEPARATED, 1)[0] = fit.separated;
  if (status == MRL_OK && count > 0) {
    SET_VECTOR_ELT(value, BOOT, run_boot(&status, count, &size, &data, &cf, scratch, bytes, &ctx));
  }
  SEXP out = glue_result(status, value);
  UNPROTECT(1);
  return out;
}

/* The columns of a basis at x: a matrix. */
SEXP C_control_function_basis(SEXP x, SEXP basis)
{
  const mrl_cf_basis cf = read_basis(basis);
  const size_t n = (size_t)XLENGTH(x);
  const double *at = glue_dbl(x, (R_xlen_t)n, "x");
  SEXP out = PROTECT(Rf_allocMatrix(REALSXP, (int)n, (int)mrl_cf_basis_width(&cf)));
  mrl_cf_basis_fill(REAL(out), at, n, &cf);
  UNPROTECT(1);
  return out;
}

SEXP C_logit_fit(SEXP y, SEXP x, SEXP weights, SEXP offset, SEXP settings)
{
  static const char *const names[] = {"coef", "vcov", "deviance", "iterations", "separated"};
  const R_xlen_t n = XLENGTH(y);
  const size_t p = glue_count_columns(x, n, "x");
  const double **col = (const double **)glue_scratch(p * sizeof *col);
  glue_add_columns(col, 0, x, n, "x");
  const mrl_logit_data data = {.col = col,
                               .y = glue_dbl(y, n, "y"),
                               .weights = glue_dbl_or_null(weights, n, "weights"),
                               .offset = glue_dbl_or_null(offset, n, "offset"),
                               .n = (size_t)n,
                               .p = p,
                               .intercept = glue_item_lgl(settings, "intercept")};
  const mrl_ctx ctx = glue_ctx(glue_item_int(settings, "n_threads"));
  const size_t k = p + (data.intercept ? 1 : 0);

  SEXP value = PROTECT(glue_list(names, 5));
  mrl_logit_fit fit = {0};
  fit.coef = glue_list_dbl(value, 0, (R_xlen_t)k);
  fit.vcov = glue_list_matrix(value, 1, k, k);
  mrl_logit_work work;
  mrl_arena arena = mrl_arena_measure();
  mrl_logit_carve(&work, &data, &ctx, &arena);
  mrl_status status = MRL_NO_MEMORY;
  if (!arena.failed) {
    const size_t bytes = arena.used;
    arena = mrl_arena_over(glue_scratch(bytes), bytes);
    mrl_logit_carve(&work, &data, &ctx, &arena);
    status = mrl_logit_run(&fit, &data, &work, glue_item_isa(settings), &ctx);
  }
  glue_list_dbl(value, 2, 1)[0] = fit.deviance;
  glue_list_int(value, 3, 1)[0] = fit.iterations;
  glue_list_int(value, 4, 1)[0] = fit.separated;
  SEXP out = glue_result(status, value);
  UNPROTECT(1);
  return out;
}
