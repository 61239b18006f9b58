# Slow oracles of deep_mr(): one definition a function, loops over sequences and pairs.

# x, y (n) effects of one sequence's instruments; mx, my (n, members).
oracle_deep_slope <- function(x, y, mx, my) {
  b <- sum(x * y) / sum(x^2)
  shift <- vapply(seq_len(ncol(mx)), function(k) {
    dx <- mx[, k] - x
    dy <- my[, k] - y
    sum(x * (dy - b * dx) + dx * (y - b * x)) / sum(x^2)
  }, 0)
  list(slope = b, sd = stats::sd(shift), ratio = mean(y / x), shift = shift)
}

# The covariance of one measurement at level `at` (2).
oracle_deep_noise <- function(at, level, e, nearest) {
  spread <- apply(level, 2, stats::sd)
  distance <- ((level[, 1] - at[1]) / spread[1])^2 + ((level[, 2] - at[2]) / spread[2])^2
  near <- e[order(distance)[seq_len(nearest)], ]
  limit <- 4 * 1.4826 * apply(abs(near), 2, stats::median)
  near <- near[abs(near[, 1]) <= limit[1] & abs(near[, 2]) <= limit[2], ]
  crossprod(near) / (2 * nrow(near))
}

oracle_deep_grid <- function(unit) {
  unit * c(1e-4, exp(seq(log(0.003), log(3), length.out = 70)))
}

# The posterior on the grid: weights, means and variances of d.
oracle_deep_law <- function(z, v0, h, unit, df = 0, psi0 = 0) {
  t <- oracle_deep_grid(unit)
  each <- vapply(t, function(t) {
    w <- 1 / (v0 + t^2 * h)
    d <- sum(w * z) / sum(w)
    # The likelihood of z with d integrated out over a flat prior.
    log_likelihood <- sum(stats::dnorm(z, d, 1 / sqrt(w), log = TRUE)) - log(sum(w)) / 2 +
      if (df > 0) stats::dgamma(1 / t^2, df / 2, df * psi0 / 2, log = TRUE) - 2 * log(t) else 0
    c(d, 1 / sum(w), log_likelihood)
  }, numeric(3))
  weight <- exp(each[3, ] - max(each[3, ]))
  weight <- weight / sum(weight)
  centre <- sum(weight * each[1, ])
  list(t = t, weight = weight, d = each[1, ], v = each[2, ], centre = centre,
    variance = sum(weight * (each[2, ] + (each[1, ] - centre)^2)))
}

oracle_deep_reach <- function(law, h, level) {
  mass <- function(c) {
    sd <- sqrt(law$t^2 * h + law$v)
    sum(law$weight * (stats::pnorm(law$centre + c, law$d, sd) -
      stats::pnorm(law$centre - c, law$d, sd)))
  }
  stats::uniroot(function(c) mass(c) - level, c(0, 1000 * sqrt(law$variance + max(law$t)^2 * h)),
    tol = 1e-13)$root
}

# Shifts and half-widths of the interval "pairs": errors z regressed on the columns of x by the
# normal equations at each size of error, half of the members' typical variance known beforehand.
oracle_deep_by_level <- function(z, v0, x, new, unit, df, psi0, level) {
  t <- oracle_deep_grid(unit)
  prior <- diag(c(0, rep(1 / (3 * unit)^2, ncol(x) - 1)), ncol(x))
  each <- lapply(t, function(t) {
    total <- diag(v0 + t^2)
    cov <- solve(t(x) %*% solve(total) %*% x + prior)
    d <- cov %*% t(x) %*% solve(total, z)
    # log p(z | t): that of z at d, over the posterior's density there.
    log_weight <- sum(stats::dnorm(z, x %*% d, sqrt(v0 + t^2), log = TRUE)) -
      drop(t(d) %*% prior %*% d) / 2 + log(det(cov)) / 2 - df / 2 * (2 * log(t) + psi0 / t^2)
    list(d = d, cov = cov, log_weight = log_weight)
  })
  log_weight <- vapply(each, `[[`, 0, "log_weight")
  weight <- exp(log_weight - max(log_weight))
  weight <- weight / sum(weight)
  rows <- apply(new, 1, function(w) {
    mean <- vapply(each, function(one) sum(w * one$d), 0)
    sd <- sqrt(t^2 + vapply(each, function(one) drop(t(w) %*% one$cov %*% w), 0))
    centre <- sum(weight * mean)
    mass <- function(c) {
      sum(weight * (stats::pnorm(centre + c, mean, sd) - stats::pnorm(centre - c, mean, sd)))
    }
    c(centre, stats::uniroot(function(c) mass(c) - level, c(0, 100 * max(sd)), tol = 1e-13)$root)
  })
  list(delta = unname(rows[1, ]), reach = unname(rows[2, ]))
}

