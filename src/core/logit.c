#include "logit.h"

#include "blas.h"
#include "prob.h"

#include <math.h>
#include <string.h>

enum { MAX_STEPS = 50, MAX_HALVINGS = 20, FIRST_LOOK = 8 };

/* Newton's error is about the square of its last step: below this it is of the size of rounding. */
#define STEP_TOLERANCE 1e-8
/* Rows that a step moves the wrong way by this share of its longest move count as ties. */
#define TIE_TOLERANCE 1e-6
/* A step towards separation moves separated rows by about 1 on the log-odds, for ever. */
#define SEPARATION_STEP 0.1

void mrl_logit_carve(mrl_logit_work *work, const mrl_logit_data *data, const mrl_ctx *ctx,
                     mrl_arena *arena)
{
  const size_t k = (data->intercept ? 1 : 0) + data->p;
  work->col = MRL_TAKE(arena, const double *, k);
  work->shift = MRL_TAKE(arena, double, k);
  work->scale = MRL_TAKE(arena, double, k);
  work->ones = data->intercept ? MRL_TAKE(arena, double, data->n) : NULL;
  work->root = MRL_TAKE(arena, double, data->n);
  work->eta = MRL_TAKE(arena, double, data->n);
  work->mu = MRL_TAKE(arena, double, data->n);
  work->score = MRL_TAKE(arena, double, data->n);
  work->theta = MRL_TAKE(arena, double, k);
  work->step = MRL_TAKE(arena, double, k);
  work->minus = MRL_TAKE(arena, double, k);
  work->gradient = MRL_TAKE(arena, double, k);
  work->info = MRL_TAKE(arena, double, k *k);
  work->gram = mrl_take(arena, mrl_gram_scratch(k, ctx), 1);
}

/* log(1 + exp(eta)) without overflow. */
static double softplus(double eta)
{
  return eta > 0 ? eta + log1p(exp(-eta)) : log1p(exp(eta));
}

static double weight_of(const mrl_logit_data *data, size_t i)
{
  return data->weights ? data->weights[i] : 1;
}

/* Weighted mean (about 0 without centring) and standard deviation of one column. */
static void column_scale(double *shift, double *scale, const double *x, const mrl_logit_data *data)
{
  const double origin = data->intercept ? x[0] : 0;
  double sum = 0, square = 0, total = 0;
  for (size_t i = 0; i < data->n; i++) {
    const double w = weight_of(data, i), d = x[i] - origin;
    total += w;
    sum += w * d;
    square += w * d * d;
  }
  const double mean = data->intercept ? sum / total : 0, variance = square / total - mean * mean;
  *shift = data->intercept ? origin + mean : 0;
  *scale = variance > 0 ? 1 / sqrt(variance) : variance <= 0 ? 1 : NAN;
}

static mrl_status lay_columns(mrl_logit_work *work, const mrl_logit_data *data, const mrl_ctx *ctx)
{
  const size_t first = data->intercept ? 1 : 0;
  if (data->intercept) {
    for (size_t i = 0; i < data->n; i++) {
      work->ones[i] = 1;
    }
    work->col[0] = work->ones;
    work->shift[0] = 0;
    work->scale[0] = 1;
  }
  for (size_t j = 0; j < data->p; j++) {
    work->col[first + j] = data->col[j];
    column_scale(&work->shift[first + j], &work->scale[first + j], data->col[j], data);
    if (!isfinite(work->shift[first + j]) || !isfinite(work->scale[first + j])) {
      return MRL_NOT_FINITE;
    }
    mrl_poll(ctx);
  }
  return MRL_OK;
}

static mrl_columns columns_of(const mrl_logit_work *work, const mrl_logit_data *data)
{
  const mrl_columns out = {work->col,  work->shift, work->scale,
                           work->root, data->n,     (data->intercept ? 1 : 0) + data->p};
  return out;
}

