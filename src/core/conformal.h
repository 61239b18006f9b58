/*
 * Conformal prediction: by how much the predictions of a model, whatever it is, must be widened to
 * hold new outcomes with a given probability.
 *
 * A row's prediction is an interval low .. high (the same number twice for a mean) in units of its
 * own scale; its score is max(low - y, y - high) / scale, which is |y - mean| for split conformal
 * (Lei et al. 2018, J. Am. Stat. Assoc. 113:1094), |y - mean| / scale for its normalised form, and
 * the score of conformalised quantile regression (Romano, Patterson & Candes 2019, NeurIPS) for a
 * pair of quantiles. Of n rows exchangeable with the new one, the k-th smallest score with
 * k = ceiling((n + 1) level) is not exceeded by the new score with probability k / (n + 1) >=
 * level; where k > n nothing finite does that.
 */
#ifndef MRL_CONFORMAL_H
#define MRL_CONFORMAL_H

#include "status.h"

/* The least k with k / (n + 1) >= level; 0 < level < 1. */
size_t mrl_conformal_rank(size_t n, double level);

typedef struct {
  double below, above; /* to be taken off low and added to high, in units of scale; may be INFINITY,
                          or negative where a pair of quantiles is too wide */
  size_t k;            /* rank of the score, of each side if they are apart */
} mrl_conformal;

/*
 * y, low, high (n), scale (n) > 0 or NULL for 1; all finite. apart: each side holds with
 * (1 + level) / 2 by scores of its own. work (n) scratch. MRL_BAD_ARGUMENT unless 0 < level < 1 and
 * n >= 1.
 */
mrl_status mrl_conformal_run(mrl_conformal *out, double *work, const double *y, const double *low,
                             const double *high, const double *scale, size_t n, double level,
                             int apart);

#endif
