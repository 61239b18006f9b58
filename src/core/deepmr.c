#include "deepmr.h"

#include <math.h>

enum { POLL = 1 << 20 }; /* variants in a serial pass between two polls: a few milliseconds */

mrl_status mrl_deepmr_spread(double *centre, double *spread, const mrl_deepmr_effects *effects,
                             const mrl_ctx *ctx)
{
  const size_t n = effects->start[effects->n_seq];
  if (n < 2) {
    return MRL_TOO_FEW;
  }
  double sum = 0, squares = 0;
  for (size_t v = 0; v < n; v++) {
    sum += effects->effect[effects->x[v]];
    if (v % POLL == 0) {
      mrl_poll(ctx);
    }
  }
  const double mean = sum / (double)n;
  for (size_t v = 0; v < n; v++) {
    const double off = effects->effect[effects->x[v]] - mean;
    squares += off * off;
    if (v % POLL == 0) {
      mrl_poll(ctx);
    }
  }
  *centre = mean;
  *spread = sqrt(squares / (double)(n - 1));
  return isfinite(*spread) ? MRL_OK : MRL_NOT_FINITE;
}

/* How strong variant v moves the exposure, in units of the rule. */
static double strength(const mrl_deepmr_effects *effects, size_t v, const mrl_deepmr_pick *pick)
{
  const double x = effects->effect[effects->x[v]];
  return pick->rule == MRL_DEEPMR_F ? fabs(x / effects->se[effects->x[v]])
                                    : fabs(x - pick->centre) / pick->spread;
}

static int is_instrument(const mrl_deepmr_effects *effects, size_t v, const mrl_deepmr_pick *pick)
{
  if (effects->effect[effects->x[v]] == 0 || pick->rule == MRL_DEEPMR_ALL) {
    return effects->effect[effects->x[v]] != 0;
  }
  const double by = strength(effects, v, pick);
  return (pick->rule == MRL_DEEPMR_F ? by * by : by) >= pick->threshold;
}

typedef struct {
  double xx, xy, ratio, strongest;
  size_t n;
} moments;

/* Marks the instruments among variants from .. to - 1 and adds them up. */
static moments add_instruments(int *instrument, const mrl_deepmr_effects *effects, size_t from,
                               size_t to, const mrl_deepmr_pick *pick)
{
  moments sum = {0, 0, 0, 0, 0};
  for (size_t v = from; v < to; v++) {
    instrument[v] = is_instrument(effects, v, pick);
    if (instrument[v]) {
      const double x = effects->effect[effects->x[v]], y = effects->effect[effects->y[v]];
      sum.xx += x * x;
      sum.xy += x * y;
      sum.ratio += y / x;
      sum.strongest = fmax(sum.strongest, strength(effects, v, pick));
      sum.n++;
    }
  }
  return sum;
}

/* L_k: sum(x dy + y dx - 2 b x dx) / sum(x^2) is the same sum with its terms in other places. */
static double member_shift(const double *member, const int *instrument,
                           const mrl_deepmr_effects *effects, size_t from, size_t to, double b,
                           double xx)
{
  double cross = 0, own = 0;
  for (size_t v = from; v < to; v++) {
    if (instrument[v]) {
      const int ix = effects->x[v], iy = effects->y[v];
      const double x = effects->effect[ix], y = effects->effect[iy];
      const double dx = member[ix] - x, dy = member[iy] - y;
      cross += x * dy + y * dx;
      own += x * dx;
    }
  }
  return (cross - 2 * b * own) / xx;
}

static double sd_of(const double *x, size_t n)
{
  double mean = 0, squares = 0;
  for (size_t i = 0; i < n; i++) {
    mean += x[i] / (double)n;
  }
  for (size_t i = 0; i < n; i++) {
    squares += (x[i] - mean) * (x[i] - mean);
  }
  return n < 2 ? NAN : sqrt(squares / (double)(n - 1));
}

/* Row s of the results. */
static void one_sequence(double *out, double *shift, int *instrument,
                         const mrl_deepmr_effects *effects, size_t s, const mrl_deepmr_pick *pick)
{
  const size_t n = effects->n_seq, from = effects->start[s], to = effects->start[s + 1];
  const moments sum = add_instruments(instrument, effects, from, to, pick);
  const int enough = sum.n >= pick->least && sum.xx > 0;
  const double b = enough ? sum.xy / sum.xx : NAN;
  double *mine = shift + s * effects->n_member;
  for (size_t k = 0; k < effects->n_member; k++) {
    mine[k] = enough ? member_shift(effects->member + k * effects->n_row, instrument, effects, from,
                                    to, b, sum.xx)
                     : NAN;
  }
  out[s + n * MRL_DEEPMR_N_INSTRUMENT] = (double)sum.n;
  out[s + n * MRL_DEEPMR_SLOPE] = b;
  out[s + n * MRL_DEEPMR_SD] = enough ? sd_of(mine, effects->n_member) : NAN;
  out[s + n * MRL_DEEPMR_RATIO] = enough ? sum.ratio / (double)sum.n : NAN;
  out[s + n * MRL_DEEPMR_STRONGEST] = enough ? sum.strongest : NAN;
}

/* Sequences of a block are shared out, with a poll between blocks. */
mrl_status mrl_deepmr_slopes(double *out, double *shift, int *instrument,
                             const mrl_deepmr_effects *effects, const mrl_deepmr_pick *pick,
                             const mrl_ctx *ctx)
{
  if (pick->least < 1 || pick->rule >= MRL_DEEPMR_N_RULE ||
      (pick->rule == MRL_DEEPMR_F && !effects->se)) {
    return MRL_BAD_ARGUMENT;
  }
  for (size_t from = 0; from < effects->n_seq;) {
    const size_t first = effects->start[from];
    size_t to = from + 1;
    while (to < effects->n_seq && effects->start[to] - first < POLL) {
      to++;
    }
#pragma omp parallel for schedule(static) num_threads(ctx->n_threads)
    for (size_t s = from; s < to; s++) {
      one_sequence(out, shift, instrument, effects, s, pick);
    }
    mrl_poll(ctx);
    from = to;
  }
  return MRL_OK;
}
