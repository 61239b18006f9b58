# The simulator of summary data: its parts add up, its laws hold. Seeds are fixed; bounds of random
# quantities are four standard errors (a chance of 6e-5 each, were the seed drawn).

big_sim <- function(...) sim_summary(n_snps = 100, n_pairs = 200, seed = 11, ...)

test_that("it is a harmonised frame with its truth", {
  sim <- sim_summary(n_snps = 7, n_pairs = 3, theta = 0.4, seed = 2)
  expect_s3_class(sim, c("mr_sim", "data.frame"), exact = TRUE)
  expect_identical(names(sim), names(mr_data(1, 1, 1, 1)))
  expect_identical(dim(sim), c(21L, 20L))
  expect_identical(unique(sim$id.exposure), c("X1", "X2", "X3"))
  expect_identical(sim$SNP[1:8], c(paste0("rs", 1:7), "rs1"))
  truth <- truth(sim)
  expect_identical(c(truth$beta, truth$theta, truth$curve(2)), c(0.4, 0.4, 0.8))
  expect_identical(truth$n, 21L)
  expect_identical(truth$seed, 2)
  expect_identical(lengths(truth[c("gamma", "alpha", "valid", "mafs")], use.names = FALSE),
    rep(21L, 4))
  expect_identical(mr_estimate(sim, "mr_ivw")$nsnp, rep(7L, 3))
  expect_output(print(sim), "3 pairs of 7 variants, causal effect 0.4, seed 2")
})

test_that("seeds rule, threads do not", {
  expect_identical(sim_summary(seed = 3), sim_summary(seed = 3))
  expect_false(identical(sim_summary(seed = 3)$beta.outcome, sim_summary(seed = 4)$beta.outcome))
  expect_identical(sim_summary(n_pairs = 40, seed = 3, n_threads = 1),
    sim_summary(n_pairs = 40, seed = 3, n_threads = 3))
  set.seed(1)
  one <- sim_summary()
  set.seed(1)
  expect_identical(sim_summary(), one)
  state <- .Random.seed
  sim_summary(seed = 1)
  expect_identical(.Random.seed, state)
  # A pair's variants are its own, however many pairs there are.
  expect_identical(sim_summary(n_pairs = 2, seed = 3)$beta.exposure[1:50],
    sim_summary(seed = 3)$beta.exposure)
})

test_that("standard errors are those of two studies; errors are normal and independent", {
  sim <- big_sim(n_exposure = 2e4, n_outcome = 5e4, p_threshold = 1)
  truth <- truth(sim)
  information <- 2 * truth$mafs * (1 - truth$mafs)
  expect_equal(sim$se.exposure, 1 / sqrt(2e4 * information), tolerance = 1e-14)
  expect_equal(sim$se.outcome, 1 / sqrt(5e4 * information), tolerance = 1e-14)
  e <- (sim$beta.exposure - truth$gamma) / sim$se.exposure
  f <- (sim$beta.outcome - 0.2 * truth$gamma) / sim$se.outcome
  expect_gt(stats::ks.test(e, "pnorm")$p.value, 1e-4)
  expect_gt(stats::ks.test(f, "pnorm")$p.value, 1e-4)
  expect_gt(stats::ks.test(truth$mafs, "punif", 0.05, 0.5)$p.value, 1e-4)
  expect_lt(abs(stats::cor(e, f)), 4 / sqrt(length(e)))
  # |gamma| is half-normal, its sign a fair coin.
  expect_gt(stats::ks.test(truth$gamma / 0.03, "pnorm")$p.value, 1e-4)
  expect_true(all(truth$valid) && all(truth$alpha == 0))
  # The frequency is that of the effect allele.
  expect_equal(sim$eaf.exposure, ifelse(truth$gamma < 0, 1 - truth$mafs, truth$mafs))
})

