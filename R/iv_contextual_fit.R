# The fitted object of iv_contextual(), from what its steps found.

# The intercept of the outcome at exposure 0 as a function of main effects q, given the slopes.
intercept_coefficients <- function(estimate, problem, slope) {
  if (problem$how$link == "logit") {
    return(estimate$fit$mu)
  }
  out <- linear_core(problem$y - slope * problem$x, estimate$q, weights = problem$weights,
    n_threads = problem$how$n_threads)
  check_status(out$status, "fitting the intercepts")
  coef <- out$value$coef
  replace(coef, is.na(coef), 0)
}

# Of linear two-stage least squares with the context as covariates, and of the slopes.
contextual_diagnostics <- function(estimate, problem, frame, call) {
  linear <- empty_diagnostics()
  if (problem$how$stage1 != "none") {
    with_context <- frame
    with_context$w <- cbind(frame$w, problem$context)
    colnames(with_context$w) <- make.unique(c(colnames(frame$w),
      paste0("context", seq_len(ncol(problem$context)))))
    if (!is.null(estimate$selected)) {
      with_context$z_keep <- estimate$selected
      with_context$z_names <- frame$z_names[estimate$selected]
    }
    vcov <- if (is.null(frame$cluster)) "HC1" else "cluster"
    linear <- tryCatch(
      suppressMessages(
        fit_linear(with_context, vcov, "2SLS", "iv_2sls", call, FALSE,
          problem$how$n_threads)$diagnostics,
        classes = "mrlearn_message_collinear"
      ),
      mrlearn_error = function(e) empty_diagnostics()
    )
  }
  test <- estimate$test[1, ]
  rbind(linear, data.frame(diagnostic = "Heterogeneity", df1 = test$df, df2 = NA_real_,
    statistic = test$statistic, p.value = test$p.value, critical = NA_real_))
}

# What each feature of the slope contributes.
slope_coefficients <- function(estimate, problem, design) {
  fit <- estimate$fit
  p <- length(fit$coef) - 1L
  nets <- estimate$nets
  term <- design$term_names[problem$group]
  names <- design$names
  if (!is.null(nets)) {
    linear <- seq_len(nets$n_base)
    bends <- nets$bends
    term <- c(term, design$term_names[problem$group[bends]])
    names <- c(names, if (length(bends)) paste0(names[bends], "^2"))
    of_net <- if (problem$how$encoder == "additive") {
      design$names[nets$kept]
    } else {
      rep("context", length(nets$kept))
    }
    term <- c(term[linear], of_net)
    names <- c(names[linear], if (length(nets$kept)) paste0("network(", of_net, ")"))
  }
  data.frame(feature = names[seq_len(p)], term = term[seq_len(p)], estimate = fit$coef[-1],
    std.error = sqrt(pmax(diag(fit$vcov)[-1], 0)),
    prior.sd = sqrt(fit$variance[estimate$group]))
}

# The slope of each archetype and its share among people. A slope is a constant and the shares times
# the archetypes' slopes; shares sum to 1, so the constant is the archetypes' own.
archetype_table <- function(estimate, problem, slopes) {
  if (problem$how$encoder != "archetypes" || is.null(estimate$nets)) {
    return(NULL)
  }
  shares <- predict_net(estimate$nets, problem$how$n_folds + 1L, problem$context, problem$how,
    members = TRUE)
  weights <- if (is.null(problem$weights)) rep(1, nrow(shares)) else problem$weights
  data.frame(archetype = seq_len(ncol(shares)), slope = unname(qr.coef(qr(shares), slopes)),
    share = colSums(shares * weights) / sum(weights))
}

# What is kept of an estimate to predict from.
light_estimate <- function(estimate, intercept = NULL) {
  list(fit = estimate$fit[c("coef", "vcov", "center")], nets = estimate$nets,
    intercept = intercept)
}

tell_training <- function(nets) {
  if (is.null(nets)) {
    return(invisible())
  }
  diverged <- sum(nets$stop == 3L)
  if (diverged) {
    warn_mrl("diverged", "The training of ", diverged, " of ", length(nets$stop), " networks ",
      "diverged: their last finite weights are used. Lower `learning_rate`.")
  }
}

contextual_history <- function(nets, how) {
  if (is.null(nets)) {
    return(NULL)
  }
  tables <- lapply(seq_along(nets$epochs), function(m) {
    done <- seq_len(nets$epochs[m])
    values <- matrix(nets$history[, m], nrow = 3)[, done, drop = FALSE]
    data.frame(stage = rep(if (m > how$n_folds) "all rows" else paste("fold", m), length(done)),
      epoch = done, train = values[1, ], validation = values[2, ], learning_rate = values[3, ])
  })
  out <- do.call(rbind, tables)
  out$validation[is.nan(out$validation)] <- NA_real_
  out
}

