toy_orthogonal <- local({
  sim <- sim_nonlinear(1500, n_variants = 6, seed = 11)
  sim$g <- as.matrix(sim[truth(sim)$instruments])
  sim$w <- rep(c(-1, 0.5, 2), 500)
  sim$family <- rep(1:500, 3)
  sim$Y <- sim$Y + 0.5 * sim$w
  sim
})

# The representer by plain matrices.
slow_representer <- function(b, phi, m, ridge) {
  n <- nrow(b)
  metric <- solve(crossprod(phi) / n)
  g <- crossprod(b, phi) / n
  solve(g %*% metric %*% t(g) + ridge * crossprod(b) / n, g %*% metric %*% m)
}

test_that("scores are those of slow formulas, fold by fold", {
  d <- toy_orthogonal
  fit <- iv_2sls(Y ~ X + w | g + w, d)
  out <- orthogonal(fit, folds = 3, degree = 2, ridge = 0.01, seed = 5)
  fold <- lasso_folds(1500, 3, seed = 5)
  score <- numeric(1500)
  for (k in 1:3) {
    train <- fold != k
    part <- iv_2sls(Y ~ X + w | g + w, d[train, ])
    mu <- predict(lm(X ~ g + w, d, subset = train), d)
    columns <- function(u, slope = FALSE) {
      t <- (u - mean(u[train])) / sd(u[train])
      v <- (d$w - mean(d$w[train])) / sd(d$w[train])
      if (slope) cbind(0, 1, 2 * t, 0, v) / sd(u[train]) else cbind(1, t, t^2 - 1, v, t * v)
    }
    m <- colMeans(columns(d$X, TRUE)[train, ])
    rho <- slow_representer(columns(mu)[train, ], columns(d$X)[train, ], m, 0.01)
    a <- drop(columns(mu) %*% rho)
    score[!train] <- coef(part)[["X"]] + (a * (d$Y - predict(part, d)))[!train]
  }
  expect_equal(out$estimate, mean(score), tolerance = 1e-8)
  expect_equal(out$std.error, sd(score) / sqrt(1500), tolerance = 1e-8)
})

test_that("for a line it is two-stage least squares", {
  # Both are root-n with the same influence function; they differ by cross-fitting alone, here by
  # less than a third of the standard error.
  d <- toy_orthogonal
  fit <- iv_2sls(Y ~ X + w | g + w, d)
  out <- orthogonal(fit, degree = 1, folds = 5, seed = 1)
  expect_lt(abs(out$estimate - coef(fit)[["X"]]), out$std.error / 3)
  contrast <- orthogonal(fit, "ate", from = -1, to = 1, degree = 1, folds = 5, seed = 1)
  expect_equal(contrast$estimate, 2 * out$estimate, tolerance = 1e-6)
  expect_equal(contrast$std.error, 2 * out$std.error, tolerance = 1e-6)
  robust <- sqrt(vcov(iv_2sls(Y ~ X + w | g + w, d, vcov = "HC1"))["X", "X"])
  expect_lt(abs(out$std.error / robust - 1), 0.1)
})

test_that("a wrong curve is put right", {
  # The curve is a straight line where the truth is a parabola and the first stage is curved: its
  # slope is that of a weighted mean of other people. The plug-in keeps the error of .3; the
  # estimate is within four standard errors (.033) of the truth.
  set.seed(12)
  n <- 10000
  d <- data.frame(z = rnorm(n))
  u <- rnorm(n)
  d$X <- d$z + 0.2 * d$z^2 + 0.5 * u
  d$Y <- 0.4 * d$X^2 - u + rnorm(n)
  fit <- iv_2sls(Y ~ X | z, d)
  truth <- 0.8 * 0.2
  out <- orthogonal(fit, seed = 1)
  expect_lt(abs(out$estimate - truth), 4 * out$std.error)
  # The mutant: no correction by the representer.
  expect_gt(abs(out$plug.in - truth), 6 * out$std.error)
})

