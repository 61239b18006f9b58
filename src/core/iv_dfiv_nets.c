/* Deep feature IV: nets, features of rows. */
#include "iv_dfiv_part.h"

#include <math.h>
#include <string.h>

static mrl_status carve_net(mrl_net *net, size_t *features, mrl_arena *arena, const mrl_mlp *mlp,
                            size_t n_inputs)
{
  *features = 0;
  if (mlp->n_hidden == 0 || n_inputs == 0) {
    return MRL_OK;
  }
  *features = (size_t)mlp->hidden[mlp->n_hidden - 1];
  return mrl_mlp_trunk_carve(net, arena, mlp, n_inputs);
}

mrl_status mrl_dfiv_nets_carve(mrl_dfiv_nets *nets, mrl_arena *arena, const mrl_dfiv_mlps *mlps,
                               size_t n_z, size_t n_w)
{
  mrl_dfiv_nets to = {.n_z = n_z, .n_w = n_w};
  MRL_TRY(carve_net(&to.phi, &to.n_phi, arena, &mlps->instrument, n_z + n_w));
  MRL_TRY(carve_net(&to.psi, &to.n_psi, arena, &mlps->exposure, 1));
  MRL_TRY(carve_net(&to.xi, &to.n_xi, arena, &mlps->covariate, n_w));
  to.crossed = to.n_psi > 0 && n_w <= MRL_DFIV_CROSSED;
  to.n_p = 1 + n_z + n_w + to.n_phi;
  to.n_x = to.n_psi > 0 ? 2 : 1;
  to.n_e = to.n_x + to.n_psi;
  to.n_c = 1 + n_w + to.n_xi;
  to.n_d = to.n_e * (1 + (to.crossed ? n_w : 0) + to.n_xi);
  to.terms = to.n_c + to.n_d;
  *nets = to;
  return MRL_OK;
}

int mrl_dfiv_term(size_t *e, size_t *c, const mrl_dfiv_nets *nets, size_t term)
{
  const size_t skipped = nets->crossed ? 0 : nets->n_w;
  if (term < nets->n_c) {
    *e = 0;
    *c = term;
    return term > nets->n_w;
  }
  const size_t each = nets->n_c - skipped, at = term - nets->n_c;
  *e = 1 + at / each;
  *c = at % each;
  *c += *c > 0 ? skipped : 0;
  return !(*e <= nets->n_x && *c == 0);
}

static size_t larger_of(size_t a, size_t b)
{
  return a > b ? a : b;
}

static void set_free(mrl_dfiv_model *model)
{
  const mrl_dfiv_nets *nets = model->nets;
  for (size_t j = 0; j < nets->n_p; j++) {
    model->free_v[j] = j < nets->n_p - nets->n_phi;
  }
  for (size_t j = 0; j < nets->terms; j++) {
    size_t e, c;
    model->free_u[j] = !mrl_dfiv_term(&e, &c, nets, j);
  }
  for (size_t j = 0; j < nets->n_d; j++) {
    model->free_u[nets->terms + j] = 0;
  }
}

static size_t product_scratch(const mrl_dfiv_nets *nets, size_t most, const mrl_ctx *ctx)
{
  const size_t p = nets->n_p, e = nets->n_e;
  size_t bytes = mrl_gemm_d_scratch(most, e, p, ctx);
  bytes = larger_of(bytes, mrl_gemm_d_scratch(most, p, e, ctx));
  bytes = larger_of(bytes, mrl_gemm_d_scratch(p, e, most, ctx));
  return larger_of(bytes, mrl_gemm_d_scratch(most, 1, nets->terms + nets->n_d, ctx));
}

