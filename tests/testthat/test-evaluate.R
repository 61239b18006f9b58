quadratic <- function(x) 0.3 * x^2 + 0.3 * x + 0.4

test_that("every metric is what its definition says", {
  # Sums of up to 2000 numbers of order 1: differences of rounding are far below 1e-10 relative.
  for (n in c(2, 3, 50, 2000)) {
    estimates <- noisy_estimates(n, quadratic, seed = n)
    levels <- c(0.1, 0.5, 0.8)
    quantiles <- outer(estimates$estimate, stats::qnorm(levels), "+")
    row <- evaluate(estimates, quadratic, conf_level = 0.8, quantiles = quantiles, levels = levels)
    slow <- oracle_metrics(estimates$x, estimates$estimate, quadratic(estimates$x),
      estimates$conf.low, estimates$conf.high, 0.8, quantiles, levels)
    expect_equal(row[metric_names], slow, tolerance = 1e-10)
    expect_identical(row$n_points, as.integer(n))
    expect_identical(c(row$domain.low, row$domain.high), range(estimates$x))
  }
})

test_that("small cases have the values worked out by hand", {
  estimates <- data.frame(
    x = c(0, 1, 3, 4), estimate = c(1, 2, 3, 1), conf.low = c(0.5, 2, 2, 0),
    conf.high = c(1.5, 3, 4, 2)
  )
  row <- evaluate(estimates, truth = c(0, 2, 5, 1), conf_level = 0.5)
  expect_equal(row, data.frame(
    domain.low = 0, domain.high = 4, n_points = 4L, reference = NA_real_, mse = 1.25, bias = -0.25,
    coverage = 0.5, simultaneous = FALSE, width = 1.5, interval_score = 3, derivative_error = 2,
    calibration_error = NA_real_
  ))
  exact <- evaluate(data.frame(x = 1:3, estimate = 1:3), function(x) x)
  expect_identical(c(exact$mse, exact$bias, exact$derivative_error), c(0, 0, 0))
  expect_identical(exact$coverage, NA_real_)
  expect_identical(exact$simultaneous, NA)
})

test_that("a band decides over the whole curve, the intervals over the points", {
  estimates <- data.frame(
    x = 1:4, estimate = 0, conf.low = -1, conf.high = 1, band.low = -3, band.high = 3
  )
  row <- evaluate(estimates, truth = c(0, 0, 0, 2))
  expect_identical(row$coverage, 0.75)
  expect_true(row$simultaneous)
  expect_false(evaluate(estimates[1:4], truth = c(0, 0, 0, 2))$simultaneous)
  expect_true(evaluate(estimates[c(1, 2, 5, 6)], truth = c(0, 0, 0, 2))$simultaneous)
  expect_identical(evaluate(estimates[c(1, 2, 5, 6)], truth = 1:4)$coverage, NA_real_)
})

test_that("infinite limits cover at infinite cost", {
  row <- evaluate(data.frame(estimate = 0, conf.low = -Inf, conf.high = 1), truth = 0)
  expect_identical(c(row$coverage, row$width, row$interval_score), c(1, Inf, Inf))
})

test_that("order, shifts and scales act as they must", {
  estimates <- noisy_estimates(300, quadratic, seed = 1)
  row <- evaluate(estimates, quadratic)[metric_names]
  shuffled <- estimates[withr::with_seed(2, sample(300)), ]
  expect_identical(evaluate(shuffled, quadratic)[metric_names], row)

  outcomes <- c("estimate", "conf.low", "conf.high")
  scaled <- estimates
  scaled[outcomes] <- 10 * estimates[outcomes] + 7
  expected <- row
  expected[c("mse", "derivative_error")] <- 100 * row[c("mse", "derivative_error")]
  expected[c("bias", "width", "interval_score")] <- 10 * row[c("bias", "width", "interval_score")]
  expect_equal(evaluate(scaled, function(x) 10 * quadratic(x) + 7)[metric_names], expected)

  stretched <- transform(estimates, x = 2 * x + 1)
  expected <- row
  expected$derivative_error <- row$derivative_error / 4
  expect_equal(evaluate(stretched, function(x) quadratic((x - 1) / 2))[metric_names], expected)

  # A constant added to the estimates alone changes mse by the square of the bias.
  off <- estimates
  off[outcomes] <- estimates[outcomes] + 3
  added <- evaluate(off, quadratic)
  expect_equal(added$bias, row$bias + 3)
  expect_equal(added$mse - added$bias^2, row$mse - row$bias^2)
  expect_equal(added$derivative_error, row$derivative_error)
})

