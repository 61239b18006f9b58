#include "glue_mr.h"

#include "../core/mr_presso.h"
#include "../core/mr_radial.h"

static double or_na(double x)
{
  return ISNAN(x) ? NA_REAL : x;
}

static size_t largest_group(const size_t *start, size_t n_groups)
{
  size_t largest = 0;
  for (size_t g = 0; g < n_groups; g++) {
    const size_t n = start[g + 1] - start[g];
    largest = n > largest ? n : largest;
  }
  return largest;
}

/* Effects of one group. */
static mrl_mr_data part_of(const mrl_mr_data *all, const size_t *start, size_t g)
{
  const size_t from = start[g];
  const mrl_mr_data out = {all->bx + from, all->sx + from, all->by + from, all->sy + from,
                           start[g + 1] - from};
  return out;
}

/* One method on every group, with what it says of variants: list(valid, direct) by variant,
 * list(tuning, gof1, gof2, n_intervals) by group. */
SEXP C_mr_detail(SEXP effects, SEXP start, SEXP settings)
{
  static const char *const names[] = {"valid", "direct", "tuning", "gof1", "gof2", "n_intervals"};
  const R_xlen_t n = XLENGTH(VECTOR_ELT(effects, 0));
  const size_t n_groups = (size_t)XLENGTH(start) - 1;
  const mrl_mr_data all = glue_mr_effects(effects, n);
  const size_t *from = glue_mr_start(start, n);
  const mrl_mr_settings how = glue_mr_settings(settings, n_groups);
  size_t n_methods;
  const mrl_mr_method method = glue_mr_methods(settings, &n_methods)[0];
  const mrl_ctx ctx = glue_ctx(1);
  SEXP value = PROTECT(glue_list(names, 6));
  int *valid = glue_list_int(value, 0, n);
  double *direct = glue_list_dbl(value, 1, n), *number[3];
  for (int k = 0; k < 3; k++) {
    number[k] = glue_list_dbl(value, 2 + k, (R_xlen_t)n_groups);
  }
  int *pieces = glue_list_int(value, 5, (R_xlen_t)n_groups);
  const size_t size = mrl_mr_work(method, largest_group(from, n_groups), &how);
  double *work = glue_scratch((size + 1) * sizeof *work);
  for (size_t g = 0; g < n_groups; g++) {
    const mrl_mr_data data = part_of(&all, from, g);
    mrl_mr_detail detail = {valid + from[g], direct + from[g], 0, 0, 0, 0};
    const mrl_mr_estimate at = mrl_mr_detailed(&detail, method, &data, g, &how, work);
    for (size_t i = from[g]; i < from[g + 1] && at.why != MRL_MR_FINE; i++) {
      valid[i] = NA_INTEGER;
      direct[i] = NA_REAL;
    }
    number[0][g] = or_na(detail.tuning);
    number[1][g] = or_na(detail.gof1);
    number[2][g] = or_na(detail.gof2);
    pieces[g] = (int)detail.n_intervals;
    mrl_poll(&ctx);
  }
  SEXP out = glue_result(MRL_OK, value);
  UNPROTECT(1);
  return out;
}

enum {
  RSS_TOTAL,
  P_TOTAL,
  DISTORTION,
  P_DISTORTION,
  SLOPE,
  SLOPE_SE,
  WITHOUT,
  WITHOUT_SE,
  WITHOUT_DF,
  N_NUMBERS,
  RSS = N_NUMBERS,
  P,
  OUTLIER,
  N_ITEMS
};

static void set_presso(double *const number[N_NUMBERS], size_t g, const mrl_presso *at)
{
  const double from[N_NUMBERS] = {at->rss_total,     at->p_total,    at->distortion,
                                  at->p_distortion,  at->all.slope,  at->all.se,
                                  at->without.slope, at->without.se, (double)at->without.df};
  for (int k = 0; k < N_NUMBERS; k++) {
    number[k][g] = or_na(from[k]);
  }
}

/* Groups that are too small or without exposure effects get NA. Value: by group rss_total, ...,
 * without_df; by variant rss, p, outlier. */
