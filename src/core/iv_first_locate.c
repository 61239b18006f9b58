/* The location of a first stage in closed form. */
#include "iv_first.h"

#include <math.h>
#include <string.h>

enum { BLOCK = MRL_FIRST_BLOCK, N_RIDGES = 9 };

/* The most columns of a first stage in closed form: above, memory (a few matrices of them, for each
 * replicate at a time) would be larger than the data's. A ridge has asked for it. */
enum { COLUMNS_MOST = 1500 };

/* See choose(). */
static const double NET_MUST_TAKE = 0.99;

static int is_closed(const mrl_first *first)
{
  return first->settings.kind == MRL_FIRST_RIDGE || first->n_location <= COLUMNS_MOST;
}

mrl_status mrl_first_work_carve(mrl_first_work *work, mrl_arena *arena, const mrl_first *first,
                                mrl_isa isa, const mrl_ctx *ctx)
{
  const size_t p = is_closed(first) ? first->n_location : 2, all = p + 1;
  const size_t columns = first->n_location + 1;
  const size_t solve = mrl_head_scratch(p), ridge = mrl_head_ridge_scratch(p);
  mrl_first_work to = {.isa = isa};
  to.block = MRL_TAKE(arena, double, columns *BLOCK);
  to.root = MRL_TAKE(arena, double, BLOCK);
  to.gram = MRL_TAKE(arena, double, all *all);
  to.valid = MRL_TAKE(arena, double, all *all);
  to.part = MRL_TAKE(arena, double, all *all);
  to.zero = MRL_TAKE(arena, double, all);
  to.one = MRL_TAKE(arena, double, all);
  to.column = MRL_TAKE(arena, const double *, all);
  to.use = MRL_TAKE(arena, size_t, all);
  to.which = MRL_TAKE(arena, size_t, all);
  to.ridge = MRL_TAKE(arena, int, p);
  to.theta = MRL_TAKE(arena, double, columns);
  to.some = MRL_TAKE(arena, double, p);
  to.solve = MRL_TAKE(arena, double, solve > ridge ? solve : ridge);
  to.gram_scratch = mrl_take(arena, mrl_gram_scratch(all, ctx), 1);
  *work = to;
  MRL_TRY(mrl_net_run_carve(&work->run, arena, &first->net, 0, 1, 0, isa, ctx));
  return mrl_net_run_carve(&work->trunk, arena, &first->trunk, 0, 1, 0, isa, ctx);
}

/* Where the features and the net's own mean stand among the columns. */
static size_t features_at(const mrl_first *first)
{
  return 1 + first->n_inputs;
}

/* The features of a tile's rows into the block. */
typedef struct {
  double *to; /* column of the first feature */
  size_t features;
} keeper;

static mrl_status keep_features(double *value, mrl_real *d_output, const mrl_real *output,
                                const mrl_tile *tile, const void *data)
{
  const keeper *keep = data;
  (void)d_output;
  *value = 0;
  for (size_t j = 0; j < keep->features; j++) {
    for (size_t i = 0; i < tile->rows; i++) {
      keep->to[tile->first + i + j * BLOCK] = (double)output[i + j * tile->ld];
    }
  }
  return MRL_OK;
}

/* The columns [1, z, w, H, own mean] of a block of rows; H only if asked for. */
static mrl_status fill_block(mrl_first_work *work, const mrl_first *first, const mrl_first_fit *fit,
                             const double *own, const mrl_first_rows *rows, const size_t *row,
                             size_t n, int want_features, const mrl_ctx *ctx)
{
  const mrl_rows input = {rows->input, first->n_inputs};
  const keeper keep = {work->block + features_at(first) * BLOCK, first->n_features};
  const mrl_batch batch = {.row = row,
                           .n = n,
                           .fill = mrl_fill_rows,
                           .fill_data = &input,
                           .loss = keep_features,
                           .loss_data = &keep};
  double none, *own_column = work->block + (first->n_location - 1) * BLOCK;
  for (size_t j = 0; j < first->n_inputs; j++) {
    const mrl_iv_sample *s = rows->sample;
    const double *from = j < first->n_z ? s->z[j] : s->w[j - first->n_z];
    double *to = work->block + (j + 1) * BLOCK;
    for (size_t i = 0; i < n; i++) {
      to[i] = (from[row[i]] - rows->scale[j].mean) / rows->scale[j].sd;
    }
  }
  for (size_t i = 0; i < n; i++) {
    work->block[i] = 1;
    own_column[i] = own ? own[row[i]] : 0;
  }
  return want_features
             ? mrl_net_evaluate(&none, &work->trunk, fit->params, fit->statistics, &batch, ctx)
             : MRL_OK;
}

