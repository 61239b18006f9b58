# Intervals of neural fits, from bootstrap replicates. What is drawn: list(estimate (k), draws (k,
# B) or NULL without replicates).

neural_intervals <- c("normal", "percentile")

# Replicates average over at most so many people, and over so many pairs of people and levels.
draw_people <- 2000L
draw_pairs <- 2e5
draw_people_least <- 200L

has_replicates <- function(fit) {
  !is.null(fit$replicates)
}

n_replicates <- function(fit) {
  ncol(fit$replicates$params)
}

# The outcome network with a column of weights per replicate.
replicate_network <- function(fit) {
  network <- fit$network$outcome
  network[c("params", "statistics")] <- fit$replicates[c("params", "statistics")]
  network["theta"] <- fit$replicates["theta"]
  network
}

# Puts the replicates into a fit, and what follows from them: draws and variance of the average
# derivative.
with_replicates <- function(fit, replicates, frame) {
  if (is.null(replicates)) {
    return(fit)
  }
  fit$replicates <- replicates
  fit$n_boot <- n_replicates(fit)
  drawn <- mean_slope(fit, frame$x[, 1], frame$w, frame$weights)
  fit$draws <- drawn$draws[1, ]
  fit$vcov[] <- stats::var(fit$draws)
  fit$df_test <- fit$n_boot - 1
  fit$vcov_type <- if (fit$control$boot_type == "half") "half-samples" else "bootstrap"
  fit
}

# evaluate(network, rows): k numbers, averaged over some people; of replicates a matrix. n: people.
draw_means <- function(fit, n, levels, evaluate) {
  estimate <- evaluate(fit$network$outcome, seq_len(n))
  if (!has_replicates(fit)) {
    return(list(estimate = estimate, draws = NULL))
  }
  most <- max(draw_people_least, min(draw_people, floor(draw_pairs / levels)))
  rows <- systematic_rows(n, most)
  draws <- matrix(evaluate(replicate_network(fit), rows), length(estimate))
  if (length(rows) < n) {
    draws <- draws + (estimate - evaluate(fit$network$outcome, rows))
  }
  list(estimate = estimate, draws = draws)
}

# The mean of g over people at each level.
mean_levels <- function(fit, people, exposure, levels) {
  warn_outside(fit, levels)
  w <- covariate_rows(fit, people, exposure)
  weights <- person_weights(fit, people)
  n <- if (ncol(w)) nrow(w) else 1L
  draw_means(fit, n, length(levels), function(network, rows) {
    run_network(network, levels, w[rows, , drop = FALSE], weights[rows], "levels")
  })
}

# The mean derivative of g at x (n), w.
mean_slope <- function(fit, x, w, weights) {
  draw_means(fit, length(x), 1L, function(network, rows) {
    run_network(network, x[rows], w[rows, , drop = FALSE], weights[rows], "slope")
  })
}

# Contrasts against the last level.
less_last <- function(drawn) {
  k <- length(drawn$estimate)
  draws <- drawn$draws
  list(
    estimate = drawn$estimate[-k] - drawn$estimate[k],
    draws = if (!is.null(draws)) sweep(draws[-k, , drop = FALSE], 2, draws[k, ])
  )
}

row_sd <- function(x) {
  sqrt(rowSums((x - rowMeans(x))^2) / (ncol(x) - 1))
}

# Pointwise intervals: estimate, std.error, conf.low, conf.high.
draw_intervals_of <- function(drawn, conf_level, interval) {
  estimate <- as.vector(drawn$estimate)
  if (is.null(drawn$draws)) {
    none <- rep(NA_real_, length(estimate))
    return(data.frame(estimate = estimate, std.error = none, conf.low = none, conf.high = none))
  }
  draws <- matrix(drawn$draws, length(estimate))
  se <- row_sd(draws)
  if (interval == "normal") {
    half <- stats::qt((1 + conf_level) / 2, ncol(draws) - 1) * se
    ends <- rbind(estimate - half, estimate + half)
  } else {
    # Type 6: a new draw is below the k-th of B with probability k / (B + 1).
    ends <- apply(draws, 1, stats::quantile, names = FALSE, type = 6,
      probs = c(1 - conf_level, 1 + conf_level) / 2)
  }
  data.frame(estimate = estimate, std.error = se, conf.low = ends[1, ], conf.high = ends[2, ])
}

# The simultaneous band: band.low, band.high.
draw_band_of <- function(drawn, conf_level, simultaneous) {
  k <- length(drawn$estimate)
  if (!simultaneous || is.null(drawn$draws)) {
    return(data.frame(band.low = rep(NA_real_, k), band.high = rep(NA_real_, k)))
  }
  se <- row_sd(drawn$draws)
  if (!all(is.finite(se))) {
    stop_mrl("numeric", "While drawing a band: the draws are not finite; the levels of the ",
      "exposure are too large.")
  }
  moves <- se > 1e-12 * max(se) # a contrast against itself does not
  distance <- abs(drawn$draws - rowMeans(drawn$draws))[moves, , drop = FALSE] / se[moves]
  largest <- if (any(moves)) apply(distance, 2, max) else 0
  # Not narrower than the pointwise intervals, as it might be with few replicates.
  factor <- max(stats::quantile(largest, conf_level, names = FALSE, type = 6),
    stats::qt((1 + conf_level) / 2, ncol(drawn$draws) - 1))
  half <- factor * se
  data.frame(band.low = drawn$estimate - half, band.high = drawn$estimate + half)
}

# One estimate with a test of 0.
draw_test <- function(drawn, conf_level, interval, estimand) {
  check_conf_level(conf_level)
  out <- draw_intervals_of(drawn, conf_level, interval)
  statistic <- out$estimate / out$std.error
  p <- NA_real_
  if (!is.null(drawn$draws)) {
    b <- length(drawn$draws)
    p <- if (interval == "normal") {
      2 * stats::pt(abs(statistic), b - 1, lower.tail = FALSE)
    } else {
      min(1, 2 * (min(sum(drawn$draws <= 0), sum(drawn$draws >= 0)) + 1) / (b + 1))
    }
  }
  data.frame(estimate = out$estimate, std.error = out$std.error, statistic = statistic,
    p.value = p, conf.low = out$conf.low, conf.high = out$conf.high, estimand = estimand)
}

# Tables of rows, made in blocks so that replicates of many people need little memory.
by_blocks <- function(n, table_of, size = 5000L) {
  starts <- seq(1L, n, by = size)
  out <- do.call(rbind, lapply(starts, function(s) table_of(s:min(n, s + size - 1L))))
  row.names(out) <- NULL
  out
}

#' @rdname neural_effects
#' @export
confint.iv_neural <- function(object, parm = NULL, level = 0.95,
                              interval = c("normal", "percentile"), ...) {
  check_no_dots(...)
  interval <- check_choice(interval, neural_intervals)
  out <- confint.iv_fit(object, parm, level)
  if (interval == "percentile" && has_replicates(object)) {
    probs <- c(1 - level, 1 + level) / 2
    out[] <- stats::quantile(object$draws, probs, names = FALSE, type = 6)
  }
  out
}
