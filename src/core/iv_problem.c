#include "iv_problem.h"

#include <math.h>
#include <string.h>

mrl_status mrl_ivn_nets_carve(mrl_ivn_nets *nets, mrl_arena *arena, const mrl_ivn_settings *s,
                              size_t n_z, size_t n_w)
{
  MRL_TRY(mrl_first_carve(&nets->first, arena, &s->first, n_z, n_w));
  MRL_TRY(mrl_mlp_carve(&nets->second, arena, &s->second, 1 + n_w, 1, MRL_IDENTITY));
  MRL_TRY(mrl_mlp_trunk_carve(&nets->trunk, arena, &s->second, 1 + n_w));
  nets->basis = mrl_basis_of(&s->second, n_w);
  return MRL_OK;
}

void mrl_ivn_nets_start(mrl_ivn_nets *nets)
{
  mrl_first_start(&nets->first);
}

static int settings_ok(const mrl_ivn_settings *s, const mrl_iv_sample *one,
                       const mrl_iv_sample *two)
{
  int ok = s->cross_fit >= 1 && s->n_valid[0] <= one->n && one->n_z >= 1 && one->n >= 1;
  ok = ok && one->n < (size_t)1 << 32 && (s->first.kind == MRL_FIRST_QUANTILE || s->n_draws >= 1);
  if (two) {
    ok = ok && two->n_z == one->n_z && two->n_w == one->n_w && s->n_valid[1] <= two->n &&
         two->n >= 1 && two->n < (size_t)1 << 32 && s->cross_fit == 1;
  }
  return ok;
}

mrl_status mrl_ivn_problem_carve(mrl_ivn_problem *problem, mrl_arena *arena,
                                 const mrl_ivn_nets *nets, const mrl_iv_sample *one,
                                 const mrl_iv_sample *two, const mrl_ivn_settings *settings)
{
  mrl_ivn_problem to = {.nets = nets,
                        .sample = {*one, two ? *two : *one},
                        .single = two == NULL,
                        .settings = *settings,
                        .n_inputs = one->n_z + one->n_w};
  if (!settings_ok(settings, one, two)) {
    return MRL_BAD_ARGUMENT;
  }
  size_t most = 0;
  for (int s = 0; s < (two ? 2 : 1); s++) {
    const size_t n = to.sample[s].n;
    if (n > SIZE_MAX / 16 / to.n_inputs) {
      return MRL_NO_MEMORY;
    }
    to.input[s] = MRL_TAKE(arena, mrl_real, n * to.n_inputs);
    to.weight[s] = to.sample[s].weights ? MRL_TAKE(arena, mrl_real, n) : NULL;
    to.held[s] = MRL_TAKE(arena, unsigned char, n);
    to.all[s] = MRL_TAKE(arena, size_t, n);
    most = n > most ? n : most;
  }
  to.scale = MRL_TAKE(arena, mrl_scale, to.n_inputs + 2);
  to.x = MRL_TAKE(arena, mrl_real, to.sample[0].n);
  to.y = MRL_TAKE(arena, mrl_real, to.sample[1].n);
  to.fold = MRL_TAKE(arena, int, to.sample[0].n);
  to.order = MRL_TAKE(arena, size_t, most);
  to.size = MRL_TAKE(arena, size_t, most + 1);
  if (!two) {
    to.input[1] = to.input[0];
    to.weight[1] = to.weight[0];
    to.held[1] = to.held[0];
    to.all[1] = to.all[0];
  }
  *problem = to;
  return arena->failed ? MRL_NO_MEMORY : MRL_OK;
}

/* Rows of each cluster into problem->size; returns how many clusters. Without clusters each row is
 * one of its own. */
static size_t count_clusters(const mrl_ivn_problem *problem, const mrl_iv_sample *sample)
{
  size_t clusters = 0;
  if (!sample->cluster) {
    for (size_t i = 0; i < sample->n; i++) {
      problem->size[i] = 1;
    }
    return sample->n;
  }
  memset(problem->size, 0, (sample->n + 1) * sizeof *problem->size);
  for (size_t i = 0; i < sample->n; i++) {
    const size_t c = (size_t)sample->cluster[i];
    problem->size[c - 1]++;
    clusters = c > clusters ? c : clusters;
  }
  return clusters;
}

