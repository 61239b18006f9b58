# Sweeps in JSON: ml-mr's configurations, and more of the same kind.

#' Read the configuration of a sweep
#'
#' Reads a JSON file in the form of ml-mr's `sweep` command and checks it, so that
#' `run_sweep(read_sweep_config(path))` is the whole sweep. The file is data: words in it choose
#' among what this package has, and nothing in it is evaluated.
#'
#' @section The file:
#' One object with
#' * `sweep`: `model`, the estimator by its name here or in ml-mr (`"quantile_iv"`, `"deep_iv"`,
#'   `"dfiv"`, ...); `max_runs`; `sweep_directory`; and, beyond ml-mr, `seed`, `calibration`,
#'   `interval`, `keep`, `domain`, `halving` (`from`, `to`, `factor`, `by`, `parameter`);
#' * `dataset`: `filename` (CSV or TSV, may be compressed), `sep`, `exposure`, `outcome`,
#'   `instruments`, `covariables`; or, beyond ml-mr, `simulator`, the name of a simulator of this
#'   package (`"sim_nonlinear"`), with its arguments;
#' * `parameters`: a list of objects with `name` and `sampler`: `"list"` (`values`), `"literal"`
#'   (`value`), `"grid"` (`start`, `stop`, with `n_values`, also `log`, or `step`),
#'   `"random_uniform"` (`low`, `high`, `log`), `"random_uniform_int"` (`low`, `high`); beyond ml-mr
#'   `"random_choice"` (`values`) and `"rows"` (`values`: objects whose parameters belong together,
#'   `label` names one);
#' * `arguments`, beyond ml-mr: arguments of the estimators that are the same for all runs.
#'
#' Paths are relative to the folder of the file. As in ml-mr a design with a random sampler has
#' `max_runs` rows and one without has all combinations, at most `max_runs` of them; a design here
#' that would have more takes a random choice, with a warning.
#'
#' @section Names of ml-mr:
#' `q` is `n_quantiles`; `n_gaussians` `n_components`; `exposure_network_type` `first_stage`;
#' `validation_proportion` `validation`; `exposure_hidden` and `outcome_hidden` `hidden`, a list of
#' two. The networks of both stages share all other settings here: `outcome_learning_rate`,
#' `_batch_size`, `_max_epochs`, `_weight_decay` and `_optimizer` are used for both, and those of
#' the exposure where the outcome's are not given; where both are, `exposure_...` stays a column and
#' is not used, with a warning. `accelerator` and `wandb_project` are left out, with a message.
#'
#' @param path A JSON file.
#' @return A list of class `sweep_config`: `design` (a [sweep_design()]), `formula`, `data` (a
#'   data.frame or a function), `method`, `dir`, `arguments` and the other arguments of
#'   [run_sweep()], which takes it as its first argument and lets what it is given besides (`dir`,
#'   `progress`, `workers`) rule. Raises `mrlearn_error_data` where the file is no JSON, a column
#'   is not there, and `mrlearn_error_argument` for unknown models, samplers and keys.
#' @references The sweep module of ml-mr, <https://github.com/legaultmarc/ml-mr>.
#' @examples
#' file <- tempfile(fileext = ".json")
#' writeLines('{
#'   "sweep": {"model": "quantile_iv", "max_runs": 4, "seed": 1},
#'   "dataset": {"simulator": "sim_nonlinear", "n": 500, "n_variants": 3, "seed": 1},
#'   "parameters": [
#'     {"name": "outcome_learning_rate", "sampler": "random_uniform", "low": 1e-3, "high": 1e-1,
#'      "log": true},
#'     {"name": "q", "sampler": "list", "values": [3, 10]}
#'   ]
#' }', file)
#' config <- read_sweep_config(file)
#' config$design
#' @export
read_sweep_config <- function(path) {
  check_file(path, "path")
  json <- read_json_file(path)
  check_keys(json, c("sweep", "dataset", "parameters"), "the file", optional = "arguments")
  sweep <- json$sweep
  check_keys(sweep, character(), "`sweep`", optional = c("model", "max_runs", "sweep_directory",
    "run_output", "seed", "calibration", "interval", "keep", "domain", "halving"))
  arguments <- as.list(json$arguments)
  taken <- intersect(names(arguments), names(formals(run_sweep)))
  if (length(taken)) {
    stop_argument("path", "must have in `arguments` those of the estimators alone", shorten(taken))
  }
  parameters <- lapply(json$parameters, read_parameter)
  parameters <- merge_networks(unlist(parameters, recursive = FALSE))
  folder <- dirname(normalizePath(path))
  data <- read_dataset(json$dataset, folder, names(parameters))
  method <- if (!is.null(sweep$model)) model_name(sweep$model)
  design <- config_design(parameters, sweep$max_runs, sweep$seed)
  given <- sweep[intersect(names(sweep), c("calibration", "interval", "keep", "domain"))]
  if (!is.null(sweep$halving)) {
    check_keys(sweep$halving, c("from", "to"), "`halving`", c("factor", "by", "parameter"))
    given$halving <- do.call(successive_halving, as.list(sweep$halving))
  }
  structure(
    list(design = design, formula = data$formula, data = data$data, method = method,
      dir = if (!is.null(sweep$sweep_directory)) {
        path_from(folder, check_string(sweep$sweep_directory, "sweep_directory"))
      }, given = given, arguments = arguments),
    class = "sweep_config"
  )
}

