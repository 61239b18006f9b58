# Effects of single substitutions on a model's predictions.

#' Effects of mutations
#'
#' In-silico mutagenesis: the change of every output when one letter of a sequence is replaced.
#' Exact: what a letter reaches is recomputed from layer to layer, the rest is taken from the
#' reference sequence, so that all substitutions cost a small part of as many predictions.
#'
#' The effect is that on the model's prediction, not on the world: where the model learnt a
#' confounder, its effects carry it.
#'
#' @param model A [seq_model()] with parameters.
#' @param sequences As in [predict.seq_model()].
#' @param positions Positions that are mutated, from 1; `NULL`: all.
#' @param variants Instead of all substitutions: a data.frame with `sequence` (name or number),
#'   `position` (from 1), `alt` (a letter) and, if it is to be checked, `ref`; or the path of a VCF
#'   file as [read_vcf()] reads it, whose chromosomes are the names of the sequences.
#' @param reverse_complement Average the effects of both strands? As in [predict.seq_model()].
#' @param type `"link"`: effects on what the output layers give. `"response"`: on expected labels,
#'   as on counts of a network with the loss `"poisson"`; see [predict.seq_model()].
#' @param n_dropout,seed Number of dropout masks, and their seed: see the section on Monte Carlo
#'   dropout in [predict.seq_model()]. A sequence and its mutants have the same mask.
#' @param n_threads Number of threads; results do not depend on it.
#' @param dir For long runs: a directory to which effects are written, chunk by chunk, and
#'   read with [read_effects()]. A chunk appears whole or not at all, and the same call after an
#'   interruption, or a kill, goes on with those that are missing. Another model, other sequences
#'   or settings are refused; of a [seq_predictor()] only the function's text is compared.
#' @param per_chunk Number of sequences in a chunk; `NULL`: about 16,000 letters.
#' @param ... For the methods.
#' @return A data.frame `sequence, position, ref, alt, output, effect`, one row for each variant and
#'   output, outputs of a variant behind each other; effect = prediction of the mutant less that of
#'   the sequence. An unknown reference letter has `ref` N (X in proteins) and all letters as `alt`.
#'   With `n_dropout`, `effect` is the mean over masks, and there are `std.error`, their effects'
#'   standard deviation, and `members`, a matrix with each mask's.
#'   With `dir`, its path, invisibly. Raises `mrlearn_error_argument` or `mrlearn_error_data` for
#'   variants that do not fit the sequences, `mrlearn_error_checkpoint` for a directory of something
#'   else.
#' @references Nair et al. (2022), Bioinformatics 38:2397; Schreiber et al. (2022), Bioinformatics
#'   38:3557: fast mutagenesis by what a mutation reaches.
#' @examples
#' model <- seq_model(list(seq_layer("conv", units = 1, taps = 2), seq_layer("global_max")), 4,
#'   parameters = c(1, 0, 0, 0, 0, 1, 0, 0, 0)
#' )
#' mutagenize(model, c(s = "GACG"), positions = 2)
#' @export
mutagenize <- function(model, sequences, ..., dir = NULL, per_chunk = NULL) {
  if (missing(dir) && missing(per_chunk)) {
    UseMethod("mutagenize")
  } else if (is.null(dir)) {
    mutagenize(model, sequences, ...)
  } else {
    mutagenize_to_dir(model, sequences, dir, per_chunk, ...)
  }
}

#' @export
mutagenize.default <- function(model, sequences, ...) {
  stop_no_sequence_model(model)
}

stop_no_sequence_model <- function(model) {
  stop_argument("model", "must be a seq_model(), a seq_ensemble() or a seq_predictor()",
    describe(model))
}

#' @rdname mutagenize
#' @export
mutagenize.seq_model <- function(model, sequences, positions = NULL, variants = NULL,
                                 reverse_complement = FALSE, type = c("link", "response"),
                                 n_dropout = 0, seed = NULL, n_threads = mrl_threads(), ...) {
  check_no_dots(...)
  mutagenize_members(list(model), sequences, positions, variants, reverse_complement,
    if (missing(type)) "link" else type, n_dropout, seed, n_threads, spread = n_dropout[1] > 0)
}

# spread: return the members' effects and their standard deviation as well?
mutagenize_members <- function(models, sequences, positions = NULL, variants = NULL,
                               reverse_complement = FALSE, type = "link", n_dropout = 0,
                               seed = NULL, n_threads = mrl_threads(), ..., spread) {
  check_no_dots(...)
  asked <- seq_asked(models, reverse_complement, type, n_dropout, seed, n_threads)
  input <- seq_codes(sequences, models[[1]])
  changes <- chosen_variants(positions, variants, input, models[[1]])
  each <- lapply(seq_along(models), function(k) {
    lapply(masks_of(asked, k), function(mask) {
      as.vector(both_strands(models[[k]], input$codes, changes, asked, mask))
    })
  })
  members <- do.call(cbind, unlist(each, recursive = FALSE))
  replicate_frame(members, changes, input, models[[1]], spread)
}

# members (outputs of a variant behind each other, K).
replicate_frame <- function(members, changes, input, model, spread = TRUE) {
  effect <- rowMeans(members)
  out <- variant_frame(matrix(effect, length(model$output_names)), changes, input, model)
  if (spread) {
    out$std.error <- sqrt(rowSums((members - effect)^2) / (ncol(members) - 1))
    out$members <- members
  }
  out
}

# Effects (n_outputs, n) of variants under one mask, averaged over strands if that is asked for.
both_strands <- function(model, codes, changes, asked, mask) {
  effect <- strand_effects(model, codes, changes, asked, mask)
  if (!asked$both) {
    return(effect)
  }
  other <- list(
    sequence = changes$sequence, position = model$length - 1L - changes$position,
    alt = 3L - changes$alt
  )
  (effect + strand_effects(model, reverse_codes(codes, model$alphabet), other, asked, mask)) / 2
}

