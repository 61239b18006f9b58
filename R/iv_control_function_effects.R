# What can be asked of a control function: averages over the residual and the covariates.

#' Effects from a control function
#'
#' Averages of the second stage over the sample's first-stage residuals and covariates with the
#' exposure set. They mean what they say if the model is right (see [iv_control_function()]); for
#' binary outcomes they are marginal risks, unlike the conditional log-odds in `tidy()`. For
#' `family = "cox"` all of them are log hazard ratios, conditional on residual and covariates.
#' Standard errors are those of the fit: of its replicates, in which the averages are taken over the
#' rows that were drawn, or analytic where all is linear.
#'
#' @param fit,object,x A fit of [iv_control_function()]; for `effect_curve()`, `x` are levels of the
#'   exposure (numeric, its units), by default 50 over its range.
#' @param reference A level; then the curve is the contrast against it. A Cox model has no curve
#'   without one: NULL is the exposure's median.
#' @param from,to Two exposure levels.
#' @param newdata Data.frame with the covariates: for `ate()` whom to average over, for `cate()` a
#'   row per person; for `predict()` with the exposure too. By default the sample. Residuals are
#'   always averaged over the sample's.
#' @param measure For binary outcomes: the risk difference, the risk ratio or the odds ratio of the
#'   averaged risks; their null value is tested, 0 or 1.
#' @param exposure Name of the exposure (there is one).
#' @param conf_level,level Level of the intervals.
#' @param interval `"none"`, or `"confidence"` for intervals of the mean.
#' @param conf.int,conf.level,exposures_only As in `tidy()` of [iv_2sls()].
#' @param ... Nothing else may be given.
#' @return As in [estimands]; `tidy()` has a column `scale` besides.
#' @examples
#' sim <- sim_nonlinear(n = 1000, n_variants = 4, seed = 1)
#' g <- as.matrix(sim[truth(sim)$instruments])
#' fit <- iv_control_function(I(1 * (Y > 1)) ~ X | g, data = sim, family = "binomial",
#'   n_boot = 20, seed = 1)
#' tidy(fit)
#' ate(fit, from = 0, to = 1)
#' ate(fit, from = 0, to = 1, measure = "ratio")
#' @name control_function_effects
NULL

# The parameters of the fit, or of replicate b, by which averages are taken.
cf_parameters <- function(fit, b = NULL) {
  k <- length(fit$coefficients)
  has_constant <- fit$family != "cox"
  kw <- k - has_constant - length(fit$exposures)
  coef <- if (is.null(b)) unname(fit$coefficients) else fit$replicates$coef[seq_len(k), b]
  stage <- if (is.null(b)) {
    fit$stage
  } else if (has_constant) {
    list(mean = fit$replicates$mean[, b], bins = fit$replicates$bins[, b],
      r_bins = fit$replicates$r_bins[, b])
  }
  list(
    constant = if (has_constant) coef[1] else 0, covariates = coef[has_constant + seq_len(kw)],
    exposure = coef[has_constant + kw + seq_along(fit$exposures)], stage = stage
  )
}

# The mean over the sample at values g of the exposure's part. One at a time: the index may be long.
cf_levels <- function(fit, p, g) {
  if (fit$family == "cox") {
    return(g)
  }
  if (fit$family == "gaussian") {
    return(p$constant + sum(p$covariates * p$stage$mean) + g)
  }
  index <- if (is.null(p$stage$index)) p$stage$bins else p$stage$index
  weights <- if (!is.null(p$stage$index)) fit$weights
  vapply(g, function(at) {
    risk <- stats::plogis(index + at)
    if (is.null(weights)) mean(risk) else stats::weighted.mean(risk, weights)
  }, 0)
}

# For rows with covariates w (m, kw) and values g (m) of the exposure's part, averaged over r.
cf_rows <- function(fit, p, g, w) {
  base <- p$constant + g + if (ncol(w)) drop(w %*% p$covariates) else 0
  if (fit$family != "binomial") {
    return(base)
  }
  total <- 0
  for (r in p$stage$r_bins) {
    total <- total + stats::plogis(base + r)
  }
  total / length(p$stage$r_bins)
}

