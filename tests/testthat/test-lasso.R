# Tolerances: the solution at each penalty is exact up to rounding, conditions of optimality 1e-12
# (they are promised to 1e-8); glmnet stops at its own criterion, 1e-14 of the deviance, which
# leaves coefficients right to about its root.

glmnet_fit <- function(case, lambda, weights = NULL, n_w = NCOL(case$w) * !is.null(case$w)) {
  # glmnet scales penalty factors to a mean of 1
  penalty <- rep(c(1, 0), c(ncol(case$z), n_w))
  glmnet::glmnet(cbind(case$z, case$w), case$x,
    weights = weights, lambda = lambda * mean(penalty), penalty.factor = penalty,
    thresh = 1e-14, maxit = 1e7
  )
}

test_that("coefficients are glmnet's, with covariates and weights", {
  skip_if_not_installed("glmnet")
  for (n_w in c(0, 2)) {
    for (weighted in c(FALSE, TRUE)) {
      case <- lasso_case(n_w = n_w)
      v <- if (weighted) case$v
      fit <- lasso_fit(case$x, case$z, case$w, weights = v)
      theirs <- glmnet_fit(case, fit$lambda, v)
      b <- as.matrix(stats::coef(theirs))
      at <- 1L + seq_len(ncol(case$z))
      expect_lt(max(abs(fit$beta - b[at, ])), 1e-6)
      expect_lt(max(abs(fit$unpenalised - b[-at, ])), 1e-6)
      expect_lt(max(abs(fit$dev.ratio - theirs$dev.ratio)), 1e-8)
      expect_identical(fit$df, colSums(fit$beta != 0) + 0)
    }
  }
})

test_that("the path of penalties is glmnet's", {
  skip_if_not_installed("glmnet")
  case <- lasso_case(n_w = 0)
  theirs <- glmnet::glmnet(case$z, case$x)
  fit <- lasso_fit(case$x, case$z)
  seen <- seq_along(theirs$lambda) # glmnet stops when the fit hardly improves
  expect_equal(fit$lambda[seen], theirs$lambda, tolerance = 1e-10)
  expect_length(fit$lambda, 100)
  wide <- lasso_case(n = 15, n_z = 20, n_w = 0)
  expect_equal(min(lasso_fit(wide$x, wide$z)$lambda) / max(lasso_fit(wide$x, wide$z)$lambda), 1e-2,
    tolerance = 1e-12
  )
})

test_that("the curve of cross-validation is cv.glmnet's for the same folds and penalties", {
  skip_if_not_installed("glmnet")
  for (weighted in c(FALSE, TRUE)) {
    case <- lasso_case(n = 400, n_w = 1)
    v <- if (weighted) case$v else rep(1, 400)
    fold <- lasso_folds(400, 7, seed = 3)
    fit <- lasso_fit(case$x, case$z, case$w, weights = v, foldid = fold, nlambda = 50)
    penalty <- rep(c(1, 0), c(20, 1))
    theirs <- glmnet::cv.glmnet(cbind(case$z, case$w), case$x,
      weights = v, foldid = fold, lambda = fit$lambda * mean(penalty), penalty.factor = penalty,
      thresh = 1e-14, maxit = 1e7
    )
    expect_lt(max(abs(fit$cvm / theirs$cvm - 1)), 1e-7)
    expect_lt(max(abs(fit$cvsd / theirs$cvsd - 1)), 1e-6)
    expect_equal(c(fit$i_min, fit$i_1se), as.vector(theirs$index))
    # the covariate is not counted; at the largest penalty rounding decides
    expect_equal(fit$df[-1], unname(theirs$nzero)[-1] - 1)
  }
})

test_that("optimality conditions hold at every penalty, whatever the design", {
  base <- lasso_case(n = 200, n_z = 12, n_w = 2)
  z <- base$z
  designs <- list(
    plain = list(z = z), no_covariates = list(z = z, w = NULL),
    weights = list(z = z, v = base$v), zero_weights = list(z = z, v = base$v * (base$v > 0.3)),
    twice = list(z = cbind(z, z, -3 * z[, 1:4])),
    constant = list(z = cbind(0, z, 5, 0.1)),
    spanned = list(z = cbind(z, base$w[, 1] - base$w[, 2])),
    covariates_twice = list(z = z, w = cbind(base$w, base$w[, 1] + base$w[, 2], 1)),
    wide = list(z = matrix(withr::with_seed(2, stats::rnorm(200 * 500)), 200)),
    rare = list(z = cbind(z, as.double(seq_len(200) == 7), as.double(seq_len(200) %in% 8:9))),
    no_intercept = list(z = z + 1, w = NULL, intercept = FALSE),
    near_collinear = list(z = cbind(z, z + 1e-4 * withr::with_seed(3, stats::rnorm(200 * 12))))
  )
  for (name in names(designs)) {
    d <- utils::modifyList(
      list(w = base$w, v = rep(1, 200), intercept = TRUE), designs[[name]],
      keep.null = TRUE
    )
    fit <- lasso_fit(base$x, d$z, d$w, d$v, intercept = d$intercept, lambda_min_ratio = 1e-3)
    expect_lt(oracle_kkt(fit, base$x, d$z, d$w, d$v, d$intercept), 1e-10, label = name)
    expect_lt(max(fit$kkt), 1e-10, label = name)
    # the perturbed solution is caught, so that the check above can fail
    spoilt <- fit
    spoilt$beta <- fit$beta * (1 + 1e-6)
    expect_gt(oracle_kkt(spoilt, base$x, d$z, d$w, d$v, d$intercept), 1e-9, label = name)
  }
})

