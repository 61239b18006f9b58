# Plots of single-variant and leave-one-out tables: intervals by row, funnels.

# Rows of mr_single_snp() or mr_leave_one_out() that have an estimate, with intervals: pairs in
# order, in each the rows of all variants, then the variants by their estimates. `from`, `to` and
# `at` are what of interval and estimate lies in the window of the pair, see pair_windows().
interval_rows <- function(x, conf_level) {
  half <- stats::qnorm((1 + check_conf_level(conf_level)) / 2)
  check_mr_columns(x, c("exposure", "outcome", "id.exposure", "id.outcome", "SNP", "b", "se"), "x")
  label <- pair_label(x)
  d <- data.frame(
    pair = factor(label, unique(label)), SNP = x$SNP, b = x$b, se = x$se, summary = is_of_all(x),
    conf.low = x$b - half * x$se, conf.high = x$b + half * x$se
  )
  d <- d[!is.na(d$b) & !is.na(d$se), , drop = FALSE]
  if (!nrow(d)) {
    stop_argument("x", "must have estimates", "none", what = "data")
  }
  d$pair <- droplevels(d$pair)
  d <- d[order(d$pair, !d$summary, d$b), , drop = FALSE]
  window <- pair_windows(d)
  d$from <- pmin(pmax(d$conf.low, window$low), window$high)
  d$to <- pmin(pmax(d$conf.high, window$low), window$high)
  d$at <- pmin(pmax(d$b, window$low), window$high)
  d
}

# The part of the axis that each row's pair is drawn on: the intervals that are at most five times
# as wide as the median one, so that one weak variant does not push all others together.
pair_windows <- function(d) {
  sets <- d$se <= 5 * stats::ave(d$se, d$pair, FUN = stats::median) | d$summary
  low <- tapply(pmin(d$conf.low, 0)[sets], d$pair[sets], min)
  high <- tapply(pmax(d$conf.high, 0)[sets], d$pair[sets], max)
  list(low = low[as.character(d$pair)], high = high[as.character(d$pair)])
}

# Which rows are estimates from all variants.
is_of_all <- function(x) {
  x$SNP %in% if (inherits(x, "mr_leave_one_out")) "All" else paste("All -", mr_method_table()$label)
}

draw_interval_rows <- function(d, ...) {
  draw_panels(levels(d$pair), function(pair) {
    rows <- d[d$pair == pair, ]
    at <- row_places(rows$summary)
    names <- row_names(rows, panel_lines())
    margin <- max(graphics::strwidth(names$label, "inches", cex = names$size))
    graphics::par(mai = c(0.8, min(margin + 0.3, graphics::par("fin")[1] / 2), 0.6, 0.2))
    open_panel(pair, x = range(rows$from, rows$to), y = c(0, max(at) + 0.5),
      xlab = "effect on the outcome per unit of exposure", ylab = "", yaxt = "n", bty = "n",
      yaxs = "i", given = list(...))
    colour <- ifelse(rows$summary, summary_colour, plot_colour[["line"]])
    thin <- ifelse(rows$summary, 1, row_thinness(nrow(rows)))
    graphics::abline(v = 0, lty = 2, col = plot_colour[["zero"]])
    graphics::segments(rows$from, at, rows$to, at, col = colour, lwd = 1.5 * thin)
    graphics::points(rows$from, at, pch = ifelse(rows$from > rows$conf.low, "<", NA), col = colour)
    graphics::points(rows$to, at, pch = ifelse(rows$to < rows$conf.high, ">", NA), col = colour)
    graphics::points(rows$at, at, pch = ifelse(rows$at == rows$b, 19, NA),
      cex = ifelse(rows$summary, 1, 0.7 * thin), col = colour)
    for (size in unique(names$size)) {
      of_size <- names$size == size
      graphics::axis(2, at[of_size], names$label[of_size], las = 1, tick = FALSE, line = -0.5,
        cex.axis = size, gap.axis = 0)
    }
  })
}

summary_colour <- "#b3331d"

# Rows come one by one, but those of all variants, which are first, have at least a thirtieth of the
# panel each.
row_places <- function(summary) {
  step <- max(1, length(summary) / 30)
  places <- cumsum(ifelse(summary, step, 1))
  ifelse(summary, places - step / 2, places)
}

# What lines and points of variants are multiplied with where there are many.
row_thinness <- function(n) {
  max(0.25, min(1, 100 / n))
}