test_that("the interval score rewards the right quantiles", {
  # Its expectation is least at the 2.5 % and 97.5 % quantiles of the law. Between these intervals
  # and ones of half or twice their width it differs by .98 and 1.10 for a standard normal truth (by
  # integration), with a standard error below 10 / sqrt(n).
  n <- 20000
  truth <- withr::with_seed(1, stats::rnorm(n))
  score <- function(half) {
    evaluate(data.frame(estimate = rep(0, n), conf.low = -half, conf.high = half),
      truth)$interval_score
  }
  best <- score(stats::qnorm(0.975))
  expect_gt(score(stats::qnorm(0.975) / 2), best + 0.9)
  expect_gt(score(stats::qnorm(0.975) * 2), best + 0.9)
})

test_that("right quantiles are calibrated and mirrored ones are not", {
  n <- 20000
  truth <- withr::with_seed(1, stats::rexp(n))
  levels <- seq(0.1, 0.9, by = 0.1)
  quantiles <- matrix(stats::qexp(levels), n, 9, byrow = TRUE)
  error <- function(quantiles) {
    evaluate(data.frame(estimate = rep(0, n)), truth, quantiles = quantiles,
      levels = levels)$calibration_error
  }
  # A share has the standard error .5 / sqrt(n) at most.
  expect_lt(error(quantiles), 4 * 0.5 / sqrt(n))
  expect_gt(error(quantiles[, 9:1]), 0.4)
  expect_identical(error(as.data.frame(quantiles)), error(quantiles))
})

test_that("a fit is compared on evenly spaced points of its domain", {
  sim <- with_score(sim_nonlinear(n = 3000, seed = 1))
  fit <- iv_2sls(Y ~ X + I(X^2) | score + I(score^2), data = sim)
  domains <- list(
    list("range", range(sim$X)),
    list("95%", stats::quantile(sim$X, c(0.025, 0.975), names = FALSE)),
    list(c(-1, 2), c(-1, 2))
  )
  for (domain in domains) {
    row <- evaluate(fit, sim, domain = domain[[1]], n_points = 101, conf_level = 0.9)
    at <- seq(domain[[2]][1], domain[[2]][2], length.out = 101)
    curve <- effect_curve(fit, x = at, conf_level = 0.9)
    slow <- oracle_metrics(at, curve$estimate, quadratic(at), curve$conf.low, curve$conf.high, 0.9)
    expect_equal(row[metric_names], slow, tolerance = 1e-8)
    expect_identical(c(row$domain.low, row$domain.high), domain[[2]])
  }
  expect_identical(evaluate(fit, sim)$n_points, 2000L)
  expect_identical(evaluate(fit, sim), evaluate(fit, sim, domain = c("range", "95%")))
  expect_identical(evaluate(fit, truth(sim)), evaluate(fit, sim))
  expect_identical(evaluate(fit, truth(sim)$curve), evaluate(fit, sim))
  expect_identical(evaluate(fit, sim, exposure = "X"), evaluate(fit, sim))
  # The same as rows of a data.frame.
  rows <- effect_curve(fit, x = seq(-1, 2, length.out = 101))
  expect_equal(evaluate(rows, sim), evaluate(fit, sim, domain = c(-1, 2), n_points = 101))
  expect_equal(
    evaluate(rows, sim, domain = c(0, 1)),
    evaluate(rows[rows$x >= 0 & rows$x <= 1, ], sim, domain = c(0, 1))
  )
})

