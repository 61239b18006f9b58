# mrlearn estimate: a fit of an iv_*() function from a file.

cli_estimate_command <- function() {
  list(
    name = "estimate", title = "fit an instrumental-variable estimator to a table",
    words = "METHOD",
    about = c(
      "Fits METHOD to the columns of a CSV or TSV file (plain or compressed) and prints the",
      "estimates. Options that take several words take all up to the next option, so that",
      "bash's v{1..20} works; v1-v20 does the same without a shell.", "",
      paste("METHOD:", paste(iv_methods()$method, collapse = ", "))
    ),
    options = c(estimate_options(), estimate_aliases()),
    more = cli_method_settings,
    examples = c(
      "mrlearn estimate 2sls --data people.tsv.gz --exposure x --outcome y \\",
      "  --instruments v1-v20 --covariates age sex --control vcov=HC1",
      "mrlearn estimate quantile --data people.csv --exposure x --outcome y \\",
      "  --instruments v{1..20} --control n_quantiles=10 hidden=64,32 --seed 1 --output fit1",
      "mrlearn estimate lasso --data people.tsv --exposure bmi --outcome sbp \\",
      "  --bed genotypes --id iid --output fit2"
    ),
    run = run_estimate
  )
}

estimate_options <- function() {
  cli_shared_options(
    cli_option("data", "text", "FILE", "table with a header; delimiter found in the header"),
    cli_option("outcome", "text", "COL", "outcome column"),
    cli_option("exposure", "texts", "COL", "exposure column (several: 2sls and the like)"),
    cli_option("instruments", "texts", "COL",
      "instrument columns; with --bed, names of its variants (default: all)"),
    cli_option("covariates", "texts", "COL", "columns for both stages; text columns are factors"),
    cli_option("context", "texts", "COL", "effect modifiers (contextual)"),
    cli_option("environment", "text", "COL", "column of environments or populations (latent)"),
    cli_option("bed", "text", "PREFIX", "PLINK genotypes as instruments (.bed, .bim, .fam)"),
    cli_option("id", "text", "COL", "column with the people's IDs, to join --bed"),
    cli_option("cluster", "text", "COL", "column of clusters"),
    cli_option("weights", "text", "COL", "column of weights"),
    cli_option("control", "texts", "NAME=VALUE",
      "settings of the method, listed below; lists by commas, of both stages by /"),
    cli_option("seed", "count", "N", "seed of all that is random"),
    cli_option("conf-level", "number", "LEVEL", "level of the intervals (0.95)"),
    cli_option("output", "text", "DIR",
      "save fit.rds, fit.json and tidy, glance, diagnostics, curve as CSV there"),
    cli_option("overwrite", "flag", "", "replace a fit that --output has already"),
    cli_option("sep", "text", "CHAR", "delimiter, if the header misleads")
  )
}

# ml-mr's options for the same things.
estimate_aliases <- function() {
  setting <- function(name, to, kind = "text") {
    cli_option(name, kind, "", "", function(v) {
      pair <- paste0(to, "=", paste(v, collapse = ","))
      list(hint = paste0("--", name, " is --control ", pair, " here."), add = list(control = pair))
    })
  }
  same <- function(name, to, kind = "text") {
    cli_option(name, kind, "", "", function(v) {
      list(hint = paste0("--", name, " is --", to, " here."),
        add = stats::setNames(list(v), to))
    })
  }
  ignored <- function(name, kind, why) {
    cli_option(name, kind, "", "", function(v) {
      list(hint = paste0("--", name, " is ignored: ", why, "."))
    })
  }
  list(
    setting("n-quantiles", "n_quantiles"), setting("q", "n_quantiles"),
    setting("n-gaussians", "n_components"),
    setting("validation-proportion", "validation"),
    cli_option("exposure-network-type", "text", "", "", function(v) {
      pair <- paste0("first_stage=", sub("_?(density_)?net$", "", v))
      list(hint = paste0("--exposure-network-type is --control ", pair, " here."),
        add = list(control = pair))
    }),
    same("output-dir", "output"), same("covariables", "covariates", "texts"),
    same("sample-id-col", "id"),
    ignored("wandb-project", "text", "nothing is reported to others; --output DIR keeps the fit"),
    ignored("accelerator", "text", "networks run on the processor; --threads N sets how many"),
    ignored("no-plot", "flag", "nothing is drawn unless evaluate is given --plot"),
    ignored("fast", "flag", "there is nothing to leave out"),
    ignored("sqr", "flag", "quantiles are predicted all at once")
  )
}

