#include "meta_tau2.h"

#include <float.h>
#include <math.h>

/*
 * Each cut halves log(s): 40 cuts take the widest range that doubles are let in with, a factor of
 * 1e200, to a factor of 1 + 1e-9. The steps of a root finder are about ten; a bisection of doubles
 * would end within 1100.
 */
enum { MAX_DEPTH = 48, MAX_STEPS = 1100 };

static mrl_status moments_at(mrl_meta_moments *m, double tau2, mrl_meta_model *model)
{
  mrl_meta_weigh(model, tau2);
  return mrl_meta_evaluate(m, model);
}

/*
 * Q(t) = sum_j u_j^2 / (d_j + t), so 1 / Q rises and is concave: from any t, Newton's step on
 * 1 / Q lands at or left of the root, and from there it climbs towards it. Q' = -y'PP y.
 */
mrl_status mrl_meta_solve_q(double *tau2, double target, mrl_meta_model *model)
{
  mrl_meta_moments m;
  double t = 0;
  for (int step = 0; step < MAX_STEPS; step++) {
    MRL_TRY(moments_at(&m, t, model));
    const double move = (m.rss / target - 1) * m.rss / m.ypp;
    if (!(move > 0)) { /* at the root but for rounding, or at 0 below the target, or Q = 0 */
      break;
    }
    t += move;
    if (move <= DBL_EPSILON * (t + model->v_min)) {
      break;
    }
  }
  *tau2 = t;
  return MRL_OK;
}

/*
 * The likelihoods. Restricted: the score is S(t) = A - B with A = y'PP y and B = tr P; for ML B is
 * sum(w). In the eigenvalues d_j >= v_min of the variance matrix of the residual contrasts,
 * A = sum u_j^2 / (d_j + t)^2 and B = sum 1 / (d_j + t), so that with s = t + v_min
 *   A, B, C = -A'/2, D = -B' fall in t and s^2 A, s B, s^2 B, s^3 C, s^3 D rise;
 *   (s^2 S)' = 2 s (G - H) with G = A - s C >= 0 and H = B - s D / 2, both falling.
 * Values at the ends of an interval thus bound the score and its slope in between: an interval
 * without a maximum is told apart rigorously, and what is left is cut until it has just one.
 */
typedef struct {
  double t, s;       /* tau2; tau2 + v_min */
  double a, b, c, d; /* as above */
} point;

typedef struct {
  mrl_meta_model *model;
  int restricted;
  double best, best_value;
} search;

static mrl_status point_at(point *at, double t, const search *how)
{
  mrl_meta_moments m;
  MRL_TRY(moments_at(&m, t, how->model));
  at->t = t;
  at->s = t + how->model->v_min;
  at->a = m.ypp;
  at->c = m.yppp;
  at->b = how->restricted ? m.tr_p : m.sum_w;
  at->d = how->restricted ? m.tr_pp : m.sum_w2;
  return MRL_OK;
}

static double score(const point *at)
{
  return at->a - at->b;
}

/* The score has one sign on [lo, hi]: no maximum inside. */
static int one_sign(const point *lo, const point *hi)
{
  const double r = hi->s / lo->s, r2 = r * r;
  const int positive = hi->a > lo->b || lo->a > r2 * hi->b;
  const int negative = lo->a < hi->b || r2 * hi->a < lo->b;
  return positive || negative;
}

/* s^2 S, or S, only falls on [lo, hi]: at most one maximum inside. */
static int falls(const point *lo, const point *hi)
{
  const double r = hi->s / lo->s, r3 = r * r * r;
  return lo->a - lo->s * lo->c < hi->b - hi->s * hi->d / 2 || 2 * hi->c > lo->d ||
         2 * lo->c > r3 * hi->d;
}

/* The score rises on [lo, hi]: no maximum inside. */
static int rises(const point *lo, const point *hi)
{
  const double r = hi->s / lo->s, r3 = r * r * r;
  return 2 * lo->c < hi->d || 2 * r3 * hi->c < lo->d;
}

