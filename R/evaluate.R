# Estimated curves against the truth. The metrics are computed in src/core/eval.c.

#' @importFrom generics evaluate
#' @export
generics::evaluate

#' Compare estimates with the truth
#'
#' How far a fit's causal curve is from the known truth of a simulation, how much its intervals
#' cover, and what they cost. `evaluate()` gives one row for one fit, `compare_fits()` a row for
#' each of several, the smallest mean squared error first, on the domain that they share.
#'
#' A fit is asked for its [effect_curve()] at `n_points` evenly spaced exposures of the domain, and
#' each point counts the same. A data.frame is taken as it is: each of its rows within the domain
#' counts the same.
#'
#' @section Metrics:
#' With \eqn{d} the estimate less the truth,
#' * `mse` mean of \eqn{d^2}, `bias` mean of \eqn{d};
#' * `coverage`: share of the points whose interval holds the truth; `simultaneous`: whether the
#'   whole curve is held, by the band `band.low`, `band.high` where there is one, else by the
#'   pointwise intervals;
#' * `width`: mean width of the intervals; `interval_score`: width plus \eqn{2 / \alpha} times the
#'   distance by which the truth is outside, \eqn{\alpha} = 1 - `conf_level`, averaged (Gneiting &
#'   Raftery 2007; smaller is better);
#' * `derivative_error`: mean squared difference of the slopes between neighbouring points;
#' * `calibration_error`: mean over `levels` of the distance between a level and the share of points
#'   whose truth is at or below that quantile.
#'
#' What has nothing to be computed from is NA: intervals where there are none, slopes where `x` is
#' absent or not all different.
#'
#' @section Levels and contrasts:
#' Some curves are identified only up to a constant; their `estimand` is a difference. Then, or with
#' `centre = TRUE`, contrasts are compared: the curve less its value at `reference` against the
#' truth less its own. A fit is asked for the contrasts, so that the intervals are theirs. The rows
#' of a data.frame are shifted, estimates and limits alike, by the estimate at the reference
#' (interpolated), which leaves contrasts against that very reference as they are; limits of levels
#' shifted so are mostly too wide for contrasts. The average over the people of curves that are no
#' effects of an intervention (the `estimand` has no "do") cannot be compared and is refused.
#'
#' @param x,... For `evaluate()` a fit of an `iv_*()` function or a data.frame with the column
#'   `estimate` and, where it has them, `x`, `conf.low` and `conf.high`, `band.low` and `band.high`;
#'   then further arguments of the fit's [effect_curve()]. For `compare_fits()` fits and
#'   data.frames, best named, or one list of them.
#' @param truth What a simulator returned, or [truth()] of it, or a function of exposures; for a
#'   data.frame also a number for each of its rows.
#' @param domain Where to compare: `"range"` of the exposures that the fit was made from (of the
#'   column `x`), `"95%"` from their 2.5 % to their 97.5 % quantile (of a fit only), or two
#'   exposures.
#' @param n_points Number of points, at least 2.
#' @param centre Compare contrasts? NULL: if the curve is one, or a reference is given.
#' @param reference Exposure that contrasts are against; by default the middle of the domain. It
#'   must be given for a data.frame.
#' @param conf_level Level of the intervals.
#' @param exposure Name of the exposure variable, needed where a fit has several.
#' @param quantiles,levels Quantiles that were predicted at the rows of a data.frame, a matrix with
#'   a row for each and a column per level, and these levels, between 0 and 1.
#' @return A data.frame with one row: `domain.low, domain.high, n_points, reference` (NA where
#'   levels are compared), `mse, bias, coverage, simultaneous, width, interval_score,
#'   derivative_error, calibration_error`. `compare_fits()`: a row per fit, with its name in the
#'   first column `fit`.
#' @references Gneiting, T. & Raftery, A. E. (2007). Strictly proper scoring rules, prediction, and
#'   estimation. J. Am. Stat. Assoc. 102:359-378.
#' @examples
#' sim <- sim_nonlinear(n = 5000, seed = 1)
#' g <- as.matrix(sim[truth(sim)$instruments])
#' score <- drop(g %*% truth(sim)$pi)
#' curved <- iv_2sls(Y ~ X + I(X^2) | score + I(score^2), data = sim)
#' evaluate(curved, truth = sim)
#' straight <- iv_2sls(Y ~ X | score, data = sim)
#' confounded <- iv_ols(Y ~ X + I(X^2), data = sim)
#' compare_fits(curved, straight, confounded, truth = sim, domain = "95%")
#'
#' # Any estimates
#' x <- c(-1, 0, 1)
#' evaluate(data.frame(x, estimate = c(0.5, 0.3, 1.1)), truth = truth(sim)$curve)
#' @name evaluation
NULL

