# Measured pairs: what tells how wrong a model's effects are.

#' Measured pairs of a sequence and its mutant
#'
#' Predicted and measured differences of held-out sequences and their mutants, which
#' [deep_mr()] and [deep_mr_effects()] calibrate their intervals on. Errors that all effects of a
#' model share (its slope is off by the same share everywhere) are seen by no ensemble and no
#' formula for standard errors; measured differences show them.
#'
#' The measured sequences must have been used for nothing else: neither training nor early
#' stopping. Pairs must resemble the variants that are instruments, so that what is learnt of their
#' errors holds for these: mutations within the exposure's motif, in sequences where the outcome can
#' respond. `keep` says which those are; the others still tell the noise of a measurement.
#'
#' @param model A [seq_ensemble()], [seq_model()] or [seq_predictor()].
#' @param sequences Held-out sequences, named; also those that only are parents.
#' @param labels What was measured of them: matrix or data.frame (sequences, outputs) with the
#'   outputs' names.
#' @param parent For each sequence the name of the one that it is a mutant of, `NA` for the others.
#' @param keep For each sequence, is it a mutant to calibrate on (`TRUE` for all by default)?
#' @param n_measured How many measurements `labels` are means of: one number, or one per sequence.
#' @param ... Passed to [predict()], as `type` and `n_threads`.
#' @return A data.frame with a row for each mutant and output: `sequence` (the parent), `mutant`,
#'   `output`, `effect` (predicted difference of mutant and parent), `observed` (measured one),
#'   `level`, `level_mutant` (predictions), `n_measured`, `n_measured_mutant`, `keep`. Effects from
#'   elsewhere can be put into the same columns by hand. Raises `mrlearn_error_argument` or
#'   `mrlearn_error_data` for duplicate names, unknown parents and labels that do not fit.
#' @examples
#' sim <- sim_sequences(n = 200, length = 60, mutants = 1, seed = 2)
#' gc <- seq_predictor(function(s) cbind(exposure = nchar(gsub("[AT]", "", s)),
#'   outcome = nchar(gsub("[CG]", "", s))))
#' labels <- cbind(exposure = sim$exposure_label, outcome = sim$outcome_label)
#' pairs <- deep_mr_pairs(gc, stats::setNames(sim$sequence, sim$id), labels, sim$parent)
#' head(pairs)
#' @export
deep_mr_pairs <- function(model, sequences, labels, parent, keep = NULL, n_measured = 1, ...) {
  if (!inherits(model, c("seq_model", "seq_ensemble", "seq_predictor"))) {
    stop_no_sequence_model(model)
  }
  ids <- check_named_sequences(sequences)
  labels <- check_pair_labels(labels, length(ids))
  from <- check_parents(parent, ids)
  keep <- check_pair_keep(keep, length(ids))
  n_measured <- check_n_measured(n_measured, length(ids))
  mutant <- which(!is.na(from))
  level <- stats::predict(model, sequences, ...)
  outputs <- intersect(colnames(labels), names(level)[-1])
  if (!length(outputs)) {
    stop_argument("labels", "must have columns named as outputs of the model",
      shorten(colnames(labels)))
  }
  level <- as.matrix(level[outputs])
  each <- function(x) rep(x, each = length(outputs))
  rows <- function(x, at) as.vector(t(x[at, outputs, drop = FALSE]))
  before <- from[mutant]
  data.frame(
    sequence = each(ids[before]), mutant = each(ids[mutant]),
    output = rep(outputs, length(mutant)),
    effect = rows(level, mutant) - rows(level, before),
    observed = rows(labels, mutant) - rows(labels, before),
    level = rows(level, before), level_mutant = rows(level, mutant),
    n_measured = each(n_measured[before]), n_measured_mutant = each(n_measured[mutant]),
    keep = each(keep[mutant])
  )
}

