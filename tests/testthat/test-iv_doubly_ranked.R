test_that("strata are DRMR's where ties lie in the order of the rows", {
  sim <- sim_tian2023(n = 1037, scenario = "D", seed = 1) # ties in X, an incomplete pre-stratum
  d <- data.frame(as.data.frame(sim), tied = round(2 * sim$Z))
  for (size in c(10, 13, 30)) {
    fit <- suppressWarnings(iv_doubly_ranked(Y ~ X | tied, d, pre_size = size, ties = "order"))
    expect_identical(fit$stratum, oracle_strata(d$tied, d$X, 10, size))
  }
  fit <- suppressWarnings(iv_doubly_ranked(Y ~ X | Z, d, n_strata = 4, ties = "order"))
  expect_identical(fit$stratum, oracle_strata(d$Z, d$X, 4))
  expect_identical(fit$tied, c(instrument = 0, exposure = sum(d$X %in% d$X[duplicated(d$X)])))
})

test_that("strata are SUMnlmr's with the other rule", {
  sim <- sim_tian2023(n = 1037, scenario = "C", seed = 2)
  for (prestrat in c(1, 3)) {
    fit <- iv_doubly_ranked(Y ~ X | Z, sim, pre_size = 10 * prestrat, rule = "fill")
    expect_identical(fit$stratum, oracle_strata_sumnlmr(sim$Z, sim$X, 10, prestrat))
  }
  # On whole pre-strata both rules agree, on the last one they do not.
  whole <- as.data.frame(sim)[1:1030, ]
  spread <- iv_doubly_ranked(Y ~ X | Z, whole)$stratum
  expect_identical(iv_doubly_ranked(Y ~ X | Z, whole, rule = "fill")$stratum, spread)
  expect_false(identical(fit$stratum, iv_doubly_ranked(Y ~ X | Z, sim, pre_size = 30)$stratum))
})

test_that("residual and naive strata are ranks of residuals and of the exposure", {
  sim <- sim_tian2023(n = 1003, scenario = "A", seed = 3)
  d <- data.frame(as.data.frame(sim), w = sim$Z + truth(sim)$noise_x)
  shared <- sort(rep(1:10, length.out = 1003))
  naive <- iv_doubly_ranked(Y ~ X | Z, d, strata = "naive")
  expect_identical(naive$stratum[order(d$X)], shared)
  residual <- iv_doubly_ranked(Y ~ X | Z, d, strata = "residual")
  expect_identical(residual$stratum[order(stats::lm(X ~ Z, d)$residuals)], shared)
  with_w <- iv_doubly_ranked(Y ~ X + w | Z + w, d, strata = "residual")
  expect_identical(with_w$stratum[order(stats::lm(X ~ Z + w, d)$residuals)], shared)
})

test_that("associations are those of lm() and glm() within strata", {
  # Well-conditioned regressions of 100 people; glm() takes the weights of its last step but one for
  # the standard errors, which are off by the square root of the deviance's tolerance of 1e-12.
  sim <- sim_tian2023(n = 1000, scenario = "B", outcome = 2, seed = 4)
  d <- data.frame(as.data.frame(sim), w = truth(sim)$noise_x, v = rep(0:1, 500))
  columns <- c("bx", "bx.se", "by", "by.se")
  check <- function(fit, tolerance, ...) {
    for (k in 1:10) {
      expect_equal(unlist(fit$lace[k, columns], use.names = FALSE),
        oracle_in_stratum(d, which(fit$stratum == k), ...), tolerance = tolerance)
    }
  }
  check(iv_doubly_ranked(Y ~ X | Z, d, vcov = "iid"), 1e-11)
  check(iv_doubly_ranked(Y ~ X + w + v | Z + w + v, d, vcov = "iid"), 1e-11,
    covariates = c("w", "v"))
  d$Y <- as.double(d$Y > 0.3)
  check(iv_doubly_ranked(Y ~ X + w | Z + w, d, family = "binomial", vcov = "iid"), 5e-6,
    family = "binomial", covariates = "w")
})

