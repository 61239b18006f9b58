/* libFuzzer's entry to packed genotypes: any bytes as a block of variants; counts, decoded values,
 * crossproducts of planes of bits and the block written again must agree. */
#include "bed.h"
#include "bed_gram.h"
#include "fuzz.h"

#include <math.h>

enum { MOST_PEOPLE = 80, MOST_VARIANTS = 6 };

typedef struct {
  size_t n_file, n, m, stride;
  uint8_t *packed;
  uint32_t *rows; /* (n) or NULL */
} block;

static block read_block(fuzz_input *in)
{
  block b = {.n_file = 1 + eat(in) % MOST_PEOPLE, .m = 1 + eat(in) % MOST_VARIANTS};
  const unsigned how = eat(in);
  b.stride = mrl_bed_stride(b.n_file);
  b.n = how & 1 ? 1 + eat(in) % b.n_file : b.n_file;
  b.packed = eat_bytes(in, b.stride * b.m);
  if (how & 2) { /* any people, in any order */
    b.rows = malloc(b.n * sizeof *b.rows);
    for (size_t i = 0; i < b.n; i++) {
      b.rows[i] = (uint32_t)(eat(in) % b.n_file);
    }
  }
  return b;
}

static unsigned code_of(const block *b, size_t i, size_t j)
{
  return mrl_bed_code(b->packed + j * b->stride, b->rows ? b->rows[i] : i);
}

static void check_counts(const block *b, const double *g, const mrl_ctx *ctx)
{
  double *count = malloc(4 * b->m * sizeof *count), *hwe = malloc(b->m * sizeof *hwe);
  mrl_bed_describe(count, hwe, b->packed, b->stride, b->rows, b->n, b->m, ctx);
  for (size_t j = 0; j < b->m; j++) {
    double found[4] = {0}, sum = 0;
    for (size_t i = 0; i < b->n; i++) {
      const unsigned code = code_of(b, i, j);
      static const double value[] = {2, 0, 1, 0};
      found[code]++;
      check(isnan(g[i + j * b->n]) == (code == MRL_BED_MISSING));
      sum += isnan(g[i + j * b->n]) ? 0 : g[i + j * b->n];
      check(code == MRL_BED_MISSING || g[i + j * b->n] == value[code]);
    }
    check(memcmp(found, count + 4 * j, sizeof found) == 0);
    check(hwe[j] >= 0 && hwe[j] <= 1);
    const double mean = mrl_bed_mean(found), present = (double)b->n - found[MRL_BED_MISSING];
    check(present > 0 ? fabs(mean * present - sum) < 1e-9 : isnan(mean));
  }
  free(count);
  free(hwe);
}

/* The block of these people written and read again. */
static void check_again(const block *b, const double *g, const mrl_ctx *ctx)
{
  const size_t stride = mrl_bed_stride(b->n);
  uint8_t *packed = malloc(stride * b->m);
  double *again = malloc(b->n * b->m * sizeof *again), *fill = calloc(b->m, sizeof *fill);
  check(mrl_bed_encode(packed, g, b->n, b->m, ctx) == MRL_OK);
  mrl_bed_matrix(again, packed, stride, NULL, b->n, b->m, 0, ctx);
  for (size_t i = 0; i < b->n * b->m; i++) {
    check(again[i] == g[i] || (isnan(again[i]) && isnan(g[i])));
  }
  mrl_bed_rows(again, b->n, b->packed, b->stride, b->rows, b->n, b->m, fill, ctx);
  for (size_t i = 0; i < b->n * b->m; i++) {
    check(again[i] == (isnan(g[i]) ? 0 : g[i]));
  }
  free(packed);
  free(again);
  free(fill);
}

static void check_gram(const block *b, const double *g, const mrl_ctx *ctx)
{
  const size_t m = b->m, words = mrl_bed_words(b->n);
  uint64_t *planes = aligned_alloc(64, MRL_BED_PLANES * words * m * sizeof *planes);
  uint32_t missing[MOST_VARIANTS], index[2 * MOST_VARIANTS];
  double sums[3][MOST_VARIANTS * MOST_VARIANTS] = {{0}};
  mrl_bed_lay_planes(planes, missing, b->packed, b->stride, b->rows, b->n, m, ctx);
  const mrl_bed_block all = {planes, missing, m, words};
  mrl_bed_gram gram = {sums[0], sums[1], NULL, sums[2]};
  mrl_bed_gram_add(&gram, &all, NULL, index, MRL_ISA_PORTABLE, ctx);
  for (size_t j = 0; j < m; j++) {
    for (size_t k = 0; k < m; k++) {
      double hh = 0, hm = 0, mm = 0;
      for (size_t i = 0; i < b->n; i++) {
        const double a = g[i + j * b->n], c = g[i + k * b->n];
        const double h = isnan(a) ? 0 : a - 1;
        hh += h * (isnan(c) ? 0 : c - 1);
        hm += h * (isnan(c) ? 1 : 0);
        mm += isnan(a) && isnan(c);
      }
      check(sums[0][j + k * m] == hh && sums[1][j + k * m] == hm && sums[2][j + k * m] == mm);
    }
  }
  free(planes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  const mrl_ctx ctx = {1, NULL, NULL};
  fuzz_input in = {data, size};
  block b = read_block(&in);
  double *g = malloc(b.n * b.m * sizeof *g);
  mrl_bed_matrix(g, b.packed, b.stride, b.rows, b.n, b.m, 0, &ctx);
  check_counts(&b, g, &ctx);
  check_again(&b, g, &ctx);
  check_gram(&b, g, &ctx);
  free(g);
  free(b.packed);
  free(b.rows);
  return 0;
}
