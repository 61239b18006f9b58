#include "assoc_part.h"

#include "blas.h"
#include "prob.h"

#include <math.h>
#include <string.h>

#ifdef _OPENMP
#include <omp.h>
#endif

enum { GROUP = MRL_BED_DOT_MOST };
/* Genotypes of a parallel region for each thread: less than 0.05 s of work. */
static const size_t REGION = (size_t)1 << 25;

/* work->missing := places of those who have no genotype. */
static void find_missing(mrl_assoc_work *work, const mrl_assoc *assoc,
                         const mrl_assoc_variant *variant)
{
  const uint8_t *packed = variant->packed;
  const size_t n = assoc->data.n, words = mrl_bed_words(assoc->stride);
  work->n_missing = 0;
  if (variant->moments.n == (double)n) {
    return;
  }
  for (size_t i = 0; !packed && i < n; i++) {
    if (isnan(variant->g[i])) {
      work->missing[work->n_missing++] = (uint32_t)i;
    }
  }
  for (size_t w = 0; packed && w < words; w++) {
    const size_t left = assoc->stride - 8 * w;
    uint64_t word = 0;
    memcpy(&word, packed + 8 * w, left < 8 ? left : 8);
    for (word &= ~(word >> 1) & assoc->mask[w]; word; word &= word - 1) {
      work->missing[work->n_missing++] = (uint32_t)(32 * w) + (uint32_t)__builtin_ctzll(word) / 2;
    }
  }
}

static double strip_at(const mrl_assoc *assoc, size_t place, size_t column)
{
  return mrl_strip_at(assoc->strip, assoc->stride, place, column);
}

void mrl_assoc_read(const mrl_assoc *assoc, const mrl_assoc_variant *variant, mrl_assoc_work *work)
{
  static const double value[MRL_BED_N_CODES] = {2, NAN, 1, 0};
  if (variant->packed) {
    mrl_bed_decode(work->g, variant->packed, assoc->data.rows, assoc->data.n, value);
  } else {
    memcpy(work->g, variant->g, assoc->data.n * sizeof *work->g);
  }
}

/* Crossproducts of those who are present, about their means: a = Q'Q, bg = Q'g. MRL_SINGULAR if
 * the covariates are collinear among them. */
static mrl_status complete_covariates(const mrl_assoc *assoc, const mrl_assoc_variant *variant,
                                      mrl_assoc_work *work)
{
  const size_t q = assoc->q;
  find_missing(work, assoc, variant);
  memset(work->a, 0, q * q * sizeof *work->a);
  memset(work->qm, 0, q * sizeof *work->qm);
  for (size_t j = 0; j < q; j++) {
    work->a[j * (q + 1)] = 1;
  }
  for (size_t i = 0; i < work->n_missing; i++) {
    for (size_t j = 0; j < q; j++) {
      const double v = strip_at(assoc, work->missing[i], j);
      work->qm[j] += v;
      for (size_t l = 0; l <= j; l++) {
        work->a[l + j * q] -= v * strip_at(assoc, work->missing[i], l);
      }
    }
  }
  const double offset = variant->moments.mean - variant->shift;
  for (size_t j = 0; j < q; j++) { /* the sum over those present is minus qm */
    work->bg[j] = variant->dot[j] + offset * work->qm[j];
    for (size_t l = 0; l <= j; l++) {
      work->a[l + j * q] -= work->qm[l] * work->qm[j] / variant->moments.n;
    }
  }
  MRL_TRY(mrl_cholesky(work->a, q));
  for (size_t j = 0; j < q; j++) {
    if (!(work->a[j * (q + 1)] * work->a[j * (q + 1)] > MRL_ASSOC_TOLERANCE)) {
      return MRL_SINGULAR;
    }
  }
  return MRL_OK;
}

/* Of trait t among those present, about means and without covariates: its sum of squares (returned)
 * and its product with the genotype. work->br := inverse(U') Q'r. */
static double complete_trait(double *product, const mrl_assoc *assoc,
                             const mrl_assoc_variant *variant, size_t t, mrl_assoc_work *work)
{
  const size_t q = assoc->q;
  double sum = 0, ss = assoc->rest_ss[t];
  memset(work->br, 0, q * sizeof *work->br);
  for (size_t i = 0; i < work->n_missing; i++) {
    const double r = strip_at(assoc, work->missing[i], q + t);
    sum += r;
    ss -= r * r;
    for (size_t j = 0; j < q; j++) {
      work->br[j] -= r * strip_at(assoc, work->missing[i], j);
    }
  }
  for (size_t j = 0; j < q; j++) {
    work->br[j] -= work->qm[j] * sum / variant->moments.n;
  }
  mrl_triangular_solve(work->br, work->a, q, 1, 1);
  *product = variant->dot[q + t] + (variant->moments.mean - variant->shift) * sum -
             mrl_assoc_dot(work->bg, work->br, q);
  return ss - sum * sum / variant->moments.n - mrl_assoc_dot(work->br, work->br, q);
}

