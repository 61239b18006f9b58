/*
 * How a slope varies with features of people, in closed form. With features f (p, centred) the
 * model y = mu(q) + (b0 + f'b) x + error,  mu linear in the columns q and a constant, has the
 * moments  sum_i a_i (..) = 0  and  sum_i s_i f_i (..) = 0, where s is what instruments predict of
 * x (x itself without instruments) and a the instrument of the average slope (s, or s divided by
 * its variance given the context).
 *
 * Let r be the residual at the constant slope b0 = a'y / a'x (all without what q explains), and T
 * the columns s f_j made orthogonal to q and to x (by subtracting a multiple of a). The scores g =
 * T'r have mean J b with J = T'(x f) and covariance omega, robust and by clusters. The test of g =
 * 0 is that of a constant slope: it keeps the main effects q, and no estimate of b enters it.
 *
 * b has independent normal priors of mean 0 whose variances, one for each group of features, are
 * chosen by marginal likelihood: groups enter while -2 log likelihood falls by more than log(n) for
 * each. So b is exactly 0 without evidence, and shrunk with little of it (empirical Bayes; Morris
 * 1983, J. Am. Stat. Assoc. 78:47). Its covariance is the posterior second moment about it with the
 * variances of largest likelihood, for which no evidence is asked: what was left out for lack of it
 * may matter. With an infinite charge it is 0. Without a penalty b = inverse(J) g, two-stage least
 * squares with the instruments s and s f.
 */
#ifndef MRL_SLOPE_H
#define MRL_SLOPE_H

#include "arena.h"
#include "gemm.h"
#include "status.h"

typedef struct {
  const double *y, *x, *s, *a; /* (n) */
  const double *const *q;      /* (n_q) of (n): main effects, without the constant */
  const double *const *f;      /* (p) of (n): features of the slope */
  const int *group;            /* (p) 1 .. n_groups, each used */
  const double *weights;       /* (n) or NULL */
  const int *cluster;          /* (n) 1 .. n_cluster, or NULL */
  size_t n, n_q, p, n_groups, n_cluster;
} mrl_slope_data;

typedef enum { MRL_SLOPE_FREE = 0, MRL_SLOPE_SHRUNK } mrl_slope_penalty;

typedef struct {
  mrl_slope_penalty penalty;
  double charge; /* of a group: its -2 log likelihood must fall by so much, as log(n) */
  mrl_isa isa;
} mrl_slope_settings;

/* Memory of the caller. */
typedef struct {
  double *center;       /* (p) weighted means of the features */
  double *coef;         /* (1 + p) b0, b: slopes are b0 + (f - center)'b */
  double *vcov;         /* (1 + p, 1 + p) see above; robust sampling covariance if free */
  double *mu;           /* (1 + n_q) of the outcome: constant, q. 0: collinear */
  double *variance;     /* (n_groups) of the priors; infinite if free */
  double *g;            /* (p) scores over their standard errors */
  double *residual;     /* (n) y - mu - (b0 + f'b) x */
  double statistic, df; /* of the test that all of b is 0 */
  double *group_statistic, *group_df; /* (n_groups) for each group alone, the others' b being 0 */
  double b_null, se_null;             /* constant slope, robust */
  double se_average;                  /* of the mean slope over people, who count as drawn */
  double strength;                    /* a'x / sqrt(a'a x'x), without q: the partial correlation */
} mrl_slope_fit;

size_t mrl_slope_scratch(const mrl_slope_data *data, const mrl_ctx *ctx);

/* MRL_SINGULAR: a'x = 0, or free and J is singular. MRL_TOO_FEW: no more rows than columns. */
mrl_status mrl_slope_run(mrl_slope_fit *fit, const mrl_slope_data *data,
                         const mrl_slope_settings *settings, void *scratch, size_t size,
                         const mrl_ctx *ctx);

#endif
