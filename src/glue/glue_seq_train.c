/* Training of networks on sequences. */
#include "glue_nn.h"
#include "glue_seq.h"

#include "../core/seqtrain.h"

#include <time.h>

static double seconds_now(void)
{
  struct timespec t;
  return timespec_get(&t, TIME_UTC) ? (double)t.tv_sec + 1e-9 * (double)t.tv_nsec : 0;
}

/* Whole numbers from 0, each below limit. */
static size_t *read_rows(SEXP settings, const char *name, size_t limit, size_t *n)
{
  SEXP field = glue_item(settings, name);
  const int *row = glue_int(field, -1, name);
  *n = (size_t)XLENGTH(field);
  size_t *out = glue_scratch((*n + 1) * sizeof *out);
  for (size_t i = 0; i < *n; i++) {
    if (row[i] < 0 || (size_t)row[i] >= limit) {
      Rf_error("internal error: `%s` names a sequence that is not there", name);
    }
    out[i] = (size_t)row[i];
  }
  return out;
}

/* head (4, n): kind, first, count, channels of each; weights (n). */
static mrl_seqloss_head *read_heads(SEXP settings, const mrl_seqnet *net, size_t *n)
{
  SEXP field = glue_item(settings, "heads");
  *n = (size_t)XLENGTH(field) / 4;
  const int *f = glue_int(field, (R_xlen_t)(4 * *n), "heads");
  const double *weight =
      glue_dbl(glue_item(settings, "head_weights"), (R_xlen_t)*n, "head_weights");
  mrl_seqloss_head *heads = glue_scratch(*n * sizeof *heads);
  for (size_t h = 0; h < *n; h++, f += 4) {
    const mrl_seqloss_head head = {(mrl_seqloss_kind)f[0], (size_t)f[1], (size_t)f[2], (size_t)f[3],
                                   weight[h]};
    if (f[0] < 0 || f[0] >= MRL_N_LOSS_HEAD || f[1] < 0 || f[2] < 1 || f[3] < 1 ||
        f[2] % f[3] != 0 || head.first + head.count > net->n_outputs) {
      Rf_error("internal error: `heads` do not fit the network's outputs");
    }
    heads[h] = head;
  }
  return heads;
}

static mrl_status carve_train(mrl_seqtrain *train, const mrl_seqtrain_task *task,
                              const mrl_ctx *ctx)
{
  mrl_arena arena = mrl_arena_measure();
  MRL_TRY(mrl_seqtrain_steps(train, &arena, task));
  arena = mrl_arena_over(glue_scratch(arena.used), arena.used);
  MRL_TRY(mrl_seqtrain_steps(train, &arena, task));
  arena = mrl_arena_measure();
  MRL_TRY(mrl_seqtrain_carve(train, &arena, ctx));
  arena = mrl_arena_over(glue_scratch(arena.used), arena.used);
  return mrl_seqtrain_carve(train, &arena, ctx);
}

/* history (4, epochs done); state: raw, empty once it has stopped. */
static SEXP list_training(const mrl_seqtrain *train)
{
  static const char *const names[] = {"parameters", "history", "best_epoch", "stop", "state"};
  const int goes_on = train->progress.stop == MRL_GOES_ON;
  SEXP out = PROTECT(glue_list(names, 5));
  mrl_seqtrain_unload(glue_list_dbl(out, 0, (R_xlen_t)train->net->n_load), train);
  double *row = glue_list_matrix(out, 1, 4, train->progress.epoch);
  for (size_t e = 0; e < train->progress.epoch; e++, row += 4) {
    row[0] = train->history[e].train;
    row[1] = train->history[e].valid;
    row[2] = train->history[e].rate;
    row[3] = train->history[e].seconds;
  }
  *glue_list_dbl(out, 2, 1) = (double)train->progress.best_epoch;
  *glue_list_int(out, 3, 1) = (int)train->progress.stop;
  SEXP state = Rf_allocVector(RAWSXP, goes_on ? (R_xlen_t)mrl_seqtrain_bytes(train) : 0);
  SET_VECTOR_ELT(out, 4, state);
  if (goes_on) {
    mrl_seqtrain_save(RAW(state), train);
  }
  UNPROTECT(1);
  return out;
}

/* On from a state, or from the start, until settings$until epochs are done (NA: all). */
static mrl_status run_training(mrl_seqtrain *train, SEXP state, SEXP settings, const mrl_ctx *ctx)
{
  const int until = glue_item_int(settings, "until");
  if (!Rf_isNull(state)) {
    if (TYPEOF(state) != RAWSXP) {
      Rf_error("internal error: `state` is not raw");
    }
    MRL_TRY(mrl_seqtrain_load(train, RAW(state), (size_t)XLENGTH(state)));
  }
  return mrl_seqtrain_run(train, until == NA_INTEGER ? SIZE_MAX : (size_t)until, ctx);
}

/* labels (n_outputs, n); start: parameters to go on from, or NULL; level (n_outputs), or NULL;
 * state: of an earlier slice, or NULL. */
SEXP C_seq_train(SEXP codes, SEXP labels, SEXP start, SEXP level, SEXP state, SEXP settings)
{
  mrl_seqnet net;
  mrl_seqtrain train;
  size_t bad, n, n_heads;
  mrl_status status = glue_seq_net(&net, &bad, settings);
  if (status != MRL_OK) {
    return glue_result(status, R_NilValue);
  }
  const mrl_ctx ctx = glue_ctx(glue_item_int(settings, "n_threads"));
  const uint8_t *code = glue_seq_codes(codes, &net, &n);
  const double *label = glue_dbl(labels, (R_xlen_t)(n * net.n_outputs), "labels");
  const double *from = glue_dbl_or_null(start, (R_xlen_t)net.n_load, "start");
  const double *bias = glue_dbl_or_null(level, (R_xlen_t)net.n_outputs, "level");
  mrl_train_settings how = glue_nn_train(settings);
  how.seed = glue_item_seed(settings);
  const mrl_seqloss_head *heads = read_heads(settings, &net, &n_heads);
  const mrl_seqpass_data data = {code, glue_nn_read(label, n * net.n_outputs),
                                 (mrl_real)glue_item_dbl(settings, "unknown"), heads, n_heads};
  mrl_seqtrain_task task = {.net = &net, .data = &data, .settings = &how};
  task.train = read_rows(settings, "train", n, &task.n_train);
  task.valid = read_rows(settings, "valid", n, &task.n_valid);
  task.isa = glue_item_isa(settings);
  status = carve_train(&train, &task, &ctx);
  if (status != MRL_OK) {
    return glue_result(status, R_NilValue);
  }
  train.now = seconds_now;
  mrl_seqtrain_start(&train, bias, from);
  status = run_training(&train, state, settings, &ctx);
  SEXP result = PROTECT(list_training(&train));
  result = glue_result(status, result);
  UNPROTECT(1);
  return result;
}
