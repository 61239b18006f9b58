# iv_latent(): representations by fold, the regression with them, the bootstrap of the whole.

# The function of a method.
latent_function <- function(method) {
  get(paste0("latent_", method), envir = topenv(), mode = "function")
}

# The representation of the rows that are not in `fold`, or, where there is one fold, of all. What
# arithmetic failed at is a gate that is not passed, with a NULL for the representation.
learn_fold <- function(problem, method, fold, how) {
  rows <- how$cross_fit == 1L | problem$fold != fold
  environment <- problem$environment[rows]
  started <- proc.time()[["elapsed"]]
  given <- list(problem$z[rows, , drop = FALSE], environment, how$latent_dim, how$control,
    how$seed + fold - 1, how$n_threads)
  if (method == "autoencoder") {
    given$exposure <- problem$frame$x[rows, , drop = FALSE]
  }
  tryCatch(
    do.call(latent_function(method), given),
    mrlearn_error_numeric = function(e) {
      list(gate = list(passed = FALSE, statistic = NA_real_, threshold = NA_real_,
        reason = sub("\\.$", "", conditionMessage(e))),
        seconds = proc.time()[["elapsed"]] - started, failed = TRUE)
    }
  )
}

# One method on all folds; with stop_early no more of them once a gate is not passed.
learn_method <- function(problem, method, how, stop_early, known = list()) {
  parts <- known
  for (fold in setdiff(seq_len(how$cross_fit), seq_along(known))) {
    parts[[fold]] <- learn_fold(problem, method, fold, how)
    if (stop_early && !parts[[fold]]$gate$passed) {
      break
    }
  }
  parts
}

tried_rows <- function(method, parts) {
  do.call(rbind, lapply(seq_along(parts), function(fold) {
    gate <- parts[[fold]]$gate
    data.frame(method = method, fold = fold, passed = gate$passed, statistic = gate$statistic,
      threshold = gate$threshold, reason = gate$reason, seconds = parts[[fold]]$seconds)
  }))
}

# list(method, parts, identified, tried).
learn_latents <- function(problem, how) {
  if (how$method != "auto") {
    parts <- learn_method(problem, how$method, how, stop_early = FALSE)
    return(list(method = how$method, parts = parts, tried = tried_rows(how$method, parts),
      identified = all(vapply(parts, function(p) p$gate$passed, NA))))
  }
  all_parts <- list()
  for (method in how$control$methods) {
    parts <- learn_method(problem, method, how, stop_early = TRUE)
    all_parts[[method]] <- parts
    if (length(parts) == how$cross_fit && all(vapply(parts, function(p) p$gate$passed, NA))) {
      return(list(method = method, parts = parts, tried = tried_table(all_parts),
        identified = TRUE))
    }
  }
  method <- nearest_to_gate(all_parts)
  parts <- learn_method(problem, method, how, stop_early = FALSE, known = all_parts[[method]])
  all_parts[[method]] <- parts
  list(method = method, parts = parts, tried = tried_table(all_parts), identified = FALSE)
}

tried_table <- function(all_parts) {
  out <- do.call(rbind, Map(tried_rows, names(all_parts), all_parts))
  row.names(out) <- NULL
  out
}

# The statistics are eigenvalues over their thresholds, comparable between methods.
nearest_to_gate <- function(all_parts) {
  distance <- vapply(all_parts, function(parts) {
    usable <- !any(vapply(parts, function(p) isTRUE(p$failed), NA))
    ratio <- max(vapply(parts, function(p) p$gate$statistic / p$gate$threshold, 0))
    if (usable && is.finite(ratio)) ratio else Inf
  }, 0)
  if (all(is.infinite(distance))) {
    stop_mrl("numeric", "No method gave a representation of the instruments: ",
      all_parts[[1]][[1]]$gate$reason, ".")
  }
  names(which.min(distance))
}

# v (n, V) and w (n, W), each row by the representation of its fold, centred within folds so that
# folds need no constant of their own.
apply_folds <- function(problem, parts) {
  out <- list()
  for (fold in seq_along(parts)) {
    rows <- which(problem$fold == fold)
    latent <- latent_apply(parts[[fold]], problem$z[rows, , drop = FALSE])
    for (block in c("v", "w")) {
      if (is.null(out[[block]])) {
        out[[block]] <- matrix(0, nrow(problem$z), ncol(latent[[block]]))
      }
      out[[block]][rows, ] <- center_columns(latent[[block]], problem$frame$weights[rows])
    }
  }
  out
}

center_columns <- function(x, weights = NULL) {
  mean <- if (is.null(weights)) colMeans(x) else colSums(x * weights) / sum(weights)
  sweep(x, 2L, mean)
}

# A block of columns for each fold: zero in the rows of the others.
fold_blocks <- function(x, fold, name) {
  folds <- sort(unique(fold))
  out <- do.call(cbind, lapply(folds, function(k) x * (fold == k)))
  label <- paste0(name, seq_len(ncol(x)))
  colnames(out) <- if (length(folds) == 1L) {
    label
  } else {
    paste0(rep(label, length(folds)), " (fold ", rep(folds, each = ncol(x)), ")")
  }
  out
}

# Two-stage least squares with the latents as instruments. V as covariates has no coefficients.
regress_latents <- function(problem, latent, how, partial_out, call, model) {
  frame <- problem$frame
  frame$z <- list(fold_blocks(latent$w, problem$fold, "W"))
  frame$z_names <- colnames(frame$z[[1]])
  frame$beds <- NULL
  if (partial_out) {
    frame$w <- cbind(frame$w, fold_blocks(latent$v, problem$fold, "V"))
  }
  suppress_collinear(fit_linear(frame, how$vcov, "2SLS", "iv_2sls", call, model, how$n_threads))
}

