/* Instruments in several environments: latents and traits; mixing of latents. */
#include "glue.h"

#include "../core/sim_environment.h"

static mrl_sim_environment_settings read_settings(SEXP settings)
{
  SEXP n = glue_item(settings, "n");
  const R_xlen_t n_env = XLENGTH(n);
  const int v = glue_item_int(settings, "dim_v"), w = glue_item_int(settings, "dim_w"),
            h = glue_item_int(settings, "dim_h");
  const mrl_sim_environment_settings s = {
      .n = glue_int(n, n_env, "n"),
      .n_env = (size_t)n_env,
      .seed = glue_item_seed(settings),
      .dim_v = (size_t)v,
      .dim_w = (size_t)w,
      .dim_h = (size_t)h,
      .shift = glue_dbl(glue_item(settings, "shift"), n_env, "shift"),
      .eta = glue_dbl(glue_item(settings, "eta"), (R_xlen_t)h * v * n_env, "eta"),
      .root_v = glue_dbl(glue_item(settings, "root_v"), (R_xlen_t)v * v, "root_v"),
      .root_w = glue_dbl(glue_item(settings, "root_w"), (R_xlen_t)w * w, "root_w"),
      .beta_v = glue_dbl(glue_item(settings, "beta_v"), v, "beta_v"),
      .beta_w = glue_dbl(glue_item(settings, "beta_w"), w, "beta_w"),
      .alpha_x = glue_dbl(glue_item(settings, "alpha_x"), h, "alpha_x"),
      .alpha_y = glue_dbl(glue_item(settings, "alpha_y"), h, "alpha_y"),
      .theta = glue_item_dbl(settings, "theta"),
      .law = (mrl_latent_law)glue_item_int(settings, "law"),
  };
  return s;
}

SEXP C_sim_environment(SEXP settings)
{
  static const char *const names[] = {"y", "x", "noise_x", "noise_y", "v", "w", "h"};
  const mrl_sim_environment_settings s = read_settings(settings);
  const mrl_ctx ctx = glue_ctx(glue_item_int(settings, "n_threads"));
  size_t n = 0;
  for (size_t e = 0; e < s.n_env; e++) {
    n += (size_t)s.n[e];
  }
  SEXP value = PROTECT(glue_list(names, 7));
  mrl_sim_environment out;
  out.y = glue_list_dbl(value, 0, (R_xlen_t)n);
  out.x = glue_list_dbl(value, 1, (R_xlen_t)n);
  out.noise_x = glue_list_dbl(value, 2, (R_xlen_t)n);
  out.noise_y = glue_list_dbl(value, 3, (R_xlen_t)n);
  out.v = glue_list_matrix(value, 4, n, s.dim_v);
  out.w = glue_list_matrix(value, 5, n, s.dim_w);
  out.h = glue_list_matrix(value, 6, n, s.dim_h);
  const mrl_status status = mrl_sim_environment_run(&out, &s, &ctx);
  SEXP result = glue_result(status, value);
  UNPROTECT(1);
  return result;
}

/* Matrices (or NULL) of a list; NULL where an item is. */
static const double **list_pointers(SEXP list, size_t count, const char *name)
{
  const double **at = glue_scratch(count * sizeof *at);
  for (size_t i = 0; i < count; i++) {
    at[i] = glue_dbl_or_null(VECTOR_ELT(list, (R_xlen_t)i), -1, name);
  }
  return at;
}

/* latent (n, d) -> Z. settings$weights, bias: lists with an item for each layer. */
SEXP C_sim_mix(SEXP latent, SEXP settings)
{
  SEXP width = glue_item(settings, "width");
  const size_t n_layer = (size_t)XLENGTH(width);
  const mrl_mixing mixing = {
      .degree = glue_item_int(settings, "degree"),
      .n_layer = n_layer,
      .width = glue_int(width, (R_xlen_t)n_layer, "width"),
      .weights = list_pointers(glue_item(settings, "weights"), n_layer, "weights"),
      .bias = list_pointers(glue_item(settings, "bias"), n_layer, "bias"),
      .slope = glue_item_dbl(settings, "slope"),
      .ternary = glue_item_lgl(settings, "ternary"),
      .noise = glue_item_dbl(settings, "noise"),
      .seed = glue_item_seed(settings),
  };
  const mrl_ctx ctx = glue_ctx(glue_item_int(settings, "n_threads"));
  const R_xlen_t n = Rf_nrows(latent);
  const size_t d = glue_ncol(latent, n, "latent"), p = mrl_mix_width(d, &mixing);
  SEXP z = PROTECT(Rf_allocMatrix(REALSXP, (int)n, (int)p));
  const mrl_status status =
      mrl_mix(REAL(z), glue_dbl(latent, -1, "latent"), (size_t)n, d, &mixing, &ctx);
  SEXP result = glue_result(status, z);
  UNPROTECT(1);
  return result;
}
