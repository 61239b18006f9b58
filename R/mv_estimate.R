# Direct effects of several exposures from summary statistics.

# What is known of each method, in the order of mrl_mv_method (src/core/mvmr.h). more: variants
# needed beyond the number of exposures; correlated: takes them; drawn: uses random numbers.
build_mv_method_table <- function() {
  row <- function(name, label, reference, more = 1L, default = FALSE, correlated = FALSE,
                  drawn = FALSE) {
    data.frame(name, label, reference, more, default, correlated, drawn)
  }
  ivw <- "Multivariable IVW"
  burgess <- "Burgess and Thompson (2015) Am J Epidemiol 181:251"
  cml <- "Lin, Xue and Pan (2023) Am J Hum Genet 110:592"
  sanderson <- "Sanderson, Spiller and Bowden (2021) Stat Med 40:5434"
  rbind(
    row("mv_ivw", ivw, burgess, default = TRUE, correlated = TRUE),
    row("mv_ivw_fe", paste(ivw, "(fixed effects)"), burgess, 0L, correlated = TRUE),
    row("mv_ivw_mre", paste(ivw, "(multiplicative random effects)"), burgess, correlated = TRUE),
    row("mv_egger", "Multivariable Egger",
      "Rees, Wood and Burgess (2017) Stat Med 36:4705", 2L, TRUE, TRUE),
    row("mv_median", "Multivariable median", "Grant and Burgess (2021) Stat Med 40:5813",
      default = TRUE, drawn = TRUE),
    row("mv_lasso", "Multivariable LASSO", "Grant and Burgess (2021) Stat Med 40:5813", 2L, TRUE),
    row("mv_cml", "Multivariable cML (BIC)", cml, drawn = TRUE),
    row("mv_cml_dp", "Multivariable cML (data perturbation)", cml, drawn = TRUE),
    row("mv_ivw_me", paste(ivw, "(measurement error)"),
      "Zhu, Burgess and Grant (2022) Genet Epidemiol 46:415"),
    row("mv_qhet", "Multivariable least heterogeneity", sanderson)
  )
}

mv_method_table <- local({
  table <- build_mv_method_table()
  function() table
})

#' Methods for several exposures
#'
#' The methods that [mv_estimate()] knows, by name and by label.
#'
#' @return A data.frame: `name`, `label` (the `method` column of results), `reference`, `more`
#'   (variants that the method needs beyond the number of exposures), `default` (used by
#'   [mv_estimate()] unless told otherwise), `correlated` (does it take correlated variants?).
#' @examples
#' mv_methods()
#' @export
mv_methods <- function() {
  mv_method_table()[c("name", "label", "reference", "more", "default", "correlated")]
}

