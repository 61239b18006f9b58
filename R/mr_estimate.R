# Causal effects from summary statistics: the methods, and all of them on all pairs.

# What is known of each method, in the order of mrl_mr_method (src/core/mr.h). default: as
# TwoSampleMR's; df_lost: its p-value is by t with nsnp - df_lost degrees of freedom, NA: normal;
# bootstrap: its standard error is drawn; size: it needs the studies' sample size.
build_method_table <- function() {
  row <- function(name, label, min_snps, reference, default = FALSE, heterogeneity = FALSE,
                  df_lost = NA_integer_, bootstrap = FALSE, max_snps = NA_integer_, size = FALSE) {
    data.frame(name, label, reference, min_snps, default, heterogeneity, df_lost, bootstrap,
      max_snps, size)
  }
  cml <- "Xue, Shen and Pan (2021) Am J Hum Genet 108:1251"
  cml_row <- function(name, kind, bootstrap) {
    row(name, paste0("MR-cML (", kind, ")"), 3L, cml, bootstrap = bootstrap, size = TRUE)
  }
  grip <- "Dudbridge et al. (2025) PLoS Genet 21:e1011967"
  radial <- "Bowden et al. (2018) Int J Epidemiol 47:1264"
  burgess <- "Burgess, Butterworth and Thompson (2013) Genet Epidemiol 37:658"
  robust <- "Rees et al. (2019) PLoS ONE 14:e0222362"
  egger <- "Bowden, Davey Smith and Burgess (2015) Int J Epidemiol 44:512"
  median <- "Bowden et al. (2016) Genet Epidemiol 40:304"
  mode <- "Hartwig, Davey Smith and Bowden (2017) Int J Epidemiol 46:1985"
  likelihood <- "Burgess, Butterworth and Thompson (2013) Genet Epidemiol 37:658"
  bowden <- "Bowden et al. (2017) Stat Med 36:1783"
  ivw <- "Inverse variance weighted"
  rbind(
    row("mr_wald_ratio", "Wald ratio", 1L, "Lawlor et al. (2008) Stat Med 27:1133", TRUE,
      max_snps = 1L),
    row("mr_ivw_fe", paste(ivw, "(fixed effects)"), 2L, burgess, heterogeneity = TRUE),
    row("mr_ivw", ivw, 2L, burgess, TRUE, TRUE),
    row("mr_ivw_mre", paste(ivw, "(multiplicative random effects)"), 2L, bowden,
      heterogeneity = TRUE),
    row("mr_ivw_delta", paste(ivw, "(delta weights)"), 2L,
      "Thompson, Minelli and Del Greco (2016) Int J Biostat 12:20150110", heterogeneity = TRUE),
    row("mr_ivw_robust", paste(ivw, "(robust)"), 3L, robust, heterogeneity = TRUE),
    row("mr_ivw_penalised", paste(ivw, "(penalised weights)"), 2L, robust),
    row("mr_egger_regression", "MR Egger", 3L, egger, TRUE, TRUE, 2L),
    row("mr_egger_robust", "MR Egger (robust)", 3L, robust, heterogeneity = TRUE),
    row("mr_egger_robust_penalised", "MR Egger (robust, penalised weights)", 3L, robust),
    row("mr_egger_regression_bootstrap", "MR Egger (bootstrap)", 3L, egger, bootstrap = TRUE),
    row("mr_simple_median", "Simple median", 3L, median, bootstrap = TRUE),
    row("mr_weighted_median", "Weighted median", 3L, median, TRUE, bootstrap = TRUE),
    row("mr_penalised_weighted_median", "Penalised weighted median", 3L, median, bootstrap = TRUE),
    row("mr_simple_mode", "Simple mode", 3L, mode, TRUE, df_lost = 1L, bootstrap = TRUE),
    row("mr_weighted_mode", "Weighted mode", 3L, mode, TRUE, df_lost = 1L, bootstrap = TRUE),
    row("mr_simple_mode_nome", "Simple mode (NOME)", 3L, mode, df_lost = 1L, bootstrap = TRUE),
    row("mr_weighted_mode_nome", "Weighted mode (NOME)", 3L, mode, df_lost = 1L, bootstrap = TRUE),
    row("mr_raps", "Robust adjusted profile score (RAPS)", 3L,
      "Zhao et al. (2020) Ann Stat 48:1742"),
    row("mr_two_sample_ml", "Maximum likelihood", 2L, likelihood, heterogeneity = TRUE),
    row("mr_two_sample_ml_mre", "Maximum likelihood (multiplicative random effects)", 2L,
      likelihood, heterogeneity = TRUE),
    row("mr_divw", "Debiased inverse variance weighted", 2L,
      "Ye, Shao and Kang (2021) Ann Stat 49:2079"),
    row("mr_pivw", "Penalised inverse variance weighted", 2L,
      "Xu et al. (2023) Biometrics 79:2184"),
    row("mr_sign", "Sign concordance test", 6L, ""),
    row("mr_uwr", "Unweighted regression", 2L, "", heterogeneity = TRUE),
    row("mr_conmix", "Contamination mixture", 2L,
      "Burgess et al. (2020) Nat Commun 11:376"),
    cml_row("mr_cML_BIC", "BIC", FALSE),
    cml_row("mr_cML_MA_BIC", "MA-BIC", FALSE),
    cml_row("mr_cML_BIC_DP", "BIC-DP", TRUE),
    cml_row("mr_cML", "MA-BIC-DP", TRUE),
    row("mr_lasso", "MR-LASSO", 3L, robust),
    row("mr_hetpen", "Heterogeneity-penalised", 2L, "Burgess et al. (2018) Int J Epidemiol 47:1242",
      max_snps = 20L),
    row("mr_grip", "MR GRIP", 3L, grip, df_lost = 2L),
    row("mr_grip_adjusted", "MR GRIP (weak instruments)", 3L, grip, df_lost = 2L),
    row("mr_ivw_radial", "IVW radial", 2L, radial, heterogeneity = TRUE),
    row("mr_egger_radial", "Egger radial", 3L, radial, heterogeneity = TRUE, df_lost = 2L),
    row("mr_egger_simex", "MR Egger (SIMEX)", 3L, "Bowden et al. (2016) Int J Epidemiol 45:1961",
      df_lost = 2L, bootstrap = TRUE)
  )
}

