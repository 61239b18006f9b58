# What a contextual fit says: slopes of people, slopes along variables, effects averaged over
# people.

#' Slopes of people in their context
#'
#' `context_effects()` gives the slope of each person, or of each stratum of a fit from summary
#' statistics: by how much the mean outcome would change if the exposure were raised by one, for
#' people with this context. Of a fit of [iv_contextual()], `effect_of_context()` shows how the
#' slope goes with one context variable, or with two, averaged over the others as they are in the
#' data, and `heterogeneity_test()` tests whether the slope is constant.
#'
#' Intervals are those of the closed form (see [iv_contextual()]); they take what networks have
#' learnt as given. They are conservative, as they allow for heterogeneity too small to be found;
#' just where it begins to be found they hold a little less than they say. With `n_boot` they are
#' normal intervals with the bootstrap's standard errors, which count the choice of terms and the
#' training. Those of a fit of [mr_contextual()] are the confidence intervals of its regression, as
#' [predict()][predict.mr_contextual()] gives.
#'
#' @param fit A fit of [iv_contextual()]; for `context_effects()` also of [mr_contextual()].
#' @param newdata Data.frame with the context variables: whom to tell of, or for
#'   `effect_of_context()` whom to average over (at most 500 of them, evenly taken). By default the
#'   rows (or strata) that the fit was made from. Of [mr_contextual()] also a vector of values.
#' @param name One or two context variables.
#' @param at Their values: a vector, or for two variables a list of two. By default 30 values over
#'   the range, or 12 of each of two; all levels of a factor.
#' @param conf_level Level of the intervals; of a fit of [mr_contextual()] by default its own.
#' @param ... Passed to methods; nothing else may be given.
#' @return `context_effects()`: data.frame `row, estimate, std.error, conf.low, conf.high,
#'   intercept`; the intercept is the mean outcome at exposure 0 (with the logit link its logit),
#'   covariates at their means, `NA` from summary statistics. `effect_of_context()`: data.frame with
#'   the variable (or both), then `estimate, std.error, conf.low, conf.high`.
#'   `heterogeneity_test()`: data.frame `term, statistic, df, p.value`, first for all terms together
#'   and then for each term of the context by itself.
#' @examples
#' sim <- sim_contextual(n = 2000, L = 10, pi_scale = 0.3, seed = 1,
#'   beta = function(context) 0.3 + 0.2 * context$bmi)
#' z <- as.matrix(sim[truth(sim)$instruments])
#' fit <- iv_contextual(Y ~ X | z, data = sim, context = ~ age + sex + bmi, seed = 1)
#' head(context_effects(fit))
#' context_effects(fit, data.frame(age = 30, sex = 1, bmi = c(20, 30)))
#' effect_of_context(fit, "bmi", at = c(20, 25, 30))
#' heterogeneity_test(fit)
#' @export
context_effects <- function(fit, newdata = NULL, ...) {
  UseMethod("context_effects")
}

#' @export
context_effects.default <- function(fit, ...) {
  stop_argument("fit", "must be a fit of iv_contextual() or mr_contextual()", describe(fit))
}

#' @rdname context_effects
#' @export
context_effects.iv_contextual <- function(fit, newdata = NULL, conf_level = 0.95, ...) {
  check_no_dots(...)
  context <- context_of(fit, newdata)
  out <- slope_intervals(fit, context, conf_level)
  cbind(data.frame(row = seq_len(nrow(context))), out,
    intercept = intercepts_at(fit, context, fit$w_mean))
}

check_contextual <- function(fit) {
  if (!inherits(fit, "iv_contextual")) {
    stop_argument("fit", "must be a fit of iv_contextual()", describe(fit))
  }
}

context_of <- function(fit, newdata) {
  if (!is.null(newdata)) {
    return(context_rows(fit$context, newdata))
  }
  if (is.null(fit$context$columns)) {
    stop_mrl("argument", "The fit kept no variables (model = FALSE): give `newdata`.")
  }
  fit$context$columns
}

# Estimates with intervals; means: average the rows first (within each of `sets`, row numbers).
slope_intervals <- function(fit, context, conf_level) {
  conf_level <- check_conf_level(conf_level)
  table <- slope_table(fit$estimate, context, fit$how)
  if (!is.null(fit$boot)) {
    table$std.error <- apply(bootstrap_slopes(fit, context), 1, stats::sd)
  }
  with_limits(fit, table, conf_level)
}

with_limits <- function(fit, table, conf_level) {
  half <- stats::qt((1 + conf_level) / 2, fit$df_test) * table$std.error
  table$conf.low <- table$estimate - half
  table$conf.high <- table$estimate + half
  table
}

