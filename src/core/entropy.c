#include "entropy.h"

#include <math.h>
#include <string.h>

#include "arena.h"
#include "blas.h"

/* A leaf of the tree is searched row by row; 16 rows of few columns are two cache lines each. */
enum { LEAF = 16, POLL_ROWS = 256 };

static const double pi = 3.14159265358979323846;

mrl_status mrl_entropy_gaussian(double *value, double *gradient, const double *x, size_t n,
                                size_t d, double *work)
{
  double *root = work, *inverse = root + d * d, *mean = inverse + d * d, *centred = mean + d;
  for (size_t j = 0; j < d; j++) {
    mean[j] = 0;
    for (size_t i = 0; i < n; i++) {
      mean[j] += x[i + j * n];
    }
    mean[j] /= (double)n;
    for (size_t i = 0; i < n; i++) {
      centred[i + j * n] = x[i + j * n] - mean[j];
    }
  }
  mrl_small_gemm(root, d, centred, n, 1, centred, n, 0, d, d, n, 1. / (double)(n - 1), 0);
  MRL_TRY(mrl_cholesky(root, d));
  *value = .5 * (double)d * log(2 * pi * exp(1.));
  for (size_t j = 0; j < d; j++) {
    *value += log(root[j + j * d]);
  }
  if (gradient) {
    memcpy(inverse, root, d * d * sizeof *inverse);
    MRL_TRY(mrl_cholesky_inverse(inverse, d));
    mrl_small_gemm(gradient, n, centred, n, 0, inverse, d, 0, n, d, d, 1. / (double)(n - 1), 1);
  }
  return isfinite(*value) ? MRL_OK : MRL_NOT_FINITE;
}

/* A k-d tree: rows in an order in which each node's halves are adjacent, cut at the middle row
 * along the widest column. Node i has the children 2 i + 1 and 2 i + 2 and rows by halving. */
typedef struct {
  double *row; /* (d, n) rows in the tree's order */
  size_t *order;
  size_t *axis; /* (n_node) the column that is cut; d for a leaf */
  double *cut;  /* (n_node) */
  double *heap; /* (k) squared distances, greatest first */
  size_t *from; /* (k) their rows */
  double *distance, *unit;
  size_t *which;
  size_t n, d, k, n_node;
} tree;

static size_t node_count(size_t n)
{
  size_t count = 1, level = 1;
  while (n > LEAF) {
    n = (n + 1) / 2;
    level *= 2;
    count += level;
  }
  return count;
}

static void carve(tree *t, size_t n, size_t d, size_t k, mrl_arena *arena)
{
  t->n = n;
  t->d = d;
  t->k = k;
  t->n_node = node_count(n);
  t->row = MRL_TAKE(arena, double, n *d);
  t->order = MRL_TAKE(arena, size_t, n);
  t->axis = MRL_TAKE(arena, size_t, t->n_node);
  t->cut = MRL_TAKE(arena, double, t->n_node);
  t->heap = MRL_TAKE(arena, double, k);
  t->from = MRL_TAKE(arena, size_t, k);
  t->distance = MRL_TAKE(arena, double, n);
  t->which = MRL_TAKE(arena, size_t, n);
  t->unit = MRL_TAKE(arena, double, n *d);
}

size_t mrl_entropy_scratch(size_t n, size_t d, size_t k)
{
  tree t;
  mrl_arena arena = mrl_arena_measure();
  carve(&t, n, d, k, &arena);
  return arena.failed ? SIZE_MAX : arena.used;
}

static mrl_status lay_out(tree *t, size_t n, size_t d, size_t k, void *scratch)
{
  if (d < 1 || d > MRL_ENTROPY_DIM || k < 1 || k >= n) {
    return MRL_BAD_ARGUMENT;
  }
  mrl_arena arena = mrl_arena_over(scratch, mrl_entropy_scratch(n, d, k));
  carve(t, n, d, k, &arena);
  return arena.failed ? MRL_NO_MEMORY : MRL_OK;
}

