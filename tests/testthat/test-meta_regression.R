all_methods <- c("REML", "ML", "DL", "PM", "SJ", "EB", "HS", "HE", "FE")
all_tests <- c("z", "t", "knha", "adhoc")

expect_near <- function(ours, theirs, tolerance, label, floor = 1e-6) {
  gap <- abs(unname(ours) - unname(theirs)) / pmax(abs(unname(theirs)), floor)
  gap[is.na(ours) & is.na(theirs)] <- 0
  testthat::expect(
    isTRUE(max(gap) < tolerance),
    sprintf("%s: relative difference %.3g, not below %.3g.", label, max(gap), tolerance)
  )
}

all_numbers <- function(fit) {
  table <- tidy(fit)
  g <- glance(fit)
  mean <- predict(fit, interval = "confidence")
  new <- predict(fit, interval = "prediction")
  list(
    table = unlist(table[-1]), vcov = c(vcov(fit)),
    glance = unlist(g[setdiff(names(g), c("method", "test"))]),
    predict = unlist(c(mean, if (fit$method != "FE") new[3:4]))
  )
}

metafor_numbers <- function(fit) {
  control <- metafor_control(fit$yi)
  fe <- fit$method == "FE"
  tau2 <- if (fe) c(NA, NA) else confint(fit, control = control)$random[1, 2:3]
  p <- predict(fit)
  each <- function(v) rep(v, length.out = fit$k)
  list(
    table = c(fit$b, fit$se, fit$zval, fit$pval, fit$ci.lb, fit$ci.ub), vcov = c(fit$vb),
    glance = c(
      fit$tau2, fit$se.tau2, fit$I2, fit$H2, if (is.null(fit$R2)) NA else fit$R2, fit$QE,
      fit$k - fit$p, fit$QEp, fit$QM, fit$QMdf[1], fit$QMp, fit$k, fit$QMdf[2], tau2
    ),
    predict = c(
      each(p$pred), each(p$se), each(p$ci.lb), each(p$ci.ub),
      if (!fe) c(each(p$pi.lb), each(p$pi.ub))
    )
  )
}

# 1e-7: publication years near 1950 beside a constant cost both sides six digits of their 16, and
# metafor another one or two in its normal equations; the other designs agree to 1e-10.
test_that("every number agrees with metafor", {
  sets <- metafor_sets()
  designs <- list(
    list("bcg", ~ ablat + year), list("bcg", ~alloc), list("bcg", ~ factor(alloc) - 1),
    list("bcg", ~1), list("expectancy", ~weeks), list("smoke", ~ I(year - 1985) + design),
    list("writing", ~ length + wic + feedback)
  )
  for (design in designs) {
    name <- design[[1]]
    moderators <- design[[2]]
    d <- sets[[name]]
    d <- d[stats::complete.cases(d[c("yi", "vi", all.vars(moderators))]), ]
    for (method in all_methods) {
      for (test in all_tests) {
        theirs <- metafor_numbers(suppressWarnings(metafor::rma(yi, vi,
          mods = moderators, data = d, method = method, test = test,
          control = metafor_control(d$yi)
        )))
        ours <- all_numbers(meta_regression(yi, sqrt(vi), moderators, d, method, test))
        for (part in names(theirs)) {
          expect_near(
            ours[[part]], theirs[[part]], 1e-7,
            paste(name, deparse1(moderators), method, test, part)
          )
        }
      }
    }
  }
})

draw_regression <- function(seed, k = 15) {
  withr::with_seed(seed, {
    x <- stats::rnorm(k)
    arm <- factor(sample(c("a", "b", "c"), k, replace = TRUE))
    se <- exp(stats::rnorm(k, sd = 0.7))
    y <- 1 + 0.5 * x + (arm == "b") + stats::rnorm(k) + se * stats::rnorm(k)
    data.frame(y, se, x, arm)
  })
}

# Without a constant too, where metafor up to 3.8 estimates tau2 from centred effects; the mutant
# shows that the oracle would see that.
test_that("tau2 and its standard error agree with the slow oracle", {
  for (formula in list(~ x + arm, ~ x - 1, ~1)) {
    d <- draw_regression(5)
    x <- if (length(all.vars(formula))) stats::model.matrix(formula, d) else matrix(1, 15)
    for (method in all_methods) {
      fit <- meta_regression(y, se, formula, d, method)
      slow <- oracle_meta_tau2(d$y, d$se^2, x, method)
      g <- glance(fit)
      expect_near(c(g$tau2, g$se.tau2), slow, 1e-8, paste(deparse1(formula), method))
      expect_near(g$qe, oracle_meta_q(0, d$y, d$se^2, x), 1e-12, "Q")
      w <- 1 / (d$se^2 + slow[1])
      expect_near(coef(fit), solve(crossprod(x, w * x), crossprod(x, w * d$y)), 1e-8, method)
      expect_near(vcov(fit), solve(crossprod(x, w * x)), 1e-8, method)
    }
  }
  centred <- oracle_meta_tau2(d$y - mean(d$y), d$se^2, cbind(d$x), "DL")[1]
  ours <- glance(meta_regression(y, se, ~ x - 1, d, "DL"))$tau2
  expect_gt(abs(centred - ours), 0.1)
})

