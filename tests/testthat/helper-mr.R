# Slow, transparent oracles of the summary-data estimators: lm(), optim(), uniroot() and loops.
# d: data.frame bx, sx, by, sy. Each returns a named vector.

# fixtures/mr_example_ldlc_chd.csv: LDL cholesterol and coronary disease, 28 variants, as shipped by
# the package MendelianRandomization. fixtures/mr_reference_values.txt: what that package, mr.raps
# 0.2, TwoSampleMR and metafor give on them.
mr_lipids <- function() {
  d <- utils::read.csv(testthat::test_path("fixtures", "mr_example_ldlc_chd.csv"))
  stats::setNames(d, c("bx", "sx", "by", "sy"))
}

# What TwoSampleMR 0.7.9 returned on the lipid variants and its BMI and coronary disease example.
mr_recorded <- function(name) {
  path <- testthat::test_path("fixtures", "twosamplemr-0.7.9", paste0(name, ".csv"))
  utils::read.csv(path, na.strings = "NA")
}

# A harmonised frame of one pair.
mr_harmonised <- function(d, exposure = "x", outcome = "y") {
  data.frame(
    SNP = sprintf("rs%d", seq_len(nrow(d))), id.exposure = exposure, id.outcome = outcome,
    exposure = paste("exposure", exposure), outcome = paste("outcome", outcome), mr_keep = TRUE,
    beta.exposure = d$bx, se.exposure = d$sx, beta.outcome = d$by, se.outcome = d$sy
  )
}

# Scattered effects, a fifth of the variants with pleiotropy.
mr_effects <- function(n, seed) {
  withr::with_seed(seed, {
    sx <- stats::runif(n, 0.003, 0.008)
    sy <- stats::runif(n, 0.01, 0.03)
    gamma <- stats::rnorm(n, 0, 0.06)
    pleiotropy <- stats::rbinom(n, 1, 0.2) * stats::rnorm(n, 0.02, 0.08)
    data.frame(
      bx = stats::rnorm(n, gamma, sx), sx, by = stats::rnorm(n, 0.4 * gamma + pleiotropy, sy), sy
    )
  })
}

slow_turn <- function(d) {
  side <- ifelse(d$bx < 0, -1, 1)
  d$bx <- d$bx * side
  d$by <- d$by * side
  d
}

slow_wald <- function(d) {
  c(b = d$by / d$bx, se = d$sy / abs(d$bx), pval = 2 * stats::pnorm(-abs(d$by) / d$sy))
}

slow_origin <- function(d, weights, se_of) {
  fit <- summary(stats::lm(by ~ bx - 1, data = d, weights = weights))
  b <- fit$coefficients[1, 1]
  se <- se_of(fit$coefficients[1, 2], fit$sigma)
  q <- fit$sigma^2 * fit$df[2]
  c(
    b = b, se = se, pval = 2 * stats::pnorm(-abs(b / se)), Q = q, Q_df = fit$df[2],
    Q_pval = stats::pchisq(q, fit$df[2], lower.tail = FALSE), sigma = fit$sigma
  )
}
bounded <- function(se, sigma) se / min(1, sigma)

slow_delta_weights <- function(d, psi = 0) {
  1 / (d$sy^2 + d$by^2 * d$sx^2 / d$bx^2 - 2 * psi * d$by * d$sx * d$sy / d$bx)
}

slow_penalised_weights <- function(d) {
  centre <- stats::median(d$by / d$bx)
  p <- stats::pchisq((d$by - centre * d$bx)^2 / d$sy^2, 1, lower.tail = FALSE)
  pmin(1, 100 * p) / d$sy^2
}

slow_egger <- function(d) {
  d <- slow_turn(d)
  fit <- summary(stats::lm(by ~ bx, data = d, weights = 1 / d$sy^2))
  at <- fit$coefficients[, 1]
  se <- fit$coefficients[, 2] / min(1, fit$sigma)
  p <- 2 * stats::pt(-abs(at / se), nrow(d) - 2)
  q <- fit$sigma^2 * (nrow(d) - 2)
  c(
    b = at[[2]], se = se[[2]], pval = p[[2]], Q = q, Q_df = nrow(d) - 2,
    Q_pval = stats::pchisq(q, nrow(d) - 2, lower.tail = FALSE), intercept = at[[1]],
    intercept_se = se[[1]], intercept_pval = p[[1]], sigma = fit$sigma
  )
}

