/* Quantile IV: its training, and what its outcome net says. */
#include "glue_nn.h"

#include "../core/iv_quantile.h"
#include "../core/mlp_curve.h"

enum {
  PARAMS_FIRST,
  STATISTICS_FIRST,
  HISTORY_FIRST,
  PARAMS_SECOND,
  STATISTICS_SECOND,
  HISTORY_SECOND,
  EPOCHS,
  BEST,
  STOP,
  STATUS,
  X_HAT,
  HELD_OUT,
  SCALE,
  TAU,
  N_ITEMS
};
enum { PER_STAGE = PARAMS_SECOND - PARAMS_FIRST };

static const char *const item_names[N_ITEMS] = {"params_first",
                                                "statistics_first",
                                                "history_first",
                                                "params_second",
                                                "statistics_second",
                                                "history_second",
                                                "epochs",
                                                "best",
                                                "stop",
                                                "status",
                                                "x_hat",
                                                "held_out",
                                                "scale",
                                                "tau"};

static const double *const *read_columns(SEXP x, size_t count, R_xlen_t n, const char *name)
{
  const double **col = (const double **)glue_scratch(count * sizeof *col);
  glue_add_columns(col, 0, x, n, name);
  return col;
}

static mrl_ivq_data read_data(SEXP y, SEXP x, SEXP w, SEXP z, SEXP weights)
{
  const R_xlen_t n = XLENGTH(y);
  mrl_ivq_data data = {.n = (size_t)n};
  data.y = glue_dbl(y, n, "y");
  data.x = glue_dbl(x, n, "x");
  data.n_w = glue_count_columns(w, n, "w");
  data.w = read_columns(w, data.n_w, n, "w");
  data.n_z = glue_count_columns(z, n, "z");
  data.z = read_columns(z, data.n_z, n, "z");
  data.weights = glue_dbl_or_null(weights, n, "weights");
  return data;
}

static mrl_ivq_settings read_settings(SEXP settings)
{
  const mrl_ivq_settings out = {.n_quantiles = (size_t)glue_item_int(settings, "n_quantiles"),
                                .matched = glue_item_lgl(settings, "matched"),
                                .non_crossing = glue_item_lgl(settings, "non_crossing"),
                                .binary = glue_item_lgl(settings, "binary"),
                                .first = glue_nn_mlp(settings, "hidden_first"),
                                .second = glue_nn_mlp(settings, "hidden_second"),
                                .train = glue_nn_train(settings),
                                .n_valid = (size_t)glue_item_int(settings, "n_valid"),
                                .seed = glue_item_seed(settings),
                                .isa = glue_item_isa(settings)};
  return out;
}

/* Room in the list for what a stage leaves. */
static void stage_memory(SEXP list, int stage, const mrl_net *net, size_t epochs)
{
  const int at = stage * PER_STAGE;
  glue_list_dbl(list, at + PARAMS_FIRST, (R_xlen_t)net->n_params);
  glue_list_dbl(list, at + STATISTICS_FIRST, (R_xlen_t)net->n_statistics);
  glue_list_matrix(list, at + HISTORY_FIRST, 3, epochs);
}

static void write_stage(SEXP list, int stage, const mrl_train *train, mrl_status status)
{
  const int at = stage * PER_STAGE;
  double *history = REAL(VECTOR_ELT(list, at + HISTORY_FIRST));
  glue_nn_write(REAL(VECTOR_ELT(list, at + PARAMS_FIRST)), train->params, train->net->n_params);
  glue_nn_write(REAL(VECTOR_ELT(list, at + STATISTICS_FIRST)), train->statistics,
                train->net->n_statistics);
  for (size_t e = 0; e < train->progress.epoch; e++) {
    history[3 * e] = train->history[e].train;
    history[3 * e + 1] = train->history[e].valid;
    history[3 * e + 2] = train->history[e].rate;
  }
  INTEGER(VECTOR_ELT(list, EPOCHS))[stage] = (int)train->progress.epoch;
  INTEGER(VECTOR_ELT(list, BEST))[stage] = (int)train->progress.best_epoch;
  INTEGER(VECTOR_ELT(list, STOP))[stage] = (int)train->progress.stop;
  INTEGER(VECTOR_ELT(list, STATUS))[stage] = (int)status;
}

