# The steps of iv_contextual(): instruments, nets, slopes. A `problem` holds the numbers of the
# data, among them `weights`, which a bootstrap replaces.

# Residuals of a weighted regression on a constant and columns (a matrix, or a list of columns and
# matrices).
regression_residuals <- function(y, columns, weights, n_threads, covariates = NULL) {
  out <- linear_core(y, columns, covariates, weights = weights, n_threads = n_threads)
  if (out$status == "too_few") {
    stop_mrl("data", "There are too few rows (", length(y), ") for the number of columns: ",
      "covariates, context, its squares and instruments.")
  }
  check_status(out$status, "regressing on context and instruments")
  out$value$residuals
}

# What the instruments say of the exposure, given main effects q (n, k). Returns `s`, the
# instrument of the slopes, and `projection`, the part of the exposure that the instruments
# explain, both without q; and `kappa`. Fuller's (1977) limited-information estimator is the
# estimator with the instrument x - k v, v the residual of the first stage, k a little below the
# smallest ratio of residual variances of y - b x without and with the instruments.
first_stage <- function(problem, q) {
  how <- problem$how
  residuals <- function(v, z) {
    regression_residuals(v, z, problem$weights, how$n_threads, covariates = q)
  }
  x <- regression_residuals(problem$x, q, problem$weights, how$n_threads)
  if (how$stage1 == "none") {
    return(list(s = x, projection = x, kappa = NA_real_))
  }
  z <- problem$z
  if (how$stage1 == "lasso" && !how$refit) {
    s <- regression_residuals(problem$x_lasso, q, problem$weights, how$n_threads)
    return(list(s = s, projection = s, kappa = 1))
  }
  v <- residuals(problem$x, z)
  projection <- x - v
  if (how$stage1 == "contextual") {
    projection <- projection * strength_by_context(problem, q, projection)
    projection <- regression_residuals(projection, q, problem$weights, how$n_threads)
    v <- x - projection
  }
  kappa <- 1
  if (how$fuller > 0) {
    y <- regression_residuals(problem$y, q, problem$weights, how$n_threads)
    kappa <- fuller_kappa(cbind(y, x), cbind(residuals(problem$y, z), x - projection),
      problem$weights, length(y) - ncol(q) - 1 - problem$n_instruments, problem$n_instruments - 1,
      how$fuller)
  }
  list(s = x - kappa * v, projection = projection, kappa = kappa)
}

# The instruments that the LASSO selects at the penalty of least cross-validated error; the first
# to enter where it selects none. Without refit, its fit of the exposure.
select_instruments <- function(problem, q) {
  first <- lasso_fit(problem$x, problem$z, q, problem$weights, problem$lasso_fold,
    n_threads = problem$how$n_threads)
  chosen <- first$i_min
  if (all(first$beta[, chosen] == 0)) {
    chosen <- which(colSums(first$beta != 0) > 0)[1]
    problem$none_selected <- TRUE
  }
  if (is.na(chosen)) {
    stop_mrl("underidentified", "No instrument shifts the exposure.")
  }
  b <- first$beta[, chosen]
  columns <- split_columns(problem$z)[b != 0]
  problem$x_lasso <- drop(do.call(cbind, columns) %*% b[b != 0])
  problem$z <- columns
  problem$n_instruments <- length(columns)
  problem$selected <- which(b != 0)
  problem
}

# 1, two-stage least squares, where the instruments contradict each other at the 5 % level (the test
# of Anderson & Rubin 1950): Fuller's estimator then goes astray by far the more.
fuller_kappa <- function(without, with, weights, df, df_over, fuller) {
  root <- if (is.null(weights)) 1 else sqrt(weights)
  a <- crossprod(without * root)
  b <- crossprod(with * root)
  ratio <- tryCatch(min(Re(eigen(solve(b, a), only.values = TRUE)$values)),
    error = function(e) 1
  )
  if (df_over > 0 && df * (ratio - 1) > stats::qchisq(0.95, df_over)) {
    return(1)
  }
  max(ratio, 1) - fuller / max(df, 1)
}

# How much more the instruments do in each context, as a multiple of their mean effect; at least a
# tenth of it.
strength_by_context <- function(problem, q, s) {
  dictionary <- problem$dictionary
  fit <- run_slopes(problem, problem$x, s, s, s, q, dictionary$columns, dictionary$own_group)
  pmax(slopes_at(fit, dictionary$columns), 0.1)
}

