slope <- function(m) 0.1 + 1.1 * stats::pnorm(1.5 * m)

test_that("the data.frame has outcome, exposure, modifier and genotypes", {
  sim <- sim_effect_modifier(n = 50, n_variants = 3, seed = 1)
  expect_s3_class(sim, c("mr_sim", "data.frame"), exact = TRUE)
  expect_named(sim, c("Y", "X", "M", "G0", "G1", "G2"))
  expect_true(all(vapply(sim, is.double, NA)))
})

test_that("Y is rebuilt from the truth and X is that of the nonlinear design", {
  sim <- sim_effect_modifier(n = 5000, seed = 2)
  t <- truth(sim)
  expect_equal(sim$Y, slope(sim$M) * sim$X - 0.7 * t$U + t$noise_y, tolerance = 1e-12)
  expect_identical(sim$X, sim_nonlinear(n = 5000, seed = 2)$X)
})

test_that("the truth has slopes, contrasts and the curve over these people", {
  sim <- sim_effect_modifier(n = 1000, seed = 3)
  t <- truth(sim)
  m <- c(-2, 0, 0.5)
  expect_equal(t$slope(m), slope(m))
  expect_equal(t$cate(m), slope(m))
  expect_equal(t$cate(m, from = -1, to = 2), 3 * slope(m))
  expect_equal(t$beta, slope(sim$M))
  expect_equal(t$curve(c(0, 2)), c(0, 2 * mean(slope(sim$M))))
  # The slide's slopes, about .1 and 1.2 at the ends of the middle 98 %.
  expect_equal(t$slope(stats::qnorm(c(0.01, 0.5, 0.99))), c(0.1, 0.65, 1.2), tolerance = 1e-3)
  expect_lt(length(serialize(t$curve, NULL)), 10000)
})

test_that("the modifier is standard normal and independent of the rest", {
  n <- 1e5
  sim <- sim_effect_modifier(n = n, seed = 4)
  t <- truth(sim)
  expect_gt(stats::ks.test(sim$M, "pnorm")$p.value, 1e-4)
  drawn <- cbind(t$U, t$noise_x, t$noise_y, as.matrix(as.data.frame(sim)[t$instruments]))
  expect_lt(max(abs(stats::cor(sim$M, drawn))), 4.5 / sqrt(n))
})

test_that("moments of exposure and outcome are those of closed forms", {
  # Var X = 1, E slope = .1 + 1.1 / 2, cov(X, Y) = .65 - .35 * .7 as M is apart from all else, and
  # E X Y M = E slope(M) M = 1.1 * 1.5 phi(0) / sqrt(1 + 1.5^2) * sqrt(2 pi) phi(0).
  n <- 2e5
  sim <- sim_effect_modifier(n, seed = 21)
  near <- function(sample, expected) {
    expect_lt(abs(mean(sample) - expected), 4.5 * stats::sd(sample) / sqrt(n))
  }
  near(sim$X, 0)
  near(sim$X^2, 1)
  near(sim$Y, 0)
  near(truth(sim)$beta, 0.65)
  near(sim$X * sim$Y, 0.65 - 0.245)
  near(sim$X * sim$Y * sim$M, 1.1 * 1.5 / sqrt(2 * pi * (1 + 1.5^2)))
})

test_that("instruments find the slopes where least squares does not", {
  # Between the terciles of M the mean slope is estimated from n / 3 people with h2 = .5: its SE is
  # below 1.3 / sqrt(n / 6); OLS is off by -.7 .35 = -.245.
  n <- 60000
  sim <- with_score(sim_effect_modifier(n = n, seed = 5))
  third <- cut(sim$M, stats::qnorm(0:3 / 3))
  for (level in levels(third)) {
    rows <- as.data.frame(sim)[third == level, ]
    expected <- mean(slope(rows$M))
    expect_lt(abs(coef(iv_2sls(Y ~ X | score, data = rows))[["X"]] - expected),
      4 * 1.3 / sqrt(n / 6))
    expect_lt(coef(iv_ols(Y ~ X, data = rows))[["X"]], expected - 0.2)
  }
})

test_that("threads, seeds and size act as for every simulator", {
  one <- sim_effect_modifier(n = 20000, seed = 6, n_threads = 1)
  two <- sim_effect_modifier(n = 20000, seed = 6, n_threads = 2)
  expect_identical(as.data.frame(one), as.data.frame(two))
  small <- sim_effect_modifier(n = 300, seed = 6)
  expect_identical(as.data.frame(small), as.data.frame(one)[1:300, ])
  set.seed(1)
  a <- sim_effect_modifier(n = 10)
  set.seed(1)
  expect_identical(sim_effect_modifier(n = 10), a)
})

test_that("arguments are checked", {
  expect_error(sim_effect_modifier(h2 = 0.9), class = "mrlearn_error_argument")
  expect_snapshot(error = TRUE, {
    sim_effect_modifier(n = -1)
    sim_effect_modifier(h2 = 0.9)
    sim_effect_modifier(maf = 0.2)
    sim_effect_modifier(n_variants = 0)
  })
})

test_that("printing is short", {
  expect_snapshot(print(sim_effect_modifier(n = 1000, n_variants = 2, seed = 1), n = 2))
})
