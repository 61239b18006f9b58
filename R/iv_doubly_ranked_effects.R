# What a fit by strata says: tables, curves, contrasts, pictures.

#' Results of effects by strata
#'
#' Methods for [iv_doubly_ranked()]. `tidy()` has a row for each stratum, `effect_curve()` the
#' causal curve as a contrast against `reference`: the integral of the LACE, smoothed as the fit was
#' told to. Beyond the means of the first and the last stratum it is extrapolation. `ate()` is one
#' such contrast, `average_derivative()` the mean of the LACE over people.
#'
#' For a binary outcome all of them are differences of log-odds within strata.
#'
#' @param x,fit,object A fit by [iv_doubly_ranked()]; for `effect_curve()`, `x` are exposures, by
#'   default 50 between the means of the outer strata.
#' @param exposure Name of the exposure, of which there is one.
#' @param reference Exposure that the curve is a contrast against; by default the mean exposure.
#' @param from,to Two exposures.
#' @param conf.int Add `conf.low` and `conf.high`?
#' @param conf.level,conf_level,level Level of the intervals.
#' @param parm Strata, by name or number; all by default.
#' @param type `"curve"`, or `"lace"` with an interval for each stratum.
#' @param data For `augment()`: the data.frame that the fit was made from.
#' @param newdata Not available.
#' @param digits Digits to print.
#' @param ... For `plot()`: graphical parameters. Elsewhere nothing may be given.
#' @return `tidy()`: data.frame `term, stratum, x.mean, estimate, std.error, statistic, p.value`.
#'   `glance()`: one row. `augment()`: the data with `.stratum`. `effect_curve()`: data.frame `x,
#'   estimate, std.error, conf.low, conf.high, estimand`. `ate()`, `average_derivative()`: one row.
#'   `predict()`, `fitted()`, `residuals()` and `cate()` raise `mrlearn_error_argument`: strata know
#'   contrasts, no levels.
#' @examples
#' sim <- sim_burgess2014(n = 5000, shape = "J", seed = 1)
#' fit <- iv_doubly_ranked(Y ~ X | g, data = sim, n_strata = 5, seed = 1)
#' tidy(fit, conf.int = TRUE)
#' ate(fit, from = 1, to = 3)
#' diagnostics(fit)
#' plot(fit, "lace")
#' @name strata_results
NULL

#' @rdname strata_results
#' @export
tidy.iv_doubly_ranked <- function(x, conf.int = FALSE, conf.level = 0.95, ...) {
  check_no_dots(...)
  s <- x$lace
  statistic <- s$estimate / s$std.error
  out <- data.frame(
    term = x$exposures, stratum = s$stratum, x.mean = s$x.mean, estimate = s$estimate,
    std.error = s$std.error, statistic = statistic,
    p.value = 2 * stats::pt(abs(statistic), s$df, lower.tail = FALSE)
  )
  if (check_flag(conf.int)) {
    half <- stats::qt((1 + check_conf_level(conf.level)) / 2, s$df) * s$std.error
    out$conf.low <- s$estimate - half
    out$conf.high <- s$estimate + half
  }
  out
}

#' @rdname strata_results
#' @export
glance.iv_doubly_ranked <- function(x, ...) {
  check_no_dots(...)
  find <- function(name) find_diagnostic(x$diagnostics, name)
  q <- x$diagnostics[x$diagnostics$diagnostic == "Heterogeneity Q", ]
  data.frame(
    estimator = x$estimator, strata = x$strata, family = x$family, vcov = x$vcov_type,
    nobs = x$nobs, n.instruments = x$n_instruments, n.strata = x$settings$n_strata,
    n.repeats = x$settings$n_repeats, statistic.weakinst = find("Weak instruments")$statistic,
    p.value.weakinst = find("Weak instruments")$p.value, q = q$statistic, q.df = q$df1,
    q.p = q$p.value, trend.p = find("Trend (REML)")$p.value,
    trend.p.DL = find("Trend (DL)")$p.value, gr = find("Gelman-Rubin")$statistic,
    seed = x$settings$seed
  )
}

#' @rdname strata_results
#' @export
augment.iv_doubly_ranked <- function(x, data = NULL, ...) {
  check_no_dots(...)
  if (is.null(x$stratum)) {
    stop_mrl("argument", "The fit kept no strata (model = FALSE).")
  }
  if (is.null(data)) {
    data <- x$model
  } else if (!is.data.frame(data) || nrow(data) != x$nobs) {
    stop_argument("data", paste("must be a data.frame with the", x$nobs, "rows of the fit"),
      describe(data))
  }
  cbind(as.data.frame(data), .stratum = x$stratum)
}

