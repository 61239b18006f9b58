# Slow, transparent oracles of linear instrumental variables: QR everywhere, one formula a function.
#
# y (n) outcome; x (n, K) exposures; z (n, L) instruments, excluded ones only; w (n, p) covariates,
# the constant among them. Weighted fits are fits to rows multiplied by sqrt(weights): do that with
# oracle_scale_rows() first. cluster (n) any labels.

oracle_scale_rows <- function(data, weights) {
  lapply(data, function(block) sqrt(weights) * block)
}

# The four blocks of y ~ exposures + covariates | instruments + covariates, as AER reads it.
oracle_blocks <- function(formula, data) {
  parts <- Formula::as.Formula(formula)
  frame <- stats::model.frame(parts, data = data, na.action = stats::na.omit)
  all_x <- stats::model.matrix(parts, data = frame, rhs = 1)
  all_z <- stats::model.matrix(parts, data = frame, rhs = 2)
  both <- intersect(colnames(all_x), colnames(all_z))
  list(
    y = unname(Formula::model.part(parts, data = frame, lhs = 1)[[1]]),
    x = all_x[, setdiff(colnames(all_x), both), drop = FALSE],
    z = all_z[, setdiff(colnames(all_z), both), drop = FALSE],
    w = all_x[, both, drop = FALSE]
  )
}

oracle_lm <- function(x, y) {
  fit <- qr(x, tol = 1e-12)
  stopifnot(fit$rank == ncol(x))
  list(
    coef = qr.coef(fit, y), fitted = qr.fitted(fit, y), resid = qr.resid(fit, y),
    rss = colSums(qr.resid(fit, as.matrix(y))^2), bread = chol2inv(qr.R(fit))
  )
}

oracle_project <- function(x, onto) {
  if (ncol(onto) == 0L) 0 * x else qr.fitted(qr(onto, tol = 1e-12), x)
}

oracle_partial_out <- function(x, w) {
  x - oracle_project(as.matrix(x), w)
}

# Covariance of coefficients whose estimating functions are e_i xhat_i. hat: dy_hat_i / dy_i.
# HC2, HC3 divide e_i^2 by (1 - h_i), (1 - h_i)^2; clusters: sandwich's vcovCL(type = "HC1").
oracle_sandwich <- function(xhat, e, vcov, hat = NULL, cluster = NULL) {
  n <- nrow(xhat)
  k <- ncol(xhat)
  bread <- chol2inv(qr.R(qr(xhat, tol = 1e-12)))
  if (!is.null(cluster)) {
    sums <- rowsum(e * xhat, as.character(cluster))
    g <- nrow(sums)
    return(bread %*% crossprod(sums) %*% bread * g / (g - 1) * (n - 1) / (n - k))
  }
  if (vcov == "iid") {
    return(bread * sum(e^2) / (n - k))
  }
  e2 <- switch(vcov,
    HC0 = e^2,
    HC1 = e^2 * n / (n - k),
    HC2 = e^2 / (1 - hat),
    HC3 = e^2 / (1 - hat)^2
  )
  bread %*% crossprod(sqrt(e2) * xhat) %*% bread
}

# Covariance of OLS coefficients; the leverage is the usual one.
oracle_lm_vcov <- function(x, e, vcov, cluster = NULL) {
  oracle_sandwich(x, e, vcov, hat = rowSums(qr.Q(qr(x, tol = 1e-12))^2), cluster = cluster)
}

oracle_2sls <- function(y, x, z, w, vcov = "iid", cluster = NULL) {
  regressors <- cbind(x, w)
  xhat <- cbind(oracle_project(x, cbind(w, z)), w)
  coef <- oracle_lm(xhat, y)$coef
  e <- drop(y - regressors %*% coef)
  # Leverage of an IV fit: fitted_i = x_i'(Xhat'Xhat)^-1 Xhat'y, so dfitted_i/dy_i is
  # x_i'(Xhat'Xhat)^-1 xhat_i, what AER's hatvalues() returns too.
  hat <- rowSums((regressors %*% oracle_lm(xhat, y)$bread) * xhat)
  cov <- oracle_sandwich(xhat, e, vcov, hat, cluster)
  names(coef) <- colnames(regressors)
  dimnames(cov) <- list(colnames(regressors), colnames(regressors))
  list(coef = coef, vcov = cov, resid = e, df_residual = length(y) - ncol(regressors))
}

