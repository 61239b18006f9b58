/* Neural IV in float, as in the package: whole fits. */
#include "neural.h"

#include "mlp_curve.h"

static const mrl_ctx ctx = {1, NULL, NULL};
static neural_data data, other;

/* The same bits on two threads, and by a fit that stops after each epoch, is saved, and goes on in
 * memory of its own. */
static void check_same(const mrl_ivn_settings *s, const mrl_iv_sample *two)
{
  const mrl_iv_sample one = neural_sample(&data, 1, 1);
  neural_fit *whole = neural_run(&one, two, s, 1), *threads = neural_run(&one, two, s, 2);
  mrl_status status;
  neural_fit *slice = neural_start(&status, &one, two, s, &ctx);
  CHECK(neural_same(whole, threads));
  for (size_t until = 1; slice->ivn.at < slice->ivn.n_stages; until++) {
    CHECK(mrl_ivn_run(&slice->ivn, until, &ctx) == MRL_OK);
    if (slice->ivn.at == slice->ivn.n_stages) {
      break;
    }
    CHECK(mrl_ivn_epochs(&slice->ivn) == until);
    CHECK(mrl_ivn_epochs_most(&slice->ivn) >= until && isfinite(mrl_ivn_loss(&slice->ivn)));
    const size_t size = mrl_ivn_bytes(&slice->ivn);
    unsigned char *state = neural_bytes(size);
    mrl_ivn_save(state, &slice->ivn);
    neural_free(slice);
    slice = neural_start(&status, &one, two, s, &ctx);
    CHECK(mrl_ivn_load(&slice->ivn, state, size, &ctx) == MRL_OK);
    free(state);
  }
  CHECK(neural_same(whole, slice));
  neural_free(whole);
  neural_free(threads);
  neural_free(slice);
}

static void check_same_all(void)
{
  const mrl_iv_sample two = neural_sample(&other, 1, 1);
  for (int kind = 0; kind < MRL_N_FIRST; kind++) {
    mrl_ivn_settings s = neural_settings((mrl_first_kind)kind);
    check_same(&s, NULL);
    check_same(&s, &two);
    s.cross_fit = 3;
    check_same(&s, NULL);
  }
  mrl_ivn_settings s = neural_settings(MRL_FIRST_QUANTILE);
  s.refit = 0;
  mrl_iv_sample one = neural_sample(&data, 0, 0);
  neural_fit *a = neural_run(&one, NULL, &s, 1), *b = neural_run(&one, NULL, &s, 2);
  CHECK(memcmp(a->ivn.y_hat, b->ivn.y_hat, sizeof data.y) == 0);
  neural_free(a);
  neural_free(b);
}

/* A state is refused by a fit of other data, another seed, other nets, and if it is cut short. */
static void check_owner(void)
{
  const mrl_iv_sample one = neural_sample(&data, 0, 0), changed = neural_sample(&other, 0, 0);
  mrl_ivn_settings s = neural_settings(MRL_FIRST_QUANTILE), seed = s, decay = s;
  mrl_status status;
  neural_fit *fit = neural_start(&status, &one, NULL, &s, &ctx);
  CHECK(mrl_ivn_run(&fit->ivn, 6, &ctx) == MRL_OK);
  const size_t size = mrl_ivn_bytes(&fit->ivn);
  unsigned char *state = neural_bytes(size);
  mrl_ivn_save(state, &fit->ivn);
  neural_free(fit);
  seed.seed++;
  decay.train.optimizer.decay = 0.5;
  const mrl_ivn_settings *settings[] = {&s, &seed, &decay, &s, &s};
  const mrl_iv_sample *samples[] = {&changed, &one, &one, &one, &one};
  const size_t sizes[] = {size, size, size, size - 1, 40};
  for (int i = 0; i < 5; i++) {
    fit = neural_start(&status, samples[i], NULL, settings[i], &ctx);
    CHECK(mrl_ivn_load(&fit->ivn, state, sizes[i], &ctx) == MRL_BAD_ARGUMENT);
    neural_free(fit);
  }
  free(state);
}

static const double *input_of(const neural_data *d, size_t j)
{
  return j < N_Z ? d->z[j] : d->w[j - N_Z];
}

