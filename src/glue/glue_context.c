/* Contextual slopes: nets of the context, and slopes on features in closed form. */
#include "glue_nn.h"

#include "../core/iv_context.h"
#include "../core/slope.h"

static const double *const *read_columns(SEXP x, size_t count, R_xlen_t n, const char *name)
{
  const double **col = (const double **)glue_scratch(count * sizeof *col);
  glue_add_columns(col, 0, x, n, name);
  return col;
}

static mrl_context_settings read_settings(SEXP settings)
{
  const mrl_context_settings out = {.kind = (mrl_context_kind)glue_item_int(settings, "kind"),
                                    .mlp = glue_nn_mlp(settings, "hidden"),
                                    .archetypes = (size_t)glue_item_int(settings, "archetypes"),
                                    .slope_l1 = glue_item_dbl(settings, "slope_l1"),
                                    .slope_l2 = glue_item_dbl(settings, "slope_l2"),
                                    .offset_l1 = glue_item_dbl(settings, "offset_l1"),
                                    .offset_l2 = glue_item_dbl(settings, "offset_l2"),
                                    .train = glue_nn_train(settings),
                                    .validation = glue_item_dbl(settings, "validation"),
                                    .n_nets = (size_t)glue_item_int(settings, "n_nets"),
                                    .seed = glue_item_seed(settings),
                                    .isa = glue_item_isa(settings)};
  return out;
}

static mrl_status make_net(mrl_net *net, const mrl_context_settings *how, size_t p, int members)
{
  mrl_arena arena = mrl_arena_measure();
  MRL_TRY(mrl_context_net(net, &arena, how, p, members));
  arena = mrl_arena_over(glue_scratch(arena.used), arena.used);
  return mrl_context_net(net, &arena, how, p, members);
}

static mrl_status make_context(mrl_context *context, const mrl_net *net,
                               const mrl_context_data *data, const mrl_context_settings *how)
{
  mrl_arena arena = mrl_arena_measure();
  MRL_TRY(mrl_context_carve(context, &arena, net, data, how));
  arena = mrl_arena_over(glue_scratch(arena.used), arena.used);
  return mrl_context_carve(context, &arena, net, data, how);
}

enum { PARAMS, STATISTICS, HISTORY, EPOCHS, BEST, STOP, STATUS, N_TRAINED };

static SEXP trained_list(const mrl_net *net, const mrl_context_settings *how)
{
  static const char *const names[N_TRAINED] = {"params", "statistics", "history", "epochs",
                                               "best",   "stop",       "status"};
  SEXP list = PROTECT(glue_list(names, N_TRAINED));
  glue_list_matrix(list, PARAMS, net->n_params, how->n_nets);
  glue_list_matrix(list, STATISTICS, net->n_statistics, how->n_nets);
  glue_list_matrix(list, HISTORY, 3 * how->train.epochs, how->n_nets);
  for (int item = EPOCHS; item <= STATUS; item++) {
    glue_list_int(list, item, (R_xlen_t)how->n_nets);
  }
  UNPROTECT(1);
  return list;
}

static void write_member(SEXP list, size_t m, const mrl_context *context)
{
  const mrl_context_member *member = context->member + m;
  const mrl_train *train = &member->train;
  const mrl_net *net = context->net;
  const size_t epochs = context->settings.train.epochs;
  double *history = REAL(VECTOR_ELT(list, HISTORY)) + 3 * epochs * m;
  glue_nn_write(REAL(VECTOR_ELT(list, PARAMS)) + m * net->n_params, train->params, net->n_params);
  glue_nn_write(REAL(VECTOR_ELT(list, STATISTICS)) + m * net->n_statistics, train->statistics,
                net->n_statistics);
  for (size_t e = 0; e < epochs; e++) {
    const int done = e < train->progress.epoch;
    history[3 * e] = done ? train->history[e].train : NA_REAL;
    history[3 * e + 1] = done ? train->history[e].valid : NA_REAL;
    history[3 * e + 2] = done ? train->history[e].rate : NA_REAL;
  }
  INTEGER(VECTOR_ELT(list, EPOCHS))[m] = (int)train->progress.epoch;
  INTEGER(VECTOR_ELT(list, BEST))[m] = (int)train->progress.best_epoch;
  INTEGER(VECTOR_ELT(list, STOP))[m] = (int)train->progress.stop;
  INTEGER(VECTOR_ELT(list, STATUS))[m] = (int)member->status;
}

