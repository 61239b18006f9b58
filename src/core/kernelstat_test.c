/* Tests by permutation on kernel matrices. */
#include "kernelstat.h"

#include <math.h>
#include <string.h>

#include "arena.h"
#include "rng.h"

typedef struct {
  double *k, *l;     /* (n, n) kernel matrices; l is centred within groups */
  double *sums;      /* (n_group, n_group + 2) for each thread */
  double *statistic; /* (n_perm + 1), the last of the data as they are */
  int *label;        /* (n) for each thread */
  size_t *order;     /* (n) for each thread */
} work;

static size_t n_threads_of(const mrl_ctx *ctx)
{
  return ctx->n_threads > 0 ? (size_t)ctx->n_threads : 1;
}

static void carve(work *w, size_t n, size_t n_group, int with_l, size_t n_perm, const mrl_ctx *ctx,
                  mrl_arena *arena)
{
  const size_t threads = n_threads_of(ctx);
  w->k = MRL_TAKE(arena, double, n *n);
  w->l = with_l ? MRL_TAKE(arena, double, n *n) : NULL;
  w->sums = MRL_TAKE(arena, double, threads *n_group *(n_group + 2));
  w->statistic = MRL_TAKE(arena, double, n_perm + 1);
  w->label = MRL_TAKE(arena, int, threads *n);
  w->order = MRL_TAKE(arena, size_t, threads * n);
}

static size_t scratch_of(size_t n, size_t n_group, int with_l, size_t n_perm, const mrl_ctx *ctx)
{
  work w;
  mrl_arena arena = mrl_arena_measure();
  carve(&w, n, n_group, with_l, n_perm, ctx, &arena);
  return arena.failed ? SIZE_MAX : arena.used;
}

size_t mrl_mmd_test_scratch(size_t n, size_t n_group, const mrl_perm_settings *settings,
                            const mrl_ctx *ctx)
{
  return scratch_of(n, n_group, 0, settings->n_perm, ctx);
}

size_t mrl_hsic_test_scratch(size_t n, const mrl_perm_settings *settings, const mrl_ctx *ctx)
{
  return scratch_of(n, 1, 1, settings->n_perm, ctx);
}

static double kernel_of(const double *x, size_t i, size_t j, size_t n, size_t d,
                        const mrl_kernel *kernel)
{
  double dot = 1, square = 0, value = 0;
  for (size_t c = 0; c < d; c++) {
    const double a = x[i + c * n], b = x[j + c * n];
    dot += a * b;
    square += (a - b) * (a - b);
  }
  if (kernel->n_bandwidth == 0) {
    return dot * dot;
  }
  for (size_t b = 0; b < kernel->n_bandwidth; b++) {
    value += exp(-.5 * square / (kernel->bandwidth[b] * kernel->bandwidth[b]));
  }
  return value;
}

static mrl_status fill_kernel(double *k, const double *x, size_t n, size_t d,
                              const mrl_kernel *kernel, const mrl_ctx *ctx)
{
  double sum = 0;
  for (size_t j = 0; j < n; j++) {
    for (size_t i = 0; i <= j; i++) {
      k[i + j * n] = k[j + i * n] = kernel_of(x, i, j, n, d, kernel);
      sum += k[i + j * n];
    }
    if (j % 64 == 0) {
      mrl_poll(ctx);
    }
  }
  return isfinite(sum) ? MRL_OK : MRL_NOT_FINITE;
}

/* MMD^2 of the labelled rows, mean over pairs of groups. sums (n_group, n_group): of the kernel
 * over pairs i < j, then the groups' sizes and means. Biased where the kernel of a row with itself
 * counts. */
static double mmd_of(double *sums, const double *k, const int *label, size_t n, size_t n_group,
                     int biased)
{
  double *count = sums + n_group * n_group, *own = count + n_group, total = 0;
  memset(sums, 0, n_group * (n_group + 2) * sizeof *sums);
  for (size_t j = 0; j < n; j++) {
    double *to = sums + (size_t)label[j] * n_group;
    for (size_t i = 0; i < j; i++) {
      to[label[i]] += k[i + j * n];
    }
    count[label[j]]++;
    own[label[j]] += k[j + j * n];
  }
  for (size_t g = 0; g < n_group; g++) {
    const double within = 2 * sums[g + g * n_group];
    own[g] =
        biased ? (within + own[g]) / (count[g] * count[g]) : within / (count[g] * (count[g] - 1));
  }
  for (size_t g = 1; g < n_group; g++) {
    for (size_t h = 0; h < g; h++) {
      const double across = (sums[g + h * n_group] + sums[h + g * n_group]) / (count[g] * count[h]);
      total += own[g] + own[h] - 2 * across;
    }
  }
  return total / (.5 * (double)n_group * (double)(n_group - 1));
}

/* p of the last statistic among all. Ties count against it, up to rounding. */
static double perm_p(const double *statistic, size_t n_perm)
{
  const double observed = statistic[n_perm];
  size_t count = 1;
  for (size_t b = 0; b < n_perm; b++) {
    count += statistic[b] >= observed - 1e-12 * fabs(observed);
  }
  return (double)count / (double)(n_perm + 1);
}