static size_t widest_column(const tree *t, size_t first, size_t end)
{
  size_t widest = 0;
  double most = -1;
  for (size_t j = 0; j < t->d; j++) {
    double low = INFINITY, high = -INFINITY;
    for (size_t i = first; i < end; i++) {
      low = fmin(low, t->row[j + i * t->d]);
      high = fmax(high, t->row[j + i * t->d]);
    }
    if (high - low > most) {
      most = high - low;
      widest = j;
    }
  }
  return widest;
}

static void swap_rows(tree *t, size_t a, size_t b)
{
  const size_t order = t->order[a];
  t->order[a] = t->order[b];
  t->order[b] = order;
  for (size_t j = 0; j < t->d; j++) {
    const double keep = t->row[j + a * t->d];
    t->row[j + a * t->d] = t->row[j + b * t->d];
    t->row[j + b * t->d] = keep;
  }
}

/* Wirth's selection: the row at `middle` as if the rows first .. last were sorted by a column, none
 * before it greater and none after it smaller. */
static void select_row(tree *t, ptrdiff_t first, ptrdiff_t last, ptrdiff_t middle, size_t axis)
{
  while (first < last) {
    const double pivot = t->row[axis + (size_t)middle * t->d];
    ptrdiff_t i = first, j = last;
    do {
      while (t->row[axis + (size_t)i * t->d] < pivot) {
        i++;
      }
      while (t->row[axis + (size_t)j * t->d] > pivot) {
        j--;
      }
      if (i <= j) {
        swap_rows(t, (size_t)i, (size_t)j);
        i++;
        j--;
      }
    } while (i <= j);
    if (j < middle) {
      first = i;
    }
    if (middle < i) {
      last = j;
    }
  }
}

static void build(tree *t, size_t node, size_t first, size_t end)
{
  if (end - first <= LEAF) {
    t->axis[node] = t->d;
    return;
  }
  const size_t middle = first + (end - first + 1) / 2, axis = widest_column(t, first, end);
  select_row(t, (ptrdiff_t)first, (ptrdiff_t)end - 1, (ptrdiff_t)middle, axis);
  t->axis[node] = axis;
  t->cut[node] = t->row[axis + middle * t->d];
  build(t, 2 * node + 1, first, middle);
  build(t, 2 * node + 2, middle, end);
}

/* Puts a distance in the place of the greatest of the k least, and finds the greatest again. */
static void replace_greatest(tree *t, double square, size_t row)
{
  size_t at = 0;
  for (;;) {
    size_t child = 2 * at + 1;
    if (child >= t->k) {
      break;
    }
    if (child + 1 < t->k && t->heap[child + 1] > t->heap[child]) {
      child++;
    }
    if (t->heap[child] <= square) {
      break;
    }
    t->heap[at] = t->heap[child];
    t->from[at] = t->from[child];
    at = child;
  }
  t->heap[at] = square;
  t->from[at] = row;
}

/* Of the row `self` in the tree's order. */
static void search(tree *t, size_t node, size_t first, size_t end, size_t self)
{
  const double *query = t->row + self * t->d;
  if (t->axis[node] == t->d) {
    for (size_t i = first; i < end; i++) {
      double square = 0;
      for (size_t j = 0; j < t->d; j++) {
        const double gap = t->row[j + i * t->d] - query[j];
        square += gap * gap;
      }
      if (i != self && square < t->heap[0]) {
        replace_greatest(t, square, i);
      }
    }
    return;
  }
  const size_t middle = first + (end - first + 1) / 2;
  const double gap = query[t->axis[node]] - t->cut[node];
  if (gap < 0) {
    search(t, 2 * node + 1, first, middle, self);
    if (gap * gap < t->heap[0]) {
      search(t, 2 * node + 2, middle, end, self);
    }
  } else {
    search(t, 2 * node + 2, middle, end, self);
    if (gap * gap <= t->heap[0]) {
      search(t, 2 * node + 1, first, middle, self);
    }
  }
}

