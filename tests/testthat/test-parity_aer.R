# Parity with AER::ivreg() and sandwich, live, on the textbook data sets.
#
# 1e-9 relative is what double precision leaves on these data: AER's QR, the slow oracles' QR and
# our centred crossproducts differ from each other by some 1e-10 at most (Fertility, 254,654 rows),
# mostly by 1e-13. A wrong degree of freedom is at least 1/254654 = 4e-6 off and cannot hide there.
parity <- 1e-9

skip_without_aer <- function() {
  testthat::skip_if_not_installed("AER")
  testthat::skip_if_not_installed("sandwich")
}

expect_close <- function(ours, theirs, label) {
  gap <- relative_gap(ours, theirs)
  testthat::expect(
    isTRUE(gap < parity),
    sprintf("%s: relative difference %.3g, not below %.3g.", label, gap, parity)
  )
}

# Coefficients and standard errors by name; cov is the covariance that AER's fit is given.
expect_same_estimates <- function(ours, theirs, cov = stats::vcov(theirs), label = "") {
  terms <- names(stats::coef(theirs))
  testthat::expect_setequal(names(coef(ours)), terms)
  expect_close(coef(ours)[terms], coef(theirs), paste(label, "coef"))
  se <- sqrt(diag(vcov(ours)))[terms]
  expect_close(se, sqrt(diag(cov)), paste(label, "std.error"))
  # Off-diagonal covariances can be nearly zero: hold them to the scale of their standard errors.
  scale <- tcrossprod(sqrt(diag(cov)))
  gap <- max(abs(vcov(ours)[terms, terms] - cov) / scale)
  testthat::expect_lt(gap, parity)
}

# Rows that both sides have, by label. theirs: summary(, diagnostics = TRUE)$diagnostics.
expect_same_diagnostics <- function(ours, theirs, rows = rownames(theirs), p_value = TRUE,
                                    label = "") {
  theirs <- theirs[rows, , drop = FALSE]
  for (row in rows[!is.na(theirs[, "statistic"])]) {
    mine <- diagnostic_row(ours, row)
    testthat::expect_equal(mine$df1, theirs[[row, "df1"]], label = paste(label, row, "df1"))
    expect_close(mine$statistic, theirs[row, "statistic"], paste(label, row))
    if (p_value) {
      expect_same_p(mine, theirs[row, ], paste(label, row))
    }
  }
}

# A p-value of an F of size s moves by about s times the relative error of the F: far out in the
# tail it has fewer digits than the statistic. Below 1e-200 it is not compared.
expect_same_p <- function(mine, theirs, label) {
  testthat::expect_equal(as.numeric(mine$df2), theirs[["df2"]], label = paste(label, "df2"))
  if (theirs[["p-value"]] > 1e-200) {
    size <- max(1, theirs[["statistic"]] * theirs[["df1"]])
    gap <- relative_gap(mine$p.value, theirs[["p-value"]])
    testthat::expect_lt(gap / size, parity, label = paste(label, "p.value"))
  }
}

# vcovHC() begins with leverages, n x n for AER's fits, also where it does not need them.
robust <- function(type) {
  switch(type,
    HC0 = function(fit) sandwich::sandwich(fit),
    HC1 = function(fit) sandwich::sandwich(fit, adjust = TRUE),
    function(fit) sandwich::vcovHC(fit, type = type)
  )
}

aer_diagnostics <- function(fit, vcov. = NULL) {
  summary(fit, vcov. = vcov., diagnostics = TRUE)$diagnostics
}

without_sargan <- function(d) setdiff(rownames(d), "Sargan")

# Everything on one design: homoskedastic, HC0 ... HC3, clustered.
expect_parity <- function(design, types = c("HC0", "HC1", "HC2", "HC3"), ...) {
  theirs <- AER::ivreg(design$formula, data = design$data)
  ours <- iv_2sls(design$formula, data = design$data)
  expect_same_estimates(ours, theirs, label = "iid")
  expect_same_diagnostics(ours, aer_diagnostics(theirs), label = "iid")
  for (type in types) {
    ours <- iv_2sls(design$formula, data = design$data, vcov = type)
    expect_same_estimates(ours, theirs, robust(type)(theirs), label = type)
    if (type %in% c("HC0", "HC1")) {
      d <- aer_diagnostics(theirs, robust(type))
      expect_same_diagnostics(ours, d, without_sargan(d), label = type)
    }
  }
  expect_cluster_parity(design, theirs)
}

# Clustered: t and F refer to G - 1 degrees of freedom here, to n - k in AER; so no p-values.
expect_cluster_parity <- function(design, theirs) {
  ours <- iv_2sls(design$formula, data = design$data, cluster = ~cluster)
  by_cluster <- function(fit) sandwich::vcovCL(fit, cluster = design$data$cluster, type = "HC1")
  expect_same_estimates(ours, theirs, by_cluster(theirs), label = "cluster")
  d <- aer_diagnostics(theirs, by_cluster)
  expect_same_diagnostics(ours, d, without_sargan(d), p_value = FALSE, label = "cluster")
  g <- length(unique(design$data$cluster))
  expect_equal(diagnostic_row(ours, "Wu-Hausman")$df2, g - 1)
}