# statistic: a function of the parameters that gives a vector. Its value and, by replicates or the
# analytic covariance of what is linear in the coefficients, standard errors.
cf_estimate <- function(fit, statistic, rows = NULL) {
  estimate <- statistic(cf_parameters(fit))
  se <- if (!is.null(fit$replicates)) {
    values <- vapply(seq_len(ncol(fit$replicates$coef)), function(b) {
      statistic(cf_parameters(fit, b))
    }, estimate)
    apply(matrix(values, length(estimate)), 1, stats::sd)
  } else if (!is.null(rows) && !anyNA(fit$vcov)) {
    rows <- matrix(rows, length(estimate))
    sqrt(pmax(0, rowSums((rows %*% fit$vcov) * rows)))
  } else {
    rep(NA_real_, length(estimate))
  }
  list(estimate = unname(estimate), std.error = unname(se))
}

# Intervals; on the log scale where `ratio`: estimate and standard error came as logarithms.
cf_interval <- function(fit, value, conf_level, ratio = FALSE) {
  half <- stats::qt((1 + check_conf_level(conf_level)) / 2, fit$df_test) * value$std.error
  out <- data.frame(estimate = value$estimate, std.error = value$std.error,
    conf.low = value$estimate - half, conf.high = value$estimate + half)
  if (ratio) {
    out$std.error <- out$std.error * exp(out$estimate)
    out[-2] <- exp(out[-2])
  }
  out
}

cf_test <- function(fit, value, conf_level, ratio, estimand) {
  out <- cf_interval(fit, value, conf_level, ratio)
  statistic <- value$estimate / value$std.error
  data.frame(
    estimate = out$estimate, std.error = out$std.error, statistic = statistic,
    p.value = 2 * stats::pt(abs(statistic), fit$df_test, lower.tail = FALSE),
    conf.low = out$conf.low, conf.high = out$conf.high, estimand = estimand
  )
}

cf_contrast <- function(measure, high, low) {
  switch(measure,
    difference = high - low, ratio = log(high / low),
    odds_ratio = stats::qlogis(high) - stats::qlogis(low)
  )
}

check_measure <- function(fit, measure) {
  measure <- check_choice(measure, c("difference", "ratio", "odds_ratio"), "measure")
  if (measure != "difference" && fit$family != "binomial") {
    stop_argument("measure", "must be \"difference\" unless the outcome is binary",
      describe(measure))
  }
  measure
}

check_cf_exposure <- function(fit, exposure) {
  if (!is.null(exposure) && !identical(exposure, fit$exposure)) {
    stop_argument("exposure", paste0("must be `", fit$exposure, "`"), describe(exposure))
  }
}

cf_estimand <- function(fit, at, from = NULL, measure = "difference") {
  if (fit$family == "cox") {
    return(paste0("log hazard ratio of ", fit$exposure, "=", at, " against ", from,
      ", conditional (non-collapsible)"))
  }
  mean_at <- function(v) {
    paste0(if (fit$family == "binomial") "P[" else "E[", fit$outcome,
      if (fit$family == "binomial") "=1", "|do(", fit$exposure, "=", v, ")]")
  }
  if (is.null(from)) {
    return(mean_at(at))
  }
  switch(measure,
    difference = paste(mean_at(at), "-", mean_at(from)),
    ratio = paste(mean_at(at), "/", mean_at(from)),
    odds_ratio = paste0("marginal odds ratio of ", fit$exposure, "=", at, " against ", from)
  )
}

# Rows of the coefficients (constant, covariates at their mean, exposure) for analytic variances.
cf_design <- function(fit, basis, constant = 1, w = NULL) {
  p <- cf_parameters(fit)
  w <- if (is.null(w)) {
    matrix(p$stage$mean * constant, nrow(basis), length(p$covariates), byrow = TRUE)
  } else {
    w
  }
  unname(cbind(constant, w, basis))
}

