/* What measured pairs say: noise of measurements, and the law of the slopes' errors. */
#include "deepmr.h"

#include "mr_order.h"

#include <math.h>
#include <string.h>

size_t mrl_deepmr_noise_work(size_t n_null)
{
  return 5 * n_null;
}

typedef struct {
  double *distance, *sorted; /* (n_null) */
  double *ex, *ey, *spare;   /* (n_null) */
} noise_work;

/* Four times the SD of a normal variable with the median of |e|. */
static double outer_limit(const double *e, size_t m, double *spare)
{
  for (size_t i = 0; i < m; i++) {
    spare[i] = fabs(e[i]);
  }
  return 4 * 1.4826 * mrl_median(spare, m);
}

/* cov: xx, xy, yy of one measurement, from m differences. */
static void trimmed_covariance(double *cov, const noise_work *work, size_t m)
{
  const double most_x = outer_limit(work->ex, m, work->spare);
  const double most_y = outer_limit(work->ey, m, work->spare);
  size_t kept = 0;
  cov[0] = cov[1] = cov[2] = 0;
  for (size_t i = 0; i < m; i++) {
    const double x = work->ex[i], y = work->ey[i];
    if (fabs(x) <= most_x && fabs(y) <= most_y) {
      cov[0] += x * x;
      cov[1] += x * y;
      cov[2] += y * y;
      kept++;
    }
  }
  for (int j = 0; j < 3; j++) {
    cov[j] /= 2 * (double)kept; /* a difference has the noise of two measurements */
  }
}

mrl_status mrl_deepmr_noise(double *cov, const double *at, size_t n, const double *level,
                            const double *e, size_t n_null, size_t nearest, double *work,
                            const mrl_ctx *ctx)
{
  if (nearest < 2 || n_null < nearest) {
    return MRL_TOO_FEW;
  }
  const noise_work w = {work, work + n_null, work + 2 * n_null, work + 3 * n_null,
                        work + 4 * n_null};
  double per[2]; /* levels that do not vary do not tell near from far */
  for (int j = 0; j < 2; j++) {
    const double sd = mrl_sd(level + (size_t)j * n_null, n_null);
    per[j] = sd > 0 ? 1 / (sd * sd) : 0;
  }
  for (size_t i = 0; i < n; i++) {
    for (size_t j = 0; j < n_null; j++) {
      const double dx = level[j] - at[i], dy = level[n_null + j] - at[n + i];
      w.distance[j] = dx * dx * per[0] + dy * dy * per[1];
    }
    memcpy(w.sorted, w.distance, n_null * sizeof *w.sorted);
    const double limit = mrl_select(w.sorted, n_null, nearest - 1);
    size_t m = 0;
    for (int equal = 0; equal < 2; equal++) { /* those at the limit fill up, in their order */
      for (size_t j = 0; j < n_null && m < nearest; j++) {
        if (equal ? w.distance[j] == limit : w.distance[j] < limit) {
          w.ex[m] = e[j];
          w.ey[m++] = e[n_null + j];
        }
      }
    }
    double one[3];
    trimmed_covariance(one, &w, m);
    for (size_t j = 0; j < 3; j++) {
      cov[i + j * n] = one[j];
    }
    mrl_poll(ctx);
  }
  return MRL_OK;
}

/* Log posterior of grid point g but for a constant, with d's mean and variance there. */
static double grid_point(mrl_deepmr_law *law, size_t g, const double *z, const double *v0,
                         const double *h, size_t n)
{
  const double psi = law->t[g] * law->t[g];
  double sum = 0, mean = 0, loglik = 0;
  for (size_t i = 0; i < n; i++) {
    const double v = v0[i] + psi * h[i];
    sum += 1 / v;
    mean += z[i] / v;
    loglik -= log(v) / 2;
  }
  mean /= sum;
  for (size_t i = 0; i < n; i++) {
    loglik -= (z[i] - mean) * (z[i] - mean) / (v0[i] + psi * h[i]) / 2;
  }
  law->d[g] = mean;
  law->v[g] = 1 / sum;
  return loglik - log(sum) / 2;
}

