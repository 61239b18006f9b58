toy_delivr <- local({
  set.seed(31)
  n <- 1200
  g <- matrix(stats::rbinom(4 * n, 2, 0.4), n, dimnames = list(NULL, paste0("g", 1:4)))
  u <- stats::rnorm(n)
  x <- 5 + drop(g %*% c(1, 0.8, -0.7, 0.9)) + u + 0.5 * stats::rnorm(n)
  data <- data.frame(x, y = u + stats::rnorm(n), line = 0.5 * x + u + stats::rnorm(n),
    bent = 0.5 * (x - 6)^2 + u + stats::rnorm(n), family = rep(1:300, 4))
  data$g <- g
  data
})

small_net <- function(...) {
  nn_control(hidden = c(16, 8), activation = "relu", batch_norm = FALSE, optimizer = "adam",
    learning_rate = 5e-3, weight_decay = 0, batch_size = 64, schedule = "constant", epochs = 60,
    clip = 0, ...)
}

delivr <- function(formula, data = toy_delivr, ..., n_splits = 3) {
  iv_delivr(formula, data, ..., n_splits = n_splits, control = small_net(), seed = 1)
}

test_that("the first stage is least squares with a constant", {
  fit <- delivr(y ~ x | g)
  slow <- stats::lm(x ~ g, toy_delivr)
  expect_equal(unname(fit$first_stage_coef), unname(stats::coef(slow)), tolerance = 1e-10)
  expect_equal(fit$x_hat, unname(stats::fitted(slow)), tolerance = 1e-10)
  # The defect of the original, a ridge regression without constant, moves the predictions.
  mutant <- drop(toy_delivr$g %*% solve(crossprod(toy_delivr$g) + diag(4),
    crossprod(toy_delivr$g, toy_delivr$x)))
  expect_equal(mean(fit$x_hat), mean(toy_delivr$x), tolerance = 1e-10)
  expect_gt(abs(mean(mutant) - mean(toy_delivr$x)), 0.5)
})

# A network without hidden layers adds nothing to the line: h is least squares on training rows.
test_that("a linear network is the line", {
  fit <- iv_delivr(line ~ x | g, toy_delivr, n_splits = 1, seed = 1,
    control = nn_control(hidden = integer(0), validation = 0, epochs = 2))
  rows <- delivr_parts(list(y = toy_delivr$line), list(test = 0.3, n_splits = 1, seed = 1,
    control = list(validation = 0)))[, 1]
  line <- stats::lm(line ~ mu, cbind(toy_delivr, mu = fit$x_hat), rows == 0)
  # Inputs of networks are floats: 6e-8 of u.
  expect_equal(unname(fitted(fit)), unname(stats::predict(line, data.frame(mu = fit$x_hat))),
    tolerance = 1e-6)
  test <- summary(stats::lm(line ~ h, cbind(toy_delivr, h = fitted(fit)), rows == 2))
  ours <- fit$splits[fit$splits$test == "global", ]
  expect_equal(ours$statistic, test$coefficients["h", "t value"], tolerance = 1e-4)
  expect_equal(ours$df, sum(rows == 2) - 2)
  expect_equal(fit$tests$p.value[2], 0.5) # no split says anything of a bend
})

test_that("tests are t tests on rows that training has not seen", {
  fit <- delivr(bent ~ x | g)
  part <- delivr_parts(list(y = toy_delivr$y), list(test = 0.3, n_splits = 3, seed = 1,
    control = list(validation = small_net()$validation)))
  expect_identical(unname(c(table(part[, 2]))), c(672L, 168L, 360L))
  h <- vapply(1:3, function(s) {
    one <- fit
    one$network$coef <- fit$network$coef[, s, drop = FALSE]
    one$network[c("scale", "params", "statistics")] <- lapply(
      fit$network[c("scale", "params", "statistics")], function(m) m[, s, drop = FALSE]
    )
    delivr_curve(one, fit$x_hat)
  }, numeric(1200))
  expect_equal(rowMeans(h), unname(fitted(fit)), tolerance = 1e-6)
  for (s in 1:3) {
    d <- data.frame(y = toy_delivr$bent, mu = fit$x_hat, h = h[, s])[part[, s] == 2, ]
    ours <- fit$splits[fit$splits$split == s, ]
    # Floats in h: its bend has some 5 digits.
    expect_equal(ours$statistic[1], summary(stats::lm(y ~ h, d))$coefficients["h", 3],
      tolerance = 1e-4)
    expect_equal(ours$statistic[2], summary(stats::lm(y ~ mu + h, d))$coefficients["h", 3],
      tolerance = 1e-3)
  }
  published <- delivr(bent ~ x | g, nonlinearity = "published")
  d <- data.frame(y = toy_delivr$bent, mu = fit$x_hat, h = h[, 1])[part[, 1] == 2, ]
  left <- stats::residuals(stats::lm(y ~ mu, d))
  expect_equal(published$splits$statistic[2],
    summary(stats::lm(left ~ d$h))$coefficients[2, 3], tolerance = 1e-3)
})

