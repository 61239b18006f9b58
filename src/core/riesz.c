#include "riesz.h"

#include "arena.h"
#include "blas.h"

#include <math.h>

typedef struct {
  double *gram;    /* (k + j)^2 mean crossproducts of b, phi */
  double *b, *phi; /* (k, k), (j, j) their Cholesky factors */
  double *a;       /* (k, j) G inverse(U), phi = U'U */
  double *left;    /* (k, k) of the normal equations; (j, j) of canonical correlations */
  double *target;  /* (j) inverse(U') M */
  double *gap;     /* (j) */
  double *values;  /* (j) */
  double *eigen;   /* mrl_eigen_work(j) */
  void *gram_scratch;
} riesz_work;

static void carve(riesz_work *to, mrl_arena *arena, size_t k, size_t j, const mrl_ctx *ctx)
{
  const size_t most = k > j ? k : j;
  to->gram = MRL_TAKE(arena, double, (k + j) * (k + j));
  to->b = MRL_TAKE(arena, double, k *k);
  to->phi = MRL_TAKE(arena, double, j *j);
  to->a = MRL_TAKE(arena, double, k *j);
  to->left = MRL_TAKE(arena, double, most *most);
  to->target = MRL_TAKE(arena, double, j);
  to->gap = MRL_TAKE(arena, double, j);
  to->values = MRL_TAKE(arena, double, j);
  to->eigen = MRL_TAKE(arena, double, mrl_eigen_work(j));
  to->gram_scratch = mrl_take(arena, mrl_gram_scratch(k + j, ctx), 1);
}

size_t mrl_riesz_scratch(size_t k, size_t j, const mrl_ctx *ctx)
{
  mrl_arena arena = mrl_arena_measure();
  riesz_work work;
  carve(&work, &arena, k, j, ctx);
  return arena.used;
}

/* The blocks of the crossproducts: work->b, work->phi, and G in work->a. */
static mrl_status take_blocks(riesz_work *work, size_t k, size_t j, double total)
{
  const size_t p = k + j;
  for (size_t c = 0; c < p; c++) {
    for (size_t r = 0; r < p; r++) {
      const double value = work->gram[r + c * p] / total;
      if (!isfinite(value)) {
        return MRL_NOT_FINITE;
      }
      if (r < k && c < k) {
        work->b[r + c * k] = value;
      } else if (r < k) {
        work->a[r + (c - k) * k] = value;
      } else if (c >= k) {
        work->phi[r - k + (c - k) * j] = value;
      }
    }
  }
  return MRL_OK;
}

/* The least squared canonical correlation: the least eigenvalue of A' inverse(B) A. */
static mrl_status find_relevance(double *relevance, riesz_work *work, size_t k, size_t j)
{
  double *half = work->gram; /* (k, j) inverse(R') A, B = R'R */
  *relevance = 0;
  if (k < j) {
    return MRL_OK;
  }
  for (size_t i = 0; i < k * j; i++) {
    half[i] = work->a[i];
  }
  MRL_TRY(mrl_triangular_solve(half, work->b, k, j, 1));
  mrl_small_gemm(work->left, j, half, k, 1, half, k, 0, j, j, k, 1, 0);
  MRL_TRY(mrl_eigen(work->values, work->left, j, work->eigen));
  *relevance = fmax(work->values[0], 0);
  return MRL_OK;
}

static double norm(const double *x, size_t n)
{
  double sum = 0;
  for (size_t i = 0; i < n; i++) {
    sum += x[i] * x[i];
  }
  return sqrt(sum);
}

mrl_status mrl_riesz_run(mrl_riesz *out, double *rho, const mrl_columns *columns, size_t k,
                         const double *m, double total, double ridge, void *scratch, mrl_isa isa,
                         const mrl_ctx *ctx)
{
  const size_t j = columns->p - k;
  mrl_arena arena = mrl_arena_over(scratch, mrl_riesz_scratch(k, j, ctx));
  riesz_work work;
  if (k < 1 || k >= columns->p || !(ridge > 0) || !(total > 0)) {
    return MRL_BAD_ARGUMENT;
  }
  carve(&work, &arena, k, j, ctx);
  MRL_TRY(mrl_gram(work.gram, columns, 0, columns->n, 0, work.gram_scratch, isa, ctx));
  MRL_TRY(take_blocks(&work, k, j, total));
  MRL_TRY(mrl_cholesky(work.phi, j));
  MRL_TRY(mrl_triangular_solve_right(work.a, k, work.phi, k, j));
  for (size_t i = 0; i < j; i++) {
    work.target[i] = m[i];
  }
  MRL_TRY(mrl_triangular_solve(work.target, work.phi, j, 1, 1));
  for (size_t i = 0; i < k * k; i++) {
    work.left[i] = ridge * work.b[i];
  }
  mrl_small_gemm(work.left, k, work.a, k, 0, work.a, k, 1, k, k, j, 1, 1);
  mrl_small_gemm(rho, k, work.a, k, 0, work.target, j, 0, k, 1, j, 1, 0);
  MRL_TRY(mrl_cholesky(work.left, k));
  MRL_TRY(mrl_cholesky_solve(rho, work.left, k, 1));
  for (size_t i = 0; i < j; i++) {
    work.gap[i] = work.target[i];
  }
  mrl_small_gemm(work.gap, j, work.a, k, 1, rho, k, 0, j, 1, k, -1, 1);
  const double size = norm(work.target, j);
  out->imbalance = size > 0 ? norm(work.gap, j) / size : 0;
  MRL_TRY(mrl_cholesky(work.b, k));
  MRL_TRY(find_relevance(&out->relevance, &work, k, j));
  return isfinite(norm(rho, k)) ? MRL_OK : MRL_NOT_FINITE;
}