#' @rdname control_function_effects
#' @export
effect_curve.iv_control_function <- function(fit, x = NULL, reference = NULL, # nolint
                                             measure = c("difference", "ratio", "odds_ratio"),
                                             exposure = NULL, conf_level = 0.95, ...) {
  check_no_dots(...)
  check_cf_exposure(fit, exposure)
  measure <- check_measure(fit, measure)
  seen <- fit$exposure_values
  x <- if (is.null(x)) {
    seq(min(seen), max(seen), length.out = 50)
  } else {
    check_doubles(x, "x", least = 1L)
  }
  if (fit$family == "cox" && is.null(reference)) {
    reference <- stats::median(seen)
  }
  basis <- cf_columns(x, fit$bases$exposure)
  if (is.null(reference)) {
    value <- cf_estimate(fit, function(p) cf_levels(fit, p, drop(basis %*% p$exposure)),
      cf_design(fit, basis))
    return(cbind(x = x, cf_interval(fit, value, conf_level), estimand = cf_estimand(fit, "x")))
  }
  reference <- check_number(reference, "reference")
  base <- cf_columns(reference, fit$bases$exposure)
  value <- cf_estimate(fit, function(p) {
    levels <- cf_levels(fit, p, drop(rbind(basis, base) %*% p$exposure))
    cf_contrast(measure, levels[seq_along(x)], levels[length(levels)])
  }, cf_design(fit, sweep(basis, 2, base[1, ]), 0))
  cbind(x = x, cf_interval(fit, value, conf_level, measure != "difference"),
    estimand = cf_estimand(fit, "x", format(reference, digits = 6), measure))
}

#' @rdname control_function_effects
#' @export
ate.iv_control_function <- function(fit, from, to,
                                    measure = c("difference", "ratio", "odds_ratio"),
                                    newdata = NULL, exposure = NULL, conf_level = 0.95, ...) {
  check_no_dots(...)
  check_cf_exposure(fit, exposure)
  measure <- check_measure(fit, measure)
  from <- check_number(from, "from")
  to <- check_number(to, "to")
  basis <- cf_columns(c(from, to), fit$bases$exposure)
  w <- if (!is.null(newdata)) cf_covariates(fit, newdata)
  value <- cf_estimate(fit, function(p) {
    g <- drop(basis %*% p$exposure)
    level <- if (is.null(w)) {
      cf_levels(fit, p, g)
    } else {
      vapply(g, function(at) mean(cf_rows(fit, p, rep(at, nrow(w)), w)), 0)
    }
    cf_contrast(measure, level[2], level[1])
  }, cf_design(fit, basis[2, , drop = FALSE] - basis[1, , drop = FALSE], 0))
  cf_test(fit, value, conf_level, measure != "difference",
    cf_estimand(fit, format(to, digits = 6), format(from, digits = 6), measure))
}

#' @rdname control_function_effects
#' @export
cate.iv_control_function <- function(fit, from, to, newdata = NULL, exposure = NULL,
                                     conf_level = 0.95, ...) {
  check_no_dots(...)
  check_cf_exposure(fit, exposure)
  basis <- cf_columns(c(check_number(from, "from"), check_number(to, "to")), fit$bases$exposure)
  w <- cf_covariates(fit, newdata)
  m <- nrow(w)
  step <- basis[2, ] - basis[1, ]
  rows <- cf_design(fit, matrix(step, m, length(step), byrow = TRUE), 0, w * 0)
  value <- cf_estimate(fit, function(p) {
    g <- drop(basis %*% p$exposure)
    cf_rows(fit, p, rep(g[2], m), w) - cf_rows(fit, p, rep(g[1], m), w)
  }, rows)
  cbind(row = seq_len(m), cf_interval(fit, value, conf_level))
}

#' @rdname control_function_effects
#' @export
average_derivative.iv_control_function <- function(fit, exposure = NULL, # nolint
                                                   conf_level = 0.95, ...) {
  check_no_dots(...)
  check_cf_exposure(fit, exposure)
  at <- fit$exposure_values
  weights <- if (length(at) == fit$nobs) fit$weights
  if (fit$family == "binomial") { # each level is an average over people: fewer levels
    at <- stats::quantile(rep_weighted(at, weights), (seq_len(100) - 0.5) / 100, names = FALSE)
    weights <- NULL
  }
  step <- 1e-4 * max(stats::sd(at), 1e-8)
  if (fit$family == "binomial") {
    up <- cf_columns(at + step, fit$bases$exposure)
    down <- cf_columns(at - step, fit$bases$exposure)
    value <- cf_estimate(fit, function(p) {
      mean(cf_levels(fit, p, drop(up %*% p$exposure)) -
        cf_levels(fit, p, drop(down %*% p$exposure))) / (2 * step)
    })
  } else {
    slope <- (cf_columns(at + step, fit$bases$exposure) -
      cf_columns(at - step, fit$bases$exposure)) / (2 * step)
    row <- t(colMeans_weighted(slope, weights))
    value <- cf_estimate(fit, function(p) sum(row * p$exposure), cf_design(fit, row, 0))
  }
  what <- if (fit$family == "cox") "log hazard (conditional)" else cf_estimand(fit, "x")
  cf_test(fit, value, conf_level, FALSE, paste0("mean d ", what, "/dx"))
}