test_that("contrasts are compared with contrasts", {
  sim <- with_score(sim_nonlinear(n = 3000, seed = 2))
  fit <- iv_2sls(Y ~ X + I(X^2) | score + I(score^2), data = sim)
  at <- seq(-2, 2, length.out = 41)
  contrasts <- effect_curve(fit, x = at, reference = 1)
  slow <- oracle_metrics(at, contrasts$estimate, quadratic(at) - quadratic(1),
    contrasts$conf.low, contrasts$conf.high, 0.95)
  row <- evaluate(fit, sim, domain = c(-2, 2), n_points = 41, reference = 1)
  expect_equal(row[metric_names], slow, tolerance = 1e-8)
  expect_identical(row$reference, 1)
  # Contrasts in a data.frame are known by their label.
  expect_equal(evaluate(contrasts, sim, reference = 1), row)
  # The middle of the domain by default; a constant in the truth is of no account then.
  middle <- evaluate(fit, sim, domain = c(-2, 2), n_points = 41, centre = TRUE)
  expect_identical(middle$reference, 0)
  shifted <- evaluate(fit, function(x) quadratic(x) + 5, domain = c(-2, 2), n_points = 41,
    centre = TRUE)
  expect_equal(shifted, middle)
  expect_gt(evaluate(fit, function(x) quadratic(x) + 5, domain = c(-2, 2))$mse, 20)
  # Rows of levels are shifted by the estimate at the reference.
  levels <- effect_curve(fit, x = at)
  by_shift <- evaluate(levels, sim, centre = TRUE, reference = 1)
  expect_equal(by_shift[c("mse", "bias")], row[c("mse", "bias")])
  expect_equal(by_shift$width, evaluate(levels, sim)$width)
  expect_identical(compare_fits(fit, truth = sim, reference = 1)$reference, 1)
})

test_that("a curve that is a contrast by nature is compared as one", {
  sim <- with_score(sim_nonlinear(n = 3000, seed = 2))
  fit <- iv_2sls(Y ~ X + I(X^2) | score + I(score^2), data = sim)
  class(fit) <- c("contrast_only", class(fit))
  effect_curve_contrast <- function(fit, x = NULL, reference = 0, ...) {
    effect_curve.iv_fit(fit, x = x, reference = reference, ...)
  }
  environment(effect_curve_contrast) <- asNamespace("mrlearn")
  registerS3method("effect_curve", "contrast_only", effect_curve_contrast,
    envir = asNamespace("mrlearn"))
  plain <- fit
  class(plain) <- class(fit)[-1]
  expect_equal(
    evaluate(fit, sim, domain = c(-2, 2)), evaluate(plain, sim, domain = c(-2, 2), centre = TRUE)
  )
  both <- compare_fits(fit, plain, truth = sim, domain = c(-2, 2))
  expect_identical(both$reference, c(0, 0))
  expect_equal(both$mse[1], both$mse[2])
})

test_that("what is no effect of an intervention is refused", {
  estimates <- data.frame(x = 1:3, estimate = 1:3, estimand = "E[h(X)|x_hat]")
  expect_error(evaluate(estimates, function(x) x), class = "mrlearn_error_argument")
  expect_snapshot(error = TRUE, evaluate(estimates, function(x) x))
})

test_that("averaging over people who differ in nothing else takes one of them", {
  sim <- with_score(sim_nonlinear(n = 500, seed = 3))
  fit <- iv_2sls(Y ~ X + I(X^2) + sin(X) | score + I(score^2) + I(score^3), data = sim)
  at <- c(-1, 0.5, 2)
  by_people <- vapply(at, function(level) {
    mean(predict(fit, data.frame(X = rep(level, 500))))
  }, 0)
  expect_equal(effect_curve(fit, x = at)$estimate, by_people, tolerance = 1e-12)
})

