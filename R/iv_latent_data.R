# The data of iv_latent(): environments, instruments, folds.

# The environment of each row of the frame: a factor without empty levels.
read_environment <- function(call, env, environment, frame) {
  if (is.null(environment)) {
    stop_mrl("argument", "`environment` is missing: say from which population each row comes, as ",
      "in environment = ~ pop.")
  }
  value <- if (inherits(environment, "formula")) {
    environment_variable(call, env, environment)
  } else {
    environment_vector(call, env, environment)
  }
  if (length(frame$dropped$rows)) {
    value <- value[-frame$dropped$rows]
  }
  if (length(value) != length(frame$y)) {
    stop_argument("environment", paste("must have a value for each row of the data,",
      length(frame$y)), paste(length(value), "values"))
  }
  if (anyNA(value)) {
    stop_argument("environment", "must have no missing values", paste(sum(is.na(value)), "NA"),
      what = "data")
  }
  droplevels(as.factor(value))
}

environment_variable <- function(call, env, environment) {
  vars <- all.vars(environment)
  if (length(environment) != 2L || length(vars) != 1L || !is.name(environment[[2]])) {
    stop_argument("environment", "must be a one-sided formula with one variable, such as ~ pop",
      deparse1(environment))
  }
  context_variables(call, env, environment)$data[[1]]
}

environment_vector <- function(call, env, environment) {
  known <- is.factor(environment) || is.character(environment) || is.numeric(environment) ||
    is.logical(environment)
  if (!known || !is.null(dim(environment))) {
    stop_argument("environment", "must be a formula such as ~ pop, or a vector",
      describe(environment))
  }
  if (is.null(call$subset)) {
    return(environment)
  }
  rows <- eval(call$subset, eval(call$data, env), env)
  environment[if (is.logical(rows)) rows & !is.na(rows) else rows]
}

# What is estimated from: frame; z (n, dz), linearly independent instruments; all_z, those that
# vary; environment, 1..E (n), with its `labels`; fold, 1..cross_fit (n).
latent_problem <- function(frame, environment, how) {
  z <- do.call(cbind, lapply(frame$z, as.matrix))
  colnames(z) <- frame$z_names
  check_environments(environment, how)
  z <- impute_by_environment(z, environment, frame$imputed)
  constant <- apply(z, 2L, function(v) all(v == v[1]))
  if (any(constant)) {
    inform_mrl("collinear", "Constant and left out: instruments ",
      shorten(frame$z_names[constant]), ".")
  }
  z <- z[, !constant, drop = FALSE]
  tell_monomorphic(z, environment)
  all_z <- z
  z <- z[, full_rank_columns(z), drop = FALSE]
  if (sum(how$latent_dim) > ncol(z)) {
    stop_argument("latent_dim", paste("must ask for at most as many latents as there are",
      "linearly independent instruments,", ncol(z)), paste(sum(how$latent_dim), "latents"))
  }
  codes <- as.integer(environment)
  list(frame = frame, z = z, all_z = all_z, environment = codes, labels = levels(environment),
    fold = latent_folds(codes, frame$cluster, how))
}

# A variant of one genotype in some environments is one in which they differ: that is told.
tell_monomorphic <- function(z, environment) {
  if (!ncol(z)) {
    return(invisible())
  }
  alone <- apply(z, 2L, function(v) tapply(v, environment, function(part) all(part == part[1])))
  if (any(alone)) {
    at <- which(alone, arr.ind = TRUE)
    inform_mrl("monomorphic", "Constant in one environment: instruments ",
      paste0("`", colnames(z)[at[, 2]], "` (in `", levels(environment)[at[, 1]], "`)",
        collapse = ", "), ". The environments differ in them, which makes them invalid.")
  }
}

# As many columns as the rank, in their order: those that a linear function of the others gives say
# nothing more, and a flow needs as many instruments as latents.
full_rank_columns <- function(z) {
  correlation <- crossprod(scale(z)) / (nrow(z) - 1)
  pivoted <- suppressWarnings(chol(correlation, pivot = TRUE, tol = 1e-10))
  sort(attr(pivoted, "pivot")[seq_len(attr(pivoted, "rank"))])
}

check_environments <- function(environment, how) {
  sizes <- table(environment)
  if (length(sizes) < 2L) {
    stop_argument("environment", "must have at least 2 values", paste("only",
      shorten(names(sizes))), what = "data")
  }
  needed <- 10L * sum(how$latent_dim) * max(1, how$cross_fit / 2)
  small <- sizes < needed
  if (any(small)) {
    stop_mrl("data", "Each environment must have at least ", needed, " rows",
      if (how$cross_fit > 1L) paste0(" for ", how$cross_fit, " folds"), "; ",
      paste0("`", names(sizes)[small], "` has ", sizes[small], collapse = ", "),
      ". Join it to another or leave it out.")
  }
}

# Missing genotypes came imputed to the mean of all people, which pulls the environments together:
# they get the mean of their own environment. Rates that differ are told.
impute_by_environment <- function(z, environment, imputed) {
  for (name in imputed$instrument) {
    hole <- !z[, name] %in% 0:2
    rate <- tapply(hole, environment, mean)
    if (any(rate == 1)) {
      stop_mrl("data", "Instrument `", name, "` has no value in environment `",
        names(rate)[rate == 1][1], "`.")
    }
    if (max(rate) - min(rate) > 0.05) {
      warn_mrl("missing", "Genotypes of `", name, "` are missing in ",
        signif(100 * max(rate), 3), " % of environment `", names(rate)[which.max(rate)],
        "` and ", signif(100 * min(rate), 3), " % of `", names(rate)[which.min(rate)],
        "`: imputed ones vary less, and the environments seem to differ in them.")
    }
    mean <- tapply(replace(z[, name], hole, NA), environment, mean, na.rm = TRUE)
    z[hole, name] <- mean[as.integer(environment)[hole]]
  }
  z
}

# Folds of equal size within each environment; whole clusters where there are clusters.
latent_folds <- function(environment, cluster, how) {
  n <- length(environment)
  k <- how$cross_fit
  if (k == 1L) {
    return(rep(1L, n))
  }
  unit <- if (is.null(cluster)) seq_len(n) else cluster
  home <- environment[match(seq_len(max(unit)), unit)]
  fold <- integer(max(unit))
  for (e in unique(home)) {
    units <- which(home == e)
    order <- rng_draw("permutation", length(units), how$seed, e)
    fold[units[order + 1]] <- rep_len(seq_len(k), length(units))
  }
  fold[unit]
}
