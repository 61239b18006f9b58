# The numbers of an instrumental-variable problem: what every iv_*() estimator starts from.

# call, env: the matched call of the estimator and where it was made. matrices: list(y, x, z, w) of
# values. instruments: "required" or "none". Returns a list:
#   y (n), x (n, kx), w (n, kw), z (a list of double vectors and matrices with n rows) with
#   z_names; intercept, weights, cluster (1..G), n_cluster; names of everything; rows dropped and
#   genotypes imputed; `design`, from which rows for prediction are made; `model`, the variables.
# Instruments opened by bed() are joined by the call's `id`; with `stream` they stay in their files:
# z is NULL, `beds` has them with their people in the frame's order, `bed_stats` what bed_stats()
# says of them. Else they are decoded into z.
iv_frame <- function(call, env, matrices, instruments = "required",
                     na_genotype = "impute", stream = FALSE) {
  na_genotype <- check_choice(na_genotype, c("impute", "drop", "error"), "na_genotype")
  if (!is.null(call$formula)) {
    given <- names(matrices)[!vapply(matrices, is.null, NA)]
    if (length(given)) {
      stop_mrl("argument", "Give either `formula` or matrices, not both: ",
        paste0("`", given, "`", collapse = ", "), " came with `formula`.")
    }
    formula <- eval(call$formula, env)
    data <- eval(call$data, env)
    if (!is.null(data) && !is.data.frame(data) && !is.list(data) && !is.environment(data)) {
      stop_argument("data", "must be a data.frame", describe(data))
    }
    spec <- parse_iv_formula(formula, data, instruments)
    beds <- bed_variables(spec, data, environment(formula))
    if (!is.null(beds)) {
      spec <- without_instruments(spec, formula)
    }
    mf <- model_variables(call, spec$formula, env)
    extra_z <- NULL
  } else {
    beds <- if (inherits(matrices$z, "mrl_bed")) list(z = matrices$z)
    matrices["z"] <- list(if (is.null(beds)) matrices$z)
    m <- do.call(matrices_to_formula, c(matrices, list(env = env)))
    if (instruments == "required" && is.null(m$z) && is.null(beds)) {
      stop_mrl("argument", "`z` (the instruments) is missing; iv_ols() regresses without them.")
    }
    call$data <- m$data
    spec <- list(
      formula = Formula::as.Formula(m$formula), intercept = TRUE,
      roles = list(exposures = quote_name(m$exposures), covariates = quote_name(m$covariates)),
      regressors = quote_name(c(m$exposures, m$covariates))
    )
    mf <- model_variables(call, spec$formula, env)
    extra_z <- subset_columns(m$z, call, env)
  }
  if (is.null(beds) || instruments == "none") {
    return(frame_from_variables(spec, mf, extra_z, call, env, na_genotype, instruments))
  }
  all_rows <- if (is.null(call$subset)) row.names(mf) else row.names(eval(call$data, env))
  mf[["(id)"]] <- join_people(call, env, beds, length(all_rows), match(row.names(mf), all_rows))
  frame <- frame_from_variables(spec, mf, NULL, call, env, na_genotype, "none")
  with_genotypes(frame, beds, stream, na_genotype, spec)
}

quote_name <- function(names) {
  vapply(names, function(v) deparse1(as.name(v), backtick = TRUE), "", USE.NAMES = FALSE)
}

subset_columns <- function(z, call, env) {
  if (is.null(z) || is.null(call$subset)) {
    return(z)
  }
  rows <- eval(call$subset, call$data, env)
  if (is.logical(rows)) {
    rows <- rows & !is.na(rows)
  }
  lapply(z, function(v) v[rows])
}

frame_from_variables <- function(spec, mf, extra_z, call, env, na_genotype, instruments) {
  mf_terms <- attr(mf, "terms")
  z_vars <- if (is.null(extra_z)) instrument_variables(spec, mf) else extra_z
  check_variable_types(mf, mf_terms, names(z_vars))
  genotype <- genotype_holes(z_vars, na_genotype)
  dropped <- rows_to_drop(mf, z_vars, genotype, call, env)
  if (length(dropped$rows)) {
    mf <- mf[-dropped$rows, , drop = FALSE]
    attr(mf, "terms") <- mf_terms
    z_vars <- lapply(z_vars, drop_rows, dropped$rows)
  }
  if (nrow(mf) == 0L) {
    stop_mrl("data", "No row is left to estimate from",
      if (length(dropped$rows)) paste0(": ", dropped$text), ".")
  }
  imputed <- impute_genotypes(z_vars, genotype)
  y <- outcome_vector(mf)
  regressors <- regressor_matrix(spec, mf)
  instrument <- if (instruments == "none") {
    list(columns = NULL, names = character())
  } else if (is.null(extra_z)) {
    instrument_columns(spec, mf, imputed$z)
  } else {
    list(columns = imputed$z, names = names(imputed$z))
  }
  groups <- cluster_ids(mf[["(cluster)"]])
  frame <- list(
    y = y, x = regressors$x, w = regressors$w, z = instrument$columns, z_names = instrument$names,
    intercept = spec$intercept, coef_names = regressors$names,
    outcome = deparse1(attr(mf_terms, "variables")[[2]]),
    weights = if (!is.null(mf[["(weights)"]])) as.double(mf[["(weights)"]]),
    cluster = groups$id, n_cluster = groups$n,
    cluster_name = cluster_label(call),
    position = mf[["(id)"]],
    row_names = rows_apart(mf),
    dropped = dropped, imputed = imputed$report,
    design = regressors$design,
    formula = with_environment(stats::formula(spec$formula), environment(regressors$design$terms)),
    model = raw_variables(spec, mf, call, env, dropped$rows)
  )
  check_frame(frame)
  frame
}

