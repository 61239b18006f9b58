# Simulations in files: data, never code.

simulation_format <- "mrlearn simulation 1"

#' Simulations in files
#'
#' `write_simulation()` writes two files: `<prefix>.csv.gz` with all columns, hidden ones too, and
#' `<prefix>.json` with the steps, their arguments, the parameters and the seed. Numbers are written
#' to the last bit. `read_simulation()` gives the same simulation back.
#'
#' A file is data: nothing in it is ever evaluated as R code. Laws are kept by their names and
#' formulas as text, which [resample()] reads by [arithmetic_function()]'s parser alone. Functions
#' cannot be kept: their columns are, and a simulation with such a step cannot be drawn anew once it
#' was read.
#'
#' @param sim A [simulation()].
#' @param prefix Path of the files without their endings. The folder must exist.
#' @return `write_simulation()`: the two paths, invisibly. `read_simulation()`: a [simulation()].
#'   Files that are no simulation, incomplete or changed by hand so that they do not fit together
#'   are refused by an error of class `mrlearn_error_data`. A full disk is an error of class
#'   `mrlearn_error_file`, which leaves older files as they were.
#' @examples
#' sim <- simulation(5, seed = 1) |>
#'   add_variable("Z", "normal") |>
#'   add_variable("X", ~ 0.5 * Z)
#' prefix <- tempfile("sim")
#' write_simulation(sim, prefix)
#' again <- read_simulation(prefix)
#' identical(as.data.frame(again), as.data.frame(sim))
#' @export
write_simulation <- function(sim, prefix) {
  check_simulation(sim)
  check_string(prefix)
  check_folder(dirname(prefix), "prefix")
  columns <- simulation_columns(sim)
  parameters <- sim$values[names(sim$values) %in% step_names(sim)[vapply(sim$steps, function(s) {
    s$role == "parameter"
  }, NA)]]
  steps <- lapply(sim$steps, function(step) {
    step[c("call", "values")] <- NULL
    step$width <- if (step$role == "variable") NCOL(sim$values[[step$name]]) else NULL
    step
  })
  text <- json_text(list(
    format = simulation_format, n = sim$n, seed = sim$seed, steps = steps,
    parameters = lapply(parameters, exact_array)
  ))
  files <- paste0(prefix, c(".csv.gz", ".json"))
  replace_files(files, list(
    list(write = function(path) write_columns(columns, sim$n, path)), file_of_text(text)
  ))
  invisible(files)
}

#' @rdname write_simulation
#' @export
read_simulation <- function(prefix) {
  check_string(prefix)
  files <- paste0(prefix, c(".csv.gz", ".json"))
  for (file in files) {
    if (!file.exists(file)) {
      stop_argument("prefix", "must be that of two files, .csv.gz and .json",
        paste0("no \"", file, "\""))
    }
  }
  json <- read_json_file(files[2])
  refuse <- function(...) {
    stop_mrl("data", "\"", files[2], "\" is no simulation of this package: ", ..., ".")
  }
  if (!is.list(json) || !identical(json$format, simulation_format)) {
    refuse("its format is not \"", simulation_format, "\"")
  }
  ok <- is.numeric(json$n) && length(json$n) == 1L && is.numeric(json$seed) &&
    length(json$seed) == 1L && is.list(json$steps)
  if (!ok) {
    refuse("n, seed or steps are not there")
  }
  sim <- simulation(json$n, json$seed)
  columns <- read_columns(files[1], sim$n)
  for (step in json$steps) {
    sim <- tryCatch(read_step(sim, step, columns, json$parameters),
      mrlearn_error_argument = function(e) refuse(conditionMessage(e)))
  }
  extra <- setdiff(names(columns), names(simulation_columns(sim)))
  if (length(extra)) {
    stop_mrl("data", "\"", files[1], "\" has columns that no step made: ", shorten(extra), ".")
  }
  sim
}

# A step of a file and its values, checked as if the user gave them.
read_step <- function(sim, step, columns, parameters) {
  what <- function(name) check_string(step[[name]], name)
  check_step_name(step$name, sim)
  kept <- list(name = step$name, role = check_choice(what("role"), c("parameter", "variable")))
  kept$kind <- check_choice(what("kind"), c("law", "formula", "values", "function", "lost"))
  if (kept$kind == "law") {
    kept$law <- check_choice(what("law"), law_names(kept$role), "law")
    kept$arguments <- law_arguments(kept$law, read_arguments(step), kept$name)
  } else if (kept$kind == "formula") {
    kept$formula <- check_string(step$formula, kept$name)
  }
  if (kept$role == "parameter") {
    kept$size <- check_count(step$size, "size")
    value <- check_doubles(unlist(parameters[[kept$name]]), kept$name)
  } else {
    kept$hidden <- check_flag(step$hidden, "hidden")
    value <- read_values(kept$name, check_count(step$width, "width", max = 1e6), columns)
  }
  if (kept$kind == "values") {
    kept$values <- value
  }
  if (kept$kind == "function") {
    kept$kind <- "lost"
  }
  sim$steps <- c(sim$steps, list(kept))
  sim$values[[kept$name]] <- value
  sim
}

# Arguments as law_arguments() takes them: arrays are vectors, and a covariance is a matrix.
read_arguments <- function(step) {
  given <- lapply(step$arguments, function(value) if (is.list(value)) unlist(value) else value)
  if (identical(step$law, "mvnormal") && is.numeric(given$covariance)) {
    given$covariance <- matrix(given$covariance, round(sqrt(length(given$covariance))))
  }
  given
}

read_values <- function(name, width, columns) {
  named <- if (width == 1L) name else paste0(name, seq_len(width))
  absent <- setdiff(named, names(columns))
  if (length(absent)) {
    stop_argument(name, "must have its columns in the .csv.gz", paste("none named",
      shorten(absent)))
  }
  if (width == 1L) {
    return(columns[[named]])
  }
  matrix(unlist(columns[named], use.names = FALSE), ncol = width, dimnames = list(NULL, named))
}

# Columns of numbers, to the last bit.
write_columns <- function(columns, n, path) {
  text <- lapply(columns, exact_numbers)
  out <- gzfile(path, "wb")
  bytes <- 0
  write_lines <- function(lines) {
    writeLines(lines, out, useBytes = TRUE)
    bytes <<- bytes + sum(nchar(lines, "bytes")) + length(lines)
  }
  tryCatch(
    {
      write_lines(enc2utf8(paste(names(columns), collapse = ",")))
      if (length(text)) {
        for (rows in split(seq_len(n), (seq_len(n) - 1L) %/% 100000L)) {
          write_lines(do.call(paste, c(lapply(text, `[`, rows), sep = ",")))
        }
      }
    },
    finally = close(out)
  )
  check_gzip(path, bytes)
}

read_columns <- function(path, n) {
  broken <- function(e) {
    stop_mrl("data", "\"", path, "\" cannot be read: ", first_line(conditionMessage(e)), ".")
  }
  tryCatch(
    {
      if (identical(readLines(path, 1L), "")) {
        return(list())
      }
      data <- utils::read.csv(path, colClasses = "numeric", check.names = FALSE,
        na.strings = character())
    },
    simpleError = broken, simpleWarning = broken
  )
  if (nrow(data) != n || anyDuplicated(names(data))) {
    stop_mrl("data", "\"", path, "\" must have ", n, " rows of columns with different names; got ",
      nrow(data), " rows.")
  }
  if (!all_finite(as.matrix(data))) {
    stop_mrl("data", "\"", path, "\" must have finite numbers only.")
  }
  as.list(data)
}
