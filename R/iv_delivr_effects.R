# What can be asked of a DeLIVR fit, and what cannot.

# h at predicted exposures, the mean over the splits.
delivr_curve <- function(fit, mu) {
  net <- fit$network
  each <- vapply(seq_len(ncol(net$coef)), function(s) {
    one <- list(
      hidden = net$hidden, activation = net$activation, batch_norm = net$batch_norm,
      dropout = net$dropout, params = net$params[, s], statistics = net$statistics[, s],
      theta = NULL, scale_x = net$scale[, s], scale_w = double(), scale_y = c(0, 1), binary = FALSE
    )
    m <- run_network(one, mu, NULL, NULL, "rows")
    u <- (mu - net$scale[1, s]) / net$scale[2, s]
    net$coef[1, s] + net$coef[2, s] * u + net$coef[3, s] * m
  }, mu)
  rowMeans(matrix(each, length(mu)))
}

delivr_estimand <- function(fit) {
  paste0("E[h(", fit$exposures, ")|x_hat=x], not E[", fit$outcome, "|do(", fit$exposures, "=x)]")
}

#' Curve and predictions of a DeLIVR fit
#'
#' `effect_curve()` gives \eqn{E[h(X) | \hat X = x]} over levels of the *predicted* exposure: not
#' the mean outcome if the exposure were set (see [iv_delivr()]), which the column `estimand` says.
#' It has no standard errors. `predict()` is the outcome predicted from instruments.
#'
#' @param fit,object,x A fit of [iv_delivr()]; for `effect_curve()`, `x` are levels of the predicted
#'   exposure, by default 50 over their range.
#' @param newdata Data.frame with the instruments; by default the rows of the fit.
#' @param conf.int,conf.level,exposures_only Not used: tests have no intervals.
#' @param exposure Name of the exposure (there is one).
#' @param conf_level Not used.
#' @param ... Nothing else may be given; for `plot()` graphical parameters.
#' @return As in [estimands], with NA for what is not estimated; a vector for `predict()`; the
#'   combined tests (data.frame `test, statistic, p.value, n.splits`) for `tidy()`.
#' @name delivr_effects
NULL

#' @rdname delivr_effects
#' @export
effect_curve.iv_delivr <- function(fit, x = NULL, exposure = NULL, conf_level = 0.95, ...) {
  check_no_dots(...)
  x <- if (is.null(x)) {
    seq(min(fit$x_hat), max(fit$x_hat), length.out = 50)
  } else {
    check_doubles(x, "x", least = 1L)
  }
  data.frame(
    x = x, estimate = delivr_curve(fit, x), std.error = NA_real_, conf.low = NA_real_,
    conf.high = NA_real_, estimand = delivr_estimand(fit)
  )
}

stop_estimand <- function(fit) {
  stop_mrl("estimand", "iv_delivr() does not estimate what setting the exposure does: its curve ",
    "is ", delivr_estimand(fit), ". Use iv_quantile(), iv_deep() or iv_control_function().")
}

#' @export
ate.iv_delivr <- function(fit, from, to, ...) {
  stop_estimand(fit)
}

#' @export
cate.iv_delivr <- function(fit, from, to, newdata = NULL, ...) {
  stop_estimand(fit)
}

#' @export
average_derivative.iv_delivr <- function(fit, ...) {
  stop_estimand(fit)
}

#' @rdname delivr_effects
#' @export
predict.iv_delivr <- function(object, newdata = NULL, ...) {
  check_no_dots(...)
  if (is.null(newdata)) {
    return(fitted.iv_fit(object))
  }
  if (!is.data.frame(newdata)) {
    stop_argument("newdata", "must be a data.frame", describe(newdata))
  }
  coef <- unname(object$first_stage_coef)
  delivr_curve(object, predicted_exposure(coef, list(instrument_rows(object, newdata))))
}

#' @rdname delivr_effects
#' @export
tidy.iv_delivr <- function(x, conf.int = FALSE, conf.level = 0.95, exposures_only = FALSE, ...) {
  check_no_dots(...)
  x$tests
}

#' @rdname delivr_effects
#' @export
glance.iv_delivr <- function(x, ...) {
  cbind(glance.iv_fit(x, ...),
    p.value.global = x$tests$p.value[1], p.value.nonlinearity = x$tests$p.value[2],
    n.splits = x$tests$n.splits[1], nobs.first = x$nobs_exposure)
}

#' @export
print.iv_delivr <- function(x, digits = max(3L, getOption("digits") - 3L), ...) {
  digits <- check_digits(digits)
  cat("DeLIVR: tests of an effect of ", x$exposures, " on ", x$outcome, "\n",
    if (x$two_sample) {
      paste0(x$nobs_exposure, " rows with the exposure, ", x$nobs, " with the outcome")
    } else {
      paste(x$nobs, "rows")
    },
    if (!is.null(x$n_cluster)) paste0(" in ", x$n_cluster, " clusters"),
    ", ", x$n_instruments, " instrument", if (x$n_instruments != 1L) "s", "; ",
    x$tests$n.splits[1], " random splits, combined by Cauchy\n\n", sep = "")
  print_table(x$tests, digits)
  cat("The curve is ", delivr_estimand(x), "\n", sep = "")
  print_diagnostics(x, digits)
  print_notes(x)
  invisible(x)
}

delivr_picture <- function(fit) {
  data <- effect_curve.iv_delivr(fit)
  band_picture(data, paste(fit$exposures, "predicted by instruments"), curve_name(data),
    "DeLIVR (not a curve of do(X))", thin_rug(fit$x_hat))
}

#' @rdname delivr_effects
#' @export
plot.iv_delivr <- function(x, ...) {
  draw_picture(delivr_picture(x), ...)
}

#' @rdname delivr_effects
#' @exportS3Method ggplot2::autoplot
autoplot.iv_delivr <- function(object, ...) {
  check_no_dots(...)
  ggplot_picture(delivr_picture(object))
}
