/*
 * The register-blocked kernels of conv.c for one instruction set; included by real_isa.h. As in
 * gemm_kernel.h the accumulators are variables with names; here they stay in registers over all
 * taps, which matters where there are few channels.
 */
#define EACH_COLUMN(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7)

#define START(j) VEC r0_##j = {0}, r1_##j = {0}, r2_##j = {0};

#define STEP(j)                                                                                    \
  if (nr > j) {                                                                                    \
    const VEC bj = SPLAT(bp[j * b_col]);                                                           \
    r0_##j = FMA(a0, bj, r0_##j);                                                                  \
    if (mv > 1)                                                                                    \
      r1_##j = FMA(a1, bj, r1_##j);                                                                \
    if (mv > 2)                                                                                    \
      r2_##j = FMA(a2, bj, r2_##j);                                                                \
  }

#define FINISH(j)                                                                                  \
  if (nr > j) {                                                                                    \
    AT(z + j * s->z_col) = r0_##j;                                                                 \
    if (mv > 1)                                                                                    \
      AT(z + j * s->z_col + LEN) = r1_##j;                                                         \
    if (mv > 2)                                                                                    \
      AT(z + j * s->z_col + 2 * LEN) = r2_##j;                                                     \
  }

/* mv registers of outputs and nr columns, both constants in each caller. */
FN void KERNEL(conv_body)(const int mv, const int nr, mrl_real *z, const mrl_real *x,
                          const mrl_real *w, const conv_strides *s)
{
  const size_t b_col = s->x_col, lanes = s->lanes;
  EACH_COLUMN(START)
  for (size_t k = 0; k < s->n_taps; k++) {
    const mrl_real *ap = w + k * s->w_tap, *bp = x + k * s->x_tap;
    for (size_t i = 0; i < s->n_in; i++) {
      const VEC a0 = CONST_AT(ap);
      const VEC a1 = mv > 1 ? CONST_AT(ap + LEN) : a0;
      const VEC a2 = mv > 2 ? CONST_AT(ap + 2 * LEN) : a0;
      EACH_COLUMN(STEP)
      ap += lanes;
      bp++;
    }
  }
  EACH_COLUMN(FINISH)
}

#define INSTANCE(mv, nr)                                                                           \
  TARGET static void KERNEL(conv_##mv##_##nr)(mrl_real * z, const mrl_real *x, const mrl_real *w,  \
                                              const conv_strides *s)                               \
  {                                                                                                \
    KERNEL(conv_body)(mv, nr, z, x, w, s);                                                         \
  }
#define INSTANCES(mv)                                                                              \
  INSTANCE(mv, 1)                                                                                  \
  INSTANCE(mv, 2)                                                                                  \
  INSTANCE(mv, 3)                                                                                  \
  INSTANCE(mv, 4) INSTANCE(mv, 5) INSTANCE(mv, 6) INSTANCE(mv, 7) INSTANCE(mv, 8)
INSTANCES(1)
INSTANCES(2)
INSTANCES(3)

/* to (n) += from (n), n a multiple of MRL_LANES. */
TARGET static void KERNEL(add_to)(mrl_real *to, const mrl_real *from, size_t n)
{
  for (size_t i = 0; i < n; i += LEN) {
    AT(to + i) = CONST_AT(to + i) + CONST_AT(from + i);
  }
}

#define NAMES(mv)                                                                                  \
  {                                                                                                \
    KERNEL(conv_##mv##_1), KERNEL(conv_##mv##_2), KERNEL(conv_##mv##_3), KERNEL(conv_##mv##_4),    \
        KERNEL(conv_##mv##_5), KERNEL(conv_##mv##_6), KERNEL(conv_##mv##_7), KERNEL(conv_##mv##_8) \
  }

/* Sixteen registers hold 3 x 4 sums, thirty-two 3 x 8. */
static const conv_kernels KERNEL(table) = {
    LEN,
    PARTS == 1 ? 8 : 4,
    {NAMES(1), NAMES(2), NAMES(3)},
    KERNEL(add_to),
};

#undef EACH_COLUMN
#undef START
#undef STEP
#undef FINISH
#undef INSTANCE
#undef INSTANCES
#undef NAMES
