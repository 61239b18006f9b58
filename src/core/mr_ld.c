#include "mr_ld.h"

#include "blas.h"

#include <math.h>
#include <string.h>

typedef struct {
  double *vector, *value; /* (n, n), (n) eigenvectors of rho, kept ones last */
  double *t;              /* (n, n) the coordinates' rows, leading dimension m */
  double *sub, *work;     /* (n, n) */
  double *cx, *c, *v;     /* (n, n) */
  double *x, *y, *one;    /* (n) in coordinates */
  double *r;              /* (n) */
  double *eigen;
  size_t n, m;
} mrl_ld_work;

static void carve(mrl_ld_work *work, size_t n, mrl_arena *arena)
{
  double **square[] = {&work->vector, &work->t, &work->sub, &work->work,
                       &work->cx,     &work->c, &work->v};
  double **column[] = {&work->value, &work->x, &work->y, &work->one, &work->r};
  for (size_t i = 0; i < sizeof square / sizeof *square; i++) {
    *square[i] = MRL_TAKE(arena, double, n *n);
  }
  for (size_t i = 0; i < sizeof column / sizeof *column; i++) {
    *column[i] = MRL_TAKE(arena, double, n);
  }
  work->eigen = MRL_TAKE(arena, double, mrl_eigen_work(n));
  work->n = n;
}

size_t mrl_ld_scratch(const mrl_ld_data *data)
{
  mrl_ld_work work;
  mrl_arena arena = mrl_arena_measure();
  carve(&work, data->n, &arena);
  return arena.failed ? 0 : arena.used;
}

/* t (m, n) = rows value^(-1/2) vector' / sy: coordinates in which outcome errors are independent.
 */
static mrl_status whiten(mrl_ld_work *work, const mrl_ld_data *data, double tolerance)
{
  const size_t n = data->n;
  memcpy(work->vector, data->rho, n * n * sizeof *work->vector);
  MRL_TRY(mrl_eigen(work->value, work->vector, n, work->eigen));
  const double top = work->value[n - 1];
  if (!(work->value[0] > -1e-6 * top)) {
    return MRL_SINGULAR;
  }
  size_t first = 0;
  while (first < n && !(work->value[first] > tolerance * top)) {
    first++;
  }
  const size_t m = work->m = n - first;
  for (size_t k = 0; k < m; k++) {
    const double *vector = work->vector + (first + k) * n;
    const double root = sqrt(work->value[first + k]);
    for (size_t i = 0; i < n; i++) {
      work->t[k + i * m] = vector[i] / (root * data->sy[i]);
    }
  }
  return MRL_OK;
}

/* t (m, n) for the first components of Psi: inverse(U') W' with W'(S rho S)W = U'U. */
static mrl_status components(mrl_ld_work *work, const mrl_ld_data *data, double share)
{
  const size_t n = data->n;
  double *w = work->vector, *sigma = work->work, total = 0, sum = 0;
  for (size_t j = 0; j < n; j++) {
    for (size_t i = 0; i < n; i++) {
      w[i + j * n] = data->bx[i] / data->sy[i] * data->bx[j] / data->sy[j] * data->rho[i + j * n];
      sigma[i + j * n] = data->sy[i] * data->sy[j] * data->rho[i + j * n];
    }
  }
  MRL_TRY(mrl_eigen(work->value, w, n, work->eigen));
  for (size_t i = 0; i < n; i++) {
    total += work->value[i] > 0 ? work->value[i] : 0;
  }
  size_t m = 0;
  while (m < n && !(sum > share * total)) {
    sum += work->value[n - 1 - m++];
  }
  work->m = m;
  w += (n - m) * n;
  mrl_small_gemm(work->c, n, sigma, n, 0, w, n, 0, n, m, n, 1, 0);
  mrl_small_gemm(work->sub, m, w, n, 1, work->c, n, 0, m, m, n, 1, 0);
  MRL_TRY(mrl_cholesky(work->sub, m));
  for (size_t k = 0; k < m; k++) {
    for (size_t i = 0; i < n; i++) {
      work->t[k + i * m] = w[i + k * n];
    }
  }
  return mrl_triangular_solve(work->t, work->sub, m, n, 1);
}

/* out (m) = t x (n). */
static void turn(double *out, const mrl_ld_work *work, const double *x)
{
  mrl_small_gemm(out, work->m, work->t, work->m, 0, x, work->n, 0, work->m, 1, work->n, 1, 0);
}

static double dot(const double *x, const double *y, size_t n)
{
  double sum = 0;
  for (size_t i = 0; i < n; i++) {
    sum += x[i] * y[i];
  }
  return sum;
}

/* Residual standard error, at least 1; 1 where there are no degrees of freedom. */
static double scale_of(double q, double df)
{
  return df > 0 && q > df ? sqrt(q / df) : 1;
}

static void fit_ivw(mrl_ld_fit *fit, mrl_ld_work *work)
{
  const size_t m = work->m;
  const double xx = dot(work->x, work->x, m);
  if (m < 1 || !(xx > 0)) {
    return;
  }
  fit->b = dot(work->x, work->y, m) / xx;
  for (size_t i = 0; i < m; i++) {
    work->r[i] = work->y[i] - fit->b * work->x[i];
  }
  fit->q = dot(work->r, work->r, m);
  fit->df = (double)m - 1;
  fit->se = scale_of(fit->q, fit->df) / sqrt(xx);
}

