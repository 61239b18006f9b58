# One run of a sweep: what its row is made into, the fit, what is recorded.

# The arguments of a row by where they go: list(method, data, fit, control).
route_row <- function(row, spec) {
  method <- if (is.null(row$method)) spec$method else row$method
  known <- iv_methods()
  fun <- known$fun[match(check_choice(method, known$method, "method"), known$method)]
  takes <- names(formals(get(fun, envir = topenv(), mode = "function")))
  gives <- if (is.function(spec$data)) names(formals(spec$data))
  settings <- names(formals(nn_control))
  parts <- list(fun = fun, data = list(), fit = list(), control = list())
  for (name in setdiff(names(row), c("run", "seed", "method", spec$labels))) {
    value <- row[[name]]
    if (length(value) == 1L && is.atomic(value) && is.na(value)) next
    if (name == "data_seed" && "seed" %in% gives) {
      parts$data$seed <- value
    } else if (name %in% gives) {
      parts$data[[name]] <- value
    } else if (name %in% takes) {
      parts$fit[[name]] <- value
    } else if ("control" %in% takes && name %in% settings) {
      parts$control[[name]] <- value
    } else if (!identical(gives, "row")) {
      stop_argument(name, paste0("must be an argument of ", fun, "()",
        if ("control" %in% takes) ", of nn_control()", if (length(gives)) " or of `data`"), "none")
    }
  }
  if (identical(gives, "row")) {
    parts$data <- list(row = row)
  }
  if ("seed" %in% takes) {
    parts$fit$seed <- row$seed
  }
  if ("progress" %in% takes) {
    parts$fit$progress <- FALSE
  }
  parts
}

# A row of the design as a list; columns of lists give their element.
design_row <- function(design, run) {
  i <- match(run, design$run)
  if (is.na(i)) {
    stop_mrl("argument", "The sweep's design has no run ", format(run), ".")
  }
  lapply(unclass(design)[names(design)], function(column) column[[i]])
}

# What can be known to be wrong before anything is run.
check_sweep <- function(spec) {
  run <- spec$design$run
  if (!is.numeric(run) || !all(is.finite(run)) || any(run != round(run) | abs(run) > 1e9)) {
    stop_argument("design", "must have whole numbers of runs", describe(run))
  }
  if (is.null(spec$data) || !is.data.frame(spec$data) && !is.function(spec$data)) {
    stop_argument("data", "must be a data.frame or a function that returns one",
      describe(spec$data))
  }
  if (!is.null(spec$measure) && !is.function(spec$measure)) {
    stop_argument("measure", "must be NULL or a function", describe(spec$measure))
  }
  if (!is.null(spec$formula)) {
    if (!inherits(spec$formula, "formula")) {
      stop_argument("formula", "must be a formula such as y ~ x | z", describe(spec$formula))
    }
    environment(spec$formula) <- globalenv()
  }
  if (is.null(spec$method) && is.null(spec$design$method)) {
    stop_argument("method", "must be given where the design has no column `method`", "NULL")
  }
  if (!is.null(spec$truth)) {
    spec$truth <- check_truth_curve(spec$truth)
  }
  spec$labels <- attr(spec$design, "labels")
  for (run in spec$design$run) {
    row <- design_row(spec$design, run)
    if (!is.null(spec$halving)) {
      row[[spec$halving$parameter]] <- spec$halving$from
    }
    parts <- route_row(row, spec)
    check_fixed_arguments(spec$arguments, parts)
    if (length(parts$control)) {
      row_control(parts$control, spec$arguments$control)
    }
  }
  if (is.data.frame(spec$data)) {
    people_and_formula(spec$data, spec$formula)
  }
  spec
}

check_fixed_arguments <- function(arguments, parts) {
  if (length(arguments) && (is.null(names(arguments)) || any(names(arguments) == ""))) {
    stop_argument("...", "must be named arguments of the estimators", "an unnamed one")
  }
  call <- as.call(c(list(as.name(parts$fun)), lapply(arguments, function(x) NULL)))
  check_argument_names(call, parts$fun)
  taken <- intersect(names(arguments), c(names(parts$fit), "formula", "data"))
  if (length(taken)) {
    stop_argument(taken[1], "must not be given in `...`: it is the sweep's", "it")
  }
}

# nn_control() with a row's settings, or those on top of a given one.
row_control <- function(settings, base) {
  if (is.null(base) || !is.null(settings$preset)) {
    return(do.call(nn_control, settings))
  }
  base <- unclass(check_control(base))
  base[names(settings)] <- settings
  check_nn_values(base)
}

# Simulated people have a formula of their own. Variables that are not there are told apart from
# what the estimator would say.
people_and_formula <- function(data, formula) {
  if (is.null(formula)) {
    z <- if (inherits(data, "mr_sim")) truth(data)$instruments
    if (is.null(z) || !all(c("Y", "X") %in% names(data))) {
      stop_argument("formula", "must be given unless the data are simulated, with Y and X", "NULL")
    }
    data$instruments <- as.matrix(drop_truth(data)[z])
    formula <- stats::as.formula("Y ~ X | instruments", env = globalenv())
  }
  absent <- setdiff(all.vars(formula), c(names(data), "."))
  if (length(absent)) {
    stop_argument("data", paste("must have the columns", shorten(all.vars(formula))),
      paste("none named", shorten(absent)), what = "data")
  }
  list(data = data, formula = formula)
}

