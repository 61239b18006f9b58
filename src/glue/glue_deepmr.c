/* Mendelian randomization on effects of mutations. */
#include "glue_mr.h"

#include "../core/deepmr.h"

/* Rows from 0, all below n_row. */
static const int *read_rows(SEXP rows, R_xlen_t n, size_t n_row, const char *name)
{
  const int *out = glue_int(rows, n, name);
  for (R_xlen_t i = 0; i < n; i++) {
    if (out[i] < 0 || (size_t)out[i] >= n_row) {
      Rf_error("internal error: `%s` is beyond the effects", name);
    }
  }
  return out;
}

static mrl_deepmr_pick read_pick(SEXP settings)
{
  const int rule = glue_item_int(settings, "rule");
  const int least = glue_item_int(settings, "least");
  if (rule < 0 || rule >= MRL_DEEPMR_N_RULE || least < 1) {
    Rf_error("internal error: `rule` %d, `least` %d", rule, least);
  }
  const mrl_deepmr_pick out = {.rule = (mrl_deepmr_rule)rule,
                               .threshold = glue_item_dbl(settings, "threshold"),
                               .least = (size_t)least};
  return out;
}

/* at: list(x, y, start). Value: list(table, shift, instrument, centre, spread). */
SEXP C_deepmr_slopes(SEXP effect, SEXP se, SEXP members, SEXP at, SEXP settings)
{
  static const char *const names[] = {"table", "shift", "instrument", "centre", "spread"};
  const R_xlen_t n_row = XLENGTH(effect);
  const R_xlen_t n_variant = XLENGTH(glue_item(at, "x"));
  SEXP start = glue_item(at, "start");
  const mrl_deepmr_effects effects = {
      .effect = glue_dbl(effect, n_row, "effect"),
      .se = glue_dbl_or_null(se, n_row, "se"),
      .n_member = glue_ncol(members, n_row, "members"),
      .member = Rf_isNull(members) ? NULL : glue_dbl(members, -1, "members"),
      .n_row = (size_t)n_row,
      .x = read_rows(glue_item(at, "x"), n_variant, (size_t)n_row, "x"),
      .y = read_rows(glue_item(at, "y"), n_variant, (size_t)n_row, "y"),
      .start = glue_mr_start(start, n_variant),
      .n_seq = (size_t)XLENGTH(start) - 1};
  mrl_deepmr_pick pick = read_pick(settings);
  const mrl_ctx ctx = glue_ctx(glue_item_int(settings, "n_threads"));
  SEXP value = PROTECT(glue_list(names, 5));
  double *table = glue_list_matrix(value, 0, effects.n_seq, MRL_DEEPMR_N_COLUMN);
  double *shift = glue_list_matrix(value, 1, effects.n_member, effects.n_seq);
  int *instrument = glue_list_int(value, 2, n_variant);
  mrl_status status = mrl_deepmr_spread(&pick.centre, &pick.spread, &effects, &ctx);
  if (status == MRL_OK) {
    status = mrl_deepmr_slopes(table, shift, instrument, &effects, &pick, &ctx);
  }
  *glue_list_dbl(value, 3, 1) = pick.centre;
  *glue_list_dbl(value, 4, 1) = pick.spread;
  SEXP out = glue_result(status, value);
  UNPROTECT(1);
  return out;
}

/* at (n, 2), level and e (n_null, 2): matrices. Value: covariances (n, 3). */
SEXP C_deepmr_noise(SEXP at, SEXP level, SEXP e, SEXP settings)
{
  const R_xlen_t n = XLENGTH(at) / 2, n_null = XLENGTH(level) / 2;
  const double *pat = glue_dbl(at, 2 * n, "at"), *plevel = glue_dbl(level, 2 * n_null, "level");
  const double *pe = glue_dbl(e, 2 * n_null, "e");
  const mrl_ctx ctx = glue_ctx(1);
  SEXP cov = PROTECT(Rf_allocMatrix(REALSXP, (int)n, 3));
  double *work = glue_scratch(mrl_deepmr_noise_work((size_t)n_null) * sizeof *work);
  const mrl_status status =
      mrl_deepmr_noise(REAL(cov), pat, (size_t)n, plevel, pe, (size_t)n_null,
                       (size_t)glue_item_int(settings, "nearest"), work, &ctx);
  SEXP out = glue_result(status, cov);
  UNPROTECT(1);
  return out;
}

static void copy_grid(SEXP list, int i, const double *from)
{
  double *to = glue_list_dbl(list, i, MRL_DEEPMR_N_GRID);
  for (int g = 0; g < MRL_DEEPMR_N_GRID; g++) {
    to[g] = from[g];
  }
}

/* errors: list(z, v0, h, x), to_come: list(h, x); x: matrices with a row for each, of as many
 * columns. Value: list(t, weight, reach), reach (n, centre, variance and reach). */
SEXP C_deepmr_reach(SEXP errors, SEXP to_come, SEXP settings)
{
  static const char *const names[] = {"t", "weight", "reach"};
  const R_xlen_t n = XLENGTH(glue_item(errors, "z")), n_new = XLENGTH(glue_item(to_come, "h"));
  const size_t p = glue_ncol(glue_item(errors, "x"), n, "x");
  const mrl_deepmr_errors known = {.z = glue_dbl(glue_item(errors, "z"), n, "z"),
                                   .v0 = glue_dbl(glue_item(errors, "v0"), n, "v0"),
                                   .h = glue_dbl(glue_item(errors, "h"), n, "h"),
                                   .x = glue_dbl(glue_item(errors, "x"), -1, "x"),
                                   .n = (size_t)n,
                                   .n_covariate = p};
  const double *h = glue_dbl(glue_item(to_come, "h"), n_new, "h");
  const double *x = glue_dbl(glue_item(to_come, "x"), n_new * (R_xlen_t)p, "x");
  const double level = glue_item_dbl(settings, "level");
  const mrl_deepmr_prior prior = {.unit = glue_item_dbl(settings, "unit"),
                                  .df = glue_item_dbl(settings, "df"),
                                  .psi0 = glue_item_dbl(settings, "psi0")};
  const mrl_ctx ctx = glue_ctx(glue_item_int(settings, "n_threads"));
  SEXP value = PROTECT(glue_list(names, 3));
  double *reach = glue_list_matrix(value, 2, (size_t)n_new, MRL_DEEPMR_N_REACH);
  mrl_deepmr_law law = {.n_covariate = 0};
  mrl_status status = mrl_deepmr_learn(&law, &known, &prior);
  if (status == MRL_OK) {
    status = mrl_deepmr_reach(reach, h, x, (size_t)n_new, &law, level, &ctx);
  }
  copy_grid(value, 0, law.t);
  copy_grid(value, 1, law.weight);
  SEXP out = glue_result(status, value);
  UNPROTECT(1);
  return out;
}
