# The fitted object that all iv_*() estimators return, and what can be asked of it.

# Core output and frame -> object. Coefficients come as (constant, covariates, exposures) and leave
# in the order of the formula, without those of collinear columns.
new_linear_fit <- function(value, frame, vcov, estimator, class, call, model) {
  ols <- estimator == "OLS"
  dropped <- dropped_columns(value$aliased, frame, ols)
  tell_dropped(dropped)
  from_core <- c(if (frame$intercept) "(Intercept)", colnames(frame$w), colnames(frame$x))
  kept <- intersect(frame$coef_names, from_core[!is.na(value$coef)])
  at <- match(kept, from_core)
  coefficients <- stats::setNames(value$coef[at], kept)
  covariance <- structure(value$vcov[at, at, drop = FALSE], dimnames = list(kept, kept))
  structure(
    list(
      coefficients = coefficients,
      vcov = covariance,
      residuals = name_rows(value$residuals, frame$row_names),
      fitted.values = if (!is.null(value$residuals)) {
        name_rows(frame$y - value$residuals, frame$row_names)
      },
      diagnostics = if (ols) empty_diagnostics() else linear_diagnostics(value, frame, vcov),
      first_stage = if (!ols) first_stage_table(value, frame),
      partial_r2 = if (!ols) stats::setNames(value$partial_r2, colnames(frame$x)),
      sigma = sqrt(value$sigma2),
      df.residual = value$df_residual,
      df_test = if (vcov == "cluster") frame$n_cluster - 1 else value$df_residual,
      nobs = frame_rows(frame),
      estimator = estimator,
      vcov_type = vcov,
      outcome = frame$outcome,
      exposures = intersect(colnames(frame$x), kept),
      covariates = intersect(colnames(frame$w), kept),
      n_instruments = if (!ols) length(frame$z_names) - length(dropped$instruments),
      instruments = if (!ols) setdiff(frame$z_names, dropped$instruments),
      reduced = if (!ols) reduced_moments(value, frame, dropped),
      intercept = frame$intercept,
      weights = frame$weights,
      cluster = frame$cluster_name,
      n_cluster = if (vcov == "cluster") frame$n_cluster,
      dropped = list(rows = frame$dropped$text, collinear = dropped),
      na.action = na_record(frame$dropped),
      imputed = frame$imputed,
      design = frame$design,
      model = if (model) frame$model,
      formula = frame$formula,
      call = call,
      isa = isa_used()
    ),
    class = unique(c(class, "iv_fit"))
  )
}

# What tests that hold with weak instruments need: see ar_set().
reduced_moments <- function(value, frame, dropped) {
  n_inst <- length(frame$z_names) - length(dropped$instruments)
  n_exog <- frame$intercept + ncol(frame$w) - length(dropped$covariates)
  c(value[c("between", "within")],
    list(df_within = as.double(frame_rows(frame) - n_exog - n_inst), n_inst = as.double(n_inst)))
}

name_rows <- function(x, names) {
  names(x) <- names
  x
}

na_record <- function(dropped) {
  if (!length(dropped$rows)) {
    return(NULL)
  }
  structure(dropped$rows, names = dropped$names, class = if (dropped$exclude) "exclude" else "omit")
}

tell_dropped <- function(dropped) {
  if (length(dropped$covariates)) {
    inform_mrl("collinear", "Collinear and left out: covariates ", shorten(dropped$covariates), ".")
  }
  if (length(dropped$instruments)) {
    inform_mrl("collinear", "Collinear and left out: instruments ",
      shorten(dropped$instruments), ".")
  }
}

first_stage_table <- function(value, frame) {
  terms <- c(if (frame$intercept) "(Intercept)", colnames(frame$w), frame$z_names)
  kx <- ncol(frame$x)
  out <- data.frame(
    exposure = rep(colnames(frame$x), each = length(terms)), term = rep(terms, kx),
    estimate = as.vector(value$first_coef), std.error = as.vector(value$first_se)
  )
  out <- out[!is.na(out$estimate), , drop = FALSE]
  row.names(out) <- NULL
  out
}

#' @export
coef.iv_fit <- function(object, ...) {
  object$coefficients
}

#' @export
vcov.iv_fit <- function(object, ...) {
  object$vcov
}

#' @export
nobs.iv_fit <- function(object, ...) {
  object$nobs
}

#' @export
formula.iv_fit <- function(x, ...) {
  x$formula
}

#' @export
residuals.iv_fit <- function(object, ...) {
  stats::naresid(object$na.action, object$residuals)
}

#' @export
fitted.iv_fit <- function(object, ...) {
  stats::napredict(object$na.action, object$fitted.values)
}

# Which coefficients a confint() is asked for, by name or number (a negative one leaves out).
check_parm <- function(parm, known, what = "coefficients of the fit") {
  at <- if (is.null(parm)) {
    seq_along(known)
  } else if (is.character(parm)) {
    match(parm, known)
  } else if (is.numeric(parm) && !anyNA(parm) && (all(parm > 0) || all(parm < 0))) {
    seq_along(known)[parm]
  }
  if (anyNA(at) || !length(at)) {
    shown <- if (is.character(parm)) shorten(setdiff(parm, known)) else describe(parm)
    stop_argument("parm", paste("must name", what), shown)
  }
  at
}

