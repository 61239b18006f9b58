# What a sweep runs: a row per run, with a seed of its own.

#' Design a sweep
#'
#' A row for each run: every combination of what is listed, or, where something is to be drawn,
#' `n_runs` rows of which each has its own draws. The rows say nothing of how they are run: see
#' [run_sweep()], which hands each column to whatever has an argument of that name.
#'
#' @param ... Named: a vector or a list of the values of one parameter (a list where values are
#'   vectors, `hidden = list(8, c(16, 8))`); `uniform()`, `log_uniform()`, `integers()` or
#'   `one_of()` to draw it; or a data.frame whose rows are tried as wholes, for settings that belong
#'   together. Its columns become columns of the design beside one of the name given, with the row's
#'   name; NA means that a row does not have the parameter.
#' @param n_runs Number of rows. NULL: all combinations, once; needed where something is drawn. With
#'   fewer rows than combinations these are a random choice, with more they come again, in a random
#'   order.
#' @param seed Of the draws and the rows' own seeds: one whole number, or NULL to draw one from R's
#'   generator. Draws are keyed by the name of the parameter and do not depend on the others.
#' @param values What is drawn from, a vector or a list.
#' @param low,high Range; of `log_uniform()` above 0; of `integers()` both can be drawn.
#' @return A data.frame of class `sweep_design`: `run`, `seed` (of the run, below 2^40) and a column
#'   for each parameter, a list where its values are vectors.
#' @examples
#' sweep_design(learning_rate = c(1e-3, 1e-2), hidden = list(8, c(16, 8)), seed = 1)
#' sweep_design(learning_rate = log_uniform(1e-4, 1e-1), n_quantiles = integers(3, 20), n_runs = 4,
#'   seed = 1)
#' cells <- data.frame(h2 = c(0.2, 0.5), n = c(1e4, 1e5), row.names = c("weak", "default"))
#' sweep_design(cell = cells, data_seed = 1:2, seed = 1)
#' @export
sweep_design <- function(..., n_runs = NULL, seed = NULL) {
  given <- list(...)
  if (!length(given) || is.null(names(given)) || any(names(given) == "")) {
    stop_argument("...", "must be named parameters with their values", describe(given))
  }
  seed <- resolve_seed(seed)
  given <- lapply(stats::setNames(nm = names(given)), function(name) {
    check_values(given[[name]], name)
  })
  check_parameter_names(given)
  drawn <- vapply(given, inherits, NA, "sweep_sampler")
  listed <- given[!drawn]
  size <- prod(vapply(listed, NROW, 1L))
  n <- number_of_runs(n_runs, size, any(drawn))
  at <- combinations(vapply(listed, NROW, 1L), grid_rows(n, size, any(drawn), seed))
  columns <- list(run = seq_len(n), seed = row_seeds(n, seed))
  for (name in names(given)) {
    columns <- c(columns, if (drawn[[name]]) {
      stats::setNames(list(draw_parameter(given[[name]], name, n, seed)), name)
    } else {
      picked_values(given[[name]], name, at[[name]])
    })
  }
  rows_apart <- names(listed)[vapply(listed, is.data.frame, NA)]
  structure(columns, row.names = .set_row_names(n), class = c("sweep_design", "data.frame"),
    labels = rows_apart, design_seed = seed)
}

#' @rdname sweep_design
#' @export
uniform <- function(low, high) {
  new_sampler("uniform", low, high)
}

#' @rdname sweep_design
#' @export
log_uniform <- function(low, high) {
  new_sampler("log_uniform", check_number(low, min = 0, open = TRUE), high)
}

#' @rdname sweep_design
#' @export
integers <- function(low, high) {
  low <- check_count(low, min = -.Machine$integer.max)
  new_sampler("integers", low, check_count(high, min = low))
}

#' @rdname sweep_design
#' @export
one_of <- function(values) {
  structure(list(law = "one_of", values = check_values(values, "values")), class = "sweep_sampler")
}

new_sampler <- function(law, low, high) {
  low <- check_number(low, "low")
  structure(list(law = law, low = low, high = check_number(high, "high", min = low)),
    class = "sweep_sampler")
}

