/* Quantile regression by networks. */
#include "glue_nn.h"

#include "../core/quantreg.h"

#include <time.h>

static double seconds_now(void)
{
  struct timespec now;
  timespec_get(&now, TIME_UTC);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static mrl_status make_net(mrl_quantreg_net *net, const mrl_quantreg_settings *how, size_t n_inputs)
{
  mrl_arena arena = mrl_arena_measure();
  MRL_TRY(mrl_quantreg_net_carve(net, &arena, how, n_inputs));
  arena = mrl_arena_over(glue_scratch(arena.used), arena.used);
  MRL_TRY(mrl_quantreg_net_carve(net, &arena, how, n_inputs));
  mrl_quantreg_net_start(net);
  return MRL_OK;
}

static mrl_status make_fit(mrl_quantreg *fit, const mrl_quantreg_net *net,
                           const mrl_quantreg_data *data, const mrl_ctx *ctx)
{
  mrl_arena arena = mrl_arena_measure();
  MRL_TRY(mrl_quantreg_carve(fit, &arena, net, data, ctx));
  arena = mrl_arena_over(glue_scratch(arena.used), arena.used);
  return mrl_quantreg_carve(fit, &arena, net, data, ctx);
}

/* The net's side of the settings; a fitted network has no training. */
static mrl_quantreg_settings read_net(SEXP list)
{
  SEXP level = glue_item(list, "levels");
  const mrl_quantreg_settings how = {.mlp = glue_nn_mlp(list, "hidden"),
                                     .level = glue_dbl(level, -1, "levels"),
                                     .n_levels = (size_t)XLENGTH(level),
                                     .non_crossing = glue_item_lgl(list, "non_crossing")};
  return how;
}

static const double *const *read_columns(SEXP x, size_t count, R_xlen_t n)
{
  const double **col = glue_scratch(count * sizeof *col);
  glue_add_columns(col, 0, x, n, "x");
  return col;
}

enum { PARAMS, STATISTICS, SCALE, HISTORY, EPOCHS, BEST, STOP, TRAINED, HELD, N_ITEMS };

static void write_fit(SEXP value, const mrl_quantreg *fit, mrl_status status)
{
  const mrl_train *train = &fit->train;
  const mrl_net *net = fit->net->net;
  const size_t n_valid = train->task.n_valid, epochs = train->progress.epoch;
  glue_nn_write(glue_list_dbl(value, PARAMS, (R_xlen_t)net->n_params), train->params,
                net->n_params);
  glue_nn_write(glue_list_dbl(value, STATISTICS, (R_xlen_t)net->n_statistics), train->statistics,
                net->n_statistics);
  double *scale = glue_list_matrix(value, SCALE, 2, fit->net->n_inputs + 1);
  for (size_t j = 0; j <= fit->net->n_inputs; j++) {
    scale[2 * j] = fit->scale[j].mean;
    scale[2 * j + 1] = fit->scale[j].sd;
  }
  double *history = glue_list_matrix(value, HISTORY, 4, epochs);
  for (size_t e = 0; e < epochs; e++, history += 4) {
    history[0] = train->history[e].train;
    history[1] = train->history[e].valid;
    history[2] = train->history[e].rate;
    history[3] = train->history[e].seconds;
  }
  *glue_list_int(value, EPOCHS, 1) = (int)epochs;
  *glue_list_int(value, BEST, 1) = (int)train->progress.best_epoch;
  *glue_list_int(value, STOP, 1) = (int)train->progress.stop;
  *glue_list_int(value, TRAINED, 1) = (int)status;
  int *held = glue_list_int(value, HELD, (R_xlen_t)n_valid);
  for (size_t i = 0; i < n_valid; i++) {
    held[i] = (int)train->task.valid[i] + 1;
  }
}

/* x: columns (n). A training that diverged or found nothing is a result, told by `status`. */
SEXP C_quantreg_fit(SEXP y, SEXP x, SEXP weights, SEXP settings)
{
  static const char *const names[] = {"params", "statistics", "scale",  "history", "epochs",
                                      "best",   "stop",       "status", "held_out"};
  const R_xlen_t n = XLENGTH(y);
  const size_t p = glue_count_columns(x, n, "x");
  const mrl_ctx ctx = glue_ctx(glue_item_int(settings, "n_threads"));
  mrl_quantreg_settings how = read_net(settings);
  how.train = glue_nn_train(settings);
  how.train.seed = glue_item_seed(settings);
  how.n_valid = (size_t)glue_item_int(settings, "n_valid");
  how.isa = glue_item_isa(settings);
  how.now = seconds_now;
  const mrl_quantreg_data data = {.y = glue_dbl(y, n, "y"),
                                  .x = read_columns(x, p, n),
                                  .weights = glue_dbl_or_null(weights, n, "weights"),
                                  .n = (size_t)n};
  mrl_quantreg_net *net = glue_scratch(sizeof *net);
  mrl_quantreg *fit = glue_scratch(sizeof *fit);
  mrl_status status = make_net(net, &how, p);
  if (status == MRL_OK) {
    status = make_fit(fit, net, &data, &ctx);
  }
  if (status != MRL_OK) {
    return glue_result(status, R_NilValue);
  }
  SEXP value = PROTECT(glue_list(names, N_ITEMS));
  status = mrl_quantreg_run(fit, &ctx);
  const int told = status == MRL_NOT_FINITE || status == MRL_NO_CONVERGE;
  write_fit(value, fit, status);
  SEXP out = glue_result(told ? MRL_OK : status, value);
  UNPROTECT(1);
  return out;
}

SEXP C_quantreg_predict(SEXP network, SEXP x, SEXP settings)
{
  const R_xlen_t n = glue_item_int(settings, "n");
  const size_t p = glue_count_columns(x, n, "x");
  const mrl_ctx ctx = glue_ctx(glue_item_int(settings, "n_threads"));
  SEXP level = glue_item(settings, "levels");
  const size_t n_levels = (size_t)XLENGTH(level);
  const double *plevel = glue_dbl(level, -1, "levels");
  mrl_quantreg_settings how = read_net(network);
  how.isa = glue_item_isa(settings);
  const mrl_quantreg_data data = {.x = read_columns(x, p, n), .n = (size_t)n};
  mrl_quantreg_net *net = glue_scratch(sizeof *net);
  mrl_status status = make_net(net, &how, p);
  if (status != MRL_OK) {
    return glue_result(status, R_NilValue);
  }
  const double *pscale = glue_dbl(glue_item(network, "scale"), 2 * (R_xlen_t)(p + 1), "scale");
  mrl_scale *scale = glue_scratch((p + 1) * sizeof *scale);
  for (size_t j = 0; j <= p; j++) {
    scale[j].mean = pscale[2 * j];
    scale[j].sd = pscale[2 * j + 1];
  }
  const size_t n_params = net->net->n_params, n_statistics = net->net->n_statistics;
  const mrl_quantreg_model model = {
      glue_nn_read(glue_dbl(glue_item(network, "params"), (R_xlen_t)n_params, "params"), n_params),
      glue_nn_read(glue_dbl(glue_item(network, "statistics"), (R_xlen_t)n_statistics, "statistics"),
                   n_statistics),
      scale};
  SEXP value = PROTECT(Rf_allocMatrix(REALSXP, (int)n, (int)n_levels));
  void *scratch = glue_scratch(mrl_quantreg_scratch(net, (size_t)n, &ctx));
  status = mrl_quantreg_predict(REAL(value), net, &model, &data, plevel, n_levels, scratch, &ctx);
  SEXP out = glue_result(status, value);
  UNPROTECT(1);
  return out;
}
