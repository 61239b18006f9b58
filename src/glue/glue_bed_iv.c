/* Instruments in PLINK files: their sums over people, and their rows as a stream. */
#include "glue_bed_iv.h"

#include "glue_bed.h"

#include "../core/bed_sums.h"

#include <string.h>

enum { STREAM_VALUES = 1 << 22 };

typedef struct {
  glue_bed bed;
  const double *fill; /* (bed.m) */
} stream_part;

typedef struct {
  stream_part *part;
  size_t n_parts;
  uint8_t *packed;
  uint32_t *local;
} bed_stream;

/* Rows of all parts side by side. */
static void stream_rows(double *out, void *data, size_t first, size_t count, const mrl_ctx *ctx)
{
  const bed_stream *stream = (const bed_stream *)data;
  for (size_t p = 0; p < stream->n_parts; p++) {
    const glue_bed *bed = &stream->part[p].bed;
    for (size_t at = first; at < first + count;) {
      const glue_bed_part people = glue_bed_next(bed, at, first + count, stream->local);
      glue_bed_read_people(stream->packed, bed, people.from, people.bytes);
      mrl_bed_rows(out + (at - first), count, stream->packed, people.bytes, people.rows,
                   people.count, bed->m, stream->part[p].fill, ctx);
      at += people.count;
    }
    out += bed->m * count;
  }
}

const mrl_stream *glue_bed_stream(SEXP list, size_t n)
{
  if (Rf_isNull(list)) {
    return NULL;
  }
  SEXP sources = glue_item(list, "sources"), fills = glue_item(list, "fill");
  bed_stream *data = (bed_stream *)glue_scratch(sizeof *data);
  mrl_stream *stream = (mrl_stream *)glue_scratch(sizeof *stream);
  size_t m = 0, most = 1;
  data->n_parts = (size_t)XLENGTH(sources);
  data->part = (stream_part *)glue_scratch(data->n_parts * sizeof *data->part);
  for (size_t p = 0; p < data->n_parts; p++) {
    const glue_bed bed = glue_bed_source(VECTOR_ELT(sources, (R_xlen_t)p));
    if (bed.n != n) {
      Rf_error("internal error: genotypes of %lld people, not %lld", (long long)bed.n,
               (long long)n);
    }
    data->part[p].bed = bed;
    data->part[p].fill = glue_dbl(VECTOR_ELT(fills, (R_xlen_t)p), (R_xlen_t)bed.m, "fill");
    m += bed.m;
    most = bed.m > most ? bed.m : most;
  }
  data->packed = (uint8_t *)glue_scratch(most * GLUE_BED_SPAN);
  data->local = (uint32_t *)glue_scratch(4 * GLUE_BED_SPAN * sizeof *data->local);
  stream->rows = stream_rows;
  stream->data = data;
  stream->block = STREAM_VALUES / (m + 1) < 256 ? 256 : STREAM_VALUES / (m + 1);
  return stream;
}

const mrl_moments *glue_moments(SEXP list, size_t p, size_t n)
{
  if (Rf_isNull(list)) {
    return NULL;
  }
  mrl_moments *out = (mrl_moments *)glue_scratch(sizeof *out);
  out->mean = glue_dbl(glue_item(list, "mean"), (R_xlen_t)p, "mean");
  out->gram = glue_dbl(glue_item(list, "gram"), (R_xlen_t)(p * p), "gram");
  out->total = glue_item_dbl(list, "total");
  out->stream = glue_bed_stream(glue_item(list, "stream"), n);
  return out;
}

enum { HH, HM, MH, MM, HQ, MQ, N_SUMS };

/* Zeros in slot `item`; NULL, and the slot left empty, where they are not needed. */
static double *zeros(SEXP list, int item, size_t nrow, size_t ncol, int needed)
{
  if (!needed) {
    return NULL;
  }
  double *out = glue_list_matrix(list, item, nrow, ncol);
  memset(out, 0, nrow * ncol * sizeof *out);
  return out;
}

/*
 * The sums of bed_sums.h over the people of `a`, and of `b` where it is not NULL, who are the same.
 * q (n, .): other columns, or NULL. settings: missing (is there a missing genotype?), n_threads,
 * isa.
 */
