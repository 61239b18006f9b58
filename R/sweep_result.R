# What a sweep found: its table, the best fit.

#' What a sweep found
#'
#' `read_sweep()` reads the directory of [run_sweep()], also while it is being filled; `best_fit()`
#' gives the fit that a criterion chooses. The best of many looks better than it is: a loss or width
#' that chose a fit is no estimate of that fit's own, and its intervals do not know that it was
#' chosen.
#'
#' @param dir Directory of a sweep. Its files are R's own (RDS), which can hold code: never read one
#'   from strangers.
#' @param sweep What `run_sweep()` or `read_sweep()` returned.
#' @param by `"width"` of conformal intervals (of [run_sweep()] with `calibration`), `"loss"` of the
#'   outcome network on rows held out, or `"mse"` where the truth is known. The least is the best,
#'   the first row if there are several. On the design of the Quantile IV poster losses did not tell
#'   good from bad settings of DeepIV and DFIV, while widths did (Legault et al. 2023).
#' @return `read_sweep()`: a data.frame of class `sweep` with a row for each run: the design's
#'   columns, `status` (`"ok"`, `"failed"` or `"waiting"`), `error` (class), `message`, `warnings`
#'   (classes), then what [run_sweep()] says under Recorded; with halving also `rung`, the last one
#'   that a run came to. `best_fit()`: the fit, read if the sweep kept it, else fitted once more by
#'   its seed; its row is `attr(, "sweep_row")`.
#' @references Legault, M.-A. et al. (2023). ml-mr: machine learning for Mendelian randomization,
#'   GLBIO.
#' @examples
#' sim <- sim_nonlinear(n = 400, n_variants = 3, seed = 1)
#' design <- sweep_design(epochs = c(2, 10), seed = 1)
#' sweep <- run_sweep(design, data = sim, method = "quantile")
#' read_sweep(attr(sweep, "dir"))
#' best_fit(sweep, by = "mse")
#' @export
read_sweep <- function(dir) {
  saved <- read_saved_sweep(dir)
  design <- saved$spec$design
  halving <- saved$spec$halving
  records <- if (is.null(halving)) {
    read_rows(dir, design$run)
  } else {
    last_records(dir, design$run, seq_along(rung_budgets(halving)))
  }
  out <- cbind_design(design, records)
  if (is.null(halving)) {
    out$rung <- NULL
  }
  structure(out, class = c("sweep", "data.frame"), dir = normalizePath(dir),
    labels = attr(design, "labels"))
}

# The record of each run's highest rung.
last_records <- function(dir, runs, rungs) {
  out <- vector("list", length(runs))
  for (rung in rungs) {
    found <- read_rows(dir, runs, rung)
    there <- !vapply(found, is.null, NA)
    out[there] <- found[there]
  }
  out
}

# The design beside its records; a column for whatever any record has.
cbind_design <- function(design, records) {
  first <- c("rung", "status", "error", "message", "warnings")
  columns <- unique(c(first, unlist(lapply(records, names))))
  columns <- c(setdiff(columns, c("run", "seconds")), "seconds")
  text <- setdiff(first, "rung")
  out <- structure(unclass(design)[names(design)], row.names = .set_row_names(nrow(design)),
    class = "data.frame")
  for (name in columns) {
    missing <- if (name %in% text) "" else NA_real_
    values <- lapply(records, function(record) {
      value <- record[[name]]
      if (is.null(value)) missing else value
    })
    out[[name]] <- if (name %in% text) as.character(values) else as.double(values)
  }
  out$status[vapply(records, is.null, NA)] <- "waiting"
  out
}

#' @rdname read_sweep
#' @export
best_fit <- function(sweep, by = c("width", "loss", "mse")) {
  if (!inherits(sweep, "sweep") || is.null(attr(sweep, "dir"))) {
    stop_argument("sweep", "must be what run_sweep() or read_sweep() returned", describe(sweep))
  }
  by <- check_choice(by, c("width", "loss", "mse"))
  value <- sweep[[by]]
  value[sweep$status != "ok"] <- NA
  if (is.null(value) || all(is.na(value))) {
    stop_argument("by", paste0("must be a criterion that a run has: ",
      if (by == "width") "widths need `calibration` in run_sweep()" else if (by == "mse") {
        "errors need data or `truth` whose curve is known"
      } else {
        "losses are those of networks with rows held out"
      }), describe(by))
  }
  best <- which.min(value)
  dir <- attr(sweep, "dir")
  file <- run_file(dir, sweep$run[best], sweep$rung[best], "rds", "fit")
  fit <- if (file.exists(file)) read_rds(file, "checkpoint") else refit(dir, sweep, best)
  attr(fit, "sweep_row") <- drop_sweep(sweep)[best, ]
  fit
}

# A run's fit once more: its seed makes it the same.
refit <- function(dir, sweep, row) {
  spec <- sweep_spec(dir)
  item <- list(run = sweep$run[row])
  if (!is.null(spec$halving)) {
    item$budget <- rung_budgets(spec$halving)[sweep$rung[row]]
  }
  spec["measure"] <- list(NULL)
  suppressWarnings(attempt_run(spec, item)$fit, classes = "mrlearn_warning")
}

# Rows and columns taken from it are a plain data.frame.
drop_sweep <- function(x) {
  attr(x, "dir") <- attr(x, "labels") <- NULL
  class(x) <- setdiff(class(x), "sweep")
  x
}

#' @export
print.sweep <- function(x, n = 10L, digits = 3L, ...) {
  n <- check_count(n, min = 0)
  digits <- check_digits(digits)
  count <- table(factor(x$status, c("ok", "failed", "waiting")))
  cat("Sweep of ", big(nrow(x)), " runs: ", count[["ok"]], " ok",
    if (count[["failed"]]) paste0(", ", count[["failed"]], " failed"),
    if (count[["waiting"]]) paste0(", ", count[["waiting"]], " waiting"), "\n", sep = "")
  plain <- drop_sweep(x)
  empty <- vapply(plain, function(v) is.double(v) && all(is.na(v)), NA)
  hidden <- empty | names(plain) %in% c("seed", "error", "message", "warnings")
  print(utils::head(listed_text(plain[!hidden]), n), digits = digits)
  if (nrow(x) > n) {
    cat("and", big(nrow(x) - n), "more\n")
  }
  failed <- which(x$status == "failed")
  for (i in utils::head(failed, 3)) {
    cat("run ", x$run[i], " failed: ", x$message[i], "\n", sep = "")
  }
  invisible(x)
}
