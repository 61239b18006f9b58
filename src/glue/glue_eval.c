/* Evaluation of estimates against the truth. */
#include "glue.h"

#include "../core/eval.h"

/* limits: list(low, high, band_low, band_high), each n doubles or NULL. */
SEXP C_eval_curve(SEXP x, SEXP estimate, SEXP truth, SEXP limits, SEXP quantiles, SEXP settings)
{
  static const char *const names[] = {
      "mse",   "bias",           "coverage",         "inside",
      "width", "interval_score", "derivative_error", "calibration_error"};
  const R_xlen_t n = XLENGTH(estimate);
  SEXP level = glue_item(settings, "levels");
  const mrl_eval_curve curve = {
      .n = (size_t)n,
      .estimate = glue_dbl(estimate, n, "estimate"),
      .truth = glue_dbl(truth, n, "truth"),
      .x = glue_dbl_or_null(x, n, "x"),
      .low = glue_dbl_or_null(glue_item(limits, "low"), n, "low"),
      .high = glue_dbl_or_null(glue_item(limits, "high"), n, "high"),
      .band_low = glue_dbl_or_null(glue_item(limits, "band_low"), n, "band_low"),
      .band_high = glue_dbl_or_null(glue_item(limits, "band_high"), n, "band_high"),
      .alpha = glue_item_dbl(settings, "alpha"),
      .quantile = glue_dbl_or_null(quantiles, n * Rf_xlength(level), "quantiles"),
      .level = glue_dbl_or_null(level, -1, "levels"),
      .n_level = (size_t)Rf_xlength(level),
  };
  const mrl_ctx ctx = glue_ctx(1);
  mrl_eval_result out;
  const mrl_status status = mrl_eval_curve_run(&out, &curve, &ctx);
  const double values[] = {
      out.mse,   out.bias,           out.coverage,         (double)out.inside,
      out.width, out.interval_score, out.derivative_error, out.calibration_error};
  SEXP value = PROTECT(glue_list(names, 8));
  for (int i = 0; i < 8; i++) {
    *glue_list_dbl(value, i, 1) = values[i];
  }
  SEXP result = glue_result(status, value);
  UNPROTECT(1);
  return result;
}