# Method names of ml-mr.
method_aliases <- c(quantile_iv = "quantile", deep_iv = "deep", two_stage_least_squares = "2sls")

find_method <- function(word) {
  known <- iv_methods()$method
  if (word %in% names(method_aliases)) {
    cli_say("hint: mrlearn calls `", word, "` `", method_aliases[[word]], "`.")
    return(method_aliases[[word]])
  }
  if (!word %in% known) {
    stop_mrl("argument", "There is no method \"", word, "\"", near_names(word, known),
      "; the methods are ", paste(known, collapse = ", "), ".")
  }
  word
}

method_function <- function(method) {
  iv_methods()$fun[iv_methods()$method == method]
}

run_estimate <- function(given) {
  method <- find_method(given$words)
  fun <- method_function(method)
  settings <- method_settings(fun, read_pairs(given$values$control, "--control"))
  folder <- cli_value(given, "output", NULL)
  if (!is.null(folder)) { # before the work, not after it
    cli_folder(folder, isTRUE(given$values$overwrite))
  }
  problem <- estimate_problem(given, method, fun)
  fit <- fit_from_problem(fun, problem, settings)
  conf_level <- cli_value(given, "conf-level", 0.95)
  named <- given$values$exposure
  tables <- fit_tables(fit, conf_level, if (method == "ols" && length(named) == 1L) named)
  if (!is.null(folder)) {
    save_fit(fit, tables, folder, method, given)
    cli_say("Saved in ", folder, ".")
  }
  cli_print(given, tables$tidy, tables)
}

# What the function is called with: its data and the arguments that name columns.
estimate_problem <- function(given, method, fun) {
  v <- given$values
  takes <- names(formals(get(fun, envir = topenv(), mode = "function")))
  beside <- c("context", "environment", "cluster", "weights", "id")
  all <- c("outcome", "exposure", "instruments", "covariates", beside)
  roles <- stats::setNames(v[all], all)
  for (name in c("outcome", "exposure")) {
    cli_value(given, name)
  }
  if (is.null(v$instruments) && is.null(v$bed) && method != "ols") {
    stop_mrl("argument", "--instruments or --bed must be given; --help says how.")
  }
  for (name in intersect(beside, names(v))) {
    if (!name %in% takes) {
      stop_mrl("argument", "--", name, " cannot be used with ", method, ".")
    }
  }
  variants <- NULL
  if (!is.null(v$bed)) {
    variants <- roles$instruments
    roles["instruments"] <- list(NULL)
  }
  table <- table_columns(cli_value(given, "data"), roles,
    c("outcome", "exposure", "instruments", "weights"), v$sep)
  check_roles_differ(table$columns)
  list(data = table$data, columns = table$columns, genotypes = cli_genotypes(v$bed, variants),
    seed = v$seed, n_threads = cli_threads(given))
}

check_roles_differ <- function(columns) {
  used <- unlist(columns[c("outcome", "exposure", "instruments", "covariates")], use.names = FALSE)
  if (anyDuplicated(used)) {
    stop_mrl("argument", "Column `", used[duplicated(used)][1], "` is given two roles; outcome, ",
      "exposure, instruments and covariates must differ.")
  }
}

cli_genotypes <- function(prefix, variants) {
  if (is.null(prefix)) {
    return(NULL)
  }
  genotypes <- bed(prefix)
  if (is.null(variants)) {
    return(genotypes)
  }
  at <- match(variants, genotypes$variants$snp)
  if (anyNA(at)) {
    stop_mrl("data", "\"", prefix, ".bim\" has no variant `", variants[is.na(at)][1], "`.")
  }
  genotypes[, at]
}

