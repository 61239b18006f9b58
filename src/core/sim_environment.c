#include "sim_environment.h"

#include <math.h>

#include "chunk.h"

/* Numbers of columns within those of an environment; measurement noise has its own. */
enum {
  COLUMN_H = 0,
  COLUMN_V = 256,
  COLUMN_W = 512,
  COLUMN_X = 768,
  COLUMN_Y = 769,
  COLUMN_Z = 1024,
  COLUMNS = 4096
};

typedef struct {
  mrl_sim_environment *out;
  const mrl_sim_environment_settings *settings;
  size_t env, start, n_all; /* the environment, its first row, rows of all */
} simulation;

static mrl_rng stream(const simulation *sim, size_t column, size_t chunk)
{
  return mrl_chunk_stream(sim->settings->seed, MRL_RNG_SIM_ENVIRONMENT, sim->env * COLUMNS + column,
                          chunk);
}

static double draw_latent(mrl_rng *rng, mrl_latent_law law)
{
  double u, scale;
  switch (law) {
  case MRL_LATENT_UNIFORM:
    return sqrt(12.) * (mrl_rng_uniform(rng) - .5);
  case MRL_LATENT_LAPLACE:
    u = mrl_rng_uniform(rng);
    scale = mrl_rng_exponential(rng) / sqrt(2.);
    return u < .5 ? -scale : scale;
  case MRL_LATENT_T5:
    u = mrl_rng_normal(rng);
    scale = 2 * mrl_rng_gamma(rng, 2.5) / 5;
    return u / sqrt(scale * 5 / 3);
  case MRL_LATENT_EXPONENTIAL:
    return mrl_rng_exponential(rng) - 1;
  default:
    return mrl_rng_normal(rng);
  }
}

/* count rows of d correlated components at out + j * n_all: independent ones times root (d, d). */
static void draw_block(const simulation *sim, double *out, size_t column, size_t d,
                       const double *root, size_t chunk, size_t count)
{
  for (size_t j = 0; j < d; j++) {
    mrl_rng rng = stream(sim, column + j, chunk);
    for (size_t i = 0; i < count; i++) {
      out[i + j * sim->n_all] = draw_latent(&rng, sim->settings->law);
    }
  }
  for (size_t i = 0; i < count; i++) {
    double own[MRL_ENVIRONMENT_DIM];
    for (size_t j = 0; j < d; j++) {
      own[j] = out[i + j * sim->n_all];
    }
    for (size_t j = 0; j < d; j++) {
      double sum = 0;
      for (size_t k = 0; k < d; k++) {
        sum += own[k] * root[k + j * d];
      }
      out[i + j * sim->n_all] = sum;
    }
  }
}

static double dot_row(const double *row, size_t stride, const double *coef, size_t d)
{
  double sum = 0;
  for (size_t j = 0; j < d; j++) {
    sum += row[j * stride] * coef[j];
  }
  return sum;
}

static void draw_confounder(const simulation *sim, size_t chunk, size_t row, size_t count)
{
  const mrl_sim_environment_settings *s = sim->settings;
  for (size_t j = 0; j < s->dim_h; j++) {
    double *h = sim->out->h + row + j * sim->n_all;
    mrl_rng rng = stream(sim, COLUMN_H + j, chunk);
    mrl_rng_fill_normal(&rng, h, count);
    for (size_t i = 0; i < count; i++) {
      h[i] += s->shift[sim->env];
    }
  }
}

