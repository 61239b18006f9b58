#include "seqnet_loops.h"

#include <string.h>

typedef struct {
  void (*point)(mrl_real *, mrl_real *, const mrl_seq_affine *, size_t, size_t);
  void (*change)(mrl_real *, const mrl_real *, const mrl_real *, const mrl_real *,
                 const mrl_seq_affine *, const mrl_seq_rows *);
  void (*change_linear)(mrl_real *, const mrl_real *, const mrl_seq_affine *, const mrl_seq_rows *);
  void (*add)(mrl_real *, const mrl_real *, size_t);
  void (*scale)(mrl_real *, const mrl_real *, mrl_real, size_t);
  void (*subtract)(mrl_real *, const mrl_real *, const mrl_real *, size_t);
  void (*larger)(mrl_real *, const mrl_real *, size_t);
  void (*larger_sum)(mrl_real *, const mrl_real *, const mrl_real *, size_t);
  void (*add_exp)(mrl_real *, const mrl_real *, const mrl_real *, size_t);
  void (*add_exp_sum)(mrl_real *, const mrl_real *, const mrl_real *, const mrl_real *, size_t);
} seqnet_kernels;

#define KERNEL_FILE "seqnet_kernel.h"
#define KERNEL_OF(name, isa) seqnet_##name##_##isa
#define KERNELS seqnet_kernels
#include "real_isa.h"

void mrl_seq_point(mrl_real *y, mrl_real *u, const mrl_seq_affine *affine, size_t rows, size_t ld,
                   mrl_isa isa)
{
  seqnet_table_for(isa)->point(y, u, affine, rows, ld);
}

void mrl_seq_change(mrl_real *d, const mrl_real *u, const mrl_real *y, const mrl_real *mask,
                    const mrl_seq_affine *affine, const mrl_seq_rows *rows, mrl_isa isa)
{
  seqnet_table_for(isa)->change(d, u, y, mask, affine, rows);
}

void mrl_seq_change_linear(mrl_real *d, const mrl_real *mask, const mrl_seq_affine *affine,
                           const mrl_seq_rows *rows, mrl_isa isa)
{
  seqnet_table_for(isa)->change_linear(d, mask, affine, rows);
}

void mrl_seq_clear_outside(mrl_real *d, const mrl_seq_rows *rows)
{
  for (size_t t = rows->first; t < rows->end; t++) {
    for (size_t v = 0; v < rows->n_variants; v++) {
      const ptrdiff_t at = rows->start[v] + (ptrdiff_t)t;
      if (at < 0 || at >= (ptrdiff_t)rows->length) {
        memset(d + (t * rows->n_variants + v) * rows->ld, 0, rows->ld * sizeof *d);
      }
    }
  }
}

void mrl_seq_add(mrl_real *to, const mrl_real *from, size_t n, mrl_isa isa)
{
  seqnet_table_for(isa)->add(to, from, n);
}

void mrl_seq_scale(mrl_real *to, const mrl_real *from, mrl_real factor, size_t n, mrl_isa isa)
{
  seqnet_table_for(isa)->scale(to, from, factor, n);
}

void mrl_seq_subtract(mrl_real *to, const mrl_real *a, const mrl_real *b, size_t n, mrl_isa isa)
{
  seqnet_table_for(isa)->subtract(to, a, b, n);
}

void mrl_seq_larger(mrl_real *to, const mrl_real *from, size_t n, mrl_isa isa)
{
  seqnet_table_for(isa)->larger(to, from, n);
}

void mrl_seq_larger_sum(mrl_real *to, const mrl_real *a, const mrl_real *b, size_t n, mrl_isa isa)
{
  seqnet_table_for(isa)->larger_sum(to, a, b, n);
}

void mrl_seq_add_exp(mrl_real *sum, const mrl_real *a, const mrl_real *top, size_t n, mrl_isa isa)
{
  seqnet_table_for(isa)->add_exp(sum, a, top, n);
}

void mrl_seq_add_exp_sum(mrl_real *sum, const mrl_real *a, const mrl_real *b, const mrl_real *top,
                         size_t n, mrl_isa isa)
{
  seqnet_table_for(isa)->add_exp_sum(sum, a, b, top, n);
}