# Built once, with the package: it takes 6 ms, longer than most analyses.
mr_method_table <- local({
  table <- build_method_table()
  function() table
})

#' Methods for summary data
#'
#' The methods that [mr_estimate()] and [mrl_method()] know, by name and by label; both are
#' TwoSampleMR's where it has the method.
#'
#' @return A data.frame: `name`, `label` (the `method` column of results), `reference`, `min_snps`
#'   (variants that the method needs), `default` (used by [mr_estimate()] unless told otherwise),
#'   `heterogeneity` (does it give Cochran's or Rucker's Q?).
#' @examples
#' mr_methods()
#' @export
mr_methods <- function() {
  mr_method_table()[c("name", "label", "reference", "min_snps", "default", "heterogeneity")]
}

#' Causal effects from summary statistics
#'
#' Applies methods of two-sample Mendelian randomization to every exposure-outcome pair of a
#' harmonised data frame, as TwoSampleMR's `harmonise_data()` makes it, in one call of compiled code
#' on threads. Intervals of 95 % do not all hold 95 % even where every variant is valid: in 1000
#' simulations each (bench/mr_coverage.csv of the sources) those of medians and modes held 97 to
#' 99.6 %, those of the robust, bootstrapped and radial Egger regressions and of MR GRIP 91 to 95 %,
#' and of the contamination mixture 80 to 93 %; the others hold 93.5 to 97 %. With pleiotropy each
#' holds what its own assumption allows.
#'
#' @section Methods:
#' [mr_methods()] lists them. Where TwoSampleMR (0.7.9) has a method, formula, standard error and
#' p-value are its own: IVW and Egger standard errors are divided by `min(1, sigma)`, p-values are
#' normal but for Egger (`t` with `nsnp - 2` degrees of freedom) and the modes (`nsnp - 1`).
#' Confidence intervals use the same distribution as the p-value. Three kinds differ:
#' * Maximum likelihood is the maximum. TwoSampleMR and MendelianRandomization search for it with
#'   `optim()`'s Nelder-Mead in `nsnp + 1` dimensions, which stops short of it (3.2249 instead of
#'   3.1733 on the 28 lipid variants of their examples). The multiplicative random-effects form
#'   multiplies the standard error with `max(1, sigma)`, as MendelianRandomization's `mr_maxlik()`.
#' * RAPS follows mr.raps 0.2, with its estimating equations solved to rounding.
#' * Robust methods are MM regressions, as `robustbase::lmrob()` fits them, from a start that is the
#'   same every time; standard errors as in `MendelianRandomization::mr_egger(robust = TRUE)`, whose
#'   penalised weights `min(1, 100 p)` are used too.
#'
#' Of MendelianRandomization (0.10) are, with the settings of [mr_control()]:
#' * the contamination mixture and MR-HetPen (`mr_hetpen`, at most 20 variants), at the exact
#'   maximum of their likelihoods, where that package searches a grid (for MR-HetPen between -1 and
#'   1, unless told otherwise). They have no standard error; `ci_low` and `ci_high` are the least
#'   and the greatest value of the confidence set, which may have gaps (see [mr_valid()]), and are
#'   infinite where the data do not bound it. The p-value is below `1 - conf_level` where 0 is
#'   outside of the set (that package, for the contamination mixture, multiplies by the
#'   overdispersion where it divides for its set). MR-HetPen's weights depend on the units;
#' * MR-cML (`mr_cML` is its default, averaged over models with perturbed data), which needs the
#'   sample size: the smaller one of the columns `samplesize.exposure` and `samplesize.outcome`, in
#'   each the least of the pair's, or `mr_control(n = )`;
#' * MR-LASSO, whose estimate is the IVW one of the variants without a direct effect.
#'
#' `mr_ivw_radial` and `mr_egger_radial` are RadialMR's with modified second-order weights; see
#' [mr_radial()] for the others. MR GRIP is TwoSampleMR's `mr_grip()`. SIMEX extrapolates MR Egger
#' by a quadratic in added noise, `n_boot` draws for each amount.
#'
#' `psi`, the correlation of exposure and outcome effects by sample overlap, is used by the delta
#' weights and by maximum likelihood. The overdispersion `tau2` of dIVW and pIVW is never negative.
#'
#' @section When intervals fail:
#' Type I error and coverage of all methods under twelve kinds of data, 1000 simulated pairs each,
#' are in `vignette("summary_data")`. Far from 95 % are, with 50 variants and a true effect of 0.2
#' standard deviations:
#' * under balanced pleiotropy of 30 or 50 % of the variants, fixed-effect IVW and maximum
#'   likelihood (76 to 80 %) and bootstrap Egger (76 to 83 %);
#' * under directional pleiotropy of 50 %, all forms of IVW, RAPS, dIVW, pIVW and maximum
#'   likelihood (below 10 %) and the medians (9 to 47 %);
#' * where InSIDE is violated by 30 %, all but the simple modes (IVW 0 %, MR Egger 8 %, with the
#'   largest bias of all); by 50 %, these too (65 %);
#' * with weak instruments (mean F of 4), IVW (about 50 %, with delta weights 15 %), medians (51 to
#'   83 %) and MR Egger (79 %), but not RAPS, dIVW, pIVW and maximum likelihood, unless the samples
#'   overlap (65 to 85 %; `psi` corrects maximum likelihood);
#' * under winner's curse, most (15 to 70 %).
#'
#' The robust methods shift these limits and do not remove them. MR-LASSO, MR-PRESSO and MR-cML
#' (BIC) hold 76 to 90 % under balanced pleiotropy, as if the choice of variants had been known
#' before; perturbed data (`mr_cML`) repair that, 91 to 94 %. Under directional pleiotropy of
#' 30 % all but MR Egger, GRIP and the modes lose it (cML 19 to 47 %, contamination mixture 44 %);
#' where InSIDE is violated by 30 % cML-DP and the contamination mixture come next to the modes (58
#' and 71 %, IVW 0 %). The contamination mixture leans away from zero and holds but 80 % of the
#' effects where all variants are valid: variants with small ratios count as invalid. SIMEX undoes
#' the dilution of MR Egger (94 % under directional pleiotropy, bias below .01).
#'
#' Modes and cML with perturbation cover too much where nothing is wrong, and the unweighted
#' regression, with TwoSampleMR's standard error, always.
#'
#' @section Rows that are not used:
#' Rows with `mr_keep` FALSE, or with an effect or standard error that is missing, infinite, or a
#' standard error of zero or less, are dropped; a message says how many and why. A variant that
#' appears twice in a pair is used twice, as TwoSampleMR does, with a warning of class
#' `mrlearn_warning_duplicates`.
#'
#' A method that cannot be used on a pair gives a row of `NA` with the reason in `note`; TwoSampleMR
#' leaves such rows out without a word. `keep_failed = FALSE` leaves them out here too. As there,
#' the Wald ratio is left out for pairs of several variants if other methods are asked for.
#'
#' @param dat A harmonised data frame (also data.table, tibble) with the columns `id.exposure`,
#'   `id.outcome`, `exposure`, `outcome`, `mr_keep`, `beta.exposure`, `beta.outcome`, `se.exposure`,
#'   `se.outcome`.
#' @param methods Names or labels of [mr_methods()]. Default: TwoSampleMR's.
#' @param n_boot Bootstrap draws behind the standard errors of medians, modes and bootstrap Egger;
#'   draws of SIMEX.
#' @param phi Bandwidth factor of the modes.
#' @param penk Penalised median: a variant's weight is multiplied with `min(1, penk * p)`.
#' @param over_dispersion,loss RAPS: allow for balanced pleiotropy? Loss function.
#' @param psi Correlation between the two effect estimates of a variant, between -1 and 1.
#' @param median_weights Weights of the medians: by the second-order variance of the ratio, as
#'   TwoSampleMR, or by the first-order one, as MendelianRandomization.
#' @param mode Modes: the maximum of the density on R's 512 points, as TwoSampleMR and
#'   MendelianRandomization take it (their third digit depends on the grid), or its exact maximum.
#' @param control Settings of MR-cML, the contamination mixture, MR-LASSO and MR-HetPen, from
#'   [mr_control()].
#' @param conf_level Level of the confidence intervals.
#' @param keep_failed Keep rows of methods that could not be used?
#' @param seed `NULL`: bootstrap seeds come from R's generator, so `set.seed()` rules; a whole
#'   number is used as it is. Results do not depend on `n_threads`.
#' @param n_threads Number of threads.
#' @return A data.frame with a row per pair and method, pairs in order of appearance: `id.exposure`,
#'   `id.outcome`, `outcome`, `exposure`, `method`, `nsnp`, `b`, `se`, `pval` as in TwoSampleMR's
#'   `mr()`, so that `rbind(mr(dat), mr_estimate(dat)[1:9])` works; then `ci_low`, `ci_high`; `Q`,
#'   `Q_df`, `Q_pval` (heterogeneity); `intercept`, `intercept_se`, `intercept_pval` (Egger);
#'   `sigma` (residual standard error, of robust fits the scale); `tau2` (overdispersion variance);
#'   `note` (why there is no estimate).
#' @seealso [mrl_method()] for a function of one method; [mr_valid()] for the variants that robust
#'   methods take for valid; [report_table()].
#' @references One for each method: column `reference` of [mr_methods()].
#' @examples
#' dat <- data.frame(
#'   SNP = paste0("rs", 1:5), id.exposure = "LDL", id.outcome = "CHD", exposure = "LDL",
#'   outcome = "CHD", mr_keep = TRUE,
#'   beta.exposure = c(0.026, -0.044, -0.038, -0.023, -0.017), se.exposure = 0.004,
#'   beta.outcome = c(0.068, -0.163, -0.105, -0.062, -0.083), se.outcome = 0.03
#' )
#' mr_estimate(dat, c("mr_ivw", "MR Egger", "Weighted median"), seed = 1)
#' @export
mr_estimate <- function(dat, methods = NULL, n_boot = 1000, phi = 1, penk = 20,
                        over_dispersion = TRUE, loss = c("huber", "l2", "tukey"), psi = 0,
                        median_weights = c("delta", "simple"), mode = c("grid", "exact"),
                        control = mr_control(), conf_level = 0.95, keep_failed = TRUE, seed = NULL,
                        n_threads = mrl_threads()) {
  table <- mr_method_table()
  code <- mr_method_code(methods, table)
  settings <- mr_settings(table, code, n_boot, phi, penk, over_dispersion, loss, psi,
    median_weights, mode, control, seed, n_threads)
  conf_level <- check_conf_level(conf_level)
  settings$chisq <- stats::qchisq(conf_level, 1)
  keep_failed <- check_flag(keep_failed)
  frame <- mr_frame(dat)
  settings <- add_sample_size(settings, dat, frame)
  out <- mr_results(mr_run(frame$effects, frame$start, settings), frame, table[code, ], conf_level)
  wanted <- rep(TRUE, nrow(out))
  if (length(code) > 1L) {
    wanted <- !(out$method == "Wald ratio" & out$nsnp > 1L)
  }
  if (!keep_failed) {
    wanted <- wanted & is.na(out$note)
  }
  out <- out[wanted, ]
  rownames(out) <- NULL
  out
}

