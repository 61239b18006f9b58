# Sweeps: many fits, each recorded on disk, resumed where a kill left them.

#' Run a sweep
#'
#' Fits an estimator once for each row of a design and records each run in a directory, by itself
#' and whole or not at all. The same call after a crash, a kill or an error goes on: what is
#' finished is not computed again. The runs do not know of each other; where the best of many is
#' picked by how well it fits, its intervals are those of a fit that nobody chose, and too narrow.
#'
#' @section Where columns of the design go:
#' `method`: which estimator, by its name in [iv_methods()]. A column that is an argument of the
#' function `data` goes there (`data_seed` as its `seed`); else to the estimator; else, as a setting
#' of networks, into its `control` ([nn_control()]). A column that none of them has is an error, and
#' so is one that only some of the methods have: list it with the method, see [sweep_design()]. The
#' row's `seed` is that of the estimator.
#'
#' @section Recorded:
#' `estimate` and `std.error` of the first exposure (for curves the average derivative); `loss`, the
#' lowest loss of the outcome network on the rows held out; `width`, the mean width of 90 %
#' conformal prediction intervals ([conformal()]) at the rows that `calibration` keeps from the fit;
#' where the truth is known `mse, bias, coverage, simultaneous, curve_width, interval_score,
#' derivative_error` of the curve ([evaluate()]); what `measure` returns; `seconds`. What a fit does
#' not have is NA.
#'
#' A run that fails is recorded with the class of its error and its message, and the others go on.
#' `warnings` has the classes of warnings. What a run said is in its log.
#'
#' @section Files:
#' In `dir`: `sweep.rds`, what is run; for run 7 `run-000007.rds` and `run-000007.json`, its row,
#' `run-000007.log` and, with `keep`, `fit-000007.rds`, written first. `lock` is there while a
#' process is at work: a second one is refused, and the lock of a process of this machine that died
#' is taken over. All processes and workers must see the directory by the same path.
#'
#' @section Workers:
#' The plan of the package future says where runs go: in this session by default, to several with
#' `future::plan("multisession", workers = 2)`, to a cluster, to Slurm with future.batchtools and
#' `system.file("templates", "slurm.tmpl", package = "mrlearn")`. The results are the same. A run
#' whose worker dies is done once more and, if that one dies too, recorded as failed. With the
#' package progressr loaded progress goes through it. (The package future.batchtools keeps its own
#' files in the folder `.future` of the working directory.)
#'
#' @param design A [sweep_design()], or what [read_sweep_config()] returned, which has all the rest
#'   as well.
#' @param formula Formula of the estimators; its variables are looked for in the data alone. NULL
#'   with simulated data that have the columns `Y`, `X` and instruments: `Y ~ X | instruments`.
#' @param data A data.frame, or a function that returns one: simulated data ([truth()] of them is
#'   then the truth), by arguments that are columns of the design, or by the one argument `row`, a
#'   list of all of them.
#' @param method Name of the estimator where the design has no column `method`.
#' @param dir Directory of the results, made if its parent is there; NULL: one that is gone with the
#'   session.
#' @param ... Arguments of the estimators that are the same for all runs.
#' @param truth NULL, or the true curve, as in [evaluate()], where the data do not bring it.
#' @param domain Of the curve's errors: as in [evaluate()].
#' @param calibration Share of the rows that are kept from the fit for conformal intervals, at least
#'   0 and below 1. Which rows depends on the design's seed alone.
#' @param interval Conformal method: `"split"`, `"normalised"` or `"cqr"`.
#' @param measure NULL, or a function of a fit and the data that returns named numbers.
#' @param keep Keep the fits?
#' @param halving NULL, or [successive_halving()].
#' @param again Run those that failed once more?
#' @param workers As in [iv_quantile()].
#' @param progress Show a progress bar with the time left (never inside knitr)?
#' @return What [read_sweep()] gives for the directory. Errors: `mrlearn_error_argument`, before
#'   anything is run; `mrlearn_error_checkpoint` for the directory of another sweep;
#'   `mrlearn_error_locked` while another process is at work; `mrlearn_error_file` where the disk is
#'   full.
#' @seealso [sweep_design()], [best_fit()], [plot.sweep()].
#' @examples
#' sim <- sim_nonlinear(n = 500, n_variants = 3, seed = 1)
#' design <- sweep_design(learning_rate = c(1e-2, 3e-2), hidden = list(4, c(8, 4)), seed = 1)
#' sweep <- run_sweep(design, data = sim, method = "quantile", calibration = 0.2,
#'   control = nn_control(epochs = 5))
#' sweep
#' best_fit(sweep, by = "width")
#'
#' # A simulation study: rows say how the data are made
#' design <- sweep_design(method = c("ols", "2sls"), h2 = c(0.2, 0.5), data_seed = 1:2, seed = 1)
#' run_sweep(design, data = function(h2, seed) {
#'   sim_nonlinear(500, h2 = h2, f = "linear", seed = seed)
#' })
#' @export
run_sweep <- function(design, formula = NULL, data = NULL, method = NULL, dir = NULL, ...,
                      truth = NULL, domain = "range", calibration = 0,
                      interval = c("split", "normalised", "cqr"), measure = NULL, keep = TRUE,
                      halving = NULL, again = FALSE, workers = c("auto", "threads", "future"),
                      progress = interactive()) {
  if (inherits(design, "sweep_config")) {
    env <- parent.frame()
    given <- as.list(match.call())[-1]
    return(run_config(design, lapply(given[names(given) != "design"], eval, env)))
  }
  spec <- list(
    design = check_design(design), formula = formula, data = data, method = method,
    arguments = list(...), truth = truth, domain = check_domain(domain),
    calibration = check_share(calibration, "calibration"),
    interval = check_choice(interval, conformal_methods), measure = measure,
    keep = check_flag(keep), halving = check_halving(halving)
  )
  workers <- check_workers(if (missing(workers)) "auto" else workers)
  check_flag(again)
  spec <- check_sweep(spec)
  dir <- open_sweep(dir, spec)
  keep_spec(dir, spec)
  lock <- lock_sweep(dir)
  on.exit(unlock_sweep(lock))
  if (again) {
    forget_failures(dir)
  }
  if (is.null(spec$halving)) {
    run_rung(dir, spec$design$run, NULL, workers, progress)
  } else {
    run_halving(dir, spec, workers, progress)
  }
  read_sweep(dir)
}

