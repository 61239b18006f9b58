# Estimators of multivariable MR against slow oracles, closed forms and invariances.

test_that("with one exposure the methods are the univariable ones", {
  rows <- lipid_chd[lipid_chd$exposure == "LDL", ]
  one <- mr_estimate(rows, c("mr_ivw_fe", "mr_ivw", "mr_egger_regression"))
  many <- mv_estimate(rows, c("mv_ivw_fe", "mv_ivw", "mv_egger"))
  expect_equal(many$b, one$b, tolerance = 1e-12)
  expect_equal(many$se, one$se, tolerance = 1e-12)
  expect_equal(many$Q, one$Q, tolerance = 1e-12)
  expect_equal(many$intercept[3], one$intercept[3], tolerance = 1e-12)
  # Maximum likelihood of both effects of a variant is the least Q.
  likelihood <- mr_estimate(rows, "mr_two_sample_ml")
  least <- mv_estimate(rows, "mv_ivw_me")
  expect_equal(least$b, likelihood$b, tolerance = 1e-9)
  expect_equal(least$Q, likelihood$Q, tolerance = 1e-12)
})

test_that("IVW, Egger and generalised least squares against lm() and solve()", {
  for (seed in 1:5) {
    k <- seed
    d <- mv_simulate(12 + 5 * seed, k, seed)
    slow <- slow_mv_ivw(d)
    fit <- mv_fit(d, "mv_ivw")
    # Both are exact but for rounding; the effects of the exposures are well conditioned.
    for (what in c("b", "se", "pval")) expect_equal(fit[[what]], slow[[what]], tolerance = 1e-10)
    expect_equal(c(fit$one$sigma, fit$one$Q), c(slow$sigma, slow$Q), tolerance = 1e-11)
    expect_equal(mv_fit(d, "mv_ivw_fe")$se, slow_mv_ivw(d, function(s) 1)$se, tolerance = 1e-11)
    expect_equal(mv_fit(d, "mv_ivw_mre")$se, slow_mv_ivw(d, identity)$se, tolerance = 1e-11)
    for (j in seq_len(k)) {
      slow <- slow_mv_egger(d, j)
      fit <- mv_fit(d, "mv_egger", orientate = j)
      expect_equal(fit$b, slow$b, tolerance = 1e-10)
      expect_equal(fit$se, slow$se, tolerance = 1e-10)
      expect_equal(fit$one$intercept, slow$intercept, tolerance = 1e-10)
      expect_equal(fit$one$intercept_se, slow$intercept_se, tolerance = 1e-10)
    }
    ld <- withr::with_seed(seed, stats::cov2cor(stats::rWishart(1, 60, diag(12 + 5 * k))[, , 1]))
    slow <- slow_mv_gls(d, ld)
    fit <- mv_fit(d, "mv_ivw", ld = ld)
    # The correlations' condition is some hundreds.
    expect_equal(fit$b, slow$b, tolerance = 1e-9)
    expect_equal(fit$se, slow$se, tolerance = 1e-9)
    side <- ifelse(d$exposure_beta[, 1] < 0, -1, 1)
    expect_equal(c(mv_fit(d, "mv_egger", ld = ld)$b, mv_fit(d, "mv_egger", ld = ld)$one$intercept),
      slow_mv_gls(d, ld, side)$b, tolerance = 1e-9)
  }
})

test_that("the median is the best line through as many variants as exposures", {
  for (seed in 1:6) {
    k <- 1 + seed %% 3
    d <- mv_simulate(11 + seed, k, seed)
    expect_equal(mv_fit(d, "mv_median", n_boot = 2)$b, slow_mv_median(d)$b, tolerance = 1e-10)
  }
  # One exposure: a weighted median of ratios, without interpolation.
  d <- mv_simulate(9, 1, 7)
  ratio <- d$outcome_beta / d$exposure_beta[, 1]
  weight <- (abs(d$exposure_beta[, 1]) / d$outcome_se^2)[order(ratio)]
  middle <- sort(ratio)[which(cumsum(weight) >= sum(weight) / 2)[1]]
  expect_equal(mv_fit(d, "mv_median", n_boot = 2)$b, unname(middle), tolerance = 1e-12)
  # Variants on a line: it is found, and nothing is left.
  d <- mv_data(d$exposure_beta, d$exposure_se, 2 * d$exposure_beta[, 1], d$outcome_se)
  expect_equal(mv_fit(d, "mv_median", n_boot = 2)$b, 2, tolerance = 1e-12)
})

