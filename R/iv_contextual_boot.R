# The bootstrap of iv_contextual(): rows, or whole clusters, are drawn with replacement and all
# steps are done again, training included.

# One estimate per replicate, in the light form, and the average slopes. A draw is expressed by how
# often each unit came: rows drawn twice stay in one fold and do not tell a network of themselves.
contextual_bootstrap <- function(problem, n_boot) {
  if (on_futures("auto")) {
    problem$how$n_threads <- 1L
  }
  one <- function(b) {
    drawn <- rng_draw("below", problem$n_units, seed = problem$how$seed, stream = b,
      parameter = problem$n_units, purpose = "bootstrap")
    count <- tabulate(drawn + 1, problem$n_units)
    tryCatch(
      suppressWarnings(light_estimate(contextual_estimate(drawn_problem(problem, count))),
        classes = "mrlearn_warning"),
      mrlearn_error = function(e) NULL
    )
  }
  estimates <- lapply_jobs(seq_len(n_boot), one, chunk = ceiling(n_boot / 20),
    doing = "refitting bootstrap samples")
  estimates <- estimates[!vapply(estimates, is.null, NA)]
  failed <- n_boot - length(estimates)
  if (length(estimates) < 2L) {
    stop_mrl("numeric", "Of ", n_boot, " bootstrap replicates ", failed, " failed.")
  }
  if (failed) {
    warn_mrl("bootstrap", failed, " of ", n_boot, " bootstrap replicates failed and are left out.")
  }
  list(estimates = estimates, average = vapply(estimates, function(e) e$fit$coef[1], 0))
}

# The rows that came, weighted by how often.
drawn_problem <- function(problem, count) {
  times <- count[problem$unit]
  rows <- which(times > 0L)
  for (name in c("y", "x", "unit", "fold", "lasso_fold")) {
    problem[[name]] <- problem[[name]][rows]
  }
  for (name in c("w", "context")) {
    problem[[name]] <- problem[[name]][rows, , drop = FALSE]
  }
  problem$dictionary$columns <- problem$dictionary$columns[rows, , drop = FALSE]
  problem$z <- lapply(problem$z, function(v) {
    if (is.null(dim(v))) v[rows] else v[rows, , drop = FALSE]
  })
  problem$weights <- times[rows] * (if (is.null(problem$weights)) 1 else problem$weights[rows])
  problem$weights <- as.double(problem$weights)
  if (!is.null(problem$cluster)) {
    problem$cluster <- match(problem$cluster[rows], unique(problem$cluster[rows]))
  }
  problem
}

# Slopes of rows of standardised context in each replicate, (rows, replicates).
bootstrap_slopes <- function(fit, context) {
  vapply(fit$boot$estimates, function(e) {
    slope_table(e, context, fit$how)$estimate
  }, numeric(nrow(context)))
}