#' @export
print.sweep_config <- function(x, ...) {
  cat("Configuration of a sweep", if (!is.null(x$method)) paste(" of", x$method), "\n", sep = "")
  simulated <- is.function(x$data)
  cat("Data: ", if (simulated) "simulated for each run" else paste(big(nrow(x$data)), "rows"), "\n",
    sep = "")
  if (!is.null(x$dir)) {
    cat("Directory: ", x$dir, "\n", sep = "")
  }
  print(x$design)
  invisible(x)
}

# run_sweep() of a configuration; what is given besides rules.
run_config <- function(config, given) {
  arguments <- c(config[c("design", "formula", "data", "method", "dir")], config$given)
  arguments[names(given)] <- given
  rest <- config$arguments[setdiff(names(config$arguments), names(given))]
  do.call(run_sweep, c(arguments, rest), quote = TRUE)
}

# Which keys an object must and may have.
check_keys <- function(object, needed, what, optional = character()) {
  if (!is.list(object) || length(object) && is.null(names(object))) {
    stop_argument("path", paste0("must have an object with named members as ", what),
      describe(object))
  }
  absent <- setdiff(needed, names(object))
  unknown <- setdiff(names(object), c(needed, optional))
  if (length(absent) || length(unknown)) {
    stop_argument("path", paste0("must have in ", what, " ", shorten(c(needed, optional), 12L)),
      if (length(absent)) paste("none named", shorten(absent)) else shorten(unknown))
  }
}

path_from <- function(folder, path) {
  if (grepl("^(/|~|[A-Za-z]:)", path)) path else file.path(folder, path)
}

# ml-mr's estimators that have other names here.
model_names <- c(
  deep_iv = "deep", quantile_iv = "quantile", two_stage_ls = "2sls", doubly_ranked = "doubly_ranked"
)

model_name <- function(model) {
  model <- check_string(model, "model")
  model <- if (model %in% names(model_names)) model_names[[model]] else model
  check_choice(model, iv_methods()$method, "model")
}

# A parameter as sweep_design() takes it, under our name; NULL for those that have no meaning here.
read_parameter <- function(p) {
  samplers <- list(
    list = "values", literal = "value", grid = c("start", "stop"),
    random_uniform = c("low", "high"), random_uniform_int = c("low", "high"), rows = "values",
    random_choice = "values"
  )
  if (!is.list(p) || is.null(p$name) || is.null(p$sampler)) {
    stop_argument("parameters", "must each have `name` and `sampler`",
      if (is.list(p)) shorten(names(p)) else describe(p))
  }
  name <- check_string(p$name, "name")
  sampler <- check_choice(p$sampler, names(samplers), paste0(name, "`, `sampler"))
  check_keys(p[setdiff(names(p), c("name", "sampler"))], samplers[[sampler]],
    paste0("parameter `", name, "`"),
    optional = switch(sampler,
      grid = c("n_values", "step", "log"),
      random_uniform = "log"
    ))
  if (name %in% c("accelerator", "wandb_project", "output_dir")) {
    inform_mrl("sweep", "`", name, "` has no meaning here and is left out.")
    return(NULL)
  }
  values <- parameter_values(p, name, sampler)
  stats::setNames(list(renamed_values(values, name)), our_name(name))
}

parameter_values <- function(p, name, sampler) {
  number <- function(key) check_number(p[[key]], paste0(name, "`, `", key))
  log <- !is.null(p$log) && check_flag(p$log, "log")
  switch(sampler,
    list = p$values,
    literal = list(p$value),
    grid = sampler_grid(p, number, log),
    random_uniform = (if (log) log_uniform else uniform)(number("low"), number("high")),
    random_uniform_int = integers(number("low"), number("high")),
    random_choice = one_of(p$values),
    rows = rows_of_objects(p$values, name)
  )
}

