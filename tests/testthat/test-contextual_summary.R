no_noise <- function(slope, context = seq_along(slope)) {
  d <- expand.grid(snp = c("a", "b", "c"), stratum = seq_along(slope))
  d$context <- context[d$stratum]
  d$beta.exposure <- c(0.5, -0.2, 0.3)[d$snp]
  d$beta.outcome <- slope[d$stratum] * d$beta.exposure
  d$se.exposure <- d$se.outcome <- 1e-6
  d
}

# Errors of 1e-6 next to effects of 0.2 bias maximum likelihood by about their square.
test_that("slopes on a line or a spline are found exactly", {
  at <- c(20, 30, 45, 47, 60, 80, 95)
  fit <- mr_contextual(no_noise(0.3 - 0.02 * at, at))
  expect_equal(coef(fit$regression), c("(Intercept)" = 0.3, context = -0.02), tolerance = 1e-9)
  expect_equal(predict(fit, c(33, 55))$estimate, 0.3 - 0.02 * c(33, 55), tolerance = 1e-9)
  expect_equal(fit$strata$estimate, 0.3 - 0.02 * at, tolerance = 1e-9)
  # Natural interpolation through values at the knots, which are at these quantiles.
  knots <- quantile(at, 0:3 / 3, names = FALSE)
  curve <- splinefun(knots, c(0.2, 0.5, 0.1, 0.4), method = "natural")
  fit <- mr_contextual(no_noise(curve(at), at), shape = "spline", df = 3)
  x <- seq(20, 95, by = 2.5)
  expect_equal(predict(fit, x)$estimate, curve(x), tolerance = 1e-8)
  # Linear beyond the last knots.
  expect_warning(beyond <- predict(fit, c(100, 110, 120))$estimate,
    class = "mrlearn_warning_extrapolation")
  expect_equal(diff(beyond, differences = 2), 0, tolerance = 1e-8)
  expect_gt(glance(mr_contextual(no_noise(0.3 - 0.02 * at, at), shape = "spline"))$p.value.curve,
    1e-6)
})

test_that("a variant alone is a ratio with the variance of first order in both errors", {
  d <- data.frame(stratum = letters[1:4], context = 1:4, beta.exposure = c(1, 2, -1, 0.5),
    se.exposure = 0.1, beta.outcome = c(0.5, 1.2, -0.6, 0.4), se.outcome = 0.2, psi = 0.4)
  fit <- mr_contextual(d)
  ratio <- d$beta.outcome / d$beta.exposure
  expect_equal(fit$strata$estimate, ratio)
  variance <- (0.2^2 + ratio^2 * 0.1^2 - 2 * ratio * 0.4 * 0.1 * 0.2) / d$beta.exposure^2
  expect_equal(fit$strata$std.error, sqrt(variance))
  expect_identical(fit$strata$stratum, letters[1:4])
})

# Regressions by QR on both sides: 1e-10 leaves room for the sums of 500 people.
test_that("associations are those of lm() in each stratum", {
  p <- contextual_people(2000, 4)
  ours <- stratum_associations(p$g, p$x, p$y, p$age, 4, w = p$sex)
  breaks <- attr(ours, "breaks")
  stratum <- findInterval(p$age, breaks, left.open = TRUE) + 1
  for (k in 1:4) {
    i <- stratum == k
    slow <- oracle_associations(p$g[i, ], p$x[i], p$y[i], cbind(p$sex, p$age)[i, ])
    mine <- ours[ours$stratum == k, ]
    expect_equal(mine[names(slow)], slow, tolerance = 1e-10, ignore_attr = TRUE)
    expect_equal(unique(mine$context), mean(p$age[i]))
  }
  plain <- stratum_associations(p$g, p$x, p$y, p$age, 4, adjust = FALSE)
  i <- stratum == 2
  expect_equal(plain$beta.outcome[plain$stratum == 2][3],
    unname(coef(lm(p$y[i] ~ p$g[i, 3]))[2]), tolerance = 1e-10)
})

