# The rows that neural estimators learn from: one sample or two, and rows to predict for.

# first: the frame (iv_frame()) that has the exposure; second: that of another sample with the
# outcome, NULL if it is the same. instruments: how their columns are made of new data.
neural_samples <- function(call, env, matrices, na_genotype, stage2_data, fun) {
  if (is.null(stage2_data)) {
    first <- iv_frame(call, env, matrices, "required", na_genotype = na_genotype)
    check_exposure(first$design$exposure_terms, fun)
    second <- NULL
  } else {
    calls <- two_sample_calls(call, env, stage2_data, fun)
    first <- iv_frame(calls$first, env, matrices, "required", na_genotype = na_genotype)
    second <- of_second_sample(
      iv_frame(calls$second, env, matrices, "required", na_genotype = na_genotype)
    )
    check_same_columns(first, second)
    first$outcome <- second$outcome
    first$formula <- second$formula
  }
  if (max(first$x) == min(first$x)) {
    stop_mrl("collinear", "The exposure `", colnames(first$x), "` is constant.")
  }
  list(first = first, second = second, instruments = instrument_design(call, env, first))
}

# One exposure, as it stands: networks learn the shape.
check_exposure <- function(terms, fun) {
  if (length(terms) != 1L) {
    stop_mrl("argument", fun, "() takes one exposure; got ", length(terms), ": ", shorten(terms),
      ".")
  }
  if (!is.name(str2lang(terms))) {
    stop_mrl("argument", fun, "() learns the shape itself: give the exposure as a variable, ",
      "not as `", terms, "`.")
  }
}

check_binary_outcome <- function(frame, binary) {
  if (binary && !all(frame$y %in% c(0, 1))) {
    stop_mrl("data", "With `binary = TRUE` the outcome `", frame$outcome, "` must be 0 or 1; got ",
      format(frame$y[!frame$y %in% c(0, 1)][1]), ".")
  }
}

# The call as it stands for each sample: the first needs no outcome, the second no exposure.
two_sample_calls <- function(call, env, stage2_data, fun) {
  if (is.null(call$formula)) {
    stop_argument("stage2_data", "needs a `formula`, by which both samples are read", "matrices")
  }
  if (!is.data.frame(stage2_data)) {
    stop_argument("stage2_data", "must be a data.frame", describe(stage2_data))
  }
  formula <- eval(call$formula, env)
  data <- eval(call$data, env)
  if (inherits(formula, "formula") && "." %in% all.vars(formula)) {
    stop_argument("formula", "must name its variables where `stage2_data` is given", "`.`")
  }
  roles <- parse_iv_formula(formula, data, "required")$roles
  check_exposure(roles$exposures, fun)
  exposure <- str2lang(roles$exposures)
  check_stage2_names(formula, call, stage2_data, as.character(exposure))
  check_bases(unlist(roles[c("covariates", "instruments")]), data, environment(formula))
  first <- second <- call
  first$formula <- formula
  first$formula[[2]] <- call("I", exposure)
  stage2_data[[as.character(exposure)]] <- rep(0, nrow(stage2_data))
  second$formula <- formula
  second$data <- stage2_data
  second$subset <- NULL
  list(first = first, second = second)
}

# Everything but the exposure is in the second sample, nothing is taken from elsewhere.
check_stage2_names <- function(formula, call, stage2_data, exposure) {
  is_single <- function(name) {
    length(get0(name, environment(formula))) == 1L
  }
  for (arg in c("formula", "weights", "cluster")) {
    used <- if (arg == "formula") all.vars(formula) else all.vars(call[[arg]])
    absent <- setdiff(used, c(names(stage2_data), exposure))
    absent <- absent[!vapply(absent, is_single, NA)]
    if (length(absent)) {
      stop_argument("stage2_data", paste0("must have the variables of `", arg, "`"),
        paste("none named", shorten(absent)))
    }
    if (arg != "formula" && !is.null(call[[arg]]) && !length(used)) {
      stop_argument(arg, "must be a variable of both samples where `stage2_data` is given",
        shorten(deparse1(call[[arg]])))
    }
  }
}

# Bases whose knots or centres are chosen by the data would mean something else in each sample.
check_bases <- function(labels, data, env) {
  labels <- labels[!vapply(labels, function(v) is.name(str2lang(v)), NA)]
  if (!length(labels)) {
    return(invisible())
  }
  made <- tryCatch(
    stats::terms(stats::model.frame(stats::reformulate(labels, env = env), data)),
    error = function(e) NULL
  )
  if (!is.null(made) && !identical(attr(made, "predvars"), attr(made, "variables"))) {
    stop_argument("formula", paste("must have no terms that depend on all the rows (poly, scale,",
      "splines) where `stage2_data` is given: make columns of them"), shorten(labels))
  }
}

