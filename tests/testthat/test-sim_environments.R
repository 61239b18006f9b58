latents <- function(sim) cbind(truth(sim)$V, truth(sim)$W)
instruments_of <- function(sim) as.matrix(as.data.frame(sim)[truth(sim)$instruments])

test_that("traits are rebuilt from the truth", {
  for (hard in c(FALSE, TRUE)) {
    sim <- sim_environments(n = c(30, 50, 20), n_env = 3, hard = hard, theta = 0.4, seed = 1)
    t <- truth(sim)
    expect_named(sim, c("Y", "X", "environment", paste0("Z", 1:5)))
    expect_identical(as.integer(table(sim$environment)), c(30L, 50L, 20L))
    x <- t$V %*% t$beta_v + t$W %*% t$beta_w + t$H %*% t$alpha_x + t$noise_x
    y <- 0.4 * x + t$H %*% t$alpha_y + t$noise_y
    expect_equal(sim$X, drop(x), tolerance = 1e-12)
    expect_equal(sim$Y, drop(y), tolerance = 1e-12)
    expect_equal(t$beta_v, if (hard) c(1, 0.3) else c(1, 1))
    # Mean of 2 e over people times alpha_Y: 0, 2, 4 for 30, 50, 20.
    expect_equal(t$curve(2), 0.8 + sum(t$alpha_y) * (2 * 50 + 4 * 20) / 100)
  }
  expect_equal(t$eta[, , 1], diag(2))
  expect_equal(t$eta[, , 2], diag(c(2, 1)))
  expect_equal(t$eta[, , 3], diag(c(1, 2)))
  expect_equal(truth(sim_environments(n = 5, seed = 1))$eta[, , 2], diag(2, 2))
})

test_that("mixings are what they are said to be", {
  monomials <- function(l, degree) {
    powers <- expand.grid(rep(list(0:degree), ncol(l)))
    powers <- powers[rowSums(powers) <= degree, ]
    apply(powers, 1, function(p) apply(l, 1, function(row) prod(row^p)))
  }
  for (degree in 1:3) {
    sim <- sim_environments(n = 40, mixing = "poly", degree = degree, seed = 2)
    z <- instruments_of(sim)
    expect_identical(ncol(z), as.integer(choose(4 + degree, degree)))
    # A square full-rank map of all monomials, whose condition is at most 5.
    m <- monomials(latents(sim), degree)
    expect_lt(max(abs(qr.resid(qr(m), z))), 1e-8 * max(abs(z)))
    expect_lte(truth(sim)$mixing$condition, 5 + 1e-9)
  }
  sim <- sim_environments(n = 40, mixing = "linear", dim_z = 9, seed = 2)
  z <- instruments_of(sim)
  expect_lt(max(abs(qr.resid(qr(cbind(1, latents(sim))), z))), 1e-10)
  expect_identical(dim(z), c(80L, 9L))

  sim <- sim_environments(n = 40, mixing = "mlp", seed = 2)
  w <- truth(sim)$mixing$weights
  expect_equal(colSums(w[[1]]^2), rep(1, 4))
  rectify <- function(x) ifelse(x < 0, 0.2, 1) * x
  expect_equal(unname(instruments_of(sim)), rectify(latents(sim) %*% w[[1]]) %*% w[[2]])

  sim <- sim_environments(n = 40, mixing = "discrete", dim_z = 6, seed = 2)
  m <- truth(sim)$mixing
  add <- function(x, layer) sweep(x %*% m$weights[[layer]], 2, m$bias[[layer]], "+")
  logits <- add(rectify(add(latents(sim), 1)), 2)
  expected <- vapply(1:6, function(j) max.col(logits[, 3 * j - 2:0], "first") - 1, numeric(80))
  expect_equal(unname(instruments_of(sim)), expected)

  sim <- sim_environments(n = 10, mixing = "identity", seed = 2)
  expect_equal(unname(instruments_of(sim)), latents(sim))
})

test_that("a condition makes the mixing nearly singular", {
  for (mixing in c("poly", "mlp")) {
    t <- truth(sim_environments(n = 5, mixing = mixing, condition = 2000, seed = 1))
    expect_equal(t$mixing$condition, 2000)
  }
})

test_that("without shift and scale environments have one law", {
  sim <- sim_environments(n = 20000, shift = 0, scale = 0, mixing = "identity", seed = 3)
  z <- instruments_of(sim)
  one <- sim$environment == 1
  # Differences of means have the SD sqrt(2 var / n), var at most 2.
  expect_lt(max(abs(colMeans(z[one, ]) - colMeans(z[!one, ]))), 5 * sqrt(4 / 20000))
  expect_lt(max(abs(stats::cov(z[one, ]) - stats::cov(z[!one, ]))), 5 * 2 * sqrt(4 / 20000))
})

test_that("the published competitors' biases are reproduced", {
  # Mean bias and its SD over 20 seeds of an independent implementation (numpy, n = 20000): one run
  # of ours lies within 5 times SD sqrt(1 + 1/20).
  published <- rbind(c(0.3034, 0.0009), c(0.2967, 0.0009), c(0.0013, 0.0068), c(0.2271, 0.0013))
  sim <- sim_environments(n = 20000, seed = 4)
  data <- as.data.frame(sim)
  data$z <- instruments_of(sim)
  data$W <- truth(sim)$W
  bias <- function(fit) coef(fit)[["X"]] - 1
  ours <- suppressMessages(c(
    bias(iv_ols(Y ~ X, data)), bias(iv_2sls(Y ~ X | z, data)), bias(iv_2sls(Y ~ X | W, data)),
    bias(iv_2sls(Y ~ X + environment | z + environment, data))
  ))
  expect_lt(max(abs(ours - published[, 1]) / published[, 2]), 5 * sqrt(1 + 1 / 20))
})

test_that("seeds, threads and rows act as for every simulator", {
  one <- sim_environments(n = 5000, seed = 5, n_threads = 1)
  expect_identical(as.data.frame(sim_environments(n = 5000, seed = 5, n_threads = 2)),
    as.data.frame(one))
  few <- as.data.frame(sim_environments(n = 50, seed = 5))
  expect_identical(few$Y[51:100], one$Y[5001:5050])
  # The mixing does not hang on the data's seed.
  expect_identical(truth(sim_environments(n = 5, seed = 6))$mixing, truth(one)$mixing)
  other <- truth(sim_environments(n = 5, seed = 6, mixing_seed = 1))$mixing
  expect_false(identical(other$weights, truth(one)$mixing$weights))
})

test_that("arguments are checked, and printing is short", {
  expect_snapshot(error = TRUE, {
    sim_environments(n = c(10, 20, 30))
    sim_environments(dim_v = 17)
    sim_environments(mixing = "mlp", dim_z = 5)
    sim_environments(mixing = "identity", condition = 5)
    sim_environments(dim_v = 10, dim_w = 10, degree = 5)
    sim_environments(law = "cauchy")
  })
  expect_snapshot(print(sim_environments(n = 1000, seed = 1), n = 2))
})
