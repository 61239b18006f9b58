control <- function(formula = y ~ x + w | g + w, data = toy_control, ...) {
  iv_control_function(formula, data, ..., seed = 1)
}

test_that("all linear, it is two-stage least squares", {
  for (case in list(
    list(), list(weights = seq(0.5, 2, length.out = 600)), list(cluster = ~family),
    list(vcov = "HC1"), list(formula = y ~ x | g)
  )) {
    base <- list(formula = y ~ x + w | g + w, data = toy_control)
    base[names(case)] <- case
    fit <- do.call(iv_control_function, base)
    tsls <- do.call(iv_2sls, base)
    terms <- names(coef(fit))
    # Both are refined with residuals from the data: what is left is rounding.
    expect_equal(coef(fit), coef(tsls)[terms], tolerance = 1e-10)
    expect_equal(vcov(fit), vcov(tsls)[terms, terms], tolerance = 1e-10)
    expect_equal(effect_curve(fit, c(-1, 2)), effect_curve(tsls, c(-1, 2)), tolerance = 1e-9)
    expect_equal(ate(fit, 0, 2)$std.error, ate(tsls, 0, 2)$std.error, tolerance = 1e-9)
    expect_equal(average_derivative(fit)$estimate, average_derivative(tsls)$estimate,
      tolerance = 1e-7) # differences over a step of 1e-4 standard deviations
    expect_equal(fitted(fit), fitted(tsls), tolerance = 1e-10)
    expect_equal(predict(fit, toy_control[1:3, ], interval = "confidence"),
      predict(tsls, toy_control[1:3, ], interval = "confidence"), tolerance = 1e-9)
  }
})

test_that("the test of the residual is the test of endogeneity", {
  fit <- control()
  tsls <- iv_2sls(y ~ x + w | g + w, toy_control)
  ours <- diagnostics(fit)
  theirs <- diagnostics(tsls)
  columns <- c("df1", "df2", "statistic", "p.value")
  expect_equal(ours[ours$diagnostic == "Endogeneity", columns],
    theirs[theirs$diagnostic == "Wu-Hausman", columns], tolerance = 1e-8, ignore_attr = TRUE)
  lm_fit <- stats::lm(y ~ x + w + r, cbind(toy_control, r = slow_residual(toy_control)))
  expect_equal(fit$residual_terms$estimate, stats::coef(lm_fit)[["r"]], tolerance = 1e-9)
  t <- summary(lm_fit)$coefficients["r", "t value"]
  expect_equal(fit$residual_terms$estimate / fit$residual_terms$std.error, t, tolerance = 1e-8)
  # An exposure that is not confounded.
  set.seed(3)
  d <- toy_control
  d$y <- d$x + stats::rnorm(600)
  expect_gt(tail(diagnostics(control(data = d))$p.value, 1), 1e-3)
})

# Any basis with the same span gives the same fitted values.
test_that("polynomials and splines span what splines:: and poly() span", {
  d <- toy_control
  d$r <- slow_residual(d)
  knots <- function(x, k) stats::quantile(x, seq_len(k) / (k + 1))
  cases <- list(
    list("polynomial", 3, stats::poly(d$x, 3)),
    list("natural", 4, splines::ns(d$x, df = 4)),
    list("bspline", 5, splines::bs(d$x, knots = knots(d$x, 2)))
  )
  for (case in cases) {
    slow <- stats::lm(q ~ case[[3]] + w + splines::ns(r, df = 3), d)
    fit <- control(q ~ x + w | g + w, shape = case[[1]], df = case[[2]], n_boot = 0)
    covariate <- stats::coef(slow)[["w"]]
    expect_equal(coef(fit)[["w"]], covariate, tolerance = 1e-8)
    basis <- case[[3]]
    g <- drop(basis %*% stats::coef(slow)[1 + seq_len(ncol(basis))])
    curve <- effect_curve(fit, d$x)$estimate
    expect_equal(curve - mean(curve), g - mean(g), tolerance = 1e-7)
    # The residual's part has mean 0, so that the curve's mean is the outcome's.
    expect_equal(mean(curve), mean(d$q), tolerance = 1e-8)
  }
})

test_that("a quadratic is found where least squares is confounded", {
  fit <- control(q ~ x + w | g + w, shape = "polynomial", df = 2)
  # Five standard errors: false once in a million.
  found <- ate(fit, 1, 5)
  expect_lt(abs(found$estimate - 0.3 * 24), 5 * found$std.error)
  chosen <- control(q ~ x + w | g + w, shape = "polynomial", n_boot = 0)
  expect_gte(chosen$df, 2)
  expect_true(all(is.na(effect_curve(chosen, 1)$std.error)))
  expect_identical(fit$vcov_type, "bootstrap")
})

