#include "bed_dot.h"

#include <string.h>

/* As gemm.c: gcc for Windows does not align the stack for wide registers. */
#if defined(__GNUC__) && defined(__x86_64__) && (!defined(_WIN32) || defined(__clang__))
#define DOT_X86 1
#endif

enum {
  TILE_BYTES = 16,   /* people of a tile: 64, whose tables (32 kB) stay in the first-level cache */
  DENSE_PEOPLE = 256 /* 16 kB of a strip */
};

#define KERNEL(name) portable_##name
#define TARGET
#define LEN 2
#include "bed_dot_kernel.h"
#ifdef DOT_X86
#define KERNEL(name) avx2_##name
#define TARGET __attribute__((target("avx2,popcnt")))
#define LEN 4
#include "bed_dot_kernel.h"
#define KERNEL(name) avx512_##name
#define TARGET __attribute__((target("avx512f,popcnt")))
#define LEN 8
#include "bed_dot_kernel.h"
#define CALL(isa, name, ...)                                                                       \
  ((isa) == MRL_ISA_AVX512 ? avx512_##name(__VA_ARGS__)                                            \
   : (isa) == MRL_ISA_AVX2 ? avx2_##name(__VA_ARGS__)                                              \
                           : portable_##name(__VA_ARGS__))
#else
#define CALL(isa, name, ...) ((void)(isa), portable_##name(__VA_ARGS__))
#endif

void mrl_strip_lay(double *strip, size_t stride, const double *x, const uint32_t *rows, size_t n,
                   size_t c)
{
  memset(strip, 0, mrl_strips(c) * 4 * stride * MRL_LANES * sizeof *strip);
  for (size_t j = 0; j < c; j++) {
    double *lane = strip + j / MRL_LANES * 4 * stride * MRL_LANES + j % MRL_LANES;
    for (size_t i = 0; i < n; i++) {
      lane[(rows ? rows[i] : i) * MRL_LANES] = x[i + j * n];
    }
  }
}

void mrl_bed_mask(uint64_t *mask, size_t stride, const uint32_t *rows, size_t n)
{
  uint8_t *byte = (uint8_t *)mask;
  memset(mask, 0, mrl_bed_words(stride) * sizeof *mask);
  for (size_t i = 0; i < n; i++) {
    const size_t at = rows ? rows[i] : i;
    byte[at / 4] = (uint8_t)(byte[at / 4] | 1u << (2 * (at % 4)));
  }
}

void mrl_bed_tally(double *count, const uint8_t *packed, size_t stride, const uint64_t *mask,
                   size_t m, mrl_isa isa)
{
  isa = mrl_isa_usable(isa);
  for (size_t j = 0; j < m; j++) {
    size_t found[MRL_BED_N_CODES] = {0};
    CALL(isa, tally, found, packed + j * stride, stride, mask);
    for (size_t k = 0; k < MRL_BED_N_CODES; k++) {
      count[MRL_BED_N_CODES * j + k] = (double)found[k];
    }
  }
}

size_t mrl_bed_dot_scratch(void)
{
  return TILE_BYTES * 32 * MRL_LANES * sizeof(double) + MRL_ALIGN;
}

void mrl_bed_dot(double *dot, const uint8_t *packed, size_t stride, const double *strip, size_t c,
                 size_t m, void *scratch, mrl_isa isa)
{
  const size_t ld = mrl_strips(c);
  mrl_arena arena = mrl_arena_over(scratch, mrl_bed_dot_scratch());
  double *table = MRL_TAKE(&arena, double, TILE_BYTES * 32 * MRL_LANES);
  isa = mrl_isa_usable(isa);
  memset(dot, 0, m * ld * MRL_LANES * sizeof *dot);
  for (size_t s = 0; s < ld; s++) {
    const double *x = strip + s * 4 * stride * MRL_LANES;
    for (size_t from = 0; from < stride; from += TILE_BYTES) {
      const size_t bytes = stride - from < TILE_BYTES ? stride - from : TILE_BYTES;
      CALL(isa, fill, (void *)table, (const void *)(x + 4 * from * MRL_LANES), 2 * bytes);
      CALL(isa, look_up, (void *)(dot + s * MRL_LANES), ld, packed + from, stride,
           (const void *)table, bytes, m);
    }
  }
}

void mrl_dense_dot(double *dot, const double *g, const double *shift, size_t n, size_t stride,
                   const double *strip, size_t c, size_t m, mrl_isa isa)
{
  const size_t ld = mrl_strips(c);
  isa = mrl_isa_usable(isa);
  memset(dot, 0, m * ld * MRL_LANES * sizeof *dot);
  for (size_t s = 0; s < ld; s++) {
    const double *x = strip + s * 4 * stride * MRL_LANES;
    for (size_t from = 0; from < n; from += DENSE_PEOPLE) {
      const size_t some = n - from < DENSE_PEOPLE ? n - from : DENSE_PEOPLE;
      CALL(isa, multiply, (void *)(dot + s * MRL_LANES), ld, g + from, n, shift,
           (const void *)(x + from * MRL_LANES), some, m);
    }
  }
}
