/*
 * Compiles the vector loops of a file once for each instruction set (no include guard). Before
 * including, define
 *
 *   KERNEL_FILE           the file; its functions are named KERNEL(name) and have the attribute
 *                         TARGET, it is written in the terms of real_vec.h, and ends in
 *                         `static const KERNELS KERNEL(table)`
 *   KERNEL_OF(name, isa)  the name made unique: file, name and isa joined
 *   KERNELS               the type of the table of its functions
 *
 * LARGER and SMALLER give b where one of the two is NaN.
 *
 * Between AVX2 and AVX-512 the bits agree: every a * b + c is an explicit FMA, so nothing is left
 * for the compiler to contract, and sums keep to MRL_LANES lanes.
 */

/* gcc for Windows does not align the stack for wide registers that it spills (gcc bug 54412). */
#if defined(__GNUC__) && (defined(__x86_64__) || defined(__i386__)) &&                             \
    (!defined(_WIN32) || defined(__clang__))
#define REAL_X86 1
#include <immintrin.h>
#endif

#define KERNEL(name) KERNEL_OF(name, portable)
#define LEN (16 / MRL_REAL_BYTES)
#define PARTS 4
#define TARGET
#define FMA(a, b, c) ((a) * (b) + (c))
#define SQRT(a) KERNEL(each_sqrt)(a)
#define WHERE_GREATER(a, b, yes, no) KERNEL(choose)((a) > (b), yes, no)
#define LARGER(a, b) WHERE_GREATER(a, b, a, b)
#define SMALLER(a, b) WHERE_GREATER(b, a, a, b)
#include "real_vec.h"
#include KERNEL_FILE
#include "real_vec_end.h"

#ifdef REAL_X86
#if MRL_REAL_BYTES == 4
#define X86_256(name) _mm256_##name##_ps
#define X86_512(name) _mm512_##name##_ps
#define X86_COMPARE _mm512_cmp_ps_mask
#else
#define X86_256(name) _mm256_##name##_pd
#define X86_512(name) _mm512_##name##_pd
#define X86_COMPARE _mm512_cmp_pd_mask
#endif

#define KERNEL(name) KERNEL_OF(name, avx2)
#define LEN (32 / MRL_REAL_BYTES)
#define PARTS 2
#define TARGET __attribute__((target("avx2,fma")))
#define FMA(a, b, c) ((VEC)X86_256(fmadd)(a, b, c))
#define SQRT(a) ((VEC)X86_256(sqrt)(a))
#define LARGER(a, b) ((VEC)X86_256(max)(a, b))
#define SMALLER(a, b) ((VEC)X86_256(min)(a, b))
#define WHERE_GREATER(a, b, yes, no) ((VEC)X86_256(blendv)(no, yes, X86_256(cmp)(a, b, _CMP_GT_OQ)))
#include "real_vec.h"
#include KERNEL_FILE
#include "real_vec_end.h"

#define KERNEL(name) KERNEL_OF(name, avx512)
#define LEN (64 / MRL_REAL_BYTES)
#define PARTS 1
#define TARGET __attribute__((target("avx512f")))
#define FMA(a, b, c) ((VEC)X86_512(fmadd)(a, b, c))
#define SQRT(a) ((VEC)X86_512(sqrt)(a))
#define LARGER(a, b) ((VEC)X86_512(max)(a, b))
#define SMALLER(a, b) ((VEC)X86_512(min)(a, b))
#define WHERE_GREATER(a, b, yes, no)                                                               \
  ((VEC)X86_512(mask_blend)(X86_COMPARE(a, b, _CMP_GT_OQ), no, yes))
#include "real_vec.h"
#include KERNEL_FILE
#include "real_vec_end.h"
#endif

/* KERNEL_OF(table, for)(isa), isa being usable. */
static const KERNELS *KERNEL_OF(table, for)(mrl_isa isa)
{
#ifdef REAL_X86
  switch (isa) {
  case MRL_ISA_AVX512:
    return &KERNEL_OF(table, avx512);
  case MRL_ISA_AVX2:
    return &KERNEL_OF(table, avx2);
  default:
    break;
  }
#endif
  (void)isa;
  return &KERNEL_OF(table, portable);
}

#undef REAL_X86
#undef X86_256
#undef X86_512
#undef X86_COMPARE
#undef KERNEL_FILE
#undef KERNEL_OF
#undef KERNELS
