# Settings that many functions share: threads, seeds, confidence level.

#' Number of threads
#'
#' The number of threads that compiled code uses by default: the option `mrlearn.threads`, else 2;
#' always 1 in a forked child, where a thread pool would be unsafe. Results never depend on it.
#'
#' @return A whole number, at least 1.
#' @examples
#' mrl_threads()
#' @export
mrl_threads <- function() {
  if (is_forked()) {
    return(1L)
  }
  check_count(getOption("mrlearn.threads", 2L), "getOption(\"mrlearn.threads\")", max = 1024)
}

the <- new.env(parent = emptyenv())

is_forked <- function() {
  !identical(Sys.getpid(), the$pid)
}

check_threads <- function(n_threads, arg = "n_threads") {
  if (is_forked()) 1L else check_count(n_threads, arg, max = 1024)
}

# A seed is a whole number of at most 53 bits, so that a double holds it. NULL draws one from R's
# generator (so set.seed() rules); a number is used as it is and leaves .Random.seed alone.
resolve_seed <- function(seed, arg = "seed") {
  if (is.null(seed)) {
    words <- floor(stats::runif(2) * c(2^21, 2^32))
    return(words[1] * 2^32 + words[2])
  }
  if (!is.numeric(seed) || length(seed) != 1L || !is.finite(seed) || seed != round(seed) ||
    abs(seed) > 2^53) {
    stop_argument(arg, "must be NULL or one whole number of at most 2^53", describe(seed))
  }
  as.double(seed)
}

check_conf_level <- function(conf_level) {
  check_number(conf_level, "conf_level", min = 0, max = 1, open = TRUE)
}

# -1: the best instruction set that the CPU has; the option is for tests and comparisons.
isa_setting <- function() {
  isa <- getOption("mrlearn.isa", "best")
  choices <- c("best", "portable", "avx2", "avx512")
  match(check_choice(isa, choices, "getOption(\"mrlearn.isa\")"), choices) - 2L
}

# The name of the instruction set that will be used; recorded in each fit.
isa_used <- function(isa = isa_setting()) {
  .Call(C_isa_name, list(isa = isa))
}

.onLoad <- function(libname, pkgname) {
  the$pid <- Sys.getpid()
}
