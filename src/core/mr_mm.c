#include "mr_mm.h"
#include "mr_mm_kernel.h"
#include "mr_mm_se.h"

#include <math.h>
#include <string.h>

enum {
  N_SCREEN = 1024,  /* rows that candidates are screened on */
  N_ALL_PAIRS = 25, /* up to here all pairs of rows are candidates: at most 300 */
  N_PAIRS = 300, /* else as many; with half the rows bad, the chance of no good pair is .75^300 */
  N_KEEP = 6,    /* candidates, each near another minimum, that are refined on all rows */
  MAX_STEPS = 1000
};

/* A last step, relative to the scale, that lmrob() would stop at: accepted after MAX_STEPS. */
static const double enough = 1e-7;

typedef struct {
  double key, a, x, y;
} sorted_row;

typedef struct {
  candidate at[N_KEEP];
  size_t n;
} shortlist;

/* Root mean square of the change in fitted values that a change of coefficients makes. */
static double distance(const double moments[3], const double b[2], const double c[2])
{
  const double d0 = b[0] - c[0], d1 = b[1] - c[1];
  return sqrt(fmax(0, moments[0] * d0 * d0 + 2 * moments[1] * d0 * d1 + moments[2] * d1 * d1));
}

static void column_moments(double moments[3], const rows *data)
{
  double aa = 0, ax = 0, xx = 0;
  for (size_t i = 0; i < data->n; i++) {
    aa += data->a[i] * data->a[i];
    ax += data->a[i] * data->x[i];
    xx += data->x[i] * data->x[i];
  }
  moments[0] = aa / (double)data->n;
  moments[1] = ax / (double)data->n;
  moments[2] = xx / (double)data->n;
}

/* The place in the list of a candidate near the same minimum; list->n if there is none. */
static size_t find_near(const shortlist *list, const double b[2], const double moments[3])
{
  size_t k = 0;
  while (k < list->n && distance(moments, list->at[k].b, b) >= 0.3 * list->at[k].scale) {
    k++;
  }
  return k;
}

/* Puts a candidate into the list, which is ordered by scale, in the place of those that are near
 * the same minimum, which have larger scales. */
static void enlist(shortlist *list, const candidate *new, const double moments[3])
{
  for (size_t k; (k = find_near(list, new->b, moments)) < list->n;) {
    if (list->at[k].scale <= new->scale) {
      return;
    }
    memmove(list->at + k, list->at + k + 1, (list->n - k - 1) * sizeof *list->at);
    list->n--;
  }
  size_t place = list->n;
  while (place > 0 && list->at[place - 1].scale > new->scale) {
    place--;
  }
  if (place == N_KEEP) {
    return;
  }
  list->n += list->n < N_KEEP;
  memmove(list->at + place + 1, list->at + place, (list->n - place - 1) * sizeof *list->at);
  list->at[place] = *new;
}

/*
 * One candidate: a step of the scale from the best one known, a least squares step, and a place in
 * the list if its scale is below that of a neighbour there, or of the last if it has none. Most
 * candidates end at the comparison.
 */
static void screen(shortlist *list, rows *data, const double start[2], const double moments[3],
                   double least)
{
  const double best = list->at[0].scale;
  candidate new;
  const double rough = best * sqrt(residuals_rho(data, start, best) / target(data));
  if (!least_squares(new.b, data, start, tune_scale * rough)) {
    return;
  }
  const size_t near = find_near(list, new.b, moments);
  const size_t rival = near < list->n ? near : list->n - 1;
  const double excess = residuals_rho(data, new.b, list->at[rival].scale) - target(data);
  if (excess >= 0 && (near < list->n || list->n == N_KEEP)) {
    return;
  }
  new.scale = solve_scale(data, fmin(rough, best), least);
  enlist(list, &new, moments);
}

/* The line through rows i and j. */
static int elemental(double b[2], const rows *data, size_t i, size_t j)
{
  const double *a = data->a, *x = data->x, *y = data->y;
  if (data->p == 1) {
    b[0] = 0;
    b[1] = y[i] / x[i];
    return x[i] != 0;
  }
  const double det = a[i] * x[j] - a[j] * x[i];
  b[0] = (y[i] * x[j] - y[j] * x[i]) / det;
  b[1] = (a[i] * y[j] - a[j] * y[i]) / det;
  return fabs(det) > 1e-10 * (fabs(a[i] * x[j]) + fabs(a[j] * x[i]));
}

