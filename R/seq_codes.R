# Sequences as codes: a raw matrix (length, n), letter number 0 .. or the number of letters for an
# unknown one.

seq_codes <- function(sequences, model, arg = "sequences") {
  if (inherits(sequences, c("XStringSet", "XString"))) {
    ids <- names(sequences)
    sequences <- as.character(sequences)
    names(sequences) <- ids
  }
  if (is.array(sequences) && length(dim(sequences)) == 3L) {
    return(one_hot_codes(sequences, model, arg))
  }
  if (!is.character(sequences) || !length(sequences) || anyNA(sequences)) {
    stop_argument(arg, "must be a character vector of sequences without NA", describe(sequences))
  }
  check_seq_lengths(sequences, model$length, arg)
  out <- .Call(C_seq_encode, as.vector(sequences), list(
    length = model$length, letters = model$alphabet$letters,
    unknown_letters = model$alphabet$unknown
  ))
  check_status(out$status, "reading sequences")
  ids <- seq_ids(names(sequences), length(sequences))
  bad <- out$value$bad_sequence
  if (bad > 0) {
    at <- out$value$bad_position
    stop_mrl("data", "`", arg, "` must be of the letters ", model$alphabet$letters,
      " (and ", model$alphabet$unknown, " for unknown ones); sequence ", ids[bad], " has \"",
      substr(sequences[bad], at, at), "\" at position ", at, ".")
  }
  list(codes = matrix(out$value$codes, model$length), ids = ids)
}

seq_ids <- function(names, n) {
  ids <- if (is.null(names)) character(n) else names
  ifelse(is.na(ids) | ids == "", as.character(seq_len(n)), ids)
}

# In bytes: letters of more than one byte are none of ours.
check_seq_lengths <- function(sequences, length, arg) {
  wide <- which(nchar(sequences, "bytes") != length)
  if (base::length(wide)) {
    stop_argument(arg, paste0("must have length ", length, ", the model's"),
      paste0("length ", nchar(sequences[wide[1]], "bytes"), " in sequence ", wide[1]),
      what = "data"
    )
  }
}

# (n, length, letters): a 1 at the letter; all 0 or all equal where it is unknown.
one_hot_codes <- function(x, model, arg) {
  letters <- nchar(model$alphabet$letters)
  if (!is.numeric(x) || dim(x)[2] != model$length || dim(x)[3] != letters || dim(x)[1] < 1) {
    stop_argument(arg, paste0("must be (n, ", model$length, ", ", letters, ") as a one-hot array"),
      describe(x))
  }
  flat <- matrix(aperm(x, c(2, 1, 3)), ncol = letters)
  is_one <- rowSums(flat == 1) == 1 & rowSums(flat == 0) == letters - 1
  is_unknown <- rowSums(flat == flat[, 1]) == letters & !is_one
  if (anyNA(flat) || !all(is_one | is_unknown)) {
    stop_argument(arg, "must have one 1 at each position, or equal numbers where it is unknown",
      "other numbers", what = "data")
  }
  codes <- ifelse(is_one, max.col(flat, "first") - 1L, letters)
  list(codes = matrix(as.raw(codes), model$length), ids = seq_ids(dimnames(x)[[1]], dim(x)[1]))
}

# The other strand of codes (length, n).
reverse_codes <- function(codes, alphabet) {
  if (!alphabet$name %in% c("DNA", "RNA")) {
    stop_argument("reverse_complement", "must be FALSE for an alphabet without complements", "TRUE")
  }
  other <- as.raw(c(3, 2, 1, 0, 4))[as.integer(codes) + 1L]
  matrix(other, nrow(codes))[rev(seq_len(nrow(codes))), , drop = FALSE]
}

#' Read sequences from a FASTA file
#'
#' A plain reader: lines that start with `>` begin a record named by the text up to the first white
#' space; letters of the lines behind it are joined. Blank lines are skipped.
#'
#' @param file Path of a file, which may be compressed as [gzfile()] reads it.
#' @return A named character vector. Raises `mrlearn_error_data` where the file is empty, does not
#'   begin with a record, or has a record without letters.
#' @examples
#' file <- tempfile(fileext = ".fa")
#' writeLines(c(">one", "ACGT", "AC", ">two text", "GGGGGG"), file)
#' read_fasta(file)
#' @export
read_fasta <- function(file) {
  check_file(file, "file")
  connection <- gzfile(file, "rt")
  on.exit(close(connection))
  lines <- trimws(readLines(connection, warn = FALSE))
  lines <- lines[nzchar(lines)]
  is_name <- startsWith(lines, ">")
  if (!length(lines) || !is_name[1]) {
    stop_mrl("data", "`file` is no FASTA file: ",
      if (length(lines)) "it does not begin with \">\"." else "it is empty.")
  }
  record <- factor(cumsum(is_name)[!is_name], levels = seq_len(sum(is_name)))
  out <- vapply(split(lines[!is_name], record), paste, "", collapse = "")
  names(out) <- sub("^>\\s*(\\S*).*$", "\\1", lines[is_name])
  if (any(!nzchar(out))) {
    stop_mrl("data", "Record \"", names(out)[!nzchar(out)][1], "\" of `file` has no letters.")
  }
  out
}
