oracle_names <- c(
  "mr_ivw_fe", "mr_ivw", "mr_ivw_mre", "mr_ivw_delta", "mr_ivw_robust", "mr_ivw_penalised",
  "mr_egger_regression", "mr_egger_robust", "mr_egger_robust_penalised", "mr_raps",
  "mr_two_sample_ml", "mr_two_sample_ml_mre", "mr_divw", "mr_pivw", "mr_sign", "mr_uwr"
)

test_that("every method agrees with its slow oracle", {
  # Closed forms: rounding of lm()'s QR, 1e-10. Iterated ones: uniroot() and optim() leave 1e-7 of a
  # standard error.
  iterated <- c("mr_ivw_robust", "mr_egger_robust", "mr_egger_robust_penalised", "mr_raps",
    "mr_two_sample_ml", "mr_two_sample_ml_mre")
  for (n in c(8, 15, 30)) {
    d <- mr_effects(n, seed = n)
    ours <- mr_estimate(mr_harmonised(d), oracle_names, seed = 1)
    for (i in seq_along(oracle_names)) {
      theirs <- mr_oracle(oracle_names[i], d)
      row <- ours[i, ]
      expect_true(is.na(row$note))
      expect_relative(
        unlist(row[names(theirs)])[!is.na(theirs)], theirs[!is.na(theirs)],
        if (oracle_names[i] %in% iterated) 1e-6 else 1e-10, paste(oracle_names[i], n)
      )
    }
  }
  wald <- mr_estimate(mr_harmonised(d[1, ]), "Wald ratio")
  expect_relative(unlist(wald[c("b", "se", "pval")]), slow_wald(d[1, ]), 1e-12, "Wald ratio")
})

test_that("RAPS with every loss, with and without over-dispersion", {
  d <- mr_effects(25, seed = 3)
  for (loss in c("l2", "huber", "tukey")) {
    for (over in c(TRUE, FALSE)) {
      ours <- mr_estimate(mr_harmonised(d), "mr_raps", over_dispersion = over, loss = loss)
      theirs <- slow_raps(d, over, loss)
      expect_relative(unlist(ours[c("b", "se")]), theirs[c("b", "se")], 1e-7, paste(loss, over))
      expect_equal(ours$tau2, theirs[["tau2"]], tolerance = 1e-7)
    }
  }
})

test_that("a correlation of the two estimates is used by delta weights and likelihood", {
  d <- mr_effects(20, seed = 4)
  for (psi in c(-0.5, 0.3)) {
    ours <- mr_estimate(mr_harmonised(d), c("mr_ivw_delta", "mr_two_sample_ml"), psi = psi)
    delta <- slow_origin(d, slow_delta_weights(d, psi), bounded)
    expect_relative(c(ours$b[1], ours$se[1]), delta[c("b", "se")], 1e-10, "delta")
    likelihood <- slow_likelihood(d, psi)
    expect_relative(c(ours$b[2], ours$se[2], ours$Q[2]), likelihood[c("b", "se", "Q")], 1e-7,
      "likelihood")
  }
})

test_that("the robust fits are those of robustbase::lmrob()", {
  # lmrob() with tolerances near rounding, as its default of 1e-7 stops short of the solution by up
  # to 1e-5. Its random subsets miss the best S-estimate now and then: those with a larger scale
  # than ours are left out, and may be one in twenty at most.
  skip_if_not_installed("robustbase")
  missed <- 0
  for (n in rep(c(6, 12, 28, 60, 300), each = 8)) {
    d <- slow_turn(mr_effects(n, seed = n + missed))
    fit <- withr::with_seed(n, robustbase::lmrob(by ~ bx, d,
      weights = 1 / sy^2, k.max = 20000, maxit.scale = 5000, max.it = 5000, refine.tol = 1e-13,
      rel.tol = 1e-13, scale.tol = 1e-14
    ))
    ours <- mr_estimate(mr_harmonised(d), "mr_egger_robust")
    if (fit$scale > ours$sigma * (1 + 1e-8)) {
      missed <- missed + 1
      next
    }
    se <- sqrt(diag(fit$cov)) / min(1, fit$scale)
    expect_relative(
      c(ours$intercept, ours$b, ours$intercept_se, ours$se, ours$sigma),
      c(stats::coef(fit), se, fit$scale), 1e-6, paste("lmrob", n)
    )
  }
  expect_lte(missed, 2)
})

