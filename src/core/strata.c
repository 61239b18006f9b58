#include "strata.h"

#include "mr_order.h"
#include "rng.h"
#include "strata_part.h"

#include <math.h>
#include <string.h>

/* What the random numbers of a repeat are for: its streams. */
enum { DRAW_Z, DRAW_RANK, DRAW_OUT, N_DRAW };

typedef struct {
  mrl_weighted *item, *spare;   /* (n) for sorting; the weight is the row */
  size_t *by_z, *by_rank;       /* (n) rows in order, once for all repeats */
  size_t *order;                /* (n) the same with ties shuffled */
  size_t *block;                /* (n) pre-stratum of each row */
  size_t *rank;                 /* (n) people of a pre-stratum seen so far */
  double *sorted;               /* (n) rank_by within pre-strata, one after the other */
  int *stratum;                 /* (n) 0: left out */
  size_t *row, *start, *next;   /* (n), (n_strata + 1) twice: people by stratum */
  unsigned char *effect_memory; /* effect_size bytes for each thread */
  size_t effect_size;
} strata_work;

static size_t smaller(size_t a, size_t b)
{
  return a < b ? a : b;
}

static size_t n_blocks(size_t n, const mrl_strata_settings *s)
{
  return (n - 1) / s->pre_size + 1;
}

/* People of a pre-stratum of `size` who come before stratum k (0-based). */
static size_t people_before(size_t k, size_t size, const mrl_strata_settings *s)
{
  if (s->rule == MRL_STRATA_FILL) {
    return smaller(k * (s->pre_size / s->n_strata), size);
  }
  return k * (size / s->n_strata) + smaller(k, size % s->n_strata);
}

/* The stratum (0-based) of rank r among `size`. */
static size_t stratum_of(size_t r, size_t size, const mrl_strata_settings *s)
{
  if (s->rule == MRL_STRATA_FILL) {
    return r / (s->pre_size / s->n_strata);
  }
  const size_t each = size / s->n_strata, more = size % s->n_strata;
  const size_t in_larger = more * (each + 1);
  return r < in_larger ? r / (each + 1) : more + (r - in_larger) / each;
}

/* The most people that a stratum can have. */
static size_t largest_stratum(size_t n, const mrl_strata_settings *s)
{
  const size_t block = smaller(n, s->pre_size);
  const size_t each = s->rule == MRL_STRATA_FILL ? s->pre_size / s->n_strata
                                                 : (block + s->n_strata - 1) / s->n_strata;
  return smaller(n, each * n_blocks(n, s));
}

/* One pre-stratum where they are larger than the data, so that no size overflows. */
static mrl_strata_settings bounded(const mrl_strata_data *data, const mrl_strata_settings *settings)
{
  mrl_strata_settings s = *settings;
  const size_t everybody = (data->n / s.n_strata + 1) * s.n_strata;
  s.pre_size = smaller(s.pre_size, everybody);
  return s;
}

static void carve(strata_work *work, const mrl_strata_data *data, const mrl_strata_settings *s,
                  const mrl_ctx *ctx, mrl_arena *arena)
{
  const size_t n = data->n;
  work->item = MRL_TAKE(arena, mrl_weighted, n);
  work->spare = MRL_TAKE(arena, mrl_weighted, n);
  work->by_z = MRL_TAKE(arena, size_t, n);
  work->by_rank = MRL_TAKE(arena, size_t, n);
  work->order = MRL_TAKE(arena, size_t, n);
  work->block = MRL_TAKE(arena, size_t, n);
  work->rank = MRL_TAKE(arena, size_t, n_blocks(n, s));
  work->sorted = MRL_TAKE(arena, double, n);
  work->stratum = MRL_TAKE(arena, int, n);
  work->row = MRL_TAKE(arena, size_t, n);
  work->start = MRL_TAKE(arena, size_t, s->n_strata + 1);
  work->next = MRL_TAKE(arena, size_t, s->n_strata + 1);
  work->effect_size = mrl_strata_effect_scratch(data, s, largest_stratum(n, s));
  const size_t threads = ctx->n_threads > 0 ? (size_t)ctx->n_threads : 1;
  work->effect_memory = mrl_take(arena, threads, work->effect_size);
}

size_t mrl_strata_scratch(const mrl_strata_data *data, const mrl_strata_settings *settings,
                          const mrl_ctx *ctx)
{
  strata_work work;
  mrl_arena arena = mrl_arena_measure();
  const mrl_strata_settings s = bounded(data, settings);
  carve(&work, data, &s, ctx, &arena);
  return arena.failed ? 0 : arena.used;
}

/* order (n): the rows of `from` (NULL: all in their order) by value, equal ones as they came.
 * Returns how many people share their value. */
