/* Simulators. */
#include "glue.h"

#include "../core/sim_contextual.h"
#include "../core/sim_demand.h"
#include "../core/sim_nonlinear.h"
#include "../core/sim_summary.h"

/* A list of `count` vectors of n doubles in slot i, and their addresses. */
static double **list_columns(SEXP list, int i, size_t count, R_xlen_t n)
{
  SEXP columns = Rf_allocVector(VECSXP, (R_xlen_t)count);
  SET_VECTOR_ELT(list, i, columns);
  double **at = glue_scratch(count * sizeof *at);
  for (size_t j = 0; j < count; j++) {
    SEXP column = Rf_allocVector(REALSXP, n);
    SET_VECTOR_ELT(columns, (R_xlen_t)j, column);
    at[j] = REAL(column);
  }
  return at;
}

SEXP C_sim_contextual(SEXP settings)
{
  static const char *const names[] = {"x", "rest", "context", "genotype", "context_std", "u",
                                      "v", "e",    "maf",     "pi",       "alpha",       "linkage"};
  const mrl_sim_contextual_settings s = {
      .n = (size_t)glue_item_int(settings, "n"),
      .n_snp = (size_t)glue_item_int(settings, "n_snp"),
      .seed = glue_item_seed(settings),
      .maf_low = glue_item_dbl(settings, "maf_low"),
      .maf_high = glue_item_dbl(settings, "maf_high"),
      .pi_sd = glue_item_dbl(settings, "pi_sd"),
      .alpha_mean = glue_item_dbl(settings, "alpha_mean"),
      .alpha_sd = glue_item_dbl(settings, "alpha_sd"),
      .confounding = glue_item_dbl(settings, "confounding"),
      .linkage = glue_item_dbl(settings, "linkage"),
      .use_context = glue_item_lgl(settings, "use_context"),
      .gamma = glue_dbl(glue_item(settings, "gamma"), MRL_N_CONTEXT, "gamma"),
      .zeta = glue_dbl(glue_item(settings, "zeta"), MRL_N_CONTEXT, "zeta"),
  };
  const mrl_ctx ctx = glue_ctx(glue_item_int(settings, "n_threads"));
  const R_xlen_t n = (R_xlen_t)s.n, n_snp = (R_xlen_t)s.n_snp;
  SEXP value = PROTECT(glue_list(names, 12));
  mrl_sim_contextual out;
  out.x = glue_list_dbl(value, 0, n);
  out.rest = glue_list_dbl(value, 1, n);
  out.context = list_columns(value, 2, MRL_N_CONTEXT, n);
  out.genotype = list_columns(value, 3, s.n_snp, n);
  out.context_std = glue_list_matrix(value, 4, s.n, MRL_N_CONTEXT);
  out.u = glue_list_dbl(value, 5, n);
  out.v = glue_list_dbl(value, 6, n);
  out.e = glue_list_dbl(value, 7, n);
  out.maf = glue_list_dbl(value, 8, n_snp);
  out.pi = glue_list_dbl(value, 9, n_snp);
  out.alpha = glue_list_dbl(value, 10, n_snp);
  out.linkage = glue_list_dbl(value, 11, n_snp - 1);
  const mrl_status status = mrl_sim_contextual_run(&out, &s, &ctx);
  SEXP result = glue_result(status, value);
  UNPROTECT(1);
  return result;
}

SEXP C_sim_summary(SEXP settings)
{
  static const char *const names[] = {"bx", "sx", "by", "sy", "maf", "gamma", "alpha", "valid"};
  const mrl_sim_summary_settings s = {
      .n_pair = (size_t)glue_item_int(settings, "n_pair"),
      .n_snp = (size_t)glue_item_int(settings, "n_snp"),
      .seed = glue_item_seed(settings),
      .theta = glue_item_dbl(settings, "theta"),
      .n_exposure = glue_item_dbl(settings, "n_exposure"),
      .n_outcome = glue_item_dbl(settings, "n_outcome"),
      .maf_low = glue_item_dbl(settings, "maf_low"),
      .maf_high = glue_item_dbl(settings, "maf_high"),
      .effect_sd = glue_item_dbl(settings, "effect_sd"),
      .invalid = glue_item_dbl(settings, "invalid"),
      .pleiotropy_mean = glue_item_dbl(settings, "pleiotropy_mean"),
      .pleiotropy_sd = glue_item_dbl(settings, "pleiotropy_sd"),
      .through_confounder = glue_item_dbl(settings, "through_confounder"),
      .rho = glue_item_dbl(settings, "rho"),
      .z_threshold = glue_item_dbl(settings, "z_threshold"),
      .winners_curse = glue_item_lgl(settings, "winners_curse"),
  };
  const mrl_ctx ctx = glue_ctx(glue_item_int(settings, "n_threads"));
  const R_xlen_t n = (R_xlen_t)(s.n_pair * s.n_snp);
  SEXP value = PROTECT(glue_list(names, 8));
  mrl_sim_summary out;
  double **const slots[] = {&out.bx, &out.sx, &out.by, &out.sy, &out.maf, &out.gamma, &out.alpha};
  for (int i = 0; i < 7; i++) {
    *slots[i] = glue_list_dbl(value, i, n);
  }
  out.valid = glue_list_int(value, 7, n);
  const mrl_status status = mrl_sim_summary_run(&out, &s, &ctx);
  SEXP result = glue_result(status, value);
  UNPROTECT(1);
  return result;
}