test_that("the LACE and its error are those of 2SLS within strata", {
  sim <- sim_tian2023(n = 2000, scenario = "C", outcome = 3, seed = 5)
  d <- data.frame(as.data.frame(sim), w = truth(sim)$noise_x, weight = 1 + (sim$Z > 0),
    family = rep(1:400, 5))
  one <- function(rows, ...) {
    fit <- iv_2sls(Y ~ X + w | Z + w, d[rows, ], ...)
    c(coef(fit)[["X"]], sqrt(vcov(fit)["X", "X"]))
  }
  check <- function(fit, slow) {
    for (k in c(1, 4, 10)) {
      expect_equal(unlist(fit$lace[k, c("estimate", "std.error")], use.names = FALSE),
        slow(which(fit$stratum == k)), tolerance = 1e-10)
    }
  }
  formula <- Y ~ X + w | Z + w
  check(iv_doubly_ranked(formula, d, vcov = "iid"), one)
  check(iv_doubly_ranked(formula, d), function(rows) one(rows, vcov = "HC1"))
  check(iv_doubly_ranked(formula, d, weights = weight, vcov = "iid"), function(rows) {
    fit <- iv_2sls(Y ~ X + w | Z + w, d[rows, ], weights = weight)
    c(coef(fit)[["X"]], sqrt(vcov(fit)["X", "X"]))
  })
  check(iv_doubly_ranked(formula, d, cluster = ~family), function(rows) {
    fit <- iv_2sls(Y ~ X + w | Z + w, d[rows, ], cluster = ~family)
    c(coef(fit)[["X"]], sqrt(vcov(fit)["X", "X"]))
  })
  first <- iv_doubly_ranked(formula, d, se = "first_order")$lace
  expect_equal(first$std.error, first$by.se / abs(first$bx))
})

test_that("the robust error of a log-odds is the sandwich of glm()", {
  sim <- sim_burgess2014(n = 1500, type = "logistic", seed = 6)
  d <- data.frame(Y = sim$Y, X = sim$X, Z = sim$g + 0.1 * truth(sim)$U, w = truth(sim)$noise_x)
  fit <- iv_doubly_ranked(Y ~ X + w | Z + w, d, family = "binomial", n_strata = 3, vcov = "HC1")
  for (k in 1:3) {
    part <- d[which(fit$stratum == k), ]
    slow <- stats::glm(Y ~ w + Z, stats::binomial, part, control = list(epsilon = 1e-12))
    design <- stats::model.matrix(slow)
    bread <- solve(crossprod(design * sqrt(fitted(slow) * (1 - fitted(slow)))))
    meat <- crossprod(design * (part$Y - fitted(slow)))
    robust <- sqrt((bread %*% meat %*% bread)["Z", "Z"] * nrow(part) / (nrow(part) - 3))
    expect_equal(fit$lace$by.se[k], robust, tolerance = 1e-6)
  }
  # The error of the ratio from both influence functions.
  moves <- drop(design %*% bread[, "Z"]) * (part$Y - fitted(slow))
  first <- stats::lm(X ~ w + Z, part)
  zt <- stats::lm(Z ~ w, part)$residuals
  moves_x <- zt * first$residuals / sum(zt^2)
  ratio <- fit$lace$estimate[3]
  expect_equal(fit$lace$std.error[3], sqrt(sum((moves - ratio * moves_x)^2) * nrow(part) /
    (nrow(part) - 3)) / abs(fit$lace$bx[3]), tolerance = 1e-6)
})

test_that("DRMR's published rows follow from its associations", {
  # README of DRMR: getDat(ZXmodel = "C", XYmodel = "2"), 10 strata; printed with 8 digits.
  rows <- data.frame(
    bx = c(0.9898284, 1.2086197, 1.3153286, 1.4035171, 1.5382303, 1.6360871),
    bxse = c(0.11834371, 0.09557140, 0.08469250, 0.08023304, 0.07624695, 0.07679550),
    by = c(-1.4172479, -1.3118679, -1.2018580, -1.0607026, -0.8423861, -0.6558742),
    byse = c(0.16323707, 0.10666678, 0.08321997, 0.07773271, 0.07007546, 0.06643903),
    f = c(69.95673, 159.92760, 241.20073, 306.00529, 407.00318, 453.88022),
    est = c(-1.4318117, -1.0854266, -0.9137321, -0.7557461, -0.5476333, -0.4008797),
    se = c(0.16491451, 0.08825504, 0.06326934, 0.05538423, 0.04555590, 0.04060849)
  )
  for (k in 1:6) {
    r <- rows[k, ]
    effect <- c(n = 1000, mean = 0, bx = r$bx, by = r$by, vxx = r$bxse^2, vyy = r$byse^2, vxy = 0,
      df = 998, separated = 0, gr_low = 1, gr_high = 1)
    out <- combine_repeats(matrix(effect, dimnames = list(names(effect), NULL)),
      list(se = "first_order", family = "gaussian"))
    expect_equal(c(out$estimate, out$std.error), c(r$est, r$se), tolerance = 1e-6)
    expect_equal(out$F, r$f, tolerance = 1e-6)
  }
})

