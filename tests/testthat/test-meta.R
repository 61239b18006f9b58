all_methods <- c("REML", "ML", "DL", "PM", "SJ", "EB", "HS", "HE", "FE")
all_tests <- c("z", "t", "knha", "adhoc")
numbers_of <- function(row) {
  unlist(row[setdiff(names(row), c("group", "method", "test"))])
}

# The largest difference relative to the larger of |theirs| and `floor`; both NA counts as equal.
gap_between <- function(ours, theirs, floor = 1e-8) {
  gap <- abs(ours - theirs) / pmax(abs(theirs), floor)
  gap[is.na(ours) & is.na(theirs)] <- 0
  max(gap)
}
expect_gap <- function(ours, theirs, tolerance, label) {
  gap <- gap_between(unname(ours), unname(theirs))
  testthat::expect(
    isTRUE(gap < tolerance),
    sprintf("%s: relative difference %.3g, not below %.3g.", label, gap, tolerance)
  )
}

test_that("28 ratios of LDL cholesterol and coronary disease: values recorded from metafor", {
  # Recorded with 8 digits, which 1e-7 relative allows for. REML and ML with metafor's default,
  # which stops where tau2 changes by 1e-5: with steps that shrink by a tenth or so, 1e-4 of the 10
  # is left. The test below holds them to all digits.
  recorded <- utils::read.table(header = TRUE, text = "
    method    estimate   std.error       tau2          i2         q
    FE       2.8342139  0.27594053         0   72.872617 99.530426
    DL       2.0527273  0.69192796 6.4061121   72.872617 99.530426
    REML     1.7974946  0.83037822 10.673778   81.738153 99.530426
    ML       1.8913872   0.7777362 8.9264757   78.917145 99.530426
    PM      0.42874041   1.9725658 87.517258   97.347418 99.530426
    EB      0.42874041   1.9725658 87.517259   97.347418 99.530426
    HE      0.74139312    7.948896 1691.4345    99.85921 99.530426
    SJ    -0.075643765   4.5491575 534.74899   99.556028 99.530426")
  d <- lipid_ratios()
  early_stop <- 1e-5
  for (i in seq_len(nrow(recorded))) {
    tolerance <- if (recorded$method[i] %in% c("REML", "ML")) early_stop else 1e-7
    ours <- meta_random(d$estimate, d$se, method = recorded$method[i])
    expect_gap(
      unlist(ours[names(recorded)[-1]]), unlist(recorded[i, -1]), tolerance, recorded$method[i]
    )
  }
  reml <- meta_random(d$estimate, d$se)
  expect_gap(
    c(reml$conf.low, reml$conf.high, reml$pred.low, reml$pred.high, reml$se.tau2),
    c(0.16998316, 3.425006, -4.8094467, 8.4044359, 4.5835988), early_stop, "REML intervals"
  )
  hk <- meta_random(d$estimate, d$se, test = "knha")
  expect_gap(
    c(hk$std.error, hk$conf.low, hk$conf.high), c(1.1978999, -0.66039299, 4.2553821), early_stop,
    "HK"
  )
  hk <- meta_random(d$estimate, d$se, test = "knha", method = "DL")
  expect_gap(
    c(hk$std.error, hk$conf.low, hk$conf.high), c(1.0629009, -0.12816532, 4.2336199), 1e-7, "HK"
  )
})

# 1e-9: both sides carry about 1e-13 of rounding, worst where tau2 is a difference of near numbers;
# metafor's iterations stop at 1e-14 of the effects' variance.
test_that("every column, method and test agrees with metafor on seven data sets", {
  for (name in names(sets <- metafor_sets())) {
    y <- sets[[name]]$yi
    v <- sets[[name]]$vi
    control <- metafor_control(y)
    for (method in all_methods) {
      for (test in all_tests) {
        fit <- suppressWarnings( # warns that Knapp-Hartung is not meant for FE
          metafor::rma(y, v, method = method, test = test, control = control)
        )
        p <- predict(fit)
        higgins <- predict(fit, pi.type = "riley")
        fe <- method == "FE" # has no prediction interval and no tau2 in metafor
        tau2 <- if (!fe) confint(fit, control = control)$random[1, 2:3] else c(NA, NA)
        theirs <- c(
          fit$b, fit$se, fit$zval, fit$pval, fit$ci.lb, fit$ci.ub, fit$tau2, fit$se.tau2, fit$I2,
          fit$H2, fit$QE, fit$k - 1, fit$QEp, if (fe) c(p$ci.lb, p$ci.ub) else c(p$pi.lb, p$pi.ub),
          fit$k, tau2
        )
        ours <- meta_random(y, sqrt(v), method = method, test = test)
        expect_gap(numbers_of(ours), theirs, 1e-9, paste(name, method, test))
        if (!fe) {
          ours <- meta_random(y, sqrt(v), method = method, test = test, prediction = "higgins")
          expect_gap(
            c(ours$pred.low, ours$pred.high), c(higgins$pi.lb, higgins$pi.ub), 1e-9,
            paste(name, method, test, "higgins")
          )
        }
      }
    }
  }
})

draw_effects <- function(seed, k = 12, spread = 0.7, tau = 1) {
  withr::with_seed(seed, {
    se <- exp(stats::rnorm(k, sd = spread))
    data.frame(y = 2 + tau * stats::rnorm(k) + se * stats::rnorm(k), se = se)
  })
}

# 1e-8: uniroot on Q or on the score leaves 1e-12 or so, divided by how flat these are.
test_that("every column, method and test agrees with the slow oracle", {
  for (seed in 1:6) {
    d <- draw_effects(seed, k = c(2, 3, 5, 12, 30, 12)[seed], tau = c(3, 3, 1, 1, 1, 0)[seed])
    for (method in all_methods) {
      for (test in all_tests) {
        expect_gap(
          numbers_of(meta_random(d$y, d$se, method = method, test = test, conf_level = 0.9)),
          oracle_meta_random(d$y, d$se, method, test, level = 0.9), 1e-8,
          paste(seed, method, test)
        )
      }
    }
  }
})

# The maximum over a grid of 1000 is within 1e-3 of a step of the best one: the likelihood at our
# estimate may not be lower. Several maxima are common here, so that a local search would be caught.
test_that("REML and ML find the highest of several maxima", {
  several <- 0
  climbed <- 0
  for (seed in 1:150) {
    d <- withr::with_seed(seed, {
      se <- exp(2 * stats::rnorm(6))
      data.frame(y = ifelse(1:6 %% 2 == 0, se, 5) * stats::rnorm(6), se = se)
    })
    for (method in c("REML", "ML")) {
      loglik <- function(t) oracle_meta_loglik(t, d$y, d$se^2, matrix(1, 6), method == "REML")
      grid <- c(0, exp(seq(-16, 10, length.out = 200)))
      value <- vapply(grid, loglik, 0)
      peaks <- sum(diff(sign(diff(c(-Inf, value)))) < 0)
      several <- several + (peaks > 1)
      tau2 <- meta_random(d$y, d$se, method = method, tau2_ci = FALSE)$tau2
      expect_gte(loglik(tau2) + 1e-10, max(value))
      # the mutant: climbs from 0 to the first maximum
      first <- which(diff(value) < 0)[1]
      climbed <- climbed + (value[first] < max(value) - 1e-6)
    }
  }
  expect_gt(several, 10)
  expect_gt(climbed, 0)
})

test_that("equal variances have closed forms", {
  y <- c(1.2, -0.4, 2.2, 0.9, 3.1)
  s2 <- stats::var(y)
  for (method in c("REML", "DL", "PM", "EB", "HE")) {
    expect_equal(meta_random(y, rep(0.5, 5), method = method)$tau2, s2 - 0.25, tolerance = 1e-14)
    expect_identical(meta_random(y, rep(5, 5), method = method)$tau2, 0)
  }
  expect_equal(meta_random(y, rep(0.5, 5), "ML")$tau2, 0.8 * s2 - 0.25, tolerance = 1e-14)
  hk <- meta_random(y, rep(0.5, 5), test = "knha")
  expect_equal(hk$std.error, sqrt(s2 / 5), tolerance = 1e-14) # Student's one-sample t test
  expect_equal(hk$p.value, stats::t.test(y)$p.value, tolerance = 1e-13)
  expect_equal(c(hk$conf.low, hk$conf.high), c(stats::t.test(y)$conf.int), tolerance = 1e-13)
})

test_that("groups are what each gives alone, on any number of threads", {
  d <- draw_effects(9, k = 3000)
  group <- withr::with_seed(9, sample(c("b", "a", "d", "c", letters[5:26]), 3000, replace = TRUE))
  for (method in all_methods) {
    all <- meta_random(d$y, d$se, method, "knha", group = group, n_threads = 2)
    expect_identical(all, meta_random(d$y, d$se, method, "knha", group = group, n_threads = 1))
    expect_identical(all$group, unique(group))
    one <- lapply(unique(group), function(g) {
      meta_random(d$y[group == g], d$se[group == g], method, "knha")
    })
    expect_identical(all[-1], do.call(rbind, one))
  }
})

test_that("labels of groups keep their type; data is looked in first", {
  d <- draw_effects(2, k = 6)
  d$g <- factor(c("z", "y", "z", "y", "x", "z"), levels = c("x", "y", "z"))
  out <- meta_random(y, se, group = g, data = d)
  expect_identical(out$group, factor(c("z", "y", "x"), levels = c("x", "y", "z")))
  expect_identical(out$k, c(3L, 2L, 1L))
  by_number <- meta_random(d$y, d$se, group = as.integer(d$g))
  expect_identical(by_number$group, c(3L, 2L, 1L))
  expect_identical(by_number[-1], out[-1])
  y <- d$y
  expect_identical(meta_random(y, se, data = d["se"]), meta_random(d$y, d$se))
})

# Reordering changes the order of sums only; a unit that is a power of two changes no bit.
test_that("order and units do not matter", {
  d <- draw_effects(3, k = 20)
  for (method in all_methods) {
    base <- meta_random(d$y, d$se, method, "adhoc")
    turned <- meta_random(rev(d$y), rev(d$se), method, "adhoc")
    expect_gap(numbers_of(turned), numbers_of(base), 1e-11, method)
    scaled <- meta_random(d$y * 2^300, d$se * 2^300, method, "adhoc")
    same <- c("statistic", "p.value", "i2", "h2", "q", "q.p.value")
    expect_identical(scaled[same], base[same])
    expect_identical(scaled$tau2, base$tau2 * 2^600)
    expect_identical(scaled$pred.high, base$pred.high * 2^300)
    moved <- meta_random(d$y + 1e6, d$se, method, "adhoc") # 1e-10: what y + 1e6 loses
    expect_gap(c(moved$tau2, moved$i2), c(base$tau2, base$i2), 1e-8, method)
  }
})

test_that("one effect is its own estimate and says nothing of heterogeneity", {
  one <- meta_random(1.5, 0.5, test = "knha")
  expect_identical(one$estimate, 1.5)
  expect_identical(one$std.error, 0.5)
  expect_identical(one$test, "z")
  expect_equal(one$p.value, 2 * stats::pnorm(-3), tolerance = 1e-14)
  expect_equal(one$conf.high, 1.5 + stats::qnorm(0.975) / 2, tolerance = 1e-15)
  unknown <- c("tau2", "se.tau2", "i2", "h2", "q.p.value", "pred.low", "pred.high", "tau2.low")
  expect_true(all(is.na(one[unknown])))
  expect_false(any(vapply(one[unknown], is.nan, NA)))
  expect_identical(c(one$q, one$q.df, one$k), c(0, 0, 1))
  fixed <- meta_random(1.5, 0.5, method = "FE")
  expect_identical(c(fixed$tau2, fixed$pred.low), c(0, fixed$conf.low))
})

test_that("equal effects: no heterogeneity, and a Knapp-Hartung error of 0 unless truncated", {
  for (method in setdiff(all_methods, "FE")) {
    out <- meta_random(rep(2, 4), c(1, 2, 3, 4), method, "knha")
    expect_identical(c(out$estimate, out$tau2, out$q, out$std.error), c(2, 0, 0, 0))
    expect_identical(c(out$tau2.low, out$tau2.high), c(0, 0))
    expect_gt(meta_random(rep(2, 4), 1:4, method, "adhoc")$std.error, 0)
  }
})

test_that("the interval of tau2 can be left out, and levels matter", {
  d <- draw_effects(4)
  with <- meta_random(d$y, d$se)
  without <- meta_random(d$y, d$se, tau2_ci = FALSE)
  expect_true(is.na(without$tau2.low) && is.na(without$tau2.high))
  shared <- setdiff(names(with), c("tau2.low", "tau2.high"))
  expect_identical(with[shared], without[shared])
  narrow <- meta_random(d$y, d$se, conf_level = 0.5)
  expect_lt(narrow$tau2.high, with$tau2.high)
  expect_lt(narrow$conf.high, with$conf.high)
})

# 4000 groups of 10 from the model: a 95 % interval covers the mean within 4 binomial standard
# errors, sqrt(.95 * .05 / 4000) = .0034, which is .0138; Knapp and Hartung's is known to hold its
# level. The Q-profile of tau2 is exact.
test_that("intervals cover", {
  d <- withr::with_seed(20, {
    se <- stats::runif(40000, 0.5, 1.5)
    data.frame(y = 1 + stats::rnorm(40000) + se * stats::rnorm(40000), se = se)
  })
  out <- meta_random(d$y, d$se, test = "knha", group = rep(1:4000, each = 10))
  expect_lt(abs(mean(out$conf.low < 1 & out$conf.high > 1) - 0.95), 0.0138)
  expect_lt(abs(mean(out$tau2.low <= 1 & out$tau2.high >= 1) - 0.95), 0.0138)
})

test_that("what is wrong is said, with its rows", {
  expect_error(meta_random(1:3, c(1, 0, 1)), class = "mrlearn_error_data")
  expect_snapshot(error = TRUE, {
    meta_random(1:8, c(1, 0, 1, -2, NA, Inf, -1, 0))
    meta_random(c(1, NA, 3), c(1, 1, 1))
    meta_random(c(1, Inf), c(1, 1))
    meta_random(numeric(), numeric())
    meta_random(1:3, 1:2)
    meta_random("a", 1)
    meta_random(1:3, 1:3, method = "SH")
    meta_random(1:3, 1:3, test = "f")
    meta_random(1:3, 1:3, group = 1:2)
    meta_random(1:3, 1:3, group = c(1, NA, 2))
    meta_random(1:3, 1:3, conf_level = 95)
    meta_random(1:3, 1:3, data = "d")
    meta_random(c(1, 1e300, 1, 2), c(1e-300, 1, 1, 1), group = c("a", "a", "b", "b"))
  })
})