/* out (n) = (add ? add : 0) + columns times coef (k). */
static void linear_predictor(double *out, mrl_logit_work *work, const mrl_columns *columns,
                             const double *coef, const double *add, const mrl_ctx *ctx)
{
  for (size_t j = 0; j < columns->p; j++) {
    work->minus[j] = -coef[j];
  }
  if (add) {
    memcpy(out, add, columns->n * sizeof *out);
  } else {
    memset(out, 0, columns->n * sizeof *out);
  }
  mrl_columns_subtract(out, out, columns, work->minus, ctx);
}

/* The deviance at theta; leaves eta and mu. */
static double evaluate(mrl_logit_work *work, const mrl_logit_data *data, const mrl_columns *columns,
                       const mrl_ctx *ctx)
{
  linear_predictor(work->eta, work, columns, work->theta, data->offset, ctx);
  double deviance = 0;
  for (size_t i = 0; i < data->n; i++) {
    const double y = data->y[i], eta = work->eta[i];
    double loss = softplus(eta) - y * eta;
    if (y > 0 && y < 1) {
      loss += y * log(y) + (1 - y) * log(1 - y);
    }
    deviance += 2 * weight_of(data, i) * loss;
    work->mu[i] = mrl_logistic(eta);
  }
  mrl_poll(ctx);
  return deviance;
}

/* info := its Cholesky factor at eta, mu. */
static mrl_status factor_information(mrl_logit_work *work, const mrl_logit_data *data,
                                     const mrl_columns *columns, mrl_isa isa, const mrl_ctx *ctx)
{
  const size_t k = columns->p;
  for (size_t i = 0; i < data->n; i++) {
    work->root[i] = sqrt(weight_of(data, i) * work->mu[i] * (1 - work->mu[i]));
  }
  MRL_TRY(mrl_gram(work->info, columns, 0, data->n, 0, work->gram, isa, ctx));
  for (size_t j = 0; j < k; j++) {
    work->minus[j] = work->info[j + j * k];
    if (!isfinite(work->minus[j])) {
      return MRL_NOT_FINITE;
    }
  }
  MRL_TRY(mrl_cholesky(work->info, k));
  for (size_t j = 0; j < k; j++) {
    const double u = work->info[j + j * k];
    if (!(u * u > MRL_LSQ_TOLERANCE * work->minus[j])) {
      return MRL_SINGULAR;
    }
  }
  return MRL_OK;
}

static mrl_status newton_step(mrl_logit_work *work, const mrl_logit_data *data,
                              const mrl_columns *columns, mrl_isa isa, const mrl_ctx *ctx)
{
  MRL_TRY(factor_information(work, data, columns, isa, ctx));
  for (size_t i = 0; i < data->n; i++) {
    work->score[i] = weight_of(data, i) * (data->y[i] - work->mu[i]);
  }
  mrl_columns_dot(work->gradient, columns, work->score, ctx);
  memcpy(work->step, work->gradient, columns->p * sizeof *work->step);
  return mrl_cholesky_solve(work->step, work->info, columns->p, 1);
}

/* Does the step move no row away from its outcome, and some towards it for ever? */
static int separates(mrl_logit_work *work, const mrl_logit_data *data, const mrl_columns *columns,
                     const mrl_ctx *ctx)
{
  double *move = work->score, longest = 0, wrong = 0;
  linear_predictor(move, work, columns, work->step, NULL, ctx);
  for (size_t i = 0; i < data->n; i++) {
    if (weight_of(data, i) <= 0) {
      continue;
    }
    const double y = data->y[i], size = fabs(move[i]);
    longest = size > longest ? size : longest;
    const int is_wrong = (y > 0 && move[i] < 0) || (y < 1 && move[i] > 0);
    wrong = is_wrong && size > wrong ? size : wrong;
  }
  return longest > SEPARATION_STEP && wrong <= TIE_TOLERANCE * longest;
}

static double largest(const double *x, size_t n)
{
  double most = 0;
  for (size_t i = 0; i < n; i++) {
    most = fabs(x[i]) > most ? fabs(x[i]) : most;
  }
  return most;
}

