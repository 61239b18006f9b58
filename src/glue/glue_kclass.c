/* k-class and jackknife estimators, and the robust Anderson-Rubin test, of individual-level data.
 */
#include "glue.h"
#include "glue_bed_iv.h"

#include "../core/ar_robust.h"
#include "../core/jive.h"
#include "../core/kclass.h"

#include <Rmath.h>
#include <string.h>

/* The columns in the core's order: covariates, instruments, exposures, outcome. data: the list y,
 * x, w, z, weights, cluster. */
static mrl_lsq_data read_data(SEXP data, SEXP settings)
{
  SEXP y = glue_item(data, "y"), x = glue_item(data, "x"), w = glue_item(data, "w");
  SEXP z = glue_item(data, "z");
  const R_xlen_t n = XLENGTH(y);
  const size_t kx = glue_count_columns(x, n, "x"), kw = glue_count_columns(w, n, "w");
  const size_t l = glue_count_columns(z, n, "z");
  const double **col = (const double **)glue_scratch((kx + kw + l + 1) * sizeof *col);
  size_t at = glue_add_columns(col, 0, w, n, "w");
  at = glue_add_columns(col, at, z, n, "z");
  at = glue_add_columns(col, at, x, n, "x");
  col[at] = glue_dbl(y, n, "y");
  const mrl_lsq_data out = {col,
                            glue_dbl_or_null(glue_item(data, "weights"), n, "weights"),
                            (size_t)n,
                            kw,
                            l,
                            kx,
                            glue_item_lgl(settings, "intercept")};
  return out;
}

/* Sizes of a problem that is given by its moments. */
static mrl_lsq_data read_sizes(SEXP moments)
{
  mrl_lsq_data out = {0};
  out.n = (size_t)glue_item_dbl(moments, "n");
  out.n_exog = (size_t)glue_item_int(moments, "kw");
  out.n_inst = (size_t)glue_item_int(moments, "l");
  out.n_endog = (size_t)glue_item_int(moments, "kx");
  out.intercept = 1;
  return out;
}

/* vcov counts mrl_vcov_type from 0. */
static mrl_iv_settings read_settings(SEXP data, SEXP settings, size_t n)
{
  mrl_iv_settings out = {0};
  const int vcov = glue_item_int(settings, "vcov");
  if (vcov < 0 || vcov >= MRL_N_VCOV) {
    Rf_error("internal error: unknown `vcov`");
  }
  out.vcov = (mrl_vcov_type)vcov;
  out.isa = glue_item_isa(settings);
  if (out.vcov == MRL_VCOV_CLUSTER) {
    out.cluster = glue_int(glue_item(data, "cluster"), (R_xlen_t)n, "cluster");
    out.n_cluster = (size_t)glue_item_int(settings, "n_cluster");
  }
  return out;
}

/* settings$moments: NULL, or what stands for the data then. */
SEXP C_iv_kclass(SEXP data, SEXP settings)
{
  static const char *const names[] = {"coef",        "vcov",      "residuals",  "between",
                                      "within",      "kappa",     "kappa_liml", "sigma2",
                                      "df_residual", "df_within", "n_inst"};
  SEXP moments = glue_item(settings, "moments");
  const int rows = Rf_isNull(moments);
  const mrl_lsq_data columns = rows ? read_data(data, settings) : read_sizes(moments);
  const mrl_ctx ctx = glue_ctx(glue_item_int(settings, "n_threads"));
  mrl_kclass_settings how = {read_settings(data, settings, columns.n),
                             glue_item_lgl(settings, "bekker"), glue_item_lgl(settings, "liml"),
                             glue_item_dbl(settings, "k"), glue_item_dbl(settings, "fuller")};
  const size_t k = (columns.intercept ? 1 : 0) + columns.n_exog + columns.n_endog;
  const size_t m = columns.n_endog + 1;
  how.iv.moments = glue_moments(moments, columns.n_exog + columns.n_inst + m, columns.n);
  SEXP value = PROTECT(glue_list(names, 11));
  mrl_kclass_fit fit = {0};
  fit.coef = glue_list_dbl(value, 0, (R_xlen_t)k);
  fit.vcov = glue_list_matrix(value, 1, k, k);
  fit.residuals = rows ? glue_list_dbl(value, 2, (R_xlen_t)columns.n) : NULL;
  fit.between = glue_list_matrix(value, 3, m, m);
  fit.within = glue_list_matrix(value, 4, m, m);
  const size_t size = mrl_kclass_scratch(&columns, &how, &ctx);
  const mrl_status status =
      size == 0 ? MRL_NO_MEMORY
                : mrl_kclass_run(&fit, &columns, &how, glue_scratch(size), size, &ctx);
  const double single[] = {fit.kappa,       fit.kappa_liml, fit.sigma2,
                           fit.df_residual, fit.df_within,  fit.n_inst};
  for (int i = 0; i < 6; i++) {
    glue_list_dbl(value, 5 + i, 1)[0] = single[i];
  }
  SEXP out = glue_result(status, value);
  UNPROTECT(1);
  return out;
}

