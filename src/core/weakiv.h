/*
 * Inference on the effect of one exposure that holds however weak the instruments are, with errors
 * of equal variance. With Y = [exposure, outcome] without the exogenous columns, omega = Y'M_C Y /
 * df and b = (-beta, 1), Anderson & Rubin's (1949, Ann. Math. Stat. 20:46) statistic is Q_S =
 * b'Y'P Y b / b'omega b. Q_S runs from the lesser eigenvalue l0 of inverse(omega) Y'P Y, at LIML,
 * to the greater l1. With the direction of b in the metric of omega, w = its squared sine to that
 * of LIML, all statistics are functions of w in [0, 1]:
 *
 *   Q_S = l0 + (l1 - l0) w,  Q_T = l1 - (l1 - l0) w,  Q_ST^2 = (l1 - l0)^2 w (1 - w),
 *   Kleibergen's (2002, Econometrica 70:1781) K = Q_ST^2 / Q_T,
 *   Moreira's (2003, Econometrica 71:1027) conditional likelihood ratio LR = l1 - Q_T.
 *
 * So each confidence set is one or two arcs of directions, in closed form but for the CLR's
 * critical w, where the p-value equals its level: it falls in w (Mikusheva 2010, J. Econometrics
 * 157:236). The p-value is that of Andrews, Moreira & Stock (2007, J. Econometrics 139:116).
 */
#ifndef MRL_WEAKIV_H
#define MRL_WEAKIV_H

#include "status.h"

typedef enum { MRL_WEAK_AR, MRL_WEAK_K, MRL_WEAK_CLR, MRL_N_WEAK } mrl_weak_type;

typedef struct {
  double lambda[2]; /* ascending */
  double root[4];   /* (2, 2) upper S with S'S = omega times df, Y in the order exposure, outcome */
  double axes[4];   /* (2, 2) eigenvectors in the metric of omega */
  double dir[4];    /* (2, 2) b = dir (cos, sin)' */
  double l;         /* instruments */
} mrl_weak_form;

/* between, within (2, 2): Y'(P_C - P_W) Y and Y'M_C Y. MRL_SINGULAR: within is. */
mrl_status mrl_weak_prepare(mrl_weak_form *form, const double *between, const double *within,
                            double l, double df);

/* w at an effect beta; infinite: the direction where the outcome drops out. */
double mrl_weak_sine(const mrl_weak_form *form, double beta);
/* Q_S, K or LR at w. */
double mrl_weak_statistic(const mrl_weak_form *form, mrl_weak_type type, double w);
/* P(LR >= lr) given Q_T = qt with l instruments (l >= 1). */
double mrl_clr_p(double lr, double qt, double l);

/*
 * Intervals (low, high) of the effects that are not rejected, ascending; returns how many, at most
 * 4. critical: of Q_S or K; for the CLR the level of the test (0.05, say).
 */
enum { MRL_WEAK_MAX = 4 };
size_t mrl_weak_set(double *low, double *high, const mrl_weak_form *form, mrl_weak_type type,
                    double critical);

/* The effects of the directions from .. to (angles, at most pi apart) as one or two intervals. */
size_t mrl_weak_arc(double *low, double *high, const double *dir, double from, double to);

/* Intervals in ascending order. */
void mrl_weak_sort(double *low, double *high, size_t n);

#endif
