#include "glue.h"

#include <string.h>

static void check_length(SEXP x, R_xlen_t n, const char *name)
{
  if (n >= 0 && XLENGTH(x) != n) {
    Rf_error("internal error: `%s` has length %lld, not %lld", name, (long long)XLENGTH(x),
             (long long)n);
  }
}

const double *glue_dbl(SEXP x, R_xlen_t n, const char *name)
{
  if (TYPEOF(x) != REALSXP) {
    Rf_error("internal error: `%s` is of type %s, not double", name, Rf_type2char(TYPEOF(x)));
  }
  check_length(x, n, name);
  return REAL(x);
}

const int *glue_int(SEXP x, R_xlen_t n, const char *name)
{
  if (TYPEOF(x) != INTSXP) {
    Rf_error("internal error: `%s` is of type %s, not integer", name, Rf_type2char(TYPEOF(x)));
  }
  check_length(x, n, name);
  return INTEGER(x);
}

const double *glue_dbl_or_null(SEXP x, R_xlen_t n, const char *name)
{
  return Rf_isNull(x) ? NULL : glue_dbl(x, n, name);
}

const int *glue_int_or_null(SEXP x, R_xlen_t n, const char *name)
{
  return Rf_isNull(x) ? NULL : glue_int(x, n, name);
}

size_t glue_ncol(SEXP x, R_xlen_t n, const char *name)
{
  if (Rf_isNull(x)) {
    return 0;
  }
  const int p = Rf_ncols(x);
  glue_dbl(x, n * (R_xlen_t)p, name);
  return (size_t)p;
}

size_t glue_count_columns(SEXP x, R_xlen_t n, const char *name)
{
  if (TYPEOF(x) != VECSXP) {
    return glue_ncol(x, n, name);
  }
  size_t count = 0;
  for (R_xlen_t i = 0; i < XLENGTH(x); i++) {
    count += glue_ncol(VECTOR_ELT(x, i), n, name);
  }
  return count;
}

size_t glue_add_columns(const double **col, size_t at, SEXP x, R_xlen_t n, const char *name)
{
  const int is_list = TYPEOF(x) == VECSXP;
  for (R_xlen_t i = 0; i < (is_list ? XLENGTH(x) : 1); i++) {
    SEXP part = is_list ? VECTOR_ELT(x, i) : x;
    const size_t p = glue_ncol(part, n, name);
    for (size_t j = 0; j < p; j++) {
      col[at++] = REAL(part) + j * (size_t)n;
    }
  }
  return at;
}

SEXP glue_item(SEXP settings, const char *name)
{
  if (TYPEOF(settings) != VECSXP) {
    Rf_error("internal error: settings are no list");
  }
  SEXP names = Rf_getAttrib(settings, R_NamesSymbol);
  const R_xlen_t n = Rf_isNull(names) ? 0 : XLENGTH(settings);
  for (R_xlen_t i = 0; i < n; i++) {
    if (strcmp(CHAR(STRING_ELT(names, i)), name) == 0) {
      return VECTOR_ELT(settings, i);
    }
  }
  Rf_error("internal error: settings lack `%s`", name);
}

double glue_item_dbl(SEXP settings, const char *name)
{
  return glue_dbl(glue_item(settings, name), 1, name)[0];
}

int glue_item_int(SEXP settings, const char *name)
{
  return glue_int(glue_item(settings, name), 1, name)[0];
}

int glue_item_lgl(SEXP settings, const char *name)
{
  SEXP x = glue_item(settings, name);
  if (TYPEOF(x) != LGLSXP || XLENGTH(x) != 1 || LOGICAL(x)[0] == NA_LOGICAL) {
    Rf_error("internal error: `%s` is not TRUE or FALSE", name);
  }
  return LOGICAL(x)[0];
}

uint64_t glue_item_seed(SEXP settings)
{
  return (uint64_t)(int64_t)glue_item_dbl(settings, "seed");
}

mrl_isa glue_item_isa(SEXP settings)
{
  const int isa = glue_item_int(settings, "isa");
  return isa < 0 ? mrl_isa_best() : mrl_isa_usable((mrl_isa)isa);
}

static void poll_interrupt(void *data)
{
  (void)data;
  R_CheckUserInterrupt();
}

mrl_ctx glue_ctx(int n_threads)
{
  const mrl_ctx ctx = {n_threads < 1 ? 1 : n_threads, poll_interrupt, NULL};
  return ctx;
}

void *glue_scratch(size_t bytes)
{
  return R_alloc(bytes > 0 ? bytes : 1, 1);
}

static const char *status_name(mrl_status status)
{
  static const char *const names[MRL_N_STATUS] = {
      "ok", "not_finite", "singular", "no_converge", "too_few", "no_memory", "bad_argument"};
  return names[status];
}

SEXP glue_result(mrl_status status, SEXP value)
{
  static const char *const names[] = {"status", "value"};
  PROTECT(value);
  SEXP out = PROTECT(glue_list(names, 2));
  SET_VECTOR_ELT(out, 0, Rf_mkString(status_name(status)));
  SET_VECTOR_ELT(out, 1, value);
  UNPROTECT(2);
  return out;
}

SEXP glue_list(const char *const *names, int n)
{
  SEXP out = PROTECT(Rf_allocVector(VECSXP, n));
  SEXP out_names = PROTECT(Rf_allocVector(STRSXP, n));
  for (int i = 0; i < n; i++) {
    SET_STRING_ELT(out_names, i, Rf_mkChar(names[i]));
  }
  Rf_setAttrib(out, R_NamesSymbol, out_names);
  UNPROTECT(2);
  return out;
}

double *glue_list_dbl(SEXP list, int i, R_xlen_t n)
{
  SEXP x = Rf_allocVector(REALSXP, n);
  SET_VECTOR_ELT(list, i, x);
  return REAL(x);
}

double *glue_list_matrix(SEXP list, int i, size_t nrow, size_t ncol)
{
  SEXP x = Rf_allocMatrix(REALSXP, (int)nrow, (int)ncol);
  SET_VECTOR_ELT(list, i, x);
  return REAL(x);
}

int *glue_list_int(SEXP list, int i, R_xlen_t n)
{
  SEXP x = Rf_allocVector(INTSXP, n);
  SET_VECTOR_ELT(list, i, x);
  return INTEGER(x);
}

SEXP C_isa_name(SEXP settings)
{
  return Rf_mkString(mrl_isa_name(glue_item_isa(settings)));
}
