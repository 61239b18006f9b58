#include "sim_nonlinear.h"

#include <math.h>

#include "chunk.h"

/* Columns of random numbers; those of the variants follow. */
enum { COLUMN_MAF, COLUMN_SHARE, COLUMN_U, COLUMN_V, COLUMN_E, COLUMN_M, COLUMN_GENOTYPE = 8 };

typedef struct {
  mrl_sim_nonlinear *out;
  const mrl_sim_nonlinear_settings *settings;
  size_t first_snp; /* of the block of variants that is being drawn */
} simulation;

static mrl_rng stream(const simulation *sim, size_t column, size_t chunk)
{
  return mrl_chunk_stream(sim->settings->seed, MRL_RNG_SIM_NONLINEAR, column, chunk);
}

/* Exponential variables divided by their sum are Dirichlet(1, ..., 1). */
static void draw_variants(const simulation *sim)
{
  const mrl_sim_nonlinear_settings *s = sim->settings;
  mrl_sim_nonlinear *out = sim->out;
  mrl_rng maf = stream(sim, COLUMN_MAF, 0), share = stream(sim, COLUMN_SHARE, 0);
  double total = 0;
  for (size_t j = 0; j < s->n_snp; j++) {
    out->maf[j] = s->maf_low + (s->maf_high - s->maf_low) * mrl_rng_uniform(&maf);
    out->share[j] = mrl_rng_exponential(&share);
    total += out->share[j];
  }
  for (size_t j = 0; j < s->n_snp; j++) {
    const double p = out->maf[j];
    out->share[j] /= total;
    out->effect[j] = sqrt(out->share[j] * s->h2 / (2 * p * (1 - p)));
  }
}

/* mrl_chunk_job: all but the genotypes. */
static void draw_people(const void *data, size_t chunk, size_t first, size_t count)
{
  const simulation *sim = data;
  const mrl_sim_nonlinear_settings *s = sim->settings;
  double *u = sim->out->u + first, *v = sim->out->v + first, *e = sim->out->e + first;
  mrl_rng rng = stream(sim, COLUMN_U, chunk);
  mrl_rng_fill_normal(&rng, u, count);
  rng = stream(sim, COLUMN_V, chunk);
  mrl_rng_fill_normal(&rng, v, count);
  rng = stream(sim, COLUMN_E, chunk);
  mrl_rng_fill_normal(&rng, e, count);
  if (sim->out->modifier) {
    rng = stream(sim, COLUMN_M, chunk);
    mrl_rng_fill_normal(&rng, sim->out->modifier + first, count);
  }
  const double sd = sqrt(1 - s->h2 - s->beta_ux * s->beta_ux);
  double *x = sim->out->x + first, *rest = sim->out->rest + first;
  for (size_t i = 0; i < count; i++) {
    v[i] *= sd;
    x[i] = s->beta_ux * u[i] + v[i];
    rest[i] = s->beta_uy * u[i] + e[i];
  }
}

/* mrl_chunk_job: genotypes at MRL_CHUNK_COLUMNS variants and what they add to the exposure. */
static void draw_genotypes(const void *data, size_t chunk, size_t first, size_t count)
{
  const simulation *sim = data;
  const mrl_sim_nonlinear *out = sim->out;
  const size_t start = sim->first_snp, left = sim->settings->n_snp - start;
  const size_t end = left < MRL_CHUNK_COLUMNS ? start + left : start + MRL_CHUNK_COLUMNS;
  double *x = out->x + first;
  for (size_t j = start; j < end; j++) {
    mrl_rng rng = stream(sim, COLUMN_GENOTYPE + j, chunk);
    double *g = out->genotype[j] + first;
    mrl_rng_fill_genotype(&rng, g, out->maf[j], count);
    const double effect = out->effect[j], mean = 2 * out->maf[j];
    for (size_t i = 0; i < count; i++) {
      x[i] += effect * (g[i] - mean);
    }
  }
}

mrl_status mrl_sim_nonlinear_run(mrl_sim_nonlinear *out, const mrl_sim_nonlinear_settings *settings,
                                 const mrl_ctx *ctx)
{
  simulation sim = {out, settings, 0};
  draw_variants(&sim);
  mrl_each_chunk(settings->n, draw_people, &sim, ctx);
  for (; sim.first_snp < settings->n_snp; sim.first_snp += MRL_CHUNK_COLUMNS) {
    mrl_each_chunk(settings->n, draw_genotypes, &sim, ctx);
  }
  double sum = 0;
  for (size_t i = 0; i < settings->n; i++) {
    sum += out->rest[i] * 0; /* 0, or NaN where it is not finite */
  }
  return sum == 0 ? MRL_OK : MRL_NOT_FINITE;
}
