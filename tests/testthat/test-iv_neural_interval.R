# The draws of g at the rows' own covariates, by the slow reading of each replicate's weights.
slow_draws <- function(fit, x, w) {
  n <- nrow(w)
  vapply(seq_len(fit$n_boot), function(b) slow_outcome(fit, rep(x, n), w, b), numeric(n))
}

replicated <- quick(n_boot = 20)

test_that("curves have the intervals and band of their replicates", {
  fit <- replicated
  w <- toy_covariates()
  at <- c(-1, 0, 1.5)
  draws <- t(vapply(at, function(x) colMeans(slow_draws(fit, x, w)), numeric(20)))
  curve <- effect_curve(fit, at)
  # Differences of replicates are a hundredth of the values that float has to 1e-7.
  expect_equal(curve$std.error, apply(draws, 1, sd), tolerance = 1e-3)
  expect_equal(curve$conf.high, curve$estimate + qt(0.975, 19) * curve$std.error)
  expect_equal(curve$conf.low, curve$estimate - qt(0.975, 19) * curve$std.error)
  largest <- apply(abs(draws - rowMeans(draws)) / apply(draws, 1, sd), 2, max)
  half <- max(quantile(largest, 0.95, type = 6), qt(0.975, 19)) * curve$std.error
  expect_equal(curve$band.high, curve$estimate + half, tolerance = 1e-3)
  expect_equal(curve$band.low, curve$estimate - half, tolerance = 1e-3)
  expect_true(all(curve$band.low <= curve$conf.low & curve$band.high >= curve$conf.high))
  half <- effect_curve(fit, at, conf_level = 0.5, interval = "percentile", simultaneous = FALSE)
  expect_equal(half$conf.low, apply(draws, 1, quantile, 0.25, type = 6), tolerance = 1e-3)
  expect_true(all(is.na(half$band.low)))
  contrast <- effect_curve(fit, at, reference = 0)
  expect_equal(contrast$std.error, apply(sweep(draws, 2, draws[2, ]), 1, sd), tolerance = 1e-2)
  expect_identical(contrast$std.error[2], 0)
  expect_false(anyNA(contrast$band.low))
})

test_that("contrasts and slopes have those of their replicates", {
  fit <- replicated
  w <- toy_covariates()
  difference <- slow_draws(fit, 1, w) - slow_draws(fit, -1, w)
  effect <- ate(fit, -1, 1)
  expect_equal(effect$std.error, sd(colMeans(difference)), tolerance = 1e-2)
  expect_equal(effect$p.value, 2 * pt(-abs(effect$estimate / effect$std.error), 19))
  percentile <- ate(fit, -1, 1, interval = "percentile")
  below <- sum(colMeans(difference) <= 0)
  expect_equal(percentile$p.value, min(1, 2 * (min(below, 20 - below) + 1) / 21))
  rows <- cate(fit, -1, 1)
  expect_equal(rows$std.error, apply(difference, 1, sd), tolerance = 1e-2)
  some <- cate(fit, -1, 1, newdata = toy_neural[c(2, 500), ], interval = "percentile")
  expect_equal(some$conf.low, apply(difference[c(2, 500), ], 1, quantile, 0.025, type = 6),
    tolerance = 1e-2)
  at <- toy_neural$X
  slopes <- vapply(1:20, function(b) {
    mean(slow_outcome(fit, at + 1e-4, w, b) - slow_outcome(fit, at - 1e-4, w, b)) / 2e-4
  }, 0)
  expect_equal(average_derivative(fit)$std.error, sd(slopes), tolerance = 1e-2)
  expect_equal(unname(fit$draws), slopes, tolerance = 1e-2)
  expect_equal(sqrt(vcov(fit)[1, 1]), average_derivative(fit)$std.error)
  ends <- average_derivative(fit)[c("conf.low", "conf.high")]
  expect_equal(unname(confint(fit)[1, ]), unname(unlist(ends)))
  expect_equal(tidy(fit, conf.int = TRUE)$conf.low, ends$conf.low)
  ends <- average_derivative(fit, interval = "percentile")[c("conf.low", "conf.high")]
  expect_equal(unname(confint(fit, interval = "percentile")[1, ]), unname(unlist(ends)))
  predicted <- predict(fit, toy_neural[3:5, ], interval = "confidence")
  expect_equal(predicted$estimate, unname(fitted(fit))[3:5])
  own <- vapply(1:20, function(b) slow_outcome(fit, toy_neural$X[3:5], w[3:5, ], b), numeric(3))
  expect_equal(predicted$std.error, apply(own, 1, sd), tolerance = 1e-2)
  expect_identical(glance(fit)$n.boot, 20L)
  expect_output(print(fit), "95 % interval .* \\(20 bootstrap replicates\\)")
  expect_output(print(summary(fit)), "conf.low")
})

test_that("half-samples of a linear fit spread as two-stage least squares does", {
  half <- function(n_boot, ...) {
    quick(Y ~ X + w | g + w, n_boot = n_boot, control = linear_control(boot_type = "half"), ...)
  }
  fit <- half(200)
  error_of <- function(fit) sqrt(vcov(fit)["X", "X"])
  robust <- iv_2sls(Y ~ X + w | g + w, toy_neural, vcov = "HC1")
  # A standard deviation of 200 has an error of 5 %; halves of 300 rows are 5 % wider themselves.
  expect_equal(sqrt(fit$vcov[1, 1]), error_of(robust), tolerance = 0.25)
  expect_output(print(fit), "200 half-samples", fixed = TRUE)
  expect_identical(half(20, n_threads = 2)$draws, half(20, n_threads = 1)$draws)
  clustered <- iv_2sls(Y ~ X + w | g + w, toy_neural, cluster = family)
  expect_equal(sqrt(half(200, cluster = toy_neural$family)$vcov[1, 1]),
    error_of(clustered), tolerance = 0.25)
})