/* mrl_chunk_job: first counts from the environment's own first row. */
static void draw_rows(const void *data, size_t chunk, size_t first, size_t count)
{
  const simulation *sim = data;
  const mrl_sim_environment_settings *s = sim->settings;
  const mrl_sim_environment *out = sim->out;
  const size_t n = sim->n_all, row = sim->start + first;
  const double *eta = s->eta + sim->env * s->dim_h * s->dim_v;
  draw_confounder(sim, chunk, row, count);
  draw_block(sim, out->v + row, COLUMN_V, s->dim_v, s->root_v, chunk, count);
  draw_block(sim, out->w + row, COLUMN_W, s->dim_w, s->root_w, chunk, count);
  mrl_rng rng = stream(sim, COLUMN_X, chunk);
  mrl_rng_fill_normal(&rng, out->noise_x + row, count);
  rng = stream(sim, COLUMN_Y, chunk);
  mrl_rng_fill_normal(&rng, out->noise_y + row, count);
  for (size_t i = row; i < row + count; i++) {
    for (size_t j = 0; j < s->dim_v; j++) {
      out->v[i + j * n] += dot_row(out->h + i, n, eta + j * s->dim_h, s->dim_h);
    }
    out->x[i] = dot_row(out->v + i, n, s->beta_v, s->dim_v) +
                dot_row(out->w + i, n, s->beta_w, s->dim_w) +
                dot_row(out->h + i, n, s->alpha_x, s->dim_h) + out->noise_x[i];
    out->y[i] =
        s->theta * out->x[i] + dot_row(out->h + i, n, s->alpha_y, s->dim_h) + out->noise_y[i];
  }
}

mrl_status mrl_sim_environment_run(mrl_sim_environment *out,
                                   const mrl_sim_environment_settings *settings, const mrl_ctx *ctx)
{
  const mrl_sim_environment_settings *s = settings;
  if (s->n_env < 1 || s->n_env > MRL_ENVIRONMENT_MOST || s->dim_v > MRL_ENVIRONMENT_DIM ||
      s->dim_w > MRL_ENVIRONMENT_DIM || s->dim_h > MRL_ENVIRONMENT_DIM || s->law >= MRL_N_LATENT) {
    return MRL_BAD_ARGUMENT;
  }
  simulation sim = {out, settings, 0, 0, 0};
  for (size_t e = 0; e < s->n_env; e++) {
    sim.n_all += (size_t)s->n[e];
  }
  for (sim.env = 0; sim.env < s->n_env; sim.env++) {
    mrl_each_chunk((size_t)s->n[sim.env], draw_rows, &sim, ctx);
    sim.start += (size_t)s->n[sim.env];
  }
  return MRL_OK;
}

size_t mrl_n_monomial(size_t d, int degree)
{
  size_t count = 1; /* choose(d + k, k) of each degree k: an exact division at every step */
  for (int k = 1; k <= degree; k++) {
    count = count * (d + (size_t)k) / (size_t)k;
    if (count > MRL_MIX_WIDTH) {
      return 0;
    }
  }
  return count;
}

size_t mrl_mix_width(size_t d, const mrl_mixing *mixing)
{
  size_t width = mixing->degree > 0 ? mrl_n_monomial(d, mixing->degree) : d;
  for (size_t l = 0; l < mixing->n_layer && width > 0; l++) {
    width =
        mixing->width[l] > 0 && mixing->width[l] <= MRL_MIX_WIDTH ? (size_t)mixing->width[l] : 0;
  }
  return !mixing->ternary ? width : width % 3 == 0 ? width / 3 : 0;
}

/* Monomials by degree: those of degree k are each variable times those of degree k - 1 whose
 * variables do not come before it. */
static size_t monomials(double *out, const double *x, size_t d, int degree)
{
  size_t start[MRL_ENVIRONMENT_DIM * 2 + 1]; /* where the last degree's, led by variable j, begin */
  size_t used = 1, end = 1;
  out[0] = 1;
  for (size_t j = 0; j < d; j++) {
    start[j] = 0;
  }
  for (int k = 1; k <= degree; k++) {
    for (size_t j = 0; j < d; j++) {
      const size_t from = start[j];
      start[j] = used;
      for (size_t i = from; i < end; i++) {
        out[used++] = x[j] * out[i];
      }
    }
    end = used;
  }
  return used;
}