# Values drawn out by their weights, at 1000 quantiles, where there are weights.
rep_weighted <- function(x, weights) {
  if (is.null(weights)) {
    return(x)
  }
  order <- order(x)
  share <- cumsum(weights[order]) / sum(weights)
  x[order][findInterval((seq_len(1000) - 0.5) / 1000, share) + 1L]
}

# Covariates of new rows (m, kw); by default those of the sample.
cf_covariates <- function(fit, newdata) {
  people <- people_of(fit, newdata, fit$exposure)
  people[[fit$exposure]] <- rep(0, nrow(people))
  out <- design_rows(fit, people, fit$covariates)
  check_newdata_finite(out)
  unname(out)
}

#' @rdname control_function_effects
#' @export
predict.iv_control_function <- function(object, newdata = NULL, interval = c("none", "confidence"),
                                        level = 0.95, ...) {
  check_no_dots(...)
  interval <- check_choice(interval, c("none", "confidence"), "interval")
  if (is.null(newdata) && interval == "none") {
    return(fitted.iv_fit(object))
  }
  people <- people_of(object, newdata, NULL)
  w <- cf_covariates(object, people)
  basis <- cf_columns(check_doubles(people[[object$exposure]], "newdata"), object$bases$exposure)
  statistic <- function(p) cf_rows(object, p, drop(basis %*% p$exposure), w)
  if (interval == "none") {
    return(statistic(cf_parameters(object)))
  }
  cf_interval(object, cf_estimate(object, statistic, cf_design(object, basis, 1, w)), level)
}

#' @rdname control_function_effects
#' @export
tidy.iv_control_function <- function(x, conf.int = FALSE, conf.level = 0.95,
                                     exposures_only = FALSE, ...) {
  out <- tidy.iv_fit(x, conf.int = conf.int, conf.level = conf.level,
    exposures_only = exposures_only, ...)
  out$scale <- switch(x$family,
    gaussian = "mean", binomial = "log-odds, conditional (non-collapsible)",
    cox = "log hazard, conditional (non-collapsible)"
  )
  out
}

#' @rdname control_function_effects
#' @export
glance.iv_control_function <- function(x, ...) {
  check_no_dots(...)
  plain <- x
  endogeneity <- plain$diagnostics$diagnostic == "Endogeneity"
  plain$diagnostics$diagnostic[endogeneity] <- "Wu-Hausman"
  cbind(glance.iv_fit(plain), family = x$family, shape = x$shape, df = x$df,
    residual.shape = x$residual_shape, n.boot = x$n_boot)
}

#' @export
print.iv_control_function <- function(x, digits = max(3L, getOption("digits") - 3L), ...) {
  digits <- check_digits(digits)
  errors <- if (anyNA(x$vcov)) {
    "no standard errors (n_boot = 0)"
  } else if (x$vcov_type == "cluster") {
    paste("standard errors by", x$n_cluster, "clusters")
  } else {
    covariance_words[[x$vcov_type]]
  }
  cat("Control function: effect of ", x$exposure, " on ", x$outcome, " (", x$family, ")\n", x$nobs,
    " rows, ", x$n_instruments, " instrument", if (x$n_instruments != 1L) "s", ", ",
    length(x$covariates), " covariate", if (length(x$covariates) != 1L) "s", "; ", errors, "\n",
    sep = "")
  forms <- c(linear = "linear", polynomial = "polynomial", natural = "natural spline",
    bspline = "cubic spline")
  cat("exposure: ", forms[[x$shape]], if (x$shape != "linear") paste0(" (df ", x$df, ")"),
    "; residual: ", forms[[x$residual_shape]], "\n\n", sep = "")
  if (x$family == "gaussian" && x$shape == "linear" || x$family == "cox") {
    print_table(tidy.iv_control_function(x, conf.int = TRUE, exposures_only = TRUE), digits)
  } else {
    at <- signif(stats::quantile(x$exposure_values, c(0.25, 0.75), names = FALSE), 3)
    if (at[1] < at[2]) {
      print_table(ate(x, at[1], at[2]), digits)
    }
    print_table(average_derivative(x), digits)
  }
  if (x$family == "binomial") {
    cat("tidy() has the conditional log-odds, which are not collapsible\n")
  }
  print_diagnostics(x, digits)
  print_notes(x)
  invisible(x)
}