# numpy's arange() stops before its end.
sampler_grid <- function(p, number, log) {
  if (is.null(p$n_values) == is.null(p$step) || log && !is.null(p$step)) {
    stop_argument(p$name, "must have `n_values`, or `step` and no `log`",
      shorten(names(p)))
  }
  start <- number("start")
  stop <- number("stop")
  if (!is.null(p$step)) {
    step <- number("step")
    n <- ceiling((stop - start) / step - 1e-9)
    return(start + step * (seq_len(check_count(n, p$name, max = 1e6)) - 1))
  }
  n <- check_count(p$n_values, "n_values")
  if (!log) {
    return(seq(start, stop, length.out = n))
  }
  if (start <= 0 || stop <= 0) {
    stop_argument(p$name, "must be above 0 where `log` is true", min(start, stop))
  }
  exp(seq(log(start), log(stop), length.out = n))
}

# Objects as rows of a data.frame; what one does not have is NA.
rows_of_objects <- function(objects, name) {
  if (!is.list(objects) || !length(objects) ||
    !all(vapply(objects, function(o) is.list(o) && !is.null(names(o)), NA))) {
    stop_argument(name, "must have objects as `values`", describe(objects))
  }
  labels <- vapply(seq_along(objects), function(i) {
    label <- objects[[i]]$label
    if (is.null(label)) as.character(i) else check_string(label, "label")
  }, "")
  keys <- setdiff(unique(unlist(lapply(objects, names))), "label")
  columns <- lapply(stats::setNames(nm = keys), function(key) {
    values <- lapply(objects, function(o) if (is.null(o[[key]])) NA else o[[key]])
    values <- if (all(lengths(values) == 1L)) unlist(values) else I(values)
    renamed_values(values, key)
  })
  names(columns) <- vapply(keys, our_name, "")
  structure(columns, row.names = make.unique(labels), class = "data.frame")
}

# ml-mr's names of parameters; those of its two networks are dealt with in merge_networks().
our_names <- c(
  q = "n_quantiles", n_gaussians = "n_components", exposure_network_type = "first_stage",
  validation_proportion = "validation", model = "method"
)

our_name <- function(name) {
  if (name %in% names(our_names)) our_names[[name]] else sub("_max_epochs$", "_epochs", name)
}

renamed_values <- function(values, name) {
  first_stages <- c(mixture_density_net = "mixture", gaussian_net = "gaussian", ridge = "ridge")
  words <- unlist(values)
  if (name == "exposure_network_type" && is.character(words)) {
    known <- words %in% names(first_stages)
    words[known] <- first_stages[words[known]]
    return(unname(words))
  }
  if (name %in% c("model", "method") && is.character(words)) {
    return(vapply(words, model_name, "", USE.NAMES = FALSE))
  }
  values
}

# exposure_x and outcome_x become x.
merge_networks <- function(parameters) {
  if (anyDuplicated(names(parameters))) {
    stop_argument("parameters", "must have different names",
      shorten(names(parameters)[duplicated(names(parameters))]))
  }
  hidden <- parameters[c("exposure_hidden", "outcome_hidden")]
  parameters[c("exposure_hidden", "outcome_hidden")] <- NULL
  if (any(lengths(hidden))) {
    parameters$hidden <- both_hidden(hidden[[1]], hidden[[2]])
  }
  for (name in grep("^outcome_", names(parameters), value = TRUE)) {
    names(parameters)[names(parameters) == name] <- sub("^outcome_", "", name)
  }
  for (name in grep("^exposure_", names(parameters), value = TRUE)) {
    plain <- sub("^exposure_", "", name)
    if (plain %in% names(parameters)) {
      warn_mrl("sweep", "`", name, "` is not used: both networks have the `", plain,
        "` of the outcome's.")
      parameters[[name]] <- label_only(parameters[[name]])
    } else {
      names(parameters)[names(parameters) == name] <- plain
    }
  }
  parameters
}

# Each pair of the two networks' hidden layers.
both_hidden <- function(first, second) {
  as_sizes <- function(v) if (is.list(v)) lapply(v, as.integer) else as.list(as.integer(v))
  if (is.null(first) || is.null(second)) {
    return(as_sizes(c(first, second)))
  }
  first <- as_sizes(first)
  second <- as_sizes(second)
  unlist(lapply(second, function(b) lapply(first, function(a) list(a, b))), recursive = FALSE)
}

