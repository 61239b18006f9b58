#' Simulate summary data with known causal effects
#'
#' Effects of variants on exposure and outcome as two genome-wide studies would report them, with a
#' known causal effect and chosen departures from the assumptions: invalid variants (balanced or
#' directional pleiotropy, InSIDE kept or violated), samples that overlap, selection on the same
#' data (winner's curse). Exposure and outcome have variance 1.
#'
#' For variant \eqn{j}, \eqn{maf_j} is uniform on `maf`, the standard errors are
#' \eqn{1 / \sqrt{2 maf_j (1 - maf_j) n}} for each study's size \eqn{n}, and
#' \deqn{b^X_j = \gamma_j + s^X_j e_j, \quad b^Y_j = \theta \gamma_j + \alpha_j + s^Y_j f_j.}
#' The allele that raises the exposure is reported as effect allele or not by a fair coin. Valid
#' variants have \eqn{\gamma_j = |N(0, effect\_sd^2)|} and \eqn{\alpha_j = 0}. A share `invalid` of
#' them has a direct effect of the trait-raising allele: \eqn{\alpha_j \sim N(0, s^2)} with
#' `pleiotropy = "balanced"`, \eqn{N(s, (s/2)^2)} with `"directional"`, \eqn{s} =
#' `pleiotropy_sd`. With `inside = FALSE` they also act on a confounder, by \eqn{p_j = |N(0,
#' effect\_sd^2)|}, which adds \eqn{p_j} to \eqn{\gamma_j} and \eqn{p_j} to \eqn{\alpha_j}: strength
#' and direct effect are correlated.
#'
#' Overlapping samples make the errors correlated, by `overlap`
#' \eqn{\min(n_X, n_Y) / \sqrt{n_X n_Y}} times `correlation`. Variants must pass `p_threshold`:
#' with `winners_curse = TRUE` by the very estimate that is reported, else by that of another sample
#' of the same size.
#'
#' @param n_snps Variants of each pair, at least 1.
#' @param theta Causal effect.
#' @param n_exposure,n_outcome Sizes of the two studies.
#' @param n_pairs Exposure-outcome pairs (replicates), each with variants of its own.
#' @param invalid Expected share of invalid variants, 0 to 1.
#' @param pleiotropy `"balanced"` or `"directional"`.
#' @param pleiotropy_sd Size of the direct effects, see Details.
#' @param inside Does InSIDE hold?
#' @param overlap Share of the smaller study that is in the other too, 0 to 1.
#' @param correlation Correlation of exposure and outcome, through which overlap acts.
#' @param winners_curse Are variants selected on the estimates that are reported?
#' @param p_threshold P-value that a variant must be below; 1 selects nothing.
#' @param effect_sd Scale of the variants' effects on the exposure.
#' @param maf Range of the allele frequencies.
#' @param seed One whole number, or NULL to draw one from R's generator.
#' @param n_threads Number of threads; the result does not depend on it.
#' @return A data.frame of class `mr_sim` with the columns of [mr_data()], `n_snps` rows for each
#'   pair; the pairs are the exposures `X1`, `X2`, ... and the outcomes `Y1`, `Y2`, ... [truth()]
#'   has `beta` and `theta` (the causal effect), `curve`, `gamma`, `alpha`, `valid`, `mafs` (a value
#'   per row), `rho` (correlation of the errors), `n`, `seed`.
#' @references Bowden, Davey Smith & Burgess (2015), Int. J. Epidemiol. 44:512 (balanced and
#'   directional pleiotropy, InSIDE). Burgess, Davies & Thompson (2016), Genet. Epidemiol. 40:597
#'   (overlap).
#' @examples
#' sim <- sim_summary(n_snps = 50, theta = 0.3, invalid = 0.3, pleiotropy = "directional", seed = 1)
#' mr_estimate(sim, c("mr_ivw", "mr_weighted_median"), seed = 1)[c("method", "b", "se")]
#' @export
sim_summary <- function(n_snps = 50, theta = 0.2, n_exposure = 1e5, n_outcome = 1e5, n_pairs = 1,
                        invalid = 0, pleiotropy = c("balanced", "directional"),
                        pleiotropy_sd = 0.01, inside = TRUE, overlap = 0, correlation = 0.5,
                        winners_curse = FALSE, p_threshold = 5e-8, effect_sd = 0.03,
                        maf = c(0.05, 0.5), seed = NULL, n_threads = mrl_threads()) {
  n_snps <- check_count(n_snps)
  n_pairs <- check_count(n_pairs)
  if (as.double(n_snps) * n_pairs > 2^31 - 1) {
    stop_argument("n_pairs", "times `n_snps` must be below 2^31",
      big(as.double(n_snps) * n_pairs))
  }
  pleiotropy <- check_choice(pleiotropy, c("balanced", "directional"))
  check_flag(inside)
  check_flag(winners_curse)
  size <- check_number(pleiotropy_sd, min = 0)
  directional <- pleiotropy == "directional"
  n_exposure <- check_number(n_exposure, min = 10)
  n_outcome <- check_number(n_outcome, min = 10)
  shared <- check_number(overlap, min = 0, max = 1) * min(n_exposure, n_outcome)
  maf <- check_maf_range(maf)
  settings <- list(
    n_pair = n_pairs, n_snp = n_snps, seed = resolve_seed(seed), theta = check_number(theta),
    n_exposure = n_exposure, n_outcome = n_outcome, maf_low = maf[1], maf_high = maf[2],
    effect_sd = check_number(effect_sd, min = 0, open = TRUE),
    invalid = check_number(invalid, min = 0, max = 1),
    pleiotropy_mean = if (directional) size else 0,
    pleiotropy_sd = if (directional) size / 2 else size,
    through_confounder = if (inside) 0 else 1,
    rho = check_number(correlation, min = -1, max = 1) * shared / sqrt(n_exposure * n_outcome),
    z_threshold = stats::qnorm(check_number(p_threshold, min = 0, max = 1) / 2,
      lower.tail = FALSE),
    winners_curse = winners_curse, n_threads = check_threads(n_threads)
  )
  out <- .Call(C_sim_summary, settings)
  if (out$status == "too_few") {
    stop_argument("p_threshold", "must be one that variants can pass", paste0(
      p_threshold, " with effects of size ", effect_sd, " in ", big(n_exposure), " people"))
  }
  check_status(out$status, "simulating summary data")
  summary_sim(out$value, settings)
}

