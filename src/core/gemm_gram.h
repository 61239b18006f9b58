/*
 * Crossproducts over n, the last part of gemm.c: KC rows at a time are packed (read once, in order)
 * into panels of mr columns; a panel serves as a as it is, and a slice of nr of its columns as b.
 * Only tiles that touch the upper triangle are computed. The threads share out the tiles and each
 * packs the columns that it needs: much of them is packed twice, but no thread waits for another
 * before the end.
 */

typedef struct {
  const kernels_d *ks;
  const mrl_columns *columns;
  double *g;
  double *pack; /* KC rows, round_up(p, 8) wide, for each thread: panel after panel */
  size_t pack_size;
  int accumulate;
} gram_job;

/* A part of the tiles, in the order of gram_walk(), and the columns that they need. */
typedef struct {
  size_t lo, hi;
  range columns; /* from the first column of a panel */
} gram_part;

/* dst[r * stride + 0..3] = 4 columns, shifted and scaled, rows first .. first + kc - 1. No multiply
 * feeds an add here, so that nothing can be fused and all paths round alike. */
static void gram_pack_four(double *dst, size_t stride, const mrl_columns *x, size_t j, size_t first,
                           size_t kc)
{
  typedef double pair __attribute__((vector_size(16), may_alias));
  const double *c0 = x->col[j] + first, *c1 = x->col[j + 1] + first;
  const double *c2 = x->col[j + 2] + first, *c3 = x->col[j + 3] + first;
  const pair shift01 = {x->shift[j], x->shift[j + 1]}, scale01 = {x->scale[j], x->scale[j + 1]};
  const pair shift23 = {x->shift[j + 2], x->shift[j + 3]};
  const pair scale23 = {x->scale[j + 2], x->scale[j + 3]};
  const size_t ahead = first + 2 * kc <= x->n ? kc : 0; /* the same rows of the next block */
  for (size_t r = 0; r < kc; r++, dst += stride) {
    if (r % 8 == 0) {
      __builtin_prefetch(c0 + r + ahead);
      __builtin_prefetch(c1 + r + ahead);
      __builtin_prefetch(c2 + r + ahead);
      __builtin_prefetch(c3 + r + ahead);
    }
    pair x01 = {c0[r], c1[r]}, x23 = {c2[r], c3[r]};
    x01 = (x01 - shift01) * scale01;
    x23 = (x23 - shift23) * scale23;
    if (x->root) {
      const pair root = {x->root[first + r], x->root[first + r]};
      x01 *= root;
      x23 *= root;
    }
    *(pair *)dst = x01;
    *(pair *)(dst + 2) = x23;
  }
}

/* The same for one column; zeros for a column behind the last. */
static void gram_pack_one(double *dst, size_t stride, const mrl_columns *x, size_t j, size_t first,
                          size_t kc)
{
  for (size_t r = 0; r < kc; r++, dst += stride) {
    double value = 0;
    if (j < x->p) {
      value = (x->col[j][first + r] - x->shift[j]) * x->scale[j];
      if (x->root) {
        value *= x->root[first + r];
      }
    }
    *dst = value;
  }
}

/* Columns in a panel, those that only fill up included. Four at least: they are packed in fours. */
static size_t gram_stride(const kernels_d *ks, size_t p, size_t panel)
{
  const size_t unit = ks->len < 4 ? 4 : ks->len;
  return round_up(min_size(ks->mr, p - panel * ks->mr), unit);
}

static void gram_pack(const gram_job *job, double *pack, range columns, size_t first, size_t kc)
{
  const size_t mr = job->ks->mr, p = job->columns->p;
  for (size_t panel = columns.begin / mr; panel * mr < columns.end; panel++) {
    const size_t stride = gram_stride(job->ks, p, panel);
    for (size_t i = 0; i < stride; i += 4) {
      const size_t j = panel * mr + i;
      double *dst = pack + panel * mr * kc + i;
      if (j + 4 <= p) {
        gram_pack_four(dst, stride, job->columns, j, first, kc);
      } else {
        for (size_t c = 0; c < 4; c++) {
          gram_pack_one(dst + c, stride, job->columns, j + c, first, kc);
        }
      }
    }
  }
}

/* Row panel i by slice q of kc packed rows. */
static void gram_tile(const gram_job *job, const double *pack, size_t kc, size_t i, size_t q,
                      int load)
{
  const size_t mr = job->ks->mr, nr = job->ks->nr, p = job->columns->p;
  const size_t j = q * nr, b_panel = j / mr;
  const tile_d t = {
      .a = pack + i * mr * kc,
      .lda = gram_stride(job->ks, p, i),
      .b = pack + b_panel * mr * kc + j % mr,
      .b_row = gram_stride(job->ks, p, b_panel),
      .b_col = 1,
      .c = job->g + i * mr + j * p,
      .row_step = 1,
      .col_step = p,
      .rows = min_size(mr, p - i * mr),
      .cols = min_size(nr, p - j),
      .kc = kc,
      .load = load,
  };
  run_tile_d(job->ks, &t);
}

/*
 * Walks over the tiles that touch the upper triangle, in an order in which a slice of b serves all
 * row panels of a block, and the block all slices. Computes the tiles of the part from kc packed
 * rows; with pack NULL it only notes which columns the part needs.
 */