static void affine(double *out, const double *in, size_t n_in, size_t n_out, const double *weights,
                   const double *bias)
{
  for (size_t j = 0; j < n_out; j++) {
    double sum = bias ? bias[j] : 0;
    for (size_t i = 0; i < n_in; i++) {
      sum += in[i] * weights[i + j * n_in];
    }
    out[j] = sum;
  }
}

typedef struct {
  double *z;
  const double *latent;
  size_t n, d, width;
  const mrl_mixing *mixing;
} mix_job;

static double place_of_greatest(const double *three)
{
  const int second = three[1] > three[0];
  return three[2] > three[second] ? 2 : second;
}

/* mrl_chunk_job */
static void mix_rows(const void *data, size_t chunk, size_t first, size_t count)
{
  const mix_job *job = data;
  const mrl_mixing *g = job->mixing;
  (void)chunk;
  for (size_t i = first; i < first + count; i++) {
    double even[MRL_MIX_WIDTH], odd[MRL_MIX_WIDTH], row[2 * MRL_ENVIRONMENT_DIM];
    double *in = even, *out = odd;
    size_t width = job->d;
    for (size_t j = 0; j < job->d; j++) {
      in[j] = row[j] = job->latent[i + j * job->n];
    }
    if (g->degree > 0) {
      width = monomials(in, row, job->d, g->degree);
    }
    for (size_t l = 0; l < g->n_layer; l++) {
      for (size_t j = 0; l > 0 && j < width; j++) {
        in[j] = in[j] < 0 ? g->slope * in[j] : in[j];
      }
      affine(out, in, width, (size_t)g->width[l], g->weights[l], g->bias[l]);
      width = (size_t)g->width[l];
      double *swap = in;
      in = out;
      out = swap;
    }
    for (size_t j = 0; j < job->width; j++) {
      job->z[i + j * job->n] = g->ternary ? place_of_greatest(in + 3 * j) : in[j];
    }
  }
}

/* Mean and variance in two passes. */
static double column_sd(const double *z, size_t n)
{
  double mean = 0, square = 0;
  for (size_t i = 0; i < n; i++) {
    mean += z[i];
  }
  mean /= (double)n;
  for (size_t i = 0; i < n; i++) {
    square += (z[i] - mean) * (z[i] - mean);
  }
  return sqrt(square / (double)n);
}

typedef struct {
  double *z;
  double sd;
  uint64_t seed;
  size_t column;
} noise_job;

/* mrl_chunk_job */
static void add_noise(const void *data, size_t chunk, size_t first, size_t count)
{
  const noise_job *job = data;
  mrl_rng rng = mrl_chunk_stream(job->seed, MRL_RNG_SIM_ENVIRONMENT, COLUMN_Z + job->column, chunk);
  for (size_t i = first; i < first + count; i++) {
    job->z[i] += job->sd * mrl_rng_normal(&rng);
  }
}

mrl_status mrl_mix(double *z, const double *latent, size_t n, size_t d, const mrl_mixing *mixing,
                   const mrl_ctx *ctx)
{
  const size_t width = mrl_mix_width(d, mixing);
  if (width == 0 || d > 2 * MRL_ENVIRONMENT_DIM || n < 1) {
    return MRL_BAD_ARGUMENT;
  }
  const mix_job job = {z, latent, n, d, width, mixing};
  mrl_each_chunk(n, mix_rows, &job, ctx);
  for (size_t j = 0; j < width; j++) {
    const double sd = column_sd(z + j * n, n);
    if (!isfinite(sd)) {
      return MRL_NOT_FINITE;
    }
    if (mixing->noise > 0) {
      const noise_job noise = {z + j * n, mixing->noise * sd, mixing->seed, j};
      mrl_each_chunk(n, add_noise, &noise, ctx);
    }
    mrl_poll(ctx);
  }
  return MRL_OK;
}
