/*
 * Dot products of packed genotypes (bed.h) with columns of numbers, without decoding: two people
 * have 16 pairs of genotypes, so a pair's share of all products is looked up in a table of 16, made
 * once for many variants. Sums run over people in file order whatever the instruction set and the
 * number of threads, so the bits do not depend on these.
 *
 * Columns are laid in strips of MRL_LANES: strip s has a row of MRL_LANES numbers for each of
 * 4 * stride people in file order (those not selected, and those after the last, are zero), and
 * holds the columns MRL_LANES * s ..; what is left of the last strip is zero.
 */
#ifndef MRL_BED_DOT_H
#define MRL_BED_DOT_H

#include "bed.h"
#include "gemm.h"

enum { MRL_LANES = 8 };

static inline size_t mrl_strips(size_t columns)
{
  return (columns + MRL_LANES - 1) / MRL_LANES;
}

/* The number of column c of the person at `position` of the file. */
static inline double mrl_strip_at(const double *strip, size_t stride, size_t position, size_t c)
{
  return strip[(c / MRL_LANES * 4 * stride + position) * MRL_LANES + c % MRL_LANES];
}

/* strip (MRL_LANES, 4 * stride, mrl_strips(c)) aligned to MRL_ALIGN := x (n, c), person i at
 * rows[i] of the file; rows NULL: at i. */
void mrl_strip_lay(double *strip, size_t stride, const double *x, const uint32_t *rows, size_t n,
                   size_t c);

/* mask (stride padded to whole words) := 01 for those selected, 00 for others. */
void mrl_bed_mask(uint64_t *mask, size_t stride, const uint32_t *rows, size_t n);
static inline size_t mrl_bed_words(size_t stride)
{
  return (stride + 7) / 8;
}

/* count (4, m): genotypes by code of those in mask. Serial. */
void mrl_bed_tally(double *count, const uint8_t *packed, size_t stride, const uint64_t *mask,
                   size_t m, mrl_isa isa);

/* Bytes of scratch of one call, at any address. */
size_t mrl_bed_dot_scratch(void);
/* dot (MRL_LANES * mrl_strips(c), m) aligned to MRL_ALIGN: sum over people of (count of A1,
 * missing as 0) times column. Serial; m at most MRL_BED_DOT_MOST. */
enum { MRL_BED_DOT_MOST = 256 };
void mrl_bed_dot(double *dot, const uint8_t *packed, size_t stride, const double *strip, size_t c,
                 size_t m, void *scratch, mrl_isa isa);
/* The same of counts g (n, m) of any values, NaN as 0, minus shift (m). n people in order. */
void mrl_dense_dot(double *dot, const double *g, const double *shift, size_t n, size_t stride,
                   const double *strip, size_t c, size_t m, mrl_isa isa);

#endif
