# mrlearn simulate: a simulator's data as a table.

# Simulators by the words that the command line has for them.
cli_simulators <- c(
  nonlinear = "sim_nonlinear", effect_modifier = "sim_effect_modifier",
  contextual = "sim_contextual", burgess2014 = "sim_burgess2014", tian2023 = "sim_tian2023",
  demand = "sim_demand", summary = "sim_summary"
)

cli_simulate_command <- function() {
  list(
    name = "simulate", title = "draw data with a known truth", words = "DESIGN",
    about = c(
      "Draws data from a simulator of the package and prints them, or writes them to --output.", "",
      paste("DESIGN:", paste(names(cli_simulators), collapse = ", "))
    ),
    options = cli_shared_options(
      cli_option("n", "count", "N", "rows (people; for summary: variants)"),
      cli_option("seed", "count", "N", "seed; without one each call draws other data"),
      cli_option("set", "texts", "NAME=VALUE", "parameters of the design, listed below"),
      cli_option("f", "text", "TEXT", "causal curve as arithmetic of x (nonlinear)"),
      cli_option("output", "text", "FILE",
        "write to FILE: .csv, .tsv, or these with .gz; the truth to FILE.json"),
      cli_option("overwrite", "flag", "", "replace FILE")
    ),
    more = simulator_parameters,
    examples = c(
      "mrlearn simulate nonlinear --n 10000 --seed 1 --output people.tsv.gz",
      "mrlearn simulate nonlinear --n 5000 --f \"where(x > 0, x^2, 0)\" --set h2=0.3 --seed 2",
      "mrlearn simulate tian2023 --set scenario=C outcome=2 --seed 1 --output tian.csv"
    ),
    run = run_simulate
  )
}

# Parameters that have options of their own, or make no sense on a command line.
simulator_options <- c("n", "seed", "n_threads", "f")

find_simulator <- function(word) {
  word <- sub("^sim_", "", word)
  if (!word %in% names(cli_simulators)) {
    stop_mrl("argument", "There is no design \"", word, "\"",
      near_names(word, names(cli_simulators)), "; the designs are ",
      paste(names(cli_simulators), collapse = ", "), ".")
  }
  cli_simulators[[word]]
}

run_simulate <- function(given) {
  name <- find_simulator(given$words)
  fun <- get(name, envir = topenv(), mode = "function")
  takes <- names(formals(fun))
  parameters <- read_pairs(given$values$set, "--set")
  unknown <- setdiff(names(parameters), setdiff(takes, simulator_options))
  if (length(unknown)) {
    known <- setdiff(takes, simulator_options)
    stop_mrl("argument", "--set: ", name, "() has no parameter `", unknown[1], "`",
      near_names(unknown[1], known), "; it has ", shorten(known, 40L), ".")
  }
  curve <- given$values$f
  if (!is.null(curve)) {
    if (!"f" %in% takes) {
      stop_mrl("argument", "--f cannot be used with ", given$words, ".")
    }
    named <- curve %in% names(nonlinear_curves)
    parameters$f <- if (named) curve else arithmetic_function(curve, arg = "--f")
  }
  parameters$n_threads <- cli_threads(given)
  parameters$seed <- given$values$seed
  rows <- if ("n" %in% takes) "n" else "n_snp"
  parameters[[rows]] <- given$values$n
  file <- table_file(given)
  sim <- do.call(fun, parameters[names(parameters) %in% takes])
  if (is.null(file)) {
    return(cli_print(given, as.data.frame(sim)))
  }
  write_table(as.data.frame(sim), file)
  cli_write(cli_json(list(
    mrlearn = as.character(utils::packageVersion("mrlearn")), simulator = name,
    truth = short_truth(truth(sim))
  )), paste0(file, ".json"))
  cli_say("Written: ", file, " and ", file, ".json.")
}

# Where to write, checked before the work; NULL: to stdout.
table_file <- function(given) {
  file <- given$values$output
  if (is.null(file)) {
    return(NULL)
  }
  if (!grepl("\\.(csv|tsv)(\\.gz)?$", file)) {
    stop_argument("--output", "must end in .csv, .tsv, .csv.gz or .tsv.gz",
      paste0("\"", file, "\""))
  }
  if (file.exists(file) && !isTRUE(given$values$overwrite)) {
    stop_mrl("data", "--output: \"", file, "\" is there already; --overwrite replaces it.")
  }
  file
}

# Numbers with 15 digits. Written to memory first, so that a full disk leaves no part of a file.
write_table <- function(table, file) {
  tab <- grepl("\\.tsv(\\.gz)?$", file)
  lines <- do.call(paste, c(lapply(unname(table), function(v) {
    if (is.numeric(v)) ifelse(is.na(v), "NA", sprintf("%.15g", v)) else as.character(v)
  }), sep = if (tab) "\t" else ","))
  lines <- c(paste(names(table), collapse = if (tab) "\t" else ","), lines)
  cli_write(lines, file, gzip = endsWith(file, ".gz"))
}

# The truth without what is as long as the data, and without functions but for a table of the
# curve.
short_truth <- function(truth) {
  n <- truth$n
  out <- Filter(function(v) {
    (is.numeric(v) || is.character(v) || is.logical(v)) && (length(v) != n || n == 1L) &&
      is.null(dim(v))
  }, truth)
  if (is.function(truth$curve)) {
    at <- seq(-4, 4, by = 0.25)
    out$curve <- tryCatch(list(x = at, y = truth$curve(at)), error = function(e) NULL)
  }
  out
}

# For help: the parameters of the design that stands on the command line.
simulator_parameters <- function(rest) {
  word <- intersect(sub("^sim_", "", rest), names(cli_simulators))
  if (!length(word)) {
    return(c("", "mrlearn simulate DESIGN --help lists the design's parameters."))
  }
  name <- cli_simulators[[word[1]]]
  own <- formals(get(name, envir = topenv(), mode = "function"))
  own <- own[setdiff(names(own), simulator_options)]
  c("", paste0("Parameters of ", name, "() for --set (?", name, " in R explains them):"),
    option_lines(names(own), shown_defaults(own)))
}
