/* The one door to BLAS/LAPACK, for small matrices only (p x p). Column-major, leading dimension p.
 */
#ifndef MRL_BLAS_H
#define MRL_BLAS_H

#include "status.h"

/* a (p, p) symmetric positive definite -> its upper Cholesky factor U (a = U'U), lower part zeroed.
 * MRL_SINGULAR if not positive definite. */
mrl_status mrl_cholesky(double *a, size_t p);
/* b (p, nrhs) := inverse of (U'U) times b. */
mrl_status mrl_cholesky_solve(double *b, const double *u, size_t p, size_t nrhs);
/* b (p, nrhs) := inverse(U) b, or with trans inverse(U') b. */
mrl_status mrl_triangular_solve(double *b, const double *u, size_t p, size_t nrhs, int trans);
/* b (m, p; ldb) := b inverse(U): each row of b is solved for. */
mrl_status mrl_triangular_solve_right(double *b, size_t ldb, const double *u, size_t m, size_t p);
/* u -> inverse of U'U, full symmetric. */
mrl_status mrl_cholesky_inverse(double *u, size_t p);
/* a (p, p) symmetric -> eigenvectors in its columns, values (p) ascending. work: doubles as
 * mrl_eigen_work(p) says. */
size_t mrl_eigen_work(size_t p);
mrl_status mrl_eigen(double *values, double *a, size_t p, double *work);
/* a (p, p) := its transpose. */
void mrl_transpose_square(double *a, size_t p);
/* c (m, n) = alpha op(a) op(b) + beta c; small matrices, any shape. */
void mrl_small_gemm(double *c, size_t ldc, const double *a, size_t lda, int ta, const double *b,
                    size_t ldb, int tb, size_t m, size_t n, size_t k, double alpha, double beta);

#endif
