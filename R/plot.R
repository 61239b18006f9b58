# Plots: ggplot2 through autoplot() where it is installed, base graphics through plot().

#' Plots of a fitted instrumental-variable model
#'
#' `"effect"` draws the mean outcome against the exposure set, with its interval and a rug of the
#' exposures seen; `"coefficients"` estimates and intervals of all coefficients but the constant;
#' `"first_stage"` the first-stage coefficients of the instruments with intervals. `plot()` draws
#' with base graphics, `ggplot2::autoplot()` (of every class that has a `plot()` here, with the same
#' arguments) gives a ggplot of the same numbers, whose data are those that `plot()` returns.
#'
#' An interval that goes on beyond the axis, or has no end, ends in an arrow. Colours are told apart
#' by the colour-blind; names too long for the margin lose their middle.
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
  draw_picture(fit_picture(x, type, exposure, conf_level), ...)
}

#' @rdname plot.iv_fit
#' @exportS3Method ggplot2::autoplot
autoplot.iv_fit <- function(object, type = c("effect", "coefficients", "first_stage"),
                            exposure = NULL, conf_level = 0.95, ...) {
  check_no_dots(...)
  ggplot_picture(fit_picture(object, type, exposure, conf_level))
}

fit_picture <- function(fit, type, exposure, conf_level) {
  type <- check_choice(type, c("effect", "coefficients", "first_stage"), "type")
  switch(type,
    effect = {
      exposure <- exposure_variable(fit, exposure)
      data <- effect_curve(fit, exposure = exposure, conf_level = conf_level)
      band_picture(data, exposure, curve_name(data), fit$estimator, thin_rug(fit$model[[exposure]]))
    },
    coefficients = {
      table <- tidy(fit, conf.int = TRUE, conf.level = conf_level)
      rows_picture(table[table$term != "(Intercept)", ], paste("effect on", fit$outcome,
        "per unit of each variable"), fit$estimator)
    },
    first_stage = first_stage_picture(fit, conf_level)
  )
}

first_stage_picture <- function(fit, conf_level) {
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
  rows_picture(table, paste("effect on", paste(unique(table$exposure), collapse = ", "),
    "per unit of each instrument"), "First stage")
}

# What a curve is of.
curve_name <- function(curve) {
  if (is.null(curve$estimand)) "" else as.character(curve$estimand[1])
}
