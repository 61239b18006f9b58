/* Data and fits for the tests of neural IV. */
#ifndef NEURAL_H
#define NEURAL_H

#include "ctest.h"
#include "iv_boot.h"
#include "iv_neural.h"
#include "rng.h"

#include <stdlib.h>
#include <string.h>

enum { N = 600, N_Z = 3, N_W = 2, N_CLUSTERS = 150 };

/* An exposure whose spread depends on the instruments, confounded; a curved outcome. */
typedef struct {
  double y[N], binary[N], x[N], z[N_Z][N], w[N_W][N], weights[N];
  int cluster[N];
  const double *z_col[N_Z], *w_col[N_W];
} neural_data;

static inline void neural_draw(neural_data *d, uint64_t seed)
{
  mrl_rng rng = mrl_rng_stream(seed, MRL_RNG_TEST, 0);
  for (size_t i = 0; i < N; i++) {
    const double u = mrl_rng_normal(&rng);
    double x = 0.5 * u, spread = 0.6;
    for (size_t j = 0; j < N_Z; j++) {
      d->z[j][i] = mrl_rng_genotype(&rng, 0.4);
      x += (0.3 + 0.2 * (double)j) * d->z[j][i];
      spread += 0.1 * d->z[j][i];
    }
    for (size_t j = 0; j < N_W; j++) {
      d->w[j][i] = mrl_rng_normal(&rng);
      x += 0.2 * d->w[j][i];
    }
    d->x[i] = x + spread * mrl_rng_normal(&rng);
    const double g = 0.4 * d->x[i] * d->x[i] - 0.5 * d->w[0][i];
    d->y[i] = g - u + 0.5 * mrl_rng_normal(&rng);
    d->binary[i] = mrl_rng_uniform(&rng) < 1 / (1 + exp(1 - g));
    d->weights[i] = 1 + (double)(i % 3);
    d->cluster[i] = (int)(i % N_CLUSTERS) + 1;
  }
  for (size_t j = 0; j < N_Z; j++) {
    d->z_col[j] = d->z[j];
  }
  for (size_t j = 0; j < N_W; j++) {
    d->w_col[j] = d->w[j];
  }
}

static inline mrl_iv_sample neural_sample(const neural_data *d, int weighted, int clustered)
{
  const mrl_iv_sample sample = {.y = d->y,
                                .x = d->x,
                                .z = d->z_col,
                                .w = d->w_col,
                                .weights = weighted ? d->weights : NULL,
                                .cluster = clustered ? d->cluster : NULL,
                                .n = N,
                                .n_z = N_Z,
                                .n_w = N_W};
  return sample;
}

static const int neural_hidden[2] = {8, 6};

static inline mrl_ivn_settings neural_settings(mrl_first_kind kind)
{
  const mrl_mlp mlp = {.hidden = neural_hidden,
                       .n_hidden = 2,
                       .activation = MRL_SOFTPLUS,
                       .batch_norm = 1,
                       .dropout = 0.05};
  const mrl_train_settings train = {.epochs = 5,
                                    .batch = 64,
                                    .rate = 0.01,
                                    .optimizer = {MRL_ADAMW, 0.9, 0.9, 0.999, 1e-8, 1e-4, 1}};
  const mrl_ivn_settings settings = {.first = {.kind = kind,
                                               .parts = kind == MRL_FIRST_QUANTILE  ? 5
                                                        : kind == MRL_FIRST_MIXTURE ? 3
                                                                                    : 1,
                                               .matched = 1,
                                               .non_crossing = 1,
                                               .ridge = NAN,
                                               .mlp = mlp},
                                     .second = mlp,
                                     .train = train,
                                     .n_draws = 2,
                                     .refit = 1,
                                     .cross_fit = 1,
                                     .boot_epochs = 2,
                                     .boot_rate = 0.1,
                                     .n_valid = {120, 120},
                                     .seed = 11,
                                     .isa = mrl_isa_best()};
  return settings;
}

/* As above with nets that are linear. */
static inline mrl_ivn_settings neural_linear(mrl_first_kind kind)
{
  mrl_ivn_settings settings = neural_settings(kind);
  settings.first.mlp.n_hidden = settings.second.n_hidden = 0;
  return settings;
}

/* Memory filled with what is no number, so that what is not set shows. */
static inline void *neural_bytes(size_t n)
{
  void *memory = malloc(n + 1);
  if (!memory) {
    abort();
  }
  memset(memory, 0xff, n + 1);
  return memory;
}

typedef struct {
  mrl_ivn_nets nets;
  mrl_ivn ivn;
  void *net_memory, *memory;
} neural_fit;

