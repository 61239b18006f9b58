# Slow, transparent oracles of multivariable MR: lm(), solve(), optim(), loops over variants.
# d: what mv_data() makes.

# The three lipids and coronary disease, as mv_data() makes them.
mv_lipids <- function(...) {
  names <- c("LDL", "HDL", "triglycerides")
  each <- lapply(names, function(name) lipid_chd[lipid_chd$exposure == name, ])
  column <- function(name) vapply(each, `[[`, numeric(28), name)
  mv_data(column("beta.exposure"), column("se.exposure"), each[[1]]$beta.outcome,
    each[[1]]$se.outcome, exposure = names, outcome = "CHD", ...)
}

mv_recorded <- function() {
  utils::read.csv(testthat::test_path("fixtures", "mv_recorded.csv"))
}

# n variants on k exposures whose effects go together, some variants with direct effects.
mv_simulate <- function(n, k, seed, invalid = 0.2, theta = seq(0.4, by = -0.3, length.out = k),
                        strength = 0.06, ...) {
  withr::with_seed(seed, {
    true <- matrix(stats::rnorm(n * k, 0, strength), n) + stats::rnorm(n, 0, strength / 2)
    sx <- matrix(stats::runif(n * k, 0.006, 0.014), n)
    sy <- stats::runif(n, 0.01, 0.03)
    direct <- stats::rbinom(n, 1, invalid) * stats::rnorm(n, 0.02, 0.08)
    mv_data(true + sx * stats::rnorm(n * k), sx, drop(true %*% theta) + direct +
      sy * stats::rnorm(n), sy, ...)
  })
}

# Rows of one method's result as a list of numbers.
mv_fit <- function(d, method, ..., seed = 1) {
  out <- mv_estimate(d, method, ..., seed = seed)
  list(b = out$b, se = out$se, pval = out$pval, one = as.list(out[1, ]), out = out)
}

# Covariance of each variant's k + 1 estimates.
slow_mv_covariances <- function(d, cor = diag(ncol(d$exposure_beta) + 1)) {
  lapply(seq_along(d$outcome_se), function(i) {
    se <- c(d$exposure_se[i, ], d$outcome_se[i])
    cor * outer(se, se)
  })
}

slow_mv_ivw <- function(d, factor = function(sigma) max(1, sigma)) {
  fit <- summary(stats::lm(d$outcome_beta ~ d$exposure_beta - 1, weights = 1 / d$outcome_se^2))
  b <- unname(fit$coefficients[, 1])
  se <- unname(fit$coefficients[, 2]) / fit$sigma * factor(fit$sigma)
  list(b = b, se = se, pval = 2 * stats::pnorm(-abs(b / se)), sigma = fit$sigma,
    Q = fit$sigma^2 * fit$df[2])
}

slow_mv_egger <- function(d, j = 1) {
  side <- ifelse(d$exposure_beta[, j] < 0, -1, 1)
  y <- d$outcome_beta * side
  x <- d$exposure_beta * side
  fit <- summary(stats::lm(y ~ x, weights = 1 / d$outcome_se^2))
  se <- unname(fit$coefficients[, 2]) / min(1, fit$sigma)
  list(b = unname(fit$coefficients[-1, 1]), se = se[-1], intercept = fit$coefficients[1, 1],
    intercept_se = se[1])
}

# Generalised least squares by the inverse of the whole covariance.
slow_mv_gls <- function(d, ld, extra = NULL) {
  omega <- solve(ld * outer(d$outcome_se, d$outcome_se))
  x <- cbind(d$exposure_beta, extra)
  v <- solve(t(x) %*% omega %*% x)
  b <- drop(v %*% t(x) %*% omega %*% d$outcome_beta)
  left <- d$outcome_beta - drop(x %*% b)
  sigma <- sqrt(drop(t(left) %*% omega %*% left) / (nrow(x) - ncol(x)))
  list(b = unname(b), se = unname(sqrt(diag(v))) * max(1, sigma), sigma = sigma)
}

# Least absolute deviations: the best of all lines through as many variants as exposures.
slow_mv_median <- function(d) {
  x <- d$exposure_beta
  w <- 1 / d$outcome_se^2
  best <- Inf
  for (rows in utils::combn(nrow(x), ncol(x), simplify = FALSE)) {
    b <- solve(x[rows, , drop = FALSE], d$outcome_beta[rows])
    value <- sum(w * abs(d$outcome_beta - drop(x %*% b)))
    if (value < best) {
      best <- value
      at <- b
    }
  }
  list(b = unname(at), value = best)
}

# The LASSO's direct effects at one penalty: coordinate descent on the n x n design, scaled as
# glmnet scales without an intercept, till nothing moves.
slow_mv_lasso_valid <- function(d, lambda, j = 1) {
  side <- ifelse(d$exposure_beta[, j] < 0, -1, 1)
  n <- length(side)
  b <- d$exposure_beta * side / d$outcome_se
  off <- diag(n) - b %*% solve(crossprod(b), t(b))
  x <- off %*% diag(1 / d$outcome_se)
  y <- drop(off %*% (d$outcome_beta * side / d$outcome_se))
  scale <- sqrt(colMeans(x^2) - colMeans(x)^2)
  a <- numeric(n)
  left <- y
  for (i in 1:20000) {
    before <- a
    for (l in seq_len(n)) {
      slope <- sum(x[, l] * left) / n + a[l] * mean(x[, l]^2)
      new <- sign(slope) * max(0, abs(slope) - lambda * scale[l]) / mean(x[, l]^2)
      left <- left - x[, l] * (new - a[l])
      a[l] <- new
    }
    if (max(abs(a - before)) < 1e-14) break
  }
  a == 0
}

