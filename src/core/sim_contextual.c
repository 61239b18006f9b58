#include "sim_contextual.h"

#include <math.h>

#include "chunk.h"

/* Columns of genotypes that are drawn between two polls, so that an L of a million is interruptible
 * too. */
enum { COLUMN_BLOCK = MRL_CHUNK_COLUMNS };

enum { ITEM_MAF, ITEM_PI, ITEM_ALPHA }; /* of MRL_RNG_SIM_PARAMETER */
enum { COLUMN_U, COLUMN_V, COLUMN_E };  /* of MRL_RNG_SIM_NOISE */
typedef enum { LAW_INTEGER, LAW_NORMAL } context_law;

/* The laws of the study: whole numbers low .. high, or normal with mean and SD. */
static const struct {
  context_law law;
  double a, b;
} context_laws[MRL_N_CONTEXT] = {
    {LAW_INTEGER, 12, 49}, /* age */
    {LAW_INTEGER, 0, 1},   /* sex */
    {LAW_NORMAL, 25, 4},   /* bmi */
    {LAW_INTEGER, 0, 1},   /* smoker */
    {LAW_NORMAL, 170, 10}, /* height */
    {LAW_NORMAL, 70, 15},  /* weight */
    {LAW_NORMAL, 120, 15}, /* bp_sys */
    {LAW_NORMAL, 200, 40}, /* cholesterol */
    {LAW_NORMAL, 90, 15},  /* glucose */
    {LAW_NORMAL, 7, 1.5},  /* sleep */
};

typedef struct {
  double mean[MRL_N_CONTEXT], sd[MRL_N_CONTEXT];
} context_moments;

typedef struct {
  mrl_sim_contextual *out;
  const mrl_sim_contextual_settings *settings;
  context_moments moments;
  size_t first_locus; /* of the block that is drawn */
} simulation;

static mrl_rng column_stream(const simulation *sim, mrl_rng_purpose purpose, size_t column,
                             size_t chunk)
{
  return mrl_chunk_stream(sim->settings->seed, purpose, column, chunk);
}

/* The largest positive disequilibrium of two loci is that where the rarer allele never comes
 * without the other. Returns min(linkage sd sd', this). */
static double disequilibrium(double p, double q, double linkage)
{
  const double wanted = linkage * sqrt(p * (1 - p) * q * (1 - q));
  const double largest = p < q ? p * (1 - q) : q * (1 - p);
  return wanted < largest ? wanted : largest;
}

static void draw_parameters(const simulation *sim)
{
  const mrl_sim_contextual_settings *s = sim->settings;
  mrl_sim_contextual *out = sim->out;
  mrl_rng maf = mrl_rng_stream(s->seed, MRL_RNG_SIM_PARAMETER, ITEM_MAF);
  mrl_rng pi = mrl_rng_stream(s->seed, MRL_RNG_SIM_PARAMETER, ITEM_PI);
  mrl_rng alpha = mrl_rng_stream(s->seed, MRL_RNG_SIM_PARAMETER, ITEM_ALPHA);
  for (size_t j = 0; j < s->n_snp; j++) {
    out->maf[j] = s->maf_low + (s->maf_high - s->maf_low) * mrl_rng_uniform(&maf);
    out->pi[j] = s->pi_sd * mrl_rng_normal(&pi);
    out->alpha[j] = s->alpha_mean + s->alpha_sd * mrl_rng_normal(&alpha);
  }
  for (size_t j = 1; j < s->n_snp; j++) {
    const double p = out->maf[j - 1], q = out->maf[j];
    out->linkage[j - 1] = disequilibrium(p, q, s->linkage) / sqrt(p * (1 - p) * q * (1 - q));
  }
}

static void draw_context(double *value, size_t count, size_t k, mrl_rng *rng)
{
  const double a = context_laws[k].a, b = context_laws[k].b;
  if (context_laws[k].law == LAW_INTEGER) {
    const uint64_t n_values = (uint64_t)(b - a) + 1;
    for (size_t i = 0; i < count; i++) {
      value[i] = a + (double)mrl_rng_below(rng, n_values);
    }
    return;
  }
  mrl_rng_fill_normal(rng, value, count);
  for (size_t i = 0; i < count; i++) {
    value[i] = a + b * value[i];
  }
}

/* Job on a chunk: context, confounder and noise. data: the simulation, as for the others. */
static void draw_people(const void *data, size_t chunk, size_t first, size_t count)
{
  const simulation *sim = data;
  for (size_t k = 0; k < MRL_N_CONTEXT; k++) {
    mrl_rng rng = column_stream(sim, MRL_RNG_SIM_CONTEXT, k, chunk);
    draw_context(sim->out->context[k] + first, count, k, &rng);
  }
  double *const noise[] = {
      [COLUMN_U] = sim->out->u, [COLUMN_V] = sim->out->v, [COLUMN_E] = sim->out->e};
  for (size_t k = 0; k < 3; k++) {
    mrl_rng rng = column_stream(sim, MRL_RNG_SIM_NOISE, k, chunk);
    mrl_rng_fill_normal(&rng, noise[k] + first, count);
  }
}