# The variables (columns of the model frame) that only the instruments use.
instrument_variables <- function(spec, mf) {
  if (!length(spec$roles$instruments)) {
    return(list())
  }
  in_terms <- function(labels) {
    if (!length(labels)) {
      return(character())
    }
    t <- stats::terms(stats::reformulate(labels))
    vapply(as.list(attr(t, "variables"))[-1L], deparse1, "", backtick = TRUE)
  }
  vars <- setdiff(in_terms(spec$roles$instruments), in_terms(spec$regressors))
  unclass(mf)[intersect(vars, names(mf))]
}

check_variable_types <- function(mf, mf_terms, z_names) {
  for (name in setdiff(names(mf), c("(cluster)", "(weights)", "(id)"))) {
    v <- mf[[name]]
    known <- is.numeric(v) || is.logical(v) || is.factor(v) || is.character(v)
    if (!known || isS4(v) && !is.numeric(v)) {
      stop_mrl("data", "Variable `", name, "` must be numeric, logical, a factor or character; ",
        "got ", describe(v), ".")
    }
  }
  weights <- mf[["(weights)"]]
  fine <- (is.numeric(weights) || is.logical(weights)) && length(weights) == nrow(mf)
  if (!is.null(weights) && !fine) {
    stop_argument("weights", "must be a numeric vector", describe(weights))
  }
  y <- mf[[1L]] # model.response() would copy it with the row names
  name <- deparse1(attr(mf_terms, "variables")[[2]])
  if (is.factor(y) || is.character(y)) {
    stop_mrl("data", "The outcome `", name, "` must be numeric; got ", describe(y),
      ". Code a binary outcome as 0 and 1: the effect is then a risk difference.")
  }
  if (!is.null(dim(y)) && ncol(y) != 1L) {
    stop_mrl("data", "The outcome `", name, "` must be one column; got ", ncol(y), ".")
  }
}

outcome_vector <- function(mf) {
  as.double(mf[[1L]])
}

# The value of R's own functions for models, which know nothing of our errors.
of_model <- function(value, type = "formula", problem = "The terms of `formula` make no columns") {
  tryCatch(value, error = function(e) {
    stop_mrl(type, problem, ": ", conditionMessage(e), ".")
  })
}

# The design of the structural equation: exposures x and covariates w, the constant apart.
regressor_matrix <- function(spec, mf) {
  terms <- stats::terms(stats::reformulate(spec$regressors, intercept = spec$intercept))
  terms <- stats::delete.response(carry_predvars(terms, attr(mf, "terms")))
  full <- of_model(stats::model.matrix(terms, mf))
  labels <- unname(canonical_labels(terms))[attr(full, "assign")[attr(full, "assign") > 0L]]
  columns <- full[, attr(full, "assign") > 0L, drop = FALSE]
  is_exposure <- labels %in% canonical_labels_of(spec$roles$exposures)
  list(
    x = columns[, is_exposure, drop = FALSE], w = columns[, !is_exposure, drop = FALSE],
    names = colnames(full),
    design = list(
      terms = with_environment(terms, slim_environment(spec$formula)),
      contrasts = attr(full, "contrasts"),
      xlevels = stats::.getXlevels(terms, mf), exposure_terms = spec$roles$exposures
    )
  )
}

canonical_labels_of <- function(labels) {
  if (!length(labels)) character() else canonical_labels(stats::terms(stats::reformulate(labels)))
}

with_environment <- function(formula, env) {
  environment(formula) <- env
  formula
}

# Where a formula was made, without the data there: a fit is saved with this environment, and must
# not drag genotypes along. Functions and single values that the formula uses are kept.
slim_environment <- function(formula) {
  env <- environment(formula)
  if (identical(env, globalenv()) || isNamespace(env)) {
    return(env)
  }
  slim <- new.env(parent = globalenv())
  for (name in all.names(formula, unique = TRUE)) {
    value <- get0(name, env)
    home <- if (is.function(value)) environment(value)
    is_own <- is.function(value) && !is.null(home) && !isNamespace(home)
    if (is_own || is.atomic(value) && length(value) == 1L) {
      assign(name, value, envir = slim)
    }
  }
  slim
}

