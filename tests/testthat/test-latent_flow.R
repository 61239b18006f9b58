# Flows of instruments mixed by an invertible network.

# The matrix of instruments of a simulation.
instruments_matrix <- function(sim) as.matrix(as.data.frame(sim)[truth(sim)$instruments])
mlp_sim <- function(n = 1500, seed = 41, ...) {
  sim_environments(n = n, mixing = "mlp", seed = seed, ...)
}
fit_of <- function(sim, ..., seed = 3, n_threads = 1L, control = list()) {
  latent_flow(instruments_matrix(sim), as.integer(sim$environment), c(V = 2L, W = 2L), control,
    seed, n_threads)
}
# Share of the variance of y's columns that x explains.
explained <- function(y, x) {
  1 - sum(lm.fit(cbind(1, x), y)$residuals^2) / sum(sweep(y, 2, colMeans(y))^2)
}

test_that("the valid latents of an invertible network are found, and the gate says so", {
  sim <- mlp_sim()
  fit <- fit_of(sim)
  latent <- latent_apply(fit, instruments_matrix(sim))
  expect_true(fit$gate$passed)
  # The prototype had R2 of at least .996 at n = 1000; a wrong optimum has .6 and a leak of .05.
  expect_gt(explained(truth(sim)$W, latent$w), 0.99)
  expect_lt(explained(latent$w, truth(sim)$V), 0.01)
  expect_s3_class(fit, c("latent_flow", "latent_representation"))
  expect_equal(fit$eigenvalues[2], fit$gate$statistic)
  expect_lt(fit$score, Inf)
  expect_named(fit$history, c("cycle", "step", "value", "statistic"))
  expect_setequal(unique(fit$history$step), c("start", "polish"))
})

test_that("a linear method does not find them", {
  sim <- mlp_sim()
  linear <- latent_ssa(instruments_matrix(sim), as.integer(sim$environment), c(V = 2L, W = 2L))
  expect_gt(linear$gate$statistic, linear$gate$threshold)
})

test_that("the flow is the function that the header says", {
  sim <- mlp_sim(n = 300)
  fit <- fit_of(sim, control = list(flow_layers = 2, flow_cycles = 1, flow_starts = 2,
    flow_moves = 0))
  z <- instruments_matrix(sim)[1:3, ]
  d <- 4
  params <- matrix(fit$flow$params, ncol = 2)
  h <- t(t(z) - fit$flow$center) %*% fit$flow$transform
  for (layer in 1:2) {
    b <- t(matrix(params[seq_len(20), layer], 5)[-1, ])
    constant <- matrix(params[seq_len(20), layer], 5)[1, ]
    a <- params[21:24, layer]
    for (i in 1:3) {
      x <- drop(b %*% h[i, ]) + constant
      softplus <- ifelse(x < -5, -x / 0.03, log(1 + exp(-x / 0.03))) # exp(-5 / .03) is 1e-73
      h[i, ] <- x - (exp(3 * tanh(a / 3)) - 1) * 0.03 * softplus
    }
  }
  expect_equal(flow_latent(fit$flow, z), h, tolerance = 1e-12)
  rotated <- sweep(h, 2, fit$center) %*% fit$transform
  latent <- latent_apply(fit, z)
  expect_equal(unname(cbind(latent$v, latent$w)), unname(rotated), tolerance = 1e-12)
})

test_that("results depend on the seed and not on threads, on units of the instruments or saving", {
  sim <- mlp_sim(n = 400)
  small <- list(flow_cycles = 1, flow_starts = 3, flow_moves = 0)
  one <- fit_of(sim, control = small)
  same <- setdiff(names(one), "seconds")
  expect_identical(fit_of(sim, control = small, n_threads = 2L)[same], one[same])
  expect_false(identical(fit_of(sim, control = small, seed = 4)$flow$params, one$flow$params))
  path <- withr::local_tempfile()
  saveRDS(one, path)
  z <- instruments_matrix(sim)
  expect_identical(latent_apply(readRDS(path), z), latent_apply(one, z))
  scaled <- latent_flow(sweep(z, 2, c(2, 4, 8, 16), "*"), as.integer(sim$environment),
    c(V = 2L, W = 2L), small, 3)
  # Powers of two: standardised, the numbers are the same ones, but for rounding of the moments.
  expect_equal(scaled$score, one$score, tolerance = 1e-6)
})

