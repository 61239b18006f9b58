#include "sim_variable.h"

#include <math.h>

#include "chunk.h"

typedef struct {
  double *out;
  const mrl_sim_variable_settings *settings;
  uint64_t seed; /* the variable's own */
  size_t column;
} simulation;

/* 56 bits of the name (FNV-1a): what a stream's item has room for. */
static uint64_t hash_name(const char *name)
{
  uint64_t hash = 0xcbf29ce484222325u;
  for (const char *c = name; *c; c++) {
    hash = (hash ^ (unsigned char)*c) * 0x100000001b3u;
  }
  return (hash ^ hash >> 56) & 0xffffffffffffffu;
}

static uint64_t own_seed(const mrl_sim_variable_settings *s)
{
  mrl_rng rng = mrl_rng_stream(s->seed, MRL_RNG_SIM_VARIABLE, hash_name(s->name));
  return mrl_rng_u64(&rng);
}

static double draw_beta(mrl_rng *rng, double a, double b)
{
  const double x = mrl_rng_gamma(rng, a), y = mrl_rng_gamma(rng, b);
  return x / (x + y);
}

/* Successes are uniforms below p. Many trials are halved by the middle one of the uniforms in their
 * order, which is beta: those below it, or those above it, are again uniform (Ahrens & Dieter
 * 1974).
 */
static double draw_binomial(mrl_rng *rng, double trials, double p)
{
  double count = 0;
  while (trials > 64) {
    const double middle = floor(trials / 2) + 1;
    const double at = draw_beta(rng, middle, trials + 1 - middle);
    if (at <= p) {
      count += middle;
      trials -= middle;
      p = at < 1 ? (p - at) / (1 - at) : 0;
    } else {
      trials = middle - 1;
      p /= at;
    }
  }
  for (double i = 0; i < trials; i++) {
    count += mrl_rng_uniform(rng) < p;
  }
  return count;
}

static double draw_one(mrl_rng *rng, mrl_law law, double a, double b)
{
  switch (law) {
  case MRL_LAW_NORMAL:
    return a + b * mrl_rng_normal(rng);
  case MRL_LAW_UNIFORM:
    return a + (b - a) * mrl_rng_uniform(rng);
  case MRL_LAW_EXPONENTIAL:
    return a * mrl_rng_exponential(rng);
  case MRL_LAW_BETA:
    return draw_beta(rng, a, b);
  default:
    return draw_binomial(rng, a, b);
  }
}

/* mrl_chunk_job: a law with one column. */
static void draw_single(const void *data, size_t chunk, size_t first, size_t count)
{
  const simulation *sim = data;
  const mrl_sim_variable_settings *s = sim->settings;
  mrl_rng rng = mrl_chunk_stream(sim->seed, MRL_RNG_SIM_VARIABLE, 0, chunk);
  for (size_t i = first; i < first + count; i++) {
    sim->out[i] = draw_one(&rng, s->law, s->a[i * s->stride_a], s->b[i * s->stride_b]);
  }
}

/* mrl_chunk_job: column `column` of a law with several, by itself or given the column before. */
static void draw_column(const void *data, size_t chunk, size_t first, size_t count)
{
  const simulation *sim = data;
  const mrl_sim_variable_settings *s = sim->settings;
  const size_t j = sim->column;
  double *out = sim->out + j * s->n + first;
  mrl_rng rng = mrl_chunk_stream(sim->seed, MRL_RNG_SIM_VARIABLE, j, chunk);
  if (s->law == MRL_LAW_MVNORMAL) {
    mrl_rng_fill_normal(&rng, out, count);
  } else if (s->law == MRL_LAW_LINKED && j > 0) {
    mrl_rng_fill_linked(&rng, out, out - s->n, s->b + 2 * j, count);
  } else {
    mrl_rng_fill_genotype(&rng, out, s->a[j], count);
  }
}

/* mrl_chunk_job: column `column` = mean + its row of the factor times the columns up to itself. */
static void mix_column(const void *data, size_t chunk, size_t first, size_t count)
{
  (void)chunk;
  const simulation *sim = data;
  const mrl_sim_variable_settings *s = sim->settings;
  const size_t j = sim->column;
  double *out = sim->out + j * s->n + first;
  const double own = s->b[j + j * s->k];
  for (size_t i = 0; i < count; i++) {
    out[i] = s->a[j] + own * out[i];
  }
  for (size_t l = 0; l < j; l++) {
    const double weight = s->b[j + l * s->k];
    const double *z = sim->out + l * s->n + first;
    for (size_t i = 0; i < count; i++) {
      out[i] += weight * z[i];
    }
  }
}

static mrl_status check_finite(const double *out, size_t size)
{
  double sum = 0;
  for (size_t i = 0; i < size; i++) {
    sum += out[i] * 0; /* 0, or NaN where it is not finite */
  }
  return sum == 0 ? MRL_OK : MRL_NOT_FINITE;
}

mrl_status mrl_sim_variable_run(double *out, const mrl_sim_variable_settings *settings,
                                const mrl_ctx *ctx)
{
  simulation sim = {out, settings, own_seed(settings), 0};
  if (settings->law < MRL_LAW_VARIANT) {
    mrl_each_chunk(settings->n, draw_single, &sim, ctx);
    return check_finite(out, settings->n);
  }
  for (; sim.column < settings->k; sim.column++) {
    mrl_each_chunk(settings->n, draw_column, &sim, ctx);
  }
  /* From the last column back: the ones before it are then still as drawn. */
  while (settings->law == MRL_LAW_MVNORMAL && sim.column > 0) {
    sim.column--;
    mrl_each_chunk(settings->n, mix_column, &sim, ctx);
  }
  return check_finite(out, settings->n * settings->k);
}
