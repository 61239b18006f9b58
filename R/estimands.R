# Causal estimands of a fit: curves, contrasts, derivatives, averaged over the people it was made
# of.

#' Causal effects from a fitted model
#'
#' What the model says about intervening on the exposure: the mean outcome if everybody's exposure
#' were set to `x` (`effect_curve()`), the difference between two levels for the sample
#' (`ate()`) or for each person (`cate()`), and the slope averaged over the sample
#' (`average_derivative()`). All of it inherits the assumptions of the fit (see [iv_2sls()]) and
#' its functional form: far from the exposures seen, it is extrapolation. Standard errors are those
#' of
#' the coefficients; the people averaged over count as fixed.
#'
#' Covariates stay as observed and are averaged over (with the fit's weights). A formula whose
#' exposure enters as a function (`x + I(x^2)`, `x * sex`) is evaluated person by person; then the
#' exposure is the one variable that is not also a covariate.
#'
#' @param fit A fit of an `iv_*()` function.
#' @param x Exposure levels (numeric, in the exposure's units); by default 50 points over its range.
#' @param reference A level; then the curve is the contrast against it.
#' @param from,to Two exposure levels (numbers).
#' @param newdata Data.frame with the variables of the structural equation: whom to average over, or
#'   for `cate()` a row per person. By default the rows that the fit was made from.
#' @param exposure Name of the exposure variable, needed where there are several.
#' @param conf_level Level of the intervals.
#' @param ... Passed to methods; nothing else may be given.
#' @return Data.frames. `effect_curve()`: `x, estimate, std.error, conf.low, conf.high, estimand`, a
#'   row per level. `ate()` and `average_derivative()`: one row `estimate, std.error, statistic,
#'   p.value, conf.low, conf.high, estimand`. `cate()`: a row per row of `newdata` with `row,
#'   estimate, std.error, conf.low, conf.high`.
#' @examples
#' sim <- sim_contextual(n = 2000, L = 5)
#' fit <- iv_2sls(Y ~ X * sex | (G0 + G1 + G2 + G3 + G4) * sex, data = sim)
#' effect_curve(fit, x = c(-1, 0, 1))
#' ate(fit, from = 0, to = 1)
#' cate(fit, 0, 1, newdata = data.frame(sex = c(0, 1)))
#' average_derivative(fit)
#' @name estimands
NULL

#' @rdname estimands
#' @export
effect_curve <- function(fit, x = NULL, ...) {
  UseMethod("effect_curve")
}

#' @export
effect_curve.default <- function(fit, x = NULL, ...) {
  stop_argument("fit", "must be a fit of an iv_*() function", describe(fit))
}

#' @rdname estimands
#' @export
ate <- function(fit, from, to, ...) {
  UseMethod("ate")
}

#' @export
ate.default <- function(fit, from, to, ...) {
  stop_argument("fit", "must be a fit of an iv_*() function", describe(fit))
}

#' @rdname estimands
#' @export
cate <- function(fit, from, to, newdata = NULL, ...) {
  UseMethod("cate")
}

#' @export
cate.default <- function(fit, from, to, newdata = NULL, ...) {
  stop_argument("fit", "must be a fit of an iv_*() function", describe(fit))
}

#' @rdname estimands
#' @export
average_derivative <- function(fit, ...) {
  UseMethod("average_derivative")
}

#' @export
average_derivative.default <- function(fit, ...) {
  stop_argument("fit", "must be a fit of an iv_*() function", describe(fit))
}

#' @rdname estimands
#' @export
effect_curve.iv_fit <- function(fit, x = NULL, reference = NULL, newdata = NULL, exposure = NULL,
                                conf_level = 0.95, ...) {
  check_no_dots(...)
  exposure <- exposure_variable(fit, exposure)
  people <- people_of(fit, newdata, exposure)
  x <- if (is.null(x)) default_levels(people, exposure) else check_doubles(x, "x", least = 1L)
  rows <- mean_design(fit, people, exposure, x)
  estimand <- mean_had(fit$outcome, exposure, "x")
  if (!is.null(reference)) {
    reference <- check_number(reference, "reference")
    rows <- sweep(rows, 2, mean_design(fit, people, exposure, reference)[1, ])
    estimand <- paste(estimand, "-", mean_had(fit$outcome, exposure, reference))
  }
  cbind(data.frame(x = x), interval_table(fit, rows, conf_level), estimand = estimand)
}