static void gram_walk(const gram_job *job, gram_part *part, const double *pack, size_t kc, int load)
{
  const size_t mr = job->ks->mr, nr = job->ks->nr, p = job->columns->p;
  const size_t block = MC_BYTES / sizeof(double) / mr;
  size_t seen = 0;
  for (size_t i0 = 0; i0 * mr < p && seen < part->hi; i0 += block) {
    for (size_t q = i0 * mr / nr; q * nr < p && seen < part->hi; q++) {
      const size_t diagonal = q * nr / mr; /* the last row panel that is not all below */
      const size_t count = min_size(i0 + block, diagonal + 1) - i0;
      const size_t lo = part->lo > seen ? part->lo - seen : 0;
      const size_t hi = min_size(count, part->hi - seen);
      if (!pack && lo < hi) {
        part->columns.begin = min_size(part->columns.begin, i0 * mr);
        part->columns.end = max_size(part->columns.end, min_size((q + 1) * nr, p));
      }
      for (size_t i = lo; pack && i < hi; i++) {
        gram_tile(job, pack, kc, i0 + i, q, load);
      }
      seen += count;
    }
  }
}

/* How many tiles gram_walk() has: slice q meets the row panels 0 .. q * nr / mr. */
static size_t gram_n_tiles(const kernels_d *ks, size_t p)
{
  size_t n = 0;
  for (size_t j = 0; j < p; j += ks->nr) {
    n += j / ks->mr + 1;
  }
  return n;
}

/* What one thread does: its part of the tiles, over all the rows. */
static void gram_share(const gram_job *job, range rows, range tiles, int load, size_t thread,
                       size_t threads)
{
  double *pack = job->pack + thread * job->pack_size;
  const range mine = part_of(tiles, 1, thread, threads);
  gram_part part = {mine.begin, mine.end, {SIZE_MAX, 0}};
  gram_walk(job, &part, NULL, 0, 0);
  if (part.lo == part.hi) {
    return;
  }
  for (size_t r = rows.begin; r < rows.end; r += KC) {
    const size_t kc = min_size(KC, rows.end - r);
    gram_pack(job, pack, part.columns, r, kc);
    gram_walk(job, &part, pack, kc, load || r > rows.begin);
  }
}

static void gram_run(const gram_job *job, range rows, range tiles, int load, int threads)
{
#ifdef _OPENMP
  if (threads > 1) {
#pragma omp parallel num_threads(threads)
    gram_share(job, rows, tiles, load, (size_t)omp_get_thread_num(), (size_t)omp_get_num_threads());
    return;
  }
#endif
  (void)threads;
  gram_share(job, rows, tiles, load, 0, 1);
}

/* All rows, region after region: many blocks of rows, or one with a part of the tiles. */
static void gram_regions(const gram_job *job, range rows, int threads, double row_flops,
                         const mrl_ctx *ctx)
{
  const double most = region_flops(job->ks->len * sizeof(double), threads);
  const size_t height = units_within(most / row_flops, KC, rows.end - rows.begin);
  const size_t tiles = gram_n_tiles(job->ks, job->columns->p);
  const double row_tile_flops = row_flops / (double)tiles;
  const size_t width = units_within(most / row_tile_flops / (double)height, 1, tiles);
  double work = 0;
  for (size_t r = rows.begin; r < rows.end; r += height) {
    const range some_rows = {r, min_size(r + height, rows.end)};
    for (size_t t = 0; t < tiles; t += width) {
      const range some_tiles = {t, min_size(t + width, tiles)};
      work = poll_after(work, row_tile_flops * (double)height * (double)width, most, ctx);
      gram_run(job, some_rows, some_tiles, job->accumulate || r > rows.begin, threads);
    }
  }
}

static void gram_carve(mrl_arena *arena, gram_job *job, size_t p, int threads)
{
  job->pack_size = KC * round_up(p, 8);
  job->pack = MRL_TAKE(arena, double, job->pack_size *(size_t)threads);
}

size_t mrl_gram_scratch(size_t p, const mrl_ctx *ctx)
{
  mrl_arena arena = mrl_arena_measure();
  gram_job job;
  gram_carve(&arena, &job, p, ctx->n_threads);
  return arena.failed ? SIZE_MAX : arena.used;
}

/* The upper triangle of g (p, p) into the lower, in squares that a cache holds. */
static void gram_mirror(double *g, size_t p, const mrl_ctx *ctx)
{
  const size_t side = 64;
  for (size_t j0 = 0; j0 < p; j0 += side) {
    for (size_t i0 = 0; i0 <= j0; i0 += side) {
      for (size_t j = j0; j < min_size(j0 + side, p); j++) {
        for (size_t i = i0; i < min_size(i0 + side, j); i++) {
          g[j + i * p] = g[i + j * p];
        }
      }
    }
    if (p > 1000) { /* a strip of 64 columns takes far less than 0.1 s, all of them do not */
      mrl_poll(ctx);
    }
  }
}

mrl_status mrl_gram(double *g, const mrl_columns *columns, size_t first, size_t count,
                    int accumulate, void *scratch, mrl_isa isa, const mrl_ctx *ctx)
{
  const size_t p = columns->p;
  if (first > columns->n || count > columns->n - first) {
    return MRL_BAD_ARGUMENT;
  }
  if (p == 0 || count == 0) {
    if (!accumulate && p > 0) {
      clear_d(g, p, p, p);
    }
    return MRL_OK;
  }
  gram_job job = {.columns = columns, .g = g, .accumulate = accumulate};
  job.ks = kernels_for_d(isa);
  mrl_arena arena = mrl_arena_over(scratch, mrl_gram_scratch(p, ctx));
  gram_carve(&arena, &job, p, ctx->n_threads);
  if (!scratch || arena.failed) {
    return MRL_NO_MEMORY;
  }
  /* Packing a column takes about as long as 16 columns more would. */
  const double row_flops = (double)p * (double)(p + 32);
  const range rows = {first, first + count};
  const int threads =
      threads_for_flops(row_flops * (double)count, job.ks->len * sizeof(double), ctx);
  gram_regions(&job, rows, fewer(threads, gram_n_tiles(job.ks, p)), row_flops, ctx);
  gram_mirror(g, p, ctx);
  return MRL_OK;
}
