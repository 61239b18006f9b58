#' Summary data for Mendelian randomization from vectors
#'
#' Puts the effects of variants on exposure and outcome into the harmonised data.frame that
#' [mr_estimate()] and TwoSampleMR take. The effects must already count the same allele; nothing is
#' flipped.
#'
#' @param b_exp,se_exp Effects on the exposure and their standard errors (n variants).
#' @param b_out,se_out Effects on the outcome and their standard errors (n).
#' @param snp Names of the variants; by default `snp1`, `snp2`, ...
#' @param exposure,outcome Names of exposure and outcome: one string each, or n of them for several
#'   pairs.
#' @param effect_allele,other_allele,eaf Alleles and the frequency of the effect allele, if known
#'   (one or n values each).
#' @param samplesize_exp,samplesize_out Sample sizes, if known; Steiger's test needs them.
#' @return A data.frame with TwoSampleMR's columns `SNP, effect_allele.exposure,
#'   other_allele.exposure, effect_allele.outcome, other_allele.outcome, beta.exposure,
#'   beta.outcome, eaf.exposure, eaf.outcome, se.exposure, se.outcome, pval.exposure, pval.outcome,
#'   samplesize.exposure, samplesize.outcome, id.exposure, exposure, id.outcome, outcome, mr_keep`,
#'   a row per variant. `mr_keep` is TRUE for all; [mr_estimate()] says what it cannot use. Ids are
#'   the names of exposure and outcome. P-values are those of the normal law.
#' @examples
#' dat <- mr_data(b_exp = c(0.10, 0.20, 0.15), se_exp = rep(0.02, 3),
#'   b_out = c(0.03, 0.05, 0.06), se_out = rep(0.01, 3), exposure = "BMI", outcome = "CHD")
#' mr_estimate(dat, "mr_ivw")
#' @export
mr_data <- function(b_exp, se_exp, b_out, se_out, snp = NULL, exposure = "exposure",
                    outcome = "outcome", effect_allele = NA_character_,
                    other_allele = NA_character_, eaf = NA_real_, samplesize_exp = NA_real_,
                    samplesize_out = NA_real_) {
  n <- length(b_exp)
  effect <- function(x, arg) {
    check_doubles(if (inherits(x, "haven_labelled")) unclass(x) else x, arg, n, finite = FALSE)
  }
  b_exp <- effect(b_exp, "b_exp")
  se_exp <- effect(se_exp, "se_exp")
  b_out <- effect(b_out, "b_out")
  se_out <- effect(se_out, "se_out")
  snp <- if (is.null(snp)) paste0("snp", seq_len(n), recycle0 = TRUE) else snp
  snp <- names_of(snp, n, "snp", one = FALSE)
  exposure <- names_of(exposure, n, "exposure")
  outcome <- names_of(outcome, n, "outcome")
  effect_allele <- names_of(effect_allele, n, "effect_allele")
  other_allele <- names_of(other_allele, n, "other_allele")
  eaf <- numbers_of(eaf, n, "eaf")
  data.frame(
    SNP = snp,
    effect_allele.exposure = effect_allele, other_allele.exposure = other_allele,
    effect_allele.outcome = effect_allele, other_allele.outcome = other_allele,
    beta.exposure = b_exp, beta.outcome = b_out, eaf.exposure = eaf, eaf.outcome = eaf,
    se.exposure = se_exp, se.outcome = se_out,
    pval.exposure = 2 * stats::pnorm(-abs(b_exp / se_exp)),
    pval.outcome = 2 * stats::pnorm(-abs(b_out / se_out)),
    samplesize.exposure = numbers_of(samplesize_exp, n, "samplesize_exp"),
    samplesize.outcome = numbers_of(samplesize_out, n, "samplesize_out"),
    id.exposure = exposure, exposure = exposure, id.outcome = outcome, outcome = outcome,
    mr_keep = rep(TRUE, n)
  )
}

names_of <- function(x, n, arg, one = TRUE) {
  if (!is.atomic(x) || !is.null(dim(x))) {
    stop_argument(arg, "must be a vector of names", describe(x))
  }
  one_or_n(as.character(x), n, arg, one)
}

numbers_of <- function(x, n, arg) {
  one_or_n(check_doubles(x, arg, finite = FALSE), n, arg)
}

one_or_n <- function(x, n, arg, one = TRUE) {
  if (length(x) != n && !(one && length(x) == 1L)) {
    stop_argument(arg, paste0("must have length ", if (one) "1 or ", n),
      paste("length", length(x)))
  }
  rep_len(x, n)
}
