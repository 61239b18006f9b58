test_that("each first stage gives effects that are those of the weights", {
  w <- toy_covariates()
  for (kind in c("gaussian", "mixture", "ridge")) {
    for (fit in list(
      quick_deep(first_stage = kind),
      quick_deep(first_stage = kind, control = brief(refit = FALSE), n_draws = 3),
      quick_deep(B ~ X + w + sex | g + w + sex, first_stage = kind, binary = TRUE)
    )) {
      # As for Quantile IV.
      expect_equal(unname(fitted(fit)), slow_outcome(fit, toy_neural$X, w), tolerance = 1e-4)
      level <- mean(slow_outcome(fit, rep(0.5, 600), w))
      expect_equal(effect_curve(fit, 0.5)$estimate, level, tolerance = 1e-4)
      expect_identical(fit$first_stage_kind, kind)
      expect_s3_class(fit, c("iv_deep", "iv_neural", "iv_fit"), exact = TRUE)
    }
  }
})

test_that("a linear network is two-stage least squares", {
  tsls <- iv_2sls(Y ~ X + w | g + w, toy_neural)
  for (kind in c("gaussian", "mixture")) {
    fit <- quick_deep(Y ~ X + w | g + w, control = linear_control(), first_stage = kind)
    # As for Quantile IV.
    expect_equal(coef(fit)[["X"]], coef(tsls)[["X"]], tolerance = 1e-6)
  }
  ridge <- quick_deep(Y ~ X + w | g + w, control = linear_control(), first_stage = "ridge",
    ridge = 0)
  expect_equal(coef(ridge)[["X"]], coef(tsls)[["X"]], tolerance = 1e-6)
})

# Ridge regression of standardised columns with mean squared error plus penalty; its generalised
# cross-validation.
slow_ridge <- function(z, x, penalty) {
  z <- scale(z) * sqrt(nrow(z) / (nrow(z) - 1))
  r <- x - mean(x)
  inverse <- solve(crossprod(z) / nrow(z) + penalty * diag(ncol(z)))
  fitted <- z %*% inverse %*% crossprod(z, r) / nrow(z)
  df <- 1 + sum(diag(inverse %*% crossprod(z))) / nrow(z)
  list(fitted = mean(x) + drop(fitted), gcv = mean((r - fitted)^2) / (1 - df / nrow(z))^2)
}

test_that("the ridge first stage is ridge regression", {
  d <- toy_neural
  z <- cbind(d$g, d$w)
  for (penalty in c(0, 0.5, 20)) {
    fit <- quick_deep(Y ~ X + w | g + w, first_stage = "ridge", ridge = penalty,
      control = brief(refit = FALSE))
    expect_equal(fit$x_hat, slow_ridge(z, d$X, penalty)$fitted, tolerance = 1e-5)
  }
  chosen <- quick_deep(Y ~ X + w | g + w, first_stage = "ridge", control = brief(refit = FALSE))
  # Near the least value of the criterion over a fine grid, wherever the core's own grid lies.
  grid <- c(0, 10^seq(-5, 3, length.out = 80))
  at <- vapply(grid, function(penalty) slow_ridge(z, d$X, penalty)$gcv, 0)
  fits <- lapply(grid, function(penalty) slow_ridge(z, d$X, penalty)$fitted)
  nearest <- which.min(vapply(fits, function(f) mean((f - chosen$x_hat)^2), 0))
  expect_lt(at[nearest], min(at) * 1.001)
})

test_that("nodes stand for the density", {
  for (kind in c("gaussian", "mixture", "ridge")) {
    fit <- quick_deep(first_stage = kind)
    nodes <- predict(fit, toy_neural[1:20, ], "quantiles")
    weights <- attr(nodes, "weights")
    expect_identical(dim(nodes), dim(weights))
    expect_equal(rowSums(weights), rep(1, 20), tolerance = 1e-6)
    expect_true(all(weights >= 0))
    expect_equal(rowSums(nodes * weights), fit$x_hat[1:20], tolerance = 1e-5)
    expect_equal(predict(fit, toy_neural[1:20, ], "exposure"), fit$x_hat[1:20], tolerance = 1e-5)
  }
})

test_that("the outcome is met by the mean over the nodes", {
  w <- toy_covariates()
  for (kind in c("gaussian", "mixture", "ridge")) {
    fit <- quick_deep(B ~ X + w + sex | g + w + sex, first_stage = kind, binary = TRUE)
    nodes <- predict(fit, toy_neural, "quantiles")
    p <- apply(nodes, 2, function(x) slow_outcome(fit, x, w))
    expect_equal(fit$y_hat, rowSums(p * attr(nodes, "weights")), tolerance = 1e-4)
  }
})

test_that("noise has the standard deviation, not the variance, of the density", {
  # The exposure's noise has standard deviation 3 in its own units. The nodes of the normal law must
  # have it, with standard error 3 / sqrt(2 * 2000) = 0.05. Using the variance in standardised units
  # would give sd(X) (9 / Var(X)) = 2.3.
  set.seed(4)
  d <- data.frame(z = rnorm(2000))
  d$X <- 2.5 * d$z + rnorm(2000, sd = 3)
  d$Y <- d$X + rnorm(2000)
  for (kind in c("gaussian", "ridge")) {
    fit <- quick_deep(Y ~ X | z, d, first_stage = kind,
      control = nn_control(hidden = 8, epochs = 20))
    nodes <- predict(fit, d, "quantiles")
    weights <- attr(nodes, "weights")
    spread <- sqrt(mean(rowSums(weights * (nodes - rowSums(nodes * weights))^2)))
    expect_lt(abs(spread - 3), 0.25)
  }
})

test_that("two samples, several draws and cross-fitting are fitted", {
  second <- toy_neural[301:600, setdiff(names(toy_neural), "X")]
  fit <- quick_deep(Y ~ X + w | g + w, toy_neural[1:300, ], stage2_data = second, n_draws = 4)
  expect_identical(glance(fit)$nobs.second, 300L)
  expect_true(all(is.finite(effect_curve(fit)$estimate)))
  fit <- quick_deep(cross_fit = 3, first_stage = "mixture", n_components = 2)
  expect_setequal(fit$fold, 1:3)
  expect_output(print(fit), "DeepIV.*mixture of 2 normal laws, cross-fitted in 3 folds")
  expect_output(print(quick_deep(first_stage = "ridge")), "first stage in closed form")
  expect_identical(glance(fit)$first.stage, "mixture")
})

test_that("a quadratic effect is found", {
  sim <- sim_nonlinear(n = 8000, seed = 22)
  g <- as.matrix(sim[truth(sim)$instruments])
  fit <- iv_deep(Y ~ X | g, sim, seed = 1, control = nn_control(epochs = 30))
  # The best straight line is off by 0.98.
  expect_lt(evaluate(fit, sim, domain = c(-3.5, 3.5))$mse, 0.15)
})
