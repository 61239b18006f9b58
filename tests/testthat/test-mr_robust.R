# Contamination mixture, MR-cML, MR-LASSO, MR-HetPen, MR GRIP, radial rows and SIMEX: recorded
# numbers, slow oracles, invariances.

sets <- c("ldl", "hdl", "trig", "calcium")
with_size <- function(d, n = 17723) {
  cbind(mr_harmonised(d), samplesize.exposure = 1e5, samplesize.outcome = n)
}
estimate_set <- function(set, method, ...) {
  mr_estimate(with_size(robust_data(set)), method, ..., seed = 1)
}

test_that("closed forms and climbs are MendelianRandomization's", {
  # The same arithmetic, MR-LASSO from glmnet's set of variants: 1e-8.
  for (set in sets) {
    lasso <- robust_recorded(set, "mr_lasso")
    ours <- estimate_set(set, "mr_lasso")
    expect_relative(c(ours$b, ours$se, ours$pval), lasso[c("b", "se", "pval")], 1e-8,
      paste("MR-LASSO", set))
    pair <- mr_valid(with_size(robust_data(set)), "mr_lasso", per = "pair")
    expect_equal(c(pair$nsnp_valid, pair$lambda), unname(lasso[c("n_valid", "lambda")]),
      tolerance = 1e-8)
    given <- estimate_set(set, "mr_lasso", control = mr_control(lambda = 0.3))
    if (!anyNA(lasso)) {
      expect_relative(c(given$b, given$se), lasso[c("b_0.3", "se_0.3")], 1e-8, "given lambda")
    }
    for (method in c("mr_cML_BIC", "mr_cML_MA_BIC")) {
      recorded <- robust_recorded(set, method)
      ours <- estimate_set(set, method)
      expect_relative(c(ours$b, ours$se, ours$pval), recorded[c("b", "se", "pval")], 1e-8,
        paste(method, set))
    }
    few <- estimate_set(set, "mr_cML_MA_BIC", control = mr_control(k_vec = 0:3))
    expect_relative(c(few$b, few$se), recorded[c("b_03", "se_03")], 1e-8, "k_vec")
    pair <- mr_valid(with_size(robust_data(set)), "mr_cML_BIC", per = "pair")
    expect_equal(pair$nsnp - pair$nsnp_valid,
      as.integer(robust_recorded(set, "mr_cML_BIC")[["n_invalid"]]))
  }
})

test_that("exact maxima are where MendelianRandomization's grids have theirs", {
  # Its last grid has steps of 1e-7, so 1e-6 is more than it leaves; its sets are on a coarse one.
  for (set in sets) {
    recorded <- robust_recorded(set, "mr_conmix")
    ours <- estimate_set(set, "mr_conmix")
    expect_lt(abs(ours$b - recorded[["b"]]), 1e-6)
    pair <- mr_valid(with_size(robust_data(set)), "mr_conmix", per = "pair")
    expect_identical(pair$nsnp_valid, as.integer(recorded[["n_valid"]]))
    expect_equal(pair$psi, recorded[["psi"]], tolerance = 1e-12)
    # The grid ends where ratios plus two standard errors do.
    expect_lte(ours$ci_low, recorded[["ci_low"]] + 1e-9)
    expect_gte(ours$ci_high, recorded[["ci_high"]] - 1e-9)
    if (pair$n_intervals == 1L && is.finite(ours$ci_low)) {
      expect_lt(recorded[["ci_low"]] - ours$ci_low, recorded[["step"]] + 1e-9)
      expect_lt(ours$ci_high - recorded[["ci_high"]], recorded[["step"]] + 1e-9)
    }
  }
  recorded <- robust_recorded("calcium", "mr_hetpen")
  ours <- estimate_set("calcium", "mr_hetpen")
  expect_lt(abs(ours$b - recorded[["b"]]), 1e-6)
  expect_lt(abs(ours$ci_low - recorded[["ci_low"]]), recorded[["step"]])
  expect_lt(abs(ours$ci_high - recorded[["ci_high"]]), recorded[["step"]])
})