/* theta += step, halved until the deviance does not rise beyond rounding. */
static mrl_status advance(double *deviance, mrl_logit_work *work, const mrl_logit_data *data,
                          const mrl_columns *columns, const mrl_ctx *ctx)
{
  const size_t k = columns->p;
  const double before = *deviance;
  for (size_t j = 0; j < k; j++) {
    work->theta[j] += work->step[j];
  }
  *deviance = evaluate(work, data, columns, ctx);
  for (int half = 0; !(*deviance <= before + 1e-10 * (1 + fabs(before))); half++) {
    if (half == MAX_HALVINGS) {
      return isfinite(*deviance) ? MRL_NO_CONVERGE : MRL_NOT_FINITE;
    }
    for (size_t j = 0; j < k; j++) {
      work->step[j] /= 2;
      work->theta[j] -= work->step[j];
    }
    *deviance = evaluate(work, data, columns, ctx);
  }
  return MRL_OK;
}

static mrl_status iterate(mrl_logit_fit *fit, mrl_logit_work *work, const mrl_logit_data *data,
                          const mrl_columns *columns, mrl_isa isa, const mrl_ctx *ctx)
{
  fit->deviance = evaluate(work, data, columns, ctx);
  for (fit->iterations = 1; fit->iterations <= MAX_STEPS; fit->iterations++) {
    const mrl_status status = newton_step(work, data, columns, isa, ctx);
    if (status == MRL_SINGULAR && fit->iterations > FIRST_LOOK) {
      /* Regular at the start, singular once fitted probabilities have reached 0 and 1. */
      fit->separated = 1;
      return MRL_NO_CONVERGE;
    }
    MRL_TRY(status);
    if (fit->iterations >= FIRST_LOOK && separates(work, data, columns, ctx)) {
      fit->separated = 1;
      return MRL_NO_CONVERGE;
    }
    MRL_TRY(advance(&fit->deviance, work, data, columns, ctx));
    if (largest(work->step, columns->p) <=
        STEP_TOLERANCE * (1 + largest(work->theta, columns->p))) {
      return MRL_OK;
    }
  }
  return MRL_NO_CONVERGE;
}

/* Coefficients and covariance in the units of the data: the constant takes up the shifts. */
static void unscale(mrl_logit_fit *fit, const mrl_logit_work *work, const mrl_logit_data *data)
{
  const size_t first = data->intercept ? 1 : 0, k = first + data->p;
  for (size_t j = 0; j < k; j++) {
    fit->coef[j] = work->theta[j] * work->scale[j];
  }
  for (size_t j = first; first && j < k; j++) {
    fit->coef[0] -= fit->coef[j] * work->shift[j];
  }
  double *v = fit->vcov;
  if (!v) {
    return;
  }
  for (size_t i = 0; i < k * k; i++) {
    v[i] = work->info[i] * work->scale[i % k] * work->scale[i / k];
  }
  for (size_t j = 0; first && j < k; j++) {
    for (size_t i = 1; i < k; i++) {
      v[j * k] -= work->shift[i] * v[i + j * k];
    }
  }
  for (size_t j = 0; first && j < k; j++) {
    for (size_t i = 1; i < k; i++) {
      v[j] -= work->shift[i] * v[j + i * k];
    }
  }
}

mrl_status mrl_logit_run(mrl_logit_fit *fit, const mrl_logit_data *data, mrl_logit_work *work,
                         mrl_isa isa, const mrl_ctx *ctx)
{
  double total = 0;
  fit->separated = fit->iterations = 0;
  for (size_t i = 0; i < data->n; i++) {
    total += weight_of(data, i);
  }
  if (!(total > 0)) {
    return MRL_TOO_FEW;
  }
  MRL_TRY(lay_columns(work, data, ctx));
  const mrl_columns columns = columns_of(work, data);
  memset(work->theta, 0, columns.p * sizeof *work->theta);
  MRL_TRY(iterate(fit, work, data, &columns, isa, ctx));
  if (fit->vcov) {
    MRL_TRY(factor_information(work, data, &columns, isa, ctx));
    MRL_TRY(mrl_cholesky_inverse(work->info, columns.p));
  }
  unscale(fit, work, data);
  return MRL_OK;
}
