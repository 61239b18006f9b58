# Data at the edge of arithmetic: columns of very different size, large means, nearly equal
# instruments, few rows, rare alleles, separated outcomes, ties.

# Two-stage least squares by QR of centred columns of unit length: stable, slow, in plain R.
slow_2sls <- function(y, x, z) {
  unit <- function(v) {
    v <- scale(as.matrix(v), scale = FALSE)
    lengths <- sqrt(colSums(v^2))
    list(v = sweep(v, 2, lengths, "/"), lengths = lengths)
  }
  y <- unit(y)
  x <- unit(x)
  hat <- qr.fitted(qr(unit(z)$v), x$v)
  b <- qr.coef(qr(hat), y$v)
  rest <- y$v - x$v %*% b
  s2 <- sum(rest^2) / (nrow(x$v) - ncol(x$v) - 1)
  se <- sqrt(diag(s2 * chol2inv(qr.R(qr(hat)))))
  list(coef = drop(b) * y$lengths / x$lengths, se = se * y$lengths / x$lengths)
}

edge_data <- function(n = 200, seed = 1) {
  set.seed(seed)
  z <- matrix(stats::rnorm(3 * n), n)
  u <- stats::rnorm(n)
  x <- drop(z %*% c(1, 0.5, -0.5)) + u + stats::rnorm(n)
  list(y = 0.3 * x + u + stats::rnorm(n), x = x, z = z, w = stats::rnorm(n))
}

se_of <- function(fit) sqrt(vcov(fit)["x", "x"])

# Estimates and errors are compared relative to their own size throughout.
test_that("estimates scale as their columns do, from 1e-8 to 1e8", {
  d <- edge_data()
  fitters <- list(
    iv_2sls = function(y, x, z, w) iv_2sls(y = y, x = x, z = z, w = w, vcov = "HC1"),
    iv_liml = function(y, x, z, w) iv_liml(y = y, x = x, z = z, w = w),
    iv_jive = function(y, x, z, w) iv_jive(y = y, x = x, z = z, w = w),
    iv_ols = function(y, x, z, w) iv_ols(y = y, x = x, w = w),
    iv_lasso = function(y, x, z, w) iv_lasso(y = y, x = x, z = z, w = w, seed = 1),
    iv_control_function = function(y, x, z, w) iv_control_function(y = y, x = x, z = z, w = w)
  )
  scales <- list(c(1e8, 1, 1, 1), c(1e-8, 1, 1, 1), c(1, 1e8, 1, 1), c(1, 1e-8, 1, 1),
    c(1, 1, 1e8, 1), c(1, 1, 1e-8, 1), c(1, 1, 1, 1e8), c(1, 1, 1, 1e-8), c(1e-8, 1e8, 1e-8, 1e8))
  for (name in names(fitters)) {
    base <- fitters[[name]](d$y, d$x, d$z, d$w)
    for (s in scales) {
      fit <- fitters[[name]](d$y * s[1], d$x * s[2], d$z * s[3], d$w * s[4])
      # all digits but those that a condition number of 10 and coordinate descent (1e-7) take
      tolerance <- if (name == "iv_lasso") 1e-5 else 1e-9
      expect_equal(coef(fit)[["x"]] * s[2] / s[1], coef(base)[["x"]], tolerance = tolerance,
        label = paste(name, paste(s, collapse = " ")))
      expect_equal(se_of(fit) * s[2] / s[1], se_of(base), tolerance = tolerance)
    }
  }
})

test_that("one instrument in units of its own changes nothing", {
  d <- edge_data()
  base <- iv_2sls(y = d$y, x = d$x, z = d$z)
  fit <- iv_2sls(y = d$y, x = d$x, z = sweep(d$z, 2, c(1e-8, 1, 1e8), "*"))
  expect_equal(coef(fit), coef(base), tolerance = 1e-9)
  expect_equal(vcov(fit), vcov(base), tolerance = 1e-9)
})

