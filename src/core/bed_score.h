/* Packed genotypes as any values, and their products with weights. */
#ifndef MRL_BED_SCORE_H
#define MRL_BED_SCORE_H

#include "bed.h"
#include "gemm.h"

/* g (n, m) = value[code] of packed (stride, m), people rows (n) as in bed.h. value (4, m). Polls.
 */
void mrl_bed_values(double *g, const uint8_t *packed, size_t stride, const uint32_t *rows, size_t n,
                    const double *value, size_t m, const mrl_ctx *ctx);

/* Variants at a time. */
enum { MRL_SCORE_VARIANTS = 64 };

typedef struct {
  double *g;  /* (n, MRL_SCORE_VARIANTS) */
  void *gemm; /* scratch */
} mrl_score_work;

void mrl_score_carve(mrl_score_work *work, size_t n, size_t k, const mrl_ctx *ctx,
                     mrl_arena *arena);

/* score (n, k) += values of packed (stride, m) times weight (m, k; ldw). */
mrl_status mrl_score_add(double *score, mrl_score_work *work, const uint8_t *packed, size_t stride,
                         const uint32_t *rows, size_t n, const double *value, size_t m,
                         const double *weight, size_t ldw, size_t k, mrl_isa isa,
                         const mrl_ctx *ctx);

#endif
