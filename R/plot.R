# Plots: ggplot2 through autoplot() where it is installed, base graphics through plot().

#' Plots of a fitted instrumental-variable model
#'
#' `"effect"` draws the mean outcome against the exposure set, with its interval and a rug of the
#' exposures seen; `"coefficients"` estimates and intervals of all coefficients but the constant;
#' `"first_stage"` the first-stage coefficients of the instruments with intervals. `plot()` uses
#' base
#' graphics, `ggplot2::autoplot()` gives a ggplot.
#'
#' @param x,object A fit of an `iv_*()` function.
#' @param type What to draw.
#' @param exposure The exposure variable, needed where there are several.
#' @param conf_level Level of the intervals.
#' @param ... For `plot()`: graphical parameters passed to [graphics::plot.default()].
#' @return `plot()`: the data.frame drawn, invisibly. `autoplot()`: a ggplot.
#' @examples
#' sim <- sim_contextual(n = 1000, L = 5)
#' fit <- iv_2sls(Y ~ X | G0 + G1 + G2 + G3 + G4, data = sim)
#' plot(fit)
#' plot(fit, "first_stage")
#' @export
plot.iv_fit <- function(x, type = c("effect", "coefficients", "first_stage"), exposure = NULL,
                        conf_level = 0.95, ...) {
  drawn <- plot_data(x, type, exposure, conf_level)
  if (drawn$type == "effect") {
    draw_band(drawn, ...)
  } else {
    draw_intervals(drawn, ...)
  }
  invisible(drawn$data)
}

#' @rdname plot.iv_fit
#' @exportS3Method ggplot2::autoplot
autoplot.iv_fit <- function(object, type = c("effect", "coefficients", "first_stage"),
                            exposure = NULL, conf_level = 0.95, ...) {
  check_no_dots(...)
  drawn <- plot_data(object, type, exposure, conf_level)
  if (drawn$type == "effect") ggplot_band(drawn) else ggplot_intervals(drawn)
}

# What is drawn: data.frame, labels, rug.
plot_data <- function(fit, type, exposure, conf_level) {
  type <- check_choice(type, c("effect", "coefficients", "first_stage"), "type")
  switch(type,
    effect = {
      exposure <- exposure_variable(fit, exposure)
      list(
        type = type, data = effect_curve(fit, exposure = exposure, conf_level = conf_level),
        xlab = exposure, ylab = paste0("E[", fit$outcome, " | do(", exposure, ")]"),
        rug = thin_rug(fit$model[[exposure]]), title = fit$estimator
      )
    },
    coefficients = {
      table <- tidy(fit, conf.int = TRUE, conf.level = conf_level)
      list(type = type, data = table[table$term != "(Intercept)", ], title = fit$estimator,
        xlab = paste("effect on", fit$outcome))
    },
    first_stage = {
      if (is.null(fit$first_stage)) {
        stop_argument("type", "\"first_stage\" needs a fit with instruments", fit$estimator)
      }
      table <- fit$first_stage[fit$first_stage$term %in% fit$instruments, ]
      half <- stats::qnorm((1 + check_conf_level(conf_level)) / 2) * table$std.error
      table$conf.low <- table$estimate - half
      table$conf.high <- table$estimate + half
      if (length(unique(table$exposure)) > 1L) {
        table$term <- paste(table$term, table$exposure, sep = ": ")
      }
      list(type = type, data = table, title = "First stage",
        xlab = paste("effect on", paste(unique(table$exposure), collapse = ", ")))
    }
  )
}

# At most 500 ticks, at quantiles, so that a million people do not fill the page.
thin_rug <- function(x) {
  if (length(x) <= 500L) x else stats::quantile(x, seq(0, 1, length.out = 500L), names = FALSE)
}

plot_colour <- c(line = "#1b5e8c", band = "#1b5e8c33", zero = "grey60")

