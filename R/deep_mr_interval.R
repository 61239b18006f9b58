# How far slopes of sequences are from the truth: by measured pairs, or by an ensemble's members.

deep_intervals <- c(
  "pairs", "pairs_plain", "pairs_half", "pairs_members", "designed", "designed_half",
  "designed_members", "member", "moderated", "member_plain", "none"
)
member_intervals <- c("member", "moderated", "member_plain")

#' Settings of intervals from measured pairs
#'
#' @param null_below Pairs are null, and tell the noise of a measurement, where the predicted
#'   differences of both outputs are below this: one number, or one for exposure and outcome. The
#'   default is made for Anscombe labels, whose noise has a standard deviation of about 1; for
#'   others, three quarters of theirs.
#' @param null_relative For counts and other outputs whose variance is their mean: is `null_below`
#'   in units of the square root of the predicted level?
#' @param nearest How many null pairs, the nearest in predicted level, tell the noise at a level.
#' @param least_pairs Pairs, or with designed measurements sequences, that a calibration needs.
#' @param least_unit The grid of error sizes goes from a ten-thousandth to three times the median
#'   absolute slope of the pairs, or of this where that is less.
#' @return A list of class `deep_mr_control`. Raises `mrlearn_error_argument`.
#' @examples
#' deep_mr_control(nearest = 50)
#' @export
deep_mr_control <- function(null_below = 0.75, null_relative = FALSE, nearest = 80,
                            least_pairs = 10, least_unit = 0.3) {
  null_below <- check_doubles(null_below)
  if (!length(null_below) %in% 1:2 || any(null_below <= 0)) {
    stop_argument("null_below", "must be one or two positive numbers", describe(null_below))
  }
  structure(class = "deep_mr_control", list(
    null_below = rep_len(null_below, 2L), null_relative = check_flag(null_relative),
    nearest = check_count(nearest, min = 2), least_pairs = check_count(least_pairs, min = 2),
    least_unit = check_number(least_unit, min = 0, open = TRUE)
  ))
}

check_deep_control <- function(control) {
  if (!inherits(control, "deep_mr_control")) {
    stop_argument("control", "must come from deep_mr_control()", describe(control))
  }
  unclass(control)
}

# Pairs that calibrate: those to be kept, with a predicted effect on the exposure as instruments
# have it.
calibration_pairs <- function(wide, fit, control) {
  strong <- if (fit$rule == "z") {
    abs(wide$f - fit$centre) >= fit$threshold * fit$spread
  } else {
    TRUE
  }
  wide[wide$keep & strong & wide$f != 0, , drop = FALSE]
}

# Covariances (n, 3) of one measurement at levels (n, 2), from the null pairs.
pair_noise <- function(at, wide, control) {
  unit <- if (control$null_relative) sqrt(pmax(cbind(wide$level_x, wide$level_y), 1e-8)) else 1
  off <- abs(cbind(wide$f, wide$g)) / unit
  null <- wide[off[, 1] < control$null_below[1] & off[, 2] < control$null_below[2], ]
  if (nrow(null) < control$nearest) {
    stop_mrl("data", "`pairs` has ", nrow(null), " null pairs (both predicted differences below ",
      paste(unique(control$null_below), collapse = " and "), "), which tell the noise of a ",
      "measurement; ", control$nearest, " are needed (deep_mr_control(nearest = )).")
  }
  out <- .Call(C_deepmr_noise, as.matrix(at), cbind(null$level_x, null$level_y),
    cbind(null$dx - null$f, null$dy - null$g), list(nearest = control$nearest))
  check_status(out$status, "estimating the noise of measurements")
  out$value
}

# v' N v with v = (-b, 1).
slope_noise <- function(cov, b) {
  b^2 * cov[, 1] - 2 * b * cov[, 2] + cov[, 3]
}