/* The jackknife predictions (n, exposures); settings$type counts mrl_jive_type from 0. */
SEXP C_iv_jive(SEXP data, SEXP settings)
{
  const mrl_lsq_data columns = read_data(data, settings);
  const mrl_ctx ctx = glue_ctx(glue_item_int(settings, "n_threads"));
  const int type = glue_item_int(settings, "type");
  if (type < 0 || type >= MRL_N_JIVE) {
    Rf_error("internal error: unknown `type`");
  }
  SEXP value = PROTECT(Rf_allocMatrix(REALSXP, (int)columns.n, (int)columns.n_endog));
  const size_t size = mrl_jive_scratch(&columns, &ctx);
  const mrl_status status =
      size == 0 ? MRL_NO_MEMORY
                : mrl_jive_run(REAL(value), &columns, (mrl_jive_type)type, glue_item_isa(settings),
                               glue_scratch(size), size, &ctx);
  SEXP out = glue_result(status, value);
  UNPROTECT(1);
  return out;
}

static double f_quantile(double df1, double df2, void *data)
{
  return Rf_qf(*(const double *)data, df1, df2, 1, 0);
}

/* Statistics at each beta, degrees of freedom, and the set's rows (low, high). */
SEXP C_iv_ar(SEXP data, SEXP beta, SEXP settings)
{
  static const char *const names[] = {"statistic", "df", "low", "high"};
  const mrl_lsq_data columns = read_data(data, settings);
  const mrl_ctx ctx = glue_ctx(glue_item_int(settings, "n_threads"));
  const mrl_iv_settings how = read_settings(data, settings, columns.n);
  double level = glue_item_dbl(settings, "conf_level");
  const size_t n_beta = (size_t)XLENGTH(beta);
  SEXP value = PROTECT(glue_list(names, 4));
  mrl_ar_fit *fit = (mrl_ar_fit *)glue_scratch(sizeof *fit);
  memset(fit, 0, sizeof *fit);
  fit->statistic = glue_list_dbl(value, 0, (R_xlen_t)n_beta);
  double *df = glue_list_dbl(value, 1, 2);
  const size_t size = mrl_ar_scratch(&columns, &how, &ctx);
  const mrl_status status =
      size == 0 ? MRL_NO_MEMORY
                : mrl_ar_run(fit, &columns, &how, glue_dbl(beta, -1, "beta"), n_beta, f_quantile,
                             &level, glue_scratch(size), size, &ctx);
  df[0] = fit->df1;
  df[1] = fit->df2;
  double *low = glue_list_dbl(value, 2, (R_xlen_t)fit->n_set);
  double *high = glue_list_dbl(value, 3, (R_xlen_t)fit->n_set);
  if (fit->n_set > 0) {
    memcpy(low, fit->low, fit->n_set * sizeof *low);
    memcpy(high, fit->high, fit->n_set * sizeof *high);
  }
  SEXP out = glue_result(status, value);
  UNPROTECT(1);
  return out;
}