mrl_status mrl_deepmr_learn(mrl_deepmr_law *law, const double *z, const double *v0, const double *h,
                            size_t n, const mrl_deepmr_prior *prior)
{
  if (n < 2 || !(prior->unit > 0)) {
    return MRL_TOO_FEW;
  }
  const double step = log(3 / 0.003) / (MRL_DEEPMR_N_GRID - 2);
  double most = -INFINITY, total = 0;
  for (size_t g = 0; g < MRL_DEEPMR_N_GRID; g++) {
    law->t[g] = prior->unit * (g == 0 ? 1e-4 : 0.003 * exp(step * (double)(g - 1)));
    const double psi = law->t[g] * law->t[g];
    law->weight[g] =
        grid_point(law, g, z, v0, h, n) - prior->df / 2 * (log(psi) + prior->psi0 / psi);
    most = fmax(most, law->weight[g]);
  }
  for (size_t g = 0; g < MRL_DEEPMR_N_GRID; g++) {
    law->weight[g] = exp(law->weight[g] - most);
    total += law->weight[g];
  }
  law->centre = law->variance = 0;
  for (size_t g = 0; g < MRL_DEEPMR_N_GRID; g++) {
    law->weight[g] /= total;
    law->centre += law->weight[g] * law->d[g];
  }
  for (size_t g = 0; g < MRL_DEEPMR_N_GRID; g++) {
    const double off = law->d[g] - law->centre;
    law->variance += law->weight[g] * (law->v[g] + off * off);
  }
  return isfinite(law->variance) && isfinite(law->centre) ? MRL_OK : MRL_NOT_FINITE;
}

/* Posterior mass outside of centre +- c. */
static double mass_outside(const mrl_deepmr_law *law, double c, double h)
{
  double mass = 0;
  for (size_t g = 0; g < MRL_DEEPMR_N_GRID; g++) {
    if (law->weight[g] > 1e-16) {
      const double scale = sqrt(2 * (law->t[g] * law->t[g] * h + law->v[g]));
      const double off = law->d[g] - law->centre;
      mass += law->weight[g] * (erfc((c + off) / scale) + erfc((c - off) / scale)) / 2;
    }
  }
  return mass;
}

/* The bracket doubles until it holds the root; 60 halvings leave less than rounding. */
static double one_reach(const mrl_deepmr_law *law, double h, double level)
{
  double low = 0, high = sqrt(law->variance);
  for (int i = 0; i < 2000 && mass_outside(law, high, h) > 1 - level; i++) {
    low = high;
    high *= 2;
  }
  for (int i = 0; i < 60 && high - low > 1e-14 * high; i++) {
    const double middle = (low + high) / 2;
    if (mass_outside(law, middle, h) > 1 - level) {
      low = middle;
    } else {
      high = middle;
    }
  }
  return (low + high) / 2;
}

mrl_status mrl_deepmr_reach(double *reach, const double *h, size_t n, const mrl_deepmr_law *law,
                            double level, const mrl_ctx *ctx)
{
  enum { BLOCK = 256 }; /* some 20 milliseconds on one thread */
  if (!(level > 0 && level < 1)) {
    return MRL_BAD_ARGUMENT;
  }
  for (size_t from = 0; from < n; from += BLOCK) {
    const size_t to = from + BLOCK < n ? from + BLOCK : n;
#pragma omp parallel for schedule(static) num_threads(ctx->n_threads)
    for (size_t i = from; i < to; i++) {
      reach[i] = i > from && h[i] == h[i - 1] ? NAN : one_reach(law, h[i], level);
    }
    for (size_t i = from + 1; i < to; i++) {
      if (h[i] == h[i - 1]) {
        reach[i] = reach[i - 1];
      }
    }
    mrl_poll(ctx);
  }
  return MRL_OK;
}
