# Diagnostics against TwoSampleMR's tables and slow versions.

test_that("heterogeneity and Egger's intercept are TwoSampleMR 0.7.9's", {
  for (set in c("lipid", "bmi_chd")) {
    ours <- mr_diagnose(mr_recorded(paste0(set, "_harmonised")))
    q <- mr_recorded(paste0(set, "_heterogeneity"))
    egger <- q$method == "MR Egger"
    at <- mr_recorded(paste0(set, "_pleiotropy"))
    expect_equal(
      unlist(ours[c("Q", "Q_df", "Q_pval", "Q_egger", "Q_egger_df", "Q_egger_pval",
        "egger_intercept", "egger_intercept_se", "egger_intercept_pval")], use.names = FALSE),
      c(unlist(q[!egger, 6:8]), unlist(q[egger, 6:8]), unlist(at[5:7])),
      tolerance = 1e-10, ignore_attr = TRUE
    )
    expect_identical(ours[1:4], at[1:4])
  }
})

test_that("every pair's numbers equal slow versions", {
  dat <- patchy_frame()
  ours <- suppressMessages(mr_diagnose(dat))
  usable <- usable_rows(dat)
  for (id in c("LDL", "HDL", "triglycerides")) {
    of <- usable[usable$id.exposure == id, ]
    row <- ours[ours$id.exposure == id, ]
    slow <- slow_heterogeneity(of)
    slow$contribution <- NULL
    expect_equal(as.list(row[names(slow)]), slow, tolerance = 1e-9) # differences of large Q
    f <- (of$beta.exposure / of$se.exposure)^2
    expect_equal(
      c(row$nsnp, row$I2_GX, row$F_mean, row$F_min, row$nsnp_weak),
      c(nrow(of), slow_i2_gx(of), mean(f), min(f), sum(f < 10)),
      tolerance = 1e-12
    )
  }
  # Published: I2 of 0.91936539 and mean F of 28.009311 on all 28 variants (8 digits).
  whole <- mr_diagnose(mr_recorded("lipid_harmonised"))
  expect_equal(c(whole$I2_GX, whole$F_mean), c(0.91936539, 28.009311), tolerance = 1e-7)
})

test_that("small pairs have what they can have", {
  out <- suppressMessages(mr_diagnose(patchy_frame()))
  two <- out[out$id.exposure == "two", ]
  expect_identical(two$nsnp, 2L)
  expect_false(is.na(two$Q))
  expect_false(is.na(two$I2_GX))
  expect_true(is.na(two$Q_egger))
  none <- out[out$id.exposure == "none", ]
  expect_identical(none$nsnp, 0L)
  expect_identical(none$nsnp_weak, 0L)
  expect_true(all(is.na(none[setdiff(names(none), c(names(none)[1:5], "nsnp_weak"))])))
  expect_false(any(vapply(out, function(x) any(is.nan(x)), NA)))
  # Without any heterogeneity the shares are 0, not 0 / 0.
  flat <- mr_data(c(1, 1, 1), rep(0.1, 3), c(2, 2, 2), rep(0.1, 3))
  expect_identical(unlist(mr_diagnose(flat)[c("I2", "I2_GX")], use.names = FALSE), c(0, 0))
})

test_that("per variant: strength, ratio and share of Q", {
  dat <- mr_recorded("bmi_chd_harmonised")
  out <- mr_diagnose(dat, per = "snp")
  single <- mr_single_snp(dat)[1:79, ]
  expect_identical(out$SNP, dat$SNP)
  expect_identical(out$b, single$b)
  expect_identical(out$se, single$se)
  expect_equal(out$F, (dat$beta.exposure / dat$se.exposure)^2, tolerance = 1e-15)
  slow <- slow_heterogeneity(dat)
  expect_equal(out$Q, unname(slow$contribution), tolerance = 1e-10)
  expect_equal(sum(out$Q), slow$Q, tolerance = 1e-12)
})

