#' Summary data of several exposures
#'
#' Puts the effects of variants on several exposures and one outcome into the list that
#' [mv_estimate()] and [mv_diagnose()] take; TwoSampleMR's `mv_multiple()` takes it as well. The
#' effects must already count the same allele; nothing is flipped.
#'
#' @param b_exp,se_exp Effects on the exposures and their standard errors: matrices (or data.frames)
#'   with a row per variant and a column per exposure.
#' @param b_out,se_out Effects on the outcome and their standard errors (n).
#' @param snp Names of the variants; by default the row names of `b_exp`, else `snp1`, `snp2`, ...
#' @param exposure Names of the exposures; by default the column names of `b_exp`.
#' @param outcome Name of the outcome.
#' @param ld `NULL` for independent variants, or the n x n matrix of their correlations, signed for
#'   the alleles that the effects count. IVW and Egger use it.
#' @param gencov Covariance of the errors of a variant's estimates, which comes from exposures
#'   measured in the same people. `0`: none. A matrix of correlations, k x k for the exposures
#'   (their phenotypic correlation if all were measured in the same sample: MVMR's
#'   `phenocov_mvmr(pcor, se)`), or with the outcome as last row and column, (k + 1) x (k + 1)
#'   (MendelianRandomization's `rho_mat`): each variant's covariances are these times its standard
#'   errors. Or a list with a covariance matrix for each variant, as `snpcov_mvmr()` makes it.
#' @return A list of class `mv_data` with TwoSampleMR's elements `exposure_beta`, `exposure_pval`,
#'   `exposure_se` (matrices; column names are ids of exposures), `outcome_beta`, `outcome_pval`,
#'   `outcome_se`, `expname`, `outname`; and `snp`, `ld`, `gencov`. P-values are those of the normal
#'   law.
#' @examples
#' lipids <- split(lipid_chd, lipid_chd$exposure)
#' dat <- mv_data(
#'   sapply(lipids, `[[`, "beta.exposure"), sapply(lipids, `[[`, "se.exposure"),
#'   lipids$LDL$beta.outcome, lipids$LDL$se.outcome, outcome = "CHD"
#' )
#' mv_estimate(dat, "mv_ivw")
#' # The harmonised rows themselves do too.
#' mv_estimate(lipid_chd, "mv_ivw")
#' @export
mv_data <- function(b_exp, se_exp, b_out, se_out, snp = NULL, exposure = NULL,
                    outcome = "outcome", ld = NULL, gencov = 0) {
  b_exp <- mv_matrix(b_exp, "b_exp")
  n <- nrow(b_exp)
  se_exp <- mv_matrix(se_exp, "se_exp", dim(b_exp))
  b_out <- check_doubles(b_out, "b_out", n, finite = FALSE)
  se_out <- check_doubles(se_out, "se_out", n, finite = FALSE)
  snp <- if (is.null(snp)) rownames(b_exp) else snp
  snp <- if (is.null(snp)) paste0("snp", seq_len(n), recycle0 = TRUE) else snp
  snp <- names_of(snp, n, "snp", one = FALSE)
  exposure <- mv_exposure_names(exposure, b_exp)
  outcome <- check_string(outcome)
  dimnames(b_exp) <- dimnames(se_exp) <- list(snp, exposure)
  p_of <- function(b, se) 2 * stats::pnorm(-abs(b / se))
  structure(class = "mv_data", list(
    exposure_beta = b_exp, exposure_pval = p_of(b_exp, se_exp), exposure_se = se_exp,
    outcome_beta = b_out, outcome_pval = p_of(b_out, se_out), outcome_se = se_out,
    expname = data.frame(id.exposure = exposure, exposure = exposure),
    outname = data.frame(id.outcome = outcome, outcome = outcome),
    snp = snp, ld = check_ld(ld, n), gencov = gencov
  ))
}

mv_matrix <- function(x, arg, dims = NULL) {
  x <- if (is.data.frame(x)) as.matrix(x) else x
  if (!is.matrix(x) || !is.numeric(x)) {
    stop_argument(arg, "must be a numeric matrix, a row per variant and a column per exposure",
      describe(x))
  }
  if (!is.null(dims) && any(dim(x) != dims)) {
    stop_argument(arg, paste("must have dimensions", paste(dims, collapse = " x ")),
      paste(dim(x), collapse = " x "))
  }
  if (!length(x)) {
    stop_argument(arg, "must have rows and columns", describe(x), what = "data")
  }
  storage.mode(x) <- "double"
  x
}

mv_exposure_names <- function(exposure, b_exp) {
  k <- ncol(b_exp)
  exposure <- if (is.null(exposure)) colnames(b_exp) else exposure
  exposure <- if (is.null(exposure)) paste0("exposure", seq_len(k)) else exposure
  exposure <- names_of(exposure, k, "exposure", one = FALSE)
  if (anyNA(exposure) || anyDuplicated(exposure)) {
    stop_argument("exposure", "must be different names",
      if (anyNA(exposure)) "NA" else paste(exposure[duplicated(exposure)][1], "twice"))
  }
  exposure
}

#' @export
print.mv_data <- function(x, ...) {
  cat("Effects of ", nrow(x$exposure_beta), " variants on ", nrow(x$expname), " exposures (",
    paste(x$expname$exposure, collapse = ", "), ") and ", x$outname$outcome, ".\n",
    sep = "")
  if (!is.null(x$ld)) {
    cat("The variants are correlated.\n")
  }
  invisible(x)
}