#' @rdname strata_results
#' @export
confint.iv_doubly_ranked <- function(object, parm = NULL, level = 0.95, ...) {
  check_no_dots(...)
  table <- tidy(object, conf.int = TRUE, conf.level = level)
  out <- as.matrix(table[c("conf.low", "conf.high")])
  ends <- paste(format(100 * c((1 - level) / 2, (1 + level) / 2), trim = TRUE), "%")
  dimnames(out) <- list(names(object$coefficients), ends)
  out[check_parm(parm, rownames(out), "strata of the fit"), , drop = FALSE]
}

#' @rdname strata_results
#' @export
effect_curve.iv_doubly_ranked <- function(fit, x = NULL, reference = NULL, exposure = NULL,
                                          conf_level = 0.95, ...) {
  check_no_dots(...)
  check_choice(if (is.null(exposure)) fit$exposures else exposure, fit$exposures, "exposure")
  ends <- fit$curve$ends
  x <- if (is.null(x)) seq(ends[1], ends[2], length.out = 50) else check_doubles(x, "x", least = 1L)
  reference <- if (is.null(reference)) {
    fit$mean_exposure
  } else {
    check_number(reference, "reference")
  }
  cbind(
    data.frame(x = x), curve_contrast(fit, reference, x, conf_level),
    estimand = strata_estimand(fit, "x", format(reference, digits = 6))
  )
}

#' @rdname strata_results
#' @export
ate.iv_doubly_ranked <- function(fit, from, to, conf_level = 0.95, ...) {
  check_no_dots(...)
  from <- check_number(from, "from")
  to <- check_number(to, "to")
  out <- curve_contrast(fit, from, to, conf_level)
  with_test(out, fit$curve$df, strata_estimand(fit, format(to), format(from)))
}

#' @rdname strata_results
#' @export
average_derivative.iv_doubly_ranked <- function(fit, conf_level = 0.95, ...) { # nolint
  check_no_dots(...)
  s <- fit$lace
  if (anyNA(s$estimate)) {
    stop_mrl("data", "Strata without an estimate have no average: ",
      paste(s$stratum[is.na(s$estimate)], collapse = ", "), ".")
  }
  share <- s$n / sum(s$n)
  estimate <- sum(share * s$estimate)
  se <- sqrt(sum(share^2 * s$std.error^2))
  half <- stats::qnorm((1 + check_conf_level(conf_level)) / 2) * se
  out <- data.frame(
    estimate = estimate, std.error = se, conf.low = estimate - half, conf.high = estimate + half
  )
  with_test(out, Inf, paste("mean LACE of", fit$exposures, "over people",
    if (fit$family == "binomial") "(log-odds)" else paste("on", fit$outcome)))
}

#' @rdname strata_results
#' @export
cate.iv_doubly_ranked <- function(fit, from, to, newdata = NULL, ...) {
  stop_no_levels("cate")
}

#' @rdname strata_results
#' @export
predict.iv_doubly_ranked <- function(object, newdata = NULL, ...) {
  stop_no_levels("predict")
}

#' @rdname strata_results
#' @export
fitted.iv_doubly_ranked <- function(object, ...) {
  stop_no_levels("fitted")
}

#' @rdname strata_results
#' @export
residuals.iv_doubly_ranked <- function(object, ...) {
  stop_no_levels("residuals")
}

stop_no_levels <- function(name) {
  stop_mrl("argument", name, "() needs levels of the outcome; strata know contrasts only: ",
    "effect_curve(fit, reference = ) and ate(fit, from, to).")
}

# Differences of the curve between `from` (one exposure) and each of `to`.
curve_contrast <- function(fit, from, to, conf_level) {
  curve <- fit$curve
  rows <- sweep(lace_basis(to, curve, TRUE), 2, lace_basis(from, curve, TRUE)[1, ])
  estimate <- drop(rows %*% curve$coef)
  se <- sqrt(pmax(0, rowSums((rows %*% curve$vcov) * rows)))
  half <- stats::qt((1 + check_conf_level(conf_level)) / 2, curve$df) * se
  data.frame(
    estimate = estimate, std.error = se, conf.low = estimate - half, conf.high = estimate + half
  )
}

with_test <- function(out, df, estimand) {
  statistic <- out$estimate / out$std.error
  data.frame(
    out[c("estimate", "std.error")], statistic = statistic,
    p.value = 2 * stats::pt(abs(statistic), df, lower.tail = FALSE),
    out[c("conf.low", "conf.high")], estimand = estimand
  )
}

