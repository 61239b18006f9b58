# The second stage of proportional hazards: survival::coxph(), refitted in R for each replicate.

# What core_stage() returns, for a Cox model: no constant, no index of the outcome's scale.
cox_stage <- function(frame, r, exposure, residual, how, terms) {
  weights <- frame$weights
  centre <- colMeans_weighted(cf_columns(r, residual), weights)
  basis <- cf_columns(frame$x[, 1], exposure)
  stage_columns <- function(r) {
    columns <- cbind(frame$w, basis, sweep(cf_columns(r, residual), 2, centre))
    dimnames(columns) <- list(NULL, unlist(terms, use.names = FALSE))
    columns
  }
  columns <- stage_columns(r)
  fit <- cox_regression(frame$y, columns, weights)
  k <- length(terms$covariates) + length(terms$exposure)
  at <- k + seq_along(terms$residual)
  r_part <- drop(columns[, at, drop = FALSE] %*% fit$coefficients[at])
  index <- r_part + if (ncol(frame$w)) {
    drop(frame$w %*% fit$coefficients[seq_len(ncol(frame$w))])
  } else {
    0
  }
  boot <- NULL
  if (how$n_boot > 0L) {
    boot <- list(coef = cox_replicates(frame, stage_columns, how))
  }
  list(
    coef = unname(fit$coefficients), mean = colMeans_weighted(frame$w, weights), index = index,
    residual = r, boot = boot, naive = unname(fit$var), df = Inf, martingale = fit$residuals
  )
}

# y: times, negative where censored.
cox_regression <- function(y, columns, weights) {
  data <- list(outcome = survival::Surv(abs(y), y > 0), columns = columns)
  data$weights <- if (is.null(weights)) rep(1, length(y)) else weights
  fit <- withCallingHandlers(
    survival::coxph(outcome ~ columns, data = data, weights = weights, model = FALSE),
    warning = function(w) {
      if (grepl("infinite|converge", conditionMessage(w))) {
        stop_mrl("separated", "The Cox regression of the outcome does not converge: some ",
          "combination of exposure, covariates and residual orders the events perfectly.")
      }
    }
  )
  if (anyNA(fit$coefficients)) {
    stop_mrl("collinear", "Exposure, covariates and residual are collinear in the second stage.")
  }
  fit
}

# Coefficients (k, replicates) of the replicates that could be estimated.
cox_replicates <- function(frame, stage_columns, how) {
  n <- length(frame$y)
  group <- if (is.null(frame$cluster)) seq_len(n) else frame$cluster
  groups <- max(group)
  design <- cbind(1, frame$w, do.call(cbind, frame$z))
  weights <- if (is.null(frame$weights)) rep(1, n) else frame$weights
  one <- function(b) {
    drawn <- rng_draw("below", groups, how$seed, b - 1, groups, purpose = "bootstrap")
    count <- weights * tabulate(drawn + 1, groups)[group]
    rows <- which(count > 0)
    first <- stats::lm.wfit(design[rows, , drop = FALSE], frame$x[rows, 1], count[rows])
    r <- numeric(n)
    r[rows] <- first$residuals
    tryCatch(
      unname(cox_regression(frame$y[rows], stage_columns(r)[rows, , drop = FALSE],
        count[rows])$coefficients),
      mrlearn_error = function(e) NULL
    )
  }
  runs <- lapply_jobs(seq_len(how$n_boot), one, workers = how$workers,
    chunk = ceiling(how$n_boot / 20), doing = "refitting bootstrap samples")
  good <- keep_replicates(!vapply(runs, is.null, NA), how$n_boot)
  do.call(cbind, runs[good])
}
