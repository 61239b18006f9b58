/* Deep feature IV in double: gradients through both ridges by central differences, 2SLS as its
 * linear case, threads; mutants that have the defects of published code. */
#include "dfiv_double.h"

#include "ctest.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { N = 90, N_Z = 2, N_W = 2, FOLDS = 3 };

typedef struct {
  mrl_real input[N * (N_Z + N_W)], x[N], y[N];
  double weight[N];
  int fold[N];
  size_t row[N];
} toy;

static void draw(toy *d)
{
  mrl_rng rng = mrl_rng_stream(3, MRL_RNG_TEST, 0);
  for (size_t i = 0; i < N; i++) {
    double x = 0;
    for (size_t j = 0; j < N_Z + N_W; j++) {
      const double v = mrl_rng_normal(&rng);
      d->input[i * (N_Z + N_W) + j] = v;
      x += 0.5 * v;
    }
    const double u = mrl_rng_normal(&rng), w = d->input[i * (N_Z + N_W) + N_Z];
    d->x[i] = x + u;
    d->y[i] = sin(d->x[i]) * (1 + 0.5 * w) - u + 0.3 * mrl_rng_normal(&rng);
    d->weight[i] = 0.5 + mrl_rng_uniform(&rng);
    d->fold[i] = (int)(i % FOLDS);
    d->row[i] = i;
  }
}

/* Nets and a model with members of their own. */
typedef struct {
  mrl_dfiv_nets nets;
  mrl_dfiv_model model;
  mrl_real *state;
  size_t n_state;
  void *memory[3];
} fixture;

static void carve(fixture *f, const toy *d, const int *hidden, size_t n_hidden, size_t folds,
                  const mrl_ctx *ctx)
{
  const mrl_mlp mlp = {
      .hidden = hidden, .n_hidden = n_hidden, .activation = MRL_TANH, .batch_norm = 1};
  const mrl_dfiv_mlps mlps = {mlp, mlp, mlp};
  const mrl_dfiv_data data = {.input = {d->input, d->input},
                              .x = d->x,
                              .y = d->y,
                              .weight = {d->weight, d->weight},
                              .fold = d->fold,
                              .folds = folds};
  mrl_arena arena = mrl_arena_measure();
  CHECK(mrl_dfiv_nets_carve(&f->nets, &arena, &mlps, N_Z, N_W) == MRL_OK);
  f->memory[0] = malloc(arena.used + 1);
  arena = mrl_arena_over(f->memory[0], arena.used);
  CHECK(mrl_dfiv_nets_carve(&f->nets, &arena, &mlps, N_Z, N_W) == MRL_OK);
  arena = mrl_arena_measure();
  const mrl_isa isa = mrl_isa_best();
  CHECK(mrl_dfiv_model_carve(&f->model, &arena, &f->nets, &data, N, 1, isa, ctx) == MRL_OK);
  f->memory[1] = malloc(arena.used);
  arena = mrl_arena_over(f->memory[1], arena.used);
  CHECK(mrl_dfiv_model_carve(&f->model, &arena, &f->nets, &data, N, 1, isa, ctx) == MRL_OK);
  f->model.lambda[0] = 0.05;
  f->model.lambda[1] = 0.02;
  f->state = NULL;
}

static mrl_real *place(mrl_dfiv_member *m, const mrl_net *net, mrl_real *at, uint64_t seed)
{
  const mrl_dfiv_member out = {
      .net = net, .params = at, .statistics = at + net->n_params, .seed = seed};
  mrl_net_start(out.params, out.statistics, net, seed);
  *m = out;
  return at + net->n_params + net->n_statistics;
}

