# Conditional F, modified Q, correlations of exposures.

test_that("with one exposure F is the mean F and Q without errors in it is Cochran's", {
  rows <- lipid_chd[lipid_chd$exposure == "LDL", ]
  out <- mv_diagnose(rows)
  expect_equal(out$F_conditional, out$F_mean, tolerance = 1e-14)
  expect_equal(out$F_least, out$F_mean, tolerance = 1e-14)
  expect_equal(out$F_mean, mr_diagnose(rows)$F_mean, tolerance = 1e-14)
  expect_identical(out$R2_others, 0)
  # The modified Q has the exposure's variance too; where that is nothing it is Cochran's.
  rows$se.exposure <- 1e-12
  out <- mv_diagnose(rows)
  theirs <- mr_diagnose(rows)
  expect_equal(c(out$Q, out$Q_df, out$Q_pval, out$I2),
    c(theirs$Q, theirs$Q_df, theirs$Q_pval, theirs$I2), tolerance = 1e-10)
  expect_equal(out$Q_least, out$Q, tolerance = 1e-10)
})

test_that("conditional F and Q against loops over variants", {
  for (seed in 1:4) {
    k <- 1 + seed
    cor <- 0.4^abs(outer(seq_len(k), seq_len(k), "-"))
    d <- mv_simulate(40, k, seed)
    full <- diag(k + 1)
    full[1:k, 1:k] <- cor
    cov <- slow_mv_covariances(d, full)
    out <- mv_diagnose(d, gencov = cor)
    slow <- vapply(seq_len(k), function(j) slow_conditional_f(d, cov, j), 0)
    expect_equal(out$F_conditional, slow, tolerance = 1e-10)
    # The least over delta, by a search from each exposure: one number, the least of them.
    least <- vapply(seq_len(k), function(j) {
      start <- unname(stats::coef(stats::lm(d$exposure_beta[, j] ~ d$exposure_beta[, -j] - 1)))
      stats::optim(start, slow_conditional_f, d = d, cov = cov, j = j, method = "BFGS",
        control = list(reltol = 1e-14, maxit = 500))$value
    }, 0)
    expect_equal(out$F_least, rep(min(least) * 40 / (40 - k + 1), k), tolerance = 1e-7)
    b <- slow_mv_ivw(d)$b
    expect_equal(out$Q, rep(slow_q(b, d, cov), k), tolerance = 1e-10)
    expect_equal(out$Q_least[1], slow_q_least(d, cov)$value, tolerance = 1e-9)
    expect_identical(out$Q_df[1], 40L - as.integer(k))
    expect_equal(out$Q_pval[1], stats::pchisq(out$Q[1], 40 - k, lower.tail = FALSE))
    fit <- summary(stats::lm(d$exposure_beta[, 1] ~ d$exposure_beta[, -1] - 1,
      weights = 1 / d$outcome_se^2))
    expect_equal(out$R2_others[1], fit$r.squared, tolerance = 1e-10)
    snp <- mv_diagnose(d, "snp", gencov = cor)
    expect_equal(snp$Q, slow_q_terms(b, d, cov), tolerance = 1e-10)
    expect_equal(snp$residual, unname(d$outcome_beta - drop(d$exposure_beta %*% b)))
    expect_identical(snp$SNP, d$snp)
  }
})

test_that("two exposures by hand", {
  # Effects (1, 1, 1) and (1, 2, 0) have delta 1 for the first, 3/5 for the second given the other.
  d <- mv_data(cbind(a = c(1, 1, 1), b = c(1, 2, 0)), matrix(0.5, 3, 2), c(1, 2, 3), rep(1, 3))
  # a - 3/5 b = (0.4, -0.2, 1) with variance 0.25 (1 + 9/25) = 0.34; b - a = (0, 1, -1), 0.5.
  expect_equal(mv_diagnose(d)$F_conditional, c(1.2 / 0.34, 2 / 0.5) / 3, tolerance = 1e-14)
  # With errors correlated by 0.5: 0.25 (1 + 9/25 - 2 * 0.5 * 3/5) = 0.19; 0.25 (2 - 1) = 0.25.
  cor <- matrix(c(1, 0.5, 0.5, 1), 2)
  expect_equal(mv_diagnose(d, gencov = cor)$F_conditional, c(1.2 / 0.19, 2 / 0.25) / 3,
    tolerance = 1e-14)
  # The same as a covariance matrix for each variant, as MVMR has it.
  each <- rep(list(cor * 0.25), 3)
  expect_equal(mv_diagnose(d, gencov = each), mv_diagnose(d, gencov = cor))
  # Without gencov it is that of the data; zero is said by 0.
  with_cor <- mv_data(d$exposure_beta, d$exposure_se, d$outcome_beta, d$outcome_se, gencov = cor)
  expect_equal(mv_diagnose(with_cor), mv_diagnose(d, gencov = cor))
  expect_equal(mv_diagnose(with_cor, gencov = 0), mv_diagnose(d))
})

test_that("F is around one where nothing is left to predict, and Q rejects as often as it says", {
  # 300 data sets of 50 variants, second exposure = first + error. The mean of 300 means of 50
  # squares has a standard error of sqrt(2 / 50 / 300) = 0.012; F_conditional divides by n where
  # n - 1 squares are free: 0.98.
  out <- vapply(1:300, function(seed) {
    d <- withr::with_seed(seed, {
      x <- stats::rnorm(50, 0, 0.1)
      y <- 0.3 * x + stats::rnorm(50, 0, 0.01)
      both <- cbind(a = x, b = x) + stats::rnorm(100, 0, 0.01)
      mv_data(both, matrix(0.01, 50, 2), y, rep(0.01, 50))
    })
    got <- mv_diagnose(d)
    c(got$F_conditional[1], got$F_least[1], max(got$F_conditional))
  }, numeric(3))
  expect_lt(abs(mean(out[1, ]) - 0.98), 4 * 0.012)
  expect_lt(abs(mean(out[2, ]) - 1), 4 * 0.012)
  expect_lt(max(out[3, ]), 10)
  # The test of heterogeneity at 5 %, strong variants: a standard error of 0.0126 in 300.
  reject <- vapply(1:300, function(seed) {
    mv_diagnose(mv_simulate(30, 2, seed, invalid = 0))$Q_least_pval[1] < 0.05
  }, NA)
  expect_lt(abs(mean(reject) - 0.05), 4 * 0.0126)
})

test_that("pairs of exposures", {
  out <- mv_diagnose(lipid_chd, "pair")
  expect_identical(out$exposure, c("LDL", "LDL", "HDL"))
  expect_identical(out$exposure2, c("HDL", "triglycerides", "triglycerides"))
  d <- mv_lipids()
  expect_equal(out$correlation[2], stats::cor(d$exposure_beta[, 1], d$exposure_beta[, 3]))
  w <- d$exposure_beta / d$outcome_se
  expect_equal(out$cosine[3], sum(w[, 2] * w[, 3]) / sqrt(sum(w[, 2]^2) * sum(w[, 3]^2)))
  # Of correlated variants too, which F and Q refuse.
  expect_identical(mv_diagnose(mv_lipids(ld = diag(28)), "pair")[1:4], out[1:4])
})