SEXP C_bed_sums(SEXP a, SEXP b, SEXP q, SEXP weights, SEXP settings)
{
  static const char *const names[N_SUMS] = {"hh", "hm", "mh", "mm", "hq", "mq"};
  const int cross = !Rf_isNull(b), gaps = glue_item_lgl(settings, "missing");
  const glue_bed one = glue_bed_source(a), two = cross ? glue_bed_source(b) : one;
  const size_t n = one.n, la = one.m, lb = cross ? two.m : 0, across = cross ? lb : la;
  const double *other = glue_dbl_or_null(q, -1, "q");
  const size_t n_q = glue_ncol(q, (R_xlen_t)n, "q");
  const double *weight = glue_dbl_or_null(weights, (R_xlen_t)n, "weights");
  const mrl_ctx ctx = glue_ctx(glue_item_int(settings, "n_threads"));
  const mrl_isa isa = glue_item_isa(settings);
  if (two.n != n) {
    Rf_error("internal error: the genotypes are of different people");
  }

  SEXP value = PROTECT(glue_list(names, N_SUMS));
  mrl_bed_sums sums = {.la = la, .lb = lb, .q = n_q};
  sums.gram.hh = zeros(value, HH, la, across, 1);
  sums.gram.hm = zeros(value, HM, la, across, gaps);
  sums.gram.mh = zeros(value, MH, la, across, gaps && cross);
  sums.gram.mm = zeros(value, MM, la, across, gaps);
  sums.hq = zeros(value, HQ, la, n_q, n_q > 0);
  sums.mq = zeros(value, MQ, la, n_q, n_q > 0);

  mrl_bed_sums_work work;
  mrl_arena measure = mrl_arena_measure();
  mrl_bed_sums_carve(&work, &measure, la, lb, n_q, weight != NULL, &ctx);
  const size_t size = measure.used;
  mrl_arena arena = mrl_arena_over(glue_scratch(size), size);
  mrl_bed_sums_carve(&work, &arena, la, lb, n_q, weight != NULL, &ctx);
  uint8_t *packed_a = (uint8_t *)glue_scratch(la * GLUE_BED_SPAN);
  uint8_t *packed_b = (uint8_t *)glue_scratch(lb * GLUE_BED_SPAN);
  uint32_t *local = (uint32_t *)glue_scratch(4 * GLUE_BED_SPAN * sizeof *local);
  mrl_status status = measure.failed || arena.failed ? MRL_NO_MEMORY : MRL_OK;
  for (size_t at = 0; status == MRL_OK && at < n;) {
    const glue_bed_part people = glue_bed_next(&one, at, n, local);
    glue_bed_read_people(packed_a, &one, people.from, people.bytes);
    if (cross) {
      glue_bed_read_people(packed_b, &two, people.from, people.bytes);
    }
    status = mrl_bed_sums_add(&sums, &work, packed_a, cross ? packed_b : NULL, people.bytes,
                              people.rows, people.count, other ? other + at : NULL, n,
                              weight ? weight + at : NULL, isa, &ctx);
    at += people.count;
  }
  SEXP out = glue_result(status, value);
  UNPROTECT(1);
  return out;
}

/* Centred crossproducts (la, lb) of imputed genotypes from their sums; settings: fill_a, fill_b,
 * mean_a, mean_b, total. */
SEXP C_bed_centre(SEXP sums, SEXP settings)
{
  SEXP hh = glue_item(sums, "hh"), fill_a = glue_item(settings, "fill_a");
  const size_t la = (size_t)Rf_nrows(hh), lb = (size_t)Rf_ncols(hh);
  const R_xlen_t size = (R_xlen_t)(la * lb);
  /* The core only reads them. */
  const mrl_bed_gram gram = {(double *)glue_dbl(hh, size, "hh"),
                             (double *)glue_dbl_or_null(glue_item(sums, "hm"), size, "hm"),
                             (double *)glue_dbl_or_null(glue_item(sums, "mh"), size, "mh"),
                             (double *)glue_dbl_or_null(glue_item(sums, "mm"), size, "mm")};
  SEXP value = PROTECT(Rf_allocMatrix(REALSXP, (int)la, (int)lb));
  mrl_bed_centre(REAL(value), la, &gram, la, lb, glue_dbl(fill_a, (R_xlen_t)la, "fill_a"),
                 glue_dbl(glue_item(settings, "fill_b"), (R_xlen_t)lb, "fill_b"),
                 glue_dbl(glue_item(settings, "mean_a"), (R_xlen_t)la, "mean_a"),
                 glue_dbl(glue_item(settings, "mean_b"), (R_xlen_t)lb, "mean_b"),
                 glue_item_dbl(settings, "total"));
  SEXP out = glue_result(MRL_OK, value);
  UNPROTECT(1);
  return out;
}

/* Scores (n, k): the rows of the stream times the weights of the variants (m, k). */
SEXP C_bed_multiply(SEXP stream, SEXP coef, SEXP settings)
{
  const size_t n = (size_t)glue_item_int(settings, "n"), m = (size_t)Rf_nrows(coef);
  const size_t k = glue_ncol(coef, (R_xlen_t)m, "coef");
  const mrl_ctx ctx = glue_ctx(glue_item_int(settings, "n_threads"));
  const mrl_stream *rows = glue_bed_stream(stream, n);
  const size_t block = rows->block < n ? rows->block : n;
  double *decoded = (double *)glue_scratch(block * m * sizeof *decoded);
  void *gemm = glue_scratch(mrl_gemm_d_scratch(1024, 1024, 1024, &ctx));
  SEXP value = PROTECT(Rf_allocMatrix(REALSXP, (int)n, (int)k));
  mrl_status status = MRL_OK;
  for (size_t first = 0; status == MRL_OK && first < n; first += block) {
    const size_t count = n - first < block ? n - first : block;
    rows->rows(decoded, rows->data, first, count, &ctx);
    status = mrl_gemm_d(REAL(value) + first, n, decoded, count, MRL_NO_TRANS, REAL(coef), m,
                        MRL_NO_TRANS, count, k, m, 0, gemm, glue_item_isa(settings), &ctx);
    mrl_poll(&ctx);
  }
  SEXP out = glue_result(status, value);
  UNPROTECT(1);
  return out;
}
