test_that("a linear network without folds is two-stage least squares", {
  sim <- dfiv_sim(400)
  sim$u <- seq_len(400) %% 3 + 1
  for (weights in list(NULL, "u")) {
    sim$weight <- if (is.null(weights)) 1 else sim$u
    linear <- iv_2sls(dfiv_formula, sim, weights = weight)
    fit <- iv_dfiv(dfiv_formula, sim, weights = weight, cross_fit = 1, ridge = c(0, 0), seed = 1,
      control = nn_control(hidden = integer(0)))
    # Inputs are standardised in single precision: 1e-7 of their size.
    expect_equal(unname(coef(fit)), unname(coef(linear)["price"]), tolerance = 1e-5)
    at <- sim[1:5, ]
    expect_equal(predict(fit, at), unname(predict(linear, at)), tolerance = 1e-5)
  }
})

test_that("with folds a linear network regresses on predictions and what they leave", {
  # The closed form: least squares on exposures predicted across folds beside their residuals. The
  # mutant, without the residuals, has the first stage's errors for noise.
  sim <- dfiv_sim(400)
  fit <- iv_dfiv(dfiv_formula, sim, cross_fit = 2, ridge = c(0, 0), seed = 1,
    control = nn_control(hidden = integer(0)))
  hat <- numeric(400)
  for (k in unique(fit$fold)) {
    first <- lm(price ~ cost + time + s, sim[fit$fold != k, ])
    hat[fit$fold == k] <- predict(first, sim[fit$fold == k, ])
  }
  expect_equal(fit$x_hat, hat, tolerance = 1e-5)
  mutant <- lm.fit(cbind(1, hat, sim$time, sim$s), sim$Y)$coefficients[[2]]
  u <- lm.fit(cbind(1, hat, sim$time, sim$s, sim$price - hat), sim$Y)$coefficients[[2]]
  # Inputs are standardised in single precision.
  expect_equal(unname(coef(fit)), u, tolerance = 1e-5)
  expect_gt(abs(mutant / u - 1), 1e-3)
})

test_that("predictions are those of the networks and terms in plain R", {
  fit <- dfiv_fit()
  at <- dfiv_sim(20, seed = 2)
  w <- as.matrix(at[c("time", "s")])
  # Single precision, summed over some 150 terms.
  expect_equal(predict(fit, at), dfiv_slow(fit, at$price, w), tolerance = 1e-4)
  levels <- c(15, 20)
  curve <- suppressWarnings(effect_curve(fit, levels))
  own <- as.matrix(dfiv_sim()[c("time", "s")])
  slow <- vapply(levels, function(x) mean(dfiv_slow(fit, rep(x, nrow(own)), own)), 0)
  expect_equal(curve$estimate, slow, tolerance = 1e-4)
  x <- dfiv_sim()$price
  slope <- mean(dfiv_slow(fit, x + 0.01, own) - dfiv_slow(fit, x - 0.01, own)) / 0.02
  expect_equal(average_derivative(fit)$estimate, slope, tolerance = 1e-3)
})

test_that("results do not depend on threads, slices, checkpoints or saveRDS()", {
  fit <- dfiv_fit(n_boot = 10, n_threads = 1)
  # A slice that ends after each epoch, two threads, a file.
  file <- withr::local_tempfile()
  other <- dfiv_fit(n_boot = 10, n_threads = 2, progress = function(...) NULL, checkpoint = file,
    checkpoint_every = 1)
  for (name in c("coefficients", "fitted.values", "network", "replicates", "draws", "head")) {
    expect_identical(other[[name]], fit[[name]], label = name)
  }
  expect_false(file.exists(file))
  expect_false(identical(coef(dfiv_fit(seed = 2)), coef(fit)))
  path <- withr::local_tempfile()
  saveRDS(fit, path)
  expect_identical(effect_curve(readRDS(path), c(16, 18)), effect_curve(fit, c(16, 18)))
})

test_that("units of the variables do not matter", {
  sim <- dfiv_sim()
  scaled <- sim
  scaled$price <- 8 * sim$price
  scaled$Y <- 4 * sim$Y
  scaled$cost <- 2 * sim$cost
  # Powers of two are exact in the standardised columns.
  expect_identical(8 * coef(dfiv_fit(data = scaled)) / 4, coef(dfiv_fit()))
})

