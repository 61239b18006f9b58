test_that("tables have their columns", {
  sim <- sim_tian2023(n = 1000, outcome = 2, seed = 16)
  fit <- iv_doubly_ranked(Y ~ X | Z, sim, n_strata = 4, seed = 1)
  expect_s3_class(fit, c("iv_doubly_ranked", "iv_fit"), exact = TRUE)
  expect_named(tidy(fit), c("term", "stratum", "x.mean", "estimate", "std.error", "statistic",
    "p.value"))
  ci <- tidy(fit, conf.int = TRUE, conf.level = 0.9)
  expect_equal(cbind(ci$conf.low, ci$conf.high), unname(confint(fit, level = 0.9)))
  expect_identical(rownames(confint(fit, "stratum 2")), "stratum 2")
  expect_identical(nrow(glance(fit)), 1L)
  expect_identical(augment(fit)$.stratum, fit$stratum)
  expect_identical(nobs(fit), 1000L)
  expect_equal(sqrt(diag(vcov(fit))), tidy(fit)$std.error, ignore_attr = TRUE)
  curve <- effect_curve(fit)
  expect_named(curve, c("x", "estimate", "std.error", "conf.low", "conf.high", "estimand"))
  expect_identical(range(curve$x), range(fit$lace$x.mean))
  expect_equal(effect_curve(fit, mean(sim$X))$estimate, 0)
  expect_equal(effect_curve(fit, exposure = "X"), curve)
  expect_error(effect_curve(fit, exposure = "Z"), class = "mrlearn_error_argument")
  judged <- evaluate(fit, sim, domain = c(-1, 1), reference = 0)
  expect_identical(judged$reference, 0) # levels are not known, contrasts are compared
  share <- fit$lace$n / 1000
  expect_equal(average_derivative(fit)$estimate, sum(share * fit$lace$estimate))
  light <- iv_doubly_ranked(Y ~ X | Z, sim, n_strata = 4, seed = 1, model = FALSE)
  expect_null(light$stratum)
  expect_equal(light$lace, fit$lace)
  expect_equal(iv_doubly_ranked(y = sim$Y, x = sim$X, z = sim$Z, n_strata = 4)$lace, fit$lace)
  pdf(NULL)
  withr::defer(dev.off())
  expect_named(plot(fit), names(curve))
  expect_identical(nrow(plot(fit, "lace")), 4L)
})

test_that("what is printed", {
  sim <- sim_burgess2014(n = 2000, shape = "J", type = "logistic", seed = 1)
  fit <- iv_doubly_ranked(Y ~ X | g, sim, family = "binomial", n_strata = 3, seed = 1)
  expect_snapshot(print(fit, digits = 3))
  expect_snapshot(print(summary(fit), digits = 3))
  expect_identical(unique(effect_curve(fit, 1:2, 1)$estimand),
    "log-odds of Y within strata at X=x - at 1")
})

test_that("strata without an estimate are told", {
  d <- data.frame(Z = rep(1:30, each = 10), X = rep(1:10, 30) + 0.01 * (1:300))
  d$Y <- as.double(d$X > 5.5) # a stratum is all 0 or all 1 but in the middle
  d$Y[d$X > 5.3 & d$X < 6.5 & d$Z %% 3 == 0] <- 0
  d$Y[c(3, 291)] <- 1 - d$Y[c(3, 291)]
  expect_warning(
    fit <- iv_doubly_ranked(Y ~ X | Z, d, family = "binomial", n_strata = 5, seed = 1),
    class = "mrlearn_warning_strata"
  )
  expect_true(anyNA(fit$lace$estimate))
  expect_false(all(is.na(fit$lace$estimate)))
  expect_identical(nrow(tidy(fit)), 5L)
  expect_error(average_derivative(fit), class = "mrlearn_error_data")
})

test_that("bad input is refused", {
  d <- as.data.frame(sim_tian2023(n = 100, seed = 17))
  d$b <- as.double(d$Y > 0)
  run <- function(...) iv_doubly_ranked(..., data = d)
  expect_snapshot(error = TRUE, {
    run(Y ~ X | Z, n_strata = 40)
    run(Y ~ X | Z, n_strata = 10, n_repeats = 2, leave_out = 75)
    run(Y ~ X | Z, family = "binomial")
    run(I(b * 0) ~ X | Z, family = "binomial")
    run(Y ~ X | I(Z * 0))
    run(Y ~ X + b | Z + I(Z^2))
    run(Y ~ X + 0 | Z + 0)
    run(Y ~ X | Z, pre_size = 5)
    run(Y ~ X | Z, pre_size = 25, rule = "fill")
    run(Y ~ X | Z, score_weights = 2)
    run(Y ~ X | Z + I(Z^2), score_weights = 1)
    run(Y ~ X | Z + I(Z^2), score_weights = c(0, 0))
    run(Y ~ X | Z, strata = "quantile")
    run(Y ~ X | Z, degree = 4)
    run(Y ~ X | Z, n_strata = 3, degree = 3)
    run(Y ~ X | Z, smooth = "piecewise", knots = 1)
    run(Y ~ X | Z, knots = 100)
    predict(run(Y ~ X | Z))
  })
  fit <- run(Y ~ X | Z)
  expect_error(cate(fit, 0, 1), class = "mrlearn_error_argument")
  expect_error(residuals(fit), class = "mrlearn_error_argument")
  expect_error(fitted(fit), class = "mrlearn_error_argument")
  expect_error(effect_curve(fit, "a"), class = "mrlearn_error_argument")
  expect_error(ate(fit, 0), class = "error")
  expect_error(confint(fit, "stratum 99"), class = "mrlearn_error_argument")
  expect_error(tidy(fit, level = 0.9), class = "mrlearn_error_argument")
  d$Z[3] <- Inf
  expect_error(run(Y ~ X | Z), class = "mrlearn_error_data")
})