static mrl_status carve_runs(mrl_dfiv_model *to, mrl_arena *arena, size_t rows, const mrl_ctx *ctx)
{
  const mrl_dfiv_nets *nets = to->nets;
  if (nets->n_phi > 0) {
    MRL_TRY(mrl_net_run_carve(&to->run_phi, arena, &nets->phi, rows, 1, 0, to->isa, ctx));
  }
  if (nets->n_psi > 0) {
    MRL_TRY(mrl_net_run_carve(&to->run_psi, arena, &nets->psi, rows, 1, 0, to->isa, ctx));
  }
  if (nets->n_xi > 0) {
    MRL_TRY(mrl_net_run_carve(&to->run_xi, arena, &nets->xi, rows, 1, 0, to->isa, ctx));
  }
  return MRL_OK;
}

mrl_status mrl_dfiv_model_carve(mrl_dfiv_model *model, mrl_arena *arena, const mrl_dfiv_nets *nets,
                                const mrl_dfiv_data *data, size_t most, int trains, mrl_isa isa,
                                const mrl_ctx *ctx)
{
  const size_t n = larger_of(most, MRL_DFIV_BLOCK), p = nets->n_p, e = nets->n_e;
  const size_t t = nets->terms + nets->n_d;
  const size_t widest = larger_of(nets->n_phi, larger_of(nets->n_psi, nets->n_xi));
  const size_t columns = larger_of(p + e, t + 1), folds = data->folds;
  mrl_dfiv_model to = {.nets = nets, .data = *data, .isa = mrl_isa_usable(isa), .most = n};
  to.width = nets->terms;
  to.phi = MRL_TAKE(arena, mrl_dfiv_member, folds);
  to.a.row = MRL_TAKE(arena, size_t, n);
  to.a.place = MRL_TAKE(arena, size_t, n);
  to.b.row = MRL_TAKE(arena, size_t, n);
  to.b.place = MRL_TAKE(arena, size_t, n);
  to.feature = MRL_TAKE(arena, mrl_real, n * widest);
  to.root_weight = MRL_TAKE(arena, double, n);
  to.zero = MRL_TAKE(arena, double, columns);
  to.one = MRL_TAKE(arena, double, columns);
  to.column = MRL_TAKE(arena, const double *, columns);
  to.p = MRL_TAKE(arena, double, (trains ? folds : 1) * 2 * n * p);
  to.e = MRL_TAKE(arena, double, n *e);
  to.de = MRL_TAKE(arena, double, n *e);
  to.ehat = MRL_TAKE(arena, double, n *e);
  to.dehat = MRL_TAKE(arena, double, n *e);
  to.part = MRL_TAKE(arena, double, n *e);
  to.dpart = MRL_TAKE(arena, double, n *larger_of(p, e));
  to.c = MRL_TAKE(arena, double, n * nets->n_c);
  to.dc = MRL_TAKE(arena, double, n * nets->n_c);
  to.f = MRL_TAKE(arena, double, n *(t + 1));
  to.gram = MRL_TAKE(arena, double, columns *columns);
  to.dv = MRL_TAKE(arena, double, p *e);
  to.v = MRL_TAKE(arena, mrl_dfiv_ridge, folds);
  to.free_v = MRL_TAKE(arena, int, p);
  to.free_u = MRL_TAKE(arena, int, t);
  to.u.coef = MRL_TAKE(arena, double, t);
  to.u.root = MRL_TAKE(arena, double, t *t);
  for (size_t k = 0; k < folds; k++) {
    const mrl_dfiv_ridge v = {MRL_TAKE(arena, double, p *e), MRL_TAKE(arena, double, p *p)};
    if (to.v) {
      to.v[k] = v;
    }
  }
  to.gemm_scratch = mrl_take(arena, product_scratch(nets, n, ctx), 1);
  to.gram_scratch = mrl_take(arena, mrl_gram_scratch(columns, ctx), 1);
  MRL_TRY(carve_runs(&to, arena, trains ? most : 0, ctx));
  *model = to;
  if (arena->failed) {
    return MRL_NO_MEMORY;
  }
  if (model->free_u) {
    set_free(model);
    for (size_t j = 0; j < columns; j++) {
      model->zero[j] = 0;
      model->one[j] = 1;
    }
  }
  return MRL_OK;
}