/* Two-stage least squares by elimination: first stage on the rows of `from`, second on those of
 * `to`. beta: the coefficient of x. x_hat (N), of `from`, may be NULL. */
static double slow_2sls(const neural_data *from, const neural_data *to, const double *w1,
                        const double *w2, double *x_hat)
{
  static double ones[N], fitted[N];
  double first[1 + N_Z + N_W], second[2 + N_W];
  const double *columns[1 + N_Z + N_W] = {ones};
  for (size_t i = 0; i < N; i++) {
    ones[i] = 1;
  }
  for (size_t j = 0; j < N_Z + N_W; j++) {
    columns[1 + j] = input_of(from, j);
  }
  neural_least_squares(first, columns, from->x, w1, N, 1 + N_Z + N_W);
  for (int pass = 0; pass < 2; pass++) {
    const neural_data *d = pass == 0 ? from : to;
    for (size_t i = 0; i < N; i++) {
      fitted[i] = first[0];
      for (size_t j = 0; j < N_Z + N_W; j++) {
        fitted[i] += first[1 + j] * input_of(d, j)[i];
      }
    }
    if (pass == 0 && x_hat) {
      memcpy(x_hat, fitted, sizeof fitted);
    }
  }
  const double *again[2 + N_W] = {ones, fitted, to->w[0], to->w[1]};
  neural_least_squares(second, again, to->y, w2, N, 2 + N_W);
  return second[1];
}

static double slope_of(const neural_fit *fit)
{
  const mrl_scale *scale = fit->ivn.problem.scale + fit->ivn.problem.n_inputs;
  return fit->ivn.theta[1] * scale[1].sd / scale[0].sd;
}

/* Linear nets with refit are two-stage least squares, exactly: condition numbers are below 100, so
 * that 1e-10 is generous. The net's quantiles do not matter. */
static void check_linear(mrl_first_kind kind)
{
  mrl_ivn_settings s = neural_linear(kind);
  const mrl_iv_sample one = neural_sample(&data, 0, 0), two = neural_sample(&other, 0, 0);
  const mrl_iv_sample weighted = neural_sample(&data, 1, 0);
  s.first.ridge = 0;
  neural_fit *fit = neural_run(&one, NULL, &s, 1);
  CHECK_NEAR(slope_of(fit), slow_2sls(&data, &data, NULL, NULL, NULL), 1e-10);
  neural_free(fit);
  fit = neural_run(&weighted, NULL, &s, 1);
  CHECK_NEAR(slope_of(fit), slow_2sls(&data, &data, data.weights, data.weights, NULL), 1e-10);
  neural_free(fit);
  fit = neural_run(&one, &two, &s, 1);
  CHECK_NEAR(slope_of(fit), slow_2sls(&data, &other, NULL, NULL, NULL), 1e-10);
  neural_free(fit);
}

/* Without refit: x is a line in z, w, so that its median is too, and the full batch reaches least
 * squares up to the step of the last epochs. */
static void check_trained(void)
{
  mrl_ivn_settings s = neural_linear(MRL_FIRST_QUANTILE);
  neural_data d = data;
  for (size_t i = 0; i < N; i++) {
    d.x[i] = 1 + d.z[0][i] - 0.5 * d.z[1][i] + 0.3 * d.w[0][i];
  }
  mrl_iv_sample one = neural_sample(&d, 0, 0);
  one.z = data.z_col;
  one.w = data.w_col;
  s.first.parts = 1;
  s.first.non_crossing = 0;
  s.refit = 0;
  s.n_valid[0] = s.n_valid[1] = 0;
  s.train.epochs = 3000;
  s.train.batch = N;
  s.train.rate = 0.02;
  s.train.optimizer.decay = 0;
  s.train.schedule.kind = MRL_COSINE;
  neural_fit *fit = neural_run(&one, NULL, &s, 1);
  const mrl_scale *scale = fit->ivn.problem.scale + N_Z + N_W;
  const double slope = (double)fit->ivn.stage[1].params[0] * scale[1].sd / scale[0].sd;
  CHECK_NEAR(slope, slow_2sls(&d, &d, NULL, NULL, NULL), 1e-4);
  neural_free(fit);
}

/* Rows held out do not take part in what they judge: coefficients `outside` are least squares on
 * the training rows. The mutant solves on all rows. */
