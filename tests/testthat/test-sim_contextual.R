context_names <- c(
  "age", "sex", "bmi", "smoker", "height", "weight", "bp_sys", "cholesterol", "glucose", "sleep"
)

test_that("the data.frame has the study's columns, all doubles", {
  sim <- sim_contextual(n = 50, L = 12)
  expect_s3_class(sim, c("mr_sim", "data.frame"), exact = TRUE)
  expect_named(sim, c("Y", "X", context_names, paste0("G", 0:11)))
  expect_true(all(vapply(sim, is.double, NA)))
  expect_identical(dim(sim), c(50L, 24L))
  expect_identical(truth(sim)$instruments, paste0("G", 0:11))
})

test_that("X and Y are rebuilt from the truth", {
  # Sums of some 70 terms of order 1, in another order: 1e-12 leaves a factor of 100.
  variants <- list(
    list(), list(use_context = FALSE), list(confounding = -0.7, pi_scale = 0.5),
    list(pleiotropy = c(sd = 0.3, mean = 0.1), ld = 0.5),
    list(beta = function(context) 0.3 + 0.2 * context$bmi - context$sex^2)
  )
  for (variant in variants) {
    sim <- do.call(sim_contextual, c(list(n = 5000, L = 50, seed = 3), variant))
    rebuilt <- oracle_contextual(sim)
    expect_equal(sim$X, rebuilt$X, tolerance = 1e-12)
    expect_equal(sim$Y, rebuilt$Y, tolerance = 1e-12)
    expect_equal(
      truth(sim)$context_std, oracle_standardise(as.data.frame(sim)[context_names]),
      tolerance = 1e-12
    )
  }
})

test_that("every column has the moments of its law", {
  n <- 1e5
  sim <- sim_contextual(n = n, L = 20, seed = 11)
  t <- truth(sim)
  mean <- c(30.5, 0.5, 25, 0.5, 170, 70, 120, 200, 90, 7)
  sd <- c(sqrt((38^2 - 1) / 12), 0.5, 4, 0.5, 10, 15, 15, 40, 15, 1.5)
  drawn <- c(
    as.list(sim[context_names]), list(t$U, t$noise_x, t$noise_y), as.list(sim[t$instruments])
  )
  mean <- c(mean, 0, 0, 0, 2 * t$mafs)
  sd <- c(sd, 1, 1, 1, sqrt(2 * t$mafs * (1 - t$mafs)))
  # 4 standard errors; the SD of an SD is at most sd sqrt((kurtosis - 1) / 4n), kurtosis < 13 for
  # frequencies above .05 and 3 for a normal law.
  z_mean <- (vapply(drawn, base::mean, 0) - mean) / (sd / sqrt(n))
  z_sd <- (vapply(drawn, stats::sd, 0) - sd) / (sd * sqrt(12 / (4 * n)))
  expect_lt(max(abs(z_mean)), 4)
  expect_lt(max(abs(z_sd)), 4)
  expect_setequal(sim$age, 12:49)
  expect_setequal(sim$sex, 0:1)
  expect_setequal(sim$smoker, 0:1)
  for (g in t$instruments[1:3]) {
    p <- stats::dbinom(0:2, 2, t$mafs[match(g, t$instruments)])
    expect_gt(stats::chisq.test(tabulate(sim[[g]] + 1, 3), p = p)$p.value, 1e-4)
  }
  # All columns independent of each other: 33 x 32 / 2 correlations of SD 1/sqrt(n), 4.8 SD is
  # passed by the largest with probability 8e-4.
  r <- stats::cor(do.call(cbind, drawn))
  expect_lt(max(abs(r[upper.tri(r)])), 4.8 / sqrt(n))
})

test_that("SNPs have the laws that were asked for", {
  # 2000 SNPs: means within 4 standard errors.
  sim <- sim_contextual(
    n = 2, L = 2000, maf = c(0.1, 0.3), pi_scale = 0.2, pleiotropy = c(mean = 0.5, sd = 0.1),
    seed = 4
  )
  t <- truth(sim)
  expect_gt(stats::ks.test(t$mafs, "punif", 0.1, 0.3)$p.value, 1e-4)
  expect_gt(stats::ks.test(t$pi, "pnorm", 0, 0.2)$p.value, 1e-4)
  expect_gt(stats::ks.test(t$alpha, "pnorm", 0.5, 0.1)$p.value, 1e-4)
  expect_lt(abs(stats::cor(t$pi, t$alpha)), 4 / sqrt(2000))
  fixed <- truth(sim_contextual(n = 2, L = 5, pleiotropy = c(mean = 0.2, sd = 0)))
  expect_identical(fixed$alpha, rep(0.2, 5))
  expect_identical(truth(sim_contextual(n = 2, L = 5))$alpha, rep(0, 5))
})

