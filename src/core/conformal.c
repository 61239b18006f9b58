#include "conformal.h"

#include "mr_order.h"

#include <float.h>
#include <math.h>

size_t mrl_conformal_rank(size_t n, double level)
{
  /* 100 times .9 is 90 although .9 is not nine tenths: what rounding adds to a whole number is
   * taken off before it is rounded up. */
  const double at = ((double)n + 1) * level;
  return (size_t)ceil(at * (1 - 8 * DBL_EPSILON));
}

static double ranked(double *score, size_t n, size_t k)
{
  return k > n ? INFINITY : mrl_select(score, n, k - 1);
}

mrl_status mrl_conformal_run(mrl_conformal *out, double *work, const double *y, const double *low,
                             const double *high, const double *scale, size_t n, double level,
                             int apart)
{
  if (n < 1 || !(level > 0 && level < 1)) {
    return MRL_BAD_ARGUMENT;
  }
  out->k = mrl_conformal_rank(n, apart ? (1 + level) / 2 : level);
  for (size_t i = 0; i < n; i++) {
    const double above = y[i] - high[i], below = low[i] - y[i];
    work[i] = (apart ? above : fmax(below, above)) / (scale ? scale[i] : 1);
  }
  out->above = ranked(work, n, out->k);
  out->below = out->above;
  if (apart) {
    for (size_t i = 0; i < n; i++) {
      work[i] = (low[i] - y[i]) / (scale ? scale[i] : 1);
    }
    out->below = ranked(work, n, out->k);
  }
  return MRL_OK;
}