static mrl_assoc_reason linear(double *beta, double *se, double *df, const mrl_assoc *assoc,
                               const mrl_assoc_variant *variant, size_t t, double left,
                               mrl_assoc_work *work)
{
  double product;
  const double rest = complete_trait(&product, assoc, variant, t, work);
  if (!(rest > MRL_LSQ_TOLERANCE * assoc->trait_ss[t])) {
    return MRL_ASSOC_CONSTANT;
  }
  *beta = product / left;
  const double errors = rest - product * *beta;
  *df = variant->moments.n - (double)assoc->q - 2;
  *se = sqrt((errors > 0 ? errors : 0) / *df / left);
  if (assoc->data.vcov != MRL_ASSOC_IID) {
    *se = mrl_assoc_robust(df, assoc, variant, t, *beta, left, work);
  }
  return MRL_ASSOC_OK;
}

/* Is there anything to estimate? left: what covariates leave of the genotype's sum of squares. */
static mrl_assoc_reason look_at(double *left, const mrl_assoc *assoc,
                                const mrl_assoc_variant *variant, mrl_assoc_work *work)
{
  const mrl_assoc_moments *moments = &variant->moments;
  if (moments->n < 1) {
    return MRL_ASSOC_MISSING;
  }
  if (!(moments->max > moments->min)) {
    return MRL_ASSOC_MONOMORPHIC;
  }
  if (moments->n < (double)assoc->q + 3) {
    return MRL_ASSOC_TOO_FEW;
  }
  if (complete_covariates(assoc, variant, work) != MRL_OK) {
    return MRL_ASSOC_COLLINEAR;
  }
  mrl_triangular_solve(work->bg, work->a, assoc->q, 1, 1);
  *left = moments->ss - mrl_assoc_dot(work->bg, work->bg, assoc->q);
  return *left > MRL_ASSOC_TOLERANCE * moments->ss ? MRL_ASSOC_OK : MRL_ASSOC_COLLINEAR;
}

static void variant_row(mrl_assoc_out *out, size_t row, const mrl_assoc *assoc,
                        const mrl_assoc_variant *variant, mrl_assoc_work *work, mrl_isa isa)
{
  double left = 0;
  const mrl_assoc_reason reason = look_at(&left, assoc, variant, work);
  out->count[row] = variant->moments.n;
  out->freq[row] = variant->moments.n > 0 ? variant->moments.mean / 2 : NAN;
  for (size_t t = 0; t < assoc->data.k; t++) {
    const size_t at = row + t * out->ld;
    double beta = NAN, se = NAN, df = INFINITY;
    mrl_assoc_reason here = reason;
    if (here == MRL_ASSOC_OK) {
      here = assoc->data.logistic ? mrl_assoc_logit(&beta, &se, assoc, variant, t, work, isa)
                                  : linear(&beta, &se, &df, assoc, variant, t, left, work);
    }
    out->reason[at] = here;
    out->beta[at] = here == MRL_ASSOC_OK ? beta : NAN;
    out->se[at] = here == MRL_ASSOC_OK ? se : NAN;
    out->pval[at] = here == MRL_ASSOC_OK ? mrl_student_p(beta / se, df) : NAN;
  }
}

static mrl_assoc_moments moments_of_counts(const double *count)
{
  const double two = count[MRL_BED_HOM_A1], one = count[MRL_BED_HET];
  const double n = two + one + count[MRL_BED_HOM_A2], sum = 2 * two + one;
  const mrl_assoc_moments out = {
      n, sum / n, (n * (4 * two + one) - sum * sum) / n, /* whole numbers below 2^53 */
      count[MRL_BED_HOM_A2] > 0 ? 0
      : one > 0                 ? 1
                                : 2,
      two > 0   ? 2
      : one > 0 ? 1
                : 0};
  return out;
}

