# Causal curves by number: h and its derivative.
tian_curves <- list(
  "1" = list(
    curve = function(x) rep(0, length(x)),
    slope = function(x) rep(0, length(x))
  ),
  "2" = list(
    curve = function(x) 0.1 * x^2,
    slope = function(x) 0.2 * x
  ),
  "3" = list(
    curve = function(x) -0.1 * pmax(x, 0)^2,
    slope = function(x) -0.2 * pmax(x, 0)
  ),
  "4" = list(
    curve = function(x) 5 * pmax(x - 0.6, 0),
    slope = function(x) 5 * (x > 0.6)
  )
)

tian_scenarios <- c(
  A = "linear instrument", B = "nonlinear instrument", C = "instrument effects that differ",
  D = "rounded exposure"
)

#' Simulate the scenarios of the doubly-ranked method
#'
#' One continuous instrument and an exposure for which strata are easy (A) or hard (B to D) to form,
#' crossed with four causal curves, as the package DRMR draws them (Tian et al. 2023): with
#' \eqn{Z} normal of SD 0.5 and \eqn{U_1, U_2, U_3} standard normal, all independent,
#' \deqn{A: X = 0.5 Z + U_2 + U_1}
#' \deqn{B: X = 0.5 Z + (2 Z^3 + 2) 1(Z < -1) + U_2 + U_1}
#' \deqn{C: X = -10 + (1.5 + 0.4 U_2)(Z + 5) + U_2 + U_1}
#' \deqn{D: X = A rounded to whole numbers}
#' \deqn{Y = h(X) + U_2 + U_3}
#' The curves are 1: \eqn{h = 0}; 2: \eqn{0.1 x^2}; 3: \eqn{-0.1 x^2 1(x > 0)}; 4:
#' \eqn{5 (x - 0.6) 1(x > 0.6)}. In D the outcome depends on the rounded exposure. As \eqn{U_2} and
#' \eqn{U_3} have mean 0, the mean outcome had everybody the exposure \eqn{x} is \eqn{h(x)}.
#'
#' @section What a stratum estimates:
#' The ratio of instrument associations of stratum k targets
#' \deqn{\int h'(x) w_k(x) dx, \quad w_k(x) = cov(Z, 1(X \ge x)) / cov(Z, X)}
#' within the stratum, which is \eqn{cov(Z, h(X)) / cov(Z, X)}.
#' `truth()$strata_target(stratum)` gives it for people assigned to strata. (DRMR up to 2024 takes
#' \eqn{h' = 0.05 \cdot 1(x > 20)} for curve 4, where it is \eqn{5 \cdot 1(x > 0.6)}.)
#'
#' @inheritParams sim_burgess2014
#' @param scenario How the exposure depends on the instrument: A to D above.
#' @param outcome Number of the causal curve: 1 to 4 above.
#' @return A data.frame of class `mr_sim` with the double columns `Y`, `X`, `Z`. [truth()] of it is
#'   a list with
#'   * `curve(x)`: \eqn{E[Y | do(X = x)]}; `slope(x)`: its derivative; `beta`: the derivative of
#'     \eqn{h} at each person's exposure, on the scale of the liability where the outcome is binary
#'     (n);
#'   * `h(x)`, `h_slope(x)`: \eqn{h} and its derivative;
#'   * `strata_target(stratum)`: the target of each stratum for the scale of \eqn{h}; `stratum` (n)
#'     has whole numbers from 1, or NA for people in none;
#'   * `X_exact`: the exposure before rounding, `U` (\eqn{U_2}), `noise_x` (\eqn{U_1}), `noise_y`
#'     (\eqn{U_3}) (n each);
#'   * `instruments` (`"Z"`), `scenario`, `outcome`, `type`, `cutoff`, `n`, `seed`.
#' @section Binary outcomes:
#' With `type = "liability"` the outcome is 1 where \eqn{h(X) + U_2 + U_3} is above `cutoff`,
#' else 0; with `"logistic"` \eqn{U_3} is logistic. `truth()$curve` is then the risk had everybody
#' the exposure, averaged over \eqn{U_2}.
#' @references Tian, H., Mason, A. M., Liu, C. & Burgess, S. (2023). Relaxing parametric assumptions
#'   for non-linear Mendelian randomization using a doubly-ranked stratification method. PLoS
#'   Genetics 19:e1010823; source code <https://github.com/HDTian/DRMR>.
#' @seealso [iv_doubly_ranked()].
#' @examples
#' sim <- sim_tian2023(n = 2000, scenario = "C", outcome = 2, seed = 1)
#' sim
#' truth(sim)$curve(c(-1, 0, 1))
#' @export
sim_tian2023 <- function(n = 1e4, scenario = c("A", "B", "C", "D"), outcome = 1,
                         type = c("continuous", "liability", "logistic"), cutoff = 0,
                         seed = NULL, n_threads = mrl_threads()) {
  scenario <- check_choice(scenario, names(tian_scenarios))
  outcome <- check_count(outcome, max = 4)
  type <- check_choice(type, names(binary_means$normal))
  cutoff <- check_number(cutoff)
  settings <- list(
    n = check_count(n), scenario = match(scenario, names(tian_scenarios)) - 1L,
    outcome = outcome, logistic = type == "logistic", binary = type != "continuous",
    cutoff = cutoff, seed = resolve_seed(seed), n_threads = check_threads(n_threads)
  )
  out <- .Call(C_sim_tian, settings)
  check_status(out$status, "simulating X and Y")
  parts <- out$value
  h <- tian_curves[[outcome]]
  truth <- c(
    list(beta = parts$slope),
    outcome_curve(h, binary_means$normal[[type]], cutoff),
    list(
      strata_target = strata_target(parts$z, parts$x, h$curve),
      X_exact = if (scenario == "D") parts$exact else parts$x, U = parts$u2, noise_x = parts$u1,
      noise_y = parts$u3, instruments = "Z", scenario = scenario, outcome = outcome,
      type = type, cutoff = cutoff, n = settings$n, seed = settings$seed
    )
  )
  about <- strata_about("sim_tian2023", truth, paste0("Scenario ", scenario, " (",
    tian_scenarios[[scenario]], "), causal curve ", outcome))
  new_mr_sim(list(Y = parts$y, X = parts$x, Z = parts$z), truth, about)
}

# cov(z, h(x)) / cov(z, x) within each stratum.
strata_target <- function(z, x, h) {
  force(z)
  force(x)
  force(h)
  function(stratum) {
    if (!is.numeric(stratum) || length(stratum) != length(z)) {
      stop_argument("stratum", paste("must have a whole number for each of", length(z), "people"),
        describe(stratum))
    }
    unname(vapply(split(seq_along(z), stratum), function(i) {
      stats::cov(z[i], h(x[i])) / stats::cov(z[i], x[i])
    }, 0))
  }
}