# Columns of numbers, rows by pair and within it by method.
mr_run <- function(effects, start, settings) {
  out <- .Call(C_mr_estimate, effects, start, settings)
  check_status(out$status, "estimating causal effects")
  out$value
}

# Rows of the table that names or labels stand for.
mr_method_code <- function(methods, table, arg = "methods") {
  if (is.null(methods)) {
    return(which(table$default))
  }
  if (!is.character(methods) || !length(methods) || anyNA(methods)) {
    stop_argument(arg, "must be names or labels of mr_methods()", describe(methods))
  }
  code <- ifelse(methods %in% table$name, match(methods, table$name), match(methods, table$label))
  if (anyNA(code)) {
    stop_argument(arg, "must be names or labels of mr_methods()",
      paste0("\"", methods[is.na(code)], "\"", collapse = ", "))
  }
  if (anyDuplicated(code)) {
    stop_argument(arg, "must name each method once",
      paste(table$label[code[duplicated(code)]], "twice"))
  }
  code
}

mr_settings <- function(table, code, n_boot, phi, penk, over_dispersion, loss, psi, median_weights,
                        mode, control, seed, n_threads) {
  control <- check_mr_control(control)
  # Without a bootstrap R's generator is left alone.
  drawn <- table$bootstrap[code] | table$size[code] & control$n_starts > 0
  loss <- check_choice(loss, c("huber", "l2", "tukey"))
  median_weights <- check_choice(median_weights, c("delta", "simple"))
  psi <- check_number(psi, min = -1, max = 1, open = TRUE)
  out <- list(
    methods = code - 1L,
    n_boot = check_count(n_boot, min = 2, max = 2^24 - 1),
    phi = check_number(phi, min = 0, open = TRUE),
    penalty = check_number(penk, min = 0, open = TRUE),
    psi = psi,
    over_dispersion = check_flag(over_dispersion),
    loss = match(loss, c("l2", "huber", "tukey")) - 1L,
    first_order = median_weights == "simple",
    mode_exact = check_choice(mode, c("grid", "exact")) == "exact",
    chisq = stats::qchisq(0.95, 1),
    seed = if (any(drawn) || !is.null(seed)) resolve_seed(seed) else 0,
    n_threads = check_threads(n_threads), needs_size = any(table$size[code])
  )
  c(out, control[c("n", "k", "n_pert", "n_starts", "n_starts_pert", "max_iter", "conmix_sd",
    "lambda", "prior")], list(sample_size = NULL))
}

