# What the multivariable functions take, say and refuse.

lipids <- function(...) mv_lipids(...)
edited <- function(element, index, value) {
  d <- lipids()
  d[[element]][index] <- value
  d
}
surface <- list(
  mv_estimate = function(dat, ...) mv_estimate(dat, "mv_ivw", ...),
  mv_diagnose = function(dat, ...) mv_diagnose(dat, ...)
)

test_that("all forms of the same data give the same", {
  d <- lipids()
  theirs <- d[c("exposure_beta", "exposure_pval", "exposure_se", "outcome_beta", "outcome_pval",
    "outcome_se")]
  colnames(theirs$exposure_beta) <- colnames(theirs$exposure_se) <- c("x1", "x2", "x3")
  theirs$expname <- data.frame(id.exposure = c("x3", "x1", "x2"), exposure = c("TG", "LDL", "HDL"))
  theirs$outname <- data.frame(id.outcome = "y", outcome = "disease")
  ours <- mv_estimate(d, "mv_ivw")
  out <- mv_estimate(theirs, "mv_ivw")
  expect_identical(out$exposure, c("LDL", "HDL", "TG"))
  expect_identical(out$id.exposure, c("x1", "x2", "x3"))
  expect_identical(unique(out$outcome), "disease")
  expect_equal(out[5:8], ours[5:8])
  # Harmonised rows in any order.
  rows <- withr::with_seed(1, lipid_chd[sample(nrow(lipid_chd)), ])
  out <- mv_estimate(rows, "mv_ivw")
  expect_equal(out[match(ours$exposure, out$exposure), 5:8], ours[5:8], tolerance = 1e-10,
    ignore_attr = "row.names")
  # MVMR's format, a data.frame of that class.
  mvmr <- data.frame(SNP = d$snp, betaYG = d$outcome_beta, sebetaYG = d$outcome_se,
    betaX = unname(d$exposure_beta), sebetaX = unname(d$exposure_se))
  names(mvmr) <- sub("X\\.", "X", names(mvmr))
  out <- mv_estimate(structure(mvmr, class = c("mvmr_format", "data.frame")), "mv_ivw")
  expect_identical(out$exposure, paste0("exposure", 1:3))
  expect_equal(out[5:8], ours[5:8])
  # MendelianRandomization's object, whose slots are attributes.
  input <- structure(list(), class = "MRMVInput", betaX = unname(d$exposure_beta),
    betaXse = unname(d$exposure_se), betaY = d$outcome_beta, betaYse = d$outcome_se,
    exposure = c("a", "b", "c"), outcome = "y", snps = d$snp, correlation = matrix(NA))
  expect_equal(mv_estimate(input, "mv_ivw")[5:8], ours[5:8])
  attr(input, "correlation") <- 0.4^abs(outer(1:28, 1:28, "-"))
  expect_equal(mv_estimate(input, "mv_ivw")$b,
    mv_estimate(d, "mv_ivw", ld = attr(input, "correlation"))$b)
  expect_output(print(d), "28 variants on 3 exposures (LDL, HDL, triglycerides) and CHD",
    fixed = TRUE)
})

test_that("collinear exposures are named", {
  d <- lipids()
  double <- mv_data(cbind(d$exposure_beta, sum = d$exposure_beta[, 1] - 2 * d$exposure_beta[, 3]),
    cbind(d$exposure_se, 0.01), d$outcome_beta, d$outcome_se)
  for (f in surface) {
    expect_error(f(double), "`sum` are a combination of those on `LDL`, `triglycerides`",
      class = "mrlearn_error_collinear")
    expect_error(f(edited("exposure_beta", 29:56, 0)), "All effects on `HDL` are zero",
      class = "mrlearn_error_collinear")
  }
  # Nearly so is not so.
  near <- double
  near$exposure_beta[, 4] <- near$exposure_beta[, 4] * (1 + 1e-4 * rep(c(-1, 1), 14))
  expect_true(all(is.finite(mv_estimate(near, "mv_ivw")$b)))
})