static void start(fixture *f)
{
  const size_t folds = f->model.data.folds;
  const mrl_dfiv_nets *nets = &f->nets;
  const mrl_dfiv_member none = {.net = NULL};
  for (size_t k = 0; k < folds; k++) {
    f->model.phi[k] = none;
  }
  f->model.psi = f->model.xi = none;
  if (nets->n_psi == 0) {
    f->memory[2] = NULL;
    return;
  }
  f->n_state = folds * (nets->phi.n_params + nets->phi.n_statistics) + nets->psi.n_params +
               nets->psi.n_statistics + nets->xi.n_params + nets->xi.n_statistics;
  f->memory[2] = malloc(f->n_state * sizeof(mrl_real));
  f->state = f->memory[2];
  mrl_real *at = f->state;
  for (size_t k = 0; k < folds; k++) {
    at = place(f->model.phi + k, &nets->phi, at, 10 + k);
  }
  at = place(&f->model.psi, &nets->psi, at, 20);
  place(&f->model.xi, &nets->xi, at, 21);
}

static void release(fixture *f)
{
  for (int i = 0; i < 3; i++) {
    free(f->memory[i]);
  }
}

static const mrl_ctx alone = {1, NULL, NULL};

static double outcome_loss(fixture *f, const mrl_dfiv_batch *batch)
{
  double loss;
  CHECK(mrl_dfiv_outcome_loss(&loss, &f->model, batch, &alone) == MRL_OK);
  return loss;
}

static double instrument_loss(fixture *f, size_t k, const mrl_dfiv_batch *batch)
{
  double loss;
  CHECK(mrl_dfiv_exposures(&f->model, batch, &alone) == MRL_OK);
  CHECK(mrl_dfiv_instrument_loss(&loss, &f->model, k, batch, &alone) == MRL_OK);
  return loss;
}

/* The largest error of a gradient, relative to its largest part: central differences of smooth
 * functions in double err by step^2 + 1e-16 / step, some 1e-9 here. */
static double gradient_error(fixture *f, mrl_dfiv_member *m, const mrl_real *gradient, int which,
                             const mrl_dfiv_batch *batch)
{
  const double step = 1e-5;
  double worst = 0, largest = 0;
  for (size_t i = 0; i < m->net->n_pieces; i++) {
    const mrl_param *piece = m->net->piece + i;
    for (size_t j = piece->offset; j < piece->offset + piece->size; j += 3) {
      const double old = m->params[j];
      m->params[j] = old + step;
      const double up = which == 0 ? instrument_loss(f, 1, batch) : outcome_loss(f, batch);
      m->params[j] = old - step;
      const double down = which == 0 ? instrument_loss(f, 1, batch) : outcome_loss(f, batch);
      m->params[j] = old;
      worst = fmax(worst, fabs((up - down) / (2 * step) - gradient[j]));
      largest = fmax(largest, fabs(gradient[j]));
    }
  }
  CHECK(largest > 0);
  return worst / largest;
}

static mrl_real *copy_of(const mrl_real *x, size_t n)
{
  mrl_real *out = malloc(n * sizeof *out);
  memcpy(out, x, n * sizeof *out);
  return out;
}

static void test_gradients(void)
{
  static const int hidden[] = {5, 3};
  toy d;
  fixture f;
  draw(&d);
  carve(&f, &d, hidden, 2, FOLDS, &alone);
  start(&f);
  const mrl_dfiv_batch batch = {.row = {d.row, d.row}, .n = {N, N}, .step = 1};
  instrument_loss(&f, 1, &batch);
  mrl_real *phi = copy_of(f.model.run_phi.gradient, f.nets.phi.n_params);
  CHECK(gradient_error(&f, f.model.phi + 1, phi, 0, &batch) < 1e-6);
  outcome_loss(&f, &batch);
  mrl_real *psi = copy_of(f.model.run_psi.gradient, f.nets.psi.n_params);
  mrl_real *xi = copy_of(f.model.run_xi.gradient, f.nets.xi.n_params);
  CHECK(gradient_error(&f, &f.model.psi, psi, 1, &batch) < 1e-6);
  CHECK(gradient_error(&f, &f.model.xi, xi, 1, &batch) < 1e-6);
  free(phi);
  free(psi);
  free(xi);
  release(&f);
}

/* The objective of a ridge at coef: mean squared error plus lambda times the squares, or, with
 * `summed`, the sum of squared errors plus them, as the published inner problem has it. */