# Wald F of the coefficients `which` of an OLS fit of y on x, covariance as asked for.
oracle_wald <- function(y, x, which, vcov, cluster = NULL) {
  fit <- oracle_lm(x, y)
  cov <- oracle_lm_vcov(x, drop(fit$resid), vcov, cluster)[which, which, drop = FALSE]
  b <- fit$coef[which]
  c(
    df1 = length(which), df2 = nrow(x) - ncol(x),
    statistic = drop(b %*% solve(cov, b)) / length(which)
  )
}

# F of the excluded instruments in the first stage of each exposure: a row each. With vcov = "iid"
# this is ((RSS without - RSS with instruments)/L) / (RSS with/(n - p - L)).
oracle_first_stage <- function(x, z, w, vcov = "iid", cluster = NULL) {
  wald <- apply(x, 2, oracle_wald, x = cbind(z, w), which = seq_len(ncol(z)), vcov = vcov,
    cluster = cluster)
  t(wald)
}

# Conditional F of Sanderson and Windmeijer (2016, J. Econometrics 190:212): is exposure j still
# predicted by the instruments once the other exposures are accounted for? Let e be the residual of
# the 2SLS regression of x_j on the other exposures and w, instruments z. It is orthogonal to w, and
#   F = (e'P e / (L - K + 1)) / (e'M e / (n - p - L)),  P = projection on z with w partialled out.
# K - 1 degrees of freedom went into the coefficients of the other exposures. K = 1: the usual F.
oracle_conditional_f <- function(x, z, w) {
  n <- nrow(x)
  df1 <- ncol(z) - ncol(x) + 1
  df2 <- n - ncol(z) - ncol(w)
  statistic <- vapply(seq_len(ncol(x)), function(j) {
    e <- if (ncol(x) > 1L) {
      oracle_2sls(x[, j], x[, -j, drop = FALSE], z, w)$resid
    } else {
      drop(oracle_partial_out(x, w))
    }
    explained <- oracle_project(as.matrix(e), oracle_partial_out(z, w))
    (sum(explained^2) / df1) / (sum((e - explained)^2) / df2)
  }, 0)
  cbind(df1 = df1, df2 = df2, statistic = statistic)
}

# Its robust form: the numerator's norm becomes the one of the robust covariance W of the
# instruments'
# coefficients in a regression of e on z and w (HC1 or clustered), and the other exposures'
# coefficients are those that minimise it: F = min over d of (a - B d)'W^-1(a - B d) / (L - K + 1),
# where a, B are the first-stage coefficients of x_j and of the others.
oracle_conditional_robust <- function(x, z, w, vcov = "HC1", cluster = NULL) {
  all_z <- cbind(z, w)
  l <- seq_len(ncol(z))
  first <- oracle_lm(all_z, x)$coef[l, , drop = FALSE]
  vapply(seq_len(ncol(x)), function(j) {
    e <- oracle_2sls(x[, j], x[, -j, drop = FALSE], z, w)$resid
    left <- drop(oracle_lm(all_z, e)$resid)
    root <- chol(oracle_lm_vcov(all_z, left, vcov, cluster)[l, l])
    whiten <- function(b) backsolve(root, b, transpose = TRUE)
    fit <- oracle_lm(whiten(first[, -j, drop = FALSE]), whiten(first[, j]))
    fit$rss / (ncol(z) - ncol(x) + 1)
  }, 0)
}

# Wu-Hausman: do the first-stage residuals belong in the regression of y on x and w? (Wald F.) A
# combination of exposures can be exogenous (experience = age - education - 6 with age among z):
# residuals that the others already span are left out, and df1 counts those that are left.
oracle_wu_hausman <- function(y, x, z, w, vcov = "iid", cluster = NULL) {
  v <- x - oracle_project(x, cbind(w, z))
  spanned <- qr(sweep(v, 2, sqrt(colSums(x^2)), "/"), tol = 1e-8)
  v <- v[, spanned$pivot[seq_len(spanned$rank)], drop = FALSE]
  oracle_wald(y, cbind(v, x, w), seq_len(ncol(v)), vcov, cluster)
}

