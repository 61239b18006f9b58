# From what users write (a formula or matrices) to the numbers that the core takes.

# A formula's parts as sets of term labels. Two parts: `y ~ x + w | z + w` (what stands on both
# sides is exogenous); three parts: `y ~ w | x | z`; one part, where no instruments are needed:
# `y ~ x + w`.
parse_iv_formula <- function(formula, data, instruments) {
  if (!inherits(formula, "formula")) {
    stop_argument("formula", "must be a formula such as y ~ x | z", describe(formula))
  }
  f <- Formula::as.Formula(formula)
  size <- length(f)
  if (size[1] != 1L) {
    stop_mrl("formula", "`formula` must have one outcome on its left side; got ", size[1], ".")
  }
  if (size[2] > 3L) {
    stop_mrl("formula", "`formula` has ", size[2], " parts on its right side; at most 3 are ",
      "known: y ~ w | x | z (covariates, exposure, instruments).")
  }
  if (size[2] == 1L && instruments == "required") {
    stop_mrl("formula", "`formula` has no instruments: write y ~ x + w | z + w ",
      "(what stands on both sides is a covariate) or y ~ w | x | z; ",
      "iv_ols() regresses without instruments.")
  }
  part <- function(i) {
    tryCatch(stats::terms(stats::formula(f, lhs = 1, rhs = i), data = data),
      error = function(e) stop_mrl("formula", "`formula`: ", conditionMessage(e), "."))
  }
  parts <- lapply(seq_len(size[2]), part)
  if (any(vapply(parts, function(p) !is.null(attr(p, "offset")), NA))) {
    stop_mrl("formula", "`formula` has an offset; subtract it from the outcome instead.")
  }
  labels <- lapply(parts, canonical_labels)
  intercept <- attr(parts[[1]], "intercept")
  roles <- switch(size[2],
    list(exposures = names(labels[[1]]), covariates = character(), instruments = character()),
    list(
      exposures = labels_in(labels[[1]], labels[[2]], keep = FALSE),
      covariates = labels_in(labels[[1]], labels[[2]]),
      instruments = labels_in(labels[[2]], labels[[1]], keep = FALSE)
    ),
    list(exposures = names(labels[[2]]), covariates = names(labels[[1]]),
      instruments = names(labels[[3]]))
  )
  if (size[2] == 2L && attr(parts[[2]], "intercept") != intercept) {
    stop_mrl("formula", "One side of `|` in `formula` has a constant and the other has none; ",
      "write + 0 on both sides or on neither.")
  }
  check_roles(roles, if (size[2] == 3L) unlist(lapply(labels, unname)), size[2])
  list(
    formula = f, intercept = intercept == 1L, roles = roles,
    regressors = if (size[2] == 3L) c(roles$covariates, roles$exposures) else names(labels[[1]])
  )
}

# Term labels with the variables of an interaction in one order, so that a:b equals b:a; named by
# the labels as they stand.
canonical_labels <- function(terms) {
  factors <- attr(terms, "factors")
  labels <- attr(terms, "term.labels")
  if (!length(labels)) {
    return(character())
  }
  vapply(stats::setNames(labels, labels), function(label) {
    paste(sort(rownames(factors)[factors[, label] > 0]), collapse = ":")
  }, "")
}

# The labels of a whose term is (or, with keep = FALSE, is not) in b.
labels_in <- function(a, b, keep = TRUE) {
  names(a)[(a %in% b) == keep]
}

check_roles <- function(roles, all_terms, n_parts) {
  twice <- unique(all_terms[duplicated(all_terms)])
  if (length(twice)) {
    stop_mrl("formula", "In `formula` ", paste0("`", twice, "`", collapse = ", "),
      " stands in more than one part; in y ~ w | x | z each variable has one role.")
  }
  if (!length(roles$exposures)) {
    stop_mrl("formula", "`formula` names no exposure: in y ~ x + w | z + w a variable that stands ",
      "on both sides is a covariate.")
  }
  if (n_parts > 1L && !length(roles$instruments)) {
    stop_mrl("formula", "`formula` names no instrument besides the covariates.")
  }
}

# The model frame: all variables of the formula with weights and clusters, missing values kept.
# Weights, subset and cluster are looked for in the data and then where the call was made.
model_variables <- function(call, formula, env) {
  data <- eval(call$data, env)
  frame_call <- quote(stats::model.frame())
  frame_call$formula <- formula
  frame_call$data <- data
  frame_call$na.action <- quote(stats::na.pass)
  frame_call$drop.unused.levels <- TRUE
  for (name in c("subset", "weights", "cluster")) {
    value <- beside_formula(call[[name]], name, data, formula, env)
    if (name == "subset" && is.numeric(value) &&
      any(abs(value) > .Machine$integer.max, na.rm = TRUE)) {
      stop_argument("subset", "must be numbers of rows, or TRUE and FALSE", describe(value))
    }
    if (!is.null(value)) {
      frame_call[[name]] <- value
    }
  }
  tryCatch(eval(frame_call, env), error = function(e) {
    stop_mrl("formula", "The variables of `formula` cannot be put together: ",
      conditionMessage(e), ".")
  })
}