test_that("the law of DRMR's example is that of our scenario C with curve 2", {
  # Six strata of its README against means of ours over 40 data sets; its rows are one draw, so
  # within 4 of their own standard errors.
  est <- c(-1.4318117, -1.0854266, -0.9137321, -0.7557461, -0.5476333, -0.4008797)
  se <- c(0.16491451, 0.08825504, 0.06326934, 0.05538423, 0.04555590, 0.04060849)
  bx <- c(0.9898284, 1.2086197, 1.3153286, 1.4035171, 1.5382303, 1.6360871)
  bxse <- c(0.11834371, 0.09557140, 0.08469250, 0.08023304, 0.07624695, 0.07679550)
  many <- lapply(1:40, function(seed) {
    sim <- sim_tian2023(n = 10000, scenario = "C", outcome = 2, seed = 100 + seed)
    iv_doubly_ranked(Y ~ X | Z, sim, se = "first_order")$lace[1:6, ]
  })
  ours <- function(column) rowMeans(vapply(many, function(l) l[[column]], numeric(6)))
  expect_lt(max(abs(ours("estimate") - est) / se), 4)
  expect_lt(max(abs(ours("bx") - bx) / bxse), 4)
  expect_equal(ours("std.error"), se, tolerance = 0.15) # an SD of a draw of about 3 to 5 %
})

test_that("SUMnlmr's published generator and tests are reproduced", {
  # set.seed(1234); create_ind_data(N = 10000, beta2 = 2, beta1 = 1), rows 1 to 3 of its snapshot.
  d <- oracle_ind_data(10000, 1234)
  expect_equal(d$X[1:3], c(5.084958, 3.165270, 3.281374), tolerance = 1e-6)
  expect_equal(d$linear[1:3], c(3.291723152, 3.272422220, 2.363317973), tolerance = 1e-8)
  # README of SUMnlmr, example 1: associations in residual strata, printed with 7 digits, and the
  # p-values that frac_poly_summ_mr() (REML) and piecewise_summ_mr() (DL) take from them. Digits
  # cut off in bx (1e-7 of .26) move Q by some 1e-4, p-values by 1e-5.
  bx <- c(0.2588236, 0.2639698, 0.2663603, 0.2632726, 0.2654057, 0.2657900, 0.2662545, 0.2667502,
    0.2388100, 0.3452849)
  bxse <- c(0.005621032, 0.003193135, 0.002404029, 0.002233041, 0.002526511, 0.003074774,
    0.004110042, 0.005614201, 0.009509496, 0.045877868)
  by <- c(2.868310, 3.262953, 3.490383, 3.673075, 3.832009, 3.968406, 4.202888, 4.636122, 4.658954,
    8.874508)
  byse <- c(0.08044786, 0.06357513, 0.05902643, 0.05738331, 0.06608632, 0.06710325, 0.08104480,
    0.10936277, 0.18909153, 1.41920866)
  x <- c(2.475200, 2.753109, 2.947150, 3.122582, 3.275774, 3.480791, 3.721853, 4.044472, 4.559325,
    5.919853)
  expect_equal(q_row("Q", heterogeneity(bx, bxse^2))$p.value, 0.162997, tolerance = 1e-4)
  trend <- function(method) trend_row("trend", bx, bxse, x, method)$p.value
  expect_equal(trend("REML"), 0.9391521, tolerance = 1e-4)
  expect_equal(trend("DL"), 0.8732123, tolerance = 1e-4)
  # Its LACE divide by one bx for all strata, their mean by inverse variances.
  pooled <- sum(bx / bxse^2) / sum(1 / bxse^2)
  beta <- c(10.84182, 12.33351, 13.19317, 13.88372, 14.48447, 15.00003, 15.88634, 17.52391,
    17.61021, 33.54443)
  expect_equal(by / pooled, beta, tolerance = 1e-6)
  quadratic <- trend_row("trend", by / pooled, byse / pooled, x, "REML")$p.value
  expect_equal(log(quadratic), log(1.016544e-72), tolerance = 1e-5)
})

