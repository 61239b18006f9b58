test_that("predictions, curves and effects are those of the weights", {
  data <- toy_neural
  w <- toy_covariates()
  fits <- list(
    quick(), quick(control = brief(refit = FALSE)),
    quick(B ~ X + w + sex | g + w + sex, binary = TRUE),
    quick(B ~ X + w + sex | g + w + sex, binary = TRUE, control = brief(refit = FALSE)),
    quick(weights = rep(c(1, 3), 300)), quick(control = linear_control())
  )
  for (fit in fits) {
    weights <- if (is.null(fit$weights)) rep(1, 600) else fit$weights
    # Float arithmetic: 1e-7 relative per operation, some hundred of them; a closed form's
    # coefficients of similar features cancel to some digits more.
    expect_equal(unname(fitted(fit)), slow_outcome(fit, data$X, w), tolerance = 1e-4)
    expect_equal(unname(fit$residuals + fit$fitted.values),
      if (fit$binary) data$B else data$Y)
    levels <- c(-1, 0.3, 1.7)
    mean_at <- function(x) weighted.mean(slow_outcome(fit, rep(x, 600), w), weights)
    curve <- effect_curve(fit, levels)
    expect_equal(curve$estimate, vapply(levels, mean_at, 0), tolerance = 1e-4)
    expect_named(curve, c("x", "estimate", "std.error", "conf.low", "conf.high", "band.low",
      "band.high", "estimand", "overlap"))
    expect_true(all(is.na(curve[3:7])))
    contrast <- effect_curve(fit, levels, reference = 0)
    expect_equal(contrast$estimate, curve$estimate - mean_at(0), tolerance = 1e-3)
    expect_equal(ate(fit, 0.3, 1.7)$estimate, diff(curve$estimate)[2])
    rows <- cate(fit, 0.3, 1.7)
    expect_equal(rows$estimate,
      slow_outcome(fit, rep(1.7, 600), w) - slow_outcome(fit, rep(0.3, 600), w), tolerance = 1e-3)
    expect_equal(weighted.mean(rows$estimate, weights), ate(fit, 0.3, 1.7)$estimate,
      tolerance = 1e-4)
    up <- slow_outcome(fit, data$X + 1e-4, w)
    down <- slow_outcome(fit, data$X - 1e-4, w)
    expect_equal(average_derivative(fit)$estimate,
      weighted.mean((up - down) / 2e-4, weights), tolerance = 1e-3)
    expect_equal(unname(coef(fit)), average_derivative(fit)$estimate)
    new <- data[c(7, 400), ]
    expect_equal(unname(predict(fit, new)), unname(fitted(fit))[c(7, 400)])
  }
  for (fit in fits[3:4]) {
    expect_true(all(fitted(fit) > 0 & fitted(fit) < 1))
  }
})

test_that("a linear network is two-stage least squares", {
  weights <- rep(c(1, 3), 300)
  for (formula in list(Y ~ X | g, Y ~ X + w + sex | g + w + sex)) {
    fit <- quick(formula, control = linear_control())
    tsls <- iv_2sls(formula, toy_neural)
    ols <- iv_ols(formula, toy_neural)
    # The closed forms are in double, on nodes that pass through float: 1e-6.
    expect_equal(coef(fit)[["X"]], coef(tsls)[["X"]], tolerance = 1e-6)
    expect_gt(abs(coef(ols)[["X"]] / coef(tsls)[["X"]] - 1), 0.1) # the test can fail
    expect_equal(unname(fitted(fit)), unname(fitted(tsls)), tolerance = 1e-5)
    weighted <- quick(formula, control = linear_control(), weights = weights)
    expect_equal(coef(weighted)[["X"]],
      coef(iv_2sls(formula, toy_neural, weights = weights))[["X"]], tolerance = 1e-6)
  }
})

