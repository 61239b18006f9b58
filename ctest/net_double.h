/*
 * The files of the networks in double, for gradient checks: included before anything else by a test
 * that then includes the .c files it needs. Public names are renamed, because the same files are
 * also linked in float; one that this list lacked would be defined twice and not link.
 */
#ifndef NET_DOUBLE_H
#define NET_DOUBLE_H

#define MRL_REAL_DOUBLE 1

#define mrl_dense_scratch mrl_dense_scratch_double
#define mrl_dense_forward mrl_dense_forward_double
#define mrl_dense_backward mrl_dense_backward_double
#define mrl_affine_forward mrl_affine_forward_double
#define mrl_affine_backward mrl_affine_backward_double
#define mrl_moments mrl_moments_double
#define mrl_batch_norm_backward mrl_batch_norm_backward_double
#define mrl_row_norm_forward mrl_row_norm_forward_double
#define mrl_row_norm_backward mrl_row_norm_backward_double
#define mrl_softmax_forward mrl_softmax_forward_double
#define mrl_softmax_backward mrl_softmax_backward_double
#define mrl_dropout_forward mrl_dropout_forward_double
#define mrl_multiply mrl_multiply_double
#define mrl_add mrl_add_double
#define mrl_clear_rest mrl_clear_rest_double
#define mrl_loss_check mrl_loss_check_double
#define mrl_loss_tile mrl_loss_tile_double
#define mrl_net_carve mrl_net_carve_double
#define mrl_net_start mrl_net_start_double
#define mrl_net_run_carve mrl_net_run_carve_double
#define mrl_net_step mrl_net_step_double
#define mrl_net_forward mrl_net_forward_double
#define mrl_net_backward mrl_net_backward_double
#define mrl_net_evaluate mrl_net_evaluate_double
#define mrl_net_tiles mrl_net_tiles_double
#define mrl_net_tile mrl_net_tile_double
#define mrl_fill_rows mrl_fill_rows_double
#define mrl_pass_tile mrl_pass_tile_double
#define mrl_pass_evaluate mrl_pass_evaluate_double
#define mrl_optimizer_blocks mrl_optimizer_blocks_double
#define mrl_optimizer_step mrl_optimizer_step_double
#define mrl_schedule_rate mrl_schedule_rate_double
#define mrl_plateau_update mrl_plateau_update_double

#include "real.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* A small generator of its own: the tests need numbers, not good randomness. */
static unsigned long long test_seed = 20240611;

static inline double test_uniform(void)
{
  test_seed = test_seed * 6364136223846793005ULL + 1442695040888963407ULL;
  return (double)(test_seed >> 11) / 4503599627370496.0 - 1; /* [-1, 1) */
}

static inline void test_fill(mrl_real *x, size_t n, double scale)
{
  for (size_t i = 0; i < n; i++) {
    x[i] = (mrl_real)(scale * test_uniform());
  }
}

static inline void *test_bytes(size_t n)
{
  void *memory = calloc(n + 1, 1);
  if (!memory) {
    abort();
  }
  return memory;
}

static inline mrl_real *test_reals(size_t n)
{
  return test_bytes(n * sizeof(mrl_real));
}

/*
 * The largest difference between `gradient` (n) and central differences of value() in x (n),
 * relative to the largest gradient of the tensor: rounding enters by eps / step = 1e-10, the
 * curvature by step^2 = 4e-12 times the third derivative, both far below the 1e-6 asked for.
 */
static inline double test_gradient(mrl_real *x, const mrl_real *gradient, size_t n,
                                   double (*value)(void *), void *data)
{
  const double step = 2e-6;
  double largest = 0, worst = 0;
  for (size_t i = 0; i < n; i++) {
    const mrl_real at = x[i];
    x[i] = (mrl_real)(at + step);
    const double up = value(data);
    x[i] = (mrl_real)(at - step);
    const double down = value(data);
    x[i] = at;
    const double error = fabs((up - down) / (2 * step) - (double)gradient[i]);
    worst = error > worst || error != error ? error : worst;
    largest = fabs((double)gradient[i]) > largest ? fabs((double)gradient[i]) : largest;
  }
  return largest > 0 ? worst / largest : worst;
}

#endif
