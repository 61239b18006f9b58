# Autoencoders of instruments from several environments.

poly_sim <- function(n = 1500, n_env = 3, degree = 2, seed = 51, ...) {
  sim_environments(n = n, n_env = n_env, degree = degree, seed = seed, ...)
}
autoencoder_of <- function(sim, ..., seed = 3, n_threads = 1L) {
  z <- as.matrix(as.data.frame(sim)[truth(sim)$instruments])
  latent_autoencoder(z, as.integer(sim$environment), c(V = 2L, W = 2L), list(...), seed, n_threads)
}
columns_of_z <- function(sim) as.matrix(as.data.frame(sim)[truth(sim)$instruments])
share_explained <- function(y, x) {
  1 - sum(lm.fit(cbind(1, x), y)$residuals^2) / sum(sweep(y, 2, colMeans(y))^2)
}

test_that("the latents of a polynomial mixing are found from random starts", {
  sim <- poly_sim()
  fit <- autoencoder_of(sim, degree = 2, epochs = 120, batch_size = 150, restarts = 2)
  latent <- latent_apply(fit, columns_of_z(sim))
  # With 10,000 people R2 is .999 in all of 8 runs; here 960 steps on an eighth of the rows.
  expect_gt(share_explained(truth(sim)$W, latent$w), 0.97)
  expect_lt(share_explained(latent$w, truth(sim)$V), 0.01)
  expect_gt(fit$r2, 0.99)
  expect_true(fit$gate$passed)
  expect_match(fit$gate$reason, paste("eigenvalue 2 is", signif(fit$gate$statistic, 2)),
    fixed = TRUE)
  expect_named(fit$restarts, c("mmd", "hsic", "r2"))
  expect_identical(nrow(fit$history), 240L)
  expect_lt(fit$history$loss[120], fit$history$loss[1])
})

test_that("columns standardised instead of sphered hide a latent that is wrong", {
  sim <- poly_sim()
  fit <- autoencoder_of(sim, degree = 2, epochs = 20, batch_size = 200, restarts = 1,
    inputs = "standardised")
  latent <- latent_apply(fit, columns_of_z(sim))
  expect_gt(fit$r2, 0.9)
  expect_lt(share_explained(truth(sim)$W, latent$w), 0.9)
  expect_false(fit$gate$passed)
})

test_that("a linear encoder that starts at the closed form has its latent", {
  sim <- poly_sim(n = 400, n_env = 2, degree = 1)
  z <- columns_of_z(sim)
  fit <- autoencoder_of(sim, decoder = "linear", epochs = 1, restarts = 1, start = "ssa",
    learning_rate = 1e-12)
  closed <- latent_ssa(z, as.integer(sim$environment), c(V = 2L, W = 2L))
  # Up to signs. Weights are single precision, 6e-8 of terms up to 10.
  for (block in c("v", "w")) {
    expect_equal(unname(abs(latent_apply(fit, z)[[block]])),
      unname(abs(latent_apply(closed, z)[[block]])), tolerance = 1e-5)
  }
  expect_equal(fit$eigenvalues, closed$eigenvalues, tolerance = 1e-4)
})

test_that("every encoder, decoder, kernel and scale trains", {
  sim <- poly_sim(n = 120, n_env = 2)
  few <- function(...) {
    autoencoder_of(sim, ..., hidden = c(8, 6), epochs = 3, batch_size = 40, restarts = 1)
  }
  for (encoder in latent_coders) {
    for (decoder in latent_coders) {
      fit <- few(encoder = encoder, decoder = decoder, degree = 2)
      expect_true(all(is.finite(fit$history$loss)))
      expect_true(all(is.finite(unlist(latent_apply(fit, columns_of_z(sim))))))
    }
  }
  expect_true(all(is.finite(few(neighbours = 5)$history$entropy)))
  for (scale in c("whitened", "published")) {
    for (kernel in latent_kernels) {
      fit <- few(kernel = kernel, scale = scale, encoder = "mlp", schedule = "plateau")
      expect_true(all(is.finite(fit$history$loss)))
      expect_identical(fit$held_out, sort(unique(fit$held_out)))
      expect_identical(as.integer(table(sim$environment[fit$held_out])), c(24L, 24L))
    }
  }
})

test_that("results depend on the seed, not on threads or on saving", {
  sim <- poly_sim(n = 150, n_env = 2)
  few <- function(...) {
    autoencoder_of(sim, encoder = "mlp", hidden = 8, degree = 2, epochs = 3, batch_size = 40,
      restarts = 3, ...)
  }
  one <- few()
  same <- setdiff(names(one), c("seconds", "network"))
  two <- few(n_threads = 2L)
  expect_identical(two[same], one[same])
  expect_identical(two$network$params, one$network$params)
  expect_false(identical(few(seed = 4)$network$params, one$network$params))
  path <- withr::local_tempfile()
  saveRDS(one, path)
  z <- columns_of_z(sim)
  expect_identical(latent_apply(readRDS(path), z), latent_apply(one, z))
  expect_equal(latent_apply(one, z[7:9, ])$w, latent_apply(one, z)$w[7:9, ], tolerance = 1e-6)
})