# Errors of slopes by groups of pairs: each pair by itself, with its own predicted slope, or the
# pairs of a sequence together, with the slope of all its instruments. `slope`, `sd`: of sequences,
# named by id. Returns z, v0, the groups' sequences, delta and its standard error.
pair_errors <- function(pairs, noise, noise_mutant, designed, slope) {
  group <- if (designed) match(pairs$sequence, unique(pairs$sequence)) else seq_len(nrow(pairs))
  first <- match(unique(group), group)
  b <- (pairs$g / pairs$f)
  if (designed) {
    own <- rowsum(pairs$f * pairs$g, group)[, 1] / rowsum(pairs$f^2, group)[, 1]
    known <- slope[pairs$sequence[first]]
    b <- unname(ifelse(is.na(known), own, known))[group]
  }
  total <- function(x) rowsum(x, group, reorder = FALSE)[, 1]
  u <- total(pairs$f * (pairs$dy - b * pairs$dx))
  a <- total(pairs$f * pairs$dx)
  squares <- total(pairs$f^2)
  lambda <- sum(a) / sum(squares)
  weight <- lambda * squares
  delta <- sum(u) / sum(a)
  once <- total(pairs$f^2 * slope_noise(noise_mutant, b) / pairs$n_mutant)
  shared <- total(pairs$f)^2 * slope_noise(noise, b)[first] / pairs$n[first]
  list(
    z = unname(u / weight), v0 = unname((once + shared) / weight^2),
    sequence = pairs$sequence[first], b = b[first], lambda = lambda, delta = delta,
    se_delta = sqrt(sum((u - delta * a)^2)) / abs(sum(a)), n = length(u)
  )
}

# Members' variances, each as if four members more had the typical one `base`.
moderated_variance <- function(sd, base, n_members) {
  (4 * base + (n_members - 1) * sd^2) / (n_members + 3)
}

# NA where no sequence's members differ: nothing is known of their errors.
typical_variance <- function(sd) {
  known <- sd[!is.na(sd) & sd > 0]
  if (length(known)) exp(mean(log(known^2))) else NA_real_
}

# Sizes of errors relative to those of the calibration: equal, or half of it by members' SDs.
error_sizes <- function(sd, sd_calibration, n_members) {
  base <- typical_variance(sd_calibration)
  size <- function(sd) 1 / 2 + moderated_variance(sd, base, n_members) / (2 * base)
  list(new = pmin(size(sd), max(size(sd_calibration))), calibration = size(sd_calibration),
    base = base)
}

# Standard errors and their degrees of freedom by the members alone.
member_errors <- function(interval, sd, base, n_members) {
  moderated <- sqrt(moderated_variance(sd, base, n_members))
  switch(interval,
    member = list(se = moderated * sqrt(1 + 1 / n_members), df = n_members - 1),
    moderated = list(se = moderated, df = n_members + 3),
    member_plain = list(se = sd, df = n_members - 1)
  )
}

# Shifts of the slopes and half-widths around them; NA where there is none. levels: matrix
# (sequence, exposure and outcome) or NULL.
calibrated_reach <- function(fit, wide, settings, levels) {
  interval <- settings$interval
  control <- settings$control
  designed <- startsWith(interval, "designed")
  half <- endsWith(interval, "_half") || endsWith(interval, "_members")
  pairs <- calibration_pairs(wide, fit, control)
  sd_of <- stats::setNames(fit$sd, fit$sequence)
  if (half) {
    pairs <- pairs[!is.na(sd_of[pairs$sequence]), , drop = FALSE]
  }
  n <- if (designed) length(unique(pairs$sequence)) else nrow(pairs)
  if (n < control$least_pairs) {
    stop_mrl("data", "`pairs` has ", n, if (designed) " sequences" else " pairs",
      " to calibrate on (kept, with an effect on the exposure as instruments have it",
      if (half) ", of sequences with effects of members", "); ", control$least_pairs,
      " are needed.")
  }
  noise <- pair_noise(pairs[c("level_x", "level_y")], wide, control)
  noise_mutant <- pair_noise(pairs[c("mutant_x", "mutant_y")], wide, control)
  errors <- pair_errors(pairs, noise, noise_mutant, designed,
    stats::setNames(fit$slope, fit$sequence))
  size <- if (half) {
    error_sizes(fit$sd, unname(sd_of[errors$sequence]), fit$n_members)
  } else {
    list(new = rep(1, length(fit$slope)), calibration = rep(1, errors$n))
  }
  by <- if (interval == "pairs" && !is.null(levels)) {
    level_covariates(as.matrix(pairs[c("level_x", "level_y")]), levels)
  } else {
    list(calibration = matrix(1, errors$n, 1), new = matrix(1, length(fit$slope), 1))
  }
  reach_of(errors, size, by, !is.na(fit$slope) & !is.na(size$new),
    c(list(unit = max(stats::median(abs(errors$b)), control$least_unit),
      level = settings$conf_level, n_threads = settings$n_threads, own = interval == "pairs"),
    size_prior(interval, fit, size)))
}

