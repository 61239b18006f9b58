# Each bad input: a classed error that names the argument or variable, as the snapshot shows.
good <- function(n = 60) {
  set.seed(2)
  d <- data.frame(z1 = rnorm(n), z2 = rnorm(n), w = rnorm(n))
  d$x <- d$z1 + d$z2 + rnorm(n)
  d$y <- d$x + rnorm(n)
  d
}

fails <- function(expression, class) {
  withCallingHandlers(
    expect_error(expression, class = paste0("mrlearn_error_", class)),
    mrlearn_message = function(m) invokeRestart("muffleMessage")
  )
}

changed <- function(...) {
  d <- good()
  changes <- list(...)
  d[names(changes)] <- changes
  d
}

fit <- function(data, formula = y ~ x + w | z1 + z2 + w, ...) {
  iv_2sls(formula, data = data, ...)
}

test_that("infinite values in each role", {
  for (role in names(good())) {
    d <- good()
    d[[role]][3] <- -Inf
    error <- fails(fit(d), "data")
    expect_match(conditionMessage(error), paste0("`", role, "`.*1 infinite"))
  }
  d <- good()
  error <- fails(fit(d, weights = c(Inf, rep(1, 59))), "data")
  expect_match(conditionMessage(error), "weights")
})

test_that("NA and NaN in each role drop the row and say so", {
  for (role in names(good())) {
    for (value in c(NA, NaN)) {
      d <- good()
      d[[role]][3] <- value
      expect_message(f <- fit(d), paste0("1 of 60 rows .*`", role, "` 1"))
      expect_identical(nobs(f), 59L)
    }
  }
  d <- good()
  expect_message(f <- fit(d, weights = c(NA, rep(1, 59))), "`weights` 1")
  expect_message(f <- fit(d, cluster = c(NA, rep(1:20, length.out = 59))), "`cluster` 1")
})

test_that("a whole column missing, zero rows, one row, too few rows", {
  fails(fit(changed(x = NA_real_)), "data")
  fails(fit(good()[0, ]), "data")
  fails(fit(good()[1, ]), "data")
  fails(fit(good()[1:4, ]), "data")
  fails(iv_2sls(y = 1, x = 1, z = 1), "data")
  fails(iv_2sls(y = numeric(), x = numeric(), z = numeric()), "data")
})

test_that("wrong types and lengths", {
  d <- good()
  fails(fit(changed(y = factor(rep(c("no", "yes"), 30)))), "data")
  fails(fit(changed(y = rep("a", 60))), "data")
  fails(fit(changed(x = as.list(1:60))), "formula")
  fails(fit(changed(x = complex(60))), "data")
  fails(iv_2sls("y ~ x", data = d), "argument")
  fails(iv_2sls(y ~ x | z1, data = "d"), "argument")
  fails(iv_2sls(y = d$y, x = d$x[-1], z = d$z1), "argument")
  fails(iv_2sls(y = d$y, x = d$x, z = letters), "argument")
  fails(iv_2sls(y = d$y, x = d$x, z = Matrix::Matrix(cbind(d$z1), sparse = TRUE)), "argument")
  fails(iv_2sls(y = d$y, x = d$x, z = matrix(0, 60, 0)), "argument")
  fails(iv_2sls(y = d$y, x = d$x), "argument")
  fails(iv_2sls(y ~ x | z1, data = d, y = d$y), "argument")
  fails(fit(d, vcov = "HC9"), "argument")
  fails(fit(d, n_threads = 0), "argument")
  fails(fit(d, weights = rep(-1, 60)), "data")
  fails(fit(d, weights = rep("heavy", 60)), "argument")
  fails(iv_2sls(y = d$y, x = d$x, z = array(d$z1, c(60, 1, 1))), "argument")
  fails(iv_lasso(y ~ x | z1 + z2, data = transform(d, x = x * 1e300)), "numeric")
  fails(fit(d, weights = 1:3), "formula")
  fails(fit(d, cluster = rep(1, 60)), "data")
  fails(fit(d, cluster = nowhere), "argument")
  fails(fit(d, na.action = "never"), "argument")
  fails(iv_fit("3sls", y ~ x | z1, data = d), "argument")
  fails(iv_fit("2sls", y ~ x | z1, data = d, instrument = 1), "argument")
})

test_that("formulas that say nothing estimable", {
  d <- good()
  fails(fit(d, y ~ x), "formula")
  fails(fit(d, ~ x | z1), "formula")
  fails(fit(d, y ~ x + w | w), "formula")
  fails(fit(d, y ~ w | w + z1), "formula")
  fails(fit(d, y ~ w | x | z1 | z2), "formula")
  fails(fit(d, y ~ w | x | x), "formula")
  fails(fit(d, y ~ x + 0 | z1), "formula")
  fails(fit(d, y ~ x + missing_one | z1), "formula")
  fails(fit(d, y ~ x + offset(w) | z1), "formula")
})

test_that("designs that identify nothing", {
  d <- good()
  fails(fit(changed(x = 5)), "collinear")
  fails(fit(changed(x = 1 + 2 * d$w)), "collinear")
  fails(fit(transform(d, x2 = x), y ~ x + x2 | z1 + z2), "collinear")
  fails(fit(transform(d, x2 = z1 + w), y ~ x + x2 + w | z1 + w), "underidentified")
  fails(suppressMessages(fit(changed(z1 = 1, z2 = d$w))), "underidentified")
})

test_that("values at the edge of double precision", {
  d <- good()
  fails(fit(changed(y = d$y * 1e300, x = d$x * 1e300)), "numeric")
  tiny <- fit(changed(x = d$x * 1e-120))
  expect_equal(coef(tiny)[["x"]] * 1e-120, coef(fit(d))[["x"]], tolerance = 1e-8)
})

test_that("messages name the argument, the rule and what came", {
  d <- good()
  expect_snapshot(error = TRUE, {
    fit(changed(x = 5))
    fit(changed(y = factor(rep(c("no", "yes"), 30))))
    fit(d, y ~ x)
    fit(d, vcov = "HC9")
    fit(d, cluster = rep(1, 60))
    fit(d[1:4, ])
    iv_2sls(y = d$y, x = d$x[-1], z = d$z1)
    iv_fit("2sls", y ~ x | z1, data = d, instrument = 1)
    fit(transform(d, x2 = z1 + w), y ~ x + x2 + w | z1 + w)
  })
})
