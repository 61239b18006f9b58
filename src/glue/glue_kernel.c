/* Statistics of samples by kernels, and entropies. */
#include "glue.h"

#include "../core/entropy.h"
#include "../core/kernelstat.h"

/* x (nx, dx), y (ny, dy); settings$statistic: 0 MMD, 1 HSIC; kernel: 0 polynomial, 1 Gaussian,
 * 2 moments (MMD). */
SEXP C_kernel_statistic(SEXP x, SEXP y, SEXP settings)
{
  static mrl_status (*const runs[2][3])(double *, double *, double *, const mrl_samples *, double *,
                                        const mrl_ctx *) = {
      {mrl_mmd_poly, mrl_mmd_gaussian, mrl_mmd_moments},
      {mrl_hsic_poly, mrl_hsic_gaussian, NULL},
  };
  SEXP bx = glue_item(settings, "bandwidth_x"), by = glue_item(settings, "bandwidth_y");
  const int statistic = glue_item_int(settings, "statistic"),
            kernel = glue_item_int(settings, "kernel");
  const mrl_samples samples = {
      .x = glue_dbl(x, -1, "x"),
      .y = glue_dbl(y, -1, "y"),
      .nx = (size_t)Rf_nrows(x),
      .ny = (size_t)Rf_nrows(y),
      .dx = (size_t)Rf_ncols(x),
      .dy = (size_t)Rf_ncols(y),
      .bandwidth_x = glue_dbl(bx, -1, "bandwidth_x"),
      .bandwidth_y = glue_dbl(by, -1, "bandwidth_y"),
      .n_x = (size_t)XLENGTH(bx),
      .n_y = (size_t)XLENGTH(by),
  };
  const mrl_ctx ctx = glue_ctx(1);
  double *work = glue_scratch(mrl_kernelstat_work(&samples) * sizeof *work);
  SEXP value = PROTECT(Rf_allocVector(REALSXP, 1));
  const mrl_status status = runs[statistic][kernel](REAL(value), NULL, NULL, &samples, work, &ctx);
  SEXP out = glue_result(status, value);
  UNPROTECT(1);
  return out;
}

static mrl_kernel read_kernel(SEXP settings, const char *name)
{
  SEXP bandwidth = glue_item(settings, name);
  const mrl_kernel kernel = {glue_dbl(bandwidth, -1, name), (size_t)XLENGTH(bandwidth)};
  return kernel;
}

/* x (n, dx); y (n, dy) or NULL: MMD between groups; group (n), 0 .. n_group - 1, ordered with y.
 * Bandwidths of length 0: the polynomial kernel. */
SEXP C_kernel_test(SEXP x, SEXP y, SEXP group, SEXP settings)
{
  static const char *const names[] = {"statistic", "p.value"};
  const R_xlen_t n = Rf_nrows(x);
  const size_t n_group = (size_t)glue_item_int(settings, "n_group"), dx = glue_ncol(x, n, "x");
  const mrl_kernel kx = read_kernel(settings, "bandwidth_x"),
                   ky = read_kernel(settings, "bandwidth_y");
  const mrl_perm_settings perm = {(size_t)glue_item_int(settings, "n_perm"),
                                  glue_item_seed(settings)};
  const mrl_ctx ctx = glue_ctx(glue_item_int(settings, "n_threads"));
  const int *label = glue_int(group, n, "group");
  SEXP value = PROTECT(glue_list(names, 2));
  double *statistic = glue_list_dbl(value, 0, 1), *p = glue_list_dbl(value, 1, 1);
  mrl_status status;
  if (Rf_isNull(y)) {
    void *scratch = glue_scratch(mrl_mmd_test_scratch((size_t)n, n_group, &perm, &ctx));
    status = mrl_mmd_test(statistic, p, REAL(x), (size_t)n, dx, label, n_group, &kx, &perm, scratch,
                          &ctx);
  } else {
    void *scratch = glue_scratch(mrl_hsic_test_scratch((size_t)n, &perm, &ctx));
    status = mrl_hsic_test(statistic, p, REAL(x), dx, REAL(y), glue_ncol(y, n, "y"), (size_t)n,
                           label, n_group, &kx, &ky, &perm, scratch, &ctx);
  }
  SEXP out = glue_result(status, value);
  UNPROTECT(1);
  return out;
}

/* settings$type: 0 nearest neighbours, 1 of the squashed sample, 2 Gaussian. */
SEXP C_kernel_entropy(SEXP x, SEXP settings)
{
  const size_t n = (size_t)Rf_nrows(x), d = (size_t)Rf_ncols(x);
  const int type = glue_item_int(settings, "type");
  const size_t k = (size_t)glue_item_int(settings, "k");
  const double *rows = glue_dbl(x, -1, "x");
  const mrl_ctx ctx = glue_ctx(1);
  SEXP value = PROTECT(Rf_allocVector(REALSXP, 1));
  mrl_status status;
  if (type == 2) {
    double *work = glue_scratch((2 * d * d + d + n * d) * sizeof *work);
    status = mrl_entropy_gaussian(REAL(value), NULL, rows, n, d, work);
  } else {
    void *scratch = glue_scratch(mrl_entropy_scratch(n, d, k));
    status = type == 1 ? mrl_entropy_squashed(REAL(value), NULL, rows, n, d, k, scratch, &ctx)
                       : mrl_entropy_nearest(REAL(value), NULL, rows, n, d, k, scratch, &ctx);
  }
  SEXP out = glue_result(status, value);
  UNPROTECT(1);
  return out;
}
