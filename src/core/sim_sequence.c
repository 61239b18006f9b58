#include "sim_sequence.h"

#include <math.h>

#include "chunk.h"

/* Streams of mutants begin here, behind those of the sequences that are drawn. */
#define MUTANT_STREAM ((uint64_t)1 << 40)

enum {
  GAPS_TRIED = 100,    /* distances within a pair */
  ROWS_AT_A_TIME = 256 /* sequences of a thread between two polls: some 10 ms */
};

/* A sequence while it is drawn: letters, and which of them belong to an instance. */
typedef struct {
  const mrl_sim_sequence_settings *settings;
  uint8_t *code;
  int *place;
  size_t stride; /* between the places of a sequence */
  mrl_rng *rng;
} drawing;

static uint8_t draw_letter(mrl_rng *rng, const double *p)
{
  double u = mrl_rng_uniform(rng);
  for (uint8_t a = 0; a < 3; a++) {
    if (u < p[a]) {
      return a;
    }
    u -= p[a];
  }
  return 3;
}

static const mrl_pwm *motif_at(const mrl_sim_sequence_settings *settings, int which)
{
  static const int motif[MRL_N_PLACE] = {MRL_MOTIF_CONFOUNDER, MRL_MOTIF_EXPOSURE,
                                         MRL_MOTIF_OUTCOME, MRL_MOTIF_EXPOSURE, MRL_MOTIF_OUTCOME};
  return settings->motif + motif[which];
}

/* Does a motif that starts here meet none of the instances there are? */
static int is_free(const drawing *d, size_t start, size_t length)
{
  for (int k = 0; k < MRL_N_PLACE; k++) {
    const int at = d->place[(size_t)k * d->stride];
    const size_t other = motif_at(d->settings, k)->length;
    if (at >= 0 && start < (size_t)at + other && (size_t)at < start + length) {
      return 0;
    }
  }
  return 1;
}

/* One of the starts at which a motif, and if gap >= 0 a second one `gap` letters behind it, have
 * room, each as likely; -1 if there are none. */
static int draw_start(const drawing *d, size_t first, size_t second, int gap)
{
  const size_t span = gap < 0 ? first : first + (size_t)gap + second;
  for (int pass = 0, chosen = -1;; pass++) {
    int seen = 0;
    for (size_t i = 0; i + span <= d->settings->length; i++) {
      const int room =
          is_free(d, i, first) && (gap < 0 || is_free(d, i + first + (size_t)gap, second));
      if (room && pass == 1 && seen == chosen) {
        return (int)i;
      }
      seen += room;
    }
    if (seen == 0) {
      return -1;
    }
    chosen = (int)mrl_rng_below(d->rng, (uint64_t)seen);
  }
}

static void write_instance(drawing *d, int which, int start)
{
  const mrl_pwm *motif = motif_at(d->settings, which);
  d->place[(size_t)which * d->stride] = start;
  for (size_t j = 0; j < motif->length; j++) {
    d->code[(size_t)start + j] = draw_letter(d->rng, motif->p + 4 * j);
  }
}

static void embed_one(drawing *d, int which)
{
  const int start = draw_start(d, motif_at(d->settings, which)->length, 0, -1);
  if (start >= 0) {
    write_instance(d, which, start);
  }
}

/* Exposure's motif, then outcome's, at least the longer one's length apart. */
static void embed_pair(drawing *d)
{
  const size_t first = motif_at(d->settings, MRL_PLACE_PAIR_EXPOSURE)->length;
  const size_t second = motif_at(d->settings, MRL_PLACE_PAIR_OUTCOME)->length;
  const size_t least = first > second ? first : second, most = d->settings->length - first - second;
  if (most < least) {
    return;
  }
  for (int i = 0; i < GAPS_TRIED; i++) {
    const int gap = (int)(least + mrl_rng_below(d->rng, most - least + 1));
    const int start = draw_start(d, first, second, gap);
    if (start >= 0) {
      write_instance(d, MRL_PLACE_PAIR_EXPOSURE, start);
      write_instance(d, MRL_PLACE_PAIR_OUTCOME, start + (int)first + gap);
      return;
    }
  }
}