#' Direct effects of several exposures from summary statistics
#'
#' Multivariable Mendelian randomization: the effect of each exposure on the outcome with the other
#' exposures held fixed, from the effects of variants on all of them. Where all variants are valid
#' and strong, 95 % intervals hold 94 to 96 %, but those of the median 97 % and of the LASSO 92.5 %
#' (1000 simulations each); where exposures are weak given the others ([mv_diagnose()]) only those
#' with measurement error or least heterogeneity do.
#'
#' @section Methods:
#' [mv_methods()] lists them. Where MendelianRandomization (0.10) has the method, estimates and
#' standard errors are its own:
#' * IVW: weighted regression through the origin, standard errors divided by `min(1, sigma)`;
#'   `sigma = 1` for fixed effects, and in `mv_ivw` below four variants, as there. `mv_ivw_mre`
#'   leaves out the bound, as TwoSampleMR's `mv_multiple()` and MVMR's `ivw_mvmr()`. With `ld` by
#'   generalised least squares.
#' * Egger: with an intercept, alleles turned so that the effects on the exposure `orientate` are
#'   not negative (effects of zero count as positive; `mr_mvegger()` makes such variants all zero).
#' * Median: least absolute deviations with weights \eqn{1/s_Y^2}; standard errors by parametric
#'   bootstrap.
#' * LASSO: a direct effect of each variant on the outcome, shrunk; IVW on the variants whose direct
#'   effect is zero. The penalty is the least before heterogeneity of these jumps, on the grid of
#'   penalties that `mr_mvlasso()` has glmnet go through.
#' * cML: `mv_cml` allows as many invalid variants as BIC chooses, with standard errors of the
#'   likelihood over the others, which do not count the choice; `mv_cml_dp` averages over perturbed
#'   data, which does. The likelihood has many local maxima. As `mr_mvcML()`, and by the same steps,
#'   this goes up from no effects; the maximum it comes to is then taken exactly. A search for the
#'   highest maximum of all was tried and makes estimates worse: it is often far out.
#' * IVW with measurement error: the likelihood's maximum over the variants' true effects on the
#'   exposures, which takes away the bias of weak variants that IVW has; sandwich standard errors
#'   multiplied with `max(1, sigma)`, as `mr_mvivwme()`, whose iteration stops at about the third
#'   digit.
#' * Least heterogeneity: the same with an overdispersion variance `tau2`, which makes the least Q
#'   equal to its degrees of freedom (0 if it is below): weak variants and balanced pleiotropy at
#'   once; sandwich standard errors. It is what MVMR's `qhet_mvmr()` is meant to compute; that
#'   function takes the value of an objective for tau2.
#'
#' cML, measurement error and least heterogeneity use `gencov`, the others do not. The `Q` of the
#' measurement error method is the least Q; `mr_mvivwme()` gives that of IVW there.
#'
#' @section When intervals fail:
#' Of 1000 data sets (cML: 200) with two exposures and 50 variants (bench/mv_coverage.R), the 95 %
#' intervals of the first effect held it
#' * with no pleiotropy in 94 to 97 %, LASSO 93 %;
#' * with direct effects of 30 % of the variants, zero on average, in 94 % by IVW and least
#'   heterogeneity, but 51 % by IVW with fixed effects and 85 % by LASSO, whose errors do not count
#'   the choice of variants; median 93 %, cML with perturbation 96 %;
#' * with direct effects that raise the outcome, in 39 % by IVW, 82 % by the median, 81 % by LASSO,
#'   93 % by Egger and 94 % by cML with perturbation;
#' * where the conditional F is about 3, in 90 % by IVW, 89 % by Egger (each pulled towards the
#'   average of both effects), 96 % by measurement error and least heterogeneity.
#'
#' @param dat What [mv_data()] makes, or TwoSampleMR's `mv_harmonise_data()`; a harmonised
#'   data.frame as for [mr_estimate()] with the rows of several exposures and one outcome; what
#'   MendelianRandomization's `mr_mvinput()` or MVMR's `format_mvmr()` makes.
#' @param methods Names or labels of [mv_methods()].
#' @param n cML: number of people in the smallest of the studies, for BIC.
#' @param orientate Egger, LASSO: number or name of the exposure to which alleles are turned.
#' @param lambda LASSO: the penalty; `NULL` to choose it.
#' @param n_boot Draws behind the standard errors of the median.
#' @param K_vec cML: the numbers of invalid variants to try; `NULL`: none to half of the variants,
#'   rounded up.
#' @param random_start cML: random starts besides our own.
#' @param min_theta_range,max_theta_range cML: range of the random starts.
#' @param num_pert cML: number of perturbed data sets.
#' @param distribution `"normal"` or `"t-dist"`: the law of p-values and intervals of IVW, Egger,
#'   median and LASSO, with as many degrees of freedom as variants less parameters.
#' @param ld,gencov As in [mv_data()], instead of what `dat` has.
#' @inheritParams mr_estimate
#' @return A data.frame, plain, with a row per method and exposure: `id.exposure`, `exposure`,
#'   `id.outcome`, `outcome`, `nsnp`, `b`, `se`, `pval` as in the result of TwoSampleMR's
#'   `mv_multiple()` (`nsnp` counts the variants used, not those with a small p-value); then
#'   `method`, `ci_low`, `ci_high`; `Q`, `Q_df`, `Q_pval` (heterogeneity about the estimates, of cML
#'   and LASSO among the valid variants); `intercept`, `intercept_se`, `intercept_pval` (Egger);
#'   `sigma` (residual standard error), `tau2` (least heterogeneity), `lambda` (LASSO), `n_valid`
#'   (variants that count as valid), `n_draws` (draws that could be used), `note` (why there is no
#'   estimate). The attribute `valid` is a logical matrix, variants by methods.
#' @references One for each method: column `reference` of [mv_methods()].
#' @seealso [mv_diagnose()] for the strength of the variants.
#' @examples
#' mv_estimate(lipid_chd, seed = 1)
#' mv_estimate(lipid_chd, c("mv_cml", "mv_qhet"), n = 17723)
#' @export
mv_estimate <- function(dat, methods = NULL, n = NULL, orientate = 1,
                        distribution = c("normal", "t-dist"), lambda = NULL, n_boot = 1000,
                        K_vec = NULL, random_start = 0, num_pert = 200, min_theta_range = -0.5,
                        max_theta_range = 0.5, ld = NULL, gencov = NULL, conf_level = 0.95,
                        keep_failed = TRUE, seed = NULL, n_threads = mrl_threads()) {
  table <- mv_method_table()
  code <- mv_method_code(methods, table)
  conf_level <- check_conf_level(conf_level)
  keep_failed <- check_flag(keep_failed)
  distribution <- check_choice(distribution, c("normal", "t-dist"))
  frame <- mv_frame(dat, ld, gencov)
  range <- c(check_number(min_theta_range), check_number(max_theta_range))
  if (range[1] > range[2]) {
    stop_argument("max_theta_range", "must not be below `min_theta_range`", describe(range[2]))
  }
  settings <- list(
    methods = code - 1L,
    n_boot = check_count(n_boot, min = 2, max = 2^24 - 1),
    orientate = mv_orientate(orientate, frame$ids$exposure),
    lambda = if (is.null(lambda)) NA_real_ else check_number(lambda, min = 0, open = TRUE),
    sample_size = mv_sample_size(n, table[code, ]),
    n_invalid = mv_choices(K_vec, length(frame$row), nrow(frame$ids)),
    n_starts = check_count(random_start, min = 0, max = 1e5),
    start_low = range[1], start_up = range[2],
    n_perturb = check_count(num_pert, min = 2, max = 2^24 - 1),
    by_student = distribution == "t-dist",
    seed = if (any(table$drawn[code]) || !is.null(seed)) resolve_seed(seed) else 0,
    n_threads = check_threads(n_threads)
  )
  out <- .Call(C_mvmr_estimate, frame$effects, settings)
  check_status(out$status, "estimating direct effects")
  out <- mv_results(out$value, frame, table[code, ], settings, conf_level)
  if (keep_failed) out else out[is.na(out$note), ]
}

