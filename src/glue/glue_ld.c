#include "glue_bed.h"

#include "../core/ld.h"

/* Bit planes of all variants of bed, read block by block. */
static uint64_t *read_planes(const glue_bed *bed, const mrl_ctx *ctx)
{
  const size_t one = 3 * mrl_ld_words(bed->n), block = glue_bed_block(bed);
  uint64_t *planes = (uint64_t *)glue_scratch(bed->m * one * sizeof *planes);
  uint8_t *packed = (uint8_t *)glue_scratch(block * bed->stride);
  for (size_t first = 0; first < bed->m; first += block) {
    const size_t count = bed->m - first < block ? bed->m - first : block;
    glue_bed_read(packed, bed, first, count);
    mrl_ld_planes(planes + first * one, packed, bed->stride, bed->rows, bed->n, count, ctx);
  }
  return planes;
}

static mrl_ld_kind read_kind(SEXP settings)
{
  return glue_item_lgl(settings, "haplotype") ? MRL_LD_HAPLOTYPE : MRL_LD_GENOTYPE;
}

/* Correlations (m, m). */
SEXP C_ld_matrix(SEXP source, SEXP settings)
{
  const glue_bed bed = glue_bed_source(source);
  const mrl_ctx ctx = glue_ctx(glue_item_int(settings, "n_threads"));
  SEXP value = PROTECT(Rf_allocMatrix(REALSXP, (int)bed.m, (int)bed.m));
  const uint64_t *planes = read_planes(&bed, &ctx);
  mrl_ld_matrix(REAL(value), planes, bed.n, bed.m, read_kind(settings), glue_item_isa(settings),
                &ctx);
  SEXP out = glue_result(MRL_OK, value);
  UNPROTECT(1);
  return out;
}

/* position (m) of the variants of source, not decreasing; order: variants that may start a clump,
 * from 0. list(clump (m), square (m)). */
SEXP C_ld_clump(SEXP source, SEXP position, SEXP order, SEXP settings)
{
  static const char *const names[] = {"clump", "square"};
  const glue_bed bed = glue_bed_source(source);
  const mrl_ctx ctx = glue_ctx(glue_item_int(settings, "n_threads"));
  const mrl_clump_problem problem = {glue_dbl(position, (R_xlen_t)bed.m, "position"),
                                     bed.m,
                                     bed.n,
                                     glue_item_dbl(settings, "radius"),
                                     glue_item_dbl(settings, "r2"),
                                     read_kind(settings),
                                     glue_int(order, -1, "order"),
                                     (size_t)XLENGTH(order)};
  for (size_t k = 0; k < problem.n_order; k++) {
    if (problem.order[k] < 0 || (size_t)problem.order[k] >= bed.m) {
      Rf_error("internal error: `order` has %d", problem.order[k]);
    }
  }
  SEXP value = PROTECT(glue_list(names, 2));
  int *clump = glue_list_int(value, 0, (R_xlen_t)bed.m);
  double *square = glue_list_dbl(value, 1, (R_xlen_t)bed.m);
  double *scratch = (double *)glue_scratch(bed.m * sizeof *scratch);
  const uint64_t *planes = read_planes(&bed, &ctx);
  mrl_ld_clump(clump, square, scratch, &problem, planes, glue_item_isa(settings), &ctx);
  SEXP out = glue_result(MRL_OK, value);
  UNPROTECT(1);
  return out;
}