# Messages say which sample they are about.
of_second_sample <- function(expr) {
  withCallingHandlers(expr, mrlearn_message = function(m) {
    what <- sub("^mrlearn_message_", "", class(m)[1])
    inform_mrl(what, "In `stage2_data`: ", sub("\n$", "", conditionMessage(m)))
    invokeRestart("muffleMessage")
  })
}

check_same_columns <- function(first, second) {
  for (role in c("instruments", "covariates")) {
    a <- if (role == "instruments") first$z_names else colnames(first$w)
    b <- if (role == "instruments") second$z_names else colnames(second$w)
    if (!identical(a, b)) {
      only <- c(setdiff(a, b), setdiff(b, a))
      stop_argument("stage2_data", paste("must give the same", role, "as the first sample"),
        paste("a difference in", shorten(if (length(only)) only else b)), what = "data")
    }
  }
}

# What the core reads.
neural_data <- function(samples) {
  a <- samples$first
  b <- samples$second
  list(
    y = as.double(if (is.null(b)) a$y else b$y), x = as.double(a$x[, 1]), z = a$z, w = a$w,
    weights = a$weights, cluster = a$cluster, z2 = b$z, w2 = b$w, weights2 = b$weights,
    cluster2 = b$cluster
  )
}

# How instruments are made of new rows. plain: variables as they stand; else terms, as for
# covariates.
instrument_design <- function(call, env, frame) {
  if (is.null(call$formula)) {
    return(list(plain = TRUE, labels = frame$z_names, names = frame$z_names))
  }
  if (isTRUE(frame$is_decoded)) { # genotypes in files: new rows name the variants
    return(list(plain = TRUE, labels = frame$z_names, names = frame$z_names))
  }
  formula <- eval(call$formula, env)
  data <- eval(call$data, env)
  spec <- parse_iv_formula(formula, data, "required")
  labels <- spec$roles$instruments
  plain <- vapply(labels, function(label) {
    v <- str2lang(label)
    v <- if (is.name(v)) tryCatch(eval(v, data, environment(formula)), error = function(e) NULL)
    is.numeric(v) || is.logical(v)
  }, NA)
  if (all(plain)) {
    names <- vapply(labels, function(v) as.character(str2lang(v)), "", USE.NAMES = FALSE)
    return(list(plain = TRUE, labels = names, names = frame$z_names))
  }
  with_env <- stats::reformulate(labels, intercept = spec$intercept, env = environment(formula))
  mf <- stats::model.frame(with_env, data, na.action = stats::na.pass)
  terms <- attr(mf, "terms")
  list(
    plain = FALSE, names = frame$z_names, xlevels = stats::.getXlevels(terms, mf),
    terms = with_environment(terms, slim_environment(with_env))
  )
}

# The instruments of new rows: a double matrix with the columns that the fit knows.
instrument_rows <- function(fit, newdata) {
  design <- fit$instrument_design
  needed <- if (design$plain) design$labels else all.vars(design$terms)
  absent <- setdiff(needed, names(newdata))
  if (length(absent)) {
    stop_argument("newdata", paste("must have the instruments", shorten(needed)),
      paste("none named", shorten(absent)))
  }
  z <- if (design$plain) {
    do.call(cbind, lapply(newdata[needed], plain_columns))
  } else {
    full <- of_model(
      {
        mf <- stats::model.frame(design$terms, newdata, na.action = stats::na.pass,
          xlev = design$xlevels)
        stats::model.matrix(design$terms, mf)
      },
      "data", "`newdata` does not fit the instruments"
    )
    full[, attr(full, "assign") > 0L, drop = FALSE]
  }
  if (ncol(z) != length(design$names)) {
    stop_argument("newdata", paste("must have", length(design$names), "columns of instruments"),
      ncol(z))
  }
  check_newdata_finite(z)
  structure(as.double(z), dim = dim(z))
}

plain_columns <- function(v) {
  if (!is.numeric(v) && !is.logical(v)) {
    stop_argument("newdata", "must have numeric instruments", describe(v))
  }
  if (is.matrix(v)) unclass(v) else matrix(as.double(v))
}
