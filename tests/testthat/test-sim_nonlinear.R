test_that("the data.frame has outcome, exposure and genotypes, all doubles", {
  sim <- sim_nonlinear(n = 50, n_variants = 12, seed = 1)
  expect_s3_class(sim, c("mr_sim", "data.frame"), exact = TRUE)
  expect_named(sim, c("Y", "X", paste0("G", 0:11)))
  expect_true(all(vapply(sim, is.double, NA)))
  expect_identical(truth(sim)$instruments, paste0("G", 0:11))
  expect_true(all(as.matrix(as.data.frame(sim)[truth(sim)$instruments]) %in% 0:2))
})

curves <- list(
  quadratic = function(x) 0.3 * (x + 2) * (x - 1) + 1, linear = function(x) 0.3 * x, sine = sin,
  threshold = function(x) ifelse(x > 0.6, x - 0.6, 0),
  J = function(x) exp((x + 0.5) / 2) - 1 - (x + 0.5) / 2
)

test_that("X and Y are rebuilt from the truth", {
  # Sums of some 20 terms of order 1, in another order: 1e-12 leaves a factor of 100.
  for (name in names(curves)) {
    sim <- sim_nonlinear(n = 5000, f = name, h2 = 0.3, beta_ux = -0.5, beta_uy = 0.4, seed = 2)
    t <- truth(sim)
    g <- sweep(as.matrix(as.data.frame(sim)[t$instruments]), 2, 2 * t$mafs)
    x <- drop(g %*% t$pi) - 0.5 * t$U + t$noise_x
    expect_equal(sim$X, x, tolerance = 1e-12)
    expect_equal(sim$Y, curves[[name]](x) + 0.4 * t$U + t$noise_y, tolerance = 1e-12)
    at <- seq(-4, 4.4, by = 0.1)
    expect_equal(t$curve(at), curves[[name]](at), tolerance = 1e-12)
    expect_identical(t$f, name)
  }
})

test_that("slopes are the derivatives of the curves", {
  # Central differences with steps of 1e-5: errors below 1e-9, away from the kink at .6.
  at <- setdiff(seq(-4, 4, by = 0.25), 0.5) + 0.01
  for (name in names(curves)) {
    sim <- sim_nonlinear(n = 10, f = name, seed = 1)
    t <- truth(sim)
    expect_equal(t$slope(at), (t$curve(at + 1e-5) - t$curve(at - 1e-5)) / 2e-5, tolerance = 1e-8)
    expect_identical(t$beta, t$slope(sim$X))
  }
  own <- truth(sim_nonlinear(n = 10, f = function(x) x^3, seed = 1))
  expect_equal(own$slope(at), 3 * at^2, tolerance = 1e-8)
  expect_identical(own$f, "function")
})

test_that("a function serves as well as its name", {
  named <- sim_nonlinear(n = 500, f = "quadratic", seed = 3)
  expect_identical(sim_nonlinear(n = 500, seed = 3)$Y, named$Y)
  expect_equal(sim_nonlinear(n = 500, f = curves$quadratic, seed = 3)$Y, named$Y, tolerance = 1e-14)
})

test_that("variables have the laws of the poster", {
  # 4 standard errors: of a mean 1/sqrt(n), of a variance sqrt(2/n), of a share of variance
  # 2 sqrt(h2 (1 - h2)) ... below 2/sqrt(n), of a correlation 1/sqrt(n).
  n <- 1e5
  sim <- sim_nonlinear(n = n, seed = 4)
  t <- truth(sim)
  expect_lt(abs(mean(sim$X)), 4 / sqrt(n))
  expect_lt(abs(stats::var(sim$X) - 1), 4 * sqrt(2 / n))
  expect_lt(abs(stats::var(t$noise_x) - (1 - 0.5 - 0.35^2)), 4 * sqrt(2 / n))
  score <- drop(as.matrix(as.data.frame(sim)[t$instruments]) %*% t$pi)
  expect_lt(abs(stats::var(score) - 0.5), 4 * 0.5 * sqrt(2 / n))
  expect_lt(abs(stats::cor(sim$X, t$U) - 0.35), 4 / sqrt(n))
  drawn <- cbind(t$U, t$noise_x, t$noise_y, as.matrix(as.data.frame(sim)[t$instruments]))
  r <- stats::cor(drawn)
  # 23 x 22 / 2 correlations: 4.8 SD is passed by the largest with probability 4e-4.
  expect_lt(max(abs(r[upper.tri(r)])), 4.8 / sqrt(n))
  for (g in t$instruments[1:3]) {
    p <- stats::dbinom(0:2, 2, t$mafs[match(g, t$instruments)])
    expect_gt(stats::chisq.test(tabulate(sim[[g]] + 1, 3), p = p)$p.value, 1e-4)
  }
})

test_that("variants share the heritability as Dirichlet(1, ..., 1)", {
  sim <- sim_nonlinear(n = 2, n_variants = 2000, h2 = 0.4, maf = c(0.1, 0.3), seed = 5)
  t <- truth(sim)
  expect_equal(sum(t$share), 1)
  expect_equal(sum(t$pi^2 * 2 * t$mafs * (1 - t$mafs)), 0.4)
  # One of L shares is Beta(1, L - 1); 2000 of them are nearly independent.
  expect_gt(stats::ks.test(t$share, "pbeta", 1, 1999)$p.value, 1e-4)
  expect_gt(stats::ks.test(t$mafs, "punif", 0.1, 0.3)$p.value, 1e-4)
  expect_true(all(t$pi > 0))
})

