/* What measured pairs say: noise of measurements, and the law of the slopes' errors. */
#include "deepmr.h"

#include "blas.h"
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

/* d given psi at grid point g: mean and covariance. The log of the posterior but for psi's prior
 * and a constant, NaN where the covariates' moments are not positive definite. */
static double grid_point(mrl_deepmr_law *law, size_t g, const mrl_deepmr_errors *errors,
                         double precision)
{
  const size_t n = errors->n, p = law->n_covariate;
  const double psi = law->t[g] * law->t[g];
  double *d = law->d[g], *v = law->v[g], loglik = 0;
  for (size_t j = 0; j < p; j++) {
    d[j] = 0;
    for (size_t k = 0; k < p; k++) {
      v[j + k * p] = j == k && j > 0 ? precision : 0;
    }
  }
  for (size_t i = 0; i < n; i++) {
    const double w = 1 / (errors->v0[i] + psi * errors->h[i]);
    loglik += log(w) / 2;
    for (size_t j = 0; j < p; j++) {
      const double x = errors->x[i + j * n];
      d[j] += w * x * errors->z[i];
      for (size_t k = j; k < p; k++) {
        v[j + k * p] += w * x * errors->x[i + k * n];
      }
    }
  }
  if (mrl_cholesky(v, p) != MRL_OK) {
    return NAN;
  }
  for (size_t j = 0; j < p; j++) {
    loglik -= log(v[j + j * p]);
  }
  mrl_cholesky_solve(d, v, p, 1);
  mrl_cholesky_inverse(v, p);
  for (size_t i = 0; i < n; i++) {
    double off = errors->z[i];
    for (size_t j = 0; j < p; j++) {
      off -= d[j] * errors->x[i + j * n];
    }
    loglik -= off * off / (errors->v0[i] + psi * errors->h[i]) / 2;
  }
  for (size_t j = 1; j < p; j++) {
    loglik -= precision * d[j] * d[j] / 2;
  }
  return loglik;
}

mrl_status mrl_deepmr_learn(mrl_deepmr_law *law, const mrl_deepmr_errors *errors,
                            const mrl_deepmr_prior *prior)
{
  if (errors->n < 2 || !(prior->unit > 0)) {
    return MRL_TOO_FEW;
  }
  if (errors->n_covariate < 1 || errors->n_covariate > MRL_DEEPMR_MOST_COVARIATES) {
    return MRL_BAD_ARGUMENT;
  }
  law->n_covariate = errors->n_covariate;
  const double step = log(3 / 0.003) / (MRL_DEEPMR_N_GRID - 2);
  const double precision = 1 / (9 * prior->unit * prior->unit);
  double most = -INFINITY, total = 0;
  for (size_t g = 0; g < MRL_DEEPMR_N_GRID; g++) {
    law->t[g] = prior->unit * (g == 0 ? 1e-4 : 0.003 * exp(step * (double)(g - 1)));
    const double psi = law->t[g] * law->t[g];
    law->weight[g] =
        grid_point(law, g, errors, precision) - prior->df / 2 * (log(psi) + prior->psi0 / psi);
    if (!isfinite(law->weight[g])) {
      return MRL_NOT_FINITE;
    }
    most = fmax(most, law->weight[g]);
  }
  for (size_t g = 0; g < MRL_DEEPMR_N_GRID; g++) {
    law->weight[g] = exp(law->weight[g] - most);
    total += law->weight[g];
  }
  for (size_t g = 0; g < MRL_DEEPMR_N_GRID; g++) {
    law->weight[g] /= total;
  }
  return MRL_OK;
}

/* A mixture of normal laws, those of the grid that have weight. */
typedef struct {
  double weight[MRL_DEEPMR_N_GRID], off[MRL_DEEPMR_N_GRID], scale[MRL_DEEPMR_N_GRID];
  size_t n;
} mixture;