test_that("networks, clusters, weights and missing rows are taken", {
  d <- toy_orthogonal
  d$X[3] <- NA
  control <- nn_control(hidden = 6, epochs = 10)
  fit <- untold(suppressMessages(iv_quantile(Y ~ X + w | g + w, d, cluster = ~family,
    weights = rep(1:2, 750), seed = 1, control = control)))
  expect_error(orthogonal(fit, data = d, seed = 1), class = "mrlearn_error")
  d$weight <- rep(1:2, 750)
  fit <- untold(suppressMessages(iv_quantile(Y ~ X + w | g + w, d, cluster = ~family,
    weights = weight, seed = 1, control = control)))
  out <- untold(orthogonal(fit, data = d, folds = 2, seed = 1))
  expect_true(all(is.finite(unlist(out[c("estimate", "std.error", "relevance")]))))
  again <- untold(orthogonal(fit, folds = 2, seed = 1, n_threads = 1))
  expect_identical(out, again)
  contrast <- untold(orthogonal(fit, "ate", 0, 1, folds = 2, degree = 2, seed = 1))
  expect_match(contrast$estimand, "do(X=1)", fixed = TRUE)
  whole <- folds_of(list(y = 1:30, cluster = rep(1:10, 3), n_cluster = 10), 2, 1)
  expect_identical(whole[1:10], whole[21:30])
})

test_that("every estimator of a curve is put right, called by its name too", {
  # The truth is a parabola, of which a line, and networks trained for five epochs, know little:
  # their average slopes are .28 to .43. Balanced over parabolas all come to the same moment, from
  # which they differ by less than half a standard error (.05).
  d <- toy_orthogonal
  control <- nn_control(hidden = 4, epochs = 5)
  curved <- orthogonal(iv_2sls(Y ~ X + w | g + w, d), degree = 2, folds = 2, seed = 1)
  fits <- untold(list(
    iv_lasso(Y ~ X + w | g + w, d), iv_control_function(Y ~ X + w | g + w, d),
    iv_contextual(Y ~ X + w | g + w, d, context = ~w, seed = 1, encoder = "linear"),
    iv_fit("deep", Y ~ X + w | g + w, d, seed = 1, control = control),
    iv_fit("dfiv", Y ~ X + w | g + w, d, seed = 1, control = control, cross_fit = 2)
  ))
  for (fit in fits) {
    out <- untold(orthogonal(fit, data = d, degree = 2, folds = 2, seed = 1))
    expect_lt(abs(out$estimate - curved$estimate), 0.025)
  }
})

test_that("what cannot be balanced is said", {
  # One instrument of two values cannot tell a cubic: four functions of the exposure, two of it.
  set.seed(13)
  d <- data.frame(z = rbinom(2000, 1, 0.5))
  d$X <- d$z + rnorm(2000)
  d$Y <- d$X + rnorm(2000)
  fit <- iv_2sls(Y ~ X | z, d)
  expect_warning(out <- orthogonal(fit, "ate", 0, 3, seed = 1),
    class = "mrlearn_warning_imbalance")
  expect_identical(out$relevance, 0)
  expect_no_warning(orthogonal(fit, degree = 1, seed = 1))
})

test_that("Hermite polynomials are orthogonal under the normal law, and their slopes right", {
  t <- qnorm(ppoints(20000))
  h <- hermite(t, 4)
  # Their mean squares are d!; the far tails that the grid lacks have at most 2 % of the last one.
  expect_equal(colMeans(h^2) / factorial(0:4), rep(1, 5), tolerance = 0.02)
  u <- seq(-2, 3, length.out = 50)
  w <- cbind(a = sin(u))
  p <- polynomials(u, w, rep(TRUE, 50), 4)
  at <- 30
  expect_equal(p$value[at, ], p$at(u[at])[at, ])
  slope <- (p$at(u[at] + 1e-5)[at, ] - p$at(u[at] - 1e-5)[at, ]) / 2e-5
  expect_equal(p$slope[at, ], slope, tolerance = 1e-6)
  expect_equal(dim(p$value), c(50L, 7L))
})

test_that("bad input is refused by class, with a text that helps", {
  d <- toy_orthogonal
  fit <- iv_2sls(Y ~ X | g, d)
  by_matrix <- iv_2sls(y = d$Y, x = d$X, z = d$g)
  withr::local_options(width = 80)
  expect_snapshot(error = TRUE, {
    orthogonal(1)
    orthogonal(iv_ols(Y ~ X, d))
    orthogonal(by_matrix)
    orthogonal(fit, "ate")
    orthogonal(fit, "ate", from = 0, to = NA)
    orthogonal(fit, from = 0, to = 1)
    orthogonal(fit, "effect")
    orthogonal(fit, folds = 1)
    orthogonal(fit, degree = 7)
    orthogonal(fit, ridge = 0)
    orthogonal(fit, data = d[1:100, ])
    orthogonal(fit, data = list())
    orthogonal(fit, conf_level = 2)
  })
})