void mrl_dfiv_fold_rows(mrl_dfiv_rows *out, const mrl_dfiv_data *data, const size_t *row, size_t n,
                        size_t fold, int inside)
{
  out->n = 0;
  for (size_t i = 0; i < n; i++) {
    if (data->folds == 1 || ((size_t)data->fold[row[i]] == fold) == inside) {
      out->row[out->n] = row[i];
      out->place[out->n++] = i;
    }
  }
}

/* Columns first, first + 1, ... of rows that have `stride` numbers. */
typedef struct {
  const mrl_real *x;
  size_t stride, first, count;
} columns_of;

static mrl_status fill_columns(mrl_real *x, const mrl_tile *tile, const void *data)
{
  const columns_of *from = data;
  for (size_t j = 0; j < from->count; j++) {
    const mrl_real *source = from->x + from->first + j;
    for (size_t i = 0; i < tile->rows; i++) {
      x[i + j * tile->ld] = source[tile->row[i] * from->stride];
    }
  }
  return MRL_OK;
}

static mrl_status keep_in_place(double *value, mrl_real *d_output, const mrl_real *output,
                                const mrl_tile *tile, const void *data)
{
  const mrl_keep *keep = data;
  (void)d_output;
  *value = 0;
  for (size_t j = 0; j < keep->outputs; j++) {
    for (size_t i = 0; i < tile->rows; i++) {
      keep->out[(tile->first + i) * keep->outputs + j] = output[i + j * tile->ld];
    }
  }
  return MRL_OK;
}

/* What net `which` reads of a sample. */
static columns_of columns_read(const mrl_dfiv_model *model, int which, int sample)
{
  const mrl_dfiv_nets *nets = model->nets;
  const size_t inputs = nets->n_z + nets->n_w;
  const columns_of in[3] = {{model->data.input[sample], inputs, 0, inputs},
                            {model->data.x, 1, 0, 1},
                            {model->data.input[sample], inputs, nets->n_z, nets->n_w}};
  return in[which];
}

mrl_status mrl_dfiv_evaluate(mrl_real *out, mrl_dfiv_model *model, int which,
                             const mrl_dfiv_member *member, int sample, const size_t *row, size_t n,
                             const mrl_ctx *ctx)
{
  mrl_net_run *const runs[3] = {&model->run_phi, &model->run_psi, &model->run_xi};
  const columns_of in = columns_read(model, which, sample);
  if (n == 0 || !member->net) {
    return MRL_OK;
  }
  const mrl_keep keep = {out, member->net->n_outputs};
  const mrl_batch batch = {.row = row,
                           .n = n,
                           .mode = MRL_EVALUATE,
                           .fill = fill_columns,
                           .fill_data = &in,
                           .loss = keep_in_place,
                           .loss_data = &keep};
  double none;
  return mrl_net_evaluate(&none, runs[which], member->params, member->statistics, &batch, ctx);
}

mrl_status mrl_dfiv_pass(mrl_real *out, const mrl_real *d_out, mrl_dfiv_model *model, int which,
                         const mrl_dfiv_member *member, int sample, const size_t *row, size_t n,
                         uint64_t step, const mrl_ctx *ctx)
{
  mrl_net_run *const runs[3] = {&model->run_phi, &model->run_psi, &model->run_xi};
  mrl_net_run *run = runs[which];
  const columns_of in = columns_read(model, which, sample);
  const mrl_batch batch = {.row = row,
                           .n = n,
                           .mode = MRL_TRAIN,
                           .seed = member->seed,
                           .step = step,
                           .fill = fill_columns,
                           .fill_data = &in};
  const size_t m = member->net->n_outputs;
  if (out) {
    MRL_TRY(mrl_net_forward(run, member->params, member->statistics, &batch, ctx));
  }
  for (size_t t = 0; t < mrl_net_tiles(run, n); t++) {
    const mrl_tile tile = mrl_net_tile(run, &batch, t);
    const size_t at = mrl_net_tile_at(run, t, m);
    for (size_t j = 0; j < m; j++) {
      mrl_real *d = run->d_output + at + j * tile.ld;
      const mrl_real *o = mrl_net_output(run) + at + j * tile.ld;
      for (size_t i = 0; out && i < tile.rows; i++) {
        out[(tile.first + i) * m + j] = o[i];
      }
      for (size_t i = 0; !out && i < tile.ld; i++) {
        d[i] = i < tile.rows ? d_out[(tile.first + i) * m + j] : 0;
      }
    }
  }
  return out ? MRL_OK : mrl_net_backward(run, member->params, &batch, ctx);
}

