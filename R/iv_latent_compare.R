# The estimators beside iv_latent().

# data.frame estimator, estimate, std.error, conf.low, conf.high, n.instruments, of the first
# exposure; NA where an estimator cannot be computed.
compare_latent <- function(problem, latent, how, call) {
  frame <- problem$frame
  frame$beds <- NULL
  frame$z <- list(problem$all_z)
  frame$z_names <- colnames(problem$all_z)
  inside <- environment_columns(problem)
  linear <- function(frame, estimator = "2SLS") {
    fit_linear(frame, how$vcov, estimator, "iv_2sls", call, FALSE, how$n_threads)
  }
  with_w <- function(columns) {
    frame$w <- cbind(frame$w, columns)
    frame
  }
  runs <- list(
    "2SLS(W)" = function() regress_latents(problem, latent, how, FALSE, call, FALSE),
    "PO(V)-2SLS(W)" = function() regress_latents(problem, latent, how, TRUE, call, FALSE),
    "2SLS(Z)" = function() linear(frame),
    "PO(environment)-2SLS(Z)" = function() linear(with_w(inside)),
    "2SLS(Z) + PCs" = function() {
      linear(with_components(frame, problem$all_z, how$latent_dim[["V"]]))
    },
    "LIML(Z)" = function() {
      fit_kclass(frame, how$vcov, list(liml = TRUE, k = 1, fuller = 0), "LIML", "iv_liml", call,
        FALSE, how$n_threads)
    },
    "Egger(Z)" = function() egger_individual(frame, problem$all_z, NULL),
    "PO(environment)-Egger(Z)" = function() egger_individual(frame, problem$all_z, inside),
    "OLS" = function() linear(frame, "OLS")
  )
  rows <- Map(function(name, run) compare_row(name, run, colnames(frame$x)[1]), names(runs), runs)
  out <- do.call(rbind, rows)
  row.names(out) <- NULL
  out
}

compare_row <- function(name, run, exposure) {
  fit <- tryCatch(
    withCallingHandlers(run(), mrlearn_message = function(m) tryInvokeRestart("muffleMessage")),
    mrlearn_error = function(e) NULL
  )
  out <- data.frame(estimator = name, estimate = NA_real_, std.error = NA_real_,
    conf.low = NA_real_, conf.high = NA_real_, n.instruments = NA_integer_)
  if (is.numeric(fit)) {
    out$estimate <- fit
  } else if (!is.null(fit)) {
    table <- tidy(fit, conf.int = TRUE)
    columns <- c("estimate", "std.error", "conf.low", "conf.high")
    out[columns] <- table[table$term == exposure, columns]
    out$n.instruments <- if (is.null(fit$n_instruments)) 0L else fit$n_instruments
  }
  out
}

# Indicators of all environments but the first.
environment_columns <- function(problem) {
  codes <- seq_along(problem$labels)[-1L]
  out <- outer(problem$environment, codes, "==") + 0
  colnames(out) <- paste0("environment: ", problem$labels[-1L])
  out
}

# The k leading principal components of the standardised columns as covariates, the others as
# instruments: the same as all columns, which are collinear then.
with_components <- function(frame, z, k) {
  scaled <- scale(z)
  parts <- eigen(crossprod(scaled), symmetric = TRUE)
  kept <- parts$values > 1e-10 * parts$values[1]
  scores <- scaled %*% parts$vectors[, kept, drop = FALSE]
  colnames(scores) <- paste0("component ", seq_len(ncol(scores)))
  lead <- seq_len(min(k, ncol(scores) - 1L))
  frame$w <- cbind(frame$w, scores[, lead, drop = FALSE])
  frame$z <- list(scores[, -lead, drop = FALSE])
  frame$z_names <- colnames(frame$z[[1]])
  frame
}

# MR-Egger of the associations of each instrument with exposure and outcome, taken one instrument at
# a time by least squares (given the covariates), oriented to a positive association with the
# exposure, weighted by the precision of those with the outcome.
egger_individual <- function(frame, z, covariates) {
  base <- cbind(1, frame$w, covariates)
  root <- if (is.null(frame$weights)) rep(1, nrow(z)) else sqrt(frame$weights)
  left <- qr.resid(qr(base * root), cbind(z, frame$x[, 1], frame$y) * root)
  p <- ncol(z)
  square <- colSums(left^2)
  slope <- crossprod(left[, seq_len(p), drop = FALSE], left[, p + 1:2]) / square[seq_len(p)]
  df <- nrow(z) - ncol(base) - 1
  rest <- square[p + 2L] - slope[, 2]^2 * square[seq_len(p)]
  precision <- square[seq_len(p)] / (rest / df)
  keep <- square[seq_len(p)] > 1e-10 * colSums((z * root)^2)
  if (sum(keep) < 3L) {
    return(NA_real_)
  }
  sign <- ifelse(slope[keep, 1] < 0, -1, 1)
  line <- stats::lm.wfit(cbind(1, sign * slope[keep, 1]), sign * slope[keep, 2], precision[keep])
  unname(line$coefficients[2])
}
