/*
 * How long it takes to read a .bed file in blocks of 16 MB and to decode it to double, into one
 * block of memory that is used again:
 *
 *   gcc -std=gnu11 -O2 -fopenmp -I src/core bench/associations_decode.c src/core/bed.c -lm -o
 * decode
 *   ./decode file.bed people variants threads        prints seconds
 */
#define _GNU_SOURCE
#include "bed.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double now(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

int main(int argc, char **argv)
{
  if (argc != 5) {
    return 1;
  }
  const size_t n = (size_t)atol(argv[2]), m = (size_t)atol(argv[3]), stride = mrl_bed_stride(n);
  const mrl_ctx ctx = {atoi(argv[4]), NULL, NULL};
  const size_t block = ((size_t)1 << 24) / (stride + 1) + 1, decoded = 64;
  uint8_t *packed = malloc(block * stride);
  double *g = calloc(decoded * n, sizeof *g);
  FILE *file = fopen(argv[1], "rb");
  if (!packed || !g || !file || fseek(file, 3, SEEK_SET)) {
    return 1;
  }
  const double start = now();
  double check = 0;
  for (size_t first = 0; first < m; first += block) {
    const size_t count = m - first < block ? m - first : block;
    if (fread(packed, stride, count, file) != count) {
      return 1;
    }
    for (size_t j = 0; j < count; j += decoded) {
      const size_t some = count - j < decoded ? count - j : decoded;
      mrl_bed_matrix(g, packed + j * stride, stride, NULL, n, some, 0, &ctx);
      check += g[n * some - 1];
    }
  }
  printf("%.6f %g\n", now() - start, check);
  return 0;
}
