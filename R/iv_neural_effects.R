# What the outcome network says: curves, contrasts, derivatives, averaged over people in the core.

# The outcome network at exposures and covariates w (n, kw): g of each row, its mean over the rows
# at each exposure ("levels"), or its mean derivative ("slope"). Of replicates, a column for each.
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
  out <- if (is.null(network$hidden_covariate)) {
    .Call(C_iv_neural_outcome, network, as.double(x), w, weights, settings)
  } else {
    .Call(C_dfiv_outcome, network, as.double(x), w, weights, settings)
  }
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
  check_doubles(at, "newdata")
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

#' Effects by a neural instrumental-variable fit
#'
#' Curves, contrasts and slopes of an [iv_quantile()], [iv_deep()] or [iv_dfiv()] fit, as
#' [effect_curve()] describes them, with intervals from its bootstrap replicates (`n_boot`; without
#' them intervals are NA). The intervals account for the sampling of the rows in both stages, and
#' not for the bias of a network that is too smooth or has not seen the exposure.
#'
#' The estimate averages over all people. Its replicates average over at most 2000 of them (a
#' systematic sample, and fewer for more than 100 levels, down to 200), each replicate's difference
#' from the fit being taken on the same people; so time does not grow with the data.
#'
#' `"normal"` intervals are the estimate plus or minus the standard deviation of the replicates
#' times a quantile of Student's t with one degree of freedom less than there are replicates;
#' `"percentile"` ones are quantiles of the replicates. The simultaneous band holds the whole curve
#' at the levels asked for with probability `conf_level`: its half-width is the standard error times
#' the quantile, over the replicates, of the largest standardised distance (sup-t).
#'
#' @inheritParams estimands
#' @param x Exposure levels (numeric, in the exposure's units); by default 50 points over its range.
#' @param interval `"normal"` or `"percentile"`.
#' @param simultaneous Compute the band `band.low`, `band.high`? It is NA otherwise.
#' @param object,parm,level As in [stats::confint()]: the one coefficient is the average derivative.
#' @param ... Nothing else may be given.
#' @return `effect_curve()`: a data.frame `x, estimate, std.error, conf.low, conf.high, band.low,
#'   band.high, estimand, overlap`. `overlap` says whether the first stage brings such exposures
#'   about: whether at least ten people's worth of the distributions that it gives to the rows lies
#'   within a tenth of a standard deviation of the level. Elsewhere the curve is extrapolation by
#'   the shape of the network; levels outside the exposures seen also give a warning of class
#'   `mrlearn_warning_extrapolation`. The others: as in [estimands].
#' @seealso [estimands]
#' @examples
#' sim <- sim_nonlinear(n = 2000, n_variants = 4, seed = 1)
#' g <- as.matrix(sim[truth(sim)$instruments])
#' fit <- iv_quantile(Y ~ X | g, sim, seed = 1, n_boot = 20, control = nn_control(epochs = 20))
#' effect_curve(fit, c(-1, 0, 1))
#' ate(fit, 0, 1, interval = "percentile")
#' @name neural_effects
NULL

#' @rdname neural_effects
#' @export
effect_curve.iv_neural <- function(fit, x = NULL, reference = NULL, newdata = NULL,
                                   exposure = NULL, conf_level = 0.95,
                                   interval = c("normal", "percentile"), simultaneous = TRUE,
                                   ...) {
  check_no_dots(...)
  check_conf_level(conf_level)
  interval <- check_choice(interval, neural_intervals)
  check_flag(simultaneous)
  exposure <- exposure_variable(fit, exposure)
  people <- people_of(fit, newdata, exposure)
  x <- if (is.null(x)) default_levels(people, exposure) else check_doubles(x, "x", least = 1L)
  estimand <- mean_had(fit$outcome, exposure, "x")
  if (is.null(reference)) {
    drawn <- mean_levels(fit, people, exposure, x)
  } else {
    reference <- check_number(reference, "reference")
    drawn <- less_last(mean_levels(fit, people, exposure, c(x, reference)))
    estimand <- paste(estimand, "-", mean_had(fit$outcome, exposure, reference))
  }
  cbind(
    data.frame(x = x), draw_intervals_of(drawn, conf_level, interval),
    draw_band_of(drawn, conf_level, simultaneous), estimand = estimand, overlap = in_overlap(fit, x)
  )
}

#' @rdname neural_effects
#' @export
ate.iv_neural <- function(fit, from, to, newdata = NULL, exposure = NULL, conf_level = 0.95,
                          interval = c("normal", "percentile"), ...) {
  check_no_dots(...)
  interval <- check_choice(interval, neural_intervals)
  exposure <- exposure_variable(fit, exposure)
  people <- people_of(fit, newdata, exposure)
  levels <- c(check_number(to, "to"), check_number(from, "from"))
  drawn <- less_last(mean_levels(fit, people, exposure, levels))
  draw_test(drawn, conf_level, interval, mean_change(fit$outcome, exposure, from, to))
}

