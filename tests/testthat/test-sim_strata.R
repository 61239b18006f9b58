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
