simulate_iv <- function(n = 500, seed = 1) {
  set.seed(seed)
  z <- matrix(rnorm(n * 3), n)
  w <- matrix(rnorm(n * 2), n, dimnames = list(NULL, c("age", "pc")))
  u <- rnorm(n)
  x <- drop(z %*% c(0.5, 0.3, 0.2)) + w[, 1] + u + rnorm(n)
  list(y = 0.3 * x + u + w[, 2] + rnorm(n), x = x, z = z, w = w)
}

test_that("one instrument: the Wald ratio, and its delta-method standard error", {
  s <- simulate_iv()
  fit <- iv_2sls(y = s$y, x = s$x, z = s$z[, 1])
  ratio <- cov(s$z[, 1], s$y) / cov(s$z[, 1], s$x)
  expect_equal(coef(fit)[["x"]], ratio, tolerance = 1e-12)
  u <- s$y - mean(s$y) - ratio * (s$x - mean(s$x))
  z <- s$z[, 1] - mean(s$z[, 1])
  se <- sqrt(sum(u^2) / (500 - 2) * sum(z^2)) / abs(sum(z * s$x))
  expect_equal(sqrt(vcov(fit)["x", "x"]), se, tolerance = 1e-12)
  expect_true(is.na(diagnostics(fit)$statistic[diagnostics(fit)$diagnostic == "Sargan"]))
})

test_that("instruments that are the exposures give OLS, and OLS equals lm", {
  s <- simulate_iv()
  ols <- iv_ols(y = s$y, x = s$x, w = s$w)
  reference <- lm(s$y ~ s$x + s$w)
  expect_equal(unname(coef(ols)), unname(coef(reference)), tolerance = 1e-12)
  expect_equal(unname(vcov(ols)), unname(vcov(reference)), tolerance = 1e-10)
  expect_equal(unname(residuals(ols)), unname(residuals(reference)), tolerance = 1e-10)
  itself <- iv_2sls(y = s$y, x = s$x, z = s$x, w = s$w)
  expect_equal(coef(itself), coef(ols), tolerance = 1e-10)
  expect_identical(nrow(diagnostics(ols)), 0L)
})

test_that("threads, row order and instruction sets do not matter", {
  s <- simulate_iv(3000)
  one <- iv_2sls(y = s$y, x = s$x, z = s$z, w = s$w, vcov = "HC1", n_threads = 1)
  two <- iv_2sls(y = s$y, x = s$x, z = s$z, w = s$w, vcov = "HC1", n_threads = 2)
  expect_identical(coef(one), coef(two))
  expect_identical(vcov(one), vcov(two))
  expect_identical(diagnostics(one), diagnostics(two))
  at <- sample(3000)
  shuffled <- iv_2sls(y = s$y[at], x = s$x[at], z = s$z[at, ], w = s$w[at, ], vcov = "HC1")
  expect_equal(coef(shuffled), coef(one), tolerance = 1e-11)
  expect_equal(residuals(shuffled)[order(at)], residuals(one), tolerance = 1e-9,
    ignore_attr = TRUE)
  for (isa in c("portable", "avx2")) {
    withr::local_options(mrlearn.isa = isa)
    other <- iv_2sls(y = s$y, x = s$x, z = s$z, w = s$w, vcov = "HC1")
    expect_equal(coef(other), coef(one), tolerance = 1e-12)
    expect_equal(vcov(other), vcov(one), tolerance = 1e-10)
  }
})

test_that("units and origins only change units", {
  s <- simulate_iv()
  fit <- iv_2sls(y = s$y, x = s$x, z = s$z, w = s$w)
  moved <- iv_2sls(y = 1e6 + 10 * s$y, x = 1e4 + 1e-3 * s$x, z = 5 + 100 * s$z, w = s$w * 1e5)
  expect_equal(coef(moved)[["x"]], coef(fit)[["x"]] * 1e4, tolerance = 1e-7)
  expect_equal(diagnostics(moved)$statistic, diagnostics(fit)$statistic, tolerance = 1e-7)
  for (type in c("HC0", "HC3")) {
    a <- iv_2sls(y = s$y, x = s$x, z = s$z, w = s$w, vcov = type)
    b <- iv_2sls(y = 10 * s$y, x = 4 + s$x, z = s$z, w = s$w, vcov = type)
    expect_equal(vcov(b)["x", "x"], 100 * vcov(a)["x", "x"], tolerance = 1e-9)
  }
})

test_that("integer weights count rows, weight 0 leaves them out", {
  s <- simulate_iv(300)
  k <- sample(0:3, 300, TRUE)
  weighted <- suppressMessages(iv_2sls(y = s$y, x = s$x, z = s$z, w = s$w, weights = k))
  at <- rep(seq_along(k), k)
  repeated <- iv_2sls(y = s$y[at], x = s$x[at], z = s$z[at, ], w = s$w[at, ])
  expect_equal(coef(weighted), coef(repeated), tolerance = 1e-11)
  expect_identical(nobs(weighted), sum(k > 0))
  expect_output(print(weighted), "weight 0")
})

test_that("a cluster per row is HC1 but for its factor", {
  s <- simulate_iv(200)
  single <- iv_2sls(y = s$y, x = s$x, z = s$z, w = s$w, cluster = seq_len(200))
  hc0 <- iv_2sls(y = s$y, x = s$x, z = s$z, w = s$w, vcov = "HC0")
  expect_equal(vcov(single), vcov(hc0) * (200 / 199) * (199 / (200 - 4)), tolerance = 1e-11)
})

