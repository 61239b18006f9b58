# The context of iv_contextual(): from a formula or a matrix to standardised columns, also of new
# people.

# A list: `columns` (n, p) standardised, without collinear ones; `group` (p) and `terms` (names):
# to which term of the formula each column belongs; `data`, the variables; and what new rows need.
read_context <- function(call, env, context, frame) {
  if (is.null(context)) {
    stop_mrl("argument", "`context` is missing: give effect modifiers, as in ",
      "context = ~ age + sex.")
  }
  raw <- if (inherits(context, "formula")) {
    context_variables(call, env, context)
  } else {
    context_matrix(call, env, context)
  }
  formula <- raw$formula
  variables <- raw$data
  if (length(frame$dropped$rows)) {
    variables <- variables[-frame$dropped$rows, , drop = FALSE]
  }
  if (nrow(variables) != length(frame$y)) {
    stop_argument("context", paste("must have as many rows as the data,", length(frame$y)),
      paste(nrow(variables), "rows"))
  }
  check_context_variables(variables)
  check_context_roles(variables, frame, !is.null(call$formula))
  design <- context_design(formula, variables)
  design$data <- variables
  design$weights <- frame$weights
  design
}

context_variables <- function(call, env, context) {
  if (length(context) != 2L) {
    stop_argument("context", "must be a one-sided formula such as ~ age + sex, or a matrix",
      deparse1(context))
  }
  vars <- all.vars(context)
  if (!length(vars)) {
    stop_argument("context", "must name at least one variable", deparse1(context))
  }
  call$weights <- call$cluster <- NULL
  plain <- stats::reformulate(quote_name(vars), env = environment(context))
  data <- tryCatch(as_plain_frame(model_variables(call, plain, env)),
    mrlearn_error_formula = function(e) {
      stop_mrl("formula", sub("`formula`", "`context`", conditionMessage(e), fixed = TRUE))
    }
  )
  list(formula = context, data = data)
}

context_matrix <- function(call, env, context) {
  if (is.data.frame(context)) {
    data <- as.data.frame(context)
  } else {
    data <- numeric_columns(context, "context", NROW(context))
    names(data) <- make.names(names(data), unique = TRUE)
    data <- as.data.frame(data)
  }
  if (ncol(data) == 0L) {
    stop_argument("context", "must have at least one column", describe(context))
  }
  if (!is.null(call$subset)) {
    rows <- eval(call$subset, eval(call$data, env), env)
    data <- data[if (is.logical(rows)) rows & !is.na(rows) else rows, , drop = FALSE]
  }
  list(formula = stats::reformulate(quote_name(names(data)), env = baseenv()), data = data)
}

check_context_variables <- function(variables) {
  for (name in names(variables)) {
    v <- variables[[name]]
    if (!(is.numeric(v) || is.logical(v) || is.factor(v) || is.character(v))) {
      stop_argument("context", paste0("must have numeric, logical or character variables or ",
        "factors only"), paste0("`", name, "`, ", describe(v)))
    }
    if (anyNA(v) || is.numeric(v) && !all_finite(v)) {
      stop_argument("context", "must have no missing or infinite values",
        paste0(count_bad(v), " in `", name, "`"), what = "data")
    }
    if (length(unique(if (is.matrix(v)) as.vector(v) else v)) < 2L) {
      stop_argument("context", "must vary", paste0("`", name, "`, which is constant"),
        what = "data")
    }
  }
}

# Exposure and outcome are known by their names in a formula, and by their values.
check_context_roles <- function(variables, frame, by_formula) {
  exposure <- if (by_formula) all.vars(stats::reformulate(frame$design$exposure_terms))
  outcome <- if (by_formula) frame$outcome
  for (name in names(variables)) {
    v <- variables[[name]]
    same <- function(role) is.numeric(v) && identical(as.vector(v, "double"), unname(role))
    if (name %in% exposure || same(frame$x[, 1])) {
      stop_argument("context", "must not have the exposure: slopes that depend on it are curves",
        paste0("`", name, "`"))
    }
    if (name %in% outcome || same(frame$y)) {
      stop_argument("context", "must not have the outcome", paste0("`", name, "`"))
    }
  }
}