SEXP C_mr_presso(SEXP effects, SEXP start, SEXP settings)
{
  static const char *const names[N_ITEMS] = {"rss_total",  "p_total",  "distortion", "p_distortion",
                                             "slope",      "slope_se", "without",    "without_se",
                                             "without_df", "rss",      "p",          "outlier"};
  const R_xlen_t n = XLENGTH(VECTOR_ELT(effects, 0));
  const size_t n_groups = (size_t)XLENGTH(start) - 1;
  const mrl_mr_data all = glue_mr_effects(effects, n);
  const size_t *from = glue_mr_start(start, n);
  const mrl_ctx ctx = glue_ctx(glue_item_int(settings, "n_threads"));
  const mrl_presso_settings how = {
      glue_item_seed(settings), (size_t)glue_item_int(settings, "n_draws"),
      glue_item_dbl(settings, "threshold"), glue_item_lgl(settings, "outlier"),
      glue_item_lgl(settings, "distortion")};
  SEXP value = PROTECT(glue_list(names, N_ITEMS));
  double *number[N_NUMBERS];
  for (int k = 0; k < N_NUMBERS; k++) {
    number[k] = glue_list_dbl(value, k, (R_xlen_t)n_groups);
  }
  double *rss = glue_list_dbl(value, RSS, n), *p = glue_list_dbl(value, P, n);
  int *outlier = glue_list_int(value, OUTLIER, n);
  const size_t size = mrl_presso_scratch(largest_group(from, n_groups), &ctx);
  void *scratch = size < SIZE_MAX ? glue_scratch(size) : NULL;
  mrl_status status = size < SIZE_MAX ? MRL_OK : MRL_NO_MEMORY;
  for (size_t g = 0; g < n_groups && status == MRL_OK; g++) {
    const mrl_mr_data data = part_of(&all, from, g);
    mrl_presso at = {NA_REAL, NA_REAL, rss + from[g], p + from[g],           outlier + from[g],
                     0,       NA_REAL, NA_REAL,       {NA_REAL, NA_REAL, 0}, {NA_REAL, NA_REAL, 0}};
    mrl_status one = MRL_TOO_FEW;
    if (data.n >= MRL_PRESSO_MIN) {
      one = mrl_presso_run(&at, &data, g, &how, scratch, size, &ctx);
    }
    status = one == MRL_NO_MEMORY ? one : MRL_OK;
    for (size_t i = from[g]; i < from[g + 1]; i++) {
      rss[i] = one == MRL_OK ? or_na(rss[i]) : NA_REAL;
      p[i] = one == MRL_OK ? or_na(p[i]) : NA_REAL;
      outlier[i] = ISNAN(p[i]) ? NA_INTEGER : outlier[i];
    }
    set_presso(number, g, &at);
  }
  SEXP out = glue_result(status, value);
  UNPROTECT(1);
  return out;
}

enum { R_SLOPE, R_SE, R_INT, R_INT_SE, R_SIGMA, R_Q, N_RADIAL };

static void set_radial(double *const to[N_RADIAL], size_t at, const mrl_radial_fit *fit)
{
  const double from[N_RADIAL] = {fit->slope,        fit->slope_se, fit->intercept,
                                 fit->intercept_se, fit->sigma,    fit->q};
  for (int k = 0; k < N_RADIAL; k++) {
    to[k][at] = or_na(from[k]);
  }
}

/*
 * settings: weights, egger, tol. Groups of fewer than two variants (Egger: three) get NA. Value: by
 * variant root and part; by model (the weights asked for; through the origin also the iterated, the
 * exact and the exact random one) within group slope, ..., q; by group the iterations.
 */
SEXP C_mr_radial(SEXP effects, SEXP start, SEXP settings)
{
  static const char *const names[] = {"root",         "part",  "slope", "slope_se", "intercept",
                                      "intercept_se", "sigma", "q",     "count"};
  const R_xlen_t n = XLENGTH(VECTOR_ELT(effects, 0));
  const size_t n_groups = (size_t)XLENGTH(start) - 1;
  const mrl_mr_data all = glue_mr_effects(effects, n);
  const size_t *from = glue_mr_start(start, n);
  const int egger = glue_item_lgl(settings, "egger"), weights = glue_item_int(settings, "weights");
  const size_t n_models = egger ? 1 : 4, least = egger ? 3 : 2;
  const double tol = glue_item_dbl(settings, "tol");
  const mrl_ctx ctx = glue_ctx(1);
  if (weights < MRL_RADIAL_FIRST || weights >= MRL_RADIAL_N_WEIGHTS) {
    Rf_error("internal error: weights %d", weights);
  }
  SEXP value = PROTECT(glue_list(names, 9));
  double *root = glue_list_dbl(value, 0, n), *part = glue_list_dbl(value, 1, n);
  double *number[N_RADIAL];
  for (int k = 0; k < N_RADIAL; k++) {
    number[k] = glue_list_dbl(value, 2 + k, (R_xlen_t)(n_groups * n_models));
  }
  int *count = glue_list_int(value, 8, (R_xlen_t)n_groups);
  double *work =
      glue_scratch((mrl_radial_exact_work(largest_group(from, n_groups)) + 1) * sizeof *work);
  for (size_t g = 0; g < n_groups; g++) {
    const mrl_mr_data data = part_of(&all, from, g);
    const mrl_radial_fit none = {NA_REAL, NA_REAL, NA_REAL, NA_REAL, NA_REAL, NA_REAL};
    mrl_radial_fit fit[4] = {none, none, none, none};
    size_t times = 0;
    if (data.n >= least) {
      fit[0] = mrl_radial_fit_run(root + from[g], part + from[g], &data,
                                  (mrl_radial_weights)weights, egger);
    }
    if (data.n >= least && !egger) {
      fit[1] = mrl_radial_iterate(&times, &data, tol);
      fit[2] = mrl_radial_exact(&data, 0, work);
      fit[3] = mrl_radial_exact(&data, 1, work);
    }
    for (size_t m = 0; m < n_models; m++) {
      set_radial(number, g * n_models + m, &fit[m]);
    }
    for (size_t i = from[g]; i < from[g + 1]; i++) {
      root[i] = data.n >= least ? or_na(root[i]) : NA_REAL;
      part[i] = data.n >= least ? or_na(part[i]) : NA_REAL;
    }
    count[g] = (int)times;
    mrl_poll(&ctx);
  }
  SEXP out = glue_result(MRL_OK, value);
  UNPROTECT(1);
  return out;
}
