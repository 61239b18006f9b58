/* PLINK files. The file is opened for each block and closed before anything may jump away. */
#define _FILE_OFFSET_BITS 64
#define _POSIX_C_SOURCE 200809L

#include "glue_bed.h"

#include <stdio.h>
#include <string.h>
#include <sys/types.h>

enum { HEADER = 3, BLOCK_BYTES = 1 << 24 };

/* Numbers from 1 as positions from 0; NULL stays NULL. */
static const uint32_t *positions(SEXP x, size_t most, const char *name)
{
  if (Rf_isNull(x)) {
    return NULL;
  }
  const int *index = glue_int(x, -1, name);
  const size_t n = (size_t)XLENGTH(x);
  uint32_t *out = (uint32_t *)glue_scratch(n * sizeof *out);
  for (size_t i = 0; i < n; i++) {
    if (index[i] < 1 || (size_t)index[i] > most) {
      Rf_error("internal error: `%s` is %d, not in 1 .. %lld", name, index[i], (long long)most);
    }
    out[i] = (uint32_t)index[i] - 1;
  }
  return out;
}

glue_bed glue_bed_source(SEXP source)
{
  glue_bed bed;
  SEXP path = glue_item(source, "path");
  if (TYPEOF(path) != STRSXP || XLENGTH(path) != 1) {
    Rf_error("internal error: `path` is no string");
  }
  bed.path = Rf_translateChar(STRING_ELT(path, 0));
  bed.n_file = (size_t)glue_item_int(source, "n_file");
  bed.p_file = (size_t)glue_item_int(source, "p_file");
  bed.stride = mrl_bed_stride(bed.n_file);
  SEXP rows = glue_item(source, "rows"), variants = glue_item(source, "columns");
  bed.rows = positions(rows, bed.n_file, "rows");
  bed.n = bed.rows ? (size_t)XLENGTH(rows) : bed.n_file;
  bed.variants = positions(variants, bed.p_file, "columns");
  bed.m = bed.variants ? (size_t)XLENGTH(variants) : bed.p_file;
  return bed;
}

static size_t variant_of(const glue_bed *bed, size_t j)
{
  return bed->variants ? bed->variants[j] : j;
}

/* Of the variants first .. first + count - 1 the bytes from .. from + bytes - 1, adjacent ones in
 * one go. Returns 0 if the file cannot be read. */
static int read_file(uint8_t *out, const glue_bed *bed, size_t first, size_t count, size_t from,
                     size_t bytes)
{
  FILE *file = fopen(bed->path, "rb");
  if (!file) {
    return 0;
  }
  setvbuf(file, NULL, _IONBF, 0);
  int ok = 1;
  for (size_t j = first, run; ok && j < first + count; j += run) {
    const size_t at = variant_of(bed, j);
    run = 1;
    while (bytes == bed->stride && j + run < first + count &&
           variant_of(bed, j + run) == at + run) {
      run++;
    }
    const off_t place = (off_t)HEADER + (off_t)at * (off_t)bed->stride + (off_t)from;
    ok = fseeko(file, place, SEEK_SET) == 0 &&
         fread(out + (j - first) * bytes, 1, run * bytes, file) == run * bytes;
  }
  fclose(file);
  return ok;
}

void glue_bed_read(uint8_t *packed, const glue_bed *bed, size_t first, size_t count)
{
  if (!read_file(packed, bed, first, count, 0, bed->stride)) {
    Rf_error("the genotypes in '%s' cannot be read", bed->path);
  }
}

void glue_bed_read_people(uint8_t *packed, const glue_bed *bed, size_t from, size_t bytes)
{
  if (!read_file(packed, bed, 0, bed->m, from, bytes)) {
    Rf_error("the genotypes in '%s' cannot be read", bed->path);
  }
}

static size_t row_of(const glue_bed *bed, size_t i)
{
  return bed->rows ? bed->rows[i] : i;
}