static double fraction(double x)
{
  return x - floor(x);
}

/* Pairs that are evenly spread over (place, gap): the additive recurrence with the plastic number.
 * Rows are in the order of their slope variable and gaps at least a quarter, so lines are long. */
static void spread_pair(size_t *i, size_t *j, size_t k, size_t n)
{
  const double u = fraction(0.5 + 0.75487766624669276 * (double)(k + 1));
  const double v = fraction(0.5 + 0.56984029099805327 * (double)(k + 1));
  *i = (size_t)(u * (double)n);
  *j = (*i + n / 4 + (size_t)(v * (double)(n / 2))) % n;
}

static void screen_all(shortlist *list, rows *data, const double moments[3], double least)
{
  double b[2];
  if (data->p == 1 || data->n > N_ALL_PAIRS) {
    const size_t count = data->p == 2 || data->n > N_PAIRS ? N_PAIRS : data->n;
    for (size_t k = 0; k < count && list->at[0].scale > 0; k++) {
      size_t i = k * data->n / count, j = i;
      if (data->p == 2) {
        spread_pair(&i, &j, k, data->n);
      }
      if (elemental(b, data, i, j)) {
        screen(list, data, b, moments, least);
      }
    }
    return;
  }
  for (size_t i = 1; i < data->n && list->at[0].scale > 0; i++) {
    for (size_t j = 0; j < i && list->at[0].scale > 0; j++) {
      if (elemental(b, data, i, j)) {
        screen(list, data, b, moments, least);
      }
    }
  }
}

/*
 * S steps (scale by one step of its fixed point, then least squares) until the fit moves by less
 * than tol of the scale, or joins the way to `known`, a better fit (NULL: there is none).
 */
static mrl_mr_why refine(candidate *at, rows *data, const double moments[3], double tol,
                         const candidate *known)
{
  double moved = INFINITY;
  for (int i = 0; i < MAX_STEPS; i++) {
    double next[2];
    at->scale *= sqrt(residuals_rho(data, at->b, at->scale) / target(data));
    if (!(at->scale > 0) || !least_squares(next, data, at->b, tune_scale * at->scale)) {
      return MRL_MR_DEGENERATE;
    }
    moved = distance(moments, next, at->b);
    memcpy(at->b, next, sizeof next);
    if (moved <= tol * at->scale ||
        (known && distance(moments, at->b, known->b) < 0.01 * known->scale)) {
      return MRL_MR_FINE;
    }
  }
  return moved <= enough * at->scale ? MRL_MR_FINE : MRL_MR_NO_CONVERGE;
}

static int row_before(const sorted_row *x, const sorted_row *y)
{
  if (x->key != y->key) {
    return x->key < y->key;
  }
  return x->y != y->y ? x->y < y->y : x->x < y->x;
}

static void sift(sorted_row *row, size_t root, size_t n)
{
  const sorted_row moving = row[root];
  for (size_t child; (child = 2 * root + 1) < n; root = child) {
    child += child + 1 < n && row_before(&row[child], &row[child + 1]);
    if (!row_before(&moving, &row[child])) {
      break;
    }
    row[root] = row[child];
  }
  row[root] = moving;
}

static void sort_rows(sorted_row *row, size_t n)
{
  for (size_t i = n / 2; i-- > 0;) {
    sift(row, i, n);
  }
  for (size_t i = n; i-- > 1;) {
    const sorted_row last = row[i];
    row[i] = row[0];
    row[0] = last;
    sift(row, 0, i);
  }
}

static size_t padded(size_t n)
{
  return (n + LANES - 1) / LANES * LANES;
}

static size_t screened(size_t n)
{
  return n < N_SCREEN ? n : N_SCREEN;
}

size_t mrl_mm_work(size_t n)
{
  return 4 * (n + padded(n) + padded(screened(n)));
}

/* The rows of `from` at evenly spaced places, in their order, as columns in work. */
static rows columns(const sorted_row *from, size_t n_from, size_t n, int p, double *work)
{
  const size_t room = padded(n);
  rows out = {work, work + room, work + 2 * room, work + 3 * room, n, room, p};
  memset(work, 0, 4 * room * sizeof *work);
  for (size_t i = 0; i < n; i++) {
    const sorted_row *row =
        from + (n == n_from ? i : (size_t)(((double)i + 0.5) / (double)n * (double)n_from));
    out.a[i] = row->a;
    out.x[i] = row->x;
    out.y[i] = row->y;
  }
  return out;
}