strand_effects <- function(model, codes, changes, asked, mask) {
  effect <- mutate_codes(model, codes, changes, asked$n_threads, mask)
  if (asked$type == "response") {
    before <- predict_codes(model, codes, asked$n_threads, mask)
    before <- before[, changes$sequence + 1L, drop = FALSE]
    effect <- seq_response(before + effect, model) - seq_response(before, model)
  }
  effect
}

check_positions <- function(positions, length) {
  if (is.null(positions)) {
    return(seq_len(length))
  }
  if (!is.numeric(positions) || !base::length(positions) || anyNA(positions) ||
    any(positions != round(positions) | positions < 1 | positions > length)) {
    stop_argument("positions", paste("must be whole numbers from 1 to", length),
      describe(positions))
  }
  sort(unique(as.integer(positions)))
}

# All letters but the sequence's own, in order of sequence, position and letter.
all_variants <- function(codes, positions, model) {
  letters <- nchar(model$alphabet$letters)
  ref <- as.integer(codes[positions, , drop = FALSE])
  out <- list(
    sequence = rep(seq_len(ncol(codes)) - 1L, each = letters * length(positions)),
    position = rep(rep(positions - 1L, each = letters), ncol(codes)),
    alt = rep(seq_len(letters) - 1L, length(ref))
  )
  keep <- out$alt != rep(ref, each = letters)
  lapply(out, `[`, keep)
}

chosen_variants <- function(positions, variants, input, model) {
  if (is.null(variants)) {
    return(all_variants(input$codes, check_positions(positions, model$length), model))
  }
  if (!is.null(positions)) {
    stop_mrl("argument", "Give `positions` or `variants`, not both.")
  }
  given_variants(variants, input, model)
}

# The data.frame, or that of the VCF file that is named.
check_variants <- function(variants) {
  if (is.character(variants) && length(variants) == 1L) {
    variants <- read_vcf(variants)
  }
  if (!is.data.frame(variants) || !nrow(variants) ||
    !all(c("sequence", "position", "alt") %in% names(variants))) {
    stop_argument("variants", "must be a data.frame with `sequence`, `position` and `alt`",
      describe(variants))
  }
  variants
}

given_variants <- function(variants, input, model) {
  variants <- check_variants(variants)
  sequence <- variant_sequence(variants$sequence, input$ids)
  position <- variants$position
  if (!is.numeric(position) || anyNA(position) ||
    any(position != round(position) | position < 1 | position > model$length)) {
    stop_argument("variants$position", paste("must be whole numbers from 1 to", model$length),
      describe(position))
  }
  alt <- letter_codes(variants$alt, model, "variants$alt")
  at <- cbind(as.integer(position), sequence)
  if (!is.null(variants$ref)) {
    ref <- letter_codes(variants$ref, model, "variants$ref", unknown = TRUE)
    wrong <- which(ref != as.integer(input$codes[at]))
    if (length(wrong)) {
      stop_mrl("data", "`variants$ref` must be what the sequence has there; row ", wrong[1],
        " says \"", variants$ref[wrong[1]], "\".")
    }
  }
  list(sequence = sequence - 1L, position = at[, 1] - 1L, alt = alt)
}

variant_sequence <- function(sequence, ids) {
  at <- if (is.numeric(sequence)) match(sequence, seq_along(ids)) else match(sequence, ids)
  if (anyNA(at)) {
    stop_argument("variants$sequence", "must be names or numbers of `sequences`",
      describe(sequence[is.na(at)][1]))
  }
  as.integer(at)
}

# Codes of letters from 0; unknown: whether an unknown letter is one.
letter_codes <- function(letters, model, arg, unknown = FALSE) {
  known <- strsplit(paste0(model$alphabet$letters, if (unknown) model$alphabet$unknown), "")[[1]]
  upper <- toupper(as.character(letters))
  if (nchar(model$alphabet$letters) == 4L) {
    swap <- c(U = "T", T = "U")
    other <- swap[upper]
    upper <- ifelse(!upper %in% known & other %in% known, other, upper)
  }
  code <- match(upper, known)
  if (anyNA(code)) {
    stop_argument(arg, paste("must be letters of", paste(known, collapse = "")),
      describe(letters[is.na(code)][1]))
  }
  code - 1L
}

# Effects (n_outputs, n) of a list of variants, in its order; the core wants them sorted.
mutate_codes <- function(model, codes, changes, n_threads, mask = NULL) {
  order <- order(changes$sequence, changes$position, changes$alt)
  out <- .Call(C_seq_mutate, as.vector(codes), model$parameters, lapply(changes, `[`, order),
    seq_run_settings(model, n_threads, mask))
  check_status(out$status, "computing effects of mutations")
  effect <- matrix(out$value, ncol = length(order))
  effect[, order] <- effect
  effect
}

variant_frame <- function(effect, changes, input, model) {
  letters <- strsplit(paste0(model$alphabet$letters, model$alphabet$unknown), "")[[1]]
  ref <- as.integer(input$codes[cbind(changes$position + 1L, changes$sequence + 1L)])
  n <- length(model$output_names)
  out <- data.frame(
    sequence = rep(input$ids[changes$sequence + 1L], each = n),
    position = rep(changes$position + 1L, each = n),
    ref = rep(letters[ref + 1L], each = n),
    alt = rep(letters[changes$alt + 1L], each = n),
    output = rep(model$output_names, ncol(effect)),
    effect = as.vector(effect)
  )
  structure(out, class = c("variant_effects", "data.frame"))
}
