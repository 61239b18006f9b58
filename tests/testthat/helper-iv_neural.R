# Small data and few epochs for neural fits: what is tested does not need good fits, except where a
# test says so. And a slow reading of their weights.

toy_neural <- local({
  sim <- sim_nonlinear(n = 600, n_variants = 4, seed = 5)
  data <- as.data.frame(sim)
  data$g <- as.matrix(data[truth(sim)$instruments])
  data$w <- rep(c(-1, 0.5, 2), 200)
  data$sex <- rep(c("f", "m"), each = 300)
  data$family <- rep(1:200, 3)
  data$B <- as.double(data$Y > 0.5)
  data
})

brief <- function(..., hidden = c(8, 4), batch_norm = FALSE) {
  nn_control(hidden = hidden, activation = "gelu", batch_norm = batch_norm, epochs = 4,
    batch_size = 100, learning_rate = 2e-3, ...)
}

untold <- function(expression) {
  suppressWarnings(expression, classes = "mrlearn_warning_not_trained")
}

quick <- function(formula = Y ~ X + w + sex | g + w + sex, data = toy_neural, seed = 3,
                  n_quantiles = 4, control = brief(), ...) {
  untold(iv_quantile(formula, data, seed = seed, n_quantiles = n_quantiles, control = control,
    ...))
}

quick_deep <- function(formula = Y ~ X + w + sex | g + w + sex, data = toy_neural, seed = 3,
                       control = brief(), ...) {
  untold(iv_deep(formula, data, seed = seed, control = control, ...))
}

# A linear network in closed form needs no training.
linear_control <- function(...) {
  nn_control(hidden = integer(0), epochs = 2, ...)
}

# What a fit says in numbers: without times, calls and environments.
numbers_of <- function(fit) {
  fit$history$seconds <- NULL
  fit[setdiff(names(fit), c("call", "formula", "design", "instrument_design", "isa"))]
}

# The pieces of a net's parameters one after the other, each padded to a multiple of 16 numbers.
parameter_reader <- function(params) {
  at <- 0L
  function(size) {
    out <- params[at + seq_len(size)]
    at <<- at + ceiling(size / 16) * 16
    out
  }
}

# Standardised inputs -> list(features of the last hidden layer, output), by plain products in
# double: dense layers without batch norm, GELU u Phi(u) between them.
slow_layers <- function(h, params, hidden, n_outputs = 1L) {
  piece <- parameter_reader(params)
  units <- c(hidden, n_outputs)
  features <- h[, 0]
  for (i in seq_along(units)) {
    weights <- matrix(piece(ncol(h) * units[i]), ncol(h))
    h <- sweep(h %*% weights, 2, piece(units[i]), "+")
    if (i < length(units)) {
      h <- h * pnorm(h)
      features <- h
    }
  }
  list(features = features, output = h)
}

# g(x, w) of a fit, or of its replicate b: by the head [1, x, x^2, w, x w, features] theta where
# there is one (of a linear network [1, x, w]), else the network's own output.
slow_outcome <- function(fit, x, w, b = NULL) {
  net <- fit$network$outcome
  if (!is.null(b)) {
    net$params <- fit$replicates$params[, b]
    net$theta <- fit$replicates$theta[, b]
  }
  x <- (x - net$scale_x[1]) / net$scale_x[2]
  w <- sweep(sweep(w, 2, net$scale_w[1, ]), 2, net$scale_w[2, ], "/")
  layers <- slow_layers(cbind(x, w), net$params, net$hidden)
  eta <- if (is.null(net$theta)) {
    layers$output
  } else if (length(net$hidden)) {
    cbind(1, x, x^2, w, x * w, layers$features) %*% net$theta
  } else {
    cbind(1, x, w) %*% net$theta
  }
  if (net$binary) plogis(eta[, 1]) else net$scale_y[1] + net$scale_y[2] * eta[, 1]
}

# The covariates of formulas with w + sex.
toy_covariates <- function(data = toy_neural) {
  cbind(data$w, data$sex == "m")
}
