#include "iv_dfiv_curve.h"

#include <string.h>

mrl_status mrl_dfiv_curve_carve(mrl_dfiv_curve *curve, mrl_arena *arena, const mrl_dfiv_nets *nets,
                                size_t n, size_t levels, mrl_isa isa, const mrl_ctx *ctx)
{
  const size_t most = n > levels ? n : levels;
  mrl_dfiv_curve to = {.nets = nets, .n = n, .levels = levels};
  if (nets->n_z > 0 || nets->n_phi > 0) {
    return MRL_BAD_ARGUMENT;
  }
  to.x = MRL_TAKE(arena, mrl_real, levels);
  to.input = MRL_TAKE(arena, mrl_real, n * nets->n_w);
  to.slope = MRL_TAKE(arena, mrl_real, MRL_DFIV_BLOCK);
  to.row = MRL_TAKE(arena, size_t, most);
  to.mean = MRL_TAKE(arena, double, nets->n_c);
  const mrl_dfiv_data data = {.input = {to.input, to.input}, .x = to.x, .folds = 1};
  if (nets->n_psi > 0) {
    MRL_TRY(mrl_net_run_carve(&to.with_slope, arena, &nets->psi, MRL_DFIV_BLOCK, 1, 1, isa, ctx));
  }
  *curve = to;
  return mrl_dfiv_model_carve(&curve->model, arena, nets, &data, 1, 0, isa, ctx);
}

void mrl_dfiv_curve_start(mrl_dfiv_curve *curve, const mrl_dfiv_people *people, const double *x,
                          const mrl_scale *scale_w, const mrl_scale *scale_x)
{
  const size_t n_w = curve->nets->n_w, most = curve->n > curve->levels ? curve->n : curve->levels;
  for (size_t j = 0; j < n_w; j++) {
    mrl_scale_column(curve->input + j, n_w, people->w[j], scale_w + j, curve->n);
  }
  mrl_scale_column(curve->x, 1, x, scale_x, curve->levels);
  for (size_t i = 0; i < most; i++) {
    curve->row[i] = i;
  }
}

static size_t block_from(size_t first, size_t n)
{
  return n - first < MRL_DFIV_BLOCK ? n - first : MRL_DFIV_BLOCK;
}

static void bind(mrl_dfiv_curve *curve, const mrl_dfiv_outcome *outcome)
{
  const mrl_dfiv_nets *nets = curve->nets;
  /* Evaluation only reads them. */
  mrl_real *at = (mrl_real *)outcome->state;
  mrl_dfiv_member none = {.net = NULL};
  curve->model.psi = curve->model.xi = none;
  if (nets->n_psi > 0) {
    curve->model.psi.net = &nets->psi;
    curve->model.psi.params = at;
    curve->model.psi.statistics = at + nets->psi.n_params;
    at += nets->psi.n_params + nets->psi.n_statistics;
  }
  if (nets->n_xi > 0) {
    curve->model.xi.net = &nets->xi;
    curve->model.xi.params = at;
    curve->model.xi.statistics = at + nets->xi.n_params;
  }
}

static mrl_status covariates(mrl_dfiv_curve *curve, size_t first, size_t n, const mrl_ctx *ctx)
{
  mrl_dfiv_model *model = &curve->model;
  const size_t *row = curve->row + first;
  MRL_TRY(mrl_dfiv_evaluate(model->feature, model, 2, &model->xi, 1, row, n, ctx));
  mrl_dfiv_fill_c(model->c, model, row, n, model->feature);
  return MRL_OK;
}

static mrl_status exposures(mrl_dfiv_curve *curve, size_t first, size_t n, const mrl_ctx *ctx)
{
  mrl_dfiv_model *model = &curve->model;
  const size_t *row = curve->row + first;
  MRL_TRY(mrl_dfiv_evaluate(model->feature, model, 1, &model->psi, 0, row, n, ctx));
  mrl_dfiv_fill_e(model->e, model, row, n, model->feature);
  return MRL_OK;
}

/* What g is in E given c (n, n_c): constant (n), coefficients (n, n_e). */
static void line_of(double *constant, double *coef, const mrl_dfiv_nets *nets, const double *u,
                    const double *c, size_t n)
{
  memset(constant, 0, n * sizeof *constant);
  memset(coef, 0, n * nets->n_e * sizeof *coef);
  for (size_t j = 0; j < nets->terms; j++) {
    size_t e, k;
    mrl_dfiv_term(&e, &k, nets, j);
    double *to = e > 0 ? coef + (e - 1) * n : constant;
    for (size_t i = 0; i < n; i++) {
      to[i] += u[j] * c[i + k * n];
    }
  }
}

