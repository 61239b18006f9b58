# Slow oracles of evaluate(): each metric by its definition, a point at a time.

oracle_metrics <- function(x, estimate, truth, low, high, conf_level, quantiles = NULL,
                           levels = NULL) {
  alpha <- 1 - conf_level
  order <- order(x)
  n <- length(x)
  score <- function(i) {
    out <- high[i] - low[i]
    if (truth[i] < low[i]) out <- out + (2 / alpha) * (low[i] - truth[i])
    if (truth[i] > high[i]) out <- out + (2 / alpha) * (truth[i] - high[i])
    out
  }
  slope <- function(y, i) {
    (y[order[i + 1]] - y[order[i]]) / (x[order[i + 1]] - x[order[i]])
  }
  off <- function(k) abs(mean(truth <= quantiles[, k]) - levels[k])
  each <- function(count, f) mean(vapply(seq_len(count), f, 0))
  data.frame(
    mse = each(n, function(i) (estimate[i] - truth[i])^2),
    bias = each(n, function(i) estimate[i] - truth[i]),
    coverage = each(n, function(i) as.double(low[i] <= truth[i] && truth[i] <= high[i])),
    simultaneous = all(low <= truth & truth <= high),
    width = each(n, function(i) high[i] - low[i]),
    interval_score = each(n, score),
    derivative_error = each(n - 1, function(i) (slope(estimate, i) - slope(truth, i))^2),
    calibration_error = if (is.null(levels)) NA_real_ else each(length(levels), off)
  )
}

metric_names <- c(
  "mse", "bias", "coverage", "simultaneous", "width", "interval_score", "derivative_error",
  "calibration_error"
)

# Estimates at n exposures that wander about f, with intervals that miss it now and then.
noisy_estimates <- function(n, f, seed) {
  withr::with_seed(seed, {
    x <- sample(seq(-3, 3, length.out = n))
    estimate <- f(x) + stats::rnorm(n, sd = 0.5)
    data.frame(
      x = x, estimate = estimate, conf.low = estimate - stats::rexp(n),
      conf.high = estimate + stats::rexp(n)
    )
  })
}

# Simulated data of the poster's design with its allele score, which the curve is estimated by.
with_score <- function(sim) {
  sim$score <- drop(as.matrix(as.data.frame(sim)[truth(sim)$instruments]) %*% truth(sim)$pi)
  sim
}