test_that("plain coordinate descent on the data agrees", {
  case <- lasso_case(n = 150, n_z = 8)
  u <- cbind(1, case$w)
  lambda <- c(0.2, 0.05, 0.01, 0)
  fit <- lasso_fit(case$x, case$z, case$w, case$v, lambda = lambda)
  b <- oracle_lasso(case$x, case$z, lambda, u, case$v)
  expect_equal(unname(fit$beta), b, tolerance = 1e-10)
  expect_equal(fit$unpenalised, unname(oracle_unpenalised(case$x, case$z, b, u, case$v)),
    tolerance = 1e-10
  )
  # at no penalty this is least squares
  ols <- stats::lm.wfit(cbind(u, case$z), case$x, case$v)
  expect_equal(fit$beta[, 4], unname(ols$coefficients[-(1:3)]), tolerance = 1e-10)
})

test_that("orthogonal instruments: a soft threshold", {
  n <- 40
  z <- qr.Q(qr(cbind(1, withr::with_seed(4, matrix(stats::rnorm(n * 6), n)))))[, -1] * sqrt(n)
  x <- withr::with_seed(5, stats::rnorm(n)) + 0.5 * z[, 1] + 3
  fit <- lasso_fit(x, z %*% diag(1:6) + 10, nlambda = 20)
  c <- drop(crossprod(z, x)) / n
  b <- outer(c, fit$lambda, function(c, l) sign(c) * pmax(abs(c) - l, 0)) / 1:6
  expect_equal(fit$beta, b, tolerance = 1e-12)
  expect_equal(fit$lambda[1], max(abs(c)), tolerance = 1e-12)
})

test_that("the rule of the published study: data scaled once, contiguous folds", {
  case <- lasso_case(n = 103, n_z = 6, n_w = 0)
  fold <- lasso_folds(103, 5, "contiguous")
  expect_identical(fold, rep(1:5, c(21L, 21L, 21L, 20L, 20L)))
  fit <- lasso_fit(case$x, case$z,
    foldid = fold, scaling = "all", nlambda = 15, lambda_min_ratio = 1e-3
  )
  errors <- oracle_cv(case$x, case$z, fit$lambda, fold, sd = oracle_sd(case$z))
  expect_equal(fit$cv_error, unname(errors), tolerance = 1e-9)
  expect_equal(fit$cvm, colSums(errors * tabulate(fold)) / 103, tolerance = 1e-9)
  per_fold <- lasso_fit(case$x, case$z,
    foldid = fold, scaling = "fold", nlambda = 15, lambda_min_ratio = 1e-3
  )
  expect_equal(per_fold$cv_error, unname(oracle_cv(case$x, case$z, fit$lambda, fold)),
    tolerance = 1e-9
  )
  expect_gt(max(abs(per_fold$cv_error - fit$cv_error)), 1e-5) # the two rules differ
})

test_that("leave-one-out with weights and a covariate: errors, means, one standard error", {
  case <- lasso_case(n = 12, n_z = 3, n_w = 1, seed = 8)
  fit <- lasso_fit(case$x, case$z, case$w, case$v, foldid = 1:12, nlambda = 6)
  errors <- oracle_cv(case$x, case$z, fit$lambda, 1:12, case$w, case$v)
  expect_equal(fit$cv_error, unname(errors), tolerance = 1e-9)
  share <- case$v / sum(case$v)
  mean <- colSums(share * errors)
  se <- sqrt(colSums(share * sweep(errors, 2, mean)^2) / 11)
  expect_equal(fit$cvm, mean, tolerance = 1e-9)
  expect_equal(fit$cvsd, se, tolerance = 1e-8)
  expect_equal(fit$i_min, which.min(mean))
  expect_equal(fit$i_1se, which(mean <= min(mean) + se[which.min(mean)])[1])
})

