#' Diagnostics of summary-data Mendelian randomization
#'
#' Are the variants strong, do they agree, do they act directly on the outcome, does the causal
#' arrow point the right way? One row per exposure-outcome pair, or per variant. The test of Egger's
#' intercept takes no standard error below that of the variants' own errors, as usual, and so
#' rejects less than it says: 2.5 % at the level 5 % where no variant is pleiotropic (1000
#' simulations, bench/reliability.md of the sources).
#'
#' @param dat A harmonised data.frame, as for [mr_estimate()]. Steiger's test takes `r.exposure` and
#'   `r.outcome` (correlations of variant and trait) or, where they are missing, `pval.exposure` and
#'   `pval.outcome`, and needs `samplesize.exposure` and `samplesize.outcome`.
#' @param per `"pair"` or `"snp"`.
#' @return For pairs a data.frame `id.exposure, id.outcome, outcome, exposure, nsnp` and
#' * `Q, Q_df, Q_pval`: Cochran's heterogeneity about the IVW estimate; `I2`: \eqn{\max(0, (Q -
#'   df)/Q)};
#' * `Q_egger, Q_egger_df, Q_egger_pval`: Rucker's Q' about the Egger line;
#' * `Q_difference, Q_difference_pval`: Q - Q', chi-squared with one degree of freedom if there is
#'   no directional pleiotropy;
#' * `egger_intercept, egger_intercept_se, egger_intercept_pval`: mean direct effect (directional
#'   pleiotropy);
#' * `I2_GX`: \eqn{(Q_{GX} - (n - 1))/Q_{GX}} of \eqn{|b_X|/s_Y} with weights \eqn{(s_Y/s_X)^2},
#'   not below 0: one minus the dilution of Egger's slope (Bowden et al. 2016);
#' * `F_mean, F_min`: mean and least of \eqn{(b_X/s_X)^2}; `nsnp_weak`: how many are below 10;
#' * `snp_r2.exposure, snp_r2.outcome, correct_causal_direction, steiger_pval`: variance that the
#'   variants explain, and Steiger's test of whether they explain more of the exposure
#'   (TwoSampleMR's `directionality_test()`; all traits count as quantitative). Variants of which a
#'   correlation is unknown are left out of it.
#'
#' For variants: the pair's columns, `SNP`, `F`, `b` and `se` (Wald ratio), `Q` (contribution to
#' Cochran's Q), `steiger_dir` (more variance of the exposure explained?), `steiger_pval`. What
#' cannot be computed is `NA`.
#' @references Bowden et al. (2016), Int. J. Epidemiol. 45:1961 (I2_GX). Bowden et al. (2017),
#'   Stat. Med. 36:1783 (Q and Q'). Hemani, Tilling & Davey Smith (2017), PLoS Genet. 13:e1007081
#'   (Steiger).
#' @examples
#' mr_diagnose(subset(lipid_chd, exposure == "LDL"))
#' head(mr_diagnose(subset(lipid_chd, exposure == "LDL"), per = "snp"))
#' @export
mr_diagnose <- function(dat, per = c("pair", "snp")) {
  per <- check_choice(per, c("pair", "snp"))
  frame <- mr_frame(dat, if (per == "snp") "SNP")
  pair <- rep(seq_len(nrow(frame$pairs)), diff(frame$start))
  correlations <- steiger_inputs(dat, frame)
  out <- if (per == "snp") {
    snp_diagnostics(dat, frame, pair, correlations)
  } else {
    pair_diagnostics(frame, pair, correlations)
  }
  numbers <- vapply(out, is.double, NA)
  out[numbers] <- lapply(out[numbers], no_nan)
  out
}

# Sums of x by pair, of which there are n; 0 for pairs without rows.
sum_by <- function(x, pair, n) {
  out <- numeric(n)
  sums <- rowsum(x, pair)
  out[as.integer(rownames(sums))] <- sums
  out
}

# Share of a heterogeneity q beyond its degrees of freedom; 0 where there is none at all.
excess_share <- function(q, df) {
  ifelse(q > 0, pmax(0, (q - df) / q), 0)
}

pair_diagnostics <- function(frame, pair, correlations) {
  k <- nrow(frame$pairs)
  e <- frame$effects
  plan <- mr_plan(c("mr_ivw", "mr_egger_regression"), "methods")
  fits <- mr_run(e, frame$start, plan$settings)
  ivw <- lapply(fits, `[`, seq(1L, by = 2L, length.out = k))
  egger <- lapply(fits, `[`, seq(2L, by = 2L, length.out = k))
  n <- diff(frame$start)
  f <- (e$bx / e$sx)^2
  least <- rep(NA_real_, k)
  least[n > 0L] <- vapply(split(f, pair), min, 1)
  difference <- pmax(0, ivw$Q - egger$Q)
  data.frame(
    frame$pairs, nsnp = n, Q = ivw$Q, Q_df = ivw$Q_df, Q_pval = ivw$Q_pval,
    I2 = excess_share(ivw$Q, ivw$Q_df), Q_egger = egger$Q, Q_egger_df = egger$Q_df,
    Q_egger_pval = egger$Q_pval, Q_difference = difference,
    Q_difference_pval = stats::pchisq(difference, 1, lower.tail = FALSE),
    egger_intercept = egger$intercept, egger_intercept_se = egger$intercept_se,
    egger_intercept_pval = egger$intercept_pval, I2_GX = i2_gx(e, pair, n),
    F_mean = sum_by(f, pair, k) / n, F_min = least,
    nsnp_weak = as.integer(sum_by(as.double(f < 10), pair, k)),
    steiger_by_pair(correlations, pair, k)
  )
}

