/*
 * The vector loops of sequence networks, over rows of channels (conv.h): ld and n are multiples of
 * MRL_LANES. No function uses threads or can fail.
 */
#ifndef MRL_SEQNET_LOOPS_H
#define MRL_SEQNET_LOOPS_H

#include "layer.h"

/* u = a1 z + c1, y = a2 act(u) + c2, channel by channel; (ld) each. */
typedef struct {
  mrl_real *a1, *c1, *a2, *c2;
  mrl_activation act;
  mrl_real slope; /* of a leaky rectifier below 0 */
} mrl_seq_affine;

/* u (rows, ld): z in, u out; y out, may be u. */
void mrl_seq_point(mrl_real *y, mrl_real *u, const mrl_seq_affine *affine, size_t rows, size_t ld,
                   mrl_isa isa);

/*
 * Rows first .. end - 1 of changes of n_variants: row t of variant v is at (t * n_variants + v) *
 * ld and belongs to position start[v] + t; outside 0 .. length - 1 it becomes 0.
 */
typedef struct {
  size_t n_variants, first, end, length, ld;
  const ptrdiff_t *start; /* (n_variants) */
} mrl_seq_rows;

/* d: change of z in, of y out, exactly 0 where nothing changes. u, y, mask: of the reference, by
 * position; mask may be NULL. */
void mrl_seq_change(mrl_real *d, const mrl_real *u, const mrl_real *y, const mrl_real *mask,
                    const mrl_seq_affine *affine, const mrl_seq_rows *rows, mrl_isa isa);
/* The same where act is the identity: d a1 a2 mask. */
void mrl_seq_change_linear(mrl_real *d, const mrl_real *mask, const mrl_seq_affine *affine,
                           const mrl_seq_rows *rows, mrl_isa isa);
/* Zeros outside 0 .. length - 1 only. */
void mrl_seq_clear_outside(mrl_real *d, const mrl_seq_rows *rows);

/* to += from; to = factor from; to = a - b; to = max(to, from), max(to, a + b); n numbers each. */
void mrl_seq_add(mrl_real *to, const mrl_real *from, size_t n, mrl_isa isa);
void mrl_seq_scale(mrl_real *to, const mrl_real *from, mrl_real factor, size_t n, mrl_isa isa);
void mrl_seq_subtract(mrl_real *to, const mrl_real *a, const mrl_real *b, size_t n, mrl_isa isa);
void mrl_seq_larger(mrl_real *to, const mrl_real *from, size_t n, mrl_isa isa);
void mrl_seq_larger_sum(mrl_real *to, const mrl_real *a, const mrl_real *b, size_t n, mrl_isa isa);
/* sum += exp(a - top), exp(a + b - top). */
void mrl_seq_add_exp(mrl_real *sum, const mrl_real *a, const mrl_real *top, size_t n, mrl_isa isa);
void mrl_seq_add_exp_sum(mrl_real *sum, const mrl_real *a, const mrl_real *b, const mrl_real *top,
                         size_t n, mrl_isa isa);

#endif