# How estimands are called: E[Y|do(X=x)], and a difference of two.
mean_had <- function(outcome, exposure, at) {
  paste0("E[", outcome, "|do(", exposure, "=", if (is.numeric(at)) signif(at, 5) else at, ")]")
}

mean_change <- function(outcome, exposure, from, to) {
  paste(mean_had(outcome, exposure, to), "-", mean_had(outcome, exposure, from))
}

#' @rdname estimands
#' @export
ate.iv_fit <- function(fit, from, to, newdata = NULL, exposure = NULL, conf_level = 0.95, ...) {
  check_no_dots(...)
  exposure <- exposure_variable(fit, exposure)
  people <- people_of(fit, newdata, exposure)
  levels <- c(check_number(from, "from"), check_number(to, "to"))
  rows <- mean_design(fit, people, exposure, levels)
  estimand <- mean_change(fit$outcome, exposure, from, to)
  test_table(fit, rows[2, , drop = FALSE] - rows[1, , drop = FALSE], conf_level, estimand)
}

#' @rdname estimands
#' @export
cate.iv_fit <- function(fit, from, to, newdata = NULL, exposure = NULL, conf_level = 0.95, ...) {
  check_no_dots(...)
  exposure <- exposure_variable(fit, exposure)
  people <- people_of(fit, newdata, exposure)
  from <- check_number(from, "from")
  to <- check_number(to, "to")
  rows <- design_at(fit, people, exposure, to) - design_at(fit, people, exposure, from)
  cbind(data.frame(row = seq_len(nrow(people))), interval_table(fit, rows, conf_level))
}

#' @rdname estimands
#' @export
average_derivative.iv_fit <- function(fit, newdata = NULL, exposure = NULL, conf_level = 0.95,
                                      ...) {
  check_no_dots(...)
  exposure <- exposure_variable(fit, exposure)
  people <- people_of(fit, newdata, exposure)
  at <- people[[exposure]]
  if (is.null(at)) {
    stop_argument("newdata", paste0("must have the exposure `", exposure, "`"),
      shorten(names(people)))
  }
  # Central difference: exact for a cubic up to its third-order term, which is of order step^2.
  step <- 1e-4 * max(stats::sd(at), 1e-8 * max(abs(at), 1), na.rm = TRUE)
  up <- people
  down <- people
  up[[exposure]] <- at + step
  down[[exposure]] <- at - step
  difference <- (design_rows(fit, up) - design_rows(fit, down)) / (2 * step)
  row <- t(colMeans_weighted(difference, person_weights(fit, people)))
  test_table(fit, row, conf_level, paste0("mean d E[", fit$outcome, "]/d ", exposure))
}

#' Predictions of a fitted instrumental-variable model
#'
#' The structural equation at the rows' own exposures and covariates: what the mean outcome would be
#' if they were set to these values. It is not the best prediction of the outcome, because the
#' exposure also tells about unmeasured confounders.
#'
#' @param object A fit of an `iv_*()` function.
#' @param newdata Data.frame with the variables of the structural equation; by default the rows that
#'   the fit was made from.
#' @param interval `"none"`, or `"confidence"` for intervals of the mean.
#' @param level Their level.
#' @param ... Nothing else may be given.
#' @return A numeric vector, or with intervals a data.frame `estimate, std.error, conf.low,
#'   conf.high`.
#' @export
predict.iv_fit <- function(object, newdata = NULL, interval = c("none", "confidence"),
                           level = 0.95, ...) {
  check_no_dots(...)
  interval <- check_choice(interval, c("none", "confidence"), "interval")
  if (is.null(newdata) && interval == "none") {
    return(fitted.iv_fit(object))
  }
  rows <- design_rows(object, people_of(object, newdata, NULL))
  if (interval == "none") {
    return(as.vector(rows %*% object$coefficients))
  }
  interval_table(object, rows, level)
}

# The variable whose setting is meant: the one behind exposure terms that no covariate uses.
exposure_variable <- function(fit, exposure) {
  in_exposure <- all.vars(stats::reformulate(fit$design$exposure_terms))
  labels <- canonical_labels(fit$design$terms)
  others <- labels_in(labels, canonical_labels_of(fit$design$exposure_terms), keep = FALSE)
  in_covariates <- if (length(others)) all.vars(stats::reformulate(others)) else character()
  candidates <- setdiff(in_exposure, in_covariates)
  if (is.null(exposure)) {
    if (length(candidates) != 1L) {
      stop_argument("exposure", paste0("must be given where several exposures are possible (",
        shorten(candidates), ")"), "NULL")
    }
    return(candidates)
  }
  exposure <- check_string(exposure)
  if (!exposure %in% candidates) {
    stop_argument("exposure", paste("must be one of", shorten(candidates)), describe(exposure))
  }
  exposure
}

