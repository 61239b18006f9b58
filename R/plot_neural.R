# Plots of neural fits: the curve with its intervals and band, the course of training.

#' Plots of a neural instrumental-variable fit
#'
#' `"effect"` draws the mean outcome against the exposure set, with pointwise intervals (shaded),
#' the simultaneous band (dashed) and a rug of the exposures seen, grey where the instruments bring
#' no such exposures and the curve is no more than the network's guess; `"history"` the loss of
#' training and validation rows by epoch, for each stage. `plot()` uses base graphics,
#' `ggplot2::autoplot()` gives a ggplot.
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
  draw_picture(neural_picture(x, type, exposure, conf_level), ...)
}

#' @rdname plot.iv_neural
#' @exportS3Method ggplot2::autoplot
autoplot.iv_neural <- function(object, type = c("effect", "history"), exposure = NULL,
                               conf_level = 0.95, ...) {
  check_no_dots(...)
  ggplot_picture(neural_picture(object, type, exposure, conf_level))
}

neural_picture <- function(fit, type, exposure, conf_level) {
  if (check_choice(type, c("effect", "history")) == "history") {
    return(history_picture(fit$history, history_panel(fit$history)))
  }
  fit_picture(fit, "effect", exposure, conf_level)
}

# A panel per training that was run: a first stage per fold, the outcome.
history_panel <- function(history) {
  fold <- ifelse(is.na(history$fold), "", paste(", fold", history$fold))
  panel <- paste0(ifelse(history$stage == "exposure", "first stage", "outcome"), fold)
  factor(panel, unique(panel))
}