mrl_status mrl_nearest(double *distance, size_t *which, const double *x, size_t n, size_t d,
                       size_t k, void *scratch, const mrl_ctx *ctx)
{
  tree t;
  MRL_TRY(lay_out(&t, n, d, k, scratch));
  for (size_t i = 0; i < n; i++) {
    t.order[i] = i;
    for (size_t j = 0; j < d; j++) {
      t.row[j + i * d] = x[i + j * n];
      if (!isfinite(x[i + j * n])) {
        return MRL_NOT_FINITE;
      }
    }
  }
  build(&t, 0, 0, n);
  for (size_t i = 0; i < n; i++) {
    for (size_t m = 0; m < k; m++) {
      t.heap[m] = INFINITY;
    }
    search(&t, 0, 0, n, i);
    if (!isfinite(t.heap[0])) { /* squares overflow: fewer than k rows are at any distance */
      return MRL_NOT_FINITE;
    }
    distance[t.order[i]] = sqrt(t.heap[0]);
    which[t.order[i]] = t.order[t.from[0]];
    if (i % POLL_ROWS == 0) {
      mrl_poll(ctx);
    }
  }
  return MRL_OK;
}

/* psi at a whole number, by its recurrence from -Euler's constant. */
static double digamma_whole(size_t n)
{
  double sum = -0.57721566490153286061;
  for (size_t i = n - 1; i >= 1; i--) { /* small terms first */
    sum += 1. / (double)i;
  }
  return sum;
}

/* x: the searched rows; where they are Phi(before), the gradient is by `before` (n, d). */
static void add_gradient(double *gradient, const double *x, const double *before, const tree *t)
{
  const size_t n = t->n;
  const double by = (double)t->d / (double)n, height = 1 / sqrt(2 * pi);
  for (size_t i = 0; i < n; i++) {
    const size_t m = t->which[i];
    for (size_t j = 0; j < t->d; j++) {
      const size_t a = i + j * n, b = m + j * n;
      const double pull = by * (x[a] - x[b]) / (t->distance[i] * t->distance[i]);
      gradient[a] += pull * (before ? height * exp(-.5 * before[a] * before[a]) : 1);
      gradient[b] -= pull * (before ? height * exp(-.5 * before[b] * before[b]) : 1);
    }
  }
}

mrl_status mrl_entropy_nearest(double *value, double *gradient, const double *x, size_t n, size_t d,
                               size_t k, void *scratch, const mrl_ctx *ctx)
{
  tree t;
  MRL_TRY(lay_out(&t, n, d, k, scratch));
  MRL_TRY(mrl_nearest(t.distance, t.which, x, n, d, k, scratch, ctx));
  const double half = .5 * (double)d, by = (double)d / (double)n;
  double sum = 0;
  for (size_t i = 0; i < n; i++) {
    if (!(t.distance[i] > 0)) {
      return MRL_NOT_FINITE;
    }
    sum += log(t.distance[i]);
  }
  *value = digamma_whole(n) - digamma_whole(k) + half * log(pi) - lgamma(half + 1) + by * sum;
  if (gradient) {
    add_gradient(gradient, x, NULL, &t);
  }
  return isfinite(*value) ? MRL_OK : MRL_NOT_FINITE;
}

mrl_status mrl_entropy_squashed(double *value, double *gradient, const double *x, size_t n,
                                size_t d, size_t k, void *scratch, const mrl_ctx *ctx)
{
  tree t;
  MRL_TRY(lay_out(&t, n, d, k, scratch));
  for (size_t i = 0; i < n * d; i++) {
    t.unit[i] = .5 * erfc(-x[i] / sqrt(2.));
  }
  MRL_TRY(mrl_entropy_nearest(value, NULL, t.unit, n, d, k, scratch, ctx));
  if (gradient) {
    add_gradient(gradient, t.unit, x, &t);
  }
  return MRL_OK;
}