# The job of lapply_jobs(): a run and all its files. Returns nothing: what counts lies on disk.
run_one <- function(item, dir) {
  if (file.exists(run_file(dir, item$run, item$rung))) {
    return(NULL)
  }
  spec <- sweep_spec(dir)
  started <- proc.time()[["elapsed"]]
  log <- open_log(run_file(dir, item$run, item$rung, "log"))
  on.exit(log$close())
  heard <- character()
  failure <- NULL
  out <- tryCatch(
    withCallingHandlers(attempt_run(spec, item),
      warning = function(w) {
        heard <<- union(heard, class(w)[1])
        log$say("warning: ", conditionMessage(w))
        invokeRestart("muffleWarning")
      },
      message = function(m) {
        log$say(conditionMessage(m))
        invokeRestart("muffleMessage")
      }
    ),
    error = function(e) failure <<- e
  )
  record <- list(run = item$run, rung = item$rung,
    status = if (is.null(failure)) "ok" else "failed",
    error = if (!is.null(failure)) class(failure)[1] else "",
    message = if (!is.null(failure)) first_line(conditionMessage(failure)) else "",
    warnings = paste(heard, collapse = " "))
  if (is.null(failure)) {
    record <- c(record, out$metrics)
    if (spec$keep) {
      replace_rds(out$fit, run_file(dir, item$run, item$rung, "rds", "fit"))
    }
  } else {
    log$say("error: ", conditionMessage(failure))
  }
  record$seconds <- proc.time()[["elapsed"]] - started
  write_record(record, spec, dir)
  NULL
}

# What is recorded of a run whose worker died twice.
record_death <- function(item, dir) {
  record <- list(run = item$run, rung = item$rung, status = "failed",
    error = "mrlearn_error_worker", message = "Two workers died at this run.", warnings = "",
    seconds = NA_real_)
  write_record(record, sweep_spec(dir), dir)
  NULL
}

# The fit of a run and its numbers.
attempt_run <- function(spec, item) {
  row <- design_row(spec$design, item$run)
  if (!is.null(item$budget)) {
    row[[spec$halving$parameter]] <- item$budget
  }
  parts <- route_row(row, spec)
  data <- if (is.function(spec$data)) do.call(spec$data, parts$data, quote = TRUE) else spec$data
  if (!is.data.frame(data)) {
    stop_argument("data", "must return a data.frame", describe(data))
  }
  curve <- spec$truth
  if (is.null(curve) && inherits(data, "mr_sim")) {
    curve <- truth(data)$curve
  }
  ready <- people_and_formula(data, spec$formula)
  held <- held_rows(nrow(data), spec$calibration, attr(spec$design, "design_seed"))
  people <- if (length(held)) ready$data[-held, , drop = FALSE] else ready$data
  fit <- fit_row(parts, spec, people, ready$formula)
  rest <- if (length(held)) ready$data[held, , drop = FALSE]
  metrics <- c(
    estimate_of(fit), loss = validation_loss(fit), width = conformal_width(fit, rest, spec, row),
    curve_metrics(fit, curve, spec$domain)
  )
  if (!is.null(spec$measure)) {
    metrics <- c(metrics, check_measured(spec$measure(fit, data)))
  }
  list(fit = fit, metrics = as.list(metrics))
}

# The call has symbols for what is large, as a user's would.
fit_row <- function(parts, spec, people, formula) {
  arguments <- c(parts$fit, spec$arguments[setdiff(names(spec$arguments), "control")])
  control <- spec$arguments$control
  if (length(parts$control)) {
    control <- row_control(parts$control, control)
  }
  env <- new.env(parent = asNamespace("mrlearn"))
  env$formula <- formula
  env$data <- people
  env$control <- control
  call <- c(list(as.name(parts$fun), formula = quote(formula), data = quote(data)), arguments,
    if (!is.null(control)) list(control = quote(control)))
  eval(as.call(call), env)
}

# Rows kept for calibration: the same for all runs on as many rows.
held_rows <- function(n, share, seed) {
  if (share == 0) {
    return(integer())
  }
  rng_draw("permutation", n, seed, 0)[seq_len(round(share * n))] + 1
}

estimate_of <- function(fit) {
  at <- fit$exposures[1]
  se <- tryCatch(sqrt(diag(as.matrix(vcov(fit)))[[at]]), error = function(e) NA_real_)
  value <- tryCatch(coef(fit)[[at]], error = function(e) NA_real_)
  c(estimate = value, std.error = se)
}

# The lowest loss of the outcome network on the rows held out.
validation_loss <- function(fit) {
  history <- fit$history
  loss <- history$validation[history$stage == "outcome"]
  if (any(is.finite(loss))) min(loss, na.rm = TRUE) else NA_real_
}

conformal_width <- function(fit, rest, spec, row) {
  if (!NROW(rest)) {
    return(NA_real_)
  }
  or_not_there("width", NA_real_, {
    band <- conformal(fit, rest, method = spec$interval, conf_level = 0.9, seed = row$seed)
    ends <- stats::predict(band, rest)
    mean(ends$upper - ends$lower)
  })
}

# What a fit does not have is NA, and told.
or_not_there <- function(what, otherwise, value) {
  tryCatch(value, mrlearn_error = function(e) {
    warn_mrl("metric", "no `", what, "`: ", conditionMessage(e))
    otherwise
  })
}

curve_metrics <- function(fit, curve, domain) {
  names <- c("mse", "bias", "coverage", "simultaneous", "width", "interval_score",
    "derivative_error")
  out <- stats::setNames(rep(NA_real_, length(names)), names)
  if (!is.null(curve)) {
    out <- or_not_there("mse", out, {
      row <- suppressWarnings(evaluate(fit, curve, domain = domain), classes = "mrlearn_warning")
      vapply(row[names], as.double, 0)
    })
  }
  names(out)[names == "width"] <- "curve_width"
  out
}

check_measured <- function(value) {
  if (!is.numeric(value) || is.null(names(value)) || anyDuplicated(names(value))) {
    stop_argument("measure", "must return named numbers", describe(value))
  }
  value
}
