# Small data and few epochs: what is tested does not need good fits, except where it says so.
toy_quantile <- local({
  sim <- sim_nonlinear(n = 600, n_variants = 4, seed = 5)
  data <- as.data.frame(sim)
  data$g <- as.matrix(data[truth(sim)$instruments])
  data$w <- rep(c(-1, 0.5, 2), 200)
  data$sex <- rep(c("f", "m"), each = 300)
  data
})
brief <- function(..., batch_norm = FALSE) {
  nn_control(hidden = c(8, 4), activation = "gelu", batch_norm = batch_norm, epochs = 4,
    batch_size = 100, learning_rate = 2e-3, ...)
}
quick <- function(formula = Y ~ X + w + sex | g + w + sex, data = toy_quantile, seed = 3,
                  n_quantiles = 4, control = brief(), ...) {
  suppressWarnings(
    iv_quantile(formula, data, seed = seed, n_quantiles = n_quantiles, control = control, ...),
    classes = "mrlearn_warning_not_trained"
  )
}
numbers_of <- function(fit) {
  fit$call <- NULL
  fit$isa <- NULL
  fit$formula <- fit$design <- NULL
  fit
}

test_that("results do not depend on threads, and the seed makes them", {
  for (control in list(brief(), brief(batch_norm = TRUE, dropout = 0.2))) {
    one <- quick(control = control, n_threads = 1)
    two <- quick(control = control, n_threads = 2)
    expect_identical(numbers_of(one), numbers_of(two))
    at <- c(-1, 0, 2)
    withr::with_options(list(mrlearn.threads = 1), expect_identical(
      effect_curve(one, at), withr::with_options(list(mrlearn.threads = 2), effect_curve(two, at))
    ))
    other <- quick(control = control, seed = 4)
    expect_false(identical(one$network$outcome$params, other$network$outcome$params))
  }
  set.seed(9)
  drawn <- quick(seed = NULL)
  set.seed(9)
  expect_identical(numbers_of(quick(seed = NULL)), numbers_of(drawn))
  expect_identical(numbers_of(quick(seed = drawn$seed)), numbers_of(drawn))
})

test_that("a fit saved and read says the same", {
  fit <- quick()
  file <- withr::local_tempfile(fileext = ".rds")
  saveRDS(fit, file)
  read <- readRDS(file)
  new <- data.frame(X = c(-1, 0, 1), w = c(2, -1, 0.5), sex = c("m", "f", "m"))
  expect_identical(predict(read, new), predict(fit, new))
  expect_identical(effect_curve(read, c(0, 1)), effect_curve(fit, c(0, 1)))
  expect_identical(average_derivative(read), average_derivative(fit))
  expect_identical(unserialize(serialize(fit, NULL))$network, fit$network)
})

# g of a fit by plain matrix products in double, from its weights: dense layers lie one after the
# other, each weight matrix and each bias padded to a multiple of 16 numbers. GELU is u Phi(u).
slow_outcome <- function(fit, x, w) {
  net <- fit$network$outcome
  h <- cbind((x - net$scale_x[1]) / net$scale_x[2],
    sweep(sweep(w, 2, net$scale_w[1, ]), 2, net$scale_w[2, ], "/"))
  at <- 0L
  piece <- function(size) {
    out <- net$params[at + seq_len(size)]
    at <<- at + ceiling(size / 16) * 16
    out
  }
  units <- c(net$hidden, 1L)
  for (i in seq_along(units)) {
    weights <- matrix(piece(ncol(h) * units[i]), ncol(h))
    h <- sweep(h %*% weights, 2, piece(units[i]), "+")
    if (i < length(units)) {
      h <- h * pnorm(h)
    }
  }
  if (net$binary) plogis(h[, 1]) else net$scale_y[1] + net$scale_y[2] * h[, 1]
}

