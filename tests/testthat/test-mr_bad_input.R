# What the summary-data functions say to input that they cannot use, or use only in part.

ldl <- function() lipid_chd[lipid_chd$exposure == "LDL", ]
changed <- function(column, rows, value) {
  dat <- ldl()
  dat[[column]][rows] <- value
  dat
}
# Every function that takes a harmonised frame.
surface <- list(
  mr_estimate = function(dat) mr_estimate(dat, "mr_ivw"), mr_diagnose = mr_diagnose,
  mr_single_snp = mr_single_snp, mr_leave_one_out = mr_leave_one_out,
  mr_scatter = function(dat) mr_scatter(dat, mr_estimate(ldl(), "mr_ivw")),
  mr_valid = function(dat) mr_valid(dat, "mr_lasso"), mr_radial = mr_radial,
  mr_presso_test = function(dat) mr_presso_test(dat, 600, seed = 1)
)

test_that("each function says which columns are missing and what there is", {
  for (name in c("id.exposure", "outcome", "mr_keep", "se.exposure", "beta.outcome")) {
    dat <- ldl()[setdiff(names(lipid_chd), name)]
    for (f in surface) {
      expect_error(f(dat), paste0("lacks the column `", name, "`; it has `SNP`"),
        class = "mrlearn_error_data")
    }
  }
  dat <- ldl()[c("exposure", "beta.exposure", "outcome")]
  expect_snapshot(error = TRUE, {
    mr_diagnose(dat)
    mr_diagnose(dat, per = "snp")
    mr_single_snp(ldl()[names(lipid_chd) != "SNP"])
    mr_scatter(ldl(), data.frame(method = "MR Egger", slope = 1))
    mr_odds_ratios(data.frame(beta = 1))
    as_twosamplemr(data.frame(position = 1, effect = 2))
    as_twosamplemr(ldl()[c("SNP", "beta.exposure", "se.exposure")])
  })
})

test_that("input of the wrong kind", {
  dat <- ldl()
  expect_snapshot(error = TRUE, {
    mr_diagnose(as.matrix(dat))
    mr_diagnose(dat[0, ])
    mr_single_snp(changed("beta.exposure", 1, "0.1"))
    mr_single_snp(changed("mr_keep", 1, "yes"))
    mr_single_snp(changed("id.outcome", 3, NA))
    mr_diagnose(dat, per = "gene")
    mr_diagnose(transform(dat, samplesize.exposure = "many"))
    mr_leave_one_out(dat, "mr_iwv")
    mr_leave_one_out(dat, c("mr_ivw", "MR Egger"))
    mr_leave_one_out(dat, "mr_ivw", nboot = 10)
    mr_leave_one_out(dat, "mr_ivw", 10)
    mr_single_snp(dat, n_boot = 1, methods = "mr_simple_mode")
    mr_single_snp(dat, n_boot = 10, 5)
    mr_leave_one_out(changed("SNP", 4, "All"))
    mr_single_snp(changed("SNP", 4, "All - MR Egger"))
    mr_scatter(dat, 1)
    mr_odds_ratios(NULL)
    mr_odds_ratios(data.frame(b = "1", se = 1))
    plot(mr_single_snp(dat), "violin")
    plot(mr_leave_one_out(dat), conf_level = 95)
    ggplot2::autoplot(mr_leave_one_out(dat), colour = "red")
    as_twosamplemr(1:3)
    as_twosamplemr(dat, labels = TRUE)
  })
})

test_that("vectors that make no frame", {
  expect_snapshot(error = TRUE, {
    mr_data(1:3, 1:2, 1:3, 1:3)
    mr_data("0.1", 1, 1, 1)
    mr_data(1:3, 1:3, 1:3, 1:3, snp = "rs1")
    mr_data(1:3, 1:3, 1:3, 1:3, eaf = "common")
    mr_data(1:3, 1:3, 1:3, 1:3, exposure = NULL)
    mr_data(1:3, 1:3, 1:3, 1:3, outcome = list("CHD"))
    mr_data(1:3, 1:3, 1:3, 1:3, samplesize_exp = c(1, 2))
  })
})

test_that("effects by output that make no pairs", {
  x <- data.frame(position = 1, ref = "A", alt = c("C", "G"), output = rep(c("a", "b"), each = 2),
    effect = 1, std.error = 1)
  expect_snapshot(error = TRUE, {
    as_twosamplemr(x)
    as_twosamplemr(x, "a", "d")
    as_twosamplemr(rbind(x, x[1, ]), "a", "b")
  })
})

test_that("simulations that cannot be", {
  expect_snapshot(error = TRUE, {
    sim_summary(n_snps = 0)
    sim_summary(n_snps = 1e6, n_pairs = 1e6)
    sim_summary(invalid = 30)
    sim_summary(pleiotropy = "unbalanced")
    sim_summary(overlap = -0.5)
    sim_summary(maf = c(0.5, 0.1))
    sim_summary(p_threshold = 1e-300)
    sim_summary(seed = 0.5)
    truth(sim_summary(n_snps = 3, seed = 1)[1:2, ])
  })
})