# Mean slopes of sets of equally many rows that lie one after the other.
mean_slope_intervals <- function(fit, context, n_sets, conf_level) {
  set <- rep(seq_len(n_sets), each = nrow(context) / n_sets)
  mean_by <- function(m) rowsum(m, set) / (nrow(context) / n_sets)
  core <- fit$estimate$fit
  f <- sweep(slope_features(fit$estimate, context, fit$how)$f, 2, core$center)
  rows <- mean_by(cbind(1, f))
  table <- data.frame(estimate = drop(rows %*% core$coef),
    std.error = sqrt(pmax(rowSums((rows %*% core$vcov) * rows), 0)))
  if (!is.null(fit$boot)) {
    drawn <- matrix(bootstrap_slopes(fit, context), nrow(context))
    table$std.error <- apply(mean_by(drawn), 1, stats::sd)
  }
  out <- with_limits(fit, table, conf_level)
  row.names(out) <- NULL
  out
}

# The mean outcome at exposure 0 for context rows and covariates w (a row, or a row each).
intercepts_at <- function(fit, context, w) {
  if (!is.matrix(w)) {
    w <- matrix(w, nrow(context), length(w), byrow = TRUE)
  }
  told <- slope_features(fit$estimate, context, fit$how)
  drop(cbind(1, w, context, told$squares, told$offset) %*% fit$estimate$intercept)
}

#' @rdname context_effects
#' @export
effect_of_context <- function(fit, name, at = NULL, newdata = NULL, conf_level = 0.95, ...) {
  check_contextual(fit)
  check_no_dots(...)
  variables <- all.vars(fit$context$formula)
  if (!is.character(name) || !length(name) %in% 1:2 || !all(name %in% variables) ||
    anyDuplicated(name)) {
    stop_argument("name", paste("must be one or two context variables among",
      shorten(variables, 20L)), describe_names(name))
  }
  conf_level <- check_conf_level(conf_level)
  people <- context_people(fit, newdata)
  values <- grid_values(fit, name, at)
  grid <- expand.grid(values, stringsAsFactors = FALSE, KEEP.OUT.ATTRS = FALSE)
  n_rows <- nrow(people)
  if (length(name) == 2L) {
    n_rows <- min(n_rows, 100L)
    people <- people[evenly(nrow(people), n_rows), , drop = FALSE]
  }
  stacked <- people[rep(seq_len(n_rows), nrow(grid)), , drop = FALSE]
  for (v in name) {
    stacked[[v]] <- rep(grid[[v]], each = n_rows)
  }
  context <- context_rows(fit$context, stacked)
  cbind(grid, mean_slope_intervals(fit, context, nrow(grid), conf_level))
}

describe_names <- function(name) {
  if (is.character(name) && length(name) < 6L) paste(name, collapse = ", ") else describe(name)
}

evenly <- function(n, most) {
  if (n <= most) seq_len(n) else round(seq(1, n, length.out = most))
}

context_people <- function(fit, newdata) {
  people <- if (is.null(newdata)) fit$context$data else newdata
  if (is.null(people)) {
    stop_mrl("argument", "The fit kept no variables (model = FALSE): give `newdata`.")
  }
  if (!is.data.frame(people)) {
    stop_argument("newdata", "must be a data.frame", describe(people))
  }
  missing <- setdiff(all.vars(fit$context$formula), names(people))
  if (length(missing)) {
    stop_argument("newdata", paste("must have", shorten(all.vars(fit$context$formula))),
      paste("none named", shorten(missing)))
  }
  people[evenly(nrow(people), 500L), , drop = FALSE]
}

grid_values <- function(fit, name, at) {
  if (!is.null(at)) {
    at <- if (is.list(at)) at else list(at)
    usable <- vapply(at, function(v) (is.atomic(v) || is.factor(v)) && length(v) > 0L, NA)
    if (length(at) != length(name) || !all(usable)) {
      stop_argument("at", "must have values for each variable in `name`", describe(at))
    }
    return(stats::setNames(at, name))
  }
  data <- fit$context$data
  if (is.null(data)) {
    stop_mrl("argument", "The fit kept no variables (model = FALSE): give `at`.")
  }
  most <- if (length(name) == 1L) 30L else 12L
  stats::setNames(lapply(name, function(v) variable_grid(data[[v]], most)), name)
}

variable_grid <- function(v, most) {
  if (is.factor(v)) {
    return(factor(levels(v), levels(v)))
  }
  values <- sort(unique(v))
  if (!is.numeric(v) || length(values) <= most) {
    return(values)
  }
  seq(values[1], values[length(values)], length.out = most)
}

#' @rdname context_effects
#' @export
heterogeneity_test <- function(fit, ...) {
  check_contextual(fit)
  check_no_dots(...)
  fit$tests
}

need_identity <- function(fit) {
  if (fit$link == "logit") {
    stop_mrl("argument", "With `link = \"logit\"` effects are log odds ratios of people, which do ",
      "not average to effects on the probability: see context_effects().")
  }
}

