# The check loss of quantiles q (n, k) at levels tau, written out.
slow_check_loss <- function(y, q, tau) {
  total <- 0
  for (k in seq_along(tau)) {
    for (i in seq_along(y)) {
      r <- y[i] - q[i, k]
      total <- total + if (r > 0) tau[k] * r else (tau[k] - 1) * r
    }
  }
  total / length(y)
}

linear_rows <- function(n, seed) {
  withr::with_seed(seed, {
    d <- data.frame(a = rnorm(n), b = runif(n), sex = rep(c("f", "m"), length.out = n))
    d$y <- 1 + 2 * d$a - d$b + 0.5 * (d$sex == "m") + (0.5 + d$b) * rnorm(n)
    d
  })
}

test_that("a linear network is linear quantile regression", {
  # Recorded from quantreg::rq(), which is exact, by data-raw/quantreg.R.
  recorded <- utils::read.csv(test_path("fixtures", "quantreg_recorded.csv"), check.names = FALSE)
  exact <- cbind(1, as.matrix(quakes[c("mag", "depth", "lat")])) %*% t(as.matrix(recorded[2:5]))
  fit <- quantile_regression(stations ~ mag + depth + lat, quakes, tau = recorded$tau,
    non_crossing = FALSE, seed = 1, control = nn_control(hidden = integer(0), validation = 0,
      weight_decay = 0, patience = 0, epochs = 1000, batch_size = 1000, learning_rate = 0.02))
  # Descent in single precision: the loss is within 1e-6 of the least one, quantiles (of outcomes
  # with the standard deviation 22) within .01.
  ours <- slow_check_loss(quakes$stations, predict(fit), recorded$tau)
  best <- slow_check_loss(quakes$stations, exact, recorded$tau)
  expect_gte(ours, best - 1e-9)
  expect_lt(ours, best * (1 + 1e-6))
  expect_lt(max(abs(predict(fit) - exact)), 0.01)
})

test_that("quantiles of a known law are found, by sets and by all levels at once", {
  withr::with_seed(2, {
    d <- data.frame(x = runif(4000, -2, 2))
    d$y <- sin(2 * d$x) + (0.4 + 0.2 * d$x^2) * rnorm(4000)
  })
  tau <- c(0.05, 0.25, 0.5, 0.75, 0.95)
  at <- data.frame(x = c(-1.5, -0.5, 0, 1, 1.8))
  true <- outer(sin(2 * at$x), rep(0, 5), "+") + outer(0.4 + 0.2 * at$x^2, qnorm(tau))
  control <- nn_control(hidden = c(32, 16), epochs = 60)
  fits <- list(
    quantile_regression(y ~ x, d, tau = tau, seed = 1, control = control),
    quantile_regression(y ~ x, d, tau = tau, non_crossing = FALSE, seed = 1, control = control),
    quantile_regression(y ~ x, d, simultaneous = TRUE, seed = 1, control = control)
  )
  for (fit in fits) {
    q <- predict(fit, at, tau = tau)
    # A twentieth of the rows near a point (200) give the 5 % quantile to 2.1 / sqrt(200) = .15
    # standard deviations (at most 1.05); three of these at 25 numbers.
    expect_lt(max(abs(q - true)), 0.5)
    expect_lt(mean(abs(q - true)), 0.15)
    everywhere <- predict(fit, data.frame(x = seq(-6, 6, length.out = 500)), tau = tau)
    expect_true(all(diff(t(everywhere)) >= 0))
  }
  # Levels that no set was asked for.
  expect_equal(ncol(predict(fits[[3]], at, tau = c(0.01, 0.33))), 2)
  expect_error(predict(fits[[1]], at, tau = 0.33), class = "mrlearn_error_argument")
  expect_equal(predict(fits[[1]], at, tau = 0.25), predict(fits[[1]], at)[, 2, drop = FALSE])
})

test_that("fits do not depend on threads, units or calls, and weights count rows", {
  d <- linear_rows(600, 3)
  control <- nn_control(hidden = 4, epochs = 10)
  run <- function(data = d, ...) {
    quantile_regression(y ~ a + sex, data, tau = c(0.2, 0.8), seed = 1, control = control, ...)
  }
  one <- run(n_threads = 1)
  two <- run(n_threads = 2)
  expect_identical(one$network, two$network)
  moved <- d
  moved$y <- 10 + 1000 * d$y
  moved$a <- d$a / 1000
  # Float.
  expect_equal(predict(run(moved), moved), 10 + 1000 * predict(one, d), tolerance = 1e-4)
  by_matrix <- quantile_regression(y = d$y, x = cbind(a = d$a, m = as.double(d$sex == "m")),
    tau = c(0.2, 0.8), seed = 1, control = control)
  expect_equal(by_matrix$network$params, one$network$params)
  expect_identical(nobs(one), 600L)
  expect_named(training_history(one), c("stage", "fold", "epoch", "train", "validation",
    "learning_rate", "seconds"))
  expect_length(one$held_out, 120)

  # Rows of weight 0 say nothing: y of the others alone is fitted.
  d$weight <- rep(c(1, 0), 300)
  d$y[d$weight == 0] <- 50
  weighted <- quantile_regression(y ~ 1 + a, d, weights = weight, tau = 0.5, seed = 1,
    control = control)
  expect_lt(max(abs(predict(weighted, d[d$weight == 1, ]))), 20)
})

test_that("bad input is refused by class, with a text that helps", {
  d <- linear_rows(40, 4)
  withr::local_options(width = 80)
  expect_snapshot(error = TRUE, {
    quantile_regression(y ~ a, d, tau = c(0.9, 0.1))
    quantile_regression(y ~ a, d, tau = c(0, 0.5))
    quantile_regression(y ~ a, d, tau = "median")
    quantile_regression(y ~ a, d, simultaneous = NA)
    quantile_regression(y ~ a, d, control = list())
    quantile_regression(y ~ sex, transform(d, y = sex))
    quantile_regression(y ~ a, d[1:3, ], control = nn_control(validation = 0.6))
  })
  fit <- quantile_regression(y ~ a, d, tau = 0.5, seed = 1,
    control = nn_control(hidden = 2, epochs = 2, validation = 0))
  expect_error(predict(fit, data.frame(b = 1)), class = "mrlearn_error_argument")
  expect_error(predict(fit, data.frame(a = NA_real_)), class = "mrlearn_error_data")
  expect_snapshot(print(fit))
})
