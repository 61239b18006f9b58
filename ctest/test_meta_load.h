/* Data sets drawn and loaded into a meta-analytic model, for the core tests of both. */
#ifndef TEST_META_LOAD_H
#define TEST_META_LOAD_H

#include "ctest.h"

#include <stdlib.h>
#include <string.h>

#include "../src/core/meta_model.h"
#include "../src/core/rng.h"

static const mrl_ctx alone = {1, NULL, NULL};

typedef struct {
  mrl_meta_model model;
  void *memory;
} loaded;

static inline loaded load(const double *y, const double *se, const double *x, size_t k, size_t p)
{
  loaded out;
  memset(&out, 0, sizeof out);
  mrl_arena arena = mrl_arena_measure();
  mrl_meta_carve(&out.model, k, p, &arena);
  out.memory = malloc(arena.used);
  arena = mrl_arena_over(out.memory, arena.used);
  mrl_meta_carve(&out.model, k, p, &arena);
  out.model.p = p > 0 ? p : 1;
  out.model.ctx = &alone;
  CHECK(!arena.failed);
  CHECK(mrl_meta_load(&out.model, y, se, x, k, 1) == MRL_OK);
  return out;
}

static inline void draw(double *y, double *se, double *x, size_t k, uint64_t item)
{
  mrl_rng rng = mrl_rng_stream(7, MRL_RNG_TEST, item);
  for (size_t i = 0; i < k; i++) {
    se[i] = exp(mrl_rng_normal(&rng));
    y[i] = 3 + 2 * mrl_rng_normal(&rng) + se[i] * mrl_rng_normal(&rng);
    if (x) {
      x[i] = 1;
      x[i + k] = mrl_rng_normal(&rng);
    }
  }
}

#endif
