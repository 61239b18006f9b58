weak_recorded <- function(design) {
  rows <- utils::read.csv(test_path("fixtures", "ivmodel_recorded.csv"))
  rows <- rows[rows$design == design, ]
  stats::setNames(rows$value, rows$quantity)
}

test_that("AR and CLR on Card's data: as ivmodel recorded", {
  for (design in c("both", "one", "many", "weak")) {
    d <- weak_card(design)
    theirs <- weak_recorded(design)
    fit <- iv_2sls(y = d$y, x = d$x, z = d$z, w = d$w)
    for (beta0 in c(0, 0.1, 0.5)) {
      ar <- ar_test(fit, beta0)
      expect_lt(relative_gap(ar$statistic, theirs[[paste0("AR.F.", beta0)]]), 1e-7)
      # Their p-values are 1 less an area: good to 1e-16 in absolute terms; the statistic's error
      # is magnified by its size.
      expect_lt(abs(ar$p.value - theirs[[paste0("AR.p.", beta0)]]), 1e-8)
      # integrate() promises 1e-4 and gives far more but where l is 3 or 4.
      clr <- ar_test(fit, beta0, "CLR")
      expect_lt(abs(clr$p.value - theirs[[paste0("CLR.p.", beta0)]]), 1e-6)
    }
    for (level in c(0.5, 0.9, 0.95)) {
      for (type in c("AR", "CLR")) {
        set <- ar_set(fit, type, conf_level = level)
        stored <- theirs[startsWith(names(theirs), paste0(type, ".", level, "."))]
        if (type == "CLR" && design == "one") {
          next
        }
        ours <- as.double(t(set[c("conf.low", "conf.high")]))
        expect_length(ours, length(stored))
        finite <- is.finite(stored)
        expect_identical(ours[!finite], unname(stored[!finite]))
        expect_lt(max(0, abs(ours[finite] - stored[finite]) / abs(stored[finite])), 1e-6,
          label = paste(design, type, level))
      }
    }
  }
})

weak_design <- function(strength, n = 60, l = 3, seed = 1) {
  set.seed(seed)
  z <- matrix(rnorm(n * l), n)
  v <- rnorm(n)
  w <- rnorm(n)
  x <- drop(z %*% rep(strength, l)) + v + w
  data.frame(y = 0.5 * x + 0.7 * v + 0.7 * rnorm(n) * (1 + abs(z[, 1])) + w, x, w, z1 = z[, 1],
    z2 = z[, 2], z3 = z[, 3], cluster = rep(1:15, 4))
}

# Is beta in the set?
inside <- function(beta, set) {
  vapply(beta, function(b) any(b >= set$conf.low & b <= set$conf.high), NA)
}

test_that("sets hold what tests do not reject: all types, all shapes of set", {
  shapes <- character()
  beta <- c(-10^(3:-2), 0, 10^(-2:3), seq(-3, 3, 0.0625))
  for (seed in 1:12) {
    d <- weak_design(c(0.02, 0.2, 0.6)[1 + seed %% 3], seed = seed)
    if (seed > 9) {
      d$y <- d$y + 3 * d$z1 - 3 * d$z2 # invalid: the AR set can be empty
    }
    for (vcov in c("iid", "HC1", "cluster")) {
      fit <- if (vcov == "cluster") {
        iv_2sls(y ~ x + w | z1 + z2 + z3 + w, d, cluster = d$cluster)
      } else {
        iv_2sls(y ~ x + w | z1 + z2 + z3 + w, d, vcov = vcov)
      }
      for (type in if (vcov == "iid") c("AR", "K", "CLR") else "AR") {
        set <- ar_set(fit, type, 0.8)
        expect_false(is.unsorted(as.vector(t(set[c("conf.low", "conf.high")]))))
        expect_identical(inside(beta, set), ar_test(fit, beta, type)$p.value >= 0.2)
        edges <- c(set$conf.low, set$conf.high)
        p <- ar_test(fit, edges[is.finite(edges)], type)$p.value
        expect_equal(p, rep(0.2, length(p)), tolerance = 1e-6)
        shapes <- c(shapes, paste(type, nrow(set), any(is.infinite(edges))))
      }
    }
  }
  # Empty, bounded, two rays, and the whole line or part of it all occur.
  expect_true(all(c("AR 0 FALSE", "AR 1 FALSE", "AR 2 TRUE", "AR 1 TRUE", "CLR 1 FALSE") %in%
    shapes))
})