# The instrument of the average slope: s over its variance given the context, where that depends on
# it by the Bayesian information criterion. With it, errors in the slopes' shape do not enter the
# average (Neyman orthogonality).
average_instrument <- function(problem, s) {
  d <- problem$dictionary$columns
  square <- s^2
  weights <- problem$weights
  mean_of <- function(v) if (is.null(weights)) mean(v) else stats::weighted.mean(v, weights)
  left <- regression_residuals(square, d, weights, problem$how$n_threads)
  ratio <- mean_of(left^2) / mean_of((square - mean_of(square))^2)
  n <- length(s)
  if (!is.finite(ratio) || n * log(ratio) + ncol(d) * log(n) >= 0) {
    return(s)
  }
  variance <- pmax(square - left, 0.1 * mean_of(square))
  s / variance * mean_of(square)
}

# The closed form of the core. shrink: TRUE, FALSE, or "null" for a constant slope.
run_slopes <- function(problem, y, x, s, a, q, f, group, shrink = TRUE, weights = problem$weights) {
  settings <- list(
    penalty = if (isFALSE(shrink)) 0L else 1L,
    charge = if (identical(shrink, "null")) Inf else log(problem$n_units),
    isa = isa_setting(), n_threads = problem$how$n_threads
  )
  data <- list(y = y, x = x, s = s, a = a, q = q, f = f, group = as.integer(group),
    weights = weights, cluster = problem$cluster)
  out <- .Call(C_iv_context_slope, data, settings)
  if (out$status == "singular") {
    stop_mrl("collinear", "The slopes cannot be told apart: the instruments do not shift the ",
      "exposure given the context, or columns of the context are nearly collinear.")
  }
  if (out$status == "too_few") {
    stop_mrl("data", "There are too few ", if (is.null(problem$cluster)) "rows" else "clusters",
      " for the number of main effects and slopes.")
  }
  check_status(out$status, "fitting the slopes")
  value <- out$value
  names(value$numbers) <- c("statistic", "df", "b_null", "se_null", "se_average", "strength")
  value
}

slopes_at <- function(fit, f) {
  drop(fit$coef[1] + sweep(f, 2, fit$center) %*% fit$coef[-1])
}

# With the logit link, iterated least squares: each round has a working outcome and weights, so
# that its scores are those of the likelihood. The exposure is what instruments predict of it.
fit_slopes <- function(problem, stage, q, f, group, shrink = TRUE) {
  if (problem$how$link == "identity") {
    x <- if (isFALSE(shrink)) problem$x else problem$x_slope
    return(run_slopes(problem, problem$y, x, stage$s, stage$a, q, f, group, shrink))
  }
  eta <- rep(stats::qlogis(mean(problem$y)), length(problem$y))
  weights <- if (is.null(problem$weights)) rep(1, length(eta)) else problem$weights
  for (round in seq_len(25L)) {
    p <- pmin(pmax(stats::plogis(eta), 1e-8), 1 - 1e-8)
    working <- eta + (problem$y - p) / (p * (1 - p))
    s <- stage$projection
    fit <- run_slopes(problem, working, s, s, s, q, f, group, shrink, weights * p * (1 - p))
    fresh <- working - fit$residual
    move <- max(abs(fresh - eta))
    eta <- fresh
    if (move < 1e-8) {
      break
    }
  }
  if (move > 1e-4) {
    warn_mrl("no_converge", "The logistic regression did not converge: the outcome may be ",
      "separated by the context.")
  }
  fit$eta <- eta
  fit$work_weights <- p * (1 - p)
  fit
}

# What the nets learn from: the residual of a fit, and the instrument, standardised.
training_columns <- function(problem, stage, fit) {
  s <- stage$projection
  sd_s <- sqrt(mean(s^2))
  sd_e <- sqrt(mean(fit$residual^2))
  if (!is.null(fit$work_weights)) { # working residuals vary as their weights say
    sd_e <- sqrt(mean(fit$work_weights * fit$residual^2) / mean(fit$work_weights))
  }
  weights <- problem$weights
  if (!is.null(fit$work_weights)) {
    weights <- (if (is.null(weights)) 1 else weights) * fit$work_weights
  }
  list(e = fit$residual / sd_e, s = s / sd_s, slope_scale = sd_e / sd_s, offset_scale = sd_e,
    weights = weights)
}