mrl_status mrl_mmd_test(double *statistic, double *p, const double *x, size_t n, size_t d,
                        const int *group, size_t n_group, const mrl_kernel *kernel,
                        const mrl_perm_settings *settings, void *scratch, const mrl_ctx *ctx)
{
  const size_t n_perm = settings->n_perm, threads = n_threads_of(ctx);
  const int biased = kernel->n_bandwidth == 0;
  work w;
  mrl_arena arena = mrl_arena_over(scratch, mrl_mmd_test_scratch(n, n_group, settings, ctx));
  carve(&w, n, n_group, 0, n_perm, ctx, &arena);
  if (arena.failed) {
    return MRL_NO_MEMORY;
  }
  MRL_TRY(fill_kernel(w.k, x, n, d, kernel, ctx));
  w.statistic[n_perm] = mmd_of(w.sums, w.k, group, n, n_group, biased);
  for (size_t start = 0; start < n_perm; start += threads) {
    const size_t end = start + threads < n_perm ? start + threads : n_perm;
#pragma omp parallel for num_threads(ctx->n_threads)
    for (size_t b = start; b < end; b++) {
      const size_t t = b - start;
      size_t *order = w.order + t * n;
      int *label = w.label + t * n;
      mrl_rng rng = mrl_rng_stream(settings->seed, MRL_RNG_PERMUTE, b);
      mrl_rng_permutation(&rng, order, n);
      for (size_t i = 0; i < n; i++) {
        label[i] = group[order[i]];
      }
      w.statistic[b] = mmd_of(w.sums + t * n_group * (n_group + 2), w.k, label, n, n_group, biased);
    }
    mrl_poll(ctx);
  }
  *statistic = w.statistic[n_perm];
  *p = perm_p(w.statistic, n_perm);
  return MRL_OK;
}

/* The rows from `first` on that are of one group: their end. */
static size_t group_end(const int *group, size_t first, size_t n)
{
  size_t end = first + 1;
  while (end < n && group[end] == group[first]) {
    end++;
  }
  return end;
}

/* The block of l on the rows first .. end - 1 less its row and column means. */
static void centre_block(double *l, size_t n, size_t first, size_t end)
{
  const double m = (double)(end - first);
  for (int pass = 0; pass < 2; pass++) { /* columns, then rows */
    const size_t step = pass == 0 ? 1 : n, other = pass == 0 ? n : 1;
    for (size_t j = first; j < end; j++) {
      double mean = 0;
      for (size_t i = first; i < end; i++) {
        mean += l[i * step + j * other] / m;
      }
      for (size_t i = first; i < end; i++) {
        l[i * step + j * other] -= mean;
      }
    }
  }
}

/* HSIC within groups, mean over them; rows of y in `order`, or as they are where it is NULL. */
static double hsic_of(const work *w, const size_t *order, const int *group, size_t n,
                      size_t n_group)
{
  double total = 0;
  for (size_t first = 0; first < n;) {
    const size_t end = group_end(group, first, n);
    const double m = (double)(end - first);
    double sum = 0;
    for (size_t j = first; j < end; j++) {
      const double *k = w->k + j * n, *l = w->l + (order ? order[j] : j) * n;
      for (size_t i = first; i < end; i++) {
        sum += k[i] * l[order ? order[i] : i];
      }
    }
    total += sum / (m * m);
    first = end;
  }
  return total / (double)n_group;
}

static void permute_within(size_t *order, mrl_rng *rng, const int *group, size_t n)
{
  for (size_t first = 0; first < n;) {
    const size_t end = group_end(group, first, n);
    mrl_rng_permutation(rng, order + first, end - first);
    for (size_t i = first; i < end; i++) {
      order[i] += first;
    }
    first = end;
  }
}

mrl_status mrl_hsic_test(double *statistic, double *p, const double *x, size_t dx, const double *y,
                         size_t dy, size_t n, const int *group, size_t n_group,
                         const mrl_kernel *kernel_x, const mrl_kernel *kernel_y,
                         const mrl_perm_settings *settings, void *scratch, const mrl_ctx *ctx)
{
  const size_t n_perm = settings->n_perm, threads = n_threads_of(ctx);
  work w;
  mrl_arena arena = mrl_arena_over(scratch, mrl_hsic_test_scratch(n, settings, ctx));
  carve(&w, n, 1, 1, n_perm, ctx, &arena);
  if (arena.failed) {
    return MRL_NO_MEMORY;
  }
  MRL_TRY(fill_kernel(w.k, x, n, dx, kernel_x, ctx));
  MRL_TRY(fill_kernel(w.l, y, n, dy, kernel_y, ctx));
  for (size_t first = 0; first < n;) {
    const size_t end = group_end(group, first, n);
    centre_block(w.l, n, first, end);
    first = end;
  }
  w.statistic[n_perm] = hsic_of(&w, NULL, group, n, n_group);
  for (size_t start = 0; start < n_perm; start += threads) {
    const size_t end = start + threads < n_perm ? start + threads : n_perm;
#pragma omp parallel for num_threads(ctx->n_threads)
    for (size_t b = start; b < end; b++) {
      size_t *order = w.order + (b - start) * n;
      mrl_rng rng = mrl_rng_stream(settings->seed, MRL_RNG_PERMUTE, b);
      permute_within(order, &rng, group, n);
      w.statistic[b] = hsic_of(&w, order, group, n, n_group);
    }
    mrl_poll(ctx);
  }
  *statistic = w.statistic[n_perm];
  *p = perm_p(w.statistic, n_perm);
  return MRL_OK;
}