/* Ordinary least squares heads the list, so that there is a scale to compare with. */
static mrl_mr_why start_list(shortlist *list, rows *data, double *least)
{
  const double zero[2] = {0, 0};
  double squares = 0;
  for (size_t i = 0; i < data->n; i++) {
    squares += data->y[i] * data->y[i];
  }
  const double size = sqrt(squares / (double)data->n);
  *least = 1e-10 * size;
  list->n = 1;
  if (!(size > 0) || !least_squares(list->at[0].b, data, zero, 1e150 * size)) {
    return MRL_MR_DEGENERATE;
  }
  residuals(data, list->at[0].b);
  list->at[0].scale = solve_scale(data, size, *least);
  return list->at[0].scale > 0 ? MRL_MR_FINE : MRL_MR_DEGENERATE;
}

static mrl_mr_why s_estimate(candidate *best, rows *data, rows *sample)
{
  double moments[3], least;
  shortlist list;
  mrl_mr_why why = start_list(&list, sample, &least);
  if (why != MRL_MR_FINE) {
    return why;
  }
  column_moments(moments, sample);
  screen_all(&list, sample, moments, least);
  best->scale = INFINITY;
  column_moments(moments, data);
  for (size_t k = 0; k < list.n; k++) {
    candidate at = list.at[k];
    const candidate *known = k > 0 ? best : NULL;
    if (!(at.scale > 0) || refine(&at, data, moments, 1e-5, known) == MRL_MR_DEGENERATE) {
      return MRL_MR_DEGENERATE;
    }
    residuals(data, at.b);
    at.scale = solve_scale(data, at.scale, least);
    if (at.scale < best->scale) {
      *best = at;
    }
  }
  if (!(best->scale > 0)) {
    return MRL_MR_DEGENERATE;
  }
  why = refine(best, data, moments, 1e-12, NULL);
  residuals(data, best->b);
  best->scale = solve_scale(data, best->scale, least);
  return best->scale > 0 ? why : MRL_MR_DEGENERATE;
}

static mrl_mr_why m_estimate(double b[2], rows *data, const candidate *start)
{
  double moments[3];
  double moved = INFINITY;
  column_moments(moments, data);
  memcpy(b, start->b, sizeof start->b);
  for (int i = 0; i < MAX_STEPS; i++) {
    double next[2];
    if (!least_squares(next, data, b, tune_psi * start->scale)) {
      return MRL_MR_DEGENERATE;
    }
    moved = distance(moments, next, b);
    memcpy(b, next, sizeof next);
    if (moved <= 1e-12 * start->scale) {
      return MRL_MR_FINE;
    }
  }
  return moved <= enough * start->scale ? MRL_MR_FINE : MRL_MR_NO_CONVERGE;
}

mrl_mr_why mrl_mm_fit_run(mrl_mm_fit *fit, const mrl_mm_rows *in, double *work)
{
  const size_t n = in->n;
  const int p = in->a ? 2 : 1;
  if (n <= (size_t)p) {
    return MRL_MR_TOO_FEW;
  }
  sorted_row *row = (sorted_row *)(void *)work;
  for (size_t i = 0; i < n; i++) {
    const sorted_row new = {in->a ? in->x[i] / in->a[i] : (in->x[i] != 0 ? in->y[i] / in->x[i] : 0),
                            in->a ? in->a[i] : 0, in->x[i], in->y[i]};
    row[i] = new;
  }
  sort_rows(row, n);
  rows data = columns(row, n, n, p, work + 4 * n);
  rows sample = columns(row, n, screened(n), p, work + 4 * n + 4 * data.padded);
  candidate s;
  const mrl_mr_why why_s = s_estimate(&s, &data, &sample);
  if (why_s != MRL_MR_FINE) {
    return why_s;
  }
  const mrl_mr_why why_m = m_estimate(fit->coef, &data, &s);
  if (why_m != MRL_MR_FINE) {
    return why_m;
  }
  fit->scale = s.scale;
  return mrl_mm_standard_errors(fit->se, &data, fit->coef, &s) ? MRL_MR_FINE : MRL_MR_DEGENERATE;
}
