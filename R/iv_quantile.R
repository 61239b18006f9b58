#' Quantile IV: nonlinear effects by two neural networks
#'
#' Estimates how the mean outcome depends on an exposure that is set, whatever the shape. A first
#' network learns quantiles of the exposure given instruments and covariates; a second one learns
#' the outcome as a function of exposure and covariates such that its average over the quantiles
#' meets the outcome. The assumptions on the instruments are those of [iv_2sls()]; besides, the
#' confounders' effect on the outcome must add up with that of the exposure. **Experimental: point
#' estimates carry no interval yet (standard errors and limits are NA), and the tails of the curve
#' are unreliable.** With the defaults, on five fresh data sets of [sim_nonlinear()] with 1e5 people
#' (quadratic curve, variance of the exposure 1) the median of the mean squared errors was 0.12 over
#' the full range of the exposure, where the authors report 0.045, and 0.03 on (-3.5, 3.5).
#'
#' @section Method:
#' With \eqn{\hat x_{i1}, ..., \hat x_{iq}} the quantiles of the exposure of row \eqn{i} at the
#' levels \eqn{\tau_k}, the second network \eqn{g} minimises the mean of
#' \deqn{(y_i - \frac{1}{q} \sum_k g(\hat x_{ik}, w_i))^2}
#' while the first one stays as it is. With `binary = TRUE`, \eqn{g} is a probability and the loss
#' the cross-entropy of the averaged probabilities; effects are then risk differences.
#'
#' The published levels are the midpoints \eqn{(2k - 1) / 2q}. They understate the variance of the
#' exposure given the instruments (a normal one by a quarter with q = 5), which shifts a curved
#' \eqn{g}, and bends it where that variance differs between people. `nodes = "matched"` moves the
#' levels outwards until mean and variance of a normal law are met exactly. A skewed law is still
#' approximated: take more quantiles.
#'
#' With `non_crossing = TRUE` the first network gives one quantile and distances that cannot be
#' negative, so that its quantiles never cross; otherwise each quantile is an output of its own.
#'
#' Away from exposures that the instruments bring about, the curve is extrapolation: levels outside
#' the range of the exposures seen give a warning of class `mrlearn_warning_extrapolation`.
#'
#' @section Instrument strength:
#' [diagnostics()] has the F test of the linear first stage (`Weak instruments`), and, from the rows
#' held out, `Out-of-sample R2` of the network's mean exposure (1 less the squared error as a share
#' of that of the training rows' mean) and `Out-of-sample F`, of that mean exposure next to the
#' covariates.
#'
#' @section What to expect:
#' Five data sets of [sim_nonlinear()] (quadratic effect, variants explain half of the exposure's
#' variance, seeds 11 to 15) with 100,000 people: by the default settings the mean squared error of
#' the curve has the median 0.030 on exposures from -3.5 to 3.5 (0.021 to 0.059), and 0.12 over the
#' whole range of exposures (0.054 to 0.21), where the two ends, with few people, make most of it.
#'
#' @section Training:
#' See [nn_control()]. Both stages hold out the same rows. Where a training diverges there is a
#' warning of class `mrlearn_warning_diverged` and the last finite weights are used; where no epoch
#' was better than the initial weights, one of class `mrlearn_warning_not_trained`.
#'
#' @inheritParams iv_2sls
#' @inheritSection iv_2sls Formulas
#' @inheritSection iv_2sls Missing values
#' @param subset,weights As in [stats::lm()]; weights say how much a row counts in both losses.
#' @param y,x,z,w Instead of a formula: outcome (n), one exposure, instruments and covariates (n
#'   rows each; vector, matrix or data.frame).
#' @param binary Is the outcome 0 or 1, and its probability to be learnt?
#' @param n_quantiles Number of quantiles, 1 to 200. Time and memory of the second stage grow with
#'   it.
#' @param nodes Levels of the quantiles, `"matched"` or `"midpoints"`.
#' @param non_crossing Make it impossible that quantiles cross?
#' @param control Settings of the networks, from [nn_control()].
#' @param seed Of the rows held out, initial weights, order of rows and dropout: NULL draws one from
#'   R's generator, a whole number is used as it is.
#' @param model Keep exposure and covariates, which [effect_curve()] averages over?
#' @return A list of class `c("iv_quantile", "iv_fit")` of plain numbers (`saveRDS()` works):
#'   `coefficients`, the average derivative under the exposure's name (its covariance is NA);
#'   `fitted.values` \eqn{g(x_i, w_i)} and `residuals`; `diagnostics`; `history`; `network`, the
#'   weights of both networks and how columns were standardised; `x_hat`, the mean exposure by the
#'   first stage; `held_out`, the rows held out; `tau`, the levels; `control`, `seed`. Read it with
#'   [effect_curve()], [ate()], [cate()], [average_derivative()], `predict()`, `glance()`,
#'   [training_history()].
#' @references Legault, M.-A. et al. (2023). ml-mr: machine learning for Mendelian randomization,
#'   GLBIO; source code <https://github.com/legaultmarc/ml-mr>.
#' @examples
#' sim <- sim_nonlinear(n = 2000, seed = 1)
#' g <- as.matrix(sim[truth(sim)$instruments])
#' fit <- iv_quantile(Y ~ X | g, data = sim, seed = 1)
#' fit
#' effect_curve(fit, x = c(-1, 0, 1))
#' ate(fit, from = 0, to = 1)
#' @export
iv_quantile <- function(formula = NULL, data = NULL, subset = NULL, weights = NULL,
                        na.action = NULL, na_genotype = c("impute", "drop", "error"),
                        y = NULL, x = NULL, z = NULL, w = NULL, binary = FALSE, n_quantiles = 5,
                        nodes = c("matched", "midpoints"), non_crossing = TRUE,
                        control = nn_control(), seed = NULL, model = TRUE,
                        n_threads = mrl_threads()) {
  call <- match.call()
  check_flag(binary)
  check_flag(model)
  how <- list(
    n_quantiles = check_count(n_quantiles, max = 200),
    matched = check_choice(nodes, c("matched", "midpoints")) == "matched",
    non_crossing = check_flag(non_crossing), binary = binary, isa = isa_setting(),
    n_threads = check_threads(n_threads), seed = resolve_seed(seed)
  )
  control <- check_control(control)
  frame <- iv_frame(call, parent.frame(), list(y = y, x = x, z = z, w = w), "required",
    na_genotype = if (missing(na_genotype)) "impute" else na_genotype
  )
  check_quantile_frame(frame, binary)
  how <- c(how, nn_settings(control, length(frame$y)))
  strength <- linear_strength(frame, call, how$n_threads)
  out <- .Call(C_iv_quantile_fit, frame$y, frame$x[, 1], frame$w, frame$z, frame$weights, how)
  check_status(out$status, "training the networks")
  warn_stages(out$value)
  new_quantile_fit(out$value, frame, how, control, strength, call, model)
}

