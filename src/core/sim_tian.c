#include "sim_tian.h"

#include <math.h>

#include "chunk.h"

enum { COLUMN_Z, COLUMN_U1, COLUMN_U2, COLUMN_U3 };

typedef struct {
  mrl_sim_tian *out;
  const mrl_sim_tian_settings *settings;
} simulation;

static void draw_normal(double *out, const simulation *sim, size_t column, size_t chunk,
                        size_t count)
{
  mrl_rng rng = mrl_chunk_stream(sim->settings->seed, MRL_RNG_SIM_TIAN, column, chunk);
  mrl_rng_fill_normal(&rng, out, count);
}

/* The exposure before it is rounded. */
static double exposure(mrl_tian_scenario scenario, double z, double u1, double u2)
{
  switch (scenario) {
  case MRL_TIAN_B:
    return .5 * z + (z < -1 ? 2 * z * z * z + 2 : 0) + u2 + u1;
  case MRL_TIAN_C:
    return -10 + (1.5 + .4 * u2) * (z + 5) + u2 + u1;
  default:
    return .5 * z + u2 + u1;
  }
}

/* h(x), and its derivative. */
static double causal(double *slope, int outcome, double x)
{
  switch (outcome) {
  case 2:
    *slope = .2 * x;
    return .1 * x * x;
  case 3:
    *slope = x > 0 ? -.2 * x : 0;
    return x > 0 ? -.1 * x * x : 0;
  case 4:
    *slope = x > .6 ? 5 : 0;
    return x > .6 ? 5 * (x - .6) : 0;
  default:
    *slope = 0;
    return 0;
  }
}

/* mrl_chunk_job */
static void draw_people(const void *data, size_t chunk, size_t first, size_t count)
{
  const simulation *sim = data;
  const mrl_sim_tian *out = sim->out;
  const mrl_tian_scenario scenario = sim->settings->scenario;
  draw_normal(out->z + first, sim, COLUMN_Z, chunk, count);
  draw_normal(out->u1 + first, sim, COLUMN_U1, chunk, count);
  draw_normal(out->u2 + first, sim, COLUMN_U2, chunk, count);
  mrl_rng rng = mrl_chunk_stream(sim->settings->seed, MRL_RNG_SIM_TIAN, COLUMN_U3, chunk);
  mrl_rng_fill_noise(&rng, out->u3 + first, sim->settings->logistic, count);
  for (size_t i = first; i < first + count; i++) {
    out->z[i] *= .5;
    const double exact = exposure(scenario, out->z[i], out->u1[i], out->u2[i]);
    const double x = scenario == MRL_TIAN_D ? rint(exact) : exact;
    if (out->exact) {
      out->exact[i] = exact;
    }
    out->x[i] = x;
    out->y[i] = causal(&out->slope[i], sim->settings->outcome, x) + out->u2[i] + out->u3[i];
  }
  if (sim->settings->binary) {
    mrl_above(out->y + first, sim->settings->cutoff, count);
  }
}

mrl_status mrl_sim_tian_run(mrl_sim_tian *out, const mrl_sim_tian_settings *settings,
                            const mrl_ctx *ctx)
{
  const simulation sim = {out, settings};
  mrl_each_chunk(settings->n, draw_people, &sim, ctx);
  return MRL_OK;
}
