# Any R function of sequences as a model.

#' A function as a model of sequences
#'
#' Wraps a function that predicts from sequences (a network in torch or reticulate, a command line
#' program, a service), so that [predict()], [mutagenize()] and [calibrate()] take it like a model
#' of this package. Effects of mutations are differences of plain predictions in batches: slower
#' than what [mutagenize()] does for a [seq_model()].
#'
#' `f` is assumed to give a sequence the same numbers whatever else is in the batch, and, for
#' replicates, to use the same member or dropout mask for replicate k in every call: else the
#' errors that mutant and sequence share do not cancel. That `f` is so is checked nowhere.
#'
#' @param f A function of a character vector of n sequences, which returns predictions: a vector
#'   (n), a matrix or data.frame (n, outputs), or, with replicates, an array (n, outputs, K) of the
#'   predictions of each member or dropout mask, whose mean is the prediction.
#' @param outputs A name for each output; `NULL`: the column names, or `y1`, `y2`, ....
#' @param alphabet As in [seq_model()].
#' @param length Number of letters; `NULL`: any, but one length in each call.
#' @param batch_size Most sequences in a call of `f`.
#' @return A list of class `seq_predictor`. Raises `mrlearn_error_argument`; what `f` returns is
#'   checked when it is called, and raises `mrlearn_error_data` where it does not fit.
#' @examples
#' gc <- function(sequences) nchar(gsub("[AT]", "", sequences)) / nchar(sequences)
#' model <- seq_predictor(gc, outputs = "gc")
#' predict(model, c(a = "ACGT", b = "AATT"))
#' mutagenize(model, c(a = "ACGT"), positions = 1)
#' @export
seq_predictor <- function(f, outputs = NULL, alphabet = "DNA", length = NULL, batch_size = 256) {
  if (!is.function(f)) {
    stop_argument("f", "must be a function of a character vector", describe(f))
  }
  if (!is.null(outputs) && (!is.character(outputs) || anyNA(outputs) || anyDuplicated(outputs))) {
    stop_argument("outputs", "must be different strings", describe(outputs))
  }
  structure(
    list(
      f = f, output_names = outputs, alphabet = check_alphabet(alphabet),
      length = if (!is.null(length)) check_count(length, "length"),
      batch_size = check_count(batch_size)
    ),
    class = "seq_predictor"
  )
}

#' @export
print.seq_predictor <- function(x, ...) {
  cat("Predictions of a function on ", x$alphabet$name, " sequences of ",
    if (is.null(x$length)) "any length" else paste("length", x$length), "\n", sep = "")
  invisible(x)
}

# With a length: that of the sequences where it has none of its own.
predictor_of_length <- function(model, sequences) {
  if (!inherits(sequences, c("XStringSet", "XString")) &&
    (!is.atomic(sequences) || is.null(sequences))) {
    stop_argument("sequences", "must be a character vector or one-hot codes", describe(sequences))
  }
  if (is.null(model$length)) {
    one <- length(dim(sequences)) == 3L
    model$length <- if (one) dim(sequences)[2] else nchar(as.character(sequences[1]), "bytes")
    if (!isTRUE(model$length > 0)) {
      stop_argument("sequences", "must be a character vector of sequences that are not empty",
        describe(sequences))
    }
  }
  model
}

# Sequences as text from codes (length, n).
code_text <- function(codes, alphabet) {
  unknown <- if (nzchar(alphabet$unknown)) alphabet$unknown else "N"
  letters <- charToRaw(paste0(alphabet$letters, unknown))
  text <- matrix(letters[as.integer(codes) + 1L], nrow(codes))
  apply(text, 2, rawToChar)
}