i2_gx <- function(e, pair, n) {
  k <- length(n)
  ratio <- abs(e$bx) / e$sy
  weight <- (e$sy / e$sx)^2
  mean <- sum_by(weight * ratio, pair, k) / sum_by(weight, pair, k)
  q <- sum_by(weight * (ratio - mean[pair])^2, pair, k)
  ifelse(n > 1L, excess_share(q, n - 1), NA_real_)
}

snp_diagnostics <- function(dat, frame, pair, correlations) {
  e <- frame$effects
  ivw <- mr_run(e, frame$start, mr_plan("mr_ivw", "methods")$settings)
  ratio <- wald_ratios(e)
  steiger <- do.call(steiger_test, correlations)
  data.frame(
    lapply(frame$pairs, `[`, pair), SNP = as.character(dat[["SNP"]])[frame$row],
    F = (e$bx / e$sx)^2, b = ratio$b, se = ratio$se,
    Q = ((e$by - ivw$b[pair] * e$bx) / e$sy)^2,
    steiger_dir = steiger$direction, steiger_pval = steiger$p
  )
}

# Absolute correlations of each used variant with exposure and outcome, given or from p-values, and
# sample sizes; NA if unknown.
steiger_inputs <- function(dat, frame) {
  column <- function(name) {
    if (is.null(dat[[name]])) {
      return(rep(NA_real_, length(frame$row)))
    }
    mr_numbers(dat, name, "dat")[frame$row]
  }
  side <- function(which, b, se) {
    n <- column(paste0("samplesize.", which))
    r <- abs(column(paste0("r.", which)))
    from_p <- r_from_p(column(paste0("pval.", which)), n, b, se)
    list(r = ifelse(is.na(r), from_p, r), n = n)
  }
  e <- frame$effects
  exposure <- side("exposure", e$bx, e$sx)
  outcome <- side("outcome", e$by, e$sy)
  list(r_exposure = exposure$r, r_outcome = outcome$r, n_exposure = exposure$n,
    n_outcome = outcome$n)
}

# Correlation of a variant with a trait from its two-sided p-value in n people, by F with 1 and
# n - 1 degrees of freedom (t squared) as in TwoSampleMR; where p is too small for a double, F is
# the square of b / se.
r_from_p <- function(p, n, b, se) {
  known <- which(p >= .Machine$double.xmin & p <= 1 & n > 2)
  f <- ifelse(p < .Machine$double.xmin, (b / se)^2, NA_real_)
  f[known] <- stats::qt(p[known] / 2, n[known] - 1, lower.tail = FALSE)^2
  sqrt(f / (n - 2 + f))
}

# Fisher's z of two correlations from independent samples. NA where they are no correlations.
steiger_test <- function(r_exposure, r_outcome, n_exposure, n_outcome) {
  z <- function(r) atanh(ifelse(r < 1, r, NA_real_))
  variance <- ifelse(n_exposure > 3 & n_outcome > 3, 1 / (n_exposure - 3) + 1 / (n_outcome - 3), NA)
  list(
    direction = r_exposure > r_outcome,
    p = 2 * stats::pnorm(-abs(z(r_exposure) - z(r_outcome)) / sqrt(variance))
  )
}

# Explained variances add up over the variants of which both are known; sample sizes are averaged.
steiger_by_pair <- function(correlations, pair, k) {
  known <- !is.na(correlations$r_exposure) & !is.na(correlations$r_outcome)
  pair <- pair[known]
  n <- sum_by(rep(1, length(pair)), pair, k)
  sum_of <- function(x) ifelse(n > 0, sum_by(x[known], pair, k), NA_real_)
  r2_exposure <- sum_of(correlations$r_exposure^2)
  r2_outcome <- sum_of(correlations$r_outcome^2)
  test <- steiger_test(sqrt(r2_exposure), sqrt(r2_outcome), sum_of(correlations$n_exposure) / n,
    sum_of(correlations$n_outcome) / n)
  data.frame(
    snp_r2.exposure = r2_exposure, snp_r2.outcome = r2_outcome,
    correct_causal_direction = test$direction, steiger_pval = test$p
  )
}
