#include "gemm.h"

#include <string.h>

#ifdef _OPENMP
#include <omp.h>
#endif

/* gcc for Windows does not align the stack for wide registers that it spills (gcc bug 54412). */
#if defined(__GNUC__) && (defined(__x86_64__) || defined(__i386__)) &&                             \
    (!defined(_WIN32) || defined(__clang__))
#define GEMM_X86 1
#include <immintrin.h>
#endif

/* Half open: begin .. end - 1. */
typedef struct {
  size_t begin, end;
} range;

enum {
  MV_MAX = 3,              /* registers of rows in a tile */
  NR_MAX = 8,              /* columns in a tile */
  MR_BYTES = MV_MAX * 64,  /* rows of the highest tile, in bytes */
  KC = 384,                /* with it a panel of b (nr x KC) stays in the first-level cache, */
  MC_BYTES = 5 * MR_BYTES, /* a block of a (MC x KC, 370 kB) in the second, */
  NC = 1024,               /* and b (KC x NC) in the third */
  IN_PLACE_PANELS = 3,     /* up to so many panels of b, a is not packed if it need not be, */
  IN_PLACE_HEIGHTS = 6,    /* up to so many tiles of rows, b is not; */
  NEAR_BYTES = 256 * 1024, /* nor is a if its columns touch no more than 64 pages; */
  SET_BYTES = 4096,        /* lines so far apart share a set of the first-level cache */
  REGION_COLUMNS = 8192    /* columns of c between two polls */
};

/*
 * Less work than that for each thread and byte of its registers (0.2 to 1 ms) is not worth
 * another thread: on a busy machine its share may wait for 10 ms until it is run at all.
 */
static const double FLOPS_PER_THREAD = 1e6;

mrl_isa mrl_isa_best(void)
{
#ifdef GEMM_X86
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f")) {
    return MRL_ISA_AVX512;
  }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    return MRL_ISA_AVX2;
  }
#endif
  return MRL_ISA_PORTABLE;
}

const char *mrl_isa_name(mrl_isa isa)
{
  switch (isa) {
  case MRL_ISA_AVX2:
    return "avx2";
  case MRL_ISA_AVX512:
    return "avx512";
  default:
    return "portable";
  }
}

mrl_isa mrl_isa_usable(mrl_isa isa)
{
  const mrl_isa best = mrl_isa_best();
  return isa < best ? isa : best;
}

static size_t min_size(size_t a, size_t b)
{
  return a < b ? a : b;
}

static size_t max_size(size_t a, size_t b)
{
  return a > b ? a : b;
}

static size_t round_up(size_t n, size_t unit)
{
  return (n + unit - 1) / unit * unit;
}

/* The size of the parts, at most `most` each, when n is cut evenly. n >= 1. */
static size_t even_part(size_t n, size_t most)
{
  const size_t parts = (n + most - 1) / most;
  return (n + parts - 1) / parts;
}

static int threads_for_flops(double flops, size_t register_bytes, const mrl_ctx *ctx)
{
  const double worth = 1 + flops / FLOPS_PER_THREAD / (double)register_bytes;
  return worth < ctx->n_threads ? (int)worth : ctx->n_threads;
}

static int threads_for(size_t m, size_t n, size_t k, size_t register_bytes, const mrl_ctx *ctx)
{
  return threads_for_flops(2.0 * (double)m * (double)n * (double)k, register_bytes, ctx);
}

/* No more threads than pieces of work. */
static int fewer(int threads, size_t pieces)
{
  return pieces < (size_t)threads ? (int)pieces : threads;
}

/* The part-th of parts, cut between units. */
static range part_of(range whole, size_t unit, size_t part, size_t parts)
{
  const size_t units = (whole.end - whole.begin + unit - 1) / unit;
  const range mine = {
      min_size(whole.begin + units * part / parts * unit, whole.end),
      min_size(whole.begin + units * (part + 1) / parts * unit, whole.end),
  };
  return mine;
}

