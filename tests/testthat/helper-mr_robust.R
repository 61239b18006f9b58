# Slow, transparent oracles of the robust summary-data estimators. d: data.frame bx, sx, by, sy.

# fixtures/mr_robust_data.csv and mr_robust_recorded.csv: see data-raw/mr_robust.R.
robust_data <- function(set) {
  all <- utils::read.csv(testthat::test_path("fixtures", "mr_robust_data.csv"))
  all[all$set == set, c("bx", "sx", "by", "sy")]
}

robust_recorded <- function(set, method) {
  all <- utils::read.csv(testthat::test_path("fixtures", "mr_robust_recorded.csv"))
  rows <- all[all$set == set & all$method == method, ]
  stats::setNames(rows$value, rows$quantity)
}

slow_conmix <- function(d, sd = 0, chisq = stats::qchisq(0.95, 1)) {
  r <- d$by / d$bx
  s <- abs(d$sy / d$bx)
  if (sd == 0) sd <- 1.5 * stats::sd(r)
  each <- function(theta) {
    rbind(stats::dnorm(r, theta, s, log = TRUE), stats::dnorm(r, 0, sqrt(sd^2 + s^2), log = TRUE))
  }
  value <- function(theta) sum(apply(each(theta), 2, max))
  # Between the places where a variant changes sides it is a parabola, so a search between all
  # neighbours finds every maximum.
  reach <- s * sqrt(2 * apply(each(0)[2, , drop = FALSE] - stats::dnorm(0, 0, s, log = TRUE), 2,
    function(x) -x))
  edges <- sort(c(r - reach, r + reach))
  best <- do.call(rbind, Map(function(from, to) {
    at <- stats::optimize(value, c(from, to), maximum = TRUE, tol = 1e-12)
    c(at$maximum, at$objective)
  }, utils::head(edges, -1), edges[-1]))
  b <- best[which.max(best[, 2]), 1]
  valid <- each(b)[1, ] > each(b)[2, ]
  fit <- stats::lm(r[valid] ~ 1, weights = 1 / s[valid]^2)
  spread <- if (sum(valid) < 2) 1 else max(1, summary(fit)$sigma)^2
  b <- stats::coef(fit)[[1]]
  above <- function(theta) value(theta) - value(b) + 0.5 * chisq * spread
  # The hull on a fine grid, its ends by uniroot().
  span <- 5 * (max(edges) - min(edges))
  grid <- c(-span, sort(c(edges, seq(min(edges), max(edges), length.out = 20001))), span)
  inside <- which(vapply(grid, above, 0) > 0)
  end <- function(i, j) {
    if (j < 2 || j > length(grid) - 1) {
      return(sign(grid[j]) * Inf)
    }
    stats::uniroot(above, grid[sort(c(i, j))], tol = 1e-13)$root
  }
  p <- stats::pchisq(2 * (value(b) - value(0)) / spread, 1, lower.tail = FALSE)
  c(b = b, pval = p, ci_low = end(min(inside), min(inside) - 1),
    ci_high = end(max(inside), max(inside) + 1), n_valid = sum(valid))
}

# All subsets at once, in a matrix.
slow_hetpen <- function(d, prior = 0.5, chisq = stats::qchisq(0.95, 1)) {
  n <- nrow(d)
  sets <- as.matrix(expand.grid(rep(list(0:1), n)))
  sets <- sets[rowSums(sets) > 1, ]
  r <- d$by / d$bx
  s <- abs(d$sy / d$bx)
  size <- rowSums(sets)
  mean <- drop(sets %*% (r / s^2)) / drop(sets %*% s^-2)
  q <- rowSums(sets * (outer(mean, r, "-")^2 / rep(s^2, each = nrow(sets))))
  se <- sqrt(pmax(1, q / (size - 1)) / drop(sets %*% s^-2))
  weight <- exp(-drop(sets %*% log(s)) - q / 2) * prior^size * (1 - prior)^(n - size)
  density <- function(x) sum(weight * stats::dnorm(x, mean, se))
  grid <- seq(min(mean - 4 * se), max(mean + 4 * se), length.out = 4001)
  height <- vapply(grid, density, 0)
  top <- which.max(height)
  b <- stats::optimize(function(x) log(density(x)), grid[top + c(-1, 1)], maximum = TRUE,
    tol = 1e-12)$maximum
  above <- function(x) log(density(x)) - log(density(b)) + chisq / 2
  inside <- which(log(height) > log(density(b)) - chisq / 2)
  end <- function(i, j) stats::uniroot(above, grid[sort(c(i, j))], tol = 1e-13)$root
  p <- stats::pchisq(2 * log(density(b) / density(0)), 1, lower.tail = FALSE)
  c(b = b, pval = p, ci_low = end(min(inside), min(inside) - 1),
    ci_high = end(max(inside), max(inside) + 1))
}