static void fit_egger(mrl_ld_fit *fit, mrl_ld_work *work)
{
  const size_t m = work->m;
  const double *x = work->x, *y = work->y, *one = work->one;
  const double xx = dot(x, x, m), oo = dot(one, one, m), xo = dot(x, one, m);
  const double xy = dot(x, y, m), oy = dot(one, y, m), det = xx * oo - xo * xo;
  if (m < 3 || !(det > 1e-12 * xx * oo)) {
    return;
  }
  fit->b = (oo * xy - xo * oy) / det;
  fit->intercept = (xx * oy - xo * xy) / det;
  for (size_t i = 0; i < m; i++) {
    work->r[i] = y[i] - fit->intercept * one[i] - fit->b * x[i];
  }
  fit->q = dot(work->r, work->r, m);
  fit->df = (double)m - 2;
  const double scale = scale_of(fit->q, fit->df);
  fit->se = scale * sqrt(oo / det);
  fit->intercept_se = scale * sqrt(xx / det);
}

/* out (m, m) = t diag(a) rho diag(b) t'. */
static void error_covariance(double *out, mrl_ld_work *work, const double *rho, const double *a,
                             const double *b)
{
  const size_t n = work->n, m = work->m;
  for (size_t j = 0; j < n; j++) {
    for (size_t i = 0; i < n; i++) {
      work->work[i + j * n] = a[i] * rho[i + j * n] * b[j];
    }
  }
  mrl_small_gemm(work->sub, m, work->t, m, 0, work->work, n, 0, m, n, n, 1, 0);
  mrl_small_gemm(out, m, work->sub, m, 0, work->t, m, 1, m, m, n, 1, 0);
}

static mrl_status fit_overlap(mrl_ld_fit *fit, mrl_ld_work *work, const mrl_ld_data *data,
                              double psi)
{
  const size_t m = work->m;
  double trace_x = 0, trace_c = 0, kk = 0;
  error_covariance(work->cx, work, data->rho, data->sx, data->sx);
  error_covariance(work->c, work, data->rho, data->sx, data->sy);
  for (size_t i = 0; i < m; i++) {
    trace_x += work->cx[i + i * m];
    trace_c += psi * work->c[i + i * m];
  }
  const double below = dot(work->x, work->x, m) - trace_x;
  if (m < 2 || !(below > 0)) {
    return MRL_OK;
  }
  const double b = (dot(work->x, work->y, m) - trace_c) / below;
  double *k = work->work;
  for (size_t j = 0; j < m; j++) {
    for (size_t i = 0; i < m; i++) {
      const double c = psi * work->c[i + j * m], back = psi * work->c[j + i * m];
      const double cx = work->cx[i + j * m];
      work->v[i + j * m] = (i == j) - b * (c + back) + b * b * cx;
      k[i + j * m] = c - b * cx;
    }
  }
  for (size_t j = 0; j < m; j++) {
    work->r[j] = work->y[j] - b * work->x[j];
    for (size_t i = 0; i < m; i++) {
      kk += k[i + j * m] * k[j + i * m];
    }
  }
  mrl_small_gemm(work->one, m, work->v, m, 0, work->x, m, 0, m, 1, m, 1, 0);
  const double square = dot(work->x, work->one, m) + kk;
  MRL_TRY(mrl_cholesky(work->v, m));
  MRL_TRY(mrl_triangular_solve(work->r, work->v, m, 1, 1));
  fit->b = b;
  fit->q = dot(work->r, work->r, m);
  fit->df = (double)m - 1;
  fit->se = scale_of(fit->q, fit->df) * sqrt(square) / below;
  return MRL_OK;
}

static mrl_status fit_one(mrl_ld_fit *fit, mrl_ld_method method, mrl_ld_work *work,
                          const mrl_ld_data *data, const mrl_ld_settings *settings)
{
  const mrl_ld_fit none = {NAN, NAN, NAN, NAN, NAN, NAN, 0};
  *fit = none;
  MRL_TRY(method == MRL_LD_PCA ? components(work, data, settings->share)
                               : whiten(work, data, settings->tolerance));
  for (size_t i = 0; i < data->n; i++) {
    work->r[i] = data->bx[i] < 0 ? -1 : 1;
  }
  turn(work->one, work, work->r);
  turn(work->x, work, data->bx);
  turn(work->y, work, data->by);
  fit->m = (double)work->m;
  if (method == MRL_LD_EGGER) {
    fit_egger(fit, work);
  } else if (method == MRL_LD_OVERLAP) {
    return fit_overlap(fit, work, data, settings->psi);
  } else {
    fit_ivw(fit, work);
  }
  return MRL_OK;
}

mrl_status mrl_ld_run(mrl_ld_fit *fit, const mrl_ld_data *data, const mrl_ld_method *methods,
                      size_t n_methods, const mrl_ld_settings *settings, void *scratch, size_t size,
                      const mrl_ctx *ctx)
{
  mrl_ld_work work;
  mrl_arena arena = mrl_arena_over(scratch, size);
  carve(&work, data->n, &arena);
  if (arena.failed) {
    return MRL_NO_MEMORY;
  }
  for (size_t i = 0; i < n_methods; i++) {
    mrl_poll(ctx);
    MRL_TRY(fit_one(&fit[i], methods[i], &work, data, settings));
  }
  return MRL_OK;
}
