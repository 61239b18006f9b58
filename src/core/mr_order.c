#include "mr_order.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

static inline void swap(double *a, double *b)
{
  const double t = *a;
  *a = *b;
  *b = t;
}

/* The median of three values at places spread by a fixed pseudo-random sequence, so that no order
 * of the input that one meets makes the selection slow. */
static double pick_pivot(const double *x, size_t n, uint64_t *state)
{
  double v[3];
  for (int i = 0; i < 3; i++) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    const uint64_t high = *state >> 32;
    v[i] = n <= UINT32_MAX ? x[high * n >> 32] : x[*state % n];
  }
  const double low = v[0] < v[1] ? v[0] : v[1], high = v[0] < v[1] ? v[1] : v[0];
  return v[2] < low ? low : v[2] > high ? high : v[2];
}

/* Moves those below the pivot to the front and returns how many. Without a branch on the values,
 * which could not be predicted. */
static size_t part_below(double *x, size_t n, double pivot)
{
  size_t k = 0;
  for (size_t i = 0; i < n; i++) {
    const double v = x[i];
    x[i] = x[k];
    x[k] = v;
    k += v < pivot;
  }
  return k;
}

static size_t part_equal(double *x, size_t n, double pivot)
{
  size_t k = 0;
  for (size_t i = 0; i < n; i++) {
    if (x[i] == pivot) {
      swap(&x[i], &x[k++]);
    }
  }
  return k;
}

static void sort_few(double *x, size_t n)
{
  for (size_t i = 1; i < n; i++) {
    const double v = x[i];
    size_t j = i;
    for (; j > 0 && x[j - 1] > v; j--) {
      x[j] = x[j - 1];
    }
    x[j] = v;
  }
}

/* Puts at place k what stands there in order, nothing greater before it, nothing smaller after. */
static void select_place(double *x, size_t n, size_t k)
{
  enum { FEW = 6 }; /* as fast sorted as parted */
  uint64_t state = 0x9E3779B97F4A7C15u;
  while (n > FEW) {
    const double pivot = pick_pivot(x, n, &state);
    size_t below = part_below(x, n, pivot);
    if (k < below) {
      n = below;
      continue;
    }
    if (below == 0) { /* the pivot is the smallest: take out its equals (none if it is NaN) */
      below = part_equal(x, n, pivot);
      if (k < below || below == 0) {
        return;
      }
    }
    x += below;
    n -= below;
    k -= below;
  }
  sort_few(x, n);
}

double mrl_select(double *x, size_t n, size_t k)
{
  select_place(x, n, k);
  return x[k];
}

double mrl_median(double *x, size_t n)
{
  const size_t half = n / 2;
  select_place(x, n, half);
  if (n % 2 == 1) {
    return x[half];
  }
  double before = x[0]; /* the greatest of the lower half */
  for (size_t i = 1; i < half; i++) {
    before = x[i] > before ? x[i] : before;
  }
  return (before + x[half]) / 2;
}

double mrl_mad(double *x, size_t n)
{
  const double centre = mrl_median(x, n);
  for (size_t i = 0; i < n; i++) {
    x[i] = fabs(x[i] - centre);
  }
  return 1.4826 * mrl_median(x, n);
}

double mrl_mean(const double *x, size_t n)
{
  double sum = 0, rest = 0;
  for (size_t i = 0; i < n; i++) {
    sum += x[i];
  }
  const double mean = sum / (double)n;
  for (size_t i = 0; i < n; i++) {
    rest += x[i] - mean;
  }
  return mean + rest / (double)n;
}

double mrl_sd(const double *x, size_t n)
{
  const double mean = mrl_mean(x, n);
  double sum = 0;
  for (size_t i = 0; i < n; i++) {
    sum += (x[i] - mean) * (x[i] - mean);
  }
  return sqrt(sum / (double)(n - 1));
}

static void merge(mrl_weighted *out, const mrl_weighted *a, size_t n_a, const mrl_weighted *b,
                  size_t n_b)
{
  const mrl_weighted *const end_a = a + n_a, *const end_b = b + n_b;
  while (a < end_a && b < end_b) {
    const int second = b->value < a->value;
    *out++ = second ? *b : *a;
    b += second;
    a += !second;
  }
  memcpy(out, a, (size_t)(end_a - a) * sizeof *a);
  memcpy(out + (end_a - a), b, (size_t)(end_b - b) * sizeof *b);
}

static void sort_runs(mrl_weighted *item, size_t n, size_t run)
{
  for (size_t i = 1; i < n; i++) {
    const mrl_weighted v = item[i];
    const size_t start = i - i % run;
    size_t j = i;
    for (; j > start && item[j - 1].value > v.value; j--) {
      item[j] = item[j - 1];
    }
    item[j] = v;
  }
}

void mrl_sort_weighted(mrl_weighted *item, mrl_weighted *spare, size_t n)
{
  enum { RUN = 5 }; /* as fast inserted as merged */
  sort_runs(item, n, RUN);
  mrl_weighted *from = item, *to = spare;
  for (size_t run = RUN; run < n; run *= 2) {
    for (size_t i = 0; i < n; i += 2 * run) {
      const size_t n_a = n - i < run ? n - i : run;
      const size_t n_b = n - i - n_a < run ? n - i - n_a : run;
      merge(to + i, from + i, n_a, from + i + n_a, n_b);
    }
    mrl_weighted *const t = from;
    from = to;
    to = t;
  }
  if (from != item) {
    memcpy(item, from, n * sizeof *item);
  }
}