# The call is made of names, so that the fit does not hold the data twice, and no text is ever
# parsed as R.
fit_from_problem <- function(fun, problem, settings) {
  env <- new.env(parent = topenv())
  env$data <- problem$data
  env$.genotypes <- problem$genotypes
  columns <- problem$columns
  sum_of <- function(names) {
    if (length(names)) sum_of_names(names) else 1
  }
  instruments <- if (is.null(problem$genotypes)) sum_of(columns$instruments) else quote(.genotypes)
  right <- if (fun == "iv_ols") {
    sum_of(c(columns$exposure, columns$covariates))
  } else {
    call("|", call("|", sum_of(columns$covariates), sum_of(columns$exposure)), instruments)
  }
  formula <- stats::as.formula(call("~", as.name(columns$outcome), right), env = env)
  arguments <- list(formula = formula, data = quote(data))
  for (role in c("context", "environment", "cluster")) {
    if (length(columns[[role]])) {
      arguments[[role]] <- stats::as.formula(call("~", sum_of(columns[[role]])), env = env)
    }
  }
  if (length(columns$weights)) {
    arguments$weights <- as.name(columns$weights)
  }
  arguments$id <- columns$id
  takes <- names(formals(get(fun, envir = topenv(), mode = "function")))
  if ("seed" %in% takes) {
    arguments$seed <- problem$seed
  }
  arguments$n_threads <- problem$n_threads
  fit <- eval(as.call(c(as.name(fun), arguments, settings)), env)
  rm("data", envir = env)
  fit
}

# Arguments of the call from --control: those of the function as they are, others to the function
# that makes its control, which checks them.
method_settings <- function(fun, pairs) {
  formals <- formals(get(fun, envir = topenv(), mode = "function"))
  own <- setdiff(names(formals), structural_arguments)
  maker <- control_maker(formals)
  inner <- if (is.null(maker)) character() else names(formals(maker$fun))
  unknown <- setdiff(names(pairs), c(own, inner))
  if (length(unknown)) {
    known <- c(setdiff(own, "control"), inner)
    stop_mrl("argument", "--control: ", fun, "() has no setting `", unknown[1], "`",
      near_names(unknown[1], known), "; it has ", shorten(known, 40L), ".")
  }
  settings <- pairs[names(pairs) %in% own]
  nested <- pairs[!names(pairs) %in% own]
  if (length(nested)) {
    maker$given[names(nested)] <- nested
    settings$control <- do.call(maker$fun, maker$given)
  }
  settings
}

# Arguments that other options give, or that make no sense on a command line.
structural_arguments <- c("formula", "data", "subset", "weights", "na.action", "cluster", "y", "x",
  "z", "w", "id", "context", "environment", "stage2_data", "seed", "n_threads", "control", "foldid",
  "progress", "model", "workers", "score_weights", "lambda_path")

# The function that makes the default `control`, and what the default gives it; NULL if there is no
# such argument.
control_maker <- function(formals) {
  default <- formals$control
  if (!is.call(default)) {
    return(NULL)
  }
  list(
    fun = get(as.character(default[[1]]), envir = topenv(), mode = "function"),
    given = lapply(as.list(default)[-1], eval, envir = topenv())
  )
}

# For help: the settings of the method that stands on the command line.
cli_method_settings <- function(rest) {
  method <- intersect(rest, c(iv_methods()$method, names(method_aliases)))
  if (!length(method)) {
    return(c("", "mrlearn estimate METHOD --help lists the method's settings."))
  }
  method <- c(method_aliases, stats::setNames(nm = iv_methods()$method))[[method[1]]]
  fun <- method_function(method)
  formals <- formals(get(fun, envir = topenv(), mode = "function"))
  maker <- control_maker(formals)
  own <- formals[setdiff(names(formals), structural_arguments)]
  inner <- if (!is.null(maker)) as.list(formals(maker$fun))
  inner[names(maker$given)] <- maker$given
  inner <- inner[setdiff(names(inner), names(own))]
  c("", paste0("Settings of ", fun, "() for --control (?", fun, " in R explains them):"),
    option_lines(c(names(own), names(inner)), c(shown_defaults(own), shown_defaults(inner))))
}
