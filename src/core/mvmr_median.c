#include "mvmr_part.h"

#include <math.h>

/*
 * Least absolute deviations, sum_i w_i |y_i - x_i'b|, by descent along edges (Bloomfield & Steiger
 * 1980, SIAM J. Sci. Stat. Comput. 1:290). A vertex goes through k rows, the basis; along the edge
 * that leaves one of them the sum is convex and piecewise linear, and the row where it is least
 * enters the basis.
 */

typedef struct {
  double *x;              /* (k, n) a row's columns together */
  double *y, *weight;     /* (n) */
  double *tableau;        /* (k, n) x inverse(x of the basis) */
  double *left;           /* (n) residuals */
  double *b;              /* (k) */
  double *inverse, *part; /* (k, k) */
  double *slope, *flat;   /* (k) */
  double *normal;         /* (n (k + 1)) */
  size_t *basis;          /* (k) */
  unsigned char *in;      /* (n) is the row in the basis? */
  size_t n, k;
} vertex;

/* A size is no longer than a double. */
size_t mrl_mv_median_work(size_t n, size_t k)
{
  return (3 * k + 4) * n + 2 * k * k + 4 * k + n / sizeof(double) + 1;
}

static vertex split(double *work, size_t n, size_t k)
{
  vertex v = {0};
  v.n = n;
  v.k = k;
  v.x = work;
  v.y = v.x + k * n;
  v.weight = v.y + n;
  v.tableau = v.weight + n;
  v.left = v.tableau + k * n;
  v.b = v.left + n;
  v.inverse = v.b + k;
  v.part = v.inverse + k * k;
  v.slope = v.part + k * k;
  v.flat = v.slope + k;
  v.normal = v.flat + k;
  v.basis = (size_t *)(v.normal + n * (k + 1));
  v.in = (unsigned char *)(v.basis + k);
  return v;
}

static void swap_rows(double *a, size_t k, size_t i, size_t j)
{
  for (size_t c = 0; c < k; c++) {
    const double t = a[i + c * k];
    a[i + c * k] = a[j + c * k];
    a[j + c * k] = t;
  }
}

/* inverse := of part (k, k), which is overwritten, by Gauss-Jordan. 0 if singular. */
static int invert(double *inverse, double *part, size_t k)
{
  for (size_t i = 0; i < k * k; i++) {
    inverse[i] = i % (k + 1) == 0;
  }
  for (size_t j = 0; j < k; j++) {
    size_t best = j;
    for (size_t i = j + 1; i < k; i++) {
      best = fabs(part[i + j * k]) > fabs(part[best + j * k]) ? i : best;
    }
    if (!(fabs(part[best + j * k]) > 0)) {
      return 0;
    }
    swap_rows(part, k, j, best);
    swap_rows(inverse, k, j, best);
    const double pivot = part[j + j * k];
    for (size_t c = 0; c < k; c++) {
      part[j + c * k] /= pivot;
      inverse[j + c * k] /= pivot;
    }
    for (size_t i = 0; i < k; i++) {
      const double times = part[i + j * k];
      for (size_t c = 0; i != j && c < k; c++) {
        part[i + c * k] -= times * part[j + c * k];
        inverse[i + c * k] -= times * inverse[j + c * k];
      }
    }
  }
  return 1;
}

/* Everything that follows from the basis. 0 if its rows are dependent. */
static int settle(vertex *v)
{
  const size_t k = v->k;
  for (size_t i = 0; i < v->n; i++) {
    v->in[i] = 0;
  }
  for (size_t h = 0; h < k; h++) {
    v->in[v->basis[h]] = 1;
    for (size_t j = 0; j < k; j++) {
      v->part[h + j * k] = v->x[j + v->basis[h] * k];
    }
  }
  if (!invert(v->inverse, v->part, k)) {
    return 0;
  }
  for (size_t j = 0; j < k; j++) {
    v->b[j] = 0;
    for (size_t h = 0; h < k; h++) {
      v->b[j] += v->inverse[j + h * k] * v->y[v->basis[h]];
    }
  }
  for (size_t i = 0; i < v->n; i++) {
    const double *x = v->x + i * k;
    double left = v->y[i];
    for (size_t j = 0; j < k; j++) {
      left -= x[j] * v->b[j];
    }
    v->left[i] = v->in[i] ? 0 : left;
    for (size_t h = 0; h < k; h++) {
      double sum = 0;
      for (size_t j = 0; j < k; j++) {
        sum += x[j] * v->inverse[j + h * k];
      }
      v->tableau[h + i * k] = sum;
    }
  }
  return 1;
}

/* A row through which the vertex goes although it is not in the basis. */
static int is_met(const vertex *v, size_t i)
{
  return fabs(v->left[i]) <= 1e-13 * fabs(v->y[i]);
}

/* The edge along which the sum falls fastest, for its weight: the place in the basis that is left,
 * and the side; k if the vertex is least. */
static size_t best_edge(double *side, double *fall, vertex *v)
{
  const size_t k = v->k;
  for (size_t h = 0; h < k; h++) {
    v->slope[h] = v->flat[h] = 0;
  }
  for (size_t i = 0; i < v->n; i++) {
    if (v->in[i]) {
      continue;
    }
    const double *row = v->tableau + i * k, w = v->weight[i];
    const double signed_w = v->left[i] > 0 ? w : -w;
    const int met = is_met(v, i);
    for (size_t h = 0; h < k; h++) {
      if (met) {
        v->flat[h] += w * fabs(row[h]);
      } else {
        v->slope[h] += signed_w * row[h];
      }
    }
  }
  size_t best = k;
  double most = 1e-12;
  for (size_t h = 0; h < k; h++) {
    const double weight = v->weight[v->basis[h]];
    const double gain = (fabs(v->slope[h]) - v->flat[h]) / weight - 1;
    if (gain > most) {
      most = gain;
      best = h;
      *side = v->slope[h] > 0 ? 1 : -1;
      *fall = fabs(v->slope[h]) - v->flat[h] - weight;
    }
  }
  return best;
}