fit_latent <- function(problem, how, call, model) {
  learned <- learn_latents(problem, how)
  failed <- vapply(learned$parts, function(p) isTRUE(p$failed), NA)
  if (any(failed)) {
    stop_mrl("numeric", "Method \"", learned$method, "\" failed: ",
      learned$parts[[which(failed)[1]]]$gate$reason, ".")
  }
  latent <- apply_folds(problem, learned$parts)
  fit <- regress_latents(problem, latent, how, how$partial_out, call, model)
  fit <- describe_latent(fit, problem, learned, latent, how)
  if (how$n_boot > 0L) {
    fit <- boot_latent(fit, problem, learned$method, how)
  }
  if (how$compare) {
    fit$estimators <- compare_latent(problem, latent, how, call)
  }
  if (learned$identified) fit else not_identified(fit, learned, how)
}

describe_latent <- function(fit, problem, learned, latent, how) {
  fit$estimator <- paste0(if (how$partial_out) "PO(V)-", "2SLS(W), ", learned$method)
  fit$method <- learned$method
  fit$identified <- learned$identified
  fit$latent_dim <- how$latent_dim
  fit$partial_out <- how$partial_out
  fit$cross_fit <- how$cross_fit
  fit$representations <- learned$parts
  fit$tried <- learned$tried
  fit$eigenvalues <- do.call(cbind, lapply(learned$parts, function(p) p$eigenvalues))
  fit$latent <- c(latent, list(fold = problem$fold,
    environment = factor(problem$labels[problem$environment], problem$labels)))
  fit$kept_instruments <- colnames(problem$z)
  fit$seed <- how$seed
  class(fit) <- c("iv_latent", "iv_fit")
  fit
}

# Asked for by name, a method keeps its standard errors; "auto" says that it knows nothing.
not_identified <- function(fit, learned, how) {
  refused <- learned$tried[!learned$tried$passed & learned$tried$method == learned$method, ]
  reason <- refused$reason[1]
  if (how$method == "auto") {
    fit$vcov[] <- 0
    diag(fit$vcov) <- Inf
    fit$vcov_type <- "unidentified"
    if (how$compare) {
      of_latents <- fit$estimators$estimator %in% c("2SLS(W)", "PO(V)-2SLS(W)")
      fit$estimators[of_latents, c("std.error", "conf.low", "conf.high")] <-
        rep(c(Inf, -Inf, Inf), each = 2)
    }
    warn_mrl("unidentified", "No method could tell what of the instruments is valid; the nearest, ",
      "\"", learned$method, "\": ", reason, ". The effect is not identified: its interval is all ",
      "numbers.")
  } else {
    warn_mrl("unidentified", "Method \"", learned$method, "\" did not pass its gate: ", reason,
      ". The estimate need not be causal, nor its interval hold.")
  }
  fit
}

# Replicates of the whole: rows or clusters drawn within environments, the method that was chosen.
boot_latent <- function(fit, problem, method, how) {
  how$method <- method
  estimates <- t(vapply(seq_len(how$n_boot), function(b) {
    draw <- resample_problem(problem, how, b)
    out <- tryCatch(
      {
        parts <- learn_method(draw, method, how, stop_early = FALSE)
        regress_latents(draw, apply_folds(draw, parts), how, how$partial_out, NULL, FALSE)
      },
      mrlearn_error = function(e) NULL
    )
    if (is.null(out)) fit$coefficients * NA else out$coefficients[names(fit$coefficients)]
  }, fit$coefficients))
  if (length(fit$coefficients) == 1L) {
    estimates <- t(estimates)
  }
  colnames(estimates) <- names(fit$coefficients)
  good <- stats::complete.cases(estimates)
  if (sum(good) < 10L) {
    stop_mrl("numeric", "Only ", sum(good), " of ", how$n_boot, " bootstrap replicates succeeded.")
  }
  if (any(!good)) {
    warn_mrl("boot", sum(!good), " of ", how$n_boot, " bootstrap replicates failed and are left ",
      "out.")
  }
  fit$boot <- list(estimates = estimates[good, , drop = FALSE], failed = sum(!good))
  fit$vcov[] <- stats::cov(fit$boot$estimates)
  fit$vcov_type <- "bootstrap"
  fit
}

resample_problem <- function(problem, how, b) {
  cluster <- problem$frame$cluster
  n <- length(problem$environment)
  unit <- if (is.null(cluster)) seq_len(n) else cluster
  members <- split(seq_len(n), unit)
  home <- problem$environment[vapply(members, `[`, 1L, 1L)]
  drawn <- unlist(lapply(sort(unique(home)), function(e) {
    units <- which(home == e)
    pick <- rng_draw("below", length(units), how$seed, (e - 1) * 2^24 + b - 1, length(units),
      "bootstrap")
    units[pick + 1]
  }))
  rows <- unlist(members[drawn], use.names = FALSE)
  frame <- problem$frame
  for (name in c("x", "w")) {
    frame[[name]] <- frame[[name]][rows, , drop = FALSE]
  }
  frame[c("y", "weights", "row_names")] <- list(frame$y[rows], frame$weights[rows], NULL)
  frame["cluster"] <- list(if (!is.null(cluster)) rep(seq_along(drawn), lengths(members[drawn])))
  if (!is.null(cluster)) frame$n_cluster <- length(drawn)
  environment <- problem$environment[rows]
  # All copies of a row or cluster in one fold, or the halves would share rows.
  list(frame = frame, z = problem$z[rows, , drop = FALSE], environment = environment,
    labels = problem$labels, fold = problem$fold[rows])
}