test_that("a mean of 1e8 costs the digits that the data have lost, and no more", {
  d <- edge_data()
  for (shift in c(1e4, 1e8)) {
    moved <- list(y = d$y + shift, x = d$x - shift, z = d$z + shift)
    fit <- iv_2sls(y = moved$y, x = moved$x, z = moved$z)
    slow <- slow_2sls(moved$y, moved$x, moved$z)
    # numbers near 1e8 are known to 1e-8; the same rounded data go into both
    expect_equal(coef(fit)[["x"]], slow$coef, tolerance = 1e-9, ignore_attr = TRUE)
    expect_equal(se_of(fit), slow$se, tolerance = 1e-9, ignore_attr = TRUE)
    expect_equal(coef(fit)[["x"]], coef(iv_2sls(y = d$y, x = d$x, z = d$z))[["x"]],
      tolerance = shift * 1e-14)
  }
  # variances themselves: of 1e8 + (-1, 0, 1) they are exact
  x <- 1e8 + rep(c(-1, 0, 1), 20)
  y <- 1e8 + 2 * rep(c(-1, 0, 1), 20) + rep(c(0.5, -0.5), 30)
  fit <- iv_ols(y = y, x = x)
  expect_equal(coef(fit)[["x"]], 2 + sum((x - 1e8) * rep(c(0.5, -0.5), 30)) / 40,
    tolerance = 1e-12)
})

test_that("instruments with r2 = 0.999 and more agree with QR, or are told to be one", {
  d <- edge_data()
  for (gap in c(0.03, 1e-3, 1e-5)) { # r2 of 0.999, 1 - 1e-6, 1 - 1e-10
    z <- cbind(d$z, d$z[, 1] + gap * d$w)
    fit <- iv_2sls(y = d$y, x = d$x, z = z)
    slow <- slow_2sls(d$y, d$x, z)
    # the fitted exposure is well determined though its coefficients are not: the loss is of first
    # order in 1 / gap
    expect_equal(coef(fit)[["x"]], slow$coef, tolerance = 1e-12 / gap, ignore_attr = TRUE)
    expect_equal(se_of(fit), slow$se, tolerance = 1e-12 / gap, ignore_attr = TRUE)
    expect_equal(coef(iv_liml(y = d$y, x = d$x, z = z))[["x"]],
      coef(iv_liml(y = d$y, x = d$x, z = cbind(d$z, d$w)))[["x"]], tolerance = 1e-11 / gap)
  }
  expect_message(twice <- iv_2sls(y = d$y, x = d$x, z = cbind(d$z, d$z[, 1])), "Collinear",
    class = "mrlearn_message")
  expect_equal(coef(twice), coef(iv_2sls(y = d$y, x = d$x, z = d$z)), tolerance = 1e-12)
})

test_that("summary data in strong disequilibrium agree with a whitened regression", {
  l <- 10
  ld <- 0.999^abs(outer(1:l, 1:l, "-"))
  root <- t(chol(ld))
  set.seed(4)
  b <- drop(ld %*% c(0.1, rep(0, l - 2), -0.05))
  dat <- mr_data(b, rep(0.01, l), 0.3 * b + 0.01 * drop(root %*% stats::rnorm(l)), rep(0.01, l))
  fit <- mr_correlated(dat, ld, "mr_ivw")
  x <- forwardsolve(root, b)
  slope <- sum(x * forwardsolve(root, dat$beta.outcome)) / sum(x^2)
  expect_equal(fit$b[1], slope, tolerance = 1e-8) # the condition of ld is 1e4
})

test_that("few rows give what lm() gives, or are refused", {
  for (n in 3:6) {
    d <- edge_data(n, seed = n)
    fit <- iv_2sls(y = d$y, x = d$x, z = d$z[, 1])
    wald <- stats::cov(d$z[, 1], d$y) / stats::cov(d$z[, 1], d$x)
    expect_equal(coef(fit)[["x"]], wald, tolerance = 1e-10)
    plain <- stats::lm(y ~ x, d)
    ours <- iv_ols(y = d$y, x = d$x)
    expect_equal(coef(ours)[["x"]], coef(plain)[["x"]], tolerance = 1e-12)
    expect_equal(se_of(ours), sqrt(diag(stats::vcov(plain)))[["x"]], tolerance = 1e-12)
  }
  d <- edge_data(2)
  expect_error(iv_2sls(y = d$y, x = d$x, z = d$z[, 1]), class = "mrlearn_error")
  expect_error(iv_2sls(y = 1, x = 1, z = 1), class = "mrlearn_error")
})

