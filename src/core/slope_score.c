/* Scores of a slope on features: their covariance, the tests that they are 0, standard errors. */
#include "blas.h"
#include "slope_part.h"

#include <math.h>
#include <string.h>

void mrl_slope_residual(mrl_slope_work *work, double b0, const double *b)
{
  const size_t n = work->n, p = work->p;
  const double *x = work->m + (1 + p) * n, *y = work->m + (2 + 2 * p) * n;
  for (size_t i = 0; i < n; i++) {
    work->r[i] = y[i] - b0 * x[i];
  }
  for (size_t j = 0; b && j < p; j++) {
    const double *xf = x + (1 + j) * n;
    for (size_t i = 0; b[j] != 0 && i < n; i++) {
      work->r[i] -= b[j] * xf[i];
    }
  }
}

mrl_status mrl_slope_omega(mrl_slope_work *work, const mrl_slope_data *data, mrl_isa isa,
                           const mrl_ctx *ctx)
{
  const size_t n = work->n, rows = 1 + work->p;
  const double *scores = work->score;
  size_t count = n;
  for (size_t j = 0; j < rows; j++) {
    mrl_poll(ctx);
    for (size_t i = 0; i < n; i++) {
      work->score[i + j * n] = work->m[i + j * n] * work->r[i];
    }
  }
  double units = (double)n;
  if (data->cluster) {
    memset(work->sums, 0, data->n_cluster * rows * sizeof *work->sums);
    for (size_t j = 0; j < rows; j++) {
      for (size_t i = 0; i < n; i++) {
        work->sums[(size_t)data->cluster[i] - 1 + j * data->n_cluster] += work->score[i + j * n];
      }
    }
    scores = work->sums;
    count = data->n_cluster;
    units = (double)count;
  }
  MRL_TRY(mrl_gemm_d(work->omega, rows, scores, count, MRL_TRANS, scores, count, MRL_NO_TRANS, rows,
                     rows, count, 0, work->gemm, isa, ctx));
  const double left = (double)n - (double)work->k - 1;
  const double factor = data->cluster ? units / (units - 1) : (double)n / left;
  for (size_t i = 0; i < rows * rows; i++) {
    work->omega[i] *= factor;
  }
  return MRL_OK;
}

/* chi2 = g' inverse(omega) g of the scores numbered in which (m); meat and mean are overwritten. */
static double score_test(mrl_slope_work *work, const size_t *which, size_t m)
{
  const size_t p = work->p, rows = 1 + p;
  double sum = 0;
  for (size_t j = 0; j < m; j++) {
    work->mean[j] = work->g[which[j]];
    for (size_t i = 0; i < m; i++) {
      work->meat[i + j * m] = work->omega[1 + which[i] + (1 + which[j]) * rows];
    }
  }
  if (mrl_cholesky(work->meat, m) != MRL_OK ||
      mrl_triangular_solve(work->mean, work->meat, m, 1, 1) != MRL_OK) {
    return NAN;
  }
  for (size_t j = 0; j < m; j++) {
    sum += work->mean[j] * work->mean[j];
  }
  return sum;
}

void mrl_slope_test(mrl_slope_fit *fit, mrl_slope_work *work, const mrl_slope_data *data,
                    size_t *which)
{
  const size_t p = work->p;
  for (size_t k = 0; k <= data->n_groups; k++) {
    size_t m = 0;
    for (size_t j = 0; j < p; j++) {
      if (k == data->n_groups || (size_t)data->group[j] == k + 1) {
        which[m++] = j;
      }
    }
    const double chi2 = score_test(work, which, m);
    if (k < data->n_groups) {
      fit->group_statistic[k] = chi2;
      fit->group_df[k] = (double)m;
    } else {
      fit->statistic = chi2;
      fit->df = (double)m;
    }
  }
  for (size_t j = 0; j < p; j++) {
    fit->g[j] = work->g[j] / sqrt(work->omega[(1 + j) * (2 + p)]);
  }
}

double mrl_slope_average_error(mrl_slope_work *work, const mrl_slope_fit *fit,
                               const mrl_slope_data *data)
{
  const size_t n = work->n, p = work->p;
  double total = 0, square = 0;
  const size_t count = data->cluster ? data->n_cluster : n;
  double *sum = data->cluster ? work->sums : work->score;
  for (size_t i = 0; i < n; i++) {
    total += work->root[i] * work->root[i];
  }
  memset(sum, 0, count * sizeof *sum);
  for (size_t i = 0; i < n; i++) {
    double f = 0;
    for (size_t j = 0; j < p; j++) {
      f += (data->f[j][i] - fit->center[j]) * fit->coef[1 + j];
    }
    const double part =
        work->root[i] * work->root[i] * f / total + work->m[i] * work->r[i] / work->inner[0];
    sum[data->cluster ? (size_t)data->cluster[i] - 1 : i] += part;
  }
  for (size_t i = 0; i < count; i++) {
    square += sum[i] * sum[i];
  }
  const double units = (double)count;
  const double left = data->cluster ? units - 1 : units - (double)work->k - 1;
  return sqrt(square * units / left);
}