# How many lines of full-sized text a panel has room for.
panel_lines <- function() {
  graphics::par("fin")[2] / graphics::par("csi") - 6
}

# What rows are called, and how large (1: full size), where there is room for so many lines: names
# of variants shrink, and go where they could not be read.
row_names <- function(rows, lines) {
  size <- min(0.8, lines / nrow(rows))
  readable <- size >= 0.3
  list(
    label = ifelse(rows$summary | readable, sub("^All - ", "", rows$SNP), ""),
    size = ifelse(rows$summary & !readable, 0.7, max(size, 0.3))
  )
}

ggplot_interval_rows <- function(d) {
  d$label <- sub("^All - ", "", d$SNP)
  most <- max(table(d$pair))
  readable <- most <= 150L
  if (readable) {
    # Names recur between pairs: keys do not.
    key <- paste(d$pair, d$SNP, seq_len(nrow(d)))
    d$place <- factor(key, key)
    names <- ggplot2::scale_y_discrete(labels = stats::setNames(d$label, key))
  } else {
    d$place <- unlist(lapply(split(d$summary, d$pair), row_places), use.names = FALSE)
    names <- list(
      ggplot2::geom_text(ggplot2::aes(label = .data$label), d[d$summary, ], x = -Inf,
        hjust = -0.05),
      ggplot2::scale_y_continuous(breaks = NULL)
    )
  }
  thin <- row_thinness(most)
  inside <- d$at == d$b
  ggplot2::ggplot(d, ggplot2::aes(x = .data$at, y = .data$place, colour = .data$summary)) +
    ggplot2::geom_vline(xintercept = 0, linetype = 2, colour = plot_colour[["zero"]]) +
    ggplot2::geom_linerange(ggplot2::aes(xmin = .data$from, xmax = .data$to),
      linewidth = ifelse(d$summary, 0.5, 0.5 * thin)) +
    ggplot2::geom_point(ggplot2::aes(size = .data$summary), data = d[inside, ]) +
    ggplot2::geom_text(ggplot2::aes(x = .data$from), d[d$from > d$conf.low, ], label = "<") +
    ggplot2::geom_text(ggplot2::aes(x = .data$to), d[d$to < d$conf.high, ], label = ">") +
    names +
    pair_facets() +
    ggplot2::scale_colour_manual(
      values = c(`FALSE` = plot_colour[["line"]], `TRUE` = summary_colour)
    ) +
    ggplot2::scale_size_manual(values = c(`FALSE` = 1.1 * thin, `TRUE` = 1.8)) +
    ggplot2::labs(x = "effect on the outcome per unit of exposure", y = NULL) +
    ggplot_look() +
    ggplot2::theme(
      legend.position = "none", panel.grid.major.y = ggplot2::element_blank(),
      axis.text.y = ggplot2::element_text(size = min(9, 450 / most))
    )
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

# Triangles: estimates beyond the window.
draw_funnel <- function(d, ...) {
  colours <- method_colours(unique(d$SNP[d$summary]))
  draw_panels(levels(d$pair), function(pair) {
    rows <- d[d$pair == pair & !d$summary, ]
    all <- d[d$pair == pair & d$summary, ]
    open_panel(pair, x = range(rows$at, all$b), y = range(0, 1 / rows$se),
      xlab = "effect of a single variant", ylab = "1 / standard error", given = list(...))
    graphics::abline(v = all$b, col = colours[all$SNP], lwd = 2)
    graphics::points(rows$at, 1 / rows$se, pch = ifelse(rows$at == rows$b, 19, 2), cex = 0.8)
    free_corner(rows$at, 1 / rows$se)
  }, method_legend(colours))
}

ggplot_funnel <- function(d) {
  all <- d[d$summary, ]
  all$method <- factor(sub("^All - ", "", all$SNP), unique(sub("^All - ", "", all$SNP)))
  single <- d[!d$summary, ]
  ggplot2::ggplot(single, ggplot2::aes(x = .data$at, y = 1 / .data$se)) +
    ggplot2::geom_vline(ggplot2::aes(xintercept = .data$b, colour = .data$method), data = all,
      linewidth = 0.8) +
    ggplot2::geom_point(shape = ifelse(single$at == single$b, 19, 2)) +
    pair_facets() +
    ggplot2::expand_limits(y = 0) +
    ggplot2::scale_colour_manual(values = method_colours(levels(all$method))) +
    ggplot2::labs(x = "effect of a single variant", y = "1 / standard error", colour = NULL) +
    ggplot_look()
}
