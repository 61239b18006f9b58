# Pictures of tables: estimates of mr_estimate(), meta_random() and their like, fits compared.

# A table of estimates, one in each row, that plot() draws.
new_estimates <- function(table) {
  class(table) <- unique(c("estimates", class(table)))
  table
}

#' Plots of tables of estimates
#'
#' Each row's estimate with its interval. [meta_random()], [orthogonal()] and [ar_set()] return
#' tables that `plot()` draws; `mr_forest()` makes one of the plain tables of [mr_estimate()],
#' [mv_estimate()], [mr_odds_ratios()] and TwoSampleMR's `mr()`. These have a panel for each
#' exposure and outcome, odds ratios a logarithmic axis; prediction intervals of [meta_random()] are
#' thin and grey. An interval without an end, and one that is more than five times as wide as the
#' median one, goes on beyond an arrow at the edge.
#'
#' Rows without an estimate are left out, as is the sign concordance test, which has no effect. A
#' table without any raises an error of class `mrlearn_error_data`, as does a part of one that has
#' lost the columns that are drawn.
#'
#' @param results A table of estimates with `method`, `b`, and `ci_low` and `ci_high` or `se` (then
#'   intervals are normal ones of 95 %), and the columns of pairs.
#' @param x,object What one of these functions returned.
#' @param ... For `plot()`: graphical parameters passed to [graphics::plot.default()].
#' @return `mr_forest()`: `results` as data.frame of class `estimates`. `plot()`: data.frame `panel,
#'   term, estimate, conf.low, conf.high`, the rows drawn, invisibly. `autoplot()`: a ggplot of the
#'   same.
#' @examples
#' plot(mr_forest(mr_estimate(subset(lipid_chd, exposure == "LDL"), seed = 1)))
#' plot(meta_random(c(0.1, 0.3, 0.2, 0.6), rep(0.1, 4), group = c("a", "a", "b", "b")))
#' @export
mr_forest <- function(results) {
  check_results(results, c("exposure", "outcome", "id.exposure", "id.outcome", "method", "b"))
  if (!all(c("ci_low", "ci_high") %in% names(results))) {
    check_results(results, "se")
    half <- stats::qnorm(0.975) * mr_numbers(results, "se", "results")
    results[c("ci_low", "ci_high")] <- list(results$b - half, results$b + half)
  }
  new_estimates(results)
}

#' @rdname mr_forest
#' @export
plot.estimates <- function(x, ...) {
  draw_picture(estimates_table_picture(x), ...)
}

#' @rdname mr_forest
#' @exportS3Method ggplot2::autoplot
autoplot.estimates <- function(object, ...) {
  check_no_dots(...)
  ggplot_picture(estimates_table_picture(object))
}

estimates_table_picture <- function(x) {
  rows <- drawn_estimates(x)
  d <- rows$data
  d <- d[!is.na(d$estimate) | !is.na(d$conf.low), , drop = FALSE]
  if (!nrow(d)) {
    stop_argument("x", "must have estimates", "none", what = "data")
  }
  d$panel <- factor(d$panel, unique(d$panel))
  d <- d[order(d$panel), , drop = FALSE]
  # Panels with the same rows share their names.
  same <- length(unique(lapply(split(d$term, d$panel), unique))) == 1L
  place <- rev(place_of(d$term, if (same) rep("", nrow(d)) else d$panel))
  thin <- d[!is.na(d$pred.low), , drop = FALSE]
  known <- !is.na(d$estimate)
  names <- !duplicated(place)
  picture(d, list(
    ink("rule", value = rows$null, along = "x", colour = plot_colour[["zero"]], lty = 2),
    ink("interval", y = place[!is.na(d$pred.low)], low = thin$pred.low, high = thin$pred.high,
      along = "x", panel = thin$panel, colour = plot_colour[["bar"]], width = 1),
    ink("interval", y = place, low = d$conf.low, high = d$conf.high, along = "x", panel = d$panel),
    ink("point", x = d$estimate[known], y = place[known], panel = d$panel[known])
  ), rows$xlab, panels = if (any(nzchar(levels(d$panel)))) levels(d$panel),
  free = if (same) "x" else "xy", log = rows$log, include = list(x = rows$null),
  window = wide_windows(d, rows),
  ticks = list(y = data.frame(at = place[names], label = d$term[names], keep = FALSE)),
  value = d[c("panel", "term", "estimate", "conf.low", "conf.high")])
}

# Rows of one panel that are named alike stand at one place; the last row is at 1.
place_of <- function(term, panel) {
  key <- paste(panel, term, sep = "\r")
  again <- match(rev(key), unique(rev(key)))
  # Panels lie two places apart, so that no place is within the limits of two.
  again + 2L * (match(rev(panel), unique(rev(panel))) - 1L)
}