static void draw_sequence(drawing *d)
{
  const mrl_sim_sequence_settings *s = d->settings;
  for (size_t j = 0; j < s->length; j++) {
    d->code[j] = draw_letter(d->rng, s->background);
  }
  for (int k = 0; k < MRL_N_PLACE; k++) {
    d->place[(size_t)k * d->stride] = -1;
  }
  for (int k = MRL_PLACE_CONFOUNDER; k <= MRL_PLACE_OUTCOME; k++) {
    const double keep = k == MRL_PLACE_CONFOUNDER ? s->keep_confounder : s->keep;
    if (mrl_rng_uniform(d->rng) < keep) {
      embed_one(d, k);
    }
  }
  if (mrl_rng_uniform(d->rng) < s->keep) {
    embed_pair(d);
  }
}

/* Expected counts without the part of b. */
static void expect(double *c_x, double *c_y, const mrl_sim_sequence_settings *s, double factor,
                   double q_x, double q_y, double q_c)
{
  *c_x = 1 + s->alpha * q_x + s->eta * q_c;
  *c_y = 1 + s->beta * factor * q_x * q_y + s->nu * q_c;
}

static void measure(mrl_sim_sequence *out, size_t i, size_t m, const mrl_sim_sequence_settings *s,
                    mrl_rng *rng)
{
  double *hit = out->hit + i;
  for (int k = 0; k < MRL_N_MOTIF; k++) {
    hit[(size_t)k * m] = mrl_pwm_hit(out->code + i * s->length, s->length, s->motif + k, s->mu);
  }
  out->b[i] = mrl_rng_uniform(rng) < 0.5;
  double *c_x = out->expected[0] + i, *c_y = out->expected[1] + i;
  expect(c_x, c_y, s, out->factor[i], hit[0], hit[m], hit[2 * m]);
  *c_x += s->tau_x * out->b[i];
  *c_y += s->tau_y * out->b[i];
  out->count[0][i] = mrl_rng_poisson(rng, *c_x);
  out->count[1][i] = mrl_rng_poisson(rng, *c_y);
}

static void draw_row(mrl_sim_sequence *out, size_t i, const mrl_sim_sequence_settings *s)
{
  const size_t m = s->n + s->n_mutants;
  mrl_rng rng = mrl_rng_stream(s->seed, MRL_RNG_SIM_SEQUENCE, i);
  drawing d = {s, out->code + i * s->length, out->place + i, m, &rng};
  draw_sequence(&d);
  const double factor = 1 + s->sd * mrl_rng_normal(&rng);
  out->factor[i] = factor > 0 ? factor : 0;
  out->parent[i] = -1;
  measure(out, i, m, s, &rng);
}

/* Mutant k: sequence k with one of its letters changed to one of the three others. */
static void draw_mutant(mrl_sim_sequence *out, size_t k, const mrl_sim_sequence_settings *s)
{
  const size_t m = s->n + s->n_mutants, i = s->n + k;
  mrl_rng rng = mrl_rng_stream(s->seed, MRL_RNG_SIM_SEQUENCE, MUTANT_STREAM + k);
  uint8_t *code = out->code + i * s->length;
  for (size_t j = 0; j < s->length; j++) {
    code[j] = out->code[k * s->length + j];
  }
  for (size_t j = 0; j < MRL_N_PLACE; j++) {
    out->place[i + j * m] = out->place[k + j * m];
  }
  const size_t at = (size_t)mrl_rng_below(&rng, s->length);
  code[at] = (uint8_t)((code[at] + 1 + mrl_rng_below(&rng, 3)) % 4);
  out->factor[i] = out->factor[k];
  out->parent[i] = (int)k;
  measure(out, i, m, s, &rng);
}