test_that("slopes of strata are those of mr_estimate(), their regression meta_regression()'s", {
  d <- draw_strata(1, 0.1 * 1:6, psi = 0.3)
  fit <- mr_contextual(d, shape = "spline", df = 2, tau2 = "DL", test = "z")
  for (k in 1:6) {
    s <- d[d$stratum == k, ]
    one <- mr_estimate(mr_data(s$beta.exposure, s$se.exposure, s$beta.outcome, s$se.outcome),
      "mr_two_sample_ml_mre", psi = 0.3)
    expect_equal(unlist(fit$strata[k, c("estimate", "std.error")]), c(one$b, one$se),
      ignore_attr = TRUE)
    expect_equal(fit$strata$f[k], mean(s$beta.exposure^2))
  }
  t <- c(1, 3.5, 6)
  cube <- function(knot) pmax(1:6 - knot, 0)^3
  bend <- ((cube(1) - cube(6)) / 5 - (cube(3.5) - cube(6)) / 2.5) / 5
  # Errors of slopes at the line: fixed points of regressions.
  variance <- function(slope) 1 + slope^2 - 2 * 0.3 * slope
  at_line <- predict(fit)$estimate
  se <- fit$strata$std.error * sqrt(variance(at_line) / variance(fit$strata$estimate))
  slow <- meta_regression(fit$strata$estimate, se, cbind(1:6, bend), method = "DL")
  expect_equal(unname(coef(fit$regression)), unname(coef(slow)), tolerance = 1e-5)
  own <- meta_regression(fit$strata$estimate, fit$strata$std.error, cbind(1:6, bend),
    method = "DL")
  expect_gt(max(abs(coef(own) / coef(slow) - 1)), 1e-4)
  expect_equal(glance(fit)$p.value.context, glance(slow)$qm.p, tolerance = 1e-4)
  expect_equal(glance(fit)$p.value.curve, tidy(slow)$p.value[3], tolerance = 1e-4)
  other <- mr_contextual(d, method = "Debiased inverse variance weighted", psi = 0)
  one <- mr_estimate(with(d, mr_data(beta.exposure, se.exposure, beta.outcome, se.outcome,
    exposure = as.character(stratum))), "mr_divw")
  expect_equal(other$strata$estimate, one$b)
})

# Both are unbiased for the same line; what differs (how strata are weighted, context within strata)
# is a fraction of the standard error, of which 1 is allowed.
test_that("the line is that of two-stage least squares with interactions on the same people", {
  p <- contextual_people(20000)
  gz <- p$g * p$z
  whole <- iv_2sls(y ~ x + xz + z | g + gz + z,
    data = data.frame(y = p$y, x = p$x, xz = p$x * p$z, z = p$z, g = I(p$g), gz = I(gz)),
    n_threads = 1)
  fit <- mr_contextual(stratum_associations(p$g, p$x, p$y, p$z, 10))
  se <- tidy(fit)$std.error
  expect_lt(abs(coef(fit$regression)[[1]] - coef(whole)[["x"]]), se[1])
  expect_lt(abs(coef(fit$regression)[[2]] - coef(whole)[["xz"]]), se[2])
  expect_lt(abs(coef(fit$regression)[[2]] - 0.2), 4 * se[2])
  people <- iv_contextual(y = p$y, x = p$x, z = p$g, context = data.frame(bmi = p$z),
    encoder = "linear", seed = 1, n_threads = 1)
  at <- c(-1, 0, 1)
  gap <- predict(fit, at)$estimate - context_effects(people, data.frame(bmi = at))$estimate
  expect_lt(max(abs(gap) / predict(fit, at)$std.error), 1)
})

# Strata of small slope have small errors; weights made of them would pull the average to zero. The
# bounds are three Monte Carlo errors.
test_that("weak variants do not pull the average of slopes to where errors are small", {
  slopes <- vapply(1:200, function(seed) {
    d <- draw_strata(seed, rep(1, 8), n_snp = 20, f = 6)
    fit <- mr_contextual(d)
    own <- meta_regression(fit$strata$estimate, fit$strata$std.error)
    c(glance(fit)$estimate, coef(own)[[1]])
  }, numeric(2))
  error <- 3 * apply(slopes, 1, sd) / sqrt(200)
  expect_lt(abs(mean(slopes[1, ]) - 1), error[1])
  expect_lt(mean(slopes[2, ]), 1 - error[2])
})

# 300 sets: 2.5 % to 7.5 % are 2 Monte Carlo errors about 5 %; mean slopes within 3.
test_that("the test of heterogeneity holds its level, and weak variants of one sample no bias", {
  fits <- lapply(1:300, function(seed) {
    d <- draw_strata(seed, rep(0.3, 6), f = 6, psi = 0.5)
    list(ours = mr_contextual(d), naive = mr_contextual(d, method = "mr_ivw_fe", psi = 0))
  })
  p <- vapply(fits, function(f) glance(f$ours)$p.value.context, 1)
  expect_gt(mean(p < 0.05), 0.025)
  expect_lt(mean(p < 0.05), 0.075)
  mean_of <- function(which) vapply(fits, function(f) glance(f[[which]])$estimate, 1)
  ours <- mean_of("ours")
  expect_lt(abs(mean(ours) - 0.3), 3 * sd(ours) / sqrt(300))
  # IVW is pulled by (psi - 0.3) / F to 0.333.
  naive <- mean_of("naive")
  expect_gt(abs(mean(naive) - 0.3), 6 * sd(naive) / sqrt(300))
})