draw_band <- function(drawn, ...) {
  d <- drawn$data
  settings <- utils::modifyList(
    list(x = range(d$x), y = range(d$estimate, d$conf.low, d$conf.high, na.rm = TRUE),
      type = "n", xlab = drawn$xlab, ylab = drawn$ylab, main = drawn$title, las = 1, bty = "l"),
    list(...)
  )
  do.call(graphics::plot.default, settings)
  graphics::polygon(c(d$x, rev(d$x)), c(d$conf.low, rev(d$conf.high)), col = plot_colour["band"],
    border = NA)
  graphics::lines(d$x, d$estimate, col = plot_colour["line"], lwd = 2)
  graphics::rug(drawn$rug, ticksize = 0.02, col = "grey40")
}

draw_intervals <- function(drawn, ...) {
  d <- drawn$data
  at <- rev(seq_len(nrow(d)))
  old <- graphics::par(mar = c(4.5, label_margin(d$term), 2.5, 1))
  on.exit(graphics::par(old))
  shown <- c(d$estimate, d$conf.low, d$conf.high, 0)
  settings <- utils::modifyList(
    list(x = range(shown[is.finite(shown)]),
      y = c(0.5, nrow(d) + 0.5), type = "n", xlab = drawn$xlab, ylab = "",
      yaxt = "n", main = drawn$title, bty = "n"),
    list(...)
  )
  do.call(graphics::plot.default, settings)
  graphics::abline(v = 0, col = plot_colour["zero"], lty = 2)
  graphics::segments(d$conf.low, at, d$conf.high, at, col = plot_colour["line"], lwd = 2)
  graphics::points(d$estimate, at, pch = 19, col = plot_colour["line"])
  draw_row_labels(at, d$term)
}

# Lines of margin for labels of rows: at most six tenths of the figure.
label_margin <- function(labels) {
  min(0.5 + 0.55 * max(nchar(as.character(labels))),
    0.6 * graphics::par("fin")[1] / graphics::par("csi"))
}

# Every row's label, small enough that rows do not touch (axis() would leave out those that do) and
# that the longest stays in the margin.
draw_row_labels <- function(at, labels) {
  per_row <- graphics::par("pin")[2] / (diff(graphics::par("usr")[3:4]) * graphics::par("cin")[2])
  widest <- max(graphics::strwidth(labels, units = "inches"))
  room <- (graphics::par("mai")[2] - 0.4 * graphics::par("csi")) / widest
  graphics::mtext(labels, side = 2, at = at, las = 1, line = 0.3,
    cex = graphics::par("cex") * min(0.9, room, max(0.2, 0.9 * per_row)))
}

ggplot_band <- function(drawn) {
  rug <- data.frame(x = drawn$rug)
  ribbon <- if (!all(is.na(drawn$data$conf.low))) {
    ggplot2::geom_ribbon(ggplot2::aes(ymin = .data$conf.low, ymax = .data$conf.high),
      fill = plot_colour[["line"]], alpha = 0.2)
  }
  ggplot2::ggplot(drawn$data, ggplot2::aes(x = .data$x)) +
    ribbon +
    ggplot2::geom_line(ggplot2::aes(y = .data$estimate), colour = plot_colour[["line"]],
      linewidth = 0.9) +
    ggplot2::geom_rug(data = rug, sides = "b", alpha = 0.3) +
    ggplot2::labs(x = drawn$xlab, y = drawn$ylab, title = drawn$title) +
    ggplot2::theme_minimal()
}

ggplot_intervals <- function(drawn) {
  d <- drawn$data
  d$term <- factor(d$term, levels = rev(unique(d$term)))
  ggplot2::ggplot(d, ggplot2::aes(y = .data$term, x = .data$estimate)) +
    ggplot2::geom_vline(xintercept = 0, linetype = 2, colour = plot_colour[["zero"]]) +
    ggplot2::geom_linerange(ggplot2::aes(xmin = .data$conf.low, xmax = .data$conf.high),
      colour = plot_colour[["line"]], linewidth = 0.9) +
    ggplot2::geom_point(colour = plot_colour[["line"]], size = 2) +
    ggplot2::labs(x = drawn$xlab, y = NULL, title = drawn$title) +
    ggplot2::theme_minimal()
}

utils::globalVariables(".data")
