/* Deep feature IV: both ridges over all rows, in blocks; the choice of their penalties. */
#include "iv_dfiv.h"

#include <math.h>
#include <string.h>

static size_t first_width(const mrl_dfiv *dfiv)
{
  return dfiv->nets->n_p + dfiv->nets->n_e;
}

static double *first_gram(const mrl_dfiv *dfiv, size_t fold)
{
  return dfiv->first_gram + fold * first_width(dfiv) * first_width(dfiv);
}

/* Rows of the list, from *at on, that lie inside the fold or outside it: as many as a block takes.
 */
static void next_block(mrl_dfiv_rows *out, size_t *at, const mrl_dfiv *dfiv, const size_t *row,
                       size_t n, size_t fold, int inside)
{
  const mrl_dfiv_data *data = &dfiv->model.data;
  out->n = 0;
  for (; *at < n && out->n < MRL_DFIV_BLOCK; (*at)++) {
    if (data->folds == 1 || ((size_t)data->fold[row[*at]] == fold) == inside) {
      out->row[out->n++] = row[*at];
    }
  }
}

mrl_status mrl_dfiv_first_moments(mrl_dfiv *dfiv, const size_t *row, size_t n, const mrl_ctx *ctx)
{
  mrl_dfiv_model *model = &dfiv->model;
  const mrl_dfiv_nets *nets = dfiv->nets;
  mrl_dfiv_rows *a = &model->a;
  for (size_t k = 0; k < model->data.folds; k++) {
    memset(first_gram(dfiv, k), 0, first_width(dfiv) * first_width(dfiv) * sizeof(double));
    for (size_t at = 0; at < n;) {
      mrl_poll(ctx);
      next_block(a, &at, dfiv, row, n, k, 0);
      if (a->n == 0) {
        break;
      }
      MRL_TRY(mrl_dfiv_evaluate(model->feature, model, 1, &model->psi, 0, a->row, a->n, ctx));
      mrl_dfiv_fill_e(model->e, model, a->row, a->n, model->feature);
      MRL_TRY(mrl_dfiv_evaluate(model->feature, model, 0, model->phi + k, 0, a->row, a->n, ctx));
      mrl_dfiv_fill_p(model->p, model, 0, a->row, a->n, model->feature);
      MRL_TRY(mrl_dfiv_gram(first_gram(dfiv, k), model, model->p, nets->n_p, model->e, nets->n_e, 0,
                            a->row, a->n, 1, ctx));
    }
  }
  return MRL_OK;
}

mrl_status mrl_dfiv_first_solve(mrl_dfiv *dfiv, const size_t *row, size_t n, double lambda)
{
  mrl_dfiv_model *model = &dfiv->model;
  const mrl_dfiv_nets *nets = dfiv->nets;
  for (size_t k = 0; k < model->data.folds; k++) {
    double total = 0;
    for (size_t i = 0; i < n; i++) {
      const int outside = model->data.folds == 1 || (size_t)model->data.fold[row[i]] != k;
      total += outside ? (model->data.weight[0] ? model->data.weight[0][row[i]] : 1) : 0;
    }
    if (!(total > 0)) {
      return MRL_TOO_FEW;
    }
    MRL_TRY(mrl_dfiv_solve(model->v + k, first_gram(dfiv, k), nets->n_p, nets->n_e, total, lambda,
                           model->free_v));
  }
  return MRL_OK;
}

/* Ehat, C, F and D at the rows model->b of fold k. */
static mrl_status fill_outcome(mrl_dfiv *dfiv, size_t k, const mrl_ctx *ctx)
{
  mrl_dfiv_model *model = &dfiv->model;
  const mrl_dfiv_nets *nets = dfiv->nets;
  const mrl_dfiv_rows *b = &model->b;
  MRL_TRY(mrl_dfiv_evaluate(model->feature, model, 0, model->phi + k, 1, b->row, b->n, ctx));
  mrl_dfiv_fill_p(model->p, model, 1, b->row, b->n, model->feature);
  MRL_TRY(mrl_dfiv_product(model->ehat, model, model->p, MRL_NO_TRANS, model->v[k].coef,
                           MRL_NO_TRANS, b->n, nets->n_e, nets->n_p, ctx));
  MRL_TRY(mrl_dfiv_evaluate(model->feature, model, 2, &model->xi, 1, b->row, b->n, ctx));
  mrl_dfiv_fill_c(model->c, model, b->row, b->n, model->feature);
  mrl_dfiv_fill_f(model->f, nets, model->ehat, model->c, b->n);
  if (model->width > nets->terms) {
    MRL_TRY(mrl_dfiv_evaluate(model->feature, model, 1, &model->psi, 0, b->row, b->n, ctx));
    mrl_dfiv_fill_e(model->e, model, b->row, b->n, model->feature);
    mrl_dfiv_fill_d(model->f + nets->terms * b->n, nets, model->e, model->ehat, model->c, b->n);
  }
  return MRL_OK;
}