static mrl_status run_rows(double *out, mrl_dfiv_curve *curve, const double *u,
                           const mrl_scale *scale_y, const mrl_ctx *ctx)
{
  mrl_dfiv_model *model = &curve->model;
  const mrl_dfiv_nets *nets = curve->nets;
  for (size_t first = 0; first < curve->n; first += MRL_DFIV_BLOCK) {
    const size_t n = block_from(first, curve->n);
    mrl_poll(ctx);
    MRL_TRY(covariates(curve, first, n, ctx));
    MRL_TRY(exposures(curve, first, n, ctx));
    line_of(model->part, model->ehat, nets, u, model->c, n);
    for (size_t i = 0; i < n; i++) {
      double g = model->part[i];
      for (size_t e = 0; e < nets->n_e; e++) {
        g += model->ehat[i + e * n] * model->e[i + e * n];
      }
      out[first + i] = scale_y->mean + scale_y->sd * g;
    }
  }
  return MRL_OK;
}

static double weight_of(const mrl_dfiv_people *people, size_t i)
{
  return people->weights ? people->weights[i] : 1;
}

static mrl_status mean_covariates(mrl_dfiv_curve *curve, const mrl_dfiv_people *people,
                                  const mrl_ctx *ctx)
{
  const size_t n_c = curve->nets->n_c;
  double total = 0;
  memset(curve->mean, 0, n_c * sizeof *curve->mean);
  for (size_t first = 0; first < curve->n; first += MRL_DFIV_BLOCK) {
    const size_t n = block_from(first, curve->n);
    mrl_poll(ctx);
    MRL_TRY(covariates(curve, first, n, ctx));
    for (size_t i = 0; i < n; i++) {
      const double weight = weight_of(people, first + i);
      total += weight;
      for (size_t c = 0; c < n_c; c++) {
        curve->mean[c] += weight * curve->model.c[i + c * n];
      }
    }
  }
  for (size_t c = 0; c < n_c; c++) {
    curve->mean[c] /= total;
  }
  return MRL_OK;
}

static mrl_status run_levels(double *out, mrl_dfiv_curve *curve, const double *u,
                             const mrl_dfiv_people *people, const mrl_scale *scale_y,
                             const mrl_ctx *ctx)
{
  mrl_dfiv_model *model = &curve->model;
  const mrl_dfiv_nets *nets = curve->nets;
  double constant;
  MRL_TRY(mean_covariates(curve, people, ctx));
  line_of(&constant, model->ehat, nets, u, curve->mean, 1);
  for (size_t first = 0; first < curve->levels; first += MRL_DFIV_BLOCK) {
    const size_t n = block_from(first, curve->levels);
    MRL_TRY(exposures(curve, first, n, ctx));
    for (size_t i = 0; i < n; i++) {
      double g = constant;
      for (size_t e = 0; e < nets->n_e; e++) {
        g += model->ehat[e] * model->e[i + e * n];
      }
      out[first + i] = scale_y->mean + scale_y->sd * g;
    }
  }
  return MRL_OK;
}

/* curve->slope (n): the sum over psi of coefficients (n, n_psi) times its derivative in x. */
static mrl_status slopes_of_psi(mrl_dfiv_curve *curve, const double *coef, size_t first, size_t n,
                                const mrl_ctx *ctx)
{
  mrl_net_run *run = &curve->with_slope;
  const mrl_dfiv_member *psi = &curve->model.psi;
  const mrl_rows in = {curve->x, 1};
  const mrl_batch batch = {.row = curve->row + first,
                           .n = n,
                           .mode = MRL_EVALUATE,
                           .fill = mrl_fill_rows,
                           .fill_data = &in};
  const size_t m = psi->net->n_outputs;
  MRL_TRY(mrl_net_forward(run, psi->params, psi->statistics, &batch, ctx));
  for (size_t t = 0; t < mrl_net_tiles(run, n); t++) {
    const mrl_tile tile = mrl_net_tile(run, &batch, t);
    for (size_t j = 0; j < m; j++) {
      mrl_real *d = run->d_output + mrl_net_tile_at(run, t, m) + j * tile.ld;
      for (size_t i = 0; i < tile.ld; i++) {
        d[i] = i < tile.rows ? (mrl_real)coef[tile.first + i + j * n] : 0;
      }
    }
  }
  MRL_TRY(mrl_net_backward(run, psi->params, &batch, ctx));
  for (size_t t = 0; t < mrl_net_tiles(run, n); t++) {
    const mrl_tile tile = mrl_net_tile(run, &batch, t);
    const mrl_real *d = run->d_input + mrl_net_tile_at(run, t, 1);
    for (size_t i = 0; i < tile.rows; i++) {
      curve->slope[tile.first + i] = d[i];
    }
  }
  return MRL_OK;
}