static SEXP result_list(const mrl_ivq_data *data, const mrl_ivq_settings *how,
                        const mrl_ivq_nets *nets)
{
  SEXP list = PROTECT(glue_list(item_names, N_ITEMS));
  stage_memory(list, 0, &nets->first, how->train.epochs);
  stage_memory(list, 1, &nets->second, how->train.epochs);
  for (int item = EPOCHS; item <= STATUS; item++) {
    glue_list_int(list, item, 2);
  }
  glue_list_dbl(list, X_HAT, (R_xlen_t)data->n);
  glue_list_int(list, HELD_OUT, (R_xlen_t)how->n_valid);
  glue_list_matrix(list, SCALE, 2, data->n_z + data->n_w + 2);
  glue_list_dbl(list, TAU, (R_xlen_t)how->n_quantiles);
  UNPROTECT(1);
  return list;
}

static void write_result(SEXP list, const mrl_ivq *ivq, const mrl_status stage[2])
{
  const size_t n_train = ivq->data.n - ivq->settings.n_valid;
  const size_t n_scales = ivq->values.n_inputs + 2;
  write_stage(list, 0, &ivq->train[0], stage[0]);
  write_stage(list, 1, &ivq->train[1], stage[1]);
  mrl_ivq_exposure(REAL(VECTOR_ELT(list, X_HAT)), NULL, ivq);
  for (size_t i = 0; i < ivq->settings.n_valid; i++) {
    INTEGER(VECTOR_ELT(list, HELD_OUT))[i] = (int)ivq->row[n_train + i] + 1;
  }
  for (size_t j = 0; j < n_scales; j++) {
    REAL(VECTOR_ELT(list, SCALE))[2 * j] = ivq->scale[j].mean;
    REAL(VECTOR_ELT(list, SCALE))[2 * j + 1] = ivq->scale[j].sd;
  }
  for (size_t k = 0; k < ivq->values.q; k++) {
    REAL(VECTOR_ELT(list, TAU))[k] = ivq->level[k];
  }
}

static mrl_status make_nets(mrl_ivq_nets *nets, const mrl_ivq_data *data,
                            const mrl_ivq_settings *how)
{
  mrl_arena arena = mrl_arena_measure();
  MRL_TRY(mrl_ivq_nets_carve(nets, &arena, data, how));
  arena = mrl_arena_over(glue_scratch(arena.used), arena.used);
  return mrl_ivq_nets_carve(nets, &arena, data, how);
}

static mrl_status make_fit(mrl_ivq *ivq, const mrl_ivq_nets *nets, const mrl_ivq_data *data,
                           const mrl_ivq_settings *how, const mrl_ctx *ctx)
{
  mrl_arena arena = mrl_arena_measure();
  MRL_TRY(mrl_ivq_carve(ivq, &arena, nets, data, how, ctx));
  arena = mrl_arena_over(glue_scratch(arena.used), arena.used);
  return mrl_ivq_carve(ivq, &arena, nets, data, how, ctx);
}

SEXP C_iv_quantile_fit(SEXP y, SEXP x, SEXP w, SEXP z, SEXP weights, SEXP settings)
{
  const mrl_ivq_data data = read_data(y, x, w, z, weights);
  const mrl_ivq_settings how = read_settings(settings);
  const mrl_ctx ctx = glue_ctx(glue_item_int(settings, "n_threads"));
  mrl_ivq_nets nets;
  mrl_ivq *ivq = glue_scratch(sizeof *ivq);
  mrl_status stage[2];
  mrl_status status = make_nets(&nets, &data, &how);
  if (status == MRL_OK) {
    status = make_fit(ivq, &nets, &data, &how, &ctx);
  }
  if (status != MRL_OK) {
    return glue_result(status, R_NilValue);
  }
  SEXP list = PROTECT(result_list(&data, &how, &nets));
  status = mrl_ivq_run(stage, ivq, &ctx);
  if (status == MRL_OK) {
    write_result(list, ivq, stage);
  }
  SEXP out = glue_result(status, list);
  UNPROTECT(1);
  return out;
}

