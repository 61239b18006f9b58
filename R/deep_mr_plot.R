# Plots of deep_mr() results. plot() draws with base graphics, ggplot2::autoplot() gives a ggplot.

#' Plots of Deep MR
#'
#' `"scatter"`: effects on the outcome against those on the exposure, with both standard errors, and
#' the slope, one panel per sequence; `"forest"`: local effects with intervals, sorted; `"density"`:
#' how local effects are distributed, with the mean effect and its interval; `"global"`: mean
#' effects by every way; `"calibration"`: errors of slopes in measured pairs against their noise,
#' with the mean error and, dotted, the spread beyond the noise.
#'
#' @param x,object What [deep_mr()] or [deep_mr_effects()] returned.
#' @param type What to draw, see above.
#' @param sequences For `"scatter"` and `"forest"`: names of sequences; `NULL`: for `"scatter"` the
#'   four with most instruments, for `"forest"` at most 40, evenly along the order of estimates.
#' @param method Which local effects; `NULL`: the first method of the result.
#' @param ... For `plot()`: graphical parameters passed to [graphics::plot.default()].
#' @return `plot()`: the data.frame drawn, invisibly. `autoplot()`: a ggplot. Raises
#'   `mrlearn_error_argument` where the result does not have what is to be drawn.
#' @examples
#' set.seed(1)
#' effects <- expand.grid(position = 1:30, sequence = c("a", "b"))
#' effects <- rbind(cbind(effects, output = "x"), cbind(effects, output = "y"))
#' effects$effect <- rnorm(120)
#' y <- effects$output == "y"
#' effects$effect[y] <- 0.5 * effects$effect[!y] + rnorm(60, sd = 0.1)
#' effects$std.error <- 0.1
#' result <- deep_mr_effects(effects, "x", "y")
#' plot(result, "scatter")
#' plot(result, "global")
#' @export
plot.deep_mr <- function(x, type = c("forest", "scatter", "density", "global", "calibration"),
                         sequences = NULL, method = NULL, ...) {
  drawn <- deep_plot_data(x, type, sequences, method)
  switch(drawn$type,
    scatter = draw_deep_scatter(drawn, ...), density = draw_deep_density(drawn, ...),
    calibration = draw_deep_calibration(drawn, ...), draw_intervals(drawn, ...)
  )
  invisible(drawn$data)
}

#' @rdname plot.deep_mr
#' @exportS3Method ggplot2::autoplot
autoplot.deep_mr <- function(object, type = c("forest", "scatter", "density", "global",
                               "calibration"),
                             sequences = NULL, method = NULL, ...) {
  check_no_dots(...)
  drawn <- deep_plot_data(object, type, sequences, method)
  switch(drawn$type,
    scatter = ggplot_deep_scatter(drawn), density = ggplot_deep_density(drawn),
    calibration = ggplot_deep_calibration(drawn), ggplot_intervals(drawn)
  )
}

# What is drawn: data.frame, labels, and what else a type needs.
deep_plot_data <- function(x, type, sequences, method) {
  type <- check_choice(type, c("forest", "scatter", "density", "global", "calibration"), "type")
  local <- deep_plot_local(x, method)
  title <- paste("Effect of", x$exposure, "on", x$outcome)
  main <- x$global[x$global$main, ]
  c(list(type = type, title = title), switch(type,
    forest = list(data = forest_rows(local, sequences), xlab = "local effect"),
    density = list(data = local, main = main, xlab = "local effect"),
    global = list(data = global_intervals(x), xlab = "mean effect"),
    scatter = scatter_rows(x, local, sequences),
    calibration = calibration_rows(x)
  ))
}

deep_plot_local <- function(x, method) {
  known <- unique(x$local$method)
  method <- if (is.null(method)) known[1] else check_choice(method, known, "method")
  local <- x$local[x$local$method == method & !is.na(x$local$estimate), ]
  if (!nrow(local)) {
    stop_argument("x", "must have a sequence with an effect", "none", what = "data")
  }
  local
}