# The value of an argument that may use variables of the data. A cluster may be given as ~ family.
beside_formula <- function(expression, name, data, formula, env) {
  if (is.null(expression)) {
    return(NULL)
  }
  elsewhere <- setdiff(all.vars(expression), names(data))
  elsewhere <- elsewhere[!startsWith(elsewhere, "..")] # an argument handed on through dots
  known <- vapply(elsewhere, exists, NA, envir = env)
  where <- if (all(known)) env else environment(formula)
  value <- tryCatch(eval(expression, data, where), error = function(e) {
    stop_mrl("argument", "`", name, "` cannot be evaluated: ", conditionMessage(e), ".")
  })
  if (!inherits(value, "formula")) {
    return(value)
  }
  if (name != "cluster" || length(value) != 2L) {
    stop_argument(name, if (name == "cluster") {
      "must be a one-sided formula such as ~ family or a vector"
    } else {
      "must be a vector"
    }, deparse1(value))
  }
  groups <- lapply(all.vars(value), function(v) {
    beside_formula(as.name(v), name, data, environment(value), env)
  })
  if (length(groups) == 1L) groups[[1]] else interaction(groups, drop = TRUE)
}

# Matrices instead of a formula: written as a formula over their columns, the instruments apart.
matrices_to_formula <- function(y, x, z, w, env) {
  if (is.null(y) || is.null(x)) {
    stop_mrl("argument", "Give `formula`, or the matrices `y`, `x` and `z` (and `w`).")
  }
  y <- check_doubles(y, "y", finite = FALSE)
  n <- length(y)
  x <- numeric_columns(x, "x", n)
  w <- if (!is.null(w)) numeric_columns(w, "w", n)
  z <- if (!is.null(z)) numeric_columns(z, "z", n)
  clash <- c("y", names(x), names(w))
  if (anyDuplicated(clash)) {
    stop_argument("x", "and `w` must have different column names (and none called y)",
      paste0("`", clash[duplicated(clash)][1], "` twice"))
  }
  data <- structure(c(list(y = y), x, w), class = "data.frame", row.names = seq_len(n))
  list(data = data, exposures = names(x), covariates = names(w), z = z,
    formula = stats::as.formula(call("~", quote(y), sum_of_names(c(names(x), names(w)))),
      env = env))
}

# Names of columns as the side of a formula, none of them read as R.
sum_of_names <- function(names) {
  Reduce(function(a, b) call("+", a, b), lapply(names, as.name))
}

# A vector, matrix or data.frame as a named list of double columns.
numeric_columns <- function(x, arg, n) {
  if (length(dim(x)) == 1L) {
    x <- as.vector(x)
  }
  known <- is.numeric(x) || is.logical(x) || is.data.frame(x)
  if (isS4(x) || !known || is.factor(x) || length(dim(x)) > 2L) {
    stop_argument(arg, "must be a numeric vector, matrix or data.frame", describe(x))
  }
  if (NROW(x) != n) {
    stop_argument(arg, paste("must have as many rows as `y`,", n), paste(NROW(x), "rows"))
  }
  if (NCOL(x) == 0L) {
    stop_argument(arg, "must have at least one column", describe(x))
  }
  columns <- if (is.data.frame(x)) {
    as.list(x)
  } else if (is.null(dim(x))) {
    list(x)
  } else {
    lapply(seq_len(ncol(x)), function(j) x[, j])
  }
  names(columns) <- column_names(x, arg)
  bad <- !vapply(columns, function(v) (is.numeric(v) || is.logical(v)) && !is.factor(v), NA)
  if (any(bad)) {
    stop_argument(arg, "must have numeric columns only",
      paste0("column `", names(columns)[bad][1], "` of class ", class(columns[bad][[1]])[1]))
  }
  lapply(columns, as.double)
}

column_names <- function(x, arg) {
  given <- if (is.null(dim(x))) NULL else colnames(x)
  if (is.null(given)) {
    return(if (NCOL(x) == 1L) arg else paste0(arg, seq_len(NCOL(x))))
  }
  empty <- is.na(given) | given == ""
  given[empty] <- paste0(arg, which(empty))
  make.unique(given)
}