# The table of results: columns of the core, beside pairs and labels.
mr_results <- function(core, frame, methods, conf_level) {
  n_methods <- nrow(methods)
  pair <- rep(seq_len(nrow(frame$pairs)), each = n_methods)
  method <- rep(seq_len(n_methods), nrow(frame$pairs))
  available <- diff(frame$start)[pair]
  q <- mr_quantile(available - methods$df_lost[method], conf_level)
  out <- list(
    id.exposure = frame$pairs$id.exposure[pair], id.outcome = frame$pairs$id.outcome[pair],
    outcome = frame$pairs$outcome[pair], exposure = frame$pairs$exposure[pair],
    method = methods$label[method], nsnp = ifelse(core$n_used > 0L, core$n_used, available),
    b = core$b, se = core$se, pval = core$pval,
    ci_low = ifelse(is.na(core$ci_low), core$b - q * core$se, core$ci_low),
    ci_high = ifelse(is.na(core$ci_high), core$b + q * core$se, core$ci_high)
  )
  rest <- c("Q", "Q_df", "Q_pval", "intercept", "intercept_se", "intercept_pval", "sigma", "tau2")
  out <- c(out, core[rest])
  out$note <- mr_note(core$why, available, methods$min_snps[method], methods$max_snps[method])
  attr(out, "row.names") <- .set_row_names(length(pair))
  class(out) <- "data.frame"
  out
}