/* gram = crossproducts of the columns in work->use (n_use) and x over the rows; *total: their
 * weight, *square: the sum of its squares. The outcome is x. */
static mrl_status take_gram(double *gram, mrl_head_moments *moments, mrl_first_work *work,
                            const mrl_first *first, const mrl_first_fit *fit, const mrl_law *law,
                            const mrl_first_rows *rows, const size_t *row, size_t n, size_t n_use,
                            int want_features, const mrl_ctx *ctx)
{
  const mrl_scale *scale = rows->scale + first->n_inputs;
  double *x = work->block + first->n_location * BLOCK, square = 0;
  mrl_columns columns = {work->column, work->zero, work->one, work->root, 0, n_use + 1};
  const mrl_head_moments empty = {.p = n_use, .gram = gram};
  *moments = empty;
  memset(gram, 0, (n_use + 1) * (n_use + 1) * sizeof *gram);
  for (size_t j = 0; j <= n_use; j++) {
    work->column[j] = j < n_use ? work->block + work->use[j] * BLOCK : x;
    work->zero[j] = 0;
    work->one[j] = 1;
  }
  for (size_t begin = 0; begin < n; begin += BLOCK) {
    columns.n = n - begin < BLOCK ? n - begin : BLOCK;
    mrl_poll(ctx);
    MRL_TRY(fill_block(work, first, fit, law->location, rows, row + begin, columns.n, want_features,
                       ctx));
    for (size_t i = 0; i < columns.n; i++) {
      const double weight = rows->weight ? rows->weight[row[begin + i]] : 1;
      x[i] = (rows->sample->x[row[begin + i]] - scale->mean) / scale->sd;
      work->root[i] = sqrt(weight);
      moments->total += weight;
      square += weight * weight;
    }
    MRL_TRY(mrl_gram(gram, &columns, 0, columns.n, 1, work->gram_scratch, work->isa, ctx));
  }
  moments->n = square > 0 ? moments->total * moments->total / square : 0;
  return MRL_OK;
}

/* Which columns the candidates share: too many for the rows leave less of them. */
typedef enum { WITH_ALL, WITHOUT_FEATURES, OWN_ALONE } reach;

static reach reach_of(const mrl_first *first, size_t n)
{
  if (first->settings.kind == MRL_FIRST_RIDGE) {
    return WITHOUT_FEATURES; /* the penalty keeps it in order */
  }
  if (4 * first->n_inputs > n || !is_closed(first)) {
    return OWN_ALONE;
  }
  return first->n_features > 0 && 4 * (first->n_inputs + first->n_features) <= n ? WITH_ALL
                                                                                 : WITHOUT_FEATURES;
}

/* work->use: the columns of a reach; returns how many. */
static size_t use_columns(mrl_first_work *work, const mrl_first *first, reach how)
{
  size_t n = 0;
  work->use[n++] = 0;
  for (size_t j = 0; how != OWN_ALONE && j < first->n_inputs; j++) {
    work->use[n++] = 1 + j;
  }
  for (size_t j = 0; how == WITH_ALL && j < first->n_features; j++) {
    work->use[n++] = features_at(first) + j;
  }
  if (first->settings.kind != MRL_FIRST_RIDGE) {
    work->use[n++] = first->n_location - 1;
  }
  return n;
}

/* Moments of the columns that a candidate has, copied to work->part; work->which are they among
 * the used ones. rho: as in mrl_first_fit. */
