#include "pwm.h"

#include <math.h>

void mrl_pwm_odds(double *odds, const double *p, const double *background, size_t length)
{
  for (size_t j = 0; j < length; j++) {
    for (size_t a = 0; a < 4; a++) {
      odds[5 * j + a] = log(p[4 * j + a] / background[a]);
    }
    odds[5 * j + 4] = 0;
  }
}

double mrl_pwm_score(const uint8_t *code, const mrl_pwm *pwm)
{
  double score = 0;
  for (size_t j = 0; j < pwm->length; j++) {
    score += pwm->odds[5 * j + code[j]];
  }
  return score;
}

double mrl_pwm_missed(const uint8_t *code, size_t n, size_t at, const mrl_pwm *pwm, double mu)
{
  const size_t first = at < n && at + 1 > pwm->length ? at + 1 - pwm->length : 0;
  const size_t end = at < n ? at + 1 : n;
  double missed = 0;
  for (size_t i = first; i < end && i + pwm->length <= n; i++) {
    const double t = mrl_pwm_score(code + i, pwm) + mu;
    missed -= t > 0 ? t + log1p(exp(-t)) : log1p(exp(t));
  }
  return missed;
}

double mrl_pwm_hit(const uint8_t *code, size_t n, const mrl_pwm *pwm, double mu)
{
  return -expm1(mrl_pwm_missed(code, n, n, pwm, mu));
}