test_that("intervals, tables and plots are those of the neural estimators", {
  fit <- dfiv_fit(n_boot = 12)
  curve <- suppressWarnings(effect_curve(fit, c(16, 18, 20)))
  expect_true(all(curve$conf.low < curve$estimate & curve$estimate < curve$conf.high))
  expect_true(all(curve$band.low <= curve$conf.low))
  percentile <- ate(fit, 16, 18, interval = "percentile")
  expect_lt(percentile$conf.low, percentile$conf.high)
  each <- cate(fit, 16, 18, newdata = dfiv_sim(4, seed = 3))
  expect_identical(nrow(each), 4L)
  expect_true(all(each$std.error > 0))
  expect_identical(names(tidy(fit)), names(tidy(dfiv_fit(n_boot = 0))))
  expect_identical(glance(fit)$first.stage, "features")
  history <- training_history(fit)
  expect_setequal(history$stage, c("exposure", "outcome"))
  expect_true(all(is.finite(history$train)))
  expect_s3_class(fit, c("iv_dfiv", "iv_neural", "iv_fit"), exact = TRUE)
  withr::local_pdf(NULL)
  expect_no_error(suppressWarnings(plot(fit)))
  expect_output(print(summary(fit)), "Ridges")
})

test_that("two samples, clusters, weights, matrices", {
  a <- dfiv_sim(300)
  b <- dfiv_sim(250, seed = 2)
  two <- dfiv_fit(data = a, stage2_data = b[setdiff(names(b), "price")], cross_fit = 1)
  expect_true(two$two_sample)
  expect_identical(two$nobs_outcome, 250L)
  a$family <- rep(1:100, 3)
  clustered <- dfiv_fit(data = a, cluster = ~family, n_boot = 10)
  expect_identical(clustered$n_cluster, 100L)
  held <- a$family[clustered$held_out]
  expect_false(any(held %in% a$family[-clustered$held_out]))
  fold <- tapply(clustered$fold, a$family, function(v) length(unique(v)))
  expect_true(all(fold == 1))
  by_matrix <- suppressWarnings(iv_dfiv(y = a$Y, x = cbind(price = a$price),
    z = cbind(cost = a$cost), w = as.matrix(a[c("time", "s")]), cross_fit = 2, seed = 1,
    control = dfiv_quick()))
  expect_equal(unname(coef(by_matrix)), unname(coef(dfiv_fit(data = a))), tolerance = 1e-6)
})

test_that("held-out rows judge with ridges of the training rows alone", {
  # With as many terms as held-out rows a ridge that is solved on them, as in published code, would
  # leave no error there: the outcome here is noise, whose held-out error is at least about 1.
  set.seed(4)
  sim <- data.frame(Y = rnorm(300), price = rnorm(300), time = rnorm(300), s = rnorm(300))
  sim$cost <- sim$price + rnorm(300)
  honest <- dfiv_fit(data = sim, ridge = c(0, 1e-6), control = dfiv_quick(validation = 0.1))
  # 30 rows of variance one: their mean square is below 0.5 once in a thousand times.
  expect_gt(honest$head$error, 0.5)
  held <- sim[honest$held_out, ]
  mutant <- lm(Y ~ poly(price, 5) * (time + s + I(time^2) + I(s^2)), held)
  expect_lt(mean(residuals(mutant)^2), 0.1)
})

test_that("bad input is refused", {
  sim <- dfiv_sim(60)
  expect_snapshot(error = TRUE, {
    iv_dfiv(dfiv_formula, sim, n_features = 3)
    iv_dfiv(dfiv_formula, sim, n_features = c(0, 2))
    iv_dfiv(dfiv_formula, sim, ridge = c(-1, 1))
    iv_dfiv(dfiv_formula, sim, ridge = 1)
    iv_dfiv(dfiv_formula, sim, cross_fit = 50)
    iv_dfiv(Y ~ price + time | cost, sim, control = list())
  })
})
