# Recalibration of predicted distributions (Kuleshov 2018).

#' Calibrate predicted distributions
#'
#' A model's distributions are calibrated where, for every p, the share p of outcomes lies below
#' the predicted quantile of level p. This learns from held-out outcomes by how much they are not,
#' and corrects new ones: with p_t = F_t(y_t), R(p) is the isotonic fit of the share of p_t at or
#' below p, and the recalibrated quantile of level p is F^-1(R^-1(p)). Shares are of one-sided
#' quantiles, not of central intervals, so that asymmetric errors are corrected too.
#'
#' It assumes that the outcomes are exchangeable with those to come and were used for nothing else:
#' neither training, nor early stopping, nor the choice of a model. Calibration is on average over
#' outcomes: intervals may still be too wide for some kinds of sequences and too narrow for others.
#' R is estimated from n numbers, with an error of about 1 / (2 sqrt(n)) at the median.
#'
#' @param object A [predicted_law()], or a model of sequences that gives distributions: a
#'   [seq_predictor()] with replicates, a [seq_ensemble()], or a [seq_model()] with `n_dropout`
#'   masks, whose members' mean and standard deviation make a normal distribution.
#' @param y Outcomes: a vector (n), or a matrix (n, outputs).
#' @param sequences,labels For models: held-out sequences and their outcomes.
#' @param ... Passed from models to [predict()]; else not used.
#' @return A list of class `calibration`: `outputs`; `maps`, one for each output with the normal
#'   scores `score` of outcomes and `calibrated`, those of R; `pit`, a data.frame `output, before,
#'   after` with R(p_t), where `after` is cross-fitted in ten parts, so that it tells what to expect
#'   of new outcomes. Raises `mrlearn_error_argument` for shapes that do not fit and
#'   `mrlearn_error_data` for fewer than 20 outcomes.
#' @references Kuleshov, Fenner and Ermon (2018), Accurate uncertainties for deep learning using
#'   calibrated regression, ICML, PMLR 80:2796, algorithm 1.
#' @seealso [predict.calibration()], [reliability()]
#' @examples
#' set.seed(1)
#' mean <- rnorm(200)
#' y <- mean + 2 * (rexp(200) - 1)
#' fit <- calibrate(predicted_law(mean, sd = rep(1, 200)), y)
#' fit
#' predict(fit, predicted_law(mean = 0, sd = 1), probs = c(0.05, 0.5, 0.95))
#' @export
calibrate <- function(object, ...) {
  UseMethod("calibrate")
}

#' @rdname calibrate
#' @export
calibrate.predicted_law <- function(object, y, ...) {
  check_no_dots(...)
  y <- check_outcomes(y, object)
  if (object$n < 20L) {
    stop_mrl("data", "Calibration needs at least 20 outcomes; got ", object$n, ".")
  }
  n_outputs <- length(object$outputs)
  scores <- lapply(seq_len(n_outputs), function(j) law_score(object, y[, j], j))
  maps <- stats::setNames(lapply(scores, calibration_map), object$outputs)
  pit <- data.frame(
    output = rep(object$outputs, each = object$n), before = stats::pnorm(unlist(scores)),
    after = stats::pnorm(unlist(lapply(scores, cross_fitted)))
  )
  structure(list(outputs = object$outputs, maps = maps, n = object$n, pit = pit),
    class = "calibration")
}

#' @rdname calibrate
#' @export
calibrate.default <- function(object, sequences, labels, ...) {
  calibrate.predicted_law(sequence_law(object, sequences, ...), labels)
}

# The distributions that a model of sequences predicts.
sequence_law <- function(object, sequences, ...) {
  UseMethod("sequence_law")
}

#' @export
sequence_law.default <- function(object, sequences, ...) {
  stop_argument("object", "must be a predicted_law() or a model that gives distributions",
    describe(object))
}

# Of an ensemble: normal, with the members' mean and standard deviation.
#' @export
sequence_law.seq_ensemble <- function(object, sequences, ...) {
  replicates_law(stats::predict(object, sequences, members = TRUE, ...)$members)
}

# Of a network: the same of its dropout masks.
#' @export
sequence_law.seq_model <- function(object, sequences, ...) {
  replicates_law(stats::predict(object, sequences, members = TRUE, ...)$members)
}

