# Prediction intervals by conformal calibration, around any fit.

conformal_methods <- c("split", "normalised", "cqr")

#' Prediction intervals that hold what they say
#'
#' Widens (or narrows) the predictions of a fit on rows that it has not seen until they hold new
#' outcomes with probability `conf_level`. **These are intervals for the outcome \eqn{Y} of a person
#' with the exposure and covariates \eqn{X}, as people are observed. They are not intervals for
#' \eqn{E[Y | do(X)]}**, which [effect_curve()] and [orthogonal()] give: they hold a person's
#' outcome, noise and confounding included, and do not shrink as data grow.
#'
#' Assumed is that the rows of `data` and the new ones are exchangeable, as independent draws from
#' one population are, and that the fit was made without any of them. Then the probability that an
#' interval holds is at least `conf_level` in samples of every size and whatever the fit's quality;
#' a bad fit makes wide intervals, not wrong ones. It is a probability over people: at a given
#' \eqn{X} it may be less (`"split"` intervals have one width everywhere), and `"cqr"` comes nearest
#' to it. Clusters break exchangeability: calibrate on one row of each family. Weights of the fit
#' are not used for the calibration: each of its rows counts one.
#'
#' @section Methods:
#' With \eqn{n} rows of calibration and \eqn{k = \lceil (n + 1) L \rceil}, \eqn{L} being the level,
#' the margin is the \eqn{k}-th smallest score; where \eqn{k > n} no finite margin holds what is
#' asked, and the interval is infinite (with a warning of class `mrlearn_warning_infinite`).
#' * `"split"`: the score is \eqn{|y - g(x)|}.
#' * `"normalised"`: \eqn{|y - g(x)| / s(x)}, \eqn{s} the median of the fit's absolute residuals
#'   given \eqn{x}, by [quantile_regression()] on the fit's own rows, plus a tenth of their overall
#'   median.
#' * `"cqr"`: \eqn{\max(q_{\alpha/2}(x) - y, y - q_{1 - \alpha/2}(x))}, \eqn{\alpha = 1 - L}. The
#'   quantiles are those of a [quantile_regression()], or \eqn{g(x)} plus quantiles of the fit's
#'   residuals, learnt on its own rows. With `asymmetric = TRUE` each side has a margin of its own
#'   at the level \eqn{1 - \alpha/2}.
#'
#' @section Rows used before:
#' Rows that a fit has learnt from, and those that it held out to stop its training, are refused
#' with an error of class `mrlearn_error_data`, as far as the fit knows them: it compares outcome,
#' exposure and covariates with those that it keeps (`model = TRUE`), allowing for as many equal
#' rows as the data have by chance. Functions and fits that keep nothing cannot be checked
#' (`checked` of the result says so).
#'
#' @param object A fit of an `iv_*()` function with a continuous outcome; a [quantile_regression()]
#'   with the levels `(1 - conf_level) / 2` and `(1 + conf_level) / 2` (or `simultaneous`); a
#'   function of a data.frame that returns a mean for each row; or a list of two such functions,
#'   `lower` and `upper` (quantiles).
#' @param data Data.frame: the rows of calibration, with outcome, exposure and covariates.
#' @param method How; see Methods. By default `"split"` for fits and functions, `"cqr"` for
#'   quantiles.
#' @param conf_level Probability that an interval is to hold.
#' @param outcome Name of the outcome in `data`; for functions. Fits know theirs.
#' @param scale For a function and `"normalised"`: a function of a data.frame that returns the
#'   spread of each row, above 0.
#' @param asymmetric For `"cqr"`: one margin for each side?
#' @param control,seed Of the quantile regression of residuals.
#' @param n_threads Number of threads.
#' @param ... Nothing else may be given.
#' @return An object of class `conformal`: `method`, `conf_level`, the margins `below` and `above`
#'   (in units of the scale for `"normalised"`), `k`, `n` (rows of calibration), `checked`, the fit
#'   as `object`. Read it with `predict()`, `augment()` and `glance()`.
#' @references Lei, J. et al. (2018). Distribution-free predictive inference for regression. J. Am.
#'   Stat. Assoc. 113:1094-1111.
#'
#'   Romano, Y., Patterson, E. & Candes, E. (2019). Conformalized quantile regression. NeurIPS 32.
#' @seealso [orthogonal()] and [neural_effects] for intervals of causal effects.
#' @examples
#' sim <- sim_nonlinear(n = 1500, n_variants = 3, seed = 1)
#' fit <- iv_quantile(Y ~ X | G0 + G1 + G2, sim[1:1000, ], seed = 1,
#'   control = nn_control(epochs = 10))
#' band <- conformal(fit, sim[1001:1500, ], conf_level = 0.9)
#' band
#' predict(band, data.frame(X = c(-1, 0, 1)))
#' @export
conformal <- function(object, data, ...) {
  UseMethod("conformal")
}