test_that("the slow oracles agree with AER and sandwich", {
  skip_without_aer()
  for (name in c("cigarettes", "card", "card_three", "two")) {
    design <- iv_design(name)
    blocks <- oracle_blocks(design$formula, design$data)
    fit <- AER::ivreg(design$formula, data = design$data)
    terms <- names(coef(fit))
    expect_close(do.call(oracle_2sls, blocks)$coef[terms], coef(fit), name)
    for (type in c("HC0", "HC1", "HC2", "HC3")) {
      cov <- do.call(oracle_2sls, c(blocks, vcov = type))$vcov[terms, terms]
      expect_close(diag(cov), diag(sandwich::vcovHC(fit, type = type)), paste(name, type))
    }
    cov <- do.call(oracle_2sls, c(blocks, list(cluster = design$data$cluster)))$vcov[terms, terms]
    by_cluster <- sandwich::vcovCL(fit, cluster = design$data$cluster, type = "HC1")
    expect_close(diag(cov), diag(by_cluster), paste(name, "cluster"))
    for (type in c("iid", "HC1", "HC3")) {
      d <- aer_diagnostics(fit, if (type != "iid") robust(type))
      strength <- oracle_first_stage(blocks$x, blocks$z, blocks$w, type)
      weak <- grepl("^Weak", rownames(d))
      expect_close(strength[, "statistic"], d[weak, "statistic"], paste(name, type, "first stage"))
      hausman <- do.call(oracle_wu_hausman, c(blocks, vcov = type))
      expect_close(hausman, d["Wu-Hausman", c("df1", "df2", "statistic")], paste(name, type, "WH"))
    }
    sargan <- do.call(oracle_sargan, blocks)
    expect_close(sargan, d["Sargan", c("df1", "statistic")], paste(name, "Sargan"))
  }
})

test_that("the oracle of the critical value gives the published ones", {
  # Montiel Olea and Pflueger (2013), Table 1, one instrument: tau = 5, 10, 20 %.
  x <- matrix(cos(1:50))
  z <- matrix(sin(1:50))
  w <- matrix(1, 50)
  critical <- vapply(c(0.05, 0.1, 0.2), function(tau) {
    oracle_effective_f(x, z, w, tau = tau)[["critical"]]
  }, 0)
  expect_equal(round(critical, 2), c(37.42, 23.11, 15.06))
})

test_that("CigarettesSW: as AER", {
  skip_without_aer()
  expect_parity(iv_design("cigarettes"))
})

test_that("CollegeDistance, factor terms: as AER", {
  skip_without_aer()
  # AER's leverages would take 4739^2 doubles, 180 MB a copy: the next test has fewer rows.
  expect_parity(iv_design("college"), types = c("HC0", "HC1"))
})

test_that("leverages, factor terms (every third row of CollegeDistance): as AER", {
  skip_without_aer()
  design <- iv_design("college")
  design$data <- design$data[seq(1, 4739, by = 3), ]
  theirs <- AER::ivreg(design$formula, data = design$data)
  for (type in c("HC2", "HC3")) {
    ours <- iv_2sls(design$formula, data = design$data, vcov = type)
    expect_same_estimates(ours, theirs, sandwich::vcovHC(theirs, type = type), label = type)
  }
})

test_that("Card's schooling returns: as AER", {
  skip_without_aer()
  expect_parity(iv_design("card"), types = c("HC0", "HC1", "HC3"))
})

test_that("three exposures, one combination of them exogenous: as AER", {
  skip_without_aer()
  # exper = age - educ - 6, and age is an instrument: first-stage residuals of educ and exper
  # cancel, and Wu-Hausman has 2 degrees of freedom, not 3.
  expect_parity(iv_design("card_three"), types = c("HC1", "HC2"))
})

test_that("two exposures: as AER", {
  skip_without_aer()
  expect_parity(iv_design("two"))
})

test_that("Fertility, 254,654 rows: as AER", {
  skip_without_aer()
  design <- iv_design("fertility")
  theirs <- AER::ivreg(design$formula, data = design$data)
  ours <- iv_2sls(design$formula, data = design$data)
  expect_equal(nobs(ours), 254654)
  expect_same_estimates(ours, theirs)
  expect_same_diagnostics(ours, aer_diagnostics(theirs))
  ours <- iv_2sls(design$formula, data = design$data, vcov = "HC1")
  expect_same_estimates(ours, theirs, robust("HC1")(theirs), label = "HC1")
  d <- aer_diagnostics(theirs, robust("HC1"))
  expect_same_diagnostics(ours, d, without_sargan(d), label = "HC1")
  expect_cluster_parity(design, theirs)
})

test_that("exactly identified: as AER, and no Sargan", {
  skip_without_aer()
  formula <- lwage ~ educ + exper + expersq + black | nearc4 + exper + expersq + black
  theirs <- AER::ivreg(formula, data = iv_card())
  ours <- iv_2sls(formula, data = iv_card())
  expect_same_estimates(ours, theirs)
  expect_same_diagnostics(ours, aer_diagnostics(theirs))
  d <- diagnostics(ours)
  expect_true(all(is.na(d$statistic[d$diagnostic == "Sargan"])))
})

