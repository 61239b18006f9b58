test_that("stationary directions are those of the definition", {
  sim <- environments_data(n = c(400, 300, 500), n_env = 3, mixing = "linear", dim_z = 7, seed = 1)
  environment <- as.integer(sim$data$environment)
  order <- order(stats::runif(1200)) # rows of an environment need not be adjacent
  z <- sim$data$z[order, ]
  found <- ssa_rotation(z, environment[order], c(V = 2L, W = 2L))
  slow <- ssa_slow(z, environment[order], 4)
  # The mixing's condition is some tens: 1e-9 is far above the rounding.
  expect_equal(found$values, slow$values, tolerance = 1e-9)
  latent <- sweep(z, 2, found$center) %*% found$transform
  expect_equal(abs(latent), unname(abs(slow$latent)), tolerance = 1e-7)
  expect_identical(found$rank, 4)
})

test_that("without cross-fitting it is 2SLS with the latents of all rows", {
  sim <- environments_data(n = 1000, seed = 2)
  fit <- fit_environments(sim$data, cross_fit = 1)
  slow <- ssa_slow(sim$data$z, sim$data$environment, 4)
  data <- sim$data
  data$w <- slow$latent[, 3:4]
  data$v <- slow$latent[, 1:2]
  expected <- iv_2sls(Y ~ X | w, data = data, vcov = "HC1")
  # Through rotations of nearly collinear instruments some digits are lost.
  expect_equal(coef(fit), coef(expected), tolerance = 1e-7)
  expect_equal(vcov(fit), vcov(expected), tolerance = 1e-6)
  partial <- fit_environments(sim$data, cross_fit = 1, partial_out = TRUE)
  expected <- iv_2sls(Y ~ X + v | w + v, data = data, vcov = "HC1")
  expect_equal(coef(partial)[["X"]], coef(expected)[["X"]], tolerance = 1e-7)
  expect_equal(vcov(partial)["X", "X"], vcov(expected)["X", "X"], tolerance = 1e-6)
  expect_named(coef(partial), c("(Intercept)", "X"))
})

test_that("cross-fitting uses the other half's representation, and both halves at once", {
  sim <- environments_data(n = 1000, seed = 3)
  fit <- fit_environments(sim$data)
  rows <- fit$latent$fold == 1
  expect_equal(as.integer(table(fit$latent$fold, sim$data$environment)), rep(500L, 4))
  environment <- as.integer(sim$data$environment)
  z <- sim$data$z[, fit$kept_instruments]
  other <- latent_ssa(z[!rows, ], environment[!rows], c(V = 2L, W = 2L))
  w <- latent_apply(other, z[rows, ])$w
  expect_equal(fit$latent$w[rows, ], sweep(w, 2, colMeans(w)), tolerance = 1e-10)
  blocks <- cbind(fit$latent$w * rows, fit$latent$w * !rows)
  expected <- iv_2sls(y = sim$data$Y, x = sim$data$X, z = blocks, vcov = "HC1")
  expect_equal(unname(coef(fit)), unname(coef(expected)), tolerance = 1e-9)
  expect_equal(unname(vcov(fit)), unname(vcov(expected)), tolerance = 1e-9)
  expect_identical(length(fit$representations), 2L)
})

test_that("closed forms remove the bias of linear and polynomial mixtures", {
  # The standard error of the effect is about .03 here and the bias of 2SLS(Z) .3: 4 of them.
  for (degree in 1:3) {
    sim <- environments_data(n = 2000, degree = degree, hard = degree == 2, seed = 4)
    fit <- fit_environments(sim$data, method = "auto",
      control = list(methods = c("ssa", "closure")))
    expect_identical(fit$method, if (degree == 1) "ssa" else "closure")
    expect_true(fit$identified)
    row <- tidy(fit, exposures_only = TRUE)
    expect_lt(abs(row$estimate - 1), 4 * row$std.error)
    expect_lt(row$std.error, 0.05)
    biased <- fit$estimators[fit$estimators$estimator == "2SLS(Z)", ]
    expect_gt(biased$estimate - 1, 4 * biased$std.error)
    found <- diagnostics(fit, truth = sim$truth, n_perm = 19, n_sub = 20, seed = 1)
    value <- stats::setNames(found$statistic, found$diagnostic)
    expect_gt(value[["W explained by latent W"]], 0.99)
    expect_lt(value[["V explained by latent W"]], 0.01)
  }
})

