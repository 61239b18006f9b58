#include "mr_group.h"

#include <math.h>
#include <string.h>

/* Rows between two polls: a few milliseconds. */
enum { POLL_EVERY = 1 << 20 };

/* Hash tables have a power of two of places, at most half of them taken, and are probed in line. */
static size_t table_places(size_t n)
{
  size_t places = 16;
  while (places < 2 * n) {
    places *= 2;
  }
  return places;
}

/* Fibonacci hashing: the high bits of a product with 2^64 / golden ratio. */
static size_t mix(uint64_t x, size_t places)
{
  const uint64_t hash = x * UINT64_C(0x9E3779B97F4A7C15);
  return (size_t)((hash ^ hash >> 32) & (places - 1));
}

static size_t hash_name(mrl_name name, size_t places)
{
  return mix((uint64_t)(uintptr_t)name >> 3, places);
}

static size_t hash_pair(const mrl_mr_pairs *pairs, size_t i, size_t places)
{
  const uint64_t x = (uint64_t)(uintptr_t)pairs->exposure[i] >> 3;
  const uint64_t y = (uint64_t)(uintptr_t)pairs->outcome[i] >> 3;
  return mix(x * 31 + (y ^ y << 29), places);
}

static int same_pair(const mrl_mr_pairs *pairs, size_t i, size_t j)
{
  return pairs->exposure[i] == pairs->exposure[j] && pairs->outcome[i] == pairs->outcome[j];
}

size_t mrl_mr_count_runs(const mrl_mr_pairs *pairs)
{
  size_t runs = pairs->n > 0;
  for (size_t i = 1; i < pairs->n; i++) {
    runs += !same_pair(pairs, i, i - 1);
  }
  return runs;
}

size_t mrl_mr_group_scratch(size_t n_runs)
{
  return table_places(n_runs) * sizeof(int);
}

/* The group of row i, which gets a new number if its pair has none. table: numbers + 1, 0 free. */
static int find_group(int *table, size_t places, int *first, size_t *n_groups,
                      const mrl_mr_pairs *pairs, size_t i)
{
  size_t at = hash_pair(pairs, i, places);
  while (table[at] > 0) {
    const int group = table[at] - 1;
    if (same_pair(pairs, i, (size_t)first[group])) {
      return group;
    }
    at = (at + 1) & (places - 1);
  }
  const int group = (int)(*n_groups)++;
  first[group] = (int)i;
  table[at] = group + 1;
  return group;
}

mrl_status mrl_mr_group(int *group, int *first, size_t *n_groups, const mrl_mr_pairs *pairs,
                        size_t n_runs, void *scratch, size_t scratch_size, const mrl_ctx *ctx)
{
  const size_t places = table_places(n_runs);
  int *table = scratch;
  if (scratch_size < places * sizeof *table) {
    return MRL_NO_MEMORY;
  }
  memset(table, 0, places * sizeof *table);
  *n_groups = 0;
  for (size_t i = 0; i < pairs->n; i++) {
    group[i] = i > 0 && same_pair(pairs, i, i - 1)
                   ? group[i - 1]
                   : find_group(table, places, first, n_groups, pairs, i);
    if (i % POLL_EVERY == 0) {
      mrl_poll(ctx);
    }
  }
  return MRL_OK;
}

static mrl_mr_fate fate_of(const mrl_mr_rows *rows, size_t i)
{
  const mrl_mr_data *d = &rows->data;
  if (rows->keep[i] != 1) {
    return rows->keep[i] == 0 ? MRL_MR_DROP_KEEP_FALSE : MRL_MR_DROP_KEEP_NA;
  }
  if (!isfinite(d->bx[i]) || !isfinite(d->sx[i]) || !isfinite(d->by[i]) || !isfinite(d->sy[i])) {
    return MRL_MR_DROP_NOT_FINITE;
  }
  return d->sx[i] > 0 && d->sy[i] > 0 ? MRL_MR_USABLE : MRL_MR_DROP_SE;
}

int mrl_mr_usable(size_t *start, size_t *count, const mrl_mr_rows *rows)
{
  int sorted = 1;
  memset(start, 0, (rows->n_groups + 1) * sizeof *start);
  memset(count, 0, MRL_MR_N_FATE * sizeof *count);
  for (size_t i = 0; i < rows->data.n; i++) {
    const mrl_mr_fate fate = fate_of(rows, i);
    count[fate]++;
    start[rows->group[i] + 1] += fate == MRL_MR_USABLE;
    sorted &= i == 0 || rows->group[i] >= rows->group[i - 1];
  }
  for (size_t g = 0; g < rows->n_groups; g++) {
    start[g + 1] += start[g];
  }
  return sorted && count[MRL_MR_USABLE] == rows->data.n;
}

void mrl_mr_gather(int *row, double *bx, double *sx, double *by, double *sy, size_t *next,
                   const size_t *start, const mrl_mr_rows *rows)
{
  const mrl_mr_data *d = &rows->data;
  memcpy(next, start, rows->n_groups * sizeof *next);
  for (size_t i = 0; i < d->n; i++) {
    if (fate_of(rows, i) == MRL_MR_USABLE) {
      const size_t at = next[rows->group[i]]++;
      row[at] = (int)i;
      bx[at] = d->bx[i];
      sx[at] = d->sx[i];
      by[at] = d->by[i];
      sy[at] = d->sy[i];
    }
  }
}

size_t mrl_mr_duplicates_scratch(const size_t *start, size_t n_groups)
{
  size_t largest = 0;
  for (size_t g = 0; g < n_groups; g++) {
    const size_t n = start[g + 1] - start[g];
    largest = n > largest ? n : largest;
  }
  return table_places(largest) * sizeof(mrl_name);
}

/* Whether the name is new to the table, into which it goes. */
static int is_new(mrl_name *table, size_t places, mrl_name name)
{
  size_t at = hash_name(name, places);
  while (table[at]) {
    if (table[at] == name) {
      return 0;
    }
    at = (at + 1) & (places - 1);
  }
  table[at] = name;
  return 1;
}

size_t mrl_mr_duplicates(int *example, const mrl_name *name, const int *row, const size_t *start,
                         size_t n_groups, void *scratch, const mrl_ctx *ctx)
{
  mrl_name *table = scratch;
  size_t duplicates = 0;
  for (size_t g = 0; g < n_groups; g++) {
    const size_t places = table_places(start[g + 1] - start[g]);
    memset(table, 0, places * sizeof *table);
    for (size_t k = start[g]; k < start[g + 1]; k++) {
      const size_t i = row ? (size_t)row[k] : k;
      if (!is_new(table, places, name[i]) && duplicates++ == 0) {
        *example = (int)i;
      }
      if (k % POLL_EVERY == 0) {
        mrl_poll(ctx);
      }
    }
  }
  return duplicates;
}