mrl_status mrl_sim_sequence_run(mrl_sim_sequence *out, const mrl_sim_sequence_settings *settings,
                                const mrl_ctx *ctx)
{
  const size_t n = settings->n, step = ROWS_AT_A_TIME * (size_t)ctx->n_threads;
  for (size_t start = 0; start < n; start += step) {
    const size_t end = n - start < step ? n : start + step;
#pragma omp parallel for schedule(static) num_threads(ctx->n_threads)
    for (size_t i = start; i < end; i++) {
      draw_row(out, i, settings);
      if (i < settings->n_mutants) {
        draw_mutant(out, i, settings);
      }
    }
    mrl_poll(ctx);
  }
  return MRL_OK;
}

mrl_status mrl_sim_sequence_hits(double *hit, const uint8_t *code, size_t n, size_t length,
                                 const mrl_pwm *motif, double mu, const mrl_ctx *ctx)
{
  const size_t step = ROWS_AT_A_TIME * (size_t)ctx->n_threads;
  for (size_t start = 0; start < n; start += step) {
    const size_t end = n - start < step ? n : start + step;
#pragma omp parallel for schedule(static) num_threads(ctx->n_threads)
    for (size_t i = start; i < end; i++) {
      for (size_t k = 0; k < MRL_N_MOTIF; k++) {
        hit[i + k * n] = mrl_pwm_hit(code + i * length, length, motif + k, mu);
      }
    }
    mrl_poll(ctx);
  }
  return MRL_OK;
}

/* Above this the expansion below is exact to 1e-6; up to it the sum is short. */
static const double many = 50;

/* Expansion about the mean through the eighth derivative, with the central moments of a Poisson
 * variable; what is left is of order c^-4.5. */
static double expand_anscombe(double c)
{
  static const double factorial[9] = {1, 1, 2, 6, 24, 120, 720, 5040, 40320};
  const double square = c * c, cube = square * c;
  const double moment[9] = {1,
                            0,
                            c,
                            c,
                            c + 3 * square,
                            c + 10 * square,
                            c + 25 * square + 15 * cube,
                            c + 56 * square + 105 * cube,
                            c + 119 * square + 490 * cube + 105 * square * square};
  const double s = c + 0.375;
  double derivative = 2 * sqrt(s), sum = 0;
  for (int k = 0; k < 9; k++) {
    sum += moment[k] * derivative / factorial[k];
    derivative *= (0.5 - k) / s;
  }
  return sum;
}

double mrl_anscombe_mean(double c)
{
  if (c > many) {
    return expand_anscombe(c);
  }
  double p = exp(-c), sum = 0;
  const double last = c + 12 * sqrt(c) + 30;
  for (double k = 0; k <= last; k++) {
    sum += p * 2 * sqrt(k + 0.375);
    p *= c / (k + 1);
  }
  return sum;
}

/* Expected label, over b too. */
static double label_mean(double c, double tau)
{
  const double without = mrl_anscombe_mean(c);
  return tau > 0 ? 0.5 * (without + mrl_anscombe_mean(c + tau)) : without;
}

typedef struct {
  double sum[2]; /* sum of dx dy, of dx dx */
} slope;

static void add_point(slope *to, double dx, double dy)
{
  to->sum[0] += dx * dy;
  to->sum[1] += dx * dx;
}

/* A sequence whose label moves by less has no slope that could be told from rounding. */
static const double still = 0.01;

static double plain_label(double c)
{
  return 2 * sqrt(c + 0.375);
}

/* A sequence before its letters change: hits, logs of what misses, expected labels. */
typedef struct {
  double q[MRL_N_MOTIF], missed[2], base[2], factor;
} before;