static void check_held_out(void)
{
  const mrl_ivn_settings s = neural_linear(MRL_FIRST_QUANTILE);
  const mrl_iv_sample one = neural_sample(&data, 0, 0);
  static double weight[N], x_train[N], x_all[N];
  neural_fit *fit = neural_run(&one, NULL, &s, 1);
  const mrl_ivn_problem *p = &fit->ivn.problem;
  const mrl_scale *sx = p->scale + p->n_inputs;
  double mutant = 0;
  CHECK(p->n_held[0] == 120);
  for (size_t i = 0; i < N; i++) {
    weight[i] = p->held[0][i] ? 0 : 1;
  }
  slow_2sls(&data, &data, weight, weight, x_train);
  slow_2sls(&data, &data, NULL, NULL, x_all);
  for (size_t i = 0; i < N; i++) {
    if (!p->held[0][i]) {
      CHECK(isnan(fit->ivn.x_out[i]));
      continue;
    }
    CHECK_NEAR(sx->mean + sx->sd * fit->ivn.x_out[i], x_train[i], 1e-10);
    mutant = fmax(mutant, fabs(x_all[i] - x_train[i]));
  }
  CHECK(mutant > 1e-3);
  neural_free(fit);
}

/* Folds and rows held out keep clusters whole; a fold's rows get their exposure from the others. */
static void check_folds(void)
{
  mrl_ivn_settings s = neural_linear(MRL_FIRST_GAUSSIAN);
  const mrl_iv_sample one = neural_sample(&data, 0, 1);
  static double weight[N], fitted[N];
  s.cross_fit = 3;
  neural_fit *fit = neural_run(&one, NULL, &s, 1);
  const mrl_ivn_problem *p = &fit->ivn.problem;
  const mrl_scale *sx = p->scale + p->n_inputs;
  for (size_t i = N_CLUSTERS; i < N; i++) {
    CHECK(p->fold[i] == p->fold[i - N_CLUSTERS]);
    CHECK(p->held[0][i] == p->held[0][i - N_CLUSTERS]);
  }
  for (int k = 0; k < 3; k++) {
    for (size_t i = 0; i < N; i++) {
      weight[i] = p->fold[i] == k ? 0 : 1;
    }
    slow_2sls(&data, &data, weight, weight, fitted);
    for (size_t i = 0; i < N; i++) {
      if (p->fold[i] == k) {
        CHECK_NEAR(sx->mean + sx->sd * fit->ivn.x_hat[i], fitted[i], 1e-10);
        CHECK(fit->ivn.x_out[i] == fit->ivn.x_hat[i]);
      }
    }
  }
  neural_free(fit);
}

/* Does the spread of a row lie outside of its bounds, so that second moments are met nearly only?
 */
static int is_bounded(const mrl_first_fit *fit, double location)
{
  const double *s = fit->spread, at = s[1] + location * (s[2] + location * s[3]);
  return at < s[0] / 4 || at > 4 * s[0];
}

/* Of each row: nodes in order where that is asked for, the mean exposure, and over all rows first
 * and second moments as observed. Returns whether nodes cross somewhere. */
static int check_law(const neural_fit *fit)
{
  const mrl_law *law = &fit->ivn.worker.law;
  double node[MRL_NODES_MOST], weight[MRL_NODES_MOST], first = 0, second = 0;
  int crosses = 0, bounded = 0;
  for (size_t i = 0; i < N; i++) {
    double mean = 0;
    mrl_law_nodes(node, weight, law, i);
    bounded += is_bounded(fit->ivn.first, law->location[i]);
    for (size_t k = 0; k < law->nodes; k++) {
      mean += weight[k] * node[k];
      second += weight[k] * node[k] * node[k] / N;
      crosses = crosses || (k > 0 && node[k] < node[k - 1]);
    }
    CHECK_NEAR(mean, fit->ivn.x_hat[i], 1e-13);
    first += mean / N;
  }
  CHECK_NEAR(first, 0, 1e-6); /* the exposure is standardised; floats in features and shapes */
  CHECK(bounded < N / 20);
  CHECK_NEAR(second, 1, bounded ? 5e-3 : 1e-5);
  return crosses;
}

