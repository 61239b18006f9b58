#include "bed_gram.h"

#include <string.h>

/* gcc for Windows does not align the stack for wide registers that it spills (gcc bug 54412). */
#if defined(__GNUC__) && defined(__x86_64__) && (!defined(_WIN32) || defined(__clang__))
#define BED_X86 1
#include <immintrin.h>
#endif

enum {
  TILE_A = 4, /* 4 x 2 pairs: two counters each, and their planes, in 32 registers */
  TILE_B = 2,
  PANEL = 64,           /* variants of b (256 kB) that stay in the second-level cache */
  REGION_PAIRS = 400000 /* between two polls, of 10 to 200 ns each */
};

typedef void (*tile_kernel)(int64_t *sum, const uint64_t *const *a, const uint64_t *const *b,
                            size_t words);
typedef struct {
  tile_kernel both_known, one_missing, both_missing;
} tile_table;

static inline uint64_t count_bits(uint64_t x)
{
  x -= x >> 1 & UINT64_C(0x5555555555555555);
  x = (x & UINT64_C(0x3333333333333333)) + (x >> 2 & UINT64_C(0x3333333333333333));
  x = (x + (x >> 4)) & UINT64_C(0x0f0f0f0f0f0f0f0f);
  return x * UINT64_C(0x0101010101010101) >> 56;
}

#define KERNEL(name) portable_##name
#define TARGET
#define VEC uint64_t
#define LOAD(p) (*(p))
#define AND(a, b) ((a) & (b))
#define XOR(a, b) ((a) ^ (b))
#define TALLY int64_t
#define NO_TALLY 0
#define TALLY_LESS_TWICE(t, a, b) ((t) += (int64_t)count_bits(a) - 2 * (int64_t)count_bits(b))
#define TALLY_SUM(t, steps) (t)
#include "bed_gram_kernel.h"

#ifdef BED_X86
/*
 * AVX2 has no counting instruction: half bytes are looked up, and bytes summed. The table for b
 * holds 8 less twice the bits, so that a step adds 16 to each of 32 bytes, and nothing is negative.
 */
#define AVX2_TARGET __attribute__((target("avx2")))
AVX2_TARGET static inline __m256i avx2_less_twice(__m256i a, __m256i b)
{
  const __m256i low = _mm256_set1_epi8(15);
  const __m256i add = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, 0, 1, 1, 2,
                                       1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
  const __m256i take = _mm256_setr_epi8(8, 6, 6, 4, 6, 4, 4, 2, 6, 4, 4, 2, 4, 2, 2, 0, 8, 6, 6, 4,
                                        6, 4, 4, 2, 6, 4, 4, 2, 4, 2, 2, 0);
  const __m256i of_a =
      _mm256_add_epi8(_mm256_shuffle_epi8(add, _mm256_and_si256(a, low)),
                      _mm256_shuffle_epi8(add, _mm256_and_si256(_mm256_srli_epi32(a, 4), low)));
  const __m256i of_b =
      _mm256_add_epi8(_mm256_shuffle_epi8(take, _mm256_and_si256(b, low)),
                      _mm256_shuffle_epi8(take, _mm256_and_si256(_mm256_srli_epi32(b, 4), low)));
  return _mm256_sad_epu8(_mm256_add_epi8(of_a, of_b), _mm256_setzero_si256());
}

AVX2_TARGET static inline int64_t avx2_sum(__m256i x, size_t steps)
{
  int64_t part[4];
  _mm256_storeu_si256((__m256i *)part, x);
  return part[0] + part[1] + part[2] + part[3] - (int64_t)(16 * 32 * steps);
}

#define KERNEL(name) avx2_##name
#define TARGET AVX2_TARGET
#define VEC __m256i
#define LOAD(p) _mm256_loadu_si256((const __m256i *)(p))
#define AND(a, b) _mm256_and_si256(a, b)
#define XOR(a, b) _mm256_xor_si256(a, b)
#define TALLY __m256i
#define NO_TALLY _mm256_setzero_si256()
#define TALLY_LESS_TWICE(t, a, b) ((t) = _mm256_add_epi64(t, avx2_less_twice(a, b)))
#define TALLY_SUM(t, steps) avx2_sum(t, steps)
#include "bed_gram_kernel.h"

typedef struct {
  __m512i once, twice;
} avx512_tally;

