/*
 * Principal components of standardised genotypes Z (n people, m variants) that are streamed: the
 * largest eigenvalues and their vectors of K = Z Z' / m, by a block Krylov space [V, KV, .., K^3 V]
 * that starts anew from its best vectors until these are eigenvectors (Musco & Musco 2015, NIPS).
 *
 * The caller reads the variants again in each pass:
 *   while mrl_pca_done() says no: mrl_pca_add() for all blocks, mrl_pca_pass().
 */
#ifndef MRL_PCA_H
#define MRL_PCA_H

#include "bed_score.h"

enum { MRL_PCA_DEPTH = 4, MRL_PCA_EXTRA = 8, MRL_PCA_PASSES = 300 };
/* Of the largest eigenvalue, what the residual of an eigenvector may be. */
#define MRL_PCA_TOLERANCE 1e-9

typedef struct {
  size_t n, m, k;     /* people, variants, components wanted */
  size_t width, wide; /* columns of a block; of the whole space */
  size_t depth;       /* blocks there are */
  int passes, done;
  double *space, *image;         /* (n, wide): an orthonormal basis V and K V */
  double *small, *values, *work; /* (wide, wide), (wide), eigen */
  double *vectors;               /* (n, width) */
  double *product;               /* (MRL_SCORE_VARIANTS, width) */
  mrl_score_work score;
  void *gemm;
} mrl_pca;

void mrl_pca_carve(mrl_pca *pca, size_t n, size_t m, size_t k, const mrl_ctx *ctx,
                   mrl_arena *arena);
/* After the carve over memory: a fixed start without structure. */
void mrl_pca_start(mrl_pca *pca, const mrl_ctx *ctx);
/* One block of m variants; value (4, m): standardised genotypes by code, 0 for missing. */
mrl_status mrl_pca_add(mrl_pca *pca, const uint8_t *packed, size_t stride, const uint32_t *rows,
                       const double *value, size_t m, mrl_isa isa, const mrl_ctx *ctx);
/* At the end of a pass. done: 1 when the components have converged. MRL_NO_CONVERGE after
 * MRL_PCA_PASSES passes. */
mrl_status mrl_pca_pass(mrl_pca *pca, mrl_isa isa, const mrl_ctx *ctx);
/* vectors (n, k) of length 1, their largest entry positive; values (k), decreasing, those of
 * rounding size as 0. */
void mrl_pca_result(double *vectors, double *values, const mrl_pca *pca);

#endif
