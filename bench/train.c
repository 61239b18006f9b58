/*
 * Our side of bench/train.R, the same work as bench/torch_train.py: stage 1 of Quantile IV,
 * 20-128-64-5 with batch norm, trained by mrl_train_run().
 *
 *   gcc -std=gnu11 -O2 -fopenmp -I src/core bench/train.c src/core/train.c src/core/train_state.c
 *     src/core/net*.c src/core/layer.c src/core/loss.c src/core/optim.c src/core/gemm.c
 *     src/core/rng.c -lm -o bench_train
 *   ./bench_train data.bin threads batch gelu|softplus epochs [portable | avx2 | avx512]
 *
 * data.bin: 80,000 rows of 20 inputs, then 80,000 outcomes, floats. Prints one line "epoch seconds
 * loss" for each epoch.
 */
#define _GNU_SOURCE
#include "loss.h"
#include "train.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { N = 80000, INPUTS = 20, QUANTILES = 5 };

static double now(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void stop(const char *why)
{
  fprintf(stderr, "%s\n", why);
  exit(1);
}

static void *memory(size_t bytes)
{
  void *p = malloc(bytes);
  if (!p) {
    stop("no memory");
  }
  return p;
}

static float *read_data(const char *path)
{
  const size_t count = (size_t)N * (INPUTS + 1);
  float *x = memory(count * sizeof *x);
  FILE *file = fopen(path, "rb");
  if (!file || fread(x, sizeof *x, count, file) != count) {
    stop("the data are not 80,000 rows of 20 inputs and an outcome");
  }
  fclose(file);
  return x;
}

static mrl_isa isa_named(const char *name)
{
  for (int isa = 0; isa < MRL_N_ISA; isa++) {
    if (strcmp(name, mrl_isa_name((mrl_isa)isa)) == 0) {
      return mrl_isa_usable((mrl_isa)isa);
    }
  }
  return mrl_isa_best();
}

/* The net and its training, laid out over memory that lasts to the end. */
static void build(mrl_train *train, mrl_net *net, mrl_activation act, const mrl_task *task,
                  const mrl_train_settings *settings, mrl_isa isa, const mrl_ctx *ctx)
{
  const mrl_layer layers[] = {{MRL_LAYER_DENSE, 128, MRL_IDENTITY, 0, 0},
                              {MRL_LAYER_BATCH_NORM, 0, MRL_IDENTITY, 0, 0},
                              {MRL_LAYER_ACTIVATION, 0, act, 0, 0},
                              {MRL_LAYER_DENSE, 64, MRL_IDENTITY, 0, 0},
                              {MRL_LAYER_BATCH_NORM, 0, MRL_IDENTITY, 0, 0},
                              {MRL_LAYER_ACTIVATION, 0, act, 0, 0},
                              {MRL_LAYER_DENSE, QUANTILES, MRL_IDENTITY, 0, 0}};
  const size_t n_layers = sizeof layers / sizeof layers[0];
  mrl_arena arena = mrl_arena_measure();
  mrl_net_carve(net, &arena, layers, n_layers, INPUTS);
  arena = mrl_arena_over(memory(arena.used), arena.used);
  if (mrl_net_carve(net, &arena, layers, n_layers, INPUTS) != MRL_OK) {
    stop("the net was refused");
  }
  arena = mrl_arena_measure();
  mrl_train_carve(train, &arena, net, task, settings, isa, ctx);
  arena = mrl_arena_over(memory(arena.used), arena.used);
  if (mrl_train_carve(train, &arena, net, task, settings, isa, ctx) != MRL_OK) {
    stop("the training was refused");
  }
}

int main(int argc, char **argv)
{
  if (argc < 6) {
    stop("usage: bench_train data.bin threads batch gelu|softplus epochs [instruction set]");
  }
  const mrl_ctx ctx = {atoi(argv[2]), NULL, NULL};
  const size_t epochs = (size_t)atoi(argv[5]);
  const mrl_activation act = strcmp(argv[4], "gelu") == 0 ? MRL_GELU : MRL_SOFTPLUS;
  const float *data = read_data(argv[1]);
  size_t *row = memory(N * sizeof *row);
  mrl_real tau[QUANTILES];
  for (size_t i = 0; i < N; i++) {
    row[i] = i;
  }
  for (size_t k = 0; k < QUANTILES; k++) {
    tau[k] = ((mrl_real)k + (mrl_real)0.5) / QUANTILES;
  }
  const mrl_rows inputs = {data, INPUTS};
  const mrl_loss loss = {
      MRL_LOSS_PINBALL, QUANTILES, 1, data + (size_t)N * INPUTS, NULL, tau, NULL, 0};
  const mrl_task task = {.train = row,
                         .n_train = N,
                         .group = 1,
                         .fill = mrl_fill_rows,
                         .fill_data = &inputs,
                         .loss = mrl_loss_tile,
                         .loss_data = &loss};
  const mrl_train_settings settings = {.epochs = epochs,
                                       .batch = (size_t)atoi(argv[3]),
                                       .rate = 1e-3,
                                       .optimizer = {MRL_ADAM, 0, 0.9, 0.999, 1e-8, 0, 0},
                                       .schedule = {MRL_CONSTANT, 0, 0, 0},
                                       .seed = 1};
  mrl_net net;
  mrl_train train;
  build(&train, &net, act, &task, &settings, isa_named(argc > 6 ? argv[6] : ""), &ctx);
  mrl_train_start(&train);
  for (size_t e = 0; e < epochs; e++) {
    const double start = now();
    const mrl_status status = mrl_train_run(&train, e + 1, &ctx);
    if (status != MRL_OK && status != MRL_NO_CONVERGE) {
      stop("the training failed");
    }
    printf("%zu %.9g %.9g\n", e, now() - start, train.history[e].train);
  }
  return 0;
}