/* What the change of one letter does to both truths; old: logs of what missed its windows. */
static void add_change(slope *to, const mrl_sim_sequence_settings *s, const before *ref,
                       const uint8_t *code, size_t at, const double *old)
{
  double now[2], c_x, c_y;
  for (int k = 0; k < 2; k++) {
    const double change = mrl_pwm_missed(code, s->length, at, s->motif + k, s->mu) - old[k];
    now[k] = -expm1(ref->missed[k] + change);
  }
  const double *q = ref->q, beta = s->beta * ref->factor;
  add_point(to, plain_label(1 + s->alpha * now[0]) - plain_label(1 + s->alpha * q[0]),
            plain_label(1 + beta * now[0] * now[1]) - plain_label(1 + beta * q[0] * q[1]));
  expect(&c_x, &c_y, s, ref->factor, now[0], q[1], q[2]);
  add_point(to + 1, label_mean(c_x, s->tau_x) - ref->base[0],
            label_mean(c_y, s->tau_y) - ref->base[1]);
}

/* All three changes of each letter of an instance that begins at `start`. */
static void change_instance(slope *to, const mrl_sim_sequence_settings *s, const before *ref,
                            uint8_t *code, size_t start)
{
  for (size_t j = start; j < start + s->motif[MRL_MOTIF_EXPOSURE].length; j++) {
    const uint8_t was = code[j];
    double old[2];
    for (int k = 0; k < 2; k++) {
      old[k] = mrl_pwm_missed(code, s->length, j, s->motif + k, s->mu);
    }
    for (uint8_t a = 1; a < 4; a++) {
      code[j] = (uint8_t)((was + a) % 4);
      add_change(to, s, ref, code, j, old);
    }
    code[j] = was;
  }
}

/* code: the sequence, which is left as it was. */
static void sequence_effects(double *effect, const mrl_sim_sequence *sim, size_t i, size_t m,
                             const mrl_sim_sequence_settings *s, uint8_t *code)
{
  static const int places[2] = {MRL_PLACE_EXPOSURE, MRL_PLACE_PAIR_EXPOSURE};
  before ref = {.factor = sim->factor[i]};
  slope of[2] = {{{0, 0}}, {{0, 0}}};
  double c_x, c_y;
  for (size_t k = 0; k < MRL_N_MOTIF; k++) {
    ref.q[k] = sim->hit[i + k * m];
  }
  for (int k = 0; k < 2; k++) {
    ref.missed[k] = mrl_pwm_missed(code, s->length, s->length, s->motif + k, s->mu);
  }
  expect(&c_x, &c_y, s, ref.factor, ref.q[0], ref.q[1], ref.q[2]);
  ref.base[0] = label_mean(c_x, s->tau_x);
  ref.base[1] = label_mean(c_y, s->tau_y);
  for (int k = 0; k < 2; k++) {
    const int at = sim->place[i + (size_t)places[k] * m];
    if (at >= 0) {
      change_instance(of, s, &ref, code, (size_t)at);
    }
  }
  for (size_t k = 0; k < 2; k++) {
    effect[i + k * m] = of[k].sum[1] > still * still ? of[k].sum[0] / of[k].sum[1] : NAN;
  }
  effect[i + 2 * m] = s->beta * ref.factor * ref.q[1] / s->alpha;
}

static int has_both(const mrl_sim_sequence *sim, size_t i, size_t m)
{
  const int *at = sim->place + i;
  return at[MRL_PLACE_PAIR_EXPOSURE * m] >= 0 ||
         (at[MRL_PLACE_EXPOSURE * m] >= 0 && at[MRL_PLACE_OUTCOME * m] >= 0);
}

mrl_status mrl_sim_sequence_effects(double *effect, const mrl_sim_sequence *sim,
                                    const mrl_sim_sequence_settings *settings, const mrl_ctx *ctx)
{
  const size_t m = settings->n + settings->n_mutants, step = 8 * (size_t)ctx->n_threads;
  for (size_t start = 0; start < m; start += step) {
    const size_t end = m - start < step ? m : start + step;
#pragma omp parallel for schedule(dynamic) num_threads(ctx->n_threads)
    for (size_t i = start; i < end; i++) {
      if (has_both(sim, i, m)) {
        sequence_effects(effect, sim, i, m, settings, sim->code + i * settings->length);
      } else {
        effect[i] = effect[i + m] = effect[i + 2 * m] = NAN;
      }
    }
    mrl_poll(ctx);
  }
  return MRL_OK;
}