# df NA: normal. Degrees of freedom repeat, so t quantiles are computed once for each.
mr_quantile <- function(df, conf_level) {
  p <- (1 + conf_level) / 2
  each <- unique(df)
  q <- rep(stats::qnorm(p), length(each))
  t <- !is.na(each) & each > 0
  q[t] <- stats::qt(p, each[t])
  q[match(df, each)]
}

# In the order of mrl_mr_why.
mr_note <- function(why, available, needed, most) {
  note <- rep(NA_character_, length(why))
  few <- why == 1L
  note[few] <- paste0(
    "needs at least ", needed[few], ifelse(needed[few] == 1L, " variant", " variants"), ", there ",
    ifelse(available[few] == 1L, "is ", "are "), available[few]
  )
  # The sign test counts only some.
  zero <- few & available >= needed
  note[zero] <- paste0("needs at least ", needed[zero], " variants with effects that are not 0")
  many <- why == 2L
  note[many] <- ifelse(most[many] == 1L, "is for one variant",
    paste("is for at most", most[many], "variants"))
  note[why == 3L] <- "not estimable: ratios are not finite, or exposure effects do not differ"
  note[why == 4L] <- "did not converge"
  note[why == 5L] <- paste("needs the sample size: columns samplesize.exposure and",
    "samplesize.outcome, or control = mr_control(n = )")
  note[why == 6L] <- "takes fewer than two variants for valid"
  note
}