test_that("the number of threads changes nothing", {
  draw <- function(n_threads) {
    sim <- sim_contextual(n = 20000, L = 70, ld = 0.2, seed = 5, n_threads = n_threads)
    c(unclass(as.data.frame(sim)), truth(sim)[setdiff(names(truth(sim)), "curve")])
  }
  expect_identical(draw(1), draw(2))
})

test_that("more people or SNPs keep the first ones", {
  small <- sim_contextual(n = 5000, L = 3, seed = 9)
  large <- sim_contextual(n = 9000, L = 8, seed = 9)
  same <- c(context_names, "G0", "G1", "G2")
  expect_identical(as.data.frame(small)[same], as.data.frame(large)[1:5000, same])
  expect_identical(truth(small)$pi, truth(large)$pi[1:3])
})

test_that("a seed leaves R's generator alone and none takes one from it", {
  set.seed(1)
  before <- .Random.seed
  a <- sim_contextual(n = 10, L = 2, seed = 8)
  expect_identical(.Random.seed, before)
  expect_identical(sim_contextual(n = 10, L = 2, seed = 8)$Y, a$Y)
  expect_false(identical(sim_contextual(n = 10, L = 2, seed = 9)$Y, a$Y))
  set.seed(1)
  b <- sim_contextual(n = 10, L = 2, seed = NULL)
  expect_false(identical(.Random.seed, before))
  expect_false(identical(sim_contextual(n = 10, L = 2, seed = NULL)$Y, b$Y))
  set.seed(1)
  expect_identical(sim_contextual(n = 10, L = 2, seed = NULL)$Y, b$Y)
  expect_identical(sim_contextual(n = 10, L = 2, seed = truth(b)$seed)$Y, b$Y)
  expect_identical(truth(sim_contextual(n = 10, L = 2))$seed, 7)
})

test_that("without context X and Y do not depend on it", {
  n <- 20000
  sim <- sim_contextual(n = n, L = 5, use_context = FALSE, seed = 6)
  expect_true(all(context_names %in% names(sim)))
  r <- stats::cor(as.data.frame(sim)[c("X", "Y")], as.data.frame(sim)[context_names])
  expect_lt(max(abs(r)), 4 / sqrt(n))
  # In the study's design the largest, of glucose with Y, is (.18 + .3 .12) / SD(Y), about .12.
  with <- sim_contextual(n = n, L = 5, seed = 6)
  expect_gt(stats::cor(with$Y, with$glucose), 0.12 - 4 / sqrt(n))
})

test_that("least squares is confounded as derived", {
  # plim OLS = .3 + (confounding^2 + gamma'zeta) / Var(X), Var(X) = sum 2 p q pi^2 + gamma'gamma +
  # confounding^2 + 1. The slope's SE at n = 20000 is about sqrt(1.5 / (2.1 n)) = .006.
  for (seed in 1:3) {
    sim <- sim_contextual(n = 20000, L = 30, seed = seed)
    t <- truth(sim)
    var_x <- sum(2 * t$mafs * (1 - t$mafs) * t$pi^2) + sum(t$gamma^2) + 2
    expect_lt(abs(oracle_slope(sim) - (0.3 + (1 + sum(t$gamma * t$zeta)) / var_x)), 4 * 0.006)
    expect_gt(oracle_slope(sim), 0.75)
    expect_lt(oracle_slope(sim), 0.83)
  }
})

test_that("two-stage least squares approaches the truth as n grows", {
  # At n = 20000, L = 50 its SD is about .03 and weak-instrument bias (OLS bias / first-stage F,
  # .48 / 35) .014; the median of 20 has an SD of 1.25 * .03 / sqrt(20) = .0084.
  estimates <- vapply(1:20, function(seed) {
    oracle_two_stage(sim_contextual(n = 20000, L = 50, seed = seed))
  }, 0)
  expect_lt(abs(stats::median(estimates) - 0.314), 4 * 0.0084)
})

