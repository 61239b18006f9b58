#define MRL_REAL_DOUBLE 1 /* the flow's likelihood needs more digits than networks do */
#include "flow_loops.h"

#include "real.h"

typedef struct {
  void (*affine)(double *, size_t, const double *, const double *, const double *, size_t, size_t,
                 size_t, size_t);
  double (*bend)(double *, double *, double *, const double *, double, double, size_t);
  double (*unbend)(double *, const double *, const double *, double, double, double, size_t);
  double (*cross)(const double *, const double *, size_t);
} flow_kernels;

#define KERNEL_FILE "flow_kernel.h"
#define KERNEL_OF(name, isa) flow_##name##_##isa
#define KERNELS flow_kernels
#include "real_isa.h"

void mrl_flow_affine(double *x, size_t ldx, const double *on, const double *h, const double *b,
                     size_t in, size_t out, const mrl_flow_block *block)
{
  flow_table_for(block->isa)->affine(x, ldx, on, h, b, in, out, block->rows, block->ld);
}

double mrl_flow_bend(double *x, double *s, double *q, const double *on, double m, double tau,
                     const mrl_flow_block *block)
{
  return flow_table_for(block->isa)->bend(x, s, q, on, m, tau, block->rows);
}

double mrl_flow_unbend(double *dh, const double *s, const double *q, double m, double tau,
                       double share, const mrl_flow_block *block)
{
  return flow_table_for(block->isa)->unbend(dh, s, q, m, tau, share, block->rows);
}

void mrl_flow_cross(double *c, size_t ldc, const double *a, size_t lda, size_t na, const double *b,
                    size_t ldb, size_t nb, size_t rows, mrl_isa isa)
{
  const flow_kernels *kernels = flow_table_for(isa);
  for (size_t k = 0; k < nb; k++) {
    for (size_t j = 0; j < na; j++) {
      c[j + k * ldc] += kernels->cross(a + j * lda, b + k * ldb, rows);
    }
  }
}
