#include "iv_head.h"

#include "gemm.h"

#include <math.h>
#include <string.h>

enum { SCORING_MOST = 12, HALVINGS = 6, CHOOSING = 3, GRID_ROWS = MRL_HEAD_GRID + 3 };

mrl_status mrl_head_carve(mrl_head_work *work, mrl_arena *arena, const mrl_net *net,
                          const mrl_net *trunk, const mrl_basis *basis, size_t nodes, mrl_isa isa,
                          const mrl_ctx *ctx)
{
  const size_t terms = mrl_basis_terms(basis), all = terms + 1, block = MRL_HEAD_BLOCK;
  mrl_head_work to = {.basis = *basis, .terms = terms, .isa = isa};
  to.place = MRL_TAKE(arena, size_t, block);
  to.node = MRL_TAKE(arena, double, block *nodes);
  to.share = MRL_TAKE(arena, double, block *nodes);
  to.line = MRL_TAKE(arena, double, 3 * block);
  to.w = MRL_TAKE(arena, double, block * basis->n_w);
  to.block = MRL_TAKE(arena, double, block *all);
  to.root = MRL_TAKE(arena, double, block);
  to.value = MRL_TAKE(arena, double, block);
  to.power = MRL_TAKE(arena, double, 3 * block);
  to.gram = MRL_TAKE(arena, double, all *all);
  for (int o = 0; o < MRL_HEAD_ORDERS; o++) {
    to.rough[o] = MRL_TAKE(arena, double, terms *terms);
  }
  to.zero = MRL_TAKE(arena, double, all);
  to.one = MRL_TAKE(arena, double, all);
  to.column = MRL_TAKE(arena, const double *, all);
  to.ridge = MRL_TAKE(arena, int, terms);
  to.theta = MRL_TAKE(arena, double, terms);
  to.start = MRL_TAKE(arena, double, terms);
  to.best = MRL_TAKE(arena, double, terms);
  to.grid = MRL_TAKE(arena, double, GRID_ROWS *terms);
  to.feature = MRL_TAKE(arena, mrl_real, GRID_ROWS * (basis->n_features + 1));
  to.solve = MRL_TAKE(arena, double, mrl_head_scratch(terms));
  to.gram_scratch = mrl_take(arena, mrl_gram_scratch(all, ctx), 1);
  *work = to;
  MRL_TRY(mrl_net_run_carve(&work->run, arena, trunk, 0, nodes, 0, isa, ctx));
  return mrl_net_run_carve(&work->whole, arena, net, 0, nodes, 0, isa, ctx);
}

/* What is taken from the evaluated rows of a block. */
typedef enum { TAKE_MEAN, TAKE_SCORE, TAKE_VALUE, TAKE_OWN } what_to_take;

typedef struct {
  mrl_head_work *work;
  const mrl_head_data *data;
  const double *theta;
  what_to_take what;
} pass;

