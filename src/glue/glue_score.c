/* Products of streamed genotypes: allele scores and principal components. */
#include "glue_bed.h"

#include "../core/pca.h"

#include <string.h>

/* value (4, m): genotypes by code; weight (m, k). Scores (n, k). */
SEXP C_score_bed(SEXP source, SEXP value, SEXP weight, SEXP settings)
{
  const glue_bed bed = glue_bed_source(source);
  const mrl_ctx ctx = glue_ctx(glue_item_int(settings, "n_threads"));
  const double *values = glue_dbl(value, (R_xlen_t)(MRL_BED_N_CODES * bed.m), "value");
  const size_t k = glue_ncol(weight, (R_xlen_t)bed.m, "weight"), block = glue_bed_block(&bed);
  uint8_t *packed = (uint8_t *)glue_scratch(block * bed.stride);
  mrl_score_work work;
  mrl_arena measure = mrl_arena_measure();
  mrl_score_carve(&work, bed.n, k, &ctx, &measure);
  mrl_arena arena = mrl_arena_over(glue_scratch(measure.used), measure.used);
  mrl_score_carve(&work, bed.n, k, &ctx, &arena);
  SEXP score = PROTECT(Rf_allocMatrix(REALSXP, (int)bed.n, (int)k));
  memset(REAL(score), 0, bed.n * k * sizeof(double));
  mrl_status status = measure.failed ? MRL_NO_MEMORY : MRL_OK;
  for (size_t first = 0; status == MRL_OK && first < bed.m; first += block) {
    const size_t count = bed.m - first < block ? bed.m - first : block;
    glue_bed_read(packed, &bed, first, count);
    status = mrl_score_add(REAL(score), &work, packed, bed.stride, bed.rows, bed.n,
                           values + MRL_BED_N_CODES * first, count, REAL(weight) + first, bed.m, k,
                           glue_item_isa(settings), &ctx);
  }
  SEXP out = glue_result(status, score);
  UNPROTECT(1);
  return out;
}

static mrl_pca lay_out(const glue_bed *bed, size_t k, const mrl_ctx *ctx)
{
  mrl_pca pca;
  mrl_arena measure = mrl_arena_measure();
  mrl_pca_carve(&pca, bed->n, bed->m, k, ctx, &measure);
  if (measure.failed) {
    Rf_error("not enough memory");
  }
  mrl_arena arena = mrl_arena_over(glue_scratch(measure.used), measure.used);
  mrl_pca_carve(&pca, bed->n, bed->m, k, ctx, &arena);
  return pca;
}

/* value (4, m): standardised genotypes by code. list(vectors (n, k), values (k), passes). */
SEXP C_pca_bed(SEXP source, SEXP value, SEXP settings)
{
  static const char *const names[] = {"vectors", "values", "passes"};
  const glue_bed bed = glue_bed_source(source);
  const mrl_ctx ctx = glue_ctx(glue_item_int(settings, "n_threads"));
  const mrl_isa isa = glue_item_isa(settings);
  const double *values = glue_dbl(value, (R_xlen_t)(MRL_BED_N_CODES * bed.m), "value");
  const size_t k = (size_t)glue_item_int(settings, "k"), block = glue_bed_block(&bed);
  if (k < 1 || k > bed.n || k > bed.m) {
    Rf_error("internal error: `k` is %d", (int)k);
  }
  uint8_t *packed = (uint8_t *)glue_scratch(block * bed.stride);
  mrl_pca pca = lay_out(&bed, k, &ctx);
  SEXP out = PROTECT(glue_list(names, 3));
  double *vectors = glue_list_matrix(out, 0, bed.n, k);
  double *largest = glue_list_dbl(out, 1, (R_xlen_t)k);
  int *passes = glue_list_int(out, 2, 1);
  mrl_pca_start(&pca, &ctx);
  mrl_status status = MRL_OK;
  while (status == MRL_OK && !pca.done) {
    for (size_t first = 0; status == MRL_OK && first < bed.m; first += block) {
      const size_t count = bed.m - first < block ? bed.m - first : block;
      glue_bed_read(packed, &bed, first, count);
      status = mrl_pca_add(&pca, packed, bed.stride, bed.rows, values + MRL_BED_N_CODES * first,
                           count, isa, &ctx);
    }
    status = status == MRL_OK ? mrl_pca_pass(&pca, isa, &ctx) : status;
  }
  *passes = pca.passes;
  if (pca.done) {
    mrl_pca_result(vectors, largest, &pca);
  }
  SEXP result = glue_result(status, out);
  UNPROTECT(1);
  return result;
}
