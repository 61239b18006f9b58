# Plots of the LASSO first stage: coefficients along the path, curve of cross-validation.

#' Plots of a LASSO first stage
#'
#' `"path"` draws the coefficients of the instruments against the penalty (per standard deviation of
#' the instrument is what the penalty sees; drawn is the raw scale), `"cv"` the cross-validated
#' error with one standard error up and down. The other types are those of [plot.iv_fit()].
#'
#' @inheritParams plot.iv_fit
#' @return `plot()`: the data.frame drawn, invisibly. `autoplot()`: a ggplot.
#' @examples
#' sim <- sim_contextual(n = 1000, L = 10, seed = 1)
#' z <- as.matrix(sim[truth(sim)$instruments])
#' fit <- iv_lasso(Y ~ X | z, data = sim, seed = 1)
#' plot(fit, "path")
#' plot(fit, "cv")
#' @export
plot.iv_lasso <- function(x, type = c("effect", "path", "cv", "coefficients", "first_stage"),
                          exposure = NULL, conf_level = 0.95, ...) {
  type <- check_lasso_plot(x, type)
  if (!type %in% c("path", "cv")) {
    return(plot.iv_fit(x, type, exposure, conf_level, ...))
  }
  drawn <- lasso_plot_data(x, type)
  if (type == "path") draw_path(drawn, x, ...) else draw_cv(drawn, x, ...)
  invisible(drawn)
}

#' @rdname plot.iv_lasso
#' @exportS3Method ggplot2::autoplot
autoplot.iv_lasso <- function(object,
                              type = c("effect", "path", "cv", "coefficients", "first_stage"),
                              exposure = NULL, conf_level = 0.95, ...) {
  check_no_dots(...)
  type <- check_lasso_plot(object, type)
  if (!type %in% c("path", "cv")) {
    return(autoplot.iv_fit(object, type, exposure, conf_level))
  }
  drawn <- lasso_plot_data(object, type)
  if (type == "path") ggplot_path(drawn, object) else ggplot_cv(drawn, object)
}

check_lasso_plot <- function(fit, type) {
  type <- check_choice(type, c("effect", "path", "cv", "coefficients", "first_stage"), "type")
  if (type == "cv" && is.null(fit$cv)) {
    stop_argument("type", "\"cv\" needs a cross-validated fit", "a fit at a given `lambda`")
  }
  if (type %in% c("effect", "coefficients") && fit$n_instruments == 0L) {
    stop_argument("type", paste0("\"", type, "\" needs estimates"),
      "a fit that selected no instrument")
  }
  if (type == "first_stage" && !fit$refit) {
    stop_argument("type", "\"first_stage\" draws intervals, which need refit = TRUE",
      "a shrunken fit; \"path\" draws its coefficients")
  }
  type
}

lasso_plot_data <- function(fit, type) {
  if (type == "cv") {
    return(transform(fit$cv, low = fit$cv$cvm - fit$cv$cvsd, high = fit$cv$cvm + fit$cv$cvsd))
  }
  beta <- fit$path$beta
  ever <- rowSums(beta != 0) > 0
  data.frame(
    lambda = rep(fit$path$lambda, each = sum(ever)),
    term = rep(rownames(beta)[ever], ncol(beta)), estimate = as.vector(beta[ever, ])
  )
}

# The penalties that are marked, with their names.
marked_penalties <- function(fit) {
  if (is.null(fit$cv)) c(given = fit$lambda) else c(min = fit$lambda.min, `1se` = fit$lambda.1se)
}

draw_marks <- function(fit) {
  marks <- marked_penalties(fit)
  graphics::abline(v = marks, col = plot_colour["zero"], lty = 2)
  graphics::mtext(names(marks), at = marks, cex = 0.7)
}

draw_path <- function(drawn, fit, ...) {
  empty <- nrow(drawn) == 0L
  settings <- utils::modifyList(
    list(x = range(fit$path$lambda), y = if (empty) c(-1, 1) else range(drawn$estimate, 0),
      type = "n", log = if (min(fit$path$lambda) > 0) "x" else "", xlab = "penalty",
      ylab = paste("coefficient on", fit$exposures), las = 1, bty = "l"),
    list(...)
  )
  do.call(graphics::plot.default, settings)
  for (path in split(drawn, drawn$term)) {
    graphics::lines(path$lambda, path$estimate, col = plot_colour["line"],
      type = if (nrow(path) == 1L) "p" else "l")
  }
  draw_marks(fit)
}

draw_cv <- function(drawn, fit, ...) {
  settings <- utils::modifyList(
    list(x = drawn$lambda, y = drawn$cvm, ylim = range(drawn$low, drawn$high), pch = 19,
      col = plot_colour["line"], log = if (min(drawn$lambda) > 0) "x" else "", xlab = "penalty",
      ylab = "mean squared error, held out", las = 1, bty = "l"),
    list(...)
  )
  do.call(graphics::plot.default, settings)
  graphics::segments(drawn$lambda, drawn$low, drawn$lambda, drawn$high, col = plot_colour["band"],
    lwd = 2)
  draw_marks(fit)
}

ggplot_penalty <- function(plot, drawn, fit, ylab) {
  plot +
    ggplot2::geom_vline(xintercept = marked_penalties(fit), linetype = 2,
      colour = plot_colour[["zero"]]) +
    (if (all(drawn$lambda > 0)) ggplot2::scale_x_log10()) +
    ggplot2::labs(x = "penalty", y = ylab) +
    ggplot2::theme_minimal()
}

ggplot_path <- function(drawn, fit) {
  plot <- ggplot2::ggplot(drawn, ggplot2::aes(x = .data$lambda, y = .data$estimate,
    group = .data$term)) +
    ggplot2::geom_line(colour = plot_colour[["line"]])
  ggplot_penalty(plot, drawn, fit, paste("coefficient on", fit$exposures))
}

ggplot_cv <- function(drawn, fit) {
  plot <- ggplot2::ggplot(drawn, ggplot2::aes(x = .data$lambda, y = .data$cvm)) +
    ggplot2::geom_linerange(ggplot2::aes(ymin = .data$low, ymax = .data$high),
      colour = plot_colour[["line"]], alpha = 0.4) +
    ggplot2::geom_point(colour = plot_colour[["line"]])
  ggplot_penalty(plot, drawn, fit, "mean squared error, held out")
}