test_that("weights: as AER", {
  skip_without_aer()
  design <- iv_design("card")
  card <- design$data
  theirs <- AER::ivreg(design$formula, data = card, weights = weight)
  ours <- iv_2sls(design$formula, data = card, weights = weight)
  expect_same_estimates(ours, theirs, label = "weights iid")
  expect_same_diagnostics(ours, aer_diagnostics(theirs), label = "weights iid")
  ours <- iv_2sls(design$formula, data = card, weights = weight, vcov = "HC1")
  expect_same_estimates(ours, theirs, robust("HC1")(theirs), label = "weights HC1")
  d <- aer_diagnostics(theirs, robust("HC1"))
  expect_same_diagnostics(ours, d, without_sargan(d), label = "weights HC1")
  clustered <- iv_2sls(design$formula, data = card, weights = weight, cluster = ~cluster)
  by_cluster <- sandwich::vcovCL(theirs, cluster = card$cluster, type = "HC1")
  expect_same_estimates(clustered, theirs, by_cluster, label = "weights cluster")
})

test_that("weighted leverages: as AER on rows times the roots of their weights", {
  skip_without_aer()
  # hatvalues() of a weighted AER fit ignores the weights, so HC2 and HC3 of sandwich are not the
  # weighted ones. The same fit on scaled rows without a constant has the right leverages.
  d <- iv_two_exposures()
  weight <- 1 + (seq_len(nrow(d)) * sqrt(29)) %% 3
  blocks <- oracle_blocks(y ~ x1 + x2 + w | z1 + z2 + z3 + z4 + w, d)
  scaled <- as.data.frame(oracle_scale_rows(list(
    y = blocks$y, x = blocks$x, z = blocks$z, one = blocks$w[, 1], w = blocks$w[, 2]
  ), weight))
  theirs <- AER::ivreg(
    y ~ 0 + x.x1 + x.x2 + one + w | 0 + z.z1 + z.z2 + z.z3 + z.z4 + one + w,
    data = scaled
  )
  for (type in c("HC2", "HC3")) {
    ours <- iv_2sls(y ~ x1 + x2 + w | z1 + z2 + z3 + z4 + w, d, weights = weight, vcov = type)
    se <- sqrt(diag(vcov(ours)))[c("x1", "x2", "(Intercept)", "w")]
    expect_close(se, sqrt(diag(sandwich::vcovHC(theirs, type = type))), type)
  }
})

test_that("no constant: as AER", {
  skip_without_aer()
  d <- iv_two_exposures()
  formula <- y ~ 0 + x1 + x2 + w | 0 + z1 + z2 + z3 + z4 + w
  theirs <- AER::ivreg(formula, data = d)
  ours <- iv_2sls(formula, data = d)
  expect_same_estimates(ours, theirs, label = "iid")
  diagnostics <- aer_diagnostics(theirs)
  expect_same_diagnostics(ours, diagnostics, without_sargan(diagnostics))
  for (type in c("HC0", "HC3")) {
    ours <- iv_2sls(formula, data = d, vcov = type)
    expect_same_estimates(ours, theirs, sandwich::vcovHC(theirs, type = type), label = type)
  }
  ours <- iv_2sls(formula, data = d)
  # Without a constant residuals have a mean, and AER's Sargan, which centres them in the
  # denominator only, is n (1 - RSS / centred TSS): not Sargan's n u'Pu / u'u. Ours is.
  sargan <- do.call(oracle_sargan, oracle_blocks(formula, d))
  expect_close(diagnostic_row(ours, "Sargan")$statistic, sargan[["statistic"]], "Sargan")
})

test_that("subset and missing values: as AER", {
  skip_without_aer()
  card <- iv_card()
  formula <- lwage ~ educ + exper + factor(region) | fatheduc + motheduc + exper + factor(region)
  theirs <- AER::ivreg(formula, data = card, subset = black == 0)
  ours <- suppressMessages(iv_2sls(formula, data = card, subset = black == 0))
  expect_equal(nobs(ours), theirs$nobs)
  expect_same_estimates(ours, theirs)
  expect_same_diagnostics(ours, aer_diagnostics(theirs))
})

test_that("iv_ols: as lm and sandwich", {
  skip_if_not_installed("sandwich")
  card <- iv_card()
  formula <- lwage ~ educ + exper + expersq + factor(region)
  theirs <- lm(formula, data = card)
  expect_same_estimates(iv_ols(formula, data = card), theirs, label = "iid")
  for (type in c("HC0", "HC1", "HC2", "HC3")) {
    expect_same_estimates(iv_ols(formula, data = card, vcov = type), theirs,
      sandwich::vcovHC(theirs, type = type), label = type)
  }
  clustered <- iv_ols(formula, data = card, cluster = ~age)
  by_cluster <- sandwich::vcovCL(theirs, cluster = card$age, type = "HC1")
  expect_same_estimates(clustered, theirs, by_cluster, label = "cluster")
})
