/*
 * Linkage disequilibrium of pairs of variants among the people whose two genotypes are known, from
 * exact counts of bits: either the correlation of allele counts (PLINK's --r2), or that of
 * haplotypes, whose frequencies maximise the likelihood in Hardy-Weinberg equilibrium (PLINK's
 * --clump; Hill 1974, Heredity 33:229).
 *
 * A variant of n people is three planes of mrl_ld_words(n) words each, a bit per person: genotype
 * known, at least one copy of A1, two copies.
 */
#ifndef MRL_LD_H
#define MRL_LD_H

#include "bed.h"
#include "gemm.h"

static inline size_t mrl_ld_words(size_t n)
{
  return n / 64 + (n % 64 > 0);
}

/* planes (words, 3, m) of packed (stride, m), people rows (n) as in bed.h. */
void mrl_ld_planes(uint64_t *planes, const uint8_t *packed, size_t stride, const uint32_t *rows,
                   size_t n, size_t m, const mrl_ctx *ctx);

typedef enum { MRL_LD_GENOTYPE = 0, MRL_LD_HAPLOTYPE } mrl_ld_kind;

/* r of variants i and j of planes; NaN where one does not vary among the people known in both. */
double mrl_ld_correlation(const uint64_t *planes, size_t n, size_t i, size_t j, mrl_ld_kind kind,
                          mrl_isa isa);

/* r (m, m), symmetric; the diagonal is 1, or NaN for a variant that does not vary. */
void mrl_ld_matrix(double *r, const uint64_t *planes, size_t n, size_t m, mrl_ld_kind kind,
                   mrl_isa isa, const mrl_ctx *ctx);

/*
 * Clumps of the variants of one chromosome, which are sorted by position. Each variant of order
 * (n_order, the best first) that is in no clump yet makes one, of itself and of the others in no
 * clump that are at most `radius` away and have r2 above `r2`.
 *
 * clump (m): number from 0 of the clump's index variant, -1 in none. square (m): r2 with it.
 * scratch (m).
 */
typedef struct {
  const double *position; /* (m) not decreasing */
  size_t m, n;            /* variants, people */
  double radius, r2;
  mrl_ld_kind kind;
  const int *order; /* (n_order) variants from 0 */
  size_t n_order;
} mrl_clump_problem;

void mrl_ld_clump(int *clump, double *square, double *scratch, const mrl_clump_problem *problem,
                  const uint64_t *planes, mrl_isa isa, const mrl_ctx *ctx);

#endif