test_that("predictions, curves and effects are those of the weights", {
  data <- toy_quantile
  data$B <- as.double(data$Y > 0.5)
  fits <- list(quick(), quick(B ~ X + w + sex | g + w + sex, data, binary = TRUE),
    quick(weights = rep(c(1, 3), 300)))
  for (fit in fits) {
    w <- cbind(data$w, data$sex == "m")
    weights <- if (is.null(fit$weights)) rep(1, 600) else fit$weights
    # Float arithmetic: 1e-7 relative per operation, some hundred of them.
    expect_equal(unname(fitted(fit)), slow_outcome(fit, data$X, w), tolerance = 1e-5)
    expect_equal(unname(fit$residuals + fit$fitted.values),
      if (fit$binary) data$B else data$Y)
    levels <- c(-1, 0.3, 1.7)
    mean_at <- function(x) weighted.mean(slow_outcome(fit, rep(x, 600), w), weights)
    curve <- effect_curve(fit, levels)
    expect_equal(curve$estimate, vapply(levels, mean_at, 0), tolerance = 1e-5)
    expect_named(curve, c("x", "estimate", "std.error", "conf.low", "conf.high", "estimand"))
    expect_true(all(is.na(curve[3:5])))
    contrast <- effect_curve(fit, levels, reference = 0)
    expect_equal(contrast$estimate, curve$estimate - mean_at(0), tolerance = 1e-4)
    expect_equal(ate(fit, 0.3, 1.7)$estimate, diff(curve$estimate)[2])
    rows <- cate(fit, 0.3, 1.7)
    expect_equal(weighted.mean(rows$estimate, weights), ate(fit, 0.3, 1.7)$estimate,
      tolerance = 1e-5)
    up <- slow_outcome(fit, data$X + 1e-4, w)
    down <- slow_outcome(fit, data$X - 1e-4, w)
    expect_equal(average_derivative(fit)$estimate,
      weighted.mean((up - down) / 2e-4, weights), tolerance = 1e-4)
    expect_equal(unname(coef(fit)), average_derivative(fit)$estimate)
    new <- data[c(7, 400), ]
    expect_equal(unname(predict(fit, new)), unname(fitted(fit))[c(7, 400)])
  }
  expect_true(all(fitted(fits[[2]]) > 0 & fitted(fits[[2]]) < 1))
})

test_that("linear networks with a linear truth are near two-stage least squares", {
  sim <- sim_nonlinear(n = 4000, n_variants = 5, f = "linear", seed = 2)
  g <- as.matrix(sim[truth(sim)$instruments])
  control <- nn_control(hidden = integer(0), batch_size = 4000, epochs = 600, validation = 0,
    patience = 0, learning_rate = 0.05, weight_decay = 0, clip = 0)
  fit <- iv_quantile(Y ~ X | g, sim, control = control, seed = 1)
  tsls <- iv_2sls(Y ~ X | g, sim)
  ols <- iv_ols(Y ~ X, sim)
  # The quantiles' mean is not the least-squares fit: conditional quantiles have more sampling
  # error, here a few per cent of the slope; a tenth of the distance to OLS, or half a standard
  # error, is far from any confounded answer.
  expect_lt(abs(coef(fit)[["X"]] - coef(tsls)[["X"]]), 0.5 * sqrt(vcov(tsls)["X", "X"]))
  expect_gt(abs(coef(ols)[["X"]] - coef(tsls)[["X"]]), 4 * sqrt(vcov(tsls)["X", "X"]))
  curve <- effect_curve(fit, c(-2, 0, 2))$estimate
  expect_equal(diff(curve), rep(2 * coef(fit)[["X"]], 2), tolerance = 1e-4)
})

test_that("the default finds a quadratic effect", {
  sim <- sim_nonlinear(n = 20000, seed = 21) # the defaults were chosen on other seeds
  g <- as.matrix(sim[truth(sim)$instruments])
  fit <- iv_quantile(Y ~ X | g, sim, seed = 1)
  # The best straight line is off by 0.3^2 Var(x^2) = 0.98 on this domain, and the regression on
  # the exposure itself by that of the confounder; published medians at half the size are .08 over
  # the whole range.
  error <- evaluate(fit, sim, domain = c(-3.5, 3.5))
  expect_lt(error$mse, 0.25)
  expect_identical(error$coverage, NA_real_)
  # Var(x) = 1 and the variants explain a half of it: with 4000 rows held out, R2 has a standard
  # error of about 0.011; a fitted first stage loses some more.
  expect_gt(glance(fit)$r2.first, 0.42)
  expect_lt(glance(fit)$r2.first, 0.5 + 4 * 0.011)
  linear <- iv_2sls(Y ~ X | g, sim)
  expect_identical(glance(fit)$statistic.weakinst, glance(linear)$statistic.weakinst)
})

test_that("history has the epochs of both stages", {
  fit <- quick()
  history <- training_history(fit)
  expect_named(history, c("stage", "epoch", "train", "validation", "learning_rate"))
  expect_identical(as.vector(table(history$stage)[c("exposure", "outcome")]), fit$epochs)
  expect_true(all(is.finite(history$train) & is.finite(history$validation)))
  expect_length(fit$held_out, 120)
  none <- quick(control = brief(validation = 0))
  expect_true(all(is.na(training_history(none)$validation)))
  expect_length(none$held_out, 0)
  expect_identical(glance(none)$r2.first, NA_real_)
})

test_that("matrices are taken as a formula is", {
  d <- toy_quantile
  by_formula <- quick(Y ~ X + w | g + w)
  by_matrix <- suppressWarnings(iv_quantile(y = d$Y, x = d$X, z = d$g, w = d$w, seed = 3,
    n_quantiles = 4, control = brief()))
  expect_identical(unname(fitted(by_matrix)), unname(fitted(by_formula)))
})