# One climb of MR-cML from zero.
slow_cml_k <- function(d, k, maxit = 100) {
  theta <- 0
  gamma <- rep(0, nrow(d))
  for (i in seq_len(maxit)) {
    r <- d$by - theta * gamma
    bad <- rank(-(r / d$sy)^2, ties.method = "first") <= k
    y <- ifelse(bad, theta * gamma, d$by)
    gamma <- (d$bx / d$sx^2 + theta * y / d$sy^2) / (1 / d$sx^2 + theta^2 / d$sy^2)
    before <- theta
    theta <- stats::coef(stats::lm(y ~ gamma - 1, weights = 1 / d$sy^2))[[1]]
    if (abs(theta - before) <= 1e-7) break
  }
  good <- d[!bad, ]
  gamma <- gamma[!bad]
  loss <- sum((good$bx - gamma)^2 / good$sx^2 + (good$by - theta * gamma)^2 / good$sy^2) / 2
  # Curvature in theta less what the exposure effects take of it.
  mixed <- (2 * theta * gamma - good$by) / good$sy^2
  information <- sum(gamma^2 / good$sy^2) -
    sum(mixed^2 / (1 / good$sx^2 + theta^2 / good$sy^2))
  c(theta = theta, var = if (information > 0) 1 / information else NA, loss = loss)
}

slow_cml_path <- function(d, ks = 0:(nrow(d) - 2)) {
  vapply(ks, function(k) slow_cml_k(d, k), c(theta = 0, var = 0, loss = 0))
}

slow_cml_conclude <- function(path, ks, n, average) {
  bic <- log(n) * ks + 2 * path["loss", ]
  if (!average) {
    best <- which.min(bic)
    return(c(b = path[["theta", best]], se = sqrt(path[["var", best]])))
  }
  w <- exp(-(bic - min(bic)) / 2)
  w <- w / sum(w)
  b <- sum(w * path["theta", ])
  c(b = b, se = sum(w * sqrt(path["var", ] + (path["theta", ] - b)^2), na.rm = TRUE))
}

# From the core's own normals, n for the exposure, then n for the outcome.
slow_cml_dp <- function(d, n, n_pert, normals, average) {
  ks <- 0:(nrow(d) - 2)
  i <- seq_len(nrow(d))
  drawn <- lapply(seq_len(n_pert), function(b) {
    z <- normals(b, 2 * nrow(d))
    slow_cml_path(transform(d, bx = bx + sx * z[i], by = by + sy * z[-i]))
  })
  theta <- vapply(drawn, function(p) p["theta", ], numeric(length(ks)))
  loss <- vapply(drawn, function(p) p["loss", ], numeric(length(ks)))
  path <- rbind(theta = rowMeans(theta), var = apply(theta, 1, stats::var), loss = rowMeans(loss))
  slow_cml_conclude(path, ks, n, average)
}

# The projection and the choice of the penalty, with glmnet near convergence.
slow_lasso <- function(d) {
  x <- abs(d$bx) / d$sy
  y <- ifelse(d$bx < 0, -d$by, d$by) / d$sy
  project <- diag(nrow(d)) - tcrossprod(x) / sum(x^2)
  fit <- glmnet::glmnet(project %*% diag(1 / d$sy), project %*% y, intercept = FALSE,
    thresh = 1e-16, maxit = 1e7)
  beta <- as.matrix(fit$beta)
  # From the smallest penalty up.
  valid <- rev(lapply(seq_len(ncol(beta)), function(k) which(beta[, k] == 0)))
  sigma <- vapply(valid, function(v) {
    sqrt(sum(stats::lm.fit(cbind(x[v]), y[v])$residuals^2) / (length(v) - 1))
  }, 0)
  size <- lengths(valid)
  jump <- which(sigma[-1] > 1 & diff(sigma) > stats::qchisq(0.95, 1) / size[-1])
  at <- max(if (length(jump)) jump[1] else length(size), min(which(size > 1)))
  v <- valid[[at]]
  post <- summary(stats::lm(y[v] ~ x[v] - 1))
  c(b = post$coefficients[1, 1], se = post$coefficients[1, 2] / min(1, post$sigma),
    n_valid = length(v), lambda = rev(fit$lambda)[at])
}

slow_grip <- function(d) {
  fit <- summary(stats::lm(I(bx * by) ~ I(bx^2), d, weights = 1 / (bx * sy)^2))
  at <- fit$coefficients
  c(b = at[2, 1], se = at[2, 2], pval = at[2, 4], intercept = at[1, 1], intercept_se = at[1, 2],
    intercept_pval = at[1, 4], sigma = fit$sigma)
}

# Unbiased normal equations, E[bx^2] = gamma^2 + sx^2 and so on.
slow_grip_adjusted <- function(d) {
  w <- 1 / d$sy^2
  simple <- slow_grip(d)
  x2 <- d$bx^2 - d$sx^2
  x3y <- d$bx * d$by * (d$bx^2 - 3 * d$sx^2)
  x4 <- d$bx^4 - 6 * d$bx^2 * d$sx^2 + 3 * d$sx^4
  bottom <- sum(w) * sum(w * x4) - sum(w * x2)^2
  b <- (sum(w) * sum(w * x3y) - sum(w * d$bx * d$by) * sum(w * x2)) / bottom
  residual <- d$by - (simple[["b"]] * d$bx^2 + simple[["intercept"]]) / d$bx
  v <- mean(residual^2) * d$bx^2
  top <- sum(w)^2 * sum(w^2 * v * (d$bx^2 - 3 * d$sx^2)^2) + sum(w^2 * v) * sum(w * x2)^2 -
    2 * sum(w) * sum(w * x2) * sum(w^2 * x2 * v)
  se <- sqrt(top) / bottom
  c(b = b, se = se, pval = 2 * stats::pt(-abs(b / se), nrow(d) - 2))
}

