/* Bootstrap replicates of neural IV. */
#include "neural.h"

enum { COUNT = 7 };

static neural_data data, other;

/* Replicates of a fit, and memory for their numbers. */
typedef struct {
  mrl_boot_out out[COUNT];
  size_t n_params, n_statistics, n_terms;
} replicates;

static mrl_boot_fit fit_of(const neural_fit *fit, double *scale, int *fold)
{
  const mrl_ivn_problem *p = &fit->ivn.problem;
  const mrl_ivn_stage *second = fit->ivn.stage + fit->ivn.n_stages - 1;
  for (size_t j = 0; j < p->n_inputs + 2; j++) {
    scale[2 * j] = p->scale[j].mean;
    scale[2 * j + 1] = p->scale[j].sd;
  }
  for (size_t i = 0; i < N; i++) {
    fold[i] = p->fold[i] + 1;
  }
  const mrl_boot_fit out = {fit->ivn.first,
                            second->params,
                            second->statistics,
                            fit->ivn.theta,
                            fit->ivn.choice,
                            scale,
                            fold};
  return out;
}

static replicates *make_room(const neural_fit *fit)
{
  replicates *r = neural_bytes(sizeof *r);
  r->n_params = fit->nets.second.n_params;
  r->n_statistics = fit->nets.second.n_statistics;
  r->n_terms = neural_terms(fit);
  for (int i = 0; i < COUNT; i++) {
    const mrl_boot_out out = {neural_bytes(r->n_params * sizeof(mrl_real)),
                              neural_bytes(r->n_statistics * sizeof(mrl_real)),
                              neural_bytes(r->n_terms * sizeof(double)), MRL_OK};
    r->out[i] = out;
  }
  return r;
}

static void room_free(replicates *r)
{
  for (int i = 0; i < COUNT; i++) {
    free(r->out[i].params);
    free(r->out[i].statistics);
    free(r->out[i].theta);
  }
  free(r);
}

static void run(mrl_boot_out *out, const neural_fit *fit, const mrl_iv_sample *one,
                const mrl_iv_sample *two, size_t from, size_t count, int n_threads)
{
  const mrl_ctx ctx = {n_threads, NULL, NULL};
  double scale[2 * (N_Z + N_W + 2)];
  static int fold[N];
  const mrl_ivn_settings *s = &fit->ivn.problem.settings;
  const mrl_boot_fit start = fit_of(fit, scale, fold);
  mrl_boot *boot = neural_bytes(sizeof *boot);
  mrl_arena arena = mrl_arena_measure();
  CHECK(mrl_boot_carve(boot, &arena, &fit->nets, one, two, s, count, &ctx) == MRL_OK);
  void *memory = neural_bytes(arena.used);
  arena = mrl_arena_over(memory, arena.used);
  CHECK(mrl_boot_carve(boot, &arena, &fit->nets, one, two, s, count, &ctx) == MRL_OK);
  CHECK(mrl_boot_run(out, boot, &start, from, count, &ctx) == MRL_OK);
  free(memory);
  free(boot);
}

static int same(const replicates *a, const replicates *b)
{
  int is = 1;
  for (int i = 0; i < COUNT; i++) {
    const mrl_boot_out *p = a->out + i, *q = b->out + i;
    is = is && memcmp(p->params, q->params, a->n_params * sizeof *p->params) == 0;
    is = is && memcmp(p->statistics, q->statistics, a->n_statistics * sizeof *p->params) == 0;
    is = is && memcmp(p->theta, q->theta, a->n_terms * sizeof *p->theta) == 0;
    is = is && p->status == MRL_OK && q->status == MRL_OK;
  }
  return is;
}

/* The same bits on one, two and three threads and however the replicates are divided among calls;
 * replicates differ from each other. */
static void check_same(mrl_ivn_settings s, const mrl_iv_sample *two)
{
  const mrl_iv_sample one = neural_sample(&data, 1, 1);
  neural_fit *fit = neural_run(&one, two, &s, 1);
  replicates *a = make_room(fit), *b = make_room(fit);
  run(a->out, fit, &one, two, 3, COUNT, 1);
  run(b->out, fit, &one, two, 3, COUNT, 2);
  CHECK(same(a, b));
  run(b->out, fit, &one, two, 3, 2, 3);
  run(b->out + 2, fit, &one, two, 5, 1, 1);
  run(b->out + 3, fit, &one, two, 6, COUNT - 3, 2);
  CHECK(same(a, b));
  CHECK(memcmp(a->out[0].theta, a->out[1].theta, a->n_terms * sizeof(double)) != 0);
  room_free(a);
  room_free(b);
  neural_free(fit);
}