test_that("linear networks in two samples are two-sample least squares", {
  first <- toy_neural[1:350, setdiff(names(toy_neural), "Y")]
  second <- toy_neural[351:600, setdiff(names(toy_neural), "X")]
  first$sex <- second$sex <- NULL
  fit <- quick(Y ~ X + w | g + w, first, stage2_data = second, control = linear_control())
  x_hat <- drop(cbind(1, second$g, second$w) %*% lm(X ~ g + w, first)$coefficients)
  expect_equal(coef(fit)[["X"]], lm(second$Y ~ x_hat + second$w)$coefficients[["x_hat"]],
    tolerance = 1e-6)
  expect_length(fitted(fit), 350)
  expect_true(all(is.na(residuals(fit))))
  expect_identical(glance(fit)$nobs.second, 250L)
  expect_message(
    quick(Y ~ X + w | g + w, first, stage2_data = second, control = linear_control(),
      cross_fit = 3),
    class = "mrlearn_message_cross_fit"
  )
  second$Y[2] <- NA
  expect_message(
    quick(Y ~ X + w | g + w, first, stage2_data = second, control = linear_control()),
    "In `stage2_data`: 1 of 250 rows"
  )
  again <- suppressMessages(quick(Y ~ X + w | g + w, first, stage2_data = second))
  expect_identical(again$nobs_outcome, 249L)
  expect_true(is.finite(coef(again)))
})

test_that("with cross-fitting no row's first stage has seen it", {
  fit <- quick(Y ~ X | g, control = linear_control(), cross_fit = 3)
  expect_setequal(fit$fold, 1:3)
  slow <- numeric(600)
  for (k in 1:3) {
    out <- fit$fold == k
    m <- lm.fit(cbind(1, toy_neural$g[!out, ]), toy_neural$X[!out])
    slow[out] <- cbind(1, toy_neural$g[out, ]) %*% m$coefficients
  }
  expect_equal(fit$x_hat, slow, tolerance = 1e-5)
  seen <- quick(Y ~ X | g, control = linear_control())
  expect_gt(max(abs(fit$x_hat - seen$x_hat)), 1e-3)
  by_family <- quick(Y ~ X | g, cluster = ~family, cross_fit = 4)
  expect_identical(max(tapply(by_family$fold, toy_neural$family, function(v) length(unique(v)))),
    1L)
  held <- toy_neural$family[by_family$held_out]
  expect_false(any(held %in% toy_neural$family[-by_family$held_out]))
  expect_setequal(training_history(by_family)$fold, c(1:4, NA))
})

test_that("a quadratic effect is found", {
  sim <- sim_nonlinear(n = 8000, seed = 21) # the defaults were chosen on other seeds
  g <- as.matrix(sim[truth(sim)$instruments])
  fit <- iv_quantile(Y ~ X | g, sim, seed = 1, control = nn_control(epochs = 40))
  # The best straight line is off by 0.3^2 Var(x^2) = 0.98 on this domain, and the regression on
  # the exposure itself by that of the confounder; published medians at 10,000 people are .08 over
  # the whole range.
  error <- evaluate(fit, sim, domain = c(-3.5, 3.5))
  expect_lt(error$mse, 0.1)
  expect_identical(error$coverage, NA_real_)
  # Var(x) = 1 and the variants explain a half of it: with 1600 rows held out, R2 has a standard
  # error of about 0.018; a fitted first stage loses some more.
  expect_gt(glance(fit)$r2.first, 0.40)
  expect_lt(glance(fit)$r2.first, 0.5 + 4 * 0.018)
  linear <- iv_2sls(Y ~ X | g, sim)
  expect_identical(glance(fit)$statistic.weakinst, glance(linear)$statistic.weakinst)
  # The share of exposures below each quantile is its level: standard error 0.006, and what the net
  # and the common stretch get wrong. The quantiles of 1 - tau would be off by up to 0.8.
  d <- data.frame(sim)
  d$g <- g
  below <- colMeans(d$X <= predict(fit, d, "quantiles"))
  expect_lt(max(abs(below - fit$tau)), 0.04)
  # The normal exposure has variance 1: ten of 8000 people within a tenth of a standard deviation
  # are at |x| = 2.9 (density 0.00625); the quantiles end before the exposures themselves do.
  curve <- effect_curve(fit, c(-6, -2, 0, 2, 6)) |> suppressWarnings()
  expect_identical(curve$overlap, c(FALSE, TRUE, TRUE, TRUE, FALSE))
})

