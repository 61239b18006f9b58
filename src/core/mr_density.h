/* The mode of a weighted sample as mode-based estimators define it. */
#ifndef MRL_MR_DENSITY_H
#define MRL_MR_DENSITY_H

#include "mr_order.h"

/*
 * The first place where stats::density(x, weights = weight, bw = h) of R up to 4.3 is largest:
 * x (n) linearly binned on 512 points from min(x) - 7 h to max(x) + 7 h, convolved with a normal
 * kernel of sd h, interpolated at 512 points from min(x) - 3 h to max(x) + 3 h. (R 4.4 calls this
 * old.coords = TRUE: lags of the kernel are 1022/1023 of what the binning grid would need.)
 * n >= 1, x finite, weight >= 0 with a positive sum, h > 0. NaN where h is too small against x for
 * the grid to have distinct points, or x spans more than a double holds.
 */
double mrl_density_mode(const double *x, const double *weight, size_t n, double h);

/* Where the sum of weight times normal density (mean: value, sd h) itself is largest, to some 1e-12
 * h: no grid. item (n) in order of value, n >= 1. As fast as the grid where few values lie within
 * 9 h of each other, O(n^2) where all do. */
double mrl_density_mode_exact(const mrl_weighted *item, size_t n, double h);

#endif
