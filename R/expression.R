# Arithmetic written as text, read by the core's own parser: never by R's.

#' A function from arithmetic written as text
#'
#' Reads a formula such as `"0.3*x^2"` or `"lambda x: 0.3*x**2"` and returns it as an R function, so
#' that a curve may come from a command line or a file that is not trusted: the text can name
#' numbers, the variables and the functions below, and nothing else. It is not R code and R does not
#' see it; what is no arithmetic is refused, with the place where it stops being so.
#'
#' @section The language:
#' Numbers (`2`, `.5`, `1.5e-3`), `+ - * /`, powers by `^` or `**`, comparisons
#' `< <= > >= == !=` (1 or 0), parentheses; `abs`, `cos`, `exp`, `log` (natural), `sin`, `sqrt`,
#' `tan`; `pow(a, b)`; `max` and `min` of two or more; `ifelse(condition, yes, no)`, also called
#' `where`; the constants `pi` and `e`, unless a variable has their name. Powers bind tighter than
#' signs and group from the right, as in R and Python: `-x^2` is `-(x^2)`, `2^3^2` is `2^9`.
#' Comparisons are not chained. A text may begin with `lambda` and names for the variables in their
#' order. It has at most 4096 bytes and nests at most 64 deep.
#'
#' @param text One string.
#' @param variables Names of the variables, the arguments of the function.
#' @param arg What to call the text in messages.
#' @return A function of `variables` (numeric vectors of one length, or of length 1), vectorised.
#'   Where a value is NA, comparisons, `max`, `min` and conditions give NA. It holds the text alone,
#'   so that it can be saved.
#' @section Errors:
#' `mrlearn_error_argument` if the text is not arithmetic; the message says where.
#' @examples
#' f <- arithmetic_function("0.3*x^2 + max(x, 0)")
#' f(c(-1, 0, 2))
#' arithmetic_function("lambda x: 0.3 * (x + 2) * (x - 1) + 1")(1)
#' try(arithmetic_function("system('ls')"))
#' sim <- sim_nonlinear(n = 500, f = arithmetic_function("where(x > 0, x, 0)"), seed = 1)
#' @export
arithmetic_function <- function(text, variables = "x", arg = "text") {
  text <- check_string(text)
  variables <- check_variable_names(variables)
  evaluate_arithmetic(text, variables, rep(list(NA_real_), length(variables)), arg)
  out <- function() NULL
  unset <- as.list(formals(function(x) NULL))
  formals(out) <- stats::setNames(rep(unset, length(variables)), variables)
  body(out) <- bquote(
    evaluate_arithmetic(.(text), .(variables), same_length(mget(.(variables))), .(arg))
  )
  environment(out) <- topenv()
  out
}

check_variable_names <- function(variables) {
  if (!is.character(variables) || anyNA(variables) || anyDuplicated(variables) ||
    !all(grepl("^[A-Za-z_][A-Za-z0-9_.]*$", variables)) || length(variables) > 65535L) {
    stop_argument("variables", "must be different names of letters, digits, `_` and `.`",
      describe_values(variables))
  }
  variables
}

# Doubles of one length, those of length 1 repeated.
same_length <- function(values) {
  n <- max(0L, lengths(values))
  if (any(lengths(values) == 0L)) {
    n <- 0L
  }
  Map(function(value, name) {
    value <- check_doubles(value, name, finite = FALSE)
    if (length(value) != 1L && length(value) != n) {
      stop_argument(name, paste("must have length 1 or", n), paste("length", length(value)))
    }
    rep_len(value, n)
  }, values, names(values))
}

evaluate_arithmetic <- function(text, variables, columns, arg) {
  n <- if (length(columns)) length(columns[[1]]) else 1L
  if (n == 0L) {
    return(double())
  }
  out <- .Call(C_expr_evaluate, text, variables, unname(columns), list(n = as.double(n)))
  check_status(out$status, "evaluating arithmetic")
  fault <- out$value$fault
  if (fault[1] != 0L) {
    stop_arithmetic(text, variables, fault, arg)
  }
  value <- out$value$value
  replace(value, is.nan(value) & Reduce(`|`, lapply(columns, is.na), FALSE), NA_real_)
}

# fault: which of mrl_expr_problem, first byte from 0, bytes. Before a fault all is ASCII, where
# bytes are characters.
stop_arithmetic <- function(text, variables, fault, arg) {
  at <- fault[2] + 1L
  token <- substr(text, at, fault[2] + max(1L, fault[3]))
  shown <- if (nchar(text) > 60L) paste0(substr(text, 1L, 57L), "...") else text
  here <- if (fault[3] == 0L) "ends too early" else paste0("has `", token, "`")
  names <- paste(c(variables, "pi", "e"), collapse = ", ")
  functions <- "abs, cos, exp, ifelse, log, max, min, pow, sin, sqrt, tan, where"
  problem <- switch(fault[1],
    "is empty",
    "has more than 4096 bytes",
    paste0(here, ", which arithmetic does not have"),
    paste0(here, if (fault[3] > 0L) ", which cannot stand there"),
    paste0(here, ", which is no known name; known are ", names),
    paste0(here, ", which is no known function; known are ", functions),
    paste0(here, " with a wrong number of arguments"),
    paste0(here, ", a number that is too long or too large"),
    "is nested too deeply (64 levels)",
    paste0(here, " after another comparison; write (a < b) * (b < c)"),
    paste0(here, " after lambda, where ", length(variables), " must be named")
  )
  stop_mrl("argument", "`", arg, "` must be arithmetic such as 0.3*x^2; \"", shown, "\" ", problem,
    " (character ", at, ").")
}
