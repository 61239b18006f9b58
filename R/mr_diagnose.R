#' Diagnostics of summary-data Mendelian randomization
#'
#' Are the variants strong, do they agree, do they act directly on the outcome, does the causal
#' arrow point the right way? One row per exposure-outcome pair, or per variant.
#'
#' @param dat A harmonised data.frame, as for [mr_estimate()]. Steiger's test needs
#'   `pval.exposure, pval.outcome, samplesize.exposure, samplesize.outcome`, or `r.exposure` and
#'   `r.outcome` (then sample sizes too).
#' @param per `"pair"` or `"snp"`.
#' @return For pairs a data.frame `id.exposure, id.outcome, outcome, exposure, nsnp` and
#' * `Q, Q_df, Q_pval`: Cochran's heterogeneity about the IVW estimate; `I2`: \eqn{\max(0, (Q -
#'   df)/Q)};
#' * `Q_egger, Q_egger_df, Q_egger_pval`: Rucker's Q' about the Egger line;
#' * `Q_difference, Q_difference_pval`: Q - Q', chi-squared with one degree of freedom if there is
#'   no
#'   directional pleiotropy;
#' * `egger_intercept, egger_intercept_se, egger_intercept_pval`: mean direct effect (directional
#'   pleiotropy);
#' * `I2_GX`: \eqn{(Q_{GX} - (n - 1))/Q_{GX}} of \eqn{|b_X|/s_Y} with weights \eqn{(s_Y/s_X)^2},
#'   not below 0: one minus the
#'   dilution of Egger's slope (Bowden et al. 2016);
#' * `F_mean, F_min`: mean and least of \eqn{(b_X/s_X)^2}; `nsnp_weak`: how many are below 10;
#' * `snp_r2.exposure, snp_r2.outcome, correct_causal_direction, steiger_pval`: variance that the
#'   variants
#'   explain, and Steiger's test that they explain more of the exposure (TwoSampleMR's
#'   `directionality_test()`; all traits count as quantitative).
#'
#' For variants: the pair's columns, `SNP`, `F`, `b` and `se` (Wald ratio), `Q` (contribution to
#' Cochran's Q),
#' `steiger_dir` (more variance of the exposure explained?), `steiger_pval`. What cannot be
#' computed is
#' NA.
#' @references Bowden et al. (2016), Int. J. Epidemiol. 45:1961 (I2_GX). Bowden et al. (2017),
#'   Stat. Med.
#'   36:1783 (Q and Q'). Hemani, Tilling & Davey Smith (2017), PLoS Genet. 13:e1007081 (Steiger).
#' @examples
#' mr_diagnose(subset(lipid_chd, exposure == "LDL"))
#' head(mr_diagnose(subset(lipid_chd, exposure == "LDL"), per = "snp"))
#' @export
mr_diagnose <- function(dat, per = c("pair", "snp")) {
  per <- check_choice(per, c("pair", "snp"))
  frame <- mr_frame(dat, if (per == "snp") "SNP" else character())
  pair <- rep(seq_len(nrow(frame$pairs)), diff(frame$start))
  steiger <- steiger_inputs(dat, frame)
  if (per == "snp") {
    return(snp_diagnostics(dat, frame, pair, steiger))
  }
  pair_diagnostics(frame, pair, steiger)
}

sum_by <- function(x, pair, n) {
  out <- numeric(n)
  sums <- rowsum(x, pair)
  out[as.integer(rownames(sums))] <- sums
  out
}

pair_diagnostics <- function(frame, pair, steiger) {
  n_pairs <- nrow(frame$pairs)
  e <- frame$effects
  settings <- mr_settings_from(c("mr_ivw", "mr_egger_regression"))
  fits <- mr_run(e, frame$start, settings)
  ivw <- lapply(fits, `[`, seq(1L, by = 2L, length.out = n_pairs))
  egger <- lapply(fits, `[`, seq(2L, by = 2L, length.out = n_pairs))
  n <- diff(frame$start)
  f <- (e$bx / e$sx)^2
  least <- rep(NA_real_, n_pairs)
  least[n > 0L] <- vapply(split(f, pair), min, 1)
  difference <- pmax(0, ivw$Q - egger$Q)
  data.frame(
    frame$pairs, nsnp = n, Q = ivw$Q, Q_df = ivw$Q_df, Q_pval = ivw$Q_pval,
    I2 = pmax(0, (ivw$Q - ivw$Q_df) / ivw$Q), Q_egger = egger$Q, Q_egger_df = egger$Q_df,
    Q_egger_pval = egger$Q_pval, Q_difference = difference,
    Q_difference_pval = stats::pchisq(difference, 1, lower.tail = FALSE),
    egger_intercept = egger$intercept, egger_intercept_se = egger$intercept_se,
    egger_intercept_pval = egger$intercept_pval, I2_GX = i2_gx(e, pair, n),
    F_mean = sum_by(f, pair, n_pairs) / n, F_min = least,
    nsnp_weak = as.integer(sum_by(as.double(f < 10), pair, n_pairs)),
    steiger_by_pair(steiger, pair, n)
  )
}