check_plot_sequences <- function(sequences, local) {
  if (!all(sequences %in% local$sequence)) {
    stop_argument("sequences", "must be names of sequences with an effect",
      describe(setdiff(sequences, local$sequence)[1]))
  }
  sequences
}

forest_rows <- function(local, sequences) {
  if (is.null(sequences)) {
    sorted <- local$sequence[order(local$estimate)]
    sequences <- sorted[unique(round(seq(1, length(sorted), length.out = 40)))]
  }
  check_plot_sequences(sequences, local)
  rows <- local[match(sequences, local$sequence), ]
  rows <- rows[order(-rows$estimate), ]
  data.frame(term = rows$sequence, rows[c("estimate", "conf.low", "conf.high")])
}

global_intervals <- function(x) {
  d <- tidy(x, conf.int = TRUE)
  if (!nrow(d)) {
    stop_argument("type", "\"global\" needs a mean effect", "none", what = "data")
  }
  d[c("term", "estimate", "conf.low", "conf.high")]
}

scatter_rows <- function(x, local, sequences) {
  if (is.null(sequences)) {
    sequences <- utils::head(local$sequence[order(-local$n_instruments)], 4)
  }
  check_plot_sequences(sequences, local)
  points <- x$effects[x$effects$sequence %in% sequences & x$effects$instrument, ]
  points$sequence <- factor(points$sequence, sequences)
  for (name in c("se.exposure", "se.outcome")) {
    points[[name]][is.na(points[[name]])] <- 0
  }
  at <- match(sequences, local$sequence)
  intercept <- local$intercept[at]
  lines <- data.frame(sequence = factor(sequences, sequences), slope = local$estimate[at],
    intercept = ifelse(is.na(intercept), 0, intercept))
  list(data = points, lines = lines, xlab = paste("effect on", x$exposure),
    ylab = paste("effect on", x$outcome))
}

calibration_rows <- function(x) {
  if (is.null(x$calibration)) {
    stop_argument("type", "\"calibration\" needs intervals by measured pairs", x$interval)
  }
  list(data = x$calibration$errors, delta = x$calibration$delta,
    spread = sqrt(x$calibration$psi))
}

draw_deep_scatter <- function(drawn, ...) {
  draw_panels(levels(drawn$data$sequence), function(id) {
    d <- drawn$data[drawn$data$sequence == id, ]
    line <- drawn$lines[drawn$lines$sequence == id, ]
    x <- d$beta.exposure
    y <- d$beta.outcome
    open_panel(id, x = range(0, x - d$se.exposure, x + d$se.exposure), xlab = drawn$xlab,
      y = range(0, y - d$se.outcome, y + d$se.outcome), ylab = drawn$ylab, given = list(...))
    graphics::abline(h = 0, v = 0, col = plot_colour[["zero"]], lty = 3)
    graphics::segments(x - d$se.exposure, y, x + d$se.exposure, y, col = "grey75")
    graphics::segments(x, y - d$se.outcome, x, y + d$se.outcome, col = "grey75")
    graphics::points(x, y, pch = 19, cex = 0.7)
    graphics::abline(line$intercept, line$slope, col = plot_colour[["line"]], lwd = 2)
  })
}

ggplot_deep_scatter <- function(drawn) {
  ggplot2::ggplot(drawn$data, ggplot2::aes(x = .data$beta.exposure, y = .data$beta.outcome)) +
    ggplot2::geom_hline(yintercept = 0, linetype = 3, colour = plot_colour[["zero"]]) +
    ggplot2::geom_vline(xintercept = 0, linetype = 3, colour = plot_colour[["zero"]]) +
    ggplot2::geom_linerange(ggplot2::aes(ymin = .data$beta.outcome - .data$se.outcome,
      ymax = .data$beta.outcome + .data$se.outcome), colour = "grey75") +
    ggplot2::geom_linerange(ggplot2::aes(xmin = .data$beta.exposure - .data$se.exposure,
      xmax = .data$beta.exposure + .data$se.exposure), colour = "grey75") +
    ggplot2::geom_point() +
    ggplot2::geom_abline(ggplot2::aes(intercept = .data$intercept, slope = .data$slope),
      data = drawn$lines, colour = plot_colour[["line"]], linewidth = 0.8) +
    ggplot2::facet_wrap(~sequence, scales = "free") +
    ggplot2::labs(x = drawn$xlab, y = drawn$ylab, title = drawn$title) +
    ggplot_look()
}