# What members say of the size of errors beforehand: degrees of freedom (as many as a moderated
# variance has) and variance. The ensemble errs by less than its members do; half of their variance
# was found on data that nothing is reported of.
size_prior <- function(interval, fit, size) {
  if (endsWith(interval, "_members")) {
    return(list(df = fit$n_members - 1, psi0 = size$base))
  }
  base <- if (fit$n_members > 1L) typical_variance(fit$sd) else NA
  if (interval != "pairs" || !isTRUE(base > 0)) {
    return(list(df = 0, psi0 = 0))
  }
  list(df = fit$n_members + 3, psi0 = base / 2)
}

# What errors are regressed on: 1, and the predicted levels in standard deviations of the pairs',
# no further out than the pairs go.
level_covariates <- function(known, levels) {
  centre <- colMeans(known)
  spread <- apply(known, 2, stats::sd)
  use <- which(is.finite(spread) & spread > 0)
  standard <- function(x) sweep(sweep(x[, use, drop = FALSE], 2, centre[use]), 2, spread[use], "/")
  known <- standard(known)
  new <- standard(levels)
  for (j in seq_along(use)) {
    new[, j] <- pmin(pmax(new[, j], min(known[, j])), max(known[, j]))
  }
  list(calibration = cbind(1, known), new = cbind(1, new))
}

reach_of <- function(errors, size, by, known, settings) {
  out <- .Call(C_deepmr_reach,
    list(z = errors$z, v0 = errors$v0, h = size$calibration, x = unname(by$calibration)),
    list(h = size$new[known], x = unname(by$new[known, , drop = FALSE])), settings)
  check_status(out$status, "calibrating on measured pairs")
  law <- out$value$reach
  delta <- reach <- rep(NA_real_, length(known))
  if (settings$own) {
    delta[known] <- law[, 1]
    reach[known] <- law[, 3]
  } else { # the mean error is that of the ratio of sums, with an error that needs no model
    q <- stats::qnorm((1 + settings$level) / 2)
    delta[known] <- errors$delta
    reach[known] <- sqrt(pmax(law[, 3]^2 - q^2 * law[, 2], 0) + q^2 * errors$se_delta^2)
  }
  list(
    delta = delta, reach = reach,
    calibration = list(
      n = errors$n, delta = errors$delta, se_delta = errors$se_delta, lambda = errors$lambda,
      psi = sum(out$value$weight * out$value$t^2), by_level = ncol(by$calibration) > 1L,
      errors = data.frame(sequence = errors$sequence, slope = errors$b, error = errors$z,
        noise.sd = sqrt(errors$v0))
    )
  )
}

# Mean effect by pair-IV: predictions as instruments, measurements as data. Sequences are clusters.
pair_iv <- function(pairs, conf_level) {
  of <- match(pairs$sequence, unique(pairs$sequence))
  theta <- sum(pairs$f * pairs$dy) / sum(pairs$f * pairs$dx)
  score <- rowsum(pairs$f * (pairs$dy - theta * pairs$dx), of)[, 1]
  global_row("pair-IV", theta, sqrt(sum(score^2)) / abs(sum(pairs$f * pairs$dx)),
    length(score) - 1, length(score), conf_level)
}

# Mean effect by the members: their variation, once more for the mean of another ensemble, and
# that of the sequences.
member_mean <- function(fit, conf_level) {
  known <- !is.na(fit$slope)
  n <- sum(known)
  each <- rowMeans(fit$shift[, known, drop = FALSE])
  variance <- stats::var(each) * (1 + 1 / fit$n_members) + stats::var(fit$slope[known]) / n
  global_row("members", mean(fit$slope[known]), sqrt(variance), fit$n_members - 1, n, conf_level)
}

global_row <- function(method, estimate, std_error, df, k, conf_level) {
  half <- if (is.na(df) || df < 1) NA else stats::qt((1 + conf_level) / 2, df) * std_error
  data.frame(
    method = method, estimate = estimate, std.error = std_error, conf.low = estimate - half,
    conf.high = estimate + half, df = df, k = as.integer(k), tau = NA_real_,
    tau.low = NA_real_, tau.high = NA_real_, pred.low = NA_real_, pred.high = NA_real_
  )
}
