# TwoSampleMR's terms: rows that bind, functions of its signature, harmonised frames.

test_that("results bind with TwoSampleMR's, column for column", {
  for (set in c("lipid", "bmi_chd")) {
    theirs <- mr_recorded(paste0(set, "_mr"))
    ours <- mr_estimate(mr_recorded(paste0(set, "_harmonised")), seed = 1, n_boot = 50)
    expect_s3_class(ours, "data.frame", exact = TRUE)
    expect_identical(vapply(ours[1:9], typeof, ""), vapply(theirs, typeof, ""))
    both <- rbind(theirs, ours[1:9])
    expect_identical(dim(both), c(nrow(theirs) + nrow(ours), 9L))
    expect_identical(names(both), names(theirs))
  }
})

test_that("mrl_method() serves mr_leaveoneout()'s calling convention", {
  for (set in c("lipid", "bmi_chd")) {
    dat <- mr_recorded(paste0(set, "_harmonised"))
    theirs <- mr_recorded(paste0(set, "_leaveoneout"))
    ours <- slow_leave_one_out(dat, mrl_method("Inverse variance weighted"))
    expect_identical(ours$SNP, theirs$SNP)
    expect_equal(ours[c("b", "se", "p")], theirs[c("b", "se", "p")], tolerance = 1e-10)
  }
  # With TwoSampleMR's own list of parameters, of which most are not ours.
  parameters <- list(test_dist = "z", nboot = 30, Cov = 0, penk = 20, phi = 1, alpha = 0.05,
    Qthresh = 0.05, over.dispersion = TRUE, loss.function = "huber", shrinkage = FALSE)
  for (label in c("Weighted mode", "MR Egger", "Robust adjusted profile score (RAPS)")) {
    out <- slow_leave_one_out(dat[1:6, ], mrl_method(label), parameters)
    expect_false(anyNA(out))
  }
})

test_that("a fit on individual data is a row per exposure", {
  sim <- sim_contextual(n = 400, L = 5, seed = 1)
  fit <- iv_2sls(Y ~ X | G0 + G1 + G2 + G3 + G4, data = sim)
  row <- as_twosamplemr(fit)
  expect_identical(names(row), names(mr_recorded("lipid_mr")))
  expect_identical(vapply(row, typeof, ""), vapply(mr_recorded("lipid_mr"), typeof, ""))
  expect_identical(row$exposure, "X")
  expect_identical(row$outcome, "Y")
  expect_identical(row$nsnp, 5L)
  expect_identical(row$b, unname(coef(fit)["X"]))
  expect_identical(row$se, sqrt(vcov(fit)["X", "X"]))
  expect_identical(nrow(rbind(mr_recorded("lipid_mr"), row)), 15L)
  # Two exposures, and a covariate that is none.
  sim$X2 <- sim$X + sim$G0 + rev(sim$age)
  two <- as_twosamplemr(iv_2sls(Y ~ X + X2 + age | G0 + G1 + G2 + G3 + age, data = sim))
  expect_identical(two$exposure, c("X", "X2"))
  ols <- as_twosamplemr(iv_ols(Y ~ X, data = sim))
  expect_identical(ols$nsnp, NA_integer_)
})

mutations <- function() {
  out <- expand.grid(output = c("TAL1", "GATA1"), alt = c("A", "C", "T"), position = 1:4,
    sequence = c("s1", "s2"), stringsAsFactors = FALSE)
  out$ref <- "G"
  out$effect <- sin(seq_len(nrow(out)))
  out$std.error <- 0.1 + 0.01 * seq_len(nrow(out))
  out
}

test_that("effects by output become harmonised rows, one pair per sequence", {
  x <- mutations()
  dat <- as_twosamplemr(x, exposure = "TAL1", outcome = "GATA1")
  expect_identical(names(dat), names(mr_data(1, 1, 1, 1)))
  expect_identical(nrow(dat), 24L)
  expect_identical(dat$beta.exposure, x$effect[x$output == "TAL1"])
  expect_identical(dat$se.outcome, x$std.error[x$output == "GATA1"])
  expect_identical(dat$SNP[1], "s1:1G>A")
  expect_identical(dat$effect_allele.exposure[1:3], c("A", "C", "T"))
  expect_identical(unique(dat$id.exposure), c("TAL1@s1", "TAL1@s2"))
  expect_identical(mr_estimate(dat, "mr_ivw")$nsnp, c(12L, 12L))
  # Rows in any order, one sequence without its name.
  one <- x[x$sequence == "s1", names(x) != "sequence"]
  shuffled <- as_twosamplemr(one[sample(nrow(one)), ], "TAL1", "GATA1")
  whole <- as_twosamplemr(one, "TAL1", "GATA1")
  expect_identical(shuffled[order(shuffled$SNP), ], whole[order(whole$SNP), ],
    ignore_attr = "row.names")
  expect_identical(whole$id.exposure[1], "TAL1")
  # A variant of which one output is missing.
  expect_message(less <- as_twosamplemr(x[-1, ], "TAL1", "GATA1"), "1 variant has only one",
    class = "mrlearn_message_dropped")
  expect_identical(nrow(less), 23L)
})

test_that("harmonised rows stay as they are", {
  dat <- mr_recorded("lipid_harmonised")
  expect_identical(as_twosamplemr(dat), dat)
  dat$mr_keep <- NULL
  expect_identical(as_twosamplemr(dat)$mr_keep, rep(TRUE, 28))
  sim <- sim_summary(n_snps = 4, seed = 1)
  expect_s3_class(as_twosamplemr(sim), "data.frame", exact = TRUE)
})