/*
 * The row at which the sum is least along the edge, or n if it falls for ever: the next break after
 * which the slope is not negative. Each break adds twice its row's weight to the slope; the breaks
 * are gone through in order by selection, since few are passed.
 */
static size_t entering_row(const vertex *v, size_t h, double side, double fall)
{
  double passed = 0, so_far = 0;
  for (;;) {
    size_t next = v->n;
    double least = INFINITY;
    for (size_t i = 0; i < v->n; i++) {
      const double rate = side * v->tableau[h + i * v->k], at = v->left[i] / rate;
      if (!v->in[i] && at > passed && at < least && !is_met(v, i)) {
        least = at;
        next = i;
      }
    }
    if (next == v->n) {
      return next;
    }
    so_far += 2 * v->weight[next] * fabs(v->tableau[h + next * v->k]);
    if (so_far >= fall) {
      return next;
    }
    passed = least;
  }
}

/* Row `in` takes the place h of the basis. */
static void exchange(vertex *v, size_t h, size_t in)
{
  const size_t k = v->k, out = v->basis[h];
  const double step = v->left[in] / v->tableau[h + in * k];
  for (size_t i = 0; i < v->n; i++) {
    v->left[i] -= step * v->tableau[h + i * k];
  }
  const double *pivot = v->tableau + in * k;
  for (size_t c = 0; c < k; c++) {
    v->slope[c] = pivot[c]; /* kept, as the row itself changes too */
  }
  for (size_t i = 0; i < v->n; i++) {
    double *row = v->tableau + i * k;
    const double times = row[h] / v->slope[h];
    for (size_t c = 0; c < k; c++) {
      row[c] = c == h ? times : row[c] - times * v->slope[c];
    }
  }
  v->basis[h] = in;
  v->left[in] = 0;
  v->in[in] = 1;
  v->in[out] = 0;
}

static int walk(vertex *v)
{
  const size_t limit = 50 + 10 * (v->n + v->k);
  if (!settle(v)) {
    return 0;
  }
  for (size_t pass = 0; pass < limit; pass++) {
    double side = 1, fall = 0;
    const size_t h = best_edge(&side, &fall, v);
    if (h == v->k) {
      return settle(v); /* without the rounding of the exchanges */
    }
    const size_t in = entering_row(v, h, side, fall);
    if (in == v->n) {
      return 0;
    }
    exchange(v, h, in);
  }
  return 0;
}

/* k independent rows: elimination that takes the largest weighted row left for each column. */
static void first_basis(vertex *v)
{
  const size_t k = v->k;
  for (size_t i = 0; i < v->n; i++) {
    v->in[i] = 0;
    for (size_t j = 0; j < k; j++) {
      v->tableau[j + i * k] = v->weight[i] * v->x[j + i * k];
    }
  }
  for (size_t j = 0; j < k; j++) {
    size_t best = 0;
    double most = -1;
    for (size_t i = 0; i < v->n; i++) {
      if (!v->in[i] && fabs(v->tableau[j + i * k]) > most) {
        most = fabs(v->tableau[j + i * k]);
        best = i;
      }
    }
    v->basis[j] = best;
    v->in[best] = 1;
    for (size_t i = 0; i < v->n; i++) {
      const double times = v->tableau[j + i * k] / v->tableau[j + best * k];
      for (size_t c = j; !v->in[i] && most > 0 && c < k; c++) {
        v->tableau[c + i * k] -= times * v->tableau[c + best * k];
      }
    }
  }
}

static void load(vertex *v, const mrl_mv_data *d)
{
  for (size_t i = 0; i < d->n; i++) {
    v->y[i] = d->by[i];
    v->weight[i] = 1 / mrl_mv_outcome_se2(d, i);
    for (size_t j = 0; j < d->k; j++) {
      v->x[j + i * d->k] = d->bx[i + j * d->n];
    }
  }
}

int mrl_mv_median_fit(double *b, size_t *basis, const mrl_mv_data *d, double *work)
{
  vertex v = split(work, d->n, d->k);
  load(&v, d);
  first_basis(&v);
  const int found = walk(&v);
  for (size_t j = 0; j < d->k; j++) {
    b[j] = v.b[j];
    basis[j] = v.basis[j];
  }
  return found;
}

void mrl_mv_median_draw(double *b, const size_t *basis, const mrl_mv_data *d,
                        const mrl_mv_settings *settings, size_t draw, double *work)
{
  const size_t n = d->n, k = d->k, m = k + 1;
  vertex v = split(work, n, k);
  mrl_rng rng = mrl_rng_stream(settings->seed, MRL_RNG_BOOTSTRAP, draw);
  load(&v, d);
  mrl_rng_fill_normal(&rng, v.normal, n * m);
  for (size_t i = 0; i < n; i++) {
    const double *cov = d->cov + i * m * m;
    for (size_t j = 0; j < k; j++) {
      v.x[j + i * k] += sqrt(cov[j + j * m]) * v.normal[i + j * n];
    }
    v.y[i] += sqrt(cov[k + k * m]) * v.normal[i + k * n];
  }
  for (size_t j = 0; j < k; j++) {
    v.basis[j] = basis[j];
  }
  int found = walk(&v);
  if (!found) {
    first_basis(&v);
    found = walk(&v);
  }
  for (size_t j = 0; j < k; j++) {
    b[j] = found ? v.b[j] : NAN;
  }
}