test_that("half-samples begin anew, and only where they can", {
  warm <- quick(n_boot = 12)
  fit <- quick(n_boot = 12, control = brief(boot_type = "half"))
  expect_identical(fit$coefficients, warm$coefficients)
  expect_false(identical(fit$draws, warm$draws))
  expect_identical(quick(n_boot = 12, control = brief(boot_type = "half"))$draws, fit$draws)
  error <- expect_error(
    iv_dfiv(Y ~ X | g, toy_neural, n_boot = 10, control = nn_control(boot_type = "half")),
    class = "mrlearn_error_argument")
  expect_match(conditionMessage(error), "boot_type", fixed = TRUE)
})

test_that("replicates of many people average over some, around the estimate for all", {
  d <- toy_neural[rep(1:600, 5), ]
  fit <- quick(data = d, n_boot = 10)
  all <- effect_curve(fit, c(-1, 1))
  same <- effect_curve(fit, c(-1, 1), newdata = toy_neural)
  # 2000 of the 3000 rows, which are the 600 people five times: nearly the same people.
  expect_equal(all$estimate, same$estimate, tolerance = 1e-4)
  expect_equal(all$std.error, same$std.error, tolerance = 0.05)
  expect_equal(effect_curve(fit, seq(-1, 1, length.out = 1001))$std.error[c(1, 1001)],
    all$std.error, tolerance = 0.1)
})

test_that("the bootstrap of a linear network has the standard error of least squares", {
  # 200 replicates: their standard deviation has a relative error of 1 / sqrt(400) = 0.05.
  fit <- quick(Y ~ X + w | g + w, control = linear_control(), n_boot = 200)
  tsls <- iv_2sls(Y ~ X + w | g + w, toy_neural, vcov = "HC0")
  expect_lt(abs(log(sqrt(vcov(fit)[1, 1] / vcov(tsls)["X", "X"]))), 4 * 0.05)
  # Each row three times, as a cluster: the bootstrap of rows would be too small by sqrt(3).
  d <- toy_neural[rep(1:600, each = 3), ]
  d$id <- rep(1:600, each = 3)
  by_id <- quick(Y ~ X + w | g + w, d, control = linear_control(), n_boot = 200, cluster = ~id)
  expect_equal(coef(by_id)[["X"]], coef(fit)[["X"]], tolerance = 1e-6)
  expect_lt(abs(log(sqrt(vcov(by_id)[1, 1] / vcov(tsls)["X", "X"]))), 4 * 0.05)
  by_row <- quick(Y ~ X + w | g + w, d, control = linear_control(), n_boot = 200)
  expect_gt(log(sqrt(vcov(by_id)[1, 1] / vcov(by_row)[1, 1])), log(sqrt(3)) - 4 * 0.05 * sqrt(2))
})

test_that("both samples are drawn again", {
  first <- toy_neural[1:300, ]
  second <- toy_neural[301:600, setdiff(names(toy_neural), "X")]
  fit <- quick(Y ~ X | g, first, stage2_data = second, control = linear_control(), n_boot = 200)
  # Delta method: variance of the slope given the first stage, plus that of the first stage's
  # coefficients p; the slope's derivative in p by differences.
  p <- lm(X ~ g, first)
  slope <- function(coefs) {
    coef(lm(second$Y ~ I(drop(cbind(1, second$g) %*% coefs))))[[2]]
  }
  step <- 1e-5
  gradient <- vapply(seq_along(coef(p)), function(j) {
    (slope(coef(p) + step * (seq_along(coef(p)) == j)) - slope(coef(p))) / step
  }, 0)
  robust <- function(m) sandwich::vcovHC(m, "HC0")
  x_hat <- drop(cbind(1, second$g) %*% coef(p))
  given <- robust(lm(second$Y ~ x_hat))[2, 2]
  total <- given + drop(gradient %*% robust(p) %*% gradient)
  expect_lt(abs(log(sqrt(vcov(fit)[1, 1] / total))), 4 * 0.05)
})

test_that("replicates that fail are left out and told", {
  block <- list(params = matrix(1, 2, 12), statistics = matrix(0, 0, 12), theta = NULL,
    status = integer(12), isa = "a")
  expect_identical(ncol(bind_replicates(list(block), 12, "a")$params), 12L)
  block$params[1, 3] <- NaN
  expect_warning(out <- bind_replicates(list(block), 12, "a"), class = "mrlearn_warning_replicates")
  expect_identical(ncol(out$params), 11L)
  expect_identical(ncol(out$statistics), 11L)
  block$status[5:6] <- c(1L, 3L)
  out <- suppressWarnings(bind_replicates(list(block), 12, "a"))
  expect_identical(ncol(out$params), 10L)
  block$params[] <- Inf
  expect_error(bind_replicates(list(block), 12, "a"), class = "mrlearn_error_numeric")
  other <- block
  other$isa <- "b"
  expect_error(bind_replicates(list(block, other), 24, "a"), class = "mrlearn_error_numeric")
})
