/*
 * Crossproducts over n, the last part of gemm.c: KC rows of all columns at a time are packed (read
 * once, in order) into panels of mr columns; a panel serves as a as it is, and a slice of nr of its
 * columns as b. Only tiles that touch the upper triangle are computed.
 */

/* What a parallel region computes: some of the tiles, over some rows. */
typedef struct {
  const kernels_d *ks;
  const mrl_columns *columns;
  double *g;
  double *pack;          /* blocks of KC rows, each round_up(p, 8) wide, panel after panel */
  size_t first, count;   /* rows */
  size_t stage;          /* rows packed at a time, a multiple of KC */
  size_t tile0, n_tiles; /* of the tiles in the order of gram_tiles(); tile0 > 0: all is packed */
  int load;              /* add to g */
} gram_block;

/* dst[r * stride + 0..3] = 4 columns, shifted and scaled, rows first .. first + kc - 1. No multiply
 * feeds an add here, so that nothing can be fused and all paths round alike. */
static void gram_pack_four(double *dst, size_t stride, const mrl_columns *x, size_t j, size_t first,
                           size_t kc)
{
  typedef double pair __attribute__((vector_size(16)));
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

/* The share of one thread in packing kc rows. */
static void gram_pack(const gram_block *bl, double *pack, size_t first, size_t kc, size_t part,
                      size_t parts)
{
  const size_t mr = bl->ks->mr, p = bl->columns->p;
  const size_t last = (p - 1) / mr, fours = (last * mr + gram_stride(bl->ks, p, last)) / 4;
  for (size_t f = fours * part / parts; f < fours * (part + 1) / parts; f++) {
    const size_t j = f * 4, panel = j / mr, stride = gram_stride(bl->ks, p, panel);
    double *dst = pack + panel * mr * kc + j % mr;
    if (j + 4 <= p) {
      gram_pack_four(dst, stride, bl->columns, j, first, kc);
    } else {
      for (size_t i = 0; i < 4; i++) {
        gram_pack_one(dst + i, stride, bl->columns, j + i, first, kc);
      }
    }
  }
}

/* Row panel i by slice q of kc packed rows. */
static void gram_tile(const gram_block *bl, const double *pack, size_t kc, size_t i, size_t q,
                      int load)
{
  const size_t mr = bl->ks->mr, nr = bl->ks->nr, p = bl->columns->p;
  const size_t j = q * nr, b_panel = j / mr;
  const tile_d t = {
      .a = pack + i * mr * kc,
      .lda = gram_stride(bl->ks, p, i),
      .b = pack + b_panel * mr * kc + j % mr,
      .ldb = gram_stride(bl->ks, p, b_panel),
      .c = bl->g + i * mr + j * p,
      .row_step = 1,
      .col_step = p,
      .rows = min_size(mr, p - i * mr),
      .cols = min_size(nr, p - j),
      .kc = kc,
      .load = load,
  };
  run_tile_d(bl->ks, &t);
}

/*
 * Walks over the tiles that touch the upper triangle, in an order in which a slice of b serves all
 * row panels of a block, and the block all slices; computes the tiles lo .. hi - 1 of it.
 */
static void gram_tiles(const gram_block *bl, const double *pack, size_t kc, size_t lo, size_t hi,
                       int load)
{
  const size_t mr = bl->ks->mr, nr = bl->ks->nr, p = bl->columns->p;
  const size_t block = MC_BYTES / sizeof(double) / mr;
  const size_t row_panels = (p + mr - 1) / mr, slices = (p + nr - 1) / nr;
  size_t seen = 0;
  for (size_t i0 = 0; i0 < row_panels && seen < hi; i0 += block) {
    for (size_t q = i0 * mr / nr; q < slices && seen < hi; q++) {
      const size_t diagonal = q * nr / mr; /* the last row panel that is not all below */
      const size_t count = min_size(i0 + block, diagonal + 1) - i0;
      for (size_t i = 0; i < count && seen + count > lo; i++) {
        if (seen + i >= lo && seen + i < hi) {
          gram_tile(bl, pack, kc, i0 + i, q, load);
        }
      }
      seen += count;
    }
  }
}

/* How many tiles gram_tiles() has: slice q meets the row panels 0 .. q * nr / mr. */
static size_t gram_n_tiles(const kernels_d *ks, size_t p)
{
  size_t n = 0;
  for (size_t j = 0; j < p; j += ks->nr) {
    n += j / ks->mr + 1;
  }
  return n;
}

/* All threads wait for each other; nothing outside of a parallel region. */
static void gram_wait(void)
{
#ifdef _OPENMP
#pragma omp barrier
#endif
}

/* The share of one thread in the block. */
static void gram_share(const gram_block *bl, size_t part, size_t parts)
{
  const size_t width = round_up(bl->columns->p, 8);
  const size_t lo = bl->tile0 + bl->n_tiles * part / parts;
  const size_t hi = bl->tile0 + bl->n_tiles * (part + 1) / parts;
  for (size_t r = 0; r < bl->count; r += bl->stage) {
    const size_t rows = min_size(bl->stage, bl->count - r);
    if (r > 0) {
      gram_wait(); /* until nobody reads what was packed before */
    }
    if (bl->tile0 == 0) {
      for (size_t s = 0; s < rows; s += KC) {
        gram_pack(bl, bl->pack + s * width, bl->first + r + s, min_size(KC, rows - s), part, parts);
      }
      gram_wait();
    }
    for (size_t s = 0; s < rows; s += KC) {
      gram_tiles(bl, bl->pack + s * width, min_size(KC, rows - s), lo, hi, bl->load || r + s > 0);
    }
  }
}

static void gram_run(const gram_block *bl, int threads)
{
#ifdef _OPENMP
  if (threads > 1) {
#pragma omp parallel num_threads(threads)
    gram_share(bl, (size_t)omp_get_thread_num(), (size_t)omp_get_num_threads());
    return;
  }
#endif
  (void)threads;
  gram_share(bl, 0, 1);
}

/* Rows packed at a time: one thread has no need to pack more than the cache likes. */
static size_t gram_stage(size_t p, const mrl_ctx *ctx)
{
  const size_t block_bytes = KC * round_up(p, 8) * sizeof(double);
  return ctx->n_threads > 1 && block_bytes < STAGE_BYTES ? STAGE_BYTES / block_bytes * KC : KC;
}

static void gram_carve(mrl_arena *arena, gram_block *bl, size_t p, const mrl_ctx *ctx)
{
  bl->stage = gram_stage(p, ctx);
  bl->pack = MRL_TAKE(arena, double, bl->stage *round_up(p, 8));
}

size_t mrl_gram_scratch(size_t p, const mrl_ctx *ctx)
{
  mrl_arena arena = mrl_arena_measure();
  gram_block bl;
  gram_carve(&arena, &bl, p, ctx);
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

/* All rows, in regions of REGION_FLOPS: many stages of few tiles, or a part of the tiles of one. */
static void gram_regions(gram_block *bl, size_t first, size_t count, int accumulate,
                         const mrl_ctx *ctx)
{
  const size_t p = bl->columns->p, tiles = gram_n_tiles(bl->ks, p);
  /* Packing a column takes about as long as 16 columns more would. */
  const double row_flops = 2.0 * (double)(tiles * bl->ks->mr * bl->ks->nr) + 32.0 * (double)p;
  const double stages = (double)REGION_FLOPS / row_flops / (double)bl->stage;
  const size_t rows = (stages < 1 ? 1 : (size_t)stages) * bl->stage;
  const size_t chunks = stages < 1 ? (size_t)(1 / stages) + 1 : 1;
  const int threads = threads_for_flops(row_flops * (double)min_size(count, bl->stage), ctx);
  double work = 0;
  for (size_t r = 0; r < count; r += rows) {
    bl->first = first + r;
    bl->count = min_size(rows, count - r);
    bl->load = accumulate || r > 0;
    for (size_t chunk = 0; chunk < chunks; chunk++) {
      bl->tile0 = tiles * chunk / chunks;
      bl->n_tiles = tiles * (chunk + 1) / chunks - bl->tile0;
      work = poll_after(work, row_flops * (double)bl->count / (double)chunks, ctx);
      gram_run(bl, threads);
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
  gram_block bl = {.ks = kernels_for_d(isa), .columns = columns, .g = g};
  mrl_arena arena = mrl_arena_over(scratch, mrl_gram_scratch(p, ctx));
  gram_carve(&arena, &bl, p, ctx);
  if (!scratch || arena.failed) {
    return MRL_NO_MEMORY;
  }
  gram_regions(&bl, first, count, accumulate, ctx);
  gram_mirror(g, p, ctx);
  return MRL_OK;
}
