# Plots of summary-data MR: scatter, forest, funnel, leave-one-out. plot() draws with base graphics,
# ggplot2::autoplot() gives a ggplot; several pairs make several panels.

#' Plots of summary-data Mendelian randomization
#'
#' `mr_scatter()` puts together what a scatter plot shows: effects on the outcome against effects on
#' the exposure (each variant by the allele that raises the exposure) with a line per method.
#' Forest and funnel plots are those of [mr_single_snp()], leave-one-out plots those of
#' [mr_leave_one_out()]. All of them are drawn by `plot()` in base graphics and by
#' `ggplot2::autoplot()`, one panel for each exposure-outcome pair.
#'
#' Names of variants are left out where they are too many to be read. Variants whose standard error
#' is above five times the median do not widen the axis: what of them lies beyond is marked by an
#' arrow (forest, leave-one-out) or a triangle at the edge (funnel). Estimates of methods are drawn
#' by [mr_forest()].
#'
#' @param dat A harmonised data.frame, as for [mr_estimate()].
#' @param results What [mr_estimate()] or TwoSampleMR's `mr()` gave for it. A method's line goes
#'   through the origin, but for MR Egger's; an intercept that the results do not have is that of
#'   the slope. The sign concordance test has no line.
#' @param x,object What is to be drawn.
#' @param type `"forest"`: estimate and interval of each variant; `"funnel"`: precision against
#'   estimate, symmetric unless small effects are biased.
#' @param conf_level Level of the intervals.
#' @param ... For `plot()`: passed to [graphics::plot.default()].
#' @return `mr_scatter()`: a list of class `mr_scatter` with the data.frames `points` and `lines`.
#'   `plot()`: the data drawn, invisibly. `autoplot()`: a ggplot.
#' @examples
#' ldl <- subset(lipid_chd, exposure == "LDL")
#' res <- mr_estimate(ldl, c("mr_ivw", "mr_egger_regression", "mr_weighted_median"), seed = 1)
#' plot(mr_scatter(ldl, res))
#' plot(mr_single_snp(ldl), "funnel")
#' @name mr_plots
NULL

#' @rdname mr_plots
#' @export
mr_scatter <- function(dat, results) {
  check_results(results, c("id.exposure", "id.outcome", "method", "b"))
  frame <- mr_frame(dat)
  if (!length(frame$row)) {
    stop_argument("dat", "must have variants that can be used", "none", what = "data")
  }
  e <- frame$effects
  label <- pair_label(frame$pairs)
  pair <- factor(rep(label, diff(frame$start)), label)
  turn <- ifelse(e$bx < 0, -1, 1)
  points <- data.frame(pair, x = turn * e$bx, y = turn * e$by, se.x = e$sx, se.y = e$sy)
  lines <- data.frame(
    pair = factor(label[match(pair_key(results), pair_key(frame$pairs))], label),
    method = as.character(results$method), slope = mr_numbers(results, "b", "results"),
    intercept = if (is.null(results[["intercept"]])) NA_real_ else results[["intercept"]]
  )
  lines <- lines[is.finite(lines$slope) & lines$pair %in% pair &
    lines$method != "Sign concordance test", , drop = FALSE]
  lines$intercept <- line_intercepts(lines, points)
  structure(list(points = points, lines = lines), class = "mr_scatter")
}

pair_key <- function(d) {
  paste(d$id.exposure, d$id.outcome, sep = "\r")
}

# Exposure and outcome of each row, with the ids where pairs of other ids have the same names.
pair_label <- function(d) {
  label <- paste(d$exposure, "on", d$outcome)
  each <- !duplicated(pair_key(d))
  shared <- label %in% label[each][duplicated(label[each])]
  ifelse(shared, paste0(label, " (", d$id.exposure, ", ", d$id.outcome, ")"), label)
}

# Known ones, else what MR Egger's slope leaves on the average, else 0.
line_intercepts <- function(lines, points) {
  vapply(seq_len(nrow(lines)), function(i) {
    if (!startsWith(lines$method[i], "MR Egger")) {
      return(0)
    }
    if (!is.na(lines$intercept[i])) {
      return(lines$intercept[i])
    }
    d <- points[points$pair == lines$pair[i], ]
    stats::weighted.mean(d$y - lines$slope[i] * d$x, 1 / d$se.y^2)
  }, 1)
}

#' @export
print.mr_scatter <- function(x, ...) {
  cat("A scatter plot of", nrow(x$points), "variants and", nrow(x$lines),
    "lines: plot() or ggplot2::autoplot() draws it\n")
  invisible(x)
}

#' @rdname mr_plots
#' @export
plot.mr_scatter <- function(x, conf_level = 0.95, ...) {
  draw_picture(mr_scatter_picture(x, conf_level), ...)
}

#' @rdname mr_plots
#' @exportS3Method ggplot2::autoplot
autoplot.mr_scatter <- function(object, conf_level = 0.95, ...) {
  check_no_dots(...)
  ggplot_picture(mr_scatter_picture(object, conf_level))
}

mr_scatter_picture <- function(x, conf_level) {
  half <- stats::qnorm((1 + check_conf_level(conf_level)) / 2)
  d <- x$points
  lines <- x$lines[x$lines$pair %in% d$pair, ]
  scatter_picture(
    data.frame(d[c("x", "y")], half.x = half * d$se.x, half.y = half * d$se.y, panel = d$pair),
    data.frame(lines[c("slope", "intercept")], panel = lines$pair,
      by = factor(lines$method, unique(lines$method))),
    paste0("effect on exposure per allele (bars: ", format(100 * conf_level), " % intervals)"),
    "effect on outcome per allele", data = d, value = x
  )
}
