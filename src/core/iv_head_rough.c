/* How rough the features of an outcome model are in x. */
#include "iv_head.h"

#include <string.h>

/* The features at equally spaced x of one person, whose covariates are in work->w. */
static mrl_status person_grid(mrl_head_work *work, const mrl_head_net *net, double low, double step,
                              const mrl_ctx *ctx)
{
  const size_t features = work->basis.n_features, at = mrl_basis_polynomial(&work->basis);
  const mrl_keep keep = {work->feature, features};
  const mrl_head_pass p = {.work = work};
  const mrl_batch batch = {.row = work->place,
                           .n = GRID_ROWS,
                           .fill = mrl_head_fill,
                           .fill_data = &p,
                           .loss = mrl_keep_tile,
                           .loss_data = &keep};
  double none;
  for (size_t i = 0; i < GRID_ROWS; i++) {
    work->node[i] = low + step * (double)i;
    work->place[i] = i;
  }
  if (features == 0) {
    return MRL_OK;
  }
  mrl_net_run one = work->run;
  one.group = 1; /* the buffers are for more */
  MRL_TRY(mrl_net_evaluate(&none, &one, net->params, net->statistics, &batch, ctx));
  for (size_t j = 0; j < features; j++) {
    for (size_t i = 0; i < GRID_ROWS; i++) {
      work->grid[i + (at + j) * GRID_ROWS] = (double)work->feature[i * features + j];
    }
  }
  return MRL_OK;
}

/* Differences of order `from`, over step^from, become those of order `to`. */
static void differentiate(mrl_head_work *work, size_t from, size_t to, double step)
{
  for (size_t j = mrl_basis_polynomial(&work->basis); j < work->terms; j++) {
    double *f = work->grid + j * GRID_ROWS;
    for (size_t o = from; o < to; o++) {
      for (size_t i = 0; i + 1 + o < GRID_ROWS; i++) {
        f[i] = (f[i + 1] - f[i]) / step;
      }
    }
  }
}

/* The polynomial's derivatives are known: x^2 has the second one 2, all other terms none. */
static void set_polynomial(mrl_head_work *work, int order)
{
  for (size_t j = 0; j < mrl_basis_polynomial(&work->basis); j++) {
    for (size_t i = 0; i < MRL_HEAD_GRID; i++) {
      work->grid[i + j * GRID_ROWS] = order == 2 && work->basis.curved && j == 2 ? 2 : 0;
    }
  }
}

static void add_rough(double *rough, const mrl_head_work *work, double factor)
{
  const size_t terms = work->terms;
  for (size_t j = 0; j < terms; j++) {
    for (size_t l = 0; l <= j; l++) {
      double sum = 0;
      for (size_t i = 0; i < MRL_HEAD_GRID; i++) {
        sum += work->grid[i + j * GRID_ROWS] * work->grid[i + l * GRID_ROWS];
      }
      rough[l + j * terms] += factor * sum;
      rough[j + l * terms] = rough[l + j * terms];
    }
  }
}

static void person_covariates(mrl_head_work *work, const mrl_head_data *data, size_t row)
{
  const size_t n_w = work->basis.n_w;
  for (size_t i = 0; i < GRID_ROWS; i++) {
    for (size_t j = 0; j < n_w; j++) {
      const mrl_scale *scale = data->w + j;
      work->w[i * n_w + j] = (data->sample->w[j][row] - scale->mean) / scale->sd;
    }
  }
}

mrl_status mrl_head_roughness(mrl_head_work *work, const mrl_head_net *net,
                              const mrl_head_data *data, const mrl_head_range *range,
                              const mrl_ctx *ctx)
{
  const size_t most = work->basis.n_w > 0 ? MRL_HEAD_PEOPLE : 1;
  const size_t people = data->n_rows < most ? data->n_rows : most;
  const double step = (range->high - range->low) / (GRID_ROWS - 1);
  for (int o = 0; o < MRL_HEAD_ORDERS; o++) {
    memset(work->rough[o], 0, work->terms * work->terms * sizeof(double));
  }
  for (size_t i = 0; step > 0 && i < people; i++) {
    mrl_poll(ctx);
    person_covariates(work, data, data->row[i * data->n_rows / people]);
    MRL_TRY(person_grid(work, net, range->low, step, ctx));
    for (size_t o = 0; o < MRL_HEAD_ORDERS; o++) {
      differentiate(work, o == 0 ? 0 : o + 1, o + 2, step);
      set_polynomial(work, (int)o + 2);
      add_rough(work->rough[o], work, 1 / (double)(MRL_HEAD_GRID * people));
    }
  }
  return MRL_OK;
}
