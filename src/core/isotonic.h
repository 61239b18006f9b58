/* Isotonic regression by pooling adjacent violators. */
#ifndef MRL_ISOTONIC_H
#define MRL_ISOTONIC_H

#include "status.h"

/*
 * fit (n): the non-decreasing numbers nearest to y (n) in weighted least squares; weight (n)
 * positive, or NULL: all 1. fit may be y. scratch: mrl_isotonic_scratch() bytes. Blocks of equal
 * numbers are pooled from left to right, each a weighted mean, in O(n). MRL_BAD_ARGUMENT if a
 * weight is not positive, MRL_NOT_FINITE if y is not finite.
 */
size_t mrl_isotonic_scratch(size_t n);
mrl_status mrl_isotonic(double *fit, const double *y, const double *weight, size_t n,
                        void *scratch);

#endif
