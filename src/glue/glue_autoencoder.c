/* The autoencoder of instruments from several environments. */
#include "glue.h"
#include "glue_nn.h"

#include "../core/iv_latent.h"

/* Settings, data, and the networks, laid out over their own memory. */
typedef struct {
  mrl_latent_settings settings;
  mrl_latent_data data;
  mrl_latent_nets nets;
} autoencoder;

static mrl_coder read_coder(SEXP settings, const char *kind, const char *hidden)
{
  SEXP units = glue_item(settings, hidden);
  const mrl_coder coder = {.kind = (mrl_code)glue_item_int(settings, kind),
                           .degree = (size_t)glue_item_int(settings, "degree"),
                           .hidden = glue_int(units, -1, hidden),
                           .n_hidden = (size_t)XLENGTH(units)};
  return coder;
}

static mrl_latent_penalty read_penalty(SEXP settings, size_t batch)
{
  SEXP width_v = glue_item(settings, "bandwidth_v"), width_w = glue_item(settings, "bandwidth_w");
  const mrl_latent_penalty penalty = {.batch = batch,
                                      .dv = (size_t)glue_item_int(settings, "dim_v"),
                                      .dw = (size_t)glue_item_int(settings, "dim_w"),
                                      .match = (mrl_match)glue_item_int(settings, "kernel"),
                                      .whiten = glue_item_lgl(settings, "whiten"),
                                      .neighbours = (size_t)glue_item_int(settings, "neighbours"),
                                      .mmd = glue_item_dbl(settings, "mmd"),
                                      .hsic = glue_item_dbl(settings, "hsic"),
                                      .entropy = glue_item_dbl(settings, "entropy"),
                                      .bandwidth_v = glue_dbl(width_v, -1, "bandwidth_v"),
                                      .bandwidth =
                                          glue_dbl(width_w, XLENGTH(width_v), "bandwidth_w"),
                                      .n_bandwidth = (size_t)XLENGTH(width_v)};
  return penalty;
}

static mrl_latent_settings read_latent(SEXP settings)
{
  const mrl_train_settings train = glue_nn_train(settings);
  const mrl_latent_settings out = {.encoder = read_coder(settings, "encoder", "hidden_encoder"),
                                   .decoder = read_coder(settings, "decoder", "hidden_decoder"),
                                   .penalty = read_penalty(settings, train.batch),
                                   .reconstruction = glue_item_dbl(settings, "reconstruction"),
                                   .relevance = glue_item_dbl(settings, "relevance"),
                                   .epochs = train.epochs,
                                   .restarts = (size_t)glue_item_int(settings, "restarts"),
                                   .rate = train.rate,
                                   .optimizer = train.optimizer,
                                   .schedule = train.schedule,
                                   .n_valid = (size_t)glue_item_int(settings, "n_valid"),
                                   .seed = glue_item_seed(settings),
                                   .isa = glue_item_isa(settings)};
  return out;
}

/* z (n, p) by row, in numbers of networks. */
static mrl_real *read_by_row(SEXP z, R_xlen_t n, size_t p)
{
  const mrl_scale as_it_is = {0, 1};
  mrl_real *out = glue_scratch((size_t)n * p * sizeof *out);
  for (size_t j = 0; j < p; j++) {
    mrl_scale_column(out + j, p, REAL(z) + j * (size_t)n, &as_it_is, (size_t)n);
  }
  return out;
}

/* exposure: (n, kx), or NULL where the networks are not trained. */
static mrl_status read_autoencoder(autoencoder *to, SEXP z, const int *n_row, size_t n_env,
                                   SEXP exposure, SEXP settings)
{
  const R_xlen_t n = Rf_nrows(z);
  const size_t p = glue_ncol(z, n, "z");
  to->settings = read_latent(settings);
  to->data = (mrl_latent_data){
      .z = read_by_row(z, n, p), .n_row = n_row, .n = (size_t)n, .p = p, .n_env = n_env};
  if (exposure != R_NilValue) {
    to->data.kx = glue_ncol(exposure, n, "exposure");
    to->data.x = read_by_row(exposure, n, to->data.kx);
  } else {
    to->settings.relevance = 0;
  }
  mrl_arena arena = mrl_arena_measure();
  MRL_TRY(mrl_latent_nets_carve(&to->nets, &arena, &to->settings, p, to->data.kx));
  arena = mrl_arena_over(glue_scratch(arena.used), arena.used);
  return mrl_latent_nets_carve(&to->nets, &arena, &to->settings, p, to->data.kx);
}

