# Slow, transparent oracles of the LASSO: everything from the data, one formula a function.
#
# x (n) exposure; z (n, L) instruments; u (n, q) unpenalised columns, the constant among them;
# v (n) weights, which are normalised to sum 1 here.

lasso_case <- function(n = 300, n_z = 20, n_w = 2, seed = 1) {
  withr::with_seed(seed, {
    z <- matrix(as.double(stats::rbinom(n * n_z, 2, 0.3)), n)
    z[, 2] <- z[, 1] + stats::rnorm(n) # some that go together
    w <- matrix(stats::rnorm(n * n_w), n)
    x <- drop(z %*% stats::rnorm(n_z, 0, 0.2)) + rowSums(w) + stats::rnorm(n)
    list(x = x, z = z, w = if (n_w) w, v = stats::runif(n))
  })
}

oracle_sd <- function(z, v = rep(1, nrow(z))) {
  v <- v / sum(v)
  sqrt(colSums(v * sweep(z, 2, colSums(v * z))^2))
}

# Residuals of the columns of a after regression on u.
oracle_partial <- function(a, u, v) {
  if (is.null(u)) a else sqrt(v) * a - qr.fitted(qr(sqrt(v) * u), sqrt(v) * a)
}

# Plain cyclic coordinate descent on residuals, until no coefficient moves the fit any more.
oracle_lasso <- function(x, z, lambda, u = cbind(rep(1, length(x))), v = rep(1, length(x)),
                         sd = oracle_sd(z, v), sweeps = 1e5) {
  v <- v / sum(v)
  r <- drop(oracle_partial(cbind(x), u, v))
  z_left <- oracle_partial(z, u, v)
  square <- colSums(z_left^2)
  b <- numeric(ncol(z))
  vapply(lambda, function(l) {
    for (sweep in seq_len(sweeps)) {
      largest <- 0
      for (j in which(square > 1e-20)) {
        g <- sum(z_left[, j] * r) + square[j] * b[j]
        new <- sign(g) * max(abs(g) - l * sd[j], 0) / square[j]
        r <<- r - z_left[, j] * (new - b[j])
        largest <- max(largest, abs(new - b[j]) * sqrt(square[j]))
        b[j] <<- new
      }
      if (largest < 1e-14 * sqrt(sum(r^2))) {
        break
      }
    }
    b
  }, b)
}

# Coefficients of u given those of z.
oracle_unpenalised <- function(x, z, b, u, v) {
  qr.coef(qr(sqrt(v) * u), sqrt(v) * (x - z %*% b))
}

# How far the coefficients of a fit are from optimal at each penalty, from the data, relative to the
# largest penalty of the path that the data imply.
oracle_kkt <- function(fit, x, z, w = NULL, v = rep(1, length(x)), intercept = TRUE) {
  v <- v / sum(v)
  sd <- oracle_sd(z, v)
  u <- cbind(if (intercept) rep(1, length(x)), w)
  a <- fit$unpenalised[if (intercept) TRUE else -1L, , drop = FALSE]
  r <- x - z %*% fit$beta - if (is.null(u)) 0 else u %*% a
  g <- crossprod(z, v * r) / ifelse(sd > 1e-9, sd, Inf)
  l <- matrix(fit$lambda, nrow(fit$beta), ncol(fit$beta), byrow = TRUE)
  off <- ifelse(fit$beta != 0, abs(g - l * sign(fit$beta)), pmax(abs(g) - l, 0))
  scale <- sqrt(sum(v * x^2))
  free <- if (!is.null(u)) abs(crossprod(u, v * r)) / sqrt(colSums(v * u^2)) / scale
  start <- oracle_partial(cbind(x), u, v)
  lambda_max <- max(abs(crossprod(oracle_partial(z, u, v), start)) / ifelse(sd > 1e-9, sd, Inf))
  max(off / lambda_max, free)
}

# Held-out squared errors, a row per fold: fit outside, predict inside.
oracle_cv <- function(x, z, lambda, fold, w = NULL, v = rep(1, length(x)), sd = NULL) {
  u <- cbind(rep(1, length(x)), w)
  t(vapply(seq_len(max(fold)), function(k) {
    o <- fold != k
    scale <- if (is.null(sd)) oracle_sd(z[o, ], v[o]) else sd
    b <- oracle_lasso(x[o], z[o, ], lambda, u[o, , drop = FALSE], v[o], scale)
    a <- oracle_unpenalised(x[o], z[o, ], b, u[o, , drop = FALSE], v[o])
    r <- x[!o] - z[!o, ] %*% b - u[!o, , drop = FALSE] %*% a
    colSums(v[!o] * r^2) / sum(v[!o])
  }, lambda))
}
