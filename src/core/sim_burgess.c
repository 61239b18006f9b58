#include "sim_burgess.h"

#include "chunk.h"

enum { COLUMN_G, COLUMN_U, COLUMN_V, COLUMN_E };

typedef struct {
  mrl_sim_burgess *out;
  const mrl_sim_burgess_settings *settings;
} simulation;

static mrl_rng stream(const simulation *sim, size_t column, size_t chunk)
{
  return mrl_chunk_stream(sim->settings->seed, MRL_RNG_SIM_BURGESS, column, chunk);
}

/* mrl_chunk_job */
static void draw_people(const void *data, size_t chunk, size_t first, size_t count)
{
  const simulation *sim = data;
  const mrl_sim_burgess *out = sim->out;
  double *g = out->g + first, *u = out->u + first, *v = out->v + first, *e = out->e + first;
  mrl_rng rng = stream(sim, COLUMN_G, chunk);
  mrl_rng_fill_genotype(&rng, g, sim->settings->maf, count);
  rng = stream(sim, COLUMN_U, chunk);
  mrl_rng_fill_uniform(&rng, u, count);
  rng = stream(sim, COLUMN_V, chunk);
  for (size_t i = 0; i < count; i++) {
    v[i] = mrl_rng_exponential(&rng);
  }
  rng = stream(sim, COLUMN_E, chunk);
  mrl_rng_fill_normal(&rng, e, count);
  double *x = out->x + first, *rest = out->rest + first;
  for (size_t i = 0; i < count; i++) {
    x[i] = MRL_BURGESS_GX * g[i] + u[i] + v[i];
    rest[i] = MRL_BURGESS_UY * u[i] + e[i];
  }
}

mrl_status mrl_sim_burgess_run(mrl_sim_burgess *out, const mrl_sim_burgess_settings *settings,
                               const mrl_ctx *ctx)
{
  const simulation sim = {out, settings};
  mrl_each_chunk(settings->n, draw_people, &sim, ctx);
  return MRL_OK;
}