count_bad <- function(v) {
  if (is.numeric(v)) count_not_finite(v) else paste(sum(is.na(v)), "NA")
}

# The columns of a formula over variables, standardised, and how they were made.
context_design <- function(formula, variables) {
  terms <- stats::terms(formula, data = variables)
  if (!is.null(attr(terms, "offset"))) {
    stop_argument("context", "must have no offset", deparse1(formula))
  }
  attr(terms, "intercept") <- 1L
  problem <- "The variables of `context` cannot be put together"
  frame <- of_model(stats::model.frame(terms, variables, na.action = stats::na.pass), "formula",
    problem)
  terms <- attr(frame, "terms")
  full <- of_model(stats::model.matrix(terms, frame), "formula", problem)
  design <- list(
    terms = with_environment(terms, slim_environment(terms)), formula = formula,
    contrasts = attr(full, "contrasts"), xlevels = stats::.getXlevels(terms, frame)
  )
  group <- attr(full, "assign")[attr(full, "assign") > 0L]
  columns <- full[, attr(full, "assign") > 0L, drop = FALSE]
  if (!all_finite(columns)) {
    stop_argument("context", "must be finite", count_not_finite(columns), what = "data")
  }
  standardise_context(design, columns, group, attr(terms, "term.labels"))
}

standardise_context <- function(design, columns, group, labels) {
  design$center <- colMeans(columns)
  centred <- sweep(columns, 2, design$center)
  design$scale <- sqrt(colMeans(centred^2))
  flat <- design$scale <= 1e-10 * abs(design$center)
  centred <- sweep(centred, 2, ifelse(flat, 1, design$scale), "/")
  # The share of a column's variance that those before it leave, as in the factor of the core.
  decomposed <- qr(centred, tol = 1e-7)
  keep <- sort(decomposed$pivot[seq_len(decomposed$rank)])
  keep <- keep[!flat[keep]]
  gone <- setdiff(seq_along(group), keep)
  if (length(gone)) {
    inform_mrl("collinear", "Collinear and left out: context ", shorten(colnames(columns)[gone]),
      ".")
  }
  if (!length(keep)) {
    stop_argument("context", "must have a column that varies", "none", what = "data")
  }
  design$names <- colnames(columns)[keep]
  design$all_names <- colnames(columns)
  design$center <- design$center[keep]
  design$scale <- design$scale[keep]
  design$group <- match(group[keep], unique(group[keep]))
  design$term_names <- labels[unique(group[keep])]
  design$columns <- structure(as.double(centred[, keep]), dim = c(nrow(columns), length(keep)))
  design
}

# The standardised columns of new people.
context_rows <- function(design, newdata) {
  if (!is.data.frame(newdata)) {
    if (length(dim(newdata)) != 2L || is.null(colnames(newdata))) {
      stop_argument("newdata", "must be a data.frame", describe(newdata))
    }
    newdata <- as.data.frame(newdata)
  }
  if (nrow(newdata) == 0L) {
    stop_argument("newdata", "must have at least one row", "none")
  }
  missing <- setdiff(all.vars(design$formula), names(newdata))
  if (length(missing)) {
    stop_argument("newdata", paste("must have", shorten(all.vars(design$formula))),
      paste("none named", shorten(missing)))
  }
  for (name in all.vars(design$formula)) {
    check_new_variable(newdata[[name]], name, design$xlevels[[name]],
      attr(design$terms, "dataClasses")[name])
  }
  full <- of_model(
    {
      frame <- stats::model.frame(design$terms, newdata, na.action = stats::na.pass,
        xlev = design$xlevels)
      stats::model.matrix(design$terms, frame, contrasts.arg = design$contrasts)
    },
    "data", "`newdata` does not fit the context"
  )
  absent <- setdiff(design$names, colnames(full))
  if (length(absent)) {
    stop_mrl("data", "`newdata` does not fit the context: it gives no column ", shorten(absent),
      ".")
  }
  columns <- full[, design$names, drop = FALSE]
  check_newdata_finite(columns)
  columns <- sweep(sweep(columns, 2, design$center), 2, design$scale, "/")
  structure(as.double(columns), dim = dim(columns))
}

