#include "sim_summary.h"

#include "rng.h"

#include <math.h>

/* One draw of a variant's truth and estimates into place i. Returns whether it is kept. */
static int draw_variant(mrl_sim_summary *out, size_t i, const mrl_sim_summary_settings *s,
                        mrl_rng *rng)
{
  const double maf = s->maf_low + (s->maf_high - s->maf_low) * mrl_rng_uniform(rng);
  const double information = 2 * maf * (1 - maf);
  const double sx = 1 / sqrt(information * s->n_exposure);
  const double sy = 1 / sqrt(information * s->n_outcome);
  const int valid = !(mrl_rng_uniform(rng) < s->invalid);
  const double own = fabs(s->effect_sd * mrl_rng_normal(rng));
  const double direct = s->pleiotropy_mean + s->pleiotropy_sd * mrl_rng_normal(rng);
  const double shared = fabs(s->effect_sd * mrl_rng_normal(rng));
  const double p = !valid && s->through_confounder != 0 ? shared : 0;
  const double gamma = own + p;
  const double alpha = valid ? 0 : direct + s->through_confounder * p;
  const double e = mrl_rng_normal(rng), f = mrl_rng_normal(rng), other = mrl_rng_normal(rng);
  const double bx = gamma + sx * e;
  const double by = s->theta * gamma + alpha + sy * (s->rho * e + sqrt(1 - s->rho * s->rho) * f);
  const double sign = mrl_rng_uniform(rng) < 0.5 ? -1 : 1;
  out->bx[i] = sign * bx;
  out->by[i] = sign * by;
  out->gamma[i] = sign * gamma;
  out->alpha[i] = sign * alpha;
  out->sx[i] = sx;
  out->sy[i] = sy;
  out->maf[i] = maf;
  out->valid[i] = valid;
  const double selected_on = s->winners_curse ? bx : gamma + sx * other;
  return s->z_threshold <= 0 || fabs(selected_on) / sx > s->z_threshold;
}

/* Draws variant i until it is kept; the number of draws, 0 if it never was. */
static size_t keep_variant(mrl_sim_summary *out, size_t i, const mrl_sim_summary_settings *s)
{
  mrl_rng rng = mrl_rng_stream(s->seed, MRL_RNG_SIM_SUMMARY, i);
  for (size_t tries = 1; tries <= MRL_SIM_TRIES; tries++) {
    if (draw_variant(out, i, s, &rng)) {
      return tries;
    }
  }
  return 0;
}

mrl_status mrl_sim_summary_run(mrl_sim_summary *out, const mrl_sim_summary_settings *settings,
                               const mrl_ctx *ctx)
{
  const size_t total = settings->n_pair * settings->n_snp;
  /* A draw takes about 0.2 microseconds: blocks of so many are done in well below 0.1 s. How many
   * variants that is follows from the block before; the first is so small that it may fail. */
  const size_t draws_of_block = 200000;
  for (size_t from = 0, step = 4; from < total;) {
    const size_t to = step < total - from ? from + step : total;
    size_t draws = 0;
    int failed = 0;
#pragma omp parallel for num_threads(ctx->n_threads) reduction(+ : draws) reduction(| : failed)
    for (size_t i = from; i < to; i++) {
      const size_t tries = keep_variant(out, i, settings);
      draws += tries;
      failed |= tries == 0;
    }
    if (failed) {
      return MRL_TOO_FEW;
    }
    step = 1 + (size_t)((double)draws_of_block * (double)(to - from) / (double)draws);
    from = to;
    mrl_poll(ctx);
  }
  return MRL_OK;
}