test_that("estimates from draws are within Monte Carlo error of the packages'", {
  # 200 perturbations: a mean has a standard error of se / sqrt(200), both sides, and a standard
  # deviation a relative one of 1 / sqrt(2 * 199); five of them, as there are four data sets and
  # heavier tails than the normal's.
  for (set in sets) {
    recorded <- robust_recorded(set, "mr_cML")
    ours <- estimate_set(set, "mr_cML")
    expect_lt(abs(ours$b - recorded[["b"]]), 5 * recorded[["se"]] * sqrt(2 / 200))
    expect_lt(abs(log(ours$se / recorded[["se"]])), 5 * sqrt(2 / 398))
    # SIMEX: the noise of 1000 and 2000 draws, from seeds of our own.
    recorded <- robust_recorded(set, "mr_egger_simex")
    many <- lapply(1:10, function(seed) {
      d <- with_size(robust_data(set))
      mr_estimate(d, "mr_egger_simex", seed = seed, n_boot = 2000)
    })
    for (name in c("b", "intercept")) {
      drawn <- vapply(many, `[[`, 0, name)
      expect_lt(abs(mean(drawn) - recorded[[name]]), 6 * stats::sd(drawn))
    }
    se <- vapply(many, `[[`, 0, "se")
    if (!anyNA(c(se, recorded[["se"]]))) {
      expect_lt(abs(mean(se) - recorded[["se"]]), 6 * stats::sd(se))
    }
  }
})

test_that("every method agrees with its slow oracle", {
  for (n in c(4, 9, 25)) {
    d <- mr_effects(n, seed = 10 + n)
    row <- function(method, ...) mr_estimate(with_size(d), method, seed = 3, ...)
    agree <- function(ours, theirs, tolerance, label) {
      expect_relative(unlist(ours[names(theirs)]), theirs, tolerance, paste(label, n))
    }
    agree(row("mr_grip"), slow_grip(d), 1e-10, "GRIP")
    agree(row("mr_grip_adjusted"), slow_grip_adjusted(d), 1e-9, "GRIP, weak")
    conmix <- slow_conmix(d)
    # optimize() finds maxima to the square root of rounding, the p-value with it.
    agree(row("mr_conmix"), conmix[c("b", "ci_low", "ci_high")], 1e-7, "conmix")
    expect_equal(row("mr_conmix")$pval, conmix[["pval"]], tolerance = 1e-6)
    ks <- 0:(n - 2)
    path <- slow_cml_path(d)
    agree(row("mr_cML_BIC"), slow_cml_conclude(path, ks, 17723, FALSE), 1e-9, "cML-BIC")
    agree(row("mr_cML_MA_BIC"), slow_cml_conclude(path, ks, 17723, TRUE), 1e-9, "cML-MA-BIC")
    control <- mr_control(num_pert = 12)
    for (average in c(FALSE, TRUE)) {
      slow <- slow_cml_dp(d, 17723, 12, core_normals(3), average)
      ours <- row(if (average) "mr_cML" else "mr_cML_BIC_DP", control = control)
      agree(ours, slow, 1e-8, "cML-DP")
    }
    agree(row("mr_egger_simex", n_boot = 30), slow_simex(d, 30, core_normals(3))[c("b",
      "intercept")], 1e-9, "SIMEX")
    for (egger in c(FALSE, TRUE)) {
      slow <- slow_radial(d, 3, egger)
      ours <- row(if (egger) "mr_egger_radial" else "mr_ivw_radial")
      agree(ours, c(b = slow$b, se = slow$se, Q = sum(slow$part)), 1e-9, "radial")
      if (egger) {
        agree(ours, c(intercept = slow$intercept, intercept_se = slow$intercept_se,
          pval = slow$p_t), 1e-9, "radial Egger")
      }
    }
  }
  d <- mr_effects(9, seed = 2)
  for (prior in c(0.2, 0.5)) {
    ours <- mr_estimate(mr_harmonised(d), "mr_hetpen", control = mr_control(prior = prior))
    expect_relative(unlist(ours[c("b", "ci_low", "ci_high")]),
      slow_hetpen(d, prior)[c("b", "ci_low", "ci_high")], 1e-6, "hetpen")
    expect_equal(ours$pval, slow_hetpen(d, prior)[["pval"]], tolerance = 1e-6)
  }
})

test_that("MR-LASSO is glmnet's, carried through", {
  skip_if_not_installed("glmnet")
  for (n in c(6, 15, 40)) {
    d <- mr_effects(n, seed = n)
    ours <- mr_estimate(mr_harmonised(d), "mr_lasso")
    pair <- mr_valid(mr_harmonised(d), "mr_lasso", per = "pair")
    slow <- slow_lasso(d)
    expect_relative(c(ours$b, ours$se, pair$nsnp_valid, pair$lambda), slow, 1e-6, paste("n", n))
  }
})