# replicates (n, outputs, members): what they have in common.
replicates_law <- function(replicates) {
  if (dim(replicates)[3] < 2L) {
    stop_mrl("data", "An ensemble of one has no variation: its predictions cannot be calibrated.")
  }
  mean <- apply(replicates, 1:2, mean)
  sd <- apply(replicates, 1:2, stats::sd)
  colnames(mean) <- dimnames(replicates)[[2]]
  predicted_law(mean, sd)
}

check_outcomes <- function(y, law) {
  shape <- c(law$n, length(law$outputs))
  y <- if (is.data.frame(y)) as.matrix(y) else y
  given <- if (is.matrix(y)) dim(y) else c(length(y), 1L)
  if (!all(given == shape)) {
    stop_argument("y", paste("must be", paste(shape, collapse = " x "), "as the predictions are"),
      describe(y))
  }
  array(check_doubles(y, "y"), shape)
}

# R as a broken line of normal scores. The share at or below is of n + 1, so that neither end is 0
# or 1; equal scores have one share.
calibration_map <- function(score) {
  at <- sort(unique(score))
  if (length(at) < 2L) {
    stop_mrl("data", "All outcomes are at one quantile of their predictions.")
  }
  count <- tabulate(match(score, at), length(at))
  share <- cumsum(count) / (length(score) + 1)
  out <- .Call(C_isotonic_fit, share, as.double(count))
  check_status(out$status, "calibrating")
  list(score = at, calibrated = stats::qnorm(out$value))
}

# Calibrated scores of each tenth by the others.
cross_fitted <- function(score) {
  fold <- (seq_along(score) - 1L) %% 10L
  out <- score
  for (k in 0:9) {
    map <- calibration_map(score[fold != k])
    out[fold == k] <- line_up(score[fold == k], map$score, map$calibrated)
  }
  out
}

#' Recalibrated predictions
#'
#' @param object A [calibrate()] result.
#' @param law A [predicted_law()] of the same outputs.
#' @param type `"quantiles"` of levels `probs`; `"interval"`, central, of `conf_level`; `"sd"`, half
#'   the distance between the quantiles of -1 and 1 standard deviations of a normal distribution;
#'   `"cdf"`: the probability at or below `y`.
#' @param probs Levels between 0 and 1.
#' @param conf_level Level of the interval.
#' @param y Outcomes, as in [calibrate()].
#' @param ... Not used.
#' @return A data.frame with `row` (number of the outcome) and `output`, and: `prob, quantile`;
#'   `conf.low, conf.high`; `sd`; or `prob`. Raises `mrlearn_error_argument`.
#' @export
predict.calibration <- function(object, law, type = c("quantiles", "interval", "sd", "cdf"),
                                probs = c(0.025, 0.5, 0.975), conf_level = 0.95, y = NULL, ...) {
  check_no_dots(...)
  type <- check_choice(type, c("quantiles", "interval", "sd", "cdf"), "type")
  check_same_outputs(object, law)
  rows <- data.frame(row = rep(seq_len(law$n), length(law$outputs)),
    output = rep(law$outputs, each = law$n))
  if (type == "cdf") {
    y <- check_outcomes(y, law)
    rows$prob <- unlist(lapply(seq_along(law$outputs), function(j) {
      stats::pnorm(score_forward(object$maps[[j]], law_score(law, y[, j], j)))
    }))
    return(rows)
  }
  conf_level <- check_conf_level(conf_level)
  probs <- switch(type,
    quantiles = check_probs(probs), interval = (1 + c(-1, 1) * conf_level) / 2,
    sd = stats::pnorm(c(-1, 1))
  )
  numbers <- do.call(rbind, lapply(seq_along(law$outputs), function(j) {
    law_number(law, score_back(object$maps[[j]], stats::qnorm(probs)), j)
  }))
  switch(type,
    interval = cbind(rows, conf.low = numbers[, 1], conf.high = numbers[, 2]),
    sd = cbind(rows, sd = (numbers[, 2] - numbers[, 1]) / 2),
    quantiles = {
      k <- length(probs)
      out <- rows[rep(seq_len(nrow(rows)), each = k), ]
      out$prob <- rep(probs, nrow(rows))
      out$quantile <- as.vector(t(numbers))
      rownames(out) <- NULL
      out
    }
  )
}

score_forward <- function(map, score) line_up(score, map$score, map$calibrated)

score_back <- function(map, score) line_up(score, map$calibrated, map$score)

check_probs <- function(probs, arg = "probs") {
  probs <- check_doubles(probs, arg)
  if (!length(probs) || any(probs <= 0 | probs >= 1)) {
    stop_argument(arg, "must be between 0 and 1", describe(probs))
  }
  probs
}

