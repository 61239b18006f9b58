# What a step of a simulation gives: draws of laws in the core, formulas, functions.

# The laws' arguments with their defaults (NULL: must be given). code: the core's law, NULL for
# those that are made from others here.
laws <- list(
  normal = list(code = 0L, arguments = list(mean = 0, sd = 1)),
  uniform = list(code = 1L, arguments = list(low = 0, high = 1)),
  exponential = list(code = 2L, arguments = list(mean = 1)),
  beta = list(code = 3L, arguments = list(a = NULL, b = NULL)),
  binomial = list(code = 4L, arguments = list(trials = 1, prob = NULL)),
  variant = list(code = 5L, arguments = list(frequency = NULL)),
  ld = list(code = 6L, arguments = list(frequency = NULL, r = NULL)),
  mvnormal = list(code = 7L, arguments = list(mean = NULL, covariance = NULL)),
  sum = list(arguments = list(of = NULL, weights = NULL, intercept = 0)),
  liability = list(arguments = list(index = NULL, cutoff = 0)),
  logistic = list(arguments = list(index = NULL, cutoff = 0)),
  dirichlet = list(arguments = list())
)
single_laws <- c("normal", "uniform", "exponential", "beta", "binomial")

law_names <- function(role) {
  if (role == "parameter") c(single_laws, "dirichlet") else setdiff(names(laws), "dirichlet")
}

# Given arguments, checked by name, with the defaults; formulas as text.
law_arguments <- function(law, given, step) {
  known <- laws[[law]]$arguments
  if (length(given) && (is.null(names(given)) || any(names(given) == ""))) {
    stop_mrl("argument", "`", step, "`: name the arguments of \"", law, "\": ",
      shorten(names(known)), ".")
  }
  unknown <- setdiff(names(given), names(known))
  absent <- setdiff(names(known)[vapply(known, is.null, NA)], names(given))
  if (length(unknown) || length(absent)) {
    wrong <- list("unknown" = unknown, "not given" = absent)
    wrong <- wrong[lengths(wrong) > 0L][1]
    stop_mrl("argument", "`", step, "`: \"", law, "\" has the arguments ", shorten(names(known)),
      "; ", names(wrong), ": ", shorten(wrong[[1]]), ".")
  }
  known[names(given)] <- lapply(names(given), function(name) {
    value <- given[[name]]
    if (name == "of") {
      return(check_string(value, "of"))
    }
    if (inherits(value, "formula") || is.character(value)) {
      return(formula_text(value, name))
    }
    if (!is.numeric(value) || !length(value) || any(!is.finite(value))) {
      stop_argument(name, paste0("of `", step, "` must be finite numbers or a one-sided formula"),
        describe(value))
    }
    if (is.matrix(value)) value + 0 else as.double(value)
  })
  known
}

# What a step gives: for a parameter a vector, for a variable a vector or matrix of n rows.
step_value <- function(sim, step, n_threads) {
  value <- switch(step$kind,
    law = draw_law(sim, step, n_threads),
    formula = formula_value(step$formula, sim$values, step$name),
    `function` = step$call(sim$values),
    step$values
  )
  if (!is.numeric(value) && !is.logical(value)) {
    stop_argument(step$name, "must give numbers", describe(value))
  }
  storage.mode(value) <- "double"
  if (any(!is.finite(value))) {
    stop_mrl("numeric", "`", step$name, "` is not finite for ", sum(!is.finite(value)), " of ",
      length(value), " values.")
  }
  if (step$role == "parameter") {
    return(as.vector(value))
  }
  if (length(value) == 1L) {
    value <- rep(as.vector(value), sim$n)
  }
  if (NROW(value) != sim$n) {
    stop_argument(step$name, paste("must have a value for each of", sim$n, "people"),
      describe(value))
  }
  if (NCOL(value) > 1L) unname(value) else as.vector(value)
}

# A law's arguments as numbers.
argument_values <- function(sim, step) {
  lapply(stats::setNames(nm = names(step$arguments)), function(name) {
    value <- step$arguments[[name]]
    if (is.character(value) && name != "of") {
      formula_value(value, sim$values, paste0(step$name, "`, `", name))
    } else {
      value
    }
  })
}

draw_law <- function(sim, step, n_threads) {
  v <- argument_values(sim, step)
  n <- if (step$role == "parameter") step$size else sim$n
  if (is.null(laws[[step$law]]$code)) {
    return(derived_law(sim, step, v, n_threads))
  }
  ready <- if (step$law %in% single_laws) single_arguments(step, v, n) else
    several_arguments(step, v)
  settings <- list(n = n, k = ready$k, law = laws[[step$law]]$code, name = step$name,
    seed = sim$seed, n_threads = n_threads)
  out <- .Call(C_sim_variable, ready$a, ready$b, settings)
  check_status(out$status, paste0("drawing `", step$name, "`"))
  if (ready$k == 1L) out$value[, 1] else out$value
}

check_rule <- function(ok, step, name, rule, value) {
  if (!all(ok)) {
    stop_argument(name, paste0("of `", step$name, "` (\"", step$law, "\") must be ", rule),
      if (length(value) == 1L) format(value, digits = 6) else format(value[!ok][1], digits = 6))
  }
}