#' @rdname conformal
#' @export
conformal.default <- function(object, data, ...) {
  stop_argument("object", paste("must be a fit of an iv_*() function or of quantile_regression(),",
    "a function, or a list of the functions `lower` and `upper`"), describe(object))
}

#' @rdname conformal
#' @export
conformal.iv_fit <- function(object, data, method = c("split", "normalised", "cqr"),
                             conf_level = 0.95, asymmetric = FALSE, control = nn_control(),
                             seed = NULL, n_threads = mrl_threads(), ...) {
  check_no_dots(...)
  method <- check_choice(method, conformal_methods)
  check_conf_level(conf_level)
  if (isTRUE(object$binary)) {
    stop_argument("object", "must have a continuous outcome", "a binary one")
  }
  y <- calibration_outcome(object, data)
  checked <- check_unseen(object, data, y, object$fitted.values + object$residuals)
  spread <- if (method != "split") {
    residual_quantiles(object, method, conf_level, control, seed, check_threads(n_threads))
  }
  band_margins(list(object = object, spread = spread), data, y, method, conf_level, asymmetric,
    checked, object$outcome)
}

#' @rdname conformal
#' @export
conformal.quantile_regression <- function(object, data, method = "cqr", conf_level = 0.95,
                                          asymmetric = FALSE, ...) {
  check_no_dots(...)
  method <- check_choice(method, "cqr")
  check_conf_level(conf_level)
  needed <- c(1 - conf_level, 1 + conf_level) / 2
  if (!object$simultaneous && !all(round(needed, 8) %in% round(object$tau, 8))) {
    stop_argument("object", paste("must have the levels", level_text(needed)),
      level_text(object$tau))
  }
  y <- calibration_outcome(object, data)
  band_margins(list(object = object), data, y, method, conf_level, asymmetric,
    check_unseen(object, data, y, object$y), object$outcome)
}

#' @rdname conformal
#' @export
conformal.function <- function(object, data, outcome, scale = NULL, method = NULL,
                               conf_level = 0.95, ...) {
  check_no_dots(...)
  method <- check_choice(
    if (is.null(method)) c("split", "normalised")[1L + !is.null(scale)] else method,
    c("split", "normalised")
  )
  if ((method == "normalised") != is.function(scale)) {
    stop_argument("scale", "must be a function for method \"normalised\", and NULL for \"split\"",
      describe(scale))
  }
  check_conf_level(conf_level)
  y <- named_outcome(data, outcome)
  band_margins(list(object = object, scale = scale), data, y, method, conf_level, FALSE, FALSE,
    outcome)
}

#' @rdname conformal
#' @export
conformal.list <- function(object, data, outcome, method = "cqr", conf_level = 0.95,
                           asymmetric = FALSE, ...) {
  check_no_dots(...)
  method <- check_choice(method, "cqr")
  check_conf_level(conf_level)
  if (!is.function(object[["lower"]]) || !is.function(object[["upper"]])) {
    stop_argument("object", "must have the functions `lower` and `upper`", shorten(names(object)))
  }
  y <- named_outcome(data, outcome)
  band_margins(list(object = object), data, y, method, conf_level, asymmetric, FALSE, outcome)
}

# The margins of parts (object, and spread or scale), and what is kept.
band_margins <- function(parts, data, y, method, conf_level, asymmetric, checked, outcome) {
  check_flag(asymmetric)
  if (asymmetric && method != "cqr") {
    stop_argument("asymmetric", "is for method \"cqr\"", paste0("TRUE with \"", method, "\""))
  }
  band <- structure(
    c(parts, list(method = method, conf_level = conf_level, asymmetric = asymmetric, n = length(y),
      checked = checked, outcome = outcome)),
    class = "conformal"
  )
  rows <- uncalibrated(band, data)
  out <- .Call(C_conformal_calibrate, y, rows$low, rows$high, rows$scale,
    list(level = conf_level, apart = asymmetric))
  check_status(out$status, "calibrating")
  band[c("below", "above", "k")] <- out$value
  if (is.infinite(band$above)) {
    side <- if (asymmetric) (1 + conf_level) / 2 else conf_level
    warn_mrl("infinite", "With ", band$n, " rows of calibration no finite interval holds ",
      format(100 * conf_level), " %: the intervals are infinite. At least ",
      ceiling(side / (1 - side) - 1e-9), " rows are needed.")
  }
  band
}

