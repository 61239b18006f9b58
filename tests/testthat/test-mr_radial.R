# Radial regressions: lm() on the weighted ratios, the exact weights' conditions, outliers.

test_that("estimates and parts are lm()'s with every kind of weights", {
  for (n in c(5, 30)) {
    d <- mr_effects(n, seed = n)
    for (weights in 1:3) {
      for (method in c("ivw", "egger")) {
        slow <- slow_radial(d, weights, method == "egger")
        fit <- mr_radial(mr_harmonised(d), method, weights = weights)
        at <- fit$coef[1, ]
        # Rounding of lm()'s QR.
        expect_relative(c(at$b, at$se, at$Q), c(slow$b, slow$se, sum(slow$part)), 1e-9,
          paste(method, weights, n))
        expect_equal(fit$snps$Qj, slow$part, tolerance = 1e-8)
        expect_equal(fit$snps$Qj_Chi, stats::pchisq(slow$part, 1, lower.tail = FALSE),
          tolerance = 1e-8)
        expect_identical(fit$snps$outlier, fit$snps$Qj_Chi < 0.05)
        if (method == "egger") {
          expect_relative(c(at$intercept, at$intercept_se, at$pval),
            c(slow$intercept, slow$intercept_se, slow$p_t), 1e-8, "intercept")
        }
      }
    }
  }
})

test_that("first-order weights give the IVW estimate with lm()'s standard error", {
  ldl <- lipid_ldl()
  fit <- mr_radial(ldl, weights = 1)
  ivw <- mr_estimate(ldl, "mr_ivw_mre")
  expect_equal(unlist(fit$coef[1, c("b", "se", "pval", "Q")]),
    unlist(ivw[c("b", "se", "pval", "Q")]), tolerance = 1e-12)
  expect_equal(fit$snps$Qj, mr_diagnose(ldl, per = "snp")$Q, tolerance = 1e-12)
})

test_that("iterated and exact weights solve their equations", {
  d <- mr_effects(20, seed = 4)
  q <- function(b, phi = 1) sum((d$by - b * d$bx)^2 / (phi * d$sy^2 + b^2 * d$sx^2))
  fit <- mr_radial(mr_harmonised(d), tol = 1e-12)
  at <- stats::setNames(fit$coef$b, fit$coef$model)
  w <- 1 / (d$sy^2 + at[["Iterative"]]^2 * d$sx^2)
  expect_equal(at[["Iterative"]], sum(w * d$bx * d$by) / sum(w * d$bx^2), tolerance = 1e-10)
  best <- stats::optimize(q, at[["Exact (FE)"]] + c(-0.1, 0.1), tol = 1e-12)
  # optimize() finds minima to the square root of rounding.
  expect_equal(at[["Exact (FE)"]], best$minimum, tolerance = 1e-6)
  expect_equal(fit$coef$Q[3], best$objective, tolerance = 1e-10)
  se <- 1 / sqrt(sum(d$bx^2 / (d$sy^2 + at[["Exact (FE)"]]^2 * d$sx^2)))
  expect_equal(fit$coef$se[3], se, tolerance = 1e-10)
  # With overdispersion the minimum of Q is its degrees of freedom.
  near <- at[["Exact (RE)"]] + c(-0.2, 0.2)
  lowest <- function(phi) stats::optimize(q, near, phi = phi, tol = 1e-12)
  phi <- stats::uniroot(function(phi) lowest(phi)$objective - 19, c(1, 1000), tol = 1e-10)$root
  expect_equal(at[["Exact (RE)"]], lowest(phi)$minimum, tolerance = 1e-6)
  # Without it, both are one.
  tame <- transform(d, by = 0.4 * bx + 0.1 * sy * sin(seq_along(bx)))
  fit <- mr_radial(mr_harmonised(tame))
  expect_identical(fit$coef$b[3], fit$coef$b[4])
})

test_that("rows of mr_estimate() are those of modified weights", {
  ldl <- lipid_ldl()
  rows <- mr_estimate(ldl, c("mr_ivw_radial", "mr_egger_radial"))
  for (k in 1:2) {
    at <- mr_radial(ldl, c("ivw", "egger")[k])$coef[1, ]
    expect_equal(unlist(rows[k, c("b", "se", "pval", "Q", "Q_pval")]),
      unlist(at[c("b", "se", "pval", "Q", "Q_pval")]), tolerance = 1e-12, ignore_attr = TRUE)
  }
})

test_that("several pairs, few variants, unusable rows", {
  dat <- suppressMessages(mr_radial(patchy_frame()))
  expect_identical(nrow(dat$coef), 4L * nrow(dat$fit))
  none <- dat$coef[dat$coef$id.exposure == "none", ]
  expect_true(all(is.na(none$b)))
  expect_identical(dat$fit$n_outliers[dat$fit$id.exposure == "none"], 0L)
  ldl <- usable_rows(patchy_frame())
  ldl <- ldl[ldl$id.exposure == "LDL", ]
  alone <- mr_radial(ldl)
  expect_equal(dat$coef[dat$coef$id.exposure == "LDL", ], alone$coef, ignore_attr = TRUE)
  one <- mr_radial(ldl[1, ])
  expect_true(all(is.na(one$coef$b)) && is.na(one$snps$outlier))
  zero <- ldl
  zero$beta.exposure[2] <- 0
  expect_true(all(is.na(mr_radial(zero)$coef$b[1:2])))
})

test_that("messages and print", {
  local_reproducible_output()
  ldl <- lipid_ldl()
  expect_snapshot(error = TRUE, {
    mr_radial(ldl, "median")
    mr_radial(ldl, weights = 4)
    mr_radial(ldl, alpha = 2)
    mr_radial(ldl, tol = 0)
    mr_radial(ldl[names(ldl) != "SNP"])
    mr_radial(ldl)
    mr_radial(ldl, "egger", weights = 1, alpha = 1e-9)
  })
})