static const mrl_scale *read_scales(SEXP model, const char *name, size_t n)
{
  const double *x = glue_dbl(glue_item(model, name), 2 * (R_xlen_t)n, name);
  mrl_scale *scale = glue_scratch(n * sizeof *scale);
  for (size_t j = 0; j < n; j++) {
    scale[j].mean = x[2 * j];
    scale[j].sd = x[2 * j + 1];
  }
  return scale;
}

static mrl_status outcome_net(mrl_net *net, const mrl_mlp *mlp, size_t n_w)
{
  mrl_arena arena = mrl_arena_measure();
  MRL_TRY(mrl_mlp_carve(net, &arena, mlp, 1 + n_w, 1, MRL_IDENTITY));
  arena = mrl_arena_over(glue_scratch(arena.used), arena.used);
  return mrl_mlp_carve(net, &arena, mlp, 1 + n_w, 1, MRL_IDENTITY);
}

static mrl_curve_model read_model(SEXP model, const mrl_net *net, size_t n_w)
{
  const double *params = glue_dbl(glue_item(model, "params"), (R_xlen_t)net->n_params, "params");
  const double *statistics =
      glue_dbl(glue_item(model, "statistics"), (R_xlen_t)net->n_statistics, "statistics");
  const mrl_curve_model out = {.net = net,
                               .params = glue_nn_read(params, net->n_params),
                               .statistics = glue_nn_read(statistics, net->n_statistics),
                               .x = read_scales(model, "scale_x", 1),
                               .w = read_scales(model, "scale_w", n_w),
                               .y = read_scales(model, "scale_y", 1),
                               .binary = glue_item_lgl(model, "binary")};
  return out;
}

/* what: 0, the outcome of each row at its x; 1, its mean over the rows at each x; 2, the mean
 * derivative. w says how many rows there are. */
SEXP C_iv_quantile_predict(SEXP model, SEXP x, SEXP w, SEXP weights, SEXP settings)
{
  const int what = glue_item_int(settings, "what");
  const R_xlen_t n = glue_item_int(settings, "n");
  const double *px = glue_dbl(x, what == 1 ? -1 : n, "x");
  const mrl_ctx ctx = glue_ctx(glue_item_int(settings, "n_threads"));
  const mrl_isa isa = glue_item_isa(settings);
  mrl_people people = {.n = (size_t)n, .n_w = glue_ncol(w, n, "w")};
  people.w = read_columns(w, people.n_w, n, "w");
  people.weights = glue_dbl_or_null(weights, n, "weights");
  const mrl_mlp mlp = glue_nn_mlp(model, "hidden");
  mrl_net net;
  mrl_status status = outcome_net(&net, &mlp, people.n_w);
  if (status != MRL_OK) {
    return glue_result(status, R_NilValue);
  }
  const mrl_curve_model fitted = read_model(model, &net, people.n_w);
  SEXP value = PROTECT(Rf_allocVector(REALSXP, what == 0 ? n : what == 1 ? XLENGTH(x) : 1));
  const size_t size = mrl_curve_scratch(&net, isa, &ctx);
  void *scratch = glue_scratch(size);
  if (what == 0) {
    status = mrl_curve_predict(REAL(value), &fitted, px, &people, isa, scratch, size, &ctx);
  } else if (what == 1) {
    status = mrl_curve_mean(REAL(value), &fitted, px, (size_t)XLENGTH(x), &people, isa, scratch,
                            size, &ctx);
  } else {
    status = mrl_curve_slope(REAL(value), &fitted, px, &people, isa, scratch, size, &ctx);
  }
  SEXP out = glue_result(status, value);
  UNPROTECT(1);
  return out;
}