check_same_outputs <- function(object, law) {
  if (!inherits(law, "predicted_law") || !identical(law$outputs, object$outputs)) {
    stop_argument("law", paste0("must be a predicted_law() of ", paste(object$outputs, collapse =
      ", ")), describe(law))
  }
}

#' How reliable predicted quantiles are
#'
#' Shares of outcomes at or below the predicted quantiles of each level, before and after
#' calibration. Without `law`, of the outcomes that the calibration was learnt from, where `after`
#' is cross-fitted.
#'
#' @param object A [calibrate()] result.
#' @param law,y A [predicted_law()] and outcomes that it was not learnt from; or `NULL`.
#' @param levels Levels between 0 and 1.
#' @return A data.frame `output, level, before, after, std.error`, the last one of a share of n
#'   outcomes where `level` is true. Raises `mrlearn_error_argument`.
#' @examples
#' set.seed(1)
#' fit <- calibrate(predicted_law(rep(0, 99), rep(1, 99)), rnorm(99, sd = 2))
#' reliability(fit, levels = c(0.1, 0.9))
#' plot(fit)
#' @export
reliability <- function(object, law = NULL, y = NULL, levels = seq(0.05, 0.95, by = 0.05)) {
  if (!inherits(object, "calibration")) {
    stop_argument("object", "must be a result of calibrate()", describe(object))
  }
  levels <- check_probs(levels, "levels")
  pit <- if (is.null(law)) object$pit else new_pit(object, law, y)
  do.call(rbind, lapply(object$outputs, function(output) {
    mine <- pit[pit$output == output, ]
    share <- function(p) vapply(levels, function(level) mean(p <= level), 0)
    data.frame(output = output, level = levels, before = share(mine$before),
      after = share(mine$after), std.error = sqrt(levels * (1 - levels) / nrow(mine)))
  }))
}

new_pit <- function(object, law, y) {
  after <- predict.calibration(object, law, "cdf", y = y)
  y <- check_outcomes(y, law)
  before <- lapply(seq_along(law$outputs), function(j) law_score(law, y[, j], j))
  data.frame(output = after$output, before = stats::pnorm(unlist(before)), after = after$prob)
}

#' @export
print.calibration <- function(x, ...) {
  cat("Calibration of", length(x$outputs), "output(s) by", x$n, "outcomes\n")
  table <- reliability(x)
  gap <- function(share) tapply(abs(share - table$level), factor(table$output, x$outputs), max)
  cat("Largest distance of a share from its level, before and after (cross-fitted):\n")
  print(data.frame(output = x$outputs, before = as.vector(gap(table$before)),
    after = as.vector(gap(table$after))), row.names = FALSE, digits = 3)
  invisible(x)
}

#' Plot of reliability
#'
#' Shares of outcomes at or below predicted quantiles against their levels: calibrated ones lie on
#' the diagonal. `plot()` uses base graphics, `ggplot2::autoplot()` gives a ggplot.
#'
#' @param x,object A [calibrate()] result.
#' @param law,y As in [reliability()].
#' @param ... For `plot()`: graphical parameters passed to [graphics::plot.default()].
#' @return `plot()`: the [reliability()] table, invisibly. `autoplot()`: a ggplot.
#' @export
plot.calibration <- function(x, law = NULL, y = NULL, ...) {
  draw_picture(reliability_picture(x, law, y), ...)
}

#' @rdname plot.calibration
#' @exportS3Method ggplot2::autoplot
autoplot.calibration <- function(object, law = NULL, y = NULL, ...) {
  check_no_dots(...)
  ggplot_picture(reliability_picture(object, law, y))
}

reliability_picture <- function(object, law, y) {
  table <- reliability(object, law, y)
  when <- factor(rep(c("before", "after"), each = nrow(table)), c("before", "after"))
  panel <- factor(table$output, object$outputs)
  picture(table, list(
    ink("slope", intercept = 0, slope = 1, colour = plot_colour[["zero"]], lty = 2, width = 1),
    ink("line", x = rep(table$level, 2), y = c(table$before, table$after), by = when,
      panel = rep(panel, 2))
  ), "level of the predicted quantile", "share of outcomes below it", "Reliability",
  panels = object$outputs, include = list(x = 0:1, y = 0:1),
  colours = plot_colour[c("zero", "line")])
}