test_that("LASSO's valid variants at a penalty are those of coordinate descent", {
  for (seed in 1:4) {
    d <- mv_simulate(16, 1 + seed %% 3, seed, invalid = 0.4)
    for (lambda in c(0.1, 0.3, 0.6)) {
      fit <- mv_fit(d, "mv_lasso", lambda = lambda)
      valid <- slow_mv_lasso_valid(d, lambda)
      expect_identical(fit$one$n_valid, if (is.na(fit$one$note)) sum(valid) else NA_integer_)
      if (is.na(fit$one$note)) {
        expect_identical(unname(attr(fit$out, "valid")[, 1]), valid)
        part <- mv_data(d$exposure_beta[valid, , drop = FALSE],
          d$exposure_se[valid, , drop = FALSE], d$outcome_beta[valid], d$outcome_se[valid])
        expect_equal(fit$b, slow_mv_ivw(part)$b, tolerance = 1e-9)
        expect_equal(fit$se, slow_mv_ivw(part)$se, tolerance = 1e-9)
      }
    }
  }
})

test_that("least Q, with measurement error and with over-dispersion", {
  for (seed in 1:4) {
    k <- 1 + seed %% 3
    cor <- 0.3^abs(outer(0:k, 0:k, "-"))
    d <- mv_simulate(30, k, seed, invalid = 0.3, strength = 0.03)
    cov <- slow_mv_covariances(d, cor)
    slow <- slow_q_least(d, cov)
    fit <- mv_fit(d, "mv_ivw_me", gencov = cor)
    # Newton on numerical derivatives: their error is about 1e-9.
    expect_equal(fit$b, slow$b, tolerance = 1e-6)
    expect_equal(fit$one$Q, slow$value, tolerance = 1e-10)
    sandwich <- slow_q_sandwich(fit$b, d, cov)
    expect_equal(fit$se, sandwich * max(1, fit$one$sigma), tolerance = 1e-5)
    fit <- mv_fit(d, "mv_qhet", gencov = cor)
    expect_gt(fit$one$tau2, 0)
    slow <- slow_q_least(d, cov, fit$one$tau2)
    expect_equal(fit$b, slow$b, tolerance = 1e-6)
    expect_equal(slow$value, 30 - k, tolerance = 1e-8)
    expect_equal(fit$se, slow_q_sandwich(fit$b, d, cov, fit$one$tau2), tolerance = 1e-5)
  }
  # No heterogeneity beyond chance: no over-dispersion, the same estimates.
  d <- mv_simulate(30, 2, 9)
  d$outcome_beta <- drop(d$exposure_beta %*% c(0.4, 0.1)) + d$outcome_se * rep(c(-0.5, 0.5), 15)
  none <- mv_fit(d, "mv_qhet")
  expect_lt(none$one$Q, none$one$Q_df)
  expect_identical(none$one$tau2, 0)
  expect_equal(none$b, mv_fit(d, "mv_ivw_me")$b, tolerance = 1e-12)
})

test_that("cML takes the steps of its authors", {
  for (seed in 1:3) {
    k <- 1 + seed %% 3
    cor <- 0.4^abs(outer(0:k, 0:k, "-"))
    d <- mv_simulate(20, k, seed, invalid = 0.3)
    cov <- slow_mv_covariances(d, cor)
    value <- numeric()
    for (n_invalid in 0:6) {
      slow <- slow_mv_cml(d, cov, n_invalid, turns = 100)
      fit <- mv_fit(d, "mv_cml", n = 1e4, K_vec = n_invalid, gencov = cor)
      expect_equal(fit$b, slow$b, tolerance = 1e-6)
      expect_identical(unname(attr(fit$out, "valid")[, 1]), slow$valid)
      value <- c(value, slow$value)
    }
    # BIC chooses among them.
    best <- which.min(value + log(1e4) * 0:6) - 1L
    fit <- mv_fit(d, "mv_cml", n = 1e4, K_vec = 0:6, gencov = cor)
    expect_identical(fit$one$n_valid, 20L - best)
  }
})