mrl_status mrl_dfiv_outcome_moments(mrl_dfiv *dfiv, const size_t *row, size_t n, const mrl_ctx *ctx)
{
  mrl_dfiv_model *model = &dfiv->model;
  const size_t p = model->width;
  mrl_dfiv_rows *b = &model->b;
  memset(dfiv->moments, 0, (p + 1) * (p + 1) * sizeof *dfiv->moments);
  for (size_t k = 0; k < model->data.folds; k++) {
    for (size_t at = 0; at < n;) {
      mrl_poll(ctx);
      next_block(b, &at, dfiv, row, n, k, 1);
      if (b->n == 0) {
        break;
      }
      MRL_TRY(fill_outcome(dfiv, k, ctx));
      double *y = model->f + p * b->n;
      for (size_t i = 0; i < b->n; i++) {
        y[i] = (double)model->data.y[b->row[i]];
      }
      MRL_TRY(mrl_dfiv_gram(dfiv->moments, model, model->f, p, y, 1, 1, b->row, b->n, 1, ctx));
    }
  }
  return MRL_OK;
}

/* Sum of squared errors of u from moments. */
static double squared_error(const double *gram, const double *u, size_t p)
{
  const size_t all = p + 1;
  double sum = gram[p + p * all];
  for (size_t j = 0; j < p; j++) {
    double inner = -2 * gram[j + p * all];
    for (size_t i = 0; i < p; i++) {
      inner += gram[i + j * all] * u[i];
    }
    sum += inner * u[j];
  }
  return sum;
}

/* With u of the training rows by lambda: the mean squared error of those held out. */
static mrl_status held_error(double *error, mrl_dfiv *dfiv, double lambda)
{
  mrl_dfiv_model *model = &dfiv->model;
  const size_t p = dfiv->nets->terms;
  const double total = mrl_dfiv_total(&model->data, 1, dfiv->row[1], dfiv->n_train[1]);
  const double held =
      mrl_dfiv_total(&model->data, 1, dfiv->row[1] + dfiv->n_train[1], dfiv->n_held[1]);
  MRL_TRY(mrl_dfiv_solve(&model->u, dfiv->gram[0], p, 1, total, lambda, model->free_u));
  *error = squared_error(dfiv->gram[1], model->u.coef, p) / held;
  return MRL_OK;
}

/* Moments of F(Ehat, C) and of y without D base, from those of F, D and y. base NULL: of y. */
static void take_out(double *gram, const mrl_dfiv *dfiv, const double *base)
{
  const size_t p = dfiv->nets->terms, width = dfiv->model.width, q = base ? width - p : 0;
  const size_t from = width + 1, to = p + 1;
  const double *m = dfiv->moments, *y = m + width * from;
  for (size_t j = 0; j < p; j++) {
    memcpy(gram + j * to, m + j * from, p * sizeof *gram);
    gram[j + p * to] = y[j];
    for (size_t k = 0; k < q; k++) {
      gram[j + p * to] -= m[j + (p + k) * from] * base[k];
    }
    gram[p + j * to] = gram[j + p * to];
  }
  gram[p + p * to] = y[width];
  for (size_t k = 0; k < q; k++) {
    double dot = -2 * y[p + k];
    for (size_t l = 0; l < q; l++) {
      dot += m[p + k + (p + l) * from] * base[l];
    }
    gram[p + p * to] += dot * base[k];
  }
}

/* Of n rows of the list: the coefficients of D by the penalty of training; what u follows from into
 * dfiv->gram[0]. */
static mrl_status outcome_gram(mrl_dfiv *dfiv, size_t n, const mrl_ctx *ctx)
{
  mrl_dfiv_model *model = &dfiv->model;
  const size_t p = dfiv->nets->terms, width = model->width;
  const double total = mrl_dfiv_total(&model->data, 1, dfiv->row[1], n);
  MRL_TRY(mrl_dfiv_outcome_moments(dfiv, dfiv->row[1], n, ctx));
  if (width == p) {
    take_out(dfiv->gram[0], dfiv, NULL);
    return MRL_OK;
  }
  MRL_TRY(
      mrl_dfiv_solve(&model->u, dfiv->moments, width, 1, total, model->lambda[1], model->free_u));
  memcpy(dfiv->base, model->u.coef + p, (width - p) * sizeof *dfiv->base);
  take_out(dfiv->gram[0], dfiv, dfiv->base);
  return MRL_OK;
}

