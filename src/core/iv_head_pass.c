/* Passes over the rows of an outcome model. */
#include "iv_head.h"
#include "prob.h"

#include <math.h>

mrl_status mrl_head_fill(mrl_real *x, const mrl_tile *tile, const void *data)
{
  const mrl_head_pass *p = data;
  const mrl_head_work *work = p->work;
  const size_t nodes = tile->group, n_w = work->basis.n_w;
  for (size_t k = 0; k < nodes; k++) {
    mrl_real *out = x + k * tile->rows;
    for (size_t i = 0; i < tile->rows; i++) {
      out[i] = (mrl_real)work->node[tile->row[i] * nodes + k];
    }
    for (size_t j = 0; j < n_w; j++) {
      out += tile->ld;
      for (size_t i = 0; i < tile->rows; i++) {
        out[i] = (mrl_real)work->w[tile->row[i] * n_w + j];
      }
    }
  }
  return MRL_OK;
}

/* theta'h at node k of the tile's row i, which is row `at` of the block. */
static double linear_part(const mrl_head_pass *p, const mrl_real *output, const mrl_tile *tile,
                          size_t i, size_t k, size_t at)
{
  const mrl_head_work *work = p->work;
  const double *line = work->line + 3 * at, x = work->node[at * tile->group + k];
  const double *theta = p->theta + mrl_basis_polynomial(&work->basis);
  double eta = line[0] + x * (line[1] + x * line[2]);
  for (size_t j = 0; j < work->basis.n_features; j++) {
    eta += theta[j] * (double)output[i + k * tile->rows + j * tile->ld];
  }
  return eta;
}

static void take_mean(const mrl_head_pass *p, const mrl_real *output, const mrl_tile *tile)
{
  mrl_head_work *work = p->work;
  double *to = work->block + mrl_basis_polynomial(&work->basis) * MRL_HEAD_BLOCK;
  for (size_t j = 0; j < work->basis.n_features; j++, to += MRL_HEAD_BLOCK) {
    const mrl_real *from = output + j * tile->ld;
    for (size_t i = 0; i < tile->rows; i++) {
      const double *share = work->share + tile->row[i] * tile->group;
      double sum = 0;
      for (size_t k = 0; k < tile->group; k++) {
        sum += share[k] * (double)from[i + k * tile->rows];
      }
      to[tile->row[i]] = sum;
    }
  }
}

/* Working rows of a binary outcome: D in the block, the probability in value. */
static void take_score(const mrl_head_pass *p, const mrl_real *output, const mrl_tile *tile)
{
  mrl_head_work *work = p->work;
  double *to = work->block + mrl_basis_polynomial(&work->basis) * MRL_HEAD_BLOCK;
  for (size_t i = 0; i < tile->rows; i++) {
    const size_t at = tile->row[i];
    double *power = work->power + 3 * at, probability = 0;
    power[0] = power[1] = power[2] = 0;
    for (size_t j = 0; j < work->basis.n_features; j++) {
      to[at + j * MRL_HEAD_BLOCK] = 0;
    }
    for (size_t k = 0; k < tile->group; k++) {
      const double x = work->node[at * tile->group + k], share = work->share[at * tile->group + k];
      const double g = mrl_logistic(linear_part(p, output, tile, i, k, at));
      const double slope = share * g * (1 - g);
      probability += share * g;
      power[0] += slope;
      power[1] += slope * x;
      power[2] += slope * x * x;
      for (size_t j = 0; j < work->basis.n_features; j++) {
        to[at + j * MRL_HEAD_BLOCK] += slope * (double)output[i + k * tile->rows + j * tile->ld];
      }
    }
    work->value[at] = probability;
  }
}

static void take_value(const mrl_head_pass *p, const mrl_real *output, const mrl_tile *tile)
{
  for (size_t i = 0; i < tile->rows; i++) {
    const size_t at = tile->row[i];
    double sum = 0;
    for (size_t k = 0; k < tile->group; k++) {
      const double eta = p->what == TAKE_OWN ? (double)output[i + k * tile->rows]
                                             : linear_part(p, output, tile, i, k, at);
      sum += p->work->share[at * tile->group + k] * (p->data->binary ? mrl_logistic(eta) : eta);
    }
    p->work->value[at] = sum;
  }
}

static mrl_status take(double *value, mrl_real *d_output, const mrl_real *output,
                       const mrl_tile *tile, const void *data)
{
  const mrl_head_pass *p = data;
  (void)d_output;
  *value = 0;
  if (p->what == TAKE_MEAN) {
    take_mean(p, output, tile);
  } else if (p->what == TAKE_SCORE) {
    take_score(p, output, tile);
  } else {
    take_value(p, output, tile);
  }
  return MRL_OK;
}

