# Causal curves by name: f and its derivative.
burgess_curves <- list(
  linear = list(
    curve = function(x) 0.4 * x,
    slope = function(x) rep(0.4, length(x))
  ),
  quadratic = list(
    curve = function(x) 0.1 * x^2,
    slope = function(x) 0.2 * x
  ),
  J = list(
    curve = function(x) 0.2 * (x - 1)^2,
    slope = function(x) 0.4 * (x - 1)
  ),
  threshold = list(
    curve = function(x) 0.4 * pmax(x - 2, 0),
    slope = function(x) 0.4 * (x > 2)
  )
)

#' Simulate one variant and a skewed exposure
#'
#' The design of Burgess, Davies & Thompson (2014), with one variant \eqn{g} that explains about 2 %
#' of a right-skewed exposure:
#' \deqn{X = 0.25 g + U + v, \quad Y = f(X) + 0.8 U + e}
#' where \eqn{g} is binomial(2, `maf`), \eqn{U} uniform on (0, 1), \eqn{v} exponential with mean 1
#' and \eqn{e} standard normal, all independent. `shape` names \eqn{f}: `"J"` is
#' \eqn{0.2 (x - 1)^2}, as in ml-mr; `"linear"` \eqn{0.4 x}, `"quadratic"` \eqn{0.1 x^2} and
#' `"threshold"` \eqn{0.4 (x - 2) 1(x > 2)} are of the same size.
#'
#' The mean outcome had everybody the exposure \eqn{x} is not \eqn{f(x)} but
#' \eqn{f(x) + 0.8 E U = f(x) + 0.4}, and that is `truth()$curve`.
#'
#' @section Binary outcomes:
#' With `type = "liability"` the outcome is 1 where \eqn{f(X) + 0.8 U + e} is above `cutoff`,
#' else 0. With `"logistic"` \eqn{e} is logistic instead of normal, so that
#' \eqn{logit P(Y = 1 | X, U) = f(X) + 0.8 U - } `cutoff`. `truth()$curve` is then the risk had
#' everybody the exposure, averaged over \eqn{U}.
#'
#' @param n Number of people.
#' @param shape Name of the causal curve.
#' @param maf Frequency of the allele, above 0 and at most 0.5.
#' @param type Outcome: continuous, or binary by a normal or a logistic liability.
#' @param cutoff Liability above which a binary outcome is 1; not used for a continuous one.
#' @param seed One whole number, or NULL to draw one from R's generator.
#' @param n_threads Number of threads; the result does not depend on it.
#' @return A data.frame of class `mr_sim` with the double columns `Y`, `X`, `g`. [truth()] of it is
#'   a list with
#'   * `curve(x)`: \eqn{E[Y | do(X = x)]} with its constant; `slope(x)`: its derivative; `beta`: the
#'     derivative of \eqn{f} at each person's exposure, on the scale of the liability where the
#'     outcome is binary (n);
#'   * `h(x)`, `h_slope(x)`: \eqn{f} and its derivative;
#'   * `U`, `noise_x` (\eqn{v}), `noise_y` (\eqn{e}) (n each);
#'   * `instruments` (`"g"`), `shape`, `maf`, `type`, `cutoff`, `n`, `seed`.
#' @references Burgess, S., Davies, N. M. & Thompson, S. G. (2014). Instrumental variable analysis
#'   with a nonlinear exposure-outcome relationship. Epidemiology 25:877-885.
#' @examples
#' sim <- sim_burgess2014(n = 2000, shape = "J", seed = 1)
#' sim
#' truth(sim)$curve(c(0, 1, 2))
#' @export
sim_burgess2014 <- function(n = 1e4, shape = c("linear", "quadratic", "J", "threshold"), maf = 0.3,
                            type = c("continuous", "liability", "logistic"), cutoff = 1,
                            seed = NULL, n_threads = mrl_threads()) {
  shape <- check_choice(shape, names(burgess_curves))
  type <- check_choice(type, names(binary_means$uniform))
  cutoff <- check_number(cutoff)
  maf <- check_number(maf, min = 0, max = 1, open = TRUE)
  settings <- list(
    n = check_count(n), maf = maf, shape = match(shape, names(burgess_curves)) - 1L,
    logistic = type == "logistic", binary = type != "continuous", cutoff = cutoff,
    seed = resolve_seed(seed), n_threads = check_threads(n_threads)
  )
  out <- .Call(C_sim_burgess, settings)
  check_status(out$status, "simulating X and Y")
  parts <- out$value
  truth <- c(
    list(beta = parts$slope),
    outcome_curve(burgess_curves[[shape]], binary_means$uniform[[type]], cutoff),
    list(
      U = parts$u, noise_x = parts$v, noise_y = parts$e, instruments = "g", shape = shape,
      maf = maf, type = type, cutoff = cutoff, n = settings$n, seed = settings$seed
    )
  )
  about <- strata_about("sim_burgess2014", truth, paste("Causal curve of X on Y:", shape))
  new_mr_sim(list(Y = parts$y, X = parts$x, g = parts$g), truth, about)
}

