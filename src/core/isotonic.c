#include "isotonic.h"

#include "arena.h"

#include <math.h>

/* A run of equal numbers: their weighted mean and total weight, up to `end`. */
typedef struct {
  double mean, weight;
  size_t end;
} block;

size_t mrl_isotonic_scratch(size_t n)
{
  mrl_arena arena = mrl_arena_measure();
  MRL_TAKE(&arena, block, n);
  return arena.failed ? SIZE_MAX : arena.used;
}

/* Joins the last block to the one before it while they are out of order. Returns how many remain.
 * Of equal means, too: fewer blocks, the same fit. */
static size_t pool(block *blocks, size_t n)
{
  while (n > 1 && blocks[n - 2].mean >= blocks[n - 1].mean) {
    block *into = &blocks[n - 2];
    const block last = blocks[n - 1];
    const double total = into->weight + last.weight;
    into->mean += (last.mean - into->mean) * (last.weight / total);
    into->weight = total;
    into->end = last.end;
    n--;
  }
  return n;
}

mrl_status mrl_isotonic(double *fit, const double *y, const double *weight, size_t n, void *scratch)
{
  mrl_arena arena = mrl_arena_over(scratch, mrl_isotonic_scratch(n));
  block *blocks = MRL_TAKE(&arena, block, n);
  size_t n_blocks = 0;
  for (size_t i = 0; i < n; i++) {
    const block one = {y[i], weight ? weight[i] : 1, i + 1};
    if (!isfinite(one.mean)) {
      return MRL_NOT_FINITE;
    }
    if (!(one.weight > 0)) {
      return MRL_BAD_ARGUMENT;
    }
    blocks[n_blocks] = one;
    n_blocks = pool(blocks, n_blocks + 1);
  }
  for (size_t b = 0, i = 0; b < n_blocks; b++) {
    for (; i < blocks[b].end; i++) {
      fit[i] = blocks[b].mean;
    }
  }
  return MRL_OK;
}