test_that("\"auto\" refuses where environments are alike, and says so", {
  sim <- environments_data(n = 1000, shift = 0, scale = 0, seed = 5)
  methods <- list(methods = c("ssa", "closure"))
  expect_warning(fit <- fit_environments(sim$data, method = "auto", control = methods),
    class = "mrlearn_warning_unidentified")
  expect_false(fit$identified)
  row <- tidy(fit, conf.int = TRUE, exposures_only = TRUE)
  expect_identical(c(row$conf.low, row$conf.high), c(-Inf, Inf))
  expect_identical(fit$estimators$conf.low[1:2], c(-Inf, -Inf))
  expect_match(fit$tried$reason[1], "hardly differ")
  # By name the estimate keeps its standard error, with the same warning.
  expect_warning(named <- fit_environments(sim$data), class = "mrlearn_warning_unidentified")
  expect_true(is.finite(tidy(named)$std.error[2]))
})

test_that("the estimators beside it are those of the package", {
  sim <- environments_data(n = 1000, n_env = 3, seed = 6)
  fit <- fit_environments(sim$data)
  beside <- stats::setNames(fit$estimators$estimate, fit$estimators$estimator)
  x <- function(fit) coef(fit)[["X"]]
  quiet <- function(expr) suppressMessages(expr)
  data <- sim$data
  expect_equal(beside[["2SLS(W)"]], x(fit))
  expect_equal(beside[["2SLS(Z)"]], quiet(x(iv_2sls(Y ~ X | z, data))), tolerance = 1e-8)
  expect_equal(beside[["LIML(Z)"]], quiet(x(iv_liml(Y ~ X | z, data))), tolerance = 1e-8)
  expect_equal(beside[["OLS"]], x(iv_ols(Y ~ X, data)), tolerance = 1e-10)
  expect_equal(beside[["PO(environment)-2SLS(Z)"]],
    quiet(x(iv_2sls(Y ~ X + environment | z + environment, data))), tolerance = 1e-8)
  data$pc <- stats::prcomp(data$z, scale. = TRUE)$x[, 1:2]
  expect_equal(beside[["2SLS(Z) + PCs"]], quiet(x(iv_2sls(Y ~ X + pc | z + pc, data))),
    tolerance = 1e-6)
  marginal <- apply(data$z, 2, function(g) {
    on <- summary(stats::lm(data$Y ~ g + data$environment))$coefficients["g", 1:2]
    c(stats::lm(data$X ~ g + data$environment)$coefficients[[2]], on)
  })
  sign <- sign(marginal[1, ])
  egger <- stats::lm(I(sign * marginal[2, ]) ~ I(sign * marginal[1, ]),
    weights = 1 / marginal[3, ]^2)
  expect_equal(beside[["PO(environment)-Egger(Z)"]], stats::coef(egger)[[2]], tolerance = 1e-8)
})

test_that("covariates, weights, clusters and matrices follow the other estimators", {
  sim <- environments_data(n = 1500, seed = 7)
  data <- sim$data
  set.seed(1)
  data$c1 <- stats::rnorm(3000)
  data$Y <- data$Y + data$c1
  data$family <- rep(1:750, 4) # families of four, across environments
  by_formula <- iv_latent(Y ~ X + c1 | z + c1, data, environment = ~environment,
    latent_dim = c(V = 2, W = 2), method = "ssa", cluster = ~family, seed = 1)
  by_matrix <- iv_latent(y = data$Y, x = data[["X"]], z = data$z, w = data$c1,
    environment = data$environment, latent_dim = c(2, 2), method = "ssa", cluster = data$family,
    seed = 1)
  expect_equal(unname(coef(by_formula)[c("X", "c1")]), unname(coef(by_matrix)[c("x", "w")]))
  expect_identical(by_formula$vcov_type, "cluster")
  # A family is in one fold.
  expect_true(all(tapply(by_formula$latent$fold, data$family, function(f) length(unique(f))) == 1))
  expect_equal(effect_curve(by_formula, x = 1, reference = 0)$estimate, coef(by_formula)[["X"]])
  some <- iv_latent(Y ~ X | z, data, environment = ~environment, latent_dim = c(2, 2),
    method = "ssa", subset = c1 > -1, seed = 1)
  expect_identical(nobs(some), sum(data$c1 > -1))
  expect_identical(as.character(some$latent$environment),
    as.character(data$environment[data$c1 > -1]))
})

