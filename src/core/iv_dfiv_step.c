/* Deep feature IV: ridges, and the two losses of a batch with their gradients. */
#include "blas.h"
#include "iv_dfiv_part.h"

#include <math.h>
#include <string.h>

mrl_status mrl_dfiv_solve(mrl_dfiv_ridge *ridge, const double *gram, size_t p, size_t q,
                          double total, double lambda, const int *is_free)
{
  /* Learned features may repeat each other; what helps least is added to all of the diagonal. */
  static const double helps[] = {0, 1e-12, 1e-10, 1e-8, 1e-6};
  const size_t all = p + q;
  mrl_status status = MRL_SINGULAR;
  double mean = 0;
  for (size_t j = 0; j < p; j++) {
    mean += gram[j + j * all] / total / (double)p;
  }
  if (!isfinite(mean)) {
    return MRL_NOT_FINITE;
  }
  for (size_t h = 0; h < sizeof helps / sizeof helps[0] && status == MRL_SINGULAR; h++) {
    for (size_t j = 0; j < p; j++) {
      for (size_t i = 0; i < p; i++) {
        ridge->root[i + j * p] = gram[i + j * all] / total;
      }
      ridge->root[j + j * p] += (is_free[j] ? 0 : lambda) + helps[h] * mean;
    }
    status = mrl_cholesky(ridge->root, p);
  }
  MRL_TRY(status);
  for (size_t j = 0; j < q; j++) {
    for (size_t i = 0; i < p; i++) {
      ridge->coef[i + j * p] = gram[i + (p + j) * all] / total;
    }
  }
  return mrl_cholesky_solve(ridge->coef, ridge->root, p, q);
}

double mrl_dfiv_total(const mrl_dfiv_data *data, int sample, const size_t *row, size_t n)
{
  double total = 0;
  for (size_t i = 0; i < n; i++) {
    total += data->weight[sample] ? data->weight[sample][row[i]] : 1;
  }
  return total;
}

mrl_status mrl_dfiv_gram(double *gram, mrl_dfiv_model *model, const double *a, size_t p,
                         const double *b, size_t q, int sample, const size_t *row, size_t n,
                         int more, const mrl_ctx *ctx)
{
  const double *weight = model->data.weight[sample];
  for (size_t j = 0; j < p + q; j++) {
    model->column[j] = j < p ? a + j * n : b + (j - p) * n;
  }
  for (size_t i = 0; weight && i < n; i++) {
    model->root_weight[i] = sqrt(weight[row[i]]);
  }
  const mrl_columns columns = {.col = model->column,
                               .shift = model->zero,
                               .scale = model->one,
                               .root = weight ? model->root_weight : NULL,
                               .n = n,
                               .p = p + q};
  return mrl_gram(gram, &columns, 0, n, more, model->gram_scratch, model->isa, ctx);
}

mrl_status mrl_dfiv_product(double *out, mrl_dfiv_model *model, const double *a, mrl_trans ta,
                            const double *b, mrl_trans tb, size_t m, size_t n, size_t k,
                            const mrl_ctx *ctx)
{
  return mrl_gemm_d(out, m, a, ta == MRL_TRANS ? k : m, ta, b, tb == MRL_TRANS ? n : k, tb, m, n, k,
                    0, model->gemm_scratch, model->isa, ctx);
}

static double weight_of(const mrl_dfiv_model *model, int sample, size_t row)
{
  return model->data.weight[sample] ? model->data.weight[sample][row] : 1;
}

/* Rows of a matrix (n, columns) at places, as a matrix (rows->n, columns). */
static void take_rows(double *out, const double *from, size_t n, size_t columns,
                      const mrl_dfiv_rows *rows)
{
  for (size_t j = 0; j < columns; j++) {
    for (size_t i = 0; i < rows->n; i++) {
      out[i + j * rows->n] = from[rows->place[i] + j * n];
    }
  }
}