static size_t largest_part(range whole, size_t unit, size_t parts)
{
  const size_t n = whole.end - whole.begin, units = (n + unit - 1) / unit;
  return min_size(n, (units + parts - 1) / parts * unit);
}

/*
 * How many of the threads lie side by side along the rows of c, the others along its columns, so
 * that the largest share is smallest; packing a row or a column costs as much as 8 products of it.
 */
static size_t threads_across_rows(range rows, range cols, size_t mr, size_t nr, size_t threads)
{
  size_t best = 1, least = SIZE_MAX;
  for (size_t across = 1; across <= threads; across++) {
    const size_t down = threads / across;
    const size_t cost = (largest_part(rows, mr, across) + 8) * (largest_part(cols, nr, down) + 8);
    if (cost < least) {
      least = cost;
      best = across;
    }
  }
  return best;
}

/*
 * Whether c' = op(b)' op(a)' is quicker: if m leaves much of the registers (of len numbers) empty
 * that n would fill, and k is long enough to pay for storing c across. The bits are the same. Not
 * asked of the instruction set in use, because scratch memory is measured without it.
 */
static int better_flipped(size_t m, size_t n, size_t k, size_t len)
{
  const double fill_m = (double)m / (double)round_up(m, len);
  const double fill_n = (double)n / (double)round_up(n, len);
  return k >= 32 && fill_n > 1.25 * fill_m;
}

/*
 * Whether a of kc columns, in which the kernel finds its registers, is read where it lies: if few
 * columns of c would share the cost of packing, or if a panel of it stays in the cache all the
 * same. apart: bytes from column to column.
 */
static int a_in_place(size_t apart, size_t kc, size_t cols, size_t nr)
{
  const int is_near = kc * apart <= NEAR_BYTES && apart % (SET_BYTES / 8) != 0;
  return is_near || cols <= IN_PLACE_PANELS * nr;
}

/* Whether b is, each column of a panel from a line of cache of its own: if few rows of c would
 * share the cost of turning it. */
static int b_in_place(size_t apart, size_t rows, size_t mr)
{
  return rows <= IN_PLACE_HEIGHTS * mr && apart % SET_BYTES != 0;
}

/* About 0.05 s of work on a slow machine: 10 GFLOP/s for each 16 bytes of its registers. */
static double region_flops(size_t register_bytes, int threads)
{
  return 5e8 * (double)register_bytes / 16 * threads;
}

/* The largest multiple of unit within most, at least unit, at most n. */
static size_t units_within(double most, size_t unit, size_t n)
{
  if (most >= (double)n) {
    return n;
  }
  const size_t units = (size_t)most / unit;
  return min_size(n, (units > 0 ? units : 1) * unit);
}

/* Polls if the next piece of work would make it too much without; returns the work since. */
static double poll_after(double work, double next, double most, const mrl_ctx *ctx)
{
  if (work > 0 && work + next > most) {
    mrl_poll(ctx);
    return next;
  }
  return work + next;
}

typedef float four __attribute__((vector_size(16), may_alias, aligned(sizeof(float))));

/* Four numbers of a and b: a's are 0 to 3, b's 4 to 7. */
#ifdef __clang__
#define PICK(a, b, i, j, k, l) __builtin_shufflevector(a, b, i, j, k, l)
#else
typedef int four_places __attribute__((vector_size(16)));
#define PICK(a, b, i, j, k, l) __builtin_shuffle(a, b, (four_places){i, j, k, l})
#endif

/* dst[p * stride + i] = src[p + i * ld] for i, p < 4. */
static inline void turn_square_f(float *dst, size_t stride, const float *src, size_t ld)
{
  const four a = *(const four *)src, b = *(const four *)(src + ld);
  const four c = *(const four *)(src + 2 * ld), d = *(const four *)(src + 3 * ld);
  const four ab01 = PICK(a, b, 0, 4, 1, 5), ab23 = PICK(a, b, 2, 6, 3, 7);
  const four cd01 = PICK(c, d, 0, 4, 1, 5), cd23 = PICK(c, d, 2, 6, 3, 7);
  *(four *)dst = PICK(ab01, cd01, 0, 1, 4, 5);
  *(four *)(dst + stride) = PICK(ab01, cd01, 2, 3, 6, 7);
  *(four *)(dst + 2 * stride) = PICK(ab23, cd23, 0, 1, 4, 5);
  *(four *)(dst + 3 * stride) = PICK(ab23, cd23, 2, 3, 6, 7);
}

