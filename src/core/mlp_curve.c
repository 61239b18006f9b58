#include "mlp_curve.h"
#include "prob.h"

enum { PIECE = 4096 }; /* people at a time */

/* One pass over a piece of the people: what fill and loss read. */
typedef struct {
  const mrl_curve_model *model;
  const mrl_people *people;
  const double *x; /* (n), or NULL: everybody has `level` */
  double level;
  double *out; /* (n), or NULL: the weighted sum is the value */
} pass;

typedef struct {
  mrl_net_run run;
  size_t *row; /* (PIECE) */
} work;

static mrl_status carve(work *to, mrl_arena *arena, const mrl_net *net, mrl_isa isa,
                        const mrl_ctx *ctx)
{
  to->row = MRL_TAKE(arena, size_t, PIECE);
  return mrl_net_run_carve(&to->run, arena, net, PIECE, 1, 1, isa, ctx);
}

size_t mrl_curve_scratch(const mrl_net *net, mrl_isa isa, const mrl_ctx *ctx)
{
  work to;
  mrl_arena arena = mrl_arena_measure();
  return carve(&to, &arena, net, isa, ctx) == MRL_OK ? arena.used : 0;
}

static double weight_of(const mrl_people *people, size_t row)
{
  return people->weights ? people->weights[row] : 1;
}

static double total_weight(const mrl_people *people)
{
  double total = 0;
  for (size_t i = 0; i < people->n; i++) {
    total += weight_of(people, i);
  }
  return total;
}

/* The polynomial of row `row` as coefficients of 1, x, x^2. */
static void line_of(double line[3], const pass *p, size_t row)
{
  const mrl_basis *basis = p->model->basis;
  const double *theta = p->model->theta, *of_w = theta + 2 + (basis->curved ? 1 : 0);
  line[0] = theta[0];
  line[1] = theta[1];
  line[2] = basis->curved ? theta[2] : 0;
  for (size_t j = 0; j < basis->n_w; j++) {
    const mrl_scale *sw = p->model->w + j;
    const double w = (p->people->w[j][row] - sw->mean) / sw->sd;
    line[0] += of_w[j] * w;
    line[1] += basis->crossed ? of_w[basis->n_w + j] * w : 0;
  }
}

static double standard_x(const pass *p, size_t row)
{
  const mrl_scale *sx = p->model->x;
  return ((p->x ? p->x[row] : p->level) - sx->mean) / sx->sd;
}

/* The outcome, or its logit, in standardised units; output points to the row's first feature. */
static double linear_part(const pass *p, const mrl_real *output, size_t ld, size_t row)
{
  const mrl_curve_model *model = p->model;
  if (!model->theta) {
    return (double)output[0];
  }
  const double x = standard_x(p, row), *theta = model->theta + mrl_basis_polynomial(model->basis);
  double line[3];
  line_of(line, p, row);
  double sum = line[0] + x * (line[1] + x * line[2]);
  for (size_t j = 0; j < model->basis->n_features; j++) {
    sum += theta[j] * (double)output[j * ld];
  }
  return sum;
}

static double outcome_of(const mrl_curve_model *model, double linear)
{
  return model->binary ? mrl_logistic(linear) : model->y->mean + model->y->sd * linear;
}

static mrl_status fill(mrl_real *x, const mrl_tile *tile, const void *data)
{
  const pass *p = data;
  for (size_t i = 0; i < tile->rows; i++) {
    x[i] = (mrl_real)standard_x(p, tile->row[i]);
  }
  for (size_t j = 0; j < p->people->n_w; j++) {
    const mrl_scale *sw = p->model->w + j;
    mrl_real *column = x + (j + 1) * tile->ld;
    for (size_t i = 0; i < tile->rows; i++) {
      column[i] = (mrl_real)((p->people->w[j][tile->row[i]] - sw->mean) / sw->sd);
    }
  }
  return MRL_OK;
}

static mrl_status take(double *value, mrl_real *d_output, const mrl_real *output,
                       const mrl_tile *tile, const void *data)
{
  const pass *p = data;
  (void)d_output;
  *value = 0;
  for (size_t i = 0; i < tile->rows; i++) {
    const double g = outcome_of(p->model, linear_part(p, output + i, tile->ld, tile->row[i]));
    if (p->out) {
      p->out[tile->row[i]] = g;
    }
    *value += weight_of(p->people, tile->row[i]) * g;
  }
  return MRL_OK;
}

/* The piece of the people from `first` on. */
static mrl_batch piece_from(work *to, size_t first, const pass *p)
{
  const size_t rest = p->people->n - first, n = rest < PIECE ? rest : PIECE;
  for (size_t i = 0; i < n; i++) {
    to->row[i] = first + i;
  }
  const mrl_batch batch = {.row = to->row,
                           .n = n,
                           .mode = MRL_EVALUATE,
                           .fill = fill,
                           .fill_data = p,
                           .loss = take,
                           .loss_data = p};
  return batch;
}

static mrl_status evaluate(double *sum, work *to, const pass *p, const mrl_ctx *ctx)
{
  const mrl_curve_model *model = p->model;
  *sum = 0;
  for (size_t first = 0; first < p->people->n; first += PIECE) {
    const mrl_batch batch = piece_from(to, first, p);
    double part;
    mrl_poll(ctx);
    MRL_TRY(mrl_net_evaluate(&part, &to->run, model->params, model->statistics, &batch, ctx));
    *sum += part;
  }
  return MRL_OK;
}