/* The root of the score between lo (score > 0) and hi (score <= 0): Newton on s^2 S, kept inside.
 */
static mrl_status refine(double *root, point lo, point hi, const search *how)
{
  point at = lo;
  for (int step = 0; step < MAX_STEPS; step++) {
    const double slope = 2 * (at.a - at.s * at.c) - 2 * (at.b - at.s * at.d / 2);
    double t = slope < 0 ? at.t - at.s * score(&at) / slope : INFINITY;
    if (!(t > lo.t && t < hi.t)) {
      t = sqrt(lo.s * hi.s) - how->model->v_min;
    }
    if (!(t > lo.t && t < hi.t) || fabs(t - at.t) <= 4 * DBL_EPSILON * at.s) {
      break;
    }
    MRL_TRY(point_at(&at, t, how));
    if (score(&at) > 0) {
      lo = at;
    } else {
      hi = at;
    }
  }
  *root = at.t;
  return MRL_OK;
}

/* Takes t if the likelihood (twice its logarithm, but for constants) is higher than so far. */
static mrl_status consider(search *how, double t)
{
  mrl_meta_moments m;
  MRL_TRY(moments_at(&m, t, how->model));
  const double log_det = how->restricted ? m.log_det : 0;
  const double value = -mrl_meta_log_variances(how->model, t) - log_det - m.rss;
  if (value > how->best_value) {
    how->best = t;
    how->best_value = value;
  }
  return MRL_OK;
}

/* settled: what maximum [lo, hi] has was considered; otherwise the interval is to be cut. */
static mrl_status settle(int *settled, search *how, const point *lo, const point *hi, int last)
{
  *settled = 1;
  if (one_sign(lo, hi) || rises(lo, hi)) {
    return MRL_OK;
  }
  /* Too narrow to cut: the score is zero to rounding, and the likelihood flat, all over it. */
  const int narrow = last || hi->s / lo->s < 1 + 1e-9;
  if (!narrow && !falls(lo, hi)) {
    *settled = 0;
    return MRL_OK;
  }
  double root = lo->t;
  if (score(lo) > 0 && score(hi) <= 0) {
    MRL_TRY(refine(&root, *lo, *hi, how));
  } else if (!narrow) {
    return MRL_OK;
  }
  return consider(how, root);
}

/* Goes through [0, top] from left to right. */
static mrl_status maximise(double *tau2, int restricted, mrl_meta_model *model)
{
  search how = {model, restricted, 0, -INFINITY};
  point lo, right[MAX_DEPTH]; /* right ends of the intervals still to settle, the nearest last */
  double top = 0;
  for (size_t i = 0; i < model->k; i++) {
    top += model->y[i] * model->y[i]; /* every u_j^2 is below this: no maximum lies beyond */
  }
  MRL_TRY(point_at(&lo, 0, &how));
  MRL_TRY(point_at(&right[0], top, &how));
  if (score(&lo) <= 0) {
    MRL_TRY(consider(&how, 0));
  }
  for (int depth = 1; depth > 0;) {
    int settled = 0;
    const point hi = right[depth - 1];
    MRL_TRY(settle(&settled, &how, &lo, &hi, depth == MAX_DEPTH));
    if (settled) {
      lo = hi;
      depth--;
    } else {
      MRL_TRY(point_at(&right[depth++], sqrt(lo.s * hi.s) - model->v_min, &how));
    }
  }
  *tau2 = how.best;
  return MRL_OK;
}

/* Standard deviation of y'P y where y has variance V + tau2. */
static double form_se(double tr_pvpv, double tr_pvp, double tr_pp, double tau2)
{
  return sqrt(2 * tr_pvpv + 4 * tau2 * tr_pvp + 2 * tau2 * tau2 * tr_pp);
}

