/*
 * MR-PRESSO (Verbanck, Chen, Neale & Do 2018, Nat. Genet. 50:693): is the residual sum of squares,
 * each variant predicted from the others, larger than among data without pleiotropy; which variants
 * are outliers; does leaving them out change the estimate? As the published program does it.
 */
#ifndef MRL_MR_PRESSO_H
#define MRL_MR_PRESSO_H

#include "mr.h"

typedef struct {
  uint64_t seed;
  size_t n_draws;   /* 1 or more, below 2^24 */
  double threshold; /* of the global and, after Bonferroni, the outlier test */
  int outlier, distortion;
} mrl_presso_settings;

/* Regression through the origin with weights 1 / sy^2, as lm() gives it: n - 1 degrees of freedom.
 */
typedef struct {
  double slope, se;
  size_t df;
} mrl_presso_fit;

/*
 * NaN where a test was not made: outlier tests want a global p-value below the threshold, the
 * distortion test an outlier and another variant. p-values are shares of the draws; 0: below
 * 1 / n_draws. rss (n): squared distance of a variant from what the others predict, over sy^2; p
 * (n): by Bonferroni, at most 1; outlier (n): whether p is at most the threshold.
 */
typedef struct {
  double rss_total, p_total;
  double *rss, *p;
  int *outlier;
  size_t n_outliers;
  double distortion, p_distortion; /* (slope of all - without) / |without|; 1 is 100 % */
  mrl_presso_fit all, without;
} mrl_presso;

/* Variants that it needs. */
enum { MRL_PRESSO_MIN = 4 };

/*
 * data: n >= MRL_PRESSO_MIN. Draw b of group g: n normals for the exposure and n for the outcome
 * from item g << 24 | b of MRL_RNG_BOOTSTRAP, and the variants of the distortion test from that of
 * MRL_RNG_PERMUTE. Threads share out the draws. MRL_NOT_FINITE if no variant has an effect on the
 * exposure. Polls.
 */
size_t mrl_presso_scratch(size_t n, const mrl_ctx *ctx);
mrl_status mrl_presso_run(mrl_presso *out, const mrl_mr_data *data, size_t group,
                          const mrl_presso_settings *settings, void *scratch, size_t scratch_size,
                          const mrl_ctx *ctx);

#endif