test_that("many pairs at once are the pairs one by one, on any number of threads", {
  sizes <- c(30, 1, 12, 2, 3, 50)
  parts <- lapply(seq_along(sizes), function(i) {
    mr_harmonised(mr_effects(sizes[i], seed = i), exposure = letters[i], outcome = "z")
  })
  dat <- do.call(rbind, parts)
  all <- mr_methods()$name
  one <- mr_estimate(dat, all, seed = 5, n_boot = 60, n_threads = 1)
  expect_identical(mr_estimate(dat, all, seed = 5, n_boot = 60, n_threads = 2), one)
  expect_identical(mr_estimate(dat, all, seed = 5, n_boot = 60, n_threads = 7), one)
  drawn <- all[grepl("median|mode|bootstrap|simex|cML$|DP$", all)]
  plain <- setdiff(all, c(drawn, "mr_wald_ratio"))
  alone <- do.call(rbind, lapply(parts, mr_estimate, methods = plain))
  together <- mr_estimate(dat, plain)
  expect_identical(together, alone)
  # Rows in any order: pairs by their first row, sums to rounding.
  shuffled <- withr::with_seed(1, dat[sample(nrow(dat)), ])
  mixed <- mr_estimate(shuffled, plain)
  expect_identical(unique(mixed$id.exposure), unique(shuffled$id.exposure))
  at <- match(paste(together$id.exposure, together$method), paste(mixed$id.exposure, mixed$method))
  expect_equal(mixed[at, ], together, tolerance = 1e-10, ignore_attr = TRUE)
})

test_that("a seed decides the bootstraps, and without one set.seed() does", {
  dat <- mr_harmonised(mr_effects(10, seed = 1))
  expect_identical(mr_estimate(dat, seed = 3), mr_estimate(dat, seed = 3))
  expect_false(identical(mr_estimate(dat, seed = 3), mr_estimate(dat, seed = 4)))
  with_r <- function(seed) withr::with_seed(seed, mr_estimate(dat, "Weighted mode"))
  expect_identical(with_r(1), with_r(1))
  expect_false(identical(with_r(1), with_r(2)))
  # Without a bootstrap R's generator is left alone.
  withr::with_seed(1, {
    before <- .Random.seed
    mr_estimate(dat, c("mr_ivw", "mr_raps"))
    expect_identical(.Random.seed, before)
  })
})

test_that("turning alleles changes nothing, and units change as they should", {
  plain <- c(oracle_names, "mr_simple_median", "mr_weighted_median", "mr_weighted_mode")
  d <- mr_effects(25, seed = 9)
  estimate <- function(d) {
    mr_estimate(mr_harmonised(d), plain, n_boot = 10, seed = 1)
  }
  base <- estimate(d)
  turned <- d
  turned[c(2, 5, 20), c("bx", "by")] <- -turned[c(2, 5, 20), c("bx", "by")]
  expect_equal(estimate(turned)$b, base$b, tolerance = 1e-9)
  unweighted <- plain == "mr_uwr" # its bound of 1 on sigma has units
  sign <- plain == "mr_sign" # is a concordance, without units
  # Exposure in other units: effect and standard error over the unit, p-values as they were.
  scaled <- d
  scaled[c("bx", "sx")] <- 100 * scaled[c("bx", "sx")]
  ours <- estimate(scaled)
  expect_equal(ours$b[!sign], base$b[!sign] / 100, tolerance = 1e-7)
  closed <- !is.na(base$se) & !plain %in% c("mr_simple_median", "mr_weighted_median",
    "mr_weighted_mode")
  expect_equal(ours$se[closed], base$se[closed] / 100, tolerance = 1e-7)
  expect_equal(ours$pval[closed], base$pval[closed], tolerance = 1e-6)
  # The outcome's sign turned: all effects turn.
  mirrored <- d
  mirrored$by <- -mirrored$by
  ours <- estimate(mirrored)
  # (a mode's grid is not symmetric)
  both <- plain != "mr_weighted_mode"
  expect_equal(ours$b[both], -base$b[both], tolerance = 1e-8)
  scaled <- d
  scaled[c("by", "sy")] <- 1e6 * scaled[c("by", "sy")]
  ours <- estimate(scaled)
  expect_equal(ours$b[!sign], base$b[!sign] * 1e6, tolerance = 1e-7)
  expect_equal(ours$se[closed & !unweighted], base$se[closed & !unweighted] * 1e6,
    tolerance = 1e-7)
})

