#include "kernelstat.h"

#include <math.h>
#include <string.h>

/* Rows between two polls: 64 rows against 10,000 of 4 columns are some 10 ms. */
enum { POLL_ROWS = 64 };

static size_t n_features(size_t d)
{
  return d + d * (d + 1) / 2;
}

static size_t greater(size_t a, size_t b)
{
  return a > b ? a : b;
}

size_t mrl_kernelstat_work(const mrl_samples *s)
{
  const size_t fx = n_features(s->dx), fy = n_features(s->dy), d = s->dx;
  const size_t moments = 6 * d * d + 6 * d;
  const size_t features = s->nx * (fx + fy) + fx * fy + fx + fy;
  return greater(greater(moments, features), 4 * s->nx + 4);
}

/* mean (d), second (d, d): raw moments, or with `centred` the covariance (divisor n - 1). */
static void take_moments(double *mean, double *second, const double *x, size_t n, size_t d,
                         int centred)
{
  for (size_t j = 0; j < d; j++) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
      sum += x[i + j * n];
    }
    mean[j] = sum / (double)n;
  }
  for (size_t j = 0; j < d; j++) {
    for (size_t k = 0; k <= j; k++) {
      const double a = centred ? mean[j] : 0, b = centred ? mean[k] : 0;
      double sum = 0;
      for (size_t i = 0; i < n; i++) {
        sum += (x[i + j * n] - a) * (x[i + k * n] - b);
      }
      second[j + k * d] = second[k + j * d] = sum / (double)(centred ? n - 1 : n);
    }
  }
}

/* g (n, d) += linear (d) + quadratic (d, d) (x_i - centre). */
static void add_affine(double *g, const double *x, size_t n, size_t d, const double *linear,
                       double by_linear, const double *quadratic, double by_quadratic,
                       const double *centre)
{
  for (size_t j = 0; j < d; j++) {
    for (size_t i = 0; i < n; i++) {
      double sum = 0;
      for (size_t k = 0; k < d; k++) {
        sum += quadratic[j + k * d] * (x[i + k * n] - (centre ? centre[k] : 0));
      }
      g[i + j * n] += by_linear * linear[j] + by_quadratic * sum;
    }
  }
}

/* Differences of the two samples' moments: work = mean_x, mean_y, mean (d each), second_x,
 * second_y, second (d, d each). */
static void subtract_moments(const mrl_samples *s, double *work, int centred, double **mean,
                             double **second)
{
  const size_t d = s->dx;
  double *mean_x = work, *mean_y = work + d, *second_x = work + 3 * d, *second_y = second_x + d * d;
  take_moments(mean_x, second_x, s->x, s->nx, d, centred);
  take_moments(mean_y, second_y, s->y, s->ny, d, centred);
  *mean = work + 2 * d;
  *second = second_y + d * d;
  for (size_t j = 0; j < d; j++) {
    (*mean)[j] = mean_x[j] - mean_y[j];
  }
  for (size_t j = 0; j < d * d; j++) {
    (*second)[j] = second_x[j] - second_y[j];
  }
}

static double sum_squares(const double *x, size_t n)
{
  double sum = 0;
  for (size_t i = 0; i < n; i++) {
    sum += x[i] * x[i];
  }
  return sum;
}

static mrl_status finite_or_not(double value)
{
  return isfinite(value) ? MRL_OK : MRL_NOT_FINITE;
}

mrl_status mrl_mmd_poly(double *value, double *gx, double *gy, const mrl_samples *s, double *work,
                        const mrl_ctx *ctx)
{
  const size_t d = s->dx;
  double *mean, *second;
  subtract_moments(s, work, 0, &mean, &second);
  mrl_poll(ctx);
  *value = 2 * sum_squares(mean, d) + sum_squares(second, d * d);
  if (gx) {
    add_affine(gx, s->x, s->nx, d, mean, 4. / (double)s->nx, second, 4. / (double)s->nx, NULL);
  }
  if (gy) {
    add_affine(gy, s->y, s->ny, d, mean, -4. / (double)s->ny, second, -4. / (double)s->ny, NULL);
  }
  return finite_or_not(*value);
}

mrl_status mrl_mmd_moments(double *value, double *gx, double *gy, const mrl_samples *s,
                           double *work, const mrl_ctx *ctx)
{
  const size_t d = s->dx;
  const double m = (double)d;
  double *mean, *second;
  subtract_moments(s, work, 1, &mean, &second);
  mrl_poll(ctx);
  *value = sum_squares(mean, d) / m + sum_squares(second, d * d) / (m * m);
  if (gx) {
    add_affine(gx, s->x, s->nx, d, mean, 2 / (m * (double)s->nx), second,
               4 / (m * m * (double)(s->nx - 1)), work);
  }
  if (gy) {
    add_affine(gy, s->y, s->ny, d, mean, -2 / (m * (double)s->ny), second,
               -4 / (m * m * (double)(s->ny - 1)), work + d);
  }
  return finite_or_not(*value);
}

