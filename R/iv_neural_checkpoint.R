# Checkpoints: a file from which a killed run goes on to the same bits.

checkpoint_format <- "mrlearn checkpoint 1"

# The file as it lies there: NULL if there is none, else what was saved.
read_checkpoint <- function(file) {
  if (is.null(file)) {
    return(NULL)
  }
  folder <- dirname(check_string(file, "checkpoint"))
  if (!dir.exists(folder) || file.access(folder, 2) != 0) {
    stop_argument("checkpoint", "must be a file in a folder that can be written to",
      describe(file))
  }
  if (!file.exists(file)) {
    return(NULL)
  }
  saved <- tryCatch(suppressWarnings(readRDS(file)), error = function(e) NULL)
  if (!is.list(saved) || !identical(saved$format, checkpoint_format)) {
    stop_mrl("checkpoint", "`checkpoint` = \"", file, "\" is no checkpoint of this package: ",
      "remove it or give another name.")
  }
  saved
}

# The seed of a run: that of its checkpoint if none is given.
seed_of_run <- function(seed, saved) {
  if (is.null(seed) && !is.null(saved)) saved$key$settings$seed else resolve_seed(seed)
}

# What keeps a run: saved (what was kept so far, checked to be of this run), save(...), remove().
open_checkpoint <- function(how, data, settings) {
  keeper <- new.env(parent = emptyenv())
  keeper$on <- !is.null(how$checkpoint)
  keeper$every <- how$checkpoint_every
  keeper$saved <- list()
  keeper$save <- keeper$remove <- function(...) NULL
  if (!keeper$on) {
    return(keeper)
  }
  file <- how$checkpoint
  key <- checkpoint_key(data, settings)
  isa <- isa_used()
  if (!is.null(how$saved)) {
    check_checkpoint(how$saved, key, isa, file)
    keeper$saved <- how$saved
  }
  keeper$save <- function(...) {
    replace_rds(list(format = checkpoint_format, key = key, isa = isa, ...), file)
  }
  keeper$remove <- function() unlink(file)
  keeper
}

# A run is its data and its settings; threads and the number of replicates may change.
checkpoint_key <- function(data, settings) {
  free <- c("n_threads", "isa", "until")
  list(data = lapply(data, fingerprint), settings = settings[setdiff(names(settings), free)])
}

# A few numbers that other data would hardly have.
fingerprint <- function(x) {
  if (is.list(x)) {
    return(lapply(x, fingerprint))
  }
  x <- as.double(x)
  c(length(x), sum(x), sum(x * cos(seq_along(x))))
}

check_checkpoint <- function(saved, key, isa, file) {
  refuse <- function(...) {
    stop_mrl("checkpoint", "`checkpoint` = \"", file, "\" is of a run ", ...,
      ": remove it or give another name.")
  }
  if (!identical(saved$key$data, key$data)) {
    refuse("on other data")
  }
  if (!identical(saved$key$settings, key$settings)) {
    names <- union(names(key$settings), names(saved$key$settings))
    same <- vapply(names, function(v) identical(key$settings[[v]], saved$key$settings[[v]]), NA)
    refuse("with other settings (", shorten(names[!same]), ")")
  }
  if (!identical(saved$isa, isa)) {
    refuse("with the instruction set ", saved$isa, ", not ", isa,
      "; options(mrlearn.isa =) chooses one")
  }
}