test_that("Gelman-Rubin statistics are those of a slow table", {
  sim <- sim_tian2023(n = 1234, scenario = "D", seed = 7)
  for (k in c(4, 10)) {
    fit <- suppressWarnings(iv_doubly_ranked(Y ~ X | Z, sim, n_strata = k))
    expect_equal(fit$lace$gr, oracle_gr(sim$Z, sim$X, k), tolerance = 1e-12)
  }
  exact <- data.frame(Y = sim$Y, X = truth(sim)$X_exact, Z = sim$Z)
  continuous <- iv_doubly_ranked(Y ~ X | Z, exact)
  expect_identical(unique(continuous$lace$gr), 1)
  expect_equal(find_diagnostic(diagnostics(continuous), "Gelman-Rubin")$critical, 1.02)
  # A coarse exposure whose values move with the instrument is told.
  step <- data.frame(Z = 1:400, X = c(rep(0:1, 100), rep(0:3, 50)), Y = sin(1:400))
  expect_warning(
    expect_warning(fit <- iv_doubly_ranked(Y ~ X | Z, step, n_strata = 4, ties = "order"),
      "No estimate in stratum 1", class = "mrlearn_warning_strata"),
    "disturb the ranks", class = "mrlearn_warning_strata"
  )
  expect_identical(fit$lace$gr[2], Inf) # DRMR gives 1 where ranks do not vary within a chain
})

test_that("heterogeneity and trend tests follow their formulas", {
  sim <- sim_tian2023(n = 3000, scenario = "A", outcome = 2, seed = 8)
  fit <- iv_doubly_ranked(Y ~ X | Z, sim, vcov = "iid", se = "first_order")
  s <- fit$lace
  d <- sum(s$bx * s$by / s$by.se^2) / sum(s$bx^2 / s$by.se^2)
  q <- sum((s$by - d * s$bx)^2 / (s$by.se^2 + d^2 * s$bx.se^2))
  told <- diagnostics(fit)
  row <- told[told$diagnostic == "Heterogeneity Q", ]
  expect_equal(row$statistic, q)
  expect_equal(row$p.value, stats::pchisq(q, 9, lower.tail = FALSE))
  expect_equal(glance(fit)$q, q)
  reml <- glance(meta_regression(s$estimate, s$std.error, s$x.mean, method = "REML"))
  expect_equal(find_diagnostic(told, "Trend (REML)")$p.value, reml$qm.p)
  # With the covariance of both associations the same statistic is one of by - d bx of one sample.
  delta <- iv_doubly_ranked(Y ~ X | Z, sim, vcov = "iid")
  within <- vapply(1:10, function(k) {
    rows <- which(delta$stratum == k)
    r <- sim$Y[rows] - d * sim$X[rows]
    unlist(summary(stats::lm(r ~ sim$Z[rows]))$coefficients[2, 1:2])
  }, c(0, 0))
  expect_equal(glance(delta)$q, sum((within[1, ] / within[2, ])^2), tolerance = 1e-8)
})

test_that("the curve is the integral of the LACE, not a LACE times the exposure (mutant)", {
  # Quadratic truth: LACE are slopes at means, so the curve is right to their errors; the mutant of
  # ml-mr multiplies the LACE at x by x, which is off by a factor of two.
  sim <- sim_tian2023(n = 40000, scenario = "A", outcome = 2, seed = 9)
  fit <- iv_doubly_ranked(Y ~ X | Z, sim)
  at <- c(-2, -1, 1, 2)
  curve <- effect_curve(fit, at, reference = 0)
  right <- truth(sim)$curve(at) - truth(sim)$curve(0)
  expect_lt(max(abs(curve$estimate - right) / curve$std.error), 4)
  mutant <- drop(lace_basis(at, fit$curve) %*% fit$curve$coef) * at
  expect_gt(max(abs(mutant - right) / curve$std.error), 5)
  # The same by numerical integration of the smoothed LACE.
  slow <- vapply(at, function(x) {
    stats::integrate(function(t) drop(lace_basis(t, fit$curve) %*% fit$curve$coef), 0, x)$value
  }, 0)
  expect_equal(curve$estimate, slow, tolerance = 1e-8)
  # The fit is the weighted regression of the LACE on powers of the mean exposure.
  wls <- stats::lm(estimate ~ x.mean + I(x.mean^2), fit$lace, weights = 1 / std.error^2)
  expect_equal(drop(lace_basis(at, fit$curve) %*% fit$curve$coef),
    unname(predict(wls, data.frame(x.mean = at))), tolerance = 1e-8)
  area <- cbind(2 - -1, (4 - 1) / 2, (8 + 1) / 3)
  spread <- max(1, sum(wls$residuals^2 * wls$weights) / 7)
  se <- sqrt(drop(area %*% summary(wls)$cov.unscaled %*% t(area)) * spread)
  expect_equal(ate(fit, -1, 2)$std.error, se, tolerance = 1e-8)
})