test_that("random starts never lower the likelihood, and help where zero is a bad start", {
  # What is averaged or picked is not the likelihood, so it is read off one number of invalid ones.
  d <- mr_effects(20, seed = 5)
  loss <- function(k, starts, seed) {
    ours <- mr_estimate(with_size(d), "mr_cML_BIC", seed = seed,
      control = mr_control(k_vec = k, random_start = starts, maxit = 10000))
    good <- mr_valid(with_size(d), "mr_cML_BIC", seed = seed,
      control = mr_control(k_vec = k, random_start = starts, maxit = 10000))$valid
    sum(((d$by - ours$b * d$bx)^2 / (d$sy^2 + ours$b^2 * d$sx^2))[good]) / 2
  }
  for (k in c(2, 6, 10)) {
    expect_lte(loss(k, 20, 1), loss(k, 0, 1) * (1 + 1e-9))
  }
})

test_that("threads, pairs and seeds", {
  methods <- c("mr_cML", "mr_cML_BIC_DP", "mr_egger_simex", "mr_conmix", "mr_lasso", "mr_hetpen")
  parts <- lapply(c(12, 30, 3, 1), function(n) with_size(mr_effects(n, n)))
  parts <- Map(function(d, id) transform(d, id.exposure = id, exposure = id), parts, letters[1:4])
  dat <- do.call(rbind, parts)
  control <- mr_control(num_pert = 30, random_start_pert = 1, random_start = 1)
  one <- mr_estimate(dat, methods, seed = 5, n_threads = 1, control = control, n_boot = 100)
  expect_identical(mr_estimate(dat, methods, seed = 5, n_threads = 3, control = control,
    n_boot = 100), one)
  expect_identical(one$note[one$method == "Heterogeneity-penalised"][2],
    "is for at most 20 variants")
  alone <- mr_estimate(parts[[1]], methods, seed = 5, control = control, n_boot = 100)
  expect_equal(one[one$id.exposure == "a", ], alone)
  # So many perturbations that threads share them out.
  long <- function(n_threads) {
    mr_estimate(parts[[2]], "mr_cML", seed = 1, n_threads = n_threads,
      control = mr_control(num_pert = 1500))
  }
  expect_identical(long(1), long(2))
  expect_false(one$b[1] == mr_estimate(dat, "mr_cML", seed = 6, control = control)$b[1])
  # Without draws R's generator is left alone.
  withr::with_seed(1, {
    before <- .Random.seed
    mr_estimate(dat, c("mr_cML_BIC", "mr_conmix", "mr_lasso"))
    expect_identical(.Random.seed, before)
  })
})

test_that("alleles and units", {
  methods <- c("mr_conmix", "mr_cML_BIC", "mr_cML_MA_BIC", "mr_lasso", "mr_hetpen", "mr_grip",
    "mr_ivw_radial", "mr_egger_radial")
  d <- mr_effects(14, seed = 8)
  row <- function(d) mr_estimate(with_size(d), methods, control = mr_control(maxit = 10000))
  base <- row(d)
  turned <- d
  turned[c(1, 4, 9), c("bx", "by")] <- -turned[c(1, 4, 9), c("bx", "by")]
  expect_equal(row(turned)[c("b", "se", "ci_low")], base[c("b", "se", "ci_low")],
    tolerance = 1e-9)
  # MR-cML ends where the effect moves by 1e-7 whatever its unit; MR-HetPen's weights multiply as
  # many standard errors as a subset has variants, so they have a unit.
  scaled <- d
  scaled[c("by", "sy")] <- 8 * d[c("by", "sy")]
  ours <- row(scaled)
  free <- methods != "mr_hetpen"
  expect_equal(ours$b[free] / 8, base$b[free], tolerance = 1e-5)
  expect_equal(ours$ci_high[free] / 8, base$ci_high[free], tolerance = 1e-5)
  expect_equal(ours$pval[free], base$pval[free], tolerance = 1e-5)
  mirrored <- transform(d, by = -by)
  expect_equal(row(mirrored)$b, -base$b, tolerance = 1e-8)
})

test_that("a p-value and its interval agree on 0", {
  for (seed in 1:6) {
    d <- mr_effects(12, seed = seed)
    for (method in c("mr_conmix", "mr_hetpen")) {
      at <- mr_estimate(mr_harmonised(d), method)
      wider <- mr_estimate(mr_harmonised(d), method, conf_level = 1 - at$pval * 0.999)
      expect_true(wider$ci_low < 0 && wider$ci_high > 0)
    }
  }
})