glue_bed_part glue_bed_next(const glue_bed *bed, size_t first, size_t end, uint32_t *local)
{
  glue_bed_part part = {first, 0, row_of(bed, first) / 4, 0, NULL};
  const size_t limit = 4 * (part.from + GLUE_BED_SPAN);
  while (first + part.count < end && row_of(bed, first + part.count) < limit) {
    const size_t row = row_of(bed, first + part.count) - 4 * part.from;
    if (part.count > 0 && row <= local[part.count - 1]) {
      Rf_error("internal error: people are not in the file's order");
    }
    local[part.count++] = (uint32_t)row;
  }
  part.bytes = local[part.count - 1] / 4 + 1;
  part.rows = local[0] == 0 && local[part.count - 1] == part.count - 1 ? NULL : local;
  return part;
}

size_t glue_bed_block(const glue_bed *bed)
{
  const size_t most = BLOCK_BYTES / (bed->stride + 1) + 1;
  return bed->m < most ? (bed->m > 0 ? bed->m : 1) : most;
}

/* Counts of A1 (n, m); missing as NaN or imputed to the mean. */
SEXP C_bed_decode(SEXP source, SEXP settings)
{
  const glue_bed bed = glue_bed_source(source);
  const mrl_ctx ctx = glue_ctx(glue_item_int(settings, "n_threads"));
  const int impute = glue_item_lgl(settings, "impute");
  const size_t block = glue_bed_block(&bed);
  uint8_t *packed = (uint8_t *)glue_scratch(block * bed.stride);
  SEXP value = PROTECT(Rf_allocMatrix(REALSXP, (int)bed.n, (int)bed.m));
  for (size_t first = 0; first < bed.m; first += block) {
    const size_t count = bed.m - first < block ? bed.m - first : block;
    glue_bed_read(packed, &bed, first, count);
    mrl_bed_matrix(REAL(value) + first * bed.n, packed, bed.stride, bed.rows, bed.n, count, impute,
                   &ctx);
  }
  SEXP out = glue_result(MRL_OK, value);
  UNPROTECT(1);
  return out;
}

/* list(count (4, m) by code, hwe (m)). */
SEXP C_bed_describe(SEXP source, SEXP settings)
{
  static const char *const names[] = {"count", "hwe"};
  const glue_bed bed = glue_bed_source(source);
  const mrl_ctx ctx = glue_ctx(glue_item_int(settings, "n_threads"));
  const size_t block = glue_bed_block(&bed);
  uint8_t *packed = (uint8_t *)glue_scratch(block * bed.stride);
  SEXP value = PROTECT(glue_list(names, 2));
  double *count = glue_list_matrix(value, 0, MRL_BED_N_CODES, bed.m);
  double *hwe = glue_list_dbl(value, 1, (R_xlen_t)bed.m);
  for (size_t first = 0; first < bed.m; first += block) {
    const size_t some = bed.m - first < block ? bed.m - first : block;
    glue_bed_read(packed, &bed, first, some);
    mrl_bed_describe(count + MRL_BED_N_CODES * first, hwe + first, packed, bed.stride, bed.rows,
                     bed.n, some, &ctx);
  }
  SEXP out = glue_result(MRL_OK, value);
  UNPROTECT(1);
  return out;
}

/* The bytes of a .bed, without its header, of counts of A1. */
SEXP C_bed_encode(SEXP genotypes)
{
  const size_t n = (size_t)Rf_nrows(genotypes), m = (size_t)Rf_ncols(genotypes);
  const double *g = glue_dbl(genotypes, (R_xlen_t)(n * m), "genotypes");
  const mrl_ctx ctx = glue_ctx(1);
  SEXP value = PROTECT(Rf_allocVector(RAWSXP, (R_xlen_t)(mrl_bed_stride(n) * m)));
  SEXP out = glue_result(mrl_bed_encode(RAW(value), g, n, m, &ctx), value);
  UNPROTECT(1);
  return out;
}