test_that("confidence intervals use the distribution of the p-value", {
  dat <- mr_harmonised(mr_effects(12, seed = 2))
  out <- mr_estimate(dat, c("mr_ivw", "MR Egger", "Simple mode"), conf_level = 0.9, seed = 1)
  q <- c(stats::qnorm(0.95), stats::qt(0.95, 10), stats::qt(0.95, 11))
  expect_equal(out$ci_low, out$b - q * out$se)
  expect_equal(out$ci_high, out$b + q * out$se)
  # 0 is in the interval of level 1 - p, at its edge.
  at <- mr_estimate(dat, "MR Egger")
  edge <- mr_estimate(dat, "MR Egger", conf_level = 1 - at$pval)
  expect_equal(min(abs(c(edge$ci_low, edge$ci_high))), 0, tolerance = 1e-12)
})

test_that("the methods are listed, and their labels and names both work", {
  methods <- mr_methods()
  expect_named(methods, c("name", "label", "reference", "min_snps", "default", "heterogeneity"))
  expect_identical(anyDuplicated(c(methods$name, methods$label)), 0L)
  # TwoSampleMR's defaults.
  expect_setequal(methods$label[methods$default], c(
    "Wald ratio", "MR Egger", "Weighted median", "Inverse variance weighted", "Simple mode",
    "Weighted mode"
  ))
  dat <- mr_harmonised(mr_effects(9, seed = 1))
  by_name <- mr_estimate(dat, methods$name, seed = 1, n_boot = 20)
  expect_identical(mr_estimate(dat, methods$label, seed = 1, n_boot = 20), by_name)
  expect_identical(by_name$method, setdiff(methods$label, "Wald ratio"))
  q <- by_name$method[!is.na(by_name$Q)]
  expect_setequal(q, methods$label[methods$heterogeneity])
  # One variant fewer than a method needs gives a note, as many give an estimate.
  for (i in seq_len(nrow(methods))) {
    n <- methods$min_snps[i]
    enough <- mr_estimate(mr_harmonised(mr_effects(n, seed = 1)), methods$name[i], n_boot = 20,
      control = mr_control(n = 1000))
    expect_identical(c(enough$note, is.na(enough$b)), c(NA, "FALSE"))
    if (n > 1L) {
      few <- mr_estimate(mr_harmonised(mr_effects(n - 1L, seed = 1)), methods$name[i])
      expect_match(few$note, paste("needs at least", n))
      expect_true(is.na(few$b) && is.na(few$se) && is.na(few$pval))
    }
  }
})

test_that("the table has TwoSampleMR's columns first, with their types", {
  out <- mr_estimate(mr_harmonised(mr_effects(9, seed = 1)), seed = 1)
  expect_s3_class(out, "data.frame", exact = TRUE)
  first <- c(
    "id.exposure", "id.outcome", "outcome", "exposure", "method", "nsnp", "b", "se", "pval"
  )
  expect_named(out, c(
    first, "ci_low", "ci_high", "Q", "Q_df", "Q_pval", "intercept", "intercept_se",
    "intercept_pval", "sigma", "tau2", "note"
  ))
  types <- vapply(out[first], typeof, "")
  expect_identical(unname(types), c(rep("character", 5), "integer", rep("double", 3)))
  expect_identical(out$exposure[1], "exposure x")
  expect_identical(out$outcome[1], "outcome y")
})

test_that("failed methods keep a row with the reason, or are left out if asked", {
  dat <- mr_harmonised(mr_effects(2, seed = 1))
  kept <- mr_estimate(dat, seed = 1)
  expect_identical(sum(is.na(kept$b)), 4L)
  expect_identical(mr_estimate(dat, seed = 1, keep_failed = FALSE)$method,
    "Inverse variance weighted")
  one <- mr_estimate(mr_harmonised(mr_effects(1, seed = 1)), seed = 1)
  expect_identical(one$method[!is.na(one$b)], "Wald ratio")
  # The Wald ratio has its row where it is asked for alone.
  expect_identical(mr_estimate(dat, "Wald ratio")$note, "is for one variant")
  # A pair without usable variants is there as well.
  dat <- rbind(dat, mr_harmonised(mr_effects(4, seed = 2), exposure = "lost"))
  dat$mr_keep[3:6] <- FALSE
  out <- suppressMessages(mr_estimate(dat, "mr_ivw"))
  expect_identical(out$nsnp, c(2L, 0L))
  expect_identical(out$note[2], "needs at least 2 variants, there are 0")
})

