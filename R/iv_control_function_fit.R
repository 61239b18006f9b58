# Both stages of a control function: bases, the core's fit, replicates, the fitted object.

# The basis that the core reads. df: its columns.
cf_basis <- function(shape, df, x, name) {
  linear <- list(shape = 0L, degree = 1L, knots = double(), centre = 0, scale = 1)
  if (shape == "linear") {
    return(linear)
  }
  centre <- mean(x)
  scale <- stats::sd(x)
  if (shape == "polynomial") {
    return(list(shape = 0L, degree = df, knots = double(), centre = centre, scale = scale))
  }
  inner <- if (shape == "natural") df + 1L else df - 1L
  at <- seq(0, 1, length.out = inner)
  knots <- (stats::quantile(x, at, names = FALSE) - centre) / scale
  if (anyDuplicated(knots)) {
    stop_mrl("collinear", name, " has too few distinct values for a spline of ", df,
      " columns: two knots fall together.")
  }
  if (shape == "bspline") {
    knots <- knots[-c(1L, length(knots))]
  }
  list(shape = if (shape == "natural") 2L else 1L, degree = 1L, knots = knots, centre = centre,
    scale = scale)
}

cf_columns <- function(x, basis) {
  .Call(C_control_function_basis, as.double(x), basis)
}

# Points that stand for the distribution of the index: the mean of a smooth function over them
# differs from that over all rows by the spread within bins of 1 per cent of the rows.
cf_points <- 100L

cf_core <- function(frame, spec, exposure, residual, how, n_boot = 0L) {
  settings <- list(
    exposure = exposure, residual = residual, binomial = spec$family == "binomial",
    n_points = if (spec$family == "binomial") cf_points else 1L, n_boot = n_boot,
    n_cluster = frame$n_cluster, seed = if (n_boot > 0L) how$seed else 0,
    n_threads = how$n_threads, isa = isa_setting()
  )
  out <- .Call(C_control_function_fit, frame$y, as.double(frame$x[, 1]), frame$w, frame$z,
    frame$weights, frame$cluster, settings)
  if (isTRUE(out$value$separated == 1L)) {
    stop_mrl("separated", "The outcome `", frame$outcome, "` is separated: a combination of ",
      "exposure, covariates and residual tells zeros from ones, so that no finite estimate exists.")
  }
  if (out$status == "singular") {
    stop_mrl("collinear", "Exposure, covariates and residual are collinear in the second stage: ",
      "the exposure `", colnames(frame$x), "` has too few values for its basis, or instruments ",
      "and covariates explain all of it or nothing.")
  }
  check_status(out$status, "fitting the control function")
  out$value
}

# Minus twice the log-likelihood, up to a constant.
cf_deviance <- function(core, frame, spec, columns) {
  kw <- ncol(frame$w)
  eta <- core$index + drop(columns %*% core$coef[1L + kw + seq_len(ncol(columns))])
  weights <- if (is.null(frame$weights)) 1 else frame$weights / mean(frame$weights)
  if (spec$family == "binomial") {
    sign <- 2 * frame$y - 1
    return(-2 * sum(weights * stats::plogis(sign * eta, log.p = TRUE)))
  }
  length(frame$y) * log(sum(weights * (frame$y - eta)^2) / length(frame$y))
}

# The df of least AIC among those that the exposure's values allow.
choose_cf_df <- function(frame, spec, residual, how) {
  candidates <- switch(spec$shape, polynomial = 1:4, natural = 1:6, bspline = 3:6)
  x <- frame$x[, 1]
  aic <- vapply(candidates, function(df) {
    tryCatch({
      basis <- cf_basis(spec$shape, df, x, "The exposure")
      core <- cf_core(frame, spec, basis, residual, how)
      cf_deviance(core, frame, spec, cf_columns(x, basis)) + 2 * df
    }, mrlearn_error_collinear = function(e) Inf)
  }, 0)
  if (all(is.infinite(aic))) {
    stop_mrl("collinear", "The exposure `", colnames(frame$x), "` has too few distinct values for ",
      "`shape = \"", spec$shape, "\"`.")
  }
  candidates[which.min(aic)]
}

