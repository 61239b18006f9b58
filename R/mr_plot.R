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
#' @param dat A harmonised data.frame, as for [mr_estimate()].
#' @param results What [mr_estimate()] gave for it. Methods without an intercept draw a line through
#'   the origin.
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
  if (!is.data.frame(results) || !all(c("id.exposure", "id.outcome", "method", "b") %in%
    names(results))) {
    stop_argument("results", "must be what mr_estimate() returned", describe(results))
  }
  frame <- mr_frame(dat)
  e <- frame$effects
  sign <- ifelse(e$bx < 0, -1, 1)
  points <- data.frame(
    pair = rep(pair_label(frame$pairs), diff(frame$start)), x = sign * e$bx, y = sign * e$by,
    se.x = e$sx, se.y = e$sy
  )
  intercept <- results$intercept
  lines <- data.frame(
    pair = pair_label(results), method = as.character(results$method), slope = results$b,
    intercept = if (is.null(intercept)) 0 else ifelse(is.na(intercept), 0, intercept)
  )
  lines <- lines[!is.na(lines$slope) & lines$pair %in% points$pair, , drop = FALSE]
  structure(list(points = points, lines = lines), class = "mr_scatter")
}

pair_label <- function(d) {
  paste(d$exposure, "on", d$outcome)
}

#' @export
print.mr_scatter <- function(x, ...) {
  cat("A scatter plot of", nrow(x$points), "variants and", nrow(x$lines),
    "lines: plot() or ggplot2::autoplot() draws it\n")
  invisible(x)
}

method_colours <- function(methods) {
  stats::setNames(grDevices::hcl.colors(max(length(methods), 2L), "Dark 3")[seq_along(methods)],
    methods)
}

# One panel per pair, laid out in a near-square grid; the layout is put back.
draw_panels <- function(pairs, draw) {
  if (length(pairs) > 1L) {
    columns <- ceiling(sqrt(length(pairs)))
    old <- graphics::par(mfrow = c(ceiling(length(pairs) / columns), columns))
    on.exit(graphics::par(old))
  }
  for (pair in pairs) {
    draw(pair)
  }
}

#' @rdname mr_plots
#' @export
plot.mr_scatter <- function(x, conf_level = 0.95, ...) {
  half <- stats::qnorm((1 + check_conf_level(conf_level)) / 2)
  colours <- method_colours(unique(x$lines$method))
  pairs <- unique(x$points$pair)
  draw_panels(pairs, function(pair) {
    d <- x$points[x$points$pair == pair, ]
    lines <- x$lines[x$lines$pair == pair, ]
    settings <- utils::modifyList(
      list(x = d$x, y = d$y, xlim = range(0, d$x + half * d$se.x),
        ylim = range(0, d$y - half * d$se.y, d$y + half * d$se.y), pch = 19, cex = 0.7,
        xlab = "effect on exposure", ylab = "effect on outcome", main = pair, las = 1, bty = "l"),
      list(...)
    )
    do.call(graphics::plot.default, settings)
    graphics::segments(d$x - half * d$se.x, d$y, d$x + half * d$se.x, d$y, col = "grey70")
    graphics::segments(d$x, d$y - half * d$se.y, d$x, d$y + half * d$se.y, col = "grey70")
    graphics::points(d$x, d$y, pch = 19, cex = 0.7)
    for (i in seq_len(nrow(lines))) {
      graphics::abline(lines$intercept[i], lines$slope[i], col = colours[lines$method[i]], lwd = 2)
    }
    if (nrow(lines)) {
      graphics::legend("topleft", lines$method, col = colours[lines$method], lwd = 2, bty = "n",
        cex = 0.7)
    }
  })
  invisible(x)
}

#' @rdname mr_plots
#' @exportS3Method ggplot2::autoplot
autoplot.mr_scatter <- function(object, conf_level = 0.95, ...) {
  check_no_dots(...)
  half <- stats::qnorm((1 + check_conf_level(conf_level)) / 2)
  ggplot2::ggplot(object$points, ggplot2::aes(x = .data$x, y = .data$y)) +
    ggplot2::geom_errorbar(
      ggplot2::aes(ymin = .data$y - half * .data$se.y, ymax = .data$y + half * .data$se.y),
      colour = "grey75", width = 0
    ) +
    ggplot2::geom_errorbarh(
      ggplot2::aes(xmin = .data$x - half * .data$se.x, xmax = .data$x + half * .data$se.x),
      colour = "grey75", height = 0
    ) +
    ggplot2::geom_point() +
    ggplot2::geom_abline(
      ggplot2::aes(intercept = .data$intercept, slope = .data$slope, colour = .data$method),
      data = object$lines, linewidth = 0.8, show.legend = TRUE
    ) +
    ggplot2::facet_wrap(~pair, scales = "free") +
    ggplot2::scale_colour_manual(values = method_colours(unique(object$lines$method))) +
    ggplot2::expand_limits(x = 0, y = 0) +
    ggplot2::labs(x = "effect on exposure", y = "effect on outcome", colour = NULL) +
    ggplot2::theme_minimal() +
    ggplot2::theme(legend.position = "bottom")
}

# Rows of mr_single_snp() and mr_leave_one_out() with intervals; the summary rows come last.
interval_rows <- function(x, conf_level) {
  half <- stats::qnorm((1 + check_conf_level(conf_level)) / 2)
  d <- as.data.frame(x)
  d$pair <- pair_label(d)
  d$summary <- attr(x, "summary")
  d$conf.low <- d$b - half * d$se
  d$conf.high <- d$b + half * d$se
  d <- d[!is.na(d$b), , drop = FALSE]
  d[order(d$pair, !d$summary, d$b), , drop = FALSE]
}