test_that("Steiger's test from p-values is TwoSampleMR's formula", {
  dat <- mr_recorded("bmi_chd_harmonised")
  r <- function(p, n) {
    f <- stats::qf(p, 1, n - 1, lower.tail = FALSE)
    sqrt(f / (n - 2 + f))
  }
  r_x <- r(dat$pval.exposure, dat$samplesize.exposure)
  r_y <- r(dat$pval.outcome, dat$samplesize.outcome)
  slow <- slow_steiger(r_x, r_y, dat$samplesize.exposure, dat$samplesize.outcome)
  ours <- mr_diagnose(dat)
  # qf() loses digits for p near 1, where the share of variance is next to nothing.
  expect_equal(c(ours$snp_r2.exposure, ours$snp_r2.outcome), slow$r2, tolerance = 1e-9)
  expect_equal(log(ours$steiger_pval), log(slow$p), tolerance = 1e-8)
  expect_true(ours$correct_causal_direction)
  each <- mr_diagnose(dat, per = "snp")
  for (i in c(1, 40, 79)) {
    one <- slow_steiger(r_x[i], r_y[i], dat$samplesize.exposure[i], dat$samplesize.outcome[i])
    expect_identical(each$steiger_dir[i], r_x[i] > r_y[i])
    expect_equal(each$steiger_pval[i], one$p, tolerance = 1e-8)
  }
  # The arrow turned round.
  turned <- dat
  sides <- c("pval", "samplesize", "beta", "se")
  turned[paste0(sides, ".exposure")] <- dat[paste0(sides, ".outcome")]
  turned[paste0(sides, ".outcome")] <- dat[paste0(sides, ".exposure")]
  expect_false(mr_diagnose(turned)$correct_causal_direction)
})

test_that("given correlations come first; variants without one are left out of Steiger's test", {
  dat <- mr_recorded("bmi_chd_harmonised")[1:10, ]
  dat$r.exposure <- -0.05
  dat$r.outcome <- seq(0.001, 0.01, by = 0.001)
  dat$r.exposure[4] <- NA
  dat$pval.exposure[4] <- NA
  dat$samplesize.exposure[5] <- 1e4
  ours <- mr_diagnose(dat)
  slow <- slow_steiger(dat$r.exposure[-4], dat$r.outcome[-4], dat$samplesize.exposure[-4],
    dat$samplesize.outcome[-4])
  expect_equal(c(ours$snp_r2.exposure, ours$snp_r2.outcome), slow$r2, tolerance = 1e-12)
  expect_equal(ours$steiger_pval, slow$p, tolerance = 1e-10)
  expect_identical(is.na(mr_diagnose(dat, per = "snp")$steiger_pval), seq_len(10) == 4)
  # Without sample sizes the direction is known, its p-value is not.
  dat$samplesize.exposure <- NULL
  ours <- mr_diagnose(dat)
  expect_true(ours$correct_causal_direction)
  expect_true(is.na(ours$steiger_pval))
  expect_true(is.na(mr_diagnose(mr_recorded("lipid_harmonised"))$snp_r2.exposure))
})

test_that("p-values that are no doubles any more count by effect and standard error", {
  n <- 5e5
  b <- c(0.05, 0.054, 0.06) # z of 35.4, 38.2 and 42.4: p below 2e-308 for the last two
  se <- rep(sqrt(1 / n), 3)
  r <- r_from_p(2 * stats::pnorm(-b / se), rep(n, 3), b, se)
  f <- (b / se)^2
  # t with 5e5 degrees of freedom is not quite normal so far out: 1e-3 for the first.
  expect_equal(r, sqrt(f / (n - 2 + f)), tolerance = 2e-3)
  expect_equal(r[2:3], sqrt(f / (n - 2 + f))[2:3], tolerance = 1e-12)
  expect_identical(is.na(r_from_p(c(2, NA, 0.5), c(10, 10, 2), 1, 1)), c(TRUE, TRUE, TRUE))
})
