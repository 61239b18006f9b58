# The engine of iv_quantile(), iv_deep() and iv_dfiv(): a first stage that gives each row a
# distribution of its exposure, an outcome network averaged over it; arguments -> core -> fitted
# object.

neural_first_stages <- c("quantile", "gaussian", "mixture", "ridge", "features")

# What both functions take beside the first stage. fun: name for messages.
neural_arguments <- function(binary, cross_fit, n_boot, workers, control, seed, checkpoint,
                             checkpoint_every, progress, model, n_threads, fun) {
  saved <- read_checkpoint(checkpoint)
  list(
    fun = fun, binary = check_flag(binary, "binary"),
    cross_fit = check_count(cross_fit, "cross_fit", max = 50),
    n_boot = check_n_boot(n_boot), workers = check_workers(workers),
    control = check_control(control), seed = seed_of_run(seed, saved), saved = saved,
    checkpoint = checkpoint, checkpoint_every = check_count(checkpoint_every, "checkpoint_every"),
    progress = check_progress(progress), model = check_flag(model, "model"),
    n_threads = check_threads(n_threads)
  )
}

# A standard deviation of fewer than ten replicates says nothing.
check_n_boot <- function(n_boot) {
  n <- check_count(n_boot, "n_boot", min = 0, max = 1e5)
  if (n > 0L && n < 10L) {
    stop_argument("n_boot", "must be 0 or at least 10", describe(n_boot))
  }
  n
}

# first: list of settings of the first stage, as the core reads them, and what describes it (label,
# class). how: from neural_arguments().
fit_neural <- function(call, env, matrices, na_genotype, stage2_data, first, how) {
  samples <- neural_samples(call, env, matrices, na_genotype, stage2_data, how$fun)
  outcome_frame <- if (is.null(samples$second)) samples$first else samples$second
  check_binary_outcome(outcome_frame, how$binary)
  how <- check_folds(how, samples)
  settings <- neural_settings(first$settings, how, samples)
  if (is_dfiv(settings)) {
    check_warm(how)
    settings <- dfiv_settings(settings, how$control, length(samples$first$y))
  }
  strength <- linear_strength(samples$first, call, how$n_threads)
  data <- neural_data(samples)
  run <- run_neural(data, settings, how)
  warn_stages(run$value)
  fit <- new_neural_fit(run$value, samples, settings, how, first, strength, call)
  warn_no_variation(fit, samples$first)
  with_replicates(fit, run$replicates, samples$first)
}

# Replicates of iv_dfiv() are of one kind.
check_warm <- function(how) {
  if (how$n_boot > 0L && how$control$boot_type != "warm") {
    stop_argument("control", "must have boot_type = \"warm\" in iv_dfiv()",
      paste0("\"", how$control$boot_type, "\""))
  }
}

check_folds <- function(how, samples) {
  if (how$cross_fit > 1L && !is.null(samples$second)) {
    inform_mrl("cross_fit", "`cross_fit` is not needed and not used with `stage2_data`: the first ",
      "stage never saw the rows of the outcome.")
    how$cross_fit <- 1L
  }
  frame <- samples$first
  units <- if (is.null(frame$cluster)) length(frame$y) else frame$n_cluster
  if (how$cross_fit > 1L && units < 2L * how$cross_fit) {
    stop_argument("cross_fit", paste0("must leave at least two ",
      if (is.null(frame$cluster)) "rows" else "clusters", " in each fold"),
      paste(how$cross_fit, "folds of", units), what = "data")
  }
  how
}

# The settings list of the core.
neural_settings <- function(first, how, samples) {
  n <- length(samples$first$y)
  n2 <- if (is.null(samples$second)) n else length(samples$second$y)
  c(
    first,
    list(
      binary = how$binary, cross_fit = how$cross_fit, refit = how$control$refit,
      boot_half = how$control$boot_type == "half", boot_epochs = how$control$boot_epochs,
      boot_rate = how$control$boot_rate
    ),
    nn_settings(how$control, n),
    list(
      n_valid2 = held_out_rows(how$control, n2), seed = how$seed, n_threads = how$n_threads,
      isa = isa_setting(), until = NA_integer_
    )
  )
}

# Of the linear first stage; nothing where there are too few rows for one.
linear_strength <- function(frame, call, n_threads) {
  linear <- tryCatch(
    suppressMessages(
      fit_linear(frame, if (is.null(frame$cluster)) "iid" else "cluster", "2SLS", "iv_2sls", call,
        FALSE, n_threads),
      classes = "mrlearn_message_collinear"
    ),
    mrlearn_error_data = function(e) NULL
  )
  wanted <- c("Weak instruments", "Conditional F", "Effective F")
  d <- if (is.null(linear)) empty_diagnostics() else linear$diagnostics
  structure(d[d$diagnostic %in% wanted, , drop = FALSE], partial_r2 = linear$partial_r2)
}