mrl_status mrl_dfiv_exposures(mrl_dfiv_model *model, const mrl_dfiv_batch *batch,
                              const mrl_ctx *ctx)
{
  MRL_TRY(
      mrl_dfiv_evaluate(model->feature, model, 1, &model->psi, 0, batch->row[0], batch->n[0], ctx));
  mrl_dfiv_fill_e(model->e, model, batch->row[0], batch->n[0], model->feature);
  return MRL_OK;
}

/* V of fold k from P and E (n rows, in model->part) of its rows A. */
static mrl_status solve_first(mrl_dfiv_model *model, size_t k, const double *p, const double *e,
                              const mrl_dfiv_rows *a, const mrl_ctx *ctx)
{
  const mrl_dfiv_nets *nets = model->nets;
  MRL_TRY(mrl_dfiv_gram(model->gram, model, p, nets->n_p, e, nets->n_e, 0, a->row, a->n, 0, ctx));
  return mrl_dfiv_solve(model->v + k, model->gram, nets->n_p, nets->n_e,
                        mrl_dfiv_total(&model->data, 0, a->row, a->n), model->lambda[0],
                        model->free_v);
}

static double penalty_of(const double *coef, size_t p, size_t q, double lambda, const int *is_free)
{
  double sum = 0;
  for (size_t j = 0; j < q; j++) {
    for (size_t i = 0; i < p; i++) {
      sum += is_free[i] ? 0 : coef[i + j * p] * coef[i + j * p];
    }
  }
  return lambda * sum;
}

/* out (n, m) by row: the last m of the columns of a matrix with n rows. */
static void last_columns(mrl_real *out, const double *from, size_t n, size_t columns, size_t m)
{
  for (size_t j = 0; j < m; j++) {
    const double *column = from + (columns - m + j) * n;
    for (size_t i = 0; i < n; i++) {
      out[i * m + j] = (mrl_real)column[i];
    }
  }
}

mrl_status mrl_dfiv_instrument_loss(double *loss, mrl_dfiv_model *model, size_t k,
                                    const mrl_dfiv_batch *batch, const mrl_ctx *ctx)
{
  const mrl_dfiv_nets *nets = model->nets;
  mrl_dfiv_rows *a = &model->a;
  mrl_dfiv_fold_rows(a, &model->data, batch->row[0], batch->n[0], k, 0);
  const double total = mrl_dfiv_total(&model->data, 0, a->row, a->n);
  if (a->n < 2 || !(total > 0)) {
    return MRL_TOO_FEW;
  }
  MRL_TRY(mrl_dfiv_pass(model->feature, NULL, model, 0, model->phi + k, 0, a->row, a->n,
                        batch->step, ctx));
  mrl_dfiv_fill_p(model->p, model, 0, a->row, a->n, model->feature);
  take_rows(model->part, model->e, batch->n[0], nets->n_e, a);
  MRL_TRY(solve_first(model, k, model->p, model->part, a, ctx));
  const double *v = model->v[k].coef;
  MRL_TRY(mrl_dfiv_product(model->ehat, model, model->p, MRL_NO_TRANS, v, MRL_NO_TRANS, a->n,
                           nets->n_e, nets->n_p, ctx));
  double sum = 0;
  for (size_t j = 0; j < nets->n_e; j++) {
    for (size_t i = 0; i < a->n; i++) {
      const size_t at = i + j * a->n;
      const double share = weight_of(model, 0, a->row[i]) / total;
      const double error = model->ehat[at] - model->part[at];
      sum += share * error * error;
      model->ehat[at] = 2 * share * error;
    }
  }
  *loss = sum + penalty_of(v, nets->n_p, nets->n_e, model->lambda[0], model->free_v);
  MRL_TRY(mrl_dfiv_product(model->dpart, model, model->ehat, MRL_NO_TRANS, v, MRL_TRANS, a->n,
                           nets->n_p, nets->n_e, ctx));
  last_columns(model->feature, model->dpart, a->n, nets->n_p, nets->n_phi);
  return mrl_dfiv_pass(NULL, model->feature, model, 0, model->phi + k, 0, a->row, a->n, batch->step,
                       ctx);
}