slow_divw <- function(d) {
  b <- sum(d$by * d$bx / d$sy^2) / sum((d$bx^2 - d$sx^2) / d$sy^2)
  tau2 <- max(0, sum(((d$by - b * d$bx)^2 - d$sy^2 - b^2 * d$sx^2) / d$sy^2) / sum(1 / d$sy^2))
  v <- sum((d$bx^2 * d$sy^2 + b^2 * d$sx^2 * (d$bx^2 + d$sx^2) + tau2 * d$bx^2) / d$sy^4)
  se <- sqrt(v) / abs(sum((d$bx^2 - d$sx^2) / d$sy^2))
  c(b = b, se = se, pval = 2 * stats::pnorm(-abs(b / se)), tau2 = tau2)
}

slow_pivw <- function(d) {
  v2 <- sum((4 * (d$bx^2 - d$sx^2) * d$sx^2 + 2 * d$sx^4) / d$sy^4)
  v12 <- sum(2 * d$by * d$bx * d$sx^2 / d$sy^4)
  mu1 <- sum(d$by * d$bx / d$sy^2)
  mu2 <- sum((d$bx^2 - d$sx^2) / d$sy^2)
  away <- mu2 / 2 + sign(mu2) * sqrt(mu2^2 / 4 + v2)
  b <- (mu1 + v12 / v2 * (away - mu2)) / away
  tau2 <- max(0, sum(((d$by - b * d$bx)^2 - d$sy^2 - b^2 * d$sx^2) / d$sy^2) / sum(1 / d$sy^2))
  v <- sum(d$bx^2 / d$sy^2 * (1 + tau2 / d$sy^2) + b^2 * d$sx^2 / d$sy^4 * (d$bx^2 + d$sx^2))
  se <- sqrt(v) / abs(away)
  c(b = b, se = se, pval = 2 * stats::pnorm(-abs(b / se)), tau2 = tau2)
}

# All n + 1 parameters at once, with the correlation psi of a variant's two estimates; the standard
# error from the full Hessian. Also the objective, to compare fits by.
slow_likelihood <- function(d, psi = 0) {
  n <- nrow(d)
  objective <- function(par) {
    x <- (d$bx - par[1:n]) / d$sx
    y <- (d$by - par[n + 1] * par[1:n]) / d$sy
    sum(x^2 - 2 * psi * x * y + y^2) / (1 - psi^2) / 2
  }
  gradient <- function(par) {
    x <- (d$bx - par[1:n]) / d$sx
    y <- (d$by - par[n + 1] * par[1:n]) / d$sy
    in_x <- (x - psi * y) / (1 - psi^2)
    in_y <- (y - psi * x) / (1 - psi^2)
    c(-in_x / d$sx - in_y * par[n + 1] / d$sy, sum(-in_y * par[1:n] / d$sy))
  }
  start <- c(d$bx, sum(d$bx * d$by / d$sy^2) / sum(d$bx^2 / d$sy^2))
  scale <- c(d$sx, 1)
  fit <- stats::optim(start, objective, gradient, method = "BFGS",
    control = list(reltol = 0, maxit = 5000, parscale = scale))
  at <- fit$par
  for (i in 1:3) { # Newton, to the last digit
    h <- slow_hessian(d, at, psi)
    at <- at - solve(h, gradient(at))
  }
  b <- at[n + 1]
  se <- sqrt(solve(slow_hessian(d, at, psi))[n + 1, n + 1])
  q <- 2 * objective(at)
  c(
    b = b, se = se, pval = 2 * stats::pnorm(-abs(b / se)), Q = q, Q_df = n - 1,
    Q_pval = stats::pchisq(q, n - 1, lower.tail = FALSE), sigma = sqrt(q / (n - 1))
  )
}

slow_hessian <- function(d, par, psi) {
  n <- nrow(d)
  xi <- par[1:n]
  b <- par[n + 1]
  k <- 1 - psi^2
  h <- matrix(0, n + 1, n + 1)
  diag(h)[1:n] <- (1 / d$sx^2 - 2 * psi * b / (d$sx * d$sy) + b^2 / d$sy^2) / k
  h[n + 1, n + 1] <- sum(xi^2 / d$sy^2) / k
  y <- d$by - b * xi
  mixed <- (psi * ((d$bx - xi) - xi) / (d$sx * d$sy) - (y - b * xi) / d$sy^2) / k
  h[n + 1, 1:n] <- h[1:n, n + 1] <- mixed
  h
}

