# What --help prints.

cli_usage <- function() {
  commands <- cli_commands()
  c(
    "Usage: mrlearn COMMAND [words] [--options]", "",
    "Machine learning for Mendelian randomization.", "", "Commands:",
    sprintf("  %-9s %s", names(commands), vapply(commands, `[[`, "", "title")), "",
    "mrlearn COMMAND --help says more of each. mrlearn --version",
    "Results go to standard output, messages to standard error. Exit status: 0 done,",
    "1 wrong command line, 2 wrong data or files, 3 arithmetic that failed."
  )
}

# rest: the words after the command; a method among them gets its own settings listed.
cli_help <- function(command, rest) {
  options <- Filter(function(o) is.null(o$means), command$options)
  left <- vapply(options, function(o) {
    value <- if (o$kind %in% c("texts", "numbers")) paste(o$value, "...") else o$value
    trimws(paste0("--", o$name, " ", value))
  }, "")
  c(
    paste("Usage:", paste(c("mrlearn", command$name, command$words, "[--options]"),
      collapse = " ")),
    "", unlist(lapply(command$about, function(line) {
      if (nzchar(line)) strwrap(line, 90L, exdent = 2L) else line
    })), "", "Options:",
    option_lines(left, vapply(options, `[[`, "", "help")),
    if (!is.null(command$more)) command$more(rest),
    "", "Examples:", paste0("  ", command$examples)
  )
}

# Two columns, the second one folded.
option_lines <- function(left, right) {
  wide <- 26L
  unlist(Map(function(l, r) {
    folded <- strwrap(r, 78L - wide)
    if (nchar(l) > wide - 3L) {
      return(c(paste0("  ", l), paste0(strrep(" ", wide), folded)))
    }
    paste0(c(formatC(paste0("  ", l), width = -wide), rep(strrep(" ", wide), length(folded) - 1L)),
      folded)
  }, left, right), use.names = FALSE)
}

# Defaults of arguments as text; of a set of words all.
shown_defaults <- function(formals) {
  vapply(names(formals), function(name) {
    value <- formals[[name]]
    words <- is.call(value) && identical(value[[1]], quote(c)) && is.character(value[[2]])
    if (words) paste(as.character(value)[-1], collapse = " | ") else deparse1(value)
  }, "")
}
