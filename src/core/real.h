/*
 * The numbers of the networks: float in the package. The same source compiles in double with
 * -DMRL_REAL_DOUBLE, for gradient checks (ctest/net_double.h).
 */
#ifndef MRL_REAL_H
#define MRL_REAL_H

#include <float.h>
#include <stddef.h>

#ifdef MRL_REAL_DOUBLE
typedef double mrl_real;
#define MRL_REAL_BYTES 8
#define MRL_REAL_MIN DBL_MIN
#define mrl_gemm_real mrl_gemm_d
#define mrl_gemm_real_scratch mrl_gemm_d_scratch
#else
typedef float mrl_real;
#define MRL_REAL_BYTES 4
#define MRL_REAL_MIN FLT_MIN
#define mrl_gemm_real mrl_gemm_f
#define mrl_gemm_real_scratch mrl_gemm_f_scratch
#endif

/*
 * Numbers in the widest register. Arrays that vector loops run over are padded to a multiple, and
 * sums run over so many lanes whatever the registers: all instruction sets add in one order.
 */
#define MRL_LANES (64 / MRL_REAL_BYTES)

static inline size_t mrl_pad(size_t n)
{
  return (n + MRL_LANES - 1) / MRL_LANES * MRL_LANES;
}

#endif
