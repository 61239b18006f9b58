# Rows with a spread that depends on x; no confounding.
spread_rows <- function(n, seed) {
  withr::with_seed(seed, {
    d <- data.frame(x = runif(n, -2, 2), w = rnorm(n))
    d$y <- d$x^2 + (0.3 + 0.3 * d$x^2) * rnorm(n)
    d
  })
}

test_that("margins are the k-th smallest score of each method, by slow formulas", {
  d <- spread_rows(103, 1)
  mu <- function(rows) rows$x^2
  s <- function(rows) 0.3 + 0.3 * rows$x^2
  low <- function(rows) mu(rows) - s(rows)
  high <- function(rows) mu(rows) + 1.2 * s(rows)
  kth <- function(score, level) sort(score)[ceiling((length(score) + 1) * level)]

  split <- conformal(mu, d, outcome = "y", conf_level = 0.9)
  expect_equal(split$above, kth(abs(d$y - mu(d)), 0.9))
  expect_equal(split$k, 94)
  normalised <- conformal(mu, d, outcome = "y", scale = s, conf_level = 0.9)
  expect_equal(normalised$above, kth(abs(d$y - mu(d)) / s(d), 0.9))
  pair <- list(lower = low, upper = high)
  both <- conformal(pair, d, outcome = "y", conf_level = 0.9)
  expect_equal(both$above, kth(pmax(low(d) - d$y, d$y - high(d)), 0.9))
  apart <- conformal(pair, d, outcome = "y", conf_level = 0.9, asymmetric = TRUE)
  expect_equal(apart$above, kth(d$y - high(d), 0.95))
  expect_equal(apart$below, kth(low(d) - d$y, 0.95))
  expect_equal(apart$k, 99)

  new <- spread_rows(5, 2)
  for (band in list(split, normalised, both, apart)) {
    scale <- if (band$method == "normalised") s(new) else 1
    p <- predict(band, new)
    expect_named(p, c("estimate", "lower", "upper", "estimand"))
    ends <- if (band$method == "cqr") list(low(new), high(new)) else list(mu(new), mu(new))
    expect_equal(p$lower, ends[[1]] - band$below * scale)
    expect_equal(p$upper, ends[[2]] + band$above * scale)
    expect_equal(augment(band, new)$.upper, p$upper)
    expect_match(p$estimand, "not E[Y|do(X)]", fixed = TRUE)
    expect_equal(glance(band)$nobs, 103)
  }
})

test_that("the level is exact in small samples, and infinite where it must be", {
  # k = 18 of 19 scores: new rows are held with probability 18 / 20. That of one calibration is the
  # law of the 18th of 19 uniform order statistics, sd .065, so that of 2000 has an error of .0015.
  set.seed(3)
  held <- replicate(2000, {
    band <- conformal(function(rows) rep(0, nrow(rows)), data.frame(y = rnorm(19)), outcome = "y",
      conf_level = 0.9)
    2 * pnorm(band$above) - 1
  })
  expect_lt(abs(mean(held) - 0.9), 4 * 0.0015)

  few <- data.frame(y = 1:8)
  zero <- function(rows) rep(0, nrow(rows))
  expect_warning(band <- conformal(zero, few, outcome = "y", conf_level = 0.9),
    class = "mrlearn_warning_infinite")
  expect_equal(predict(band, few)$upper, rep(Inf, 8))
  expect_equal(predict(band, few)$lower, rep(-Inf, 8))
  expect_no_warning(conformal(zero, data.frame(y = 1:9), outcome = "y", conf_level = 0.9))
})

test_that("fits of all kinds get intervals that hold, for the outcome", {
  sim <- sim_nonlinear(4000, n_variants = 5, seed = 4)
  sim$g <- as.matrix(sim[truth(sim)$instruments])
  sim$age <- rep(c(30, 40, 50, 60), 1000)
  fit <- sim[1:1500, ]
  rows <- sim[1501:2500, ]
  new <- sim[2501:4000, ]
  quick_control <- nn_control(hidden = 8, epochs = 15)
  fits <- list(
    iv_quantile(Y ~ X | g, fit, seed = 1, control = quick_control),
    iv_deep(Y ~ X | g, fit, seed = 1, control = quick_control),
    iv_dfiv(Y ~ X | g, fit, seed = 1, control = quick_control, cross_fit = 2),
    iv_contextual(Y ~ X | g, fit, context = ~age, seed = 1, encoder = "linear"),
    iv_2sls(Y ~ X + I(X^2) | g + I(g^2), fit)
  )
  for (object in fits) {
    for (method in c("split", "normalised", "cqr")) {
      band <- suppressWarnings(
        conformal(object, rows, method, conf_level = 0.8, control = quick_control, seed = 1),
        classes = "mrlearn_warning_not_trained"
      )
      p <- predict(band, new)
      # Two binomial errors, of 1000 rows of calibration and of 1500 new ones: sd .0163; four.
      expect_lt(abs(mean(p$lower <= new$Y & new$Y <= p$upper) - 0.8), 0.066)
      expect_true(band$checked)
      # An interval for the outcome, whose standard deviation given X is 1.2, not for the curve.
      expect_gt(mean(p$upper - p$lower), 2.5)
      expect_equal(p$estimate, unname(as.vector(predict(object, newdata = new))))
    }
  }
  band <- conformal(fits[[1]], rows, "cqr", conf_level = 0.8, asymmetric = TRUE, seed = 1,
    control = quick_control)
  same <- conformal(fits[[1]], rows, "cqr", conf_level = 0.8, asymmetric = TRUE, seed = 1,
    control = quick_control, n_threads = 1)
  expect_identical(predict(band, new), predict(same, new))
  file <- withr::local_tempfile()
  saveRDS(band, file)
  expect_identical(predict(readRDS(file), new[1:3, ]), predict(band, new[1:3, ]))
})

