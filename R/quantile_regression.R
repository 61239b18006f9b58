# Quantiles of an outcome given its regressors, by a network: fixed levels or all of them.

#' Quantile regression by a network
#'
#' Learns quantiles of an outcome given regressors, whatever the shape: what outcomes are seen where
#' the regressors are, for prediction intervals ([conformal()]) and for outcomes whose spread
#' differs between people. Nothing causal is meant: with confounding these are quantiles of what is
#' observed and not of what an intervention would bring. It assumes that rows are independent and
#' alike to those that it will be asked about; it fails far from the regressors seen, and far out in
#' the tails, where few outcomes lie beyond a level.
#'
#' With a set of levels `tau` the network has an output for each and minimises the mean over the
#' rows of the sum over the levels of the check loss \eqn{\rho_\tau(y - q_\tau(x))}, \eqn{\rho_\tau
#' (r) = \max(\tau r, (\tau - 1) r)}. With `non_crossing = TRUE` one output is the lowest quantile
#' and the others are distances that cannot be negative. With `simultaneous = TRUE` one network of
#' \eqn{(x, \Phi^{-1}(\tau))} learns all levels at once, \eqn{\tau} being drawn uniformly for each
#' row in each epoch; its quantiles are put in order when predicted, as are those of `non_crossing =
#' FALSE`: predicted quantiles never cross.
#'
#' With `hidden = integer(0)` in [nn_control()] and `non_crossing = FALSE` this is linear quantile
#' regression, as `rq()` of the package quantreg solves it exactly; here by descent, to three or
#' four digits if it is given the epochs (`validation = 0`, `patience = 0`, all rows in a batch).
#'
#' @inheritParams iv_quantile
#' @param formula `y ~ a + b`: outcome and regressors.
#' @param y,x Instead of a formula: outcome (n) and regressors (vector, matrix or data.frame, n
#'   rows).
#' @param tau Levels to be learnt: increasing, above 0 and below 1, at most 200. Not used with
#'   `simultaneous`.
#' @param simultaneous Learn all levels?
#' @param non_crossing Of a set of levels: make it impossible that they cross?
#' @param control Settings of the network, from [nn_control()]; of two sets of hidden layers the
#'   first. `refit` and what is for replicates is not used.
#' @param seed Of the rows held out, initial weights, order of rows, dropout and levels.
#' @param model Keep outcome and regressors? [conformal()] uses them to see whether the rows of
#'   calibration are others.
#' @return An object of class `quantile_regression`, plain numbers: `tau`, `simultaneous`,
#'   `network`, `history`, `epochs`, `stop`, `held_out`, `control`, `seed`. `predict()` gives
#'   quantiles, [training_history()] the course of training. Errors of class
#'   `mrlearn_error_argument`, `mrlearn_error_data`; warnings as in [iv_quantile()].
#' @references Koenker, R. & Bassett, G. (1978). Regression quantiles. Econometrica 46:33-50.
#'
#'   Tagasovska, N. & Lopez-Paz, D. (2019). Single-model uncertainties for deep learning. NeurIPS
#'   32.
#'
#'   Chernozhukov, V., Fernandez-Val, I. & Galichon, A. (2010). Quantile and probability curves
#'   without crossing. Econometrica 78:1093-1125.
#' @seealso [conformal()] makes intervals of it that hold what they say.
#' @examples
#' d <- data.frame(x = seq(-2, 2, length.out = 500))
#' d$y <- d$x + (0.2 + d$x^2 / 4) * qnorm(ppoints(500)[order(sin(1:500))])
#' fit <- quantile_regression(y ~ x, d, tau = c(0.1, 0.5, 0.9), seed = 1,
#'   control = nn_control(epochs = 20))
#' predict(fit, data.frame(x = c(-2, 0, 2)))
#' @export
quantile_regression <- function(formula = NULL, data = NULL, subset = NULL, weights = NULL,
                                na.action = NULL, y = NULL, x = NULL, tau = c(0.05, 0.5, 0.95),
                                simultaneous = FALSE, non_crossing = TRUE, control = nn_control(),
                                seed = NULL, model = TRUE, n_threads = mrl_threads()) {
  call <- match.call()
  check_flag(simultaneous)
  tau <- if (simultaneous) numeric() else check_levels(tau)
  check_flag(non_crossing)
  check_flag(model)
  control <- check_control(control)
  frame <- iv_frame(call, parent.frame(), list(y = y, x = x, z = NULL, w = NULL), "none")
  seed <- resolve_seed(seed)
  n_threads <- check_threads(n_threads)
  how <- nn_settings(control, length(frame$y))
  network <- c(
    list(hidden = how$hidden_first), how[c("activation", "batch_norm", "dropout")],
    list(levels = tau, non_crossing = non_crossing)
  )
  settings <- c(network, how[setdiff(names(how), names(network))],
    list(seed = seed, n_threads = n_threads, isa = isa_setting()))
  out <- .Call(C_quantreg_fit, frame$y, frame$x, frame$weights, settings)
  check_status(out$status, "training the network")
  warn_stages(list(first = list(), second = out$value))
  new_quantile_regression(out$value, frame, network, control, seed, simultaneous, model, call)
}