test_that("eigenvalues of a block are those of the closed form", {
  sim <- poly_sim(n = 400, n_env = 3, degree = 1)
  x <- cbind(truth(sim)$V, truth(sim)$W)
  e <- as.integer(sim$environment)
  expect_equal(stationarity(x, e), ssa_rotation(x, e, c(V = 2L, W = 2L))$values, tolerance = 1e-8)
})

test_that("inputs are what they are said to be", {
  z <- columns_of_z(poly_sim(n = 200, degree = 2))
  sphered <- apply_inputs(prepare_inputs(z, "sphered"), z)
  expect_identical(ncol(sphered), 14L) # 15 monomials, one of them constant
  expect_equal(crossprod(sphered) / nrow(z), diag(14), tolerance = 1e-8)
  standardised <- apply_inputs(prepare_inputs(z, "standardised"), z)
  expect_equal(unname(colMeans(standardised^2)), rep(1, 15), tolerance = 1e-12)
})

test_that("rows and columns must suffice", {
  sim <- poly_sim(n = 60, n_env = 2)
  expect_error(
    latent_autoencoder(columns_of_z(sim)[, 1:3], as.integer(sim$environment), c(V = 2L, W = 2L)),
    class = "mrlearn_error_data"
  )
  rows <- c(1:8, 61:100)
  expect_error(
    latent_autoencoder(columns_of_z(sim)[rows, ], rep(1:2, c(8, 40)), c(V = 2L, W = 2L)),
    class = "mrlearn_error_numeric"
  )
})

test_that("the latent is split by stationarity, or as it was learned", {
  sim <- poly_sim(n = 400, n_env = 2, degree = 1)
  z <- columns_of_z(sim)
  environment <- as.integer(sim$environment)
  of <- function(...) {
    autoencoder_of(sim, decoder = "linear", epochs = 5, batch_size = 100, restarts = 1, ...)
  }
  learned <- of(split = "learned")
  latent <- encode_latent(learned$network, z)
  expect_equal(latent_apply(learned, z)$w, sweep(latent, 2, colMeans(latent))[, 3:4])
  expect_equal(learned$gate$statistic, max(stationarity(latent[, 3:4], environment)))
  rotated <- of()
  found <- ssa_rotation(latent, environment, c(V = 2L, W = 2L))
  expect_equal(latent_apply(rotated, z)$w, (sweep(latent, 2, found$center) %*%
    found$transform)[, 3:4])
  expect_equal(rotated$gate$statistic, found$values[2])
  # A W with a tenth of V is refused though its eigenvalues pass.
  truth <- truth(sim)
  mixed <- cbind(truth$V, truth$W + 0.3 * truth$V[, 2:1] %*% diag(c(1, -1)))
  loose <- found
  loose$gate <- list(passed = TRUE, threshold = Inf)
  expect_false(learned_gate(loose, mixed[, 3:4], environment, c(V = 2L, W = 2L), latent)$passed)
})

test_that("an MLP as decoder is refused where environments are too few", {
  few <- function(n_env) {
    autoencoder_of(poly_sim(n = 300, n_env = n_env), decoder = "mlp", encoder = "mlp", hidden = 8,
      epochs = 2, batch_size = 100, restarts = 1)
  }
  passed <- list(passed = TRUE, threshold = 1, statistic = 0, reason = "")
  judge <- function(n_env) {
    fit <- few(n_env)
    z <- columns_of_z(poly_sim(n = 300, n_env = n_env))
    autoencoder_gate(c(fit[c("center", "transform")], list(gate = passed)),
      encode_latent(fit$network, z), rep(seq_len(n_env), each = 300), c(V = 2L, W = 2L), 1,
      latent_control(decoder = "mlp"), 1)
  }
  expect_match(judge(2)$reason, "needs 3 environments for 2 dimensions of V, not 2")
  expect_no_match(judge(3)$reason, "needs 3 environments")
})

test_that("relevance makes W predict the exposure", {
  sim <- poly_sim(n = 400, n_env = 2, degree = 1)
  x <- cbind(X = sim$X)
  of <- function(relevance, exposure = x) {
    latent_autoencoder(columns_of_z(sim), as.integer(sim$environment), c(V = 2L, W = 2L),
      list(decoder = "linear", epochs = 40, batch_size = 100, restarts = 1, split = "learned",
        relevance = relevance), 3, 1L, exposure)
  }
  without <- of(0)
  expect_identical(unique(without$history$relevance), 0)
  expect_identical(of(0, NULL)$network$params, without$network$params)
  with <- of(1)
  share <- function(fit) share_explained(x, latent_apply(fit, columns_of_z(sim))$w)
  strong <- of(100) # V explains more of the exposure than W does
  expect_gt(share(strong), share(without) + 0.1)
  # The predictor's error of a standardised exposure, 1 for a constant.
  expect_lt(strong$history$relevance[40], with$history$relevance[40] - 0.1)
  expect_lt(with$history$relevance[40], 1)
  scaled <- of(1, 1000 * x + 5)
  expect_equal(scaled$history$relevance, with$history$relevance, tolerance = 1e-3)
})