test_that("quantile regressions are calibrated at alpha/2 and 1 - alpha/2", {
  d <- spread_rows(3000, 5)
  control <- nn_control(hidden = 8, epochs = 20)
  every <- quantile_regression(y ~ x + w, d[1:1500, ], simultaneous = TRUE, seed = 1,
    control = control)
  band <- conformal(every, d[1501:2000, ], conf_level = 0.9)
  rows <- d[2001:3000, ]
  p <- predict(band, rows)
  q <- predict(every, rows, tau = c(0.05, 0.95))
  expect_equal(p$lower, unname(q[, 1]) - band$below)
  expect_equal(p$upper, unname(q[, 2]) + band$above)
  # Of 500 and 1000 rows: sd .0165.
  expect_lt(abs(mean(p$lower <= rows$y & rows$y <= p$upper) - 0.9), 0.066)
  set <- quantile_regression(y ~ x + w, d[1:1500, ], tau = c(0.1, 0.9), seed = 1,
    control = control)
  expect_error(conformal(set, d[1501:2000, ], conf_level = 0.9), class = "mrlearn_error_argument")
  expect_s3_class(conformal(set, d[1501:2000, ], conf_level = 0.8), "conformal")
})

test_that("rows that the fit has seen are refused", {
  d <- spread_rows(400, 6)
  fit <- iv_ols(y ~ x + w, d[1:200, ])
  expect_error(conformal(fit, d[1:200, ]), class = "mrlearn_error_data")
  expect_error(conformal(fit, d[200:399, ]), class = "mrlearn_error_data")
  expect_true(conformal(fit, d[201:400, ])$checked)
  expect_false(conformal(iv_ols(y ~ x + w, d[1:200, ], model = FALSE), d[1:200, ])$checked)
  held_out <- quantile_regression(y ~ x, d[1:200, ], tau = c(0.1, 0.9), seed = 1,
    control = nn_control(hidden = 2, epochs = 3))
  used <- held_out$held_out[1:10]
  expect_error(conformal(held_out, d[c(used, 201:250), ], conf_level = 0.8),
    class = "mrlearn_error_data")

  # Matrix columns and exact fits.
  d$m <- cbind(d$x, d$w)
  d$exact <- d$x - d$w
  fit <- iv_ols(exact ~ m, d[1:200, ])
  expect_error(conformal(fit, d[1:200, ]), class = "mrlearn_error_data")
  band <- conformal(fit, d[201:400, ], "normalised", seed = 1,
    control = nn_control(hidden = 2, epochs = 2))
  expect_lt(max(abs(predict(band, d)$upper - d$exact)), 1e-8)

  # Discrete data have equal rows by chance.
  set.seed(7)
  coarse <- data.frame(x = rbinom(1000, 2, 0.3), y = rbinom(1000, 3, 0.5))
  fit <- iv_ols(y ~ x, coarse[1:500, ])
  expect_true(conformal(fit, coarse[501:1000, ])$checked)
})

test_that("bad input is refused by class, with a text that helps", {
  d <- spread_rows(60, 8)
  fit <- iv_ols(y ~ x, d[1:30, ])
  new <- d[31:60, ]
  binary <- quick(B ~ X | g, binary = TRUE)
  withr::local_options(width = 80)
  expect_snapshot(error = TRUE, {
    conformal("fit", new)
    conformal(fit, as.list(new))
    conformal(fit, new[0, ])
    conformal(fit, new["x"])
    conformal(fit, new, method = "jackknife")
    conformal(fit, new, conf_level = 95)
    conformal(fit, new, asymmetric = TRUE)
    conformal(fit, new, "split", level = 0.9)
    conformal(fit, d[1:30, ])
    conformal(binary, toy_neural)
    conformal(function(rows) 1, new, outcome = "y")
    conformal(function(rows) rows$x, new, outcome = "z")
    conformal(function(rows) rows$x, new, outcome = "y", scale = function(rows) rows$x)
    conformal(list(lower = 1, upper = 2), new, outcome = "y")
    predict(conformal(fit, new), new[0, ])
    predict(conformal(fit, new), 1)
  })
  expect_snapshot(print(conformal(fit, new, conf_level = 0.9), digits = 3))
})
