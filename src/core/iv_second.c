#include "iv_second.h"

/* Rows and epochs share the number of a stream; rows held out have an epoch of their own. */
enum { ROW_BITS = 32 };
static const uint64_t HELD_EPOCH = ((uint64_t)1 << (56 - ROW_BITS)) - 1;

size_t mrl_second_group(mrl_first_kind kind, size_t parts, size_t n_draws)
{
  return kind == MRL_FIRST_QUANTILE ? parts : 2 * n_draws;
}

static void fill_covariates(mrl_real *x, const mrl_tile *tile, const mrl_second_data *in)
{
  const size_t n_z = in->n_inputs - in->n_w;
  for (size_t j = 0; j < in->n_w; j++) {
    for (size_t k = 0; k < tile->group; k++) {
      mrl_real *out = x + (j + 1) * tile->ld + k * tile->rows;
      for (size_t i = 0; i < tile->rows; i++) {
        out[i] = in->input[tile->row[i] * in->n_inputs + n_z + j];
      }
    }
  }
}

static mrl_status fill_quantiles(mrl_real *x, const mrl_tile *tile, const void *data)
{
  const mrl_second_data *in = data;
  for (size_t i = 0; i < tile->rows; i++) {
    const mrl_real *shape = in->law->shape + tile->row[i] * in->law->width;
    const mrl_real location = (mrl_real)in->law->location[tile->row[i]];
    for (size_t k = 0; k < tile->group; k++) {
      x[i + k * tile->rows] = location + shape[k];
    }
  }
  fill_covariates(x, tile, in);
  return MRL_OK;
}

static mrl_status fill_draws(mrl_real *x, const mrl_tile *tile, const void *data)
{
  const mrl_second_data *in = data;
  for (size_t i = 0; i < tile->rows; i++) {
    const size_t row = tile->row[i];
    const uint64_t epoch = in->held && in->held[row] ? HELD_EPOCH : tile->epoch;
    mrl_rng rng = mrl_rng_stream(in->seed, MRL_RNG_NET_DRAW, epoch << ROW_BITS | row);
    for (size_t k = 0; k < tile->group; k++) {
      x[i + k * tile->rows] = (mrl_real)mrl_law_draw(in->law, row, &rng);
    }
  }
  fill_covariates(x, tile, in);
  return MRL_OK;
}

mrl_task mrl_second_task(mrl_second_data *data, const size_t *train, size_t n_train,
                         const size_t *valid, size_t n_valid)
{
  const mrl_law *law = data->law;
  const int quantiles = law->kind == MRL_FIRST_QUANTILE;
  const mrl_loss loss = {.kind = data->binary ? MRL_LOSS_BINARY
                                 : quantiles  ? MRL_LOSS_SQUARED
                                              : MRL_LOSS_PRODUCT,
                         .outputs = 1,
                         .targets = 1,
                         .y = data->y,
                         .weight = data->weight};
  data->loss = loss;
  const mrl_task task = {.train = train,
                         .valid = valid,
                         .n_train = n_train,
                         .n_valid = n_valid,
                         .group = mrl_second_group(law->kind, law->parts, data->n_draws),
                         .fill = quantiles ? fill_quantiles : fill_draws,
                         .fill_data = data,
                         .loss = mrl_loss_tile,
                         .loss_data = &data->loss};
  return task;
}
