/*
 * The heterogeneity statistic as a function of effects: Q(theta) = sum_i e_i^2 / (v_i + tau2), e_i
 * = c'z_i and v_i = c'cov_i c with c = (theta, -1). It is -2 times the profile log-likelihood of
 * theta over the variants' true effects. The last of a variant's m = k + 1 estimates is the
 * response.
 */
#ifndef MRL_MVMR_Q_H
#define MRL_MVMR_Q_H

#include <stddef.h>

typedef struct {
  const double *z;   /* (m, n) */
  const double *cov; /* (m, m, n) */
  const size_t *row; /* (n_rows) the variants that count, or NULL: the first n_rows */
  size_t n_rows, m;
  double tau2;
} mrl_mv_q;

/* Returns e of variant i; variance: v + tau2; s (m), unless NULL: cov_i c. */
double mrl_mv_q_part(double *variance, double *s, const mrl_mv_q *q, size_t i, const double *theta);
/* e^2 / (v + tau2) of variant i. */
double mrl_mv_q_term(const mrl_mv_q *q, size_t i, const double *theta);
double mrl_mv_q_value(const mrl_mv_q *q, const double *theta);
/* -dQ / dtau2. */
double mrl_mv_q_fall(const mrl_mv_q *q, const double *theta);

/* theta (k): a start, then where Q is least nearby; value: Q there. 0 if it does not converge. */
size_t mrl_mv_q_work(size_t k);
int mrl_mv_q_minimise(double *theta, double *value, const mrl_mv_q *q, double *work);

/* se (k): of the minimiser, by the sandwich (sandwich != 0), or by the inverse Hessian. 0 if the
 * Hessian is not positive definite. */
int mrl_mv_q_se(double *se, const mrl_mv_q *q, const double *theta, int sandwich, double *work);

/* theta := weighted least squares of the response, a start. 0 if singular. */
int mrl_mv_q_start(double *theta, const mrl_mv_q *q, double *work);

#endif