warn_stages <- function(value) {
  labels <- if (length(value$first) == 1L) {
    "first stage"
  } else {
    paste("first stage of fold", seq_along(value$first), recycle0 = TRUE)
  }
  stages <- c(stats::setNames(value$first, labels), list(`outcome network` = value$second))
  for (name in names(stages)) {
    stage <- stages[[name]]
    if (stage$stop == 3L) {
      warn_mrl("diverged", "The training of the ", name, " diverged in epoch ", stage$epochs + 1L,
        ": its last finite weights are used. Lower `learning_rate`.")
    } else if (stage$status != 0L) {
      warn_mrl("not_trained", "The training of the ", name, " found nothing better than its ",
        "initial weights in ", stage$epochs, " epochs: its estimates are worth little.")
    }
  }
}

# A first stage without noise leaves nothing of the exposure to the confounders: its curve is a
# plain regression, which is right, but hardly what was meant.
warn_no_variation <- function(fit, frame) {
  r2 <- find_diagnostic(fit$diagnostics, "Out-of-sample R2")$statistic
  linear <- attr(fit$strength, "partial_r2")
  if (isTRUE(unname(linear[1]) > 1 - 1e-8) || isTRUE(r2 > 1 - 1e-6)) {
    warn_mrl("no_variation", "Given the instruments and covariates the exposure `",
      colnames(frame$x), "` does not vary: is it among the instruments?")
  }
}

# How good the first stage's mean exposure is in rows that it has not seen: `x_out`, NA elsewhere.
held_out_strength <- function(x_out, frame) {
  out <- data.frame(diagnostic = c("Out-of-sample R2", "Out-of-sample F"), df1 = c(NA, 1),
    df2 = NA_real_, statistic = NA_real_, p.value = NA_real_, critical = NA_real_)
  rows <- which(!is.na(x_out))
  if (!length(rows)) {
    return(out)
  }
  x <- frame$x[, 1]
  weights <- if (is.null(frame$weights)) rep(1, length(x)) else frame$weights
  seen <- if (length(rows) < length(x)) -rows else seq_along(x)
  mean_train <- stats::weighted.mean(x[seen], weights[seen])
  error <- sum((weights * (x - x_out)^2)[rows])
  total <- sum((weights * (x - mean_train)^2)[rows])
  out$statistic[1] <- if (total > 0) 1 - error / total else NA_real_
  df2 <- length(rows) - ncol(frame$w) - 2L
  if (df2 < 1L) {
    return(out)
  }
  root <- sqrt(weights[rows])
  base <- cbind(1, frame$w[rows, , drop = FALSE])
  rss <- vapply(list(base, cbind(base, x_out[rows])), function(columns) {
    sum(qr.resid(qr(columns * root), x[rows] * root)^2)
  }, 0)
  out$df2[2] <- df2
  out$statistic[2] <- (rss[1] - rss[2]) / rss[2] * df2
  out$p.value[2] <- stats::pf(out$statistic[2], 1, df2, lower.tail = FALSE)
  out
}

# The mean exposure of rows by first stages that have not seen them.
unseen_exposure <- function(value) {
  x_out <- value$x_out
  if (is.null(x_out)) {
    x_out <- value$x_hat
    if (length(value$first) == 1L) {
      x_out[setdiff(seq_along(x_out), value$held_out)] <- NA
    }
  }
  x_out
}

new_neural_fit <- function(value, samples, settings, how, first, strength, call) {
  frame <- samples$first
  two <- !is.null(samples$second)
  exposure <- colnames(frame$x)
  networks <- if (is_dfiv(settings)) dfiv_networks else neural_networks
  network <- networks(value, frame, settings, how$control)
  fitted <- run_network(network$outcome, frame$x[, 1], frame$w, NULL, "rows", how$n_threads)
  slope <- run_network(network$outcome, frame$x[, 1], frame$w, frame$weights, "slope",
    how$n_threads)
  residuals <- if (two) rep(NA_real_, length(fitted)) else frame$y - fitted
  weights <- if (is.null(frame$weights)) rep(1, length(fitted)) else frame$weights
  fit <- list(
    coefficients = stats::setNames(slope, exposure),
    vcov = matrix(NA_real_, 1, 1, dimnames = list(exposure, exposure)),
    residuals = name_rows(residuals, frame$row_names),
    fitted.values = name_rows(fitted, frame$row_names),
    diagnostics = rbind(strength, held_out_strength(unseen_exposure(value), frame)),
    strength = strength, history = stage_histories(value),
    epochs = stage_numbers(value, "epochs"), best_epoch = stage_numbers(value, "best"),
    stop = stage_stops(value), network = network, head = neural_head(value$second, settings),
    x_hat = value$x_hat, y_hat = value$y_hat, fold = if (how$cross_fit > 1L) value$fold,
    held_out = sort(value$held_out), held_out2 = if (two) sort(value$held_out2), tau = value$tau,
    exposure_range = range(frame$x), sigma = sqrt(sum(weights * residuals^2) / sum(weights)),
    df.residual = NA_real_, df_test = NA_real_, nobs = length(fitted),
    nobs_outcome = if (two) length(samples$second$y) else length(fitted),
    estimator = first$estimator, first_stage_kind = neural_first_stages[settings$first + 1L],
    first_stage_label = first$label, vcov_type = "none", outcome = frame$outcome,
    exposures = exposure, covariates = colnames(frame$w), n_instruments = length(frame$z_names),
    instruments = frame$z_names, intercept = TRUE, two_sample = two, cross_fit = how$cross_fit,
    binary = how$binary, n_boot = 0L, control = how$control, seed = how$seed,
    weights = frame$weights, cluster = frame$cluster_name,
    n_cluster = if (!is.null(frame$cluster)) frame$n_cluster,
    dropped = list(rows = dropped_notes(samples)), na.action = na_record(frame$dropped),
    imputed = frame$imputed, design = frame$design, instrument_design = samples$instruments,
    model = if (how$model) frame$model, formula = frame$formula, call = call, isa = isa_used()
  )
  fit$overlap <- first_stage_mass(fit, samples)
  structure(c(fit, first$extra), class = c(first$class, "iv_neural", "iv_fit"))
}

