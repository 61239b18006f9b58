# Effects of mutations on disk: chunks of sequences, each a file that appears whole or not at all.

effects_format <- "mrlearn effects 1"

# ids: numbers of the sequences that are mutated, in order; a chunk is `size` of them. Chunks that
# are there are not computed again.
mutagenize_to_dir <- function(model, sequences, dir, per_chunk, ..., positions = NULL,
                              variants = NULL) {
  sequences <- plain_sequences(sequences)
  ids <- seq_ids(if (is.array(sequences)) dimnames(sequences)[[1]] else names(sequences),
    NROW(sequences))
  variants <- if (!is.null(variants)) check_variants(variants)
  of <- if (!is.null(variants)) variant_sequence(variants$sequence, ids)
  wanted <- if (is.null(of)) seq_along(ids) else sort(unique(of))
  letters <- if (is.array(sequences)) dim(sequences)[2] else nchar(sequences[1])
  more <- with_seed_of_masks(list(...), dir)
  size <- if (is.null(per_chunk)) max(1L, 16384L %/% max(1L, letters)) else check_count(per_chunk)
  key <- effects_key(model, sequences, c(list(positions = positions, variants = variants,
    size = size), more))
  open_effects(dir, key, ceiling(length(wanted) / size))
  chunks <- unname(split(wanted, (seq_along(wanted) - 1L) %/% size))
  if (on_futures("auto")) {
    more$n_threads <- 1L
  }
  waiting <- which(!file.exists(chunk_file(dir, seq_along(chunks))))
  teller <- count_teller(interactive(), length(chunks), length(chunks) - length(waiting),
    "Mutagenesis")
  on.exit(teller$close())
  write_chunk <- function(k) {
    at <- chunks[[k]]
    mine <- if (!is.null(of)) chunk_variants(variants, of, at)
    effects <- do.call(mutagenize, c(list(model, named_part(sequences, ids, at),
      positions = positions, variants = mine), more))
    replace_rds(effects, chunk_file(dir, k))
  }
  lapply_jobs(waiting, write_chunk, told = teller$tell, doing = "mutating sequences")
  invisible(dir)
}

# All chunks have the same dropout masks: those of the run that the directory holds, if any.
with_seed_of_masks <- function(more, dir) {
  if (!is.null(more$n_dropout) && is.null(more$seed)) {
    saved <- read_run(dir)
    more$seed <- if (is.null(saved$key$how$seed)) resolve_seed(NULL) else saved$key$how$seed
  }
  more
}

# What the directory says of its run: NULL if it holds none.
read_run <- function(dir) {
  file <- file.path(check_string(dir, "dir"), "run.rds")
  saved <- if (file.exists(file)) {
    tryCatch(suppressWarnings(readRDS(file)), error = function(e) NULL)
  }
  if (is.list(saved) && identical(saved$format, effects_format)) saved
}

plain_sequences <- function(sequences) {
  if (inherits(sequences, c("XStringSet", "XString"))) {
    ids <- names(sequences)
    sequences <- as.character(sequences)
    names(sequences) <- ids
  }
  if (!length(sequences) || !(is.character(sequences) || length(dim(sequences)) == 3L)) {
    stop_argument("sequences", "must be a character vector, a Biostrings set or a one-hot array",
      describe(sequences))
  }
  sequences
}

named_part <- function(sequences, ids, at) {
  if (!is.array(sequences)) {
    return(stats::setNames(sequences[at], ids[at]))
  }
  out <- sequences[at, , , drop = FALSE]
  dimnames(out) <- list(ids[at], NULL, NULL)
  out
}

# Variants of some sequences, in their order, numbered within these.
chunk_variants <- function(variants, of, at) {
  mine <- variants[of %in% at, , drop = FALSE]
  mine$sequence <- match(of[of %in% at], at)
  mine
}

chunk_file <- function(dir, k) {
  file.path(dir, sprintf("effects-%06d.rds", k))
}