static size_t order_by(size_t *order, const double *value, const size_t *from, strata_work *work,
                       size_t n)
{
  for (size_t i = 0; i < n; i++) {
    const size_t row = from ? from[i] : i;
    work->item[i] = (mrl_weighted){value[row], (double)row};
  }
  mrl_sort_weighted(work->item, work->spare, n);
  size_t tied = 0;
  for (size_t i = 0; i < n; i++) {
    const double v = work->item[i].value;
    order[i] = (size_t)work->item[i].weight;
    tied += (i > 0 && work->item[i - 1].value == v) || (i + 1 < n && work->item[i + 1].value == v);
  }
  return tied;
}

static mrl_rng repeat_stream(const mrl_strata_settings *s, size_t repeat, size_t draw)
{
  return mrl_rng_stream(s->seed, MRL_RNG_STRATA, (uint64_t)repeat * N_DRAW + draw);
}

/* work->order = from, with rows of equal value in random order. */
static void shuffle_ties(strata_work *work, const size_t *from, const double *value, size_t n,
                         mrl_rng rng)
{
  size_t *order = work->order;
  memcpy(order, from, n * sizeof *order);
  for (size_t first = 0, end; first < n; first = end) {
    for (end = first + 1; end < n && value[order[end]] == value[order[first]]; end++) {
    }
    for (size_t left = end - first; left > 1; left--) {
      const size_t a = first + left - 1, b = first + (size_t)mrl_rng_below(&rng, left);
      const size_t row = order[a];
      order[a] = order[b];
      order[b] = row;
    }
  }
}

/* Whom this repeat goes without: stratum -1. */
static void leave_out(strata_work *work, size_t n, const mrl_strata_settings *s, size_t repeat)
{
  memset(work->stratum, 0, n * sizeof *work->stratum);
  mrl_rng rng = repeat_stream(s, repeat, DRAW_OUT);
  for (size_t k = 0; k < s->leave_out; k++) {
    size_t row;
    do {
      row = (size_t)mrl_rng_below(&rng, n);
    } while (work->stratum[row] < 0);
    work->stratum[row] = -1;
  }
}

/* The order of one variable in this repeat. */
static const size_t *repeat_order(strata_work *work, const size_t *order, const double *value,
                                  size_t tied, size_t n, const mrl_strata_settings *s,
                                  size_t repeat, size_t draw)
{
  if (!s->random_ties || tied == 0) {
    return order;
  }
  shuffle_ties(work, order, value, n, repeat_stream(s, repeat, draw));
  return work->order;
}

/* Pre-strata: neighbours in the order of the instrument. */
static void assign_blocks(strata_work *work, const size_t *order, size_t n,
                          const mrl_strata_settings *s)
{
  size_t place = 0;
  for (size_t i = 0; i < n; i++) {
    if (work->stratum[order[i]] >= 0) {
      work->block[order[i]] = place++ / s->pre_size;
    }
  }
}

/* Strata: by rank within the pre-stratum. kept: people who are not left out. */
static void assign_strata(strata_work *work, const size_t *order, const double *value, size_t n,
                          size_t kept, const mrl_strata_settings *s)
{
  const size_t blocks = n_blocks(kept, s), last = kept - (blocks - 1) * s->pre_size;
  memset(work->rank, 0, blocks * sizeof *work->rank);
  for (size_t i = 0; i < n; i++) {
    const size_t row = order[i];
    if (work->stratum[row] < 0) {
      work->stratum[row] = 0;
      continue;
    }
    const size_t block = work->block[row], rank = work->rank[block]++;
    work->sorted[block * s->pre_size + rank] = value[row];
    work->stratum[row] = 1 + (int)stratum_of(rank, block + 1 < blocks ? s->pre_size : last, s);
  }
}

/* Rows by stratum, in the order of the data. */
static void gather_people(strata_work *work, size_t n, size_t n_strata)
{
  memset(work->start, 0, (n_strata + 1) * sizeof *work->start);
  for (size_t i = 0; i < n; i++) {
    work->start[work->stratum[i]]++; /* those left out are counted before the first stratum */
  }
  work->start[0] = 0;
  for (size_t k = 0; k < n_strata; k++) {
    work->start[k + 1] += work->start[k];
  }
  memcpy(work->next, work->start, n_strata * sizeof *work->next);
  for (size_t i = 0; i < n; i++) {
    if (work->stratum[i] > 0) {
      work->row[work->next[work->stratum[i] - 1]++] = i;
    }
  }
}

/* The least and the greatest rank (from 1) that place p of `size` sorted values may have. */
static size_t lowest_rank(const double *sorted, size_t p)
{
  while (p > 0 && sorted[p - 1] == sorted[p]) {
    p--;
  }
  return p + 1;
}

static size_t highest_rank(const double *sorted, size_t p, size_t size)
{
  while (p + 1 < size && sorted[p + 1] == sorted[p]) {
    p++;
  }
  return p + 1;
}

