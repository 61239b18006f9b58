/* Neural IV: fits in slices. */
#include "glue_neural.h"

#include <time.h>

const double *const *glue_neural_columns(SEXP x, size_t count, R_xlen_t n, const char *name)
{
  const double **col = (const double **)glue_scratch((count + 1) * sizeof *col);
  glue_add_columns(col, 0, x, n, name);
  return col;
}

static mrl_iv_sample read_sample(SEXP data, R_xlen_t n, const char *const names[4])
{
  SEXP z = glue_item(data, names[0]), w = glue_item(data, names[1]);
  mrl_iv_sample s = {.n = (size_t)n};
  s.n_z = glue_count_columns(z, n, names[0]);
  s.z = glue_neural_columns(z, s.n_z, n, names[0]);
  s.n_w = glue_count_columns(w, n, names[1]);
  s.w = glue_neural_columns(w, s.n_w, n, names[1]);
  s.weights = glue_dbl_or_null(glue_item(data, names[2]), n, names[2]);
  s.cluster = glue_int_or_null(glue_item(data, names[3]), n, names[3]);
  return s;
}

glue_iv_data glue_neural_data(SEXP data)
{
  static const char *const names[2][4] = {{"z", "w", "weights", "cluster"},
                                          {"z2", "w2", "weights2", "cluster2"}};
  SEXP x = glue_item(data, "x"), y = glue_item(data, "y");
  const R_xlen_t n1 = XLENGTH(x), n2 = XLENGTH(y);
  glue_iv_data out = {.single = Rf_isNull(glue_item(data, "z2"))};
  out.one = read_sample(data, n1, names[0]);
  out.one.x = glue_dbl(x, n1, "x");
  if (out.single) {
    out.one.y = glue_dbl(y, n1, "y");
  } else {
    out.two = read_sample(data, n2, names[1]);
    out.two.y = glue_dbl(y, n2, "y");
  }
  return out;
}