#' @export
confint.iv_fit <- function(object, parm = NULL, level = 0.95, ...) {
  level <- check_conf_level(level)
  all_terms <- names(object$coefficients)
  parm <- all_terms[check_parm(parm, all_terms)]
  half <- stats::qt((1 + level) / 2, object$df_test) * sqrt(diag(object$vcov)[parm])
  percent <- paste(format(100 * c((1 - level) / 2, (1 + level) / 2), trim = TRUE), "%")
  out <- cbind(object$coefficients[parm] - half, object$coefficients[parm] + half)
  dimnames(out) <- list(parm, percent)
  out
}

#' Fitted instrumental-variable models as data.frames
#'
#' `tidy()` has a row per coefficient (the exposure's own name is the term), `glance()` one row per
#' fit, `augment()` one row per person.
#'
#' @param x A fit of an `iv_*()` function.
#' @param conf.int Add `conf.low` and `conf.high`?
#' @param conf.level Their level.
#' @param exposures_only Only the rows of exposures?
#' @param data For `augment()`: a data.frame to which columns are added; by default the variables
#'   that the fit keeps.
#' @param ... Nothing else may be given.
#' @return `tidy()`: data.frame `term, estimate, std.error, statistic, p.value`. `glance()`: one row
#'   with `estimator, vcov, nobs, n.instruments, sigma, df.residual, statistic.weakinst,
#'   p.value.weakinst, statistic.Wu.Hausman, p.value.Wu.Hausman, statistic.Sargan, p.value.Sargan,
#'   statistic.effective.F, critical.effective.F` (with robust covariance the Sargan columns hold
#'   Hansen's J; weakinst is the least conditional F of several exposures). `augment()`: the data
#'   with `.fitted` and `.resid`.
#' @name iv_tidy
#' @examples
#' sim <- sim_contextual(n = 1000, L = 5)
#' fit <- iv_2sls(Y ~ X + age | G0 + G1 + G2 + G3 + G4 + age, data = sim)
#' tidy(fit, conf.int = TRUE)
#' glance(fit)
#' head(augment(fit))
NULL

#' @rdname iv_tidy
#' @export
tidy.iv_fit <- function(x, conf.int = FALSE, conf.level = 0.95, exposures_only = FALSE, ...) {
  check_no_dots(...)
  check_flag(conf.int)
  check_flag(exposures_only)
  se <- sqrt(diag(x$vcov))
  statistic <- x$coefficients / se
  out <- data.frame(
    term = names(x$coefficients), estimate = unname(x$coefficients), std.error = unname(se),
    statistic = unname(statistic),
    p.value = unname(2 * stats::pt(abs(statistic), x$df_test, lower.tail = FALSE))
  )
  if (conf.int) {
    ci <- confint.iv_fit(x, level = conf.level)
    out$conf.low <- unname(ci[, 1])
    out$conf.high <- unname(ci[, 2])
  }
  if (exposures_only) {
    out <- out[out$term %in% x$exposures, , drop = FALSE]
    row.names(out) <- NULL
  }
  out
}

#' @rdname iv_tidy
#' @export
glance.iv_fit <- function(x, ...) {
  check_no_dots(...)
  weakest <- find_weakest(x$diagnostics)
  exogeneity <- find_diagnostic(x$diagnostics, "Wu-Hausman")
  overid <- find_diagnostic(x$diagnostics, c("Sargan", "Hansen J"))
  effective <- find_diagnostic(x$diagnostics, "Effective F")
  data.frame(
    estimator = x$estimator, vcov = x$vcov_type, nobs = x$nobs,
    n.instruments = if (is.null(x$n_instruments)) NA_integer_ else x$n_instruments,
    sigma = x$sigma, df.residual = x$df.residual,
    statistic.weakinst = weakest$statistic, p.value.weakinst = weakest$p.value,
    statistic.Wu.Hausman = exogeneity$statistic, p.value.Wu.Hausman = exogeneity$p.value,
    statistic.Sargan = overid$statistic, p.value.Sargan = overid$p.value,
    statistic.effective.F = effective$statistic, critical.effective.F = effective$critical
  )
}

#' @rdname iv_tidy
#' @export
augment.iv_fit <- function(x, data = NULL, ...) {
  check_no_dots(...)
  rows <- if (is.null(names(x$residuals))) seq_len(x$nobs) else names(x$residuals)
  if (is.null(data)) {
    if (is.null(x$model)) {
      stop_mrl("argument", "The fit kept no variables (model = FALSE): give `data`.")
    }
    data <- x$model
  } else {
    if (!is.data.frame(data)) {
      stop_argument("data", "must be a data.frame", describe(data))
    }
    if (nrow(data) != length(rows)) {
      at <- match(rows, row.names(data))
      if (anyNA(at)) {
        stop_argument("data", "must be the data that the fit was made from",
          paste(nrow(data), "rows, of which", sum(!is.na(at)), "are known"))
      }
      data <- data[at, , drop = FALSE]
    }
  }
  cbind(as.data.frame(data), .fitted = unname(x$fitted.values), .resid = unname(x$residuals))
}