test_that("unusable rows are dropped and told, the same by every function", {
  bad <- list(
    "1 with a standard error of zero or less" = changed("se.outcome", 1, 0),
    "1 with a standard error of zero or less" = changed("se.exposure", 1, -1),
    "1 with a missing or infinite" = changed("beta.outcome", 1, NA),
    "1 with a missing or infinite" = changed("beta.exposure", 1, Inf),
    "1 with a missing or infinite" = changed("se.exposure", 1, NaN),
    "1 with mr_keep FALSE" = changed("mr_keep", 1, FALSE),
    "1 with mr_keep NA" = changed("mr_keep", 1, NA)
  )
  for (i in seq_along(bad)) {
    for (name in names(surface)) {
      f <- surface[[name]]
      expect_message(out <- f(bad[[i]]), paste("1 of 28 rows are not used:", names(bad)[i]),
        class = "mrlearn_message_dropped")
      expect_equal(out, f(ldl()[-1, ]), label = paste(name, names(bad)[i]))
    }
  }
})

test_that("with no usable row there are rows of NA, and nothing to draw", {
  dat <- changed("mr_keep", 1:28, FALSE)
  quiet <- suppressMessages
  expect_identical(quiet(mr_estimate(dat, "mr_ivw"))$b, NA_real_)
  expect_identical(quiet(mr_diagnose(dat))$nsnp, 0L)
  expect_identical(nrow(quiet(mr_diagnose(dat, per = "snp"))), 0L)
  expect_identical(quiet(mr_single_snp(dat))$b, c(NA_real_, NA_real_))
  expect_identical(quiet(mr_leave_one_out(dat))$SNP, "All")
  expect_snapshot(error = TRUE, {
    quiet(mr_scatter(dat, mr_estimate(ldl(), "mr_ivw")))
    plot(quiet(mr_single_snp(dat)))
  })
})

test_that("one variant", {
  one <- ldl()[2, ]
  expect_identical(mr_single_snp(one)$SNP[1], "snp02")
  expect_identical(is.na(mr_single_snp(one)$b), c(FALSE, TRUE, TRUE))
  expect_identical(mr_leave_one_out(one)$SNP, "All")
  expect_identical(mr_leave_one_out(one, "mr_wald_ratio")$b, one$beta.outcome / one$beta.exposure)
  expect_identical(mr_diagnose(one)$F_mean, (one$beta.exposure / one$se.exposure)^2)
  expect_true(is.na(mr_diagnose(one)$Q))
  on_device(expect_silent(plot(mr_single_snp(one))))
  on_device(expect_silent(plot(mr_scatter(one, mr_estimate(one, "mr_wald_ratio")))))
})

test_that("a variant twice in a pair is used twice, with a warning", {
  dat <- rbind(ldl(), ldl()[3, ])
  for (f in surface[1:4]) {
    expect_warning(out <- f(dat), "snp03 of LDL and CHD", class = "mrlearn_warning_duplicates")
  }
  expect_identical(sum(out$SNP == "snp03"), 2L)
  # The same variant in two pairs is none.
  expect_silent(mr_single_snp(lipid_chd))
})

test_that("ratios that are infinite do not enter what they cannot", {
  dat <- changed("beta.exposure", 5, 0)
  single <- mr_single_snp(dat)
  expect_true(is.na(single$b[5]))
  expect_identical(single$b[29], mr_estimate(dat, "mr_ivw")$b)
  expect_false(is.na(single$b[29]))
  expect_identical(mr_diagnose(dat, per = "snp")$F[5], 0)
  on_device(expect_silent(plot(single)))
})

test_that("tibbles, data.tables, labelled columns and factors give what data.frames give", {
  plain <- lipid_chd
  factors <- plain
  text <- vapply(plain, is.character, NA)
  factors[text] <- lapply(plain[text], factor)
  labelled <- plain
  numbers <- c("beta.exposure", "se.exposure", "beta.outcome", "se.outcome")
  labelled[numbers] <- lapply(plain[numbers], function(x) {
    structure(x, class = c("haven_labelled", "vctrs_vctr", "double"), label = "an effect")
  })
  labelled$mr_keep <- 1
  tibble <- structure(plain, class = c("tbl_df", "tbl", "data.frame"))
  table <- structure(plain, class = c("data.table", "data.frame"))
  for (other in list(factors, labelled, tibble, table)) {
    for (f in c(surface[1:4], function(dat) mr_diagnose(dat, "snp"))) {
      expect_equal(f(other), f(plain))
    }
  }
  # Rows in another order make the same numbers.
  set.seed(1)
  shuffled <- plain[sample(nrow(plain)), ]
  ours <- mr_diagnose(shuffled)
  expect_equal(ours[order(ours$id.exposure), ], mr_diagnose(plain)[c(2, 1, 3), ],
    tolerance = 1e-12, ignore_attr = "row.names")
})

test_that("a million variants", {
  dat <- as.data.frame(sim_summary(n_snps = 100, n_pairs = 10000, seed = 1))
  last <- dat[999901:1e6, ]
  diagnosis <- mr_diagnose(dat)
  expect_identical(nrow(diagnosis), 10000L)
  expect_equal(diagnosis[10000, ], mr_diagnose(last), tolerance = 1e-12, ignore_attr = TRUE)
  single <- mr_single_snp(dat, "mr_ivw")
  expect_identical(nrow(single), 1010000L)
  expect_identical(single$b[1010000], mr_estimate(last, "mr_ivw")$b)
  one <- dat
  one[c("id.exposure", "exposure")] <- "x"
  one[c("id.outcome", "outcome")] <- "y"
  one$SNP <- paste0("rs", seq_len(1e6))
  # 10,000 means of 100 variants each against one of all: sums in another order.
  weight <- one$beta.exposure^2 / one$se.outcome^2
  slow <- sum(weight * one$beta.outcome / one$beta.exposure) / sum(weight)
  expect_equal(mr_estimate(one, "mr_ivw")$b, slow, tolerance = 1e-10)
  expect_identical(mr_diagnose(one)$nsnp, 1000000L)
})
