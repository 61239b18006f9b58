# Slow oracles of random-effects meta-analysis: dense matrices, one definition a function.
# y (k) effects, v (k) variances, x (k, p) design.

oracle_meta_p <- function(w, x) {
  wx <- w * x
  diag(w, length(w)) - wx %*% solve(crossprod(x, wx), t(wx))
}

oracle_meta_q <- function(tau2, y, v, x) {
  drop(crossprod(y, oracle_meta_p(1 / (v + tau2), x) %*% y))
}

# The tau2 >= 0 where the decreasing Q is `target`.
oracle_meta_solve <- function(target, y, v, x) {
  if (oracle_meta_q(0, y, v, x) <= target) {
    return(0)
  }
  top <- max(v)
  while (oracle_meta_q(top, y, v, x) > target) {
    top <- 2 * top
  }
  stats::uniroot(function(t) oracle_meta_q(t, y, v, x) - target, c(0, top), tol = 1e-14 * top)$root
}

# Log likelihood but for constants.
oracle_meta_loglik <- function(tau2, y, v, x, reml) {
  w <- 1 / (v + tau2)
  information <- crossprod(x, w * x)
  e <- y - x %*% solve(information, crossprod(x, w * y))
  -sum(log(v + tau2)) / 2 - sum(w * e^2) / 2 -
    if (reml) determinant(information)$modulus[[1]] / 2 else 0
}

# Its derivative, for the last digits that a maximiser of the likelihood cannot see.
oracle_meta_score <- function(tau2, y, v, x, reml) {
  w <- 1 / (v + tau2)
  p <- oracle_meta_p(w, x)
  sum((p %*% y)^2) - if (reml) sum(diag(p)) else sum(w)
}

# The global maximum by a grid from 1e-6 of the smallest variance up to where none can lie.
oracle_meta_likelihood <- function(y, v, x, reml) {
  top <- sum((y - mean(y))^2) + sum(y^2) + max(v)
  grid <- c(0, exp(seq(log(1e-6 * min(v)), log(top), length.out = 1000)))
  value <- vapply(grid, oracle_meta_loglik, 0, y = y, v = v, x = x, reml = reml)
  at <- which.max(value)
  score <- function(t) oracle_meta_score(t, y, v, x, reml)
  low <- grid[max(1, at - 1)]
  high <- grid[at + 1]
  if (score(low) <= 0) {
    return(low)
  }
  stats::uniroot(score, c(low, high), tol = 1e-15 * high)$root
}

# Method of moments: E y'Ay = tr(AV) + tau2 tr(A) for A x = 0; the variance of y'Ay is
# 2 tr(A M A M) with M = V + tau2.
oracle_meta_moments <- function(y, v, a, scale = sum(diag(a)), centre = sum(diag(a) * v)) {
  tau2 <- max(0, (sum(y * (a %*% y)) - centre) / scale)
  am <- a %*% diag(v + tau2, length(v))
  c(tau2, sqrt(2 * sum(am * t(am))) / scale)
}

# tau2 and its standard error.
oracle_meta_tau2 <- function(y, v, x, method) {
  k <- length(y)
  df <- k - ncol(x)
  p <- oracle_meta_p(1 / v, x)
  at_root <- function(tau2) {
    w <- 1 / (v + tau2)
    c(tau2, switch(method,
      ML = sqrt(2 / sum(w^2)),
      REML = sqrt(2 / sum(oracle_meta_p(w, x)^2)),
      sqrt(2 * k^2 / df) / sum(w)
    ))
  }
  switch(method,
    FE = c(0, NA),
    DL = oracle_meta_moments(y, v, p),
    HS = oracle_meta_moments(y, v, p, scale = sum(1 / v), centre = k),
    HE = oracle_meta_moments(y, v, oracle_meta_p(rep(1, k), x)),
    SJ = {
      start <- sum((y - mean(y))^2) / k
      p <- oracle_meta_p(1 / (v + start), x)
      tau2 <- start * sum(y * (p %*% y)) / df
      pm <- p %*% diag(v + tau2, k)
      c(tau2, start / df * sqrt(2 * sum(pm * t(pm))))
    },
    PM = ,
    EB = at_root(oracle_meta_solve(df, y, v, x)),
    at_root(oracle_meta_likelihood(y, v, x, reml = method == "REML"))
  )
}