# What the fit says of rows before calibration: list(estimate, low, high, scale), scale NULL for 1.
uncalibrated <- function(band, rows) {
  object <- band$object
  sides <- c(1 - band$conf_level, 1 + band$conf_level) / 2
  if (inherits(object, "quantile_regression")) {
    q <- stats::predict(object, rows, tau = sides)
    middle <- object$simultaneous || any(object$tau == 0.5)
    estimate <- if (middle) stats::predict(object, rows, tau = 0.5)[, 1] else rowMeans(q)
    return(list(estimate = estimate, low = q[, 1], high = q[, 2], scale = NULL))
  }
  if (is.list(object) && is.function(object$lower)) {
    low <- of_function(object$lower, rows, "object$lower")
    high <- of_function(object$upper, rows, "object$upper")
    return(list(estimate = (low + high) / 2, low = low, high = high, scale = NULL))
  }
  mean <- if (is.function(object)) {
    of_function(object, rows, "object")
  } else {
    as.vector(stats::predict(object, newdata = rows))
  }
  out <- list(estimate = mean, low = mean, high = mean, scale = NULL)
  if (band$method == "cqr") {
    q <- stats::predict(band$spread$fit, rows)
    out$low <- mean + q[, 1]
    out$high <- mean + q[, 2]
  } else if (band$method == "normalised") {
    out$scale <- scale_of(band, rows)
  }
  out
}

scale_of <- function(band, rows) {
  if (is.null(band$spread)) {
    scale <- of_function(band$scale, rows, "scale")
    if (any(scale <= 0)) {
      stop_argument("scale", "must give numbers above 0", format(min(scale)))
    }
    return(scale)
  }
  pmax(stats::predict(band$spread$fit, rows)[, 1], 0) + band$spread$least
}

of_function <- function(f, rows, arg) {
  out <- f(rows)
  if (!is.numeric(out) || length(out) != nrow(rows) || !all(is.finite(out))) {
    stop_argument(arg, paste("must return", nrow(rows), "finite numbers"), describe(out))
  }
  as.double(out)
}

# Quantiles of a fit's residuals given what its structural equation has, on its own rows:
# list(fit, least), least being what is added to a scale.
residual_quantiles <- function(object, method, conf_level, control, seed, n_threads) {
  residual <- unname(object$residuals)
  if (is.null(object$model) || !all(is.finite(residual))) {
    stop_argument("method", paste0("\"", method, "\" needs a fit that knows its residuals ",
      "(model = TRUE, one sample)"), "one that does not")
  }
  frame <- object$model
  if (method == "normalised") {
    residual <- abs(residual)
  }
  formula <- stats::reformulate(quote_name(names(frame)), quote(.residual))
  frame$.residual <- residual
  frame$.weight <- if (is.null(object$weights)) 1 else object$weights
  tau <- if (method == "cqr") c(1 - conf_level, 1 + conf_level) / 2 else 0.5
  fit <- quantile_regression(formula, frame, weights = .weight, tau = tau, control = control,
    seed = seed, model = FALSE, n_threads = n_threads)
  # Not 0, even where a fit is exact.
  list(fit = fit, least = max(0.1 * stats::median(abs(residual)), 1e-12 * max(abs(residual), 1e-3)))
}
utils::globalVariables(".weight")

# The outcome of the rows of calibration.
calibration_outcome <- function(object, data) {
  check_calibration(data)
  # A column of that name is data, whatever the name; else it is the formula's left side.
  formula <- object$formula
  y <- if (object$outcome %in% names(data)) {
    data[[object$outcome]]
  } else if (inherits(formula, "formula")) {
    tryCatch(eval(formula[[2]], data, environment(formula)), error = function(e) NULL)
  }
  if (is.null(y)) {
    stop_argument("data", paste0("must have the outcome `", object$outcome, "`"),
      shorten(names(data)))
  }
  if (length(y) != nrow(data)) {
    stop_argument("data", paste0("must have the outcome `", object$outcome, "` of each row"),
      describe(y))
  }
  check_doubles(y, "data")
}

named_outcome <- function(data, outcome) {
  check_calibration(data)
  outcome <- check_string(outcome)
  if (!outcome %in% names(data)) {
    stop_argument("data", paste0("must have the outcome `", outcome, "`"), shorten(names(data)))
  }
  check_doubles(data[[outcome]], "data")
}

check_calibration <- function(data) {
  if (!is.data.frame(data)) {
    stop_argument("data", "must be a data.frame", describe(data))
  }
  if (nrow(data) == 0L) {
    stop_argument("data", "must have at least one row", "none", what = "data")
  }
}