# What the table is of: its rows as panel, term, estimate, conf.low, conf.high (and pred.low,
# pred.high), where no effect is, the axis.
drawn_estimates <- function(x) {
  has <- function(...) all(c(...) %in% names(x))
  table <- function(panel, term, estimate, low, high, pred = c(NA_real_, NA_real_)) {
    data.frame(panel = panel, term = as.character(term), estimate = as.double(estimate),
      conf.low = as.double(low), conf.high = as.double(high), pred.low = pred[[1]],
      pred.high = pred[[2]])
  }
  if (has("exposure", "outcome", "id.exposure", "id.outcome", "method", "b", "ci_low", "ci_high")) {
    ratio <- has("or", "or_lci95", "or_uci95")
    d <- if (ratio) {
      table(pair_label(x), x$method, x$or, x$or_lci95, x$or_uci95)
    } else {
      table(pair_label(x), x$method, x$b, x$ci_low, x$ci_high)
    }
    # That one is no effect.
    d <- d[d$term != "Sign concordance test", , drop = FALSE]
    return(list(data = d, null = if (ratio) 1 else 0, log = if (ratio) "x" else "",
      xlab = paste0(if (ratio) "odds ratio" else "effect on the outcome", " per unit of exposure")))
  }
  if (has("estimate", "conf.low", "conf.high")) {
    term <- x[["group"]]
    term <- if (is.null(term)) x[["estimand"]] else term
    d <- table("", if (is.null(term)) "mean effect" else term, x$estimate, x$conf.low, x$conf.high,
      if (has("pred.low", "pred.high")) x[c("pred.low", "pred.high")] else c(NA_real_, NA_real_))
    return(list(data = d, null = 0, log = "", xlab = if (has("pred.low")) {
      "effect (grey: prediction interval)"
    } else {
      "estimate"
    }))
  }
  if (has("term", "conf.low", "conf.high", "type")) {
    return(list(data = table("", paste0(x$term, ", ", x$type), NA, x$conf.low, x$conf.high),
      null = 0, log = "", xlab = "effects that the test does not reject"))
  }
  stop_argument("x", "must have the columns of estimates and intervals", shorten(names(x)),
    what = "data")
}

# What axes need to hold: the intervals that are at most five times as wide as the median one.
wide_windows <- function(d, rows) {
  scale <- if (nzchar(rows$log)) log else identity
  width <- scale(d$conf.high) - scale(d$conf.low)
  width[!is.finite(width)] <- NA
  middle <- stats::ave(width, d$panel, FUN = function(w) stats::median(w, na.rm = TRUE))
  if (!any(width > 5 * middle, na.rm = TRUE)) {
    return(NULL)
  }
  sets <- !is.na(width) & width <= 5 * middle
  side <- function(limit, f) {
    limit[!sets] <- d$estimate[!sets]
    c(tapply(limit, d$panel, function(v) f(v[is.finite(v)], rows$null)))
  }
  list(low = side(d$conf.low, min), high = side(d$conf.high, max))
}

#' Plot of fits compared with the truth
#'
#' What [compare_fits()] measured, in panels: root of the mean squared error and bias in units of
#' the outcome, coverage (dashed: all) and mean width of the intervals.
#'
#' @param x,object What [compare_fits()] returned.
#' @param ... For `plot()`: graphical parameters passed to [graphics::plot.default()].
#' @return `plot()`: data.frame `measure, fit, value`, invisibly. `autoplot()`: a ggplot of the
#'   same.
#' @examples
#' sim <- sim_nonlinear(n = 1000, f = "linear", n_variants = 5, seed = 1)
#' z <- as.matrix(sim[truth(sim)$instruments])
#' plot(compare_fits(iv = iv_2sls(Y ~ X | z, sim), ols = iv_ols(Y ~ X, sim), truth = sim))
#' @export
plot.fit_comparison <- function(x, ...) {
  draw_picture(comparison_picture(x), ...)
}

#' @rdname plot.fit_comparison
#' @exportS3Method ggplot2::autoplot
autoplot.fit_comparison <- function(object, ...) {
  check_no_dots(...)
  ggplot_picture(comparison_picture(object))
}

comparison_picture <- function(x) {
  lacking <- setdiff(c("fit", "mse", "bias", "coverage", "width"), names(x))
  if (length(lacking)) {
    stop_argument("x", "must have the columns of compare_fits()", paste("none of",
      shorten(lacking)), what = "data")
  }
  measures <- list(`root mean squared error` = sqrt(x$mse), bias = x$bias,
    `coverage of intervals` = x$coverage, `mean width of intervals` = x$width)
  measures <- measures[!vapply(measures, function(v) all(is.na(v)), NA)]
  d <- data.frame(measure = rep(names(measures), each = nrow(x)), fit = rep(x$fit,
    length(measures)), value = unlist(measures, use.names = FALSE))
  d <- d[!is.na(d$value), , drop = FALSE]
  d$measure <- factor(d$measure, names(measures))
  place <- nrow(x) + 1L - match(d$fit, x$fit)
  full <- factor("coverage of intervals", names(measures))
  full <- full[full %in% names(measures)]
  picture(d, list(
    ink("rule", value = 0, along = "x", colour = plot_colour[["zero"]]),
    ink("rule", value = rep(1, length(full)), along = "x", panel = full, lty = 2,
      colour = plot_colour[["zero"]]),
    ink("interval", y = place, low = pmin(d$value, 0), high = pmax(d$value, 0), along = "x",
      panel = d$measure, colour = plot_colour[["bar"]], width = 1),
    ink("point", x = d$value, y = place, panel = d$measure)
  ), "", panels = levels(d$measure), free = "x", ticks = list(y = data.frame(
    at = rev(seq_len(nrow(x))), label = x$fit, keep = FALSE)))
}