check_values <- function(values, name) {
  ok <- inherits(values, "sweep_sampler") ||
    NROW(values) > 0L && (is.list(values) || is.atomic(values))
  if (!ok) {
    stop_argument(name, paste("must be values, rows of a data.frame, or uniform(), log_uniform(),",
      "integers() or one_of()"), describe(values))
  }
  if (is.factor(values)) as.character(values) else values
}

# The columns that the design will have are all different.
check_parameter_names <- function(given) {
  names <- c("run", "seed", names(given), unlist(lapply(given, function(v) {
    if (is.data.frame(v)) names(v)
  })))
  if (anyDuplicated(names)) {
    stop_argument(names[duplicated(names)][1], "must be the name of one parameter, not run or seed",
      "it twice")
  }
}

number_of_runs <- function(n_runs, size, drawn) {
  if (is.null(n_runs)) {
    if (drawn) {
      stop_argument("n_runs", "must be given where parameters are drawn", "NULL")
    }
    if (size > 1e6) {
      stop_argument("...", "must have at most a million combinations", format(size))
    }
    return(as.integer(size))
  }
  check_count(n_runs, max = 1e6)
}

# Numbers of the combinations, from 1: in order where all come once, else shuffled.
grid_rows <- function(n, size, drawn, seed) {
  if (n == size && !drawn) {
    return(seq_len(n))
  }
  rounds <- ceiling(n / size)
  order <- unlist(lapply(seq_len(rounds), function(k) {
    rng_draw("permutation", size, seed, k) + 1
  }))
  order[seq_len(n)]
}

# Of each combination the place in each list; the first changes fastest.
combinations <- function(sizes, rows) {
  at <- list()
  left <- rows - 1
  for (name in names(sizes)) {
    at[[name]] <- left %% sizes[[name]] + 1
    left <- left %/% sizes[[name]]
  }
  at
}

row_seeds <- function(n, seed) {
  floor(rng_draw("uniform", n, seed) * 2^40)
}

draw_parameter <- function(sampler, name, n, seed) {
  step <- list(name = paste("sweep", name), role = "parameter", law = "uniform", size = n,
    arguments = list(low = 0, high = 1))
  u <- draw_law(list(seed = seed, values = list()), step, 1L)
  if (sampler$law == "one_of") {
    return(as_column(sampler$values, floor(length(sampler$values) * u) + 1))
  }
  low <- sampler$low
  high <- sampler$high
  switch(sampler$law,
    uniform = low + (high - low) * u,
    log_uniform = exp(log(low) + (log(high) - log(low)) * u),
    integers = low + floor((high - low + 1) * u)
  )
}

picked_values <- function(values, name, at) {
  if (!is.data.frame(values)) {
    return(stats::setNames(list(as_column(values, at)), name))
  }
  c(stats::setNames(list(row.names(values)[at]), name), lapply(values, as_column, at))
}

as_column <- function(values, at) {
  if (is.list(values)) {
    return(I(unname(values[at])))
  }
  if (is.factor(values)) as.character(values)[at] else values[at]
}

# Rows and columns taken from a design are a design of the same seed.
#' @export
`[.sweep_design` <- function(x, ...) {
  out <- NextMethod()
  if (is.data.frame(out)) {
    attr(out, "labels") <- intersect(attr(x, "labels"), names(out))
    attr(out, "design_seed") <- attr(x, "design_seed")
  }
  out
}

#' @export
print.sweep_design <- function(x, n = 10L, ...) {
  n <- check_count(n, min = 0)
  cat("Design of ", big(nrow(x)), " runs\n", sep = "")
  print(utils::head(listed_text(x), n))
  if (nrow(x) > n) {
    cat("and", big(nrow(x) - n), "more\n")
  }
  invisible(x)
}

# Columns of lists as text.
listed_text <- function(x) {
  out <- as.data.frame(lapply(unclass(x)[names(x)], function(column) {
    if (!is.list(column)) {
      return(if (is.object(column)) format(column) else column)
    }
    vapply(column, function(v) paste(format(v, trim = TRUE), collapse = "-"), "")
  }), optional = TRUE)
  names(out) <- names(x)
  out
}