test_that("a confidence set may be unbounded or in pieces", {
  d <- data.frame(bx = 0.1, sx = 0.01, by = 0.1 * c(0.30, 0.31, 0.29, -0.31, -0.32, -0.30),
    sy = 0.002)
  pair <- mr_valid(mr_harmonised(d), "mr_conmix", per = "pair")
  expect_identical(pair$n_intervals, 2L)
  at <- mr_estimate(mr_harmonised(d), "mr_conmix")
  expect_true(at$ci_low < -0.31 && at$ci_high > 0.3)
  noise <- transform(d, by = by + c(-3, 2, -1, 3, -2, 1) / 10, sy = 1)
  at <- mr_estimate(mr_harmonised(noise), "mr_conmix")
  expect_identical(c(at$ci_low, at$ci_high), c(-Inf, Inf))
})

test_that("sample sizes come from the data or from the settings", {
  d <- mr_harmonised(mr_effects(10, seed = 1))
  expect_match(mr_estimate(d, "mr_cML_BIC")$note, "needs the sample size")
  given <- mr_estimate(d, "mr_cML_MA_BIC", control = mr_control(n = 500))
  d$samplesize.outcome <- c(900, 500, rep(NA, 8))
  d$samplesize.exposure <- 600
  expect_identical(mr_estimate(d, "mr_cML_MA_BIC"), given)
  expect_identical(mr_leave_one_out(d, "mr_cML_BIC")$b[3],
    mr_estimate(d[-3, ], "mr_cML_BIC", control = mr_control(n = 500))$b)
  f <- mrl_method("mr_cML_MA_BIC")
  e <- list(d$beta.exposure, d$beta.outcome, d$se.exposure, d$se.outcome)
  expect_identical(do.call(f, c(e, list(list(n = 500))))$b, given$b)
  expect_identical(is.na(do.call(f, e)$b), TRUE)
})

test_that("GOF p-values come with perturbed data, and variants are sorted", {
  d <- with_size(robust_data("hdl"))
  pair <- mr_valid(d, c("mr_cML", "mr_cML_BIC", "mr_conmix"), per = "pair", seed = 1)
  expect_identical(is.na(pair$GOF1_p), c(FALSE, TRUE, TRUE))
  # Recorded are 1e-24 and 6e-15; ours have their own draws.
  expect_lt(max(pair$GOF1_p[1], pair$GOF2_p[1]), 0.01)
  snp <- mr_valid(d, "mr_cML_BIC")
  expect_identical(which(!snp$valid), c(2L, 14L, 16L, 17L))
  at <- mr_estimate(d, "mr_cML_BIC")$b
  expect_equal(snp$direct[2], d$beta.outcome[2] - at * d$beta.exposure[2], tolerance = 1e-10)
  expect_true(all(snp$direct[snp$valid] == 0))
})

test_that("input that robust methods cannot use", {
  d <- with_size(mr_effects(8, seed = 1))
  expect_snapshot(error = TRUE, {
    mr_control(n = 0)
    mr_control(k_vec = c(0, 1.5))
    mr_control(num_pert = 1)
    mr_control(prior = 1)
    mr_control(lambda = "big")
    mr_control(conmix_psi = -1)
    mr_estimate(d, "mr_cML", control = list(n = 100))
    mr_valid(d, "mr_ivw")
    mr_valid(d, per = "gene")
    mr_valid(d[names(d) != "SNP"])
  })
})

test_that("one or two variants, NA rows, zero standard errors, the same variant many times", {
  new <- mr_methods()$name[-(1:25)]
  d <- with_size(mr_effects(6, seed = 2))
  for (n in 1:2) {
    few <- mr_estimate(d[seq_len(n), ], new, seed = 1)
    needed <- mr_methods()$min_snps[match(few$method, mr_methods()$label)]
    expect_identical(is.na(few$b), needed > n)
    expect_match(few$note[needed > n], "needs at least")
  }
  spoilt <- rbind(d, d[1:2, ])
  spoilt$SNP <- paste0("rs", 1:8)
  spoilt$beta.outcome[7] <- NA
  spoilt$se.exposure[8] <- 0
  expect_identical(suppressMessages(mr_estimate(spoilt, new, seed = 1)),
    mr_estimate(d, new, seed = 1))
  same <- d[rep(1, 6), ]
  same$SNP <- paste0("rs", 1:6)
  out <- mr_estimate(same, new, seed = 1)
  ratio <- same$beta.outcome[1] / same$beta.exposure[1]
  fine <- c("Contamination mixture", "MR-cML (BIC)", "MR-cML (MA-BIC)", "MR-LASSO",
    "Heterogeneity-penalised", "IVW radial")
  expect_equal(out$b[match(fine, out$method)], rep(ratio, 6), tolerance = 1e-6)
  # Where exposure effects do not differ there is no line with an intercept.
  expect_true(all(is.na(out$b[out$method %in% c("MR GRIP", "Egger radial")])))
})