static double *p_of(const mrl_dfiv_model *model, size_t k, int inside)
{
  return model->p + (2 * k + (size_t)inside) * model->most * model->nets->n_p;
}

static void fold_lists(mrl_dfiv_model *model, const mrl_dfiv_batch *batch, size_t k)
{
  mrl_dfiv_fold_rows(&model->a, &model->data, batch->row[0], batch->n[0], k, 0);
  mrl_dfiv_fold_rows(&model->b, &model->data, batch->row[1], batch->n[1], k, 1);
}

/* V_k, and the expected E of the fold's rows B into model->ehat, at their places. */
static mrl_status expect(mrl_dfiv_model *model, const mrl_dfiv_batch *batch, size_t k,
                         const mrl_ctx *ctx)
{
  const mrl_dfiv_nets *nets = model->nets;
  const mrl_dfiv_rows *a = &model->a, *b = &model->b;
  fold_lists(model, batch, k);
  if (a->n < 2 || !(mrl_dfiv_total(&model->data, 0, a->row, a->n) > 0)) {
    return MRL_TOO_FEW;
  }
  MRL_TRY(mrl_dfiv_evaluate(model->feature, model, 0, model->phi + k, 0, a->row, a->n, ctx));
  mrl_dfiv_fill_p(p_of(model, k, 0), model, 0, a->row, a->n, model->feature);
  take_rows(model->part, model->e, batch->n[0], nets->n_e, a);
  MRL_TRY(solve_first(model, k, p_of(model, k, 0), model->part, a, ctx));
  MRL_TRY(mrl_dfiv_evaluate(model->feature, model, 0, model->phi + k, 1, b->row, b->n, ctx));
  mrl_dfiv_fill_p(p_of(model, k, 1), model, 1, b->row, b->n, model->feature);
  if (b->n > 0) {
    MRL_TRY(mrl_dfiv_product(model->part, model, p_of(model, k, 1), MRL_NO_TRANS, model->v[k].coef,
                             MRL_NO_TRANS, b->n, nets->n_e, nets->n_p, ctx));
  }
  for (size_t j = 0; j < nets->n_e; j++) {
    for (size_t i = 0; i < b->n; i++) {
      model->ehat[b->place[i] + j * batch->n[1]] = model->part[i + j * b->n];
    }
  }
  return MRL_OK;
}

/* Gradient of E at the fold's rows A, added to model->de, through V_k. */
static mrl_status expect_backward(mrl_dfiv_model *model, const mrl_dfiv_batch *batch, size_t k,
                                  const mrl_ctx *ctx)
{
  const mrl_dfiv_nets *nets = model->nets;
  const mrl_dfiv_rows *a = &model->a, *b = &model->b;
  fold_lists(model, batch, k);
  if (b->n == 0) {
    return MRL_OK;
  }
  const double total = mrl_dfiv_total(&model->data, 0, a->row, a->n);
  take_rows(model->part, model->dehat, batch->n[1], nets->n_e, b);
  MRL_TRY(mrl_dfiv_product(model->dv, model, p_of(model, k, 1), MRL_TRANS, model->part,
                           MRL_NO_TRANS, nets->n_p, nets->n_e, b->n, ctx));
  MRL_TRY(mrl_cholesky_solve(model->dv, model->v[k].root, nets->n_p, nets->n_e));
  MRL_TRY(mrl_dfiv_product(model->part, model, p_of(model, k, 0), MRL_NO_TRANS, model->dv,
                           MRL_NO_TRANS, a->n, nets->n_e, nets->n_p, ctx));
  for (size_t j = 0; j < nets->n_e; j++) {
    for (size_t i = 0; i < a->n; i++) {
      model->de[a->place[i] + j * batch->n[0]] +=
          model->part[i + j * a->n] * weight_of(model, 0, a->row[i]) / total;
    }
  }
  return MRL_OK;
}

