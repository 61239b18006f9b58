# Single-variant and leave-one-out tables, odds ratios: TwoSampleMR's own, and slow versions.

expect_same_table <- function(ours, theirs) {
  ours <- as.data.frame(ours)
  expect_identical(names(ours), names(theirs))
  expect_identical(lapply(ours, typeof), lapply(theirs, typeof))
  text <- vapply(theirs, Negate(is.double), NA)
  expect_identical(ours[text], theirs[text])
  for (name in names(theirs)[!text]) {
    expect_equal(ours[[name]], theirs[[name]], tolerance = 1e-10) # closed forms, 15 digits
  }
}

test_that("the tables are TwoSampleMR 0.7.9's on its own data", {
  for (set in c("lipid", "bmi_chd")) {
    dat <- mr_recorded(paste0(set, "_harmonised"))
    expect_same_table(mr_single_snp(dat), mr_recorded(paste0(set, "_singlesnp")))
    expect_same_table(mr_leave_one_out(dat), mr_recorded(paste0(set, "_leaveoneout")))
    ratios <- mr_recorded(paste0(set, "_odds_ratios"))
    fits <- mr_estimate(dat, c("mr_ivw", "mr_egger_regression"))
    expect_same_table(mr_odds_ratios(fits[1:9]), ratios)
  }
})

test_that("leave-one-out is an estimate without the variant, for every kind of method", {
  dat <- usable_rows(patchy_frame())
  for (method in c("mr_ivw", "mr_ivw_delta", "mr_egger_regression", "mr_egger_robust", "mr_raps",
    "mr_two_sample_ml", "mr_divw")) {
    ours <- mr_leave_one_out(dat, method)
    slow <- lapply(unique(dat$id.exposure), function(id) {
      of <- dat[dat$id.exposure == id, ]
      rows <- if (nrow(of) > 2) slow_leave_one_out(of, mrl_method(method)) else
        utils::tail(slow_leave_one_out(of, mrl_method(method)), 1)
      cbind(id.exposure = id, rows)
    })
    slow <- do.call(rbind, slow)
    expect_identical(ours$id.exposure, slow$id.exposure)
    expect_identical(ours$SNP, slow$SNP)
    # The same core on the same numbers in the same order.
    expect_identical(ours$b, slow$b)
    expect_identical(ours$se, slow$se)
    expect_identical(ours$p, slow$p)
  }
})

test_that("a leave-one-out that leaves the wrong variant out is seen", {
  # The mutant: estimates shifted by one variant.
  dat <- mr_recorded("lipid_harmonised")
  ours <- mr_leave_one_out(dat)$b[1:28]
  expect_gt(max(abs(ours - c(ours[-1], ours[1]))), 1e-3)
})

test_that("leave-one-out of bootstraps: points exact, standard errors by Monte Carlo error", {
  dat <- mr_recorded("lipid_harmonised")
  ours <- mr_leave_one_out(dat, "Weighted mode", n_boot = 400, seed = 3)
  set.seed(4)
  slow <- slow_leave_one_out(dat, mrl_method("mr_weighted_mode"), list(nboot = 400))
  expect_identical(ours$b, slow$b)
  # A mad of 400 draws has a relative error of 1.17 / sqrt(400) = 0.058 for normal draws; the mode's
  # are skewed, say 0.08. Two of them, and 3.5 standard errors for the largest of 29.
  expect_lt(max(abs(log(ours$se / slow$se))), 3.5 * sqrt(2) * 0.08)
  again <- mr_leave_one_out(dat, "Weighted mode", n_boot = 400, seed = 3, n_threads = 1)
  expect_identical(again, ours)
})

test_that("leave-one-out does not depend on its chunks", {
  frame <- suppressMessages(mr_frame(patchy_frame(), "SNP"))
  settings <- mr_plan("mr_egger_regression", "method")$settings
  whole <- leave_one_out(frame, settings)
  for (most in c(1, 60, 1000)) {
    expect_identical(leave_one_out(frame, settings, most), whole)
  }
  expect_identical(lengths(whole), c(pair = 80L, row = 80L, b = 80L, se = 80L, pval = 80L))
})

test_that("pairs keep their order, unusable rows go, small pairs have rows of all only", {
  dat <- patchy_frame()
  expect_message(single <- mr_single_snp(dat), class = "mrlearn_message_dropped")
  out <- suppressMessages(mr_leave_one_out(dat))
  ids <- c("none", "LDL", "HDL", "triglycerides", "two")
  expect_identical(unique(single$id.exposure), ids)
  expect_identical(unique(out$id.exposure), ids)
  usable <- table(factor(usable_rows(dat)$id.exposure, ids))
  expect_identical(as.vector(table(factor(single$id.exposure, ids))), as.vector(usable) + 2L)
  expect_identical(as.vector(table(factor(out$id.exposure, ids))),
    as.vector(ifelse(usable > 2, usable, 0L)) + 1L)
  none <- single[single$id.exposure == "none", ]
  expect_identical(none$SNP, c("All - Inverse variance weighted", "All - MR Egger"))
  expect_true(all(is.na(none[c("samplesize", "b", "se", "p")])))
  # The sample size is that of the pair's first usable row.
  sizes <- tapply(single$samplesize, single$id.exposure, unique)
  first <- usable_rows(dat)
  first <- first[!duplicated(first$id.exposure), ]
  expect_equal(as.vector(sizes[first$id.exposure]), first$samplesize.outcome)
})

test_that("rows of all variants are mr_estimate()'s, with its settings", {
  dat <- lipid_chd
  methods <- c("mr_weighted_median", "MR Egger", "mr_weighted_mode")
  all <- mr_estimate(dat, methods, n_boot = 50, phi = 0.5, seed = 7)
  single <- mr_single_snp(dat, methods, n_boot = 50, phi = 0.5, seed = 7)
  single <- as.data.frame(single)[startsWith(single$SNP, "All - "), ]
  expect_identical(single$SNP, paste("All -", all$method))
  expect_identical(single$b, all$b)
  expect_identical(single$se, all$se)
  expect_identical(single$p, all$pval)
  out <- mr_leave_one_out(dat, "mr_simple_median", n_boot = 50, seed = 7)
  expect_identical(out$se[out$SNP == "All"], mr_estimate(dat, "mr_simple_median", n_boot = 50,
    seed = 7)$se)
})

test_that("a variant without effect on the exposure has no ratio", {
  dat <- mr_recorded("lipid_harmonised")
  dat$beta.exposure[3:4] <- c(0, 1e-320)
  dat$beta.outcome[3] <- 0
  single <- mr_single_snp(dat)
  expect_true(all(is.na(single[3:4, c("b", "se", "p")])))
  expect_false(any(is.nan(single$b)))
})
