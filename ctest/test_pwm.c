/* Motif scores, Poisson numbers and expected labels against closed forms. */
#include "ctest.h"

#include "pwm.h"
#include "rng.h"
#include "sim_sequence.h"

/* A motif of two letters in a sequence of four: windows by hand. */
static void test_hit(void)
{
  const double p[8] = {0.7, 0.1, 0.1, 0.1, 0.2, 0.2, 0.2, 0.4};
  const double background[4] = {0.25, 0.25, 0.25, 0.25};
  const uint8_t code[4] = {0, 3, 1, 4};
  double odds[10];
  mrl_pwm_odds(odds, p, background, 2);
  const mrl_pwm pwm = {p, odds, 2};
  const double score[3] = {log(2.8) + log(1.6), log(0.4) + log(0.8), log(0.4)};
  double miss = 1;
  for (int i = 0; i < 3; i++) {
    CHECK_NEAR(mrl_pwm_score(code + i, &pwm), score[i], 1e-14);
    miss *= 1 - 1 / (1 + exp(-score[i] - 0.5));
  }
  CHECK_NEAR(mrl_pwm_hit(code, 4, &pwm, 0.5), 1 - miss, 1e-14);
  CHECK(mrl_pwm_hit(code, 1, &pwm, 0.5) == 0);
  /* Letter 0 is in the first window alone, letter 1 in two. */
  CHECK_NEAR(mrl_pwm_missed(code, 4, 0, &pwm, 0), -log1p(exp(score[0])), 1e-14);
  CHECK_NEAR(mrl_pwm_missed(code, 4, 1, &pwm, 0), -log1p(exp(score[0])) - log1p(exp(score[1])),
             1e-14);
  CHECK_NEAR(mrl_pwm_missed(code, 4, 3, &pwm, 0), -log1p(exp(score[2])), 1e-14);
}

/* Mean and variance within five standard errors, and the share of zeros of a small mean. */
static void test_poisson(void)
{
  enum { DRAWS = 200000 };
  const double means[] = {0.3, 5, 31, 33, 250, 1e4};
  for (size_t m = 0; m < sizeof means / sizeof *means; m++) {
    mrl_rng rng = mrl_rng_stream(7, MRL_RNG_TEST, m);
    const double mean = means[m];
    double sum = 0, square = 0, zeros = 0;
    for (int i = 0; i < DRAWS; i++) {
      const double x = mrl_rng_poisson(&rng, mean), d = x - mean;
      sum += d;
      square += d * d;
      zeros += x == 0;
    }
    CHECK(fabs(sum / DRAWS) < 5 * sqrt(mean / DRAWS));
    CHECK(fabs(square / DRAWS - mean) < 5 * sqrt((2 * mean * mean + mean) / DRAWS));
    CHECK(fabs(zeros / DRAWS - exp(-mean)) < 5 * sqrt(exp(-mean) / DRAWS) + 1e-12);
  }
  mrl_rng rng = mrl_rng_stream(7, MRL_RNG_TEST, 99);
  CHECK(mrl_rng_poisson(&rng, 0) == 0);
}

static void test_label(void)
{
  for (double c = 0.5; c < 3000; c *= 1.7) {
    double p = exp(-c), log_p = -c, sum = 0;
    for (double k = 0; k < c + 100 + 20 * sqrt(c); k++) {
      p = exp(log_p);
      sum += p * 2 * sqrt(k + 0.375);
      log_p += log(c) - log(k + 1);
    }
    CHECK_NEAR(mrl_anscombe_mean(c), sum, 1e-6);
  }
  CHECK_NEAR(mrl_anscombe_mean(0), 2 * sqrt(0.375), 1e-15);
}

int main(void)
{
  test_hit();
  test_poisson();
  test_label();
  return CTEST_DONE();
}