/* A rate at which training wanders: ordered quantiles cannot cross, the others do. */
static void check_crossing(void)
{
  const mrl_iv_sample one = neural_sample(&data, 0, 0);
  mrl_ivn_settings s = neural_settings(MRL_FIRST_QUANTILE);
  s.first.parts = 20;
  s.train.rate = 0.3;
  neural_fit *fit = neural_run(&one, NULL, &s, 1);
  CHECK(!check_law(fit));
  neural_free(fit);
  s.first.non_crossing = 0;
  fit = neural_run(&one, NULL, &s, 1);
  CHECK(check_law(fit));
  neural_free(fit);
  for (int kind = MRL_FIRST_GAUSSIAN; kind < MRL_N_FIRST; kind++) {
    s = neural_settings((mrl_first_kind)kind);
    fit = neural_run(&one, NULL, &s, 1);
    check_law(fit);
    neural_free(fit);
  }
}

/* g at one person's exposure (standardised), by the curve of the fitted model. */
static void curve_at(double *out, const neural_fit *fit, const double *x, const mrl_iv_sample *one)
{
  const mrl_ivn_problem *p = &fit->ivn.problem;
  const mrl_ivn_stage *stage = fit->ivn.stage + fit->ivn.n_stages - 1;
  const mrl_curve_model model = {.net = &fit->nets.trunk,
                                 .basis = &fit->nets.basis,
                                 .theta = fit->ivn.theta,
                                 .params = stage->params,
                                 .statistics = stage->statistics,
                                 .w = p->scale + N_Z,
                                 .x = p->scale + p->n_inputs,
                                 .y = p->scale + p->n_inputs + 1,
                                 .binary = p->settings.binary};
  const mrl_people people = {.w = one->w, .n = N, .n_w = N_W};
  const size_t size = mrl_curve_scratch(model.net, mrl_isa_best(), &ctx);
  void *scratch = neural_bytes(size);
  CHECK(mrl_curve_predict(out, &model, x, &people, mrl_isa_best(), scratch, size, &ctx) == MRL_OK);
  free(scratch);
}

static double log_odds(double p)
{
  return log(p / (1 - p));
}

/* y_hat is the mean over the nodes of g, of probabilities where the outcome is binary; the mutant
 * averages logits. The features are floats: predictions agree to 1e-5. */
static void check_average(int binary)
{
  mrl_ivn_settings s = neural_settings(MRL_FIRST_QUANTILE);
  mrl_iv_sample one = neural_sample(&data, 0, 0);
  static double node[5][N], g[5][N];
  double weight[5], at[5], worst = 0;
  s.binary = binary;
  one.y = binary ? data.binary : data.y;
  neural_fit *fit = neural_run(&one, NULL, &s, 1);
  const mrl_scale *sx = fit->ivn.problem.scale + fit->ivn.problem.n_inputs;
  for (size_t i = 0; i < N; i++) {
    mrl_law_nodes(at, weight, &fit->ivn.worker.law, i);
    for (int k = 0; k < 5; k++) {
      node[k][i] = sx->mean + sx->sd * at[k];
    }
  }
  for (int k = 0; k < 5; k++) {
    curve_at(g[k], fit, node[k], &one);
  }
  for (size_t i = 0; i < N; i++) {
    double mean = 0, logit = 0;
    for (int k = 0; k < 5; k++) {
      mean += g[k][i] / 5;
      logit += binary ? log_odds(g[k][i]) / 5 : 0;
    }
    CHECK_NEAR(fit->ivn.y_hat[i], mean, 1e-5);
    worst = fmax(worst, binary ? fabs(1 / (1 + exp(-logit)) - mean) : 1);
  }
  CHECK(worst > 1e-3);
  neural_free(fit);
}

