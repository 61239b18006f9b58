# MR-PRESSO against lm() in every draw, on the core's own normals.

test_that("the three tests are those of plain loops over the same draws", {
  d <- mr_effects(12, seed = 3)
  d$by[c(2, 7)] <- d$by[c(2, 7)] + c(0.15, -0.2)
  n_draws <- 250
  fast <- mr_presso_test(mr_harmonised(d), n_draws, seed = 11)
  set.seed(1)
  slow <- slow_presso(d, n_draws, core_normals(11), function(b, n, k) sample.int(k, n, TRUE))
  expect_relative(c(fast$global$RSSobs, fast$outliers$RSSobs), c(slow$rss, slow$own), 1e-9, "RSS")
  expect_identical(fast$global$pval, slow$p)
  expect_equal(fast$outliers$pval, slow$p_own, tolerance = 1e-12)
  expect_identical(which(fast$outliers$outlier), slow$outliers)
  expect_gt(length(slow$outliers), 0)
  expect_relative(unlist(fast$main[1, c("b", "sd", "t", "pval")]), slow$raw, 1e-9, "raw")
  expect_relative(unlist(fast$main[2, c("b", "sd", "t", "pval")]), slow$corrected, 1e-9,
    "corrected")
  expect_equal(fast$distortion$coefficient, slow$distortion, tolerance = 1e-9)
  # Sets are drawn by another generator: five standard errors of two shares.
  p <- (slow$p_distortion + fast$distortion$pval) / 2
  expect_lt(abs(slow$p_distortion - fast$distortion$pval),
    5 * sqrt(2 * max(p * (1 - p), 1 / n_draws) / n_draws))
})

test_that("without pleiotropy p-values are uniform", {
  # 200 data sets; Kolmogorov-Smirnov beyond 1.95 / sqrt(200) has a probability of 1e-3.
  dat <- as.data.frame(sim_summary(n_snps = 20, n_pairs = 200, theta = 0.1, seed = 5))
  p <- mr_presso_test(dat, 200, outlier_test = FALSE, seed = 1)$global$pval
  expect_lt(max(abs(sort(p) - (seq_along(p) - 0.5) / 200)), 1.95 / sqrt(200) + 1 / 200)
})

test_that("threads, order of pairs and seeds", {
  dat <- lipid_chd
  one <- mr_presso_test(dat, 600, seed = 4, n_threads = 1)
  expect_identical(mr_presso_test(dat, 600, seed = 4, n_threads = 3), one)
  expect_false(identical(mr_presso_test(dat, 600, seed = 5)$global$pval, one$global$pval) &&
    identical(mr_presso_test(dat, 600, seed = 5)$outliers$pval, one$outliers$pval))
  first <- dat[dat$id.exposure == dat$id.exposure[1], ]
  # So many draws that threads share them out.
  long <- function(n_threads) mr_presso_test(first, 20000, seed = 1, n_threads = n_threads)
  expect_identical(long(1), long(2))
  alone <- mr_presso_test(first, 600, seed = 4)
  expect_equal(alone$main, one$main[1:2, ])
  with_r <- function() withr::with_seed(3, mr_presso_test(first, 600)$outliers)
  expect_identical(with_r(), with_r())
})

test_that("alleles and units", {
  d <- mr_effects(15, seed = 2)
  base <- mr_presso_test(mr_harmonised(d), 300, seed = 1)
  turned <- d
  turned[3:6, c("bx", "by")] <- -turned[3:6, c("bx", "by")]
  expect_equal(mr_presso_test(mr_harmonised(turned), 300, seed = 1), base, tolerance = 1e-10)
  scaled <- transform(d, by = 4 * by, sy = 4 * sy)
  ours <- mr_presso_test(mr_harmonised(scaled), 300, seed = 1)
  expect_equal(ours$outliers$pval, base$outliers$pval)
  expect_equal(ours$outliers$RSSobs, 16 * base$outliers$RSSobs)
  expect_equal(ours$main$b, 4 * base$main$b)
})

test_that("tests that cannot be made are NA", {
  d <- mr_effects(10, seed = 6)
  tame <- mr_harmonised(transform(d, by = 0.4 * bx + 0.1 * sy * sin(seq_along(bx))))
  none <- mr_presso_test(tame, 300, seed = 1)
  expect_true(none$global$pval > 0.05 && all(is.na(none$outliers$pval)))
  expect_true(is.na(none$main$b[2]) && is.na(none$distortion$pval))
  few <- mr_presso_test(tame[1:3, ], seed = 1)
  expect_true(is.na(few$global$pval) && all(is.na(few$main$b)))
  zero <- transform(tame, beta.exposure = 0)
  expect_true(is.na(mr_presso_test(zero, seed = 1)$global$pval))
  only <- mr_presso_test(lipid_ldl(), 300, outlier_test = FALSE, seed = 1)
  expect_true(!is.na(only$global$pval) && all(is.na(only$outliers$pval)))
  spoilt <- tame
  spoilt$se.outcome[2] <- 0
  expect_equal(suppressMessages(mr_presso_test(spoilt, 300, seed = 1)),
    mr_presso_test(tame[-2, ], 300, seed = 1))
})

test_that("messages and print", {
  local_reproducible_output()
  ldl <- lipid_ldl()
  expect_warning(mr_presso_test(ldl, 100, seed = 1), class = "mrlearn_warning_draws")
  expect_snapshot(error = TRUE, {
    mr_presso_test(ldl, 28)
    mr_presso_test(ldl, 0)
    mr_presso_test(ldl, threshold = 5)
    mr_presso_test(ldl, outlier_test = NA)
    mr_presso_test(ldl[names(ldl) != "SNP"])
    mr_presso_test(ldl, 100, seed = 1)$global
    mr_presso_test(ldl, seed = 1)
  })
})
