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
  const double sign = s->flip && mrl_rng_uniform(rng) < 0.5 ? -1 : 1;
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

mrl_status mrl_sim_summary_run(mrl_sim_summary *out, const mrl_sim_summary_settings *settings,
                               const mrl_ctx *ctx)
{
  const size_t total = settings->n_pair * settings->n_snp, step = 20000;
  for (size_t from = 0; from < total; from += step) {
    const size_t to = from + step < total ? from + step : total;
    int failed = 0;
#pragma omp parallel for num_threads(ctx->n_threads) schedule(static) reduction(| : failed)
    for (size_t i = from; i < to; i++) {
      mrl_rng rng = mrl_rng_stream(settings->seed, MRL_RNG_SIM_SUMMARY, i);
      int kept = 0;
      for (int tries = 0; !kept && tries < MRL_SIM_TRIES; tries++) {
        kept = draw_variant(out, i, settings, &rng);
      }
      failed |= !kept;
    }
    if (failed) {
      return MRL_TOO_FEW;
    }
    mrl_poll(ctx);
  }
  return MRL_OK;
}
