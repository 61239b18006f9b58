#define USE_FC_LEN_T
#include "blas.h"

#include <Rconfig.h>
#include <R_ext/BLAS.h>
#include <R_ext/Lapack.h>
#ifndef FCONE
#define FCONE
#endif

#include <limits.h>

static int blas_int(size_t n, int *out)
{
  *out = (int)n;
  return n <= INT_MAX;
}

mrl_status mrl_cholesky(double *a, size_t p)
{
  int n, info;
  if (!blas_int(p, &n)) {
    return MRL_BAD_ARGUMENT;
  }
  if (n == 0) {
    return MRL_OK;
  }
  F77_CALL(dpotrf)("U", &n, a, &n, &info FCONE);
  for (size_t j = 0; j < p; j++) {
    for (size_t i = j + 1; i < p; i++) {
      a[i + j * p] = 0;
    }
  }
  return info == 0 ? MRL_OK : info > 0 ? MRL_SINGULAR : MRL_BAD_ARGUMENT;
}

mrl_status mrl_cholesky_solve(double *b, const double *u, size_t p, size_t nrhs)
{
  int n, m, info;
  if (!blas_int(p, &n) || !blas_int(nrhs, &m)) {
    return MRL_BAD_ARGUMENT;
  }
  if (n == 0 || m == 0) {
    return MRL_OK;
  }
  F77_CALL(dpotrs)("U", &n, &m, u, &n, b, &n, &info FCONE);
  return info == 0 ? MRL_OK : MRL_BAD_ARGUMENT;
}

mrl_status mrl_triangular_solve(double *b, const double *u, size_t p, size_t nrhs, int trans)
{
  int n, m;
  const double one = 1;
  if (!blas_int(p, &n) || !blas_int(nrhs, &m)) {
    return MRL_BAD_ARGUMENT;
  }
  if (n > 0 && m > 0) {
    F77_CALL(dtrsm)
    ("L", "U", trans ? "T" : "N", "N", &n, &m, &one, u, &n, b, &n FCONE FCONE FCONE FCONE);
  }
  return MRL_OK;
}

mrl_status mrl_triangular_solve_right(double *b, size_t ldb, const double *u, size_t m, size_t p)
{
  int rows, n, ld;
  const double one = 1;
  if (!blas_int(p, &n) || !blas_int(m, &rows) || !blas_int(ldb, &ld)) {
    return MRL_BAD_ARGUMENT;
  }
  if (n > 0 && rows > 0) {
    F77_CALL(dtrsm)("R", "U", "N", "N", &rows, &n, &one, u, &n, b, &ld FCONE FCONE FCONE FCONE);
  }
  return MRL_OK;
}

mrl_status mrl_cholesky_inverse(double *u, size_t p)
{
  int n, info;
  if (!blas_int(p, &n)) {
    return MRL_BAD_ARGUMENT;
  }
  if (n == 0) {
    return MRL_OK;
  }
  F77_CALL(dpotri)("U", &n, u, &n, &info FCONE);
  for (size_t j = 0; j < p; j++) {
    for (size_t i = j + 1; i < p; i++) {
      u[i + j * p] = u[j + i * p];
    }
  }
  return info == 0 ? MRL_OK : info > 0 ? MRL_SINGULAR : MRL_BAD_ARGUMENT;
}

size_t mrl_eigen_work(size_t p)
{
  return p > 0 ? 34 * p : 1; /* dsyev's best at its usual block size of 32 */
}

mrl_status mrl_eigen(double *values, double *a, size_t p, double *work)
{
  int n, lwork, info;
  if (!blas_int(p, &n) || !blas_int(mrl_eigen_work(p), &lwork)) {
    return MRL_BAD_ARGUMENT;
  }
  if (n == 0) {
    return MRL_OK;
  }
  F77_CALL(dsyev)("V", "U", &n, a, &n, values, work, &lwork, &info FCONE FCONE);
  return info == 0 ? MRL_OK : info > 0 ? MRL_NO_CONVERGE : MRL_BAD_ARGUMENT;
}

void mrl_transpose_square(double *a, size_t p)
{
  for (size_t j = 0; j < p; j++) {
    for (size_t i = 0; i < j; i++) {
      const double t = a[i + j * p];
      a[i + j * p] = a[j + i * p];
      a[j + i * p] = t;
    }
  }
}

void mrl_small_gemm(double *c, size_t ldc, const double *a, size_t lda, int ta, const double *b,
                    size_t ldb, int tb, size_t m, size_t n, size_t k, double alpha, double beta)
{
  if (m == 0 || n == 0) {
    return;
  }
  const int im = (int)m, in = (int)n, ik = (int)k;
  const int ic = (int)ldc, ia = lda > 0 ? (int)lda : 1, ib = ldb > 0 ? (int)ldb : 1;
  F77_CALL(dgemm)
  (ta ? "T" : "N", tb ? "T" : "N", &im, &in, &ik, &alpha, a, &ia, b, &ib, &beta, c,
   &ic FCONE FCONE);
}