static mrl_status work_over(work *to, void *scratch, size_t size, const mrl_net *net, mrl_isa isa,
                            const mrl_ctx *ctx)
{
  mrl_arena arena = mrl_arena_over(scratch, size);
  return carve(to, &arena, net, isa, ctx);
}

mrl_status mrl_curve_predict(double *out, const mrl_curve_model *model, const double *x,
                             const mrl_people *people, mrl_isa isa, void *scratch, size_t size,
                             const mrl_ctx *ctx)
{
  const pass p = {.model = model, .people = people, .x = x, .out = out};
  work to;
  double sum;
  MRL_TRY(work_over(&to, scratch, size, model->net, isa, ctx));
  return evaluate(&sum, &to, &p, ctx);
}

mrl_status mrl_curve_mean(double *out, const mrl_curve_model *model, const double *level,
                          size_t n_levels, const mrl_people *people, mrl_isa isa, void *scratch,
                          size_t size, const mrl_ctx *ctx)
{
  const double total = total_weight(people);
  work to;
  MRL_TRY(work_over(&to, scratch, size, model->net, isa, ctx));
  for (size_t l = 0; l < n_levels; l++) {
    const pass p = {.model = model, .people = people, .level = level[l]};
    MRL_TRY(evaluate(out + l, &to, &p, ctx));
    out[l] /= total;
  }
  return MRL_OK;
}

/* The derivative of the outcome in linear_part(); the outcome's sd apart. */
static double steepness(const pass *p, double linear)
{
  const double g = p->model->binary ? mrl_logistic(linear) : 0;
  return p->model->binary ? g * (1 - g) : 1;
}

/* The polynomial's part of the derivative. */
static double polynomial_slope(const pass *p, size_t row)
{
  double line[3];
  if (!p->model->theta) {
    return 0;
  }
  line_of(line, p, row);
  return line[1] + 2 * line[2] * standard_x(p, row);
}

/* What the gradient of the output has to be, for a row with the given steepness. */
static void start_row(mrl_real *d, size_t ld, const mrl_curve_model *model, double slope)
{
  const double *theta = model->theta ? model->theta + mrl_basis_polynomial(model->basis) : NULL;
  for (size_t j = 0; j < model->net->n_outputs; j++) {
    const double factor = !theta ? 1 : j < model->basis->n_features ? theta[j] : 0;
    d[j * ld] = (mrl_real)(slope * factor);
  }
}

/* The gradients that go back (0 in rows that fill up a tile); returns the sum over the rows of what
 * the polynomial adds to the derivative. */
static double start_backward(const work *to, const mrl_batch *batch, const pass *p)
{
  const mrl_real *output = mrl_net_output(&to->run);
  double sum = 0;
  for (size_t t = 0; t < mrl_net_tiles(&to->run, batch->n); t++) {
    const mrl_tile tile = mrl_net_tile(&to->run, batch, t);
    const size_t at = mrl_net_tile_at(&to->run, t, p->model->net->n_outputs);
    for (size_t i = 0; i < tile.ld; i++) {
      double slope = 0;
      if (i < tile.rows) {
        slope = steepness(p, linear_part(p, output + at + i, tile.ld, tile.row[i]));
        sum += weight_of(p->people, tile.row[i]) * slope * polynomial_slope(p, tile.row[i]);
      }
      start_row(to->run.d_output + at + i, tile.ld, p->model, slope);
    }
  }
  return sum;
}

static double sum_slopes(const work *to, const mrl_batch *batch, const pass *p)
{
  double sum = 0;
  for (size_t t = 0; t < mrl_net_tiles(&to->run, batch->n); t++) {
    const mrl_tile tile = mrl_net_tile(&to->run, batch, t);
    const mrl_real *d = to->run.d_input + mrl_net_tile_at(&to->run, t, to->run.net->n_inputs);
    for (size_t i = 0; i < tile.rows; i++) {
      sum += weight_of(p->people, tile.row[i]) * (double)d[i];
    }
  }
  return sum;
}

mrl_status mrl_curve_slope(double *out, const mrl_curve_model *model, const double *x,
                           const mrl_people *people, mrl_isa isa, void *scratch, size_t size,
                           const mrl_ctx *ctx)
{
  const pass p = {.model = model, .people = people, .x = x};
  work to;
  double sum = 0;
  MRL_TRY(work_over(&to, scratch, size, model->net, isa, ctx));
  for (size_t first = 0; first < people->n; first += PIECE) {
    const mrl_batch batch = piece_from(&to, first, &p);
    mrl_poll(ctx);
    MRL_TRY(mrl_net_forward(&to.run, model->params, model->statistics, &batch, ctx));
    sum += start_backward(&to, &batch, &p);
    MRL_TRY(mrl_net_backward(&to.run, model->params, &batch, ctx));
    sum += sum_slopes(&to, &batch, &p);
  }
  *out = sum * (model->binary ? 1 : model->y->sd) / model->x->sd / total_weight(people);
  return MRL_OK;
}