summary_sim <- function(value, settings) {
  pair <- rep(seq_len(settings$n_pair), each = settings$n_snp)
  dat <- mr_data(value$bx, value$sx, value$by, value$sy,
    snp = rep(paste0("rs", seq_len(settings$n_snp)), settings$n_pair),
    exposure = paste0("X", pair), outcome = paste0("Y", pair), effect_allele = "A",
    other_allele = "G", eaf = ifelse(value$gamma < 0, 1 - value$maf, value$maf),
    samplesize_exp = settings$n_exposure, samplesize_out = settings$n_outcome
  )
  theta <- settings$theta
  truth <- list(
    beta = theta, theta = theta, curve = function(x) theta * x, gamma = value$gamma,
    alpha = value$alpha, valid = as.logical(value$valid), mafs = value$maf, rho = settings$rho,
    n = nrow(dat), seed = settings$seed
  )
  environment(truth$curve) <- list2env(list(theta = theta), parent = baseenv())
  about <- paste0("Simulated by sim_summary(): ", big(settings$n_pair), " pair",
    if (settings$n_pair > 1L) "s", " of ", settings$n_snp, " variants, causal effect ", theta,
    ", seed ", format(settings$seed, scientific = FALSE))
  new_mr_sim(as.list(dat), truth, about)
}
