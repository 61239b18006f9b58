# Defects of published code of neural instrumental variables, by their numbers in the project's list
# of methods: what is right passes where a mutant that has the defect fails. Those of losses and
# layers are in ctest/: 1, 2 and 5 in test_loss.c, 3 and 4 in test_iv_law.c, 9 and 10 in
# test_iv_neural.c, 12 in test_head.c, 13 in test_quantreg.c.

heavy_rows <- function(n, seed) {
  withr::with_seed(seed, {
    d <- data.frame(x = runif(n, -1, 1))
    d$y <- d$x + (1 + 0.5 * d$x) * rnorm(n)
    d
  })
}

test_that("defect 5: the learnt quantile is that of tau, not of 1 - tau", {
  d <- heavy_rows(2000, 1)
  for (simultaneous in c(FALSE, TRUE)) {
    fit <- quantile_regression(y ~ x, d, tau = 0.1, simultaneous = simultaneous, seed = 1,
      control = nn_control(hidden = 8, epochs = 30))
    below <- mean(d$y < predict(fit, d, tau = 0.1))
    # A share of 2000 rows has the error .007; early stopping and the network's shape as much again.
    expect_lt(abs(below - 0.1), 0.04)
    mutant <- mean(d$y < predict(fit, d, tau = if (simultaneous) 0.9 else 0.1) *
      if (simultaneous) 1 else -1)
    expect_gt(abs(mutant - 0.1), 0.3)
  }
})

test_that("defect 6: levels are alpha/2 and 1 - alpha/2", {
  d <- heavy_rows(4000, 2)
  fit <- quantile_regression(y ~ x, d[1:2000, ], tau = c(0.05, 0.1, 0.9, 0.95), seed = 1,
    control = nn_control(hidden = 8, epochs = 30))
  rows <- d[2001:4000, ]
  band <- conformal(fit, rows, conf_level = 0.9)
  mutant <- conformal(
    list(lower = function(r) predict(fit, r, tau = 0.1)[, 1],
      upper = function(r) predict(fit, r, tau = 0.9)[, 1]),
    rows, outcome = "y", conf_level = 0.9
  )
  # Quantiles of the right levels need little margin: their own error, about .1. Those of alpha and
  # 1 - alpha lack (1.64 - 1.28) standard deviations of .5 to 1.5 on each side, and a margin that is
  # the same for all of them covers too little where the spread is large.
  expect_lt(abs(band$above), 0.15)
  expect_gt(mutant$above, 0.25)
  wide <- d[1:2000, ][d$x[1:2000] > 0.6, ]
  holds <- function(b) {
    p <- predict(b, wide)
    mean(p$lower <= wide$y & wide$y <= p$upper)
  }
  expect_gt(holds(band), holds(mutant))
})

test_that("defect 6: a level above one gives infinite intervals, not the largest score", {
  d <- data.frame(y = c(-3, 1, 2))
  zero <- function(rows) rep(0, nrow(rows))
  band <- suppressWarnings(conformal(zero, d, outcome = "y", conf_level = 0.9),
    classes = "mrlearn_warning_infinite")
  expect_identical(predict(band, d)$upper, rep(Inf, 3))
  clipped <- sort(abs(d$y))[min(ceiling(4 * 0.9), 3)] # holds 3 / 4 of new rows, not 0.9
  expect_lt(clipped, Inf)
})

test_that("defect 6: rows that training has used are refused, as they would cover too little", {
  set.seed(3)
  n <- 120
  x <- matrix(rnorm(3 * n * 60), 3 * n)
  d <- data.frame(x)
  d$y <- rnorm(3 * n)
  formula <- reformulate(paste0("X", 1:60), "y")
  fit <- iv_ols(formula, d[1:n, ])
  honest <- conformal(fit, d[n + 1:n, ], conf_level = 0.9)
  mutant <- conformal(function(rows) predict(fit, rows), d[1:n, ], outcome = "y",
    conf_level = 0.9)
  new <- d[2 * n + 1:n, ]
  holds <- function(band) {
    p <- predict(band, new)
    mean(p$lower <= new$y & new$y <= p$upper)
  }
  # 60 columns for 120 rows: residuals of the rows used are half as large as those of new ones.
  # Errors of a share of 120 calibrated on 120: .04.
  expect_gt(holds(honest), 0.9 - 0.12)
  expect_lt(holds(mutant), 0.75)
  expect_error(conformal(fit, d[1:n, ]), class = "mrlearn_error_data")
  # Rows held out to stop a training count as used.
  net <- quick(Y ~ X | g)
  expect_error(conformal(net, toy_neural[net$held_out, ]), class = "mrlearn_error_data")
})

test_that("defect 11: a binary outcome is one for DeepIV too, and no network leaves [0, 1]", {
  at <- data.frame(X = seq(-8, 8, length.out = 50))
  for (fitter in list(quick_deep, quick)) {
    fit <- fitter(B ~ X | g, binary = TRUE)
    p <- predict(fit, at)
    expect_true(all(p >= 0 & p <= 1))
    mutant <- predict(fitter(B ~ X | g, binary = FALSE), at) # squared loss: a line leaves it
    expect_true(any(mutant < 0 | mutant > 1))
  }
})

test_that("defect 13: quantiles of a set do not cross; cumulative sums along units do", {
  d <- heavy_rows(400, 4)
  tau <- seq(0.05, 0.95, by = 0.05)
  fit <- quantile_regression(y ~ x, d, tau = tau, seed = 1,
    control = nn_control(hidden = 8, activation = "sigmoid", batch_norm = FALSE, epochs = 5))
  far <- data.frame(x = seq(-50, 50, length.out = 1000))
  expect_true(all(diff(t(predict(fit, far))) >= 0))
  # The mutant: weights (units, levels) summed along the units, so that the quantiles' distances may
  # be negative.
  set.seed(5)
  units <- plogis(outer(far$x, rnorm(8)))
  delta <- matrix(rnorm(8 * length(tau)), 8)
  mutant <- units %*% apply(delta, 2, cumsum)
  expect_true(any(diff(t(mutant)) < 0))
})
