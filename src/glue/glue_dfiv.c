/* Deep feature IV: fits in slices, replicates, what fitted outcomes say. */
#include "glue_neural.h"

#include "../core/iv_dfiv.h"
#include "../core/iv_dfiv_curve.h"

#include <string.h>
#include <time.h>

static double seconds_now(void)
{
  struct timespec now;
  timespec_get(&now, TIME_UTC);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static mrl_dfiv_settings read_settings(SEXP settings)
{
  const double *ridge = glue_dbl(glue_item(settings, "ridge"), 2, "ridge");
  const mrl_dfiv_settings out = {.mlps = {glue_nn_mlp(settings, "hidden_first"),
                                          glue_nn_mlp(settings, "hidden_exposure"),
                                          glue_nn_mlp(settings, "hidden_covariate")},
                                 .train = glue_nn_train(settings),
                                 .lambda = {ridge[0], ridge[1]},
                                 .choose = glue_item_lgl(settings, "choose"),
                                 .cross_fit = (size_t)glue_item_int(settings, "cross_fit"),
                                 .boot_epochs = (size_t)glue_item_int(settings, "boot_epochs"),
                                 .boot_rate = glue_item_dbl(settings, "boot_rate"),
                                 .n_valid = {(size_t)glue_item_int(settings, "n_valid"),
                                             (size_t)glue_item_int(settings, "n_valid2")},
                                 .seed = glue_item_seed(settings),
                                 .isa = glue_item_isa(settings),
                                 .now = seconds_now};
  return out;
}

static mrl_status make_nets(mrl_dfiv_nets *nets, const mrl_dfiv_mlps *mlps, size_t n_z, size_t n_w)
{
  mrl_arena arena = mrl_arena_measure();
  MRL_TRY(mrl_dfiv_nets_carve(nets, &arena, mlps, n_z, n_w));
  arena = mrl_arena_over(glue_scratch(arena.used), arena.used);
  return mrl_dfiv_nets_carve(nets, &arena, mlps, n_z, n_w);
}

/* A fit that is carved, with its nets; R_alloc memory. */
static mrl_status make_fit(mrl_dfiv *fit, mrl_dfiv_nets *nets, const glue_iv_data *data,
                           const mrl_dfiv_settings *how, const mrl_ctx *ctx)
{
  const mrl_iv_sample *two = data->single ? NULL : &data->two;
  MRL_TRY(make_nets(nets, &how->mlps, data->one.n_z, data->one.n_w));
  mrl_arena arena = mrl_arena_measure();
  MRL_TRY(mrl_dfiv_carve(fit, &arena, nets, &data->one, two, how, ctx));
  arena = mrl_arena_over(glue_scratch(arena.used), arena.used);
  return mrl_dfiv_carve(fit, &arena, nets, &data->one, two, how, ctx);
}

enum { HISTORY_ROWS = 5, STAGE_ITEMS = 6 };
#define STAGE_NAMES "state", "history", "epochs", "best", "stop", "status"

/* State and course of one stage; training is one for both. */
static void write_stage(SEXP list, const mrl_dfiv *fit, const mrl_real *state, size_t size,
                        int is_first)
{
  const size_t epochs = fit->progress.epoch;
  glue_nn_write(glue_list_dbl(list, 0, (R_xlen_t)size), state, size);
  double *history = glue_list_matrix(list, 1, HISTORY_ROWS, epochs);
  for (size_t e = 0; e < epochs; e++, history += HISTORY_ROWS) {
    const mrl_dfiv_epoch *epoch = fit->history + e;
    history[0] = is_first ? epoch->first : epoch->train;
    history[1] = is_first ? NA_REAL : epoch->valid;
    history[2] = epoch->rate;
    history[3] = is_first ? NA_REAL : epoch->seconds;
    history[4] = NA_REAL;
  }
  glue_put_int(list, 2, (int)epochs);
  glue_put_int(list, 3, (int)fit->progress.best_epoch);
  glue_put_int(list, 4, (int)fit->progress.stop);
  glue_put_int(list, 5, (int)(is_first ? MRL_OK : fit->status));
}

static void write_firsts(SEXP value, int slot, const mrl_dfiv *fit)
{
  static const char *const names[] = {STAGE_NAMES, "coef"};
  const size_t folds = fit->settings.cross_fit, size = fit->nets->n_p * fit->nets->n_e;
  SEXP list = Rf_allocVector(VECSXP, (R_xlen_t)folds);
  SET_VECTOR_ELT(value, slot, list);
  for (size_t k = 0; k < folds; k++) {
    SEXP one = glue_put_list(list, (int)k, names, STAGE_ITEMS + 1);
    write_stage(one, fit, mrl_dfiv_instrument_state(fit, k), mrl_dfiv_instrument_size(fit->nets),
                1);
    glue_put_doubles(one, STAGE_ITEMS, fit->model.v[k].coef, size);
  }
}

static void write_second(SEXP value, int slot, const mrl_dfiv *fit)
{
  static const char *const names[] = {STAGE_NAMES, "theta", "ridge", "error"};
  SEXP list = glue_put_list(value, slot, names, STAGE_ITEMS + 3);
  write_stage(list, fit, mrl_dfiv_outcome_state(fit), mrl_dfiv_outcome_size(fit->nets), 0);
  glue_put_doubles(list, STAGE_ITEMS, fit->model.u.coef, fit->nets->terms);
  glue_put_doubles(list, STAGE_ITEMS + 1, fit->lambda, 2);
  glue_put_dbl(list, STAGE_ITEMS + 2, fit->error);
}

static void write_held(SEXP value, int slot, const mrl_dfiv *fit, int sample)
{
  int *to = glue_list_int(value, slot, (R_xlen_t)fit->n_held[sample]);
  for (size_t i = 0; i < fit->n_held[sample]; i++) {
    to[i] = (int)fit->row[sample][fit->n_train[sample] + i] + 1;
  }
}

enum {
  DONE,
  EPOCHS_DONE,
  EPOCHS_MOST,
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
  FOLD,
  N_ITEMS
};

static void write_rows(SEXP value, const mrl_dfiv *fit)
{
  static const glue_neural_slots slots = {X_HAT, X_OUT, Y_HAT, SCALE, FOLD};
  glue_neural_rows(value, &slots, &fit->problem, fit->x_hat, fit->x_out, fit->y_hat);
  write_held(value, HELD, fit, 0);
  write_held(value, HELD2, fit, 1);
}

static void write_progress(SEXP value, const mrl_dfiv *fit)
{
  const mrl_progress *progress = &fit->progress;
  SET_VECTOR_ELT(value, DONE, Rf_ScalarLogical(fit->done));
  glue_put_int(value, EPOCHS_DONE, (int)progress->epoch);
  glue_put_int(value, EPOCHS_MOST, (int)fit->settings.train.epochs);
  const mrl_dfiv_epoch *last = fit->history + progress->epoch - 1;
  glue_put_dbl(value, LOSS,
               progress->epoch == 0 ? NA_REAL
               : fit->n_held[1] > 0 ? last->valid
                                    : last->train);
  if (!fit->done) {
    SEXP state = Rf_allocVector(RAWSXP, (R_xlen_t)mrl_dfiv_bytes(fit));
    SET_VECTOR_ELT(value, STATE, state);
    mrl_dfiv_save(RAW(state), fit);
  }
}

static mrl_status run(mrl_dfiv *fit, SEXP settings, SEXP state, const mrl_ctx *ctx)
{
  const int until = glue_item_int(settings, "until");
  MRL_TRY(mrl_dfiv_start(fit, ctx));
  if (!Rf_isNull(state)) {
    if (TYPEOF(state) != RAWSXP) {
      Rf_error("internal error: `state` is not raw");
    }
    MRL_TRY(mrl_dfiv_load(fit, RAW(state), (size_t)XLENGTH(state)));
  }
  return mrl_dfiv_run(fit, until == NA_INTEGER ? SIZE_MAX : (size_t)until, ctx);
}

SEXP C_dfiv_fit(SEXP data, SEXP settings, SEXP state)
{
  static const char *const names[N_ITEMS] = {
      "done",  "epochs_done", "epochs_most", "loss",     "state",     "first", "second",
      "x_hat", "x_out",       "y_hat",       "held_out", "held_out2", "scale", "fold"};
  const glue_iv_data in = glue_neural_data(data);
  const mrl_dfiv_settings how = read_settings(settings);
  const mrl_ctx ctx = glue_ctx(glue_item_int(settings, "n_threads"));
  mrl_dfiv_nets *nets = glue_scratch(sizeof *nets);
  mrl_dfiv *fit = glue_scratch(sizeof *fit);
  mrl_status status = make_fit(fit, nets, &in, &how, &ctx);
  if (status == MRL_OK) {
    status = run(fit, settings, state, &ctx);
  }
  if (status != MRL_OK) {
    return glue_result(status, R_NilValue);
  }
  SEXP value = PROTECT(glue_list(names, N_ITEMS));
  write_progress(value, fit);
  if (fit->done) {
    write_firsts(value, FIRST, fit);
    write_second(value, SECOND, fit);
    write_rows(value, fit);
  }
  SEXP out = glue_result(status, value);
  UNPROTECT(1);
  return out;
}

/* All nets of a fit in one piece, as they lie in the core. */
static mrl_dfiv_fit read_fit(SEXP fit, const mrl_dfiv_nets *nets, const mrl_dfiv_settings *how,
                             const mrl_iv_sample *one)
{
  SEXP first = glue_item(fit, "first"), second = glue_item(fit, "second");
  const size_t each = mrl_dfiv_instrument_size(nets), last = mrl_dfiv_outcome_size(nets);
  mrl_real *state = glue_scratch((how->cross_fit * each + last + 1) * sizeof *state);
  if (TYPEOF(first) != VECSXP || XLENGTH(first) != (R_xlen_t)how->cross_fit) {
    Rf_error("internal error: `first` does not have a stage for each fold");
  }
  for (size_t k = 0; k <= how->cross_fit; k++) {
    SEXP stage = k < how->cross_fit ? VECTOR_ELT(first, (R_xlen_t)k) : second;
    const size_t size = k < how->cross_fit ? each : last;
    const double *from = glue_dbl(glue_item(stage, "state"), (R_xlen_t)size, "state");
    for (size_t i = 0; i < size; i++) {
      state[k * each + i] = (mrl_real)from[i];
    }
  }
  const double *ridge = glue_dbl(glue_item(second, "ridge"), 2, "ridge");
  const mrl_dfiv_fit out = {
      .state = state,
      .lambda = {ridge[0], ridge[1]},
      .scale = glue_dbl(glue_item(fit, "scale"), 2 * (R_xlen_t)(one->n_z + one->n_w + 2), "scale"),
      .fold = glue_int(glue_item(fit, "fold"), (R_xlen_t)one->n, "fold")};
  return out;
}

static mrl_status make_boot(mrl_dfiv_boot *boot, const glue_iv_data *data)
{
  const mrl_iv_sample *two = data->single ? NULL : &data->two;
  mrl_arena arena = mrl_arena_measure();
  MRL_TRY(mrl_dfiv_boot_carve(boot, &arena, &data->one, two));
  arena = mrl_arena_over(glue_scratch(arena.used), arena.used);
  return mrl_dfiv_boot_carve(boot, &arena, &data->one, two);
}

/* Replicates one after the other; one that fails has no numbers. */
SEXP C_dfiv_boot(SEXP data, SEXP settings, SEXP fit, SEXP from, SEXP count)
{
  static const char *const names[] = {"params", "statistics", "theta", "status"};
  const glue_iv_data in = glue_neural_data(data);
  const mrl_dfiv_settings how = read_settings(settings);
  const mrl_ctx ctx = glue_ctx(glue_item_int(settings, "n_threads"));
  const int first = glue_int(from, 1, "from")[0], n = glue_int(count, 1, "count")[0];
  mrl_dfiv_nets *nets = glue_scratch(sizeof *nets);
  mrl_dfiv *work = glue_scratch(sizeof *work);
  mrl_dfiv_boot *boot = glue_scratch(sizeof *boot);
  mrl_status status = make_fit(work, nets, &in, &how, &ctx);
  if (status == MRL_OK) {
    status = make_boot(boot, &in);
  }
  if (status != MRL_OK) {
    return glue_result(status, R_NilValue);
  }
  const mrl_dfiv_fit start = read_fit(fit, nets, &how, &in.one);
  const size_t size = mrl_dfiv_outcome_size(nets), terms = nets->terms;
  mrl_real *state = glue_scratch((size + 1) * sizeof *state);
  SEXP value = PROTECT(glue_list(names, 4));
  double *params = glue_list_matrix(value, 0, size, (size_t)n);
  glue_list_matrix(value, 1, 0, (size_t)n);
  double *theta = glue_list_matrix(value, 2, terms, (size_t)n);
  int *stage = glue_list_int(value, 3, n);
  for (size_t r = 0; r < (size_t)n; r++) {
    status =
        mrl_dfiv_replicate(state, theta + r * terms, work, boot, &start, (size_t)first + r, &ctx);
    stage[r] = (int)status;
    for (size_t i = 0; i < size; i++) {
      params[r * size + i] = status == MRL_OK ? (double)state[i] : NA_REAL;
    }
    for (size_t i = 0; status != MRL_OK && i < terms; i++) {
      theta[r * terms + i] = NA_REAL;
    }
  }
  SEXP result = glue_result(MRL_OK, value);
  UNPROTECT(1);
  return result;
}

static mrl_status make_curve(mrl_dfiv_curve *curve, const mrl_dfiv_nets *nets, size_t n,
                             size_t levels, mrl_isa isa, const mrl_ctx *ctx)
{
  mrl_arena arena = mrl_arena_measure();
  MRL_TRY(mrl_dfiv_curve_carve(curve, &arena, nets, n, levels, isa, ctx));
  arena = mrl_arena_over(glue_scratch(arena.used), arena.used);
  return mrl_dfiv_curve_carve(curve, &arena, nets, n, levels, isa, ctx);
}

/* what: as C_iv_neural_outcome. Parameters in a matrix: a column of the result for each of its. */
SEXP C_dfiv_outcome(SEXP network, SEXP x, SEXP w, SEXP weights, SEXP settings)
{
  const mrl_dfiv_what what = (mrl_dfiv_what)glue_item_int(settings, "what");
  const R_xlen_t n = glue_item_int(settings, "n");
  const double *px = glue_dbl(x, what == MRL_DFIV_LEVELS ? -1 : n, "x");
  const mrl_ctx ctx = glue_ctx(glue_item_int(settings, "n_threads"));
  const size_t n_w = glue_ncol(w, n, "w"), levels = (size_t)XLENGTH(x);
  const mrl_dfiv_people people = {glue_neural_columns(w, n_w, n, "w"),
                                  glue_dbl_or_null(weights, n, "weights"), (size_t)n};
  const mrl_mlp linear = {.n_hidden = 0};
  const mrl_dfiv_mlps mlps = {linear, glue_nn_mlp(network, "hidden_exposure"),
                              glue_nn_mlp(network, "hidden_covariate")};
  SEXP params = glue_item(network, "params");
  const int is_matrix = Rf_isMatrix(params);
  const size_t models = is_matrix ? (size_t)Rf_ncols(params) : 1;
  mrl_dfiv_nets *nets = glue_scratch(sizeof *nets);
  mrl_dfiv_curve *curve = glue_scratch(sizeof *curve);
  mrl_status status = make_nets(nets, &mlps, 0, n_w);
  if (status == MRL_OK) {
    status = make_curve(curve, nets, (size_t)n, levels, glue_item_isa(settings), &ctx);
  }
  if (status != MRL_OK) {
    return glue_result(status, R_NilValue);
  }
  const size_t size = mrl_dfiv_outcome_size(nets), terms = nets->terms;
  const double *from = glue_dbl(params, (R_xlen_t)(size * models), "params");
  const double *theta = glue_dbl(glue_item(network, "theta"), (R_xlen_t)(terms * models), "theta");
  const mrl_scale *sx = glue_neural_scales(network, "scale_x", 1);
  const mrl_scale *sy = glue_neural_scales(network, "scale_y", 1);
  mrl_real *state = glue_scratch((size + 1) * sizeof *state);
  const R_xlen_t each = what == MRL_DFIV_ROWS ? n : what == MRL_DFIV_LEVELS ? XLENGTH(x) : 1;
  SEXP value = PROTECT(is_matrix ? Rf_allocMatrix(REALSXP, (int)each, (int)models)
                                 : Rf_allocVector(REALSXP, each));
  mrl_dfiv_curve_start(curve, &people, px, glue_neural_scales(network, "scale_w", n_w), sx);
  for (size_t r = 0; status == MRL_OK && r < models; r++) {
    const mrl_dfiv_outcome outcome = {state, theta + r * terms};
    for (size_t i = 0; i < size; i++) {
      state[i] = (mrl_real)from[r * size + i];
    }
    status = mrl_dfiv_curve_run(REAL(value) + (R_xlen_t)r * each, curve, &outcome, what, &people,
                                sx, sy, &ctx);
  }
  SEXP out = glue_result(status, value);
  UNPROTECT(1);
  return out;
}

static mrl_status make_expose(mrl_dfiv_expose *expose, const mrl_dfiv_nets *nets, size_t n,
                              mrl_isa isa, const mrl_ctx *ctx)
{
  mrl_arena arena = mrl_arena_measure();
  MRL_TRY(mrl_dfiv_expose_carve(expose, &arena, nets, n, isa, ctx));
  arena = mrl_arena_over(glue_scratch(arena.used), arena.used);
  return mrl_dfiv_expose_carve(expose, &arena, nets, n, isa, ctx);
}

SEXP C_dfiv_exposure(SEXP network, SEXP z, SEXP w, SEXP settings)
{
  const R_xlen_t n = glue_item_int(settings, "n");
  const mrl_ctx ctx = glue_ctx(glue_item_int(settings, "n_threads"));
  const size_t n_z = glue_count_columns(z, n, "z"), n_w = glue_count_columns(w, n, "w");
  const double *const *zs = glue_neural_columns(z, n_z, n, "z");
  const double *const *ws = glue_neural_columns(w, n_w, n, "w");
  const mrl_mlp linear = {.n_hidden = 0};
  const mrl_dfiv_mlps mlps = {glue_nn_mlp(network, "hidden"), linear, linear};
  mrl_dfiv_nets *nets = glue_scratch(sizeof *nets);
  mrl_dfiv_expose *expose = glue_scratch(sizeof *expose);
  mrl_status status = make_nets(nets, &mlps, n_z, n_w);
  if (status == MRL_OK) {
    status = make_expose(expose, nets, (size_t)n, glue_item_isa(settings), &ctx);
  }
  if (status != MRL_OK) {
    return glue_result(status, R_NilValue);
  }
  const size_t size = mrl_dfiv_instrument_size(nets);
  const double *from = glue_dbl(glue_item(network, "state"), (R_xlen_t)size, "state");
  const double *coef = glue_dbl(glue_item(network, "coef"), (R_xlen_t)nets->n_p, "coef");
  const mrl_scale *scale = glue_neural_scales(network, "scale", n_z + n_w + 1);
  SEXP value = PROTECT(Rf_allocVector(REALSXP, n));
  status =
      mrl_dfiv_expose_run(REAL(value), expose, zs, ws, scale, glue_nn_read(from, size), coef, &ctx);
  SEXP out = glue_result(status, value);
  UNPROTECT(1);
  return out;
}