strata_estimand <- function(fit, to, from) {
  if (fit$family == "binomial") {
    return(paste0("log-odds of ", fit$outcome, " within strata at ", fit$exposures, "=", to,
      " - at ", from))
  }
  mean_change(fit$outcome, fit$exposures, from, to)
}

#' @rdname strata_results
#' @export
print.iv_doubly_ranked <- function(x, digits = max(3L, getOption("digits") - 3L), ...) {
  digits <- check_digits(digits)
  check_no_dots(...)
  print_strata_head(x)
  print_table(tidy(x, conf.int = TRUE)[-1], digits)
  print_diagnostics(x, digits)
  print_strata_notes(x)
  invisible(x)
}

#' @rdname strata_results
#' @export
summary.iv_doubly_ranked <- function(object, ...) {
  check_no_dots(...)
  structure(list(fit = object, lace = object$lace), class = "summary.iv_doubly_ranked")
}

#' @export
print.summary.iv_doubly_ranked <- function(x, digits = max(3L, getOption("digits") - 3L), ...) {
  digits <- check_digits(digits)
  check_no_dots(...)
  print_strata_head(x$fit)
  shown <- c("stratum", "n", "x.min", "x.mean", "x.max", "bx", "bx.se", "by", "by.se", "estimate",
    "std.error", "F", "gr")
  print_table(x$lace[shown], digits)
  print_diagnostics(x$fit, digits)
  print_strata_notes(x$fit)
  invisible(x)
}

print_strata_head <- function(x) {
  cat("Effect of ", x$exposures, " on ", x$outcome, if (x$family == "binomial") " (log-odds)",
    " by ", x$settings$n_strata, " ", strata_words[[x$strata]], "\n", sep = "")
  score <- switch(x$score$how,
    none = "1 instrument",
    paste0("score of ", x$n_instruments, " instruments with ",
      if (x$score$how == "first stage") "first-stage" else x$score$how, " weights")
  )
  repeats <- if (x$settings$n_repeats > 1L) {
    paste0(x$settings$n_repeats, " repeats without ", x$settings$leave_out, " people each")
  }
  errors <- c(iid = "equal error variances", HC1 = "robust errors (HC1)",
    cluster = paste0("errors by ", x$n_cluster, " clusters of ", x$cluster))[[x$vcov_type]]
  cat(paste(c(
    paste(x$nobs, "people"), score,
    paste0(length(x$covariates), " covariate", if (length(x$covariates) != 1L) "s"), errors, repeats
  ), collapse = ", "), "\n\n", sep = "")
}

print_strata_notes <- function(x) {
  ties <- x$tied[x$tied > 0]
  notes <- c(
    if (length(ties)) {
      paste0("equal values of ", paste0(names(ties), " (", ties, " people)", collapse = ", "),
        if (x$settings$random_ties) paste0(" in random order, seed ",
          format(x$settings$seed, digits = 16)) else " in the order of the rows")
    },
    if (x$family == "binomial") "log-odds do not collapse: effects within strata",
    x$dropped$rows
  )
  if (length(notes)) {
    cat("\n", paste0("Note: ", notes, ".\n"), sep = "")
  }
}

#' @rdname strata_results
#' @export
plot.iv_doubly_ranked <- function(x, type = c("curve", "lace"), reference = NULL,
                                  conf_level = 0.95, ...) {
  draw_picture(strata_picture(x, type, reference, conf_level), ...)
}

#' @rdname strata_results
#' @exportS3Method ggplot2::autoplot
autoplot.iv_doubly_ranked <- function(object, type = c("curve", "lace"), reference = NULL,
                                      conf_level = 0.95, ...) {
  check_no_dots(...)
  ggplot_picture(strata_picture(object, type, reference, conf_level))
}

strata_picture <- function(fit, type, reference, conf_level) {
  if (check_choice(type, c("curve", "lace"), "type") == "curve") {
    data <- effect_curve(fit, reference = reference, conf_level = conf_level)
    people <- if (is.null(fit$model)) fit$lace$x.mean else fit$model[[1]]
    inside <- !is.na(people) & people >= min(data$x) & people <= max(data$x)
    return(band_picture(data, fit$exposures, curve_name(data), fit$estimator,
      thin_rug(people[inside])))
  }
  table <- tidy(fit, conf.int = TRUE, conf.level = conf_level)
  names(table)[names(table) == "x.mean"] <- "x"
  points_picture(table[!is.na(table$estimate), ], paste("mean", fit$exposures, "of the stratum"),
    paste("effect on", fit$outcome, "per unit of", fit$exposures), fit$estimator)
}