/* For training and held-out rows, V by lambda. Held-out rows judge by y itself: of y - D b the
 * error is the smaller the more D explains, confounding and all, and says little of F(Ehat, C). */
static mrl_status outcome_grams(mrl_dfiv *dfiv, double lambda, const mrl_ctx *ctx)
{
  const size_t n = dfiv->n_train[1];
  MRL_TRY(mrl_dfiv_first_solve(dfiv, dfiv->row[0], dfiv->n_train[0], lambda));
  MRL_TRY(outcome_gram(dfiv, n, ctx));
  MRL_TRY(mrl_dfiv_outcome_moments(dfiv, dfiv->row[1] + n, dfiv->n_held[1], ctx));
  take_out(dfiv->gram[1], dfiv, NULL);
  return MRL_OK;
}

mrl_status mrl_dfiv_validate(double *error, mrl_dfiv *dfiv, const mrl_ctx *ctx)
{
  *error = NAN;
  if (dfiv->n_held[1] == 0) {
    return MRL_OK;
  }
  MRL_TRY(mrl_dfiv_first_moments(dfiv, dfiv->row[0], dfiv->n_train[0], ctx));
  MRL_TRY(outcome_grams(dfiv, dfiv->lambda[0], ctx));
  return held_error(error, dfiv, dfiv->lambda[1]);
}

/* Penalties that are tried: decades from these, so many. */
enum { FIRST_TRIED = 4, SECOND_TRIED = 9 };
static const double first_lowest = 1e-4, second_lowest = 1e-7;

static double second_tried(int j)
{
  return second_lowest * pow(10, j);
}

/* d'Ad of the outcome's moments: the sum of squares of what u and `other` differ by. */
static double squared_distance(const double *gram, const double *u, const double *other, size_t p)
{
  double sum = 0;
  for (size_t j = 0; j < p; j++) {
    double inner = 0;
    for (size_t i = 0; i < p; i++) {
      inner += gram[i + j * (p + 1)] * (u[i] - other[i]);
    }
    sum += inner * (u[j] - other[j]);
  }
  return sum;
}

/*
 * The largest penalty whose held-out error is above the lowest, that of *chosen, by no more than
 * two standard errors of their difference: in rows with error e and predictions f, f* that has
 * terms of about 2 e (f - f*). What the instruments hardly tell apart is not told by chance, then.
 */
static mrl_status prefer_larger(double *chosen, mrl_dfiv *dfiv)
{
  mrl_dfiv_model *model = &dfiv->model;
  const size_t p = dfiv->nets->terms, n = dfiv->n_held[1];
  const double held = mrl_dfiv_total(&model->data, 1, dfiv->row[1] + dfiv->n_train[1], n);
  double lowest, error;
  MRL_TRY(held_error(&lowest, dfiv, *chosen));
  memcpy(dfiv->other, model->u.coef, p * sizeof *dfiv->other);
  for (int j = SECOND_TRIED - 1; j >= 0 && second_tried(j) > *chosen; j--) {
    MRL_TRY(held_error(&error, dfiv, second_tried(j)));
    const double apart = squared_distance(dfiv->gram[1], model->u.coef, dfiv->other, p) / held;
    if (error - lowest <= 2 * 2 * sqrt(lowest * apart / (double)n)) {
      *chosen = second_tried(j);
      break;
    }
  }
  return MRL_OK;
}

static mrl_status choose(mrl_dfiv *dfiv, const mrl_ctx *ctx)
{
  double best = INFINITY, chosen[2] = {dfiv->lambda[0], dfiv->lambda[1]};
  for (int i = 0; i < (dfiv->nets->n_phi > 0 ? FIRST_TRIED : 1); i++) {
    const double first = first_lowest * pow(10, i);
    MRL_TRY(outcome_grams(dfiv, first, ctx));
    for (int j = 0; j < SECOND_TRIED; j++) {
      double error;
      MRL_TRY(held_error(&error, dfiv, second_tried(j)));
      if (error < best) {
        best = error;
        chosen[0] = first;
        chosen[1] = second_tried(j);
      }
    }
  }
  MRL_TRY(outcome_grams(dfiv, chosen[0], ctx));
  MRL_TRY(prefer_larger(chosen + 1, dfiv));
  dfiv->lambda[0] = chosen[0];
  dfiv->lambda[1] = chosen[1];
  return MRL_OK;
}