test_that("rare alleles have the association of lm(), and none where nobody differs", {
  set.seed(6)
  n <- 2000
  y <- stats::rnorm(n)
  once <- replace(numeric(n), 7, 1)
  twice <- replace(numeric(n), c(7, 9), 1:2)
  nobody <- numeric(n)
  g <- cbind(once, twice, nobody, everybody = 2 - once)
  found <- snp_associations(g, data.frame(y), "y")
  plain <- function(column) summary(stats::lm(y ~ column))$coefficients[2, ]
  for (name in c("once", "twice", "everybody")) {
    row <- found[found$SNP == name, ]
    expect_equal(unlist(row[c("beta", "se", "pval")]), plain(g[, name])[c(1, 2, 4)],
      tolerance = 1e-10, ignore_attr = TRUE)
  }
  expect_true(is.na(found$beta[3]) && !is.na(found$reason[3]))
  packed <- snp_associations(bed(write_bed(g, withr::local_tempfile())), data.frame(y), "y")
  expect_equal(packed[c("beta", "se", "pval")], found[c("beta", "se", "pval")], tolerance = 1e-12)
})

test_that("outcomes that are told apart altogether are told, not estimated", {
  d <- edge_data()
  y <- as.numeric(d$x > 0)
  out <- snp_associations(cbind(rs = as.numeric(d$z[, 1] > 0)),
    data.frame(y = as.numeric(d$z[, 1] > 0)), "y", family = "logistic")
  expect_true(is.na(out$beta) && !is.na(out$reason))
  expect_error(iv_control_function(y = y, x = d$x, z = d$z, family = "binomial"),
    class = "mrlearn_error_separated")
})

test_that("ties in ranks and quantiles are no trouble", {
  d <- edge_data(400)
  x <- round(d$x) # ten values
  z <- as.numeric(d$z[, 1] > 0) # two
  rank <- function() iv_doubly_ranked(y = d$y, x = x, z = z, n_strata = 5, seed = 1)$lace
  expect_true(all(is.finite(rank()$estimate)))
  expect_identical(rank(), rank())
  # half of the scores are equal: the margin is the value at its rank
  flat <- data.frame(y = rep(c(0, 1, 2, 5), each = 25), x = 0)
  found <- conformal(function(d) rep(0, nrow(d)), flat, outcome = "y", conf_level = 0.7)
  at <- predict(found, flat[1, ])
  expect_identical(unname(unlist(at[c("lower", "upper")])), c(-2, 2))
  # a median of tied ratios
  dat <- mr_data(rep(1, 5), rep(0.1, 5), c(1, 1, 1, 2, 3), rep(0.1, 5))
  expect_equal(mr_estimate(dat, "mr_simple_median", n_boot = 100, seed = 1)$b, 1, tolerance = 1e-12)
})

test_that("summary estimates scale with their effects", {
  dat <- lipid_chd[lipid_chd$exposure == "LDL", ]
  scaled <- function(a, b) {
    out <- dat
    out[c("beta.exposure", "se.exposure")] <- a * out[c("beta.exposure", "se.exposure")]
    out[c("beta.outcome", "se.outcome")] <- b * out[c("beta.outcome", "se.outcome")]
    out
  }
  methods <- c("mr_ivw", "mr_egger_regression", "mr_weighted_median", "mr_simple_median", "mr_divw")
  base <- mr_estimate(dat, methods, n_boot = 200, seed = 1)
  for (s in list(c(1e-8, 1), c(1e8, 1), c(1, 1e-8), c(1, 1e8), c(1e8, 1e-8))) {
    now <- mr_estimate(scaled(s[1], s[2]), methods, n_boot = 200, seed = 1)
    expect_equal(now$b * s[1] / s[2], base$b, tolerance = 1e-9)
    expect_equal(now$se * s[1] / s[2], base$se, tolerance = 1e-9)
    expect_equal(now$pval, base$pval, tolerance = 1e-7)
  }
})

test_that("heterogeneity is exact where effects are large and differ little", {
  # around 1e8 by (-1, 0, 1): Q is 2, exactly
  out <- meta_random(1e8 + c(-1, 0, 1), rep(1, 3), "DL")
  expect_equal(out$q, 2, tolerance = 1e-12)
  expect_identical(out$estimate, 1e8)
  expect_equal(meta_random(1e8 + c(-10, 0, 10), rep(1, 3), "DL")$tau2, 99, tolerance = 1e-12)
})