static mrl_sim_nonlinear_settings read_nonlinear(SEXP settings)
{
  const mrl_sim_nonlinear_settings s = {
      .n = (size_t)glue_item_int(settings, "n"),
      .n_snp = (size_t)glue_item_int(settings, "n_snp"),
      .seed = glue_item_seed(settings),
      .maf_low = glue_item_dbl(settings, "maf_low"),
      .maf_high = glue_item_dbl(settings, "maf_high"),
      .h2 = glue_item_dbl(settings, "h2"),
      .beta_ux = glue_item_dbl(settings, "beta_ux"),
      .beta_uy = glue_item_dbl(settings, "beta_uy"),
  };
  return s;
}

static SEXP run_nonlinear(SEXP settings, int with_modifier)
{
  static const char *const names[] = {"x", "rest", "genotype", "u",      "v",
                                      "e", "maf",  "share",    "effect", "modifier"};
  const mrl_sim_nonlinear_settings s = read_nonlinear(settings);
  const mrl_ctx ctx = glue_ctx(glue_item_int(settings, "n_threads"));
  const R_xlen_t n = (R_xlen_t)s.n, n_snp = (R_xlen_t)s.n_snp;
  SEXP value = PROTECT(glue_list(names, 10));
  mrl_sim_nonlinear out;
  out.x = glue_list_dbl(value, 0, n);
  out.rest = glue_list_dbl(value, 1, n);
  out.genotype = list_columns(value, 2, s.n_snp, n);
  out.u = glue_list_dbl(value, 3, n);
  out.v = glue_list_dbl(value, 4, n);
  out.e = glue_list_dbl(value, 5, n);
  out.maf = glue_list_dbl(value, 6, n_snp);
  out.share = glue_list_dbl(value, 7, n_snp);
  out.effect = glue_list_dbl(value, 8, n_snp);
  out.modifier = with_modifier ? glue_list_dbl(value, 9, n) : NULL;
  const mrl_status status = mrl_sim_nonlinear_run(&out, &s, &ctx);
  SEXP result = glue_result(status, value);
  UNPROTECT(1);
  return result;
}

SEXP C_sim_nonlinear(SEXP settings)
{
  return run_nonlinear(settings, 0);
}

SEXP C_sim_effect_modifier(SEXP settings)
{
  return run_nonlinear(settings, 1);
}

SEXP C_sim_demand(SEXP settings)
{
  static const char *const names[] = {"y", "price", "time", "type", "cost", "v", "e", "slope"};
  const mrl_sim_demand_settings s = {
      .n = (size_t)glue_item_int(settings, "n"),
      .seed = glue_item_seed(settings),
      .rho = glue_item_dbl(settings, "rho"),
  };
  const mrl_ctx ctx = glue_ctx(glue_item_int(settings, "n_threads"));
  SEXP value = PROTECT(glue_list(names, 8));
  mrl_sim_demand out;
  double **const slots[] = {&out.y,    &out.price, &out.time, &out.type,
                            &out.cost, &out.v,     &out.e,    &out.slope};
  for (int i = 0; i < 8; i++) {
    *slots[i] = glue_list_dbl(value, i, (R_xlen_t)s.n);
  }
  const mrl_status status = mrl_sim_demand_run(&out, &s, &ctx);
  SEXP result = glue_result(status, value);
  UNPROTECT(1);
  return result;
}
