# Simulations that are built step by step: parameters and variables, each from those before it.

#' Build a simulation step by step
#'
#' Starts from nothing but a number of people and adds parameters (numbers that hold for everybody)
#' and variables (a value per person), each made from those before it. Every step is drawn at once;
#' [resample()] draws all of them anew. The truth of what is built is what the steps say: no
#' assumption is checked, an instrument that reaches the outcome on a second way stays one.
#'
#' A parameter or variable is one of
#' * a law by its name, with its arguments in `...`: numbers, or formulas of what is there already;
#' * a one-sided formula, `~ 0.3 * X^2 + U`: arithmetic on what is there already;
#' * a vector of numbers: taken as it is, and not drawn anew;
#' * a function of one list, which has all that is there by name. Draws in it come from R's
#'   generator, and files do not keep it: see [write_simulation()].
#'
#' @section Laws:
#' `"normal"` (`mean = 0`, `sd = 1`), `"uniform"` (`low = 0`, `high = 1`), `"exponential"`
#' (`mean = 1`), `"beta"` (`a`, `b`, at least 0.1), `"binomial"` (`trials = 1`, `prob`); for
#' parameters also `"dirichlet"`, `size` shares of 1, all concentrations 1; for variables also
#' * `"variant"` (`frequency`): allele counts, binomial(2, frequency); a column for each frequency;
#' * `"ld"` (`frequency`, `r`): a block of variants of which each correlates with the next by `r`
#'   (one number or one for each pair of neighbours), and with one k further on by the product of
#'   the `r` between: both haplotypes are Markov chains;
#' * `"mvnormal"` (`mean`, `covariance`): a column for each mean;
#' * `"sum"` (`of`, `weights`, `intercept = 0`): the columns of the variable named `of`, weighted;
#' * `"liability"` (`index`, `cutoff = 0`): 1 where `index` + a standard normal is above `cutoff`,
#'   else 0: a binary outcome; `"logistic"` the same with a logistic noise.
#'
#' The arguments of the single laws may differ between people (`"normal", mean = ~ 0.5 * Z`).
#'
#' @section Formulas:
#' The arithmetic of [arithmetic_function()] on what is there already, vectors of one length or of
#' length 1, columns of laws with several by their names (`G1`); a string is as good. They are read
#' by that function's parser and never by R: other variables and functions are not known in them.
#'
#' @section Random numbers:
#' The core's counter-based generator, keyed by the seed and the variable's name: what is drawn does
#' not depend on the other variables, on the order of the steps or on the number of threads, and
#' the first people are the same whatever `n` is. A step renamed is a step drawn anew.
#'
#' @param n Number of people.
#' @param seed One whole number, or NULL to draw one from R's generator.
#' @param n_threads Number of threads; the result does not depend on it.
#' @param sim A simulation.
#' @param name A name that is not taken. The columns of a law with several are `name1`, `name2`, ...
#' @param value A law's name, a formula, numbers or a function, as above.
#' @param ... Arguments of the law.
#' @param size Number of draws of a parameter.
#' @param hidden Leave the variable out of [as.data.frame()]? (A confounder, say.)
#' @return An object of class `simulation`: a list with `n`, `seed`, `steps` (what was asked for)
#'   and `values` (by name: a vector, or a matrix with a row per person). `as.data.frame()` of it
#'   has the columns that are not hidden. Errors of class `mrlearn_error_argument` name the step and
#'   the argument; `mrlearn_error_numeric` is raised where a draw or a formula is not finite.
#' @references Ahrens, J. H. & Dieter, U. (1974). Computer methods for sampling from gamma, beta,
#'   Poisson and binomial distributions. Computing 12:223-246. The builder of ml-mr, after which
#'   this one is modelled: <https://github.com/legaultmarc/ml-mr>.
#' @seealso [sim_nonlinear()] and others for designs that are there ready-made.
#' @examples
#' sim <- simulation(1000, seed = 1) |>
#'   add_parameter("maf", "uniform", low = 0.2, high = 0.4, size = 5) |>
#'   add_parameter("share", "dirichlet", size = 5) |>
#'   add_parameter("effect", ~ sqrt(0.3 * share / (2 * maf * (1 - maf)))) |>
#'   add_variable("G", "variant", frequency = ~ maf) |>
#'   add_variable("U", "normal", hidden = TRUE) |>
#'   add_variable("score", "sum", of = "G", weights = ~ effect) |>
#'   add_variable("X", "normal", mean = ~ score + 0.3 * U, sd = 0.8) |>
#'   add_variable("Y", ~ 0.3 * X^2 - 0.7 * U) |>
#'   add_variable("D", "logistic", index = ~ Y, cutoff = 1)
#' sim
#' people <- as.data.frame(sim)
#' people$g <- as.matrix(people[paste0("G", 1:5)])
#' iv_2sls(Y ~ X | g, people)
#' @export
simulation <- function(n, seed = NULL) {
  structure(
    list(n = check_count(n), seed = resolve_seed(seed), steps = list(), values = list()),
    class = "simulation"
  )
}

#' @rdname simulation
#' @export
add_parameter <- function(sim, name, value, ..., size = 1, n_threads = mrl_threads()) {
  check_simulation(sim)
  step <- new_step(sim, name, value, list(...), "parameter")
  step$size <- check_count(size)
  if (step$kind != "law" && size != 1) {
    stop_argument("size", "is for parameters drawn from a law", describe(size))
  }
  add_step(sim, step, check_threads(n_threads))
}