test_that("designs without an answer say so", {
  d <- mr_effects(10, seed = 1)
  flat <- d
  flat$bx <- rep(c(0.1, -0.1), 5)
  expect_match(mr_estimate(mr_harmonised(flat), "MR Egger")$note, "not estimable")
  none <- d
  none$bx <- 0
  out <- mr_estimate(mr_harmonised(none), mr_methods()$name, n_boot = 20, seed = 1)
  # Bootstrap Egger draws exposure effects that are not 0 but noise, as TwoSampleMR's does.
  expect_identical(out$method[!is.na(out$b)], "MR Egger (bootstrap)")
  expect_false(anyNA(out$note[is.na(out$b)]))
  expect_identical(out$note[out$method == "Sign concordance test"],
    "needs at least 6 variants with effects that are not 0")
  infinite <- d
  infinite$bx[3] <- 0
  out <- mr_estimate(mr_harmonised(infinite), seed = 1, n_boot = 20)
  expect_identical(is.na(out$b), grepl("median|mode", out$method))
})

test_that("dropped rows are counted by reason", {
  dat <- mr_harmonised(mr_effects(12, seed = 1))
  dat$mr_keep[1:2] <- FALSE
  dat$mr_keep[3] <- NA
  dat$beta.exposure[4] <- NA
  dat$se.outcome[5] <- Inf
  dat$se.outcome[6] <- 0
  dat$se.exposure[7] <- -0.1
  expect_message(out <- mr_estimate(dat, "mr_ivw"), class = "mrlearn_message_dropped")
  expect_identical(out$nsnp, 5L)
  expect_equal(out$b, mr_estimate(dat[8:12, ], "mr_ivw")$b)
  expect_silent(mr_estimate(dat[8:12, ], "mr_ivw"))
})

test_that("messages", {
  local_reproducible_output()
  dat <- mr_harmonised(mr_effects(12, seed = 1))
  lost <- dat
  lost$mr_keep <- c(FALSE, NA, rep(TRUE, 10))
  lost$beta.exposure[3:5] <- c(NA, Inf, NaN)
  lost$se.outcome[6] <- 0
  twice <- dat
  twice$SNP[5] <- "rs2"
  nowhere <- dat
  nowhere$mr_keep <- FALSE
  text <- dat
  text$se.exposure <- "0.1"
  maybe <- dat
  maybe$mr_keep <- 2
  unnamed <- dat
  unnamed$id.outcome[2] <- NA
  expect_snapshot(error = TRUE, {
    mr_estimate(lost, "mr_ivw")[5:9]
    mr_estimate(twice, "mr_ivw")[5:9]
    mr_estimate(nowhere, "mr_ivw")[5:9]
    mr_estimate(dat[c("SNP", "id.exposure", "outcome", "beta.exposure")])
    mr_estimate(dat[0, ])
    mr_estimate(as.list(dat))
    mr_estimate(text)
    mr_estimate(maybe)
    mr_estimate(unnamed)
    mr_estimate(dat, "mr_ivww")
    mr_estimate(dat, c("mr_ivw", "Inverse variance weighted"))
    mr_estimate(dat, 3)
    mr_estimate(dat, n_boot = 1)
    mr_estimate(dat, phi = 0)
    mr_estimate(dat, psi = 1)
    mr_estimate(dat, loss = "cauchy")
    mrl_method("mr_grap")
    mrl_method(c("mr_ivw", "mr_raps"))
  })
})

test_that("a column of NA drops all rows and is named by the message's counts", {
  dat <- mr_harmonised(mr_effects(5, seed = 1))
  dat$se.exposure <- NA
  expect_message(out <- mr_estimate(dat, "mr_ivw"), "5 with a missing or infinite")
  expect_identical(out$nsnp, 0L)
})

test_that("variants that appear twice are used twice, with a warning", {
  dat <- mr_harmonised(mr_effects(6, seed = 1))
  double <- rbind(dat, dat[2, ])
  expect_warning(out <- mr_estimate(double, "mr_ivw"), class = "mrlearn_warning_duplicates")
  expect_identical(out$nsnp, 7L)
  # The same variant in another pair is no duplicate; nor is one of which one row is dropped.
  other <- mr_harmonised(mr_effects(6, seed = 2), exposure = "other")
  expect_silent(mr_estimate(rbind(dat, other), "mr_ivw"))
  double$mr_keep[7] <- FALSE
  expect_no_warning(suppressMessages(mr_estimate(double, "mr_ivw")))
})

