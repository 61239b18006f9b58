# sim_burgess2014() and sim_tian2023(): one instrument, nonlinear effects.
shapes <- list(
  linear = function(x) 0.4 * x, quadratic = function(x) x^2 / 10,
  J = function(x) 0.2 * (x - 1)^2, threshold = function(x) ifelse(x > 2, 0.4 * (x - 2), 0)
)
curves <- list(
  function(x) 0 * x, function(x) 0.1 * x^2, function(x) ifelse(x > 0, -0.1 * x^2, 0),
  function(x) ifelse(x > 0.6, 5 * (x - 0.6), 0)
)
exposures <- list(
  A = function(z, u1, u2) 0.5 * z + u2 + u1,
  B = function(z, u1, u2) 0.5 * z + ifelse(z < -1, 2 * z^3 + 2, 0) + u2 + u1,
  C = function(z, u1, u2) -10 + (1.5 + 0.4 * u2) * (z + 5) + u2 + u1,
  D = function(z, u1, u2) round(0.5 * z + u2 + u1)
)

test_that("Burgess 2014: X and Y are rebuilt from the truth", {
  # Sums of a few terms of order 1.
  for (shape in names(shapes)) {
    sim <- sim_burgess2014(n = 5000, shape = shape, seed = 1)
    t <- truth(sim)
    expect_named(sim, c("Y", "X", "g"))
    expect_true(all(vapply(sim, is.double, NA)))
    expect_equal(sim$X, 0.25 * sim$g + t$U + t$noise_x, tolerance = 1e-13)
    expect_equal(sim$Y, shapes[[shape]](sim$X) + 0.8 * t$U + t$noise_y, tolerance = 1e-13)
    at <- seq(0, 8, by = 0.25)
    expect_equal(t$curve(at), shapes[[shape]](at) + 0.4)
    expect_equal(t$h(at), shapes[[shape]](at))
    at <- at + 0.1
    expect_equal(t$slope(at), (shapes[[shape]](at + 1e-5) - shapes[[shape]](at - 1e-5)) / 2e-5)
    expect_identical(t$beta, t$h_slope(sim$X))
  }
})

test_that("Burgess 2014: moments are those of closed forms", {
  # Var X = .0625 * .42 + 1/12 + 1, cov(g, X) = .25 * .42, cov(U, Y - f) = .8 / 12; 4.5 standard
  # errors, those of a variance and of covariances bounded by sqrt(kurtosis / n), at most 9.
  n <- 1e5
  sim <- sim_burgess2014(n = n, seed = 2)
  variance <- 0.0625 * 0.42 + 1 / 12 + 1
  expect_lt(abs(mean(sim$X) - 1.65), 4.5 * sqrt(variance / n))
  expect_lt(abs(stats::var(sim$X) - variance), 4.5 * 3 * variance / sqrt(n))
  expect_lt(abs(stats::cov(sim$g, sim$X) - 0.105), 4.5 * sqrt(0.42 * variance * 3 / n))
  rest <- sim$Y - 0.4 * sim$X
  expect_lt(abs(mean(rest) - 0.4), 4.5 * sqrt((0.64 / 12 + 1) / n))
  expect_lt(abs(stats::cov(truth(sim)$U, rest) - 0.8 / 12), 4.5 * sqrt(1.06 / 12 / n))
})

test_that("Tian 2023: X and Y are rebuilt from the truth, scenario by scenario", {
  at <- seq(-4, 4, by = 0.25) + 0.01
  for (scenario in names(exposures)) {
    for (k in 1:4) {
      sim <- sim_tian2023(n = 2000, scenario = scenario, outcome = k, seed = 3)
      t <- truth(sim)
      expect_named(sim, c("Y", "X", "Z"))
      expect_equal(sim$X, exposures[[scenario]](sim$Z, t$noise_x, t$U), tolerance = 1e-12)
      expect_equal(sim$Y, curves[[k]](sim$X) + t$U + t$noise_y, tolerance = 1e-12)
      expect_equal(t$curve(at), curves[[k]](at))
      expect_equal(t$slope(at), (curves[[k]](at + 1e-5) - curves[[k]](at - 1e-5)) / 2e-5,
        tolerance = 1e-7)
    }
  }
  expect_identical(is.element(truth(sim)$X_exact[1], sim$X[1]), FALSE) # D is rounded
})