test_that("designs at the edge are fitted", {
  d <- toy_quantile
  # One row held out; a batch larger than the data; an exposure that the instruments determine.
  one <- quick(control = brief(validation = 1 / 600))
  expect_length(one$held_out, 1)
  expect_true(all(is.finite(training_history(one)$validation)))
  large <- quick(control = nn_control(hidden = 4, epochs = 3, batch_size = 1e6))
  expect_true(all(is.finite(fitted(large))))
  d$X <- drop(d$g %*% c(1, 2, 3, 4))
  sure <- quick(Y ~ X | g, d)
  expect_true(all(is.finite(effect_curve(sure)$estimate)))
  expect_true(is.finite(quick(n_quantiles = 1)$coefficients))
  expect_true(is.finite(quick(non_crossing = FALSE, nodes = "midpoints")$coefficients))
  d$z0 <- 1 # an instrument that does not vary besides others that do
  expect_true(is.finite(quick(Y ~ X | g + z0, d)$coefficients))
})

test_that("a diverging learning rate warns, and the last finite weights are used", {
  control <- nn_control(hidden = c(8, 4), activation = "gelu", batch_norm = FALSE, epochs = 50,
    learning_rate = 1e30, optimizer = "sgd", clip = 0, weight_decay = 0)
  seen <- character()
  fit <- withCallingHandlers(
    iv_quantile(Y ~ X | g, toy_quantile, control = control, seed = 1, non_crossing = FALSE),
    mrlearn_warning_diverged = function(w) {
      seen <<- c(seen, conditionMessage(w))
      invokeRestart("muffleWarning")
    },
    mrlearn_warning_not_trained = function(w) invokeRestart("muffleWarning")
  )
  expect_match(seen, "diverged", all = TRUE)
  expect_gte(length(seen), 1L)
  expect_true(all(is.finite(unlist(fit$network))))
  expect_true(all(is.finite(fitted(fit))))
  expect_true("diverged" %in% fit$stop)
})

test_that("bad input is refused by class", {
  d <- toy_quantile
  refused <- function(class, ...) {
    expect_error(quick(...), class = paste0("mrlearn_error_", class))
  }
  d$c <- 2
  refused("collinear", Y ~ c | g, d)
  d$v <- 3 * d$w
  refused("collinear", Y ~ v + w | g + w, d)
  refused("underidentified", Y ~ X | c, d)
  refused("argument", Y ~ X + w | g)
  refused("argument", Y ~ log(X + 10) | g)
  refused("data", Y ~ X | g, binary = TRUE)
  refused("argument", n_quantiles = 0)
  refused("argument", n_quantiles = 201)
  refused("argument", nodes = "gauss")
  refused("argument", control = list(hidden = 3))
  refused("argument", seed = 0.5)
  refused("data", Y ~ X | g, d[1:3, ], control = brief(validation = 0.6))
  d$X[1] <- Inf
  refused("data", Y ~ X | g, d)
  fit <- quick()
  expect_error(predict(fit, data.frame(w = 1, sex = "f")), class = "mrlearn_error_argument")
  expect_error(average_derivative(quick(model = FALSE)), class = "mrlearn_error_argument")
  expect_warning(effect_curve(fit, 50), class = "mrlearn_warning_extrapolation")
})

test_that("missing rows are dropped and come back", {
  d <- toy_quantile
  d$Y[3] <- NA
  fit <- suppressMessages(quick(Y ~ X | g, d, na.action = na.exclude))
  expect_identical(nobs(fit), 599L)
  expect_length(fitted(fit), 600)
  expect_true(is.na(fitted(fit)[3]))
})

test_that("a fit prints", {
  fit <- quick()
  fit$network <- NULL # weights depend on the machine's libm in the last digits
  printed <- capture.output(print(fit))
  expect_match(printed[1], "Quantile IV: effect of X on Y")
  expect_match(printed[2], "600 rows, 4 instruments, 2 covariates; 4 matched quantiles")
  expect_true(any(grepl("no interval", printed)))
  expect_true(any(grepl("Out-of-sample R2", printed)))
  expect_output(print(summary(quick())), "Mean outcome with the exposure set")
  expect_identical(nrow(tidy(fit)), 1L)
  withr::local_pdf(withr::local_tempfile(fileext = ".pdf"))
  drawn <- plot(quick())
  expect_identical(nrow(drawn), 50L)
  expect_error(plot(fit, "first_stage"), class = "mrlearn_error_argument")
  expect_identical(glance(fit)$n.quantiles, 4L)
})
