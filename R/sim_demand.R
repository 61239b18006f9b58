#' Simulate the demand design
#'
#' Sales \eqn{Y} by price, time of the year and type of customer, where the price answers the demand
#' and the cost of production is the instrument: the benchmark of DeepIV (Hartford et al. 2017) in
#' the low-dimensional form of deep feature IV (Xu et al. 2021). With
#' \eqn{\psi(t) = 2 ((t - 5)^4 / 600 + e^{-4 (t - 5)^2} + t / 10 - 2)},
#' \deqn{price = 25 + (cost + 3) \psi(time) + v, \quad e = \rho v + \sqrt{1 - \rho^2} w}
#' \deqn{Y = 100 + (10 + price) s \psi(time) - 2 price + e}
#' where `s` is uniform on 1, ..., 7, `time` on (0, 10), and cost, \eqn{v}, \eqn{w} are standard
#' normal, all independent. Instruments of the price are `cost` with `time` and `s`, which are
#' covariates of the outcome.
#'
#' The published error is the mean squared difference from the structural function over 20 prices
#' from 10 to 25, 20 times from 0 to 10 and the 7 types, 2800 points: `truth(sim)$grid`. Its lower
#' prices are rare in the data. The study takes `n` of 1000, 5000, 10000 and `rho` of .1, .25, .5,
#' .75, .9.
#'
#' @param n Number of rows.
#' @param rho Correlation of the noises of price and outcome, -1 to 1.
#' @param seed One whole number, or NULL to draw one from R's generator.
#' @param n_threads Number of threads; the result does not depend on it.
#' @return A data.frame of class `mr_sim` with the double columns `Y`, `price`, `time`, `s`, `cost`.
#'   [truth()] of it is a list with
#'   * `structural(price, time, s)`: the mean outcome had a row this price; `psi(time)`;
#'   * `grid`: data.frame `price, time, s, truth` of the 2800 points;
#'   * `curve(x)`: the mean outcome had all rows of the data the price x; over the population it is
#'     `100 + (10 + x) 4 E psi - 2 x` with `E psi = -2.40609`;
#'   * `beta`: the effect of a unit of price on each row, `s psi(time) - 2` (n);
#'   * `noise_x` (\eqn{v}), `noise_y` (\eqn{e}) (n each), `instruments`, `n`, `rho`, `seed`.
#' @references Hartford, J., Lewis, G., Leyton-Brown, K. & Taddy, M. (2017). Deep IV: a flexible
#'   approach for counterfactual prediction. ICML.
#'
#'   Xu, L. et al. (2021). Learning deep features in instrumental variable regression. ICLR.
#' @examples
#' sim <- sim_demand(n = 1000, rho = 0.5, seed = 1)
#' sim
#' fit <- iv_2sls(Y ~ price + time + s | cost + time + s, data = sim)
#' grid <- truth(sim)$grid
#' evaluate(data.frame(estimate = predict(fit, grid)), truth = grid$truth)
#' @export
sim_demand <- function(n = 1000, rho = 0.5, seed = NULL, n_threads = mrl_threads()) {
  settings <- list(
    n = check_count(n), rho = check_number(rho, min = -1, max = 1), seed = resolve_seed(seed),
    n_threads = check_threads(n_threads)
  )
  out <- .Call(C_sim_demand, settings)
  check_status(out$status, "simulating price and Y")
  parts <- out$value
  beta <- parts$slope
  truth <- list(
    beta = beta, curve = linear_curve(mean(beta), 100 + 10 * (mean(beta) + 2)),
    structural = demand_structural, psi = demand_psi, grid = demand_grid(), noise_x = parts$v,
    noise_y = parts$e, instruments = "cost", n = settings$n, rho = settings$rho,
    seed = settings$seed
  )
  columns <- list(
    Y = parts$y, price = parts$price, time = parts$time, s = parts$type, cost = parts$cost
  )
  about <- c(
    paste0("Simulated by sim_demand(): ", big(truth$n), " rows, seed ",
      format(truth$seed, digits = 16)),
    paste0("Causal effect of price on Y by time and s; noises of both correlated by ",
      format(truth$rho))
  )
  new_mr_sim(columns, truth, about)
}

demand_psi <- function(time) {
  2 * ((time - 5)^4 / 600 + exp(-4 * (time - 5)^2) + time / 10 - 2)
}

demand_structural <- function(price, time, s) {
  100 + (10 + price) * s * demand_psi(time) - 2 * price
}

# The points that the study tests on.
demand_grid <- function() {
  grid <- expand.grid(
    price = seq(10, 25, length.out = 20), time = seq(0, 10, length.out = 20),
    s = as.double(1:7), KEEP.OUT.ATTRS = FALSE
  )
  grid$truth <- demand_structural(grid$price, grid$time, grid$s)
  grid
}