test_that("order of rows, names of strata, alleles and units do not matter", {
  d <- draw_strata(3, 0.1 * 1:6, psi = 0.2)
  fit <- mr_contextual(d)
  withr::with_seed(1, shuffled <- d[sample(nrow(d)), ])
  other <- mr_contextual(shuffled)
  expect_equal(tidy(other), tidy(fit), tolerance = 1e-9)
  named <- transform(d, stratum = factor(letters[stratum]), SNP = snp, snp = NULL)
  expect_equal(tidy(mr_contextual(named)), tidy(fit))
  turn <- ifelse(as.integer(d$snp) %% 2, 1, -1)
  turned <- transform(d, beta.exposure = turn * beta.exposure, beta.outcome = turn * beta.outcome)
  expect_equal(tidy(mr_contextual(turned)), tidy(fit), tolerance = 1e-9)
  scaled <- transform(d, beta.exposure = 10 * beta.exposure, se.exposure = 10 * se.exposure,
    years = 2 * context + 5)
  scaled <- mr_contextual(scaled, "years")
  expect_equal(tidy(scaled)$estimate[2], tidy(fit)$estimate[2] / 20, tolerance = 1e-7)
  expect_equal(predict(scaled, data.frame(years = 11))$estimate,
    predict(fit, 3)$estimate / 10, tolerance = 1e-7)
  file <- withr::local_tempfile()
  saveRDS(fit, file)
  expect_equal(predict(readRDS(file), 2.5), predict(fit, 2.5))
  expect_named(predict(fit),
    c("row", "context", "estimate", "std.error", "conf.low", "conf.high"))
  effects <- context_effects(fit, data.frame(context = 2:3), conf_level = 0.9)
  expect_named(effects, c("row", "estimate", "std.error", "conf.low", "conf.high", "intercept"))
  expect_equal(effects[-6], predict(fit, 2:3, level = 0.9)[-2])
  expect_true(all(is.na(effects$intercept)))
  expect_equal(context_effects(fit)$conf.low, predict(fit)$conf.low)
  wide <- predict(fit, 2.5, level = 0.99)
  expect_gt(wide$conf.high, predict(fit, 2.5)$conf.high)
})

test_that("people of equal context stay together, and variants need not vary everywhere", {
  # A variant that is constant among the young goes with age.
  quiet <- function(code) suppressWarnings(code, "mrlearn_warning_context_instruments")
  p <- contextual_people(3000, 3)
  by_sex <- stratum_associations(p$g, p$x, p$y, p$sex)
  expect_identical(by_sex$context, rep(c(0, 1), each = 3))
  by_age <- stratum_associations(p$g, p$x, p$y, p$age, 7)
  expect_identical(sum(unique(by_age[c("stratum", "n")])$n), 3000L)
  expect_identical(diff(range(tapply(p$age, findInterval(p$age, attr(by_age, "breaks"),
    left.open = TRUE), function(v) length(unique(v))))) < 4L, TRUE)
  g <- p$g
  g[p$age <= attr(by_age, "breaks")[1], 2] <- round(mean(g[, 2])) # the stratum has one genotype
  holes <- quiet(stratum_associations(g, p$x, p$y, p$age, 7))
  expect_identical(nrow(holes), 20L)
  expect_identical(mr_contextual(holes)$strata$nsnp, c(2L, rep(3L, 6)))
  g[5:6, 1] <- NA
  expect_message(imputed <- quiet(stratum_associations(g, p$x, p$y, p$age, 7)),
    "2 missing genotypes in 1 variants", class = "mrlearn_message_imputed")
  expect_equal(imputed$beta.exposure[imputed$snp == "G2"], holes$beta.exposure[holes$snp == "G2"])
  expect_equal(nrow(stratum_associations(p$g[, 1], p$x, p$y, p$z, 3)), 3)
  given <- stratum_associations(p$g, p$x, p$y, p$z, breaks = c(-1, 0.5))
  expect_equal(unique(given$n), c(sum(p$z <= -1), sum(p$z > -1 & p$z <= 0.5), sum(p$z > 0.5)))
})