#' @rdname simulation
#' @export
add_variable <- function(sim, name, value, ..., hidden = FALSE, n_threads = mrl_threads()) {
  check_simulation(sim)
  step <- new_step(sim, name, value, list(...), "variable")
  step$hidden <- check_flag(hidden)
  add_step(sim, step, check_threads(n_threads))
}

#' Draw a simulation anew
#'
#' All laws with another seed, all formulas and functions from what they give. Vectors stay as they
#' are.
#'
#' @inheritParams simulation
#' @param seed One whole number, or NULL to draw one from R's generator.
#' @return The [simulation()] with other values. Raises `mrlearn_error_argument` if a step was a
#'   function and the simulation was read from a file.
#' @examples
#' sim <- add_variable(simulation(5, seed = 1), "X", "normal")
#' as.data.frame(resample(sim, seed = 2))
#' @export
resample <- function(sim, seed = NULL, n_threads = mrl_threads()) {
  check_simulation(sim)
  lost <- step_names(sim)[vapply(sim$steps, function(s) s$kind == "lost", NA)]
  if (length(lost)) {
    stop_argument("sim", "must have all its steps to be drawn anew",
      paste0("functions that the file does not have: ", shorten(lost)))
  }
  out <- simulation(sim$n, resolve_seed(seed))
  for (step in sim$steps) {
    out <- add_step(out, step, check_threads(n_threads))
  }
  out
}

#' @export
as.data.frame.simulation <- function(x, row.names = NULL, optional = FALSE, ..., hidden = FALSE) {
  columns <- simulation_columns(x, check_flag(hidden))
  as.data.frame(structure(columns, row.names = .set_row_names(x$n), class = "data.frame"),
    row.names = row.names, optional = optional)
}

#' @export
print.simulation <- function(x, ...) {
  cat("Simulation of ", big(x$n), " people, seed ", format(x$seed, digits = 16), "\n", sep = "")
  for (step in x$steps) {
    cat("  ", step$name, if (step$role == "parameter") " (parameter)",
      if (isTRUE(step$hidden)) " (hidden)", " ", step_text(step), "\n", sep = "")
  }
  invisible(x)
}

# A step in words: ~ normal(mean = 0.5 * Z), = 0.3 * X^2, = 5 numbers.
step_text <- function(step) {
  shown <- function(v) {
    if (is.character(v)) {
      return(v)
    }
    if (length(v) == 1L) format(v, digits = 4) else paste("<", length(v), " numbers>", sep = "")
  }
  switch(step$kind,
    law = paste0("~ ", step$law, "(",
      paste(names(step$arguments), vapply(step$arguments, shown, ""), sep = " = ",
        collapse = ", "), ")"),
    formula = paste("=", step$formula),
    values = paste("=", big(length(step$values)), if (length(step$values) == 1L) "number" else
      "numbers"),
    "= a function"
  )
}

check_simulation <- function(sim) {
  if (!inherits(sim, "simulation")) {
    stop_argument("sim", "must be made by simulation()", describe(sim))
  }
}

step_names <- function(sim) {
  vapply(sim$steps, `[[`, "", "name")
}

# All columns of variables by their names; those of hidden ones if asked for.
simulation_columns <- function(sim, hidden = TRUE) {
  columns <- list()
  for (step in sim$steps) {
    if (step$role == "variable" && (hidden || !step$hidden)) {
      value <- sim$values[[step$name]]
      columns <- c(columns, if (is.matrix(value)) {
        stats::setNames(lapply(seq_len(ncol(value)), function(j) value[, j]), colnames(value))
      } else {
        stats::setNames(list(value), step$name)
      })
    }
  }
  columns
}

# A step as it is kept: its name and what makes it; formulas as text.
new_step <- function(sim, name, value, arguments, role) {
  check_step_name(name, sim)
  step <- list(name = name, role = role)
  if (!(is.character(value) && length(value) == 1L) && length(arguments)) {
    stop_mrl("argument", "`", name, "`: arguments are those of a law, and ", describe(value),
      " is none.")
  }
  if (inherits(value, "formula")) {
    step$kind <- "formula"
    step$formula <- formula_text(value, name)
  } else if (is.function(value)) {
    step$kind <- "function"
    step$call <- value
  } else if (is.numeric(value) || is.logical(value)) {
    step$kind <- "values"
    step$values <- check_doubles(value, name)
  } else {
    step$kind <- "law"
    step$law <- check_choice(value, law_names(role), "value")
    step$arguments <- law_arguments(step$law, arguments, name)
  }
  step
}

check_step_name <- function(name, sim) {
  check_string(name)
  if (!grepl("^[A-Za-z][A-Za-z0-9_.]*$", name) || name %in% c("TRUE", "FALSE")) {
    stop_argument("name", "must be a letter, then letters, digits, _ or .", describe(name))
  }
  if (name %in% c(step_names(sim), names(simulation_columns(sim)))) {
    stop_argument("name", "must not be taken", describe(name))
  }
}

# The simulation with a step's value, drawn or computed.
add_step <- function(sim, step, n_threads) {
  value <- step_value(sim, step, n_threads)
  if (is.matrix(value)) {
    columns <- paste0(step$name, seq_len(ncol(value)))
    taken <- intersect(columns, c(step_names(sim), names(simulation_columns(sim))))
    if (length(taken)) {
      stop_argument("name", "must leave its columns names that are not taken", shorten(taken))
    }
    colnames(value) <- columns
  }
  sim$steps <- c(sim$steps, list(step))
  sim$values[[step$name]] <- value
  sim
}
