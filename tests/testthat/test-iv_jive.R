# Leave-one-out predictions by dropping rows in turn.
oracle_jive1 <- function(x, c_all) {
  vapply(seq_along(x), function(i) {
    sum(c_all[i, ] * qr.coef(qr(c_all[-i, , drop = FALSE]), x[-i]))
  }, 0)
}

test_that("jackknife predictions: as leaving rows out one by one", {
  d <- iv_two_exposures(80)
  z <- as.matrix(d[paste0("z", 1:4)])
  w <- cbind(1, d$w)
  x <- d$x1
  h <- rowSums(qr.Q(qr(cbind(w, z)))^2)
  own <- list(
    JIVE1 = oracle_jive1(x, cbind(w, z)),
    JIVE2 = (qr.fitted(qr(cbind(w, z)), x - mean(x)) - h * (x - mean(x))) / (1 - 1 / 80),
    UJIVE = oracle_jive1(x, cbind(w, z)) - oracle_jive1(x, w),
    IJIVE = oracle_jive1(weak_left(x, d$w)[, 1], weak_left(z, d$w))
  )
  for (type in names(own)) {
    x_hat <- own[[type]]
    fit <- iv_jive(y ~ x1 + w | z1 + z2 + z3 + z4 + w, d, type = type, vcov = "HC0")
    # Just identified by x_hat: the ratio of its covariances, covariates taken out.
    left <- weak_left(x_hat, d$w)
    b <- sum(left * d$y) / sum(left * x)
    expect_equal(coef(fit)[["x1"]], b, tolerance = 1e-8)
    e <- residuals(fit)
    expect_equal(vcov(fit)["x1", "x1"], sum(left^2 * e^2) / sum(left * x)^2, tolerance = 1e-8)
    moved <- transform(d, y = y + 1000 + 3 * w, x1 = x1 + 50)
    again <- iv_jive(y ~ x1 + w | z1 + z2 + z3 + z4 + w, moved, type = type)
    expect_equal(coef(again)[["x1"]], b, tolerance = 1e-7)
  }
})

test_that("weights count rows, several exposures and clusters work, threads do not matter", {
  d <- iv_two_exposures(200)
  f <- y ~ x1 + x2 + w | z1 + z2 + z3 + z4 + w
  one <- iv_jive(f, d, type = "JIVE1", n_threads = 1)
  expect_identical(coef(one), coef(iv_jive(f, d, type = "JIVE1", n_threads = 2)))
  expect_equal(coef(iv_jive(f, transform(d, v = 7), type = "JIVE1", weights = v)), coef(one),
    tolerance = 1e-9)
  by_group <- iv_jive(f, d, cluster = ~cluster)
  expect_equal(by_group$vcov_type, "cluster")
  expect_equal(by_group$diagnostics, iv_2sls(f, d, cluster = ~cluster)$diagnostics)
  expect_output(print(by_group), "UJIVE: effect of x1, x2 on y")
  expect_s3_class(by_group, c("iv_jive", "iv_fit"), exact = TRUE)
})

test_that("many weak instruments: hardly biased where 2SLS keeps half of the bias", {
  # 60 instruments of concentration 60: F = 2.
  set.seed(51)
  r <- replicate(200, {
    z <- matrix(rnorm(500 * 60), 500)
    v <- rnorm(500)
    x <- drop(z %*% rep(sqrt(60 / 500 / 60), 60)) + v
    y <- 0.6 * v + 0.8 * rnorm(500)
    c(coef(iv_jive(y = y, x = x, z = z, n_threads = 1))[["x"]],
      coef(iv_2sls(y = y, x = x, z = z, n_threads = 1))[["x"]])
  })
  expect_lt(abs(median(r[1, ])), 4 * 1.2533 * mad(r[1, ]) / sqrt(200))
  # Half of the bias of OLS (0.6 / 1.12), less 4 standard errors.
  expect_gt(median(r[2, ]), 0.25 - 4 * 1.2533 * mad(r[2, ]) / sqrt(200))
})

test_that("bad input of jackknife estimators", {
  d <- iv_two_exposures(80)
  expect_error(iv_jive(y ~ x1 | z1, d, type = "JIVE3"), class = "mrlearn_error_argument")
  expect_error(iv_jive(y ~ x1 + x2 | z1, d), class = "mrlearn_error_underidentified")
  d$alone <- as.numeric(seq_len(80) == 5)
  expect_error(iv_jive(y ~ x1 + alone | z1 + z2 + alone, d), "leverage 1",
    class = "mrlearn_error_data")
})