# What meta_random() gives for one group, as a named vector.
oracle_meta_random <- function(y, se, method, test = "z", level = 0.95) {
  k <- length(y)
  v <- se^2
  x <- matrix(1, k)
  found <- oracle_meta_tau2(y, v, x, method)
  w <- 1 / (v + found[1])
  mean <- sum(w * y) / sum(w)
  s2 <- sum(w * (y - mean)^2) / (k - 1)
  factor <- switch(test,
    knha = s2,
    adhoc = max(1, s2),
    1
  )
  error <- sqrt(factor / sum(w))
  df <- if (test == "z") Inf else k - 1
  reach <- stats::qt((1 + level) / 2, df)
  q <- oracle_meta_q(0, y, v, x)
  typical <- (k - 1) / sum(diag(oracle_meta_p(1 / v, x)))
  h2 <- if (method == "FE") q / (k - 1) else 1 + found[1] / typical
  tails <- stats::qchisq((1 + c(1, -1) * level) / 2, k - 1)
  profile <- vapply(tails, oracle_meta_solve, 0, y = y, v = v, x = x)
  c(
    estimate = mean, std.error = error, statistic = mean / error,
    p.value = 2 * stats::pt(-abs(mean / error), df),
    conf.low = mean - reach * error, conf.high = mean + reach * error,
    tau2 = found[1], se.tau2 = found[2], i2 = 100 * max(0, 1 - 1 / h2), h2 = h2,
    q = q, q.df = k - 1, q.p.value = stats::pchisq(q, k - 1, lower.tail = FALSE),
    pred.low = mean - reach * sqrt(found[1] + error^2),
    pred.high = mean + reach * sqrt(found[1] + error^2), k = k,
    tau2.low = if (method == "FE") NA else profile[1],
    tau2.high = if (method == "FE") NA else profile[2]
  )
}

# Six published meta-analyses that come with metafor, and the lipid ratios: data.frames with yi and
# vi.
metafor_sets <- function() {
  testthat::skip_if_not_installed("metafor")
  escalc <- metafor::escalc
  dataset <- function(name) getExportedValue("metadat", name)
  sets <- list(
    bcg = escalc("RR",
      ai = tpos, bi = tneg, ci = cpos, di = cneg, data = dataset("dat.bcg")
    ),
    lidocaine = escalc("RD", ai = ai, n1i = n1i, ci = ci, n2i = n2i,
      data = dataset("dat.hine1989")
    ),
    stroke = escalc("MD",
      m1i = m1i, sd1i = sd1i, n1i = n1i, m2i = m2i, sd2i = sd2i, n2i = n2i,
      data = dataset("dat.normand1999")
    ),
    expectancy = dataset("dat.raudenbush1985"),
    writing = dataset("dat.bangertdrowns2004"),
    smoke = dataset("dat.hackshaw1998"),
    lipids = with(lipid_ratios(), data.frame(yi = estimate, vi = se^2))
  )
  lapply(sets, function(d) {
    d <- as.data.frame(d)
    d$yi <- as.numeric(d$yi)
    d$vi <- as.numeric(d$vi)
    d
  })
}

# metafor's iterations to the last digit that the scale of the effects allows; its limits on tau2
# out of the way.
metafor_control <- function(y) {
  list(threshold = 1e-14 * max(1, stats::var(y)), maxiter = 1e5, tau2.max = 1e7, tol = 1e-14)
}

# 28 ratios of associations with coronary disease and LDL cholesterol (Waterworth et al. 2010).
lipid_ratios <- function() {
  d <- utils::read.csv(testthat::test_path("fixtures", "meta_lipid.csv"))
  data.frame(estimate = d$chdlodds / d$ldlc, se = abs(d$chdloddsse / d$ldlc))
}
