/*
 * Time of an epoch of a small net (n = 80,000, 20-128-64-5, batch norm, GELU, five quantiles,
 * AdamW):
 *
 *   gcc -std=gnu11 -O2 -fopenmp -I src/core bench/net.c src/core/{net,net_run,net_step,net_tile}.c
 * \ src/core/{layer,loss,optim,gemm,rng}.c -lm -o bench_net
 *   ./bench_net [threads] [portable | avx2 | avx512]
 *
 * Each number is the median of the epochs after the first.
 */
#define _GNU_SOURCE
#include "net.h"
#include "loss.h"
#include "optim.h"
#include "rng.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { N = 80000, P = 20, Q = 5, EPOCHS = 15 };

static double now(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void *memory(size_t bytes)
{
  void *p = malloc(bytes);
  if (!p) {
    exit(1);
  }
  return p;
}

static int by_size(const void *a, const void *b)
{
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

typedef struct {
  mrl_net net;
  mrl_net_run run;
  mrl_real *params, *statistics, *moments;
  mrl_batch batch;
  size_t *order;
  uint64_t step;
} model;

static const mrl_layer layers[] = {
    {MRL_LAYER_DENSE, 128, MRL_IDENTITY, 0},    {MRL_LAYER_BATCH_NORM, 0, MRL_IDENTITY, 0},
    {MRL_LAYER_ACTIVATION, 0, MRL_GELU, 0},     {MRL_LAYER_DENSE, 64, MRL_IDENTITY, 0},
    {MRL_LAYER_BATCH_NORM, 0, MRL_IDENTITY, 0}, {MRL_LAYER_ACTIVATION, 0, MRL_GELU, 0},
    {MRL_LAYER_DENSE, Q, MRL_IDENTITY, 0}};

static const mrl_optimizer adamw = {MRL_ADAMW, 0, 0.9, 0.999, 1e-8, 1e-4, 0};

static void build(model *m, size_t batch, mrl_isa isa, const mrl_ctx *ctx)
{
  const size_t n_layers = sizeof layers / sizeof layers[0];
  mrl_arena arena = mrl_arena_measure();
  mrl_net_carve(&m->net, &arena, layers, n_layers, P);
  arena = mrl_arena_over(memory(arena.used), arena.used);
  mrl_net_carve(&m->net, &arena, layers, n_layers, P);
  arena = mrl_arena_measure();
  mrl_net_run_carve(&m->run, &arena, &m->net, batch, 1, 0, isa, ctx);
  arena = mrl_arena_over(memory(arena.used), arena.used);
  mrl_net_run_carve(&m->run, &arena, &m->net, batch, 1, 0, isa, ctx);
  m->params = memory(m->net.n_params * sizeof(mrl_real));
  m->moments = calloc(2 * m->net.n_params, sizeof(mrl_real));
  m->statistics = memory(m->net.n_statistics * sizeof(mrl_real));
  m->order = memory(N * sizeof(size_t));
  m->step = 0;
  mrl_net_start(m->params, m->statistics, &m->net, 1);
}

static double epoch(model *m, size_t batch, size_t number, const mrl_ctx *ctx)
{
  mrl_rng rng = mrl_rng_stream(1, MRL_RNG_NET_ORDER, number);
  double total = 0;
  mrl_rng_permutation(&rng, m->order, N);
  for (size_t first = 0; first < N; first += batch) {
    double loss, norm;
    m->batch.row = m->order + first;
    m->batch.n = N - first < batch ? N - first : batch;
    m->batch.step = m->step++;
    if (mrl_net_step(&loss, &m->run, m->params, m->statistics, &m->batch, ctx) != MRL_OK ||
        mrl_optimizer_step(m->params, m->moments, &norm, m->run.gradient, m->net.piece,
                           m->net.n_pieces, m->net.n_params, &adamw, 5e-4, m->step,
                           m->run.isa) != MRL_OK) {
      exit(1);
    }
    total += loss * (double)m->batch.n;
  }
  return total / N;
}

int main(int argc, char **argv)
{
  static const size_t sizes[] = {10000, 256};
  const mrl_ctx ctx = {argc > 1 ? atoi(argv[1]) : 1, NULL, NULL};
  mrl_isa isa = mrl_isa_best();
  for (int i = 0; argc > 2 && i < MRL_N_ISA; i++) {
    isa = strcmp(argv[2], mrl_isa_name((mrl_isa)i)) == 0 ? (mrl_isa)i : isa;
  }
  mrl_real *x = memory((size_t)N * P * sizeof *x), *y = memory(N * sizeof *y), tau[Q];
  mrl_rng rng = mrl_rng_stream(1, MRL_RNG_TEST, 0);
  for (size_t i = 0; i < N; i++) {
    y[i] = (mrl_real)mrl_rng_normal(&rng);
    for (size_t j = 0; j < P; j++) {
      x[i * P + j] = (mrl_real)mrl_rng_normal(&rng);
      y[i] += (mrl_real)0.2 * x[i * P + j];
    }
  }
  for (size_t k = 0; k < Q; k++) {
    tau[k] = (mrl_real)((2.0 * (double)k + 1) / (2.0 * Q));
  }
  const mrl_rows rows = {x, P};
  const mrl_loss loss = {MRL_LOSS_PINBALL, Q, 1, y, NULL, tau, NULL, 0};
  printf("%s, %d thread(s)\n", mrl_isa_name(isa), ctx.n_threads);
  for (size_t s = 0; s < 2; s++) {
    model m = {0};
    double seconds[EPOCHS], value = 0;
    build(&m, sizes[s], isa, &ctx);
    m.batch = (mrl_batch){.mode = MRL_TRAIN,
                          .fill = mrl_fill_rows,
                          .fill_data = &rows,
                          .loss = mrl_loss_tile,
                          .loss_data = &loss};
    for (size_t e = 0; e < EPOCHS; e++) {
      const double start = now();
      value = epoch(&m, sizes[s], e, &ctx);
      seconds[e] = now() - start;
    }
    qsort(seconds + 1, EPOCHS - 1, sizeof(double), by_size);
    printf("batch %zu: %.1f ms per epoch (best %.1f), loss %.5f\n", sizes[s],
           1e3 * seconds[EPOCHS / 2], 1e3 * seconds[1], value);
  }
  return 0;
}
