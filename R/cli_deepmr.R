# mrlearn deepmr: causal effects from what mutations do.

cli_deepmr_command <- function() {
  list(
    name = "deepmr", title = "causal effects between outputs of a sequence model",
    words = character(),
    about = c(
      "Estimates what one output of a model does to another, with mutations as instruments, from a",
      "model and sequences, or from effects of mutations that are there already (?deep_mr in R).",
      "Prints the mean effects; --print local prints a line for each sequence."
    ),
    options = cli_shared_options(
      cli_option("model", "text", "PATH",
        "model of write_seq_model() (PATH.json, PATH.bin), or Keras weights (.h5)"),
      cli_option("keras-config", "text", "FILE", "Keras' model in JSON, if the weights lack it"),
      cli_option("sequences", "text", "FASTA", "sequences to mutate"),
      cli_option("effects", "text", "PATH",
        paste("instead of these: directory of mutagenize(dir =), or table with the columns",
          "sequence, position, alt, output, effect and, if known, std.error")),
      cli_option("pairs", "text", "FILE",
        paste("measured pairs that calibrate intervals: table with the columns sequence, mutant,",
          "output, effect, observed, level and, if known, the others of ?deep_mr_pairs")),
      cli_option("exposure", "text", "NAME", "output that acts"),
      cli_option("outcome", "text", "NAME", "output that is acted on"),
      cli_option("type", "text", "WHAT", "effects on the link (default) or the response"),
      cli_option("control", "texts", "NAME=VALUE", "settings, listed below"),
      cli_option("seed", "count", "N", "seed of methods that draw"),
      cli_option("print", "text", "WHAT", "global (default) or local effects"),
      cli_option("output", "text", "DIR",
        "save deepmr.rds and global, local, effects as CSV there"),
      cli_option("overwrite", "flag", "", "replace what --output has already")
    ),
    more = function(rest) {
      settings <- formals(deep_settings)[deep_control_names()]
      c("", "Settings for --control (?deep_mr_effects in R explains them):",
        option_lines(names(settings), shown_defaults(settings)))
    },
    examples = c(
      "mrlearn deepmr --model factor --sequences peaks.fa --exposure Oct4 --outcome Sox2",
      "mrlearn deepmr --effects effects.csv --exposure Oct4 --outcome Sox2 --print local \\",
      "  --control method=mr_ivw instruments=f --output oct4_sox2",
      "mrlearn deepmr --model factor --sequences peaks.fa --exposure Oct4 --outcome Sox2 \\",
      "  --pairs measured.csv"
    ),
    run = run_deepmr
  )
}

deep_control_names <- function() {
  setdiff(names(formals(deep_settings)),
    c("frame", "pairs", "levels", "control", "seed", "n_threads"))
}

run_deepmr <- function(given) {
  v <- given$values
  exposure <- cli_value(given, "exposure")
  outcome <- cli_value(given, "outcome")
  what <- check_choice(cli_value(given, "print", "global"), c("global", "local"), "--print")
  settings <- read_pairs(v$control, "--control")
  unknown <- setdiff(names(settings), deep_control_names())
  if (length(unknown)) {
    stop_mrl("argument", "--control: there is no setting `", unknown[1], "`",
      near_names(unknown[1], deep_control_names()), "; there are ",
      shorten(deep_control_names(), 20L), ".")
  }
  if (!is.null(v$output)) {
    cli_folder(v$output, isTRUE(v$overwrite), "deepmr.rds")
  }
  arguments <- c(list(exposure = exposure, outcome = outcome), settings,
    list(n_threads = cli_threads(given)))
  arguments$seed <- v$seed
  arguments$pairs <- if (!is.null(v$pairs)) pairs_table(v$pairs)
  result <- if (is.null(v$effects)) {
    sequences <- read_fasta(cli_value(given, "sequences"))
    model <- command_model(cli_value(given, "model"), v$`keras-config`)
    arguments$type <- v$type
    do.call(deep_mr, c(list(model, sequences), arguments))
  } else {
    do.call(deep_mr_effects, c(list(mutation_table(v$effects)), arguments))
  }
  if (!is.null(v$output)) {
    for (name in c("global", "local", "effects")) {
      cli_write(csv_lines(atomic_columns(result[[name]])),
        file.path(v$output, paste0(name, ".csv")))
    }
    cli_write(serialize(result, NULL), file.path(v$output, "deepmr.rds"), gzip = TRUE)
    cli_say("Saved in ", v$output, ".")
  }
  cli_print(given, atomic_columns(result[[what]]))
}

command_model <- function(path, config) {
  if (grepl("\\.(h5|hdf5|keras)$", path)) {
    return(read_keras_model(path, config))
  }
  read_seq_model(path)
}

# Effects from a directory of mutagenize() or a table.
mutation_table <- function(path) {
  if (dir.exists(path)) {
    return(read_effects(path))
  }
  names <- table_header(path)$names
  table_columns(path, list(effect = "effect", other = setdiff(names, "effect")), "effect")$data
}

# Measured pairs as deep_mr_pairs() has them.
pairs_table <- function(path) {
  words <- c("sequence", "mutant", "output")
  numbers <- c("effect", "observed", "level")
  more <- c("level_mutant", "n_measured", "n_measured_mutant")
  names <- table_header(path)$names
  out <- table_columns(path, list(
    words = words, numbers = c(numbers, intersect(more, names)), keep = intersect("keep", names)
  ), "numbers")$data
  out[words] <- lapply(out[words], as.character)
  if (!is.null(out[["keep"]])) {
    said <- match(toupper(out$keep), c("FALSE", "0", "TRUE", "1"))
    stop_rows("keep", "must be TRUE or FALSE", out$keep, is.na(said))
    out$keep <- said > 2L
  }
  out
}

# Without columns that are matrices or lists.
atomic_columns <- function(table) {
  table[vapply(table, function(v) is.atomic(v) && is.null(dim(v)), NA)]
}
