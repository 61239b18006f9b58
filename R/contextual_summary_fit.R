# What can be asked of a fit of mr_contextual(): slopes at contexts, tables, pictures.

#' @rdname mr_contextual
#' @export
predict.mr_contextual <- function(object, newdata = NULL,
                                  interval = c("confidence", "prediction"), level = NULL, ...) {
  check_no_dots(...)
  interval <- check_choice(interval, c("confidence", "prediction"))
  at <- context_values(object, newdata)
  design <- basis_columns(at, object$basis, object$context)
  out <- predict(object$regression, as.data.frame(design, optional = TRUE), interval, level)
  names(out) <- c("estimate", "std.error", "conf.low", "conf.high")
  cbind(data.frame(row = seq_along(at), context = at), out)
}

#' @rdname context_effects
#' @export
context_effects.mr_contextual <- function(fit, newdata = NULL, conf_level = NULL, ...) {
  check_no_dots(...)
  out <- predict(fit, newdata, level = conf_level)
  cbind(out[names(out) != "context"], intercept = NA_real_)
}

context_values <- function(fit, newdata) {
  if (is.null(newdata)) {
    return(fit$strata$context)
  }
  if (is.data.frame(newdata)) {
    check_newdata(newdata, fit$context)
    newdata <- newdata[[fit$context]]
  }
  at <- check_doubles(newdata, "newdata", least = 1L)
  outside <- sum(at < fit$basis$range[1] | at > fit$basis$range[2])
  if (outside) {
    warn_mrl("extrapolation", outside, " of ", length(at), " values of `", fit$context,
      "` are outside the strata, ", format(fit$basis$range[1]), " to ",
      format(fit$basis$range[2]), ": slopes there are extrapolation.")
  }
  at
}

#' @rdname mr_contextual
#' @export
tidy.mr_contextual <- function(x, conf.int = TRUE, conf.level = NULL, ...) {
  tidy(x$regression, conf.int = conf.int, conf.level = conf.level, ...)
}

#' @rdname mr_contextual
#' @export
glance.mr_contextual <- function(x, ...) {
  check_no_dots(...)
  g <- glance(x$regression)
  weight <- colMeans(x$regression$design$x)
  f <- is.finite(meta_df(x$regression))
  data.frame(
    estimate = sum(weight * x$regression$coefficients),
    std.error = sqrt(drop(weight %*% x$regression$vcov %*% weight)),
    statistic.context = g$qm, df.context = g$qm.df, df2.context = if (f) g$qm.df2 else NA_integer_,
    p.value.context = g$qm.p, p.value.curve = curve_p(x$regression),
    tau2 = g$tau2, i2 = g$i2, statistic.residual = g$qe, df.residual = g$qe.df,
    p.value.residual = g$qe.p, n.strata = g$k, nsnp = sum(x$strata$nsnp[!is.na(x$strata$estimate)]),
    shape = x$shape, method = x$method
  )
}

# Wald test of the bends; NA for a line.
curve_p <- function(regression) {
  bends <- seq_along(regression$coefficients)[-(1:2)]
  if (!length(bends)) {
    return(NA_real_)
  }
  b <- regression$coefficients[bends]
  # In units of their own standard errors, as columns differ by orders of magnitude.
  s <- sqrt(diag(regression$vcov)[bends])
  r <- regression$vcov[bends, bends] / tcrossprod(s)
  f <- sum((b / s) * solve(r, b / s, tol = 0)) / length(bends)
  stats::pf(f, length(bends), meta_df(regression), lower.tail = FALSE)
}

#' @rdname mr_contextual
#' @export
print.mr_contextual <- function(x, digits = max(3L, getOption("digits") - 3L), ...) {
  digits <- check_digits(digits)
  check_no_dots(...)
  number <- function(v) format(v, digits = digits)
  p <- function(v) format.pval(v, digits = digits, eps = 1e-16)
  g <- glance(x)
  label <- mr_method_table()$label[mr_method_code(x$method, mr_method_table())]
  cat("Causal slope by ", x$context, " (", x$shape, "): ", g$n.strata, " strata, ", g$nsnp,
    " associations; ", label, "\n\n", sep = "")
  print_table(tidy(x), digits)
  cat("\nAverage over strata ", number(g$estimate), " (", number(g$std.error), ")\n",
    "Does the slope depend on ", x$context, "? ",
    if (is.na(g$df2.context)) "chi-squared " else "F ", number(g$statistic.context), " on ",
    g$df.context, if (!is.na(g$df2.context)) paste(" and", g$df2.context), ", p ",
    p(g$p.value.context), if (!is.na(g$p.value.curve)) paste0("; is it curved? p ",
      p(g$p.value.curve)), "\n",
    "Residual heterogeneity: tau2 ", number(g$tau2), ", Q ", number(g$statistic.residual), " on ",
    g$df.residual, ", p ", p(g$p.value.residual), "\n", sep = "")
  weak <- sum(x$strata$f < 10)
  if (weak) {
    cat("\nNote: mean F of the variants below 10 in ", weak, " of ", nrow(x$strata), " strata",
      if (!any(startsWith(x$method, c("mr_two_sample_ml", "mr_divw", "mr_pivw", "mr_raps")))) {
        ", and the method does not allow for weak variants"
      }, ".\n", sep = "")
  }
  invisible(x)
}

# The curve on a grid over the strata.
context_grid <- function(fit, conf_level, n = 101L) {
  predict(fit, seq(fit$basis$range[1], fit$basis$range[2], length.out = n), level = conf_level)
}

#' @rdname mr_contextual
#' @export
plot.mr_contextual <- function(x, conf_level = x$conf_level, ...) {
  draw_picture(context_picture(x, conf_level), ...)
}

#' @rdname mr_contextual
#' @exportS3Method ggplot2::autoplot
autoplot.mr_contextual <- function(object, conf_level = object$conf_level, ...) {
  check_no_dots(...)
  ggplot_picture(context_picture(object, conf_level))
}

context_picture <- function(fit, conf_level) {
  curve <- context_grid(fit, conf_level)
  d <- fit$strata[!is.na(fit$strata$estimate), ]
  half <- stats::qnorm((1 + conf_level) / 2) * d$std.error
  picture(curve, list(
    ink("rule", value = 0, colour = plot_colour[["zero"]], lty = 3),
    ink("band", x = curve$context, low = curve$conf.low, high = curve$conf.high),
    ink("interval", x = d$context, low = d$estimate - half, high = d$estimate + half,
      colour = plot_colour[["bar"]]),
    ink("point", x = d$context, y = d$estimate, colour = plot_colour[["point"]], size = 0.8),
    ink("line", x = curve$context, y = curve$estimate)
  ), fit$context, "causal effect per unit of exposure", "By stratum (points) and fitted",
  include = list(y = 0))
}