test_that("an instrument that is constant outside a fold is left out there", {
  case <- lasso_case(n = 60, n_z = 4, n_w = 1)
  case$z[, 3] <- c(rep(0, 57), 1, 2, 1)
  case$w <- cbind(case$w, c(rep(0, 59), 1)) # and a covariate that is
  fold <- rep(1:3, each = 20)
  fit <- lasso_fit(case$x, case$z, case$w, foldid = fold, nlambda = 10, lambda_min_ratio = 0.01)
  without <- lasso_fit(case$x[1:40], case$z[1:40, -3], case$w[1:40, 1, drop = FALSE],
    lambda = fit$lambda
  )
  held <- 41:60
  r <- case$x[held] - case$z[held, -3] %*% without$beta -
    cbind(1, case$w[held, 1]) %*% without$unpenalised
  expect_equal(fit$cv_error[3, ], colMeans(r^2), tolerance = 1e-10)
  expect_gt(abs(fit$beta[3, 10]), 0)
})

test_that("penalties may come unsorted and twice", {
  case <- lasso_case()
  lambda <- c(0.01, 0.3, 0.05, 0.3)
  fit <- lasso_fit(case$x, case$z, case$w, lambda = lambda)
  expect_identical(fit$lambda, c(0.3, 0.05, 0.01))
  one <- lasso_fit(case$x, case$z, case$w, lambda = 0.05)
  expect_equal(fit$beta[, 2], one$beta[, 1], tolerance = 1e-12)
})

test_that("threads, and pieces that instruments come in, change nothing", {
  case <- lasso_case(n = 20000, n_z = 30)
  fold <- lasso_folds(20000, 10, seed = 1)
  fit <- lasso_fit(case$x, case$z, case$w, case$v, fold, n_threads = 1L)
  expect_identical(lasso_fit(case$x, case$z, case$w, case$v, fold, n_threads = 2L), fit)
  expect_identical(lasso_fit(case$x, case$z, case$w, case$v, fold, n_threads = 3L), fit)
  pieces <- list(case$z[, 1:10], case$z[, 11], case$z[, 12:30])
  expect_identical(lasso_fit(case$x, pieces, case$w, case$v, fold), fit)
})

test_that("order of rows and units do not matter", {
  case <- lasso_case(n = 500)
  fold <- lasso_folds(500, 5, seed = 1)
  fit <- lasso_fit(case$x, case$z, case$w, case$v, fold)
  o <- withr::with_seed(6, sample(500))
  again <- lasso_fit(case$x[o], case$z[o, ], case$w[o, ], case$v[o], fold[o])
  # sums in another order: rounding, enlarged by the condition of the design
  expect_equal(again[c("beta", "cvm", "cvsd")], fit[c("beta", "cvm", "cvsd")], tolerance = 1e-10)
  unit <- 10^seq(-90, 100, length.out = 20)
  scaled <- lasso_fit(case$x * 1e60, sweep(case$z, 2, unit, "*") + rep(unit, each = 500),
    case$w * 1e-30, case$v * 1e5, fold
  )
  expect_equal(scaled$beta * unit / 1e60, fit$beta, tolerance = 1e-9)
  expect_equal(scaled$cvm / 1e120, fit$cvm, tolerance = 1e-9)
  # far from zero: 1e-8 of the digits are left
  far <- lasso_fit(case$x + 1e8, case$z + 1e8, case$w, case$v, fold)
  expect_equal(far$beta, fit$beta, tolerance = 1e-5)
})

test_that("nothing to select from", {
  case <- lasso_case(n = 50, n_z = 3, n_w = 0)
  fit <- lasso_fit(case$x, case$z * 0, foldid = rep(1:5, 10))
  expect_true(all(fit$beta == 0))
  expect_true(all(fit$lambda == 0))
  expect_equal(fit$unpenalised[1, ], rep(mean(case$x), 100), tolerance = 1e-14)
  flat <- lasso_fit(rep(0.1, 50), case$z)
  expect_equal(drop(flat$unpenalised[1, ]), rep(0.1, 100), tolerance = 1e-14)
})

test_that("folds: balanced, by the seed, uniform", {
  fold <- lasso_folds(103, 10, seed = 5)
  expect_identical(sort(as.vector(table(fold))), rep(10:11, c(7L, 3L)))
  expect_identical(lasso_folds(103, 10, seed = 5), fold)
  expect_false(identical(lasso_folds(103, 10, seed = 6), fold))
  withr::with_seed(1, a <- lasso_folds(50, 5))
  withr::with_seed(1, b <- lasso_folds(50, 5))
  expect_identical(a, b)
  # each of 6 rows in each of 3 folds, 3000 seeds: 10 degrees of freedom (rows and columns fixed);
  # the bound is the 1e-6 quantile
  counts <- Reduce(`+`, lapply(1:3000, function(s) outer(lasso_folds(6, 3, seed = s), 1:3, `==`)))
  chi2 <- sum((counts - 1000)^2 / 1000) * 5 / 6
  expect_lt(chi2, stats::qchisq(1 - 1e-6, 10))
})

test_that("a path that does not converge is told", {
  case <- lasso_case(n = 100)
  expect_warning(
    lasso_fit(case$x, case$z, case$w, lambda = 1e-3, tolerance = 0, max_iter = 1L),
    class = "mrlearn_warning_no_converge"
  )
})