static size_t cluster_of(const mrl_iv_sample *sample, size_t row)
{
  return sample->cluster ? (size_t)sample->cluster[row] - 1 : row;
}

/* Clusters in random order are held out until they are n_valid rows, or the next would be too many;
 * at least one is, if any shall be, and at least one is not. */
static void hold_out(mrl_ivn_problem *problem, int s)
{
  const mrl_iv_sample *sample = problem->sample + s;
  const size_t clusters = count_clusters(problem, sample), wanted = problem->settings.n_valid[s];
  mrl_rng rng = mrl_rng_stream(problem->settings.seed, MRL_RNG_NET_SPLIT, s == 0 ? 0 : 3);
  size_t rows = 0, taken = 0;
  mrl_rng_permutation(&rng, problem->order, clusters);
  while (taken + 1 < clusters && rows < wanted) {
    const size_t next = problem->size[problem->order[taken]];
    if (rows > 0 && rows + next > wanted) {
      break;
    }
    rows += next;
    taken++;
  }
  for (size_t i = 0; i < taken; i++) {
    problem->size[problem->order[i]] = 0; /* marks it */
  }
  problem->n_held[s] = 0;
  for (size_t i = 0; i < sample->n; i++) {
    problem->held[s][i] = problem->size[cluster_of(sample, i)] == 0;
    problem->n_held[s] += problem->held[s][i];
  }
}

static size_t most_clusters(const mrl_iv_sample *sample)
{
  size_t clusters = sample->cluster ? 0 : sample->n;
  for (size_t i = 0; sample->cluster && i < sample->n; i++) {
    const size_t c = (size_t)sample->cluster[i];
    clusters = c > clusters ? c : clusters;
  }
  return clusters;
}

void mrl_ivn_draw_counts(size_t *count, const mrl_iv_sample *sample, mrl_rng *rng)
{
  const size_t clusters = most_clusters(sample);
  memset(count, 0, sample->n * sizeof *count);
  for (size_t i = 0; i < clusters; i++) {
    count[mrl_rng_below(rng, clusters)]++;
  }
}

void mrl_ivn_draw_half(size_t *count, const mrl_iv_sample *sample, mrl_rng *rng)
{
  const size_t clusters = most_clusters(sample);
  size_t wanted = clusters / 2;
  memset(count, 0, sample->n * sizeof *count);
  for (size_t i = 0; i < clusters; i++) {
    count[i] = mrl_rng_below(rng, clusters - i) < wanted;
    wanted -= count[i];
  }
}

/* Clusters are dealt to the folds in random order. */
static void make_folds(mrl_ivn_problem *problem)
{
  const mrl_iv_sample *sample = problem->sample;
  const size_t clusters = count_clusters(problem, sample), folds = problem->settings.cross_fit;
  mrl_rng rng = mrl_rng_stream(problem->settings.seed, MRL_RNG_FOLD, 0);
  mrl_rng_permutation(&rng, problem->order, clusters);
  for (size_t i = 0; i < clusters; i++) {
    problem->size[problem->order[i]] = i % folds;
  }
  for (size_t i = 0; i < sample->n; i++) {
    problem->fold[i] = (int)problem->size[cluster_of(sample, i)];
  }
}

/* Weights with mean one over the training rows. */
static mrl_status set_weights(mrl_ivn_problem *problem, int s)
{
  const mrl_iv_sample *sample = problem->sample + s;
  double sum = 0;
  size_t n = 0;
  for (size_t i = 0; i < sample->n; i++) {
    if (!problem->held[s][i]) {
      sum += sample->weights ? sample->weights[i] : 1;
      n++;
    }
  }
  if (!(sum > 0)) {
    return MRL_TOO_FEW;
  }
  for (size_t i = 0; sample->weights && i < sample->n; i++) {
    problem->weight[s][i] = (mrl_real)(sample->weights[i] * (double)n / sum);
  }
  return MRL_OK;
}

static const double *input_column(const mrl_iv_sample *sample, size_t j)
{
  return j < sample->n_z ? sample->z[j] : sample->w[j - sample->n_z];
}