#' Successive halving
#'
#' For [run_sweep()]: all settings get a small budget, the best share `1 / factor` of them `factor`
#' times as much, and so on up to the full one, each time from the start. It assumes that settings
#' which are good with the full budget are not among the worst with less of it; where learning rates
#' differ much, that is wrong for slow learners.
#'
#' @param from,to First and full budget.
#' @param factor By how much the budget grows and the number of settings falls, above 1.
#' @param by Criterion, as in [best_fit()].
#' @param parameter What the budget is: a whole number that the estimator or its `control` takes.
#' @return A list of class `successive_halving`.
#' @references Jamieson, K. & Talwalkar, A. (2016). Non-stochastic best arm identification and
#'   hyperparameter optimization. AISTATS.
#' @examples
#' successive_halving(from = 10, to = 90)
#' @export
successive_halving <- function(from, to, factor = 3, by = c("loss", "width", "mse"),
                               parameter = "epochs") {
  from <- check_count(from)
  structure(
    list(from = from, to = check_count(to, min = from),
      factor = check_number(factor, min = 1, open = TRUE),
      by = check_choice(by, c("loss", "width", "mse")), parameter = check_string(parameter)),
    class = "successive_halving"
  )
}

check_halving <- function(halving) {
  if (!is.null(halving) && !inherits(halving, "successive_halving")) {
    stop_argument("halving", "must be NULL or made by successive_halving()", describe(halving))
  }
  halving
}

check_design <- function(design) {
  if (!inherits(design, "sweep_design") || !all(c("run", "seed") %in% names(design)) ||
    anyDuplicated(design$run) || !nrow(design) || is.null(attr(design, "design_seed"))) {
    stop_argument("design", "must be made by sweep_design() or read_sweep_config()",
      describe(design))
  }
  design
}

# The budgets of the rungs: from, from * factor, ..., to.
rung_budgets <- function(halving) {
  budgets <- halving$from
  while (utils::tail(budgets, 1) * halving$factor < halving$to) {
    budgets <- c(budgets, utils::tail(budgets, 1) * halving$factor)
  }
  unique(c(floor(budgets), halving$to))
}

run_halving <- function(dir, spec, workers, progress) {
  runs <- spec$design$run
  budgets <- rung_budgets(spec$halving)
  for (rung in seq_along(budgets)) {
    run_rung(dir, runs, rung, workers, progress, budgets[rung])
    if (rung < length(budgets)) {
      rows <- read_rows(dir, runs, rung)
      value <- vapply(rows, function(row) {
        v <- row[[spec$halving$by]]
        if (identical(row$status, "ok") && !is.null(v)) as.double(v) else NA_real_
      }, 0)
      if (all(is.na(value))) {
        stop_mrl("data", "No run has a `", spec$halving$by, "` by which to halve.")
      }
      most <- max(1, ceiling(length(runs) / spec$halving$factor))
      runs <- sort(runs[order(value)][seq_len(min(most, sum(!is.na(value))))])
    }
  }
}

# The runs (with a budget, of a rung) that are not finished.
run_rung <- function(dir, runs, rung, workers, progress, budget = NULL) {
  waiting <- runs[!file.exists(run_file(dir, runs, rung))]
  items <- lapply(waiting, function(run) list(run = run, rung = rung, budget = budget))
  teller <- count_teller(progress, length(runs), length(runs) - length(waiting), "Sweep")
  on.exit(teller$close())
  lapply_jobs(items, run_one, dir = dir, workers = workers, told = teller$tell,
    dead = function(item) record_death(item, dir), doing = "running the sweep")
  invisible()
}

# Who is told how many of n are done: the handlers of progressr if it is loaded, else a bar with
# the time left, or nobody.
count_teller <- function(progress, n, done, name) {
  nobody <- list(tell = NULL, close = function() NULL)
  if (isTRUE(getOption("knitr.in.progress")) || done >= n) {
    return(nobody)
  }
  if ("progressr" %in% loadedNamespaces()) {
    bar <- progressr::progressor(steps = n - done, auto_finish = FALSE, on_exit = FALSE)
    told <- 0L
    return(list(
      tell = function(k) {
        bar(amount = k - told)
        told <<- k
      },
      close = function() bar(type = "finish")
    ))
  }
  if (!check_flag(progress, "progress")) {
    return(nobody)
  }
  env <- environment()
  id <- cli::cli_progress_bar(name = name, total = n, clear = TRUE, .auto_close = FALSE,
    .envir = env,
    format = "{cli::pb_name} {cli::pb_bar} {cli::pb_current}/{cli::pb_total} ETA {cli::pb_eta}")
  cli::cli_progress_update(set = done, id = id, .envir = env)
  list(
    tell = function(k) cli::cli_progress_update(set = done + k, id = id, .envir = env),
    close = function() cli::cli_progress_done(id = id, .envir = env)
  )
}