draw_interval_rows <- function(d, ...) {
  draw_panels(unique(d$pair), function(pair) {
    rows <- d[d$pair == pair, ]
    at <- seq_len(nrow(rows))
    colour <- ifelse(rows$summary, "#b3331d", plot_colour[["line"]])
    old <- graphics::par(mar = c(4, min(1 + 0.45 * max(nchar(rows$SNP)), 14), 2, 1))
    on.exit(graphics::par(old))
    settings <- utils::modifyList(
      list(x = range(0, rows$conf.low, rows$conf.high), y = c(0.5, nrow(rows) + 0.5), type = "n",
        xlab = "effect on the outcome per unit of exposure", ylab = "", yaxt = "n", main = pair,
        bty = "n"),
      list(...)
    )
    do.call(graphics::plot.default, settings)
    graphics::abline(v = 0, lty = 2, col = plot_colour["zero"])
    graphics::segments(rows$conf.low, at, rows$conf.high, at, col = colour, lwd = 1.5)
    graphics::points(rows$b, at, pch = 19, cex = 0.7, col = colour)
    graphics::axis(2, at, rows$SNP, las = 1, tick = FALSE,
      cex.axis = max(0.35, min(0.8, 24 / nrow(rows))))
  })
}

ggplot_interval_rows <- function(d) {
  # Names recur between pairs: levels are unique, labels are the variants' names.
  d$key <- factor(paste(d$pair, d$SNP), levels = unique(paste(d$pair, d$SNP)))
  ggplot2::ggplot(d, ggplot2::aes(x = .data$b, y = .data$key, colour = .data$summary)) +
    ggplot2::geom_vline(xintercept = 0, linetype = 2, colour = plot_colour[["zero"]]) +
    ggplot2::geom_linerange(ggplot2::aes(xmin = .data$conf.low, xmax = .data$conf.high)) +
    ggplot2::geom_point(size = 1.2) +
    ggplot2::facet_wrap(~pair, scales = "free") +
    ggplot2::scale_y_discrete(labels = stats::setNames(d$SNP, d$key)) +
    ggplot2::scale_colour_manual(values = c(`FALSE` = plot_colour[["line"]], `TRUE` = "#b3331d"),
      guide = "none") +
    ggplot2::labs(x = "effect on the outcome per unit of exposure", y = NULL) +
    ggplot2::theme_minimal()
}

#' @rdname mr_plots
#' @export
plot.mr_single_snp <- function(x, type = c("forest", "funnel"), conf_level = 0.95, ...) {
  type <- check_choice(type, c("forest", "funnel"))
  d <- interval_rows(x, conf_level)
  if (type == "forest") draw_interval_rows(d, ...) else draw_funnel(d, ...)
  invisible(d)
}

#' @rdname mr_plots
#' @exportS3Method ggplot2::autoplot
autoplot.mr_single_snp <- function(object, type = c("forest", "funnel"), conf_level = 0.95, ...) {
  check_no_dots(...)
  type <- check_choice(type, c("forest", "funnel"))
  d <- interval_rows(object, conf_level)
  if (type == "forest") ggplot_interval_rows(d) else ggplot_funnel(d)
}

#' @rdname mr_plots
#' @export
plot.mr_leave_one_out <- function(x, conf_level = 0.95, ...) {
  d <- interval_rows(x, conf_level)
  draw_interval_rows(d, ...)
  invisible(d)
}

#' @rdname mr_plots
#' @exportS3Method ggplot2::autoplot
autoplot.mr_leave_one_out <- function(object, conf_level = 0.95, ...) {
  check_no_dots(...)
  ggplot_interval_rows(interval_rows(object, conf_level))
}

draw_funnel <- function(d, ...) {
  draw_panels(unique(d$pair), function(pair) {
    rows <- d[d$pair == pair & !d$summary, ]
    all <- d[d$pair == pair & d$summary, ]
    settings <- utils::modifyList(
      list(x = rows$b, y = 1 / rows$se, pch = 19, cex = 0.8, xlim = range(rows$b, all$b),
        ylim = c(0, max(1 / rows$se)), xlab = "effect of a single variant",
        ylab = "1 / standard error", main = pair, las = 1, bty = "l"),
      list(...)
    )
    do.call(graphics::plot.default, settings)
    colours <- method_colours(all$SNP)
    graphics::abline(v = all$b, col = colours, lwd = 2)
    if (nrow(all)) {
      graphics::legend("topleft", all$SNP, col = colours, lwd = 2, bty = "n", cex = 0.7)
    }
  })
}

ggplot_funnel <- function(d) {
  ggplot2::ggplot(d[!d$summary, ], ggplot2::aes(x = .data$b, y = 1 / .data$se)) +
    ggplot2::geom_vline(ggplot2::aes(xintercept = .data$b, colour = .data$SNP),
      data = d[d$summary, ], linewidth = 0.8) +
    ggplot2::geom_point() +
    ggplot2::facet_wrap(~pair, scales = "free") +
    ggplot2::expand_limits(y = 0) +
    ggplot2::labs(x = "effect of a single variant", y = "1 / standard error", colour = NULL) +
    ggplot2::theme_minimal() +
    ggplot2::theme(legend.position = "bottom")
}