test_that("a piecewise curve has the LACE as slopes, a spline bends at its knots", {
  sim <- sim_tian2023(n = 5000, scenario = "A", outcome = 4, seed = 10)
  fit <- iv_doubly_ranked(Y ~ X | Z, sim, n_strata = 5, smooth = "piecewise")
  x <- fit$lace$x.mean
  middle <- (x[-1] + x[-5]) / 2
  expect_equal(ate(fit, middle[1], middle[2])$estimate, diff(middle)[1] * fit$lace$estimate[2])
  expect_equal(ate(fit, middle[1], middle[2])$std.error, diff(middle)[1] * fit$lace$std.error[2])
  expect_equal(ate(fit, x[1], x[2])$estimate,
    (middle[1] - x[1]) * fit$lace$estimate[1] + (x[2] - middle[1]) * fit$lace$estimate[2])
  spline <- iv_doubly_ranked(Y ~ X | Z, sim, degree = 1, knots = 0.6)
  by_hand <- stats::lm(estimate ~ x.mean + pmax(x.mean - 0.6, 0), spline$lace,
    weights = 1 / std.error^2)
  at <- c(-1, 0.6, 2)
  expect_equal(drop(lace_basis(at, spline$curve) %*% spline$curve$coef),
    unname(predict(by_hand, data.frame(x.mean = at))), tolerance = 1e-8)
})

test_that("the LACE is one number, not the regression's coefficients (mutant)", {
  sim <- sim_tian2023(n = 1000, scenario = "A", outcome = 2, seed = 11)
  fit <- iv_doubly_ranked(Y ~ X | Z, sim, n_strata = 5)
  expect_length(coef(fit), 5)
  rows <- which(fit$stratum == 1)
  both <- coef(iv_2sls(Y ~ X | Z, as.data.frame(sim)[rows, ])) # what ml-mr takes
  expect_length(both, 2)
  expect_equal(coef(fit)[[1]], both[["X"]])
})

test_that("several instruments make a score whose weights are said", {
  sim <- sim_nonlinear(n = 3000, n_variants = 5, seed = 12)
  z <- as.matrix(as.data.frame(sim)[truth(sim)$instruments])
  d <- data.frame(Y = sim$Y, X = sim$X)
  d$z <- z
  weights <- coef(stats::lm(X ~ z, d))[-1]
  own <- iv_doubly_ranked(Y ~ X | z, d, seed = 1)
  expect_equal(unname(own$score$weights), unname(weights), tolerance = 1e-10)
  d$s <- drop(z %*% own$score$weights)
  expect_equal(iv_doubly_ranked(Y ~ X | s, d, seed = 1)$lace, own$lace, tolerance = 1e-10)
  given <- iv_doubly_ranked(Y ~ X | z, d, seed = 1, score_weights = 1:5)
  d$s <- drop(z %*% 1:5)
  expect_equal(iv_doubly_ranked(Y ~ X | s, d, seed = 1)$lace, given$lace)
  # ml-mr counts alleles without saying so: other estimates, and ours says "equal".
  equal <- iv_doubly_ranked(Y ~ X | z, d, seed = 1, score_weights = "equal")
  expect_identical(equal$score$how, "equal")
  expect_false(isTRUE(all.equal(equal$lace$estimate, own$lace$estimate, tolerance = 1e-3)))
  expect_output(print(equal), "score of 5 instruments with equal weights")
  expect_output(print(own), "score of 5 instruments with first-stage weights")
})