static mrl_status run_slope(double *out, mrl_dfiv_curve *curve, const double *u,
                            const mrl_dfiv_people *people, const mrl_scale *scale_x,
                            const mrl_scale *scale_y, const mrl_ctx *ctx)
{
  mrl_dfiv_model *model = &curve->model;
  const mrl_dfiv_nets *nets = curve->nets;
  double sum = 0, total = 0;
  for (size_t first = 0; first < curve->n; first += MRL_DFIV_BLOCK) {
    const size_t n = block_from(first, curve->n);
    mrl_poll(ctx);
    MRL_TRY(covariates(curve, first, n, ctx));
    line_of(model->part, model->ehat, nets, u, model->c, n);
    if (nets->n_psi > 0) {
      MRL_TRY(slopes_of_psi(curve, model->ehat + nets->n_x * n, first, n, ctx));
    }
    for (size_t i = 0; i < n; i++) {
      const double weight = weight_of(people, first + i);
      total += weight;
      const double bend = nets->n_x > 1 ? 2 * (double)curve->x[first + i] * model->ehat[i + n] : 0;
      sum += weight * (model->ehat[i] + bend + (nets->n_psi > 0 ? (double)curve->slope[i] : 0));
    }
  }
  *out = sum / total * scale_y->sd / scale_x->sd;
  return MRL_OK;
}

mrl_status mrl_dfiv_curve_run(double *out, mrl_dfiv_curve *curve, const mrl_dfiv_outcome *outcome,
                              mrl_dfiv_what what, const mrl_dfiv_people *people,
                              const mrl_scale *scale_x, const mrl_scale *scale_y,
                              const mrl_ctx *ctx)
{
  bind(curve, outcome);
  switch (what) {
  case MRL_DFIV_ROWS:
    return run_rows(out, curve, outcome->theta, scale_y, ctx);
  case MRL_DFIV_LEVELS:
    return run_levels(out, curve, outcome->theta, people, scale_y, ctx);
  case MRL_DFIV_SLOPE:
    return run_slope(out, curve, outcome->theta, people, scale_x, scale_y, ctx);
  }
  return MRL_BAD_ARGUMENT;
}

mrl_status mrl_dfiv_expose_carve(mrl_dfiv_expose *expose, mrl_arena *arena,
                                 const mrl_dfiv_nets *nets, size_t n, mrl_isa isa,
                                 const mrl_ctx *ctx)
{
  mrl_dfiv_expose to = {.nets = nets, .n = n};
  to.input = MRL_TAKE(arena, mrl_real, n * (nets->n_z + nets->n_w));
  to.row = MRL_TAKE(arena, size_t, n);
  const mrl_dfiv_data data = {.input = {to.input, to.input}, .folds = 1};
  *expose = to;
  return mrl_dfiv_model_carve(&expose->model, arena, nets, &data, 1, 0, isa, ctx);
}

mrl_status mrl_dfiv_expose_run(double *out, mrl_dfiv_expose *expose, const double *const *z,
                               const double *const *w, const mrl_scale *scale,
                               const mrl_real *state, const double *coef, const mrl_ctx *ctx)
{
  const mrl_dfiv_nets *nets = expose->nets;
  mrl_dfiv_model *model = &expose->model;
  const size_t inputs = nets->n_z + nets->n_w;
  const int has_net = nets->n_phi > 0;
  mrl_real *at = (mrl_real *)state; /* evaluation only reads it */
  const mrl_dfiv_member phi = {.net = has_net ? &nets->phi : NULL,
                               .params = at,
                               .statistics = has_net ? at + nets->phi.n_params : NULL};
  for (size_t j = 0; j < inputs; j++) {
    mrl_scale_column(expose->input + j, inputs, j < nets->n_z ? z[j] : w[j - nets->n_z], scale + j,
                     expose->n);
  }
  for (size_t i = 0; i < expose->n; i++) {
    expose->row[i] = i;
  }
  for (size_t first = 0; first < expose->n; first += MRL_DFIV_BLOCK) {
    const size_t n = block_from(first, expose->n), *row = expose->row + first;
    mrl_poll(ctx);
    MRL_TRY(mrl_dfiv_evaluate(model->feature, model, 0, &phi, 0, row, n, ctx));
    mrl_dfiv_fill_p(model->p, model, 0, row, n, model->feature);
    for (size_t i = 0; i < n; i++) {
      double sum = 0;
      for (size_t j = 0; j < nets->n_p; j++) {
        sum += model->p[i + j * n] * coef[j];
      }
      out[first + i] = scale[inputs].mean + scale[inputs].sd * sum;
    }
  }
  return MRL_OK;
}
