# Parity with packages that the tests do not install: values recorded by data-raw/oracle.R.

# ivreg, gmm, lfe and momentfit work by QR: 1e-9 relative. fixest solves normal equations to about
# 1e-10; its Sargan on Fertility is a difference of sums that agree to five digits, hence 1e-7
# (the same number from ivreg is in the record too, and is met to 1e-9).
allowed <- c(ivreg = 1e-9, gmm = 1e-9, lfe = 1e-9, momentfit = 1e-9, fixest = 1e-7)

recorded <- function() {
  utils::read.csv(test_path("fixtures", "iv_recorded.csv"), stringsAsFactors = FALSE)
}

# Each covariance's fit of a design. The record calls ours "HC0", "HC1", "iid" and "cluster".
fits_of <- function(name) {
  design <- iv_design(name)
  fit <- function(...) iv_2sls(design$formula, data = design$data, ...)
  list(
    iid = fit(), HC0 = fit(vcov = "HC0"), HC1 = fit(vcov = "HC1"),
    cluster = fit(cluster = ~cluster)
  )
}

# What we say where the record has `quantity` (say se.HC1) of `term`.
our_value <- function(fits, quantity, term) {
  what <- sub("[.](iid|HC0|HC1|cluster)$", "", quantity)
  fit <- if (what == quantity) fits$iid else fits[[substring(quantity, nchar(what) + 2)]]
  switch(what,
    coef = coef(fit)[[term]],
    se = sqrt(diag(vcov(fit)))[[term]],
    statistic = diagnostic_row(fit, term)$statistic,
    p.value = diagnostic_row(fit, term)$p.value,
    critical = diagnostic_row(fit, term)$critical,
    k_eff = NULL
  )
}

expect_recorded <- function(name, fits = fits_of(name)) {
  rows <- recorded()
  rows <- rows[rows$design == name, ]
  expect_gt(nrow(rows), 0)
  for (i in seq_len(nrow(rows))) {
    row <- rows[i, ]
    ours <- our_value(fits, row$quantity, row$term)
    tolerance <- allowed[[row$package]]
    if (startsWith(row$quantity, "p.value")) {
      if (row$value < 1e-200) {
        next
      }
      # A p-value's relative error is the statistic's times the statistic's size.
      tolerance <- tolerance * max(1, -10 * log(row$value))
    }
    if (!is.null(ours)) {
      gap <- abs(ours - row$value) / abs(row$value)
      label <- paste(name, row$package, row$quantity, row$term)
      expect(isTRUE(gap < tolerance), sprintf("%s: relative difference %.3g.", label, gap))
    }
  }
}

test_that("recorded: Card's schooling returns, one exposure", {
  expect_recorded("card")
})

test_that("recorded: three exposures, conditional F", {
  expect_recorded("card_three")
})

test_that("recorded: two exposures, conditional F", {
  expect_recorded("two")
})

test_that("recorded: CigarettesSW and CollegeDistance, effective F and Hansen J", {
  skip_if_not_installed("AER")
  expect_recorded("cigarettes")
  expect_recorded("college")
})

test_that("recorded: Fertility", {
  skip_if_not_installed("AER")
  expect_recorded("fertility")
})

test_that("conditional F, effective F, critical value and Hansen J: as the slow oracles", {
  d <- iv_two_exposures()
  for (weighted in c(FALSE, TRUE)) {
    weight <- if (weighted) 1 + (seq_len(nrow(d)) * sqrt(29)) %% 3 else rep(1, nrow(d))
    d$weight <- weight
    fit <- function(formula, ...) iv_2sls(formula, d, weights = weight, ...)
    two <- y ~ x1 + x2 + w | z1 + z2 + z3 + z4 + w
    b <- oracle_scale_rows(oracle_blocks(two, d), weight)
    conditional <- oracle_conditional_f(b$x, b$z, b$w)
    ours <- fit(two)
    for (j in 1:2) {
      row <- diagnostic_row(ours, paste0("Conditional F (x", j, ")"))
      expect_equal(c(row$df1, row$df2), unname(conditional[j, c("df1", "df2")]))
      expect_lt(relative_gap(row$statistic, conditional[j, "statistic"]), 1e-9)
    }
    for (type in c("HC0", "HC1", "cluster")) {
      ours <- if (type == "cluster") fit(two, cluster = ~cluster) else fit(two, vcov = type)
      cluster <- if (type == "cluster") d$cluster
      robust <- oracle_conditional_robust(b$x, b$z, b$w, type, cluster)
      f <- diagnostics(ours)
      f <- f$statistic[startsWith(f$diagnostic, "Conditional F")]
      expect_lt(relative_gap(f, robust), 1e-9, label = paste("robust conditional F", type))
    }
    one <- y ~ x1 + w | z1 + z2 + z3 + z4 + w
    b <- oracle_scale_rows(oracle_blocks(one, d), weight)
    for (type in c("HC0", "HC1", "cluster")) {
      cluster <- if (type == "cluster") d$cluster
      ours <- if (type == "cluster") fit(one, cluster = ~cluster) else fit(one, vcov = type)
      effective <- oracle_effective_f(b$x, b$z, b$w, vcov = type, cluster = cluster)
      row <- diagnostic_row(ours, "Effective F")
      gap <- relative_gap(c(row$statistic, row$critical), effective[c("statistic", "critical")])
      expect_lt(gap, 1e-9, label = paste("effective F", type, weighted))
      hansen <- oracle_hansen(b$y, b$x, b$z, b$w, cluster)
      row <- diagnostic_row(ours, "Hansen J")
      expect_equal(row$df1, hansen[["df1"]])
      expect_lt(relative_gap(row$statistic, hansen[["statistic"]]), 1e-9)
      expect_equal(row$p.value, pchisq(hansen[["statistic"]], hansen[["df1"]], lower.tail = FALSE))
    }
  }
})