# mr.raps 0.2's estimating equations, alternating between tau2 and b, each solved by uniroot().
slow_raps <- function(d, over_dispersion = TRUE, loss = "huber") {
  psi <- switch(loss,
    l2 = function(t) t,
    huber = function(t) pmax(-1.345, pmin(1.345, t)),
    tukey = function(t) t * (1 - (t / 4.685)^2)^2 * (abs(t) <= 4.685)
  )
  psi1 <- switch(loss,
    l2 = function(t) rep(1, length(t)),
    huber = function(t) as.numeric(abs(t) <= 1.345),
    tukey = function(t) (1 - (t / 4.685)^2) * (1 - 5 * (t / 4.685)^2) * (abs(t) <= 4.685)
  )
  k <- switch(loss, l2 = 40, huber = 1.345, tukey = 4.685)
  mean_of <- function(f) { # in pieces, as psi has corners
    cuts <- sort(unique(pmax(-40, pmin(40, c(-40, -k, 0, k, 40)))))
    parts <- Map(function(from, to) {
      stats::integrate(function(z) f(z) * stats::dnorm(z), from, to, rel.tol = 1e-12)$value
    }, utils::head(cuts, -1), cuts[-1])
    sum(unlist(parts))
  }
  delta <- mean_of(function(z) z * psi(z))
  c1 <- mean_of(function(z) psi(z)^2)
  c2 <- mean_of(function(z) z^2 * psi(z)^2) - delta^2
  c3 <- mean_of(function(z) z^2 * psi1(z))
  v <- function(b, tau2) d$sy^2 + tau2 + b^2 * d$sx^2
  score <- function(b, tau2, f = psi) {
    r <- d$by - b * d$bx
    sum(f(r / sqrt(v(b, tau2))) * (d$bx + r * b * d$sx^2 / v(b, tau2)) / sqrt(v(b, tau2)))
  }
  tau_equation <- function(tau2, b, f = psi, at = delta) {
    t <- (d$by - b * d$bx) / sqrt(v(b, tau2))
    sum(d$sx^2 * (t * f(t) - at) / v(b, tau2))
  }
  root <- function(f, range) stats::uniroot(f, range, tol = 1e-14)$root
  # The maximum near a start: where the score falls through zero.
  climb <- function(b, tau2, f = psi) {
    step <- 0.01
    while (score(b - step, tau2, f) < 0 || score(b + step, tau2, f) > 0) step <- step * 1.5
    root(function(at) score(at, tau2, f), b + c(-step, step))
  }
  alternate <- function(b, tau2, f, at) {
    for (i in 1:300) {
      tau2 <- if (tau_equation(0, b, f, at) > 0) {
        root(function(t) tau_equation(t, b, f, at), c(0, 10 * max(d$sy^2)))
      } else {
        0
      }
      b <- climb(b, tau2, f)
    }
    c(b, tau2)
  }
  grid <- seq(-3, 6, length.out = 2001)
  squares <- function(b) sum((d$by - b * d$bx)^2 / v(b, 0))
  start <- grid[which.min(vapply(grid, squares, 0))]
  at <- c(start, 0)
  if (over_dispersion) {
    at <- alternate(climb(start, 0, identity), 0, identity, 1)
    at <- alternate(at[1], at[2], psi, delta)
  } else {
    at[1] <- climb(climb(start, 0, identity), 0)
  }
  b <- at[1]
  s2y <- d$sy^2 + at[2]
  a <- (d$bx^2 - d$sx^2) * s2y + (d$by^2 - s2y) * d$sx^2
  w <- 1 / (s2y + b^2 * d$sx^2)^2
  information <- matrix(c(
    -delta * sum(a * w), 0, -delta * b * sum(d$sx^2 * w), -(delta + c3) / 2 * sum(d$sx^2 * w)
  ), 2)
  spread <- diag(c(c1 * sum((a + d$sx^2 * s2y) * w), c2 * sum(d$sx^4 * w)))
  bread <- solve(information)
  se <- if (over_dispersion) {
    sqrt((bread %*% spread %*% t(bread))[1, 1])
  } else {
    sqrt(spread[1, 1]) / abs(information[1, 1])
  }
  c(
    b = b, se = se, pval = 2 * stats::pnorm(-abs(b / se)),
    tau2 = if (over_dispersion) at[2] else NA
  )
}

