/*
 * The product for one type: packing, blocking, threads; included by gemm.c once for float and once
 * for double. Before including, define REAL, TYPED(name) (the name made unique) and, where x86
 * kernels are built, FMA_256 and FMA_512.
 *
 * As in Goto & van de Geijn (2008, ACM TOMS 34:12): op(b) is packed KC rows by NC columns at a time
 * into panels of nr columns, op(a) MC rows by KC columns into panels of mr rows, both so that the
 * kernel reads straight on; either is read in place where packing would not pay. Each thread
 * computes a rectangle of c with packed matrices of its own: a little is packed twice, but no
 * thread waits for another before the end, which on a busy machine is what costs.
 */

/* A kernel for each number of registers of rows and of columns, see gemm_kernel.h. */
typedef void TYPED(kernel)(size_t kc, const REAL *a, size_t lda, const REAL *b, size_t b_row,
                           size_t b_col, REAL *c, size_t ldc, int load);

typedef struct {
  size_t len; /* numbers in a register */
  size_t mr;  /* rows in a full tile, a multiple of len */
  size_t nr;  /* columns in a full tile */
  TYPED(kernel) * kernel[MV_MAX][NR_MAX];
} TYPED(kernels);

#define KERNEL(name) TYPED(name##_portable)
#define LEN (16 / sizeof(REAL))
#define MV 2
#define NR 4
#define TARGET
#define FMA(a, b, c) ((a) * (b) + (c))
#include "gemm_kernel.h"

#ifdef GEMM_X86
#define KERNEL(name) TYPED(name##_avx2)
#define LEN (32 / sizeof(REAL))
#define MV 3
#define NR 4
#define TARGET __attribute__((target("avx2,fma")))
#define FMA(a, b, c) FMA_256(a, b, c)
#include "gemm_kernel.h"

#define KERNEL(name) TYPED(name##_avx512)
#define LEN (64 / sizeof(REAL))
#define MV 3
#define NR 8
#define TARGET __attribute__((target("avx512f")))
#define FMA(a, b, c) FMA_512(a, b, c)
#include "gemm_kernel.h"
#endif

static const TYPED(kernels) * TYPED(kernels_for)(mrl_isa isa)
{
#ifdef GEMM_X86
  switch (mrl_isa_usable(isa)) {
  case MRL_ISA_AVX512:
    return &TYPED(table_avx512);
  case MRL_ISA_AVX2:
    return &TYPED(table_avx2);
  default:
    break;
  }
#endif
  (void)isa;
  return &TYPED(table_portable);
}

/* A tile: c (rows, cols) with element (i, j) at [i * row_step + j * col_step]. a holds whole
 * registers of rows, zeros behind the last row; b as in gemm_kernel.h. */
typedef struct {
  const REAL *a, *b;
  REAL *c;
  size_t lda, b_row, b_col, row_step, col_step;
  size_t rows, cols, kc;
  int load; /* add to c */
} TYPED(tile);

/* Between a tile's c and a buffer (its leading dimension ld), whose rows are whole registers. */
static void TYPED(tile_load)(REAL *buffer, size_t ld, const TYPED(tile) * t)
{
  for (size_t i = 0; i < t->rows; i++) {
    const REAL *from = t->c + i * t->row_step;
    for (size_t j = 0; j < t->cols; j++) {
      buffer[i + j * ld] = from[j * t->col_step];
    }
  }
  for (size_t i = t->rows; i < ld; i++) {
    for (size_t j = 0; j < t->cols; j++) {
      buffer[i + j * ld] = 0;
    }
  }
}

static void TYPED(tile_store)(const REAL *buffer, size_t ld, const TYPED(tile) * t)
{
  if (t->row_step == 1) {
    for (size_t j = 0; j < t->cols; j++) {
      memcpy(t->c + j * t->col_step, buffer + j * ld, t->rows * sizeof(REAL));
    }
    return;
  }
  for (size_t i = 0; i < t->rows; i++) {
    for (size_t j = 0; j < t->cols; j++) {
      t->c[i * t->row_step + j * t->col_step] = buffer[i + j * ld];
    }
  }
}