/* The kernel of two rows; *slope: of its gradient by the first row, slope (x_i - y_j). */
static double gaussian(double *slope, const double *x, size_t i, size_t n, const double *y,
                       size_t j, size_t m, size_t d, const double *bandwidth, size_t n_bandwidth)
{
  double square = 0, value = 0;
  for (size_t k = 0; k < d; k++) {
    const double gap = x[i + k * n] - y[j + k * m];
    square += gap * gap;
  }
  *slope = 0;
  for (size_t b = 0; b < n_bandwidth; b++) {
    const double precision = 1 / (bandwidth[b] * bandwidth[b]);
    const double k = exp(-.5 * square * precision);
    value += k;
    *slope -= precision * k;
  }
  return value;
}

static void add_pair(double *g, const double *x, size_t i, size_t n, const double *y, size_t j,
                     size_t m, size_t d, double by)
{
  for (size_t k = 0; g && k < d; k++) {
    g[i + k * n] += by * (x[i + k * n] - y[j + k * m]);
  }
}

/* weight times the sum of the kernel over pairs of x and y, or i != j of x where y is x; gradients
 * likewise. */
static double gaussian_sum(double *gx, double *gy, const double *x, size_t n, const double *y,
                           size_t m, size_t d, const mrl_samples *s, double weight,
                           const mrl_ctx *ctx)
{
  const int same = x == y;
  double total = 0;
  for (size_t i = 0; i < n; i++) {
    double row = 0;
    for (size_t j = same ? i + 1 : 0; j < m; j++) {
      double slope;
      row += gaussian(&slope, x, i, n, y, j, m, d, s->bandwidth_x, s->n_x);
      add_pair(gx, x, i, n, y, j, m, d, (same ? 2 : 1) * weight * slope);
      add_pair(gy, y, j, m, x, i, n, d, (same ? 2 : 1) * weight * slope);
    }
    total += row;
    if (i % POLL_ROWS == 0) {
      mrl_poll(ctx);
    }
  }
  return (same ? 2 : 1) * weight * total;
}

mrl_status mrl_mmd_gaussian(double *value, double *gx, double *gy, const mrl_samples *s,
                            double *work, const mrl_ctx *ctx)
{
  const double n = (double)s->nx, m = (double)s->ny;
  (void)work;
  *value = gaussian_sum(gx, gx, s->x, s->nx, s->x, s->nx, s->dx, s, 1 / (n * (n - 1)), ctx);
  *value += gaussian_sum(gy, gy, s->y, s->ny, s->y, s->ny, s->dx, s, 1 / (m * (m - 1)), ctx);
  for (size_t i = 0; i < s->nx; i++) {
    for (size_t j = 0; j < s->ny; j++) {
      double slope;
      *value -= 2 / (n * m) *
                gaussian(&slope, s->x, i, s->nx, s->y, j, s->ny, s->dx, s->bandwidth_x, s->n_x);
      add_pair(gx, s->x, i, s->nx, s->y, j, s->ny, s->dx, -2 / (n * m) * slope);
      add_pair(gy, s->y, j, s->ny, s->x, i, s->nx, s->dx, -2 / (n * m) * slope);
    }
    if (i % POLL_ROWS == 0) {
      mrl_poll(ctx);
    }
  }
  return finite_or_not(*value);
}

/* phi (n, n_features), centred: sqrt2 x, x_j^2, sqrt2 x_j x_k (k < j), whose products make the
 * polynomial kernel but for its constant. */
static void features(double *phi, const double *x, size_t n, size_t d)
{
  size_t at = d;
  for (size_t j = 0; j < d; j++) {
    for (size_t i = 0; i < n; i++) {
      phi[i + j * n] = sqrt(2.) * x[i + j * n];
    }
    for (size_t k = 0; k <= j; k++, at++) {
      for (size_t i = 0; i < n; i++) {
        phi[i + at * n] = (k == j ? 1 : sqrt(2.)) * x[i + j * n] * x[i + k * n];
      }
    }
  }
  for (size_t f = 0; f < at; f++) {
    double mean = 0;
    for (size_t i = 0; i < n; i++) {
      mean += phi[i + f * n];
    }
    mean /= (double)n;
    for (size_t i = 0; i < n; i++) {
      phi[i + f * n] -= mean;
    }
  }
}

/* g (n, d) += the gradient by x of what has the gradient by its features by * other cross', other
 * (n, n_other), cross (n_features, n_other) with the strides given. own: n_features. */