# Sargan: n times the uncentred R^2 of the 2SLS residuals on all instruments. (With a constant among
# w the residuals have mean 0 and centring makes no difference.)
oracle_sargan <- function(y, x, z, w) {
  e <- oracle_2sls(y, x, z, w)$resid
  fitted <- oracle_project(as.matrix(e), cbind(w, z))
  c(df1 = ncol(z) - ncol(x), statistic = length(y) * sum(fitted^2) / sum(e^2))
}

# Hansen J: the two-step GMM objective. S = sum of squared moments at the 2SLS estimate (sums of
# clusters, if any), not centred; J = min over b of g(b)'S^-1 g(b) with g(b) = C'(y - X b).
oracle_hansen <- function(y, x, z, w, cluster = NULL) {
  all_z <- cbind(w, z)
  regressors <- cbind(x, w)
  moments <- all_z * oracle_2sls(y, x, z, w)$resid
  if (!is.null(cluster)) {
    moments <- rowsum(moments, as.character(cluster))
  }
  # With S = R'R, J is the residual sum of squares of R'^-1 C'y on R'^-1 C'X.
  root <- qr.R(qr(moments, tol = 0))
  whiten <- function(a) backsolve(root, a, transpose = TRUE)
  fit <- oracle_lm(whiten(crossprod(all_z, regressors)), whiten(crossprod(all_z, y)))
  c(df1 = ncol(z) - ncol(x), statistic = unname(fit$rss))
}

# Effective F of Montiel Olea and Pflueger (2013, JBES 31:358): with w partialled out and the
# instruments orthonormal (Z'Z = I), F_eff = x'ZZ'x / tr(W), where W is the robust covariance of the
# first-stage coefficients. The simplified (conservative) test at level alpha of "the Nagar bias
# exceeds tau times its worst case" has x = 1/tau and
#   K_eff = tr(W)^2 (1 + 2x) / (tr(W'W) + 2 x tr(W) maxeval(W)),
#   critical value = upper alpha quantile of a noncentral chi^2 with K_eff degrees of freedom and
#   noncentrality x K_eff, divided by K_eff.
# One instrument: K_eff = 1, and 23.1 for tau = 10 %, alpha = 5 %, as in their Table 1.
oracle_effective_f <- function(x, z, w, vcov = "HC0", cluster = NULL, tau = 0.1, alpha = 0.05) {
  stopifnot(ncol(x) == 1L)
  z <- qr.Q(qr(oracle_partial_out(z, w)))
  first <- oracle_lm(cbind(z, w), x)
  l <- seq_len(ncol(z))
  cov <- oracle_lm_vcov(cbind(z, w), drop(first$resid), vcov, cluster)[l, l, drop = FALSE]
  trace <- sum(diag(cov))
  worst <- max(eigen(cov, symmetric = TRUE)$values)
  bias <- 1 / tau
  k_eff <- trace^2 * (1 + 2 * bias) / (sum(cov^2) + 2 * bias * trace * worst)
  c(
    statistic = sum(first$coef[l]^2) / trace, k_eff = k_eff,
    critical = stats::qchisq(alpha, k_eff, ncp = bias * k_eff, lower.tail = FALSE) / k_eff
  )
}

# A fixed design with two exposures that share much of their instruments' effect, with unequal
# variances and clusters. It is made by formulas, not by a generator, so that recorded values stay
# valid on every R version: i * root of a prime, modulo 1, is evenly spread, and qnorm() makes it
# look normal.
iv_two_exposures <- function(n = 400) {
  spread <- function(prime) stats::qnorm((seq_len(n) * sqrt(prime)) %% 1)
  z <- vapply(c(2, 3, 5, 7), spread, numeric(n))
  u <- spread(11)
  cluster <- 1 + (seq_len(n) * 7) %% 40
  w <- spread(13) + cluster / 40
  x1 <- drop(z %*% c(0.5, 0.3, 0.2, 0.1)) + u + 0.3 * w + spread(17)
  x2 <- drop(z %*% c(0.45, 0.35, 0.1, 0.25)) - 0.5 * u + spread(19) + cos(cluster)
  y <- 1 + 0.5 * x1 - 0.25 * x2 + 0.4 * w + u + spread(23) * (1 + abs(z[, 1])) + sin(cluster)
  data.frame(y, x1, x2, w, z1 = z[, 1], z2 = z[, 2], z3 = z[, 3], z4 = z[, 4], cluster)
}

