#include "glue_bed.h"

#include "../core/assoc.h"

enum { BETA, SE, PVAL, REASON, FREQ, COUNT, KEPT, N_ITEMS };

static const char *const item_names[N_ITEMS] = {"beta", "se",    "pval", "reason",
                                                "freq", "count", "kept"};

static mrl_assoc_data read_data(SEXP data, SEXP settings, size_t n)
{
  mrl_assoc_data out = {0};
  const int vcov = glue_item_int(settings, "vcov");
  if (vcov < MRL_ASSOC_IID || vcov > MRL_ASSOC_CLUSTER) {
    Rf_error("internal error: `vcov` is %d", vcov);
  }
  SEXP trait = glue_item(data, "trait"), covariate = glue_item(data, "covariate");
  out.n_file = out.n = n;
  out.k = glue_ncol(trait, (R_xlen_t)n, "trait");
  out.trait = REAL(trait);
  out.kw = glue_ncol(covariate, (R_xlen_t)n, "covariate");
  out.covariate = glue_dbl_or_null(covariate, -1, "covariate");
  out.cluster = glue_int_or_null(glue_item(data, "cluster"), (R_xlen_t)n, "cluster");
  out.n_cluster = out.cluster ? (size_t)glue_item_int(settings, "n_cluster") : 0;
  for (size_t i = 0; out.cluster && i < n; i++) {
    if (out.cluster[i] < 1 || (size_t)out.cluster[i] > out.n_cluster) {
      Rf_error("internal error: `cluster` is %d", out.cluster[i]);
    }
  }
  out.vcov = (mrl_assoc_vcov)vcov;
  out.logistic = glue_item_lgl(settings, "logistic");
  return out;
}

static mrl_assoc lay_out(const mrl_assoc_data *data, const mrl_ctx *ctx)
{
  mrl_assoc assoc;
  mrl_arena measure = mrl_arena_measure();
  mrl_assoc_carve(&assoc, data, ctx, &measure);
  if (measure.failed) {
    Rf_error("not enough memory");
  }
  mrl_arena arena = mrl_arena_over(glue_scratch(measure.used), measure.used);
  mrl_assoc_carve(&assoc, data, ctx, &arena);
  return assoc;
}

/* value: a list of items, filled; out points into it. */
static mrl_assoc_out results(SEXP value, size_t m, const mrl_assoc_data *data)
{
  mrl_assoc_out out;
  out.beta = glue_list_matrix(value, BETA, m, data->k);
  out.se = glue_list_matrix(value, SE, m, data->k);
  out.pval = glue_list_matrix(value, PVAL, m, data->k);
  out.reason = glue_list_int(value, REASON, (R_xlen_t)(m * data->k));
  out.freq = glue_list_dbl(value, FREQ, (R_xlen_t)m);
  out.count = glue_list_dbl(value, COUNT, (R_xlen_t)m);
  out.ld = m;
  return out;
}

static void keep_kept(SEXP value, const mrl_assoc *assoc)
{
  int *kept = glue_list_int(value, KEPT, (R_xlen_t)assoc->data.kw);
  for (size_t j = 0; j < assoc->data.kw; j++) {
    kept[j] = assoc->kept[j];
  }
}

/* data: trait (n, k), covariate (n, kw) or NULL, cluster (n) or NULL, of the people of source. */
SEXP C_assoc_bed(SEXP source, SEXP data, SEXP settings)
{
  const glue_bed bed = glue_bed_source(source);
  const mrl_ctx ctx = glue_ctx(glue_item_int(settings, "n_threads"));
  const mrl_isa isa = glue_item_isa(settings);
  mrl_assoc_data problem = read_data(data, settings, bed.n);
  problem.n_file = bed.n_file;
  problem.rows = bed.rows;
  mrl_assoc assoc = lay_out(&problem, &ctx);
  const size_t block = glue_bed_block(&bed);
  uint8_t *packed = (uint8_t *)glue_scratch(block * bed.stride);
  SEXP value = PROTECT(glue_list(item_names, N_ITEMS));
  mrl_assoc_out out = results(value, bed.m, &problem);
  mrl_status status = mrl_assoc_start(&assoc, &problem, &ctx);
  for (size_t first = 0; status == MRL_OK && first < bed.m; first += block) {
    const size_t count = bed.m - first < block ? bed.m - first : block;
    glue_bed_read(packed, &bed, first, count);
    status = mrl_assoc_packed(&out, first, &assoc, packed, count, isa, &ctx);
  }
  keep_kept(value, &assoc);
  SEXP result = glue_result(status, value);
  UNPROTECT(1);
  return result;
}

/* genotypes (n, m): dosages, NaN for missing. */
SEXP C_assoc_matrix(SEXP genotypes, SEXP data, SEXP settings)
{
  const size_t n = (size_t)Rf_nrows(genotypes), m = (size_t)Rf_ncols(genotypes);
  const double *g = glue_dbl(genotypes, (R_xlen_t)(n * m), "genotypes");
  const mrl_ctx ctx = glue_ctx(glue_item_int(settings, "n_threads"));
  const mrl_assoc_data problem = read_data(data, settings, n);
  mrl_assoc assoc = lay_out(&problem, &ctx);
  SEXP value = PROTECT(glue_list(item_names, N_ITEMS));
  mrl_assoc_out out = results(value, m, &problem);
  mrl_status status = mrl_assoc_start(&assoc, &problem, &ctx);
  if (status == MRL_OK) {
    status = mrl_assoc_dense(&out, 0, &assoc, g, m, glue_item_isa(settings), &ctx);
  }
  keep_kept(value, &assoc);
  SEXP result = glue_result(status, value);
  UNPROTECT(1);
  return result;
}
