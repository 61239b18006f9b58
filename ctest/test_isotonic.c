/* Isotonic regression against the max-min formula, which is slow: fit i is the largest, over starts
 * a <= i, of the least, over ends b >= i, of the mean of y from a to b. */
#include "ctest.h"

#include "../src/core/isotonic.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

enum { N = 40 };

static double slow(const double *y, const double *w, size_t n, size_t i)
{
  double best = -INFINITY;
  for (size_t a = 0; a <= i; a++) {
    double least = INFINITY, sum = 0, total = 0;
    for (size_t b = a; b < n; b++) {
      sum += w[b] * y[b];
      total += w[b];
      least = b >= i ? fmin(least, sum / total) : least;
    }
    best = fmax(best, least);
  }
  return best;
}

int main(void)
{
  double y[N], w[N], fit[N];
  uint64_t state = 1; /* a linear congruential generator is random enough here */
  for (size_t round = 0; round < 200; round++) {
    const size_t n = 1 + round % N;
    for (size_t i = 0; i < n; i++) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      y[i] = (double)(state >> 40) / (1 << 24) + 0.02 * (double)(i * (round % 3));
      y[i] = round % 2 ? floor(y[i] * 8) : y[i]; /* ties */
      w[i] = 0.1 + (double)(state >> 20 & 15);
    }
    void *scratch = malloc(mrl_isotonic_scratch(n));
    CHECK(mrl_isotonic(fit, y, w, n, scratch) == MRL_OK);
    for (size_t i = 0; i < n; i++) {
      CHECK_NEAR(fit[i], slow(y, w, n, i), 1e-12); /* means of at most 40 numbers of order 10 */
    }
    CHECK(mrl_isotonic(fit, fit, w, n, scratch) == MRL_OK); /* in place, and idempotent */
    CHECK_NEAR(fit[n / 2], slow(y, w, n, n / 2), 1e-12);
    y[n - 1] = NAN;
    CHECK(mrl_isotonic(fit, y, NULL, n, scratch) == MRL_NOT_FINITE);
    y[n - 1] = 1;
    w[0] = 0;
    CHECK(mrl_isotonic(fit, y, w, n, scratch) == MRL_BAD_ARGUMENT);
    free(scratch);
  }
  return CTEST_DONE();
}
