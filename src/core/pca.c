#include "pca.h"

#include "blas.h"
#include "rng.h"

#include <math.h>
#include <string.h>

static size_t larger(size_t a, size_t b)
{
  return a > b ? a : b;
}

void mrl_pca_carve(mrl_pca *pca, size_t n, size_t m, size_t k, const mrl_ctx *ctx, mrl_arena *arena)
{
  const size_t rank = n < m ? n : m;
  const size_t width = k + MRL_PCA_EXTRA < rank ? k + MRL_PCA_EXTRA : rank;
  const size_t wide = width * MRL_PCA_DEPTH;
  pca->n = n;
  pca->m = m;
  pca->k = k;
  pca->width = width;
  pca->wide = wide;
  pca->space = MRL_TAKE(arena, double, n *wide);
  pca->image = MRL_TAKE(arena, double, n *wide);
  pca->small = MRL_TAKE(arena, double, wide *wide);
  pca->values = MRL_TAKE(arena, double, wide);
  pca->work = MRL_TAKE(arena, double, mrl_eigen_work(wide));
  pca->vectors = MRL_TAKE(arena, double, n *width);
  pca->product = MRL_TAKE(arena, double, MRL_SCORE_VARIANTS *width);
  mrl_score_carve(&pca->score, n, width, ctx, arena);
  const size_t down = mrl_gemm_d_scratch(MRL_SCORE_VARIANTS, width, n, ctx);
  const size_t across = mrl_gemm_d_scratch(wide, wide, n, ctx);
  const size_t up = mrl_gemm_d_scratch(n, width, wide, ctx);
  pca->gemm = mrl_take(arena, larger(down, larger(across, up)), 1);
}

static double dot(const double *a, const double *b, size_t n)
{
  double s[4] = {0};
  for (size_t i = 0; i < n; i++) {
    s[i & 3] += a[i] * b[i];
  }
  return (s[0] + s[1]) + (s[2] + s[3]);
}

/* Columns from .. to - 1 of the space made orthonormal to each other and to those before; one that
 * is nothing but rounding becomes 0. */
static void orthonormalise(mrl_pca *pca, size_t from, size_t to, const mrl_ctx *ctx)
{
  const size_t n = pca->n;
  for (size_t j = from; j < to; j++) {
    double *v = pca->space + j * n;
    const double before = sqrt(dot(v, v, n));
    double left = before;
    for (int pass = 0; pass < 2; pass++) {
      for (size_t l = 0; l < j; l++) {
        const double *u = pca->space + l * n, b = dot(u, v, n);
        for (size_t i = 0; i < n; i++) {
          v[i] -= b * u[i];
        }
      }
      mrl_poll(ctx);
      left = sqrt(dot(v, v, n));
    }
    const int nothing = !(left > 1e-13 * before);
    for (size_t i = 0; i < n; i++) {
      v[i] = nothing ? 0 : v[i] / left;
    }
    /* What two passes leave of a column that was nearly inside is orthogonal to rounding only. */
    const double again = nothing || left > 1e-8 * before ? 0 : 1;
    for (size_t l = 0; again > 0 && l < j; l++) {
      const double *u = pca->space + l * n, b = dot(u, v, n);
      for (size_t i = 0; i < n; i++) {
        v[i] -= b * u[i];
      }
    }
  }
}

void mrl_pca_start(mrl_pca *pca, const mrl_ctx *ctx)
{
  for (size_t j = 0; j < pca->width; j++) {
    mrl_rng rng = mrl_rng_stream(0, MRL_RNG_PERMUTE, j); /* any start will do, if it is fixed */
    mrl_rng_fill_normal(&rng, pca->space + j * pca->n, pca->n);
    mrl_poll(ctx);
  }
  orthonormalise(pca, 0, pca->width, ctx);
  memset(pca->image, 0, pca->n * pca->wide * sizeof *pca->image);
  pca->depth = 1;
  pca->passes = pca->done = 0;
}

mrl_status mrl_pca_add(mrl_pca *pca, const uint8_t *packed, size_t stride, const uint32_t *rows,
                       const double *value, size_t m, mrl_isa isa, const mrl_ctx *ctx)
{
  const size_t n = pca->n, width = pca->width, at = (pca->depth - 1) * width * n;
  for (size_t first = 0; first < m; first += MRL_SCORE_VARIANTS) {
    const size_t count = m - first < MRL_SCORE_VARIANTS ? m - first : MRL_SCORE_VARIANTS;
    double *z = pca->score.g;
    mrl_bed_values(z, packed + first * stride, stride, rows, n, value + MRL_BED_N_CODES * first,
                   count, ctx);
    MRL_TRY(mrl_gemm_d(pca->product, MRL_SCORE_VARIANTS, z, n, MRL_TRANS, pca->space + at, n,
                       MRL_NO_TRANS, count, width, n, 0, pca->gemm, isa, ctx));
    mrl_poll(ctx);
    MRL_TRY(mrl_gemm_d(pca->image + at, n, z, n, MRL_NO_TRANS, pca->product, MRL_SCORE_VARIANTS,
                       MRL_NO_TRANS, n, width, count, 1, pca->score.gemm, isa, ctx));
    mrl_poll(ctx);
  }
  return MRL_OK;
}