static mrl_status fill_nodes(mrl_real *x, const mrl_tile *tile, const void *data)
{
  const pass *p = data;
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
static double linear_part(const pass *p, const mrl_real *output, const mrl_tile *tile, size_t i,
                          size_t k, size_t at)
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

static void take_mean(const pass *p, const mrl_real *output, const mrl_tile *tile)
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
static void take_score(const pass *p, const mrl_real *output, const mrl_tile *tile)
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

static void take_value(const pass *p, const mrl_real *output, const mrl_tile *tile)
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
  const pass *p = data;
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
static void start_block(const pass *p, const size_t *row, size_t count)
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

static mrl_status run_block(const pass *p, const mrl_head_net *net, const size_t *row, size_t count,
                            const mrl_ctx *ctx)
{
  mrl_head_work *work = p->work;
  const mrl_batch batch = {.row = work->place,
                           .n = count,
                           .fill = fill_nodes,
                           .fill_data = p,
                           .loss = take,
                           .loss_data = p};
  double none;
  start_block(p, row, count);
  return mrl_net_evaluate(&none, p->what == TAKE_OWN ? &work->whole : &work->run, net->params,
                          net->statistics, &batch, ctx);
}

static double weight_of(const mrl_head_data *data, size_t row)
{
  return data->weight ? data->weight[row] : 1;
}

static double outcome_of(const mrl_head_data *data, size_t row)
{
  return (data->sample->y[row] - data->y->mean) / data->y->sd;
}

/* The outcome's column of a block, and roots of weights; returns the part of the deviance. */
static double finish_block(const pass *p, const size_t *row, size_t count)
{
  mrl_head_work *work = p->work;
  const size_t terms = work->terms;
  double *y = work->block + terms * MRL_HEAD_BLOCK, deviance = 0;
  for (size_t i = 0; i < count; i++) {
    const double weight = weight_of(p->data, row[i]);
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

/* work->gram over all rows; theta and *deviance for a binary outcome only. */
static mrl_status take_gram(double *deviance, mrl_head_work *work, const mrl_head_net *net,
                            const mrl_head_data *data, const double *theta, const mrl_ctx *ctx)
{
  const pass p = {work, data, theta, data->binary ? TAKE_SCORE : TAKE_MEAN};
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

/* The features at equally spaced x of one person, whose covariates are in work->w. */
static mrl_status person_grid(mrl_head_work *work, const mrl_head_net *net, double low, double step,
                              const mrl_ctx *ctx)
{
  const size_t features = work->basis.n_features, at = mrl_basis_polynomial(&work->basis);
  const mrl_keep keep = {work->feature, features};
  const pass p = {.work = work};
  const mrl_batch batch = {.row = work->place,
                           .n = GRID_ROWS,
                           .fill = fill_nodes,
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

/* The roughness of both orders, averaged over the range and over people equally spaced in the
 * data. */
static mrl_status take_roughness(mrl_head_work *work, const mrl_head_net *net,
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

static mrl_head_penalty penalty_of(mrl_head_work *work)
{
  const size_t at = mrl_basis_polynomial(&work->basis);
  mrl_head_penalty penalty = {.ridge = NULL};
  if (work->basis.n_features > 0) {
    for (size_t j = 0; j < work->terms; j++) {
      work->ridge[j] = j >= at;
    }
    penalty.ridge = work->ridge;
    penalty.rough[0] = work->rough[0];
    penalty.rough[1] = work->rough[1];
  }
  return penalty;
}

static mrl_head_moments moments_of(const mrl_head_work *work, const mrl_head_data *data)
{
  double total = 0, square = 0;
  for (size_t i = 0; i < data->n_rows; i++) {
    const double weight = weight_of(data, data->row[i]);
    total += weight;
    square += weight * weight;
  }
  const mrl_head_moments moments = {work->terms, work->gram, total, total * total / square,
                                    data->binary};
  return moments;
}

static mrl_status solve(double *theta, mrl_head_choice *choice, mrl_head_fit *fit,
                        mrl_head_work *work, const mrl_head_moments *moments,
                        const mrl_head_penalty *penalty, int choose, const mrl_ctx *ctx)
{
  return choose ? mrl_head_choose(theta, choice, fit, moments, penalty, work->basis.n_w > 0,
                                  work->solve, ctx)
                : mrl_head_solve(theta, fit, moments, penalty, choice, work->solve);
}

/* The net's own last layer as theta. */
static void own_layer(double *theta, const mrl_head_work *work, const mrl_head_net *net)
{
  const mrl_stage *stage = net->net->stage + net->net->n_stages - 2;
  const size_t at = mrl_basis_polynomial(&work->basis);
  const mrl_real *weights = net->params + stage->a;
  memset(theta, 0, work->terms * sizeof *theta);
  theta[0] = (double)net->params[net->net->stage[net->net->n_stages - 1].c];
  for (size_t j = 0; j < work->basis.n_features; j++) {
    theta[at + j] = (double)weights[j];
  }
  for (size_t j = 0; work->basis.n_features == 0 && j < 1 + work->basis.n_w; j++) {
    theta[1 + j] = (double)weights[j];
  }
}

/* Half the penalty's part of what scoring minimises, times two: on the scale of a deviance. */
static double objective(double deviance, const double *theta, const mrl_head_moments *moments,
                        const mrl_head_penalty *penalty, const mrl_head_choice *choice)
{
  return deviance + moments->total * mrl_head_penalty_value(theta, moments, penalty, choice);
}

static int is_settled(const double *theta, const double *before, size_t p)
{
  double change = 0, size = 0;
  for (size_t j = 0; j < p; j++) {
    change += (theta[j] - before[j]) * (theta[j] - before[j]);
    size += theta[j] * theta[j];
  }
  return change <= 1e-14 * size;
}

/* Scoring: each solution is judged by the pass that also gives the next working rows. */
static mrl_status score(double *theta, mrl_head_choice *choice, mrl_head_fit *fit,
                        mrl_head_work *work, const mrl_head_net *net, const mrl_head_data *data,
                        const mrl_head_penalty *penalty, int choose, const mrl_ctx *ctx)
{
  mrl_head_moments moments = moments_of(work, data);
  double deviance, next;
  MRL_TRY(take_gram(&deviance, work, net, data, theta, ctx));
  for (int step = 0; step < SCORING_MOST; step++) {
    MRL_TRY(
        solve(work->best, choice, fit, work, &moments, penalty, choose && step < CHOOSING, ctx));
    const double before = objective(deviance, theta, &moments, penalty, choice);
    memcpy(work->start, theta, work->terms * sizeof *theta);
    memcpy(theta, work->best, work->terms * sizeof *theta);
    MRL_TRY(take_gram(&next, work, net, data, theta, ctx));
    for (int h = 0; h < HALVINGS && !(objective(next, theta, &moments, penalty, choice) <=
                                      before + 1e-9 * fabs(before));
         h++) {
      for (size_t j = 0; j < work->terms; j++) {
        theta[j] = 0.5 * (theta[j] + work->start[j]);
      }
      MRL_TRY(take_gram(&next, work, net, data, theta, ctx));
    }
    const double fell = deviance - next;
    deviance = next;
    if (is_settled(theta, work->start, work->terms) ||
        (step >= CHOOSING && fabs(fell) < 1e-8 * fabs(deviance))) {
      break;
    }
  }
  fit->rss = deviance / moments.total;
  fit->bic = moments.n * fit->rss + fit->df * log(moments.n);
  return MRL_OK;
}

mrl_status mrl_head_fit_rows(double *theta, mrl_head_choice *choice, mrl_head_fit *fit,
                             mrl_head_work *work, const mrl_head_net *net,
                             const mrl_head_data *data, const mrl_head_range *range, int choose,
                             const double *from, const mrl_ctx *ctx)
{
  const mrl_head_penalty penalty = penalty_of(work);
  double none;
  if (work->basis.n_features > 0) {
    MRL_TRY(take_roughness(work, net, data, range, ctx));
  }
  if (!data->binary) {
    const mrl_head_moments moments = moments_of(work, data);
    MRL_TRY(take_gram(&none, work, net, data, NULL, ctx));
    return solve(theta, choice, fit, work, &moments, &penalty, choose, ctx);
  }
  if (from) {
    memcpy(theta, from, work->terms * sizeof *theta);
  } else {
    own_layer(theta, work, net);
  }
  return score(theta, choice, fit, work, net, data, &penalty, choose, ctx);
}

mrl_status mrl_head_predict(double *out, mrl_head_work *work, const mrl_head_net *net,
                            const mrl_head_data *data, const double *theta, const mrl_ctx *ctx)
{
  const pass p = {work, data, theta, theta ? TAKE_VALUE : TAKE_OWN};
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
