#include "lasso_path.h"

#include <math.h>
#include <string.h>

/* Relative to its own mean square, variance below this is rounding: the column is constant. Sums of
 * n products are good to about n * 1e-16, and a variance known to 1e-4 of itself is still of use.
 */
static const double constant_below = 1e-12;
/* What partialling leaves of a column, relative to what there was, below which it is rounding. */
static const double spanned_below = 1e-11;

void mrl_lasso_path_carve(mrl_lasso_path *path, mrl_arena *arena, size_t n, size_t n_w, size_t n_z,
                          int intercept)
{
  const size_t q = n_w + (intercept ? 1 : 0), capacity = n < n_z ? n : n_z;
  memset(path, 0, sizeof *path);
  path->n_w = n_w;
  path->n_z = n_z;
  path->p = n_w + n_z + 2;
  path->first = intercept ? 0 : 1;
  path->q = q;
  path->capacity = capacity;
  path->root = MRL_TAKE(arena, double, (q * q));
  path->half_z = MRL_TAKE(arena, double, (q * n_z));
  path->half_x = MRL_TAKE(arena, double, q);
  path->sd = MRL_TAKE(arena, double, n_z);
  path->diag = MRL_TAKE(arena, double, n_z);
  path->xz = MRL_TAKE(arena, double, n_z);
  path->b = MRL_TAKE(arena, double, n_z);
  path->gradient = MRL_TAKE(arena, double, n_z);
  path->column = (double *)mrl_take(arena, n_z, n_z * sizeof(double));
  path->slot = MRL_TAKE(arena, size_t, n_z);
  path->active = MRL_TAKE(arena, size_t, capacity);
  path->factor = (double *)mrl_take(arena, capacity, capacity * sizeof(double));
  path->is_active = MRL_TAKE(arena, unsigned char, n_z);
  path->target = MRL_TAKE(arena, double, capacity);
  path->move = MRL_TAKE(arena, double, capacity);
  path->working = MRL_TAKE(arena, size_t, n_z);
}

static double moment(const mrl_lasso_path *path, size_t i, size_t j)
{
  const size_t at = i + j * path->p;
  return path->fold ? path->total[at] - path->fold[at] : path->total[at];
}

/* v (count) := inverse(root') v by the first `count` columns of root (q, q). A column that its
 * predecessors span has root_jj = 0 and gets 0. */
static void half_solve(double *v, size_t count, const double *root, size_t q)
{
  for (size_t j = 0; j < count; j++) {
    const double pivot = root[j + j * q];
    v[j] = pivot > 0 ? (v[j] - mrl_lasso_dot(root + j * q, v, j)) / pivot : 0;
  }
}

static void factor_unpenalised(mrl_lasso_path *path)
{
  const size_t q = path->q, first = path->first;
  for (size_t j = 0; j < q; j++) {
    double *column = path->root + j * q;
    for (size_t i = 0; i < q; i++) {
      column[i] = i <= j ? moment(path, first + i, first + j) : 0;
    }
    const double square = column[j];
    half_solve(column, j, path->root, q);
    const double pivot = square - mrl_lasso_dot(column, column, j);
    column[j] = pivot > spanned_below * square ? sqrt(pivot) : 0;
  }
}

/* Variance of column j about its mean in these rows; 0 if it is only rounding. */
static double variance(const mrl_lasso_path *path, size_t j)
{
  const double sum_weights = path->sum_weights, mean = moment(path, 0, j) / sum_weights;
  const double square = moment(path, j, j) / sum_weights, value = square - mean * mean;
  const double all = path->total[j + j * path->p] / path->total[0];
  return value > constant_below * (square + all) ? value : 0;
}