mrl_status mrl_dfiv_close(mrl_dfiv *dfiv, const mrl_ctx *ctx)
{
  mrl_dfiv_model *model = &dfiv->model;
  const size_t n1 = dfiv->n_train[0] + dfiv->n_held[0], n2 = dfiv->n_train[1] + dfiv->n_held[1];
  MRL_TRY(mrl_dfiv_first_moments(dfiv, dfiv->row[0], n1, ctx));
  MRL_TRY(mrl_dfiv_first_solve(dfiv, dfiv->row[0], n1, dfiv->lambda[0]));
  MRL_TRY(outcome_gram(dfiv, n2, ctx));
  return mrl_dfiv_solve(&model->u, dfiv->gram[0], dfiv->nets->terms, 1,
                        mrl_dfiv_total(&model->data, 1, dfiv->row[1], n2), dfiv->lambda[1],
                        model->free_u);
}

/* The expected exposure of rows of sample 1, each by its fold, into out by row. */
static mrl_status expect_exposure(double *out, mrl_dfiv *dfiv, const size_t *row, size_t n,
                                  const mrl_ctx *ctx)
{
  mrl_dfiv_model *model = &dfiv->model;
  mrl_dfiv_rows *b = &model->b;
  for (size_t k = 0; k < model->data.folds; k++) {
    for (size_t at = 0; at < n;) {
      next_block(b, &at, dfiv, row, n, k, 1);
      if (b->n == 0) {
        break;
      }
      mrl_poll(ctx);
      MRL_TRY(mrl_dfiv_evaluate(model->feature, model, 0, model->phi + k, 0, b->row, b->n, ctx));
      mrl_dfiv_fill_p(model->p, model, 0, b->row, b->n, model->feature);
      for (size_t i = 0; i < b->n; i++) {
        double sum = 0;
        for (size_t j = 0; j < dfiv->nets->n_p; j++) {
          sum += model->p[i + j * b->n] * model->v[k].coef[j];
        }
        out[b->row[i]] = sum;
      }
    }
  }
  return MRL_OK;
}

static mrl_status predict_outcome(mrl_dfiv *dfiv, const mrl_ctx *ctx)
{
  mrl_dfiv_model *model = &dfiv->model;
  const mrl_scale *scale = dfiv->problem.scale + dfiv->problem.n_inputs + 1;
  const size_t n = dfiv->n_train[1] + dfiv->n_held[1], p = dfiv->nets->terms;
  mrl_dfiv_rows *b = &model->b;
  for (size_t k = 0; k < model->data.folds; k++) {
    for (size_t at = 0; at < n;) {
      next_block(b, &at, dfiv, dfiv->row[1], n, k, 1);
      if (b->n == 0) {
        break;
      }
      mrl_poll(ctx);
      MRL_TRY(fill_outcome(dfiv, k, ctx));
      MRL_TRY(mrl_dfiv_product(model->part, model, model->f, MRL_NO_TRANS, model->u.coef,
                               MRL_NO_TRANS, b->n, 1, p, ctx));
      for (size_t i = 0; i < b->n; i++) {
        dfiv->y_hat[b->row[i]] = scale->mean + scale->sd * model->part[i];
      }
    }
  }
  return MRL_OK;
}

mrl_status mrl_dfiv_finish(mrl_dfiv *dfiv, const mrl_ctx *ctx)
{
  const size_t n1 = dfiv->n_train[0] + dfiv->n_held[0];
  const int folds = dfiv->model.data.folds > 1;
  dfiv->error = NAN;
  if (dfiv->n_held[1] > 0) {
    MRL_TRY(mrl_dfiv_first_moments(dfiv, dfiv->row[0], dfiv->n_train[0], ctx));
    if (dfiv->settings.choose) {
      MRL_TRY(choose(dfiv, ctx));
    }
    MRL_TRY(outcome_grams(dfiv, dfiv->lambda[0], ctx));
    MRL_TRY(held_error(&dfiv->error, dfiv, dfiv->lambda[1]));
  }
  for (size_t i = 0; i < n1; i++) {
    dfiv->x_out[i] = NAN;
  }
  if (!folds && dfiv->n_held[0] > 0) {
    if (dfiv->n_held[1] == 0) {
      MRL_TRY(mrl_dfiv_first_moments(dfiv, dfiv->row[0], dfiv->n_train[0], ctx));
    }
    MRL_TRY(mrl_dfiv_first_solve(dfiv, dfiv->row[0], dfiv->n_train[0], dfiv->lambda[0]));
    MRL_TRY(
        expect_exposure(dfiv->x_out, dfiv, dfiv->row[0] + dfiv->n_train[0], dfiv->n_held[0], ctx));
  }
  MRL_TRY(mrl_dfiv_close(dfiv, ctx));
  MRL_TRY(expect_exposure(dfiv->x_hat, dfiv, dfiv->row[0], n1, ctx));
  if (folds) {
    memcpy(dfiv->x_out, dfiv->x_hat, n1 * sizeof *dfiv->x_out);
  }
  return predict_outcome(dfiv, ctx);
}
