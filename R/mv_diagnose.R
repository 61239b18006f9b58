#' Diagnostics of multivariable Mendelian randomization
#'
#' Do the variants predict each exposure when the others are held fixed, do they agree on the direct
#' effects, how alike are the exposures' effects?
#'
#' @param dat,ld,gencov As in [mv_estimate()]. `gencov` matters where exposures were measured in the
#'   same people: left at 0 there, the conditional F and Q are wrong. Correlated variants (`ld`) are
#'   refused: F and Q are sums over independent variants.
#' @param per `"exposure"`, `"pair"` of exposures, or `"snp"`.
#' @return For exposures a data.frame `id.exposure`, `exposure`, `id.outcome`, `outcome`, `nsnp` and
#' * `F_mean`: mean of \eqn{(b_X/s_X)^2}; `nsnp_weak`: how many are below 10;
#' * `F_conditional`: the conditional F statistic of Sanderson and Windmeijer for summary data, as
#'   MVMR's `strength_mvmr()`: with \eqn{\delta} from the unweighted regression of this exposure's
#'   effects on the others', the mean of squared residuals over their variances. Below 10 the direct
#'   effects by IVW are biased by weak instruments;
#' * `F_least`: the same with the \eqn{\delta} that makes it least, and \eqn{n - (k - 1)} instead of
#'   n in the mean: around 1, as F, if the variants do not tell some combination of the exposures
#'   from nothing. That combination is the same whichever exposure one begins with, and so is the
#'   number: the strength of the weakest combination, as Cragg and Donald's statistic is for
#'   individual data;
#' * `R2_others`: share of this exposure's effects (their weighted sum of squares) that the others'
#'   explain;
#' * `Q`, `Q_df`, `Q_pval`, `I2`: heterogeneity of the outcome's effects about the IVW estimates,
#'   with the variance of all effects, as MVMR's `pleiotropy_mvmr()` (which takes off one more
#'   degree of freedom than there are parameters), and its share beyond chance;
#' * `Q_least`, `Q_least_pval`: its least value over all direct effects, an exact test of pleiotropy
#'   also with weak variants. Q does not depend on the exposure and is repeated.
#'
#' For pairs `id.exposure`, `exposure`, `id.exposure2`, `exposure2`, `correlation` (of the effects
#' about their means), `cosine` (weighted by \eqn{1/s_Y^2}, about zero, as IVW sees them). For
#' variants `SNP`, `residual` of the outcome's effect about the IVW estimates, `se` of that, `z`,
#' and `Q`, the contribution to Q.
#'
#' With one exposure `F_conditional` and `F_least` are `F_mean`.
#' @references Sanderson, Spiller and Bowden (2021), Stat. Med. 40:5434. Sanderson and Windmeijer
#'   (2016), J. Econom. 190:212.
#' @examples
#' mv_diagnose(lipid_chd)
#' mv_diagnose(lipid_chd, per = "pair")
#' @export
mv_diagnose <- function(dat, per = c("exposure", "pair", "snp"), ld = NULL, gencov = NULL) {
  per <- check_choice(per, c("exposure", "pair", "snp"))
  frame <- mv_frame(dat, ld, gencov)
  if (per == "pair") {
    return(mv_pairs(frame))
  }
  if (!is.null(frame$effects$ld)) {
    stop_argument("ld", "must be NULL: conditional F and Q are sums over independent variants",
      "correlations")
  }
  out <- .Call(C_mvmr_diagnose, frame$effects)
  check_status(out$status, "computing the strength of the variants")
  if (per == "snp") {
    return(mv_snp_rows(frame, out$value))
  }
  mv_exposure_rows(frame, out$value)
}

mv_exposure_rows <- function(frame, core) {
  n <- length(frame$row)
  k <- nrow(frame$ids)
  f <- (frame$effects$bx / frame$sx)^2
  df <- n - k
  p_of <- function(q) {
    if (df > 0L) stats::pchisq(q, df, lower.tail = FALSE) else NA_real_
  }
  data.frame(
    frame$ids, nsnp = n, F_mean = colMeans(f), nsnp_weak = as.integer(colSums(f < 10)),
    F_conditional = core$f, F_least = core$f_least, R2_others = core$r2,
    Q = core$q, Q_df = df, Q_pval = p_of(core$q), I2 = excess_share(core$q, df),
    Q_least = core$q_least, Q_least_pval = p_of(core$q_least)
  )
}

mv_pairs <- function(frame) {
  k <- nrow(frame$ids)
  at <- which(upper.tri(diag(k)), arr.ind = TRUE)
  x <- frame$effects$bx
  weighted <- crossprod(x / frame$sy)
  cosine <- weighted / sqrt(outer(diag(weighted), diag(weighted)))
  correlation <- suppressWarnings(stats::cor(x)) # NA where effects do not differ
  data.frame(
    id.exposure = frame$ids$id.exposure[at[, 1]], exposure = frame$ids$exposure[at[, 1]],
    id.exposure2 = frame$ids$id.exposure[at[, 2]], exposure2 = frame$ids$exposure[at[, 2]],
    correlation = correlation[at], cosine = cosine[at]
  )
}

mv_snp_rows <- function(frame, core) {
  z <- core$residual / core$spread
  data.frame(SNP = frame$snp, residual = core$residual, se = core$spread, z = z, Q = z^2)
}