test_that("Tian 2023: moments of exposure and outcome are those of closed forms", {
  # X is normal with mean 0 and variance 2.0625 in A; D adds the variance of rounding, 1/12 up to
  # Poisson's sum, 4 v exp(-2 pi^2 v) < 1e-16. C: X = -2.5 + 1.5 Z + .4 U2 Z + 3 U2 + U1. B by its
  # integrals over Z. The curves' means over a normal X are known. 4.5 standard errors, which the
  # sample's own moments tell well enough.
  n <- 2e5
  v <- 2.0625
  s <- sqrt(v)
  over_z <- function(f) {
    stats::integrate(function(z) f(z) * stats::dnorm(z, sd = 0.5), -5, 5, rel.tol = 1e-9)$value
  }
  bend <- function(z) 0.5 * z + ifelse(z < -1, 2 * z^3 + 2, 0)
  mean_b <- over_z(bend)
  mean_x <- c(A = 0, B = mean_b, C = -2.5, D = 0)
  var_x <- c(A = v, B = over_z(function(z) bend(z)^2) - mean_b^2 + 2, C = 10.6025, D = v + 1 / 12)
  cov_zx <- c(A = 0.125, B = over_z(function(z) z * bend(z)), C = 0.375, D = 0.125)
  near <- function(sample, expected) {
    expect_lt(abs(mean(sample) - expected), 4.5 * stats::sd(sample) / sqrt(n))
  }
  for (scenario in names(mean_x)) {
    sim <- sim_tian2023(n, scenario, outcome = 1, seed = 12)
    near(sim$X, mean_x[[scenario]])
    near((sim$X - mean_x[[scenario]])^2, var_x[[scenario]])
    near(sim$Z * (sim$X - mean_x[[scenario]]), cov_zx[[scenario]])
    near(sim$Y^2, 2)
    squared <- sim_tian2023(n, scenario, outcome = 2, seed = 13)
    near(squared$Y, 0.1 * (var_x[[scenario]] + mean_x[[scenario]]^2))
  }
  half <- sim_tian2023(n, "A", outcome = 3, seed = 14)
  near(half$Y, -0.05 * v)
  near(half$Y * half$Z, -0.1 * 0.125 * 2 * s * stats::dnorm(0)) # cov(Z, h(X)) = cov(Z, X) E h'
  kink <- sim_tian2023(n, "A", outcome = 4, seed = 15)
  beyond <- stats::pnorm(-0.6 / s)
  near(kink$Y, 5 * (s * stats::dnorm(0.6 / s) - 0.6 * beyond))
  near(kink$Y * kink$Z, 0.125 * 5 * beyond)
})

test_that("Burgess 2014: mean outcomes of all curves, and risks of binary ones", {
  # E X = 1.65, Var X = .0625 * .42 + 1/12 + 1; E Y has .8 E U = .4 besides. Threshold: by the law
  # of X - 2 over genotypes and U, whose exponential part has P(v > a) = exp(-a). Risks: the truth's
  # own curve averaged over everybody's X is not E Y, as X and Y share U; given all but the noise
  # it is P(e > ...).
  n <- 2e5
  mean_x <- 1.65
  second <- 0.0625 * 0.42 + 1 / 12 + 1 + mean_x^2
  above <- sum(stats::dbinom(0:2, 2, 0.3) * vapply(0:2, function(g) {
    stats::integrate(function(u) exp(-(2 - 0.25 * g - u)), 0, 1)$value
  }, 0))
  expected <- c(linear = 0.4 * mean_x, quadratic = 0.1 * second,
    J = 0.2 * (second - 2 * mean_x + 1), threshold = 0.4 * above) + 0.4
  for (shape in names(shapes)) {
    sim <- sim_burgess2014(n, shape, seed = 16)
    expect_lt(abs(mean(sim$Y) - expected[[shape]]), 4.5 * stats::sd(sim$Y) / sqrt(n))
    for (type in c("liability", "logistic")) {
      binary <- sim_burgess2014(n, shape, type = type, cutoff = 1, seed = 16)
      t <- truth(binary)
      risk <- (if (type == "logistic") stats::plogis else stats::pnorm)(
        shapes[[shape]](binary$X) + 0.8 * t$U - 1
      )
      expect_lt(abs(mean(binary$Y - risk)), 4.5 * sqrt(mean(risk * (1 - risk)) / n))
    }
  }
})

test_that("the generator of the published Python code is told apart (mutants)", {
  # Its B draws the whole vector again, its C takes Z for Z + 5, its outcome 3 has X <= 0.
  sim <- sim_tian2023(n = 2000, scenario = "C", outcome = 3, seed = 3)
  t <- truth(sim)
  without_shift <- -10 + (1.5 + 0.4 * t$U) * sim$Z + t$U + t$noise_x
  expect_gt(abs(mean(sim$X) - mean(without_shift)), 5)
  swapped <- ifelse(sim$X <= 0, -0.1 * sim$X^2, 0) + t$U + t$noise_y
  expect_gt(mean((sim$Y - swapped)^2), 0.1)
  b <- sim_tian2023(n = 2000, scenario = "B", seed = 3)
  tb <- truth(b)
  changed <- abs(b$X - (0.5 * b$Z + tb$U + tb$noise_x)) > 1e-9
  expect_identical(changed, b$Z < -1)
})

