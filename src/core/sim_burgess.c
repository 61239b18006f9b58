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

/* f(x), and its derivative. */
static double causal(double *slope, mrl_burgess_shape shape, double x)
{
  switch (shape) {
  case MRL_BURGESS_QUADRATIC:
    *slope = .2 * x;
    return .1 * x * x;
  case MRL_BURGESS_J:
    *slope = .4 * (x - 1);
    return .2 * (x - 1) * (x - 1);
  case MRL_BURGESS_THRESHOLD:
    *slope = x > 2 ? .4 : 0;
    return x > 2 ? .4 * (x - 2) : 0;
  default:
    *slope = .4;
    return .4 * x;
  }
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
  mrl_rng_fill_exponential(&rng, v, count);
  rng = stream(sim, COLUMN_E, chunk);
  mrl_rng_fill_noise(&rng, e, sim->settings->logistic, count);
  double *x = out->x + first, *y = out->y + first, *slope = out->slope + first;
  for (size_t i = 0; i < count; i++) {
    x[i] = MRL_BURGESS_GX * g[i] + u[i] + v[i];
    y[i] = causal(&slope[i], sim->settings->shape, x[i]) + MRL_BURGESS_UY * u[i] + e[i];
  }
  if (sim->settings->binary) {
    mrl_above(y, sim->settings->cutoff, count);
  }
}

mrl_status mrl_sim_burgess_run(mrl_sim_burgess *out, const mrl_sim_burgess_settings *settings,
                               const mrl_ctx *ctx)
{
  const simulation sim = {out, settings};
  mrl_each_chunk(settings->n, draw_people, &sim, ctx);
  return MRL_OK;
}
