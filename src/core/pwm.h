/*
 * Motifs as position weight matrices, on codes of DNA (seq.h; an unknown letter scores as the
 * background does).
 */
#ifndef MRL_PWM_H
#define MRL_PWM_H

#include "status.h"

#include <stdint.h>

typedef struct {
  const double *p;    /* (length, 4) by row: probability of each letter */
  const double *odds; /* (length, 5) by row: log(p / background), and 0 for an unknown letter */
  size_t length;      /* at least 1 */
} mrl_pwm;

/* odds (length, 5) from p (length, 4) and background (4), all above 0. */
void mrl_pwm_odds(double *odds, const double *p, const double *background, size_t length);

/* Sum of the log odds over a window of pwm->length codes. */
double mrl_pwm_score(const uint8_t *code, const mrl_pwm *pwm);

/*
 * The chance that a sequence is hit: 1 - prod over windows of (1 - s), s = 1 / (1 + exp(-score -
 * mu)), windows being taken as independent. 0 for a sequence shorter than the motif. mu: chemical
 * potential of what binds.
 */
double mrl_pwm_hit(const uint8_t *code, size_t n, const mrl_pwm *pwm, double mu);

/* Its logarithm's parts: the sum of log(1 - s) over the windows that hold letter `at`, or over all
 * for at = n. Logs are added, so that a window that is surely hit does not hide the others. */
double mrl_pwm_missed(const uint8_t *code, size_t n, size_t at, const mrl_pwm *pwm, double mu);

#endif