mv_method_code <- function(methods, table) {
  if (is.null(methods)) {
    return(which(table$default))
  }
  if (!is.character(methods) || !length(methods) || anyNA(methods)) {
    stop_argument("methods", "must be names or labels of mv_methods()", describe(methods))
  }
  code <- ifelse(methods %in% table$name, match(methods, table$name), match(methods, table$label))
  if (anyNA(code)) {
    stop_argument("methods", "must be names or labels of mv_methods()",
      paste0("\"", methods[is.na(code)], "\"", collapse = ", "))
  }
  if (anyDuplicated(code)) {
    stop_argument("methods", "must name each method once",
      paste(table$label[code[duplicated(code)]], "twice"))
  }
  code
}

# The place of an exposure, from 0.
mv_orientate <- function(orientate, exposure) {
  k <- length(exposure)
  at <- if (is.character(orientate) && length(orientate) == 1L) {
    match(orientate, exposure)
  } else if (is.numeric(orientate) && length(orientate) == 1L && orientate %in% seq_len(k)) {
    as.integer(orientate)
  }
  if (is.null(at) || is.na(at)) {
    stop_argument("orientate", paste0("must be the name of an exposure or a number from 1 to ", k),
      describe(orientate))
  }
  at - 1L
}

mv_sample_size <- function(n, methods) {
  if (!is.null(n)) {
    return(check_number(n, min = 2))
  }
  needs <- methods$label[startsWith(methods$name, "mv_cml")]
  if (length(needs)) {
    stop_argument("n", paste0("must be the number of people in the smallest study: ", needs[1],
      " needs it"), "NULL")
  }
  NA_real_
}