SEXP C_iv_context_train(SEXP context, SEXP e, SEXP s, SEXP fold, SEXP unit, SEXP weights,
                        SEXP settings)
{
  const R_xlen_t n = XLENGTH(e);
  const size_t p = glue_ncol(context, n, "context");
  const mrl_context_data data = {.c = read_columns(context, p, n, "context"),
                                 .e = glue_dbl(e, n, "e"),
                                 .s = glue_dbl(s, n, "s"),
                                 .weights = glue_dbl_or_null(weights, n, "weights"),
                                 .fold = glue_int(fold, n, "fold"),
                                 .unit = glue_int(unit, n, "unit"),
                                 .n = (size_t)n,
                                 .p = p,
                                 .n_units = (size_t)glue_item_int(settings, "n_units")};
  const mrl_context_settings how = read_settings(settings);
  const mrl_ctx ctx = glue_ctx(glue_item_int(settings, "n_threads"));
  mrl_context *trained = glue_scratch(sizeof *trained);
  mrl_net net;
  mrl_status status = make_net(&net, &how, p, 0);
  if (status == MRL_OK) {
    status = make_context(trained, &net, &data, &how);
  }
  if (status != MRL_OK) {
    return glue_result(status, R_NilValue);
  }
  SEXP list = PROTECT(trained_list(&net, &how));
  status = mrl_context_run(trained, &ctx);
  for (size_t m = 0; status == MRL_OK && m < how.n_nets; m++) {
    write_member(list, m, trained);
  }
  SEXP out = glue_result(status, list);
  UNPROTECT(1);
  return out;
}

/* What one net, with its params and statistics, says of context rows; `members` of settings: the
 * shares of the archetypes. */
SEXP C_iv_context_predict(SEXP context, SEXP params, SEXP statistics, SEXP settings)
{
  const R_xlen_t n = Rf_nrows(context);
  const size_t p = glue_ncol(context, n, "context");
  const double *const *columns = read_columns(context, p, n, "context");
  const mrl_context_settings how = read_settings(settings);
  const mrl_ctx ctx = glue_ctx(glue_item_int(settings, "n_threads"));
  const int members = glue_item_lgl(settings, "members");
  mrl_net whole, net;
  mrl_status status = make_net(&whole, &how, p, 0);
  if (status == MRL_OK) {
    status = make_net(&net, &how, p, members);
  }
  if (status != MRL_OK) {
    return glue_result(status, R_NilValue);
  }
  const double *weights = glue_dbl(params, (R_xlen_t)whole.n_params, "params");
  const double *moments = glue_dbl(statistics, (R_xlen_t)whole.n_statistics, "statistics");
  const mrl_real *net_params = glue_nn_read(weights, whole.n_params);
  const mrl_real *net_statistics = glue_nn_read(moments, whole.n_statistics);
  SEXP value = PROTECT(Rf_allocMatrix(REALSXP, (int)n, (int)mrl_context_width(&how, p, members)));
  const size_t size = mrl_context_predict_scratch(&net, &how, (size_t)n, p, &ctx);
  status = size == 0 ? MRL_NO_MEMORY
                     : mrl_context_predict(REAL(value), &net, net_params, net_statistics, &how,
                                           columns, (size_t)n, p, glue_scratch(size), size, &ctx);
  SEXP out = glue_result(status, value);
  UNPROTECT(1);
  return out;
}

