/* Neural IV: what fitted networks say. */
#include "glue_neural.h"

#include "../core/iv_expose.h"
#include "../core/mlp_curve_many.h"

/* The net, or with theta its trunk, and how many parameters and statistics the whole net has. */
typedef struct {
  mrl_net net;
  size_t n_params, n_statistics;
} outcome_net;

static mrl_status carve_outcome(outcome_net *to, mrl_arena *arena, const mrl_mlp *mlp, size_t n_w,
                                int is_trunk)
{
  MRL_TRY(mrl_mlp_carve(&to->net, arena, mlp, 1 + n_w, 1, MRL_IDENTITY));
  to->n_params = to->net.n_params;
  to->n_statistics = to->net.n_statistics;
  return is_trunk ? mrl_mlp_trunk_carve(&to->net, arena, mlp, 1 + n_w) : MRL_OK;
}

static mrl_status make_outcome(outcome_net *to, const mrl_mlp *mlp, size_t n_w, int is_trunk)
{
  mrl_arena arena = mrl_arena_measure();
  MRL_TRY(carve_outcome(to, &arena, mlp, n_w, is_trunk));
  arena = mrl_arena_over(glue_scratch(arena.used), arena.used);
  return carve_outcome(to, &arena, mlp, n_w, is_trunk);
}

/* One model for each column of the parameters. */
static const mrl_curve_model *read_models(SEXP network, const outcome_net *net,
                                          const mrl_basis *basis, size_t n_models)
{
  const R_xlen_t count = (R_xlen_t)n_models;
  const size_t terms = mrl_basis_terms(basis);
  SEXP list = glue_item(network, "theta");
  const double *params =
      glue_dbl(glue_item(network, "params"), (R_xlen_t)net->n_params * count, "params");
  const double *statistics =
      glue_dbl(glue_item(network, "statistics"), (R_xlen_t)net->n_statistics * count, "statistics");
  const double *theta = glue_dbl_or_null(list, (R_xlen_t)terms * count, "theta");
  const mrl_curve_model shared = {.net = &net->net,
                                  .basis = basis,
                                  .x = glue_neural_scales(network, "scale_x", 1),
                                  .w = glue_neural_scales(network, "scale_w", basis->n_w),
                                  .y = glue_neural_scales(network, "scale_y", 1),
                                  .binary = glue_item_lgl(network, "binary")};
  mrl_curve_model *model = glue_scratch(n_models * sizeof *model);
  for (size_t r = 0; r < n_models; r++) {
    model[r] = shared;
    model[r].params = glue_nn_read(params + r * net->n_params, net->n_params);
    model[r].statistics = glue_nn_read(statistics + r * net->n_statistics, net->n_statistics);
    model[r].theta = theta ? theta + r * terms : NULL;
  }
  return model;
}

/* what: 0, the outcome of each row at its x; 1, its mean over the rows at each x; 2, the mean
 * derivative. w says how many rows there are. Parameters in a matrix: a column for each of its. */
SEXP C_iv_neural_outcome(SEXP network, SEXP x, SEXP w, SEXP weights, SEXP settings)
{
  const mrl_curve_what what = (mrl_curve_what)glue_item_int(settings, "what");
  const R_xlen_t n = glue_item_int(settings, "n");
  const double *px = glue_dbl(x, what == MRL_CURVE_LEVELS ? -1 : n, "x");
  const mrl_ctx ctx = glue_ctx(glue_item_int(settings, "n_threads"));
  const mrl_isa isa = glue_item_isa(settings);
  const mrl_mlp mlp = glue_nn_mlp(network, "hidden");
  const int is_matrix = Rf_isMatrix(glue_item(network, "params"));
  const size_t n_models = is_matrix ? (size_t)Rf_ncols(glue_item(network, "params")) : 1;
  mrl_people people = {.n = (size_t)n, .n_w = glue_ncol(w, n, "w")};
  people.w = glue_neural_columns(w, people.n_w, n, "w");
  people.weights = glue_dbl_or_null(weights, n, "weights");
  const mrl_basis basis = mrl_basis_of(&mlp, people.n_w);
  outcome_net *net = glue_scratch(sizeof *net);
  mrl_status status = make_outcome(net, &mlp, people.n_w, !Rf_isNull(glue_item(network, "theta")));
  if (status != MRL_OK) {
    return glue_result(status, R_NilValue);
  }
  const mrl_curve_model *model = read_models(network, net, &basis, n_models);
  const R_xlen_t each = what == MRL_CURVE_ROWS ? n : what == MRL_CURVE_LEVELS ? XLENGTH(x) : 1;
  SEXP value = PROTECT(is_matrix ? Rf_allocMatrix(REALSXP, (int)each, (int)n_models)
                                 : Rf_allocVector(REALSXP, each));
  const size_t size = mrl_curve_many_scratch(&net->net, isa, &ctx);
  status = mrl_curve_many(REAL(value), model, n_models, what, px, (size_t)XLENGTH(x), &people, isa,
                          glue_scratch(size), size, &ctx);
  SEXP out = glue_result(status, value);
  UNPROTECT(1);
  return out;
}

