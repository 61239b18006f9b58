# Plots of neural fits: the curve with its intervals and band, the course of training.

#' Plots of a neural instrumental-variable fit
#'
#' `"effect"` draws the mean outcome against the exposure set, with pointwise intervals (shaded),
#' the simultaneous band (dashed) and a rug of the exposures seen; `"history"` the loss of training
#' and validation rows by epoch, for each stage. `plot()` uses base graphics, `ggplot2::autoplot()`
#' gives a ggplot.
#'
#' @inheritParams plot.iv_fit
#' @param x,object A fit of [iv_quantile()] or [iv_deep()].
#' @return `plot()`: the data.frame drawn, invisibly. `autoplot()`: a ggplot.
#' @examples
#' sim <- sim_nonlinear(n = 1000, n_variants = 3, seed = 1)
#' fit <- iv_quantile(Y ~ X | G0 + G1 + G2, sim, seed = 1, control = nn_control(epochs = 10))
#' plot(fit)
#' plot(fit, "history")
#' @export
plot.iv_neural <- function(x, type = c("effect", "history"), exposure = NULL, conf_level = 0.95,
                           ...) {
  type <- check_choice(type, c("effect", "history"))
  if (type == "history") {
    draw_history(x$history, ...)
    return(invisible(x$history))
  }
  drawn <- plot_data(x, "effect", exposure, conf_level)
  d <- drawn$data
  settings <- utils::modifyList(
    list(ylim = range(d[c("estimate", "conf.low", "conf.high", "band.low", "band.high")],
      na.rm = TRUE)),
    list(...)
  )
  do.call(draw_band, c(list(drawn), settings))
  for (limit in c("band.low", "band.high")) {
    graphics::lines(d$x, d[[limit]], col = plot_colour["line"], lty = 2)
  }
  invisible(d)
}

#' @rdname plot.iv_neural
#' @exportS3Method ggplot2::autoplot
autoplot.iv_neural <- function(object, type = c("effect", "history"), exposure = NULL,
                               conf_level = 0.95, ...) {
  check_no_dots(...)
  type <- check_choice(type, c("effect", "history"))
  if (type == "history") {
    return(ggplot_history(object$history))
  }
  drawn <- plot_data(object, "effect", exposure, conf_level)
  p <- ggplot_band(drawn)
  if (all(is.na(drawn$data$band.low))) {
    return(p)
  }
  p + ggplot2::geom_line(ggplot2::aes(y = .data$band.low), linetype = 2,
    colour = plot_colour[["line"]]) +
    ggplot2::geom_line(ggplot2::aes(y = .data$band.high), linetype = 2,
      colour = plot_colour[["line"]])
}

# A panel per training that was run: a first stage per fold, the outcome.
history_panels <- function(history) {
  fold <- ifelse(is.na(history$fold), "", paste(", fold", history$fold))
  panel <- paste0(ifelse(history$stage == "exposure", "first stage", "outcome"), fold)
  split(history, factor(panel, levels = unique(panel)))
}

draw_history <- function(history, ...) {
  panels <- history_panels(history)
  columns <- ceiling(sqrt(length(panels)))
  old <- graphics::par(mfrow = c(ceiling(length(panels) / columns), columns))
  on.exit(graphics::par(old))
  for (name in names(panels)) {
    d <- panels[[name]]
    settings <- utils::modifyList(
      list(x = range(d$epoch), y = range(d$train, d$validation, na.rm = TRUE, finite = TRUE),
        type = "n", xlab = "epoch", ylab = "loss", main = name, las = 1, bty = "l"),
      list(...)
    )
    do.call(graphics::plot.default, settings)
    graphics::lines(d$epoch, d$train, col = plot_colour["zero"], lwd = 2)
    graphics::lines(d$epoch, d$validation, col = plot_colour["line"], lwd = 2)
    graphics::legend("topright", c("training", "validation"), lwd = 2, bty = "n",
      col = plot_colour[c("zero", "line")])
  }
}

ggplot_history <- function(history) {
  history$panel <- rep(names(history_panels(history)), lengths(lapply(
    history_panels(history), row.names)))
  long <- rbind(
    data.frame(history[c("panel", "epoch")], loss = history$train, rows = "training"),
    data.frame(history[c("panel", "epoch")], loss = history$validation, rows = "validation")
  )
  long$panel <- factor(long$panel, levels = unique(long$panel))
  long <- long[!is.na(long$loss), , drop = FALSE]
  ggplot2::ggplot(long, ggplot2::aes(.data$epoch, .data$loss, colour = .data$rows)) +
    ggplot2::geom_line(linewidth = 0.9) +
    ggplot2::facet_wrap(ggplot2::vars(.data$panel), scales = "free") +
    ggplot2::scale_colour_manual(NULL, values = unname(plot_colour[c("zero", "line")])) +
    ggplot2::theme_minimal()
}
