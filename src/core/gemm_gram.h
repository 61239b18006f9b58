/*
 * Crossproducts over n, the last part of gemm.c: KC rows of all columns at a time are packed (read
 * once, in order) into panels of mr columns; a panel serves as a as it is, and a slice of nr of its
 * columns as b. Only tiles that touch the upper triangle are computed.
 */

/* The pairs of panels that a parallel region computes, for the rows that it packs. */
typedef struct {
  const kernels_d *ks;
  const mrl_columns *columns;
  double *g;
  double *pack;          /* KC x p rounded up, panel after panel */
  size_t first, count;   /* rows, KC at most at a time */
  size_t tile0, n_tiles; /* of the tiles in the order of gram_tiles() */
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
  for (size_t r = 0; r < kc; r++, dst += stride) {
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

static void gram_pack(const gram_block *bl, size_t first, size_t kc, size_t part, size_t parts)
{
  const size_t mr = bl->ks->mr, p = bl->columns->p;
  const size_t last = (p - 1) / mr, fours = (last * mr + gram_stride(bl->ks, p, last)) / 4;
  for (size_t f = fours * part / parts; f < fours * (part + 1) / parts; f++) {
    const size_t j = f * 4, panel = j / mr, stride = gram_stride(bl->ks, p, panel);
    double *dst = bl->pack + panel * mr * kc + j % mr;
    if (j + 4 <= p) {
      gram_pack_four(dst, stride, bl->columns, j, first, kc);
    } else {
      for (size_t i = 0; i < 4; i++) {
        gram_pack_one(dst + i, stride, bl->columns, j + i, first, kc);
      }
    }
  }
}

static void gram_tile(const gram_block *bl, size_t kc, size_t i, size_t q, int load)
{
  const size_t mr = bl->ks->mr, nr = bl->ks->nr, p = bl->columns->p;
  const size_t j = q * nr, b_panel = j / mr;
  tile_d(bl->ks, kc, bl->pack + i * mr * kc, gram_stride(bl->ks, p, i),
         bl->pack + b_panel * mr * kc + j % mr, gram_stride(bl->ks, p, b_panel),
         bl->g + i * mr + j * p, p, min_size(mr, p - i * mr), min_size(nr, p - j), load);
}

/*
 * Walks over the tiles that touch the upper triangle, in an order in which a slice of b is reused
 * for the row panels of a block, and those for all slices; computes the tiles lo .. hi - 1 of it
 * (bl may be NULL if there are none). Returns the number of tiles in all.
 */
static size_t gram_tiles(const gram_block *bl, const kernels_d *ks, size_t p, size_t kc, size_t lo,
                         size_t hi, int load)
{
  const size_t mr = ks->mr, nr = ks->nr, block = MC_BYTES / sizeof(double) / mr;
  const size_t row_panels = (p + mr - 1) / mr, slices = (p + nr - 1) / nr;
  size_t seen = 0;
  for (size_t i0 = 0; i0 < row_panels; i0 += block) {
    for (size_t q = i0 * mr / nr; q < slices; q++) {
      const size_t diagonal = q * nr / mr; /* the last row panel that is not all below */
      const size_t i1 = min_size(i0 + block, diagonal + 1), count = i1 - i0;
      for (size_t i = i0; i < i1 && seen + count > lo && seen < hi; i++) {
        if (seen + (i - i0) >= lo && seen + (i - i0) < hi) {
          gram_tile(bl, kc, i, q, load);
        }
      }
      seen += count;
    }
  }
  return seen;
}

static void gram_multiply(const gram_block *bl, size_t kc, int load, size_t part, size_t parts)
{
  gram_tiles(bl, bl->ks, bl->columns->p, kc, bl->tile0 + bl->n_tiles * part / parts,
             bl->tile0 + bl->n_tiles * (part + 1) / parts, load);
}

static void gram_run(const gram_block *bl, int threads)
{
#ifdef _OPENMP
  if (threads > 1) {
#pragma omp parallel num_threads(threads)
    {
      const size_t part = (size_t)omp_get_thread_num(), parts = (size_t)omp_get_num_threads();
      for (size_t r = 0; r < bl->count; r += KC) {
        const size_t kc = min_size(KC, bl->count - r);
        if (bl->tile0 == 0) {
          gram_pack(bl, bl->first + r, kc, part, parts);
#pragma omp barrier
        }
        gram_multiply(bl, kc, bl->load || r > 0, part, parts);
#pragma omp barrier
      }
    }
    return;
  }
#endif
  (void)threads;
  for (size_t r = 0; r < bl->count; r += KC) {
    const size_t kc = min_size(KC, bl->count - r);
    if (bl->tile0 == 0) {
      gram_pack(bl, bl->first + r, kc, 0, 1);
    }
    gram_multiply(bl, kc, bl->load || r > 0, 0, 1);
  }
}

static void gram_carve(mrl_arena *arena, gram_block *bl, size_t p)
{
  bl->pack = MRL_TAKE(arena, double, KC *round_up(p, 8));
}

size_t mrl_gram_scratch(size_t p, const mrl_ctx *ctx)
{
  (void)ctx;
  mrl_arena arena = mrl_arena_measure();
  gram_block bl;
  gram_carve(&arena, &bl, p);
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
    if (p > 1000) {
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
  gram_block bl = {.ks = kernels_for_d(isa), .columns = columns, .g = g};
  mrl_arena arena = mrl_arena_over(scratch, mrl_gram_scratch(p, ctx));
  gram_carve(&arena, &bl, p);
  if (!scratch || arena.failed) {
    return MRL_NO_MEMORY;
  }
  const size_t tiles = gram_tiles(NULL, bl.ks, p, 0, 0, 0, 0);
  /* Packing costs about as much as 16 columns more. */
  const double row_flops = 2.0 * (double)(tiles * bl.ks->mr * bl.ks->nr) + 32.0 * (double)p;
  const double rows = (double)REGION_FLOPS / row_flops / KC;
  const size_t blocks = rows < 1 ? 1 : (size_t)rows; /* of KC rows in one region */
  const size_t chunks = rows < 1 ? (size_t)(1 / rows) + 1 : 1;
  const int threads = threads_for_flops(row_flops * (double)min_size(count, KC), ctx);
  double work = 0;
  for (size_t r = 0; r < count; r += blocks * KC) {
    bl.first = first + r;
    bl.count = min_size(blocks * KC, count - r);
    bl.load = accumulate || r > 0;
    for (size_t chunk = 0; chunk < chunks; chunk++) {
      bl.tile0 = tiles * chunk / chunks;
      bl.n_tiles = tiles * (chunk + 1) / chunks - bl.tile0;
      work = poll_after(work, row_flops * (double)bl.count / (double)chunks, ctx);
      gram_run(&bl, threads);
    }
  }
  gram_mirror(g, p, ctx);
  return MRL_OK;
}