/* Sums over people of context - shift, or of its square; each by one thread, in order. */
static void context_sums(double sum[MRL_N_CONTEXT], const simulation *sim, const double *shift,
                         int squared, const mrl_ctx *ctx)
{
  const size_t n = sim->settings->n, batch = (size_t)1 << 20; /* 1 ms a column */
  for (int k = 0; k < MRL_N_CONTEXT; k++) {
    sum[k] = 0;
  }
  for (size_t start = 0; start < n; start += batch) {
    const size_t end = n - start < batch ? n : start + batch;
#pragma omp parallel for schedule(static) num_threads(ctx->n_threads)
    for (int k = 0; k < MRL_N_CONTEXT; k++) {
      const double *value = sim->out->context[k];
      double part = 0;
      for (size_t i = start; i < end; i++) {
        const double d = value[i] - shift[k];
        part += squared ? d * d : d;
      }
      sum[k] += part;
    }
    mrl_poll(ctx);
  }
}

static void find_moments(context_moments *moments, const simulation *sim, const mrl_ctx *ctx)
{
  const double n = (double)sim->settings->n;
  const double zero[MRL_N_CONTEXT] = {0};
  double sum[MRL_N_CONTEXT];
  context_sums(sum, sim, zero, 0, ctx);
  for (int k = 0; k < MRL_N_CONTEXT; k++) {
    moments->mean[k] = sum[k] / n;
  }
  context_sums(sum, sim, moments->mean, 1, ctx);
  for (int k = 0; k < MRL_N_CONTEXT; k++) {
    moments->sd[k] = sqrt(sum[k] / n);
  }
}

/* Job on a chunk: what does not come from the genotypes, in X and in the rest of Y. */
static void start_phenotypes(const void *data, size_t chunk, size_t first, size_t count)
{
  (void)chunk;
  const simulation *sim = data;
  const context_moments *moments = &sim->moments;
  const mrl_sim_contextual_settings *s = sim->settings;
  double *x = sim->out->x + first, *rest = sim->out->rest + first;
  const double *u = sim->out->u + first, *v = sim->out->v + first, *e = sim->out->e + first;
  for (size_t i = 0; i < count; i++) {
    x[i] = s->confounding * u[i] + v[i];
    rest[i] = s->confounding * u[i] + e[i];
  }
  for (size_t k = 0; k < MRL_N_CONTEXT; k++) {
    const double *value = sim->out->context[k] + first;
    double *scaled = sim->out->context_std + k * s->n + first;
    const double mean = moments->mean[k], sd = moments->sd[k];
    const double gamma = s->use_context ? s->gamma[k] : 0;
    const double zeta = s->use_context ? s->zeta[k] : 0;
    for (size_t i = 0; i < count; i++) {
      scaled[i] = sd > 0 ? (value[i] - mean) / sd : 0;
      x[i] += gamma * scaled[i];
      rest[i] += zeta * scaled[i];
    }
  }
}

static void draw_locus(const simulation *sim, size_t j, size_t chunk, size_t first, size_t count)
{
  const mrl_sim_contextual *out = sim->out;
  mrl_rng rng = column_stream(sim, MRL_RNG_SIM_GENOTYPE, j, chunk);
  const double q = out->maf[j];
  if (j == 0 || sim->settings->linkage == 0) {
    mrl_rng_fill_genotype(&rng, out->genotype[j] + first, q, count);
    return;
  }
  const double p = out->maf[j - 1], d = disequilibrium(p, q, sim->settings->linkage);
  /* Rounding may leave [0, 1] where the disequilibrium is the largest possible. */
  const double given[2] = {fmax(0, q - d / (1 - p)), fmin(1, q + d / p)};
  mrl_rng_fill_linked(&rng, out->genotype[j] + first, out->genotype[j - 1] + first, given, count);
}

/* Job on a chunk: genotypes at COLUMN_BLOCK loci and their effects. */
static void draw_loci(const void *data, size_t chunk, size_t first, size_t count)
{
  const simulation *sim = data;
  const size_t start = sim->first_locus, n_snp = sim->settings->n_snp;
  const size_t end = n_snp - start < COLUMN_BLOCK ? n_snp : start + COLUMN_BLOCK;
  double *x = sim->out->x + first, *rest = sim->out->rest + first;
  for (size_t j = start; j < end; j++) {
    draw_locus(sim, j, chunk, first, count);
    const double *g = sim->out->genotype[j] + first;
    const double pi = sim->out->pi[j], alpha = sim->out->alpha[j];
    for (size_t i = 0; i < count; i++) {
      x[i] += pi * g[i];
    }
    if (alpha != 0) {
      for (size_t i = 0; i < count; i++) {
        rest[i] += alpha * g[i];
      }
    }
  }
}

static mrl_status check_finite(const double *value, size_t n)
{
  double sum = 0;
  for (size_t i = 0; i < n; i++) {
    sum += value[i] * 0; /* 0, or NaN where it is not finite */
  }
  return sum == 0 ? MRL_OK : MRL_NOT_FINITE;
}

mrl_status mrl_sim_contextual_run(mrl_sim_contextual *out,
                                  const mrl_sim_contextual_settings *settings, const mrl_ctx *ctx)
{
  simulation sim = {.out = out, .settings = settings};
  draw_parameters(&sim);
  mrl_each_chunk(settings->n, draw_people, &sim, ctx);
  find_moments(&sim.moments, &sim, ctx);
  mrl_each_chunk(settings->n, start_phenotypes, &sim, ctx);
  for (size_t start = 0; start < settings->n_snp; start += COLUMN_BLOCK) {
    sim.first_locus = start;
    mrl_each_chunk(settings->n, draw_loci, &sim, ctx);
  }
  MRL_TRY(check_finite(out->x, settings->n));
  return check_finite(out->rest, settings->n);
}
