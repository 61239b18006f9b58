/*
 * Statistics of samples by kernels: maximum mean discrepancy (MMD, Gretton et al. 2012, JMLR
 * 13:723) and the Hilbert-Schmidt independence criterion (HSIC, Gretton et al. 2008, NeurIPS 20),
 * squared, with their gradients; tests by permutation.
 *
 * Samples are column-major (n, d). A gradient that is not NULL is added to, in the shape of its
 * sample. Kernels: the polynomial one is (x'y + 1)^2, by its feature map in O(n d^2); the Gaussian
 * one is sum_s exp(-|x - y|^2 / (2 b_s^2)) over bandwidths b, in O(n^2 d).
 */
#ifndef MRL_KERNELSTAT_H
#define MRL_KERNELSTAT_H

#include "status.h"

typedef struct {
  const double *x, *y;       /* (nx, d), (ny, d) for MMD; (n, dx), (n, dy) for HSIC, n = nx = ny */
  size_t nx, ny, dx, dy;     /* dx = dy for MMD; nx, ny at least 2 */
  const double *bandwidth_x; /* (n_x) of the Gaussian kernel; MMD: of the one kernel */
  const double *bandwidth_y; /* (n_y) */
  size_t n_x, n_y;
} mrl_samples;

/* Doubles of scratch that any of the statistics below needs. */
size_t mrl_kernelstat_work(const mrl_samples *samples);

/* Biased (V-statistic), as the trace of kernel matrices. */
mrl_status mrl_mmd_poly(double *value, double *gx, double *gy, const mrl_samples *s, double *work,
                        const mrl_ctx *ctx);
/* Unbiased within each sample; may be negative. */
mrl_status mrl_mmd_gaussian(double *value, double *gx, double *gy, const mrl_samples *s,
                            double *work, const mrl_ctx *ctx);
/* Mean squared difference of the means plus that of the covariances' entries (divisor n - 1). */
mrl_status mrl_mmd_moments(double *value, double *gx, double *gy, const mrl_samples *s,
                           double *work, const mrl_ctx *ctx);
/* tr(K H L H) / n^2, H = I - 11' / n. */
mrl_status mrl_hsic_poly(double *value, double *gx, double *gy, const mrl_samples *s, double *work,
                         const mrl_ctx *ctx);
mrl_status mrl_hsic_gaussian(double *value, double *gx, double *gy, const mrl_samples *s,
                             double *work, const mrl_ctx *ctx);

/* One kernel of a test. n_bandwidth 0: the polynomial kernel. */
typedef struct {
  const double *bandwidth; /* (n_bandwidth) */
  size_t n_bandwidth;
} mrl_kernel;

typedef struct {
  size_t n_perm;
  uint64_t seed;
} mrl_perm_settings;

/*
 * Do groups have one law? statistic: MMD^2 (biased for the polynomial, unbiased for the Gaussian
 * kernel), mean over pairs of groups; p: (1 + permutations of the groups with a statistic at least
 * as large) / (1 + n_perm). x (n, d), group (n) of 0 .. n_group - 1 each with at least 2 rows.
 * scratch: bytes as mrl_mmd_test_scratch says, of n^2 doubles and some. Permutation b uses stream b
 * of the seed.
 */
size_t mrl_mmd_test_scratch(size_t n, size_t n_group, const mrl_perm_settings *settings,
                            const mrl_ctx *ctx);
mrl_status mrl_mmd_test(double *statistic, double *p, const double *x, size_t n, size_t d,
                        const int *group, size_t n_group, const mrl_kernel *kernel,
                        const mrl_perm_settings *settings, void *scratch, const mrl_ctx *ctx);

/*
 * Are x (n, dx) and y (n, dy) independent within groups? statistic: HSIC within groups, mean over
 * them; permutations are of the rows of y within groups. Rows must be ordered by group. scratch: of
 * 2 n^2 doubles and some.
 */
size_t mrl_hsic_test_scratch(size_t n, const mrl_perm_settings *settings, const mrl_ctx *ctx);
mrl_status mrl_hsic_test(double *statistic, double *p, const double *x, size_t dx, const double *y,
                         size_t dy, size_t n, const int *group, size_t n_group,
                         const mrl_kernel *kernel_x, const mrl_kernel *kernel_y,
                         const mrl_perm_settings *settings, void *scratch, const mrl_ctx *ctx);

#endif
