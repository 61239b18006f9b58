# Slow versions of the medians, the modes and the bootstraps, one draw at a time, in plain R.

# As in R up to 4.3, which the published numbers used.
slow_density_mode <- function(x, weights, bw) {
  old <- if (getRversion() >= "4.4.0") list(old.coords = TRUE)
  d <- do.call(stats::density, c(list(x, weights = weights, bw = bw), old))
  d$x[which.max(d$y)]
}

slow_weighted_median <- function(ratio, weight) {
  by <- order(ratio)
  ratio <- ratio[by]
  weight <- weight[by]
  place <- (cumsum(weight) - weight / 2) / sum(weight)
  below <- max(which(place < 0.5))
  step <- (0.5 - place[below]) / (place[below + 1] - place[below])
  ratio[below] + (ratio[below + 1] - ratio[below]) * step
}

slow_bandwidth <- function(ratio, phi) {
  max(1e-8, phi * 0.9 * min(stats::sd(ratio), stats::mad(ratio)) / length(ratio)^0.2)
}

slow_ratio_se <- function(d, nome) {
  sqrt(d$sy^2 / d$bx^2 + if (nome) 0 else d$by^2 * d$sx^2 / d$bx^4)
}

# d: list(bx, sx, by, sy). A method as list(point = function(d), draw = function(d, z)), where z are
# standard normals: for medians and Egger n for the exposure, then n for the outcome; for modes n
# for the ratios. spread: what the standard error is of the draws.
slow_boot_median <- function(kind, first_order = FALSE, penk = 20) {
  weights <- function(d) {
    if (kind == "simple") {
      return(rep(1 / length(d$bx), length(d$bx)))
    }
    w <- if (first_order) (d$bx / d$sy)^2 else 1 / slow_ratio_se(d, FALSE)^2
    if (kind == "penalised") {
      ratio <- d$by / d$bx
      away <- w * (ratio - slow_weighted_median(ratio, w))^2
      w <- w * pmin(1, penk * stats::pchisq(away, 1, lower.tail = FALSE))
    }
    w
  }
  list(
    point = function(d) slow_weighted_median(d$by / d$bx, weights(d)),
    draw = function(d, z) {
      i <- seq_along(d$bx)
      slow_weighted_median((d$by + d$sy * z[-i]) / (d$bx + d$sx * z[i]), weights(d))
    },
    n_normals = 2L, spread = stats::sd
  )
}

slow_boot_mode <- function(weighted, nome, phi = 1) {
  mode_of <- function(d, ratio) {
    w <- if (weighted) slow_ratio_se(d, nome)^-2 else rep(1, length(ratio))
    slow_density_mode(ratio, w / sum(w), slow_bandwidth(ratio, phi))
  }
  list(
    point = function(d) mode_of(d, d$by / d$bx),
    draw = function(d, z) mode_of(d, d$by / d$bx + slow_ratio_se(d, nome) * z),
    n_normals = 1L, spread = stats::mad
  )
}

# TwoSampleMR's: no weighted least squares, and the estimate is a mean of draws. The slope only.
slow_boot_egger <- function() {
  list(
    draw = function(d, z) {
      i <- seq_along(d$bx)
      x <- d$bx + d$sx * z[i]
      wy <- (d$by + d$sy * z[-i]) * sign(x) / d$sy^2
      wx <- abs(x) / d$sy^2
      stats::cov(wx, wy) / stats::var(wx)
    },
    n_normals = 2L, spread = stats::sd
  )
}

slow_boot_methods <- function(phi = 1, first_order = FALSE) {
  list(
    "Simple median" = slow_boot_median("simple"),
    "Weighted median" = slow_boot_median("weighted", first_order),
    "Penalised weighted median" = slow_boot_median("penalised", first_order),
    "Simple mode" = slow_boot_mode(FALSE, FALSE, phi),
    "Weighted mode" = slow_boot_mode(TRUE, FALSE, phi),
    "Simple mode (NOME)" = slow_boot_mode(FALSE, TRUE, phi),
    "Weighted mode (NOME)" = slow_boot_mode(TRUE, TRUE, phi),
    "MR Egger (bootstrap)" = slow_boot_egger()
  )
}

# The draws themselves; normals(b, n) gives draw b's.
slow_boot <- function(d, method, n_boot, normals) {
  n <- method$n_normals * length(d$bx)
  vapply(seq_len(n_boot), function(b) method$draw(d, normals(b, n)), 0)
}

# The very normals that the core takes for group `group` (from 0).
core_normals <- function(seed, group = 0) {
  function(b, n) {
    rng_draw("normal", n, seed = seed, stream = group * 2^24 + b - 1, purpose = "bootstrap")
  }
}

r_normals <- function(b, n) stats::rnorm(n)

# The ratios' bootstrap with the defect that a vectorised version once had: all draws in one call,
# laid out so that a variant gets the mean and standard error of others.
mutant_mode_se <- function(d, n_boot, phi = 1) {
  n <- length(d$bx)
  ratio <- d$by / d$bx
  se <- slow_ratio_se(d, FALSE)
  drawn <- matrix(stats::rnorm(n * n_boot, ratio, se), n_boot, n)
  w <- se^-2 / sum(se^-2)
  stats::mad(apply(drawn, 1, function(r) slow_density_mode(r, w, slow_bandwidth(r, phi))))
}

lipid_ldl <- function(n = 28) {
  dat <- mrlearn::lipid_chd
  dat <- dat[dat$id.exposure == "LDL", ]
  dat[seq_len(n), ]
}

boot_effects <- function(dat) {
  list(
    bx = dat$beta.exposure, sx = dat$se.exposure, by = dat$beta.outcome, sy = dat$se.outcome
  )
}