# Frame -> both stages -> fitted object.
fit_control_function <- function(frame, spec, how, call) {
  vcov <- if (is.null(frame$cluster)) how$vcov else "cluster"
  fit <- fit_linear(frame, vcov, "2SLS", "iv_control_function", call, how$model, how$n_threads)
  frame$w <- frame$w[, !colnames(frame$w) %in% fit$dropped$collinear$covariates, drop = FALSE]
  linear <- cf_basis("linear")
  plain <- list(family = "gaussian")
  r <- cf_core(frame, plain, linear, linear, how)$residual
  residual <- cf_basis(spec$residual, spec$residual_df, r, "The first-stage residual")
  chooser <- if (spec$family == "cox") utils::modifyList(spec, plain) else spec
  if (is.null(spec$df)) {
    spec$df <- choose_cf_df(frame, chooser, residual, how)
  }
  exposure <- cf_basis(spec$shape, spec$df, frame$x[, 1],
    paste0("The exposure `", colnames(frame$x), "`"))
  terms <- cf_terms(colnames(frame$x), frame, spec, residual)
  stage <- if (spec$family == "cox") {
    cox_stage(frame, r, exposure, residual, how, terms)
  } else {
    core_stage(frame, spec, exposure, residual, how, terms)
  }
  new_control_function(fit, frame, spec, how, stage, list(exposure, residual), terms)
}

# Names of the second stage's columns.
cf_terms <- function(name, frame, spec, residual) {
  label <- function(shape, df, name) {
    word <- switch(shape, polynomial = "poly", natural = "ns", bspline = "bs")
    if (shape == "linear") name else paste0(word, "(", name, ")", seq_len(df))
  }
  list(
    covariates = colnames(frame$w), exposure = label(spec$shape, spec$df, name),
    residual = label(spec$residual, spec$residual_df, "residual")
  )
}

core_stage <- function(frame, spec, exposure, residual, how, terms) {
  core <- cf_core(frame, spec, exposure, residual, how, how$n_boot)
  boot <- core$boot
  if (!is.null(boot)) {
    good <- keep_replicates(boot$status == 0L, how$n_boot)
    boot <- lapply(boot[c("coef", "mean", "bins", "r_bins")], function(m) m[, good, drop = FALSE])
  }
  naive <- core$vcov
  df <- Inf
  if (spec$family == "gaussian") {
    out <- linear_core(frame$y, cbind(
      cf_columns(frame$x[, 1], exposure),
      sweep(cf_columns(core$residual, residual), 2, core$centre)
    ), frame$w, NULL, frame$weights, frame$cluster, frame$n_cluster,
    if (is.null(frame$cluster)) how$vcov else "cluster", n_threads = how$n_threads)
    check_status(out$status, "testing the residual")
    naive <- out$value$vcov
    df <- if (is.null(frame$cluster)) out$value$df_residual else frame$n_cluster - 1
  }
  list(coef = core$coef, mean = core$mean, index = core$index, bins = core$bins,
    r_bins = core$r_bins, residual = core$residual, boot = boot, naive = naive, df = df)
}

# Which replicates count; how many do not is told.
keep_replicates <- function(good, n_boot) {
  if (sum(good) < 2L) {
    stop_mrl("numeric", "Of ", n_boot, " bootstrap replicates ", sum(good),
      " could be estimated; the data are too few for the model.")
  }
  if (!all(good)) {
    warn_mrl("replicates", sum(!good), " of ", n_boot, " bootstrap replicates could not be ",
      "estimated (separated or collinear) and are left out.")
  }
  good
}