test_that("strata without a slope are left out and told", {
  d <- draw_strata(4, 0.1 * 1:6)
  d$beta.exposure[d$stratum == 2] <- 0.1
  expect_warning(fit <- mr_contextual(d, method = "mr_divw"), "stratum `2`",
    class = "mrlearn_warning_strata")
  expect_identical(glance(fit)$n.strata, 5L)
  expect_identical(glance(fit)$nsnp, 100L)
  expect_true(is.na(fit$strata$conf.low[2]))
  expect_warning(mr_contextual(draw_strata(4, 0.1 * 1:6, psi = 0.5), method = "mr_ivw"),
    class = "mrlearn_warning_overlap")
})

test_that("a context that variants cause is told or refused", {
  p <- contextual_people(3000, 3)
  expect_warning(stratum_associations(p$g, p$x, p$y, p$z + 0.3 * p$g[, 1]), "predict the context",
    class = "mrlearn_warning_context_instruments")
  expect_error(stratum_associations(p$g, p$x, p$y, p$g[, 1] - 2 * p$g[, 3], 4), "linear function",
    class = "mrlearn_error_data")
})

test_that("plots draw and give back the curve", {
  fit <- mr_contextual(draw_strata(5, c(0.1, 0.4, 0.5, 0.4, 0.1, 0)), shape = "spline")
  on_device(curve <- plot(fit, main = "a title"))
  expect_identical(nrow(curve), 101L)
  expect_s3_class(ggplot2::autoplot(fit), "ggplot")
})

test_that("a fit prints", {
  expect_snapshot({
    print(mr_contextual(draw_strata(6, 0.1 * 1:6)), digits = 3)
    print(mr_contextual(draw_strata(6, 0.1 * 1:6, f = 5), shape = "spline", df = 2,
      method = "mr_ivw", test = "z"), digits = 3)
  })
})

test_that("what is wrong is said", {
  d <- draw_strata(7, 0.1 * 1:6)
  changed <- function(column, row, value) replace(d, column, list(replace(d[[column]], row, value)))
  expect_snapshot(error = TRUE, {
    mr_contextual(as.list(d))
    mr_contextual(d[names(d) != "se.outcome"])
    mr_contextual(d, "age")
    mr_contextual(d, context = 3)
    mr_contextual(changed("context", 2, 7))
    mr_contextual(changed("context", 1:20, NA))
    mr_contextual(changed("beta.outcome", 3, NA))
    mr_contextual(changed("se.exposure", 4, 0))
    mr_contextual(changed("psi", 5, 1))
    mr_contextual(changed("stratum", 5, NA))
    mr_contextual(changed("snp", 2, "rs1"))
    mr_contextual(transform(d, context = 1))
    mr_contextual(d[d$stratum < 3, ])
    mr_contextual(d, shape = "spline", df = 5)
    mr_contextual(d, shape = "spline", df = 1)
    mr_contextual(d, shape = "loess")
    mr_contextual(d, method = "mr_iwv")
    mr_contextual(d, psi = 2)
    mr_contextual(d, nboot = 10)
    mr_contextual(d, conf_level = 95)
    predict(mr_contextual(d), data.frame(age = 3))
    context_effects(mr_contextual(d), "old")
    context_effects(mr_contextual(d), level = 0.9)
    predict(mr_contextual(d), NA)
    predict(mr_contextual(d), 3, interval = "both")
  })
  p <- contextual_people(60, 3)
  expect_snapshot(error = TRUE, {
    stratum_associations(p$g, p$x, p$y, replace(p$z, 2, NA))
    stratum_associations(p$g, p$x, p$y[-1], p$z)
    stratum_associations(p$g, p$x, p$y, rep(1, 60))
    stratum_associations(p$g, p$x, p$y, factor(p$sex))
    stratum_associations(p$g[-1, ], p$x, p$y, p$z)
    stratum_associations(letters, p$x, p$y, p$z)
    stratum_associations(replace(p$g, 1, Inf), p$x, p$y, p$z)
    stratum_associations(cbind(p$g, NA), p$x, p$y, p$z)
    stratum_associations(p$g, p$x, p$y, p$z, n_strata = 1)
    stratum_associations(p$g, p$x, p$y, p$z, n_strata = 20)
    stratum_associations(p$g, p$x, p$y, p$z, breaks = c(1, 0))
    stratum_associations(p$g, p$x, p$y, p$z, breaks = 1e6)
    stratum_associations(p$g, p$x, p$y, p$z, w = replace(p$sex, 3, NA))
    stratum_associations(p$g, p$x, p$y, p$z, 2, w = matrix(rnorm(120), 60), adjust = NA)
  })
})
