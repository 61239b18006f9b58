#include "glue_nn.h"

mrl_mlp glue_nn_mlp(SEXP settings, const char *hidden)
{
  SEXP units = glue_item(settings, hidden);
  const mrl_mlp mlp = {.hidden = glue_int(units, -1, hidden),
                       .n_hidden = (size_t)XLENGTH(units),
                       .activation = (mrl_activation)glue_item_int(settings, "activation"),
                       .slope = 0.01,
                       .batch_norm = glue_item_lgl(settings, "batch_norm"),
                       .dropout = glue_item_dbl(settings, "dropout")};
  return mlp;
}

static mrl_optimizer read_optimizer(SEXP settings)
{
  const double *betas = glue_dbl(glue_item(settings, "betas"), 2, "betas");
  const mrl_optimizer optimizer = {.kind = (mrl_optimizer_kind)glue_item_int(settings, "optimizer"),
                                   .momentum = glue_item_dbl(settings, "momentum"),
                                   .beta1 = betas[0],
                                   .beta2 = betas[1],
                                   .eps = glue_item_dbl(settings, "epsilon"),
                                   .decay = glue_item_dbl(settings, "weight_decay"),
                                   .clip = glue_item_dbl(settings, "clip")};
  return optimizer;
}

mrl_train_settings glue_nn_train(SEXP settings)
{
  const mrl_schedule schedule = {.kind = (mrl_schedule_kind)glue_item_int(settings, "schedule"),
                                 .floor = glue_item_dbl(settings, "min_rate"),
                                 .factor = glue_item_dbl(settings, "factor"),
                                 .patience = (size_t)glue_item_int(settings, "schedule_patience")};
  const mrl_train_settings train = {.epochs = (size_t)glue_item_int(settings, "epochs"),
                                    .batch = (size_t)glue_item_int(settings, "batch_size"),
                                    .patience = (size_t)glue_item_int(settings, "patience"),
                                    .rate = glue_item_dbl(settings, "learning_rate"),
                                    .optimizer = read_optimizer(settings),
                                    .schedule = schedule};
  return train;
}

void glue_nn_write(double *out, const mrl_real *x, size_t n)
{
  for (size_t i = 0; i < n; i++) {
    out[i] = (double)x[i];
  }
}

mrl_real *glue_nn_read(const double *x, size_t n)
{
  mrl_real *out = glue_scratch(n * sizeof *out);
  for (size_t i = 0; i < n; i++) {
    out[i] = (mrl_real)x[i];
  }
  return out;
}