/* Mean squared error or deviance of a fit's predictions, plus its penalty. */
static double objective(neural_fit *fit, const double *theta, const mrl_iv_sample *one)
{
  mrl_ivn *ivn = &fit->ivn;
  static double out[N];
  const mrl_ivn_stage *stage = ivn->stage + ivn->n_stages - 1;
  const mrl_head_net net = {&fit->nets.second, &fit->nets.trunk, stage->params, stage->statistics};
  const mrl_head_data rows = mrl_ivn_head_data(&ivn->worker);
  const mrl_scale *sy = ivn->problem.scale + ivn->problem.n_inputs + 1;
  const double *rough = ivn->worker.head_work.rough[ivn->choice.order - 2];
  const size_t p = neural_terms(fit);
  double sum = 0;
  CHECK(mrl_head_predict(out, &ivn->worker.head_work, &net, &rows, theta, &ctx) == MRL_OK);
  for (size_t i = 0; i < N; i++) {
    const double r = (one->y[i] - out[i]) / sy->sd;
    sum += ivn->problem.settings.binary
               ? -2 * (one->y[i] * log(out[i]) + (1 - one->y[i]) * log(1 - out[i])) / N
               : r * r / N;
  }
  for (size_t i = 0; i < p; i++) {
    for (size_t j = 0; j < p; j++) {
      sum += ivn->choice.lambda * theta[i] * theta[j] * rough[i + j * p];
    }
  }
  return sum;
}

/* theta is the minimum: any step away from it raises the objective. The ridge on features is set
 * to 0, of which its least remains. */
static void check_minimum(int binary)
{
  mrl_ivn_settings s = neural_settings(MRL_FIRST_QUANTILE);
  mrl_iv_sample one = neural_sample(&data, 0, 0);
  double step[40];
  s.binary = binary;
  one.y = binary ? data.binary : data.y;
  neural_fit *fit = neural_run(&one, NULL, &s, 1);
  mrl_ivn *ivn = &fit->ivn;
  const mrl_ivn_stage *stage = ivn->stage + ivn->n_stages - 1;
  const mrl_head_net net = {&fit->nets.second, &fit->nets.trunk, stage->params, stage->statistics};
  const mrl_head_data rows = mrl_ivn_head_data(&ivn->worker);
  const mrl_head_choice choice = {2, 1e-3, 0};
  ivn->choice = choice;
  CHECK(mrl_head_fit_rows(ivn->theta, &ivn->choice, &ivn->fit, &ivn->worker.head_work, &net, &rows,
                          &ivn->problem.range, 0, NULL, &ctx) == MRL_OK);
  const double at = objective(fit, ivn->theta, &one);
  mrl_rng rng = mrl_rng_stream(1, MRL_RNG_TEST, 0);
  for (int t = 0; t < 20; t++) {
    for (size_t j = 0; j < neural_terms(fit); j++) {
      step[j] = ivn->theta[j] + 0.01 * mrl_rng_normal(&rng);
    }
    CHECK(objective(fit, step, &one) > at);
  }
  neural_free(fit);
}

/* The first stage stays as it was trained while the outcome is learnt, and a row's law does not
 * depend on the rows beside it; in training mode it would. */
static void check_frozen(void)
{
  const mrl_iv_sample one = neural_sample(&data, 0, 0);
  const mrl_ivn_settings s = neural_settings(MRL_FIRST_QUANTILE);
  mrl_status status;
  neural_fit *fit = neural_start(&status, &one, NULL, &s, &ctx);
  mrl_ivn *ivn = &fit->ivn;
  CHECK(mrl_ivn_run(ivn, s.train.epochs, &ctx) == MRL_OK && ivn->at == 1);
  const mrl_net *net = &fit->nets.first.net;
  const size_t n = net->n_params + net->n_statistics, bytes = n * sizeof(mrl_real);
  mrl_real *before = neural_bytes(bytes);
  double *all = neural_bytes(sizeof data.x);
  memcpy(before, ivn->stage[0].params, bytes);
  CHECK(mrl_ivn_run(ivn, SIZE_MAX, &ctx) == MRL_OK);
  CHECK(memcmp(before, ivn->stage[0].params, bytes) == 0);
  const mrl_first_rows rows = {&one, ivn->problem.scale, ivn->problem.input[0], NULL};
  mrl_law *law = &ivn->worker.law;
  mrl_first_work *work = &ivn->worker.first_work;
  CHECK(mrl_first_read(law, work, &fit->nets.first, ivn->first, &rows, ivn->problem.all[0], N,
                       &ctx) == MRL_OK);
  memcpy(all, law->location, sizeof data.x);
  for (size_t i = 0; i < 7; i++) {
    const size_t row = 83 * i;
    CHECK(mrl_first_read(law, work, &fit->nets.first, ivn->first, &rows, &row, 1, &ctx) == MRL_OK);
    CHECK(law->location[row] == all[row]);
  }
  mrl_net_run run; /* the mutant: a batch of ten rows in training mode */
  mrl_arena arena = mrl_arena_measure();
  CHECK(mrl_net_run_carve(&run, &arena, net, 10, 1, 0, mrl_isa_best(), &ctx) == MRL_OK);
  void *memory = neural_bytes(arena.used);
  arena = mrl_arena_over(memory, arena.used);
  CHECK(mrl_net_run_carve(&run, &arena, net, 10, 1, 0, mrl_isa_best(), &ctx) == MRL_OK);
  const mrl_rows input = {ivn->problem.input[0], N_Z + N_W};
  mrl_batch batch = {.row = ivn->problem.all[0],
                     .n = 10,
                     .mode = MRL_TRAIN,
                     .fill = mrl_fill_rows,
                     .fill_data = &input};
  CHECK(mrl_net_forward(&run, before, before + net->n_params, &batch, &ctx) == MRL_OK);
  CHECK(memcmp(before + net->n_params, ivn->stage[0].statistics,
               net->n_statistics * sizeof(mrl_real)) != 0);
  free(memory);
  free(before);
  free(all);
  neural_free(fit);
}