test_that("other kinds of tables and columns give the same", {
  dat <- mr_harmonised(mr_effects(8, seed = 1))
  plain <- mr_estimate(dat, "mr_ivw")
  like <- function(class) structure(dat, class = c(class, "data.frame"))
  expect_identical(mr_estimate(like(c("tbl_df", "tbl")), "mr_ivw"), plain)
  expect_identical(mr_estimate(like("data.table"), "mr_ivw"), plain)
  labelled <- dat
  for (name in c("beta.exposure", "se.exposure", "beta.outcome", "se.outcome")) {
    labelled[[name]] <- structure(dat[[name]], label = "effect", labels = c(none = 0),
      class = c("haven_labelled", "vctrs_vctr", "double"))
  }
  labelled$mr_keep <- structure(rep(1, 8), class = c("haven_labelled", "vctrs_vctr", "double"))
  expect_identical(mr_estimate(labelled, "mr_ivw"), plain)
  factors <- dat
  factors[c("SNP", "id.exposure", "id.outcome", "exposure", "outcome")] <-
    lapply(dat[c("SNP", "id.exposure", "id.outcome", "exposure", "outcome")], factor)
  expect_identical(mr_estimate(factors, "mr_ivw"), plain)
  integers <- dat
  integers$id.exposure <- 7L
  expect_identical(mr_estimate(integers, "mr_ivw")$id.exposure, "7")
  # The same name in two encodings is one name.
  latin <- rbind(dat, dat[1, ])
  latin$SNP[9] <- "rs9"
  latin$id.exposure <- c(rep("caf\u00e9", 8), iconv("caf\u00e9", "UTF-8", "latin1"))
  expect_identical(nrow(mr_estimate(latin, "mr_ivw")), 1L)
})

test_that("a million variants of one pair, and a hundred thousand pairs", {
  n <- 1e6
  d <- withr::with_seed(1, data.frame(
    bx = stats::rnorm(n, 0.1, 0.05), sx = 0.01, by = stats::rnorm(n), sy = 1
  ))
  dat <- mr_harmonised(d)
  out <- mr_estimate(dat, c("mr_ivw", "MR Egger", "mr_egger_robust", "mr_divw", "mr_sign"))
  # |z| of five unbiased estimates of 0 stays below 5; the sign test's p-value above 1e-6.
  expect_true(all(abs(out$b / out$se)[1:4] < 5))
  expect_gt(out$pval[5], 1e-6)
  dat$id.exposure <- rep(sprintf("e%06d", seq_len(n / 10)), each = 10)
  out <- mr_estimate(dat, "MR Egger")
  expect_identical(nrow(out), 100000L)
  # Egger's bound on sigma makes the test conservative with few variants.
  expect_lt(mean(out$pval < 0.05), 0.05 + 4 * sqrt(0.05 * 0.95 / 1e5))
  expect_gt(mean(out$pval < 0.05), 0.005)
})

test_that("mrl_method() returns what TwoSampleMR expects of a method", {
  d <- mr_effects(10, seed = 1)
  call_with <- function(f, d, ...) f(d$bx, d$by, d$sx, d$sy, ...)
  for (name in mr_methods()$name) {
    out <- call_with(mrl_method(name), if (name == "mr_wald_ratio") d[1, ] else d,
      list(nboot = 20, test_dist = "z"))
    expect_identical(
      names(out)[1:7], c("b", "se", "pval", "nsnp", "Q", "Q_df", "Q_pval")
    )
    expect_true(all(lengths(out[1:7]) == 1L))
    none <- call_with(mrl_method(name), d[0, ], list())
    expect_true(all(is.na(unlist(none[1:7]))))
  }
  egger <- call_with(mrl_method("MR Egger"), d, list())
  expect_named(egger[8:12], c("b_i", "se_i", "pval_i", "mod", "dat"))
  expect_true(all(egger$dat$b_exp >= 0))
  expect_identical(egger$dat$flipped, d$bx < 0)
  table <- mr_estimate(mr_harmonised(d), "MR Egger")
  expect_identical(c(egger$b, egger$b_i, egger$pval_i),
    c(table$b, table$intercept, table$intercept_pval))
  # Parameters are used; those that are missing have TwoSampleMR's defaults.
  raps <- mrl_method("mr_raps")
  l2 <- call_with(raps, d, list(loss.function = "l2", over.dispersion = FALSE))
  expect_identical(
    l2$b, mr_estimate(mr_harmonised(d), "mr_raps", loss = "l2", over_dispersion = FALSE)$b
  )
  expect_identical(call_with(raps, d), call_with(raps, d, list(shrinkage = FALSE)))
  mode <- mrl_method("Weighted mode")
  drawn <- function() call_with(mode, d, list(nboot = 50))$se
  expect_identical(withr::with_seed(1, drawn()), withr::with_seed(1, drawn()))
  # Unusable variants are left out.
  holes <- rbind(d, d[1:3, ])
  holes$bx[11] <- NA
  holes$sx[12] <- 0
  holes$sy[13] <- -1
  expect_identical(call_with(mrl_method("mr_ivw"), holes), call_with(mrl_method("mr_ivw"), d))
})
