simulated <- function(n = 1500) {
  set.seed(3)
  d <- data.frame(sex = rbinom(n, 1, 0.4), age = rnorm(n))
  d$g <- matrix(rbinom(n * 4, 2, 0.4), n)
  u <- rnorm(n)
  d$x <- drop(d$g %*% rep(0.4, 4)) + u + rnorm(n)
  d$y <- 1 + (0.3 + 0.4 * d$sex) * d$x + 0.2 * d$x^2 + u + d$age + rnorm(n)
  d
}

test_that("linear fits: curve, contrast and derivative are the slope", {
  d <- simulated()
  fit <- iv_2sls(y ~ x + age | g + age, data = d)
  b <- coef(fit)
  curve <- effect_curve(fit, c(-1, 2))
  expect_identical(names(curve),
    c("x", "estimate", "std.error", "conf.low", "conf.high", "estimand"))
  expect_equal(curve$estimate, unname(b[[1]] + b[["x"]] * c(-1, 2) + b[["age"]] * mean(d$age)))
  row <- c(1, 2, mean(d$age))
  expect_equal(curve$std.error[2], sqrt(drop(row %*% vcov(fit) %*% row)))
  slope <- ate(fit, 0, 1)
  expect_equal(slope$estimate, b[["x"]])
  expect_equal(slope$conf.low, confint(fit)["x", 1])
  expect_equal(average_derivative(fit)$estimate, b[["x"]], tolerance = 1e-8)
  expect_equal(unique(round(cate(fit, 0, 1)$estimate, 10)), round(b[["x"]], 10))
  expect_equal(effect_curve(fit, 2, reference = -1)$estimate, 3 * b[["x"]])
  expect_equal(effect_curve(fit, -1, reference = -1)$std.error, 0)
  expect_identical(nrow(effect_curve(fit)), 50L)
})

test_that("functions and interactions of the exposure are set with it", {
  d <- simulated()
  fit <- iv_2sls(y ~ x * sex + I(x^2) + age | g * sex + I(g^2) + age, data = d)
  b <- coef(fit)
  by_hand <- function(x) {
    mean(b[[1]] + b[["x"]] * x + b[["sex"]] * d$sex + b[["I(x^2)"]] * x^2 + b[["age"]] * d$age +
      b[["x:sex"]] * x * d$sex)
  }
  expect_equal(effect_curve(fit, c(-1, 1))$estimate, c(by_hand(-1), by_hand(1)))
  expect_equal(ate(fit, -1, 1)$estimate, by_hand(1) - by_hand(-1))
  slope <- mean(b[["x"]] + b[["x:sex"]] * d$sex + 2 * b[["I(x^2)"]] * d$x)
  expect_equal(average_derivative(fit)$estimate, slope, tolerance = 1e-7)
  by_sex <- cate(fit, 0, 1, newdata = data.frame(sex = 0:1, age = 0))
  expect_equal(diff(by_sex$estimate), b[["x:sex"]])
})

test_that("weights are those of the fit", {
  d <- simulated()
  d$k <- sample(1:3, nrow(d), TRUE)
  weighted <- iv_2sls(y ~ x * sex + age | g * sex + age, data = d, weights = k)
  repeated <- iv_2sls(y ~ x * sex + age | g * sex + age, data = d[rep(seq_len(nrow(d)), d$k), ])
  expect_equal(effect_curve(weighted, 1)$estimate, effect_curve(repeated, 1)$estimate)
  expect_equal(average_derivative(weighted)$estimate, average_derivative(repeated)$estimate,
    tolerance = 1e-7)
})

test_that("data-dependent bases are those of the fit", {
  d <- simulated()
  fit <- iv_2sls(y ~ x + poly(age, 2) | g + poly(age, 2), data = d)
  expect_equal(predict(fit, d[1:5, ]), fitted(fit)[1:5])
  expect_equal(predict(fit, d[1:2, ], interval = "confidence")$estimate, unname(fitted(fit)[1:2]))
})

test_that("asking for what cannot be had", {
  d <- simulated()
  two <- iv_2sls(y ~ x + age | g, data = d)
  expect_error(ate(two, 0, 1), class = "mrlearn_error_argument")
  expect_equal(ate(two, 0, 1, exposure = "age")$estimate, coef(two)[["age"]])
  expect_error(ate(two, 0, 1, exposure = "sex"), class = "mrlearn_error_argument")
  bare <- iv_2sls(y ~ x + age | g + age, data = d, model = FALSE)
  expect_error(effect_curve(bare, 1), class = "mrlearn_error_argument")
  expect_equal(effect_curve(bare, 1, newdata = d)$estimate,
    effect_curve(update(bare, model = TRUE), 1)$estimate)
  fit <- iv_2sls(y ~ x + age | g + age, data = d)
  expect_error(predict(fit, data.frame(x = 1)), class = "mrlearn_error_argument")
  expect_error(predict(fit, d[0, ]), class = "mrlearn_error_argument")
  expect_error(effect_curve(fit, c(1, NA)), class = "mrlearn_error_data")
  expect_error(ate(fit, 0, Inf), class = "mrlearn_error_argument")
  expect_error(effect_curve(fit, 1, refernce = 0), class = "mrlearn_error_argument")
  expect_error(effect_curve(fit, 1, conf_level = 95), class = "mrlearn_error_argument")
  site <- iv_2sls(y ~ x + factor(sex) | g + factor(sex), data = d)
  expect_error(predict(site, data.frame(x = 1, sex = 7)), class = "mrlearn_error_data")
})
