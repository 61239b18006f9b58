glm_of <- function(y, x, weights = NULL, offset = NULL) {
  data <- list(y = y, x = x)
  data$weights <- if (is.null(weights)) rep(1, length(y)) else weights
  data$offset <- if (is.null(offset)) rep(0, length(y)) else offset
  suppressWarnings(stats::glm(y ~ x, "binomial", data, weights = weights, offset = offset,
    epsilon = 1e-14, maxit = 100))
}

test_that("logistic regression is that of glm()", {
  set.seed(5)
  n <- 500
  # Columns of unlike scales and a mean far from 0.
  x <- cbind(stats::rnorm(n, 1000), 1e-3 * stats::rnorm(n), stats::rbinom(n, 2, 0.1))
  y <- 1 * (stats::runif(n) < stats::plogis(x[, 1] - 1000 + 500 * x[, 2] - x[, 3]))
  weights <- stats::runif(n)
  offset <- stats::rnorm(n)
  for (case in list(
    list(NULL, NULL), list(weights, NULL), list(NULL, offset), list(weights, offset)
  )) {
    slow <- glm_of(y, x, case[[1]], case[[2]])
    fast <- logit_core(y, x, case[[1]], case[[2]])
    expect_identical(fast$status, "ok")
    # The constant is a thousand slopes away from the data: its error is theirs times 1000.
    expect_equal(fast$value$coef, unname(stats::coef(slow)), tolerance = 1e-9)
    # glm() inverts uncentred crossproducts, which costs it the square of 1000 in digits; its
    # weights are those before the last step.
    expect_equal(sqrt(diag(fast$value$vcov)), sqrt(diag(unname(stats::vcov(slow)))),
      tolerance = 1e-7)
    expect_equal(fast$value$deviance, slow$deviance, tolerance = 1e-10)
  }
  # Shares of trials.
  shares <- stats::rbinom(n, 4, stats::plogis(x[, 1] - 1000)) / 4
  expect_equal(logit_core(shares, x, rep(4, n))$value$coef,
    unname(stats::coef(glm_of(shares, x, rep(4, n)))), tolerance = 1e-9)
})

test_that("separation and collinearity are told apart", {
  set.seed(6)
  x <- cbind(stats::rnorm(60), stats::rnorm(60))
  separated <- function(y, x) {
    out <- logit_core(y, x)
    c(out$status, out$value$separated)
  }
  expect_identical(separated(1 * (x[, 1] + x[, 2] > 0.2), x), c("no_converge", "1"))
  # Quasi-complete: all ones where the third column is 1.
  third <- rep(c(1, 0, 0), 20)
  y <- ifelse(third == 1, 1, stats::rbinom(60, 1, 0.5))
  expect_identical(separated(y, cbind(x, third)), c("no_converge", "1"))
  expect_identical(separated(rep(0, 60), x), c("no_converge", "1"))
  y[1] <- 0 # third[1] is 1: one row is enough
  expect_identical(separated(y, cbind(x, third)), c("ok", "0"))
  expect_identical(logit_core(y, cbind(x, x[, 1]))$status, "singular")
})

test_that("numbers do not depend on threads or on the order of rows", {
  set.seed(7)
  x <- matrix(stats::rnorm(4000), 1000)
  y <- stats::rbinom(1000, 1, 0.4)
  one <- logit_core(y, x)$value
  expect_identical(logit_core(y, x, n_threads = 3L)$value, one)
  order <- sample(1000)
  expect_equal(logit_core(y[order], x[order, ])$value$coef, one$coef, tolerance = 1e-11)
})