test_that("two-stage least squares errs as much as measured for the study's design", {
  # Mean squared errors over 50 seeds (an independent implementation of the same design). The bound
  # is 4 standard errors of the difference of two means, ours over `seeds` and theirs over 50.
  cells <- data.frame(
    n = c(1000, 1000, 5000, 5000), L = c(15, 50, 15, 50), mse = c(0.056, 0.045, 0.012, 0.0040),
    seeds = c(300, 200, 150, 50)
  )
  for (i in seq_len(nrow(cells))) {
    error <- vapply(seq_len(cells$seeds[i]), function(seed) {
      (oracle_two_stage(sim_contextual(n = cells$n[i], L = cells$L[i], seed = 1000 + seed)) - 0.3)^2
    }, 0)
    bound <- 4 * stats::sd(error) * sqrt(1 / cells$seeds[i] + 1 / 50)
    expect_lt(abs(mean(error) - cells$mse[i]), bound)
  }
})

test_that("direct effects of the SNPs bias two-stage least squares as they should", {
  # alpha = pi gives ratio estimates of .3 + 1 for every SNP; mean .2 alone leaves no such relation,
  # so here each SNP's own association with Y is checked: pi beta + alpha, SE about
  # sqrt(Var(Y) / (2 p q n)).
  n <- 1e5
  sim <- sim_contextual(n = n, L = 10, pleiotropy = c(mean = 0.1, sd = 0.2), seed = 12)
  t <- truth(sim)
  fit <- stats::lm.fit(cbind(1, as.matrix(sim[t$instruments])), sim$Y)
  se <- stats::sd(fit$residuals) / sqrt(2 * t$mafs * (1 - t$mafs) * n)
  z <- (fit$coefficients[-1] - (t$pi * t$beta + t$alpha)) / se
  expect_lt(max(abs(z)), 4)
  expect_gt(max(abs(t$alpha) / se), 20) # so leaving alpha out would be seen
})

test_that("neighbouring loci have the correlation that truth() says", {
  n <- 1e5
  sim <- sim_contextual(n = n, L = 20, ld = 0.6, seed = 13)
  t <- truth(sim)
  r <- stats::cor(as.matrix(sim[t$instruments]))
  neighbours <- r[cbind(1:19, 2:20)]
  # The SE of a correlation of genotypes with frequencies above .05 is below 2/sqrt(n).
  expect_lt(max(abs(neighbours - t$ld)), 4 * 2 / sqrt(n))
  # Frequencies p < q allow sqrt(p (1 - q) / (q (1 - p))) at most.
  p <- pmin(t$mafs[-1], t$mafs[-20])
  q <- pmax(t$mafs[-1], t$mafs[-20])
  expect_equal(t$ld, pmin(0.6, sqrt(p * (1 - q) / (q * (1 - p)))), tolerance = 1e-12)
  expect_true(any(t$ld < 0.6) && any(t$ld == 0.6))
  # Two steps: the product.
  expect_lt(max(abs(r[cbind(1:18, 3:20)] - t$ld[-19] * t$ld[-1])), 4 * 2 / sqrt(n))
  # The marginal law is the same: in Hardy-Weinberg proportions at the frequency that truth() has.
  for (j in c(2, 20)) {
    p <- stats::dbinom(0:2, 2, t$mafs[j])
    expect_gt(stats::chisq.test(tabulate(sim[[t$instruments[j]]] + 1, 3), p = p)$p.value, 1e-4)
  }
  expect_identical(truth(sim_contextual(n = 2, L = 4))$ld, numeric(3))
  expect_identical(truth(sim_contextual(n = 2, L = 1, ld = 0.5))$ld, numeric(0))
})

test_that("the causal effect may depend on the context", {
  seen <- NULL
  slope <- function(context) {
    seen <<- context
    0.3 + 0.1 * context$bmi
  }
  sim <- sim_contextual(n = 500, L = 5, beta = slope)
  expect_s3_class(seen, "data.frame", exact = TRUE)
  expect_named(seen, context_names)
  expect_equal(truth(sim)$beta, 0.3 + 0.1 * truth(sim)$context_std[, "bmi"])
  constant <- sim_contextual(n = 500, L = 5)
  expect_identical(sim$X, constant$X)
  expect_equal(sim$Y - constant$Y, 0.1 * truth(sim)$context_std[, "bmi"] * sim$X, tolerance = 1e-12)
  expect_identical(
    sim_contextual(n = 50, L = 2, beta = function(context) rep(1L, nrow(context)))$Y,
    sim_contextual(n = 50, L = 2, beta = 1)$Y
  )
})