single_arguments <- function(step, v, n) {
  for (name in names(v)) {
    if (!length(v[[name]]) %in% c(1L, n)) {
      stop_argument(name, paste0("of `", step$name, "` must have 1 value or ", n),
        describe(v[[name]]))
    }
  }
  rule <- function(name, ok, text) check_rule(ok, step, name, text, v[[name]])
  switch(step$law,
    normal = rule("sd", v$sd >= 0, "at least 0"),
    uniform = rule("high", rep_len(v$high >= v$low, length(v$high)), "at least `low`"),
    exponential = rule("mean", v$mean > 0, "above 0"),
    beta = {
      rule("a", v$a >= 0.1, "at least 0.1")
      rule("b", v$b >= 0.1, "at least 0.1")
    },
    binomial = {
      rule("trials", v$trials >= 0 & v$trials == round(v$trials) & v$trials < 2^31,
        "whole numbers of at least 0")
      rule("prob", v$prob >= 0 & v$prob <= 1, "within 0 and 1")
    }
  )
  list(a = as.double(v[[1]]), b = if (length(v) > 1L) as.double(v[[2]]) else 0, k = 1L)
}

several_arguments <- function(step, v) {
  if (step$law == "mvnormal") {
    return(mvnormal_arguments(step, v))
  }
  p <- as.double(v$frequency)
  k <- length(p)
  inside <- if (step$law == "ld") p > 0 & p < 1 else p >= 0 & p <= 1
  check_rule(inside, step, "frequency", "within 0 and 1", p)
  b <- numeric()
  if (step$law == "ld") {
    r <- as.double(v$r)
    if (!length(r) %in% c(1L, k - 1L)) {
      stop_argument("r", paste0("of `", step$name, "` must have 1 value or ", k - 1L), describe(r))
    }
    b <- linked_odds(step, p, rep_len(r, max(k - 1L, 0L)))
  }
  list(a = p, b = b, k = k)
}

# P(allele | none, one on the haplotype in the column before), 2 per column.
linked_odds <- function(step, p, r) {
  k <- length(p)
  odds <- matrix(0, 2L, k)
  for (j in seq_len(k - 1L) + 1L) {
    before <- p[j - 1L]
    both <- before * p[j] + r[j - 1L] * sqrt(before * (1 - before) * p[j] * (1 - p[j]))
    odds[, j] <- c((p[j] - both) / (1 - before), both / before)
    rounding <- 1e-12
    check_rule(all(odds[, j] >= -rounding & odds[, j] <= 1 + rounding), step, "r",
      paste0("possible for the frequencies ", format(before, digits = 4), " and ",
        format(p[j], digits = 4)), r[j - 1L])
  }
  as.vector(pmin(pmax(odds, 0), 1))
}

mvnormal_arguments <- function(step, v) {
  k <- length(v$mean)
  covariance <- v$covariance
  if (k > 1000L || length(covariance) != k^2) {
    stop_argument("covariance", paste0("of `", step$name, "` must have ", k, " rows and columns ",
      "(at most 1000), as there are ", k, " means"), describe(covariance))
  }
  covariance <- matrix(covariance, k)
  root <- if (isSymmetric(covariance)) {
    tryCatch(t(chol(covariance)), error = function(e) NULL)
  }
  if (is.null(root)) {
    stop_argument("covariance", paste0("of `", step$name, "` must be symmetric and positive ",
      "definite"), describe(covariance))
  }
  list(a = as.double(v$mean), b = as.double(root), k = k)
}

derived_law <- function(sim, step, v, n_threads) {
  if (step$law == "sum") {
    return(weighted_columns(sim, step, v))
  }
  # Draws of another law under the step's name.
  base <- step
  base$law <- c(dirichlet = "exponential", liability = "normal", logistic = "uniform")[[step$law]]
  base$arguments <- laws[[base$law]]$arguments
  e <- draw_law(sim, base, n_threads)
  switch(step$law,
    dirichlet = e / sum(e),
    liability = as.double(v$index + e > v$cutoff),
    logistic = as.double(v$index + stats::qlogis(e) > v$cutoff)
  )
}

weighted_columns <- function(sim, step, v) {
  x <- sim$values[[v$of]]
  if (is.null(x) || NROW(x) != sim$n) {
    stop_argument("of", paste0("of `", step$name, "` must be a variable that is there"),
      describe(v$of))
  }
  x <- as.matrix(x)
  if (!length(v$weights) %in% c(1L, ncol(x))) {
    stop_argument("weights", paste0("of `", step$name, "` must have 1 value or ", ncol(x)),
      describe(v$weights))
  }
  weights <- rep_len(v$weights, ncol(x))
  out <- rep_len(v$intercept, sim$n)
  for (j in seq_len(ncol(x))) { # in one order, on any number of threads
    out <- out + weights[j] * x[, j]
  }
  out
}

# A formula's right side as text, or the text itself.
formula_text <- function(formula, arg) {
  if (is.character(formula)) {
    return(check_string(formula, arg))
  }
  if (length(formula) != 2L) {
    stop_argument(arg, "must be a one-sided formula such as ~ 0.3 * X^2", deparse1(formula))
  }
  paste(deparse(formula[[2]], width.cutoff = 500L), collapse = " ")
}

# Arithmetic on values by their names, vectors of one length or of length 1.
formula_value <- function(text, values, arg) {
  used <- unique(regmatches(text, gregexpr("[A-Za-z_][A-Za-z0-9_.]*", text))[[1]])
  columns <- named_columns(values, used)
  n <- max(1L, lengths(columns))
  odd <- names(columns)[!lengths(columns) %in% c(1L, n)]
  if (length(odd)) {
    stop_argument(arg, "must be arithmetic of vectors of one length, or of length 1",
      paste0("`", odd[1], "` of length ", length(columns[[odd[1]]])))
  }
  evaluate_arithmetic(text, names(columns), lapply(columns, rep_len, n), arg)
}

# Those of the values, and of the columns of the matrices among them, that have one of the names.
named_columns <- function(values, names) {
  out <- values[intersect(names(values), names)]
  out <- out[!vapply(out, is.matrix, NA)]
  for (value in values[vapply(values, is.matrix, NA)]) {
    for (name in intersect(colnames(value), names)) {
      out[[name]] <- value[, name]
    }
  }
  out
}