test_that("hostile scale: a covariate far from zero costs no digits", {
  s <- simulate_iv(1000)
  year <- 1e6 + seq_len(1000) / 100
  w <- cbind(year = year, year2 = (year - 1e6)^2)
  fit <- iv_2sls(y = s$y, x = s$x, z = s$z, w = w)
  centred <- w - rep(colMeans(w), each = 1000)
  reference <- iv_2sls(y = s$y, x = s$x, z = s$z, w = centred)
  expect_equal(coef(fit)[["x"]], coef(reference)[["x"]], tolerance = 1e-10)
})

test_that("collinear instruments and covariates are left out and told", {
  s <- simulate_iv()
  z <- cbind(s$z, s$z[, 1] + s$z[, 2], 7)
  expect_message(fit <- iv_2sls(y = s$y, x = s$x, z = z), "`z4`, `z5`",
    class = "mrlearn_message_collinear")
  clean <- iv_2sls(y = s$y, x = s$x, z = s$z)
  expect_equal(coef(fit), coef(clean), tolerance = 1e-10)
  expect_equal(diagnostics(fit), diagnostics(clean), tolerance = 1e-9)
  expect_message(twice <- iv_2sls(y = s$y, x = s$x, z = s$z, w = cbind(a = s$w[, 1], b = s$w[, 1])),
    "covariates `b`")
  expect_identical(names(coef(twice)), c("(Intercept)", "x", "a"))
})

test_that("intervals of a strong design cover", {
  # 400 replicates, true coverage .95: standard error .011; four of them.
  inside <- vapply(seq_len(400), function(i) {
    s <- simulate_iv(200, seed = i)
    ci <- confint(iv_2sls(y = s$y, x = s$x, z = s$z, w = s$w))["x", ]
    ci[[1]] < 0.3 && 0.3 < ci[[2]]
  }, NA)
  expect_lt(abs(mean(inside) - 0.95), 4 * sqrt(0.95 * 0.05 / 400))
})

test_that("fits print as they should", {
  s <- simulate_iv()
  expect_snapshot(print(iv_2sls(y = s$y, x = s$x, z = s$z, w = s$w), digits = 3))
  expect_snapshot(print(summary(iv_2sls(y = s$y, x = s$x, z = s$z, vcov = "HC1")), digits = 3))
  expect_snapshot(print(iv_ols(y = s$y, x = s$x), digits = 3))
})

test_that("tidy, glance, augment and confint agree with the fit", {
  s <- simulate_iv()
  fit <- iv_2sls(y = s$y, x = s$x, z = s$z, w = s$w, vcov = "HC1")
  t <- tidy(fit, conf.int = TRUE, conf.level = 0.9)
  expect_identical(names(t), c("term", "estimate", "std.error", "statistic", "p.value", "conf.low",
    "conf.high"))
  expect_equal(t$conf.low, unname(confint(fit, level = 0.9)[, 1]))
  expect_identical(tidy(fit, exposures_only = TRUE)$term, "x")
  g <- glance(fit)
  expect_identical(nrow(g), 1L)
  d <- diagnostics(fit)
  expect_identical(g$statistic.effective.F, d$statistic[d$diagnostic == "Effective F"])
  a <- augment(fit)
  expect_equal(a$.fitted + a$.resid, s$y)
  expect_error(tidy(fit, conf.inf = TRUE), class = "mrlearn_error_argument")
  expect_error(confint(fit, "z"), class = "mrlearn_error_argument")
})

test_that("nearly collinear columns keep the accuracy of a QR decomposition", {
  # Crossproducts alone lose 2 log10(condition) digits: 1e-5 apart they would leave about five.
  set.seed(7)
  n <- 2000
  z <- rnorm(n)
  u <- rnorm(n)
  x <- z + 0.5 * u + rnorm(n)
  y <- 0.3 * x + u + rnorm(n)
  for (gap in c(1e-3, 1e-5)) {
    z2 <- cbind(z, z + gap * rnorm(n))
    first <- qr(cbind(1, z2), tol = 1e-14)
    second <- qr(cbind(1, qr.fitted(first, x)))
    b <- qr.coef(second, y)
    sigma2 <- sum((y - cbind(1, x) %*% b)^2) / (n - 2)
    fit <- iv_2sls(y = y, x = x, z = z2)
    expect_equal(unname(coef(fit)), unname(b), tolerance = 1e-10)
    expect_equal(unname(diag(vcov(fit))), sigma2 * diag(chol2inv(qr.R(second))), tolerance = 1e-10)
  }
  age <- runif(n, 20, 80)
  y <- y + 1e-3 * age^2
  ours <- iv_ols(y ~ x + age + I(age^2) + I(age^3) + I(age^4))
  theirs <- lm(y ~ x + age + I(age^2) + I(age^3) + I(age^4), tol = 1e-14)
  expect_equal(coef(ours), coef(theirs), tolerance = 1e-9)
  expect_equal(diag(vcov(ours)), diag(vcov(theirs)), tolerance = 1e-9)
})

test_that("clusters and weights are found where the call was made", {
  fit_inside <- function() {
    s <- simulate_iv(200)
    d <- data.frame(y = s$y, x = s$x, group = rep(1:20, 10))
    d$z <- s$z
    f <- y ~ x | z
    environment(f) <- globalenv()
    iv_2sls(f, data = d, cluster = d$group, weights = d$group, subset = d$group > 3)
  }
  expect_identical(fit_inside()$n_cluster, 17L)
})