static mrl_first_settings read_first(SEXP network)
{
  const mrl_first_kind kind = (mrl_first_kind)glue_item_int(network, "first");
  const mrl_first_settings out = {
      .kind = kind,
      .parts = kind == MRL_FIRST_QUANTILE  ? (size_t)glue_item_int(network, "n_quantiles")
               : kind == MRL_FIRST_MIXTURE ? (size_t)glue_item_int(network, "n_components")
                                           : 1,
      .matched = glue_item_lgl(network, "matched"),
      .non_crossing = glue_item_lgl(network, "non_crossing"),
      .mlp = glue_nn_mlp(network, "hidden")};
  return out;
}

static mrl_status make_first(mrl_first *first, const mrl_first_settings *how, size_t n_z,
                             size_t n_w)
{
  mrl_arena arena = mrl_arena_measure();
  MRL_TRY(mrl_first_carve(first, &arena, how, n_z, n_w));
  arena = mrl_arena_over(glue_scratch(arena.used), arena.used);
  MRL_TRY(mrl_first_carve(first, &arena, how, n_z, n_w));
  mrl_first_start(first);
  return MRL_OK;
}

static mrl_status make_expose(mrl_expose *expose, const mrl_first *first, size_t n, mrl_isa isa,
                              const mrl_ctx *ctx)
{
  mrl_arena arena = mrl_arena_measure();
  MRL_TRY(mrl_expose_carve(expose, &arena, first, n, isa, ctx));
  arena = mrl_arena_over(glue_scratch(arena.used), arena.used);
  return mrl_expose_carve(expose, &arena, first, n, isa, ctx);
}

static mrl_first_fit read_fit(SEXP network, const mrl_first *first)
{
  const int has = first->settings.kind != MRL_FIRST_RIDGE;
  const size_t n_params = has ? first->net.n_params : 0;
  const size_t n_statistics = has ? first->net.n_statistics : 0;
  SEXP params = glue_item(network, "params"), statistics = glue_item(network, "statistics");
  const double *from =
      glue_dbl(glue_item(network, "location"), (R_xlen_t)first->n_location, "location");
  double *location = glue_scratch(first->n_location * sizeof *location);
  for (size_t j = 0; j < first->n_location; j++) {
    location[j] = from[j];
  }
  mrl_first_fit fit = {
      .params = glue_nn_read(glue_dbl(params, (R_xlen_t)n_params, "params"), n_params),
      .statistics =
          glue_nn_read(glue_dbl(statistics, (R_xlen_t)n_statistics, "statistics"), n_statistics),
      .location = location};
  const double *spread = glue_dbl(glue_item(network, "spread"), MRL_FIRST_SPREAD, "spread");
  for (size_t j = 0; j < MRL_FIRST_SPREAD; j++) {
    fit.spread[j] = spread[j];
  }
  return fit;
}

/* All columns' scales: of instruments and covariates, then of the exposure. */
static const mrl_scale *read_scales(SEXP network, size_t n_inputs)
{
  const mrl_scale *inputs = glue_neural_scales(network, "scale_inputs", n_inputs);
  mrl_scale *scale = glue_scratch((n_inputs + 1) * sizeof *scale);
  for (size_t j = 0; j < n_inputs; j++) {
    scale[j] = inputs[j];
  }
  scale[n_inputs] = *glue_neural_scales(network, "scale_x", 1);
  return scale;
}

SEXP C_iv_neural_exposure(SEXP network, SEXP z, SEXP w, SEXP settings)
{
  static const char *const names[] = {"nodes", "weights"};
  const R_xlen_t n = glue_item_int(settings, "n");
  const mrl_ctx ctx = glue_ctx(glue_item_int(settings, "n_threads"));
  mrl_iv_sample sample = {.n = (size_t)n};
  sample.n_z = glue_count_columns(z, n, "z");
  sample.z = glue_neural_columns(z, sample.n_z, n, "z");
  sample.n_w = glue_count_columns(w, n, "w");
  sample.w = glue_neural_columns(w, sample.n_w, n, "w");
  const mrl_first_settings how = read_first(network);
  mrl_first *first = glue_scratch(sizeof *first);
  mrl_expose *expose = glue_scratch(sizeof *expose);
  mrl_status status = make_first(first, &how, sample.n_z, sample.n_w);
  if (status == MRL_OK) {
    status = make_expose(expose, first, sample.n, glue_item_isa(settings), &ctx);
  }
  if (status != MRL_OK) {
    return glue_result(status, R_NilValue);
  }
  const mrl_first_fit fit = read_fit(network, first);
  const mrl_scale *scale = read_scales(network, first->n_inputs);
  SEXP value = PROTECT(glue_list(names, 2));
  double *node = glue_list_matrix(value, 0, sample.n, expose->law.nodes);
  double *weight = glue_list_matrix(value, 1, sample.n, expose->law.nodes);
  status = mrl_expose_run(node, weight, expose, &sample, scale, &fit, &ctx);
  SEXP out = glue_result(status, value);
  UNPROTECT(1);
  return out;
}