# Card's (1995) young men of 1976, from wooldridge::card: fixtures/iv_card.csv.
iv_card <- function() {
  card <- utils::read.csv(testthat::test_path("fixtures", "iv_card.csv"))
  card$lwage <- log(card$wage)
  card$expersq <- card$exper^2
  card$agesq <- card$age^2
  card$cluster <- card$region
  card
}

# Designs that the recorded outputs and the live comparisons share: formula and data, whose column
# `cluster` holds cluster labels. moments: small enough for packages that build n x moments frames.
iv_design_names <- function() {
  c("cigarettes", "college", "fertility", "card", "card_three", "two")
}

iv_design <- function(name) {
  switch(name,
    cigarettes = list(
      formula = log(packs) ~ log(rprice) + log(rincome) | log(rincome) + tdiff + rtax,
      data = iv_cigarettes(), n_exposures = 1, n_instruments = 2, moments = TRUE
    ),
    college = list(
      formula = log(wage) ~ education + unemp + ethnicity + gender + urban + region |
        distance + tuition + unemp + ethnicity + gender + urban + region,
      data = iv_college(), n_exposures = 1, n_instruments = 2, moments = TRUE
    ),
    fertility = list(
      formula = work ~ more + age + afam + hispanic + other + boy1 | age + afam + hispanic + other +
        boy1 + boys2 + girls2,
      data = iv_fertility(), n_exposures = 1, n_instruments = 2, moments = FALSE
    ),
    card = list(
      formula = lwage ~ educ + exper + expersq + black + smsa + south | nearc2 + nearc4 + exper +
        expersq + black + smsa + south,
      data = iv_card(), n_exposures = 1, n_instruments = 2, moments = TRUE
    ),
    card_three = list(
      formula = lwage ~ educ + exper + expersq + black + smsa + south | nearc2 + nearc4 + age +
        agesq + black + smsa + south,
      data = iv_card(), n_exposures = 3, n_instruments = 4, moments = TRUE
    ),
    two = list(
      formula = y ~ x1 + x2 + w | z1 + z2 + z3 + z4 + w,
      data = iv_two_exposures(), n_exposures = 2, n_instruments = 4, moments = TRUE
    )
  )
}

aer_data <- function(name) {
  get(utils::data(list = name, package = "AER", envir = environment()))
}

# Stock and Watson's cigarettes of 1995; cluster: 8 made-up groups of states, in file order.
iv_cigarettes <- function() {
  d <- aer_data("CigarettesSW")
  d$rprice <- d$price / d$cpi
  d$rincome <- d$income / d$population / d$cpi
  d$tdiff <- (d$taxs - d$tax) / d$cpi
  d$rtax <- d$tax / d$cpi
  d$cluster <- 1 + (seq_len(nrow(d)) - 1) %% 8
  d[d$year == "1995", ]
}

# Rouse (1995): high-school students; tuition is the state's, so its values stand for states.
iv_college <- function() {
  d <- aer_data("CollegeDistance")
  d$cluster <- as.integer(factor(d$tuition))
  d
}

# Angrist and Evans (1998): more than two children, instrumented by the sexes of the first two.
iv_fertility <- function() {
  d <- aer_data("Fertility")
  d$more <- as.numeric(d$morekids == "yes")
  d$boy1 <- as.numeric(d$gender1 == "male")
  d$boys2 <- as.numeric(d$gender1 == "male" & d$gender2 == "male")
  d$girls2 <- as.numeric(d$gender1 == "female" & d$gender2 == "female")
  d$cluster <- d$age
  d
}

# Largest relative difference. Components smaller than 1e-3 of a typical one (none in the designs
# used, except where an estimate is nearly zero) are held to the same relative standard.
relative_gap <- function(ours, theirs) {
  stopifnot(length(ours) == length(theirs), !anyNA(theirs))
  max(abs(as.numeric(ours) - as.numeric(theirs)) / abs(as.numeric(theirs)))
}

# One row of diagnostics(fit), by its label.
diagnostic_row <- function(fit, label) {
  d <- diagnostics(fit)
  row <- d[d$diagnostic == label, , drop = FALSE]
  if (nrow(row) != 1L) {
    stop("diagnostics(): ", nrow(row), " rows called \"", label, "\"; there are: ",
      paste(d$diagnostic, collapse = ", "))
  }
  row
}