# Are these rows others than the fit's? TRUE; FALSE where the fit keeps nothing to compare with; an
# error where more rows are equal than chance explains. y_fit: the fit's outcomes, NA if unknown.
check_unseen <- function(object, data, y, y_fit) {
  if (is.null(object$model) || !all(names(object$model) %in% names(data))) {
    return(FALSE)
  }
  known <- !is.null(y_fit) && !anyNA(y_fit)
  text_of <- function(frame, y) {
    # What rounding does to fitted value plus residual is less than ten digits show.
    apart <- lapply(unname(as.list(frame)), function(v) {
      if (is.matrix(v)) asplit(unname(v), 2) else list(v)
    })
    columns <- c(unlist(apart, recursive = FALSE), if (known) list(signif(y, 10)))
    do.call(paste, c(columns, sep = "\r"))
  }
  seen <- text_of(object$model, y_fit)
  equal <- sum(text_of(data[names(object$model)], y) %in% seen)
  twins <- mean(duplicated(seen) | duplicated(seen, fromLast = TRUE))
  by_chance <- length(y) * twins
  if (equal > by_chance + 3 * sqrt(by_chance)) {
    stop_mrl("data", "`data` must be rows that the fit has not seen; got ", equal, " of ",
      length(y), " with outcome, exposure and covariates of rows that it was made from",
      if (twins > 0) paste0(" (by chance about ", ceiling(by_chance), ")"), ".")
  }
  TRUE
}

#' Predictions with conformal intervals
#'
#' @param object,x A [conformal()] band.
#' @param newdata,data Data.frame with exposure and covariates of new rows.
#' @param ... For `plot()`: graphical parameters passed to [graphics::plot.default()]; else nothing
#'   may be given.
#' @return `predict()`: data.frame `estimate, lower, upper, estimand`, the latter saying of what the
#'   interval is one: of the outcome given the row, not of its mean under an intervention.
#'   `augment()`: the data with `.fitted`, `.lower` and `.upper`. `glance()`: one row `method,
#'   conf.level, nobs, k, below, above, checked`. `plot()`: the predictions as drawn, with `x` and
#'   `outcome`, invisibly; `autoplot()`: a ggplot of the same.
#' @name conformal_intervals
NULL

#' @rdname conformal_intervals
#' @export
predict.conformal <- function(object, newdata, ...) {
  check_no_dots(...)
  check_newdata_frame(newdata)
  rows <- uncalibrated(object, newdata)
  scale <- if (is.null(rows$scale)) 1 else rows$scale
  lower <- rows$low - object$below * scale
  upper <- rows$high + object$above * scale
  # Negative margins of quantiles that lie close can leave nothing: then a point.
  empty <- which(lower > upper)
  lower[empty] <- upper[empty] <- ((lower + upper) / 2)[empty]
  data.frame(estimate = unname(rows$estimate), lower = unname(lower), upper = unname(upper),
    estimand = paste(object$outcome, "given the row, not E[Y|do(X)]"))
}

check_newdata_frame <- function(newdata) {
  if (!is.data.frame(newdata)) {
    stop_argument("newdata", "must be a data.frame", describe(newdata))
  }
  if (nrow(newdata) == 0L) {
    stop_argument("newdata", "must have at least one row", "none")
  }
}

#' @rdname conformal_intervals
#' @export
augment.conformal <- function(x, data, ...) {
  check_no_dots(...)
  rows <- predict.conformal(x, data)
  cbind(as.data.frame(data), .fitted = rows$estimate, .lower = rows$lower, .upper = rows$upper)
}

#' @rdname conformal_intervals
#' @export
glance.conformal <- function(x, ...) {
  check_no_dots(...)
  data.frame(method = x$method, conf.level = x$conf_level, nobs = x$n, k = x$k, below = x$below,
    above = x$above, checked = x$checked)
}

#' @export
print.conformal <- function(x, digits = max(3L, getOption("digits") - 3L), ...) {
  digits <- check_digits(digits)
  cat("Conformal intervals (", x$method, if (x$asymmetric) ", asymmetric", ") for ", x$outcome,
    " of new rows, not for its mean under an intervention\n", format(100 * x$conf_level),
    " % by the ", x$k, "-th of ", x$n, " scores; margins ", format(x$below, digits = digits),
    " below and ", format(x$above, digits = digits), " above",
    if (x$method == "normalised") " (times the scale of the row)", "\n",
    if (!x$checked) "Whether the fit has seen the rows of calibration could not be checked\n",
    sep = "")
  invisible(x)
}