static double objective(const double *p, const double *e, const double *coef, size_t n, size_t np,
                        double lambda, int summed)
{
  double sum = 0, squares = 0;
  for (size_t i = 0; i < n; i++) {
    double r = e[i];
    for (size_t j = 0; j < np; j++) {
      r -= p[i + j * n] * coef[j];
    }
    sum += r * r;
  }
  for (size_t j = 0; j < np; j++) {
    squares += coef[j] * coef[j];
  }
  return sum / (summed ? 1 : (double)n) + lambda * squares;
}

/* Defect 8: the loss is what the ridge minimises. A ridge that is scaled otherwise leaves a slope,
 * and gradients that hold its solution fixed are wrong. */
static void test_scaling(void)
{
  enum { ROWS = 40, COLUMNS = 3 };
  double p[ROWS * COLUMNS], e[ROWS], gram[(COLUMNS + 1) * (COLUMNS + 1)];
  double coef[COLUMNS], root[COLUMNS * COLUMNS];
  const int is_free[COLUMNS] = {0};
  const double lambda = 0.3, step = 1e-5;
  mrl_dfiv_ridge ridge = {coef, root};
  mrl_rng rng = mrl_rng_stream(5, MRL_RNG_TEST, 1);
  for (size_t i = 0; i < ROWS; i++) {
    e[i] = mrl_rng_normal(&rng);
    for (size_t j = 0; j < COLUMNS; j++) {
      p[i + j * ROWS] = mrl_rng_normal(&rng);
      e[i] += p[i + j * ROWS];
    }
  }
  for (size_t j = 0; j <= COLUMNS; j++) {
    for (size_t k = 0; k <= COLUMNS; k++) {
      const double *a = j < COLUMNS ? p + j * ROWS : e, *b = k < COLUMNS ? p + k * ROWS : e;
      gram[j + k * (COLUMNS + 1)] = 0;
      for (size_t i = 0; i < ROWS; i++) {
        gram[j + k * (COLUMNS + 1)] += a[i] * b[i];
      }
    }
  }
  double slope[2];
  CHECK(mrl_dfiv_solve(&ridge, gram, COLUMNS, 1, ROWS, lambda, is_free) == MRL_OK);
  for (int mutant = 0; mutant < 2; mutant++) {
    if (mutant) { /* solves SSE + lambda b^2, is judged by MSE + lambda b^2 */
      CHECK(mrl_dfiv_solve(&ridge, gram, COLUMNS, 1, 1, lambda, is_free) == MRL_OK);
    }
    const double old = coef[0];
    coef[0] = old + step;
    const double up = objective(p, e, coef, ROWS, COLUMNS, lambda, 0);
    coef[0] = old - step;
    const double down = objective(p, e, coef, ROWS, COLUMNS, lambda, 0);
    coef[0] = old;
    slope[mutant] = fabs(up - down) / (2 * step);
  }
  CHECK(slope[0] < 1e-8);
  CHECK(slope[1] > 0.1);
}

/* What a ridge of `target` (nt columns) on `on` (no columns) predicts, by the parts of the first
 * stage, into model->part (n, nt). */
static void predict(fixture *f, const toy *d, const double *on, size_t no, const double *target,
                    size_t nt)
{
  mrl_dfiv_model *m = &f->model;
  CHECK(mrl_dfiv_gram(m->gram, m, on, no, target, nt, 0, d->row, N, 0, &alone) == MRL_OK);
  CHECK(mrl_dfiv_solve(m->v, m->gram, no, nt, mrl_dfiv_total(&m->data, 0, d->row, N), m->lambda[0],
                       m->free_v) == MRL_OK);
  CHECK(mrl_dfiv_product(m->part, m, on, MRL_NO_TRANS, m->v[0].coef, MRL_NO_TRANS, N, nt, no,
                         &alone) == MRL_OK);
}