# Batches are those of all rows of the fit (how$n_rows), also for replicates, which draw fewer.
net_settings <- function(how, n_nets, n_units = 0L) {
  control <- nn_settings(how$control, how$n_rows)
  control$hidden <- how$control$hidden[[2]]
  c(control, list(
    kind = match(how$encoder, c("mlp", "additive", "archetypes")) - 1L,
    archetypes = how$archetypes, slope_l1 = how$penalty[["slope_l1"]],
    slope_l2 = how$penalty[["slope_l2"]], offset_l1 = how$penalty[["offset_l1"]],
    offset_l2 = how$penalty[["offset_l2"]], validation = how$control$validation,
    n_nets = n_nets, n_units = n_units, seed = how$seed, n_threads = how$n_threads,
    isa = isa_setting(), members = FALSE
  ))
}

# Trains the nets: one per fold, and for archetypes one on all rows. Returns their weights, and
# what each says of the rows of its fold.
train_nets <- function(problem, columns) {
  how <- problem$how
  n_nets <- how$n_folds + (how$encoder == "archetypes")
  settings <- net_settings(how, n_nets, problem$n_units)
  out <- .Call(C_iv_context_train, problem$context, columns$e, columns$s, problem$fold,
    problem$unit, columns$weights, settings)
  if (out$status == "too_few") {
    stop_mrl("data", "There are too few rows for ", how$n_folds, " folds.")
  }
  check_status(out$status, "training the networks")
  nets <- out$value
  nets$slope_scale <- columns$slope_scale
  nets$offset_scale <- columns$offset_scale
  nets
}

# (n, width) of net m: offsets first, then slopes, in units of the data.
predict_net <- function(nets, m, context, how, members = FALSE) {
  settings <- net_settings(how, 1L)
  settings$members <- members
  out <- .Call(C_iv_context_predict, context, nets$params[, m], nets$statistics[, m], settings)
  check_status(out$status, "evaluating the networks")
  if (members) {
    return(out$value)
  }
  half <- ncol(out$value) / 2
  list(offset = out$value[, seq_len(half), drop = FALSE] * nets$offset_scale,
    slope = out$value[, half + seq_len(half), drop = FALSE] * nets$slope_scale)
}

# Of the net that has not seen the row.
out_of_fold <- function(nets, problem) {
  parts <- lapply(seq_len(problem$how$n_folds), function(m) {
    predict_net(nets, m, problem$context[problem$fold == m, , drop = FALSE], problem$how)
  })
  gather <- function(what) {
    out <- matrix(0, nrow(problem$context), ncol(parts[[1]][[what]]))
    for (m in seq_along(parts)) {
      out[problem$fold == m, ] <- parts[[m]][[what]]
    }
    out
  }
  list(offset = gather("offset"), slope = gather("slope"))
}

# What people are told: the mean over the nets of the folds; of archetypes the one net of all rows.
ensemble <- function(nets, context, how) {
  if (how$encoder == "archetypes") {
    return(predict_net(nets, how$n_folds + 1L, context, how))
  }
  parts <- lapply(seq_len(how$n_folds), function(m) predict_net(nets, m, context, how))
  list(offset = Reduce(`+`, lapply(parts, `[[`, "offset")) / how$n_folds,
    slope = Reduce(`+`, lapply(parts, `[[`, "slope")) / how$n_folds)
}

# Columns that vary and are not spanned by those before them, given base columns.
independent_columns <- function(base, columns) {
  sd <- apply(columns, 2, stats::sd)
  alive <- which(is.finite(sd) & sd > 1e-8 * max(sd, 0))
  if (!length(alive) || max(sd) == 0) {
    return(integer())
  }
  scaled <- scale(columns[, alive, drop = FALSE], scale = sd[alive])
  decomposed <- qr(cbind(1, base, scaled), tol = 1e-4)
  at <- decomposed$pivot[seq_len(decomposed$rank)] - ncol(base) - 1L
  alive[sort(at[at > 0L])]
}