static inline void turn_square_d(double *dst, size_t stride, const double *src, size_t ld)
{
  typedef double two __attribute__((vector_size(16), may_alias, aligned(sizeof(double))));
  for (size_t p = 0; p < 4; p += 2) {
    for (size_t i = 0; i < 4; i += 2) {
      const two a = *(const two *)(src + p + i * ld), b = *(const two *)(src + p + (i + 1) * ld);
      *(two *)(dst + p * stride + i) = (two){a[0], b[0]};
      *(two *)(dst + (p + 1) * stride + i) = (two){a[1], b[1]};
    }
  }
}

#define REAL float
#define TYPED(name) name##_f
#define FMA_256(a, b, c) _mm256_fmadd_ps(a, b, c)
#define FMA_512(a, b, c) _mm512_fmadd_ps(a, b, c)
#include "gemm_driver.h"

#define REAL double
#define TYPED(name) name##_d
#define FMA_256(a, b, c) _mm256_fmadd_pd(a, b, c)
#define FMA_512(a, b, c) _mm512_fmadd_pd(a, b, c)
#include "gemm_driver.h"

/* Leading dimensions cover the rows that are stored. */
static int shapes_ok(size_t ldc, size_t lda, mrl_trans ta, size_t ldb, mrl_trans tb, size_t m,
                     size_t n, size_t k)
{
  return ldc >= m && lda >= (ta == MRL_TRANS ? k : m) && ldb >= (tb == MRL_TRANS ? n : k);
}

size_t mrl_gemm_f_scratch(size_t m, size_t n, size_t k, const mrl_ctx *ctx)
{
  return scratch_f(m, n, k, ctx);
}

mrl_status mrl_gemm_f(float *c, size_t ldc, const float *a, size_t lda, mrl_trans ta,
                      const float *b, size_t ldb, mrl_trans tb, size_t m, size_t n, size_t k,
                      int accumulate, void *scratch, mrl_isa isa, const mrl_ctx *ctx)
{
  if (!shapes_ok(ldc, lda, ta, ldb, tb, m, n, k)) {
    return MRL_BAD_ARGUMENT;
  }
  job_f job = {
      .ks = kernels_for_f(isa),
      .c = c,
      .a = a,
      .b = b,
      .row_step = 1,
      .col_step = ldc,
      .lda = lda,
      .ldb = ldb,
      .ta = ta,
      .tb = tb,
      .accumulate = accumulate,
  };
  return product_f(&job, m, n, k, scratch, ctx);
}

size_t mrl_gemm_d_scratch(size_t m, size_t n, size_t k, const mrl_ctx *ctx)
{
  return scratch_d(m, n, k, ctx);
}

mrl_status mrl_gemm_d(double *c, size_t ldc, const double *a, size_t lda, mrl_trans ta,
                      const double *b, size_t ldb, mrl_trans tb, size_t m, size_t n, size_t k,
                      int accumulate, void *scratch, mrl_isa isa, const mrl_ctx *ctx)
{
  if (!shapes_ok(ldc, lda, ta, ldb, tb, m, n, k)) {
    return MRL_BAD_ARGUMENT;
  }
  job_d job = {
      .ks = kernels_for_d(isa),
      .c = c,
      .a = a,
      .b = b,
      .row_step = 1,
      .col_step = ldc,
      .lda = lda,
      .ldb = ldb,
      .ta = ta,
      .tb = tb,
      .accumulate = accumulate,
  };
  return product_d(&job, m, n, k, scratch, ctx);
}

#include "gemm_gram.h"