check_quantile_frame <- function(frame, binary) {
  if (ncol(frame$x) != 1L) {
    stop_mrl("argument", "iv_quantile() takes one exposure; got ", ncol(frame$x), ": ",
      shorten(colnames(frame$x)), ".")
  }
  if (!identical(frame$design$exposure_terms, quote_name(colnames(frame$x)))) {
    stop_mrl("argument", "iv_quantile() learns the shape itself: give the exposure as a variable, ",
      "not as `", frame$design$exposure_terms[1], "`.")
  }
  if (max(frame$x) == min(frame$x)) {
    stop_mrl("collinear", "The exposure `", colnames(frame$x), "` is constant.")
  }
  if (binary && !all(frame$y %in% c(0, 1))) {
    stop_mrl("data", "With `binary = TRUE` the outcome `", frame$outcome, "` must be 0 or 1; got ",
      format(frame$y[!frame$y %in% c(0, 1)][1]), ".")
  }
}

# Of the linear first stage; nothing where there are too few rows for one.
linear_strength <- function(frame, call, n_threads) {
  linear <- tryCatch(
    suppressMessages(
      fit_linear(frame, "iid", "2SLS", "iv_2sls", call, FALSE, n_threads),
      classes = "mrlearn_message_collinear"
    ),
    mrlearn_error_data = function(e) NULL
  )
  d <- if (is.null(linear)) empty_diagnostics() else linear$diagnostics
  d[d$diagnostic %in% c("Weak instruments", "Conditional F"), , drop = FALSE]
}