static mrl_status find_scales(mrl_ivn_problem *problem, const mrl_ctx *ctx)
{
  const mrl_iv_sample *one = problem->sample, *two = problem->sample + 1;
  const size_t inputs = problem->n_inputs;
  for (size_t j = 0; j < inputs; j++) {
    mrl_poll(ctx);
    problem->scale[j] = mrl_scale_of(input_column(one, j), one->weights, one->n);
  }
  problem->scale[inputs] = mrl_scale_of(one->x, one->weights, one->n);
  problem->scale[inputs + 1] = mrl_scale_of(two->y, two->weights, two->n);
  if (problem->settings.binary) {
    const mrl_scale as_it_is = {0, 1};
    problem->scale[inputs + 1] = as_it_is;
  }
  for (size_t j = 0; j < inputs + 2; j++) {
    if (!isfinite(problem->scale[j].mean) || !isfinite(problem->scale[j].sd)) {
      return MRL_NOT_FINITE;
    }
  }
  return MRL_OK;
}

static void standardise(mrl_ivn_problem *problem, const mrl_ctx *ctx)
{
  const mrl_iv_sample *one = problem->sample, *two = problem->sample + 1;
  const size_t inputs = problem->n_inputs;
  for (int s = 0; s < (problem->single ? 1 : 2); s++) {
    const mrl_iv_sample *sample = problem->sample + s;
    for (size_t j = 0; j < inputs; j++) {
      mrl_poll(ctx);
      mrl_scale_column(problem->input[s] + j, inputs, input_column(sample, j), problem->scale + j,
                       sample->n);
    }
    for (size_t i = 0; i < sample->n; i++) {
      problem->all[s][i] = i;
    }
  }
  mrl_scale_column(problem->x, 1, one->x, problem->scale + inputs, one->n);
  mrl_scale_column(problem->y, 1, two->y, problem->scale + inputs + 1, two->n);
}

static void set_range(mrl_ivn_problem *problem)
{
  const mrl_iv_sample *one = problem->sample;
  const mrl_scale *scale = problem->scale + problem->n_inputs;
  double low = one->x[0], high = low;
  for (size_t i = 1; i < one->n; i++) {
    low = fmin(low, one->x[i]);
    high = fmax(high, one->x[i]);
  }
  problem->range.low = (low - scale->mean) / scale->sd;
  problem->range.high = (high - scale->mean) / scale->sd;
}

mrl_status mrl_ivn_problem_start(mrl_ivn_problem *problem, const mrl_ctx *ctx)
{
  for (int s = 0; s < (problem->single ? 1 : 2); s++) {
    hold_out(problem, s);
    MRL_TRY(set_weights(problem, s));
  }
  if (problem->single) {
    problem->n_held[1] = problem->n_held[0];
  }
  make_folds(problem);
  MRL_TRY(find_scales(problem, ctx));
  standardise(problem, ctx);
  set_range(problem);
  return MRL_OK;
}

mrl_status mrl_ivn_problem_resume(mrl_ivn_problem *problem, const double *scale, const int *fold,
                                  const mrl_ctx *ctx)
{
  for (size_t j = 0; j < problem->n_inputs + 2; j++) {
    problem->scale[j].mean = scale[2 * j];
    problem->scale[j].sd = scale[2 * j + 1];
  }
  for (size_t i = 0; i < problem->sample[0].n; i++) {
    problem->fold[i] = fold[i] - 1;
  }
  for (int s = 0; s < 2; s++) {
    memset(problem->held[s], 0, problem->sample[s].n);
  }
  for (int s = 0; problem->settings.boot_half && s < (problem->single ? 1 : 2); s++) {
    hold_out(problem, s);
  }
  standardise(problem, ctx);
  set_range(problem);
  return MRL_OK;
}

mrl_train_settings mrl_ivn_train_settings(const mrl_ivn_problem *problem, uint64_t seed,
                                          size_t stage)
{
  mrl_train_settings out = problem->settings.train;
  mrl_rng rng = mrl_rng_stream(seed, MRL_RNG_NET_SPLIT, 16 + stage);
  out.seed = mrl_rng_u64(&rng);
  return out;
}