test_that("the bootstrap repeats representation and regression", {
  sim <- environments_data(n = 1500, seed = 8)
  fit <- fit_environments(sim$data, n_boot = 40, compare = FALSE)
  plain <- fit_environments(sim$data, compare = FALSE)
  expect_identical(fit$vcov_type, "bootstrap")
  expect_identical(coef(fit), coef(plain))
  expect_equal(vcov(fit), stats::cov(fit$boot$estimates))
  # The representation's own error may double the standard error, not more, nor halve it.
  ratio <- sqrt(vcov(fit)["X", "X"] / vcov(plain)["X", "X"])
  expect_gt(ratio, 0.5)
  expect_lt(ratio, 2)
  again <- fit_environments(sim$data, n_boot = 40, compare = FALSE)
  expect_identical(fit$boot$estimates, again$boot$estimates)
  # A replicate is what the resampled rows give.
  how <- list(cross_fit = 2L, seed = 1)
  environment <- as.integer(sim$data$environment)
  problem <- list(frame = list(y = sim$data$Y, x = cbind(X = sim$data$X), w = matrix(0, 3000, 0)),
    z = sim$data$z, environment = environment, labels = c("1", "2"), fold = fit$latent$fold)
  draw <- resample_problem(problem, how, 3)
  expect_identical(as.integer(table(draw$environment)), c(1500L, 1500L))
  blocks <- lapply(1:2, function(k) {
    rows <- draw$fold == k
    part <- latent_ssa(draw$z[!rows, ], draw$environment[!rows], c(V = 2L, W = 2L))
    w <- latent_apply(part, draw$z)$w
    sweep(w, 2, colMeans(w[rows, ])) * rows
  })
  by_hand <- iv_2sls(y = draw$frame$y, x = draw$frame$x[, 1], z = do.call(cbind, blocks))
  expect_equal(unname(fit$boot$estimates[3, ]), unname(coef(by_hand)), tolerance = 1e-8)
})

test_that("seeds, threads, units and saved fits", {
  sim <- environments_data(n = 1500, seed = 9)
  fit <- fit_environments(sim$data)
  expect_identical(fit_environments(sim$data, n_threads = 2)[c("coefficients", "vcov")],
    fit[c("coefficients", "vcov")])
  set.seed(2)
  a <- fit_environments(sim$data, seed = NULL)
  set.seed(2)
  expect_identical(coef(fit_environments(sim$data, seed = NULL)), coef(a))
  scaled <- sim$data
  scaled$z <- sweep(scaled$z, 2, c(100, 1e-3, 1, -5, 2), "*")
  expect_equal(coef(fit_environments(scaled)), coef(fit), tolerance = 1e-7)
  path <- withr::local_tempfile()
  saveRDS(fit, path)
  expect_equal(diagnostics(readRDS(path), n_perm = 19, n_sub = 50, seed = 1),
    diagnostics(fit, n_perm = 19, n_sub = 50, seed = 1))
  z <- sim$data$z[, fit$kept_instruments]
  part <- latent_apply(fit$representations[[1]], z[5:7, ])
  expect_equal(part$w, latent_apply(fit$representations[[1]], z)$w[5:7, ], tolerance = 1e-12)
})

test_that("pictures and printing", {
  sim <- environments_data(n = 2000, seed = 10)
  fit <- fit_environments(sim$data)
  withr::local_pdf(NULL)
  scree <- plot(fit)
  expect_identical(scree$eigenvalue, as.vector(fit$eigenvalues))
  expect_identical(nrow(plot(fit, type = "estimators")), 9L)
  expect_snapshot(print(fit, digits = 3))
})