/* u, the loss, and the gradients of Ehat and C. */
static mrl_status outcome(double *loss, mrl_dfiv_model *model, const mrl_dfiv_batch *batch,
                          const mrl_ctx *ctx)
{
  const mrl_dfiv_nets *nets = model->nets;
  const size_t n = batch->n[1], p = model->width;
  const double total = mrl_dfiv_total(&model->data, 1, batch->row[1], n);
  double *y = model->f + p * n, sum = 0;
  mrl_dfiv_fill_f(model->f, nets, model->ehat, model->c, n);
  if (p > nets->terms) {
    mrl_dfiv_fill_d(model->f + nets->terms * n, nets, model->e, model->ehat, model->c, n);
  }
  for (size_t i = 0; i < n; i++) {
    y[i] = (double)model->data.y[batch->row[1][i]];
  }
  MRL_TRY(mrl_dfiv_gram(model->gram, model, model->f, p, y, 1, 1, batch->row[1], n, 0, ctx));
  MRL_TRY(mrl_dfiv_solve(&model->u, model->gram, p, 1, total, model->lambda[1], model->free_u));
  MRL_TRY(mrl_dfiv_product(model->part, model, model->f, MRL_NO_TRANS, model->u.coef, MRL_NO_TRANS,
                           n, 1, p, ctx));
  for (size_t i = 0; i < n; i++) {
    const double share = weight_of(model, 1, batch->row[1][i]) / total;
    const double error = model->part[i] - y[i];
    sum += share * error * error;
    model->part[i] = 2 * share * error;
  }
  *loss = sum + penalty_of(model->u.coef, p, 1, model->lambda[1], model->free_u);
  memset(model->dehat, 0, n * nets->n_e * sizeof *model->dehat);
  memset(model->dc, 0, n * nets->n_c * sizeof *model->dc);
  for (size_t j = 0; j < nets->terms; j++) {
    size_t e, c;
    mrl_dfiv_term(&e, &c, nets, j);
    const double u = model->u.coef[j];
    for (size_t i = 0; i < n; i++) {
      const double d = u * model->part[i];
      model->dc[i + c * n] += d * (e > 0 ? model->ehat[i + (e - 1) * n] : 1);
      if (e > 0) {
        model->dehat[i + (e - 1) * n] += d * model->c[i + c * n];
      }
    }
  }
  return MRL_OK;
}

mrl_status mrl_dfiv_outcome_loss(double *loss, mrl_dfiv_model *model, const mrl_dfiv_batch *batch,
                                 const mrl_ctx *ctx)
{
  const mrl_dfiv_nets *nets = model->nets;
  const size_t n1 = batch->n[0], n2 = batch->n[1];
  if (nets->n_psi > 0) {
    MRL_TRY(mrl_dfiv_pass(model->feature, NULL, model, 1, &model->psi, 0, batch->row[0], n1,
                          batch->step, ctx));
  }
  mrl_dfiv_fill_e(model->e, model, batch->row[0], n1, model->feature);
  for (size_t k = 0; k < model->data.folds; k++) {
    MRL_TRY(expect(model, batch, k, ctx));
  }
  if (nets->n_xi > 0) {
    MRL_TRY(mrl_dfiv_pass(model->feature, NULL, model, 2, &model->xi, 1, batch->row[1], n2,
                          batch->step, ctx));
  }
  mrl_dfiv_fill_c(model->c, model, batch->row[1], n2, model->feature);
  MRL_TRY(outcome(loss, model, batch, ctx));
  memset(model->de, 0, n1 * nets->n_e * sizeof *model->de);
  for (size_t k = 0; k < model->data.folds; k++) {
    MRL_TRY(expect_backward(model, batch, k, ctx));
  }
  if (nets->n_psi > 0) {
    last_columns(model->feature, model->de, n1, nets->n_e, nets->n_psi);
    MRL_TRY(mrl_dfiv_pass(NULL, model->feature, model, 1, &model->psi, 0, batch->row[0], n1,
                          batch->step, ctx));
  }
  if (nets->n_xi > 0) {
    last_columns(model->feature, model->dc, n2, nets->n_c, nets->n_xi);
    return mrl_dfiv_pass(NULL, model->feature, model, 2, &model->xi, 1, batch->row[1], n2,
                         batch->step, ctx);
  }
  return MRL_OK;
}