check_new_variable <- function(v, name, levels, class) {
  right <- switch(if (is.na(class)) "other" else class,
    numeric = is.numeric(v), logical = is.logical(v), TRUE
  )
  if (!right) {
    stop_argument("newdata", paste0("must have a ", class, " variable `", name, "`, as the fit"),
      describe(v))
  }
  if (anyNA(v)) {
    stop_argument("newdata", "must have no missing values", paste(sum(is.na(v)), "NA in", name),
      what = "data")
  }
  unseen <- if (!is.null(levels)) setdiff(as.character(unique(v)), levels)
  if (length(unseen)) {
    stop_argument("newdata", paste0("must have levels of `", name, "` that the fit has seen (",
      shorten(levels), ")"), shorten(unseen), what = "data")
  }
}

# A context that instruments determine moderates its own instruments: slopes cannot be told from
# their direct effects.
check_context_instruments <- function(design, frame, n_threads) {
  pattern <- instrument_patterns(frame$z)
  for (j in seq_along(design$names)) {
    column <- design$columns[, j]
    left <- regression_residuals(column, frame$z, frame$weights, n_threads)
    if (mean(left^2) < 1e-8 || is_code_of(column, frame$z) || is_same_within(column, pattern)) {
      stop_argument("context", "must not be a function of the instruments",
        paste0("`", design$names[j], "`"), what = "collinear")
    }
  }
}

# For each row the first with the same values of all instruments; nothing if no two of the first 500
# rows have them.
instrument_patterns <- function(z) {
  columns <- split_columns(z)
  first_like <- function(rows) {
    Reduce(function(first, v) {
      both <- (match(v[rows], v[rows]) - 1) * length(rows) + first
      match(both, both)
    }, columns, rep(1L, length(rows)))
  }
  n <- length(columns[[1]])
  if (anyDuplicated(first_like(seq_len(min(500L, n))))) first_like(seq_len(n)) else seq_len(n)
}

# Is a column the same wherever all instruments are? Only rows that are not alone can say so; a rare
# value might agree by chance, so that two values must have been seen some times.
is_same_within <- function(column, first) {
  again <- which(first != seq_along(first))
  length(again) > 20L && all(column[first[again]] == column[again]) &&
    sum(table(column[again]) > 2L) > 1L
}

# Is a column with few values the same wherever an instrument is?
is_code_of <- function(column, z) {
  if (length(unique(column)) > 10L) {
    return(FALSE)
  }
  few <- seq_len(min(500L, length(column)))
  code_of <- function(rows, v) {
    first <- match(v[rows], v[rows])
    all(column[rows][first] == column[rows]) && length(unique(first)) < length(rows) / 2
  }
  for (v in split_columns(z)) {
    if (code_of(few, v) && code_of(seq_along(column), v)) {
      return(TRUE)
    }
  }
  FALSE
}

# Linear terms and, for columns with more than two values, squares, orthogonal to the linear ones:
# what heterogeneity is looked for in. group: as the context's.
# own_group: squares apart from linear terms.
context_dictionary <- function(design) {
  bends <- design$bends
  squares <- max(design$group) + match(design$group[bends], unique(design$group[bends]))
  list(columns = context_base(design$columns, bends), own_group = c(design$group, squares),
    group = c(design$group, design$group[bends]))
}

context_base <- function(columns, bends) {
  cbind(columns, columns[, bends, drop = FALSE]^2)
}

# Which columns have a square that the columns do not span.
find_bends <- function(design) {
  several <- which(apply(design$columns, 2, function(v) length(unique(v)) > 2L))
  if (length(several) && nrow(design$columns) > 4L * ncol(design$columns) + 4L) {
    base <- cbind(1, design$columns)
    squares <- design$columns[, several, drop = FALSE]^2
    decomposed <- qr(cbind(base, squares), tol = 1e-7)
    kept <- decomposed$pivot[seq_len(decomposed$rank)] - ncol(base)
    return(several[sort(kept[kept > 0L])])
  }
  integer()
}
