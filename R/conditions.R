# Every condition that the package raises is made here.

#' Conditions raised by mrlearn
#'
#' Every error has the class `mrlearn_error` and one of `mrlearn_error_argument` (a wrong type,
#' length or value), `mrlearn_error_formula`, `mrlearn_error_data` (missing, infinite or empty
#' data), `mrlearn_error_collinear`, `mrlearn_error_underidentified` (fewer instruments than
#' exposures), `mrlearn_error_numeric` (the arithmetic failed), `mrlearn_error_checkpoint` (the file
#' of an interrupted run cannot be used), `mrlearn_error_file` (a file cannot be written),
#' `mrlearn_error_locked` (another process is at work), `mrlearn_error_worker` (workers died),
#' `mrlearn_error_package` (a suggested package is not installed) and `mrlearn_error_internal` (our
#' bug).
#' Warnings have `mrlearn_warning` and `mrlearn_warning_<what>`, messages `mrlearn_message` and
#' `mrlearn_message_<what>`, so that each kind can be caught or muffled by itself.
#'
#' @name mrlearn_conditions
#' @keywords internal
NULL

mrl_condition <- function(kind, what, text, ..., call = NULL) {
  structure(
    class = c(paste0("mrlearn_", kind, "_", what), paste0("mrlearn_", kind), kind, "condition"),
    list(message = text, call = call, ...)
  )
}

# Raise an error of class mrlearn_error_<what>; the pieces in `...` are pasted together.
stop_mrl <- function(what, ...) {
  stop(mrl_condition("error", what, paste0(...)))
}

# The usual argument error: which argument, the rule, what came.
stop_argument <- function(arg, rule, got, what = "argument") {
  stop(mrl_condition("error", what, paste0("`", arg, "` ", rule, "; got ", got, "."),
    argument = arg
  ))
}

warn_mrl <- function(what, ...) {
  warning(mrl_condition("warning", what, paste0(...)))
}

inform_mrl <- function(what, ...) {
  message(mrl_condition("message", what, paste0(..., "\n")))
}

# The statuses that core functions return, as classed errors. `doing` says what was attempted.
check_status <- function(status, doing) {
  if (identical(status, "ok")) {
    return(invisible())
  }
  why <- switch(status,
    not_finite = "a result is not finite; rescale the variables or look for extreme values",
    singular = "a matrix is singular to working precision; look for (nearly) collinear variables",
    no_converge = "the iteration did not converge",
    too_few = "there are too few observations for the number of variables",
    no_memory = "not enough memory",
    NULL
  )
  if (is.null(why)) {
    stop_mrl("internal", "internal error while ", doing, ": status ", status, ".")
  }
  stop_mrl("numeric", "While ", doing, ": ", why, ".")
}