# The names of sequences, which must be there and differ.
check_named_sequences <- function(sequences, arg = "sequences") {
  ids <- if (is.array(sequences)) dimnames(sequences)[[1]] else names(sequences)
  if (is.null(ids) || anyNA(ids) || !all(nzchar(ids))) {
    stop_argument(arg, "must have names, by which results are matched", "sequences without")
  }
  if (anyDuplicated(ids)) {
    stop_argument(arg, "must have different names",
      paste0("\"", ids[anyDuplicated(ids)], "\" twice"), what = "data")
  }
  ids
}

check_pair_labels <- function(labels, n) {
  labels <- if (is.data.frame(labels)) as.matrix(labels) else labels
  if (!is.matrix(labels) || !is.numeric(labels) || nrow(labels) != n ||
    is.null(colnames(labels))) {
    stop_argument("labels", paste("must be numbers,", n, "rows by outputs, with their names"),
      describe(labels))
  }
  if (!all(is.finite(labels))) {
    stop_argument("labels", "must be finite", count_not_finite(labels), what = "data")
  }
  labels
}

check_parents <- function(parent, ids) {
  if (!is.atomic(parent) || length(parent) != length(ids)) {
    stop_argument("parent", paste("must be a vector of length", length(ids)), describe(parent))
  }
  from <- match(as.character(parent), ids)
  unknown <- which(is.na(from) & !is.na(parent))
  if (length(unknown)) {
    stop_argument("parent", "must be names of `sequences`", describe(parent[unknown[1]]),
      what = "data")
  }
  if (all(is.na(from))) {
    stop_argument("parent", "must name the parent of a sequence at least", "NA alone",
      what = "data")
  }
  from
}

check_pair_keep <- function(keep, n) {
  keep <- if (is.null(keep)) rep(TRUE, n) else keep
  if (!is.logical(keep) || length(keep) != n) {
    stop_argument("keep", paste("must be TRUE or FALSE,", n, "of them"), describe(keep))
  }
  keep & !is.na(keep)
}

check_n_measured <- function(n_measured, n) {
  n_measured <- check_doubles(n_measured)
  if (!length(n_measured) %in% c(1L, n) || any(n_measured <= 0)) {
    stop_argument("n_measured", "must be positive, one number or one per sequence",
      describe(n_measured))
  }
  rep_len(n_measured, n)
}

# Pairs of exposure and outcome, one row each: predicted differences f and g, measured ones dx and
# dy, levels of both sequences, whether they are kept.
wide_pairs <- function(pairs, exposure, outcome) {
  needed <- c("sequence", "mutant", "output", "effect", "observed", "level")
  if (!is.data.frame(pairs)) {
    stop_argument("pairs", "must be a data.frame, as deep_mr_pairs() makes it", describe(pairs))
  }
  check_mr_columns(pairs, needed, "pairs")
  for (name in c("effect", "observed", "level")) {
    pairs[[name]] <- check_doubles(pairs[[name]], paste0("pairs$", name))
  }
  x <- pairs[pairs$output == exposure, ]
  y <- pairs[pairs$output == outcome, ]
  key <- function(d) paste(d$sequence, d$mutant, sep = "\r")
  at <- match(key(x), key(y))
  if (!nrow(x) || anyNA(at) || nrow(x) != nrow(y) || anyDuplicated(key(x))) {
    stop_mrl("data", "`pairs` must have one row for each pair and each of ", exposure, " and ",
      outcome, "; it has ", nrow(x), " and ", nrow(y), ".")
  }
  y <- y[at, ]
  or <- function(column, default) {
    if (is.null(x[[column]])) default else x[[column]]
  }
  other <- function(d) if (is.null(d$level_mutant)) d$level + d$effect else d$level_mutant
  data.frame(
    sequence = as.character(x$sequence), mutant = as.character(x$mutant), f = x$effect,
    g = y$effect, dx = x$observed, dy = y$observed, level_x = x$level, level_y = y$level,
    mutant_x = other(x), mutant_y = other(y), n = or("n_measured", 1),
    n_mutant = or("n_measured_mutant", 1), keep = or("keep", TRUE)
  )
}