/* Counts of rows of a replicate, from its stream: a seed for its nets first, then the draws. */
static void slow_counts(double *count, uint64_t seed, size_t replicate, int clusters)
{
  mrl_rng rng = mrl_rng_stream(seed, MRL_RNG_BOOTSTRAP, replicate);
  double drawn[N] = {0};
  (void)mrl_rng_u64(&rng);
  for (int i = 0; i < clusters; i++) {
    drawn[mrl_rng_below(&rng, (uint64_t)clusters)]++;
  }
  for (int i = 0; i < N; i++) {
    count[i] = drawn[i % clusters]; /* cluster i % N_CLUSTERS + 1; without, rows */
  }
}

/* The same of a half: half of the clusters, each at most once. */
static void half_counts(double *count, const mrl_iv_sample *sample, uint64_t seed, size_t replicate,
                        int clusters)
{
  mrl_rng rng = mrl_rng_stream(seed, MRL_RNG_BOOTSTRAP, replicate);
  size_t drawn[N], n = 0;
  (void)mrl_rng_u64(&rng);
  mrl_ivn_draw_half(drawn, sample, &rng);
  for (int c = 0; c < clusters; c++) {
    CHECK(drawn[c] <= 1);
    n += drawn[c];
  }
  CHECK(n == (size_t)clusters / 2);
  for (int i = 0; i < N; i++) {
    count[i] = (double)drawn[i % clusters];
  }
}

/* A replicate of linear nets is two-stage least squares with weights times counts: clusters are
 * drawn whole, constants of the fit do not matter, all responds to the draw. */
static void check_linear(int clusters, int half)
{
  mrl_ivn_settings s = neural_linear(MRL_FIRST_QUANTILE);
  s.boot_half = half;
  const mrl_iv_sample one = neural_sample(&data, 1, clusters < N);
  static double ones[N], weight[N], fitted[N];
  double first[1 + N_Z + N_W], second[2 + N_W];
  neural_fit *fit = neural_run(&one, NULL, &s, 1);
  replicates *r = make_room(fit);
  const mrl_scale *scale = fit->ivn.problem.scale + N_Z + N_W;
  run(r->out, fit, &one, NULL, 0, COUNT, 2);
  for (size_t b = 0; b < COUNT; b++) {
    if (half) {
      half_counts(weight, &one, s.seed, b, clusters);
    } else {
      slow_counts(weight, s.seed, b, clusters);
    }
    for (size_t i = 0; i < N; i++) {
      ones[i] = 1;
      weight[i] *= data.weights[i];
    }
    const double *z[1 + N_Z + N_W] = {ones, data.z[0], data.z[1], data.z[2], data.w[0], data.w[1]};
    neural_least_squares(first, z, data.x, weight, N, 1 + N_Z + N_W);
    for (size_t i = 0; i < N; i++) {
      fitted[i] = 0;
      for (size_t j = 0; j < 1 + N_Z + N_W; j++) {
        fitted[i] += first[j] * z[j][i];
      }
    }
    const double *x[2 + N_W] = {ones, fitted, data.w[0], data.w[1]};
    neural_least_squares(second, x, data.y, weight, N, 2 + N_W);
    CHECK_NEAR(r->out[b].theta[1] * scale[1].sd / scale[0].sd, second[1], 1e-10);
  }
  room_free(r);
  neural_free(fit);
}

/* A training that diverges is a replicate without numbers; the others do not suffer. */
static void check_failed(void)
{
  mrl_ivn_settings s = neural_settings(MRL_FIRST_QUANTILE);
  const mrl_iv_sample one = neural_sample(&data, 0, 0);
  neural_fit *fit = neural_run(&one, NULL, &s, 1);
  replicates *r = make_room(fit);
  fit->ivn.problem.settings.boot_rate = 1e30;
  run(r->out, fit, &one, NULL, 0, COUNT, 2);
  for (int b = 0; b < COUNT; b++) {
    CHECK(r->out[b].status == MRL_NOT_FINITE);
    CHECK(isnan(r->out[b].theta[0]) && isnan((double)r->out[b].params[0]));
  }
  room_free(r);
  neural_free(fit);
}

int main(void)
{
  neural_draw(&data, 1);
  neural_draw(&other, 2);
  const mrl_iv_sample two = neural_sample(&other, 0, 1);
  for (int kind = 0; kind < MRL_N_FIRST; kind++) {
    mrl_ivn_settings s = neural_settings((mrl_first_kind)kind);
    check_same(s, NULL);
    check_same(s, &two);
    s.boot_epochs = 0;
    check_same(s, NULL);
    s.cross_fit = 2;
    check_same(s, NULL);
    s.boot_half = 1;
    check_same(s, NULL);
    s.cross_fit = 1;
    check_same(s, &two);
  }
  for (int half = 0; half < 2; half++) {
    check_linear(N, half);
    check_linear(N_CLUSTERS, half);
  }
  check_failed();
  return CTEST_DONE();
}
