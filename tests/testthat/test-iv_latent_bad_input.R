toy_environments <- function() environments_data(n = 200, seed = 1)$data

test_that("arguments of iv_latent()", {
  data <- toy_environments()
  expect_snapshot(error = TRUE, {
    iv_latent(Y ~ X | z, data, latent_dim = c(2, 2))
    iv_latent(Y ~ X | z, data, environment = ~environment)
    iv_latent(Y ~ X | z, data, environment = ~ environment + X, latent_dim = c(2, 2))
    iv_latent(Y ~ X | z, data, environment = 1:3, latent_dim = c(2, 2))
    iv_latent(Y ~ X | z, data, environment = ~environment, latent_dim = c(W = 2, V = 2))
    iv_latent(Y ~ X + 0 | z + 0, data, environment = ~environment, latent_dim = c(2, 2))
    fit_environments(data, control = list(least = 1))
    fit_environments(data, method = "auto", control = list(ssa = list(ssa_share = 1)))
    fit_environments(data, n_boot = 5)
    diagnostics(suppressWarnings(fit_environments(data)), truth = list(V = 1))
  })
})

test_that("one environment, or one of three people", {
  data <- toy_environments()
  data$environment <- factor("a")
  expect_snapshot(error = TRUE, fit_environments(data))
  data$environment <- c(rep("a", 397), rep("b", 3))
  expect_snapshot(error = TRUE, fit_environments(data))
  data$environment <- replace(rep(c("a", "b"), 200), 7, NA)
  expect_snapshot(error = TRUE, fit_environments(data))
})

test_that("more latents than instruments", {
  data <- toy_environments()
  fit <- function(dim) {
    suppressMessages(iv_latent(Y ~ X | z, data, environment = ~environment, latent_dim = dim,
      method = "ssa"))
  }
  # Five columns, mixtures of four latents and a constant.
  expect_snapshot(error = TRUE, fit(c(3, 2)))
  data$z[, 1:2] <- 2 * data$z[, 3] - data$z[, 4:5]
  expect_snapshot(error = TRUE, fit(c(2, 2)))
})

test_that("variants of one genotype in one environment", {
  sim <- environments_data(n = 500, mixing = "discrete", dim_z = 8, seed = 2)
  data <- sim$data
  data$z[data$environment == "1", 3] <- 0
  expect_snapshot(fit <- fit_environments(data))
  expect_true(all(is.finite(fit$latent$w)))
  data$z[, 3] <- 0
  expect_message(expect_warning(fit_environments(data), class = "mrlearn_warning_unidentified"),
    "Constant and left out: instruments `Z3`", class = "mrlearn_message_collinear")
})

test_that("genotypes missing by environment get the mean of their environment, and it is told", {
  sim <- environments_data(n = 500, mixing = "discrete", dim_z = 8, seed = 3)
  data <- sim$data
  hole <- which(data$environment == "2")[1:150]
  full <- data$z[, 4]
  data$z[hole, 4] <- NA
  conditions <- list()
  withCallingHandlers(fit_environments(data), condition = function(c) {
    conditions[[length(conditions) + 1L]] <<- c
    if (inherits(c, "warning")) tryInvokeRestart("muffleWarning")
    if (inherits(c, "message")) tryInvokeRestart("muffleMessage")
  })
  said <- Filter(function(c) inherits(c, "mrlearn_warning_missing"), conditions)
  expect_snapshot(cat(conditionMessage(said[[1]])))
  environment <- data$environment
  imputed <- cbind(Z4 = replace(full, hole, mean(full[-hole])))
  means <- suppressWarnings(impute_by_environment(imputed, environment,
    data.frame(instrument = "Z4", n_missing = 150)))
  expect_equal(means[hole, 1],
    rep(mean(full[setdiff(which(environment == "2"), hole)]), 150))
  data$z[data$environment == "2", 4] <- NA
  expect_error(suppressMessages(fit_environments(data)), "has no value in environment `2`",
    class = "mrlearn_error_data")
})

test_that("arithmetic that fails is told by its method", {
  # Columns that vary between environments alone.
  data <- toy_environments()
  data$z <- cbind(as.integer(data$environment), data$z[, 2:4])
  expect_error(suppressMessages(fit_environments(data)), class = "mrlearn_error_numeric")
})
