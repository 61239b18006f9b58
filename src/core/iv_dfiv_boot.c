/* Deep feature IV: replicates; the state of a fit as bytes. */
#include "iv_dfiv.h"

#include <string.h>

mrl_status mrl_dfiv_boot_carve(mrl_dfiv_boot *boot, mrl_arena *arena, const mrl_iv_sample *one,
                               const mrl_iv_sample *two)
{
  const size_t n1 = one->n, n2 = two ? two->n : one->n;
  mrl_dfiv_boot to;
  to.weight[0] = MRL_TAKE(arena, double, n1);
  to.weight[1] = two ? MRL_TAKE(arena, double, n2) : to.weight[0];
  to.count = MRL_TAKE(arena, size_t, n1 > n2 ? n1 : n2);
  *boot = to;
  return arena->failed ? MRL_NO_MEMORY : MRL_OK;
}

/* The rows that are drawn, and their weights; none is held out. */
static mrl_status resample(mrl_dfiv *dfiv, mrl_dfiv_boot *boot, int s, mrl_rng *rng)
{
  const mrl_iv_sample *sample = dfiv->problem.sample + s;
  size_t n = 0;
  double total = 0;
  mrl_ivn_draw_counts(boot->count, sample, rng);
  for (size_t i = 0; i < sample->n; i++) {
    const size_t count = boot->count[sample->cluster ? (size_t)sample->cluster[i] - 1 : i];
    boot->weight[s][i] = (double)count * (sample->weights ? sample->weights[i] : 1);
    total += boot->weight[s][i];
    if (count > 0) {
      dfiv->row[s][n++] = i;
    }
  }
  dfiv->n_train[s] = n;
  dfiv->n_held[s] = 0;
  dfiv->model.data.weight[s] = boot->weight[s];
  return total > 0 ? MRL_OK : MRL_TOO_FEW;
}

static mrl_status draw_samples(mrl_dfiv *dfiv, mrl_dfiv_boot *boot, mrl_rng *rng)
{
  MRL_TRY(resample(dfiv, boot, 0, rng));
  if (!dfiv->problem.single) {
    return resample(dfiv, boot, 1, rng);
  }
  memcpy(dfiv->row[1], dfiv->row[0], dfiv->n_train[0] * sizeof *dfiv->row[0]);
  dfiv->n_train[1] = dfiv->n_train[0];
  dfiv->n_held[1] = 0;
  dfiv->model.data.weight[1] = boot->weight[0];
  return MRL_OK;
}

mrl_status mrl_dfiv_replicate(mrl_real *state, double *theta, mrl_dfiv *dfiv, mrl_dfiv_boot *boot,
                              const mrl_dfiv_fit *fit, size_t number, const mrl_ctx *ctx)
{
  const mrl_dfiv_settings *how = &dfiv->settings;
  const mrl_progress progress = {.step = 0};
  mrl_rng rng = mrl_rng_stream(how->seed, MRL_RNG_BOOTSTRAP, number);
  MRL_TRY(mrl_ivn_problem_resume(&dfiv->problem, fit->scale, fit->fold, ctx));
  MRL_TRY(draw_samples(dfiv, boot, &rng));
  memset(dfiv->state, 0, dfiv->n_state * sizeof *dfiv->state);
  memcpy(dfiv->state, fit->state, dfiv->n_model * sizeof *state);
  mrl_dfiv_bind(dfiv);
  dfiv->progress = progress;
  for (size_t e = 0; dfiv->n_model > 0 && e < how->boot_epochs; e++) {
    double loss[2];
    MRL_TRY(mrl_dfiv_train_epoch(loss, dfiv, e, how->train.rate * how->boot_rate, ctx));
  }
  dfiv->lambda[0] = fit->lambda[0];
  dfiv->lambda[1] = fit->lambda[1];
  MRL_TRY(mrl_dfiv_close(dfiv, ctx));
  memcpy(state, mrl_dfiv_outcome_state(dfiv), mrl_dfiv_outcome_size(dfiv->nets) * sizeof *state);
  memcpy(theta, dfiv->model.u.coef, dfiv->nets->terms * sizeof *theta);
  return MRL_OK;
}

enum { OWNER_WORDS = 12, WORD = 8 };

static const uint64_t state_mark = 0x3130564946444c4d; /* changes with the format */

static void owner_words(uint64_t *out, const mrl_dfiv *dfiv)
{
  const mrl_dfiv_settings *s = &dfiv->settings;
  const uint64_t words[OWNER_WORDS] = {
      state_mark,      sizeof(mrl_real),          dfiv->n_state,
      s->seed,         s->train.epochs,           s->train.batch,
      s->cross_fit,    dfiv->problem.sample[0].n, dfiv->problem.sample[1].n,
      dfiv->nets->n_p, dfiv->nets->terms,         (uint64_t)mrl_isa_usable(s->isa)};
  memcpy(out, words, sizeof words);
}

size_t mrl_dfiv_bytes(const mrl_dfiv *dfiv)
{
  return OWNER_WORDS * WORD + sizeof dfiv->progress +
         dfiv->settings.train.epochs * sizeof *dfiv->history + dfiv->n_state * sizeof *dfiv->state;
}

void mrl_dfiv_save(unsigned char *bytes, const mrl_dfiv *dfiv)
{
  uint64_t owner[OWNER_WORDS];
  owner_words(owner, dfiv);
  memset(bytes, 0, mrl_dfiv_bytes(dfiv));
  memcpy(bytes, owner, sizeof owner);
  bytes += sizeof owner;
  memcpy(bytes, &dfiv->progress, sizeof dfiv->progress);
  bytes += sizeof dfiv->progress;
  memcpy(bytes, dfiv->history, dfiv->progress.epoch * sizeof *dfiv->history);
  bytes += dfiv->settings.train.epochs * sizeof *dfiv->history;
  memcpy(bytes, dfiv->state, dfiv->n_state * sizeof *dfiv->state);
}

mrl_status mrl_dfiv_load(mrl_dfiv *dfiv, const unsigned char *bytes, size_t size)
{
  uint64_t owner[OWNER_WORDS];
  mrl_progress progress;
  owner_words(owner, dfiv);
  if (size != mrl_dfiv_bytes(dfiv) || memcmp(bytes, owner, sizeof owner) != 0) {
    return MRL_BAD_ARGUMENT;
  }
  bytes += sizeof owner;
  memcpy(&progress, bytes, sizeof progress);
  bytes += sizeof progress;
  if (progress.epoch > dfiv->settings.train.epochs) {
    return MRL_BAD_ARGUMENT;
  }
  dfiv->progress = progress;
  memcpy(dfiv->history, bytes, progress.epoch * sizeof *dfiv->history);
  bytes += dfiv->settings.train.epochs * sizeof *dfiv->history;
  memcpy(dfiv->state, bytes, dfiv->n_state * sizeof *dfiv->state);
  return MRL_OK;
}