new_contextual_fit <- function(estimate, problem, frame, design, call, model) {
  how <- problem$how
  if (isTRUE(estimate$none_selected)) {
    warn_mrl("nothing_selected", "The LASSO selected no instrument at the penalty of least error; ",
      "the first to enter are used. The instruments may be too weak.")
  }
  tell_training(estimate$nets)
  exposure <- colnames(frame$x)
  slopes <- slope_table(estimate, problem$context, how)
  intercept <- intercept_coefficients(estimate, problem, slopes$estimate)
  told <- slope_features(estimate, problem$context, how)
  at <- drop(cbind(1, problem$w, problem$context, told$squares, told$offset) %*% intercept)
  fitted <- if (how$link == "logit") {
    stats::plogis(estimate$fit$eta)
  } else {
    at + slopes$estimate * problem$x
  }
  numbers <- estimate$fit$numbers
  weights <- if (is.null(frame$weights)) rep(1, length(fitted)) else frame$weights
  n <- length(frame$y)
  keep <- c("terms", "formula", "contrasts", "xlevels", "center", "scale", "names", "group",
    "term_names")
  fit <- list(
    coefficients = stats::setNames(estimate$fit$coef[1], exposure),
    vcov = matrix(numbers[["se_average"]]^2, 1, 1, dimnames = list(exposure, exposure)),
    residuals = name_rows(frame$y - fitted, frame$row_names),
    fitted.values = name_rows(fitted, frame$row_names),
    slopes = slopes$estimate, slope_coefficients = slope_coefficients(estimate, problem, design),
    archetypes = archetype_table(estimate, problem, slopes$estimate), tests = estimate$test,
    constant = c(estimate = numbers[["b_null"]], std.error = numbers[["se_null"]]),
    diagnostics = contextual_diagnostics(estimate, problem, frame, call),
    estimate = light_estimate(estimate, intercept), kappa = estimate$stage$kappa,
    history = contextual_history(estimate$nets, how),
    context = c(design[keep], list(data = if (model) design$data,
      columns = if (model) design$columns)),
    w_mean = if (ncol(problem$w)) colSums(problem$w * weights) / sum(weights) else numeric(),
    x_mean = sum(weights * problem$x) / sum(weights),
    x_mean_slope = sum(weights * slopes$estimate * problem$x) / sum(weights),
    x_range = range(problem$x),
    sigma = sqrt(sum(weights * (frame$y - fitted)^2) / sum(weights)),
    df.residual = n - length(estimate$fit$coef) - ncol(estimate$q) - 1,
    df_test = if (is.null(frame$cluster)) {
      n - length(estimate$fit$coef) - ncol(estimate$q) - 1
    } else {
      frame$n_cluster - 1
    },
    nobs = n, estimator = "Contextual slopes", encoder = how$encoder, stage1 = how$stage1,
    stage2 = how$stage2, link = how$link,
    vcov_type = if (is.null(frame$cluster)) "HC1" else "cluster",
    outcome = frame$outcome, exposures = exposure, covariates = colnames(frame$w),
    n_instruments = if (how$stage1 != "none") {
      if (is.null(estimate$selected)) length(frame$z_names) else length(estimate$selected)
    },
    instruments = if (how$stage1 != "none") {
      if (is.null(estimate$selected)) frame$z_names else frame$z_names[estimate$selected]
    },
    intercept = TRUE, how = how, seed = how$seed, control = how$control,
    weights = frame$weights, cluster = frame$cluster_name,
    n_cluster = if (!is.null(frame$cluster)) frame$n_cluster,
    dropped = list(rows = frame$dropped$text), na.action = na_record(frame$dropped),
    imputed = frame$imputed, design = frame$design, model = if (model) frame$model,
    formula = frame$formula, call = call, isa = isa_used()
  )
  fit <- structure(fit, class = c("iv_contextual", "iv_fit"))
  if (how$n_boot > 0L) {
    fit$boot <- contextual_bootstrap(problem, how$n_boot)
    fit$vcov[] <- stats::var(fit$boot$average, na.rm = TRUE)
    fit$vcov_type <- "bootstrap"
  }
  fit
}

#' @export
training_history.iv_contextual <- function(fit, ...) {
  check_no_dots(...)
  if (is.null(fit$history)) {
    stop_argument("fit", "must have an encoder that is trained", paste(fit$encoder, "encoder"))
  }
  fit$history
}