static double seconds_now(void)
{
  struct timespec now;
  timespec_get(&now, TIME_UTC);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static mrl_first_settings read_first(SEXP settings)
{
  const mrl_first_kind kind = (mrl_first_kind)glue_item_int(settings, "first");
  const mrl_first_settings out = {
      .kind = kind,
      .parts = kind == MRL_FIRST_QUANTILE  ? (size_t)glue_item_int(settings, "n_quantiles")
               : kind == MRL_FIRST_MIXTURE ? (size_t)glue_item_int(settings, "n_components")
                                           : 1,
      .matched = glue_item_lgl(settings, "matched"),
      .non_crossing = glue_item_lgl(settings, "non_crossing"),
      .ridge = glue_item_dbl(settings, "ridge"),
      .mlp = glue_nn_mlp(settings, "hidden_first")};
  return out;
}

mrl_ivn_settings glue_neural_settings(SEXP settings)
{
  const mrl_ivn_settings out = {.first = read_first(settings),
                                .second = glue_nn_mlp(settings, "hidden_second"),
                                .train = glue_nn_train(settings),
                                .n_draws = (size_t)glue_item_int(settings, "n_draws"),
                                .binary = glue_item_lgl(settings, "binary"),
                                .refit = glue_item_lgl(settings, "refit"),
                                .cross_fit = (size_t)glue_item_int(settings, "cross_fit"),
                                .boot_half = glue_item_lgl(settings, "boot_half"),
                                .boot_epochs = (size_t)glue_item_int(settings, "boot_epochs"),
                                .boot_rate = glue_item_dbl(settings, "boot_rate"),
                                .n_valid = {(size_t)glue_item_int(settings, "n_valid"),
                                            (size_t)glue_item_int(settings, "n_valid2")},
                                .seed = glue_item_seed(settings),
                                .isa = glue_item_isa(settings),
                                .now = seconds_now};
  return out;
}

mrl_status glue_neural_nets(mrl_ivn_nets *nets, const mrl_ivn_settings *how, size_t n_z, size_t n_w)
{
  mrl_arena arena = mrl_arena_measure();
  MRL_TRY(mrl_ivn_nets_carve(nets, &arena, how, n_z, n_w));
  arena = mrl_arena_over(glue_scratch(arena.used), arena.used);
  MRL_TRY(mrl_ivn_nets_carve(nets, &arena, how, n_z, n_w));
  mrl_ivn_nets_start(nets);
  return MRL_OK;
}

const mrl_scale *glue_neural_scales(SEXP list, const char *name, size_t n)
{
  const double *x = glue_dbl(glue_item(list, name), 2 * (R_xlen_t)n, name);
  mrl_scale *scale = glue_scratch((n + 1) * sizeof *scale);
  for (size_t j = 0; j < n; j++) {
    scale[j].mean = x[2 * j];
    scale[j].sd = x[2 * j + 1];
  }
  return scale;
}

static mrl_status make_fit(mrl_ivn *ivn, mrl_ivn_nets *nets, const glue_iv_data *data,
                           const mrl_ivn_settings *how, const mrl_ctx *ctx)
{
  const mrl_iv_sample *two = data->single ? NULL : &data->two;
  MRL_TRY(glue_neural_nets(nets, how, data->one.n_z, data->one.n_w));
  mrl_arena arena = mrl_arena_measure();
  MRL_TRY(mrl_ivn_carve(ivn, &arena, nets, &data->one, two, how, ctx));
  arena = mrl_arena_over(glue_scratch(arena.used), arena.used);
  MRL_TRY(mrl_ivn_carve(ivn, &arena, nets, &data->one, two, how, ctx));
  return mrl_ivn_start(ivn, ctx);
}

void glue_put_int(SEXP list, int i, int value)
{
  *glue_list_int(list, i, 1) = value;
}

void glue_put_dbl(SEXP list, int i, double value)
{
  *glue_list_dbl(list, i, 1) = value;
}

void glue_put_doubles(SEXP list, int i, const double *x, size_t n)
{
  double *to = glue_list_dbl(list, i, (R_xlen_t)n);
  for (size_t j = 0; j < n; j++) {
    to[j] = x[j];
  }
}

SEXP glue_put_list(SEXP list, int i, const char *const *names, int n)
{
  SEXP inner = glue_list(names, n);
  SET_VECTOR_ELT(list, i, inner);
  return inner;
}

void glue_neural_rows(SEXP value, const glue_neural_slots *slots, const mrl_ivn_problem *problem,
                      const double *x_hat, const double *x_out, const double *y_hat)
{
  const mrl_scale *sx = problem->scale + problem->n_inputs;
  const size_t n = problem->sample[0].n;
  double *hat = glue_list_dbl(value, slots->x_hat, (R_xlen_t)n);
  double *out = glue_list_dbl(value, slots->x_out, (R_xlen_t)n);
  int *fold = glue_list_int(value, slots->fold, (R_xlen_t)n);
  for (size_t i = 0; i < n; i++) {
    hat[i] = sx->mean + sx->sd * x_hat[i];
    out[i] = sx->mean + sx->sd * x_out[i];
    fold[i] = problem->fold[i] + 1;
  }
  glue_put_doubles(value, slots->y_hat, y_hat, problem->sample[1].n);
  double *scale = glue_list_matrix(value, slots->scale, 2, problem->n_inputs + 2);
  for (size_t j = 0; j < problem->n_inputs + 2; j++) {
    scale[2 * j] = problem->scale[j].mean;
    scale[2 * j + 1] = problem->scale[j].sd;
  }
}

enum { HISTORY_ROWS = 5, STAGE_ITEMS = 7 };
#define STAGE_NAMES "params", "statistics", "history", "epochs", "best", "stop", "status"

static void write_stage(SEXP list, const mrl_ivn *ivn, size_t s)
{
  const mrl_ivn_stage *stage = ivn->stage + s;
  const mrl_net *net = mrl_ivn_net(ivn, s);
  const size_t epochs = stage->progress.epoch;
  const int has =
      s == ivn->problem.settings.cross_fit || ivn->problem.settings.first.kind != MRL_FIRST_RIDGE;
  const R_xlen_t n_params = has ? (R_xlen_t)net->n_params : 0;
  const R_xlen_t n_statistics = has ? (R_xlen_t)net->n_statistics : 0;
  glue_nn_write(glue_list_dbl(list, 0, n_params), stage->params, (size_t)n_params);
  glue_nn_write(glue_list_dbl(list, 1, n_statistics), stage->statistics, (size_t)n_statistics);
  double *history = glue_list_matrix(list, 2, HISTORY_ROWS, epochs);
  for (size_t e = 0; e < epochs; e++, history += HISTORY_ROWS) {
    history[0] = stage->history[e].train;
    history[1] = stage->history[e].valid;
    history[2] = stage->history[e].rate;
    history[3] = stage->history[e].seconds;
    history[4] = NA_REAL;
  }
  glue_put_int(list, 3, (int)epochs);
  glue_put_int(list, 4, (int)stage->progress.best_epoch);
  glue_put_int(list, 5, (int)stage->progress.stop);
  glue_put_int(list, 6, (int)stage->status);
}

static void write_first(SEXP value, int slot, const mrl_ivn *ivn)
{
  static const char *const names[] = {STAGE_NAMES, "location", "rho", "spread"};
  const size_t folds = ivn->problem.settings.cross_fit;
  SEXP list = Rf_allocVector(VECSXP, (R_xlen_t)folds);
  SET_VECTOR_ELT(value, slot, list);
  for (size_t k = 0; k < folds; k++) {
    const mrl_first_fit *fit = ivn->first + k;
    SEXP one = glue_put_list(list, (int)k, names, STAGE_ITEMS + 3);
    write_stage(one, ivn, k);
    glue_put_doubles(one, STAGE_ITEMS, fit->location, ivn->problem.nets->first.n_location);
    glue_put_dbl(one, STAGE_ITEMS + 1, fit->rho);
    glue_put_doubles(one, STAGE_ITEMS + 2, fit->spread, MRL_FIRST_SPREAD);
  }
}

static void write_second(SEXP value, int slot, const mrl_ivn *ivn)
{
  static const char *const names[] = {STAGE_NAMES, "theta", "order", "lambda", "rho", "df", "bic"};
  SEXP list = glue_put_list(value, slot, names, STAGE_ITEMS + 6);
  write_stage(list, ivn, ivn->problem.settings.cross_fit);
  if (ivn->problem.settings.refit) {
    glue_put_doubles(list, STAGE_ITEMS, ivn->theta, mrl_basis_terms(&ivn->problem.nets->basis));
    glue_put_int(list, STAGE_ITEMS + 1, ivn->choice.order);
    glue_put_dbl(list, STAGE_ITEMS + 2, ivn->choice.lambda);
    glue_put_dbl(list, STAGE_ITEMS + 3, ivn->choice.rho);
    glue_put_dbl(list, STAGE_ITEMS + 4, ivn->fit.df);
    glue_put_dbl(list, STAGE_ITEMS + 5, ivn->fit.bic);
  }
}

static void write_held(SEXP value, int slot, const mrl_ivn *ivn, int sample)
{
  int *to = glue_list_int(value, slot, (R_xlen_t)ivn->problem.n_held[sample]);
  for (size_t i = 0; i < ivn->problem.sample[sample].n; i++) {
    if (ivn->problem.held[sample][i]) {
      *to++ = (int)i + 1;
    }
  }
}

enum {
  DONE,
  EPOCHS_DONE,
  EPOCHS_MOST,
  STAGE,
  LOSS,
  STATE,
  FIRST,
  SECOND,
  X_HAT,
  X_OUT,
  Y_HAT,
  HELD,
  HELD2,
  SCALE,
  TAU,
  FOLD,
  N_ITEMS
};

static void write_rows(SEXP value, const mrl_ivn *ivn)
{
  static const glue_neural_slots slots = {X_HAT, X_OUT, Y_HAT, SCALE, FOLD};
  const mrl_ivn_problem *p = &ivn->problem;
  glue_neural_rows(value, &slots, p, ivn->x_hat, ivn->x_out, ivn->y_hat);
  write_held(value, HELD, ivn, 0);
  write_held(value, HELD2, ivn, 1);
  const int quantiles = p->settings.first.kind == MRL_FIRST_QUANTILE;
  glue_put_doubles(value, TAU, p->nets->first.level, quantiles ? p->settings.first.parts : 0);
}

static void write_progress(SEXP value, const mrl_ivn *ivn)
{
  const int done = ivn->at == ivn->n_stages;
  SET_VECTOR_ELT(value, DONE, Rf_ScalarLogical(done));
  glue_put_int(value, EPOCHS_DONE, (int)mrl_ivn_epochs(ivn));
  glue_put_int(value, EPOCHS_MOST, (int)mrl_ivn_epochs_most(ivn));
  glue_put_int(value, STAGE, (int)ivn->at + 1);
  glue_put_dbl(value, LOSS, mrl_ivn_loss(ivn));
  if (!done) {
    SEXP state = Rf_allocVector(RAWSXP, (R_xlen_t)mrl_ivn_bytes(ivn));
    SET_VECTOR_ELT(value, STATE, state);
    mrl_ivn_save(RAW(state), ivn);
  }
}

static mrl_status run(mrl_ivn *ivn, SEXP settings, SEXP state, const mrl_ctx *ctx)
{
  const int until = glue_item_int(settings, "until");
  if (!Rf_isNull(state)) {
    if (TYPEOF(state) != RAWSXP) {
      Rf_error("internal error: `state` is not raw");
    }
    MRL_TRY(mrl_ivn_load(ivn, RAW(state), (size_t)XLENGTH(state), ctx));
  }
  return mrl_ivn_run(ivn, until == NA_INTEGER ? SIZE_MAX : (size_t)until, ctx);
}

/* The result is allocated after the run: its size follows from how far that came. */
SEXP C_iv_neural_fit(SEXP data, SEXP settings, SEXP state)
{
  static const char *const names[N_ITEMS] = {
      "done",  "epochs_done", "epochs_most", "stage",    "loss",      "state", "first", "second",
      "x_hat", "x_out",       "y_hat",       "held_out", "held_out2", "scale", "tau",   "fold"};
  const glue_iv_data in = glue_neural_data(data);
  const mrl_ivn_settings how = glue_neural_settings(settings);
  const mrl_ctx ctx = glue_ctx(glue_item_int(settings, "n_threads"));
  mrl_ivn_nets *nets = glue_scratch(sizeof *nets);
  mrl_ivn *ivn = glue_scratch(sizeof *ivn);
  mrl_status status = make_fit(ivn, nets, &in, &how, &ctx);
  if (status == MRL_OK) {
    status = run(ivn, settings, state, &ctx);
  }
  if (status != MRL_OK) {
    return glue_result(status, R_NilValue);
  }
  SEXP value = PROTECT(glue_list(names, N_ITEMS));
  write_progress(value, ivn);
  if (ivn->at == ivn->n_stages) {
    write_first(value, FIRST, ivn);
    write_second(value, SECOND, ivn);
    write_rows(value, ivn);
  }
  SEXP out = glue_result(status, value);
  UNPROTECT(1);
  return out;
}