static inline void *neural_nets(mrl_ivn_nets *nets, const mrl_ivn_settings *s)
{
  mrl_arena arena = mrl_arena_measure();
  CHECK(mrl_ivn_nets_carve(nets, &arena, s, N_Z, N_W) == MRL_OK);
  void *memory = neural_bytes(arena.used);
  arena = mrl_arena_over(memory, arena.used);
  CHECK(mrl_ivn_nets_carve(nets, &arena, s, N_Z, N_W) == MRL_OK);
  mrl_ivn_nets_start(nets);
  return memory;
}

/* Carved and started; NULL with *status otherwise. */
static inline neural_fit *neural_start(mrl_status *status, const mrl_iv_sample *one,
                                       const mrl_iv_sample *two, const mrl_ivn_settings *s,
                                       const mrl_ctx *ctx)
{
  neural_fit *fit = neural_bytes(sizeof *fit);
  mrl_arena arena = mrl_arena_measure();
  fit->net_memory = neural_nets(&fit->nets, s);
  fit->memory = NULL;
  *status = mrl_ivn_carve(&fit->ivn, &arena, &fit->nets, one, two, s, ctx);
  if (*status == MRL_OK) {
    fit->memory = neural_bytes(arena.used);
    arena = mrl_arena_over(fit->memory, arena.used);
    *status = mrl_ivn_carve(&fit->ivn, &arena, &fit->nets, one, two, s, ctx);
  }
  if (*status == MRL_OK) {
    *status = mrl_ivn_start(&fit->ivn, ctx);
  }
  return fit;
}

static inline void neural_free(neural_fit *fit)
{
  free(fit->net_memory);
  free(fit->memory);
  free(fit);
}

static inline neural_fit *neural_run(const mrl_iv_sample *one, const mrl_iv_sample *two,
                                     const mrl_ivn_settings *s, int n_threads)
{
  const mrl_ctx ctx = {n_threads, NULL, NULL};
  mrl_status status;
  neural_fit *fit = neural_start(&status, one, two, s, &ctx);
  CHECK(status == MRL_OK);
  CHECK(mrl_ivn_run(&fit->ivn, SIZE_MAX, &ctx) == MRL_OK);
  CHECK(fit->ivn.at == fit->ivn.n_stages);
  return fit;
}

static inline size_t neural_terms(const neural_fit *fit)
{
  return mrl_basis_terms(&fit->nets.basis);
}

/* Two fits to the same bits. */
static inline int neural_same(const neural_fit *a, const neural_fit *b)
{
  int same = memcmp(a->ivn.theta, b->ivn.theta, neural_terms(a) * sizeof(double)) == 0;
  same = same && memcmp(a->ivn.y_hat, b->ivn.y_hat, N * sizeof(double)) == 0;
  same = same && memcmp(a->ivn.x_hat, b->ivn.x_hat, N * sizeof(double)) == 0;
  for (size_t s = 0; s < a->ivn.n_stages; s++) {
    const mrl_ivn_stage *p = a->ivn.stage + s, *q = b->ivn.stage + s;
    same = same && p->progress.epoch == q->progress.epoch;
    if (p->progress.epoch > 0) {
      same = same && memcmp(p->params, q->params,
                            mrl_ivn_net(&a->ivn, s)->n_params * sizeof *p->params) == 0;
    }
  }
  return same;
}

/* out (p): weighted least squares of y on the columns (p) of n numbers, by elimination. */
static inline void neural_least_squares(double *out, const double *const *column, const double *y,
                                        const double *weight, size_t n, size_t p)
{
  double *a = malloc(p * p * sizeof *a);
  for (size_t j = 0; j < p; j++) {
    out[j] = 0;
    for (size_t l = 0; l < p; l++) {
      a[l + j * p] = 0;
    }
    for (size_t i = 0; i < n; i++) {
      const double w = weight ? weight[i] : 1;
      out[j] += w * column[j][i] * y[i];
      for (size_t l = 0; l < p; l++) {
        a[l + j * p] += w * column[j][i] * column[l][i];
      }
    }
  }
  for (size_t k = 0; k < p; k++) {
    for (size_t i = 0; i < p; i++) {
      const double f = i == k ? 0 : a[i + k * p] / a[k + k * p];
      for (size_t j = k; j < p && f != 0; j++) {
        a[i + j * p] -= f * a[k + j * p];
      }
      out[i] -= f * out[k];
    }
  }
  for (size_t k = 0; k < p; k++) {
    out[k] /= a[k + k * p];
  }
  free(a);
}

#endif