/* The largest part of what predictions (n, ne) leave of E that columns of P still tell. */
static double left_over(const fixture *f, const toy *d, const double *predicted)
{
  const size_t np = f->nets.n_p, ne = f->nets.n_e;
  double worst = 0;
  for (size_t j = 0; j < ne; j++) {
    for (size_t k = 0; k < np; k++) {
      double dot = 0, size = 0;
      for (size_t i = 0; i < N; i++) {
        const double r = f->model.e[i + j * N] - predicted[i + j * N];
        dot += d->weight[i] * r * f->model.p[i + k * N];
        size += d->weight[i] * fabs(r * f->model.p[i + k * N]);
      }
      worst = fmax(worst, size > 0 ? fabs(dot) / size : 0);
    }
  }
  return worst;
}

/* Defect 7: exposure features are regressed on instruments' features. The features that the outcome
 * is regressed on are, bit for bit, those of a ridge in that direction, and leave nothing that the
 * instruments tell; a mutant that hands both over in the published order takes predictions of the
 * instruments' features for them. */
static void test_direction(void)
{
  static const int hidden[] = {4}; /* 1 + 2 + 2 + 4 columns of P, 2 + 4 of E */
  toy d;
  fixture f;
  draw(&d);
  carve(&f, &d, hidden, 1, 1, &alone);
  start(&f);
  const mrl_dfiv_batch batch = {.row = {d.row, d.row}, .n = {N, N}, .step = 1};
  const size_t np = f.nets.n_p, ne = f.nets.n_e;
  f.model.lambda[0] = 0;
  outcome_loss(&f, &batch);
  CHECK(left_over(&f, &d, f.model.ehat) < 1e-9);
  predict(&f, &d, f.model.p, np, f.model.e, ne);
  CHECK(memcmp(f.model.part, f.model.ehat, N * ne * sizeof *f.model.part) == 0);
  memset(f.model.free_v, 0, np * sizeof *f.model.free_v);
  predict(&f, &d, f.model.e, ne, f.model.p + N, ne); /* all but the constant that have room */
  CHECK(left_over(&f, &d, f.model.part) > 0.05);
  release(&f);
}

/* The gradients of psi, then of xi, of the last outcome loss. */
static double *outcome_gradient(const fixture *f)
{
  const size_t n_psi = f->nets.psi.n_params, n_xi = f->nets.xi.n_params;
  double *out = malloc((n_psi + n_xi) * sizeof *out);
  memcpy(out, f->model.run_psi.gradient, n_psi * sizeof *out);
  memcpy(out + n_psi, f->model.run_xi.gradient, n_xi * sizeof *out);
  return out;
}

/* What the first stage leaves of the exposure's features is taken out of the outcome, which is then
 * as if it were given without: gradients do not go through D b. */
static void test_take_out(void)
{
  static const int hidden[] = {5, 3};
  double *gradient[2], square[2];
  size_t size = 0;
  toy d;
  draw(&d);
  for (int given = 0; given < 2; given++) {
    fixture f;
    carve(&f, &d, hidden, 2, FOLDS, &alone);
    start(&f);
    const mrl_dfiv_batch batch = {.row = {d.row, d.row}, .n = {N, N}, .step = 1};
    const size_t p = f.nets.terms;
    size = f.nets.psi.n_params + f.nets.xi.n_params;
    f.model.width = p + (given ? 0 : f.nets.n_d);
    square[given] = outcome_loss(&f, &batch);
    gradient[given] = outcome_gradient(&f);
    for (size_t j = p; j < f.model.width; j++) {
      const double b = f.model.u.coef[j];
      square[given] -= f.model.lambda[1] * b * b;
      for (size_t i = 0; i < N; i++) {
        d.y[i] -= b * f.model.f[i + j * N];
      }
    }
    release(&f);
  }
  /* Two Cholesky factors of the same ridge, whose condition is some 1e4. */
  CHECK_NEAR(square[0], square[1], 1e-9);
  for (size_t j = 0; j < size; j++) {
    CHECK_NEAR(gradient[0][j], gradient[1][j], 1e-8);
  }
  free(gradient[0]);
  free(gradient[1]);
}