test_that("a stratum's target is the integral of h' against its weights", {
  # h' w integrated over the steps of the weight function, which is exact up to the midpoint rule on
  # each step: 2nd order in steps of at most .5, smooth h of order 2 only.
  sim <- sim_tian2023(n = 400, scenario = "A", outcome = 2, seed = 4)
  stratum <- rep(1:4, each = 100)
  by_integral <- vapply(1:4, function(k) {
    z <- sim$Z[stratum == k]
    x <- sim$X[stratum == k]
    knots <- sort(x)
    w <- vapply(knots[-1], function(t) stats::cov(z, x >= t), 0) / stats::cov(z, x)
    middle <- (knots[-1] + knots[-100]) / 2
    sum(0.2 * middle * w * diff(knots))
  }, 0)
  expect_equal(truth(sim)$strata_target(stratum), by_integral, tolerance = 1e-10)
  # The mutant of DRMR: h' = .05 1(x > 20) instead of 5 1(x > .6) gives 0 on these data.
  four <- truth(sim_tian2023(n = 400, outcome = 4, seed = 4))
  expect_gt(min(abs(four$strata_target(rep(1, 400)))), 0.5)
  expect_identical(unique(0.05 * (four$X_exact > 20)), 0)
  expect_error(four$strata_target(1:3), class = "mrlearn_error_argument")
})

test_that("binary outcomes have the risks that the truth declares", {
  # Given X had been set: replace X's part, keep U and the noise. 4.5 standard errors of a share.
  n <- 1e5
  for (type in c("liability", "logistic")) {
    b <- sim_burgess2014(n = n, shape = "J", type = type, cutoff = 0.7, seed = 5)
    t <- truth(b)
    expect_true(all(b$Y %in% 0:1))
    expect_identical(b$Y, as.double(t$h(b$X) + 0.8 * t$U + t$noise_y > 0.7))
    for (x in c(0, 2, 3)) {
      risk <- mean(t$h(x) + 0.8 * t$U + t$noise_y > 0.7)
      expect_lt(abs(risk - t$curve(x)), 4.5 * 0.5 / sqrt(n))
    }
    expect_equal(t$slope(2.5), (t$curve(2.5 + 1e-5) - t$curve(2.5 - 1e-5)) / 2e-5, tolerance = 1e-7)
    s <- sim_tian2023(n = n, outcome = 2, type = type, cutoff = 0.5, seed = 5)
    t <- truth(s)
    for (x in c(-2, 0, 3)) {
      risk <- mean(t$h(x) + t$U + t$noise_y > 0.5)
      expect_lt(abs(risk - t$curve(x)), 4.5 * 0.5 / sqrt(n))
    }
    expect_equal(t$slope(1.5), (t$curve(1.5 + 1e-5) - t$curve(1.5 - 1e-5)) / 2e-5, tolerance = 1e-7)
  }
})

test_that("threads and seeds", {
  one <- sim_tian2023(n = 10000, scenario = "C", seed = 6, n_threads = 1)
  expect_identical(as.data.frame(sim_tian2023(n = 10000, scenario = "C", seed = 6, n_threads = 3)),
    as.data.frame(one))
  expect_identical(sim_tian2023(n = 5000, scenario = "C", seed = 6)$X, one$X[1:5000])
  b <- sim_burgess2014(n = 10000, seed = 6, n_threads = 1)
  expect_identical(as.data.frame(sim_burgess2014(n = 10000, seed = 6, n_threads = 3)),
    as.data.frame(b))
  set.seed(1)
  first <- sim_tian2023(n = 10)
  set.seed(1)
  expect_identical(sim_tian2023(n = 10)$X, first$X)
})

test_that("bad input is refused", {
  argument <- function(expr) expect_error(expr, class = "mrlearn_error_argument")
  argument(sim_burgess2014(0))
  argument(sim_burgess2014(10, shape = "U"))
  argument(sim_burgess2014(10, maf = 1))
  argument(sim_burgess2014(10, type = "binary"))
  argument(sim_burgess2014(10, seed = 1.5))
  argument(sim_tian2023(10, scenario = "E"))
  argument(sim_tian2023(10, outcome = 5))
  argument(sim_tian2023(10, cutoff = NA))
  argument(sim_tian2023(10, n_threads = 0))
})

test_that("what is printed", {
  expect_snapshot(print(sim_tian2023(n = 20, scenario = "D", outcome = 4, seed = 1), n = 2))
  expect_snapshot(print(sim_burgess2014(n = 20, shape = "J", type = "logistic", seed = 1), n = 2))
})