# fit: the linear fit, whose diagnostics of the first stage and description of the call stay.
new_control_function <- function(fit, frame, spec, how, stage, bases, terms) {
  names <- c("(Intercept)", terms$covariates, terms$exposure)
  if (spec$family == "cox") {
    names <- names[-1L]
  }
  k <- length(names)
  fit$coefficients <- stats::setNames(stage$coef[seq_len(k)], names)
  fit$vcov <- if (!is.null(stage$boot)) {
    structure(stats::cov(t(stage$boot$coef[seq_len(k), , drop = FALSE])),
      dimnames = list(names, names))
  } else if (cf_is_linear(spec)) {
    fit$vcov[names, names, drop = FALSE]
  } else {
    matrix(NA_real_, k, k, dimnames = list(names, names))
  }
  if (!is.null(stage$boot)) {
    fit$vcov_type <- "bootstrap"
    fit$df_test <- Inf
  } else if (!cf_is_linear(spec)) {
    fit$df_test <- Inf
  }
  fit$exposures <- terms$exposure
  fit$exposure <- colnames(frame$x)
  fit$estimator <- "Control function"
  fit[c("family", "shape", "df")] <- spec[c("family", "shape", "df")]
  fit$residual_shape <- spec$residual
  fit$residual_terms <- cf_residual_terms(stage, k, terms)
  fit$diagnostics <- cf_diagnostics(fit$diagnostics, stage, k, spec)
  fit$bases <- stats::setNames(bases, c("exposure", "residual"))
  fit$stage <- stage[c("mean", "bins", "r_bins")]
  fit$stage$index <- if (how$model) stage$index
  fit$first_stage_residuals <- name_rows(stage$residual, frame$row_names)
  fit$exposure_values <- if (how$model) frame$x[, 1] else thin_rug(frame$x[, 1])
  fit$replicates <- stage$boot
  fit$n_boot <- how$n_boot
  fit$seed <- if (how$n_boot > 0L) how$seed
  fit$outcome <- frame$outcome
  if (!is.null(fit$call$formula) && spec$family == "cox") {
    fit$formula[[2]] <- str2lang(frame$outcome) # as it was written
  }
  g <- drop(cf_columns(frame$x[, 1], bases[[1]]) %*% fit$coefficients[terms$exposure])
  fit$fitted.values <- name_rows(cf_rows(fit, cf_parameters(fit), g, frame$w), frame$row_names)
  fit$residuals <- if (spec$family == "cox") {
    name_rows(stage$martingale, frame$row_names)
  } else {
    name_rows(frame$y - unname(fit$fitted.values), frame$row_names)
  }
  if (!cf_is_linear(spec)) {
    weights <- if (is.null(frame$weights)) 1 else frame$weights
    fit$sigma <- if (spec$family == "gaussian") {
      sqrt(sum(weights * fit$residuals^2) / fit$df.residual)
    } else {
      NA_real_
    }
  }
  fit
}

cf_residual_terms <- function(stage, k, terms) {
  at <- k + seq_along(terms$residual)
  v <- if (is.null(stage$boot)) diag(stage$naive)[at] else apply(stage$boot$coef, 1, stats::var)[at]
  data.frame(term = terms$residual, estimate = stage$coef[at], std.error = sqrt(v))
}

# Strength of the instruments as in the linear fit; the residual's terms tested together. Their
# covariance takes the first stage as known, which is right under what is tested.
cf_diagnostics <- function(linear, stage, k, spec) {
  at <- seq(k + 1L, length(stage$coef))
  b <- stage$coef[at]
  v <- stage$naive[at, at, drop = FALSE]
  wald <- tryCatch(drop(crossprod(b, solve(v, b))), error = function(e) NA_real_)
  m <- length(at)
  by_f <- is.finite(stage$df)
  test <- data.frame(
    diagnostic = "Endogeneity", df1 = m, df2 = if (by_f) stage$df else NA_real_,
    statistic = if (by_f) wald / m else wald,
    p.value = if (by_f) {
      stats::pf(wald / m, m, stage$df, lower.tail = FALSE)
    } else {
      stats::pchisq(wald, m, lower.tail = FALSE)
    },
    critical = NA_real_
  )
  kept <- linear$diagnostic != "Wu-Hausman"
  if (!cf_is_linear(spec)) {
    kept <- kept & !linear$diagnostic %in% c("Sargan", "Hansen J")
  }
  out <- rbind(linear[kept, , drop = FALSE], test)
  row.names(out) <- NULL
  out
}

# Logistic regression on the columns of x (a matrix) and a constant: the core's status and value.
logit_core <- function(y, x, weights = NULL, offset = NULL, intercept = TRUE, n_threads = 1L) {
  settings <- list(intercept = intercept, n_threads = n_threads, isa = isa_setting())
  .Call(C_logit_fit, as.double(y), x, weights, offset, settings)
}
