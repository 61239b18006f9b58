/*
 * The product for one type: packing, blocking, threads; included by gemm.c once for float and once
 * for double. Before including, define REAL, TYPED(name) (the name made unique) and, where x86
 * kernels are built, FMA_256 and FMA_512.
 *
 * As in Goto & van de Geijn (2008, ACM TOMS 34:12): op(b) is packed KC rows by NC columns at a time
 * into panels of nr columns, op(a) MC rows by KC columns into panels of mr rows, both so that the
 * kernel reads straight on. All threads share the packed b; each packs the a that it needs.
 */

/* A kernel for each number of registers of rows and of columns, see gemm_kernel.h. */
typedef void TYPED(kernel)(size_t kc, const REAL *a, size_t lda, const REAL *b, size_t ldb, REAL *c,
                           size_t ldc, int load);

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
 * registers of rows, zeros behind the last row. */
typedef struct {
  const REAL *a, *b;
  REAL *c;
  size_t lda, ldb, row_step, col_step;
  size_t rows, cols, kc;
  int load; /* add to c */
} TYPED(tile);

/* Between a tile's c and a buffer (its leading dimension ld), whose rows are whole registers. */
static void TYPED(tile_load)(REAL *buffer, size_t ld, const TYPED(tile) * t)
{
  for (size_t j = 0; j < t->cols; j++) {
    for (size_t i = 0; i < ld; i++) {
      buffer[i + j * ld] = i < t->rows ? t->c[i * t->row_step + j * t->col_step] : 0;
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
    kernel(t->kc, t->a, t->lda, t->b, t->ldb, t->c, t->col_step, t->load);
    return;
  }
  REAL buffer[MR_BYTES / sizeof(REAL) * NR_MAX];
  const size_t ld = mv * ks->len;
  if (t->load) {
    TYPED(tile_load)(buffer, ld, t);
  }
  kernel(t->kc, t->a, t->lda, t->b, t->ldb, buffer, ld, t->load);
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
  size_t i = 0;
  for (; i + 4 <= width; i += 4) { /* four at a time: a row of the panel is written at once */
    const REAL *s0 = src + i * ld, *s1 = s0 + ld, *s2 = s1 + ld, *s3 = s2 + ld;
    REAL *d = dst + i;
    for (size_t p = 0; p < kc; p++, d += stride) {
      const REAL x0 = s0[p], x1 = s1[p], x2 = s2[p], x3 = s3[p];
      d[0] = x0;
      d[1] = x1;
      d[2] = x2;
      d[3] = x3;
    }
  }
  for (; i < stride; i++) {
    for (size_t p = 0; p < kc; p++) {
      dst[p * stride + i] = i < width ? src[p + i * ld] : 0;
    }
  }
}

/* One product, and the block of it that a parallel region computes. */
typedef struct {
  const TYPED(kernels) * ks;
  REAL *c;
  const REAL *a, *b;
  size_t row_step, col_step; /* element (i, j) of c at [i * row_step + j * col_step] */
  size_t lda, ldb;
  mrl_trans ta, tb;
  REAL *pack_b; /* shared: panels of nr columns, each kc x nr */
  REAL *pack_a; /* one block for each thread, a_size apart: panels of mr rows, kc x mr */
  size_t a_size;
  size_t i0, mi; /* rows of c */
  size_t j0, nj; /* columns of c */
  size_t p0, kc; /* the part of k */
  int load;      /* add to c */
  int new_b;     /* b is not packed yet */
} TYPED(block);

static void TYPED(pack_b)(const TYPED(block) * bl, size_t part, size_t parts)
{
  const size_t nr = bl->ks->nr, panels = (bl->nj + nr - 1) / nr;
  for (size_t q = panels * part / parts; q < panels * (part + 1) / parts; q++) {
    const size_t j = bl->j0 + q * nr, width = min_size(nr, bl->nj - q * nr);
    REAL *dst = bl->pack_b + q * nr * bl->kc;
    if (bl->tb == MRL_TRANS) {
      TYPED(pack_rows)(dst, nr, bl->b + j + bl->p0 * bl->ldb, bl->ldb, width, bl->kc);
    } else {
      TYPED(pack_columns)(dst, nr, bl->b + bl->p0 + j * bl->ldb, bl->ldb, width, bl->kc);
    }
  }
}

/* Rows i .. i + rows - 1 of op(a), at most mr, as one panel whose rows are filled up to whole
 * registers; its stride is returned. */
static size_t TYPED(pack_a)(REAL *dst, const TYPED(block) * bl, size_t i, size_t rows)
{
  const size_t stride = round_up(rows, bl->ks->len);
  if (bl->ta == MRL_TRANS) {
    TYPED(pack_columns)(dst, stride, bl->a + bl->p0 + i * bl->lda, bl->lda, rows, bl->kc);
  } else {
    TYPED(pack_rows)(dst, stride, bl->a + i + bl->p0 * bl->lda, bl->lda, rows, bl->kc);
  }
  return stride;
}

/*
 * Rows i .. i + rows - 1 (at most MC) of c by the panels q0 .. q1 - 1 of b. Where a lies as the
 * kernel wants it and few columns would share the cost of packing, it is read in place.
 */
static void TYPED(multiply_rows)(const TYPED(block) * bl, REAL *pack, size_t i, size_t rows,
                                 size_t q0, size_t q1)
{
  const TYPED(kernels) *ks = bl->ks;
  const size_t mr = ks->mr, nr = ks->nr, kc = bl->kc;
  const int in_place = bl->ta == MRL_NO_TRANS && q1 - q0 <= IN_PLACE_PANELS;
  const size_t whole = in_place ? rows - rows % ks->len : 0; /* rows not to be packed */
  for (size_t r = 0; r < rows; r += mr) {
    const size_t height = min_size(mr, rows - r);
    if (r + height > whole) {
      TYPED(pack_a)(pack + r * kc, bl, i + r, height);
    }
  }
  for (size_t q = q0; q < q1; q++) {
    const size_t j = bl->j0 + q * nr, cols = min_size(nr, bl->nj - q * nr);
    for (size_t r = 0; r < rows; r += mr) {
      const size_t height = min_size(mr, rows - r);
      const int packed = r + height > whole;
      const TYPED(tile) t = {
          .a = packed ? pack + r * kc : bl->a + i + r + bl->p0 * bl->lda,
          .lda = packed ? round_up(height, ks->len) : bl->lda,
          .b = bl->pack_b + q * nr * kc,
          .ldb = nr,
          .c = bl->c + (i + r) * bl->row_step + j * bl->col_step,
          .row_step = bl->row_step,
          .col_step = bl->col_step,
          .rows = height,
          .cols = cols,
          .kc = kc,
          .load = bl->load,
      };
      TYPED(run_tile)(ks, &t);
    }
  }
}

/* The rectangle of the block that falls to one thread. */
static void TYPED(multiply)(const TYPED(block) * bl, size_t part, size_t parts)
{
  const size_t mr = bl->ks->mr, nr = bl->ks->nr;
  const size_t row_panels = (bl->mi + mr - 1) / mr, col_panels = (bl->nj + nr - 1) / nr;
  const size_t across = threads_across_rows(row_panels, col_panels, mr, nr, parts);
  const size_t down = parts / across, x = part % across, y = part / across;
  if (y >= down) {
    return; /* parts is not across * down: this one is left over */
  }
  const size_t end = min_size(row_panels * (x + 1) / across * mr, bl->mi);
  const size_t q0 = col_panels * y / down, q1 = col_panels * (y + 1) / down;
  const size_t mc = MC_BYTES / sizeof(REAL) / mr * mr;
  for (size_t r = row_panels * x / across * mr; r < end && q0 < q1; r += mc) {
    TYPED(multiply_rows)
    (bl, bl->pack_a + part * bl->a_size, bl->i0 + r, min_size(mc, end - r), q0, q1);
  }
}

/* A small b is packed by one thread: a barrier costs more. */
static void TYPED(run_block)(const TYPED(block) * bl, int threads)
{
  const int packed_alone = bl->new_b && (threads == 1 || bl->nj * bl->kc <= PACK_ALONE);
  if (packed_alone) {
    TYPED(pack_b)(bl, 0, 1);
  }
#ifdef _OPENMP
  if (threads > 1) {
#pragma omp parallel num_threads(threads)
    {
      const size_t part = (size_t)omp_get_thread_num(), parts = (size_t)omp_get_num_threads();
      if (bl->new_b && !packed_alone) {
        TYPED(pack_b)(bl, part, parts);
#pragma omp barrier
      }
      TYPED(multiply)(bl, part, parts);
    }
    return;
  }
#endif
  TYPED(multiply)(bl, 0, 1);
}

/* The packed matrices over an arena; sizes that serve every instruction set. */
static void TYPED(carve)(mrl_arena *arena, TYPED(block) * bl, size_t m, size_t n, size_t k,
                         int threads)
{
  const size_t kc = even_part(k, KC);
  const size_t mc = min_size(MC_BYTES / sizeof(REAL), round_up(m, 64 / sizeof(REAL)));
  bl->a_size = round_up(kc * mc, MRL_ALIGN / sizeof(REAL));
  bl->pack_b = MRL_TAKE(arena, REAL, kc * round_up(min_size(n, NC), NR_MAX));
  bl->pack_a = MRL_TAKE(arena, REAL, bl->a_size * (size_t)threads);
}

static size_t TYPED(scratch)(size_t m, size_t n, size_t k, const mrl_ctx *ctx)
{
  if (m == 0 || n == 0 || k == 0) {
    return 0;
  }
  const int flip = better_flipped(m, n, k, 64 / sizeof(REAL));
  mrl_arena arena = mrl_arena_measure();
  TYPED(block) bl;
  TYPED(carve)(&arena, &bl, flip ? n : m, flip ? m : n, k, threads_for(m, n, k, ctx));
  return arena.failed ? SIZE_MAX : arena.used;
}

/* c' = op(b)' op(a)' instead. */
static void TYPED(flip)(TYPED(block) * bl)
{
  const TYPED(block) old = *bl;
  bl->a = old.b;
  bl->lda = old.ldb;
  bl->ta = old.tb == MRL_TRANS ? MRL_NO_TRANS : MRL_TRANS;
  bl->b = old.a;
  bl->ldb = old.lda;
  bl->tb = old.ta == MRL_TRANS ? MRL_NO_TRANS : MRL_TRANS;
  bl->row_step = old.col_step;
  bl->col_step = old.row_step;
}

static void TYPED(clear)(REAL *c, size_t ldc, size_t m, size_t n)
{
  for (size_t j = 0; j < n; j++) {
    memset(c + j * ldc, 0, m * sizeof(REAL));
  }
}

/* Block after block, polling in between. */
static void TYPED(run_blocks)(TYPED(block) * bl, size_t m, size_t n, size_t k, int accumulate,
                              int threads, const mrl_ctx *ctx)
{
  const size_t kc = even_part(k, KC), nc = even_part(n, NC);
  double work = 0;
  for (bl->j0 = 0; bl->j0 < n; bl->j0 += nc) {
    bl->nj = min_size(nc, n - bl->j0);
    for (bl->p0 = 0; bl->p0 < k; bl->p0 += kc) {
      bl->kc = min_size(kc, k - bl->p0);
      bl->load = accumulate || bl->p0 > 0;
      const size_t rows = round_up(even_part(m, REGION_FLOPS / (2 * bl->nj * bl->kc)), bl->ks->mr);
      for (bl->i0 = 0; bl->i0 < m; bl->i0 += rows) {
        bl->mi = min_size(rows, m - bl->i0);
        bl->new_b = bl->i0 == 0;
        work = poll_after(work, 2.0 * (double)bl->mi * (double)bl->nj * (double)bl->kc, ctx);
        TYPED(run_block)(bl, threads);
      }
    }
  }
}

/* The product as a whole; bl holds the kernels and the matrices. */
static mrl_status TYPED(product)(TYPED(block) * bl, size_t m, size_t n, size_t k, int accumulate,
                                 void *scratch, const mrl_ctx *ctx)
{
  if (m == 0 || n == 0 || k == 0) {
    if (!accumulate && m > 0) {
      TYPED(clear)(bl->c, bl->col_step, m, n);
    }
    return MRL_OK;
  }
  mrl_arena arena = mrl_arena_over(scratch, TYPED(scratch)(m, n, k, ctx));
  if (better_flipped(m, n, k, 64 / sizeof(REAL))) {
    TYPED(flip)(bl);
    const size_t rows = n;
    n = m;
    m = rows;
  }
  const int threads = threads_for(m, n, k, ctx);
  TYPED(carve)(&arena, bl, m, n, k, threads);
  if (!scratch || arena.failed) {
    return MRL_NO_MEMORY;
  }
  TYPED(run_blocks)(bl, m, n, k, accumulate, threads, ctx);
  return MRL_OK;
}

#undef REAL
#undef TYPED
#undef FMA_256
#undef FMA_512
