psi <- function(t) 2 * ((t - 5)^4 / 600 + exp(-4 * (t - 5)^2) + t / 10 - 2)
structural <- function(p, t, s) 100 + (10 + p) * s * psi(t) - 2 * p

test_that("the data.frame has the design's columns", {
  sim <- sim_demand(n = 50, seed = 1)
  expect_s3_class(sim, c("mr_sim", "data.frame"), exact = TRUE)
  expect_named(sim, c("Y", "price", "time", "s", "cost"))
  expect_true(all(vapply(sim, is.double, NA)))
})

test_that("price and Y are rebuilt from the truth", {
  # Y is of order 1000.
  for (rho in c(-1, 0, 0.5, 1)) {
    sim <- sim_demand(n = 5000, rho = rho, seed = 2)
    t <- truth(sim)
    expect_equal(sim$price, 25 + (sim$cost + 3) * psi(sim$time) + t$noise_x, tolerance = 1e-12)
    expect_equal(sim$Y, structural(sim$price, sim$time, sim$s) + t$noise_y, tolerance = 1e-12)
  }
})

test_that("variables have the laws of the study", {
  n <- 1e5
  sim <- sim_demand(n = n, rho = 0.75, seed = 3)
  t <- truth(sim)
  expect_gt(stats::ks.test(sim$time, "punif", 0, 10)$p.value, 1e-4)
  expect_gt(stats::ks.test(sim$cost, "pnorm")$p.value, 1e-4)
  expect_gt(stats::ks.test(t$noise_x, "pnorm")$p.value, 1e-4)
  expect_gt(stats::ks.test(t$noise_y, "pnorm")$p.value, 1e-4)
  expect_setequal(sim$s, 1:7)
  expect_gt(stats::chisq.test(table(sim$s))$p.value, 1e-4)
  r <- stats::cor(cbind(sim$time, sim$s, sim$cost, t$noise_x, t$noise_y))
  # A correlation of .75 has the SD (1 - .75^2) / sqrt(n), the other nine 1/sqrt(n).
  expect_lt(abs(r[4, 5] - 0.75), 4 * (1 - 0.75^2) / sqrt(n))
  r[4, 5] <- 0
  expect_lt(max(abs(r[upper.tri(r)])), 4.5 / sqrt(n))
})

test_that("the study's scaling of price and outcome is that of these data", {
  # DeepIV's code takes 17.779 and 3.7 for mean and SD of the price, -292.1 and 158 for those of the
  # outcome less its constant of 100. At n = 1e5 our means have standard errors of .012 and .5; the
  # accuracy of theirs is unknown, so a margin of 1 % (SD: 2 %) is left.
  sim <- sim_demand(n = 1e5, seed = 4)
  expect_equal(mean(sim$price), 17.779, tolerance = 0.01)
  expect_equal(stats::sd(sim$price), 3.7, tolerance = 0.02)
  expect_equal(mean(sim$Y) - 100, -292.1, tolerance = 0.01)
  expect_equal(stats::sd(sim$Y), 158, tolerance = 0.02)
})

test_that("the test grid has the 2800 points with their truth", {
  t <- truth(sim_demand(n = 10, seed = 5))
  grid <- t$grid
  expect_named(grid, c("price", "time", "s", "truth"))
  expect_identical(nrow(grid), 2800L)
  expect_identical(nrow(unique(grid[1:3])), 2800L)
  expect_equal(sort(unique(grid$price)), seq(10, 25, length.out = 20))
  expect_equal(sort(unique(grid$time)), seq(0, 10, length.out = 20))
  expect_equal(sort(unique(grid$s)), 1:7)
  expect_equal(grid$truth, structural(grid$price, grid$time, grid$s))
  expect_equal(t$structural(20, 3, 4), structural(20, 3, 4))
  expect_equal(t$psi(0:10), psi(0:10))
})

test_that("the curve averages the structural function over the rows", {
  sim <- sim_demand(n = 2000, seed = 6)
  t <- truth(sim)
  by_rows <- vapply(c(10, 17, 25), function(p) mean(structural(p, sim$time, sim$s)), 0)
  expect_equal(t$curve(c(10, 17, 25)), by_rows)
  expect_equal(t$beta, structural(11, sim$time, sim$s) - structural(10, sim$time, sim$s))
  # Over the population E s psi = 4 E psi; (10 + x) times 4 SE of a mean of n.
  mean_psi <- stats::integrate(psi, 0, 10, rel.tol = 1e-8, subdivisions = 1000)$value / 10
  expect_equal(mean_psi, -2.40609, tolerance = 1e-5)
  large <- sim_demand(n = 1e5, seed = 7)
  se <- stats::sd(large$s * psi(large$time)) / sqrt(1e5)
  expect_lt(abs(truth(large)$curve(20) - (100 + 30 * 4 * mean_psi - 40)), 30 * 4 * se)
})

test_that("price and outcome are confounded, cost is not", {
  # The price less its regression on psi keeps v and psi cost, of variance 1 + E psi^2 = 7.5: its
  # correlation with the outcome's noise is rho / sqrt(7.5), above rho / sqrt(10).
  sim <- sim_demand(n = 20000, rho = 0.9, seed = 8)
  noise <- truth(sim)$noise_y
  residual <- stats::lm.fit(cbind(1, psi(sim$time)), sim$price)$residuals
  expect_gt(stats::cor(residual, noise), 0.9 / sqrt(10))
  expect_lt(abs(stats::cor(sim$cost, noise)), 4 / sqrt(20000))
})

test_that("threads, seeds and size act as for every simulator", {
  one <- sim_demand(n = 20000, seed = 9, n_threads = 1)
  two <- sim_demand(n = 20000, seed = 9, n_threads = 2)
  expect_identical(as.data.frame(two), as.data.frame(one))
  expect_identical(as.data.frame(sim_demand(n = 300, seed = 9)), as.data.frame(one)[1:300, ])
  # rho changes the outcome's noise alone.
  other <- sim_demand(n = 20000, rho = 0.1, seed = 9)
  same <- c("price", "time", "s", "cost")
  expect_identical(as.data.frame(other)[same], as.data.frame(one)[same])
  set.seed(1)
  a <- sim_demand(n = 10)
  set.seed(1)
  expect_identical(sim_demand(n = 10), a)
})

test_that("arguments are checked", {
  expect_error(sim_demand(rho = 2), class = "mrlearn_error_argument")
  expect_snapshot(error = TRUE, {
    sim_demand(n = 0)
    sim_demand(rho = 1.1)
    sim_demand(rho = "a")
    sim_demand(seed = "a")
    sim_demand(n_threads = 0.5)
  })
})

test_that("printing is short", {
  expect_snapshot(print(sim_demand(n = 1000, seed = 1), n = 2))
})