/* Estimators whose form has fixed weights 1 / v: PVP = P, so the traces are known. */
static mrl_status by_precision(double *tau2, double *se, mrl_meta_method method,
                               mrl_meta_model *model)
{
  mrl_meta_moments m;
  const double df = (double)model->k - (double)model->p;
  MRL_TRY(moments_at(&m, 0, model));
  const double centre = method == MRL_META_HS ? (double)model->k : df;
  const double scale = method == MRL_META_HS ? m.sum_w : m.tr_p;
  *tau2 = fmax(0, (m.rss - centre) / scale);
  *se = form_se(df, m.tr_p, m.tr_pp, *tau2) / scale;
  return MRL_OK;
}

/* Hedges: equal weights. */
static mrl_status unweighted(double *tau2, double *se, mrl_meta_model *model)
{
  mrl_meta_moments m;
  double tr_pv, tr_pvpv;
  const double df = (double)model->k - (double)model->p;
  mrl_meta_weigh_equally(model);
  MRL_TRY(mrl_meta_evaluate(&m, model));
  mrl_meta_variance_traces(&tr_pv, &tr_pvpv, model);
  *tau2 = fmax(0, (m.rss - tr_pv) / df);
  *se = form_se(tr_pvpv, tr_pv, df, *tau2) / df;
  return MRL_OK;
}

/* Sidik-Jonkman: one step from the variance of the effects. With M = V + start, PMP = P. */
static mrl_status one_step(double *tau2, double *se, mrl_meta_model *model)
{
  mrl_meta_moments m;
  const double k = (double)model->k, df = k - (double)model->p;
  double mean = 0, start = 0;
  for (size_t i = 0; i < model->k; i++) {
    mean += model->y[i] / k;
  }
  for (size_t i = 0; i < model->k; i++) {
    start += (model->y[i] - mean) * (model->y[i] - mean) / k;
  }
  MRL_TRY(moments_at(&m, start, model));
  const double tr_pvp = m.tr_p - start * m.tr_pp;
  const double tr_pvpv = df - start * m.tr_p - start * tr_pvp;
  *tau2 = start * m.rss / df;
  *se = start / df * form_se(fmax(0, tr_pvpv), fmax(0, tr_pvp), m.tr_pp, *tau2);
  return MRL_OK;
}

static mrl_status by_likelihood(double *tau2, double *se, int restricted, mrl_meta_model *model)
{
  mrl_meta_moments m;
  MRL_TRY(maximise(tau2, restricted, model));
  MRL_TRY(moments_at(&m, *tau2, model));
  *se = sqrt(2 / (restricted ? m.tr_pp : m.sum_w2));
  return MRL_OK;
}

static mrl_status by_moments(double *tau2, double *se, mrl_meta_model *model)
{
  mrl_meta_moments m;
  const double k = (double)model->k, df = k - (double)model->p;
  MRL_TRY(mrl_meta_solve_q(tau2, df, model));
  MRL_TRY(moments_at(&m, *tau2, model));
  *se = k / m.sum_w * sqrt(2 / df);
  return MRL_OK;
}

mrl_status mrl_meta_tau2(double *tau2, double *se, mrl_meta_method method, mrl_meta_model *model)
{
  switch (method) {
  case MRL_META_REML:
  case MRL_META_ML:
    return by_likelihood(tau2, se, method == MRL_META_REML, model);
  case MRL_META_DL:
  case MRL_META_HS:
    return by_precision(tau2, se, method, model);
  case MRL_META_PM:
  case MRL_META_EB:
    return by_moments(tau2, se, model);
  case MRL_META_SJ:
    return one_step(tau2, se, model);
  case MRL_META_HE:
    return unweighted(tau2, se, model);
  case MRL_META_FE:
    *tau2 = 0;
    *se = NAN;
    return MRL_OK;
  default:
    return MRL_BAD_ARGUMENT;
  }
}
