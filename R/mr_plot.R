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
#' arrow (forest, leave-one-out) or a triangle at the edge (funnel).
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

# Okabe and Ito's colours, told apart by the colour-blind, and as many more as are needed.
method_colours <- function(methods) {
  colours <- c("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
  more <- max(0, length(methods) - length(colours))
  colours <- c(colours, grDevices::hcl.colors(max(more, 1), "Dark 3"))
  stats::setNames(colours[seq_along(methods)], methods)
}

# One panel per pair, up to three side by side, more in a near-square grid; the layout is put back.
# A legend of several panels has a place of its own after them.
draw_panels <- function(pairs, draw, legend = NULL) {
  old <- graphics::par(no.readonly = TRUE)[c("mfrow", "mar")]
  on.exit(graphics::par(old))
  several <- length(pairs) > 1L
  cells <- length(pairs) + (several && !is.null(legend))
  if (several) {
    columns <- if (cells <= 3L) cells else ceiling(sqrt(cells))
    graphics::par(mfrow = c(ceiling(cells / columns), columns))
  }
  for (pair in pairs) {
    corner <- draw(pair)
    if (!several && !is.null(legend)) {
      legend(corner)
    }
  }
  if (cells > length(pairs)) {
    graphics::par(mar = rep(0, 4))
    graphics::plot.new()
    legend("center")
  }
}

# What draws the legend of some methods at a place; NULL without methods.
method_legend <- function(colours) {
  if (length(colours)) {
    function(place) {
      graphics::legend(place, sub("^All - ", "", names(colours)), col = colours, lwd = 2, cex = 0.9,
        bg = grDevices::adjustcolor("white", 0.7), box.col = NA, inset = 0.02)
    }
  }
}

# Long titles on several lines.
panel_title <- function(pair) {
  width <- graphics::par("pin")[1] / graphics::strwidth("n", "inches", cex = 1.2)
  paste(strwrap(pair, max(20, width)), collapse = "\n")
}

# Empty axes over the data, with the user's settings before ours.
open_panel <- function(pair, ..., given) {
  settings <- utils::modifyList(
    list(..., type = "n", main = panel_title(pair), cex.main = 1, las = 1, bty = "l"), given
  )
  do.call(graphics::plot.default, settings)
}

# Name of the corner of the panel with the fewest points.
free_corner <- function(x, y) {
  box <- graphics::par("usr")
  right <- (x - box[1]) / (box[2] - box[1])
  up <- (y - box[3]) / (box[4] - box[3])
  corners <- c(
    topleft = sum(right < 0.45 & up > 0.65), bottomright = sum(right > 0.55 & up < 0.35),
    topright = sum(right > 0.55 & up > 0.65), bottomleft = sum(right < 0.45 & up < 0.35)
  )
  names(which.min(corners))
}

#' @rdname mr_plots
#' @export
plot.mr_scatter <- function(x, conf_level = 0.95, ...) {
  half <- stats::qnorm((1 + check_conf_level(conf_level)) / 2)
  colours <- method_colours(unique(x$lines$method))
  draw_panels(levels(droplevels(x$points$pair)), function(pair) {
    d <- x$points[x$points$pair == pair, ]
    lines <- x$lines[x$lines$pair %in% pair, ]
    open_panel(pair, x = range(0, d$x + half * d$se.x), xlab = "effect on exposure",
      y = range(0, d$y - half * d$se.y, d$y + half * d$se.y), ylab = "effect on outcome",
      given = list(...))
    graphics::abline(h = 0, v = 0, col = plot_colour[["zero"]], lty = 3)
    graphics::segments(d$x - half * d$se.x, d$y, d$x + half * d$se.x, d$y, col = "grey75")
    graphics::segments(d$x, d$y - half * d$se.y, d$x, d$y + half * d$se.y, col = "grey75")
    graphics::points(d$x, d$y, pch = 19, cex = 0.7)
    for (i in seq_len(nrow(lines))) {
      graphics::abline(lines$intercept[i], lines$slope[i], col = colours[lines$method[i]], lwd = 2)
    }
    free_corner(d$x, d$y)
  }, method_legend(colours))
  invisible(x)
}

#' @rdname mr_plots
#' @exportS3Method ggplot2::autoplot
autoplot.mr_scatter <- function(object, conf_level = 0.95, ...) {
  check_no_dots(...)
  half <- stats::qnorm((1 + check_conf_level(conf_level)) / 2)
  methods <- unique(object$lines$method)
  object$lines$method <- factor(object$lines$method, methods)
  ggplot2::ggplot(object$points, ggplot2::aes(x = .data$x, y = .data$y)) +
    ggplot2::geom_hline(yintercept = 0, linetype = 3, colour = plot_colour[["zero"]]) +
    ggplot2::geom_vline(xintercept = 0, linetype = 3, colour = plot_colour[["zero"]]) +
    ggplot2::geom_linerange(
      ggplot2::aes(ymin = .data$y - half * .data$se.y, ymax = .data$y + half * .data$se.y),
      colour = "grey75"
    ) +
    ggplot2::geom_linerange(
      ggplot2::aes(xmin = .data$x - half * .data$se.x, xmax = .data$x + half * .data$se.x),
      colour = "grey75"
    ) +
    ggplot2::geom_point() +
    ggplot2::geom_abline(
      ggplot2::aes(intercept = .data$intercept, slope = .data$slope, colour = .data$method),
      data = object$lines, linewidth = 0.8
    ) +
    pair_facets() +
    ggplot2::scale_colour_manual(values = method_colours(methods)) +
    ggplot2::labs(x = "effect on exposure", y = "effect on outcome", colour = NULL) +
    ggplot_look()
}

pair_facets <- function() {
  ggplot2::facet_wrap(~pair, scales = "free", labeller = ggplot2::label_wrap_gen(40))
}

ggplot_look <- function() {
  list(
    ggplot2::theme_minimal(),
    ggplot2::theme(legend.position = "bottom", panel.spacing = ggplot2::unit(1.2, "lines")),
    ggplot2::guides(colour = ggplot2::guide_legend(ncol = 2))
  )
}
