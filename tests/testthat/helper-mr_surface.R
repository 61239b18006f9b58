# Slow versions of what is around the estimators: one pair, one variant at a time, with lm().

# What TwoSampleMR::mr_leaveoneout(dat, method = f) does with f for one pair.
slow_leave_one_out <- function(dat, f, parameters = list()) {
  rows <- c(lapply(seq_len(nrow(dat)), function(i) -i), list(seq_len(nrow(dat))))
  fits <- lapply(rows, function(i) {
    f(dat$beta.exposure[i], dat$beta.outcome[i], dat$se.exposure[i], dat$se.outcome[i], parameters)
  })
  number <- function(name) vapply(fits, function(fit) as.double(fit[[name]]), 0)
  data.frame(
    SNP = c(dat$SNP, "All"), b = number("b"), se = number("se"), p = number("pval")
  )
}

# Egger's dilution statistic: Cochran's Q of |bx| / sy about its mean, weighted.
slow_i2_gx <- function(dat) {
  ratio <- abs(dat$beta.exposure) / dat$se.outcome
  fit <- stats::lm(ratio ~ 1, weights = (dat$se.outcome / dat$se.exposure)^2)
  q <- sum(stats::weighted.residuals(fit)^2)
  max(0, (q - (nrow(dat) - 1)) / q)
}

# Q about the IVW estimate and about the Egger line, the Egger intercept.
slow_heterogeneity <- function(dat) {
  side <- ifelse(dat$beta.exposure < 0, -1, 1)
  d <- data.frame(x = side * dat$beta.exposure, y = side * dat$beta.outcome, s = dat$se.outcome)
  ivw <- stats::lm(y ~ x - 1, d, weights = 1 / s^2)
  egger <- stats::lm(y ~ x, d, weights = 1 / s^2)
  of <- summary(egger)
  se <- of$coefficients[1, 2] / min(1, of$sigma)
  n <- nrow(d)
  q <- c(sum(stats::weighted.residuals(ivw)^2), sum(stats::weighted.residuals(egger)^2))
  list(
    Q = q[1], Q_df = n - 1, Q_pval = stats::pchisq(q[1], n - 1, lower.tail = FALSE),
    I2 = max(0, (q[1] - (n - 1)) / q[1]), Q_egger = q[2], Q_egger_df = n - 2,
    Q_egger_pval = stats::pchisq(q[2], n - 2, lower.tail = FALSE), Q_difference = q[1] - q[2],
    Q_difference_pval = stats::pchisq(q[1] - q[2], 1, lower.tail = FALSE),
    egger_intercept = of$coefficients[1, 1], egger_intercept_se = se,
    egger_intercept_pval = 2 * stats::pt(-abs(of$coefficients[1, 1] / se), n - 2),
    contribution = stats::weighted.residuals(ivw)^2
  )
}

# Steiger's test of one pair from correlations, variant by variant: list(r2, p).
slow_steiger <- function(r_x, r_y, n_x, n_y) {
  r2 <- c(0, 0)
  for (i in seq_along(r_x)) {
    r2 <- r2 + c(r_x[i]^2, r_y[i]^2)
  }
  fisher <- function(r) 0.5 * log((1 + r) / (1 - r))
  z <- (fisher(sqrt(r2[1])) - fisher(sqrt(r2[2]))) / sqrt(1 / (mean(n_x) - 3) + 1 / (mean(n_y) - 3))
  list(r2 = r2, p = 2 * stats::pnorm(-abs(z)))
}

# Three pairs whose rows are interleaved, some of them unusable; one pair of two variants, one of
# none.
patchy_frame <- function() {
  dat <- mrlearn::lipid_chd
  dat <- dat[order(dat$SNP), ]
  dat$samplesize.outcome <- seq_len(nrow(dat))
  dat$mr_keep[c(5, 11, 30)] <- FALSE
  dat$se.outcome[8] <- NA
  two <- dat[c(1, 4), ]
  two$id.exposure <- two$exposure <- "two"
  none <- dat[1:2, ]
  none$id.exposure <- none$exposure <- "none"
  none$mr_keep <- FALSE
  rbind(none, dat[1:40, ], two, dat[41:84, ])
}

usable_rows <- function(dat) {
  dat[dat$mr_keep & !is.na(dat$se.outcome), ]
}

# An expression on a graphics device that writes nothing.
on_device <- function(code, width = 7, height = 7) {
  grDevices::pdf(NULL, width, height)
  on.exit(grDevices::dev.off())
  force(code)
}