/* Mass outside of +- c. */
static double mass_outside(const mixture *law, double c)
{
  double mass = 0;
  for (size_t g = 0; g < law->n; g++) {
    mass += law->weight[g] *
            (erfc((c + law->off[g]) / law->scale[g]) + erfc((c - law->off[g]) / law->scale[g])) / 2;
  }
  return mass;
}

/* The bracket doubles from `high` until it holds the root; 60 halvings leave less than rounding. */
static double one_reach(const mixture *law, double high, double level)
{
  double low = 0;
  for (int i = 0; i < 2000 && mass_outside(law, high) > 1 - level; i++) {
    low = high;
    high *= 2;
  }
  for (int i = 0; i < 60 && high - low > 1e-14 * high; i++) {
    const double middle = (low + high) / 2;
    if (mass_outside(law, middle) > 1 - level) {
      low = middle;
    } else {
      high = middle;
    }
  }
  return (low + high) / 2;
}

/* Row i of the results. */
static void one_row(double *out, size_t i, const double *h, const double *x, size_t n,
                    const mrl_deepmr_law *law, double level)
{
  const size_t p = law->n_covariate;
  double mean[MRL_DEEPMR_N_GRID], variance[MRL_DEEPMR_N_GRID], centre = 0, total = 0;
  for (size_t g = 0; g < MRL_DEEPMR_N_GRID; g++) {
    mean[g] = variance[g] = 0;
    for (size_t j = 0; j < p; j++) {
      const double xj = x[i + j * n];
      mean[g] += xj * law->d[g][j];
      for (size_t k = 0; k < p; k++) {
        variance[g] += xj * x[i + k * n] * law->v[g][j + k * p];
      }
    }
    centre += law->weight[g] * mean[g];
  }
  mixture parts = {.n = 0};
  for (size_t g = 0; g < MRL_DEEPMR_N_GRID; g++) {
    const double off = mean[g] - centre;
    total += law->weight[g] * (variance[g] + off * off);
    if (law->weight[g] > 1e-16) {
      parts.weight[parts.n] = law->weight[g];
      parts.off[parts.n] = off;
      parts.scale[parts.n++] = sqrt(2 * (law->t[g] * law->t[g] * h[i] + variance[g]));
    }
  }
  out[i + n * MRL_DEEPMR_CENTRE] = centre;
  out[i + n * MRL_DEEPMR_VARIANCE] = total;
  out[i + n * MRL_DEEPMR_REACH] = one_reach(&parts, sqrt(total), level);
}

static int like_the_one_before(const double *h, const double *x, size_t n, size_t i, size_t p)
{
  int same = h[i] == h[i - 1];
  for (size_t j = 0; j < p; j++) {
    same = same && x[i + j * n] == x[i - 1 + j * n];
  }
  return same;
}

mrl_status mrl_deepmr_reach(double *out, const double *h, const double *x, size_t n,
                            const mrl_deepmr_law *law, double level, const mrl_ctx *ctx)
{
  enum { BLOCK = 256 }; /* some 40 milliseconds on one thread */
  if (!(level > 0 && level < 1)) {
    return MRL_BAD_ARGUMENT;
  }
  for (size_t from = 0; from < n; from += BLOCK) {
    const size_t to = from + BLOCK < n ? from + BLOCK : n;
#pragma omp parallel for schedule(static) num_threads(ctx->n_threads)
    for (size_t i = from; i < to; i++) {
      if (i == from || !like_the_one_before(h, x, n, i, law->n_covariate)) {
        one_row(out, i, h, x, n, law, level);
      }
    }
    for (size_t i = from + 1; i < to; i++) {
      for (size_t j = 0; j < MRL_DEEPMR_N_REACH; j++) {
        if (like_the_one_before(h, x, n, i, law->n_covariate)) {
          out[i + j * n] = out[i - 1 + j * n];
        }
      }
    }
    mrl_poll(ctx);
  }
  return MRL_OK;
}
