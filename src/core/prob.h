/*
 * Tail probabilities without R: two-sided p-values and quantiles, to about 1e-13 relative where
 * they do not underflow (1e-10 with a million degrees of freedom). NaN in, NaN out.
 */
#ifndef MRL_PROB_H
#define MRL_PROB_H

#include "status.h"

/* P(|Z| >= |z|), Z standard normal. */
double mrl_normal_p(double z);
/* P(|T| >= |t|), T Student with df > 0 degrees of freedom, not necessarily whole. NaN if df <= 0.
 */
double mrl_student_p(double t, double df);
/* P(X >= x), X chi-squared with df > 0 degrees of freedom; 1 for x <= 0. NaN if df <= 0. */
double mrl_chisq_p(double x, double df);
/* The z with P(Z <= z) = p; NaN outside [0, 1]. */
double mrl_normal_quantile(double p);
/* The exact two-sided p-value of k heads among n tosses of a fair coin, k <= n. O(n). */
double mrl_sign_p(size_t k, size_t n);

/* 1 / (1 + exp(-x)), without overflow. */
double mrl_logistic(double x);

#endif