test_that("intervals of a right model cover the curve as often as they say", {
  # 300 simulations, shares at 50 points: an SD of at most sqrt(.05 * .95 / 300) = .0126 if all the
  # points of a simulation went together. Intervals of t with 497 degrees of freedom.
  covered <- vapply(1:300, function(seed) {
    sim <- with_score(sim_nonlinear(n = 500, f = "linear", seed = seed))
    unlist(evaluate(iv_2sls(Y ~ X | score, data = sim), sim, n_points = 50)[
      c("coverage", "simultaneous")
    ])
  }, numeric(2))
  expect_lt(abs(mean(covered[1, ]) - 0.95), 4 * 0.0126)
  # The whole line is held less often than a point of it.
  expect_lt(mean(covered[2, ]), 0.95)
  expect_gt(mean(covered[2, ]), 0.8)
})

test_that("fits are compared on one domain and sorted by their error", {
  sim <- with_score(sim_nonlinear(n = 5000, seed = 4))
  curved <- iv_2sls(Y ~ X + I(X^2) | score + I(score^2), data = sim)
  straight <- iv_2sls(Y ~ X | score, data = sim)
  confounded <- iv_ols(Y ~ X + I(X^2), data = sim, subset = X > -2)
  table <- compare_fits(straight, curved, ols = confounded, truth = sim)
  expect_identical(names(table), c("fit", names(evaluate(curved, sim))))
  expect_identical(table$fit[1], "curved")
  expect_setequal(table$fit, c("straight", "curved", "ols"))
  expect_false(is.unsorted(table$mse))
  # The confounded fit knows no exposure below -2, so none is asked below.
  expect_identical(unique(table$domain.low), min(confounded$model$X))
  expect_identical(unique(table$domain.high), max(sim$X))
  shared <- c(min(confounded$model$X), max(sim$X))
  expect_equal(as.data.frame(table[1, -1]), evaluate(curved, sim, domain = shared),
    ignore_attr = "row.names"
  )
  # As a list, and with a data.frame among them.
  fits <- list(straight = straight, curved = curved, ols = confounded)
  expect_identical(compare_fits(fits, truth = sim), table)
  expect_identical(compare_fits(unname(fits), truth = sim)$fit[1], "fit2")
  known <- data.frame(x = seq(-1, 1, by = 0.5), estimate = quadratic(seq(-1, 1, by = 0.5)))
  mixed <- compare_fits(known, curved, truth = sim)
  expect_identical(mixed$fit[1], "known")
  expect_identical(mixed$mse[1], 0)
  expect_identical(mixed$domain.low, c(-1, -1))
  expect_identical(mixed$n_points, c(5L, 2000L))
})

test_that("estimates without exposures are compared with a number each", {
  sim <- sim_effect_modifier(n = 2000, seed = 5)
  z <- as.matrix(as.data.frame(sim)[truth(sim)$instruments])
  fit <- iv_2sls(Y ~ X * M | z * M, data = sim)
  people <- data.frame(M = seq(-2, 2, length.out = 9))
  effects <- cate(fit, 0, 1, newdata = people)
  row <- evaluate(effects, truth = truth(sim)$cate(people$M))
  expect_equal(row$mse, mean((effects$estimate - truth(sim)$slope(people$M))^2))
  expect_identical(row$derivative_error, NA_real_)
  expect_identical(row$domain.low, NA_real_)
  both <- compare_fits(effects, zero = data.frame(estimate = rep(0, 9)),
    truth = truth(sim)$cate(people$M))
  expect_identical(both$fit, c("effects", "zero"))
  # Where exposures repeat there is no slope.
  twice <- data.frame(x = c(1, 1, 2), estimate = 1:3)
  expect_identical(evaluate(twice, function(x) x)$derivative_error, NA_real_)
})