test_that("binary outcomes: averaged risks are those of glm()", {
  for (weights in list(NULL, seq(0.5, 2, length.out = 600))) {
    fit <- do.call(iv_control_function, list(b ~ x + w | g + w, toy_control, weights = weights,
      family = "binomial", n_boot = 10, seed = 1))
    risks <- slow_risks(toy_control, c(2, 4), if (is.null(weights)) rep(1, 600) else weights)
    expect_equal(effect_curve(fit, c(2, 4))$estimate, risks, tolerance = 1e-9)
    expect_equal(ate(fit, 2, 4)$estimate, diff(risks), tolerance = 1e-8)
    expect_equal(ate(fit, 2, 4, "ratio")$estimate, risks[2] / risks[1], tolerance = 1e-8)
    expect_equal(ate(fit, 2, 4, "odds_ratio")$estimate, exp(diff(stats::qlogis(risks))),
      tolerance = 1e-8)
    ratio <- ate(fit, 2, 4, "ratio")
    expect_equal(sqrt(ratio$conf.low * ratio$conf.high), ratio$estimate)
    # Row by row over 100 bins of the residual: the spread within them costs less than .0005.
    people <- cate(fit, 2, 4)
    weight <- if (is.null(weights)) rep(1, 600) else weights
    expect_equal(stats::weighted.mean(people$estimate, weight), diff(risks), tolerance = 5e-4 / 0.2)
    expect_true(all(is.finite(people$std.error)))
  }
  expect_match(tidy(fit)$scale, "conditional \\(non-collapsible\\)")
  slow <- stats::glm(b ~ x + w + r, "binomial", cbind(toy_control, r = slow_residual(toy_control)),
    epsilon = 1e-14)
  plain <- control(b ~ x + w | g + w, family = "binomial", n_boot = 10)
  expect_equal(coef(plain)[["x"]], stats::coef(slow)[["x"]], tolerance = 1e-9)
  # Conditional log-odds are further from 0 than the marginal ones: that is what the labels say.
  expect_gt(2 * coef(plain)[["x"]], log(ate(plain, 2, 4, "odds_ratio")$estimate))
})

# Rows that replicate b draws, as R's tests of the generator have them.
drawn <- function(groups, seed, b) {
  tabulate(rng_draw("below", groups, seed, b - 1, groups, purpose = "bootstrap") + 1, groups)
}

test_that("replicates repeat both stages on the rows drawn", {
  fit <- control(b ~ x + w | g + w, family = "binomial", n_boot = 12)
  contrast <- vapply(1:12, function(b) diff(slow_risks(toy_control, c(2, 4), drawn(600, 1, b))), 0)
  # Risks of replicates are averages over 100 bins.
  expect_equal(ate(fit, 2, 4)$std.error, stats::sd(contrast), tolerance = 0.01)
  clustered <- control(n_boot = 12, cluster = ~family)
  slope <- vapply(1:12, function(b) {
    count <- drawn(150, 1, b)[match(toy_control$family, unique(toy_control$family))]
    rows <- rep(seq_len(600), count)
    coef(iv_2sls(y ~ x + w | g + w, toy_control[rows, ]))[["x"]]
  }, 0)
  expect_equal(tidy(clustered)$std.error[tidy(clustered)$term == "x"], stats::sd(slope),
    tolerance = 1e-8)
})

# Keeping the first stage fixed in replicates would be the usual mistake: the error of the residual
# is then missing. Here it is told from the right standard error by its size.
test_that("a bootstrap of the second stage alone would be caught", {
  fit <- control(n_boot = 200)
  se <- sqrt(diag(vcov(fit)))[["x"]]
  r <- slow_residual(toy_control)
  mutant <- stats::sd(vapply(1:200, function(b) {
    rows <- rep(seq_len(600), drawn(600, 1, b))
    stats::coef(stats::lm(y ~ x + w + r, cbind(toy_control, r)[rows, ]))[["x"]]
  }, 0))
  analytic <- sqrt(diag(vcov(control())))[["x"]]
  # A standard deviation of 200 has a standard error of 5 per cent: within 20 of the analytic one.
  expect_lt(abs(se / analytic - 1), 0.2)
  expect_gt(abs(mutant / analytic - 1), 0.2)
})