static mrl_head_moments candidate_moments(mrl_first_work *work, const mrl_first *first,
                                          const mrl_head_moments *all, double rho)
{
  const size_t own = first->n_location - 1, ld = all->p + 1;
  mrl_head_moments out = *all;
  size_t p = 0;
  for (size_t j = 0; j < all->p; j++) {
    const size_t column = work->use[j];
    const int is_feature = column >= features_at(first) && column < own;
    const int is_in = column == 0 || (rho < 0 ? column == own : column != own);
    if (is_in && !(is_feature && isinf(rho))) {
      work->ridge[p] = is_feature;
      work->which[p++] = j;
    }
  }
  work->which[p] = all->p;
  for (size_t j = 0; j <= p; j++) {
    for (size_t i = 0; i <= p; i++) {
      work->part[i + j * (p + 1)] = all->gram[work->which[i] + work->which[j] * ld];
    }
  }
  out.p = p;
  out.gram = work->part;
  return out;
}

/* theta (n_location) of a candidate. */
static mrl_status solve_candidate(double *theta, mrl_head_fit *fit, mrl_first_work *work,
                                  const mrl_first *first, const mrl_head_moments *all, double rho)
{
  const mrl_head_moments moments = candidate_moments(work, first, all, rho);
  const mrl_head_penalty penalty = {.ridge = work->ridge};
  const mrl_head_choice choice = {.rho = rho < 0 || isinf(rho) ? 0 : rho};
  MRL_TRY(mrl_head_solve(work->some, fit, &moments, &penalty, &choice, work->solve));
  memset(theta, 0, first->n_location * sizeof *theta);
  for (size_t j = 0; j < moments.p; j++) {
    theta[work->use[work->which[j]]] = work->some[j];
  }
  return MRL_OK;
}

/* Mean squared error of theta (n_location) on the rows of the moments. */
static double error_of(const double *theta, const mrl_first_work *work, const mrl_head_moments *on)
{
  for (size_t j = 0; j < on->p; j++) {
    work->some[j] = theta[work->use[j]];
  }
  return mrl_head_error(work->some, on);
}

/*
 * The candidate whose solution on the training rows has the least error on the validation rows.
 * What the net adds must take a hundredth off that of z, w alone: features that add nothing still
 * fit noise, which draws the second stage towards the confounded association. Without validation
 * rows: by Akaike's criterion, which a net that was trained on the same rows evades; its own mean
 * is then taken only where there is nothing else.
 */
static mrl_status choose(double *rho, mrl_first_work *work, const mrl_first *first, reach how,
                         const mrl_head_moments *train, const mrl_head_moments *valid,
                         const mrl_ctx *ctx)
{
  double ridge[N_RIDGES + 2], least = INFINITY;
  int n = 0;
  if (how != OWN_ALONE) {
    ridge[n++] = INFINITY; /* the first, for the others to beat */
  }
  for (int r = 0; how == WITH_ALL && r < N_RIDGES; r++) {
    ridge[n++] = pow(10, r - 7);
  }
  if (how == OWN_ALONE || (first->n_features > 0 && valid->total > 0)) {
    ridge[n++] = -1;
  }
  *rho = ridge[0];
  for (int r = 0; r < n && n > 1; r++) {
    mrl_head_fit fit;
    mrl_poll(ctx);
    const mrl_status status = solve_candidate(work->theta, &fit, work, first, train, ridge[r]);
    if (status == MRL_SINGULAR) {
      continue;
    }
    MRL_TRY(status);
    const double error = valid->total > 0 ? error_of(work->theta, work, valid)
                                          : train->n * log(fit.rss) + 2 * fit.df;
    if (error < least) {
      least = r == 0 && valid->total > 0 ? NET_MUST_TAKE * error : error;
      *rho = ridge[r];
    }
  }
  return MRL_OK;
}

static mrl_status solve_ridge(double *theta, mrl_first_fit *fit, mrl_first_work *work,
                              const mrl_first *first, const mrl_head_moments *moments,
                              const mrl_ctx *ctx)
{
  memset(theta, 0, first->n_location * sizeof *theta);
  return mrl_head_ridge(theta, &fit->rho, moments, work->solve, ctx);
}

