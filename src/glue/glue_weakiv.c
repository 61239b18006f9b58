/* Tests and confidence sets of one exposure's effect from moments, errors of equal variance. */
#include "glue.h"

#include "../core/weakiv.h"

#include <string.h>

/* settings: between, within (2, 2), n_inst, df_within, type (mrl_weak_type from 0). */
static mrl_status read_form(mrl_weak_form *form, mrl_weak_type *type, SEXP settings)
{
  const int code = glue_item_int(settings, "type");
  if (code < 0 || code >= MRL_N_WEAK) {
    Rf_error("internal error: unknown `type`");
  }
  *type = (mrl_weak_type)code;
  return mrl_weak_prepare(form, glue_dbl(glue_item(settings, "between"), 4, "between"),
                          glue_dbl(glue_item(settings, "within"), 4, "within"),
                          glue_item_dbl(settings, "n_inst"), glue_item_dbl(settings, "df_within"));
}

/* Statistics at each beta, and for the CLR its p-values (NaN for the others). */
SEXP C_weak_test(SEXP beta, SEXP settings)
{
  static const char *const names[] = {"statistic", "p_value"};
  const R_xlen_t n = XLENGTH(beta);
  const double *at = glue_dbl(beta, n, "beta");
  SEXP value = PROTECT(glue_list(names, 2));
  double *statistic = glue_list_dbl(value, 0, n), *p = glue_list_dbl(value, 1, n);
  mrl_weak_form form = {0};
  mrl_weak_type type;
  const mrl_status status = read_form(&form, &type, settings);
  for (R_xlen_t i = 0; i < n; i++) {
    const double w = status == MRL_OK ? mrl_weak_sine(&form, at[i]) : NA_REAL;
    statistic[i] = mrl_weak_statistic(&form, type, w);
    p[i] = type == MRL_WEAK_CLR ? mrl_clr_p(statistic[i], form.lambda[1] - statistic[i], form.l)
                                : NA_REAL;
  }
  SEXP out = glue_result(status, value);
  UNPROTECT(1);
  return out;
}

/* The set: low and high of each interval. settings$critical: see mrl_weak_set(). */
SEXP C_weak_set(SEXP settings)
{
  static const char *const names[] = {"low", "high"};
  double low[MRL_WEAK_MAX], high[MRL_WEAK_MAX];
  SEXP value = PROTECT(glue_list(names, 2));
  mrl_weak_form form = {0};
  mrl_weak_type type;
  const mrl_status status = read_form(&form, &type, settings);
  const size_t n = status == MRL_OK
                       ? mrl_weak_set(low, high, &form, type, glue_item_dbl(settings, "critical"))
                       : 0;
  double *out_low = glue_list_dbl(value, 0, (R_xlen_t)n);
  double *out_high = glue_list_dbl(value, 1, (R_xlen_t)n);
  if (n > 0) {
    memcpy(out_low, low, n * sizeof *low);
    memcpy(out_high, high, n * sizeof *high);
  }
  SEXP out = glue_result(status, value);
  UNPROTECT(1);
  return out;
}