static void TYPED(run_tile)(const TYPED(kernels) * ks, const TYPED(tile) * t)
{
  const size_t mv = (t->rows + ks->len - 1) / ks->len;
  TYPED(kernel) *kernel = ks->kernel[mv - 1][t->cols - 1];
  if (t->row_step == 1 && t->rows == mv * ks->len) {
    kernel(t->kc, t->a, t->lda, t->b, t->b_row, t->b_col, t->c, t->col_step, t->load);
    return;
  }
  REAL buffer[MR_BYTES / sizeof(REAL) * NR_MAX];
  const size_t ld = mv * ks->len;
  if (t->load) {
    TYPED(tile_load)(buffer, ld, t);
  }
  kernel(t->kc, t->a, t->lda, t->b, t->b_row, t->b_col, buffer, ld, t->load);
  TYPED(tile_store)(buffer, ld, t);
}

/* dst[p * stride + i] = src[i + p * ld] for i < width, 0 for width <= i < stride. */
static void TYPED(pack_rows)(REAL *dst, size_t stride, const REAL *src, size_t ld, size_t width,
                             size_t kc)
{
  enum { LEN = 16 / sizeof(REAL) };
  typedef REAL vec __attribute__((vector_size(16), may_alias, aligned(sizeof(REAL))));
  const size_t whole = width - width % LEN;
  for (size_t p = 0; p < kc; p++) {
    for (size_t i = 0; i < whole; i += LEN) {
      *(vec *)(dst + p * stride + i) = *(const vec *)(src + p * ld + i);
    }
    for (size_t i = whole; i < width; i++) {
      dst[p * stride + i] = src[p * ld + i];
    }
    for (size_t i = width; i < stride; i++) {
      dst[p * stride + i] = 0;
    }
  }
}

/* dst[p * stride + i] = src[p + i * ld] for i < width, 0 for width <= i < stride. */
static void TYPED(pack_columns)(REAL *dst, size_t stride, const REAL *src, size_t ld, size_t width,
                                size_t kc)
{
  const size_t fours = width - width % 4, deep = kc - kc % 4;
  for (size_t i = 0; i < fours; i += 4) {
    for (size_t p = 0; p < deep; p += 4) {
      TYPED(turn_square)(dst + i + p * stride, stride, src + p + i * ld, ld);
    }
  }
  for (size_t i = 0; i < stride; i++) {
    for (size_t p = i < fours ? deep : 0; p < kc; p++) {
      dst[p * stride + i] = i < width ? src[p + i * ld] : 0;
    }
  }
}

/* One product. */
typedef struct {
  const TYPED(kernels) * ks;
  REAL *c;
  const REAL *a, *b;
  size_t row_step, col_step; /* element (i, j) of c at [i * row_step + j * col_step] */
  size_t lda, ldb;
  mrl_trans ta, tb;
  int accumulate;
  REAL *pack_a;          /* MC x KC for each thread: panels of mr rows */
  REAL *pack_b;          /* KC x NC for each thread: panels of nr columns */
  size_t a_size, b_size; /* from one thread's to the next */
} TYPED(job);

/* Rows p .. p + kc - 1 of op(b), columns j .. j + cols - 1 of it, as panels kc x nr. */
static void TYPED(pack_b)(REAL *dst, const TYPED(job) * job, size_t p, size_t kc, size_t j,
                          size_t cols)
{
  const size_t nr = job->ks->nr;
  for (size_t q = 0; q < cols; q += nr) {
    const size_t width = min_size(nr, cols - q);
    if (job->tb == MRL_TRANS) {
      TYPED(pack_rows)(dst + q * kc, nr, job->b + j + q + p * job->ldb, job->ldb, width, kc);
    } else {
      TYPED(pack_columns)(dst + q * kc, nr, job->b + p + (j + q) * job->ldb, job->ldb, width, kc);
    }
  }
}

/* Rows i .. i + rows - 1 of op(a), at most mr, columns p .. p + kc - 1 of it, as one panel whose
 * rows are filled up to whole registers. */
static void TYPED(pack_a)(REAL *dst, const TYPED(job) * job, size_t i, size_t rows, size_t p,
                          size_t kc)
{
  const size_t stride = round_up(rows, job->ks->len);
  if (job->ta == MRL_TRANS) {
    TYPED(pack_columns)(dst, stride, job->a + p + i * job->lda, job->lda, rows, kc);
  } else {
    TYPED(pack_rows)(dst, stride, job->a + i + p * job->lda, job->lda, rows, kc);
  }
}

/* Rows of c (at most MC) by columns of c, over p .. p + kc - 1. b: these columns packed, or NULL.
 */
