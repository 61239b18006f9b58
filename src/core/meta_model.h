/*
 * Meta-analytic model y ~ N(X b, v + tau2) of one set of k effects, and its moments at any tau2.
 *
 * With W = diag(w) and P = W - W X (X'W X)^-1 X'W, all estimators of tau2 are functions of a few
 * quadratic forms and traces of P. They are held in units of the most precise study (a power of
 * two near its standard error), relative to its effect where the model has a constant: results do
 * not depend on units, and one very precise study costs no digits.
 */
#ifndef MRL_META_MODEL_H
#define MRL_META_MODEL_H

#include "arena.h"
#include "status.h"

typedef struct {
  size_t k, p;    /* effects; coefficients (1 where x is NULL) */
  double *y, *v;  /* (k) effects and variances in units of `unit`; the most precise study first */
  double *x;      /* (k, p) columns scaled to about 1; NULL: a constant only */
  double *x_unit; /* (p) powers of two that the columns were divided by */
  double *w;      /* (k) weights in use */
  double *q, *r;  /* (k, p), (p, p): sqrt(W) X = q r */
  double *c, *h;  /* (p), (p, p): q' sqrt(W) y; q' W q */
  double *e;      /* (k) sqrt(W) (y - X b) */
  double *z;      /* (k) scratch */
  double unit;    /* power of two */
  double origin;  /* y = (effect - origin) / unit */
  double v_min;   /* smallest variance */
  size_t first;   /* row that stands first */
  const mrl_ctx *ctx; /* polled at each evaluation */
} mrl_meta_model;

typedef struct {
  double sum_w, sum_w2;
  double mean;        /* the coefficient, in units of the model, where x is NULL */
  double rss;         /* y'P y */
  double ypp, yppp;   /* y'PP y, y'PPP y */
  double tr_p, tr_pp; /* traces of P and PP */
  double log_det;     /* log |X'WX| */
} mrl_meta_moments;

/* Lays out a model for at most k effects and p columns (0: a constant only). */
void mrl_meta_carve(mrl_meta_model *model, size_t k, size_t p, mrl_arena *arena);

/*
 * Reads a data set of k <= (carved) effects. effect, se (k): finite, se > 0. x (k, p) or NULL.
 * constant: the columns of x span a constant, with the first of them being it.
 * MRL_NOT_FINITE: effects and standard errors are too many orders of magnitude apart.
 */
mrl_status mrl_meta_load(mrl_meta_model *model, const double *effect, const double *se,
                         const double *x, size_t k, int constant);

/* w = 1 / (v + tau2); and equal weights. */
void mrl_meta_weigh(mrl_meta_model *model, double tau2);
void mrl_meta_weigh_equally(mrl_meta_model *model);
/* Moments at the weights in use. MRL_SINGULAR: columns are collinear. Polls. */
mrl_status mrl_meta_evaluate(mrl_meta_moments *moments, mrl_meta_model *model);

/* Traces of PV and PVPV, P for the weights in use; after mrl_meta_evaluate(). */
void mrl_meta_variance_traces(double *tr_pv, double *tr_pvpv, const mrl_meta_model *model);

/* sum_i log(v_i + tau2). */
double mrl_meta_log_variances(const mrl_meta_model *model, double tau2);

#endif
