# Checks of what a user can get wrong: each names the argument, the rule and what came.

# What came, in words.
describe <- function(x) {
  if (is.null(x)) {
    return("NULL")
  }
  size <- if (is.null(dim(x))) {
    paste("of length", length(x))
  } else {
    paste("with dimensions", paste(dim(x), collapse = " x "))
  }
  if (is.atomic(x) && is.null(dim(x)) && length(x) == 1L) {
    return(if (is.character(x)) {
      paste0("\"", shown_text(x), "\"")
    } else {
      # The format() of a foreign class may fail.
      tryCatch(format(x, digits = 6), error = function(e) paste(class(x)[1], size))
    })
  }
  paste(class(x)[1], size)
}

# A string that can be printed: not long, and what is no text as its bytes.
shown_text <- function(x) {
  if (!is.na(x) && !validEnc(x)) {
    x <- iconv(x, "latin1", "ASCII", sub = "byte")
  }
  if (!is.na(x) && nchar(x) > 200L) paste0(substr(x, 1L, 200L), "...") else x
}

check_flag <- function(x, arg = deparse1(substitute(x))) {
  if (!is.logical(x) || is.object(x) || length(x) != 1L || is.na(x)) {
    stop_argument(arg, "must be TRUE or FALSE", describe(x))
  }
  x
}

check_number <- function(x, arg = deparse1(substitute(x)), min = -Inf, max = Inf, open = FALSE) {
  value <- if (is.numeric(x) && length(x) == 1L) as.double(x) else NA_real_
  inside <- is.finite(value) &&
    (if (open) value > min && value < max else value >= min && value <= max)
  if (!inside) {
    range <- if (open) c("above", "below") else c("at least", "at most")
    bounds <- c(
      if (min > -Inf) paste(range[1], format(min)), if (max < Inf) paste(range[2], format(max))
    )
    rule <- paste(c("must be one finite number", bounds), collapse = ", ")
    stop_argument(arg, rule, describe(x))
  }
  value
}

check_count <- function(x, arg = deparse1(substitute(x)), min = 1, max = .Machine$integer.max) {
  value <- if (is.numeric(x) && length(x) == 1L) as.double(x) else NA_real_
  if (!is.finite(value) || value != round(value) || value < min || value > max) {
    rule <- paste0(
      "must be one whole number, at least ", format(min, scientific = FALSE),
      if (max < .Machine$integer.max) paste0(", at most ", format(max, scientific = FALSE))
    )
    stop_argument(arg, rule, describe(x))
  }
  as.integer(value)
}

# How many digits a print() shows; NULL: as the option says.
check_digits <- function(digits) {
  if (is.null(digits)) max(3L, getOption("digits") - 3L) else check_count(digits, max = 22)
}

check_string <- function(x, arg = deparse1(substitute(x)), null = FALSE) {
  if (null && is.null(x)) {
    return(NULL)
  }
  if (!is.character(x) || length(x) != 1L || is.na(x) || !validEnc(x)) {
    stop_argument(arg, "must be one string", describe(x))
  }
  as.character(x)
}

# One of a set of words; the default vector of a signature gives its first.
check_choice <- function(x, choices, arg = deparse1(substitute(x))) {
  if (identical(x, choices)) {
    return(choices[1])
  }
  if (!is.character(x) || length(x) != 1L || is.na(x) || !x %in% choices) {
    stop_argument(arg, paste0("must be one of ", paste0("\"", choices, "\"", collapse = ", ")),
      describe(x))
  }
  as.character(x)
}

# A finite numeric vector as plain doubles. n: required length; least: of any length from there on.
check_doubles <- function(x, arg = deparse1(substitute(x)), n = NULL, finite = TRUE, least = 0L) {
  if (!(is.numeric(x) || is.logical(x)) || is.object(x) && !inherits(x, "integer64") &&
    is.factor(x)) {
    stop_argument(arg, "must be a numeric vector", describe(x))
  }
  x <- as.double(x)
  if (!is.null(n) && length(x) != n) {
    stop_argument(arg, paste("must have length", n), paste("length", length(x)))
  }
  if (length(x) < least) {
    stop_argument(arg, paste("must have at least", least, "values"), length(x))
  }
  if (finite && any(!is.finite(x))) {
    stop_argument(arg, "must be finite", count_not_finite(x), what = "data")
  }
  x
}

count_not_finite <- function(x) {
  n_na <- sum(is.na(x))
  n_inf <- sum(is.infinite(x))
  paste(c(if (n_na) paste(n_na, "NA or NaN"), if (n_inf) paste(n_inf, "infinite")),
    collapse = " and "
  )
}

# Nothing may be left in `...`.
check_no_dots <- function(...) {
  if (...length() > 0L) {
    given <- names(list(...))
    given <- if (is.null(given)) rep("", ...length()) else given
    shown <- ifelse(given == "", "an unnamed one", paste0("`", given, "`"))
    stop_mrl("argument", "Unknown argument: ", paste(shown, collapse = ", "), ".")
  }
}
