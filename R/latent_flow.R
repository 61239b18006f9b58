# Instruments mixed by an invertible network: a flow by maximum likelihood, then stationary
# directions of its latent. See R/latent_ssa.R for what a representation is, src/core/flow.h for the
# model and src/core/flow_search.h for the search.

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
    layers = control$flow_layers, starts = control$flow_starts, cycles = control$flow_cycles,
    moves = control$flow_moves, stationary = as.integer(latent_dim[["W"]]),
    gate = 50 * max(1, d / 4), seed = seed, isa = isa_setting(), n_threads = n_threads
  ))
}

latent_flow <- function(z, environment, latent_dim, control = list(), seed = 0, n_threads = 1L) {
  started <- proc.time()[["elapsed"]]
  control <- read_latent_control(control)
  if (ncol(z) != sum(latent_dim)) {
    stop_mrl("numeric", "a flow is one-to-one and needs as many instruments as latents, not ",
      ncol(z), " for ", sum(latent_dim), ".")
  }
  out <- fit_flow(z, environment, latent_dim, control, seed, n_threads)
  check_status(out$status, "fitting a flow to the instruments")
  flow <- list(center = out$value$center, transform = out$value$transform,
    params = out$value$params, layers = control$flow_layers)
  latent <- flow_latent(flow, z)
  found <- ssa_rotation(latent, environment, latent_dim, n_threads, learned = TRUE)
  parts <- apply_linear(found$center, found$transform, latent_dim, latent)
  new_representation("flow", latent_dim, flow = flow, center = found$center,
    transform = found$transform, eigenvalues = found$values,
    gate = gate_independence(found$gate, parts, environment, seed),
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
