# Instruments mixed by an invertible network: a flow by maximum likelihood, then stationary
# directions of its latent. See R/latent_ssa.R for what a representation is, src/core/flow.h for the
# model and src/core/flow_search.h for the search.

#' Settings of the flow of iv_latent()
#'
#' With `method = "flow"` [iv_latent()] takes the instruments for an invertible, piecewise-linear
#' function of as many latents that are normal in each environment, with a mean and a covariance of
#' its own, and maximises their likelihood. A flow that fits worse than the truth shows in the gate:
#' no direction of its latent is then stationary.
#'
#' Of the instruments, whitened, each layer makes \eqn{x = B h + c} and then
#' \eqn{x_j - m_j \tau \log(1 + \exp(-x_j / \tau))}, a leaky rectifier of slope \eqn{1 + m_j}
#' smoothed over \eqn{\tau}, which falls from 1 to .03 during the search. The likelihood has local
#' optima: random starts climb it (L-BFGS) on at most 4,000 rows of each environment and are ranked
#' by the likelihood of as many others; the best two go on on all rows; the best flow is tested by
#' the gate. If it fails, single units of the best start are changed at random, and then new starts
#' are drawn.
#'
#' @param layers Layers of the flow. One suits a mixing of two linear layers with one leaky
#'   rectifier between; smooth curves and deeper mixings need two.
#' @param starts Random starts of a cycle.
#' @param cycles The most cycles.
#' @param moves The most rounds of changed units in a cycle.
#' @return A list of class `latent_control`, for the `control` of [iv_latent()].
#' @examples
#' latent_flow_control(layers = 2)
#' @export
latent_flow_control <- function(layers = 1, starts = 8, cycles = 6, moves = 2) {
  structure(
    list(
      layers = check_count(layers, max = 10), starts = check_count(starts, max = 1000),
      cycles = check_count(cycles, max = 1000), moves = check_count(moves, min = 0, max = 100)
    ),
    class = "latent_control"
  )
}

# A list of settings through the function that checks them.
read_latent_control <- function(control, method, make) {
  control <- as.list(control)
  do.call(make, latent_control(control, control[intersect(names(control), names(formals(make)))],
    method))
}

flow_steps <- c("start", "polish", "move")

flow_history <- function(history) {
  data.frame(
    cycle = history[, 1] + 1, step = flow_steps[history[, 2] + 1], value = history[, 3],
    statistic = history[, 4]
  )
}

# The gate's factor of 1 / n for d latents is that of stationarity_gate().
fit_flow <- function(z, environment, latent_dim, control, seed, n_threads) {
  d <- sum(latent_dim)
  order <- order(environment)
  x <- z[order, , drop = FALSE]
  storage.mode(x) <- "double"
  .Call(C_flow_fit, x, tabulate(environment), list(
    layers = control$layers, starts = control$starts, cycles = control$cycles,
    moves = control$moves, stationary = as.integer(latent_dim[["W"]]),
    gate = 50 * max(1, d / 4), seed = seed, isa = isa_setting(), n_threads = n_threads
  ))
}

latent_flow <- function(z, environment, latent_dim, control = list(), seed = 0, n_threads = 1L) {
  started <- proc.time()[["elapsed"]]
  control <- read_latent_control(control, "flow", latent_flow_control)
  if (ncol(z) != sum(latent_dim)) {
    stop_mrl("numeric", "a flow is one-to-one and needs as many instruments as latents, not ",
      ncol(z), " for ", sum(latent_dim), ".")
  }
  out <- fit_flow(z, environment, latent_dim, control, seed, n_threads)
  check_status(out$status, "fitting a flow to the instruments")
  flow <- list(center = out$value$center, transform = out$value$transform,
    params = out$value$params, layers = control$layers)
  found <- ssa_rotation(flow_latent(flow, z), environment, latent_dim, n_threads)
  new_representation("flow", latent_dim, flow = flow, center = found$center,
    transform = found$transform, eigenvalues = found$values, gate = found$gate,
    score = out$value$numbers[1], history = flow_history(out$value$history), seed = seed,
    started = started)
}

# f(z): the latent of any rows, at the tau that the search ended with.
flow_latent <- function(flow, z, tau = 0.03) {
  d <- ncol(z)
  h <- sweep(z, 2L, flow$center) %*% flow$transform
  params <- matrix(flow$params, ncol = flow$layers)
  for (layer in seq_len(flow$layers)) {
    weights <- matrix(params[seq_len(d * (d + 1)), layer], d + 1)
    slope <- exp(3 * tanh(params[d * (d + 1) + seq_len(d), layer] / 3)) - 1
    x <- sweep(h %*% weights[-1, , drop = FALSE], 2L, -weights[1, ])
    bend <- pmax(-x, 0) + tau * log1p(exp(-abs(x) / tau))
    h <- x - sweep(bend, 2L, slope, "*")
  }
  h
}

#' @export
latent_apply.latent_flow <- function(representation, z) {
  apply_linear(representation$center, representation$transform, representation$latent_dim,
    flow_latent(representation$flow, z))
}