#' @rdname neural_effects
#' @export
cate.iv_neural <- function(fit, from, to, newdata = NULL, exposure = NULL, conf_level = 0.95,
                           interval = c("normal", "percentile"), ...) {
  check_no_dots(...)
  check_conf_level(conf_level)
  interval <- check_choice(interval, neural_intervals)
  exposure <- exposure_variable(fit, exposure)
  people <- people_of(fit, newdata, exposure)
  levels <- c(check_number(from, "from"), check_number(to, "to"))
  warn_outside(fit, levels)
  w <- covariate_rows(fit, people, exposure)
  rows <- by_blocks(nrow(people), function(rows) {
    contrast <- function(network) {
      at <- lapply(levels, function(level) {
        run_network(network, rep(level, length(rows)), w[rows, , drop = FALSE], NULL, "rows")
      })
      at[[2]] - at[[1]]
    }
    drawn <- list(estimate = contrast(fit$network$outcome),
      draws = if (has_replicates(fit)) contrast(replicate_network(fit)))
    draw_intervals_of(drawn, conf_level, interval)
  })
  cbind(data.frame(row = seq_len(nrow(people))), rows)
}

#' @rdname neural_effects
#' @export
average_derivative.iv_neural <- function(fit, newdata = NULL, exposure = NULL, conf_level = 0.95,
                                         interval = c("normal", "percentile"), ...) {
  check_no_dots(...)
  interval <- check_choice(interval, neural_intervals)
  exposure <- exposure_variable(fit, exposure)
  people <- people_of(fit, newdata, exposure)
  at <- exposure_of(people, exposure)
  w <- covariate_rows(fit, people, exposure)
  draw_test(mean_slope(fit, at, w, person_weights(fit, people)), conf_level, interval,
    paste0("mean d E[", fit$outcome, "]/d ", exposure))
}

#' Predictions of a neural instrumental-variable fit
#'
#' `"outcome"`: the mean outcome if exposure and covariates were set to the rows' own, as
#' [predict.iv_fit()] says it for linear fits. `"exposure"`: the mean exposure given instruments and
#' covariates, by the first stage. `"quantiles"`: the points that stand for the distribution of the
#' exposure given them.
#'
#' @param object A fit of [iv_quantile()], [iv_deep()] or [iv_dfiv()].
#' @param newdata Data.frame with exposure and covariates, or for the first stage instruments and
#'   covariates; by default the rows that the fit was made from (for quantiles it must be given: a
#'   fit keeps no instruments).
#' @param type What to predict.
#' @param interval `"none"`, or intervals of the mean outcome: `"normal"` (also called
#'   `"confidence"`) or `"percentile"`, from the bootstrap replicates.
#' @param level Their level.
#' @param ... Nothing else may be given.
#' @return A numeric vector; with intervals a data.frame `estimate, std.error, conf.low, conf.high`;
#'   of quantiles a matrix with a row per person, whose columns are, for [iv_quantile()], the
#'   quantiles at `fit$tau`, for [iv_deep()] nodes with the weights in the attribute `weights` (a
#'   matrix). First stages that were cross-fitted are averaged.
#' @export
predict.iv_neural <- function(object, newdata = NULL, type = c("outcome", "exposure", "quantiles"),
                              interval = c("none", "confidence", "normal", "percentile"),
                              level = 0.95, ...) {
  check_no_dots(...)
  type <- check_choice(type, c("outcome", "exposure", "quantiles"))
  interval <- check_choice(interval, c("none", "confidence", "normal", "percentile"))
  check_conf_level(level)
  if (type != "outcome") {
    if (interval != "none") {
      stop_argument("interval", "is for type = \"outcome\" only", describe(interval))
    }
    return(predict_first_stage(object, newdata, type))
  }
  if (is.null(newdata) && interval == "none") {
    return(fitted.iv_fit(object))
  }
  exposure <- exposure_variable(object, NULL)
  people <- people_of(object, newdata, exposure)
  at <- exposure_of(people, exposure)
  w <- covariate_rows(object, people, exposure)
  if (interval == "none") {
    return(run_network(object$network$outcome, at, w, NULL, "rows"))
  }
  by_blocks(length(at), function(rows) {
    values <- function(network) {
      run_network(network, at[rows], w[rows, , drop = FALSE], NULL, "rows")
    }
    drawn <- list(estimate = values(object$network$outcome),
      draws = if (has_replicates(object)) values(replicate_network(object)))
    draw_intervals_of(drawn, level, if (interval == "confidence") "normal" else interval)
  })
}

predict_first_stage <- function(fit, newdata, type) {
  if (is.null(newdata)) {
    if (type == "exposure") {
      return(stats::napredict(fit$na.action, fit$x_hat))
    }
    stop_argument("newdata", "must be given: a fit keeps no instruments", "NULL")
  }
  exposure <- exposure_variable(fit, NULL)
  w <- covariate_rows(fit, people_of(fit, newdata, exposure), exposure)
  found <- first_stage_nodes(fit, list(instrument_rows(fit, newdata)), w, nrow(newdata))
  if (type == "exposure") {
    return(rowSums(found$nodes * found$weights))
  }
  if (fit$first_stage_kind == "quantile") {
    dimnames(found$nodes) <- list(NULL, format(fit$tau, digits = 3))
    return(found$nodes)
  }
  structure(found$nodes, weights = found$weights)
}