i2_gx <- function(e, pair, n) {
  ratio <- abs(e$bx) / e$sy
  weight <- (e$sy / e$sx)^2
  k <- length(n)
  mean <- sum_by(weight * ratio, pair, k) / sum_by(weight, pair, k)
  q <- sum_by(weight * (ratio - mean[pair])^2, pair, k)
  ifelse(n > 1L, pmax(0, (q - (n - 1)) / q), NA_real_)
}

snp_diagnostics <- function(dat, frame, pair, steiger) {
  e <- frame$effects
  ivw <- mr_run(e, frame$start, mr_settings_from("mr_ivw"))
  r <- steiger_test(steiger$r.exposure, steiger$r.outcome, steiger$n.exposure, steiger$n.outcome)
  data.frame(
    frame$pairs[pair, ], SNP = as.character(dat$SNP[frame$row]), F = (e$bx / e$sx)^2,
    b = e$by / e$bx, se = e$sy / abs(e$bx), Q = ((e$by - ivw$b[pair] * e$bx) / e$sy)^2,
    steiger_dir = r$direction, steiger_pval = r$p, row.names = NULL
  )
}

# Correlations of each used variant with exposure and outcome, given or from p-values; NA if
# unknown.
steiger_inputs <- function(dat, frame) {
  column <- function(name) {
    x <- dat[[name]]
    x <- if (is.null(x)) rep(NA_real_, nrow(dat)) else x
    check_doubles(x, paste0("dat$", name), n = nrow(dat), finite = FALSE)[frame$row]
  }
  n_exposure <- column("samplesize.exposure")
  n_outcome <- column("samplesize.outcome")
  r <- function(side, n) {
    given <- column(paste0("r.", side))
    ifelse(is.na(given), r_from_p(column(paste0("pval.", side)), n), given)
  }
  list(r.exposure = r("exposure", n_exposure), r.outcome = r("outcome", n_outcome),
    n.exposure = n_exposure, n.outcome = n_outcome)
}

# Correlation of a variant with a trait from its two-sided p-value in n people: F = t^2. P-values
# that underflow to 0 count as the least double.
r_from_p <- function(p, n) {
  f <- suppressWarnings(
    stats::qf(log(pmax(p, .Machine$double.xmin)), 1, n - 1, lower.tail = FALSE, log.p = TRUE)
  )
  sqrt(f / (n - 2 + f))
}

# Fisher's z of two correlations from independent samples.
steiger_test <- function(r_exposure, r_outcome, n_exposure, n_outcome) {
  z <- suppressWarnings(
    (atanh(r_exposure) - atanh(r_outcome)) / sqrt(1 / (n_exposure - 3) + 1 / (n_outcome - 3))
  )
  list(direction = r_exposure > r_outcome, p = 2 * stats::pnorm(-abs(z)))
}

steiger_by_pair <- function(steiger, pair, n) {
  k <- length(n)
  mean_of <- function(x) sum_by(x, pair, k) / n
  r2_exposure <- sum_by(steiger$r.exposure^2, pair, k)
  r2_outcome <- sum_by(steiger$r.outcome^2, pair, k)
  none <- n == 0L
  r2_exposure[none] <- NA_real_
  r2_outcome[none] <- NA_real_
  test <- steiger_test(sqrt(r2_exposure), sqrt(r2_outcome), mean_of(steiger$n.exposure),
    mean_of(steiger$n.outcome))
  data.frame(snp_r2.exposure = r2_exposure, snp_r2.outcome = r2_outcome,
    correct_causal_direction = test$direction, steiger_pval = test$p)
}