test_that("the first stage's quantiles are those predicted", {
  fit <- quick()
  new <- toy_neural[1:50, ]
  quantiles <- predict(fit, new, "quantiles")
  expect_identical(dim(quantiles), c(50L, 4L))
  expect_true(all(apply(quantiles, 1, diff) >= 0))
  far <- transform(new, w = 1000 * w)
  far$g <- -50 * new$g
  expect_true(all(apply(predict(fit, far, "quantiles"), 1, diff) >= 0)) # nor far away
  expect_equal(rowMeans(quantiles), fit$x_hat[1:50], tolerance = 1e-5)
  expect_equal(predict(fit, new, "exposure"), fit$x_hat[1:50], tolerance = 1e-5)
  expect_identical(predict(fit, type = "exposure"), fit$x_hat)
  factors <- transform(toy_neural, variant = factor(G0))
  by_level <- quick(Y ~ X + w | variant + poly(G1, 2) + w, factors)
  expect_equal(predict(by_level, factors[5:9, ], "exposure"), by_level$x_hat[5:9],
    tolerance = 1e-5)
  d <- toy_neural
  by_matrix <- untold(iv_quantile(y = d$Y, x = d$X, z = d$g, w = d$w, seed = 3,
    control = brief()))
  new <- data.frame(d$g, w = d$w)[1:3, ]
  expect_equal(predict(by_matrix, new, "exposure"), by_matrix$x_hat[1:3], tolerance = 1e-5)
})

test_that("the outcome is met by the mean over the quantiles, of probabilities if it is binary", {
  w <- toy_covariates()
  for (binary in c(FALSE, TRUE)) {
    formula <- if (binary) B ~ X + w + sex | g + w + sex else Y ~ X + w + sex | g + w + sex
    fit <- quick(formula, binary = binary)
    nodes <- predict(fit, toy_neural, "quantiles")
    g <- apply(nodes, 2, function(x) slow_outcome(fit, x, w))
    # Float and closed forms, as above.
    expect_equal(fit$y_hat, rowMeans(g), tolerance = 1e-4)
    if (binary) {
      by_logits <- plogis(rowMeans(qlogis(g))) # would be caught
      expect_gt(max(abs(by_logits - rowMeans(g))), 1e-3)
    }
  }
})

test_that("the second stage leaves the first as it is", {
  # x_hat was read before the second stage; weights and running statistics are stored after it.
  fit <- quick(control = brief(batch_norm = TRUE, dropout = 0.1))
  expect_equal(predict(fit, toy_neural, "exposure"), fit$x_hat, tolerance = 1e-5)
  again <- quick(control = brief(batch_norm = TRUE, dropout = 0.1))
  expect_identical(again$network$exposure, fit$network$exposure)
  other <- toy_neural
  other$Y <- rev(other$Y) # another second stage, the same first one
  other <- quick(data = other, control = brief(batch_norm = TRUE, dropout = 0.1))
  expect_identical(other$network$exposure, fit$network$exposure)
  expect_false(identical(other$network$outcome$params, fit$network$outcome$params))
})

test_that("history has the epochs of both stages", {
  fit <- quick()
  history <- training_history(fit)
  expect_named(history, c("stage", "fold", "epoch", "train", "validation", "learning_rate",
    "seconds"))
  expect_identical(as.vector(table(history$stage)[c("exposure", "outcome")]), unname(fit$epochs))
  expect_true(all(is.finite(history$train) & is.finite(history$validation)))
  expect_true(all(history$seconds >= 0))
  expect_length(fit$held_out, 120)
  none <- quick(control = brief(validation = 0))
  expect_true(all(is.na(training_history(none)$validation)))
  expect_length(none$held_out, 0)
  expect_identical(glance(none)$r2.first, NA_real_)
})

