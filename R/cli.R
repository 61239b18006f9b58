# The command line: what inst/cli/mrlearn runs. Results go to stdout, messages to stderr.

# The commands by name; each is a list of what help says, its options, and run(given), where given
# has `words` and `values` of parse_command_line().
cli_commands <- function() {
  commands <- list(
    cli_simulate_command(), cli_estimate_command(), cli_evaluate_command(), cli_sweep_command(),
    cli_mr_command(), cli_deepmr_command()
  )
  stats::setNames(commands, vapply(commands, `[[`, "", "name"))
}

# What ml-mr calls them.
cli_command_aliases <- c(
  estimation = "estimate", evaluation = "evaluate", simulation = "simulate"
)

# Runs a command line and returns the exit status: 0; 1 for a line that is wrong; 2 for data, files
# and folders; 3 for arithmetic that failed and for errors of our own; 130 if interrupted.
cli_main <- function(words = commandArgs(TRUE)) {
  tryCatch(
    withCallingHandlers(
      cli_dispatch(as.character(words)),
      warning = function(w) {
        cli_say("warning: ", conditionMessage(w))
        invokeRestart("muffleWarning")
      },
      message = function(m) {
        cli_say(sub("\n$", "", conditionMessage(m)))
        invokeRestart("muffleMessage")
      }
    ),
    error = function(e) {
      cli_say("mrlearn: ", conditionMessage(e))
      cli_status(e)
    },
    interrupt = function(i) {
      cli_say("mrlearn: interrupted")
      130L
    }
  )
}

cli_status <- function(e) {
  kinds <- list(
    c("argument", "formula", "package"),
    c("data", "collinear", "underidentified", "checkpoint", "file", "locked")
  )
  for (status in seq_along(kinds)) {
    if (inherits(e, paste0("mrlearn_error_", kinds[[status]]))) {
      return(status)
    }
  }
  3L
}

cli_say <- function(...) {
  cat(..., "\n", file = stderr(), sep = "")
}

cli_dispatch <- function(words) {
  if (!length(words)) {
    cli_say(paste(cli_usage(), collapse = "\n"))
    return(1L)
  }
  if (words[1] %in% c("--version", "version")) {
    cat("mrlearn ", as.character(utils::packageVersion("mrlearn")), "\n", sep = "")
    return(0L)
  }
  if (words[1] %in% c("--help", "-h", "help") && length(words) == 1L) {
    writeLines(cli_usage())
    return(0L)
  }
  if (words[1] == "help") {
    words <- c(words[-1], "--help")
  }
  command <- find_command(words[1])
  rest <- words[-1]
  if (any(rest %in% c("--help", "-h"))) {
    writeLines(cli_help(command, rest))
    return(0L)
  }
  given <- parse_command_line(rest, command$options)
  for (hint in given$hints) {
    cli_say("hint: ", hint)
  }
  check_words(given$words, command)
  command$run(given)
  0L
}

find_command <- function(word) {
  commands <- cli_commands()
  if (word %in% names(cli_command_aliases)) {
    name <- cli_command_aliases[[word]]
    cli_say("hint: mrlearn calls `", word, "` `", name, "`.")
    return(commands[[name]])
  }
  if (!word %in% names(commands)) {
    stop_mrl("argument", "There is no command \"", word, "\"", near_names(word, names(commands)),
      "; the commands are ", paste(names(commands), collapse = ", "), ".")
  }
  commands[[word]]
}

# As many words before the options as the command needs.
check_words <- function(words, command) {
  needed <- length(command$words)
  if (length(words) < needed) {
    stop_mrl("argument", "mrlearn ", command$name, " needs ", command$words[length(words) + 1L],
      "; mrlearn ", command$name, " --help has examples.")
  }
  if (length(words) > needed) {
    stop_mrl("argument", "mrlearn ", command$name, " cannot use \"", words[needed + 1L], "\"",
      if (needed) paste0(" (it needs ", paste(command$words, collapse = " "), " and options)"),
      ".")
  }
}

# The value of an option, which must be there unless there is another one to use.
cli_value <- function(given, name, otherwise) {
  value <- given$values[[name]]
  if (!is.null(value)) {
    return(value)
  }
  if (missing(otherwise)) {
    stop_mrl("argument", "--", name, " must be given; --help says how.")
  }
  otherwise
}

# A data.frame to stdout as CSV, or anything as JSON.
cli_print <- function(given, table, json = table) {
  if (isTRUE(given$values$json)) {
    writeLines(cli_json(json))
  } else {
    writeLines(csv_lines(table))
  }
}

cli_json <- function(x) {
  as.character(jsonlite::toJSON(x, dataframe = "rows", auto_unbox = TRUE, digits = NA, na = "null",
    null = "null", pretty = TRUE))
}

# Quotes only where a text needs them.
csv_lines <- function(table) {
  texts <- unlist(lapply(Filter(Negate(is.numeric), table), as.character), use.names = FALSE)
  quote <- any(grepl("[\",\r\n]", c(texts, names(table))))
  utils::capture.output(utils::write.csv(table, row.names = FALSE, quote = quote))
}

# The options that all commands have.
cli_shared_options <- function(...) {
  c(list(...), list(
    cli_option("json", "flag", "", "print JSON instead of CSV"),
    cli_option("threads", "count", "N", "threads; results do not depend on it"),
    cli_option("help", "flag", "", "this page")
  ))
}

cli_threads <- function(given) {
  check_threads(cli_value(given, "threads", mrl_threads()), "--threads")
}

# The folder for results: made if it is not there; one that holds `file` is not written over unless
# told.
cli_folder <- function(path, overwrite, file = "fit.rds") {
  made <- dir.exists(path) || suppressWarnings(dir.create(path, recursive = TRUE))
  if (!made || file.access(path, 2) != 0) {
    stop_mrl("data", "--output: cannot write to the folder \"", path, "\".")
  }
  if (file.exists(file.path(path, file)) && !overwrite) {
    stop_mrl("data", "--output: \"", path, "\" has a ", file, " already; --overwrite replaces it.")
  }
  path
}

# Bytes or lines into a file, by replace_file(). Of a full disk a compressed file only tells what it
# holds.
cli_write <- function(content, file, gzip = FALSE) {
  if (is.character(content)) {
    content <- charToRaw(enc2utf8(paste0(paste(content, collapse = "\n"), "\n")))
  }
  if (!gzip) {
    return(replace_files(file, list(file_of_bytes(content))))
  }
  replace_file(file, function(path) {
    connection <- gzfile(path, "wb")
    tryCatch(writeBin(content, connection), finally = close(connection))
    check_gzip(path, length(content))
  })
}