static mrl_slope_data read_slope_data(SEXP data)
{
  SEXP y = glue_item(data, "y"), group = glue_item(data, "group");
  const R_xlen_t n = XLENGTH(y);
  mrl_slope_data out = {.n = (size_t)n};
  out.y = glue_dbl(y, n, "y");
  out.x = glue_dbl(glue_item(data, "x"), n, "x");
  out.s = glue_dbl(glue_item(data, "s"), n, "s");
  out.a = glue_dbl(glue_item(data, "a"), n, "a");
  out.n_q = glue_count_columns(glue_item(data, "q"), n, "q");
  out.q = read_columns(glue_item(data, "q"), out.n_q, n, "q");
  out.p = glue_count_columns(glue_item(data, "f"), n, "f");
  out.f = read_columns(glue_item(data, "f"), out.p, n, "f");
  out.group = glue_int(group, (R_xlen_t)out.p, "group");
  for (size_t j = 0; j < out.p; j++) {
    out.n_groups = (size_t)out.group[j] > out.n_groups ? (size_t)out.group[j] : out.n_groups;
  }
  out.weights = glue_dbl_or_null(glue_item(data, "weights"), n, "weights");
  out.cluster = glue_int_or_null(glue_item(data, "cluster"), n, "cluster");
  for (R_xlen_t i = 0; out.cluster && i < n; i++) {
    out.n_cluster = (size_t)out.cluster[i] > out.n_cluster ? (size_t)out.cluster[i] : out.n_cluster;
  }
  return out;
}

enum {
  CENTER,
  COEF,
  VCOV,
  MU,
  VARIANCE,
  SCORE,
  RESIDUAL,
  GROUP_STATISTIC,
  GROUP_DF,
  NUMBERS,
  N_SLOPE
};

SEXP C_iv_context_slope(SEXP data, SEXP settings)
{
  static const char *const names[N_SLOPE] = {"center",   "coef",   "vcov",     "mu",
                                             "variance", "score",  "residual", "group_statistic",
                                             "group_df", "numbers"};
  const mrl_slope_data slope = read_slope_data(data);
  const mrl_slope_settings how = {.penalty = (mrl_slope_penalty)glue_item_int(settings, "penalty"),
                                  .charge = glue_item_dbl(settings, "charge"),
                                  .isa = glue_item_isa(settings)};
  const mrl_ctx ctx = glue_ctx(glue_item_int(settings, "n_threads"));
  const R_xlen_t p = (R_xlen_t)slope.p, groups = (R_xlen_t)slope.n_groups;
  mrl_slope_fit fit = {0};
  SEXP value = PROTECT(glue_list(names, N_SLOPE));
  fit.center = glue_list_dbl(value, CENTER, p);
  fit.coef = glue_list_dbl(value, COEF, 1 + p);
  fit.vcov = glue_list_matrix(value, VCOV, 1 + slope.p, 1 + slope.p);
  fit.mu = glue_list_dbl(value, MU, 1 + (R_xlen_t)slope.n_q);
  fit.variance = glue_list_dbl(value, VARIANCE, groups);
  fit.g = glue_list_dbl(value, SCORE, p);
  fit.residual = glue_list_dbl(value, RESIDUAL, (R_xlen_t)slope.n);
  fit.group_statistic = glue_list_dbl(value, GROUP_STATISTIC, groups);
  fit.group_df = glue_list_dbl(value, GROUP_DF, groups);
  double *numbers = glue_list_dbl(value, NUMBERS, 6);
  const size_t size = mrl_slope_scratch(&slope, &ctx);
  const mrl_status status =
      size == 0 ? MRL_NO_MEMORY : mrl_slope_run(&fit, &slope, &how, glue_scratch(size), size, &ctx);
  numbers[0] = fit.statistic;
  numbers[1] = fit.df;
  numbers[2] = fit.b_null;
  numbers[3] = fit.se_null;
  numbers[4] = fit.se_average;
  numbers[5] = fit.strength;
  SEXP out = glue_result(status, value);
  UNPROTECT(1);
  return out;
}