# MM regression of y on the columns of x as robustbase::lmrob() defines it, the S step from every
# subset of ncol(x) rows.
slow_mm <- function(x, y) {
  n <- nrow(x)
  p <- ncol(x)
  rho <- function(u) 1 - pmax(0, 1 - (u / 1.54764)^2)^3
  scale_of <- function(r) {
    f <- function(log_s) sum(rho(r / exp(log_s))) - (n - p) / 2
    exp(stats::uniroot(f, log(stats::median(abs(r)) + 1e-8) + c(-10, 10), tol = 1e-14)$root)
  }
  step <- function(b, s, k) {
    w <- pmax(0, 1 - (drop(y - x %*% b) / s / k)^2)^2
    drop(solve(crossprod(x, w * x), crossprod(x, w * y)))
  }
  search <- function(b, times) {
    for (i in seq_len(times)) b <- step(b, scale_of(drop(y - x %*% b)), 1.54764)
    b
  }
  starts <- utils::combn(n, p, simplify = FALSE, FUN = function(rows) {
    b <- tryCatch(solve(x[rows, , drop = FALSE], y[rows]), error = function(e) NULL)
    if (is.null(b)) NULL else tryCatch(search(b, 2), error = function(e) NULL)
  })
  starts <- Filter(Negate(is.null), starts)
  scales <- vapply(starts, function(b) scale_of(drop(y - x %*% b)), 0)
  best <- lapply(starts[utils::head(order(scales), 5)], search, times = 200)
  scales <- vapply(best, function(b) scale_of(drop(y - x %*% b)), 0)
  b0 <- best[[which.min(scales)]]
  s <- min(scales)
  b <- b0
  for (i in 1:500) b <- step(b, s, 4.685061)
  u <- drop(y - x %*% b) / s
  u0 <- drop(y - x %*% b0) / s
  t <- (u / 4.685061)^2
  psi <- u * pmax(0, 1 - t)^2
  slope <- pmax(0, 1 - t) * (1 - 5 * t)
  chi <- rho(u0)
  chi_slope <- 6 * u0 / 1.54764^2 * pmax(0, 1 - (u0 / 1.54764)^2)^2
  bread <- s * solve(crossprod(x, slope * x))
  a <- bread %*% crossprod(x, slope * u) / mean(chi_slope * u0)
  cross <- crossprod(x, psi * chi)
  v <- n * bread %*% crossprod(x, psi^2 * x) %*% bread - a %*% t(cross) %*% bread -
    bread %*% cross %*% t(a) + mean(chi^2 - 0.25) * tcrossprod(a)
  list(coef = drop(b), se = sqrt(pmax(0, diag(v / n))), scale = s)
}

slow_robust <- function(d, intercept = TRUE, weights = 1 / d$sy^2) {
  d <- slow_turn(d)
  x <- if (intercept) cbind(1, d$bx) else cbind(d$bx)
  fit <- slow_mm(sqrt(weights) * x, sqrt(weights) * d$by)
  se <- fit$se / min(1, fit$scale)
  k <- length(se)
  out <- c(
    b = fit$coef[[k]], se = se[k], pval = 2 * stats::pnorm(-abs(fit$coef[[k]] / se[k])),
    sigma = fit$scale
  )
  if (intercept) {
    out <- c(out, intercept = fit$coef[[1]], intercept_se = se[1])
  }
  out
}

slow_egger_penalised <- function(d) {
  turned <- slow_turn(d)
  r <- stats::resid(stats::lm(by ~ bx, data = turned, weights = 1 / sy^2))
  w <- pmin(1, 100 * stats::pchisq(r^2 / d$sy^2, 1, lower.tail = FALSE)) / d$sy^2
  slow_robust(d, weights = w)
}

slow_sign <- function(d) {
  d <- d[d$bx != 0 & d$by != 0, ]
  same <- sum(sign(d$bx) == sign(d$by))
  c(b = 2 * (same / nrow(d) - 0.5), pval = stats::binom.test(same, nrow(d))$p.value)
}

# The oracle of a method, by the method's name.
mr_oracle <- function(name, d) {
  first <- 1 / d$sy^2
  switch(name,
    mr_ivw_fe = slow_origin(d, first, function(se, sigma) se / sigma),
    mr_ivw = slow_origin(d, first, bounded),
    mr_ivw_mre = slow_origin(d, first, function(se, sigma) se),
    mr_ivw_delta = slow_origin(d, slow_delta_weights(d), bounded),
    mr_ivw_robust = slow_robust(d, intercept = FALSE),
    mr_ivw_penalised = slow_origin(d, slow_penalised_weights(d), bounded)[c("b", "se", "pval")],
    mr_egger_regression = slow_egger(d),
    mr_egger_robust = slow_robust(d),
    mr_egger_robust_penalised = slow_egger_penalised(d),
    mr_raps = slow_raps(d),
    mr_two_sample_ml = slow_likelihood(d),
    mr_two_sample_ml_mre = {
      at <- slow_likelihood(d)
      at["se"] <- at["se"] * max(1, at["sigma"])
      at["pval"] <- 2 * stats::pnorm(-abs(at["b"] / at["se"]))
      at
    },
    mr_divw = slow_divw(d),
    mr_pivw = slow_pivw(d),
    mr_sign = slow_sign(d),
    mr_uwr = slow_origin(d, rep(1, nrow(d)), bounded)
  )
}

# Every element within `tolerance` of theirs, relative to its own size.
expect_relative <- function(ours, theirs, tolerance, label) {
  gap <- max(ifelse(ours == theirs, 0, abs(ours - theirs) / abs(theirs)))
  testthat::expect(
    isTRUE(gap < tolerance), sprintf("%s: relative difference %.3g, not below %.3g", label, gap,
      tolerance)
  )
}