# weights as RadialMR's: 1, 2, 3.
slow_radial <- function(d, weights, egger = FALSE) {
  ratio <- d$by / d$bx
  fit <- function(variance) {
    root <- 1 / sqrt(variance)
    y <- ratio * root
    if (egger) stats::lm(y ~ root) else stats::lm(y ~ root - 1)
  }
  slope <- function(m) utils::tail(stats::coef(m), 1)
  first <- d$sy^2 / d$bx^2
  m <- fit(if (weights == 2) first + d$by^2 * d$sx^2 / d$bx^4 else first)
  if (weights == 3) m <- fit(first + slope(m)^2 * d$sx^2 / d$bx^2)
  table <- summary(m)$coefficients
  list(b = table[nrow(table), 1], se = table[nrow(table), 2], intercept = table[1, 1],
    intercept_se = table[1, 2], p_t = table[nrow(table), 4], part = unname(stats::resid(m)^2))
}

# lm() in every draw; normals(b, n) gives draw b's, n for each amount of noise.
slow_simex <- function(d, n_boot, normals) {
  d <- slow_turn(d)
  lambda <- c(0.5, 1, 1.5, 2)
  n <- nrow(d)
  fit <- function(x) {
    m <- stats::lm(d$by ~ x, weights = 1 / d$sy^2)
    c(stats::coef(m), diag(stats::vcov(m)))
  }
  drawn <- lapply(seq_len(n_boot), function(b) {
    z <- matrix(normals(b, 4 * n), n)
    vapply(1:4, function(l) fit(d$bx + sqrt(lambda[l]) * d$sx * z[, l]), numeric(4))
  })
  at <- vapply(1:4, function(l) {
    here <- vapply(drawn, function(x) x[, l], numeric(4))
    spread <- apply(here[1:2, ], 1, stats::var)
    c(rowMeans(here[1:2, ]), rowMeans(here[3:4, ]) - spread)
  }, numeric(4))
  at <- cbind(fit(d$bx), at)
  end <- apply(at, 1, function(y) {
    x <- c(0, lambda)
    stats::predict(stats::lm(y ~ x + I(x^2)), data.frame(x = -1))
  })
  c(b = end[[2]], se = sqrt(end[[4]]), intercept = end[[1]], intercept_se = sqrt(end[[3]]))
}

# MR-PRESSO with lm() for each variant left out; normals(b, n) as above; sets(b, n): the n places
# that draw b of the distortion test takes among the variants that are no outliers.
slow_presso <- function(d, n_draws, normals, sets, threshold = 0.05) {
  d <- slow_turn(d)
  n <- nrow(d)
  left_out <- function(x, y) {
    vapply(seq_len(n), function(i) {
      stats::lm.wfit(cbind(x[-i]), y[-i], 1 / d$sy[-i]^2)$coefficients[[1]]
    }, 0)
  }
  rss <- function(x, y) sum(((y - left_out(x, y) * x) / d$sy)^2)
  slope <- left_out(d$bx, d$by)
  own <- (d$by - slope * d$bx)^2
  drawn <- lapply(seq_len(n_draws), function(b) {
    z <- normals(b, 2 * n)
    x <- d$bx + d$sx * z[seq_len(n)]
    y <- slope * d$bx + d$sy * z[-seq_len(n)]
    list(total = rss(x, y), own = (y - slope * x)^2)
  })
  p <- mean(vapply(drawn, `[[`, 0, "total") > rss(d$bx, d$by))
  p_own <- pmin(1, n * rowMeans(vapply(drawn, function(x) x$own > own, logical(n))))
  out <- which(p_own <= threshold)
  fit <- function(rows) {
    m <- summary(stats::lm(by ~ bx - 1, d[rows, ], weights = 1 / sy^2))
    m$coefficients[1, ]
  }
  corrected <- fit(setdiff(seq_len(n), out))
  all <- fit(seq_len(n))
  rest <- setdiff(seq_len(n), out)
  moved <- vapply(seq_len(n_draws), function(b) {
    k <- n - length(out)
    rows <- utils::head(c(out, rest[sets(b, max(0, k - length(out)), k)]), k)
    at <- fit(rows)[[1]]
    (all[[1]] - at) / abs(at)
  }, 0)
  distortion <- (all[[1]] - corrected[[1]]) / abs(corrected[[1]])
  list(rss = rss(d$bx, d$by), p = p, own = own, p_own = p_own, outliers = out, raw = all,
    corrected = corrected, distortion = 100 * distortion,
    p_distortion = mean(abs(moved) > abs(distortion)))
}