void mrl_dfiv_fill_p(double *p, const mrl_dfiv_model *model, int sample, const size_t *row,
                     size_t n, const mrl_real *feature)
{
  const mrl_dfiv_nets *nets = model->nets;
  const size_t inputs = nets->n_z + nets->n_w, m = nets->n_phi;
  for (size_t i = 0; i < n; i++) {
    const mrl_real *in = model->data.input[sample] + row[i] * inputs;
    p[i] = 1;
    for (size_t j = 0; j < inputs; j++) {
      p[i + (1 + j) * n] = (double)in[j];
    }
    for (size_t j = 0; j < m; j++) {
      p[i + (1 + inputs + j) * n] = (double)feature[i * m + j];
    }
  }
}

void mrl_dfiv_fill_e(double *e, const mrl_dfiv_model *model, const size_t *row, size_t n,
                     const mrl_real *feature)
{
  const size_t m = model->nets->n_psi, powers = model->nets->n_x;
  for (size_t i = 0; i < n; i++) {
    const double x = (double)model->data.x[row[i]];
    e[i] = x;
    if (powers > 1) {
      e[i + n] = x * x;
    }
    for (size_t j = 0; j < m; j++) {
      e[i + (powers + j) * n] = (double)feature[i * m + j];
    }
  }
}

void mrl_dfiv_fill_c(double *c, const mrl_dfiv_model *model, const size_t *row, size_t n,
                     const mrl_real *feature)
{
  const mrl_dfiv_nets *nets = model->nets;
  const size_t inputs = nets->n_z + nets->n_w, m = nets->n_xi;
  for (size_t i = 0; i < n; i++) {
    const mrl_real *in = model->data.input[1] + row[i] * inputs + nets->n_z;
    c[i] = 1;
    for (size_t j = 0; j < nets->n_w; j++) {
      c[i + (1 + j) * n] = (double)in[j];
    }
    for (size_t j = 0; j < m; j++) {
      c[i + (1 + nets->n_w + j) * n] = (double)feature[i * m + j];
    }
  }
}

void mrl_dfiv_fill_f(double *f, const mrl_dfiv_nets *nets, const double *ehat, const double *c,
                     size_t n)
{
  for (size_t j = 0; j < nets->terms; j++) {
    size_t e, k;
    mrl_dfiv_term(&e, &k, nets, j);
    const double *left = e > 0 ? ehat + (e - 1) * n : NULL, *right = c + k * n;
    double *to = f + j * n;
    for (size_t i = 0; i < n; i++) {
      to[i] = left ? left[i] * right[i] : right[i];
    }
  }
}

void mrl_dfiv_fill_d(double *d, const mrl_dfiv_nets *nets, const double *e, const double *ehat,
                     const double *c, size_t n)
{
  for (size_t j = 0; j < nets->n_d; j++) {
    size_t a, k;
    mrl_dfiv_term(&a, &k, nets, nets->n_c + j);
    const double *left = e + (a - 1) * n, *expected = ehat + (a - 1) * n, *right = c + k * n;
    double *to = d + j * n;
    for (size_t i = 0; i < n; i++) {
      to[i] = (left[i] - expected[i]) * right[i];
    }
  }
}