# Rows to average over or to predict for.
people_of <- function(fit, newdata, exposure) {
  if (is.null(newdata)) {
    if (is.null(fit$model)) {
      stop_mrl("argument", "The fit kept no variables (model = FALSE): give `newdata`.")
    }
    return(fit$model)
  }
  if (!is.data.frame(newdata)) {
    stop_argument("newdata", "must be a data.frame", describe(newdata))
  }
  if (nrow(newdata) == 0L) {
    stop_argument("newdata", "must have at least one row", "none")
  }
  needed <- setdiff(all.vars(fit$design$terms), exposure)
  missing <- setdiff(needed, names(newdata))
  if (length(missing)) {
    stop_argument("newdata", paste("must have", shorten(needed)),
      paste("none named", shorten(missing)))
  }
  newdata
}

default_levels <- function(people, exposure) {
  at <- people[[exposure]]
  if (!is.numeric(at)) {
    stop_argument("x", paste0("must be given: `", exposure, "` is not numeric or not in `newdata`"),
      "NULL")
  }
  seq(min(at), max(at), length.out = 50)
}

# The design of rows of variables; columns: those of the coefficients, or others by name.
design_rows <- function(fit, people, columns = names(fit$coefficients)) {
  force(people) # its own errors are not those of the model frame
  design <- fit$design
  full <- of_model(
    {
      frame <- stats::model.frame(design$terms, people, na.action = stats::na.pass,
        xlev = design$xlevels)
      stats::model.matrix(design$terms, frame, contrasts.arg = design$contrasts)
    },
    "data", "`newdata` does not fit the model"
  )
  absent <- setdiff(columns, colnames(full))
  if (length(absent)) {
    stop_mrl("data", "`newdata` does not fit the model: it gives no column ", shorten(absent),
      "; are all variables of the type that the fit saw?")
  }
  full[, columns, drop = FALSE]
}

design_at <- function(fit, people, exposure, level) {
  people[[exposure]] <- rep(level, nrow(people))
  design_rows(fit, people)
}

person_weights <- function(fit, people) {
  if (identical(people, fit$model)) fit$weights else NULL
}

colMeans_weighted <- function(x, weights) {
  if (is.null(weights)) colMeans(x) else colSums(x * weights) / sum(weights)
}

# The design averaged over people at each level, a row per level. Where the exposure enters only as
# itself, one pass over the people does for all levels.
mean_design <- function(fit, people, exposure, levels) {
  weights <- person_weights(fit, people)
  name <- deparse1(as.name(exposure), backtick = TRUE)
  if (identical(fit$design$exposure_terms, name) && !is.matrix(people[[exposure]])) {
    base <- colMeans_weighted(design_at(fit, people, exposure, levels[1]), weights)
    rows <- matrix(base, length(levels), length(base), byrow = TRUE,
      dimnames = list(NULL, names(base)))
    rows[, name] <- levels
    return(rows)
  }
  # People who differ in nothing else: one stands for all.
  if (!length(setdiff(all.vars(fit$design$terms), exposure))) {
    return(design_rows(fit, stats::setNames(data.frame(levels), exposure)))
  }
  rows <- lapply(levels, function(level) {
    colMeans_weighted(design_at(fit, people, exposure, level), weights)
  })
  do.call(rbind, rows)
}

interval_table <- function(fit, rows, conf_level) {
  conf_level <- check_conf_level(conf_level)
  estimate <- drop(rows %*% fit$coefficients)
  se <- sqrt(pmax(0, rowSums((rows %*% fit$vcov) * rows)))
  half <- stats::qt((1 + conf_level) / 2, fit$df_test) * se
  data.frame(
    estimate = unname(estimate), std.error = unname(se), conf.low = unname(estimate - half),
    conf.high = unname(estimate + half)
  )
}

test_table <- function(fit, row, conf_level, estimand) {
  out <- interval_table(fit, row, conf_level)
  statistic <- out$estimate / out$std.error
  data.frame(
    estimate = out$estimate, std.error = out$std.error, statistic = statistic,
    p.value = 2 * stats::pt(abs(statistic), fit$df_test, lower.tail = FALSE),
    conf.low = out$conf.low, conf.high = out$conf.high, estimand = estimand
  )
}
