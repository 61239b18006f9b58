/* Neural IV: bootstrap replicates. */
#include "glue_neural.h"

#include "../core/iv_boot.h"

/* The fitted first stages: weights to start from, and which location. */
static const mrl_first_fit *read_firsts(SEXP list, const mrl_ivn_nets *nets,
                                        const mrl_ivn_settings *how)
{
  const int has = how->first.kind != MRL_FIRST_RIDGE;
  const size_t n_params = has ? nets->first.net.n_params : 0;
  const size_t n_statistics = has ? nets->first.net.n_statistics : 0;
  mrl_first_fit *first = glue_scratch(how->cross_fit * sizeof *first);
  if (TYPEOF(list) != VECSXP || XLENGTH(list) != (R_xlen_t)how->cross_fit) {
    Rf_error("internal error: `first` does not have a stage for each fold");
  }
  for (size_t k = 0; k < how->cross_fit; k++) {
    SEXP stage = VECTOR_ELT(list, (R_xlen_t)k);
    const double *params = glue_dbl(glue_item(stage, "params"), (R_xlen_t)n_params, "params");
    const double *statistics =
        glue_dbl(glue_item(stage, "statistics"), (R_xlen_t)n_statistics, "statistics");
    const mrl_first_fit fit = {.params = glue_nn_read(params, n_params),
                               .statistics = glue_nn_read(statistics, n_statistics),
                               .rho = glue_item_dbl(stage, "rho")};
    first[k] = fit;
  }
  return first;
}

static mrl_boot_fit read_fit(SEXP fit, const mrl_ivn_nets *nets, const mrl_ivn_settings *how,
                             const mrl_iv_sample *one)
{
  SEXP second = glue_item(fit, "second");
  const mrl_net *net = &nets->second;
  const double *params = glue_dbl(glue_item(second, "params"), (R_xlen_t)net->n_params, "params");
  const double *statistics =
      glue_dbl(glue_item(second, "statistics"), (R_xlen_t)net->n_statistics, "statistics");
  mrl_boot_fit out = {.first = read_firsts(glue_item(fit, "first"), nets, how),
                      .params = glue_nn_read(params, net->n_params),
                      .statistics = glue_nn_read(statistics, net->n_statistics)};
  out.scale = glue_dbl(glue_item(fit, "scale"), 2 * (R_xlen_t)(one->n_z + one->n_w + 2), "scale");
  out.fold = glue_int(glue_item(fit, "fold"), (R_xlen_t)one->n, "fold");
  if (how->refit) {
    const R_xlen_t terms = (R_xlen_t)mrl_basis_terms(&nets->basis);
    out.theta = glue_dbl(glue_item(second, "theta"), terms, "theta");
    out.choice.order = glue_item_int(second, "order");
    out.choice.lambda = glue_item_dbl(second, "lambda");
    out.choice.rho = glue_item_dbl(second, "rho");
  }
  return out;
}

static mrl_status make_boot(mrl_boot *boot, const mrl_ivn_nets *nets, const glue_iv_data *data,
                            const mrl_ivn_settings *how, size_t count, const mrl_ctx *ctx)
{
  const mrl_iv_sample *two = data->single ? NULL : &data->two;
  mrl_arena arena = mrl_arena_measure();
  MRL_TRY(mrl_boot_carve(boot, &arena, nets, &data->one, two, how, count, ctx));
  arena = mrl_arena_over(glue_scratch(arena.used), arena.used);
  return mrl_boot_carve(boot, &arena, nets, &data->one, two, how, count, ctx);
}

/* Memory of the replicates' numbers: theta in R's, weights in scratch until they are doubles. */
static mrl_boot_out *make_outs(double *theta, size_t terms, const mrl_net *net, size_t count)
{
  mrl_boot_out *out = glue_scratch(count * sizeof *out);
  for (size_t r = 0; r < count; r++) {
    const mrl_boot_out one = {.params = glue_scratch(net->n_params * sizeof(mrl_real)),
                              .statistics = glue_scratch(net->n_statistics * sizeof(mrl_real)),
                              .theta = theta ? theta + r * terms : NULL};
    out[r] = one;
  }
  return out;
}

SEXP C_iv_neural_boot(SEXP data, SEXP settings, SEXP fit, SEXP from, SEXP count)
{
  static const char *const names[] = {"params", "statistics", "theta", "status"};
  const glue_iv_data in = glue_neural_data(data);
  const mrl_ivn_settings how = glue_neural_settings(settings);
  const mrl_ctx ctx = glue_ctx(glue_item_int(settings, "n_threads"));
  const int first = glue_int(from, 1, "from")[0], n = glue_int(count, 1, "count")[0];
  mrl_ivn_nets *nets = glue_scratch(sizeof *nets);
  mrl_boot *boot = glue_scratch(sizeof *boot);
  mrl_status status = glue_neural_nets(nets, &how, in.one.n_z, in.one.n_w);
  if (status == MRL_OK) {
    status = make_boot(boot, nets, &in, &how, (size_t)n, &ctx);
  }
  if (status != MRL_OK) {
    return glue_result(status, R_NilValue);
  }
  const mrl_boot_fit start = read_fit(fit, nets, &how, &in.one);
  const mrl_net *net = &nets->second;
  const size_t terms = mrl_basis_terms(&nets->basis);
  SEXP value = PROTECT(glue_list(names, 4));
  double *params = glue_list_matrix(value, 0, net->n_params, (size_t)n);
  double *statistics = glue_list_matrix(value, 1, net->n_statistics, (size_t)n);
  double *theta = how.refit ? glue_list_matrix(value, 2, terms, (size_t)n) : NULL;
  int *stage = glue_list_int(value, 3, n);
  mrl_boot_out *out = make_outs(theta, terms, net, (size_t)n);
  status = mrl_boot_run(out, boot, &start, (size_t)first, (size_t)n, &ctx);
  for (size_t r = 0; status == MRL_OK && r < (size_t)n; r++) {
    glue_nn_write(params + r * net->n_params, out[r].params, net->n_params);
    glue_nn_write(statistics + r * net->n_statistics, out[r].statistics, net->n_statistics);
    stage[r] = (int)out[r].status;
  }
  SEXP result = glue_result(status, value);
  UNPROTECT(1);
  return result;
}