test_that("rows may come in any order of environments", {
  sim <- mlp_sim(n = 300)
  z <- instruments_matrix(sim)
  small <- list(flow_cycles = 1, flow_starts = 2, flow_moves = 0)
  mixed <- c(rbind(1:300, 301:600)) # within environments as before
  one <- fit_of(sim, control = small)
  other <- latent_flow(z[mixed, ], as.integer(sim$environment)[mixed], c(V = 2L, W = 2L), small, 3)
  expect_identical(other$flow, one$flow)
})

test_that("what is not a normal mixture in each environment is refused by the gate", {
  # This mixing leaves eigenvalues of .4 to .5 (9 data sets of 2,000 to 10,000 people).
  sim <- mlp_sim(n = 2000, law = "exponential", mixing_seed = 123, seed = 43)
  expect_false(fit_of(sim, control = list(flow_cycles = 1))$gate$passed)
  alike <- mlp_sim(n = 1000, shift = 0, scale = 0, seed = 44)
  expect_false(fit_of(alike, control = list(flow_cycles = 1))$gate$passed)
})

test_that("latents of another law whose moments are stationary are refused by their dependence", {
  # The flow's normal latents leave a W that depends on V: none of 199 permutations exceeds it.
  sim <- mlp_sim(n = 5000, law = "exponential", seed = 101)
  z <- instruments_matrix(sim)
  environment <- as.integer(sim$environment)
  fit <- fit_of(sim, control = list(flow_cycles = 1))
  stationary <- stationarity_gate(fit$eigenvalues, c(V = 2L, W = 2L), tabulate(environment))
  expect_true(stationary$passed)
  expect_false(fit$gate$passed)
  expect_match(fit$gate$reason, "V and W depend on each other")
  good <- list(passed = TRUE, reason = "")
  set.seed(3)
  alone <- list(v = matrix(rnorm(1200), 600), w = matrix(rnorm(1200), 600))
  groups <- rep(1:2, 300)
  expect_true(gate_independence(good, alone, groups, 1)$passed)
  alone$w <- alone$w + alone$v^2
  expect_false(gate_independence(good, alone, groups, 1)$passed)
})

test_that("a flow needs as many instruments as latents, and rows", {
  sim <- mlp_sim(n = 100)
  expect_error(
    latent_flow(instruments_matrix(sim)[, 1:3], as.integer(sim$environment), c(V = 2L, W = 2L)),
    "one-to-one", class = "mrlearn_error_numeric"
  )
  expect_error(
    latent_flow(instruments_matrix(sim)[c(1:5, 101:150), ], rep(1:2, c(5, 50)), c(V = 2L, W = 2L)),
    class = "mrlearn_error_numeric"
  )
})

# As flows do whose instruments take three values: their likelihood has no maximum.
test_that("what fails a flow is told as the flow's, and \"auto\" goes on", {
  collapsed <- matrix(sin((1:400)^2), 100)[, c(1:3, 1)]
  expect_error(ssa_rotation(collapsed, rep(1:2, each = 50), c(V = 2L, W = 2L), learned = TRUE),
    "that was learned has 3 linearly independent", class = "mrlearn_error_numeric")
  sim <- mlp_sim(n = 200)
  sim$z <- instruments_matrix(sim)
  fit <- suppressWarnings(iv_latent(Y ~ X | z, sim, environment = ~environment,
    latent_dim = c(1, 1), cross_fit = 1, compare = FALSE, control = list(methods = c("flow",
      "ssa")), seed = 1), classes = "mrlearn_warning")
  expect_match(fit$tried$reason[fit$tried$method == "flow"], "one-to-one")
  expect_identical(fit$method, "ssa")
})
