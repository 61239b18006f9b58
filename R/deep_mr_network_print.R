# What deep_mr_network() results say, and their pictures.

#' @export
print.deep_mr_network <- function(x, digits = 3L, ...) {
  cat("Deep MR network: ", nrow(x$edges), " effects between ", length(x$outputs), " outputs\n",
    sep = "")
  cat("Called at a false discovery rate of ", format(100 * x$fdr), " %: ", sum(x$edges$called),
    "\n\nMean effects of rows on columns (* called):\n", sep = "")
  print(network_matrix(x, digits), quote = FALSE, right = TRUE)
  if (!is.null(x$direction) && any(x$direction$direction != "none")) {
    cat("\nDirections:\n")
    d <- x$direction[x$direction$direction != "none", ]
    print_table(d[c("a", "b", "effect.ab", "effect.ba", "direction", "asymmetry", "p.value")],
      digits)
  }
  if (!is.null(x$distance)) {
    cat("\nEffects by distance of the motifs (called edges):\n")
    print(distance_matrix(x, digits), quote = FALSE, right = TRUE)
  }
  invisible(x)
}

# Texts of effects, exposures in rows.
network_matrix <- function(x, digits) {
  e <- x$edges
  out <- matrix("", length(unique(e$exposure)), length(unique(e$outcome)),
    dimnames = list(unique(e$exposure), x$outputs[x$outputs %in% e$outcome]))
  out[cbind(e$exposure, e$outcome)] <- ifelse(is.na(e$estimate), "-",
    paste0(formatC(e$estimate, digits = digits, format = "fg", flag = "#"),
      ifelse(e$called, "*", " ")))
  out
}

distance_matrix <- function(x, digits) {
  d <- called_strata(x)
  edge <- paste(d$exposure, "on", d$outcome)
  out <- matrix("", length(unique(edge)), length(unique(d$stratum)),
    dimnames = list(unique(edge), unique(d$stratum)))
  out[cbind(edge, d$stratum)] <- ifelse(is.na(d$estimate), "-",
    formatC(d$estimate, digits = digits, format = "fg", flag = "#"))
  out
}

called_strata <- function(x) {
  key <- function(d) paste(d$exposure, d$outcome, sep = "\r")
  x$distance[key(x$distance) %in% key(x$edges[x$edges$called, ]), ]
}

#' Results of a Deep MR network
#'
#' `tidy()` gives data.frames. `plot()` in base graphics and `ggplot2::autoplot()` draw
#' `"effects"`, a heat map of all mean effects, called ones with a star, or `"distance"`, effects of
#' called edges by the distance of the motifs, with intervals.
#'
#' @param x,object What [deep_mr_network()] returned.
#' @param what `"edges"`, `"direction"`, `"distance"` or `"local"`.
#' @param conf.int Add `conf.low` and `conf.high` (to all but directions)?
#' @param type `"effects"` or `"distance"`.
#' @param ... For `plot()`: passed to [graphics::plot.default()]; else nothing.
#' @return `tidy()`: a data.frame with `term` (exposure -> outcome), `estimate`, `std.error`,
#'   `p.value` and what there is of each; of directions, the data.frame itself. `plot()`: the
#'   data.frame drawn, invisibly. `autoplot()`: a ggplot. Raises `mrlearn_error_argument` where
#'   there is nothing of what is asked.
#' @name deep_mr_network_results
#' @examples
#' effects <- expand.grid(output = c("a", "b", "c"), variant = 1:30, sequence = c("s", "t"))
#' set.seed(1)
#' x <- rep(rnorm(60), each = 3)
#' effects$effect <- x * c(1, 0.5, 0) + rnorm(180, sd = 0.1)
#' effects$std.error <- 0.1
#' net <- deep_mr_network(effects)
#' tidy(net, conf.int = TRUE)
#' plot(net)
NULL

#' @rdname deep_mr_network_results
#' @export
tidy.deep_mr_network <- function(x, what = c("edges", "direction", "distance", "local"),
                                 conf.int = FALSE, ...) {
  check_no_dots(...)
  what <- check_choice(what, c("edges", "direction", "distance", "local"))
  conf.int <- check_flag(conf.int)
  d <- x[[what]]
  if (is.null(d)) {
    stop_argument("what", paste0("\"", what, "\" is not there"), switch(what,
      distance = "a network without distances", "a network asked one way"))
  }
  if (what == "direction") {
    return(d)
  }
  first <- intersect(c("stratum", "sequence", "method", "distance", "estimate", "std.error",
    "statistic", "p.value", "q.value", "called", "n_sequences"), names(d))
  out <- cbind(term = paste(d$exposure, "->", d$outcome), d[first])
  if (conf.int) cbind(out, d[c("conf.low", "conf.high")]) else out
}

#' @rdname deep_mr_network_results
#' @export
plot.deep_mr_network <- function(x, type = c("effects", "distance"), ...) {
  drawn <- network_plot_data(x, type)
  if (drawn$type == "effects") draw_network(drawn, ...) else draw_strata(drawn, ...)
  invisible(drawn$data)
}

#' @rdname deep_mr_network_results
#' @exportS3Method ggplot2::autoplot
autoplot.deep_mr_network <- function(object, type = c("effects", "distance"), ...) {
  check_no_dots(...)
  drawn <- network_plot_data(object, type)
  if (drawn$type == "effects") ggplot_network(drawn) else ggplot_strata(drawn)
}