# The density of one value is a spike.
effect_density <- function(estimate) {
  if (length(estimate) < 2L) list(x = rep(estimate, 2), y = c(0, 1)) else stats::density(estimate)
}

draw_deep_density <- function(drawn, ...) {
  estimate <- drawn$data$estimate
  line <- effect_density(estimate)
  settings <- utils::modifyList(
    list(x = line$x, y = line$y, type = "l", lwd = 2, col = plot_colour[["line"]],
      xlab = drawn$xlab, ylab = "density", main = drawn$title, las = 1, bty = "l"), list(...)
  )
  do.call(graphics::plot.default, settings)
  if (nrow(drawn$main)) {
    box <- graphics::par("usr")
    graphics::rect(drawn$main$conf.low, box[3], drawn$main$conf.high, box[4], border = NA,
      col = plot_colour[["band"]])
    graphics::abline(v = drawn$main$estimate, lty = 2, col = plot_colour[["line"]])
  }
  graphics::rug(thin_rug(estimate), ticksize = 0.02, col = "grey40")
}

ggplot_deep_density <- function(drawn) {
  line <- as.data.frame(effect_density(drawn$data$estimate)[c("x", "y")])
  mean_effect <- if (nrow(drawn$main)) {
    list(
      ggplot2::annotate("rect", xmin = drawn$main$conf.low, xmax = drawn$main$conf.high,
        ymin = -Inf, ymax = Inf, fill = plot_colour[["line"]], alpha = 0.2),
      ggplot2::geom_vline(xintercept = drawn$main$estimate, linetype = 2,
        colour = plot_colour[["line"]])
    )
  }
  ggplot2::ggplot(line, ggplot2::aes(x = .data$x, y = .data$y)) +
    mean_effect +
    ggplot2::geom_line(colour = plot_colour[["line"]], linewidth = 0.9) +
    ggplot2::geom_rug(ggplot2::aes(x = .data$x, y = NULL),
      data = data.frame(x = thin_rug(drawn$data$estimate)), sides = "b", alpha = 0.3) +
    ggplot2::labs(x = drawn$xlab, y = "density", title = drawn$title) +
    ggplot2::theme_minimal()
}

draw_deep_calibration <- function(drawn, ...) {
  d <- drawn$data
  settings <- utils::modifyList(
    list(x = d$noise.sd, y = d$error, xlab = "standard deviation of the noise",
      ylab = "measured error of the slope", main = drawn$title, las = 1, bty = "l", pch = 19),
    list(...)
  )
  do.call(graphics::plot.default, settings)
  graphics::abline(h = drawn$delta + c(-1, 0, 1) * drawn$spread, lty = c(3, 1, 3),
    col = plot_colour[["line"]])
  graphics::abline(h = 0, lty = 2, col = plot_colour[["zero"]])
}

ggplot_deep_calibration <- function(drawn) {
  ggplot2::ggplot(drawn$data, ggplot2::aes(x = .data$noise.sd, y = .data$error)) +
    ggplot2::geom_hline(yintercept = 0, linetype = 2, colour = plot_colour[["zero"]]) +
    ggplot2::geom_hline(yintercept = drawn$delta + c(-1, 0, 1) * drawn$spread,
      linetype = c(3, 1, 3), colour = plot_colour[["line"]]) +
    ggplot2::geom_point() +
    ggplot2::labs(x = "standard deviation of the noise", y = "measured error of the slope",
      title = drawn$title) +
    ggplot2::theme_minimal()
}