test_that("the curve is the mean outcome under an intervention", {
  sim <- sim_contextual(
    n = 1e5, L = 10, beta = function(context) 0.5 + context$age, seed = 14,
    pleiotropy = c(mean = 0.3, sd = 0.1)
  )
  t <- truth(sim)
  # Setting X by hand; the mean over people has an SE of SD(Y - beta X) / sqrt(n).
  rest <- sim$Y - t$beta * sim$X
  for (x in c(-1, 0, 2)) {
    expect_lt(abs(t$curve(x) - mean(rest + t$beta * x)), 4 * stats::sd(rest) / sqrt(1e5))
  }
  expect_lt(length(serialize(t$curve, NULL)), 5000) # it does not hold on to the data
})

test_that("parts and copies of the data lose the truth, changes in place keep it", {
  sim <- sim_contextual(n = 20, L = 2)
  plain <- function(x) {
    testthat::expect_s3_class(x, "data.frame", exact = TRUE)
    testthat::expect_named(attributes(x), c("names", "row.names", "class"), ignore.order = TRUE)
  }
  plain(sim[1:5, ])
  plain(sim[c("Y", "X")])
  plain(sim[, c("Y", "X")])
  plain(sim[])
  plain(utils::head(sim))
  plain(subset(sim, X > 0, select = X))
  plain(as.data.frame(sim))
  expect_identical(sim[, "X"], sim$X)
  expect_identical(sim[["X"]], sim$X)
  expect_identical(sim[3, "X"], sim$X[3])
  expect_identical(as.data.frame(sim)[2:3, ], sim[2:3, ])
  sim$noisy <- sim$X + 1
  expect_s3_class(sim, "mr_sim")
  expect_identical(truth(sim)$n, 20L)
  expect_identical(unserialize(serialize(sim, NULL)), sim)
})

test_that("the smallest data are possible", {
  sim <- sim_contextual(n = 2, L = 1, seed = 1)
  expect_true(all(vapply(sim, function(v) all(is.finite(v)), NA)))
  constant <- vapply(sim[context_names], function(v) v[1] == v[2], NA)
  expect_true(any(constant))
  expect_true(all(truth(sim)$context_std[, constant] == 0))
})

test_that("arguments are checked", {
  expect_error(sim_contextual(n = 1), class = "mrlearn_error_argument")
  expect_snapshot(error = TRUE, {
    sim_contextual(n = 1)
    sim_contextual(L = 0)
    sim_contextual(L = 2.5)
    sim_contextual(use_context = NA)
    sim_contextual(beta = c(1, 2))
    sim_contextual(beta = Inf)
    sim_contextual(beta = "a")
    sim_contextual(n = 50, beta = function(context) 1)
    sim_contextual(n = 50, beta = function(context) "a")
    sim_contextual(n = 50, beta = function(context) c(NA, Inf, rep(1, 48)))
    sim_contextual(pi_scale = -1)
    sim_contextual(pleiotropy = c(0, 1))
    sim_contextual(pleiotropy = c(mean = 0, sd = -1))
    sim_contextual(pleiotropy = NULL)
    sim_contextual(confounding = NA)
    sim_contextual(maf = c(0, 0.5))
    sim_contextual(maf = c(0.4, 0.2))
    sim_contextual(maf = 0.3)
    sim_contextual(ld = -0.1)
    sim_contextual(ld = 1.1)
    sim_contextual(seed = 1.5)
    sim_contextual(n_threads = 0)
    sim_contextual(confounding = 1.7e308)
    sim_contextual(beta = 1e308)
    truth(data.frame(x = 1))
  })
  sim <- sim_contextual(n = 5, L = 1)
  expect_snapshot(error = TRUE, truth(rbind(sim, sim)))
  classes <- function(expr) class(tryCatch(expr, error = identity))[1]
  expect_identical(classes(sim_contextual(beta = function(context) 1)), "mrlearn_error_argument")
  expect_identical(classes(sim_contextual(confounding = 1.7e308)), "mrlearn_error_numeric")
})

test_that("printing is short", {
  expect_snapshot(print(sim_contextual(n = 12345, L = 20)))
  expect_snapshot(print(sim_contextual(n = 3, L = 1, use_context = FALSE)))
  expect_snapshot(print(sim_contextual(
    n = 30, L = 4, beta = function(context) 0.3 + 0.1 * context$bmi
  ), n = 2))
})