# Values that are recorded and not used: rows without columns.
label_only <- function(values) {
  if (inherits(values, "sweep_sampler")) {
    return(values)
  }
  text <- vapply(as.list(values), function(v) paste(format(v), collapse = "-"), "")
  structure(list(), row.names = make.unique(text), class = "data.frame", names = character())
}

config_design <- function(parameters, max_runs, seed) {
  most <- check_count(if (is.null(max_runs)) 1e4 else max_runs, "max_runs", max = 1e6)
  size <- prod(vapply(parameters, NROW, 1L))
  drawn <- any(vapply(parameters, inherits, NA, "sweep_sampler"))
  if (!drawn && size > most) {
    warn_mrl("sweep", "`max_runs` is ", most, " and there are ", size, " combinations: ", most,
      " of them are tried.")
  }
  n_runs <- if (drawn || size > most) most
  do.call(sweep_design, c(parameters, list(n_runs = n_runs, seed = seed)))
}

# list(data, formula): a data.frame, or a function of what parameters have a say in.
read_dataset <- function(dataset, folder, parameters) {
  if (!is.null(dataset$simulator)) {
    return(simulated_dataset(dataset))
  }
  check_keys(dataset, c("filename", "exposure", "outcome", "instruments"), "`dataset`",
    optional = c("sep", "covariables"))
  path <- path_from(folder, check_string(dataset$filename, "filename"))
  check_file(path, "filename")
  data <- read_table_file(path, dataset$sep)
  roles <- lapply(dataset[c("outcome", "exposure", "instruments", "covariables")], unlist)
  absent <- setdiff(unlist(roles), names(data))
  if (length(absent)) {
    stop_mrl("data", "\"", path, "\" has no column named ", shorten(absent), "; it has ",
      shorten(names(data), 10L), ".")
  }
  list(data = data, formula = role_formula(roles))
}

role_formula <- function(roles) {
  for (role in names(roles)) {
    if (!is.null(roles[[role]]) && !(is.character(roles[[role]]) && all(nzchar(roles[[role]])))) {
      stop_argument(role, "must be names of columns", describe(roles[[role]]))
    }
  }
  right <- call("|", sum_of_names(c(roles$exposure, roles$covariables)),
    sum_of_names(c(roles$instruments, roles$covariables)))
  stats::as.formula(call("~", sum_of_names(roles$outcome), right), env = globalenv())
}

read_table_file <- function(path, sep) {
  broken <- function(e) {
    stop_mrl("data", "\"", path, "\" cannot be read: ", first_line(conditionMessage(e)), ".")
  }
  tryCatch(
    {
      if (is.null(sep)) {
        sep <- if (grepl("\t", readLines(path, 1L), fixed = TRUE)) "\t" else ","
      }
      utils::read.table(path, header = TRUE, sep = sep, quote = "\"", comment.char = "",
        check.names = FALSE)
    },
    simpleError = broken, simpleWarning = broken
  )
}

# A simulator of this package, by its name, with arguments that are the same for all runs.
simulated_dataset <- function(dataset) {
  known <- c("sim_nonlinear", "sim_burgess2014", "sim_tian2023", "sim_contextual",
    "sim_effect_modifier", "sim_demand")
  simulator <- check_choice(dataset$simulator, known, "simulator")
  roles <- c("exposure", "outcome", "instruments", "covariables")
  fixed <- dataset[setdiff(names(dataset), c("simulator", roles))]
  takes <- names(formals(get(simulator, envir = topenv(), mode = "function")))
  unknown <- setdiff(names(fixed), takes)
  if (length(unknown)) {
    stop_argument("dataset", paste0("may have the arguments of ", simulator, "(): ",
      shorten(takes, 12L)), shorten(unknown))
  }
  given <- dataset[intersect(roles, names(dataset))]
  formula <- if (length(given)) {
    check_keys(given, c("exposure", "outcome", "instruments"), "`dataset`", "covariables")
    role_formula(lapply(given, unlist))
  }
  list(data = simulator_call(simulator, fixed), formula = formula)
}

# A function whose arguments are those of the simulator that are not fixed.
simulator_call <- function(simulator, fixed) {
  all <- formals(get(simulator, envir = topenv(), mode = "function"))
  free <- setdiff(names(all), c(names(fixed), "n_threads"))
  out <- function() NULL
  formals(out) <- all[free]
  body(out) <- as.call(c(list(as.name(simulator)), fixed,
    stats::setNames(lapply(free, as.name), free)))
  environment(out) <- topenv()
  out
}