/* Gelman-Rubin statistic of two chains of `length` numbers with these sums and sums of squares. */
static double gelman_rubin(const double sum[2], const double square[2], double length)
{
  double within = 0;
  for (int c = 0; c < 2; c++) {
    within += (square[c] - sum[c] * sum[c] / length) / (length - 1) / 2;
  }
  const double apart = (sum[0] - sum[1]) / length, between = length * apart * apart / 2;
  if (!(within > 1e-12)) { /* of whole numbers: nothing but rounding is so small */
    return between > 1e-12 ? INFINITY : 1;
  }
  return sqrt(((length - 1) / length * within + between / length) / within);
}

/* Do equal exposures leave the ranks alike from the low to the high end of the instrument? */
static void rank_check(double *effect, const strata_work *work, size_t kept,
                       const mrl_strata_settings *s)
{
  const size_t size = s->pre_size, length = kept / size / 2;
  for (size_t k = 0; k < s->n_strata; k++) {
    double *out = effect + k * MRL_STRATUM_N_COLUMN;
    out[MRL_STRATUM_GR_LOW] = out[MRL_STRATUM_GR_HIGH] = NAN;
    const size_t first = people_before(k, size, s), end = people_before(k + 1, size, s);
    if (length < 2 || first == end) {
      continue;
    }
    double low[2] = {0}, low2[2] = {0}, high[2] = {0}, high2[2] = {0};
    for (size_t b = 0; b < 2 * length; b++) {
      const double *sorted = work->sorted + b * size;
      const double l = (double)lowest_rank(sorted, first);
      const double h = (double)highest_rank(sorted, end - 1, size);
      const int chain = b >= length;
      low[chain] += l;
      low2[chain] += l * l;
      high[chain] += h;
      high2[chain] += h * h;
    }
    out[MRL_STRATUM_GR_LOW] = gelman_rubin(low, low2, (double)length);
    out[MRL_STRATUM_GR_HIGH] = gelman_rubin(high, high2, (double)length);
  }
}

/* The regressions of all strata; the first status that is not MRL_OK, by stratum. */
static mrl_status estimate(double *effect, const strata_work *work, const mrl_strata_data *data,
                           const mrl_strata_settings *s, const mrl_ctx *ctx)
{
  const size_t n_strata = s->n_strata;
  const int threads = ctx->n_threads > 0 ? ctx->n_threads : 1;
  int failed = 0;
  /* Strata of one thread lie `threads` apart: no thread number is needed to share memory out. */
#pragma omp parallel for schedule(static, 1) num_threads(threads) reduction(max : failed)
  for (int t = 0; t < threads; t++) {
    for (size_t k = (size_t)t; k < n_strata; k += (size_t)threads) {
      const size_t *row = work->row + work->start[k];
      const mrl_status status = mrl_strata_effect(
          effect + k * MRL_STRATUM_N_COLUMN, data, row, work->start[k + 1] - work->start[k], s,
          work->effect_memory + (size_t)t * work->effect_size, work->effect_size);
      failed = (int)status > failed ? (int)status : failed;
    }
  }
  return (mrl_status)failed;
}

static mrl_status run_repeat(mrl_strata *out, strata_work *work, const mrl_strata_data *data,
                             const mrl_strata_settings *s, size_t repeat, const mrl_ctx *ctx)
{
  const size_t n = data->n, kept = n - s->leave_out;
  double *effect = out->effect + repeat * s->n_strata * MRL_STRATUM_N_COLUMN;
  leave_out(work, n, s, repeat);
  assign_blocks(work, repeat_order(work, work->by_z, data->z, out->tied_z, n, s, repeat, DRAW_Z), n,
                s);
  mrl_poll(ctx);
  const size_t *order =
      repeat_order(work, work->by_rank, data->rank_by, out->tied_ranks, n, s, repeat, DRAW_RANK);
  assign_strata(work, order, data->rank_by, n, kept, s);
  if (repeat == 0) {
    memcpy(out->stratum, work->stratum, n * sizeof *out->stratum);
  }
  mrl_poll(ctx);
  gather_people(work, n, s->n_strata);
  rank_check(effect, work, kept, s);
  mrl_poll(ctx);
  MRL_TRY(estimate(effect, work, data, s, ctx));
  mrl_poll(ctx);
  return MRL_OK;
}

mrl_status mrl_strata_run(mrl_strata *out, const mrl_strata_data *data,
                          const mrl_strata_settings *settings, void *scratch, size_t scratch_size,
                          const mrl_ctx *ctx)
{
  const mrl_strata_settings s = bounded(data, settings);
  strata_work work;
  mrl_arena arena = mrl_arena_over(scratch, scratch_size);
  carve(&work, data, &s, ctx, &arena);
  if (arena.failed) {
    return MRL_NO_MEMORY;
  }
  out->tied_z = order_by(work.by_z, data->z, NULL, &work, data->n);
  mrl_poll(ctx);
  out->tied_ranks = order_by(work.by_rank, data->rank_by, work.by_z, &work, data->n);
  mrl_poll(ctx);
  for (size_t repeat = 0; repeat < s.n_repeat; repeat++) {
    MRL_TRY(run_repeat(out, &work, data, &s, repeat, ctx));
  }
  return MRL_OK;
}