# Data-dependent bases (poly, splines) keep the knots they were made with.
carry_predvars <- function(terms, from) {
  vars <- vapply(as.list(attr(terms, "variables"))[-1L], deparse1, "", backtick = TRUE)
  from_vars <- vapply(as.list(attr(from, "variables"))[-1L], deparse1, "", backtick = TRUE)
  at <- match(vars, from_vars)
  predvars <- attr(from, "predvars")
  if (!is.null(predvars) && !anyNA(at)) {
    attr(terms, "predvars") <- as.call(c(quote(list), as.list(predvars)[-1L][at]))
  }
  attr(terms, "dataClasses") <- attr(from, "dataClasses")[vars]
  terms
}

# Instruments as they stand where they are plain numbers (no copy of a large genotype matrix), else
# through a model matrix (factors, interactions, functions).
instrument_columns <- function(spec, mf, z_vars) {
  labels <- spec$roles$instruments
  mf[names(z_vars)] <- z_vars
  plain <- labels %in% names(mf) &
    vapply(labels, function(v) is.numeric(mf[[v]]) || is.logical(mf[[v]]), NA)
  if (all(plain)) {
    columns <- lapply(labels, function(v) {
      x <- mf[[v]]
      if (!is.double(x) || is.object(x)) as_plain_double(x) else x
    })
    names <- unlist(lapply(labels, function(v) {
      x <- mf[[v]]
      if (is.null(dim(x))) v else column_names(x, v)
    }))
    return(list(columns = columns, names = make.unique(names)))
  }
  terms <- stats::terms(stats::reformulate(labels, intercept = spec$intercept))
  full <- of_model(stats::model.matrix(terms, mf))
  full <- full[, attr(full, "assign") > 0L, drop = FALSE]
  list(columns = list(full), names = colnames(full))
}

as_plain_double <- function(x) {
  structure(as.double(x), dim = dim(x))
}

cluster_ids <- function(cluster) {
  if (is.null(cluster)) {
    return(list(id = NULL, n = 0L))
  }
  id <- match(cluster, unique(cluster))
  list(id = id, n = max(id, 0L))
}

cluster_label <- function(call) {
  if (is.null(call$cluster)) {
    return(NULL)
  }
  label <- sub("^~", "", deparse1(call$cluster))
  if (grepl("^\\.\\.[0-9]+$", label)) "cluster" else label # came through a wrapper's dots
}

# The variables behind the regressors, as they came: rows to predict from are made of these.
raw_variables <- function(spec, mf, call, env, dropped) {
  vars <- all.vars(stats::reformulate(spec$regressors))
  if (all(vars %in% names(mf))) {
    return(as_plain_frame(mf[vars]))
  }
  call$weights <- call$cluster <- NULL
  formula <- stats::reformulate(quote_name(vars), env = environment(spec$formula))
  raw <- tryCatch(model_variables(call, formula, env),
    error = function(e) NULL
  )
  if (is.null(raw) || nrow(raw) != nrow(mf) + length(dropped)) {
    return(NULL)
  }
  as_plain_frame(if (length(dropped)) raw[-dropped, , drop = FALSE] else raw)
}

as_plain_frame <- function(x) {
  attr(x, "terms") <- NULL
  x
}

all_finite <- function(x) {
  is.finite(sum(x)) || all(is.finite(x))
}

check_frame <- function(frame) {
  n <- length(frame$y)
  check_finite_role(frame$y, "The outcome", frame$outcome)
  for (role in c("x", "w")) {
    for (name in colnames(frame[[role]])) {
      label <- if (role == "x") "The exposure" else "The covariate"
      check_finite_role(frame[[role]][, name], label, name)
    }
  }
  for (i in seq_along(frame$z)) {
    if (!all_finite(frame$z[[i]])) {
      bad <- which(!vapply(split_columns(frame$z), all_finite, NA))[1]
      check_finite_role(split_columns(frame$z)[[bad]], "The instrument", frame$z_names[bad])
    }
  }
  if (!is.null(frame$weights)) {
    check_finite_role(frame$weights, "The weights", "weights")
    if (any(frame$weights < 0)) {
      stop_mrl("data", "`weights` must not be negative; got ", min(frame$weights), ".")
    }
  }
  if (!is.null(frame$cluster) && frame$n_cluster < 2L) {
    stop_mrl("data", "`cluster` must have at least 2 groups; got ", frame$n_cluster, ".")
  }
  if (n < 2L) {
    stop_mrl("data", "At least 2 rows are needed; got ", n, ".")
  }
}

split_columns <- function(z) {
  unlist(lapply(z, function(v) {
    if (is.null(dim(v))) list(v) else lapply(seq_len(ncol(v)), function(j) v[, j])
  }), recursive = FALSE)
}

check_finite_role <- function(v, role, name) {
  if (!all_finite(v)) {
    stop_mrl("data", role, " `", name, "` must be finite; got ", count_not_finite(v), ".")
  }
}
