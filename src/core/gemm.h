/*
 * Our own matrix product: packed, register-blocked, vectorised by the compiler's vector extensions,
 * with run-time dispatch (portable, AVX2 + FMA, AVX-512).
 *
 * Bits: every output accumulates over k in one fixed order, by fused multiply-add on both vector
 * paths, so that they agree bit for bit, whatever the number of threads and the blocking; and a
 * product cut in two along k, the second part accumulated, equals the whole. The portable path does
 * not fuse (where the compiler leaves that to us) and agrees to rounding.
 *
 * Threads: ctx->n_threads at most, and one only where the work is less than 0.2 to 1 ms for one,
 * as in a layer with a small batch. Polls: between parallel regions, each of which takes up to 0.05
 * s on a slow machine; a product that fits one region does not poll, its caller does.
 *
 * All matrices are column-major: element (i, j) of an m x n matrix with leading dimension ld is at
 * [i + j * ld], ld >= m.
 */
#ifndef MRL_GEMM_H
#define MRL_GEMM_H

#include "arena.h"
#include "status.h"

typedef enum { MRL_ISA_PORTABLE = 0, MRL_ISA_AVX2, MRL_ISA_AVX512, MRL_N_ISA } mrl_isa;

/* The best instruction set that this CPU has. */
mrl_isa mrl_isa_best(void);
const char *mrl_isa_name(mrl_isa isa); /* "portable", "avx2", "avx512" */
/* isa if this CPU has it, else the best that it has: what will be run. */
mrl_isa mrl_isa_usable(mrl_isa isa);

typedef enum { MRL_NO_TRANS = 0, MRL_TRANS = 1 } mrl_trans;

/*
 * c (m, n; ldc) = op(a) op(b) + (accumulate ? c : 0), op(a) (m, k), op(b) (k, n).
 * lda, ldb are those of a and b as stored. c overlaps neither. k = 0 gives zeros (or c). scratch:
 * as many bytes as the _scratch function says for the same shape and ctx, at any address; they suit
 * every isa. An isa that this CPU lacks is replaced as mrl_isa_usable() says. MRL_BAD_ARGUMENT if a
 * leading dimension is too small, MRL_NO_MEMORY if scratch is NULL and needed. The float and double
 * forms are the same source.
 */
size_t mrl_gemm_f_scratch(size_t m, size_t n, size_t k, const mrl_ctx *ctx);
mrl_status mrl_gemm_f(float *c, size_t ldc, const float *a, size_t lda, mrl_trans ta,
                      const float *b, size_t ldb, mrl_trans tb, size_t m, size_t n, size_t k,
                      int accumulate, void *scratch, mrl_isa isa, const mrl_ctx *ctx);

size_t mrl_gemm_d_scratch(size_t m, size_t n, size_t k, const mrl_ctx *ctx);
mrl_status mrl_gemm_d(double *c, size_t ldc, const double *a, size_t lda, mrl_trans ta,
                      const double *b, size_t ldb, mrl_trans tb, size_t m, size_t n, size_t k,
                      int accumulate, void *scratch, mrl_isa isa, const mrl_ctx *ctx);

/*
 * Columns scattered over several R matrices, read as (col[j][i] - shift[j]) * scale[j] * root[i],
 * rounded after each step. col (p) pointers to n doubles each; shift, scale (p); root (n) square
 * roots of weights, or NULL.
 */
typedef struct {
  const double *const *col;
  const double *shift;
  const double *scale;
  const double *root;
  size_t n;
  size_t p;
} mrl_columns;

/*
 * g (p, p), full symmetric: crossproducts over the rows first .. first + count - 1 of the columns
 * (accumulate: added to g, which must be symmetric). Rows accumulate in order: calls over adjacent
 * ranges give the bits of one call. The columns are read once for each thread and never copied as a
 * whole; scratch is 2 kB p for each thread. Errors as mrl_gemm_d; MRL_BAD_ARGUMENT if the rows are
 * not all there.
 */
size_t mrl_gram_scratch(size_t p, const mrl_ctx *ctx);
mrl_status mrl_gram(double *g, const mrl_columns *columns, size_t first, size_t count,
                    int accumulate, void *scratch, mrl_isa isa, const mrl_ctx *ctx);

#endif