/* out (n, width) = x (n, wide) times the vectors of the largest eigenvalues. */
static mrl_status combine(double *out, const double *x, mrl_pca *pca, mrl_isa isa,
                          const mrl_ctx *ctx)
{
  const double *best = pca->small + (pca->wide - pca->width) * pca->wide;
  return mrl_gemm_d(out, pca->n, x, pca->n, MRL_NO_TRANS, best, pca->wide, MRL_NO_TRANS, pca->n,
                    pca->width, pca->wide, 0, pca->gemm, isa, ctx);
}

/* Are the first k of `vectors`, whose images are `image` (n, width), eigenvectors? Both have their
 * largest value last. */
static int converged(const mrl_pca *pca, const double *image)
{
  const size_t n = pca->n;
  const double most = pca->values[pca->wide - 1];
  for (size_t j = 0; j < pca->k; j++) {
    const size_t column = pca->width - 1 - j;
    const double *v = pca->vectors + column * n, *kv = image + column * n;
    const double value = pca->values[pca->wide - 1 - j];
    double ss = 0;
    for (size_t i = 0; i < n; i++) {
      const double d = kv[i] - value * v[i];
      ss += d * d;
    }
    if (!(sqrt(ss) <= MRL_PCA_TOLERANCE * most)) {
      return 0;
    }
  }
  return 1;
}

/* The best vectors of the whole space; starts anew from them. */
static mrl_status restart(mrl_pca *pca, mrl_isa isa, const mrl_ctx *ctx)
{
  const size_t n = pca->n, wide = pca->wide, block = n * pca->width;
  MRL_TRY(mrl_gemm_d(pca->small, wide, pca->space, n, MRL_TRANS, pca->image, n, MRL_NO_TRANS, wide,
                     wide, n, 0, pca->gemm, isa, ctx));
  for (size_t j = 0; j < wide; j++) {
    for (size_t i = 0; i < j; i++) {
      const double mean = (pca->small[i + j * wide] + pca->small[j + i * wide]) / 2;
      pca->small[i + j * wide] = pca->small[j + i * wide] = mean;
    }
  }
  MRL_TRY(mrl_eigen(pca->values, pca->small, wide, pca->work));
  MRL_TRY(combine(pca->vectors, pca->space, pca, isa, ctx));
  MRL_TRY(combine(pca->space, pca->image, pca, isa, ctx)); /* wide columns hold more than width */
  pca->done = converged(pca, pca->space);
  memcpy(pca->image, pca->space, block * sizeof *pca->image);
  memcpy(pca->space, pca->vectors, block * sizeof *pca->space);
  pca->depth = 1;
  return MRL_OK;
}

mrl_status mrl_pca_pass(mrl_pca *pca, mrl_isa isa, const mrl_ctx *ctx)
{
  const size_t block = pca->n * pca->width;
  double *image = pca->image + (pca->depth - 1) * block;
  for (size_t i = 0; i < block; i++) {
    image[i] /= (double)pca->m;
  }
  pca->passes++;
  if (pca->depth == MRL_PCA_DEPTH) {
    MRL_TRY(restart(pca, isa, ctx));
    if (!pca->done && pca->passes >= MRL_PCA_PASSES) {
      return MRL_NO_CONVERGE;
    }
  }
  if (!pca->done) {
    const double *last = pca->image + (pca->depth - 1) * block;
    memcpy(pca->space + pca->depth * block, last, block * sizeof *last);
    orthonormalise(pca, pca->depth * pca->width, (pca->depth + 1) * pca->width, ctx);
    memset(pca->image + pca->depth * block, 0, block * sizeof *pca->image);
    pca->depth++;
  }
  return MRL_OK;
}

void mrl_pca_result(double *vectors, double *values, const mrl_pca *pca)
{
  const size_t n = pca->n;
  for (size_t j = 0; j < pca->k; j++) {
    const double *v = pca->vectors + (pca->width - 1 - j) * n;
    size_t at = 0;
    for (size_t i = 1; i < n; i++) {
      at = fabs(v[i]) > fabs(v[at]) ? i : at;
    }
    for (size_t i = 0; i < n; i++) {
      vectors[i + j * n] = v[at] < 0 ? -v[i] : v[i];
    }
    const double value = pca->values[pca->wide - 1 - j];
    values[j] = value > 1e-12 * pca->values[pca->wide - 1] ? value : 0;
  }
}