static void TYPED(multiply_block)(const TYPED(job) * job, REAL *pack, const REAL *b, range rows,
                                  range cols, size_t p, size_t kc)
{
  const TYPED(kernels) *ks = job->ks;
  const size_t n_rows = rows.end - rows.begin;
  const int in_place = job->ta == MRL_NO_TRANS &&
                       a_in_place(job->lda * sizeof(REAL), kc, cols.end - cols.begin, ks->nr);
  const size_t whole = in_place ? n_rows - n_rows % ks->len : 0; /* rows not to be packed */
  for (size_t r = 0; r < n_rows; r += ks->mr) {
    const size_t height = min_size(ks->mr, n_rows - r);
    if (r + height > whole) {
      TYPED(pack_a)(pack + r * kc, job, rows.begin + r, height, p, kc);
    }
  }
  for (size_t j = cols.begin; j < cols.end; j += ks->nr) {
    for (size_t r = 0; r < n_rows; r += ks->mr) {
      const size_t i = rows.begin + r, height = min_size(ks->mr, n_rows - r);
      const int packed = r + height > whole;
      const TYPED(tile) t = {
          .a = packed ? pack + r * kc : job->a + i + p * job->lda,
          .lda = packed ? round_up(height, ks->len) : job->lda,
          .b = b ? b + (j - cols.begin) * kc : job->b + p + j * job->ldb,
          .b_row = b ? ks->nr : 1,
          .b_col = b ? 1 : job->ldb,
          .c = job->c + i * job->row_step + j * job->col_step,
          .row_step = job->row_step,
          .col_step = job->col_step,
          .rows = height,
          .cols = min_size(ks->nr, cols.end - j),
          .kc = kc,
          .load = job->accumulate || p > 0,
      };
      TYPED(run_tile)(ks, &t);
    }
  }
}

/* A rectangle of c over a range of k: what one thread does. */
static void TYPED(multiply)(const TYPED(job) * job, size_t thread, range rows, range cols,
                            range span)
{
  REAL *pack_a = job->pack_a + thread * job->a_size, *pack_b = job->pack_b + thread * job->b_size;
  const size_t mc = MC_BYTES / sizeof(REAL) / job->ks->mr * job->ks->mr;
  const size_t kc = even_part(span.end - span.begin, KC);
  const int packs_b = job->tb == MRL_TRANS ||
                      !b_in_place(job->ldb * sizeof(REAL), rows.end - rows.begin, job->ks->mr);
  for (size_t j = cols.begin; j < cols.end; j += NC) {
    const range some_cols = {j, min_size(j + NC, cols.end)};
    for (size_t p = span.begin; p < span.end; p += kc) {
      const size_t depth = min_size(kc, span.end - p);
      if (packs_b) {
        TYPED(pack_b)(pack_b, job, p, depth, j, some_cols.end - j);
      }
      for (size_t i = rows.begin; i < rows.end; i += mc) {
        const range some_rows = {i, min_size(i + mc, rows.end)};
        TYPED(multiply_block)
        (job, pack_a, packs_b ? pack_b : NULL, some_rows, some_cols, p, depth);
      }
    }
  }
}

/* The rectangle that falls to a thread: the threads form a grid over the tiles. */
static void TYPED(share)(const TYPED(job) * job, range rows, range cols, range span, size_t thread,
                         size_t threads)
{
  const size_t mr = job->ks->mr, nr = job->ks->nr;
  const size_t across = threads_across_rows(rows, cols, mr, nr, threads);
  const size_t down = threads / across;
  if (thread < across * down) { /* else the grid has no place for this one */
    const range mine = part_of(rows, mr, thread % across, across);
    TYPED(multiply)(job, thread, mine, part_of(cols, nr, thread / across, down), span);
  }
}

static void TYPED(run_region)(const TYPED(job) * job, range rows, range cols, range span,
                              int threads)
{
#ifdef _OPENMP
  if (threads > 1) {
#pragma omp parallel num_threads(threads)
    TYPED(share)
    (job, rows, cols, span, (size_t)omp_get_thread_num(), (size_t)omp_get_num_threads());
    return;
  }
#endif
  (void)threads;
  TYPED(share)(job, rows, cols, span, 0, 1);
}