test_that("robust AR is Hotelling's test of the scores, of rows or clusters", {
  d <- weak_design(0.5)
  z <- as.matrix(d[c("z1", "z2", "z3")])
  for (by in list(NULL, d$cluster)) {
    fit <- iv_2sls(y ~ x + w | z1 + z2 + z3 + w, d, cluster = by, vcov = "HC1")
    for (beta in c(-1, 0.5, 3)) {
      slow <- oracle_robust_ar(beta, d$y, d$x, z, d$w, by)
      expect_lt(relative_gap(ar_test(fit, beta)$statistic, slow), 1e-9)
    }
  }
  row <- ar_test(fit, 0)
  expect_equal(c(row$df1, row$df2), c(3, 12))
  for (vcov in c("HC0", "HC3")) {
    other <- iv_2sls(y ~ x + w | z1 + z2 + z3 + w, d, vcov = vcov)
    expect_equal(ar_test(other, 1)$statistic, oracle_robust_ar(1, d$y, d$x, z, d$w),
      tolerance = 1e-9)
  }
})

test_that("sets belong to the instruments, whatever the estimator", {
  d <- weak_design(0.5)
  f <- y ~ x + w | z1 + z2 + z3 + w
  d$weight <- 1 + (seq_len(60) * sqrt(29)) %% 3
  for (weights in list(NULL, d$weight)) {
    sets <- lapply(list(iv_2sls(f, d, weights = weights), iv_liml(f, d, weights = weights),
      iv_kclass(f, d, k = 0.5, weights = weights),
      iv_jive(f, d, weights = weights, vcov = "iid")), ar_set)
    for (set in sets) {
      expect_equal(set, sets[[1]], tolerance = 1e-9)
    }
  }
  # A collinear instrument and a collinear covariate count for nothing.
  d$z4 <- d$z1 - d$z2
  d$w2 <- 2 * d$w
  more <- hush(iv_2sls(y ~ x + w + w2 | z1 + z2 + z3 + z4 + w + w2, d))
  expect_equal(ar_test(more, 1), ar_test(iv_2sls(f, d), 1), tolerance = 1e-9)
})

test_that("with one instrument, and at LIML, what must be so is so", {
  d <- weak_design(0.4)
  one <- iv_2sls(y ~ x + w | z1 + w, d)
  for (type in c("K", "CLR")) {
    expect_equal(ar_set(one, type)[2:3], ar_set(one)[2:3])
    expect_equal(ar_test(one, 1:2, type)$p.value, ar_test(one, 1:2)$p.value)
  }
  liml <- iv_liml(y ~ x + w | z1 + z2 + z3 + w, d)
  at <- coef(liml)[["x"]]
  df <- liml$reduced$df_within
  expect_equal(ar_test(liml, at)$statistic, (liml$kappa - 1) * df / 3, tolerance = 1e-9)
  # Within rounding of 0 relative to the greater eigenvalue.
  expect_lt(ar_test(liml, at, "K")$statistic, 1e-9)
  expect_equal(ar_test(liml, at, "CLR")$p.value, 1, tolerance = 1e-6)
  expect_equal(ar_set(liml, "CLR"), ar_set(iv_2sls(y ~ x + w | z1 + z2 + z3 + w, d), "CLR"))
})