test_that("repeats are combined by Rubin's rules", {
  sim <- sim_burgess2014(n = 1200, seed = 13)
  fit <- iv_doubly_ranked(Y ~ X | g, sim, n_strata = 4, n_repeats = 6, vcov = "iid", seed = 5)
  # The repeats one by one, from the core.
  settings <- strata_settings(list(y = sim$Y, n_cluster = 0L),
    list(strata = "doubly_ranked", vcov = "iid", family = "gaussian"), 4, 4, "spread", "random", 6,
    NULL, 5, 1)
  raw <- .Call(C_strata_effects, list(z = sim$g, rank_by = sim$X, x = sim$X, y = sim$Y, w = NULL,
    weights = NULL, cluster = NULL), settings)$value
  effect <- array(raw$effect, c(11, 4, 6), list(stratum_columns))
  expect_identical(sum(is.na(fit$stratum)), 10L)
  expect_gt(stats::sd(effect["by", 1, ]), 0)
  for (k in 1:4) {
    bx <- effect["bx", k, ]
    by <- effect["by", k, ]
    ratio <- mean(by) / mean(bx)
    u <- mean(effect["vyy", k, ] + ratio^2 * effect["vxx", k, ] - 2 * ratio * effect["vxy", k, ])
    b <- stats::var(by - ratio * bx)
    expect_equal(fit$lace$estimate[k], ratio)
    expect_equal(fit$lace$std.error[k], sqrt(u + (1 + 1 / 6) * b) / abs(mean(bx)))
    share <- (1 + 1 / 6) * b / (u + (1 + 1 / 6) * b)
    com <- mean(effect["df", k, ])
    observed <- (com + 1) / (com + 3) * com * (1 - share)
    expect_equal(fit$lace$df[k], 1 / (share^2 / 5 + 1 / observed))
  }
  # Without ties and without leaving people out all repeats are one.
  continuous <- sim_tian2023(n = 600, seed = 1)
  once <- iv_doubly_ranked(Y ~ X | Z, continuous, n_strata = 4)
  often <- iv_doubly_ranked(Y ~ X | Z, continuous, n_strata = 4, n_repeats = 3, leave_out = 0)
  expect_equal(often$lace, once$lace, tolerance = 1e-12)
})

test_that("results depend on the seed alone", {
  sim <- sim_tian2023(n = 2003, scenario = "D", outcome = 2, seed = 14)
  d <- as.data.frame(sim)
  run <- function(...) iv_doubly_ranked(Y ~ X | Z, d, n_strata = 5, n_repeats = 3, ...)
  one <- run(seed = 1, n_threads = 1)
  expect_identical(run(seed = 1, n_threads = 3)$lace, one$lace)
  expect_false(identical(run(seed = 2)$lace, one$lace))
  set.seed(3)
  a <- run()
  set.seed(3)
  expect_identical(run()$lace, a$lace)
  # Order of rows, where nothing is tied; scale of the variables.
  d$X <- truth(sim)$X_exact
  base <- iv_doubly_ranked(Y ~ X | Z, d)
  turned <- d[rev(seq_len(nrow(d))), ]
  expect_equal(iv_doubly_ranked(Y ~ X | Z, turned)$lace, base$lace, tolerance = 1e-10)
  scaled <- iv_doubly_ranked(I(10 * Y) ~ X | Z, data.frame(Y = d$Y, X = d$X, Z = 1e3 * d$Z + 5))
  expect_equal(scaled$lace$estimate, 10 * base$lace$estimate, tolerance = 1e-9)
  path <- withr::local_tempfile()
  saveRDS(base, path)
  expect_equal(effect_curve(readRDS(path)), effect_curve(base))
})

test_that("intervals of the LACE cover their own targets", {
  # 40 data sets times 10 strata: 95 % within 4.5 standard errors of 400 intervals, .011 each; the
  # study of 16 cells is bench/doubly_ranked.R.
  covered <- vapply(1:40, function(seed) {
    sim <- sim_tian2023(n = 10000, scenario = "C", outcome = 2, seed = 200 + seed)
    fit <- iv_doubly_ranked(Y ~ X | Z, sim)
    ci <- confint(fit)
    target <- truth(sim)$strata_target(fit$stratum)
    mean(ci[, 1] < target & target < ci[, 2])
  }, 0)
  expect_lt(abs(mean(covered) - 0.95), 0.049)
})

test_that("naive strata are biased where doubly-ranked ones are not", {
  # No effect, confounding: the instrument's pooled association with the outcome
  # against 0, in its standard errors.
  sim <- sim_tian2023(n = 50000, scenario = "A", outcome = 1, seed = 15)
  pooled <- function(strata) {
    s <- iv_doubly_ranked(Y ~ X | Z, sim, strata = strata)$lace
    sum(s$by / s$by.se^2) / sqrt(sum(1 / s$by.se^2))
  }
  expect_lt(abs(pooled("doubly_ranked")), 4)
  expect_lt(abs(pooled("residual")), 4)
  expect_gt(abs(pooled("naive")), 8)
})