static int all_finite(const double *x, size_t n)
{
  for (size_t i = 0; i < n; i++) {
    if (!isfinite(x[i])) {
      return 0;
    }
  }
  return 1;
}

static void check_runs(const mrl_iv_sample *one, const mrl_ivn_settings *s, mrl_status first)
{
  neural_fit *fit = neural_run(one, NULL, s, 1);
  CHECK(fit->ivn.stage[0].status == first);
  CHECK(all_finite(fit->ivn.theta, neural_terms(fit)) && all_finite(fit->ivn.y_hat, one->n));
  neural_free(fit);
}

/* Bad data and settings end in a status or in finite numbers. */
static void check_failures(void)
{
  mrl_iv_sample one = neural_sample(&data, 0, 0);
  mrl_ivn_settings s = neural_settings(MRL_FIRST_QUANTILE), t = s;
  static double exact[N], constant[N];
  mrl_status status;
  t.train.rate = 1e30;
  check_runs(&one, &t, MRL_NOT_FINITE);
  t = s;
  t.n_valid[0] = t.n_valid[1] = 1;
  check_runs(&one, &t, MRL_OK);
  t = s;
  t.train.batch = 10 * N;
  check_runs(&one, &t, MRL_OK);
  for (size_t i = 0; i < N; i++) {
    exact[i] = data.z[0][i] + data.w[0][i];
  }
  one.x = exact; /* no variation given z */
  neural_fit *fit = neural_run(&one, NULL, &s, 1);
  CHECK(fit->ivn.first[0].spread[0] < 0.0025 && all_finite(fit->ivn.y_hat, N));
  neural_free(fit);
  one = neural_sample(&data, 0, 0);
  one.y = constant;
  fit = neural_run(&one, NULL, &s, 1);
  CHECK(all_finite(fit->ivn.y_hat, N) && fabs(fit->ivn.y_hat[3]) < 1e-6);
  neural_free(fit);
  one = neural_sample(&data, 0, 0);
  for (size_t n = 6; n < 40; n += 11) {
    one.n = n; /* fewer rows than features */
    t.n_valid[0] = t.n_valid[1] = 2;
    fit = neural_run(&one, NULL, &t, 1);
    CHECK(all_finite(fit->ivn.y_hat, n));
    neural_free(fit);
  }
  one.n = 1;
  fit = neural_start(&status, &one, NULL, &t, &ctx);
  CHECK(status == MRL_BAD_ARGUMENT || status == MRL_TOO_FEW);
  neural_free(fit);
}

int main(void)
{
  neural_draw(&data, 1);
  neural_draw(&other, 2);
  check_same_all();
  check_owner();
  check_linear(MRL_FIRST_QUANTILE);
  check_linear(MRL_FIRST_GAUSSIAN);
  check_linear(MRL_FIRST_MIXTURE);
  check_linear(MRL_FIRST_RIDGE);
  check_trained();
  check_held_out();
  check_folds();
  check_crossing();
  check_average(0);
  check_average(1);
  check_minimum(0);
  check_minimum(1);
  check_frozen();
  check_failures();
  return CTEST_DONE();
}
