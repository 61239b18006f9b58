# Words of a command line -> values by option. An option is a list made by cli_option(); those that
# only other programs have are hidden ones with `means`, which say what is meant.

# kind: "flag"; "text", "count" (whole), "number" (one value each); "texts", "numbers" (all words up
# to the next option). value: how help calls what follows. means: a function from the words to
# list(hint =, add =), add: values of real options by name. bare: may stand without a value, as "".
cli_option <- function(name, kind, value, help, means = NULL, bare = FALSE) {
  list(name = name, kind = kind, value = value, help = help, means = means, bare = bare)
}

# short: one letter -> long name, as ml-mr has them.
cli_short_options <- c(h = "help", d = "data", x = "exposure", y = "outcome", z = "instruments")

# A word that begins an option; "-1" and "-3,3" are values.
is_option_word <- function(words) {
  grepl("^--?[A-Za-z]", words)
}

# The words after a command. Returns list(words: those before the first option, by name: values,
# hints: what was understood as something else).
parse_command_line <- function(words, options) {
  names(options) <- vapply(options, `[[`, "", "name")
  out <- list(words = character(), values = list(), hints = character())
  at <- 1L
  while (at <= length(words)) {
    if (words[at] == "--") { # ends a list of values
      at <- at + 1L
      next
    }
    if (!is_option_word(words[at])) {
      out$words <- c(out$words, words[at])
      at <- at + 1L
      next
    }
    part <- split_option_word(words[at])
    option <- find_option(part$name, options, words[at])
    taken <- take_values(words, at, part, option)
    out <- add_values(out, option, taken$values)
    at <- taken$at
  }
  out
}

# --name=value as its two parts.
split_option_word <- function(word) {
  if (!startsWith(word, "--")) {
    letter <- substring(word, 2L)
    name <- if (letter %in% names(cli_short_options)) cli_short_options[[letter]] else letter
    return(list(name = name, value = NULL))
  }
  equals <- regexpr("=", word, fixed = TRUE)
  if (equals < 0L) {
    return(list(name = substring(word, 3L), value = NULL))
  }
  list(name = substr(word, 3L, equals - 1L), value = substring(word, equals + 1L))
}

find_option <- function(name, options, word) {
  if (!name %in% names(options)) {
    shown <- names(options)[vapply(options, function(o) is.null(o$means), NA)]
    stop_mrl("argument", "Unknown option ", sub("=.*", "", word), near_names(name, shown, "--"),
      "; --help lists the options.")
  }
  options[[name]]
}

# " (did you mean `a`?)" for what differs by case or by few letters; "" if nothing does.
near_names <- function(name, known, prefix = "") {
  if (!length(known)) {
    return("")
  }
  same <- known[tolower(known) == tolower(name)]
  if (!length(same)) {
    distance <- drop(utils::adist(name, known, ignore.case = TRUE))
    most <- max(1, min(3, nchar(name) %/% 3))
    same <- known[distance <= most][order(distance[distance <= most])]
    if (!length(same)) {
      same <- known[startsWith(known, name) & nchar(name) > 1L]
    }
  }
  if (!length(same)) {
    return("")
  }
  shown <- paste0("`", prefix, utils::head(same, 3L), "`", collapse = " or ")
  paste0(" (did you mean ", shown, "?)")
}

# The values that belong to the option at a word, and where the next word is.
take_values <- function(words, at, part, option) {
  many <- option$kind %in% c("texts", "numbers")
  if (option$kind == "flag") {
    if (!is.null(part$value)) {
      stop_mrl("argument", "--", option$name, " takes no value; got \"", part$value, "\".")
    }
    return(list(values = character(), at = at + 1L))
  }
  if (!is.null(part$value) && !many) {
    return(list(values = part$value, at = at + 1L))
  }
  end <- at
  while (end < length(words) && !is_option_word(words[end + 1L]) && words[end + 1L] != "--" &&
    (many || end == at)) {
    end <- end + 1L
  }
  values <- c(part$value, words[seq_len(end - at) + at])
  if (!length(values) && option$bare) {
    values <- ""
  }
  if (!length(values) && is.null(option$means)) {
    stop_mrl("argument", "--", option$name, " needs a value: --", option$name, " ", option$value,
      ".")
  }
  list(values = values, at = end + 1L)
}

# With the option's values among the others.
add_values <- function(out, option, values) {
  if (!is.null(option$means)) {
    meant <- option$means(values)
    out$hints <- c(out$hints, meant$hint)
    for (name in names(meant$add)) {
      out$values[[name]] <- c(out$values[[name]], meant$add[[name]])
    }
    return(out)
  }
  many <- option$kind %in% c("texts", "numbers") || option$bare
  if (!many && !is.null(out$values[[option$name]])) {
    stop_mrl("argument", "--", option$name, " is given twice.")
  }
  value <- switch(option$kind,
    flag = TRUE,
    number = ,
    numbers = option_numbers(values, option),
    count = option_count(values, option),
    values
  )
  out$values[[option$name]] <- c(out$values[[option$name]], value)
  out
}

option_numbers <- function(values, option) {
  number <- suppressWarnings(as.double(values))
  if (anyNA(number)) {
    stop_argument(paste0("--", option$name), "must be a number",
      paste0("\"", values[is.na(number)][1], "\""))
  }
  number
}

option_count <- function(values, option) {
  number <- suppressWarnings(as.double(values))
  if (is.na(number) || number != round(number) || number < 0) {
    stop_argument(paste0("--", option$name), "must be one whole number, at least 0",
      paste0("\"", values, "\""))
  }
  number
}

# "k=v" words as a named list of typed values: numbers, TRUE, FALSE, NULL and words; several by
# commas, several of these by `/`: hidden=64,32/16 is list(c(64, 32), 16).
read_pairs <- function(words, option) {
  equals <- regexpr("=", words, fixed = TRUE)
  wrong <- words[equals < 2L]
  if (length(wrong)) {
    stop_argument(option, "must be name=value", paste0("\"", wrong[1], "\""))
  }
  keys <- substr(words, 1L, equals - 1L)
  if (anyDuplicated(keys)) {
    stop_argument(option, "must name each setting once", paste0("`", keys[duplicated(keys)][1],
      "` twice"))
  }
  stats::setNames(lapply(substring(words, equals + 1L), read_literal), keys)
}

read_literal <- function(text) {
  if (!nzchar(text)) {
    return(text)
  }
  if (text %in% c("NULL", "null")) {
    return(NULL)
  }
  if (text %in% c("TRUE", "true")) {
    return(TRUE)
  }
  if (text %in% c("FALSE", "false")) {
    return(FALSE)
  }
  as_numbers <- function(part) {
    words <- strsplit(part, ",", fixed = TRUE)[[1]]
    number <- suppressWarnings(as.double(words))
    if (anyNA(number)) words else number
  }
  parts <- strsplit(text, "/", fixed = TRUE)[[1]]
  values <- lapply(parts, as_numbers)
  if (length(parts) > 1L && all(vapply(values, is.numeric, NA))) values else as_numbers(text)
}