mrl_status mrl_first_locate(mrl_first_fit *fit, mrl_first_work *work, const mrl_first *first,
                            const mrl_law *law, const mrl_first_rows *rows, const size_t *train,
                            size_t n_train, const size_t *valid, size_t n_valid, int refit,
                            int given, const mrl_ctx *ctx)
{
  const int is_ridge = first->settings.kind == MRL_FIRST_RIDGE;
  const size_t *const row[2] = {train, valid}, n[2] = {n_train, n_valid};
  mrl_head_moments on_train, on_valid;
  if (!refit && !is_ridge) {
    memset(fit->location, 0, first->n_location * sizeof(double));
    fit->location[first->n_location - 1] = 1;
    if (fit->outside) {
      memcpy(fit->outside, fit->location, first->n_location * sizeof(double));
    }
    fit->rho = -1;
    mrl_first_leave_spread(fit);
    return MRL_OK;
  }
  const reach how = reach_of(first, n_train);
  const size_t n_use = use_columns(work, first, how);
  MRL_TRY(take_gram(work->gram, &on_train, work, first, fit, law, rows, train, n_train, n_use,
                    how == WITH_ALL, ctx));
  MRL_TRY(take_gram(work->valid, &on_valid, work, first, fit, law, rows, valid, n_valid, n_use,
                    how == WITH_ALL, ctx));
  if (is_ridge) {
    fit->rho = given ? fit->rho : first->settings.ridge;
  } else if (!given) {
    MRL_TRY(choose(&fit->rho, work, first, how, &on_train, &on_valid, ctx));
  }
  if (is_ridge && (fit->outside || isnan(fit->rho))) { /* the penalty is chosen here */
    MRL_TRY(
        solve_ridge(fit->outside ? fit->outside : work->theta, fit, work, first, &on_train, ctx));
  } else if (fit->outside) {
    MRL_TRY(solve_candidate(fit->outside, NULL, work, first, &on_train, fit->rho));
  }
  for (size_t j = 0; j < (n_use + 1) * (n_use + 1); j++) {
    work->gram[j] += work->valid[j];
  }
  on_train.n += on_valid.n;
  on_train.total += on_valid.total;
  MRL_TRY(is_ridge ? solve_ridge(fit->location, fit, work, first, &on_train, ctx)
                   : solve_candidate(fit->location, NULL, work, first, &on_train, fit->rho));
  return mrl_first_fit_spread(fit, work, first, law, rows, row, n, ctx);
}

static int any(const double *x, size_t n)
{
  for (size_t j = 0; j < n; j++) {
    if (x[j] != 0) {
      return 1;
    }
  }
  return 0;
}

mrl_status mrl_first_predict_block(mrl_first_work *work, const mrl_first *first,
                                   const mrl_first_fit *fit, const double *location,
                                   const double *own, const mrl_first_rows *rows, const size_t *row,
                                   size_t n, const mrl_ctx *ctx)
{
  const int features = any(location + features_at(first), first->n_features);
  MRL_TRY(fill_block(work, first, fit, own, rows, row, n, features, ctx));
  memset(work->root, 0, n * sizeof *work->root);
  for (size_t j = 0; j < first->n_location; j++) {
    const double *column = work->block + j * BLOCK;
    for (size_t i = 0; location[j] != 0 && i < n; i++) {
      work->root[i] += location[j] * column[i];
    }
  }
  return MRL_OK;
}

mrl_status mrl_first_predict(double *out, mrl_first_work *work, const mrl_first *first,
                             const mrl_first_fit *fit, const double *location, const double *own,
                             const mrl_first_rows *rows, const size_t *row, size_t n,
                             const mrl_ctx *ctx)
{
  for (size_t begin = 0; begin < n; begin += BLOCK) {
    const size_t count = n - begin < BLOCK ? n - begin : BLOCK;
    mrl_poll(ctx);
    MRL_TRY(
        mrl_first_predict_block(work, first, fit, location, own, rows, row + begin, count, ctx));
    for (size_t i = 0; i < count; i++) {
      out[row[begin + i]] = work->root[i];
    }
  }
  return MRL_OK;
}

mrl_status mrl_first_move(mrl_law *law, mrl_first_work *work, const mrl_first *first,
                          const mrl_first_fit *fit, const mrl_first_rows *rows, const size_t *row,
                          size_t n, const mrl_ctx *ctx)
{
  MRL_TRY(mrl_first_predict(law->location, work, first, fit, fit->location, law->location, rows,
                            row, n, ctx));
  for (size_t i = 0; i < n; i++) {
    mrl_law_stretch(law, row[i], mrl_first_stretch(fit, law->location[row[i]]));
  }
  return MRL_OK;
}
