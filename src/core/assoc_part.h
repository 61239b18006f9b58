/* What the files of assoc share. */
#ifndef MRL_ASSOC_PART_H
#define MRL_ASSOC_PART_H

#include "assoc.h"

/* One variant: its moments among those with a genotype. */
typedef struct {
  double n, mean, ss; /* people, mean, sum of squares about it */
  double min, max;    /* least and largest genotype */
} mrl_assoc_moments;

/* The variant in place j of the group's dot; genotypes are read from packed or from g. */
typedef struct {
  const uint8_t *packed; /* one variant, or NULL */
  const double *g;       /* (n) */
  double shift;          /* g less this stands in dot */
  const double *dot;     /* (q + k) */
  mrl_assoc_moments moments;
} mrl_assoc_variant;

static inline double mrl_assoc_dot(const double *a, const double *b, size_t n)
{
  double s[4] = {0};
  for (size_t i = 0; i < n; i++) {
    s[i & 3] += a[i] * b[i];
  }
  return (s[0] + s[1]) + (s[2] + s[3]);
}

/* work->g (n) := genotypes, NaN for missing. */
void mrl_assoc_read(const mrl_assoc *assoc, const mrl_assoc_variant *variant, mrl_assoc_work *work);

/* Robust standard error and its degrees of freedom of a slope `beta` of trait t whose genotype
 * keeps `left` of its sum of squares. Of the complete cases work has: a, the factor U of Q'Q; qm,
 * minus the sums of Q; bg and br, inverse(U') Q'g and inverse(U') Q'r. */
double mrl_assoc_robust(double *df, const mrl_assoc *assoc, const mrl_assoc_variant *variant,
                        size_t t, double beta, double left, mrl_assoc_work *work);

/* beta and se of trait t. */
mrl_assoc_reason mrl_assoc_logit(double *beta, double *se, const mrl_assoc *assoc,
                                 const mrl_assoc_variant *variant, size_t t, mrl_assoc_work *work,
                                 mrl_isa isa);

#endif