strata_about <- function(name, truth, design) {
  binary <- truth$type != "continuous"
  c(
    paste0("Simulated by ", name, "(): ", big(truth$n), " people, seed ",
      format(truth$seed, digits = 16)),
    paste0(design, if (binary) paste0("; Y is 1 where the ",
      if (truth$type == "logistic") "logistic ", "liability is above ", format(truth$cutoff)))
  )
}

# E[Y | do(X = x)] and its derivative from h, the exposure's part of the outcome or liability.
# mean_of: list(value, slope), the mean of Y and its derivative as functions of h less the cutoff.
outcome_curve <- function(h, mean_of, cutoff) {
  force(mean_of)
  force(cutoff)
  list(
    curve = function(x) mean_of$value(h$curve(x), cutoff),
    slope = function(x) mean_of$slope(h$curve(x), cutoff) * h$slope(x),
    h = h$curve, h_slope = h$slope
  )
}

softplus <- function(v) {
  pmax(v, 0) + log1p(exp(-abs(v)))
}

# The integral of pnorm.
normal_ramp <- function(v) {
  v * stats::pnorm(v) + stats::dnorm(v)
}

# Means of Y over confounder and noise. uniform: the confounder's part is uniform on (0, 0.8).
# normal: confounder and noise are standard normal; the logistic-normal mean has no closed form and
# is taken by the trapezoidal rule, which for so smooth an integrand on (-9, 9) errs below 1e-13.
binary_means <- local({
  node <- seq(-9, 9, length.out = 181)
  mass <- stats::dnorm(node) * (node[2] - node[1])
  over_normal <- function(f, v) {
    vapply(v, function(one) sum(f(one + node) * mass), 0)
  }
  list(
    uniform = list(
      continuous = list(
        value = function(h, cutoff) h + 0.4,
        slope = function(h, cutoff) rep(1, length(h))
      ),
      liability = list(
        value = function(h, cutoff) (normal_ramp(h - cutoff + 0.8) - normal_ramp(h - cutoff)) / 0.8,
        slope = function(h, cutoff) {
          (stats::pnorm(h - cutoff + 0.8) - stats::pnorm(h - cutoff)) / 0.8
        }
      ),
      logistic = list(
        value = function(h, cutoff) (softplus(h - cutoff + 0.8) - softplus(h - cutoff)) / 0.8,
        slope = function(h, cutoff) {
          (stats::plogis(h - cutoff + 0.8) - stats::plogis(h - cutoff)) / 0.8
        }
      )
    ),
    normal = list(
      continuous = list(
        value = function(h, cutoff) h,
        slope = function(h, cutoff) rep(1, length(h))
      ),
      liability = list(
        value = function(h, cutoff) stats::pnorm((h - cutoff) / sqrt(2)),
        slope = function(h, cutoff) stats::dnorm((h - cutoff) / sqrt(2)) / sqrt(2)
      ),
      logistic = list(
        value = function(h, cutoff) over_normal(stats::plogis, h - cutoff),
        slope = function(h, cutoff) over_normal(stats::dlogis, h - cutoff)
      )
    )
  )
})