/* Nodes, covariates and averages of the block's rows. */
static void start_block(const mrl_head_pass *p, const size_t *row, size_t count)
{
  mrl_head_work *work = p->work;
  const mrl_law *law = p->data->law;
  const size_t n_w = work->basis.n_w, nodes = law->nodes;
  for (size_t i = 0; i < count; i++) {
    double *node = work->node + i * nodes, *share = work->share + i * nodes;
    double *power = work->power + 3 * i;
    mrl_law_nodes(node, share, law, row[i]);
    for (size_t j = 0; j < n_w; j++) {
      const mrl_scale *scale = p->data->w + j;
      work->w[i * n_w + j] = (p->data->sample->w[j][row[i]] - scale->mean) / scale->sd;
    }
    power[0] = 1;
    power[1] = power[2] = 0;
    for (size_t k = 0; k < nodes; k++) {
      power[1] += share[k] * node[k];
      power[2] += share[k] * node[k] * node[k];
    }
    if (p->theta) {
      mrl_basis_line(work->line + 3 * i, &work->basis, p->theta, work->w + i * n_w, 1);
    }
    work->place[i] = i;
  }
}

static mrl_status run_block(const mrl_head_pass *p, const mrl_head_net *net, const size_t *row,
                            size_t count, const mrl_ctx *ctx)
{
  mrl_head_work *work = p->work;
  const mrl_batch batch = {.row = work->place,
                           .n = count,
                           .fill = mrl_head_fill,
                           .fill_data = p,
                           .loss = take,
                           .loss_data = p};
  double none;
  start_block(p, row, count);
  return mrl_net_evaluate(&none, p->what == TAKE_OWN ? &work->whole : &work->run, net->params,
                          net->statistics, &batch, ctx);
}

static double outcome_of(const mrl_head_data *data, size_t row)
{
  return (data->sample->y[row] - data->y->mean) / data->y->sd;
}

/* The outcome's column of a block, and roots of weights; returns the part of the deviance. */
static double finish_block(const mrl_head_pass *p, const size_t *row, size_t count)
{
  mrl_head_work *work = p->work;
  const size_t terms = work->terms;
  double *y = work->block + terms * MRL_HEAD_BLOCK, deviance = 0;
  for (size_t i = 0; i < count; i++) {
    const double weight = mrl_head_weight(p->data, row[i]);
    mrl_basis_fill(work->block + i, MRL_HEAD_BLOCK, &work->basis, work->power + 3 * i,
                   work->w + i * work->basis.n_w, 1);
    y[i] = outcome_of(p->data, row[i]);
    work->root[i] = sqrt(weight);
    if (p->what == TAKE_SCORE) {
      const double g = fmin(fmax(work->value[i], 1e-6), 1 - 1e-6), outcome = y[i];
      deviance -= 2 * weight * (outcome * log(g) + (1 - outcome) * log(1 - g));
      work->root[i] = sqrt(weight / (g * (1 - g)));
      y[i] -= work->value[i];
      for (size_t j = 0; j < terms; j++) {
        y[i] += work->block[i + j * MRL_HEAD_BLOCK] * p->theta[j];
      }
    }
  }
  return deviance;
}

mrl_status mrl_head_gram(double *deviance, mrl_head_work *work, const mrl_head_net *net,
                         const mrl_head_data *data, const double *theta, const mrl_ctx *ctx)
{
  const mrl_head_pass p = {work, data, theta, data->binary ? TAKE_SCORE : TAKE_MEAN};
  const size_t all = work->terms + 1;
  mrl_columns columns = {work->column, work->zero, work->one, work->root, 0, all};
  for (size_t j = 0; j < all; j++) {
    work->column[j] = work->block + j * MRL_HEAD_BLOCK;
    work->zero[j] = 0;
    work->one[j] = 1;
  }
  *deviance = 0;
  for (size_t first = 0; first < data->n_rows; first += MRL_HEAD_BLOCK) {
    const size_t rest = data->n_rows - first, n = rest < MRL_HEAD_BLOCK ? rest : MRL_HEAD_BLOCK;
    mrl_poll(ctx);
    MRL_TRY(run_block(&p, net, data->row + first, n, ctx));
    *deviance += finish_block(&p, data->row + first, n);
    columns.n = n;
    MRL_TRY(mrl_gram(work->gram, &columns, 0, n, first > 0, work->gram_scratch, work->isa, ctx));
  }
  return MRL_OK;
}

mrl_status mrl_head_predict(double *out, mrl_head_work *work, const mrl_head_net *net,
                            const mrl_head_data *data, const double *theta, const mrl_ctx *ctx)
{
  const mrl_head_pass p = {work, data, theta, theta ? TAKE_VALUE : TAKE_OWN};
  for (size_t first = 0; first < data->n_rows; first += MRL_HEAD_BLOCK) {
    const size_t rest = data->n_rows - first, n = rest < MRL_HEAD_BLOCK ? rest : MRL_HEAD_BLOCK;
    mrl_poll(ctx);
    MRL_TRY(run_block(&p, net, data->row + first, n, ctx));
    for (size_t i = 0; i < n; i++) {
      out[data->row[first + i]] = data->y->mean + data->y->sd * work->value[i];
    }
  }
  return MRL_OK;
}
