/*
 * The vector loops of the flow (flow.h), in double. Tensors are column-major (rows, width; ld);
 * rows and ld are multiples of MRL_FLOW_LANES. A column `on` (rows) is 1 in the rows that there are
 * and 0 in those that fill up the last register; there latents and their gradients stay 0.
 */
#ifndef MRL_FLOW_LOOPS_H
#define MRL_FLOW_LOOPS_H

#include "gemm.h"

enum {
  MRL_FLOW_LANES = 8,
  MRL_FLOW_CHUNK = 128 /* rows of one call, at most: e^(3 * 128) is a double, see bend */
};

typedef struct {
  size_t rows, ld;
  mrl_isa isa; /* usable */
} mrl_flow_block;

/* x (rows, out; ldx) = on b_0 + h (rows, in) b, b (in + 1, out) with the constants b_0 in its first
 * row. */
void mrl_flow_affine(double *x, size_t ldx, const double *on, const double *h, const double *b,
                     size_t in, size_t out, const mrl_flow_block *block);

/*
 * One unit: h = x - m q, q = tau log(1 + exp(-x / tau)), the slope of which is 1 + m s, s = 1 / (1
 * + exp(x / tau)). x (rows) becomes h; s, q (rows) out, s being 0 where on is. Returns the sum of
 * log(1 + m s); |log(1 + m)| <= 3.
 */
double mrl_flow_bend(double *x, double *s, double *q, const double *on, double m, double tau,
                     const mrl_flow_block *block);

/* Back: dh (rows) becomes dx = dh (1 + m s) + share (m / tau) s (1 - s) / (1 + m s), which is the
 * gradient with respect to x of a loss less share times the sum of log(1 + m s). Returns that with
 * respect to m. */
double mrl_flow_unbend(double *dh, const double *s, const double *q, double m, double tau,
                       double share, const mrl_flow_block *block);

/* c[j + k * ldc] += sum over rows of a_j b_k; a (rows, na; lda), b (rows, nb; ldb). */
void mrl_flow_cross(double *c, size_t ldc, const double *a, size_t lda, size_t na, const double *b,
                    size_t ldb, size_t nb, size_t rows, mrl_isa isa);

#endif