# Half-widths and shift by pairs that calibrate (wide: f, g, dx, dy, n, n_mutant, and the noise at
# both, lists of matrices), of sequences with slopes and members' SDs, both named by id.
oracle_deep_calibrated <- function(pairs, noise, noise_mutant, slope, sd, n_members, interval,
                                   level, x = NULL) {
  groups <- if (startsWith(interval, "designed")) {
    split(seq_len(nrow(pairs)), factor(pairs$sequence, unique(pairs$sequence)))
  } else {
    as.list(seq_len(nrow(pairs)))
  }
  parts <- lapply(groups, function(i) {
    p <- pairs[i, ]
    b <- if (startsWith(interval, "designed")) slope[[p$sequence[1]]] else p$g / p$f
    v <- c(-b, 1)
    noise_u <- sum(vapply(seq_along(i), function(j) {
      p$f[j]^2 * drop(v %*% noise_mutant[[i[j]]] %*% v) / p$n_mutant[j]
    }, 0)) + sum(p$f)^2 * drop(v %*% noise[[i[1]]] %*% v) / p$n[1]
    c(b = b, u = sum(p$f * (p$dy - b * p$dx)), a = sum(p$f * p$dx), ff = sum(p$f^2), v = noise_u)
  })
  parts <- as.data.frame(do.call(rbind, parts))
  lambda <- sum(parts$a) / sum(parts$ff)
  delta <- sum(parts$u) / sum(parts$a)
  se_delta <- sqrt(sum((parts$u - delta * parts$a)^2)) / abs(sum(parts$a))
  sd_pairs <- sd[vapply(groups, function(i) pairs$sequence[i[1]], "")]
  s0 <- exp(mean(log(sd_pairs^2)))
  h_of <- function(s) {
    if (grepl("_half|_members", interval)) {
      1 / 2 + (4 * s0 + (n_members - 1) * s^2) / (n_members + 3) / (2 * s0)
    } else {
      rep(1, length(s))
    }
  }
  unit <- max(stats::median(abs(parts$b)), 0.3)
  if (interval == "pairs") {
    n <- length(sd)
    return(oracle_deep_by_level(parts$u / (lambda * parts$ff), parts$v / (lambda * parts$ff)^2,
      if (is.null(x)) matrix(1, nrow(parts)) else x[[1]], if (is.null(x)) matrix(1, n) else x[[2]],
      unit, n_members + 3, exp(mean(log(sd^2))) / 2, level))
  }
  law <- oracle_deep_law(parts$u / (lambda * parts$ff), parts$v / (lambda * parts$ff)^2,
    h_of(sd_pairs), unit,
    df = if (endsWith(interval, "members")) n_members - 1 else 0, psi0 = s0)
  q <- stats::qnorm((1 + level) / 2)
  h <- pmin(h_of(sd), max(h_of(sd_pairs)))
  reach <- vapply(h, function(h) oracle_deep_reach(law, h, level), 0)
  list(delta = delta, reach = sqrt(pmax(reach^2 - q^2 * law$variance, 0) + q^2 * se_delta^2))
}

# Effects of n_seq sequences as mutagenize() has them, of members around a slope of each sequence's
# own.
toy_effects <- function(n_seq = 6, n_variant = 20, n_members = 4, slope = 1 + 0.2 * seq_len(n_seq),
                        error = 0.1) {
  d <- expand.grid(variant = seq_len(n_variant), sequence = seq_len(n_seq))
  x <- stats::rnorm(nrow(d), sd = 2)
  member <- function() stats::rnorm(nrow(d) * n_members, sd = error)
  mx <- x + matrix(member(), nrow(d))
  my <- slope[d$sequence] * x + matrix(member(), nrow(d))
  both <- function(a, b) matrix(rbind(as.vector(a), as.vector(b)), 2 * nrow(d))
  members <- both(mx, my)
  out <- data.frame(
    sequence = rep(paste0("s", d$sequence), each = 2),
    position = rep((d$variant - 1L) %/% 3L + 1L, each = 2), ref = "A",
    alt = rep(c("C", "G", "T")[(d$variant - 1L) %% 3L + 1L], each = 2), output = c("x", "y"),
    effect = rowMeans(members), std.error = apply(members, 1, stats::sd)
  )
  out$members <- members
  out
}

# Measured pairs of n sequences, per sequence `each` mutants with n_measured measurements of the
# reference; slopes of the model are `off` by.
toy_pairs <- function(n = 60, n_null = 120, each = 1, off = 0.1, noise = 0.5, n_measured = 1,
                      prefix = "s") {
  m <- n * each
  sequence <- rep(seq_len(n), each = each)
  f <- stats::rnorm(m, sd = 3)
  true_slope <- 1.2 + stats::rnorm(n, sd = 0.15)
  g <- (true_slope + off)[sequence] * f
  shared <- matrix(stats::rnorm(2 * n, sd = noise / sqrt(n_measured)), n)
  dx <- 0.9 * f + stats::rnorm(m, sd = noise) - shared[sequence, 1]
  dy <- 0.9 * true_slope[sequence] * f + stats::rnorm(m, sd = noise) - shared[sequence, 2]
  null <- matrix(stats::runif(2 * n_null, -0.5, 0.5), n_null)
  e <- null + stats::rnorm(2 * n_null, sd = noise * sqrt(2))
  wide <- data.frame(
    sequence = c(paste0(prefix, sequence), paste0("null", seq_len(n_null))),
    mutant = paste0("m", seq_len(m + n_null)), f = c(f, null[, 1]), g = c(g, null[, 2]),
    dx = c(dx, e[, 1]), dy = c(dy, e[, 2]), lx = stats::rnorm(m + n_null, 5),
    ly = stats::rnorm(m + n_null, 5), n = n_measured, keep = rep(c(TRUE, FALSE), c(m, n_null))
  )
  one <- function(output, effect, observed, level) {
    data.frame(sequence = wide$sequence, mutant = wide$mutant, output = output, effect = effect,
      observed = observed, level = level, n_measured = wide$n, keep = wide$keep)
  }
  rbind(one("x", wide$f, wide$dx, wide$lx), one("y", wide$g, wide$dy, wide$ly))
}
