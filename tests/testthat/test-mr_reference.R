# Published and recorded numbers. Their digits set the tolerance: values with eight are held to 1e-6
# relative, those with fifteen to 1e-10.

estimate_lipids <- function(name, ...) {
  mr_estimate(mr_harmonised(mr_lipids()), name, ..., seed = 1)
}

test_that("closed forms on the lipid variants, as MendelianRandomization gives them", {
  recorded <- utils::read.table(header = TRUE, text = "
    name                b         se
    mr_ivw              2.8342139 0.52979949
    mr_ivw_delta        2.6645858 0.3530646
    mr_ivw_penalised    2.5609143 0.41280346
    mr_egger_regression 3.2528901 0.77012916
    mr_divw             2.9396459 0.53057758
    mr_pivw             2.9318697 0.52762193")
  for (i in seq_len(nrow(recorded))) {
    ours <- estimate_lipids(recorded$name[i])
    expect_relative(
      c(ours$b, ours$se), c(recorded$b[i], recorded$se[i]), 1e-6, recorded$name[i]
    )
  }
  ivw <- estimate_lipids("mr_ivw")
  expect_relative(
    c(ivw$pval, ivw$sigma, ivw$Q, ivw$Q_pval),
    c(8.8150135e-08, 1.9199771, 99.530426, 3.0736954e-10), 1e-6, "mr_ivw"
  )
  egger <- estimate_lipids("mr_egger_regression")
  expect_relative(
    c(egger$pval, egger$intercept, egger$intercept_se, egger$intercept_pval, egger$sigma, egger$Q,
      egger$Q_pval),
    c(0.00026025292, -0.011460666, 0.015188321, 0.45728712, 1.9354736, 97.397505, 3.4636918e-10),
    1e-6, "mr_egger_regression"
  )
})

test_that("robust fits, as MendelianRandomization gives them with lmrob()'s default tolerance", {
  # lmrob() stops where coefficients change by less than 1e-7, so its last digits are not the
  # equations' solution: 1e-6 for the fits that the package was made to meet, 3e-6 for the doubly
  # penalised one (1.4e-6 off; it agrees with a lmrob() run to 1e-13, see test-mr_estimate.R).
  egger <- estimate_lipids("mr_egger_robust")
  expect_relative(
    c(egger$b, egger$se, egger$intercept, egger$intercept_se),
    c(3.256017, 0.62389485, -0.014680424, 0.020523002), 1e-6, "mr_egger_robust"
  )
  ivw <- estimate_lipids("mr_ivw_robust")
  expect_relative(c(ivw$b, ivw$se), c(2.7969852, 0.30696579), 1e-6, "mr_ivw_robust")
  both <- estimate_lipids("mr_egger_robust_penalised")
  expect_relative(
    c(both$b, both$se, both$intercept, both$intercept_se),
    c(3.5017984, 0.47764967, -0.025732771, 0.014454086), 3e-6, "mr_egger_robust_penalised"
  )
})

test_that("RAPS, as mr.raps 0.2 gives it", {
  # Without over-dispersion optimize() is good to 1e-8. With it and a robust loss, mr.raps solves
  # for tau2 with uniroot(tol = 1.2e-4 * bound), which is 4e-4 of tau2 here, and for b by L-BFGS-B
  # to 1e-8 of the objective: 1e-3 and 3e-5 are what that leaves.
  recorded <- utils::read.table(header = TRUE, text = "
    over_dispersion loss  b         se         tau2         tolerance
    FALSE           l2    3.1732685 0.29874571 NA           1e-6
    FALSE           huber 3.0144678 0.30205629 NA           1e-6
    FALSE           tukey 2.9055536 0.299135   NA           1e-6
    TRUE            l2    2.731914  0.6042086  0.0033504764 1e-6
    TRUE            huber 2.678247  0.57290653 0.0026980153 1e-4
    TRUE            tukey 2.7154726 0.56363424 0.0025662278 1e-4")
  for (i in seq_len(nrow(recorded))) {
    to <- recorded[i, ]
    ours <- estimate_lipids("mr_raps", over_dispersion = to$over_dispersion, loss = to$loss)
    label <- paste(to$over_dispersion, to$loss)
    expect_relative(c(ours$b, ours$se), c(to$b, to$se), to$tolerance, label)
    if (to$over_dispersion) {
      expect_relative(ours$tau2, to$tau2, 10 * to$tolerance, label)
    } else {
      expect_true(is.na(ours$tau2))
    }
  }
})

test_that("maximum likelihood is higher than where Nelder-Mead stops", {
  # MendelianRandomization's mr_maxlik and TwoSampleMR's mr_two_sample_ml: 3.2249442.
  d <- mr_lipids()
  minus_log_likelihood <- function(b) 0.5 * sum((d$by - b * d$bx)^2 / (d$sy^2 + b^2 * d$sx^2))
  ours <- estimate_lipids("mr_two_sample_ml")
  expect_equal(ours$Q, 2 * minus_log_likelihood(ours$b), tolerance = 1e-12)
  expect_gt(minus_log_likelihood(3.2249442), minus_log_likelihood(ours$b) + 0.01)
  # With the likelihood in one parameter both packages' model gives RAPS without over-dispersion.
  expect_relative(ours$b, 3.1732685, 1e-7, "maximum likelihood")
  # Their search, repeated: it is the search that differs, not the model.
  n <- nrow(d)
  theirs <- stats::optim(c(d$bx, sum(d$bx * d$by / d$sy^2) / sum(d$bx^2 / d$sy^2)), function(par) {
    sum((d$bx - par[1:n])^2 / d$sx^2 + (d$by - par[n + 1] * par[1:n])^2 / d$sy^2) / 2
  }, control = list(maxit = 25000))
  expect_relative(theirs$par[n + 1], 3.2249442, 1e-6, "Nelder-Mead")
  expect_gt(theirs$value, ours$Q / 2 + 0.1)
})

test_that("points of medians and modes", {
  recorded <- utils::read.table(header = TRUE, text = "
    name               phi median_weights b
    mr_weighted_median 1   simple         2.6828835
    mr_weighted_median 1   delta          2.6772443
    mr_simple_median   1   delta          1.7551383
    mr_weighted_mode   1   delta          2.9463006
    mr_weighted_mode   0.5 delta          2.6664821
    mr_simple_mode     1   delta          2.4055511
    mr_simple_mode     0.5 delta          2.6664821")
  for (i in seq_len(nrow(recorded))) {
    to <- recorded[i, ]
    ours <- estimate_lipids(to$name, phi = to$phi, median_weights = to$median_weights, n_boot = 10)
    expect_relative(ours$b, to$b, 1e-6, to$name)
  }
})

test_that("TwoSampleMR 0.7.9's mr() on its own data sets", {
  # Closed forms to 1e-10. Standard errors of medians (sd) and modes (mad) come from 1000 draws
  # there and 4000 here; a mad has a relative error of 1.17 / sqrt(draws), 0.041 of both together,
  # and four of these, and the change that makes in a p-value, are allowed.
  for (set in c("lipid", "bmi_chd")) {
    theirs <- mr_recorded(paste0(set, "_mr"))
    dat <- mr_recorded(paste0(set, "_harmonised"))
    ours <- mr_estimate(dat, theirs$method, n_boot = 4000, seed = 1)
    expect_identical(names(ours)[1:9], names(theirs))
    expect_identical(ours[1:5], theirs[1:5])
    expect_equal(ours$nsnp, theirs$nsnp)
    drawn <- grepl("median|mode", theirs$method)
    search <- theirs$method == "Maximum likelihood"
    closed <- !drawn & !search
    for (column in c("b", "se", "pval")) {
      there <- closed & !is.na(theirs[[column]])
      expect_relative(ours[[column]][there], theirs[[column]][there], 1e-10, paste(set, column))
    }
    expect_true(is.na(ours$se[theirs$method == "Sign concordance test"]))
    expect_relative(ours$b[drawn], theirs$b[drawn], 1e-10, paste(set, "points"))
    expect_relative(ours$se[drawn], theirs$se[drawn], 0.17, paste(set, "bootstrap"))
    expect_relative(ours$b[search], theirs$b[search], 0.03, paste(set, "maximum likelihood"))
  }
})

test_that("TwoSampleMR 0.7.9's heterogeneity and pleiotropy tables", {
  for (set in c("lipid", "bmi_chd")) {
    dat <- mr_recorded(paste0(set, "_harmonised"))
    q <- mr_recorded(paste0(set, "_heterogeneity"))
    ours <- mr_estimate(dat, q$method)
    expect_relative(unlist(ours[c("Q", "Q_df", "Q_pval")]), unlist(q[c("Q", "Q_df", "Q_pval")]),
      1e-10, set)
    egger <- mr_recorded(paste0(set, "_pleiotropy"))
    ours <- mr_estimate(dat, "MR Egger")
    expect_relative(
      unlist(ours[c("intercept", "intercept_se", "intercept_pval")]),
      unlist(egger[c("egger_intercept", "se", "pval")]), 1e-10, set
    )
  }
})

test_that("mrl_method() gives TwoSampleMR's single-variant and leave-one-out rows", {
  wald <- mrl_method("mr_wald_ratio")
  ivw <- mrl_method("Inverse variance weighted")
  for (set in c("lipid", "bmi_chd")) {
    dat <- mr_recorded(paste0(set, "_harmonised"))
    call_with <- function(f, rows) {
      f(dat$beta.exposure[rows], dat$beta.outcome[rows], dat$se.exposure[rows],
        dat$se.outcome[rows], list())
    }
    rows_of <- function(f, rows) {
      t(vapply(rows, function(i) unlist(call_with(f, i)[c("b", "se", "pval")]), numeric(3)))
    }
    single <- mr_recorded(paste0(set, "_singlesnp"))
    single <- single[match(dat$SNP, single$SNP), ]
    expect_relative(rows_of(wald, seq_len(nrow(dat))), as.matrix(single[c("b", "se", "p")]),
      1e-10, set)
    out <- mr_recorded(paste0(set, "_leaveoneout"))
    out <- out[match(dat$SNP, out$SNP), ]
    expect_relative(rows_of(ivw, -seq_len(nrow(dat))), as.matrix(out[c("b", "se", "p")]), 1e-10,
      set)
  }
})

# TwoSampleMR is in no registry, so this runs where somebody has it.
live <- "TwoSampleMR"
if (requireNamespace(live, quietly = TRUE)) {
  test_that("live: the two packages' tables bind, and leave-one-out takes our function", {
    dat <- mr_recorded("lipid_harmonised")
    theirs <- suppressMessages(getExportedValue(live, "mr")(dat))
    expect_identical(nrow(rbind(theirs, mr_estimate(dat)[1:9])), 2L * nrow(theirs))
    out <- getExportedValue(live, "mr_leaveoneout")(dat, method = mrl_method("mr_ivw"))
    expect_equal(out$b, mr_recorded("lipid_leaveoneout")$b, tolerance = 1e-10)
  })
}