test_that("a constant only is meta_random()", {
  d <- draw_regression(6)
  for (method in all_methods) {
    for (test in all_tests) {
      fit <- meta_regression(d$y, d$se, method = method, test = test)
      alone <- meta_random(d$y, d$se, method, test)
      shared <- c("estimate", "std.error", "statistic", "p.value", "conf.low", "conf.high")
      expect_near(unlist(tidy(fit)[shared]), unlist(alone[shared]), 1e-12, paste(method, test))
      shared <- c("tau2", "se.tau2", "i2", "h2", "tau2.low", "tau2.high")
      expect_near(unlist(glance(fit)[shared]), unlist(alone[shared]), 1e-11, paste(method, test))
    }
  }
})

test_that("units and shifts of moderators do not matter", {
  d <- draw_regression(7)
  fit <- meta_regression(y, se, ~ x + arm, d)
  moved <- meta_regression(y, se, ~ I(1e8 * x + 1e9) + arm, d)
  expect_near(coef(moved)[[2]] * 1e8, coef(fit)[[2]], 1e-10, "slope")
  expect_near(glance(moved)$qm, glance(fit)$qm, 1e-10, "QM")
  scaled <- meta_regression(y * 2^100, se * 2^100, ~ x + arm, d)
  expect_identical(coef(scaled), coef(fit) * 2^100)
  expect_identical(glance(scaled)$qm.p, glance(fit)$qm.p)
})

test_that("moderators come as a formula, a vector, a matrix or a data.frame", {
  d <- draw_regression(8)
  d$z <- rev(d$x)
  fit <- meta_regression(y, se, ~ x + z, d)
  matrix <- meta_regression(d$y, d$se, as.matrix(d[c("x", "z")]))
  frame <- meta_regression(d$y, d$se, d[c("x", "z")])
  expect_identical(tidy(matrix), tidy(fit))
  expect_identical(tidy(frame), tidy(fit))
  vector <- meta_regression(d$y, d$se, d$x)
  expect_identical(names(coef(vector)), c("(Intercept)", "moderator"))
  new <- data.frame(x = c(0, 1), z = c(2, 3))
  expect_equal(predict(matrix, new), unname(predict(fit, new)), ignore_attr = TRUE)
  expect_equal(predict(vector, cbind(0:1)), unname(coef(vector)[1] + 0:1 * coef(vector)[2]),
    ignore_attr = TRUE
  )
})

test_that("collinear columns are left out and told", {
  d <- draw_regression(9)
  d$twice <- 2 * d$x + 1
  expect_snapshot(fit <- meta_regression(y, se, ~ x + twice + arm, d))
  expect_identical(tidy(fit), tidy(meta_regression(y, se, ~ x + arm, d)))
  expect_length(predict(fit, d[1:4, ]), 4)
})

test_that("predictions: new data, factors, both intervals", {
  d <- draw_regression(10)
  fit <- meta_regression(y, se, ~ poly(x, 2) + arm, d, test = "knha")
  expect_equal(predict(fit, d), predict(fit))
  expect_equal(unname(predict(fit)), unname(fitted(fit)))
  expect_equal(unname(fitted(fit) + residuals(fit)), d$y)
  expect_equal(nobs(fit), 15)
  mean <- predict(fit, d[3:5, ], interval = "confidence", level = 0.8)
  new <- predict(fit, d[3:5, ], interval = "prediction", level = 0.8)
  expect_named(new, c("estimate", "std.error", "pred.low", "pred.high"))
  expect_identical(new$std.error, mean$std.error)
  t <- stats::qt(0.9, 15 - 5)
  expect_equal(mean$conf.high, mean$estimate + t * mean$std.error)
  expect_equal(new$pred.low, new$estimate - t * sqrt(mean$std.error^2 + glance(fit)$tau2))
  higgins <- meta_regression(y, se, ~ poly(x, 2) + arm, d, test = "z", prediction = "higgins")
  reach <- predict(higgins, interval = "prediction")
  expect_equal(
    reach$pred.high - reach$estimate,
    stats::qt(0.975, 15 - 5 - 1) * sqrt(reach$std.error^2 + glance(higgins)$tau2)
  )
  expect_equal(confint(fit, "armb")[1, ], unlist(tidy(fit)[4, c("conf.low", "conf.high")]),
    ignore_attr = TRUE
  )
})

test_that("a fit survives saveRDS() and prints", {
  d <- draw_regression(11)
  fit <- meta_regression(y, se, ~ x + arm, d, test = "knha")
  file <- withr::local_tempfile()
  saveRDS(fit, file)
  expect_equal(predict(readRDS(file), d), predict(fit, d))
  expect_snapshot({
    print(fit)
    print(meta_regression(d$y, d$se, method = "FE"))
  })
})

test_that("what is wrong is said", {
  d <- draw_regression(12, k = 6)
  fit <- meta_regression(y, se, ~x, d)
  d$hole <- replace(d$x, c(2, 5), NA)
  expect_error(meta_regression(y, se, ~hole, d), class = "mrlearn_error_data")
  expect_error(meta_regression(y, se, y ~ x, d), class = "mrlearn_error_formula")
  expect_snapshot(error = TRUE, {
    meta_regression(y, se, ~hole, d)
    meta_regression(d$y, d$se, d[c("x", "hole")])
    meta_regression(y, se, y ~ x, d)
    meta_regression(y, -se, ~x, d)
    meta_regression(d$y, d$se, 1:3)
    meta_regression(d$y, d$se, letters[1:6])
    meta_regression(y, se, ~ 0, d)
    meta_regression(y[1:2], se[1:2], ~ x[1:2], d)
    meta_regression(y, se, ~ x[1:2], d)
    predict(fit, data.frame(z = 1))
    predict(fit, 1)
    tidy(fit, level = 0.9)
  })
})