static void pull_features(double *g, const double *x, size_t n, size_t d, const double *other,
                          size_t n_other, const double *cross, size_t row, size_t column, double by,
                          double *own)
{
  const size_t f = n_features(d);
  for (size_t i = 0; i < n; i++) {
    for (size_t a = 0; a < f; a++) {
      double sum = 0;
      for (size_t b = 0; b < n_other; b++) {
        sum += cross[a * row + b * column] * other[i + b * n];
      }
      own[a] = by * sum;
    }
    size_t at = d;
    for (size_t j = 0; j < d; j++) {
      g[i + j * n] += sqrt(2.) * own[j];
      for (size_t k = 0; k <= j; k++, at++) {
        const double scale = k == j ? 1 : sqrt(2.);
        g[i + j * n] += scale * x[i + k * n] * own[at];
        g[i + k * n] += scale * x[i + j * n] * own[at];
      }
    }
  }
}

mrl_status mrl_hsic_poly(double *value, double *gx, double *gy, const mrl_samples *s, double *work,
                         const mrl_ctx *ctx)
{
  const size_t n = s->nx, fx = n_features(s->dx), fy = n_features(s->dy);
  double *phi = work, *psi = work + n * fx, *cross = psi + n * fy, *own = cross + fx * fy;
  features(phi, s->x, n, s->dx);
  features(psi, s->y, n, s->dy);
  for (size_t a = 0; a < fx; a++) {
    for (size_t b = 0; b < fy; b++) {
      double sum = 0;
      for (size_t i = 0; i < n; i++) {
        sum += phi[i + a * n] * psi[i + b * n];
      }
      cross[a + b * fx] = sum / (double)n;
    }
    mrl_poll(ctx);
  }
  *value = sum_squares(cross, fx * fy);
  if (gx) {
    pull_features(gx, s->x, n, s->dx, psi, fy, cross, 1, fx, 2. / (double)n, own);
  }
  if (gy) {
    pull_features(gy, s->y, n, s->dy, phi, fx, cross, fx, 1, 2. / (double)n, own);
  }
  return finite_or_not(*value);
}

/* mean_i (n): row means of the kernel matrix; returns their mean. */
static double kernel_means(double *mean, const double *x, size_t n, size_t d,
                           const double *bandwidth, size_t n_bandwidth, const mrl_ctx *ctx)
{
  double slope, all = 0;
  memset(mean, 0, n * sizeof *mean);
  for (size_t i = 0; i < n; i++) {
    mean[i] += (double)n_bandwidth; /* of itself */
    for (size_t j = i + 1; j < n; j++) {
      const double k = gaussian(&slope, x, i, n, x, j, n, d, bandwidth, n_bandwidth);
      mean[i] += k;
      mean[j] += k;
    }
    mean[i] /= (double)n;
    all += mean[i];
    if (i % POLL_ROWS == 0) {
      mrl_poll(ctx);
    }
  }
  return all / (double)n;
}

mrl_status mrl_hsic_gaussian(double *value, double *gx, double *gy, const mrl_samples *s,
                             double *work, const mrl_ctx *ctx)
{
  const size_t n = s->nx;
  const double unit = 1 / ((double)n * (double)n);
  double *mean_x = work, *mean_y = work + n;
  const double all_x = kernel_means(mean_x, s->x, n, s->dx, s->bandwidth_x, s->n_x, ctx);
  const double all_y = kernel_means(mean_y, s->y, n, s->dy, s->bandwidth_y, s->n_y, ctx);
  *value = 0;
  for (size_t i = 0; i < n; i++) {
    *value +=
        unit * ((double)s->n_x - 2 * mean_x[i] + all_x) * ((double)s->n_y - 2 * mean_y[i] + all_y);
    for (size_t j = i + 1; j < n; j++) {
      double slope_x, slope_y;
      const double k = gaussian(&slope_x, s->x, i, n, s->x, j, n, s->dx, s->bandwidth_x, s->n_x);
      const double l = gaussian(&slope_y, s->y, i, n, s->y, j, n, s->dy, s->bandwidth_y, s->n_y);
      const double kc = k - mean_x[i] - mean_x[j] + all_x, lc = l - mean_y[i] - mean_y[j] + all_y;
      *value += 2 * unit * kc * lc;
      add_pair(gx, s->x, i, n, s->x, j, n, s->dx, 2 * unit * lc * slope_x);
      add_pair(gx, s->x, j, n, s->x, i, n, s->dx, 2 * unit * lc * slope_x);
      add_pair(gy, s->y, i, n, s->y, j, n, s->dy, 2 * unit * kc * slope_y);
      add_pair(gy, s->y, j, n, s->y, i, n, s->dy, 2 * unit * kc * slope_y);
    }
    if (i % POLL_ROWS == 0) {
      mrl_poll(ctx);
    }
  }
  return finite_or_not(*value);
}
