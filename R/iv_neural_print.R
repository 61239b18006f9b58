# How neural fits print and are summed up.

#' @export
glance.iv_neural <- function(x, ...) {
  cbind(glance.iv_fit(x, ...),
    r2.first = find_diagnostic(x$diagnostics, "Out-of-sample R2")$statistic,
    statistic.first = find_diagnostic(x$diagnostics, "Out-of-sample F")$statistic,
    first.stage = x$first_stage_kind, epochs.first = x$epochs[["exposure"]],
    epochs.second = x$epochs[["outcome"]], nobs.second = x$nobs_outcome, n.boot = x$n_boot
  )
}

#' @export
glance.iv_quantile <- function(x, ...) {
  cbind(glance.iv_neural(x, ...), n.quantiles = x$n_quantiles)
}

#' @export
print.iv_neural <- function(x, digits = max(3L, getOption("digits") - 3L), ...) {
  digits <- check_digits(digits)
  print_neural_head(x)
  print_derivative(x, digits)
  print_diagnostics(x, digits)
  print_training(x)
  print_notes(x)
  invisible(x)
}

print_neural_head <- function(x) {
  k <- length(x$covariates)
  cat(x$estimator, ": effect of ", x$exposures, " on ", x$outcome, "\n",
    if (x$two_sample) {
      paste0(x$nobs, " rows with the exposure, ", x$nobs_outcome, " with the outcome")
    } else {
      paste(x$nobs, "rows")
    },
    if (!is.null(x$n_cluster)) paste0(" in ", x$n_cluster, " clusters"),
    ", ", x$n_instruments, " instrument", if (x$n_instruments != 1L) "s", ", ", k, " covariate",
    if (k != 1L) "s", "; ", x$first_stage_label,
    if (x$cross_fit > 1L) paste0(", cross-fitted in ", x$cross_fit, " folds"), "\n\n",
    sep = "")
}

print_derivative <- function(x, digits) {
  cat("average derivative ", format(unname(x$coefficients), digits = digits),
    if (x$binary) " (of the probability)",
    sep = "")
  if (has_replicates(x)) {
    ends <- confint(x)
    cat(", 95 % interval ", format(ends[1], digits = digits), " to ",
      format(ends[2], digits = digits), " (", x$n_boot, " ",
      if (x$vcov_type == "bootstrap") "bootstrap replicates" else x$vcov_type, ")\n",
      sep = "")
  } else {
    cat(", no interval: n_boot = 100 gives intervals\n")
  }
}

print_training <- function(x) {
  why <- c(epochs = "the limit", patience = "early stop", diverged = "diverged", none = "")[x$stop]
  first <- if (x$first_stage_kind == "ridge") {
    "first stage in closed form"
  } else if (x$first_stage_kind == "features") {
    "both stages together"
  } else {
    paste0("first stage ", x$epochs[["exposure"]], " epochs (", why[1], ")")
  }
  cat("\nTraining: ", first, ", outcome ", x$epochs[["outcome"]], " epochs (", why[2], "); ",
    length(x$held_out), " rows held out; seed ", format(x$seed, digits = 16), "\n",
    sep = "")
}

#' @export
summary.iv_neural <- function(object, conf_level = 0.95, ...) {
  check_no_dots(...)
  at <- seq(object$exposure_range[1], object$exposure_range[2], length.out = 5)
  curve <- if (!is.null(object$model)) {
    curve <- effect_curve(object, at, conf_level = conf_level)
    wanted <- c("x", "estimate", "conf.low", "conf.high", "overlap")
    curve[wanted[has_replicates(object) | !startsWith(wanted, "conf")]]
  }
  structure(
    list(fit = object, curve = curve, conf_level = conf_level, diagnostics = object$diagnostics,
      coefficients = tidy(object, conf.int = TRUE, conf.level = conf_level)),
    class = "summary.iv_neural"
  )
}

#' @export
print.summary.iv_neural <- function(x, digits = max(3L, getOption("digits") - 3L), ...) {
  digits <- check_digits(digits)
  print.iv_neural(x$fit, digits)
  if (!is.null(x$curve)) {
    cat("\nMean outcome with the exposure set",
      if (has_replicates(x$fit)) paste0(", ", format(100 * x$conf_level), " % intervals"), ":\n",
      sep = "")
    print(x$curve, digits = digits, row.names = FALSE)
  }
  print_neural_choice(x$fit, digits)
  print(x$fit$control)
  invisible(x)
}

# What the closed form of the outcome function chose.
print_neural_choice <- function(x, digits) {
  if (!is.null(x$head$ridge)) {
    cat("Ridges: ", format(x$head$ridge[1], digits = digits), " first stage, ",
      format(x$head$ridge[2], digits = digits), " outcome",
      if (is.finite(x$head$error)) {
        paste0("; held-out error ", format(x$head$error, digits = digits), " of the variance")
      }, "\n",
      sep = "")
  }
  if (!is.null(x$head$df)) {
    cat("Outcome function: ", format(x$head$df, digits = digits), " degrees of freedom",
      if (isTRUE(x$head$lambda > 0)) paste(", roughness of order", x$head$order), "\n",
      sep = "")
  }
}
