# What the outcome network says: curves, contrasts, derivatives, averaged over people in the core.

# The outcome network at exposures and covariates w (n, kw): g of each row, its mean over the rows
# at each exposure ("levels"), or its mean derivative ("slope").
run_network <- function(network, x, w, weights, what, n_threads = mrl_threads()) {
  if (NCOL(w) == 0L && what == "levels") {
    w <- NULL
    weights <- NULL
  }
  n <- if (what == "levels") max(NROW(w), 1L) else length(x)
  settings <- list(
    what = match(what, c("rows", "levels", "slope")) - 1L, n = as.integer(n),
    n_threads = check_threads(n_threads), isa = isa_setting()
  )
  out <- .Call(C_iv_quantile_predict, network, as.double(x), w, weights, settings)
  check_status(out$status, "evaluating the network")
  out$value
}

# The covariates' columns of rows of variables; (n, 0) if there are none.
covariate_rows <- function(fit, people, exposure) {
  if (!length(fit$covariates)) {
    return(matrix(0, nrow(people), 0L))
  }
  people[[exposure]] <- rep(0, nrow(people))
  w <- design_rows(fit, people, fit$covariates)
  check_newdata_finite(w)
  structure(as.double(w), dim = dim(w))
}

check_newdata_finite <- function(x) {
  if (!all_finite(x)) {
    stop_argument("newdata", "must be finite", count_not_finite(x), what = "data")
  }
}

exposure_of <- function(people, exposure) {
  at <- people[[exposure]]
  if (is.null(at)) {
    stop_argument("newdata", paste0("must have the exposure `", exposure, "`"),
      shorten(names(people)))
  }
  at <- check_doubles(at, "newdata")
  at
}

warn_outside <- function(fit, x) {
  rounding <- 1e-8 * diff(fit$exposure_range)
  outside <- x < fit$exposure_range[1] - rounding | x > fit$exposure_range[2] + rounding
  if (any(outside)) {
    warn_mrl("extrapolation", sum(outside), " of ", length(x), " exposure levels are outside the ",
      "range of the exposures seen, ", paste(format(fit$exposure_range, digits = 3),
        collapse = " to "), ": the curve is extrapolated there.")
  }
}

# Estimates without intervals.
point_table <- function(estimate) {
  none <- rep(NA_real_, length(estimate))
  data.frame(estimate = estimate, std.error = none, conf.low = none, conf.high = none)
}

point_test <- function(estimate, estimand) {
  data.frame(estimate = estimate, std.error = NA_real_, statistic = NA_real_, p.value = NA_real_,
    conf.low = NA_real_, conf.high = NA_real_, estimand = estimand)
}

# The mean of g over people at each level.
mean_levels <- function(fit, people, exposure, levels) {
  warn_outside(fit, levels)
  w <- covariate_rows(fit, people, exposure)
  run_network(fit$network$outcome, levels, w, person_weights(fit, people), "levels")
}

#' @export
effect_curve.iv_quantile <- function(fit, x = NULL, reference = NULL, newdata = NULL,
                                     exposure = NULL, conf_level = 0.95, ...) {
  check_no_dots(...)
  check_conf_level(conf_level)
  exposure <- exposure_variable(fit, exposure)
  people <- people_of(fit, newdata, exposure)
  x <- if (is.null(x)) default_levels(people, exposure) else check_doubles(x, "x")
  estimand <- paste0("E[", fit$outcome, "|do(", exposure, "=x)]")
  estimate <- mean_levels(fit, people, exposure, x)
  if (!is.null(reference)) {
    reference <- check_number(reference, "reference")
    estimate <- estimate - mean_levels(fit, people, exposure, reference)
    estimand <- paste0(estimand, " - E[", fit$outcome, "|do(", exposure, "=", reference, ")]")
  }
  cbind(data.frame(x = x), point_table(estimate), estimand = estimand)
}

#' @export
ate.iv_quantile <- function(fit, from, to, newdata = NULL, exposure = NULL, conf_level = 0.95,
                            ...) {
  check_no_dots(...)
  check_conf_level(conf_level)
  exposure <- exposure_variable(fit, exposure)
  people <- people_of(fit, newdata, exposure)
  levels <- c(check_number(from, "from"), check_number(to, "to"))
  means <- mean_levels(fit, people, exposure, levels)
  point_test(means[2] - means[1], paste0("E[", fit$outcome, "|do(", exposure, "=", to, ")] - E[",
    fit$outcome, "|do(", exposure, "=", from, ")]"))
}

#' @export
cate.iv_quantile <- function(fit, from, to, newdata = NULL, exposure = NULL, conf_level = 0.95,
                             ...) {
  check_no_dots(...)
  check_conf_level(conf_level)
  exposure <- exposure_variable(fit, exposure)
  people <- people_of(fit, newdata, exposure)
  levels <- c(check_number(from, "from"), check_number(to, "to"))
  warn_outside(fit, levels)
  w <- covariate_rows(fit, people, exposure)
  g <- lapply(levels, function(level) {
    run_network(fit$network$outcome, rep(level, nrow(people)), w, NULL, "rows")
  })
  cbind(data.frame(row = seq_len(nrow(people))), point_table(g[[2]] - g[[1]]))
}

#' @export
average_derivative.iv_quantile <- function(fit, newdata = NULL, exposure = NULL,
                                           conf_level = 0.95, ...) {
  check_no_dots(...)
  check_conf_level(conf_level)
  exposure <- exposure_variable(fit, exposure)
  people <- people_of(fit, newdata, exposure)
  at <- exposure_of(people, exposure)
  w <- covariate_rows(fit, people, exposure)
  slope <- run_network(fit$network$outcome, at, w, person_weights(fit, people), "slope")
  point_test(slope, paste0("mean d E[", fit$outcome, "]/d ", exposure))
}

#' @export
predict.iv_quantile <- function(object, newdata = NULL, interval = c("none", "confidence"),
                                level = 0.95, ...) {
  check_no_dots(...)
  interval <- check_choice(interval, c("none", "confidence"), "interval")
  check_conf_level(level)
  if (is.null(newdata)) {
    g <- fitted.iv_fit(object)
  } else {
    exposure <- exposure_variable(object, NULL)
    people <- people_of(object, newdata, exposure)
    at <- exposure_of(people, exposure)
    g <- run_network(object$network$outcome, at, covariate_rows(object, people, exposure), NULL,
      "rows")
  }
  if (interval == "none") g else point_table(unname(g))
}