dropped_notes <- function(samples) {
  second <- samples$second$dropped$text
  c(samples$first$dropped$text, if (!is.null(second)) paste("in `stage2_data`,", second))
}

# Networks as the core reads them back.
neural_networks <- function(value, frame, settings, control) {
  n_z <- length(frame$z_names)
  n_w <- ncol(frame$w)
  layers <- function(which) {
    c(
      list(hidden = settings[[paste0("hidden_", which)]]),
      settings[c("activation", "batch_norm", "dropout")]
    )
  }
  kind <- settings[c("first", "n_quantiles", "matched", "non_crossing", "n_components")]
  scales <- list(
    scale_inputs = value$scale[, seq_len(n_z + n_w), drop = FALSE],
    scale_x = value$scale[, n_z + n_w + 1L]
  )
  fitted <- function(stage) stage[setdiff(names(stage), "history")]
  list(
    exposure = lapply(value$first, function(stage) {
      c(kind, layers("first"), scales, fitted(stage))
    }),
    outcome = c(layers("second"), list(
      params = value$second$params, statistics = value$second$statistics,
      theta = value$second$theta, scale_w = value$scale[, n_z + seq_len(n_w), drop = FALSE],
      scale_x = scales$scale_x, scale_y = value$scale[, n_z + n_w + 2L], binary = settings$binary
    ))
  )
}

# What the closed form chose.
neural_head <- function(second, settings) {
  if (is_dfiv(settings)) {
    return(second[c("ridge", "error")])
  }
  if (settings$refit) second[c("order", "lambda", "rho", "df", "bic")]
}

stage_numbers <- function(value, name) {
  first <- vapply(value$first, function(stage) as.integer(stage[[name]]), 0L)
  c(exposure = sum(first), outcome = as.integer(value$second[[name]]))
}

stage_stops <- function(value) {
  words <- c("none", "epochs", "patience", "diverged")
  worst <- max(vapply(value$first, function(stage) as.integer(stage$stop), 0L))
  c(exposure = words[worst + 1L], outcome = words[value$second$stop + 1L])
}

stage_histories <- function(value) {
  table <- function(stage, name, fold) {
    n <- stage$epochs
    rows <- t(stage$history[, seq_len(n), drop = FALSE])
    data.frame(stage = rep(name, n), fold = rep(fold, n), epoch = seq_len(n), train = rows[, 1],
      validation = rows[, 2], learning_rate = rows[, 3], seconds = rows[, 4])
  }
  folds <- if (length(value$first) == 1L) NA_integer_ else seq_along(value$first)
  out <- do.call(rbind, c(
    Map(table, value$first, "exposure", folds), list(table(value$second, "outcome", NA_integer_))
  ))
  out$validation[is.nan(out$validation)] <- NA_real_
  row.names(out) <- NULL
  out
}

#' The course of training
#'
#' @param fit A fit of an estimator that trains networks.
#' @param ... Nothing else may be given.
#' @return A data.frame with a row per epoch of each stage: `stage` (`"exposure"`, `"outcome"`),
#'   `fold` (of a cross-fitted first stage, else NA), `epoch`, `train` and `validation` (mean
#'   losses, of the standardised columns; NA where no rows were held out), `learning_rate` and
#'   `seconds` that the epoch took.
#' @examples
#' sim <- sim_nonlinear(n = 1000, n_variants = 3, seed = 1)
#' fit <- iv_quantile(Y ~ X | G0 + G1 + G2, sim, seed = 1, control = nn_control(epochs = 5))
#' training_history(fit)
#' @export
training_history <- function(fit, ...) {
  UseMethod("training_history")
}

#' @export
training_history.default <- function(fit, ...) {
  stop_argument("fit", "must be a fit that training made, as of iv_quantile()", describe(fit))
}

#' @export
training_history.iv_neural <- function(fit, ...) {
  check_no_dots(...)
  fit$history
}
