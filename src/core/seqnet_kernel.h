/* The loops of seqnet_loops.c for one instruction set; included by real_isa.h. */
#include "layer_act.h"

FN void KERNEL(point_by)(const mrl_activation act, mrl_real *y, mrl_real *u,
                         const mrl_seq_affine *affine, size_t rows, size_t ld)
{
  for (size_t r = 0; r < rows; r++) {
    for (size_t i = 0; i < ld; i += LEN) {
      const size_t at = r * ld + i;
      const VEC v = FMA(CONST_AT(affine->a1 + i), CONST_AT(u + at), CONST_AT(affine->c1 + i));
      AT(u + at) = v;
      AT(y + at) = FMA(CONST_AT(affine->a2 + i), KERNEL(activate)(act, v, affine->slope),
                       CONST_AT(affine->c2 + i));
    }
  }
}

TARGET static void KERNEL(point)(mrl_real *y, mrl_real *u, const mrl_seq_affine *affine,
                                 size_t rows,
                                 size_t ld){BY_ACTIVATION(point_by, y, u, affine, rows, ld)}

/* One row; the same operations as in point(), so that no change stays exactly none. */
FN void KERNEL(change_row)(const mrl_activation act, mrl_real *d, const mrl_real *u,
                           const mrl_real *y, const mrl_real *mask, const mrl_seq_affine *affine,
                           size_t ld)
{
  for (size_t i = 0; i < ld; i += LEN) {
    const VEC v = FMA(CONST_AT(affine->a1 + i), CONST_AT(d + i), CONST_AT(u + i));
    VEC new = FMA(CONST_AT(affine->a2 + i), KERNEL(activate)(act, v, affine->slope),
                  CONST_AT(affine->c2 + i));
    if (mask) {
      new *= CONST_AT(mask + i);
    }
    AT(d + i) = new - CONST_AT(y + i);
  }
}

FN void KERNEL(change_by)(const mrl_activation act, mrl_real *d, const mrl_real *u,
                          const mrl_real *y, const mrl_real *mask, const mrl_seq_affine *affine,
                          const mrl_seq_rows *rows)
{
  const size_t ld = rows->ld;
  for (size_t t = rows->first; t < rows->end; t++) {
    for (size_t v = 0; v < rows->n_variants; v++) {
      mrl_real *row = d + (t * rows->n_variants + v) * ld;
      const ptrdiff_t at = rows->start[v] + (ptrdiff_t)t;
      if (at < 0 || at >= (ptrdiff_t)rows->length) {
        memset(row, 0, ld * sizeof *row);
        continue;
      }
      const size_t from = (size_t)at * ld;
      KERNEL(change_row)(act, row, u + from, y + from, mask ? mask + from : NULL, affine, ld);
    }
  }
}

TARGET static void KERNEL(change)(mrl_real *d, const mrl_real *u, const mrl_real *y,
                                  const mrl_real *mask, const mrl_seq_affine *affine,
                                  const mrl_seq_rows *rows){
    BY_ACTIVATION(change_by, d, u, y, mask, affine, rows)}

TARGET static void KERNEL(change_linear)(mrl_real *d, const mrl_real *mask,
                                         const mrl_seq_affine *affine, const mrl_seq_rows *rows)
{
  const size_t ld = rows->ld;
  for (size_t t = rows->first; t < rows->end; t++) {
    for (size_t v = 0; v < rows->n_variants; v++) {
      mrl_real *row = d + (t * rows->n_variants + v) * ld;
      const ptrdiff_t at = rows->start[v] + (ptrdiff_t)t;
      if (at < 0 || at >= (ptrdiff_t)rows->length) {
        memset(row, 0, ld * sizeof *row);
        continue;
      }
      for (size_t i = 0; i < ld; i += LEN) {
        VEC new = CONST_AT(row + i) * (CONST_AT(affine->a1 + i) * CONST_AT(affine->a2 + i));
        if (mask) {
          new *= CONST_AT(mask + (size_t)at * ld + i);
        }
        AT(row + i) = new;
      }
    }
  }
}

/* to[i] = value for the whole registers of n numbers. */
#define EACH(value)                                                                                \
  for (size_t i = 0; i < n; i += LEN) {                                                            \
    AT(to + i) = (value);                                                                          \
  }

TARGET static void KERNEL(add)(mrl_real *to, const mrl_real *from,
                               size_t n){EACH(CONST_AT(to + i) + CONST_AT(from + i))}

TARGET static void KERNEL(scale)(mrl_real *to, const mrl_real *from, mrl_real factor,
                                 size_t n){EACH(CONST_AT(from + i) * factor)}

TARGET static void KERNEL(subtract)(mrl_real *to, const mrl_real *a, const mrl_real *b,
                                    size_t n){EACH(CONST_AT(a + i) - CONST_AT(b + i))}

TARGET static void KERNEL(larger)(mrl_real *to, const mrl_real *from,
                                  size_t n){EACH(LARGER(CONST_AT(to + i), CONST_AT(from + i)))}

TARGET static void KERNEL(larger_sum)(mrl_real *to, const mrl_real *a, const mrl_real *b, size_t n){
    EACH(LARGER(CONST_AT(to + i), CONST_AT(a + i) + CONST_AT(b + i)))}

TARGET static void KERNEL(add_exp)(mrl_real *to, const mrl_real *a, const mrl_real *top, size_t n){
    EACH(CONST_AT(to + i) + EXP(CONST_AT(a + i) - CONST_AT(top + i)))}

TARGET static void KERNEL(add_exp_sum)(mrl_real *to, const mrl_real *a, const mrl_real *b,
                                       const mrl_real *top, size_t n)
{
  EACH(CONST_AT(to + i) + EXP(CONST_AT(a + i) + CONST_AT(b + i) - CONST_AT(top + i)))
}

static const seqnet_kernels KERNEL(table) = {
    KERNEL(point),    KERNEL(change), KERNEL(change_linear), KERNEL(add),     KERNEL(scale),
    KERNEL(subtract), KERNEL(larger), KERNEL(larger_sum),    KERNEL(add_exp), KERNEL(add_exp_sum),
};

#undef EACH
#undef BY_ACTIVATION