#define KERNEL(name) avx512_##name
#define TARGET __attribute__((target("avx512f,avx512vpopcntdq")))
#define VEC __m512i
#define LOAD(p) _mm512_loadu_si512((const void *)(p))
#define AND(a, b) _mm512_and_si512(a, b)
#define XOR(a, b) _mm512_xor_si512(a, b)
#define TALLY avx512_tally
#define NO_TALLY ((avx512_tally){_mm512_setzero_si512(), _mm512_setzero_si512()})
#define TALLY_LESS_TWICE(t, a, b)                                                                  \
  ((t).once = _mm512_add_epi64((t).once, _mm512_popcnt_epi64(a)),                                  \
   (t).twice = _mm512_add_epi64((t).twice, _mm512_popcnt_epi64(b)))
#define TALLY_SUM(t, steps)                                                                        \
  (_mm512_reduce_add_epi64((t).once) - 2 * _mm512_reduce_add_epi64((t).twice))
#include "bed_gram_kernel.h"
#endif

static const tile_table *tiles_for(mrl_isa isa)
{
#ifdef BED_X86
  const mrl_isa usable = mrl_isa_usable(isa);
  if (usable == MRL_ISA_AVX512 && __builtin_cpu_supports("avx512vpopcntdq")) {
    return &avx512_table;
  }
  if (usable != MRL_ISA_PORTABLE) {
    return &avx2_table;
  }
#endif
  (void)isa;
  return &portable_table;
}

/* The even bits of a word, side by side. */
static inline uint64_t gather_even(uint64_t x)
{
  x &= UINT64_C(0x5555555555555555);
  x = (x | x >> 1) & UINT64_C(0x3333333333333333);
  x = (x | x >> 2) & UINT64_C(0x0f0f0f0f0f0f0f0f);
  x = (x | x >> 4) & UINT64_C(0x00ff00ff00ff00ff);
  x = (x | x >> 8) & UINT64_C(0x0000ffff0000ffff);
  return (x | x >> 16) & UINT64_C(0x00000000ffffffff);
}

/* Up to 64 people's codes as low and high bits. */
typedef struct {
  uint64_t low, high;
} code_bits;

static code_bits first_codes(const uint8_t *packed, size_t first, size_t count)
{
  uint64_t word[2] = {0, 0};
  memcpy(word, packed + first / 4, (count + 3) / 4);
  const code_bits out = {gather_even(word[0]) | gather_even(word[1]) << 32,
                         gather_even(word[0] >> 1) | gather_even(word[1] >> 1) << 32};
  return out;
}

static code_bits chosen_codes(const uint8_t *packed, const uint32_t *rows, size_t count)
{
  code_bits out = {0, 0};
  for (size_t i = 0; i < count; i++) {
    const uint64_t code = mrl_bed_code(packed, rows[i]);
    out.low |= (code & 1) << i;
    out.high |= code >> 1 << i;
  }
  return out;
}

/* The planes of one variant; how many people have no genotype. */
static uint32_t lay_variant(uint64_t *planes, const uint8_t *packed, const uint32_t *rows, size_t n)
{
  const size_t words = mrl_bed_words(n);
  uint32_t missing = 0;
  memset(planes, 0, MRL_BED_PLANES * words * sizeof *planes);
  for (size_t k = 0; 64 * k < n; k++) {
    const size_t left = n - 64 * k, count = left < 64 ? left : 64;
    const uint64_t valid = count < 64 ? (UINT64_C(1) << count) - 1 : ~UINT64_C(0);
    const code_bits code =
        rows ? chosen_codes(packed, rows + 64 * k, count) : first_codes(packed, 64 * k, count);
    planes[k] = ~(code.low ^ code.high) & valid;
    planes[words + k] = code.low & code.high & valid;
    planes[2 * words + k] = code.low & ~code.high & valid;
    missing += (uint32_t)count_bits(planes[2 * words + k]);
  }
  return missing;
}

void mrl_bed_lay_planes(uint64_t *planes, uint32_t *missing, const uint8_t *packed, size_t stride,
                        const uint32_t *rows, size_t n, size_t m, const mrl_ctx *ctx)
{
  const size_t size = MRL_BED_PLANES * mrl_bed_words(n), group = 2048;
  for (size_t from = 0; from < m; from += group) {
    const size_t to = m - from < group ? m : from + group;
#pragma omp parallel for num_threads(mrl_threads_for(ctx, n *(to - from))) schedule(static)
    for (size_t j = from; j < to; j++) {
      missing[j] = lay_variant(planes + j * size, packed + j * stride, rows, n);
    }
    mrl_poll(ctx);
  }
}

/* Some variants of a block: all of them (index NULL), or those numbered. */
typedef struct {
  const mrl_bed_block *block;
  const uint32_t *index;
  size_t count;
} choice;

static size_t chosen(const choice *some, size_t at)
{
  const size_t last = at < some->count ? at : some->count - 1; /* a tile over the edge repeats it */
  return some->index ? some->index[last] : last;
}