test_that("too few variants", {
  part <- function(rows) {
    d <- lipids()
    mv_data(d$exposure_beta[rows, ], d$exposure_se[rows, ], d$outcome_beta[rows],
      d$outcome_se[rows])
  }
  for (f in surface) {
    expect_error(f(part(1:2)), "There are 2 usable variants for 3 exposures",
      class = "mrlearn_error_underidentified")
  }
  # As many as exposures: only IVW with fixed effects, and through all points.
  out <- mv_estimate(part(1:3), mv_methods()$name, n = 100, seed = 1, n_boot = 5)
  done <- is.na(out$note)
  expect_identical(unique(out$method[done]),
    c("Multivariable IVW", "Multivariable IVW (fixed effects)"))
  expect_equal(out$b[1:3],
    unname(solve(part(1:3)$exposure_beta, part(1:3)$outcome_beta)), tolerance = 1e-8)
  expect_snapshot(unique(out[!done, c("method", "note")]))
  expect_true(all(is.na(unlist(out[!done, c("b", "se", "pval", "Q", "n_valid")]))))
  expect_identical(nrow(mv_estimate(part(1:3), c("mv_ivw", "mv_egger"), keep_failed = FALSE)), 3L)
  expect_identical(mv_diagnose(part(1:3))$Q_df, rep(0L, 3))
  # One more.
  out <- mv_estimate(part(1:4), mv_methods()$name, n = 100, seed = 1, n_boot = 5, num_pert = 5)
  expect_false(anyNA(out$b[out$method %in% c("Multivariable IVW", "Multivariable median")]))
  # A penalty that leaves too few.
  expect_identical(unique(mv_estimate(lipids(), "mv_lasso", lambda = 1e-6)$note),
    "leaves too few variants")
})

test_that("unusable rows are dropped and told", {
  bad <- list(
    "1 with a missing or infinite" = edited("exposure_beta", 57, NA),
    "1 with a missing or infinite" = edited("outcome_beta", 1, Inf),
    "1 with a missing or infinite" = edited("exposure_se", 29, NaN),
    "1 with a standard error of zero or less" = edited("outcome_se", 1, 0),
    "1 with a standard error of zero or less" = edited("exposure_se", 29, -1)
  )
  d <- lipids()
  rest <- mv_data(d$exposure_beta[-1, ], d$exposure_se[-1, ], d$outcome_beta[-1], d$outcome_se[-1],
    outcome = "CHD")
  for (f in surface) {
    for (i in seq_along(bad)) {
      expect_message(out <- f(bad[[i]]), paste("1 of 28 rows are not used:", names(bad)[i]),
        class = "mrlearn_message_dropped")
      expect_equal(out, f(rest))
    }
  }
  # Their correlations and covariances go too.
  ld <- 0.4^abs(outer(1:28, 1:28, "-"))
  expect_equal(suppressMessages(mv_estimate(bad[[1]], "mv_ivw", ld = ld))$b,
    mv_estimate(rest, "mv_ivw", ld = ld[-1, -1])$b)
  each <- lapply(1:28, function(i) diag(unname(d$exposure_se[i, ])^2) * i)
  expect_equal(suppressMessages(mv_diagnose(bad[[1]], gencov = each)),
    mv_diagnose(rest, gencov = each[-1]))
  # Of harmonised rows, the variants that all exposures have.
  rows <- lipid_chd
  rows$mr_keep[3] <- FALSE
  rows <- rows[-40, ]
  expect_message(out <- mv_estimate(rows, "mv_ivw"), "2 of 28 variants are not used",
    class = "mrlearn_message_dropped")
  expect_identical(out$nsnp[1], 26L)
  twice <- mv_data(d$exposure_beta, d$exposure_se, d$outcome_beta, d$outcome_se,
    snp = c("rs1", "rs1", paste0("rs", 2:27)))
  expect_warning(mv_estimate(twice, "mv_ivw"), "1 row repeats a variant \\(first: rs1\\)",
    class = "mrlearn_warning_duplicates")
})

