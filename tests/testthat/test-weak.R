# The warning about weak instruments: it appears where theory says that 2SLS fails, and what it says
# is true.
#
# Design: L = 20 independent instruments, errors with correlation 0.5, first-stage coefficients such
# that the concentration parameter is mu^2 = L (F - 1), so that the expected first-stage F is
# about 1 + mu^2 / L = F. Then 2SLS keeps the share L / (mu^2 + L) = 1 / F of the bias of OLS
# (Bound, Jaeger & Baker 1995; Stock & Yogo 2005), exactly so as L grows with mu^2 / L fixed.
simulate_strength <- function(f, n = 500, l = 20, beta = 0.3) {
  z <- matrix(rnorm(n * l), n)
  v <- rnorm(n)
  u <- 0.5 * v + sqrt(0.75) * rnorm(n)
  x <- drop(z %*% rep(sqrt((f - 1) / n), l)) + v
  list(y = beta * x + u, x = x, z = z)
}

replicate_fits <- function(f, n_replicates) {
  rows <- replicate(n_replicates, simplify = FALSE, {
    d <- simulate_strength(f)
    fit <- iv_2sls(y = d$y, x = d$x, z = d$z, n_threads = 1)
    inside <- abs(coef(fit)[["x"]] - 0.3) / sqrt(vcov(fit)["x", "x"]) < qt(0.975, 500 - 2)
    text <- paste(capture.output(print(fit)), collapse = "\n")
    data.frame(
      tsls = coef(fit)[["x"]] - 0.3, ols = cov(d$x, d$y) / var(d$x) - 0.3, covered = inside,
      f = diagnostic_row(fit, "Weak instruments")$statistic,
      warned = grepl("\nWeak instruments:", text)
    )
  })
  do.call(rbind, rows)
}

# Standard error of a median of a nearly normal sample: 1.25 times that of the mean.
median_error <- function(x) 1.2533 * sd(x) / sqrt(length(x))

test_that("F = 2: warned of, and 2SLS keeps half of the bias of OLS", {
  set.seed(20)
  r <- replicate_fits(2, 300)
  expect_lt(abs(mean(r$f) - 2), 0.02 + 4 * sd(r$f) / sqrt(300))
  # F is above 10 with probability below 1e-16 here: every fit warns.
  expect_true(all(r$warned))
  # "leans towards the confounded regression": by 1/F of its bias. Four Monte Carlo standard errors,
  # and 0.03 for the terms of order 1/L that the formula leaves out.
  share <- median(r$tsls) / median(r$ols)
  allowed <- 0.03 + 4 * median_error(r$tsls) / median(r$ols)
  expect_lt(abs(share - 1 / 2), allowed)
  # The bound excludes an unbiased estimator, which the warning would wrong.
  expect_lt(allowed, 1 / 2)
  # "its interval is too narrow": 95 % intervals cover less than 95 % by far more than chance.
  expect_lt(mean(r$covered), 0.95 - 4 * sqrt(0.95 * 0.05 / 300))
})

test_that("F = 50: no warning, hardly any bias", {
  set.seed(21)
  r <- replicate_fits(50, 300)
  expect_false(any(r$warned))
  share <- median(r$tsls) / median(r$ols)
  expect_lt(abs(share - 1 / 50), 0.03 + 4 * median_error(r$tsls) / median(r$ols))
})

test_that("the warning says which statistic is too low, and how low", {
  set.seed(22)
  d <- simulate_strength(2)
  iid <- iv_2sls(y = d$y, x = d$x, z = d$z)
  f <- diagnostic_row(iid, "Conditional F")$statistic
  expect_lt(f, 10)
  expect_output(print(iid), sprintf("conditional F = %.3g, below 10", f), fixed = TRUE)
  expect_output(print(iid), "leans towards the confounded regression", fixed = TRUE)
  expect_output(print(summary(iid)), "Weak instruments: ", fixed = TRUE)

  robust <- iv_2sls(y = d$y, x = d$x, z = d$z, vcov = "HC1")
  row <- diagnostic_row(robust, "Effective F")
  expect_lt(row$statistic, row$critical)
  said <- sprintf("effective F = %.3g, below its critical value %.3g", row$statistic, row$critical)
  expect_output(print(robust), said, fixed = TRUE)
})

test_that("two exposures, each strong alone, weak together: the conditional F tells", {
  # Both first-stage F are above 10, but both exposures follow the same combination of instruments:
  # only their difference could tell them apart, and that is weak.
  d <- iv_two_exposures()
  fit <- iv_2sls(y ~ x1 + x2 + w | z1 + z2 + z3 + z4 + w, d)
  expect_gt(diagnostic_row(fit, "Weak instruments (x1)")$statistic, 10)
  expect_gt(diagnostic_row(fit, "Weak instruments (x2)")$statistic, 10)
  weakest <- diagnostic_row(fit, "Conditional F (x2)")$statistic
  expect_lt(weakest, diagnostic_row(fit, "Conditional F (x1)")$statistic)
  expect_output(print(fit), sprintf("conditional F (x2) = %.3g, below 10", weakest), fixed = TRUE)
})

test_that("the warning names ar_set() where it takes the fit", {
  set.seed(21)
  d <- simulate_strength(2)
  printed <- function(fit) paste(capture.output(print(fit)), collapse = " ")
  says <- "too narrow; ar_set() gives an interval that holds."
  expect_match(printed(iv_2sls(y = d$y, x = d$x, z = d$z)), says, fixed = TRUE)
  both <- printed(iv_2sls(y = d$y, x = cbind(d$x, d$x^2), z = d$z))
  expect_match(both, "is too narrow.", fixed = TRUE)
  expect_no_match(both, "ar_set")
})