static const uint64_t *planes_of(const choice *some, size_t at)
{
  return some->block->planes + chosen(some, at) * MRL_BED_PLANES * some->block->words;
}

/* WHOLE: out (a, b). HALF: a and b are the same, only pairs i <= j are computed and written to both
 * places. IN_TURN: out (b, a). */
typedef enum { WHOLE, HALF, IN_TURN } shape;

/* What is summed for which pairs. */
typedef struct {
  tile_kernel kernel;
  double *out; /* (ld, .) */
  size_t ld;
  choice a, b;
  shape shape;
} job;

static void add_tile(const job *work, size_t first_a, size_t first_b)
{
  const uint64_t *a[TILE_A], *b[TILE_B];
  int64_t sum[TILE_A * TILE_B];
  for (size_t i = 0; i < TILE_A; i++) {
    a[i] = planes_of(&work->a, first_a + i);
  }
  for (size_t j = 0; j < TILE_B; j++) {
    b[j] = planes_of(&work->b, first_b + j);
  }
  work->kernel(sum, a, b, work->a.block->words);
  for (size_t i = 0; i < TILE_A && first_a + i < work->a.count; i++) {
    for (size_t j = 0; j < TILE_B && first_b + j < work->b.count; j++) {
      const size_t at_a = chosen(&work->a, first_a + i), at_b = chosen(&work->b, first_b + j);
      const double add = (double)sum[i * TILE_B + j];
      if (work->shape == WHOLE || (work->shape == HALF && at_a <= at_b)) {
        work->out[at_a + at_b * work->ld] += add;
      }
      if (work->shape == IN_TURN || (work->shape == HALF && at_a < at_b)) {
        work->out[at_b + at_a * work->ld] += add;
      }
    }
  }
}

/* A panel of b against the variants from .. to - 1 of a. */
static void add_panel(const job *work, size_t from, size_t to, size_t panel)
{
  const size_t end = panel + PANEL < work->b.count ? panel + PANEL : work->b.count;
  for (size_t i = from; i < to; i += TILE_A) {
    for (size_t j = panel; j < end; j += TILE_B) {
      if (work->shape != HALF || i <= j + TILE_B - 1) {
        add_tile(work, i, j);
      }
    }
  }
}

/* Threads worth starting for `count` variants of a; a pair costs less than its words. */
static inline int threads_of(const job *work, size_t count, const mrl_ctx *ctx)
{
  return mrl_threads_for(ctx, count * work->b.count * work->a.block->words);
}

static void run(const job *work, const mrl_ctx *ctx)
{
  const size_t panels = (work->b.count + PANEL - 1) / PANEL;
  const size_t step = TILE_A * (1 + REGION_PAIRS / TILE_A / (work->b.count + 1));
  for (size_t from = 0; from < work->a.count; from += step) {
    const size_t to = from + step < work->a.count ? from + step : work->a.count;
#pragma omp parallel for num_threads(threads_of(work, to - from, ctx)) schedule(dynamic)
    for (size_t p = 0; p < panels; p++) {
      add_panel(work, from, to, p * PANEL);
    }
    mrl_poll(ctx);
  }
}

static choice with_missing(uint32_t *index, const mrl_bed_block *block)
{
  choice out = {block, index, 0};
  for (size_t j = 0; j < block->m; j++) {
    if (block->missing[j] > 0) {
      index[out.count++] = (uint32_t)j;
    }
  }
  return out;
}

void mrl_bed_gram_add(mrl_bed_gram *gram, const mrl_bed_block *a, const mrl_bed_block *b,
                      uint32_t *index, mrl_isa isa, const mrl_ctx *ctx)
{
  const tile_table *tiles = tiles_for(isa);
  const int half = b == NULL;
  const mrl_bed_block *other = half ? a : b;
  const choice all_a = {a, NULL, a->m}, all_b = {other, NULL, other->m};
  const choice gap_a = with_missing(index, a), gap_b = with_missing(index + a->m, other);
  const job known = {tiles->both_known, gram->hh, a->m, all_a, all_b, half ? HALF : WHOLE};
  run(&known, ctx);
  if (gap_b.count > 0) {
    const job missing = {tiles->one_missing, gram->hm, a->m, all_a, gap_b, WHOLE};
    run(&missing, ctx);
  }
  if (gap_a.count > 0 && gap_b.count > 0) {
    const job none = {tiles->both_missing, gram->mm, a->m, gap_a, gap_b, half ? HALF : WHOLE};
    run(&none, ctx);
  }
  if (!half && gap_a.count > 0) {
    const job missing = {tiles->one_missing, gram->mh, a->m, all_b, gap_a, IN_TURN};
    run(&missing, ctx);
  }
}
