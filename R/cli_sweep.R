# mrlearn sweep: all runs of a configuration.

cli_sweep_command <- function() {
  list(
    name = "sweep", title = "fit many settings from a JSON configuration", words = "CONFIG.json",
    about = c(
      "Runs every row of the configuration's design (?read_sweep_config in R; ml-mr's files are",
      "understood) and prints a line for each. With --output, or a sweep_directory in the file, a",
      "sweep that was stopped goes on where it was."
    ),
    options = c(cli_shared_options(
      cli_option("output", "text", "DIR", "directory of the sweep, instead of the file's"),
      cli_option("workers", "count", "N", "runs at a time, each in a process of its own (1)"),
      cli_option("dry-run", "flag", "", "print the runs and do none"),
      cli_option("again", "flag", "", "run those that failed once more"),
      cli_option("best", "text", "BY", "print only the best run: by width, loss or mse")
    ), sweep_aliases()),
    examples = c(
      "mrlearn sweep config.json --dry-run",
      "mrlearn sweep config.json --workers 2 --output sweep1",
      "mrlearn sweep config.json --output sweep1 --best width"
    ),
    run = run_sweep_command
  )
}

sweep_aliases <- function() {
  list(
    cli_option("n-workers", "count", "", "", function(v) {
      list(hint = "--n-workers N is --workers N here.",
        add = list(workers = suppressWarnings(as.double(v))))
    }),
    cli_option("create-db-only", "flag", "", "", function(v) {
      list(hint = "--create-db-only is --dry-run here.", add = list(`dry-run` = TRUE))
    })
  )
}

run_sweep_command <- function(given) {
  v <- given$values
  by <- if (!is.null(v$best)) check_choice(v$best, c("width", "loss", "mse"), "--best")
  if (!file.exists(given$words)) {
    stop_mrl("data", "Cannot read the file \"", given$words, "\": it is not there.")
  }
  config <- read_sweep_config(given$words)
  if (isTRUE(v$`dry-run`)) {
    return(cli_print(given, listed_text(as.data.frame(config$design))))
  }
  workers <- check_count(cli_value(given, "workers", 1), "--workers")
  options <- options(mrlearn.threads = cli_threads(given))
  on.exit(options(options))
  if (workers > 1L) {
    need_package("future", "--workers", "r-cran-future")
    plan <- future::plan("multisession", workers = workers)
    on.exit(future::plan(plan), add = TRUE)
  }
  arguments <- list(config, progress = FALSE, again = isTRUE(v$again),
    workers = if (workers > 1L) "future" else "auto")
  arguments$dir <- v$output
  sweep <- do.call(run_sweep, arguments)
  if (!is.null(by)) {
    row <- attr(best_fit(sweep, by), "sweep_row")
    return(cli_print(given, listed_text(row)))
  }
  cli_print(given, listed_text(drop_sweep(sweep)))
}
