# A small data set with a confounded exposure, and slow versions of what the core computes.

toy_control <- local({
  set.seed(21)
  n <- 600
  g <- matrix(stats::rbinom(3 * n, 2, 0.4), n, dimnames = list(NULL, paste0("g", 1:3)))
  w <- stats::rnorm(n)
  u <- stats::rnorm(n)
  x <- 3 + drop(g %*% c(0.8, 0.6, -0.5)) + 0.3 * w + u + stats::rnorm(n)
  time <- stats::rexp(n, 0.1 * exp(0.4 * (x - 3) + 0.5 * u))
  end <- stats::rexp(n, 0.05)
  data <- data.frame(
    y = 1 + 0.5 * x + 0.2 * w + u + stats::rnorm(n), q = 0.3 * x^2 + u + stats::rnorm(n),
    b = 1 * (stats::runif(n) < stats::plogis(-2 + 0.6 * x + 0.3 * w + 0.7 * u)), x, w,
    time = pmin(time, end), event = 1 * (time <= end), family = rep(1:150, 4)
  )
  data$g <- g
  data
})

slow_residual <- function(data, weights = NULL) {
  stats::residuals(stats::lm(x ~ g + w, data, weights = weights))
}

# Mean risks at levels of the exposure, by glm().
slow_risks <- function(data, levels, weights = rep(1, nrow(data))) {
  data$r <- slow_residual(data, weights)
  data$weights <- weights
  fit <- suppressWarnings(stats::glm(b ~ x + w + r, "binomial", data, weights = weights,
    epsilon = 1e-14))
  vapply(levels, function(x) {
    data$x <- x
    stats::weighted.mean(stats::predict(fit, data, type = "response"), weights)
  }, 0)
}
