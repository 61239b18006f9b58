# Each bad input: a classed error that names the argument or variable, as the snapshot shows.
refused <- function(class, ..., fitters = list(quick, quick_deep)) {
  for (fitter in fitters) {
    expect_error(fitter(...), class = paste0("mrlearn_error_", class))
  }
}

test_that("data that cannot be learnt from are refused by class", {
  d <- toy_neural
  d$c <- 2
  refused("collinear", Y ~ c | g, d)
  d$v <- 3 * d$w
  refused("collinear", Y ~ v + w | g + w, d)
  refused("underidentified", Y ~ X | c, d)
  refused("argument", Y ~ X + w | g)
  refused("argument", Y ~ log(X + 10) | g)
  refused("formula", Y ~ X)
  refused("data", Y ~ X | g, binary = TRUE)
  refused("data", Y ~ X | g, d[1:3, ], control = brief(validation = 0.6))
  refused("data", Y ~ X | g, cluster = rep(1, 600))
  refused("argument", Y ~ X | g, cluster = nowhere, fitters = list(quick))
  d$X[1] <- Inf
  refused("data", Y ~ X | g, d)
})

test_that("arguments out of range are refused by class", {
  refused("argument", n_quantiles = 0, fitters = list(quick))
  refused("argument", n_quantiles = 201, fitters = list(quick))
  refused("argument", nodes = "gauss", fitters = list(quick))
  refused("argument", first_stage = "quantile", fitters = list(quick_deep))
  refused("argument", n_components = 0, fitters = list(quick_deep))
  refused("argument", n_draws = 1.5, fitters = list(quick_deep))
  refused("argument", ridge = -1, fitters = list(quick_deep))
  refused("argument", control = list(hidden = 3))
  refused("argument", seed = 0.5)
  refused("argument", n_boot = 1)
  refused("argument", n_boot = -5)
  refused("argument", n_boot = NA)
  refused("argument", cross_fit = 0)
  refused("data", Y ~ X | g, cross_fit = 4, cluster = rep(1:7, length.out = 600))
  refused("argument", workers = "cloud")
  refused("argument", checkpoint = file.path(tempdir(), "nowhere", "file.rds"))
  refused("argument", checkpoint = 3)
  refused("argument", checkpoint_every = 0)
  refused("argument", progress = "yes")
})

test_that("a second sample that does not fit is refused by class", {
  first <- toy_neural[1:300, ]
  second <- toy_neural[301:600, ]
  with_second <- function(class, formula = Y ~ X + w | g + w, second, ...) {
    refused(class, formula, first, stage2_data = second, ...)
  }
  with_second("argument", second = as.list(second))
  with_second("argument", second = second[setdiff(names(second), "Y")])
  with_second("argument", second = second[setdiff(names(second), "w")])
  with_second("argument", second = second, weights = runif(300))
  with_second("argument", Y ~ X + w | poly(G0, 2) + w, second = second)
  with_second("argument", Y ~ . - B | g, second = second)
  narrow <- second
  narrow$g <- narrow$g[, 1:3]
  with_second("data", second = narrow)
  with_second("data", second = second[0, ])
  second$Y[4] <- Inf
  with_second("data", second = second)
  second$Y <- NA_real_
  expect_error(suppressMessages(quick(Y ~ X | g, first, stage2_data = second)),
    class = "mrlearn_error_data")
  expect_error(
    iv_quantile(y = first$Y, x = first$X, z = first$g, stage2_data = toy_neural),
    class = "mrlearn_error_argument"
  )
})

test_that("what is asked of a fit is checked", {
  fit <- quick()
  bad <- function(expression) {
    expect_error(expression, class = "mrlearn_error_argument")
  }
  bad(predict(fit, data.frame(w = 1, sex = "f")))
  bad(predict(fit, toy_neural["w"], "exposure"))
  bad(predict(fit, type = "quantiles"))
  bad(predict(fit, toy_neural, "exposure", interval = "normal"))
  bad(predict(fit, type = "density"))
  bad(average_derivative(quick(model = FALSE)))
  bad(effect_curve(fit, interval = "bca"))
  bad(effect_curve(fit, simultaneous = NA))
  bad(effect_curve(fit, conf_level = 1))
  bad(ate(fit, 0, "a"))
  bad(effect_curve(fit, 0, newdata = "all"))
  expect_error(effect_curve(fit, NA), class = "mrlearn_error_data")
  expect_warning(effect_curve(fit, 50), class = "mrlearn_warning_extrapolation")
})

test_that("a diverging learning rate warns, and the last finite weights are used", {
  control <- nn_control(hidden = c(8, 4), activation = "gelu", batch_norm = FALSE, epochs = 50,
    learning_rate = 1e30, optimizer = "sgd", clip = 0, weight_decay = 0)
  seen <- character()
  fit <- withCallingHandlers(
    iv_quantile(Y ~ X | g, toy_neural, control = control, seed = 1, non_crossing = FALSE),
    mrlearn_warning_diverged = function(w) {
      seen <<- c(seen, conditionMessage(w))
      invokeRestart("muffleWarning")
    },
    mrlearn_warning_not_trained = function(w) invokeRestart("muffleWarning")
  )
  expect_match(seen, "diverged", all = TRUE)
  expect_gte(length(seen), 1L)
  expect_true(all(is.finite(fit$network$outcome$params)))
  expect_true(all(is.finite(fitted(fit))))
  expect_true("diverged" %in% fit$stop)
})

test_that("an exposure that instruments determine is told", {
  d <- toy_neural
  d$X <- drop(d$g %*% c(1, 2, 3, 4))
  for (fitter in list(quick, quick_deep)) {
    expect_warning(fit <- fitter(Y ~ X | g, d), class = "mrlearn_warning_no_variation")
    expect_true(all(is.finite(effect_curve(fit)$estimate)))
  }
})

test_that("messages name the argument, the rule and what came", {
  d <- toy_neural
  first <- d[1:300, ]
  second <- d[301:600, ]
  narrow <- second
  narrow$g <- narrow$g[, 1:3]
  expect_snapshot(error = TRUE, {
    quick(n_boot = 1)
    quick(Y ~ X + w | g)
    quick(Y ~ log(X + 10) | g)
    quick(Y ~ X | g, binary = TRUE)
    quick(cluster = rep(1, 600))
    quick(cross_fit = 4, cluster = rep(1:7, length.out = 600))
    quick(workers = "cloud")
    quick_deep(ridge = -1)
    quick(Y ~ X | g, first, stage2_data = second["g"])
    quick(Y ~ X | g, first, stage2_data = narrow)
    quick(Y ~ X | poly(G0, 2), first, stage2_data = second)
    iv_quantile(Y ~ X | g, first, stage2_data = second, weights = runif(300))
    predict(quick(), d["w"], "exposure")
    predict(quick(), type = "quantiles")
  })
})