test_that("matrices are taken as a formula is", {
  d <- toy_neural
  by_formula <- quick(Y ~ X + w | g + w)
  by_matrix <- untold(iv_quantile(y = d$Y, x = d$X, z = d$g, w = d$w, seed = 3, n_quantiles = 4,
    control = brief()))
  expect_identical(unname(fitted(by_matrix)), unname(fitted(by_formula)))
  by_name <- untold(iv_fit("quantile", Y ~ X + w | g + w, d, seed = 3, n_quantiles = 4,
    control = brief()))
  expect_identical(fitted(by_name), fitted(by_formula))
})

test_that("units do not matter", {
  one <- quick(Y ~ X + w | g + w)
  d <- transform(toy_neural, Y = 1000 * Y + 7, X = X / 64, w = 2 * w)
  d$g <- toy_neural$g
  two <- quick(Y ~ X + w | g + w, d)
  # Standardised columns agree to double rounding, which float hides or shifts by one unit; training
  # lets that grow.
  expect_equal(coef(two)[["X"]], 64000 * coef(one)[["X"]], tolerance = 1e-4)
  expect_equal(fitted(two), 1000 * fitted(one) + 7, tolerance = 1e-4)
  # Rows of a linear network in closed form may come in any order.
  order <- c(600:1)
  turned <- toy_neural[order, ]
  expect_equal(
    coef(quick(Y ~ X + w | g + w, turned, control = linear_control())),
    coef(quick(Y ~ X + w | g + w, control = linear_control())), tolerance = 1e-6
  )
})

test_that("designs at the edge are fitted", {
  d <- toy_neural
  # One row held out; a batch larger than the data.
  one <- quick(control = brief(validation = 1 / 600))
  expect_length(one$held_out, 1)
  expect_true(all(is.finite(training_history(one)$validation)))
  large <- quick(control = nn_control(hidden = 4, epochs = 3, batch_size = 1e6))
  expect_true(all(is.finite(fitted(large))))
  expect_true(is.finite(coef(quick(n_quantiles = 1))))
  expect_true(is.finite(coef(quick(non_crossing = FALSE, nodes = "midpoints"))))
  d$z0 <- 1 # an instrument that does not vary besides others that do
  expect_true(is.finite(coef(quick(Y ~ X | g + z0, d))))
  # A batch of equal rows: covariates and instruments do not vary in it.
  d$g <- cbind(rep(c(0, 1), each = 300))
  d$X <- d$g[, 1] + rep(c(-1, 1), 300)
  expect_true(is.finite(coef(quick(Y ~ X | g, d, control = brief(batch_norm = TRUE)))))
})

test_that("missing rows are dropped and come back", {
  d <- toy_neural
  d$Y[3] <- NA
  fit <- suppressMessages(quick(Y ~ X | g, d, na.action = na.exclude))
  expect_identical(nobs(fit), 599L)
  expect_length(fitted(fit), 600)
  expect_true(is.na(fitted(fit)[3]))
  expect_length(predict(fit, type = "exposure"), 600)
})

test_that("a fit prints", {
  fit <- quick(cluster = ~family, cross_fit = 2)
  printed <- capture.output(print(fit))
  expect_match(printed[1], "Quantile IV: effect of X on Y")
  expect_match(printed[2], paste("600 rows in 200 clusters, 4 instruments, 2 covariates; 4 matched",
    "quantiles, cross-fitted in 2 folds"))
  expect_true(any(grepl("no interval: n_boot", printed)))
  expect_true(any(grepl("Out-of-sample R2", printed)))
  expect_output(print(summary(quick())), "Mean outcome with the exposure set")
  expect_identical(nrow(tidy(fit)), 1L)
  expect_identical(glance(fit)$n.quantiles, 4L)
})

test_that("plots draw what they return", {
  fit <- quick(n_boot = 10)
  withr::local_pdf(NULL)
  expect_equal(plot(fit), effect_curve(fit))
  expect_identical(plot(fit, "history"), training_history(fit))
  expect_identical(nrow(plot(quick())), 50L)
  expect_error(plot(fit, "first_stage"), class = "mrlearn_error_argument")
  skip_if_not_installed("ggplot2")
  for (type in c("effect", "history")) {
    expect_gt(length(ggplot2::ggplot_build(ggplot2::autoplot(fit, type))$data), 0)
  }
})
