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
  draw_picture(lasso_picture(x, type, exposure, conf_level), ...)
}

#' @rdname plot.iv_lasso
#' @exportS3Method ggplot2::autoplot
autoplot.iv_lasso <- function(object,
                              type = c("effect", "path", "cv", "coefficients", "first_stage"),
                              exposure = NULL, conf_level = 0.95, ...) {
  check_no_dots(...)
  ggplot_picture(lasso_picture(object, type, exposure, conf_level))
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

lasso_picture <- function(fit, type, exposure, conf_level) {
  type <- check_lasso_plot(fit, type)
  switch(type,
    path = path_picture(fit),
    cv = cv_picture(fit),
    fit_picture(fit, type, exposure, conf_level)
  )
}

path_picture <- function(fit) {
  beta <- fit$path$beta
  ever <- rowSums(beta != 0) > 0
  data <- data.frame(
    lambda = rep(fit$path$lambda, each = sum(ever)),
    term = rep(rownames(beta)[ever], ncol(beta)), estimate = as.vector(beta[ever, ])
  )
  # A line needs two penalties.
  one <- if (ncol(beta) == 1L) data
  penalty_picture(data, fit, list(
    if (is.null(one)) {
      ink("line", x = data$lambda, y = data$estimate, group = data$term, width = 1.2)
    },
    ink("point", x = one$lambda, y = one$estimate)
  ), paste("coefficient on", fit$exposures, "per unit of each instrument"))
}

cv_picture <- function(fit) {
  data <- transform(fit$cv, low = fit$cv$cvm - fit$cv$cvsd, high = fit$cv$cvm + fit$cv$cvsd)
  penalty_picture(data, fit, list(
    ink("interval", x = data$lambda, low = data$low, high = data$high,
      colour = plot_colour[["bar"]]),
    ink("point", x = data$lambda, y = data$cvm, size = 0.7)
  ), "mean squared error of rows held out (bars: standard errors)")
}

# The penalties that are marked are named in the label of the axis.
penalty_picture <- function(data, fit, inks, ylab) {
  marks <- if (is.null(fit$cv)) {
    c(given = fit$lambda)
  } else {
    c(`smallest error` = fit$lambda.min, `one standard error` = fit$lambda.1se)
  }
  rules <- ink("rule", value = marks, by = factor(names(marks), names(marks)), along = "x",
    width = 3)
  picture(data, c(list(rules), inks), "penalty", ylab, fit$estimator,
    log = if (min(fit$path$lambda) > 0) "x" else "",
    include = list(x = c(fit$path$lambda, marks), y = if (is.null(data$cvm)) 0))
}