#' @rdname evaluation
#' @export
evaluate.iv_fit <- function(x, truth, domain = c("range", "95%"), n_points = 2000, centre = NULL,
                            reference = NULL, conf_level = 0.95, exposure = NULL, ...) {
  curve <- check_truth_curve(truth)
  n_points <- check_count(n_points, min = 2)
  domain <- fit_domain(x, check_domain(domain), exposure)
  arguments <- c(list(conf_level = check_conf_level(conf_level)), list(...))
  arguments$exposure <- exposure
  reference <- choose_reference(x, domain, centre, reference, arguments)
  at <- seq(domain[1], domain[2], length.out = n_points)
  estimates <- call_curve(x, at, c(arguments, list(reference = reference)))
  true <- curve_values(curve, at, "truth")
  if (!is.null(reference)) {
    true <- true - curve_values(curve, reference, "truth")
  }
  metric_row(check_estimates(drop_empty_limits(estimates)), true, domain, reference, conf_level)
}

#' @rdname evaluation
#' @export
evaluate.data.frame <- function(x, truth, domain = "range", centre = NULL, reference = NULL,
                                conf_level = 0.95, quantiles = NULL, levels = NULL, ...) {
  check_no_dots(...)
  estimates <- check_estimates(x)
  domain <- frame_domain(estimates, check_domain(domain))
  conf_level <- check_conf_level(conf_level)
  quantiles <- check_quantiles(quantiles, levels, nrow(estimates))
  true <- frame_truth(truth, estimates)
  reference <- frame_reference(estimates, centre, reference)
  if (!is.null(reference)) {
    estimates <- shift_estimates(estimates, reference)
    true <- true - curve_values(check_truth_curve(truth), reference, "truth")
  }
  rows <- rows_within(estimates, domain)
  metric_row(estimates[rows, , drop = FALSE], true[rows], domain, reference, conf_level,
    quantiles[rows, , drop = FALSE], levels)
}

#' @rdname evaluation
#' @export
compare_fits <- function(..., truth, domain = c("range", "95%"), n_points = 2000, centre = NULL,
                         reference = NULL, conf_level = 0.95, exposure = NULL) {
  fits <- name_fits(list(...), vapply(substitute(list(...))[-1], deparse1, ""))
  domain <- shared_domain(fits, check_domain(domain), exposure)
  if (is.null(centre)) {
    centre <- !is.null(reference) ||
      any(vapply(fits, is_contrast, NA, at = mean(domain), exposure = exposure))
  }
  rows <- lapply(fits, function(fit) {
    arguments <- list(fit, truth = truth, centre = centre, reference = reference,
      conf_level = conf_level)
    if (is.data.frame(fit)) {
      arguments$domain <- if ("x" %in% names(fit)) domain else "range"
    } else {
      arguments <- c(arguments,
        list(domain = domain, n_points = n_points, exposure = exposure))
    }
    do.call(generics::evaluate, arguments)
  })
  out <- cbind(data.frame(fit = names(fits)), do.call(rbind, rows))
  out <- out[order(out$mse), , drop = FALSE]
  row.names(out) <- NULL
  structure(out, class = c("fit_comparison", "data.frame"))
}