/* Scale, partialled square and product with x of each instrument, given half_x. */
static void partial_instruments(mrl_lasso_path *path, const double *sd)
{
  const size_t q = path->q, last = path->p - 1;
  for (size_t j = 0; j < path->n_z; j++) {
    const size_t at = 1 + path->n_w + j;
    double *half = path->half_z + j * q;
    for (size_t i = 0; i < q; i++) {
      half[i] = moment(path, path->first + i, at);
    }
    half_solve(half, q, path->root, q);
    const double var = variance(path, at);
    const double left = (moment(path, at, at) - mrl_lasso_dot(half, half, q)) / path->sum_weights;
    const double scale = sd ? sd[j] : sqrt(var);
    const int usable = var > 0 && scale > 0 && left > spanned_below * var;
    path->sd[j] = usable ? scale : 0;
    path->diag[j] = usable ? left / (scale * scale) : 0;
    path->xz[j] = usable ? (moment(path, at, last) - mrl_lasso_dot(half, path->half_x, q)) /
                               (path->sum_weights * scale)
                         : 0;
  }
}

mrl_status mrl_lasso_path_start(mrl_lasso_path *path, const double *total, const double *fold,
                                const double *sd, double tolerance)
{
  const size_t last = path->p - 1;
  path->total = total;
  path->fold = fold;
  path->tolerance = tolerance;
  path->sum_weights = moment(path, 0, 0);
  if (!(path->sum_weights > constant_below * total[0])) {
    return MRL_TOO_FEW;
  }
  factor_unpenalised(path);
  for (size_t i = 0; i < path->q; i++) {
    path->half_x[i] = moment(path, path->first + i, last);
  }
  half_solve(path->half_x, path->q, path->root, path->q);
  partial_instruments(path, sd);
  const double square = moment(path, last, last), sum = moment(path, 0, last);
  path->left = (square - mrl_lasso_dot(path->half_x, path->half_x, path->q)) / path->sum_weights;
  path->null =
      (square - (path->first == 0 ? sum * sum / path->sum_weights : 0)) / path->sum_weights;
  path->lambda_max = 0;
  for (size_t j = 0; j < path->n_z; j++) {
    path->lambda_max = fmax(path->lambda_max, fabs(path->xz[j]));
    path->slot[j] = path->n_z;
  }
  path->lambda = path->lambda_max;
  memset(path->b, 0, path->n_z * sizeof *path->b);
  memcpy(path->gradient, path->xz, path->n_z * sizeof *path->xz);
  memset(path->is_active, 0, path->n_z);
  path->n_active = path->n_columns = 0;
  path->round = path->paused = 0;
  path->violation = 0;
  return isfinite(path->lambda_max) && isfinite(path->left) ? MRL_OK : MRL_NOT_FINITE;
}

const double *mrl_lasso_path_column(mrl_lasso_path *path, size_t j)
{
  const size_t n_z = path->n_z, q = path->q;
  if (path->slot[j] == n_z) {
    double *column = path->column + path->n_columns * n_z;
    const double *half = path->half_z + j * q;
    for (size_t i = 0; i < n_z; i++) {
      const double scale = path->sum_weights * path->sd[i] * path->sd[j];
      column[i] = scale > 0 ? (moment(path, 1 + path->n_w + i, 1 + path->n_w + j) -
                               mrl_lasso_dot(path->half_z + i * q, half, q)) /
                                  scale
                            : 0;
    }
    path->slot[j] = path->n_columns++;
    path->work += (double)(n_z * (q + 4));
  }
  return path->column + path->slot[j] * n_z;
}

void mrl_lasso_path_unpenalised(double *a, const mrl_lasso_path *path)
{
  const size_t q = path->q;
  memcpy(a, path->half_x, q * sizeof *a);
  for (size_t j = 0; j < path->n_z; j++) {
    if (path->b[j] != 0) {
      for (size_t i = 0; i < q; i++) {
        a[i] -= path->half_z[i + j * q] * path->b[j] / path->sd[j];
      }
    }
  }
  for (size_t k = q; k-- > 0;) {
    const double *column = path->root + k * q;
    a[k] = column[k] > 0 ? a[k] / column[k] : 0;
    for (size_t i = 0; i < k; i++) {
      a[i] -= column[i] * a[k];
    }
  }
}
