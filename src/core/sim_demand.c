#include "sim_demand.h"

#include <math.h>

#include "chunk.h"

enum { COLUMN_TYPE, COLUMN_TIME, COLUMN_COST, COLUMN_V, COLUMN_W };

typedef struct {
  mrl_sim_demand *out;
  const mrl_sim_demand_settings *settings;
} simulation;

double mrl_demand_psi(double time)
{
  const double square = (time - 5) * (time - 5);
  return 2 * (square * square / 600 + exp(-4 * square) + time / 10 - 2);
}

static mrl_rng stream(const simulation *sim, size_t column, size_t chunk)
{
  return mrl_chunk_stream(sim->settings->seed, MRL_RNG_SIM_DEMAND, column, chunk);
}

static void draw_covariates(const simulation *sim, size_t chunk, size_t first, size_t count)
{
  double *type = sim->out->type + first, *time = sim->out->time + first;
  mrl_rng rng = stream(sim, COLUMN_TYPE, chunk);
  for (size_t i = 0; i < count; i++) {
    type[i] = 1 + (double)mrl_rng_below(&rng, 7);
  }
  rng = stream(sim, COLUMN_TIME, chunk);
  mrl_rng_fill_uniform(&rng, time, count);
  for (size_t i = 0; i < count; i++) {
    time[i] *= 10;
  }
}

/* e holds w, the part of the outcome's noise that the price does not share, until it is mixed. */
static void draw_noise(const simulation *sim, size_t chunk, size_t first, size_t count)
{
  mrl_rng rng = stream(sim, COLUMN_COST, chunk);
  mrl_rng_fill_normal(&rng, sim->out->cost + first, count);
  rng = stream(sim, COLUMN_V, chunk);
  mrl_rng_fill_normal(&rng, sim->out->v + first, count);
  rng = stream(sim, COLUMN_W, chunk);
  mrl_rng_fill_normal(&rng, sim->out->e + first, count);
}

/* mrl_chunk_job */
static void draw_rows(const void *data, size_t chunk, size_t first, size_t count)
{
  const simulation *sim = data;
  const mrl_sim_demand *out = sim->out;
  const double rho = sim->settings->rho, own = sqrt(1 - rho * rho);
  draw_covariates(sim, chunk, first, count);
  draw_noise(sim, chunk, first, count);
  for (size_t i = first; i < first + count; i++) {
    const double psi = mrl_demand_psi(out->time[i]);
    out->slope[i] = out->type[i] * psi - 2;
    out->e[i] = rho * out->v[i] + own * out->e[i];
    out->price[i] = 25 + (out->cost[i] + 3) * psi + out->v[i];
    out->y[i] = 100 + (10 + out->price[i]) * out->type[i] * psi - 2 * out->price[i] + out->e[i];
  }
}

mrl_status mrl_sim_demand_run(mrl_sim_demand *out, const mrl_sim_demand_settings *settings,
                              const mrl_ctx *ctx)
{
  const simulation sim = {out, settings};
  mrl_each_chunk(settings->n, draw_rows, &sim, ctx);
  return MRL_OK;
}
