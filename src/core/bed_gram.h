/*
 * Crossproducts of packed genotypes by counting bits: exact integers, whatever the instruction set
 * and the number of threads.
 *
 * With h = 1 for two copies of A1, 0 for one or missing, -1 for none, and M = 1 for missing, the
 * sums of h h', h M' and M M' over people give all crossproducts of genotypes whose missing values
 * are put in later, as the mean of all people in several parts of a sample is. A variant is laid
 * out in three planes of bits: N (h is not 0), S (h is -1), M; then the sum of h_i h_j is the
 * number of bits in N_i N_j less twice that in N_i N_j (S_i xor S_j).
 */
#ifndef MRL_BED_GRAM_H
#define MRL_BED_GRAM_H

#include "bed.h"
#include "gemm.h"

/* People of a block: a plane of a variant is then 2 kB, and a tile of variants fits near caches. */
enum { MRL_BED_PEOPLE = 16384, MRL_BED_PLANES = 3 };

/* 64-bit words of a plane for n people, padded to 512 bits. */
static inline size_t mrl_bed_words(size_t n)
{
  return (n + 511) / 512 * 8;
}

/* planes (3 words(n), m): N, S and M of each variant, bits after person n being 0; n at most
 * MRL_BED_PEOPLE. missing (m): how many people have none. rows as in bed.h. */
void mrl_bed_lay_planes(uint64_t *planes, uint32_t *missing, const uint8_t *packed, size_t stride,
                        const uint32_t *rows, size_t n, size_t m, const mrl_ctx *ctx);

/* Variants as planes. */
typedef struct {
  const uint64_t *planes;  /* (3 words, m) */
  const uint32_t *missing; /* (m) */
  size_t m;
  size_t words;
} mrl_bed_block;

/*
 * Adds the block's sums of h h', h M' (h of a, M of b), M h' (M of a, h of b) and M M' to hh, hm,
 * mh, mm (a's m, b's m). b NULL: a with itself; then hh and mm come symmetric and mh is not
 * touched. hm, mh and mm may be NULL where nothing is missing. index: scratch, room for the m of
 * both.
 */
typedef struct {
  double *hh, *hm, *mh, *mm;
} mrl_bed_gram;

void mrl_bed_gram_add(mrl_bed_gram *gram, const mrl_bed_block *a, const mrl_bed_block *b,
                      uint32_t *index, mrl_isa isa, const mrl_ctx *ctx);

#endif
