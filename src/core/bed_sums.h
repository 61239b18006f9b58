/*
 * Sums over people from which the crossproducts of packed genotypes with each other and with other
 * columns follow, whatever mean the missing ones are imputed to; they add up over parts of a
 * sample. One call takes a block of people, so that memory is that of the sums and of a block.
 *
 * With h and M as in bed_gram.h: hh, hm, mh, mm over pairs of a's and b's variants, hq and mq over
 * a's variants and the other columns. Weighted sums are of doubles (decoded rows), the others
 * exact.
 */
#ifndef MRL_BED_SUMS_H
#define MRL_BED_SUMS_H

#include "arena.h"
#include "bed_gram.h"

/* Rows decoded at a time for weighted sums; variants at a time for those with other columns. */
enum { MRL_BED_ROWS = 1024, MRL_BED_VARIANTS = 64 };

typedef struct {
  size_t la, lb, q; /* variants of a and b (0: only those of a), other columns */
  mrl_bed_gram gram;
  double *hq, *mq; /* (la, q); NULL with q = 0 */
} mrl_bed_sums;

typedef struct {
  uint64_t *planes_a, *planes_b;
  uint32_t *missing_a, *missing_b, *index;
  double *decoded;               /* (MRL_BED_PEOPLE, MRL_BED_VARIANTS) */
  double *scaled;                /* (MRL_BED_PEOPLE, q) the other columns times the weights */
  double *h_a, *h_b, *m_a, *m_b; /* (MRL_BED_ROWS, la or lb), weighted only */
  double *hq;                    /* (q, MRL_BED_VARIANTS) */
  const double **col;            /* (la) with shifts 0 and scales 1: columns of h_a */
  double *zero, *one;
  double *root; /* (MRL_BED_ROWS) */
  void *gemm, *gram;
} mrl_bed_sums_work;

/* Of la, lb, q alone. */
void mrl_bed_sums_carve(mrl_bed_sums_work *work, mrl_arena *arena, size_t la, size_t lb, size_t q,
                        int weighted, const mrl_ctx *ctx);

/*
 * Adds n <= MRL_BED_PEOPLE people. packed_a (stride, la), packed_b (stride, lb) or NULL; rows (n)
 * or NULL, as in bed.h; q (n, sums->q; ldq) or NULL; weights (n) or NULL. Polls.
 */
mrl_status mrl_bed_sums_add(mrl_bed_sums *sums, mrl_bed_sums_work *work, const uint8_t *packed_a,
                            const uint8_t *packed_b, size_t stride, const uint32_t *rows, size_t n,
                            const double *q, size_t ldq, const double *weights, mrl_isa isa,
                            const mrl_ctx *ctx);

/*
 * out (ld; la x lb): sums of products of imputed, centred genotypes (those of the whole sample,
 * which `sums` must be of). Missing values of variant i of a are imputed to 1 + fill_a[i]; mean_a
 * is the (weighted) mean less 1 after that; total the sum of weights.
 */
void mrl_bed_centre(double *out, size_t ld, const mrl_bed_gram *gram, size_t la, size_t lb,
                    const double *fill_a, const double *fill_b, const double *mean_a,
                    const double *mean_b, double total);

#endif
