/*
 * How far an estimated curve is from the truth. With errors d_i = estimate_i - truth_i at n points,
 * each counting the same:
 *
 *   mse = mean d^2, bias = mean d
 *   coverage = share of points with low <= truth <= high; width = mean (high - low)
 *   interval_score = mean (high - low) + 2/alpha (low - truth)+ + 2/alpha (truth - high)+
 *     (Gneiting & Raftery 2007, J. Am. Stat. Assoc. 102:359, eq. 43)
 *   inside = whether the truth is within the band at every point
 *   derivative_error = mean over neighbours of ((d_{i+1} - d_i) / (x_{i+1} - x_i))^2
 *   calibration_error = mean over levels of |share of points with truth <= quantile - level|
 *
 * What needs an input that is not there is NaN, and inside is -1. Serial, sums in one fixed order.
 */
#ifndef MRL_EVAL_H
#define MRL_EVAL_H

#include "status.h"

/* All arrays (n) unless said otherwise; estimate and truth finite, limits not NaN. */
typedef struct {
  size_t n; /* at least 1 */
  const double *estimate, *truth;
  const double *x;                    /* ascending, or NULL: then no derivative */
  const double *low, *high;           /* pointwise limits, or both NULL */
  const double *band_low, *band_high; /* simultaneous band, or both NULL: then low, high */
  double alpha;                       /* 1 - level of the pointwise limits, in (0, 1) */
  const double *quantile;             /* (n, n_level), or NULL */
  const double *level;                /* (n_level) in (0, 1), or NULL */
  size_t n_level;
} mrl_eval_curve;

typedef struct {
  double mse, bias, coverage, width, interval_score, derivative_error, calibration_error;
  int inside;
} mrl_eval_result;

/* MRL_NOT_FINITE if mse, bias or derivative_error overflow. Where two x are equal there is no
 * derivative. */
mrl_status mrl_eval_curve_run(mrl_eval_result *result, const mrl_eval_curve *curve,
                              const mrl_ctx *ctx);

#endif
