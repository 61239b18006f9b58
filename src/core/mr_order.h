/* Order statistics and spread, as R's median(), mad() and sd() define them. Of numbers that are not
 * finite the result has no meaning. */
#ifndef MRL_MR_ORDER_H
#define MRL_MR_ORDER_H

#include <stddef.h>

/* What stands at place k < n in increasing order; x is reordered. Linear time. */
double mrl_select(double *x, size_t n, size_t k);
/* n >= 1; x is reordered. The mean of the two middle values where n is even. Linear time. */
double mrl_median(double *x, size_t n);
/* 1.4826 times the median distance from the median; n >= 1; x is overwritten. */
double mrl_mad(double *x, size_t n);
/* With n - 1; n >= 2. */
double mrl_sd(const double *x, size_t n);
double mrl_mean(const double *x, size_t n);

typedef struct {
  double value, weight;
} mrl_weighted;

/* By value, equal ones in their order. spare (n): scratch. */
void mrl_sort_weighted(mrl_weighted *item, mrl_weighted *spare, size_t n);

#endif