network_plot_data <- function(x, type) {
  type <- check_choice(type, c("effects", "distance"), "type")
  if (type == "effects") {
    d <- x$edges
    d$exposure <- factor(d$exposure, x$outputs[x$outputs %in% d$exposure])
    d$outcome <- factor(d$outcome, x$outputs[x$outputs %in% d$outcome])
    d$text <- ifelse(is.na(d$estimate), "", paste0(formatC(round(d$estimate, 2) + 0, digits = 2,
      format = "f"), ifelse(d$called, "*", "")))
    far <- max(abs(d$estimate), 1e-8, na.rm = TRUE)
    return(list(type = type, data = d, far = far))
  }
  d <- if (!is.null(x$distance)) called_strata(x)
  d <- d[!is.na(d$estimate), ]
  if (!NROW(d)) {
    stop_argument("type", "\"distance\" needs edges that are called and distances of motifs",
      "none")
  }
  edge <- paste(d$exposure, "->", d$outcome)
  list(type = type, data = cbind(edge = factor(edge, unique(edge)), d), breaks = x$distance)
}

draw_network <- function(drawn, ...) {
  d <- drawn$data
  rows <- nlevels(d$exposure)
  columns <- nlevels(d$outcome)
  z <- matrix(NA_real_, columns, rows)
  at <- cbind(as.integer(d$outcome), rows + 1L - as.integer(d$exposure))
  z[at] <- d$estimate
  margin <- function(names) min(1.5 + 0.55 * max(nchar(names)), 12)
  old <- graphics::par(mar = c(margin(levels(d$outcome)), margin(levels(d$exposure)) + 1, 2, 1))
  on.exit(graphics::par(old))
  settings <- utils::modifyList(list(x = seq_len(columns), y = seq_len(rows), z = z,
    zlim = c(-1, 1) * drawn$far, col = slope_colours(64), xaxt = "n", yaxt = "n", xlab = "",
    ylab = "", main = "mean effect of rows on columns, * called", cex.main = 1, bty = "n"),
    list(...))
  do.call(graphics::image, settings)
  graphics::axis(1, at = seq_len(columns), labels = levels(d$outcome), las = 2, tick = FALSE)
  graphics::axis(2, at = rev(seq_len(rows)), labels = levels(d$exposure), las = 1, tick = FALSE)
  graphics::text(at[, 1], at[, 2], d$text, col = ifelse(abs(d$estimate) > 0.6 * drawn$far &
    !is.na(d$estimate), "white", "black"), cex = min(1, 7 / columns))
}

draw_strata <- function(drawn, ...) {
  d <- drawn$data
  edges <- levels(d$edge)
  columns <- min(ceiling(sqrt(length(edges))), 4L)
  old <- graphics::par(mfrow = c(ceiling(length(edges) / columns), columns),
    mar = c(4, 4, 2, 0.8))
  on.exit(graphics::par(old))
  limits <- range(0, d$estimate, d$conf.low, d$conf.high, na.rm = TRUE)
  for (edge in edges) {
    one <- d[d$edge == edge, ]
    settings <- utils::modifyList(list(x = range(drawn$breaks$low, drawn$breaks$high), y = limits,
      type = "n", xlab = "distance of motifs", ylab = "mean effect", main = edge, cex.main = 1,
      las = 1, bty = "l"), list(...))
    do.call(graphics::plot.default, settings)
    graphics::abline(h = 0, col = plot_colour["zero"], lty = 2)
    graphics::lines(one$mean_distance, one$estimate, col = plot_colour["line"])
    graphics::segments(one$mean_distance, one$conf.low, one$mean_distance, one$conf.high,
      col = plot_colour["line"], lwd = 2)
    graphics::points(one$mean_distance, one$estimate, pch = 19, col = plot_colour["line"])
  }
}

ggplot_network <- function(drawn) {
  d <- drawn$data
  d$exposure <- factor(d$exposure, rev(levels(d$exposure)))
  d$strong <- !is.na(d$estimate) & abs(d$estimate) > 0.6 * drawn$far
  ggplot2::ggplot(d, ggplot2::aes(x = .data$outcome, y = .data$exposure, fill = .data$estimate)) +
    ggplot2::geom_tile(colour = "white") +
    ggplot2::geom_text(ggplot2::aes(label = .data$text, colour = .data$strong)) +
    ggplot2::scale_colour_manual(values = c(`FALSE` = "black", `TRUE` = "white"), guide = "none") +
    ggplot2::scale_fill_gradient2(low = "#2c5d9c", high = "#a03038",
      limits = c(-1, 1) * drawn$far) +
    ggplot2::labs(x = "outcome", y = "exposure", fill = "mean effect", caption = "* called") +
    ggplot2::theme_minimal() +
    ggplot2::theme(panel.grid = ggplot2::element_blank())
}

ggplot_strata <- function(drawn) {
  ggplot2::ggplot(drawn$data, ggplot2::aes(x = .data$mean_distance, y = .data$estimate)) +
    ggplot2::geom_hline(yintercept = 0, linetype = 2, colour = plot_colour[["zero"]]) +
    ggplot2::geom_line(colour = plot_colour[["line"]]) +
    ggplot2::geom_pointrange(ggplot2::aes(ymin = .data$conf.low, ymax = .data$conf.high),
      colour = plot_colour[["line"]]) +
    ggplot2::facet_wrap("edge") +
    ggplot2::labs(x = "distance of motifs", y = "mean effect") +
    ggplot2::theme_minimal()
}