static mrl_assoc_moments moments_of_dosages(const double *g, size_t n)
{
  mrl_assoc_moments out = {0, NAN, 0, INFINITY, -INFINITY};
  double sum = 0, rest = 0;
  for (size_t i = 0; i < n; i++) {
    const int present = !isnan(g[i]);
    out.n += present;
    sum += present ? g[i] : 0;
    out.min = present && g[i] < out.min ? g[i] : out.min;
    out.max = present && g[i] > out.max ? g[i] : out.max;
  }
  out.mean = sum / out.n;
  for (size_t i = 0; i < n; i++) {
    const double d = isnan(g[i]) ? 0 : g[i] - out.mean;
    rest += d;
    out.ss += d * d;
  }
  out.ss -= rest * rest / out.n;
  return out;
}

/* A group of m variants of which j is packed at packed + j stride, or else in column j of g. */
static void group(mrl_assoc_out *out, size_t row, const mrl_assoc *assoc, const uint8_t *packed,
                  const double *g, size_t m, mrl_assoc_work *work, mrl_isa isa)
{
  const size_t columns = assoc->q + assoc->data.k, ld = MRL_LANES * mrl_strips(columns);
  const size_t n = assoc->data.n;
  mrl_assoc_variant variant = {NULL, NULL, 0, NULL, {0, 0, 0, 0, 0}};
  if (packed) {
    mrl_bed_tally(work->count, packed, assoc->stride, assoc->mask, m, isa);
    mrl_bed_dot(work->dot, packed, assoc->stride, assoc->strip, columns, m, work->scratch, isa);
  } else {
    for (size_t j = 0; j < m; j++) {
      work->mean[j] = moments_of_dosages(g + j * n, n).mean;
    }
    mrl_dense_dot(work->dot, g, work->mean, n, assoc->stride, assoc->strip, columns, m, isa);
  }
  for (size_t j = 0; j < m; j++) {
    variant.packed = packed ? packed + j * assoc->stride : NULL;
    variant.g = packed ? NULL : g + j * n;
    variant.moments = packed ? moments_of_counts(work->count + MRL_BED_N_CODES * j)
                             : moments_of_dosages(variant.g, n);
    variant.shift = packed ? 0 : variant.moments.mean;
    variant.dot = work->dot + j * ld;
    variant_row(out, row + j, assoc, &variant, work, isa);
  }
}

/* Variants of one thread's turn: many where the people are few, one where each takes long. */
static size_t turn_of(const mrl_assoc *assoc)
{
  if (assoc->data.logistic) {
    return 1;
  }
  const size_t most = 1 + REGION / (assoc->data.n + 1);
  return most < GROUP ? most : GROUP;
}

static mrl_status all_variants(mrl_assoc_out *out, size_t first, mrl_assoc *assoc,
                               const uint8_t *packed, const double *g, size_t m, mrl_isa isa,
                               const mrl_ctx *ctx)
{
  const size_t turn = turn_of(assoc), threads = (size_t)assoc->n_work;
  const size_t work_of_turn = turn * (assoc->data.n + 1) * (assoc->data.logistic ? 256 : 1);
  const size_t region = turn * threads * (1 + REGION / work_of_turn);
  for (size_t from = 0; from < m; from += region) {
    const size_t to = m - from < region ? m : from + region;
    const size_t turns = (to - from + turn - 1) / turn;
#pragma omp parallel for num_threads(turns < threads ? (int)turns : assoc->n_work)                 \
    schedule(dynamic, 1)
    for (size_t i = 0; i < turns; i++) {
#ifdef _OPENMP
      mrl_assoc_work *work = assoc->work + omp_get_thread_num();
#else
      mrl_assoc_work *work = assoc->work;
#endif
      const size_t at = from + i * turn, some = to - at < turn ? to - at : turn;
      group(out, first + at, assoc, packed ? packed + at * assoc->stride : NULL,
            g ? g + at * assoc->data.n : NULL, some, work, isa);
    }
    mrl_poll(ctx);
  }
  return MRL_OK;
}

mrl_status mrl_assoc_packed(mrl_assoc_out *out, size_t first, mrl_assoc *assoc,
                            const uint8_t *packed, size_t m, mrl_isa isa, const mrl_ctx *ctx)
{
  return all_variants(out, first, assoc, packed, NULL, m, isa, ctx);
}

mrl_status mrl_assoc_dense(mrl_assoc_out *out, size_t first, mrl_assoc *assoc, const double *g,
                           size_t m, mrl_isa isa, const mrl_ctx *ctx)
{
  return assoc->data.rows ? MRL_BAD_ARGUMENT
                          : all_variants(out, first, assoc, NULL, g, m, isa, ctx);
}