# Numbers of invalid variants that leave more variants than exposures, ascending.
mv_choices <- function(K_vec, n_snps, k) {
  most <- n_snps - k - 1L
  if (is.null(K_vec)) {
    return(seq_len(max(0L, min(ceiling(n_snps / 2), most) + 1L)) - 1L)
  }
  if (!is.numeric(K_vec) || !length(K_vec) || anyNA(K_vec) || any(K_vec != round(K_vec)) ||
    any(K_vec < 0 | K_vec > most)) {
    stop_argument("K_vec", paste0("must be whole numbers from 0 to ", most,
      " (the variants less exposures and one)"),
      if (is.numeric(K_vec) && length(K_vec)) toString(K_vec) else describe(K_vec))
  }
  sort(unique(as.integer(K_vec)))
}

mv_results <- function(core, frame, methods, settings, conf_level) {
  k <- nrow(frame$ids)
  n_methods <- nrow(methods)
  rownames(core$numbers) <- c("intercept", "intercept_se", "intercept_pval", "Q", "Q_df", "Q_pval",
    "sigma", "tau2", "lambda", "n_valid", "n_draws", "df")
  each <- function(name) rep(core$numbers[name, ], each = k)
  df <- if (settings$by_student) each("df") else rep(NA_real_, k * n_methods)
  b <- as.vector(core$b)
  se <- as.vector(core$se)
  q <- mr_quantile(df, conf_level)
  ids <- frame$ids[rep(seq_len(k), n_methods), ]
  out <- data.frame(
    ids, nsnp = length(frame$row), b = b, se = se, pval = as.vector(core$p),
    method = rep(methods$label, each = k), ci_low = b - q * se, ci_high = b + q * se,
    Q = each("Q"), Q_df = each("Q_df"), Q_pval = each("Q_pval"), intercept = each("intercept"),
    intercept_se = each("intercept_se"), intercept_pval = each("intercept_pval"),
    sigma = each("sigma"), tau2 = each("tau2"), lambda = each("lambda"),
    n_valid = as.integer(each("n_valid")), n_draws = as.integer(each("n_draws")),
    note = rep(mv_note(core$why, length(frame$row), k, methods, frame$ids, settings), each = k)
  )
  failed <- !is.na(out$note)
  out$n_valid[failed] <- NA
  out$n_draws[failed | !rep(methods$name %in% c("mv_median", "mv_cml_dp"), each = k)] <- NA
  rownames(out) <- NULL
  valid <- matrix(core$valid == 1L, ncol = n_methods, dimnames = list(frame$snp, methods$name))
  valid[, core$why != 0L] <- NA
  attr(out, "valid") <- valid
  out
}

# In the order of mrl_mv_why.
mv_note <- function(why, n, k, methods, ids, settings) {
  needed <- k + methods$more
  note <- rep(NA_character_, length(why))
  few <- why == 1L
  note[few] <- ifelse(n < needed[few],
    paste("needs at least", needed[few], "variants, there", ifelse(n == 1L, "is", "are"), n),
    "leaves too few variants")
  note[why == 2L] <- "takes no correlated variants"
  note[why == 3L] <- "exposures are collinear among the variants that are left"
  note[why == 4L] <- "did not converge"
  note[why == 5L] <- paste("the signs of the effects on", ids$exposure[settings$orientate + 1L],
    "are collinear with the exposures")
  note
}