test_that("columns and types", {
  out <- mv_estimate(lipid_chd, mv_methods()$name, n = 17723, n_boot = 20, num_pert = 5, seed = 1)
  expect_identical(names(out)[1:8],
    c("id.exposure", "exposure", "id.outcome", "outcome", "nsnp", "b", "se", "pval"))
  expect_identical(names(out)[-(1:8)], c("method", "ci_low", "ci_high", "Q", "Q_df", "Q_pval",
    "intercept", "intercept_se", "intercept_pval", "sigma", "tau2", "lambda", "n_valid", "n_draws",
    "note"))
  expect_identical(class(out), "data.frame")
  expect_identical(out$method, rep(mv_methods()$label, each = 3))
  expect_true(all(is.na(out$note)) && all(is.finite(out$b)) && all(out$se > 0))
  expect_equal(out$ci_high - out$b, stats::qnorm(0.975) * out$se)
  expect_identical(dim(attr(out, "valid")), c(28L, nrow(mv_methods())))
  expect_identical(colSums(attr(out, "valid")), stats::setNames(
    as.double(out$n_valid[seq(1, 30, 3)]), mv_methods()$name))
  # t: 28 variants, 3 exposures.
  t <- mv_estimate(lipid_chd, "mv_ivw", distribution = "t-dist", conf_level = 0.9)
  expect_equal(t$pval, 2 * stats::pt(-abs(t$b / t$se), 25))
  expect_equal(t$ci_low, t$b - stats::qt(0.95, 25) * t$se)
  expect_identical(mv_methods()$name[mv_methods()$default],
    c("mv_ivw", "mv_egger", "mv_median", "mv_lasso"))
})

test_that("seeds rule draws, threads do not matter", {
  drawn <- function(...) {
    mv_estimate(lipid_chd, c("mv_median", "mv_cml_dp"), n = 17723, n_boot = 100, num_pert = 40,
      random_start = 2, ...)
  }
  one <- drawn(seed = 3, n_threads = 1)
  expect_identical(drawn(seed = 3, n_threads = 3), one)
  expect_false(identical(drawn(seed = 4, n_threads = 1)$se, one$se))
  set.seed(1)
  a <- drawn()
  set.seed(1)
  expect_identical(drawn(), a)
  # Without draws R's generator is left alone, with a seed too.
  set.seed(1)
  before <- .Random.seed
  mv_estimate(lipid_chd, c("mv_ivw", "mv_lasso"))
  drawn(seed = 1)
  expect_identical(.Random.seed, before)
})

test_that("order of variants, order and scale of exposures, alleles", {
  d <- mv_simulate(25, 3, 1)
  methods <- c("mv_ivw", "mv_egger", "mv_median", "mv_lasso", "mv_cml", "mv_ivw_me", "mv_qhet")
  est <- function(d, ...) {
    out <- mv_estimate(d, methods, n = 1e4, n_boot = 2, seed = 1, ...)
    matrix(out$b, 3)
  }
  ours <- est(d)
  rows <- withr::with_seed(2, sample(25))
  part <- function(rows = 1:25, columns = 1:3, side = 1, scale = 1) {
    mv_data(d$exposure_beta[rows, columns] * side * scale, d$exposure_se[rows, columns] * scale,
      d$outcome_beta[rows] * side, d$outcome_se[rows])
  }
  # cML stops its steps early and is then made exact: rounding there too.
  expect_equal(est(part(rows)), ours, tolerance = 1e-8)
  # orientate: the same exposure at its new place.
  expect_equal(est(part(columns = c(3, 1, 2)), orientate = 2)[c(2, 3, 1), ], ours, tolerance = 1e-8)
  # Counting the other allele of a variant changes nothing.
  side <- withr::with_seed(3, sample(c(-1, 1), 25, TRUE))
  expect_equal(est(part(side = side)), ours, tolerance = 1e-8)
  # Units: cML's steps stop at an absolute 1e-4, as its authors' do; the others have no unit.
  expect_equal(10 * est(part(scale = 10))[, methods != "mv_cml"], ours[, methods != "mv_cml"],
    tolerance = 1e-8)
})
