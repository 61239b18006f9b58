#include "sandwich.h"

#include "blas.h"

#include <math.h>
#include <string.h>

void mrl_meat_carve(mrl_meat_work *work, size_t n, size_t p, size_t n_cluster, const mrl_ctx *ctx,
                    mrl_arena *arena)
{
  work->root = MRL_TAKE(arena, double, n);
  work->sums = n_cluster > 0 ? MRL_TAKE(arena, double, n_cluster *p) : NULL;
  work->sum_col = MRL_TAKE(arena, const double *, p);
  work->zero = MRL_TAKE(arena, double, p);
  work->one = MRL_TAKE(arena, double, p);
  work->gram = mrl_take(arena, mrl_gram_scratch(p, ctx), 1);
}

static void cluster_sums(double *sums, const double *x, double shift, double scale,
                         const double *multiplier, const int *cluster, size_t n)
{
  for (size_t i = 0; i < n; i++) {
    sums[cluster[i] - 1] += (x[i] - shift) * scale * multiplier[i];
  }
}

mrl_status mrl_meat_add(double *meat, const mrl_columns *columns, const double *error,
                        const double *weights, const int *cluster, size_t n_cluster, int more,
                        mrl_meat_work *work, mrl_isa isa, const mrl_ctx *ctx)
{
  const size_t n = columns->n, p = columns->p;
  for (size_t i = 0; i < n; i++) {
    const double s = weights ? weights[i] * error[i] : error[i];
    work->root[i] = n_cluster > 0 ? s : fabs(s);
  }
  if (n_cluster == 0) {
    mrl_columns scores = *columns;
    scores.root = work->root;
    return mrl_gram(meat, &scores, 0, n, more, work->gram, isa, ctx);
  }
  if (!more) {
    memset(work->sums, 0, n_cluster * p * sizeof *work->sums);
  }
  const size_t group = 1 + (1 << 24) / (n + 1);
  for (size_t from = 0; from < p; from += group) {
    const size_t to = from + group < p ? from + group : p;
#pragma omp parallel for num_threads(mrl_threads_for(ctx, n *p)) schedule(static)
    for (size_t j = from; j < to; j++) {
      cluster_sums(work->sums + j * n_cluster, columns->col[j], columns->shift[j],
                   columns->scale[j], work->root, cluster, n);
    }
    mrl_poll(ctx);
  }
  return MRL_OK;
}

mrl_status mrl_meat_end(double *meat, size_t p, size_t n_cluster, mrl_meat_work *work, mrl_isa isa,
                        const mrl_ctx *ctx)
{
  if (n_cluster == 0) {
    return MRL_OK;
  }
  for (size_t j = 0; j < p; j++) {
    work->sum_col[j] = work->sums + j * n_cluster;
    work->zero[j] = 0;
    work->one[j] = 1;
  }
  const mrl_columns sums = {work->sum_col, work->zero, work->one, NULL, n_cluster, p};
  return mrl_gram(meat, &sums, 0, n_cluster, 0, work->gram, isa, ctx);
}

mrl_status mrl_meat(double *meat, const mrl_columns *columns, const double *error,
                    const double *weights, const int *cluster, size_t n_cluster,
                    mrl_meat_work *work, mrl_isa isa, const mrl_ctx *ctx)
{
  MRL_TRY(mrl_meat_add(meat, columns, error, weights, cluster, n_cluster, 0, work, isa, ctx));
  return mrl_meat_end(meat, columns->p, n_cluster, work, isa, ctx);
}

size_t mrl_gmm_work(size_t l, size_t m)
{
  return l * l + l * (m + 1) + m * m;
}

/* rhs (l, m) := inverse(U') rhs with omega = U'U. */
static mrl_status whiten(double *rhs, const double *omega, size_t l, size_t m, double *u)
{
  memcpy(u, omega, l * l * sizeof *u);
  MRL_TRY(mrl_cholesky(u, l));
  for (size_t j = 0; j < l; j++) {
    if (!(u[j + j * l] * u[j + j * l] > 1e-10 * omega[j + j * l])) {
      return MRL_SINGULAR;
    }
  }
  return mrl_triangular_solve(rhs, u, l, m, 1);
}

mrl_status mrl_gmm_distance(double *distance, double *d, const double *a, const double *b,
                            size_t ldb, const double *omega, size_t l, size_t m, double *work)
{
  double *u = work, *rhs = u + l * l, *normal = rhs + l * (m + 1), *left = rhs + l * m;
  for (size_t j = 0; j < m; j++) {
    memcpy(rhs + j * l, b + j * ldb, l * sizeof *rhs);
  }
  memcpy(left, a, l * sizeof *left);
  if (omega) {
    MRL_TRY(whiten(rhs, omega, l, m + 1, u));
  }
  if (m > 0) {
    mrl_small_gemm(normal, m, rhs, l, 1, rhs, l, 0, m, m, l, 1, 0);
    mrl_small_gemm(d, m, rhs, l, 1, left, l, 0, m, 1, l, 1, 0);
    MRL_TRY(mrl_cholesky(normal, m));
    MRL_TRY(mrl_cholesky_solve(d, normal, m, 1));
    mrl_small_gemm(left, l, rhs, l, 0, d, m, 0, l, 1, m, -1, 1);
  }
  *distance = 0;
  for (size_t i = 0; i < l; i++) {
    *distance += left[i] * left[i];
  }
  return MRL_OK;
}