warn_stages <- function(value) {
  stages <- c("first stage", "outcome network")
  for (s in which(value$stop == 3L)) {
    warn_mrl("diverged", "The training of the ", stages[s], " diverged in epoch ",
      value$epochs[s] + 1L, ": its last finite weights are used. Lower `learning_rate`.")
  }
  for (s in which(value$stop != 3L & value$status != 0L)) {
    warn_mrl("not_trained", "The training of the ", stages[s], " found nothing better than its ",
      "initial weights in ", value$epochs[s], " epochs: its estimates are worth little.")
  }
}

# How good the first stage's mean exposure is in the rows held out.
held_out_strength <- function(x_hat, held_out, frame) {
  out <- data.frame(diagnostic = c("Out-of-sample R2", "Out-of-sample F"), df1 = c(NA, 1),
    df2 = NA_real_, statistic = NA_real_, p.value = NA_real_, critical = NA_real_)
  if (!length(held_out)) {
    return(out)
  }
  x <- frame$x[, 1]
  weights <- if (is.null(frame$weights)) rep(1, length(x)) else frame$weights
  mean_train <- stats::weighted.mean(x[-held_out], weights[-held_out])
  error <- sum((weights * (x - x_hat)^2)[held_out])
  total <- sum((weights * (x - mean_train)^2)[held_out])
  out$statistic[1] <- if (total > 0) 1 - error / total else NA_real_
  df2 <- length(held_out) - ncol(frame$w) - 2L
  if (df2 < 1L) {
    return(out)
  }
  base <- cbind(1, frame$w[held_out, , drop = FALSE])
  rss <- vapply(list(base, cbind(base, x_hat[held_out])), function(columns) {
    root <- sqrt(weights[held_out])
    sum(qr.resid(qr(columns * root), x[held_out] * root)^2)
  }, 0)
  out$df2[2] <- df2
  out$statistic[2] <- (rss[1] - rss[2]) / rss[2] * df2
  out$p.value[2] <- stats::pf(out$statistic[2], 1, df2, lower.tail = FALSE)
  out
}

new_quantile_fit <- function(value, frame, how, control, strength, call, model) {
  exposure <- colnames(frame$x)
  network <- list(
    exposure = stage_network(value, "first", control),
    outcome = stage_network(value, "second", control)
  )
  n_z <- length(frame$z_names)
  n_in <- n_z + ncol(frame$w)
  network$exposure$scale_inputs <- value$scale[, seq_len(n_in), drop = FALSE]
  network$outcome$scale_w <- value$scale[, n_z + seq_len(ncol(frame$w)), drop = FALSE]
  network$outcome$scale_x <- value$scale[, n_in + 1L]
  network$outcome$scale_y <- value$scale[, n_in + 2L]
  network$outcome$binary <- how$binary
  fitted <- run_network(network$outcome, frame$x[, 1], frame$w, NULL, "rows", how$n_threads)
  slope <- run_network(network$outcome, frame$x[, 1], frame$w, frame$weights, "slope",
    how$n_threads)
  n <- length(frame$y)
  weights <- if (is.null(frame$weights)) rep(1, n) else frame$weights
  structure(
    list(
      coefficients = stats::setNames(slope, exposure),
      vcov = matrix(NA_real_, 1, 1, dimnames = list(exposure, exposure)),
      residuals = name_rows(frame$y - fitted, frame$row_names),
      fitted.values = name_rows(fitted, frame$row_names),
      diagnostics = rbind(strength, held_out_strength(value$x_hat, value$held_out, frame)),
      history = stage_histories(value), epochs = value$epochs, best_epoch = value$best,
      stop = c("", "epochs", "patience", "diverged")[value$stop + 1L],
      network = network, x_hat = value$x_hat, held_out = sort(value$held_out), tau = value$tau,
      exposure_range = range(frame$x), sigma = sqrt(sum(weights * (frame$y - fitted)^2) /
        sum(weights)),
      df.residual = NA_real_, df_test = NA_real_, nobs = n, estimator = "Quantile IV",
      vcov_type = "none", outcome = frame$outcome, exposures = exposure,
      covariates = colnames(frame$w), n_instruments = n_z, instruments = frame$z_names,
      intercept = TRUE, binary = how$binary, n_quantiles = how$n_quantiles,
      nodes = if (how$matched) "matched" else "midpoints", non_crossing = how$non_crossing,
      control = control, seed = how$seed, weights = frame$weights,
      dropped = list(rows = frame$dropped$text), na.action = na_record(frame$dropped),
      imputed = frame$imputed, design = frame$design, model = if (model) frame$model,
      formula = frame$formula, call = call, isa = isa_used()
    ),
    class = c("iv_quantile", "iv_fit")
  )
}