test_that("survival times go to coxph()", {
  skip_if_not_installed("survival")
  d <- cbind(toy_control, r = slow_residual(toy_control))
  slow <- survival::coxph(survival::Surv(time, event) ~ x + w + r, d)
  fit <- control(survival::Surv(time, event) ~ x + w | g + w, family = "cox", n_boot = 10)
  expect_equal(coef(fit)[["x"]], stats::coef(slow)[["x"]], tolerance = 1e-6) # both iterate to 1e-9
  expect_match(tidy(fit)$scale, "non-collapsible")
  expect_equal(ate(fit, 1, 3)$estimate, 2 * coef(fit)[["x"]])
  expect_match(ate(fit, 1, 3)$estimand, "log hazard ratio of x=3 against 1, conditional")
  expect_equal(effect_curve(fit, 4, reference = 4)$estimate, 0)
  matrices <- iv_control_function(y = survival::Surv(d$time, d$event), x = d$x, z = d$g, w = d$w,
    family = "cox", n_boot = 10, seed = 1)
  expect_equal(unname(coef(matrices)), unname(coef(fit)), tolerance = 1e-12)
  # Rows that are dropped take their event along.
  d$w[c(5, 9)] <- NA
  part <- suppressMessages(control(survival::Surv(time, event) ~ x + w | g + w, d, family = "cox",
    n_boot = 0))
  whole <- control(survival::Surv(time, event) ~ x + w | g + w, d[-c(5, 9), ], family = "cox",
    n_boot = 0)
  expect_equal(coef(part), coef(whole), tolerance = 1e-12)
})

test_that("numbers follow the seed alone", {
  fit <- function(...) {
    out <- control(b ~ x + w | g + w, family = "binomial", n_boot = 10, ...)
    out[c("coefficients", "vcov", "replicates")]
  }
  expect_identical(fit(n_threads = 1), fit(n_threads = 3))
  set.seed(8)
  before <- .Random.seed
  fit()
  expect_identical(.Random.seed, before)
  again <- unserialize(serialize(control(q ~ x | g, shape = "natural", df = 3, n_boot = 10), NULL))
  expect_identical(effect_curve(again, 1:3),
    effect_curve(control(q ~ x | g, shape = "natural", df = 3, n_boot = 10), 1:3))
})

test_that("scales of the variables do not matter", {
  d <- toy_control
  d$x <- 1000 * d$x + 7
  fit <- control(q ~ x + w | g + w, shape = "natural", df = 3, n_boot = 0)
  scaled <- control(q ~ x + w | g + w, d, shape = "natural", df = 3, n_boot = 0)
  expect_equal(effect_curve(scaled, 1000 * (1:5) + 7)$estimate, effect_curve(fit, 1:5)$estimate,
    tolerance = 1e-8)
})

test_that("binary exposures are allowed", {
  d <- toy_control
  d$x <- 1 * (d$x > 3)
  fit <- control(data = d)
  expect_equal(coef(fit)[["x"]], coef(iv_2sls(y ~ x + w | g + w, d))[["x"]], tolerance = 1e-10)
  expect_error(control(data = d, shape = "polynomial", df = 2),
    class = "mrlearn_error_collinear")
  expect_error(control(data = d, shape = "natural", df = 3), class = "mrlearn_error_collinear")
  expect_s3_class(control(b ~ x + w | g + w, d, family = "binomial", n_boot = 10), "iv_fit")
})

test_that("fits print and plot", {
  for (fit in list(
    control(), control(b ~ x | g, family = "binomial", n_boot = 10),
    control(q ~ x | g, shape = "natural", df = 3, n_boot = 0)
  )) {
    expect_output(print(fit), "Control function: effect of x on")
    expect_s3_class(glance(fit), "data.frame")
    expect_identical(dim(confint(fit)), c(length(coef(fit)), 2L))
    withr::with_pdf(tempfile(), expect_s3_class(plot(fit), "data.frame"))
  }
})

test_that("bad input is refused by name", {
  d <- toy_control
  d$separated <- 1 * (d$x > 4)
  refused <- function(expr, class) {
    expect_error(expr, class = paste0("mrlearn_error_", class))
  }
  refused(control(separated ~ x + w | g + w, d, family = "binomial"), "separated")
  refused(control(y ~ x + w | g + w, family = "binomial"), "data")
  refused(control(time ~ x + w | g + w, family = "cox"), "data")
  refused(control(survival::Surv(time, event) ~ x | g), "data")
  refused(control(survival::Surv(time, time + 1, event) ~ x | g, family = "cox"), "data")
  refused(control(y ~ x + w), "formula")
  refused(control(y ~ x + 0 | g + 0), "formula")
  refused(control(y ~ I(x^2) | g), "argument")
  refused(control(shape = "cubic"), "argument")
  refused(control(shape = "bspline", df = 2), "argument")
  refused(control(n_boot = 3), "argument")
  refused(ate(control(), 0, 1, "ratio"), "argument")
  refused(effect_curve(control(), 1, exposure = "w"), "argument")
  d$constant <- 1
  refused(control(y ~ constant | g, d), "collinear")
  expect_snapshot(error = TRUE, {
    control(separated ~ x + w | g + w, d, family = "binomial")
    control(time ~ x + w | g + w, family = "cox")
    control(y ~ x + w | g + w, family = "binomial")
  })
})
