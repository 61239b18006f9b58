/* Simulators of nonlinear effects of an exposure with one instrument. */
#include "glue.h"

#include "../core/sim_burgess.h"
#include "../core/sim_tian.h"

SEXP C_sim_burgess(SEXP settings)
{
  static const char *const names[] = {"y", "x", "slope", "g", "u", "v", "e"};
  const mrl_sim_burgess_settings s = {
      .n = (size_t)glue_item_int(settings, "n"),
      .seed = glue_item_seed(settings),
      .maf = glue_item_dbl(settings, "maf"),
      .shape = (mrl_burgess_shape)glue_item_int(settings, "shape"),
      .logistic = glue_item_lgl(settings, "logistic"),
      .binary = glue_item_lgl(settings, "binary"),
      .cutoff = glue_item_dbl(settings, "cutoff"),
  };
  const mrl_ctx ctx = glue_ctx(glue_item_int(settings, "n_threads"));
  SEXP value = PROTECT(glue_list(names, 7));
  mrl_sim_burgess out;
  double **const slots[] = {&out.y, &out.x, &out.slope, &out.g, &out.u, &out.v, &out.e};
  for (int i = 0; i < 7; i++) {
    *slots[i] = glue_list_dbl(value, i, (R_xlen_t)s.n);
  }
  const mrl_status status = mrl_sim_burgess_run(&out, &s, &ctx);
  SEXP result = glue_result(status, value);
  UNPROTECT(1);
  return result;
}

SEXP C_sim_tian(SEXP settings)
{
  static const char *const names[] = {"y", "x", "slope", "z", "u1", "u2", "u3", "exact"};
  const mrl_sim_tian_settings s = {
      .n = (size_t)glue_item_int(settings, "n"),
      .seed = glue_item_seed(settings),
      .scenario = (mrl_tian_scenario)glue_item_int(settings, "scenario"),
      .outcome = glue_item_int(settings, "outcome"),
      .logistic = glue_item_lgl(settings, "logistic"),
      .binary = glue_item_lgl(settings, "binary"),
      .cutoff = glue_item_dbl(settings, "cutoff"),
  };
  const mrl_ctx ctx = glue_ctx(glue_item_int(settings, "n_threads"));
  const R_xlen_t n = (R_xlen_t)s.n;
  SEXP value = PROTECT(glue_list(names, 8));
  mrl_sim_tian out;
  double **const slots[] = {&out.y, &out.x, &out.slope, &out.z, &out.u1, &out.u2, &out.u3};
  for (int i = 0; i < 7; i++) {
    *slots[i] = glue_list_dbl(value, i, n);
  }
  out.exact = s.scenario == MRL_TIAN_D ? glue_list_dbl(value, 7, n) : NULL;
  const mrl_status status = mrl_sim_tian_run(&out, &s, &ctx);
  SEXP result = glue_result(status, value);
  UNPROTECT(1);
  return result;
}