test_that("correlated variants", {
  singular <- 0.4^abs(outer(1:28, 1:28, "-"))
  singular[2, ] <- singular[1, ]
  singular[, 2] <- singular[, 1]
  singular[2, 2] <- 1
  expect_error(mv_estimate(lipids(), "mv_ivw", ld = singular), "not positive definite",
    class = "mrlearn_error_collinear")
  out <- mv_estimate(lipids(), mv_methods()$name, n = 100, ld = diag(28), seed = 1)
  expect_identical(unique(out$method[is.na(out$note)]),
    mv_methods()$label[mv_methods()$correlated])
  expect_identical(unique(out$note), c(NA, "takes no correlated variants"))
  # Without correlations it is the same as without them.
  expect_equal(out$b[1:12], mv_estimate(lipids(), mv_methods()$name[1:4])$b, tolerance = 1e-12)
})

test_that("arguments of the wrong kind", {
  d <- lipids()
  b <- d$exposure_beta
  se <- d$exposure_se
  half <- diag(28)
  half[1, 2] <- 0.5
  expect_snapshot(error = TRUE, {
    mv_data(1:3, 1:3, 1:3, 1:3)
    mv_data(b, se[-1, ], d$outcome_beta, d$outcome_se)
    mv_data(b, se, d$outcome_beta[-1], d$outcome_se)
    mv_data(b, se, d$outcome_beta, d$outcome_se, exposure = c("a", "b", "a"))
    mv_data(b, se, d$outcome_beta, d$outcome_se, snp = "rs1")
    mv_data(b[0, ], se[0, ], numeric(), numeric())
    mv_data(b, se, d$outcome_beta, d$outcome_se, outcome = 1)
    mv_estimate("lipids")
    mv_estimate(list(exposure_beta = b, outcome_beta = 1))
    mv_estimate(data.frame(betaYG = 1, sebetaYG = 1))
    mv_estimate(lipid_chd[names(lipid_chd) != "SNP"])
    mv_estimate(rbind(lipid_chd, lipid_chd[1, ]))
    mv_estimate(transform(lipid_chd, id.outcome = rep(c("a", "b"), 42)))
    mv_estimate(transform(lipid_chd, beta.outcome = beta.outcome * rep(c(1, -1, 1), each = 28)))
    mv_estimate(d, "mr_ivw")
    mv_estimate(d, c("mv_ivw", "Multivariable IVW"))
    mv_estimate(d, "mv_cml")
    mv_estimate(d, "mv_egger", orientate = 4)
    mv_estimate(d, "mv_egger", orientate = "trig")
    mv_estimate(d, "mv_cml", n = 100, K_vec = 25)
    mv_estimate(d, "mv_cml", n = 100, K_vec = "all")
    mv_estimate(d, "mv_cml", n = 100, min_theta_range = 1)
    mv_estimate(d, "mv_lasso", lambda = -1)
    mv_estimate(d, distribution = "t")
    mv_estimate(d, "mv_ivw", ld = diag(3))
    mv_estimate(d, "mv_ivw", ld = half)
    mv_estimate(d, "mv_ivw", ld = diag(28) * 2)
    mv_estimate(d, "mv_ivw", gencov = 0.3)
    mv_estimate(d, "mv_ivw", gencov = diag(2))
    mv_estimate(d, "mv_ivw", gencov = matrix(c(1, 0.9, -0.9, 0.9, 1, 0.9, -0.9, 0.9, 1), 3))
    mv_estimate(d, "mv_ivw", gencov = list(diag(3)))
    mv_estimate(d, "mv_ivw", gencov = rep(list(diag(2)), 28))
    mv_diagnose(d, "outcome")
    mv_diagnose(d, ld = diag(28))
  })
})
