/* Slow versions of order statistics and of the density's mode, from their definitions. */
#ifndef MR_SLOW_H
#define MR_SLOW_H

#include <math.h>
#include <stdlib.h>
#include <string.h>

static inline int by_value(const void *a, const void *b)
{
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static inline double slow_median(const double *x, size_t n)
{
  double *copy = malloc(n * sizeof *copy);
  memcpy(copy, x, n * sizeof *copy);
  qsort(copy, n, sizeof *copy, by_value);
  const double out = n % 2 ? copy[n / 2] : (copy[n / 2 - 1] + copy[n / 2]) / 2;
  free(copy);
  return out;
}

static inline double slow_mad(const double *x, size_t n)
{
  double *away = malloc(n * sizeof *away);
  const double centre = slow_median(x, n);
  for (size_t i = 0; i < n; i++) {
    away[i] = fabs(x[i] - centre);
  }
  const double out = 1.4826 * slow_median(away, n);
  free(away);
  return out;
}

static inline double slow_sd(const double *x, size_t n)
{
  long double sum = 0, squares = 0;
  for (size_t i = 0; i < n; i++) {
    sum += x[i];
  }
  for (size_t i = 0; i < n; i++) {
    squares += (x[i] - sum / n) * (x[i] - sum / n);
  }
  return (double)sqrtl(squares / (n - 1));
}

/* All 512 points of R's density() from the definition, and all 512 of the output. */
static inline double slow_density_mode(const double *x, const double *weight, size_t n, double h)
{
  enum { N = 512 };
  double least = x[0], most = x[0], mass[N + 1] = {0}, density[N];
  for (size_t i = 1; i < n; i++) {
    least = fmin(least, x[i]);
    most = fmax(most, x[i]);
  }
  const double from = least - 3 * h, to = most + 3 * h, lo = from - 4 * h, up = to + 4 * h;
  const double step = (up - lo) / (N - 1), out_step = (to - from) / (N - 1);
  const double lag = 2 * (up - lo) / (2 * N - 1);
  for (size_t i = 0; i < n; i++) {
    const double place = (x[i] - lo) / step;
    const int left = (int)floor(place);
    mass[left] += weight[i] * (1 - (place - left));
    mass[left + 1] += weight[i] * (place - left);
  }
  for (int i = 0; i < N; i++) {
    density[i] = 0;
    for (int j = 0; j < N; j++) {
      const double z = abs(i - j) * lag / h;
      density[i] += mass[j] * exp(-z * z / 2);
    }
  }
  double best = -1, at = NAN;
  for (int t = 0; t < N; t++) {
    const double out = t == N - 1 ? to : from + t * out_step;
    int i = 0;
    while (i < N - 2 && lo + (i + 1) * step <= out) {
      i++;
    }
    const double left = lo + i * step, right = i == N - 2 ? up : lo + (i + 1) * step;
    const double value =
        density[i] + (density[i + 1] - density[i]) * ((out - left) / (right - left));
    if (value > best) {
      best = value;
      at = out;
    }
  }
  return at;
}

#endif