/* Defect 9: rows of a fold have no part in their own first stage. */
static void test_split(void)
{
  static const int hidden[] = {4};
  for (size_t folds = 1; folds <= FOLDS; folds += FOLDS - 1) {
    toy d;
    fixture f;
    draw(&d);
    carve(&f, &d, hidden, 1, folds, &alone);
    start(&f);
    const mrl_dfiv_batch batch = {.row = {d.row, d.row}, .n = {N, N}, .step = 1};
    outcome_loss(&f, &batch);
    const double before = f.model.ehat[0];
    d.x[0] += 5; /* row 0's own exposure */
    outcome_loss(&f, &batch);
    const double moved = fabs(f.model.ehat[0] - before);
    /* The exposure net's batch norm sees row 0, but x itself, the first column, does not. */
    CHECK(folds == 1 ? moved > 1e-3 : moved == 0); /* folds == 1 is the mutant without a split */
    release(&f);
  }
}

/* Defect 10: a frozen net keeps its running statistics, and answers by them. */
static void test_frozen(void)
{
  static const int hidden[] = {4};
  toy d;
  fixture f;
  draw(&d);
  carve(&f, &d, hidden, 1, FOLDS, &alone);
  start(&f);
  const mrl_dfiv_batch batch = {.row = {d.row, d.row}, .n = {N, N}, .step = 1};
  mrl_real *before = copy_of(f.state, f.n_state);
  const size_t phi = f.nets.phi.n_params + f.nets.phi.n_statistics;
  outcome_loss(&f, &batch); /* trains psi, xi behind frozen instrument nets */
  CHECK(memcmp(before, f.state, FOLDS * phi * sizeof *before) == 0);
  CHECK(memcmp(before + FOLDS * phi, f.state + FOLDS * phi,
               (f.n_state - FOLDS * phi) * sizeof *before) != 0);
  memcpy(before, f.state, f.n_state * sizeof *before);
  instrument_loss(&f, 0, &batch); /* trains phi to meet a frozen psi */
  CHECK(memcmp(before + FOLDS * phi, f.state + FOLDS * phi,
               (f.n_state - FOLDS * phi) * sizeof *before) == 0);
  /* A row's frozen features do not depend on the other rows of the pass; those of a net in training
   * mode, the mutant, do. */
  mrl_real all[N * 4], one[4], trained[N * 4];
  mrl_dfiv_model *m = &f.model;
  CHECK(mrl_dfiv_evaluate(all, m, 1, &m->psi, 0, d.row, N, &alone) == MRL_OK);
  CHECK(mrl_dfiv_evaluate(one, m, 1, &m->psi, 0, d.row + 7, 1, &alone) == MRL_OK);
  CHECK(memcmp(all + 7 * 4, one, sizeof one) == 0);
  CHECK(mrl_dfiv_pass(trained, NULL, m, 1, &m->psi, 0, d.row, N / 2, 1, &alone) == MRL_OK);
  CHECK(fabs(trained[7 * 4] - one[0]) > 1e-6);
  free(before);
  release(&f);
}

static void test_threads(void)
{
  static const int hidden[] = {5, 3};
  mrl_real *gradient[2];
  size_t n = 0;
  double loss[2];
  toy d;
  draw(&d);
  for (int t = 0; t < 2; t++) {
    const mrl_ctx ctx = {t + 1, NULL, NULL};
    fixture f;
    carve(&f, &d, hidden, 2, FOLDS, &ctx);
    start(&f);
    const mrl_dfiv_batch batch = {.row = {d.row, d.row}, .n = {N, N}, .step = 1};
    CHECK(mrl_dfiv_outcome_loss(loss + t, &f.model, &batch, &ctx) == MRL_OK);
    n = f.nets.psi.n_params;
    gradient[t] = copy_of(f.model.run_psi.gradient, n);
    release(&f);
  }
  CHECK(loss[0] == loss[1]);
  CHECK(memcmp(gradient[0], gradient[1], n * sizeof *gradient[0]) == 0);
  free(gradient[0]);
  free(gradient[1]);
}

int main(void)
{
  test_gradients();
  test_scaling();
  test_direction();
  test_take_out();
  test_split();
  test_frozen();
  test_threads();
  return CTEST_DONE();
}