check_levels <- function(tau, arg = "tau") {
  tau <- check_doubles(tau, arg)
  if (!length(tau) || length(tau) > 200L || any(tau <= 0 | tau >= 1) || is.unsorted(tau, TRUE)) {
    stop_argument(arg, "must be 1 to 200 increasing numbers above 0 and below 1",
      level_text(tau))
  }
  tau
}

level_text <- function(tau) {
  text <- format(utils::head(tau, 5), digits = 3, trim = TRUE)
  paste(c(text, if (length(tau) > 5L) "..."), collapse = ", ")
}

new_quantile_regression <- function(value, frame, network, control, seed, simultaneous, model,
                                    call) {
  history <- t(value$history)
  structure(
    list(
      tau = network$levels, simultaneous = simultaneous,
      network = c(network, value[c("params", "statistics", "scale")]),
      history = data.frame(stage = "outcome", fold = NA_integer_, epoch = seq_len(nrow(history)),
        train = history[, 1], validation = ifelse(is.nan(history[, 2]), NA, history[, 2]),
        learning_rate = history[, 3], seconds = history[, 4]),
      epochs = value$epochs, best_epoch = value$best,
      stop = c("none", "epochs", "patience", "diverged")[value$stop + 1L],
      held_out = sort(value$held_out), nobs = length(frame$y), outcome = frame$outcome,
      regressors = colnames(frame$x), design = frame$design, weights = frame$weights,
      dropped = frame$dropped$text, y = if (model) frame$y, model = if (model) frame$model,
      control = control, seed = seed, formula = frame$formula, call = call, isa = isa_used()
    ),
    class = "quantile_regression"
  )
}

#' Predicted quantiles
#'
#' @param object A fit of [quantile_regression()].
#' @param newdata Data.frame with the regressors; by default the rows that the fit was made from.
#' @param tau Levels (increasing), of a fit of all levels; of a fit of a set some of these. By
#'   default the set, or 0.05, 0.5 and 0.95.
#' @param ... Nothing else may be given.
#' @return A matrix with a row per person and a column per level, increasing along each row.
#' @export
predict.quantile_regression <- function(object, newdata = NULL, tau = NULL, ...) {
  check_no_dots(...)
  people <- people_of(object, newdata, NULL)
  x <- design_rows(object, people, object$regressors)
  check_newdata_finite(x)
  known <- object$tau
  wanted <- if (!is.null(tau)) check_levels(tau) else if (length(known)) known else
    c(0.05, 0.5, 0.95)
  at <- match(round(wanted, 10), round(known, 10))
  if (length(known) && anyNA(at)) {
    stop_argument("tau", paste("must be among the levels of the fit,", level_text(known)),
      level_text(wanted[is.na(at)]))
  }
  settings <- list(
    n = nrow(x), levels = if (length(known)) known else wanted,
    n_threads = mrl_threads(), isa = isa_setting()
  )
  out <- .Call(C_quantreg_predict, object$network, structure(as.double(x), dim = dim(x)), settings)
  check_status(out$status, "evaluating the network")
  quantiles <- if (length(known)) out$value[, at, drop = FALSE] else out$value
  dimnames(quantiles) <- list(NULL, format(wanted, digits = 3))
  quantiles
}

#' @export
training_history.quantile_regression <- function(fit, ...) { # nolint: object_length_linter.
  check_no_dots(...)
  fit$history
}

#' @export
nobs.quantile_regression <- function(object, ...) {
  object$nobs
}

#' @export
print.quantile_regression <- function(x, ...) {
  k <- length(x$regressors)
  cat("Quantile regression of ", x$outcome, " on ", k, " column", if (k != 1L) "s", ": ", x$nobs,
    " rows; ",
    if (x$simultaneous) "all levels" else paste("levels", level_text(x$tau)),
    "\nTraining: ", x$epochs, " epochs (",
    c(epochs = "the limit", patience = "early stop", diverged = "diverged", none = "")[[x$stop]],
    "); ", length(x$held_out), " rows held out; seed ", format(x$seed, digits = 16), "\n",
    sep = "")
  invisible(x)
}