stage_network <- function(value, stage, control) {
  list(
    hidden = control$hidden[[if (stage == "first") 1L else 2L]],
    activation = match(control$activation, nn_activations) - 1L,
    batch_norm = control$batch_norm, dropout = control$dropout,
    params = value[[paste0("params_", stage)]],
    statistics = value[[paste0("statistics_", stage)]]
  )
}

stage_histories <- function(value) {
  table <- function(history, stage, epochs) {
    rows <- t(history[, seq_len(epochs), drop = FALSE])
    data.frame(stage = rep(stage, epochs), epoch = seq_len(epochs), train = rows[, 1],
      validation = rows[, 2], learning_rate = rows[, 3])
  }
  out <- rbind(table(value$history_first, "exposure", value$epochs[1]),
    table(value$history_second, "outcome", value$epochs[2]))
  out$validation[is.nan(out$validation)] <- NA_real_
  out
}

#' The course of training
#'
#' @param fit A fit of an estimator that trains networks.
#' @param ... Nothing else may be given.
#' @return A data.frame with a row per epoch of each stage: `stage` (`"exposure"`, `"outcome"`),
#'   `epoch`, `train` and `validation` (mean losses, of the standardised columns; NA where no rows
#'   were held out) and `learning_rate`.
#' @examples
#' sim <- sim_nonlinear(n = 1000, n_variants = 3, seed = 1)
#' fit <- iv_quantile(Y ~ X | G0 + G1 + G2, sim, seed = 1, control = nn_control(epochs = 5))
#' training_history(fit)
#' @export
training_history <- function(fit, ...) {
  UseMethod("training_history")
}

#' @export
training_history.iv_quantile <- function(fit, ...) {
  check_no_dots(...)
  fit$history
}

#' @export
glance.iv_quantile <- function(x, ...) {
  cbind(glance.iv_fit(x, ...),
    r2.first = find_diagnostic(x$diagnostics, "Out-of-sample R2")$statistic,
    statistic.first = find_diagnostic(x$diagnostics, "Out-of-sample F")$statistic,
    n.quantiles = x$n_quantiles, epochs.first = x$epochs[1], epochs.second = x$epochs[2]
  )
}

#' @export
print.iv_quantile <- function(x, digits = max(3L, getOption("digits") - 3L), ...) {
  print_quantile_head(x)
  cat("average derivative ", format(unname(x$coefficients), digits = digits),
    if (x$binary) " (of the probability)", ", no interval\n",
    sep = "")
  print_diagnostics(x, digits)
  print_training(x, digits)
  print_notes(x)
  invisible(x)
}

print_quantile_head <- function(x) {
  k <- length(x$covariates)
  cat(x$estimator, ": effect of ", x$exposures, " on ", x$outcome, "\n",
    x$nobs, " rows, ", x$n_instruments, " instrument", if (x$n_instruments != 1L) "s", ", ", k,
    " covariate", if (k != 1L) "s", "; ", x$n_quantiles, " ", x$nodes, " quantile",
    if (x$n_quantiles != 1L) "s", "\n\n",
    sep = "")
}

print_training <- function(x, digits) {
  why <- c(epochs = "the limit", patience = "early stop", diverged = "diverged")[x$stop]
  cat("\nTraining: first stage ", x$epochs[1], " epochs (", why[1], "), outcome ", x$epochs[2],
    " epochs (", why[2], "); ", length(x$held_out), " rows held out; seed ",
    format(x$seed, digits = 16), "\n",
    sep = "")
}

#' @export
summary.iv_quantile <- function(object, ...) {
  check_no_dots(...)
  at <- seq(object$exposure_range[1], object$exposure_range[2], length.out = 5)
  curve <- if (!is.null(object$model)) effect_curve(object, at)[c("x", "estimate")]
  structure(
    list(fit = object, curve = curve, diagnostics = object$diagnostics),
    class = "summary.iv_quantile"
  )
}

#' @export
print.summary.iv_quantile <- function(x, digits = max(3L, getOption("digits") - 3L), ...) {
  print.iv_quantile(x$fit, digits)
  if (!is.null(x$curve)) {
    cat("\nMean outcome with the exposure set:\n")
    print(x$curve, digits = digits, row.names = FALSE)
  }
  print(x$fit$control)
  invisible(x)
}