# All steps on the rows of a problem. Returns what predictions need and what is told of the fit.
contextual_estimate <- function(problem) {
  how <- problem$how
  linear <- problem$context
  has_net <- how$encoder != "linear" && how$stage2 == "contextual"
  base <- problem$dictionary
  if (how$encoder %in% c("linear", "archetypes")) {
    base <- list(columns = linear, own_group = problem$group)
  }
  q <- cbind(problem$w, if (has_net) problem$dictionary$columns else linear)
  problem$x_slope <- regression_residuals(problem$x, q, problem$weights, how$n_threads)
  if (how$stage1 == "lasso") {
    problem <- select_instruments(problem, q)
  }
  stage <- first_stage(problem, q)
  stage$a <- average_instrument(problem, stage$s)
  shrink <- if (how$stage2 == "constant") "null" else how$shrink
  if (!has_net) {
    if (isFALSE(shrink)) { # the classical one: products of the whole fitted exposure
      stage$s <- stage$a <- stage$s + problem$x - problem$x_slope
    }
    fit <- fit_slopes(problem, stage, q, linear, problem$group, shrink)
    return(c(list(fit = fit, q = q, stage = stage, f = linear, group = problem$group,
      selected = problem$selected, none_selected = problem$none_selected),
      contextual_test(problem, NULL)))
  }
  first <- fit_slopes(problem, stage, q, base$columns, base$own_group,
    if (how$encoder == "archetypes") "null" else TRUE)
  nets <- train_nets(problem, training_columns(problem, stage, first))
  oof <- out_of_fold(nets, problem)
  offset <- rowSums(oof$offset)
  if (length(independent_columns(q, cbind(offset)))) {
    q <- cbind(q, offset)
    stage <- first_stage(problem, q)
    stage$a <- average_instrument(problem, stage$s)
    nets$has_offset <- TRUE
  } else {
    nets$has_offset <- FALSE
  }
  if (how$encoder == "archetypes") {
    base <- list(columns = linear[, 0L, drop = FALSE], own_group = integer())
  }
  nets$kept <- independent_columns(base$columns, oof$slope)
  if (!ncol(base$columns) && !length(nets$kept)) { # the nets have found nothing that varies
    base <- list(columns = linear, own_group = problem$group)
    shrink <- "null"
  }
  nets$n_base <- ncol(base$columns)
  nets$bends <- problem$bends
  f <- cbind(base$columns, oof$slope[, nets$kept, drop = FALSE])
  group <- c(base$own_group, max(base$own_group, 0L) + seq_along(nets$kept))
  fit <- fit_slopes(problem, stage, q, f, group, shrink)
  told <- ensemble(nets, linear, how)
  nets$offset_shift <- mean(offset) - mean(rowSums(told$offset))
  extra <- nets$n_base + seq_along(nets$kept)
  means <- colMeans(told$slope[, nets$kept, drop = FALSE])
  if (!is.null(problem$weights)) {
    means <- colSums(told$slope[, nets$kept, drop = FALSE] * problem$weights) /
      sum(problem$weights)
  }
  fit$center[extra] <- means
  c(list(fit = fit, q = q, stage = stage, f = f, nets = nets, group = group,
    selected = problem$selected, none_selected = problem$none_selected),
    contextual_test(problem, if (nets$has_offset) offset))
}

# The score test of a constant slope on linear and squared context, by term and together, the same
# functions and what the nets found being main effects.
contextual_test <- function(problem, offset) {
  d <- problem$dictionary
  q <- cbind(problem$w, d$columns, offset)
  projection <- first_stage(problem, q)
  projection$a <- projection$s
  fit <- fit_slopes(problem, projection, q, d$columns, d$group, "null")
  terms <- c("(all)", problem$term_names)
  statistic <- c(fit$numbers[["statistic"]], fit$group_statistic)
  df <- c(fit$numbers[["df"]], fit$group_df)
  list(test = data.frame(term = terms, statistic = statistic, df = df,
    p.value = stats::pchisq(statistic, df, lower.tail = FALSE)))
}

# Features of the slope, and offset of the nets, for rows of standardised context.
slope_features <- function(estimate, context, how) {
  if (is.null(estimate$nets)) {
    return(list(f = context, offset = NULL, squares = NULL))
  }
  nets <- estimate$nets
  told <- ensemble(nets, context, how)
  list(
    f = cbind(context_base(context, nets$bends)[, seq_len(nets$n_base), drop = FALSE],
      told$slope[, nets$kept, drop = FALSE]),
    offset = if (nets$has_offset) rowSums(told$offset) + nets$offset_shift,
    squares = context[, nets$bends, drop = FALSE]^2
  )
}

# Slopes of rows of standardised context, with standard errors of the closed form.
slope_table <- function(estimate, context, how) {
  fit <- estimate$fit
  f <- sweep(slope_features(estimate, context, how)$f, 2, fit$center)
  rows <- cbind(1, f)
  data.frame(estimate = drop(rows %*% fit$coef),
    std.error = sqrt(pmax(rowSums((rows %*% fit$vcov) * rows), 0)))
}
