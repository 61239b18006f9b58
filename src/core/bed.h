/*
 * PLINK 1 genotypes in a buffer. A variant is `stride` bytes, four people to a byte, the first in
 * the lowest two bits: 00 two copies of allele A1, 01 missing, 10 one copy, 11 none. The bits after
 * the last person are not read.
 *
 * rows (n): which people, as positions in the file from 0, in any order; NULL: the first n.
 */
#ifndef MRL_BED_H
#define MRL_BED_H

#include "status.h"

enum { MRL_BED_HOM_A1 = 0, MRL_BED_MISSING, MRL_BED_HET, MRL_BED_HOM_A2, MRL_BED_N_CODES };

/* Bytes of a variant of n_file people. */
static inline size_t mrl_bed_stride(size_t n_file)
{
  return n_file / 4 + (n_file % 4 > 0);
}

static inline unsigned mrl_bed_code(const uint8_t *packed, size_t row)
{
  return (unsigned)packed[row / 4] >> (2 * (row % 4)) & 3;
}

/* g (n) = value[code] of one variant. value (4) by code: 2, NaN, 1, 0 for counts of A1, or any
 * others, as centred and scaled ones with missing as 0. Serial. */
void mrl_bed_decode(double *g, const uint8_t *packed, const uint32_t *rows, size_t n,
                    const double *value);

/* count (4) of one variant, by code. Serial. */
void mrl_bed_count(double *count, const uint8_t *packed, const uint32_t *rows, size_t n);

/* Mean count of A1 among those present; NaN if all are missing. */
double mrl_bed_mean(const double *count);

/*
 * Hardy-Weinberg equilibrium: the exact p-value (Wigginton, Cutler & Abecasis 2005, Am. J. Hum.
 * Genet. 76:887), the probability of a number of heterozygotes that is no more probable than the
 * one seen, given the counts of alleles. 1 without anybody.
 */
double mrl_bed_hwe(const double *count);

/* g (n, m) = counts of A1 of m variants, missing ones as NaN, or with `impute` as the mean of those
 * present (NaN where nobody is). packed (stride, m). */
void mrl_bed_matrix(double *g, const uint8_t *packed, size_t stride, const uint32_t *rows, size_t n,
                    size_t m, int impute, const mrl_ctx *ctx);

/* g (n, m; ld) = the same, missing ones as fill (m). Does not poll. */
void mrl_bed_rows(double *g, size_t ld, const uint8_t *packed, size_t stride, const uint32_t *rows,
                  size_t n, size_t m, const double *fill, const mrl_ctx *ctx);

/* count (4, m), hwe (m) or NULL: of m variants. */
void mrl_bed_describe(double *count, double *hwe, const uint8_t *packed, size_t stride,
                      const uint32_t *rows, size_t n, size_t m, const mrl_ctx *ctx);

/* packed (stride, m) of counts of A1 g (n, m): 0, 1, 2 or NaN. MRL_BAD_ARGUMENT at anything else.
 */
mrl_status mrl_bed_encode(uint8_t *packed, const double *g, size_t n, size_t m, const mrl_ctx *ctx);

#endif