/* The packed matrices over an arena; sizes that serve every instruction set. */
static void TYPED(carve)(mrl_arena *arena, TYPED(job) * job, size_t m, size_t n, size_t k,
                         int threads)
{
  const size_t kc = min_size(k, KC);
  const size_t mc = min_size(MC_BYTES / sizeof(REAL), round_up(m, 64 / sizeof(REAL)));
  job->a_size = round_up(kc * mc, MRL_ALIGN / sizeof(REAL));
  job->b_size = round_up(kc * round_up(min_size(n, NC), NR_MAX), MRL_ALIGN / sizeof(REAL));
  job->pack_a = MRL_TAKE(arena, REAL, job->a_size * (size_t)threads);
  job->pack_b = MRL_TAKE(arena, REAL, job->b_size * (size_t)threads);
}

/* For the instruction set with the smallest registers, which takes the most threads. */
static size_t TYPED(scratch)(size_t m, size_t n, size_t k, const mrl_ctx *ctx)
{
  if (m == 0 || n == 0 || k == 0) {
    return 0;
  }
  const int flip = better_flipped(m, n, k, 64 / sizeof(REAL));
  mrl_arena arena = mrl_arena_measure();
  TYPED(job) job;
  TYPED(carve)(&arena, &job, flip ? n : m, flip ? m : n, k, threads_for(m, n, k, 16, ctx));
  return arena.failed ? SIZE_MAX : arena.used;
}

/* c' = op(b)' op(a)' instead. */
static void TYPED(flip)(TYPED(job) * job)
{
  const TYPED(job) old = *job;
  job->a = old.b;
  job->lda = old.ldb;
  job->ta = old.tb == MRL_TRANS ? MRL_NO_TRANS : MRL_TRANS;
  job->b = old.a;
  job->ldb = old.lda;
  job->tb = old.ta == MRL_TRANS ? MRL_NO_TRANS : MRL_TRANS;
  job->row_step = old.col_step;
  job->col_step = old.row_step;
}

static void TYPED(clear)(REAL *c, size_t ldc, size_t m, size_t n)
{
  for (size_t j = 0; j < n; j++) {
    memset(c + j * ldc, 0, m * sizeof(REAL));
  }
}

/* Region after region, each of them short enough, polling in between. */
static void TYPED(run_regions)(const TYPED(job) * job, size_t m, size_t n, size_t k, int threads,
                               const mrl_ctx *ctx)
{
  const double most = region_flops(job->ks->len * sizeof(REAL), threads) / 2;
  const size_t width = min_size(n, REGION_COLUMNS), kc = min_size(k, KC);
  const size_t height = units_within(most / ((double)width * (double)kc), job->ks->mr, m);
  const size_t depth = units_within(most / ((double)width * (double)height), KC, k);
  double work = 0;
  for (size_t j = 0; j < n; j += width) {
    const range cols = {j, min_size(j + width, n)};
    for (size_t i = 0; i < m; i += height) {
      const range rows = {i, min_size(i + height, m)};
      for (size_t p = 0; p < k; p += depth) {
        const range span = {p, min_size(p + depth, k)};
        work = poll_after(work, (double)(span.end - p) * (double)height * (double)width, most, ctx);
        TYPED(run_region)(job, rows, cols, span, threads);
      }
    }
  }
}

/* The product as a whole; job holds the kernels and the matrices. */
static mrl_status TYPED(product)(TYPED(job) * job, size_t m, size_t n, size_t k, void *scratch,
                                 const mrl_ctx *ctx)
{
  if (m == 0 || n == 0 || k == 0) {
    if (!job->accumulate && m > 0) {
      TYPED(clear)(job->c, job->col_step, m, n);
    }
    return MRL_OK;
  }
  mrl_arena arena = mrl_arena_over(scratch, TYPED(scratch)(m, n, k, ctx));
  if (better_flipped(m, n, k, 64 / sizeof(REAL))) {
    TYPED(flip)(job);
    const size_t rows = n;
    n = m;
    m = rows;
  }
  const size_t mr = job->ks->mr, nr = job->ks->nr;
  const int threads = fewer(threads_for(m, n, k, job->ks->len * sizeof(REAL), ctx),
                            ((m + mr - 1) / mr) * ((n + nr - 1) / nr));
  TYPED(carve)(&arena, job, m, n, k, threads);
  if (!scratch || arena.failed) {
    return MRL_NO_MEMORY;
  }
  TYPED(run_regions)(job, m, n, k, threads, ctx);
  return MRL_OK;
}

#undef REAL
#undef TYPED
#undef FMA_256
#undef FMA_512