test_that("arguments are checked", {
  sim <- with_score(sim_nonlinear(n = 200, seed = 6))
  fit <- iv_2sls(Y ~ X | score, data = sim)
  bare <- iv_2sls(Y ~ X | score, data = sim, model = FALSE)
  rows <- data.frame(x = 1:3, estimate = c(1, 2, 4), conf.low = 0, conf.high = 5)
  identity_curve <- function(x) x
  expect_error(evaluate(fit, "a"), class = "mrlearn_error_argument")
  expect_error(evaluate(transform(rows, estimate = NA_real_), identity_curve),
    class = "mrlearn_error_data")
  expect_error(evaluate(data.frame(x = 1:2, estimate = c(-1e308, 1e308)), c(1e308, -1e308)),
    class = "mrlearn_error_numeric")
  expect_snapshot(error = TRUE, {
    evaluate(fit, "a")
    evaluate(fit, list(beta = 1))
    evaluate(fit, 1:3)
    evaluate(fit, function(x) 1)
    evaluate(fit, function(x) x / 0)
    evaluate(fit, as.data.frame(sim))
    evaluate(fit, sim, domain = "90%")
    evaluate(fit, sim, domain = c(1, 1))
    evaluate(fit, sim, domain = c(0, NA))
    evaluate(fit, sim, domain = 1:3 + 0)
    evaluate(fit, sim, n_points = 1)
    evaluate(fit, sim, centre = NA)
    evaluate(fit, sim, reference = "a")
    evaluate(fit, sim, reference = 1, centre = FALSE)
    evaluate(fit, sim, conf_level = 1)
    evaluate(fit, sim, exposure = "W")
    evaluate(fit, sim, points = 5)
    evaluate(bare, sim)
    evaluate(rows, identity_curve, n_points = 5)
    evaluate(rows, identity_curve, domain = "95%")
    evaluate(rows, identity_curve, domain = c(5, 6))
    evaluate(rows, 1:2)
    evaluate(rows, c(1, NA, 2))
    evaluate(rows["x"], identity_curve)
    evaluate(rows[0, ], identity_curve)
    evaluate(rows["estimate"], identity_curve)
    evaluate(rows["estimate"], 1:3, domain = c(0, 1))
    evaluate(rows["estimate"], 1:3, centre = TRUE, reference = 1)
    evaluate(rows[-4], identity_curve)
    evaluate(transform(rows, estimate = "a"), identity_curve)
    evaluate(transform(rows, x = c(1, NA, Inf)), identity_curve)
    evaluate(transform(rows, conf.low = c(0, NA, 0)), identity_curve)
    evaluate(transform(rows, conf.low = 6), identity_curve)
    evaluate(transform(rows, conf.high = -Inf, conf.low = -Inf), identity_curve)
    evaluate(rows, identity_curve, centre = TRUE)
    evaluate(rows, identity_curve, reference = 4)
    evaluate(rows, identity_curve, quantiles = matrix(1, 3, 2))
    evaluate(rows, identity_curve, quantiles = matrix(1, 3, 2), levels = 0.5)
    evaluate(rows, identity_curve, quantiles = matrix(1, 3, 1), levels = 1)
    evaluate(rows, identity_curve, quantiles = matrix(NA_real_, 3, 1), levels = 0.5)
    evaluate(data.frame(x = 1:2, estimate = c(-1e308, 1e308)), c(1e308, -1e308))
    evaluate(sim, identity_curve)
    compare_fits(truth = sim)
    compare_fits(list(), truth = sim)
    compare_fits(fit, 3, truth = sim)
    compare_fits(rows, transform(rows, x = x + 9), truth = identity_curve)
  })
})

test_that("the row looks as documented", {
  rows <- data.frame(x = c(-1, 0, 1), estimate = c(0.5, 0.3, 1.1), conf.low = 0, conf.high = 1)
  expect_snapshot(print(t(evaluate(rows, quadratic)), digits = 4))
})