slow_q_terms <- function(theta, d, cov, tau2 = 0) {
  c <- c(theta, -1)
  z <- cbind(d$exposure_beta, d$outcome_beta)
  vapply(seq_len(nrow(z)), function(i) {
    sum(z[i, ] * c)^2 / (drop(c %*% cov[[i]] %*% c) + tau2)
  }, 0)
}
slow_q <- function(...) sum(slow_q_terms(...))

# Least Q by a search without derivatives but numerical ones, polished by Newton on them.
slow_q_least <- function(d, cov, tau2 = 0, rows = seq_along(cov)) {
  f <- function(theta) sum(slow_q_terms(theta, d, cov, tau2)[rows])
  start <- slow_mv_ivw(d)$b
  scale <- pmax(abs(start), 0.1)
  fit <- stats::optim(start, f, method = "BFGS",
    control = list(reltol = 1e-15, maxit = 1000, parscale = scale,
      ndeps = rep(1e-5, length(start))))
  at <- fit$par
  for (i in 1:4) {
    at <- at - solve(slow_hessian_of(f, at), slow_gradient_of(f, at))
  }
  list(b = at, value = f(at))
}

# Central differences with one step of Richardson's extrapolation: error of order h^4.
slow_gradient_of <- function(f, at, h = 2e-3) {
  once <- function(h) {
    vapply(seq_along(at), function(j) {
      e <- h * (seq_along(at) == j)
      (f(at + e) - f(at - e)) / (2 * h)
    }, 0)
  }
  (4 * once(h / 2) - once(h)) / 3
}
slow_hessian_of <- function(f, at, h = 4e-3) {
  once <- function(h) {
    k <- length(at)
    out <- matrix(0, k, k)
    for (i in seq_len(k)) {
      for (j in seq_len(k)) {
        a <- h * (seq_len(k) == i)
        b <- h * (seq_len(k) == j)
        out[i, j] <- (f(at + a + b) - f(at + a - b) - f(at - a + b) + f(at - a - b)) / (4 * h^2)
      }
    }
    out
  }
  (4 * once(h / 2) - once(h)) / 3
}

# Sandwich of half of Q: its numerical Hessian about the crossproduct of the slopes of the
# standardised residuals.
slow_q_sandwich <- function(theta, d, cov, tau2 = 0) {
  half <- function(at) slow_q(at, d, cov, tau2) / 2
  c <- cbind(d$exposure_beta, d$outcome_beta)
  standardised <- function(at, i) {
    c_at <- c(at, -1)
    sum(c[i, ] * c_at) / sqrt(drop(c_at %*% cov[[i]] %*% c_at) + tau2)
  }
  slopes <- vapply(seq_len(nrow(c)), function(i) {
    slow_gradient_of(function(at) standardised(at, i), theta)
  }, theta)
  bread <- solve(slow_hessian_of(half, theta))
  sqrt(diag(bread %*% tcrossprod(matrix(slopes, length(theta))) %*% bread))
}

# Constrained maximum likelihood by turns in direct effects, true effects and theta, with all
# matrices written out (Lin, Xue and Pan 2023, algorithm in their supplement).
slow_mv_cml <- function(d, cov, n_invalid, turns = 3000, small = 1e-4) {
  x <- unname(d$exposure_beta)
  y <- d$outcome_beta
  n <- nrow(x)
  k <- ncol(x)
  w <- lapply(cov, solve)
  theta <- numeric(k)
  mu <- x
  for (turn in seq_len(turns)) {
    r <- gain <- numeric(n)
    for (i in seq_len(n)) {
      e <- c(x[i, ] - mu[i, ], y[i] - sum(mu[i, ] * theta))
      r[i] <- sum(w[[i]][k + 1, ] * e) / w[[i]][k + 1, k + 1]
      free <- e - c(numeric(k), r[i])
      gain[i] <- drop(e %*% w[[i]] %*% e) - drop(free %*% w[[i]] %*% free)
    }
    r[rank(-gain) > n_invalid] <- 0
    a <- matrix(0, k, k)
    b <- numeric(k)
    for (i in seq_len(n)) {
      onto <- rbind(diag(k), theta)
      z <- c(x[i, ], y[i] - r[i])
      mu[i, ] <- solve(t(onto) %*% w[[i]] %*% onto, t(onto) %*% w[[i]] %*% z)
      a <- a + w[[i]][k + 1, k + 1] * tcrossprod(mu[i, ])
      b <- b + sum(w[[i]][k + 1, ] * (z - c(mu[i, ], 0))) * mu[i, ]
    }
    new <- drop(solve(a, b))
    moved <- sum(abs(new - theta))
    theta <- new
    if (moved <= small) break
  }
  rows <- which(r == 0)
  at <- slow_q_least(d, cov, rows = rows)
  list(b = at$b, value = at$value, valid = r == 0)
}

# Conditional F of exposure j, for a delta (NULL: unweighted least squares of its effects).
slow_conditional_f <- function(d, cov, j, delta = NULL) {
  x <- unname(d$exposure_beta)
  k <- ncol(x)
  if (is.null(delta)) {
    delta <- if (k > 1) unname(stats::coef(stats::lm(x[, j] ~ x[, -j] - 1))) else numeric()
  }
  c <- numeric(k)
  c[j] <- 1
  c[-j] <- -delta
  terms <- vapply(seq_len(nrow(x)), function(i) {
    sum(c * x[i, ])^2 / drop(c %*% cov[[i]][1:k, 1:k] %*% c)
  }, 0)
  sum(terms) / nrow(x)
}
