# Samples without a random generator, so that data-raw/kernel_statistics.R has the same ones:
# normal quantiles of multiples of irrational numbers, columns bent and correlated.
kernel_samples <- function() {
  normal <- function(n, d, start) {
    roots <- sqrt(c(2, 3, 5, 7, 11, 13))
    vapply(seq_len(d), function(j) {
      stats::qnorm((seq_len(n) * roots[j] + start * 0.37) %% 1)
    }, numeric(n))
  }
  lapply(list(small = c(40, 30, 2), larger = c(300, 211, 3), column = c(90, 120, 1)), function(s) {
    x <- normal(s[1], s[3], 1)
    y <- normal(s[2], s[3], 2)
    x[, 1] <- x[, 1] + 0.2 * x[, s[3]]^2
    y[, s[3]] <- 1.3 * y[, s[3]] + 0.4 * y[, 1] + 0.5
    list(x = x, y = y)
  })
}

kernel_bandwidths <- c(1.2, 0.8)