# Predictions of text: list of `values` (n, outputs, K), `outputs` and `is_replicated`.
run_predictor <- function(model, text) {
  batches <- split(text, (seq_along(text) - 1L) %/% model$batch_size)
  parts <- lapply(batches, function(batch) predictor_values(model, batch))
  shapes <- unique(lapply(parts, function(x) dim(x)[-1]))
  if (length(shapes) > 1L) {
    stop_mrl("data", "`f` returned other numbers of outputs or replicates for other sequences.")
  }
  shape <- shapes[[1]]
  values <- array(0, c(length(text), shape[1], prod(shape[-1])))
  at <- split(seq_along(text), (seq_along(text) - 1L) %/% model$batch_size)
  for (i in seq_along(parts)) {
    values[at[[i]], , ] <- parts[[i]]
  }
  list(values = values, outputs = predictor_outputs(model, parts[[1]]),
    is_replicated = length(shape) == 2L)
}

# What `f` returns, as a matrix or an array.
predictor_values <- function(model, batch) {
  returned <- model$f(unname(batch))
  values <- if (is.data.frame(returned)) as.matrix(returned) else returned
  if (is.null(dim(values))) {
    values <- matrix(values, ncol = 1L)
  }
  n <- length(batch)
  if (!is.numeric(values) || !length(dim(values)) %in% 2:3 || dim(values)[1] != n ||
    any(dim(values) < 1L)) {
    stop_mrl("data", "`f` must return ", n, " row(s) of numbers for ", n, " sequence(s); got ",
      describe(returned), ".")
  }
  if (!all(is.finite(values))) {
    stop_mrl("data", "`f` returned ", count_not_finite(values), " number(s).")
  }
  values
}

predictor_outputs <- function(model, values) {
  n <- dim(values)[2]
  names <- if (is.null(model$output_names)) dimnames(values)[[2]] else model$output_names
  if (is.null(names)) {
    names <- if (n == 1L) "y" else paste0("y", seq_len(n))
  }
  if (length(names) != n) {
    stop_mrl("data", "`f` returned ", n, " output(s); `outputs` names ", length(names), ".")
  }
  names
}

#' Predictions and effects of a function
#'
#' @param object,model A [seq_predictor()].
#' @param sequences,positions,variants As in [mutagenize.seq_model()].
#' @param members Return the replicates as well?
#' @param ... Not used.
#' @return Of `predict()`: a data.frame with `sequence` and one column for each output; with
#'   `members = TRUE` a list of this `mean` and `members`, an array (sequence, output, replicate).
#'   Of `mutagenize()`: as of [mutagenize.seq_model()]; with replicates also `std.error`, the
#'   standard deviation of the replicates' effects, and `members`, a matrix with each one's.
#' @export
predict.seq_predictor <- function(object, sequences, members = FALSE, ...) {
  check_no_dots(...)
  check_flag(members)
  object <- predictor_of_length(object, sequences)
  input <- seq_codes(sequences, object)
  run <- run_predictor(object, code_text(input$codes, object$alphabet))
  object$output_names <- run$outputs
  prediction_frame(aperm(run$values, c(2, 1, 3)), object, input$ids, members)
}

#' @rdname predict.seq_predictor
#' @export
mutagenize.seq_predictor <- function(model, sequences, positions = NULL, variants = NULL, ...) {
  check_no_dots(...)
  model <- predictor_of_length(model, sequences)
  input <- seq_codes(sequences, model)
  changes <- chosen_variants(positions, variants, input, model)
  whole <- code_text(input$codes, model$alphabet)
  before <- run_predictor(model, whole)
  letters <- strsplit(model$alphabet$letters, "")[[1]]
  mutants <- whole[changes$sequence + 1L]
  substr(mutants, changes$position + 1L, changes$position + 1L) <- letters[changes$alt + 1L]
  after <- run_predictor(model, mutants)
  change <- after$values - before$values[changes$sequence + 1L, , , drop = FALSE]
  each <- matrix(aperm(change, c(2, 1, 3)), ncol = dim(change)[3]) # outputs of a variant together
  model$output_names <- before$outputs
  replicate_frame(each, changes, input, model, spread = before$is_replicated)
}

#' @export
sequence_law.seq_predictor <- function(object, sequences, ...) {
  replicates_law(predict.seq_predictor(object, sequences, members = TRUE, ...)$members)
}