# The row of metrics. estimates: checked rows within the domain; true: a number for each.
metric_row <- function(estimates, true, domain, reference, conf_level, quantiles = NULL,
                       levels = NULL) {
  order <- if (is.null(estimates$x)) seq_along(true) else order(estimates$x)
  column <- function(name) {
    value <- estimates[[name]]
    if (is.null(value)) NULL else as.double(value)[order]
  }
  if (!is.null(quantiles)) {
    quantiles <- quantiles[order, , drop = FALSE]
    storage.mode(quantiles) <- "double"
  }
  limits <- list(
    low = column("conf.low"), high = column("conf.high"), band_low = column("band.low"),
    band_high = column("band.high")
  )
  settings <- list(alpha = 1 - conf_level, levels = if (!is.null(levels)) as.double(levels))
  out <- .Call(C_eval_curve, column("x"), column("estimate"), as.double(true)[order], limits,
    quantiles, settings)
  check_status(out$status, "evaluating the estimates")
  value <- lapply(out$value, function(v) if (is.nan(v)) NA_real_ else v)
  data.frame(
    domain.low = domain[1], domain.high = domain[2], n_points = length(true),
    reference = if (is.null(reference)) NA_real_ else reference,
    mse = value$mse, bias = value$bias, coverage = value$coverage,
    simultaneous = if (value$inside < 0) NA else value$inside > 0,
    width = value$width, interval_score = value$interval_score,
    derivative_error = value$derivative_error, calibration_error = value$calibration_error
  )
}

# NULL where levels are compared, else the exposure that contrasts are against.
choose_reference <- function(fit, domain, centre, reference, arguments) {
  label <- call_curve(fit, mean(domain), arguments)$estimand
  check_estimand(label, "x")
  if (!centres(centre, reference, label)) {
    return(NULL)
  }
  if (is.null(reference)) mean(domain) else check_number(reference)
}

frame_reference <- function(estimates, centre, reference) {
  check_estimand(estimates$estimand, "x")
  if (!centres(centre, reference, estimates$estimand)) {
    return(NULL)
  }
  if (is.null(estimates$x)) {
    stop_argument("x", "must have the column `x` where contrasts are compared",
      shorten(names(estimates)))
  }
  if (is.null(reference)) {
    stop_argument("reference", "must be given where a data.frame's contrasts are compared", "NULL")
  }
  reference <- check_number(reference)
  if (reference < min(estimates$x) || reference > max(estimates$x)) {
    stop_argument("reference", "must be within the range of `x`", describe(reference))
  }
  reference
}

centres <- function(centre, reference, estimand) {
  if (is.null(centre)) {
    return(!is.null(reference) || label_is_contrast(estimand))
  }
  if (!check_flag(centre) && !is.null(reference)) {
    stop_argument("reference", "must be NULL where levels are compared (centre = FALSE)",
      describe(reference))
  }
  centre
}

label_is_contrast <- function(estimand) {
  any(grepl("] - E[", estimand, fixed = TRUE))
}

is_contrast <- function(fit, at, exposure) {
  if (is.data.frame(fit)) {
    return(label_is_contrast(fit[["estimand"]]))
  }
  label_is_contrast(call_curve(fit, at, list(exposure = exposure))$estimand)
}

# Only the effect of setting the exposure has this truth.
check_estimand <- function(estimand, arg) {
  other <- estimand[!grepl("|do(", estimand, fixed = TRUE)]
  if (length(other)) {
    stop_argument(arg, "must estimate what an intervention does (E[Y|do(X=x)])", other[1])
  }
}

call_curve <- function(fit, at, arguments) {
  do.call(effect_curve, c(list(fit, x = at), arguments[!vapply(arguments, is.null, NA)]))
}

# Estimates and limits less the estimate at the reference, between the rows by straight lines.
shift_estimates <- function(estimates, reference) {
  at <- stats::approx(estimates$x, estimates$estimate, reference, ties = mean)$y
  for (name in intersect(c("estimate", estimate_limits), names(estimates))) {
    estimates[[name]] <- estimates[[name]] - at
  }
  estimates
}

# A named list of fits and data.frames. expressions: what the caller wrote for each.
name_fits <- function(fits, expressions) {
  is_fit <- function(fit) inherits(fit, "iv_fit") || is.data.frame(fit)
  if (length(fits) == 1L && is.list(fits[[1]]) && !is_fit(fits[[1]])) {
    fits <- fits[[1]]
    expressions <- paste0("fit", seq_along(fits))
  }
  if (!length(fits)) {
    stop_argument("...", "must have at least one fit", "none")
  }
  given <- names(fits)
  names(fits) <- if (is.null(given)) expressions else ifelse(given == "", expressions, given)
  wrong <- which(!vapply(fits, is_fit, NA))
  if (length(wrong)) {
    stop_argument(names(fits)[wrong[1]], "must be a fit of an iv_*() function or a data.frame",
      describe(fits[[wrong[1]]]))
  }
  fits
}
