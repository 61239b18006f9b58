/* The second stage of DeLIVR. */
#include "glue_nn.h"

#include "../core/delivr.h"

static mrl_status make_net(mrl_net *net, const mrl_mlp *mlp)
{
  mrl_arena arena = mrl_arena_measure();
  MRL_TRY(mrl_mlp_carve(net, &arena, mlp, 1, 1, MRL_IDENTITY));
  arena = mrl_arena_over(glue_scratch(arena.used), arena.used);
  return mrl_mlp_carve(net, &arena, mlp, 1, 1, MRL_IDENTITY);
}

enum { PARAMS, STATISTICS, FITTED, SCALE, COEF, EPOCHS, STATUS, N_ITEMS };

/* A column of each matrix for each split. */
static SEXP write_splits(const mrl_delivr_fit *fit, const mrl_delivr_data *data, const mrl_net *net)
{
  static const char *const names[N_ITEMS] = {"params", "statistics", "fitted", "scale",
                                             "coef",   "epochs",     "status"};
  const size_t count = data->n_splits;
  SEXP value = PROTECT(glue_list(names, N_ITEMS));
  double *params = glue_list_matrix(value, PARAMS, net->n_params, count);
  double *statistics = glue_list_matrix(value, STATISTICS, net->n_statistics, count);
  double *fitted = glue_list_matrix(value, FITTED, data->n, count);
  double *scale = glue_list_matrix(value, SCALE, 2, count);
  double *coef = glue_list_matrix(value, COEF, 3, count);
  int *epochs = glue_list_int(value, EPOCHS, (R_xlen_t)count);
  int *status = glue_list_int(value, STATUS, (R_xlen_t)count);
  for (size_t s = 0; s < count; s++) {
    status[s] = (int)fit[s].status;
    epochs[s] = fit[s].status == MRL_OK ? (int)fit[s].epochs : 0;
    glue_nn_write(params + s * net->n_params, fit[s].params, net->n_params);
    glue_nn_write(statistics + s * net->n_statistics, fit[s].statistics, net->n_statistics);
    for (size_t i = 0; i < data->n; i++) {
      fitted[s * data->n + i] = fit[s].fitted[i];
    }
    for (size_t j = 0; j < 3; j++) {
      coef[3 * s + j] = fit[s].coef[j];
    }
    scale[2 * s] = fit[s].scale[0];
    scale[2 * s + 1] = fit[s].scale[1];
  }
  UNPROTECT(1);
  return value;
}

static mrl_delivr_fit *fit_memory(const mrl_delivr_data *data, const mrl_net *net)
{
  mrl_delivr_fit *fit = glue_scratch(data->n_splits * sizeof *fit);
  for (size_t s = 0; s < data->n_splits; s++) {
    const mrl_delivr_fit empty = {0};
    fit[s] = empty;
    fit[s].params = glue_scratch(net->n_params * sizeof *fit[s].params);
    fit[s].statistics = glue_scratch(net->n_statistics * sizeof *fit[s].statistics);
    fit[s].fitted = glue_scratch(data->n * sizeof *fit[s].fitted);
    for (size_t i = 0; i < net->n_params; i++) {
      fit[s].params[i] = 0;
    }
    for (size_t i = 0; i < net->n_statistics; i++) {
      fit[s].statistics[i] = 0;
    }
    for (size_t i = 0; i < data->n; i++) {
      fit[s].fitted[i] = 0;
    }
  }
  return fit;
}

/* part (n, splits): 0 training, 1 validation, 2 test. */
SEXP C_delivr_fit(SEXP mu, SEXP y, SEXP weights, SEXP part, SEXP settings)
{
  const R_xlen_t n = XLENGTH(y);
  const mrl_delivr_data data = {.mu = glue_dbl(mu, n, "mu"),
                                .y = glue_dbl(y, n, "y"),
                                .weights = glue_dbl_or_null(weights, n, "weights"),
                                .part = glue_int(part, n * (R_xlen_t)Rf_ncols(part), "part"),
                                .n = (size_t)n,
                                .n_splits = (size_t)Rf_ncols(part)};
  for (size_t i = 0; i < data.n * data.n_splits; i++) {
    if (data.part[i] < MRL_PART_TRAIN || data.part[i] > MRL_PART_TEST) {
      Rf_error("internal error: `part` is not 0, 1 or 2");
    }
  }
  const mrl_mlp mlp = glue_nn_mlp(settings, "hidden_second");
  const mrl_ctx ctx = glue_ctx(glue_item_int(settings, "n_threads"));
  mrl_net net;
  mrl_status status = make_net(&net, &mlp);
  if (status != MRL_OK) {
    return glue_result(status, R_NilValue);
  }
  const mrl_delivr_settings how = {.net = &net,
                                   .train = glue_nn_train(settings),
                                   .isa = glue_item_isa(settings),
                                   .seed = glue_item_seed(settings)};
  mrl_delivr_fit *fit = fit_memory(&data, &net);
  size_t size = 0;
  status = mrl_delivr_scratch(&size, &data, &how, &ctx);
  if (status == MRL_OK) {
    status = mrl_delivr_run(fit, &data, &how, glue_scratch(size), size, &ctx);
  }
  SEXP value = PROTECT(status == MRL_OK ? write_splits(fit, &data, &net) : R_NilValue);
  SEXP out = glue_result(status, value);
  UNPROTECT(1);
  return out;
}