test_that("the curve is the mean outcome under an intervention", {
  # Setting X by hand: the mean of the rest has an SE of SD(rest) / sqrt(n).
  sim <- sim_nonlinear(n = 1e5, seed = 6)
  t <- truth(sim)
  rest <- sim$Y - t$curve(sim$X)
  expect_lt(abs(mean(rest)), 4 * stats::sd(rest) / sqrt(1e5))
  expect_identical(t$curve(0), 0.4)
})

test_that("least squares is confounded as derived, instruments are not", {
  # plim OLS of the linear curve: .3 + beta_ux beta_uy / Var X = .055. SE below 1.3 / sqrt(n); of
  # 2SLS below 1.3 / sqrt(n h2).
  n <- 1e5
  sim <- with_score(sim_nonlinear(n = n, f = "linear", seed = 7))
  ols <- coef(iv_ols(Y ~ X, data = sim))[["X"]]
  iv <- coef(iv_2sls(Y ~ X | score, data = sim))[["X"]]
  expect_lt(abs(ols - (0.3 - 0.35 * 0.7)), 4 * 1.3 / sqrt(n))
  expect_lt(abs(iv - 0.3), 4 * 1.3 / sqrt(n / 2))
})

test_that("the right polynomial reaches the error of an oracle", {
  # The mean squared error over the range at n = 1e5 has been measured as about .001 for a control
  # function; its size is set by the variance of c2 x^2 at the ends, so it varies severalfold
  # from data to data.
  errors <- vapply(1:5, function(seed) {
    sim <- with_score(sim_nonlinear(n = 1e5, seed = seed))
    evaluate(iv_2sls(Y ~ X + I(X^2) | score + I(score^2), data = sim), sim)$mse
  }, 0)
  expect_lt(stats::median(errors), 0.005)
})

test_that("the number of threads changes nothing and more people keep the first ones", {
  draw <- function(n_threads) {
    sim <- sim_nonlinear(n = 20000, n_variants = 70, seed = 8, n_threads = n_threads)
    c(unclass(as.data.frame(sim)), truth(sim)[c("pi", "share", "mafs", "U", "noise_x", "noise_y")])
  }
  expect_identical(draw(1), draw(2))
  small <- sim_nonlinear(n = 5000, seed = 9)
  large <- sim_nonlinear(n = 9000, seed = 9)
  expect_identical(as.data.frame(small), as.data.frame(large)[1:5000, ])
})

test_that("a seed leaves R's generator alone and none takes one from it", {
  set.seed(1)
  before <- .Random.seed
  a <- sim_nonlinear(n = 10, seed = 8)
  expect_identical(.Random.seed, before)
  expect_false(identical(sim_nonlinear(n = 10, seed = 9)$Y, a$Y))
  b <- sim_nonlinear(n = 10)
  expect_false(identical(.Random.seed, before))
  set.seed(1)
  expect_identical(sim_nonlinear(n = 10)$Y, b$Y)
  expect_identical(sim_nonlinear(n = 10, seed = truth(b)$seed)$Y, b$Y)
})

test_that("the truth is saved and does not hold on to the data", {
  sim <- sim_nonlinear(n = 1e4, seed = 10)
  expect_lt(length(serialize(truth(sim)$curve, NULL)), 10000)
  file <- withr::local_tempfile()
  saveRDS(sim, file)
  expect_equal(truth(readRDS(file))$curve(1:3), truth(sim)$curve(1:3))
})

test_that("the smallest data and the largest shares are possible", {
  one <- sim_nonlinear(n = 1, n_variants = 1, h2 = 0, beta_ux = 0, seed = 1)
  expect_identical(truth(one)$pi, 0)
  expect_identical(one$X, truth(one)$noise_x)
  all_h2 <- sim_nonlinear(n = 1000, h2 = 0.99, beta_ux = 0, seed = 1)
  expect_lt(stats::sd(truth(all_h2)$noise_x), 0.2)
})

test_that("arguments are checked", {
  expect_error(sim_nonlinear(h2 = 0.8, beta_ux = 0.5), class = "mrlearn_error_argument")
  expect_error(sim_nonlinear(n = 50, beta_uy = 1.7e308, seed = 1), class = "mrlearn_error_numeric")
  expect_snapshot(error = TRUE, {
    sim_nonlinear(n = 0)
    sim_nonlinear(n_variants = 1.5)
    sim_nonlinear(h2 = -0.1)
    sim_nonlinear(h2 = 0.8, beta_ux = 0.5)
    sim_nonlinear(h2 = 1, beta_ux = 0)
    sim_nonlinear(beta_ux = NA)
    sim_nonlinear(beta_uy = Inf)
    sim_nonlinear(f = "cubic")
    sim_nonlinear(f = c("sine", "J"))
    sim_nonlinear(f = 3)
    sim_nonlinear(n = 50, f = function(x) 1)
    sim_nonlinear(n = 50, f = function(x) "a")
    sim_nonlinear(n = 50, f = function(x) x / 0)
    sim_nonlinear(n = 50, f = function(x) rep(1.79e308, length(x)), beta_uy = 1e307)
    sim_nonlinear(maf = c(0, 0.5))
    sim_nonlinear(seed = 1.5)
    sim_nonlinear(n_threads = 0)
    sim_nonlinear(n = 50, beta_uy = 1.7e308, seed = 1)
  })
})

test_that("printing is short", {
  expect_snapshot(print(sim_nonlinear(n = 12345, seed = 1)))
  expect_snapshot(print(sim_nonlinear(n = 3, n_variants = 1, f = function(x) x, seed = 1)))
})