test_that("the CLR's p-value: as simulated from its law given Q_T", {
  # LR = (Q1 + Qk - qt + sqrt((Q1 + Qk + qt)^2 - 4 Qk qt)) / 2, Q1 ~ chi2(1), Qk ~ chi2(l - 1).
  set.seed(5)
  for (l in c(2, 5, 30)) {
    for (qt in c(0.5, 10, 300)) {
      q1 <- rnorm(2e5)^2
      qk <- rchisq(2e5, l - 1)
      lr <- (q1 + qk - qt + sqrt((q1 + qk + qt)^2 - 4 * qk * qt)) / 2
      m <- quantile(lr, 0.9, names = FALSE)
      # A reduced form with l1 - Q_T = m, Q_T = qt and l0 = 0 would do; moments that have it:
      form <- list(between = diag(c(qt + m, 0)), within = diag(1e6, 2), df_within = 1e6, n_inst = l)
      # b' = (-beta, 1); w = beta^2 / (1 + beta^2) = m / (qt + m).
      w <- m / (qt + m)
      p <- .Call(C_weak_test, sqrt(w / (1 - w)), weak_settings(form, "CLR"))$value
      expect_equal(p$statistic, m, tolerance = 1e-9)
      expect_lt(abs(p$p_value - 0.1), 4 * sqrt(0.09 / 2e5))
    }
  }
})

test_that("coverage at F = 2: AR and CLR hold, Wald does not", {
  set.seed(41)
  hits <- replicate(300, {
    z <- matrix(rnorm(200 * 5), 200)
    v <- rnorm(200)
    y <- 0.9 * v + sqrt(1 - 0.81) * rnorm(200)
    x <- drop(z %*% rep(sqrt(1 / 200), 5)) + v
    fit <- iv_2sls(y = y, x = x, z = z, n_threads = 1)
    ci <- confint(fit, "x")
    c(inside(0, ar_set(fit, n_threads = 1)), inside(0, ar_set(fit, "CLR", n_threads = 1)),
      ci[1] < 0 && ci[2] > 0)
  })
  bound <- 4 * sqrt(0.95 * 0.05 / 300)
  expect_lt(abs(mean(hits[1, ]) - 0.95), bound)
  expect_lt(abs(mean(hits[2, ]) - 0.95), bound)
  expect_lt(mean(hits[3, ]), 0.95 - bound)
})

test_that("bad input of sets", {
  d <- weak_design(0.5)
  fit <- iv_2sls(y ~ x + w | z1 + z2 + z3 + w, d)
  expect_error(ar_set(fit, "LM"), class = "mrlearn_error_argument")
  expect_error(ar_set(fit, conf_level = 1), class = "mrlearn_error_argument")
  expect_error(ar_set(fit, level = 0.9), class = "mrlearn_error_argument")
  expect_error(ar_test(fit, "a"), class = "mrlearn_error_argument")
  expect_error(ar_set(lm(y ~ x, d)), class = "mrlearn_error_argument")
  expect_error(ar_set(iv_ols(y ~ x, d)), class = "mrlearn_error_argument")
  expect_error(ar_set(iv_2sls(y ~ x + w | z1 + z2 + z3, d)), "one exposure",
    class = "mrlearn_error_argument")
  robust <- iv_2sls(y ~ x + w | z1 + z2 + z3 + w, d, vcov = "HC1")
  expect_error(ar_set(robust, "CLR"), class = "mrlearn_error_argument")
  kept <- d
  set <- ar_set(fit)
  d <- d[-1, ]
  expect_error(ar_set(robust), "gives 59 rows", class = "mrlearn_error_data")
  d <- transform(kept, y = y + 1)
  expect_error(ar_set(robust), "other outcomes", class = "mrlearn_error_data")
  rm(d)
  expect_error(ar_set(robust), class = "mrlearn_error_data")
  # With errors of equal variance the fit has what is needed.
  expect_identical(ar_set(fit), set)
  d <- kept
  d$cluster <- rep(1:3, 20)
  few <- iv_2sls(y ~ x + w | z1 + z2 + z3 + w, d, cluster = ~cluster)
  expect_error(ar_set(few), class = "mrlearn_error_collinear")
})