static void write_numbers(double *history, double *verdict, const mrl_latent_epoch *epoch,
                          const mrl_latent_verdict *of, size_t epochs, size_t restarts)
{
  const size_t n = epochs * restarts;
  for (size_t i = 0; i < n; i++) {
    const double row[] = {epoch[i].loss,    epoch[i].mse,       epoch[i].mmd, epoch[i].hsic,
                          epoch[i].entropy, epoch[i].relevance, epoch[i].rate};
    for (size_t j = 0; j < 7; j++) {
      history[i + j * n] = row[j];
    }
  }
  for (size_t r = 0; r < restarts; r++) {
    verdict[r] = of[r].mmd;
    verdict[r + restarts] = of[r].hsic;
    verdict[r + 2 * restarts] = of[r].mse;
  }
}

/* z (n, p) and exposure (n, kx; NULL without relevance) with the rows of environment after
 * environment, n_row (n_env) of each. start: an encoder's parameters, or NULL. */
SEXP C_autoencoder_fit(SEXP z, SEXP n_row, SEXP exposure, SEXP start, SEXP settings)
{
  static const char *const names[] = {"params", "history", "verdict", "n_encoder", "held_out"};
  const size_t n_env = (size_t)XLENGTH(n_row);
  const mrl_ctx ctx = glue_ctx(glue_item_int(settings, "n_threads"));
  autoencoder own;
  mrl_status status =
      read_autoencoder(&own, z, glue_int(n_row, -1, "n_row"), n_env, exposure, settings);
  if (status != MRL_OK) {
    return glue_result(status, R_NilValue);
  }
  const size_t restarts = own.settings.restarts, epochs = own.settings.epochs;
  const size_t n_params = own.nets.n_params, n_encoder = own.nets.encoder.net.n_params;
  const double *from = glue_dbl_or_null(start, (R_xlen_t)n_encoder, "start");
  SEXP value = PROTECT(glue_list(names, 5));
  double *params = glue_list_matrix(value, 0, n_params, restarts);
  double *history = glue_list_matrix(value, 1, epochs * restarts, 7);
  double *verdict = glue_list_matrix(value, 2, restarts, 3);
  *glue_list_dbl(value, 3, 1) = (double)n_encoder;
  size_t batch, n_valid;
  mrl_latent_rows(&batch, &n_valid, &own.settings, &own.data);
  double *held_out = glue_list_dbl(value, 4, (R_xlen_t)(n_valid * n_env));
  size_t *valid = glue_scratch(n_valid * n_env * sizeof *valid);
  mrl_real *trained = glue_scratch(n_params * restarts * sizeof *trained);
  mrl_latent_epoch *epoch = glue_scratch(epochs * restarts * sizeof *epoch);
  mrl_latent_verdict *judged = glue_scratch(restarts * sizeof *judged);
  void *scratch = glue_scratch(mrl_latent_scratch(&own.settings, &own.nets, &own.data));
  status = mrl_latent_train(trained, epoch, judged, valid, &own.settings, &own.nets, &own.data,
                            from ? glue_nn_read(from, n_encoder) : NULL, scratch, &ctx);
  if (status == MRL_OK) {
    glue_nn_write(params, trained, n_params * restarts);
    write_numbers(history, verdict, epoch, judged, epochs, restarts);
    for (size_t i = 0; i < n_valid * n_env; i++) {
      held_out[i] = (double)valid[i] + 1;
    }
  }
  SEXP out = glue_result(status, value);
  UNPROTECT(1);
  return out;
}

/* The latent (n, V + W) of any rows z (n, p); params: of the encoder. */
SEXP C_autoencoder_encode(SEXP z, SEXP params, SEXP settings)
{
  const int rows = Rf_nrows(z);
  const mrl_ctx ctx = glue_ctx(glue_item_int(settings, "n_threads"));
  autoencoder own;
  mrl_status status = read_autoencoder(&own, z, &rows, 1, R_NilValue, settings);
  if (status != MRL_OK) {
    return glue_result(status, R_NilValue);
  }
  const size_t n_encoder = own.nets.encoder.net.n_params, d = own.nets.encoder.net.n_outputs;
  const mrl_real *from = glue_nn_read(glue_dbl(params, (R_xlen_t)n_encoder, "params"), n_encoder);
  SEXP latent = PROTECT(Rf_allocMatrix(REALSXP, rows, (int)d));
  void *scratch =
      glue_scratch(mrl_latent_encode_scratch(&own.nets, &own.data, own.settings.isa, &ctx));
  status =
      mrl_latent_encode(REAL(latent), from, &own.nets, &own.data, scratch, own.settings.isa, &ctx);
  SEXP out = glue_result(status, latent);
  UNPROTECT(1);
  return out;
}