# What makes a run: the model, the sequences, what is mutated. Of a function, its text alone.
effects_key <- function(model, sequences, how) {
  how$n_threads <- NULL
  text_key <- function(x) fingerprint(vapply(x, function(s) fingerprint(utf8ToInt(s))[3], 0))
  part <- function(f, ...) rapply(unclass(model), f, classes = c(...), how = "unlist")
  list(
    numbers = fingerprint(part(as.double, "numeric", "integer", "logical")),
    words = text_key(c(part(as.vector, "character"), if (is.function(model$f)) deparse(model$f))),
    sequences = if (is.array(sequences)) fingerprint(sequences) else text_key(sequences),
    names = text_key(names(sequences)), how = how, isa = isa_used()
  )
}

# Makes the directory, or checks that it is of the same run.
open_effects <- function(dir, key, n_chunks) {
  check_string(dir)
  file <- file.path(dir, "run.rds")
  if (file.exists(file)) {
    saved <- read_run(dir)
    if (is.null(saved)) {
      stop_mrl("checkpoint", "`dir` = \"", dir, "\" holds something else: give another name.")
    }
    if (identical(saved$key, key)) {
      return(invisible())
    }
    if (length(list.files(dir, "^effects-"))) { # else it failed before its first chunk
      stop_mrl("checkpoint", "`dir` = \"", dir, "\" is of a run with another model, other ",
        "sequences or settings: remove it or give another name.")
    }
  } else if (length(list.files(dir))) {
    stop_mrl("checkpoint", "`dir` = \"", dir, "\" is not empty and holds no effects.")
  }
  made <- dir.exists(dir) || dir.create(dir, showWarnings = FALSE)
  if (!made || file.access(dir, 2) != 0) {
    stop_argument("dir", "must be a directory that can be written to", describe(dir))
  }
  replace_rds(list(format = effects_format, key = key, n_chunks = n_chunks), file)
}

#' Read effects of mutations from a directory
#'
#' What [mutagenize()] wrote with `dir =`, whole or in part.
#'
#' @param dir The directory. Its files are R's own (RDS), which can hold code: never read one from
#'   strangers.
#' @param chunks Numbers of the chunks to be read, from 1; `NULL`: all. `attr(, "n_chunks")` of the
#'   result says how many there are.
#' @return The data.frame that [mutagenize()] would have returned for these sequences. Raises
#'   `mrlearn_error_checkpoint` for a directory of something else, or whose run is not finished.
#' @examples
#' model <- seq_predictor(function(s) nchar(gsub("[AT]", "", s)))
#' dir <- tempfile()
#' mutagenize(model, c(a = "AC", b = "GT"), dir = dir, per_chunk = 1)
#' nrow(read_effects(dir))
#' read_effects(dir, chunks = 2)
#' @export
read_effects <- function(dir, chunks = NULL) {
  check_string(dir)
  saved <- read_run(dir)
  if (is.null(saved)) {
    stop_mrl("checkpoint", "`dir` = \"", dir, "\" holds no effects of mutagenize().")
  }
  chunks <- if (is.null(chunks)) seq_len(saved$n_chunks) else chunks
  if (!is.numeric(chunks) || !length(chunks) || !all(chunks %in% seq_len(saved$n_chunks))) {
    stop_argument("chunks", paste("must be whole numbers from 1 to", saved$n_chunks),
      describe(chunks))
  }
  files <- chunk_file(dir, chunks)
  if (!all(file.exists(files))) {
    stop_mrl("checkpoint", "`dir` = \"", dir, "\" is of a run that is not finished: ",
      sum(!file.exists(files)), " of ", length(files), " chunks are missing. The same call of ",
      "mutagenize() goes on with it.")
  }
  out <- do.call(rbind, lapply(files, read_rds, what = "checkpoint"))
  if (!is.null(out$members)) {
    dimnames(out$members) <- NULL # rbind() makes empty ones
  }
  attr(out, "n_chunks") <- saved$n_chunks
  out
}
