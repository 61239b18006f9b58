#include "seqpass_loops.h"

typedef struct {
  void (*affine)(mrl_real *, const mrl_real *, const mrl_channels *, size_t, size_t);
  void (*affine_backward)(mrl_real *, mrl_real *, mrl_real *, const mrl_real *,
                          const mrl_channels *, size_t, size_t);
  void (*norm)(mrl_real *, const mrl_real *, const mrl_channels *, size_t, size_t);
  void (*moments)(mrl_real *, mrl_real *, const mrl_real *, const mrl_real *, size_t, size_t);
  void (*weights)(mrl_real *, const mrl_real *, const mrl_real *, const mrl_products *);
  void (*take_max)(mrl_real *, mrl_real *, const mrl_real *, const mrl_real *, size_t);
  void (*add_scaled)(mrl_real *, const mrl_real *, mrl_real, size_t);
  void (*add_share)(mrl_real *, const mrl_real *, const mrl_real *, const mrl_real *, size_t);
} seqpass_kernels;

#define KERNEL_FILE "seqpass_kernel.h"
#define KERNEL_OF(name, isa) seqpass_##name##_##isa
#define KERNELS seqpass_kernels
#include "real_isa.h"

void mrl_pass_affine(mrl_real *y, const mrl_real *z, const mrl_channels *channels, size_t rows,
                     size_t ld, mrl_isa isa)
{
  seqpass_table_for(isa)->affine(y, z, channels, rows, ld);
}

void mrl_pass_affine_backward(mrl_real *d, mrl_real *sum_a, mrl_real *sum_c, const mrl_real *z,
                              const mrl_channels *channels, size_t rows, size_t ld, mrl_isa isa)
{
  seqpass_table_for(isa)->affine_backward(d, sum_a, sum_c, z, channels, rows, ld);
}

void mrl_pass_norm(mrl_real *d, const mrl_real *z, const mrl_channels *channels, size_t rows,
                   size_t ld, mrl_isa isa)
{
  seqpass_table_for(isa)->norm(d, z, channels, rows, ld);
}

void mrl_pass_moments(mrl_real *sum, mrl_real *square, const mrl_real *z, const mrl_real *shift,
                      size_t rows, size_t ld, mrl_isa isa)
{
  seqpass_table_for(isa)->moments(sum, square, z, shift, rows, ld);
}

void mrl_pass_weights(mrl_real *dw, const mrl_real *x, const mrl_real *dz,
                      const mrl_products *products, mrl_isa isa)
{
  seqpass_table_for(isa)->weights(dw, x, dz, products);
}

void mrl_pass_take_max(mrl_real *dx, mrl_real *rest, const mrl_real *x, const mrl_real *y,
                       size_t ld, mrl_isa isa)
{
  seqpass_table_for(isa)->take_max(dx, rest, x, y, ld);
}

void mrl_pass_add_scaled(mrl_real *dx, const mrl_real *dy, mrl_real factor, size_t ld, mrl_isa isa)
{
  seqpass_table_for(isa)->add_scaled(dx, dy, factor, ld);
}

void mrl_pass_add_share(mrl_real *dx, const mrl_real *dy, const mrl_real *x, const mrl_real *y,
                        size_t ld, mrl_isa isa)
{
  seqpass_table_for(isa)->add_share(dx, dy, x, y, ld);
}