test_that("overlap correlates the errors", {
  sim <- big_sim(n_exposure = 2e4, n_outcome = 5e4, p_threshold = 1, overlap = 0.8,
    correlation = -0.6)
  truth <- truth(sim)
  rho <- -0.6 * 0.8 * 2e4 / sqrt(2e4 * 5e4)
  expect_equal(truth$rho, rho)
  e <- (sim$beta.exposure - truth$gamma) / sim$se.exposure
  f <- (sim$beta.outcome - 0.2 * truth$gamma) / sim$se.outcome
  expect_lt(abs(stats::cor(e, f) - rho), 4 * (1 - rho^2) / sqrt(length(e)))
  expect_gt(stats::ks.test(f, "pnorm")$p.value, 1e-4)
})

test_that("pleiotropy: share, direction, InSIDE", {
  n <- 2e4
  of <- function(...) {
    truth <- truth(big_sim(invalid = 0.4, p_threshold = 1, pleiotropy_sd = 0.02, ...))
    side <- ifelse(truth$gamma < 0, -1, 1)
    bad <- !truth$valid
    expect_lt(abs(mean(bad) - 0.4), 4 * sqrt(0.24 / n))
    expect_true(all(truth$alpha[!bad] == 0))
    list(alpha = (side * truth$alpha)[bad], gamma = abs(truth$gamma[bad]))
  }
  half_mean <- 0.03 * sqrt(2 / pi)
  half_variance <- 0.03^2 * (1 - 2 / pi)
  near <- function(x, mean, sd) expect_lt(abs(mean(x) - mean), 4 * sd / sqrt(length(x)))

  balanced <- of()
  near(balanced$alpha, 0, 0.02)
  expect_gt(stats::ks.test(balanced$alpha / 0.02, "pnorm")$p.value, 1e-4)
  expect_lt(abs(stats::cor(balanced$alpha, balanced$gamma)), 4 / sqrt(length(balanced$alpha)))

  directional <- of(pleiotropy = "directional")
  near(directional$alpha, 0.02, 0.01)
  expect_gt(stats::ks.test((directional$alpha - 0.02) / 0.01, "pnorm")$p.value, 1e-4)

  violated <- of(inside = FALSE)
  near(violated$gamma, 2 * half_mean, sqrt(2 * half_variance))
  near(violated$alpha, half_mean, sqrt(0.02^2 + half_variance))
  # Strength and direct effect share the effect on the confounder: cor^2 = v / (2 (0.02^2 + v)).
  rho <- half_variance / sqrt(2 * half_variance * (0.02^2 + half_variance))
  # Half-normals have heavier fourth moments than normals: twice the normal's standard error.
  expect_lt(abs(stats::cor(violated$gamma, violated$alpha) - rho),
    8 * (1 - rho^2) / sqrt(length(violated$alpha)))
})

test_that("selection: on the same data with winner's curse, on other data without", {
  z <- function(sim) abs(sim$beta.exposure) / sim$se.exposure
  error <- function(sim) {
    truth <- truth(sim)
    sign(truth$gamma) * (sim$beta.exposure - truth$gamma) / sim$se.exposure
  }
  cursed <- big_sim(n_exposure = 3e4, winners_curse = TRUE)
  threshold <- stats::qnorm(2.5e-8, lower.tail = FALSE)
  expect_gt(min(z(cursed)), threshold)
  expect_gt(mean(error(cursed)), 0.5) # effects are reported too large
  fair <- big_sim(n_exposure = 3e4)
  expect_lt(min(z(fair)), threshold)
  expect_lt(abs(mean(error(fair))), 4 / sqrt(nrow(fair)))
  # The other sample had selected effects of this size.
  expect_gt(mean(abs(truth(fair)$gamma)), 0.03)
})

test_that("IVW recovers the effect where it should", {
  # 200 pairs of 100 valid, strong variants: the mean has a standard error of sd / sqrt(200).
  fits <- mr_estimate(big_sim(theta = 0.3, effect_sd = 0.06), "mr_ivw")
  expect_lt(abs(mean(fits$b) - 0.3), 4 * stats::sd(fits$b) / sqrt(200) + 0.3 / 100)
  # No room for chance in the bias of directional pleiotropy: it is many standard errors.
  bad <- mr_estimate(big_sim(theta = 0, invalid = 0.5, pleiotropy = "directional"), "mr_ivw")
  expect_gt(mean(bad$b), 10 * stats::sd(bad$b) / sqrt(200))
})