# The curve is a line: at the mean exposure it is the mean outcome, and its slope is the average
# slope, but for the covariance of slopes and exposures.
#' @export
effect_curve.iv_contextual <- function(fit, x = NULL, reference = NULL, newdata = NULL,
                                       exposure = NULL, conf_level = 0.95, ...) {
  check_no_dots(...)
  need_identity(fit)
  conf_level <- check_conf_level(conf_level)
  exposure <- exposure_variable(fit, exposure)
  average <- average_row(fit, newdata)
  x <- if (is.null(x)) {
    seq(fit$x_range[1], fit$x_range[2], length.out = 50)
  } else {
    check_doubles(x, "x", least = 1L)
  }
  estimand <- mean_had(fit$outcome, exposure, "x")
  if (is.null(reference)) {
    level <- average$intercept + average$estimate * x
    se <- sqrt(fit$sigma^2 / fit$nobs + (x - fit$x_mean)^2 * average$std.error^2)
  } else {
    reference <- check_number(reference, "reference")
    level <- average$estimate * (x - reference)
    se <- abs(x - reference) * average$std.error
    estimand <- paste(estimand, "-", mean_had(fit$outcome, exposure, reference))
  }
  cbind(data.frame(x = x),
    with_limits(fit, data.frame(estimate = level, std.error = se), conf_level),
    estimand = estimand)
}

# Slope and intercept averaged over people: those of the fit (with its weights, and people counting
# as drawn), or new ones as they are.
average_row <- function(fit, newdata) {
  if (is.null(newdata)) {
    intercept <- mean_weighted(fit$fitted.values, fit$weights) -
      fit$x_mean_slope
    return(data.frame(estimate = unname(fit$coefficients), std.error = sqrt(fit$vcov[1, 1]),
      intercept = unname(intercept)))
  }
  context <- context_rows(fit$context, newdata)
  out <- mean_slope_intervals(fit, context, 1L, 0.95)
  out$intercept <- mean(intercepts_at(fit, context, fit$w_mean))
  out
}

mean_weighted <- function(v, weights) {
  if (is.null(weights)) mean(v) else stats::weighted.mean(v, weights)
}

one_test <- function(fit, estimate, se, conf_level, estimand) {
  table <- with_limits(fit, data.frame(estimate = estimate, std.error = se),
    check_conf_level(conf_level))
  statistic <- table$estimate / table$std.error
  data.frame(estimate = table$estimate, std.error = table$std.error, statistic = statistic,
    p.value = 2 * stats::pt(abs(statistic), fit$df_test, lower.tail = FALSE),
    conf.low = table$conf.low, conf.high = table$conf.high, estimand = estimand)
}

#' @export
ate.iv_contextual <- function(fit, from, to, newdata = NULL, exposure = NULL, conf_level = 0.95,
                              ...) {
  check_no_dots(...)
  need_identity(fit)
  exposure <- exposure_variable(fit, exposure)
  change <- check_number(to, "to") - check_number(from, "from")
  average <- average_row(fit, newdata)
  one_test(fit, change * average$estimate, abs(change) * average$std.error, conf_level,
    mean_change(fit$outcome, exposure, from, to))
}

#' @export
cate.iv_contextual <- function(fit, from, to, newdata = NULL, exposure = NULL, conf_level = 0.95,
                               ...) {
  check_no_dots(...)
  need_identity(fit)
  exposure_variable(fit, exposure)
  change <- check_number(to, "to") - check_number(from, "from")
  table <- slope_intervals(fit, context_of(fit, newdata), conf_level)[1:2]
  table$estimate <- change * table$estimate
  table$std.error <- abs(change) * table$std.error
  cbind(data.frame(row = seq_len(nrow(table))),
    with_limits(fit, table, check_conf_level(conf_level)))
}

#' @export
average_derivative.iv_contextual <- function(fit, newdata = NULL, exposure = NULL, # nolint
                                             conf_level = 0.95, ...) {
  check_no_dots(...)
  exposure <- exposure_variable(fit, exposure)
  average <- average_row(fit, newdata)
  what <- if (fit$link == "logit") {
    paste0("mean d logit P(", fit$outcome, ")/d ", exposure)
  } else {
    paste0("mean d E[", fit$outcome, "]/d ", exposure)
  }
  one_test(fit, average$estimate, average$std.error, conf_level, what)
}

#' @export
predict.iv_contextual <- function(object, newdata = NULL, interval = c("none", "confidence"),
                                  level = 0.95, ...) {
  check_no_dots(...)
  interval <- check_choice(interval, c("none", "confidence"), "interval")
  if (interval == "confidence") {
    stop_argument("interval", paste("must be \"none\": intervals are known of slopes, see",
      "context_effects()"), describe(interval))
  }
  if (is.null(newdata)) {
    return(fitted.iv_fit(object))
  }
  exposure <- exposure_variable(object, NULL)
  people <- people_of(object, newdata, NULL)
  x <- check_doubles(people[[exposure]], "newdata")
  context <- context_rows(object$context, people)
  w <- if (length(object$covariates)) design_rows(object, people, object$covariates) else
    object$w_mean
  slope <- slope_table(object$estimate, context, object$how)$estimate
  if (object$link == "logit") {
    stop_argument("newdata", paste("must not be given with the logit link: the outcome's",
      "probability depends on instruments"), "a data.frame")
  }
  intercepts_at(object, context, w) + slope * x
}