test_that("p-values are combined by Cauchy's formula", {
  p <- c(0.2, 0.01, 0.7)
  t <- mean(tan((0.5 - p) * pi))
  expect_equal(combine_cauchy(p)$p.value, 0.5 - atan(t) / pi)
  expect_equal(combine_cauchy(0.03)$p.value, 0.03)
  expect_equal(combine_cauchy(c(1e-200, 1e-200))$p.value, 1e-200)
  expect_equal(combine_cauchy(c(NA, NA))$p.value, 0.5)
  expect_gt(combine_cauchy(c(1, 1))$p.value, 0.99)
})

# Effects of many standard errors are found, and the curve has the shape of E[h(X) | x_hat].
test_that("effects and bends are found", {
  line <- delivr(line ~ x | g)
  expect_lt(line$tests$p.value[1], 1e-6)
  bent <- delivr(bent ~ x | g)
  expect_lt(bent$tests$p.value[2], 1e-6)
  curve <- effect_curve(bent, c(4.5, 6, 7.5))
  expect_true(curve$estimate[2] < curve$estimate[1] && curve$estimate[2] < curve$estimate[3])
  # E[.5 (X - 6)^2 | x_hat] = .5 (x_hat - 6)^2 + .5 Var(X | Z), Var = 1.25, near the centre of the
  # data to .3 (three errors of a mean over some hundred people with standard deviation 2).
  expect_equal(effect_curve(bent, 6)$estimate, 0.5 * 1.25, tolerance = 0.3 / 0.6)
})

test_that("it says what it estimates, and what it does not", {
  fit <- delivr(bent ~ x | g)
  expect_identical(effect_curve(fit, 6)$estimand, "E[h(x)|x_hat=x], not E[bent|do(x=x)]")
  for (ask in list(quote(ate(fit, 0, 1)), quote(cate(fit, 0, 1)), quote(average_derivative(fit)))) {
    expect_error(eval(ask), class = "mrlearn_error_estimand")
  }
  expect_snapshot(error = TRUE, ate(fit, 0, 1))
  expect_output(print(fit), "The curve is E[h(x)|x_hat=x], not E[bent|do(x=x)]", fixed = TRUE)
  expect_equal(predict(fit, toy_delivr[1:4, ]), unname(fitted(fit)[1:4]), tolerance = 1e-6)
  expect_identical(tidy(fit), fit$tests)
  expect_identical(nrow(glance(fit)), 1L)
  withr::with_pdf(tempfile(), expect_s3_class(plot(fit), "data.frame"))
})

test_that("two samples", {
  fit <- delivr(bent ~ x | g, toy_delivr[1:600, ], stage2_data = toy_delivr[601:1200, -1])
  slow <- stats::lm(x ~ g, toy_delivr[1:600, ])
  expect_equal(fit$x_hat, unname(stats::predict(slow, toy_delivr[601:1200, ])), tolerance = 1e-10)
  expect_identical(nobs(fit), 600L)
})

test_that("numbers follow the seed alone, clusters stay together", {
  a <- delivr(bent ~ x | g, n_threads = 1)
  b <- delivr(bent ~ x | g, n_threads = 3)
  expect_identical(a[c("splits", "fitted.values", "network")],
    b[c("splits", "fitted.values", "network")])
  expect_identical(effect_curve(unserialize(serialize(a, NULL)), 5:7), effect_curve(a, 5:7))
  part <- delivr_parts(list(y = toy_delivr$y, cluster = match(toy_delivr$family, 1:300)),
    list(test = 0.3, n_splits = 2, seed = 1, control = list(validation = 0.2)))
  expect_true(all(tapply(part[, 1], toy_delivr$family, function(p) length(unique(p)) == 1L)))
  clustered <- delivr(bent ~ x | g, cluster = ~family)
  expect_equal(clustered$splits$df[1], 89) # 90 test clusters
  # Scales of exposure and outcome leave the tests alone, up to floats in the network.
  d <- toy_delivr
  d$x <- 100 * d$x - 3
  expect_equal(delivr(bent ~ x | g, d)$splits$statistic, a$splits$statistic, tolerance = 0.05)
})

test_that("bad input is refused by name", {
  refused <- function(expr, class) {
    expect_error(expr, class = paste0("mrlearn_error_", class))
  }
  refused(delivr(y ~ x + line | g + line), "formula")
  refused(delivr(y ~ x), "formula")
  refused(delivr(y ~ x + 0 | g + 0), "formula")
  refused(delivr(y ~ I(x^2) | g), "argument")
  refused(delivr(y ~ x | g, test = 1), "argument")
  refused(delivr(y ~ x | g, n_splits = 0), "argument")
  refused(iv_delivr(y ~ x | g, toy_delivr, control = list()), "argument")
  refused(delivr(y ~ x | g, toy_delivr[1:12, ]), "data")
  d <- toy_delivr
  d$x <- 1
  refused(delivr(y ~ x | g, d), "collinear")
  d <- toy_delivr
  d$y[3] <- Inf
  refused(delivr(y ~ x | g, d), "data")
})
