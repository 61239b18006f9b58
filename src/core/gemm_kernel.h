/*
 * The register-blocked kernels of gemm.c for one type and one instruction set; included once for
 * each (no include guard). Before including, define
 *
 *   REAL          float or double
 *   KERNEL(name)  the function's name, made unique
 *   LEN, MV, NR   a register holds LEN numbers; tiles have up to MV registers (3 at most) of rows
 *                 and up to NR columns (4 or 8), as many accumulators as the registers hold
 *   TARGET        the attribute that switches the instruction set on for one function, or nothing
 *   FMA(a, b, c)  a * b + c on registers. Fused by an intrinsic on the vector paths, because
 *                 whether the compiler fuses an expression depends on -std and -ffp-contract.
 *
 * c (rows, cols; ldc) = sum over p of a[p * lda + i] * b[p * b_row + j * b_col], on top of c if
 * `load`, with rows = LEN, 2 LEN, .. MV LEN and cols = 1 .. NR: one kernel each. The accumulators
 * are variables with names, not an array: at -O2 gcc keeps an array in memory.
 */
typedef REAL KERNEL(vec) __attribute__((vector_size(LEN * sizeof(REAL)), may_alias));
/* The same at any address. */
typedef REAL KERNEL(vec_u)
    __attribute__((vector_size(LEN * sizeof(REAL)), may_alias, aligned(sizeof(REAL))));

#define VEC KERNEL(vec)
#define AT(p) (*(KERNEL(vec_u) *)(p))
#define CONST_AT(p) (*(const KERNEL(vec_u) *)(p))
#define SPLAT(x) ((x) - (VEC){0}) /* x - 0 is x, -0 included; the compiler makes it a broadcast */

#if NR == 8
#define EACH_COLUMN(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7)
#else
#define EACH_COLUMN(DO) DO(0) DO(1) DO(2) DO(3)
#endif

/* START and FINISH take c from column to column: eight addresses at once would be spilled. */
#define START(j)                                                                                   \
  VEC r0_##j = {0}, r1_##j = {0}, r2_##j = {0};                                                    \
  if (load && nr > j) {                                                                            \
    r0_##j = CONST_AT(from);                                                                       \
    if (mv > 1)                                                                                    \
      r1_##j = CONST_AT(from + LEN);                                                               \
    if (mv > 2)                                                                                    \
      r2_##j = CONST_AT(from + 2 * LEN);                                                           \
    from += ldc;                                                                                   \
  }

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
    AT(c) = r0_##j;                                                                                \
    if (mv > 1)                                                                                    \
      AT(c + LEN) = r1_##j;                                                                        \
    if (mv > 2)                                                                                    \
      AT(c + 2 * LEN) = r2_##j;                                                                    \
    c += ldc;                                                                                      \
  }

/* mv and nr are constants in each caller, so that of this body only what they need remains. */
TARGET static inline __attribute__((always_inline)) void
KERNEL(body)(const int mv, const int nr, size_t kc, const REAL *a, size_t lda, const REAL *b,
             size_t b_row, size_t b_col, REAL *c, size_t ldc, int load)
{
  const REAL *from = c;
  EACH_COLUMN(START)
  for (size_t p = 0; p < kc; p++) {
    const REAL *ap = a + p * lda, *bp = b + p * b_row;
    const VEC a0 = CONST_AT(ap);
    const VEC a1 = mv > 1 ? CONST_AT(ap + LEN) : a0;
    const VEC a2 = mv > 2 ? CONST_AT(ap + 2 * LEN) : a0;
    EACH_COLUMN(STEP)
  }
  EACH_COLUMN(FINISH)
}

#define INSTANCE(mv, nr)                                                                           \
  TARGET static void KERNEL(k##mv##nr)(size_t kc, const REAL *a, size_t lda, const REAL *b,        \
                                       size_t b_row, size_t b_col, REAL *c, size_t ldc, int load)  \
  {                                                                                                \
    KERNEL(body)(mv, nr, kc, a, lda, b, b_row, b_col, c, ldc, load);                               \
  }

#if NR == 8
#define INSTANCES(mv)                                                                              \
  INSTANCE(mv, 1)                                                                                  \
  INSTANCE(mv, 2)                                                                                  \
  INSTANCE(mv, 3)                                                                                  \
  INSTANCE(mv, 4) INSTANCE(mv, 5) INSTANCE(mv, 6) INSTANCE(mv, 7) INSTANCE(mv, 8)
#define NAMES(mv)                                                                                  \
  {                                                                                                \
    KERNEL(k##mv##1), KERNEL(k##mv##2), KERNEL(k##mv##3), KERNEL(k##mv##4), KERNEL(k##mv##5),      \
        KERNEL(k##mv##6), KERNEL(k##mv##7), KERNEL(k##mv##8)                                       \
  }
#else
#define INSTANCES(mv) INSTANCE(mv, 1) INSTANCE(mv, 2) INSTANCE(mv, 3) INSTANCE(mv, 4)
#define NAMES(mv)                                                                                  \
  {                                                                                                \
    KERNEL(k##mv##1), KERNEL(k##mv##2), KERNEL(k##mv##3), KERNEL(k##mv##4)                         \
  }
#endif

INSTANCES(1)
INSTANCES(2)
#if MV == 3
INSTANCES(3)
#endif

static const TYPED(kernels) KERNEL(table) = {
    LEN,
    LEN *MV,
    NR,
#if MV == 3
    {NAMES(1), NAMES(2), NAMES(3)},
#else
    {NAMES(1), NAMES(2)},
#endif
};

#undef VEC
#undef AT
#undef CONST_AT
#undef SPLAT
#undef EACH_COLUMN
#undef START
#undef STEP
#undef FINISH
#undef INSTANCE
#undef INSTANCES
#undef NAMES
#undef KERNEL
#undef LEN
#undef MV
#undef NR
#undef TARGET
#undef FMA
